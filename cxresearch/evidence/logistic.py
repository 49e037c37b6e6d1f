"""Logistic regression by Newton's method, and without each cluster: arrays in, numbers out.

Written here because errors of average marginal effects with few clusters need the fit without each of them, and
because separation must be seen, not reported as convergence. Checked against statsmodels and R.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.matching import in_order
from cxresearch.evidence.design_matrix import SINGULAR, DesignMatrix

Array = NDArray[np.float64]
Link = Literal["logit", "cloglog"]
STARTING = 10_000  # rows that give the start of many more
PORTION = 8_192  # rows that are summed at a time: they stay in the cache
STEPS = 20  # Newton needs about eight; one that still moves after twenty is on its way to infinity
HALVINGS = 10
CERTAIN = 700.0  # log odds at which the share is 1 in any arithmetic; not far beyond odds are too large to be written
RESTED = 1e-11  # a last step of slower scoring: what is left is about as large
RESTS = 1e-5  # after such a step of Newton's its square is left; it is no step on the way to infinity
NEARLY = 1e-3  # after so small a step the information stands for the next one's: what is left is the product of both
SCORING_STEPS = 100  # of a link other than the logit: the expected information takes smaller steps


@dataclass(frozen=True)
class LogitFit:
    """Coefficients (k,) in own units with the constant first, of `y` (n,) on the columns of `matrix`.

    `converged` is False where the coefficients still move after 20 Newton steps: separation. `predictor` (n,) is the
    linear predictor, offset included.
    """

    y: Array
    matrix: DesignMatrix
    coefficients: Array
    converged: bool
    predictor: Array
    link: Link = "logit"

    @cached_property
    def share_and_slope(self) -> tuple[Array, Array]:
        """The share that is fitted to each row (n,), and its slope."""
        return share_and_slope(self.link, self.predictor)

    @property
    def fitted(self) -> Array:
        """The share that is fitted to each row, (n,)."""
        return self.share_and_slope[0]

    @cached_property
    def residual_and_weight(self) -> tuple[Array, Array]:
        """Each row's score and expected information of its linear predictor, (n,)."""
        if self.link == "logit":
            return self.y - self.fitted, self.share_and_slope[1]
        return residual_and_weight(self.link, self.y, self.predictor)

    @cached_property
    def covariance(self) -> Array:
        """The inverse of the expected information (k, k): the errors of R's glm, which hold where rows are independent."""
        standard, back = self.matrix.standard, self.matrix.back
        information = (standard.T * self.residual_and_weight[1]) @ standard
        return back @ np.linalg.pinv(information, rcond=1e-12, hermitian=True) @ back.T

    @cached_property
    def log_likelihood(self) -> float:
        """The log-likelihood of what was seen."""
        return log_likelihood(self.link, self.y, self.predictor)


def fit_logit(y: Array, x: Array | DesignMatrix, *, link: Link = "logit", offset: Array | float = 0.0) -> LogitFit:
    """The logistic regression of y (n,) of 0 and 1 on the columns of x (n, k) and a constant.

    `link` cloglog gives the discrete-time hazard whose exponentiated slopes are hazard ratios; `offset` (n,) is added
    to what the columns say. Columns are standardised for the arithmetic and given back in own units. A column without
    variation, or equal to a sum of others, gets the least-norm solution.
    Sources: McCullagh & Nelder (1989), sections 2.5 and 4.4; Prentice & Gloeckler (1978) for cloglog.
    """
    n, matrix = len(y), x if isinstance(x, DesignMatrix) else DesignMatrix.of(x)
    design = matrix.standard
    share = min(max(float(y.mean()), 1 / (2 * n)), 1 - 1 / (2 * n))
    start = np.zeros(design.shape[1])
    start[0] = np.log(share / (1 - share)) - np.mean(offset)
    beta, converged = _scored(y, design, offset, _near(y, design, offset, start), "logit")
    if link == "cloglog" and converged:  # separation is a property of the data: the logit has seen whether there is any
        start[0] = np.log(-np.log1p(-share)) - np.mean(offset)
        beta, converged = _scored(y, design, offset, start, link)
    return LogitFit(y, matrix, matrix.back @ beta, converged, offset + linear(design[:, 1:], beta), link)


def linear(x: Array, coefficients: Array) -> Array:
    """The linear predictor of rows x (n, k), constant first: equal rows get equal numbers to the last digit, so ties stay ties.

    Column by column: a product of matrices rounds the last rows of its portions otherwise.
    """
    told, part = np.full(len(x), coefficients[0]), np.empty(len(x))
    for column, slope in zip(x.T, coefficients[1:], strict=True):
        told += np.multiply(column, slope, out=part)
    return told


def _near(y: Array, design: Array, offset: Array | float, start: Array) -> Array:
    """Of many rows, the fit to some: close to where the steps end, at a small part of their cost.

    As many of those who left as of those who stayed, evenly spaced, for the rarer say most; what that does to the odds
    is taken off them. Source: Prentice & Pyke (1979), logistic models of cases and controls.
    """
    if len(y) < 4 * STARTING:
        return start
    kinds = [np.flatnonzero(y == kind) for kind in (0, 1)]
    every = [max(2 * len(kind) // STARTING, 1) for kind in kinds]
    part = np.sort(np.concatenate([kind[::k] for kind, k in zip(kinds, every, strict=True)]))
    ahead = (offset[part] if isinstance(offset, np.ndarray) else offset) + np.log(every[0] / every[1])
    beta, converged = _scored(y[part], np.asfortranarray(design[part]), ahead, start, "logit")
    return beta if converged else start


def _scored(y: Array, design: Array, offset: Array | float, beta: Array, link: Link) -> tuple[Array, bool]:
    """Fisher's scoring from a start: where its steps end, a step that loses likelihood halved, and whether they came to rest."""
    ahead = np.broadcast_to(offset, len(y))
    steps, close = (STEPS, RESTS) if link == "logit" else (SCORING_STEPS, RESTED)
    reached, score, information = _summed(y, design, ahead, beta, link)
    since = 0.0  # how far the coefficients have moved since the information was summed
    for _ in range(steps):
        step = np.linalg.lstsq(information, score, rcond=1e-12)[0]
        size = float(np.abs(step).max())
        if size * max(since, size) < close**2:
            return beta + step, True
        # as long as each step is much shorter than the way before it
        same = information if link == "logit" and size < (since / 10 if since else NEARLY) else None
        found = _summed(y, design, ahead, beta + step, link, same)
        for _ in range(HALVINGS):
            if found[0] - reached >= -1e-9 * abs(reached):  # a smaller loss is rounding
                break
            step = step / 2
            found = _summed(y, design, ahead, beta + step, link)
        beta, (reached, score, information) = beta + step, found
        since = 0.0 if same is None else since + size
    return beta, bool(np.abs(step).max() < RESTS)


def _summed(
    y: Array, design: Array, offset: Array, beta: Array, link: Link, known: Array | None = None
) -> tuple[float, Array, Array]:
    """Log-likelihood, score (k,) and information (k, k) at coefficients, a portion of the rows at a time.

    An information that is `known` nearly is given back.
    """
    reached, score, information = 0.0, np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
    for begin in range(0, len(y), PORTION):
        part = slice(begin, begin + PORTION)
        own, x = y[part], design[part]
        told = offset[part] + x @ beta
        residual, weight, likelihood = _parts(link, own, told)
        reached += likelihood
        score += residual @ x
        if known is None:
            information += (x.T * weight) @ x
    return reached, score, information if known is None else known


def _parts(link: Link, y: Array, told: Array) -> tuple[Array, Array, float]:
    """Each row's score and expected information of its linear predictor, and the log-likelihood of all: of one exponential."""
    if link != "logit":
        return *residual_and_weight(link, y, told), log_likelihood(link, y, told)
    told = np.minimum(told, CERTAIN)
    odds = np.exp(told)
    whole = 1.0 + odds
    p = odds / whole
    return y - p, p / whole, float(y @ told - np.log(whole).sum())


def _cumulated(told: Array) -> Array:
    """The cumulated hazard of a cloglog predictor; beyond e⁶ the share is 1 in any arithmetic."""
    return np.exp(np.minimum(told, 6.0))


def share_and_slope(link: Link, told: Array) -> tuple[Array, Array]:
    """The share at linear predictors, and its slope."""
    if link != "logit":
        hazard = _cumulated(told)
        return -np.expm1(-hazard), hazard * np.exp(-hazard)
    # as scipy's expit, of operations that the processor does several at a time; in place, for to get room for
    # a column of many rows from the system takes longer than to fill it
    odds = np.minimum(told, CERTAIN)
    np.exp(odds, out=odds)
    whole = 1.0 + odds
    share = np.divide(odds, whole, out=odds)
    return share, np.divide(share, whole, out=whole)


def bend(link: Link, told: Array, share: Array, slope: Array) -> Array:
    """The second derivative of the share at linear predictors, of the share and its slope there."""
    if link == "logit":
        steeper = 1.0 - 2.0 * share
        steeper *= slope
        return steeper
    return slope * (1.0 - _cumulated(told))


def residual_and_weight(link: Link, y: Array, told: Array) -> tuple[Array, Array]:
    """Each row's score and expected information of its linear predictor."""
    if link == "logit":
        share, slope = share_and_slope(link, told)
        return y - share, slope
    hazard = _cumulated(told)
    ratio = hazard / np.expm1(hazard)
    return y * ratio - (1 - y) * hazard, hazard * ratio


def log_likelihood(link: Link, y: Array, told: Array) -> float:
    """The log-likelihood of 0 and 1 at linear predictors."""
    if link == "logit":
        return float((y * told - np.maximum(told, 0.0) - np.log1p(np.exp(-np.abs(told)))).sum())
    hazard = _cumulated(told)
    return float(np.where(y > 0, np.log(-np.expm1(-hazard)), -hazard).sum())


def leave_one_out(fit: LogitFit, clusters: NDArray[np.intp]) -> Array:
    """The coefficients without each cluster, (G, k): one Newton step from the fit to all rows.

    Counts how much a cluster bends the fit, which the plain sandwich does not: with few clusters or few events that one
    is too narrow. Without a cluster in which alone a term varies they do not exist: NaN.
    Source: Cameron & Miller (2015), CR3; Pregibon (1981) for the step.
    """
    z = fit.matrix.standard
    residual, weight = fit.residual_and_weight
    ends = np.cumsum(np.bincount(clusters))
    if (clusters[1:] < clusters[:-1]).any():  # rows of a cluster together: each is one product of matrices
        order = in_order(clusters)
        z, residual, weight = np.take(z.T, order, axis=1).T, residual[order], weight[order]
    parts = [slice(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    score = np.array([residual[part] @ z[part] for part in parts])
    information = np.array([(z[part].T * weight[part]) @ z[part] for part in parts])
    rest = information.sum(0) - information
    known, every = np.linalg.eigh(rest), np.linalg.eigvalsh(information.sum(0))
    there = known.eigenvalues > SINGULAR * known.eigenvalues[:, -1:]
    along = (score[:, None] @ known.eigenvectors)[:, 0]  # each score by the directions that are known without it
    along = np.divide(along, known.eigenvalues, out=np.zeros_like(along), where=there)
    step = (known.eigenvectors @ along[:, :, None])[:, :, 0]
    step[there.sum(1) < (every > SINGULAR * every[-1]).sum()] = np.nan
    return fit.coefficients - step @ fit.matrix.back.T


def average_difference(
    fit: LogitFit, column: int, step: float, flag: bool, *, shift: float = 0.0, weights: Array | None = None
) -> tuple[float, Array, Array]:
    """The average marginal effect of a column for a step of it: estimate, each row's part, gradient by coefficients.

    For a number: the derivative averaged over the rows, times the step. For a flag: the average difference of the
    fitted shares at 1 and at 0. `column` counts from the first column of x. `shift` is added to the constant, and
    `weights` (n,) count the rows: both for a table in which leavers are over-represented. Source: Long & Freese (2014).
    """
    k, told = column + 1, fit.predictor + shift if shift else fit.predictor
    counted, size = (1.0, len(told)) if weights is None else (weights, weights.sum())
    if flag:
        none = told - fit.coefficients[k] * fit.matrix.own(column)
        (p0, slope0), (p1, slope1) = (share_and_slope(fit.link, x) for x in (none, none + fit.coefficients[k]))
        each = p1 - p0
        gradient = fit.matrix.summed(counted * (slope1 - slope0)) / size
        gradient[k] = (counted * slope1).sum() / size
    else:
        share, slope = share_and_slope(fit.link, told) if shift else fit.share_and_slope
        each = step * fit.coefficients[k] * slope
        gradient = step * fit.coefficients[k] * fit.matrix.summed(counted * bend(fit.link, told, share, slope)) / size
        gradient[k] += step * (counted * slope).sum() / size
    return float((counted * each).sum() / size), each, gradient


def average_without(
    each: Array, gradient: Array, moved: Array, clusters: NDArray[np.intp], weights: Array | None = None
) -> Array:
    """An average marginal effect without each cluster (G,): its rows' parts left out, the coefficients moved.

    `moved` (G, k) is how far the coefficients move; the effect follows them to first order.
    """
    size = np.bincount(clusters, weights=weights)
    parts = np.bincount(clusters, weights=each if weights is None else weights * each)
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing is left without the only cluster
        return (parts.sum() - parts) / (size.sum() - size) + moved @ gradient
