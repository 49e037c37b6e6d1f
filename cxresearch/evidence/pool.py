"""Pool: rows that several models of leaving are of, fetched, brought in order and standardised once for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence.design_matrix import DesignMatrix
from cxresearch.evidence.held import hold
from cxresearch.evidence.rows import Rows, rows, rows_by_block

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """Rows with who left, and the columns of all models beside them, standardised."""

    rows: Rows
    columns: Sequence[str]
    matrix: DesignMatrix

    def own(self, column: str) -> Array:
        """A column in own units, (n,)."""
        return self.matrix.own(self.columns.index(column))

    def only(self, columns: Sequence[str]) -> DesignMatrix:
        """The columns of one model."""
        return self.matrix.only([self.columns.index(c) for c in columns])

    def products(self, columns: Sequence[str]) -> Array:
        """The sums of products of the constant and the standardised columns of one model, (k + 1, k + 1)."""
        own = [0, *(self.columns.index(c) + 1 for c in columns)]
        return self._products[np.ix_(own, own)]

    @cached_property
    def _products(self) -> Array:
        return self.matrix.products


def pooled(study: Study, terms: Sequence[str], given: Sequence[str]) -> Pool | None:
    """The rows of models of each term, if each would use the same ones: no column has a gap, and no row is left out."""
    columns = ["churned", *dict.fromkeys([*terms, *(c for c in given if study.has(c))])]
    table = study.rows(columns)
    if any(not study.rows(["churned", term]).equals(table) for term in terms):
        return None
    held = hold(study, table, columns)
    found = rows(study, table, columns) if held is None else rows_by_block(held, columns)
    known = int(table.churned.count().to_pyarrow().as_py()) if held is None else int(held.known(["churned"]).sum())
    if not found.n or found.n != known or found.sampled:
        return None
    left = dataclasses.replace(found, columns=("churned",), values=found.values[:, :1].copy())
    return Pool(left, columns[1:], DesignMatrix.within(found.values))
