"""Blocks: which rows are left out in turn, so that an interval counts what neighbours and months share.

Clusters (or hashed blocks of them) are left out one by one. Where the study declares `period` as a level, months
share shocks too: then each period, and each block of one period, is left out as well, and errors are two-way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.matching import in_order

Array = NDArray[np.float64]
Index = NDArray[np.intp]
FEW = 20  # with fewer clusters in effect, their number counts and not how many there are by name


@dataclass(frozen=True)
class Blocks:
    """The parts that are left out in turn: B blocks, and two-way also T periods and C cells of a block and a period.

    `labels` (S,) name the parts, blocks first; `sizes` (S,) count their rows; `ways` is (B,) or (B, T, C).
    The same label means the same customers in another period, segment or study of the same data.
    """

    labels: tuple[str, ...]
    sizes: Array
    ways: tuple[int, ...]

    @cached_property
    def effective(self) -> float:
        """How many blocks of equal size would tell as much: (Σn)² / Σn², the fewer of blocks and periods.

        Source: Kish (1965), section 8.2, for unequal sizes; Carter, Schnepel & Steigerwald (2017) for clusters.
        """
        found = [size.sum() ** 2 / (size**2).sum() if size.any() else 0.0 for size in self.split(self.sizes)[:2]]
        return float(min(found))

    @property
    def fewest(self) -> int:
        """How many observations there are in effect: the fewer of blocks and periods."""
        return min(self.ways[:2])

    @property
    def df(self) -> float:
        """Degrees of freedom of t: one less than there are blocks, or with fewer than FEW in effect than those."""
        return self.fewest - 1.0 if self.effective >= FEW else max(self.effective - 1.0, 1.0)

    def split(self, values: Array) -> list[Array]:
        """Values by part (S, …) as those of blocks, of periods and of cells."""
        return np.split(values, np.cumsum(self.ways)[:-1]) if len(self.ways) > 1 else [values]

    def error(self, left_out: Array) -> float:
        """The jackknife standard error of a number from its values without each part (S,).

        One way: the root of (B - 1)/B times the sum of squares. Two ways: blocks plus periods less their cells, never
        less than the larger of the first two. Sources: Efron & Tibshirani (1993), chapter 11; Cameron, Gelbach & Miller (2011).
        """
        squares = [(len(v) - 1) / len(v) * float(((v - v.mean()) ** 2).sum()) for v in self.split(left_out)]
        if len(squares) == 1:
            return math.sqrt(squares[0])
        blocks, periods, cells = squares
        return math.sqrt(max(blocks + periods - cells, blocks, periods))


def one_way(labels: Sequence[str], sizes: Array) -> Blocks:
    """Blocks of clusters alone."""
    return Blocks(tuple(labels), sizes, (len(labels),))


def two_way(labels: Sequence[str], periods: Sequence[str], sizes: Array) -> tuple[Blocks, NDArray[np.bool_]]:
    """Blocks, periods and their cells from the rows of each cell (B, T); and which cells hold rows."""
    there = sizes > 0
    cells = [f"{labels[b]}|{periods[t]}" for b, t in zip(*np.nonzero(there), strict=True)]
    every = (*labels, *periods, *cells)
    ways = (len(labels), len(periods), len(cells))
    return Blocks(every, np.concatenate([sizes.sum(1), sizes.sum(0), sizes[there]]), ways), there


def by_part(values: Array, there: NDArray[np.bool_] | None) -> Array:
    """Sums of the cells of blocks and periods (B, T, …) for each part (S, …): blocks, then periods and cells if two-way."""
    if there is None:
        return values.sum(1)
    return np.concatenate([values.sum(1), values.sum(0), values[there]])


@lru_cache(maxsize=4)
def draws(blocks: int, count: int, seed: int) -> Array:
    """Bootstrap draws of blocks, (count, blocks): how often a draw takes each block, less the once that it is there."""
    picked = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=count)
    found: Array = picked.astype(np.float64) - 1
    found.flags.writeable = False  # the same draws serve every question
    return found


@dataclass(frozen=True)
class Members:
    """Which part each row (n,) belongs to: its block, and two-way also its period and its cell."""

    blocks: Blocks
    of_row: tuple[Index, ...]

    def sums(self, weights: Array) -> Array:
        """The sum of weights (n,) over the rows of each part (S,)."""
        found = [
            np.bincount(index, weights=weights, minlength=ways)
            for index, ways in zip(self.of_row, self.blocks.ways, strict=True)
        ]
        return np.concatenate(found)

    def together(self) -> tuple[Index, NDArray[np.int32]]:
        """The rows by block, two-way by cell; and where the rows of each begin there, and the last end."""
        counted = np.bincount(self.of_row[-1], minlength=self.blocks.ways[-1])
        return in_order(self.of_row[-1]), np.concatenate([[0], np.cumsum(counted)]).astype(np.int32)

    def of_cells(self, cells: Array) -> Array:
        """What is summed over the rows of each block, two-way of each cell (C, …), for every part (S, …)."""
        if len(self.of_row) == 1:
            return cells
        there = np.zeros(self.blocks.ways[:2], dtype=bool)
        there[self.of_row[0], self.of_row[1]] = True
        placed = np.zeros((*there.shape, *cells.shape[1:]))
        placed[there] = cells
        return by_part(placed, there)


def members(labels: Sequence[str], block: Index, periods: Sequence[str] = (), period: Index | None = None) -> Members:
    """Rows by block, and by period where there are two or more; `labels` and `periods` are named by the numbers."""
    if period is None or len(periods) < 2:
        return Members(one_way(labels, np.bincount(block, minlength=len(labels)).astype(float)), (block,))
    place = block * len(periods) + period
    sizes = np.bincount(place, minlength=len(labels) * len(periods)).astype(float)
    blocks, there = two_way(labels, periods, sizes.reshape(len(labels), len(periods)))
    numbered = np.cumsum(there.ravel()) - 1
    return Members(blocks, (block, period, numbered[place]))
