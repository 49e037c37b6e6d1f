"""Text in the room that it has: lines of at most a width, measured with the shipped font."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from cxresearch.charts.theme import FONT_FILES
from cxresearch.charts.words import clean


def wrapped(text: str, inches: float, size: float, *, weight: int = 400, lines: int = 3) -> str:
    """Text in lines of at most that width and about equal length, broken inside a word where it must be.

    What does not fit into so many lines ends with `…`.
    """
    room = inches * 72 / size
    done = _filled(text, room, weight)
    if len(done) > lines:
        return "\n".join([*done[: lines - 1], _cut(done[lines - 1], room, weight)])
    while room > 4 and len(narrower := _filled(text, room * 0.97, weight)) == len(done) > 1:
        room, done = room * 0.97, narrower
    return "\n".join(done)


def _filled(text: str, room: float, weight: int) -> list[str]:
    done, line = [], ""
    for word in clean(text).split():
        for piece in _pieces(word, room, weight):
            longer = f"{line} {piece}" if line else piece
            if _width(longer, weight) <= room or not line:
                line = longer
            else:
                done.append(line)
                line = piece
    return [*done, line] if line else done


def lines_within(text: str, inches: float, size: float, *, weight: int = 400) -> str:
    """Text whose own line breaks are kept, each line wrapped to that width."""
    return "\n".join(wrapped(line, inches, size, weight=weight) for line in text.split("\n"))


def _cut(line: str, room: float, weight: int) -> str:
    while line and _width(line + "…", weight) > room:
        line = line[:-1]
    return line.rstrip() + "…"


def _pieces(word: str, room: float, weight: int) -> list[str]:
    """A word in parts that each fit; marks stay with the letter they stand on."""
    if _width(word, weight) <= room:
        return [word]
    parts = [""]
    for character in word:
        if not _is_mark(character) and _width(parts[-1] + character, weight) > room and parts[-1]:
            parts.append("")
        parts[-1] += character
    return parts


def _is_mark(character: str) -> bool:
    """Whether a sign belongs to the letter before it: accents, vowel signs, joiners."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")


def _width(text: str, weight: int) -> float:
    return sum(_advance(character, weight) for character in text)


@lru_cache(maxsize=4096)
def _advance(character: str, weight: int) -> float:
    """How far a sign moves the pen, in em: from the shipped font, or a guess for scripts that it has not."""
    from matplotlib.font_manager import get_font
    from matplotlib.ft2font import LoadFlags

    if unicodedata.category(character) == "Mn":
        return 0.0
    font = get_font(str(FONT_FILES[weight, "normal"]))
    if font.get_char_index(ord(character)) == 0:
        return 1.0 if unicodedata.east_asian_width(character) in "WF" else 0.65
    return float(font.load_char(ord(character), flags=LoadFlags.NO_SCALE).horiAdvance) / float(font.units_per_EM)
