"""Correlations of public data sets are R's."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
from reference_case import Case, built, entries, not_built, parts_not_built, stand_in, table

import cxresearch as cx
from cxresearch.evidence.inference import false_discovery, jackknife
from cxresearch.evidence.lab.polychoric import crossed, polychoric, polychoric_matrix, two_step
from cxresearch.evidence.ranks import rank_covariances
from cxresearch.finding import interval_at

not_built("polyserial correlation", "polyserial.telco_ext.charge_satisfaction")
parts_not_built(
    "polychoric.",
    {
        "two_step.se": "takes the thresholds as known and is too small; ours counts them",
        "ml.rho": "R's search stopped short of the maximum: ours is likelier, as the test says",
        "ml.se": "at R's stopping place, not at the maximum",
        "ml.row_cuts": "at R's stopping place, not at the maximum",
        "ml.col_cuts": "at R's stopping place, not at the maximum",
    },
)
not_built("comparison of two correlations", "cor_compare.independent_and_dependent")
parts_not_built(
    "cor.",
    {
        "kendall_tau_b": "Kendall's tau",
        "spearman.ci_fisher_plain": "the interval of rho is Bonett and Wright's",
        "pearson.t": "the p-value says it",
        "pearson.df": "the p-value says it",
    },
)
parts_not_built("cormat.", {"kendall": "Kendall's tau"})
parts_not_built(
    "pcor.",
    {
        "semipartial_row_with_col_adjusted": "semi-partial correlation",
        "semipartial_p_t": "semi-partial correlation",
        "partial_stat": "the p-value says it",
    },
)
parts_not_built(
    "padjust.",
    {
        "holm": "the one adjustment is BH",
        "hochberg": "the one adjustment is BH",
        "hommel": "the one adjustment is BH",
        "bonferroni": "the one adjustment is BH",
        "BY": "the one adjustment is BH",
    },
)
parts_not_built(
    "cor_boot.",
    {
        "bias": "bootstrap intervals; ours are by jackknife",
        "normal": "bootstrap intervals; ours are by jackknife",
        "basic": "bootstrap intervals; ours are by jackknife",
        "percentile": "bootstrap intervals; ours are by jackknife",
        "bca": "bootstrap intervals; ours are by jackknife",
    },
)


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


@built("polychoric.mobi.CUSA1_CUSA2", "polychoric.bfi.A1_A2")
def test_polychoric_correlation(case: Case) -> None:
    """The two-step estimate is R's; the full fit is likelier than where R's search stopped, and near it."""
    frame = table(case.dataset)
    x, y = (frame[c].to_numpy(float) for c in case.id.split(".")[2].split("_"))
    counts = crossed(x, y)
    assert counts.sum() == case.want("n")
    case.close("two_step.rho", two_step(counts))
    found = polychoric(counts)
    assert found.df == case.want("ml.df")
    assert found.chi2 < case.want("ml.chisq")
    assert abs(found.estimate - case.values["ml"]["rho"]) < found.std_error / 4


@built("polychoric_matrix.psych.mobi")
def test_matrix_of_polychoric_correlations(case: Case) -> None:
    """All pairs of items have psych's two-step estimate."""
    want = case.matrix("rho")
    case.same(polychoric_matrix(table("mobi")[list(want.columns)].to_numpy(float)), want)


@built("padjust.basic", "padjust.swiss_matrix")
def test_false_discovery(case: Case) -> None:
    """Adjusted p-values are Benjamini and Hochberg's."""
    p_values = case.want("p" if "p" in case.values else "p_upper_column_major")
    case.close("BH", false_discovery(p_values))


def test_false_discovery_over_the_pairs_of_a_call(reference: Path, tmp_path: Path) -> None:
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
