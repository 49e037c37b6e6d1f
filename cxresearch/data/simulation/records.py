"""What the operator writes down of single events: contacts, tickets, orders, and the places where contacts happen.

All of it is drawn after the panel and adds up to it, from streams of its own, so that the panel is the same whatever
is drawn here. What a record does to leaving is planted backwards: its log odds shift by the planted effect where the
customer left, which makes the same odds ratio as if the record had come first (an odds ratio has no direction).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from cxresearch.data.simulation.model import Operator
from cxresearch.data.simulation.names import opaque
from cxresearch.data.simulation.people import REGIONS, Array
from cxresearch.data.simulation.presets import Preset
from cxresearch.data.terms import DOMAINS, LEAVING

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
TEAMS = 40
REASONS = ("enquiry", "fault", "bill")
CHANNELS = ("call", "app", "web", "chat", "shop", "partner")
SHARE = np.array([0.42, 0.20, 0.12, 0.11, 0.07, 0.08])
DIGITAL = np.array([0, 1, 1, 1, 0, 0])
HANDLE = np.array([6.0, 4.8, 5.0, 5.8, 6.3, 6.1])  # log of seconds
UNIT_COST = np.array([5.25, 0.25, 0.30, 3.80, 7.50, 4.10])
HOURS_DUE = np.array([120, 72, 24, 8])  # by coded severity
CAUSES = np.array([0.35, 0.20, 0.15, 0.10, 0.10, 0.05, 0.05])  # in the order of the domains
Table = dict[str, pa.Array]


def logistic(log_odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def words(codes: NDArray[Any], labels: Sequence[str], unknown: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=unknown), pa.array(list(labels)))


def moments(milliseconds: NDArray[np.integer], unknown: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(milliseconds, pa.int64(), mask=unknown).cast(pa.timestamp("ms"))


def flags(values: NDArray[Any], unknown: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(values.astype(np.int8), mask=unknown)


def month_starts(period: pd.Series) -> NDArray[np.int64]:
    """Milliseconds since 1970 of the first hour of each row's month."""
    months = np.array(list(period.cat.categories), dtype="datetime64[M]")
    return months.astype("datetime64[ms]").astype(np.int64)[period.cat.codes.to_numpy()]


def picked(rng: np.random.Generator, weights: Array) -> NDArray[np.integer]:
    """For each row of weights (n, k) one of the k, in proportion to them."""
    sums = weights.cumsum(axis=1)
    return np.asarray((sums < rng.random(len(sums))[:, None] * sums[:, -1:]).sum(axis=1))


def left_next(operator: Operator) -> Array:
    """1 where the customer left before the next month; 0 where not, or not known yet."""
    return operator.panel["churned"].fillna(False).to_numpy(dtype=float)


def events(operator: Operator, preset: Preset, seed: int) -> dict[str, Table]:
    """The tables of single events, and of `panel` what is noted beside it: columns in the field's words by name."""
    streams = [np.random.default_rng([seed, len(operator.panel), number]) for number in range(1, 5)]
    contacts, places = _contacts(streams[0], operator, preset, seed)
    orders, late = _orders(streams[2], operator, preset, seed)
    return {
        "panel": _noted(streams[3], operator, preset) | {"late_orders": pa.array(late.astype(np.int8))},
        "interactions": contacts,
        "tickets": _tickets(streams[1], operator, seed),
        "orders": orders,
        "touchpoints": places,
    }


def _noted(rng: np.random.Generator, operator: Operator, preset: Preset) -> Table:
    """Who complained, and what is known of leavers once they have given notice."""
    panel, left, n = operator.panel, left_next(operator) == 1, len(operator.panel)
    unclear = (62.0 - panel["plan_clarity"].to_numpy()) / 14
    clarity = np.clip(60.0 - 9.0 * unclear + 11.0 * rng.standard_normal(n), 0, 100)
    trouble = 0.8 * panel["bill_errors"].to_numpy() + 0.1 * panel["call_failures"].to_numpy()
    complained = rng.random(n) < logistic(-4.4 + trouble + preset.clarity_complaint * (clarity - 60.0) / 10)
    kind = picked(rng, np.tile([0.78, 0.12, 0.07, 0.01, 0.02], (n, 1)))
    rival = picked(rng, np.tile([0.5, 0.3, 0.2], (n, 1)))
    notice = month_starts(panel["period"]) + rng.integers(0, 28, n) * DAY_MS
    return {
        "churn_type": words(kind, LEAVING, ~left),
        "churn_destination": words(rival, ("rival_a", "rival_b", "ott"), ~left | (kind != 0)),
        "notice_date": moments(notice, ~left),
        "contract_clarity": pa.array(np.round(clarity, 1)),
        "complaint": flags(complained),
    } | _only_some(rng, preset, panel, left)


def _only_some(rng: np.random.Generator, preset: Preset, panel: pd.DataFrame, left: NDArray[np.bool_]) -> Table:
    """Columns of the panel that only some presets have."""
    found = {}
    if preset.retention_calls:
        found["retention_desk_call"] = flags(rng.random(len(left)) < np.where(left, preset.retention_calls, 0.004))
    if preset.wholesale:
        number = panel["customer_id"].cat.codes.to_numpy()
        kind = np.where(number < preset.wholesale, 2, number % 10 == 0)
        found["customer_type"] = words(kind, ("residential", "sme", "wholesale"))
    return found


def _keys(letter: str, operator: Operator, row: NDArray[np.integer], seed: int) -> Table:
    """The ids of events that happened to the customers of these panel rows, and their months."""
    key = {"i": "interaction_id", "t": "ticket_id", "o": "order_id"}[letter]
    found = {key: pa.array(opaque(letter, np.arange(len(row)), seed)).cast(pa.string())}
    for name in ("customer_id", "period"):
        column = operator.panel[name].cat
        found[name] = words(column.codes.to_numpy()[row], list(column.categories))
    return found


def _contacts(rng: np.random.Generator, operator: Operator, preset: Preset, seed: int) -> tuple[Table, Table]:
    """One row for each contact of the panel: why, where, how long, whether resolved, what was offered."""
    panel, count = operator.panel, operator.panel["care_contacts"].to_numpy()
    row = np.repeat(np.arange(len(panel)), count)
    met = {name: panel[name].to_numpy()[row] for name in ("call_failures", "bill_errors", "wait_s", "fcr")}
    segment, region = (panel[name].cat.codes.to_numpy()[row] for name in ("value_segment", "region"))
    left, n = left_next(operator)[row], len(row)
    # a contact exists because something happened: the causes share it as they share its rate
    reason = picked(rng, np.column_stack([np.full(n, 0.15), 0.04 * met["call_failures"], 0.6 * met["bill_errors"]]))
    young = 1.5 - panel["age_band"].cat.codes.to_numpy()[row]
    app = panel["app_user"].to_numpy()[row] if "app_user" in panel else np.zeros(n)
    own = SHARE * np.exp(0.2 * young[:, None] * DIGITAL) * np.where(app[:, None] * (np.arange(6) == 1), 5.0, 1.0)
    channel, team = picked(rng, own), rng.integers(0, TEAMS, n)
    started = month_starts(panel["period"])[row] + rng.integers(0, 28 * 12 * 60, n) * 2 * 60_000
    repeat, too_late = _repeats(panel["customer_id"].cat.codes.to_numpy()[row], started, panel)

    place, places = channel * len(REGIONS) + region, rng.normal(0, 0.25, (len(CHANNELS), len(REGIONS)))
    places = (places - places.mean(axis=1, keepdims=True)).ravel()  # so that channels differ by what is planted only
    hurry = rng.standard_normal(TEAMS)  # a team under pressure is short with customers, and resolves less
    handle = np.exp(HANDLE[channel] + 0.2 * (reason == 1) - 0.15 * hurry[team] + 0.45 * rng.standard_normal(n))
    chance = np.clip(met["fcr"], 0.02, 0.98)
    resolved = rng.random(n) < logistic(
        np.log(chance / (1 - chance))
        + places[place]
        + preset.partner_resolved * ((channel == 5) - SHARE[5])
        + preset.hurry_resolved * hurry[team]
        + preset.resolved_repeat * (repeat - repeat.mean())
        + preset.resolved_leave * (left - left.mean())
    )
    human = ~np.isin(channel, (1, 2))
    grumble = preset.offer_unresolved_leave * left * ~resolved
    offered = human & (rng.random(n) < logistic(-1.3 + 0.5 * resolved + 0.3 * (segment == 2) + grumble))
    accepted = offered & (rng.random(n) < logistic(-1.9 + preset.resolved_accepted * resolved + 0.2 * (segment == 2)))
    table = _keys("i", operator, row, seed) | {
        "touchpoint_id": words(place, _place_ids(seed)),
        "team_id": words(team, [f"team{i:02d}" for i in range(1, TEAMS + 1)]),
        "started_at": moments(started),
        "channel": words(channel, CHANNELS),
        "direction": words(np.zeros(n, dtype=int), ["inbound"]),
        "reason": words(reason, REASONS),
        "wait_s": pa.array(_waits(rng, met["wait_s"], row, count)),
        "handle_s": pa.array(np.round(handle, 0)),
        "transfers": pa.array(_spread(rng, panel["transfers"].to_numpy(), count)),
        "resolved_first_contact": flags(resolved),
        "repeat_7d": flags(repeat, too_late),
        "offer_made": flags(offered),
        "offer_accepted": flags(accepted, ~offered),
        "cost": pa.array(np.round(UNIT_COST[channel] * np.exp(0.2 * rng.standard_normal(n)), 2)),
    }
    return table, _places(rng, place, panel["period"].cat.categories.size, seed)


def _repeats(customer: Array, started: Array, panel: pd.DataFrame) -> tuple[Array, NDArray[np.bool_]]:
    """Whether the customer's next contact follows within 7 days, and where the data end too soon to know."""
    order = np.lexsort((started, customer))
    gap = np.diff(started[order], append=0)
    same = np.diff(customer[order], append=-1) == 0
    repeat = np.zeros(len(order), dtype=np.int8)
    repeat[order] = same & (gap <= 7 * DAY_MS)
    return repeat, (started > month_starts(panel["period"]).max() + 21 * DAY_MS) & (repeat == 0)


def _waits(rng: np.random.Generator, wait: Array, row: Array, count: Array) -> Array:
    """Waits whose mean over the contacts of a customer and month is that of the panel."""
    factor = np.exp(0.3 * rng.standard_normal(len(row)))
    return np.round(wait * factor * count[row] / np.bincount(row, factor, len(count))[row], 1)


def _spread(rng: np.random.Generator, transfers: Array, count: Array) -> Array:
    """Each transfer of the panel given to one of the contacts of its customer and month."""
    row = np.repeat(np.arange(len(count)), transfers)
    chosen = (count.cumsum() - count)[row] + (rng.random(len(row)) * count[row]).astype(int)
    return np.bincount(chosen, minlength=int(count.sum()))


def _place_ids(seed: int) -> list[str]:
    return list(opaque("p", np.arange(len(CHANNELS) * len(REGIONS)), seed).astype(str))


def _places(rng: np.random.Generator, place: Array, months: int, seed: int) -> Table:
    """A touchpoint for each channel in each region."""
    n = len(CHANNELS) * len(REGIONS)
    channel, region = np.divmod(np.arange(n), len(REGIONS))
    used = np.bincount(place, minlength=n)
    return {
        "touchpoint_id": pa.array(_place_ids(seed)),
        "channel": words(channel, CHANNELS),
        "region": words(region, REGIONS),
        "unit_cost": pa.array(UNIT_COST[channel]),
        "capacity": pa.array(np.ceil(1.25 * used / months).astype(int) + 1),
        "ce_promise": pa.array(np.round(np.clip(72 + 8 * rng.standard_normal(n), 0, 100), 0)),
        "impressions": pa.array(used * rng.integers(3, 11, n)),
    }


def _tickets(rng: np.random.Generator, operator: Operator, seed: int) -> Table:
    """One row for each ticket of the panel; how bad it was is coded with error, and how bad it was sets how long."""
    panel = operator.panel
    row = np.repeat(np.arange(len(panel)), panel["tickets_open"].to_numpy())
    n, outage = len(row), panel["outage_min"].to_numpy()[row]
    network, billing = np.arange(len(DOMAINS)) == 0, np.arange(len(DOMAINS)) == 2
    errors = panel["bill_errors"].to_numpy()[row]
    cause = picked(rng, CAUSES * (1 + outage[:, None] / 60 * network + 2 * errors[:, None] * billing))
    noticed = np.where(rng.random(n) < 0.65, cause, rng.integers(0, len(DOMAINS), n))
    bad = rng.standard_normal(n) + 0.2 * outage / 60
    severity = np.clip(np.rint(2.3 + 0.7 * bad + 0.5 * rng.standard_normal(n)), 1, 4).astype(np.int8)
    opened = month_starts(panel["period"])[row] + rng.integers(0, 28 * 24 * 60, n) * 60_000
    hours = np.exp(np.log(18.0) + 0.3 * bad + 0.35 * (noticed != cause) + 0.7 * rng.standard_normal(n))
    resolved = opened + (hours * HOUR_MS).astype(np.int64)
    end = month_starts(panel["period"]).max() + 28 * DAY_MS
    return _keys("t", operator, row, seed) | {
        "severity": pa.array(severity),
        "opened_at": moments(opened),
        "due_at": moments(opened + HOURS_DUE[severity - 1] * HOUR_MS),
        "resolved_at": moments(resolved, resolved > end),
        "reopened": flags(rng.random(n) < 0.08, resolved > end),
        "detected_domain": words(noticed, DOMAINS),
        "root_cause_domain": words(cause, DOMAINS),
    }


def _orders(rng: np.random.Generator, operator: Operator, preset: Preset, seed: int) -> tuple[Table, Array]:
    """A row for each activation of the panel, in its month, and for orders that came to nothing; late ones by row."""
    panel, left = operator.panel, left_next(operator)
    days = panel["order_days"].to_numpy()
    fell = np.isnan(days) & (rng.random(len(days)) < logistic(-5.5 + preset.late_leave * left))
    row = np.flatnonzero(fell | ~np.isnan(days))
    fell, days, n = fell[row], np.nan_to_num(days[row], nan=4.0).astype(int), len(row)
    late = rng.random(n) < logistic(-1.2 + preset.late_leave * left[row])
    promised = np.where(late, np.maximum(days - rng.integers(1, 5, n), 0), days + rng.integers(0, 4, n))
    completed = month_starts(panel["period"])[row] + rng.integers(0, 28 * 24, n) * HOUR_MS
    requested = completed - days * DAY_MS
    status = np.where(fell, 2 + (rng.random(n) < 0.5), rng.random(n) < 0.06)
    around = rng.random(n) < np.where(late | fell, 0.35, 0.10)
    leak = np.where(around & (rng.random(n) < 0.6), np.round(rng.gamma(1.5, 8.0, n), 2), 0.0)
    table = _keys("o", operator, row, seed) | {
        "requested_at": moments(requested),
        "promised_at": moments(requested + promised * DAY_MS),
        "completed_at": moments(completed, fell),
        "status": words(status, ("completed", "partial", "fallout", "cancelled")),
        "offline_workaround": flags(around),
        "revenue_leak": pa.array(leak),
    }
    return table, np.bincount(row[late | fell], minlength=len(panel))
