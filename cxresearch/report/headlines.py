"""Headlines: the opening row of numbers of a report, and the rows of a ledger that they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cxresearch.measures import number
from cxresearch.report.trends import History

if TYPE_CHECKING:
    import pandas as pd

FALSE = 0.05  # the share of false discoveries that is let pass
HEADLINES = (
    ("Satisfaction", "points of 100, of those who answered", {"outcome": "satisfaction", "measure": "score"}, 1, 1.0),
    (
        "Net recommendation",
        "points, −100 to 100, of those who answered",
        {"outcome": "recommend", "measure": "score"},
        1,
        1.0,
    ),
    ("Leavers a month", "per 1,000 customers", {"finding": "churn_rate", "measure": "per_1000"}, 1, 1.0),
    ("Answered the survey", "% of those invited", {"outcome": "response", "measure": "rate"}, 1, 100.0),
)


def tiles(numbers: pd.DataFrame, history: History) -> list[dict[str, Any]]:
    """The headline numbers that a ledger has, with their intervals, and what earlier reports said of them."""
    made = (_tile(numbers, history, *wanted) for wanted in HEADLINES)
    return [tile for tile in made if tile is not None]


def records(numbers: pd.DataFrame, claim: str | None = None, **wanted: str) -> list[dict[str, Any]]:
    """The rows of a ledger with these values: those that were judged for a claim, or those that were not."""
    rows = numbers[numbers["claim"].isna() if claim is None else numbers["claim"] == claim]
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    plain = rows.astype(object).where(rows.notna(), None)
    return [{str(key): value for key, value in record.items()} for record in plain.to_dict("records")]


def moved(numbers: pd.DataFrame, change: Mapping[str, Any]) -> bool | None:
    """Whether a change from the period before is told from zero, by its interval and among all that are looked at.

    Where the ledger tests the same difference in a family (`what_changed`) its adjusted p-value decides; None says that
    the interval alone would have told it.
    """
    if change["conf_low"] <= 0 <= change["conf_high"]:
        return False
    same = [
        r
        for r in records(numbers, outcome=change["outcome"], group=change["group"], measure="difference")
        if r["p_adjusted"] is not None and math.isclose(r["estimate"], change["estimate"], rel_tol=1e-9)
    ]
    return True if all(r["p_adjusted"] < FALSE for r in same) else None


def _tile(
    numbers: pd.DataFrame,
    history: History,
    label: str,
    note: str,
    wanted: dict[str, str],
    decimals: int,
    factor: float,
) -> dict[str, Any] | None:
    found = records(numbers, group="all", **wanted)
    if not found or found[0]["estimate"] is None:
        return None
    record = found[0]
    value = number(factor * record["estimate"], decimals)
    interval = ""
    if record["conf_low"] is not None:
        interval = (
            f"95 %: {number(factor * record['conf_low'], decimals)} to {number(factor * record['conf_high'], decimals)}"
        )
    changes = records(numbers, group="all", outcome=record["outcome"], measure="difference", model="change")
    tile = {"label": label, "value": value, "interval": interval, "change": _change(numbers, changes), "note": note}
    trend = history.told(record, decimals, factor)
    return {**tile, "trend": trend} if trend else tile


def _change(numbers: pd.DataFrame, changes: Sequence[Mapping[str, Any]]) -> str:
    if not changes or changes[0]["conf_low"] is None:
        return ""
    change = changes[0]
    if not moved(numbers, change):
        return "no clear change"
    sign = "+" if change["estimate"] > 0 else ""
    return f"{sign}{number(change['estimate'], 1)} since {change['term']}"
