"""Held: a table that is small enough to be fetched once, as arrays; larger ones are summed where they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxresearch.data import periods
from cxresearch.data.matching import MOST_ROWS, Codes, Index, among, encoded, in_order, meetings, number_of_key, renamed
from cxresearch.data.memory import Fetched, fetched
from cxresearch.data.study import Study
from cxresearch.data.terms import KEYS

Array = NDArray[np.float64]
Asked: TypeAlias = Any  # the rows of a question: a table where it lies, or Held
MOST_TABLES = 16  # selections of rows that are held at a time, apart from those that all questions share
_KEPT: WeakKeyDictionary[Study, dict[Any, Held]] = WeakKeyDictionary()


class Held:
    """The rows of a table in memory: columns as numbers (null is NaN) or as labels with the number of each row's."""

    def __init__(self, study: Study, rows: Fetched, *, shared: bool = False) -> None:
        self.shared = shared  # many questions are asked of these rows
        self._rows, self.n, self.two_way = rows, rows.num_rows, study.two_way and "period" in rows.column_names
        self.columns = tuple(rows.column_names)
        self._cluster = study.cluster(rows.column_names)
        self._many = study.many_clusters(self._cluster)
        self._numbers: dict[str, Array] = {}
        self._there: dict[str, NDArray[np.bool_] | None] = {}  # which rows have a value; None where all do
        self._texts: dict[str, Codes] = {}

    def part(self, rows: NDArray[Any], **values: Array) -> Held:
        """Some of the rows (a mask, or their numbers), with other values of some columns or with more columns."""
        return _Part(self, np.flatnonzero(rows) if rows.dtype == bool else rows, values)

    def number(self, name: str) -> Array:
        """A column as numbers, NaN where null."""
        if name not in self._numbers:
            self._numbers[name] = self._number(name)
        return self._numbers[name]

    def _number(self, name: str) -> Array:
        return pc.cast(self._rows[name], pa.float64()).to_numpy()

    def column(self, name: str) -> pa.ChunkedArray:
        """A column as it was fetched."""
        return self._rows[name]

    def there(self, name: str) -> NDArray[np.bool_]:
        """Which rows have a value of a column of any kind."""
        column = self._rows[name]
        return np.asarray(pc.is_valid(column)) if column.null_count else np.ones(self.n, dtype=bool)

    def whole(self, name: str) -> bool:
        """Whether all rows have a column as a number."""
        if name not in self._there:
            there = np.isfinite(self.number(name))
            self._there[name] = None if there.all() else there
        return self._there[name] is None

    def known(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which rows have all of some columns as numbers."""
        keep = np.ones(self.n, dtype=bool)
        for name in names:
            if not self.whole(name):
                keep &= self._there[name]
        return keep

    def text(self, name: str) -> Codes:
        """The labels of a column in order, and the number of each row's; -1 where null."""
        if name not in self._texts:
            self._texts[name] = self._text(name)
        return self._texts[name]

    def _text(self, name: str) -> Codes:
        return self._rows.text(name)

    @cached_property
    def cluster(self) -> Codes:
        """The cluster of each row; a row without one is a cluster by its customer."""
        if not self._rows[self._cluster].null_count:
            return self.text(self._cluster)
        own, customer = (pc.cast(self._rows[name], pa.string()) for name in (self._cluster, "customer_id"))
        return encoded(pc.coalesce(own, customer))

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

    @cached_property
    def parts_by_block(self) -> tuple[Codes, Index]:
        """The block and the cluster of each row in that order."""
        return among(self.block, self.by_block), self.cluster[1][self.by_block]

    @property
    def numbered_keys(self) -> tuple[Index, Index]:
        """One number for customer and month of each row, and the rows in its order."""
        return self._rows.numbered_keys


class _Part(Held):
    """Some of the rows of a table that is held: nothing is fetched anew."""

    def __init__(self, whole: Held, rows: Index, values: dict[str, Array]) -> None:
        self.shared, self.n, self.two_way = False, len(rows), whole.two_way
        self.columns = tuple(dict.fromkeys([*whole.columns, *values]))
        self._whole, self._at = whole, rows
        self._numbers, self._there, self._texts = dict(values), {}, {}

    def _number(self, name: str) -> Array:
        return self._whole.number(name)[self._at]

    def _text(self, name: str) -> Codes:
        return among(self._whole.text(name), self._at)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column as it was fetched, or its values of these rows alone."""
        return (
            pa.chunked_array([self._numbers[name]])
            if name in self._numbers
            else self._whole.column(name).take(self._at)
        )

    def there(self, name: str) -> NDArray[np.bool_]:
        """Which rows have a value of a column of any kind."""
        return self.known([name]) if name in self._numbers else self._whole.there(name)[self._at]

    @cached_property
    def numbered_keys(self) -> tuple[Index, Index]:
        """One number for customer and month of each row, and the rows in its order."""
        numbers = number_of_key(*map(self.text, KEYS))
        return numbers, in_order(numbers)

    @cached_property
    def cluster(self) -> Codes:
        """The cluster of each row."""
        return among(self._whole.cluster, self._at)

    @cached_property
    def block(self) -> Codes:
        """The block of each row."""
        return among(self._whole.block, self._at)


def hold(study: Study, table: Asked, columns: Sequence[str]) -> Held | None:
    """The rows of a table that have these columns, fetched when first asked for; None where the study is too large."""
    if isinstance(table, Held):
        return table
    if study.most_rows > MOST_ROWS:
        return None
    kept = _KEPT.setdefault(study, {})
    key, ids = table.op(), ["customer_id", "period", study.cluster(table.columns)]
    shared = fetched(table)
    if shared is not None:  # those that are not there yet, at once
        shared.prepare([c for c in (*ids, *columns) if c in shared.column_names])
    if key in kept and set(columns) <= set(kept[key].columns):
        return kept[key]
    before = kept[key].columns if key in kept else []
    own = [op for op, held in kept.items() if not held.shared]
    for op in own[: max(len(own) + 1 - MOST_TABLES, 0)]:
        del kept[op]
    if shared is not None:
        kept[key] = Held(study, shared, shared=True)
    else:
        wanted = dict.fromkeys(c for c in (*before, *ids, *columns) if c in table.columns)
        kept[key] = Held(study, Fetched.of(table.select(*wanted).to_pyarrow()))
    return kept[key]


def levels(study: Study, table: Asked, by: str) -> list[tuple[Any, Asked]]:
    """The levels of a term in order, each with its rows."""
    held = hold(study, table, [by])
    if held is not None and pa.types.is_string(held.column(by).type):
        labels, level = held.text(by)
        return [(label, held.part(level == i)) for i, label in enumerate(labels)]
    found = table.select(by).distinct().to_pyarrow()[by].to_pylist()
    return [(level, table.filter(table[by] == level)) for level in sorted(v for v in found if v is not None)]


def combinations(table: Held, terms: Sequence[str]) -> list[dict[str, Any]]:
    """Each combination of values that some terms have, and how many `people` have it."""
    own = np.zeros(table.n, dtype=np.intp)
    for term in terms:
        found = table.column(term).combine_chunks().dictionary_encode("encode")
        pairs = own * len(found.dictionary) + found.indices.to_numpy()
        own = np.unique(pairs, return_inverse=True)[1]
    first = np.unique(own, return_index=True)[1]
    people = np.bincount(np.unique(own * table.n + table.text("customer_id")[1]) // max(table.n, 1))
    values = pa.table({term: table.column(term).take(first) for term in terms}).to_pylist()
    return [value | {"people": count} for value, count in zip(values, people.tolist(), strict=True)]


def complete(table: Asked, columns: Sequence[str]) -> Asked:
    """The rows that have all of these columns."""
    if isinstance(table, Held):
        return table.part(table.known(columns))
    return table.filter(*(table[c].notnull() for c in columns))


def met(table: Held, other: Held, months: int = 0) -> tuple[Index, Index]:
    """The rows of two tables that are of one customer, those of the other so many months before: of each their numbers."""
    clients, then = other.text("customer_id")[0], [periods.shift(month, months) for month in other.period[0]]
    own = number_of_key(*(renamed(table.text(key), labels) for key, labels in zip(KEYS, (clients, then), strict=True)))
    return meetings(own, *other.numbered_keys)
