"""Firth's logistic regression: a finite slope where leaving is separated or leavers are few.

For independent rows: the interval by profile of the penalised likelihood takes every row for a customer of its own.
By hand: statsmodels penalises by ridge and lasso only, which shrink towards zero by a weight that somebody has to choose.
Witness: tests/witness/logistic.R maximises the likelihood times Jeffreys' prior by glm on augmented data, a way of its own.
Delete when: statsmodels has Firth's penalty with profile intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cxresearch.evidence import inference
from cxresearch.evidence.design_matrix import DesignMatrix
from cxresearch.evidence.inference import Array, Interval
from cxresearch.evidence.lab.logit_model import profile_end
from cxresearch.evidence.logistic import log_likelihood, share_and_slope

STEPS, LONGEST = 200, 3.0  # of the search: how many, and how far one may go on the scale of standardised columns


@dataclass(frozen=True)
class PenalisedFit:
    """Coefficients (k,) in own units with the constant first, their covariance (k, k), and whether they came to rest."""

    coefficients: Array
    covariance: Array
    log_likelihood: float  # the penalised one
    converged: bool


def fit_penalised(y: Array, x: Array) -> PenalisedFit:
    """The logistic regression of y (n,) on the columns of x (n, k) and a constant by Firth's penalised likelihood.

    The likelihood is multiplied by Jeffreys' prior, the root of the information's determinant: each slope is finite
    as long as both leavers and stayers are there and no column repeats others. Sources: Firth (1993); Heinze & Schemper (2002).
    """
    matrix = DesignMatrix.of(x)
    design, back = matrix.standard, matrix.back
    beta, information, converged = _climb(y, design, np.zeros(design.shape[1]))
    covariance = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
    penalised = _penalised(y, design, beta, information)
    return PenalisedFit(back @ beta, back @ covariance @ back.T, penalised, converged)


def _climb(y: Array, design: Array, beta: Array, held: int | None = None) -> tuple[Array, Array, bool]:
    """The coefficients at which the penalised score is zero, but for one that is held where it starts."""
    free = np.array([i for i in range(len(beta)) if i != held])
    for _ in range(STEPS):
        p, weight = share_and_slope("logit", design @ beta)
        information = design.T @ (design * weight[:, None])
        inverse = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
        leverage = weight * np.einsum("ni,ij,nj->n", design, inverse, design)
        score = design.T @ (y - p + leverage * (0.5 - p))
        step = np.linalg.lstsq(information[np.ix_(free, free)], score[free], rcond=1e-12)[0]
        longest = np.abs(step).max(initial=0.0)
        beta[free] += step * min(1.0, LONGEST / max(longest, 1e-300))
        if longest < 1e-9:
            return beta, information, True
    return beta, information, False


def _penalised(y: Array, design: Array, beta: Array, information: Array) -> float:
    """The log-likelihood plus half the logarithm of the information's determinant."""
    return log_likelihood("logit", y, design @ beta) + 0.5 * float(np.linalg.slogdet(information)[1])


def penalised_interval(y: Array, x: Array, column: int, *, level: float = inference.LEVEL) -> Interval:
    """The coefficient of a column of x (n, k), with the profile interval of the penalised likelihood and its p-value.

    `std_error` is Wald's; the interval is not made of it. Source: Heinze & Schemper (2002).
    """
    matrix, k = DesignMatrix.of(x), column + 1
    design, back = matrix.standard, matrix.back
    fit = fit_penalised(y, x)
    if not fit.converged:
        return inference.NOTHING
    start = np.asarray(np.linalg.solve(back, fit.coefficients), dtype=float)
    scale = float(back[k, k])
    error = math.sqrt(float(fit.covariance[k, k]))

    def worse(value: float) -> float:
        beta = start.copy()
        beta[k] = value
        beta, information, _ = _climb(y, design, beta, held=k)
        return 2 * (fit.log_likelihood - _penalised(y, design, beta, information))

    low, high = (profile_end(worse, float(start[k]), sign * error / scale, level) for sign in (-1.0, 1.0))
    p_value = float(stats.chi2.sf(max(worse(0.0), 0.0), 1))
    estimate = float(fit.coefficients[k])
    return Interval(
        estimate, error, None, low if low is None else low * scale, high if high is None else high * scale, p_value
    )
