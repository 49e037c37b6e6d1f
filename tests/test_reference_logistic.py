"""Logistic models, hazards in discrete time and forecasts of leaving on public data sets are R's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from reference_case import Case, built, entries, parts_not_built, stand_in, table
from scipy.special import expit
from small_study import study_of

import cxresearch as cx
from cxresearch.evidence import forecast
from cxresearch.evidence.inference import wald
from cxresearch.evidence.lab.discrimination import (
    auc_difference,
    calibration_error,
    hosmer_lemeshow,
    kolmogorov_smirnov,
)
from cxresearch.evidence.lab.logit_model import delta, fit_statistics, profile_interval, robust_covariance
from cxresearch.evidence.logistic import LogitFit, average_difference, fit_logit

OUTCOME = {"mtcars": "am", "telco_classic": "churn"}
NUMERIC = 5e-4  # marginaleffects 0.9 takes gradients by one-sided differences; ours is the formula, as in the witness
# confint draws a spline through about ten points of the profile: finer ones (`del`) go to our end, as in the witness
SPLINE = 2e-3
UNFINISHED = (
    1e-4  # this glm stopped at epsilon 1e-8, a step before its end, and its weights are of the step before that
)

parts_not_built(
    "logit.",
    {
        "ame_slope_numeric_marginaleffects": "a numeric derivative; the exact one is compared",
        "mem_slope": "R took the means of whole numbers rounded, and numeric derivatives; the witness compares the formula",
        "vif": "collinearity belongs to the question of importance",
    },
)
parts_not_built(
    "calibration.",
    {
        "val_prob.Dxy": "lrm sorts forecasts into bins of .002 first; auc is compared exactly",
        "val_prob.C (ROC)": "lrm sorts forecasts into bins of .002 first; auc is compared exactly",
        "val_prob.Emax": "distances to a loess curve; tenths are shown instead",
        "val_prob.E90": "distances to a loess curve; tenths are shown instead",
        "val_prob.Eavg": "distances to a loess curve; tenths are shown instead",
    },
)
parts_not_built(
    "separation.", {"converged": "R reports convergence; seeing that there is none is the point", "auc_like": "empty"}
)


def of(case: Case) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Columns, outcome and values of a case of logistic regression."""
    frame, columns = table(case.dataset), list(case.want("coef"))[1:]
    return columns, frame[OUTCOME[case.dataset]].to_numpy(float), frame[columns].to_numpy(float)


@built("logit.telco_classic", "logit.mtcars.am")
def test_logistic_regression(case: Case) -> None:
    """Coefficients, errors, intervals, average effects, fit and quality of forecasts are R's."""
    columns, leaving, x = of(case)
    fit = fit_logit(leaving, x)
    errors = np.sqrt(np.diag(fit.covariance))
    assert fit.converged
    assert (len(leaving), int(leaving.sum())) == (case.want("n"), case.want("events"))
    intervals = [wald(b, e, None) for b, e in zip(fit.coefficients, errors, strict=True)]
    case.same(fit.coefficients, list(case.want("coef").values()), "coef")
    case.same(np.exp(fit.coefficients), list(case.want("or").values()), "or")
    case.same(errors, list(case.want("se").values()), "se")
    case.same([i.estimate / i.std_error for i in intervals], list(case.want("z").values()), "z")
    case.same([i.p_value for i in intervals], list(case.want("p").values()), "p")
    case.same(np.exp([[i.conf_low, i.conf_high] for i in intervals]), case.matrix("or_ci_wald"), "or_ci_wald")
    profiles = [profile_interval(leaving, x, k, fit=fit) for k in range(len(columns))]
    ends = [[p.conf_low, p.conf_high] for p in profiles]
    np.testing.assert_allclose(ends, np.log(case.matrix("or_ci_profile").to_numpy()[1:]), rtol=SPLINE)
    for kind in ("HC0", "HC1"):
        robust = np.sqrt(np.diag(robust_covariance(fit, leaving, kind)))
        case.same(robust, list(case.want(kind.lower()).values()), kind)
    told = fit_statistics(fit, leaving)
    for part in ("deviance", "null_deviance", "aic", "bic", "mcfadden", "cox_snell", "nagelkerke", "tjur", "lr_df"):
        case.close(part, told[part])
    case.close("lr_chisq", told["lr_chi2"])
    slopes = [average_difference(fit, k, 1.0, False) for k in range(len(columns))]
    assert case.want("ame_slope_exact.term") == columns
    case.close("ame_slope_exact.estimate", [estimate for estimate, _, _ in slopes])
    case.close("ame_slope_exact.se", [delta(e, gradient, fit.covariance).std_error for e, _, gradient in slopes])
    discrete(case, columns, fit)
    quality(case, leaving, fit)


def discrete(case: Case, columns: list[str], fit: LogitFit) -> None:
    """Average differences of flags, where the case has any."""
    if case.want("ame_discrete") is None:
        return
    flags = case.want("ame_discrete")
    for term, want, error in zip(flags["term"], flags["ame_discrete"], flags["se"], strict=True):
        estimate, _, gradient = average_difference(fit, columns.index(term), 1.0, True)
        case.same(estimate, want, term)
        np.testing.assert_allclose(delta(estimate, gradient, fit.covariance).std_error, error, rtol=NUMERIC)


def quality(case: Case, y: np.ndarray, fit: LogitFit) -> None:
    """How well the fitted shares foretell the rows that they were fitted to."""
    told = fit.predictor
    area = forecast.auc_interval(y, told)
    case.close("auc", area.estimate)
    case.close("auc_ci_delong", [area.conf_low, area.estimate, area.conf_high])
    case.close("gini", 2 * area.estimate - 1)
    case.close("log_loss", forecast.log_loss(y, told).mean())
    case.close("brier", forecast.brier(y, told).mean())
    case.close("brier_scaled", 1 - forecast.brier(y, told).mean() / y.var())
    case.close("ks", kolmogorov_smirnov(y, told))
    size = math.ceil(len(y) / 10)
    caught, _ = forecast.caught(y, told, np.zeros(len(y), dtype=np.intp))
    case.close("avg_prob_top_decile", caught * y.sum() / size)
    chi2, p = hosmer_lemeshow(y, fit.fitted)
    case.close("hosmer_lemeshow_rank10.chisq", chi2)
    case.close("hosmer_lemeshow_rank10.p", p)
    assert case.want("hosmer_lemeshow_rank10.df") == 8


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


@built("discrete_hazard.telco_classic.logit", "discrete_hazard.telco_ext.logit")
def test_hazard_in_discrete_time(case: Case) -> None:
    """The hazard of 228,000 customer-months is R's, with its errors, likelihood and deviance."""
    frame = table(case.dataset)
    frame = frame[frame.tenure > 0]
    months = frame.tenure.clip(upper=72)
    rows = frame.loc[frame.index.repeat(months)]
    m = rows.groupby(level=0).cumcount().to_numpy() + 1.0
    y = ((m == rows.tenure) & (rows.churn == 1)).to_numpy(float)
    time = [np.log(m), np.log(m) ** 2] if case.dataset == "telco_classic" else [m, m**2]
    columns = [c for c in case.want("coef") if c in frame.columns]
    fit = fit_logit(y, np.column_stack([*time, *(rows[c].to_numpy(float) for c in columns)]))
    assert (len(y), int(y.sum())) == (case.want("n_person_periods"), case.want("events"))
    case.same(fit.coefficients, list(case.want("coef").values()), "coef")
    case.same(np.sqrt(np.diag(fit.covariance)), list(case.want("se").values()), "se")
    case.close("loglik", fit.log_likelihood)
    case.close("deviance", -2 * fit.log_likelihood)


@built("calibration.telco_classic.every5th")
def test_calibration_of_forecasts(case: Case) -> None:
    """A model of four fifths of the customers foretells the last fifth as well, and is as calibrated, as R's."""
    _, y, x = of(Case(entries()["logit.telco_classic"]))
    learn = (np.arange(len(y)) + 1) % 5 != 0
    fit = fit_logit(y[learn], x[learn])
    told, y = fit.coefficients[0] + x[~learn] @ fit.coefficients[1:], y[~learn]
    assert (int(learn.sum()), len(y)) == (case.want("n_train"), case.want("n_test"))
    intercept, slope = forecast.calibration(y, told, np.arange(len(y)))
    case.close("calibration_in_the_large", intercept.estimate)
    case.close("calibration_slope", slope.estimate)
    spread, large = fit_logit(y, told[:, None]), fit_logit(y, np.empty((len(y), 0)), offset=told)
    case.close("calibration_intercept_with_slope", spread.coefficients[0])
    for part, variance in (("calibration_slope_se", spread.covariance[1, 1]), ("citl_se", large.covariance[0, 0])):
        np.testing.assert_allclose(math.sqrt(variance), case.want(part), rtol=UNFINISHED)
    case.close("auc", forecast.auc(y, told))
    for part in ("brier", "val_prob.Brier"):
        case.close(part, forecast.brier(y, told).mean())
    case.close("ece_10_equal_width", calibration_error(y, expit(told)))
    case.close("val_prob.Intercept", spread.coefficients[0])
    case.close("val_prob.Slope", spread.coefficients[1])
    null, kept = -2 * fit_logit(y, np.empty((len(y), 0))).log_likelihood, 2 * forecast.log_loss(y, told).sum()
    case.close("val_prob.R2", -math.expm1((kept - null) / len(y)) / -math.expm1(-null / len(y)))


@built("auc_delong_compare.telco_classic")
def test_two_areas_under_the_curve(case: Case) -> None:
    """All terms against tenure and charges alone: both areas, their difference, its interval and p-value are R's."""
    _, y, x = of(Case(entries()["logit.telco_classic"]))
    told = [fit_logit(y, part).predictor for part in (x, x[:, :2])]
    case.close("auc1", forecast.auc(y, told[0]))
    case.close("auc2", forecast.auc(y, told[1]))
    got = auc_difference(y, *told)
    case.close("z", got.estimate / got.std_error)
    case.close("p", got.p_value)
    case.close("diff_ci", [got.conf_low, got.conf_high])


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
