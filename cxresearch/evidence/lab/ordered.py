"""Ordered answers: a confirmatory factor model on polychoric correlations, for answers of few categories.

Answers of four categories or fewer are no numbers: Pearson correlations of them are too small and their chi² too large
(Rhemtulla, Brosseau-Liard & Savalei 2012). The correlations are weighted by their own errors, and the test is scaled.

By hand: no well-kept Python library fits ordered answers.
Witness: R's lavaan (WLSM) in tests/witness/measurement.R.
Delete when: statsmodels has confirmatory factor analysis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from cxresearch.evidence.lab.confirmatory import layout
from cxresearch.evidence.lab.polychoric import crossed, two_step_influence

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class OrderedFit:
    """Standardised loadings (p, m) and factor correlations (m, m), each with its robust errors, and the scaled chi².

    `residual` is the root mean square of the residual correlations; `implied` (p, p) those that the model implies.
    """

    loadings: Array
    loading_errors: Array
    factors: Array
    factor_errors: Array
    chi2: float
    df: int
    residual: float
    converged: bool


def ordered_correlations(values: Array) -> tuple[Array, Array]:
    """Two-step polychoric correlations (p, p) of answers (n, p), and what each row adds to n times each of them: (n, pairs).

    Pairs are those below the diagonal, row by row. A pair without an estimate is NaN.
    """
    n, p = values.shape
    codes = [np.unique(values[:, i], return_inverse=True)[1] for i in range(p)]
    found, low = np.eye(p), np.tril_indices(p, -1)
    influence = np.empty((n, len(low[0])))
    for q, (i, j) in enumerate(zip(*low, strict=True)):
        found[i, j], each = two_step_influence(crossed(values[:, i], values[:, j]))
        found[j, i] = found[i, j]
        influence[:, q] = each[codes[i], codes[j]]
    return found, influence


def fit_ordered(correlation: Array, influence: Array, pattern: NDArray[np.bool_], blocks: Numbers | None) -> OrderedFit:
    """The model in which answers belong to factors as `pattern` (p, m) says, by diagonally weighted least squares.

    `correlation` and `influence` are those of `ordered_correlations`; `blocks` (n,) the clusters, None where each row is one.
    Source: Muthén, du Toit & Spisic (1997), as lavaan's WLSM: robust errors, chi² scaled to its mean.
    """
    where, low, n = layout(pattern), np.tril_indices(len(pattern), -1), len(influence)
    cut, between = int(pattern.sum()), np.argwhere(where.factors[0] >= 0)
    sums = influence if blocks is None else np.array([influence[blocks == b].sum(0) for b in np.unique(blocks)])
    spread = sums.T @ sums / n * len(sums) / (len(sums) - 1)
    weights = 1 / (influence**2).mean(0)

    def matrices(theta: Array) -> tuple[Array, Array]:
        loadings, factors = np.zeros(pattern.shape), np.eye(pattern.shape[1])
        loadings[pattern] = theta[:cut]
        factors[between[:, 0], between[:, 1]] = factors[between[:, 1], between[:, 0]] = theta[cut:]
        return loadings, factors

    def residual(theta: Array) -> Array:
        loadings, factors = matrices(theta)
        return np.asarray((loadings @ factors @ loadings.T - correlation)[low])

    def slopes(theta: Array) -> Array:
        loadings, factors = matrices(theta)
        common, by = loadings @ factors, np.zeros((len(theta), *correlation.shape))
        for q, (i, k) in enumerate(np.argwhere(pattern)):
            by[q, i, :] += common[:, k]
        for q, (k, j) in enumerate(between):
            by[cut + q] = np.outer(loadings[:, k], loadings[:, j])
        return np.asarray((by + by.transpose(0, 2, 1))[:, low[0], low[1]].T)

    root = np.sqrt(weights)
    start = np.concatenate([np.full(cut, 0.7), np.full(len(between), 0.3)])
    found = optimize.least_squares(
        lambda t: root * residual(t), start, jac=lambda t: root[:, None] * slopes(t), xtol=1e-14, ftol=1e-14, gtol=1e-12
    )
    slope = slopes(found.x)
    filled = np.linalg.pinv((slope.T * weights) @ slope, hermitian=True) @ (slope.T * weights)
    errors = np.sqrt(np.diag(filled @ spread @ filled.T) / n)
    df = len(low[0]) - len(found.x)
    left = np.diag(weights) - (weights[:, None] * slope) @ filled
    scaling = float((left * spread).sum()) / df if df else math.nan
    (loadings, factors), (loading_errors, factor_errors) = matrices(found.x), matrices(errors)
    chi2 = n * 2 * float(found.cost) / scaling if df else 0.0
    rmsr = math.sqrt(float((residual(found.x) ** 2).sum()) / (len(low[0]) + len(pattern)))
    return OrderedFit(loadings, loading_errors, factors, factor_errors, chi2, df, rmsr, bool(found.status > 0))
