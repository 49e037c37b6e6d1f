"""Who the customers are, what their sites are like, and how both go on from month to month."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.simulation.presets import Preset

Array = NDArray[Any]  # whole or real numbers
People = dict[str, NDArray]  # one entry per customer in each array

SEGMENTS = ("mass", "mid", "high")
AGES = ("18-29", "30-44", "45-59", "60+")
REGIONS = tuple(f"R{i}" for i in range(1, 9))
DIMENSIONS = ("responsiveness", "assurance", "tangibles", "empathy", "reliability")

PREPAID = np.array([0.45, 0.25, 0.10])  # by segment
CALLS = np.array([85.0, 110.0, 140.0])
DATA = np.array([8.0, 14.0, 22.0])
PRICE = np.array([22.0, 34.0, 50.0])
CLARITY = np.array([60.0, 63.0, 66.0])
WAIT = np.array([1.05, 0.98, 0.85])  # higher segments are served a bit faster ...
APP = np.array([0.15, 0.40, 0.75])
RESOLVED = np.array([0.70, 0.72, 0.75])  # ... and a bit better


def draw_people(rng: np.random.Generator, count: int) -> People:
    """New customers: segment, plan, habits, and the traits that nobody sees."""
    normal = rng.standard_normal
    segment = np.searchsorted([0.6, 0.9], rng.random(count), side="right").astype(np.int8)
    prepaid = rng.random(count) < PREPAID[segment]
    age = rng.integers(0, len(AGES), count).astype(np.int8)
    price = PRICE[segment] - 6.0 * prepaid + 5.0 * normal(count)
    return {
        "segment": segment,
        "prepaid": prepaid,
        "age": age,
        "tenure": np.zeros(count),
        "contract": np.where(prepaid, 0.0, 24.0),
        "handset": rng.integers(0, 30, count).astype(float),
        "services": 1 + rng.binomial(3, 0.2 + 0.1 * segment),
        "list_price": np.round(np.clip(price, 5.0, None) * 2) / 2,
        "discount_share": np.where(rng.random(count) < 0.35, 0.05 * rng.integers(1, 6, count), 0.0),
        "loyalty": rng.random(count) < 0.2 + 0.15 * segment,
        "calls": CALLS[segment] * np.where(prepaid, 0.8, 1.0) * np.exp(0.5 * normal(count) - 0.125),
        "minutes": np.exp(0.3 * normal(count)) * 2.2,
        "data": DATA[segment] * np.exp(0.6 * normal(count) - 0.12 * age),
        "clarity": CLARITY[segment] + 13.0 * normal(count),
        "wait": 0.25 * normal(count),
        "resolved": 0.06 * normal(count),
        "competitor": np.round(rng.beta(2.0, 4.0, count), 3),
        "app": np.zeros(count, dtype=bool),
        "problems": np.zeros(count),
        "pull": np.zeros(count),
        "halo": normal(count),
        "satisfaction": normal(count),
        "trust": normal(count),
        **{dimension: normal(count) for dimension in DIMENSIONS},
    }


def draw_base(rng: np.random.Generator, count: int) -> People:
    """The customers of the first month, who have been here for a while."""
    people = draw_people(rng, count)
    people["tenure"] = np.floor(np.minimum(rng.exponential(np.where(people["prepaid"], 32.0, 45.0)), 120.0))
    people["contract"] = np.where(people["prepaid"], 0.0, rng.integers(0, 25, count).astype(float))
    return people


def pass_month(rng: np.random.Generator, people: People, left: NDArray[np.bool_]) -> None:
    """One month on: those who stayed grow older here, each who left is followed by a new customer at the same site."""
    count = len(left)
    people["tenure"] += 1
    renewed = (people["contract"] <= 0) & ~people["prepaid"] & (rng.random(count) < 0.15)
    people["contract"] = np.where(renewed, 24.0, np.maximum(people["contract"] - 1, 0))
    people["handset"] = np.where(rng.random(count) < 0.03, 0.0, people["handset"] + 1)
    fresh = draw_people(rng, int(left.sum()))
    for name, values in fresh.items():
        people[name][left] = values


def draw_rare(rng: np.random.Generator, preset: Preset, people: People, month_leave: float) -> None:
    """This month's problems that only some presets have, and how strongly all that draws each customer away."""
    if preset.problems:
        people["problems"] = rng.poisson(preset.problems, len(people["problems"])).astype(float)
    people["pull"] = (
        month_leave
        + preset.leave_problems * people["problems"]
        + preset.leave_app * people["app"]
        + preset.leave_loyalty * member(preset, people)
    )


def member(preset: Preset, people: People) -> NDArray[np.bool_]:
    """Who is in the loyalty scheme by now."""
    return np.asarray(people["loyalty"] & (people["tenure"] >= preset.loyalty_after))


def takes_app(rng: np.random.Generator, segment: Array) -> NDArray[np.bool_]:
    return rng.random(len(segment)) < APP[segment]


def draw_qualities(rng: np.random.Generator, preset: Preset, sites: int, months: int) -> dict[str, Array]:
    """Coverage, radio and mood of each month and site, arrays of shape (months, sites)."""
    lasting = {name: rng.standard_normal(sites) for name in ("coverage", "radio", "mood")}
    shocks = {name: _remembering(rng, preset.site_memory, months, sites) for name in lasting}
    spread = {
        "coverage": (preset.site_lasting, preset.site_shock),
        "radio": (preset.site_lasting, preset.site_shock),
        "mood": (preset.site_mood, preset.site_mood_shock),
    }
    return {name: spread[name][0] * lasting[name] + spread[name][1] * shocks[name] for name in lasting}


def _remembering(rng: np.random.Generator, memory: float, months: int, sites: int) -> Array:
    """Shocks of unit variance that fade by the factor `memory` a month."""
    shocks = rng.standard_normal((months, sites))
    for month in range(1, months):
        shocks[month] = memory * shocks[month - 1] + np.sqrt(1 - memory**2) * shocks[month]
    return shocks
