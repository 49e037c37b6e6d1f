"""Moments: covariance matrices of some columns, of all rows and without each block of clusters.

Everything linear (Pearson and partial correlation, relative importance, reliability) is a function of a covariance
matrix; its interval comes from the matrices that leave out one block of clusters each. Memory is flat in rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence.blocks import Blocks, by_part, draws, one_way, two_way
from cxresearch.evidence.held import Asked, hold
from cxresearch.evidence.sums import Sums, sums_by_engine, sums_in_memory, sums_in_passing

Array = NDArray[np.float64]
FIRST_ROWS = 5_000  # of a large table: columns that these have are mostly those that all rows have
NOISE = 1e-13  # a variance of standardised values below it is rounding, and would give any correlation


@dataclass(frozen=True)
class Spread:
    """Covariance matrices of some columns: of all rows, and of all but one block.

    `full` is (p, p), `left_out` (S, p, p), both of columns that were shifted and divided by `scale` (p,);
    `mean` (p,) and `mean_left_out` (S, p) are in own units. `parts` says which rows each of the S lacks. `n` counts
    the rows used, `rows` those asked for, `clusters` the clusters, which are values of the column `cluster`, `cells` those within which was centred;
    `independent` says that every row is a cluster of its own and months share nothing, so that textbook intervals hold.
    """

    columns: tuple[str, ...]
    full: Array
    left_out: Array
    mean: Array
    mean_left_out: Array
    scale: Array
    parts: Blocks
    n: int
    clusters: int
    cluster: str
    rows: int
    cells: int
    independent: bool

    @property
    def blocks(self) -> int:
        """How many blocks are left out in turn."""
        return self.parts.ways[0]

    @property
    def clustered(self) -> Spread:
        """The same, with only blocks of clusters left out: what months share does not count."""
        blocks = self.blocks
        parts = one_way(self.parts.labels[:blocks], self.parts.sizes[:blocks])
        return replace(self, left_out=self.left_out[:blocks], mean_left_out=self.mean_left_out[:blocks], parts=parts)

    def resampled(self, count: int, seed: int) -> Array:
        """Covariance matrices of so many bootstrap draws of blocks, (count, p, p): those of the rows that were drawn.

        What a block adds to the sums is what is lacking without it. Not for columns centred on the levels of a `fixed` one.
        """
        blocks = self.blocks
        rest = self.n - self.parts.sizes[:blocks, None]
        apart = (self.mean_left_out[:blocks] - self.mean) / self.scale
        second = apart[:, :, None] * apart[:, None, :] + self.left_out[:blocks]
        second = self.n * self.full - rest[:, :, None] * second
        taken = 1 + draws(blocks, count, seed)
        drawn = (np.tensordot(taken, x, axes=1)[None] for x in (self.parts.sizes[:blocks], -rest * apart, second))
        return _covariance(*drawn)

    def of(self, columns: Sequence[str]) -> Spread:
        """The same rows, only some of the columns."""
        at = self.at(*columns)
        pick = np.ix_(at, at)
        return replace(
            self,
            columns=tuple(columns),
            full=self.full[pick],
            left_out=self.left_out[:, pick[0], pick[1]],
            mean=self.mean[at],
            mean_left_out=self.mean_left_out[:, at],
            scale=self.scale[at],
        )

    def at(self, *names: str) -> list[int]:
        """Positions of columns."""
        return [self.columns.index(name) for name in names]


def moments(
    study: Study,
    table: Asked,
    columns: Sequence[str],
    *,
    within: Sequence[str] = (),
    fixed: str | None = None,
) -> Spread:
    """Covariances of columns over the rows that have all of them.

    `within` centres the values on the mean of their cell of these columns (cells lie inside clusters; cells of
    one row say nothing and are left out). `fixed` centres on the mean of each level of a column that cuts
    across clusters, such as a segment.
    """
    names = list(dict.fromkeys(columns))
    small = hold(study, table, [*names, *within, *([fixed] if fixed else [])])
    if small is not None:
        sums = sums_in_memory(small, names, within, fixed)
    elif study.engine_is_near and not within:
        sums = sums_in_passing(study, table, names, fixed)
    else:
        sums = sums_by_engine(study, table, names, within, fixed)
    spread = _spread(tuple(names), sums)
    alone = sums.clusters == spread.n and not within and fixed is None and len(spread.parts.ways) == 1
    return replace(spread, cluster=study.cluster(table.columns), independent=alone)


def _spread(names: tuple[str, ...], sums: Sums) -> Spread:
    n, first, second = sums.n, sums.first, sums.second
    parts, there = one_way(sums.blocks, n.sum((0, 2))), None
    if len(sums.periods) > 1:
        parts, there = two_way(sums.blocks, sums.periods, n.sum(0))

    def without(values: Array, taken: Array | None = None) -> Array:
        """The sums over all rows but those of each part, (levels, S, …)."""
        parts = np.stack([by_part(level, there) for level in values])
        if taken is not None and there is not None:  # of a period more is taken than its own; of a block whole cells
            blocks = len(sums.blocks)
            parts[:, blocks:] = np.stack([by_part(level, there) for level in taken])[:, blocks:]
        return values.sum((1, 2))[:, None] - parts

    if sums.within:  # what is left of a cell is centred anew, so its sum is nothing
        first = np.zeros_like(first)
    full = _covariance(n.sum((1, 2)), first.sum((1, 2)), second.sum((1, 2)))
    left_out = _covariance(without(n), without(first), without(second, sums.taken))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.shift + sums.scale * first.sum((0, 1, 2)) / n.sum()
        mean_left_out = sums.shift + sums.scale * without(first).sum(0) / without(n).sum(0)[:, None]
    return Spread(
        names,
        full,
        left_out,
        mean,
        mean_left_out,
        sums.scale,
        parts,
        int(n.sum()),
        sums.clusters,
        "",
        sums.asked,
        sums.within,
        False,
    )


def _covariance(n: Array, first: Array, second: Array) -> Array:
    """Covariance about the mean of each level, pooled over the levels (first axis)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = second - np.where(
            n[..., None, None] > 0, first[..., :, None] * first[..., None, :] / n[..., None, None], 0.0
        )
        covariance = centred.sum(0) / n.sum(0)[..., None, None]
        still = np.diagonal(covariance, axis1=-2, axis2=-1) < NOISE
        return np.where(still[..., :, None] | still[..., None, :], 0.0, covariance)


class Summary:
    """One set of moments for many questions on the same rows: made once for the columns that no row lacks.

    `outcome` names the column without which a row does not count; None where all rows do. `within` is that of `moments`.
    """

    def __init__(
        self, study: Study, table: Asked, outcome: str | None, columns: Sequence[str], within: Sequence[str] = ()
    ) -> None:
        self.study, self.table, self.outcome, self.within = study, table, outcome, within
        self.columns = list(dict.fromkeys([*([outcome] if outcome else []), *columns]))
        self._whole: Spread | None = None
        self._asked = False

    def spread(self, columns: Sequence[str]) -> Spread:
        """Moments of some columns over the rows that have all of them."""
        whole = self._of_whole_columns()
        if whole is not None and set(columns) <= set(whole.columns):
            return whole.of(columns)
        return moments(self.study, self.table, columns, within=self.within)

    def covers(self, columns: Sequence[str]) -> bool:
        """Whether no row lacks any of these columns."""
        whole = self._of_whole_columns()
        return whole is not None and set(columns) <= set(whole.columns)

    def _of_whole_columns(self) -> Spread | None:
        if not self._asked:
            self._asked = True
            large = hold(self.study, self.table, self.columns) is None
            found = self._moments(self._whole_among(FIRST_ROWS if large else None))
            if large and found is not None and found.n < int(self._told().count().to_pyarrow().as_py()):
                found = self._moments(self._whole_among())
            self._whole = found
        return self._whole

    def _whole_among(self, first: int | None = None) -> list[str]:
        """The columns that no row lacks, or of the first rows none: of a large table to count them all is a pass of its own."""
        rows, known = self.counted(first)
        return [name for name, count in known.items() if count == rows > 0]

    def _moments(self, columns: list[str]) -> Spread | None:
        return moments(self.study, self.table, columns, within=self.within) if len(columns) > 1 else None

    def _told(self) -> ir.Table:
        """The rows that have the outcome."""
        table = self.table.select(self.columns)
        return table.filter(table[self.outcome].notnull()) if self.outcome else table

    def counted(self, first: int | None = None) -> tuple[int, dict[str, int]]:
        """How many rows have the outcome, and how many of those each column; of a large table of the first rows alone where it is said."""
        held = hold(self.study, self.table, self.columns)
        if held is not None:
            known = held.known([self.outcome] if self.outcome else [])
            rows = int(np.count_nonzero(known))
            gaps = [name for name in self.columns if not held.whole(name)]
            fewer = {name: int(np.count_nonzero(known & held.known([name]))) for name in gaps}
            return rows, dict.fromkeys(self.columns, rows) | fewer
        told = self._told() if first is None else self._told().limit(first)
        counts = told.aggregate(rows=told.count(), **{f"k{i}": told[c].count() for i, c in enumerate(self.columns)})
        got = counts.to_pyarrow().to_pylist()[0]
        return got["rows"], {name: got[f"k{i}"] for i, name in enumerate(self.columns)}
