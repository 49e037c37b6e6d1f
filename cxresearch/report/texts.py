"""What a notebook says as text that is safe to publish: no terminal codes, nothing that turns the reading direction."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
TOGETHER = re.compile(r"(?<=\b[nr]) (?==)|(?<=\b[nr] =) (?=[\d−])|(?<=\d) (?=%)")  # `n = 12`, `95 %`
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


def unparted(text: str) -> str:
    """The text with no place to break between a number and what belongs to it."""
    return TOGETHER.sub("\u00a0", text)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_text(value: Any) -> str:
    """One value as text; lines that a notebook keeps apart are joined, and nothing is the empty text."""
    if value is None:
        return ""
    return "".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else str(value)
