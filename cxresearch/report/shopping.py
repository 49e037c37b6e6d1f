"""Shopping: the columns that would open more claims, most first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxresearch.claims import UNANSWERED

MOST_COLUMNS = 10


def waits(claim: Mapping[str, Any]) -> bool:
    """Whether no notebook answers any part of a claim."""
    return all(part["reason"] == UNANSWERED for part in claim["parts"])


def lacking(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each column that the study lacks, with the claims that need it; a table that is absent is one line.

    Only the first lines are told. Claims that no notebook answers yet count too, and are said to wait for one.
    """
    wanted: dict[str, list[str]] = {}
    there = _tables(claims)
    for claim in claims:
        for what in dict.fromkeys(_named(column, there) for column in claim.get("lacks", ())):
            wanted.setdefault(what, []).append(claim["id"])
    order = sorted(wanted.items(), key=lambda item: (-len(item[1]), item[0]))
    lines = [
        f"{what}: {len(ids)} {'claim' if len(ids) == 1 else 'claims'} ({', '.join(ids)})."
        for what, ids in order[:MOST_COLUMNS]
    ]
    rest = order[MOST_COLUMNS:]
    if rest:
        most = len(rest[0][1])
        lines.append(f"{len(rest)} more, for {'one claim each' if most == 1 else f'at most {most} claims each'}.")
    if any(waits(claim) and claim.get("lacks") for claim in claims):
        lines.append("Of these claims those under “Not asked yet” also wait for a notebook that answers them.")
    return lines or ["No claim waits for a column."]


def _tables(claims: Sequence[Mapping[str, Any]]) -> set[str]:
    """The tables of which the study has a column that some claim needs."""
    return {column.partition(".")[0] for c in claims for column in set(c["needs"]) - set(c.get("lacks", ()))}


def _named(column: str, there: set[str]) -> str:
    table = column.partition(".")[0]
    return column if table in there else f"table {table}"
