"""Rows of marks: a label, a point with its interval on a common scale, and the number printed at the right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cxresearch.charts import frame
from cxresearch.charts.lettering import wrapped
from cxresearch.charts.theme import BOLD, COLOURS, TEXT_SIZE
from cxresearch.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_INCHES, NOTE_INCHES = 1.7, 1.5
LABEL_GAP, NOTE_GAP = 3.5, 8  # points between the scale and what is written beside it
ROOMY, CLOSE, FEW_LINES = 0.22, 0.175, 12  # inches of a line; many stand closer, so that their letters need not shrink
MOST_LINES = 30  # a taller chart fits no page; what is left out is said, and stands in the table


@dataclass(frozen=True)
class Line:
    """One row of a chart: the record that it shows, how, and a second record as a small open mark below it."""

    label: str
    record: Mapping[str, Any]
    note: str
    colour: str = COLOURS["estimate"]
    shape: Literal["point", "band", "bar"] = "point"
    beside: Mapping[str, Any] | None = None
    strong: bool = False


class Mark(NamedTuple):
    """One point of a row, with its interval, and where it stands."""

    y: float
    record: Mapping[str, Any]
    colour: str
    size: float
    hollow: bool = False


def draw(lines: Sequence[Line], axis: str) -> Axes:
    """All lines from the top, on one scale; a line without a number keeps its place, with a dash and its reason."""
    shown = lines[:MOST_LINES]
    texts = [(wrapped(line.label, LABEL_INCHES, TEXT_SIZE, weight=_weight(line)), _note(line)) for line in shown]
    row = ROOMY if len(shown) <= FEW_LINES else CLOSE
    heights = [row + 0.165 * max(text.count("\n") for text in pair) for pair in texts]
    ax = frame.new_axes(max(1.6, 0.9 + sum(heights)))
    places = [sum(heights[:i]) + heights[i] / 2 for i in range(len(heights))]
    ax.set_ylim(sum(heights), 0)  # in inches, so that marks are as thick in a chart of 3 rows as in one of 30
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    records = [line.record for line in shown] + [line.beside for line in shown if line.beside]
    _scale(ax, records, from_zero=any(line.shape == "bar" for line in shown))
    marks: list[Mark] = []
    for place, line, (label, note) in zip(places, shown, texts, strict=True):
        marks += _marks(ax, place, line)
        colour = _text_colour(line)
        # the labels of ticks look the same and take a line ten times as long
        written: dict[str, Any] = {
            "xycoords": ("axes fraction", "data"),
            "textcoords": "offset points",
            "fontweight": _weight(line),
            "annotation_clip": False,
        }
        of_label = colour if line.strong else COLOURS["text"]
        ax.annotate(label, (0, place), (-LABEL_GAP, 0), ha="right", va="center_baseline", color=of_label, **written)
        ax.annotate(note, (1, place), (NOTE_GAP, 0), va="center", color=colour, **written)
    _draw_marks(ax, marks)
    frame.name_below(ax, "; ".join(part for part in (axis, _more(len(lines) - len(shown))) if part))
    return ax


def _note(line: Line) -> str:
    """Numbers stand on one line; a reason is wrapped, after a dash."""
    if frame.values([line.record]):
        return line.note
    return wrapped(f"– {line.note}", NOTE_INCHES, TEXT_SIZE)


def _weight(line: Line) -> int:
    return BOLD if line.strong else 400


def _text_colour(line: Line) -> str:
    if line.strong:
        return COLOURS["changed_text"]
    return COLOURS["text"] if frame.values([line.record]) else COLOURS["quiet"]


def _more(rest: int) -> str:
    return f"{rest} more {'rows stand' if rest > 1 else 'row stands'} in the table" if rest else ""


def _marks(ax: Axes, place: float, line: Line) -> Iterator[Mark]:
    """Draw the bar or band of a line; and tell the points, with their intervals, that stand on it."""
    low, high, estimate = (line.record[name] for name in ("conf_low", "conf_high", "estimate"))
    if line.shape == "band" and low is not None and high is not None:
        ax.barh(place, high - low, 0.09, low, color=line.colour, zorder=2)
    elif line.shape == "bar" and estimate is not None:
        ax.barh(place, estimate, 0.2, color=COLOURS["fill"], zorder=2)
        yield Mark(place, line.record, line.colour, 5)
    else:
        yield Mark(place, line.record, line.colour, 7)
    if line.beside is not None:
        yield Mark(place + 0.075, line.beside, COLOURS["crude"], 4, hollow=True)


def _draw_marks(ax: Axes, marks: Sequence[Mark]) -> None:
    """All points with their intervals: drawn one by one they would take most of a chart's time."""
    known = [m for m in marks if m.record["conf_low"] is not None and m.record["conf_high"] is not None]
    if known:
        least = ax.get_xlim()[0]  # 0 has no place on a log scale
        low, high = [max(m.record["conf_low"], least) for m in known], [m.record["conf_high"] for m in known]
        colours, widths = [m.colour for m in known], [1 if m.hollow else 2 for m in known]
        ax.hlines([m.y for m in known], low, high, colors=colours, linewidths=widths, zorder=3)
    told = sorted((m for m in marks if m.record["estimate"] is not None), key=lambda m: m.hollow)  # open ones above
    for colour, size, hollow in dict.fromkeys((m.colour, m.size, m.hollow) for m in told):
        alike = [(m.record["estimate"], m.y) for m in told if (m.colour, m.size, m.hollow) == (colour, size, hollow)]
        face = COLOURS["paper"] if hollow else colour
        ax.plot(*zip(*alike, strict=True), "o", color=colour, markerfacecolor=face, markersize=size, zorder=4)


def _scale(ax: Axes, records: Sequence[Mapping[str, Any]], from_zero: bool) -> None:
    """Fit the scale to the numbers and to where no difference lies; logarithmic for ratios; bare without numbers."""
    measure = records[0]["measure"]
    ratio = MEASURES[measure].scale == "log"
    at = 0.0 if from_zero else frame.neutral(measure)
    numbers = [value for value in frame.values(records) if value > 0 or not ratio]
    if not numbers:
        ax.set_xticks([])
        return
    if at is not None:
        ax.axvline(at, color=COLOURS["zero"], linewidth=1, zorder=1)
        numbers.append(at)
    low, high = min(numbers), max(numbers)
    if ratio:
        _log_scale(ax, low, high)
    else:
        room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        ax.set_xlim(low if from_zero and low == 0 else low - room, high + room)
        _ticks(ax)


def _ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))


def _log_scale(ax: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    room = max(1.03, (high / low) ** 0.05)
    ax.set_xscale("log")
    ax.set_xlim(low / room, high * room)
    ax.xaxis.set_minor_locator(NullLocator())
    if high / low < 8:
        _ticks(ax)
    else:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 50 else (1,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
