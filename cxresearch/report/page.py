"""The report as one HTML file: fonts and charts inside, no script, no request to anywhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from cxresearch.charts import faces
from cxresearch.errors import RenderError
from cxresearch.report.blocks import Chart, Document
from cxresearch.report.texts import unparted

TEMPLATES = Path(__file__).parent / "templates"


def render(document: Document) -> str:
    """The page of a document."""
    from jinja2 import TemplateError

    try:
        # two passes: the fonts are cut down to the characters that the page really has
        body = _template("page.html.jinja").render(doc=document)
        style = _template("page.css.jinja").render(faces=faces.cut(frozenset(body)))
    except TemplateError as error:
        raise RenderError(f"the page could not be made: {error}") from error
    # data cannot hold this tag: its `<` is escaped
    return body.replace("<style></style>", f"<style>{style}</style>", 1)


def _drawing(chart: Chart) -> Any:
    """The SVG of a chart with its description, safe to stand in the page."""
    from markupsafe import Markup, escape

    return Markup(chart.svg.replace("<svg ", f'<svg role="img" aria-label="{escape(chart.alt)}" ', 1))


def _quoted(text: str) -> Any:
    """The text with what stands in “ ” marked as the words of others."""
    from markupsafe import Markup, escape

    return Markup(re.sub("“([^”]*)”", r'<q class="claim-quote">\1</q>', str(escape(unparted(text)))))


def _finished(value: Any) -> Any:
    """A text as it is set: a number stays with what belongs to it. Drawings and other finished markup stay as they are."""
    return unparted(value) if type(value) is str else value


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # every data value is escaped; only drawings, already cut to a whitelist, are marked safe
        undefined=StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"drawing": _drawing, "quoted": _quoted}
    return environment


def _template(name: str) -> Any:
    return _environment().get_template(name)
