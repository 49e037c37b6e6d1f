"""The chart that a finding draws of itself is the one that its rows call for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

import cxresearch as cx
from cxresearch.charts.dressing import worn
from cxresearch.charts.notebook import svg
from cxresearch.data.study import Study
from cxresearch.finding import Finding

mpl.use("Agg")
SERVICE = ["availability", "call_failures", "reliability"]
DRAWN: dict[str, tuple[Callable[[Study], Finding], Callable[[Finding], Any]]] = {
    "one correlation in steps": (
        lambda study: cx.relate(study, "satisfaction", "availability", by="value_segment"),
        lambda f: cx.charts.ladder(f),
    ),
    "many correlations": (
        lambda study: cx.relate(study, "satisfaction", SERVICE, steps=["crude", "adjusted"]),
        lambda f: cx.charts.strip(f),
    ),
    "lags": (
        lambda study: cx.relate(study, "satisfaction", "availability", lag=[0, 1], method=["pearson"]),
        lambda f: cx.charts.lags(f),
    ),
    "shares": (
        lambda study: cx.rank_drivers(study, "satisfaction", ["responsiveness", "assurance", "reliability"]),
        lambda f: cx.charts.shares(f),
    ),
    "a course": (lambda study: cx.score(study, "ces"), lambda f: cx.charts.trend(f)),
    "leavers over months": (lambda study: cx.churn_rate(study), lambda f: cx.charts.trend(f)),
    "levels": (
        lambda study: cx.leavers_by_level(study, "value_segment"),
        lambda f: cx.charts.dots(f, label="group"),
    ),
    "slopes": (
        lambda study: cx.fit("satisfaction ~ reliability + assurance", study).finding,
        lambda f: cx.charts.dots(f.only(measure=f.rows()[0]["measure"])),
    ),
    "loadings": (
        lambda study: cx.factors(study, study.rater, method=["oblimin"]),
        lambda f: cx.charts.matrix(f.only(measure="loading", model="oblimin")),
    ),
}


@pytest.fixture(scope="module")
def study(small_operator: Path) -> Study:
    """The small operator."""
    return cx.open_study(str(small_operator))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No figure stays open."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("kind", DRAWN)
def test_a_finding_draws_what_the_matching_chart_draws(kind: str, study: Study):
    """The same lines, points and words, to the byte."""
    made, drawn = DRAWN[kind]
    finding = made(study)
    assert finding.estimable
    own, other = finding.plot(), drawn(finding)
    assert worn(own.get_figure(root=True)) == worn(other.get_figure(root=True))
    assert svg(own.get_figure(root=True)) == svg(other.get_figure(root=True))


def test_a_finding_without_rows_says_why(study: Study):
    """What is not estimable has a chart that says so."""
    lacking = cx.relate(study, "satisfaction", "services_held").only(measure="alpha")
    assert "without data" in worn(lacking.plot().get_figure(root=True)).alt
