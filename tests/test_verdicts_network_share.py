"""The verdicts of the chapter on the network's share are those that the truth of the simulated operators implies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from inprocess import shown
from small_study import study_of

import cxresearch as cx
from cxresearch.claims import Verdict
from cxresearch.data.opening import ROOT
from cxresearch.errors import UsageError
from cxresearch.evidence import composite
from cxresearch.finding import Finding, interval_at
from cxresearch.table import row

NAME = "network_share"
# Population values, apart from the verbs: four operators of 60,000 customers (seeds 100 to 103), the answers of their
# last 12 months, about 92,600 each; in parentheses the standard error over the four.
#   op = generate(PRESETS["baseline"], seed, 60_000, 24, default_sites(60_000), "2026-10")
#   rows = truth.Rows(op, last_12_months & op.answered); c = np.corrcoef(satisfaction, *columns of truth.BLOCKS)
#   share: R² from np.linalg.solve on c in each of the six orders, averaged; over reliabilities: c within a block times
#   0.6, 0.7 … 1.0, own against all others'; index: mean of z * weight of its block / columns * better, np.corrcoef;
#   through: 1 - slope given the indicator of service / slope, np.linalg.lstsq with truth.GIVEN held;
#   pillars: items.more_answers(rng, rows.answers), np.linalg.lstsq with the minimum, or with the six products.
# They agree with truth.csv where that has them: network .5545 and .563 (.006), end to end .0804 and .0795 (.0013).
DEMO = [
    # over the reliabilities .44 to .68 (.006): outside the region, but by less than the demo's interval is wide
    ("S2.1", "network", "0.44 to 0.68", "undecided"),
    # over the reliabilities .33 to .59 (.006): across the edge of the region, so no number of customers decides it
    ("S2.1", "remainder", "0.33 to 0.59", "undecided"),
    ("S2.2", "gain", "0.0804 (0.0005), truth.csv", "supported"),
    # planted: dropped calls act on perception only as failed calls, so all goes through; linear 1.10 (.04)
    ("S2.8", "calls", "1.10 (0.04)", "supported"),
    # planted: coverage acts by itself (.32 a standard deviation) and through throughput; linear .093 (.004)
    ("S2.8", "coverage", "0.093 (0.004)", "refuted"),
    ("S2.16", "validity", "0.054 (0.001)", "supported"),
    # of the stated reliabilities .6 to 1: .606 (.0001) to 1
    ("S2.16", "reliability", "0.61 to 1", "undecided"),
    ("S2.16", "targets", "no table of services", "not_estimable"),
    ("S4.1", "weakest", "0.0001 (0.00003)", "refuted"),
    ("S4.1", "pairs", "0.0051 (0.0002)", "refuted"),
    # over the reliabilities .155 to .342 (.003)
    ("S4.2", "care", "0.16 to 0.34", "supported"),
]


def verdicts(data: Path | str, **given: Any) -> dict[tuple[str, str], Verdict]:
    """The verdicts that the chapter shows of a study, by claim and part."""
    return {(v.claim, v.part): v for v in shown(NAME, data=str(data), **given) if isinstance(v, Verdict)}


def operator(folder: Path, preset: str, customers: int = 2000, seed: int = 1) -> Path:
    """The study file of a simulated operator of this preset."""
    cx.simulate(folder, preset=preset, customers=customers, seed=seed)
    return folder / "study.toml"


@pytest.fixture(scope="module")
def of_demo() -> dict[tuple[str, str], Verdict]:
    """The verdicts on the demo operator."""
    return verdicts(ROOT / "data" / "demo.toml")


@pytest.mark.parametrize("claim, part, truth, expected", DEMO)
def test_the_demo_operator(
    claim: str, part: str, truth: str, expected: str, of_demo: dict[tuple[str, str], Verdict]
) -> None:
    """Each part has the verdict that its true value implies."""
    assert of_demo[claim, part].verdict == expected, (truth, of_demo[claim, part].sentence)


def test_every_part_stands_in_the_table(of_demo: dict[tuple[str, str], Verdict]) -> None:
    """No part is judged whose truth is not stated here."""
    assert set(of_demo) == {(claim, part) for claim, part, *_ in DEMO}


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_nothing_is_supported_where_nothing_is_true(seed: int, tmp_path: Path) -> None:
    """Without structural paths no claim is supported, and a split of next to nothing is not told."""
    found = verdicts(operator(tmp_path, "null", seed=seed))
    assert [key for key, verdict in found.items() if verdict.verdict == "supported"] == []
    split = (("S2.1", "network"), ("S2.1", "remainder"), ("S4.2", "care"))
    assert [found[key].verdict for key in split] == ["not_estimable"] * 3
    assert [found["S2.8", part].verdict for part in ("calls", "coverage")] == ["not_estimable"] * 2


def test_a_share_that_hangs_on_measurement_alone(tmp_path: Path) -> None:
    """Operations recorded with error give their part away: no share is told apart from the premise, and it says so."""
    data = str(operator(tmp_path, "weak_split", customers=3000))
    values = shown(NAME, data=data)
    found = {(v.claim, v.part): v for v in values if isinstance(v, Verdict)}
    assert found["S2.1", "network"].verdict == found["S2.1", "remainder"].verdict == "undecided"
    split = next(v for v in values if isinstance(v, Finding))
    assert "weak-split" in {caveat.code for caveat in split.caveats}
    plain, wide = (split.one(measure="share", model=m, term="network") for m in ("blocks", "range"))
    assert wide["conf_high"] - wide["conf_low"] > plain["conf_high"] - plain["conf_low"]


def test_columns_that_are_nearly_one(tmp_path: Path) -> None:
    """Two columns of a block that say the same change nothing of the shares of blocks."""
    found = verdicts(operator(tmp_path, "collinear", customers=3000))
    assert {found["S2.2", "gain"].verdict, found["S4.2", "care"].verdict} == {"supported"}
    assert found["S2.1", "network"].verdict in ("undecided", "refuted")


def test_claims_about_satisfaction_are_judged_by_nothing_else(small_operator: Path) -> None:
    """A split of another outcome judges no claim that speaks of satisfaction."""
    found = verdicts(small_operator, outcome="recommend")
    assert {verdict.verdict for verdict in found.values()} == {"not_estimable"}


# -- what the chapter asks, on tables whose numbers are known otherwise


def table(n: int = 400) -> pd.DataFrame:
    """Three blocks of service and satisfaction, every row a customer."""
    dice = np.random.default_rng(5)
    x = dice.normal(size=(n, 4)) @ (np.eye(4) + 0.3)
    y = 60 + x @ [0.5, 0.3, 0.4, 0.3] + dice.normal(size=n)
    frame = pd.DataFrame(30 + x * list(TURNED.values()), columns=list(TURNED))
    return frame.assign(customer_id=[f"c{i}" for i in range(n)], period="2026-10", list_price=y)


TURNED = {"throughput_mbps": 1, "latency_ms": -1, "order_days": -1, "wait_s": -1}  # which end is better
BLOCKS = {"network": ["throughput_mbps", "latency_ms"], "design": ["order_days"], "operations": ["wait_s"]}
WEIGHTS = {"network": 0.6, "design": 0.3, "operations": 0.1}


def test_an_index_is_a_weighted_sum_of_standard_scores(tmp_path: Path) -> None:
    """What the index tells, and by how much more than its best column, is what NumPy says of the sum itself."""
    frame = table()
    finding = cx.block_shares(study_of(tmp_path, panel=frame), "list_price", BLOCKS, index=WEIGHTS)
    z = frame[list(TURNED)].apply(lambda c: (c - c.mean()) / c.std()) * list(TURNED.values())
    r = np.corrcoef(z @ [0.3, 0.3, 0.3, 0.1], frame["list_price"])[0, 1]
    best = max(np.corrcoef(z[c], frame["list_price"])[0, 1] ** 2 for c in z)
    assert finding.one(model="index", measure="r2")["estimate"] == pytest.approx(r**2, rel=1e-9)
    gain = finding.one(model="index", measure="r2_difference")
    assert gain["estimate"] == pytest.approx(r**2 - best, rel=1e-9)
    assert gain["effect_label"] == f"best single column: {z.corrwith(frame['list_price']).idxmax()}"


def test_the_reliability_of_an_index() -> None:
    """Blocks that do not go together: errors add up, each by its squared weight (Mosier), which is seen in parallel forms."""
    dice, known = np.random.default_rng(1), np.array([0.5, 0.8])
    true = dice.normal(size=(200_000, 2)) * np.sqrt(known)
    forms = [(true + dice.normal(size=true.shape) * np.sqrt(1 - known)) @ [0.7, 0.3] for _ in range(2)]
    found = composite.composite_reliability(np.eye(3)[None], np.array([0.7, 0.3]), (1, 1), known)
    assert found[0] == pytest.approx(1 - (0.49 * 0.5 + 0.09 * 0.2) / 0.58, rel=1e-12)
    assert found[0] == pytest.approx(np.corrcoef(*forms)[0, 1], abs=0.006)  # three standard errors


@pytest.mark.parametrize(
    "of, index, text",
    [
        ("list_price", {"network": 1.0}, "weighs every block"),
        ("list_price", WEIGHTS | {"design": -1.0}, "at least 0"),
        ("list_price", dict.fromkeys(WEIGHTS, 0.0), "not all are 0"),
    ],
)
def test_an_index_that_cannot_be_made(of: str, index: dict[str, float], text: str, tmp_path: Path) -> None:
    """Weights name every block and none is below zero."""
    with pytest.raises(UsageError, match=text):
        cx.block_shares(study_of(tmp_path, panel=table(50)), of, BLOCKS, index=index)


def test_the_remainder_runs_over_reliabilities_too(tmp_path: Path) -> None:
    """Known without error the remainder is as measured; a block that may hold error has a wider share of it."""
    study = study_of(tmp_path, panel=table())
    sure = cx.block_shares(study, "list_price", BLOCKS, reliability=dict.fromkeys(BLOCKS, 1.0))
    plain, same = (sure.one(term="design", model=m) for m in ("remainder", "remainder_range"))
    assert [plain[k] for k in ("estimate", "conf_low")] == pytest.approx([same[k] for k in ("estimate", "conf_low")])
    free = cx.block_shares(study, "list_price", BLOCKS)
    wide = free.one(term="design", model="remainder_range")
    assert wide["conf_low"] < plain["conf_low"] < plain["conf_high"] < wide["conf_high"]
    whole = free.one(term="network", measure="share", model="range")
    for name in BLOCKS:
        part = free.one(term="network", model="one_reliability", group=f"reliability={name}")
        assert whole["conf_low"] <= part["conf_low"] < part["conf_high"] <= whole["conf_high"]


def pillars(n: int = 3000) -> pd.DataFrame:
    """Four pillars on their scale, with perceived quality following the weakest of them and loyalty their sum."""
    dice = np.random.default_rng(8)
    p = np.clip(np.rint(4 + 1.3 * dice.normal(size=(n, 4))), 1, 7)
    frame = pd.DataFrame(p, columns=[f"pillar_{i}" for i in range(1, 5)])
    noise = dice.normal(size=n)
    frame = frame.assign(customer_id=[f"c{i}" for i in range(n)], period="2026-10")
    return frame.assign(perceived_quality=50 + p.min(axis=1) + noise, loyalty=50 + 5 * p.mean(axis=1) + noise)


def test_the_weakest_link_is_found(tmp_path: Path) -> None:
    """Where the weakest pillar counts it adds to their sum, by what statsmodels says, and where the sum counts nothing does."""
    import statsmodels.api as sm

    frame = pillars()
    study, names = study_of(tmp_path, surveys=frame), [f"pillar_{i}" for i in range(1, 5)]
    found = cx.rank_drivers(study, "perceived_quality", names, method="weakest_link")
    p = frame[names]
    pairs = [p[a] * p[b] for i, a in enumerate(names) for b in names[i + 1 :]]
    designs = {
        "weakest": [p, p.min(axis=1)],
        "pairs": [p, *pairs],
        "weakest_alone": [p.min(axis=1)],
    }
    added = sm.OLS(frame["perceived_quality"], sm.add_constant(p)).fit().rsquared_adj
    assert found.one(model="additive")["estimate"] == pytest.approx(added, rel=1e-9)
    for model, parts in designs.items():
        want = (
            sm.OLS(frame["perceived_quality"], sm.add_constant(pd.concat(parts, axis=1).to_numpy())).fit().rsquared_adj
            - added
        )
        assert found.one(model=model)["estimate"] == pytest.approx(want, rel=1e-8), model
    assert found.one(model="weakest")["conf_low"] > 0.05
    of_sum = cx.rank_drivers(study, "loyalty", names, method="weakest_link")
    assert max(of_sum.one(model=m)["conf_high"] for m in ("weakest", "pairs")) < 0.001


def test_the_lowest_of_different_scales_is_nothing(tmp_path: Path) -> None:
    """Minutes and shares have no lowest."""
    with pytest.raises(UsageError, match="one scale"):
        cx.rank_drivers(
            study_of(tmp_path, panel=table(50)), "list_price", ["throughput_mbps", "wait_s"], method="weakest_link"
        )


def test_only_the_sampling_error_of_a_range_grows_with_the_level() -> None:
    """What may be assumed is the same at every level; a share never leaves nothing to all."""
    numbers: dict[str, Any] = {
        "outcome": "satisfaction",
        "measure": "share",
        "estimate": 0.5,
        "std_error": 0.01,
        "conf_low": 0.3,
        "conf_high": 0.7,
    }
    low, high = interval_at(row(model="range", **numbers), 0.99) or (0, 0)
    # 2.5758 - 1.9600 errors of .04 on the logit, around the ends
    assert [np.log(x / (1 - x)) for x in (low, high)] == pytest.approx(
        [np.log(3 / 7) - 0.02463, np.log(7 / 3) + 0.02463], abs=1e-4
    )
    plain = interval_at(row(model="blocks", **numbers), 0.99) or (0, 0)
    assert plain[0] < low
    at_end = interval_at(row(model="index_range", **numbers | {"conf_high": 1.0}), 0.99) or (0, 0)
    assert at_end == pytest.approx((0.3 - 0.00616, 1.0), abs=1e-4)
