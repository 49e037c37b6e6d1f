"""Weakest: whether the lowest of several terms, or how they meet in pairs, tells more than their sum."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import ibis
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import ranking, sampling, shares
from cxresearch.evidence.moments import moments
from cxresearch.evidence.sums import narrowed
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]
BESIDE = {"weakest": "the lowest of them", "pairs": "the products of all pairs"}


def weakest_link(study: Study, of: str, terms: tuple[str, ...]) -> Finding:
    """How much more of an outcome is explained when the lowest of the terms, or their products, stand beside their sum.

    Raises UsageError for terms of different scales: the lowest of minutes and points is nothing.
    """
    known = [study.term(x) for x in terms]
    if len({(t.low, t.high, t.unit, t.better) for t in known}) > 1 or known[0].low is None or known[0].high is None:
        raise UsageError(
            f"the lowest of {', '.join(terms)} has no meaning: take terms of one scale, such as the pillars"
        )
    table = narrowed(study, study.rows([of, *terms]), [of, *terms])
    notes, middle = sampling.Notes(study), (known[0].low + known[0].high) / 2
    lowest = (
        ibis.least(*(table[x] for x in terms)) if known[0].better >= 0 else ibis.greatest(*(table[x] for x in terms))
    )
    # centred on the middle of the scale, which changes no R² here and keeps products apart from their factors
    products = {f"{a} {b}": (table[a] - middle) * (table[b] - middle) for a, b in itertools.combinations(terms, 2)}
    spread = moments(study, table.mutate(lowest=lowest, **products), [of, *terms, "lowest", *products])
    notes.saw(spread, [of, *terms])
    k, n = len(terms), spread.n - np.append(0.0, spread.parts.sizes)
    every = ranking.stacked(spread)
    models = {
        "additive": range(1, k + 1),
        "weakest": range(1, k + 2),
        "pairs": [*range(1, k + 1), *range(k + 2, len(spread.columns))],
        "weakest_alone": [k + 1],
    }
    r2 = {name: corrected(shares.explained(every, 0, list(at)), n, len(at)) for name, at in models.items()}
    base: dict[str, Any] = {"outcome": of, "n": spread.n, "clusters": spread.clusters}
    made = [row(measure="r2", model="additive", **base, **ranking.interval(r2["additive"], spread.parts, "r2"))]
    made += [
        row(measure="r2_difference", model=name, **base, **ranking.interval(r2[name] - r2["additive"], spread.parts))
        for name in models
        if name != "additive"
    ]
    doubts = notes.caveats()
    if study.on_survey([of]) and study.on_survey(terms):
        text = "Terms and outcome come from one questionnaire: a mood that colours all answers adds up, and so favours the sum."
        doubts.append(Caveat("halo", text))
    finding = sampling.finding(
        study,
        made,
        name=f"rank_drivers {of} {'+'.join(terms)} by weakest_link",
        question=f"Does the weakest of {', '.join(t.label for t in known)} tell more of {study.term(of).label} than their sum?",
        estimand="difference in R² to least squares on the terms added up",
        design="associational",
        method=f"Least squares on the terms, and with {' or with '.join(BESIDE.values())} beside them; R² corrected for the number of terms. {notes.interval_method()}",
        sample=notes.text(),
        caveats=doubts,
    )
    return _worded(study, of, finding)


def corrected(r2: Array, n: Array, terms: int) -> Array:
    """R² corrected for the number of terms; NaN where there are no more rows than terms. Source: Ezekiel (1930)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n - 1 > terms, 1 - (1 - r2) * (n - 1) / (n - 1 - terms), np.nan)


def _worded(study: Study, of: str, finding: Finding) -> Finding:
    sums = finding.one(model="additive")
    if sums["estimate"] is None:
        why = f"too few rows have all columns, or {study.term(of).label} does not vary in them"
        return dataclasses.replace(finding, answer=f"Not estimable: {why}.")
    gains = {name: finding.one(model=name) for name in BESIDE}
    told = "; ".join(f"with {what} beside them {written(gains[name], n=False)} more" for name, what in BESIDE.items())
    alone = finding.one(model="weakest_alone")
    text = f"Added up, the terms explain R² = {written(sums)} of {study.term(of).label}; {told}. The lowest instead of all of them: {written(alone, n=False)}."
    title = f"Beyond their sum the weakest tells {number(gains['weakest']['estimate'], 3)} and pairs {number(gains['pairs']['estimate'], 3)} more of R²"
    return dataclasses.replace(finding, answer=text, title=title)
