"""Dimensions: how many things the answers of a questionnaire measure, and whether they are those that its scores name."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab import confirmatory, consistency, extraction, fit_indices, ordered
from cxresearch.evidence.lab.confirmatory import Fit, Sample
from cxresearch.evidence.moments import moments
from cxresearch.evidence.rows import rows
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row

Array = NDArray[np.float64]
METHODS = ("number", "model", "distinct", "halo", "oblimin", "varimax", "promax")
ANSWERS = "answers"  # the outcome of rows about all answers together
FEW_CATEGORIES = 4  # answers of no more categories are taken as ordered, not as numbers
DRAWS, SEED = 500, 20261
SAME = 1 - 1e-9  # two answers that correlate closer say the same twice
NOT_DISTINCT = 0.9  # Henseler, Ringle & Sarstedt (2015)
NOT_INVARIANT = -0.01  # a fall of CFI that says the groups differ: Cheung & Rensvold (2002)
TOO_FEW = "fewer than three answers that vary, or fewer customers than answers"
IMPROPER = (
    "The model of the scores is improper ({}): its loadings and correlations are of no people. Leave out that answer, or join "
    "scores whose correlation is near one; number of factors and HTMT do not rest on the model."
)


def factors(
    study: Study,
    of: str | Sequence[str] | None = None,
    *,
    by: str | None = None,
    method: Sequence[str] = ("number", "model", "distinct", "halo"),
) -> Finding:
    """How many things the answers measure, whether they are those that the scores name, and how much is halo.

    `of` are scores, or single answers by name (default: the rated dimensions, else all scores); `method` any of METHODS:

    - number: measure factors by parallel analysis, with the range over 99 % of draws of blocks (effect: share of draws that agree);
      eigenvalue with its chance level as effect; KMO and Bartlett's test as fit_index.
    - model: the confirmatory model of the scores: loading, r between factors, fit_index (chi2, cfi, tli, rmsea, srmr, aic, bic),
      model `normal` by ML, `robust` with the scaled test, `one_factor` for one factor alone.
    - distinct: htmt (crude; `geometric`: HTMT2), ave (effect: the largest squared correlation with another score), composite_reliability.
    - halo: share of the first component (term one_factor, an upper bound of what colours all answers), of customers
      who give one answer throughout a score (straight_line), of what the marker item shares with the answers (marker_item).
    - oblimin, varimax, promax: loadings by minres so rotated, and r between the factors.

    `by` asks whether the levels of a segment answer alike: models `configural`, `metric` (same loadings) and `scalar` (same
    intercepts too), each with its CFI and the difference from the one before. Answers of at most four categories enter by polychoric
    correlations and weighted least squares (model `ordered`). Errors are robust, within clusters where rows share them.
    Sources: Horn (1965); Jöreskog (1969); Yuan & Bentler (2000); Fornell & Larcker (1981); Lindell & Whitney (2001), as R's psych, lavaan, semTools.

    Example:
    >>> found = cx.factors(study, study.rater, method=["number"])
    >>> found.one(measure="factors")["n"] > 0
    True
    """
    unknown = sorted(set(method) - set(METHODS))
    if unknown:
        raise UsageError(f"no method {unknown[0]!r} of factors; it has {', '.join(METHODS)}")
    question = "How many things do the answers measure, and are they those that the scores name?"
    scored = {name: study.items(name) for name in study.terms if study.items(name)}
    known = {item for items in scored.values() for item in items}
    given = (of,) if isinstance(of, str) else of
    asked = tuple(given if given is not None else [t for t in study.rater if t in scored] or scored)
    lacking = study.missing(*(t for t in [*asked, *([by] if by else [])] if t not in known))
    names = {name: scored[name] for name in asked if name in scored}
    items = list(dict.fromkeys(item for name in asked for item in scored.get(name, (name,))))
    if lacking or not items:
        return sampling.nothing(study, "factors", question, lacking or ["score that is the mean of several answers"])
    asking = _Asking(study, items, names)
    made: list[dict[str, Any]] = []
    if asking.why:
        made.append(asking.row("factors", inference.NOTHING, effect_label=asking.why))
    else:
        parts = {"number": asking.number, "model": asking.model, "distinct": asking.distinct}
        made += [r for name, part in parts.items() if name in method for r in part()]
        for how in ("oblimin", "varimax", "promax"):
            made += asking.loadings(how) if how in method else []
        made += asking.invariance(by) if by else []
    made += asking.halo() if "halo" in method else []
    finding = sampling.finding(
        study,
        made,
        name="factors",
        question=question,
        estimand="factors behind the answers",
        method=asking.words(),
        sample=asking.notes.text(),
        caveats=[*asking.caveats, *asking.notes.caveats()],
    )
    finding = dataclasses.replace(finding, labels={i: asking.label(i) for i in [*items, *names]} | dict(finding.labels))
    answer, title = _answer(finding, asking)
    return dataclasses.replace(finding, answer=answer, title=title)


def _answer(finding: Finding, asking: _Asking) -> tuple[str, str]:
    told = [r for r in finding.rows() if r["estimate"] is not None]
    if not told:
        return f"Not estimable: {sampling.why_not(finding, 'the answers do not vary')}.", "Not estimable"
    parts, title = [], "What the answers measure"
    for r in (r for r in told if r["measure"] == "factors"):
        title = f"The {len(asking.items)} answers hold {number(r['estimate'], 0)} factor{'s' * (r['estimate'] != 1)}"
        agree = f", the same in {number(100 * r['effect'], 0)} % of draws" if r["effect"] is not None else ""
        parts.append(f"{title} by parallel analysis{agree}.")
    fit = {r["term"]: r["estimate"] for r in told if r["model"] == asking.headline and r["measure"] == "fit_index"}
    if "cfi" in fit:
        parts.append(f"The model of the scores fits with CFI {number(fit['cfi'])} and RMSEA {number(fit['rmsea'], 3)}.")
    ratios = [r for r in told if r["measure"] == "htmt" and r["model"] == "crude"]
    if ratios:
        top = max(ratios, key=lambda r: r["estimate"])
        pair = f"{asking.label(top['outcome'])} and {asking.label(top['term'])}"
        sure = "not told apart" if top["estimate"] > NOT_DISTINCT else "told apart"
        parts.append(f"Least distinct are {pair}, HTMT {written(top, n=False)}: {sure} at {NOT_DISTINCT}.")
    return " ".join(parts) or "What was asked of the answers stands in the rows.", title


class _Asking:
    """The answers that are asked about: their correlations, of all and without one block each, and the rows made of them."""

    def __init__(self, study: Study, items: Sequence[str], names: dict[str, tuple[str, ...]]) -> None:
        self.study, self.table, self.notes = study, study.rows(items), sampling.Notes(study)
        self.caveats: list[Caveat] = []
        got = rows(study, self.table, items)
        still = [
            c for c, x in zip(items, got.values.T, strict=True) if not len(x) or np.ptp(x) <= 1e-14 * np.abs(x).max()
        ]
        spread = moments(study, self.table, items)
        self.notes.saw(spread, items)
        r = consistency.correlations(spread.full)
        twice = [b for j, b in enumerate(items) if any(abs(r[i, j]) > SAME for i in range(j) if items[i] not in still)]
        left = [c for c in items if c not in (*still, *twice)]
        for code, what, who in (("constant", "do not vary", still), ("repeated", "repeat another answer", twice)):
            if who and len(got.values):
                self.caveats.append(Caveat(code, f"Left out, because they {what}: {', '.join(map(self.label, who))}."))
        self.items, self.rows, self.spread = left, got, spread.of(left)
        self.scores = {n: [left.index(i) for i in of if i in left] for n, of in names.items()}
        self.values = got.values[:, [got.columns.index(c) for c in left]]
        self.blocks = None if got.independent else got.blocks
        self.n, self.p = spread.n, len(left)
        self.why = TOO_FEW if self.p < 3 or self.n <= self.p else ""
        self.ordered = not self.why and max(len(np.unique(x)) for x in self.values.T) <= FEW_CATEGORIES
        self.headline = "ordered" if self.ordered else "robust"
        self.r = consistency.correlations(self.spread.full)
        self.left_out = consistency.correlations(self.spread.left_out)
        if self.ordered:
            self._order()

    def _order(self) -> None:
        """Polychoric correlations in place of Pearson's; without a block they move by its influence."""
        found, self.influence = ordered.ordered_correlations(self.values)
        if not np.isfinite(found).all():
            self.ordered, self.headline = False, "robust"
            self.caveats.append(
                Caveat("ordered", "Some answers decide others: taken as numbers, not as ordered categories.")
            )
            return
        low, blocks = np.tril_indices(self.p, -1), np.unique(self.rows.blocks)
        self.r, self.left_out = found, np.repeat(found[None], len(blocks), axis=0)
        for b, block in enumerate(blocks):
            own = self.influence[self.rows.blocks == block]
            self.left_out[b][low] -= own.sum(0) / max(self.n - len(own), 1)
            self.left_out[b].T[low] = self.left_out[b][low]

    def label(self, name: str) -> str:
        return BY_NAME[name].label if name in BY_NAME else name.replace("_", " ")

    def words(self) -> str:
        kind = (
            "Polychoric correlations, weighted least squares"
            if self.ordered
            else "Pearson correlations, maximum likelihood"
        )
        errors = "robust errors" if self.blocks is None else "robust errors within clusters"
        return f"{kind}, {errors}; parallel analysis with {DRAWS} draws. {self.notes.interval_method()}"

    def row(self, measure: str, interval: Interval | float, **more: Any) -> dict[str, Any]:
        numbers = interval.numbers() if isinstance(interval, Interval) else {"estimate": interval}
        base = {"outcome": ANSWERS, "n": self.n, "clusters": self.spread.clusters}
        return row(measure=measure, **(base | numbers | more))

    def smooth(self, of: Callable[[Array], Array], measure: str) -> Interval:
        interval = inference.jackknife(float(of(self.r)), of(self.left_out), on=measure)
        return dataclasses.replace(interval, p_value=None)

    # -- how many factors

    def effective_n(self) -> int:
        """How many independent people would know the correlations as well as these: for the chance level of eigenvalues."""
        if (self.blocks is None and not self.ordered) or len(self.left_out) < 2:
            return self.n
        low, count = np.tril_indices(self.p, -1), len(self.left_out)
        spread = (count - 1) ** 2 / count * self.left_out[:, low[0], low[1]].var(0, ddof=1)
        return int(max(self.p + 1, self.n / max(1.0, float((spread * self.n / (1 - self.r[low] ** 2) ** 2).mean()))))

    def number(self) -> list[dict[str, Any]]:
        found, n = extraction.eigenvalues(self.r), self.effective_n()
        chance = extraction.random_eigenvalues(n, self.p, draws=DRAWS, seed=SEED)
        count = int(extraction.factor_count(found, chance))
        interval, agree = {"estimate": float(count)}, None
        if (blocks := len(self.left_out)) > 1:
            weights = np.random.default_rng(SEED).multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS) - 1.0
            drawn = self.r + np.einsum("db,bij->dij", weights, self.r - self.left_out) * (blocks - 1) / blocks
            # a draw from a sample is as far from the sample as that from the truth: its chance level is that of half as many
            counts = extraction.factor_count(
                extraction.eigenvalues(drawn),
                extraction.random_eigenvalues(max(n // 2, self.p + 1), self.p, draws=DRAWS, seed=SEED),
            )
            ends = np.quantile(counts, [0.005, 0.995], method="inverted_cdf")
            agree = float((counts == count).mean())
            interval |= {"conf_low": min(ends[0], count), "conf_high": max(ends[1], count), "conf_level": 0.99}
        made = [self.row("factors", inference.NOTHING, **interval, effect=agree)]
        for i, (value, level) in enumerate(zip(found, chance, strict=True), 1):
            made.append(self.row("eigenvalue", float(value), term=f"factor_{i}", effect=float(level)))
        try:
            chi2, df, p_value = extraction.sphericity(self.r, self.n)
            made.append(self.row("fit_index", extraction.sampling_adequacy(self.r)[0], term="kmo"))
            test = {"p_value": p_value} if self.blocks is None and not self.ordered else {}
            made.append(self.row("fit_index", chi2, term="bartlett", df=df, **test))
        except np.linalg.LinAlgError:
            self.caveats.append(
                Caveat("repeated", "Some answers add up to others: KMO and Bartlett's test do not exist.")
            )
        return made

    def loadings(self, how: str) -> list[dict[str, Any]]:
        """Rotated loadings of as many factors as parallel analysis finds; without intervals."""
        chance = extraction.random_eigenvalues(self.effective_n(), self.p, draws=DRAWS, seed=SEED)
        m = max(1, int(extraction.factor_count(extraction.eigenvalues(self.r), chance)))
        loaded, phi = extraction.rotate(extraction.minres(self.r, m), how)
        made = [
            self.row("loading", float(loaded[i, k]), outcome=f"factor_{k + 1}", term=item, model=how)
            for k in range(m) for i, item in enumerate(self.items)
        ]  # fmt: skip
        pairs = [(j, k) for k in range(m) for j in range(k) if how != "varimax"]
        return made + [
            self.row("r", float(phi[j, k]), outcome=f"factor_{j + 1}", term=f"factor_{k + 1}", model=how)
            for j, k in pairs
        ]

    # -- the model of the scores

    @cached_property
    def whole(self) -> dict[str, list[int]]:
        """The scores with at least two answers left, each with where these stand among all answers."""
        return {name: at for name, at in self.scores.items() if len(at) > 1}

    @cached_property
    def modelled(self) -> list[int]:
        """The answers that belong to a score, in order."""
        return sorted({i for at in self.whole.values() for i in at})

    @cached_property
    def pattern(self) -> NDArray[np.bool_]:
        """Which answer belongs to which score."""
        return np.array([[i in at for at in self.whole.values()] for i in self.modelled], dtype=bool)

    def _fitted(self, pattern: NDArray[np.bool_]) -> tuple[Fit, Array, float]:
        """A model with the robust covariance of its parameters and the scaling of its chi²."""
        fit = confirmatory.fit([Sample(self.r[np.ix_(self.modelled, self.modelled)], self.n)], pattern)
        chosen = self.values[:, self.modelled]
        return fit, *confirmatory.robust(fit, (chosen - chosen.mean(0)) / chosen.std(0), self.blocks)

    @cached_property
    def declared(self) -> tuple[Fit, Array, float] | str:
        """The model of the scores, or why there is none."""
        scores, answers = len(self.whole), len(self.modelled)
        if not scores or answers < 3:
            return "a model needs a score of three answers, or two scores of two"
        try:
            fit = self._fitted(self.pattern)
        except np.linalg.LinAlgError:
            return "some answers add up to others"
        if why := fit[0].improper([self.label(self.items[i]) for i in self.modelled]):
            self.caveats.append(Caveat("improper", IMPROPER.format("; ".join(why))))
        return fit

    def model(self) -> list[dict[str, Any]]:
        if self.ordered:
            return self._ordered_model()
        if isinstance(self.declared, str):
            return [self.row("fit_index", inference.NOTHING, term="cfi", model="robust", effect_label=self.declared)]
        fit, covariance, scaling = self.declared
        made = self._parameters(
            fit.standardised(), confirmatory.errors_of(fit.standardised, fit, covariance), fit.matrices()[1],
            confirmatory.errors_of(lambda at: fit.matrices(at)[1], fit, covariance), "robust",
        )  # fmt: skip
        apart = self._fitted(self.pattern[:, :0])[2]
        made += self._indices(fit, "robust", scaling, apart) + self._indices(fit, "normal", 1.0, 1.0)
        if len(self.whole) > 1:
            one, _, scaling = self._fitted(np.ones((len(self.modelled), 1), dtype=bool))
            made += self._indices(one, "one_factor", scaling, apart)
        return made

    def _parameters(
        self, loadings: Array, errors: Array, between: Array, between_errors: Array, model: str
    ) -> list[dict[str, Any]]:
        """Loadings of the answers, and correlations between the scores."""
        df = float(len(self.left_out) - 1) if self.blocks is not None else None
        made = []
        for i, k in np.argwhere(self.pattern):
            interval = inference.wald(float(loadings[i, k]), float(errors[i, k]), df)
            names = {"outcome": list(self.whole)[k], "term": self.items[self.modelled[i]], "model": model}
            made.append(self.row("loading", interval, **names))
        for k, j in np.argwhere(np.tril(np.ones(between.shape), -1)):
            interval = inference.wald(float(between[k, j]), float(between_errors[k, j]), df)
            label = {"effect_label": "improper: beyond 1"} if abs(between[k, j]) > 1 else {}
            if label or interval.conf_low is None or interval.conf_high is None:
                interval = Interval(None if label else float(between[k, j]))
            else:
                interval = dataclasses.replace(
                    interval, conf_low=max(interval.conf_low, -1), conf_high=min(interval.conf_high, 1)
                )
            names = {"outcome": list(self.whole)[j], "term": list(self.whole)[k], "model": model}
            made.append(self.row("r", interval, **names, **label))
        return made

    def _indices(self, fit: Fit, model: str, scaling: float, apart_scaling: float) -> list[dict[str, Any]]:
        """The fit of a model as rows; no test where rows share clusters and the scaling does not know it."""
        r, implied, unscaled = fit.samples[0].covariance, fit.implied(), model == "normal"
        if not np.isfinite([scaling, apart_scaling]).all():
            return [
                self.row(
                    "fit_index",
                    inference.NOTHING,
                    term="cfi",
                    model=model,
                    effect_label="too few clusters to scale chi² by",
                )
            ]
        found = fit_indices.fit_indices(
            fit.chi2, fit.df, *fit_indices.independence(r, self.n), self.n, scaling, apart_scaling
        )
        test = {} if unscaled and self.blocks is not None else {"p_value": found.p_value}
        made = [self.row("fit_index", found.chi2, term="chi2", model=model, df=fit.df, **test)]
        ends = {"conf_low": found.rmsea_low, "conf_high": found.rmsea_high, "conf_level": 0.9}
        values: dict[str, float] = {
            "cfi": found.cfi,
            "tli": found.tli,
            "rmsea": found.rmsea,
            "srmr": fit_indices.srmr(r, implied),
        }
        if unscaled:
            own = np.outer(self.spread.scale, self.spread.scale) * self.spread.full
            likelihood = fit_indices.log_likelihood(fit.chi2, own[np.ix_(self.modelled, self.modelled)], self.n)
            count = fit.layout.count
            values |= {"aic": 2 * count - 2 * likelihood, "bic": count * math.log(self.n) - 2 * likelihood}
        for term, value in values.items():
            made.append(
                self.row(
                    "fit_index",
                    inference.NOTHING,
                    term=term,
                    model=model,
                    estimate=value,
                    **(ends if term == "rmsea" else {}),
                )
            )
        return made

    def _ordered_model(self) -> list[dict[str, Any]]:
        low, at = np.tril_indices(self.p, -1), self.modelled
        if not self.whole:
            return []
        kept = np.isin(low[0], at) & np.isin(low[1], at)
        fit = ordered.fit_ordered(self.r[np.ix_(at, at)], self.influence[:, kept], self.pattern, self.blocks)
        if np.abs(fit.loadings).max() > 1 or np.linalg.eigvalsh(fit.factors).min() < 1e-9 or not fit.converged:
            self.caveats.append(Caveat("improper", IMPROPER.format("a loading or a correlation beyond one")))
        made = self._parameters(fit.loadings, fit.loading_errors, fit.factors, fit.factor_errors, "ordered")
        test = {"df": fit.df, "p_value": float(stats.chi2.sf(fit.chi2, fit.df)) if fit.df else None}
        made.append(self.row("fit_index", inference.NOTHING, term="chi2", model="ordered", estimate=fit.chi2, **test))
        return [*made, self.row("fit_index", fit.residual, term="srmr", model="ordered")]

    def distinct(self) -> list[dict[str, Any]]:
        made, scores = [], list(self.whole.items())
        for (a, mine), (b, yours) in itertools.combinations(scores, 2):
            for model in ("crude", "geometric"):
                ratio = self.smooth(lambda r: consistency.htmt(r, mine, yours, geometric=model == "geometric"), "htmt")  # noqa: B023
                made.append(self.row("htmt", ratio, outcome=a, term=b, model=model))
        if self.ordered or isinstance(self.declared, str):
            return made
        fit, covariance, _ = self.declared

        def composite(theta: Array) -> Array:
            loadings, errors = fit.standardised(theta), []
            for k in range(len(scores)):
                own = loadings[self.pattern[:, k], k]
                found = consistency.composites(own, 1 - own**2, 1.0)
                errors.append([found.standardised, found.extracted])
            return np.array(errors)

        values, errors = composite(fit.theta), confirmatory.errors_of(composite, fit, covariance)
        shared = (fit.matrices()[1] ** 2 - np.eye(len(scores))).max(0)
        df = float(len(self.left_out) - 1) if self.blocks is not None else None
        for k, (name, _) in enumerate(scores):
            for q, measure in enumerate(("composite_reliability", "ave")):
                interval = dataclasses.replace(
                    inference.wald(float(values[k, q]), float(errors[k, q]), df), p_value=None
                )
                most = {"effect": float(shared[k])} if measure == "ave" and len(scores) > 1 else {}
                made.append(self.row(measure, interval, outcome=name, model="robust", **most))
        return made

    # -- halo, and whether groups answer alike

    def halo(self) -> list[dict[str, Any]]:
        made = []
        if not self.why:
            first = self.smooth(lambda r: extraction.eigenvalues(r)[..., 0] / self.p, "share")
            made.append(self.row("share", first, term="one_factor"))
            made += self._marker()
        for name, at in self.scores.items():
            if len(at) > 2 and self.n:
                same = (np.ptp(self.values[:, at], axis=1) == 0).astype(float)
                error, groups = inference.clustered_error(same - same.mean(), self.rows.clusters)
                spread = (None, None) if self.blocks is None else (error, float(groups - 1))
                interval = inference.share_interval(float(same.mean()), len(same), *spread)
                made.append(self.row("share", interval, outcome=name, term="straight_line"))
        return made

    def _marker(self) -> list[dict[str, Any]]:
        """The mean correlation of the marker item with the answers, and its share of that between answers of different scores."""
        if not self.study.has("marker_item") or "marker_item" in self.items:
            return []
        columns = [*self.items, "marker_item"]
        spread = moments(self.study, self.study.rows(columns), columns)
        mine = list(range(self.p))
        apart = [(i, j) for i in mine for j in range(i) if not any(i in at and j in at for at in self.scores.values())]
        if not apart or spread.n <= self.p:
            return []
        left, right = (list(x) for x in zip(*apart, strict=True))

        def marked(s: Array) -> Array:
            return np.asarray(consistency.correlations(s)[..., mine, self.p].mean(-1))

        def shared(s: Array) -> Array:
            return np.asarray(marked(s) / consistency.correlations(s)[..., left, right].mean(-1))

        made = []
        for measure, of in (("r", marked), ("share", shared)):
            value = float(of(spread.full))
            interval = (
                inference.jackknife(value, of(spread.left_out), on=measure)
                if math.isfinite(value)
                else inference.NOTHING
            )
            numbers = {"n": spread.n, "clusters": spread.clusters, "term": "marker_item"}
            made.append(self.row(measure, dataclasses.replace(interval, p_value=None), **numbers))
        return made

    def invariance(self, by: str) -> list[dict[str, Any]]:
        """Whether the levels of a segment answer alike: the same loadings, then the same intercepts too."""
        table = self.study.rows([*self.items, by])
        levels = sorted(v for v in table.select(by).distinct().to_pyarrow()[by].to_pylist() if v is not None)
        items, scale = [self.items[i] for i in self.modelled], self.spread.scale[self.modelled]
        samples = []
        for level in levels:
            s = moments(self.study, table.filter(table[by] == level), items)
            if s.n > max(len(items), self.study.min_cell):
                own = s.full * np.outer(s.scale, s.scale) / np.outer(scale, scale)
                samples.append(Sample(own, s.n, (s.mean - self.spread.mean[self.modelled]) / scale))
        nothing = {"outcome": ANSWERS, "term": by, "model": "configural"}
        if len(samples) < 2 or isinstance(self.declared, str):
            return [
                self.row(
                    "fit_index",
                    inference.NOTHING,
                    **nothing,
                    effect_label="fewer than two levels with enough customers",
                )
            ]
        apart = np.sum([fit_indices.independence(s.covariance, s.n) for s in samples], axis=0)
        n, made, before = sum(s.n for s in samples), [], None
        for model in ("configural", "metric", "scalar"):
            try:
                fit = confirmatory.fit(samples, self.pattern, equal=model)
            except np.linalg.LinAlgError:
                return [
                    self.row(
                        "fit_index", inference.NOTHING, **nothing, effect_label="an answer does not vary in a level"
                    )
                ]
            cfi = fit_indices.fit_indices(fit.chi2, fit.df, float(apart[0]), int(apart[1]), n).cfi
            if why := fit.improper(items):
                self.caveats.append(Caveat("improper", IMPROPER.format(f"by {by}, {model}: {'; '.join(why)}")))
            made.append(self.row("fit_index", cfi, term=by, model=model, n=n, df=fit.df, effect=fit.chi2))
            if before is not None:
                fell, chi2, df = cfi - before[0], fit.chi2 - before[1].chi2, fit.df - before[1].df
                test = {"p_value": float(stats.chi2.sf(max(chi2, 0.0), df))} if self.blocks is None else {}
                word = "differ" if fell < NOT_INVARIANT else "alike"
                made.append(
                    self.row(
                        "difference", fell, term=by, model=model, n=n, df=df, effect=chi2, effect_label=word, **test
                    )
                )
            before = (cfi, fit)
        return made
