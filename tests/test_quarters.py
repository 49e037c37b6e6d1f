"""A quarter as report period: its three months in scores and shares, a window that ends with its last, quarters as trend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_project import made, stand_in_for_the_study

import cxresearch as cx
from cxresearch import cli
from cxresearch.data import opening
from cxresearch.data.opening import Preflight, preflight
from cxresearch.data.study import Study
from cxresearch.errors import NoData, UsageError
from cxresearch.report import document, run
from cxresearch.report.edition import load
from cxresearch.report.plan import Request, checked

QUARTER = ("2026-07", "2026-08", "2026-09")


@pytest.fixture(scope="module")
def study(small_operator: Path) -> Study:
    """The small operator as of the third quarter."""
    return cx.open_study(str(small_operator), period="2026-Q3")


@pytest.fixture(scope="module")
def answers(small_operator: Path) -> pd.DataFrame:
    """Its relationship surveys as they lie in the file, sent and answered."""
    surveys = pd.read_parquet(small_operator.parent / "surveys.parquet")
    return surveys[surveys["kind"] == "relationship"]


def test_the_window_ends_with_the_last_month_of_the_quarter(study: Study, small_operator: Path):
    """Models look back over months; a window shorter than the quarter still holds the whole of it."""
    assert study.periods[-3:] == QUARTER
    assert len(study.periods) == 12
    assert cx.open_study(str(small_operator), period="2026-Q3", window=1).periods == QUARTER
    assert set(study.frame(["tenure_m"], only=[study.period])["period"]) == set(QUARTER)


def test_a_score_of_a_quarter_is_of_its_three_months(study: Study, answers: pd.DataFrame):
    """The mean over all answers of the quarter, the quarters before as trend, the change from the quarter before."""
    finding = cx.score(study, "ces", by="value_segment")
    known = answers.dropna(subset=["ces"])
    by_quarter = known.groupby(pd.PeriodIndex(known["period"], freq="M").asfreq("Q").astype(str))["ces"]
    now = finding.one(measure="score", model="answered", group="all")
    assert now["estimate"] == pytest.approx(by_quarter.mean()["2026Q3"], abs=1e-9)
    assert now["n"] == by_quarter.size()["2026Q3"]
    trend = {r["group"].removeprefix("period="): r["estimate"] for r in finding.by("period").rows()}
    assert list(trend) == ["2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3"]
    assert trend["2026-Q1"] == pytest.approx(by_quarter.mean()["2026Q1"], abs=1e-9)
    change = finding.one(measure="difference", model="change")
    assert change["term"] == "2026-Q2"
    assert change["estimate"] == pytest.approx(trend["2026-Q3"] - trend["2026-Q2"], abs=1e-9)


def test_the_response_of_a_quarter_is_of_all_who_were_invited(study: Study, answers: pd.DataFrame):
    """Invited and answered are counted over the three months."""
    invited = answers[answers["period"].isin(QUARTER)]
    rate = cx.score(study, "satisfaction").one(measure="rate")
    assert (rate["n"], rate["events"]) == (len(invited), int(invited["answered_at"].notna().sum()))


def test_leavers_of_a_quarter_left_in_its_months(study: Study, small_operator: Path):
    """Who left in July, August or September was there in June, July or August; of September it is not known yet."""
    panel = pd.read_parquet(small_operator.parent / "panel.parquet")
    known = panel[panel["period"].isin(("2026-06", "2026-07", "2026-08"))]
    rate = cx.churn_rate(study).one(group="all")
    assert (rate["n"], rate["events"]) == (len(known), int(known["churned"].sum()))
    assert rate["term"] == "2026-06 to 2026-08"
    assert study.frame(["churned"], only=["2026-09"])["churned"].isna().all()
    assert study.frame(["churned"], only=["2026-08"])["churned"].notna().all()


def test_a_quarter_that_has_just_begun_says_so(small_operator: Path):
    """Of the first month of a quarter, who left is not known either; every finding carries the doubt."""
    begun = cx.open_study(str(small_operator), period="2026-Q4")
    assert begun.frame(["churned"], only=["2026-10"])["churned"].isna().all()
    caveat = next(c for c in cx.score(begun, "satisfaction").caveats if c.code == "incomplete")
    assert "there are no rows of 2026-11 and 2026-12" in caveat.text
    assert preflight(str(small_operator), "latest", "2026-10-15").period == "2026-09"
    assert "2026-10-15. " in preflight(str(small_operator), "latest", "2026-10-15").passed_over
    with pytest.raises(NoData, match="no rows of period 2027-Q1"):
        cx.open_study(str(small_operator), period="2027-Q1")


def test_a_table_of_one_stated_month_has_no_quarter(tmp_path: Path):
    """A table without months cannot be asked for three of them."""
    pd.DataFrame({"id": ["a", "b"], "gone": [0.0, 1.0]}).to_parquet(tmp_path / "t.parquet")
    text = 'name = "t"\n[tables.panel]\nfile = "t.parquet"\nperiod = "2026-10"\ncolumns = { customer_id = "id", churned = "gone" }\n'
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(UsageError, match=r"states the one month 2026-10, so it cannot be asked for 2026-Q4"):
        cx.open_study(str(tmp_path / "t.toml"), period="2026-Q4")


def test_a_quarter_has_its_own_folder_beside_its_own_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Reports of quarters are compared with reports of quarters."""
    stand_in_for_the_study(monkeypatch)
    root = made(tmp_path / "project")
    plan = checked(Request(load("monthly", root), ("report", "monthly"), root, {"period": "2026-Q1"}))
    assert plan.folder == root / "reports/monthly/2026-Q1"
    assert plan.previous == root / "reports/monthly/2025-Q4"
    assert "--period 2026-Q1" in plan.command


def test_page_one_says_that_a_period_is_not_complete(tmp_path: Path):
    """The first block that warns says why, before any number is read."""
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Who leaves?")])
    whole = document.read(document.merge([("leavers", book)], {"incomplete": "2026-Q4 is not complete: why."}))
    assert [(block.title, block.items) for block in whole.opening] == [
        ("Not complete", ("2026-Q4 is not complete: why.",))
    ]


def test_period_words_are_resolved_once_and_recorded(
    small_operator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Against the day given: notebooks and the recorded command get the period itself, never the word."""
    plans = []

    def take(request: Request, say: Any) -> run.Outcome:
        plans.append(checked(request, say))
        return run.Outcome(tmp_path, ())

    monkeypatch.setattr(run, "run_edition", take)
    words = ["run", "headline_scores", "--data", str(small_operator), "-o", str(tmp_path), "--as-of", "2026-10-15"]
    wanted = {"last-quarter": "2026-Q3", "last-month": "2026-09", "latest": "2026-09", "2026-10": "2026-10"}
    for word, period in wanted.items():
        assert cli.main([*words, "--period", word]) == 0
        plan = plans.pop()
        assert plan.values["headline_scores"]["period"] == period
        assert f"--period {period} --as-of 2026-10-15" in plan.command
        assert plan.folder == tmp_path / "headline_scores" / period
    told = capsys.readouterr().err
    assert told.count("So latest is 2026-09.") == 1
    assert told.count("warning: 2026-10 is not complete: it had not ended on 2026-10-15") == 2
    assert "2026-Q3 is not complete" not in told


def test_a_report_of_an_incomplete_period_says_so_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On stderr before the run, on page one, and in run.json."""
    root = made(tmp_path / "project")
    monkeypatch.setattr(cli, "ROOT", root)
    why = "2026-10 is not complete: it had not ended on 2026-10-15."
    found = Preflight("demo", "Demo operator", "2026-10", "f00d", {"panel": 10}, frozenset(), why)
    monkeypatch.setattr(opening, "preflight", lambda *_: found)
    assert cli.main(["run", "leavers", "--as-of", "2026-10-15"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told.index(f"warning: {why}") < told.index("running leavers")
    folder = root / "reports" / "leavers" / "2026-10"
    assert json.loads((folder / "run.json").read_text())["incomplete"] == why
    page = (folder / "report.html").read_text()
    assert page.index(why) < page.index("In this report")
