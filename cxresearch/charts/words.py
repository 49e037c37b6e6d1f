"""What a chart says in words: labels, printed numbers, caption and alternative text, all from the rows it draws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from cxresearch.data.terms import BY_NAME
from cxresearch.finding import Finding
from cxresearch.measures import MEASURES, MODELS, capital, number

ALT_LENGTH = 600
# Control signs, signs that turn the direction of what follows, and what is no character at all.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")


def clean(text: object) -> str:
    """Text on one line, without control signs and signs that turn the direction of what follows."""
    return " ".join(_UNSEEN.sub(" ", str(text)).split())


def spoken(column: str, value: str | None) -> str:
    """A value of a column in the reader's words: `retainability`, `value segment: high`, `within customer`."""
    if value is None:
        return ""
    if column == "model":
        return MODELS.get(value, clean(value.replace("_", " ")))
    if column == "measure":
        return MEASURES[value].label
    if column == "group":
        return ", ".join(_level(part) for part in value.split(",")) if value != "all" else "all"
    return BY_NAME[value].label if value in BY_NAME else clean(value.replace("_", " "))


def _level(part: str) -> str:
    name, equals, level = part.partition("=")
    if name in BY_NAME and BY_NAME[name].kind == "flag":
        level = {"0": "no", "1": "yes"}.get(level, level)
    return f"{spoken('term', name)}: {clean(level)}" if equals else clean(part)


def row_labels(records: Sequence[Mapping[str, Any]], first: str) -> list[str]:
    """A label per row: the wanted column, then every other column in which the rows differ."""
    others = [c for c in ("outcome", "term", "group", "model") if c != first and len({r[c] for r in records}) > 1]
    labels = []
    for record in records:
        named = [c for c in (first, *others) if c in (first, "model") or record[c] != "all"]
        parts = [spoken(column, record[column]) for column in named]
        labels.append(" · ".join(part for part in parts if part) or spoken("outcome", record["outcome"]))
    return labels


def shared_name(labels: Sequence[str]) -> tuple[str, list[str]]:
    """What all labels but `all` begin with, and the labels without it: `value segment`, [`all`, `high`, `mid`]."""
    names = {label.partition(": ")[0] for label in labels if label != "all"}
    if len(names) != 1 or not all(": " in label for label in labels if label != "all"):
        return "", list(labels)
    return names.pop(), [label.partition(": ")[2] or label for label in labels]


def shared_start(texts: Sequence[str]) -> tuple[str, list[str]]:
    """The words that all texts begin with, and what each says after them: `score against`, [`a month before`, `a year before`]."""
    split = [text.split() for text in texts]
    shared = list(takewhile(lambda same: len(set(same)) == 1, zip(*split, strict=False)))
    return " ".join(words[0] for words in shared), [" ".join(text[len(shared) :]) for text in split]


def printed(record: Mapping[str, Any]) -> str:
    """Estimate and interval as they stand beside a mark: `0.31 (0.28 to 0.34)`, or `0.10 to 0.40` without estimate."""
    decimals = MEASURES[record["measure"]].decimals
    low, high = record["conf_low"], record["conf_high"]
    interval = f"{number(low, decimals)} to {number(high, decimals)}" if low is not None and high is not None else ""
    if record["estimate"] is None:
        return interval or clean(record["effect_label"] or "not estimable")
    estimate = number(record["estimate"], decimals)
    return f"{estimate} ({interval})" if interval else estimate


def measured(records: Sequence[Mapping[str, Any]]) -> str:
    """What the rows measure, with the unit where they all share one: `score, points`."""
    label = ", ".join(dict.fromkeys(MEASURES[record["measure"]].label for record in records))
    units = {record["unit"] for record in records}
    unit = clean(units.pop() or "") if len(units) == 1 else ""
    return f"{label}, {unit}" if unit and unit.casefold() not in label.casefold() else label


def caption(finding: Finding, records: Sequence[Mapping[str, Any]]) -> str:
    """Method, n, level of the intervals and periods, as sentences."""
    parts = [clean(finding.method).rstrip(".")]
    counts = sorted({record["n"] for record in records if record["n"] is not None})
    if counts:
        parts.append(f"n = {counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else ""))
    level = _levels(records)
    if level and level not in finding.method:
        parts.append(f"Intervals at {level}")
    if finding.periods:
        parts.append(f"Periods: {clean(finding.periods).rstrip('.')}")
    return " ".join(f"{part}." for part in parts if part)


def _levels(records: Iterable[Mapping[str, Any]]) -> str:
    levels = {record["conf_level"] for record in records if record["conf_low"] is not None and record["conf_level"]}
    return " and ".join(f"{100 * level:g} %" for level in sorted(levels))


def headline(finding: Finding) -> str:
    """The message of a finding, which is the title of its chart."""
    return clean(finding.title or finding.answer or finding.question)


def alternative(
    kind: str,
    finding: Finding,
    records: Sequence[Mapping[str, Any]],
    labels: Sequence[str] | None = None,
    remark: str = "",
) -> str:
    """What one would see: kind of chart, message, the numbers with their intervals, at most about 600 characters."""
    title = headline(finding)[:200].rstrip(".")
    if not records:
        return f"{kind} without data: {title}. {sentence(reason(finding))}"
    labels = labels or row_labels(records, "term")
    level = _levels(records)
    what = measured(records) + (f" with {level} intervals" if level else "")
    intro = f"{kind}: {title}. {sentence(what).rstrip('.')}: "
    ending = f" {remark}" if remark else ""
    items = [f"{clean(label)[:80]}: {printed(record)}" for label, record in zip(labels, records, strict=True)]
    return intro + _shortened(items, ALT_LENGTH - len(intro) - len(ending)) + "." + ending


def sentence(text: str) -> str:
    """Text with a capital at its beginning and a full stop at its end."""
    return capital(text.rstrip(".")) + "."


def _shortened(items: list[str], room: int) -> str:
    """The items, leaving out the later middle where they do not fit: the last one always stands."""
    kept = len(items)
    while True:
        left_out = len(items) - kept
        shown = items if not left_out else [*items[: kept - 1], f"{left_out} more", items[-1]]
        text = "; ".join(shown)
        if len(text) <= room or kept <= 2:
            return text
        kept -= 1


def reason(finding: Finding) -> str:
    """Why a finding shows nothing, in its own words: `not estimable: no column of …`."""
    text = clean(finding.answer).rstrip(".")
    if text.casefold().startswith("not estimable"):
        return text
    return f"not estimable: {text}" if text else "not estimable"
