"""Study: what a question may see of an operator's data, as of one report period, asked for by role."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxresearch.data import checks, periods
from cxresearch.data.columns import Source
from cxresearch.data.engine import Engine
from cxresearch.data.mapping import LEVELS, Mapping
from cxresearch.data.terms import BY_NAME, KEYS, ROLES, Role, Term, nearest
from cxresearch.errors import UsageError
from cxresearch.finding import Caveat

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
MANY_CLUSTERS = 400


class Study:
    """The data of one operator as of a period: the window of periods that ends with it, one segment or all.

    Roles (`study.network`, `study.rater`, `study.satisfaction`, `study.segments` …) are tuples of the terms that
    the study has, possibly empty. `frame([...])` gives a plain DataFrame. The unit of a question is the panel row
    (customer and period), or the answered relationship survey joined one to one to its panel row where a term of
    the survey is asked for.
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

    def __init__(
        self,
        mapping: Mapping,
        period: str,
        segment: str,
        window: int,
        engine: Engine,
        sources: MappingType[str, Source],
    ) -> None:
        self.name, self.title = mapping.name, mapping.title
        self.period, self.segment, self.window = period, segment, window
        self.levels, self.min_cell = mapping.levels, mapping.min_cell
        self.enriched, self.simulated, self.source = mapping.enriched, mapping.simulated, mapping.source
        self.churn_rate = mapping.churn_rate
        self._engine, self._sources = engine, sources
        self._many: bool | None = None
        self._units: dict[tuple[str, tuple[str, ...]], ir.Table] = {}
        for role in ROLES:
            setattr(self, role, self._role(role))

    def __repr__(self) -> str:
        return f"Study({self.name!r}, period={self.period!r}, segment={self.segment!r}, window={self.window})"

    def _role(self, role: str) -> Role:
        return Role((name for name in self.terms if self.term(name).role == role), (role,))

    # -- what there is

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
        have = {name for source in self._sources.values() for name in source.values}
        return tuple(f"{self.term(name).table}.{name}" for name in terms if name not in have)

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
        """The periods of the window, oldest first."""
        return periods.span(self.period, self.window)

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

    def cluster(self) -> str:
        """The column whose values are the clusters: the coarsest declared level that the study has.

        What neighbours share (a site's network) reaches every answer and every leaving through what they met, so
        the coarsest declared level serves for all questions.
        """
        have = {name for source in self._sources.values() for name in source.values}
        for level in sorted(self.levels, key=list(LEVELS).index, reverse=True):
            if LEVELS[level] in have:
                return LEVELS[level]
        return "customer_id"

    @property
    def many_clusters(self) -> bool:
        """Whether there are so many clusters that blocks of them serve as well as each by itself."""
        if self._many is None:
            source = self._sources.get("panel") or self._sources["surveys"]
            column = source.select([self.cluster()])[self.cluster()]
            self._many = int(column.nunique().to_pyarrow().as_py()) > MANY_CLUSTERS
        return self._many

    @property
    def knows_silent(self) -> bool:
        """Whether the study records who was invited and did not answer."""
        survey = self._sources.get("surveys")
        return survey is not None and "answered_at" in survey.values

    # -- rows

    def on_survey(self, columns: Sequence[str]) -> bool:
        """Whether a question about these columns is asked of answers; else of panel rows."""
        panel = self._sources.get("panel")
        return panel is None or not set(columns) <= set(panel.values)

    def rows(
        self, columns: Sequence[str], *, lag: MappingType[str, int] | None = None, only: Sequence[str] | None = None
    ) -> ir.Table:
        """The rows of a question as an Ibis table that has its columns, the keys and the cluster; nulls are kept.

        `lag` says for which columns the value of so many periods before is meant. `only` names the periods
        (default: the window). Whether customers left is unknown on rows of the report period.
        """
        lag = {name: months for name, months in (lag or {}).items() if months}
        wanted = tuple(only or self.periods)
        table = self._unit([c for c in columns if c not in lag], wanted)
        for name, months in lag.items():
            earlier = self._unit([name], tuple(periods.shift(p, -months) for p in wanted))
            later = ibis.cases(
                *((earlier.period == periods.shift(p, -months), p) for p in wanted), else_=ibis.null("string")
            )
            table = table.drop(name) if name in table.columns else table
            table = table.inner_join(earlier.select("customer_id", name, period=later), list(KEYS))
        return table

    def _unit(self, columns: Sequence[str], wanted: tuple[str, ...]) -> ir.Table:
        """Panel rows, looked at where they lie, or answers joined to their panel rows, kept in memory."""
        kind = "answers" if self.on_survey(columns) else "panel"
        if (kind, wanted) not in self._units:
            if kind == "panel":
                made = self._engine.view(self._panel(wanted))
            else:
                # a join comes in any order; a fixed one makes every printed digit the same in each run
                made = self._engine.keep(self._answers(wanted).order_by(list(KEYS)))
            self._units[kind, wanted] = made
        return self._units[kind, wanted]

    def _panel(self, wanted: tuple[str, ...]) -> ir.Table:
        source = self._sources["panel"]
        table = source.select(list(source.values))
        table = table.filter(table.period.isin(list(wanted)))
        if "churned" in table.columns and not source.stated_period:
            # left by the next period: on rows of the report period that is not known yet;
            # a table of one stated period says of its own rows who left
            unknown = table.period == self.period
            table = table.mutate(churned=ibis.ifelse(unknown, ibis.null("float64"), table.churned))
        return self._of_segment(table)

    def _answers(self, wanted: tuple[str, ...]) -> ir.Table:
        survey, panel = self._sources.get("surveys"), self._sources.get("panel")
        if survey is None:
            raise UsageError(f"{self.name}: no table surveys; a term of the survey cannot be asked")
        table = survey.answered()
        table = self._engine.keep(table.filter(table.period.isin(list(wanted))))
        if panel is None:
            return self._of_segment(table)
        own = [c for c in table.columns if c in KEYS or c not in panel.values]
        return table.select(own).inner_join(self._panel(wanted), list(KEYS))

    def answering(self, columns: Sequence[str] = (), *, only: Sequence[str] | None = None) -> ir.Table | None:
        """Everybody who was invited, with `answered` (1 or 0) and panel columns; None where that is not recorded."""
        survey, panel = self._sources.get("surveys"), self._sources.get("panel")
        if survey is None or "answered_at" not in survey.values:
            return None
        extra = ["kind"] if "kind" in survey.values else []
        invited = survey.select([*KEYS, "answered_at", *extra])
        invited = invited.filter(invited.period.isin(list(only or self.periods)))
        if extra:
            invited = invited.filter(invited.kind == "relationship")
        invited = invited.select(*KEYS, answered=invited.answered_at.notnull().cast("float64"))
        if panel is None:
            return invited
        return invited.inner_join(
            self._unit([], tuple(only or self.periods)).select(*self._keys(), *columns), list(KEYS)
        )

    def _keys(self) -> list[str]:
        return list(dict.fromkeys([*KEYS, self.cluster()]))

    def _of_segment(self, table: ir.Table) -> ir.Table:
        if self.segment == ALL or self.segment_term not in table.columns:
            return table
        return table.filter(table[self.segment_term] == self.segment)

    def frame(self, columns: Sequence[str], *, only: Sequence[str] | None = None) -> pd.DataFrame:
        """A plain DataFrame of these terms over the window, with customer and period: yours to do anything with."""
        lacking = self.missing(*columns)
        if lacking:
            raise UsageError(f"{self.name} has no {', '.join(lacking)}; it has {', '.join(self.terms)}")
        table = self.rows(columns, only=only)
        keys = [k for k in KEYS if k in table.columns and k not in columns]
        return table.select(*keys, *columns).order_by(list(KEYS)).to_pyarrow().to_pandas()

    def caveats(self) -> tuple[Caveat, ...]:
        """What holds for every number of this study."""
        found = []
        if self.enriched:
            found.append(
                Caveat(
                    "enriched",
                    "leavers are over-represented in this table: its rates are not the operator's; only comparisons within it hold"
                    if self.churn_rate is None
                    else f"leavers are over-represented in this table: leavers per 1,000 are corrected to the stated {1000 * self.churn_rate:g}; other numbers of leaving are the table's",
                )
            )
        codes = [checks.codes_text(source.file, source.outside) for source in self._sources.values() if source.outside]
        if codes:
            found.append(Caveat("codes", " ".join(codes)))
        return tuple(found)
