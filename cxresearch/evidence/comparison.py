"""Comparison: how numbers of two periods, segments or operators differ, with the customers they share counted once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from cxresearch.data.periods import are_months
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, multiplicity
from cxresearch.evidence.inference import Kept
from cxresearch.evidence.pitfalls import side
from cxresearch.finding import DESIGNS, Caveat, Finding, written
from cxresearch.measures import MEASURES, number
from cxresearch.table import KEY, row, tidy

NOT_TESTED = "difference shown, not tested"


def compare(now: Finding | Sequence[Finding], before: Finding | Mapping[str, Sequence[Finding]]) -> Finding:
    """How each number of one finding differs from the same number of another: two periods, two segments, two operators.

    Both come from the same verb. Rows: measure difference (now less before, in the units of the number) for every row
    that both have, `unit` naming what differs and `effect` the number before. Customers who stand in both are counted:
    the interval comes from leaving the same block of clusters out of both (jackknife, t with B - 1). Where a number was
    not made from blocks the difference is shown without interval. False discovery is controlled over all rows.
    Several findings, each against the same one of `before` (`{"the month before": [...], "a year before": [...]}`), are
    one family: those told from zero stand first, then by the number of customers.
    Source: Efron & Tibshirani (1993), chapter 11, for the jackknife of a difference of two numbers of the same sample.

    Example:
    >>> studies = [cx.open_study(data, segment=segment) for segment in ("high", "mass")]
    >>> high, mass = (cx.relate(s, "satisfaction", "wait_s", steps=["crude"], method=["pearson"]) for s in studies)
    >>> cx.compare(high, mass).one(unit="correlation r")["conf_low"] is not None
    True
    """
    if isinstance(now, Finding) and isinstance(before, Finding):
        return _worded(_told([now], {"": [before]}), "no number stands in both findings")
    if isinstance(now, Finding) or isinstance(before, Finding):
        raise UsageError(
            "compare takes two findings, or a list of them and lists of earlier ones by name, each as long"
        )
    wrong = [name for name, those in before.items() if len(those) != len(now)]
    if wrong or not now or not before:
        raise UsageError(
            f"compare: {wrong[0] if wrong else 'what came before'} needs one finding for each of {len(now)}"
        )
    told = _told(now, before)
    if len(told.table):
        rows = sorted(told.rows(), key=lambda r: (not _is_told(r), -(r["n"] or 0)))
        told = dataclasses.replace(told, table=tidy(rows, min_cell=0))
    lacking = next((f.answer for f in now if not f.estimable), "") if not any(f.estimable for f in now) else ""
    why = "no earlier period of panel.period or surveys.period gives one of these numbers"
    return _worded(told, lacking.removeprefix("Not estimable: ").rstrip(".") or why)


def _told(now: Sequence[Finding], before: Mapping[str, Sequence[Finding]]) -> Finding:
    """All differences as one family, without words."""
    made, only = [], 0
    for name, earlier in before.items():
        for one, two in zip(now, earlier, strict=True):
            rows = _differences(one, two, f" against {name}" if name else "")
            only += len(one.table) + len(two.table) - 2 * len(rows)
            made += rows
    for record, adjusted in zip(made, multiplicity.adjusted([r["p_value"] for r in made]), strict=True):
        record["p_adjusted"] = adjusted
    first, all_before = now[0], [finding for those in before.values() for finding in those]
    everything = [*now, *all_before]
    alone = len(everything) == 2
    studies = [" and ".join(dict.fromkeys(f.study for f in side)) for side in (now, all_before)]
    if alone:
        periods = f"{first.periods} against {all_before[0].periods}"
    else:  # of numbers over windows of their own
        periods = f"{first.periods.partition(';')[0]} against {' and '.join(before)}"
    labels: dict[str, str] = {}
    for finding in reversed(everything):
        labels |= finding.labels
    return Finding(
        name=f"compare {first.name}" if alone else "what changed",
        question=f"What differs: {first.question}" if alone else f"What differs from {' and from '.join(before)}?",
        estimand=f"difference in: {first.estimand}" if alone else "differences of the same numbers of two periods",
        design=min((finding.design for finding in everything), key=DESIGNS.index),
        table=tidy(made, min_cell=0),
        method="Differences; 95 % intervals leave the same block of clusters out of both. The share of false discoveries is controlled over all rows (Benjamini and Hochberg).",
        sample=f"{len(made)} numbers stand in both; {only} rows have none to compare with.",
        answer="",
        title="What differs",
        periods=periods,
        study=studies[0] if studies[0] == studies[1] else " against ".join(studies),
        labels=labels,
        kept={},
    ).with_caveats(*(caveat for finding in everything for caveat in finding.caveats), *_doubts(made))


def _differences(now: Finding, before: Finding, against: str) -> list[dict[str, Any]]:
    earlier = {_same(record): record for record in before.rows()}
    made = []
    for record in now.rows():
        other = earlier.get(_same(record))
        if other is not None and None not in (record["estimate"], other["estimate"]):
            left, right = (f.kept.get(tuple(r[k] for k in KEY)) for f, r in ((now, record), (before, other)))
            made.append(_difference(record, other, left, right, against))
    return made


def _same(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two rows the same number: their key, without the period that a term may name."""
    return tuple(None if k == "term" and are_months(record[k] or "") else record[k] for k in KEY)


def _difference(
    now: dict[str, Any], before: dict[str, Any], left: Kept | None, right: Kept | None, against: str
) -> dict[str, Any]:
    estimate = now["estimate"] - before["estimate"]
    interval = inference.difference(left, right, estimate)
    label = f"before: {written(before)}"
    counts: dict[str, Any] = {
        name: min(now[name], before[name]) if None not in (now[name], before[name]) else None
        for name in ("n", "events", "clusters")
    }
    identity: dict[str, Any] = {name: now[name] for name in ("outcome", "term", "group", "model")}
    if against and are_months(now["term"] or ""):
        identity["term"] = None  # a number of a period of its own: which one, the finding says
    return row(
        **identity, measure="difference", unit=f"{MEASURES[now['measure']].label}{against}", effect=before["estimate"],
        effect_label=label if interval.std_error is not None else f"{label}; {NOT_TESTED}", **counts, **interval.numbers(),
    )  # fmt: skip


def _doubts(made: list[dict[str, Any]]) -> list[Caveat]:
    untested = sum(r["std_error"] is None for r in made)
    if not untested:
        return []
    text = f"{untested} of {len(made)} differences have no interval: their numbers were not made from blocks of clusters. Read them as they stand."
    return [Caveat("not-tested", text)]


def _is_told(record: Mapping[str, Any]) -> bool:
    return record["p_adjusted"] is not None and record["p_adjusted"] < 1 - inference.LEVEL


def _worded(finding: Finding, lacking: str) -> Finding:
    rows = finding.rows()
    if not rows:
        return dataclasses.replace(finding, answer=f"Not estimable: {lacking}.", title="Not estimable")
    told = [r for r in rows if _is_told(r)]
    tested = sum(r["p_adjusted"] is not None for r in rows)
    if not told:
        apart = sum(side(r) != 0 for r in rows if r["p_adjusted"] is not None)
        at = " at a false-discovery rate of 5 %" if apart else ""
        answer = f"Of {tested} difference{'s' * (tested != 1)} that can be tested none is told from zero{at}"
        if apart:
            answer += f"; {apart} of the intervals {'leaves' if apart == 1 else 'leave'} zero out, as among many some do by chance"
        return dataclasses.replace(finding, answer=f"{answer}.", title=f"No difference is told from zero{at}")
    first = min(told, key=lambda r: r["p_adjusted"])
    name = finding.spoken("term", first["term"]) or finding.spoken("outcome", first["outcome"])
    answer = f"{len(told)} of {tested} differences are told from zero, first {name} ({first['unit']}): {number(first['effect'])} before, difference {written(first)}."
    return dataclasses.replace(finding, answer=answer, title=f"{len(told)} of {tested} differences are told from zero")
