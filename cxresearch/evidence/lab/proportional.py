"""Proportional hazards: Cox's model in time strata, its test, its errors by cluster, how well it orders.

By hand: PHReg forgets ties in errors by cluster, counts who enters as somebody leaves, has no exact test.
Witness: R's survival (coxph, cox.zph, concordance) on lung, veteran and a telecom table; PHReg for coefficients.
Delete when: PHReg counts ties in score residuals, enters people after the moment, and offers the exact test.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
STEPS = 20  # Newton needs about six; one that still moves after twenty is on its way to infinity
RESTED = 1e-7  # after such a last step its square is left
MOST_COMPARED = 100_000  # concordance compares every leaver with everybody there: beyond it some clusters are taken


@dataclass(frozen=True)
class Spells:
    """Who was at risk when: entry, exit, left (0 or 1) and stratum of n spells.

    `moments` (E,) are the times at which somebody left, stratum after stratum; spell i is at risk at those from
    `first[i]` up to but without `past[i]`.
    """

    exit: Array
    left: NDArray[np.bool_]
    moments: Array
    first: Codes
    past: Codes

    def products(self, weight: Array, x: Array) -> tuple[Array, Array]:
        """Weighted sums of the products of columns (n, m) at each moment, both (E, m, m): over those at risk, over those who leave."""
        (of, groups, begins), size, m = self._changes, len(self.moments), x.shape[1]
        columns, found = [x[of, a] for a in range(m)], np.zeros((3 * size, m, m))
        for a in range(m):
            weighted = weight[of] * columns[a]
            for b in range(a, m):
                found[groups, a, b] = found[groups, b, a] = np.add.reduceat(weighted * columns[b], begins)
        leaving, ending, beginning = np.split(found, 3)
        # summed from the end, where few are left: no small difference of large sums
        return np.cumsum((leaving + ending - beginning)[::-1], axis=0)[::-1], leaving

    @cached_property
    def leaving(self) -> tuple[Codes, Codes, Codes, Array]:
        """Who leaves, each with its moment; how many leave at each moment (E,); and what part of these left before each.

        The leavers of one moment leave one after the other, each with a part of the risk of all.
        """
        leavers = np.flatnonzero(self.left)
        at = self.past[leavers] - 1
        tied, order = np.bincount(at, minlength=len(self.moments)), np.argsort(at, kind="stable")
        gone = np.empty(len(at))
        gone[order] = np.arange(len(at)) - (np.cumsum(tied) - tied)[at[order]]
        return leavers, at, tied, gone / tied[at]

    @cached_property
    def _changes(self) -> tuple[Codes, Codes, Codes]:
        """The spells in order of how the risk changes, and where each change begins: those who leave at a moment, are watched no longer after it, begin with it."""
        size, ends, begins = len(self.moments), np.flatnonzero(self.past > 0), np.flatnonzero(self.first > 0)
        kind = [np.where(self.left[ends], 0, size) + self.past[ends], 2 * size + self.first[begins]]
        change = np.concatenate(kind) - 1
        order = np.argsort(change, kind="stable")
        groups, first = np.unique(change[order], return_index=True)
        return np.concatenate([ends, begins])[order], groups, first


def spells(entry: Array, exit_: Array, left: Array, strata: Codes) -> Spells:
    """Spells in which somebody is at risk after `entry` and up to `exit_`."""
    moments, first, past, done = [], np.zeros(len(exit_), np.intp), np.zeros(len(exit_), np.intp), 0
    for stratum in np.unique(strata):
        mine = strata == stratum
        times = np.unique(exit_[mine & (left > 0)])
        first[mine] = done + np.searchsorted(times, entry[mine], side="right")
        past[mine] = done + np.searchsorted(times, exit_[mine], side="right")
        moments.append(times)
        done += len(times)
    return Spells(exit_, left > 0, np.concatenate([*moments, np.zeros(0)]), first, past)


@dataclass(frozen=True)
class Passed:
    """Cox's partial likelihood at some coefficients: its logarithm, score (E, k) and information (E, k, k) by moment."""

    log_likelihood: float
    score: Array
    information: Array
    residuals: Array | None  # score residuals (n, k): each spell's part of the score, late entry and ties counted


def passed(at: Spells, x: Array, beta: Array, ties: str, each: bool = False) -> Passed:
    """One pass over all moments, with the residuals of `each` spell where asked for. Ties: Efron (1977) or Breslow (1974). Source: Therneau & Grambsch (2000), chapter 3."""
    n, k = x.shape
    eta = x @ beta
    weight = np.exp(eta - eta.max(initial=-np.inf)) if n else eta
    leavers, j, tied, fraction = at.leaving
    size, own = len(at.moments), x[leavers]
    fraction = fraction if ties == "efron" else np.zeros(len(j))
    there, leaving = at.products(weight, np.column_stack([np.ones(n), x]))
    total = there[j, 0, 0] - fraction * leaving[j, 0, 0]
    mean = (there[j, 0, 1:] - fraction[:, None] * leaving[j, 0, 1:]) / total[:, None]
    # what each leaver of a moment adds, summed over them: of the mean square, then of the square of the mean
    once, part = (np.bincount(j, weights=f / total, minlength=size)[:, None, None] for f in (1.0, fraction))
    ends = np.concatenate([there[:, :1, 1:], leaving[:, :1, 1:]], axis=1)
    squares = [np.bincount(j, weights=f / total**2, minlength=size) for f in (1.0, -fraction, fraction**2)]
    inner = np.stack([np.stack(squares[:2], axis=-1), np.stack(squares[1:], axis=-1)], axis=-2)
    information = there[:, 1:, 1:] * once - leaving[:, 1:, 1:] * part - np.swapaxes(ends, 1, 2) @ inner @ ends

    def by_moment(values: Array) -> Array:
        return np.column_stack([np.bincount(j, weights=v, minlength=size) for v in values.T])

    score = by_moment(own - mean)
    likelihood = float((eta[leavers] - eta.max(initial=-np.inf) - np.log(total)).sum())
    if not each:
        return Passed(likelihood, score, information, None)
    # what a spell is expected to add at each moment, and, of those who leave then, the part that ties take off
    parts = np.column_stack([np.ones(len(j)), mean]) / total[:, None]
    summed = np.vstack([np.zeros(k + 1), by_moment(parts).cumsum(0)])
    met = summed[np.maximum(at.past, at.first)] - summed[at.first]
    met[leavers] -= by_moment(parts * fraction[:, None])[j]
    residuals = -weight[:, None] * (x * met[:, :1] - met[:, 1:])
    residuals[leavers] += own - (by_moment(mean) / np.maximum(tied, 1)[:, None])[j]
    return Passed(likelihood, score, information, residuals)


@dataclass(frozen=True)
class CoxFit:
    """Log hazard ratios (k,) with covariance (k, k), the pass at them and the one at zero.

    `converged` is False where the coefficients still move after 20 Newton steps: separation.
    """

    coefficients: Array
    covariance: Array
    last: Passed
    null: Passed
    converged: bool

    def clustered(self, clusters: Codes) -> Array:
        """Covariance from score residuals added up within clusters, times G/(G - 1). Source: Lin & Wei (1989)."""
        assert self.last.residuals is not None
        groups = int(clusters.max()) + 1
        sums = np.column_stack([np.bincount(clusters, weights=r) for r in self.last.residuals.T]) @ self.covariance
        return np.asarray(sums.T @ sums * groups / max(groups - 1, 1))


def fit_cox(at: Spells, x: Array, ties: str = "efron") -> CoxFit:
    """Cox's model of leaving on the columns of x (n, k) by Newton's method. Source: Cox (1972, 1975)."""
    x, beta = np.asfortranarray(x), np.zeros(x.shape[1])
    null = last = passed(at, x, beta, ties)
    converged = False
    for _ in range(STEPS):
        information = last.information.sum(0)
        step = np.linalg.lstsq(information, last.score.sum(0), rcond=1e-12)[0]
        if np.abs(step).max() < RESTED:
            beta, converged = beta + step, True
            break
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            tried = passed(at, x, beta + step, ties)
            while tried.log_likelihood < last.log_likelihood - 1e-9 * abs(last.log_likelihood):
                step /= 2
                tried = passed(at, x, beta + step, ties)
        if not np.isfinite(tried.information).all():  # so far out that some weigh nothing: the order is foretold
            break
        beta, last = beta + step, tried
    last = passed(at, x, beta, ties, each=True)
    covariance = np.linalg.pinv(last.information.sum(0), rcond=1e-12, hermitian=True)
    return CoxFit(beta, covariance, last, null, converged)


def clock(at: Spells, entry: Array, transform: str = "km") -> Array:
    """The moments (E,) on the clock of a test: `km` the share gone just before, `rank`, or `identity`; as cox.zph."""
    if transform == "identity":
        return at.moments
    if transform == "rank":
        order = np.sort(at.exit)
        return (np.searchsorted(order, at.moments) + np.searchsorted(order, at.moments, "right") + 1) / 2
    times, left = np.unique(at.exit[at.left], return_counts=True)
    there = np.searchsorted(np.sort(entry), times) - np.searchsorted(np.sort(at.exit), times)
    gone = np.concatenate([[0.0], 1 - np.cumprod(1 - left / there)])
    return np.asarray(gone[np.searchsorted(times, at.moments)])


def score_test(fit: CoxFit, at: Spells, on: Array, terms: list[list[int]]) -> list[tuple[float, int, float]]:
    """Chi², df and p of the exact score test that a term's hazard ratio does not change with the clock `on` (E,).

    One for each term (its columns) and one for all together, last. Source: Grambsch & Therneau (1994), with the
    information of each moment instead of its average: R's cox.zph since survival 3.0.
    """
    left = at.leaving[2]
    g = on - np.average(on, weights=left)
    k = len(fit.coefficients)
    v = fit.last.information
    plain, once, twice = v.sum(0), np.einsum("e,eij->ij", g, v), np.einsum("e,eij->ij", g**2, v)
    whole = np.block([[plain, once], [once, twice]])
    score = np.concatenate([np.zeros(k), g @ fit.last.score])
    found = []
    for term in [*terms, list(range(k))]:
        pick = [*range(k), *(k + c for c in term)]
        u = score[pick]
        chi2 = float(u @ np.linalg.lstsq(whole[np.ix_(pick, pick)], u, rcond=1e-12)[0])
        found.append((chi2, len(term), float(stats.chi2.sf(chi2, len(term)))))
    return found


def concordance(at: Spells, risk: Array, clusters: Codes) -> tuple[float, float, int]:
    """How often the one of two with the higher risk (n,) leaves first: share, standard error, spells compared.

    Pairs are a leaver and one still there; equal risks count half; errors by infinitesimal jackknife over clusters.
    Source: Harrell et al. (1982); Therneau & Watson (2015), as R's concordance. Beyond 100,000 spells some clusters serve.
    """
    kept = clusters % -(-len(risk) // MOST_COMPARED) == 0
    rank = np.unique(risk[kept].round(9), return_inverse=True)[1]  # equal terms, equal risks, rounding aside
    first, past, left = at.first[kept], at.past[kept], at.left[kept]
    won, pairs = np.zeros((2, len(rank)))  # of each spell: higher risk first less lower first, and all
    for j in np.unique(past[left] - 1):
        gone = left & (past == j + 1)
        leaving, staying = np.flatnonzero(gone), np.flatnonzero((first <= j) & (j < past) & ~gone)
        for mine, others, sign in ((leaving, staying, 1), (staying, leaving, -1)):
            count = np.bincount(rank[others], minlength=rank.max() + 1)
            ahead = 2 * np.cumsum(count) - count - len(others)  # below a rank less above it
            won[mine] += sign * ahead[rank[mine]]
            pairs[mine] += len(others)
    total = pairs.sum() / 2
    if not total:
        return float("nan"), float("nan"), len(rank)
    somers = won.sum() / 2 / total
    influence = (won - somers * pairs) / total
    sums = np.bincount(clusters[kept], weights=influence)
    return float((somers + 1) / 2), float(np.sqrt((sums**2).sum()) / 2), len(rank)
