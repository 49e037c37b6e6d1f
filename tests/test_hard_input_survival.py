"""Survive on hard input: the right number, or the reason why there is none; never NaN, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of

import cxresearch as cx
from cxresearch.errors import UsageError
from cxresearch.finding import Finding


def customers(n: int = 200, seed: int = 1) -> pd.DataFrame:
    """One row a customer: tenure, leaving, a site, a flag, a number and a segment that mean nothing."""
    dice = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "site_id": [f"s{i % 25}" for i in range(n)],
            "tenure_m": dice.integers(1, 40, n),
            "churned": (dice.random(n) < 0.4).astype(int),
            "prepaid": (dice.random(n) < 0.4).astype(int),
            "revenue": dice.normal(30, 5, n),
            "needs_segment": np.where(dice.random(n) < 0.5, "a", "b"),
            "churn_type": "asked",
        }
    )


HARD: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nobody left": lambda f: f.assign(churned=0),
    "all left": lambda f: f.assign(churned=1),
    "one customer": lambda f: f.head(1),
    "three customers": lambda f: f.head(3),
    "all months equal": lambda f: f.assign(tenure_m=7),
    "no month at all": lambda f: f.assign(tenure_m=0),
    "leaving unknown": lambda f: f.assign(churned=np.nan),
    "tenure unknown": lambda f: f.assign(tenure_m=np.nan),
    "one site": lambda f: f.assign(site_id="s"),
    "two sites": lambda f: f.assign(site_id=np.where(f.index % 2, "s", "t")),
    "a level of nobody who left": lambda f: f.assign(churned=f.churned * f.prepaid),
    "one level": lambda f: f.assign(prepaid=1, needs_segment="a", revenue=30.0),
    "a small level": lambda f: f.assign(needs_segment=np.where(f.index < 4, "a", "b")),
    "tiny unit": lambda f: f.assign(revenue=f.revenue * 1e-8),
    "far off": lambda f: f.assign(revenue=f.revenue + 1e9),
    "cause unknown": lambda f: f.assign(churn_type=None).astype({"churn_type": "string"}),
}
ASKED: dict[str, Callable[..., Finding]] = {
    "all": cx.survive,
    "in strata": lambda s: cx.survive(s, by="prepaid", given=["needs_segment"]),
    "by segment from a landmark": lambda s: cx.survive(s, by="needs_segment", landmark=5, horizons=[3]),
    "by cause": lambda s: cx.survive(s, by="churn_type"),
    "ratios": lambda s: cx.survive(s, among=["prepaid", "revenue"], given=[]),
    "ratios by segment": lambda s: cx.survive(s, among="revenue", by="needs_segment"),
}


CLUSTERED = ("nobody left", "all left", "one site", "two sites", "a level of nobody who left")


@pytest.mark.parametrize(("hard", "level"), [*((h, "customer") for h in HARD), *((h, "site") for h in CLUSTERED)])
def test_nothing_breaks(tmp_path: Path, hard: str, level: str) -> None:
    """Every way to ask gives a sentence, finite numbers in order, and no row that rests on a few customers."""
    study = study_of(tmp_path, panel=HARD[hard](customers()), levels=[level])
    for asked in ASKED if level == "customer" else ("in strata", "by cause", "ratios"):
        found = ASKED[asked](study)
        told = f"{hard}, {asked}: {found.answer}"
        assert found.answer.endswith("."), told
        assert found.title, told
        assert "nan" not in found.answer, told
        for row in found.rows():
            assert row["n"] in (None, 0) or row["n"] >= 10, told
            if row["estimate"] is None:
                assert row["effect_label"], told
            elif row["conf_low"] is not None:
                assert row["conf_low"] <= row["estimate"], told
                assert row["conf_high"] is None or row["estimate"] <= row["conf_high"], told
        if not found.estimable:
            assert found.answer.startswith(("Not estimable", "For ")), told
        found._repr_mimebundle_()


def test_nobody_left(tmp_path: Path) -> None:
    """All stay, and how sure that is cannot be told: no interval of width zero."""
    row = cx.survive(study_of(tmp_path, panel=customers().assign(churned=0)), horizons=[12]).one(measure="survival")
    assert (row["estimate"], row["std_error"], row["conf_low"]) == (1.0, None, None)
    assert "no interval" in row["effect_label"]


def test_separated(tmp_path: Path) -> None:
    """A level of which nobody left has no hazard ratio; the other terms have theirs alone."""
    frame = HARD["a level of nobody who left"](customers(400))
    found = cx.survive(study_of(tmp_path, panel=frame), among=["prepaid", "revenue"], given=[])
    assert "separated" in [c.code for c in found.caveats]
    assert all(r["estimate"] is None for r in found.rows(term="prepaid", measure="hazard_ratio"))
    assert found.one(term="revenue", model="crude", measure="hazard_ratio")["estimate"] is not None


@pytest.mark.parametrize("left", [1.0, 0.5])
def test_a_term_that_orders_all_leavers(tmp_path: Path, left: float) -> None:
    """Where a number says who leaves before whom no hazard ratio exists; R's coxph runs out of iterations."""
    frame = pd.DataFrame({"tenure_m": np.arange(1.0, 201), "churned": (np.arange(200) % 2 < 2 * left) * 1.0})
    found = cx.survive(study_of(tmp_path, panel=frame.assign(revenue=-frame.tenure_m)), among="revenue", given=[])
    assert found.one(measure="hazard_ratio")["estimate"] is None
    assert "separated" in [c.code for c in found.caveats]


def test_a_small_level_is_left_out(tmp_path: Path) -> None:
    """Four customers of a segment are in no row, nor in the total that would give them away."""
    found = cx.survive(study_of(tmp_path, panel=HARD["a small level"](customers())), by="needs_segment")
    assert {r["group"] for r in found.rows()} == {"all", "needs_segment=b"}
    assert found.one(measure="median", group="all")["n"] == 196


def test_median_where_half_stay_to_the_end(tmp_path: Path) -> None:
    """Where a curve lies flat at a half to its end the median is the middle, as R: quantile(survfit(Surv(t, e) ~ g), .5)."""
    months = {"a": (12, 24), "b": (12, 36)}
    frame = pd.DataFrame(
        [(g, t, int(t == 12)) for g, two in months.items() for t in two for _ in range(20)],
        columns=["needs_segment", "tenure_m", "churned"],
    )
    found = cx.survive(study_of(tmp_path, panel=frame), by="needs_segment", horizons=[12])
    medians = found.rows(measure="median")
    assert [(r["estimate"], r["conf_low"], r["conf_high"]) for r in medians] == [(x, 12, None) for x in (24, 18, 24)]


@pytest.mark.parametrize(("scale", "shift"), [(1e-8, 0.0), (1.0, 1e9)])
def test_units_do_not_matter(tmp_path: Path, scale: float, shift: float) -> None:
    """Whether a number goes with leaving does not hang on its unit."""
    frame = customers(400)
    p_values = []
    for name, revenue in (("own", frame.revenue), ("other", frame.revenue * scale + shift)):
        (tmp_path / name).mkdir()
        study = study_of(tmp_path / name, panel=frame.assign(revenue=revenue))
        row = cx.survive(study, among="revenue", given=[]).one(measure="hazard_ratio")
        p_values.append(row["p_value"])
    assert p_values[0] == pytest.approx(p_values[1], rel=1e-5)


def test_few_sites(tmp_path: Path) -> None:
    """Two sites are two observations, and the finding says so."""
    found = cx.survive(study_of(tmp_path, panel=HARD["two sites"](customers()), levels=["site"]), by="prepaid")
    assert "few-clusters" in [c.code for c in found.caveats]
    assert found.one(measure="survival", group="all", unit="by month 12")["df"] == 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"by": "revenue"}, "levels, at most 12 make curves"),
        ({"among": "needs_segment"}, "split by it: survive"),
        ({"origin": "birth"}, "it is activation or window"),
        ({"horizons": [12, -3]}, "they are one or more numbers of months from 0 on"),
        ({"horizons": [float("nan")]}, "they are one or more numbers of months from 0 on"),
        ({"horizons": []}, "they are one or more numbers of months from 0 on"),
    ],
)
def test_refused(tmp_path: Path, asked: dict[str, Any], told: str) -> None:
    """What cannot be asked is refused with what can."""
    study = study_of(tmp_path, panel=customers())
    with pytest.raises(UsageError, match=told):
        cx.survive(study, **asked)


def test_one_row_a_customer_has_no_months_of_the_window(tmp_path: Path) -> None:
    """Months since first seen need monthly rows: the answer says so."""
    found = cx.survive(study_of(tmp_path, panel=customers()), origin="window")
    assert found.answer == "Not estimable: this study has no monthly rows of panel.churned."


def test_levels_of_which_as_many_stay_are_both_named(tmp_path: Path) -> None:
    """Where nobody has left by a month the sentence names each level once, with the customers of its own."""
    late = customers().assign(tenure_m=np.arange(1.0, 201), churned=lambda d: (d.tenure_m > 150) * 1)
    found = cx.survive(study_of(tmp_path, panel=late), by="needs_segment", horizons=[24])
    n = {r["group"][-1]: r["n"] for r in found.rows(measure="survival") if r["group"] != "all"}
    assert found.answer.endswith(f"1.000 (n = {n['a']}) at a, 1.000 (n = {n['b']}) at b.")


def test_nobody_left_of_any_site(tmp_path: Path) -> None:
    """Months stayed have no interval of width zero where every site stays to the end."""
    study = study_of(tmp_path, panel=customers().assign(churned=0), levels=["site"])
    found = cx.survive(study, by="prepaid", horizons=[12])
    assert [r["estimate"] for r in found.rows(measure="rmst")] == [12, 12, 12]
    for row in found.rows(measure=("rmst", "difference")):
        assert (row["std_error"], row["conf_low"], row["conf_high"]) == (None, None, None)


def test_a_level_of_few_sites_has_the_interval_of_those_sites(tmp_path: Path) -> None:
    """Share and months stayed of a segment that lives in four of forty sites are those of a table of these sites alone."""
    frame = customers(800).assign(site_id=lambda d: [f"s{i % 40}" for i in range(len(d))])
    frame["needs_segment"] = np.where(frame.site_id.isin(["s0", "s1", "s2", "s3"]), "a", "b")
    (tmp_path / "alone").mkdir()
    both = cx.survive(study_of(tmp_path, panel=frame, levels=["site"]), by="needs_segment", horizons=[12])
    four = study_of(tmp_path / "alone", panel=frame[frame.needs_segment == "a"], levels=["site"])
    alone = cx.survive(four, horizons=[12])
    for measure in ("survival", "rmst"):
        mine, own = both.one(measure=measure, group="needs_segment=a"), alone.one(measure=measure)
        assert own["df"] == 3
        for column in ("estimate", "std_error", "df", "conf_low", "conf_high", "n"):
            assert mine[column] == pytest.approx(own[column], rel=1e-9), column
    assert "Only 4 sites" in next(c.text for c in both.caveats if c.code == "few-clusters")
