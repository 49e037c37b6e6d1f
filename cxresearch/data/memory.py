"""Memory: rows of a small study that are fetched, each column when a question first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.operations import InMemoryTable
from ibis.formats.pyarrow import PyArrowTableProxy

from cxresearch.data.columns import WHOSE
from cxresearch.data.matching import Codes, Index, among, encoded, in_order, meetings, number_of_key, renamed
from cxresearch.data.terms import KEYS
from cxresearch.errors import UsageError


class Fetched:
    """Rows whose columns are fetched when first asked for: `fetch` gives those named, or at once all that there are.

    `file` is where rows lie that are fetched by and by, each time with `WHOSE` they are. Where it was written anew, or
    its rows come in another order, all columns are fetched again; a UsageError where those of before have changed.
    """

    __hash__ = None  # type: ignore[assignment]  # Ibis takes for data what has none

    def __init__(self, schema: ibis.Schema, fetch: Callable[[list[str]], pa.Table], file: Path | None = None) -> None:
        self.schema, self.column_names = schema, list(schema.names)
        self._fetch, self._file, self._before = fetch, file, _state(file)
        self._columns: dict[str, pa.ChunkedArray] = {}
        self._texts: dict[str, Codes] = {}

    @classmethod
    def of(cls, rows: pa.Table) -> Fetched:
        """Rows that are there."""
        made = cls(ibis.Schema.from_pyarrow(rows.schema), lambda _: rows)
        made.select(made.column_names)
        return made

    def __repr__(self) -> str:
        there = (name for name in self._columns if name != WHOSE)
        return f"Fetched({', '.join(there)} of {len(self.column_names)} columns)"

    def prepare(self, names: Sequence[str]) -> None:
        """Fetch columns that are not there yet, together."""
        if lacking := [name for name in dict.fromkeys(names) if name not in self._columns]:
            got = self._more(lacking)
            self._columns |= {name: got[name] for name in got.column_names}

    def select(self, names: Sequence[str]) -> pa.Table:
        """Some columns, those that are not there yet fetched together."""
        self.prepare(names)
        return pa.table({name: self._column(name) for name in names})

    def _column(self, name: str) -> pa.ChunkedArray:
        return self._columns[name]

    def only(self, names: Sequence[str]) -> Fetched:
        """The same rows with some of the columns: an expression of them fetches all that there are."""
        return Fetched(ibis.schema({name: self.schema[name] for name in names}), self.select)

    def _more(self, names: list[str]) -> pa.Table:
        """More columns, of the same rows in the same order as those that are there."""
        got = self._fetch(names)
        if self._file is None or not self._columns:
            return got
        # an engine gives the rows of one file in one order; were it otherwise, columns would be mixed unseen
        if _state(self._file) != self._before or not got[WHOSE].equals(self._columns[WHOSE]):
            got = self._fetch([name for name in self.column_names if name in names or name in self._columns])
            if not all(got[name].equals(column) for name, column in self._columns.items()):
                raise UsageError(f"{self._file.name} changed while its study was open; open the study again")
        return got

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return self.select([name])[name]

    @cached_property
    def num_rows(self) -> int:
        """How many rows."""
        return len(next(iter(self._columns.values()))) if self._columns else self.select(KEYS).num_rows

    def text(self, name: str) -> Codes:
        """A column as texts: the labels in order, and the number of each row's; -1 where null."""
        if name not in self._texts:
            self._texts[name] = encoded(pc.cast(self[name], pa.string()))
        return self._texts[name]

    def coded(self, name: str) -> pa.DictionaryArray:
        """A column as texts, each label once and the number of each row's."""
        labels, index = self.text(name)
        return pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), pa.array(labels, pa.string()))

    @cached_property
    def numbered_keys(self) -> tuple[Index, Index]:
        """One number for customer and month of each row, and the rows in its order."""
        self.prepare(KEYS)
        numbers = number_of_key(*map(self.text, KEYS))
        return numbers, in_order(numbers)

    @property
    def ordered(self) -> pa.Array:
        """The places of the rows by customer and month; what lacks one of them stands last."""
        numbers, order = self.numbered_keys
        return pa.array(np.roll(order, -np.count_nonzero(numbers < 0)))

    def table(self) -> ir.Table:
        """The rows as a table for Ibis, which takes them whole once an expression is asked of it."""
        return InMemoryTable(name=ibis.util.gen_name("fetched"), schema=self.schema, data=_Whole(self)).to_expr()


class Taken(Fetched):
    """Rows of others that are fetched, by their places there: each column is taken when it is read, texts by their numbers.

    `sides` are those others with the columns that are taken of each; `places` gives for each of them its rows.
    """

    def __init__(
        self, schema: ibis.Schema, sides: Sequence[tuple[Fetched, list[str]]], places: Callable[[], Sequence[Index]]
    ) -> None:
        super().__init__(schema, self.select)
        self._sides, self._places = sides, cache(places)

    def prepare(self, names: Sequence[str]) -> None:
        """Fetch columns of each side that are not there yet, together."""
        for side, own in self._sides:
            side.prepare([*KEYS, *(name for name in names if name in own)])  # places are known by the keys

    def _column(self, name: str) -> pa.ChunkedArray:
        if name not in self._columns:
            side, at = self._side(name)
            self._columns[name] = side[name].take(pa.array(at))
        return self._columns[name]

    def text(self, name: str) -> Codes:
        """A column as texts: the labels in order, and the number of each row's; -1 where null."""
        if name not in self._texts:
            side, at = self._side(name)
            self._texts[name] = among(side.text(name), at)
        return self._texts[name]

    @cached_property
    def num_rows(self) -> int:
        """How many rows."""
        return len(self._places()[0])

    def _side(self, name: str) -> tuple[Fetched, Index]:
        """The rows that a column is taken of, and where."""
        return next((side, at) for (side, own), at in zip(self._sides, self._places(), strict=True) if name in own)


def matched(own: Fetched, panel: Fetched, columns: Collection[str] | None = None) -> Fetched:
    """Each of some rows with the panel row of its customer and month, in order of these; what lacks one is left out.

    The same rows in the same order as of an inner join that is sorted; it costs a tenth, for only numbers are sorted.
    Of the panel all columns stand beside them, or those that are named.
    """

    def places() -> tuple[Index, Index]:
        keys = [renamed(own.text(key), panel.text(key)[0]) for key in KEYS]
        return meetings(number_of_key(*keys), *panel.numbered_keys)

    more = [c for c in panel.column_names if c not in own.column_names and (columns is None or c in columns)]
    schema = ibis.schema({**{name: panel.schema[name] for name in more}, **own.schema})
    return Taken(schema, [(own, own.column_names), (panel, more)], places)


def fetched(table: ir.Table) -> Fetched | None:
    """The rows of a table that are in memory, whole or in part; None where it is looked at where it lies."""
    data = getattr(table.op(), "data", None)
    if not isinstance(data, PyArrowTableProxy):
        return None
    return data.obj if isinstance(data.obj, Fetched) else Fetched.of(data.obj)


def _state(file: Path | None) -> tuple[int, ...]:
    """What tells a file from one that was written in its place."""
    if file is None or not file.is_file():
        return ()
    about = file.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


class _Whole(PyArrowTableProxy):
    def to_pyarrow(self, schema: Any) -> pa.Table:
        return self.obj.select(self.obj.column_names)
