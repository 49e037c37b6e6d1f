"""Study: what a question may see of an operator's data, as of one report period, asked for by role."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from collections.abc import Mapping as MappingType
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from cxresearch.data import checks, periods
from cxresearch.data.columns import Source
from cxresearch.data.engine import Engine
from cxresearch.data.mapping import LEVELS, Mapping
from cxresearch.data.matching import MOST_ROWS
from cxresearch.data.memory import Fetched, fetched
from cxresearch.data.terms import BY_NAME, EVENT_KEYS, KEYS, ROLES, Role, Term, nearest
from cxresearch.data.units import Units
from cxresearch.errors import UsageError
from cxresearch.finding import Caveat

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
MANY_CLUSTERS, FIRST_ROWS = 400, 50_000
_MANY: WeakKeyDictionary[Engine, dict[str, bool]] = WeakKeyDictionary()  # the same for all studies of an engine


class Study:
    """The data of one operator as of a period: the window of periods that ends with it, one segment or all.

    Roles (`study.network`, `study.rater`, `study.satisfaction`, `study.segments` …) are tuples of the terms that
    the study has, possibly empty. `frame([...])` gives a plain DataFrame. The unit of a question is the panel row
    (customer and period), or the answered relationship survey joined one to one to its panel row where a term of
    the survey is asked for, or the single event with its panel row where a term of such a table is.
    """

    satisfaction: Role
    quality: Role
    rater: Role
    loyalty: Role
    effort: Role
    network: Role
    design: Role
    operations: Role
    usage: Role
    price: Role
    relationship: Role
    segments: Role
    money: Role
    churn: Role
    cx: Role
    value: Role
    pillars: Role

    def __init__(
        self,
        mapping: Mapping,
        period: str,
        segment: str,
        window: int,
        engine: Engine,
        sources: MappingType[str, Source],
        incomplete: str = "",
        last: str = "",
    ) -> None:
        self.name, self.title = mapping.name, mapping.title
        self.period, self.segment, self.window = period, segment, window
        self.incomplete = incomplete  # why the period's rows are not all there yet; empty where nothing says so
        self.levels, self.min_cell = mapping.levels, mapping.min_cell
        self.enriched, self.simulated, self.source = mapping.enriched, mapping.simulated, mapping.source
        self.churn_rate = mapping.churn_rate
        self._engine = engine
        # the rows of a file come in one order; those of a join, a view or an expression may come in another each time
        self._files = {
            name: mapping.folder / table.file
            for name, table in mapping.tables.items()
            if table.join is None and table.table is None and not any(c.sql for c in table.columns.values())
        }
        self._sources = {name: source for name, source in sources.items() if name not in EVENT_KEYS}
        self._events = {name: source for name, source in sources.items() if name in EVENT_KEYS}
        self._many = _MANY.setdefault(engine, {})
        for role in ROLES:
            setattr(self, role, self._role(role))
        self._units = self._units_of(last or self.months[-1])  # of its months, the last that has rows

    def at(self, period: str) -> Study:
        """The same study as of another period: the same tables, which were checked when it was opened."""
        other = copy.copy(self)
        other.period, other.incomplete = period, ""
        other._units = other._units_of(other.months[-1])
        return other

    def of_all(self) -> Study:
        """The same study of all segments."""
        other = copy.copy(self)
        other.segment = ALL
        other._units = other._units_of(self._units.last)
        return other

    def _units_of(self, last: str) -> Units:
        chosen = None if self.segment == ALL or self.segment_term is None else (self.segment_term, self.segment)
        return Units(self.name, self._engine, self._sources, self._events, self.periods, last, chosen, self._files)

    def __repr__(self) -> str:
        return f"Study({self.name!r}, period={self.period!r}, segment={self.segment!r}, window={self.window})"

    def _role(self, role: str) -> Role:
        return Role((name for name in self.terms if self.term(name).role == role), (role,))

    # -- what there is

    @property
    def tables(self) -> MappingType[str, Source]:
        """Every table as it was mapped, of all months and segments: for looking at the data, not for answers."""
        return {**self._sources, **self._events}

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term that the study has, panel first, without ids and single items."""
        names = [name for source in self._sources.values() for name in source.values]
        return tuple(
            dict.fromkeys(n for n in names if n in BY_NAME and BY_NAME[n].kind != "id" and BY_NAME[n].role != "items")
        )

    def has(self, *terms: str) -> bool:
        """Whether the study has all these terms."""
        return not self.missing(*terms)

    def missing(self, *terms: str) -> tuple[str, ...]:
        """Those of the terms that the study lacks, as `table.column`; an unknown word is a UsageError."""
        return tuple(f"{self.term(name).table}.{name}" for name in terms if name not in self._have)

    @cached_property
    def _have(self) -> frozenset[str]:
        """Every name that a table of the study gives, and every term of its events."""
        named = (name for source in self._sources.values() for name in source.values)
        return frozenset([*named, *(name for name in BY_NAME if self._units.event_table([name]))])

    def term(self, name: str) -> Term:
        """The definition of a term; an error names the nearest one."""
        if name not in BY_NAME:
            raise UsageError(f"no term {name!r}{nearest(name, list(BY_NAME))}")
        return BY_NAME[name]

    def items(self, name: str) -> tuple[str, ...]:
        """The answers that a score is the mean of; empty for a single column."""
        for source in self._sources.values():
            if name in source.composites:
                return source.composites[name]
        return ()

    @property
    def periods(self) -> tuple[str, ...]:
        """The months of the window, oldest first; it ends with the last month of the report period and holds all of it."""
        return periods.span(self.months[-1], max(self.window, len(self.months)))

    @property
    def months(self) -> tuple[str, ...]:
        """The months of the report period: one, or the three of a quarter."""
        return periods.months(self.period)

    @property
    def trend(self) -> tuple[str, ...]:
        """The months of the window, or for a quarter its whole quarters, oldest first: what a trend is read over."""
        return periods.within(self.periods, self.period)

    def by_period(self, table: ir.Table) -> ir.Table:
        """A table of months with each written as the period of the trend that it lies in; other months are left out."""
        if self.months == (self.period,):
            return table
        written = ((table.period == month, period) for period in self.trend for month in periods.months(period))
        return table.mutate(period=ibis.cases(*written, else_=ibis.null("string"))).filter(ibis._.period.notnull())

    @property
    def controls(self) -> Role:
        """What is held fixed for `same usage and price`: the terms of those two roles and the tenure."""
        tenure = ("tenure_m",) if self.has("tenure_m") else ()
        return self.usage + self.price + tenure

    @property
    def segment_term(self) -> str | None:
        """The segment that reports are split by: value segment where there is one, else the first that there is."""
        return "value_segment" if "value_segment" in self.segments else next(iter(self.segments), None)

    @property
    def lead_quality(self) -> str:
        """The measure of service quality that is looked at first: of the network, else of the survey."""
        return next(iter(self.network + self.quality + self.rater), "availability")

    def cluster(self, columns: Sequence[str] | None = None) -> str:
        """The column whose values are the clusters: the coarsest declared level, of those that a table has.

        What neighbours share (a site's network) reaches every answer and every leaving through what they met, so
        the coarsest declared level serves for all questions that know it; `columns` are those of the question's table.
        """
        have = {name for source in self._sources.values() for name in source.values} if columns is None else columns
        for level in sorted(set(self.levels) - {"period"}, key=list(LEVELS).index, reverse=True):
            if LEVELS[level] in have:
                return LEVELS[level]
        return "customer_id"

    @property
    def two_way(self) -> bool:
        """Whether months share shocks, so that errors are clustered by period too."""
        return "period" in self.levels

    @property
    def most_rows(self) -> int:
        """How many rows the largest table has."""
        return self._units.most_rows

    @property
    def engine_is_near(self) -> bool:
        """Whether rows come from the engine at less cost than it would sum their products."""
        return self._engine.near

    def many_clusters(self, column: str) -> bool:
        """Whether there are so many clusters of a column that blocks of them serve as well as each by itself."""
        if column not in self._many:
            sources = [s for s in (self._sources.get("panel"), self._sources.get("surveys")) if s is not None]
            source = next(s for s in sources if column in s.values)
            values = source.select([column])
            # of a large table the first rows show it as a rule, which spares a look at all
            looks = (values.limit(FIRST_ROWS), values) if self.most_rows > MOST_ROWS else (values,)
            self._many[column] = any(int(rows[column].nunique().to_pyarrow().as_py()) > MANY_CLUSTERS for rows in looks)
        return self._many[column]

    @property
    def knows_silent(self) -> bool:
        """Whether the study records who was invited and did not answer."""
        survey = self._sources.get("surveys")
        return survey is not None and "answered_at" in survey.values

    # -- rows

    def on_survey(self, columns: Sequence[str]) -> bool:
        """Whether a question about these columns is asked of answers; else of panel rows."""
        panel = self._sources.get("panel")
        return not self._units.event_table(columns) and (panel is None or not set(columns) <= set(panel.values))

    def rows(
        self, columns: Sequence[str], *, lag: MappingType[str, int] | None = None, only: Sequence[str] | None = None
    ) -> ir.Table:
        """The rows of a question as an Ibis table that has its columns, the keys and the cluster; nulls are kept.

        `lag` says for which columns the value of so many months before is meant. `only` names the periods
        (default: the window), months or quarters. Whether customers left is unknown on rows of the report's last month.
        """
        lag = {name: months for name, months in (lag or {}).items() if months}
        wanted = self._months(only)
        table = self._unit([c for c in columns if c not in lag], wanted)
        for name, months in lag.items():
            earlier = self._unit([name], tuple(periods.shift(p, -months) for p in wanted))
            if (there := fetched(earlier)) is not None:
                earlier = there.only([*KEYS, name]).table()
            later = ibis.cases(
                *((earlier.period == periods.shift(p, -months), p) for p in wanted), else_=ibis.null("string")
            )
            table = table.drop(name) if name in table.columns else table
            table = table.inner_join(earlier.select("customer_id", name, period=later), list(KEYS))
        return table

    def _unit(self, columns: Sequence[str], wanted: tuple[str, ...]) -> ir.Table:
        """Panel rows, answers joined to their panel rows, or events: what a question about these columns is asked of."""
        kind = self._units.event_table(columns) or ("answers" if self.on_survey(columns) else "panel")
        return self._units.of(kind, wanted)

    def answering(self, columns: Sequence[str] = (), *, only: Sequence[str] | None = None) -> ir.Table | None:
        """Everybody who was invited, with `answered` (1 or 0) and panel columns; None where that is not recorded."""
        if not self.knows_silent:
            return None
        return self._units.invited(self._months(only), list(dict.fromkeys([*KEYS, self.cluster(), *columns])))

    def _months(self, only: Sequence[str] | None) -> tuple[str, ...]:
        """The months of these periods (default: of the window)."""
        return self.periods if only is None else tuple(month for period in only for month in periods.months(period))

    def frame(self, columns: Sequence[str], *, only: Sequence[str] | None = None) -> pd.DataFrame:
        """A plain DataFrame of these terms over the window, with customer and period: yours to do anything with."""
        lacking = self.missing(*columns)
        if lacking:
            raise UsageError(f"{self.name} has no {', '.join(lacking)}; it has {', '.join(self.terms)}")
        table = self.rows(columns, only=only)
        keys = [k for k in KEYS if k in table.columns and k not in columns]
        return self.ordered(table, [*keys, *columns]).to_pandas()

    def ordered(self, table: ir.Table, columns: Sequence[str], coded: Collection[str] = ()) -> pa.Table:
        """Some columns of all rows of a table, by customer and period; `coded` are texts that are given as labels and numbers."""
        there = fetched(table)
        rows = there or Fetched.of(table.select(*columns).order_by(list(KEYS)).to_pyarrow())
        rows.prepare(columns)
        found = pa.table({name: rows.coded(name) if name in coded else rows[name] for name in columns})
        return found if there is None else found.take(there.ordered)

    def caveats(self) -> tuple[Caveat, ...]:
        """What holds for every number of this study."""
        found = []
        if self.incomplete:
            found.append(Caveat("incomplete", self.incomplete))
        if self.enriched:
            found.append(
                Caveat(
                    "enriched",
                    "Leavers are over-represented in this table: its rates are not the operator's; only comparisons within it hold."
                    if self.churn_rate is None
                    else f"Leavers are over-represented in this table: leavers per 1,000 are corrected to the stated {1000 * self.churn_rate:g}; other numbers of leaving are the table's.",
                )
            )
        codes = [checks.codes_text(source.file, source.outside) for source in self._sources.values() if source.outside]
        if codes:
            found.append(Caveat("codes", " ".join(codes)))
        return tuple(found)
