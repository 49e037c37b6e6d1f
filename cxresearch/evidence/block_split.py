"""Split: how what is explained of an outcome splits over blocks of columns, as a range with its estimand."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.data.terms import Role
from cxresearch.errors import UsageError
from cxresearch.evidence import composite, inference, pitfalls, ranking, sampling, shares
from cxresearch.evidence.association import alpha
from cxresearch.evidence.composite import hull
from cxresearch.evidence.moments import Spread, Summary, moments
from cxresearch.evidence.ranking import DRAWS, Blocks, Split, split
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]
RELIABLE = (0.6, 1.0)  # what the reliability of a block may be where nothing is stated
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # from the lower to the upper end of the reliabilities
MOST_MISSING = 0.2  # a column that costs more rows than this is left out, and said to be


def block_shares(
    study: Study,
    of: str,
    blocks: Blocks,
    *,
    reliability: Mapping[str, float | tuple[float, float]] | None = None,
    index: Mapping[str, float] | None = None,
) -> Finding:
    """How what blocks of columns explain of an outcome splits over them: a range, and what it hangs on.

    `blocks` are terms (or a role) by the name of their block. `reliability` is the part of a block's variance that is no
    error of measurement, by block: a number or two ends; where not stated .6 to 1. The share of a block is its part of
    R², averaged over all orders in which blocks enter (Owen; McFadden's R² where leaving is asked). Rows share: model
    range, the answer, runs over the stated reliabilities (its estimate is that of their middle); order runs from what a
    block adds last to what it explains first; both from the lowest to the highest end of the 95 % intervals. blocks takes
    the columns as measured, with rank, r2, r2_difference of all blocks over the first alone
    (end_to_end) and of each block over all others. Of three blocks or more
    remainder is the share in what is not the first block's, remainder_range the same over the reliabilities;
    one_reliability is the share of the first block while one block's reliability alone runs over its ends (group). No
    shares are told of an R² below .01, nor of such a remainder; remainder_range not where its interval reaches below.

    `index` states the weight of each block in a composite of standardised columns, turned so that more is better, a
    block's weight spread evenly over its columns. Rows of model index: r2 of the index (below zero where it goes the
    wrong way) and its r2_difference to the best single column; of model index_range the share of its variance that is
    no error of measurement.
    Sources: Owen (1977); Fuller, Measurement Error Models (1987), section 1.2; Mosier (1943) for the index.

    Example:
        >>> finding = cx.block_shares(study, of="satisfaction", blocks={"network": study.network, "design": study.design})
        >>> sorted({row["model"] for row in finding.rows(measure="share")})
        ['blocks', 'one_reliability', 'order', 'range']
    """
    asked = {name: tuple(terms) for name, terms in blocks.items()}
    columns = [of, *itertools.chain(*asked.values())]
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise UsageError(f"{twice[0]} stands twice in the question; a column is the outcome or of one block")
    question = f"How does what {', '.join(asked) or 'the blocks'} explain of {study.term(of).label} split over them?"
    lacking = [*study.missing(*columns), *sampling.empty_roles(*blocks.values())]
    lacking += [f"column of block {x}" for x, terms in blocks.items() if not terms and not isinstance(terms, Role)]
    if lacking or len(asked) < 2:
        return sampling.nothing(study, "block_shares", question, lacking or ["second block to split over"])
    ranking.refuse_words(study, columns)
    reliable = _stated(study, asked, reliability or {})
    if index is not None and (set(index) != set(asked) or of == "churned"):
        raise UsageError(f"index weighs every block, of an outcome that is no leaving; blocks are {', '.join(asked)}")
    notes = sampling.Notes(study)
    kept = _enough_rows(study, of, asked, notes)
    found = split(study, study.rows([of, *itertools.chain(*kept.values())]), of, kept)
    made = ranking.share_rows(found, of, list(kept), "blocks")
    gain: dict[str, Any] = {"outcome": of, "model": "blocks", "measure": "r2_difference", **found.counts}
    gains = {"end_to_end": found.gain}
    if len(kept) <= ranking.MOST_LOGISTIC:
        gains |= {name: found.added(i) for i, name in enumerate(kept)}
    made[1:1] = [row(term=x, **gain, **ranking.interval(values, found.left)) for x, values in gains.items()]
    if found.tells:
        made += _alternatives(found, of, list(kept), list(reliable.values()))
    else:
        empty = [record for record in made if record["measure"] == "share"]
        made += [record | {"model": "range"} for record in empty]
        made += [record | {"model": "remainder_range"} for record in empty[1:] if len(kept) > 2]
    if index is not None:
        weights = composite.column_weights(study, kept, index)
        made += composite.index_rows(found, of, weights, list(reliable.values()))
    finding = _finding(study, question, of, reliable, found, made, notes)
    terms = list(itertools.chain(*kept.values()))
    return finding.with_caveats(*(pitfalls.of_terms(study, terms, leaving=True) if of == "churned" else ()))


def _stated(
    study: Study, blocks: Blocks, reliability: Mapping[str, float | tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The two ends of each block's reliability: as stated, else alpha of its scores, else what is usual."""
    unknown = sorted(set(reliability) - set(blocks))
    if unknown:
        raise UsageError(f"reliability is stated for {unknown[0]!r}, which is no block; blocks are {', '.join(blocks)}")
    stated = {}
    for name, terms in blocks.items():
        given = reliability[name] if name in reliability else _alphas(study, terms) or RELIABLE
        low, high = given if isinstance(given, tuple) else (given, given)
        if not 0 < low <= high <= 1:
            raise UsageError(f"reliability of {name} is {given}; it lies above 0 and at most at 1, the lower end first")
        stated[name] = (float(low), float(high))
    return stated


def _alphas(study: Study, terms: Sequence[str]) -> tuple[float, float] | None:
    """The least and the largest alpha of the scores of a block; None unless all are means of several answers."""
    found = []
    for items in map(study.items, terms):
        spread = moments(study, study.rows(items), items) if len(items) > 1 else None
        known = float(alpha(spread.full * np.outer(spread.scale, spread.scale), range(len(items)))) if spread else 0.0
        found.append(known if known > 0 else 0.0)  # NaN too
    return (min(found), min(max(found), 1.0)) if found and min(found) > 0 else None


def _enough_rows(study: Study, of: str, blocks: Blocks, notes: sampling.Notes) -> dict[str, tuple[str, ...]]:
    """Blocks without the columns that most rows lack; the notes say what those would have cost."""
    columns = [of, *itertools.chain(*blocks.values())]
    rows, known = Summary(study, study.rows(columns), of, columns).counted()
    missing = {c: 1 - known[c] / rows if rows else 0.0 for c in columns[1:]}
    # a block without any column would be another question: each keeps the column that the fewest rows lack
    best = {min(terms, key=lambda c: missing[c]) for terms in blocks.values()}
    dropped = {c for c, m in missing.items() if m > MOST_MISSING and c not in best}
    for term in columns:
        if term in dropped:
            notes.without(term, f"which {100 * missing[term]:.0f} % of rows lack")
    return {name: tuple(x for x in terms if x not in dropped) for name, terms in blocks.items()}


def _alternatives(
    found: Split, of: str, names: Sequence[str], reliable: Sequence[tuple[float, float]]
) -> list[dict[str, Any]]:
    """Rows of the shares under other assumptions: within the remainder, over reliabilities, over orders of entry."""
    made: list[dict[str, Any]] = []
    cases, ranges = _over_reliabilities(found, found.spread, reliable) if found.spread is not None else ([], None)
    plain = found.parts / found.r2[:, None]
    # how much of a share hangs on how the blocks correlate: what a block adds last, what it explains first
    known = found.worth.shape[-1] == 1 << len(names)
    ends = [part(found.worth) / found.r2[:, None] for part in (shares.last, shares.first)] if known else []
    orders = np.stack([plain, *ends])
    for i, name in enumerate(names):
        base: dict[str, Any] = {"outcome": of, "term": name, "measure": "share", "unit": "of R²", **found.counts}
        if i and len(names) > 2:
            made += _of_remainder(found, i, base | {"unit": f"of what is not {names[0]}"}, names[0], ranges)
        if ranges is not None:
            made.append(row(model="range", **base, **hull(ranges[:, :, i], found.left)))
        if known:
            made.append(row(model="order", **base, **hull(orders[:, :, i], found.left)))
    if ranges is not None:
        first: dict[str, Any] = {"outcome": of, "term": names[0], "measure": "share", "unit": "of R²", **found.counts}
        for i, name in enumerate(names):
            own = [k for k, case in enumerate(cases) if set(case[:i] + case[i + 1 :]) == {0.5}]
            told = hull(ranges[own, :, 0], found.left)
            made.append(row(model="one_reliability", group=f"reliability={name}", **first, **told))
    return made


def _of_remainder(
    found: Split, i: int, base: Mapping[str, Any], first: str, ranges: Array | None
) -> list[dict[str, Any]]:
    """Rows of the share of block i in what is not the first block's, as measured and over the reliabilities."""
    rest = found.parts[:, 1:].sum(1)
    low = {"effect_label": f"the blocks besides {first} do not surely explain as much as {ranking.R2_FLOOR}"}
    plain = ranking.interval(found.parts[:, i] / rest, found.left, "share")
    made = [row(model="remainder", **base, **(plain if rest[0] >= ranking.R2_FLOOR else low))]
    if ranges is not None:
        # the row that is judged needs a remainder that is surely there
        least = inference.jackknife(float(rest[0]), rest[1:], blocks=found.left).conf_low
        sure = least is not None and least >= ranking.R2_FLOOR
        told = hull(ranges[:, :, i] / ranges[:, :, 1:].sum(-1), found.left) if sure else low
        made.append(row(model="remainder_range", **base, **told))
    return made


def _over_reliabilities(
    found: Split, spread: Spread, reliable: Sequence[tuple[float, float]]
) -> tuple[list[tuple[float, ...]], Array]:
    """Cases and shares (cases, B + 1, k) at reliabilities between the stated ends, each block's own against all others'.

    A case says how far between its ends the reliability of each block is. The first is the middle; cases that the
    correlations forbid (an R² above one) are left out.
    """
    covariance, k = ranking.stacked(spread), len(reliable)
    low, high = np.array(reliable).T
    reaches = {tuple(np.where(np.arange(k) == i, own, other)) for i in range(k) for own in STEPS for other in STEPS}
    made, cases = [], []
    for reach in sorted(reaches, key=lambda r: (set(r) != {0.5}, r)):
        parts = disattenuated_parts(covariance, ranking.players_of(found.sizes), low + np.array(reach) * (high - low))
        if np.isfinite(parts[0]).all():
            made.append(parts / parts.sum(-1, keepdims=True))
            cases.append(reach)
    return cases, np.array(made).reshape(-1, len(covariance), k)


def disattenuated_parts(covariance: Array, players: shares.Players, reliability: Array) -> Array:
    """Owen parts of R² (…, k) of column 0 when each block is known with an error: NaN where the correlations forbid it.

    The covariances within a block are those of its columns times its reliability (k,); covariances with other blocks
    and with the outcome hold no error. A block alone then explains its R² divided by its reliability: the textbook
    correction for attenuation. Source: Fuller (1987), section 1.2; Spearman (1904).
    """
    true = covariance.copy()
    for player, part in zip(players, reliability, strict=True):
        true[..., np.ix_(player, player)[0], np.ix_(player, player)[1]] *= part
    parts, every = shares.shapley(shares.worths(true, 0, players)), shares.correlations(np.nan_to_num(true))
    try:  # most often all are possible, which a factor of each shows at a tenth of the cost of its eigenvalues
        np.linalg.cholesky(every + shares.PIVOT * np.eye(every.shape[-1]))
    except np.linalg.LinAlgError:
        return np.where((np.linalg.eigvalsh(every)[..., :1] > -shares.PIVOT), parts, np.nan)
    return parts


def _finding(
    study: Study, question: str, of: str, reliable: Mapping[str, tuple[float, float]], found: Split,
    made: list[dict[str, Any]], notes: sampling.Notes,
) -> Finding:  # fmt: skip
    sample, intervals, caveats = ranking.rests_on(study, found, notes)
    text = "Shares depend on how the blocks correlate and how well each is measured: read the row `range`, not the share, and split no budget by it. Measure the blocks better, or state their reliability."
    told = ", ".join(
        f"{name} {low:.3g}" + (f" to {high:.3g}" if high > low else "") for name, (low, high) in reliable.items()
    )
    finding = sampling.finding(
        study,
        made,
        name=f"block_shares {of} {'+'.join(reliable)}",
        question=question,
        estimand=f"share of {found.kind} that goes with a block, averaged over all orders of entry",
        design="associational",
        method=f"Relative importance (LMG, Owen value of blocks); ranks by {DRAWS:,} draws of blocks. Range: reliability {told}. {intervals}",
        sample=sample,
        caveats=[*caveats, Caveat("weak-split", text)],
    )
    finding = dataclasses.replace(
        finding, labels={"end_to_end": f"all beyond {next(iter(reliable))}"} | dict(finding.labels)
    )
    answer, title = _answer(study, of, finding)
    return dataclasses.replace(finding, answer=answer, title=title)


def _answer(study: Study, of: str, finding: Finding) -> tuple[str, str]:
    r2, outcome = finding.one(measure="r2", model="blocks"), study.term(of).label
    if r2["estimate"] is None:
        return f"Not estimable: too few rows have all columns, or {outcome} does not vary in them.", "Not estimable"
    ranges = [r for r in finding.rows(measure="share", model="range") if r["estimate"] is not None] or finding.rows(
        measure="share", model="order"
    )
    if not ranges:
        low = f"Not estimable: the blocks together explain {written(r2)} of the variance of {outcome}, too little to share out."
        return low, "Too little to share out"

    def told(record: Mapping[str, Any]) -> str:
        if record["conf_low"] is None:
            return f"{record['term']} {number(100 * record['estimate'], 0)} % (how sure is not estimable)"
        return f"{record['term']} {number(100 * record['conf_low'], 0)} to {number(100 * record['conf_high'], 0)} %"

    listed = ", ".join(told(record) for record in sorted(ranges, key=lambda r: -r["estimate"]))
    gains = {r["term"]: written(r, n=False) for r in finding.rows(measure="r2_difference", model="blocks")}
    over = "what the reliabilities may be" if ranges[0]["model"] == "range" else "the orders of entry"
    first = finding.rows(measure="share")[0]["term"]
    text = f"Parts of what the blocks explain of {outcome}, as ranges over {over}: {listed}. Together they explain R² = {written(r2)}; beyond {first} alone {gains.pop('end_to_end')}."
    text += f" What each adds to the others: {'; '.join(f'{x} {gain}' for x, gain in gains.items())}." if gains else ""
    text += composite.answer(study, finding)
    apart = max(ranges, key=lambda r: r["estimate"])
    if all(r is apart or (r["conf_high"] or 1.0) < (apart["conf_low"] or 0.0) for r in ranges):
        return text, f"{apart['term'].capitalize()} has the largest share of what goes with {outcome}"
    return text, f"The data do not tell which block has the largest share of what goes with {outcome}"
