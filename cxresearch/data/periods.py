"""Report periods: months written as `2026-10`, quarters written as `2026-Q3`, and the words that stand for one."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date

from cxresearch.errors import UsageError

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_QUARTER = re.compile(r"(\d{4})-Q([1-4])", re.ASCII)
WORDS = ("latest", "last-month", "last-quarter")


def is_month(period: str) -> bool:
    """Whether a text is a month, as 2026-10."""
    return _MONTH.fullmatch(period) is not None


def is_quarter(period: str) -> bool:
    """Whether a text is a quarter, as 2026-Q3."""
    return _QUARTER.fullmatch(period) is not None


def index(period: str) -> int:
    """Months since year 0, so that neighbouring months differ by one."""
    match = _MONTH.fullmatch(period)
    if match is None:
        allowed = f"write it as 2026-10 or 2026-Q3, or one of: {', '.join(WORDS)}"
        raise UsageError(f"period {period!r} is no month and no quarter; {allowed}")
    return int(match[1]) * 12 + int(match[2]) - 1


def name(months: int) -> str:
    """The period of an index: the inverse of `index`."""
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def shift(period: str, months: int) -> str:
    """The month so many months later (earlier when negative)."""
    return name(index(period) + months)


def span(last: str, length: int) -> tuple[str, ...]:
    """The months that end with `last`, oldest first."""
    return tuple(shift(last, back) for back in range(1 - length, 1))


def months(period: str) -> tuple[str, ...]:
    """The months of a period, oldest first: the month itself, or the three of a quarter."""
    quarter = _QUARTER.fullmatch(period)
    return span(period, 1) if quarter is None else span(f"{quarter[1]}-{3 * int(quarter[2]):02d}", 3)


def quarter(month: str) -> str:
    """The quarter that a month lies in."""
    return f"{month[:4]}-Q{index(month) % 12 // 3 + 1}"


def before(period: str) -> str:
    """The period before: of a month the month before, of a quarter the quarter before."""
    earlier = shift(months(period)[0], -1)
    return quarter(earlier) if is_quarter(period) else earlier


def year_before(period: str) -> str:
    """The same period a year ago: twelve months before a month, four quarters before a quarter."""
    earlier = shift(months(period)[0], -12)
    return quarter(earlier) if is_quarter(period) else earlier


def resolve(word: str, available: Collection[str], as_of: str | None = None) -> str:
    """The month or quarter that a period word stands for: `latest` is the last month of those available.

    `last-month` and `last-quarter` count from the day `as_of`, which they need. Raises UsageError for a word that is
    none.
    """
    if word == "latest":
        if not available:
            raise UsageError("the study holds no period at all; check the column that is mapped to 'period'")
        return max(available)
    if word in WORDS:
        today = date.fromisoformat(as_of) if as_of else None
        if today is None:
            example = "2026-Q3" if word == "last-quarter" else "2026-10"
            raise UsageError(f"period {word!r} needs a day to count from; name the period itself, as {example}")
        month = f"{today.year:04d}-{today.month:02d}"
        return before(quarter(month) if word == "last-quarter" else month)
    months(word)
    return word
