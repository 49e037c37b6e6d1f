"""Marks: numbers that tell values apart, by the engine's own hash; texts would cost more to compare and to keep.

Equal values have one mark, and so have nulls. Of a million that differ two share one in one of 40 million tables.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.datatypes as dt

ANY = None  # type of a value


# Ibis' own word for a hash has one value only, and casts each twice more
@ibis.udf.scalar.builtin(name="hash", signature=((ANY,), dt.uint64))
def mark(value: Any) -> Any:
    """A number of 64 bits for a value."""
    raise NotImplementedError  # the engine answers


@ibis.udf.scalar.builtin(name="hash", signature=((ANY, ANY), dt.uint64))
def mark_of_two(first: Any, second: Any) -> Any:
    """A number of 64 bits for two values, different where one of them is."""
    raise NotImplementedError  # the engine answers
