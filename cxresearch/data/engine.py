"""The only room that knows the engine: own files become tables of terms, as Ibis expressions on DuckDB.

Ids stay text (007 is not 7), NaN and NULL are made one, declared missing codes become null.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from cxresearch.data.mapping import Column, Mapping, Table
from cxresearch.data.terms import Term, nearest, table_terms
from cxresearch.errors import UsageError

TEXT_KINDS = ("id", "category", "time")
_DERIVED = "cx derived "  # keeps derived columns apart from own ones of the same name


@dataclass(frozen=True)
class Source:
    """One own table seen through the mapping: an expression for each term that it can give.

    `composites` names the items behind each score that is a mean of several answers.
    """

    name: str
    file: str
    table: ir.Table
    values: MappingType[str, ir.Value]
    composites: MappingType[str, tuple[str, ...]] = field(default_factory=dict)
    stated_period: bool = False

    def select(self, columns: list[str]) -> ir.Table:
        """The table with exactly these terms as columns."""
        return self.table.select(**{name: self.values[name] for name in columns})


class Engine:
    """An embedded DuckDB that reads the files of one study; it lives as long as the study."""

    def __init__(self) -> None:
        self.connection = ibis.duckdb.connect()
        self._scratch = Path(tempfile.mkdtemp(prefix="cxresearch-"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)

    def source(self, mapping: Mapping, table: Table) -> Source:
        """One table of a study; raises UsageError naming file and column where they do not fit."""
        text = _text_columns(table)
        raw = self._read(mapping.folder / table.file, table, text)
        if table.join is not None:
            raw = self._joined(mapping, table, raw, text)
        return _source(table, self._derived(table, raw))

    def keep(self, expression: ir.Table) -> ir.Table:
        """The rows of an expression computed once and kept in memory."""
        return self.connection.create_table(ibis.util.gen_name("kept"), expression, temp=True)

    def view(self, expression: ir.Table) -> ir.Table:
        """An expression under a name: looked at anew each time, only the columns that are asked for."""
        return self.connection.create_view(ibis.util.gen_name("view"), expression)

    def _joined(self, mapping: Mapping, table: Table, raw: ir.Table, text: set[str]) -> ir.Table:
        assert table.join is not None
        key = table.join.on
        other = self._read(
            mapping.folder / table.join.file,
            Table(table.name, table.join.file, sheet=table.join.sheet, missing=table.missing),
            text | {key},
        )
        for side, file in ((raw, table.file), (other, table.join.file)):
            if key not in side.columns:
                raise UsageError(f"{file}: no column {key!r} to join on{nearest(key, list(side.columns))}")
            rows, keys = side.aggregate(rows=side.count(), keys=side[key].nunique()).to_pyarrow().to_pylist()[0].values()
            if rows != keys:
                raise UsageError(f"{file}: {rows - keys:,} rows repeat a value of {key!r}; a join must be one to one")
        shared = [c for c in other.columns if c in raw.columns and c != key]
        return raw.inner_join(other.drop(*shared), key)

    def _derived(self, table: Table, raw: ir.Table) -> ir.Table:
        """The table with a column more for each SQL expression of the mapping."""
        expressions = {column.term: column.sql for column in table.columns.values() if column.sql is not None}
        if not expressions:
            return raw
        own, view = ibis.util.gen_name("own"), ibis.util.gen_name("derived")
        self.connection.create_view(own, raw)
        for term, sql in expressions.items():
            try:
                self.connection.raw_sql(f'SELECT ({sql}) AS "{term}" FROM {own} LIMIT 0')
            except Exception as error:
                first = str(error).strip().splitlines()[0]
                raise UsageError(f"{table.file}: {term}: the SQL expression {sql!r} does not run: {first}") from error
        more = ", ".join(f'({sql}) AS "{_DERIVED}{term}"' for term, sql in expressions.items())
        self.connection.raw_sql(f"CREATE VIEW {view} AS SELECT *, {more} FROM {own}")
        return self.connection.table(view)

    def _read(self, path: Path, table: Table, text: set[str]) -> ir.Table:
        if not path.is_file():
            raise UsageError(f"no file {path.name!r} in the folder of the study, {path.parent.name!r}; put it there or mend {table.name}.file")
        kind = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".zip" else path.suffix.lower()
        try:
            if kind == ".csv":
                return self._csv(path, table, text)
            if kind.endswith(".csv.zip"):
                return self._csv(self._unzipped(path), table, text)
            if kind == ".parquet":
                return self.connection.read_parquet(path)
            if kind == ".xlsx":
                return self._excel(path, table, text)
            if kind in (".duckdb", ".db"):
                return self._attached(path, table)
        except UsageError:
            raise
        except Exception as error:
            first = str(error).strip().splitlines()[0]
            raise UsageError(f"{path.name}: cannot be read: {first}") from error
        raise UsageError(f"{path.name}: unknown kind of file; allowed: .csv, .csv.zip, .parquet, .xlsx, .duckdb")

    def _csv(self, path: Path, table: Table, text: set[str]) -> ir.Table:
        codes = [str(code) for code in table.missing]
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        if not head.strip():
            raise UsageError(f"{path.name}: the file is empty")
        present = self.connection.read_csv(path, header=True, all_varchar=True).columns
        kinds = {name: "VARCHAR" for name in present if name in text}
        options: dict[str, Any] = {"types": kinds} if kinds else {}
        return self.keep(self.connection.read_csv(path, header=True, sample_size=-1, nullstr=["", *codes], **options))

    def _unzipped(self, path: Path) -> Path:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if len(members) != 1:
                raise UsageError(f"{path.name}: holds {len(members)} csv files; it must hold exactly one")
            return Path(archive.extract(members[0], self._scratch))

    def _excel(self, path: Path, table: Table, text: set[str]) -> ir.Table:
        import pandas as pd

        sheet: Any = table.sheet if table.sheet is not None else 0
        frame = pd.read_excel(path, sheet_name=sheet, engine="calamine", dtype=dict.fromkeys(text, str))
        codes = [code for code in table.missing if code != ""]
        sheet_table = pa.Table.from_pandas(frame.replace(codes, None) if codes else frame, preserve_index=False)
        return self.keep(ibis.memtable(sheet_table))

    def _attached(self, path: Path, table: Table) -> ir.Table:
        if table.table is None:
            raise UsageError(f"{path.name}: name the table inside it, as table = 'customers'")
        catalog = ibis.util.gen_name("own")
        self.connection.attach(path, name=catalog, read_only=True)
        return self.connection.table(table.table, database=(catalog, "main"))


def _text_columns(table: Table) -> set[str]:
    """Own columns that must be read as text because they stand for ids, labels or times."""
    terms = table_terms(table.name)
    labels = [c for c in table.columns.values() if terms[c.term].kind in TEXT_KINDS or isinstance(c.positive, str)]
    mapped = {c.column for c in labels if c.column}
    return mapped or {name for name, term in terms.items() if term.kind in TEXT_KINDS}


def _source(table: Table, raw: ir.Table) -> Source:
    terms = table_terms(table.name)
    columns = table.columns or {name: Column(name, column=name) for name in raw.columns if name in terms}
    values: dict[str, ir.Value] = {}
    composites: dict[str, tuple[str, ...]] = {}
    for name, column in columns.items():
        if column.mean_of:
            items = {f"{name}_{i}": _value(raw, Column(name, own, missing=column.missing), None, table.file) for i, own in enumerate(column.mean_of, 1)}
            values |= items
            values[name] = _index(list(items.values()), column.scale or (0.0, 100.0))
            composites[name] = tuple(items)
        else:
            values[name] = _value(raw, column, terms[name], table.file)
    for name, term in terms.items():
        if term.items and name not in values and set(term.items) <= set(values):
            first = terms[term.items[0]]
            assert first.low is not None and first.high is not None
            values[name] = _index([values[item] for item in term.items], (first.low, first.high))
            composites[name] = term.items
    if table.period is not None:
        values["period"] = ibis.literal(table.period)
    if "customer_id" not in values:
        values["customer_id"] = ibis.row_number().cast("string")  # without an id every row is a customer
    return Source(table.name, table.file, raw, values, composites, stated_period=table.period is not None)


def _index(items: list[ir.Value], scale: tuple[float, float]) -> ir.Value:
    """The mean of items, rescaled from the ends of their scale to 0 to 100."""
    low, high = scale
    total = items[0]
    for item in items[1:]:
        total = total + item
    return (total / len(items) - low) / (high - low) * 100.0


def _value(raw: ir.Table, column: Column, term: Term | None, file: str) -> ir.Value:
    own = f"{_DERIVED}{column.term}" if column.sql is not None else str(column.column)
    if own not in raw.columns:
        raise UsageError(f"{file}: no column {own!r} for {column.term}{nearest(own, list(raw.columns))}")
    value = raw[own]
    for code in column.missing:
        value = value.nullif(ibis.literal(code).cast(value.type()))
    if term is not None and term.kind in TEXT_KINDS:
        return value.cast("string")
    if term is not None and term.kind == "flag" and column.positive is not None:
        _level(raw, value, column, file)
        return (value == ibis.literal(column.positive)).cast("float64")
    return _number(raw, value, column, file)


def _number(raw: ir.Table, value: ir.Value, column: Column, file: str) -> ir.Value:
    """The value as a number; text that is none is refused with an example, NaN becomes null."""
    if value.type().is_string():
        number = value.try_cast("float64")
        bad = raw.filter(value.notnull() & (value.strip() != "") & number.isnull()).select(x=value).distinct().limit(3)
        examples = [row["x"] for row in bad.to_pyarrow().to_pylist()]
        if examples:
            shown = ", ".join(repr(x) for x in examples)
            raise UsageError(
                f"{file}: column {column.column!r} for {column.term} holds text ({shown}); "
                f"declare it, as missing = [{shown}], or map another column"
            )
        value = number
    elif not (value.type().is_numeric() or value.type().is_boolean()):
        raise UsageError(f"{file}: column {column.column!r} for {column.term} is of type {value.type()}; it must be a number")
    floating = value.type().is_floating()
    value = value.cast("float64")
    value = ibis.ifelse(value.isnan(), ibis.null("float64"), value) if floating else value
    if column.scale is not None:
        low, high = column.scale
        value = (value - low) / (high - low) * 100.0
    return value


def _level(raw: ir.Table, value: ir.Value, column: Column, file: str) -> None:
    """Refuse a positive level that the column does not hold."""
    if raw.filter(value == column.positive).limit(1).to_pyarrow().num_rows == 0:
        levels = raw.filter(value.notnull()).select(x=value).distinct().limit(6).to_pyarrow().to_pylist()
        shown = ", ".join(repr(row["x"]) for row in levels)
        raise UsageError(f"{file}: {column.term}: no row of {column.column!r} is {column.positive!r}; it has {shown}")


def fingerprint(paths: list[Path]) -> str:
    """A short hash of the contents of files: equal data, equal fingerprint."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
