"""Rank covariances: Spearman's rho of clustered rows with the ranks' own uncertainty counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def midranks(values: Array) -> Array:
    """Midranks as shares in (0, 1): the mean share of rows at or below a value; ties share theirs."""
    return _Ranked(values).ranks


def rank_covariances(columns: Array, blocks: NDArray[np.intp]) -> tuple[Array, Array]:
    """Covariances of the midranks of columns, of all rows (p, p) and without each block (B, p, p).

    `columns` is (n, p), `blocks` (n,) numbers from 0. Leaving out a block changes everybody's ranks: to first order
    by the influence of its rows, which counts both their own products and what they do to the ranks of others.
    Ranks held fixed would give intervals 13 % too narrow at rho = .95. Checked against re-ranking in the tests.
    Source: the influence function of Spearman's rho, Croux & Dehon (2010), extended to ties by midranks.
    """
    n, p = columns.shape
    ranked = [_Ranked(columns[:, j]) for j in range(p)]
    scores = np.column_stack([column.ranks - 0.5 for column in ranked])
    full = scores.T @ scores / n
    size = np.bincount(blocks).astype(float)
    left_out = np.empty((len(size), p, p))
    for j in range(p):
        for k in range(j, p):
            influence = scores[:, j] * scores[:, k] - full[j, k]
            influence += ranked[j].reach(scores[:, k]) + ranked[k].reach(scores[:, j])
            total = np.bincount(blocks, weights=influence)
            with np.errstate(divide="ignore", invalid="ignore"):
                left_out[:, j, k] = left_out[:, k, j] = full[j, k] - total / (n - size)
    return full, left_out


class _Ranked:
    """One column in ranks: the place of each row's value among the distinct values, and how many rows have it."""

    def __init__(self, values: Array) -> None:
        import pandas as pd

        self.place, distinct = pd.factorize(values, sort=True)
        self.counts = np.bincount(self.place, minlength=len(distinct))
        below = np.cumsum(self.counts) - self.counts
        self.ranks: Array = ((below + self.counts / 2) / len(values))[self.place]

    def reach(self, other: Array) -> Array:
        """What a row does to others through the ranks of this column, centred.

        For a row with value x it is the mean over all rows of (x below their value, ties half) times their score of
        the other column.
        """
        sums = np.bincount(self.place, weights=other, minlength=len(self.counts))
        above = sums.sum() - np.cumsum(sums)
        reached = ((above + sums / 2) / len(other))[self.place]
        return reached - reached.mean()
