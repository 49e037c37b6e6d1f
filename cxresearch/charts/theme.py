"""How every chart looks: fonts, sizes, and colours that each have one meaning.

Importing this module is cheap; Matplotlib is met by `use` and `themed` only, so page and paper take fonts from here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

FONT_FAMILY = "Inter"
FONT_FOLDER = Path(__file__).parent / "fonts"
FONT_FILES = MappingProxyType(  # by weight and style
    {
        (400, "normal"): FONT_FOLDER / "Inter-Regular.ttf",
        (400, "italic"): FONT_FOLDER / "Inter-Italic.ttf",
        (600, "normal"): FONT_FOLDER / "Inter-SemiBold.ttf",
        (700, "normal"): FONT_FOLDER / "Inter-Bold.ttf",
    }
)
FONT_STACK = (FONT_FAMILY, "DejaVu Sans")  # DejaVu comes with Matplotlib

PALETTE = ("#0B5C8A", "#E07A1F", "#4C9A6B", "#A23B72", "#6B7280", "#C9A227")
SERIES_COLOURS = ("#0B5C8A", "#A64B00", "#2C7A4B", "#A23B72")  # dark enough for their names written beside them
COLOURS = MappingProxyType(
    {
        "text": "#1F2933",
        "quiet": "#5B6470",  # axis text, notes
        "rule": "#D5DAE0",  # grid and spines
        "zero": "#8A939E",
        "paper": "#FFFFFF",
        "estimate": "#0B5C8A",
        "crude": "#6B7280",
        "changed": "#E07A1F",  # marks only: too pale for text
        "changed_text": "#A64B00",
        "range": "#C9A227",
        "fill": "#DCE9F1",
    }
)
VERDICT_COLOURS = MappingProxyType(  # all 4.5:1 on white; the word always stands beside the colour
    {
        "supported": "#0B6E4F",
        "refuted": "#A23B72",
        "undecided": "#7A5C00",
        "not_estimable": "#5B6470",
    }
)

WIDTH = 5.04  # inches: text of 10 pt stays readable in a phone's column and in one of the two columns of the paper
HEIGHT = 2.9
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 11.5, 10.0, 9.5
BOLD = 700  # the only strong weight that the fallback font has too

RC = MappingProxyType(
    {
        "font.family": list(FONT_STACK),
        "font.size": TEXT_SIZE,
        "text.color": COLOURS["text"],
        "text.parse_math": False,  # "$5 and $10" in a label is money, not a formula
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
        "figure.figsize": (WIDTH, HEIGHT),
        "figure.facecolor": COLOURS["paper"],
        "figure.titlesize": TITLE_SIZE,
        "figure.titleweight": BOLD,
        "figure.constrained_layout.use": True,
        "savefig.facecolor": COLOURS["paper"],
        "axes.facecolor": COLOURS["paper"],
        "axes.edgecolor": COLOURS["zero"],
        "axes.linewidth": 0.8,
        "axes.labelcolor": COLOURS["quiet"],
        "axes.labelsize": SMALL_SIZE,
        "axes.titlesize": TITLE_SIZE,
        "axes.titleweight": BOLD,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": COLOURS["rule"],
        "grid.linewidth": 0.6,
        "xtick.color": COLOURS["zero"],
        "ytick.color": COLOURS["zero"],
        "xtick.labelcolor": COLOURS["quiet"],
        "ytick.labelcolor": COLOURS["text"],
        "xtick.labelsize": SMALL_SIZE,
        "ytick.labelsize": TEXT_SIZE,
        "lines.linewidth": 1.8,
        "lines.markersize": 6,
        "legend.frameon": False,
        "legend.fontsize": SMALL_SIZE,
        "svg.fonttype": "none",  # text stays text: searchable, shaped by the reader's program
        "svg.hashsalt": "cxresearch",
    }
)


def use() -> None:
    """Let every figure drawn from now on look like a chart of the report."""
    import matplotlib

    matplotlib.rcParams.update(_settings())


@contextmanager
def themed() -> Iterator[None]:
    """The look for what is drawn or saved inside, whatever the settings outside.

    A sign that no shipped font has is left to the reader's program, so Matplotlib need not warn of it. Only our own
    settings are put back, not all as by `rc_context`: a notebook's backend starts with the first figure and sets some.
    """
    from matplotlib import rcParams

    settings = _settings()
    before = {name: rcParams[name] for name in settings}
    rcParams.update(settings)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
            warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support .* natively")
            yield
    finally:
        rcParams.update(before)


def _settings() -> dict[Any, Any]:
    from cycler import cycler

    _register()
    return {**RC, "axes.prop_cycle": cycler(color=PALETTE)}


def _register() -> None:
    """Make the shipped files the first that Matplotlib finds, before a font of that name on the machine."""
    from matplotlib.font_manager import fontManager

    shipped = {str(path) for path in FONT_FILES.values()}
    if {entry.fname for entry in fontManager.ttflist[: len(shipped)]} == shipped:
        return
    others = [entry for entry in fontManager.ttflist if entry.fname not in shipped]
    fontManager.ttflist[:] = []
    for path in sorted(shipped):
        fontManager.addfont(path)
    fontManager.ttflist += others
