"""The report as a tagged PDF: the same Document as the page, set by Typst with shipped fonts only."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxresearch.charts.theme import COLOURS, VERDICT_COLOURS
from cxresearch.errors import RenderError
from cxresearch.report import fonts
from cxresearch.report.blocks import Document
from cxresearch.report.texts import unparted

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
STANDARDS = ("ua-1", "a-2a")  # read aloud, and kept
BREAK = "\u200b"  # an invisible place where a line may end
ROWS_OF_A_TABLE = 40  # in the appendix of tables; the page has them all
UNBROKEN = 20  # a longer run of letters would stand out of its column
RUN = re.compile(rf"[^\s{BREAK}]{{{UNBROKEN + 1},}}")
INVISIBLE = "".join(sorted(fonts.INVISIBLE))
LOOKED_UP = ("t", "kind", "anchor", "href", "verdict", "lang", "from")


@dataclass(frozen=True)
class Paper:
    """A PDF, and what of it is not as it should be."""

    pdf: bytes
    warnings: tuple[str, ...] = ()


def render(document: Document) -> Paper:
    """The paper of a document; the same document gives the same bytes.

    A sign that no font has, or a part that the standard for readers' programs refuses, does not stop the paper:
    it is made without and `warnings` says so. Raises RenderError where no paper can be made at all.
    """
    content = dataclasses.asdict(document)
    chosen = fonts.for_paper(_characters(content))
    warnings = [_lost(chosen.written_out)] if chosen.written_out else []
    written = functools.partial(_written, lost=chosen.written_out)
    content["tables"] = _numbered(content)
    content = _texts(content, lambda text: _breakable(written(text)), written)
    content["notes"] = warnings
    content["look"] = {"fonts": chosen.families, "colours": dict(COLOURS), "verdicts": dict(VERDICT_COLOURS)}
    with tempfile.TemporaryDirectory() as folder:
        chosen.lay_out(Path(folder))
        return _compiled(
            json.dumps(content, ensure_ascii=False), Path(folder), _moment(document.front.period), warnings
        )


def _compiled(content: str, folder: Path, moment: int, warnings: list[str]) -> Paper:
    """Tried by the standards, then with the fonts of this computer, then without the standards."""
    import typst

    tries: tuple[tuple[bool, tuple[Any, ...], str], ...] = (
        (True, STANDARDS, ""),
        (
            False,
            STANDARDS,
            "The paper could not be set in its own fonts ({}): it depends on the fonts of this computer.",
        ),
        (False, (), "The paper does not meet PDF/UA-1 and PDF/A-2a and cannot be read aloud reliably: {}."),
    )
    reason = ""
    for own_fonts, standards, warning in tries:
        try:
            pdf, remarks = typst.compile_with_warnings(
                TEMPLATE,
                font_paths=[folder],
                ignore_system_fonts=own_fonts,
                pdf_standards=list(standards),
                sys_inputs={"document": content},
                timestamp=moment,
                format="pdf",
            )
            said = [f"The typesetter remarks: {remark.message}." for remark in remarks]
            return Paper(pdf, (*warnings, *([warning.format(reason)] if warning else []), *said))
        except typst.TypstError as error:
            reason = str(error).strip() or "no reason given"
    raise RenderError(f"the paper could not be made: {reason}")


def _moment(period: str) -> int:
    """A fixed time for the file, from the period that it is about: there is no clock in a report."""
    found = re.match(r"(\d{4})-(?:Q([1-4])|(\d{2}))", period)
    if not found:
        return int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
    month = 3 * int(found[2]) - 2 if found[2] else min(max(int(found[3]), 1), 12)
    return int(datetime(max(int(found[1]), 1980), month, 1, tzinfo=UTC).timestamp())


def _texts(value: Any, change: Callable[[str], str], in_drawings: Callable[[str], str]) -> Any:
    """The same tree with every text changed; addresses and names that the template looks up stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, (list, tuple)):
        return [_texts(item, change, in_drawings) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: item for key, item in value.items() if key in LOOKED_UP}
    changed |= {key: _texts(item, change, in_drawings) for key, item in value.items() if key not in (*LOOKED_UP, "svg")}
    return changed | {key: in_drawings(item) for key, item in value.items() if key == "svg"}


def _numbered(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables that a chart or a sentence stands for in the chapters, each with its number, for the appendix."""
    chapters = [content["opening"], *(one["blocks"] for one in (*content["chapters"], *content["appendix"]))]
    found = [block for blocks in chapters for block in blocks if block["kind"] == "finding" and block["table"]]
    moved = [block for block in found if block["charts"] or block["table"]["folded"]]
    for number, block in enumerate(moved, 1):
        block["table"] |= {"number": number, "count": len(block["table"]["rows"]), "from": block["anchor"]}
        block["table"]["rows"] = block["table"]["rows"][:ROWS_OF_A_TABLE]
        block["table"]["folded"] = True
    return [block["table"] for block in moved]


def _characters(value: Any) -> frozenset[str]:
    """Every sign that the paper shows."""
    found: set[str] = set()

    def note(text: str) -> str:
        found.update(text)
        return text

    _texts(value, note, note)
    return frozenset(found)


def _written(text: str, lost: dict[str, str]) -> str:
    """The text with words for signs that no font has."""
    if not lost:
        return text
    # a joiner behind words would swallow their last sign
    return re.sub(f"([{re.escape(''.join(lost))}])[{INVISIBLE}]*", lambda found: lost[found[1]], text)


def _breakable(text: str) -> str:
    """The text with places to break in long runs, and none between a number and what belongs to it."""
    return RUN.sub(_broken, unparted(text))


def _broken(run: re.Match[str]) -> str:
    """Breaks after joining signs first (`satisfaction_`), else every so many letters."""
    pieces = re.split(r"(?<=[_=/.,;:&?|-])", run[0])
    cut = [piece[i : i + UNBROKEN] for piece in pieces for i in range(0, len(piece), UNBROKEN)]
    return BREAK.join(cut)


def _lost(written_out: dict[str, str]) -> str:
    shown = [f"U+{ord(character):04X}" for character in written_out]
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return (
        f"{len(shown)} signs have no glyph in the fonts of this paper and are written out in brackets "
        f"({', '.join(shown[:8])}{more}). "
        "The page shows them; so does the paper where a Noto font for them is installed."
    )
