"""Estimates in the order of time: by period, and by lag."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cxresearch.charts import frame, words
from cxresearch.charts.lettering import lines_within
from cxresearch.charts.theme import COLOURS, SERIES_COLOURS, SMALL_SIZE, themed
from cxresearch.errors import UsageError
from cxresearch.finding import Finding
from cxresearch.measures import MEASURES, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PERIOD_TICKS, LAG_TICKS = 5, 11  # as many labels as fit side by side
MOST_PRINTED = 8  # points whose number is printed above them
_PERIOD = re.compile(r"(?:^|,)period=(\d{4})-(Q?)(\d{1,2})(?=,|$)")
_LAG = re.compile(r"^lag[ =_]?([-−+]?\d+)$")
Course = list[tuple[int, frame.Row]]  # one line: place on the axis and row, in order


def trend(finding: Finding, measure: str | None = None, term: str | None = None) -> Axes:
    """How an estimate stood in each period, with its interval; a period without a number leaves a gap and a dash.

    Takes rows whose group names a period (`period=2026-10`, `value_segment=high,period=2026-Q3`): one line per
    group, term and model, at most four. Without `measure` the first one of the finding is shown.
    """
    chosen = frame.rows_of(finding, measure=measure, term=term)
    if not chosen:
        return frame.placeholder(finding, "Course over the periods")
    dated = [(found, record) for record in chosen if (found := _PERIOD.search(record["group"]))]
    if len({found[2] for found, _ in dated}) != 1:
        raise UsageError(f"a trend needs rows with groups like 'period=2026-10', months or quarters alone; "
                         f"finding {finding.name!r} has {', '.join(sorted({r['group'] for r in chosen}))}")  # fmt: skip
    year = 4 if dated[0][0][2] else 12
    points = [(int(found[1]) * year + int(found[3]) - 1, record) for found, record in dated]
    return _chart(finding, "Course over the periods", points, lambda at: _period(at, year), PERIOD_TICKS)


def lags(finding: Finding, outcome: str | None = None, term: str | None = None) -> Axes:
    """The correlation per lag, with its interval: rows whose model or group is like `lag 1`."""
    chosen = frame.rows_of(finding, outcome=outcome, term=term, measure="r")
    if not chosen:
        return frame.placeholder(finding, "Correlation by lag")
    points = [(lag, record) for record in chosen if (lag := _lag(record)) is not None]
    if not points:
        raise UsageError(f"a chart of lags needs rows with models like 'lag 1'; finding {finding.name!r} has "
                         f"{', '.join(sorted({r['model'] for r in chosen}))}")  # fmt: skip
    return _chart(finding, "Correlation by lag", points, lambda at: f"lag {number(at, 0)}", LAG_TICKS)


def _lag(record: frame.Row) -> int | None:
    found = _LAG.match(record["model"]) or _LAG.match(record["group"])
    return int(found[1].replace("−", "-")) if found else None


def _period(at: int, year: int) -> str:
    part = at % year
    return f"{MONTHS[part]} {at // year}" if year == 12 else f"Q{part + 1} {at // year}"


def _chart(finding: Finding, kind: str, points: Course, written: Callable[[int], str], ticks: int) -> Axes:
    points = [(at, record) for at, record in points if record["measure"] == points[0][1]["measure"]]
    points.sort(key=lambda point: point[0])
    records = [record for _, record in points]
    by, courses = _courses(points)
    if len(courses) > len(SERIES_COLOURS):
        raise UsageError(f"one chart shows at most {len(SERIES_COLOURS)} lines; name term= or fewer groups; "
                         f"finding {finding.name!r} has {', '.join(courses)}")  # fmt: skip
    with themed():
        ax = _axes(points, written, ticks)
        _draw(ax, courses)
        frame.name_above(ax, words.measured(records) + (f" by {by}" if by else ""))
        frame.name_below(ax, _reasons(records))
    labels = [f"{written(at)}{_of(record, courses)}" for at, record in points]
    return frame.finish(ax, finding, records, words.alternative(kind, finding, records, labels))


def _courses(points: Course) -> tuple[str, dict[str, Course]]:
    """What tells the lines apart, and the points of each: by group without the period, term and model."""
    bare = [{**r, "group": _PERIOD.sub("", r["group"]).lstrip(",") or "all"} for _, r in points]
    bare = [{**r, "group": "all"} if _LAG.match(r["group"]) else r for r in bare]
    bare = [{**r, "model": ""} if _LAG.match(r["model"]) else r for r in bare]
    by, labels = words.shared_name(words.row_labels(bare, "group"))
    courses: dict[str, Course] = {}
    for label, point in zip(labels, points, strict=True):
        courses.setdefault(label, []).append(point)
    return by, courses


def _of(record: frame.Row, courses: Mapping[str, Course]) -> str:
    """Which line a row belongs to, where there are several."""
    name = next(name for name, course in courses.items() if any(record is r for _, r in course))
    return f" {name}" if len(courses) > 1 else ""


def _axes(points: Course, written: Callable[[int], str], most: int) -> Axes:
    first, last = points[0][0], points[-1][0]
    step = math.ceil((last - first + 1) / most)
    ticks = list(range(last, first - 1, -step))[::-1]
    ax = frame.column_axes(first - 0.5, last + 0.5)
    ax.set_xticks(ticks, [written(at) for at in ticks])
    return ax


def _draw(ax: Axes, courses: Mapping[str, Course]) -> None:
    for place, (course, colour) in enumerate(zip(courses.values(), SERIES_COLOURS, strict=False)):
        _line(ax, course, colour, shift=0.1 * (place - (len(courses) - 1) / 2))
    numbers = frame.values([record for course in courses.values() for _, record in course])
    at = frame.neutral(next(iter(courses.values()))[0][1]["measure"])
    if not numbers:
        ax.set_yticks([])
        return
    low, high = min(numbers), max(numbers)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 0.5
    if at is not None:
        ax.axhline(at, color=COLOURS["zero"], linewidth=1, zorder=1)
        low, high = min(low, at), max(high, at)
    ax.set_ylim(low - room, high + room)
    only = next(iter(courses.values()))
    if len(courses) == 1 and len(only) <= MOST_PRINTED:
        _print_numbers(ax, only)
    else:
        _name_ends(ax, courses)


def _line(ax: Axes, course: Course, colour: str, shift: float) -> None:
    known = {at: record for at, record in course if record["estimate"] is not None}
    every = range(course[0][0], course[-1][0] + 1)
    ax.plot([at + shift for at in every], [known[at]["estimate"] if at in known else math.nan for at in every],
            "o-", color=colour, markersize=5, zorder=3)  # fmt: skip
    for at, record in course:
        if at not in known:
            ax.annotate("–", (at + shift, 0.02), xycoords=("data", "axes fraction"), ha="center", color=colour)
        elif record["conf_low"] is not None and record["conf_high"] is not None:
            ax.vlines(at + shift, record["conf_low"], record["conf_high"], color=colour, linewidth=1.6, zorder=2)


def _print_numbers(ax: Axes, course: Course) -> None:
    for at, record in course:
        if record["estimate"] is not None:
            top = record["estimate"] if record["conf_high"] is None else record["conf_high"]
            text = number(record["estimate"], MEASURES[record["measure"]].decimals)
            ax.annotate(text, (at, top), (0, 4), textcoords="offset points", ha="center", fontsize=SMALL_SIZE,
                        bbox={"facecolor": COLOURS["paper"], "edgecolor": "none", "pad": 0.5})  # fmt: skip


def _name_ends(ax: Axes, courses: Mapping[str, Course]) -> None:
    """The latest number beside the end of each line, with its name where there are several, and none on another."""
    ends = []
    for (name, course), colour in zip(courses.items(), SERIES_COLOURS, strict=False):
        last = next((record for _, record in reversed(course) if record["estimate"] is not None), None)
        if last:
            estimate, _, interval = words.printed(last).partition(" ")
            text = f"{name}\n{estimate}" if len(courses) > 1 else f"{estimate}\n{interval}"
            ends.append((last["estimate"], text, colour))
    bottom, top = ax.get_ylim()
    least, free = 0.17 * (top - bottom), -math.inf
    for estimate, text, colour in sorted(ends):
        free = max(estimate, free + least)
        ax.annotate(lines_within(text, 1.2, SMALL_SIZE), (1, free), (6, 0), ("axes fraction", "data"),
                    "offset points", va="center", color=colour, fontsize=SMALL_SIZE, annotation_clip=False)  # fmt: skip


def _reasons(records: Sequence[frame.Row]) -> str:
    reasons = dict.fromkeys(words.printed(record) for record in records if not frame.values([record]))
    return "   ".join(f"– {reason}" for reason in reasons)
