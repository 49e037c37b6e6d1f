"""Reliabilities, factors and the model of the scores are R's on our own table of answers: `witness/measurement.R`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_study import study_of
from witnesses import EXACT, HERE, says_again, witness

import cxresearch as cx
from cxresearch.evidence.lab import extraction
from cxresearch.evidence.measurement import METHODS
from cxresearch.finding import Finding

R = witness("measurement")
SCORES = ("responsiveness", "assurance", "trust")
STEMS = ("rater_res_", "rater_ass_", "trust")
ITEMS = [
    *(f"rater_res_{i}" for i in range(1, 5)),
    *(f"rater_ass_{i}" for i in range(1, 5)),
    "trust1",
    "trust2",
    "trust3",
]
SEARCHED = 2e-5  # lavaan stops its search where a loading is known to about five digits
MEANS = 2e-3  # of the scaling within clusters: lavaan counts means too, though the model leaves them free


@cache
def answers() -> pd.DataFrame:
    return pd.read_csv(HERE / "measurement.csv")


@pytest.fixture(scope="module")
def reliability(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    """What `reliability` says, by what the clusters are."""
    found = {}
    for level in ("customer", "site"):
        folder = tmp_path_factory.mktemp(level)
        study = study_of(folder, surveys=answers(), panel=panel(), levels=["customer", level][: 1 + (level == "site")])
        found[level] = cx.reliability(study, "responsiveness", method=METHODS)
    return found


def panel() -> pd.DataFrame:
    return answers()[["customer_id", "site_id", "value_segment"]]


@pytest.fixture(scope="module")
def factors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finding]:
    """What `factors` says, by what the clusters are."""
    found = {}
    for level in ("customer", "site"):
        folder = tmp_path_factory.mktemp(level)
        surveys = answers().drop(columns=["site_id", "value_segment"])
        study = study_of(folder, surveys=surveys, panel=panel(), levels=["customer", "site"][: 1 + (level == "site")])
        parts = ["number", "model", "distinct", "halo", "oblimin", "varimax", "promax"]
        found[level] = cx.factors(study, SCORES, by="value_segment", method=parts)
        found[f"ordered {level}"] = cx.factors(study, ["tangibles", "empathy"])
    return found


def estimates(finding: Finding, **which: str | list[str]) -> list[float]:
    return [row["estimate"] for row in finding.rows(**which)]


def indices(finding: Finding, model: str, *terms: str) -> list[float]:
    return [finding.one(term=term, model=model, measure="fit_index")["estimate"] for term in terms]


def test_reliabilities_of_one_score(reliability: dict[str, Finding]) -> None:
    """Alpha's companions and what each answer adds are those of psych."""
    found = reliability["customer"]
    error = found.one(measure="alpha", model="duhachek")["std_error"]
    got = [
        found.one(measure="alpha", model="standardised")["estimate"],
        found.one(measure="lambda6")["estimate"],
        found.one(measure="r")["estimate"],
        error,
    ]
    np.testing.assert_allclose(got, R["alpha_others"], rtol=EXACT)
    for part, measure, model in (
        ("item_total_rest", "item_total", "rest"),
        ("item_total_all", "item_total", "all"),
        ("alpha_dropped", "alpha", "dropped"),
    ):
        np.testing.assert_allclose(estimates(found, measure=measure, model=model), R[part], rtol=EXACT)


@pytest.mark.parametrize(
    "part, measure, model",
    [
        ("omega", "omega", "implied"),
        ("composite_reliability", "composite_reliability", "standardised"),
        ("ave", "ave", "standardised"),
    ],
)
def test_omega_with_its_error(reliability: dict[str, Finding], part: str, measure: str, model: str) -> None:
    """Omega, composite reliability and AVE have lavaan's estimates and errors by the delta method."""
    record = reliability["customer"].one(measure=measure, model=model)
    np.testing.assert_allclose([record["estimate"], record["std_error"]], R[part], rtol=SEARCHED)


def test_omega_among_neighbours(reliability: dict[str, Finding]) -> None:
    """Where sites are clusters, the error of omega is that of the model fitted anew without each of them."""
    record = reliability["site"].one(measure="omega", model="implied")
    np.testing.assert_allclose([record["estimate"], record["std_error"]], R["omega_sites"], rtol=1e-4)
    observed = reliability["site"].one(measure="omega", model="observed")
    assert observed["estimate"] == pytest.approx(R["omega_observed"][0], rel=SEARCHED)


def test_how_many_factors(factors: dict[str, Finding]) -> None:
    """Eigenvalues, KMO, Bartlett's test and the count of parallel analysis are psych's."""
    found = factors["customer"]
    np.testing.assert_allclose(estimates(found, measure="eigenvalue"), R["eigenvalues"], rtol=EXACT)
    assert indices(found, "crude", "kmo") == pytest.approx(R["kmo"], rel=EXACT)
    test = found.one(term="bartlett")
    want = R["bartlett"]
    assert [test["estimate"], test["df"], test["p_value"]] == pytest.approx(
        [want["chisq"], want["df"], want["p.value"]], rel=1e-8
    )
    assert found.one(measure="factors")["estimate"] == R["parallel"]["1"]
    chance = [row["effect"] for row in found.rows(measure="eigenvalue")][:3]
    assert chance == pytest.approx([R["parallel"][f"C{i}"] for i in (1, 2, 3)], abs=0.02)  # 500 and 1,000 draws


@pytest.mark.parametrize("how", ["oblimin", "varimax", "promax"])
def test_rotated_loadings(factors: dict[str, Finding], how: str) -> None:
    """Rotated loadings are those of GPArotation, and of stats::promax."""
    got = np.array(estimates(factors["customer"], measure="loading", model=how)).reshape(3, -1)
    want = np.array(R[how]).reshape(3, -1)
    order = [int(np.argmin([np.abs(row - mine).max() for mine in got])) for row in want]
    np.testing.assert_allclose(got[order], want, atol=1e-4)
    r = np.corrcoef(answers()[ITEMS].to_numpy().T)
    got = (extraction.minres(r, 3) ** 2).sum(1)
    np.testing.assert_allclose(got, list(R["minres"].values()), atol=1e-5)


def test_the_model_of_the_scores(factors: dict[str, Finding]) -> None:
    """Loadings, correlations and their robust errors, with and without clusters, are lavaan's."""
    for level, errors in (("customer", "cfa_errors_robust"), ("site", "cfa_errors_sites")):
        rows = [
            *factors[level].rows(measure="loading", model="robust"),
            *factors[level].rows(measure="r", model="robust"),
        ]
        np.testing.assert_allclose([row["estimate"] for row in rows], R["cfa_parameters"], rtol=5e-5)
        np.testing.assert_allclose([row["std_error"] for row in rows], R[errors], rtol=5e-5)


def test_the_fit_of_the_model(factors: dict[str, Finding]) -> None:
    """Fit indices of normal answers, scaled, scaled within sites, and of one factor alone are lavaan's."""
    names = ("chi2", "cfi", "tli", "rmsea", "srmr", "aic", "bic")
    found = factors["customer"]
    chi2, df, p, cfi, tli, rmsea, low, high, srmr, aic, bic = R["cfa_fit"]
    assert indices(found, "normal", *names) == pytest.approx([chi2, cfi, tli, rmsea, srmr, aic, bic], rel=SEARCHED)
    test, error = found.one(term="chi2", model="normal"), found.one(term="rmsea", model="normal")
    assert [test["df"], test["p_value"]] == pytest.approx([df, p], rel=SEARCHED)
    assert [error["conf_low"], error["conf_high"]] == pytest.approx([low, high], rel=SEARCHED)
    for level, model, part, rtol in (
        ("customer", "robust", "cfa_fit_robust", 1e-4),
        ("site", "robust", "cfa_fit_sites", MEANS),
        ("customer", "one_factor", "cfa_one_factor", 1e-4),
    ):
        chi2, p, cfi, tli, rmsea, low, high = R[part]
        found = factors[level]
        assert indices(found, model, "chi2", "cfi", "tli") == pytest.approx([chi2, cfi, tli], rel=rtol)
        assert found.one(term="chi2", model=model)["p_value"] == pytest.approx(p, rel=10 * rtol, abs=1e-12)
        error = found.one(term="rmsea", model=model)
        got = [error["estimate"], error["conf_low"], error["conf_high"]]
        assert got == pytest.approx([rmsea, low, high], rel=10 * rtol)


def test_distinctness_and_halo(factors: dict[str, Finding]) -> None:
    """HTMT in both kinds, one answer throughout, and what the marker item shares are as R computes them."""
    found = factors["customer"]
    for model, part in (("crude", "htmt"), ("geometric", "htmt2")):
        np.testing.assert_allclose(estimates(found, measure="htmt", model=model), R[part], rtol=EXACT)
    line = found.one(term="straight_line", outcome="responsiveness")
    assert line["estimate"] == pytest.approx(R["straight_line"][0], rel=EXACT)
    np.testing.assert_allclose(estimates(found, term="marker_item"), R["marker_item"], rtol=EXACT)


def test_groups_that_answer_alike(factors: dict[str, Finding]) -> None:
    """Chi², df and CFI of the three steps of invariance are lavaan's."""
    for model in ("configural", "metric", "scalar"):
        record = factors["customer"].one(term="value_segment", model=model, measure="fit_index")
        np.testing.assert_allclose([record["effect"], record["df"], record["estimate"]], R[model], rtol=1e-6)


def test_ordered_answers(factors: dict[str, Finding]) -> None:
    """Answers of four categories have lavaan's loadings by weighted least squares, their errors and the scaled test."""
    found = factors["ordered customer"]
    rows = [*found.rows(measure="loading"), *found.rows(measure="r", model="ordered")]
    np.testing.assert_allclose([row["estimate"] for row in rows], R["ordered_parameters"], rtol=SEARCHED)
    np.testing.assert_allclose([row["std_error"] for row in rows], R["ordered_errors"], rtol=SEARCHED)
    chi2, df, srmr = R["ordered_fit"]
    test = found.one(term="chi2")
    assert [test["estimate"], test["df"]] == pytest.approx([chi2, df], rel=SEARCHED)
    assert indices(found, "ordered", "srmr") == pytest.approx([srmr], rel=SEARCHED)


@pytest.mark.slow
def test_r_says_again_what_it_said(tmp_path: Path) -> None:
    """The script beside the numbers gives them again."""
    says_again("measurement", tmp_path / "again.json")
