"""What a report is made of: chapters of findings, verdicts, claims, charts and prose, as texts ready to be set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CLAIMS_IN_FRONT = 7

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
    folded: bool = False  # too long for its place, or drawn there


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
    described: bool = True  # the words are its own, not put in for want of any
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
    periods: str
    caveats: tuple[str, ...]
    table: Table | None
    charts: tuple[Chart, ...] = ()
    estimable: bool = True  # any row has an estimate
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
class Trend:
    """What earlier reports said of a number: a line as small as a word, all of it in words, and its two ends."""

    svg: str
    alt: str
    words: str


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
    trend: Trend | None = None


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
    trend: Trend | None = None


@dataclass(frozen=True)
class Tiles:
    """The opening row of numbers; `note` says how to read what stands in all of them."""

    tiles: tuple[Tile, ...]
    note: str = ""
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
    glossary: tuple[tuple[str, str, str, str], ...]
    limits: tuple[str, ...] = LIMITS
    warnings: tuple[str, ...] = ()
