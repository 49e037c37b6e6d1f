"""What of a notebook is published, and that nothing else is."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from nbformat import v4
from report_sample import (
    CAUTION,
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
    summary,
    verdict,
)

from cxresearch.claims import VERDICT_MIME
from cxresearch.report import document, drawing, prose, texts
from cxresearch.report.blocks import Block, Chart, ClaimsBlock, Failed, FindingBlock, Notice, Prose, VerdictBlock
from cxresearch.report.shown import CLAIMS_MIME, NOTICE_MIME, TILES_MIME


def kinds(blocks: tuple[Block, ...]) -> list[str]:
    return [block.kind for block in blocks]


def test_only_the_whitelist_is_published() -> None:
    """Code, streams, HTML and plain text of other outputs do not reach the document."""
    noise = v4.new_output("stream", name="stdout", text="token=hunter2")
    frame = shown({"text/html": "<table>jane doe</table>", "text/plain": "jane doe", "image/png": "aGk="})
    told = json.dumps(asdict(document.read(book(code(noise, frame, shows(finding()))))))
    assert "Satisfaction goes with" in told
    for kept_out in ("hunter2", "jane doe", "source is not published", "aGk=", "<b>html</b>"):
        assert kept_out not in told


def test_a_chart_behind_its_finding_belongs_to_it() -> None:
    """Answer, chart and table of one question stay together; a chart behind prose stands alone."""
    read = document.read(book(code(shows(finding())), code(chart()), v4.new_markdown_cell("Then."), code(chart())))
    blocks = read.chapters[0].blocks
    assert kinds(blocks) == ["finding", "prose", "chart"]
    assert isinstance(blocks[0], FindingBlock)
    assert len(blocks[0].charts) == 1
    assert blocks[0].method == finding().method


def test_a_method_is_said_once() -> None:
    """Where the caption of its chart gives the method, the finding does not repeat it."""
    told = chart(caption=f"{finding().method} n = 2,341.")
    block = document.read(book(code(shows(finding())), code(told))).chapters[0].blocks[0]
    assert isinstance(block, FindingBlock)
    assert block.method == ""


def test_the_table_shows_what_differs_and_says_once_what_does_not() -> None:
    """Empty columns go; a column that is the same in every row is named above them."""
    block = document.read(book(code(shows(finding(3))))).chapters[0].blocks[0]
    assert isinstance(block, FindingBlock)
    assert block.table
    assert block.table.head == ("Step", "Estimate", "95 % interval", "n")
    same = "outcome satisfaction; term retainability; measure correlation r; clusters 200"
    assert block.table.note == f"In every row: {same}."
    assert block.table.rows[0] == ("crude", "0.31", "0.28 to 0.34", "2,341")


@pytest.mark.parametrize(("rows", "folded"), [(8, False), (9, True)])
def test_a_long_table_is_folded_away(rows: int, folded: bool) -> None:
    """More than eight rows are folded away, all of them."""
    read = document.read(book(code(shows(finding(rows)))))
    block = read.chapters[0].blocks[0]
    assert isinstance(block, FindingBlock)
    assert block.table
    assert block.table.folded is folded
    assert len(block.table.rows) == rows


def test_the_first_page_has_one_order() -> None:
    """Numbers, the answer, what changed, what to be careful about, claims: whatever order they were computed in."""
    read = document.read(report())
    assert kinds(read.opening) == ["tiles", "finding", "notice", "notice", "claims"]
    changed, careful = read.opening[2:4]
    assert isinstance(changed, Notice)
    assert isinstance(careful, Notice)
    assert (changed.tone, careful.tone) == ("info", "caution")


def test_a_headed_section_of_the_first_page_moves_as_one() -> None:
    """A heading stays with what stands under it."""
    cells = [
        v4.new_markdown_cell("# Q\n\n## Take care"),
        code(shown({NOTICE_MIME: CAUTION})),
        v4.new_markdown_cell("## Numbers"),
        code(shown({TILES_MIME: TILES})),
        code(shown({CLAIMS_MIME: claims(count=2)})),
    ]
    assert kinds(document.read(book(*cells)).opening) == ["prose", "tiles", "claims", "prose", "notice"]


def test_the_summary_is_printed_first_and_chapters_keep_their_order() -> None:
    """The notebook that shows front claims opens the report, though it ran last."""
    merged = document.merge([("b", chapter("B?")), ("a", chapter("A?")), ("scorecard", summary())], METADATA)
    assert merged.metadata["cxresearch"]["chapters"] == ["scorecard", "b", "a"]
    read = document.read(merged)
    assert [one.title for one in read.chapters] == ["B?", "A?"]
    assert read.front.question == "What the trade says about service, put to these data"
    assert len({cell["id"] for cell in merged.cells}) == len(merged.cells)


def test_at_most_seven_claims_in_front_and_none_is_lost() -> None:
    """The changed and the decided come first; the full list stands in the appendix."""
    read = document.read(book(code(shown({CLAIMS_MIME: claims(count=12)}))))
    front = read.opening[0]
    listed = read.appendix[0].blocks[0]
    assert isinstance(front, ClaimsBlock)
    assert isinstance(listed, ClaimsBlock)
    assert (len(front.claims), front.more, len(listed.claims)) == (7, 5, 12)
    assert front.claims[0].changed
    assert {claim.verdict for claim in front.claims} <= {"supported", "refuted"}


def test_a_list_of_all_claims_is_not_doubled() -> None:
    """Where the notebook itself lists all claims in an appendix cell, under its own heading, that list stands once."""
    listed = code(shown({CLAIMS_MIME: claims("appendix", 12)}), tags=["appendix"])
    told = v4.new_markdown_cell("## All claims\n\nWith their parts.", metadata={"tags": ["appendix"]})
    read = document.read(book(code(shown({CLAIMS_MIME: claims(count=12)})), told, listed))
    assert kinds(read.appendix[0].blocks) == ["prose", "claims"]
    block = read.appendix[0].blocks[1]
    assert isinstance(block, ClaimsBlock)
    assert (block.title, len(block.claims)) == ("", 12)


def test_a_verdict_says_its_sentence_and_where_it_flips() -> None:
    """Estimate, interval, n and region stand in its sentence, so they are not said a second time."""
    block = document.read(book(code(shown({VERDICT_MIME: verdict()})))).chapters[0].blocks[0]
    assert isinstance(block, VerdictBlock)
    assert block.word == "Supported"
    assert block.sentence == verdict()["sentence"]
    assert block.facts == (("Would flip", "−3.3 leavers per 1,000"),)


def test_a_failed_chapter_keeps_what_it_found_and_is_named_in_front() -> None:
    """The error and its cell are shown, without traceback, terminal codes or a user's name; the banner is not."""
    read = document.read(report(("failed", failed())))
    chapter_ = read.chapters[1]
    assert kinds(chapter_.blocks) == ["finding", "failed"]
    assert chapter_.failed
    stop = chapter_.blocks[1]
    assert stop == Failed("ValueError", "no column 'nps' in ~/panel", "2")
    notices = [block for block in read.opening if isinstance(block, Notice)]
    assert any("What do customers remember?" in item for notice in notices for item in notice.items)
    assert "An Exception was encountered" not in json.dumps(asdict(read))


def test_a_notebook_whose_kernel_died_is_not_shown_as_complete() -> None:
    """Cells that a run left behind make the chapter failed, though no error was written."""
    left = code()
    left.metadata["papermill"] = {"status": "pending"}
    assert document.read(book(code(shows(finding())), left)).chapters[0].failed


def test_a_notebook_without_a_result_says_so() -> None:
    """An empty chapter is not a silent success."""
    read = document.read(book(v4.new_markdown_cell("# Q?\n\nRead on."), v4.new_code_cell("1 + 1")))
    assert read.warnings == ("report shows no result: was the notebook run?",)
    assert isinstance(read.chapters[0].blocks[-1], Notice)


def test_an_output_that_cannot_be_read_is_said_in_its_place() -> None:
    """A broken result is loud: shown where it stood, and warned of."""
    read = document.read(book(code(shown({VERDICT_MIME: verdict(verdict="perhaps")}))))
    assert isinstance(read.chapters[0].blocks[0], Failed)
    assert "perhaps" in read.warnings[0]


def test_a_chart_without_words_is_warned_of() -> None:
    """Missing alt text is replaced by the title and reported."""
    read = document.read(book(code(chart(alt=""))))
    block = read.chapters[0].blocks[0]
    assert isinstance(block, Chart)
    assert block.alt == "Retainability goes with satisfaction"
    assert "no description" in read.warnings[0]


def test_appendix_cells_and_the_glossary() -> None:
    """Cells tagged `appendix` leave the chapter; every term of a finding is explained with unit and range."""
    read = document.read(report())
    assert [one.title for one in read.appendix] == ["", "Does better service go with more satisfaction and less churn?"]
    assert ("retainability", "retainability", "share of calls", "0 to 1") in read.glossary


def test_a_plain_notebook_needs_no_metadata() -> None:
    """Its heading is the title, and is not repeated as a chapter."""
    read = document.read(chapter("Who leaves?"), "who_leaves")
    assert read.front.title == "Who leaves?"
    assert read.chapters[0].title == ""
    assert document.read(book(code(shows(finding()))), "who_leaves").front.title == "who leaves"


def test_headings_never_skip_and_never_rise_above_their_chapter() -> None:
    """`#` and `#####` in prose become the next level that is allowed."""
    read = document.read(report(("deep", book(v4.new_markdown_cell("# Q\n\n##### a\n\n# b\n\n## c\n\n###### d")))))
    prose = read.chapters[1].blocks[0]
    assert isinstance(prose, Prose)
    assert [node["level"] for node in prose.nodes] == [3, 3, 3, 4]


def test_prose_stays_text() -> None:
    """Raw HTML, dollars and foreign pictures are words; a link with a script is not a link."""
    source = "<b onclick=x>hi</b> $5 and $6 [go](javascript:alert(1)) ![alt](http://x/y.png) [ok](https://x.org)"
    block = document.read(book(v4.new_markdown_cell(source), code(chart()))).chapters[0].blocks[0]
    assert isinstance(block, Prose)
    inline = block.nodes[0]["c"]
    assert prose.plain(inline) == "<b onclick=x>hi</b> $5 and $6 go alt ok"
    assert [node["href"] for node in inline if node["t"] == "link"] == ["https://x.org"]


HOSTILE = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="10pt"
 height="5pt" onload="alert(1)"><style>@import url(http://x/a.css)</style><script>alert(1)</script>
 <defs><path id="m" d="M0 0"/></defs>
 <use xlink:href="#m" clip-path="url(#m)"/><use xlink:href="http://x/y.svg#m"/><image href="http://x/y.png"/>
 <a xlink:href="javascript:alert(1)"><text>a</text></a><foreignObject><body/></foreignObject>
 <rect style="fill:url(http://x)" onclick="alert(1)"/><text>5 &lt; 6</text></svg>"""


def test_a_drawing_is_cut_to_what_is_safe() -> None:
    """No script, style sheet, event, request or foreign content; ids are unique; references still point."""
    drawn = drawing.safe_svg(HOSTILE, "chart-7")
    for gone in ("script", "onload", "onclick", "http://x", "@import", "javascript", "foreignObject", "width="):
        assert gone not in drawn
    assert 'id="chart-7-m"' in drawn
    assert 'href="#chart-7-m"' in drawn
    assert 'clip-path="url(#chart-7-m)"' in drawn
    assert 'viewBox="0 0 10 5"' in drawn
    assert "5 &lt; 6" in drawn


@pytest.mark.parametrize(
    "source", ["<html/>", '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>']
)
def test_what_is_no_drawing_is_refused(source: str) -> None:
    """Entities and other documents are not drawn."""
    with pytest.raises(ValueError, match="not drawn"):
        drawing.safe_svg(source, "chart-1")


def test_control_characters_and_terminal_codes_are_dropped() -> None:
    """Values cannot turn the reading direction or colour a terminal; broken surrogates are shown as such."""
    assert texts.clean({"a": ["\x1b[31mred\x1b[0m\x00\u202e", "x\ud800"]}) == {"a": ["red", "x\ufffd"]}
