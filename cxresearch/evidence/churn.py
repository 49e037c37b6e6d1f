"""Churn: how the share of leavers differs with what customers met and said."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from cxresearch.data.study import Study
from cxresearch.data.terms import Term
from cxresearch.errors import UsageError
from cxresearch.evidence import churn_words, inference, pitfalls, sampling
from cxresearch.evidence.design_matrix import DesignMatrix, repeated, varies
from cxresearch.evidence.enrichment import UNKNOWN_RATE, true_odds
from cxresearch.evidence.forecast import leakage, refuse_afterwards
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.leavers import leavers_by_answer
from cxresearch.evidence.logistic import average_difference, average_without, fit_logit, leave_one_out
from cxresearch.evidence.passes import Passed, fit_in_passes
from cxresearch.evidence.pool import Pool, pooled
from cxresearch.evidence.rows import CAP, Rows, rows
from cxresearch.finding import Caveat, Finding
from cxresearch.table import TOO_FEW, row

FEW_EVENTS = 20
EVENTS_A_TERM = 10  # with fewer leavers for each term of a model its interval is too narrow: Peduzzi et al. (1996)
LEVELS_SHOWN = 11
METHODS = ("logit", "cloglog", "penalised")
NUMBERS = ("estimate", "std_error", "df", "conf_low", "conf_high", "p_value")
REPEATED = "the term does not vary beside those that are held fixed: hold fewer of them fixed"
ENRICHED_HAZARD = (
    "hazards of panel.churned in an enriched table are not the operator's; method='logit' gives odds ratios that are"
)
RATIO = {"logit": "odds_ratio", "cloglog": "hazard_ratio", "penalised": "odds_ratio"}


def explain_churn(
    study: Study,
    among: str | Sequence[str],
    *,
    given: Sequence[str] | None = None,
    method: Literal["logit", "cloglog", "penalised"] = "logit",
) -> Finding:
    """How the share of customers who leave by the next period differs with each of several terms.

    `among` are terms or a role, each asked by itself; `given` is held fixed in the adjusted rows (default: usage,
    price and tenure). Of several terms those that the study lacks are rows that say so. Discrete-time hazard: a logistic regression of leaving between t and t + 1 on what was known
    at t. Rows: per_1000, the average marginal effect in leavers per 1,000 customers for a step of the term (a flag:
    yes against no), and odds_ratio, both crude and adjusted; with a term of the survey, leavers per 1,000 among those
    who answered and among the silent stand beside it. Errors are clustered on the coarsest declared level, t with
    G - 1 degrees of freedom. Separation and too few leavers are *not estimable*.
    `method` cloglog gives hazard_ratio in place of odds_ratio; penalised adds, where leaving is separated or leavers
    are few, an odds_ratio of model `penalised` by Firth's likelihood: no verdict rests on it, and it has a (profile)
    interval only where every row is one customer. In an enriched study per_1000 is corrected to its `churn_rate`. Raises
    UsageError for terms that are known only after a customer left, and for categories.
    Sources: Singer & Willett (1993); Allison (1982); Cameron & Miller (2015); Firth (1993); King & Zeng (2001).

    Example:
        >>> plans = cx.explain_churn(study, "prepaid", given=["list_price", "tenure_m"])
        >>> [row["model"] for row in plans.rows(measure="per_1000")]
        ['crude', 'adjusted']
        >>> plans.answer
        'More leavers with prepaid plan against none, ...'
    """
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; it is one of {', '.join(METHODS)}")
    terms = (among,) if isinstance(among, str) else tuple(among)
    labels = [study.term(x).label for x in terms]
    refuse_afterwards(study, [*terms, *(given or ())])
    question = f"How does the share of leavers differ with {', '.join(labels) or 'what customers met'}?"
    had, without, caveats = sampling.absent(study, terms, "per_1000")
    lacking = (*study.missing("churned", *(() if had else terms)), *sampling.empty_roles(among))
    if lacking or not terms:
        return sampling.nothing(study, "explain_churn", question, lacking)
    table: list[dict[str, Any]] = []
    seen: list[Rows | Passed] = []
    pool = None if _in_passes(study, method) else pooled(study, had, study.controls if given is None else given)
    for term in had:
        held = tuple(c for c in (study.controls if given is None else given) if c != term and study.has(c))
        for model, controls in (("crude", ()), ("adjusted", held)):
            if model == "crude" or controls:
                made, doubts, found = _term_rows(study, term, controls, model, method, pool)
                table += made
                caveats += doubts
                seen.append(found)
        if held:
            caveats += pitfalls.confounded(study, term, table[-4], table[-2])
        # where the plain fit stands there is nothing to cure
        if method == "penalised" and (table[-1]["estimate"] is None or table[-1]["effect_label"]):
            table.append(_penalised_row(study, term, held))
    table += without
    if study.knows_silent and any(study.on_survey([term]) for term in had):
        table += leavers_by_answer(study)
        caveats.append(
            Caveat(
                "silent-leavers",
                "A term of the survey is known only of those who answered; leavers answer less. The rates of both groups stand beside it.",
            )
        )
    caveats += pitfalls.of_terms(study, had, given or (), leaving=True)
    finding = _finding(study, question, terms, table, caveats, seen, given)
    answer, title = churn_words.answer(study, terms, finding, given)
    return dataclasses.replace(finding, answer=answer, title=title)


def _in_passes(study: Study, method: str) -> bool:
    """Whether the table is so large that it is fitted where it lies."""
    return study.most_rows > CAP and method == "logit" and not study.enriched


def _term_rows(
    study: Study, term: str, held: Sequence[str], model: str, method: str, pool: Pool | None
) -> tuple[list[dict[str, Any]], list[Caveat], Rows | Passed]:
    definition = study.term(term)
    columns = list(dict.fromkeys(["churned", term, *held]))
    if _in_passes(study, method):
        return _large_rows(study, definition, columns, model)
    found = pool.rows if pool is not None else rows(study, study.rows(columns), columns)
    y, own = found.of("churned"), found.of(term) if pool is None else pool.own(term)
    events, ratio = int(y.sum()), RATIO[method]
    base: dict[str, Any] = {
        "outcome": "churned",
        "term": term,
        "model": model,
        "n": found.n,
        "events": events,
        "clusters": found.cluster_count,
        "unit": definition.step_label,
    }
    reason = _not_estimable(study, y, own, events)
    if reason is not None:
        doubts = [Caveat(*reason)]
        return [row(measure=m, effect_label=reason[1], **base) for m in ("per_1000", ratio)], doubts, found
    design = pool.only(columns[1:]) if pool is not None else DesignMatrix.of(found.values[:, 1:])
    fit = fit_logit(y, design, link="cloglog" if method == "cloglog" else "logit")
    doubts = leakage({definition.label: own}, y) if model == "crude" else []
    if repeated(design.products if pool is None else pool.products(columns[1:]))[1]:
        made = [row(measure=m, effect_label=REPEATED, **base) for m in ("per_1000", ratio)]
        return made, [*doubts, Caveat("no-variation", f"{definition.label}: {REPEATED}")], found
    if not fit.converged:
        told = _separation(study, term, y, own)
        return (
            [row(measure=m, effect_label=told, **base) for m in ("per_1000", ratio)],
            [*doubts, Caveat("separated", f"{told}; method='penalised' gives a finite odds ratio to look at")],
            found,
        )
    step = definition.step
    odds = true_odds(study)
    # each leaver stands for fewer customers where they are over-sampled
    weights = np.where(y == 1, odds, 1.0) if odds not in (None, 1.0) else None
    estimate, each, gradient = average_difference(
        fit, 0, step, definition.kind == "flag", shift=float(np.log(odds or 1.0)), weights=weights
    )
    left, each_without = found.members, []
    for part in left.of_row:
        without = leave_one_out(fit, part)
        moved = average_without(each, gradient, without - fit.coefficients, part, weights)
        each_without.append(np.column_stack([1000 * moved, step * without[:, 1]]))
    effects, slopes = np.concatenate(each_without).T
    per_1000 = inference.jackknife(1000 * estimate, effects, blocks=left.blocks)
    log_odds = inference.jackknife(step * fit.coefficients[1], slopes, blocks=left.blocks)
    doubts += sampling.few_parts(study, left.blocks, found.cluster_count)
    count = len(design.scale)
    if events < EVENTS_A_TERM * count:
        base["effect_label"] = f"{TOO_FEW} leavers to judge by: {events} for a model of {count} terms"
        doubts.append(
            Caveat(
                "few-events",
                f"Only {events} leavers for a model of {count} terms: the interval may be too narrow.",
            )
        )
    made = [
        row(
            measure="per_1000",
            **({"effect_label": UNKNOWN_RATE if odds is None else None} | base),
            **per_1000.numbers(),
        ),
        row(measure=ratio, **(base | _odds(log_odds))),
    ]
    if method == "cloglog" and study.enriched:  # only odds ratios are the same in a table that over-samples leavers
        made = [r | dict.fromkeys(NUMBERS) | {"effect_label": ENRICHED_HAZARD} for r in made]
    return made, doubts, found


def _large_rows(
    study: Study, term: Term, columns: list[str], model: str
) -> tuple[list[dict[str, Any]], list[Caveat], Passed]:
    """The same rows for a table too large to be fetched: the fit is made where it lies."""
    found = fit_in_passes(study, study.rows(columns), columns, step=term.step, flag=term.kind == "flag")
    base: dict[str, Any] = {
        "outcome": "churned",
        "term": term.name,
        "model": model,
        "n": found.n,
        "unit": term.step_label,
    }
    base |= {"events": found.events, "clusters": found.cluster_count}
    why = None
    if not found.converged:
        why = Caveat("separated", "leaving is separated, or too few left or stayed. A slope does not exist")
    elif found.repeated[1]:
        why = Caveat("no-variation", REPEATED)
    if why is not None:
        return [row(measure=x, effect_label=why.text, **base) for x in ("per_1000", "odds_ratio")], [why], found
    doubts = sampling.few_parts(study, found.parts, found.cluster_count)
    per_1000 = inference.jackknife(1000 * found.effect, 1000 * found.effect_left_out, blocks=found.parts)
    log_odds = inference.jackknife(
        term.step * found.coefficients[1], term.step * found.left_out[:, 1], blocks=found.parts
    )
    made = [
        row(measure="per_1000", **base, **per_1000.numbers()),
        row(measure="odds_ratio", **(base | _odds(log_odds))),
    ]
    return made, doubts, found


def _penalised_row(study: Study, term: str, held: Sequence[str]) -> dict[str, Any]:
    """The odds ratio by Firth's likelihood, held terms fixed, labelled so that no verdict rests on it."""
    from cxresearch.evidence.lab.penalised import penalised_interval  # what it needs is long to import, and few ask

    columns, step = ["churned", term, *held], study.term(term).step
    found = rows(study, study.rows(columns), columns)
    y, x = found.of("churned"), found.values[:, 1:]
    base: dict[str, Any] = {"outcome": "churned", "term": term, "model": "penalised", "measure": "odds_ratio"}
    base |= {"n": found.n, "events": int(y.sum()), "clusters": found.cluster_count, "unit": study.term(term).step_label}
    if found.n < study.min_cell or not 0 < y.sum() < found.n or not varies(x)[0]:
        return row(
            **base, effect_label="nobody or everybody left, the term is the same in all rows, or there are too few"
        )
    if repeated(DesignMatrix.of(x).products)[1]:
        return row(**base, effect_label=REPEATED)
    got = penalised_interval(y, x, 0)
    if got.estimate is None:
        return row(**base, effect_label="the penalised likelihood has no maximum")
    ends = (got.conf_low, got.conf_high) if found.independent else (None, None)
    kind = "profile interval of the penalised likelihood" if found.independent else "no interval: rows are clustered"
    low, high = (None if end is None else step * end for end in ends)
    log_odds = Interval(step * got.estimate, None, None, low, high, got.p_value if found.independent else None)
    told = f"{TOO_FEW} leavers or stayers to judge by without a penalty; {kind}"
    return row(**(base | {"effect_label": told} | _odds(log_odds)))


def _odds(log_odds: Interval) -> dict[str, Any]:
    """An odds ratio from the interval of its logarithm, as columns of a Finding; the standard error by the delta method."""
    if log_odds.estimate is None:
        return log_odds.numbers()
    with np.errstate(over="ignore"):  # an end too far out to be written is null in the table
        ratio = float(np.exp(log_odds.estimate))
        ends = [float(np.exp(end)) if end is not None else None for end in (log_odds.conf_low, log_odds.conf_high)]
    if not np.isfinite(ratio):
        return {"effect_label": "too large to be written: take another unit of the term"}
    error = ratio * log_odds.std_error if log_odds.std_error is not None else None
    return Interval(ratio, error, log_odds.df, ends[0], ends[1], log_odds.p_value).numbers()


def _not_estimable(study: Study, y: np.ndarray, own: np.ndarray, events: int) -> tuple[str, str] | None:
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
    if not varies(own[:, None])[0]:
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
    seen: list[Rows | Passed],
    given: Sequence[str] | None,
) -> Finding:
    controls = [study.term(c).label for c in (study.controls if given is None else given) if study.has(c)]
    adjusted = any(r["model"] == "adjusted" and r["estimate"] is not None for r in table)
    widest = max(seen, key=lambda r: r.n)
    what = (
        "answered surveys" if study.on_survey(["churned", *(t for t in terms if study.has(t))]) else "customer-months"
    )
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
            f"95 % intervals: jackknife over {sampling.told(study, widest.cluster_count)} {cluster}s"
            f"{' and over periods, two-way' if study.two_way else ''}, t."
        ),
        sample=f"{sampling.told(study, widest.n)} of {sampling.told(study, widest.asked)} {what} have all columns and a known next period."
        + (" A sample of customers was used." if widest.sampled else ""),
        caveats=caveats,
    )
