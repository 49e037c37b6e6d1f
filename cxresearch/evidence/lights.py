"""Lights: what a check of a period's tables saw, and how bad it is: sound, look at it, or stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cxresearch.finding import LIGHTS, Caveat
from cxresearch.measures import number
from cxresearch.table import row


@dataclass(frozen=True)
class Limits:
    """What the reader chose: the most missing values that are let pass, the test of drift, the days that data may be late."""

    max_missing: float
    drift_test: str
    late_days: int


@dataclass
class Seen:
    """What a check saw: its rule, rows, and doubts (light and text); what is said where there is none; what to do."""

    rule: str
    advice: str
    method: str
    lacking: tuple[str, ...]
    fine: str = ""
    sample: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    doubts: list[tuple[int, str]] = field(default_factory=list)
    caveats: list[Caveat] = field(default_factory=list)

    def add(self, light: int, text: str, **given: Any) -> None:
        """A row, and a doubt where its light is not sound."""
        label = given.pop("effect_label", None) or (LIGHTS[light] if light else None)
        self.rows.append(row(model="seen", effect_label=label, **given))
        if light:
            self.doubts.append((light, text))

    def rate(self, light: int, text: str, events: int, n: int, **given: Any) -> None:
        """The row of a share."""
        self.add(light, text, measure="rate", estimate=events / n, events=events, n=n, **given)


def light(value: float, limits: tuple[float, float]) -> int:
    """0 sound, 1 look, 2 stop: which of two limits a value passes."""
    return int(value > limits[0]) + int(value > limits[1])


def percent(share: float) -> str:
    """A share in words."""
    return f"{number(100 * share, 1)} %"
