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


@dataclass(frozen=True)
class Face:
    """One embedded font."""

    family: str
    weight: int
    style: str
    source: str  # a data: address


def cut(text: Collection[str]) -> tuple[Face, ...]:
    """The shipped fonts, cut down to these characters, as data addresses."""
    wanted = frozenset(text)
    return tuple(
        Face(FONT_FAMILY, weight, style, _subset(file, wanted)) for (weight, style), file in FONT_FILES.items()
    )


@lru_cache(maxsize=32)
def _subset(file: Path, text: frozenset[str]) -> str:
    from fontTools import subset

    options = subset.Options(layout_features=["kern", "mark", "mkmk", "tnum", "ccmp", "locl"], notdef_outline=True)
    options.flavor = _flavour()
    font: Any = subset.load_font(str(file), options, dontLoadGlyphNames=True)
    font.recalcTimestamp = False  # the same characters give the same bytes
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[ord(character) for character in text])
    cutter.subset(font)
    buffer = io.BytesIO()
    subset.save_font(font, buffer, options)
    font.close()
    return f"data:font/{options.flavor};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _flavour() -> str:
    """woff2 where its compression is installed, else woff."""
    from importlib.util import find_spec

    return "woff2" if find_spec("brotli") else "woff"
