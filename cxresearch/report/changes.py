"""Changes: two reports side by side, every number and every verdict of both, and what they do not share.

Differences are shown, not tested: the same customers stand in two months, and what an exact error needs of them is
never published. The notebook `what_changed` tests the headline numbers from the data themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxresearch.data.periods import before, in_words, months, shift
from cxresearch.errors import UsageError
from cxresearch.measures import MEASURES, number
from cxresearch.report import archive
from cxresearch.report.ledger import KEYS, keyed, open_ledger
from cxresearch.report.verification import basis

NOT_TESTED = "difference shown, not tested"
SIDE = ("edition", "period", "run", "commit", "dirty")
NUMBERS = ("estimate", "conf_low", "conf_high", "conf_level", "n")
BEFORE = "the period before"  # a term that names the period before its own report's


@dataclass(frozen=True)
class Row:
    """One number of two reports; `difference` is B less A, null where one of them has no number."""

    row: Mapping[str, str]
    a: Mapping[str, Any] | None  # null: the row stands in B only
    b: Mapping[str, Any] | None
    difference: float | None
    said: str


@dataclass(frozen=True)
class Changes:
    """Two reports side by side."""

    a: Mapping[str, Any]
    b: Mapping[str, Any]
    basis: tuple[str, ...]  # parameters, data, policy, code and versions that differ
    verdicts: tuple[Mapping[str, Any], ...]  # of every part that either report judged
    numbers: tuple[Row, ...]


def between(first: Path, second: Path) -> Changes:
    """The changes from one report to another; raises UsageError where a folder is no report."""
    one, two = (_report(folder) for folder in (first, second))
    rows, others = (_rows(folder, record["period"]) for folder, record in ((first, one), (second, two)))
    keys = [*rows, *(key for key in others if key not in rows)]
    judged = KEYS.index("claim")
    return Changes(
        _about(one),
        _about(two),
        tuple(_unlike(one, two)),
        tuple(_verdict(key, rows.get(key), others.get(key)) for key in keys if key[judged]),
        tuple(_row(key, rows.get(key), others.get(key)) for key in keys if not key[judged]),
    )


def _report(folder: Path) -> dict[str, Any]:
    found = archive.record(folder)
    if found is None:
        raise UsageError(f"{archive.shown(folder)} is not the folder of a report: it has no {archive.RECORD}")
    kinds = {"period": str, "study": dict, "parameters": dict, "versions": dict}
    if lacking := [name for name, kind in kinds.items() if not isinstance(found.get(name), kind)]:
        lacks = f"its {archive.RECORD} lacks {', '.join(lacking)}"
        raise UsageError(f"{archive.shown(folder)} is no whole report: {lacks}; make it again")
    return found


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: record.get(name) for name in SIDE}, "study": record["study"]["name"]}


def _rows(folder: Path, period: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of a report; a period that is the one before the report's own is named so, and meets that of the other."""
    own = months(period)
    earlier = in_words([shift(month, -1) for month in own])  # of whose customers it is known who left
    named = {before(period): BEFORE, earlier: BEFORE, period: "the period"}
    table = open_ledger(folder.resolve() / "ledger.parquet")
    table["term"] = [named.get(term, term) for term in table["term"].astype(object).where(table["term"].notna(), None)]
    return keyed(table)


def _unlike(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    for notebook in sorted({*one["parameters"], *two["parameters"]}):
        here, there = (record["parameters"].get(notebook) for record in (one, two))
        if here is None or there is None:
            yield f"notebook {notebook}: only in {'B' if here is None else 'A'}"
            continue
        for name in sorted({*here, *there} - {"period"}):
            if here.get(name) != there.get(name):
                yield f"parameter {name} of {notebook}: {_value(here, name)} → {_value(there, name)}"
    yield from basis(one, two)


def _value(parameters: Mapping[str, Any], name: str) -> str:
    return json.dumps(parameters[name], ensure_ascii=False) if name in parameters else "its default"


def _row(key: tuple[str, ...], a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> Row:
    difference = None
    if a is None or b is None:
        said = f"only in {'B' if a is None else 'A'}"
    elif a["estimate"] is None or b["estimate"] is None:
        said = next((r["effect_label"] for r in (a, b) if r["estimate"] is None and r["effect_label"]), "not estimable")
    else:
        difference, said = b["estimate"] - a["estimate"], NOT_TESTED
    return Row(dict(zip(KEYS, key, strict=False)), _numbers(a), _numbers(b), difference, said)


def _numbers(record: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if record is None else {name: record[name] for name in NUMBERS}


def _verdict(key: tuple[str, ...], a: Mapping[str, Any] | None, b: Mapping[str, Any] | None) -> dict[str, Any]:
    named = dict(zip(KEYS, key, strict=False))
    told: dict[str, Any] = {"claim": named["claim"], "part": named["part"], "notebook": named["notebook"]}
    for side, record in (("a", a), ("b", b)):
        told[side] = record and record["verdict"]
        told[f"{side}_estimate"] = record and record["estimate"]
    return {**told, "changed": told["a"] != told["b"]}


def as_json(found: Changes) -> str:
    """Everything as JSON."""
    return json.dumps(asdict(found), ensure_ascii=False, indent=1)


def lines(found: Changes) -> Iterator[str]:
    """Everything as text: what differs beneath, verdicts that changed, then every number."""
    for side, about in (("A", found.a), ("B", found.b)):
        yield f"{side}: {about['edition']} {about['period']}, study {about['study']}, run {about['run']}"
    yield from (
        f"rests on other {one}" if not one.startswith(("parameter", "notebook")) else one for one in found.basis
    )
    changed = [one for one in found.verdicts if one["changed"]]
    for one in changed:
        yield f"verdict {one['claim']} ({one['part']}): {_word(one['a'])} → {_word(one['b'])}"
    if not changed:
        yield f"no verdict changed among {len(found.verdicts)}"
    compared = [one for one in found.numbers if one.difference is not None]
    moved = sum(one.difference != 0 for one in compared)
    yield (
        f"{moved:,} of {len(compared):,} numbers that stand in both differ; {NOT_TESTED}: many customers stand in both "
        "reports, so their errors are not independent (the notebook what_changed tests headline numbers)"
    )
    yield from _table(found.numbers)


def _word(verdict: str | None) -> str:
    return verdict.replace("_", " ") if verdict else "not judged"


def _table(numbers: Sequence[Row]) -> Iterator[str]:
    rows = [("number", "A", "B", "difference", "")]
    finding = None
    for one in numbers:
        above = " · ".join((one.row["notebook"], one.row["finding"]))
        if above != finding:
            finding = above
            rows.append((above, "", "", "", ""))
        parts = (one.row[name] for name in ("outcome", "term", "group", "model", "measure", "unit"))
        decimals = MEASURES[one.row["measure"]].decimals + 1
        gap = "" if one.difference is None else number(one.difference, decimals)
        said = "" if one.said == NOT_TESTED else one.said
        rows.append(
            (
                f"  {', '.join(part for part in parts if part)}",
                _said(one.a, decimals),
                _said(one.b, decimals),
                gap,
                said,
            )
        )
    widths = [max(len(row[i]) for row in rows if row[1] or i) for i in range(4)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()


def _said(side: Mapping[str, Any] | None, decimals: int) -> str:
    """Estimate and interval of one side."""
    if side is None or side["estimate"] is None:
        return "–"
    text = number(side["estimate"], decimals)
    if side["conf_low"] is None or side["conf_high"] is None:
        return text
    return f"{text} ({number(side['conf_low'], decimals)} to {number(side['conf_high'], decimals)})"
