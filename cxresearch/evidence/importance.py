"""Importance: which terms rank first among those that go with an outcome."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.moments import Spread, moments
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]
R2_FLOOR = 0.01  # below it the shares of R² are shares of noise
DRAWS, SEED = 1000, 20261
MOST_MISSING = 0.2  # a column that costs more rows than this is left out, and said to be


def explained(covariance: Array, y: int, among: Sequence[int]) -> Array:
    """R² of a column on others from a covariance matrix (…, p, p)."""
    held = list(among)
    if not held:
        return np.zeros(covariance.shape[:-2])
    cross = covariance[..., held, y]
    middle = covariance[..., np.ix_(held, held)[0], np.ix_(held, held)[1]]
    try:
        weights = np.linalg.solve(middle, cross[..., None])[..., 0]
    except np.linalg.LinAlgError:  # columns that say the same twice; matrices of no rows are NaN and stay so
        with np.errstate(invalid="ignore"):
            weights = (np.linalg.pinv(np.nan_to_num(middle), hermitian=True) @ cross[..., None])[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return (cross * weights).sum(-1) / covariance[..., y, y]


def shapley(covariance: Array, y: int, players: Sequence[Sequence[int]]) -> Array:
    """Each player's share of R², averaged over all orders in which the players can enter: (…, players).

    A player is a block of columns; single columns give LMG, which is general dominance. The parts add up to R².
    Source: Lindeman, Merenda & Gold (1980), page 119; Budescu (1993); blocks: Owen (1977).
    """
    k = len(players)
    worth = {}
    for size in range(k + 1):
        for chosen in itertools.combinations(range(k), size):
            worth[chosen] = explained(covariance, y, [c for player in chosen for c in players[player]])
    parts = np.zeros((*covariance.shape[:-2], k))
    for player in range(k):
        others = [i for i in range(k) if i != player]
        for size in range(k):
            weight = math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k)
            for chosen in itertools.combinations(others, size):
                joined = tuple(sorted((*chosen, player)))
                parts[..., player] += weight * (worth[joined] - worth[chosen])
    return parts


def rank_drivers(study: Study, of: str, among: Sequence[str] | Mapping[str, Sequence[str]]) -> Finding:
    """Which of several terms rank first among those that go with an outcome, and how sure the order is.

    `among` are terms (or a role), or blocks of terms by name. The share of a term is its part of R², averaged over
    all orders of entry (LMG; for blocks the Owen value); shares add up to 1. Rows: measure share with a jackknife
    interval over blocks of clusters, rank with its 95 % bootstrap interval (effect = probability of rank 1), r2
    adjusted for the number of terms. Model crude over all answers; within_customer over the same customer's changes;
    for blocks model `blocks`, with r2_difference of all blocks over the first alone. Shares of an R² below .01 are not
    estimable. Importance is a share of association, not of effect.
    """
    grouped = isinstance(among, Mapping)
    blocks: dict[str, tuple[str, ...]] = (
        {k: tuple(v) for k, v in among.items()} if isinstance(among, Mapping) else {x: (x,) for x in among}
    )
    question = (
        f"Which of {', '.join(blocks) or 'the terms'} rank first among those that go with {study.term(of).label}?"
    )
    lacking = study.missing(of, *(x for terms in blocks.values() for x in terms))
    lacking += sampling.empty_roles(*(among.values() if isinstance(among, Mapping) else (among,)))
    if lacking or len(blocks) < 2:
        return sampling.nothing(study, "rank_drivers", question, lacking or ["second term to rank against"])
    blocks, dropped = _enough_rows(study, of, blocks)
    notes = sampling.Notes(study)
    for term, missing in dropped.items():
        notes.skipped(term, f"{100 * missing:.0f} % of rows lack it")
    columns = [of, *(x for terms in blocks.values() for x in terms)]
    table = study.rows(columns)
    spread = moments(study, table, columns)
    notes.saw(spread, columns)
    made = _share_rows(spread, of, blocks, "blocks" if grouped else "crude")
    if not grouped and study.on_survey([of]):
        within = moments(study, table, columns, within=("customer_id",))
        if within.n > 10 * len(columns):
            made += _share_rows(within, of, blocks, "within_customer")
    return _finding(study, question, of, blocks, made, notes, grouped)


def _enough_rows(
    study: Study, of: str, blocks: dict[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], dict[str, float]]:
    """Blocks without the columns that most rows lack, and what those would have cost."""
    columns = [of, *(x for terms in blocks.values() for x in terms)]
    table = study.rows(columns)
    counted = table.aggregate(
        rows=table[of].count(), **{c: (table[c].notnull() & table[of].notnull()).sum() for c in columns[1:]}
    )
    got = counted.to_pyarrow().to_pylist()[0]
    missing = {c: 1 - (got[c] or 0) / got["rows"] if got["rows"] else 0.0 for c in columns[1:]}
    # a block without any column would be another question: each keeps the column that the fewest rows lack
    best = {min(terms, key=lambda c: missing[c]) for terms in blocks.values()}
    dropped = {c: m for c, m in missing.items() if m > MOST_MISSING and c not in best}
    return {name: tuple(x for x in terms if x not in dropped) for name, terms in blocks.items()}, dropped


def _share_rows(spread: Spread, of: str, blocks: Mapping[str, Sequence[str]], model: str) -> list[dict[str, Any]]:
    players = [spread.at(*terms) for terms in blocks.values()]
    columns = [c for player in players for c in player]
    given = len(columns)
    everything: dict[str, Any] = {"n": spread.n, "clusters": spread.clusters}

    def adjusted(r2: Array) -> Array:
        if spread.n <= given + 1:
            return np.full_like(r2, np.nan)
        return 1 - (1 - r2) * (spread.n - 1) / (spread.n - given - 1)

    r2, r2_left = (adjusted(explained(cov, 0, columns)) for cov in (spread.full, spread.left_out))
    made = [
        row(outcome=of, model=model, measure="r2", **everything, **inference.jackknife(float(r2), r2_left).numbers())
    ]
    if model == "blocks":
        made.append(_added_by_the_rest(spread, of, players, adjusted, everything))
    if not r2 >= R2_FLOOR:
        missing: dict[str, Any] = dict.fromkeys(("estimate", "conf_low", "conf_high"))
        low = f"R² below {R2_FLOOR}: its shares are not estimable"
        label = low if np.isfinite(r2) else "no R²: too few rows, or an outcome that does not vary"
        return made + [
            row(outcome=of, term=name, model=model, measure="share", effect_label=label, **everything, **missing)
            for name in blocks
        ]
    parts, parts_left = shapley(spread.full, 0, players), shapley(spread.left_out, 0, players)
    shares, shares_left = (p / p.sum(-1, keepdims=True) for p in (parts, parts_left))
    drawn = shapley(spread.resampled(DRAWS, SEED), 0, players)
    ranks = (-drawn).argsort(-1).argsort(-1) + 1
    sure = bool(np.isfinite(drawn).all())  # not with one block alone, nor with one on which everything hangs
    own_rank = (-parts).argsort().argsort() + 1
    for i, name in enumerate(blocks):
        interval = inference.jackknife(float(shares[i]), shares_left[:, i], on="share")
        made.append(
            row(outcome=of, term=name, model=model, measure="share", unit="of R²", **everything, **interval.numbers())
        )
        rank: dict[str, Any] = {"estimate": float(own_rank[i])}
        if sure:
            low, high = np.percentile(ranks[:, i], [2.5, 97.5], method="nearest")
            rank |= {"conf_low": float(low), "conf_high": float(high), "effect": float((ranks[:, i] == 1).mean())}
        made.append(
            row(
                outcome=of,
                term=name,
                model=model,
                measure="rank",
                effect_label="probability of rank 1",
                **rank,
                **everything,
            )
        )
    return made


def _added_by_the_rest(
    spread: Spread, of: str, players: list[list[int]], adjusted: Any, everything: dict[str, Any]
) -> dict[str, Any]:
    """What all blocks explain beyond the first one alone."""
    columns = [c for player in players for c in player]

    def gain(cov: Array) -> Array:
        alone = 1 - (1 - explained(cov, 0, players[0])) * (spread.n - 1) / max(spread.n - len(players[0]) - 1, 1)
        return adjusted(explained(cov, 0, columns)) - alone

    interval = inference.jackknife(float(gain(spread.full)), gain(spread.left_out))
    return row(
        outcome=of, term="end_to_end", model="blocks", measure="r2_difference", **everything, **interval.numbers()
    )


def _finding(
    study: Study,
    question: str,
    of: str,
    blocks: Mapping[str, Sequence[str]],
    made: list[dict[str, Any]],
    notes: sampling.Notes,
    grouped: bool,
) -> Finding:
    caveats = notes.caveats()
    if study.on_survey([of]) and not grouped:
        caveats.append(
            Caveat(
                "halo",
                "All ratings of one questionnaire move together: a term that plays no part still gets a share. Compare the shares within customer.",
            )
        )
    shares = [r for r in made if r["measure"] == "share" and r["estimate"] is None]
    if grouped or shares:
        caveats.append(
            Caveat(
                "weak-split",
                "Shares depend on how the blocks correlate and how well each is measured: read them as a range, not as a budget.",
            )
        )
    finding = sampling.finding(
        study,
        made,
        name=f"rank_drivers {of} {'+'.join(blocks)}",
        question=question,
        estimand="share of R², averaged over all orders of entry",
        design="associational",
        method=f"Relative importance (LMG{', Owen value of blocks' if grouped else ''}); ranks by {DRAWS:,} draws of blocks. {notes.interval_method()}",
        sample=notes.text(),
        caveats=caveats,
    )
    answer, title = _answer(study, of, blocks, finding, grouped)
    return dataclasses.replace(finding, answer=answer, title=title)


def _answer(
    study: Study, of: str, blocks: Mapping[str, Sequence[str]], finding: Finding, grouped: bool
) -> tuple[str, str]:
    model = "blocks" if grouped else "crude"
    r2 = finding.one(measure="r2", model=model)
    outcome = study.term(of).label

    def label(name: str) -> str:
        return name if grouped else study.term(name).label

    shares = [r for r in finding.rows(measure="share", model=model) if r["estimate"] is not None]
    if r2["estimate"] is None:
        why = r2["effect_label"] or f"too few rows have all columns, or {outcome} does not vary in them"
        return f"Not estimable: {why}.", "Not estimable"
    if not shares:
        return (
            f"Not estimable: the terms together explain {written(r2)} of the variance of {outcome}, too little to share out.",
            "Too little to share out",
        )
    ranks = {r["term"]: r for r in finding.rows(measure="rank", model=model)}
    top = max(shares, key=lambda r: r["estimate"])
    rank = ranks[top["term"]]
    sure = (
        f"rank 1 with probability {number(rank['effect'], 2)}"
        if rank["effect"] is not None
        else "how sure is not estimable"
    )
    text = (
        f"{label(top['term']).capitalize()} ranks first among {len(shares)} {'blocks' if grouped else 'terms'} that go with {outcome}: share {written(top)}, {sure}; "
        f"together they explain R² = {written(r2, n=False)}."
    )
    return text, f"{label(top['term']).capitalize()} ranks first among what goes with {outcome}"
