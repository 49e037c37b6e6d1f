"""Shown: what a notebook prints beside findings and verdicts, as data for the report and as text."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CLAIMS_MIME = "application/vnd.cxresearch.claims+json"
TILES_MIME = "application/vnd.cxresearch.tiles+json"
NOTICE_MIME = "application/vnd.cxresearch.notice+json"


@dataclass(frozen=True)
class Shown:
    """Something that a report prints, as data of one MIME type and as text."""

    mime: str
    data: Mapping[str, Any]
    text: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self.text.splitlines())
        return {self.mime: dict(self.data), "text/html": lines, "text/plain": self.text}


def notice(title: str, items: Sequence[str], tone: str) -> Shown:
    """A few sentences under a title."""
    return Shown(NOTICE_MIME, {"title": title, "items": list(items), "tone": tone}, "\n".join([title, *items]))
