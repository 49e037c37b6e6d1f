"""Trends of page one: what earlier reports said of the same number, never joined to another one."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from pypdf import PdfReader
from report_sample import METADATA, book, code, shown
from test_claims import finding as judged_of
from test_claims import leavers

from cxresearch.claims import VERDICT_MIME, combine, judge
from cxresearch.finding import FINDING_MIME, Finding, dumps
from cxresearch.report import document, ledger, page, paper, scorecard
from cxresearch.report.scorecard import Scorecard, open_scorecard
from cxresearch.report.trends import NOTE
from cxresearch.table import row, tidy

FORM = 'data: str = "data/demo.toml"\nperiod: str = "latest"\nwindow: int = 12'


def report(
    base: Path, period: str, value: float | None, *, given: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    """A report of one period that says how satisfied customers are and judges one claim; the place of its ledger."""
    made = base / period
    (made / "notebooks").mkdir(parents=True)
    method = changes.pop("method", f"Mean of those who answered. Jackknife over {len(period)} blocks of 300 sites.")
    number = {"outcome": "satisfaction", "measure": "score", "estimate": value, "n": 900} | changes
    ends = {} if value is None else {"conf_low": value - 2, "conf_high": value + 2}
    told = Finding(
        name="score satisfaction", question="How satisfied?", estimand="mean", design="descriptive",
        table=tidy([row(**number, **ends)]), method=method, sample="all", answer="So and so.",
    )  # fmt: skip
    lives = judged_of(leavers(2.2 if value is None else value / 10, 0.5))
    verdict = judge("S3.12", lives)
    shows = [{FINDING_MIME: told.to_json()}, {FINDING_MIME: lives.to_json()}, {VERDICT_MIME: vars(verdict)}]
    cells = [nbformat.v4.new_code_cell(FORM, metadata={"tags": ["parameters"]}), code(*map(shown, shows))]
    executed = book(*cells)
    executed.metadata["papermill"] = {"parameters": {"period": period, **(given or {})}}
    (made / "notebooks" / "scores.ipynb").write_text(json.dumps(executed))
    run = {"edition": "monthly", "study": "demo", "period": period, "run": period}
    ledger.write(ledger.rows("scores", executed, run), made / "ledger.parquet", "p")

    (made / "claims.json").write_text(dumps(combine([vars(verdict)], frozenset())))
    return str(made / "ledger.parquet")


def trend(now: str, *earlier: str) -> Any:
    """What page one tells of the number that is satisfaction; None where nothing is told."""
    (tile,) = open_scorecard(now, history=earlier).tiles.data["tiles"]
    return tile.get("trend")


def test_the_numbers_of_earlier_reports_stand_beside_that_of_now(tmp_path: Path):
    """The first and the last in words, all of them in the line, a period without a report as a gap."""
    earlier = [
        report(tmp_path, period, value) for period, value in (("2026-06", 61.04), ("2026-08", 60.0), ("2026-09", 63.0))
    ]
    told = trend(report(tmp_path, "2026-10", 62.5), *earlier)
    assert told["words"] == "61.0 in 2026-06, 62.5 now"
    assert told["points"] == [(4, 61.04), (2, 60.0), (1, 63.0), (0, 62.5)]
    assert told["said"] == ["61.0 in 2026-06", "60.0 in 2026-08", "63.0 in 2026-09", "62.5 now"]
    assert told["interval"] == [60.5, 64.5]


def test_without_an_earlier_report_nothing_is_shown(tmp_path: Path):
    """No line, no note, and the same words as ever."""
    board = open_scorecard(report(tmp_path, "2026-10", 62.5))
    assert set(board.tiles.data) == {"tiles"}
    assert "trend" not in board.tiles.data["tiles"][0]
    assert all("trend" not in claim for claim in board.front.data["claims"])


@pytest.mark.parametrize(
    "other",
    [
        {"measure": "difference"},
        {"model": "weighted"},
        {"term": "care"},
        {"unit": "points"},
        {"outcome": "recommend"},
        {"group": "segment=high"},
        {"method": "Median of those who answered. Jackknife over 7 blocks of 300 sites."},
        {"method": "Mean of those who answered. Jackknife over 7 blocks of 300 sites, trimmed by 5 %."},
        {"given": {"window": 6}},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_another_definition_is_never_joined(tmp_path: Path, other: dict[str, Any]):
    """A number with another measure, step, term, unit, group, method or parameter is another number."""
    earlier = [report(tmp_path, "2026-09", 61.0, **other), report(tmp_path, "2026-08", 61.0, given={"window": 12})]
    assert [back for back, _ in trend(report(tmp_path, "2026-10", 62.5), *earlier)["points"]] == [2, 0]


def test_what_was_not_told_then_is_not_told_now(tmp_path: Path):
    """A number that was suppressed, or stood in the report of more than a year ago, has no point in the line."""
    earlier = [report(tmp_path, "2026-09", None), report(tmp_path, "2025-10", 50.0)]
    assert trend(report(tmp_path, "2026-10", 62.5), *earlier) is None
    assert trend(report(tmp_path, "2026-11", 62.5), *earlier, report(tmp_path, "2025-12", 50.0))["points"][0] == (
        11,
        50.0,
    )


def test_values_that_nobody_knows_are_joined_to_none(tmp_path: Path):
    """Where the notebook of a report is gone, so is what its number rested on; two that nobody knows are not the same."""
    earlier, now = report(tmp_path, "2026-09", 61.0), report(tmp_path, "2026-10", 62.5)
    for period in ("2026-09", "2026-10"):
        (tmp_path / period / "notebooks" / "scores.ipynb").unlink()
        assert trend(now, earlier) is None


def test_quarters_are_joined_to_quarters(tmp_path: Path):
    """The quarter before is a point, the months inside it are none."""
    earlier = [report(tmp_path, "2026-Q2", 60.0), report(tmp_path, "2026-06", 10.0), report(tmp_path, "2026-09", 10.0)]
    assert trend(report(tmp_path, "2026-Q3", 62.5), *earlier)["words"] == "60.0 in 2026-Q2, 62.5 now"


def test_the_answer_names_what_was_reported_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Behind the number of the claim that leads stands the first of the earlier ones, as a report and no test."""
    monkeypatch.setattr(scorecard, "LEADING", "S3.12")
    earlier = [report(tmp_path, period, value) for period, value in (("2026-07", 30.0), ("2026-09", 29.0))]
    now = report(tmp_path, "2026-10", 31.0)
    assert ", reported 3.0 in 2026-07; true if at least 2.0." in open_scorecard(now, history=earlier).answer.text
    assert "reported" not in open_scorecard(now).answer.text


def both(board: Scorecard) -> tuple[str, str, int]:
    """Page and first page of the paper of a scorecard, and on which pages of the paper its claims stand."""
    shows = (board.tiles, board.answer, board.changes, board.cautions, board.front)
    cells = [code(shown({one.mime: json.loads(json.dumps(one.data))})) for one in shows]
    whole = document.read(document.merge([("scorecard", book(*cells)), ("a", book())], METADATA))
    printed = paper.render(whole)
    assert printed.warnings == ()
    pages = PdfReader(io.BytesIO(printed.pdf)).pages
    return page.render(whole), " ".join(pages[0].extract_text().split()), len(pages)


def test_page_and_paper_show_the_line_and_its_words(tmp_path: Path):
    """A drawing with all numbers as its description, the ends in words beside it, of tiles and of claims; once how to read it."""
    earlier = [report(tmp_path, period, value) for period, value in (("2026-08", 60.0), ("2026-09", 63.0))]
    html, first, _ = both(open_scorecard(report(tmp_path, "2026-10", 62.5), history=earlier))
    assert 'aria-label="As reported: 60.0 in 2026-08, 63.0 in 2026-09, 62.5 now"' in html
    assert 'aria-label="As reported: 6.0 in 2026-08, 6.3 in 2026-09, 6.2 now"' in html
    for said in ("60.0 in 2026-08, 62.5 now", "6.0 in 2026-08, 6.2 now"):
        assert said in html
        assert said in first
    assert html.count(NOTE) == 1
    assert NOTE in first
