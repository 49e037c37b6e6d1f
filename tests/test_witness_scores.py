"""Scores, their levels and their weights against R on our own table: `witness/scores.R` wrote `witness/scores.json`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of
from witnesses import EXACT, says_again, table, witness

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.evidence import proportions
from cxresearch.evidence.lab import groups, sample_size
from cxresearch.evidence.tallies import FULL
from cxresearch.finding import Finding

WITNESS = witness("scores")
SEARCHED = 1e-6  # R's effectsize and its searches for a root or a maximum stop about here
ONE_STEP = 0.001  # ours moves the model of answering by one Newton step where R fits it anew
SURVEY = ["sat1", "sat2", "sat3", "recommend", "design_weight"]


def everybody() -> pd.DataFrame:
    """The table as of one month: every fourth customer is silent, the design's weight grows with tenure."""
    frame = table().drop(columns="period")
    silent = np.arange(len(frame)) % 4 == 0
    frame["plan_type"] = np.where(frame.prepaid == 1, "prepaid", "postpaid")
    frame["design_weight"] = 1 + frame.tenure_m / 60
    frame["answered_at"] = np.where(silent, None, "2026-10-05")
    frame.loc[silent, SURVEY] = np.nan
    return frame


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """The table with every row a customer of its own, and with neighbours of a site together."""
    frame, keys = everybody(), ["customer_id", "answered_at"]
    return {
        name: study_of(
            tmp_path_factory.mktemp(name),
            panel=frame.drop(columns=[*SURVEY, "answered_at"]),
            surveys=frame[[*keys, *SURVEY]],
            levels=levels,
        )
        for name, levels in (("alone", ["customer"]), ("sites", ["customer", "site"]))
    }


FINDINGS: dict[str, Callable[[Study], Finding]] = {
    "mean": lambda study: cx.score(
        study, "satisfaction", by="value_segment", weights="raking", margins=["value_segment", "plan_type"]
    ),
    "net": lambda study: cx.score(
        study, "recommend", by="value_segment", weights="raking", margins=["value_segment", "plan_type"]
    ),
    "design": lambda study: cx.score(study, "satisfaction", weights="design"),
    "answering": lambda study: cx.score(
        study, "satisfaction", weights="answering", margins=["value_segment", "tenure_m"]
    ),
}


@pytest.fixture(scope="module")
def findings(studies: dict[str, Study]) -> Callable[[str, str], Finding]:
    """A finding of a study, by name, made when first asked for."""
    made: dict[tuple[str, str], Finding] = {}

    def of(study: str, name: str) -> Finding:
        if (study, name) not in made:
            made[study, name] = FINDINGS[name](studies[study])
        return made[study, name]

    return of


BETWEEN = {"model": "between", "measure": "difference"}
WEIGHTED = {"model": "weighted", "measure": "score"}
NOW = {"model": "answered", "measure": "score", "group": "all"}
LEVELS = {"high_mass": "high against mass", "high_mid": "high against mid", "mass_mid": "mass against mid"}
ROWS: list[tuple[str, str, str, dict[str, str], float]] = [
    ("mean", "alone", "mean", NOW, EXACT),
    ("net_sites", "sites", "net", NOW, EXACT),
    *((f"welch_{k}", "alone", "mean", BETWEEN | {"term": v}, EXACT) for k, v in LEVELS.items()),
    *((f"g_{k}", "alone", "mean", {"measure": "effect_size", "term": v}, SEARCHED) for k, v in LEVELS.items()),
    *((f"sites_{k}", "sites", "mean", BETWEEN | {"term": v}, EXACT) for k, v in LEVELS.items()),
    ("net_high_mass", "alone", "net", BETWEEN | {"term": "high against mass"}, EXACT),
    ("raked", "alone", "mean", WEIGHTED, EXACT),
    ("raked_net", "alone", "net", WEIGHTED, EXACT),
    ("raked_sites", "sites", "mean", WEIGHTED, EXACT),
    ("design", "alone", "design", WEIGHTED, EXACT),
    ("design_sites", "sites", "design", WEIGHTED, EXACT),
    ("answering_sites", "sites", "answering", WEIGHTED, 1e-8),
    ("answering_refitted", "sites", "answering", WEIGHTED, ONE_STEP),
    ("everybody_sites", "sites", "net", {"model": "all_customers"}, EXACT),
]
ELSEWHERE = {
    "net_add_three", "net_wald_99", "net_tango", "shares_p", "adjusted", "eta2", "cramers_v", "wald_sites", "ranks",
    "raked_cost", "power", *(name for name in WITNESS if name.startswith("share_")),
}  # fmt: skip


def same(got: Any, name: str, rtol: float = EXACT) -> None:
    """Numbers are those that R gave under a name."""
    want = WITNESS[name]
    want = list(want.values()) if isinstance(want, dict) else want
    np.testing.assert_allclose(np.ravel(got), want, rtol=rtol, atol=1e-12, err_msg=name)


def test_every_number_of_r_is_compared() -> None:
    """No number stands in the witness that nothing is compared with."""
    assert sorted([*(name for name, *_ in ROWS), *ELSEWHERE]) == sorted(WITNESS)


@pytest.mark.parametrize("name, study, finding, which, rtol", ROWS, ids=[name for name, *_ in ROWS])
def test_agrees_with_r(
    name: str, study: str, finding: str, which: dict[str, str], rtol: float, findings: Callable[[str, str], Finding]
) -> None:
    """Estimate, error, degrees of freedom, interval and p-value of a row are those that R gives."""
    record = findings(study, finding).one(**which)
    same([record[key] for key in WITNESS[name]], name, rtol)


def test_levels_together(findings: Callable[[str, str], Finding]) -> None:
    """The share of variance between levels, Cramér's V and the tests that levels are equal, alone and clustered."""
    mean, net, sites = findings("alone", "mean"), findings("alone", "net"), findings("sites", "mean")
    keys = ("estimate", "conf_low", "conf_high", "p_value")
    same([mean.one(measure="eta2")[k] for k in keys], "eta2", 1e-8)
    same([net.one(measure="cramers_v")[k] for k in keys], "cramers_v", 1e-8)
    same([r["p_adjusted"] for r in mean.rows(measure="difference")], "adjusted")
    np.testing.assert_allclose(sites.one(measure="eta2")["p_value"], WITNESS["wald_sites"]["p_value"], rtol=1e-8)
    assert sites.rows(measure="cramers_v") == []  # it has no interval where rows are clustered
    same(mean.one(measure="design_effect")["estimate"], "raked_cost")


def test_ranks_of_two_levels() -> None:
    """Cliff's delta is the rank-biserial correlation, with Mann and Whitney's test."""
    frame = everybody().dropna(subset=["sat1"])
    satisfaction = (frame[["sat1", "sat2", "sat3"]].mean(axis=1) - 1) / 9 * 100
    high, mass = (satisfaction[frame.value_segment == level].to_numpy() for level in ("high", "mass"))
    delta = groups.cliffs_delta(high, mass)
    same([delta.estimate, delta.conf_low, delta.conf_high, delta.p_value], "ranks")


def test_intervals_of_a_net_score(findings: Callable[[str, str], Finding]) -> None:
    """The verb adds three answers; the plain and the score interval are R's too, also at another level."""
    record = findings("alone", "net").one(**NOW)
    same([record["conf_low"], record["conf_high"]], "net_add_three")
    recommend = everybody().recommend.dropna()
    counts = int((recommend >= 9).sum()), int((recommend <= 6).sum()), len(recommend)
    for method, level, name, rtol in (("wald", 0.99, "net_wald_99", EXACT), ("score", 0.95, "net_tango", SEARCHED)):
        interval = proportions.net_score(*counts, method, level)  # type: ignore[arg-type]
        same([FULL * (end or 0) for end in (interval.conf_low, interval.conf_high)], name, rtol)


@pytest.mark.parametrize("name", sorted(name for name in WITNESS if name.startswith("share_")))
def test_intervals_of_a_share(name: str) -> None:
    """Twelve of eighty, eight ways."""
    interval = proportions.share(12, 80, name.removeprefix("share_"))  # type: ignore[arg-type]
    same([interval.conf_low, interval.conf_high], name, SEARCHED if name == "share_bayes" else EXACT)


def test_two_shares_and_plans() -> None:
    """Tests of two shares, and how many answers a plan needs."""
    found = groups.shares_compared((12, 30), (80, 90))
    same([found["pooled"].p_value, found["yates"].p_value, found["fisher_p"]], "shares_p")
    plans = (
        sample_size.answers_for_shares(0.2, 0.3),
        sample_size.power_of_shares(0.2, 0.3, 150),
        sample_size.answers_for_means(4, 20, 0.9),
        sample_size.power_of_means(5, 20, 60, paired=True),
    )
    same(plans, "power", SEARCHED)


@pytest.mark.slow
def test_r_still_says_so(tmp_path: Path) -> None:
    """The script beside the numbers gives them again."""
    says_again("scores", tmp_path / "again.json")
