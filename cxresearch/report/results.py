"""What a notebook shows as its blocks: findings, verdicts, claims, tiles, notices and errors, all numbers as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cxresearch.finding import HEADINGS, Finding, printed
from cxresearch.measures import MEASURES, number
from cxresearch.report import trends
from cxresearch.report.blocks import Claim, ClaimsBlock, Failed, FindingBlock, Notice, Table, Tile, Tiles, VerdictBlock
from cxresearch.report.texts import as_text, clean

SVG_MIME = "image/svg+xml"

ROWS_IN_PLACE = 8  # a longer table of a finding is folded away
LETTERS = 75  # of text, that fit beside the numbers of a row

TEXTS = ("outcome", "term", "model", "group", "measure", "unit")  # what a row is about, then how it is measured

VERDICT_WORDS = {
    "supported": "Supported",
    "refuted": "Refuted",
    "undecided": "Undecided",
    "not_estimable": "Not estimable",
}
REASONS = {
    "too-wide": "the interval lies partly inside and partly outside the region",
    "real-but-small": "a difference is there, but it may be smaller than what matters",
    "specification": "a stated alternative model gives the opposite answer",
}
DESIGN_WORDS = {
    "descriptive": "describes what was recorded",
    "associational": "what goes with what, nothing held fixed",
    "adjusted": "what goes with what, at equal values of the named adjusters",
    "quasi-experimental": "passed its pre-trend, placebo and overlap checks",
    "experimental": "from an assigned comparison",
}


def finding(found: Finding, anchor: str, *, folded: bool) -> FindingBlock:
    """The answer to a question with its design, its cautions and its table; `folded` sends any table to the appendix."""
    table = _table(found, f"{anchor}-table")
    if table and folded:
        table = replace(table, folded=True)
    return FindingBlock(
        anchor,
        found.question,
        found.answer,
        found.design,
        DESIGN_WORDS[found.design],
        found.method,
        found.sample,
        f"Periods: {found.periods}." if found.periods else "",
        tuple(caveat.text for caveat in found.caveats),
        table,
        estimable=found.estimable,
    )


def verdict(part: Mapping[str, Any]) -> VerdictBlock:
    """What the data say to one part of a claim, and where that would flip."""
    measure = MEASURES.get(as_text(part.get("measure")))
    unit = as_text(part.get("unit"))

    def said(value: Any) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        return f"{number(value, measure.decimals if measure else 2)} {unit}".strip()

    facts = [("Would flip", said(part.get("flips_at")))]
    return VerdictBlock(
        as_text(part.get("claim")),
        as_text(part.get("label") or part.get("part")),
        as_text(part.get("statement")),
        _source(part),
        part["verdict"],
        VERDICT_WORDS[part["verdict"]],
        as_text(part.get("sentence")),
        tuple(fact for fact in facts if fact[1]),
    )


def claims(shown: Mapping[str, Any]) -> ClaimsBlock:
    """All claims of one list, each with its verdict in words and the verdicts of its parts."""
    listed = [
        Claim(
            as_text(claim["id"]),
            as_text(claim["statement"]),
            _source(claim),
            claim["verdict"],
            VERDICT_WORDS[claim["verdict"]],
            as_text(claim.get("sentence")),
            REASONS.get(as_text(claim.get("reason")), as_text(claim.get("reason"))),
            "changed" if claim.get("changed") is True else as_text(claim.get("changed") or ""),
            tuple(verdict(part) for part in claim.get("parts", [])),
            trends.drawn(claim.get("trend")),
        )
        for claim in shown["claims"]
    ]
    return ClaimsBlock(as_text(shown["title"]), as_text(shown.get("intro")), shown.get("level", "front"), tuple(listed))


def tiles(shown: Mapping[str, Any]) -> Tiles:
    """The opening row of numbers."""
    names = ("label", "value", "interval", "change", "note")
    made = (
        Tile(**{name: as_text(tile.get(name)) for name in names}, trend=trends.drawn(tile.get("trend")))
        for tile in shown["tiles"]
    )
    return Tiles(tuple(made), as_text(shown.get("note")))


def notice(shown: Mapping[str, Any]) -> Notice:
    """What to be careful about, what changed or what is missing; it is a caution only where it says so."""
    tone = "caution" if shown.get("tone") == "caution" else "info"
    return Notice(as_text(shown["title"]), tuple(as_text(item) for item in shown["items"]), tone)


def failed(output: Mapping[str, Any], where: str) -> Failed:
    """The first line of an error and its cell, without traceback and without a user's name."""
    message = clean(as_text(output.get("evalue"))).strip().splitlines()
    home = re.compile(r"(/home/|/Users/|[A-Z]:\\Users\\)[^/\\\s]+|/root\b")  # a user's name is not published
    return Failed(
        clean(as_text(output.get("ename"))) or "Error", home.sub("~", message[0][:300] if message else ""), where
    )


def _table(finding: Finding, anchor: str) -> Table | None:
    """The printed rows without empty columns; what is the same in all rows is said once."""
    rows = printed(finding)
    if not rows:
        return None
    columns = {key: [row[index] for row in rows] for index, key in enumerate(HEADINGS)}
    same = []
    for key, values in list(columns.items()):
        if set(values) == {""} or (key == "group" and set(values) == {"all"}):
            del columns[key]
        elif len(rows) > 1 and len(set(values)) == 1 and key in (*TEXTS, "clusters"):
            same.append(f"{HEADINGS[key].lower()} {columns.pop(key)[0]}")
    note = f"In every row: {'; '.join(same)}." if same else ""
    if sum(max(map(len, columns.get(key, [""]))) for key in TEXTS) > LETTERS:
        columns, usual = _folded(columns)
        note = " ".join(part for part in (note, usual) if part)
    return Table(
        anchor,
        finding.title or finding.question,
        tuple(HEADINGS.get(key, key) for key in columns),
        tuple(key in ("estimate", "interval", "n", "clusters") for key in columns),
        tuple(zip(*columns.values(), strict=True)),
        note,
        len(rows) > ROWS_IN_PLACE,
    )


def _folded(columns: Mapping[str, list[str]]) -> tuple[dict[str, list[str]], str]:
    """The same rows with two columns of text, what and measure, and the note that says what is left out of what.

    Six narrow columns would break each row into many lines.
    """
    usual = {key: max(columns[key], key=columns[key].count) for key in ("outcome", "model") if key in columns}
    silent = {*usual.values(), "", "all"}
    what = list(zip(*(columns[key] for key in TEXTS[:4] if key in columns), strict=True))
    told = [", ".join(part for part in parts if part not in silent) for parts in what]
    bare = ", ".join(part for part in usual.values() if part)
    how = zip(*(columns[key] for key in TEXTS[4:] if key in columns), strict=True)
    texts = {
        "What": [text or bare for text in told],
        "Measure": [", ".join(part for part in parts if part) for parts in how],
    }
    rest = {key: values for key, values in columns.items() if key not in TEXTS}
    note = "; ".join(f"{HEADINGS[key].lower()} {value}" for key, value in usual.items() if value)
    return {key: v for key, v in texts.items() if any(v)} | rest, f"Where not named: {note}." if note else ""


def _source(claim: Mapping[str, Any]) -> str:
    return " · ".join(as_text(claim.get(name)) for name in ("kind", "source") if claim.get(name))
