"""The index of reports: it lists what there is, newest first, alone in one file, and no title can become markup."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxresearch.report import archive, shelf

CHROMIUM = Path("/usr/bin/chromium")
WILD = "<script>document.title='x'</script><img src=x onerror=alert(1)> \" ' & {{ 7*7 }} 中文"


def put(folder: Path, place: str, **changes: Any) -> Path:
    """A report's folder as far as the index reads it."""
    made = folder / place
    made.mkdir(parents=True)
    period = Path(place).parts[1].removesuffix(".failed")
    about = {
        "edition": "monthly",
        "status": "complete",
        "title": "The month",
        "period": period,
        "study": {"name": "demo", "title": "Demo"},
    }
    about |= {"headline": "Ten in a hundred leave.", "verdicts": {"supported": 3, "undecided": 1, "not_estimable": 71}}
    (made / archive.RECORD).write_text(json.dumps({**about, **changes}))
    for name in ("report.html", "report.pdf"):
        (made / name).write_text("report")
    return made


def page(folder: Path) -> str:
    shelf.arrange(folder)
    return (folder / shelf.INDEX).read_text()


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Two editions, three periods, a report with other values, one that stopped, and what is no report."""
    folder = tmp_path / "reports"
    put(folder, "monthly/2026-09", as_of="2026-10-02")
    put(folder, "monthly/2026-10", as_of="2026-11-02")
    put(folder, "monthly/2026-10/segment=a%2Fb c", headline="Half of them leave.")
    put(folder, "monthly/2026-10.failed", status="failed", failed={"churn": "cell 4, line 1: ValueError: no"})
    put(folder, "quarterly/2026-Q2", title="The quarter")
    put(folder, "monthly/.making-1234-x")
    (folder / "monthly.toml").write_text("")
    (folder / "notes").mkdir()
    return folder


def test_reports_are_listed_newest_first(filled: Path):
    """Editions by their newest period, in them periods downwards; what is unfinished or no report is left out."""
    found = shelf.shelves(filled)
    assert [one.name for one in found] == ["quarterly", "monthly"]
    periods = [(one.period, one.values, one.status[:7]) for one in found[1].reports]
    month = [("2026-10", "", "complet"), ("2026-10", "", "stopped"), ("2026-10", "segment=a/b c", "complet")]
    assert sorted(periods[:3]) == month
    assert periods[3:] == [("2026-09", "", "complet")]


def test_a_report_is_shown_with_its_answer_status_and_verdicts(filled: Path):
    """The sentence of page one, how it ended, and how many claims were decided how; not estimable ones do not count."""
    text = page(filled)
    assert "Half of them leave." in text
    assert "3 supported, 1 undecided" in text
    assert "stopped: churn: cell 4, line 1: ValueError: no" in text
    assert "71" not in text


def test_links_are_relative_and_lead_there(filled: Path):
    """Each link is the address of a file from where the index lies, whatever signs its folder has."""
    from urllib.parse import unquote

    links = re.findall(r'<a href="([^#"]+)"', page(filled))
    assert len(links) == 10
    assert all((filled / unquote(link)).is_file() for link in links)
    assert "monthly/2026-10/segment=a%252Fb%20c/report.html" in links


def test_no_text_becomes_markup(tmp_path: Path):
    """A hostile title, sentence, study, period, error or member of a sweep stays text."""
    put(tmp_path, "monthly/2026-10", **dict.fromkeys(("title", "headline", "period", "as_of"), WILD))
    put(tmp_path, "monthly/2026-09", study={"title": WILD}, status="failed", failed={WILD: WILD})
    (tmp_path / "monthly" / "sweep.json").write_text(
        json.dumps({"members": [dict.fromkeys(("member", "status", "seconds", "headline"), WILD)]})
    )
    text = page(tmp_path)
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert "49" not in re.sub(r"<style>.*?</style>|<script>.*?</script>|sha256-\S+", "", text, flags=re.S)


@pytest.mark.parametrize(
    "written",
    ["", "[]", "{", '{"edition": 3, "study": 1, "verdicts": [], "seconds": 2, "failed": [], "period": null}', '"x"'],
)
def test_a_record_that_cannot_be_read_hides_no_other(filled: Path, written: str):
    """A damaged run.json costs its own line at most."""
    put(filled, "monthly/2026-08")
    (filled / "monthly" / "2026-08" / archive.RECORD).write_text(written)
    assert page(filled).count('<li class="report') in (5, 6)


def test_a_page_of_somebody_else_stays(filled: Path):
    """Where the folder that was named with -o has an index.html of its own, it is not written over."""
    own = "<!DOCTYPE html><title>My pages</title>" + "x" * 1000
    (filled / shelf.INDEX).write_text(own)
    assert page(filled) == own


def test_runs_at_once_lose_no_line(tmp_path: Path):
    """Whoever writes last has seen all reports."""

    def run(number: int) -> None:
        put(tmp_path / "reports", f"monthly/20{number:02d}-01")
        shelf.arrange(tmp_path / "reports")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(10, 26)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (tmp_path / "reports" / shelf.INDEX).read_text().count('<li class="report"') == 16


# --------------------------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.is_file():
        pytest.skip(f"needs Debian's chromium as {CHROMIUM}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_index_is_searched_by_keyboard_on_a_phone(filled: Path, browser: Any, scheme: str):
    """At 390 px nothing sticks out, words stand out from their ground, typing filters, Escape shows all again."""
    from test_browser import FAINT, STICKS_OUT

    put(filled, "monthly/2026-07", title=WILD, headline=WILD, study={"title": WILD})
    rows = [{"member": "segment=high", "status": "made", "seconds": "61.2", "headline": "Ten in a hundred leave."}]
    (filled / "monthly" / "sweep.json").write_text(json.dumps({"members": rows}))
    page(filled)
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    sheet, complaints, requests = context.new_page(), [], []
    sheet.on("console", lambda line: complaints.append(line.text))
    sheet.on("request", lambda request: requests.append(request.url))
    sheet.goto((filled / shelf.INDEX).as_uri())
    assert sheet.title() == "Reports"
    assert sheet.evaluate(STICKS_OUT) == []
    assert sheet.evaluate(FAINT)[1] == []
    shown = sheet.locator("li.report:visible")
    assert shown.count() == 6
    sheet.keyboard.press("Tab")
    sheet.keyboard.press("Tab")
    assert sheet.evaluate("document.activeElement.id") == "search"
    sheet.keyboard.type("HALF a/b")
    assert shown.count() == 1
    assert sheet.locator("#told").inner_text() == "1 of 6 reports"
    assert not sheet.get_by_text("The quarter").is_visible()
    sheet.keyboard.press("Escape")
    assert shown.count() == 6
    sheet.keyboard.press("Tab")
    sheet.keyboard.press("Enter")
    sheet.wait_for_url("**/report.html")
    assert complaints == []
    assert all(url.startswith("file:") for url in requests)
    context.close()
