"""Importance of drivers and linear models of public data sets are R's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from reference_case import Case, built, not_built, parts_not_built, stand_in, table

import cxresearch as cx
from cxresearch.evidence.importance import explained, shapley

not_built("Johnson's relative weights", "rwa.swiss")
not_built("shares of a logistic model's fit", "dominance.telco_classic.mcfadden")
not_built("ordinal logit", "ordinal.telco_ext.satisfaction", "ordinal.mobi.CUSA1")
parts_not_built(
    "relimp.",
    {
        "last": "the one measure of importance is LMG",
        "first": "the one measure of importance is LMG",
        "betasq": "the one measure of importance is LMG",
        "pratt": "the one measure of importance is LMG",
        "genizi": "the one measure of importance is LMG",
        "car": "the one measure of importance is LMG",
        "std_beta": "standardised slopes",
        "johnson_relative_weights": "Johnson's relative weights",
        "johnson_pct": "Johnson's relative weights",
        "names": "no number",
    },
)
parts_not_built(
    "relimp_boot.",
    {
        "lower": "bootstrap of rows; ours are by jackknife",
        "upper": "bootstrap of rows; ours are by jackknife",
        "diff": "bootstrap of rows; ours are by jackknife",
        "diff_lower": "bootstrap of rows; ours are by jackknife",
        "diff_upper": "bootstrap of rows; ours are by jackknife",
    },
)
parts_not_built("dominance.", {"conditional": "conditional dominance", "complete": "complete dominance"})
parts_not_built(
    "ols.",
    {
        "se": "errors are HC1 or clustered",
        "t": "errors are HC1 or clustered",
        "p": "errors are HC1 or clustered",
        "ci": "errors are HC1 or clustered",
        "F": "errors are HC1 or clustered",
        "hc0": "errors are HC1 or clustered",
        "hc3": "errors are HC1 or clustered",
        "vif": "left to statsmodels",
        "bp": "left to statsmodels",
        "dw": "left to statsmodels",
        "reset": "left to statsmodels",
        "max_cook": "left to statsmodels",
        "type2": "left to statsmodels",
        "aic": "statsmodels does not count the residual variance as a parameter",
        "bic": "statsmodels does not count the residual variance as a parameter",
    },
)


def _importance(case: Case, folder: Path, y: str, columns: Sequence[str]) -> None:
    """LMG and R² by the pure functions, shares and adjusted R² by the verb."""
    frame = table(case.dataset)[[y, *columns]]
    covariance = np.cov(frame.to_numpy(float).T)
    parts = shapley(covariance, 0, [[i] for i in range(1, len(frame.columns))])
    r2 = float(explained(covariance, 0, list(range(1, len(frame.columns)))))
    case.same(parts, [case.want("lmg")[c] for c in columns], "lmg")
    if "r2" in case.values:
        case.close("r2", r2)
    study, words = stand_in(folder, frame, frame.columns)
    finding = cx.rank_drivers(study, words[y], [words[c] for c in columns])
    shares = [finding.one(measure="share", term=words[c])["estimate"] for c in columns]
    case.same(shares, [case.want("lmg")[c] / r2 for c in columns], "shares")
    if "adj_r2" in case.values:
        record = finding.one(measure="r2")
        case.close("adj_r2", record["estimate"])
        assert record["n"] == case.want("n")


@built("relimp.swiss", "relimp.mobi.CUSA1_on_PERQ", "relimp.telco_ext.satisfaction_p8", "relimp.mtcars_collinear")
def test_importance(case: Case, tmp_path: Path) -> None:
    """The shares of R² are LMG's, also where terms nearly say the same."""
    y = {"swiss": "Fertility", "mobi": "CUSA1", "telco_ext": "satisfaction", "mtcars": "mpg"}[case.dataset]
    columns = list(case.want("lmg"))
    _importance(case, tmp_path, y, columns)
    study, words = stand_in(tmp_path, table(case.dataset), [y, *columns])
    finding = cx.relate(study, words[y], [words[c] for c in columns], steps=["crude"], method=["pearson"])
    case.same(
        [finding.one(term=words[c])["estimate"] for c in columns], [case.want("zero_order_r")[c] for c in columns]
    )


@built("relimp_boot.swiss.perc")
def test_importance_that_was_bootstrapped(case: Case, tmp_path: Path) -> None:
    """The shares of R² are those around which R drew its samples."""
    _importance(case, tmp_path, "Fertility", list(case.want("lmg")))


@built("dominance.swiss.r2")
def test_general_dominance_is_the_share(case: Case, tmp_path: Path) -> None:
    """General dominance, its standardised form and its ranks are the shares and ranks of LMG."""
    columns = list(case.want("general"))
    frame = table("swiss")[["Fertility", *columns]]
    covariance = np.cov(frame.to_numpy(float).T)
    case.same(shapley(covariance, 0, [[i] for i in range(1, 6)]), list(case.want("general").values()))
    case.close("total", explained(covariance, 0, range(1, 6)))
    study, words = stand_in(tmp_path, frame, frame.columns)
    finding = cx.rank_drivers(study, words["Fertility"], [words[c] for c in columns])
    for measure, part in (("share", "standardized"), ("rank", "rank")):
        got = [finding.one(measure=measure, term=words[c])["estimate"] for c in columns]
        case.same(got, list(case.want(part).values()), part)


@built("relimp.telco_ext.factor_contract")
def test_importance_of_a_block(case: Case, tmp_path: Path) -> None:
    """A block of columns enters and leaves as one, as a factor of several levels does in R."""
    frame = table("telco_ext")[["satisfaction", "one_year", "two_year", "tenure", "monthly_charge", "referrals"]]
    study, words = stand_in(tmp_path, frame, frame.columns)
    blocks = {"g": ["one_year", "two_year"], **{c: [c] for c in ("tenure", "monthly_charge", "referrals")}}
    finding = cx.rank_drivers(
        study, words["satisfaction"], {name: [words[c] for c in terms] for name, terms in blocks.items()}
    )
    r2 = float(explained(np.cov(frame.to_numpy(float).T), 0, range(1, 6)))
    case.close("r2", r2)
    got = [finding.one(measure="share", term=name)["estimate"] * r2 for name in blocks]
    case.same(got, [case.want("lmg")[name] for name in blocks], "lmg")


@built("ols.telco_ext.satisfaction")
def test_least_squares(case: Case, tmp_path: Path) -> None:
    """A model by formula has R's slopes and, where every row is one customer, HC1 errors."""
    columns = [c for c in case.want("coef") if c != "(Intercept)"]
    study, words = stand_in(tmp_path, table("telco_ext"), ["satisfaction", *columns])
    result, finding = cx.fit(f"{words['satisfaction']} ~ {' + '.join(words[c] for c in columns)}", study)
    records = [finding.one(term=words[c]) for c in columns]
    case.same([r["estimate"] for r in records], [case.want("coef")[c] for c in columns], "coef")
    case.same([r["std_error"] for r in records], [case.want("hc1")[c] for c in columns], "hc1")
    case.same(result.params["Intercept"], case.want("coef")["(Intercept)"], "constant")
    case.close("r2", result.rsquared)
    case.close("adj", result.rsquared_adj)
    case.close("sigma", math.sqrt(result.scale))
