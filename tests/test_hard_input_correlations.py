"""`relate` with every method and every step on tables that are meant to break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of
from test_evidence import CUSTOMERS, HOSTILE, assert_sound, opened, table

import cxresearch as cx
from cxresearch.errors import UsageError
from cxresearch.evidence.ladder import METHODS
from cxresearch.finding import Finding
from cxresearch.measures import LADDER

MEASURES = {"r", "rho", "tau", "semipartial", "polychoric"}
MORE = {
    "all ties": lambda d: d.assign(sat1=5.0, recommend=5.0, bill_errors=1.0),
    "one answer but one": lambda d: d.assign(recommend=np.where(d.index == 3, 9.0, 5.0)),
    "one decides the other": lambda d: d.assign(bill_errors=(d.sat1 > 5) * 1.0, recommend=(d.sat1 > 5) * 9.0),
    "fractions": lambda d: d.assign(bill_errors=d.bill_errors / 3),
    "a month of nobody": lambda d: d.assign(recommend=d.recommend.where(d.period == "2026-09")),
}
FAST = {"one decides the other", "one customer"}
KINDS = {"months": {}, "stated": {"stated": True}, "alone": {"stated": True, "sites": False}}


def asked(study: cx.Study) -> list[Finding]:
    """Every step and method between scales of answers, numbers and flags."""
    every: dict[str, Any] = {"method": METHODS}
    return [
        cx.relate(study, "recommend", ["bill_errors"], **every, by="value_segment", steps=["crude", "within_segment"]),
        cx.relate(study, "satisfaction", ["wait_s"], given=["retainability", "call_failures"], **every),
        cx.relate(study, "churned", ["recommend"], given=[], **every, steps=["crude", "all_customers"]),
        cx.relate(study, "wait_s", ["retainability"], given=[], lag=[0, 1], **every),
    ]


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in [*HOSTILE, *MORE]]
)
def test_every_method_is_sound(name: str, tmp_path: Path) -> None:
    """A number or the word that there is none, and why: no error, no warning, no NaN."""
    kind = list(KINDS)[[*HOSTILE, *MORE].index(name) % 3]
    study = opened(tmp_path, (HOSTILE | MORE)[name](table()), **KINDS[kind])
    for finding in asked(study):
        assert_sound(finding)
        for record in finding.rows(measure=MEASURES):
            assert record["estimate"] is None or -1 <= record["estimate"] <= 1
            if record["conf_low"] is not None:
                assert -1 <= record["conf_low"] <= record["conf_high"] <= 1


def test_every_method_gives_a_number_on_a_plain_table(tmp_path: Path) -> None:
    """On a table with nothing wrong every step and method has an estimate and an interval."""
    study = opened(tmp_path, table())
    first = cx.relate(study, "recommend", ["bill_errors"], method=METHODS)
    second = cx.relate(study, "satisfaction", ["wait_s"], method=METHODS)
    assert {r["measure"] for r in first.rows()} == MEASURES
    for record in [*first.rows(), *second.rows()]:
        assert record["conf_low"] is not None, record
    assert "2 to 11 whole-number answers" in second.sample  # an index and seconds are no scale of answers
    assert first.method.startswith("Pearson r, Spearman rho, Kendall tau-b (Fieller's interval where")
    assert "semi-partial r by jackknife, polychoric correlation by maximum likelihood, as if normal" in first.method


@pytest.mark.parametrize(
    "change", [lambda x: x * 1e-8, lambda x: x + 1e9, lambda x: -1e6 * x], ids=["small", "far", "turned"]
)
@pytest.mark.parametrize("sites", [True, False])
def test_units_change_no_correlation(change: Any, sites: bool, tmp_path: Path) -> None:
    """In other units, or counted from elsewhere, each step and method gives the same to nine digits."""
    plain = table().rename(columns={"wait_s": "revenue", "tenure_m": "margin"})  # money may be of any size and sign
    moved = plain.assign(revenue=change(plain.revenue), margin=change(plain.margin))
    turn = np.sign(change(2.0) - change(1.0))
    found = []
    for name, frame in (("plain", plain), ("moved", moved)):
        (tmp_path / name).mkdir()
        study = opened(tmp_path / name, frame.assign(recommend=frame.recommend.where(frame.index % 3 > 0)), sites=sites)
        finding = cx.relate(study, "recommend", "revenue", given=["margin"], method=METHODS[:4], steps=LADDER)
        found.append([r for r in finding.rows() if r["estimate"] is not None])
    assert [(r["model"], r["measure"]) for r in found[0]] == [(r["model"], r["measure"]) for r in found[1]]
    assert {"crude", "adjusted", "within_segment", "within_customer", "all_customers"} <= {r["model"] for r in found[0]}
    for before, after in zip(*found, strict=True):
        ends = sorted(turn * after[k] for k in ("conf_low", "conf_high"))
        got = [turn * after["estimate"], *ends]
        want = [before[k] for k in ("estimate", "conf_low", "conf_high")]
        if not (before["model"] == "all_customers" and turn < 0):  # its range is not one of estimate and error
            np.testing.assert_allclose(got, want, atol=1e-9, err_msg=str(before))


def test_three_customers_alone(tmp_path: Path) -> None:
    """With three rows each method has its number, and no interval that three rows cannot give."""
    frame = pd.DataFrame({"wait_s": [1.0, 2.0, 4.0], "revenue": [2.0, 1.0, 7.0]})
    study = study_of(tmp_path, panel=frame)
    study.min_cell = 0  # that so few are not shown is tested elsewhere
    finding = cx.relate(study, "revenue", "wait_s", steps=["crude"], method=["spearman", "kendall"])
    estimates = [r["estimate"] for r in finding.rows()]
    assert estimates == [pytest.approx(v) for v in (np.corrcoef(*frame.to_numpy().T)[0, 1], 0.5, 1 / 3)]
    assert [r["conf_low"] for r in finding.rows()] == [None] * 3


def test_one_site_has_no_interval(tmp_path: Path) -> None:
    """Where all rows are of one cluster, every method gives its estimate without an interval."""
    study = opened(tmp_path, table().assign(site_id="one"), stated=True)
    finding = cx.relate(study, "recommend", "bill_errors", steps=["crude", "adjusted"], method=METHODS)
    assert {r["measure"] for r in finding.rows()} == MEASURES
    assert all(r["estimate"] is not None and r["conf_low"] is None for r in finding.rows())
    assert "few-clusters" in {c.code for c in finding.caveats}


def test_perfect_order_has_no_interval(tmp_path: Path) -> None:
    """A tau of one has no interval of no width, and nothing held fixed leaves no semi-partial correlation."""
    frame = pd.DataFrame({"wait_s": np.arange(12.0), "revenue": np.arange(12.0) ** 2})
    finding = cx.relate(
        study_of(tmp_path, panel=frame), "revenue", "wait_s", given=[], method=["kendall", "semipartial"]
    )
    record = finding.one(model="crude", measure="tau")
    assert (record["estimate"], record["conf_low"]) == (1.0, None)
    assert record["p_value"] == pytest.approx(6.1e-6, rel=0.02)
    assert "No step 'semi-partial correlation': nothing is held fixed." in finding.sample


def test_a_method_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """The error names the methods there are."""
    with pytest.raises(UsageError, match="no method 'polyserial'; the methods are pearson, spearman, kendall"):
        cx.relate(opened(tmp_path, table()), "recommend", "bill_errors", method="polyserial")


def test_no_reversal_without_variation(tmp_path: Path) -> None:
    """Where nothing varies inside the segments, or over all, no sign can turn."""
    level = np.arange(CUSTOMERS) % 3
    names = np.array(["mass", "mid", "high"])[level]
    for values in (level * 1.0, np.ones(CUSTOMERS)):
        frame = pd.DataFrame({"wait_s": values, "revenue": values, "value_segment": names})
        finding = cx.relate(study_of(tmp_path, panel=frame), "revenue", "wait_s", by="value_segment", method=METHODS)
        assert_sound(finding)
        assert not {"reversed", "confounded"} & {c.code for c in finding.caveats}
