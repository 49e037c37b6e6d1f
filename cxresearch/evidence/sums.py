"""Sums: per block, period and level the count, sums and products of standardised columns, from memory or by the engine.

A small table is fetched once and held; a large one is never fetched: the engine sums where the data lives, and memory
is flat in rows. Both give the same sums.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.marks import mark
from cxresearch.data.matching import among, in_order
from cxresearch.data.memory import fetched
from cxresearch.data.study import Study
from cxresearch.evidence.held import Codes, Held
from cxresearch.evidence.streams import Stream

Array = NDArray[np.float64]
LOOKED = 5_000  # rows that say where a column lies
FEW_COLUMNS = 3  # of so few, products are summed faster element by element than cell by cell
PIECE = 16_384  # rows whose columns are laid out at once: of more, the processor waits for memory
SAME = 1e-14  # a column whose values differ relatively by less is constant: the rest is rounding


@dataclass(frozen=True)
class Sums:
    """Sums over the complete rows of p columns, in cells of L levels, B blocks and T periods.

    `n` (L, B, T), `first` (L, B, T, p), `second` (L, B, T, p, p) are of columns shifted by `shift` and divided by
    `scale` (p,). `asked` counts the rows before those with a gap were left out, `clusters` the clusters of the rest,
    `within` the cells of two or more rows on whose means the columns were centred. `taken` is what leaving a block's
    period out takes away of `second`: more than its own products where cells lie in several periods, for what is left of
    a cell of n rows is centred anew: each row's products by n/(n - 1) (Welford's update).
    """

    blocks: tuple[str, ...]
    periods: tuple[str, ...]
    n: Array
    first: Array
    second: Array
    taken: Array
    shift: Array
    scale: Array
    asked: int
    clusters: int
    within: int


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


def cluster_count(study: Study, table: ir.Table) -> int:
    """How many clusters there are: by the engine's own hash, for texts would fill the memory; asked apart for the same reason."""
    return int(table.aggregate(clusters=mark(cluster_of(study, table)).nunique()).to_pyarrow()["clusters"][0].as_py())


def months_count(study: Study, table: ir.Table) -> bool:
    """Whether months share shocks in these rows; a row that is a whole life lies in no month."""
    return study.two_way and "period" in table.columns


def narrowed(study: Study, table: ir.Table, columns: Sequence[str]) -> ir.Table:
    """A table with only these columns and the ids: what an engine need not see costs nothing."""
    ids = ["customer_id", study.cluster(table.columns), *(["period"] if months_count(study, table) else [])]
    names = list(dict.fromkeys([*ids, *columns]))
    return table.select(*names) if (there := fetched(table)) is None else there.only(names).table()


def sums_by_engine(study: Study, table: ir.Table, names: list[str], within: Sequence[str], fixed: str | None) -> Sums:
    """The sums made where the data lives, in one pass over the products."""
    table = narrowed(study, table, [*names, *within, *([fixed] if fixed else [])])
    complete = table.filter(*(table[c].notnull() for c in [*names, *([fixed] if fixed else [])]))
    shift, scale = shift_and_scale(complete, names)
    keys = {"cx_block": block_of(study, complete), "cx_cluster": cluster_of(study, complete)}
    if fixed is not None:
        keys["cx_fixed"] = complete[fixed].cast("string")
    if months_count(study, table):
        keys["cx_period"] = complete.period
    scaled = {f"z{i}": (complete[c] - float(shift[i])) / float(scale[i]) for i, c in enumerate(names)}
    cells = {f"c{i}": complete[c] for i, c in enumerate(within)}
    prepared = complete.select(**keys, **scaled, **cells)
    by: list[str] = [k for k in ("cx_block", "cx_period", "cx_fixed") if k in keys]
    got = _summed(prepared, len(names), sorted(cells), by, "period" in within).order_by(by).to_pyarrow().to_pydict()
    p, count = len(names), len(got["n"])
    first, second, taken = np.zeros((count, p)), *np.zeros((2, count, p, p))
    for i in range(p):
        first[:, i] = got[f"a{i}"]
        for j in range(i, p):
            second[:, i, j] = second[:, j, i] = got[f"b{i}_{j}"]
            taken[:, i, j] = taken[:, j, i] = got.get(f"t{i}_{j}", got[f"b{i}_{j}"])
    return _assembled(
        [got.get(key, [""] * count) for key in ("cx_fixed", "cx_block", "cx_period")],
        np.array(got["n"], dtype=float), first, second, taken, shift, scale,
        int(table.count().to_pyarrow().as_py()), cluster_count(study, complete), round(sum(got["cx_cells"])),
    )  # fmt: skip


def sums_in_passing(study: Study, table: ir.Table, names: list[str], fixed: str | None) -> Sums:
    """The same sums of rows that an embedded engine lets pass by: one product of matrices for each cell of a piece."""
    slim = narrowed(study, table, [*names, *([fixed] if fixed else [])])
    shift, scale = shift_and_scale(
        slim.filter(*(slim[c].notnull() for c in [*names, *([fixed] if fixed else [])])), names
    )
    keys = [*([fixed] if fixed else []), *(["period"] if months_count(study, table) else [])]
    stream = Stream(study, slim, cluster_of(study, slim), names, keys)
    found: defaultdict[tuple[int, ...], Any] = defaultdict(float)
    counts: Counter[tuple[int, ...]] = Counter()
    for piece in stream.pieces(shift):
        for cell, part in piece.parts():
            rows = piece.columns[:, part]
            # of a whole matrix and its own transpose a library makes half the products, which takes longer for few columns
            found[cell] += rows[:-1] @ rows.T
            counts[cell] += part.stop - part.start
    products = np.array(list(found.values())).reshape(-1, len(names), len(names) + 1)
    labels = {key: [stream.levels[i][cell[i]] for cell in found] for i, key in enumerate(["cx_block", *keys])}
    n, first, second = np.array(list(counts.values()), dtype=float), products[:, :, -1], products[:, :, :-1]
    first, second = first / scale, (second + second.transpose(0, 2, 1)) / (2 * np.outer(scale, scale))
    return _assembled(
        [labels.get(key, [""] * len(found)) for key in (fixed or "", "cx_block", "period")],
        n, first, second, second, shift, scale, stream.asked, stream.clusters, 0,
    )  # fmt: skip


def _assembled(
    labels: list[list[str]], n: Array, first: Array, second: Array, taken: Array,
    shift: Array, scale: Array, asked: int, clusters: int, within: int,
) -> Sums:  # fmt: skip
    """Sums of cells (C, …) by the level, block and period of each."""
    (levels, g), (blocks, b), (periods, t) = map(_numbered, labels)
    shape = (len(levels) or 1, len(blocks), len(periods) or 1)

    def placed(of_cell: Array) -> Array:
        made = np.zeros((*shape, *of_cell.shape[1:]))
        made[g, b, t] = of_cell
        return made

    return Sums(
        tuple(blocks), tuple(periods), placed(n), placed(first), placed(second), placed(taken), shift, scale,
        asked, clusters, within,
    )  # fmt: skip


def shift_and_scale(complete: ir.Table, names: list[str]) -> tuple[Array, Array]:
    """About the mean and standard deviation of each column, from the first rows; exactly where those are all alike.

    Sums of products about any value near the mean lose no digits, so a few rows serve. A constant column is moved to
    zero by a value of its own: its mean can be off by a rounding, which would then count as variation.
    """
    first = complete.select(*names).limit(LOOKED).to_pyarrow()
    columns = [np.asarray(first[name], dtype=float) for name in names]
    looked = [_standards(values[np.isfinite(values)]) for values in columns]
    shift, scale = (np.array([found[i] for found in looked]) for i in (0, 1))
    varies = np.array([found[2] for found in looked], dtype=bool)
    if alike := [names[i] for i in np.flatnonzero(~varies)]:
        ends = {f"{end}_{name}": getattr(complete[name], end)() for name in alike for end in ("min", "max", "std")}
        got = complete.aggregate(**ends).to_pyarrow().to_pylist()[0]
        for i, name in enumerate(names):
            if name in alike and got[f"min_{name}"] is not None:
                low, high, spread = (float(got[f"{end}_{name}"] or 0.0) for end in ("min", "max", "std"))
                shift[i] = low
                scale[i] = spread if spread > 0 and _differ(low, high) else 1.0
    return shift, scale


def _standards(values: Array) -> tuple[float, float, bool]:
    """What numbers (n,) are shifted and divided by, and whether they vary."""
    if not len(values):
        return 0.0, 1.0, False
    low, mean = float(values.min()), values.mean(keepdims=True)
    if not _differ(low, float(values.max())):
        return low, 1.0, False
    return float(mean[0]), float(values.std(mean=mean)) or 1.0, True


def _differ(low: float, high: float) -> bool:
    """Whether the least and the greatest value of a column differ by more than rounding."""
    return high - low > SAME * max(abs(low), abs(high))


def _summed(table: ir.Table, p: int, cells: list[str], by: list[str], by_period: bool) -> ir.Table:
    """One row per block (and period, and level of the fixed column): n, sums, sums of products."""
    pairs = [(i, j) for i in range(p) for j in range(i, p)]

    def sums(of: ir.Table) -> dict[str, ir.Value]:
        firsts: dict[str, ir.Value] = {f"a{i}": of[f"z{i}"].sum() for i in range(p)}
        return firsts | {f"b{i}_{j}": (of[f"z{i}"] * of[f"z{j}"]).sum() for i, j in pairs}

    if not cells:
        return table.group_by(by).aggregate(n=table.count(), cx_cells=ibis.literal(0), **sums(table))
    if "cx_period" in by:
        # rows of one cell lie in several periods, so each is centred by itself
        window = ibis.window(group_by=[table[k] for k in ("cx_cluster", *cells)])
        centred = table.mutate(
            cx_rows=table.count().over(window),
            **{f"z{i}": table[f"z{i}"] - table[f"z{i}"].mean().over(window) for i in range(p)},
        )
        centred = centred.filter(centred.cx_rows >= 2)
        anew = 1.0 if by_period else centred.cx_rows / (centred.cx_rows - 1.0)
        taken = {f"t{i}_{j}": (centred[f"z{i}"] * centred[f"z{j}"] * anew).sum() for i, j in pairs}
        return centred.group_by(by).aggregate(
            n=centred.count(), cx_cells=(1.0 / centred.cx_rows).sum(), **sums(centred), **taken
        )
    inner = table.group_by([*by, "cx_cluster", *cells]).aggregate(n=table.count(), **sums(table))
    inner = inner.filter(inner.n >= 2)
    products = {f"b{i}_{j}": (inner[f"b{i}_{j}"] - inner[f"a{i}"] * inner[f"a{j}"] / inner.n).sum() for i, j in pairs}
    zero = {f"a{i}": inner[f"a{i}"].sum() * 0.0 for i in range(p)}
    return inner.group_by(by).aggregate(n=inner.n.sum(), cx_cells=inner.count(), **zero, **products)


def _numbered(labels: list[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Distinct labels in order, and the number of each."""
    distinct, index = np.unique(np.array(labels, dtype=str), return_inverse=True)
    return distinct.tolist(), index


def sums_in_memory(held: Held, names: list[str], within: Sequence[str], fixed: str | None) -> Sums:
    """The same sums of a table that is held."""
    keep = held.known(names)
    if fixed:
        keep &= held.text(fixed)[1] >= 0
    whole = bool(keep.all())
    rows = held.by_block if whole else held.by_block[keep[held.by_block]]
    if fixed:
        rows = rows[in_order(held.text(fixed)[1][rows])]
    as_they_lie = whole and not fixed  # then many questions share what is known of each row
    cluster = held.parts_by_block[1] if as_they_lie else held.cluster[1][rows]
    columns = [held.number(name) for name in names]
    standards = [_standards(column if whole else column[keep]) for column in columns]
    shift, scale = (np.array([found[i] for found in standards]) for i in (0, 1))
    room = np.ones((len(names) + 1, 0))

    def piece(part: slice) -> Array:
        """Some of the rows in order, standardised, then the constant; the next piece is written over it."""
        nonlocal room
        count = len(rows[part])
        if room.shape[1] < count:
            room = np.ones((len(names) + 1, count))
        for column, middle, spread, of in zip(columns, shift, scale, room[:-1], strict=True):
            np.take(column, rows[part], out=of[:count], mode="clip")  # unlike "raise", without a copy
            of[:count] -= middle
            of[:count] /= spread
        return room[:, :count]

    together, anew = 0, None
    if within:
        z = piece(slice(None))
        cell = _cells([cluster, *(held.text(name)[1][rows] for name in within)])
        size = np.bincount(cell)
        for column in z[:-1]:
            column -= (np.bincount(cell, weights=column) / np.maximum(size, 1))[cell]
        telling, together = size[cell] >= 2, int((size >= 2).sum())
        rows, z = rows[telling], z[:, telling]
        if held.two_way and "period" not in within:
            anew = np.sqrt(size[cell] / np.maximum(size[cell] - 1.0, 1.0))[telling]
    alone: Codes = ([""], np.zeros(len(rows), dtype=np.intp))
    blocks, b = held.parts_by_block[0] if as_they_lie and not within else among(held.block, rows)
    levels, g = among(held.text(fixed), rows) if fixed else alone
    periods, t = among(held.period, rows) if held.two_way else alone
    shape = (len(levels) or 1, len(blocks), len(periods) or 1)
    place = np.ravel_multi_index((g, b, t), shape) if len(rows) else np.zeros(0, dtype=np.intp)
    n, first, second = _products(place, shape, (lambda part: z[:, part]) if within else piece, len(names))
    taken = second if anew is None else _products(place, shape, lambda part: z[:, part] * anew[part], len(names))[2]
    return Sums(
        tuple(blocks), tuple(periods), n, first, second, taken, shift, scale,
        asked=held.n, clusters=int(np.count_nonzero(np.bincount(cluster))), within=together,
    )  # fmt: skip


def _cells(codes: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    """One number for each combination of codes; a null is a level of its own."""
    import pandas as pd

    cell = codes[0]
    for code in codes[1:]:
        cell = pd.factorize(cell * (code.max(initial=0) + 2) + code + 1)[0]
    return cell


def _products(
    place: NDArray[np.intp], shape: tuple[int, ...], piece: Callable[[slice], Array], p: int
) -> tuple[Array, Array, Array]:
    """Counts, sums and cross-products of the rows of each cell; `place` names that of each row, in order of cells (n,).

    `piece` gives some rows as columns, the last of ones (p + 1, n): few at a time, so that they stay near the processor.
    """
    cells = int(np.prod(shape))
    n, found = np.bincount(place, minlength=cells), np.zeros((cells, p + 1, p + 1))
    there = np.flatnonzero(n)
    ends = np.cumsum(n[there])
    begins = ends - n[there]
    firsts = np.flatnonzero(np.diff(ends // PIECE, prepend=-1))
    for first, last in itertools.pairwise([*firsts.tolist(), len(there)]):
        own, start = there[first:last], begins[first]
        z = piece(slice(start, ends[last - 1]))
        if p <= FEW_COLUMNS:
            for i, j in itertools.combinations_with_replacement(range(p + 1), 2):
                products = z[i] * z[j] if j < p else z[i]
                found[own, i, j] = found[own, j, i] = np.add.reduceat(products, begins[first:last] - start)
        else:
            for cell, begin, end in zip(
                own.tolist(), begins[first:last] - start, ends[first:last] - start, strict=True
            ):
                part = z[:, begin:end]
                np.matmul(part, part.T, out=found[cell])
    sums, products = found[:, :p, p], found[:, :p, :p]
    return n.astype(float).reshape(shape), sums.reshape(*shape, p), products.reshape(*shape, p, p)
