"""The shipped fonts cut down to the characters that a page or a chart has, as data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cxresearch.charts.theme import FONT_FAMILY, FONT_FILES

# what nearly every chart is written with; the two faces of charts are shipped cut to it, for cutting takes a third of a second
USUAL = frozenset(map(chr, range(32, 127))) | frozenset("–−×≤≥²ρ…·●○“”’")
CHARTS = ((400, "normal"), (700, "normal"))  # weight and style


@dataclass(frozen=True)
class Face:
    """One embedded font."""

    family: str
    weight: int
    style: str
    source: str  # a data: address


def cut(text: Collection[str], only: Collection[tuple[int, str]] = tuple(FONT_FILES)) -> tuple[Face, ...]:
    """The shipped fonts, or those of some weights and styles, cut down to these characters, as data addresses."""
    wanted = frozenset(text)
    return tuple(Face(FONT_FAMILY, *kind, _address(FONT_FILES[kind], wanted)) for kind in only)


def shipped(file: Path) -> Path:
    """Where a font lies that is cut to the usual characters."""
    return file.with_name(f"{file.stem}-usual.woff2")


def ship() -> None:
    """Cut the faces of charts to the usual characters anew, after another choice of these."""
    for kind in CHARTS:
        shipped(FONT_FILES[kind]).write_bytes(_subset(FONT_FILES[kind], USUAL, "woff2"))


@lru_cache(maxsize=32)
def _address(file: Path, text: frozenset[str]) -> str:
    ready = text == USUAL and shipped(file).exists()
    flavour = "woff2" if ready else _flavour()
    font = shipped(file).read_bytes() if ready else _subset(file, text, flavour)
    return f"data:font/{flavour};base64,{base64.b64encode(font).decode('ascii')}"


def _subset(file: Path, text: frozenset[str], flavour: str) -> bytes:
    from fontTools import subset

    options = subset.Options(layout_features=["kern", "mark", "mkmk", "tnum", "ccmp", "locl"], notdef_outline=True)
    options.flavor = flavour
    font: Any = subset.load_font(str(file), options, dontLoadGlyphNames=True)
    font.recalcTimestamp = False  # the same characters give the same bytes
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[ord(character) for character in text])
    cutter.subset(font)
    buffer = io.BytesIO()
    subset.save_font(font, buffer, options)
    font.close()
    return buffer.getvalue()


def _flavour() -> str:
    """woff2 where its compression is installed, else woff."""
    from importlib.util import find_spec

    return "woff2" if find_spec("brotli") else "woff"
