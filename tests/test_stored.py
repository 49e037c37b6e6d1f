"""Columns of large tables pass by as files have them; what a file cannot say in numbers is missing all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm

import cxresearch as cx
from cxresearch.data.columns import without
from cxresearch.data.engine import Engine
from cxresearch.data.stored import finite
from cxresearch.evidence import held, passes, streams
from cxresearch.evidence.moments import moments
from cxresearch.evidence.shares import correlations

MAPPING = """name = "own"
levels = ["customer"]
[tables.panel]
file = "panel.parquet"
"""
NUMBERS = ["churned", "call_failures", "wait_s"]


def panel(kind: Any, gaps: dict[int, float]) -> Any:
    """Six thousand customer months with gaps of one kind in one column, and nulls in another."""
    random = np.random.default_rng(1)
    made = pd.DataFrame(
        {
            "customer_id": [f"c{i // 2}" for i in range(6000)],
            "period": [f"2026-0{1 + i % 2}" for i in range(6000)],
            "value_segment": np.where(np.arange(6000) % 3 == 0, "high", "low"),
            "call_failures": random.random(6000).astype(kind),
        }
    )
    made["wait_s"] = (60 * made.call_failures + 20 * random.random(6000)).astype(kind)
    # whether anybody left after the last month is not known yet
    made["churned"] = (random.random(6000) < 0.1 + 0.2 * made.call_failures) & (np.arange(6000) % 2 == 0)
    for row, value in gaps.items():
        made.loc[row, "call_failures"] = value
    return made


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize(
    "gaps",
    [{}, {4500: np.nan}, {0: np.inf}, {7: -np.inf, 4500: np.inf}, dict.fromkeys(range(2048), np.nan)],
    ids=["none", "NaN", "infinity", "both infinities", "a whole piece"],
)
@pytest.mark.parametrize("segment", ["all", "high"])
def test_what_is_no_number_is_missing(
    gaps: dict[int, float], kind: Any, segment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN and infinity leave the rows, of either width and of a chosen segment; numbers are those of the other rows."""
    monkeypatch.setattr(held, "MOST_ROWS", -1)
    monkeypatch.setattr("cxresearch.data.units.MOST_ROWS", -1)
    monkeypatch.setattr(streams, "ROWS", 2048)
    made = panel(kind, gaps)
    # pandas alone would write NaN as null
    columns = pa.table({name: pa.array(made[name].to_numpy(), from_pandas=False) for name in made})
    pq.write_table(columns, tmp_path / "panel.parquet", row_group_size=2000)
    (tmp_path / "study.toml").write_text(MAPPING)
    study = cx.open_study(str(tmp_path / "study.toml"), segment=segment)
    whole = made if segment == "all" else made[made.value_segment == segment]
    whole = whole[np.isfinite(whole.call_failures)].astype(dict.fromkeys(NUMBERS, "float64"))
    spread = moments(study, study.rows(NUMBERS), NUMBERS[1:])
    assert spread.n == len(whole)
    np.testing.assert_allclose(spread.mean, whole[NUMBERS[1:]].mean(), rtol=1e-12)
    np.testing.assert_allclose(correlations(spread.full), whole[NUMBERS[1:]].corr(), rtol=1e-10)
    fit = passes.fit_in_passes(study, study.rows(NUMBERS), NUMBERS)
    whole = whole[whole.period == "2026-01"]
    own = sm.Logit(whole.churned, sm.add_constant(whole[NUMBERS[1:]])).fit(disp=0, tol=1e-12)
    assert (fit.n, fit.events) == (len(whole), int(whole.churned.sum()))
    np.testing.assert_allclose(fit.coefficients, own.params, rtol=1e-6)


def test_only_whole_columns_come_as_they_are_stored() -> None:
    """What a value is computed of, rows are chosen by or codes are taken from is made finite first, through views too."""
    engine = Engine()
    values = np.array([1.0, np.nan, 3.0, np.inf, 9.0], dtype=np.float32)
    raw = ibis.memtable(pa.table({"a": values, "b": np.arange(5.0), "text": ["1", "2", "3", "4", "5"]}))
    inner = raw.select(
        a=finite(raw.a),
        twice=finite(raw.a) * 2,
        coded=without(finite(raw.a), [9.0]),
        b=raw.b,
        read=finite(raw.text.cast("float64")),
    )
    plain, some = engine.view(inner), engine.view(inner.filter(inner.b > 0))

    def stored(table: Any) -> dict[str, Any]:
        made = pa.Table.from_batches(engine.stream(table, 2))
        return {name: (str(made[name].type), made[name].to_pylist()) for name in made.column_names}

    told = stored(plain.select(plain.a, plain.twice, plain.coded).mutate(more=lambda t: t.a + 1))
    assert told["a"][0] == "float"
    np.testing.assert_array_equal(np.array(told["a"][1]), values)
    assert stored(plain.select(plain.read))["read"] == ("double", [1.0, 2.0, 3.0, 4.0, 5.0])
    assert told["twice"] == ("double", [2.0, None, 6.0, None, 18.0])
    assert told["coded"] == ("double", [1.0, None, 3.0, None, None])
    assert told["more"] == ("double", [2.0, None, 4.0, None, 10.0])
    assert stored(some.select(some.a)) == {"a": ("double", [None, 3.0, None, 9.0])}
    chosen = plain.filter(plain.a > 1)
    assert stored(chosen.select(chosen.a)) == {"a": ("double", [3.0, 9.0])}
