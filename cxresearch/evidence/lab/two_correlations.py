"""Two correlations compared, from the correlations alone: independent samples, or one sample with a shared variable.

By hand: no well-kept Python library has these tests.
Witness: R's psych::r.test, and the formulas in tests/witness/correlations.R.
Delete when: scipy or statsmodels has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Comparison:
    """A test statistic against no difference, normal or t with `df`, and its two-sided p-value; NaN where undefined."""

    statistic: float
    p_value: float
    df: int | None = None


def independent(r1: float, n1: int, r2: float, n2: int) -> Comparison:
    """Correlations of two separate samples: the difference of Fisher's z. Source: Fisher (1921)."""
    if min(n1, n2) < 4 or max(abs(r1), abs(r2)) >= 1:
        return Comparison(math.nan, math.nan)
    return _normal((math.atanh(r1) - math.atanh(r2)) / math.sqrt(1 / (n1 - 3) + 1 / (n2 - 3)))


def williams(r12: float, r13: float, r23: float, n: int) -> Comparison:
    """Correlations of variable 1 with 2 and with 3 in one sample of n: Williams' t with n - 3 degrees of freedom.

    Source: Williams (1959), recommended by Steiger (1980), Psychological Bulletin 87, equation 7.
    """
    determinant = 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23
    below = 2 * determinant * (n - 1) / max(n - 3, 1) + (r12 + r13) ** 2 / 4 * (1 - r23) ** 3
    if n < 4 or determinant < 0 or below <= 0:
        return Comparison(math.nan, math.nan)
    t = (r12 - r13) * math.sqrt((n - 1) * (1 + r23) / below)
    return Comparison(t, 2 * float(stats.t.sf(abs(t), n - 3)), n - 3)


def steiger(r12: float, r13: float, r23: float, n: int) -> Comparison:
    """Correlations of variable 1 with 2 and with 3 in one sample of n: Fisher's z with their covariance.

    The covariance is taken at the mean of both correlations. Source: Steiger (1980), equation 14.
    """
    determinant = 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23
    if n < 4 or determinant < 0 or max(abs(r12), abs(r13)) >= 1:
        return Comparison(math.nan, math.nan)
    mean = ((r12 + r13) / 2) ** 2
    together = (r23 * (1 - 2 * mean) - mean / 2 * (1 - 2 * mean - r23**2)) / (1 - mean) ** 2
    if together >= 1:
        return Comparison(math.nan, math.nan)
    return _normal((math.atanh(r12) - math.atanh(r13)) * math.sqrt((n - 3) / (2 - 2 * together)))


def _normal(z: float) -> Comparison:
    return Comparison(z, 2 * float(stats.norm.sf(abs(z))))
