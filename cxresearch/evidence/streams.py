"""Streams: the complete rows of a large table as they pass by, in pieces; memory is flat in rows.

An embedded engine hands its rows over at less cost than it would sum their products, and a piece in order of its cells
is one product of matrices for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxresearch.data.study import Study

Array = NDArray[np.float64]
Index = NDArray[np.intp]
ROWS = 30_720  # of a piece: what an engine reads at a time, and little memory
CHUNK = 512  # rows of a product: of larger ones a library makes threads, which cost more than they spare
_LISTED: WeakKeyDictionary[Study, Clusters] = WeakKeyDictionary()


@dataclass(frozen=True)
class Clusters:
    """Every cluster of a table with a number, kept by the engine, and the block of each number.

    So each id is hashed once and not once a row.
    """

    of: object
    kept: ir.Table
    labels: tuple[str, ...]
    block: Index


@dataclass(frozen=True)
class Piece:
    """Some rows in order of their cells: columns less their shift, then the constant, (p + 1, n).

    `cells` are the numbers of the levels of the keys, (c, k), and rows `ends[i - 1]` to `ends[i]` are of cell i.
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
        self._engine, self._clusters = study._engine, _clusters(study, table, cluster)
        listed = self._clusters.kept.drop("cx_block")
        own = {f"c{i}": table[name].cast("float64") for i, name in enumerate(names)}
        texts = {f"k{i}": table[name].cast("string") for i, name in enumerate(keys)}
        wide = table.select(cx_cluster=_known(cluster), **own, **texts)
        self._rows = wide.inner_join(listed, wide.cx_cluster == listed.cx_of).drop("cx_cluster", "cx_of")
        self._p, self._k = len(names), len(keys)
        self.levels: list[list[str]] = [list(self._clusters.labels), *([] for _ in keys)]
        self.asked = self.clusters = 0

    def pieces(self, shift: Array, *, by_cell: bool = True) -> Iterator[Piece]:
        """One pass over the rows; with `by_cell` false all are one cell, in chunks, which costs less."""
        self.asked, known = 0, [{label: i for i, label in enumerate(levels)} for levels in self.levels[1:]]
        seen = np.zeros(len(self._clusters.block), dtype=bool)
        for batch in self._engine.stream(self._rows, ROWS):
            self.asked += batch.num_rows
            columns, number, *texts = _complete(batch, self._p)
            seen[number] = True
            if not len(number):
                continue
            if by_cell:
                codes = [self._clusters.block[number]]
                codes += [_coded(text, found) for text, found in zip(texts, known, strict=True)]
                order, cells, ends = _by_cell(codes)
            else:
                ends = np.append(np.arange(CHUNK, len(number), CHUNK), len(number))
                order, cells = None, np.zeros((len(ends), 1 + self._k), dtype=np.intp)
            yield Piece(_shifted(columns, shift, order), cells, ends)
        self.levels[1:] = [list(found) for found in known]
        self.clusters = int(seen.sum())


def _complete(batch: pa.RecordBatch, p: int) -> tuple:
    """Columns of numbers, the number of the cluster and texts of the rows that have all of them."""
    gaps = [c for c in batch.columns if c.null_count]
    if gaps:
        keep = pc.is_valid(gaps[0])
        for column in gaps[1:]:
            keep = pc.and_(keep, pc.is_valid(column))
        batch = batch.filter(keep)
    numbers = [column.to_numpy() for column in batch.columns[:p]]
    # NaN is looked for here: of what Parquet's statistics do not know an engine may think that it is not there
    if not all(np.isfinite(column.sum()) for column in numbers):
        finite = np.isfinite(np.stack(numbers)).all(0)
        batch = batch.filter(pa.array(finite))
        numbers = [column[finite] for column in numbers]
    return numbers, batch.columns[-1].to_numpy(), *batch.columns[p:-1]


def _coded(text: pa.Array, known: dict[str, int]) -> Index:
    """The number of each label, new ones in order of appearance."""
    found = text.dictionary_encode()
    numbers = np.array([known.setdefault(label, len(known)) for label in found.dictionary.to_pylist()], dtype=np.intp)
    return numbers[found.indices.to_numpy()]


def _by_cell(codes: list[NDArray]) -> tuple[Index, Index, Index]:
    """The order of rows by their cell, the cells that have rows, and where each ends."""
    shape = [int(code.max()) + 1 for code in codes]
    place = np.ravel_multi_index(codes, shape)
    # a stable sort of small whole numbers is linear
    small = place.astype(np.uint16) if np.prod(shape) <= 2**16 else place
    counts = np.bincount(place)
    there = np.flatnonzero(counts)
    return np.argsort(small, kind="stable"), np.stack(np.unravel_index(there, shape), axis=1), np.cumsum(counts[there])


def _shifted(columns: list[Array], shift: Array, order: Index | None) -> Array:
    """Columns in order, less their shift, and a constant."""
    found = np.ones((len(columns) + 1, len(columns[0])))
    for i, column in enumerate(columns):
        if order is not None:
            column = np.take(column, order, out=found[i], mode="clip")
        np.subtract(column, shift[i], out=found[i])
    return found


def _known(cluster: ir.Value) -> ir.Value:
    return cluster.fill_null("")


def _clusters(study: Study, table: ir.Table, cluster: ir.Value) -> Clusters:
    """The clusters of a table; those of the table asked for last are kept."""
    if study not in _LISTED or _LISTED[study].of != table.op():
        if study in _LISTED:
            study._engine.drop(_LISTED.pop(study).kept)
        own = table.select(cx_of=_known(cluster)).distinct()
        many = study.many_clusters(study.cluster(table.columns))
        block = own.cx_of.hexdigest("md5")[0:2] if many else own.cx_of
        listed = study._engine.keep(own.mutate(cx_block=block, cx_number=ibis.row_number().cast("int32")))
        got = listed.select("cx_block", "cx_number").to_pyarrow()
        labels, of = np.unique(got["cx_block"].to_numpy().astype(str), return_inverse=True)
        blocks = np.zeros(len(of), dtype=np.intp)
        blocks[got["cx_number"].to_numpy()] = of
        _LISTED[study] = Clusters(table.op(), listed, tuple(labels.tolist()), blocks)
    return _LISTED[study]
