"""What of an executed notebook is published, as one Document that page and paper are both made from.

A whitelist: markdown, findings, verdicts, claims, tiles, notices, charts with their alt text, and errors.
Code, streams and every other output stay in the notebook. All numbers become text on this way, once, so
page and paper cannot disagree.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from cxresearch.claims import VERDICT_MIME
from cxresearch.data.terms import BY_NAME
from cxresearch.finding import FINDING_MIME, Finding
from cxresearch.report import front, prose, results
from cxresearch.report.blocks import (
    Block,
    Chapter,
    Chart,
    ClaimsBlock,
    Document,
    Failed,
    FindingBlock,
    Notice,
    Prose,
)
from cxresearch.report.drawing import safe_svg
from cxresearch.report.shown import CLAIMS_MIME, NOTICE_MIME, TILES_MIME
from cxresearch.report.texts import as_text, clean

if TYPE_CHECKING:
    from nbformat import NotebookNode

OWN = "notebook"  # a cell for the researcher, which the report leaves out
UNDRESSED = "Chart without description"  # what a figure says of itself that nobody dressed
BANNER = "papermill-error-cell-tag"  # papermill's own words on a failed notebook
MADE: dict[str, Callable[[Mapping[str, Any]], Block]] = {
    VERDICT_MIME: results.verdict,
    CLAIMS_MIME: results.claims,
    TILES_MIME: results.tiles,
    NOTICE_MIME: results.notice,
}


def merge(notebooks: Sequence[tuple[str, NotebookNode]], metadata: Mapping[str, Any]) -> NotebookNode:
    """One notebook of several: the summary first, then the chapters in the order given.

    The summary is `metadata["summary"]`, else the notebook that shows claims at the level `front`.
    """
    import nbformat

    summary = metadata.get("summary") or next((n for n, book in notebooks if _fronts(book.cells)), "")
    ordered = sorted(notebooks, key=lambda pair: pair[0] != summary)
    merged = nbformat.v4.new_notebook()
    for name, book in ordered:
        for cell in book.cells:
            tagged = copy.deepcopy(cell)
            tagged["metadata"] = {**tagged["metadata"], "cxresearch": {"chapter": name}}
            tagged["id"] = f"cell-{len(merged.cells)}"
            merged.cells.append(nbformat.from_dict(tagged))
    about = {**metadata, "summary": summary, "chapters": [name for name, _ in ordered]}
    merged.metadata["cxresearch"] = nbformat.from_dict(about)
    return merged


def read(notebook: NotebookNode, name: str = "report") -> Document:
    """The document of an executed notebook, merged or single; `name` is its title where it has none."""
    about = clean(dict(notebook.metadata.get("cxresearch", {})))
    names = list(about.get("chapters") or [name])
    by_chapter: dict[str, list[Any]] = {chapter: [] for chapter in names}
    for cell in notebook.cells:
        chapter = cell.get("metadata", {}).get("cxresearch", {}).get("chapter", names[0])
        by_chapter.setdefault(chapter, []).append(cell)
    summary = about.get("summary") or next((n for n, cells in by_chapter.items() if _fronts(cells)), "")
    return _Reader(about, summary).document(by_chapter)


class _Reader:
    """Walks the cells once; keeps the counters and lists that run through the whole document."""

    def __init__(self, about: Mapping[str, Any], summary: str) -> None:
        self.about, self.summary = about, summary
        self.findings = self.charts = 0
        self.folds = False
        self.terms: dict[str, None] = {}
        self.extra: list[Chapter] = []
        self.warnings: list[str] = []

    def document(self, by_chapter: Mapping[str, list[Any]]) -> Document:
        single = len(by_chapter) == 1
        chapters = []
        for index, (name, cells) in enumerate(by_chapter.items()):
            named = self.about.get("title") or _heading(cells, name)
            untitled = name == self.summary or (single and named == _heading(cells, name))
            chapters.append((name, self._chapter(f"chapter-{index + 1}", name, cells, 2 if untitled else 3)))
        opening = [block for name, chapter in chapters if name == self.summary for block in chapter.blocks]
        lead = next((chapter.title for name, chapter in chapters if name == self.summary), "")
        rest = [chapter for name, chapter in chapters if name != self.summary]
        title = self.about.get("title") or chapters[0][1].title
        if single and rest and rest[0].level == 2:
            rest = [replace(rest[0], title="")]
        matter = front.matter(self.about, title, lead if lead != title else "")
        failed = tuple(_stopped(chapter) for chapter in rest if chapter.failed and not single)
        missing = [*([self.about["incomplete"]] if self.about.get("incomplete") else []), *failed]
        opening = front.ordered([*opening, *([Notice("Not complete", tuple(missing), "caution")] if missing else [])])
        return Document(
            matter,
            tuple(opening),
            tuple(rest),
            tuple(self.extra),
            _glossary(self.terms),
            warnings=tuple(self.warnings),
        )

    def _chapter(self, anchor: str, name: str, cells: Sequence[Mapping[str, Any]], level: int) -> Chapter:
        title = _heading(cells, name)
        main: list[Block] = []
        aside: list[Block] = []
        outline = prose.Outline(level)
        later = prose.Outline(3 if name == self.summary else 4)
        self.folds = name == self.summary  # the first page shows sentences, its tables are folded away
        for cell in cells:
            tags = cell.get("metadata", {}).get("tags", [])
            if BANNER in tags or (OWN in tags and not _failing(cell)):
                continue
            appendix = "appendix" in tags
            if cell["cell_type"] == "markdown":
                nodes = prose.nodes(clean(cell["source"]), later if appendix else outline, title)
                blocks: list[Block] = [Prose(tuple(nodes))] if nodes else []
            else:
                blocks = list(self._outputs(cell))
            (aside if appendix else main).extend(blocks)
        if _unfinished(cells) and not any(isinstance(block, Failed) for block in main + aside):
            main.append(Failed("Stopped", "the notebook ended before its last cell and left no message", ""))
        if not any(not isinstance(block, Prose) for block in main + aside):
            self.warnings.append(f"{name} shows no result: was the notebook run?")
            main.append(Notice("No result", ("This notebook shows no result. It may not have been run.",), "caution"))
        aside = _paired(aside)
        main, lists = self._split_claims(_said_once(_paired(main)), aside)
        if aside or lists:
            more = (*lists, *aside)
            self.extra.append(Chapter(f"{anchor}-more", "" if name == self.summary else title, more, later.base))
        return Chapter(anchor, title, tuple(main), level)

    def _split_claims(self, blocks: list[Block], aside: list[Block]) -> tuple[list[Block], list[Block]]:
        """Front cards stay, at most seven; full lists go to the appendix, which always holds every claim."""
        main: list[Block] = []
        lists: list[Block] = [b for b in blocks if isinstance(b, ClaimsBlock) and b.level == "appendix"]
        for block in blocks:
            if not isinstance(block, ClaimsBlock):
                main.append(block)
            elif block.level != "appendix":
                main.append(front.foremost(block))
                if block.more_than_front and not any(isinstance(b, ClaimsBlock) for b in [*lists, *aside]):
                    lists.append(replace(block, title="All claims", intro="", level="appendix"))
        return main, lists

    def _outputs(self, cell: Mapping[str, Any]) -> Iterator[Block]:
        where = str(cell.get("execution_count") or "")
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                yield results.failed(output, where)
        for output in _shown(cell):
            try:
                block = self._block(clean(dict(output["data"])), clean(dict(output.get("metadata") or {})))
            except (KeyError, TypeError, ValueError, AttributeError, ParseError) as error:
                # what cannot be read is said where it should stand, never left out silently
                self.warnings.append(f"an output of cell {where} could not be read: {error}")
                block = Failed("Unreadable result", str(error), where)
            if block:
                yield block

    def _block(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Block | None:
        if FINDING_MIME in data:
            return self._finding(Finding.from_json(data[FINDING_MIME]))
        for mime, made in MADE.items():
            if mime in data:
                return made(data[mime])
        if results.SVG_MIME in data:
            return self._chart(as_text(data[results.SVG_MIME]), metadata.get(results.SVG_MIME) or {})
        return None

    def _finding(self, found: Finding) -> FindingBlock:
        self.findings += 1
        for record in found.rows():
            self.terms.update(dict.fromkeys(name for name in (record["outcome"], record["term"]) if name))
        return results.finding(found, f"finding-{self.findings}", folded=self.folds)

    def _chart(self, svg: str, metadata: Mapping[str, Any]) -> Chart:
        self.charts += 1
        anchor = f"chart-{self.charts}"
        caption = as_text(metadata.get("caption"))
        alt = as_text(metadata.get("alt")).strip()
        described = bool(alt) and not alt.startswith(UNDRESSED)
        if not described:
            self.warnings.append(f"chart {self.charts} has no description for those who cannot see it")
            alt = alt or as_text(metadata.get("title")).strip() or caption.strip() or "Chart without a description"
        return Chart(anchor, safe_svg(svg, anchor), alt, caption, described)


def _fronts(cells: Iterable[Mapping[str, Any]]) -> bool:
    claims = (out["data"][CLAIMS_MIME] for cell in cells for out in _shown(cell) if CLAIMS_MIME in out["data"])
    return any(shown.get("level") == "front" for shown in claims)


def _shown(cell: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    outputs = cell.get("outputs", [])
    return [output for output in outputs if output.get("output_type") in ("display_data", "execute_result")]


def _heading(cells: Iterable[Mapping[str, Any]], name: str) -> str:
    """The title of a chapter: its first `# heading`, else its name in words."""
    for cell in cells:
        if cell["cell_type"] == "markdown" and BANNER not in cell["metadata"].get("tags", []):
            title = prose.title(clean(cell["source"]))
            if title is not None:
                return title
    return name.replace("_", " ")


def _unfinished(cells: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a run left cells behind, as a killed kernel does without any error output."""
    left = (cell["metadata"].get("papermill", {}).get("status") for cell in cells if cell["cell_type"] == "code")
    return any(status not in (None, "completed") for status in left)


def _paired(blocks: Iterable[Block]) -> list[Block]:
    """Charts that follow a finding at once belong to it; neither their numbers nor their method and periods are said twice in place."""
    paired: list[Block] = []
    for block in blocks:
        last = paired[-1] if paired else None
        if isinstance(block, Chart) and isinstance(last, FindingBlock) and not last.table:
            continue  # nothing to draw, as the finding says
        if isinstance(block, Chart) and isinstance(last, FindingBlock):
            method, periods = ("" if said in block.caption else said for said in (last.method, last.periods))
            table = replace(last.table, folded=True) if last.table else None
            paired[-1] = replace(last, charts=(*last.charts, block), method=method, periods=periods, table=table)
        elif isinstance(block, (ClaimsBlock, Notice)) and isinstance(last, Prose) and block.title in _headings(last):
            paired.append(replace(block, title=""))  # the notebook has just given this heading
        else:
            paired.append(block)
    return paired


def _said_once(blocks: Iterable[Block]) -> list[Block]:
    """A caution that a chapter has given in full is given later by its first sentence."""
    said: set[str] = set()
    made: list[Block] = []
    for block in blocks:
        if isinstance(block, FindingBlock):
            short = tuple(text.split(". ")[0].rstrip(".") + "." if text in said else text for text in block.caveats)
            said.update(block.caveats)
            block = replace(block, caveats=short)
        made.append(block)
    return made


def _headings(said: Prose) -> list[str]:
    return [prose.plain(node["c"]) for node in said.nodes if node["t"] == "heading"]


def _failing(cell: Mapping[str, Any]) -> bool:
    """Whether the notebook stopped at this cell: that is said, whoever the cell is for."""
    return any(output.get("output_type") == "error" for output in cell.get("outputs", []))


def _stopped(chapter: Chapter) -> str:
    return f"Stopped before its end: {chapter.title} What it had found until then is shown."


def _glossary(names: Iterable[str]) -> tuple[tuple[str, str, str, str], ...]:
    """Label, unit and range of every term that a finding speaks of."""
    known = [BY_NAME[name] for name in sorted(names) if name in BY_NAME]
    lines = []
    for term in known:
        low, high = ("" if edge is None else f"{edge:g}" for edge in (term.low, term.high))
        span = f"{low} to {high}" if low and high else (f"from {low}" if low else f"to {high}" if high else "")
        unit = "yes or no" if term.kind == "flag" else term.unit
        lines.append((term.name, term.label, unit, span))
    return tuple(lines)
