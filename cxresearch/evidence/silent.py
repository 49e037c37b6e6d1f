"""The silent: what could hold for all customers when only some answered, and answering depends on the answer."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence import inference
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.moments import Spread, moments

Array = NDArray[np.float64]
# how the silent may differ from those who answered: policy, not a parameter
SLOPES = (0.5, 1.0, 1.5)  # their slope, as a multiple of the slope among the answers
SHIFTS = (-1.0, 0.0, 0.5)  # their mean answer at equal conditions, in standard deviations of the answers
ASSUMPTION = (
    f"the silent may score from {-SHIFTS[0]:g} standard deviation lower to {SHIFTS[-1]:g} higher at equal conditions, "
    f"with {SLOPES[0]:g} to {SLOPES[-1]:g} times the slope"
)


def correlation_range(study: Study, *, asked: str, known: str) -> tuple[Interval, int, int]:
    """The range of a correlation for all customers: `asked` is known of the answers only, `known` of everybody.

    The silent are given the slope and the mean of those who answered, altered within `SLOPES` and `SHIFTS`; their
    `known` values are as they are. The estimate is that with nothing altered; the interval runs from the lowest to
    the highest end of the 95 % intervals of all alterations. Gives interval, rows of everybody, clusters.
    Source: pattern-mixture sensitivity, Little & Rubin, Statistical Analysis with Missing Data, chapter 15.
    """
    answers = moments(study, study.rows([asked, known]), [known, asked])
    everybody = moments(study, study.rows([known]), [known])
    if answers.n < 3 or everybody.n <= answers.n or answers.blocks != everybody.blocks:
        return inference.NOTHING, everybody.n, everybody.clusters
    made = [_interval(answers, everybody, slope, shift) for slope, shift in itertools.product(SLOPES, SHIFTS)]
    if any(i.conf_low is None for i in made):
        return inference.NOTHING, everybody.n, everybody.clusters
    plain = _interval(answers, everybody, 1.0, 0.0)
    low = min(i.conf_low for i in made if i.conf_low is not None)
    high = max(i.conf_high for i in made if i.conf_high is not None)
    return Interval(plain.estimate, plain.std_error, plain.df, low, high, None), everybody.n, everybody.clusters


def _interval(answers: Spread, everybody: Spread, slope: float, shift: float) -> Interval:
    full = _mixture(
        answers.full,
        answers.mean,
        answers.n,
        answers.scale,
        everybody.full,
        everybody.mean,
        everybody.n,
        everybody.scale,
        slope,
        shift,
    )
    # a block holds its share of rows; shares of rows without it differ too little to matter for the interval
    left = _mixture(
        answers.left_out,
        answers.mean_left_out,
        answers.n,
        answers.scale,
        everybody.left_out,
        everybody.mean_left_out,
        everybody.n,
        everybody.scale,
        slope,
        shift,
    )
    return inference.jackknife(float(full), left, on="r")


def _mixture(
    cov: Array,
    mean: Array,
    n: int,
    scale: Array,
    all_cov: Array,
    all_mean: Array,
    all_n: int,
    all_scale: Array,
    slope: float,
    shift: float,
) -> Any:
    """The correlation over answers and silent together, from moments of the answers and of everybody."""
    share = n / all_n
    var_x, var_y = cov[..., 0, 0] * scale[0] ** 2, cov[..., 1, 1] * scale[1] ** 2
    cov_xy = cov[..., 0, 1] * scale[0] * scale[1]
    total_x, mean_x = all_cov[..., 0, 0] * all_scale[0] ** 2, all_mean[..., 0]
    # what is left for the silent when the answers are taken out of everybody
    silent_mean = (mean_x - share * mean[..., 0]) / (1 - share)
    silent_var = (total_x - share * (var_x + (mean[..., 0] - mean_x) ** 2)) / (1 - share) - (silent_mean - mean_x) ** 2
    b = cov_xy / var_x
    residual = var_y - b * cov_xy
    gap_x = silent_mean - mean[..., 0]
    gap_y = slope * b * gap_x + shift * np.sqrt(var_y)
    cov_all = share * cov_xy + (1 - share) * slope * b * silent_var + share * (1 - share) * gap_x * gap_y
    var_all = share * var_y + (1 - share) * (slope**2 * b**2 * silent_var + residual) + share * (1 - share) * gap_y**2
    with np.errstate(invalid="ignore", divide="ignore"):
        found = cov_all / np.sqrt(total_x * var_all)
    return found if np.ndim(found) else (float(found) if math.isfinite(float(found)) else math.nan)
