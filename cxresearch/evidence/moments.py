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

Array = NDArray[np.float64]
SAME = 1e-14  # a column whose values differ relatively by less is constant: the rest is rounding
NOISE = 1e-13  # a variance of standardised values below it is rounding, and would give any correlation


@dataclass(frozen=True)
class Spread:
    """Covariance matrices of some columns: of all rows, and of all but one block.

    `full` is (p, p), `left_out` (B, p, p), both of columns that were shifted and divided by `scale` (p,);
    `mean` (p,) and `mean_left_out` (B, p) are in own units. `n` counts the rows used, `rows`
    those asked for, `clusters` the clusters; `independent` says that every row is a cluster of its own, so that textbook intervals hold.
    """

    columns: tuple[str, ...]
    full: Array
    left_out: Array
    mean: Array
    mean_left_out: Array
    scale: Array
    n: int
    clusters: int
    rows: int
    independent: bool

    @property
    def blocks(self) -> int:
        """How many blocks are left out in turn."""
        return len(self.left_out)

    def resampled(self, draws: int, seed: int) -> Array:
        """Covariance matrices of bootstrap draws of blocks, (draws, p, p), each block's influence added up.

        The influence of a block is what leaving it out changes; a covariance is linear in it but for the means.
        """
        blocks = self.blocks
        picks = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=draws) - 1.0
        influence = (blocks - 1) * (self.full - self.left_out)
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
    return _block(cluster_of(study, table), study.many_clusters)


def cluster_of(study: Study, table: ir.Table) -> ir.Value:
    """The cluster of a row as text."""
    column = study.cluster()
    customer = table.customer_id.cast("string")
    return ibis.coalesce(table[column].cast("string"), customer) if column in table.columns else customer


def narrowed(study: Study, table: ir.Table, columns: Sequence[str]) -> ir.Table:
    """A table with only these columns and the ids: what an engine need not see costs nothing."""
    ids = [c for c in ("customer_id", study.cluster()) if c in table.columns]
    return table.select(*dict.fromkeys([*ids, *columns]))


def _block(cluster: ir.Value, many: bool) -> ir.Value:
    return cluster.hexdigest("md5")[0:2] if many else cluster


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
    table = narrowed(study, table, [*names, *within, *([fixed] if fixed else [])])
    complete = table.filter(*(table[c].notnull() for c in [*names, *([fixed] if fixed else [])]))
    asked, clusters, shift, scale = _first_look(study, table, complete, names)
    keys = {"cx_block": block_of(study, complete), "cx_cluster": cluster_of(study, complete)}
    if fixed is not None:
        keys["cx_fixed"] = complete[fixed].cast("string")
    scaled = {f"z{i}": (complete[c] - float(shift[i])) / float(scale[i]) for i, c in enumerate(names)}
    cells = {f"c{i}": complete[c] for i, c in enumerate(within)}
    prepared = complete.select(**keys, **scaled, **cells)
    summed = _summed(prepared, len(names), sorted(cells), fixed is not None)
    spread = _spread(tuple(names), summed.to_pyarrow().to_pydict(), shift, scale, fixed is not None)
    alone = clusters == spread.n and not within and fixed is None
    return replace(spread, clusters=clusters, rows=asked, independent=alone)


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


def _summed(table: ir.Table, p: int, cells: list[str], fixed: bool) -> ir.Table:
    """One row per block (and level of the fixed column): n, sums, sums of products, clusters."""
    pairs = [(i, j) for i in range(p) for j in range(i, p)]
    keys = ["cx_block", *(["cx_fixed"] if fixed else [])]

    def sums(of: ir.Table) -> dict[str, ir.Value]:
        firsts: dict[str, ir.Value] = {f"a{i}": of[f"z{i}"].sum() for i in range(p)}
        return firsts | {f"b{i}_{j}": (of[f"z{i}"] * of[f"z{j}"]).sum() for i, j in pairs}

    if not cells:
        return table.group_by(keys).aggregate(n=table.count(), **sums(table)).order_by(keys)
    inner = table.group_by([*keys, "cx_cluster", *cells]).aggregate(n=table.count(), **sums(table))
    inner = inner.filter(inner.n >= 2)
    centred = {f"b{i}_{j}": (inner[f"b{i}_{j}"] - inner[f"a{i}"] * inner[f"a{j}"] / inner.n).sum() for i, j in pairs}
    zero = {f"a{i}": inner[f"a{i}"].sum() * 0.0 for i in range(p)}
    return inner.group_by(keys).aggregate(n=inner.n.sum(), **zero, **centred).order_by(keys)


def _spread(names: tuple[str, ...], got: dict[str, list], shift: Array, scale: Array, fixed: bool) -> Spread:
    p = len(names)
    blocks = sorted(set(got["cx_block"]))
    levels = sorted(set(got["cx_fixed"])) if fixed else [""]
    n = np.zeros((len(levels), len(blocks)))
    first = np.zeros((len(levels), len(blocks), p))
    second = np.zeros((len(levels), len(blocks), p, p))
    b = np.array([blocks.index(x) for x in got["cx_block"]], dtype=int)
    g = np.array([levels.index(x) for x in got["cx_fixed"]] if fixed else np.zeros(len(b)), dtype=int)
    n[g, b] = got["n"]
    for i in range(p):
        first[g, b, i] = got[f"a{i}"]
        for j in range(i, p):
            second[g, b, i, j] = second[g, b, j, i] = np.asarray(got[f"b{i}_{j}"], dtype=float)
    full = _covariance(n.sum(1), first.sum(1), second.sum(1))
    left_out = _covariance(
        n.sum(1, keepdims=True) - n, first.sum(1, keepdims=True) - first, second.sum(1, keepdims=True) - second
    )
    totals, sums = n.sum(0), first.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = shift + scale * sums.sum(0) / totals.sum()
        mean_left_out = shift + scale * (sums.sum(0) - sums) / (totals.sum() - totals)[:, None]
    return Spread(names, full, left_out, mean, mean_left_out, scale, int(n.sum()), 0, 0, False)


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
