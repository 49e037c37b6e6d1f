"""Importance: which terms rank first among those that go with an outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import multiplicity, pitfalls, ranking, sampling, shares
from cxresearch.evidence.held import complete, hold, levels
from cxresearch.evidence.moments import Spread, moments
from cxresearch.evidence.ranking import DRAWS, Split, split
from cxresearch.evidence.weakest import weakest_link
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import capital, number
from cxresearch.table import row

Array = NDArray[np.float64]
WAYS = {
    "lmg": "LMG: parts of R² averaged over all orders of entry",
    "johnson": "Johnson's relative weights",
    "first": "R² of each term alone, as a share of R² of all; shares add up to more than 1 where terms overlap",
    "last": "what each term adds to all others, as a share of R²; shares add up to less than 1 where terms overlap",
    "betasq": "squared standardised slopes as a share of R²; they need not add up to 1",
    "pratt": "standardised slope times correlation, as a share of R²; below 0 or above 1 where terms overlap, and then no share",
    "car": "squared correlation-adjusted marginal correlations, as a share of R²",
    "performance": "LMG shares beside the mean of each term, 0 to 100 of its range",
    "dominance": "LMG shares beside what each term adds to smaller and larger sets of others, and how often it adds more",
    "penalty_reward": "least squares with one slope below and one above the mean of each term",
    "weakest_link": "least squares on the terms, then with the lowest of them, or the product of every pair, beside them",
}
SIDES = {"worse": -1, "better": 1}
OF_LEAVING = ("lmg", "first", "performance", "dominance")
INFLATED, ILL = 10.0, 30.0  # Belsley, Kuh & Welsch (1980); Marquardt (1970)


def rank_drivers(study: Study, of: str, among: Sequence[str], *, by: str | None = None, method: str = "lmg") -> Finding:
    """Which of several terms rank first among those that go with an outcome, and how sure the order is.

    `among` are terms or a role. The share of a term is its part of R², by `method`: lmg (averaged over all orders of
    entry; shares add up to 1), johnson (relative weights: nearly the same, and for more than 16 terms), first, last,
    betasq, pratt, car. Where leaving is asked R² is McFadden's of a logistic model (lmg, first). Rows: measure share with
    a jackknife interval over blocks of clusters, rank with its 95 % bootstrap interval (effect = probability of rank 1),
    r2 corrected for the number of terms, vif of each term. Model crude over all answers; within_customer over the
    same customer's changes. `by` adds crude rows for each level of a segment, and to the answer which level ranks
    otherwise. Shares of an R² below .01 are not estimable. Importance is association, not effect.

    `method="performance"` adds score: the mean of each term, 0 to 100 of its range, best end up, and difference: how far
    it lies from the mean of the terms' scores. `"dominance"` adds
    r2_difference (what a term adds to so many others) and rate (in which share of models it adds more than another).
    `"penalty_reward"` gives instead the slope of each term, turned so that more is better, on the worse and on the
    better side of its mean, the others held fixed, and their difference: above zero the worse side weighs more.
    `"weakest_link"` gives r2 of the terms added up and r2_difference of models weakest (their lowest beside them), pairs
    (the products of all pairs beside them) and weakest_alone (their lowest instead of them), for terms of one scale.
    Sources: Lindeman, Merenda & Gold (1980); Johnson (2000); Azen & Budescu (2003); Brandt (1987).

    Example:
        >>> finding = cx.rank_drivers(study, of="satisfaction", among=study.rater)
        >>> finding.one(measure="rank", model="crude", term="reliability")["estimate"]
        1.0
    """
    if isinstance(among, Mapping):
        raise UsageError("rank_drivers ranks terms; for blocks of terms use block_shares(study, of, blocks)")
    if method not in WAYS or (of == "churned" and method not in OF_LEAVING):
        known = OF_LEAVING if of == "churned" else tuple(WAYS)
        raise UsageError(f"method={method!r} does not rank what goes with {of}; it is one of {', '.join(known)}")
    blocks = {x: (x,) for x in among}
    question = f"Which of {', '.join(study.term(x).label for x in blocks) or 'the terms'} rank first among those that go with {study.term(of).label}?"
    lacking = (*study.missing(of, *blocks), *sampling.empty_roles(among))
    if lacking or len(blocks) < 2 or of in blocks:
        return sampling.nothing(study, "rank_drivers", question, lacking or ["second term to rank against"])
    ranking.refuse_words(study, [of, *blocks])
    if method == "penalty_reward":
        return _sides(study, of, tuple(blocks), question)
    if method == "weakest_link":
        return weakest_link(study, of, tuple(blocks))
    return _ranked(study, of, tuple(blocks), question, method, by)


def _ranked(study: Study, of: str, terms: tuple[str, ...], question: str, method: str, by: str | None) -> Finding:
    if method == "dominance" and len(terms) > ranking.MOST_LOGISTIC:
        raise UsageError(
            f"method='dominance' compares at most {ranking.MOST_LOGISTIC} terms; name fewer than {len(terms)}"
        )
    columns, blocks = [of, *terms], {x: (x,) for x in terms}
    table, way = study.rows(columns), method if method in shares.METHODS else "lmg"
    found = split(study, table, of, blocks, way)
    spread = found.spread or moments(study, table, columns)
    made = ranking.share_rows(found, of, terms, "crude")
    notes = sampling.Notes(study)
    if by is not None and not study.has(by):
        notes.skipped(f"by {by}", f"the study has no {study.missing(by)[0]}")
    elif by is not None:
        made += _by_level(study, of, terms, way, by)
    sample, intervals, caveats = ranking.rests_on(study, found, notes)
    if np.isfinite(found.whole[0]):
        inflated, condition = shares.inflation(spread.full, range(1, len(columns)))
        caveats += _collinear(study, terms, inflated, condition)
        for term, factor in zip(terms, inflated, strict=True):
            label = None if np.isfinite(factor) else "repeats other terms" if factor > 0 else "does not vary"
            made.append(row(outcome=of, term=term, measure="vif", estimate=factor, effect_label=label, **found.counts))
    if study.on_survey([of]) and found.spread is not None:
        within = split(study, table, of, blocks, way, within=("customer_id",))
        if within.n > 10 * len(columns):
            made += ranking.share_rows(within, of, terms, "within_customer")
    if method == "performance":
        made += _performance(study, table, of, terms, spread)
    if method == "dominance" and found.tells:
        made += _dominance(of, terms, found)
    if study.on_survey([of]) and any(study.on_survey([x]) for x in terms):
        text = "All ratings of one questionnaire move together: a term that plays no part still gets a share. Compare the shares within customer, which a lasting mood does not reach; a mood of the day does: rank what operations measured beside it."
        caveats.append(Caveat("halo", text))
    caveats += pitfalls.of_terms(study, terms, leaving=True) if of == "churned" else []
    finding = sampling.finding(
        study,
        made,
        name=f"rank_drivers {of} {'+'.join(terms)}" + ("" if method == "lmg" else f" by {method}"),
        question=question,
        estimand=f"share of {found.kind}, {WAYS[way]}",
        design="associational",
        method=f"Relative importance: {WAYS[method]}. {found.kind} of {'least squares' if found.spread else 'logistic models'}; ranks by {DRAWS:,} draws of blocks. {intervals}",
        sample=sample,
        caveats=caveats,
    )
    answer, title = _answer(study, of, finding)
    answer += _levels_told(study, finding, by) if by is not None else ""
    return dataclasses.replace(finding, answer=answer, title=title)


def _by_level(study: Study, of: str, terms: Sequence[str], way: str, by: str) -> list[dict[str, Any]]:
    """The rows of the ranking among the customers of each level of a segment."""
    made = []
    for level, only in levels(study, study.rows([of, *terms, by]), by):
        found = split(study, only, of, {x: (x,) for x in terms}, way)
        of_level = {
            "group": f"{by}={level}",
            "people": sampling.people(study, complete(only, [of, *terms]), found.n),
        }
        made += [record | of_level for record in ranking.share_rows(found, of, terms, "crude")]
    return made


def _levels_told(study: Study, finding: Finding, by: str) -> str:
    """Which term ranks first in each level of a segment, and which ranks are told from those of all."""
    ranks = [r for r in finding.rows(measure="rank", model="crude") if r["estimate"] is not None]
    among_all = {r["term"]: r["estimate"] for r in ranks if r["group"] == "all"}
    in_levels = [r for r in ranks if r["group"] != "all"]
    first = [r for r in in_levels if r["estimate"] == 1]
    if not first or not among_all:
        return ""
    other = [r for r in in_levels if r["conf_low"] and not r["conf_low"] <= among_all[r["term"]] <= r["conf_high"]]
    apart = [
        f"{study.term(r['term']).label} in {r['group'].partition('=')[2]} (rank {number(r['estimate'], 0)})"
        for r in other
    ]
    listed = [
        f"{study.term(term).label} in "
        + ", ".join(f"{r['group'].partition('=')[2]} ({number(r['effect'])})" for r in first if r["term"] == term)
        for term in dict.fromkeys(r["term"] for r in first)
    ]
    return (
        f" By {study.term(by).label}, rank 1 with its probability: {'; '.join(listed)}."
        f" Ranks told from those of all: {', '.join(apart) or 'none'}."
    )


def _performance(study: Study, table: ir.Table, of: str, terms: Sequence[str], spread: Spread) -> list[dict[str, Any]]:
    """The mean of each term, 0 to 100 of its stated range, else of the range seen; the better end is 100."""
    made, ends = [], dict[str, tuple[float, float]]()
    if open_ended := [x for x in terms if study.term(x).low is None or study.term(x).high is None]:
        complete = table.filter(*(table[x].notnull() for x in (of, *terms)))
        seen = {f"{end}{i}": getattr(complete[x], end)() for i, x in enumerate(open_ended) for end in ("min", "max")}
        got = complete.aggregate(**seen).to_pyarrow().to_pylist()[0]
        ends = {x: (got[f"min{i}"], got[f"max{i}"]) for i, x in enumerate(open_ended)}
    counts: dict[str, Any] = {"n": spread.n, "clusters": spread.clusters}
    scores = {}
    for term, at in zip(terms, spread.at(*terms), strict=True):
        known, stated = study.term(term), term not in ends
        low, high = ends.get(term, (known.low, known.high))
        base: dict[str, Any] = {"outcome": of, "term": term, "measure": "score", **counts}
        if low is None or high is None or not high > low:
            made.append(row(**base, effect_label="does not vary"))
            continue
        mean = np.append(spread.mean[at], spread.mean_left_out[:, at])
        scores[term] = 100 * (high - mean if known.better < 0 else mean - low) / (high - low)
        unit = f"0 to 100 of the range {'stated' if stated else 'seen'}"
        made.append(row(**base, unit=unit, **ranking.interval(scores[term], spread.parts)))
    typical = sum(scores.values()) / max(len(scores), 1)
    for term, score in scores.items():
        away = ranking.interval(score - typical, spread.parts)
        made.append(
            row(outcome=of, term=term, measure="difference", unit="points from the mean of the terms", **counts, **away)
        )
    return made


def _dominance(of: str, terms: Sequence[str], found: Split) -> list[dict[str, Any]]:
    """What each term adds to sets of so many others, and in which share of the sets it adds more than another."""
    adds, more = shares.conditional_dominance(found.worth), shares.complete_dominance(found.worth[0])
    pairs = [(i, j) for i in range(len(terms)) for j in range(len(terms))]
    base: dict[str, Any] = {"outcome": of, **found.counts}
    return [
        row(
            measure="r2_difference",
            term=terms[i],
            group=f"others={j}",
            **base,
            **ranking.interval(adds[:, i, j], found.left),
        )
        for i, j in pairs
    ] + [
        row(measure="rate", term=terms[i], group=f"over={terms[j]}", estimate=more[i, j], unit="of the models", **base)
        for i, j in pairs
        if i != j
    ]


def _collinear(study: Study, terms: Sequence[str], inflated: Array, condition: float) -> list[Caveat]:
    high = [study.term(x).label for x, factor in zip(terms, inflated, strict=True) if factor > INFLATED]
    if not high and not condition > ILL:
        return []
    how = f"condition number {condition:.0f}" if np.isfinite(condition) else "one is a sum of others"
    text = f"{', '.join(high) or 'Some terms'} say nearly what the others say ({how}): shares of what they have in common are split evenly by the arithmetic, not by the data. Keep one of them, or rank them as one block with block_shares."
    return [Caveat("collinear", text)]


def _answer(study: Study, of: str, finding: Finding) -> tuple[str, str]:
    r2, outcome = finding.one(measure="r2", model="crude", group="all"), study.term(of).label
    told = [r for r in finding.rows(measure="share", model="crude", group="all") if r["estimate"] is not None]
    if r2["estimate"] is None:
        why = f"too few rows have all columns, or {outcome} does not vary in them"
        return f"Not estimable: {r2['effect_label'] or why}.", "Not estimable"
    if not told:
        low = f"Not estimable: the terms together explain {written(r2)} of the variance of {outcome}, too little to share out."
        return low, "Too little to share out"
    tops = [r for r in finding.rows(measure="rank", model="crude", group="all") if r["estimate"] == 1]
    chance, share = tops[0]["effect"], written(next(r for r in told if r["term"] == tops[0]["term"]))
    sure = f"rank 1 with probability {number(chance, 2)}" if chance is not None else "how sure is not estimable"
    label = capital(" and ".join(study.term(r["term"]).label for r in tops))
    goes, each = ("ranks", "share") if len(tops) == 1 else ("rank", "each share")
    text = f"{label} {goes} first among {len(told)} terms that go with {outcome}: {each} {share}, {sure}; together they explain R² = {written(r2, n=False)}."
    if scores := {r["term"]: r["estimate"] for r in finding.rows(measure="score") if r["estimate"] is not None}:
        return _room(study, finding, told, scores)
    return text, f"{label} {goes} first among what goes with {outcome}"


def _room(
    study: Study, finding: Finding, told: Sequence[Mapping[str, Any]], scores: Mapping[str, float]
) -> tuple[str, str]:
    """Which terms are told to have more than an equal share, and of these which are told to lie below the mean."""
    away = {r["term"]: r for r in finding.rows(measure="difference")}
    large = [
        r["term"] for r in told if r["conf_low"] is not None and r["conf_low"] > 1 / len(told) and r["term"] in away
    ]
    room = [x for x in large if away[x]["conf_high"] is not None and away[x]["conf_high"] < 0]
    listed = [
        f"{study.term(x).label}, {number(scores[x], 0)} of 100, {written(away[x], n=False)} from the mean"
        for x in large
    ]
    text = f"More than an equal share (1 of {len(told)}) goes with {'; '.join(listed) or 'none of the terms'}."
    labels = ", ".join(study.term(x).label for x in room)
    text += f" Told to lie below the mean of the terms, {number(np.mean(list(scores.values())), 0)} of 100, among these: {labels or 'none'}."
    if room:
        return text, f"Most room: {labels}, with more than an equal share and below the mean"
    return text, "No term with more than an equal share is told to lie below the mean of the terms"


def _sides(study: Study, of: str, terms: Sequence[str], question: str) -> Finding:
    """The finding of penalty and reward: slopes on both sides of the mean of each term, all terms held fixed."""
    table, known, notes = study.rows([of, *terms]), [study.term(x) for x in terms], sampling.Notes(study)
    mean = moments(study, table, [of, *terms]).mean[1:]
    held = hold(study, table, [of, *terms])
    values = {x: table[x] if held is None else held.number(x) for x in terms}
    turn = [-1.0 if t.better < 0 else 1.0 for t in known]
    up = {x: (values[x] - float(m)) * sign for x, m, sign in zip(terms, mean, turn, strict=True)}
    size = {name: np.abs(x) if isinstance(x, np.ndarray) else x.abs() for name, x in up.items()}
    # half of x less, or plus, its absolute value: what lies below, or above, the mean; a null stays null
    sides = {f"{name} {side}": (x + sign * size[name]) / 2 for name, x in up.items() for side, sign in SIDES.items()}
    altered = table.mutate(**sides) if held is None else held.part(np.arange(held.n), **sides)
    spread = moments(study, altered, [of, *sides])
    notes.saw(spread, [of, *terms])
    among, covariance = range(1, len(sides) + 1), ranking.stacked(spread)
    slopes = (
        shares.slopes(covariance, 0, among) * spread.scale[0] / spread.scale[1:] * np.repeat([t.step for t in known], 2)
    )
    inflated = np.reshape(shares.inflation(spread.full, among)[0], (-1, 2))
    slopes[:, np.repeat(~(inflated < np.inf).all(1), 2) | (spread.n <= len(sides) + 1)] = np.nan
    made, counts = list[dict[str, Any]](), dict[str, Any](n=spread.n, clusters=spread.clusters)
    for i, term in enumerate(known):
        base = {"outcome": of, "term": term.name, "model": "adjusted", "unit": term.step_label} | counts
        worse, better = slopes[:, 2 * i], slopes[:, 2 * i + 1]
        label = None if np.isfinite(worse[0]) else "too few different values, or rows, to tell two sides"
        made += [
            row(
                measure="slope",
                group=f"side={side}",
                effect_label=label,
                **base,
                **ranking.interval(found, spread.parts),
            )
            for side, found in zip(SIDES, (worse, better), strict=True)
        ]
        made.append(
            row(measure="difference", effect_label=label, **base, **ranking.interval(worse - better, spread.parts))
        )
    gaps = made[2::3]
    for record, adjusted in zip(gaps, multiplicity.adjusted([r["p_value"] for r in gaps]), strict=True):
        record["p_adjusted"] = adjusted
    finding = sampling.finding(
        study,
        made,
        name=f"rank_drivers {of} {'+'.join(terms)} by penalty_reward",
        question=question,
        estimand="slope on the worse less slope on the better side of the mean, the other terms held fixed",
        design="adjusted",
        method=f"Penalty and reward: {WAYS['penalty_reward']}, turned so that more is better. {notes.interval_method()}",
        sample=notes.text(),
        caveats=[*notes.caveats(), *pitfalls.bent(study, table, [of, *terms])],
    )
    told, outcome = [r for r in finding.rows(measure="difference") if r["estimate"] is not None], study.term(of).label
    if not told:
        return dataclasses.replace(finding, answer=f"Not estimable: {sampling.why_not(finding, 'no term varies')}.")
    sure = [r for r in told if r["p_adjusted"] is not None and r["p_adjusted"] < 0.05]
    weighs = {
        r["term"]: _heavier(*(x["estimate"] for x in finding.rows(measure="slope", term=r["term"]))) for r in sure
    }
    listed = "; ".join(
        f"{study.term(r['term']).label} {written(r, n=False)} {r['unit']}, {weighs[r['term']]}" for r in sure
    )
    labels = ", ".join(study.term(r["term"]).label for r in sure)
    who = " among those who answered" if study.knows_silent and study.on_survey([of, *terms]) else ""
    title = (
        f"Worse and better do not weigh alike{who}: {labels}" if sure else "Worse and better are told apart in no term"
    )
    text = f"Slopes of {outcome} on both sides of the mean: {listed or f'for none of {len(told)} terms are they told apart'}."
    return dataclasses.replace(finding, answer=text, title=title)


def _heavier(worse: float, better: float) -> str:
    """Which of two slopes is the steeper, if they go the same way."""
    steeper = f"the {'worse' if abs(worse) > abs(better) else 'better'} side weighs more"
    return steeper if worse * better >= 0 else "the sides go opposite ways"
