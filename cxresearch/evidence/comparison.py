"""Comparison: how numbers of two periods, segments or operators differ, with the customers they share counted once."""

from __future__ import annotations

import dataclasses
from typing import Any

from cxresearch.evidence import inference, multiplicity
from cxresearch.evidence.inference import Kept
from cxresearch.finding import DESIGNS, Caveat, Finding, written
from cxresearch.measures import MEASURES, number
from cxresearch.table import KEY, row, tidy

NOT_TESTED = "difference shown, not tested"


def compare(now: Finding, before: Finding) -> Finding:
    """How each number of one finding differs from the same number of another: two periods, two segments, two operators.

    Both come from the same verb. Rows: measure difference (now less before, in the units of the number) for every row
    that both have, `unit` naming what differs and `effect` the number before. Customers who stand in both are counted:
    the interval comes from leaving the same block of clusters out of both (jackknife, t with B - 1). Where a number was
    not made from blocks the difference is shown without interval. False discovery is controlled over all rows.
    Source: Efron & Tibshirani (1993), chapter 11, for the jackknife of a difference of two numbers of the same sample.

    Example:
    >>> studies = [cx.open_study(data, segment=segment) for segment in ("high", "mass")]
    >>> high, mass = (cx.relate(s, "satisfaction", "wait_s", steps=["crude"], method=["pearson"]) for s in studies)
    >>> cx.compare(high, mass).one(unit="correlation r")["conf_low"] is not None
    True
    """
    earlier = {tuple(r[k] for k in KEY): r for r in before.rows()}
    made = []
    for record in now.rows():
        key = tuple(record[k] for k in KEY)
        if key in earlier and None not in (record["estimate"], earlier[key]["estimate"]):
            made.append(_difference(record, earlier[key], now.kept.get(key), before.kept.get(key)))
    for record, adjusted in zip(made, multiplicity.adjusted([r["p_value"] for r in made]), strict=True):
        record["p_adjusted"] = adjusted
    only = len(now.table) + len(before.table) - 2 * len(made)
    told = Finding(
        name=f"compare {now.name}",
        question=f"What differs: {now.question}",
        estimand=f"difference in: {now.estimand}",
        design=min(now.design, before.design, key=DESIGNS.index),
        table=tidy(made, min_cell=0),
        method="Differences; 95 % intervals leave the same block of clusters out of both. False discovery over all rows (Benjamini and Hochberg).",
        sample=f"{len(made)} numbers stand in both; {only} rows have none to compare with.",
        answer="",
        title="What differs",
        periods=f"{now.periods} against {before.periods}",
        study=now.study if now.study == before.study else f"{now.study} against {before.study}",
        caveats=tuple(dict.fromkeys([*now.caveats, *before.caveats, *_doubts(made)])),
        labels={**before.labels, **now.labels},
        kept={},
    )
    return _worded(told)


def _difference(now: dict[str, Any], before: dict[str, Any], left: Kept | None, right: Kept | None) -> dict[str, Any]:
    estimate = now["estimate"] - before["estimate"]
    interval = inference.difference(left, right, estimate)
    label = f"before: {written(before)}"
    counts: dict[str, Any] = {
        name: min(now[name], before[name]) if None not in (now[name], before[name]) else None
        for name in ("n", "events", "clusters")
    }
    identity: dict[str, Any] = {name: now[name] for name in ("outcome", "term", "group", "model")}
    return row(
        **identity, measure="difference", unit=MEASURES[now["measure"]].label, effect=before["estimate"],
        effect_label=label if interval.std_error is not None else f"{label}; {NOT_TESTED}", **counts, **interval.numbers(),
    )  # fmt: skip


def _doubts(made: list[dict[str, Any]]) -> list[Caveat]:
    untested = sum(r["std_error"] is None for r in made)
    if not untested:
        return []
    text = f"{untested} of {len(made)} differences have no interval: their numbers were not made from blocks of clusters. Read them as they stand."
    return [Caveat("not-tested", text)]


def _worded(finding: Finding) -> Finding:
    rows = finding.rows()
    if not rows:
        return dataclasses.replace(
            finding, answer="Not estimable: no number stands in both findings.", title="Not estimable"
        )
    told = [r for r in rows if r["p_adjusted"] is not None and r["p_adjusted"] < 1 - inference.LEVEL]
    tested = sum(r["p_adjusted"] is not None for r in rows)
    if not told:
        answer = f"Of {tested} differences that can be tested none is told from zero."
        return dataclasses.replace(finding, answer=answer, title="No difference is told from zero")
    first = min(told, key=lambda r: r["p_adjusted"])
    name = finding.spoken("term", first["term"]) or finding.spoken("outcome", first["outcome"])
    answer = f"{len(told)} of {tested} differences are told from zero, first {name} ({first['unit']}): {number(first['effect'])} before, difference {written(first)}."
    return dataclasses.replace(finding, answer=answer, title=f"{len(told)} of {tested} differences are told from zero")
