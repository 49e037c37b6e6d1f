"""Asking: the rows that the pairs of one question are asked of; of a small study each selection is made in memory, once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from cxresearch.data import periods
from cxresearch.data.study import Study
from cxresearch.evidence import sampling
from cxresearch.evidence.held import Asked, Held, hold, met
from cxresearch.evidence.moments import Spread, Summary, moments


@dataclass(frozen=True)
class Pair:
    """One correlation in question: outcome y, term x, what is held fixed (or lacking), how many periods x lies before y."""

    outcome: str
    term: str
    given: tuple[str, ...]
    lag: int = 0
    methods: tuple[str, ...] = ("pearson", "spearman")
    lacking: tuple[str, ...] = ()


class Asking:
    """The rows of one call of relate: every summary is made once and serves all its pairs."""

    def __init__(self, study: Study, pairs: Sequence[Pair], by: str | None = None) -> None:
        self.study, self.pairs = study, pairs
        self._fetch({*(c for p in pairs for c in (p.outcome, p.term, *p.given)), by, study.segment_term})
        self.notes = sampling.Notes(study)
        self.sampled = False
        self._summaries: dict[tuple[Any, ...], Summary] = {}
        self._lagged: dict[tuple[Held, str, int], Held] = {}

    def _fetch(self, columns: Collection[str | None]) -> None:
        """Columns of a small study at once: a way to the files costs as much as some columns more."""
        for table in {
            table.op(): table for table in (self.study.rows([p.outcome, p.term]) for p in self.pairs)
        }.values():
            hold(self.study, table, [c for c in table.columns if c in columns])

    def rows(self, pair: Pair, columns: Sequence[str]) -> Asked:
        """The rows of a pair, the term so many periods earlier."""
        if not pair.lag:
            return self.study.rows(columns)
        others = [c for c in columns if c != pair.term]
        now = hold(self.study, self.study.rows(others), others)
        if now is None or pair.lag < 0:
            return self.study.rows(columns, lag={pair.term: pair.lag})
        key = (now, pair.term, pair.lag)
        if key not in self._lagged:
            earlier = self._of_all_lags(pair.term)
            rows, then = met(now, earlier, pair.lag)
            self._lagged[key] = now.part(rows, **{pair.term: earlier.number(pair.term)[then]})
        return self._lagged[key]

    def _of_all_lags(self, term: str) -> Held:
        """The rows of a term in the window and as many months before as any pair asks for, fetched at once."""
        window, most = self.study.periods, max(p.lag for p in self.pairs)
        earlier = hold(self.study, self.study.rows([term], only=periods.span(window[-1], len(window) + most)), [term])
        assert earlier is not None  # as the study is small
        return earlier

    def spread(
        self, pair: Pair, columns: Sequence[str], table: Asked, group: str, *, within: tuple[str, ...] = ()
    ) -> Spread:
        """Moments of columns (within cells); `group` names the selection of rows that `table` is."""
        if within and hold(self.study, table, columns) is None:  # where many are centred at once, rows fill the memory
            return moments(self.study, table, columns, within=within)
        own = pair.term if pair.lag or group.startswith("per use") else ""
        survey = self.study.on_survey([pair.outcome, pair.term])
        everybody = ("", own, pair.lag, group, survey, within)
        together = not own and not within and len({p.outcome for p in self.pairs}) > 1
        if together and everybody not in self._summaries:
            # many outcomes whose columns no row lacks are summed together, once
            there = set(table.columns)
            every = [c for p in self.pairs for c in (p.outcome, p.term, *p.given) if c in there]
            self._summaries[everybody] = Summary(self.study, table, None, every)
        key = (pair.outcome, *everybody[1:])
        if everybody in self._summaries and self._summaries[everybody].covers(columns):
            key = everybody
        if key not in self._summaries:
            every = self._columns(pair, own, bare=bool(within) or group == "per use")
            every = [c for c in every if c in table.columns]
            self._summaries[key] = Summary(self.study, table, pair.outcome, every, within)
        spread = self._summaries[key].spread(columns)
        if not within:
            self.notes.saw(spread, columns)
        return spread

    def _columns(self, pair: Pair, own: str, *, bare: bool) -> list[str]:
        alike = [p for p in self.pairs if p.outcome == pair.outcome and (p.term == pair.term or not own)]
        scores = [pair.outcome, *(p.term for p in alike)]
        if bare:
            return scores
        items = [item for name in scores for item in self.study.items(name)] if len(alike) == 1 else []
        return [*scores, *(c for p in alike for c in p.given), *items]


def rate(study: Study, table: Asked, term: str, exposure: str) -> Asked:
    """The rows of those who used it, the term divided by how much."""
    held = hold(study, table, [term, exposure])
    if held is None:
        used = table.filter(table[exposure] > 0)
        return used.mutate(**{term: used[term] / used[exposure]})
    there = held.number(exposure) > 0
    return held.part(there, **{term: held.number(term)[there] / held.number(exposure)[there]})
