"""Verdicts of the first chapter against what is true of the simulated operator."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from inprocess import shown

from cxresearch.claims import Verdict
from cxresearch.data.simulation.known import known_truth

# part: the name of its truth in truth.csv (the odds ratio of offers is planted), and the verdict that it implies
TRUTH = {
    "satisfaction": ("relate|satisfaction|availability|adjusted|r", "supported"),
    "retention": ("explain_churn|churned|satisfaction|adjusted|per_1000", "supported"),
    "sales": ("records|offer_accepted|resolved_first_contact|planted|odds_ratio", "supported"),
}


@cache
def judged(data: str) -> dict[str, Verdict]:
    """The verdicts of the chapter by part."""
    values = shown("quality_satisfaction_churn", data=data)
    return {value.part: value for value in values if isinstance(value, Verdict)}


@pytest.mark.parametrize("part", TRUTH)
def test_a_verdict_is_what_the_truth_implies(part: str) -> None:
    """On the demo operator each link of the claim lies in its region, and its interval holds the truth."""
    name, expected = TRUTH[part]
    truth = known_truth("baseline").set_index("name").loc[name, "value"]
    verdict = judged("data/demo.toml")[part]
    assert verdict.verdict == expected
    assert verdict.conf_low <= truth <= verdict.conf_high, verdict.sentence  # type: ignore[operator]


def test_every_part_is_judged(small_operator: Path) -> None:
    """The chapter judges the three links and no other claim."""
    assert {(value.claim, part) for part, value in judged(str(small_operator)).items()} == {("S1.1", p) for p in TRUTH}
