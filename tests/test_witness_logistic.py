"""Leaving, its hazards and its forecasts against R on our own small table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from small_study import study_of
from witnesses import EXACT, says_again, table, witness

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.evidence import forecast
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab.discrimination import (
    auc_difference,
    calibration_error,
    hosmer_lemeshow,
    kolmogorov_smirnov,
)
from cxresearch.evidence.lab.logit_model import (
    delta,
    difference_at_the_mean,
    fit_statistics,
    profile_interval,
    robust_covariance,
)
from cxresearch.evidence.lab.penalised import penalised_interval
from cxresearch.evidence.logistic import average_difference, fit_logit

SAID = witness("logistic")
HELD = ("usage_data_gb", "list_price", "tenure_m", "prepaid")
SURVEY = ["sat1", "sat2", "sat3", "recommend"]
SEARCHED = 1e-8  # R climbs by steps of its own and looks for the ends by halving
SPLINE = 1e-4  # confint draws a spline through points of the profile
NUMERIC = 1e-8  # R takes gradients by differences


def frame() -> pd.DataFrame:
    """The table with its score of satisfaction."""
    return table().assign(satisfaction=lambda d: (d[["sat1", "sat2", "sat3"]].mean(axis=1) - 1) / 9 * 100)


def agree(name: str, got: Any, rtol: float = EXACT) -> None:
    """Numbers are those that R gave under a name; named ones by their name."""
    want = SAID[name]
    if isinstance(want, Mapping):
        got = [(vars(got) if isinstance(got, Interval) else got)[key] for key in want]
        want = list(want.values())
    np.testing.assert_allclose(np.ravel(got).astype(float), np.ravel(want), rtol=rtol, atol=1e-12, err_msg=name)


def studied(folder: Path, policy: str = "") -> Study:
    """The table as a study of one stated month whose clusters are sites."""
    rows = table().drop(columns="period")
    surveys = rows[["customer_id", *SURVEY]]
    return study_of(
        folder, panel=rows.drop(columns=SURVEY), surveys=surveys, levels=["customer", "site"], policy=policy
    )


def test_the_model_of_independent_rows() -> None:
    """Errors, profile intervals, fit and effects of a logistic model are glm's."""
    d = frame()
    y, x = d.churned.to_numpy(float), d[["satisfaction", *HELD]].to_numpy(float)
    fit = fit_logit(y, x)
    agree("se", np.sqrt(np.diag(fit.covariance)))
    agree("log_likelihood", fit.log_likelihood)
    for kind in ("HC0", "HC1"):
        agree(kind.lower(), np.sqrt(np.diag(robust_covariance(fit, y, kind))))
    profiles = [profile_interval(y, x, k) for k in range(x.shape[1])]
    agree("profile", [[p.conf_low, p.conf_high] for p in profiles], SPLINE)
    agree("fit", fit_statistics(fit, y))
    for name, column, flag in (("average_slope", 0, False), ("average_difference", 4, True)):
        estimate, _, gradient = average_difference(fit, column, 1.0, flag)
        agree(name, delta(estimate, gradient, fit.covariance), NUMERIC)
    agree("slope_at_the_mean", difference_at_the_mean(fit, 0), NUMERIC)


@pytest.mark.parametrize("method", ["logistic", "ordinal"])
def test_errors_of_a_formula_over_independent_rows(method: str, tmp_path: Path) -> None:
    """They are sandwich's HC1; of two values the ordinal model is the logistic one, thresholds and constant being the same."""
    terms = ["margin", *HELD]  # a term of the panel stands in for the answers
    d = frame().rename(columns={"satisfaction": "margin"}).astype({"prepaid": float})
    panel = d[["churned", *terms]].assign(customer_id=[f"row {i}" for i in range(len(d))])
    study = study_of(tmp_path, panel=panel)
    result, finding = cx.fit(f"churned ~ {' + '.join(terms)}", study, method=method)
    told = {name.partition("[")[0]: float(error) for name, error in result.bse.items()}
    got = {r["term"].partition("[")[0]: r["std_error"] / r["estimate"] for r in finding.rows()}
    want = dict(zip(terms, SAID["hc1"][-len(terms) :], strict=True))
    for name in terms:
        assert (got[name], told[name]) == pytest.approx((want[name], want[name]), rel=1e-5), name
    assert "HC1" in finding.method


def test_the_hazard_in_discrete_time(tmp_path: Path) -> None:
    """With the link cloglog the fit is glm's, and explain_churn gives its hazard ratio and effect over sites."""
    d = frame()
    y, x = d.churned.to_numpy(float), d[["satisfaction", *HELD]].to_numpy(float)
    fit = fit_logit(y, x, link="cloglog")
    agree("cloglog", fit.coefficients, NUMERIC)
    agree("cloglog_se", np.sqrt(np.diag(fit.covariance)), NUMERIC)
    agree("cloglog_log_likelihood", fit.log_likelihood)
    estimate, _, gradient = average_difference(fit, 0, 1.0, False)
    agree("cloglog_slope", delta(estimate, gradient, fit.covariance), NUMERIC)
    finding = cx.explain_churn(studied(tmp_path), "satisfaction", given=HELD, method="cloglog")
    agree("hazard_ratio_sites", finding.one(model="adjusted", measure="hazard_ratio"), NUMERIC)
    agree("cloglog_effect_sites", finding.one(model="adjusted", measure="per_1000"), NUMERIC)


def test_a_true_rate_that_is_stated(tmp_path: Path) -> None:
    """Where leavers are over-sampled, effects and rates are those of King and Zeng's formula in R."""
    study = studied(tmp_path, "enriched = true\nchurn_rate = 0.02")
    effect = cx.explain_churn(study, "satisfaction", given=HELD).one(model="adjusted", measure="per_1000")
    agree("enriched_effect_sites", effect, NUMERIC)
    alone = table().drop(columns=["period", *SURVEY])
    rates = cx.leavers_by_level(study_of(tmp_path, panel=alone, policy="enriched = true\nchurn_rate = 0.02"), "prepaid")
    rate = rates.one(group="prepaid=1")
    agree("enriched_rate", rate["estimate"] / 1000)
    agree("enriched_rate_ends", [rate["conf_low"] / 1000, rate["conf_high"] / 1000])


def test_a_penalty_where_leaving_is_separated() -> None:
    """Slope, profile interval and p-value are those at which R finds the likelihood times Jeffreys' prior highest."""
    d = frame()
    level = (d.satisfaction >= 45) + 1.0 * (d.satisfaction > 65)
    x = np.column_stack([level, d.tenure_m])
    y = d.churned.where(d.satisfaction >= 45, 1).where(d.satisfaction <= 65, 0).to_numpy(float)
    assert not fit_logit(y, x).converged
    got = penalised_interval(y, x, 0)
    agree("firth", got.estimate, SEARCHED)
    agree("firth_ends", [got.conf_low, got.conf_high], SEARCHED)
    agree("firth_p", got.p_value, SEARCHED)


def test_forecasts() -> None:
    """Every other row foretold from the rest: areas, losses, calibration and leavers caught are R's."""
    d = frame()
    learn, late = d.iloc[::2], d.iloc[1::2]
    told = []
    for terms in (["satisfaction", *HELD], ["satisfaction"]):
        fit = fit_logit(learn.churned.to_numpy(float), learn[terms].to_numpy(float))
        told.append(fit.coefficients[0] + late[terms].to_numpy(float) @ fit.coefficients[1:])
    y, sites = late.churned.to_numpy(float), late.site_id.factorize()[0].astype(np.intp)
    area = forecast.auc_interval(y, told[0])
    agree("auc", [area.conf_low, area.estimate, area.conf_high])
    agree("auc_sites", forecast.auc_interval(y, told[0], sites))
    two = auc_difference(y, *told)
    asked = {"z": two.estimate / two.std_error, "p": two.p_value, "low": two.conf_low, "high": two.conf_high}
    agree("auc_difference", asked)
    losses = [forecast.log_loss(y, t) for t in told]
    agree("log_loss_sites", forecast.mean_interval(losses[0], sites))
    plain = forecast.log_loss(y, np.full(len(y), math.log(y.mean() / (1 - y.mean()))))
    agree("saved_sites", forecast.ratio_interval(100 * (losses[1] - losses[0]), plain, sites), 1e-8)
    agree("caught_sites", forecast.caught_interval(y, told[0], sites))
    spread, large = fit_logit(y, told[0][:, None]), fit_logit(y, np.empty((len(y), 0)), offset=told[0])
    named = {"slope": spread.coefficients[1], "large": large.coefficients[0]}
    named |= {"slope_se": math.sqrt(spread.covariance[1, 1]), "large_se": math.sqrt(large.covariance[0, 0])}
    agree("calibration", named)
    assert forecast.calibration(y, told[0], sites)[1].estimate == pytest.approx(named["slope"], rel=EXACT)
    agree("hosmer_lemeshow", hosmer_lemeshow(y, expit(told[0]))[0])
    agree("kolmogorov_smirnov", kolmogorov_smirnov(y, told[0]))
    agree("calibration_error", calibration_error(y, expit(told[0])))


@pytest.mark.slow
def test_r_still_says_so(tmp_path: Path) -> None:
    """The script beside the numbers gives them again."""
    says_again("logistic", tmp_path / "again.json")
