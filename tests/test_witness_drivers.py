"""Importance of terms and blocks, and ordinal models, agree with R on our own table: `witness/drivers.R` wrote the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import study_of
from witnesses import EXACT, says_again, table, witness

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.evidence import shares
from cxresearch.finding import Finding

R = witness("drivers")
KEYS, SURVEY = ["customer_id", "period"], ["sat1", "sat2", "sat3", "recommend"]
TERMS = ("retainability", "wait_s", "bill_errors", "call_failures")
LEAVING = ("satisfaction", "prepaid", "tenure_m")
BLOCKS = {"network": ["retainability", "call_failures"], "design": ["bill_errors"], "operations": ["wait_s"]}
RELIABILITY = {"network": 0.9, "design": 0.7, "operations": 0.8}
# ours moves the coefficients by one Newton step where a site is left out, R fits anew
ONE_STEP = 0.02
# statsmodels takes the derivatives of an ordinal likelihood by differences
NUMERIC = 1e-5


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Finding]:
    """Findings of the table whose clusters are sites, by the method; made when first asked for."""

    def opened(stated: bool) -> Study:
        frame = table().drop(columns="period") if stated else table()
        keys = [k for k in KEYS if k in frame]
        folder = tmp_path_factory.mktemp("witness")
        return study_of(
            folder, panel=frame.drop(columns=SURVEY), surveys=frame[[*keys, *SURVEY]], levels=["customer", "site"]
        )

    study, of_leaving = opened(False), opened(True)

    @cache
    def finding(method: str) -> Finding:
        if method == "leaving":
            return cx.rank_drivers(of_leaving, "churned", LEAVING)
        if method == "blocks":
            return cx.block_shares(study, "satisfaction", BLOCKS)
        if method == "reliable":
            return cx.block_shares(study, "satisfaction", BLOCKS, reliability=RELIABILITY)
        if method == "ordinal":
            return cx.fit("recommend ~ retainability + wait_s + bill_errors", study, method="ordinal").finding
        return cx.rank_drivers(study, "satisfaction", TERMS, method=method)

    return finding


def agrees(name: str, record: dict[str, Any], rtol: float = EXACT) -> None:
    """Every number that R gave under a name is that of the record; estimates are exact."""
    for key, want in R[name].items():
        tolerance = EXACT if key == "estimate" else rtol
        np.testing.assert_allclose(record[key], want, rtol=tolerance, atol=1e-12, err_msg=f"{name} {key}")


@pytest.mark.parametrize("term", TERMS)
def test_relative_weights(term: str, ranked: Callable[[str], Finding]) -> None:
    """Johnson's weights and their jackknife over sites are R's."""
    agrees(f"johnson_{term}", ranked("johnson").one(measure="share", model="crude", term=term))


@pytest.mark.parametrize("method", ["first", "last", "betasq", "pratt", "car"])
def test_other_ways_to_share_out(method: str, ranked: Callable[[str], Finding]) -> None:
    """Every other way of sharing out R² gives what R gives from models fitted one by one."""
    got = [ranked(method).one(measure="share", model="crude", term=t)["estimate"] for t in TERMS]
    np.testing.assert_allclose(got, [R[method][t] for t in TERMS], rtol=EXACT)


@pytest.mark.parametrize("term", TERMS)
def test_dominance(term: str, ranked: Callable[[str], Finding]) -> None:
    """What a term adds to sets of each size, and how often it adds more than another, is R's."""
    finding = ranked("dominance")
    got = [finding.one(measure="r2_difference", term=term, group=f"others={i}")["estimate"] for i in range(len(TERMS))]
    np.testing.assert_allclose(got, R[f"adds_{term}"], rtol=1e-8, atol=1e-12)
    for other, want in R[f"more_{term}"].items():
        assert finding.one(measure="rate", term=term, group=f"over={other}")["estimate"] == want


def test_collinearity(ranked: Callable[[str], Finding]) -> None:
    """Variance inflation is that of car's vif, the condition number that of the eigenvalues."""
    for term, want in R["vif"].items():
        assert ranked("lmg").one(measure="vif", term=term)["estimate"] == pytest.approx(want, rel=EXACT)
    covariance = np.cov(table()[list(TERMS)].to_numpy(float).T)
    assert shares.inflation(covariance, range(4))[1] == pytest.approx(R["condition"]["number"], rel=EXACT)


@pytest.mark.parametrize("term", TERMS)
def test_performance(term: str, ranked: Callable[[str], Finding]) -> None:
    """The mean of a term stands between the ends of its range, the better end up."""
    agrees(f"score_{term}", ranked("performance").one(measure="score", term=term))


@pytest.mark.parametrize("term", TERMS)
def test_penalty_and_reward(term: str, ranked: Callable[[str], Finding]) -> None:
    """Slopes on both sides of the mean and their difference are those of R's lm, with the jackknife over sites."""
    finding = ranked("penalty_reward")
    agrees(f"worse_{term}", finding.one(measure="slope", term=term, group="side=worse"))
    agrees(f"better_{term}", finding.one(measure="slope", term=term, group="side=better"))
    agrees(f"asymmetry_{term}", finding.one(measure="difference", term=term))


@pytest.mark.parametrize("term", LEAVING)
def test_shares_of_leaving(term: str, ranked: Callable[[str], Finding]) -> None:
    """Shares of McFadden's R² are those of R's glm; their errors are near those of models fitted without each site."""
    agrees("mcfadden", ranked("leaving").one(measure="r2"))
    agrees(f"leaving_{term}", ranked("leaving").one(measure="share", term=term), ONE_STEP)


def test_the_remainder(ranked: Callable[[str], Finding]) -> None:
    """The share of design in what is not the network's is R's."""
    agrees("remainder_design", ranked("blocks").one(measure="share", model="remainder", term="design"))


@pytest.mark.parametrize("block", BLOCKS)
def test_the_range_over_orders(block: str, ranked: Callable[[str], Finding]) -> None:
    """The range runs over the intervals of the share of a block as Owen's, entering last and entering first."""
    finding = ranked("blocks")
    plain = finding.one(measure="share", model="blocks", term=block)
    ends = [plain, R[f"alone_{block}"], R[f"added_{block}"]]
    record = finding.one(measure="share", model="order", term=block)
    assert record["conf_low"] == pytest.approx(min(e["conf_low"] for e in ends), rel=EXACT)
    assert record["conf_high"] == pytest.approx(max(e["conf_high"] for e in ends), rel=EXACT)


@pytest.mark.parametrize("block", BLOCKS)
def test_known_reliabilities(block: str, ranked: Callable[[str], Finding]) -> None:
    """With one stated reliability for each block the range is the corrected share and its interval."""
    agrees(f"reliable_{block}", ranked("reliable").one(measure="share", model="range", term=block))


def test_ordinal(ranked: Callable[[str], Finding]) -> None:
    """Log odds ratios are those of polr, and their clustered errors those of sandwich."""
    for term, want in R["ordinal"].items():
        record = ranked("ordinal").one(term=term)
        assert math.log(record["estimate"]) == pytest.approx(want, rel=NUMERIC)
        error = R["ordinal_sites"][term]
        assert record["std_error"] / record["estimate"] == pytest.approx(error, rel=1e-3)


@pytest.mark.slow
def test_r_still_says_so(tmp_path: Path) -> None:
    """The script beside the numbers gives them again."""
    says_again("drivers", tmp_path / "again.json")
