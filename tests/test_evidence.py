"""The verbs on tables that are meant to break them: the right number, or a clear *not estimable*, never a NaN."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.evidence.inference import jackknife, pearson_interval, share_interval, spearman_interval
from cxresearch.finding import Finding, dumps, written
from cxresearch.measures import number

SURVEY = ("sat1", "sat2", "sat3", "recommend")
MIN_CELL = 10
CUSTOMERS = 90


def table(seed: int = 1) -> pd.DataFrame:
    """Ninety customers of twelve sites in two months; quality goes with satisfaction, satisfaction with staying."""
    dice, n = np.random.default_rng(seed), CUSTOMERS
    site = np.arange(n) % 12
    quality = dice.normal(size=12)[site]
    mood = 0.7 * quality + dice.normal(size=n)
    months = []
    for month in ("2026-09", "2026-10"):
        answers = (6 + 1.5 * mood[:, None] + dice.normal(size=(n, 3))).round().clip(1, 10)
        months.append(
            pd.DataFrame(
                {
                    "customer_id": [f"c{i}" for i in range(n)],
                    "site_id": [f"s{i}" for i in site],
                    "period": month,
                    "value_segment": np.array(["mass", "mid", "high"])[np.arange(n) // 12 % 3],
                    "retainability": 0.97 + 0.01 * quality + 0.002 * dice.normal(size=n),
                    "call_failures": dice.poisson(2, n) * 1.0,
                    "usage_calls": dice.poisson(30, n) * 1.0,
                    "wait_s": (100 - 10 * mood + 20 * dice.normal(size=n)).round(),
                    "bill_errors": dice.poisson(0.5, n) * 1.0,
                    "list_price": 20 + 5 * dice.normal(size=n),
                    "tenure_m": dice.integers(1, 90, n) * 1.0,
                    "prepaid": (dice.random(n) < 0.3) * 1.0,
                    "churned": (dice.random(n) < 1 / (1 + np.exp(0.5 + 0.5 * mood))) * 1.0,
                    **{f"sat{i + 1}": answers[:, i] for i in range(3)},
                    "recommend": (6 + 2 * mood + dice.normal(size=n)).round().clip(0, 10),
                }
            )
        )
    return pd.concat(months, ignore_index=True)


def opened(folder: Path, frame: pd.DataFrame, *, stated: bool = False, sites: bool = True) -> Study:
    """The study of a table; `stated`: of its last month alone, with leavers known. `sites`: they are the clusters."""
    if stated:
        frame = frame[frame.period == frame.period.max()].drop(columns="period")
    keys = [c for c in ("customer_id", "period") if c in frame]
    return study_of(
        folder,
        panel=frame.drop(columns=list(SURVEY)),
        surveys=frame[[*keys, *SURVEY]],
        levels=["customer", "site"] if sites else ["customer"],
        window=2,
    )


BLOCKS = {"network": ["retainability", "call_failures"], "design": ["bill_errors"], "operations": ["wait_s"]}
VERBS: dict[str, Callable[[Study], Finding]] = {
    "relate": lambda s: cx.relate(s, "satisfaction", ["retainability"]),
    "relate by segment": lambda s: cx.relate(s, "satisfaction", ["retainability"], by="value_segment"),
    "relate to leaving": lambda s: cx.relate(s, "churned", ["satisfaction"]),
    "relate many": lambda s: cx.relate(s, ["satisfaction", "recommend"], ["call_failures", "wait_s"]),
    "relate by lag": lambda s: cx.relate(s, "satisfaction", ["wait_s"], lag=[0, 1]),
    "relate later": lambda s: cx.relate(s, "satisfaction", ["wait_s"], lag=1),
    "reliability": cx.reliability,
    "rank_drivers": lambda s: cx.rank_drivers(s, "satisfaction", ["retainability", "wait_s", "bill_errors"]),
    "block_shares": lambda s: cx.block_shares(s, "satisfaction", BLOCKS),
    "explain_churn": lambda s: cx.explain_churn(s, ["satisfaction", "prepaid", "retainability"]),
    "leavers_by_level of an index": lambda s: cx.leavers_by_level(s, "satisfaction"),
    "leavers_by_level of a segment": lambda s: cx.leavers_by_level(s, "value_segment"),
    "leavers_by_level of a count": lambda s: cx.leavers_by_level(s, "bill_errors"),
    "churn_rate": cx.churn_rate,
    "score": lambda s: cx.score(s, "satisfaction", by="value_segment"),
    "score of recommending": lambda s: cx.score(s, "recommend", by="value_segment"),
    "fit": lambda s: cx.fit("satisfaction ~ retainability + wait_s", s).finding,
    "fit of leaving": lambda s: cx.fit("churned ~ satisfaction + tenure_m", s).finding,
}


def words(finding: Finding) -> str:
    """Everything that a finding says in words."""
    labels = (r["effect_label"] or "" for r in finding.rows())
    said = (finding.answer, finding.title, finding.method, finding.sample, *(c.text for c in finding.caveats), *labels)
    return " | ".join(said)


def assert_sound(finding: Finding) -> None:
    """No NaN, no interval without its estimate or beside it, nothing of few people, and words that say what is."""
    assert not re.search(r"\b(nan|NaN|None(?! of)|inf|NA)\b", words(finding)), words(finding)
    assert finding.answer
    for record in finding.rows():
        assert all(not isinstance(v, float) or math.isfinite(v) for v in record.values())
        estimate, low, high = record["estimate"], record["conf_low"], record["conf_high"]
        if estimate is None:
            assert [record[k] for k in ("conf_low", "conf_high", "std_error", "p_value")] == [None] * 4
            assert record["effect_label"] or record["n"] is not None
        elif low is not None and high is not None:
            assert low <= estimate <= high, record
        if record["measure"] in ("r", "rho") and estimate is not None:
            assert -1 <= estimate <= 1
        assert record["n"] is None or record["n"] == 0 or record["n"] >= MIN_CELL
    if not finding.estimable:
        assert re.search("[Nn]ot estimable|no slope is estimable", finding.answer)
    assert Finding.from_json(json.loads(dumps(finding.to_json()))).to_json() == finding.to_json()
    json.dumps(finding.to_json(), allow_nan=False)


# -- one table, every verb


def changed(**columns: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A table with columns replaced by a value, or by a function of the table."""
    return lambda d: d.assign(**columns)


SATISFIED = dict.fromkeys(SURVEY, 5.0)
HOSTILE: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as it is": lambda d: d,
    "a score without variance": changed(**SATISFIED),
    "a score of unequal items without variance": changed(**(SATISFIED | {"sat1": 4.0, "sat2": 8.0})),
    "an item without variance": changed(sat2=5.0),
    "a term without variance": changed(retainability=0.9, wait_s=0.1),
    "a term without variance but a rounding": changed(
        retainability=lambda d: np.where(d.index % 2 == 0, 0.3, 0.1 + 0.2), wait_s=0.1
    ),
    "a term that varies in one site only": changed(prepaid=lambda d: (d.site_id == "s1") * (d.index % 2) * 1.0),
    "a term that another one repeats": changed(wait_s=lambda d: 3 * d.retainability),
    "one site": changed(site_id="one"),
    "no site known": changed(site_id=None),
    "no answers": changed(**dict.fromkeys(SURVEY, np.nan)),
    "no value of a term": changed(retainability=np.nan),
    "no segment known": changed(value_segment=None),
    "a segment without a name": changed(value_segment=lambda d: np.where(d.customer_id == "c1", "", "mass")),
    "nobody left": changed(churned=0.0),
    "everybody left": changed(churned=1.0),
    "leaving foretold": changed(churned=lambda d: (d.sat1 > 6) * 1.0),
    "three customers": lambda d: d[d.customer_id.isin(["c1", "c2", "c3"])],
    "one customer": lambda d: d[d.customer_id == "c1"],
    "numbers far out": changed(wait_s=lambda d: d.wait_s.abs() * 1e150, bill_errors=lambda d: d.bill_errors * 1e-150),
}


KINDS = ("two months", "one stated month", "each row a customer")
LONG = {verb for verb in VERBS if " " in verb}  # the same verbs again, on other terms
SHORT = {
    ("as it is", "two months"),
    ("a score of unequal items without variance", "one stated month"),
    ("a term without variance but a rounding", "each row a customer"),
    ("a term that varies in one site only", "one stated month"),
    ("a term that another one repeats", "each row a customer"),
    ("one site", "two months"),
    ("no answers", "one stated month"),
    ("three customers", "two months"),
    ("one customer", "each row a customer"),
    ("numbers far out", "one stated month"),
}


def sound(name: str, kind: str, verbs: Iterable[str], folder: Path) -> None:
    """Ask verbs of a hostile table."""
    frame = HOSTILE[name](table())
    study = opened(folder, frame, stated=kind != "two months", sites=kind != "each row a customer")
    for verb in verbs:
        try:
            assert_sound(VERBS[verb](study))
        except Exception as error:
            error.args = (f"{verb}: {error}",)
            raise


@pytest.mark.parametrize("name, kind", sorted(SHORT))
def test_verbs_are_sound(name: str, kind: str, tmp_path: Path) -> None:
    """On a hostile table a verb gives a number or says that there is none: no error, no warning, no NaN."""
    sound(name, kind, [verb for verb in VERBS if verb not in LONG], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name, kind", list(zip(HOSTILE, itertools.cycle(KINDS), strict=False)))
def test_every_verb_is_sound(name: str, kind: str, tmp_path: Path) -> None:
    """The same of every verb on every hostile table."""
    sound(name, kind, VERBS, tmp_path)


# -- numbers


def test_rows_of_a_finding_are_the_readers_own(tmp_path: Path) -> None:
    """What is done to a row that was given out changes neither the finding nor the rows that are given out next."""
    finding = cx.relate(opened(tmp_path, table(), stated=True), "satisfaction", ["wait_s"], steps=["crude"])
    row = finding.one(measure="r", model="crude")
    before = dict(row)
    row["estimate"] = None
    assert finding.one(measure="r", model="crude") == before
    assert finding.to_json() == finding.only().to_json()


@pytest.mark.parametrize(
    "change, sites",
    [(lambda x: x * 1e-8, True), (lambda x: x + 1e9, True), (lambda x: -1e6 * x, False)],
    ids=["small", "far", "turned"],
)
def test_units_do_not_matter(change: Callable[[Any], Any], sites: bool, tmp_path: Path) -> None:
    """A column in other units, or counted from elsewhere, has the same correlations, shares and effects."""
    plain = table().rename(columns={"wait_s": "revenue", "tenure_m": "margin"})  # money may be of any size and sign
    moved = plain.assign(revenue=change(plain.revenue), margin=change(plain.margin))
    turn = np.sign(change(2.0) - change(1.0))
    per = (change(2.0) - change(1.0)) * turn
    found = []
    for name, frame in (("plain", plain), ("moved", moved)):
        (tmp_path / name).mkdir()
        study = opened(tmp_path / name, frame, stated=True, sites=sites)
        given = ["margin", "retainability"]
        ladder = cx.relate(study, "satisfaction", ["revenue"], given=given, steps=["crude", "adjusted"]).rows()
        drivers = cx.rank_drivers(study, "satisfaction", ["revenue", *given]).rows(measure="share")
        numbers = [r[k] for r in ladder for k in ("estimate", "std_error", "p_value")]
        shares = [r[k] for r in drivers for k in ("estimate", "conf_low", "conf_high")]
        effect = cx.explain_churn(study, "revenue", given=["margin"]).one(model="adjusted", measure="per_1000")
        found.append((numbers, shares, effect["estimate"] * (1 if name == "plain" else per), effect["p_value"]))
    (numbers, shares, effect, p), (numbers2, shares2, effect2, p2) = found
    signs = [turn if i % 3 == 0 else 1 for i in range(len(numbers))]
    np.testing.assert_allclose(np.array(signs) * numbers2, numbers, rtol=1e-9)
    np.testing.assert_allclose(shares2, shares, rtol=1e-8)
    np.testing.assert_allclose([turn * effect2, p2], [effect, p], rtol=1e-5)  # 1e9 leaves 7 digits of a slope


def test_alpha_with_an_item_that_all_answer_alike(tmp_path: Path) -> None:
    """An item without variance counts as an item: alpha falls, and is what the definition gives."""
    frame = table().assign(sat2=5.0)
    covariance = np.cov(frame[["sat1", "sat2", "sat3"]].to_numpy().T)
    want = 3 / 2 * (1 - np.trace(covariance) / covariance.sum())
    record = cx.reliability(opened(tmp_path, frame)).one(outcome="satisfaction", measure="alpha")
    assert record["estimate"] == pytest.approx(want, rel=1e-11)


def test_a_constant_has_no_correlation(tmp_path: Path) -> None:
    """A column that never varies but for a rounding has no correlation."""
    roundings = np.where(np.arange(2 * CUSTOMERS) % 2 == 0, 0.3, 0.1 + 0.2)
    frame = table().assign(retainability=roundings, fcr=0.1, **SATISFIED)  # the mean of many 0.1 is not 0.1
    study = opened(tmp_path, frame, stated=True)
    for of, among in (("recommend", "wait_s"), ("wait_s", "retainability"), ("fcr", "wait_s")):
        finding = cx.relate(study, of, among, method=["pearson"])
        assert not finding.estimable
        assert "do not both vary" in finding.answer


def test_more_terms_than_rows(tmp_path: Path) -> None:
    """Ten customers and nine terms: R² would be one whatever they are."""
    names = "revenue margin latency_ms wait_s outage_min list_price discount order_days transfers"
    dice = np.random.default_rng(5)
    panel = pd.DataFrame({name: dice.normal(9, 1, size=MIN_CELL) for name in ["bill_errors", *names.split()]})
    finding = cx.rank_drivers(study_of(tmp_path, panel=panel), "bill_errors", names.split())
    assert_sound(finding)
    assert not finding.estimable
    assert "too few rows" in finding.answer


def test_n_of_three() -> None:
    """Three rows have a correlation and a p-value but no interval; two have neither."""
    for interval in (pearson_interval, spearman_interval):
        three = interval(0.5, 3)
        assert (three.estimate, three.conf_low) == (0.5, None)
        assert three.p_value == pytest.approx(2 / 3)  # t with one degree of freedom: 1 - 2 arctan(t)/π at t = 1/√3
        assert interval(1.0, 2) == type(three)(1.0)


def test_an_interval_needs_every_block() -> None:
    """A number that does not exist without one of the blocks has no interval; a share of none or all ends there."""
    left = np.array([0.1, 0.2, math.nan, 0.15])
    assert jackknife(0.2, left).conf_low is None
    assert jackknife(0.2, left[:1]).conf_low is None
    assert jackknife(0.2, left[[0, 1, 3]]).conf_low is not None
    assert jackknife(math.nan, left[:2]).estimate is None
    assert all(share_interval(0.0, n, None, None).conf_low == 0.0 for n in range(1, 300))
    assert all(share_interval(1.0, n, None, None).conf_high == 1.0 for n in range(1, 300))
    assert share_interval(0.3, 50, math.nan, 1) == type(share_interval(0.3, 50, None, None))(0.3)


def test_a_term_of_one_site_has_no_interval(tmp_path: Path) -> None:
    """Where all variation of a term is one site's, its number is told and no interval invented."""
    frame = table().assign(prepaid=lambda d: (d.site_id == "s1") * (d.index // 12 % 2) * 1.0)
    study = opened(tmp_path, frame, stated=True)
    correlation = cx.relate(study, "satisfaction", "prepaid", steps=["crude"]).one(measure="r")
    leaving = cx.explain_churn(study, "prepaid", given=[]).one(measure="per_1000")
    for record in (correlation, leaving):
        assert record["estimate"] is not None
        assert record["conf_low"] is None


def test_one_site_is_one_observation(tmp_path: Path) -> None:
    """With one cluster estimates stand, intervals do not, and the reader is told why."""
    study = opened(tmp_path, table().assign(site_id="one"), stated=True)
    for name in ("relate", "rank_drivers", "explain_churn", "score", "churn_rate"):
        finding = VERBS[name](study)
        assert finding.estimable
        assert all(r["conf_low"] is None for r in finding.rows() if r["measure"] != "rank")
        assert all(r["effect"] is None for r in finding.rows(measure="rank"))
        if name != "churn_rate":
            assert "few-clusters" in {c.code for c in finding.caveats}


def test_many_pairs_are_adjusted_together(tmp_path: Path) -> None:
    """Twelve unrelated terms: p-values are adjusted over all of them, and none is told from zero."""
    names = "revenue margin latency_ms wait_s outage_min throughput_mbps list_price discount order_days transfers care_contacts tickets_open"
    dice = np.random.default_rng(3)
    panel = pd.DataFrame({name: dice.normal(9, 1, size=300) for name in ["bill_errors", *names.split()]})
    finding = cx.relate(study_of(tmp_path, panel=panel), "bill_errors", names.split(), steps=["crude"])
    for measure in ("r", "rho"):
        records = sorted(finding.rows(measure=measure), key=lambda r: r["p_value"])
        p = np.array([r["p_value"] for r in records])
        want = np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
        np.testing.assert_allclose([r["p_adjusted"] for r in records], want.clip(max=1), rtol=1e-10)
    assert p.min() < 0.2 < min(r["p_adjusted"] for r in records)  # one by itself would look more telling than it is
    assert finding.answer.startswith("None of 12 correlations")


# -- groups


def simpson(reverse: bool = True) -> pd.DataFrame:
    """Three segments in each of which more waiting goes with less satisfaction, and between which it is the opposite."""
    dice = np.random.default_rng(4)
    level = np.repeat([0, 1, 2], 60)
    wait = 100 + 60 * level * reverse + 10 * dice.normal(size=180)
    mood = 3 + 2 * level * reverse - 0.08 * (wait - 100 - 60 * level * reverse) + 0.2 * dice.normal(size=180)
    segment = np.array(["mass", "mid", "high"])[level]
    return pd.DataFrame({"wait_s": wait, "revenue": mood, "value_segment": segment})


@pytest.mark.parametrize(("reverse", "tiny"), [(True, False), (True, True), (False, False)])
def test_a_reversal_is_told(reverse: bool, tiny: bool, tmp_path: Path) -> None:
    """Where the sign over all is the opposite of that in every segment large enough to be shown, a caveat says so."""
    frame = simpson(reverse)
    if tiny:
        more = pd.DataFrame({"wait_s": [100.0, 110.0, 120.0], "revenue": [3.0, 3.1, 3.3], "value_segment": "tiny"})
        frame = pd.concat([frame, more], ignore_index=True)
    finding = cx.relate(study_of(tmp_path, panel=frame), "revenue", "wait_s", by="value_segment")
    codes = {c.code for c in finding.caveats}
    assert ("reversed" in codes) is reverse
    assert ("confounded" in codes) is reverse  # within_segment is a step of the ladder
    crude = finding.one(model="crude", measure="r", group="all")["estimate"]
    inside = finding.one(model="crude", measure="r", group="value_segment=mass")["estimate"]
    assert (crude > 0.5) is reverse
    assert inside < -0.9
    if reverse:
        assert "sign turns" in finding.answer


@pytest.mark.parametrize(
    "verb", ["relate by segment", "score", "score of recommending", "leavers_by_level of a segment"]
)
def test_a_small_group_is_not_shown(verb: str, tmp_path: Path) -> None:
    """Of a level with seven customers nothing is told: no estimate, no count, no word, no total to subtract from."""
    frame = table()
    frame["value_segment"] = frame.value_segment.where(~frame.customer_id.isin([f"c{i}" for i in range(7)]), "tiny")
    frame.loc[frame.value_segment == "tiny", list(SURVEY)] = 1.0
    finding = VERBS[verb](opened(tmp_path, frame, stated=True, sites=False))
    own = [r for r in finding.rows() if r["group"] == "value_segment=tiny"]
    assert own
    for record in own:
        numbers = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "n", "events", "clusters", "effect")
        assert [record[k] for k in numbers] == [None] * len(numbers)
        assert written(record) == "suppressed: fewer than 10 customers"
    assert not re.search(r"(?<![\d.,])7(?![\d.,]*\d)", words(finding).replace("7-8", "").replace("0.97", ""))
    assert "tiny" not in words(finding)
    levels = [
        r["n"]
        for r in finding.rows()
        if r["group"].startswith("value_segment=") and r["measure"] in ("r", "score", "per_1000")
    ]
    assert sum(n is None for n in levels) >= 2  # or the small one could be worked out from the others


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in LONG])
def test_a_small_study_does_not_count_itself_out(verb: str, tmp_path: Path) -> None:
    """Seven customers are too few to tell anything of, also in the words about sample, method and doubts."""
    frame = table()
    frame = frame[frame.customer_id.isin([f"c{i}" for i in range(7)])].assign(churned=[0.0, 1.0] * 7)
    finding = VERBS[verb](opened(tmp_path, frame, stated=True, sites=False))
    assert not finding.estimable
    # numbers that are words of the house, not counts of these people: levels of intervals, scales, draws
    assert not re.search(r"(?<![\d.,-])[34567](?![\d.,-]*\d)", words(finding).replace("7-8", ""))


def test_an_empty_segment_gives_no_rows(tmp_path: Path) -> None:
    """A level that nobody is of, and a split that nobody has a level of, add no rows and break nothing."""
    study = opened(tmp_path, table().assign(value_segment=None), stated=True)
    for ask in (lambda s: cx.relate(s, "satisfaction", "wait_s", by="value_segment"), VERBS["score"]):
        assert {r["group"].partition("=")[0] for r in ask(study).rows()} <= {"all", "period"}


def test_a_block_keeps_a_column(tmp_path: Path) -> None:
    """A block whose columns most rows lack keeps the best of them: it is never silently another question."""
    frame = table()
    frame.loc[frame.index % 2 == 0, "retainability"] = np.nan
    frame.loc[frame.index % 3 == 0, "call_failures"] = np.nan
    finding = cx.block_shares(opened(tmp_path, frame), "satisfaction", BLOCKS)
    assert {r["term"] for r in finding.rows(measure="share")} == set(BLOCKS)
    assert "retainability" in finding.sample
    assert finding.one(measure="r2_difference", term="end_to_end")["n"] == int(frame.call_failures.notna().sum())


# -- leaving


@pytest.mark.parametrize(("left", "rate"), [(0.0, 0.0), (1.0, 1000.0)])
def test_nobody_or_everybody_left(left: float, rate: float, tmp_path: Path) -> None:
    """No model, and the plain rate with an interval that is open to one side only."""
    study = opened(tmp_path, table().assign(churned=left), stated=True, sites=False)
    finding = cx.explain_churn(study, "satisfaction")
    assert not finding.estimable
    assert "few-events" in {c.code for c in finding.caveats}
    record = cx.churn_rate(study).rows(group="all")[0]
    assert record["estimate"] == rate
    assert record["conf_high" if left else "conf_low"] == rate
    z2, n = 1.959963984540054**2, CUSTOMERS
    assert abs(record["conf_low" if left else "conf_high"] - rate) == pytest.approx(1000 * z2 / (n + z2))


@pytest.mark.parametrize("sites", [False, True])
def test_separation_is_not_a_slope(sites: bool, tmp_path: Path) -> None:
    """Where an answer foretells leaving without error the slope is not estimable, in explain_churn and in fit."""
    frame = table().assign(churned=lambda d: (d.sat1 + d.sat2 + d.sat3 < 16) * 1.0)
    study = opened(tmp_path, frame, stated=True, sites=sites)
    finding = cx.explain_churn(study, "satisfaction", given=[])
    assert not finding.estimable
    assert "separated" in {c.code for c in finding.caveats}
    result, finding = cx.fit("churned ~ satisfaction", study)
    assert result is None
    assert "separated" in finding.answer


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"wait_s": 5.0}, "does not vary"),
        ({"wait_s": lambda d: 2 * d.retainability}, "says what others say"),
        ({"site_id": "one"}, "one cluster"),
        ({"wait_s": np.nan}, "too few rows"),
        (SATISFIED, "outcome does not vary"),
    ],
    ids=["constant", "repeated", "one cluster", "missing", "constant outcome"],
)
def test_a_model_that_cannot_be_fitted(columns: dict[str, Any], why: str, tmp_path: Path) -> None:
    """A formula without slopes gives no result of statsmodels and a finding that says why."""
    result, finding = cx.fit(
        "satisfaction ~ retainability + wait_s", opened(tmp_path, table().assign(**columns), stated=True)
    )
    assert result is None
    assert why in finding.answer


def test_levels_and_totals_agree(tmp_path: Path) -> None:
    """Leavers by level add up to the leavers of all."""
    study = opened(tmp_path, table(), stated=True)
    total = cx.churn_rate(study).rows(group="all")[0]
    levels = cx.leavers_by_level(study, "value_segment").rows()
    for count in ("n", "events"):
        assert sum(r[count] for r in levels) == total[count]


def test_every_order_of_rows_and_columns_gives_the_same(tmp_path: Path) -> None:
    """A table that comes in another order gives the same table of numbers, digit by digit."""
    frame, answers = table(), []
    for name, order in (("there", frame.index), ("back", frame.index[::-1])):
        (tmp_path / name).mkdir()
        study = opened(tmp_path / name, frame.loc[order, sorted(frame.columns)])
        answers.append([VERBS[v](study).rows() for v in ("relate", "score", "churn_rate")])
    for one, other in zip(*answers, strict=True):
        for a, b in itertools.zip_longest(one, other):
            assert {k: v for k, v in a.items() if not isinstance(v, float)} == {
                k: v for k, v in b.items() if not isinstance(v, float)
            }
            numbers = [k for k, v in a.items() if isinstance(v, float)]
            np.testing.assert_allclose([a[k] for k in numbers], [b[k] for k in numbers], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("value", "told"),
    [(2.44e300, "2.4 × 10^300"), (-1e15, "−1.0 × 10^15"), (999_999_999_999_999.0, "999,999,999,999,999.00")],
)
def test_numbers_too_large_to_be_read_are_told_by_their_power(value: float, told: str) -> None:
    """An interval of near separation may end at a number of three hundred digits."""
    assert number(value) == told
