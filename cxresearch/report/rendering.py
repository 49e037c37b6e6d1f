"""Rendering: executed notebooks in, page and paper in the folder of a report, and the publishing gates they close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxresearch.errors import CxError, NotPublishable, RenderError
from cxresearch.report.plan import Plan, Say

if TYPE_CHECKING:
    from cxresearch.report.run import Chapter


@dataclass(frozen=True)
class Rendered:
    """What came of rendering: the one sentence that answers the report's question, and why it must not be published."""

    headline: str
    gated: tuple[NotPublishable, ...]


def render(plan: Plan, chapters: Sequence[Chapter], made: Path, facts: Mapping[str, Any], say: Say) -> Rendered:
    """Make page and paper of the chapters in a folder; raises RenderError where one of them cannot be made."""
    from cxresearch.report import document, gates, page, paper

    say("rendering")
    own, as_of = plan.request.edition, plan.request.as_of
    first = plan.values[own.all_notebooks[0]]
    about = {
        **facts,
        "title": own.title,
        "subtitle": f"For {own.audience}" if own.audience else "",
        "study_title": plan.study.title,
        "segment": first.get("segment", ""),
        "generated": as_of.isoformat() if as_of else "",
        "command": plan.command,
        "parameters": _common(facts["parameters"]),
        "summary": own.summary or "",
    }
    reading = sorted(chapters, key=lambda one: one.name != own.summary)
    try:
        whole = document.read(document.merge([(one.name, one.notebook) for one in reading], about))
        for warning in whole.warnings:
            say(f"warning: {warning}")
        html = page.render(whole) if "html" in own.formats else None
        if html is not None:
            (made / "report.html").write_text(html, encoding="utf-8")
        printed = paper.render(whole) if "pdf" in own.formats else None
        if printed is not None:
            (made / "report.pdf").write_bytes(printed.pdf)
            for warning in printed.warnings:
                say(f"warning: {warning}")
        gated = gates.closed(whole, html, printed.pdf if printed else None, stopped=any(one.error for one in chapters))
    except (CxError, OSError):
        raise
    except Exception as error:
        raise RenderError(f"the report could not be rendered: {type(error).__name__}: {error}") from error
    return Rendered(_headline(whole), tuple(gated))


def _headline(whole: Any) -> str:
    """The one sentence that answers: the first that page one says, else the first that a chapter says."""
    for block in (*whole.opening, *(block for one in whole.chapters for block in one.blocks)):
        if block.kind == "finding" and block.answer:
            return str(block.answer)
        if block.kind == "notice" and block.tone != "caution" and block.items:
            return str(block.items[0])
    return ""


def _common(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The values for print: once where notebooks agree, else one for each notebook."""
    merged: dict[str, Any] = {}
    for notebook, own in values.items():
        for name, value in own.items():
            merged[name if merged.get(name, value) == value else f"{notebook}.{name}"] = value
    return merged
