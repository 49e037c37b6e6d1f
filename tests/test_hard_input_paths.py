"""Odd tables give path models and mediation the right number, or a sentence that says why there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of

import cxresearch as cx
from cxresearch.data.terms import BY_NAME
from cxresearch.errors import UsageError
from cxresearch.evidence.blocks import draws
from cxresearch.evidence.lab.indirect import logistic_parts
from cxresearch.evidence.lab.pls import fit_paths
from cxresearch.evidence.moments import moments
from cxresearch.finding import Finding

# numbers whose limits, if any, hold in whatever a test does to them
X, M, Y, Z, W = "rival_price_gap", "revenue", "margin", "discount", "order_days"
LINKS, MEASURES = {"value": ["price"], "outcome": ["value", "price"]}, {"price": [X], "value": [M, Z], "outcome": [Y]}


def customers(n: int = 240, sites: int = 40) -> pd.DataFrame:
    """Customers of some sites, in whom x goes with m and both with y and with leaving."""
    dice = np.random.default_rng(5)
    site = dice.integers(0, sites, n)
    x = dice.normal(size=sites)[site] + dice.normal(size=n)
    m = 0.6 * x + dice.normal(size=n)
    y = 0.5 * m + 0.3 * x + dice.normal(size=n)
    left = (dice.random(n) < 1 / (1 + np.exp(1 + 0.8 * m - 0.3 * x))).astype(float)
    z = 20 + 0.8 * m + dice.normal(size=n)
    names = {"customer_id": [f"c{i}" for i in range(n)], "site_id": [f"s{i}" for i in site]}
    return pd.DataFrame(names | {X: x, M: m, Y: y, Z: z, W: dice.integers(1, 9, n).astype(float), "churned": left})


def through(study: Any, **how: Any) -> Finding:
    return cx.mediate(study, Y, X, M, [Z], **how)


def leaving(study: Any) -> Finding:
    return cx.mediate(study, "churned", X, M)


def drawn(study: Any, **how: Any) -> Finding:
    return cx.paths(study, LINKS, MEASURES, **how)


VERBS: dict[str, Callable[[Any], Finding]] = {
    "mediate": through,
    "mediate bca": lambda s: through(s, method="bca"),
    "mediate delta": lambda s: through(s, method="delta"),
    "mediate quasi-bayes": lambda s: through(s, method="quasi-bayes"),
    "mediate churned": leaving,
    "paths": drawn,
    "paths raw": lambda s: drawn(s, items="raw", method="centroid"),
    "paths consistent": lambda s: drawn(s, method="consistent"),
    "paths bootstrap": lambda s: drawn(s, intervals="bootstrap", method="factorial"),
}
ODD: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "three rows": lambda f: f.head(3),
    "eleven rows": lambda f: f.head(11),
    "two sites": lambda f: f.assign(site_id=np.where(np.arange(len(f)) < 100, "s1", "s2")),
    "one site": lambda f: f.assign(site_id="s1"),
    "all missing": lambda f: f.assign(**{M: np.nan}),
    "the same term everywhere": lambda f: f.assign(**{X: 7.0}),
    "nothing between": lambda f: f.assign(**{M: 7.0, Z: 7.0}),
    "one outcome": lambda f: f.assign(**{Y: 1.0, "churned": 0.0}),
    "what is between repeats the term": lambda f: f.assign(**{M: 2 * f[X] + 1, Z: f[X]}),
    "the term foretells the outcome": lambda f: f.assign(**{Y: 3 * f[X], "churned": (f[M] > 0).astype(float)}),
    "one odd site": lambda f: f.assign(**{X: np.where(f.site_id == "s1", 1.0, 0.0)}),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_tables(odd: str, tmp_path: Path) -> None:
    """No verb fails, warns or says a number that is none; where nothing is estimable it says why."""
    study = study_of(tmp_path, panel=ODD[odd](customers()), levels=["customer", "site"])
    for name in VERBS.keys() - {"mediate delta", "paths raw"}:
        finding = VERBS[name](study)
        assert finding.answer.endswith("."), name
        assert "nan" not in finding.answer.lower(), name
        assert not finding.answer.startswith("Not estimable: ."), name
        if not finding.estimable:
            assert finding.answer.startswith("Not estimable: "), name
            assert "None" not in finding.answer, name
        for record in finding.rows():
            if record["conf_low"] is not None:
                assert record["conf_low"] <= record["estimate"] + 1e-9, (name, record)
                assert record["estimate"] <= record["conf_high"] + 1e-9, (name, record)


@pytest.mark.parametrize(
    "odd, name, why",
    [
        ("one outcome", "mediate churned", "rows have the rarer outcome"),
        ("one outcome", "mediate", "does not vary"),
        ("the same term everywhere", "mediate", "does not vary"),
        ("what is between repeats the term", "mediate", "says what the others say"),
        ("what is between repeats the term", "mediate churned", "says what the other columns say"),
        ("the term foretells the outcome", "mediate churned", "separated"),
        ("all missing", "mediate", "too few rows"),
        ("nothing between", "paths", "the answers of value do not vary"),
        ("three rows", "paths", "fewer than 10 customers"),
    ],
)
def test_it_says_why(odd: str, name: str, why: str, tmp_path: Path) -> None:
    """The sentence names what stands in the way."""
    study = study_of(tmp_path, panel=ODD[odd](customers()), levels=["customer", "site"])
    finding = VERBS[name](study)
    assert not finding.estimable
    assert why in finding.answer


@pytest.mark.parametrize("name", VERBS)
def test_units_do_not_matter(name: str, tmp_path: Path) -> None:
    """Columns times 1e-8, or a billion further up, give the same paths, shares and leavers, and slopes in their own unit."""
    (tmp_path / "small").mkdir()
    (tmp_path / "far").mkdir()
    plain, small, far = customers(), customers(), customers()
    small[[X, M, Y, Z]] *= 1e-8
    far[[X, M, Y, Z]] += 1e9
    asked = [study_of(p, panel=f, levels=["customer", "site"]) for p, f in
             ((tmp_path, plain), (tmp_path / "small", small), (tmp_path / "far", far))]  # fmt: skip
    first, *others = [[r for r in VERBS[name](s).rows() if r["measure"] != "weight"] for s in asked]
    if name == "mediate churned":  # for a step of x, which is another one where x is small
        others = others[1:]
    for rows in others:
        assert len(rows) == len(first)
        for ours, theirs in zip(first, rows, strict=True):
            wanted = [ours[k] for k in ("estimate", "conf_low", "conf_high")]
            assert [theirs[k] for k in ("estimate", "conf_low", "conf_high")] == [
                None if v is None else pytest.approx(v, rel=2e-5, abs=2e-6) for v in wanted
            ]


def test_an_answer_without_variance_is_left_out_and_said(tmp_path: Path) -> None:
    """An item that everybody answers alike says nothing: the model stands on the others, and the sample names it."""
    study = study_of(tmp_path, panel=customers().assign(**{W: 4.0}), levels=["customer", "site"])
    finding = cx.paths(study, LINKS, MEASURES | {"value": [M, Z, W]})
    assert f"Left out: {BY_NAME[W].label}, the same in all rows." in finding.sample
    assert [r["estimate"] for r in finding.rows(measure="path")] == [
        r["estimate"] for r in drawn(study).rows(measure="path")
    ]


def test_few_customers_tell_no_number(tmp_path: Path) -> None:
    """Below the smallest group that may be told, no caveat gives a number away either."""
    finding = through(study_of(tmp_path, panel=customers().head(9), levels=["customer"]))
    assert not finding.estimable
    assert not any(mark.isdigit() for caveat in finding.caveats for mark in caveat.text.replace("10", ""))


def test_parts_that_point_apart_have_no_share(tmp_path: Path) -> None:
    """Where the direct part undoes the indirect one, a share of the total would be no share."""
    frame = customers()
    frame[Y] = 1.5 * frame[M] - 0.5 * frame[X] + 0.1 * frame[W]
    finding = cx.mediate(study_of(tmp_path, panel=frame, levels=["customer", "site"]), Y, X, M)
    assert finding.one(measure="effect_share")["estimate"] is None
    assert "opposite directions" in finding.answer


@pytest.mark.parametrize(
    "ask, told",
    [
        (lambda s: cx.paths(s, {M: [X], X: [Y], Y: [M]}), "links run in a circle"),
        (lambda s: cx.paths(s, {M: [M]}), "links run in a circle"),
        (lambda s: cx.paths(s, {"satisfacton": [X]}), "no term 'satisfacton'; did you mean 'satisfaction'"),
        (lambda s: cx.paths(s, {"value": [X]}, {"value": ["revenu"]}), "no term 'revenu'; did you mean 'revenue'"),
        (lambda s: cx.paths(s, {M: [X]}, {"price": [Z]}), "no link names the measure 'price'"),
        (lambda s: cx.paths(s, {M: [X]}, {M: [X]}), f"measures of '{M}': '{X}' stands twice"),
        (lambda s: cx.paths(s, {M: ["region"]}), "'region' is no number"),
        (lambda s: cx.paths(s, {}), "links name for each construct"),
        (lambda s: cx.paths(s, {M: X}), "links name for each construct"),
        (lambda s: cx.paths(s, {M: [X]}, method="centroids"), "no method 'centroids'; it is one of path, factorial"),
        (lambda s: cx.paths(s, {M: [X]}, items="raw", method="consistent"), "needs items='standardised'"),
        (lambda s: cx.mediate(s, Y, X, X), f"'{X}' stands twice"),
        (lambda s: cx.mediate(s, Y, "region", X), "'region' is a category"),
        (lambda s: cx.mediate(s, Y, X, M, method="sobel"), "no method 'sobel'"),
        (lambda s: cx.mediate(s, "churned", X, M, method="bca"), "'churned' is a flag"),
        (lambda s: cx.mediate(s, "churned", X, "prepaid"), "'churned' is a flag"),
    ],
)
def test_what_cannot_be_asked(ask: Callable[[Any], Finding], told: str, tmp_path: Path) -> None:
    """A model that is none is refused at once, naming what is wrong with it."""
    study = study_of(tmp_path, panel=customers(30), levels=["customer", "site"])
    with pytest.raises(UsageError) as refused:
        ask(study)
    assert told in str(refused.value)


def test_columns_that_are_missing_are_named(tmp_path: Path) -> None:
    """A term of the field that this study lacks makes the answer not estimable, naming it."""
    study = study_of(tmp_path, panel=customers(30), levels=["customer", "site"])
    assert "surveys.recommend" in cx.mediate(study, "recommend", X, M).answer
    assert "surveys.recommend" in cx.paths(study, {"recommend": [X]}).answer


def test_weights_that_do_not_come_to_rest_give_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that still moves when its rounds are over is not estimable, and says what to try."""
    monkeypatch.setattr("cxresearch.evidence.lab.pls.STEPS", 1)
    finding = drawn(study_of(tmp_path, panel=customers(), levels=["customer", "site"]))
    assert not finding.estimable
    assert "not-converged" in [caveat.code for caveat in finding.caveats]


def test_constructs_that_cannot_be_told_apart(tmp_path: Path) -> None:
    """Two constructs of one column and its copy: the answer does not lean on the model."""
    study = study_of(tmp_path, panel=customers().assign(**{M: lambda f: 2 * f[X] + 1}), levels=["customer", "site"])
    finding = cx.paths(study, {Y: [X, M]})
    assert finding.answer.startswith("Not to be relied on")
    assert [r["estimate"] for r in finding.rows(measure="path")] == [pytest.approx(0.3, abs=0.1)] * 2


@pytest.mark.parametrize(
    ("slope", "want"),
    [
        (1.0, (0.0902705850557143, 0.0540174991900647)),
        (4.0, (0.1845014520665971, 0.0271882684981249)),
        (12.0, (0.2097952273481465, 0.0102455466294246)),
    ],
)
def test_parts_of_a_steep_share(slope: float, want: tuple[float, float]) -> None:
    """However much what is between says of the outcome, its residual is integrated out as R's integrate does."""
    # P <- function(x, m) integrate(function(e) plogis(-1 + b * (-.4 + .5 * m + e) + .3 * x) * dnorm(e, 0, .9), -12, 12)
    parts = logistic_parts(np.zeros((1, 1)), np.ones((1, 1)), np.array([-0.4, 0.5]), 0.9, np.array([-1, slope, 0.3]))
    np.testing.assert_allclose(parts[0], want, rtol=1e-10)


def test_draws_of_blocks_are_draws_of_their_rows(tmp_path: Path) -> None:
    """Covariances of bootstrap draws are those of the rows that were drawn, also of few and unequal clusters."""
    dice = np.random.default_rng(4)
    site = np.repeat(["a", "b", "c", "d", "e"], [3, 30, 5, 12, 4])
    values = dice.normal(size=(len(site), 2)) + (site == "b")[:, None] * [5.0, 1.0]
    frame = pd.DataFrame(values, columns=["revenue", "margin"]).assign(site_id=site)
    frame["customer_id"] = [f"c{i}" for i in frame.index]
    study = study_of(tmp_path, panel=frame, levels=["customer", "site"])
    spread = moments(study, study.rows(["revenue", "margin"]), ["revenue", "margin"])
    for taken, got in zip(1 + draws(5, 30, 1), spread.resampled(30, 1), strict=True):
        rows = np.repeat(np.arange(len(site)), taken[[spread.parts.labels.index(s) for s in site]].astype(int))
        np.testing.assert_allclose(got * np.outer(spread.scale, spread.scale), np.cov(values[rows].T, bias=True))


@pytest.mark.parametrize("unit", [1.0, 3.0])
def test_reliability_of_raw_scores(unit: float) -> None:
    """Of answers that follow one cause each, raw scores are as reliable as they truly are, however their spreads differ."""
    slopes = np.array([[1.0, 0.2, 0.4, 0, 0, 0], [0, 0, 0, 0.9, 2.0, 0.7]]).T * unit
    covariance = slopes @ np.array([[1, 0.6], [0.6, 1]]) @ slopes.T + np.diag([0.3, 2.0, 0.1, 0.5, 0.2, 4.0]) * unit**2
    links = np.array([[False, True], [False, False]])
    model = fit_paths(covariance, [range(3), range(3, 6)], links, "centroid")
    np.testing.assert_allclose(model.rho_a, np.diag(model.weights.T @ slopes) ** 2, rtol=1e-9)


@pytest.mark.parametrize("method", ["jackknife", "bootstrap", "bca", "delta", "quasi-bayes"])
def test_a_term_that_varies_at_one_site(method: str, tmp_path: Path) -> None:
    """What hangs on one cluster has no interval by any method: draws without it have no number, and are no small change."""
    dice = np.random.default_rng(3)
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(200)], "site_id": [f"s{i % 6}" for i in range(200)]})
    frame["prepaid"] = ((frame.site_id == "s2") & (dice.random(200) < 0.5)) * 1.0
    frame["revenue"] = dice.normal(size=200)
    frame["margin"] = frame.revenue + 3 * frame.prepaid + dice.normal(size=200)
    study = study_of(tmp_path, panel=frame, levels=["customer", "site"])
    finding = cx.mediate(study, "margin", "prepaid", "revenue", method=method)
    for record in finding.rows(measure="slope", term="prepaid"):
        assert (record["conf_low"], record["conf_high"], record["p_value"]) == (None, None, None)
    assert "no error that could be told" in finding.answer


@pytest.mark.parametrize(("sites", "known"), [(2, False), (3, False), (4, True)])
def test_draws_of_two_or_three_sites_have_no_tail(sites: int, known: bool, tmp_path: Path) -> None:
    """All draws are the same site in (1/2)², (1/3)³ or (1/4)⁴ of cases each; only the last is less than a tail of 2.5 %."""
    frame = customers().assign(site_id=lambda d: [f"s{i % sites}" for i in range(len(d))])
    study = study_of(tmp_path, panel=frame, levels=["customer", "site"])
    for found in (
        through(study, method="bootstrap"),
        through(study, method="bca"),
        drawn(study, intervals="bootstrap"),
    ):
        for row in found.rows(measure=("slope", "path"), model=("total", "indirect", "pls")):
            if row["unit"] != "points per point":  # of a mean, by jackknife
                assert row["estimate"] is not None
                assert [row[k] is not None for k in ("conf_low", "conf_high", "p_value")] == [known] * 3
