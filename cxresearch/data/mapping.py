"""Mappings (`data/*.toml`): which own table and column stands for which term of the field.

A mapping is typed and closed: an unknown key, table or term is refused with the nearest that exists.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxresearch.data import periods
from cxresearch.data.terms import TABLES, nearest, table_terms
from cxresearch.errors import UsageError
from cxresearch.table import MIN_CELL

LEVELS = {  # what customers share, finest first; months share what happens to everybody in them
    "customer": "customer_id",
    "account": "account_id",
    "household": "household_id",
    "site": "site_id",
    "team": "team_id",
    "region": "region",
    "period": "period",
}
CODES = (str, int, float)  # what a code for "no answer" can be
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Column:
    """Where the values of one term come from: an own column, an SQL expression, or the mean of several columns.

    `missing` lists codes that mean "no answer"; `positive` is the level that counts as yes; `scale` gives the
    ends of the own scale, which is then rescaled to the range of the term (0 to 100 for a score).
    """

    term: str
    column: str | None = None
    sql: str | None = None
    mean_of: tuple[str, ...] = ()
    missing: tuple[Any, ...] = ()
    positive: Any = None
    scale: tuple[float, float] | None = None


@dataclass(frozen=True)
class Join:
    """A second file that holds one row for each row of the first."""

    file: str
    on: str
    sheet: str | None = None


@dataclass(frozen=True)
class Table:
    """One own table: its file, the period it speaks of when it has no such column, and its columns."""

    name: str
    file: str
    sheet: str | None = None
    table: str | None = None
    period: str | None = None
    missing: tuple[Any, ...] = ()
    join: Join | None = None
    columns: MappingType[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class Mapping:
    """A study as it is written down: name, tables, levels of sharing, policy."""

    path: Path
    name: str
    title: str
    folder: Path
    tables: MappingType[str, Table]
    levels: tuple[str, ...] = ("customer",)
    currency: str = ""
    min_cell: int = MIN_CELL
    enriched: bool = False
    churn_rate: float | None = None
    simulated: bool = False
    source: str = ""
    simulate: MappingType[str, Any] | None = None

    @property
    def table_files(self) -> list[Path]:
        """The files of the tables, without those that are joined to them."""
        return [self.folder / table.file for table in self.tables.values()]

    @property
    def files(self) -> list[Path]:
        """Every file that the study consists of, this one first."""
        joined = [self.folder / table.join.file for table in self.tables.values() if table.join is not None]
        return [self.path, *self.table_files, *joined]


_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def _is_one_of(value: object, kinds: tuple[type, ...]) -> bool:
    """Whether a value is of one of the kinds; true and false are no whole numbers."""
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def _in_words(kinds: tuple[type, ...]) -> str:
    return " or ".join(_KINDS[kind] for kind in kinds if kind is not int or float not in kinds)


class _Reader:
    """Reads typed keys of one TOML table and refuses the ones that nobody asked for."""

    def __init__(self, data: Any, where: str, allowed: dict[str, type | tuple[type, ...]]) -> None:
        if not isinstance(data, dict):
            raise UsageError(f"{where} is {data!r}; it must be a table with the keys {', '.join(allowed)}")
        self.data, self.where = data, where
        for key, value in data.items():
            if key not in allowed:
                raise UsageError(f"{where}: unknown key {key!r}{nearest(key, list(allowed))}")
            wanted = allowed[key]
            kinds = wanted if isinstance(wanted, tuple) else (wanted,)
            if not _is_one_of(value, kinds):
                raise UsageError(f"{where}: {key} is {value!r}; it must be {_in_words(kinds)}")

    def required(self, key: str) -> Any:
        if key not in self.data:
            raise UsageError(f"{self.where}: {key!r} is missing")
        return self.data[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.data.get(key, default)

    def several(self, key: str, *kinds: type) -> tuple[Any, ...]:
        """The values of a list, each of one of the kinds; empty where the key is absent."""
        values = self.data.get(key, [])
        for value in values:
            if not _is_one_of(value, kinds):
                raise UsageError(f"{self.where}: {key} holds {value!r}; each must be {_in_words(kinds)}")
        return tuple(values)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder that may not be entered
        return False


def load(path: Path) -> Mapping:
    """The mapping in a file, checked key by key; raises UsageError with file, place, and what is allowed."""
    if not _is_file(path):
        there = sorted(p.name for p in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        has = f"; {path.parent.name}/ has {', '.join(there)}" if there else ""
        raise UsageError(f"no study file {path.name!r}{has}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name}: not valid TOML: {error}") from error
    read = _Reader(
        data,
        path.name,
        {
            "name": str,
            "title": str,
            "folder": str,
            "levels": list,
            "currency": str,
            "min_cell": int,
            "enriched": bool,
            "churn_rate": (int, float),
            "simulated": bool,
            "source": str,
            "simulate": dict,
            "tables": dict,
        },
    )
    levels = read.several("levels", str) or ("customer",)
    for level in levels:
        if level not in LEVELS:
            raise UsageError(f"{path.name}: unknown level {level!r}{nearest(level, list(LEVELS))}")
    name = read.required("name")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(f"{path.name}: name {name!r} must be lower-case letters, digits, - and _")
    min_cell = read.get("min_cell", MIN_CELL)
    if min_cell < MIN_CELL:
        raise UsageError(f"{path.name}: min_cell is {min_cell}; a study may only raise it above {MIN_CELL}")
    tables = read.required("tables")
    if not {"panel", "surveys"} & set(tables):
        raise UsageError(f"{path.name}: needs [tables.panel] or [tables.surveys], or both")
    return Mapping(
        path=path,
        name=name,
        title=read.get("title", name),
        folder=_folder(read.get("folder", "."), path),
        tables={table: _table(table, content, path.name) for table, content in tables.items()},
        levels=levels,
        currency=read.get("currency", ""),
        min_cell=min_cell,
        enriched=read.get("enriched", False),
        churn_rate=_churn_rate(read, path.name),
        simulated=read.get("simulated", False) or "simulate" in data,
        source=read.get("source", ""),
        simulate=_simulate(data["simulate"], path.name) if "simulate" in data else None,
    )


def _churn_rate(read: _Reader, where: str) -> float | None:
    """The share of all customers who leave by the next period, stated where the table holds too many leavers."""
    rate = read.get("churn_rate")
    if rate is None:
        return None
    if not read.get("enriched"):
        raise UsageError(
            f"{where}: churn_rate is the true rate where leavers are over-represented; add enriched = true, or leave it out"
        )
    if not 0 < rate < 1:
        raise UsageError(f"{where}: churn_rate is {rate}; it must be a share between 0 and 1, as 0.02 for 2 % a month")
    return float(rate)


def _folder(text: str, path: Path) -> Path:
    """The folder of the tables: relative to the mapping, with `${NAME}` taken from the environment."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UsageError(
                f"{path.name}: the environment variable {match[1]} is not set; set it to the folder that holds the tables"
            )
        return os.environ[match[1]]

    # a variable names a folder as the user's shell sees it; anything else is relative to the mapping
    if text.startswith("${"):
        return Path(_VARIABLE.sub(value, text)).expanduser().absolute()
    return (path.parent / text).absolute()


def _simulate(data: dict[str, Any], where: str) -> MappingType[str, Any]:
    _Reader(
        data,
        f"{where} [simulate]",
        {"preset": str, "seed": int, "customers": int, "months": int, "sites": int, "last": str},
    )
    return data


def _table(name: str, data: Any, where: str) -> Table:
    if name not in TABLES:
        raise UsageError(f"{where}: unknown table {name!r}{nearest(name, list(TABLES))}")
    where = f"{where} [tables.{name}]"
    read = _Reader(
        data,
        where,
        {
            "file": str,
            "sheet": str,
            "table": str,
            "period": str,
            "missing": list,
            "join": dict,
            "columns": dict,
        },
    )
    if read.get("period") is not None and not periods.is_month(read.get("period")):
        raise UsageError(f"{where}: period is {read.get('period')!r}; write it as 2026-10")
    join = read.get("join")
    if join is not None:
        joined = _Reader(join, f"{where} join", {"file": str, "on": str, "sheet": str})
        join = Join(joined.required("file"), joined.required("on"), joined.get("sheet"))
    return Table(
        name=name,
        file=read.required("file"),
        sheet=read.get("sheet"),
        table=read.get("table"),
        period=read.get("period"),
        missing=read.several("missing", *CODES),
        join=join,
        columns={
            term: _column(term, content, name, f"{where} columns") for term, content in read.get("columns", {}).items()
        },
    )


def _column(term: str, data: Any, table: str, where: str) -> Column:
    terms = table_terms(table)
    if term not in terms:
        raise UsageError(f"{where}: no term {term!r} in {table}{nearest(term, list(terms))}")
    if isinstance(data, str):
        return Column(term, column=data)
    if not isinstance(data, dict):
        raise UsageError(f"{where}: {term} must be a column's name or a table such as {{column = 'name'}}")
    read = _Reader(
        data,
        f"{where} {term}",
        {
            "column": str,
            "sql": str,
            "mean_of": list,
            "missing": list,
            "positive": (str, int, float, bool),
            "scale": list,
        },
    )
    own, missing = read.several("mean_of", str), read.several("missing", *CODES)
    ways = [key for key in ("column", "sql", "mean_of") if key in data]
    if len(ways) != 1:
        has = ", ".join(ways) or "none"
        raise UsageError(f"{where} {term}: needs exactly one of column, sql, mean_of; it has {has}")
    if "mean_of" in data and not own:
        raise UsageError(f"{where} {term}: mean_of is empty; name the columns that {term} is the mean of")
    scale = read.several("scale", int, float) if "scale" in data else None
    if scale is not None and (len(scale) != 2 or not scale[0] < scale[1]):
        raise UsageError(f"{where} {term}: scale is {list(scale)}; it must be two rising numbers, as [1, 5]")
    if scale is not None and (terms[term].low is None or terms[term].high is None):
        raise UsageError(f"{where} {term}: scale has no meaning, {term} has no range to be rescaled to; use sql")
    if terms[term].kind == "flag" and "column" in data and "positive" not in data:
        raise UsageError(f"{where} {term}: needs the level that means yes, as positive = 'Yes'")
    return Column(
        term,
        column=read.get("column"),
        sql=read.get("sql"),
        mean_of=own,
        missing=missing,
        positive=read.get("positive"),
        scale=scale,
    )
