"""The operator as one structural causal model: what customers meet, how they feel about it, who leaves, who answers.

Everything that acts on a perception or on leaving acts linearly there, so the planted parameters are what a right
estimator should find. Months share random shocks only where a preset says so; the seasons are fixed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxresearch.data.simulation import items
from cxresearch.data.simulation import people as who
from cxresearch.data.simulation.felt import answering, feel, leaving, noise
from cxresearch.data.simulation.met import Met, as_measured, meet
from cxresearch.data.simulation.names import months_until, opaque
from cxresearch.data.simulation.people import Array, People
from cxresearch.data.simulation.presets import Preset

STREAMS = ("sites", "people", "met", "felt", "left", "answers", "response", "rare")


@dataclass(frozen=True)
class Operator:
    """A simulated operator: what is known of everybody, what everybody would answer, and who did.

    `panel` has a row per customer and month, `answers` (integers) and `answered` are row-aligned with it.
    `failure_effect` is, per row, what one more failed call adds to the probability of leaving: paired runs of the
    model with half a failed call more and less and the same noise. Null unless asked for.
    """

    panel: pd.DataFrame
    answers: pd.DataFrame
    answered: NDArray[np.bool_]
    failure_effect: Array | None = None


def generate(
    preset: Preset, seed: int, customers: int, months: int, sites: int, last: str, *, counterfactual: bool = False
) -> Operator:
    """The operator of these parameters, the same for the same arguments."""
    streams = np.random.SeedSequence(seed).spawn(len(STREAMS))
    rng = {name: np.random.Generator(np.random.SFC64(stream)) for name, stream in zip(STREAMS, streams, strict=True)}
    periods = months_until(last, months)
    site = np.sort(rng["sites"].integers(0, sites, customers))
    qualities = who.draw_qualities(rng["sites"], preset, sites, months)
    base = who.draw_base(rng["people"], customers)
    rare = rng["rare"]
    base["app"] = who.takes_app(rare, base["segment"])
    shocks = rare.standard_normal((4, months))
    for shock, (name, values) in zip(shocks, qualities.items(), strict=False):
        values += (preset.month_mood if name == "mood" else preset.month_network) * shock[:, None]
    number, born = np.arange(customers), customers
    panel: dict[str, list[NDArray]] = {}
    moods: dict[str, list[NDArray]] = {}
    for month, period in enumerate(periods):
        local = {name: values[month][site] for name, values in qualities.items()}
        who.draw_rare(rare, preset, base, preset.month_leave * shocks[3, month])
        met = meet(rng["met"], preset, base, local, int(period[5:]))
        same = noise(rng["felt"], customers, preset.noise_df)
        perceived = feel(preset, base, met, local["mood"], same)
        risk = leaving(preset, base, met, perceived)
        left = rng["left"].random(customers) < risk
        silent = rng["response"].random(customers) >= answering(preset, base, perceived, left)
        noted = as_measured(rare, preset, met, risk)
        _collect(panel, _row(preset, base, noted, number=number, churned=left, silent=silent))
        _collect(
            moods,
            items.felt_by(base, perceived.dimensions, perceived.satisfaction, perceived.trust, preset.dimension_halo),
        )
        if counterfactual:
            _collect(panel, {"failure_effect": _failure_effect(preset, base, met, local["mood"], same)})
        number = number.copy()
        number[left] = born + np.arange(left.sum())
        born += int(left.sum())
        who.pass_month(rng["people"], base, left)
        base["app"][left] = who.takes_app(rare, base["segment"][left])
    joined = {name: np.concatenate(parts) for name, parts in panel.items()}
    answers = items.answers(rng["answers"], {name: np.concatenate(parts) for name, parts in moods.items()}, preset.mood)
    silent, effect = joined.pop("silent"), joined.pop("failure_effect", None)
    return Operator(_frame(joined, periods, site, sites, seed), answers, ~silent, effect)


def _failure_effect(preset: Preset, base: People, met: Met, site_mood: Array, same: dict[str, Array]) -> Array:
    """What one more failed call adds to the probability of leaving, satisfaction and trust following it."""

    def with_failures(more: float) -> Array:
        other = met | {"call_failures": met["call_failures"] + more}
        return leaving(preset, base, other, feel(preset, base, other, site_mood, same))

    return with_failures(0.5) - with_failures(-0.5)


def _row(preset: Preset, base: People, met: Met, **more: NDArray) -> dict[str, NDArray]:
    """The columns of one month, copied where the customer's own state goes on to change."""
    price, prepaid = base["list_price"], base["prepaid"]
    discount = np.round(price * base["discount_share"], 2)
    revenue = np.round(price - discount + 0.02 * met["usage_voice_min"] * prepaid, 2)
    state = {
        "age_band": base["age"],
        "value_segment": base["segment"],
        "prepaid": prepaid.astype(np.int8),
        "loyalty_scheme": who.member(preset, base).astype(np.int8),
        "app_user": base["app"].astype(np.int8),
        "contract_remaining_m": base["contract"].astype(np.int16),
        "tenure_m": base["tenure"].astype(np.int16),
        "handset_age_m": base["handset"].astype(np.int16),
        "services_held": base["services"].astype(np.int8),
        "list_price": price,
        "competitor_exposure": base["competitor"],
    }
    counts = ("usage_calls", "call_failures", "bill_errors", "care_contacts", "transfers", "tickets_open")
    return (
        {name: values.copy() for name, values in state.items()}
        | met
        | {name: met[name].astype(np.int32) for name in counts}
        | {"discount": discount, "revenue": revenue}
        | {"margin": np.round(0.6 * revenue - 4.0 - 0.12 * met["usage_data_gb"] - 2.5 * met["care_contacts"], 2)}
        | more
    )


def _collect(table: dict[str, list[NDArray]], month: dict[str, NDArray]) -> None:
    for name, values in month.items():
        table.setdefault(name, []).append(values)


def _frame(columns: dict[str, NDArray], periods: list[str], site: NDArray, sites: int, seed: int) -> pd.DataFrame:
    """The panel in the field's words; leaving after the last month is not known yet."""
    number = columns.pop("number")
    churned = pd.array(columns.pop("churned"), dtype="boolean")
    churned[-len(site) :] = pd.NA
    ids = opaque("c", np.arange(number.max() + 1), seed).astype(str)
    place = np.tile(site, len(periods))

    def label(codes: NDArray, words: Iterable[str]) -> Any:
        return pd.Categorical.from_codes(codes, categories=pd.Index(list(words)))

    return pd.DataFrame(
        {
            "customer_id": label(number, ids),
            "period": label(np.repeat(np.arange(len(periods)), len(site)), periods),
            "site_id": label(place, [f"s{i:0{len(str(sites))}d}" for i in range(1, sites + 1)]),
            "region": label(place % len(who.REGIONS), who.REGIONS),
            "age_band": label(columns.pop("age_band"), who.AGES),
            "value_segment": label(columns.pop("value_segment"), who.SEGMENTS),
            "plan_type": label(columns["prepaid"], ("postpaid", "prepaid")),
            **columns,
            "churned": churned,
        }
    )
