"""Faults that users of report tools meet in what is published, each tried through the command line.

A blank report passes; the page needs the internet; the paper cuts tables and charts; a data value becomes live markup.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import page as validator
import pytest
import tiny_project
from pypdf import PdfReader

from cxresearch import cli
from cxresearch.report import archive, paper
from cxresearch.report import page as pages

DRAW = """
import matplotlib
matplotlib.use("agg")
from matplotlib import pyplot
import cxresearch.charts as charts
from cxresearch.charts.notebook import install
install()
"""
EMPTY = (
    DRAW
    + 'from cxresearch.charts.dressing import put_on\n_, ax = pyplot.subplots()\nput_on(ax, title="Who?", caption="", alt="Who leaves")\nax.figure'
)
MUTE = DRAW + "_, ax = pyplot.subplots()\nax.plot([1, 2])\nax.figure"
PLACEHOLDER = EMPTY.replace("put_on(", 'ax.set_axis_off()\nax.text(.5, .5, "not estimable")\nput_on(', 1)


@pytest.fixture
def report(project: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`cxresearch report` with these words: its exit code and its error lines."""

    def make(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        code = cli.main(["report", "--as-of", "2026-11-02", *words])
        return code, "\n".join(line for line in capfd.readouterr().err.splitlines() if line.startswith("cxresearch: "))

    return make


Report = Callable[..., tuple[int, str]]


def chapter(project: Path, *cells: str, name: str = "scores") -> None:
    """A chapter that shows a finding and then runs these cells."""
    tiny_project.write_notebook(project, name, "What do they say?", tiny_project.finding(name), *cells)


def kept(project: Path) -> list[str]:
    return sorted(path.name for path in (project / "reports" / "monthly").glob("*"))


# ------------------------------------------------------------------------------------- 10: a blank report passes


def test_a_report_without_any_estimate_is_not_published(project: Path, report: Report) -> None:
    """Exit 7; what was made is kept aside with its reason, and the good report of the month stays as it was."""
    assert report()[0] == 0
    good = project / "reports" / "monthly" / "2026-10"
    before = (good / "report.html").read_bytes()
    for name in ("leavers", "scores"):
        bare = tiny_project.finding(name).replace("estimate=0.1, conf_low=0.08", "effect_label='not estimable'")
        bare = bare.replace("conf_high=0.12, conf_level=0.95, ", "")
        tiny_project.write_notebook(project, name, "Who?", bare)
    code, said = report()
    assert code == 7
    assert "none of the 2 findings of its chapters has an estimate, so there is nothing to report" in said
    assert "kept aside in " in said
    assert kept(project) == ["2026-10", "2026-10.failed"]
    assert (good / "report.html").read_bytes() == before
    record = archive.record(good.with_name("2026-10.failed")) or {}
    assert record["status"] == "failed"
    assert len(record["gates"]) == 1


@pytest.mark.parametrize(
    ("cell", "reason"),
    [(EMPTY, "is blank: nothing is drawn between its axes"), (MUTE, "has no words for those who cannot see it")],
    ids=["blank", "mute"],
)
def test_a_chart_that_shows_or_says_nothing_is_not_published(
    project: Path, report: Report, cell: str, reason: str
) -> None:
    """Axes without marks, or a figure that nobody described: exit 7, with the chart and its chapter."""
    chapter(project, cell)
    code, said = report()
    assert (code, kept(project)) == (7, ["2026-10.failed"])
    assert f"chart 1 in “What do they say?” {reason}" in said


def test_a_placeholder_that_says_why_is_published(project: Path, report: Report) -> None:
    """Words in place of a chart are no blank."""
    chapter(project, PLACEHOLDER)
    assert report() == (0, "")
    assert "not estimable" in (project / "reports" / "monthly" / "2026-10" / "report.html").read_text()


# ------------------------------------------------------------------------------------ 11: the page needs the internet

FOREIGN = """
from IPython.display import HTML, SVG, Markdown, display
svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><image href="https://x.example/a.png"/><path d="M0 0L9 9" stroke="red" style="fill:url(https://x.example/b)"/></svg>'
display({"image/svg+xml": svg}, metadata={"image/svg+xml": {"alt": "a line"}}, raw=True)
display(HTML('<img src="https://x.example/c.png"><script src="//x.example/d.js"></script>'))
"""


def test_what_a_notebook_loads_from_elsewhere_does_not_reach_the_page(project: Path, report: Report) -> None:
    """Foreign pictures, scripts and style sheets in outputs are left out; the page asks nobody."""
    chapter(project, FOREIGN)
    assert report() == (0, "")
    assert "x.example" not in (project / "reports" / "monthly" / "2026-10" / "report.html").read_text()


ASKS = {
    "picture": '<img src="https://x.example/a.png" alt="">',
    "script": '<script src="//x.example/a.js"></script>',
    "style": "<style>@import 'https://x.example/a.css';</style>",
    "font": "<style>@font-face{font-family:a;src:url( http://x.example/a.woff)}</style>",
    "sheet": '<link rel="stylesheet" href="https://x.example/a.css">',
    "ground": "<p style=\"background:url('//x.example/a.png')\">a</p>",
    "fetch": "<script>fetch('https://x.example/a')</script>",
    "module": "<script type='module'>import a from \"https://x.example/a.js\"</script>",
    "sizes": '<img srcset="a.png 1x, https://x.example/a.png 2x" alt="">',
    "forward": '<meta http-equiv="refresh" content="0; url=https://x.example/a">',
    "drawing": '<svg><use xlink:href="https://x.example/a.svg#b"/></svg>',
}


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The template of the page, to be changed as somebody might who adds a logo."""
    folder = tmp_path / "templates"
    shutil.copytree(pages.TEMPLATES, folder)
    monkeypatch.setattr(pages, "TEMPLATES", folder)
    pages._environment.cache_clear()
    yield folder / "page.html.jinja"
    pages._environment.cache_clear()


def test_a_page_that_asks_another_host_is_not_published(project: Path, report: Report, template: Path) -> None:
    """Whatever asks, and however: exit 7 with every address; a plain link is fine."""
    body = template.read_text()
    asked = "".join(text.replace("x.example", f"{name}.example") for name, text in ASKS.items())
    template.write_text(body.replace("</footer>", f'<a href="https://plain.example/">more</a>{asked}</footer>'))
    code, said = report()
    assert (code, kept(project)) == (7, ["2026-10.failed"])
    assert set(re.findall(r"//(\w+)\.example", said)) == set(ASKS)


# ------------------------------------------------------------------------------- 12: the paper cuts and loses things


def test_a_paper_that_cannot_be_read_aloud_is_not_published(
    project: Path, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paper that only sets without the standard for readers' programs: exit 7, saying what it lacks."""
    monkeypatch.setattr(paper, "STANDARDS", ())
    code, said = report()
    assert (code, kept(project)) == (7, ["2026-10.failed"])
    assert "the paper does not declare PDF/UA-1" in said


def test_a_paper_that_cannot_be_made_is_an_error_of_its_own(
    project: Path, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 5 with the typesetter's reason; nothing is left over."""
    broken = tmp_path / "report.typ"
    broken.write_text("#let a =")
    monkeypatch.setattr(paper, "TEMPLATE", broken)
    code, said = report()
    assert (code, kept(project)) == (5, [])
    assert "the paper could not be made: " in said


LONG = """
from IPython.display import display
rows = [dict(record, term=f"term {i:03d}", n=2000 + i) for i in range(120)]
display({"application/vnd.cxresearch.finding+json": dict(finding, name="long", table=rows)}, raw=True)
"""
FIGURE = (
    DRAW
    + """
from cxresearch.charts.dressing import put_on
_, ax = pyplot.subplots()
ax.plot([1, 2, 3])
ax.annotate("first word", (0, 1))
ax.annotate("last word", (1.5, 3))
put_on(ax, title="A line", caption="How.", alt="A line that rises")
ax.figure"""
)


def test_the_paper_cuts_no_chart_and_loses_no_table(project: Path, report: Report) -> None:
    """Each chart stands whole on one page; a long table goes on with its head repeated, its last rows in the page."""
    words = "\n\n".join("Words that fill the page before the charts." for _ in range(12))
    chapter(project, LONG, *[FIGURE] * 6)
    book = project / "notebooks" / "leavers.ipynb"
    book.write_text(book.read_text().replace("# Who leaves?", json.dumps(f"# Who leaves?\n\n{words}")[1:-1]))
    assert report() == (0, "")
    folder = project / "reports" / "monthly" / "2026-10"
    sheets = [" ".join(sheet.extract_text().split()) for sheet in PdfReader(folder / "report.pdf").pages]
    assert all(sheet.count("first word") == sheet.count("last word") for sheet in sheets)
    assert sum(sheet.count("first word") for sheet in sheets) == 6
    told = " ".join(sheets)
    assert "term 039" in told
    assert "80 further rows in the page." in told
    assert "term 119" in (folder / "report.html").read_text()
    checked = validator.validate_pdf(folder / "report.pdf", profile=validator.ValidationProfile.PDF_UA_1)
    assert checked.is_compliant


# --------------------------------------------------------------------------- 13: a data value becomes live markup

WILD = "<script>alert(1)</script> <img src=x onerror=alert(1)> $x^2$ `tick` =cmd() #link हिन्दी العربية 中文"


def test_a_value_stays_a_value(project: Path, report: Report) -> None:
    """Markup, formulas and typesetter's signs in data are printed as they are, in any script; nothing of it runs."""
    live = f"finding.update(question={WILD!r}, answer={WILD!r}, table=[dict(record, term={WILD!r})])"
    show = 'display({"application/vnd.cxresearch.finding+json": finding}, raw=True)'
    chapter(project, f"{live}\n{show}")
    assert report() == (0, "")
    folder = project / "reports" / "monthly" / "2026-10"
    html = (folder / "report.html").read_text()
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; $x^2$ `tick` =cmd() #link हिन्दी العربية 中文" in html
    printed = " ".join(" ".join(sheet.extract_text().split()) for sheet in PdfReader(folder / "report.pdf").pages)
    printed = printed.replace("\u200b", "")
    assert "<img src=x onerror=alert(1)> $x^2$ `tick` =cmd() #link" in printed
    assert "中" in printed or "[U+4E2D]" in printed
