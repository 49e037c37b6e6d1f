"""Composite: an index of blocks with stated weights, what it tells of an outcome, and how well it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, ranking, shares
from cxresearch.evidence.blocks import Blocks as LeftOut
from cxresearch.evidence.ranking import Blocks, Split
from cxresearch.finding import Finding, written
from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]


def column_weights(study: Study, blocks: Blocks, weights: Mapping[str, float]) -> Array:
    """The weight of each standardised column (p,): its block's, spread evenly, below zero where less is better.

    Raises UsageError for a weight below zero, or a column of which neither more nor less is better.
    """
    unturned = [x for terms in blocks.values() for x in terms if not study.term(x).better]
    if unturned or min(weights.values()) < 0 or not sum(weights.values()) > 0:
        why = f"{unturned[0]} has no better end" if unturned else "weights are at least 0, and not all are 0"
        raise UsageError(f"no index can be made: {why}")
    return np.array([weights[b] / len(terms) * study.term(x).better for b, terms in blocks.items() for x in terms])


def index_rows(found: Split, of: str, weights: Array, reliable: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    """Rows of an index with the given weights (p,) of the columns after the outcome: what it tells, and its reliability."""
    if found.spread is None or not np.isfinite(found.whole[0]):
        return []
    every = shares.correlations(np.nan_to_num(ranking.stacked(found.spread)))
    alone, index = every[:, 0, 1:] ** 2, explained_by_index(every, weights)
    # the best of all rows, without each block too: chosen by hindsight, which flatters it and not the index
    best = int(alone[0].argmax())
    less = ranking.interval(index - alone[:, best], found.left)
    less |= {"effect": alone[0, best], "effect_label": f"best single column: {found.spread.columns[1 + best]}"}
    low, high = np.array(reliable).T
    sure = [composite_reliability(every, weights, found.sizes, at) for at in ((low + high) / 2, low, high)]
    base: dict[str, Any] = {"outcome": of, "term": "index", "model": "index", **found.counts}
    unit = "of the variance of the index"
    return [
        row(measure="r2", **base, **ranking.interval(index, found.left, "r2")),
        row(measure="r2_difference", **base, **less),
        row(measure="share", unit=unit, **base | {"model": "index_range"}, **hull(np.stack(sure), found.left)),
    ]


def answer(study: Study, finding: Finding) -> str:
    """What the index tells, as a sentence; nothing where none was asked for."""
    gains = finding.rows(model="index", measure="r2_difference")
    if not gains or gains[0]["effect"] is None:
        return ""
    best = study.term(gains[0]["effect_label"].partition(": ")[2]).label
    r2 = written(finding.one(model="index", measure="r2"), n=False)
    return (
        f" The index with the stated weights explains {r2}, the best single column, {best}, "
        f"{number(gains[0]['effect'], 3)}: a difference of {written(gains[0], n=False)}."
    )


def explained_by_index(correlations: Array, weights: Array) -> Array:
    """R² (…,) of the first column on an index of the others, below zero where the two go against each other."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(_variance(correlations, weights, np.arange(len(weights))))
        r = correlations[..., 0, 1:] @ weights / spread
    return np.asarray(r * np.abs(r))


def composite_reliability(correlations: Array, weights: Array, sizes: Sequence[int], reliability: Array) -> Array:
    """The part of an index's variance (…,) that is no error when each block is known with a reliability (k,).

    Errors of one block have nothing to do with those of another. Source: Mosier (1943).
    """
    error = sum(
        (1 - known) * _variance(correlations, weights, np.array(player) - 1)
        for player, known in zip(ranking.players_of(sizes), reliability, strict=True)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - error / _variance(correlations, weights, np.arange(len(weights))))


def _variance(correlations: Array, weights: Array, at: NDArray[np.intp]) -> Array:
    """The variance (…,) of the weighted sum of some of the columns after the first."""
    part = correlations[..., 1:, 1:][..., at[:, None], at]
    return np.asarray(((part @ weights[at]) * weights[at]).sum(-1))


def hull(cases: Array, left: LeftOut) -> dict[str, Any]:
    """The first of several cases (cases, B + 1) with an interval from the lowest to the highest end of them all."""
    told = [inference.jackknife(float(case[0]), case[1:], on="share", blocks=left) for case in cases]
    if not told:
        return {"effect_label": "the correlations contradict the stated reliabilities"}
    # a case that hangs on no data, as the index at a stated reliability of one, is an end as it stands
    ends = [
        case.estimate if case.df is not None and case.std_error is None else end
        for case in told
        for end in (case.conf_low, case.conf_high)
    ]
    known = [end for end in ends if end is not None]
    low, high = (min(known), max(known)) if len(known) == len(ends) else (None, None)
    return vars(told[0]) | {"conf_low": low, "conf_high": high, "p_value": None, "kept": None}
