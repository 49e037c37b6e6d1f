"""Report periods: months written as `2026-10`, and the words that stand for one."""

from __future__ import annotations

import re
from datetime import date

from cxresearch.errors import UsageError

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
WORDS = ("latest", "last-month")


def is_month(period: str) -> bool:
    """Whether a text is a month, as 2026-10."""
    return _MONTH.fullmatch(period) is not None


def index(period: str) -> int:
    """Months since year 0, so that neighbouring months differ by one."""
    match = _MONTH.fullmatch(period)
    if match is None:
        raise UsageError(f"period {period!r} is no month; write it as 2026-10, or one of: {', '.join(WORDS)}")
    return int(match[1]) * 12 + int(match[2]) - 1


def name(months: int) -> str:
    """The period of an index: the inverse of `index`."""
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def shift(period: str, months: int) -> str:
    """The period so many months later (earlier when negative)."""
    return name(index(period) + months)


def span(last: str, length: int) -> tuple[str, ...]:
    """The periods that end with `last`, oldest first."""
    return tuple(shift(last, back) for back in range(1 - length, 1))


def resolve(word: str, available: list[str], as_of: str | None = None) -> str:
    """The month that a period word stands for: `latest` is the last one that the data hold.

    Raises UsageError for a word that is none, and for `last-month` without a day to count from.
    """
    if word == "latest":
        if not available:
            raise UsageError("the study holds no period at all; check the column that is mapped to 'period'")
        return max(available)
    if word == "last-month":
        today = date.fromisoformat(as_of) if as_of else None
        if today is None:
            raise UsageError("period 'last-month' needs a day to count from; name the month itself, as 2026-10")
        return shift(f"{today.year:04d}-{today.month:02d}", -1)
    index(word)
    return word
