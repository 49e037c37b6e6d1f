"""The silent: what could hold for all customers when only some answered, and answering depends on the answer."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.data.terms import KEYS
from cxresearch.evidence import inference
from cxresearch.evidence.held import Asked, Held, hold, met
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.moments import moments

Array = NDArray[np.float64]
# how the silent may differ from those who answered: policy, not a parameter; a range can end between its corners
SLOPES = (0.5, 0.75, 1.0, 1.25, 1.5)  # their slope, as a multiple of the slope among the answers
SHIFTS = (
    -1.0,
    -0.75,
    -0.5,
    -0.25,
    0.0,
    0.25,
    0.5,
)  # their mean answer at equal conditions, in standard deviations of the answers
ASSUMPTION = (
    f"the silent may score from {-SHIFTS[0]:g} standard deviation lower to {SHIFTS[-1]:g} higher at equal conditions, "
    f"with {SLOPES[0]:g} to {SLOPES[-1]:g} times the slope"
)


def correlation_range(study: Study, *, asked: str, known: str) -> tuple[Interval, int, int]:
    """The range of a correlation for all customers: `asked` is known of the answers only, `known` of everybody.

    The silent are given the slope and the mean of those who answered, altered within `SLOPES` and `SHIFTS`; their
    `known` values are as they are. The estimate is that with nothing altered; the interval runs from the lowest to
    the highest end of the 95 % intervals of all alterations. Gives interval, rows of everybody, clusters.
    Source: pattern-mixture sensitivity, Little & Rubin, Statistical Analysis with Missing Data, chapter 15.
    """
    columns = ["cx_known", "cx_answered", "cx_known_answered", "cx_asked_answered"]
    spread = moments(study, _everybody(study, asked, known), columns)
    n, clusters = spread.n, spread.clusters
    answers = round(float(spread.mean[1]) * n) if n else 0
    if not 3 <= answers < n:
        return inference.NOTHING, n, clusters
    full = _products(spread.full, spread.mean, spread.scale)
    left_out = _products(spread.left_out, spread.mean_left_out, spread.scale)
    cases = list(itertools.product(SLOPES, SHIFTS))
    slope, shift = np.array(cases).T
    estimates, without = mixture(full, slope, shift), mixture(left_out, slope[:, None], shift[:, None])
    made = {
        case: inference.jackknife(float(estimate), left, on="r", blocks=spread.parts)
        for case, estimate, left in zip(cases, estimates, without, strict=True)
    }
    ends = [(i.conf_low, i.conf_high) for i in made.values() if i.conf_low is not None and i.conf_high is not None]
    if len(ends) < len(made):
        return inference.NOTHING, n, clusters
    plain = made[1.0, 0.0]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return Interval(plain.estimate, plain.std_error, plain.df, low, high, None), n, clusters


def _everybody(study: Study, asked: str, known: str) -> Asked:
    """All rows with the known term, whether they answered, and both terms of those who did (else zero), centred."""
    answers = study.rows([asked, known])
    here, told = hold(study, study.rows([known]), [known]), hold(study, answers, [asked, known])
    if here is not None and told is not None:
        return _everybody_held(here, told, asked, known)
    centre = answers.aggregate(x=answers[known].mean(), y=answers[asked].mean()).to_pyarrow().to_pylist()[0]
    said = answers.select(*KEYS, cx_said=answers[asked] - (centre["y"] or 0.0))
    table = study.rows([known]).left_join(said, list(KEYS))
    x, answered = table[known] - (centre["x"] or 0.0), table.cx_said.notnull().cast("float64")
    return table.mutate(
        cx_known=x, cx_answered=answered, cx_known_answered=x * answered, cx_asked_answered=table.cx_said.fill_null(0.0)
    )


def _everybody_held(here: Held, told: Held, asked: str, known: str) -> Held:
    """The same of rows that are held: `here` of everybody, `told` of those who answered."""
    x, y = told.number(known), told.number(asked)
    centre_x, centre_y = (float(v[np.isfinite(v)].mean()) if np.isfinite(v).any() else 0.0 for v in (x, y))
    answer, row = met(told, here)
    silent = np.ones(here.n, dtype=bool)
    silent[row] = False
    rows = np.concatenate([row, np.flatnonzero(silent)])
    said = np.concatenate([y[answer] - centre_y, np.full(len(rows) - len(row), np.nan)])
    known_x, answered = here.number(known)[rows] - centre_x, np.isfinite(said).astype(float)
    return here.part(
        rows, cx_known=known_x, cx_answered=answered, cx_known_answered=known_x * answered,
        cx_asked_answered=np.where(answered == 1, said, 0.0),
    )  # fmt: skip


def _products(covariance: Array, mean: Array, scale: Array) -> Array:
    """Mean products (…, 5, 5) of one and of the four columns, in their own units."""
    own = covariance * scale[:, None] * scale[None, :] + mean[..., :, None] * mean[..., None, :]
    made = np.ones((*own.shape[:-2], 5, 5))
    made[..., 1:, 1:], made[..., 0, 1:], made[..., 1:, 0] = own, mean, mean
    return made


def mixture(products: Array, slope: Array | float, shift: Array | float) -> Array:
    """The correlation over answers and silent together, the silent altered, from mean products (…, 5, 5).

    The columns are one, x, a (answered: 1 or 0), a x and a y. The silent have the line of the answers, `slope` times as
    steep about the answers' mean and `shift` of their standard deviations higher, with the same scatter about it.
    """
    share, mean_x = products[..., 0, 2], products[..., 0, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = products[..., 0, 3] / share, products[..., 0, 4] / share
        var_x, var_y = products[..., 1, 3] / share - x**2, products[..., 4, 4] / share - y**2
        cov = products[..., 1, 4] / share - x * y
        silent_x = (mean_x - share * x) / (1 - share)
        silent_var = (products[..., 1, 1] - products[..., 1, 3]) / (1 - share) - silent_x**2
        b = cov / var_x
        gap_x = silent_x - x
        gap_y = slope * b * gap_x + shift * np.sqrt(var_y)
        between = share * (1 - share)
        cov_all = share * cov + (1 - share) * slope * b * silent_var + between * gap_x * gap_y
        scatter = var_y - b * cov
        var_all = share * var_y + (1 - share) * (slope**2 * b**2 * silent_var + scatter) + between * gap_y**2
        total_x = products[..., 1, 1] - mean_x**2
        return np.asarray(cov_all / np.sqrt(total_x * var_all))
