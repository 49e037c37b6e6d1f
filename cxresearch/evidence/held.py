"""Held: a table that is small enough to be fetched once, as arrays; larger ones are summed where they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxresearch.data.matching import MOST_ROWS
from cxresearch.data.study import Study

Array = NDArray[np.float64]
Codes = tuple[list[str], NDArray[np.intp]]
MOST_TABLES = 16  # selections of rows that are held at a time, apart from those that all questions share
_KEPT: WeakKeyDictionary[Study, dict[Any, Held]] = WeakKeyDictionary()


class Held:
    """The rows of a table in memory: columns as numbers (null is NaN) or as labels with the number of each row's."""

    def __init__(self, study: Study, rows: pa.Table, *, shared: bool = False) -> None:
        self.shared = shared  # many questions are asked of these rows
        self._rows, self.n, self.two_way = rows, rows.num_rows, study.two_way and "period" in rows.column_names
        self._cluster = study.cluster(rows.column_names)
        self._many = study.many_clusters(self._cluster)
        self._numbers: dict[str, Array] = {}
        self._there: dict[str, NDArray[np.bool_] | None] = {}  # which rows have a value; None where all do
        self._texts: dict[str, Codes] = {}

    def number(self, name: str) -> Array:
        """A column as numbers, NaN where null."""
        if name not in self._numbers:
            self._numbers[name] = pc.cast(self._rows[name], pa.float64()).to_numpy()
        return self._numbers[name]

    def column(self, name: str) -> pa.ChunkedArray:
        """A column as it was fetched."""
        return self._rows[name]

    def there(self, name: str) -> NDArray[np.bool_]:
        """Which rows have a value of a column of any kind."""
        return np.asarray(pc.is_valid(self._rows[name]))

    def known(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which rows have all of some columns as numbers."""
        keep = np.ones(self.n, dtype=bool)
        for name in names:
            if name not in self._there:
                there = np.isfinite(self.number(name))
                self._there[name] = None if there.all() else there
            if (known := self._there[name]) is not None:
                keep &= known
        return keep

    def text(self, name: str) -> Codes:
        """The labels of a column in order, and the number of each row's; -1 where null."""
        if name not in self._texts:
            self._texts[name] = _encoded(pc.cast(self._rows[name], pa.string()))
        return self._texts[name]

    @cached_property
    def cluster(self) -> Codes:
        """The cluster of each row; a row without one is a cluster by its customer."""
        customer = pc.cast(self._rows["customer_id"], pa.string())
        if self._cluster == "customer_id":
            return self.text("customer_id")
        return _encoded(pc.coalesce(pc.cast(self._rows[self._cluster], pa.string()), customer))

    @cached_property
    def block(self) -> Codes:
        """The block of each row: its cluster, or where there are many the first two hex digits of the md5 of its id."""
        labels, index = self.cluster
        if not self._many:
            return labels, index
        digits = [hashlib.md5(label.encode(), usedforsecurity=False).hexdigest()[:2] for label in labels]
        blocks, of_label = np.unique(np.array(digits, dtype=str), return_inverse=True)
        return blocks.tolist(), of_label[index].astype(np.intp)

    @property
    def period(self) -> Codes:
        """The period of each row."""
        return self.text("period")

    @cached_property
    def by_block(self) -> NDArray[np.intp]:
        """The rows by block, and where months share shocks by period within it: those of a part stand together."""
        _, block = self.block
        if self.two_way:
            block = block * len(self.period[0]) + self.period[1]
        return in_order(block)

    @staticmethod
    def among(codes: Codes, rows: NDArray[Any]) -> Codes:
        """The labels that stand in some rows (a mask, or their numbers), in order, and the number of each row's."""
        labels, index = codes[0], codes[1][rows]
        used = np.bincount(index, minlength=len(labels)) > 0
        if used.all():
            return labels, index
        return [labels[i] for i in np.flatnonzero(used)], (np.cumsum(used) - 1)[index]


def hold(study: Study, table: ir.Table, columns: Sequence[str]) -> Held | None:
    """The rows of a table that have these columns, fetched when first asked for; None where the study is too large."""
    if study.most_rows > MOST_ROWS:
        return None
    kept = _KEPT.setdefault(study, {})
    key = table.op()
    if key in kept and set(columns) <= set(kept[key]._rows.column_names):
        return kept[key]
    ids = ["customer_id", "period", study.cluster(table.columns)]
    before = kept[key]._rows.column_names if key in kept else []
    shared = study.fetched(table)
    own = [op for op, held in kept.items() if not held.shared]
    for op in own[: max(len(own) + 1 - MOST_TABLES, 0)]:
        del kept[op]
    if shared is not None:
        kept[key] = Held(study, shared, shared=True)
    else:
        wanted = dict.fromkeys(c for c in (*before, *ids, *columns) if c in table.columns)
        kept[key] = Held(study, table.select(*wanted).to_pyarrow())
    return kept[key]


def in_order(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """The places of codes (n,) in their order, those of one code as they stood."""
    # a stable sort of small whole numbers is linear
    return np.argsort(codes.astype(np.uint16) if codes.max(initial=0) < 2**16 else codes, kind="stable")


def _encoded(values: pa.ChunkedArray) -> Codes:
    found = (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).dictionary_encode()
    order = pc.sort_indices(found.dictionary)
    place = np.full(len(order) + 1, -1, dtype=np.intp)  # the last stands for null
    place[order.to_numpy()] = np.arange(len(order))
    codes = found.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return found.dictionary.take(order).to_pylist(), place[codes]
