"""Shares: how much of an R² goes with each player, a player being one column or a block of columns.

Covariance matrices in, parts of R² out; matrices come in stacks (…, p, p) and columns are standardised first, so
units do not matter. A set of players is a number: player i is in it where its bit i is set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from cxresearch.evidence.logistic import fit_logit, leave_one_out

Array = NDArray[np.float64]
Players = Sequence[Sequence[int]]
PIVOT = 1e-10  # what others leave of a column's variance; below it the column says the same twice
AT_ONCE = 2**20  # sets times matrices in one sweep: some 50 MB


def correlations(covariance: Array) -> Array:
    """Correlations of a stack of covariance matrices (…, p, p); columns without variance have none, not even 1."""
    spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0))
    per = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return covariance * per[..., :, None] * per[..., None, :]


def worths(covariance: Array, y: int, players: Players) -> Array:
    """R² of column y on every set of players, (…, 2^k), by a lattice of Schur complements.

    Each player in turn doubles the sets: without it, and with its columns swept out of what is left of the others.
    R² is NaN where y does not vary. Source: Goodnight (1979) for the sweep; Feldman (2005) for the lattice.
    """
    order = [c for player in players for c in player] + [y]
    stack = correlations(covariance[..., np.ix_(order, order)[0], np.ix_(order, order)[1]])
    lead, p = stack.shape[:-2], len(order)
    flat = stack.reshape(-1, p, p)
    each = max(1, AT_ONCE >> len(players))
    found = [_lattice(flat[i : i + each], [len(player) for player in players]) for i in range(0, len(flat), each)]
    worth = np.concatenate(found) if found else np.empty((0, 1 << len(players)))
    return worth.reshape(*lead, 1 << len(players))


def _lattice(stack: Array, sizes: Sequence[int]) -> Array:
    left = stack.transpose(1, 2, 0)[:, :, None]  # (columns left, columns left, sets, matrices)
    worth = np.where(stack[:, -1, -1] > 0, 0.0, np.nan)[None]  # (sets, matrices)
    for size in sizes:
        swept, gained = left, worth
        for _ in range(size):
            pivot, row = swept[0, 0], swept[0, 1:]
            per = np.divide(1.0, pivot, out=np.zeros_like(pivot), where=pivot > PIVOT)
            gained = gained + row[-1] ** 2 * per
            swept = swept[1:, 1:] - row[:, None] * (row * per)[None]
        left = np.concatenate([left[size:, size:], swept], axis=2)
        worth = np.concatenate([worth, gained])
    return worth.T


def explained(covariance: Array, y: int, among: Sequence[int]) -> Array:
    """R² of a column on others from covariance matrices (…, p, p)."""
    return worths(covariance, y, [among])[..., 1]


@cache
def _members(k: int) -> NDArray[np.bool_]:
    """Which players (k) are in which set (2^k)."""
    return ((np.arange(1 << k)[:, None] >> np.arange(k)) & 1).astype(bool)


def shapley(worth: Array) -> Array:
    """Each player's part of R², averaged over all orders of entry, (…, k) from (…, 2^k); the parts add up to R².

    Of single columns this is LMG and general dominance, of blocks the Owen value of a block.
    Source: Lindeman, Merenda & Gold (1980), page 119; Budescu (1993); Owen (1977).
    """
    k = worth.shape[-1].bit_length() - 1
    inside = _members(k)
    others = inside.sum(1)[:, None] - inside  # players of the set besides this one
    weight = np.array([1 / (k * comb(k - 1, size)) for size in range(k)])
    return worth @ (np.where(inside, 1.0, -1.0) * weight[others])


def conditional_dominance(worth: Array) -> Array:
    """What each player adds on average to sets of 0, 1, … k - 1 others: (…, k, k). Source: Azen & Budescu (2003)."""
    k = worth.shape[-1].bit_length() - 1
    found = np.empty((*worth.shape[:-1], k, k))
    for player in range(k):
        for size in range(k):
            lacking = np.flatnonzero(~_members(k)[:, player] & (_members(k).sum(1) == size))
            found[..., player, size] = (worth[..., lacking | (1 << player)] - worth[..., lacking]).mean(-1)
    return found


def complete_dominance(worth: Array) -> Array:
    """In which share of the sets that lack both the one adds more than the other: (k, k), NaN on the diagonal.

    1 is complete dominance. Source: Azen & Budescu (2003), equation 2.
    """
    k = worth.shape[-1].bit_length() - 1
    found = np.full((k, k), np.nan)
    for i in range(k):
        for j in range(k):
            if i != j:
                neither = np.flatnonzero(~_members(k)[:, i] & ~_members(k)[:, j])
                found[i, j] = (worth[neither | (1 << i)] > worth[neither | (1 << j)]).mean()
    return found


def _roots(covariance: Array, y: int, among: Sequence[int]) -> tuple[Array, Array, Array]:
    """R^(1/2) and R^(-1/2) of columns and their correlations with y; directions of rounding are left out."""
    held = list(among)
    every = correlations(np.nan_to_num(covariance))
    values, vectors = np.linalg.eigh(every[..., np.ix_(held, held)[0], np.ix_(held, held)[1]])
    kept = values > PIVOT * values[..., -1:]
    powers = [np.where(kept, np.where(kept, values, 1.0) ** power, 0.0) for power in (0.5, -0.5)]
    root, inverse_root = ((vectors * power[..., None, :]) @ np.swapaxes(vectors, -1, -2) for power in powers)
    return root, inverse_root, np.where(covariance[..., y, y, None] > 0, every[..., held, y], np.nan)


def first(worth: Array) -> Array:
    """R² of each player alone, from that of every set: what it explains entering first (…, k)."""
    return worth[..., 1 << np.arange(worth.shape[-1].bit_length() - 1)]


def last(worth: Array) -> Array:
    """What each player adds to all others: what it explains entering last (…, k)."""
    return worth[..., -1:] - first(worth[..., ::-1])


def johnson(covariance: Array, y: int, players: Players) -> Array:
    """Johnson's relative weights, which are Genizi's parts of R² (…, k): by the nearest uncorrelated columns.

    Source: Johnson (2000), equations 2 to 8; Genizi (1993).
    """
    root, inverse_root, r = _roots(covariance, y, [c for player in players for c in player])
    return (root**2 @ (inverse_root @ r[..., None]) ** 2)[..., 0]


def slopes(covariance: Array, y: int, among: Sequence[int]) -> Array:
    """Slopes of a column on others (…, k) from covariance matrices, in the units of those."""
    _, inverse_root, r = _roots(covariance, y, among)
    own = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (inverse_root @ inverse_root @ r[..., None])[..., 0] * own[..., [y]] / own[..., list(among)]


def pratt(covariance: Array, y: int, players: Players) -> Array:
    """Standardised slope times correlation (…, k); parts may be below zero. Source: Pratt (1987)."""
    _, inverse_root, r = _roots(covariance, y, [c for player in players for c in player])
    return (inverse_root @ inverse_root @ r[..., None])[..., 0] * r


def betasq(covariance: Array, y: int, players: Players) -> Array:
    """Squared standardised slopes (…, k); they add up to R² only where the terms are uncorrelated."""
    _, inverse_root, r = _roots(covariance, y, [c for player in players for c in player])
    return (inverse_root @ inverse_root @ r[..., None])[..., 0] ** 2


def car(covariance: Array, y: int, players: Players) -> Array:
    """Squared correlation-adjusted marginal correlations (…, k). Source: Zuber & Strimmer (2011), section 2."""
    _, inverse_root, r = _roots(covariance, y, [c for player in players for c in player])
    return (inverse_root @ r[..., None])[..., 0] ** 2


METHODS: dict[str, Callable[[Array, int, Players], Array]] = {
    "lmg": lambda covariance, y, players: shapley(worths(covariance, y, players)),
    "johnson": johnson,
    "first": lambda covariance, y, players: first(worths(covariance, y, players)),
    "last": lambda covariance, y, players: last(worths(covariance, y, players)),
    "betasq": betasq,
    "pratt": pratt,
    "car": car,
}


def inflation(covariance: Array, among: Sequence[int]) -> tuple[Array, float]:
    """Variance inflation of each column (k,) by the others, infinite where they repeat it, and the condition number.

    The condition number is the root of the ratio of the extreme eigenvalues of the correlations.
    Source: Belsley, Kuh & Welsch (1980), chapter 3.
    """
    left = [1 - float(explained(covariance, c, [o for o in among if o != c])) for c in among]
    factors = np.array([np.inf if part < PIVOT else 1 / part for part in left])
    varies = [c for c in among if covariance[c, c] > 0]
    values = np.linalg.eigvalsh(correlations(covariance)[np.ix_(varies, varies)]) if varies else np.ones(1)
    return factors, float(np.sqrt(values[-1] / values[0])) if values[0] > PIVOT else np.inf


def logistic_worths(y: Array, x: Array, players: Players, blocks: NDArray[np.intp]) -> tuple[Array, Array]:
    """McFadden's R² of y (n,) of 0 and 1 on every set of players, of all rows and without each block: (B + 1, 2^k).

    Without a block the log-likelihood is that of the other rows after one Newton step from the fit to all; it does
    not exist (NaN) where leaving is separated. The second array (B + 1,) is minus the log-likelihood of the constant
    alone. Source: McFadden (1974); its shares: Azen & Traxel (2009).
    """
    count = len(y) - np.append(0.0, np.bincount(blocks))
    share = (y.sum() - np.append(0.0, np.bincount(blocks, weights=y))) / np.maximum(count, 1)
    null = count * (entr(share) + entr(1 - share))
    likelihood = -np.repeat(null[:, None], 1 << len(players), axis=1)
    for chosen in range(1, 1 << len(players)):
        columns = [c for i, player in enumerate(players) if chosen >> i & 1 for c in player]
        fit = fit_logit(y, x[:, columns])
        eta = fit.predictor
        each = np.bincount(blocks, weights=y * eta - np.logaddexp(0.0, eta))
        score = np.array(
            [np.bincount(blocks, weights=(y - fit.fitted) * column) for column in fit.matrix.in_own_units.T]
        )
        moved = leave_one_out(fit, blocks) - fit.coefficients if fit.converged else np.full(score.T.shape, np.nan)
        likelihood[:, chosen] = each.sum() - np.append(0.0, each + (moved * score.T).sum(1) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 + likelihood / null[:, None], null
