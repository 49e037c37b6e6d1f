"""Logistic regression by Newton's method, and without each cluster: arrays in, numbers out.

Written here because errors of average marginal effects with few clusters need the fit without each of them, and
because separation must be seen, not reported as convergence. Checked against statsmodels and R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
SINGULAR = 1e-10  # a direction of standardised terms that holds a smaller part of the information holds rounding
SAME = 1e-14  # values that differ relatively by less are one value and a rounding
STEPS = 20  # Newton needs about eight; one that still moves after twenty is on its way to infinity


def varies(x: Array) -> NDArray[np.bool_]:
    """Which columns of x (n, k) hold more than one value, rounding aside."""
    return np.asarray(np.ptp(x, axis=0) > SAME * np.abs(x).max(axis=0))


@dataclass(frozen=True)
class LogitFit:
    """Coefficients (k,) in own units with the constant first, and fitted shares (n,) of the rows of `design` (n, k).

    `converged` is False where the coefficients still move after 20 Newton steps: separation.
    """

    design: Array
    coefficients: Array
    fitted: Array
    converged: bool


def fit_logit(y: Array, x: Array) -> LogitFit:
    """The logistic regression of y (n,) of 0 and 1 on the columns of x (n, k) and a constant.

    Columns are standardised for the arithmetic and given back in own units. A column without variation, or
    equal to a sum of others, gets the least-norm solution. Source: McCullagh & Nelder (1989), section 4.4.
    """
    n = len(y)
    design, back = _standardised(x)
    beta = np.zeros(design.shape[1])
    share = min(max(float(y.mean()), 1 / (2 * n)), 1 - 1 / (2 * n))
    beta[0] = np.log(share / (1 - share))
    converged = False
    for _ in range(STEPS):
        p = expit(design @ beta)
        information = design.T @ (design * (p * (1 - p))[:, None])
        step = np.linalg.lstsq(information, design.T @ (y - p), rcond=1e-12)[0]
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            converged = True
            break
    return LogitFit(np.column_stack([np.ones(n), x]), back @ beta, expit(design @ beta), converged)


def _standardised(x: Array) -> tuple[Array, Array]:
    """The design of standardised columns (n, k + 1), constant first, and what takes its coefficients to own units."""
    centre, there = x.mean(0), varies(x)
    scale = np.where(there, x.std(0), 1.0)
    design = np.column_stack([np.ones(len(x)), np.where(there, (x - centre) / scale, 0.0)])
    # slopes divide by the scale, the constant takes the centres along
    back = np.diag(np.concatenate([[1.0], 1 / scale]))
    back[0, 1:] = -centre / scale
    return design, back


def leave_one_out(fit: LogitFit, y: Array, clusters: NDArray[np.intp]) -> Array:
    """The coefficients without each cluster, (G, k): one Newton step from the fit to all rows.

    Counts how much a cluster bends the fit, which the plain sandwich does not: with few clusters or few events that one
    is too narrow. Without a cluster in which alone a term varies they do not exist: NaN.
    Source: Cameron & Miller (2015), CR3; Pregibon (1981) for the step.
    """
    weight, k = fit.fitted * (1 - fit.fitted), fit.design.shape[1]
    (z, back), residual = _standardised(fit.design[:, 1:]), y - fit.fitted
    score = np.column_stack([np.bincount(clusters, weights=z[:, i] * residual) for i in range(k)])
    information = np.empty((len(score), k, k))
    for i in range(k):
        for j in range(i, k):
            information[:, i, j] = information[:, j, i] = np.bincount(clusters, weights=z[:, i] * z[:, j] * weight)
    rest = information.sum(0) - information
    step = (np.linalg.pinv(rest, hermitian=True) @ score[:, :, None])[:, :, 0]
    step[_rank(rest) < _rank(information.sum(0))] = np.nan
    return fit.coefficients - step @ back.T


def _rank(information: Array) -> Array:
    """How many directions matrices (…, k, k) know of."""
    known = np.linalg.eigvalsh(information)
    return (known > SINGULAR * known[..., -1:]).sum(-1)


def average_difference(fit: LogitFit, column: int, step: float, flag: bool) -> tuple[float, Array, Array]:
    """The average marginal effect of a column for a step of it: estimate, each row's part, gradient by coefficients.

    For a number: the derivative averaged over the rows, times the step. For a flag: the average difference of the
    fitted shares at 1 and at 0. `column` counts from the first column of x. Source: Long & Freese (2014).
    """
    k = column + 1
    if flag:
        none, all_ = fit.design.copy(), fit.design.copy()
        none[:, k], all_[:, k] = 0.0, 1.0
        p0, p1 = expit(none @ fit.coefficients), expit(all_ @ fit.coefficients)
        each = p1 - p0
        gradient = (all_ * (p1 * (1 - p1))[:, None] - none * (p0 * (1 - p0))[:, None]).mean(0)
    else:
        weight = fit.fitted * (1 - fit.fitted)
        each = step * fit.coefficients[k] * weight
        gradient = step * fit.coefficients[k] * ((weight * (1 - 2 * fit.fitted))[:, None] * fit.design).mean(0)
        gradient[k] += step * weight.mean()
    return float(each.mean()), each, gradient


def average_without(each: Array, gradient: Array, moved: Array, clusters: NDArray[np.intp]) -> Array:
    """An average marginal effect without each cluster (G,): its rows' parts left out, the coefficients moved.

    `moved` (G, k) is how far the coefficients move; the effect follows them to first order.
    """
    size = np.bincount(clusters)
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing is left without the only cluster
        return (each.sum() - np.bincount(clusters, weights=each)) / (len(each) - size) + moved @ gradient
