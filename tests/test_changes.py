"""Two reports side by side: every number, every verdict, and what lies beneath them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cxresearch import cli
from cxresearch.report import changes, ledger
from cxresearch.table import COLUMNS

RECORD = {
    "edition": "monthly", "run": "a1", "commit": "c0ffee", "dirty": False, "policy": "p1", "data_fingerprint": "f00d",
    "code": "c1", "status": "complete", "notebooks": {"churn": {"source": "s1"}}, "versions": {"pandas": "3.1"},
    "study": {"name": "demo", "title": "Demo", "rows": {"panel": 10}}, "parameters": {"churn": {"data": "data/demo.toml"}},
}  # fmt: skip
ROW = {**dict.fromkeys(COLUMNS), "outcome": "churned", "group": "all", "model": "crude", "measure": "rate", "unit": ""}


def number(**fields: Any) -> dict[str, Any]:
    """A row of a ledger."""
    told = {"estimate": 0.1, "conf_low": 0.08, "conf_high": 0.12, "conf_level": 0.95, "n": 2000}
    return {**ROW, "notebook": "churn", "finding": "leavers", **told, **fields}


def report(folder: Path, period: str, *rows: dict[str, Any], **record: Any) -> Path:
    """The folder of a report with these rows."""
    place = folder / period
    place.mkdir()
    (place / "run.json").write_text(json.dumps({**RECORD, "period": period, **record}))
    ledger.write([{**row, "period": period} for row in rows], place / "ledger.parquet", "p1")
    return place


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """Two months with a number that moved, one of each month alone, a small group, and a verdict that changed."""
    judged = {"claim": "S3.5", "part": "leavers", "reason": ""}
    small = {"group": "segment=tiny", "estimate": None, "conf_low": None, "conf_high": None, "n": None}
    hidden = number(**small, effect_label="suppressed: fewer than 10 customers")
    first = report(
        tmp_path, "2026-09", number(), number(finding="old"), number(group="segment=tiny"),
        number(term="2026-08", finding="churn_rate", estimate=0.02), number(verdict="undecided", **judged),
    )  # fmt: skip
    second = report(
        tmp_path, "2026-10", number(estimate=0.125), number(finding="new"), hidden,
        number(term="2026-09", finding="churn_rate", estimate=0.03), number(verdict="supported", **judged),
        policy="p2", data_fingerprint="beef", parameters={"churn": {"data": "data/demo.toml", "window": 6}},
        versions={"pandas": "3.2"}, study={**RECORD["study"], "rows": {"panel": 12}},
    )  # fmt: skip
    return first, second


def one(found: changes.Changes, **wanted: str) -> changes.Row:
    return next(row for row in found.numbers if all(row.row[k] == v for k, v in wanted.items()))


def test_every_number_of_both_stands_there(both: tuple[Path, Path]) -> None:
    """A number of both has its difference; one of either alone says of which."""
    found = changes.between(*both)
    assert one(found, finding="leavers", group="all").difference == pytest.approx(0.025, rel=1e-12)
    assert (one(found, finding="old").said, one(found, finding="old").b) == ("only in A", None)
    assert (one(found, finding="new").said, one(found, finding="new").a) == ("only in B", None)
    assert len(found.numbers) == 5


def test_a_difference_is_shown_and_not_tested(both: tuple[Path, Path]) -> None:
    """The same customers stand in both months, so two intervals are no test: each difference says so."""
    found = changes.between(*both)
    assert one(found, finding="leavers", group="all").said == "difference shown, not tested"
    told = "\n".join(changes.lines(found))
    assert "2 of 2 numbers that stand in both differ; difference shown, not tested" in told
    assert "significant" not in told


def test_a_small_group_has_no_difference(both: tuple[Path, Path]) -> None:
    """A number that one report suppressed is not worked out from the other."""
    row = one(changes.between(*both), group="segment=tiny")
    assert (row.difference, row.said) == (None, "suppressed: fewer than 10 customers")
    assert row.b == {"estimate": None, "conf_low": None, "conf_high": None, "conf_level": 0.95, "n": None}


def test_the_month_before_meets_the_month_before(both: tuple[Path, Path]) -> None:
    """The leavers of 2026-08 in the report of 2026-09 are the same question as those of 2026-09 in that of 2026-10."""
    row = one(changes.between(*both), finding="churn_rate")
    assert (row.row["term"], row.difference) == ("the period before", pytest.approx(0.01, rel=1e-9))


def test_verdicts_that_changed_are_named(both: tuple[Path, Path]) -> None:
    """A verdict stands with both words."""
    found = changes.between(*both)
    assert [(one["claim"], one["a"], one["b"], one["changed"]) for one in found.verdicts] == [
        ("S3.5", "undecided", "supported", True)
    ]
    assert "verdict S3.5 (leavers): undecided → supported" in list(changes.lines(found))


def test_what_lies_beneath_is_compared(both: tuple[Path, Path]) -> None:
    """Parameters, data, policy, versions and row counts that differ are each a line."""
    told = list(changes.lines(changes.between(*both)))
    for line in (
        "parameter window of churn: its default → 6",
        "rests on other data: f00d → beef",
        "rests on other policy of claims: p1 → p2",
        "rests on other version of pandas: 3.1 → 3.2",
        "rests on other rows of panel: 10 → 12",
    ):
        assert line in told


def test_the_command_prints_text_or_json(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """`compare A B` is for reading, `--json` for programs; both hold the same numbers."""
    assert cli.main(["compare", *map(str, both)]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "A: monthly 2026-09, study demo, run a1"
    assert "  churned, all, crude, rate" in text
    assert cli.main(["compare", *map(str, both), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {len(data["numbers"]), len(data["verdicts"])} == {5, 1}
    assert data["b"]["period"] == "2026-10"


def test_a_report_differs_from_itself_by_nothing(both: tuple[Path, Path]) -> None:
    """The same folder twice: no difference, nothing beneath, no verdict."""
    found = changes.between(both[0], both[0])
    assert (found.basis, {row.difference for row in found.numbers}) == ((), {0.0})
    assert "no verdict changed among 1" in list(changes.lines(found))


def test_what_is_no_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear line, exit 2."""
    assert cli.main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "is not the folder of a report: it has no run.json" in capsys.readouterr().err


def test_two_quarters_name_the_quarter_before_and_nothing_else_so(tmp_path: Path) -> None:
    """The quarter before meets that of the other report; a number that names no term keeps none."""
    gone = {"Q2": number(term="2026-03 to 2026-05", finding="churn_rate", estimate=0.02)}
    gone["Q3"] = number(term="2026-06 to 2026-08", finding="churn_rate", estimate=0.03)
    found = changes.between(*(report(tmp_path, f"2026-{name}", number(), lost) for name, lost in gone.items()))
    assert one(found, finding="churn_rate").row["term"] == "the period before"
    assert one(found, finding="churn_rate").difference == pytest.approx(0.01, rel=1e-9)
    assert "before" not in str(one(found, finding="leavers").row["term"])


def test_a_record_that_is_not_whole_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A `run.json` of something else is told in one line, on either side."""
    whole, other = report(tmp_path, "2026-09", number()), tmp_path / "other"
    other.mkdir()
    for text in ("{}", '{"status": "complete"}', '{"period": "2026-10", "study": 5}'):
        (other / "run.json").write_text(text)
        for words in ([str(other), str(whole)], [str(whole), str(other)]):
            assert cli.main(["compare", *words]) == 2
            assert "run.json lacks" in capsys.readouterr().err
