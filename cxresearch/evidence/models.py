"""Models: a statsmodels result by formula, with its Finding beside it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxresearch.data.matching import distinct
from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME, KEYS
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, pitfalls, sampling
from cxresearch.evidence.design_matrix import repeated
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.logistic import fit_logit
from cxresearch.evidence.moments import moments
from cxresearch.evidence.passes import fit_in_passes
from cxresearch.evidence.rows import CAP
from cxresearch.evidence.shares import slopes
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import capital
from cxresearch.table import row

Array = NDArray[np.float64]
KINDS = {"linear": "Least squares", "logistic": "Logistic regression", "ordinal": "Proportional odds"}
MOST_LEVELS = 15  # of an ordinal outcome; each costs a threshold
RUNS_OFF = 20.0  # log odds for a standard deviation of a term: it is on its way to infinity
CLEAR = 1e-12  # a direction that holds a larger part of the squares is none that rounding makes
FAR = 1e-6  # of its size: what a column varies less is lost where products of rows are rounded


class Fit(NamedTuple):
    """A statsmodels result and the finding made of it."""

    result: Any
    finding: Finding


def fit(formula: str, study: Study, *, method: str | None = None) -> Fit:
    """A linear, logistic or ordinal model by formula over the rows of a study: result and Finding.

    `formula` is in the words of statsmodels, over terms: `satisfaction ~ retainability + tenure_m`. `method` is linear,
    logistic (the default for churned) or ordinal (proportional odds, for an outcome of few ordered values). Errors are
    clustered on the coarsest declared level; where every row is its own cluster they are HC1. Rows: slope of each term,
    or odds_ratio (ordinal: of a higher value), model adjusted; of a product of two terms in a linear model (`a:b`) also
    difference: by how much the slope for a step of one differs at a step more of the other. Where no slope exists (too few rows, a term that does not
    vary or repeats others, separation, one cluster) the result is None and the finding says why. Raises UsageError
    for a term that the study lacks. Sources: White (1980); Liang & Zeger (1986); McCullagh (1980).

    Example:
        >>> result, finding = cx.fit("satisfaction ~ retainability + wait_s", study)
        >>> round(float(result.params["wait_s"]), 6) == round(finding.one(term="wait_s")["estimate"], 6)
        True
    """
    outcome, terms = _terms(formula, study)
    if outcome == "churned":
        pitfalls.refuse_known_later(study, [x for x in terms if x != outcome])
    kind = method or ("logistic" if outcome == "churned" else "linear")
    if kind not in KINDS:
        raise UsageError(f"no method {kind!r}; it is one of {', '.join(KINDS)}")
    table, cluster = study.rows(terms), study.cluster()
    if study.most_rows > CAP and kind != "ordinal" and set(re.split(r"[~+\s]+", formula)) == set(terms):
        return Fit(None, _of_large(study, formula, outcome, terms, kind))
    import statsmodels.formula.api as smf  # long to import, and a large table needs none of it

    whose = [name for name in dict.fromkeys([*KEYS, cluster]) if name in table.columns and name not in terms]
    frame = study.ordered(table, [*terms, *whose], coded=whose).to_pandas()
    asked, frame = len(frame), frame.dropna(subset=terms)
    if len(frame) < study.min_cell or frame[outcome].nunique() < 2:
        return Fit(None, _not_estimable(study, formula, "too few rows have all terms, or the outcome does not vary"))
    if (wrong := _unfit(frame[outcome], kind)) is not None:
        return Fit(None, _not_estimable(study, formula, f"{study.term(outcome).label} {wrong}"))
    codes = _clusters(frame, cluster)
    clusters = distinct(codes)
    if kind == "logistic":
        model = smf.logit(formula, frame[terms], check_rank=False)  # looked at below
    else:
        model = smf.ols(formula, frame[terms])
    model.data.frame = frame  # whose rows they are; to read texts that are in no term takes the model long
    reason, start = _obstacle(model, kind, clusters)
    if reason is not None:
        return Fit(None, _not_estimable(study, formula, reason))
    errors: dict[str, Any] = {"cov_type": "HC1"}
    if clusters < len(frame):
        errors = {"cov_type": "cluster", "cov_kwds": {"groups": codes}, "use_t": True}
    if kind == "ordinal":
        result, params, bse = _ordinal(model, errors)
        if not np.isfinite([*params, *bse]).all():
            return Fit(
                None, _not_estimable(study, formula, "a term foretells the order of the outcome nearly without error")
            )
    else:
        result = model.fit(**errors, **({"disp": False, "start_params": start} if kind == "logistic" else {}))
        if kind == "logistic":
            _count_parameters(result, errors)
        params, bse = (x.drop("Intercept", errors="ignore") for x in (result.params, result.bse))
    df = clusters - 1 if clusters < len(frame) else None
    told = {str(name): inference.wald(float(params[name]), float(bse[name]), df) for name in params.index}
    doubts = pitfalls.bent(study, table, terms) if kind == "linear" and any(":" in name for name in told) else []
    if clusters < min(len(frame), sampling.FEW_CLUSTERS):
        doubts.append(sampling.few_clusters(study, clusters))
    return Fit(result, _finding(study, formula, outcome, told, len(frame), clusters, kind, asked, doubts=doubts))


def _of_large(study: Study, formula: str, outcome: str, terms: list[str], kind: str) -> Finding:
    """The finding of a sum of terms over a table too large to be fetched; errors are by jackknife over blocks."""
    columns = [outcome, *(x for x in terms if x != outcome)]
    table, told = study.rows(columns), {}
    if kind == "logistic":
        fitted = fit_in_passes(study, table, columns)
        if not fitted.converged:
            return _not_estimable(study, formula, "leaving is separated, or nobody or everybody left")
        if fitted.repeated.any():
            return _not_estimable(study, formula, "a term does not vary or says what others say")
        n, clusters, asked = fitted.n, fitted.cluster_count, fitted.asked
        for i, name in enumerate(columns[1:], 1):
            told[name] = inference.jackknife(fitted.coefficients[i], fitted.left_out[:, i], blocks=fitted.parts)
    else:
        spread = moments(study, table, columns)
        among, own = range(1, len(columns)), spread.scale[0] / spread.scale[1:]
        full, left = (slopes(x, 0, among) * own for x in (spread.full, spread.left_out))
        if not np.isfinite(full).all():
            return _not_estimable(study, formula, "a term does not vary or says what others say")
        n, clusters, asked = spread.n, spread.clusters, spread.rows
        for i, name in enumerate(columns[1:]):
            told[name] = inference.jackknife(float(full[i]), left[:, i], blocks=spread.parts)
    return _finding(study, formula, outcome, told, n, clusters, kind, asked, "by jackknife over blocks of")


def _clusters(frame: pd.DataFrame, cluster: str) -> NDArray[np.intp]:
    """The number of each row's cluster; a row without one is a cluster of its own customer, as everywhere."""
    customer = pd.Categorical(frame.customer_id).codes.astype(np.intp)
    if cluster not in frame:
        return customer
    own = pd.Categorical(frame[cluster])
    return np.where(own.codes < 0, len(own.categories) + customer, own.codes)


def _unfit(outcome: pd.Series, kind: str) -> str | None:
    """Why an outcome is none of this kind of model, if it is not."""
    if kind == "logistic" and not set(outcome.unique()) <= {0, 1}:
        return "is not yes or no; use method='linear' or 'ordinal'"
    if kind == "ordinal" and outcome.nunique() > MOST_LEVELS:
        return f"has {outcome.nunique()} values, an ordinal model takes at most {MOST_LEVELS}; use method='linear'"
    return None


def _ordinal(model: Any, errors: dict[str, Any]) -> tuple[Any, pd.Series, pd.Series]:
    """The proportional-odds model of a design: result in own units, log odds ratios and their errors.

    Fitted on standardised terms, where the numeric derivatives of statsmodels hold in any units; from its end the
    fit in own units starts, whose result is None where those hide the derivatives. Errors are NaN where the
    coefficients run off to infinity. Source: McCullagh (1980).
    """
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    design = pd.DataFrame(model.exog, columns=model.exog_names).drop(columns="Intercept", errors="ignore")
    centre, scale, k = design.mean(), design.std(ddof=0), design.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not converge is told by NaN
        standard = OrderedModel(model.endog, (design - centre) / scale, distr="logit")
        first = standard.fit(method="bfgs", maxiter=500, gtol=1e-7, disp=False)
        found = _newton(standard, first.params, errors)
        if found is None or np.abs(found.params[:k]).max() > RUNS_OFF:
            return None, scale * np.nan, scale * np.nan
        slopes, bse = (np.asarray(x)[:k] / scale for x in (found.params, found.bse))
        start = np.concatenate([slopes, found.params[k:]])
        start[k] += slopes @ centre
        result = _newton(OrderedModel(model.endog, design, distr="logit", hasconst=False), start, errors)
    return result, slopes, bse


def _newton(model: Any, start: Any, errors: dict[str, Any]) -> Any:
    """The fit from a start; None where it does not converge."""
    try:
        found = model.fit(start_params=start, method="newton", maxiter=50, disp=False, **errors)
    except np.linalg.LinAlgError:
        return None
    if not found.mle_retvals["converged"]:
        return None
    _count_parameters(found, errors)
    return found


def _count_parameters(result: Any, errors: dict[str, Any]) -> None:
    """HC1 for a result of maximum likelihood, in place: the factor n/(n - k), which statsmodels gives least squares alone."""
    if errors["cov_type"] == "HC1":
        n, k = result.model.endog.shape[0], len(result.params)
        result._results.cov_params_default = result._results.cov_params_default * n / (n - k)


def _obstacle(model: Any, kind: str, clusters: int) -> tuple[str | None, Array | None]:
    """Why a model has no slopes or no errors, if it has none; and where the steps of a logistic one with a constant end."""
    design, start = model.exog, None
    if kind == "ordinal":  # fitted on standardised terms, so units do not matter
        design = design / np.maximum(np.abs(design).max(0), np.finfo(float).tiny)
    if not _full(design) or _repeats(design):
        spread, far = np.ptp(design, axis=0), np.abs(design).max(0)
        if lost := [n for n, s, f in zip(model.exog_names, spread, far, strict=True) if 0 < s < FAR * f]:
            return f"{lost[0]} lies so far from zero that what varies of it is lost; take its mean from it", None
        return "a term does not vary or says what others say", None
    if kind == "ordinal":  # each value but the first has a threshold, in place of one constant
        thresholds = len(np.unique(model.endog)) - 1
        if len(design) <= design.shape[1] - ("Intercept" in model.exog_names) + thresholds:
            return "there are no more rows than terms and thresholds between the values of the outcome", None
    if len(design) <= design.shape[1]:
        return "there are no more rows than terms", None
    if kind == "logistic":
        constant = np.ptp(design, axis=0) == 0
        found = fit_logit(model.endog, design[:, ~constant])
        if not found.converged:
            return "leaving is separated: the terms foretell it without error in some rows", None
        if constant.any():
            start = np.zeros(len(constant))
            start[constant] = found.coefficients[0] / design[0, constant]
            start[~constant] = found.coefficients[1:]
    return "all rows are of one cluster, so no error can be told" if clusters < 2 else None, start


def _full(design: Array) -> bool:
    """Whether the columns have full rank; sums of products say so where it is beyond doubt, at a small part of the cost."""
    sizes = np.linalg.eigvalsh(design.T @ design)
    return bool(sizes[0] > CLEAR * sizes[-1] or np.linalg.matrix_rank(design) == design.shape[1])


def _repeats(design: Array) -> bool:
    """Whether a column says what others say, up to rounding: slopes of millions would come of it."""
    constant = np.ptp(design, axis=0) == 0
    rest = design[:, ~constant]
    rest = rest - rest.mean(0) if constant.any() else rest  # without a constant groups may add up to one
    rest = rest / np.linalg.norm(rest, axis=0)
    return bool(rest.size and repeated(rest.T @ rest).any())


def _odds(log_odds: float) -> float:
    """An odds ratio from its logarithm; one too large to be written is null in the table."""
    with np.errstate(over="ignore"):
        return float(np.exp(log_odds))


def _not_estimable(study: Study, formula: str, why: str) -> Finding:
    return sampling.finding(
        study,
        [],
        name=f"fit {formula}",
        question=f"What does the model {formula} say?",
        estimand="none",
        method="",
        sample="",
        answer=f"Not estimable: {why}.",
    )


def _terms(formula: str, study: Study) -> tuple[str, list[str]]:
    """The outcome of a formula and every term in it; names before a bracket are functions."""
    outcome, tilde, _ = (part.strip() for part in formula.partition("~"))
    names = list(dict.fromkeys(re.findall(r"(?<![\w.])[A-Za-z_]\w*(?!\w*\s*[(.\w])", formula)))
    if not tilde or outcome not in names:
        raise UsageError(f"formula {formula!r} cannot be read; write it as satisfaction ~ retainability + tenure_m")
    lacking = study.missing(*names)
    if lacking:
        raise UsageError(f"{study.name} has no {', '.join(lacking)}; it has {', '.join(study.terms)}")
    return outcome, names


def _finding(
    study: Study, formula: str, outcome: str, told: dict[str, Interval], n: int, clusters: int, kind: str, asked: int, how: str = "",
    doubts: Sequence[Caveat] = (),
) -> Finding:  # fmt: skip
    made = []
    for name, found in told.items():
        ends: dict[str, Any] = found.numbers()
        if kind != "linear" and found.estimate is not None:
            ratio = {key: _odds(ends[key]) for key in ("estimate", "conf_low", "conf_high")}
            ends |= ratio | {"std_error": ratio["estimate"] * (found.std_error or 0.0)}
        measure = "slope" if kind == "linear" else "odds_ratio"
        made.append(row(outcome=outcome, term=name, model="adjusted", measure=measure, n=n, clusters=clusters, **ends))
    cluster = f"{clusters:,} {sampling.cluster_name(study)}s"
    errors = "HC1" if clusters == n else f"clustered on {cluster} by the sandwich"
    jackknife = " (explain_churn's are by jackknife)" if outcome == "churned" and not how else ""
    if how:
        errors = f"{how} {cluster}"

    def spoken(name: str) -> str:
        return BY_NAME[name].label if name in BY_NAME else name

    what = {"linear": "slope", "logistic": "odds ratio", "ordinal": "odds ratio of a higher value"}[kind]
    answer = f"{what.capitalize()}{'s' * (kind == 'linear' and len(made) > 1)} of {spoken(outcome)}{', the others held fixed' * (len(made) > 1)}: "
    answer += "; ".join(f"{spoken(r['term'])} {written({k: r[k] for k in r}, n=False)}" for r in made)
    products = _products(told, made) if kind == "linear" else {}
    if products:
        answer = "; ".join(
            f"the slope of {spoken(outcome)} for {BY_NAME[a].more} differs by {written(r, n=False)} with each {BY_NAME[b].more}"
            for (a, b), r in products.items()
        )
        answer = f"{capital(answer)} (the slope of a single term is that where the other is 0)"
    return sampling.finding(
        study,
        [*made, *products.values()],
        name=f"fit {formula}" + (" as ordinal" if kind == "ordinal" else ""),
        question=f"What does the model {formula} say?",
        estimand=f"{what} with the other terms held fixed",
        design="adjusted" if len(made) > 1 else "associational",
        method=f"{KINDS[kind]}{'' if how else ' (statsmodels)'}; errors {errors}{jackknife}.",
        sample=f"{n:,} of {asked:,} rows have all terms.",
        answer=f"{answer}; n = {n:,}.",
        title=f"{KINDS[kind]}: {formula}",
        caveats=doubts,
    )


def _products(told: dict[str, Interval], made: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Of each product of two terms, by how much the slope for a step of one differs at a step more of the other."""
    found = {}
    for (name, slope), record in zip(told.items(), made, strict=True):
        a, colon, b = name.partition(":")
        if colon and a in BY_NAME and b in BY_NAME and slope.estimate is not None and slope.std_error is not None:
            steps = BY_NAME[a].step * BY_NAME[b].step
            ends = inference.wald(steps * slope.estimate, steps * slope.std_error, slope.df).numbers()
            unit = f"{BY_NAME[a].step_label}, {BY_NAME[b].step_label}"
            found[a, b] = record | ends | {"measure": "difference", "unit": unit}
    return found
