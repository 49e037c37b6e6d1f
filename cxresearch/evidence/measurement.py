"""Measurement: how reliably the answers behind a score measure one thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri  # scipy.stats takes as long to import as all else

from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.association import alpha
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab import confirmatory, consistency
from cxresearch.evidence.moments import Spread, moments
from cxresearch.finding import Caveat, Finding
from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]
LOW = 0.7  # below it a score is usually held too unreliable to compare groups by
IMPROPER = "The one-factor model behind omega is improper ({}): read alpha instead, and look at those answers."
AGAINST = "Answers run against the others of their score ({}): if they were asked the other way round, turn them around first; until then neither the score nor its reliability has a meaning."
METHODS = ("alpha", "omega", "observed", "composite", "others", "items", "duhachek")
METHOD_WORDS = {
    "alpha": "Cronbach's alpha.",
    "omega": "McDonald's omega of a one-factor model by maximum likelihood, of the variance of the sum that the model implies.",
    "observed": "Omega of the observed variance of the sum too, which differs where one factor fits badly.",
    "composite": "Composite reliability and average variance extracted (Fornell & Larcker) of standardised answers.",
    "others": "Alpha of standardised answers, Guttman's lambda 6, mean correlation of the answers.",
    "items": "Of each answer: correlation with the sum of the others and of all, alpha without it.",
    "duhachek": "Beside Feldt's interval of alpha that of Duhachek & Iacobucci, which needs no parallel answers.",
}


def reliability(
    study: Study, of: str | Sequence[str] | None = None, *, method: Sequence[str] = ("alpha", "omega")
) -> Finding:
    """How reliably each score of several answers measures one thing: Cronbach's alpha and McDonald's omega.

    `of` are scores that are means of answers (default: all that the study has), over the window. `method` is any of
    METHODS. Rows by measure and model: alpha (crude; `standardised`; `dropped`: without the answer that is the term;
    `duhachek`: with that interval), omega (`implied`; with "observed" `observed` too: by which variance of the sum), composite_reliability and ave
    (`standardised`), lambda6, r (`answers`: mean among answers), item_total (`rest`: with the others; `all`).
    Intervals, where every row is one customer: Feldt's, the delta method for omega (by what is left to 1), Fisher's z; else, and where there is no
    textbook, the jackknife over blocks of clusters. Two answers have no omega. Sources: Cronbach (1951); Feldt (1965); McDonald (1999); Fornell &
    Larcker (1981), as R's psych and lavaan. Alpha is a lower bound where the answers weigh differently.

    Example:
    >>> found = cx.reliability(study, "satisfaction")
    >>> [(row["measure"], row["model"]) for row in found.rows()]
    [('alpha', 'crude'), ('omega', 'implied')]
    """
    unknown = sorted(set(method) - set(METHODS))
    if unknown:
        raise UsageError(f"no method {unknown[0]!r} of reliability; it has {', '.join(METHODS)}")
    asked = (of,) if isinstance(of, str) else tuple(t for t in study.terms if study.items(t)) if of is None else of
    scores = [name for name in asked if len(study.items(name)) > 1]
    question = "How reliably do the answers behind each score measure one thing?"
    if not scores:
        return sampling.nothing(
            study, "reliability", question, study.missing(*asked) or ["score that is the mean of several answers"]
        )
    notes, made, improper, against = sampling.Notes(study), [], list[str](), list[str]()
    for name in scores:
        items = study.items(name)
        score = _Score(name, moments(study, study.rows(items), items).clustered)
        notes.saw(score.spread, items)
        made += score.rows(method)
        if score.spread.n >= study.min_cell:  # of fewer nothing is told, so nothing is doubted
            improper += [f"{study.term(name).label}: {why}" for why in score.improper]
            against += [f"{study.term(name).label}: {', '.join(score.against)}"] if score.against else []
    finding = sampling.finding(
        study,
        made,
        name="reliability",
        question=question,
        estimand="share of the variance of a score that its answers have in common",
        method=" ".join(
            [*(METHOD_WORDS[m] for m in METHODS if m in method), _interval_words(notes)],
        ),
        sample=notes.text(),
        caveats=[
            *(
                Caveat(code, text.format("; ".join(why)))
                for code, text, why in (("against", AGAINST, against), ("improper", IMPROPER, improper))
                if why
            ),
            *notes.caveats(),
        ],
    )
    answer, title = _answer(study, finding)
    return dataclasses.replace(finding, answer=answer, title=title)


def _interval_words(notes: sampling.Notes) -> str:
    if all(s.independent for s in notes.spreads):
        return (
            "95 % intervals: Feldt for alpha, the delta method for omega, else the jackknife over blocks of customers."
        )
    return notes.interval_method()


def _answer(study: Study, finding: Finding) -> tuple[str, str]:
    headline = finding.rows(measure="alpha", model="crude") or finding.rows(measure="omega", model="implied")
    told = [r for r in headline or finding.rows() if r["estimate"] is not None]
    if not told:
        return f"Not estimable: {sampling.why_not(finding, 'the answers do not vary')}.", "Not estimable"
    measure = told[0]["measure"].replace("_", " ").capitalize()
    listed = ", ".join(
        f"{study.term(r['outcome']).label} {number(r['estimate'], 2)}" for r in told if r["term"] is None
    )
    text = f"{measure}: {listed}." if headline else "How each answer goes with its score stands in the rows."
    low = [study.term(r["outcome"]).label for r in headline if r["estimate"] is not None and r["estimate"] < LOW]
    if low:
        text += f" Below {LOW} a score is too unreliable to compare groups by: {', '.join(low)}."
        return text, f"Too unreliable to compare groups by: {', '.join(low)}"
    if not headline:
        return text, "How each answer goes with its score"
    least = min(r["estimate"] for r in told)
    return text, f"Each score is measured with {measure[0].lower() + measure[1:]} of {number(least, 2)} or more"


class _Score:
    """One score: the covariances of its answers, in own units, and the rows made from them."""

    def __init__(self, name: str, spread: Spread) -> None:
        self.name, self.spread, self.k = name, spread, len(spread.columns)
        own = spread.scale[:, None] * spread.scale[None, :]
        self.full, self.left_out = spread.full * own, spread.left_out * own
        self.improper: list[str] = []

    @property
    def names(self) -> list[str]:
        """The answers as they are called."""
        return [BY_NAME[c].label if c in BY_NAME else c for c in self.spread.columns]

    @property
    def against(self) -> list[str]:
        """Answers that go beyond chance against the first component of all, as R's psych names them."""
        r = consistency.correlations(self.full)
        if not np.isfinite(r).all():
            return []
        roots, vectors = np.linalg.eigh(r)
        loadings = vectors[:, -1] * np.sqrt(max(roots[-1], 0.0)) * (-1.0 if vectors[:, -1].sum() < 0 else 1.0)
        tops = (inference.pearson_interval(x, self.spread.clusters).conf_high for x in np.clip(loadings, -1, 1))
        return [name for name, top in zip(self.names, tops, strict=True) if top is not None and top < 0]

    def rows(self, method: Sequence[str]) -> list[dict[str, Any]]:
        made = []
        everyone = list(range(self.k))
        if "alpha" in method:
            made.append(self._row("alpha", self._alpha(self.full, lambda s: alpha(s, everyone), self.k)))
        if "duhachek" in method:
            made.append(self._row("alpha", self._duhachek(), "duhachek"))
        if {"omega", "observed", "composite"} & set(method):
            made += self._of_one_factor(method)
        if "others" in method:
            standard = self._smooth(lambda s: alpha(consistency.correlations(s), everyone), "alpha")
            made.append(self._row("alpha", standard, "standardised"))
            made.append(self._row("lambda6", self._smooth(consistency.lambda6, "lambda6")))
            made.append(self._row("r", self._smooth(consistency.mean_between, "r"), "answers"))
        for i in everyone if "items" in method else ():
            made += self._of_item(i)
        return made

    def _row(self, measure: str, interval: Interval, model: str = "crude", **more: Any) -> dict[str, Any]:
        s = self.spread
        numbers = interval.numbers() | {"n": s.n, "clusters": s.clusters, "unit": f"{self.k} answers"} | more
        return row(outcome=self.name, measure=measure, model=model, **numbers)

    def _smooth(self, of: Callable[[Array], Array], measure: str) -> Interval:
        """A number of the covariances with its jackknife over blocks; none where it does not exist."""
        if self.spread.n < 2:
            return inference.NOTHING
        try:
            return inference.jackknife(float(of(self.full)), of(self.left_out), on=measure)
        except np.linalg.LinAlgError:  # answers that say the same twice
            return inference.NOTHING

    def _alpha(self, full: Array, of: Callable[[Array], Array], k: int) -> Interval:
        if self.spread.independent and self.spread.n > 1 and k > 1:
            return feldt_interval(float(of(full)), self.spread.n, k)
        return self._smooth(of, "alpha")

    def _duhachek(self) -> Interval:
        if not self.spread.independent:
            return self._alpha(self.full, lambda s: alpha(s, list(range(self.k))), self.k)
        estimate = float(alpha(self.full, list(range(self.k))))
        return inference.wald(estimate, consistency.alpha_error(self.full, self.spread.n), None)

    def _of_item(self, i: int) -> list[dict[str, Any]]:
        made, term = [], self.spread.columns[i]
        for model, corrected in (("rest", True), ("all", False)):

            def total(s: Array, corrected: bool = corrected) -> Array:
                return consistency.item_total(s, i, corrected=corrected)

            interval = self._smooth(total, "item_total")
            if self.spread.independent and interval.estimate is not None:
                interval = inference.pearson_interval(interval.estimate, self.spread.n)
            made.append(self._row("item_total", interval, model, term=term))
        without = self._alpha(self.full, lambda s: consistency.alpha_without(s, i), self.k - 1)
        return [*made, self._row("alpha", without, "dropped", term=term)]

    def _of_one_factor(self, method: Sequence[str]) -> list[dict[str, Any]]:
        """Omegas, composite reliability and AVE of the one-factor model of the answers, or why there are none."""
        order = [
            (measure, model)
            for way, measure, model in (
                ("omega", "omega", "implied"),
                ("observed", "omega", "observed"),
                ("composite", "composite_reliability", "standardised"),
                ("composite", "ave", "standardised"),
            )
            if way in method
        ]
        why, fit = one_factor(self.spread)
        if fit is None:
            return [self._row(m, inference.NOTHING, model, effect_label=why) for m, model in order]
        self.improper = fit.improper(self.names)
        scale = self.spread.scale
        thetas = confirmatory.refitted(fit, self.spread.left_out)

        def composite(theta: Array, covariance: Array = self.full) -> Array:
            loadings, _, errors = fit.matrices(theta)
            found = consistency.composites(loadings[:, 0] * scale, errors * scale**2, float(covariance.sum()))
            return np.array([found.implied, found.observed, found.standardised, found.extracted])

        full = composite(fit.theta, self.full)
        left = np.array([composite(t, s) for t, s in zip(thetas, self.left_out, strict=True)])
        errors = confirmatory.errors_of(composite, fit, fit.covariance)
        made = []
        for measure, model in order:
            at = {"implied": 0, "observed": 1, "standardised": 2}[model] + (measure == "ave")
            textbook = self.spread.independent and model != "observed"
            interval = (
                inference.wald(full[at], errors[at], None, on=measure)
                if textbook
                else inference.jackknife(full[at], left[:, at], on=measure)
            )
            made.append(self._row(measure, dataclasses.replace(interval, p_value=None), model))
        return made


def one_factor(spread: Spread) -> tuple[str, confirmatory.Fit | None]:
    """The one-factor model of all columns of a spread, or why there is none."""
    k = len(spread.columns)
    still = [c for c, v in zip(spread.columns, np.diag(spread.full), strict=True) if not v > 0]
    if k < 3:
        return "two answers have no omega: three are the least", None
    if spread.n <= k or still:
        return "fewer customers than answers" if spread.n <= k else f"{', '.join(still)} does not vary", None
    try:
        fit = confirmatory.fit([confirmatory.Sample(spread.full, spread.n)], np.ones((k, 1), dtype=bool))
    except np.linalg.LinAlgError:
        return "some answers say the same twice", None
    return ("", fit) if fit.converged else ("the search for the best loadings did not end", None)


def feldt_interval(estimate: float, n: int, k: int, level: float = inference.LEVEL) -> Interval:
    """Feldt's interval of alpha of k answers by n people: exact for parallel normal answers.

    Source: Feldt (1965): (1 - alpha) times F quantiles with n - 1 and (n - 1)(k - 1) degrees of freedom.
    """
    ends = fdtri(n - 1, (n - 1) * (k - 1), [0.5 + level / 2, 0.5 - level / 2])
    low, high = (float(1 - (1 - estimate) * q) for q in ends)
    return Interval(estimate, None, None, low, high, None)
