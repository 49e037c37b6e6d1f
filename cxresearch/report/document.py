"""What of an executed notebook is published, as one Document that page and paper are both made from.

A whitelist: markdown, findings, verdicts, claims, tiles, notices, charts with their alt text, and errors.
Code, streams and every other output stay in the notebook. All numbers become text here, once, so page and
paper cannot disagree.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from cxresearch.data.terms import BY_NAME
from cxresearch.finding import FINDING_MIME, HEADINGS, Finding, printed
from cxresearch.measures import MEASURES, number

if TYPE_CHECKING:
    from nbformat import NotebookNode

VERDICT_MIME = "application/vnd.cxresearch.verdict+json"
CLAIMS_MIME = "application/vnd.cxresearch.claims+json"
TILES_MIME = "application/vnd.cxresearch.tiles+json"
NOTICE_MIME = "application/vnd.cxresearch.notice+json"
SVG_MIME = "image/svg+xml"

ROWS_IN_PLACE = 8  # a longer table of a finding goes to the appendix
CLAIMS_IN_FRONT = 7

VERDICT_WORDS = {
    "supported": "Supported",
    "refuted": "Refuted",
    "undecided": "Undecided",
    "not_estimable": "Not estimable",
}
REASONS = {
    "too-wide": "the interval lies partly inside and partly outside the region",
    "real-but-small": "a difference is there, but it may be smaller than what matters",
    "specification": "a stated alternative model gives the opposite answer",
}
DESIGN_WORDS = {
    "descriptive": "describes what was recorded",
    "associational": "what goes with what, nothing held fixed",
    "adjusted": "what goes with what, at equal values of the named adjusters",
    "quasi-experimental": "passed its pre-trend, placebo and overlap checks",
    "experimental": "from an assigned comparison",
}
LIMITS = (
    "Unless a finding is marked quasi-experimental or experimental, it says what goes with what in recorded data, "
    "not what would happen if something were changed.",
    "Scores and correlations with satisfaction are seen only for customers who answered; those who leave answer less.",
    "A cause that was not recorded cannot be held fixed.",
    "Results resting on fewer people than the smallest publishable group are not shown.",
    "Verdicts are taken at a 99 % interval, everything else at 95 %; an undecided claim is not a refuted one.",
)

Node = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of texts; `numeric` columns stand to the right, `note` says what holds in every row."""

    anchor: str
    caption: str
    head: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    folded: bool = False  # too long for its place: stands in the appendix


@dataclass(frozen=True)
class Prose:
    """Markdown of the researcher, as a tree of nodes."""

    nodes: tuple[Node, ...]
    kind: str = field(default="prose", init=False)


@dataclass(frozen=True)
class Chart:
    """A figure: safe SVG, and what it shows in words."""

    anchor: str
    svg: str
    alt: str
    caption: str
    kind: str = field(default="chart", init=False)


@dataclass(frozen=True)
class FindingBlock:
    """The answer to a question with its design, cautions, charts and table."""

    anchor: str
    question: str
    answer: str
    design: str
    design_words: str
    method: str
    sample: str
    caveats: tuple[str, ...]
    table: Table | None
    charts: tuple[Chart, ...] = ()
    kind: str = field(default="finding", init=False)


@dataclass(frozen=True)
class VerdictBlock:
    """What the data say to one part of a claim."""

    claim: str
    label: str
    statement: str
    source: str
    verdict: str
    word: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    kind: str = field(default="verdict", init=False)


@dataclass(frozen=True)
class Claim:
    """One claim with its combined verdict and the verdicts of its parts."""

    id: str
    statement: str
    source: str
    verdict: str
    word: str
    sentence: str
    reason: str
    changed: str
    parts: tuple[VerdictBlock, ...]


@dataclass(frozen=True)
class ClaimsBlock:
    """Claims beside each other: cards at the front, a full list in the appendix."""

    title: str
    intro: str
    level: str
    claims: tuple[Claim, ...]
    more: int = 0  # claims that stand only in the appendix
    kind: str = field(default="claims", init=False)

    @property
    def more_than_front(self) -> bool:
        """Whether it holds more claims than a first page takes."""
        return len(self.claims) > CLAIMS_IN_FRONT


@dataclass(frozen=True)
class Tile:
    """One number of the opening row."""

    label: str
    value: str
    interval: str
    change: str
    note: str


@dataclass(frozen=True)
class Tiles:
    """The opening row of numbers."""

    tiles: tuple[Tile, ...]
    kind: str = field(default="tiles", init=False)


@dataclass(frozen=True)
class Notice:
    """What to be careful about, what changed, what is missing."""

    title: str
    items: tuple[str, ...]
    tone: str
    kind: str = field(default="notice", init=False)


@dataclass(frozen=True)
class Failed:
    """Where a notebook stopped."""

    ename: str
    evalue: str
    cell: str
    kind: str = field(default="failed", init=False)


Block = Prose | Chart | FindingBlock | VerdictBlock | ClaimsBlock | Tiles | Notice | Failed


@dataclass(frozen=True)
class Chapter:
    """One question: its title, and its blocks in reading order. `level` is that of the headings inside."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]
    level: int

    @property
    def failed(self) -> bool:
        """Whether the notebook of this chapter stopped."""
        return any(isinstance(block, Failed) for block in self.blocks)


@dataclass(frozen=True)
class Front:
    """What the report is: names, period, and what is needed to make it again."""

    title: str
    subtitle: str = ""
    question: str = ""  # what the summary asks
    edition: str = ""
    study: str = ""
    period: str = ""
    segment: str = ""
    generated: str = ""
    command: str = ""
    lang: str = "en"
    facts: tuple[tuple[str, str], ...] = ()  # data fingerprint, run, commit
    parameters: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Document:
    """Everything that is published, in reading order."""

    front: Front
    opening: tuple[Block, ...]
    chapters: tuple[Chapter, ...]
    appendix: tuple[Chapter, ...]
    tables: tuple[Table, ...]
    glossary: tuple[tuple[str, str, str, str], ...]
    limits: tuple[str, ...] = LIMITS
    warnings: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------- merging


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


def _fronts(cells: Iterable[Mapping[str, Any]]) -> bool:
    claims = (out["data"][CLAIMS_MIME] for cell in cells for out in _shown(cell) if CLAIMS_MIME in out["data"])
    return any(shown.get("level") == "front" for shown in claims)


# ---------------------------------------------------------------------------------------------- reading


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
        self.tables: list[Table] = []
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
        front = _front(self.about, title, lead if lead != title else "")
        failed = tuple(_stopped(chapter) for chapter in rest if chapter.failed and not single)
        opening = _front_order([*opening, *([Notice("Not complete", failed, "caution")] if failed else [])])
        return Document(
            front,
            tuple(opening),
            tuple(rest),
            tuple(self.extra),
            tuple(self.tables),
            _glossary(self.terms),
            warnings=tuple(self.warnings),
        )

    def _chapter(self, anchor: str, name: str, cells: Sequence[Mapping[str, Any]], level: int) -> Chapter:
        title = _heading(cells, name)
        main: list[Block] = []
        aside: list[Block] = []
        outline = _Outline(level)
        later = _Outline(3 if name == self.summary else 4)
        self.folds = name == self.summary  # the first page shows sentences; its tables stand in the appendix
        for cell in cells:
            tags = cell.get("metadata", {}).get("tags", [])
            if "papermill-error-cell-tag" in tags:
                continue
            appendix = "appendix" in tags
            if cell["cell_type"] == "markdown":
                nodes = _prose(clean(cell["source"]), later if appendix else outline, title)
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
        main, lists = self._split_claims(_paired(main), aside)
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
                main.append(_foremost(block))
                if block.more_than_front and not any(isinstance(b, ClaimsBlock) for b in [*lists, *aside]):
                    lists.append(replace(block, title="All claims", intro="", level="appendix"))
        return main, lists

    def _outputs(self, cell: Mapping[str, Any]) -> Iterator[Block]:
        where = str(cell.get("execution_count") or "")
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                yield _error(output, where)
        for output in _shown(cell):
            try:
                block = self._block(clean(dict(output["data"])), clean(dict(output.get("metadata") or {})))
            except (KeyError, TypeError, ValueError, AttributeError, ET.ParseError) as error:
                # what cannot be read is said where it should stand, never left out silently
                self.warnings.append(f"an output of cell {where} could not be read: {error}")
                block = Failed("Unreadable result", str(error), where)
            if block:
                yield block

    def _block(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Block | None:
        if FINDING_MIME in data:
            return self._finding(Finding.from_json(data[FINDING_MIME]))
        if VERDICT_MIME in data:
            return _verdict(data[VERDICT_MIME])
        if CLAIMS_MIME in data:
            return _claims(data[CLAIMS_MIME])
        if TILES_MIME in data:
            tiles = data[TILES_MIME]["tiles"]
            names = ("label", "value", "interval", "change", "note")
            return Tiles(tuple(Tile(**{name: _text(tile.get(name)) for name in names}) for tile in tiles))
        if NOTICE_MIME in data:
            notice = data[NOTICE_MIME]
            tone = "caution" if notice.get("tone") == "caution" else "info"
            return Notice(_text(notice["title"]), tuple(_text(item) for item in notice["items"]), tone)
        if SVG_MIME in data:
            return self._chart(_text(data[SVG_MIME]), metadata.get(SVG_MIME) or {})
        return None

    def _finding(self, finding: Finding) -> FindingBlock:
        self.findings += 1
        for record in finding.rows():
            self.terms.update(dict.fromkeys(name for name in (record["outcome"], record["term"]) if name))
        anchor = f"finding-{self.findings}"
        table = _table(finding, f"{anchor}-table")
        if table and self.folds:
            table = replace(table, folded=True)
        if table and table.folded:
            self.tables.append(table)
        periods = f"Periods: {finding.periods}." if finding.periods else ""
        return FindingBlock(
            anchor,
            finding.question,
            finding.answer,
            finding.design,
            DESIGN_WORDS[finding.design],
            finding.method,
            " ".join(part for part in (finding.sample, periods) if part),
            tuple(caveat.text for caveat in finding.caveats),
            table,
        )

    def _chart(self, svg: str, metadata: Mapping[str, Any]) -> Chart:
        self.charts += 1
        anchor = f"chart-{self.charts}"
        caption = _text(metadata.get("caption"))
        alt = _text(metadata.get("alt")).strip()
        if not alt:
            self.warnings.append(f"chart {self.charts} has no description for those who cannot see it")
            alt = _text(metadata.get("title")).strip() or caption.strip() or "Chart without a description"
        return Chart(anchor, safe_svg(svg, anchor), alt, caption)


def _shown(cell: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    outputs = cell.get("outputs", [])
    return [output for output in outputs if output.get("output_type") in ("display_data", "execute_result")]


def _unfinished(cells: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a run left cells behind, as a killed kernel does without any error output."""
    left = (cell["metadata"].get("papermill", {}).get("status") for cell in cells if cell["cell_type"] == "code")
    return any(status not in (None, "completed") for status in left)


def _paired(blocks: Iterable[Block]) -> list[Block]:
    """Charts that follow a finding at once belong to it; a method that their caption gives is not said twice."""
    paired: list[Block] = []
    for block in blocks:
        last = paired[-1] if paired else None
        if isinstance(block, Chart) and isinstance(last, FindingBlock):
            method = "" if last.method in block.caption else last.method
            paired[-1] = replace(last, charts=(*last.charts, block), method=method)
        elif isinstance(block, (ClaimsBlock, Notice)) and isinstance(last, Prose) and block.title in _headings(last):
            paired.append(replace(block, title=""))  # the notebook has just given this heading
        else:
            paired.append(block)
    return paired


def _headings(prose: Prose) -> list[str]:
    return [plain(node["c"]) for node in prose.nodes if node["t"] == "heading"]


def _front_order(blocks: Iterable[Block]) -> list[Block]:
    """The first page: numbers, the answer, what changed, what to be careful about, claims."""
    ranks = {"tiles": 0, "claims": 4}

    def rank(section: list[Block]) -> int:
        block = next((b for b in section if not isinstance(b, Prose)), section[0])
        if isinstance(block, Notice):
            return 3 if block.tone == "caution" else 2
        return ranks.get(block.kind, 1)

    sections: list[list[Block]] = []
    headed = False
    for block in blocks:
        starts = isinstance(block, Prose) and block.nodes[0]["t"] == "heading"
        headed = headed or starts
        if starts or not headed:
            sections.append([block])
        else:
            sections[-1].append(block)  # what stands under a heading moves with it
    return [block for section in sorted(sections, key=rank) for block in section]


def _stopped(chapter: Chapter) -> str:
    return f"Stopped before its end: {chapter.title} What it had found until then is shown."


def _front(about: Mapping[str, Any], title: str, lead: str) -> Front:
    study = _text(about.get("study_title") or about.get("study"))
    lang = _text(about.get("lang"))
    facts = [("Study", study), ("Data", about.get("data_fingerprint")), ("Run", about.get("run"))]
    facts += [("Code", about.get("commit")), ("As of", about.get("generated"))]
    named = {name: _text(about.get(name)) for name in ("edition", "period", "segment", "generated", "command")}
    return Front(
        title=title,
        subtitle=_text(about.get("subtitle")),
        question=lead,
        study=study,
        lang=lang if re.fullmatch(r"[a-z]{2,3}", lang) else "en",
        facts=tuple((label, _text(value)) for label, value in facts if value),
        parameters=_pairs(about.get("parameters")),
        versions=_pairs(about.get("versions")),
        **named,
    )


def _pairs(mapping: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), _text(value)) for key, value in (mapping or {}).items())


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


# ------------------------------------------------------------------------------------- findings and verdicts


def _table(finding: Finding, anchor: str) -> Table | None:
    """The printed rows without empty columns; what is the same in all rows is said once."""
    rows = printed(finding)
    if not rows:
        return None
    keep, same = [], []
    for index, (key, label) in enumerate(HEADINGS.items()):
        values = {row[index] for row in rows}
        if values == {""} or (key == "group" and values == {"all"}):
            continue
        if (
            len(rows) > 1
            and len(values) == 1
            and key in ("outcome", "term", "model", "group", "measure", "unit", "clusters")
        ):
            same.append(f"{label.lower()} {values.pop()}")
        else:
            keep.append(index)
    head, keys = list(HEADINGS.values()), list(HEADINGS)
    return Table(
        anchor,
        finding.title or finding.question,
        tuple(head[i] for i in keep),
        tuple(keys[i] in ("estimate", "interval", "n", "clusters") for i in keep),
        tuple(tuple(row[i] for i in keep) for row in rows),
        f"In every row: {'; '.join(same)}." if same else "",
        len(rows) > ROWS_IN_PLACE,
    )


def _verdict(part: Mapping[str, Any]) -> VerdictBlock:
    measure = MEASURES.get(_text(part.get("measure")))
    unit = _text(part.get("unit"))

    def said(value: Any) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        return f"{number(value, measure.decimals if measure else 2)} {unit}".strip()

    facts = [("Would flip", said(part.get("flips_at")))]
    return VerdictBlock(
        _text(part.get("claim")),
        _text(part.get("label") or part.get("part")),
        _text(part.get("statement")),
        _source(part),
        part["verdict"],
        VERDICT_WORDS[part["verdict"]],
        _text(part.get("sentence")),
        tuple(fact for fact in facts if fact[1]),
    )


def _region(low: str, high: str) -> str:
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


def _source(claim: Mapping[str, Any]) -> str:
    return " · ".join(_text(claim.get(name)) for name in ("kind", "source") if claim.get(name))


def _claims(shown: Mapping[str, Any]) -> ClaimsBlock:
    claims = [
        Claim(
            _text(claim["id"]),
            _text(claim["statement"]),
            _source(claim),
            claim["verdict"],
            VERDICT_WORDS[claim["verdict"]],
            _text(claim.get("sentence")),
            REASONS.get(_text(claim.get("reason")), _text(claim.get("reason"))),
            "changed" if claim.get("changed") is True else _text(claim.get("changed") or ""),
            tuple(_verdict(part) for part in claim.get("parts", [])),
        )
        for claim in shown["claims"]
    ]
    return ClaimsBlock(_text(shown["title"]), _text(shown.get("intro")), shown.get("level", "front"), tuple(claims))


def _foremost(block: ClaimsBlock) -> ClaimsBlock:
    """At most seven claims: the changed before the decided before the undecided."""
    if not block.more_than_front:
        return block
    order = ("supported", "refuted", "undecided", "not_estimable")
    ranked = sorted(block.claims, key=lambda c: (not c.changed, max(0, order.index(c.verdict) - 1)))
    return replace(block, claims=tuple(ranked[:CLAIMS_IN_FRONT]), more=len(ranked) - CLAIMS_IN_FRONT)


def _error(output: Mapping[str, Any], where: str) -> Failed:
    message = clean(_text(output.get("evalue"))).strip().splitlines()
    home = re.compile(r"(/home/|/Users/|[A-Z]:\\Users\\)[^/\\\s]+|/root\b")  # a user's name is not published
    return Failed(
        clean(_text(output.get("ename"))) or "Error", home.sub("~", message[0][:300] if message else ""), where
    )


# ---------------------------------------------------------------------------------------------------- text


def _text(value: Any) -> str:
    if value is None:
        return ""
    return "".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else str(value)


ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# direction overrides can make a value read as another
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e")


def clean(value: Any) -> Any:
    """The same value without terminal codes, control characters and broken surrogates in any of its texts."""
    if isinstance(value, str):
        kept = (c for c in ANSI.sub("", value) if c in "\n\t" or (unicodedata.category(c) != "Cc" and c not in TURNING))
        return "".join("\ufffd" if unicodedata.category(c) == "Cs" else c for c in kept)
    if isinstance(value, Mapping):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


@cache
def _markdown() -> Any:
    import mistune

    return mistune.create_markdown(renderer="ast", plugins=["table", "strikethrough"])


@dataclass
class _Outline:
    """Keeps headings of prose below their chapter and without skipped levels."""

    base: int
    last: int = 0

    def level(self, written: int) -> int:
        wanted = self.base + max(0, written - 2)
        self.last = min(wanted, max(self.last, self.base - 1) + 1, 6)
        return self.last


def _heading(cells: Iterable[Mapping[str, Any]], name: str) -> str:
    """The title of a chapter: its first `# heading`, else its name in words."""
    for cell in cells:
        if cell["cell_type"] == "markdown" and "papermill-error-cell-tag" not in cell["metadata"].get("tags", []):
            for token in _markdown()(clean(cell["source"])):
                if _is_title(token):
                    return plain(_inlines(token["children"]))
    return name.replace("_", " ")


def _is_title(token: Mapping[str, Any]) -> bool:
    return bool(token["type"] == "heading" and token["attrs"]["level"] == 1)


def _prose(source: str, outline: _Outline, title: str) -> list[Node]:
    """The nodes of a markdown cell without the heading that is the chapter's title."""
    tokens = [token for token in _markdown()(source) if token["type"] != "blank_line"]
    if tokens and _is_title(tokens[0]) and plain(_inlines(tokens[0]["children"])) == title:
        del tokens[0]
    return [node for token in tokens for node in _block_nodes(token, outline)]


def _block_nodes(token: Mapping[str, Any], outline: _Outline) -> list[Node]:
    kind = token["type"]
    if kind == "blank_line":
        return []
    if kind == "heading":
        return [{"t": "heading", "level": outline.level(token["attrs"]["level"]), "c": _inlines(token["children"])}]
    if kind in ("paragraph", "block_text"):
        return [{"t": "para", "c": _inlines(token["children"])}]
    if kind == "list":
        items = [[n for t in item["children"] for n in _block_nodes(t, outline)] for item in token["children"]]
        return [{"t": "list", "ordered": token["attrs"]["ordered"], "items": items}]
    if kind == "block_quote":
        return [{"t": "quote", "c": [n for t in token["children"] for n in _block_nodes(t, outline)]}]
    if kind == "block_code":
        return [{"t": "code", "s": token["raw"].rstrip("\n")}]
    if kind == "thematic_break":
        return [{"t": "rule"}]
    if kind == "table":
        return [_table_node(token)]
    return [{"t": "para", "c": [{"t": "text", "s": token.get("raw", "").strip()}]}]  # raw HTML stays text


def _table_node(token: Mapping[str, Any]) -> Node:
    head, *bodies = token["children"]
    rows = [row for body in bodies for row in body["children"]]
    return {
        "t": "table",
        "head": [_inlines(cell["children"]) for cell in head["children"]],
        "numeric": [cell["attrs"].get("align") == "right" for cell in head["children"]],
        "rows": [[_inlines(cell["children"]) for cell in row["children"]] for row in rows],
    }


LINKS = ("https://", "http://", "mailto:", "#")


def _inlines(tokens: Iterable[Mapping[str, Any]]) -> list[Node]:
    nodes: list[Node] = []
    for token in tokens:
        kind = token["type"]
        if kind in ("strong", "emphasis", "strikethrough"):
            nodes.append({"t": kind, "c": _inlines(token["children"])})
        elif kind == "codespan":
            nodes.append({"t": "code", "s": token["raw"]})
        elif kind == "link" and token["attrs"]["url"].lower().startswith(LINKS[:3]):
            nodes.append({"t": "link", "href": token["attrs"]["url"], "c": _inlines(token["children"])})
        elif kind == "linebreak":
            nodes.append({"t": "break"})
        elif kind == "softbreak":
            nodes.append({"t": "text", "s": " "})
        elif "children" in token:  # a picture from elsewhere is a request: only its words are kept
            nodes.extend(_inlines(token["children"]))
        else:
            nodes.append({"t": "text", "s": token.get("raw", "")})
    return nodes


def plain(nodes: Iterable[Node]) -> str:
    """The words of inline nodes without their marks."""
    return "".join(node.get("s", "") or plain(node.get("c", [])) for node in nodes)


# ----------------------------------------------------------------------------------------------------- SVG

SVG = "{http://www.w3.org/2000/svg}"
HREF = ("href", "{http://www.w3.org/1999/xlink}href")
DRAWN = re.compile(
    "svg|g|path|defs|clipPath|rect|circle|ellipse|line|polyline|polygon|text|tspan|use|title|desc|linearGradient|"
    "radialGradient|stop|pattern|mask|image|marker|symbol"
)
PICTURE = re.compile(r"data:image/(png|jpeg);base64,")


def safe_svg(source: str, prefix: str) -> str:
    """The drawing alone: known elements only, no request, no script, ids that are unique in the report."""
    if "<!ENTITY" in source:
        raise ValueError("a chart with entity definitions is not drawn")
    root = ET.fromstring(source)
    if root.tag != f"{SVG}svg":
        raise ValueError("a chart that is no SVG is not drawn")
    if "viewBox" not in root.attrib:
        size = [re.sub(r"[^0-9.].*", "", root.get(side, "")) for side in ("width", "height")]
        root.set("viewBox", f"0 0 {size[0] or 100} {size[1] or 100}")
    _prune(root, prefix)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
    for side in ("width", "height"):
        root.attrib.pop(side, None)
    root.set("xmlns", SVG[1:-1])
    # matplotlib says this in a style sheet for `*`, which would reach the whole page
    root.set("style", "stroke-linejoin:round;stroke-linecap:butt")
    return ET.tostring(root, encoding="unicode")


def _prune(element: ET.Element, prefix: str) -> None:
    for name in list(element.attrib):
        value = _attribute(name, element.attrib.pop(name), prefix)
        if value is not None:
            element.set("href" if name in HREF else name, value)
    for child in list(element):
        known = isinstance(child.tag, str) and child.tag.startswith(SVG) and DRAWN.fullmatch(child.tag, len(SVG))
        if known:
            _prune(child, prefix)
        else:
            element.remove(child)


def _attribute(name: str, value: str, prefix: str) -> str | None:
    """The attribute's safe value, or None where it has none."""
    if name in HREF:
        if value.startswith("#"):
            return f"#{prefix}-{value[1:]}"
        return value if PICTURE.match(value) else None
    if name.startswith("{") or name.lower().startswith("on"):
        return None
    if name == "id":
        return f"{prefix}-{value}"
    value = re.sub(r"""url\(\s*["']?#([^)"']+)["']?\s*\)""", rf"url(#{prefix}-\1)", value)
    outside = re.search(r"url\((?!#)|javascript:|expression|@import|\\", value, re.IGNORECASE)
    return None if outside and name != "d" else value
