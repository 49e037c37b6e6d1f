"""Numbers that R gave for public data sets: everything built here gives the same, everything else is named.

The cases and their tables are not part of the project. `CXRESEARCH_REFERENCE` names their folder; without it the
tests are skipped, and `tests/witness` still compares the same methods with R on a table of our own.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.evidence.importance import explained, shapley
from cxresearch.evidence.inference import false_discovery, jackknife, share_interval
from cxresearch.evidence.logistic import average_difference, fit_logit
from cxresearch.evidence.ranks import rank_covariances
from cxresearch.finding import interval_at

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / os.environ.get("CXRESEARCH_REFERENCE", "../shared/reference")).resolve()
ROUNDED = 5e-12  # a Finding holds twelve significant digits: half a unit of the twelfth, relative
BUILT: list[str] = []

# terms that stand in for the columns of other fields: the arithmetic does not know what a number means
NUMBERS = [
    "revenue",
    "margin",
    "latency_ms",
    "wait_s",
    "outage_min",
    "throughput_mbps",
    "list_price",
    "discount",
    "bill_errors",
    "order_days",
    "transfers",
    "care_contacts",
]

NOT_BUILT = {
    **dict.fromkeys(
        (
            "polychoric.mobi.CUSA1_CUSA2",
            "polychoric.bfi.A1_A2",
            "polyserial.telco_ext.charge_satisfaction",
            "polychoric_matrix.psych.mobi",
        ),
        "polychoric and polyserial correlation",
    ),
    "cor_compare.independent_and_dependent": "comparison of two correlations",
    "rwa.swiss": "Johnson's relative weights",
    "dominance.telco_classic.mcfadden": "shares of a logistic model's fit",
    "ordinal.telco_ext.satisfaction": "ordinal logit",
    "ordinal.mobi.CUSA1": "ordinal logit",
    "calibration.telco_classic.every5th": "calibration of forecasts",
    "auc_delong_compare.telco_classic": "area under the curve",
    **dict.fromkeys(
        (
            "mediate.jobs.quasibayes",
            "mediate.jobs.boot_perc",
            "mediate.mobi.image_sat_loyalty",
            "product_coef.jobs",
            "product_coef.mobi",
            "boot_indirect.mobi.perc_bca",
            "medsens.jobs",
            "sensemakr.telco_ext",
            "evalue",
        ),
        "mediation and sensitivity to what is not measured",
    ),
    "two_prop.shared": "tests of two proportions",
    "two_sample.telco_ext.satisfaction_by_fiber": "tests of two samples",
    "two_sample.telco_classic.monthly_by_churn": "tests of two samples",
    "anova.telco_ext.satisfaction_by_contract": "analysis of variance",
    "crosstab.telco_classic.contract_churn": "tests of crosstabs",
    "power.basic": "sample sizes",
    "power.more": "sample sizes",
    "weights.rake.telco_ext": "survey weights",
    **dict.fromkeys(
        (
            "pls.mobi.ecsi.path",
            "pls.mobi.ecsi.factorial",
            "plsc.mobi.ecsi.reflective",
            "pls.mobi.ecsi.bootstrap_seed123",
            "ipma.mobi.ecsi.satisfaction",
            "ipma.check.plspm_rescale",
            "pls.mobi.ecsi.semPLS_path",
            "pls.mobi.ecsi.raw_centroid_plspm",
            "published.tenenhaus2005.mobile_ecsi",
        ),
        "partial least squares",
    ),
    **dict.fromkeys(
        ("omega.mobi.PERQ", "omega.mobi.IMAG", "omega.mobi.CUSA", "omega_psych.mobi.PERQ"), "McDonald's omega"
    ),
    **dict.fromkeys(
        ("cfa.mobi.ecsi6", "cfa.mobi.ecsi6.MLR", "cfa.holzinger", "cfa.politicaldemocracy", "efa.mobi.parallel"),
        "factor analysis",
    ),
    **dict.fromkeys(
        (
            "sem.mobi.ecsi",
            "sem.mobi.image_sat_loyalty",
            "sem.politicaldemocracy",
            "path.telco_ext.observed",
            "path.attitude",
        ),
        "structural equations",
    ),
    **dict.fromkeys(
        (
            "spc.p.orangejuice",
            "spc.np.orangejuice",
            "spc.u.dyedcloth",
            "spc.c.circuit",
            "spc.xbar.pistonrings",
            "spc.R.pistonrings",
            "spc.xmr.nile",
            "spc.cusum_ewma.pistonrings",
            "spc.cusum_ewma.nile",
            "spc.xmr.attitude_rating",
            "capability.pistonrings",
        ),
        "control charts",
    ),
    "changepoint.nile": "change points",
    "stl.airpassengers_log": "seasonal decomposition",
    **dict.fromkeys(
        (
            "km.lung",
            "km.telco_classic",
            "km.telco_ext",
            "logrank.lung.sex",
            "logrank.telco_classic.contract",
            "logrank.veteran.celltype",
            "logrank_stratified.telco_classic",
            "cox.lung.efron",
            "cox.lung.breslow",
            "cox.telco_classic.efron",
            "cox.telco_classic.breslow",
            "cox.veteran.efron",
            "rmst.lung.sex_365",
            "rmst.telco_classic.techsupport_60",
            "rmst.veteran.trt_200",
            "competing_risks.telco_ext.aj",
            "aft_weibull.lung",
        ),
        "survival curves and models in continuous time",
    ),
}

# parts of cases that are otherwise built, by the head of the case's id
PARTS_NOT_BUILT: dict[str, dict[str, str]] = {
    "cor.": {
        "kendall_tau_b": "Kendall's tau",
        "spearman.ci_fisher_plain": "the interval of rho is Bonett and Wright's",
        "pearson.t": "the p-value says it",
        "pearson.df": "the p-value says it",
    },
    "cormat.": {"kendall": "Kendall's tau"},
    "pcor.": {
        "semipartial_row_with_col_adjusted": "semi-partial correlation",
        "semipartial_p_t": "semi-partial correlation",
        "partial_stat": "the p-value says it",
    },
    "padjust.": dict.fromkeys(("holm", "hochberg", "hommel", "bonferroni", "BY"), "the one adjustment is BH"),
    "cor_boot.": dict.fromkeys(
        ("bias", "normal", "basic", "percentile", "bca"), "bootstrap intervals; ours are by jackknife"
    ),
    "alpha.": {
        "alpha_std": "alpha of standardised answers",
        "guttman_lambda6": "lambda 6",
        "mean_interitem_r": "mean correlation of answers",
        "ase_duhachek": "the interval is Feldt's",
        "ci_duhachek": "the interval is Feldt's",
        "item_total_corrected": "item-total correlation",
        "item_total_raw": "item-total correlation",
        "alpha_if_dropped": "alpha without an answer",
        "split_half_max_lambda4": "empty",
        **dict.fromkeys(("kmo", "bartlett"), "factor analysis"),
    },
    "relimp.": {
        **dict.fromkeys(("last", "first", "betasq", "pratt", "genizi", "car"), "the one measure of importance is LMG"),
        "std_beta": "standardised slopes",
        "johnson_relative_weights": "Johnson's relative weights",
        "johnson_pct": "Johnson's relative weights",
        "names": "no number",
    },
    "relimp_boot.": dict.fromkeys(
        ("lower", "upper", "diff", "diff_lower", "diff_upper"), "bootstrap of rows; ours are by jackknife"
    ),
    "dominance.": {"conditional": "conditional dominance", "complete": "complete dominance"},
    "ols.": {
        **dict.fromkeys(("se", "t", "p", "ci", "F", "hc0", "hc3"), "errors are HC1 or clustered"),
        **dict.fromkeys(("vif", "bp", "dw", "reset", "max_cook", "type2"), "left to statsmodels"),
        **dict.fromkeys(("aic", "bic"), "statsmodels does not count the residual variance as a parameter"),
    },
    "logit.": {
        **dict.fromkeys(
            ("se", "z", "p", "or_ci_wald", "or_ci_profile", "ame_slope_exact.se", "ame_discrete.se"),
            "errors are by jackknife over clusters",
        ),
        **dict.fromkeys(("hc0", "hc1"), "errors are by jackknife over clusters"),
        "ame_slope_numeric_marginaleffects": "a numeric derivative; the exact one is compared",
        "mem_slope": "effects are averaged over rows, not taken at the mean",
        **dict.fromkeys(
            ("deviance", "null_deviance", "aic", "bic", "mcfadden", "cox_snell", "nagelkerke", "tjur", "lr_chisq"),
            "fit of a logistic model",
        ),
        **dict.fromkeys(("lr_df", "vif"), "fit of a logistic model"),
        **dict.fromkeys(
            ("auc", "auc_ci_delong", "brier", "log_loss", "brier_scaled", "ks", "gini", "avg_prob_top_decile"),
            "quality of forecasts",
        ),
        "hosmer_lemeshow_rank10": "quality of forecasts",
    },
    "discrete_hazard.": dict.fromkeys(("se", "loglik", "deviance"), "errors are by jackknife; fit of a logistic model"),
    "separation.": {"converged": "R reports convergence; seeing that there is none is the point", "auc_like": "empty"},
    "nps.": {
        "se_n_minus_1": "the variance of shares is divided by n",
        "ci95_adjusted_wald_addthree": "the interval is the plain normal one",
        "fpc_moe95_N5000": "finite populations",
    },
    "nps_diff.": dict.fromkeys(
        ("se", "z", "p", "ci95", "chisq_3cat"), "tests of two samples; the change between months is by jackknife"
    ),
    "prop_ci.": dict.fromkeys(
        ("agresti-coull", "asymptotic", "bayes", "exact", "logit", "wilson_cc", "jeffreys"), "Wilson's interval is used"
    ),
}


class Case:
    """One case: what R gave, and which parts of it have been compared."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.id, self.values, self.dataset = entry["id"], entry["values"], entry["dataset"]
        self.rel, self.abs = entry["tolerance"].get("rel", 0.0), entry["tolerance"].get("abs", 0.0)
        self.compared: set[str] = set()

    def want(self, part: str) -> Any:
        """What R gave for a part, named by its path; it counts as compared."""
        self.compared.add(part)
        value: Any = self.values
        for key in part.split("."):
            value = value[key]
        return value

    def close(self, part: str, got: Any) -> None:
        """A part agrees to the tolerance of the case."""
        self.same(got, self.want(part), part)

    def same(self, got: Any, want: Any, told: str = "") -> None:
        """Numbers agree to the tolerance of the case, or to what the twelve digits of a Finding allow."""
        np.testing.assert_allclose(
            np.asarray(got, dtype=float),
            np.asarray(want, dtype=float),
            rtol=max(self.rel, ROUNDED),
            atol=self.abs,
            err_msg=f"{self.id} {told}",
        )

    def matrix(self, part: str) -> pd.DataFrame:
        """A matrix with its names."""
        value = self.want(part)
        return pd.DataFrame(value["data"], index=value["rows"], columns=value["cols"])

    def forgotten(self) -> list[str]:
        """Parts that were neither compared nor named as not built."""
        named = {part for head, parts in PARTS_NOT_BUILT.items() if self.id.startswith(head) for part in parts}
        done = self.compared | named
        paths = [p for key, value in self.values.items() for p in _paths(key, value)]
        return [p for p in paths if not any(p == d or p.startswith(f"{d}.") or d.startswith(f"{p}.") for d in done)]


def _paths(key: str, value: Any) -> list[str]:
    if isinstance(value, dict) and ".type" not in value:
        return [f"{key}.{inner}" for inner in value]
    return [key]


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Every case by its id."""
    found = {}
    for file in sorted(REFERENCE.glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(data, dict):
            found.update({entry["id"]: entry for entry in data["cases"]})
    return found


def built(*ids: str) -> pytest.MarkDecorator:
    """Run a test on these cases and count them as built."""
    BUILT.extend(ids)
    return pytest.mark.parametrize("case", ids, indirect=True)


@pytest.fixture(scope="module", autouse=True)
def _there() -> None:
    if not (REFERENCE / "index.json").is_file():
        pytest.skip("no reference numbers here; CXRESEARCH_REFERENCE names their folder")


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    made = Case(entries()[request.param])
    yield made
    assert made.forgotten() == [], "these parts are neither compared nor named as not built"


@cache
def table(name: str) -> pd.DataFrame:
    """A table of the reference."""
    return pd.read_csv(REFERENCE / "data" / f"{name}.csv")


def stand_in(folder: Path, frame: pd.DataFrame, columns: Sequence[str], **named: str) -> tuple[Study, dict[str, str]]:
    """A study in which terms stand in for columns, and which term for which column."""
    free = [term for term in NUMBERS if term not in named.values()]
    words = {column: named.get(column) or free.pop(0) for column in columns}
    return study_of(folder, panel=frame[list(columns)].rename(columns=words)), words


def test_every_case_is_built_or_named() -> None:
    """A case that is added to the reference cannot be forgotten: it is compared, or named with what is not built."""
    index = {entry["id"] for entry in json.loads((REFERENCE / "index.json").read_text(encoding="utf-8"))}
    assert sorted([*BUILT, *NOT_BUILT]) == sorted(index)


# -- correlations


@built(
    "cor.mobi.CUSA1_PERQ1",
    "cor.mobi.IMAG1_CUSL1_90",
    "cor.telco_ext.satisfaction_churn",
    "cor.telco_ext.satisfaction_tenure",
    "cor.mtcars.mpg_wt",
    "cor.swiss.Fertility_Education",
)
def test_correlation_with_its_interval(case: Case, tmp_path: Path) -> None:
    """r has Fisher's interval and rho that of Bonett and Wright, both with the p-value of t."""
    x, y = case.id.removesuffix("_90").split(".")[2].split("_")
    study, words = stand_in(tmp_path, table(case.dataset), [x, y])
    finding = cx.relate(study, words[y], words[x], steps=["crude"])
    for measure, part, ends in (("r", "pearson", "ci"), ("rho", "spearman", "ci_bonett_wright")):
        record = finding.one(measure=measure)
        case.close(f"{part}.{measure}", record["estimate"])
        case.close(f"{part}.{ends}", interval_at(record, case.want("conf_level")))
        case.close(f"{part}.{'p' if measure == 'r' else 'p_t_approx'}", record["p_value"])
        assert record["n"] == case.want("n")


@built("cormat.mobi.sat_block")
def test_matrix_of_correlations(case: Case, tmp_path: Path) -> None:
    """A call with many pairs gives each of them as a call with one would."""
    matrices = {"r": case.matrix("pearson"), "rho": case.matrix("spearman")}
    columns = list(matrices["r"].columns)
    study, words = stand_in(tmp_path, table("mobi"), columns)
    for i, a in enumerate(columns[:-1]):
        finding = cx.relate(study, words[a], [words[c] for c in columns[i + 1 :]], steps=["crude"])
        assert {r["n"] for r in finding.rows()} == {case.want("n")}
        for b in columns[i + 1 :]:
            for measure, matrix in matrices.items():
                estimate = finding.one(term=words[b], measure=measure)["estimate"]
                case.same(estimate, matrix.loc[a, b], f"{measure} {a} {b}")


@built("pcor.mobi", "pcor.telco_ext", "pcor.attitude")
def test_partial_correlation(case: Case, tmp_path: Path) -> None:
    """The step `adjusted` is the partial correlation, with the p-value of t on n - 2 - k."""
    estimates, p_values = case.matrix("partial"), case.matrix("partial_p_t")
    columns = list(estimates.columns)
    study, words = stand_in(tmp_path, table(case.dataset), columns)
    for a, b in combinations(columns, 2):
        given = [words[c] for c in columns if c not in (a, b)]
        finding = cx.relate(study, words[a], words[b], given=given, steps=["adjusted"], method=["pearson"])
        record = finding.one(measure="r", model="adjusted")
        case.same(record["estimate"], estimates.loc[a, b], f"{a} {b}")
        case.same(record["p_value"], p_values.loc[a, b], f"p {a} {b}")
        assert (record["n"], len(given)) == (case.want("n"), case.want("gp"))


@built("padjust.basic", "padjust.swiss_matrix")
def test_false_discovery(case: Case) -> None:
    """Adjusted p-values are Benjamini and Hochberg's."""
    p_values = case.want("p" if "p" in case.values else "p_upper_column_major")
    case.close("BH", false_discovery(p_values))


def test_false_discovery_over_the_pairs_of_a_call(tmp_path: Path) -> None:
    """A call with many pairs gives the p-values of cor.test and adjusts them over its pairs."""
    case = Case(entries()["padjust.swiss_matrix"])
    columns = list(table("swiss").columns[:6])
    study, words = stand_in(tmp_path, table("swiss"), columns)
    everything = [words[c] for c in columns]
    # each pair stands twice in this call, once each way: that leaves p · m / rank, and so the adjusted p, as it is
    finding = cx.relate(study, everything, everything, steps=["crude"], method=["pearson"])
    for name, part in (("p_value", "p_upper_column_major"), ("p_adjusted", "BH")):
        got = {(r["outcome"], r["term"]): r[name] for r in finding.rows(measure="r")}
        case.close(part, [got[words[columns[i]], words[columns[j]]] for j in range(6) for i in range(j)])


@built("cor_boot.mobi.spearman")
def test_error_of_ranks_as_by_bootstrap(case: Case) -> None:
    """The jackknife of rho, each row a block, has the error that 20,000 resamples have."""
    values = table("mobi")[["CUSA1", "PERQ1"]].to_numpy(float)
    full, left_out = rank_covariances(values, np.arange(len(values)))

    def rho(c: np.ndarray) -> np.ndarray:
        return c[..., 0, 1] / np.sqrt(c[..., 0, 0] * c[..., 1, 1])

    interval = jackknife(float(rho(full)), rho(left_out), on="rho")
    case.close("r", interval.estimate)
    case.close("boot_se", interval.std_error)


# -- reliability


@built(
    "alpha.mobi.IMAG",
    "alpha.mobi.PERQ",
    "alpha.mobi.CUSA",
    "alpha.mobi.CUEX",
    "alpha.mobi.CUSL",
    "alpha.mobi.PERV",
    "alpha.holzinger.visual",
    "alpha.bfi.N",
)
def test_alpha(case: Case, tmp_path: Path) -> None:
    """Alpha of complete answers, with Feldt's interval."""
    items = list(case.want("item_total_corrected"))
    frame = table(case.dataset)[items]
    score = f"{{mean_of = {json.dumps(items)}, scale = [0, 10]}}"
    finding = cx.reliability(study_of(tmp_path, surveys=frame, columns={"satisfaction": score}))
    record = finding.one(measure="alpha")
    case.close("alpha_raw", record["estimate"])
    case.close("ci_feldt", [record["conf_low"], record["conf_high"]])
    assert (record["n"], len(items)) == (case.want("n"), case.want("k"))


# -- importance


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


# -- models


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


def test_leavers_by_the_verb(tmp_path: Path) -> None:
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
    """The hazard of 228,000 customer-months is R's."""
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


# -- scores and shares

SYNTHETIC = {"a": (10, 5, 8, 12, 15, 60, 90, 150, 200, 180, 170), "b": (5, 5, 5, 5, 10, 30, 40, 100, 150, 150, 150)}


def answers(counts: Sequence[int]) -> pd.DataFrame:
    """Answers from 0 to 10, so many of each."""
    return pd.DataFrame({"recommend": np.repeat(np.arange(11.0), counts)})


@built("nps.synth_900", "nps.mobi_CUSL3")
def test_net_score(case: Case, tmp_path: Path) -> None:
    """Net score in points with the plain normal interval, and the shares behind it."""
    frame = (
        answers(SYNTHETIC["a"])
        if case.id == "nps.synth_900"
        else table("mobi")[["CUSL3"]].set_axis(["recommend"], axis=1)
    )
    finding = cx.score(study_of(tmp_path, surveys=frame), "recommend")
    record = finding.one(measure="score", group="all")
    for part in ("nps", "nps_pkg"):
        case.same(record["estimate"] / 100, case.want(part), part)
    for part in ("se_n", "se_pkg"):
        case.same(record["std_error"] / 100, case.want(part), part)
    for part in ("variance", "var_pkg"):
        case.same((record["std_error"] / 100) ** 2 * record["n"], case.want(part), part)
    ends = np.array([record["conf_low"], record["conf_high"]]) / 100
    case.close("ci95_wald", ends)
    case.close("moe95_n", (ends[1] - ends[0]) / 2)
    case.close("ci90_wald", np.array(interval_at(record, 0.90)) / 100)
    bands = {r["term"]: r["events"] for r in finding.rows(measure="share")}
    assert record["n"] == case.want("n")
    assert bands["9-10"] == case.want("promoters")
    assert bands["7-8"] == case.want("passives")
    assert bands.get("0-3", 0) + bands["4-6"] == case.want("detractors")


@built("nps_diff.synth")
def test_change_of_the_net_score(case: Case, tmp_path: Path) -> None:
    """The change from the month before is the difference of the two scores."""
    frames = [answers(SYNTHETIC[k]).assign(period=month) for k, month in (("b", "2026-09"), ("a", "2026-10"))]
    study = study_of(tmp_path, surveys=pd.concat(frames), window=2)
    change = cx.score(study, "recommend").one(measure="difference", model="change")
    case.close("diff", change["estimate"] / 100)


@built("prop_ci.1869_of_7043", "prop_ci.0_of_30", "prop_ci.29_of_30")
def test_share_of_leavers(case: Case, tmp_path: Path) -> None:
    """Where every row is one customer the share of leavers has Wilson's interval."""
    columns = ("mean", "lower", "upper")
    methods = dict(zip(case.values["method"], zip(*(case.values[c] for c in columns), strict=True), strict=True))
    case.values = {k: v for k, v in case.values.items() if k not in (*columns, "method")} | methods
    k, n, level = case.want("k"), case.want("n"), case.want("level")
    interval = share_interval(k / n, n, None, None, level)
    case.close("wilson", [interval.estimate, interval.conf_low, interval.conf_high])
    if level == 0.95:
        study = study_of(tmp_path, panel=pd.DataFrame({"churned": np.arange(n) < k}))
        record = cx.churn_rate(study).rows(group="all")[0]
        case.close("wilson", [record[c] / 1000 for c in ("estimate", "conf_low", "conf_high")])
        assert (record["n"], record["events"]) == (n, k)
