"""Leaving, its hazards and forecasts on tables that are meant to break them, and on ones whose truth is known."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import expit
from small_study import study_of

import cxresearch as cx
from cxresearch.claims import judge
from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import forecast, logistic
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.logistic import fit_logit
from cxresearch.finding import Finding, dumps

CUSTOMERS, SITES = 600, 40


def customers(seed: int = 1, n: int = CUSTOMERS) -> pd.DataFrame:
    """Customers of one month at sites; revenue and prepaid plans go with leaving."""
    dice = np.random.default_rng(seed)
    wait, prepaid = dice.normal(size=n), dice.random(n) < 0.3
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "site_id": [f"s{i}" for i in np.arange(n) % SITES],
            "revenue": wait,
            "margin": dice.normal(size=n),
            "tenure_m": dice.integers(1, 90, n) * 1.0,
            "prepaid": prepaid * 1.0,
            "churned": (dice.random(n) < expit(-1.2 + 0.5 * wait + 0.4 * prepaid)) * 1.0,
        }
    )


def opened(folder: Path, frame: pd.DataFrame, *, sites: bool = True, policy: str = "") -> Study:
    levels = ["customer", "site"] if sites else ["customer"]
    return study_of(folder, panel=frame, levels=levels, policy=policy)


def changed(**columns: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda d: d.assign(**columns)


HARD: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nobody left": changed(churned=0.0),
    "everybody left": changed(churned=1.0),
    "leaving unknown": changed(churned=np.nan),
    "one row": lambda d: d.head(1),
    "three rows": lambda d: d.head(3),
    "a constant term": changed(revenue=0.1),
    "a repeated term": changed(margin=lambda d: 3 * d.revenue),
    "one leaver with the flag": changed(
        prepaid=lambda d: ((d.churned == 1) & (d.churned.cumsum() == 1) | (d.index % 50 == 0) & (d.churned == 0)) * 1.0
    ),
    "only leavers have the flag": changed(prepaid=lambda d: d.churned * (d.index % 2)),
    "small numbers": changed(revenue=lambda d: d.revenue * 1e-8),
    "numbers far out": changed(revenue=lambda d: d.revenue * 1e150),
    "numbers far from zero": changed(revenue=lambda d: d.revenue + 1e9),
    "all missing": changed(revenue=np.nan, prepaid=np.nan),
    "one site": changed(site_id="one"),
    "a term that foretells": changed(revenue=lambda d: d.churned + 0.001 * d.revenue),
}
VERBS: dict[str, Callable[[Study], Finding]] = {
    "explain": lambda s: cx.explain_churn(s, ["revenue", "prepaid"], given=["margin"]),
    "cloglog": lambda s: cx.explain_churn(s, ["revenue", "prepaid"], given=["margin"], method="cloglog"),
    "penalised": lambda s: cx.explain_churn(s, ["revenue", "prepaid"], given=["margin"], method="penalised"),
    "foretell by one": lambda s: cx.foretell_churn(s, "revenue"),
    "foretell": lambda s: cx.foretell_churn(s, {"care": ["revenue", "margin"], "plan": ["prepaid"]}),
    "rate": cx.churn_rate,
    "levels": lambda s: cx.leavers_by_level(s, "prepaid"),
}


def assert_sound(finding: Finding) -> None:
    """No NaN, no estimate outside its interval, no share beyond its range, and words that say what is."""
    labels = " ".join(r["effect_label"] or "" for r in finding.rows())
    said = " ".join((finding.answer, finding.title, finding.sample, labels, *(c.text for c in finding.caveats)))
    assert not re.search(r"\b(nan|NaN|inf|None)\b", said), said
    for record in finding.rows():
        estimate, low, high = record["estimate"], record["conf_low"], record["conf_high"]
        assert all(not isinstance(v, float) or math.isfinite(v) for v in record.values())
        assert estimate is None or low is None or high is None or low <= estimate <= high, record
        if record["measure"] in ("auc", "share") and estimate is not None:
            assert 0 <= estimate <= 1
    if not finding.estimable:
        assert re.search("[Nn]ot estimable|no slope is estimable", finding.answer), finding.answer
    finding._repr_mimebundle_()
    json.dumps(json.loads(dumps(finding.to_json())), allow_nan=False)


@pytest.mark.parametrize(("name", "sites"), [(name, i % 2 == 0) for i, name in enumerate(HARD)])
def test_verbs_are_sound(name: str, sites: bool, tmp_path: Path) -> None:
    """On a hard table every verb of leaving gives a number or says that there is none: no error, warning or NaN."""
    study = opened(tmp_path, HARD[name](customers()), sites=sites)
    for verb in VERBS.values():
        assert_sound(verb(study))


@pytest.mark.parametrize("change", ["small numbers", "numbers far from zero"])
def test_units_do_not_matter(change: str, tmp_path: Path) -> None:
    """A term in other units has the same p-value and the same forecasts."""
    told = []
    for n, frame in enumerate((customers(), HARD[change](customers()))):
        (tmp_path / str(n)).mkdir()
        study = opened(tmp_path / str(n), frame)
        effect = cx.explain_churn(study, "revenue", given=["margin"]).one(model="adjusted", measure="per_1000")
        found = cx.foretell_churn(study, ["revenue", "margin"])
        losses = [r["estimate"] for r in found.rows(measure=["log_loss", "log_loss_difference"])]
        told.append([effect["p_value"], found.one(model="foretold", measure="auc")["estimate"], *losses])
    np.testing.assert_allclose(told[1], told[0], rtol=1e-5)  # 1e9 leaves seven digits of a value


# -- separation


@pytest.mark.parametrize("sites", [True, False], ids=["sites", "customers"])
def test_a_penalised_row_stands_beside_and_is_not_judged(sites: bool, tmp_path: Path) -> None:
    """Where leaving is separated the plain rows stay not estimable; Firth's row is finite, named, and no verdict rests on it."""
    study = opened(tmp_path, HARD["only leavers have the flag"](customers()), sites=sites)
    plain = cx.explain_churn(study, "prepaid", given=["margin"])
    assert not plain.estimable
    assert "method='penalised'" in next(c.text for c in plain.caveats if c.code == "separated")
    finding = cx.explain_churn(study, "prepaid", given=["margin"], method="penalised")
    assert all(r["estimate"] is None for r in finding.rows(model=["crude", "adjusted"]))
    row = finding.one(model="penalised")
    assert row["estimate"] > 10
    assert (row["conf_low"] is None) == sites  # clustered rows have no interval: the profile takes each for a customer
    assert "Firth" in finding.answer
    assert judge("S3.12", finding, term="prepaid", model="adjusted").verdict == "not_estimable"


def test_no_penalty_where_none_is_needed(tmp_path: Path) -> None:
    """Where the plain fit stands, method penalised adds nothing to it."""
    study = opened(tmp_path, customers())
    assert cx.explain_churn(study, "prepaid", method="penalised").rows(model="penalised") == []


def test_newton_does_not_run_away() -> None:
    """A fit that plain Newton steps would throw to infinity, though it exists, is found: its score is zero."""
    dice = np.random.default_rng(17)
    x, z, y = dice.normal(size=12), dice.normal(size=(12, 1)), (dice.random(12) < 0.4) * 1.0
    fit = fit_logit(y, z, offset=3 * x)
    assert fit.converged
    assert np.abs(fit.matrix.in_own_units.T @ (y - fit.fitted)).max() < 1e-8


# -- what is known only afterwards


@pytest.mark.parametrize("term", ["churned", "churn_type", "churn_destination", "notice_date", "retention_desk_call"])
@pytest.mark.parametrize("verb", ["among", "given", "foretell", "block"])
def test_what_is_known_afterwards_is_refused(term: str, verb: str, tmp_path: Path) -> None:
    """A term that is written down when a customer leaves is refused as a predictor, wherever it is named."""
    study = opened(tmp_path, customers())
    asked = {
        "among": lambda: cx.explain_churn(study, [term]),
        "given": lambda: cx.explain_churn(study, "revenue", given=[term]),
        "foretell": lambda: cx.foretell_churn(study, ["revenue", term]),
        "block": lambda: cx.foretell_churn(study, {"care": ["revenue"], "else": [term]}),
    }
    with pytest.raises(UsageError, match=rf"{term} .* is known only after a customer left"):
        asked[verb]()


def test_a_category_is_refused(tmp_path: Path) -> None:
    """A category is no slope: the error names the verb that answers."""
    with pytest.raises(UsageError, match=r"value_segment .* leavers_by_level"):
        cx.explain_churn(opened(tmp_path, customers().assign(value_segment="mass")), "value_segment")


def test_leakage_is_an_area_that_is_too_large() -> None:
    """Of any scores, in ties or not, those are told whose Mann-Whitney area lies too far from one half, and no others."""
    dice, far = np.random.default_rng(7), 0
    for _ in range(400):
        n, ahead, digits = dice.integers(5, 60), dice.choice([-4.0, -3.0, 0.0, 3.0, 4.0]), dice.integers(0, 3)
        y = np.r_[1.0, 0.0, (dice.random(n) < 0.3) * 1.0]
        score = np.round(dice.normal(size=n + 2) + ahead * y, digits)
        pairs = (y == 1).sum() * (y == 0).sum()
        area = stats.mannwhitneyu(score[y == 1], score[y == 0], method="asymptotic").statistic / pairs
        beyond = max(area, 1 - area) - forecast.TOO_WELL
        assert abs(beyond) < 1e-9 or bool(forecast.leakage({"score": score}, y)) == (beyond > 0), (area, digits)
        far += beyond > 0
    assert 100 < far < 300


def test_leakage_is_seen(tmp_path: Path) -> None:
    """A term that tells nearly all leavers from stayers raises a doubt that names it, in both verbs."""
    dice = np.random.default_rng(2)
    study = opened(tmp_path, customers().assign(margin=lambda d: 3.2 * d.churned + dice.normal(size=len(d))))
    for finding in (cx.explain_churn(study, "margin", given=[]), cx.foretell_churn(study, ["revenue", "margin"])):
        assert "margin" in next(c.text for c in finding.caveats if c.code == "leakage")
    assert "leakage" not in {c.code for c in cx.foretell_churn(study, ["revenue", "prepaid"]).caveats}


# -- few clusters


def test_few_sites_are_told(tmp_path: Path) -> None:
    """Rates of leavers of a few sites carry the doubt; those of many sites do not."""
    for count, told in ((5, True), (30, True), (60, False)):
        (tmp_path / str(count)).mkdir()
        frame = customers().assign(site_id=lambda d, count=count: [f"s{i % count}" for i in d.index])
        study = opened(tmp_path / str(count), frame)
        for finding in (cx.churn_rate(study), cx.leavers_by_level(study, "prepaid")):
            assert ("few-clusters" in {c.code for c in finding.caveats}) is told


# -- leavers over-sampled


@pytest.mark.parametrize(
    "policy, why",
    [
        ("churn_rate = 0.02", "add enriched = true"),
        ("enriched = true\nchurn_rate = 2", "a share between 0 and 1, as 0.02"),
        ("enriched = true\nchurn_rate = 0", "a share between 0 and 1"),
        ('enriched = true\nchurn_rate = "2 %"', "churn_rate is '2 %'; it must be a number"),
    ],
)
def test_a_true_rate_is_checked(policy: str, why: str, tmp_path: Path) -> None:
    """A true rate that cannot be one, or where it has no meaning, is refused with what to write."""
    with pytest.raises(UsageError, match=re.escape(why)):
        opened(tmp_path, customers(), policy=policy)


POPULATION = 60_000
TRUE_RATE = 0.0314  # of leaving in the base that `enriched` draws from


def enriched(seed: int) -> tuple[pd.DataFrame, float, float]:
    """A table of 900 leavers and 900 stayers of a large base, with the true effect per 1,000 and rate among prepaid."""
    base = customers(seed, POPULATION)
    dice = np.random.default_rng(seed + 1000)
    told = -3.9 + 0.5 * base.revenue + 0.9 * base.prepaid
    base["churned"] = (dice.random(POPULATION) < expit(told)) * 1.0
    effect = 1000 * float((expit(told - 0.9 * base.prepaid + 0.9) - expit(told - 0.9 * base.prepaid)).mean())
    picked = pd.concat(part.sample(900, random_state=seed) for _, part in base.groupby("churned"))
    return picked, effect, 1000 * float(expit(told)[base.prepaid == 1].mean())


def test_prior_correction_covers_the_truth(tmp_path: Path) -> None:
    """With leavers over-sampled, corrected intervals cover the true effect and rate, uncorrected ones do not."""
    hits = {"corrected": 0, "naive": 0}
    for seed in range(6):
        frame, effect, rate = enriched(seed)
        for name in hits:
            folder = tmp_path / f"{name}{seed}"
            folder.mkdir()
            policy = f"enriched = true\nchurn_rate = {TRUE_RATE}" if name == "corrected" else ""
            study = opened(folder, frame, sites=False, policy=policy)
            found = cx.explain_churn(study, "prepaid", given=["revenue"]).one(model="adjusted", measure="per_1000")
            level = cx.leavers_by_level(study, "prepaid").one(group="prepaid=1")
            for record, truth in ((found, effect), (level, rate)):
                hits[name] += record["conf_low"] <= truth <= record["conf_high"]
    assert hits["naive"] == 0
    assert hits["corrected"] >= 10  # of 12; at 95 % fewer come once in fifty times


def test_an_unknown_true_rate_is_not_judged(tmp_path: Path) -> None:
    """Without the true rate, rates of an over-sampled table stand with the doubt, and no verdict rests on them."""
    study = opened(tmp_path, customers(), policy="enriched = true")
    finding = cx.explain_churn(study, "prepaid", given=["revenue"])
    assert finding.one(model="adjusted", measure="per_1000")["estimate"] is not None
    assert "enriched" in {c.code for c in finding.caveats}
    verdict = judge("S3.12", finding, term="prepaid", model="adjusted")
    assert (verdict.verdict, "churn_rate in the study file" in verdict.reason) == ("not_estimable", True)
    told = opened(tmp_path, customers(), policy="enriched = true\nchurn_rate = 0.02")
    known = cx.explain_churn(told, "prepaid", given=["revenue"])
    assert judge("S3.12", known, term="prepaid", model="adjusted").verdict != "not_estimable"
    for measure, same in (("odds_ratio", True), ("per_1000", False)):
        pair = [f.one(model="adjusted", measure=measure)["estimate"] for f in (finding, known)]
        assert (pair[0] == pytest.approx(pair[1], rel=1e-12)) is same
    hazards = cx.explain_churn(told, "prepaid", method="cloglog")
    assert not hazards.estimable


def test_a_segment_is_corrected_by_the_whole_table(tmp_path: Path) -> None:
    """Leavers are over-sampled from all segments alike: a segment's rate keeps its odds against the others."""
    frame = customers().assign(value_segment=lambda d: np.where(d.prepaid == 1, "mass", "high"))
    study = opened(tmp_path, frame, policy="enriched = true\nchurn_rate = 0.02")
    whole = cx.leavers_by_level(study, "value_segment").one(group="value_segment=mass")
    part = cx.churn_rate(cx.open_study(str(tmp_path / "small.toml"), segment="mass")).one(group="all")
    assert part["estimate"] == whole["estimate"]


# -- forecasts


def test_forecasts_are_those_of_statsmodels(small_operator: Path) -> None:
    """Learned from the earlier months and judged on the later ones, losses and areas are those of plain statsmodels."""
    study = cx.open_study(str(small_operator))
    blocks = {"billing": ["list_price", "tenure_m"], "network": ["call_failures", "retainability"]}
    finding = cx.foretell_churn(study, blocks)
    terms = [t for block in blocks.values() for t in block]
    frame = study.frame(["churned", *terms]).dropna()
    late = frame.period >= re.match(r"Logistic model; (\S+)", finding.method)[1]
    assert 0.25 <= frame[late].churned.sum() / frame.churned.sum() < 0.5
    assert frame[~late].period.max() < frame[late].period.min()
    y, losses = frame[late].churned.to_numpy(), {}
    for name, columns in {"all": terms, **blocks}.items():
        x = sm.add_constant(frame[columns].to_numpy())
        fit = sm.Logit(frame[~late].churned.to_numpy(), x[~late]).fit(disp=False, tol=1e-12)
        p = fit.predict(x[late])
        losses[name] = -np.log(np.where(y == 1, p, 1 - p)).mean()
        if name == "all":
            pairs = p[y == 1][:, None] - p[y == 0][None, :]
            area = finding.one(model="foretold", measure="auc")["estimate"]
            assert area == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2, rel=1e-9)
            brier = finding.one(measure="brier")["estimate"]
            assert brier == pytest.approx(((p - y) ** 2).mean(), rel=1e-7)
    plain = -(y.mean() * np.log(y.mean()) + (1 - y.mean()) * np.log(1 - y.mean()))
    want = {"billing": losses["network"], "network": losses["billing"], "end_to_end": losses["billing"]}
    assert finding.one(measure="log_loss")["estimate"] == pytest.approx(losses["all"], rel=1e-7)
    for term, without in want.items():
        got = finding.one(measure="log_loss_difference", term=term)["estimate"]
        assert got == pytest.approx(100 * (without - losses["all"]) / plain, rel=1e-5)
    tenths = finding.rows(measure="per_1000", model="seen")
    assert (len(tenths), sum(t["events"] for t in tenths)) == (10, int(y.sum()))


def test_what_is_foretold_and_what_is_not(tmp_path: Path) -> None:
    """A term that leaving depends on saves log loss; noise saves none; the better block is named."""
    finding = cx.foretell_churn(opened(tmp_path, customers(5, 4000)), {"noise": ["margin"], "waits": ["revenue"]})
    saved = {r["term"]: r for r in finding.rows(measure="log_loss_difference", model="blocks")}
    assert saved["waits"]["conf_low"] > 0 > saved["noise"]["conf_low"]
    assert saved["noise"]["conf_low"] <= 0 <= saved["noise"]["conf_high"]
    assert "waits adds most" in finding.answer
    slope = finding.one(term="calibration_slope")
    assert slope["conf_low"] < 1 < slope["conf_high"]


@pytest.mark.parametrize(
    "how", ["logit", "cloglog", "penalised", "mediate", "survive", "fit", "in passes", "fit in passes"]
)
@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-6])
def test_a_term_that_is_held_fixed_by_others_has_no_slope(
    how: str, noise: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what is held fixed says all that a term says no slope is told: R's glm(churned ~ list_price + margin + revenue) gives NA."""
    frame = customers()
    dice = np.random.default_rng(2)
    frame["list_price"] = 50 + 2 * frame.margin + 3 * frame.revenue + noise * dice.normal(size=len(frame))
    given, study = ["margin", "revenue"], opened(tmp_path, frame)
    if "passes" in how:
        monkeypatch.setattr("cxresearch.evidence.churn.CAP", 10)
        monkeypatch.setattr("cxresearch.evidence.models.CAP", 10)
    if how == "mediate":
        rows = cx.mediate(study, "churned", "list_price", "tenure_m", given).rows(measure="per_1000")
    elif how == "survive":
        found = cx.survive(study, among="list_price", given=given)
        rows = found.rows(measure="hazard_ratio", model="adjusted")
        assert "a term says what others say" in found.answer
    elif how.startswith("fit"):
        found, rows = cx.fit("churned ~ list_price + margin + revenue", study).finding, []
        assert found.answer == "Not estimable: a term does not vary or says what others say."
    else:
        method = "logit" if how == "in passes" else how
        found = cx.explain_churn(study, "list_price", given=given, method=method)
        rows = [r for r in found.rows() if r["model"] != "crude"]
        assert "no slope is estimable" in found.answer
    assert [r["estimate"] for r in rows] == [None] * len(rows)


def test_an_odds_ratio_too_large_to_be_written_says_so(tmp_path: Path) -> None:
    """An odds ratio beyond any number that can be written is empty with its reason, not empty alone."""
    found = cx.explain_churn(opened(tmp_path, customers().assign(revenue=lambda f: f.revenue * 1e-5)), "revenue")
    odds = found.one(measure="odds_ratio", model="crude")
    assert (odds["estimate"], odds["effect_label"]) == (None, "too large to be written: take another unit of the term")
    assert found.one(measure="per_1000", model="crude")["estimate"] is not None


def test_noise_is_foretold_as_well_as_by_chance(tmp_path: Path) -> None:
    """Of one period, what says nothing has an area of a half on average: forecasts of several fifths are put on one base."""
    errors = []
    for seed in range(12):
        dice = np.random.default_rng(seed)
        frame = pd.DataFrame({"churned": (dice.random(400) < 0.2) * 1.0, "revenue": dice.normal(size=400)})
        (tmp_path / str(seed)).mkdir()
        area = cx.foretell_churn(study_of(tmp_path / str(seed), panel=frame), "revenue").one(
            model="foretold", measure="auc"
        )
        errors.append((area["estimate"] - 0.5) / area["std_error"])
    assert abs(np.mean(errors)) < 0.6  # two errors of the mean of twelve


def test_equal_customers_tie() -> None:
    """Customers who are alike get the same forecast to the last digit: ties of R's pROC::auc(y, fitted(glm(...))) stay ties."""
    dice = np.random.default_rng(0)
    x = np.column_stack([*(dice.random((4, 1043)) < 0.4), dice.integers(0, 9, 1043)]).astype(float)
    fit = fit_logit((dice.random(1043) < expit(x @ [1, -1, 0.3, 0.2, 0.1] - 1)).astype(float), x)
    assert len(np.unique(fit.predictor)) == len(np.unique(x, axis=0))


@pytest.mark.slow
def test_intervals_of_forecasts_cover_the_truth(tmp_path: Path) -> None:
    """Over drawn tables the intervals of area, calibration and gain hold what the learned model is worth in the base."""
    dice, hits, runs = np.random.default_rng(8), np.zeros(3), 60
    site = 0.5 * dice.normal(size=SITES)
    learn = customers(78, 1500)
    fit = fit_logit(learn.churned.to_numpy(), learn[["revenue", "prepaid"]].to_numpy())

    def drawn(seed: int, n: int, sites: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Who left, and what was foretold, of customers at sites that share their luck."""
        d = customers(seed, n)
        x = d[["revenue", "prepaid"]].to_numpy()
        p = expit(-1.2 + x @ [0.5, 0.4] + site[sites])
        return (dice.random(n) < p) * 1.0, fit.coefficients[0] + x @ fit.coefficients[1:]

    def numbers(y: np.ndarray, told: np.ndarray, of: np.ndarray) -> list[Interval]:
        slope = forecast.calibration(y, told, of)[1]
        return [forecast.auc_interval(y, told, of), slope, forecast.mean_interval(forecast.log_loss(y, told), of)]

    every = np.arange(400_000) % SITES
    truths = [i.estimate for i in numbers(*drawn(77, len(every), every), every)]
    codes = np.arange(4000) % 200
    for seed in range(runs):  # sites are drawn anew as their customers are
        made = numbers(*drawn(seed, len(codes), dice.integers(0, SITES, 200)[codes]), codes)
        hits += [i.conf_low <= truth <= i.conf_high for i, truth in zip(made, truths, strict=True)]
    assert (hits >= 0.85 * runs).all(), hits


@pytest.mark.parametrize("level", [-4.0, 4.0, 0.0])
def test_where_a_fit_starts_moves_nothing(monkeypatch: pytest.MonkeyPatch, level: float) -> None:
    """Of many rows the fit starts from some leavers and stayers: nearer than from none, and it ends at the same place."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(100_000, 3)) * [1.0, 30.0, 0.01]
    offset = rng.normal(size=len(x))
    y = (rng.random(len(x)) < expit(level + offset + x @ [0.5, -0.02, 20.0])).astype(float)
    from_some = fit_logit(y, x, offset=offset)
    design = from_some.matrix.standard
    start = np.array([level, 0.0, 0.0, 0.0])
    end = np.linalg.solve(from_some.matrix.back, from_some.coefficients)
    assert np.abs(logistic._near(y, design, offset, start) - end).max() < 0.1
    monkeypatch.setattr(logistic, "STARTING", len(x))
    from_none = fit_logit(y, x, offset=offset)
    assert from_some.converged
    np.testing.assert_allclose(from_some.coefficients, from_none.coefficients, rtol=1e-9)


def test_levels_of_which_as_many_left_are_both_named(tmp_path: Path) -> None:
    """Where all left of each level the sentence names both, and says that it is as many."""
    study = opened(tmp_path, customers().assign(churned=1.0))
    found = cx.leavers_by_level(study, "prepaid")
    shown = [f"1,000.0 per 1,000 at prepaid plan {k} (n = {found.one(group=f'prepaid={k}')['n']:,})" for k in (0, 1)]
    assert found.answer == f"As many left at every level of prepaid plan: {shown[0]}, {shown[1]}."


@pytest.mark.parametrize("sites", [False, True], ids=["customers", "sites"])
def test_a_forecast_without_a_mistake_is_better_than_chance(sites: bool, tmp_path: Path) -> None:
    """Every leaver stands above every stayer: the area is one, there is no error to tell, and it is doubted."""
    study = opened(tmp_path, customers().assign(revenue=lambda d: d.churned + 1e-3 * d.revenue), sites=sites)
    found = cx.foretell_churn(study, "revenue")
    assert found.one(model="foretold", measure="auc")["estimate"] == 1
    assert found.answer.startswith("Leaving is foretold better than by chance")
    assert "leakage" in [c.code for c in found.caveats]


@pytest.mark.parametrize("leavers, told", [((1, 0), False), ((14, 0), True)])
def test_levels_differ_only_where_chance_does_not_make_it(leavers: tuple[int, int], told: bool, tmp_path: Path) -> None:
    """One leaver of 34 and none of 119 is no difference; fourteen is one. Witness: Fisher's exact test."""
    n = (34, 119)
    left = np.concatenate([np.arange(size) < gone for size, gone in zip(n, leavers, strict=True)])
    panel = pd.DataFrame({"churned": left, "prepaid": np.repeat([True, False], n)}).assign(
        customer_id=np.arange(153).astype(str)
    )
    answer = cx.leavers_by_level(study_of(tmp_path, panel=panel), "prepaid").answer
    exact = stats.fisher_exact([[leavers[0], 34 - leavers[0]], [leavers[1], 119 - leavers[1]]]).pvalue
    assert bool(exact < 0.01) is told
    assert answer.startswith(
        "Leavers differ by prepaid plan: from 0.0" if told else "No difference of leavers by prepaid plan is told"
    )
