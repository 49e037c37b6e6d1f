"""What a logistic model says of itself: fit statistics, robust errors, profile intervals, effects at the mean.

For independent rows: every row one customer. Clustered rows have the jackknife of `logistic`.
By hand: statsmodels has no profile intervals, and its results are not of the fit that leaves out clusters and sees separation.
Witness: tests/witness/logistic.R (glm, confint, sandwich) and tests/test_reference_logistic.py.
Delete when: statsmodels profiles the likelihood of a GLM.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import optimize, stats

from cxresearch.evidence import inference
from cxresearch.evidence.inference import Array, Interval
from cxresearch.evidence.logistic import LogitFit, bend, fit_logit, residual_and_weight, share_and_slope

FARTHEST = 128.0  # an end of an interval that lies so many errors out is not finite


def fit_statistics(fit: LogitFit, y: Array) -> dict[str, float]:
    """Deviance, information criteria and the usual stand-ins for R² of a fit to y (n,), by name; lr_ is against the constant.

    Sources: McFadden (1974); Cox & Snell (1989), page 208; Nagelkerke (1991); Tjur (2009).
    """
    n, k = fit.matrix.standard.shape
    deviance, null = -2 * fit.log_likelihood, -2 * fit_logit(y, np.empty((n, 0))).log_likelihood
    told = {"deviance": deviance, "null_deviance": null, "lr_chi2": null - deviance, "lr_df": k - 1}
    told |= {"aic": deviance + 2 * k, "bic": deviance + k * math.log(n), "mcfadden": 1 - deviance / null}
    told["lr_p"] = float(stats.chi2.sf(null - deviance, k - 1))
    told["cox_snell"] = -math.expm1((deviance - null) / n)
    told["nagelkerke"] = told["cox_snell"] / -math.expm1(-null / n)
    told["tjur"] = float(fit.fitted[y == 1].mean() - fit.fitted[y == 0].mean())
    return told


def robust_covariance(fit: LogitFit, y: Array, kind: Literal["HC0", "HC1"] = "HC1") -> Array:
    """The covariance (k, k) of the coefficients that holds where the variance is another than the model's.

    Source: White (1980); MacKinnon & White (1985) for HC1, the factor n/(n - k).
    """
    n, k = fit.matrix.standard.shape
    score = fit.matrix.in_own_units * residual_and_weight(fit.link, y, fit.predictor)[0][:, None]
    return fit.covariance @ (score.T @ score) @ fit.covariance * (n / (n - k) if kind == "HC1" else 1.0)


def delta(estimate: float, gradient: Array, covariance: Array) -> Interval:
    """Wald's interval of a number from its gradient (k,) by the coefficients and their covariance (k, k)."""
    return inference.wald(estimate, math.sqrt(max(float(gradient @ covariance @ gradient), 0.0)), None)


def difference_at_the_mean(fit: LogitFit, column: int) -> Interval:
    """The slope of the share by a column of x, counted from 0, for a customer at the mean of every column.

    Source: Long & Freese (2014), section 4.5.
    """
    k, mean = column + 1, fit.matrix.in_own_units.mean(0)
    told = np.array([mean @ fit.coefficients])
    share, slopes = share_and_slope(fit.link, told)
    slope, steeper = float(slopes[0]), float(bend(fit.link, told, share, slopes)[0])
    gradient = fit.coefficients[k] * steeper * mean
    gradient[k] += slope
    return delta(fit.coefficients[k] * slope, gradient, fit.covariance)


def profile_interval(
    y: Array, x: Array, column: int, *, level: float = inference.LEVEL, fit: LogitFit | None = None
) -> Interval:
    """The coefficient of a column of x (n, k) with the interval in which no value fits significantly worse.

    An end is None where no finite value fits worse. Source: Venzon & Moolgavkar (1988); Venables & Ripley (2002), section 8.4.
    """
    fit = fit_logit(y, x) if fit is None else fit
    if not fit.converged:
        return inference.NOTHING
    middle, error = float(fit.coefficients[column + 1]), math.sqrt(float(fit.covariance[column + 1, column + 1]))
    others, own = np.delete(x, column, axis=1), x[:, column]

    def worse(value: float) -> float:
        held = fit_logit(y, others, offset=value * (own - own.mean()))
        return 2 * (fit.log_likelihood - held.log_likelihood)

    ends = [profile_end(worse, middle, sign * error, level) for sign in (-1.0, 1.0)]
    p_value = float(stats.chi2.sf(max(worse(0.0), 0.0), 1))
    return Interval(middle, error, None, ends[0], ends[1], p_value)


def profile_end(worse: Callable[[float], float], middle: float, step: float, level: float) -> float | None:
    """Where twice the lost log-likelihood reaches the quantile of chi², searched from the middle by steps of an error."""
    wanted = math.sqrt(float(stats.chi2.ppf(level, 1)))

    def gap(value: float) -> float:  # on the scale of the root it is nearly a straight line
        return math.sqrt(max(worse(value), 0.0)) - wanted

    near, reach = 0.0, 1.0
    while gap(middle + reach * step) < 0:
        near, reach = reach, 2 * reach
        if reach > FARTHEST:
            return None
    found = optimize.brentq(lambda t: gap(middle + t * step), near, reach, xtol=1e-10, rtol=1e-12)
    return middle + float(found) * step
