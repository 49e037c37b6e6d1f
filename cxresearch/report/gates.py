"""Whether a report may be published: what it must not be, looked for in the finished page and paper.

A closed gate keeps the report aside: it never takes the place of a good one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from cxresearch.errors import NotPublishable
from cxresearch.report.blocks import Block, Chart, Document, FindingBlock
from cxresearch.report.marks import shows_nothing

HOST = re.compile(r"\s*(?:https?:|wss?:|ftp:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""url\(\s*["']?([^"')]*)|@import\s+["']([^"']*)""", re.IGNORECASE)
IN_SCRIPT = re.compile(
    r"""(?:\b(?:fetch|open|import|WebSocket|EventSource|sendBeacon)\s*\(|\bfrom\b)[^)\n]*?["'`]((?:https?:|wss?:)?//[^"'`]*)"""
)
LOADED = ("src", "srcset", "data", "poster", "action", "formaction", "background", "href", "xlink:href", "imagesrcset")
PAPER_HAS = {  # byte marks of what a reader's program needs, and how their absence is said
    "/StructTreeRoot": "is not tagged",
    "/Lang": "does not name its language",
    "dc:title": "has no title",
    "pdfuaid:part": "does not declare PDF/UA-1",
}


def closed(document: Document, page: str | None, paper: bytes | None, *, stopped: bool) -> list[NotPublishable]:
    """Every reason why this report may not be published; none, if it may.

    Where a notebook `stopped`, that is the reason for what is not there, and is said by itself.
    """
    reasons = [*(() if stopped else _without_estimate(document)), *_charts(document)]
    if page is not None:
        reasons += [f"the page asks another host for {address!r}; put it inside the page" for address in asked(page)]
    if paper is not None:
        reasons += [f"the paper {lack}" for lack in lacks(paper)]
    return [NotPublishable(f"not published: {reason}") for reason in reasons]


def _without_estimate(document: Document) -> Iterator[str]:
    chapters = [*document.chapters, *document.appendix]
    # what the first page says is said of them
    said_in = [block for chapter in chapters for block in chapter.blocks] if chapters else document.opening
    findings = [block for block in said_in if isinstance(block, FindingBlock)]
    if not any(block.estimable for block in findings):
        none = f"none of the {len(findings)} findings of its chapters has an estimate"
        said = none if findings else "no chapter shows a finding"
        yield f"{said}, so there is nothing to report; look at the period, the segment and the columns of the mapping"


def _charts(document: Document) -> Iterator[str]:
    for chapter, block in _blocks(document):
        for chart in [block] if isinstance(block, Chart) else block.charts if isinstance(block, FindingBlock) else []:
            name = f"chart {chart.anchor.removeprefix('chart-')} in “{chapter}”"
            if not chart.described:
                yield f"{name} has no words for those who cannot see it; use cx.charts.dress(ax, finding) or give alt="
            if shows_nothing(chart.svg):
                yield f"{name} is blank: nothing is drawn between its axes"


def _blocks(document: Document) -> Iterator[tuple[str, Block]]:
    chapters = [(document.front.title, document.opening)]
    chapters += [(chapter.title, chapter.blocks) for chapter in (*document.chapters, *document.appendix)]
    return ((title, block) for title, blocks in chapters for block in blocks)


# ------------------------------------------------------------------------------------------------- page and paper


def asked(page: str) -> list[str]:
    """The addresses on other hosts that a browser would load to show this page; a plain link is none."""
    reader = _Loads()
    reader.feed(page)
    reader.close()
    return list(dict.fromkeys(address.strip() for address in reader.addresses if HOST.match(address)))


class _Loads(HTMLParser):
    """Collects what is loaded: attributes of elements, style sheets, scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag if tag in ("style", "script") else ""
        for name, value in ((name, value or "") for name, value in attrs):
            if name in LOADED and not (tag in ("a", "area") and name.endswith("href")):
                self.addresses += re.split(r",\s+|\s+(?=[\d.]+[xw])", value) if "srcset" in name else [value]
            elif name == "content" and (found := re.search(r"\burl\s*=\s*['\"]?([^'\"]+)", value, re.IGNORECASE)):
                self.addresses.append(found[1])  # a page that goes elsewhere by itself
            elif name == "srcdoc":
                self.addresses += asked(value)
            elif name.startswith("on"):
                self._script(value)
            else:
                self._style(value)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            self._style(data)
        elif self.inside == "script":
            self._script(data)

    def _style(self, text: str) -> None:
        self.addresses += [one or other for one, other in IN_STYLE.findall(text)]

    def _script(self, text: str) -> None:
        self.addresses += IN_SCRIPT.findall(text)


def lacks(paper: bytes) -> list[str]:
    """What a PDF needs to be read aloud and does not have."""
    if not paper.startswith(b"%PDF-") or b"%%EOF" not in paper[-1024:]:
        return ["is no whole PDF"]
    missing = [words for mark, words in PAPER_HAS.items() if mark.encode() not in paper]
    return [*missing, *([] if re.search(rb"/Type\s*/Page\b", paper) else ["has no page"])]
