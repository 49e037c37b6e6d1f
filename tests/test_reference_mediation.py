"""Mediation and sensitivity of public data sets are R's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_case import Case, built, parts_not_built, table
from small_study import study_of

import cxresearch as cx
from cxresearch.evidence.association import partial
from cxresearch.evidence.lab.bootstrap import bootstrap_interval
from cxresearch.evidence.lab.hidden_cause import as_strong_as, e_value, partial_r2, risk_ratio, robustness_value
from cxresearch.evidence.lab.indirect import LinearParts, linear_parts, sobel, textbook_errors
from cxresearch.finding import Finding

NO_SHARE = "the total is less than three of its errors: its share is a ratio without a denominator, and is not told"
parts_not_built("mediate.jobs.", {"prop_mediated": NO_SHARE, "prop_ci": NO_SHARE})

# terms with a step of 1 stand in for the columns
WORDS = {
    "Q": "transfers",
    "S": "bill_errors",
    "L": "order_days",
    "treat": "transfers",
    "job_seek": "bill_errors",
    "depress2": "order_days",
    "econ_hard": "revenue",
    "sex": "margin",
    "age": "latency_ms",
}
ASKED = {"jobs": ("depress2", "treat", "job_seek", ("econ_hard", "sex", "age")), "mobi": ("L", "Q", "S", ())}


def frame_of(dataset: str) -> pd.DataFrame:
    """The table of a data set with the columns of the question."""
    frame = table(dataset).copy()
    if dataset == "mobi":
        frame["Q"] = frame[[f"PERQ{i}" for i in range(1, 8)]].mean(axis=1)
        frame["S"] = frame[["CUSA1", "CUSA2", "CUSA3"]].mean(axis=1)
        frame["L"] = frame[["CUSL1", "CUSL3"]].mean(axis=1)
    of, term, through, given = ASKED[dataset]
    return frame[[of, term, through, *given]].astype(float)


def asked(folder: Path, dataset: str, method: str) -> tuple[Finding, dict[str, dict[str, Any]]]:
    """The finding of a data set, and its rows by what they are in R."""
    of, term, through = (WORDS[x] for x in ASKED[dataset][:3])
    given = [WORDS[x] for x in ASKED[dataset][3]]
    study = study_of(folder, panel=frame_of(dataset).rename(columns=WORDS))
    finding = cx.mediate(study, of, term, through, given, method=method)
    slopes = {r["model"]: r for r in finding.rows(measure="slope", outcome=of, term=term)}
    found = {"acme": slopes["indirect"], "ade": slopes["direct"], "total": slopes["total"]}
    found["a"] = finding.one(measure="slope", outcome=through, term=term)
    found["b"] = finding.one(measure="slope", outcome=of, term=through)
    found["prop"] = finding.one(measure="effect_share")
    return finding, found


def parts_of(dataset: str) -> tuple[LinearParts, np.ndarray]:
    """The parts of a data set and their textbook errors."""
    frame = frame_of(dataset)
    covariance = np.cov(frame.to_numpy().T, bias=True)
    parts = linear_parts(covariance, 0, 1, 2, range(3, frame.shape[1]))
    return parts, textbook_errors(parts, float(parts.left[0] * covariance[1, 1]), len(frame), frame.shape[1] - 3)


def ends(record: Mapping[str, Any]) -> list[float]:
    return [record["conf_low"], record["conf_high"]]


@built("mediate.jobs.quasibayes", "mediate.jobs.boot_perc", "mediate.mobi.image_sat_loyalty")
def test_mediation(case: Case, tmp_path: Path) -> None:
    """Indirect, direct and total part with intervals from draws, as R's mediation; no share of a total told from nothing."""
    method = "quasi-bayes" if case.id.endswith("quasibayes") else "bootstrap"
    finding, found = asked(tmp_path, case.dataset, method)
    for part in ("acme", "ade", "total"):
        case.close(part, found[part]["estimate"])
        case.close(f"{part}_ci", ends(found[part]))
    p_values = {part: found[part]["p_value"] for part in ("acme", "ade")}
    if case.id == "mediate.jobs.boot_perc":  # 899 people are drawn in 252 blocks there, in R one by one
        frame, dice = frame_of("jobs").to_numpy(), np.random.default_rng(7)
        drawn = [np.cov(frame[dice.integers(0, 899, 899)].T) for _ in range(5000)]
        parts = linear_parts(np.stack(drawn), 0, 1, 2, [3, 4, 5])
        draws = {"acme": parts.indirect, "ade": parts.direct}
        p_values = {k: bootstrap_interval(found[k]["estimate"], draws[k], "percentile").p_value for k in draws}
    for part, p_value in p_values.items():
        # without an interaction both are one
        case.same([found[part]["estimate"]] * 2, [case.want(f"{part}_control"), case.want(f"{part}_treated")])
        # R's p-value is a count in 2,000 draws, ours in 5,000 or more: three errors of it
        want = case.want(f"{part}_p")
        assert p_value == pytest.approx(want, abs=3 * math.sqrt(want * (2 - want) * (1 / 2000 + 1 / 5000)) + 1e-3)
    assert found["acme"]["n"] == case.want("nobs")
    if case.dataset == "jobs":
        assert found["prop"]["estimate"] is None
        assert "less than 3 of its errors" in finding.answer
    else:
        case.close("prop_mediated", found["prop"]["estimate"])
        # thirty repeats of R's 2,000 draws scatter by .008 at the low end and by .013 at the high one: three times that
        low, high = case.want("prop_ci")
        assert ends(found["prop"]) == [pytest.approx(low, abs=0.024), pytest.approx(high, abs=0.039)]


@built("product_coef.jobs", "product_coef.mobi")
def test_product_of_coefficients(case: Case, tmp_path: Path) -> None:
    """The links, their product and its errors, as R's lm and the formulas of Sobel, Aroian and Goodman."""
    _, found = asked(tmp_path, case.dataset, "delta")
    for name, part in (("a", "a"), ("b", "b"), ("ade", "direct"), ("total", "total")):
        case.close(part, found[name]["estimate"])
        case.close(f"{part}_se", found[name]["std_error"])
    case.close("indirect", found["acme"]["estimate"])
    case.close("sobel_se", found["acme"]["std_error"])
    case.close("sobel_z", found["acme"]["estimate"] / found["acme"]["std_error"])
    case.close("sobel_p", found["acme"]["p_value"])
    case.close("ci_normal", ends(found["acme"]))
    assert found["acme"]["n"] == case.want("n")
    parts, errors = parts_of(case.dataset)
    named = sobel(float(parts.a), float(parts.b), *np.sqrt(np.diag(errors))[:2])
    case.same([named["aroian"], named["goodman"]], [case.want("aroian_se"), case.want("goodman_se")])
    case.close("prop_mediated", float(parts.indirect / parts.total))
    case.close("indirect_plus_direct_minus_total", float(parts.indirect + parts.direct - parts.total))


@built("boot_indirect.mobi.perc_bca")
def test_bootstrap_of_the_product(case: Case, tmp_path: Path) -> None:
    """Percentile and BCa intervals of the indirect part, as R's boot."""
    for method, part in (("bootstrap", "perc"), ("bca", "bca")):
        _, found = asked(tmp_path, "mobi", method)
        case.close("est", found["acme"]["estimate"])
        case.close("se", found["acme"]["std_error"])
        case.close(part, ends(found["acme"]))


@built("medsens.jobs")
def test_hidden_cause_of_both(case: Case, tmp_path: Path) -> None:
    """What the indirect part would be if a hidden cause moved both, and at which correlation nothing is left of it."""
    finding, _ = asked(tmp_path, "jobs", "jackknife")
    rho = finding.one(measure="hidden_r")["estimate"]
    case.close("residual_correlation_total_model", rho)
    assert "−0.27" in finding.caveats[0].text
    parts, _ = parts_of("jobs")
    grid = np.array(case.want("rho_grid"))
    case.close("acme_d1.data", parts.indirect_at(grid)[:, None])
    # R stops at the point of its grid where least is left, ours is where nothing is
    nearest = float(grid[np.abs(parts.indirect_at(grid)).argmin()])
    case.close("rho_at_zero", nearest)
    case.close("r2star_product_at_zero", nearest**2)
    frame = frame_of("jobs")
    held = np.column_stack([np.ones(len(frame)), frame[["treat", "econ_hard", "sex", "age"]]])
    whole = {"job_seek": held, "depress2": np.column_stack([held, frame["job_seek"]])}
    left = [
        np.linalg.lstsq(x, frame[y], rcond=None)[1][0] / ((frame[y] - frame[y].mean()) ** 2).sum()
        for y, x in whole.items()
    ]
    case.close("r2tilde_product_at_zero", nearest**2 * left[0] * left[1])
    assert case.want("note").startswith("for LSEM")


@built("sensemakr.telco_ext")
def test_robustness_value(case: Case) -> None:
    """How strong a hidden cause must be to bring a slope to nothing, and what one as strong as tenure would leave."""
    columns = ["satisfaction", "premium_support", "tenure", "monthly_charge", "fiber"]
    frame = table("telco_ext")[columns].astype(float)
    covariance = np.cov(frame.to_numpy().T, bias=True)
    n, df = len(frame), len(frame) - 5
    parts = linear_parts(covariance, 0, 1, 2, [3, 4])  # premium support beside tenure and the others
    slope, error = (
        float(parts.direct),
        float(np.sqrt(textbook_errors(parts, float(parts.left[0] * covariance[1, 1]), n, 2)[2, 2])),
    )
    t = slope / error
    case.close("partial_r2", partial_r2(t, df))
    case.close("f2", t * t / df)
    case.close("rv_q1", robustness_value(abs(t) / math.sqrt(df)))
    from scipy import stats

    beyond = float(stats.t.ppf(0.975, df - 1)) / math.sqrt(df - 1)
    case.close("rv_q1_alpha05", robustness_value(abs(t) / math.sqrt(df), beyond))
    bounds = pd.DataFrame(case.want("bounds"))
    with_term = float(partial(covariance, 1, 2, [3, 4])) ** 2
    with_outcome = float(partial(covariance, 0, 2, [1, 3, 4])) ** 2
    for times, record in enumerate(bounds.to_dict("records"), 1):
        made = as_strong_as(slope, error, df, with_term, with_outcome, times)
        names = ("adjusted_estimate", "adjusted_se", "r2dz.x", "r2yz.dx")
        case.same(made, [record[k] for k in names], record["bound_label"])
        case.same(made[0] / made[1], record["adjusted_t"])


@built("evalue")
def test_e_value(case: Case) -> None:
    """The risk ratio that a hidden cause needs with both sides, for four kinds of numbers."""
    ratios = case.want("rr")
    case.close("evalue", [e_value(x) for x in ratios])
    case.close("or_common_outcome_sqrt", [e_value(risk_ratio("odds_ratio", x, common=True)) for x in ratios])
    case.close("hr_common", [e_value(risk_ratio("hazard_ratio", x, common=True)) for x in ratios])
    case.close("from_smd", [e_value(risk_ratio("effect_size", x, common=False)) for x in (0.2, 0.5, 0.8)])
