"""Polychoric correlation: what two scales of ordered answers would correlate, were the normal feelings behind them seen.

By hand: no well-kept Python library fits it; the bivariate normal is scipy's Owen's T.
Witness: R's polycor (ML) and psych (two-step) on public tables, and tests/witness/correlations.R.
Delete when: scipy or statsmodels has it with a standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cxresearch.evidence import inference
from cxresearch.evidence.inference import Interval

Array = NDArray[np.float64]
FAR = 10.0  # a threshold as good as at infinity, in standard deviations
LIMIT = 1 - 1e-6  # a correlation beyond it has run to the border: the likelihood has no maximum inside
STEP = 0.25  # steps of Fisher's z, out from zero, in search of the top of the likelihood
TINY = 1e-14  # chances below it are rounding of the bivariate normal


@dataclass(frozen=True)
class Polychoric:
    """The correlation of the feelings behind a table of answers, with its error and the thresholds between answers.

    `estimate` and `std_error` are NaN where there is none (one category, or one answer alone decides the other).
    `row_thresholds` (r - 1,) and `column_thresholds` (c - 1,) are in standard deviations, of the categories in use.
    `chi2` (likelihood ratio) on `df` says how far the table is from that of two normal feelings.
    """

    estimate: float
    std_error: float
    row_thresholds: Array
    column_thresholds: Array
    chi2: float = math.nan
    df: int = 0

    def interval(self) -> Interval:
        """The interval of independent rows: Fisher's z with the error of maximum likelihood."""
        if not math.isfinite(self.std_error):
            return inference.NOTHING
        error = self.std_error / (1 - self.estimate**2)
        p_value = 2 * float(special.ndtr(-abs(math.atanh(self.estimate)) / error))
        return inference.z_interval(self.estimate, error, p_value, inference.LEVEL)


def polychoric(table: Array) -> Polychoric:
    """Correlation and thresholds of a contingency table (r, c) of counts, by full maximum likelihood.

    Fisher scoring from the two-step estimate; the error is from the observed information, as R's
    polychor(ML=TRUE). Categories nobody chose are left out; empty cells need no correction.
    Source: Olsson (1979), Psychometrika 44, 443-460.
    """
    n = _used(table)
    rho = two_step(n)
    a, b = _thresholds(n.sum(1)), _thresholds(n.sum(0))
    nothing = Polychoric(math.nan, math.nan, a, b)
    if not math.isfinite(rho):
        return nothing
    theta = np.concatenate([[rho], a, b])
    for _ in range(200):
        chances, slopes = _chances(theta, len(a))
        information = n.sum() * np.einsum("qij,sij->qs", slopes / chances, slopes)
        step = np.linalg.pinv(information) @ _score(n, chances, slopes)
        while not _proper(theta + step, len(a)):
            step = step / 2
            if np.abs(step).max() < 1e-9:
                return nothing
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    covariance = np.linalg.pinv(_observed_information(n, theta, len(a)))
    if abs(theta[0]) > LIMIT or covariance[0, 0] <= 0:
        return nothing
    error, met, chances = math.sqrt(covariance[0, 0]), n > 0, _chances(theta, len(a))[0]
    chi2 = 2 * float((n[met] * np.log(n[met] / n.sum() / chances[met])).sum())
    df = n.size - 1 - len(theta)
    return Polychoric(float(theta[0]), error, theta[1 : 1 + len(a)], theta[1 + len(a) :], chi2, df)


def two_step(table: Array) -> float:
    """The correlation of a contingency table with the thresholds taken from its margins; NaN where there is none.

    As R's polychor(ML=FALSE) and psych::polychoric(correct=0). Source: Olsson (1979), section 4.
    """
    from scipy import optimize  # long to import, and a ladder mostly asks for none

    n = _used(table)
    if min(n.shape) < 2:
        return math.nan
    a, b = _thresholds(n.sum(1)), _thresholds(n.sum(0))

    def score(rho: float) -> float:
        chances, slopes = _chances(np.concatenate([[rho], a, b]), len(a), of_rho_only=True)
        return float(_score(n, chances, slopes)[0])

    sign = 1.0 if score(0.0) > 0 else -1.0
    for z in np.arange(STEP, math.atanh(LIMIT), STEP):
        if sign * score(sign * math.tanh(z)) < 0:
            near, far = sign * math.tanh(z - STEP), sign * math.tanh(z)
            return float(optimize.brentq(score, near, far, xtol=1e-14, rtol=1e-14))
    return math.nan  # the likelihood rises up to the border: one answer decides the other


def two_step_influence(table: Array) -> tuple[float, Array]:
    """The two-step correlation, and what a row in each cell (r, c) adds to n times it; NaN where there is none.

    It counts that the thresholds come from the margins, by cross-products of the scores, as R's lavaan. No category of
    the table may be empty. Source: Muthén (1984), Psychometrika 49, 115-132.
    """
    n = np.asarray(table, dtype=float)
    rho = two_step(n)
    if not math.isfinite(rho):
        return rho, np.full(n.shape, math.nan)
    a, b = _thresholds(n.sum(1)), _thresholds(n.sum(0))
    chances, slopes = _chances(np.concatenate([[rho], a, b]), len(a))
    scores = slopes / chances
    rows, columns = (_margin_influence(cuts) for cuts in (a, b))
    moved = np.concatenate([
        np.broadcast_to(rows[:, :, None], (len(a), *n.shape)), np.broadcast_to(columns[:, None], (len(b), *n.shape))
    ])  # fmt: skip
    crossed_scores = np.einsum("ij,qij,ij->q", scores[0], scores, n / n.sum())
    return rho, (scores[0] - np.einsum("q,qij->ij", crossed_scores[1:], moved)) / crossed_scores[0]


def _margin_influence(cuts: Array) -> Array:
    """What a row in each category adds to n times each threshold (t, t + 1), which is the quantile of its margin."""
    below = np.arange(len(cuts) + 1) <= np.arange(len(cuts))[:, None]
    return np.asarray((below - special.ndtr(cuts)[:, None]) / _density(cuts)[:, None])


def polychoric_matrix(items: Array) -> Array:
    """Two-step polychoric correlations of items (n, k), each pair over the rows that have both (NaN where missing).

    The matrix (k, k) need not be positive definite; a pair that has no estimate is NaN.
    """
    values = np.asarray(items, dtype=float)
    found = np.eye(values.shape[1])
    for i, j in combinations(range(values.shape[1]), 2):
        found[i, j] = found[j, i] = two_step(crossed(values[:, i], values[:, j]))
    return found


def crossed(x: Array, y: Array) -> Array:
    """The contingency table (r, c) of two columns (n,) over the rows that have both, in order of their values."""
    both = np.isfinite(x) & np.isfinite(y)
    rows, row = np.unique(x[both], return_inverse=True)
    columns, column = np.unique(y[both], return_inverse=True)
    counts = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return counts.reshape(len(rows), len(columns)).astype(float)


def tables_by_part(part: NDArray[np.intp], answers: tuple[NDArray[np.intp], ...], shape: tuple[int, ...]) -> Array:
    """The contingency table of two answers in each part of the rows."""
    counts = np.zeros((part.max(initial=-1) + 1, *shape))
    np.add.at(counts, (part, *answers), 1.0)
    return counts


def _used(table: Array) -> Array:
    """The table without the categories that nobody chose."""
    n = np.asarray(table, dtype=float)
    return np.asarray(n[np.ix_(n.sum(1) > 0, n.sum(0) > 0)])


def _thresholds(margin: Array) -> Array:
    return np.clip(special.ndtri(np.cumsum(margin)[:-1] / margin.sum()), -FAR, FAR)


def _proper(theta: Array, rows: int) -> bool:
    """Whether the correlation lies inside and the thresholds are in order."""
    a, b = theta[1 : 1 + rows], theta[1 + rows :]
    return bool(abs(theta[0]) < 1 and (np.diff(a) > 0).all() and (np.diff(b) > 0).all())


def _score(n: Array, chances: Array, slopes: Array) -> Array:
    return np.asarray(np.einsum("ij,qij->q", n / chances, slopes))


def _observed_information(n: Array, theta: Array, rows: int) -> Array:
    """Minus the second derivatives of the log likelihood: central differences of the score."""
    step = 1e-5

    def score(at: Array) -> Array:
        return _score(n, *_chances(at, rows))

    second = np.array([score(theta - e) - score(theta + e) for e in step * np.eye(len(theta))]) / (2 * step)
    return (second + second.T) / 2


def _chances(theta: Array, rows: int, of_rho_only: bool = False) -> tuple[Array, Array]:
    """Chances of the cells (r, c), and their derivatives (q, r, c) by the correlation and each threshold."""
    rho, root = theta[0], math.sqrt(1 - theta[0] ** 2)
    h, k = (np.concatenate([[-FAR], cuts, [FAR]]) for cuts in (theta[1 : 1 + rows], theta[1 + rows :]))
    h, k = (np.where(cuts == 0, 1e-300, cuts) for cuts in (h, k))  # Owen's formula divides by them
    h, k = h[:, None], k[None, :]
    below = (special.ndtr(h) + special.ndtr(k)) / 2 - (h * k < 0) / 2
    below = below - special.owens_t(h, (k / h - rho) / root) - special.owens_t(k, (h / k - rho) / root)
    density = np.exp(-(h * h - 2 * rho * h * k + k * k) / (2 * root**2)) / (2 * math.pi * root)
    slopes = [_cells(density)]
    if not of_rho_only:
        by_h = _density(h) * special.ndtr((k - rho * h) / root)
        by_k = _density(k) * special.ndtr((h - rho * k) / root)
        slopes += [_cells(np.where(np.arange(len(h))[:, None] == i, by_h, 0.0)) for i in range(1, len(h) - 1)]
        slopes += [_cells(np.where(np.arange(k.size)[None, :] == j, by_k, 0.0)) for j in range(1, k.size - 1)]
    return np.maximum(_cells(below), TINY), np.array(slopes)


def _cells(corners: Array) -> Array:
    """Sums over cells from sums up to their corners."""
    return np.diff(np.diff(corners, axis=0), axis=1)


def _density(z: Array) -> Array:
    """The height of the standard normal curve."""
    return np.asarray(np.exp(-z * z / 2) / math.sqrt(2 * math.pi))
