"""The verdicts of the notebook `measurement` on the demo operator are those that the planted truth implies."""

from __future__ import annotations

from functools import cache
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
from cxresearch.data.simulation import PRESETS
from cxresearch.data.simulation.items import BEHIND, LEAN
from cxresearch.evidence import held
from cxresearch.finding import Finding

DEMO = ROOT / "data" / "demo.toml"
# Claim, part, what is true of the operator, its error, the verdict that this implies. Numbers of factors are planted:
# items.py lets each answer measure one of so many latents. Correlations are those of all answers of an operator of 60,000
# customers and 13 months (seed 77, 90,000 answers), by numpy alone:
#   cx.simulate(folder, customers=60_000, months=13, seed=77); answers = study.frame([...]).dropna()
#   partial(a, b, given): np.corrcoef of the residuals of np.linalg.lstsq(given with a constant)
TRUTH = (
    ("S2.13", "five_factors", 5, 0, "supported"),
    ("S2.13", "reliability", 0.174, 0.003, "supported"),
    ("S2.13", "responsiveness", -0.358, 0.003, "supported"),
    ("S2.13", "assurance", 0.515, 0.003, "supported"),
    ("S0.2", "distinct", 0.165, 0.003, "supported"),
    ("S0.2", "adds", 0.143, 0.003, "supported"),
    ("S3.1", "four_factors", 4, 0, "supported"),
    ("S3.1", "adds", 0.133, 0.003, "supported"),
)


@cache
def judged(data: str) -> dict[tuple[str, str], Verdict]:
    """What the notebook judges of a study, by claim and part."""
    return {(v.claim, v.part): v for v in shown("measurement", data=data) if isinstance(v, Verdict)}


@pytest.mark.parametrize(("claim", "part", "true", "error", "verdict"), TRUTH)
def test_verdicts_on_the_demo_operator(claim: str, part: str, true: float, error: float, verdict: str) -> None:
    """Each verdict is the one that the truth implies, and the truth lies in the interval that it was judged by."""
    found = judged(str(DEMO))[claim, part]
    assert found.verdict == verdict, found.sentence
    assert found.conf_low is not None
    assert found.conf_high is not None
    assert found.conf_low - 3 * error <= true <= found.conf_high + 3 * error


def test_the_truth_is_what_was_planted() -> None:
    """What is judged as true rests on planted parameters: ties to operations, weights in satisfaction, four latents each."""
    p = PRESETS["baseline"]
    assert p.wait_responsiveness < 0 < p.fcr_assurance
    assert p.weight_empathy > 0
    assert [sum(name.startswith(scale) for name in BEHIND) for scale in ("cx_", "value_")] == [4, 4]
    assert LEAN**2 < 0.9


def test_the_demo_operator_is_held_in_memory() -> None:
    """The demo is small enough to be fetched once: a question then takes a third of the time."""
    assert cx.open_study(str(DEMO)).most_rows <= held.MOST_ROWS


# -- presets


def operator(folder: Path, preset: str, seed: int = 1, customers: int = 2_000) -> str:
    """The study file of a small operator of a preset."""
    cx.simulate(folder, preset=preset, customers=customers, months=13, seed=seed)
    return str(folder / "study.toml")


def test_nothing_is_supported_without_effects(tmp_path: Path) -> None:
    """On five operators without any path no tie to operations and nothing that a score adds is supported."""
    for seed in range(1, 6):
        found = judged(operator(tmp_path / str(seed), "null", seed))
        supported = {f"{claim} {part}" for (claim, part), v in found.items() if v.verdict == "supported"}
        assert supported <= {"S2.13 five_factors", "S0.2 distinct", "S3.1 four_factors"}
        for part in ("responsiveness", "assurance", "reliability"):
            assert found["S2.13", part].verdict in ("refuted", "undecided")


def test_a_lasting_halo_is_told(tmp_path: Path) -> None:
    """Where one liking colours all ratings the marker item says so, the share of it is higher, and empathy, which is planted as
    nothing, is not supported as something that adds."""
    data = {preset: operator(tmp_path / preset, preset, customers=3_000) for preset in ("baseline", "halo")}
    share, marker = {}, {}
    for preset, study in data.items():
        found = cx.factors(cx.open_study(study), method=["halo"])
        share[preset] = found.one(measure="share", term="one_factor")["estimate"]
        marker[preset] = found.one(measure="r", term="marker_item")["conf_low"]
    assert share["halo"] > share["baseline"] + 0.1
    assert marker["halo"] > marker["baseline"] + 0.1
    assert PRESETS["halo"].weight_empathy == 0
    assert judged(data["halo"])["S0.2", "adds"].verdict != "supported"


def test_a_mood_of_the_day_is_told(tmp_path: Path) -> None:
    """Where a mood colours a questionnaire the marker item goes with its answers; the number of factors stays."""
    values = shown("measurement", data=operator(tmp_path, "occasion_halo"))
    full = next(v for v in values if isinstance(v, Finding) and v.rows(measure="r", term="marker_item"))
    assert full.one(measure="r", term="marker_item")["conf_low"] > 0.35
    assert next(v for v in values if isinstance(v, Verdict) and v.part == "five_factors").verdict == "supported"
    adds = next(v for v in values if isinstance(v, Finding) and v.name.startswith("relate satisfaction"))
    assert "halo" in {caveat.code for caveat in adds.caveats}


# -- questionnaires that do not measure what they name


def answers(n: int, factors: int, seed: int = 3, noise: float = 0.6) -> dict[str, Any]:
    """Twelve answers about experience that measure so many things."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n, factors))
    stems = [f"cx_{stem}_{i}" for stem in ("emp", "eas", "rel", "orc") for i in (1, 2, 3)]
    return {
        stem: np.clip(np.rint(4 + 1.2 * (latent[:, (k // 3) % factors] + noise * rng.standard_normal(n))), 1, 7)
        for k, stem in enumerate(stems)
    }


def test_one_thing_asked_four_times_is_not_four(tmp_path: Path) -> None:
    """Of answers that all measure one thing HTMT is one: the claim of distinct dimensions is refuted or undecided, one factor is found."""
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(3000)], "period": "2026-10"} | answers(3000, 1))
    study = study_of(tmp_path, surveys=frame)
    names = ["cx_empathy", "cx_ease", "cx_relevance", "cx_orchestration"]
    found = cx.factors(study, {"cx": names}, method=["number", "distinct"])
    assert found.one(measure="factors", outcome="cx")["estimate"] == 1
    assert cx.judge("S0.2", found, part="distinct", outcome="cx", model="closest").verdict == "refuted"
    assert "1 factor behind 4 scores" in found.answer
    assert "told apart" in found.answer


def test_the_pair_told_apart_least_decides(tmp_path: Path) -> None:
    """Where two of four measure one thing, the row `closest` names them, with the interval of that pair."""
    frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(2000)], "period": "2026-10"} | answers(2000, 3))
    found = cx.factors(
        study_of(tmp_path, surveys=frame),
        {"cx": ["cx_empathy", "cx_ease", "cx_relevance", "cx_orchestration"], "value": ["value_product"]},
        method=["number", "distinct"],
    )
    closest = found.one(measure="htmt", outcome="cx", model="closest")
    pair = found.one(measure="htmt", model="crude", outcome="cx_empathy", term="cx_orchestration")
    assert closest["term"] == "cx_empathy+cx_orchestration"
    assert [closest[k] for k in ("estimate", "conf_low", "conf_high")] == [
        pair[k] for k in ("estimate", "conf_low", "conf_high")
    ]
    verdict = cx.judge("S3.1", found, part="four_factors", outcome="value")
    assert (verdict.verdict, verdict.reason) == ("not_estimable", "this study has no surveys.value_product")
