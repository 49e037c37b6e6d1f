"""Logistic regression by Newton's method, with the influence of each row: arrays in, numbers out.

Written here because clustered errors of average marginal effects need each row's influence, and because
separation must be seen, not reported as convergence. Checked against statsmodels and R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
STEPS = 20  # Newton needs about eight; one that still moves after twenty is on its way to infinity


@dataclass(frozen=True)
class LogitFit:
    """Coefficients (k,) in own units with the constant first, fitted shares (n,), influence of rows on them (n, k).

    `converged` is False where the coefficients still move after 20 Newton steps: separation.
    """

    design: Array
    coefficients: Array
    fitted: Array
    influence: Array
    converged: bool


def fit_logit(y: Array, x: Array) -> LogitFit:
    """The logistic regression of y (n,) of 0 and 1 on the columns of x (n, k) and a constant.

    Columns are standardised for the arithmetic and given back in own units. A column without variation, or
    equal to a sum of others, gets the least-norm solution. Source: McCullagh & Nelder (1989), section 4.4.
    """
    n = len(y)
    centre, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([np.ones(n), (x - centre) / scale])
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
    p = expit(design @ beta)
    information = design.T @ (design * (p * (1 - p))[:, None])
    inverse = np.linalg.pinv(information, hermitian=True)
    influence = n * (design * (y - p)[:, None]) @ inverse
    # back to own units: slopes divide by the scale, the constant takes the centres along
    back = np.diag(np.concatenate([[1.0], 1 / scale]))
    back[0, 1:] = -centre / scale
    own_design = np.column_stack([np.ones(n), x])
    return LogitFit(own_design, back @ beta, p, influence @ back.T, converged)


def average_difference(fit: LogitFit, column: int, step: float, flag: bool) -> tuple[float, Array]:
    """The average marginal effect of a column for a step of it, and the influence of each row on it.

    For a number: the derivative averaged over the rows, times the step. For a flag: the average difference of the
    fitted shares at 1 and at 0. `column` counts from the first column of x. Source: Long & Freese (2014); the
    influence adds the rows' own part to the coefficients' part (delta method).
    """
    k = column + 1
    if flag:
        at = [fit.design.copy(), fit.design.copy()]
        at[0][:, k], at[1][:, k] = 0.0, 1.0
        p0, p1 = (expit(x @ fit.coefficients) for x in at)
        each = p1 - p0
        gradient = (at[1] * (p1 * (1 - p1))[:, None] - at[0] * (p0 * (1 - p0))[:, None]).mean(0)
    else:
        p, beta = fit.fitted, fit.coefficients[k]
        weight = p * (1 - p)
        each = step * beta * weight
        gradient = step * beta * ((weight * (1 - 2 * p))[:, None] * fit.design).mean(0)
        gradient[k] += step * weight.mean()
    estimate = float(each.mean())
    return estimate, each - estimate + fit.influence @ gradient
