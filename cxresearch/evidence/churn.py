"""Churn: how the share of leavers differs with what customers met and said."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import ibis.expr.types as ir
import numpy as np

from cxresearch.data.study import Study
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.logistic import average_difference, fit_logit
from cxresearch.evidence.rows import Rows, rows
from cxresearch.finding import Caveat, Finding, number, row, written

FEW_EVENTS = 20
LEVELS_SHOWN = 11
MOST_LEVELS = 40
BANDS = (("0 to 19", 0, 20), ("20 to 39", 20, 40), ("40 to 59", 40, 60), ("60 to 79", 60, 80), ("80 to 100", 80, 101))


def explain_churn(study: Study, among: str | Sequence[str], *, given: Sequence[str] | None = None) -> Finding:
    """How the share of customers who leave by the next period differs with each of several terms.

    `among` are terms or a role, each asked by itself; `given` is held fixed in the adjusted rows (default: usage,
    price and tenure). Discrete-time hazard: a logistic regression of leaving between t and t + 1 on what was known
    at t. Rows: per_1000, the average marginal effect in leavers per 1,000 customers for a step of the term (a flag:
    yes against no), and odds_ratio, both crude and adjusted; with a term of the survey, leavers per 1,000 among those
    who answered and among the silent stand beside it. Errors are clustered on the coarsest declared level, t with
    G - 1 degrees of freedom. Separation and too few leavers are *not estimable*.
    Sources: Singer & Willett (1993); Allison (1982); Liang & Zeger (1986).
    """
    terms = (among,) if isinstance(among, str) else tuple(among)
    labels = [study.term(x).label for x in terms]
    question = f"How does the share of leavers differ with {', '.join(labels) or 'what customers met'}?"
    lacking = (*study.missing("churned", *terms), *sampling.empty_roles(among))
    if lacking or not terms:
        return sampling.nothing(study, "explain_churn", question, lacking)
    table: list[dict[str, Any]] = []
    caveats: list[Caveat] = []
    seen: list[Rows] = []
    for term in terms:
        held = tuple(c for c in (study.controls if given is None else given) if c != term and study.has(c))
        for model, controls in (("crude", ()), ("adjusted", held)):
            if model == "crude" or controls:
                made, doubts, found = _term_rows(study, term, controls, model)
                table += made
                caveats += doubts
                seen.append(found)
    if study.knows_silent and any(study.on_survey([term]) for term in terms):
        table += leavers_by_answer(study)
        caveats.append(Caveat("silent-leavers", "A term of the survey is known only of those who answered; leavers answer less. The rates of both groups stand beside it."))
    finding = _finding(study, question, terms, table, caveats, seen, given)
    answer, title = _answer(study, terms, finding)
    return dataclasses.replace(finding, answer=answer, title=title)


def _term_rows(study: Study, term: str, held: Sequence[str], model: str) -> tuple[list[dict[str, Any]], list[Caveat], Rows]:
    definition = study.term(term)
    columns = ["churned", term, *held]
    found = rows(study, study.rows(columns), columns)
    y, x = found.of("churned"), found.values[:, 1:]
    events = int(y.sum())
    base: dict[str, Any] = {"outcome": "churned", "term": term, "model": model, "n": found.n, "events": events, "clusters": found.cluster_count, "unit": definition.step_label}
    reason = _not_estimable(y, x, events)
    if reason is not None:
        doubts = [Caveat(*reason)]
        return [row(measure=m, effect_label=reason[1], **base) for m in ("per_1000", "odds_ratio")], doubts, found
    fit = fit_logit(y, x)
    if not fit.converged:
        told = _separation(study, term, y, x[:, 0])
        return [row(measure=m, effect_label=told, **base) for m in ("per_1000", "odds_ratio")], [Caveat("separated", told)], found
    step = definition.step
    estimate, influence = average_difference(fit, 0, step, definition.kind == "flag")
    error, groups = inference.clustered_error(influence, found.clusters)
    per_1000 = inference.wald(1000 * estimate, 1000 * error, groups - 1)
    slope, slope_error = step * fit.coefficients[1], step * inference.clustered_error(fit.influence[:, 1], found.clusters)[0]
    log_odds = inference.wald(slope, slope_error, groups - 1)
    made = [row(measure="per_1000", **base, **per_1000.numbers()), row(measure="odds_ratio", **base, **_odds(log_odds).numbers())]
    doubts = [sampling.few_clusters(study, groups)] if groups < sampling.FEW_CLUSTERS else []
    return made, doubts, found


def _odds(log_odds: Interval) -> Interval:
    """An odds ratio from the interval of its logarithm; the standard error by the delta method."""
    if log_odds.estimate is None:
        return log_odds
    ratio = math.exp(log_odds.estimate)
    ends = [math.exp(end) if end is not None else None for end in (log_odds.conf_low, log_odds.conf_high)]
    error = ratio * log_odds.std_error if log_odds.std_error is not None else None
    return Interval(ratio, error, log_odds.df, ends[0], ends[1], log_odds.p_value)


def _not_estimable(y: np.ndarray, x: np.ndarray, events: int) -> tuple[str, str] | None:
    """Why a model cannot be fitted, if it cannot."""
    if min(events, len(y) - events) < FEW_EVENTS:
        return "few-events", f"only {min(events, len(y) - events)} of {len(y):,} rows {'stayed' if events > len(y) / 2 else 'left'}; at least {FEW_EVENTS} are needed"
    if float(x[:, 0].std()) == 0:
        return "no-variation", "the term is the same in all rows"
    return None


def _separation(study: Study, term: str, y: np.ndarray, x: np.ndarray) -> str:
    """What separates leavers from stayers, in numbers; groups under min_cell are not told."""
    label, unit = study.term(term).label, study.term(term).unit
    told = []
    for share, word in ((1.0, "all"), (0.0, "none")):
        levels = [v for v in np.unique(x) if (y[x == v] == share).all()] if len(np.unique(x)) <= LEVELS_SHOWN else []
        count = int(np.isin(x, levels).sum())
        if levels and count >= study.min_cell:
            span = f"{levels[0]:g}" if len(levels) == 1 else f"{levels[0]:g} to {levels[-1]:g}"
            told.append(f"{word} of {count:,} with {label} {span} {unit} left".replace("  ", " "))
    return f"leaving is separated: {'; '.join(told) or 'a combination of terms foretells it without error'}. A slope does not exist"


def leavers_by_answer(study: Study) -> list[dict[str, Any]]:
    """Leavers per 1,000 customer-months among those who answered the survey and among the silent."""
    table = study.answering(["churned"])
    if table is None:
        return []
    found = rows(study, table, ["churned", "answered"])
    made = []
    for model, flag in (("answered", 1.0), ("silent", 0.0)):
        inside = found.of("answered") == flag
        y = found.of("churned")[inside]
        if not len(y):
            continue
        share = float(y.mean())
        error, groups = inference.clustered_error(y - share, np.unique(found.clusters[inside], return_inverse=True)[1])
        rate = inference.share_interval(share, len(y), error, max(groups - 1, 1))
        made.append(row(outcome="churned", model=model, measure="per_1000", n=len(y), events=int(y.sum()), clusters=groups, **_per_1000(rate)))
    return made


def leavers_by_level(study: Study, term: str) -> Finding:
    """Leavers per 1,000 customers at each level of a term: the plain rates behind any model.

    For categories and flags; scores from 0 to 100 are cut into five bands. Wilson intervals where every row is its own cluster, else
    clustered ones. Levels under min_cell are suppressed.
    """
    question = f"How many leave at each level of {study.term(term).label}?"
    lacking = study.missing("churned", term)
    if lacking:
        return sampling.nothing(study, "leavers_by_level", question, lacking)
    table = study.rows(["churned", term])
    known = table.filter(table.churned.notnull() & table[term].notnull())
    made = []
    for name, level in _levels(known, term, study.term(term).high == 100):
        found = rows(study, known.filter(level), ["churned"])
        if found.n:
            made.append(_rate_row(found, found.of("churned"), f"{term}={name}"))
    finding = sampling.finding(
        study,
        made,
        name=f"leavers_by_level {term}",
        question=question,
        estimand="leavers per 1,000 customers by level",
        method="Shares of leavers; 95 % intervals: Wilson where every row is one customer, else clustered.",
        sample=f"{sum(r['n'] for r in made):,} rows with both.",
    )
    shown = [r for r in finding.rows() if r["estimate"] is not None]
    if not shown:
        return dataclasses.replace(finding, answer="Not estimable: no level has enough customers.", title="Not estimable")
    low, high = min(shown, key=lambda r: r["estimate"]), max(shown, key=lambda r: r["estimate"])
    name = study.term(term).label

    def of(record: dict[str, Any]) -> str:
        return f"{number(record['estimate'], 1)} per 1,000 at {name} {record['group'].split('=')[1]} (n = {record['n']:,})"

    answer = f"Leavers differ by {name}: from {of(low)} to {of(high)}."
    return dataclasses.replace(finding, answer=answer, title=f"Leavers per 1,000 customers by {name}")


def _levels(table: ir.Table, term: str, index: bool) -> list[tuple[str, ir.Value]]:
    """Names and conditions of the levels of a term; of an index, five bands."""
    column = table[term]
    if index:
        return [(name, (column >= low) & (column < high)) for name, low, high in BANDS]
    levels = sorted(table.select(term).distinct().to_pyarrow()[term].to_pylist())
    return [(f"{level:g}" if isinstance(level, float) else str(level), column == level) for level in levels[:MOST_LEVELS]]


def churn_rate(study: Study) -> Finding:
    """How many customers left of every 1,000, in the last period for which that is known and in those before.

    Rows: per_1000 for all (the last known period) and for each period of the window. Errors are clustered.
    """
    question = "How many customers leave a month?"
    lacking = study.missing("churned")
    if lacking:
        return sampling.nothing(study, "churn_rate", question, lacking)
    made = []
    for period in study.periods:
        table = study.rows(["churned"], only=(period,))
        found = rows(study, table, ["churned"])
        if found.n:
            made.append(_rate_row(found, found.of("churned"), f"period={period}"))
    if made:
        made.insert(0, made[-1] | {"group": "all", "term": made[-1]["group"].removeprefix("period=")})
    finding = sampling.finding(
        study,
        made,
        name="churn_rate",
        question=question,
        estimand="leavers by the next period per 1,000 customers",
        method="Shares of customers who are gone in the next period; 95 % intervals clustered, or Wilson where every row is one customer.",
        sample=f"{sum(r['n'] for r in made[1:]):,} customer-months with a known next period.",
        answer="Not estimable: whether customers left is known of no row.",
    )
    last = finding.rows(group="all")
    if not last or last[0]["estimate"] is None:
        return finding
    text = f"Of every 1,000 customers of {last[0]['term']}, {written(last[0])} had left by the next period."
    return dataclasses.replace(finding, answer=text, title=f"{number(last[0]['estimate'], 1)} of 1,000 customers of {last[0]['term']} left by the next period")


def _rate_row(found: Rows, y: np.ndarray, group: str) -> dict[str, Any]:
    share, n = float(y.mean()), len(y)
    error, groups = (None, n) if found.independent else inference.clustered_error(y - share, found.clusters)
    rate = inference.share_interval(share, n, error, None if found.independent else max(groups - 1, 1))
    return row(outcome="churned", group=group, measure="per_1000", n=n, events=int(y.sum()), clusters=found.cluster_count, **_per_1000(rate))


def _per_1000(share: Interval) -> dict[str, float | None]:
    """A share as columns of leavers per 1,000."""
    numbers = share.numbers()
    return {k: 1000 * v if v is not None and k in ("estimate", "std_error", "conf_low", "conf_high") else v for k, v in numbers.items()}


def _finding(study: Study, question: str, terms: Sequence[str], table: list[dict[str, Any]], caveats: list[Caveat], seen: list[Rows], given: Sequence[str] | None) -> Finding:
    controls = [study.term(c).label for c in (study.controls if given is None else given) if study.has(c)]
    adjusted = any(r["model"] == "adjusted" and r["estimate"] is not None for r in table)
    widest = max(seen, key=lambda r: r.n)
    what = "answered surveys" if study.on_survey(["churned", *terms]) else "customer-months"
    cluster = sampling.cluster_name(study)
    return sampling.finding(
        study,
        table,
        name=f"explain_churn {'+'.join(terms)}" + ("" if given is None else f" given {'+'.join(given)}"),
        question=question,
        estimand="average difference in leavers by the next period, per 1,000 customers",
        design="adjusted" if adjusted else "associational",
        method=(
            f"Discrete-time hazard (logistic), average marginal effects; held fixed: {', '.join(controls) or 'nothing'}. "
            f"95 % intervals clustered on {widest.cluster_count:,} {cluster}s, t."
        ),
        sample=f"{widest.n:,} of {widest.asked:,} {what} have all columns and a known next period." + (" A sample of customers was used." if widest.sampled else ""),
        caveats=caveats,
    )


def _answer(study: Study, terms: Sequence[str], finding: Finding) -> tuple[str, str]:
    told, titles = [], []
    for term in terms:
        label, more = study.term(term).label, study.term(term).more
        records = {r["model"]: r for r in finding.rows(term=term, measure="per_1000")}
        best = records.get("adjusted", records["crude"])
        if best["estimate"] is None:
            told.append(f"For {label} no slope is estimable: {best['effect_label']}")
            titles.append(f"{_cap(label)}: no slope is estimable")
            continue
        held = "at the same usage, price and tenure" if best["model"] == "adjusted" else "crude"
        told.append(f"{_direction(best)} leavers with {more}, {held}: {written(best)} per 1,000 customers; crude {number(records['crude']['estimate'], 1)}")
        titles.append(f"{_direction(best)} leavers with {more}")
    return ". ".join(told) + ".", titles[0] if len(titles) == 1 else "Leavers differ with what customers met and said"


def _direction(record: dict[str, Any]) -> str:
    if record["conf_low"] is None or record["conf_low"] <= 0 <= record["conf_high"]:
        return "No difference told from zero in"
    return "More" if record["estimate"] > 0 else "Fewer"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
