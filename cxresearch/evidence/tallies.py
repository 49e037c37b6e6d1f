"""Tallies: count, sum and sum of squares of a value by cell (period or level) and block, made where the data lives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence import inference, proportions
from cxresearch.evidence.blocks import one_way
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.sums import block_of, cluster_of

Array = NDArray[np.float64]
SAME = 1e-12  # a variance relatively smaller is the rounding of equal values
FULL = 100.0  # a net score is written from -100 to 100
PROMOTER_FROM, DETRACTOR_TO = 9, 6


def is_promoter(answer: Any) -> Any:
    """Who is very likely to recommend: 9 or 10 of 10."""
    return answer >= PROMOTER_FROM


def is_detractor(answer: Any) -> Any:
    """Who is not likely to recommend: 0 to 6 of 10."""
    return answer <= DETRACTOR_TO


def as_score(of: str, answer: Any) -> Any:
    """An answer, a column or an array (n,) of them, as what is averaged: for the likelihood to recommend 100, 0 or -100."""
    if of != "recommend":
        return answer
    up, down = is_promoter(answer), is_detractor(answer)
    if isinstance(answer, np.ndarray):
        return FULL * (up.astype(float) - down)
    return FULL * (up.cast("float64") - down.cast("float64"))


@dataclass(frozen=True)
class Tally:
    """Count, sum and sum of squares of a value: arrays (cells, blocks), and the clusters of each cell and of all.

    `net` says that the values are 100, 0 and -100, for promoters, passives and detractors.
    """

    cells: tuple[str, ...]
    blocks: tuple[str, ...]
    n: Array
    total: Array
    square: Array
    clusters: tuple[int, ...]
    all_clusters: int
    net: bool = False

    @property
    def independent(self) -> bool:
        """Whether every row of all cells is a cluster of its own, so that textbook intervals hold."""
        return int(self.n.sum()) == self.all_clusters

    def only(self, *cells: int) -> Tally:
        """Some cells, with the blocks that have rows in them."""
        there = np.flatnonzero(self.n[list(cells)].sum(0) > 0)
        n, total, square = (x[list(cells)][:, there] for x in (self.n, self.total, self.square))
        names, clusters = tuple(self.cells[i] for i in cells), tuple(self.clusters[i] for i in cells)
        blocks = tuple(self.blocks[i] for i in there)
        everyone = self.all_clusters if len(cells) == len(self.cells) else sum(clusters) if self.independent else 0
        return Tally(names, blocks, n, total, square, clusters, everyone, self.net)

    def against_others(self, cell: int) -> Tally:
        """Two cells: one, and all the others together."""
        n, total, square = (np.vstack([x[cell], x.sum(0) - x[cell]]) for x in (self.n, self.total, self.square))
        clusters = (self.clusters[cell], sum(self.clusters) - self.clusters[cell])
        names = (self.cells[cell], "the others")
        return Tally(names, self.blocks, n, total, square, clusters, self.all_clusters, self.net)

    def count(self, cell: int) -> int:
        """How many rows."""
        return int(self.n[cell].sum())

    def _jackknifed(self, cell: int, full: float, left_out: Array) -> Interval:
        """The mean of a cell over the blocks that have rows in it: one of other cells only is no observation of this one."""
        there = np.flatnonzero(self.n[cell] > 0)
        parts = one_way([self.blocks[i] for i in there], self.n[cell][there])
        return inference.jackknife(full, left_out[there], blocks=parts)

    def mean(self, cell: int) -> tuple[float, Array]:
        """The mean of a cell, and without each block."""
        n, total = self.n[cell], self.total[cell]
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(total.sum() / n.sum()), (total.sum() - total) / (n.sum() - n)

    def counts(self, cell: int) -> Array:
        """How many rows, first of all, then without each block (1 + blocks,)."""
        return _and_without(self.n[cell])

    def variance(self, cell: int) -> Array:
        """The variance (divided by n - 1) of a cell, first of all rows, then without each block (1 + blocks,)."""
        n, total, square = (_and_without(x[cell]) for x in (self.n, self.total, self.square))
        with np.errstate(invalid="ignore", divide="ignore"):
            left = square - total**2 / n
            return np.where(left > SAME * square, left, 0.0) / (n - 1)

    def bands(self, cell: int) -> tuple[float, float, float]:
        """Promoters, passives and detractors of a net score."""
        n, total, square = (float(x[cell].sum()) for x in (self.n, self.total, self.square))
        either, net = square / FULL**2, total / FULL
        return (either + net) / 2, n - either, (either - net) / 2

    def interval(self, cell: int) -> Interval:
        """The mean of a cell with its interval: textbook where rows are independent, else jackknife over blocks.

        Independent means have t with n - 1 degrees of freedom, net scores the interval of `add-three`. Where all
        rows are equal a mean has no interval, and a net score that of as many answers as there are clusters.
        """
        n, (full, left_out) = self.count(cell), self.mean(cell)
        if not n:
            return inference.NOTHING
        left = self._jackknifed(cell, full, left_out)
        return dataclasses.replace(self._textbook(cell, full, left), kept=left.kept)

    def _textbook(self, cell: int, full: float, left: Interval) -> Interval:
        n = self.count(cell)
        spread, independent = (
            float(self.variance(cell)[0]) if n > 1 else math.nan,
            self.count(cell) == self.clusters[cell],
        )
        if self.net and (independent or (spread == 0 and self.clusters[cell] > 1)):
            promoters, _, detractors = (x / n * self.clusters[cell] for x in self.bands(cell))
            return scaled(proportions.net_score(promoters, detractors, self.clusters[cell]), FULL)
        if not spread > 0:
            return Interval(full)
        if independent:
            return inference.wald(full, math.sqrt(spread / n), n - 1)
        return within(left, FULL if self.net else math.inf)

    def share(self, cell: int) -> Interval:
        """The mean of a cell where every value is 0 or 1: Wilson's interval, by the clustered error."""
        n, (full, left_out) = self.count(cell), self.mean(cell)
        if not n:
            return inference.NOTHING
        if self.count(cell) == self.clusters[cell]:
            return inference.share_interval(full, n, None, None)
        clustered = self._jackknifed(cell, full, left_out)
        if clustered.df is None:
            return clustered
        # never below the binomial error
        return inference.share_interval(full, n, clustered.std_error or 0.0, clustered.df)


def _and_without(values: Array) -> Array:
    """The sum of values by block, and without each block (1 + blocks,)."""
    return np.append(values.sum(), values.sum() - values)


def tally(
    study: Study, table: ir.Table, value: ir.Value, by: str, cells: Sequence[str] | None = None, *, net: bool = False
) -> Tally:
    """The tally of a value by the levels of a column; `cells` names them, in order, else they are those that there are."""
    keyed = table.select(
        cell=table[by].cast("string"), block=block_of(study, table), cluster=cluster_of(study, table), x=value
    )
    summed = keyed.group_by(["cell", "block"]).aggregate(
        n=keyed.count(), total=keyed.x.sum(), square=(keyed.x * keyed.x).sum(), clusters=keyed.cluster.nunique()
    )
    got = summed.to_pyarrow().to_pydict()
    wanted = tuple(cells if cells is not None else sorted(set(got["cell"])))
    blocks = tuple(sorted(set(got["block"])))
    arrays = np.zeros((4, len(wanted), len(blocks)))
    row_of, column_of = ({name: i for i, name in enumerate(names)} for names in (wanted, blocks))
    for cell, block, *sums in zip(
        *(got[k] for k in ("cell", "block", "n", "total", "square", "clusters")), strict=True
    ):
        arrays[:, row_of[cell], column_of[block]] = sums
    n, total, square, inside = arrays
    clusters = tuple(int(x) for x in inside.sum(1))  # a cluster lies in one block
    everyone = sum(clusters) if len(wanted) == 1 else len(blocks)
    if len(wanted) > 1 and study.many_clusters(study.cluster(table.columns)):
        everyone = int(keyed.cluster.nunique().to_pyarrow().as_py())
    return Tally(wanted, blocks, n, total, square, clusters, everyone, net)


def scaled(interval: Interval, factor: float, less: float = 0.0) -> Interval:
    """The interval of `factor` times what is left of a number without `less`; factor above 0."""
    estimate, low, high = (
        None if x is None else factor * (x - less) for x in (interval.estimate, interval.conf_low, interval.conf_high)
    )
    error = None if interval.std_error is None else factor * interval.std_error
    return Interval(estimate, error, interval.df, low, high)


def within(interval: Interval, most: float) -> Interval:
    """An interval whose ends stay on a scale from -most to most."""
    if interval.conf_low is None or interval.conf_high is None:
        return interval
    ends = max(interval.conf_low, -most), min(interval.conf_high, most)
    return Interval(interval.estimate, interval.std_error, interval.df, *ends, interval.p_value)
