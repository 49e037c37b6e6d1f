"""Scores of tables that are meant to break them: the right number, or none and why, never a NaN and never a traceback."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import study_of
from test_evidence import assert_sound, words

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import proportions
from cxresearch.evidence.lab import groups, weighting
from cxresearch.evidence.tallies import as_score, is_detractor, is_promoter

ANSWERS = ["recommend", "ces", "design_weight"]
CUSTOMERS = 120


def table() -> pd.DataFrame:
    """A hundred and twenty customers of twelve sites, of whom two thirds answered, and what is known of all of them."""
    dice = np.random.default_rng(7)
    n = CUSTOMERS
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "site_id": [f"s{i % 12}" for i in range(n)],
            "region": np.array(["north", "south", "west"])[np.arange(n) // 12 % 3],
            "plan_type": np.array(["prepaid", "postpaid"])[dice.integers(0, 2, n)],
            "tenure_m": dice.integers(1, 90, n) * 1.0,
            "answered_at": np.where(np.arange(n) % 3 == 0, None, "2026-10-05"),
            "recommend": dice.integers(2, 11, n) * 1.0,
            "ces": dice.integers(1, 8, n) * 1.0,
            "design_weight": 1 + dice.random(n),
        }
    )
    frame.loc[frame.answered_at.isna(), ANSWERS] = np.nan
    return frame


def opened(folder: Path, frame: pd.DataFrame, *, sites: bool = False) -> Study:
    """The study of a table: every row a customer of its own, or with its site."""
    survey = ["customer_id", "answered_at", *ANSWERS]
    return study_of(
        folder,
        panel=frame.drop(columns=survey[1:]),
        surveys=frame[survey],
        levels=["customer", "site"] if sites else ["customer"],
    )


def asked(study: Study, weights: str | None = None, of: str = "recommend", **more: Any) -> cx.Finding:
    """A score by region, weighted."""
    return cx.score(study, of, by="region", weights=weights, **more)


def only(count: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A table in which but so many answered."""

    def change(d: pd.DataFrame) -> pd.DataFrame:
        silent = d.answered_at.notna().cumsum() > count
        return d.assign(answered_at=d.answered_at.mask(silent), **{c: d[c].mask(silent) for c in ANSWERS})

    return change


HOSTILE: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as it is": lambda d: d,
    "nobody answered": only(0),
    "one answer": only(1),
    "three answers": only(3),
    "twelve answers": only(12),
    "everybody answered": lambda d: table().assign(answered_at="2026-10-05", recommend=7.0, ces=4.0, design_weight=1.0),
    "all the same answer": lambda d: d.assign(recommend=d.recommend.mask(d.recommend.notna(), 10.0), ces=d.ces.mask(d.ces.notna(), 4.0)),
    "all the same answer in one region": lambda d: d.assign(ces=d.ces.mask((d.region == "north") & d.ces.notna(), 7.0)),
    "two answers": lambda d: d.assign(recommend=(d.recommend > 6) * 10.0 + 0 * d.recommend),
    "one site": lambda d: d.assign(site_id="one"),
    "one region": lambda d: d.assign(region="north"),
    "no region known": lambda d: d.assign(region=None),
    "some regions unknown": lambda d: d.assign(region=d.region.mask(d.tenure_m > 60)),
    "a region of its own site": lambda d: d.assign(region=np.where(d.site_id == "s0", "island", d.region)),
    "twenty regions of one": lambda d: d.assign(region=np.where(d.index < 20, d.customer_id, d.region)),
    "nobody of a region answered": lambda d: d.assign(region=np.where(d.answered_at.isna(), "far", d.region)),
    "answering foretold": lambda d: d.assign(tenure_m=np.where(d.answered_at.isna(), 1.0, 50.0)),
    "no weight": lambda d: d.assign(design_weight=0.0),
    "one weight": lambda d: d.assign(design_weight=np.where(d.customer_id == "c1", 1.0, 0.0)),
}  # fmt: skip


def sound(name: str, sites: bool, questions: list[tuple[str, str]], folder: Path) -> None:
    """Ask for scores of a hostile table."""
    study = opened(folder, HOSTILE[name](table()), sites=sites)
    for of, weights in questions:
        finding = asked(study, weights, of)
        assert_sound(finding)
        weighted = finding.rows(model="weighted", measure="score")
        assert weighted or "weights" in {c.code for c in finding.caveats}


@pytest.mark.parametrize("name, sites", list(zip(HOSTILE, itertools.cycle([True, False]), strict=False)))
def test_scores_are_sound(name: str, sites: bool, tmp_path: Path) -> None:
    """A score, split and weighted, gives numbers or says why there are none."""
    sound(name, sites, [("recommend", "raking"), ("ces", "answering")], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("sites", [False, True], ids=["customers", "sites"])
@pytest.mark.parametrize("name", HOSTILE)
def test_every_score_is_sound(name: str, sites: bool, tmp_path: Path) -> None:
    """The same of every score, weighted every way."""
    sound(name, sites, [(of, w) for of in ("recommend", "ces") for w in ("raking", "answering", "design")], tmp_path)


@pytest.mark.parametrize(
    "name, weights, why",
    [
        ("nobody of a region answered", "raking", "nobody of region far answered; merge that level"),
        ("answering foretold", "answering", "foretold without error by region, plan_type, tenure_m; leave one out"),
        ("nobody answered", "raking", "nobody answered"),
        ("nobody answered", "answering", "nobody answered"),
        ("no weight", "design", "no answer has a weight above 0"),
    ],
)
def test_weights_that_cannot_be_made(name: str, weights: str, why: str, tmp_path: Path) -> None:
    """Where no weights can be made the finding has no weighted row, and a caveat says which column and what to do."""
    finding = asked(opened(tmp_path, HOSTILE[name](table())), weights)
    assert finding.rows(model="weighted") == []
    assert why in next(c.text for c in finding.caveats if c.code == "weights")


def test_margins_that_disagree(tmp_path: Path) -> None:
    """Margins that no weights meet together are named; a small level that nobody answered of is not."""
    frame = table()
    both = (frame.region == "north") == (frame.plan_type == "prepaid")
    silent = ~both & (frame.tenure_m > 5)
    frame = frame.assign(answered_at=frame.answered_at.mask(~both), **{c: frame[c].mask(~both) for c in ANSWERS})
    frame["plan_type"] = frame.plan_type.mask(silent, "prepaid")
    finding = asked(opened(tmp_path, frame), "raking", margins=["region", "plan_type"])
    assert finding.rows(model="weighted") == []
    assert "the margins of region, plan_type cannot be met together" in words(finding)
    frame = table().assign(region=lambda d: np.where(d.customer_id == "c0", "islet", d.region))
    (tmp_path / "small").mkdir()
    finding = asked(opened(tmp_path / "small", frame), "raking")
    assert "nobody of a small level of region answered" in words(finding)
    assert "islet" not in words(finding)


def test_rake_by_itself() -> None:
    """Shares of margins count, not their totals; what cannot be met is NaN, each table by itself."""
    counts, codes = np.array([[3.0, 0, 2], [3, 4, 1]]), [np.arange(3)]
    weights = weighting.rake(counts, codes, [np.array([[1.0, 1, 1], [10, 20, 30]])])
    assert np.isnan(weights[0]).all()
    np.testing.assert_allclose(weights[1] * counts[1] / 8, [1 / 6, 2 / 6, 3 / 6])
    diagonal = [np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])]
    assert np.isnan(weighting.rake(np.array([3.0, 0, 0, 2]), diagonal, [np.array([1.0, 1]), np.array([1.0, 2])])).all()
    # a level that nobody is of weighs nothing, and asks for nothing
    np.testing.assert_allclose(weighting.rake(counts[1], codes, [np.array([1.0, 1, 0])])[2], 0)
    assert math.isnan(weighting.mean_error(np.ones(1), np.ones(1), np.ones(1), np.ones(1)))


def test_weights_are_asked_for_by_name(tmp_path: Path) -> None:
    """Other words are refused, columns that are lacking are named, and without the silent nothing is weighted."""
    study = opened(tmp_path, table())
    with pytest.raises(UsageError, match="no weights 'rakes'; they are raking, answering, design"):
        asked(study, "rakes")
    assert "no panel.age_band" in words(asked(study, "raking", margins=["age_band"]))
    (tmp_path / "told").mkdir()
    frame = table().dropna(subset=["recommend"])
    told = study_of(
        tmp_path / "told",
        panel=frame[["customer_id", "region"]],
        surveys=frame[["customer_id", "recommend"]],
    )
    finding = asked(told, "raking")
    assert "who was invited and silent is not recorded" in words(finding)
    assert {r["model"] for r in finding.rows()} == {"answered", "between"}


def test_all_the_same_answer(tmp_path: Path) -> None:
    """A mean of equal answers has no interval and says why; a net score still has a width."""
    study = opened(tmp_path, HOSTILE["all the same answer"](table()))
    mean, net = asked(study, of="ces"), asked(study)
    now = {"model": "answered", "measure": "score", "group": "all"}
    assert (mean.one(**now)["estimate"], mean.one(**now)["conf_low"]) == (4.0, None)
    assert "no-variation" in {c.code for c in mean.caveats}
    n = net.one(**now)["n"]
    up, down = (n + 0.75) / (n + 3), 0.75 / (n + 3)  # three answers added: ¾, 1½, ¾
    half = stats.norm.ppf(0.975) * math.sqrt((up + down - (up - down) ** 2) / (n + 3))
    assert net.one(**now)["conf_low"] == pytest.approx(100 * (up - down - half))
    assert net.one(**now)["conf_high"] == 100.0
    assert not net.rows(model="all_customers")  # nothing to tilt: only the bounds say what the silent could do
    assert net.one(model="bounds", term="all silent lowest")["estimate"] == pytest.approx(100 * (80 - 40) / 120)


def test_promoters_and_detractors() -> None:
    """9 is a promoter and 8 is none; 6 is a detractor and 7 is none."""
    assert (is_promoter(9), is_promoter(8), is_detractor(6), is_detractor(7)) == (True, False, True, False)
    np.testing.assert_array_equal(as_score("recommend", np.array([0.0, 6, 7, 8, 9, 10])), [-100, -100, 0, 0, 100, 100])


def test_a_net_score_covers_what_it_says() -> None:
    """From 10 answers on the interval of the verb holds the truth in 92 to 99.9 % of all samples; the plain one does not."""
    for n in (10, 25):
        grid = [(i, j) for i in range(n + 1) for j in range(n + 1 - i)]
        for p, d in ((0.45, 0.2), (0.2, 0.4), (0.6, 0.05), (0.9, 0.02), (0.1, 0.1), (0.02, 0.9)):
            chance = stats.multinomial.pmf([(i, j, n - i - j) for i, j in grid], n, [p, d, 1 - p - d])
            covered = {}
            for method in ("add-three", "score", "wald"):
                found = [proportions.net_score(i, j, n, method) for i, j in grid]  # type: ignore[arg-type]
                inside = [(x.conf_low or 0) <= p - d <= (x.conf_high or 0) for x in found]
                covered[method] = float(chance @ np.array(inside))
            assert 0.92 <= covered["add-three"] <= 0.999, (n, p, d)
            assert 0.93 <= covered["score"] <= 0.999, (n, p, d)
            if p == 0.9 and n == 10:
                assert covered["wald"] < 0.7


def test_pure_functions_at_their_ends() -> None:
    """Groups of one, without variance or without events have no interval instead of a wrong one."""
    still, one = groups.Group(3, 1.0, 0.0), groups.Group(1, 2.0, math.nan)
    assert groups.welch(still, still).conf_low is None
    assert groups.hedges_g(still, still).estimate is None
    assert groups.between([still, groups.Group(3, 2.0, 0.0)], groups.one_way([still, still])).estimate == 1.0
    assert groups.between([one, groups.Group(9, 1.0, 1.0)], groups.one_way([one, still])).conf_low is None
    assert groups.crosstab(np.array([[5, 0], [7, 0]])) is None
    even = groups.crosstab(np.array([[5, 5], [5, 5]]))
    assert even is not None
    assert (even.v.estimate, even.v.conf_low) == (0.0, None)
    assert groups.shares_compared((0, 0), (10, 10)) is None
    none = groups.shares_compared((0, 4), (10, 10))
    assert none is not None
    assert none["difference"].conf_low < -0.4 < none["difference"].conf_high
    assert proportions.share(0, 0).estimate is None
    assert proportions.net_score(0, 0, 0).estimate is None
    assert math.isnan(groups.wald_test(np.array([1.0, 2.0, 3.0]), np.ones((2, 3))).p_value)
    for n, m, d in ((2, 2, 1e4), (2, 1e6, -3.0), (1e6, 1e6, 0.0)):
        g = groups.hedges_g(groups.Group(n, d, 1.0), groups.Group(m, 0.0, 1.0))
        assert (g.conf_low or 0.0) < (g.estimate or 0.0) < (g.conf_high or 0.0) or d == 0.0


@pytest.mark.parametrize("sites", [False, True], ids=["customers", "sites"])
@pytest.mark.parametrize("weights", ["raking", "answering", "design"])
def test_no_weight_makes_answers_that_are_all_alike_certain(weights: str, sites: bool, tmp_path: Path) -> None:
    """Of nines and tens every net score is 100: no interval of width zero. R's t.test refuses them: data are constant."""
    frame = table().assign(recommend=lambda d: (9.0 + d.index % 2).where(d.answered_at.notna()))
    finding = asked(opened(tmp_path, frame, sites=sites), weights, margins=["region", "plan_type"])
    weighted = finding.one(measure="score", model="weighted")
    assert weighted["estimate"] == pytest.approx(100)
    assert (weighted["std_error"], weighted["conf_low"], weighted["conf_high"]) == (None, None, None)
    assert finding.rows(model="all_customers") == []
    assert "it may lie from" not in finding.answer


def test_sites_that_score_alike_make_no_interval_of_width_zero(tmp_path: Path) -> None:
    """Each site gives each answer once, so nothing is left of the error but rounding: no interval, and no difference told."""
    frame = table().assign(answered_at="2026-10-05", recommend=np.arange(CUSTOMERS) // 12 * 1.0, ces=4.0)
    frame["region"] = np.array(["north", "south", "west"])[np.arange(CUSTOMERS) // 12 % 3]
    finding = asked(opened(tmp_path, frame, sites=True))
    whole = finding.one(measure="score", group="all")
    assert whole["estimate"] == -60
    assert whole["conf_low"] is None
    assert [r["p_value"] for r in finding.rows(measure="difference", model="between")] == [None] * 3
    assert "in every site" in next(c.text for c in finding.caveats if c.code == "no-variation")
    rate = finding.rows(measure="rate")
    assert not rate or rate[0]["conf_low"] is None or rate[0]["conf_low"] < rate[0]["estimate"]


@pytest.mark.parametrize("before", [9.0, 0.0])
def test_a_change_between_months_of_answers_all_alike(before: float, tmp_path: Path) -> None:
    """All answer alike in both months: the change is exact, how sure it is cannot be told."""
    months = [
        table().assign(period=p, answered_at=f"{p}-05", recommend=x, customer_id=lambda d, p=p: d.customer_id + p)
        for p, x in (("2026-09", before), ("2026-10", 10.0))
    ]
    study = study_of(tmp_path, surveys=pd.concat(months)[["customer_id", "period", "recommend"]], window=2)
    change = cx.score(study, "recommend").one(measure="difference", model="change")
    assert (change["estimate"], change["conf_low"], change["conf_high"]) == (100 * (before < 9) * 2, None, None)


def test_sites_that_answered_in_other_months_are_no_observations_of_this_one(tmp_path: Path) -> None:
    """A month's score, its error and its degrees of freedom are those of the table of that month alone."""
    dice = np.random.default_rng(3)
    sites = {"2026-08": range(40), "2026-09": range(8, 14), "2026-10": range(10)}
    months = [
        pd.DataFrame({"customer_id": [f"c{i}" for i in range(120)], "period": p, "site_id": [f"s{i % len(who) + who[0]}" for i in range(120)],
                      "recommend": dice.integers(4, 11, 120) * 1.0, "ces": dice.integers(1, 8, 120) * 1.0})
        for p, who in sites.items()
    ]  # fmt: skip

    def studied(name: str, frames: list[pd.DataFrame]) -> Study:
        (tmp_path / name).mkdir()
        frame = pd.concat(frames)
        panel, surveys = frame.drop(columns=["recommend", "ces"]), frame.drop(columns="site_id")
        return study_of(tmp_path / name, panel=panel, surveys=surveys, levels=["customer", "site"], window=3)

    studies = [studied(name, months[first:]) for name, first in (("all", 0), ("two", 1), ("one", 2))]
    columns = ("estimate", "std_error", "df", "conf_low", "conf_high")
    for of in ("recommend", "ces"):
        found = [cx.score(study, of) for study in studies]
        now, change = (
            [[f.one(measure=m, model=k, group="all")[c] for c in columns] for f in found[:n]]
            for m, k, n in (("score", "answered", 3), ("difference", "change", 2))
        )
        assert now[0] == pytest.approx(now[2], rel=1e-9)
        assert change[0] == pytest.approx(change[1], rel=1e-9)
        assert "over 10 blocks" in found[0].method


@pytest.mark.parametrize("statistic", [0.5, 3.0, 300.0, 1e5])
def test_few_clusters_have_an_end_far_out(statistic: float) -> None:
    """Of three sites in three regions F has one degree below: its noncentral end lies at ten times F, as R's pf says."""
    every = [groups.Group(40, mean, 1.0) for mean in (1.0, 1.5, 2.0)]
    found = groups.between(every, groups.Test(statistic, (2.0, 1.0), 0.3))
    assert found.estimate is not None
    assert found.conf_high is not None
    within = found.estimate / (1 - found.estimate)
    end = found.conf_high / (1 - found.conf_high) * 2 * statistic / within
    assert stats.ncf.cdf(statistic, 2, 1, end) == pytest.approx(0.025, rel=1e-6)
    r = {0.5: 8.467813, 3.0: 34.06945, 300.0: 3018.355}  # uniroot(function(c) pf(f, 2, 1, ncp = c) - .025, …)
    assert end == pytest.approx(r.get(statistic, end), rel=1e-6)


@pytest.mark.parametrize("liked", [True, False])
def test_no_score_is_asked_of_the_silent_that_there_is_not(liked: bool, tmp_path: Path) -> None:
    """Where two thirds answered and nearly all alike, no answers of the rest bring everybody to zero: the sentence says so."""
    most, few = (10.0, 5.0) if liked else (2.0, 9.0)
    given = np.where(np.arange(CUSTOMERS) % 10 == 1, few, most)
    frame = table().assign(recommend=lambda d: np.where(d.answered_at.notna(), given, np.nan))
    finding = asked(opened(tmp_path, frame))
    answered = frame.recommend.dropna()
    net = 100 * ((answered >= 9).mean() - (answered <= 6).mean())
    share, end = len(answered) / CUSTOMERS, -100 if liked else 100
    bound, silent = share * net + (1 - share) * end, net - finding.one(measure="tipping")["estimate"]
    assert abs(silent) > 100
    side, given_by_all = ("above", "lowest") if liked else ("below", "highest")
    told = f"everybody together stands {side} 0: at {bound:.1f} if all of them had given the {given_by_all} answer"
    assert f"Whatever the silent think, {told.replace('-', '−')}" in finding.answer
    assert "points" not in finding.answer.partition("Whatever")[2].partition(". ")[0]
