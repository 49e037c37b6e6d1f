"""The ledger: every published number, once, readable years later."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from cxresearch.claims import VERDICT_MIME
from cxresearch.errors import UsageError
from cxresearch.finding import FINDING_MIME, Caveat, Finding
from cxresearch.report import ledger
from cxresearch.table import row, tidy

LEDGERS = Path(__file__).parent / "ledgers"
RUN = {"edition": "monthly", "study": "demo", "period": "2026-10", "run": "abc"}


def finding(name: str = "leavers", **changes: Any) -> dict[str, Any]:
    rows = [
        row(outcome="churned", measure="rate", estimate=0.1, conf_low=0.08, conf_high=0.12, n=2000),
        row(outcome="churned", measure="rate", group="value_segment=high", n=3, estimate=0.3),
    ]
    fields = {
        "question": "Who leaves?",
        "estimand": "rate",
        "design": "descriptive",
        "method": "counts",
        "sample": "all",
    }
    made = Finding(
        name=name, table=tidy(rows), answer="Ten in a hundred.", caveats=(Caveat("a", "x"), Caveat("b", "y")), **fields
    )
    return {**made.to_json(), **changes}


def verdict(**changes: Any) -> dict[str, Any]:
    judged = {"claim": "S3.5", "part": "a", "verdict": "undecided", "reason": "too-wide", "finding": "leavers"}
    number = {"outcome": "churned", "term": None, "group": "all", "model": "crude", "measure": "rate", "estimate": 0.1}
    return {
        **judged,
        **number,
        "conf_low": 0.07,
        "conf_high": 0.13,
        "conf_level": 0.99,
        "n": 2000,
        "unit": "",
        **changes,
    }


def executed(*shown: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    outputs = [{"output_type": "display_data", "data": {mime: data}} for mime, data in shown]
    return {"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": outputs}]}


def written(path: Path, *shown: tuple[str, dict[str, Any]]) -> Path:
    file = path / "ledger.parquet"
    ledger.write(ledger.rows("churn", executed(*shown), RUN), file, policy="p1")
    return file


def test_a_row_says_where_its_number_comes_from(tmp_path: Path):
    """Each row has the columns of a Finding, and run, notebook, finding, design, method and caveats."""
    table = ledger.open_ledger(written(tmp_path, (FINDING_MIME, finding())))
    assert tuple(table.columns) == ledger.ALL_COLUMNS
    first = table.iloc[0]
    assert (first["study"], first["notebook"], first["finding"], first["caveats"]) == (
        "demo",
        "churn",
        "leavers",
        "a;b",
    )
    assert (first["design"], first["estimate"], first["n"]) == ("descriptive", 0.1, 2000)
    assert table.attrs["policy"] == "p1"


def test_what_is_unknown_is_null(tmp_path: Path):
    """A suppressed number is null in the file and missing in the frame; nothing becomes NaN or zero."""
    file = written(tmp_path, (FINDING_MIME, finding()))
    assert pq.read_table(file)["estimate"].to_pylist() == [0.1, None]
    table = ledger.open_ledger(file)
    assert table["estimate"].dtype == pd.Float64Dtype()
    assert table["claim"].isna().all()


def test_a_verdict_is_a_row_of_its_own(tmp_path: Path):
    """The judged number stands at its 99 % interval, beside the finding's row, with what the finding rests on."""
    table = ledger.open_ledger(written(tmp_path, (FINDING_MIME, finding()), (VERDICT_MIME, verdict())))
    judged = table[table["claim"].notna()]
    assert judged[["claim", "part", "verdict", "reason"]].to_numpy().tolist() == [
        ["S3.5", "a", "undecided", "too-wide"]
    ]
    assert judged[["conf_low", "conf_level", "design"]].to_numpy().tolist() == [[0.07, 0.99, "descriptive"]]


def test_a_finding_shown_twice_counts_once():
    """Showing a result again adds no number."""
    twice = executed((FINDING_MIME, finding()), (FINDING_MIME, finding()))
    assert len(ledger.rows("churn", twice, RUN)) == 2


def test_equal_runs_give_equal_bytes(tmp_path: Path):
    """Files of two equal runs can be compared byte by byte."""
    shown = ((FINDING_MIME, finding()), (VERDICT_MIME, verdict()))
    (tmp_path / "a").mkdir()
    assert written(tmp_path, *shown).read_bytes() == written(tmp_path / "a", *shown).read_bytes()


def test_an_empty_run_is_still_a_ledger(tmp_path: Path):
    """A run without findings has a ledger without rows, with all its columns."""
    table = ledger.open_ledger(written(tmp_path).parent)
    assert (len(table), tuple(table.columns)) == (0, ledger.ALL_COLUMNS)


def test_what_is_no_ledger_is_refused(tmp_path: Path):
    """The error says what is there and what to do."""
    with pytest.raises(UsageError, match="no ledger at"):
        ledger.open_ledger(tmp_path / "nowhere")
    other = tmp_path / "other.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(other)
    with pytest.raises(UsageError, match="is no ledger; this release reads versions 1 to 2"):
        ledger.open_ledger(other)
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(UsageError, match="is no Parquet file"):
        ledger.open_ledger(tmp_path / "text.parquet")


def test_the_first_release_is_read_for_ever():
    """A ledger that version 1 wrote opens with the columns of today; what it did not know is null, its policy is kept."""
    file = LEDGERS / "version-1.parquet"
    written = pq.read_table(file)
    assert written.schema.metadata[ledger.SCHEMA_KEY] == b"1"
    table = ledger.open_ledger(file)
    assert tuple(table.columns) == ledger.ALL_COLUMNS
    assert table["decided_in"].isna().all()
    assert set(table["policy"]) == {"31d044905fdc"} == {table.attrs["policy"]}
    assert table["estimate"].tolist()[:9] == written["estimate"].to_pylist()[:9]
    assert table["estimate"][0] == 17.55


def test_the_periods_of_an_edition_are_one_history(tmp_path: Path):
    """The folder of an edition gives all its periods, oldest first, of any version; no failed report, no other values."""
    for name in ("2026-10", "2026-Q3", "2026-09", "2026-08.failed", "2026-10/segment=high", ".making-x", "notes"):
        (tmp_path / name).mkdir(parents=True)
        run = {**RUN, "period": name}
        ledger.write(
            ledger.rows("churn", executed((FINDING_MIME, finding())), run), tmp_path / name / "ledger.parquet", "p1"
        )
    (tmp_path / "2026-07").mkdir()
    shutil.copyfile(LEDGERS / "version-1.parquet", tmp_path / "2026-07" / "ledger.parquet")
    table = ledger.open_ledger(tmp_path)
    assert table["period"].tolist() == ["2026-10"] * 10 + ["2026-09"] * 2 + ["2026-10"] * 2 + ["2026-Q3"] * 2
    assert tuple(table.columns) == ledger.ALL_COLUMNS
    assert (table.attrs["policy"], table["policy"].nunique()) == ("", 2)


def test_what_was_suppressed_stays_suppressed(tmp_path: Path):
    """A small group has no number in any period of a history, and says why."""
    (tmp_path / "2026-10").mkdir()
    written(tmp_path / "2026-10", (FINDING_MIME, finding()))
    (tmp_path / "2026-07").mkdir()
    shutil.copyfile(LEDGERS / "version-1.parquet", tmp_path / "2026-07" / "ledger.parquet")
    table = ledger.open_ledger(tmp_path)
    small = table[table["effect_label"].fillna("").str.startswith("suppressed")]
    assert len(small) == 2
    assert (
        small[["estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "events", "clusters"]]
        .isna()
        .all()
        .all()
    )


def test_a_later_version_is_refused(tmp_path: Path):
    """A ledger of a release to come is not guessed at."""
    table = pq.read_table(LEDGERS / "version-1.parquet")
    about = {**table.schema.metadata, ledger.SCHEMA_KEY: b"3"}
    pq.write_table(table.replace_schema_metadata(about), tmp_path / "ledger.parquet")
    with pytest.raises(UsageError, match="is a ledger of version 3; this release reads versions 1 to 2"):
        ledger.open_ledger(tmp_path)
