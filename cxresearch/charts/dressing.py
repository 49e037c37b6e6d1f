"""Title, caption and alternative text for any chart, drawn by this room or with seaborn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from matplotlib.figure import Figure

from cxresearch.charts import words
from cxresearch.charts.lettering import wrapped
from cxresearch.charts.notebook import install
from cxresearch.charts.theme import BOLD, TITLE_SIZE, themed
from cxresearch.finding import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WORN: WeakKeyDictionary[Figure, Dress] = WeakKeyDictionary()


@dataclass(frozen=True)
class Dress:
    """The words that go with a figure: title (the message), caption (how it was made), alternative text."""

    title: str
    caption: str
    alt: str


def dress(
    ax: Axes, finding: Finding, *, title: str | None = None, caption: str | None = None, alt: str | None = None
) -> Axes:
    """Give a chart the message of its finding as title, caption and alternative text; its legend moves off the data."""
    if (legend := ax.get_legend()) is not None:
        legend.set_loc("upper left")
        legend.set_bbox_to_anchor((1.0, 1.0))
    return put_on(
        ax,
        title=title or words.headline(finding),
        caption=caption or words.caption(finding, finding.rows()),
        alt=alt or words.alternative("Chart", finding, finding.rows()),
    )


def put_on(ax: Axes, *, title: str, caption: str, alt: str) -> Axes:
    """Write the title above the whole figure, from its left edge, and remember the words for the report."""
    figure = cast(Figure, ax.get_figure(root=True))
    install()  # a kernel forked from a process that had imported this room has not met the hook yet
    with themed():
        inches = float(figure.get_size_inches()[0])
        text = wrapped(title, inches - 0.2, TITLE_SIZE, weight=BOLD)
        ax.set_title("")
        ax.set_title("", loc="left")
        figure.suptitle(text, x=0.01, ha="left", fontsize=TITLE_SIZE, fontweight=BOLD)
    _WORN[figure] = Dress(words.clean(title), words.clean(caption), words.clean(alt))
    figure.stale = False  # else Matplotlib draws it once more at the end of the cell, for nobody
    return ax


def worn(figure: Figure) -> Dress:
    """The words of a figure; of one that nobody dressed, what its axes say."""
    return _WORN.get(figure) or _plain(figure)


def _plain(figure: Figure) -> Dress:
    said: list[str] = [figure.get_suptitle()]
    for ax in figure.axes:
        said += [ax.get_title(), ax.get_title(loc="left"), _against(ax)]
    text = words.clean(". ".join(dict.fromkeys(part for part in said if part)))
    title = words.clean(figure.get_suptitle())
    return Dress(title, "", f"Chart without description: {text}" if text else "Chart without description")


def _against(ax: Axes) -> str:
    labels = [label for label in (ax.get_ylabel(), ax.get_xlabel()) if label]
    return " against ".join(labels)
