"""Bootstrap intervals and adjusted p-values, as pure functions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cxresearch.evidence.lab.bootstrap import KINDS, bootstrap_interval
from cxresearch.evidence.multiplicity import METHODS, adjusted


@pytest.mark.parametrize("kind", ["percentile", "basic", "bca"])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_intervals_are_those_of_scipy(kind: str, level: float) -> None:
    """The same draws and the same left-out values give the interval that scipy gives."""
    values = np.random.default_rng(4).gamma(1.5, size=40)
    made = stats.bootstrap((values,), np.mean, n_resamples=2_000, method=kind, confidence_level=level, rng=7)
    left_out = (values.sum() - values) / (len(values) - 1)
    got = bootstrap_interval(float(values.mean()), made.bootstrap_distribution, kind, left_out=left_out, level=level)
    np.testing.assert_allclose([got.conf_low, got.conf_high], made.confidence_interval, rtol=1e-10)
    assert got.std_error == pytest.approx(made.standard_error)


@pytest.mark.parametrize("kind", KINDS)
def test_p_value_and_interval_agree(kind: str) -> None:
    """The interval at the level 1 - p ends at zero."""
    draws = np.random.default_rng(5).normal(0.5, 0.4, 50_000) ** 3
    left_out = np.random.default_rng(6).normal(0.1, 0.01, 100) ** 2
    p_value = bootstrap_interval(0.1, draws, kind, left_out=left_out).p_value
    assert p_value is not None
    at = bootstrap_interval(0.1, draws, kind, left_out=left_out, level=1 - p_value)
    assert min(abs(at.conf_low or 1.0), abs(at.conf_high or 1.0)) < 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_draws_that_say_nothing(kind: str) -> None:
    """Without an estimate there is nothing; where no draw differs, or none is finite, there is no interval."""
    left_out = np.array([1.0, 2.0, 4.0])
    for draws in ([], [math.nan, math.inf], [2.0, 2.0, 2.0]):
        got = bootstrap_interval(2.0, np.array(draws), kind, left_out=left_out)
        assert (got.estimate, got.conf_low, got.p_value) == (2.0, None, None)
    assert bootstrap_interval(math.nan, np.arange(9.0), kind, left_out=left_out).estimate is None


@pytest.mark.parametrize(("estimate", "left_out"), [(99.0, [1.0, 2.0, 4.0]), (2.0, [1.0, 1.0]), (2.0, [1.0, math.nan])])
def test_no_correction_no_interval(estimate: float, left_out: list[float]) -> None:
    """Where all draws lie on one side of the estimate, or the left-out values do not vary, BCa gives no interval."""
    got = bootstrap_interval(estimate, np.arange(9.0), left_out=np.array(left_out))
    assert (got.estimate, got.conf_low) == (estimate, None)
    assert got.std_error is not None


@pytest.mark.parametrize("method", METHODS)
def test_missing_p_values_stay_missing(method: str) -> None:
    """Nothing, only missing ones and a single one are adjusted to what they were."""
    assert adjusted([], method) == []
    assert adjusted([None, math.nan], method) == [None, None]
    assert adjusted([None, 0.03], method) == [None, pytest.approx(0.03)]


def test_unknown_ways_are_refused() -> None:
    """A way that does not exist is refused with those that do."""
    with pytest.raises(ValueError, match="no adjustment 'sidak'; it is one of holm, "):
        adjusted([0.1], "sidak")
    with pytest.raises(ValueError, match="no bootstrap interval 'student'; it is one of percentile, "):
        bootstrap_interval(1.0, np.arange(9.0), "student")
    with pytest.raises(ValueError, match="left_out"):
        bootstrap_interval(1.0, np.arange(9.0))
