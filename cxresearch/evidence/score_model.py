"""Score model: whether the answers belong to the scores as these are named, and answer alike in each segment."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cxresearch.evidence import inference
from cxresearch.evidence.held import levels
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab import confirmatory, consistency, model_fit, ordered
from cxresearch.evidence.lab.confirmatory import Fit, Sample
from cxresearch.evidence.moments import moments
from cxresearch.evidence.questionnaire import ANSWERS, Answers
from cxresearch.finding import Caveat

Array = NDArray[np.float64]
NOT_INVARIANT = -0.01  # a fall of CFI that says the groups differ: Cheung & Rensvold (2002)
IMPROPER = (
    "The model of the scores is improper ({}): its loadings and correlations are of no people. Leave out that answer, or join "
    "scores whose correlation is near one; number of factors and HTMT do not rest on the model."
)
Fitted = tuple[Fit, Array, float]  # a model, the robust covariance of its parameters, the scaling of its chi²
NO_END = "the search for the best loadings did not end: the answers do not hold these scores"
FEW = "a model needs a score of three answers, or two scores of two"
ORDERED = "answers of few categories: not asked of them"


def rows(asked: Answers, method: Sequence[str], by: str | None) -> list[dict[str, Any]]:
    """What `method` asks about the model of the scores, and whether the levels of `by` answer alike."""
    made: list[dict[str, Any]] = []
    if "model" in method:
        made += _ordered_model(asked) if asked.ordered else _model(asked, _declared(asked))
    made += _distinct(asked) if "distinct" in method else []
    return made + (_invariance(asked, by) if by is not None else [])


def _unmodelled(asked: Answers) -> str:
    """Why the answers can have no model of their scores, if so."""
    return ORDERED if asked.ordered else FEW if _undetermined(asked) else ""


def _undetermined(asked: Answers) -> bool:
    """Whether there are more loadings and correlations than the answers have correlations to tell them by."""
    return not asked.whole or len(asked.modelled) < 3


def _declared(asked: Answers) -> Fitted | str:
    """The model of the scores, or why there is none."""
    if why := _unmodelled(asked):
        return why
    try:
        fit = _fitted(asked, asked.pattern)
    except np.linalg.LinAlgError:
        return "some answers add up to others"
    if not fit[0].converged:
        return NO_END
    if doubts := fit[0].improper([asked.label(asked.items[i]) for i in asked.modelled]):
        asked.caveats.append(Caveat("improper", IMPROPER.format("; ".join(doubts))))
    return fit


def _fitted(asked: Answers, pattern: NDArray[np.bool_]) -> Fitted:
    """A model with the robust covariance of its parameters and the scaling of its chi²."""
    fit = confirmatory.fit([Sample(asked.r[np.ix_(asked.modelled, asked.modelled)], asked.n)], pattern)
    chosen = asked.values[:, asked.modelled]
    return fit, *confirmatory.robust(fit, (chosen - chosen.mean(0)) / chosen.std(0), asked.blocks)


def _model(asked: Answers, fitted: Fitted | str) -> list[dict[str, Any]]:
    if isinstance(fitted, str):
        return [asked.row("fit_index", inference.NOTHING, term="cfi", model="robust", effect_label=fitted)]
    fit, covariance, scaling = fitted
    made = _parameters(asked,
        fit.standardised(), confirmatory.errors_of(fit.standardised, fit, covariance), fit.matrices()[1],
        confirmatory.errors_of(lambda at: fit.matrices(at)[1], fit, covariance), "robust",
    )  # fmt: skip
    apart = _fitted(asked, asked.pattern[:, :0])[2]
    made += _indices(asked, fit, "robust", scaling, apart) + _indices(asked, fit, "normal", 1.0, 1.0)
    if len(asked.whole) > 1:
        one, _, scaling = _fitted(asked, np.ones((len(asked.modelled), 1), dtype=bool))
        made += _indices(asked, one, "one_factor", scaling, apart) if one.converged else []
    return made + _composites(asked, fitted)


def _parameters(
    asked: Answers, loadings: Array, errors: Array, between: Array, between_errors: Array, model: str
) -> list[dict[str, Any]]:
    """Loadings of the answers, and correlations between the scores."""
    df = float(len(asked.left_out) - 1) if asked.blocks is not None else None
    made = []
    for i, k in np.argwhere(asked.pattern):
        interval = inference.wald(float(loadings[i, k]), float(errors[i, k]), df)
        names = {"outcome": list(asked.whole)[k], "term": asked.items[asked.modelled[i]], "model": model}
        made.append(asked.row("loading", interval, **names))
    for k, j in np.argwhere(np.tril(np.ones(between.shape), -1)):
        interval = inference.wald(float(between[k, j]), float(between_errors[k, j]), df)
        label = {"effect_label": "improper: beyond 1"} if abs(between[k, j]) > 1 else {}
        if label or interval.conf_low is None or interval.conf_high is None:
            interval = Interval(None if label else float(between[k, j]))
        else:
            interval = dataclasses.replace(
                interval, conf_low=max(interval.conf_low, -1), conf_high=min(interval.conf_high, 1)
            )
        names = {"outcome": list(asked.whole)[j], "term": list(asked.whole)[k], "model": model}
        made.append(asked.row("r", interval, **names, **label))
    return made


def _indices(asked: Answers, fit: Fit, model: str, scaling: float, apart_scaling: float) -> list[dict[str, Any]]:
    """The fit of a model as rows; no test where rows share clusters and the scaling does not know it."""
    r, implied, unscaled = fit.samples[0].covariance, fit.implied(), model == "normal"
    if not np.isfinite([scaling, apart_scaling]).all():
        return [
            asked.row(
                "fit_index",
                inference.NOTHING,
                term="cfi",
                model=model,
                effect_label="too few clusters to scale chi² by",
            )
        ]
    found = model_fit.indices(fit.chi2, fit.df, *model_fit.independence(r, asked.n), asked.n, scaling, apart_scaling)
    test = {} if unscaled and asked.blocks is not None else {"p_value": found.p_value}
    made = [asked.row("fit_index", found.chi2, term="chi2", model=model, df=fit.df, **test)]
    ends = {"conf_low": found.rmsea_low, "conf_high": found.rmsea_high, "conf_level": 0.9}
    values: dict[str, float] = {
        "cfi": found.cfi,
        "tli": found.tli,
        "rmsea": found.rmsea,
        "srmr": model_fit.srmr(r, implied),
    }
    if unscaled:
        own = np.outer(asked.spread.scale, asked.spread.scale) * asked.spread.full
        likelihood = model_fit.log_likelihood(fit.chi2, own[np.ix_(asked.modelled, asked.modelled)], asked.n)
        count = fit.layout.count
        values |= {"aic": 2 * count - 2 * likelihood, "bic": count * math.log(asked.n) - 2 * likelihood}
    for term, value in values.items():
        made.append(
            asked.row(
                "fit_index",
                inference.NOTHING,
                term=term,
                model=model,
                estimate=value,
                **(ends if term == "rmsea" else {}),
            )
        )
    return made


def _ordered_model(asked: Answers) -> list[dict[str, Any]]:
    if _undetermined(asked):
        return [asked.row("fit_index", inference.NOTHING, term="srmr", model="ordered", effect_label=FEW)]
    low, at = np.tril_indices(asked.p, -1), asked.modelled
    kept = np.isin(low[0], at) & np.isin(low[1], at)
    fit = ordered.fit_ordered(asked.r[np.ix_(at, at)], asked.influence[:, kept], asked.pattern, asked.blocks)
    if np.abs(fit.loadings).max() > 1 or np.linalg.eigvalsh(fit.factors).min() < 1e-9 or not fit.converged:
        asked.caveats.append(Caveat("improper", IMPROPER.format("a loading or a correlation beyond one")))
    made = _parameters(asked, fit.loadings, fit.loading_errors, fit.factors, fit.factor_errors, "ordered")
    test = {"df": fit.df, "p_value": float(stats.chi2.sf(fit.chi2, fit.df)) if fit.df else None}
    made.append(asked.row("fit_index", inference.NOTHING, term="chi2", model="ordered", estimate=fit.chi2, **test))
    return [*made, asked.row("fit_index", fit.residual, term="srmr", model="ordered")]


def _distinct(asked: Answers) -> list[dict[str, Any]]:
    """The heterotrait-monotrait ratio of every two scores."""
    made = []
    for (a, mine), (b, yours) in itertools.combinations(asked.whole.items(), 2):
        for model in ("crude", "geometric"):
            ratio = asked.smooth(lambda r: consistency.htmt(r, mine, yours, geometric=model == "geometric"), "htmt")  # noqa: B023
            made.append(asked.row("htmt", ratio, outcome=a, term=b, model=model))
    return made


def _composites(asked: Answers, fitted: Fitted) -> list[dict[str, Any]]:
    """Composite reliability and average variance extracted of each score, by its loadings in the model of all."""
    made, scores = [], list(asked.whole.items())
    fit, covariance, _ = fitted

    def composite(theta: Array) -> Array:
        loadings, errors = fit.standardised(theta), []
        for k in range(len(scores)):
            own = loadings[asked.pattern[:, k], k]
            found = consistency.composites(own, 1 - own**2, 1.0)
            errors.append([found.standardised, found.extracted])
        return np.array(errors)

    values, errors = composite(fit.theta), confirmatory.errors_of(composite, fit, covariance)
    shared = (fit.matrices()[1] ** 2 - np.eye(len(scores))).max(0)
    df = float(len(asked.left_out) - 1) if asked.blocks is not None else None
    for k, (name, _) in enumerate(scores):
        for q, measure in enumerate(("composite_reliability", "ave")):
            interval = inference.wald(float(values[k, q]), float(errors[k, q]), df, on=measure)
            interval = dataclasses.replace(interval, p_value=None)
            most = {"effect": float(shared[k])} if measure == "ave" and len(scores) > 1 else {}
            made.append(asked.row(measure, interval, outcome=name, model="robust", **most))
    return made


def _invariance(asked: Answers, by: str) -> list[dict[str, Any]]:
    """Whether the levels of a segment answer alike: the same loadings, then the same intercepts too."""
    table = asked.study.rows([*asked.items, by])
    items, scale = [asked.items[i] for i in asked.modelled], asked.spread.scale[asked.modelled]
    samples = []
    for _, only in levels(asked.study, table, by):
        s = moments(asked.study, only, items).clustered
        own = s.full * np.outer(s.scale, s.scale) / np.outer(scale, scale)
        if s.n > max(len(items), asked.study.min_cell) and np.linalg.eigvalsh(own).min() > confirmatory.SINGULAR:
            samples.append(Sample(own, s.n, (s.mean - asked.spread.mean[asked.modelled]) / scale))
    nothing = {"outcome": ANSWERS, "term": by, "model": "configural"}
    why = _unmodelled(asked)
    if len(samples) < 2 or why:
        return [
            asked.row(
                "fit_index",
                inference.NOTHING,
                **nothing,
                effect_label=why or "fewer than two levels with enough customers whose answers vary",
            )
        ]
    apart = np.sum([model_fit.independence(s.covariance, s.n) for s in samples], axis=0)
    n, before, made = sum(s.n for s in samples), None, list[dict[str, Any]]()
    for model in ("configural", "metric", "scalar"):
        fit = confirmatory.fit(samples, asked.pattern, equal=model)
        if not fit.converged:
            return [*made, asked.row("fit_index", inference.NOTHING, term=by, model=model, effect_label=NO_END)]
        cfi = model_fit.comparative(fit.chi2 - fit.df, float(apart[0] - apart[1]))
        if doubts := fit.improper([asked.label(item) for item in items]):
            asked.caveats.append(Caveat("improper", IMPROPER.format(f"by {by}, {model}: {'; '.join(doubts)}")))
        made.append(asked.row("fit_index", cfi, term=by, model=model, n=n, df=fit.df, effect=fit.chi2))
        if before is not None:
            fell, chi2, df = cfi - before[0], fit.chi2 - before[1].chi2, fit.df - before[1].df
            test = {"p_value": float(stats.chi2.sf(max(chi2, 0.0), df))} if asked.blocks is None else {}
            word = "differ" if fell < NOT_INVARIANT else "alike"
            made.append(
                asked.row("difference", fell, term=by, model=model, n=n, df=df, effect=chi2, effect_label=word, **test)
            )
        before = (cfi, fit)
    return made
