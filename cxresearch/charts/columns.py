"""How answers are spread: one column per answer or class of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxresearch.charts import frame, words
from cxresearch.charts.lettering import wrapped
from cxresearch.charts.theme import COLOURS, SMALL_SIZE, WIDTH, themed
from cxresearch.finding import Finding
from cxresearch.measures import MEASURES, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def distribution(finding: Finding, outcome: str | None = None, group: str = "all") -> Axes:
    """The share of each answer as a column with its interval, in the order of the finding.

    A suppressed answer keeps its place, with a dash, and the reason stands below.
    """
    records = frame.rows_of(finding, measure="share", outcome=outcome, group=group)
    if not records:
        return frame.placeholder(finding, "Distribution of answers")
    labels = [words.clean(record["term"] or record["outcome"]) for record in records]
    with themed():
        ax = frame.column_axes(-0.6, len(records) - 0.4)
        ax.set_xticks(range(len(records)), _fitted(labels))
        ax.tick_params(axis="x", length=0, labelcolor=COLOURS["text"])
        for place, record in enumerate(records):
            _column(ax, place, record)
        ax.set_ylim(0, max([*frame.values(records), 0.0]) * 1.1 or 1)
        frame.name_above(ax, words.measured(records))
        frame.name_below(ax, _below(records))
    kind = f"Distribution of {words.spoken('outcome', records[0]['outcome'])}"
    alt = words.alternative(kind, finding, records, labels)
    return frame.finish(ax, finding, records, alt)


def _fitted(labels: list[str]) -> list[str]:
    return [wrapped(label, 0.92 * (WIDTH - 0.5) / len(labels), SMALL_SIZE) for label in labels]


def _column(ax: Axes, place: int, record: frame.Row) -> None:
    if record["estimate"] is None:
        ax.annotate("–", (place, 0), (0, 6), textcoords="offset points", ha="center", color=COLOURS["quiet"])
        return
    ax.bar(place, record["estimate"], 0.72, color=COLOURS["fill"], zorder=2)
    top = record["estimate"]
    if record["conf_low"] is not None and record["conf_high"] is not None:
        ax.vlines(place, record["conf_low"], record["conf_high"], color=COLOURS["estimate"], linewidth=2, zorder=3)
        top = record["conf_high"]
    ax.plot([place], [record["estimate"]], "o", color=COLOURS["estimate"], markersize=5, zorder=4)
    text = number(record["estimate"], MEASURES[record["measure"]].decimals)
    ax.annotate(text, (place, top), (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=SMALL_SIZE)


def _below(records: list[frame.Row]) -> str:
    """The name of the answers, and why a column shows a dash."""
    name = words.spoken("outcome", records[0]["outcome"])
    reasons = dict.fromkeys(words.printed(record) for record in records if record["estimate"] is None)
    return "; ".join([name, *(f"– {reason}" for reason in reasons)])
