"""Soundness: whether the tables of a period carry the questions that are asked of them, one check at a time."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from cxresearch.data.study import Study
from cxresearch.data.terms import nearest
from cxresearch.errors import UsageError
from cxresearch.evidence import column_checks, sampling, table_checks
from cxresearch.evidence.lights import Limits, Seen
from cxresearch.finding import LIGHTS, Caveat, Finding

MOST_TOLD = 3  # doubts that an answer spells out
CHECKS: MappingProxyType[str, tuple[str, Callable[[Study, Limits], Seen]]] = MappingProxyType(
    {
        "coverage": ("Are the rows and answers of the period all here?", table_checks.coverage),
        "loss": ("What do missing values cost the common questions?", column_checks.loss),
        "drift": ("Did a column move away from the months before?", column_checks.drift),
        "keys": ("Does each row stand once, and for somebody?", table_checks.keys),
        "arrivals": ("Do answers and events arrive in time?", table_checks.arrivals),
        "codes": ("Do all values lie on the scale of their term?", table_checks.codes),
        "leakage": ("Does a column know who left before it could?", column_checks.leakage),
        "immortal": ("Does one enter a scheme by staying?", column_checks.immortal),
    }
)


def inspect_data(
    study: Study, check: str, *, max_missing: float = 0.2, drift_test: str = "psi", late_days: int = 14
) -> Finding:
    """Whether the tables of the report period can be trusted with a question: sound, look or stop, and what to do.

    `check` is one of coverage (rows and answers of each month), loss (what missing values cost the common questions;
    to be looked at beyond `max_missing`), drift (the period against the months before, by `drift_test`: "psi", the
    population stability index, or "ks", the Kolmogorov-Smirnov distance), keys (repeated rows, and rows of nobody),
    arrivals (answers and events more than `late_days` after the end of their month, or before it), codes (values
    outside their scale), leakage (terms that foretell leaving too well) and immortal (schemes entered by staying).

    The answer begins with the light and names table and column, how many, and what to do. Rows: one per table,
    month, term or question; those that are not sound say so in `effect_label`. `estimand` is the rule that sets the
    light. What was refused when the study was opened (repeated keys of the period, ids that meet nobody) never gets here.
    Sources: Siddiqi (2006) for the limits of the index, Yurdakul & Naranjo (2020) for what chance alone gives.

    Example:
        >>> cx.inspect_data(study, "codes").answer
        'Sound: no value lies outside the scale of its term...'
        >>> drift = cx.inspect_data(study, "drift", drift_test="ks")
        >>> drift.one(outcome="panel", term="availability")["measure"]
        'ks'
    """
    if check not in CHECKS:
        raise UsageError(f"no check {check!r}{nearest(check, list(CHECKS))}")
    if drift_test not in column_checks.DRIFT:
        raise UsageError(f"no drift_test {drift_test!r}; it is one of {', '.join(column_checks.DRIFT)}")
    question, look = CHECKS[check]
    seen = look(study, Limits(max_missing, drift_test, late_days))
    name = f"inspect_data {check}"
    if not seen.rows:
        return sampling.nothing(study, name, question, seen.lacking)
    doubts = sorted(seen.doubts, key=lambda doubt: -doubt[0])
    light = LIGHTS[doubts[0][0]] if doubts else LIGHTS[0]
    told = "; ".join(text for _, text in doubts[:MOST_TOLD]) or seen.fine
    more = f"; the like {len(doubts) - MOST_TOLD} times more" if len(doubts) > MOST_TOLD else ""
    care = "What rests on this is to be read with care; the end of the chapter names the chapters."
    return sampling.finding(
        study,
        sorted(seen.rows, key=lambda r: -LIGHTS.index(r["effect_label"]) if r["effect_label"] in LIGHTS else 0),
        name=name,
        question=question,
        estimand=seen.rule,
        method=seen.method,
        sample=seen.sample,
        answer=f"{light.capitalize()}: {told}{more}. {seen.advice if doubts else ''}".strip(),
        title=f"{light.capitalize()}: {told.partition('; ')[0]}",
        caveats=[*seen.caveats, *([Caveat(f"data-{light}", care)] if doubts else [])],
    )
