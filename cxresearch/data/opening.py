"""Opening a study: its mapping is read, its tables are checked, the period word is resolved."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

from cxresearch.data import checks, periods
from cxresearch.data import mapping as mappings
from cxresearch.data.columns import Source
from cxresearch.data.engine import Engine, fingerprint
from cxresearch.data.mapping import Mapping
from cxresearch.data.study import ALL, Study
from cxresearch.errors import NoData, UsageError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Preflight:
    """What is known of a study before any notebook runs: the period asked for, row counts, columns, a fingerprint."""

    name: str
    title: str
    period: str
    fingerprint: str
    rows: MappingType[str, int]
    columns: frozenset[str]  # as table.column
    incomplete: str = ""  # why not all rows of the period are there; empty where nothing says so
    passed_over: str = ""  # why `latest` is not the last month that there is


def open_study(data: str = "data/demo.toml", *, period: str = "latest", segment: str = ALL, window: int = 12) -> Study:
    """The study that a mapping file describes, as of a period (a month or quarter), for one segment or all.

    `data` is a path relative to the project's root (or absolute). A `[simulate]` table in it is carried out first
    where its tables are absent. Raises UsageError (unknown file, key, column, segment, period word), NoData, and
    GateClosed where a customer has several rows or answers in one period, an id of an event stands twice, or no row
    of a table meets the table that its ids point to.
    """
    mapping = _load(data)
    if not 1 <= window <= 120:
        raise UsageError(f"window is {window}; it must lie in [1, 120]")
    engine, opened = _opened(mapping)
    sources, counts = opened.sources, opened.counts
    resolved = _period(mapping, counts, period)
    if resolved not in opened.passed:
        checks.gate(mapping, sources, resolved)
        opened.passed.add(resolved)
    last = max(month for months in counts.values() for month in months if month in periods.months(resolved))
    study = Study(mapping, resolved, segment, window, engine, sources, periods.doubt(resolved, counts), last)
    _check_segment(study, sources)
    return study


def preflight(
    data: str, period: str = "latest", as_of: str | None = None, segments: Sequence[str] = (ALL,)
) -> Preflight:
    """What a report will be of, found before any notebook runs; raises what `open_study` raises."""
    mapping = _load(data)
    engine, opened = _opened(mapping)
    sources, counts = opened.sources, opened.counts
    resolved = _period(mapping, counts, period, as_of)
    checks.gate(mapping, sources, resolved)
    for segment in segments:
        _check_segment(Study(mapping, resolved, segment, 1, engine, sources), sources)
    for source in sources.values():
        # a failing expression or cast shows here, before a notebook meets it
        source.select(list(source.values)).limit(1).to_pyarrow()
    rows = {name: source.rows for name, source in sources.items()}
    columns = frozenset(f"{name}.{column}" for name, source in sources.items() for column in source.values)
    last = max(month for months in counts.values() for month in months)
    passed_over = periods.doubt(last, counts, as_of) if period == "latest" and resolved != last else ""
    return Preflight(
        mapping.name,
        mapping.title,
        resolved,
        fingerprint(mapping.files),
        rows,
        columns,
        periods.doubt(resolved, counts, as_of),
        passed_over and f"{passed_over} So latest is {resolved}.",
    )


@dataclass(frozen=True)
class _Opened:
    """The tables of a mapping, the files as they were when these were read, and the periods that passed the gate."""

    files: tuple[tuple[object, ...], ...]
    sources: dict[str, Source]
    counts: dict[str, dict[str, int]]  # rows by table and month
    passed: set[str]


_OPENED: WeakKeyDictionary[Engine, _Opened] = WeakKeyDictionary()  # an engine lives as long as a study of it


def _opened(mapping: Mapping) -> tuple[Engine, _Opened]:
    """The engine and tables of a mapping: those of a study that is open, while no file has changed since."""
    seen = [(file, file.stat()) for file in mapping.files if file.is_file()]
    known = tuple((file, now.st_ino, now.st_size, now.st_mtime_ns) for file, now in seen)
    for engine, opened in list(_OPENED.items()):
        if opened.files == known:
            return engine, opened
    engine = Engine()
    sources = {name: engine.source(mapping, table) for name, table in mapping.tables.items()}
    _OPENED[engine] = _Opened(known, sources, _counts(mapping, sources), set())
    return engine, _OPENED[engine]


def _load(data: str) -> Mapping:
    path = Path(data) if Path(data).is_absolute() else ROOT / data
    mapping = mappings.load(path)
    if mapping.simulate is not None and not all(file.is_file() for file in mapping.table_files):
        from cxresearch.data.simulation import simulate

        checks.spare_own_tables(mapping)
        simulate(mapping.folder, **mapping.simulate)
    return mapping


def _counts(mapping: Mapping, sources: MappingType[str, Source]) -> dict[str, dict[str, int]]:
    """Rows of panel and surveys by month."""
    dated = {name: source for name, source in sources.items() if name in ("panel", "surveys")}
    for name, source in dated.items():
        if "period" not in source.values:
            raise UsageError(
                f"{mapping.path.name} [tables.{name}]: map a column to 'period' or state one, as period = '2026-10'"
            )
    return {name: checks.months(source) for name, source in dated.items()}


def _period(mapping: Mapping, counts: dict[str, dict[str, int]], word: str, as_of: str | None = None) -> str:
    resolved = periods.resolve(word, counts, as_of)
    available = {month for months in counts.values() for month in months}
    if not available & set(periods.months(resolved)):
        has = f"{min(available)} to {max(available)}" if available else "none"
        raise NoData(f"{mapping.path.name} holds no rows of period {resolved}; it holds {has}")
    stated = [name for name, table in mapping.tables.items() if table.period is not None]
    if stated and periods.is_quarter(resolved):
        raise UsageError(
            f"{mapping.path.name} [tables.{stated[0]}] states the one month {mapping.tables[stated[0]].period}, so it cannot be asked for {resolved}"
        )
    return resolved


def _check_segment(study: Study, sources: MappingType[str, Source]) -> None:
    if study.segment == ALL:
        return
    name = study.segment_term
    source = next((s for s in sources.values() if name in s.values and s.name in ("panel", "surveys")), None)
    if name is None or source is None:
        raise UsageError(f"{study.name} has no segment column; use segment = 'all'")
    levels = sorted(v for v in source.select([name]).distinct().to_pyarrow()[name].to_pylist() if v is not None)
    if study.segment not in levels:
        raise UsageError(f"no {name} {study.segment!r}; it is one of all, {', '.join(levels)}")
