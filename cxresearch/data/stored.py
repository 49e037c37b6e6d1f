"""Stored numbers: columns of numbers as a file has them, for who looks at every value anyway.

NaN and infinity in a file are null to every question. To say so of each value, and to widen it, takes an engine a
quarter of the time of reading; where rows pass by, gaps of either kind are dropped in one go.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir


@ibis.udf.scalar.builtin
def isfinite(number: float) -> bool:
    """Whether a number is neither NaN nor infinite: the engine's own word for it, which Ibis lacks.

    DuckDB looks at the values here; asked for NaN itself it believes Parquet's statistics, which do not tell of it
    (github.com/duckdb/duckdb/issues/25521).
    """
    raise NotImplementedError  # the engine answers


def finite(value: ir.Value) -> ir.Value:
    """A column of floating numbers in 64 bits, with NaN and infinity as null."""
    number = value.cast("float64")
    return ibis.ifelse(isfinite(number), number, ibis.null("float64"))


def as_stored(table: ir.Table, views: Mapping[str, ir.Table]) -> ir.Table:
    """The columns of a table, those that are made `finite` as they are stored: of their own type, NaN among them.

    `views` are the expressions behind the names of views. What is computed, and what rows are chosen by, stays as it is.
    """
    values, rows = dict(table.op().values), table.op().parent
    while True:
        made = views[rows.name].op() if isinstance(rows, ops.DatabaseTable) and rows.name in views else rows
        if not isinstance(made, ops.Project):
            return ops.Project(rows, {name: _own(value) for name, value in values.items()}).to_expr()
        own = {ops.Field(rows, name): value for name, value in made.values.items()}
        values = {name: value.replace(own, filter=ops.Value) for name, value in values.items()}
        rows = made.parent


def _own(value: ops.Value) -> ops.Value:
    """The value that is made finite, if that is all there is to it."""
    if not (isinstance(value, ops.IfElse) and isinstance(value.bool_expr, type(isfinite(0.0).op()))):
        return value
    number = value.true_expr
    widened = isinstance(number, ops.Cast) and number.arg.dtype.is_floating()
    return number.arg if widened else number
