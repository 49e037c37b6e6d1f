"""Weighting: answers raked to margins that are known of everybody, what weights cost, and errors that count them.

By hand: no library at hand rakes with errors that know of the raking; a table of counts by cell and block also re-rakes without each block at once.
Witness: R's survey 4.1: rake, svymean, svyglm, in the reference and in tests/witness/scores.R.
Delete when: samplics or balance give linearised errors of raked means and follow their releases of NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
ROUNDS = 500
NEAR = 1e-10  # margins are met when no share is further off
SAME = 1e-12  # what is left over of the values, relatively, is rounding: weights tell no error


class Cost(NamedTuple):
    """What unequal weights cost: the design effect, and how many equal weights would tell as much."""

    design_effect: float
    effective: float


def rake(counts: Array, margins: Sequence[Codes], targets: Sequence[Array]) -> Array:
    """The weight of a row in each cell (…, C) with which every margin has the shares of its target; their mean is 1.

    `counts` (…, C) are rows by cell, `margins` the level of each cell (C,), `targets` how many of everybody are of each
    level (…, L); only their shares count. Leading axes are raked each by itself. NaN where a level of somebody has no
    rows, or where margins cannot be met together. Source: Deming & Stephan (1940).
    """
    n = counts.sum(-1, keepdims=True)
    weights = np.ones_like(counts, dtype=float)
    wanted = [n * t / np.maximum(t.sum(-1, keepdims=True), 1e-300) for t in targets]
    sums = [
        np.equal.outer(codes, np.arange(t.shape[-1])).astype(float) for codes, t in zip(margins, wanted, strict=True)
    ]
    off = np.full(n.shape, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(ROUNDS):
            for codes, target, summed in zip(margins, wanted, sums, strict=True):
                factor = target / ((counts * weights) @ summed)
                weights = weights * np.where(target > 0, factor, 0.0)[..., codes]
            gaps = [
                np.abs((counts * weights) @ summed - target) / n for target, summed in zip(wanted, sums, strict=True)
            ]
            off = np.max([gap.max(-1, keepdims=True) for gap in gaps], axis=0)
            if not (off > NEAR).any():
                break
        empty = np.max(
            [((t > 0) & ~(counts @ s > 0)).any(-1, keepdims=True) for t, s in zip(wanted, sums, strict=True)], axis=0
        )
    return np.where((off <= NEAR) & ~empty, weights, np.nan)


def calibrated(values: Array, counts: Array, margins: Sequence[Codes]) -> Array:
    """What margins that were raked to say of values by cell (C,): the fit of least squares, by the cells' `counts`."""
    design = np.column_stack([np.equal.outer(codes, np.unique(codes)).astype(float) for codes in margins])
    root = np.sqrt(counts)
    return np.asarray(design @ np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0])


def mean_error(weights: Array, n: Array, total: Array, square: Array, fitted: Array | None = None) -> float:
    """The linearised standard error of a weighted mean of independent rows, from n, sum and sum of squares by cell (C,).

    Rows of a cell have one weight. `fitted` (C,) is what the margins of a raking say of the values: only what they
    leave over is uncertain; where they leave nothing there is no error (NaN). Source: Deville & Särndal (1992); Lumley, Complex Surveys (2010), chapter 7.
    """
    rows, whole = n.sum(), float(weights @ n)
    if rows < 2 or not whole > 0:
        return math.nan
    centre = float(weights @ total) / whole if fitted is None else fitted
    left = total - n * centre
    squares = np.maximum(square - 2 * centre * total + n * centre**2, 0.0)
    spread = float(weights**2 @ squares) - float(weights @ left) ** 2 / rows
    if not spread > SAME * float(weights**2 @ square):
        return math.nan
    return math.sqrt(rows / (rows - 1) * spread) / whole


def kish(weights: Array, n: Array | float = 1.0) -> Cost:
    """What weights (C,) of n rows each cost against equal ones. Source: Kish, Survey Sampling (1965), section 11.7."""
    counts = np.broadcast_to(n, weights.shape)
    effective = float(counts @ weights) ** 2 / float(counts @ weights**2)
    return Cost(float(counts.sum()) / effective, effective)
