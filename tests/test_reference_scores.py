"""Net scores, shares and tests of groups are R's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from reference_case import Case, built, not_built, parts_not_built, table
from small_study import study_of

import cxresearch as cx
from cxresearch.evidence.inference import share_interval
from cxresearch.finding import interval_at

not_built("tests of two proportions", "two_prop.shared")
not_built(
    "tests of two samples", "two_sample.telco_ext.satisfaction_by_fiber", "two_sample.telco_classic.monthly_by_churn"
)
not_built("analysis of variance", "anova.telco_ext.satisfaction_by_contract")
not_built("tests of crosstabs", "crosstab.telco_classic.contract_churn")
not_built("sample sizes", "power.basic", "power.more")
not_built("survey weights", "weights.rake.telco_ext")
parts_not_built(
    "nps.",
    {
        "se_n_minus_1": "the variance of shares is divided by n",
        "ci95_adjusted_wald_addthree": "the interval is the plain normal one",
        "fpc_moe95_N5000": "finite populations",
    },
)
parts_not_built(
    "nps_diff.",
    {
        "se": "tests of two samples; the change between months is by jackknife",
        "z": "tests of two samples; the change between months is by jackknife",
        "p": "tests of two samples; the change between months is by jackknife",
        "ci95": "tests of two samples; the change between months is by jackknife",
        "chisq_3cat": "tests of two samples; the change between months is by jackknife",
    },
)
parts_not_built(
    "prop_ci.",
    {
        "agresti-coull": "Wilson's interval is used",
        "asymptotic": "Wilson's interval is used",
        "bayes": "Wilson's interval is used",
        "exact": "Wilson's interval is used",
        "logit": "Wilson's interval is used",
        "wilson_cc": "Wilson's interval is used",
        "jeffreys": "Wilson's interval is used",
    },
)


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
