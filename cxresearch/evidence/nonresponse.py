"""Non-response: what a score of those who answered may be for everybody, by tipping point, weights, tilt and bounds."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.data.terms import KEYS
from cxresearch.errors import UsageError
from cxresearch.evidence import inference
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab import weighting
from cxresearch.evidence.logistic import fit_logit, leave_one_out
from cxresearch.evidence.rows import rows
from cxresearch.evidence.silent import SHIFTS
from cxresearch.evidence.sums import narrowed
from cxresearch.evidence.tallies import FULL, Tally, as_score, scaled, tally, within
from cxresearch.finding import Caveat
from cxresearch.table import row

Array = NDArray[np.float64]
Made = list[dict[str, Any]]
WEIGHTS = {
    "raking": "Raked to all invited",
    "answering": "Weighted by who answers",
    "design": "Weighted by the design of the survey",
}
NEUTRAL = {"recommend": 0.0, "ces": 4.0}  # as many for as against; the middle of the effort scale
MIDDLE = 50.0  # of any index from 0 to 100
ASSUMPTION = (
    f" Range for all: for each standard deviation that an answer is higher, the silent may be up to exp({-SHIFTS[0]:g}) "
    f"times rarer or exp({SHIFTS[-1]:g}) times more frequent than those who answered."
)
APART = "\x1f"  # between the levels of a cell


def ends(study: Study, of: str) -> tuple[float, float] | None:
    """The lowest and highest value that a score can have."""
    low, high = (-FULL, FULL) if of == "recommend" else (study.term(of).low, study.term(of).high)
    return None if low is None or high is None else (low, high)


def invited(study: Study) -> Tally | None:
    """How many were invited in the report period and how many of them answered; None where that is not recorded."""
    table = study.answering(only=(study.period,))
    table = study.by_period(table) if table is not None else None
    found = tally(study, table, table.answered, "period", (study.period,)) if table is not None else None
    return found if found is not None and found.count(0) else None


def response_row(asked: Tally) -> dict[str, Any]:
    """The share of those invited who answered."""
    return row(outcome="response", measure="rate", model="crude", unit="of those invited", n=asked.count(0),
               events=int(asked.total.sum()), clusters=asked.clusters[0], **asked.share(0).numbers())  # fmt: skip


def silent_rows(study: Study, of: str, unit: str, answered: Interval, n: int, share: float) -> Made:
    """What the silent could do to a score: the tipping point, the range of the tilt, and the bounds.

    tipping: how much lower the silent would have to score for everybody together to be neutral. all_customers: the score
    of everybody if the silent are like those who answered, and the range of it if they are not (see `tilted`). bounds: if all
    silent gave the lowest or the highest answer there is. `share` of those invited answered.
    """
    if not 0 < share < 1 or answered.estimate is None:
        return []
    base: dict[str, Any] = {"outcome": of, "unit": unit, "n": n}
    made, scale, neutral = [], ends(study, of), NEUTRAL.get(of, MIDDLE)
    if of in NEUTRAL or study.term(of).high == 100:
        tipping = scaled(answered, 1 / (1 - share), neutral)
        made.append(row(measure="tipping", model="answered", term=f"{neutral:g}", **base, **tipping.numbers()))
    everybody = tilted(study, of, share)
    if everybody.conf_low is not None:
        made.append(row(measure="score", model="all_customers", **base, **everybody.numbers()))
    for name, end in zip(("lowest", "highest"), scale or (), strict=False):
        bound = scaled(answered, share, -end * (1 - share) / share)
        made.append(row(measure="score", model="bounds", term=f"all silent {name}", **base, **bound.numbers()))
    return made


def tilted(study: Study, of: str, share: float) -> Interval:
    """The range of the score of everybody if answering depends on the answer.

    The silent have the answers of those who answered, each made more or less frequent by exp(s z) for an answer z standard
    deviations above the mean; s runs over `silent.SHIFTS`: for normal answers the silent's mean lies s standard deviations off. So
    the odds of answering change by up to exp(1) a standard deviation. The estimate is at s = 0; the range runs from the
    lowest to the highest end of the 95 % intervals. Source: Robins, Rotnitzky & Scharfstein (2000); Franks et al. (2020).
    """
    found = rows(study, study.rows([of], only=(study.period,)), [of])
    y = found.of(of) if found.n else np.zeros(1)
    if not y.std() > 1e-12 * np.abs(y).max():
        return inference.NOTHING
    score, z = as_score(of, y), (y - y.mean()) / y.std()

    def mean(weight: Array) -> Array:
        """The weighted mean of all rows, then without each block."""
        total, whole = (np.bincount(found.blocks, weights=v * weight) for v in (score, np.ones_like(score)))
        return np.append(total.sum(), total.sum() - total) / np.append(whole.sum(), whole.sum() - whole)

    with np.errstate(invalid="ignore", divide="ignore"):  # nothing is left without the only block
        plain = mean(np.ones_like(z))
        every = [share * plain + (1 - share) * mean(np.exp(s * z)) for s in SHIFTS]
    made = [within(inference.jackknife(float(x[0]), x[1:]), FULL if of == "recommend" else math.inf) for x in every]
    if any(i.conf_low is None for i in made):
        return inference.NOTHING
    low, high = min(i.conf_low or 0.0 for i in made), max(i.conf_high or 0.0 for i in made)
    scale = ends(study, of) or (-math.inf, math.inf)
    return Interval(float(plain[0]), conf_low=max(low, scale[0]), conf_high=min(high, scale[1]))


# -- weights


def weighted_rows(study: Study, of: str, unit: str, weights: str, margins: Sequence[str]) -> tuple[Made, list[Caveat]]:
    """The score weighted to everybody who was invited (or by the weight of the design), and what the weights cost."""
    if weights not in WEIGHTS:
        raise UsageError(f"no weights {weights!r}; they are {', '.join(WEIGHTS)}")
    known = tuple(margins) or tuple(study.segments) + (tuple(study.controls) if weights == "answering" else ())
    lacking = study.missing(*known) if weights != "design" else study.missing("design_weight")
    if lacking:
        return [], [Caveat("missing-columns", f"No weights: this study has no {', '.join(lacking)}.")]
    if weights != "design" and not (study.knows_silent and known):
        why = (
            "who was invited and silent is not recorded" if known else "no column is known of everybody; name `margins`"
        )
        return [], [Caveat("weights", f"No weights: {why}.")]
    make = {"raking": _raked, "answering": _by_answering, "design": _designed}[weights]
    found = make(study, of, known)
    if isinstance(found, str):
        return [], [Caveat("weights", f"No weights: {found}.")]
    interval, cost, n = found
    base: dict[str, Any] = {"outcome": of, "term": weights, "model": "weighted", "n": n}
    made = [
        row(measure="score", unit=unit, **base, **within(interval, FULL if of == "recommend" else math.inf).numbers()),
        row(measure="design_effect", unit="of the weights", estimate=cost.design_effect, **base),
    ]
    return made, []


Weighted = tuple[Interval, weighting.Cost, int]


def _raked(study: Study, of: str, margins: Sequence[str]) -> Weighted | str:
    """Raked to the margins of everybody; where each row is a customer errors know of the raking, else it is made anew without each block."""
    asked = study.answering(margins, only=(study.period,))
    answers = narrowed(study, study.rows([of, *margins], only=(study.period,)), [of, *margins])
    if asked is None:
        return "who was invited and silent is not recorded"
    everybody = tally(study, *_celled(asked, asked.answered, margins))
    answers = answers.filter(answers[of].notnull())
    given = tally(study, *_celled(answers, as_score(of, answers[of]), margins), everybody.cells)
    if not given.n.sum():
        return "nobody answered"
    at = [everybody.blocks.index(block) for block in given.blocks]
    sums = np.zeros((3, *everybody.n.shape))
    sums[:, :, at] = given.n, given.total, given.square
    n, total, square = (np.vstack([s.sum(1), s.sum(1) - s.T]) for s in sums)
    people = np.vstack([everybody.n.sum(1), everybody.n.sum(1) - everybody.n.T])
    levels = np.array([cell.split(APART) for cell in everybody.cells])
    codes = [np.unique(column, return_inverse=True) for column in levels.T]
    targets = [people @ np.equal.outer(code, np.arange(len(names))) for names, code in codes]
    for term, (names, code), target in zip(margins, codes, targets, strict=True):
        for k, name in enumerate(names):
            if target[0, k] and not n[0, code == k].sum():
                told = (
                    f"{study.term(term).label} {name}"
                    if target[0, k] >= study.min_cell
                    else f"a small level of {study.term(term).label}"
                )
                return f"nobody of {told} answered; merge that level with another one, or leave {term} out of `margins`"
    weights = weighting.rake(n, [code for _, code in codes], targets)
    if not np.isfinite(weights[0]).all():
        return f"the margins of {', '.join(margins)} cannot be met together; leave one out of `margins`"
    means = (weights * total).sum(1) / (weights * n).sum(1)
    cost, there = weighting.kish(weights[0], n[0]), n[0] > 0
    if not given.independent:
        return inference.jackknife(float(means[0]), means[1:]), cost, int(n[0].sum())
    (w, n0, t0, s0), held = (x[0][there] for x in (weights, n, total, square)), [code[there] for _, code in codes]
    error = weighting.mean_error(w, n0, t0, s0, weighting.calibrated(t0 / n0, n0, held))
    return inference.wald(float(means[0]), error, n0.sum() - 1), cost, int(n0.sum())


def _celled(table: ir.Table, value: ir.Value, margins: Sequence[str]) -> tuple[ir.Table, ir.Value, str]:
    texts = [ibis.coalesce(table[c].cast("string"), ibis.literal("unknown")) for c in margins]
    celled = table.mutate(cx_value=value, cx_cell=functools.reduce(lambda a, b: a + APART + b, texts))
    return celled, celled.cx_value, "cx_cell"


def _by_answering(study: Study, of: str, terms: Sequence[str]) -> Weighted | str:
    """By one over the probability to answer, a logistic model on columns known of everybody; one Newton step without each block."""
    asked = study.answering(terms, only=(study.period,))
    if asked is None:
        return "who was invited and silent is not recorded"
    answers = study.rows([of], only=(study.period,))
    answers = answers.filter(answers[of].notnull()).select(*KEYS, cx_y=answers[of])
    table = asked.left_join(answers, list(KEYS)).drop("answered")
    table = table.mutate(cx_said=table.cx_y.notnull().cast("float64"), cx_y=ibis.coalesce(table.cx_y, 0.0))
    columns: dict[str, ir.Value] = {}
    for term in terms:
        if study.term(term).kind != "category":
            columns[f"x{len(columns)}"] = table[term]
            continue
        levels = sorted(x for x in table.select(term).distinct().to_pyarrow()[term].to_pylist() if x is not None)
        columns |= {f"x{len(columns) + k}": (table[term] == x).cast("float64") for k, x in enumerate(levels[1:])}
    found = rows(study, table.mutate(**columns), ["cx_said", "cx_y", *columns])
    said = found.of("cx_said")
    if not 0 < said.sum() < found.n:
        return "nobody answered" if found.n else "no row has all columns"
    fit = fit_logit(said, found.values[:, 2:])
    if not fit.converged:
        return f"whether customers answer is foretold without error by {', '.join(terms)}; leave one out of `margins`"
    there = said == 1
    score, blocks, design = as_score(of, found.of("cx_y")[there]), found.blocks[there], fit.matrix.in_own_units[there]
    means = []
    for block, beta in enumerate([fit.coefficients, *leave_one_out(fit, found.blocks)], start=-1):
        with np.errstate(over="ignore"):
            weight = (1 + np.exp(-design @ beta)) * (blocks != block)
        means.append(float(weight @ score / weight.sum()) if weight.sum() else math.nan)
    return inference.jackknife(means[0], np.array(means[1:])), weighting.kish(1 / fit.fitted[there]), int(there.sum())


def _designed(study: Study, of: str, _: Sequence[str]) -> Weighted | str:
    """By the weight that the design of the survey gave each answer."""
    found = rows(study, study.rows([of, "design_weight"], only=(study.period,)), [of, "design_weight"])
    weight = found.of("design_weight") if found.n else np.zeros(0)
    if not weight.sum() > 0:
        return "no answer has a weight above 0"
    score = as_score(of, found.of(of))
    estimate, cost = float(weight @ score / weight.sum()), weighting.kish(weight)
    if found.independent:
        error = weighting.mean_error(weight, np.ones_like(weight), score, score**2)
        return inference.wald(estimate, error, found.n - 1), cost, found.n
    total, whole = (np.bincount(found.blocks, weights=weight * v) for v in (score, np.ones_like(score)))
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (total.sum() - total) / (whole.sum() - whole)
    return inference.jackknife(estimate, left), cost, found.n
