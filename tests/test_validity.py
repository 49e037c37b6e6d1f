"""Twenty operators against their truth, as `make validate` studies two hundred, and what its table counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import validity

SEEDS = range(101, 121)


def test_intervals_cover_the_truth_of_twenty_operators() -> None:
    """No number is covered too seldom or too often, none is biased, and all together are covered in 92 % or more.

    The band has a chance of 1 % over the whole table; at a true coverage of 95 % the share of all numbers, which hang
    together within an operator, lies below 92 % with a chance of about .01.
    """
    table = validity.covered(pd.concat(validity.in_parallel(validity.one_operator, SEEDS)))
    judged = table[table["exempt"].isna()]
    assert len(judged) > 120
    assert (judged["operators"] == len(SEEDS)).all()
    assert validity.outside(table).empty, validity.outside(table)
    assert judged["count"].sum() / judged["operators"].sum() >= 0.92


def runs(coverage: float, shift: float = 0.0, operators: int = 200) -> pd.DataFrame:
    """Runs of one estimator whose intervals hold the truth so often, off by so many standard errors."""
    dice = np.random.default_rng(1)
    made = pd.DataFrame(
        {"name": "x", "measure": "r", "model": "crude", "std_error": 1.0, "value": 0.0, "mc_error": 0.0},
        index=range(operators),
    )
    return made.assign(estimate=dice.normal(size=operators) + shift, covered=dice.random(operators) < coverage)


@pytest.mark.parametrize(
    "coverage, shift, off", [(0.95, 0.0, 0), (0.8, 0.0, 1), (1.0, 0.0, 1), (0.95, 0.5, 1), (0.95, 0.03, 0)]
)
def test_the_table_sees_what_is_wrong(coverage: float, shift: float, off: int) -> None:
    """Intervals that cover too seldom or always, and estimates that lie off, are named; what is right is not."""
    assert len(validity.outside(validity.covered(runs(coverage, shift)))) == off
