"""Figures of a notebook as SVG with title, caption and alternative text, instead of PNG without."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cxresearch.charts.faces import CHARTS, USUAL, cut
from cxresearch.charts.theme import FONT_STACK, themed, use

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARK = "_cxresearch_figures"  # on the shell that shows figures our way
SVG_MIME = "image/svg+xml"
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_FONTS = ", ".join(f"'{name}'" for name in FONT_STACK)
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def install() -> None:
    """Show every figure of this notebook as SVG with its words. Does nothing outside IPython; may be called twice.

    The hook is the one that IPython asks first (`_ipython_display_`): the inline backend sets the formatters of
    each image type anew whenever it starts, and so would undo an SVG formatter.
    """
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or getattr(shell, _MARK, False):
        return
    use()
    shell.display_formatter.ipython_display_formatter.for_type_by_name("matplotlib.figure", "Figure", _display)
    setattr(shell, _MARK, True)


def _display(figure: Figure) -> None:
    """Publish a figure once: it is closed, so the inline backend does not show it again at the end of the cell."""
    from IPython.display import publish_display_data
    from matplotlib import pyplot

    data, metadata = bundle(figure)
    publish_display_data(data, metadata)
    pyplot.close(figure)


def bundle(figure: Figure) -> tuple[dict[str, Any], dict[str, Any]]:
    """A figure as display data and metadata: the SVG with its words, and the alternative text for plain readers."""
    from cxresearch.charts.dressing import worn

    words = worn(figure)
    said = {"alt": words.alt, "caption": words.caption, "title": words.title}
    return {SVG_MIME: svg(figure), "text/plain": words.alt}, {SVG_MIME: said}


def svg(figure: Figure) -> str:
    """A figure as one lean SVG element, the same bytes on every run."""
    from matplotlib.backends.backend_mixed import MixedModeRenderer
    from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG

    class Canvas(FigureCanvasSVG):
        """Its layout is made by the renderer that draws it, so that every text is measured once."""

        def get_renderer(self) -> Any:
            return renderer

    drawn, canvas, dpi = io.StringIO(), figure.canvas, figure.dpi
    try:
        with themed(), _unlabelled(figure):
            # `savefig` draws a figure that lays itself out twice, and needs the first time for its layout alone
            figure.set_dpi(Canvas.fixed_dpi)
            width, height = figure.get_size_inches()
            inner = RendererSVG(*figure.bbox.size, drawn, image_dpi=dpi, metadata=_NO_METADATA)
            renderer: Any = MixedModeRenderer(figure, width, height, dpi, inner)
            Canvas(figure)
            figure.draw(renderer)
            renderer.finalize()
    finally:
        figure.set_canvas(canvas)
        figure.set_dpi(dpi)
    return _lettered(_lean(drawn.getvalue()))


@contextmanager
def _unlabelled(figure: Figure) -> Iterator[None]:
    """While it is drawn, nobody asks where labels of axes would stand that have none: that takes an eighth of the time.

    Matplotlib has no public word for it; where it drops its own, charts take longer and look the same.
    """
    axes: list[Any] = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    bare = [axis for axis in axes if not axis.get_label_text() and getattr(axis, "_autolabelpos", False)]
    try:
        for axis in bare:
            axis._autolabelpos = False
        yield
    finally:
        for axis in bare:
            axis._autolabelpos = True


def _lettered(text: str) -> str:
    """The SVG with its font inside: JupyterLab shows it as an image, which sees no font of the page.

    The report takes the font out again and has it once.
    """
    written = set("".join(re.findall(r">([^<]+)<", text))) - {"\n"}
    rules = "".join(
        f"@font-face{{font-family:'{face.family}';font-weight:{face.weight};src:url({face.source})}}"
        for face in cut(USUAL | written, CHARTS)
    )
    return text.replace(">", f"><defs><style>{rules}</style></defs>", 1)


def _lean(text: str) -> str:
    """Drop what an SVG inside a page does not need; round coordinates to a hundredth of a point.

    Numbers are rounded in paths only: rounding a transform moves whole labels. The style sheet of Matplotlib would
    hold for every element of the page, so it becomes two attributes.
    """
    text = _NOT_XML.sub("", text[text.index("<svg") :])
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, count=1, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = text.replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)
    text = re.sub(r'(?<= d=")[^"]*', lambda path: " ".join(_LONG_NUMBER.sub(_short, path[0]).split()), text)
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = text.replace(_FONTS, f"{_FONTS}, sans-serif")
    text = re.sub(r"<defs>\s*</defs>", "", text)
    return re.sub(r">\s*\n\s*<", ">\n<", text).strip() + "\n"


def _short(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")
