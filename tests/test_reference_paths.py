"""Path models of public data sets are R's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from reference_case import Case, built, not_built, parts_not_built, table
from small_study import study_of

import cxresearch as cx
from cxresearch.data.terms import BY_NAME
from cxresearch.evidence.association import alpha
from cxresearch.evidence.lab.pls import PathModel, fit_paths, performance
from cxresearch.finding import Finding

not_built(
    "structural equations",
    "sem.mobi.ecsi",
    "sem.mobi.image_sat_loyalty",
    "sem.politicaldemocracy",
)
NO_NUMBER = {
    "iterations": "when a program stops, not what it finds",
    "htmt": "a number of answers alone; it belongs to their measurement",
}
parts_not_built("pls.mobi.ecsi.path", NO_NUMBER)
parts_not_built("pls.mobi.ecsi.factorial", NO_NUMBER)
parts_not_built("plsc.mobi.ecsi.reflective", NO_NUMBER)
OVERALL = "one number for a whole model, which does not tell good ones from bad (Henseler & Sarstedt 2013)"
parts_not_built(
    "ipma.check", {"gof": OVERALL, "unidim": "eigenvalues of answers alone; they belong to their measurement"}
)
parts_not_built("pls.mobi.ecsi.semPLS_path", {"gof": OVERALL, "q2": "empty"})
parts_not_built("pls.mobi.ecsi.raw_centroid_plspm", {"gof": OVERALL})
parts_not_built("path.", {"fit": "fit of covariances; a path model by least squares has none"})

MEASURES = {
    "Image": [f"IMAG{i}" for i in range(1, 6)],
    "Expectation": [f"CUEX{i}" for i in range(1, 4)],
    "Quality": [f"PERQ{i}" for i in range(1, 8)],
    "Value": ["PERV1", "PERV2"],
    "Satisfaction": ["CUSA1", "CUSA2", "CUSA3"],
    "Complaints": ["CUSCO"],
    "Loyalty": ["CUSL1", "CUSL2", "CUSL3"],
}
LINKS = {
    "Expectation": ["Image"],
    "Quality": ["Expectation"],
    "Value": ["Expectation", "Quality"],
    "Satisfaction": ["Image", "Expectation", "Quality", "Value"],
    "Complaints": ["Satisfaction"],
    "Loyalty": ["Image", "Satisfaction", "Complaints"],
}
NAMES, ITEMS = list(MEASURES), [item for items in MEASURES.values() for item in items]
# the answers from 1 to 10 stand in the place of answers from 1 to 7, all on the same line
STAND_IN = [name for name, term in BY_NAME.items() if term.role == "items" and term.high == 7]
WORDS = dict(zip(ITEMS, STAND_IN, strict=False))


@cache
def ecsi(**how: Any) -> Finding:
    """The mobile survey's finding, with its answers in the words of the field."""
    frame = (1 + (table("mobi")[ITEMS] - 1) * 6 / 9).rename(columns=WORDS)
    measures = {name: [WORDS[item] for item in items] for name, items in MEASURES.items()}
    with TemporaryDirectory() as folder:
        return cx.paths(study_of(Path(folder), surveys=frame), LINKS, measures, **how)


def square(finding: Finding, measure: str) -> pd.DataFrame:
    """Rows of a measure as a matrix, from row to column."""
    made = pd.DataFrame(0.0, index=NAMES, columns=NAMES)
    for record in finding.rows(measure=measure):
        made.loc[record["term"], record["outcome"]] = record["estimate"]
    return made


def by_item(finding: Finding, measure: str) -> pd.DataFrame:
    """Rows of a measure as a matrix of answers by constructs; what a single answer stands for is itself."""
    made = pd.DataFrame(0.0, index=list(WORDS.values()), columns=NAMES)
    made.loc[WORDS["CUSCO"], "Complaints"] = 1.0
    for record in finding.rows(measure=measure):
        made.loc[record["term"], record["outcome"]] = record["estimate"]
    return made.set_index(pd.Index(ITEMS))


def by_name(finding: Finding, measure: str) -> pd.Series:
    """Rows of a measure without a term, by construct."""
    return pd.Series({r["outcome"]: r["estimate"] for r in finding.rows(measure=measure)})


def model_of(links: Mapping[str, list[str]], matrix: pd.DataFrame, **how: Any) -> PathModel:
    """The model that the verb fits."""
    arrows = np.zeros((7, 7), dtype=bool)
    for to, before in links.items():
        arrows[[NAMES.index(x) for x in before], NAMES.index(to)] = True
    return fit_paths(
        matrix.loc[ITEMS, ITEMS].to_numpy(), [[ITEMS.index(i) for i in b] for b in MEASURES.values()], arrows, **how
    )


def effect_sizes(how: Mapping[str, Any]) -> pd.DataFrame:
    """f²: what R² loses when a link is left out and the model fitted anew, for each unexplained part."""
    matrix = table("mobi").corr()
    whole, made = model_of(LINKS, matrix, **how), pd.DataFrame(0.0, index=NAMES, columns=NAMES)
    for to, before in LINKS.items():
        for x in before:
            rest = {k: [b for b in v if (k, b) != (to, x)] for k, v in LINKS.items()}
            left = np.nan_to_num(model_of(rest, matrix, **how).r2)[NAMES.index(to)]
            r2 = whole.r2[NAMES.index(to)]
            made.loc[x, to] = (r2 - left) / (1 - r2)
    return made


@built("pls.mobi.ecsi.path", "pls.mobi.ecsi.factorial", "plsc.mobi.ecsi.reflective")
def test_standardised_model(case: Case) -> None:
    """Paths, weights, reliabilities and what is made of them, as seminr, for three methods."""
    method = {"path": "path", "factorial": "factorial", "reflective": "consistent"}[case.id.rpartition(".")[2]]
    finding = ecsi(method=method)
    assert finding.rows(measure="path")[0]["n"] == case.want("n")
    case.close("path_coef.data", square(finding, "path"))
    case.close("total_effects.data", square(finding, "total_path"))
    case.close("outer_loadings.data", by_item(finding, "loading"))
    case.close("outer_weights.data", by_item(finding, "weight"))
    r2, want = by_name(finding, "r2"), case.matrix("r2")
    counts = pd.Series({to: len(before) for to, before in LINKS.items()})
    case.same(r2[want.columns], want.loc["Rsq"])
    case.same((1 - (1 - r2) * 249 / (249 - counts))[want.columns], want.loc["AdjRsq"])

    matrix = table("mobi").corr()
    how: dict[str, Any] = {"consistent": True} if method == "consistent" else {"scheme": method}
    model, scores = model_of(LINKS, matrix, **how), model_of(LINKS, matrix, **{**how, "consistent": False})
    case.close("construct_cor.data", scores.correlations)
    want = case.matrix("reliability")
    multiple = [name for name in NAMES if len(MEASURES[name]) > 1]
    case.same(model.rho_a, want["rhoA"])
    case.same([float(alpha(matrix.to_numpy(), [matrix.columns.get_loc(i) for i in MEASURES[x]])) for x in multiple], want["alpha"][multiple])  # fmt: skip
    case.same(by_name(finding, "composite_reliability")[multiple], want["rhoC"][multiple])
    case.same(by_name(finding, "ave")[multiple], want["AVE"][multiple])
    fornell = np.where(np.eye(7) == 1, np.sqrt(want["AVE"].to_numpy()), scores.correlations)
    case.same(np.tril(fornell), np.nan_to_num(case.matrix("fl").to_numpy(dtype=float)))
    case.close("f2.data", effect_sizes(how))
    for to, told in case.want("vif_inner").items():
        if len(told) > 1:
            at = [NAMES.index(x) for x in told]
            inverse = np.linalg.inv(scores.correlations[np.ix_(at, at)])
            case.same(np.diag(inverse), list(told.values()), f"vif of {to}")
    frame = table("mobi")[ITEMS]
    case.close("scores_first5.data", (((frame - frame.mean()) / frame.std()).to_numpy() @ model.weights)[:5])


@built("pls.mobi.ecsi.semPLS_path")
def test_another_program(case: Case) -> None:
    """The same model, as semPLS."""
    finding = ecsi()
    case.close("path_coef.data", square(finding, "path"))
    case.close("total.data", square(finding, "total_path"))
    case.close("loadings.data", by_item(finding, "loading"))
    case.same(by_name(finding, "r2")[NAMES[1:]], case.want("r2")[1:])


@built("pls.mobi.ecsi.raw_centroid_plspm")
def test_raw_items(case: Case) -> None:
    """Raw items with the centroid scheme, as plspm, and another answer than standardised ones."""
    finding = ecsi(method="centroid", items="raw")
    assert {r["model"] for r in finding.rows()} == {"pls_raw"}
    case.close("path_coef.data", square(finding, "path").T)
    inner, outer = pd.DataFrame(case.want("inner_summary")), pd.DataFrame(case.want("outer"))
    case.same(by_name(finding, "r2")[NAMES[1:]], inner["R2"][1:])
    loadings = by_item(finding, "loading")
    told = np.array([loadings.loc[item, name] for name, items in MEASURES.items() for item in items])
    case.same(told, outer["loading"])
    case.same(told**2, outer["communality"])
    mean = pd.Series(told**2).groupby(outer["block"]).mean()[NAMES].to_numpy()
    case.same(mean, inner["Block_Communality"])
    case.same(mean, inner["AVE"])
    r2 = by_name(finding, "r2").reindex(NAMES).fillna(0.0)
    case.same(mean * r2, inner["Mean_Redundancy"])
    case.same(told**2 * r2[outer["block"]].to_numpy(), outer["redundancy"])
    weights = by_item(finding, "weight").sum(axis=1) * 6 / 9  # answers here are on the line from 1 to 7
    weights["CUSCO"] = 1 / table("mobi")["CUSCO"].std(ddof=0)  # a single answer has no row
    case.same(weights, outer["weight"])


@built("published.tenenhaus2005.mobile_ecsi")
def test_published_table(case: Case) -> None:
    """The figures that were published in 2005 come from raw items, not from standardised ones."""
    raw, standardised = ecsi(method="centroid", items="raw"), ecsi(method="centroid")
    for arrow, path in case.want("paths").items():
        before, to = arrow.split("->")
        case.same(square(raw, "path").loc[before, to], path, arrow)
    for name, r2 in case.want("r2").items():
        case.same(by_name(raw, "r2")[name], r2, name)
    assert np.abs(square(raw, "path") - square(standardised, "path")).to_numpy().max() > 0.03


@built("ipma.mobi.ecsi.satisfaction")
def test_importance_and_performance(case: Case) -> None:
    """Mean of each construct from 0 to 100 and total effects per point, by unstandardised weights."""
    finding = ecsi()
    case.same(by_name(finding, "score")[NAMES], [case.want("performance")[x] for x in NAMES])
    target = case.want("target")
    case.same(square(finding, "slope")[target], [case.want("importance_unstd_total_effect")[x] for x in NAMES])
    case.same(square(finding, "total_path")[target], [case.want("importance_std_total_effect")[x] for x in NAMES])
    low, high = case.want("scale")
    points = 100 * (table("mobi")[ITEMS] - low) / (high - low)
    case.same(points.mean(), [case.want("indicator_performance")[x] for x in ITEMS])
    slopes, totals = square(finding, "slope"), square(finding, "total_path")
    spread = [case.want("score_sd")[x] for x in NAMES]
    case.same((slopes * np.divide.outer(spread, spread)), totals)


@built("ipma.check.plspm_rescale")
def test_what_standardised_weights_would_give(case: Case) -> None:
    """The same model as plspm; its rescaled scores weigh standardised, and differ from ours."""
    finding = ecsi()
    case.close("path_coef.data", square(finding, "path").T)
    inner, outer = pd.DataFrame(case.want("inner_summary")), pd.DataFrame(case.want("outer"))
    case.same(by_name(finding, "r2")[NAMES[1:]], inner["R2"][1:])
    case.same(by_item(finding, "loading").sum(axis=1), outer["loading"])
    effects = pd.DataFrame(case.want("effects"))
    for record in effects.to_dict("records"):
        before, to = record["relationships"].split(" -> ")
        direct, total = (square(finding, m).loc[before, to] for m in ("path", "total_path"))
        case.same(
            [direct, total - direct, total],
            [record[k] for k in ("direct", "indirect", "total")],
            record["relationships"],
        )
    points = 100 * (table("mobi")[ITEMS] - 1) / 9
    model = model_of(LINKS, table("mobi").corr())
    means, _ = performance(model.weights, model.total, np.ones(24), points.mean().to_numpy())
    case.same(means, [case.want("mean_rescaled")[x] for x in NAMES])
    case.same((points @ (model.weights / model.weights.sum(0))).std(), [case.want("sd_rescaled")[x] for x in NAMES])
    assert abs(means[4] - by_name(finding, "score")["Satisfaction"]) > 0.6


@built("pls.mobi.ecsi.bootstrap_seed123")
def test_bootstrap(case: Case) -> None:
    """The case keeps no numbers: draws of blocks from the summary are as rows drawn anew, within what chance allows."""
    assert case.want("paths") is None
    assert case.want("total") is None
    drawn, left_out = ecsi(intervals="bootstrap"), ecsi()
    frame, dice = table("mobi")[ITEMS], np.random.default_rng(7)
    picks = dice.integers(0, 250, (2000, 250))
    arrows = square(left_out, "path").to_numpy() != 0
    blocks = [[ITEMS.index(i) for i in b] for b in MEASURES.values()]
    again = fit_paths(
        np.stack([np.corrcoef(frame.to_numpy()[p].T) for p in picks]),
        blocks,
        arrows,
        like=model_of(LINKS, frame.corr()).weights,
    )
    for measure, values in (("path", again.paths), ("total_path", again.total)):
        for record in left_out.rows(measure=measure):
            other = drawn.one(**{k: record[k] for k in ("measure", "outcome", "term")})
            own = values[:, NAMES.index(record["term"]), NAMES.index(record["outcome"])]
            assert other["std_error"] == pytest.approx(own.std(), rel=0.1)
            case.same([other["conf_low"], other["conf_high"]], np.percentile(own, [2.5, 97.5]))


@built("path.telco_ext.observed", "path.attitude")
def test_paths_of_single_columns(case: Case, tmp_path: Path) -> None:
    """With one column each, standardised paths and R² are those of regressions, as lavaan's."""
    told = pd.DataFrame(case.want("paths"))
    told = told[told["op"] == "~"]
    links = {to: list(part["rhs"]) for to, part in told.groupby("lhs", sort=False)}
    columns = list(dict.fromkeys([*told["lhs"], *told["rhs"]]))
    words = dict(zip(columns, ["revenue", "margin", "latency_ms", "wait_s", "order_days", "transfers", "throughput_mbps", "discount"], strict=False))  # fmt: skip
    study = study_of(tmp_path, panel=table(case.dataset)[columns].astype(float).rename(columns=words))
    finding = cx.paths(study, {words[to]: [words[x] for x in before] for to, before in links.items()})
    for record in told.to_dict("records"):
        case.same(
            finding.one(measure="path", outcome=words[record["lhs"]], term=words[record["rhs"]])["estimate"],
            record["std"],
        )
    for name, r2 in case.want("r2").items():
        case.same(finding.one(measure="r2", outcome=words[name])["estimate"], r2)
