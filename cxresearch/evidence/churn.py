"""Churn: how the share of leavers differs with what customers met and said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from cxresearch.data.study import Study
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.leavers import leavers_by_answer
from cxresearch.evidence.logistic import average_difference, average_without, fit_logit, leave_one_out, varies
from cxresearch.evidence.rows import Rows, rows
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import TOO_FEW, row

FEW_EVENTS = 20
EVENTS_A_TERM = 10  # with fewer leavers for each term of a model its interval is too narrow: Peduzzi et al. (1996)
LEVELS_SHOWN = 11


def explain_churn(study: Study, among: str | Sequence[str], *, given: Sequence[str] | None = None) -> Finding:
    """How the share of customers who leave by the next period differs with each of several terms.

    `among` are terms or a role, each asked by itself; `given` is held fixed in the adjusted rows (default: usage,
    price and tenure). Discrete-time hazard: a logistic regression of leaving between t and t + 1 on what was known
    at t. Rows: per_1000, the average marginal effect in leavers per 1,000 customers for a step of the term (a flag:
    yes against no), and odds_ratio, both crude and adjusted; with a term of the survey, leavers per 1,000 among those
    who answered and among the silent stand beside it. Errors are clustered on the coarsest declared level, t with
    G - 1 degrees of freedom. Separation and too few leavers are *not estimable*.
    Sources: Singer & Willett (1993); Allison (1982); Cameron & Miller (2015).
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
        caveats.append(
            Caveat(
                "silent-leavers",
                "A term of the survey is known only of those who answered; leavers answer less. The rates of both groups stand beside it.",
            )
        )
    finding = _finding(study, question, terms, table, caveats, seen, given)
    answer, title = _answer(study, terms, finding, given)
    return dataclasses.replace(finding, answer=answer, title=title)


def _term_rows(
    study: Study, term: str, held: Sequence[str], model: str
) -> tuple[list[dict[str, Any]], list[Caveat], Rows]:
    definition = study.term(term)
    columns = ["churned", term, *held]
    found = rows(study, study.rows(columns), columns)
    y, x = found.of("churned"), found.values[:, 1:]
    events = int(y.sum())
    base: dict[str, Any] = {
        "outcome": "churned",
        "term": term,
        "model": model,
        "n": found.n,
        "events": events,
        "clusters": found.cluster_count,
        "unit": definition.step_label,
    }
    reason = _not_estimable(study, y, x, events)
    if reason is not None:
        doubts = [Caveat(*reason)]
        return [row(measure=m, effect_label=reason[1], **base) for m in ("per_1000", "odds_ratio")], doubts, found
    fit = fit_logit(y, x)
    if not fit.converged:
        told = _separation(study, term, y, x[:, 0])
        return (
            [row(measure=m, effect_label=told, **base) for m in ("per_1000", "odds_ratio")],
            [Caveat("separated", told)],
            found,
        )
    step = definition.step
    estimate, each, gradient = average_difference(fit, 0, step, definition.kind == "flag")
    without = leave_one_out(fit, y, found.blocks)
    effects = average_without(each, gradient, without - fit.coefficients, found.blocks)
    per_1000 = inference.jackknife(1000 * estimate, 1000 * effects)
    log_odds = inference.jackknife(step * fit.coefficients[1], step * without[:, 1])
    doubts = [sampling.few_clusters(study, found.cluster_count)] if found.cluster_count < sampling.FEW_CLUSTERS else []
    if events < EVENTS_A_TERM * x.shape[1]:
        base["effect_label"] = f"{TOO_FEW} leavers to judge by: {events} for a model of {x.shape[1]} terms"
        doubts.append(
            Caveat(
                "few-events",
                f"Only {events} leavers for a model of {x.shape[1]} terms: the interval may be too narrow.",
            )
        )
    made = [
        row(measure="per_1000", **base, **per_1000.numbers()),
        row(measure="odds_ratio", **base, **_odds(log_odds).numbers()),
    ]
    return made, doubts, found


def _odds(log_odds: Interval) -> Interval:
    """An odds ratio from the interval of its logarithm; the standard error by the delta method."""
    if log_odds.estimate is None:
        return log_odds
    with np.errstate(over="ignore"):  # an end too far out to be written is null in the table
        ratio = float(np.exp(log_odds.estimate))
        ends = [float(np.exp(end)) if end is not None else None for end in (log_odds.conf_low, log_odds.conf_high)]
    error = ratio * log_odds.std_error if log_odds.std_error is not None else None
    return Interval(ratio, error, log_odds.df, ends[0], ends[1], log_odds.p_value)


def _not_estimable(study: Study, y: np.ndarray, x: np.ndarray, events: int) -> tuple[str, str] | None:
    """Why a model cannot be fitted, if it cannot."""
    if len(y) < study.min_cell:
        return (
            "few-events",
            f"{sampling.told(study, len(y))} rows have all columns; at least {FEW_EVENTS} leavers are needed",
        )
    if min(events, len(y) - events) < FEW_EVENTS:
        return (
            "few-events",
            f"only {min(events, len(y) - events)} of {len(y):,} rows {'stayed' if events > len(y) / 2 else 'left'}; at least {FEW_EVENTS} are needed",
        )
    if not varies(x)[0]:
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


def _finding(
    study: Study,
    question: str,
    terms: Sequence[str],
    table: list[dict[str, Any]],
    caveats: list[Caveat],
    seen: list[Rows],
    given: Sequence[str] | None,
) -> Finding:
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
            f"95 % intervals: jackknife over {sampling.told(study, widest.cluster_count)} {cluster}s, t."
        ),
        sample=f"{sampling.told(study, widest.n)} of {sampling.told(study, widest.asked)} {what} have all columns and a known next period."
        + (" A sample of customers was used." if widest.sampled else ""),
        caveats=caveats,
    )


def _answer(study: Study, terms: Sequence[str], finding: Finding, given: Sequence[str] | None) -> tuple[str, str]:
    told, titles = [], []
    for term in terms:
        label, more = study.term(term).label, study.term(term).more
        records = {r["model"]: r for r in finding.rows(term=term, measure="per_1000")}
        best = records.get("adjusted", records["crude"])
        if best["estimate"] is None:
            told.append(f"For {label} no slope is estimable: {best['effect_label']}")
            titles.append(f"{_cap(label)}: no slope is estimable")
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


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
