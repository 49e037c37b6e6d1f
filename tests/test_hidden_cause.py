"""How strong a hidden cause would have to be: published examples, and what is said of the rows of a finding."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cxresearch.evidence.lab.hidden_cause import partial_r2, robustness, robustness_value
from cxresearch.table import row


def told(measure: str, estimate: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    """What is said of a row with this interval."""
    how = {k: more.pop(k) for k in ("partial_r", "base") if k in more}
    record = row(outcome="churned", measure=measure, estimate=estimate, conf_low=low, conf_high=high, n=1000, **more)
    (made,) = robustness(record, **how)
    return made


def test_published_e_value() -> None:
    """Respiratory deaths and breast feeding: RR 3.9 (1.8 to 8.7) gives 7.26 and 3.0 (VanderWeele & Ding 2017, page 270)."""
    made = told("hazard_ratio", 3.9, 1.8, 8.7, events=20)  # rare: a hazard ratio is a risk ratio
    assert made["measure"] == "e_value"
    assert [made["estimate"], made["effect"]] == [pytest.approx(7.26, abs=0.005), pytest.approx(3.0, abs=0.005)]


def test_published_robustness_value() -> None:
    """Darfur: t of 4.18 on 783 gives partial R² .022, robustness values .139 and .076 (Cinelli & Hazlett 2020, table 1)."""
    t, df = 0.09731582 / 0.02325654, 783
    f, beyond = t / math.sqrt(df), 1.963 / math.sqrt(df - 1)
    assert partial_r2(t, df) == pytest.approx(0.0219, abs=5e-5)
    assert [robustness_value(f), robustness_value(f, beyond)] == [
        pytest.approx(0.1388, abs=5e-5),
        pytest.approx(0.0763, abs=1e-4),
    ]


def test_what_holds_nothing_needs_nothing() -> None:
    """An interval that holds no association needs no hidden cause: an E-value of 1, a robustness value of 0."""
    assert told("odds_ratio", 1.3, 0.9, 1.9, events=20)["effect"] == 1
    assert told("effect_size", 0.2, -0.1, 0.5)["effect"] == 1
    assert told("per_1000", 5.0, -1.0, 11.0, base=0.02)["effect"] == 1
    assert told("slope", 0.2, -0.1, 0.5, partial_r=0.1)["effect"] == 0
    assert told("r", 0.2, -0.1, 0.5)["effect"] == 0


def test_direction_does_not_matter() -> None:
    """A ratio and its inverse, a slope and its negative, ask the same of a hidden cause."""
    up, down = told("odds_ratio", 2.0, 1.25, 3.2, events=500), told("odds_ratio", 0.5, 0.3125, 0.8, events=500)
    assert [up["estimate"], up["effect"]] == pytest.approx([down["estimate"], down["effect"]])
    up, down = told("slope", 2.0, 1.0, 3.0, partial_r=0.3), told("slope", -2.0, -3.0, -1.0, partial_r=-0.3)
    assert [up["estimate"], up["effect"]] == pytest.approx([down["estimate"], down["effect"]])


def test_share_of_leavers_is_taken_to_a_ratio() -> None:
    """20 more leavers per 1,000 where 20 leave are twice as many: an E-value of 2 + sqrt(2)."""
    assert told("per_1000", 20.0, 10.0, 30.0, base=0.02)["estimate"] == pytest.approx(2 + math.sqrt(2))


@pytest.mark.parametrize(
    "record",
    [
        row(outcome="churned", measure="odds_ratio"),
        row(outcome="churned", measure="alpha", estimate=0.8, n=100),
        row(outcome="churned", measure="slope", estimate=0.8, n=100),
        row(outcome="churned", measure="per_1000", estimate=-30.0, n=100),
        row(outcome="churned", measure="odds_ratio", estimate=0.0, n=100),
        row(outcome="churned", measure="r", estimate=1.0, n=100),
    ],
)
def test_where_it_cannot_be_said_nothing_is(record: dict[str, Any]) -> None:
    """No row is made of what has no estimate, is no association, or explains everything."""
    assert robustness(record, base=0.02) == []
