"""What a model of leaving says in words: answer and title of the findings that `explain_churn` makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cxresearch.data.study import Study
from cxresearch.finding import Finding, written
from cxresearch.measures import capital, number


def answer(study: Study, terms: Sequence[str], finding: Finding, given: Sequence[str] | None) -> tuple[str, str]:
    """One sentence for each term, and the title of the whole."""
    told, titles = [], []
    for term in terms:
        label, more = study.term(term).label, study.term(term).more
        records = {r["model"]: r for r in finding.rows(term=term, measure="per_1000")}
        best = records.get("adjusted") or records["crude"]
        if best["estimate"] is None:
            firth = next((r for r in finding.rows(term=term, model="penalised") if r["estimate"] is not None), None)
            more = f"; penalised (Firth) odds ratio {written(firth)}, not to be judged by" if firth else ""
            told.append(f"For {label} no slope is estimable: {best['effect_label']}{more}")
            titles.append(f"{capital(label)}: no slope is estimable")
            continue
        held = f"at the same {_held(study, term, given)}" if best["model"] == "adjusted" else "crude"
        told.append(
            f"{_direction(best)} leavers with {more}, {held}: {written(best)} per 1,000 customers; crude {number(records['crude']['estimate'], 1)}"
        )
        titles.append(f"{_direction(best)} leavers with {more}")
    return ". ".join(told) + ".", titles[0] if len(titles) == 1 else "Leavers differ with what customers met and said"


def _held(study: Study, term: str, given: Sequence[str] | None) -> str:
    """What is held fixed, in words: the usual controls by their roles, further terms by name."""
    usual = [
        word
        for word, terms in (("usage", study.usage), ("price", study.price), ("tenure", ("tenure_m",)))
        if set(terms) & set(study.controls)
    ]
    names = study.controls if given is None else given
    more = [study.term(name).label for name in names if name not in study.controls and name != term]
    words = [*more, *(usual if set(study.controls) & set(names) else [])]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _direction(record: dict[str, Any]) -> str:
    if record["conf_low"] is None or record["conf_low"] <= 0 <= record["conf_high"]:
        return "No difference told from zero in"
    return "More" if record["estimate"] > 0 else "Fewer"
