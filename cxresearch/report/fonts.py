"""Which font shows each character: shipped files first, then DejaVu, then an installed Noto, else words.

The page carries the shipped fonts and leaves the rest to the reader's system. The paper must carry
every glyph, so a character that no font has is written out (`[U+4E2D]`, an emoji by its name) and said so.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cxresearch.charts.theme import FONT_FAMILY, FONT_FILES

FALLBACK = "DejaVu Sans"
SPACES = "\n\t\u200b"  # set by the typesetter, need no glyph
# variation selectors and joiners change a neighbour and are dropped with an emoji that is written out
INVISIBLE = frozenset("\u200c\u200d\u2060\ufe0e\ufe0f\ufeff")


@dataclass(frozen=True)
class Fonts:
    """What the paper is set in: families in order, their files, and words for characters that none of them has."""

    families: tuple[str, ...]
    files: tuple[Path, ...]
    written_out: dict[str, str]

    def lay_out(self, folder: Path) -> None:
        """Put exactly these files into a folder, so that the paper does not depend on what else is installed."""
        for file in self.files:
            shutil.copyfile(file, folder / file.name)


@lru_cache(maxsize=256)
def _characters(file: Path) -> frozenset[int]:
    """The code points a font file has a glyph for."""
    from fontTools.ttLib import TTFont

    with TTFont(file, lazy=True, fontNumber=0) as font:
        return frozenset(font.getBestCmap() or {})


@lru_cache(maxsize=1)
def _dejavu() -> tuple[Path, ...]:
    """The DejaVu Sans files that come with Matplotlib."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return tuple(folder / name for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"))


@lru_cache(maxsize=1)
def installed_noto() -> tuple[Path, ...]:
    """Noto Sans files of this computer, in a fixed order."""
    places = {
        "darwin": ["/Library/Fonts", "~/Library/Fonts", "/System/Library/Fonts"],
        "win32": [os.path.join(os.environ.get("WINDIR", "C:\\Windows"), "Fonts")],
    }.get(sys.platform, ["/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"])
    found = [path for place in places for path in Path(place).expanduser().rglob("NotoSans*-Regular.[ot]t[fc]")]
    return tuple(sorted(found, key=lambda path: (len(path.name), path.name)))


def _family(file: Path) -> str:
    from fontTools.ttLib import TTFont

    with TTFont(file, lazy=True, fontNumber=0) as font:
        return str(font["name"].getBestFamilyName())


def _shared(files: Iterable[Path]) -> frozenset[int]:
    """What every weight of a family has: bold text needs the glyph as much as regular text."""
    return frozenset.intersection(*(_characters(file) for file in files))


def for_paper(text: Collection[str], noto: Collection[Path] | None = None) -> Fonts:
    """The fonts for a paper of these characters; `noto` replaces the search of this computer."""
    families, files = [FONT_FAMILY, FALLBACK], [*FONT_FILES.values(), *_dejavu()]
    covered = _shared(FONT_FILES.values()) | _shared(_dejavu())
    missing = {c for c in text if ord(c) not in covered and c not in SPACES and not _private(c)}
    for file in (installed_noto() if noto is None else noto) if missing - INVISIBLE else ():
        has = {c for c in missing if ord(c) in _characters(file)}
        if has - INVISIBLE:
            families.append(_family(file))
            files.append(file)
            missing -= has
    lost = missing | {c for c in text if _private(c)}
    return Fonts(tuple(families), tuple(files), {c: _words(c) for c in sorted(lost)})


def _private(character: str) -> bool:
    """Private-use code points have no meaning that could be read aloud; the archive standard refuses them."""
    return unicodedata.category(character) in ("Co", "Cn")


def _words(character: str) -> str:
    if character in INVISIBLE or unicodedata.category(character) == "Cf":
        return ""
    if unicodedata.category(character) == "So" and ord(character) >= 0x1F000:
        return f"[{unicodedata.name(character, f'U+{ord(character):04X}').lower()}]"
    return f"[U+{ord(character):04X}]"
