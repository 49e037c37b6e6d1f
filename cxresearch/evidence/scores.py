"""Scores: what those who answered said, with its interval, and how far the silent could be from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.sums import block_of, cluster_of
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]
PROMOTER_FROM, DETRACTOR_TO = 9, 6
BANDS = ((0, 3), (4, 6), (7, 8), (9, 10))  # of the likelihood to recommend
NEUTRAL = {"recommend": 0.0, "ces": 4.0}  # as many for as against; the middle of the effort scale
MIDDLE = 50.0  # of any index from 0 to 100


def is_promoter(answer: ir.Value) -> ir.Value:
    """Who is very likely to recommend: 9 or 10 of 10."""
    return answer >= PROMOTER_FROM


def is_detractor(answer: ir.Value) -> ir.Value:
    """Who is not likely to recommend: 0 to 6 of 10."""
    return answer <= DETRACTOR_TO


def score(study: Study, of: str, *, by: str | None = None) -> Finding:
    """How high a score stands in the report period among those who answered, and what the silent could change.

    `of` is satisfaction, recommend (net score: promoters 9-10 minus detractors 0-6, in points from -100 to 100), ces
    or another answer. `by` adds each level of a segment. Rows: score of the report period (model answered) for all, by
    level, and for each period of the window (group period=…); difference from the period before (model change, the
    same customers in both counted); rate of response; tipping, how much lower the silent would have to score for the
    score of everybody to be neutral; for recommend also the share of answers in the bands 0-3, 4-6, 7-8, 9-10.
    Intervals: jackknife over blocks of clusters; where every row is one customer, the textbook normal interval.
    """
    definition = study.term(of)
    question = f"How high does {definition.label} stand, not only among those who answered?"
    lacking = study.missing(of)
    if lacking:
        return sampling.nothing(study, "score", question, lacking)
    levels = by if by is not None and study.has(by) else None
    table = study.rows([of, *([levels] if levels else [])])
    answers = table.filter(table[of].notnull())
    value = _as_score(of, answers[of])
    sums = _block_sums(study, answers, value)
    unit = "points (−100 to 100)" if of == "recommend" else definition.unit
    made = _score_rows(study, of, unit, sums)
    if levels:
        made += _level_rows(study, of, unit, answers, levels)
    if of == "recommend":
        made += _band_rows(study, answers)
    response, tipping = _response_rows(study, of, unit, sums)
    made += response + tipping
    finding = sampling.finding(
        study,
        made,
        name=f"score {of}",
        question=question,
        estimand=f"mean {definition.label} of those who answered in {study.period}"
        if of != "recommend"
        else f"net recommendation of those who answered in {study.period}",
        method=_method(study, of, sums),
        sample=f"{sampling.told(study, int(sums.n[-1].sum()))} answers in {study.period}, {sampling.told(study, int(sums.n.sum()))} in the window.",
        periods=f"{study.period}; trend from {study.periods[0]}",
        caveats=_caveats(study, response, sums),
    )
    answer, title = _answer(study, of, finding)
    return dataclasses.replace(finding, answer=answer, title=title)


@dataclass(frozen=True)
class _Sums:
    """Count, sum and sum of squares of a score by period and block: arrays (periods, blocks)."""

    periods: tuple[str, ...]
    n: Array
    total: Array
    square: Array
    clusters: int
    independent: bool

    def mean(self, period: int) -> tuple[float, Array]:
        """The mean of a period, and without each block."""
        n, total = self.n[period], self.total[period]
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(total.sum() / n.sum()), (total.sum() - total) / (n.sum() - n)

    def interval(self, period: int) -> inference.Interval:
        """The mean of a period with its interval."""
        full, left_out = self.mean(period)
        n = self.n[period].sum()
        if not self.independent or n < 2:
            return inference.jackknife(full, left_out) if n > 0 else inference.NOTHING
        variance = max(self.square[period].sum() / n - full**2, 0.0)  # of equal scores it can be a rounding below
        return inference.wald(full, float(np.sqrt(variance / n)), None)

    def share(self, period: int) -> inference.Interval:
        """The mean of a period where every value is 0 or 1."""
        full = self.interval(period)
        n = int(self.n[period].sum())
        if full.estimate is None or (full.std_error is None and not self.independent):
            return full
        return inference.share_interval(full.estimate, n, None if self.independent else full.std_error, full.df)


def _as_score(of: str, answer: ir.Value) -> ir.Value:
    if of != "recommend":
        return answer
    return 100.0 * (is_promoter(answer).cast("float64") - is_detractor(answer).cast("float64"))


def _block_sums(study: Study, answers: ir.Table, value: ir.Value) -> _Sums:
    keyed = answers.select(
        period=answers.period, block=block_of(study, answers), cluster=cluster_of(study, answers), x=value
    )
    summed = keyed.group_by(["period", "block"]).aggregate(
        n=keyed.count(), total=keyed.x.sum(), square=(keyed.x * keyed.x).sum()
    )
    got = summed.order_by(["period", "block"]).to_pyarrow().to_pydict()
    blocks, wanted = sorted(set(got["block"])), study.periods
    arrays = np.zeros((3, len(wanted), len(blocks)))
    for period, block, n, total, square in zip(
        got["period"], got["block"], got["n"], got["total"], got["square"], strict=True
    ):
        arrays[:, wanted.index(period), blocks.index(block)] = n, total, square
    now = keyed.filter(keyed.period == study.period)
    clusters = int(now.cluster.nunique().to_pyarrow().as_py())
    rows = int(arrays[0, -1].sum())
    return _Sums(wanted, arrays[0], arrays[1], arrays[2], clusters, rows == clusters)


def _score_rows(study: Study, of: str, unit: str, sums: _Sums) -> list[dict[str, Any]]:
    last = len(sums.periods) - 1
    base: dict[str, Any] = {"outcome": of, "unit": unit}
    made = [
        row(
            measure="score",
            model="answered",
            n=int(sums.n[last].sum()),
            clusters=sums.clusters,
            **base,
            **sums.interval(last).numbers(),
        )
    ]
    for i, period in enumerate(sums.periods):
        if sums.n[i].sum():
            made.append(
                row(
                    measure="score",
                    model="answered",
                    group=f"period={period}",
                    n=int(sums.n[i].sum()),
                    **base,
                    **sums.interval(i).numbers(),
                )
            )
    if last > 0 and sums.n[last - 1].sum() and sums.n[last].sum():
        (now, now_left), (before, before_left) = sums.mean(last), sums.mean(last - 1)
        interval = inference.jackknife(now - before, now_left - before_left)
        made.append(
            row(
                measure="difference",
                model="change",
                term=sums.periods[last - 1],
                n=int(sums.n[last - 1 :].sum()),
                **base,
                **interval.numbers(),
            )
        )
    return made


def _level_rows(study: Study, of: str, unit: str, answers: ir.Table, by: str) -> list[dict[str, Any]]:
    now = answers.filter((answers.period == study.period) & answers[by].notnull())
    made = []
    for level in sorted(now.select(by).distinct().to_pyarrow()[by].to_pylist()):
        only = now.filter(now[by] == level)
        sums = _block_sums(study, only, _as_score(of, only[of]))
        made.append(
            row(outcome=of, measure="score", model="answered", group=f"{by}={level}", unit=unit, n=int(sums.n[-1].sum()), clusters=sums.clusters,
                **sums.interval(len(sums.periods) - 1).numbers())
        )  # fmt: skip
    return made


def _band_rows(study: Study, answers: ir.Table) -> list[dict[str, Any]]:
    """The share of answers in each band: the distribution behind the net score."""
    now = answers.filter(answers.period == study.period)
    made = []
    for low, high in BANDS:
        inside = now.recommend.between(low, high).cast("float64")
        sums = _block_sums(study, now, inside)
        interval = sums.share(len(sums.periods) - 1)
        if sums.n[-1].sum():
            share = interval.estimate or 0.0
            n = int(sums.n[-1].sum())
            made.append(
                row(
                    outcome="recommend",
                    term=f"{low}-{high}",
                    measure="share",
                    model="answered",
                    unit="of answers",
                    n=n,
                    events=round(share * n),
                    clusters=sums.clusters,
                    **interval.numbers(),
                )
            )
    return made


def _response_rows(study: Study, of: str, unit: str, sums: _Sums) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    table = study.answering(only=(study.period,))
    if table is None:
        return [], []
    invited = _block_sums(study, table, table.answered)
    last = len(sums.periods) - 1
    n = int(invited.n[last].sum())
    if not n:
        return [], []
    rate = invited.share(last)
    response = [
        row(
            outcome="response",
            measure="rate",
            model="crude",
            unit="of those invited",
            n=n,
            events=int(invited.total[last].sum()),
            clusters=invited.clusters,
            **rate.numbers(),
        )
    ]
    neutral = NEUTRAL.get(of, MIDDLE)
    share = rate.estimate or 0.0
    if not (of in NEUTRAL or study.term(of).high == 100) or not 0 < share < 1:
        return response, []
    interval = _scaled(sums.interval(last), lambda x: (x - neutral) / (1 - share))
    tipping = [
        row(
            outcome=of,
            term=f"{neutral:g}",
            measure="tipping",
            model="answered",
            unit=unit,
            n=int(sums.n[last].sum()),
            **interval.numbers(),
        )
    ]
    return response, tipping


def _scaled(interval: inference.Interval, change: Callable[[float], float]) -> inference.Interval:
    """An interval carried through a linear change of its numbers."""
    if interval.estimate is None:
        return interval
    slope = change(1.0) - change(0.0)
    low, high = (change(end) if end is not None else None for end in (interval.conf_low, interval.conf_high))
    error = abs(slope) * interval.std_error if interval.std_error is not None else None
    return inference.Interval(change(interval.estimate), error, interval.df, low, high, None)


def _method(study: Study, of: str, sums: _Sums) -> str:
    what = (
        "Promoters (9-10) minus detractors (0-6) of those who answered."
        if of == "recommend"
        else "Mean of those who answered."
    )
    how = (
        "normal, every row is one customer"
        if sums.independent
        else f"jackknife over {sums.n.shape[1]} blocks of {sums.clusters:,} {sampling.cluster_name(study)}s"
    )
    return f"{what} 95 % intervals: {how}."


def _caveats(study: Study, response: Sequence[dict[str, Any]], sums: _Sums) -> tuple[Caveat, ...]:
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
    if not sums.independent and sums.clusters < sampling.FEW_CLUSTERS:
        found.append(sampling.few_clusters(study, sums.clusters))
    return tuple(found)


def _answer(study: Study, of: str, finding: Finding) -> tuple[str, str]:
    label = "Net recommendation" if of == "recommend" else study.term(of).label.capitalize()
    now = finding.one(measure="score", model="answered", group="all")
    if now["estimate"] is None:
        return f"Not estimable: {now['effect_label'] or f'nobody answered in {study.period}'}.", "Not estimable"
    text = f"{label} stands at {written(now)} among those who answered in {study.period}"
    for rate in finding.rows(measure="rate"):
        text += f"; {number(100 * rate['estimate'], 1)} % of those invited answered"
    for tip in finding.rows(measure="tipping"):
        middle = number(float(tip["term"]), 0)
        if tip["estimate"] is not None and tip["estimate"] > 0:
            text += f". The silent would have to score {number(tip['estimate'], 1)} points lower for everybody together to stand at {middle}"
        elif tip["estimate"] is not None:
            text += f". It is below {middle} already; the silent would have to score {number(-tip['estimate'], 1)} points higher for everybody together to stand there"
    return text + ".", f"{label} stands at {number(now['estimate'], 1)} among those who answered"
