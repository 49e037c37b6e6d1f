"""Path models, mediation and hidden causes against plain R on our own table: the loop on rows, refits without each site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of
from witnesses import EXACT, says_again, table, witness

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME
from cxresearch.finding import Finding

R = witness("paths")
KEYS, SURVEY = ["customer_id", "period"], ["sat1", "sat2", "sat3", "recommend"]
ITEMS = {"network": ["call_failures", "bill_errors", "wait_s"], "price": ["list_price", "usage_data_gb"]}
LINKS = {"satisfaction": ["network", "price"], "recommend": ["network", "satisfaction"]}
PATHS = [("path", "network", "satisfaction"), ("path", "price", "satisfaction"), ("path", "network", "recommend"),
         ("path", "satisfaction", "recommend"), ("total_path", "network", "recommend"), ("r2", None, "recommend")]  # fmt: skip
LOOP = 1e-8  # both go round until nothing moves, and stop by their own rule
# ours moves the coefficients by one Newton step and the effect to first order, R fits anew without each site
ONE_STEP = 0.02


def study(folder: Path, frame: pd.DataFrame, levels: tuple[str, ...] = ("customer", "site")) -> Study:
    keys = [c for c in KEYS if c in frame.columns]
    return study_of(folder, panel=frame.drop(columns=SURVEY), surveys=frame[keys + SURVEY], levels=levels)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("sites"), table())


def agrees(name: str, records: list[dict[str, Any]], rtol: float = EXACT, errors: float | None = None) -> None:
    """Estimates, errors and ends of rows are those of R, in the same order."""
    numbered = {f"{key}{i}": record[key] for i, record in enumerate(records, 1) for key in record}
    got = numbered | (records[0] if len(records) == 1 else {})
    floor = max(value for key, value in R[name].items() if key.startswith("std_error"))
    for key, want in R[name].items():
        tolerance = rtol if key.startswith("estimate") or errors is None else errors
        # an end near zero is held to the size of its error
        np.testing.assert_allclose(got[key], want, rtol=tolerance, atol=tolerance * floor, err_msg=f"{name} {key}")


def of_paths(finding: Finding) -> list[dict[str, Any]]:
    found = []
    for measure, term, outcome in PATHS:
        found += [r for r in finding.rows(measure=measure, outcome=outcome) if r["term"] == term]
    return found


@pytest.mark.parametrize(
    "name, how",
    [
        ("path", {}),
        ("factorial", {"method": "factorial"}),
        ("raw_centroid", {"method": "centroid", "items": "raw"}),
        ("consistent", {"method": "consistent"}),
    ],
)
def test_path_model(name: str, how: dict[str, str], sites: Study) -> None:
    """Every scheme, raw and standardised: paths, total and R², with the error of refits without each site."""
    measures = ITEMS | ({"network": ["call_failures"]} if name == "consistent" else {})
    agrees(name, of_paths(cx.paths(sites, LINKS, measures, **how)), LOOP)


def test_importance_and_performance(sites: Study) -> None:
    """Mean and slope in points of 100, by weights of answers in their own units."""
    finding = cx.paths(sites, LINKS, ITEMS)
    # what lies between by no answer of a range has no points: the slope of recommending by satisfaction has
    rows = [
        finding.one(measure="score", outcome="satisfaction"),
        finding.one(measure="slope", outcome="recommend", term="satisfaction"),
    ]
    agrees("points", rows, LOOP)
    assert not finding.rows(measure="score", outcome="network")


def test_what_has_no_reliability_is_not_corrected_for_it(sites: Study) -> None:
    """Failures, errors and waits do not move together: the consistent model does not exist, and says what to do."""
    finding = cx.paths(sites, LINKS, ITEMS, method="consistent")
    assert "improper" in [caveat.code for caveat in finding.caveats]


HELD = ("list_price", "tenure_m")


def test_parts_of_an_association(sites: Study) -> None:
    """Total, direct, indirect part, both links, the share and the hidden correlation, by sites."""
    finding = cx.mediate(sites, "satisfaction", "retainability", "call_failures", HELD)
    whole = [
        finding.rows(model=k, term="retainability", outcome="satisfaction")[0] for k in ("total", "direct", "indirect")
    ]
    links = [finding.one(measure="slope", outcome="call_failures"), finding.one(measure="slope", term="call_failures")]
    agrees("parts", whole + links)
    agrees("share", [finding.one(measure="effect_share")])
    agrees("hidden_r", [finding.one(measure="hidden_r")])
    hidden = finding.one(measure="robustness")
    np.testing.assert_allclose(
        [hidden["estimate"], hidden["effect"]], [R["hidden"]["estimate"], R["hidden"]["effect"]], rtol=EXACT
    )
    known = finding.one(model="as_strong_as_known")
    name = min(R["as_strong"], key=R["as_strong"].get)
    assert known["effect_label"] == f"as strong as {BY_NAME[name].label}"
    assert known["estimate"] == pytest.approx(R["as_strong"][name], rel=EXACT)


def test_sobel(tmp_path: Path) -> None:
    """The delta method where every row is one customer."""
    alone = study(tmp_path, table(), ("customer",))
    finding = cx.mediate(alone, "satisfaction", "retainability", "call_failures", HELD, method="delta")
    agrees("sobel", [finding.one(measure="slope", model="indirect")])


@pytest.mark.parametrize("name, term", [("leaving", "retainability"), ("leaving_of_flag", "prepaid")])
def test_parts_of_leaving(name: str, term: str, tmp_path: Path) -> None:
    """Leavers per 1,000 through and beside satisfaction, averaged over customers, for a number and for a flag."""
    stated = study(tmp_path, table().drop(columns="period"))
    finding = cx.mediate(stated, "churned", term, "satisfaction", ["list_price"])
    rows = [finding.one(measure="per_1000", model=k) for k in ("total", "direct", "indirect")]
    agrees(name, rows, 1e-7, errors=ONE_STEP)
    if name == "leaving":
        assert finding.one(measure="e_value")["estimate"] == pytest.approx(R["e_value"][0], rel=1e-7)


@pytest.mark.slow
def test_r_still_says_so(tmp_path: Path) -> None:
    """The script beside the numbers gives them again."""
    says_again("paths", tmp_path / "again.json")
