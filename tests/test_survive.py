"""Survive: who was at risk when is read rightly from monthly rows, and time that nobody could leave in fools nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_study import PERIOD, study_of

import cxresearch as cx
from cxresearch.data import periods

WINDOW = periods.span(PERIOD, 12)
Rows = list[tuple[str, int, float, int | None]]


def panel_of(rows: Rows, **terms: list[object]) -> pd.DataFrame:
    """Monthly rows of customer, month of the window, tenure and whether gone by the next month."""
    frame = pd.DataFrame(rows, columns=["customer_id", "month", "tenure_m", "churned"])
    frame["period"] = [WINDOW[m] for m in frame.pop("month")]
    return frame.assign(**terms)


def simulated(customers: int, seed: int, hazard: float = 0.08, joining: float = 0.1) -> pd.DataFrame:
    """Customers of twelve months who may join a scheme each month, and leave whether they joined or not."""
    dice = np.random.default_rng(seed)
    rows: Rows = []
    member: list[object] = []
    for i in range(customers):
        joined = 0
        for m in range(12):
            joined = int(joined or dice.random() < joining)
            gone = int(dice.random() < hazard)
            rows.append((f"c{i}", m, float(m), gone if m < 11 else None))
            member.append(joined)
            if gone:
                break
    return panel_of(rows, loyalty_scheme=member)


def known_shares(panel: pd.DataFrame, upto: int) -> float:
    """The share that stays by months at risk: of all rows of a tenure, those who are still there a month later."""
    known = panel.dropna(subset="churned")
    return float(np.prod([1 - known[known.tenure_m == t].churned.mean() for t in range(upto)]))


def test_rows_are_months_at_risk(tmp_path: Path) -> None:
    """Late entry, months without a row and customers of the last month count exactly as the months that are there."""
    dice = np.random.default_rng(4)
    rows: Rows = []
    for i in range(400):
        tenure, gone = int(dice.integers(0, 6)), 0
        for m in range(12):
            gone = int(dice.random() < 0.06)
            if dice.random() > 0.15:  # a month in seven has no row; who leaves in it leaves unseen
                rows.append((f"c{i}", m, float(tenure + m), gone))
            if gone:
                break
    panel = panel_of(rows)
    panel.loc[panel.period == PERIOD, "churned"] = np.nan
    found = cx.survive(study_of(tmp_path, panel=panel), horizons=[6, 12])
    for months in (6, 12):
        assert found.one(unit=f"by month {months}")["estimate"] == pytest.approx(known_shares(panel, months), rel=1e-10)
    assert "times months are missing: nobody is at risk in them" in found.sample
    assert found.one(measure="median")["clusters"] == panel.dropna().customer_id.nunique()


def test_what_a_customer_cannot_have_done_is_told(tmp_path: Path) -> None:
    """Tenure that goes backward loses the customer, a second life after leaving does not count, and both are said."""
    rows: Rows = [
        (f"c{i}", m, float(m), int(i < 30 and m == 5)) for i in range(60) for m in range(12) if i >= 30 or m < 6
    ]
    good = panel_of(rows)
    back: Rows = [(f"back{i}", m, float(20 - m), 0) for i in range(15) for m in range(12)]
    again: Rows = [(f"c{i}", m, float(m - 8), 1) for i in range(12) for m in (8, 9)]
    for name, frame in (("good", good), ("all", pd.concat([good, panel_of(back), panel_of(again)]))):
        (tmp_path / name).mkdir()
        frame.loc[frame.period == PERIOD, "churned"] = np.nan
        found = cx.survive(study_of(tmp_path / name, panel=frame), horizons=[5, 6])
        assert [r["estimate"] for r in found.rows(measure="survival")] == [1.0, 0.5]
    assert "60 of 75 customers. 15 lack a tenure that grows with the months." in found.sample
    assert "12 came back after leaving: only their first stay counts." in found.sample


def test_time_in_which_nobody_can_leave_fools_nobody(tmp_path: Path) -> None:
    """Joining a scheme changes nothing, yet who ever joined stayed longer: a landmark sees none of it, one row a customer all."""
    panel = simulated(3000, 7)
    for name in ("naive", "months"):
        (tmp_path / name).mkdir()
    last = panel.groupby("customer_id").last().reset_index().drop(columns="period")
    last["tenure_m"] += 1
    naive = cx.survive(
        study_of(tmp_path / "naive", panel=last.fillna({"churned": 0})), by="loyalty_scheme", horizons=[9]
    )
    assert naive.one(measure="difference")["conf_low"] > 1
    assert naive.one(model="log_rank")["p_value"] < 1e-10
    assert "immortal" in [c.code for c in naive.caveats]
    study = study_of(tmp_path / "months", panel=panel)
    for origin in ("activation", "window"):
        fair = cx.survive(study, by="loyalty_scheme", landmark=3, origin=origin, horizons=[6])
        gap = fair.one(measure="difference")
        assert gap["conf_low"] < 0 < gap["conf_high"]
        assert fair.one(model="log_rank")["p_value"] > 0.05
        for row in fair.rows(measure="survival"):
            assert row["conf_low"] < 0.92**6 < row["conf_high"]
        assert "immortal" not in [c.code for c in fair.caveats]
    ratio = cx.survive(study, among="loyalty_scheme", given=[], landmark=3).one(measure="hazard_ratio")
    assert ratio["conf_low"] < 1 < ratio["conf_high"]


def test_a_landmark_takes_what_was_known_by_then(tmp_path: Path) -> None:
    """Members of month 4 and later are no members at a landmark of 3."""
    rows: Rows = [(f"c{i}", m, float(m), 0) for i in range(40) for m in range(12)]
    member: list[object] = [int(m >= (2 if i < 15 else 5)) for i in range(40) for m in range(12)]
    found = cx.survive(study_of(tmp_path, panel=panel_of(rows, loyalty_scheme=member)), by="loyalty_scheme", landmark=3)
    assert [r["n"] for r in found.rows(measure="median")] == [40, 25, 15]


def test_nobody_is_followed_from_the_start(tmp_path: Path) -> None:
    """Where all customers are first seen with a long tenure, the share from activation is not estimable; a landmark is."""
    rows: Rows = [(f"c{i}", m, 30.0 + m, int(i % 12 == m)) for i in range(120) for m in range(12) if m <= i % 12]
    study = study_of(tmp_path, panel=panel_of(rows))
    found = cx.survive(study)
    assert not found.estimable
    assert "too few are there in month 1: ask from a landmark on" in found.answer
    later = cx.survive(study, landmark=30, horizons=[3])
    assert later.one(measure="survival", unit="by month 33")["estimate"] == pytest.approx(0.75)


def test_clusters_widen_the_interval(tmp_path: Path) -> None:
    """Neighbours who leave together are not so many customers: the jackknife over sites says so, Greenwood does not."""
    dice = np.random.default_rng(2)
    site = np.repeat(np.arange(40), 25)
    months = dice.geometric(np.exp(-3 + 1.0 * dice.normal(size=40))[site]).clip(max=30)
    frame = pd.DataFrame({"tenure_m": months, "churned": (months < 30).astype(int), "site_id": [f"s{s}" for s in site]})
    frame["customer_id"] = [f"c{i}" for i in range(len(frame))]
    width = {}
    for level in ("customer", "site"):
        (tmp_path / level).mkdir()
        row = cx.survive(study_of(tmp_path / level, panel=frame, levels=[level]), horizons=[12]).one(measure="survival")
        width[level] = row["conf_high"] - row["conf_low"]
        assert row["df"] == (None if level == "customer" else 39)
    assert width["site"] > 2 * width["customer"]
