"""Outlook: how a chapter ends, with what its verdicts and checks bear on and what would turn them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxresearch.claims import WORDS, Verdict, combine
from cxresearch.data.terms import BY_NAME, TABLES
from cxresearch.finding import LIGHTS, Finding
from cxresearch.measures import capital
from cxresearch.policy import Claim, register
from cxresearch.report.archive import ROOT
from cxresearch.report.shown import Shown, notice

TITLE = "What this would change, and what would change our mind"
BEARING = {
    "supported": "may be counted on as an association in deciding {decision}",
    "refuted": "is no ground for deciding {decision}",
    "undecided": "decides nothing yet about {decision}",
    "not_estimable": "says nothing yet about {decision}",
}


def outlook(*ends: Verdict | Finding) -> Shown:
    """What each verdict or check of the data bears on, and at which margin or with which data it would be another.

    One line for each claim: what it bears on, then where each judged part would turn, and what the others lack. A check (`inspect_data`)
    says which chapters are to be read with care, by the columns that their claims need. Without either the chapter
    says that no claim rests on it.

    Example:
    >>> ladder = cx.relate(study, of="satisfaction", among="retainability", steps=["adjusted"])
    >>> verdict = cx.judge("S1.1", ladder, part="satisfaction", term="retainability", model="adjusted")
    >>> print(cx.outlook(verdict).text)
    What this would change, and what would change our mind
    S1.1 is not estimable and says nothing yet about ... Satisfaction (...) would turn to ...
    """
    checks = [_checked(end) for end in ends if isinstance(end, Finding)]
    verdicts = [end for end in ends if isinstance(end, Verdict)]
    asked = dict.fromkeys(verdict.claim for verdict in verdicts)
    combined = {claim["id"]: claim for claim in combine([vars(verdict) for verdict in verdicts])}
    items = [*checks, *(_judged(combined[name]) for name in asked)]
    return notice(TITLE, items or ["No claim of the register rests on this chapter."], "info")


def _judged(claim: Mapping[str, Any]) -> str:
    """A claim with its verdict, the decision it bears on, and the margins at which its parts would turn."""
    bearing = BEARING[claim["verdict"]].format(decision=register()[claim["id"]].decision)
    turns = "; ".join(_turn(part, alone=len(claim["parts"]) == 1) for part in claim["parts"])
    return f"{claim['id']} is {WORDS[claim['verdict']]} and {bearing}. {capital(turns)}."


def _turn(part: Mapping[str, Any], alone: bool) -> str:
    name = "it" if alone else part["part"].replace("_", " ")
    if part["verdict"] == "not_estimable":
        return f"{name} cannot be judged: {part['reason']}"
    now = "" if alone else f" ({WORDS[part['verdict']]})"
    return f"{name}{now} would turn {part['flips_at']}"


def _checked(finding: Finding) -> str:
    """What a check says, which chapters that touches, and the rule under which it would say something else."""
    if not finding.estimable:
        return f"{finding.question} {finding.answer} Nothing is known of it, so no chapter is safer for it."
    doubted = [record for record in finding.rows() if record["effect_label"] in LIGHTS]
    if not doubted:
        return f"{finding.title}. Rule: {finding.estimand}."
    claims = [c for c in register().values() if _answered(c) and any(_touches(record, c) for record in doubted)]
    chapters: dict[str, list[str]] = {}
    for claim in claims:
        chapters.setdefault(claim.notebook.replace("_", " "), []).append(claim.id)
    named = ", ".join(f"“{name}” ({', '.join(ids)})" for name, ids in chapters.items())
    care = (
        f"Read with care: {named}." if named else "No claim of the register needs these columns; other questions may."
    )
    return f"{finding.title}. {care} Rule: {finding.estimand}."


def _answered(claim: Claim) -> bool:
    """Whether a notebook answers the claim: a chapter that is not there cannot be read with care."""
    return (ROOT / "notebooks" / f"{claim.notebook}.ipynb").is_file()


def _touches(record: Mapping[str, Any], claim: Claim) -> bool:
    """Whether a claim needs the column of a doubted row, or any column of its table where the whole row is in doubt."""
    term, table = record["term"], record["outcome"]
    needs = {need for part in claim.parts for need in part.needs}
    if term in BY_NAME and BY_NAME[term].kind not in ("id", "time"):
        return f"{table if table in TABLES else BY_NAME[term].table}.{term}" in needs
    return any(need.partition(".")[0] == table or table not in TABLES for need in needs)
