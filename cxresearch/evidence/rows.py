"""Rows: a few columns of a question as arrays, for what needs rows; beyond a cap a stated sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence.moments import block_of, cluster_of, narrowed

CAP = 1_000_000


@dataclass(frozen=True)
class Rows:
    """Complete rows of some columns: values (n, p), block and cluster numbers (n,), and what was left out."""

    columns: tuple[str, ...]
    values: NDArray[np.float64]
    blocks: NDArray[np.intp]
    clusters: NDArray[np.intp]
    asked: int
    sampled: bool

    @property
    def n(self) -> int:
        """How many rows."""
        return len(self.values)

    @property
    def cluster_count(self) -> int:
        """How many clusters."""
        return int(self.clusters.max()) + 1 if self.n else 0

    @property
    def independent(self) -> bool:
        """Whether every row is a cluster of its own."""
        return self.cluster_count == self.n

    def of(self, name: str) -> NDArray[np.float64]:
        """One column."""
        return self.values[:, self.columns.index(name)]


def rows(study: Study, table: ir.Table, columns: Sequence[str]) -> Rows:
    """The complete rows of columns. Beyond the cap whole customers are sampled by the md5 of their id."""
    names = list(dict.fromkeys(columns))
    table = narrowed(study, table, names)
    complete = table.filter(*(table[c].notnull() for c in names))
    counted = complete.aggregate(complete=complete.count()).mutate(asked=table.count().as_scalar())
    whole, asked = counted.to_pyarrow().to_pylist()[0].values()
    sampled = whole > CAP
    if sampled:
        share = min(int(65536 * CAP / whole), 65535)
        complete = complete.filter(complete.customer_id.hexdigest("md5")[0:4] < f"{share:04x}")
    keyed = complete.select(*names, cx_block=block_of(study, complete), cx_cluster=cluster_of(study, complete))
    got = keyed.to_pyarrow()
    values = np.column_stack([got[c].to_numpy(zero_copy_only=False).astype(float) for c in names])
    clusters, blocks = (_numbered(got[c]) for c in ("cx_cluster", "cx_block"))
    return Rows(tuple(names), values, blocks, clusters, asked, sampled)


def _numbered(labels: pa.ChunkedArray) -> NDArray[np.intp]:
    """Labels as numbers from 0, by first appearance."""
    return labels.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.intp)
