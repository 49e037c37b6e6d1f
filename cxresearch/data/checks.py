"""Checks: what own tables cannot mean. The data gate, passed once when a study is opened."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
from ibis.expr.operations import Field

from cxresearch.data import periods
from cxresearch.data.mapping import LEVELS, Mapping
from cxresearch.data.marks import mark, mark_of_two
from cxresearch.data.matching import MOST_ROWS
from cxresearch.data.terms import EVENT_KEYS, KEYS, TERMS
from cxresearch.errors import GateClosed, UsageError

if TYPE_CHECKING:
    from cxresearch.data.columns import Source

SLACK = 1e-9  # a share that was computed may pass 1 by the last digit
AT_ONCE = 6  # columns of a large table that are looked at in one go: each takes memory while its file is read
POINTERS = {"panel": "customer_id", "touchpoints": "touchpoint_id"}  # the column by which events point to a table
TOLD = 3  # examples, and columns with examples, in one caveat


@dataclass(frozen=True)
class Ranged:
    """An own column as a number, for which term it stands, and the range that its values can have.

    `own` is of the type of the file and may hold NaN and infinity, which are null in `value`.
    """

    column: str
    term: str
    own: ir.Value
    value: ir.Value
    low: float | None
    high: float | None

    def holds(self, low: float, high: float) -> bool:
        """Whether all values from low to high are finite and lie in the range."""
        inside = (self.low is None or low >= self.low - SLACK) and (self.high is None or high <= self.high + SLACK)
        return inside and math.isfinite(low) and math.isfinite(high)

    @property
    def outside(self) -> ir.Value:
        """Whether a value lies outside the range; null where there is no value."""
        below = self.value < (-float("inf") if self.low is None else self.low - SLACK)
        above = self.value > (float("inf") if self.high is None else self.high + SLACK)
        return below | above

    @property
    def kept(self) -> ir.Value:
        """The value, null where it lies outside the range."""
        return ibis.ifelse(self.outside, ibis.null("float64"), self.value)

    @property
    def range(self) -> str:
        """The range in words: `1 to 7`, `0 or more`."""
        if self.high is None:
            return f"{self.low:g} or more"
        return f"{self.low:g} to {self.high:g}" if self.low is not None else f"{self.high:g} or less"


@dataclass(frozen=True)
class Outside:
    """Values of one own column that lie outside what its term allows and are taken as missing."""

    ranged: Ranged
    known: int
    count: int
    examples: tuple[float, ...]

    @property
    def text(self) -> str:
        """How many values of which column lie outside which range, with the most frequent ones."""
        where = f"{self.ranged.column!r} lie outside {self.ranged.range}"
        return f"{self.count:,} of {self.known:,} values of {where} ({listed(self.examples).replace('-', '−')})"


def totals(table: ir.Table, **asked: ir.Value) -> dict[str, Any]:
    """What a table of a file says of all its rows together."""
    return rows_of(table.aggregate(**asked))[0]


def rows_of(question: ir.Table) -> list[dict[str, Any]]:
    """The few rows that answer a question about files: as plain values they come in half the time of an Arrow table."""
    engine = question.get_backend()
    rows = engine.raw_sql(engine.compile(question)).fetchall()
    return [dict(zip(question.columns, row, strict=True)) for row in rows]


def listed(values: Iterable[float]) -> str:
    """Values as they would stand in a mapping."""
    return ", ".join(f"{value:.10g}" for value in values)


def all_inside(file: str, raw: ir.Table, rows: int, columns: MappingType[str, Ranged]) -> set[str]:
    """Which columns hold only numbers inside their range: they need no other guard than that against NaN.

    One look at the least and greatest value of each, which an engine knows of many files without a look at the rows.
    """
    found: set[str] = set()
    # what must be computed is read, and with it all else that is asked for at once
    stored, computed = ([c for c in columns.items() if isinstance(c[1].own.op(), Field) is it] for it in (True, False))
    step = AT_ONCE if rows > MOST_ROWS else len(columns) or 1
    for part in (items[at : at + step] for items in (stored, computed) for at in range(0, len(items), step)):
        ends = {f"{end}{i}": getattr(c.own, end)() for i, (_, c) in enumerate(part) for end in ("min", "max")}
        try:
            got = totals(raw, **ends)
        except Exception as error:
            first = str(error).strip().splitlines()[0]
            raise UsageError(f"{file}: a column of the mapping cannot be computed: {first}") from error
        for i, (name, column) in enumerate(part):
            low, high = got[f"min{i}"], got[f"max{i}"]
            if low is None or column.holds(float(low), float(high)):
                found.add(name)
    return found


def outside(file: str, raw: ir.Table, columns: Sequence[Ranged]) -> tuple[Outside, ...]:
    """Which columns hold values outside their range, and how many. Raises UsageError where most values do.

    One aggregate over the table; a look at single values only where there are such.
    """
    if not columns:
        return ()
    known = {f"known{i}": c.value.count() for i, c in enumerate(columns)}
    count = {f"count{i}": c.outside.sum() for i, c in enumerate(columns)}
    got = totals(raw, **known, **count)
    found = [
        Outside(column, got[f"known{i}"], got[f"count{i}"], _most_frequent(raw, column))
        for i, column in enumerate(columns)
        if got[f"count{i}"]
    ]
    for one in found:
        if 2 * one.count > one.known:
            advice = "give its own scale, as scale = [1, 5], or map another column"
            raise UsageError(f"{file}: {one.text}, so it is not {one.ranged.term}; {advice}")
    return tuple(found)


def _most_frequent(raw: ir.Table, column: Ranged) -> tuple[float, ...]:
    values = raw.filter(column.outside).select(x=column.value)
    counted = values.group_by("x").aggregate(times=values.count())
    return tuple(counted.order_by(ibis.desc("times"), "x").limit(TOLD).to_pyarrow()["x"].to_pylist())


def codes_text(file: str, found: Sequence[Outside]) -> str:
    """The doubt that values outside a range leave behind, with what to do about it."""
    told = "; ".join(one.text for one in found[:TOLD])
    if len(found) > TOLD:
        told += f"; the like in {len(found) - TOLD} more columns"
    codes = sorted({value for one in found for value in one.examples})[:TOLD]
    advice = f"if they are codes for no answer, declare them in the mapping, as missing = [{listed(codes)}]"
    return f"{file}: {told}. They are taken as missing; {advice}."


def gate(mapping: Mapping, sources: MappingType[str, Source], period: str) -> None:
    """Close where rows cannot be told apart or joined. Raises GateClosed; UsageError where the mapping is at fault."""
    panel, survey = sources.get("panel"), sources.get("surveys")
    for level in mapping.levels:
        if level != "customer" and not any(LEVELS[level] in s.values for s in (panel, survey) if s is not None):
            raise UsageError(f"{mapping.path.name}: levels has {level!r}, but no column is mapped to {LEVELS[level]!r}")
    # all that a table can say of its ids is asked at once; refusals come in the order of the tables
    last = periods.months(period)[-1]
    told: dict[str, dict[str, Any]] = {}
    for name, key in EVENT_KEYS.items():
        if name in sources:
            told[name] = _looked_at(sources[name], key, last, told)
    if survey is not None:
        answers = survey.answered(list(KEYS))
        told["surveys"] = totals(answers, **_repeats(answers), **_ends(answers, "customer_id", answers.period == last))
    if panel is not None:
        # of the report period only: a table with several rows for a customer has them in every month
        now = panel.select(list(KEYS), only=periods.months(period))
        met = {name: (now.period == last) & found for name, found in _met(now, "customer_id", told).items()}
        told["panel"] = totals(now, **_repeats(now), **{name: found.any() for name, found in met.items()})
        _refuse_repeats(now, told["panel"], panel.file, "row", "give one row for each customer and period")
    if survey is not None:
        _refuse_other_kinds(survey)
        advice = "keep one of them, or map the others with kind = 'transaction'"
        _refuse_repeats(answers, told["surveys"], survey.file, "answered relationship survey", advice)
    if panel is not None and survey is not None:
        for source in (panel, survey):
            if not source.identified:
                where = f"{mapping.path.name} [tables.{source.name}]"
                raise UsageError(f"{where}: map a column to 'customer_id', so that answers meet their panel rows")
        if not told["panel"].get("surveys"):
            of_now = answers.filter(answers.period.isin(list(periods.months(period))))
            _refuse_strangers(of_now, survey.file, now, panel.file)
    for name, key in EVENT_KEYS.items():
        if name in sources:
            _event_gate(sources, name, key, told)


def _repeats(table: ir.Table) -> dict[str, ir.Value]:
    # marks are enough to see that all are different, which is how it should be
    return {"rows": table.count(), "different": mark_of_two(table.customer_id, table.period).nunique()}


def _ends(table: ir.Table, column: str, where: ir.Value | None = None) -> dict[str, ir.Value]:
    """The first and the last id of a column: as a rule one of them is met where it points to, which spares a join."""
    return {f"{column} {end}": getattr(table[column], end)(where=where) for end in ("min", "max")}


def _met(table: ir.Table, column: str, told: MappingType[str, dict[str, Any]]) -> dict[str, ir.Value]:
    """Whether a row has one of the ids at the ends of the same column, for each table that told of them."""
    ends = {
        name: [one for end in ("min", "max") if (one := found.get(f"{column} {end}"))] for name, found in told.items()
    }
    return {name: table[column].isin(ids) for name, ids in ends.items() if ids}


def _looked_at(source: Source, key: str, last: str, told: MappingType[str, dict[str, Any]]) -> dict[str, Any]:
    """What a table of events says of its ids and months; it may lack each of them."""
    own = [column for column in dict.fromkeys((key, *KEYS, *POINTERS.values())) if column in source.values]
    if not own:
        return {}
    table = source.select(own)
    asked = {"rows": table.count()}
    if key in own:
        asked |= {"known": table[key].count(), "different": mark(table[key]).nunique()}
        asked |= {name: found.any() for name, found in _met(table, key, told).items()}
    if "period" in own:
        asked |= {"months": table.period.collect(distinct=True)}
    for column in POINTERS.values():
        if column in own and column != key:
            asked |= _ends(table, column, table.period == last if "period" in own else None)
    return totals(table, **asked)


def _event_gate(sources: MappingType[str, Source], name: str, key: str, told: MappingType[str, dict[str, Any]]) -> None:
    """Close where ids of events repeat or lack, or point to nobody and nowhere."""
    source, looked = sources[name], told[name]
    if key in source.values and not looked["rows"] == looked["known"] == looked["different"]:
        counted = source.select([key]).group_by(key).aggregate(times=ibis._.count())
        repeated = counted.filter((counted.times > 1) | counted[key].isnull())
        found = repeated.order_by(key).limit(1).to_pyarrow()[key].to_pylist()
        if found:
            number = int(repeated.count().to_pyarrow().as_py())
            what = f"{number:,} times, such as {found[0]!r}" if found[0] is not None else "null"
            raise GateClosed(f"{source.file}: {key} does not tell rows apart ({what}); give each row an id of its own")
    _refuse_other_months(source, looked.get("months", ()))
    for to, column in POINTERS.items():
        other = sources.get(to)
        if other is None or other is source or column not in source.values or column not in other.values:
            continue
        if told[to].get(name):
            continue
        here, there = source.select([column]), other.select([column])
        if not here.semi_join(there, column).limit(1).to_pyarrow().num_rows:
            first, second = (table[column].min().to_pyarrow().as_py() for table in (here, there))
            ids = f"ids are {first!r} here and {second!r} there"
            raise GateClosed(f"{source.file}: no row has a {column} of {other.file}; {ids}")


def _refuse_repeats(table: ir.Table, looked: MappingType[str, int], file: str, what: str, advice: str) -> None:
    if looked["rows"] == looked["different"]:
        return
    counted = table.group_by(list(KEYS)).aggregate(times=table.count())
    repeated = counted.filter(counted.times > 1)
    found = repeated.order_by(list(KEYS)).limit(1).to_pyarrow().to_pylist()
    if found:
        number, first = int(repeated.count().to_pyarrow().as_py()), found[0]
        told = f"{number:,} times, such as {first['customer_id']!r} in {first['period']}"
        raise GateClosed(f"{file}: a customer has more than one {what} in one period ({told}); {advice}")


def _refuse_strangers(answers: ir.Table, file: str, panel: ir.Table, panel_file: str) -> None:
    """Refuse answers none of which has a row in the panel: ids that are written in two ways."""
    if answers.semi_join(panel, list(KEYS)).limit(1).to_pyarrow().num_rows:
        return
    here, there = (table.customer_id.min().to_pyarrow().as_py() for table in (answers, panel))
    if here is not None and there is not None:
        ids = f"ids are {here!r} here and {there!r} there"
        raise GateClosed(f"{file}: no answer has a row of the same customer and period in {panel_file}; {ids}")


def _refuse_other_kinds(survey: Source) -> None:
    """Refuse a kind of survey that is none: its rows would be left out without a word."""
    if "kind" not in survey.values:
        return
    allowed = TERMS["surveys", "kind"].levels
    found = [one["kind"] for one in rows_of(survey.select(["kind"]).distinct())]
    other = sorted(str(kind) for kind in found if kind not in allowed)
    if other:
        raise UsageError(f"{survey.file}: kind of survey {other[0]!r} is none; it is one of {', '.join(allowed)}")


def months(source: Source) -> dict[str, int]:
    """How many rows a table has of each month; raises UsageError for a period that is no month."""
    found = by_month(source.select(["period"]))
    _refuse_other_months(source, found)
    return found


def by_month(table: ir.Table) -> dict[str, int]:
    """How many rows a table of files has of each period; those of none are left out."""
    counted = rows_of(table.group_by("period").aggregate(n=table.count()))
    return {one["period"]: int(one["n"]) for one in counted if one["period"] is not None}


def _refuse_other_months(source: Source, found: Iterable[str]) -> None:
    """Refuse a period that is no month."""
    wrong = sorted(p for p in found if not periods.is_month(p))
    if wrong:
        advice = "of a date it is sql = \"strftime(day, '%Y-%m')\""
        raise UsageError(f"{source.file}: period {wrong[0]!r} is no month; write it as 2026-10 ({advice})")


def spare_own_tables(mapping: Mapping) -> None:
    """Refuse to simulate over tables that somebody else put there: only what a simulation left may be replaced."""
    there, lacking = ([f.name for f in mapping.table_files if f.is_file() is is_there] for is_there in (True, False))
    ours = (mapping.folder / "study.toml").is_file() or any(mapping.folder.glob(".aside-*"))
    if there and not ours:
        told = f"{', '.join(there)} is there, {', '.join(lacking)} is not, and a simulation would replace both"
        advice = "add the other table and take [simulate] out, or name another folder"
        raise UsageError(f"{mapping.path.name}: {told}; {advice}")
