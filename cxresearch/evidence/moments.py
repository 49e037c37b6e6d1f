"""Moments: per block the count, sums and cross-products of some columns, made where the data lives.

Everything linear (Pearson and partial correlation, relative importance, reliability) is a function of a covariance
matrix; its interval comes from the matrices that leave out one block of clusters each. Memory is flat in rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence.blocks import Blocks, by_part, one_way, two_way

Array = NDArray[np.float64]
SAME = 1e-14  # a column whose values differ relatively by less is constant: the rest is rounding
NOISE = 1e-13  # a variance of standardised values below it is rounding, and would give any correlation


@dataclass(frozen=True)
class Spread:
    """Covariance matrices of some columns: of all rows, and of all but one block.

    `full` is (p, p), `left_out` (S, p, p), both of columns that were shifted and divided by `scale` (p,);
    `mean` (p,) and `mean_left_out` (S, p) are in own units. `parts` says which rows each of the S lacks. `n` counts
    the rows used, `rows` those asked for, `clusters` the clusters, which are values of the column `cluster`;
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
    independent: bool

    @property
    def blocks(self) -> int:
        """How many blocks are left out in turn."""
        return self.parts.ways[0]

    def resampled(self, draws: int, seed: int) -> Array:
        """Covariance matrices of bootstrap draws of blocks, (draws, p, p), each block's influence added up.

        The influence of a block is what leaving it out changes; a covariance is linear in it but for the means.
        """
        blocks = self.blocks
        picks = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=draws) - 1.0
        influence = (blocks - 1) * (self.full - self.left_out[:blocks])
        return self.full + np.einsum("db,bij->dij", picks, influence) / blocks

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


def block_of(study: Study, table: ir.Table) -> ir.Value:
    """The block of a row: its cluster, or where there are many the first two hex digits of the md5 of its id.

    Ids are hashed as text, the same on every engine. A row without a cluster is a cluster by its customer.
    """
    cluster = cluster_of(study, table)
    return cluster.hexdigest("md5")[0:2] if study.many_clusters(study.cluster(table.columns)) else cluster


def cluster_of(study: Study, table: ir.Table) -> ir.Value:
    """The cluster of a row as text: the coarsest declared level that its table knows."""
    column = study.cluster(table.columns)
    customer = table.customer_id.cast("string")
    return customer if column == "customer_id" else ibis.coalesce(table[column].cast("string"), customer)


def narrowed(study: Study, table: ir.Table, columns: Sequence[str]) -> ir.Table:
    """A table with only these columns and the ids: what an engine need not see costs nothing."""
    ids = ["customer_id", study.cluster(table.columns), *(["period"] if study.two_way else [])]
    return table.select(*dict.fromkeys([*ids, *columns]))


def moments(
    study: Study,
    table: ir.Table,
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
    table, both = narrowed(study, table, [*names, *within, *([fixed] if fixed else [])]), study.two_way
    complete = table.filter(*(table[c].notnull() for c in [*names, *([fixed] if fixed else [])]))
    asked, clusters, shift, scale = _first_look(study, table, complete, names)
    keys = {"cx_block": block_of(study, complete), "cx_cluster": cluster_of(study, complete)}
    if fixed is not None:
        keys["cx_fixed"] = complete[fixed].cast("string")
    if both:
        keys["cx_period"] = complete.period
    scaled = {f"z{i}": (complete[c] - float(shift[i])) / float(scale[i]) for i, c in enumerate(names)}
    cells = {f"c{i}": complete[c] for i, c in enumerate(within)}
    prepared = complete.select(**keys, **scaled, **cells)
    by: list[str] = [k for k in ("cx_block", "cx_period", "cx_fixed") if k in keys]
    summed = _summed(prepared, len(names), sorted(cells), by).order_by(by)
    spread = _spread(tuple(names), summed.to_pyarrow().to_pydict(), shift, scale)
    alone = clusters == spread.n and not within and fixed is None and len(spread.parts.ways) == 1
    return replace(spread, clusters=clusters, cluster=study.cluster(table.columns), rows=asked, independent=alone)


def _first_look(study: Study, table: ir.Table, complete: ir.Table, names: list[str]) -> tuple[int, int, Array, Array]:
    """Rows asked for, clusters, and mean and standard deviation of each column.

    Sums of products about the means lose no digits; any value near the mean serves. A constant column is moved to
    zero by a value of its own: its mean can be off by a rounding, which would then count as variation.
    """
    looked = complete.aggregate(
        clusters=cluster_of(study, complete).nunique(),
        **{f"m{i}": complete[c].mean() for i, c in enumerate(names)},
        **{f"s{i}": complete[c].std() for i, c in enumerate(names)},
        **{f"l{i}": complete[c].min() for i, c in enumerate(names)},
        **{f"h{i}": complete[c].max() for i, c in enumerate(names)},
    )
    looked = looked.mutate(asked=table.count().as_scalar())
    got = looked.to_pyarrow().to_pylist()[0]
    mean, spread, low, high = (
        np.array([got[f"{k}{i}"] or 0.0 for i in range(len(names))], dtype=float) for k in "mslh"
    )
    varies = high - low > SAME * np.maximum(np.abs(low), np.abs(high))
    shift, scale = np.where(varies, mean, low), np.where(varies & (spread > 0), spread, 1.0)
    return int(got["asked"]), int(got["clusters"]), shift, scale


def _summed(table: ir.Table, p: int, cells: list[str], by: list[str]) -> ir.Table:
    """One row per block (and period, and level of the fixed column): n, sums, sums of products."""
    pairs = [(i, j) for i in range(p) for j in range(i, p)]

    def sums(of: ir.Table) -> dict[str, ir.Value]:
        firsts: dict[str, ir.Value] = {f"a{i}": of[f"z{i}"].sum() for i in range(p)}
        return firsts | {f"b{i}_{j}": (of[f"z{i}"] * of[f"z{j}"]).sum() for i, j in pairs}

    if not cells:
        return table.group_by(by).aggregate(n=table.count(), **sums(table))
    if "cx_period" in by:
        # rows of one cell lie in several periods, so each is centred by itself
        window = ibis.window(group_by=[table[k] for k in ("cx_cluster", *cells)])
        centred = table.mutate(
            cx_rows=table.count().over(window),
            **{f"z{i}": table[f"z{i}"] - table[f"z{i}"].mean().over(window) for i in range(p)},
        )
        centred = centred.filter(centred.cx_rows >= 2)
        return centred.group_by(by).aggregate(n=centred.count(), **sums(centred))
    inner = table.group_by([*by, "cx_cluster", *cells]).aggregate(n=table.count(), **sums(table))
    inner = inner.filter(inner.n >= 2)
    products = {f"b{i}_{j}": (inner[f"b{i}_{j}"] - inner[f"a{i}"] * inner[f"a{j}"] / inner.n).sum() for i, j in pairs}
    zero = {f"a{i}": inner[f"a{i}"].sum() * 0.0 for i in range(p)}
    return inner.group_by(by).aggregate(n=inner.n.sum(), **zero, **products)


def _spread(names: tuple[str, ...], got: dict[str, list], shift: Array, scale: Array) -> Spread:
    p = len(names)
    (blocks, b), (levels, g), (periods, t) = (
        _numbered(got.get(k, [""] * len(got["n"]))) for k in ("cx_block", "cx_fixed", "cx_period")
    )
    n = np.zeros((len(levels), len(blocks), len(periods)))
    first = np.zeros((*n.shape, p))
    second = np.zeros((*n.shape, p, p))
    n[g, b, t] = got["n"]
    for i in range(p):
        first[g, b, t, i] = got[f"a{i}"]
        for j in range(i, p):
            second[g, b, t, i, j] = second[g, b, t, j, i] = np.asarray(got[f"b{i}_{j}"], dtype=float)
    parts, there = one_way(blocks, n.sum((0, 2))), None
    if len(periods) > 1:
        parts, there = two_way(blocks, periods, n.sum(0))

    def without(values: Array) -> Array:
        """The sums over all rows but those of each part, (levels, S, …)."""
        return values.sum((1, 2))[:, None] - np.stack([by_part(level, there) for level in values])

    full = _covariance(n.sum((1, 2)), first.sum((1, 2)), second.sum((1, 2)))
    left_out = _covariance(without(n), without(first), without(second))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = shift + scale * first.sum((0, 1, 2)) / n.sum()
        mean_left_out = shift + scale * without(first).sum(0) / without(n).sum(0)[:, None]
    return Spread(names, full, left_out, mean, mean_left_out, scale, parts, int(n.sum()), 0, "", 0, False)


def _numbered(labels: list[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct labels in order, and the number of each."""
    distinct, index = np.unique(np.array(labels, dtype=str), return_inverse=True)
    return distinct.tolist(), index


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
    """One set of moments for many questions on the same rows: made once for the columns that no row lacks."""

    def __init__(self, study: Study, table: ir.Table, outcome: str, columns: Sequence[str]) -> None:
        self.study, self.table, self.outcome = study, table, outcome
        self.columns = list(dict.fromkeys([outcome, *columns]))
        self._whole: Spread | None = None
        self._asked = False

    def spread(self, columns: Sequence[str]) -> Spread:
        """Moments of some columns over the rows that have all of them."""
        whole = self._of_whole_columns()
        if whole is not None and set(columns) <= set(whole.columns):
            return whole.of(columns)
        return moments(self.study, self.table, columns)

    def _of_whole_columns(self) -> Spread | None:
        if not self._asked:
            self._asked = True
            table = self.table.select(self.columns)
            known = table.filter(table[self.outcome].notnull())
            counts = known.aggregate(
                rows=known.count(), **{f"k{i}": known[c].count() for i, c in enumerate(self.columns)}
            )
            got = counts.to_pyarrow().to_pylist()[0]
            whole = [c for i, c in enumerate(self.columns) if got[f"k{i}"] == got["rows"]]
            self._whole = moments(self.study, self.table, whole) if got["rows"] and len(whole) > 1 else None
        return self._whole
