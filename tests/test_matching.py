"""Texts as numbers of their labels, however the rows lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from cxresearch.data.matching import LOOKED, encoded

RUNS = ["b"] * LOOKED + [None] * 700 + ["a"] * 300 + ["b"] * 2
MIXED = [None if i % 7 == 0 else f"c{i * i % 61}" for i in range(3 * LOOKED)]


@pytest.mark.parametrize(
    "texts",
    [[], [None, None], RUNS, MIXED, RUNS + MIXED, MIXED + RUNS],
    ids=["none", "only gaps", "runs", "mixed", "runs first", "runs last"],
)
def test_numbers_stand_for_labels_in_order(texts: list[str | None]) -> None:
    """Each number is that of the row's label, also of pieces and slices, and of rows that only begin in runs."""
    whole = pa.array(texts, pa.string())
    pieces = pa.chunked_array([whole[:900], whole[900:]])
    for values, told in ((whole, texts), (pieces, texts), (whole[5:], texts[5:])):
        labels, numbers = encoded(values)
        assert labels == sorted({text for text in told if text is not None})
        assert [labels[i] if i >= 0 else None for i in numbers] == told
        assert numbers.dtype == np.intp
