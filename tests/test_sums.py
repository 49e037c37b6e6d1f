"""Two ways to the same sums: a table that is held in memory, and one that is summed where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of
from witnesses import table

from cxresearch.data import units
from cxresearch.data.engine import Engine
from cxresearch.data.opening import open_study
from cxresearch.evidence import held as room
from cxresearch.evidence import streams
from cxresearch.evidence.correlation import relate
from cxresearch.evidence.importance import rank_drivers
from cxresearch.evidence.moments import moments
from cxresearch.evidence.rows import rows
from cxresearch.evidence.shares import correlations
from cxresearch.evidence.soundness import inspect_data
from cxresearch.evidence.survival import survive

COLUMNS = ["retainability", "wait_s", "bill_errors"]
WAYS: list[dict[str, Any]] = [
    {},
    {"fixed": "value_segment"},
    {"within": ("customer_id",)},
    {"within": ("site_id", "period")},
]


def frame() -> Any:
    """Our own table as several months of a third as many customers, with gaps in numbers, sites and segments."""
    made = table().drop(columns=["sat1", "sat2", "sat3", "recommend"])
    made["customer_id"] = [f"c{i // 3:03d}" for i in range(len(made))]
    made["period"] = [f"2026-{8 + i % 3:02d}" for i in range(len(made))]
    made["site_id"] = made.groupby("customer_id")["site_id"].transform("first").where(lambda s: s != "s07")
    made.loc[made.index % 11 == 0, "wait_s"] = np.nan
    made.loc[made.index % 13 == 0, "value_segment"] = None
    return made


@pytest.mark.parametrize("near", [True, False], ids=["passing", "by engine"])
@pytest.mark.parametrize("levels", [("customer",), ("customer", "site"), ("customer", "site", "period")], ids=" ".join)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_memory_and_engine_agree(
    way: dict[str, Any], levels: tuple[str, ...], near: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Covariances, means and what is left out are the same, however the sums are made."""
    monkeypatch.setattr(Engine, "near", near)
    monkeypatch.setattr(streams, "ROWS", 2048)
    study = study_of(tmp_path, panel=frame(), levels=levels)
    here = moments(study, study.rows(COLUMNS), COLUMNS, **way)
    monkeypatch.setattr(room, "MOST_ROWS", -1)
    there = moments(study, study.rows(COLUMNS), COLUMNS, **way)
    assert here.n > 100 or levels == ("customer",)  # customers alone have one row a month
    for name in ("full", "left_out", "mean", "mean_left_out", "scale"):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), rtol=1e-10, atol=1e-12, err_msg=name)
    for name in ("n", "clusters", "cluster", "rows", "independent"):
        assert getattr(here, name) == getattr(there, name), name
    assert here.parts.labels == there.parts.labels
    np.testing.assert_array_equal(here.parts.sizes, there.parts.sizes)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_month_left_out_is_left_out_whole(way: dict[str, Any], tmp_path: Path) -> None:
    """Correlations without a month are those of the rows without it, also where customers are centred on their means."""
    study = study_of(tmp_path, panel=frame(), levels=("customer", "site", "period"))
    table = study.rows(COLUMNS)
    spread = moments(study, table, COLUMNS, **way)
    for period in ("2026-08", "2026-09"):
        others = moments(study, table.filter(table.period != period), COLUMNS, **way)
        left_out = spread.left_out[spread.parts.labels.index(period)]
        np.testing.assert_allclose(correlations(left_out), correlations(others.full), atol=1e-10)


@pytest.mark.parametrize("levels", [("customer",), ("customer", "site", "period")], ids=" ".join)
def test_rows_agree(levels: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows themselves, and which part each is left out with, are the same either way."""
    study = study_of(tmp_path, panel=frame(), levels=levels)
    here = rows(study, study.rows(COLUMNS), COLUMNS)
    monkeypatch.setattr(room, "MOST_ROWS", -1)
    there = rows(study, study.rows(COLUMNS), COLUMNS)
    assert (here.n, here.asked, here.cluster_count) == (there.n, there.asked, there.cluster_count)
    sums = [dict(zip(r.members.blocks.labels, r.members.sums(r.of("wait_s")), strict=True)) for r in (here, there)]
    assert sums[0] == pytest.approx(sums[1])


@pytest.mark.parametrize("window", [1, 12])
@pytest.mark.parametrize("lag", [0, [0, 1, 2]], ids=str)
@pytest.mark.parametrize("levels", [("customer",), ("customer", "site", "period")], ids=" ".join)
def test_ladders_agree(
    levels: tuple[str, ...], lag: Any, window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Levels, lags, rates for each use and the range for the silent are the same, chosen in memory or by the engine."""
    panel = frame()
    panel["usage_calls"], panel["call_failures"] = np.arange(len(panel)) % 17, np.arange(len(panel)) % 5
    asked = panel[panel.index % 4 != 1]
    surveys = asked[["customer_id", "period"]].assign(recommend=asked.index * 7 % 11)
    tables = []
    for most in (room.MOST_ROWS, -1):
        study = study_of(tmp_path, panel=panel, surveys=surveys, levels=levels, window=window)
        monkeypatch.setattr(room, "MOST_ROWS", most)
        among, by = ["call_failures", "wait_s"], "value_segment" if lag == 0 else None
        tables.append(relate(study, "recommend", among, given=["tenure_m"], by=by, lag=lag).to_frame())
    assert {"per_use", "all_customers"} <= set(tables[0]["model"]) or lag != 0
    pd.testing.assert_frame_equal(*tables, rtol=1e-9, atol=1e-10)


def test_many_customers_are_hashed_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 400 clusters go into blocks by the md5 of their id, the same blocks in memory and in the engine."""
    many = pd.DataFrame(
        {"customer_id": [f"é{i}" for i in range(900)], "revenue": np.arange(900.0), "margin": np.arange(900.0) ** 2}
    )
    study = study_of(tmp_path, panel=many)
    here = moments(study, study.rows(["revenue", "margin"]), ["revenue", "margin"])
    monkeypatch.setattr(room, "MOST_ROWS", -1)
    there = moments(study, study.rows(["revenue", "margin"]), ["revenue", "margin"])
    assert here.blocks > 200
    assert here.parts.labels == there.parts.labels


def test_checks_of_data_and_sides_of_terms_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing values, drift, leakage, and the two sides of a term are the same in memory as by the engine."""
    panel = frame().assign(churned=lambda t: (np.arange(len(t)) % 9 == 0).astype(float))
    surveys = panel[["customer_id", "period"]].iloc[::-2].assign(recommend=lambda t: np.arange(len(t)) % 11.0)
    surveys.iloc[0, 0] = "nobody"
    tables, samples = [], []
    for most in (room.MOST_ROWS, -1):
        monkeypatch.setattr(room, "MOST_ROWS", most)
        monkeypatch.setattr(units, "MOST_ROWS", most)
        study = study_of(tmp_path, panel=panel, surveys=surveys)
        found = [inspect_data(study, check) for check in ("loss", "drift", "leakage")]
        found.append(rank_drivers(study, "recommend", ["wait_s", "bill_errors"], method="penalty_reward"))
        tables.append(pd.concat([finding.to_frame() for finding in found], ignore_index=True))
        samples.append([finding.sample for finding in found])
    assert {"rate", "psi", "auc", "slope"} <= set(tables[0]["measure"])
    assert tables[0].loc[tables[0]["measure"] == "slope", "estimate"].notna().all()
    assert samples[0] == samples[1]
    pd.testing.assert_frame_equal(*tables, rtol=1e-9, atol=1e-10)


def test_answers_meet_their_panel_rows_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are matched to the panel row of their customer and month in memory as by a join of the engine."""
    panel = frame()
    surveys = panel[["customer_id", "period"]].iloc[::-2].assign(recommend=lambda t: np.arange(len(t)) % 11.0)
    surveys.iloc[0, 0] = "nobody"
    columns = ["customer_id", "period", "recommend", "wait_s", "value_segment"]
    for segment, only in (("all", None), ("high", None), ("all", ("2026-10",))):
        here = study_of(tmp_path, panel=panel, surveys=surveys, segment=segment).rows(
            ["recommend", "wait_s"], only=only
        )
        with monkeypatch.context() as patched:
            patched.setattr(units, "MOST_ROWS", -1)
            study = study_of(tmp_path, panel=panel, surveys=surveys, segment=segment)
            there = study.rows(["recommend", "wait_s"], only=only)
        assert set(here.columns) == set(there.columns)
        found, expected = (table.select(columns).to_pyarrow().to_pylist() for table in (here, there))
        assert found == expected
        assert len(found) > 20


@pytest.mark.parametrize(
    "asked",
    [
        {"by": "value_segment"},
        {"by": "value_segment", "given": ["prepaid"], "origin": "window"},
        {"by": "value_segment", "landmark": 9},
        {"by": "churn_type"},
        {"by": "prepaid", "origin": "window", "landmark": 2},
        {"among": ["bill_errors"], "given": ["list_price"], "by": "value_segment"},
    ],
    ids=str,
)
def test_stays_are_alike(asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Customers stay as long in memory as in the engine: months are missing, some come back, clocks go wrong."""
    dice, rows_ = np.random.default_rng(5), []
    for i in range(400):
        start = int(dice.integers(0, 30))
        for m in range(int(dice.integers(1, 11))):
            if dice.random() < 0.05:
                continue
            left = float(dice.random() < 0.06)
            segment = None if dice.random() < 0.05 else ["mass", "mid", "high"][i % 3]
            tenure = None if dice.random() < 0.02 else start + m + 3 * (i % 97 == 0) * m
            row = (f"c{i:03d}", f"2026-{m + 1:02d}", left, tenure, segment, i % 2, i % 4, 20 + i % 7, f"s{i % 30:02d}")
            rows_.append((*row, ["voluntary", "involuntary", None][i % 3] if left else None))
            if left and dice.random() < 0.7:
                break
    names = ["customer_id", "period", "churned", "tenure_m", "value_segment", "prepaid", "bill_errors", "list_price"]
    panel = pd.DataFrame(rows_, columns=[*names, "site_id", "churn_type"])
    study = study_of(tmp_path, panel=panel, levels=("customer", "site"))
    here = survive(study, **asked)
    monkeypatch.setattr(room, "MOST_ROWS", -1)
    there = survive(study, **asked)
    assert here.estimable
    assert (here.answer, here.sample) == (there.answer, there.sample)
    for one, other in zip(here.rows(), there.rows(), strict=True):
        numbers = {name for name, value in one.items() if isinstance(value, float)}
        assert {k: v for k, v in one.items() if k not in numbers} == {
            k: v for k, v in other.items() if k not in numbers
        }
        assert [one[k] for k in numbers] == pytest.approx([other[k] for k in numbers], rel=1e-9)


@pytest.mark.parametrize("first", [1, 5_000], ids=["a look at one row", "a look at all"])
def test_columns_whose_gaps_come_late_are_seen(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large table the first rows say which columns are whole; where a later row lacks one the numbers are the same."""
    panel = frame()
    panel.loc[0, "wait_s"] = 60.0
    asked: dict[str, Any] = {"among": COLUMNS, "of": COLUMNS, "steps": ["crude"], "method": ["pearson"]}
    here = relate(study_of(tmp_path, panel=panel), **asked).to_frame()
    monkeypatch.setattr(room, "MOST_ROWS", -1)
    monkeypatch.setattr("cxresearch.evidence.moments.FIRST_ROWS", first)
    there = relate(study_of(tmp_path, panel=panel), **asked).to_frame()
    assert len(here) == 2 * len(COLUMNS)
    pd.testing.assert_frame_equal(here, there, rtol=1e-9, check_dtype=False)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_nan_in_a_file_of_several_parts_is_missing(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN is a missing value also where the statistics of a Parquet file, which engines believe, do not tell of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import cxresearch as cx

    values = np.random.default_rng(1).random((2, 6000)).astype(kind)
    values[1, 4500] = np.nan
    ids, months = [f"c{i // 2}" for i in range(6000)], [f"2026-0{1 + i % 2}" for i in range(6000)]
    columns = {"customer_id": ids, "period": months, "availability": values[0], "accessibility": values[1]}
    pq.write_table(pa.table(columns), tmp_path / "panel.parquet", row_group_size=2000)
    (tmp_path / "study.toml").write_text(
        'name = "own"\nlevels = ["customer"]\n[tables.panel]\nfile = "panel.parquet"\n'
    )
    study = cx.open_study(str(tmp_path / "study.toml"))
    names = ["availability", "accessibility"]
    assert int(study.rows(names).accessibility.count().to_pyarrow().as_py()) == 5999
    monkeypatch.setattr(room, "MOST_ROWS", -1)
    for near in (True, False):
        monkeypatch.setattr(Engine, "near", near)
        spread = moments(study, study.rows(names), names)
        assert spread.n == 5999
        assert np.isfinite(spread.full).all()


def test_a_table_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    """Another window of a study that is open shares its tables, and never those of a file that was replaced since."""
    first = study_of(tmp_path, panel=frame())
    again = study_of(tmp_path, panel=frame().assign(wait_s=7.0))
    assert again._engine is not first._engine
    assert set(again.frame(["wait_s"])["wait_s"]) == {7.0}
    assert open_study(str(tmp_path / "small.toml"), window=2)._engine is again._engine
