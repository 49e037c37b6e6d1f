"""Stays: the months of each customer without a gap, made from monthly rows that are held in memory.

The same stays as `lives` asks of the engine where a table is too large to be fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxresearch.data.matching import Codes, Index
from cxresearch.data.study import Study
from cxresearch.evidence.held import Held

Array = NDArray[np.float64]
NEVER = -1  # month of what is not known of a customer


@dataclass(frozen=True)
class Stays:
    """Stays as a table with customer, known terms, `entry`, `exit`, `left`, `cause`, `cluster`; and what was counted.

    `customers` were seen, `clocked` of them have a clock, `anchored` of these the known terms in time; `back` came back
    after leaving.
    """

    table: pa.Table
    customers: int
    clocked: int
    anchored: int
    back: int


@dataclass(frozen=True)
class Clocks:
    """Rows by customer and month: of each its place, customer and month, 0 the first of the window (n,), and whether it is of a life, up to leaving.

    Of each customer (C,) how many rows, whether a clock runs, and what it is ahead of the month; of all, how many were
    seen and how many of them came back after leaving.
    """

    order: Index
    own: Index
    month: Index
    life: NDArray[np.bool_]
    rows: Index
    clocked: NDArray[np.bool_]
    shift: Array
    customers: int
    back: int


# of the same rows several questions are asked, each of another clock or none
_CLOCKS: WeakKeyDictionary[Held, dict[tuple[str, float], Clocks]] = WeakKeyDictionary()


def stayed(
    study: Study, panel: Held, source: Held, known: Sequence[str], clock: str, cause: str | None,
    *, drift: float, after: float, landmark: float | None,
) -> Stays:  # fmt: skip
    """The stays of the rows of `panel`; `source` has the rows that say what was known, the same rows or those of answers.

    `clock` is the column of tenure, or nothing: then months count from the first that was seen. A tenure that differs
    by more than `drift` from the months that passed gives no clock. Risk counts `after` a month on the clock.
    """
    made = _CLOCKS.setdefault(panel, {})
    if (clock, drift) not in made:
        made[clock, drift] = _clocks(study, panel, clock, drift)
    at, names = made[clock, drift], panel.text("customer_id")[0]
    churned = panel.number("churned")[at.order]
    row, anchor = _anchors(study, source, names, known, clock, at.clocked, at.shift, landmark)
    # month by month from what is known, and from the clock that was asked for
    earliest = np.where(at.clocked, np.maximum(anchor, np.ceil(after - at.shift)), np.inf)
    at_risk = at.life & np.isfinite(churned) & (at.month >= np.repeat(earliest, at.rows))
    here = np.flatnonzero(at_risk)
    month, own = at.month[here], at.own[here]
    begin = np.flatnonzero(np.r_[True, (own[1:] != own[:-1]) | (month[1:] != month[:-1] + 1)][: len(here)])
    end, who = np.r_[begin[1:], len(here)][: len(begin)] - 1, own[begin]
    taken, places = pa.array(row[who]), at.order[here]
    columns = {name: source.column(name).take(taken) for name in known if name != "customer_id"}
    columns |= {
        "customer_id": pa.array(names, pa.string()).take(pa.array(who)),
        "entry": pa.array(month[begin] + at.shift[who]),
        "exit": pa.array(month[end] + at.shift[who] + 1),
        "left": pa.array(np.maximum.reduceat(churned[here], begin) if len(begin) else np.zeros(0)),
        "cause": _last(panel.text(cause), places, begin) if cause else pa.nulls(len(begin), pa.string()),
        "cluster": _first(panel.cluster, places, begin),
    }
    return Stays(pa.table(columns), at.customers, int(at.clocked.sum()), int((row != NEVER).sum()), at.back)


def _clocks(study: Study, panel: Held, clock: str, drift: float) -> Clocks:
    order, own = panel.numbered_keys[1], panel.text("customer_id")[1]
    rows = np.bincount(own)
    begins = np.cumsum(rows) - rows
    own, month, left = own[order], _months(study, panel)[order], panel.number("churned")[order] == 1
    tenure = np.floor(panel.number(clock)[order]) if clock else np.zeros(panel.n)
    there = np.isfinite(tenure)

    def each(of: np.ufunc, chosen: NDArray[np.bool_], values: Array | Index, otherwise: float) -> Array:
        """The least or greatest value of each customer among the rows that are chosen."""
        found = np.where(chosen, values, otherwise)
        return np.asarray(of.reduceat(found, begins) if len(found) else found)

    gone = each(np.minimum, there & left, month, study.window)
    back = int((each(np.maximum, there, month, NEVER) > gone).sum())
    life = there & (month <= np.repeat(gone, rows))
    low = each(np.minimum, life, tenure - month, np.inf)
    clocked = np.isfinite(low)
    if clock:
        clocked &= each(np.maximum, life, tenure - month, -np.inf) - low <= drift
    # without a tenure the clock starts with the first month that was seen
    start = low if clock else -each(np.minimum, life, month, study.window)
    seen = int((each(np.maximum, there, month, NEVER) > NEVER).sum())
    return Clocks(order, own, month, life, rows, clocked, np.where(clocked, start, 0.0), seen, back)


def _anchors(
    study: Study, source: Held, names: list[str], known: Sequence[str], clock: str, clocked: NDArray[np.bool_], shift: Array,
    landmark: float | None,
) -> tuple[Index, Index]:  # fmt: skip
    """For each customer the row of the first month in which all known terms are, with a landmark of the last up to it; and the month."""
    labels, own = source.text("customer_id")
    if labels is not names:  # other rows, so customers have other numbers
        place = {name: i for i, name in enumerate(names)}
        own = np.array([place.get(name, NEVER) for name in labels], dtype=np.intp)[own]
    whole = own != NEVER
    for there in [source.there(name) for name in known] or [source.known([clock] if clock else [])]:
        whole &= there
    rows = np.flatnonzero(whole)
    rows = rows[clocked[own[rows]]]
    month = _months(study, source)
    if landmark is not None:
        rows = rows[month[rows] + shift[own[rows]] <= landmark]
    # month and row as one number, so that of several rows of one month the last one stands
    far = month[rows] if landmark is not None else study.window - month[rows]
    found = _most(own[rows], far * source.n + rows, len(names))
    row = np.where(found == NEVER, NEVER, found % max(source.n, 1))
    return row, np.where(found == NEVER, study.window + 1, month[row])


def _months(study: Study, table: Held) -> Index:
    """The month of each row, 0 the first of the window."""
    names, index = table.period
    return np.array([study.periods.index(name) for name in names], dtype=np.intp)[index]


def _most(own: Index, values: Index, count: int) -> Index:
    found = np.full(count, NEVER)
    np.maximum.at(found, own, values)
    return found


def _first(codes: Codes, rows: Index, begin: Index) -> pa.Array:
    """The first label in order among the rows of each stay."""
    return _label(codes, rows, begin, np.minimum)


def _last(codes: Codes, rows: Index, begin: Index) -> pa.Array:
    """The last label in order among the rows of each stay; null where none has one."""
    return _label(codes, rows, begin, np.maximum)


def _label(codes: Codes, rows: Index, begin: Index, of: np.ufunc) -> pa.Array:
    found = of.reduceat(codes[1][rows], begin) if len(begin) else np.zeros(0, dtype=np.intp)
    return pa.array(codes[0], pa.string()).take(pa.array(found, mask=found == NEVER))
