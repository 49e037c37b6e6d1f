"""`relate` with every method and every step on tables that are meant to break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import study_of
from test_evidence import CUSTOMERS, HOSTILE, assert_sound, opened, table

import cxresearch as cx
from cxresearch.errors import UsageError
from cxresearch.evidence.association import partial
from cxresearch.evidence.ladder import METHODS
from cxresearch.finding import Finding
from cxresearch.measures import LADDER

MEASURES = {"r", "rho", "tau", "semipartial", "polychoric"}
MORE = {
    "all ties": lambda d: d.assign(sat1=5.0, recommend=5.0, bill_errors=1.0),
    "one answer but one": lambda d: d.assign(recommend=np.where(d.index == 3, 9.0, 5.0)),
    "one decides the other": lambda d: d.assign(bill_errors=(d.sat1 > 5) * 1.0, recommend=(d.sat1 > 5) * 9.0),
    "fractions": lambda d: d.assign(bill_errors=d.bill_errors / 3),
    "a month of nobody": lambda d: d.assign(recommend=d.recommend.where(d.period == "2026-09")),
}
FAST = {"one decides the other", "one customer"}
KINDS = {"months": {}, "stated": {"stated": True}, "alone": {"stated": True, "sites": False}}


def asked(study: cx.Study) -> list[Finding]:
    """Every step and method between scales of answers, numbers and flags."""
    every: dict[str, Any] = {"method": METHODS}
    return [
        cx.relate(study, "recommend", ["bill_errors"], **every, by="value_segment", steps=["crude", "within_segment"]),
        cx.relate(study, "satisfaction", ["wait_s"], given=["retainability", "call_failures"], **every),
        cx.relate(study, "churned", ["recommend"], given=[], **every, steps=["crude", "all_customers"]),
        cx.relate(study, "wait_s", ["retainability"], given=[], lag=[0, 1], **every),
    ]


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in [*HOSTILE, *MORE]]
)
def test_every_method_is_sound(name: str, tmp_path: Path) -> None:
    """A number or the word that there is none, and why: no error, no warning, no NaN."""
    kind = list(KINDS)[[*HOSTILE, *MORE].index(name) % 3]
    study = opened(tmp_path, (HOSTILE | MORE)[name](table()), **KINDS[kind])
    for finding in asked(study):
        assert_sound(finding)
        for record in finding.rows(measure=MEASURES):
            assert record["estimate"] is None or -1 <= record["estimate"] <= 1
            if record["conf_low"] is not None:
                assert -1 <= record["conf_low"] <= record["conf_high"] <= 1


def test_every_method_gives_a_number_on_a_plain_table(tmp_path: Path) -> None:
    """On a table with nothing wrong every step and method has an estimate and an interval."""
    study = opened(tmp_path, table())
    first = cx.relate(study, "recommend", ["bill_errors"], method=METHODS)
    second = cx.relate(study, "satisfaction", ["wait_s"], method=METHODS)
    assert {r["measure"] for r in first.rows()} == MEASURES
    for record in [*first.rows(), *second.rows()]:
        assert record["conf_low"] is not None, record
    assert "2 to 11 whole-number answers" in second.sample  # an index and seconds are no scale of answers
    assert first.method.startswith("Pearson r, Spearman rho, Kendall tau-b (Fieller's interval where")
    assert "semi-partial r by jackknife, polychoric correlation by maximum likelihood, as if normal" in first.method


@pytest.mark.parametrize(
    "change", [lambda x: x * 1e-8, lambda x: x + 1e9, lambda x: -1e6 * x], ids=["small", "far", "turned"]
)
@pytest.mark.parametrize("sites", [True, False])
def test_units_change_no_correlation(change: Any, sites: bool, tmp_path: Path) -> None:
    """In other units, or counted from elsewhere, each step and method gives the same to nine digits."""
    plain = table().rename(columns={"wait_s": "revenue", "tenure_m": "margin"})  # money may be of any size and sign
    moved = plain.assign(revenue=change(plain.revenue), margin=change(plain.margin))
    turn = np.sign(change(2.0) - change(1.0))
    found = []
    for name, frame in (("plain", plain), ("moved", moved)):
        (tmp_path / name).mkdir()
        study = opened(tmp_path / name, frame.assign(recommend=frame.recommend.where(frame.index % 3 > 0)), sites=sites)
        finding = cx.relate(study, "recommend", "revenue", given=["margin"], method=METHODS[:4], steps=LADDER)
        found.append([r for r in finding.rows() if r["estimate"] is not None])
    assert [(r["model"], r["measure"]) for r in found[0]] == [(r["model"], r["measure"]) for r in found[1]]
    assert {"crude", "adjusted", "within_segment", "within_customer", "all_customers"} <= {r["model"] for r in found[0]}
    for before, after in zip(*found, strict=True):
        ends = sorted(turn * after[k] for k in ("conf_low", "conf_high"))
        got = [turn * after["estimate"], *ends]
        want = [before[k] for k in ("estimate", "conf_low", "conf_high")]
        if not (before["model"] == "all_customers" and turn < 0):  # its range is not one of estimate and error
            np.testing.assert_allclose(got, want, atol=1e-9, err_msg=str(before))


def test_three_customers_alone(tmp_path: Path) -> None:
    """With three rows each method has its number, and no interval that three rows cannot give."""
    frame = pd.DataFrame({"wait_s": [1.0, 2.0, 4.0], "revenue": [2.0, 1.0, 7.0]})
    study = study_of(tmp_path, panel=frame)
    study.min_cell = 0  # that so few are not shown is tested elsewhere
    finding = cx.relate(study, "revenue", "wait_s", steps=["crude"], method=["spearman", "kendall"])
    estimates = [r["estimate"] for r in finding.rows()]
    assert estimates == [pytest.approx(v) for v in (np.corrcoef(*frame.to_numpy().T)[0, 1], 0.5, 1 / 3)]
    assert [r["conf_low"] for r in finding.rows()] == [None] * 3


def test_one_site_has_no_interval(tmp_path: Path) -> None:
    """Where all rows are of one cluster, every method gives its estimate without an interval."""
    study = opened(tmp_path, table().assign(site_id="one"), stated=True)
    finding = cx.relate(study, "recommend", "bill_errors", steps=["crude", "adjusted"], method=METHODS)
    assert {r["measure"] for r in finding.rows()} == MEASURES
    assert all(r["estimate"] is not None and r["conf_low"] is None for r in finding.rows())
    assert "few-clusters" in {c.code for c in finding.caveats}


def test_perfect_order_has_no_interval(tmp_path: Path) -> None:
    """A tau of one has no interval of no width, and nothing held fixed leaves no semi-partial correlation."""
    frame = pd.DataFrame({"wait_s": np.arange(12.0), "revenue": np.arange(12.0) ** 2})
    finding = cx.relate(
        study_of(tmp_path, panel=frame), "revenue", "wait_s", given=[], method=["kendall", "semipartial"]
    )
    record = finding.one(model="crude", measure="tau")
    assert (record["estimate"], record["conf_low"]) == (1.0, None)
    assert record["p_value"] == pytest.approx(6.1e-6, rel=0.02)
    assert "No step 'semi-partial correlation': nothing is held fixed." in finding.sample


def test_a_method_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """The error names the methods there are."""
    with pytest.raises(UsageError, match="no method 'polyserial'; the methods are pearson, spearman, kendall"):
        cx.relate(opened(tmp_path, table()), "recommend", "bill_errors", method="polyserial")


def test_no_reversal_without_variation(tmp_path: Path) -> None:
    """Where nothing varies inside the segments, or over all, no sign can turn."""
    level = np.arange(CUSTOMERS) % 3
    names = np.array(["mass", "mid", "high"])[level]
    for values in (level * 1.0, np.ones(CUSTOMERS)):
        frame = pd.DataFrame({"wait_s": values, "revenue": values, "value_segment": names})
        finding = cx.relate(study_of(tmp_path, panel=frame), "revenue", "wait_s", by="value_segment", method=METHODS)
        assert_sound(finding)
        assert not {"reversed", "confounded"} & {c.code for c in finding.caveats}


def of_prices(folder: Path) -> cx.Study:
    """Fourteen customers; a discount and a constant tenure that say no more than the list price does, a margin no more than the wait."""
    dice = np.random.default_rng(1)
    wait = dice.normal(size=14) + 10
    panel = pd.DataFrame({"wait_s": wait, "revenue": wait / 2 + dice.normal(size=14) + 10, "tenure_m": 4.0})
    panel["list_price"] = wait + dice.normal(size=14)
    panel = panel.assign(discount=2 * panel.list_price + 1, margin=3 * wait + 7, region=list("ab") * 7)
    return study_of(folder, panel=panel)


@pytest.mark.parametrize("more", ["discount", "tenure_m", "list_price"], ids=["repeats", "constant", "twice"])
def test_a_control_that_says_nothing_more_costs_nothing(more: str, tmp_path: Path) -> None:
    """As lm of R, which leaves it out (NA) and keeps the degree of freedom: same numbers, p-values and intervals."""
    study = of_prices(tmp_path)
    every: dict[str, Any] = {"steps": ["adjusted"], "method": METHODS}
    alone = cx.relate(study, "revenue", "wait_s", given=["list_price"], **every).rows()
    assert alone[0]["p_value"] == pytest.approx(0.2626702, rel=1e-6)  # summary(lm(revenue ~ wait_s + list_price))
    for mine, theirs in zip(
        alone, cx.relate(study, "revenue", "wait_s", given=["list_price", more], **every).rows(), strict=True
    ):
        for key in ("estimate", "conf_low", "conf_high", "p_value"):
            assert theirs[key] == pytest.approx(mine[key], rel=1e-9), (mine["measure"], key)


def test_controls_that_add_up_to_others_are_dropped() -> None:
    """The partial correlation is that of the residuals of least squares, however rounding falls out."""
    for seed in range(100):
        dice = np.random.default_rng(seed)
        n = int(dice.integers(12, 300))
        held = dice.normal(size=(n, 2)) + dice.integers(0, 50, 2)
        held[:, 1] += held[:, 0]
        pair = dice.normal(size=(n, 2)) + held[:, :1]
        left = pair - pair.mean(0)
        left = left - (held - held.mean(0)) @ np.linalg.lstsq(held - held.mean(0), left, rcond=None)[0]
        columns = np.column_stack([pair, held, held @ dice.integers(1, 9, 2) * dice.random()])
        columns = (columns - columns[0]) / columns.std(0)
        covariance = columns.T @ columns / n - np.outer(columns.mean(0), columns.mean(0))
        assert partial(covariance, 0, 1, [2, 3, 4]) == pytest.approx(np.corrcoef(left.T)[0, 1], abs=1e-9), seed


@pytest.mark.parametrize("ends", [("revenue", "wait_s"), ("wait_s", "revenue")])
def test_what_is_held_fixed_may_leave_nothing_to_compare(ends: tuple[str, str], tmp_path: Path) -> None:
    """Of a term, or an outcome, that a control repeats nothing is left but rounding: no correlation, and the reason."""
    found = cx.relate(of_prices(tmp_path), *ends, given=["margin", "list_price"], steps=["adjusted"], method=METHODS)
    assert [r["estimate"] for r in found.rows()] == [None] * 4
    assert found.answer.startswith("Not estimable: what is held fixed says all that one of the two says")


def test_a_sentence_calls_crude_only_what_is_crude(tmp_path: Path) -> None:
    """Asked for another step alone, the answer names that step."""
    study = of_prices(tmp_path)
    usual = cx.relate(study, "revenue", "wait_s", given=["list_price"], steps=["adjusted"])
    assert usual.answer.endswith("r 0.34 (95 % interval −0.26 to 0.75, n = 14), same usage and price.")
    other = cx.relate(study, "revenue", "wait_s", given=["discount", "margin"], steps=["crude"])
    assert "crude r" in other.answer


def test_words_do_not_correlate(tmp_path: Path) -> None:
    """A term in words is refused by name, as one of the pair and as what is held fixed."""
    study = of_prices(tmp_path)
    for asked in ({"among": "region"}, {"among": "wait_s", "given": ["region"]}):
        with pytest.raises(UsageError, match="region is no number"):
            cx.relate(study, "revenue", **asked)


@pytest.mark.parametrize("sizes", [(40, 6, 5, 4, 3, 2), (10,) * 6], ids=["unequal", "equal"])
def test_few_clusters_are_told_with_the_degrees_of_freedom_that_are_used(
    sizes: tuple[int, ...], tmp_path: Path
) -> None:
    """The jackknife has Kish's effective number of sites less one, the sandwich sites less one, and the words say so."""
    dice, site = np.random.default_rng(3), np.repeat(np.arange(6), sizes)
    panel = pd.DataFrame(
        {"customer_id": np.arange(60).astype(str), "site_id": site.astype(str), "wait_s": dice.random(60)}
    )
    study = study_of(tmp_path, panel=panel.assign(revenue=dice.random(60) + panel.wait_s), levels=["customer", "site"])
    for found, df in (
        (cx.relate(study, "revenue", "wait_s", steps=["crude"]), 60**2 / sum(n * n for n in sizes) - 1),
        (cx.fit("revenue ~ wait_s", study).finding, 5.0),
    ):
        row = found.rows()[0]
        half = stats.t.ppf(0.975, max(df, 1)) * row["std_error"]
        if row["measure"] == "slope":
            assert row["conf_high"] - row["estimate"] == pytest.approx(half, rel=1e-9)
        assert row["df"] == pytest.approx(max(df, 1), rel=1e-9)
        (told,) = (c.text for c in found.caveats if c.code == "few-clusters")
        assert f"t with {max(df, 1):.3g} degrees of freedom" in told
        assert ("of unequal size" in told) == (df < 4.9)
