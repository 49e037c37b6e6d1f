"""Which chart shows a finding, told from its rows: for a first look, before a chart is chosen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cxresearch.charts import forest, frame, grid, series, steps
from cxresearch.finding import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAG, PERIOD = re.compile(r"lag "), re.compile(r"period=[^,]*$")
MOST_LINES = 4  # that a trend can tell apart
NAMES = ("term", "group", "model", "outcome")  # columns that can name the rows of a chart


def plot(finding: Finding) -> Axes:
    """The chart that fits the rows of a finding: a ladder of one correlation, a strip of many, shares, a trend, points.

    It is the same chart as that of the verb named: `cx.charts.ladder(finding)` for one correlation in steps. Rows that
    no such chart is for are shown as points with their intervals, those of the first measure.
    """
    records = finding.rows()
    if not records:
        return frame.placeholder(finding, "Estimates")
    correlations = [r for r in records if r["measure"] in ("r", "rho") and r["group"] == "all"]
    if any(LAG.match(r["model"]) for r in correlations):
        return series.lags(finding)
    if correlations and records[0]["measure"] in ("r", "rho"):
        one = len({(r["outcome"], r["term"]) for r in correlations}) == 1
        return steps.ladder(finding) if one else steps.strip(finding)
    measures = {r["measure"] for r in records}
    if {"share", "rank"} <= measures or (records[0]["measure"] == "share" and records[0]["term"]):
        return forest.shares(finding)
    if blocks := finding.rows(measure="share", model="blocks"):
        return forest.shares(finding.only(model=[blocks[0]["model"], "range"]))
    if loadings := finding.rows(measure="loading"):
        return grid.matrix(finding.only(measure="loading", model=loadings[-1]["model"]))
    dated = [r for r in records if PERIOD.search(r["group"])]
    courses = {(PERIOD.sub("", r["group"]), r["outcome"], r["term"], r["model"]) for r in dated}
    if len(dated) > 1 and len(courses) <= MOST_LINES:
        return series.trend(finding)
    return _points(finding)


def _points(finding: Finding) -> Axes:
    """The rows of the first measure, of everybody where there are some, named by the column that tells most apart."""
    first = finding.only(measure=finding.rows()[0]["measure"])
    whole = [r for r in first.rows() if r["group"] == "all"]
    shown = first.only(group="all") if len(whole) > 1 else first
    told = {name: len({r[name] for r in shown.rows()}) for name in NAMES}
    return forest.dots(shown, label=max(NAMES, key=lambda name: told[name]))
