"""Rankings by segment, room, what a block adds, and products of terms: each against plain numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from small_study import study_of

import cxresearch as cx


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> cx.Study:
    """600 customers of two segments: in one reliability weighs most, in the other empathy; both are rated apart."""
    rng = np.random.default_rng(5)
    n = 600
    high = rng.random(n) < 0.5
    reliability, empathy, tangibles = (rng.normal(m, 9, n).clip(1, 99) for m in (40, 60, 60))
    weights = np.where(high, 0.8, 0.1)
    liked = weights * reliability + (0.9 - weights) * empathy + 0.004 * (reliability - 40) * (empathy - 60)
    surveys = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "satisfaction": (liked + rng.normal(0, 5, n)).clip(0, 100),
            "reliability": reliability,
            "empathy": empathy,
            "tangibles": tangibles,
            "trust": rng.normal(50, 5, n) + 0.5 * liked,
        }
    )
    panel = pd.DataFrame(
        {"customer_id": surveys["customer_id"], "value_segment": np.where(high, "high", "mass"), "wait_s": 60.0}
    )
    panel["wait_s"] += rng.exponential(30, n)
    return study_of(tmp_path_factory.mktemp("drivers"), panel=panel, surveys=surveys)


TERMS = ["reliability", "empathy", "tangibles"]


def test_a_segment_is_ranked_as_a_study_of_it_alone(study: cx.Study, tmp_path: Path) -> None:
    """Shares of a level are those of its customers alone; the answer says which term is first where."""
    ranked = cx.rank_drivers(study, "satisfaction", TERMS, by="value_segment")
    frame = study.frame(["satisfaction", *TERMS, "value_segment"])
    for level, first in (("high", "reliability"), ("mass", "empathy")):
        own = study_of(
            tmp_path, surveys=frame[frame["value_segment"] == level].drop(columns=["period", "value_segment"])
        )
        plain = {r["term"]: r["estimate"] for r in cx.rank_drivers(own, "satisfaction", TERMS).rows(measure="share")}
        shares = {r["term"]: r["estimate"] for r in ranked.rows(measure="share", group=f"value_segment={level}")}
        assert shares == pytest.approx(plain, abs=1e-9)
        assert max(shares, key=lambda term: shares[term]) == first
    assert "rank 1 with its probability: reliability in high (1.00); empathy in mass (1.00)" in ranked.answer


def test_a_segment_that_is_not_there_is_said_to_be_missing(study: cx.Study) -> None:
    """The ranking of all stands, and the sample says why there is none by segment."""
    ranked = cx.rank_drivers(study, "satisfaction", TERMS, by="age_band")
    assert "the study has no panel.age_band" in ranked.sample
    assert {row["group"] for row in ranked.rows()} == {"all"}


def test_room_is_told_only_beyond_chance(study: cx.Study) -> None:
    """Reliability lies below the mean of the terms; with all rated alike no term is said to."""
    room = cx.rank_drivers(study, "satisfaction", TERMS, method="performance")
    scores = {row["term"]: row["estimate"] for row in room.rows(measure="score")}
    away = room.one(measure="difference", term="reliability")
    assert away["estimate"] == pytest.approx(scores["reliability"] - np.mean(list(scores.values())))
    assert room.title == "Most room: reliability, with more than an equal share and below the mean"
    alike = cx.rank_drivers(study, "satisfaction", ["empathy", "tangibles"], method="performance")
    assert "among these: none" in alike.answer


def test_what_a_block_adds_is_the_difference_of_two_models(study: cx.Study) -> None:
    """Adjusted R² of all columns less that without the block, each by statsmodels."""
    blocks = {"said": ["reliability", "empathy"], "met": ["wait_s"]}
    split = cx.block_shares(study, "satisfaction", blocks)
    frame = study.frame(["satisfaction", "reliability", "empathy", "wait_s"])
    r2 = {x: smf.ols(f"satisfaction ~ {x}", frame).fit().rsquared_adj for x in ("reliability + empathy", "wait_s")}
    whole = smf.ols("satisfaction ~ reliability + empathy + wait_s", frame).fit().rsquared_adj
    added = {row["term"]: row["estimate"] for row in split.rows(measure="r2_difference")}
    assert added["met"] == pytest.approx(whole - r2["reliability + empathy"], abs=1e-9)
    assert added["said"] == pytest.approx(whole - r2["wait_s"], abs=1e-9)
    assert added["end_to_end"] == pytest.approx(added["met"])


def test_a_reliability_is_told_to_three_digits(study: cx.Study) -> None:
    """A reliability that was reckoned from answers is not known to six digits, and is not printed so."""
    blocks = {"said": ["reliability", "empathy"], "met": ["wait_s"]}
    split = cx.block_shares(study, "satisfaction", blocks, reliability={"said": (0.8356734, 0.9), "met": 0.5})
    assert "Range: reliability said 0.836 to 0.9, met 0.5." in split.method


def test_a_product_is_told_by_steps(study: cx.Study) -> None:
    """The slope for 10 points of one differs by 100 times the product's coefficient at 10 points more of the other."""
    fit = cx.fit("satisfaction ~ reliability * empathy", study)
    row = fit.finding.one(measure="difference")
    assert row["term"] == "reliability:empathy"
    assert row["estimate"] == pytest.approx(100 * fit.result.params["reliability:empathy"])
    assert row["std_error"] == pytest.approx(100 * fit.result.bse["reliability:empathy"])
    assert row["conf_low"] < 0.4 < row["conf_high"]  # planted
    assert fit.finding.answer.startswith("The slope of satisfaction for 10 points more reliability differs by")
    assert cx.fit("satisfaction ~ reliability + empathy", study).finding.rows(measure="difference") == []


def test_an_end_of_the_scale_is_doubted_only_where_answers_reach_it(study: cx.Study, tmp_path: Path) -> None:
    """No doubt where nobody answers with the best end; where many do, the share is told."""
    free = cx.rank_drivers(study, "satisfaction", TERMS, method="penalty_reward")
    assert "ceiling" not in {caveat.code for caveat in free.caveats}
    frame = study.frame(["satisfaction", *TERMS]).drop(columns="period")
    at_end = (frame["satisfaction"] >= 55).mean()
    frame["satisfaction"] = frame["satisfaction"].where(frame["satisfaction"] < 55, 100)
    capped = cx.rank_drivers(study_of(tmp_path, surveys=frame), "satisfaction", TERMS, method="penalty_reward")
    told = next(caveat.text for caveat in capped.caveats if caveat.code == "ceiling")
    assert f"satisfaction ({100 * at_end:.0f} %)" in told


def test_no_interval_of_explained_variance_passes_one(tmp_path: Path) -> None:
    """Where few rows are explained nearly whole, the interval of R² stays below 1 and zero is where its p-value says."""
    rng = np.random.default_rng(3)
    panel = pd.DataFrame(rng.normal(size=(16, 3)), columns=["latency_ms", "wait_s", "throughput_mbps"]) + 9
    panel["revenue"] = panel.sum(axis=1) + rng.normal(0, 0.5, 16)
    panel.loc[3, "revenue"] += 3
    finding = cx.rank_drivers(study_of(tmp_path, panel=panel), "revenue", ["latency_ms", "wait_s", "throughput_mbps"])
    told = finding.one(measure="r2")
    error, half = told["std_error"], told["conf_high"] - told["estimate"]
    assert told["estimate"] + 2.13 * error > 1  # as large as its error is
    assert 0 < half < 2.13 * error
    assert told["conf_high"] < 1
    assert (told["p_value"] < 0.05) == (told["conf_low"] > 0)


def test_a_term_that_is_another_but_for_rounding_has_no_slope(tmp_path: Path) -> None:
    """As lm of R leaves it out (NA): a model with both would give slopes of millions of either sign."""
    rng = np.random.default_rng(0)
    panel = pd.DataFrame({"revenue": rng.normal(50, 9, 40), "latency_ms": rng.normal(50, 9, 40)})
    panel["wait_s"] = panel.latency_ms + rng.normal(0, 1e-7, 40)
    panel["order_days"] = panel.latency_ms + rng.normal(0, 1e-2, 40)
    study = study_of(tmp_path, panel=panel)
    _, finding = cx.fit("revenue ~ latency_ms + wait_s", study)
    assert (finding.rows(), "says what others say" in finding.answer) == ([], True)
    _, finding = cx.fit("revenue ~ latency_ms + order_days", study)
    plain = smf.ols("revenue ~ latency_ms + order_days", panel).fit()
    assert finding.one(term="order_days")["estimate"] == pytest.approx(plain.params["order_days"], rel=1e-6)


def test_the_method_of_a_ranking_names_its_own_intervals(study: cx.Study) -> None:
    """Intervals of shares come by the jackknife where rows are independent too: no formula of a correlation is named."""
    method = cx.rank_drivers(study, "satisfaction", ["reliability", "empathy"]).method
    assert re.search(r"jackknife over \d+ blocks of 600 rows; every row is one customer", method)
    assert "Fisher" not in method


@pytest.mark.parametrize("method", ["lmg", "johnson"])
def test_terms_that_say_the_same_share_their_rank(method: str, tmp_path: Path) -> None:
    """Rounding does not put one before the other; R² is corrected for two slopes, as lm of R leaves the third out (NA)."""
    rng = np.random.default_rng(2)
    panel = pd.DataFrame({"latency_ms": rng.normal(50, 9, 60)})
    panel = panel.assign(wait_s=3 * panel.latency_ms + 7, order_days=rng.normal(50, 9, 60) + panel.latency_ms)
    panel["revenue"] = panel.latency_ms + rng.normal(99, 9, 60)
    terms = ["wait_s", "latency_ms", "order_days"]
    finding = cx.rank_drivers(study_of(tmp_path, panel=panel), "revenue", terms, method=method)
    plain = smf.ols("revenue ~ latency_ms + order_days", panel).fit()
    assert finding.one(measure="r2")["estimate"] == pytest.approx(plain.rsquared_adj, rel=1e-9)
    wait, latency = (finding.one(measure="rank", term=x) for x in terms[:2])
    told = ("estimate", "conf_low", "conf_high", "effect")
    assert [wait[key] for key in told] == [latency[key] for key in told]
    assert (wait["estimate"], finding.one(measure="rank", term="order_days")["estimate"]) == (1, 3)
    both = r"(Wait for care and \w+|\w+ and wait for care) rank first among 3 terms"
    assert re.match(both, finding.answer), finding.answer


@pytest.mark.parametrize(
    ("worse", "better", "words"),
    [(-1.0, -3.0, "the better side weighs more"), (-3.0, -1.0, "the worse side weighs more"),
     (3.0, 1.0, "the worse side weighs more"), (2.0, -2.0, "the sides go opposite ways")],
)  # fmt: skip
def test_the_side_that_weighs_more_is_the_steeper(worse: float, better: float, words: str, tmp_path: Path) -> None:
    """Also of a term that goes with less of the outcome: there the difference of the slopes has the other sign."""
    rng = np.random.default_rng(5)
    panel = pd.DataFrame({"margin": np.linspace(0, 10, 201)})  # more is better, and its mean is 5
    away = panel.margin - 5
    panel["revenue"] = 99 + worse * away.clip(upper=0) + better * away.clip(lower=0) + rng.normal(0, 0.1, 201)
    panel["latency_ms"] = rng.random(201)
    study = study_of(tmp_path, panel=panel)
    finding = cx.rank_drivers(study, "revenue", ["margin", "latency_ms"], method="penalty_reward")
    assert finding.one(measure="slope", term="margin", group="side=worse")["estimate"] * worse > 0
    assert words in finding.answer


def test_as_many_thresholds_as_rows_leave_nothing_to_tell_a_slope_by(tmp_path: Path) -> None:
    """Ten rows of ten different values have nine thresholds and a slope: polr of R says that the fit has no rows left."""
    rng = np.random.default_rng(3)
    panel = pd.DataFrame({"revenue": np.arange(10.0), "latency_ms": rng.normal(50, 9, 10)})
    result, finding = cx.fit("revenue ~ latency_ms", study_of(tmp_path, panel=panel), method="ordinal")
    assert (result, finding.rows()) == (None, [])
    assert "no more rows than terms and thresholds" in finding.answer
    fewer = panel.assign(revenue=np.arange(10.0) // 2)
    assert cx.fit("revenue ~ latency_ms", study_of(tmp_path, panel=fewer), method="ordinal").finding.rows()


def test_groups_without_a_constant_have_their_odds(tmp_path: Path) -> None:
    """Flags of all groups add up to one: beside a constant they would say it twice, without it each has its own odds."""
    rng = np.random.default_rng(2)
    panel = pd.DataFrame({"value_segment": np.repeat(["high", "mid", "low"], 100), "churned": rng.random(300) < 0.3})
    panel["churned"] = panel.churned.astype(float)
    rates = panel.groupby("value_segment").churned.mean()
    _, finding = cx.fit("churned ~ C(value_segment) - 1", study_of(tmp_path, panel=panel), method="logistic")
    odds = {r["term"]: r["estimate"] for r in finding.rows()}
    assert odds == pytest.approx({f"C(value_segment)[{k}]": v / (1 - v) for k, v in rates.items()}, rel=1e-6)


@pytest.mark.parametrize(("of", "method"), [("revenue", "linear"), ("churned", "logistic")])
def test_a_term_far_from_zero_is_refused_with_what_to_do(of: str, method: str, tmp_path: Path) -> None:
    """Beside 1e9 a spread of nine is lost in the products of rows; with the mean taken from it the slope is that of before."""
    rng = np.random.default_rng(5)
    panel = pd.DataFrame({"latency_ms": rng.normal(60, 9, 200), "wait_s": rng.normal(9, 1, 200)})
    panel["revenue"] = panel.latency_ms + rng.normal(0, 9, 200)
    panel["churned"] = (panel.revenue > 60) * 1.0
    formula, study = (
        f"{of} ~ latency_ms + wait_s",
        study_of(tmp_path, panel=panel.assign(latency_ms=panel.latency_ms + 1e9)),
    )
    _, finding = cx.fit(formula, study, method=method)
    assert (
        finding.answer
        == "Not estimable: latency_ms lies so far from zero that what varies of it is lost; take its mean from it."
    )
    _, plain = cx.fit(formula, study_of(tmp_path, panel=panel), method=method)
    _, mended = cx.fit(formula.replace("latency_ms", "I(latency_ms - 1e9)"), study, method=method)
    want = plain.one(term="latency_ms")["estimate"]
    assert mended.one(term="I(latency_ms - 1e9)")["estimate"] == pytest.approx(want, rel=1e-6)
