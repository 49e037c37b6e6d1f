"""Questionnaire: the answers of a question about dimensions, how they correlate, and which scores they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab import consistency, ordered
from cxresearch.evidence.moments import moments
from cxresearch.evidence.rows import rows
from cxresearch.finding import Caveat
from cxresearch.table import row

Array = NDArray[np.float64]
ANSWERS = "answers"  # the outcome of rows about all answers together
FEW_CATEGORIES = 4  # answers of no more categories are taken as ordered, not as numbers
SAME = 1 - 1e-9  # two answers that correlate closer say the same twice
TOO_FEW = "fewer than three answers that vary, or fewer customers than answers"


class Answers:
    """The answers that are asked about: their correlations, of all and without one block each, and the rows made of them."""

    def __init__(self, study: Study, items: Sequence[str], names: dict[str, tuple[str, ...]]) -> None:
        self.study, self.table, self.notes = study, study.rows(items), sampling.Notes(study)
        self.caveats: list[Caveat] = []
        got = rows(study, self.table, items)
        still = [
            c for c, x in zip(items, got.values.T, strict=True) if not len(x) or np.ptp(x) <= 1e-14 * np.abs(x).max()
        ]
        spread = moments(study, self.table, items).clustered
        self.notes.saw(spread, items)
        r = consistency.correlations(spread.full)
        twice = [b for j, b in enumerate(items) if any(abs(r[i, j]) > SAME for i in range(j) if items[i] not in still)]
        left = [c for c in items if c not in (*still, *twice)]
        for code, what, who in (("constant", "do not vary", still), ("repeated", "repeat another answer", twice)):
            if who and len(got.values):
                self.caveats.append(Caveat(code, f"Left out, because they {what}: {', '.join(map(self.label, who))}."))
        self.items, self.rows, self.spread = left, got, spread.of(left)
        self.scores = {n: [left.index(i) for i in of if i in left] for n, of in names.items()}
        self.values = got.values[:, [got.columns.index(c) for c in left]]
        self.blocks = None if got.independent else got.blocks
        self.n, self.p = spread.n, len(left)
        self.why = TOO_FEW if self.p < 3 or self.n <= self.p else ""
        self.ordered = not self.why and max(len(np.unique(x)) for x in self.values.T) <= FEW_CATEGORIES
        self.headline = "ordered" if self.ordered else "robust"
        self.r = consistency.correlations(self.spread.full)
        left_out = consistency.correlations(self.spread.left_out)
        self.left_out = (
            left_out if np.isfinite(left_out).all() else left_out[:0]
        )  # an answer that varies in one block only
        if self.ordered:
            self._order()

    def _order(self) -> None:
        """Polychoric correlations in place of Pearson's; without a block they move by its influence."""
        found, self.influence = ordered.ordered_correlations(self.values)
        if not np.isfinite(found).all():
            self.ordered, self.headline = False, "robust"
            self.caveats.append(
                Caveat("ordered", "Some answers decide others: taken as numbers, not as ordered categories.")
            )
            return
        low, blocks = np.tril_indices(self.p, -1), np.unique(self.rows.blocks)
        self.r, self.left_out = found, np.repeat(found[None], len(blocks), axis=0)
        for b, block in enumerate(blocks):
            own = self.influence[self.rows.blocks == block]
            self.left_out[b][low] -= own.sum(0) / max(self.n - len(own), 1)
            self.left_out[b].T[low] = self.left_out[b][low]

    def label(self, name: str) -> str:
        return BY_NAME[name].label if name in BY_NAME else name.replace("_", " ")

    def row(self, measure: str, interval: Interval | float, **more: Any) -> dict[str, Any]:
        numbers = interval.numbers() if isinstance(interval, Interval) else {"estimate": interval}
        base = {"outcome": ANSWERS, "n": self.n, "clusters": self.spread.clusters}
        return row(measure=measure, **(base | numbers | more))

    def smooth(self, of: Callable[[Array], Array], measure: str) -> Interval:
        interval = inference.jackknife(float(of(self.r)), of(self.left_out), on=measure)
        return dataclasses.replace(interval, p_value=None)

    @cached_property
    def whole(self) -> dict[str, list[int]]:
        """The scores with at least two answers left, each with where these stand among all answers."""
        return {name: at for name, at in self.scores.items() if len(at) > 1}

    @cached_property
    def modelled(self) -> list[int]:
        """The answers that belong to a score, in order."""
        return sorted({i for at in self.whole.values() for i in at})

    @cached_property
    def pattern(self) -> NDArray[np.bool_]:
        """Which answer belongs to which score."""
        return np.array([[i in at for at in self.whole.values()] for i in self.modelled], dtype=bool)
