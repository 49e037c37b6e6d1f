"""Curves, causes, tests and Cox's model against R on our own table; also where customers come late under observation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import PERIOD, study_of
from witnesses import EXACT, says_again, table, witness

import cxresearch as cx
from cxresearch.data import periods
from cxresearch.data.study import Study
from cxresearch.evidence.lab import proportional

R = witness("survival")
AT, TERMS, MONTHS = [12, 24, 60], ["wait_s", "bill_errors", "list_price"], 62
WIDER = 1e-6  # R stops its Newton steps and its residuals a little earlier


def lives() -> pd.DataFrame:
    """Our table, with why somebody left."""
    frame = table().drop(columns="period")
    why = pd.Series(np.where(frame.call_failures >= 2, "asked", "moved"))
    return frame.assign(churn_type=why.where(frame.churned == 1))


def by_month() -> pd.DataFrame:
    """The same lives as monthly rows, of which at most the last sixty are seen; all end in the month before the last."""
    frame = lives()
    frame["seen"] = np.minimum(frame.tenure_m, 1 + np.arange(len(frame)) % 60)
    rows = frame.loc[frame.index.repeat(frame.seen)].reset_index(drop=True)
    back = rows.groupby("customer_id").cumcount(ascending=False)
    rows["period"] = [periods.shift(PERIOD, -1 - b) for b in back]
    rows["churned"] = rows.churned.where(back == 0, 0)
    rows["churn_type"] = rows.churn_type.where(rows.churned == 1)
    rows["tenure_m"] = rows.tenure_m - 1 - back
    last = rows[back == 0].assign(period=PERIOD, churned=0)  # of the last month nobody knows yet who leaves
    return pd.concat([rows, last[last.customer_id == "c000"].assign(tenure_m=lambda f: f.tenure_m + 1)])


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    """One row a customer, the same within sites, and monthly rows."""
    made = {}
    for name, frame, level in (
        ("alone", lives(), "customer"),
        ("sites", lives(), "site"),
        ("late", by_month(), "customer"),
    ):
        panel = frame.drop(columns=["sat1", "sat2", "sat3", "recommend"])
        folder = tmp_path_factory.mktemp(name)
        window = MONTHS if name == "late" else 12
        made[name] = study_of(folder, panel=panel, levels=[level], window=window, period=PERIOD)
    return made


NUMBERS = ("estimate", "std_error", "conf_low", "conf_high")


def agrees(name: str, rows: list[dict[str, Any]], rtol: float = EXACT) -> None:
    """The numbers that R gave under a name are those of the rows: by their names, or one kind after the other."""
    want = R[name] if isinstance(R[name], dict) else dict(zip(NUMBERS, parts(name, len(rows)), strict=False))
    for key, value in want.items():
        got = [row[key] for row in rows]
        np.testing.assert_allclose(got, np.atleast_1d(value), rtol=rtol, atol=1e-13, err_msg=f"{name} {key}")


def parts(name: str, size: int) -> Any:
    return np.reshape(R[name], (-1, size))


@pytest.mark.parametrize(("name", "study"), [("stay", "alone"), ("stay_late", "late"), ("stay_sites", "sites")])
def test_share_that_stays(name: str, study: str, studies: dict[str, Study]) -> None:
    """The share that stays, Greenwood's error or the jackknife's over sites, and its band."""
    found = cx.survive(studies[study], horizons=AT if study != "sites" else [24])
    agrees(name, found.rows(measure="survival"))
    if study == "alone":
        middle = found.one(measure="median")
        assert [middle[k] for k in ("estimate", "conf_low", "conf_high")] == [*R["median"], None]


def test_whether_levels_leave_alike(studies: dict[str, Study]) -> None:
    """Log-rank, Peto, in strata, and over sites as Hotelling's test of the jackknife."""
    found = cx.survive(studies["alone"], by="value_segment")
    agrees("log_rank", found.rows(model="log_rank"))
    agrees("peto", found.rows(model="peto"))
    held = cx.survive(studies["alone"], by="value_segment", given=["prepaid"])
    agrees("log_rank_in_strata", held.rows(model="log_rank"))
    agrees("log_rank_sites", cx.survive(studies["sites"], by="value_segment").rows(model="log_rank"))


def test_months_stayed(studies: dict[str, Study]) -> None:
    """The restricted mean by its formula, the difference of two, and its error over sites."""
    found = cx.survive(studies["alone"], by="prepaid", horizons=[60])
    both = [found.one(measure="rmst", group="prepaid=1"), found.one(measure="difference")]
    for row, name in zip(both, ("mean_prepaid", "mean_apart"), strict=True):
        assert [row["estimate"], row["std_error"]] == pytest.approx(R[name], rel=EXACT)
    agrees("mean_apart_sites", cx.survive(studies["sites"], by="prepaid", horizons=[60]).rows(measure="difference"))


def test_causes_compete(studies: dict[str, Study]) -> None:
    """The share that left for each cause is that of survival and of cmprsk, late entry counted."""
    rows = cx.survive(studies["alone"], by="churn_type", horizons=AT).rows(measure="incidence")
    agrees("left_for", rows)
    assert [r["estimate"] for r in rows] == pytest.approx(R["left_for_cmprsk"], rel=EXACT)
    late = cx.survive(studies["late"], by="churn_type", horizons=AT).rows(measure="incidence")
    assert [r["estimate"] for r in late] == pytest.approx(R["left_for_late"], rel=EXACT)


@pytest.mark.parametrize("name", ["ratio", "ratio_late", "ratio_sites"])
def test_hazard_ratios(name: str, studies: dict[str, Study]) -> None:
    """Cox's model in strata, with late entry, with errors over sites; its tests and its concordance."""
    kind = name.partition("_")[2]
    found = cx.survive(studies[kind or "alone"], among=TERMS, given=[], by="prepaid")
    rows = [found.one(term=t, measure="hazard_ratio", model="adjusted") for t in TERMS]
    steps = np.array([studies["alone"].term(t).step for t in TERMS])
    ratio = np.array([r["estimate"] for r in rows])
    np.testing.assert_allclose(np.log(ratio) / steps, parts(name, 3)[0], rtol=WIDER)
    np.testing.assert_allclose([r["std_error"] for r in rows] / ratio / steps, parts(name, 3)[1], rtol=WIDER)
    np.testing.assert_allclose([r["p_value"] for r in rows], parts(name, 3)[2], rtol=WIDER)
    if kind == "sites":
        return
    end = f"_{kind}" if kind else ""
    tests = [r["estimate"] for r in found.rows(measure="chi_square")]
    np.testing.assert_allclose(tests, R[f"proportional{end}"], rtol=WIDER)
    agrees(f"order{end}", found.rows(measure="concordance"), WIDER)


def test_statsmodels_agrees() -> None:
    """PHReg gives the same with late entry, strata and ties, once nobody enters at the moment at which another leaves."""
    from statsmodels.duration.hazard_regression import PHReg

    frame = lives()
    frame = frame[frame.tenure_m > 0]
    time, left, x = frame.tenure_m.to_numpy(float), frame.churned.to_numpy(float), frame[TERMS].to_numpy(float)
    entry, strata = np.maximum(0, time - 20) + 0.5, frame.prepaid.to_numpy()
    at = proportional.spells(entry, time, left, strata)
    for ties in ("efron", "breslow"):
        fit = proportional.fit_cox(at, x - x.mean(0), ties)
        known = PHReg(time, x - x.mean(0), left, entry=entry, strata=strata, ties=ties).fit(disp=0)
        np.testing.assert_allclose(fit.coefficients, known.params, rtol=WIDER)
        np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), known.bse, rtol=WIDER)


def test_every_number_of_r_is_compared() -> None:
    """No number stands in the witness that no test here names."""
    text = Path(__file__).read_text(encoding="utf-8")
    built = {"proportional", "proportional_late", "order", "order_late"}
    assert [name for name in R if f'"{name}"' not in text and name not in built] == []


@pytest.mark.slow
def test_r_still_says_so(tmp_path: Path) -> None:
    """The script beside the numbers gives them again."""
    says_again("survival", tmp_path / "again.json")
