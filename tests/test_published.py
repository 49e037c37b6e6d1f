"""Numbers that others published come out of the verbs that the notebooks call.

The other published numbers stand with their family: survival and Cox of month-to-month customers in
test_reference_lives.py, E-value and robustness value in test_hidden_cause.py, the rates and correlations of the
example tables in test_notebooks.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from berkeley import admissions
from reference_case import stand_in, table
from small_study import study_of
from test_reference_paths import ecsi

import cxresearch as cx

# departments stand in for numbers; A is none of them
DEPARTMENTS = {"B": "revenue", "C": "margin", "D": "latency_ms", "E": "wait_s", "F": "outage_min"}


@pytest.mark.usefixtures("reference")
def test_paths_of_the_mobile_survey() -> None:
    """Path coefficients and R² of the semPLS vignette (Monecke & Leisch 2012), standardised, centroid scheme."""
    found = ecsi(method="centroid")
    path = {(r["term"], r["outcome"]): r["estimate"] for r in found.rows(measure="path")}
    wanted = {
        ("Image", "Expectation"): 0.50470564,
        ("Quality", "Satisfaction"): 0.51254524,
        ("Satisfaction", "Loyalty"): 0.48347472,
    }
    assert {key: path[key] for key in wanted} == pytest.approx(wanted, abs=5e-9)
    assert len(path) == 12
    fits = {r["outcome"]: r["estimate"] for r in found.rows(measure="r2")}
    assert [fits["Satisfaction"], fits["Loyalty"]] == pytest.approx([0.6803, 0.4573], abs=5e-5)


@pytest.mark.usefixtures("reference")
def test_relative_weights_of_motor_cars(tmp_path: Path) -> None:
    """Johnson's weights of the page of the R package rwa: mpg on cyl, disp, hp and gear of mtcars."""
    wanted = {"cyl": 0.2284797, "disp": 0.2221469, "hp": 0.2321744, "gear": 0.0963886}
    study, words = stand_in(tmp_path, table("mtcars"), ["mpg", *wanted])
    found = cx.rank_drivers(study, words["mpg"], [words[name] for name in wanted], method="johnson")
    r2 = float(np.sum(list(wanted.values())))
    parts = [found.one(measure="share", model="crude", term=words[name])["estimate"] * r2 for name in wanted]
    assert r2 == pytest.approx(0.7791896, abs=2e-7)
    assert parts == pytest.approx(list(wanted.values()), abs=1e-7)


def test_admissions_of_berkeley_turn(tmp_path: Path) -> None:
    """Simpson's classic: men are admitted more (odds ratio 1.84) over all, and less (.905) within departments."""
    frame = admissions().rename(columns={"fcr": "churned"})
    departments = {term: (frame.value_segment == x).astype(float) for x, term in DEPARTMENTS.items()}
    ids = [f"a{i}" for i in range(len(frame))]
    study = study_of(tmp_path, panel=frame.assign(customer_id=ids, **departments))
    found = cx.explain_churn(study, "prepaid", given=list(DEPARTMENTS.values()))
    ratio = {r["model"]: r["estimate"] for r in found.rows(measure="odds_ratio")}
    assert ratio["crude"] == pytest.approx(1.841, abs=5e-4)
    assert ratio["adjusted"] == pytest.approx(0.905, abs=5e-4)
    assert "confounded" in [caveat.code for caveat in found.caveats]
