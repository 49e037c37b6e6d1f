"""Finding: the one result type of the house, and the words and scales that go with it.

Page, paper, alt text, ledger and verdicts are all made from findings, so they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from cxresearch.measures import MEASURES, MODELS, RANGES, number
from cxresearch.table import COLUMNS, COUNT_COLUMNS, NUMBER_COLUMNS, TEXT_COLUMNS, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINDING_MIME = "application/vnd.cxresearch.finding+json"
Design = Literal["descriptive", "associational", "adjusted", "quasi-experimental", "experimental"]
LIGHTS = ("sound", "look", "stop")  # of a check whether data can be trusted
DESIGNS: tuple[Design, ...] = (
    "descriptive",
    "associational",
    "adjusted",
    "quasi-experimental",
    "experimental",
)


@dataclass(frozen=True)
class Caveat:
    """A doubt that stands in the result, with what to do about it."""

    code: str
    text: str


def written(record: Mapping[str, Any], *, n: bool = True) -> str:
    """Estimate, interval and n of one row as text: `0.31 (95 % interval 0.28 to 0.34, n = 2,341)`."""
    if record["estimate"] is None or pd.isna(record["estimate"]):
        return record["effect_label"] if _given(record.get("effect_label")) else "not estimable"
    decimals = MEASURES[record["measure"]].decimals
    text = number(record["estimate"], decimals)
    inside = []
    if _given(record["conf_low"]) and _given(record["conf_high"]):
        level = 100 * float(record["conf_level"])
        low, high = number(record["conf_low"], decimals), number(record["conf_high"], decimals)
        inside.append(f"{level:.0f} % interval {low} to {high}")
    if n and _given(record["n"]):
        inside.append(f"n = {int(record['n']):,}")
    return f"{text} ({', '.join(inside)})" if inside else text


def _given(value: Any) -> bool:
    return value is not None and not pd.isna(value)


@dataclass(frozen=True)
class Finding:
    """The answer to one question: a sentence, a tidy table, and what it rests on.

    `answer` and `title` are worded no stronger than `design`. `table` has the columns `COLUMNS`, one row per
    estimate. `periods` says which report periods were used, `sample` what was left out and why, `labels` how terms are
    spoken of. `kept` is private and never published: what `compare` needs of a row, by its `KEY`.
    Shown in a notebook it is its sentence and a small table; as data it is `FINDING_MIME`.
    """

    name: str
    question: str
    estimand: str
    design: Design
    table: pd.DataFrame
    method: str
    sample: str
    answer: str
    title: str = ""
    periods: str = ""
    study: str = ""
    caveats: tuple[Caveat, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[tuple[Any, ...], Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.design not in DESIGNS:
            raise ValueError(f"no design {self.design!r}; it is one of {', '.join(DESIGNS)}")
        if tuple(self.table.columns) != COLUMNS:
            raise ValueError("the table of a Finding is made by finding.tidy")

    @property
    def estimable(self) -> bool:
        """Whether any row has an estimate."""
        return bool(self.table["estimate"].notna().any())

    def to_frame(self, *, spoken: bool = False) -> pd.DataFrame:
        """The table as a plain DataFrame of your own: float and object columns, NaN where null.

        `spoken` writes outcome, term, model and group in the reader's words, for the axes of a chart.
        """
        frame = self.table.astype(
            dict.fromkeys(TEXT_COLUMNS, "object") | dict.fromkeys(NUMBER_COLUMNS + COUNT_COLUMNS, "float64")
        )
        for column in ("outcome", "term", "model", "group") if spoken else ():
            frame[column] = [self.spoken(column, None if pd.isna(value) else value) for value in frame[column]]
        return frame

    def plot(self) -> Axes:
        """Draw the chart that fits these rows, as `cx.charts.plot` does: for a first look."""
        import cxresearch as cx  # by its public name: charts know findings, and findings no chart

        return cx.charts.plot(self)

    def rows(self, **wanted: str | Sequence[str]) -> list[dict[str, Any]]:
        """The rows whose columns equal what is wanted, as plain dicts with None where null."""
        unknown = sorted(set(wanted) - set(COLUMNS))
        if unknown:
            raise ValueError(f"no column {unknown[0]!r} in a Finding; it has {', '.join(COLUMNS)}")
        allowed = {name: {value} if isinstance(value, str) else set(value) for name, value in wanted.items()}
        return [dict(r) for r in self._records if all(r[name] in values for name, values in allowed.items())]

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        """Every row, read from the table once: a finding is not changed, and is asked for rows many times."""
        columns = [self.table[name].array.to_numpy(dtype=object, na_value=None).tolist() for name in COLUMNS]
        return [dict(zip(COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]

    def one(self, **wanted: str | Sequence[str]) -> dict[str, Any]:
        """The single row that matches; an error names what stands in the table otherwise."""
        records = self.rows(**wanted)
        if len(records) == 1:
            return records[0]
        asked = ", ".join(f"{k}={v!r}" for k, v in wanted.items())
        raise LookupError(
            f"{len(records)} rows of {self.name!r} match {asked}; name one by term, group, model, measure"
        )

    def only(self, **wanted: str | Sequence[str]) -> Finding:
        """The same finding with only the rows that match: for a chart or a table of a part of it."""
        return dataclasses.replace(self, table=tidy(self.rows(**wanted), min_cell=0))

    def by(self, name: str | None) -> Finding:
        """The same finding with only the rows of single levels of a column: `value_segment`, `period`."""
        groups = [group for group in dict.fromkeys(self.table["group"]) if group.startswith(f"{name}=")]
        return self.only(group=groups)

    def spoken(self, column: str, value: str | None) -> str:
        """A value of a column in the reader's words: `failed calls`, `value segment: high`, `within customer`."""
        if value is None:
            return ""
        if column == "model":
            return self.labels.get(value, MODELS.get(value, value))
        if column == "group":
            name, is_level, level = value.partition("=")
            return f"{self.labels.get(name, name)}: {level}" if is_level else value
        return self.labels.get(value, value)

    def with_caveats(self, *more: Caveat) -> Finding:
        """The same finding with further caveats, none twice."""
        found: dict[str, Caveat] = {}
        for caveat in (*self.caveats, *more):
            found.setdefault(caveat.code, caveat)
        return dataclasses.replace(self, caveats=tuple(found.values()))

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data: what the report, the ledger and other tools read."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "kept"}
        fields["table"] = self.rows()
        fields["caveats"] = [dataclasses.asdict(caveat) for caveat in self.caveats]
        fields["labels"] = dict(self.labels)
        return fields

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """The finding that `to_json` wrote."""
        fields = dict(data)
        fields["table"] = tidy(fields["table"], min_cell=0)
        fields["caveats"] = tuple(Caveat(**caveat) for caveat in fields["caveats"])
        return cls(**fields)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {FINDING_MIME: self.to_json(), "text/html": self._html(), "text/plain": self._text()}

    def _text(self) -> str:
        lines = [self.answer]
        lines += [f"Caution ({caveat.code}): {caveat.text}" for caveat in self.caveats]
        return "\n".join(lines)

    def _html(self) -> str:
        parts = [f"<p><strong>{html.escape(self.answer)}</strong></p>"]
        lines = printed(self)
        told = [{line[i] for line in lines} for i in range(len(HEADINGS))]
        # what is the same in all rows is said once, what no row has is left out
        what = [i for i, name in enumerate(HEADINGS) if name not in ("estimate", "interval", "n")]
        once = [i for i in what if len(lines) > 1 and len(told[i]) == 1 and told[i] != {""}]
        kept = [i for i, values in enumerate(told) if values != {""} and i not in once]
        names = tuple(HEADINGS.values())
        cells = [
            "".join(f'<td style="text-align:left">{html.escape(row[i])}</td>' for i in kept) for row in (names, *lines)
        ]
        head, *rows = (f"<tr>{row}</tr>" for row in cells)
        if lines:
            parts.append(f"<table>{head}{''.join(rows[:ROWS_SHOWN])}</table>")
        if more := rows[ROWS_SHOWN:]:
            summary = f"<summary>{len(more)} more rows</summary>"
            parts.append(f"<details>{summary}<table>{head}{''.join(more)}</table></details>")
        if same := "; ".join(f"{names[i].lower()} {lines[0][i]}" for i in once):
            parts.append(f"<p><small>In every row: {html.escape(same)}.</small></p>")
        parts += [f"<p>Caution: {html.escape(caveat.text)}</p>" for caveat in self.caveats]
        parts.append(f"<p><small>{html.escape(self.method)} {html.escape(self.sample)}</small></p>")
        return "".join(parts)


ROWS_SHOWN = 8  # below a cell; the others unfold
HEADINGS = {
    "outcome": "Outcome",
    "term": "Term",
    "model": "Step",
    "group": "Group",
    "measure": "Measure",
    "unit": "Unit",
    "estimate": "Estimate",
    "interval": "95 % interval",
    "n": "n",
    "clusters": "Clusters",
}


def printed(finding: Finding) -> list[tuple[str, ...]]:
    """The rows of a finding as they are printed, one text per heading of `HEADINGS`."""
    lines = []
    for record in finding.rows():
        measure = MEASURES[record["measure"]]
        estimate = number(record["estimate"], measure.decimals)
        if record["estimate"] is None:
            estimate = record["effect_label"] or "not estimable"
        interval = ""
        if record["conf_low"] is not None and record["conf_high"] is not None:
            low, high = (number(record[k], measure.decimals) for k in ("conf_low", "conf_high"))
            interval = f"{low} to {high}" + (
                f" ({100 * record['conf_level']:.0f} %)" if record["conf_level"] != 0.95 else ""
            )
        what = [finding.spoken(column, record[column]) for column in ("outcome", "term", "model", "group")]
        counts = [f"{record[k]:,}" if record[k] is not None else "" for k in ("n", "clusters")]
        lines.append((*what, measure.label, record["unit"] or "", estimate, interval, *counts))
    return lines


def interval_at(record: Mapping[str, Any], level: float) -> tuple[float, float] | None:
    """The interval of a row at another level: the same standard error and t on the measure's own scale.

    Returns None where the row has no interval. An interval that is not symmetric on that scale keeps its
    two arms, each stretched by the ratio of the quantiles. Of one that runs over assumptions only the sampling error
    grows with the level, that of the estimate at both ends.
    """
    from scipy import stats

    if any(record[k] is None for k in ("estimate", "conf_low", "conf_high", "conf_level")):
        return None
    measure = MEASURES[record["measure"]]
    df = record["df"]
    quantile = stats.norm.ppf if df is None else lambda q: stats.t.ppf(q, df)
    wanted, had = (float(quantile(0.5 + at / 2)) for at in (level, record["conf_level"]))
    stretch, error = wanted / had, record["std_error"] if record["model"] in RANGES else None
    try:
        middle, low, high = (measure.forward(record[k]) for k in ("estimate", "conf_low", "conf_high"))
    except (ValueError, ZeroDivisionError):
        middle, low, high = (record[k] for k in ("estimate", "conf_low", "conf_high"))
        least, most = (0.0, 1.0) if measure.scale == "logit" else (-math.inf, math.inf)  # a share of nothing or of all
        arms = (
            [(wanted - had) * error] * 2
            if error is not None
            else [(stretch - 1) * x for x in (middle - low, high - middle)]
        )
        return max(low - arms[0], least), min(high + arms[1], most)
    if error is not None:
        middle_at = record["estimate"]
        more = (wanted - had) * error / (middle_at * (1 - middle_at) if measure.scale == "logit" else 1.0)
        return measure.back(low - more), measure.back(high + more)
    return measure.back(middle - stretch * (middle - low)), measure.back(middle + stretch * (high - middle))


def dumps(data: Any) -> str:
    """JSON with a fixed order of keys, so that equal findings give equal files."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")
