"""The paper: tagged, the same bytes every time, and loud about what it cannot set."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import page as validator
import pytest
import typst
from nbformat import v4
from pypdf import PdfReader
from report_sample import (
    METADATA,
    TILES,
    book,
    chapter,
    chart,
    claims,
    code,
    failed,
    finding,
    report,
    shown,
    shows,
    verdict,
)

from cxresearch.claims import VERDICT_MIME
from cxresearch.errors import RenderError
from cxresearch.report import document, fonts, paper, results
from cxresearch.report.exporters import CxPDFExporter
from cxresearch.report.shown import CLAIMS_MIME, TILES_MIME

WILD = '<script>x</script> #link("a")[b] $x^2$ `tick` *b* _i_ =cmd()|x \\ @y //z ' + "w" * 90
SCRIPTS = "हिन्दी العربية Ελληνικά кириллица"


def compliant(pdf: bytes, folder: Path) -> bool:
    path = folder / "paper.pdf"
    path.write_bytes(pdf)
    return bool(validator.validate_pdf(path, profile=validator.ValidationProfile.PDF_UA_1).is_compliant)


def words(pdf: bytes) -> str:
    """The text of a PDF without its line ends."""
    return " ".join(words_of(sheet) for sheet in PdfReader(io.BytesIO(pdf)).pages)


def words_of(sheet: Any) -> str:
    """The text of one page."""
    told = sheet.extract_text()
    return " ".join(told.replace("\u200b", "").replace("\u00a0", " ").split())


def test_a_whole_report_can_be_read_aloud(tmp_path: Path) -> None:
    """Front, chapters, a failed chapter, appendix and charts meet PDF/UA-1 without a warning."""
    made = paper.render(document.read(report(("failed", failed()))))
    assert made.warnings == ()
    assert compliant(made.pdf, tmp_path)
    assert made.pdf.count(b"/Lang")
    assert b"/MarkInfo" in made.pdf


AGAIN = """
import hashlib, sys
sys.path[:0] = [{tests!r}, {root!r}]
from report_sample import report
from cxresearch.report import document, paper
print(hashlib.sha256(paper.render(document.read(report())).pdf).hexdigest())
"""


def test_two_processes_write_the_same_bytes() -> None:
    """No clock, no random id, no font of the machine."""
    tests = Path(__file__).parent
    source = AGAIN.format(tests=str(tests), root=str(tests.parent))
    other = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.strip()
    here = hashlib.sha256(paper.render(document.read(report())).pdf).hexdigest()
    assert other == here


def test_nothing_in_the_data_is_read_as_markup(tmp_path: Path) -> None:
    """Typst, Markdown and HTML signs in values are printed as they are."""
    notebook = book(
        v4.new_markdown_cell(f"# {WILD}"),
        code(shows(finding(answer=WILD, caveats=()))),
        code(chart(alt=WILD, caption=WILD)),
        code(shown({VERDICT_MIME: verdict(statement=WILD, sentence=WILD)})),
    )
    made = paper.render(document.read(notebook))
    assert compliant(made.pdf, tmp_path)
    told = words(made.pdf)
    assert '<script>x</script> #link("a")[b] $x^2$ `tick` *b* _i_ =cmd()|x \\ @y //z' in told


def test_other_scripts_survive_where_a_font_has_them(tmp_path: Path) -> None:
    """Greek, Cyrillic and Arabic are shipped; Hindi comes from an installed Noto or is written out and said."""
    made = paper.render(document.read(book(code(shows(finding(answer=SCRIPTS))))))
    assert compliant(made.pdf, tmp_path)
    told = words(made.pdf)
    assert "Ελληνικά" in told
    assert "кириллица" in told
    installed = any("Devanagari" in file.name for file in fonts.installed_noto())
    assert bool(made.warnings) is not installed


def test_signs_without_a_font_are_written_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chinese as its code point, an emoji by its name, in text and chart, and a note in the paper."""
    monkeypatch.setattr(fonts, "installed_noto", lambda: ())
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 20"><text x="1" y="12">文</text></svg>'
    drawing = shown({results.SVG_MIME: svg}, {results.SVG_MIME: {"alt": "a sign", "caption": ""}})
    notebook = book(code(shows(finding(answer="中 and 🚀 and \ue000 and 👩\u200d💻"))), code(drawing))
    made = paper.render(document.read(notebook))
    assert compliant(made.pdf, tmp_path)
    told = words(made.pdf)
    assert "[U+4E2D] and [rocket] and [U+E000] and [woman]" in told
    assert "[U+6587]" in told
    assert "U+4E2D" in made.warnings[0]
    assert "written out in brackets" in told


def test_the_tables_behind_charts_stand_at_the_end() -> None:
    """Each is numbered, named at its chart and leads back there; its first 40 rows are in the paper."""
    made = paper.render(
        document.read(book(code(shows(finding(3))), code(chart()), code(shows(finding(200))), code(shows(finding(2)))))
    )
    reader = PdfReader(io.BytesIO(made.pdf))
    told = words(made.pdf)
    chapters, _, tables = told.partition("Table 1. ")
    assert "All 3 rows: table 1." in chapters
    assert "All 200 rows: table 2." in chapters
    assert "Table 2. " in tables
    assert "Table 3. " not in tables  # two rows without a chart stand in their place
    assert tables.count("page 1") == 2
    assert "160 further rows in the page." in tables
    assert all(f"{2341 + i:,}" in tables for i in range(40))
    assert f"{2341 + 40:,}" not in tables
    assert tables.count("Step Group Estimate 95 % interval n") >= 1
    places = [
        [one for one in sheet.get("/Annots", []) if one.get_object()["/Subtype"] == "/Link"] for sheet in reader.pages
    ]
    assert [len(found) for found in places] == [2, 2]


@pytest.mark.parametrize("filler", range(6, 60, 6))
def test_a_heading_goes_with_what_it_leads_to(filler: int) -> None:
    """Wherever the page ends, a heading and its paragraph stand on the page of the answer and its chart."""
    before = "# Q\n\n" + "\n\n".join(f"Line {i} of what stands above." for i in range(filler))
    cells = [
        v4.new_markdown_cell(before),
        v4.new_markdown_cell("## Stranded?\n\nIt leads on."),
        v4.new_markdown_cell("And on."),
    ]
    made = paper.render(document.read(book(*cells, code(shows(finding())), code(chart()))))
    sheets = [words_of(sheet) for sheet in PdfReader(io.BytesIO(made.pdf)).pages]
    (there,) = [sheet for sheet in sheets if "Stranded?" in sheet]
    assert "It leads on." in there
    assert "And on." in there
    assert "Satisfaction goes with" in there
    assert "same usage and price" in there  # the chart


def test_a_table_of_prose_repeats_its_header_on_every_page() -> None:
    """200 rows on several pages, each with its heading, none lost."""
    rows = "\n".join(f"|row {i}|{2341 + i}|" for i in range(200))
    told = words(
        paper.render(
            document.read(book(v4.new_markdown_cell(f"|Step|Estimate|\n|---|---|\n{rows}"), code(chart())))
        ).pdf
    )
    assert all(f" {2341 + i} " in told for i in range(200))
    assert told.count("Step Estimate") >= 3


def test_a_wide_table_is_cut_into_parts() -> None:
    """14 columns become three tables; the first column stands in each."""
    heads = [f"column{i:02d}" for i in range(14)]
    table = f"|{'|'.join(heads)}|\n|{'---|' * 14}\n|{'|'.join(f'v{i:02d}' for i in range(14))}|"
    told = words(paper.render(document.read(book(v4.new_markdown_cell(table), code(chart())))).pdf)
    assert all(f"Part {part} of 3" in told for part in (1, 2, 3))
    assert [told.count(f"v{i:02d}") for i in range(14)] == [3] + [1] * 13


def test_words_of_several_rows_are_written_once_beside_them() -> None:
    """A region that stands in six rows is named with each three of them; every row has its number."""
    told = words(paper.render(document.read(book(code(shows(finding(30))), code(chart())))).pdf)
    tables = told.partition("Table 1. ")[2]
    assert [tables.count(f"R{region:03d}") for region in (1, 2, 3, 4)] == [2, 2, 2, 2]
    assert all(tables.count(f"{2341 + i:,}") == 1 for i in range(30))


def test_a_gap_below_words_is_a_dash() -> None:
    """Where words stand once for several rows, an empty cell below them would be read as one of those."""
    table = (
        "|Step|Unit|Estimate|\n|---|---|---:|\n|crude|per 10 points|1.11|\n|crude|per 10 points|2.22|\n|silent||3.33|"
    )
    told = words(paper.render(document.read(book(v4.new_markdown_cell(table), code(chart())))).pdf)
    assert told.count("per 10 points") == 1
    assert "silent – 3.33" in told


def test_a_table_without_rows_keeps_its_head() -> None:
    """A table of prose that has only a heading is set, not refused."""
    made = paper.render(document.read(book(v4.new_markdown_cell("|Step|Estimate|\n|---|---|"), code(chart()))))
    assert made.warnings == ()
    assert "Step Estimate" in words(made.pdf)


def test_a_row_that_is_longer_than_a_page_is_not_cut_off() -> None:
    """Rows stay in one piece, but not at the price of their words."""
    cell = " ".join(f"word{i:04d}" for i in range(4000))
    told = words(
        paper.render(document.read(book(v4.new_markdown_cell(f"|a|b|\n|---|---|\n|x|{cell}|"), code(chart())))).pdf
    )
    assert all(f"word{i:04d}" in told for i in range(4000))


def test_page_and_paper_say_the_same() -> None:
    """Both are made from one document: answer, verdict and error stand in the paper too."""
    told = words(paper.render(document.read(report(("failed", failed())))).pdf)
    for said in ("r = 0.31 (95 % interval 0.28 to 0.34, n = 2,341)", "Supported.", "This notebook stopped at cell 2.",
                 "Would flip: −3.3 leavers per 1,000", "In this report", "What this cannot know"):  # fmt: skip
        assert said in told


@pytest.mark.parametrize(
    ("refused", "said"),
    [("own fonts", "depends on the fonts of this computer"), ("standards", "does not meet PDF/UA-1")],
)
def test_a_refused_paper_is_made_with_a_loud_warning(monkeypatch: pytest.MonkeyPatch, refused: str, said: str) -> None:
    """First with other fonts, then without the standard; never silently."""
    compile_ = typst.compile_with_warnings

    def strict(*arguments: Any, **options: Any) -> Any:
        if options["ignore_system_fonts"] or (refused == "standards" and options["pdf_standards"]):
            raise typst.TypstError("no such glyph", [], [])
        return compile_(*arguments, **{**options, "ignore_system_fonts": True})

    monkeypatch.setattr(typst, "compile_with_warnings", strict)
    made = paper.render(document.read(book(code(shows(finding())))))
    assert made.pdf.startswith(b"%PDF")
    assert len(made.warnings) == 1
    assert said in made.warnings[0]


def test_where_no_paper_can_be_made_the_error_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """RenderError, exit code 5."""

    def never(*_: Any, **__: Any) -> bytes:
        raise typst.TypstError("disk full", [], [])

    monkeypatch.setattr(typst, "compile_with_warnings", never)
    with pytest.raises(RenderError, match="disk full"):
        paper.render(document.read(book(code(shows(finding())))))


@pytest.mark.parametrize("count", [1, 7])
def test_pages_are_counted_right_whatever_the_length_of_the_front(count: int) -> None:
    """Page numbers, contents and running titles settle: every page carries its own number, in order."""
    front = book(code(shown({TILES_MIME: TILES})), code(shown({CLAIMS_MIME: claims(count=count)})))
    made = paper.render(document.read(document.merge([("scorecard", front), ("a", chapter())], METADATA)))
    assert made.warnings == ()
    sheets = [sheet.extract_text() for sheet in PdfReader(io.BytesIO(made.pdf)).pages]
    assert all(f"{i} / {len(sheets)}" in sheet for i, sheet in enumerate(sheets, 1))
    assert all(METADATA["title"] in sheet for sheet in sheets)


@pytest.mark.parametrize(("period", "year"), [("2026-10", 2026), ("2026-Q3", 2026), ("latest", 2000), ("", 2000)])
def test_the_time_of_the_file_is_that_of_the_period(period: str, year: int) -> None:
    """The file's date comes from what it is about."""
    made = paper.render(document.read(book(code(shows(finding())), period=period)))
    assert f"/CreationDate(D:{year}".encode() in made.pdf.replace(b" ", b"")


def test_nbconvert_makes_the_paper_of_any_notebook(tmp_path: Path) -> None:
    """`jupyter nbconvert --to cx-pdf` needs no metadata of ours."""
    path = tmp_path / "who_leaves.ipynb"
    nbformat.write(chapter("Who leaves?"), path)
    pdf, resources = CxPDFExporter().from_filename(str(path))
    assert resources["output_extension"] == ".pdf"
    assert compliant(pdf, tmp_path)


AT_MOST = 24  # pages, all told: what somebody still reads
SMALLEST = 6.6  # points: the smallest type, letters of charts included


@pytest.mark.slow
def test_the_whole_edition_is_short_and_can_be_read(tmp_path: Path) -> None:
    """The monthly paper of the demo operator: few pages, no small type, every chart and every table, linked both ways."""
    for words_ in (("simulate", "-o", "demo"), ("report", "monthly", "--data", "demo/study.toml", "-o", "made")):
        subprocess.run([sys.executable, "-m", "cxresearch", *words_], check=True, cwd=tmp_path)
    (folder,) = (tmp_path / "made" / "monthly").iterdir()
    reader = PdfReader(folder / "report.pdf")
    assert len(reader.pages) <= AT_MOST
    assert min(size for sheet in reader.pages for size in sizes(sheet)) >= SMALLEST - 0.01
    told = words((folder / "report.pdf").read_bytes())
    chapters, _, tables = told.partition("Tables behind the charts Table 1. ")
    numbered = {int(number) for number in re.findall(r"rows?: table (\d+)\.", chapters)}
    assert numbered == set(range(1, len(numbered) + 1))
    assert all(f"Table {number}. " in f"Table 1. {tables}" for number in numbered)
    drawn = (folder / "report.html").read_text().count('role="img"')
    assert (folder / "report.pdf").read_bytes().count(b"/Alt") >= drawn > 20


def sizes(sheet: Any) -> set[float]:
    """The sizes of all type on a page, in points, that of scaled and turned charts too."""
    found: set[float] = set()

    def note(text: str, outer: list[float], inner: list[float], _: Any, size: float) -> None:
        if text.strip():
            shrunk = abs((outer[0] * outer[3] - outer[1] * outer[2]) * (inner[0] * inner[3] - inner[1] * inner[2]))
            found.add(size * shrunk**0.5)

    sheet.extract_text(visitor_text=note)
    return found
