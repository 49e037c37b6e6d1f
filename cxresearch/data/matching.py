"""Matching: rows of small tables brought together in memory by the numbers of their keys; those of large ones the engine joins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MOST_ROWS = 600_000  # of the largest table of a study: beyond it nothing is fetched whole
LOOKED = 1_000  # rows that show whether equal ones lie together
Index = NDArray[np.intp]
Codes = tuple[list[str], Index]  # labels in order, and the number of each row's; -1 where null


def encoded(values: pa.ChunkedArray | pa.Array) -> Codes:
    """Texts as labels in order and the number of each row's."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    # months and sites often lie together: then each run is looked up once
    if len(whole) > LOOKED and len(pc.run_end_encode(whole[:LOOKED]).values) < LOOKED / 10:
        runs = pc.run_end_encode(whole)
        labels, codes = encoded(runs.values)
        return labels, np.repeat(codes, np.diff(runs.run_ends.to_numpy(), prepend=0))
    found = whole.dictionary_encode()
    order = pc.sort_indices(found.dictionary)
    place = np.full(len(order) + 1, -1, dtype=np.intp)  # the last stands for null
    place[order.to_numpy()] = np.arange(len(order))
    codes = found.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return found.dictionary.take(order).to_pylist(), place[codes]


def among(codes: Codes, rows: NDArray[Any]) -> Codes:
    """The labels that stand in some rows (a mask, or their numbers), in order, and the number of each row's."""
    labels, index = codes[0], codes[1][rows]
    used = np.bincount(index + 1, minlength=len(labels) + 1)[1:] > 0
    if used.all():
        return labels, index
    place = np.append(np.cumsum(used) - 1, -1)  # the last stands for null
    return [labels[i] for i in np.flatnonzero(used)], place[index]


def distinct(numbers: Index) -> int:
    """How many different ones there are among whole numbers from -1 on."""
    return int(np.count_nonzero(np.bincount(numbers + 1)))


def renamed(codes: Codes, labels: list[str]) -> Codes:
    """The same codes as places among other labels; -1 where they lack one."""
    place = pc.index_in(pa.array(codes[0], pa.string()), value_set=pa.array(labels, pa.string())).fill_null(-1)
    return labels, np.append(place.to_numpy(), -1)[codes[1]]


def number_of_key(customer: Codes, month: Codes) -> Index:
    """One number for customer and month, in the order of both; -1 where one of them is null."""
    return np.where((customer[1] < 0) | (month[1] < 0), -1, customer[1] * len(month[0]) + month[1])


def meetings(own: Index, there: Index, order: Index) -> tuple[Index, Index]:
    """The rows of two tables that have the same number, in its order; a negative one is nobody's. `order` sorts `there`."""
    count = np.bincount(there + 1, minlength=int(own.max(initial=-1)) + 2)  # of each number, that of nobody first
    begin = (np.cumsum(count) - count)[own + 1]
    found = np.where(own >= 0, count[own + 1], 0)
    left = np.repeat(np.arange(len(own)), found)
    right = order[np.repeat(begin - np.cumsum(found) + found, found) + np.arange(len(left))]
    sort = in_order(own[left])
    return left[sort], right[sort]


def in_order(codes: Index) -> Index:
    """The places of whole numbers from -1 (n,) in their order, those of one number as they stood."""
    rest = codes + 1
    # a stable sort of small whole numbers is linear: of larger ones their last 16 bits are sorted, then the others
    order = np.argsort(rest.astype(np.uint16), kind="stable")
    if (most := rest.max(initial=0)) < 2**16:
        return order
    if most >= 2**32:
        return np.argsort(rest, kind="stable")
    return order[np.argsort((rest >> 16).astype(np.uint16)[order], kind="stable")]
