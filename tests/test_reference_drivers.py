"""Importance of drivers and linear models of public data sets are R's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from reference_case import Case, built, parts_not_built, stand_in, table

import cxresearch as cx
from cxresearch.evidence import shares
from cxresearch.finding import Finding

parts_not_built("relimp.", {"names": "no number"})


def _parts(finding: Finding, columns: Sequence[str], words: dict[str, str], r2: float) -> list[float]:
    """The parts of R² of a finding: its shares times R²."""
    return [finding.one(measure="share", model="crude", term=words[c])["estimate"] * r2 for c in columns]


@built("relimp.swiss", "relimp.mobi.CUSA1_on_PERQ", "relimp.telco_ext.satisfaction_p8", "relimp.mtcars_collinear")
def test_importance(case: Case, tmp_path: Path) -> None:
    """R² and its parts by every way of sharing it out are R's, also where terms nearly say the same."""
    y = {"swiss": "Fertility", "mobi": "CUSA1", "telco_ext": "satisfaction", "mtcars": "mpg"}[case.dataset]
    columns = list(case.want("lmg"))
    frame = table(case.dataset)[[y, *columns]]
    study, words = stand_in(tmp_path, frame, frame.columns)
    r2 = case.want("r2")
    covariance = np.cov(frame.to_numpy(float).T)
    case.close("r2", shares.explained(covariance, 0, range(1, len(frame.columns))))
    for part in ("lmg", "last", "first", "betasq", "pratt", "genizi", "car", "johnson_relative_weights"):
        if part in case.values:
            method = {"genizi": "johnson", "johnson_relative_weights": "johnson"}.get(part, part)
            finding = cx.rank_drivers(study, words[y], [words[c] for c in columns], method=method)
            case.same(_parts(finding, columns, words, r2), [case.want(part)[c] for c in columns], part)
    case.same(np.array(_parts(finding, columns, words, 100)), list(case.want("johnson_pct").values()))
    record = finding.one(measure="r2")
    case.close("adj_r2", record["estimate"])
    case.close("n", record["n"])
    standardised = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    case.same(shares.slopes(standardised, 0, range(1, len(frame.columns))), list(case.want("std_beta").values()))
    plain = cx.relate(study, words[y], [words[c] for c in columns], steps=["crude"], method=["pearson"])
    case.same([plain.one(term=words[c])["estimate"] for c in columns], [case.want("zero_order_r")[c] for c in columns])


@built("rwa.swiss")
def test_relative_weights(case: Case, tmp_path: Path) -> None:
    """Johnson's relative weights, and rescaled to per cent of R², are those of rwa."""
    columns = list(case.want("raw"))
    study, words = stand_in(tmp_path, table("swiss"), ["Fertility", *columns])
    finding = cx.rank_drivers(study, words["Fertility"], [words[c] for c in columns], method="johnson")
    r2 = case.want("r2")
    case.close(
        "r2", shares.explained(np.cov(table("swiss")[["Fertility", *columns]].to_numpy(float).T), 0, range(1, 6))
    )
    case.same(_parts(finding, columns, words, r2), list(case.want("raw").values()))
    case.same(_parts(finding, columns, words, 100), list(case.want("pct").values()))
    case.close("n", finding.one(measure="r2")["n"])


@built("relimp_boot.swiss.perc")
def test_importance_that_was_bootstrapped(case: Case, tmp_path: Path) -> None:
    """Percentile intervals of parts and of their differences, by drawing rows anew, are near those of R's draws."""
    columns = list(case.want("lmg"))
    values = table("swiss")[["Fertility", *columns]].to_numpy(float)
    players = [[i] for i in range(1, 6)]
    case.same(shares.METHODS["lmg"](np.cov(values.T), 0, players), list(case.want("lmg").values()))
    drawn = values[np.random.default_rng(2).integers(0, len(values), (20_000, len(values)))]
    drawn -= drawn.mean(1, keepdims=True)
    parts = shares.METHODS["lmg"](drawn.transpose(0, 2, 1) @ drawn, 0, players)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    differences = np.column_stack([parts[:, i] - parts[:, j] for i, j in pairs])
    own = list(case.want("lmg").values())
    case.close("diff", [own[i] - own[j] for i, j in pairs])
    for end, quantile in (("lower", 0.025), ("upper", 0.975)):
        case.close(end, np.quantile(parts, quantile, axis=0))
        case.close(f"diff_{end}", np.quantile(differences, quantile, axis=0))


@built("dominance.swiss.r2")
def test_dominance(case: Case, tmp_path: Path) -> None:
    """General, conditional and complete dominance are domir's, in the rows of the verb."""
    columns = list(case.want("general"))
    study, words = stand_in(tmp_path, table("swiss"), ["Fertility", *columns])
    finding = cx.rank_drivers(study, words["Fertility"], [words[c] for c in columns], method="dominance")
    covariance = np.cov(table("swiss")[["Fertility", *columns]].to_numpy(float).T)
    case.close("total", shares.explained(covariance, 0, range(1, 6)))
    _dominates(case, finding, columns, words, case.want("total"))


@built("dominance.telco_classic.mcfadden")
def test_dominance_of_a_logistic_model(case: Case, tmp_path: Path) -> None:
    """Where leaving is asked the shares are of McFadden's R², and all of dominance is domir's."""
    columns = list(case.want("general"))
    study, words = stand_in(tmp_path, table("telco_classic"), ["churn", *columns], churn="churned")
    finding = cx.rank_drivers(study, "churned", [words[c] for c in columns], method="dominance")
    k = len(columns)
    null = -_log_likelihood(table("telco_classic")["churn"])
    case.close("total", finding.one(measure="r2")["estimate"] + k / null)  # the row is corrected for k terms
    _dominates(case, finding, columns, words, case.want("total"))


def _log_likelihood(y: pd.Series) -> float:
    share = float(y.mean())
    return len(y) * (share * math.log(share) + (1 - share) * math.log(1 - share))


def _dominates(case: Case, finding: Finding, columns: Sequence[str], words: dict[str, str], total: float) -> None:
    case.same(_parts(finding, columns, words, total), list(case.want("general").values()), "general")
    for measure, part in (("share", "standardized"), ("rank", "rank")):
        got = [finding.one(measure=measure, model="crude", term=words[c])["estimate"] for c in columns]
        case.same(got, list(case.want(part).values()), part)
    conditional, complete = case.matrix("conditional").to_numpy(float), case.matrix("complete").to_numpy(float)
    for i, c in enumerate(columns):
        for j, other in enumerate(columns):
            adds = finding.one(measure="r2_difference", term=words[c], group=f"others={j}")
            case.same(adds["estimate"], conditional[i, j], f"conditional {c} {j}")
            if i != j:
                more = finding.one(measure="rate", term=words[c], group=f"over={words[other]}")
                case.same(more["estimate"], complete[i, j], f"complete {c} {other}")


@built("relimp.telco_ext.factor_contract")
def test_importance_of_a_block(case: Case, tmp_path: Path) -> None:
    """A block of columns enters and leaves as one, as a factor of several levels does in R."""
    frame = table("telco_ext")[["satisfaction", "one_year", "two_year", "tenure", "monthly_charge", "referrals"]]
    study, words = stand_in(tmp_path, frame, frame.columns)
    blocks = {"g": ["one_year", "two_year"], **{c: [c] for c in ("tenure", "monthly_charge", "referrals")}}
    finding = cx.block_shares(
        study, words["satisfaction"], {name: [words[c] for c in terms] for name, terms in blocks.items()}
    )
    r2 = float(shares.explained(np.cov(frame.to_numpy(float).T), 0, range(1, 6)))
    case.close("r2", r2)
    got = [finding.one(measure="share", model="blocks", term=name)["estimate"] * r2 for name in blocks]
    case.same(got, [case.want("lmg")[name] for name in blocks], "lmg")


@built("ols.telco_ext.satisfaction")
def test_least_squares(case: Case, tmp_path: Path) -> None:
    """A model by formula has R's slopes and HC1 errors; its statsmodels result gives R's other errors and tests."""
    from statsmodels.stats import diagnostic, outliers_influence, stattools
    from statsmodels.stats.anova import anova_lm

    columns = [c for c in case.want("coef") if c != "(Intercept)"]
    study, words = stand_in(tmp_path, table("telco_ext"), ["satisfaction", *columns])
    result, finding = cx.fit(f"{words['satisfaction']} ~ {' + '.join(words[c] for c in columns)}", study)
    records = [finding.one(term=words[c]) for c in columns]
    case.same([r["estimate"] for r in records], [case.want("coef")[c] for c in columns], "coef")
    case.same([r["std_error"] for r in records], [case.want("hc1")[c] for c in columns], "hc1")
    order = ["Intercept", *(words[c] for c in columns)]
    case.same(result.params[order], list(case.want("coef").values()), "coef")
    case.close("r2", result.rsquared)
    case.close("adj", result.rsquared_adj)
    case.close("sigma", math.sqrt(result.scale))
    # R counts the variance of the residuals as a parameter, statsmodels does not
    case.close("aic", result.aic + 2)
    case.close("bic", result.bic + math.log(result.nobs))
    plain = result.model.fit()
    for part, got in (("se", plain.bse), ("t", plain.tvalues), ("hc0", plain.HC0_se), ("hc3", plain.HC3_se)):
        case.same(got[order], list(case.want(part).values()), part)
    p = pd.Series(list(case.want("p").values()), index=order)
    case.same(plain.pvalues[order], p.where(p > 0, plain.pvalues[order]), "p")  # R writes what underflows as 0
    case.same(plain.conf_int().loc[order], case.matrix("ci"), "ci")
    case.close("F.value", plain.fvalue)
    case.close("F.numdf", plain.df_model)
    case.close("F.dendf", plain.df_resid)
    exog = plain.model.exog
    inflation = [
        outliers_influence.variance_inflation_factor(exog, list(plain.params.index).index(words[c])) for c in columns
    ]
    case.same(inflation, [case.want("vif")[c] for c in columns])
    ranked = cx.rank_drivers(study, words["satisfaction"], [words[c] for c in columns])
    case.same([ranked.one(measure="vif", term=words[c])["estimate"] for c in columns], inflation)
    statistic, p_value, *_ = diagnostic.het_breuschpagan(plain.resid, exog)
    case.same(statistic, case.want("bp")["statistic"]["BP"], "bp")
    case.same(p_value, case.want("bp")["p.value"]["BP"], "bp")
    rows = plain.model.data.frame.customer_id.astype(
        int
    ).argsort()  # DW hangs on the order of rows, R's is that of the file
    case.close("dw.statistic.DW", stattools.durbin_watson(plain.resid.iloc[rows]))
    reset = diagnostic.linear_reset(plain, power=3, test_type="fitted", use_f=True)
    case.close("reset.statistic.RESET", reset.fvalue)
    case.same(reset.pvalue, case.want("reset")["p.value"], "reset")
    case.close("max_cook", plain.get_influence().cooks_distance[0].max())
    second = anova_lm(plain, typ=2)["F"]
    case.same([*second[[words[c] for c in columns]]], [x for x in case.want("type2") if x is not None])


@built("ordinal.telco_ext.satisfaction", "ordinal.mobi.CUSA1")
def test_ordinal_logit(case: Case, tmp_path: Path) -> None:
    """A proportional-odds model has the slopes, thresholds, errors and likelihood of R's polr."""
    y = "satisfaction" if case.dataset == "telco_ext" else "CUSA1"
    columns = list(case.want("coef"))
    study, words = stand_in(tmp_path, table(case.dataset), [y, *columns])
    result, finding = cx.fit(f"{words[y]} ~ {' + '.join(words[c] for c in columns)}", study, method="ordinal")
    got = [math.log(finding.one(term=words[c])["estimate"]) for c in columns]
    case.same(got, list(case.want("coef").values()), "coef")
    model, params = result.model, np.asarray(result.params)
    order = [result.model.exog_names.index(words[c]) for c in columns]
    case.same(params[order], list(case.want("coef").values()), "coef")
    zeta = model.transform_threshold_params(params)[1:-1]
    case.same(zeta, list(case.want("zeta").values()), "zeta")
    case.close("logLik", result.llf)
    plain = model.fit(start_params=params, method="newton", disp=False)
    # thresholds are a first one and the logarithms of the steps to the next
    k, count = len(columns), len(zeta)
    change: Any = np.eye(k + count)
    steps = np.exp(params[k + 1 :])
    for i in range(count):
        change[k + i, k] = 1.0
        change[k + i, k + 1 : k + 1 + i] = steps[:i]
        change[k + i, k + i] = 1.0 if i == 0 else steps[i - 1]
    se = np.sqrt(np.diag(change @ plain.cov_params() @ change.T))
    case.same([*se[:k][order], *se[k:]], list(case.want("se").values()), "se")
