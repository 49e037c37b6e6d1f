"""Steps: Newton's steps of a logistic regression over rows that an embedded engine lets pass by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxresearch.data.study import Study
from cxresearch.evidence.logistic import fit_logit
from cxresearch.evidence.streams import Stream
from cxresearch.evidence.sums import cluster_of, months_count, narrowed, shift_and_scale

Array = NDArray[np.float64]
STEPS, CLOSE = (
    20,
    1e-6,
)  # a pass within so many standard deviations of the end is the last, and its own step leaves the square
SHRINKS = 4  # times at least, from one step to the next: where the steps do not end they hardly do
START_ROWS = 200_000  # about so many rows give the start
CURVED = 0.5  # a step that is longer is not mended by what the sample says of the curve
LEAST = 1e-200  # a weight that is nothing, and can still be divided by


@dataclass(frozen=True)
class Passed:
    """Sums of a pass at `beta`, by cell (C, …); `labels` name the block and the period of each cell.

    Coefficients, score and information are of standardised columns with the constant first.
    """

    labels: tuple[list[str], list[str]]
    n: Array
    score: Array
    information: Array
    effect: Array
    gradient: Array


class Steps:
    """The logistic regression of the first column on the others; `step` and `flag` say what the effect is of."""

    def __init__(self, study: Study, table: ir.Table, columns: Sequence[str], step: float, flag: bool) -> None:
        slim = narrowed(study, table, columns)
        complete = slim.filter(*(slim[c].notnull() for c in columns))
        self.centre, self.scale = shift_and_scale(complete, list(columns[1:]))
        self._keys = ["period"] if months_count(study, slim) else []
        self._stream = Stream(study, slim, cluster_of(study, slim), columns, self._keys)
        self._step, self._flag, self._shift = step, flag, np.concatenate([[0.0], self.centre])
        self._sample = self._sampled(complete, columns, study.most_rows)
        self.events = 0

    @property
    def asked(self) -> int:
        """How many rows there are, also those with a gap."""
        return self._stream.asked

    @property
    def clusters(self) -> int:
        """How many clusters the complete rows are of."""
        return self._stream.clusters

    def taken(self) -> tuple[Array, bool, Passed]:
        """Where Newton's steps end, whether they do, and the sums of the last pass."""
        y, design = self._sample
        beta = np.zeros(design.shape[1])
        enough = min(y.sum(), len(y) - y.sum()) >= 20 * len(beta)
        found = fit_logit(y, design[:, 1:]) if enough else None
        if found is not None and found.converged:
            beta = found.coefficients
        before = np.inf
        for i in range(STEPS):
            sums = self._passed(beta, by_cell=i > 0)
            n, score, information = sums.n.sum(), sums.score.sum(0), sums.information.sum(0)
            if not 0 < self.events < n:
                break
            step = np.linalg.lstsq(information, score, rcond=1e-12)[0]
            size = float(np.abs(step).max())
            if i and size < CLOSE and size < before / SHRINKS:
                return beta, True, sums
            if found is not None and found.converged and size < CURVED:
                step = self._mended(beta, step, score, information, n)
            beta, before = beta + step, size
        return beta, False, self._passed(beta, by_cell=True)

    def _sampled(self, complete: ir.Table, columns: Sequence[str], most: int) -> tuple[Array, Array]:
        """Rows of a sample of customers, by the engine's own hash: the outcome, and the standardised columns."""
        chosen = complete.filter(complete.customer_id.hash() % max(most // START_ROWS, 1) == 0)
        got = chosen.select(*(chosen[c].cast("float64") for c in columns)).to_pyarrow()
        values = np.stack([got[c].to_numpy() for c in columns], axis=1)
        values = values[np.isfinite(values).all(1)]
        design = np.ones((len(values), len(columns)))
        design[:, 1:] = (values[:, 1:] - self.centre) / self.scale
        return values[:, 0].copy(), design

    def _mended(self, beta: Array, step: Array, score: Array, information: Array, n: float) -> Array:
        """The step with what the score bends on its way, as the sample shows it: one pass does the work of two."""
        y, design = self._sample
        here = expit(design @ beta)
        slope = design.T @ (design * (here * (1 - here))[:, None])
        for _ in range(3):
            bent = slope @ step - design.T @ (expit(design @ (beta + step)) - here)
            step = np.linalg.lstsq(information, score + n / len(y) * bent, rcond=1e-12)[0]
        return step

    def _passed(self, beta: Array, by_cell: bool) -> Passed:
        """One pass over all rows."""
        k = len(self.scale)
        own = np.append(beta[1:] / self.scale, beta[0])
        found: dict[tuple[int, ...], Array] = {}
        gradient, events = np.zeros(k + 1), 0.0
        for piece in self._stream.pieces(self._shift, by_cell=by_cell):
            y, x = piece.columns[0], piece.columns[1:]
            told = np.einsum("i,ij->j", own, x)
            p = expit(told)
            w = np.maximum(p * (1 - p), LEAST)
            effect, slope, more = self._effect(beta, told, x, p, w)
            gradient[1] += more
            events += y.sum()
            # one product gives all: information, score, effect with its slopes, and how many rows there are
            root = np.sqrt(w)
            rows = np.empty((k + 5, len(y)))
            np.multiply(x, root, out=rows[: k + 1])
            rows[k + 1], rows[k + 2], rows[k + 3], rows[k + 4] = (y - p) / root, effect / root, slope / root, 1.0
            for cell, part in piece.parts():
                found[cell] = rows[:, part] @ rows[:, part].T + found.get(cell, 0.0)
        self.events = round(events)
        sums = np.array(list(found.values())).reshape(-1, k + 5, k + 5)
        order, units = [k, *range(k)], np.concatenate([[1.0], self.scale])
        levels = self._stream.levels if by_cell else [[""] for _ in self._stream.levels]
        blocks, *periods = ([of[cell[i]] for cell in found] for i, of in enumerate(levels))
        return Passed(
            (blocks, periods[0] if periods else [""] * len(blocks)),
            sums[:, k + 4, k + 4],
            sums[:, order, k + 1] / units,
            sums[:, order][:, :, order] / np.outer(units, units),
            sums[:, k, k + 2],
            gradient + sums[:, order, k + 3].sum(0) / units,
        )

    def _effect(self, beta: Array, told: Array, x: Array, p: Array, w: Array) -> tuple[Array, Array, float]:
        """Each row's part of the average marginal effect of the first term.

        And its derivative by what the model says, and what the sum of slopes by the term's own coefficient has more.
        """
        if not self._flag:
            own = self._step / float(self.scale[0])
            return own * beta[1] * w, own * beta[1] * w * (1 - 2 * p), own * float(w.sum())
        rest = told - beta[1] / self.scale[0] * x[0]
        low, high = ((v - self.centre[0]) / self.scale[0] for v in (0.0, 1.0))
        p0, p1 = (expit(rest + beta[1] * z) for z in (low, high))
        w0, w1 = p0 * (1 - p0), p1 * (1 - p1)
        more = float((w1 * high - w0 * low - (w1 - w0) * x[0] / self.scale[0]).sum())
        return p1 - p0, w1 - w0, more
