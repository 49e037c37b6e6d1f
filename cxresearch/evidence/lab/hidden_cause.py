"""How strong a cause that nobody measured would have to be to explain an association away.

By hand: no maintained Python package gives E-values and robustness values; each is a line of arithmetic.
Witness: R's sensemakr on the telco table, the formulas of VanderWeele & Ding in R, tests/witness/paths.R.
Delete when: statsmodels gives partial R², robustness values and E-values of its results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]
COMMON = 0.15  # events more common than this: odds and hazard ratios are no risk ratios


def e_value(risk_ratio: float) -> float:
    """The risk ratio that a hidden cause needs with both sides to explain a risk ratio away; 1 where any would do.

    Source: VanderWeele & Ding (2017), Annals of Internal Medicine 167: RR + sqrt(RR (RR - 1)), of 1/RR below 1.
    """
    ratio = max(risk_ratio, 1 / risk_ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


def risk_ratio(measure: str, value: float, *, common: bool) -> float:
    """What a risk ratio would be nearest to an odds ratio, a hazard ratio or a difference in standard deviations.

    `common` says that more than 15 % have the event. Source: VanderWeele & Ding (2017), table 2.
    """
    if measure == "effect_size":
        return math.exp(0.91 * value)
    if not common:
        return value
    if measure == "odds_ratio":
        return math.sqrt(value)
    return (1 - 0.5 ** math.sqrt(value)) / (1 - 0.5 ** math.sqrt(1 / value))


def partial_r2(t: float, df: float) -> float:
    """Share of what is left of the outcome that a term explains, from its t and residual degrees of freedom."""
    return t * t / (t * t + df)


def robustness_value(f: float, beyond: float = 0.0) -> float:
    """The partial R² that a hidden cause needs with term and outcome alike to bring a slope to nothing, 0 to 1.

    `f` is the size of the slope's partial correlation as sqrt(R²/(1 - R²)), which is |t|/sqrt(df). `beyond` is how much of
    it the uncertainty takes: with t's quantile over sqrt(df - 1) the slope is only brought to where its
    interval holds zero. Source: Cinelli & Hazlett (2020), JRSS B 82, equation 18, and its extreme case.
    """
    left = f - beyond
    if left <= 0:
        return 0.0
    if beyond > 0 and f > 1 / beyond:
        return (f * f - beyond * beyond) / (1 + f * f)
    return (math.sqrt(left**4 + 4 * left**2) - left**2) / 2


def as_strong_as(
    estimate: float, std_error: float, df: float, r2_term: Array | float, r2_outcome: Array | float, times: float = 1.0
) -> Array:
    """A slope, its error, and the two partial R² (4,) if a hidden cause were `times` as strong as a known one.

    `r2_term` and `r2_outcome` are the known one's partial R² with the term, and with the outcome beside the term.
    NaN where no cause can be that strong. Source: Cinelli & Hazlett (2020), section 4.4; as R's sensemakr.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        with_term = times * r2_term / (1 - r2_term)
        shared = times * r2_term**2 / ((1 - times * r2_term) * (1 - r2_term))
        with_outcome = ((np.sqrt(times) + np.sqrt(shared)) / np.sqrt(1 - shared)) ** 2 * r2_outcome / (1 - r2_outcome)
        bias = std_error * np.sqrt(with_outcome * with_term / (1 - with_term) * df)
        error = std_error * np.sqrt((1 - with_outcome) / (1 - with_term) * df / (df - 1))
    return np.array([estimate - math.copysign(1, estimate) * bias, error, with_term, with_outcome], dtype=float)


def robustness(
    record: Mapping[str, Any], *, partial_r: float | None = None, base: float | None = None
) -> list[dict[str, Any]]:
    """One row on the hidden cause that would explain a row of a finding away; none where that cannot be said.

    A slope with its partial correlation, or an r, gives a robustness value; a hazard_ratio, an odds_ratio, an effect_size, or
    per_1000 with the share `base` that leaves otherwise, an e_value. `effect` is what brings the interval's
    near end to nothing, its own (clustered) error counted: 0, or an E-value of 1, where the interval holds nothing.
    """
    measure, estimate, n = record["measure"], record["estimate"], record["n"]
    ends = [record["conf_low"], record["conf_high"]]
    if estimate is None or not math.isfinite(estimate):
        return []
    nothing = 1.0 if measure in ("hazard_ratio", "odds_ratio") else 0.0
    near = None
    if None not in ends:
        near = nothing if ends[0] <= nothing <= ends[1] else min(ends, key=lambda end: abs(end - nothing))
    common = record["events"] is None or not n or record["events"] > COMMON * n

    def strength(value: float) -> float | None:
        """What explains a value of the row away."""
        if measure in ("slope", "r"):
            r = value if measure == "r" else partial_r
            if r is None or not abs(r) < 1:
                return None
            share = 1.0 if measure == "r" or estimate == 0 else value / estimate
            return robustness_value(share * abs(r) / math.sqrt(1 - r * r))
        if measure == "per_1000":
            ratio = (base + value / 1000) / base if base else 0.0
        elif measure == "effect_size" or (nothing and value > 0):
            ratio = risk_ratio(measure, value, common=common)
        else:
            return None
        return e_value(ratio) if ratio > 0 else None

    value, end = strength(estimate), None if near is None else strength(near)
    if value is None:
        return []
    kind, unit = ("robustness", "partial R²") if measure in ("slope", "r") else ("e_value", "risk ratio")
    label = "what brings the interval to nothing" + ("" if end is None else f": {number(end, 2)}")
    shared = {k: record[k] for k in ("outcome", "term", "group", "model", "n", "clusters")}
    return [row(measure=kind, unit=unit, estimate=value, effect=end, effect_label=label, **shared)]
