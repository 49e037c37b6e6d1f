"""Path models: how several things that each stand behind several answers lead to one another, all at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, multiplicity, sampling
from cxresearch.evidence.lab.bootstrap import bootstrap_interval
from cxresearch.evidence.lab.pls import SCHEMES, PathModel, composite, fit_paths, performance
from cxresearch.evidence.moments import Spread, moments
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import MEASURES, MODELS, capital
from cxresearch.policy import SEED
from cxresearch.table import row

Array = NDArray[np.float64]
Numbers = dict[tuple[str, str, str | None], Array]  # measure, outcome and term of a row: its value, alone or in a stack
METHODS = (*SCHEMES, "consistent")
ITEMS, INTERVALS = ("standardised", "raw"), ("jackknife", "bootstrap")
DRAWS = 2000
IMPROPER = "improper"
UNITS = {"path": "SD per SD", "total_path": "SD per SD", "slope": "points of 100 per point of 100"}
SAME = 1e-8  # an eigenvalue below it: two of those that lead to one construct say the same


def paths(
    study: Study,
    links: Mapping[str, Sequence[str]],
    measures: Mapping[str, str | Sequence[str]] | None = None,
    *,
    method: str = "path",
    items: str = "standardised",
    intervals: str = "jackknife",
) -> Finding:
    """How several constructs lead to one another in a model of paths: direct, in all, and by which answers.

    `links` says for each construct which ones lead to it: `{"satisfaction": ["image", "quality"], "loyalty": ["satisfaction"]}`.
    A construct is a term, measured by the answers behind it, or a name of `measures` with its own: `{"quality": ["rater_rel_1", …]}`.
    Partial least squares by `method` path, factorial or centroid (how neighbours count), or consistent (path, corrected for
    unreliability). `items` are standardised (each answer counts by its correlations) or raw (by its covariances): the model
    of each row says which, and they differ. Rows: path and total_path, in standard deviations; r2; weight and loading of each
    answer; composite_reliability and ave; where all answers have a range, score, the mean of a construct from 0 to 100, and slope,
    the total association in points per point, by unstandardised weights. `intervals`: jackknife over blocks of clusters, or
    bootstrap of blocks, signs kept. Constructs are those of a diagram somebody drew: it is assumed, not shown.
    Sources: Tenenhaus et al. (2005); Dijkstra & Henseler (2015); Ringle & Sarstedt (2016).

    Example:
    >>> finding = cx.paths(study, {"satisfaction": ["reliability", "empathy"], "recommend": ["satisfaction"]})
    >>> [(row["term"], row["outcome"]) for row in finding.rows(measure="path")]
    [('reliability', 'satisfaction'), ('empathy', 'satisfaction'), ('satisfaction', 'recommend')]
    """
    question = f"How do {', '.join(links)} go with what is drawn to them?"
    _checked(method=(method, METHODS), items=(items, ITEMS), intervals=(intervals, INTERVALS))
    answers = _answers(study, links, dict(measures or {}))
    asked = [item for block in answers.values() for item in block]
    lacking = study.missing(*asked)
    if lacking:
        return sampling.nothing(study, f"paths {'+'.join(links)}", question, lacking)
    notes = sampling.Notes(study)
    spread = moments(study, study.rows(asked), asked).clustered
    notes.saw(spread, asked)
    for item in [x for x, v in zip(spread.columns, np.diagonal(spread.full), strict=True) if not v > 0]:
        notes.without(item, "the same in all rows")
        answers = {name: [x for x in block if x != item] for name, block in answers.items()}
    kind = "plsc" if method == "consistent" else "pls_raw" if items == "raw" else "pls"
    base: dict[str, Any] = {"n": spread.n, "clusters": spread.clusters, "model": kind}
    model, why = None, "too few rows have all answers"
    empty = [name for name, block in answers.items() if not block]
    if spread.n > len(answers) + 1 and not empty:
        spread = spread.of([item for block in answers.values() for item in block])
        made, model = _rows(study, spread, answers, links, (method, items, intervals), base)
    else:
        why = f"the answers of {empty[0]} do not vary" if empty and spread.n > 1 else why
        made = [row(outcome=to, term=x, measure="path", effect_label=why, **base) for to in links for x in links[to]]
    drawn = f"percentiles of {DRAWS:,} draws of" if intervals == "bootstrap" else "jackknife over"
    clusters = f"{sampling.told(study, spread.clusters)} {sampling.cluster_name(study)}s"
    finding = sampling.finding(
        study,
        made,
        name=f"paths {'+'.join(links)}",
        question=question,
        estimand="standardised path, with what else is drawn to the same construct held fixed",
        design="adjusted",
        method=f"Partial least squares, mode A, method {method}, {items} items. 95 % intervals: {drawn} {spread.blocks} blocks of {clusters}.",
        sample=notes.text(),
        caveats=[*_doubts(study, model, list(answers), asked), *notes.caveats()],
    )
    answer, title = _answer(finding, list(answers), links)
    return dataclasses.replace(finding, answer=answer, title=title)


def _checked(**words: tuple[str, Sequence[str]]) -> None:
    """A UsageError for a word that is not one of those allowed."""
    for what, (word, allowed) in words.items():
        if word not in allowed:
            raise UsageError(f"no {what} {word!r}; it is one of {', '.join(allowed)}")
    if (words["method"][0], words["items"][0]) == ("consistent", "raw"):
        raise UsageError("method 'consistent' corrects correlations: it needs items='standardised'")


def _answers(study: Study, links: Mapping[str, Sequence[str]], measures: Mapping[str, str | Sequence[str]]) -> dict[str, list[str]]:  # fmt: skip
    """The answers behind each construct, those that lead first; a UsageError for what is no model."""
    if not links or any(isinstance(before, str) or not before for before in links.values()):
        raise UsageError("links name for each construct those that lead to it: {'satisfaction': ['image', 'quality']}")
    try:
        order = list(TopologicalSorter(links).static_order())
    except CycleError as error:
        raise UsageError(f"links run in a circle: {' → '.join(reversed(error.args[1]))}; leave one out") from None
    spare = [name for name in measures if name not in order]
    if spare:
        raise UsageError(f"no link names the measure {spare[0]!r}; the links name {', '.join(order)}")
    found: dict[str, list[str]] = {}
    for name in order:
        named = measures.get(name, name)
        behind = [y for x in ([named] if isinstance(named, str) else named) for y in study.items(x) or (x,)]
        twice = [x for x in behind if behind.count(x) > 1 or any(x in block for block in found.values())]
        wrong = [x for x in behind if study.term(x).kind not in ("number", "flag")]
        if twice or wrong or not behind:
            what = (
                f"{twice[0]!r} stands twice"
                if twice
                else f"{wrong[0]!r} is no number"
                if wrong
                else "there is no answer"
            )
            raise UsageError(f"measures of {name!r}: {what}; each answer belongs to one construct")
        found[name] = behind
    return found


def _rows(
    study: Study,
    spread: Spread,
    answers: Mapping[str, Sequence[str]],
    links: Mapping[str, Sequence[str]],
    how: tuple[str, str, str],
    base: dict[str, Any],
) -> tuple[list[dict[str, Any]], PathModel]:
    """Every number of the model as a row with its interval, and the model of all rows."""
    (method, items, intervals), names = how, list(answers)
    blocks = [spread.at(*block) for block in answers.values()]
    arrows = np.zeros((len(names), len(names)), dtype=bool)
    for to, before in links.items():
        arrows[[names.index(x) for x in before], names.index(to)] = True
    terms = [study.term(item) for item in spread.columns]
    low, high = (
        np.array([np.nan if v is None else v for v in end])
        for end in zip(*((t.low, t.high) for t in terms), strict=True)
    )

    def numbers(covariance: Array, mean: Array, like: Array | None = None) -> tuple[Numbers, PathModel]:
        """What a covariance matrix says, or each of a stack of them."""
        raw = items == "raw"
        with np.errstate(invalid="ignore", divide="ignore"):
            deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
            unit = 1 / spread.scale if raw else deviation  # what an answer is divided by as it enters
            entered = covariance / (unit[..., :, None] * unit[..., None, :])
        scheme = "path" if method == "consistent" else method
        model = fit_paths(entered, blocks, arrows, scheme, consistent=method == "consistent", like=like)
        made = _of_model(model, names, answers, arrows)
        standard = model.weights * (deviation * spread.scale)[..., None] if raw else model.weights
        to_points = 100 / (high - low)
        means, slopes = performance(
            standard, model.total, deviation * spread.scale * to_points, (mean - low) * to_points
        )
        made |= {("score", name, None): means[..., i] for i, name in enumerate(names)}
        made |= {
            ("slope", y, x): slopes[..., names.index(str(x)), names.index(y)] for m, y, x in made if m == "total_path"
        }
        return made, model

    whole, model = numbers(spread.full, spread.mean)
    left_out = numbers(spread.left_out, spread.mean_left_out, model.weights)[0]
    draws = numbers(spread.resampled(DRAWS, SEED), spread.mean, model.weights)[0] if intervals == "bootstrap" else {}
    return _with_intervals(whole, left_out, draws, base), model


def _with_intervals(whole: Numbers, left_out: Numbers, draws: Numbers, base: dict[str, Any]) -> list[dict[str, Any]]:
    """The numbers of a model as rows, each with its interval; p-values of paths are adjusted together."""
    made: list[dict[str, Any]] = []
    for key, value in whole.items():
        measure, outcome, term = key
        where: dict[str, Any] = {"outcome": outcome, "term": term, "measure": measure, **base}
        if not np.isfinite(value):  # a construct whose answers have no range has no mean from 0 to 100
            made += [row(effect_label="the model has no proper solution", **where)] if measure == "path" else []
            continue
        if key in draws and measure != "score":  # draws of blocks are those of covariances: a mean has the jackknife's
            interval = bootstrap_interval(float(value), draws[key], "percentile")
        else:
            interval = inference.jackknife(
                float(value), left_out[key], on=measure if MEASURES[measure].scale == "log_rest" else None
            )
        if measure not in UNITS:
            interval = dataclasses.replace(interval, p_value=None)  # no question whether it is zero
        made.append(row(unit=UNITS.get(measure, ""), **where, **interval.numbers()))
    tested = [record for record in made if record["measure"] == "path"]
    for record, adjusted in zip(tested, multiplicity.adjusted([r["p_value"] for r in tested]), strict=True):
        record["p_adjusted"] = adjusted
    return made


def _of_model(
    model: PathModel, names: Sequence[str], answers: Mapping[str, Sequence[str]], arrows: NDArray[np.bool_]
) -> Numbers:
    """The numbers of a fitted model by measure, outcome and term."""
    made: Numbers = {("path", names[j], names[i]): model.paths[..., i, j] for i, j in np.argwhere(arrows).tolist()}
    routes = np.linalg.inv(np.eye(len(names)) - arrows) - np.eye(len(names))  # how many ways lead from one to another
    made |= {("total_path", names[j], names[i]): model.total[..., i, j] for i, j in np.argwhere(routes > 0.5).tolist()}
    made |= {("r2", names[j], None): model.r2[..., j] for j in np.flatnonzero(arrows.any(0)).tolist()}
    first = 0
    for j, (name, block) in enumerate(answers.items()):
        own = range(first, first + len(block))
        first += len(block)
        if len(block) > 1:  # a single answer is what it measures
            made |= {("weight", name, item): model.weights[..., p, j] for p, item in zip(own, block, strict=True)}
            made |= {("loading", name, item): model.loadings[..., p, j] for p, item in zip(own, block, strict=True)}
            both = composite(model.loadings[..., j], own)
            made["composite_reliability", name, None], made["ave", name, None] = both
    return made


def _doubts(study: Study, model: PathModel | None, names: Sequence[str], asked: Sequence[str]) -> list[Caveat]:
    """What a path model takes for granted, and whether this one is proper: what to do where it is not."""
    told = {"assumed-order": "The arrows are drawn, not shown: turned around they would fit as well. Nothing unmeasured is held fixed."}  # fmt: skip
    if all(study.on_survey([item]) for item in asked):
        told["halo"] = "All answers of one questionnaire move together: a path among them is in part one mood."
    if model is None:
        return [Caveat(code, text) for code, text in told.items()]
    if not bool(model.converged):
        told["not-converged"] = "The weights turn in a circle. Try method 'path', or leave out a construct that goes with none of its neighbours."  # fmt: skip
    elif (
        float(np.linalg.eigvalsh(np.nan_to_num(model.correlations))[0]) < SAME
        or (model.r2 > 1).any()
        or not ((model.rho_a > 0) & (model.rho_a <= 1)).all()
    ):
        told[IMPROPER] = "Two constructs correlate by 1 or more, or a reliability lies outside 0 to 1. Join those that cannot be told apart, or take method 'path'."  # fmt: skip
    negative = [name for name, low in zip(names, model.weights.min(0), strict=True) if low < 0]
    if negative:
        told["negative-weights"] = f"An answer counts against the others of {', '.join(negative)}: turn it around or leave it out; until then its score has no scale."  # fmt: skip
    return [Caveat(code, text) for code, text in told.items()]


def _answer(finding: Finding, names: Sequence[str], links: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    told = [r for r in finding.rows(measure="path") if r["estimate"] is not None]
    if not told:
        return f"Not estimable: {sampling.why_not(finding, 'no path has a value')}.", "Not estimable"

    def label(name: str) -> str:
        return BY_NAME[name].label if name in BY_NAME else name

    to = [name for name in names if name in links][-1]
    best = max((r for r in told if r["outcome"] == to), key=lambda r: abs(r["estimate"]))
    first = f"{label(best['term'])} ranks first among {len(links[to])} that go with {label(to)}"
    if len(links[to]) == 1:
        first = f"{label(best['term'])} goes with {label(to)}"
    if best["conf_low"] is None or best["conf_low"] <= 0 <= best["conf_high"]:
        first = f"no path to {label(to)} is told from zero"
    one = "the path" if len(links[to]) == 1 else "the largest path"
    text = f"{one} is {written(best)}, R² {written(finding.one(measure='r2', outcome=to), n=False)}"
    doubt = "Not to be relied on, the model is improper. " if IMPROPER in [c.code for c in finding.caveats] else ""
    how = MODELS[best["model"]].removeprefix("path model, ")
    return f"{doubt}In the model as drawn ({how}) {first}: {text}.", capital(first)
