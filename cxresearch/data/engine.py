"""The only room that knows DuckDB: own files of any kind become tables of rows.

What their columns mean is said in `columns`. An id is read as text, and declared codes are nobody's id.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa

from cxresearch.data.checks import totals
from cxresearch.data.columns import DERIVED, UNCODED_KINDS, Source, own_columns, source_of, text_columns, without
from cxresearch.data.mapping import Mapping, Table
from cxresearch.data.matching import MOST_ROWS
from cxresearch.data.stored import as_stored
from cxresearch.data.terms import nearest
from cxresearch.errors import NoData, UsageError

ROW = "file_row_number"  # the engine's own name for it
THREADS = "CXRESEARCH_THREADS"  # a report says how many its notebooks may have


class Engine:
    """An embedded DuckDB that reads the files of one study; it lives as long as the study."""

    near = True  # in this process, so rows can pass by; an engine elsewhere makes the sums itself

    def __init__(self) -> None:
        self.connection = ibis.duckdb.connect()
        if allowed := os.environ.get(THREADS):
            self.connection.raw_sql(f"SET threads = {int(allowed)}")
        self._viewed: dict[str, ir.Table] = {}
        self._numbered: set[ops.Node] = set()
        self._scratch = Path(tempfile.mkdtemp(prefix="cxresearch-"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)

    def source(self, mapping: Mapping, table: Table) -> Source:
        """One table of a study; raises UsageError naming file and column where they do not fit."""
        text = text_columns(table) | ({table.join.on} if table.join is not None else set())
        raw = self._read(mapping.folder / table.file, table, text)
        rows = totals(raw, n=raw.count())["n"]
        if not rows:
            raise NoData(f"{table.file}: holds no rows")
        if rows > MOST_ROWS:  # what a query frees goes back to the system, or the next one's memory comes on top of it
            self.connection.raw_sql("SET allocator_bulk_deallocation_flush_threshold = '8MB'")
        if table.join is not None:
            raw = self._joined(mapping, table, raw, text)  # one to one, so of as many rows
        raw = self._derived(table, raw)
        return replace(source_of(table, raw, rows), number=raw[ROW] if raw.op() in self._numbered else None)

    def keep(self, expression: ir.Table) -> ir.Table:
        """The rows of an expression computed once and kept in memory."""
        return self.connection.create_table(ibis.util.gen_name("kept"), expression, temp=True)

    @contextmanager
    def held(self) -> Iterator[Callable[[ir.Table], ir.Table]]:
        """A `keep` whose tables go when the block ends."""
        kept: list[ir.Table] = []

        def keep(expression: ir.Table) -> ir.Table:
            kept.append(self.keep(expression))
            return kept[-1]

        try:
            yield keep
        finally:
            for table in kept:
                self.drop(table)

    def drop(self, table: ir.Table) -> None:
        """A kept table goes."""
        name = table.get_name()
        self.connection.raw_sql(
            f"DROP TABLE {name}"
        )  # Ibis' drop_table writes no name, DuckDB 2.0 fails on a quoted one

    def stream(self, expression: ir.Table, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of an expression in pieces of so many; a join holds its right side and lets the left pass by.

        Numbers come as they are stored: of fewer bits, or NaN where there is none.
        Nothing else can be asked until the last piece is taken or the iterator is closed.
        """
        self.connection.to_pyarrow(
            expression.limit(0)
        )  # what is in memory only gets its name in the engine when Ibis asks
        # by its own guess of sizes the engine may hold the large side in memory; and each thread holds rows that it has read
        for setting in ("disabled_optimizers = 'join_order,build_side_probe_side'", "threads = 1"):
            self.connection.raw_sql(f"SET {setting}")
        try:
            asked = self.connection.compile(as_stored(expression, self._viewed))
            with self.connection.con.sql(asked).to_arrow_reader(rows) as reader:
                yield from reader
        finally:
            for setting in ("disabled_optimizers", "threads"):
                self.connection.raw_sql(f"RESET {setting}")

    def view(self, expression: ir.Table) -> ir.Table:
        """An expression under a name: looked at anew each time, only the columns that are asked for."""
        name = ibis.util.gen_name("view")
        self._viewed[name] = expression
        return self.connection.create_view(name, expression)

    def _joined(self, mapping: Mapping, table: Table, raw: ir.Table, text: set[str]) -> ir.Table:
        assert table.join is not None
        key = table.join.on
        other = self._read(
            mapping.folder / table.join.file,
            Table(table.name, table.join.file, sheet=table.join.sheet, missing=table.missing),
            text,
        )
        for side, file in ((raw, table.file), (other, table.join.file)):
            if key not in side.columns:
                raise UsageError(f"{file}: no column {key!r} to join on{nearest(key, list(side.columns))}")
            counted = side.aggregate(rows=side.count(), keys=side[key].nunique())
            rows, keys = counted.to_pyarrow().to_pylist()[0].values()
            if rows != keys:
                told = f"{rows - keys:,} rows repeat or lack a value of {key!r}"
                raise UsageError(f"{file}: {told}; a join must be one to one")
        shared = [c for c in other.columns if c in raw.columns and c != key]
        raw, other = (side.mutate(**{key: side[key].cast("string")}) for side in (raw, other.drop(*shared)))
        alone = int(raw.anti_join(other, key).count().to_pyarrow().as_py())
        if alone:
            told = f"{alone:,} rows of {table.file} have no row of the same {key!r} here"
            raise UsageError(f"{table.join.file}: {told}; a join must be one to one")
        return raw.inner_join(other, key)

    def _derived(self, table: Table, raw: ir.Table) -> ir.Table:
        """The table with a column more for each SQL expression of the mapping."""
        expressions = {column.term: column.sql for column in table.columns.values() if column.sql is not None}
        if not expressions:
            return raw
        own, view = ibis.util.gen_name("own"), ibis.util.gen_name("derived")
        self.connection.create_view(own, raw)
        for term, sql in expressions.items():
            try:
                self.connection.raw_sql(f'SELECT *, ({sql}) AS "{DERIVED}{term}" FROM {own} LIMIT 0')
            except Exception as error:
                first = str(error).strip().splitlines()[0]
                raise UsageError(f"{table.file}: {term}: the SQL expression {sql!r} does not run: {first}") from error
        more = ", ".join(f'({sql}) AS "{DERIVED}{term}"' for term, sql in expressions.items())
        self.connection.raw_sql(f"CREATE VIEW {view} AS SELECT *, {more} FROM {own}")
        return self.connection.table(view)

    def _read(self, path: Path, table: Table, text: set[str]) -> ir.Table:
        if not path.is_file():
            told = f"no file {path.name!r} in the folder of the study, {path.parent.name!r}"
            raise UsageError(f"{told}; put it there or mend {table.name}.file")
        kind = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".zip" else path.suffix.lower()
        try:
            if kind == ".csv":
                return self._csv(path, table, text)
            if kind.endswith(".csv.zip"):
                return self._csv(self._unzipped(path), table, text)
            if kind == ".parquet":
                return self._parquet(path)
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

    def _parquet(self, path: Path) -> ir.Table:
        try:
            raw = self.connection.read_parquet(path, file_row_number=True)
        except duckdb.BinderException:  # it has a column of that name
            return self.connection.read_parquet(path)
        self._numbered.add(raw.op())
        return raw

    def _csv(self, path: Path, table: Table, text: set[str]) -> ir.Table:
        codes = [str(code) for code in table.missing]
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        if not head.strip():
            raise UsageError(f"{path.name}: the file is empty")
        words = self.connection.read_csv(path, header=True, all_varchar=True, nullstr=[""])
        options: dict[str, Any] = {"header": True, "sample_size": -1, "nullstr": ["", *codes]}
        if kinds := {name: "VARCHAR" for name in words.columns if name in text}:
            options["types"] = kinds
        typed = self.connection.read_csv(path, **options)
        if not codes:
            return self.keep(typed)
        # of the engine's own codes no column is spared, but an id may well be 98
        ids = own_columns(table, UNCODED_KINDS)
        columns = {name: words[name] if name in ids else without(words[name], codes) for name in words.columns}
        numbers = [name for name in words.columns if typed[name].type().is_numeric() or typed[name].type().is_boolean()]
        columns |= {name: columns[name].cast(typed[name].type()) for name in numbers}
        return self.keep(words.select(**columns))

    def _unzipped(self, path: Path) -> Path:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if len(members) != 1:
                raise UsageError(f"{path.name}: holds {len(members)} csv files; it must hold exactly one")
            return Path(archive.extract(members[0], self._scratch))

    def _excel(self, path: Path, table: Table, text: set[str]) -> ir.Table:
        import pandas as pd

        sheet: Any = table.sheet if table.sheet is not None else 0
        # only an empty cell is empty: NA and None may be answers
        kinds: Any = dict.fromkeys(text, str)
        options: Any = {"engine": "calamine", "keep_default_na": False, "na_values": [""]}
        frame = pd.read_excel(path, sheet_name=sheet, dtype=kinds, **options)
        frame.columns = frame.columns.map(str)
        ids = own_columns(table, UNCODED_KINDS)
        for name in frame.columns.difference(list(ids)):
            frame[name] = frame[name].mask(frame[name].isin(table.missing)).infer_objects()
        for name in (column for column in frame.columns if frame[column].dtype == "object"):
            frame[name] = frame[name].map(str, na_action="ignore")  # texts among numbers are told of further on
        return self.keep(ibis.memtable(pa.Table.from_pandas(frame, preserve_index=False)))

    def _attached(self, path: Path, table: Table) -> ir.Table:
        if table.table is None:
            raise UsageError(f"{path.name}: name the table inside it, as table = 'customers'")
        catalog = ibis.util.gen_name("own")
        self.connection.attach(path, name=catalog, read_only=True)
        asked = "SELECT table_name FROM information_schema.tables WHERE table_catalog = ?"
        there = [name for (name,) in self.connection.con.execute(asked, [catalog]).fetchall()]
        if table.table not in there:
            raise UsageError(f"{path.name}: no table {table.table!r}{nearest(table.table, there)}")
        return self.connection.table(table.table, database=(catalog, "main"))


def fingerprint(paths: list[Path]) -> str:
    """A short hash of the contents of files: equal data, equal fingerprint."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
