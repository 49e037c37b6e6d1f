"""The design matrix of a model: its columns standardised for the arithmetic, and which of them say nothing of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SINGULAR = 1e-10  # a direction of standardised terms that holds a smaller part of the information holds rounding
SHARED = 1e-6  # a column of a smaller part in the directions that are nothing is none of those that repeat each other
SAME = 1e-14  # values that differ relatively by less are one value and a rounding


def varies(x: Array) -> NDArray[np.bool_]:
    """Which columns of x (n, k) hold more than one value, rounding aside."""
    low, high = x.min(axis=0), x.max(axis=0)
    return np.asarray(high - low > SAME * np.maximum(np.abs(low), np.abs(high)))


def repeated(products: Array) -> NDArray[np.bool_]:
    """Which of k columns, by their sums of products (k, k), say what others say: no slope of theirs can be told."""
    values, vectors = np.linalg.eigh(products)
    return np.asarray((vectors[:, values <= SINGULAR * values[-1]] ** 2).sum(1) > SHARED)


@dataclass(frozen=True)
class DesignMatrix:
    """The constant and k columns, standardised for the arithmetic, (n, k + 1): a column without variation is zero.

    `centre` and `scale` (k,) take the columns to own units.
    """

    standard: Array
    centre: Array
    scale: Array

    @classmethod
    def of(cls, x: Array) -> DesignMatrix:
        """The columns of x (n, k)."""
        standard = np.empty((len(x), x.shape[1] + 1), order="F")  # column by column, as sums over rows read it
        standard[:, 1:] = x
        return cls.within(standard)

    @classmethod
    def within(cls, standard: Array) -> DesignMatrix:
        """The columns of an array after its first (n, k + 1), standardised where they lie; the first becomes the constant."""
        standard[:, 0] = 1.0
        columns = standard[:, 1:]
        centre, there, scale = columns.mean(0), varies(columns), np.ones(columns.shape[1])
        for i, own in enumerate(columns.T):
            if there[i]:
                own -= centre[i]
                scale[i] = np.sqrt(own @ own / len(own))
                own /= scale[i]
            else:
                own[:] = 0.0
        return cls(standard, centre, scale)

    def only(self, columns: Sequence[int]) -> DesignMatrix:
        """Some of the columns, counted from the first after the constant."""
        own = np.array(columns, dtype=np.intp)
        kept = np.take(self.standard.T, np.append(0, own + 1), axis=0).T
        return DesignMatrix(kept, self.centre[own], self.scale[own])

    @cached_property
    def back(self) -> Array:
        """What takes coefficients of the standardised columns to own units, (k + 1, k + 1)."""
        # slopes divide by the scale, the constant takes the centres along
        back = np.diag(np.concatenate([[1.0], 1 / self.scale]))
        back[0, 1:] = -self.centre / self.scale
        return back

    def own(self, column: int) -> Array:
        """One of the columns in own units, (n,)."""
        return self.standard[:, column + 1] * self.scale[column] + self.centre[column]

    @property
    def in_own_units(self) -> Array:
        """The constant and the columns in own units, (n, k + 1)."""
        return np.stack([self.standard[:, 0], *map(self.own, range(len(self.scale)))]).T

    def summed(self, weights: Array) -> Array:
        """The sums of the constant and the columns in own units, (k + 1,), each row as often as its weight (n,) says."""
        found = weights @ self.standard
        found[1:] = found[1:] * self.scale + self.centre * found[0]
        return found

    @property
    def products(self) -> Array:
        """The sums of products of the standardised columns, (k + 1, k + 1)."""
        return np.asarray(self.standard.T @ self.standard)
