"""Report periods: months and quarters, what lies before them, and the words that stand for one."""

from __future__ import annotations

import pytest

from cxresearch.data import periods
from cxresearch.errors import UsageError


@pytest.mark.parametrize(
    ("period", "before", "year_before"),
    [
        ("2026-10", "2026-09", "2025-10"),
        ("2026-01", "2025-12", "2025-01"),
        ("2026-Q3", "2026-Q2", "2025-Q3"),
        ("2026-Q1", "2025-Q4", "2025-Q1"),
    ],
)
def test_the_period_before_is_of_the_same_length(period: str, before: str, year_before: str):
    """Before a month lies a month, before a quarter a quarter; a year ago lies the same one of the year before."""
    assert (periods.before(period), periods.year_before(period)) == (before, year_before)


def test_a_quarter_has_three_months():
    """A quarter is its three months, and each of them lies in it."""
    assert periods.months("2026-Q3") == ("2026-07", "2026-08", "2026-09")
    assert periods.months("2026-10") == ("2026-10",)
    assert {periods.quarter(month) for month in periods.months("2026-Q4")} == {"2026-Q4"}


def test_words_count_from_the_day_given():
    """`last-month` and `last-quarter` are those before the one that the day lies in."""
    assert periods.resolve("last-month", {}, "2026-01-31") == "2025-12"
    assert periods.resolve("last-quarter", {}, "2026-10-01") == "2026-Q3"
    assert periods.resolve("last-quarter", {}, "2026-03-31") == "2025-Q4"
    assert periods.resolve("2026-Q3", {}) == "2026-Q3"


@pytest.mark.parametrize("wrong", ["2026-Q0", "2026-Q5", "2026-q3", "2026Q3", "2026-Q3\n", "Q3", "2026-13"])
def test_what_is_no_period_is_refused(wrong: str):
    """The error says how a month and a quarter are written, and which words there are."""
    with pytest.raises(UsageError, match="write it as 2026-10 or 2026-Q3, or one of: latest, last-month, last-quarter"):
        periods.resolve(wrong, {"panel": {"2026-10": 1}})


def test_a_word_without_a_day_is_refused():
    """A word that counts from a day says that it needs one: there is no clock inside a notebook."""
    with pytest.raises(
        UsageError, match="'last-quarter' needs a day to count from; name the period itself, as 2026-Q3"
    ):
        periods.resolve("last-quarter", {"panel": {"2026-10": 1}})


MONTHS = periods.span("2026-10", 12)
USUAL = {"panel": dict.fromkeys(MONTHS, 2000), "surveys": dict.fromkeys(MONTHS, 300)}


def test_a_period_that_has_not_ended_is_not_complete():
    """The last day of a month still lies in it; the day after, the month is whole."""
    assert "it had not ended on 2026-10-31" in periods.doubt("2026-10", USUAL, "2026-10-31")
    assert periods.doubt("2026-10", USUAL, "2026-11-01") == ""
    assert "it had not ended on 2026-09-30" in periods.doubt("2026-Q3", USUAL, "2026-09-30")
    assert periods.doubt("2026-Q3", USUAL, "2026-10-01") == ""
    assert periods.doubt("2026-10", USUAL) == "", "without a day nothing is said of it"


def test_a_quarter_that_lacks_months_is_not_complete():
    """The sentence names the months that have no rows."""
    assert periods.doubt("2026-Q4", USUAL) == (
        "2026-Q4 is not complete: there are no rows of 2026-11 and 2026-12. Its numbers may still change."
    )


def test_a_month_of_far_fewer_rows_is_not_complete():
    """Fewer than half of the usual rows of any table make a month incomplete; chance among a few rows does not."""
    short = {**USUAL, "surveys": {**USUAL["surveys"], "2026-10": 149}}
    assert "surveys has 149 rows in 2026-10, and 300 in a usual month" in periods.doubt("2026-10", short)
    assert periods.doubt("2026-10", {**USUAL, "surveys": {**USUAL["surveys"], "2026-10": 150}}) == ""
    assert periods.doubt("2026-09", short) == ""
    few = {"surveys": {**dict.fromkeys(MONTHS, 20), "2026-10": 5}}
    assert periods.doubt("2026-10", few) == ""
    new = {"surveys": {"2026-08": 900, "2026-09": 900, "2026-10": 5}}
    assert periods.doubt("2026-10", new) == "", "two months do not say what is usual"


def test_latest_is_the_last_complete_month():
    """A month in progress or half loaded is passed over; where none is complete, the last stands."""
    assert periods.resolve("latest", USUAL) == "2026-10"
    assert periods.resolve("latest", USUAL, "2026-10-15") == "2026-09"
    assert periods.resolve("latest", {**USUAL, "surveys": {**USUAL["surveys"], "2026-10": 100}}) == "2026-09"
    assert periods.resolve("latest", USUAL, "2020-01-01") == "2026-10"  # a wrong clock takes no months away
    assert periods.resolve("latest", USUAL, "2026-08-15") == "2026-10"
    with pytest.raises(UsageError, match="holds no period at all"):
        periods.resolve("latest", {"panel": {}})
