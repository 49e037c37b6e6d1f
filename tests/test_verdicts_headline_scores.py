"""The verdicts of the notebook `headline_scores` on the demo operator are those that the truth implies."""

from __future__ import annotations

from functools import cache

import pytest
from inprocess import shown

from cxresearch.claims import Verdict
from cxresearch.data.opening import ROOT
from cxresearch.data.simulation.known import known_truth
from cxresearch.finding import Finding

# Claim, part, row of truth.csv (population of those who answer), the verdict that it implies: .005 is far below .15, .59
# far above .25.
TRUTH = (
    ("S4.6", "few_hate", "score|recommend|0-3|answered|share", "supported"),
    ("S4.6", "few_love", "score|recommend|9-10|answered|share", "refuted"),
)


@cache
def values() -> tuple[object, ...]:
    return tuple(shown("headline_scores", data=str(ROOT / "data" / "demo.toml")))


@pytest.mark.parametrize(("claim", "part", "truth", "verdict"), TRUTH)
def test_verdicts_on_the_demo_operator(claim: str, part: str, truth: str, verdict: str) -> None:
    """Each verdict is the one that the truth implies, and the truth lies in its interval."""
    found = next(v for v in values() if isinstance(v, Verdict) and (v.claim, v.part) == (claim, part))
    true = float(known_truth("baseline").set_index("name").loc[truth, "value"])
    assert found.verdict == verdict
    assert found.conf_low is not None
    assert found.conf_high is not None
    assert found.conf_low < true < found.conf_high


@pytest.mark.parametrize("of", ["satisfaction", "recommend", "ces"])
def test_the_range_for_all_holds_the_score_of_all(of: str) -> None:
    """The score of all customers, 11 points below that of those who answered, lies in the range and outside the interval."""
    found = next(v for v in values() if isinstance(v, Finding) and v.name == f"score {of}")
    true = float(known_truth("baseline").set_index("name").loc[f"score|{of}|all_customers|score", "value"])
    everybody = found.one(measure="score", model="all_customers")
    assert everybody["conf_low"] < true < everybody["conf_high"]
    for row in found.rows(measure="score", model=["answered", "weighted"], group="all"):
        assert not row["conf_low"] < true < row["conf_high"]
