"""Importance, blocks and models on hard input: the right number or a doubt with what to do, never NaN or a traceback."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of

import cxresearch as cx
from cxresearch.errors import UsageError
from cxresearch.evidence import shares
from cxresearch.evidence.block_split import disattenuated_parts
from cxresearch.finding import Finding

ROWS = 240
X = ("revenue", "margin", "wait_s")
BLOCKS = {"money": ["revenue", "margin"], "care": ["wait_s"]}


def frame(rows: int = ROWS, seed: int = 4) -> pd.DataFrame:
    """Customers whose list price goes with three terms; some left."""
    dice = np.random.default_rng(seed)
    common = dice.normal(size=rows)
    x = {name: dice.normal(size=rows) + 0.6 * common for name in X}
    price = 20 + x["revenue"] + 0.5 * x["margin"] + dice.normal(size=rows)
    left = (dice.random(rows) < 1 / (1 + np.exp(1 - x["revenue"]))).astype(float)
    return pd.DataFrame(
        {
            **x,
            "wait_s": 100 + 10 * x["wait_s"],
            "list_price": price,
            "transfers": dice.poisson(1.0, rows),
            "churned": left,
        }
    )


ASK: dict[str, Callable[[cx.Study], Finding]] = {
    **{m: lambda s, m=m: cx.rank_drivers(s, "list_price", X, method=m) for m in ("lmg", "johnson", "dominance")},
    "performance": lambda s: cx.rank_drivers(s, "list_price", X, method="performance"),
    "penalty_reward": lambda s: cx.rank_drivers(s, "list_price", X, method="penalty_reward"),
    "leaving": lambda s: cx.rank_drivers(s, "churned", X),
    "blocks": lambda s: cx.block_shares(s, "list_price", BLOCKS),
    "blocks of leaving": lambda s: cx.block_shares(s, "churned", BLOCKS),
    "linear": lambda s: cx.fit(f"list_price ~ {' + '.join(X)}", s).finding,
    "ordinal": lambda s: cx.fit(f"transfers ~ {' + '.join(X)}", s, method="ordinal").finding,
}
HARD: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "three rows": lambda f: f.head(3),
    "ten rows": lambda f: f.head(10),
    "all missing": lambda f: f.assign(revenue=np.nan),
    "outcome of one value": lambda f: f.assign(list_price=7.0, churned=0.0, transfers=1),
    "a term without variance": lambda f: f.assign(margin=0.3),
    "two terms that say the same": lambda f: f.assign(margin=f.revenue),
    "terms of one value each": lambda f: f.assign(revenue=1.0, margin=2.0, wait_s=3.0),
    "one site": lambda f: f.assign(site_id="one"),
    "two sites": lambda f: f.assign(site_id=np.where(f.index % 2, "a", "b")),
    "noise": lambda f: f.assign(list_price=np.random.default_rng(0).normal(9, 1, len(f))),
}


def assert_sound(finding: Finding) -> None:
    """An answer, nothing that is not finite, and words without a number that is none."""
    said = " ".join([finding.answer, finding.title, finding.method, finding.sample, *(c.text for c in finding.caveats)])
    assert finding.answer
    assert not re.search(r"\b(nan|NaN|None|inf)\b", said), said
    for record in finding.rows():
        assert (
            record["estimate"] is not None
            or record["effect_label"]
            or record["measure"] in ("r2", "vif", "r2_difference", "rate")
        )
    assert "<strong>" in finding._html()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], cx.Study]:
    """The study of a hard table, opened when first asked for."""

    @cache
    def of(table: str) -> cx.Study:
        made = HARD[table](frame())
        levels = ["customer", "site"] if "site_id" in made else ["customer"]
        return study_of(tmp_path_factory.mktemp("hard"), panel=made, levels=levels)

    return of


@pytest.mark.parametrize("table", HARD)
@pytest.mark.parametrize("name", ASK)
def test_hard_input(name: str, table: str, opened: Callable[[str], cx.Study]) -> None:
    """Every question answers in words on every hard table."""
    finding = ASK[name](opened(table))
    assert_sound(finding)
    # a block keeps what it has: without its one column that is missing it is still a block
    if table in ("three rows", "terms of one value each") or (table == "all missing" and "blocks" not in name):
        assert not [r for r in finding.rows(measure=["share", "slope", "odds_ratio"]) if r["estimate"] is not None]


@pytest.mark.parametrize("name", ["lmg", "johnson", "penalty_reward", "leaving", "blocks", "ordinal", "performance"])
def test_units_do_not_matter(name: str, tmp_path: Path) -> None:
    """Columns times 1e-8, or counted from a billion away, have the same shares, and slopes in their own units."""
    plain = frame()
    moved = plain.assign(revenue=plain.revenue * 1e-8, margin=plain.margin + 1e9)
    found = []
    for folder, made in (("plain", plain), ("moved", moved)):
        (tmp_path / folder).mkdir()
        rows = ASK[name](study_of(tmp_path / folder, panel=made)).rows(
            measure=["share", "r2", "difference", "odds_ratio", "score"]
        )
        # an odds ratio for a whole unit of the shrunken term is beyond all numbers
        found.append([r["estimate"] for r in rows if name != "ordinal" or r["term"] != "revenue"])
    per = [1e8 if name == "penalty_reward" and i == 0 else 1.0 for i in range(len(found[0]))]
    np.testing.assert_allclose(np.array(found[1]) / per, found[0], rtol=2e-6)


def test_terms_that_say_the_same_share_evenly_and_are_told(tmp_path: Path) -> None:
    """Two copies of a term have equal shares, none has a variance inflation, and a doubt says what to do."""
    finding = ASK["lmg"](study_of(tmp_path, panel=frame().assign(margin=lambda f: f.revenue)))
    first, second = (finding.one(measure="share", term=t)["estimate"] for t in ("revenue", "margin"))
    assert first == pytest.approx(second, rel=1e-9)
    assert finding.one(measure="vif", term="margin")["effect_label"] == "repeats other terms"
    text = next(c.text for c in finding.caveats if c.code == "collinear")
    assert "block_shares" in text


@pytest.mark.parametrize("name", ["lmg", "blocks", "leaving", "blocks of leaving", "penalty_reward"])
def test_one_site_has_no_interval(name: str, opened: Callable[[str], cx.Study]) -> None:
    """All rows of one site: estimates stand, no interval does, not even as a range of assumptions."""
    finding = ASK[name](opened("one site"))
    assert finding.estimable
    assert all(r["conf_low"] is None for r in finding.rows())


def test_separation_is_told(tmp_path: Path) -> None:
    """Where a term foretells leaving without error its share stands without an interval, and a doubt says so."""
    made = frame().assign(margin=lambda f: f.churned * 3 + np.arange(ROWS) % 2)
    finding = ASK["leaving"](study_of(tmp_path, panel=made))
    record = finding.one(measure="share", term="margin")
    assert record["estimate"] > 0.5
    assert record["conf_low"] is None
    assert "separated" in {c.code for c in finding.caveats}


def test_a_term_without_variance_has_no_share(tmp_path: Path) -> None:
    """A constant explains nothing in any order; the shares of the others are those without it."""
    with_it = ASK["lmg"](study_of(tmp_path, panel=frame().assign(margin=0.3)))
    assert with_it.one(measure="share", term="margin")["estimate"] == pytest.approx(0, abs=1e-15)
    without = cx.rank_drivers(study_of(tmp_path, panel=frame()), "list_price", ["revenue", "wait_s"])
    for term in ("revenue", "wait_s"):
        one, other = (f.one(measure="share", term=term)["estimate"] for f in (with_it, without))
        assert one == pytest.approx(other, rel=1e-10)


@pytest.mark.parametrize("name", ["lmg", "blocks"])
def test_noise_is_not_shared_out(name: str, tmp_path: Path) -> None:
    """An outcome that goes with nothing has no shares, and the answer says so."""
    finding = ASK[name](study_of(tmp_path, panel=HARD["noise"](frame())))
    assert finding.title == "Too little to share out"
    assert not [r for r in finding.rows(measure=["share", "rank"]) if r["estimate"] is not None]


@pytest.mark.parametrize(
    "ask, told",
    [
        (lambda s: cx.rank_drivers(s, "list_price", {"a": ["margin"]}), "block_shares"),
        (lambda s: cx.rank_drivers(s, "list_price", X, method="shaply"), "lmg, johnson"),
        (lambda s: cx.rank_drivers(s, "churned", X, method="johnson"), "lmg, first"),
        (lambda s: cx.block_shares(s, "list_price", {"a": ["margin"], "b": ["margin"]}), "stands twice"),
        (lambda s: cx.block_shares(s, "list_price", BLOCKS, reliability={"money": 1.2}), "at most at 1"),
        (lambda s: cx.block_shares(s, "list_price", BLOCKS, reliability={"many": 0.8}), "no block"),
        (lambda s: cx.rank_drivers(s, "list_price", ["margin", "value_segment"]), "no number"),
        (lambda s: cx.block_shares(s, "list_price", BLOCKS, reliability={"money": 0.0}), "lies above 0"),
        (lambda s: cx.fit("list_price ~ margin", s, method="probit"), "linear, logistic, ordinal"),
    ],
)
def test_what_cannot_be_asked_is_refused(ask: Callable[[cx.Study], Any], told: str, tmp_path: Path) -> None:
    """A question that does not fit is refused in one line that names what would."""
    with pytest.raises(UsageError, match=told):
        ask(study_of(tmp_path, panel=frame().assign(value_segment="mid")))


def test_an_outcome_of_many_values_is_not_ordinal(tmp_path: Path) -> None:
    """An ordinal or logistic model of a measured outcome is not estimable and names the method that is."""
    study = study_of(tmp_path, panel=frame())
    for method in ("ordinal", "logistic"):
        made = cx.fit("list_price ~ margin", study, method=method)
        assert made.result is None
        assert "method='linear'" in made.finding.answer


def test_more_terms_than_can_be_ordered(tmp_path: Path) -> None:
    """Seventeen terms are refused at once, naming what ranks them; sixteen take under a second."""
    names = [
        "revenue",
        "margin",
        "wait_s",
        "latency_ms",
        "outage_min",
        "list_price",
        "discount",
        "order_days",
        "transfers",
        "bill_errors",
        "care_contacts",
        "usage_calls",
        "usage_data_gb",
        "handset_age_m",
        "tickets_open",
        "services_held",
        "call_failures",
        "usage_voice_min",
    ]
    dice = np.random.default_rng(3)
    values = dice.normal(size=(90, len(names))) + dice.normal(size=(90, 1))
    study = study_of(tmp_path, panel=pd.DataFrame(10 + values, columns=names))
    with pytest.raises(UsageError, match="johnson"):
        cx.rank_drivers(study, names[0], names[1:])
    finding = cx.rank_drivers(study, names[0], names[1:], method="johnson")
    assert sum(r["estimate"] for r in finding.rows(measure="share")) == pytest.approx(1)
    covariance = np.cov(values.T)
    start = time.process_time()
    parts = shares.METHODS["lmg"](covariance, 0, [[i] for i in range(1, 17)])
    assert time.process_time() - start < 1
    assert parts.sum() == pytest.approx(float(shares.explained(covariance, 0, range(1, 17))), rel=1e-12)


def test_attenuation_is_undone() -> None:
    """Terms measured with known errors have the shares that the true terms have, and impossible reliabilities none."""
    dice = np.random.default_rng(8)
    n, reliability = 200_000, np.array([0.6, 0.9])
    true = dice.normal(size=(n, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
    y = true @ [1.0, 1.0] + dice.normal(size=n)
    seen = true + dice.normal(size=(n, 2)) * np.sqrt(true.var(0) * (1 / reliability - 1))
    players = [[1], [2]]
    want = shares.METHODS["lmg"](np.cov(np.column_stack([y, true]).T), 0, players)
    got = disattenuated_parts(np.cov(np.column_stack([y, seen]).T), players, reliability)
    np.testing.assert_allclose(got, want, atol=0.01)
    assert np.isnan(disattenuated_parts(np.cov(np.column_stack([y, true]).T), players, np.array([0.1, 0.1]))).all()
