"""Steps: Newton's steps of a logistic regression over rows that an embedded engine lets pass by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxresearch.data.study import Study
from cxresearch.evidence.logistic import fit_logit
from cxresearch.evidence.streams import Stream
from cxresearch.evidence.sums import cluster_of, months_count, narrowed, shift_and_scale

Array = NDArray[np.float64]
STEPS = 20
# a pass within so many standard deviations of the end may be the last: its sums are carried there by the sample's curve,
# if no coefficient is then off by a larger part of itself, and no step without a block
NEAR, EXACT, EXACT_STEP = 1e-3, 5e-9, 5e-6
SHRINKS, ROUNDING = 4, 1e-10  # times at least, from one step to the next, rounding aside: else they hardly end
START_ROWS = 100_000  # about so many rows give the start
INFORMS = 4  # one chunk in so many says how the score of the first pass bends; where steps end is found by all rows
CHUNK = 512  # rows of a product: of larger ones a library makes threads, which cost more than they spare
NOTHING = (
    1e-12  # standard deviations: of a coefficient that is less, as a constant column's, no part of itself is known
)
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

    @property
    def largest(self) -> float:
        """The share of all rows that the largest block or period has."""
        numbers = [np.unique(labels, return_inverse=True)[1] for labels in self.labels if len(set(labels)) > 1]
        return max((float(np.bincount(of, weights=self.n).max() / self.n.sum()) for of in numbers), default=1.0)

    def carried(self, step: Array, bend: Array, turn: Array) -> Passed:
        """The sums a step further, where the information of all rows is larger by `bend` and the gradient by `turn`."""
        share = self.n / self.n.sum()
        bends = share[:, None, None] * bend
        return replace(
            self,
            score=self.score - (self.information + bends / 2) @ step,
            information=self.information + bends,
            effect=self.effect + share * ((self.gradient + turn / 2) @ step),
            gradient=self.gradient + turn,
        )


class Steps:
    """The logistic regression of the first column on the others; `step` and `flag` say what the effect is of."""

    def __init__(self, study: Study, table: ir.Table, columns: Sequence[str], step: float, flag: bool) -> None:
        slim = narrowed(study, table, columns)
        self.centre, self.scale = shift_and_scale(slim.filter(*(slim[c].notnull() for c in columns)), list(columns[1:]))
        keys = ["period"] if months_count(study, slim) else []
        self._stream = Stream(study, slim, cluster_of(study, slim), columns, keys)
        self._step, self._flag, self._shift = step, flag, np.concatenate([[0.0], self.centre])
        self._units = np.concatenate([self.scale, [1.0]])
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
        """Where the steps end, whether they do, and the sums there."""
        beta, n, score, information = self._begun()
        sums: Passed | None = None
        before = np.inf
        for _ in range(STEPS):
            if not 0 < self.events < n:
                break
            plain = np.asarray(np.linalg.lstsq(information, score, rcond=1e-12)[0], dtype=float)
            step, off = self._bent(beta, plain, score, information, n)
            size = float(np.abs(step).max())
            near = size < min(NEAR, max(before / SHRINKS, ROUNDING))
            carried = self._carried(sums, beta, step, plain, off) if sums is not None and near else None
            if carried is not None:
                return beta + step, True, carried
            beta, before = beta + step, size
            sums = self._passed(beta)
            n, score, information = sums.n.sum(), sums.score.sum(0), sums.information.sum(0)
        return beta, False, sums or self._passed(beta)

    def _begun(self) -> tuple[Array, float, Array, Array]:
        """A first pass: coefficients that fit its first rows, and there of all rows count, score and information."""
        k, n, informed, events = len(self.scale), 0, 0, 0.0
        score, information = np.zeros(k + 1), np.zeros((k + 1, k + 1))
        chunks = self._stream.chunks(self._shift)
        first = list(_of_rows(chunks, START_ROWS))
        rows = np.concatenate([np.ones((k + 2, 0)), *first], axis=1)
        self._sample = rows[0], np.roll(rows[1:] / self._units[:, None], 1, axis=0).T
        del rows
        beta = self._start()
        for i, rows in enumerate(chain(first, chunks)):
            y, x = rows[0], rows[1:]
            p = expit(np.einsum("i,ij->j", self._own(beta), x))
            n, events, score = n + len(y), events + y.sum(), score + np.einsum("ij,j->i", x, y - p)
            if i % INFORMS == 0:
                informed += len(y)
                root = x * np.sqrt(p * (1 - p))
                for at in range(0, len(y), CHUNK):
                    part = root[:, at : at + CHUNK]
                    information += part @ part.T
        self.events = round(events)
        order = [k, *range(k)]
        information *= n / max(informed, 1) / np.outer(self._units, self._units)
        return beta, n, (score / self._units)[order], information[np.ix_(order, order)]

    def _start(self) -> Array:
        """The fit to the sample, or nothing where that has none."""
        y, design = self._sample
        if min(y.sum(), len(y) - y.sum()) >= 20 * design.shape[1]:
            found = fit_logit(y, design[:, 1:])
            if found.converged:
                return found.coefficients
        return np.zeros(design.shape[1])

    def _own(self, beta: Array) -> Array:
        """Coefficients of columns as they pass by: in own units, the constant last."""
        return np.append(beta[1:], beta[0]) / self._units

    def _bent(self, beta: Array, plain: Array, score: Array, information: Array, n: float) -> tuple[Array, float]:
        """A step mended for the bend of the score on its way, as the sample shows it; and how far that may be off, as a part.

        One pass does the work of two. The sample is off by about as much as in the information, which all rows tell.
        """
        if np.abs(plain).max() >= CURVED:
            return plain, np.inf
        y, design = self._sample
        here, (slope, _) = expit(design @ beta), self._told_by_sample(beta, n)
        step, each = plain, n / len(y)
        for _ in range(3):
            bend = slope @ step - each * (design.T @ (expit(design @ (beta + step)) - here))
            step = np.linalg.lstsq(information, score + bend, rcond=1e-12)[0]
        return step, float(np.abs(slope - information).max() / np.abs(information).max())

    def _carried(self, sums: Passed, beta: Array, step: Array, plain: Array, off: float) -> Passed | None:
        """The sums of a pass at `beta` carried to where its step ends; None where the sample knows that too roughly."""
        here, there = (self._told_by_sample(at, sums.n.sum()) for at in (beta, beta + step))
        bend, turn = there[0] - here[0], there[1] - here[1]
        # a part of all rows may bend otherwise than all: by no more than its share
        lacks = np.abs(bend).max() / np.abs(sums.information.sum(0)).max() * max(off, sums.largest)
        exact = off * np.abs(step - plain).max() <= max(EXACT * np.abs(beta + step).min(), NOTHING)
        return sums.carried(step, bend, turn) if exact and lacks < EXACT_STEP else None

    def _told_by_sample(self, beta: Array, n: float) -> tuple[Array, Array]:
        """Information and gradient of so many rows, as the sample tells them."""
        y, design = self._sample
        told = design @ beta
        p = expit(told)
        w = np.maximum(p * (1 - p), LEAST)
        _, slope, more = self._effect(beta, told, design[:, 1], p, w)
        gradient = design.T @ slope
        gradient[1] += more
        return n / len(y) * (design.T @ (design * w[:, None])), n / len(y) * gradient

    def _passed(self, beta: Array) -> Passed:
        """One pass over all rows."""
        k = len(self.scale)
        found: dict[tuple[int, ...], Array] = {}
        cells, tallies = [], []
        gradient, events = np.zeros(k + 1), 0.0
        for piece in self._stream.pieces(self._shift):
            y, x = piece.columns[0], piece.columns[1:]
            told = np.einsum("i,ij->j", self._own(beta), x)
            p = expit(told)
            w = np.maximum(p * (1 - p), LEAST)
            effect, slope, more = self._effect(beta, told, x[0] / self.scale[0], p, w)
            gradient += np.einsum("ij,j->i", x, slope) / self._units
            gradient[0] += more
            events += y.sum()
            starts = np.concatenate([[0], piece.ends[:-1]])
            cells.append(piece.cells)
            tallies.append(np.column_stack([np.diff(piece.ends, prepend=0), np.add.reduceat(effect, starts)]))
            # one product of matrices gives information and score
            root = np.sqrt(w)
            rows = np.empty((k + 2, len(y)))
            np.multiply(x, root, out=rows[: k + 1])
            np.divide(y - p, root, out=rows[k + 1])
            for cell, part in piece.parts():
                product = rows[:, part] @ rows[:, part].T
                if cell in found:
                    found[cell] += product
                else:
                    found[cell] = product
        self.events = round(events)
        products = np.array(list(found.values())).reshape(-1, k + 2, k + 2)
        tallied, place = np.zeros((len(found), 2)), {cell: i for i, cell in enumerate(found)}
        for of, tally in zip(cells, tallies, strict=True):
            np.add.at(tallied, [place[tuple(cell)] for cell in of.tolist()], tally)
        order, units = [k, *range(k)], np.roll(self._units, 1)
        blocks, *periods = ([of[cell[i]] for cell in found] for i, of in enumerate(self._stream.levels))
        return Passed(
            (blocks, periods[0] if periods else [""] * len(blocks)),
            tallied[:, 0],
            products[:, order, k + 1] / units,
            products[:, order][:, :, order] / np.outer(units, units),
            tallied[:, 1],
            gradient[order],
        )

    def _effect(self, beta: Array, told: Array, z: Array, p: Array, w: Array) -> tuple[Array, Array, float]:
        """Each row's part of the average marginal effect of the first term, whose standardised values are `z`.

        And its derivative by what the model says, and what the sum of slopes by the term's own coefficient has more.
        """
        if not self._flag:
            own = self._step / float(self.scale[0])
            return own * beta[1] * w, own * beta[1] * w * (1 - 2 * p), own * float(w.sum())
        rest = told - beta[1] * z
        low, high = ((v - self.centre[0]) / self.scale[0] for v in (0.0, 1.0))
        p0, p1 = (expit(rest + beta[1] * end) for end in (low, high))
        w0, w1 = p0 * (1 - p0), p1 * (1 - p1)
        more = float((w1 * high - w0 * low - (w1 - w0) * z).sum())
        return p1 - p0, w1 - w0, more


def _of_rows(chunks: Iterator[Array], rows: int) -> Iterator[Array]:
    """The first chunks, until they have so many rows."""
    while rows > 0 and (chunk := next(chunks, None)) is not None:
        rows -= chunk.shape[1]
        yield chunk
