"""Bootstrap intervals from draws that are already made: percentile, basic, normal, and BCa.

By hand: scipy.stats.bootstrap draws single rows itself; ours come as blocks of clusters, from summaries.
Witness: scipy.stats.bootstrap on the same draws, and R's boot.ci on a public table.
Delete when: scipy takes draws of clusters.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from cxresearch.evidence.inference import LEVEL, NOTHING, Interval

Array = NDArray[np.float64]
KINDS = ("percentile", "basic", "normal", "bca")
SAME = 1e-9  # draws that differ by a smaller part of their range are the same draw


def bias(estimate: float, draws: Array) -> float:
    """How far the draws (D,) lie above the estimate on average."""
    return float(np.mean(draws)) - estimate


def bootstrap_interval(
    estimate: float, draws: Array, kind: str = "bca", *, left_out: Array | None = None, level: float = LEVEL
) -> Interval:
    """Interval of an estimate from its bootstrap draws (D,).

    Draws that are not finite are left out; where they are more than a tail of the interval they may hold its end, and
    there is none. Nor is there one where more than a tail of the draws are the lowest, or the highest, that can be drawn: of
    two or three blocks all draws may be the same one, and nothing lies beyond.

    `percentile` takes the quantiles of the draws, `basic` mirrors them at the estimate, `normal` corrects the bias and
    takes the draws' error, `bca` corrects the quantiles for bias and for acceleration; that needs the values
    without one block each, `left_out` (B,). The p-value is the level at which the quantile intervals just touch zero.
    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 14; Davison & Hinkley (1997).
    """
    if kind not in KINDS:
        raise ValueError(f"no bootstrap interval {kind!r}; it is one of {', '.join(KINDS)}")
    made = np.sort(np.asarray(draws, dtype=float)[np.isfinite(draws)])
    if not math.isfinite(estimate):
        return NOTHING
    tail = (1 - level) / 2
    if len(made) < max(2, (1 - tail) * len(draws)) or made[0] == made[-1]:
        return Interval(estimate)
    if max(_at_end(made), _at_end(-made[::-1])) > max(1, tail * len(made)):
        return Interval(estimate)
    error = float(made.std(ddof=1))
    if kind == "normal":
        middle, half = estimate - bias(estimate, made), float(stats.norm.ppf(0.5 + level / 2)) * error
        p_value = 2 * float(stats.norm.sf(abs(middle) / error))
        return Interval(estimate, error, None, middle - half, middle + half, p_value)
    if kind == "basic":
        made = np.sort(2 * estimate - made)
    shift, pull = _bias_and_acceleration(estimate, made, left_out) if kind == "bca" else (0.0, 0.0)
    if not (math.isfinite(shift) and math.isfinite(pull)):
        return Interval(estimate, error)  # all draws on one side, or a block without which there is no estimate
    low, high = np.quantile(made, [_corrected(tail, shift, pull), _corrected(1 - tail, shift, pull)])
    return Interval(estimate, error, None, float(low), float(high), _p_value(made, shift, pull))


def _at_end(made: Array) -> int:
    """How many of the sorted draws are the first one, rounding aside."""
    return int(np.searchsorted(made, made[0] + SAME * (made[-1] - made[0]), side="right"))


def _share_below(made: Array, value: float) -> float:
    """The share of draws below a value, those equal to it by half."""
    return float((np.searchsorted(made, value, "left") + np.searchsorted(made, value, "right")) / (2 * len(made)))


def _bias_and_acceleration(estimate: float, made: Array, left_out: Array | None) -> tuple[float, float]:
    if left_out is None:
        raise ValueError("a BCa interval needs the values without one block each: left_out")
    apart = np.mean(left_out) - np.asarray(left_out, dtype=float)
    squares = float((apart**2).sum())
    pull = float((apart**3).sum()) / (6 * squares**1.5) if squares else math.nan
    return float(special.ndtri(_share_below(made, estimate))), pull


def _corrected(share: float, shift: float, pull: float) -> float:
    """The quantile of the draws that stands for a share of the sampling distribution."""
    z = shift + special.ndtri(share)
    return float(special.ndtr(shift + z / (1 - pull * z)))


def _p_value(made: Array, shift: float, pull: float) -> float:
    """Twice the smaller tail beyond zero, at least one draw in D + 1."""
    least = 1 / (len(made) + 1)
    w = special.ndtri(min(max(_share_below(made, 0.0), least), 1 - least)) - shift
    below = float(special.ndtr(w / (1 + pull * w) - shift))  # the inverse of the correction of a quantile
    return min(1.0, 2 * min(below, 1 - below))
