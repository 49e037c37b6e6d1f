"""Leavers: how many of every 1,000 customers left, by month, by level of a term, and among answers and silent."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import ibis.expr.types as ir
import numpy as np

from cxresearch.data import periods
from cxresearch.data.matching import distinct
from cxresearch.data.study import Study
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.enrichment import per_1000, true_odds
from cxresearch.evidence.held import hold
from cxresearch.evidence.inference import Kept
from cxresearch.evidence.rows import Rows, rows, rows_among
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row

MOST_LEVELS = 40
BANDS = (("0 to 19", 0, 20), ("20 to 39", 20, 40), ("40 to 59", 40, 60), ("60 to 79", 60, 80), ("80 to 100", 80, 101))


def leavers_by_answer(study: Study) -> list[dict[str, Any]]:
    """Leavers per 1,000 customer-months among those who answered the survey and among the silent."""
    table = study.answering(["churned"])
    if table is None:
        return []
    found = rows(study, table, ["churned", "answered"])
    made, odds = [], true_odds(study)
    for model, flag in (("answered", 1.0), ("silent", 0.0)):
        inside = found.of("answered") == flag
        y = found.of("churned")[inside]
        if not len(y):
            continue
        share = float(y.mean())
        error, groups = inference.clustered_error(y - share, found.clusters[inside])
        rate = inference.share_interval(share, len(y), error, max(groups - 1, 1))
        made.append(
            row(
                outcome="churned",
                model=model,
                measure="per_1000",
                n=len(y),
                events=int(y.sum()),
                clusters=groups,
                **per_1000(rate, odds),
            )
        )
    return made


def leavers_by_level(study: Study, term: str) -> Finding:
    """Leavers per 1,000 customers at each level of a term: the plain rates behind any model.

    For categories and flags; scores from 0 to 100 are cut into five bands. Wilson intervals where every row is its own cluster, else
    clustered ones. Levels under min_cell are suppressed. In an enriched study rates are corrected to its `churn_rate`.

    Example:
        >>> plans = cx.leavers_by_level(study, "plan_type")
        >>> sorted(row["group"] for row in plans.rows())
        ['plan_type=postpaid', 'plan_type=prepaid']
    """
    question = f"How many leave at each level of {study.term(term).label}?"
    lacking = study.missing("churned", term)
    if lacking:
        return sampling.nothing(study, "leavers_by_level", question, lacking)
    table = study.rows(["churned", term])
    made, odds = [], true_odds(study)
    for name, found, people in _by_level(study, table, term):
        if found.n:
            made.append(_rate_row(found, found.of("churned"), f"{term}={name}", odds) | {"people": people})
    finding = sampling.finding(
        study,
        made,
        name=f"leavers_by_level {term}",
        question=question,
        estimand="leavers per 1,000 customers by level",
        method="Shares of leavers; 95 % intervals: Wilson where every row is one customer, else clustered.",
        # no total: a suppressed level could be worked out from it
        sample="Rows that have both; their number stands beside each level.",
        caveats=_few(study, made),
    )
    shown = [r for r in finding.rows() if r["estimate"] is not None]
    if not shown:
        return dataclasses.replace(
            finding, answer="Not estimable: no level has enough customers.", title="Not estimable"
        )
    order = sorted(shown, key=lambda r: r["estimate"])
    low, high = order[0], order[-1]
    name = study.term(term).label
    title = f"Leavers per 1,000 customers by {name}"

    def of(record: dict[str, Any]) -> str:
        return (
            f"{number(record['estimate'], 1)} per 1,000 at {name} {record['group'].split('=')[1]} (n = {record['n']:,})"
        )

    if len(shown) == 1:
        return dataclasses.replace(finding, answer=f"Only one level has enough customers: {of(low)} left.", title=title)
    # the least and the largest of several are chosen: only intervals that do not meet tell them apart, as Tukey's would
    if low["estimate"] == high["estimate"]:
        answer = f"As many left at every level of {name}: {of(low)}, {of(high)}."
    elif low["conf_high"] is not None and high["conf_low"] is not None and low["conf_high"] < high["conf_low"]:
        answer = f"Leavers differ by {name}: from {of(low)} to {of(high)}."
    else:
        answer = f"No difference of leavers by {name} is told: they run from {of(low)} to {of(high)}, with intervals that overlap."
    return dataclasses.replace(finding, answer=answer, title=title)


def _by_level(study: Study, table: ir.Table, term: str) -> Iterator[tuple[str, Rows, int | None]]:
    """The rows of each level of a term of which leaving is known, with the count of their customers where it matters."""
    index = study.term(term).high == 100
    if (held := hold(study, table, ["churned", term])) is not None:
        known = held.known(["churned"]) & held.there(term)
        if study.term(term).kind == "category":
            labels, codes = held.text(term)
            masks = [(name, codes == i) for name, i in sorted((labels[i], i) for i in np.unique(codes[known]))]
        else:
            column = held.number(term)
            masks = [(name, level(column)) for name, level in _levels(np.unique(column[known]).tolist(), index)]
        for name, mask in masks[: len(BANDS) if index else MOST_LEVELS]:
            found = rows_among(held, ["churned"], known & mask)
            few = found.n < study.min_cell * len(study.periods)
            yield name, found, distinct(held.text("customer_id")[1][known & mask]) if few else None
        return
    whole = table.filter(table.churned.notnull() & table[term].notnull())
    values = [] if index else whole.select(term).distinct().to_pyarrow()[term].to_pylist()
    for name, level in _levels(values, index):
        part = whole.filter(level(whole[term]))
        found = rows(study, part, ["churned"])
        yield name, found, sampling.people(study, part, found.n)


def _levels(values: list[Any], index: bool) -> list[tuple[str, Callable[[Any], Any]]]:
    """Names of the levels among the values of a term, and what tells them; of an index, five bands."""
    if index:
        return [(name, partial(_within, low, high)) for name, low, high in BANDS]
    return [
        (f"{level:g}" if isinstance(level, float) else str(level), partial(operator.eq, level))
        for level in sorted(values)[:MOST_LEVELS]
    ]


def _within(low: float, high: float, column: Any) -> Any:
    return (column >= low) & (column < high)


def churn_rate(study: Study) -> Finding:
    """How many customers left of every 1,000, in the last period for which that is known and in those before.

    Rows: per_1000 for all (the last known month; of a quarter the three from which its leavers left) and for each
    month of the window. Errors are clustered. In
    an enriched study rates are corrected to its `churn_rate` (prior correction: King & Zeng 2001).

    Example:
        >>> cx.churn_rate(study).answer
        'Of every 1,000 customers of ... had left by the next period.'
    """
    question = "How many customers leave a month?"
    lacking = study.missing("churned")
    if lacking:
        return sampling.nothing(study, "churn_rate", question, lacking)
    made, odds = [], true_odds(study)
    held = hold(study, study.rows(["churned"]), ["churned"])
    for period in study.periods:
        if held is not None:
            names, codes = held.period
            found = rows_among(held, ["churned"], codes == (names.index(period) if period in names else -1))
        else:
            found = rows(study, study.rows(["churned"], only=(period,)), ["churned"])
        if found.n:
            made.append(_rate_row(found, found.of("churned"), f"period={period}", odds))
    if made:
        made.insert(0, _of_report(study, made[-1], odds))
    finding = sampling.finding(
        study,
        made,
        name="churn_rate",
        question=question,
        estimand="leavers by the next period per 1,000 customers",
        method="Shares of customers who are gone in the next period; 95 % intervals clustered, or Wilson where every row is one customer.",
        sample=f"{sampling.told(study, sum(r['n'] for r in made[1:]))} customer-months with a known next period.",
        caveats=_few(study, made[:1]),
    )
    last = finding.rows(group="all")
    if not last or last[0]["estimate"] is None:
        why = sampling.why_not(finding, "whether customers left is known of no row")
        return dataclasses.replace(finding, answer=f"Not estimable: {why}.")
    who, by = last[0]["term"], "period"
    if len(study.months) > 1:
        who, by = f"a month from {who}", "month"
    text = f"Of every 1,000 customers of {who}, {written(last[0])} had left by the next {by}."
    return dataclasses.replace(
        finding,
        answer=text,
        title=f"{number(last[0]['estimate'], 1)} of 1,000 customers of {who} left by the next {by}",
    )


def _of_report(study: Study, last: dict[str, Any], odds: float | None) -> dict[str, Any]:
    """The rate of the report: of its last known month; of a quarter that of all who could leave in its months."""
    known = periods.span(last["group"].removeprefix("period="), len(study.months))
    if len(known) == 1:
        return last | {"group": "all", "term": known[0]}
    found = rows(study, study.rows(["churned"], only=known), ["churned"])
    return _rate_row(found, found.of("churned"), "all", odds) | {"term": periods.in_words(known)}


def _rate_row(found: Rows, y: np.ndarray, group: str, odds: float | None) -> dict[str, Any]:
    share, n = float(y.mean()), len(y)
    error, groups = (None, n) if found.independent else inference.clustered_error(y - share, found.clusters)
    left = found.members.blocks
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing is left without the only cluster
        without = (y.sum() - found.members.sums(y)) / (n - left.sizes)
    if len(left.ways) > 1:
        error, groups = left.error(without), left.fewest
    rate = inference.share_interval(share, n, error, None if found.independent else max(groups - 1, 1))
    kept = Kept(1000 * share, left, 1000 * without) if odds in (None, 1.0) and np.isfinite(without).all() else None
    return row(
        outcome="churned",
        group=group,
        measure="per_1000",
        n=n,
        events=int(y.sum()),
        clusters=found.cluster_count,
        **per_1000(rate, odds) | {"kept": kept},
    )


def _few(study: Study, made: Sequence[dict[str, Any]]) -> list[Caveat]:
    """A doubt where one of the rates shown rests on few clusters."""
    shown = [r for r in made if min(r["n"], r.get("people") or r["n"]) >= study.min_cell]
    clusters = [r["clusters"] for r in shown if r["clusters"] < r["n"]]
    fewest = min(clusters, default=sampling.FEW_CLUSTERS)
    return [sampling.few_clusters(study, fewest)] if fewest < sampling.FEW_CLUSTERS else []
