"""What customers meet in a month: their use, the network, service design and service operations."""

from __future__ import annotations

import numpy as np

from cxresearch.data.simulation import people as who
from cxresearch.data.simulation.people import Array, People
from cxresearch.data.simulation.presets import Preset

Met = dict[str, Array]


def meet(rng: np.random.Generator, preset: Preset, base: People, local: dict[str, Array], calendar: int) -> Met:
    """What customers met this month: use, network, service design, service operations."""
    count = len(base["segment"])
    season = float(np.cos(2 * np.pi * (calendar - 12) / 12))  # 1 in December, -1 in June
    met = _use(rng, base, season)
    met |= _network(rng, preset, local, met["usage_calls"], season)
    met["bill_errors"] = rng.poisson(0.12, count)
    met["plan_clarity"] = np.round(np.clip(base["clarity"] + 6.0 * rng.standard_normal(count), 0, 100), 1)
    ordered = rng.random(count) < 0.03
    met["order_days"] = np.where(ordered, 1 + np.floor(rng.gamma(2.0, 2.0, count)), np.nan)
    return met | _operations(rng, preset, base, met, local, season)


def _use(rng: np.random.Generator, base: People, season: float) -> Met:
    count = len(base["segment"])
    calls = np.maximum(rng.poisson(base["calls"]), 1)
    return {
        "usage_calls": calls,
        "usage_voice_min": np.round(calls * base["minutes"] * np.exp(0.15 * rng.standard_normal(count)), 1),
        "usage_data_gb": np.round(base["data"] * (1 + 0.08 * season) * np.exp(0.25 * rng.standard_normal(count)), 2),
    }


def _network(rng: np.random.Generator, preset: Preset, local: dict[str, Array], calls: Array, season: float) -> Met:
    """Coverage sets availability, access, throughput and outages; radio sets dropped calls, and nothing else does."""
    count = len(calls)

    def own(quality: str) -> Array:
        return local[quality] + preset.own_network * rng.standard_normal(count)

    drop_rate = 0.018 * np.exp(-0.6 * local["radio"])
    drop_met = drop_rate * np.exp(-0.6 * preset.own_network * rng.standard_normal(count))
    throughput = 40.0 * (1 - 0.05 * season) * np.exp(0.35 * own("coverage") + 0.2 * rng.standard_normal(count))
    return {
        "availability": np.round(1 - 0.015 * np.exp(-0.45 * own("coverage")), 5),
        "accessibility": np.round(1 - 0.010 * np.exp(-0.45 * own("coverage")), 5),
        "retainability": np.round(np.clip(1 - drop_met, 0, 1), 5),
        "throughput_mbps": np.round(throughput, 1),
        "outage_min": np.round(rng.gamma(1.0, 30.0 * np.exp(-0.5 * local["coverage"])), 0),
        "call_failures": rng.poisson(calls * np.minimum(drop_rate, 0.5)),
    }


def _operations(
    rng: np.random.Generator, preset: Preset, base: People, met: Met, local: dict[str, Array], season: float
) -> Met:
    """Care as it was for this customer. Contacts follow trouble and change nothing: they are a symptom."""
    count, segment = len(base["segment"]), base["segment"]
    busy = base["wait"] + preset.wait_spread * rng.standard_normal(count) - preset.wait_coverage * local["coverage"]
    wait = 110.0 * (1 + 0.1 * season) * who.WAIT[segment] * np.exp(busy)
    resolved = who.RESOLVED[segment] + base["resolved"] + 0.08 * rng.standard_normal(count)
    trouble = 0.04 * met["call_failures"] + 0.6 * met["bill_errors"] + preset.problem_contacts * base["problems"]
    contacts = rng.poisson(0.15 + trouble)
    return {
        "wait_s": np.round(wait, 0),
        "fcr": np.round(np.clip(resolved, 0, 1), 3),
        "care_contacts": contacts,
        "transfers": rng.poisson(0.35 * contacts),
        "tickets_open": rng.poisson(0.15 + preset.problem_tickets * base["problems"]),
    }


def as_measured(rng: np.random.Generator, preset: Preset, met: Met, risk: Array) -> Met:
    """What the operator records of it: operations with an error, and contacts of those who are about to leave."""
    met, count = dict(met), len(risk)
    if preset.operations_noise:
        error = preset.operations_noise * rng.standard_normal((2, count))
        met["wait_s"] = np.round(met["wait_s"] * np.exp(0.4 * error[0]), 0)
        met["fcr"] = np.round(np.clip(met["fcr"] + 0.1 * error[1], 0, 1), 3)
    if preset.feedback:
        more = rng.poisson(preset.feedback * risk)
        met["care_contacts"] = met["care_contacts"] + more
        met["transfers"] = met["transfers"] + rng.poisson(0.35 * more)
    return met
