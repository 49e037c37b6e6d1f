"""Curves of staying, their tests, causes and Cox's model on public data sets are R's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference_case import Case, built, not_built, parts_not_built, table
from small_study import study_of

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.evidence.lab import curves, proportional
from cxresearch.evidence.lives import counted, followed

not_built("no notebook asks for a parametric model of lifetimes", "aft_weibull.lung")
parts_not_built("km.", {"nelson_aalen_at_times": "notebooks show the share that stays"})
parts_not_built("cox.", {"baseline_surv_mean_covariates": "a curve of a customer with average terms is nobody's"})

TEN = 10.0  # days are told as tens: a tenure of more than 600 months is none
EVENT = {"lung": 2, "veteran": 1}
TERMS = ["revenue", "margin", "latency_ms", "wait_s", "outage_min", "order_days", "transfers", "care_contacts"]
COX = {
    "lung": ["age", "sex", "ph.ecog"],
    "veteran": ["trt", "karno", "age", "prior", "celltypelarge", "celltypesmallcell", "celltypesquamous"],
    "telco_classic": [
        "monthly_charges",
        "senior",
        "partner",
        "fiber",
        "one_year",
        "two_year",
        "tech_support",
        "paperless",
    ],
}


def lived(dataset: str) -> tuple[pd.DataFrame, float]:
    """A table with tenure_m and churned, and how many of its own units of time make one of ours."""
    frame = table(dataset)
    if dataset in EVENT:
        if dataset == "veteran":
            frame = frame.assign(**{f"celltype{c}": (frame.celltype == c) * 1.0 for c in frame.celltype.unique()})
        return frame.assign(tenure_m=frame.time / TEN, churned=(frame.status == EVENT[dataset]).astype(int)), TEN
    return frame[frame.tenure > 0].assign(tenure_m=lambda f: f.tenure, churned=lambda f: f.churn), 1.0


def study_with(folder: Path, frame: pd.DataFrame, **terms: str) -> Study:
    """A study of one row a customer in which terms stand in for columns."""
    named = frame.rename(columns={own: term for term, own in terms.items()})
    return study_of(folder, panel=named[["tenure_m", "churned", *terms]])


@built("km.lung", "km.telco_classic", "km.telco_ext")
def test_share_that_stays(case: Case, tmp_path: Path) -> None:
    """The share that stays, its error, three bands, quartiles and the restricted mean are R's."""
    frame, per = lived(case.dataset)
    study = study_with(tmp_path, frame)
    times, tau = case.want("log_log.times"), case.want("rmst_tau")
    found = cx.survive(study, horizons=[t / per for t in (*times, tau)])
    rows = {r["unit"]: r for r in found.rows(measure="survival")}
    shown = [rows[f"by month {t / per:g}"] for t in times]
    names = {"surv": "estimate", "se": "std_error", "lower": "conf_low", "upper": "conf_high", "n_event_cum": "events"}
    for part, column in names.items():
        case.close(f"log_log.{part}", [r[column] for r in shown])
    middle = found.one(measure="median")
    scaled = [middle[k] and middle[k] * per for k in ("estimate", "conf_low", "conf_high")]
    case.close("log_log.median", scaled[0])
    case.close("log_log.median_ci", scaled[1:])
    assert [shown[0]["n"], middle["events"]] == [case.want("n"), case.want("events")]
    mean = cx.survive(study, horizons=[tau / per]).one(measure="rmst")
    case.close("rmst", mean["estimate"] * per)
    case.close("rmst_se", mean["std_error"] * per)
    with followed(study, [], "activation", None) as stays:
        coded = stays.table.mutate(level=0, stratum=0, why=0)
        count = counted(study, type(stays)(coded, 0.0, True, ""), 1, 1, 1)
    there, left = count.there.sum((0, 1, 2)), count.causes.sum((0, 1, 2, 3))
    for kind in ("plain", "log", "log-log"):
        curve = curves.kaplan_meier(count.times, there, left, kind)
        part = kind.replace("-", "_")
        at = [curve.at(t / per) for t in case.want(f"{part}.times")]
        for name, column in list(names.items())[:4]:
            case.close(f"{part}.{name}", [a[column] for a in at])
        case.close(f"{part}.n_event_cum", [left[count.times <= t / per].sum() for t in times])
        case.close(f"{part}.n_risk", [there[np.searchsorted(count.times, t / per)] for t in times])
        quartiles = [curve.quantile(q) for q in (0.75, 0.5, 0.25)]
        for name, q in zip(("q25", "median", "q75"), quartiles, strict=True):
            case.close(f"{part}.{name}", q[0] and q[0] * per)
        case.close(f"{part}.median_ci", [x and x * per for x in quartiles[1][1:]])


@built("logrank.lung.sex", "logrank.telco_classic.contract", "logrank.veteran.celltype")
def test_whether_groups_leave_alike(case: Case, tmp_path: Path) -> None:
    """The log-rank test, Peto's, and the median of each group are R's."""
    frame, per = lived(case.dataset)
    column = case.id.rpartition(".")[2]
    study = study_with(tmp_path, frame.assign(**{column: frame[column].astype(str)}), needs_segment=column)
    found = cx.survive(study, by="needs_segment", horizons=[1])
    levels = [f"needs_segment={level}" for level in case.want("groups")]
    medians = [found.one(measure="median", group=level) for level in levels]
    case.close("n", [r["n"] for r in medians])
    case.close("observed", [r["events"] for r in medians])
    parts = {"median": "estimate", "median_lower_loglog": "conf_low", "median_upper_loglog": "conf_high"}
    for part, name in parts.items():
        case.close(part, [r[name] and r[name] * per for r in medians])
    for model, chi2, p in (("log_rank", "logrank_chisq", "logrank_p"), ("peto", "peto_rho1_chisq", "peto_p")):
        test = found.one(measure="chi_square", model=model)
        case.close(chi2, test["estimate"])
        case.close(p, test["p_value"])
        case.close("df", test["df"])
    with followed(study, ["needs_segment"], "activation", None) as stays:
        codes = stays.table.needs_segment.cases(*((g, i) for i, g in enumerate(case.want("groups"))))
        coded = stays.table.mutate(level=codes.cast("int64"), stratum=0, why=0)
        count = counted(study, type(stays)(coded, 0.0, True, ""), len(levels), 1, 1)
    case.close("expected", curves.log_rank(count.there.sum(0), count.causes.sum((0, 3))).expected)


@built("logrank_stratified.telco_classic")
def test_strata_are_held_fixed(case: Case, tmp_path: Path) -> None:
    """The log-rank test within strata is R's."""
    frame, _ = lived(case.dataset)
    study = study_with(tmp_path, frame, prepaid="paperless", needs_segment="contract")
    test = cx.survive(study, by="prepaid", given=["needs_segment"]).one(measure="chi_square", model="log_rank")
    for part, column in {"chisq": "estimate", "df": "df", "p": "p_value"}.items():
        case.close(part, test[column])


@built("rmst.lung.sex_365", "rmst.telco_classic.techsupport_60", "rmst.veteran.trt_200")
def test_months_stayed_differ(case: Case, tmp_path: Path) -> None:
    """Restricted means of two groups and their difference are survRM2's; its ratios are not built."""
    frame, per = lived(case.dataset)
    column = {"lung": "sex", "veteran": "trt", "telco_classic": "tech_support"}[case.dataset]
    second = (frame[column] == frame[column].max()).astype(int)
    study = study_with(tmp_path, frame.assign(second=second), prepaid="second")
    found = cx.survive(study, by="prepaid", horizons=[case.want("tau") / per])
    names = ("estimate", "std_error", "conf_low", "conf_high")
    for arm in (0, 1):
        row = found.one(measure="rmst", group=f"prepaid={arm}")
        case.same([row[name] * per for name in names], list(case.want(f"arm{arm}").values()))
    apart = found.one(measure="difference")
    wanted = case.matrix("diff_ratio").iloc[0]
    for part, name in (("Est.", "estimate"), ("lower .95", "conf_low"), ("upper .95", "conf_high")):
        case.same(apart[name] * per, wanted[part])
    case.same(apart["p_value"], wanted["p"])


@built("competing_risks.telco_ext.aj")
def test_causes_of_leaving_compete(case: Case, tmp_path: Path) -> None:
    """The share that left for each cause, and its error, are R's."""
    frame, _ = lived(case.dataset)
    why = np.where(frame.churn_category == "Competitor", "competitor", "other")
    frame["why"] = pd.Series(why, frame.index).where(frame.churned == 1)
    study = study_with(tmp_path, frame, churn_destination="why")
    horizons = case.want("times")
    left = cx.survive(study, by="churn_destination", horizons=horizons)
    groups = [left.rows(group=f"churn_destination={state}") for state in case.want("states")[1:]]
    states = [cx.survive(study, horizons=horizons).rows(measure="survival"), *groups]
    for part, column in (("pstate", "estimate"), ("std_err", "std_error")):
        case.same([[r[column] for r in state] for state in states], np.transpose(case.want(part)["data"]), part)


@built(
    "cox.lung.efron", "cox.lung.breslow", "cox.veteran.efron", "cox.telco_classic.efron", "cox.telco_classic.breslow"
)
def test_hazard_ratios(case: Case, tmp_path: Path) -> None:
    """Cox's model with both ties, its errors, tests, concordance and the exact test of proportional hazards are R's."""
    columns = COX[case.dataset]
    frame, _ = lived(case.dataset)
    frame = frame.dropna(subset=columns)
    x, left = frame[columns].to_numpy(float), frame.churned.to_numpy(float)
    time, ties, each = frame.tenure_m.to_numpy(float), case.id.rpartition(".")[2], np.arange(len(frame))
    at = proportional.spells(np.full(len(x), -1.0), time, left, np.zeros(len(x), np.intp))
    fit = proportional.fit_cox(at, x - x.mean(0), ties)
    error = np.sqrt(np.diag(fit.covariance))
    assert [len(x), int(left.sum()), fit.converged] == [case.want("n"), case.want("events"), True]
    case.same(fit.coefficients, list(case.want("coef").values()))
    case.same(error, list(case.want("se").values()))
    case.same(np.exp(fit.coefficients), list(case.want("hr").values()))
    case.same(fit.coefficients / error, list(case.want("z").values()))
    case.close("loglik", [fit.null.log_likelihood, fit.last.log_likelihood])
    case.close("aic", 2 * len(columns) - 2 * fit.last.log_likelihood)
    ratio = 2 * (fit.last.log_likelihood - fit.null.log_likelihood)
    u = fit.null.score.sum(0)
    score = u @ np.linalg.solve(fit.null.information.sum(0), u)
    wald = fit.coefficients @ np.linalg.solve(fit.covariance, fit.coefficients)
    for part, got in (("lrt", ratio), ("score", score), ("wald", round(wald, 2))):
        case.same(got, case.want(part)["test"], part)
        assert len(columns) == case.want(part)["df"]
    robust = np.sqrt(np.diag(fit.clustered(each)) * (len(x) - 1) / len(x))
    case.same(robust, list(case.want("robust_se").values()))
    order, spread, _ = proportional.concordance(at, x @ fit.coefficients, each)
    case.close("concordance", order)
    case.close("concordance_se", spread)
    terms = [[i] for i in range(len(columns))]
    terms = [[0], [1], [2], [3], [4, 5, 6]] if case.dataset == "veteran" else terms
    clock = proportional.clock(at, np.full(len(x), -1.0), case.want("zph_transform"))
    tests = proportional.score_test(fit, at, clock, terms)
    wanted = case.want("zph")
    for i, part in enumerate(("chisq", "df", "p")):
        case.same([t[i] for t in tests], list(wanted[part].values()), f"zph.{part}")
    ends = case.matrix("hr_ci")
    case.same(np.exp(fit.coefficients - 1.959963984540054 * error), ends["lower"])
    case.same(np.exp(fit.coefficients + 1.959963984540054 * error), ends["upper"])
    case.want("p")
    if ties == "efron":
        the_verb_says(case, study_with(tmp_path, frame, **dict(zip(TERMS, columns, strict=False))), columns)


def the_verb_says(case: Case, study: Study, columns: list[str]) -> None:
    """The rows of the verb are the same numbers, for the step of each term."""
    terms = TERMS[: len(columns)]
    found = cx.survive(study, among=terms, given=[])
    ends = case.matrix("hr_ci")
    tests = case.want("zph")["chisq"]
    for term, column in zip(terms, columns, strict=True):
        row, step = found.one(term=term, measure="hazard_ratio", model="adjusted"), study.term(term).step
        case.same(np.log(row["estimate"]) / step, case.want("coef")[column])
        case.same(np.log([row["conf_low"], row["conf_high"]]) / step, np.log(ends.loc[column]))
        case.same(row["p_value"], case.want("p")[column])
        if case.want("zph_transform") == "km":
            case.same(found.one(term=term, measure="chi_square")["estimate"], tests[column])
    order = found.one(measure="concordance")
    case.same([order["estimate"], order["std_error"]], [case.want("concordance"), case.want("concordance_se")])


@pytest.mark.usefixtures("reference")
def test_published_numbers_of_month_to_month_customers(tmp_path: Path) -> None:
    """Published analyses of 3,351 month-to-month customers with internet: shares, median, coefficients, concordance."""
    raw = table("telco_classic")
    frame = raw[(raw.contract == "Month-to-month") & (raw.internet != "No")].assign(
        tenure_m=lambda f: f.tenure, churned=lambda f: f.churn
    )
    assert [len(frame), frame.churned.sum()] == [3351, 1556]
    terms = {"revenue": "dependents", "margin": "dsl", "latency_ms": "online_backup", "wait_s": "tech_support"}
    study = study_with(tmp_path, frame, **terms)
    found = cx.survive(study, horizons=[6, 12, 24, 48, 60])
    shares = [r["estimate"] for r in found.rows(measure="survival")]
    assert shares == pytest.approx([0.7803, 0.6950, 0.5753, 0.3872, 0.2890], abs=5e-5)
    assert found.one(measure="median")["estimate"] == 34
    assert "immortal" in [c.code for c in found.caveats]
    ratios = cx.survive(study, among=list(terms), given=[])
    rows = [ratios.one(term=t, measure="hazard_ratio", model="adjusted")["estimate"] for t in terms]
    steps = np.array([study.term(t).step for t in terms])
    assert np.log(rows) / steps == pytest.approx([-0.3287, -0.2173, -0.7766, -0.6392], abs=5e-5)
    assert ratios.one(measure="concordance")["estimate"] == pytest.approx(0.641, abs=5e-4)
