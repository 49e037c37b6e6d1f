"""The numbers of which the truth is made, from arrays, in plain NumPy and SciPy.

Written apart from the estimators of `cxresearch.evidence`, which must agree with it and may not share its faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]


def pearson(x: Array, y: Array) -> float:
    """The product-moment correlation."""
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / spread) if spread else float("nan")


def partial(x: Array, y: Array, given: Array) -> float:
    """The correlation of what a linear fit on `given` (n, k) leaves of x and of y."""
    left = residuals(np.column_stack([x, y]), given)
    return pearson(left[:, 0], left[:, 1])


def residuals(values: Array, given: Array) -> Array:
    """What least squares on `given` and a constant leaves of each column."""
    scaled = (given - given.mean(0)) / given.std(0)
    values = values - values.mean(0)
    return values - scaled @ np.linalg.solve(scaled.T @ scaled, scaled.T @ values)


def midranks(values: Array) -> Array:
    """Ranks by column, the mean rank for ties."""
    return np.asarray(rankdata(values, axis=0), dtype=float)


def demeaned(values: Array, codes: NDArray[np.integer]) -> Array:
    """Each column less the mean of its group."""
    dense = np.unique(codes, return_inverse=True)[1]
    counts = np.bincount(dense)
    columns = values.reshape(len(values), -1)
    means = np.column_stack([np.bincount(dense, weights=column) / counts for column in columns.T])
    return (columns - means[dense]).reshape(values.shape)


def alpha(items: Array) -> float:
    """Cronbach's alpha of the columns."""
    covariance, k = np.cov(items, rowvar=False), items.shape[1]
    return float(k / (k - 1) * (1 - np.trace(covariance) / covariance.sum()))


def r_squared(y: Array, x: Array) -> float:
    """The share of the variance of y that least squares on the columns of x explains."""
    if x.shape[1] == 0:
        return 0.0
    y = y - y.mean()
    left = residuals(y[:, None], x)[:, 0]
    return float(1 - left @ left / (y @ y))


def shapley(y: Array, blocks: Sequence[Array]) -> tuple[Array, float]:
    """Each block's share of R², averaged over all orders of entry and summing to 1; and R² itself."""
    k = len(blocks)
    empty = np.empty((len(y), 0))
    worth = {
        chosen: r_squared(y, np.column_stack([empty, *(blocks[i] for i in chosen)]))
        for size in range(k + 1)
        for chosen in combinations(range(k), size)
    }
    shares = np.zeros(k)
    for block in range(k):
        for before, value in worth.items():
            if block not in before:
                weight = factorial(len(before)) * factorial(k - len(before) - 1) / factorial(k)
                shares[block] += weight * (worth[tuple(sorted((*before, block)))] - value)
    whole = worth[tuple(range(k))]
    return shares / whole, whole


def logit(event: Array, x: Array) -> tuple[Array, Array]:
    """Maximum-likelihood logistic coefficients (constant first), by Newton's steps, and the fitted log odds."""
    centre, spread = x.mean(0), x.std(0)
    design = np.column_stack([np.ones(len(x)), (x - centre) / spread])
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(event.mean() / (1 - event.mean()))
    for _ in range(50):
        p = 1 / (1 + np.exp(-(design @ beta)))
        step = np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design, design.T @ (event - p))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            slopes = beta[1:] / spread
            return np.concatenate([[beta[0] - slopes @ centre], slopes]), design @ beta
    raise ArithmeticError("the logistic fit did not converge")


def effect_of_first(event: Array, x: Array, *, flag: bool) -> tuple[float, float]:
    """The average marginal effect of the first column on the probability, and its coefficient.

    For a flag it is the mean difference of the probabilities at 1 and at 0, else the mean derivative.
    """
    beta, log_odds = logit(event, x)
    if flag:
        without = log_odds - beta[1] * x[:, 0]
        return float((_expit(without + beta[1]) - _expit(without)).mean()), float(beta[1])
    p = _expit(log_odds)
    return float(beta[1] * (p * (1 - p)).mean()), float(beta[1])


def _expit(log_odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
