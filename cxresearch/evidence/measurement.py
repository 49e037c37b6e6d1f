"""Measurement: how reliably the answers behind a score measure one thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from scipy import stats

from cxresearch.data.study import Study
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.association import alpha
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.moments import moments
from cxresearch.finding import Finding
from cxresearch.measures import number
from cxresearch.table import row

LOW = 0.7  # below it a score is usually held too unreliable to compare groups by


def reliability(study: Study, of: str | Sequence[str] | None = None) -> Finding:
    """How reliably each score of several answers measures one thing: Cronbach's alpha.

    `of` are scores that are means of answers (default: all that the study has). Rows: measure alpha of each, over the
    window. Interval: Feldt's where every row is one customer, else jackknife over blocks of clusters.
    Sources: Cronbach (1951); Feldt (1965), as R's psych. Alpha is a lower bound where the answers weigh differently.
    """
    asked = (
        (of,)
        if isinstance(of, str)
        else tuple(of)
        if of is not None
        else tuple(t for t in study.terms if study.items(t))
    )
    scores = [name for name in asked if len(study.items(name)) > 1]
    question = "How reliably do the answers behind each score measure one thing?"
    if not scores:
        return sampling.nothing(
            study, "reliability", question, study.missing(*asked) or ["score that is the mean of several answers"]
        )
    notes = sampling.Notes(study)
    made = []
    for name in scores:
        items = study.items(name)
        spread = moments(study, study.rows(items), items)
        notes.saw(spread, items)
        own = spread.scale[:, None] * spread.scale[None, :]
        positions = range(len(items))
        estimate = float(alpha(spread.full * own, list(positions))) if spread.n > 1 else float("nan")
        if spread.independent:
            interval = feldt_interval(estimate, spread.n, len(items))
        else:
            interval = inference.jackknife(estimate, alpha(spread.left_out * own, list(positions)))
        made.append(
            row(
                outcome=name,
                measure="alpha",
                n=spread.n,
                clusters=spread.clusters,
                unit=f"{len(items)} answers",
                **interval.numbers(),
            )
        )
    finding = sampling.finding(
        study,
        made,
        name="reliability",
        question=question,
        estimand="Cronbach's alpha of the answers behind a score",
        method=f"Cronbach's alpha. {'95 % intervals: Feldt.' if all(s.independent for s in notes.spreads) else notes.interval_method()}",
        sample=notes.text(),
    )
    told = [r for r in finding.rows() if r["estimate"] is not None]
    if not told:
        why = sampling.why_not(finding, "the answers do not vary")
        return dataclasses.replace(finding, answer=f"Not estimable: {why}.", title="Not estimable")
    listed = ", ".join(f"{study.term(r['outcome']).label} {number(r['estimate'], 2)}" for r in told)
    text = f"Alpha: {listed}."
    low = [study.term(r["outcome"]).label for r in told if r["estimate"] < LOW]
    if low:
        text += f" Below {LOW} a score is too unreliable to compare groups by: {', '.join(low)}."
    return dataclasses.replace(finding, answer=text, title="How reliably each score is measured")


def feldt_interval(estimate: float, n: int, k: int, level: float = inference.LEVEL) -> Interval:
    """Feldt's interval of alpha of k answers by n people: exact for parallel normal answers.

    Source: Feldt (1965): (1 - alpha) times F quantiles with n - 1 and (n - 1)(k - 1) degrees of freedom.
    """
    ends = stats.f.ppf([0.5 + level / 2, 0.5 - level / 2], n - 1, (n - 1) * (k - 1))
    low, high = (float(1 - (1 - estimate) * q) for q in ends)
    return Interval(estimate, None, None, low, high, None)
