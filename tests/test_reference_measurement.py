"""Reliabilities and factors of public data sets are R's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reference_case import Case, built, parts_not_built, table
from small_study import study_of

import cxresearch as cx
from cxresearch.evidence.lab import confirmatory, consistency, extraction, model_fit
from cxresearch.evidence.lab.confirmatory import Fit, Sample
from cxresearch.finding import Finding

MORE = "CFI, TLI, RMSEA and SRMR say it"
parts_not_built("alpha.", {"split_half_max_lambda4": "empty"})
parts_not_built("omega_psych.", {"omega_lim": "above one: no reliability", "alpha": "compared in the cases of alpha"})
parts_not_built(
    "cfa.",
    {
        **{f"fit.{name}": MORE for name in ("nnfi", "nfi", "ifi", "rni", "bic2", "rmr", "gfi", "agfi")},
    },
)


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
    """Alpha of complete answers with both intervals, its companions, and what each answer adds."""
    items = list(case.want("item_total_corrected"))
    finding = of_items(case, items, tmp_path)
    record = finding.one(measure="alpha", model="crude")
    case.close("alpha_raw", record["estimate"])
    case.close("ci_feldt", [record["conf_low"], record["conf_high"]])
    assert (record["n"], len(items)) == (case.want("n"), case.want("k"))
    wide = finding.one(measure="alpha", model="duhachek")
    case.close("ase_duhachek", wide["std_error"])
    case.close("ci_duhachek", wide["estimate"] + np.array([-1.96, 1.96]) * wide["std_error"])  # R rounds the quantile
    case.close("alpha_std", finding.one(measure="alpha", model="standardised")["estimate"])
    case.close("guttman_lambda6", finding.one(measure="lambda6")["estimate"])
    case.close("mean_interitem_r", finding.one(measure="r")["estimate"])
    for part, measure, model in (
        ("item_total_corrected", "item_total", "rest"),
        ("item_total_raw", "item_total", "all"),
        ("alpha_if_dropped", "alpha", "dropped"),
    ):
        got = [row["estimate"] for row in finding.rows(measure=measure, model=model)]
        case.same(got, list(case.want(part).values()), part)
    r = np.corrcoef(table(case.dataset)[items].dropna().to_numpy().T)
    chi2, df, p = extraction.sphericity(r, record["n"])
    case.close("kmo", extraction.sampling_adequacy(r)[0])
    want = case.want("bartlett")
    case.same([chi2, df, p], [want["chisq"], want["df"], want["p.value"]], "bartlett")


def of_items(case: Case, items: list[str], folder: Path) -> Finding:
    """All that `reliability` says of a score of these columns."""
    score = f"{{mean_of = {json.dumps(items)}, scale = [0, 10]}}"
    study = study_of(folder, surveys=table(case.dataset)[items], columns={"satisfaction": score})
    return cx.reliability(study, method=("alpha", "omega", "observed", "composite", "others", "items", "duhachek"))


@built("omega.mobi.PERQ", "omega.mobi.IMAG", "omega.mobi.CUSA")
def test_three_omegas(case: Case, tmp_path: Path) -> None:
    """Omega of the implied and of the observed variance, and composite reliability, are three numbers, each named."""
    items = list(case.want("loadings_std"))
    finding = of_items(case, items, tmp_path)
    for part, measure, model in (
        ("omega_total_unstd", "omega", "implied"),
        ("omega_vs_observed_var", "omega", "observed"),
        ("omega_std", "composite_reliability", "standardised"),
        ("composite_reliability_std", "composite_reliability", "standardised"),
        ("ave_std", "ave", "standardised"),
    ):
        case.close(part, finding.one(measure=measure, model=model)["estimate"])
    assert finding.one(measure="omega", model="implied")["n"] == case.want("n")
    fit, _ = fitted(case, items, np.ones((len(items), 1), dtype=bool))
    case.same(fit.standardised()[:, 0], list(case.want("loadings_std").values()), "loadings_std")
    case.close("chisq", fit.chi2)
    case.close("df", fit.df)


@built("omega_psych.mobi.PERQ")
def test_omega_of_minres(case: Case) -> None:
    """One factor by minres gives psych's loadings, and psych's omega."""
    loadings = extraction.minres(np.corrcoef(table("mobi")[[f"PERQ{i}" for i in range(1, 8)]].to_numpy().T), 1)[:, 0]
    case.close("loadings_minres", loadings)
    case.close("omega_tot", consistency.composites(loadings, 1 - loadings**2, 1.0).implied)


def fitted(case: Case, items: list[str], pattern: NDArray[np.bool_]) -> tuple[Fit, NDArray[np.float64]]:
    """The model of columns of a table, and their standardised values."""
    values = table(case.dataset)[items].dropna().to_numpy(dtype=float)
    standard = (values - values.mean(0)) / values.std(0)
    return confirmatory.fit([Sample(standard.T @ standard / len(values), len(values))], pattern), standard


@built("cfa.mobi.ecsi6", "cfa.mobi.ecsi6.MLR", "cfa.holzinger", "cfa.politicaldemocracy")
def test_confirmatory_model(case: Case) -> None:
    """Loadings standardised and by marker, factor correlations, their errors, reliabilities and fit are lavaan's."""
    told, names = case.want("loadings"), list(dict.fromkeys(case.values["loadings"]["lv"]))
    pattern = np.array([[lv == name for name in names] for lv in told["lv"]])
    fit, values = fitted(case, told["item"], pattern)
    own = table(case.dataset)[told["item"]].dropna().to_numpy(dtype=float)
    scale, first = own.std(0), pattern.argmax(0)
    covariance, factors = fit.covariance, fit.matrices()[1]
    if case.id.endswith("MLR"):
        covariance = confirmatory.robust(fit, values, None)[0]

    def standard(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return fit.standardised(theta)[pattern]

    def by_marker(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        loadings = fit.matrices(theta)[0] * scale[:, None]
        return (loadings / loadings[first, range(len(names))])[pattern]

    assert fit.n == case.want("n")
    errors = confirmatory.errors_of(by_marker, fit, covariance)
    case.same(standard(fit.theta), told["std"], "std")
    case.same(confirmatory.errors_of(standard, fit, covariance), told["std_se"], "std_se")
    case.same(by_marker(fit.theta), told["unstd"], "unstd")
    case.same(errors, told["unstd_se"], "unstd_se")
    free = [z is not None for z in told["z"]]
    case.same((by_marker(fit.theta) / np.where(free, errors, 1))[free], [z for z in told["z"] if z is not None], "z")
    between = case.want("factor_cor")
    at = [names.index(b) for b in between["b"]], [names.index(a) for a in between["a"]]
    case.same(factors[at], between["r"], "r")
    case.same(confirmatory.errors_of(lambda t: fit.matrices(t)[1][at], fit, covariance), between["se"], "se")
    compare_scores(case, fit, own, pattern, names)
    compare_fit(case, fit, values, own)
    improper = fit.improper(told["item"])
    assert any("not positive definite" in why for why in improper) == case.id.startswith("cfa.mobi"), improper


def compare_scores(
    case: Case, fit: Fit, own: NDArray[np.float64], pattern: NDArray[np.bool_], names: list[str]
) -> None:
    """Reliability, variance extracted and distinctness of the scores of a model."""
    loadings, _, errors = fit.matrices()
    scale, covariance = own.std(0), np.cov(own.T, ddof=0)
    blocks = [[int(i) for i in np.flatnonzero(pattern[:, k])] for k in range(len(names))]
    for k, (name, at) in enumerate(zip(names, blocks, strict=True)):
        variance = float(covariance[np.ix_(at, at)].sum())
        found = consistency.composites(loadings[at, k] * scale[at], errors[at] * scale[at] ** 2, variance)
        for part, got in (
            ("composite_reliability_semTools", found.observed),
            ("ave_semTools", found.extracted_own),
            ("cr_std", found.standardised),
            ("ave_std", found.extracted),
        ):
            case.same(got, case.want(part)[name], part)
    # semTools gives HTMT2 unless asked otherwise: both parts hold it
    for part in ("htmt", "htmt2"):
        got = [[consistency.htmt(covariance, a, b, geometric=True) if a != b else 1.0 for b in blocks] for a in blocks]
        case.same(got, case.matrix(part), part)


def compare_fit(case: Case, fit: Fit, values: NDArray[np.float64], own: NDArray[np.float64]) -> None:
    """The fit of a model, plain and scaled."""
    r, n, apart = fit.samples[0].covariance, fit.n, model_fit.independence(fit.samples[0].covariance, fit.n)
    found = model_fit.indices(fit.chi2, fit.df, *apart, n)
    likelihood, count = model_fit.log_likelihood(fit.chi2, np.cov(own.T, ddof=0), n), fit.layout.count
    got = {
        "npar": count, "fmin": fit.chi2 / n / 2, "chisq": found.chi2, "df": found.df, "pvalue": found.p_value,
        "baseline.chisq": apart[0], "baseline.df": apart[1], "cfi": found.cfi, "tli": found.tli,
        "rmsea": found.rmsea, "rmsea.ci.lower": found.rmsea_low, "rmsea.ci.upper": found.rmsea_high,
        "rmsea.pvalue": found.rmsea_close, "srmr": model_fit.srmr(r, fit.implied()), "logl": likelihood,
        "aic": 2 * count - 2 * likelihood, "bic": np.log(n) * count - 2 * likelihood,
    }  # fmt: skip
    if case.id.endswith("MLR"):
        factor = confirmatory.robust(fit, values, None)[1]
        nothing = confirmatory.fit(fit.samples, np.zeros((len(r), 0), dtype=bool))
        scaled = model_fit.indices(fit.chi2, fit.df, *apart, n, factor, confirmatory.robust(nothing, values, None)[1])
        got |= {
            "chisq.scaled": scaled.chi2, "chisq.scaling.factor": factor, "cfi.robust": scaled.cfi,
            "tli.robust": scaled.tli, "rmsea.robust": scaled.rmsea, "pvalue.scaled": scaled.p_value,
        }  # fmt: skip
    for name, value in got.items():
        case.compared.add(f"fit.{name}")
        case.same(value, case.values["fit"][name], name)


@built("efa.mobi.parallel")
def test_exploratory_factors(case: Case) -> None:
    """Eigenvalues, KMO, Bartlett's test, and two oblique factors by minres are psych's."""
    frame = table("mobi")
    r = np.corrcoef(frame.to_numpy(dtype=float).T)
    case.close("eigen", extraction.eigenvalues(r))
    overall, each = extraction.sampling_adequacy(r)
    case.close("kmo", overall)
    case.same(each, [case.want("kmo_items")[name] for name in frame], "kmo_items")
    want = case.want("bartlett")
    case.same(extraction.sphericity(r, len(frame)), [want["chisq"], want["df"], want["p.value"]], "bartlett")
    loadings = extraction.minres(r, 2)
    case.same((loadings**2).sum(1), [case.want("minres2_communality")[name] for name in frame], "minres2_communality")
    case.same(extraction.rotate(loadings, "oblimin")[1], case.matrix("minres2_phi"), "minres2_phi")
    residual = (r - loadings @ loadings.T)[~np.eye(len(r), dtype=bool)]
    case.close("rms", np.sqrt((residual**2).mean()))
