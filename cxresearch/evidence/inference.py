"""Inference: arrays in, numbers out. Intervals by jackknife over blocks, and textbook intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit  # scipy.stats takes as long to import as all else

from cxresearch.evidence.blocks import Blocks, one_way
from cxresearch.measures import MEASURES, Measure

Array = NDArray[np.float64]
LEVEL = 0.95
ROUNDING = 1e-12  # of a number: an error relatively smaller is what rounding leaves of none


@dataclass(frozen=True)
class Kept:
    """A number and its values without each part (S,), kept so that it can be compared with another one exactly."""

    full: float
    blocks: Blocks
    left_out: Array


@dataclass(frozen=True)
class Interval:
    """An estimate with standard error, degrees of freedom, two-sided interval and p-value against zero.

    Numbers that do not exist (no variation, one block) are None, never NaN. `kept` is private state of a Finding.
    """

    estimate: float | None
    std_error: float | None = None
    df: float | None = None
    conf_low: float | None = None
    conf_high: float | None = None
    p_value: float | None = None
    kept: Kept | None = field(default=None, compare=False, repr=False)

    def numbers(self) -> dict[str, Any]:
        """The interval as columns of a Finding."""
        return dict(vars(self))


NOTHING = Interval(None)


def _quantile(level: float, df: float | None) -> float:
    """How many errors an interval reaches to each side, by t, or by the normal curve where df is None."""
    return float(ndtri(0.5 + level / 2) if df is None else stdtrit(df, 0.5 + level / 2))


def _two_sided(errors: float, df: float | None) -> float:
    """The chance of lying so many errors or more from zero, to either side."""
    return 2 * float(ndtr(-errors) if df is None else stdtr(df, -errors))


def _fisher(value: Array | float) -> Array:
    return np.arctanh(np.clip(value, -1 + 1e-15, 1 - 1e-15))


def _forward(scale: Measure, values: Array) -> Array:
    """Values on the scale of a measure; of correlations and shares, which come by the hundred, all at once."""
    if scale.scale == "fisher_z":
        return _fisher(values)
    if scale.scale == "logit":
        return np.asarray(np.log(values / (1 - values)))
    return np.array([scale.forward(v) for v in values])


def jackknife(
    full: float, left_out: Array, *, on: str | None = None, blocks: Blocks | None = None, level: float = LEVEL
) -> Interval:
    """Interval of a smooth number from its values without one part each: t with one degree less than there are blocks.

    `on` names the measure of the closed list on whose scale the interval is symmetric (Fisher's z for correlations,
    the logit for shares, the logarithm of what is left to 1 for R² and reliabilities). `blocks` says what the parts are (default: one block each). The standard error is on the own
    scale; the p-value is against a value of zero. With fewer than 20 blocks in effect the degrees of freedom are theirs.
    Where every part says the same, how far others would differ cannot be told: no error and no interval of width zero.
    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 11; Blocks.error for two ways.
    """
    values = np.asarray(left_out, dtype=float)
    if not math.isfinite(full):
        return NOTHING
    parts = blocks or one_way([""] * len(values), np.ones(len(values)))
    if parts.fewest < 2 or not np.isfinite(values).all():
        return Interval(float(full))  # it hangs on one block, without which it does not exist
    kept = Kept(float(full), parts, values) if blocks is not None else None
    df = parts.df
    error = parts.error(values)
    if not error > ROUNDING * max(abs(full), float(np.abs(values).max())):
        return Interval(float(full), df=df, kept=kept)
    half = _quantile(level, df)
    p_value = _two_sided(abs(full) / error, df)
    scale = MEASURES[on] if on is not None else None
    if scale is None or scale.scale == "identity" or not _inside(scale, full, values):
        return Interval(float(full), error, df, full - half * error, full + half * error, p_value, kept)
    middle = scale.forward(full)
    spread = parts.error(_forward(scale, values))
    if scale.scale in ("fisher_z", "log_rest") and spread > 0:  # where zero stays zero
        p_value = _two_sided(abs(middle) / spread, df)
    low, high = scale.back(middle - half * spread), scale.back(middle + half * spread)
    return Interval(float(full), error, df, low, high, p_value, kept)


def difference(now: Kept | None, before: Kept | None, estimate: float = math.nan) -> Interval:
    """The jackknife of a difference: a part that only one of both has changes only that one.

    `estimate` is what there is to say of a difference where a number was not made from parts.
    """
    if now is None or before is None or len(now.blocks.ways) != len(before.blocks.ways):
        return Interval(estimate) if math.isfinite(estimate) else NOTHING
    estimate = estimate if math.isfinite(estimate) else now.full - before.full
    labels, sizes, left_out, ways = [], [], [], []
    for mine, theirs in zip(_parts(now), _parts(before), strict=True):
        every = sorted({*mine, *theirs})
        labels += every
        ways.append(len(every))
        sizes += [mine.get(x, (0.0, 0.0))[0] + theirs.get(x, (0.0, 0.0))[0] for x in every]
        left_out += [estimate + mine.get(x, (0.0, 0.0))[1] - theirs.get(x, (0.0, 0.0))[1] for x in every]
    found = jackknife(estimate, np.array(left_out), blocks=Blocks(tuple(labels), np.array(sizes), tuple(ways)))
    # of the same rows the numbers vary and the difference does not: it is zero for sure
    sure = found.std_error is None and found.df is not None and estimate == 0 and np.ptp(now.left_out) > 0
    return replace(found, std_error=0.0, conf_low=0.0, conf_high=0.0) if sure else found


def _parts(kept: Kept) -> list[dict[str, tuple[float, float]]]:
    """For blocks, periods and cells: the rows of each part, and how far leaving it out moves the number."""
    labels = np.array(kept.blocks.labels, dtype=object)
    moved = kept.left_out - kept.full
    split = (kept.blocks.split(values) for values in (labels, kept.blocks.sizes, moved))
    return [
        dict(zip(names, zip(sizes, moves, strict=True), strict=True))
        for names, sizes, moves in zip(*split, strict=True)
    ]


def _inside(scale: Measure, full: float, values: Array) -> bool:
    """Whether the scale is defined for all values."""
    lowest, highest = min(full, values.min()), max(full, values.max())
    limits = {
        "fisher_z": (-1.0, 1.0), "logit": (0.0, 1.0), "log": (0.0, math.inf), "log_rest": (-math.inf, 1.0),
    }.get(scale.scale, (-math.inf, math.inf))  # fmt: skip
    return limits[0] < lowest and highest < limits[1]


def pearson_interval(r: float, n: int, given: int = 0, level: float = LEVEL) -> Interval:
    """Textbook interval of a (partial) Pearson correlation: Fisher's z, n - 3 - k; p by t with n - 2 - k.

    Source: Fisher (1921, 1924); as R's cor.test and, for the p-value of partial ones, ppcor recomputed with t.
    """
    df = n - 2 - given
    if not math.isfinite(r) or df < 1:
        return NOTHING if not math.isfinite(r) else Interval(r)
    p_value = _two_sided(abs(r) * math.sqrt(df / max(1 - r * r, 1e-300)), df)
    return z_interval(r, 1 / math.sqrt(n - 3 - given) if n - 3 - given > 0 else math.nan, p_value, level)


def spearman_interval(rho: float, n: int, given: int = 0, level: float = LEVEL) -> Interval:
    """Textbook interval of Spearman's rho: Bonett & Wright (2000), standard error sqrt((1 + rho²/2)/(n - 3)) of z."""
    df = n - 2 - given
    if not math.isfinite(rho) or df < 1:
        return NOTHING if not math.isfinite(rho) else Interval(rho)
    p_value = _two_sided(abs(rho) * math.sqrt(df / max(1 - rho * rho, 1e-300)), df)
    error = math.sqrt((1 + rho * rho / 2) / (n - 3 - given)) if n - 3 - given > 0 else math.nan
    return z_interval(rho, error, p_value, level)


def z_interval(r: float, error: float, p_value: float, level: float) -> Interval:
    """The interval of a correlation from the standard error of its Fisher z."""
    if not math.isfinite(error):
        return Interval(r, p_value=p_value)
    middle, quantile = float(_fisher(r)), _quantile(level, None)
    low, high = math.tanh(middle - quantile * error), math.tanh(middle + quantile * error)
    return Interval(r, error * (1 - r * r), None, float(low), float(high), p_value)


def wald(
    estimate: float, std_error: float, df: float | None, level: float = LEVEL, *, on: str | None = None
) -> Interval:
    """Interval of an estimate with a standard error: normal, or t where degrees of freedom are given.

    `on` names a measure that never passes 1: its interval is symmetric in the logarithm of what is left to 1.
    """
    if not (math.isfinite(estimate) and math.isfinite(std_error)):
        return NOTHING if not math.isfinite(estimate) else Interval(estimate)
    quantile = _quantile(level, df)
    p_value = _two_sided(abs(estimate) / std_error, df) if std_error > 0 else None
    half, rest = quantile * std_error, 1 - estimate
    low, high = estimate - half, estimate + half
    if on is not None and MEASURES[on].scale == "log_rest" and rest > 0:
        middle, stretched = MEASURES[on].forward(estimate), half / rest
        low, high = (MEASURES[on].back(middle + side * stretched) for side in (-1, 1))
    return Interval(estimate, std_error, df, low, high, p_value)


def share_interval(share: float, n: int, std_error: float | None, df: float | None, level: float = LEVEL) -> Interval:
    """Interval of a share: Wilson's, with the n that would give the clustered standard error without clusters.

    Holds for rare answers, where the share plus or minus two errors leaves 0 to 1 or is far too narrow. `std_error`
    is None for independent rows and NaN where it does not exist (one cluster): then there is no interval. Clustering never adds information here: an error below the binomial one counts as it.
    Source: Wilson (1927); Franco, Little, Louis & Slud (2019) for the effective sample size.
    """
    if std_error is not None and not math.isfinite(std_error):
        return Interval(share)
    plain = math.sqrt(share * (1 - share) / n)
    error = max(std_error, plain) if std_error is not None else plain
    effective = n * (plain / error) ** 2 if error > 0 else float(n)
    quantile = _quantile(level, df)
    middle = (share + quantile**2 / (2 * effective)) / (1 + quantile**2 / effective)
    half = (
        quantile
        / (1 + quantile**2 / effective)
        * math.sqrt(share * (1 - share) / effective + quantile**2 / (4 * effective**2))
    )
    # at shares of 0 and 1 an end is the share itself but for a rounding
    return Interval(share, error, df, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def clustered_error(influence: Array, clusters: NDArray[np.intp]) -> tuple[float, int]:
    """Standard error of a mean-like number from the influence of each row, added up within clusters.

    `influence` are the rows' shares of the estimate's error (they average to zero). Gives the error with the
    factor G/(G - 1) and the number of clusters G. Source: Liang & Zeger (1986); Cameron & Miller (2015).
    """
    sums = np.bincount(clusters, weights=influence)
    groups = int((np.bincount(clusters) > 0).sum())
    if groups < 2:
        return math.nan, groups
    return math.sqrt(groups / (groups - 1) * float((sums**2).sum())) / len(influence), groups
