"""Scores: what those who answered said, with its interval, and how far the silent could be from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import ibis.expr.types as ir
import numpy as np

from cxresearch.data.study import Study
from cxresearch.evidence import inference, levels, nonresponse, sampling
from cxresearch.evidence.lab.sample_size import answers_for_margin
from cxresearch.evidence.sums import narrowed
from cxresearch.evidence.tallies import FULL, Tally, as_score, tally
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row, tidy

BANDS = ((0, 3), (4, 6), (7, 8), (9, 10))  # of the likelihood to recommend
MARGIN = 3.0  # points of a net score that a plan of a survey asks for


def score(
    study: Study, of: str, *, by: str | None = None, weights: str | None = None, margins: Sequence[str] = ()
) -> Finding:
    """How high a score stands in the report period among those who answered, and what the silent could change.

    `of` is satisfaction, recommend (net score: promoters 9-10 minus detractors 0-6, in points from -100 to 100), ces
    or another answer. Rows: score of the report period (model answered) for all, and for each period of the window
    (group period=…); difference from the period before (model change, the same customers in both counted); for recommend
    the share of answers in the bands 0-3, 4-6, 7-8, 9-10. Where it is recorded who was silent: rate of response; tipping,
    how much lower the silent would have to score for everybody together to be neutral; the score of everybody if the
    silent are like the others, with its range if they are not (model all_customers), and if all of them gave the lowest
    or the highest answer (model bounds).

    `by` adds the score of each level of a segment, and (model between) the differences between levels, their standardised
    size, and the share of variance between levels with the test that all are equal. `weights` adds the score (model
    weighted) weighted to everybody who was invited: "raking" to the levels of `margins` (default: all segments),
    "answering" by a model of who answers on them (default: and on usage, price, tenure), or "design" by the weights of
    the survey. Weights cost (design_effect), and do not cure answering that depends on the answer.

    Intervals: where every row is one customer, t for means and add-three for net scores, Wilson's for shares; else jackknife
    over blocks of clusters. Sources: Rocks (2016), Bonett & Price (2012); Deming & Stephan (1940), Deville & Särndal (1992).

    Example:
        >>> finding = cx.score(study, "recommend", by="value_segment", weights="raking")
        >>> [row["term"] for row in finding.rows(measure="difference", model="between")]
        ['high against mass', 'high against mid', 'mass against mid']
        >>> everybody = finding.one(measure="score", model="all_customers")
        >>> everybody["conf_low"] < finding.one(measure="score", model="weighted")["estimate"] < everybody["conf_high"]
        True
    """
    definition = study.term(of)
    question = f"How high does {definition.label} stand, not only among those who answered?"
    lacking = study.missing(of)
    if lacking:
        return sampling.nothing(study, "score", question, lacking)
    split = by if by is not None and study.has(by) else None
    asked_for = [of, *([split] if split else [])]
    table = narrowed(study, study.rows(asked_for), ["period", *asked_for])
    answers = table.filter(table[of].notnull())
    answers = study.by_period(answers)
    sums = tally(study, answers, as_score(of, answers[of]), "period", study.trend, net=of == "recommend")
    unit = "points (−100 to 100)" if of == "recommend" else definition.unit
    made = _score_rows(of, unit, sums)
    now = answers.filter(answers.period == study.period)
    if split:
        made += _split_rows(study, of, unit, now, split)
    if of == "recommend":
        made += _band_rows(study, now)
    asked = nonresponse.invited(study) if study.on_survey([of]) else None
    response = [nonresponse.response_row(asked)] if asked is not None else []
    last = len(sums.cells) - 1
    for rate in response:
        made += [
            rate,
            *nonresponse.silent_rows(study, of, unit, sums.interval(last), sums.count(last), rate["estimate"]),
        ]
    weighted, doubts = nonresponse.weighted_rows(study, of, unit, weights, margins) if weights else ([], [])
    finding = sampling.finding(
        study,
        made + weighted,
        name=f"score {of}",
        question=question,
        estimand=f"{'net recommendation' if sums.net else f'mean {definition.label}'} of those who answered in {study.period}",
        method=_method(study, sums) + (nonresponse.ASSUMPTION if response else ""),
        sample=_sample(study, sums),
        periods=f"{study.period}; trend from {study.trend[0]}",
        caveats=[*_caveats(study, response, sums), *_chosen(study, split), *doubts],
    )
    answer, title = _answer(study, of, split, finding)
    return dataclasses.replace(finding, answer=answer, title=title)


def _score_rows(of: str, unit: str, sums: Tally) -> list[dict[str, Any]]:
    last = len(sums.cells) - 1
    base: dict[str, Any] = {"outcome": of, "unit": unit}
    now: dict[str, Any] = base | {"n": sums.count(last), "clusters": sums.clusters[last]}
    made = [row(measure="score", model="answered", **now, **sums.interval(last).numbers())]
    for i, period in enumerate(sums.cells):
        if n := sums.count(i):
            numbers = sums.interval(i).numbers()
            made.append(row(measure="score", model="answered", group=f"period={period}", n=n, **base, **numbers))
    if last > 0 and sums.count(last - 1) and sums.count(last):
        (later, later_left), (before, before_left) = sums.mean(last), sums.mean(last - 1)
        there = sums.n[last - 1 :].sum(0) > 0  # blocks of earlier periods only are no observations of this change
        change = inference.jackknife(later - before, (later_left - before_left)[there])
        n = sums.count(last - 1) + sums.count(last)
        made.append(
            row(measure="difference", model="change", term=sums.cells[last - 1], n=n, **base, **change.numbers())
        )
    return made


def _split_rows(study: Study, of: str, unit: str, now: ir.Table, by: str) -> list[dict[str, Any]]:
    """The score of each level, and those that may be shown against each other."""
    known = now.filter(now[by].notnull())
    split = tally(study, known, as_score(of, known[of]), by, net=of == "recommend")
    made = levels.level_rows(of, unit, by, split)
    shown = [i for i, n in enumerate(tidy(made, study.min_cell)["n"].isna()) if not n]
    return made + (levels.compared(of, unit, by, split.only(*shown)) if len(shown) > 1 else [])


def _band_rows(study: Study, now: ir.Table) -> list[dict[str, Any]]:
    """The share of answers in each band: the distribution behind the net score."""
    counts = tally(study, now, now.recommend, "recommend")
    answers, n, made = np.array([float(cell) for cell in counts.cells]), counts.n.sum(0, keepdims=True), []
    for low, high in BANDS if n.sum() else ():
        inside = counts.n[(answers >= low) & (answers <= high)].sum(0, keepdims=True)
        clusters = counts.all_clusters
        band = Tally((f"{low}-{high}",), counts.blocks, n, inside, inside, (clusters,), clusters)
        made.append(row(outcome="recommend", term=band.cells[0], measure="share", model="answered", unit="of answers", n=band.count(0),
                        events=int(inside.sum()), clusters=clusters, **band.share(0).numbers()))  # fmt: skip
    return made


def _method(study: Study, sums: Tally) -> str:
    what = "Promoters (9-10) minus detractors (0-6)" if sums.net else "Mean"
    blocks = np.count_nonzero(sums.n[-1])
    how = f"jackknife over {blocks} blocks of {sums.clusters[-1]:,} {sampling.cluster_name(study)}s"
    if sums.count(len(sums.cells) - 1) == sums.clusters[-1]:
        how = f"{'three answers added' if sums.net else 't'}, every row is one customer"
    return f"{what} of those who answered. 95 % intervals: {how}."


def _sample(study: Study, sums: Tally) -> str:
    last = len(sums.cells) - 1
    n, interval = sums.count(last), sums.interval(last)
    told = (
        f"{sampling.told(study, n)} answers in {study.period}, {sampling.told(study, int(sums.n.sum()))} in the window."
    )
    if sums.net and n >= study.min_cell and interval.std_error:
        up, _, down = (x / n for x in sums.bands(last))
        variance = up + down - (up - down) ** 2
        cost = max(1.0, n * (interval.std_error / FULL) ** 2 / variance)
        needed = answers_for_margin(variance, MARGIN / FULL, design_effect=cost)
        told += f" For ± {MARGIN:g} points {number(needed, 0)} answers a period are needed."
    return told


def _caveats(study: Study, response: Sequence[dict[str, Any]], sums: Tally) -> tuple[Caveat, ...]:
    found = []
    if response and response[0]["estimate"] is not None:
        silent = 100 * (1 - response[0]["estimate"])
        found.append(
            Caveat(
                "nonresponse",
                f"{silent:.0f} % of those invited did not answer. Who answers may depend on the answer, and weights do not cure that: read the tipping point.",
            )
        )
    else:
        found.append(
            Caveat(
                "nonresponse",
                "The study does not say who was invited and silent: the score is that of those who answered.",
            )
        )
    last = len(sums.cells) - 1
    if sums.count(last) != sums.clusters[last] < sampling.FEW_CLUSTERS:
        found.append(sampling.few_clusters(study, sums.clusters[last]))
    if sums.count(last) > 1 and not sums.variance(last)[0] > 0:
        found.append(
            Caveat(
                "no-variation",
                "All answers are the same: how far other customers would differ cannot be told from them.",
            )
        )
    elif sums.clusters[last] > 1 and sums.interval(last).conf_low is None:
        alike = f"The score is the same in every {sampling.cluster_name(study)}: how far others would differ cannot be told from them."
        found.append(Caveat("no-variation", alike))
    return tuple(found)


def _chosen(study: Study, by: str | None) -> list[Caveat]:
    """A doubt where groups are those of an answer: who is chosen for a low answer rises by itself."""
    if by is None or study.term(by).kind != "number" or not study.on_survey([by]):
        return []
    text = f"Groups by {study.term(by).label} are chosen by an answer: those who answered lowest rise by themselves the next time they are asked. Judge what was done for them by others who had answered as low and for whom it was not done."
    return [Caveat("regression", text)]


def _answer(study: Study, of: str, split: str | None, finding: Finding) -> tuple[str, str]:
    label = "Net recommendation" if of == "recommend" else study.term(of).label.capitalize()
    now = finding.one(measure="score", model="answered", group="all")
    if now["estimate"] is None:
        return f"Not estimable: {now['effect_label'] or f'nobody answered in {study.period}'}.", "Not estimable"
    text = f"{label} stands at {written(now)} among those who answered in {study.period}"
    for rate in finding.rows(measure="rate"):
        text += f"; {number(100 * rate['estimate'], 1)} % of those invited answered"
    for tip in finding.rows(measure="tipping"):
        text += _tipping(tip, {r["term"]: r["estimate"] for r in finding.rows(measure="score", model="bounds")})
    for record in finding.rows(measure="score", model="all_customers"):
        if record["estimate"] is not None:
            low, high = (number(record[end], 1) for end in ("conf_low", "conf_high"))
            text += f". For all it may lie from {low} to {high}, if the silent are up to a standard deviation lower or half one higher"
    for record in finding.rows(measure="score", model="weighted"):
        text += f". {nonresponse.WEIGHTS[record['term']]} it stands at {written(record, n=False)}"
    if split is not None:
        text += levels.told(study, split, finding)
    return text + ".", f"{label} stands at {number(now['estimate'], 1)} among those who answered"


def _tipping(tip: Mapping[str, Any], bounds: Mapping[str, float | None]) -> str:
    """What the silent would have to score, or that no answers of theirs could do it."""
    off, neutral = tip["estimate"], float(tip["term"])
    if off is None:
        return ""
    middle = number(neutral, 0)
    end, beyond = ("lowest", "above") if off > 0 else ("highest", "below")
    most = bounds.get(f"all silent {end}")
    if most is not None and (most > neutral if off > 0 else most < neutral):
        return f". Whatever the silent think, everybody together stands {beyond} {middle}: at {number(most, 1)} if all of them had given the {end} answer"
    if off > 0:
        return f". The silent would have to score {number(off, 1)} points lower for everybody together to stand at {middle}"
    return f". It is below {middle} already; the silent would have to score {number(-off, 1)} points higher for everybody together to stand there"
