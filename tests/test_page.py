"""The page: one file, no request, every value escaped, readable by everyone."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from report_sample import TILES, book, chapter, chart, claims, code, failed, finding, report, shown, shows, verdict

from cxresearch.claims import VERDICT_MIME
from cxresearch.report import document, page
from cxresearch.report.exporters import CxHTMLExporter
from cxresearch.report.shown import CLAIMS_MIME, NOTICE_MIME, TILES_MIME

WILD = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> \"' $x^2$ `tick` =cmd()|x </style> {{ 7*7 }} हिन्दी 中文 😀"
)


class Elements(HTMLParser):
    """Every start tag with its attributes, and the nesting of open tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.fixture(scope="module")
def html() -> str:
    return page.render(document.read(report(("failed", failed()))))


@pytest.fixture(scope="module")
def wild() -> str:
    """A page in which every value that can be given is hostile."""
    part = verdict(**dict.fromkeys(("claim", "label", "statement", "source", "reason", "unit", "sentence"), WILD))
    claim = claims(count=1)
    claim["claims"][0].update(id=WILD, statement=WILD, source=WILD, sentence=WILD, changed=WILD)
    words = dict.fromkeys(("question", "answer", "title", "method", "sample", "periods"), WILD)
    tiles = {"tiles": [dict.fromkeys(TILES["tiles"][0], WILD)]}
    notebook = book(
        v4.new_markdown_cell(f"# {WILD}\n\n{WILD}\n\n    {WILD}\n\n| a |\n|---|\n| <b>x</b> |"),
        code(shows(finding(**words))),
        code(chart(alt=WILD, caption=WILD)),
        code(shown({VERDICT_MIME: part})),
        code(shown({CLAIMS_MIME: claim})),
        code(shown({TILES_MIME: tiles})),
        code(shown({NOTICE_MIME: {"title": WILD, "items": [WILD, WILD], "tone": WILD}})),
        code(v4.new_output("error", ename=WILD, evalue=WILD, traceback=[])),
    )
    about = dict.fromkeys(("title", "subtitle", "edition", "study_title", "period", "segment", "command", "lang"), WILD)
    return page.render(document.read(report(("wild", notebook), **about, parameters={WILD: WILD})))


def test_the_page_asks_nobody_for_anything(html: str, wild: str) -> None:
    """No script, no address that is loaded; the policy in the page forbids the rest."""
    for text in (html, wild):
        elements = Elements(text)
        assert not elements.of("script", "link", "iframe", "object", "embed", "base", "form")
        assert all(not one.get("src", "data:").startswith(("http", "//")) for _, one in elements.found)
        assert not re.search(r"url\(\s*['\"]?(?!data:|#)", text.replace(WILD, ""))
        policies = [one["content"] for one in elements.of("meta") if "http-equiv" in one]
        assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:")
        outside = [
            one["href"] for one in elements.of("use", "image") if not one["href"].startswith(("#", "data:image/"))
        ]
        assert outside == []


def test_every_value_is_text(wild: str) -> None:
    """Markup, events, formulas and template signs in data are shown, never run."""
    elements = Elements(wild)
    assert not elements.of("script", "img", "b")
    assert all(not name.startswith("on") for _, one in elements.found for name in one)
    assert wild.count("<style>") == wild.count("</style>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in wild
    assert "{{ 7*7 }}" in wild
    assert "$x^2$" in wild
    assert elements.of("html")[0]["lang"] == "en"


def test_headings_start_at_one_and_never_skip(html: str, wild: str) -> None:
    """One h1, and each heading at most one level below the one before."""
    for text in (html, wild, page.render(document.read(chapter()))):
        levels = [int(tag[1]) for tag, _ in Elements(text).found if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_charts_have_words_and_no_fixed_size(html: str) -> None:
    """Every drawing is an image with a description; it grows with its column."""
    drawings = Elements(html).of("svg")
    assert drawings
    for one in drawings:
        assert one["role"] == "img"
        assert one["aria-label"].startswith("Correlation ladder")
        assert "width" not in one
        assert "height" not in one
        assert "viewbox" in one


def test_no_id_is_used_twice_and_every_link_inside_has_its_target(html: str) -> None:
    """Matplotlib repeats ids between figures; the page does not."""
    elements = Elements(html)
    ids = [one["id"] for _, one in elements.found if "id" in one]
    assert len(ids) == len(set(ids))
    targets = [one["href"][1:] for one in elements.of("a", "use") if one["href"].startswith("#")]
    named = [one["aria-labelledby"] for _, one in elements.found if "aria-labelledby" in one]
    assert set(targets + named) <= set(ids)


def test_tables_scroll_in_their_own_box_and_name_their_headers(html: str) -> None:
    """A wide table moves inside a focusable, named region; every header cell has a scope."""
    elements = Elements(html)
    boxes = [one for one in elements.of("div") if one.get("class") == "scroll"]
    assert len(boxes) == len(elements.of("table")) > 0
    assert all(
        b["tabindex"] == "0" and b["role"] == "region" and ("aria-label" in b or "aria-labelledby" in b) for b in boxes
    )
    assert all(one.get("scope") in ("col", "row") for one in elements.of("th"))


def test_landmarks_language_title_and_skip_link(html: str) -> None:
    """What a screen reader looks for first."""
    elements = Elements(html)
    assert [len(elements.of(tag)) for tag in ("header", "main", "footer", "nav", "title", "h1")] == [1] * 6
    assert elements.of("a")[0] == {"class": "skip", "href": "#main"}
    assert elements.of("main")[0]["id"] == "main"
    assert elements.of("html")[0]["lang"] == "en"


def test_the_order_of_the_first_page(html: str) -> None:
    """Title, numbers, answer, change, caution, claims, then contents; the command stands last."""
    words = [
        "<h1>",
        "61.4",
        "Satisfaction goes with",
        "What changed since",
        "What to be careful about",
        "What the trade says, and",
    ]
    words += [
        "In this report",
        "Does better service go with more satisfaction and less churn?</h2>",
        "To make it again",
    ]
    places = [html.index(word) for word in words]
    assert places == sorted(places)


def test_a_quoted_claim_is_marked_as_a_quotation(html: str) -> None:
    """Another's strong words stand in a marked element, and nowhere else."""
    said = {"title": "The answer", "items": ["Refuted: “Stars <sell>”"], "tone": "info"}
    html += page.render(document.read(book(code(shown({NOTICE_MIME: said})))))
    assert '<q class="claim-quote">Stars &lt;sell&gt;</q>' in html
    marked = re.sub(r'<(blockquote|q) class="claim-quote">.*?</\1>', "", html, flags=re.S)
    assert "Good service sells" in html
    assert "Good service sells" not in marked


def test_a_failed_chapter_is_shown_as_failed(html: str) -> None:
    """What was found stays, with the error and its cell."""
    assert "This notebook stopped at cell 2." in html
    assert "ValueError: no column &#39;nps&#39; in ~/panel" in html
    assert '<span class="mark">(stopped)</span>' in html
    assert "This much was found before it stopped." in html


def test_all_rows_are_there() -> None:
    """A table of 200 rows is folded, not cut."""
    text = page.render(document.read(book(code(shows(finding(200))))))
    assert "<summary>All 200 rows</summary>" in text
    assert all(text.count(f">{2341 + i:,}</td>") == 1 for i in range(200))


def test_the_same_notebook_gives_the_same_page(html: str) -> None:
    """Nothing in a page depends on when it was made."""
    assert page.render(document.read(report(("failed", failed())))) == html


def test_fonts_are_inside_and_small(html: str) -> None:
    """Four cut-down faces as data; the whole page stays light."""
    assert html.count("@font-face") == 4
    assert html.count("src:url(data:font/woff") == 4
    assert len(html) < 250_000


def test_nbconvert_makes_the_page_of_any_notebook(tmp_path: Path) -> None:
    """`jupyter nbconvert --to cx-html` needs no metadata of ours."""
    path = tmp_path / "who_leaves.ipynb"
    nbformat.write(chapter("Who leaves?"), path)
    text, resources = CxHTMLExporter().from_filename(str(path))
    assert resources["output_extension"] == ".html"
    assert "<h1>Who leaves?</h1>" in text
