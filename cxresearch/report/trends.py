"""Trends: what the reports of earlier periods said of a number on page one, as words and as a line no larger than a word.

Every number is that of a ledger, as it was published then; none is computed anew and none is tested against another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxresearch.data.periods import before
from cxresearch.errors import UsageError
from cxresearch.measures import number
from cxresearch.report import parameters
from cxresearch.report.archive import ROOT
from cxresearch.report.blocks import Trend
from cxresearch.report.ledger import KEYS, open_ledger

if TYPE_CHECKING:
    import pandas as pd

PERIODS = 12  # that a trend reaches back, the report's own counted
NOTE = (
    "A small line is what the reports of up to twelve periods said, each at its time; the bar is the interval of now. "
    "It is no test of a change."
)
# what a number is: one that differs in any of these is another number, and no line joins them
SAME = ("edition", "study", *KEYS, "design", "method")
# how many clusters there were, and which months, is the period's and no part of a method
OF_THE_PERIOD = re.compile(
    r"\d[\d,]*(?= (?:blocks|clusters|customers|households|sites|teams|regions|months)\b)|\d{4}-(?:\d\d|Q\d)"
)
WIDE, HIGH, EDGE = 64.0, 16.0, 2.5


class History:
    """The ledgers of earlier periods, and with which values each of their notebooks ran."""

    def __init__(self, ledgers: Sequence[str]) -> None:
        self.tables = [opened(one) for one in ledgers]
        self.values: dict[tuple[str, str], str] = {}

    def told(self, own: Mapping[str, Any], decimals: int, factor: float = 1.0) -> dict[str, Any]:
        """What earlier reports said of a number, `own` being its row in the ledger of now; empty where none said anything.

        A number that stands twice in a report is not told apart, and is left out there.
        """
        if not self.tables or own["estimate"] is None:
            return {}
        wanted = self._definition(own)
        found: dict[str, list[float]] = {}
        for table in self.tables:
            same = table[(table["finding"] == own["finding"]) & table["estimate"].notna()]
            for record in same.astype(object).where(same.notna(), None).to_dict("records"):
                if self._definition(record) == wanted:
                    found.setdefault(record["period"], []).append(factor * record["estimate"])
        period, points = own["period"], [(0, factor * own["estimate"])]
        said = [f"{number(points[0][1], decimals)} now"]
        for back in range(1, PERIODS):
            period = before(period)
            if len(values := found.get(period, [])) == 1:
                points.append((back, values[0]))
                said.append(f"{number(values[0], decimals)} in {period}")
        if len(points) < 2:
            return {}
        ends = [None if own[end] is None else factor * own[end] for end in ("conf_low", "conf_high")]
        return {"points": points[::-1], "interval": ends, "words": f"{said[-1]}, {said[0]}", "said": said[::-1]}

    def _definition(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        named = tuple(OF_THE_PERIOD.sub("#", str(record[name] or "")) for name in SAME)
        place = (record["folder"], record["notebook"])
        if place not in self.values:
            self.values[place] = _values(Path(place[0]) / "notebooks" / f"{place[1]}.ipynb")
        return (*named, self.values[place])


def opened(ledger: str) -> pd.DataFrame:
    """The ledger of a report, each row with the folder that it lies in."""
    return open_ledger(ledger).assign(folder=str((ROOT / ledger).parent))


def _values(executed: Path) -> str:
    """The values with which a notebook ran, given or its own; the path itself where they cannot be known, like no other."""
    try:
        book = parameters.opened(executed)
        defaults = {name: one.default for name, one in parameters.read(book).items()}
        values = {**defaults, **(book["metadata"]["papermill"]["parameters"] or {})}
    except (OSError, KeyError, TypeError, UsageError):
        return str(executed)
    return json.dumps({name: value for name, value in values.items() if name != "period"}, sort_keys=True, default=str)


def drawn(trend: Mapping[str, Any] | None) -> Trend | None:
    """The line of a trend with its words; None where there is no trend."""
    if not trend:
        return None
    points = [(int(back), float(value)) for back, value in trend["points"]]
    ends = [float(end) for end in trend["interval"] if end is not None]
    low, high = (pick([*(value for _, value in points), *ends]) for pick in (min, max))

    def x(back: int) -> float:
        return WIDE - EDGE - (WIDE - 2 * EDGE) * back / points[0][0]

    def y(value: float) -> float:
        return EDGE + (HIGH - 2 * EDGE) * ((high - value) / (high - low) if high > low else 0.5)

    marks = []
    if len(ends) == 2:
        marks.append(_line(x(0), y(ends[0]), x(0), y(ends[1]), 'stroke-width="3" stroke-opacity="0.35"'))
    for (back, value), (later, following) in pairwise(points):
        if back - later == 1:  # a period without a report leaves a gap
            marks.append(_line(x(back), y(value), x(later), y(following), 'stroke-width="1.2"'))
    marks += [
        f'<circle cx="{x(b):.1f}" cy="{y(v):.1f}" r="{1.4 if b else 2.2}" fill="currentColor"/>' for b, v in points
    ]
    body = "".join(marks)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE:g} {HIGH:g}" stroke-linecap="round">{body}</svg>'
    return Trend(svg, f"As reported: {', '.join(map(str, trend['said']))}", str(trend["words"]))


def _line(x1: float, y1: float, x2: float, y2: float, more: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" {more}/>'
