"""Older numbers of how well a forecast tells leavers from stayers: two areas compared, KS, Hosmer and Lemeshow.

For independent rows.
By hand: neither scipy nor statsmodels has them for forecasts.
Witness: tests/witness/logistic.R (pROC, formulas) and tests/test_reference_logistic.py.
Delete when: statsmodels has DeLong's test and the calibration of forecasts.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from cxresearch.evidence import inference
from cxresearch.evidence.forecast import delong, tenths
from cxresearch.evidence.inference import Array, Interval


def auc_difference(y: Array, one: Array, other: Array) -> Interval:
    """By how much the area under the curve of one score (n,) exceeds that of another. Source: DeLong et al. (1988)."""
    area, covariance = delong(y, np.column_stack([one, other]))
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return inference.wald(float(area[0] - area[1]), math.sqrt(max(variance, 0.0)), None)


def kolmogorov_smirnov(y: Array, score: Array) -> float:
    """The greatest distance between the shares of leavers and of stayers below any score."""
    return float(stats.ks_2samp(score[y == 1], score[y == 0], method="asymp").statistic)


def hosmer_lemeshow(y: Array, p: Array) -> tuple[float, float]:
    """Chi² of leavers against those foretold (shares p) in tenths by forecast, and its p-value with 8 degrees of freedom.

    With many rows it finds what is too small to matter: look at the tenths. Source: Hosmer & Lemeshow (1980).
    """
    tenth = tenths(p)
    count, events, foretold = (np.bincount(tenth, weights=w)[1:] for w in (np.ones(len(y)), y, p))
    chi2 = float(((events - foretold) ** 2 / (foretold * (1 - foretold / count))).sum())
    return chi2, float(stats.chi2.sf(chi2, 8))


def calibration_error(y: Array, p: Array) -> float:
    """The average distance between foretold and observed share over ten bins of equal width. Source: Naeini et al. (2015)."""
    share = np.clip(np.ceil(10 * p).astype(np.intp), 1, 10)
    count, events, foretold = (np.bincount(share, weights=w) for w in (np.ones(len(y)), y, p))
    return float(np.abs(foretold - events).sum() / count.sum())
