"""Models: a statsmodels result by formula, with its Finding beside it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import sampling
from cxresearch.evidence.logistic import fit_logit
from cxresearch.finding import Finding, written
from cxresearch.table import row


class Fit(NamedTuple):
    """A statsmodels result and the finding made of it."""

    result: Any
    finding: Finding


def fit(formula: str, study: Study) -> Fit:
    """A linear (or, for churned, logistic) model by formula over the rows of a study: result and Finding.

    `formula` is in the words of statsmodels, over terms: `satisfaction ~ retainability + tenure_m`. Errors are
    clustered on the coarsest declared level; where every row is its own cluster they are HC1. Rows: slope (or
    odds_ratio for churned) of each term, model adjusted. Where no slope exists (too few rows, a term that does not
    vary or repeats others, separation, one cluster) the result is None and the finding says why. Raises UsageError
    for a term that the study lacks.
    """
    import statsmodels.formula.api as smf

    outcome, terms = _terms(formula, study)
    cluster = study.cluster()
    table = study.rows(terms)
    columns = list(dict.fromkeys([*terms, *([cluster] if cluster in table.columns else []), "customer_id", "period"]))
    frame = table.select(*columns).order_by(["customer_id", "period"]).to_pyarrow().to_pandas().dropna(subset=terms)
    logistic = outcome == "churned"
    if len(frame) < study.min_cell or frame[outcome].nunique() < 2:
        return Fit(None, _not_estimable(study, formula, "too few rows have all terms, or the outcome does not vary"))
    model = (smf.logit if logistic else smf.ols)(formula, frame)
    # rows without a cluster are clusters of their own customer, as everywhere
    codes = (frame[cluster].fillna(frame.customer_id) if cluster in frame else frame.customer_id).factorize()[0]
    clusters = len(set(codes.tolist()))
    reason = _obstacle(model, logistic, clusters)
    if reason is not None:
        return Fit(None, _not_estimable(study, formula, reason))
    keywords: dict[str, Any] = {"disp": False} if logistic else {}
    if clusters == len(frame):
        result = model.fit(cov_type="HC1", **keywords)
    else:
        result = model.fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True, **keywords)
    return Fit(
        result,
        _finding(
            study, formula, outcome, result, len(frame), clusters, logistic, int(table.count().to_pyarrow().as_py())
        ),
    )


def _obstacle(model: Any, logistic: bool, clusters: int) -> str | None:
    """Why a model has no slopes or no errors, if it has none."""
    design = model.exog
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return "a term does not vary or says what others say"
    if len(design) <= design.shape[1]:
        return "there are no more rows than terms"
    if logistic and not fit_logit(model.endog, design[:, np.ptp(design, axis=0) > 0]).converged:
        return "leaving is separated: the terms foretell it without error in some rows"
    return "all rows are of one cluster, so no error can be told" if clusters < 2 else None


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
    names = list(dict.fromkeys(re.findall(r"[A-Za-z_]\w*(?!\w*\s*[(.\w])", formula)))
    if not tilde or outcome not in names:
        raise UsageError(f"formula {formula!r} cannot be read; write it as satisfaction ~ retainability + tenure_m")
    lacking = study.missing(*names)
    if lacking:
        raise UsageError(f"{study.name} has no {', '.join(lacking)}; it has {', '.join(study.terms)}")
    return outcome, names


def _finding(
    study: Study, formula: str, outcome: str, result: Any, n: int, clusters: int, logistic: bool, asked: int
) -> Finding:
    ends = result.conf_int()
    made = []
    for name in result.params.index.drop("Intercept", errors="ignore"):
        estimate, error = float(result.params[name]), float(result.bse[name])
        low, high = (float(x) for x in ends.loc[name])
        change = _odds if logistic else float
        made.append(
            row(outcome=outcome, term=name, model="adjusted", measure="odds_ratio" if logistic else "slope", estimate=change(estimate),
                std_error=change(estimate) * error if logistic else error, df=float(clusters - 1) if clusters < n else None,
                conf_low=change(low), conf_high=change(high), p_value=float(result.pvalues[name]), n=n, clusters=clusters)
        )  # fmt: skip
    kind = "Logistic regression" if logistic else "Least squares"
    cluster = sampling.cluster_name(study)
    return sampling.finding(
        study,
        made,
        name=f"fit {formula}",
        question=f"What does the model {formula} say?",
        estimand="slope with the other terms held fixed"
        if not logistic
        else "odds ratio with the other terms held fixed",
        design="adjusted" if len(made) > 1 else "associational",
        method=f"{kind} (statsmodels); errors {'HC1' if clusters == n else f'clustered on {clusters:,} {cluster}s'}.",
        sample=f"{n:,} of {asked:,} rows have all terms.",
        answer=f"{formula}: "
        + "; ".join(f"{r['term']} {written({k: r[k] for k in r}, n=False)}" for r in made)
        + f"; n = {n:,}.",
        title=f"{kind}: {formula}",
    )
