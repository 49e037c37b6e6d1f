"""The first page: what the report is, and the order of what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from cxresearch.report.blocks import CLAIMS_IN_FRONT, Block, ClaimsBlock, Front, Notice, Prose
from cxresearch.report.texts import as_text

READING = (
    "Supported: the whole 99 % interval, in brackets, lies where the claim would be true. Refuted: wholly outside. "
    "Undecided: it reaches across, which speaks neither for nor against."
)


def matter(about: Mapping[str, Any], title: str, lead: str) -> Front:
    """Names, period and what is needed to make the report again, from the metadata of its notebook."""
    study = as_text(about.get("study_title") or about.get("study"))
    lang = as_text(about.get("lang"))
    facts = [("Study", study), ("Data", about.get("data_fingerprint")), ("Run", about.get("run"))]
    facts += [("Code", about.get("commit")), ("As of", about.get("generated"))]
    named = {name: as_text(about.get(name)) for name in ("edition", "period", "segment", "generated", "command")}
    return Front(
        title=title,
        subtitle=as_text(about.get("subtitle")),
        question=lead,
        study=study,
        lang=lang if re.fullmatch(r"[a-z]{2,3}", lang) else "en",
        facts=tuple((label, as_text(value)) for label, value in facts if value),
        parameters=_pairs(about.get("parameters")),
        versions=_pairs(about.get("versions")),
        **named,
    )


def ordered(blocks: Iterable[Block]) -> list[Block]:
    """Numbers first, then the answer, what changed, what to be careful about, claims."""
    ranks = {"tiles": 0, "claims": 4}

    def rank(section: list[Block]) -> int:
        block = next((b for b in section if not isinstance(b, Prose)), section[0])
        if isinstance(block, Notice):
            return 3 if block.tone == "caution" else 2
        return ranks.get(block.kind, 1)

    sections: list[list[Block]] = []
    headed = False
    for block in blocks:
        starts = isinstance(block, Prose) and block.nodes[0]["t"] == "heading"
        headed = headed or starts
        if starts or not headed:
            sections.append([block])
        else:
            sections[-1].append(block)  # what stands under a heading moves with it
    return [block for section in sorted(sections, key=rank) for block in section]


def foremost(block: ClaimsBlock) -> ClaimsBlock:
    """At most seven claims: the changed before the decided before the undecided."""
    if not block.more_than_front:
        return block
    order = ("supported", "refuted", "undecided", "not_estimable")
    ranked = sorted(block.claims, key=lambda c: (not c.changed, max(0, order.index(c.verdict) - 1)))
    return replace(block, claims=tuple(ranked[:CLAIMS_IN_FRONT]), more=len(ranked) - CLAIMS_IN_FRONT)


def _pairs(mapping: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), as_text(value)) for key, value in (mapping or {}).items())
