"""Units: the rows that questions are asked of, made once for each kind and shared by all questions of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from cxresearch.data.columns import WHOSE, Source
from cxresearch.data.engine import Engine
from cxresearch.data.matching import MOST_ROWS, Index
from cxresearch.data.memory import Fetched, Taken, fetched, matched
from cxresearch.data.terms import BY_NAME, EVENT_KEYS, KEYS, USUAL
from cxresearch.errors import UsageError

FEW_SCORES = 2  # who asks for more at once compares them, and asks for none of their items


@dataclass(eq=False)
class Units:
    """Panel rows, answers with their panel rows and single events of one segment, in the months of a window.

    `last` is the month on whose rows it is not known yet who left. `chosen` is the segment's term and its level.
    `files` are those of tables whose rows come in one order, whichever columns are asked for.
    """

    name: str
    engine: Engine
    sources: Mapping[str, Source]  # panel and surveys
    events: Mapping[str, Source]
    window: tuple[str, ...]
    last: str
    chosen: tuple[str, str] | None
    files: Mapping[str, Path]
    _made: dict[tuple[str, tuple[str, ...]], ir.Table] = field(default_factory=dict)

    @cached_property
    def most_rows(self) -> int:
        """How many rows the largest table has."""
        return max(source.rows for source in self.sources.values())

    def of(self, kind: str, wanted: tuple[str, ...]) -> ir.Table:
        """The rows of a kind (panel, answers, or a table of events) in some months; of a small study held in memory."""
        if (kind, wanted) not in self._made:
            small = self.most_rows <= MOST_ROWS and (kind not in self.events or self._few(kind))
            self._made[kind, wanted] = self._in_memory(kind, wanted) if small else self._where_it_lies(kind, wanted)
        return self._made[kind, wanted]

    def _where_it_lies(self, kind: str, wanted: tuple[str, ...]) -> ir.Table:
        """Panel rows, looked at where they lie, or what is joined to them, kept by the engine."""
        if kind == "panel":
            return self.engine.view(self._panel(wanted))
        # a join comes in any order; a fixed one makes every printed digit the same in each run
        found = self._answers(wanted) if kind == "answers" else self._event_rows(kind, wanted)
        ordered = found.order_by([c for c in (*KEYS, EVENT_KEYS.get(kind)) if c in found.columns])
        return self.engine.keep(ordered)

    def _few(self, kind: str) -> bool:
        """Whether single events are few, and say to which panel row each belongs."""
        source = self.events[kind]
        return "panel" in self.sources and source.rows <= MOST_ROWS and set(KEYS) <= set(source.values)

    def _in_memory(self, kind: str, wanted: tuple[str, ...]) -> ir.Table:
        """The same of a small study, each column fetched once."""
        if set(wanted) < set(self.window):
            return self._some(kind, wanted).table()
        if kind in self.events:
            source = self.events[kind]
            own = self._fetched(source, source.values, lambda names: source.marked.select(names, only=wanted), wanted)
            return self._beside_panel(own, wanted).table()
        if kind == "panel":
            source = self.sources[kind]
            return self._fetched(source, source.values, lambda names: self._panel(wanted, names), wanted).table()
        if "panel" not in self.sources:
            table = self._answers(wanted).order_by(list(KEYS))
            return Fetched(table.schema(), lambda _: table.to_pyarrow()).table()
        survey = self._survey()
        told = survey.marked
        own = self._fetched(
            survey, self._said(survey), lambda names: told.answered(names, only=wanted).select(names), wanted
        )
        return self._beside_panel(own, wanted).table()

    def _beside_panel(self, own: Fetched, wanted: tuple[str, ...]) -> Fetched:
        """Rows of some months, each with its panel row."""
        panel = fetched(self.of("panel", wanted))
        assert panel is not None
        return matched(own, panel)

    def _fetched(
        self, source: Source, columns: Iterable[str], rows: Callable[[list[str]], ir.Table], wanted: tuple[str, ...]
    ) -> Fetched:
        """Columns of a source; one after the other only where its rows come in one order, else all at once."""
        every = list(columns)
        # a fetch takes as long as six columns: those that most questions ask come with the first
        usual = [name for name in every if name in USUAL] if wanted == self.window else []
        types = ibis.schema({column: source.values[column].type() for column in every})
        if source.name in self.files and source.identified:

            def fetch(names: list[str]) -> pa.Table:
                beside = [*usual]
                usual.clear()
                scores = [name for name in names if name in source.composites]
                alone = scores if len(scores) <= FEW_SCORES else []  # who asks for one asks for its items next
                beside += [item for name in (*alone, *beside) for item in source.composites.get(name, ())]
                return rows([*dict.fromkeys([*names, *(name for name in beside if name in types)]), WHOSE]).to_pyarrow()

            return Fetched(types, fetch, self.files[source.name])
        return Fetched(types, lambda _: rows(every).to_pyarrow())

    def _some(self, kind: str, wanted: tuple[str, ...]) -> Fetched:
        """The rows of some months of the window."""
        whole = fetched(self.of(kind, self.window))
        assert whole is not None

        def places() -> list[Index]:
            labels, period = whole.text("period")
            return [np.flatnonzero(np.isin(period, [labels.index(month) for month in wanted if month in labels]))]

        return Taken(whole.schema, [(whole, whole.column_names)], places)

    def invited(self, wanted: tuple[str, ...], columns: Sequence[str]) -> ir.Table:
        """Everybody invited to a relationship survey in some months, with `answered` (1 or 0) and columns of the panel."""
        survey = self._survey()
        extra = ["kind"] if "kind" in survey.values else []
        when = (survey.own if "answered_at" in survey.settled else survey.values)["answered_at"]
        told = replace(survey, values={**survey.values, "answered": when.notnull().cast("float64")})
        table = told.select([*KEYS, "answered", *extra], only=wanted)
        if extra:
            table = table.filter(table.kind == "relationship").drop("kind")
        if "panel" not in self.sources:
            return table
        panel = self.of("panel", wanted)
        if (there := fetched(panel)) is None:
            return table.inner_join(panel.select(*columns), list(KEYS))
        return matched(Fetched.of(table.to_pyarrow()), there, columns).table()

    def _panel(self, wanted: tuple[str, ...], names: Sequence[str] | None = None) -> ir.Table:
        """The panel rows of some months, with all terms or those that are named."""
        source = self.sources["panel"]
        values = dict(source.marked.values)
        if "churned" in values and not source.stated_period:
            # left by the next month: on rows of the last month that is not known yet;
            # a table of one stated period says of its own rows who left
            unknown = values["period"] == self.last
            values["churned"] = ibis.ifelse(unknown, ibis.null("float64"), values["churned"])
        every = list(source.values if names is None else names)
        chosen = [] if self.chosen is None or self.chosen[0] not in values else [self.chosen[0]]
        table = replace(source, values=values).select(list(dict.fromkeys([*every, *chosen])), only=wanted)
        return self._of_segment(table).select(every) if set(chosen) - set(every) else self._of_segment(table)

    def _answers(self, wanted: tuple[str, ...]) -> ir.Table:
        survey = self._survey()
        own = survey.answered(self._said(survey), only=wanted)
        if "panel" not in self.sources:
            return self._of_segment(own)
        return self.engine.keep(own).inner_join(self._panel(wanted), list(KEYS))

    def _survey(self) -> Source:
        if "surveys" not in self.sources:
            raise UsageError(f"{self.name}: no table surveys; a term of the survey cannot be asked")
        return self.sources["surveys"]

    def _said(self, survey: Source) -> list[str]:
        """What answers say and the panel does not."""
        panel = self.sources.get("panel")
        return [c for c in survey.values if panel is None or c in KEYS or c not in panel.values]

    def event_table(self, columns: Sequence[str]) -> str | None:
        """The table of single events that a question about these columns is asked of, if of any."""
        found = [BY_NAME[c].table for c in columns if c in BY_NAME and BY_NAME[c].table in self.events]
        return next((table for table in found if set(columns) & set(self.events[table].values)), None)

    def _event_rows(self, name: str, wanted: tuple[str, ...]) -> ir.Table:
        """Single events, each with what the panel says of its customer and month."""
        source, panel = self.events[name], self.sources.get("panel")
        table = source.select(list(source.values))
        if "period" in table.columns:
            table = table.filter(table.period.isin(list(wanted)))
        if panel is None or not set(KEYS) <= set(table.columns):
            return self._of_segment(table)
        shared = [c for c in table.columns if c in panel.values and c not in KEYS]
        return table.inner_join(self._panel(wanted).drop(*shared), list(KEYS))

    def _of_segment(self, table: ir.Table) -> ir.Table:
        if self.chosen is None or self.chosen[0] not in table.columns:
            return table
        return table.filter(table[self.chosen[0]] == self.chosen[1])
