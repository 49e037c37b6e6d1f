"""Rows: a few columns of a question as arrays, for what needs rows; beyond a cap a stated sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxresearch.data.matching import among
from cxresearch.data.study import Study
from cxresearch.evidence.blocks import Members, members
from cxresearch.evidence.held import Asked, Held, hold
from cxresearch.evidence.sums import block_of, cluster_of, months_count, narrowed

CAP = 1_000_000


@dataclass(frozen=True)
class Rows:
    """Complete rows of some columns: values (n, p), which part each row is left out with, cluster numbers (n,).

    `asked` counts the rows asked for; `sampled` says that whole customers were sampled.
    """

    columns: tuple[str, ...]
    values: NDArray[np.float64]
    members: Members
    clusters: NDArray[np.intp]
    asked: int
    sampled: bool

    @property
    def n(self) -> int:
        """How many rows."""
        return len(self.values)

    @property
    def blocks(self) -> NDArray[np.intp]:
        """The block of each row, (n,)."""
        return self.members.of_row[0]

    @property
    def cluster_count(self) -> int:
        """How many clusters."""
        return int(self.clusters.max()) + 1 if self.n else 0

    @property
    def independent(self) -> bool:
        """Whether every row is a cluster of its own and months share nothing."""
        return self.cluster_count == self.n and len(self.members.of_row) == 1

    def of(self, name: str) -> NDArray[np.float64]:
        """One column."""
        return self.values[:, self.columns.index(name)]


def rows(study: Study, table: Asked, columns: Sequence[str]) -> Rows:
    """The complete rows of columns. Beyond the cap whole customers are sampled by the md5 of their id."""
    names = list(dict.fromkeys(columns))
    small = hold(study, table, names)
    if small is not None:
        return _rows_of(small, names, small.known(names))
    table = narrowed(study, table, names)
    complete = table.filter(*(table[c].notnull() for c in names))
    counted = complete.aggregate(complete=complete.count()).mutate(asked=table.count().as_scalar())
    whole, asked = counted.to_pyarrow().to_pylist()[0].values()
    sampled = whole > CAP
    if sampled:
        share = min(int(65536 * CAP / whole), 65535)
        complete = complete.filter(complete.customer_id.hexdigest("md5")[0:4] < f"{share:04x}")
    keys = {"cx_block": block_of(study, complete), "cx_cluster": cluster_of(study, complete)}
    if months_count(study, complete):
        keys["cx_period"] = complete.period
    got = complete.select(*names, **keys).to_pyarrow()
    values = np.column_stack([got[c].to_numpy(zero_copy_only=False).astype(float) for c in names])
    numbered = {key: _numbered(got[key]) for key in keys}
    parts = members(*numbered["cx_block"], *numbered.get("cx_period", ((), None)))
    return Rows(tuple(names), values, parts, numbered["cx_cluster"][1], asked, sampled)


def rows_among(table: Held, columns: Sequence[str], chosen: NDArray[np.bool_]) -> Rows:
    """The complete rows of columns among some of the rows (n,) of a table that is held."""
    names = list(dict.fromkeys(columns))
    return _rows_of(table, names, table.known(names) & chosen)


def rows_by_block(table: Held, columns: Sequence[str]) -> Rows:
    """The complete rows of columns, those of a block together: what is summed by block need not bring them together each time."""
    names = list(dict.fromkeys(columns))
    return _rows_of(table, names, table.by_block[table.known(names)[table.by_block]])


def _rows_of(table: Held, names: list[str], chosen: NDArray[Any]) -> Rows:
    """Some rows of a table that is held: a mask, or their numbers."""
    every = chosen.dtype == bool and bool(chosen.all())
    at: Any = slice(None) if every else np.flatnonzero(chosen) if chosen.dtype == bool else chosen
    values = np.empty((len(names), table.n if every else len(at)))  # column by column, as sums over rows read it
    for name, own in zip(names, values, strict=True):
        if every:
            own[:] = table.number(name)
        else:
            np.take(table.number(name), at, out=own, mode="clip")  # unlike "raise", without a copy
    period = among(table.period, at) if table.two_way else ((), None)
    parts = members(*among(table.block, at), *period)
    return Rows(tuple(names), values.T, parts, among(table.cluster, at)[1], table.n, False)


def _numbered(labels: pa.ChunkedArray) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct labels by first appearance, and the number of each row's."""
    found = labels.combine_chunks().dictionary_encode()
    return found.dictionary.to_pylist(), found.indices.to_numpy(zero_copy_only=False).astype(np.intp)
