"""Units: the rows that questions are asked of, made once for each kind and shared by all questions of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.operations import InMemoryTable
from ibis.formats.pyarrow import PyArrowTableProxy

from cxresearch.data.columns import Source
from cxresearch.data.engine import Engine
from cxresearch.data.matching import MOST_ROWS, matched
from cxresearch.data.terms import BY_NAME, EVENT_KEYS, KEYS
from cxresearch.errors import UsageError


@dataclass(eq=False)
class Units:
    """Panel rows, answers with their panel rows and single events of one segment, in the months of a window.

    `last` is the month on whose rows it is not known yet who left. `chosen` is the segment's term and its level.
    """

    name: str
    engine: Engine
    sources: Mapping[str, Source]  # panel and surveys
    events: Mapping[str, Source]
    window: tuple[str, ...]
    last: str
    chosen: tuple[str, str] | None
    _made: dict[tuple[str, tuple[str, ...]], ir.Table] = field(default_factory=dict)

    @cached_property
    def most_rows(self) -> int:
        """How many rows the largest table has."""
        return max(map(_count, self.sources.values()))

    def fetched(self, table: ir.Table) -> pa.Table | None:
        """The rows of a table that are in memory already, as those that many questions of a small study share."""
        op = table.op()
        return op.data.obj if isinstance(op, InMemoryTable) and isinstance(op.data, PyArrowTableProxy) else None

    def of(self, kind: str, wanted: tuple[str, ...]) -> ir.Table:
        """The rows of a kind (panel, answers, or a table of events) in some months; of a small study held in memory."""
        if (kind, wanted) not in self._made:
            small = kind not in EVENT_KEYS and self.most_rows <= MOST_ROWS
            self._made[kind, wanted] = self._in_memory(kind, wanted) if small else self._where_it_lies(kind, wanted)
        return self._made[kind, wanted]

    def _where_it_lies(self, kind: str, wanted: tuple[str, ...]) -> ir.Table:
        """Panel rows, looked at where they lie, or what is joined to them, kept by the engine; of few events looked at too."""
        if kind == "panel":
            return self.engine.view(self._panel(wanted))
        # a join comes in any order; a fixed one makes every printed digit the same in each run
        found = self._answers(wanted) if kind == "answers" else self._event_rows(kind, wanted)
        ordered = found.order_by([c for c in (*KEYS, EVENT_KEYS.get(kind)) if c in found.columns])
        # a question has few columns: of them a small join costs less anew than once of all
        few = kind in self.events and max(self.most_rows, _count(self.events[kind])) <= MOST_ROWS
        return self.engine.view(ordered) if few else self.engine.keep(ordered)

    def _in_memory(self, kind: str, wanted: tuple[str, ...]) -> ir.Table:
        """The same of a small study, its rows fetched once; those outside the window are only looked at."""
        if not set(wanted) <= set(self.window):  # for a lag: few columns are asked for
            found = self._panel(wanted) if kind == "panel" else self._answers(wanted)
            return self.engine.view(found)
        if wanted != self.window:
            whole = self._rows(kind)
            rows = whole.filter(pc.is_in(whole["period"], pa.array(wanted)))
        elif kind == "panel":
            rows = self._panel(wanted).to_pyarrow()
        elif "panel" in self.sources:
            rows = matched(self._own_answers(wanted).to_pyarrow(), self._rows("panel"))
        else:
            rows = self._answers(wanted).order_by(list(KEYS)).to_pyarrow()
        return ibis.memtable(rows)

    def _rows(self, kind: str) -> pa.Table:
        """The rows of the window that are in memory."""
        rows = self.fetched(self.of(kind, self.window))
        assert rows is not None
        return rows

    def _panel(self, wanted: tuple[str, ...]) -> ir.Table:
        source = self.sources["panel"]
        values = dict(source.values)
        if "churned" in values and not source.stated_period:
            # left by the next month: on rows of the last month that is not known yet;
            # a table of one stated period says of its own rows who left
            unknown = values["period"] == self.last
            values["churned"] = ibis.ifelse(unknown, ibis.null("float64"), values["churned"])
        table = replace(source, values=values).select(list(values), only=wanted)
        return self._of_segment(table)

    def _answers(self, wanted: tuple[str, ...]) -> ir.Table:
        if "panel" not in self.sources:
            return self._of_segment(self._own_answers(wanted))
        return self.engine.keep(self._own_answers(wanted)).inner_join(self._panel(wanted), list(KEYS))

    def _own_answers(self, wanted: tuple[str, ...]) -> ir.Table:
        """The answers without what the panel says too."""
        survey, panel = self.sources.get("surveys"), self.sources.get("panel")
        if survey is None:
            raise UsageError(f"{self.name}: no table surveys; a term of the survey cannot be asked")
        return survey.answered(
            [c for c in survey.values if panel is None or c in KEYS or c not in panel.values], only=wanted
        )

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


def _count(source: Source) -> int:
    return int(source.table.count().to_pyarrow().as_py())
