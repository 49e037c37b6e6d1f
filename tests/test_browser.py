"""In a real browser: the report's page on a phone, a tablet and a desk, and a notebook run by hand in JupyterLab."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
WIDTHS = (390, 768, 1280)
A4 = 642  # pixels between the margins
VIEWS = [(width, scheme, "screen") for width in WIDTHS for scheme in ("light", "dark")] + [(A4, "light", "print")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason=f"needs Debian's chromium as {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; gone before another file's tests need an event loop of their own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study file of an operator of 2,000 customers."""
    folder = _once(tmp_path_factory, "small", lambda into: _cxresearch("simulate", "--customers", "2000", "-o", into))
    return folder / "study.toml"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, study: Path) -> Path:
    """The monthly page of that operator."""
    folder = _once(
        tmp_path_factory, "report", lambda into: _cxresearch("report", "monthly", "--data", study, "-o", into)
    )
    (page,) = folder.glob("monthly/*/report.html")
    return page


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that was made by the first of several test processes; the others wait for it."""
    shared = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    folder = shared / f"browser-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            make(folder)
    return folder


def _cxresearch(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "cxresearch", *words], check=True, cwd=ROOT)


# ---------------------------------------------------------------------------------------------------- the page


@pytest.fixture(params=VIEWS, ids=lambda view: f"{view[0]}px-{view[1]}-{view[2]}")
def sheet(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    """The page at a width, in a colour scheme, on a medium; `requests` and `complaints` are what it did."""
    width, scheme, medium = request.param
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.emulate_media(media=medium, color_scheme=scheme)
    page.requests, page.complaints = [], []  # type: ignore[attr-defined]

    def only_the_file(route: Route) -> None:
        page.requests.append(route.request.url)  # type: ignore[attr-defined]
        route.continue_() if route.request.url == report.as_uri() else route.abort()

    context.route("**/*", only_the_file)
    page.on("console", lambda line: page.complaints.append(line.text) if line.type != "log" else None)  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
    page.goto(report.as_uri())
    yield page
    context.close()


STICKS_OUT = """() => [...document.querySelectorAll('body *')].filter(e =>
    !e.closest(matchMedia('print').matches ? 'svg' : '.scroll, svg, .skip') && e.checkVisibility() && e.getBoundingClientRect().right > document.scrollingElement.clientWidth + .5)
    .map(e => e.outerHTML.slice(0, 120))"""


def test_the_page_loads_alone_and_nothing_is_wider_than_the_screen(sheet: Page, report: Path) -> None:
    """One request, for the file itself; no complaint; no sideways scrolling, folded tables open or closed."""
    assert sheet.evaluate("document.fonts.ready.then(() => [...document.fonts].map(f => f.status))").count("error") == 0
    for _ in ("folded", "open"):
        wide, room = sheet.evaluate(
            "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.scrollingElement)"
        )
        assert wide <= room
        assert sheet.evaluate(STICKS_OUT) == []
        sheet.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert sheet.requests == [report.as_uri()]  # type: ignore[attr-defined]
    assert sheet.complaints == []  # type: ignore[attr-defined]


# The contrast of each piece of text with what is painted behind it, as WCAG 2 reckons; half-clear colours are mixed.
FAINT = """() => {
  const parts = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n };
  const over = (top, under) => under.map((u, i) => top[i] * top[3] + u * (1 - top[3]));
  const light = c => c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => e ? over(parts(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [255, 255, 255];
  const words = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  const found = [...document.querySelectorAll('body *')].filter(e => words(e) && !e.closest('svg') && e.checkVisibility());
  const ratio = e => { const ground = behind(e), [a, b] = [light(ground), light(over(parts(getComputedStyle(e).color), ground))];
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) };
  return [found.length, found.filter(e => ratio(e) < 4.5).map(e => `${ratio(e).toFixed(2)} ${e.outerHTML.slice(0, 120)}`)];
}"""


def test_every_word_stands_out_from_its_ground(sheet: Page) -> None:
    """At least 4.5 to 1, in both colour schemes and in print."""
    sheet.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    words, faint = sheet.evaluate(FAINT)
    assert words > 300
    assert faint == []


@pytest.mark.parametrize("sheet", [VIEWS[0]], indirect=True, ids=["390px"])
def test_on_a_phone(sheet: Page) -> None:
    """Numbers in two columns on the first screen, charts as wide as the screen, tables that scroll in their own box."""
    tiles = [_box(tile) for tile in sheet.locator(".tile").all()]
    assert len({tile["x"] for tile in tiles}) == 2
    assert max(tile["y"] + tile["height"] for tile in tiles) < 844
    assert all(0.9 * 390 <= _box(chart)["width"] <= 390 for chart in sheet.locator("figure svg").all())
    sheet.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    wide = (
        sheet.locator(".scroll")
        .filter(has=sheet.locator("table:not(.all-claims)"))
        .evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => getComputedStyle(e).overflowX)")
    )
    assert set(wide) == {"auto"}
    claims = sheet.locator(".all-claims").first
    assert claims.evaluate("e => e.scrollWidth <= e.parentElement.clientWidth")


def _box(locator: Locator) -> dict[str, float]:
    box = locator.bounding_box()
    assert box is not None
    return dict(box)


@pytest.mark.parametrize("sheet", [VIEWS[-2]], indirect=True, ids=["1280px"])
def test_what_a_screen_reader_meets(sheet: Page) -> None:
    """One h1, no level skipped, every chart an image with words."""
    levels = [
        int(level) for level in sheet.eval_on_selector_all("h1,h2,h3,h4,h5,h6", "all => all.map(e => e.tagName[1])")
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    charts = sheet.locator("figure svg").all()
    assert len(charts) > 8
    assert all(chart.get_attribute("role") == "img" and chart.get_attribute("aria-label") for chart in charts)


AXE = importlib.util.find_spec("axe_playwright_python")  # brings the rules of axe-core as one script


@pytest.mark.skipif(AXE is None, reason="needs axe-playwright-python for the rules of axe-core")
def test_axe_finds_nothing(sheet: Page) -> None:
    """The usual checker of accessible pages has no complaint, folded tables open, whatever the width, scheme and medium."""
    assert AXE is not None
    assert AXE.origin is not None
    sheet.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    sheet.evaluate(Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8") + ";0")
    found = sheet.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 20
    told = [(rule["impact"], rule["id"], rule["nodes"][0]["html"][:120]) for rule in found["violations"]]
    assert told == []
    assert sheet.complaints == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("sheet", [VIEWS[0], VIEWS[-2]], indirect=True, ids=["390px", "1280px"])
def test_the_page_is_read_with_the_keyboard_alone(sheet: Page) -> None:
    """The first stop leads past the title; a folded table opens with Enter, and its box can be scrolled."""
    sheet.keyboard.press("Tab")
    skip = sheet.locator(":focus")
    assert skip.inner_text() == "Skip to the content"
    assert _box(skip)["x"] >= 0
    sheet.keyboard.press("Enter")
    assert sheet.url.endswith("#main")
    folded = sheet.locator("details").first
    folded.locator("summary").focus()
    sheet.keyboard.press("Enter")
    assert folded.evaluate("e => e.open")
    sheet.keyboard.press("Tab")
    assert sheet.locator(":focus").get_attribute("role") == "region"


@pytest.mark.parametrize("sheet", VIEWS[::2], indirect=True, ids=lambda view: f"{view[0]}px")
def test_the_first_page_comes_first_and_its_contents_stand_in_order(sheet: Page) -> None:
    """Numbers and the answer on the first screen, all of page one before any chapter, contents that do not overlap."""
    assert _box(sheet.locator(".tile").first)["y"] < 300
    assert _box(sheet.get_by_role("heading", name="The answer"))["y"] < 844
    assert _box(sheet.locator("nav.contents"))["y"] < _box(sheet.locator("section.chapter").first)["y"]
    assert _box(sheet.locator("nav.contents"))["y"] < 5 * 844
    entries = [_box(entry) for entry in sheet.locator("nav.contents li").all()]
    assert all(one["y"] + one["height"] <= two["y"] or two["x"] > one["x"] for one, two in itertools.pairwise(entries))


def test_no_number_is_parted_from_its_sign(sheet: Page) -> None:
    """`99 %` and `n = 12` stay on one line."""
    parted = sheet.evaluate("document.body.innerText.match(/[0-9] %|\\b[nr] =|\\b[nr]\\s= \\d/g) || []")
    assert parted == []


TEMPT = """() => new Promise(resolve => {
  const refused = [];
  document.addEventListener('securitypolicyviolation', e => refused.push(e.effectiveDirective));
  document.body.append(Object.assign(new Image(), {src: 'http://example.invalid/x.png'}));
  document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}));
  setTimeout(() => resolve([refused.sort(), window.ran ?? 0]), 300);
})"""


@pytest.mark.parametrize("sheet", [VIEWS[0]], indirect=True, ids=["390px"])
def test_the_policy_in_the_page_is_enforced(sheet: Page, report: Path) -> None:
    """Were something let through into the page, the browser would neither load nor run it."""
    assert sheet.evaluate(TEMPT) == [["img-src", "script-src-elem"], 0]
    assert sheet.requests == [report.as_uri()]  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------- JupyterLab


@contextmanager
def _jupyterlab(folder: Path, home: Path) -> Iterator[dict[str, Any]]:
    """A server on a free port that serves the folder and knows nothing of the user's settings."""
    places = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    # a kernel that is killed with its server is known by this word in its environment
    env = os.environ | places | {"HOME": str(home), "IPYTHONDIR": str(home / "ipython"), "CX_TEST_HOME": str(home)}
    words = ["lab", "--no-browser", "--allow-root", "--ServerApp.port=0", f"--ServerApp.root_dir={folder}"]
    words += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly"]
    with (home / "log").open("w") as log:
        command = [Path(sys.executable).with_name("jupyter"), *words]
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            told = home / "runtime" / f"jpserver-{server.pid}.json"
            _wait(told.is_file, 60, lambda: (home / "log").read_text())
            yield json.loads(told.read_text())
        finally:
            server.terminate()
            try:
                server.wait(20)
            finally:
                if server.poll() is None:
                    os.killpg(server.pid, signal.SIGKILL)
                    server.wait()


def _wait(ready: Callable[[], Any], seconds: float, told: Callable[[], str], page: Page | None = None) -> None:
    """Wait until something is so. With a page, its browser is served meanwhile: asleep, nobody would answer it."""
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, told()
        page.wait_for_timeout(100) if page else time.sleep(0.1)


def _left_behind(home: Path) -> list[str]:
    """Command lines of processes that still carry this home in their environment."""
    word, found = f"CX_TEST_HOME={home}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if word in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it ended while we looked, or is another user's
            continue
    return found


def _run_all(page: Page, before: int) -> list[str]:
    """Choose Run > Run All Cells, wait for the last cell, and return what the cells show, as text."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt")

    errors = page.locator(".jp-OutputArea-output[data-mime-type*=error]")

    def done() -> bool:
        assert errors.count() == 0, errors.first.inner_text()
        return all(re.fullmatch(r"\[\d+\]:", text) and int(text[1:-2]) > before for text in prompts.all_inner_texts())

    _wait(done, 90, lambda: str(prompts.all_inner_texts()), page)
    return page.locator(".jp-OutputArea-output[data-mime-type='text/html']").all_inner_texts()


def _edit(page: Page, old: str, new: str) -> None:
    """Type other text into the parameters cell."""
    form = page.locator(".jp-CodeCell .cm-content").first
    text = "\n".join(form.locator(".cm-line").all_inner_texts())
    assert old in text
    form.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text.replace(old, new))


def _digests() -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (ROOT / "notebooks").iterdir()
        if path.is_file()
    }


def test_a_notebook_runs_in_jupyterlab_and_runs_again_with_another_segment(
    browser: Browser, study: Path, tmp_path: Path
) -> None:
    """Open, run all, read; type another segment into the form, run all, read something else; leave nothing behind."""
    home, before = tmp_path / "home", _digests()
    home.mkdir()
    shutil.copytree(ROOT / "notebooks", tmp_path / "desk" / "notebooks")
    with _jupyterlab(tmp_path / "desk", home) as server:
        # tall: cells outside of the screen are drawn late
        context = browser.new_context(viewport={"width": 1280, "height": 9000})
        context.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
        page = context.new_page()
        here = f"http://127.0.0.1:{server['port']}"
        page.goto(f"{here}/lab/tree/notebooks/headline_scores.ipynb?token={server['token']}")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        _edit(page, "data/demo.toml", str(study))
        first = _run_all(page, before=0)
        assert re.match(
            r"Satisfaction stands at \d\d\.\d \(95 % interval .*n = \d+\) among those who answered in 2026-10", first[0]
        )
        assert page.locator(".jp-OutputArea-output[data-mime-type='image/svg+xml'] :is(img, svg)").count() >= 4
        ran = page.locator(".jp-CodeCell").count()
        _edit(page, 'segment: str = "all"', 'segment: str = "high"')
        second = _run_all(page, before=ran)
        assert len(second) == len(first)
        assert second[0] != first[0]
        assert second[0].startswith("Satisfaction stands at ")
        assert _left_behind(home)  # the server and its kernel, as long as they should be there
        page.keyboard.press("Control+s")
        saved = tmp_path / "desk" / "notebooks" / "headline_scores.ipynb"
        _wait(lambda: 'str = \\"high\\"' in saved.read_text(), 10, lambda: "not saved", page)
        context.close()
    _wait(lambda: not _left_behind(home), 10, lambda: str(_left_behind(home)))
    assert _digests() == before
