"""Forecasts: how well what was foretold agrees with what came: arrays in, numbers out; and what may foretell.

`y` (n,) is 0 and 1, `told` (n,) the linear predictor (log odds) of a forecast that was made without these rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxresearch.data.matching import in_order
from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference
from cxresearch.evidence.inference import Array, Interval
from cxresearch.evidence.logistic import fit_logit, leave_one_out
from cxresearch.evidence.pitfalls import refuse_known_later
from cxresearch.finding import Caveat
from cxresearch.measures import number

TOO_WELL = 0.98  # an area under the curve beyond it is seldom a forecast
Blocks = NDArray[np.intp]


def placements(y: Array, score: Array) -> tuple[Array, Array]:
    """For each leaver the share of stayers below it, for each stayer the share of leavers above it; ties count half."""
    events, others = score[y == 1], score[y == 0]
    return _share_below(events, others), 1 - _share_below(others, events)


def _share_below(values: Array, of: Array) -> Array:
    """For each value the share of others (m,) below it; a tie counts half."""
    ranked = np.sort(of)
    return (np.searchsorted(ranked, values) + np.searchsorted(ranked, values, side="right")) / (2 * len(of))


def auc(y: Array, score: Array) -> float:
    """The area under the curve: how often a leaver has a higher score than a stayer. Source: Bamber (1975)."""
    return float(_share_below(score[y == 1], score[y == 0]).mean())


def delong(y: Array, scores: Array) -> tuple[Array, Array]:
    """Areas under the curve (m,) of several scores (n, m) of the same rows, and their covariance (m, m).

    For independent rows. Source: DeLong, DeLong & Clarke-Pearson (1988); Sun & Xu (2014) for the ranks.
    """
    below, above = (np.column_stack(part) for part in zip(*(placements(y, s) for s in scores.T), strict=True))
    covariance = np.atleast_2d(np.cov(below.T)) / len(below) + np.atleast_2d(np.cov(above.T)) / len(above)
    return below.mean(0), covariance


def auc_interval(y: Array, score: Array, blocks: Blocks | None = None) -> Interval:
    """The area under the curve with DeLong's interval, or where rows are clustered the jackknife over blocks.

    The p-value is against .5. An end beyond 0 or 1 is cut there, as pROC does.
    """
    if blocks is None:
        area, covariance = delong(y, score[:, None])
        found = inference.wald(float(area[0]) - 0.5, math.sqrt(float(covariance[0, 0])), None)
    else:
        found = inference.jackknife(auc(y, score) - 0.5, auc_without(y, score, blocks) - 0.5)
    low, high = (None if end is None else min(max(end + 0.5, 0.0), 1.0) for end in (found.conf_low, found.conf_high))
    estimate = None if found.estimate is None else found.estimate + 0.5
    return Interval(estimate, found.std_error, found.df, low, high, found.p_value)


def auc_without(y: Array, score: Array, blocks: Blocks) -> Array:
    """The area under the curve without each block (B,), exactly: the pairs of which one or both lie in it taken out."""
    below, above = placements(y, score)
    events, others, count = blocks[y == 1], blocks[y == 0], int(blocks.max()) + 1
    leavers, stayers = np.bincount(events, minlength=count), np.bincount(others, minlength=count)
    won = np.bincount(events, weights=below * len(others), minlength=count)
    won += np.bincount(others, weights=above * len(events), minlength=count)
    for block in np.flatnonzero((leavers > 0) & (stayers > 0)):
        inside = blocks == block  # pairs within the block were taken out twice
        won[block] -= auc(y[inside], score[inside]) * leavers[block] * stayers[block]
    with np.errstate(invalid="ignore", divide="ignore"):
        return (below.sum() * len(others) - won) / ((len(events) - leavers) * (len(others) - stayers))


def log_loss(y: Array, told: Array) -> Array:
    """Each row's loss in nats: minus the logarithm of the share that was foretold of what came."""
    return np.asarray(np.logaddexp(0.0, told) - y * told)


def mean_interval(values: Array, blocks: Blocks) -> Interval:
    """The mean of one value a row (n,), with the jackknife over blocks."""
    return ratio_interval(values, np.ones(len(values)), blocks)


def ratio_interval(above: Array, below: Array, blocks: Blocks) -> Interval:
    """The ratio of two sums over rows, with the jackknife over blocks."""
    tops, bottoms = np.bincount(blocks, weights=above), np.bincount(blocks, weights=below)
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (tops.sum() - tops) / (bottoms.sum() - bottoms)
        return inference.jackknife(float(tops.sum() / bottoms.sum()), left_out)


def calibration(y: Array, told: Array, blocks: Blocks) -> tuple[Interval, Interval]:
    """Intercept and slope of calibration with the jackknife over blocks.

    The intercept is the log odds by which all forecasts lie too low (slope held at 1; right is 0), the slope by how
    much they should be spread (right is 1; below, they are too extreme). Sources: Cox (1958); Steyerberg (2019), chapter 15.
    """
    large = fit_logit(y, np.empty((len(y), 0)), offset=told)
    spread = fit_logit(y, told[:, None])
    found = []
    for fit, column in ((large, 0), (spread, 1)):
        without = leave_one_out(fit, blocks)[:, column]
        found.append(
            inference.jackknife(float(fit.coefficients[column]), without) if fit.converged else inference.NOTHING
        )
    return found[0], found[1]


def caught(y: Array, told: Array, blocks: Blocks) -> tuple[float, Array]:
    """The share of all leavers that are in the tenth with the highest forecasts, and that without each block (B,).

    Of rows that tie at the end of the tenth each belongs to it in part.
    """
    order = np.argsort(-told, kind="stable")
    down, own, of = -told[order], y[order], blocks[order]
    begins, ends = np.searchsorted(down, down), np.searchsorted(down, down, side="right")  # of those that tie
    won, count = np.concatenate([[0.0], np.cumsum(own)]), int(blocks.max()) + 1
    of_block = np.split(in_order(of), np.cumsum(np.bincount(of, minlength=count))[:-1])

    def without(out: Blocks) -> float:
        """The share without the rows at some places, in order."""
        lost = np.concatenate([[0.0], np.cumsum(own[out])])
        n, events = len(own) - len(out), won[-1] - lost[-1]
        if not events:
            return math.nan
        size = math.ceil(n / 10)
        last = size - 1 + np.searchsorted(out - np.arange(len(out)), size - 1, side="right")
        begin, end = begins[last], ends[last]
        before, after = np.searchsorted(out, (begin, end))
        above, ties = begin - before, end - begin - (after - before)
        tied = won[end] - won[begin] - (lost[after] - lost[before])
        return float((won[begin] - lost[before] + tied * ((size - above) / ties)) / events)

    return without(np.zeros(0, np.intp)), np.array([without(out) for out in of_block])


def caught_interval(y: Array, told: Array, blocks: Blocks, other: Array | None = None) -> Interval:
    """The share of all leavers in the tenth with the highest forecasts, or how many more than by the other forecast."""
    full, each = caught(y, told, blocks)
    if other is None:
        return inference.jackknife(full, each, on="share")
    before, each_before = caught(y, other, blocks)
    return inference.jackknife(full - before, each - each_before)


def tenths(told: Array) -> Blocks:
    """The tenth (1 to 10) of each row by its forecast; ties go by the order of rows."""
    from scipy import stats  # as long to import as all else

    rank = stats.rankdata(told, method="ordinal") - 1
    return np.maximum(np.ceil(10 * rank / max(len(told) - 1, 1)), 1).astype(np.intp)


def brier(y: Array, told: Array) -> Array:
    """Each row's squared distance of the share that was foretold from what came. Source: Brier (1950)."""
    return np.asarray((expit(told) - y) ** 2)


def refuse_afterwards(study: Study, terms: Sequence[str]) -> None:
    """Raise UsageError for terms that nothing can be foretold by: known only after leaving, or categories."""
    refuse_known_later(study, terms)
    for name in terms:
        term = study.term(name)
        if term.kind not in ("number", "flag"):
            raise UsageError(
                f"{name} ({term.label}) is no number and no flag; leavers_by_level gives the rate of each level"
            )


def _may_leak(events: Array, others: Array) -> bool:
    """Whether the area under the curve can be too far from one half, by no more than what the median of leavers divides."""
    if not len(events) or not len(others):
        return False
    middle = np.partition(events, len(events) // 2)[len(events) // 2]
    (below, at), (under, on) = (((part < middle).mean(), (part == middle).mean()) for part in (events, others))
    higher = (1 - below - at) * (under + on) + at * (under + on / 2)  # of all pairs, a tie as half
    lower = below * (1 - under) + at * (1 - under - on / 2)
    return bool(min(higher, lower) < 1 - TOO_WELL)


def leakage(scores: Mapping[str, Array], y: Array) -> list[Caveat]:
    """A doubt about scores (n,) by their label that tell leavers from stayers too well to have been known before."""
    areas = {label: auc(y, score) for label, score in scores.items() if _may_leak(score[y == 1], score[y == 0])}
    told = [
        f"{label} (area under the curve {number(max(area, 1 - area), 3)})"
        for label, area in areas.items()
        if max(area, 1 - area) > TOO_WELL
    ]
    text = f"Leaving is foretold too well by {', '.join(told)}: check that it was known before customers left."
    return [Caveat("leakage", text)] if told else []
