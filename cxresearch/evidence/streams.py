"""Streams: the complete rows of a large table as they pass by, in pieces; memory is flat in rows.

An embedded engine hands its rows over at less cost than it would sum their products, and a piece in order of its cells
is one product of matrices for each.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxresearch.data.marks import mark
from cxresearch.data.study import Study

Array = NDArray[np.float64]
Index = NDArray[np.intp]
ROWS = 61_440  # of a piece: of fewer, products cost more; more take more memory
FIRST_BITS = 20  # of a hash: by them they are found, for they spread evenly over 2**20
_LISTED: WeakKeyDictionary[Study, Clusters] = WeakKeyDictionary()


@dataclass(frozen=True)
class Clusters:
    """Every cluster of a table by the engine's own hash, in order (C,), and the block of each; so no id is hashed by md5 twice.

    Two that share one would count as one cluster.
    """

    of: object
    hashes: NDArray[np.uint64]
    labels: tuple[str, ...]
    block: NDArray[np.unsignedinteger]

    @cached_property
    def _first(self) -> Index:
        """Where the hashes of each bucket begin: those of the same first bits, of which there are one or two."""
        return np.append(0, np.cumsum(np.bincount(_bucket(self.hashes), minlength=2**FIRST_BITS)))[:-1]

    def runs(self, hashes: NDArray[np.uint64]) -> tuple[Index, Index]:
        """The number of the cluster of each run, and its rows: those of one cluster that lie together, as they often do."""
        begins = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
        sought = hashes[begins]
        at = self._first[_bucket(sought)]
        while (short := self.hashes[at] < sought).any():
            at += short
        return at, np.diff(begins, append=len(hashes))


@dataclass(frozen=True)
class Piece:
    """Some rows in order of their cells: columns less their shift, then the constant, (p + 1, n).

    `cells` are the numbers of the levels of the keys, (c, k), and rows `ends[i - 1]` to `ends[i]` are of cell i.
    The next piece is written over the columns of this one.
    """

    columns: Array
    cells: Index
    ends: Index

    def parts(self) -> Iterator[tuple[tuple[int, ...], slice]]:
        """Each cell that has rows, and which."""
        first = 0
        for cell, last in zip(self.cells.tolist(), self.ends.tolist(), strict=True):
            yield tuple(cell), slice(first, last)
            first = last


class Stream:
    """The rows of a table that have all of some columns, to be passed by any number of times.

    After a pass `levels` names the levels of each key (the first is the block), `asked` and `clusters` are counts.
    """

    def __init__(
        self, study: Study, table: ir.Table, cluster: ir.Value, names: Sequence[str], keys: Sequence[str]
    ) -> None:
        self._study, self._table, self._cluster = study, table, cluster
        self._numbers = {f"c{i}": table[name].cast("float64") for i, name in enumerate(names)}
        self._texts = {f"k{i}": table[name].cast("string") for i, name in enumerate(keys)}
        self.levels: list[list[str]] = [[], *([] for _ in keys)]
        self.asked = self.clusters = 0

    def chunks(self, shift: Array) -> Iterator[Array]:
        """One pass over the rows in any order: columns less their shift, then the constant, (p + 1, n) at a time."""
        for batch in self._study._engine.stream(self._table.select(**self._numbers), ROWS):
            columns, _ = _complete(batch, len(shift))
            if not len(columns[0]):
                continue
            found = np.ones((len(shift) + 1, len(columns[0])))
            for column, middle, of in zip(columns, shift, found[:-1], strict=True):
                np.subtract(column, middle, out=of)
            yield found

    def pieces(self, shift: Array) -> Iterator[Piece]:
        """One pass over the rows in order of their cells."""
        clusters = _clusters(self._study, self._table, self._cluster)
        rows = self._table.select(**self._numbers, **self._texts, cx_hash=mark(self._cluster))
        self.asked, known = 0, [{label: i for i, label in enumerate(levels)} for levels in self.levels[1:]]
        seen = np.zeros(len(clusters.block), dtype=bool)
        room, moved = np.ones((len(shift) + 1, 0)), np.empty(0)
        for batch in self._study._engine.stream(rows, ROWS):
            self.asked += batch.num_rows
            columns, (*texts, hashes) = _complete(batch, len(shift))
            if not len(hashes):
                continue
            met, rows_each = clusters.runs(hashes.to_numpy())
            seen[met] = True
            codes = [np.repeat(clusters.block[met], rows_each)]
            codes += [_coded(text, found) for text, found in zip(texts, known, strict=True)]
            place, cells, ends = _by_cell(codes)
            if room.shape[1] < len(place):
                room, moved = np.ones((len(shift) + 1, len(place))), np.empty(len(place))
            found = room[:, : len(place)]
            for column, middle, of in zip(columns, shift, found[:-1], strict=True):
                # to write out of order takes half the time of reading so: nobody waits for it
                of[place] = np.subtract(column, middle, out=moved[: len(column)])
            yield Piece(found, cells, ends)
        self.levels = [list(clusters.labels), *(list(found) for found in known)]
        self.clusters = int(seen.sum())


def _bucket(hashes: NDArray[np.uint64]) -> Index:
    return (hashes >> np.uint64(64 - FIRST_BITS)).astype(np.intp)


def _complete(batch: pa.RecordBatch, p: int) -> tuple[list[NDArray], list[pa.Array]]:
    """The columns of numbers, and what else there is, of the rows that have all of them."""
    gaps = [pc.is_valid(column) for column in batch.columns if column.null_count]
    if gaps:
        batch = batch.filter(functools.reduce(pc.and_, gaps))
    numbers, rest = [column.to_numpy() for column in batch.columns[:p]], batch.columns[p:]
    # a sum tells of NaN and infinity at a tenth of what it takes to look at each value
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite([column.sum() for column in numbers]).all():
            return numbers, rest
    keep = np.logical_and.reduce([np.isfinite(column) for column in numbers])
    return [column[keep] for column in numbers], [column.filter(pa.array(keep)) for column in rest]


def _coded(text: pa.Array, known: dict[str, int]) -> Index:
    """The number of each label, new ones in order of appearance."""
    found = text.dictionary_encode()
    numbers = np.array([known.setdefault(label, len(known)) for label in found.dictionary.to_pylist()], dtype=np.intp)
    return numbers[found.indices.to_numpy()]


def _by_cell(codes: list[NDArray]) -> tuple[Index, Index, Index]:
    """The place of each row in order of their cells, the cells that have rows, and where each ends."""
    shape = [int(code.max()) + 1 for code in codes]
    cell = codes[0] if len(codes) == 1 else np.ravel_multi_index(codes, shape)
    # a stable sort of small whole numbers is linear
    order = np.argsort(cell.astype(np.min_scalar_type(np.prod(shape)), copy=False), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    counts = np.bincount(cell)
    there = np.flatnonzero(counts)
    return place, np.stack(np.unravel_index(there, shape), axis=1), np.cumsum(counts[there])


def _clusters(study: Study, table: ir.Table, cluster: ir.Value) -> Clusters:
    """The clusters of a table; those of the table asked for last are kept."""
    if study not in _LISTED or _LISTED[study].of != table.op():
        own = table.select(cx_of=cluster).distinct()
        known = own.cx_of.fill_null("")
        block = known.hexdigest("md5")[0:2] if study.many_clusters(study.cluster(table.columns)) else known
        listed = own.select(cx_hash=mark(own.cx_of), cx_block=block).to_pyarrow()
        hashes, blocks = listed["cx_hash"].to_numpy(), listed["cx_block"].dictionary_encode().combine_chunks()
        del listed  # each of these columns is large, so none stays longer than it is needed
        labels, rank = np.unique(np.array(blocks.dictionary.to_pylist(), dtype=str), return_inverse=True)
        order = np.argsort(hashes)
        number = rank.astype(np.min_scalar_type(len(labels)))[blocks.indices.to_numpy()]
        _LISTED[study] = Clusters(table.op(), hashes[order], tuple(labels.tolist()), number[order])
    return _LISTED[study]
