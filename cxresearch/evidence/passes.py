"""Passes: a logistic regression of any number of rows, fitted where the data lives; memory is flat in rows.

A sample gives the start, Newton's steps are sums made by the engine, and the last pass gives those sums for every
block, so that the interval comes from the fits without each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.evidence.blocks import Blocks, by_part, one_way, two_way
from cxresearch.evidence.design_matrix import repeated
from cxresearch.evidence.logistic import fit_logit
from cxresearch.evidence.steps import Steps
from cxresearch.evidence.sums import block_of, cluster_count, months_count, narrowed, shift_and_scale

Array = NDArray[np.float64]
STEPS, CLOSE = 20, 1e-3  # a step of so many standard deviations leaves its square, and the last pass takes one more
SHRINKS = 4  # times at least, from one step to the next: where the steps do not end they hardly do
START_ROWS = 100_000  # about so many rows give the start


@dataclass(frozen=True)
class Passed:
    """A fit to all rows: coefficients (k + 1,) in own units, constant first, and (S, k + 1) without each part.

    `effect` is the average marginal effect of the first column for `step` of it (a flag: 1 against 0) and
    `effect_left_out` (S,) the same without each part. `converged` is False where the steps do not end: separation.
    `repeated` (k + 1,) says which columns have no slope of their own.
    """

    coefficients: Array
    left_out: Array
    effect: float
    effect_left_out: Array
    parts: Blocks
    n: int
    events: int
    cluster_count: int
    asked: int
    converged: bool
    repeated: NDArray[np.bool_]
    sampled: bool = False


def fit_in_passes(
    study: Study, table: ir.Table, columns: Sequence[str], *, step: float = 1.0, flag: bool = False
) -> Passed:
    """The logistic regression of the first column on the others over all complete rows of a table.

    Without a part: one Newton step from the fit to all rows (Cameron & Miller 2015, CR3; Pregibon 1981); the effect
    follows the coefficients to first order. Source: McCullagh & Nelder (1989), section 4.4.
    """
    found = (_near if study.engine_is_near else _by_engine)(study, table, columns, step, flag)
    sums, beta = found.sums, found.beta
    total = {name: values.sum((0, 1)) for name, values in sums.cells.items()}
    bread = total["information"] - by_part(sums.cells["information"], sums.there)
    score = total["score"] - by_part(sums.cells["score"], sums.there)
    moved = (np.linalg.pinv(bread, hermitian=True) @ score[:, :, None])[:, :, 0]
    last = np.linalg.pinv(total["information"], hermitian=True) @ total["score"]
    n, parts_n = total["n"], by_part(sums.cells["n"], sums.there)
    with np.errstate(invalid="ignore", divide="ignore"):  # without a row nothing is known, and that is what NaN says
        gradient = sums.gradient / n
        without = (total["effect"] - by_part(sums.cells["effect"], sums.there)) / (n - parts_n) + moved @ gradient
    back = np.diag(np.concatenate([[1.0], 1 / found.scale]))
    back[0, 1:] = -found.centre / found.scale
    return Passed(
        back @ (beta + last), (beta + moved) @ back.T, float(total["effect"] / n + last @ gradient) if n else np.nan, without, sums.parts,
        int(n), found.events, found.clusters, found.asked, found.converged, repeated(total["information"]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """Coefficients of standardised columns, and the sums there."""

    beta: Array
    converged: bool
    sums: _Cells
    centre: Array
    scale: Array
    events: int
    clusters: int
    asked: int


def _near(study: Study, table: ir.Table, columns: Sequence[str], step: float, flag: bool) -> _Found:
    """The fit to rows that pass by."""
    steps = Steps(study, table, columns, step, flag)
    beta, converged, last = steps.taken()
    flat = {"n": last.n, "effect": last.effect, "score": last.score, "information": last.information}
    sums = _placed(*last.labels, flat, last.gradient)
    return _Found(beta, converged, sums, steps.centre, steps.scale, steps.events, steps.clusters, steps.asked)


def _by_engine(study: Study, table: ir.Table, columns: Sequence[str], step: float, flag: bool) -> _Found:
    """The fit by sums that the engine makes."""
    table = narrowed(study, table, columns)
    complete = table.filter(*(table[c].notnull() for c in columns))
    rows = _standardised(study, complete, columns)
    beta, converged = _newton(rows, _start(rows)) if 0 < rows.events < rows.n else (np.zeros(len(columns)), False)
    sums, asked = _last_pass(rows, beta, step, flag), int(table.count().to_pyarrow().as_py())
    return _Found(beta, converged, sums, rows.centre, rows.scale, rows.events, rows.clusters, asked)


@dataclass(frozen=True)
class _Rows:
    """Complete rows of the engine: `y` and standardised `z1` … `zk` beside block and period; and how they were made."""

    table: ir.Table
    centre: Array
    scale: Array
    n: int
    events: int
    clusters: int

    @property
    def design(self) -> list[ir.Value]:
        """The constant and the standardised columns."""
        return [ibis.literal(1.0), *(self.table[f"z{i}"] for i in range(len(self.centre)))]


def _standardised(study: Study, complete: ir.Table, columns: Sequence[str]) -> _Rows:
    y, terms = complete[columns[0]], list(columns[1:])
    got = complete.aggregate(n=complete.count(), events=y.sum()).to_pyarrow().to_pylist()[0]
    centre, scale = shift_and_scale(complete, terms)
    keys = {"cx_block": block_of(study, complete)} | (
        {"cx_period": complete.period} if months_count(study, complete) else {}
    )
    z = {f"z{i}": (complete[c] - float(centre[i])) / float(scale[i]) for i, c in enumerate(terms)}
    table = complete.select(**keys, cx_customer=complete.customer_id, y=y, **z)
    return _Rows(table, centre, scale, int(got["n"]), int(got["events"] or 0), cluster_count(study, complete))


def _start(rows: _Rows) -> Array:
    """The fit to a sample of customers; where that tells nothing: the share alone.

    By the engine's own hash, which costs least: where the steps begin does not show in where they end.
    """
    beta = np.zeros(len(rows.centre) + 1)
    share = min(max(rows.events / max(rows.n, 1), 1e-6), 1 - 1e-6)
    beta[0] = np.log(share / (1 - share))
    one_in = max(rows.n // START_ROWS, 1)
    sample = rows.table.filter(rows.table.cx_customer.hash() % one_in == 0).drop("cx_block", "cx_customer").to_pyarrow()
    y = np.asarray(sample["y"], dtype=float)
    if min(y.sum(), len(y) - y.sum()) < 20 * len(beta):
        return beta
    found = fit_logit(y, np.column_stack([np.asarray(sample[f"z{i}"], dtype=float) for i in range(len(rows.centre))]))
    return found.coefficients if found.converged else beta


def _weighed(rows: _Rows, beta: Array) -> ir.Table:
    """The rows with their fitted share and its weight p (1 - p)."""
    log_odds = sum((float(b) * x for b, x in zip(beta[1:], rows.design[1:], strict=True)), ibis.literal(float(beta[0])))
    fitted = rows.table.mutate(p=1.0 / (1.0 + (-log_odds).exp()))
    return fitted.mutate(w=fitted.p * (1.0 - fitted.p), r=fitted.y - fitted.p)


def _sums(table: ir.Table, k: int) -> dict[str, ir.Value]:
    """Score and information as sums over rows; z0 stands for the constant."""
    x = [ibis.literal(1.0), *(table[f"z{i}"] for i in range(k))]
    score = {f"s{i}": (table.r * x[i]).sum() for i in range(k + 1)}
    return score | {f"i{i}_{j}": (table.w * x[i] * x[j]).sum() for i in range(k + 1) for j in range(i, k + 1)}


def _newton(rows: _Rows, beta: Array) -> tuple[Array, bool]:
    """Newton's steps to where the score is all but zero, one pass each; and whether they end."""
    k, before = len(rows.centre), np.inf
    for _ in range(STEPS):
        weighed = _weighed(rows, beta)
        got = weighed.aggregate(**_sums(weighed, k)).to_pyarrow().to_pydict()
        step = np.linalg.lstsq(_information(got, k)[0], _score(got, k)[0], rcond=1e-12)[0]
        size = float(np.abs(step).max())
        beta = beta + step
        if size < CLOSE and size < before / SHRINKS:
            return beta, True
        before = size
    return beta, False


def _score(got: dict[str, list], k: int) -> Array:
    return np.column_stack([np.asarray(got[f"s{i}"], dtype=float) for i in range(k + 1)])


def _information(got: dict[str, list], k: int) -> Array:
    found = np.empty((len(got["i0_0"]), k + 1, k + 1))
    for i in range(k + 1):
        for j in range(i, k + 1):
            found[:, i, j] = found[:, j, i] = np.asarray(got[f"i{i}_{j}"], dtype=float)
    return found


@dataclass(frozen=True)
class _Cells:
    """Sums by block and period, (B, T, …), the parts that they make, and the slopes of the effect over all rows."""

    cells: dict[str, Array]
    parts: Blocks
    there: NDArray[np.bool_] | None
    gradient: Array


def _last_pass(rows: _Rows, beta: Array, step: float, flag: bool) -> _Cells:
    """Score, information, effect and its gradient, for each block (and period)."""
    k = len(rows.centre)
    weighed = _weighed(rows, beta)
    keys = [key for key in ("cx_block", "cx_period") if key in weighed.columns]
    each, slopes = _effect(rows, weighed, beta, step, flag)
    table = weighed.mutate(e=each, **{f"e{i}": slope for i, slope in enumerate(slopes)})
    wanted = {"n": table.count(), "effect": table.e.sum(), **{f"g{i}": table[f"e{i}"].sum() for i in range(k + 1)}}
    got = table.group_by(keys).aggregate(**wanted, **_sums(table, k)).order_by(keys).to_pyarrow().to_pydict()
    flat: dict[str, Any] = {
        "n": np.asarray(got["n"], dtype=float), "effect": np.asarray(got["effect"], dtype=float),
        "score": _score(got, k), "information": _information(got, k),
    }  # fmt: skip
    gradient = np.array([sum(got[f"g{i}"]) for i in range(k + 1)], dtype=float)
    return _placed(got["cx_block"], got.get("cx_period", [""] * len(got["n"])), flat, gradient)


def _placed(block: list[str], period: list[str], flat: dict[str, Any], gradient: Array) -> _Cells:
    """Sums of cells (C, …) by block and period (B, T, …)."""
    blocks, b = np.unique(np.array(block, dtype=str), return_inverse=True)
    periods, t = np.unique(np.array(period, dtype=str), return_inverse=True)
    cells = {}
    for name, values in flat.items():
        cells[name] = np.zeros((len(blocks), len(periods), *values.shape[1:]))
        cells[name][b, t] = values
    if len(periods) < 2:
        return _Cells(cells, one_way(blocks.tolist(), cells["n"].sum(1)), None, gradient)
    parts, there = two_way(blocks.tolist(), periods.tolist(), cells["n"])
    return _Cells(cells, parts, there, gradient)


def _effect(rows: _Rows, weighed: ir.Table, beta: Array, step: float, flag: bool) -> tuple[ir.Value, list[ir.Value]]:
    """Each row's part of the average marginal effect of the first term, and its derivative by each coefficient."""
    x = [ibis.literal(1.0), *(weighed[f"z{i}"] for i in range(len(rows.centre)))]
    if not flag:
        own = step / float(rows.scale[0])
        slopes = [own * float(beta[1]) * weighed.w * (1.0 - 2.0 * weighed.p) * xi for xi in x]
        slopes[1] = slopes[1] + own * weighed.w
        return own * float(beta[1]) * weighed.w, slopes
    low, high = (float((v - rows.centre[0]) / rows.scale[0]) for v in (0.0, 1.0))
    rest = sum((float(b) * xi for b, xi in zip(beta[2:], x[2:], strict=True)), ibis.literal(float(beta[0])))
    p0, p1 = (1.0 / (1.0 + (-(rest + float(beta[1]) * z)).exp()) for z in (low, high))
    w0, w1 = p0 * (1.0 - p0), p1 * (1.0 - p1)
    slopes = [(w1 - w0) * xi for xi in x]
    slopes[1] = w1 * high - w0 * low
    return p1 - p0, slopes
