"""Estimates side by side: any measure by term, group or model, and shares with their ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cxresearch.charts import frame, lines, words
from cxresearch.charts.theme import themed
from cxresearch.finding import Finding
from cxresearch.measures import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KIND = "Shares"


def dots(finding: Finding, label: str = "term", measure: str | None = None) -> Axes:
    """Every row of one measure as a point with its interval, named by `label`; ratios on a logarithmic axis.

    `label` is the column that names the rows (term, group, model or outcome); other columns and units that differ are added.
    Without `measure` the first one of the finding is shown.
    """
    records = frame.rows_of(finding, measure=measure)
    records = [record for record in records if record["measure"] == records[0]["measure"]]
    if not records:
        return frame.placeholder(finding, "Estimates")
    name, labels = words.shared_name(words.row_labels(records, label))
    what = words.measured(records)
    if len({record["unit"] for record in records if record["unit"]}) > 1:
        start, units = words.shared_start([record["unit"] or "" for record in records])
        what += f", {start} …" if start else ""
        alike = start and len(set(labels)) == 1  # then the units alone tell the rows apart
        labels = [", ".join(filter(None, ("" if alike else text, u))) for text, u in zip(labels, units, strict=True)]
    drawn = [lines.Line(text, record, words.printed(record)) for text, record in zip(labels, records, strict=True)]
    with themed():
        ax = lines.draw(drawn, what + (f" by {name}" if name else ""))
    kind = f"Estimates by {name}" if name else "Estimates"
    return frame.finish(ax, finding, records, words.alternative(kind, finding, records, labels))


def shares(finding: Finding, group: str = "all") -> Axes:
    """How much of the explained part goes with each term, from the largest, with the rank and its range.

    Bars show the first model of the finding; where it has a second one, open marks show that.
    """
    chosen = frame.rows_of(finding, measure="share", group=group)
    if not chosen:
        return frame.placeholder(finding, KIND)
    first, *others = dict.fromkeys(record["model"] for record in chosen)
    records = sorted((record for record in chosen if record["model"] == first), key=frame.from_the_largest)
    second = {_who(record): record for record in chosen if [record["model"]] == others[:1]}
    ranks = {_who(record): record for record in finding.rows(measure="rank", group=group, model=first)}
    labels = words.row_labels(records, "term")
    notes = [_with_rank(record, ranks.get(_who(record))) for record in records]
    drawn = [
        lines.Line(label, record, note, shape="bar", beside=second.get(_who(record)))
        for label, record, note in zip(labels, records, notes, strict=True)
    ]
    with themed():
        ax = lines.draw(drawn, words.measured(records) + _key(first, others))
    shown = [*records, *second.values()]
    return frame.finish(ax, finding, shown, words.alternative(KIND, finding, shown))


def _key(first: str, others: list[str]) -> str:
    if not others:
        return ""
    more = "; further models stand in the table" if len(others) > 1 else ""
    return f": {words.spoken('model', first)} (●), {words.spoken('model', others[0])} (○){more}"


def _who(record: Mapping[str, Any]) -> tuple[str, str]:
    return record["outcome"], record["term"]


def _with_rank(record: frame.Row, rank: Mapping[str, object] | None) -> str:
    text = words.printed(record)
    if rank is None or rank["estimate"] is None:
        return text
    low, high = number(rank["conf_low"], 0), number(rank["conf_high"], 0)
    span = f" ({low} to {high})" if low != high else ""
    return f"{text}\nrank {number(rank['estimate'], 0)}{span}"
