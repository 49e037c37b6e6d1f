"""Rankings by segment, room, what a block adds, and products of terms: each against plain numbers."""

from __future__ import annotations

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
