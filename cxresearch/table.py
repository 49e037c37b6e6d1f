"""The table of a Finding: fixed columns, null and never NaN, small groups suppressed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cxresearch.measures import MEASURES

if TYPE_CHECKING:  # a command line that only asks for the smallest group does not wait for it
    import pandas as pd

MIN_CELL = 10  # a row resting on fewer people is suppressed; a study may only raise it
TOO_FEW = "too few"  # begins the label of an estimate that may be shown but not judged by
SIGNIFICANT_DIGITS = 12  # estimates are rounded once, here, so that files compare

TEXT_COLUMNS = ("outcome", "term", "group", "model", "measure", "unit", "effect_label")
NUMBER_COLUMNS = (
    "estimate",
    "std_error",
    "df",
    "conf_low",
    "conf_high",
    "conf_level",
    "p_value",
    "p_adjusted",
    "effect",
)
COUNT_COLUMNS = ("n", "events", "clusters")
COLUMNS = (
    "outcome",
    "term",
    "group",
    "model",
    "measure",
    "estimate",
    "std_error",
    "df",
    "conf_low",
    "conf_high",
    "conf_level",
    "p_value",
    "p_adjusted",
    "n",
    "events",
    "clusters",
    "unit",
    "effect",
    "effect_label",
)
KEY = ("outcome", "term", "group", "model", "measure")  # what tells the rows of a finding apart
SUPPRESSED = (
    "estimate",
    "std_error",
    "df",
    "conf_low",
    "conf_high",
    "p_value",
    "p_adjusted",
    "n",
    "events",
    "clusters",  # where every row is one customer the clusters are the n
    "effect",
)


def row(
    *,
    outcome: str,
    measure: str,
    term: str | None = None,
    group: str = "all",
    model: str = "crude",
    unit: str = "",
    conf_level: float = 0.95,
    **numbers: Any,
) -> dict[str, Any]:
    """One row of a Finding's table; numbers that are left out are null.

    No columns, but private state: `kept`, and `people`, how many customers the row rests on where `n` counts their months.
    """
    if measure not in MEASURES:
        raise ValueError(f"no measure {measure!r}; it is one of {', '.join(MEASURES)}")
    given: dict[str, Any] = dict.fromkeys(COLUMNS)
    given.update(
        outcome=outcome,
        term=term,
        group=group,
        model=model,
        measure=measure,
        unit=unit,
        conf_level=conf_level,
    )
    unknown = sorted(set(numbers) - {*COLUMNS, "kept", "people"})
    if unknown:
        raise ValueError(f"no column {unknown[0]!r} in a Finding; it has {', '.join(COLUMNS)}")
    given.update(numbers)
    return given


def _rounded(value: Any) -> float | None:
    """A float of twelve significant digits, or None where the value is no finite number."""
    if not _there(value):
        return None
    number = float(value)
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(number) else None


def tidy(rows: Iterable[Mapping[str, Any]], min_cell: int = MIN_CELL) -> pd.DataFrame:
    """Rows as the table of a Finding: fixed columns, null and never NaN, small groups suppressed.

    A row resting on fewer than `min_cell` customers loses its numbers. Where it is the only such level of a split, the
    smallest other level loses them too: else it could be worked out from the total.
    """
    import pandas as pd

    given_rows = list(rows)
    records = [_record(given) for given in given_rows]
    for given, record in zip(given_rows, records, strict=True):
        people = record["n"] if given.get("people") is None else given["people"]
        if people is not None and 0 < people < min_cell:
            _suppress(record, f"suppressed: fewer than {min_cell} customers")
    # rows of a finding that was made already (min_cell 0) have had this done to them
    for family in _families(records) if min_cell else ():
        shown = [record for record in family if record["n"] is not None]
        hidden = [record for record in family if (record["effect_label"] or "").startswith("suppressed")]
        if len(hidden) == 1 and shown:
            _suppress(min(shown, key=lambda r: r["n"]), "suppressed: a smaller group could be worked out from it")
    return pd.DataFrame({name: _column(name, [record[name] for record in records]) for name in COLUMNS})


def _column(name: str, values: list[Any]) -> Any:
    """One column of the table: text, Float64 or Int64. Made at once: a conversion by pandas costs five times as much."""
    import numpy as np
    import pandas as pd

    if name in TEXT_COLUMNS:
        return pd.array(values, dtype="string")
    null = np.array([value is None for value in values], dtype=bool)
    filled = [0 if value is None else value for value in values]
    if name in COUNT_COLUMNS:
        return pd.arrays.IntegerArray(np.array(filled, dtype=np.int64), null)
    return pd.arrays.FloatingArray(np.array(filled, dtype=np.float64), null)


def _record(given: Mapping[str, Any]) -> dict[str, Any]:
    record = {**dict.fromkeys(COLUMNS), **given}
    for name in NUMBER_COLUMNS:
        record[name] = _rounded(record[name])
    for name in COUNT_COLUMNS:
        value = record[name]
        record[name] = int(value) if _there(value) and value == value else None
    return record


def _there(value: Any) -> bool:
    """Whether there is a value: None and pandas' NA are none."""
    return value is not None and type(value).__name__ != "NAType"


def _suppress(record: dict[str, Any], why: str) -> None:
    record.update(dict.fromkeys(SUPPRESSED))
    record["effect_label"] = why


def _families(records: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows that split the same number by the levels of one column; periods do not add up to a total."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        split = record["group"].partition("=")[0]
        if split not in ("all", "period"):
            found.setdefault((*(record[k] for k in ("outcome", "term", "model", "measure")), split), []).append(record)
    return list(found.values())
