"""Report periods: months written as `2026-10`, quarters written as `2026-Q3`, and the words that stand for one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median

from cxresearch.errors import UsageError

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_QUARTER = re.compile(r"(\d{4})-Q([1-4])", re.ASCII)
WORDS = ("latest", "last-month", "last-quarter")
SHORT = 0.5  # of its usual rows: with fewer a month is not all there yet
ENOUGH = 30  # rows of a usual month: of fewer, chance alone leaves half
LEAST = 3  # months before that say what is usual


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


def in_words(months: Sequence[str]) -> str:
    """Months in words: from the first to the last, or the only one."""
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"


def are_months(words: str) -> bool:
    """Whether a text is one month, or the first and the last of several, as `in_words` says them."""
    return all(is_month(end) for end in words.split(" to "))


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


def within(window: Sequence[str], period: str) -> tuple[str, ...]:
    """The periods as long as `period` that end with it and lie wholly in a window of months, oldest first."""
    found: tuple[str, ...] = (period,)
    while months(earlier := before(found[0]))[0] >= window[0]:
        found = (earlier, *found)
    return found


def doubt(period: str, counts: Mapping[str, Mapping[str, int]], as_of: str | None = None) -> str:
    """Why a period is not complete, in a sentence; empty where nothing says so.

    It is not where the day `as_of` lies in it, where one of its months has no row in any table, or where a table
    (`counts`: rows by table and month) has far fewer rows in its last month than is usual in the months before. Rows of a
    period that has not begun say more of the clock, or of a simulation, than of the period.
    """
    own = months(period)
    told = []
    if as_of and own[0] <= as_of[:7] <= own[-1]:
        told.append(f"it had not ended on {as_of}")
    if lacking := [month for month in own if not any(rows.get(month) for rows in counts.values())]:
        told.append(f"there are no rows of {' and '.join(lacking)}")
    for table, rows in counts.items() if own[-1] not in lacking else ():
        n, usual = rows.get(own[-1], 0), usually(rows, own[-1])
        if usual >= ENOUGH and n < SHORT * usual:
            told.append(f"{table} has {n:,} rows in {own[-1]}, and {usual:,.0f} in a usual month")
    return f"{period} is not complete: {'; '.join(told)}. Its numbers may still change." if told else ""


def usually(rows: Mapping[str, int], month: str) -> float:
    """How many rows a month usually has, judged by the months of the year before; 0 where fewer than three have any."""
    earlier = [rows[m] for m in span(shift(month, -1), 12) if rows.get(m)]
    return median(earlier) if len(earlier) >= LEAST else 0.0


def resolve(word: str, counts: Mapping[str, Mapping[str, int]], as_of: str | None = None) -> str:
    """The month or quarter that a period word stands for, given the rows of each table and month.

    `latest` is the last complete month, or where none is the last one. `last-month` and `last-quarter` count from the
    day `as_of`, which they need. Raises UsageError for a word that is none.
    """
    if word == "latest":
        there = sorted({month for rows in counts.values() for month in rows}, reverse=True)
        if not there:
            raise UsageError("the study holds no period at all; check the column that is mapped to 'period'")
        return next((month for month in there if not doubt(month, counts, as_of)), there[0])
    if word in WORDS:
        if as_of is None:
            example = "2026-Q3" if word == "last-quarter" else "2026-10"
            raise UsageError(f"period {word!r} needs a day to count from; name the period itself, as {example}")
        month = as_of[:7]
        return before(quarter(month) if word == "last-quarter" else month)
    months(word)
    return word
