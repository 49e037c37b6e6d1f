"""Columns: how an own column, expression or mean of several becomes the values of a term.

Ids stay text (007 is not 7), NaN and NULL are made one, codes and values outside the range of a term become null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import ibis
import ibis.expr.types as ir

from cxresearch.data import periods
from cxresearch.data.checks import Outside, Ranged, all_inside, outside
from cxresearch.data.mapping import Column, Table
from cxresearch.data.marks import mark_of_two
from cxresearch.data.stored import finite
from cxresearch.data.terms import EVENT_KEYS, KEYS, Term, nearest, table_terms
from cxresearch.errors import UsageError

TEXT_KINDS = ("id", "category", "time")
UNCODED_KINDS = ("id", "time")  # a customer may well be number 98
CONDITIONS = ("period", "kind", "answered_at")  # terms by which rows are chosen
WHOSE = "cx whose"  # the column that tells whose row it is
DERIVED = "cx derived "  # keeps derived columns apart from own ones of the same name


@dataclass(frozen=True)
class Source:
    """One own table seen through the mapping: an expression for each term that it can give.

    `composites` names the items behind each score that is a mean of several answers; `outside` are the columns
    with values that their terms do not allow. `own` are texts and times as they lie there,
    before codes and empty ones are taken for gaps; of those `settled` they say by themselves which rows are
    chosen. `rows` is how many rows the table has, `number` that of each in its file, where the engine tells it.
    """

    name: str
    file: str
    table: ir.Table
    rows: int
    values: MappingType[str, ir.Value]
    composites: MappingType[str, tuple[str, ...]] = field(default_factory=dict)
    stated_period: bool = False
    identified: bool = True
    outside: tuple[Outside, ...] = ()
    own: MappingType[str, ir.Value] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()
    number: ir.Value | None = None

    @property
    def marked(self) -> Source:
        """The same with a column more, `WHOSE`, that tells the rows apart: by their number, or by customer and month."""
        values = {**self.values, **self.own}
        whose = mark_of_two(*(values[key] for key in KEYS)) if self.number is None else self.number
        return replace(self, values={**self.values, WHOSE: whose})

    def select(self, columns: list[str], *, only: Sequence[str] | None = None) -> ir.Table:
        """The table with exactly these terms as columns; with `only` the rows of these periods."""
        return self._rows(columns, only)

    def answered(self, columns: Sequence[str] | None = None, *, only: Sequence[str] | None = None) -> ir.Table:
        """Of a table of surveys: the relationship surveys that were answered, with all terms or those that are named."""
        needed = [c for c in ("answered_at", "kind") if c in self.values]
        wanted = list(self.values if columns is None else dict.fromkeys([*columns, *needed]))
        return self._rows(wanted, only, answered=True)

    def _rows(self, columns: Sequence[str], only: Sequence[str] | None, *, answered: bool = False) -> ir.Table:
        """These terms of the rows asked for: what can be asked of a column as it lies is asked before others are read."""

        def asked(values: MappingType[str, ir.Value]) -> list[ir.Value]:
            found = [_among(values["period"], only)] if only is not None and "period" in values else []
            found += [values["kind"] == "relationship"] if answered and "kind" in values else []
            return found + ([values["answered_at"].notnull()] if answered and "answered_at" in values else [])

        named = {name: self.values[name] for name in columns}
        if not self.identified or self.stated_period:  # its customers are its row numbers; its period is in no row
            table = self.table.select(**named)
            conditions = asked({name: table[name] for name in table.columns})
            return table.filter(*conditions) if conditions else table
        open_yet = {n: self.values[n] for n in CONDITIONS if n in self.values and n not in self.settled}
        conditions = [*asked(self.own), *asked(open_yet)]
        return (self.table.filter(*conditions) if conditions else self.table).select(**named)


def _among(period: ir.Value, wanted: Sequence[str]) -> ir.Value:
    """Whether a period is one of those wanted: by the ends of a span, which an engine sees without a look at each."""
    whole = tuple(wanted) == periods.span(wanted[-1], len(wanted)) if wanted else False
    return period.between(wanted[0], wanted[-1]) if whole else period.isin(list(wanted))


def own_columns(table: Table, kinds: tuple[str, ...]) -> set[str]:
    """Own columns that stand for terms of these kinds."""
    terms = table_terms(table.name)
    if not table.columns:
        return {name for name, term in terms.items() if term.kind in kinds}
    return {c.column for c in table.columns.values() if c.column and terms[c.term].kind in kinds}


def text_columns(table: Table) -> set[str]:
    """Own columns that must be read as text: they stand for ids, labels or times, or name the level of a flag."""
    flags = {c.column for c in table.columns.values() if c.column and isinstance(c.positive, str)}
    return own_columns(table, TEXT_KINDS) | flags


def source_of(table: Table, raw: ir.Table, rows: int) -> Source:
    terms = table_terms(table.name)
    columns = table.columns or {name: Column(name, column=name) for name in raw.columns if name in terms}
    values: dict[str, ir.Value] = {}
    composites: dict[str, tuple[str, ...]] = {}
    numbers: dict[str, Column] = {}
    plain: dict[str, ir.Value] = {}
    settled: set[str] = set()
    for name, given in columns.items():
        term = terms[name]
        column = replace(given, missing=(*given.missing, *(table.missing if term.kind not in UNCODED_KINDS else ())))
        if column.mean_of:
            composites[name] = tuple(f"{name}_{i}" for i in range(1, len(column.mean_of) + 1))
            own = zip(composites[name], column.mean_of, strict=True)
            numbers |= {item: replace(column, column=answer, mean_of=()) for item, answer in own}
        elif term.kind in TEXT_KINDS:
            values[name], own = _text(raw, column, table.file), _own(raw, column, table.file)
            if own.type().is_string() or (term.kind == "time" and name != "period"):
                plain[name] = own
                # an empty text is no period and no kind, but it is one that is there
                if not column.missing and (name in ("period", "kind") or not own.type().is_string()):
                    settled.add(name)
        elif column.positive is not None:
            values[name] = _flag(raw, column, table.file)
        else:
            numbers[name] = column
    ranged = {name: _ranged(raw, column, terms[column.term], table.file) for name, column in numbers.items()}
    fine = all_inside(table.file, raw, rows, ranged)
    kept = {name: own.value if name in fine else own.kept for name, own in ranged.items()}
    for name, column in columns.items():
        if name in composites:
            values |= {item: kept[item] for item in composites[name]}
            values[name] = _rescaled(_mean([kept[item] for item in composites[name]]), column.scale, terms[name])
        elif name in kept:
            values[name] = _rescaled(kept[name], column.scale, terms[name])
    for name, term in terms.items():
        if term.items and name not in values and set(term.items) <= set(values):
            first = terms[term.items[0]]
            assert first.low is not None
            assert first.high is not None
            values[name] = _rescaled(_mean([values[item] for item in term.items]), (first.low, first.high), term)
            composites[name] = term.items
    if "contract_remaining_m" in values and "under_contract" not in values:
        values["under_contract"] = (values["contract_remaining_m"] > 0).cast("float64")
    if table.period is not None:
        values["period"] = ibis.literal(table.period)
    identified = "customer_id" in values
    if not identified and table.name not in EVENT_KEYS:
        values["customer_id"] = ibis.row_number().cast("string")  # without an id every row is a customer
    return Source(
        table.name,
        table.file,
        raw,
        rows,
        values,
        composites,
        stated_period=table.period is not None,
        identified=identified,
        outside=outside(table.file, raw, [own for name, own in ranged.items() if name not in fine]),
        own=plain,
        settled=frozenset(settled),
    )


def _mean(items: list[ir.Value]) -> ir.Value:
    """The mean of answers, null where one of them is."""
    total = items[0]
    for item in items[1:]:
        total = total + item
    return total / len(items)


def _rescaled(value: ir.Value, scale: tuple[float, float] | None, term: Term) -> ir.Value:
    """A value carried from the ends of its own scale to those of the term."""
    if scale is None or term.low is None or term.high is None:
        return value
    low, high = scale
    return (value - low) / (high - low) * (term.high - term.low) + term.low


def _own(raw: ir.Table, column: Column, file: str) -> ir.Value:
    own = f"{DERIVED}{column.term}" if column.sql is not None else str(column.column)
    if own not in raw.columns:
        raise UsageError(f"{file}: no column {own!r} for {column.term}{nearest(own, list(raw.columns))}")
    return raw[own]


def _text(raw: ir.Table, column: Column, file: str) -> ir.Value:
    """The value as text; an empty one is null."""
    return without(_own(raw, column, file).cast("string"), ["", *map(str, column.missing)])


def without(value: ir.Value, codes: Sequence[str | float]) -> ir.Value:
    for code in codes:
        value = value.nullif(code)
    return value


def _flag(raw: ir.Table, column: Column, file: str) -> ir.Value:
    """1 where the value is the level that means yes, 0 where it is another; refused where no row has that level."""
    own, wanted = _own(raw, column, file), column.positive
    value = without(own.cast("string"), ["", *map(str, column.missing)])
    if isinstance(wanted, str) or own.type().is_string():
        yes = value == str(wanted)
    else:
        yes = own.cast("float64") == float(wanted)
    if raw.filter(yes).limit(1).to_pyarrow().num_rows == 0:
        levels = raw.filter(value.notnull()).select(x=own).distinct().order_by("x").limit(6).to_pyarrow().to_pylist()
        shown = ", ".join(repr(row["x"]) for row in levels)
        name = column.column or column.sql
        raise UsageError(f"{file}: {column.term}: no row of {name!r} is {wanted!r}; it has {shown}")
    return ibis.ifelse(value.isnull(), ibis.null("float64"), yes.cast("float64"))


def _ranged(raw: ir.Table, column: Column, term: Term, file: str) -> Ranged:
    """The value as a number on its own scale, with the range that it can have."""
    low, high = column.scale or ((0.0, 1.0) if term.kind == "flag" else (term.low, term.high))
    own, clean = _number(raw, column, file)
    return Ranged(column.column or str(column.sql), column.term, own, clean, low, high)


def _number(raw: ir.Table, column: Column, file: str) -> tuple[ir.Value, ir.Value]:
    """The value as it is stored, and as a number with NaN and infinity as null; text that is none is refused."""
    value, name = _own(raw, column, file), column.column or column.sql
    if value.type().is_string():
        value = without(value, ["", *map(str, column.missing)])
        number = value.try_cast("float64")
        bad = raw.filter(value.notnull() & (value.strip() != "") & number.isnull()).select(x=value).distinct()
        examples = [row["x"] for row in bad.order_by("x").limit(3).to_pyarrow().to_pylist()]
        if examples:
            shown = ", ".join(repr(x) for x in examples)
            raise UsageError(
                f"{file}: column {name!r} for {column.term} holds text ({shown}); "
                f"declare it, as missing = [{shown}], or map another column"
            )
        value = number
    elif not (value.type().is_numeric() or value.type().is_boolean()):
        raise UsageError(f"{file}: column {name!r} for {column.term} is of type {value.type()}; it must be a number")
    codes = [code for code in map(_as_number, column.missing) if code is not None]
    number = finite(value) if value.type().is_floating() else value.cast("float64")
    own = value if value.type().is_numeric() and not codes else without(value.cast("float64"), codes)
    return own, without(number, codes)


def _as_number(code: object) -> float | None:
    """A code as the number that it is in a column of numbers; None for a word."""
    try:
        number = float(str(code))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
