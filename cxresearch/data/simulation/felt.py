"""How customers feel about what they met, and what follows: who leaves, who answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.simulation import people as who
from cxresearch.data.simulation.met import Met
from cxresearch.data.simulation.people import Array, People
from cxresearch.data.simulation.presets import Preset


@dataclass(frozen=True)
class Felt:
    """What customers felt in one month: the dimensions apart from halo, satisfaction and trust, about unit variance."""

    dimensions: dict[str, Array]
    satisfaction: Array
    trust: Array


def noise(rng: np.random.Generator, count: int, df: float = 0.0) -> dict[str, Array]:
    """Of unit variance: normal, or Student's t with so many degrees of freedom."""

    def draw() -> Array:
        return rng.standard_t(df, count) * np.sqrt((df - 2) / df) if df else rng.standard_normal(count)

    return {name: draw() for name in (*who.DIMENSIONS, "satisfaction", "trust")}


def feel(preset: Preset, base: People, met: Met, site_mood: Array, noise: dict[str, Array]) -> Felt:
    """Perceptions: each dimension rests on its own columns, satisfaction on the dimensions, trust on satisfaction."""
    p = preset
    signal: dict[str, Array | float] = {
        "reliability": _reliability(p, met),
        "responsiveness": p.wait_responsiveness * (met["wait_s"] - 110.0) / 60
        + p.tickets_responsiveness * (met["tickets_open"] - 0.15),
        "assurance": p.fcr_assurance * (met["fcr"] - 0.71) / 0.1
        + p.bill_errors_assurance * (met["bill_errors"] - 0.12),
        "tangibles": 0.0,
        "empathy": 0.0,
    }
    dimensions = {d: signal[d] + p.dimension_trait * base[d] + p.dimension_noise * noise[d] for d in who.DIMENSIONS}
    satisfaction = (
        sum(getattr(p, f"weight_{d}") * values for d, values in dimensions.items())
        + p.satisfaction_halo * base["halo"]
        + p.satisfaction_bill_errors * (met["bill_errors"] - 0.12)
        + p.satisfaction_plan_clarity * (met["plan_clarity"] - 62.0) / 10
        + p.satisfaction_fcr * (met["fcr"] - 0.71) / 0.1
        + p.satisfaction_price * (base["list_price"] - 28.0) / 10
        + p.satisfaction_calls * (met["usage_calls"] - 95.0) / 100
        + p.satisfaction_trait * base["satisfaction"]
        + p.satisfaction_noise * noise["satisfaction"]
        + site_mood
    )
    trust = (
        p.trust_satisfaction * satisfaction
        + p.trust_halo * base["halo"]
        + p.trust_trait * base["trust"]
        + p.trust_noise * noise["trust"]
    )
    return Felt(dimensions, satisfaction, trust)


def _reliability(p: Preset, met: Met) -> Array:
    return (
        p.coverage_reliability * (met["availability"] - 0.984) / 0.008
        + p.throughput_reliability * (np.log(np.maximum(met["throughput_mbps"], 0.1)) - 3.69) / 0.4
        + p.outage_reliability * (met["outage_min"] - 35.0) / 60
        + p.failures_reliability * (np.maximum(met["call_failures"] - p.failures_above, 0) - p.failures_usual)
    )


def leaving(preset: Preset, base: People, met: Met, felt: Felt) -> Array:
    """The probability to leave before the next month."""
    p = preset
    log_odds = (
        p.leave_base
        + p.leave_satisfaction * felt.satisfaction
        + p.leave_trust * felt.trust
        + p.leave_failures * (met["call_failures"] - 2.0)
        + p.leave_calls * (met["usage_calls"] - 95.0) / 100
        + p.leave_price * (base["list_price"] - 28.0) / 10
        + p.leave_tenure * (base["tenure"] - 36.0) / 12
        + p.leave_prepaid * base["prepaid"]
        + p.leave_contract * base["contract"] / 12
        + p.leave_competitor * (base["competitor"] - 1 / 3)
        + base["pull"]
    )
    return 1 / (1 + np.exp(-log_odds))


def answering(preset: Preset, base: People, felt: Felt, left: NDArray[np.bool_]) -> Array:
    """The probability to answer: it depends on the very thing that is asked, and on whether one is about to leave."""
    log_share = (
        preset.response_base
        + preset.response_satisfaction * felt.satisfaction
        + preset.response_extreme * felt.satisfaction**2
        + preset.response_high * (base["segment"] == 2)
        + preset.response_old * (base["age"] == 3)
        + preset.response_leaving * left
    )
    return np.minimum(np.exp(np.minimum(log_share, 0.0)), 0.95)
