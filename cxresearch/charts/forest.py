"""Estimates side by side: any measure by term, group or model, and the shares of drivers with their ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cxresearch.charts import frame, lines, words
from cxresearch.charts.theme import themed
from cxresearch.finding import Finding, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def dots(finding: Finding, label: str = "term", measure: str | None = None) -> Axes:
    """Every row of one measure as a point with its interval, named by `label`; ratios on a logarithmic axis.

    `label` is the column that names the rows (term, group, model or outcome); other columns that differ are added.
    Without `measure` the first one of the finding is shown.
    """
    records = frame.rows_of(finding, measure=measure)
    records = [record for record in records if record["measure"] == records[0]["measure"]]
    if not records:
        return frame.placeholder(finding, "Estimates")
    name, labels = words.shared_name(words.row_labels(records, label))
    drawn = [lines.Line(text, record, words.printed(record)) for text, record in zip(labels, records, strict=True)]
    with themed():
        ax = lines.draw(drawn, words.measured(records) + (f" by {name}" if name else ""))
    kind = f"Estimates by {name}" if name else "Estimates"
    return frame.finish(ax, finding, records, words.alternative(kind, finding, records, labels))


def shares(finding: Finding, group: str = "all") -> Axes:
    """How much of the explained part goes with each driver, from the largest, with the rank and its range."""
    records = frame.rows_of(finding, measure="share", group=group)
    if not records:
        return frame.placeholder(finding, "Shares of drivers")
    records.sort(key=lambda record: (record["estimate"] is None, -(record["estimate"] or 0.0)))
    ranks = {(r["outcome"], r["term"], r["model"]): r for r in finding.rows(measure="rank", group=group)}
    labels = words.row_labels(records, "term")
    notes = [_with_rank(record, ranks.get((record["outcome"], record["term"], record["model"]))) for record in records]
    drawn = [lines.Line(*parts, shape="bar") for parts in zip(labels, records, notes, strict=True)]
    with themed():
        ax = lines.draw(drawn, words.measured(records))
    alt = words.alternative("Shares of drivers", finding, records, labels)
    return frame.finish(ax, finding, records, alt)


def _with_rank(record: frame.Row, rank: Mapping[str, object] | None) -> str:
    text = words.printed(record)
    if rank is None or rank["estimate"] is None:
        return text
    low, high = number(rank["conf_low"], 0), number(rank["conf_high"], 0)
    span = f" ({low} to {high})" if low != high else ""
    return f"{text}\nrank {number(rank['estimate'], 0)}{span}"
