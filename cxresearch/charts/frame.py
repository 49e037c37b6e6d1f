"""What every chart needs: the rows it is to show, axes, their names, or a place that says why nothing is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cxresearch.charts import words
from cxresearch.charts.dressing import put_on
from cxresearch.charts.lettering import wrapped
from cxresearch.charts.theme import COLOURS, HEIGHT, SMALL_SIZE, TEXT_SIZE, WIDTH, themed
from cxresearch.errors import UsageError
from cxresearch.finding import Finding
from cxresearch.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]
SIGNED = {"r", "rho", "tau", "slope", "difference", "r2_difference", "per_1000"}


def rows_of(finding: Finding, **wanted: str | Sequence[str] | None) -> list[Row]:
    """The rows that a chart is to show; where none match, an error says what the finding has instead."""
    asked = {column: value for column, value in wanted.items() if value is not None}
    records = finding.rows(**asked)
    if not records and len(finding.table):
        have = "; ".join(f"{c}: {', '.join(sorted({str(r[c]) for r in finding.rows()}))}" for c in asked)
        sought = ", ".join(f"{column}={value!r}" for column, value in asked.items())
        raise UsageError(f"no row of finding {finding.name!r} has {sought}; it has {have}")
    return records


def neutral(measure: str) -> float | None:
    """Where no difference lies on the scale of a measure: 0, 1 for ratios, nowhere for levels."""
    if MEASURES[measure].scale == "log":
        return 1.0
    return 0.0 if measure in SIGNED else None


def values(records: Sequence[Mapping[str, Any]]) -> list[float]:
    """All numbers that the rows put on an axis."""
    found = (record[name] for record in records for name in ("estimate", "conf_low", "conf_high"))
    return [float(value) for value in found if value is not None]


def from_the_largest(record: Mapping[str, Any] | None) -> tuple[bool, float]:
    """The order of rows from the largest to the smallest, and last what has no number."""
    estimate = record["estimate"] if record else None
    return estimate is None, -(estimate or 0.0)


def new_axes(height: float) -> Axes:
    """The axes of a new chart, as wide as all are and so many inches high."""
    from matplotlib import pyplot

    from cxresearch.charts.fitting import Fitted

    return pyplot.subplots(figsize=(WIDTH, height), layout=Fitted())[1]


def column_axes(low: float, high: float) -> Axes:
    """Axes for columns or for points over time, with a light horizontal grid."""
    ax = new_axes(HEIGHT)
    ax.set_xlim(low, high)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0, labelcolor=COLOURS["quiet"], labelsize=SMALL_SIZE)
    ax.grid(axis="y")
    return ax


def name_below(ax: Axes, text: str, inches: float = WIDTH - 0.4) -> None:
    """The name of the horizontal axis."""
    ax.set_xlabel(wrapped(text, inches, SMALL_SIZE))


def name_above(ax: Axes, text: str) -> None:
    """The name of the vertical axis, written level above it, where it can be read without turning the head."""
    text = wrapped(text, WIDTH - 0.4, SMALL_SIZE)
    ax.annotate(text, (0, 1), (0, 14), "axes fraction", "offset points", color=COLOURS["quiet"], fontsize=SMALL_SIZE)


def placeholder(finding: Finding, kind: str) -> Axes:
    """A chart that says why there is nothing to draw."""
    with themed():
        ax = new_axes(1.5)
        ax.set_axis_off()
        text = wrapped(words.reason(finding), WIDTH - 0.8, TEXT_SIZE, lines=4)
        ax.text(0.5, 0.5, text, ha="center", va="center", color=COLOURS["quiet"], transform=ax.transAxes)
    return finish(ax, finding, [], words.alternative(kind, finding, []))


def finish(ax: Axes, finding: Finding, records: Sequence[Mapping[str, Any]], alt: str) -> Axes:
    """Title and caption from the finding, and the given alternative text."""
    return put_on(ax, title=words.headline(finding), caption=words.caption(finding, records), alt=alt)
