"""Outlook: how a chapter ends, with what its verdicts bear on and what would turn them."""

from __future__ import annotations

from cxresearch.claims import WORDS, Verdict
from cxresearch.policy import register
from cxresearch.report.shown import Shown, notice

TITLE = "What this would change, and what would change our mind"
BEARING = {
    "supported": "It may be counted on as an association in deciding {decision}",
    "refuted": "It is no ground for deciding {decision}",
    "undecided": "It decides nothing yet about {decision}",
    "not_estimable": "It cannot be asked here, so it says nothing about {decision}",
}


def outlook(*verdicts: Verdict) -> Shown:
    """What each verdict bears on, and at which margin or with which data it would be another.

    One sentence pair for each judged part; parts that cannot be judged say what they lack. Without
    verdicts the chapter says that no claim rests on it.

    Example:
    >>> ladder = cx.relate(study, of="satisfaction", among="retainability", steps=["adjusted"])
    >>> verdict = cx.judge("S1.1", ladder, part="satisfaction", term="retainability", model="adjusted")
    >>> print(cx.outlook(verdict).text)
    What this would change, and what would change our mind
    S1.1, service quality with satisfaction, at the same usage and price: ...
    """
    items = [
        f"{verdict.claim}, {verdict.label[0].lower() + verdict.label[1:]}: {_told(verdict)}" for verdict in verdicts
    ]
    return notice(TITLE, items or ["No claim of the register rests on this chapter."], "info")


def _told(verdict: Verdict) -> str:
    bearing = BEARING[verdict.verdict].format(decision=register()[verdict.claim].decision)
    if verdict.verdict == "not_estimable":
        return f"{WORDS[verdict.verdict]}. {bearing}; what it lacks: {verdict.reason}."
    return f"{WORDS[verdict.verdict]}. {bearing}. It would turn {verdict.flips_at}."
