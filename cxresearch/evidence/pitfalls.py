"""Pitfalls: terms that say another thing than they seem to, and steps of an answer that say another thing than the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ibis.expr.types as ir

from cxresearch.data.study import Study
from cxresearch.data.terms import AFTER_LEAVING, EARNED, PROBLEMS, SYMPTOMS
from cxresearch.errors import UsageError
from cxresearch.evidence import inference
from cxresearch.evidence.held import hold
from cxresearch.finding import Caveat
from cxresearch.measures import capital

AT_THE_END = 0.05  # of the answers at the best end of a scale; from so many on the end bends what goes with it


def refuse_known_later(study: Study, terms: Iterable[str]) -> None:
    """Raise UsageError for terms that are known only after a customer left: leaving goes with them whatever came before."""
    for name in terms:
        if name in AFTER_LEAVING:
            label = study.term(name).label
            raise UsageError(
                f"{name} ({label}) is known only after a customer left, so it foretells nothing: leave it out"
            )


def of_terms(study: Study, terms: Sequence[str], given: Sequence[str] = (), *, leaving: bool) -> list[Caveat]:
    """Doubts that the terms themselves bring: contacts are symptoms; what one gets by staying looks loyal; leavers answer less.

    `leaving` says that the question is who leaves; `given` is held fixed.
    """
    found = []
    symptoms = [study.term(x).label for x in dict.fromkeys(terms) if x in SYMPTOMS]
    if symptoms:
        lacking = [x for x in PROBLEMS if study.has(x) and x not in given]
        held = f"Hold the problem itself fixed (given=[{', '.join(map(repr, lacking))}]); w" if lacking else "W"
        text = f"{_listed(symptoms)}: a symptom of a problem, or of a customer who is about to leave, and not what customers leave for. {held}hat is left may still be problems that nobody recorded: read it as a warning sign."
        found.append(Caveat("symptom", text))
    earned = [study.term(x).label for x in dict.fromkeys(terms) if x in EARNED] if leaving else []
    if earned:
        text = f"{_listed(earned)}: customers get it by staying, so those who have it look loyal for having had the time. Read the number at the same tenure, or ask survive(…, landmark=…) of those still there."
        found.append(Caveat("immortal", text))
    if leaving and study.knows_silent and any(study.on_survey([x]) for x in terms):
        text = "A term of the survey is known only of those who answered; leavers answer less, so this holds of those who answered. Compare the rates of leavers of both groups (explain_churn) before it is read of all customers."
        found.append(Caveat("silent-leavers", text))
    return found


def bent(study: Study, table: ir.Table, terms: Sequence[str]) -> list[Caveat]:
    """Doubts about slopes that differ along a scale: many answers at its best end, and who answered.

    Both make the better side flatter, and two good things together less than their sum, where nothing else does.
    """
    found = []
    ends = {x: study.term(x).low if study.term(x).better < 0 else study.term(x).high for x in terms}
    known = {x: end for x, end in ends.items() if end is not None and study.term(x).better}
    shares = _at_end(study, table, terms, known) if known else {}
    many = {x: share for x, share in shares.items() if share is not None and share >= AT_THE_END}
    if many:
        listed = ", ".join(f"{study.term(x).label} ({100 * share:.0f} %)" for x, share in many.items())
        text = f"Many answers stand at the best end of their scale: {listed}. What lies beyond is not seen, which by itself flattens the better side and makes two good things together look like less than their sum. Act on neither by this alone; ask on a longer scale."
        found.append(Caveat("ceiling", text))
    if study.knows_silent and study.on_survey(terms):
        text = "Who answers depends on the answer, which by itself bends slopes along the scale: this holds of those who answered. Ask those who kept silent before acting on it."
        found.append(Caveat("nonresponse", text))
    return found


def _at_end(study: Study, table: ir.Table, terms: Sequence[str], ends: Mapping[str, float]) -> dict[str, float | None]:
    """The share of the rows with all terms in which each of some terms stands at an end."""
    if (held := hold(study, table, terms)) is not None:
        keep = held.known(terms)
        return {x: float((held.number(x)[keep] == end).mean()) if keep.any() else None for x, end in ends.items()}
    complete = table.filter(*(table[x].notnull() for x in terms))
    return complete.aggregate(**{x: (complete[x] == end).mean() for x, end in ends.items()}).to_pyarrow().to_pylist()[0]


def _listed(labels: Sequence[str]) -> str:
    return capital(", ".join(labels))


def side(record: Mapping[str, Any]) -> int:
    """On which side of zero the interval of a row lies; 0 where it holds zero or there is none."""
    if record["conf_low"] is None or record["conf_high"] is None:
        return 0
    return int(record["conf_low"] > 0) - int(record["conf_high"] < 0)


def hidden(crude: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a row excludes zero that the crude row holds, and differs from the crude one by more than chance."""
    return side(crude) == 0 != side(other) and told_apart(crude, other)


def told_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rows of the same study differ by more than chance: the same part is left out of both."""
    return side(vars(inference.difference(one.get("kept"), other.get("kept")))) != 0


def confounded(study: Study, term: str, crude: Mapping[str, Any], adjusted: Mapping[str, Any]) -> list[Caveat]:
    """A doubt about a crude difference of leavers that is another one at the same level of what is held fixed."""
    turned = side(crude) * side(adjusted) < 0
    gone = side(crude) != 0 == side(adjusted) and told_apart(crude, adjusted)
    if not (turned or gone or hidden(crude, adjusted)):
        return []
    what = "has the opposite sign" if turned else "is not there" if gone else "shows"
    text = f"{_listed([study.term(term).label])}: crude, {'no' if what == 'shows' else 'a'} difference of leavers is told; at the same level of what is held fixed {'it ' if what != 'shows' else 'one '}{what}. Do not read the crude number alone."
    return [Caveat("confounded", text)]
