"""Logistic models of public data sets are R's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from reference_case import Case, built, entries, not_built, parts_not_built, stand_in, table
from small_study import study_of

import cxresearch as cx
from cxresearch.evidence.logistic import average_difference, fit_logit

not_built("calibration of forecasts", "calibration.telco_classic.every5th")
not_built("area under the curve", "auc_delong_compare.telco_classic")
parts_not_built(
    "logit.",
    {
        "se": "errors are by jackknife over clusters",
        "z": "errors are by jackknife over clusters",
        "p": "errors are by jackknife over clusters",
        "or_ci_wald": "errors are by jackknife over clusters",
        "or_ci_profile": "errors are by jackknife over clusters",
        "ame_slope_exact.se": "errors are by jackknife over clusters",
        "ame_discrete.se": "errors are by jackknife over clusters",
        "hc0": "errors are by jackknife over clusters",
        "hc1": "errors are by jackknife over clusters",
        "ame_slope_numeric_marginaleffects": "a numeric derivative; the exact one is compared",
        "mem_slope": "effects are averaged over rows, not taken at the mean",
        "deviance": "fit of a logistic model",
        "null_deviance": "fit of a logistic model",
        "aic": "fit of a logistic model",
        "bic": "fit of a logistic model",
        "mcfadden": "fit of a logistic model",
        "cox_snell": "fit of a logistic model",
        "nagelkerke": "fit of a logistic model",
        "tjur": "fit of a logistic model",
        "lr_chisq": "fit of a logistic model",
        "lr_df": "fit of a logistic model",
        "vif": "fit of a logistic model",
        "auc": "quality of forecasts",
        "auc_ci_delong": "quality of forecasts",
        "brier": "quality of forecasts",
        "log_loss": "quality of forecasts",
        "brier_scaled": "quality of forecasts",
        "ks": "quality of forecasts",
        "gini": "quality of forecasts",
        "avg_prob_top_decile": "quality of forecasts",
        "hosmer_lemeshow_rank10": "quality of forecasts",
    },
)
parts_not_built(
    "separation.", {"converged": "R reports convergence; seeing that there is none is the point", "auc_like": "empty"}
)


@built("logit.telco_classic", "logit.mtcars.am")
def test_logistic_regression(case: Case) -> None:
    """Coefficients, odds ratios and average marginal effects are R's."""
    y, columns = {"mtcars": "am", "telco_classic": "churn"}[case.dataset], list(case.want("coef"))[1:]
    frame = table(case.dataset)
    x, leaving = frame[columns].to_numpy(float), frame[y].to_numpy(float)
    fit = fit_logit(leaving, x)
    n = len(frame)
    assert fit.converged
    assert (n, int(leaving.sum())) == (case.want("n"), case.want("events"))
    case.same(fit.coefficients, list(case.want("coef").values()), "coef")
    case.same(np.exp(fit.coefficients), list(case.want("or").values()), "or")
    slopes = [average_difference(fit, k, 1.0, False)[0] for k in range(len(columns))]
    assert case.want("ame_slope_exact.term") == columns
    case.close("ame_slope_exact.estimate", slopes)
    discrete = case.values["ame_discrete"]
    if discrete is None:
        case.want("ame_discrete")
        return
    for term, want in zip(case.want("ame_discrete.term"), case.want("ame_discrete.ame_discrete"), strict=True):
        case.same(average_difference(fit, columns.index(term), 1.0, True)[0], want, term)


def test_leavers_by_the_verb(reference: Path, tmp_path: Path) -> None:
    """explain_churn gives the same model's odds ratio and leavers per 1,000 for the step of a term."""
    case = Case(entries()["logit.telco_classic"])
    columns = list(case.want("coef"))[1:]
    named = {"churn": "churned", "tenure": "tenure_m", "monthly_charges": "list_price", "senior": "loyalty_scheme"}
    study, words = stand_in(tmp_path, table("telco_classic"), ["churn", *columns], **named)
    slopes = dict(zip(columns, case.want("ame_slope_exact.estimate"), strict=True))
    discrete = dict(zip(*(case.want(f"ame_discrete.{k}") for k in ("term", "ame_discrete")), strict=True))
    effects = {"tenure": 12 * slopes["tenure"], "monthly_charges": 10 * slopes["monthly_charges"], **discrete}
    for column, step in (("tenure", 12), ("monthly_charges", 10), ("senior", 1)):
        given = [words[c] for c in columns if c != column]
        finding = cx.explain_churn(study, words[column], given=given)
        ratio = finding.one(model="adjusted", measure="odds_ratio")
        case.same(ratio["estimate"], math.exp(step * case.want("coef")[column]), column)
        assert (ratio["n"], ratio["events"]) == (case.want("n"), case.want("events"))
        case.same(finding.one(model="adjusted", measure="per_1000")["estimate"], 1000 * effects[column], column)


@built("separation.telco_ext.satisfaction")
def test_separation_is_seen(case: Case, tmp_path: Path) -> None:
    """Leavers foretold without error: no slope, but a caveat in numbers, and the plain rates."""
    frame = table("telco_ext")
    ids = frame.customer_id.astype(str)
    study = study_of(
        tmp_path,
        panel=pd.DataFrame({"customer_id": ids, "churned": frame.churn}),
        surveys=pd.DataFrame({"customer_id": ids, "satisfaction": (frame.satisfaction - 1) * 25.0}),
    )
    finding = cx.explain_churn(study, "satisfaction")
    assert case.want("note_quasi_separation") is any(c.code == "separated" for c in finding.caveats)
    assert not finding.estimable
    crosstab = case.matrix("crosstab")
    text = next(c.text for c in finding.caveats if c.code == "separated")
    assert f"all of {int(crosstab.loc[['1', '2'], '1'].sum()):,}" in text
    assert f"none of {int(crosstab.loc[['4', '5'], '0'].sum()):,}" in text
    levels = cx.leavers_by_level(study, "satisfaction").rows()
    case.same([r["estimate"] / 1000 for r in levels], list(case.want("churn_rate_by_satisfaction").values()))
    assert [[r["n"] - r["events"], r["events"]] for r in levels] == crosstab.to_numpy().tolist()
