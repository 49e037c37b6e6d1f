"""Confirmatory factor models: covariance matrices and which answer belongs to which score in, loadings and fit out.

Matrices come in units in which the answers vary by about one; factors have variance one. Groups may share loadings
(metric) and intercepts (scalar invariance). Maximum likelihood (Jöreskog 1969) by Fisher scoring; errors from the expected
information, or robust (Huber and White) with the test scaled as Yuan & Bentler (2000) and Mplus do.

By hand: semopy's RMSEA and AIC are off and it has no SRMR; statsmodels extracts factors but confirms none.
Witness: R's lavaan (ML, MLR, clusters, groups, DWLS) on public tables and in tests/witness/measurement.R.
Delete when: statsmodels has confirmatory factor analysis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]
SINGULAR = 1e-10  # an eigenvalue below it is rounding
PASSES, DONE = 100, 1e-10  # scoring stops where a further step moves no parameter by more
ROUNDING = 1e-13  # a discrepancy is not known closer
CHUNK = 20_000  # rows whose cross-products are held at once


@dataclass(frozen=True)
class Sample:
    """What a model is fitted to in one group: covariance (p, p) with divisor n, n, and means (p,) where they count."""

    covariance: Array
    n: int
    mean: Array | None = None


@dataclass(frozen=True)
class Layout:
    """Which parameter stands where in each group (first axis); -1 where a value is fixed."""

    loadings: Numbers  # (g, p, m)
    factors: Numbers  # (g, m, m), the lower triangle; a fixed variance is one
    errors: Numbers  # (g, p)
    intercepts: Numbers  # (g, p)
    means: Numbers  # (g, m)
    count: int


@dataclass(frozen=True)
class Fit:
    """A fitted model: parameters (q,), where they stand, chi² on df, and whether the search ended.

    `information` (q, q) is the expected one of one observation; n is that of all groups.
    """

    theta: Array
    layout: Layout
    samples: tuple[Sample, ...]
    chi2: float
    df: int
    converged: bool
    information: Array

    @property
    def n(self) -> int:
        """Observations of all groups."""
        return sum(sample.n for sample in self.samples)

    @property
    def covariance(self) -> Array:
        """Covariance of the parameters by the expected information, as lavaan's ML."""
        return np.asarray(np.linalg.pinv(self.information, hermitian=True)) / self.n

    def matrices(self, theta: Array | None = None, group: int = 0) -> tuple[Array, Array, Array]:
        """Loadings (p, m), factor covariances (m, m) and error variances (p,) of a group."""
        return _matrices(self.theta if theta is None else theta, self.layout, group)[:3]

    def implied(self, theta: Array | None = None, group: int = 0) -> Array:
        """The covariance (p, p) that the model implies."""
        loadings, factors, errors = self.matrices(theta, group)
        return loadings @ factors @ loadings.T + np.diag(errors)

    def standardised(self, theta: Array | None = None) -> Array:
        """Loadings (p, m) of the first group with answers and factors of variance one."""
        loadings, factors, errors = self.matrices(theta)
        return loadings / np.sqrt(((loadings @ factors) * loadings).sum(1) + errors)[:, None]

    def improper(self, names: Sequence[str]) -> list[str]:
        """What no people could have answered like: why the solution is improper, in words; empty where it is not."""
        why: list[str] = []
        for g in range(len(self.samples)):
            _, factors, errors = self.matrices(group=g)
            why += [f"{name} has a negative error variance" for name, e in zip(names, errors, strict=True) if e < -1e-9]
            if factors.size and np.linalg.eigvalsh(factors).min() < 1e-9:
                why.append("the correlations of the factors fit no people (not positive definite)")
        return list(dict.fromkeys(why))


def layout(pattern: NDArray[np.bool_], groups: int = 1, equal: str = "configural") -> Layout:
    """The parameters of a model in which answers (p) belong to factors (m) as `pattern` (p, m) says."""
    p, m = pattern.shape
    numbers = itertools.count()
    shapes = {"loadings": (p, m), "factors": (m, m), "errors": (p,), "intercepts": (p,), "means": (m,)}
    where = {name: np.full((groups, *shape), -1) for name, shape in shapes.items()}

    def free(name: str, g: int, mask: NDArray[np.bool_], shared: bool = False) -> None:
        where[name][g][mask] = where[name][0][mask] if shared and g else [next(numbers) for _ in range(mask.sum())]

    scalar, metric = equal == "scalar", equal in ("metric", "scalar")
    for g in range(groups):
        free("loadings", g, pattern, shared=metric)
        free("factors", g, np.tril(np.ones((m, m), dtype=bool), 0 if metric and g else -1))
        free("errors", g, np.ones(p, dtype=bool))
        if scalar:
            free("intercepts", g, np.ones(p, dtype=bool), shared=True)
            free("means", g, np.full(m, g > 0))
    return Layout(**where, count=next(numbers))


def fit(
    samples: Sequence[Sample], pattern: NDArray[np.bool_], *, equal: str = "configural", start: Array | None = None
) -> Fit:
    """The model in which answers belong to factors as `pattern` (p, m) says, by maximum likelihood.

    Raises LinAlgError where a covariance matrix is singular: the likelihood then has no maximum.
    """
    where = layout(pattern, len(samples), equal)
    for sample in samples:
        if np.linalg.eigvalsh(sample.covariance).min() < SINGULAR:
            raise np.linalg.LinAlgError("singular covariance matrix")
    theta = _start(samples, pattern, where) if start is None else start
    value, converged = _discrepancy(theta, where, samples), False
    for _ in range(PASSES):
        information = _information(theta, where, samples)
        step = -np.linalg.pinv(2 * information, hermitian=True) @ _slope(theta, where, samples)
        if converged := bool(np.abs(step).max() < DONE):
            break
        while not (now := _discrepancy(theta + step, where, samples)) <= value + ROUNDING:
            step = step / 2
        theta, value = theta + step, now
    n, p = sum(s.n for s in samples), len(pattern)
    moments = len(samples) * (p * (p + 1) // 2 + (p if equal == "scalar" else 0))
    information = information if converged else _information(theta, where, samples)
    return Fit(theta, where, tuple(samples), n * max(value, 0.0), moments - where.count, converged, information)


def robust(fit: Fit, values: Array, blocks: Numbers | None) -> tuple[Array, float]:
    """Covariance of the parameters (q, q) that needs no normal answers, and the factor that chi² is divided by.

    `values` (n, p) are the answers in the units of the fit; `blocks` (n,) their clusters, None where each row is one.
    The sandwich of observed information and cross-products of scores, summed within clusters with the factor
    G/(G - 1). The factor is NaN where it is not positive. Source: Yuan & Bentler (2000), as lavaan's MLR.
    """
    n, saturated = len(values), np.linalg.inv(fit.samples[0].covariance)
    inverse, slopes = np.linalg.inv(fit.implied()), _slopes(fit.theta, fit.layout, 0)[0]
    meat, trace, groups = np.zeros((fit.layout.count, fit.layout.count)), 0.0, 0
    for products, counts in _cross_products(values - values.mean(0), blocks):
        excess = inverse @ products @ inverse - counts[:, None, None] * inverse
        scores = np.einsum("cij,qij->cq", excess, slopes, optimize=True) / 2
        own = saturated @ products - counts[:, None, None] * np.eye(len(inverse))
        meat, trace = meat + scores.T @ scores / n, trace + float(np.einsum("cij,cji->", own, own)) / 2 / n
        groups += len(counts)

    def gradient(theta: Array) -> Array:
        return _slope(theta, fit.layout, fit.samples) / 2

    bread = np.linalg.pinv(slope_of(gradient, fit.theta), hermitian=True)
    factor = (trace - float(np.trace(meat @ bread))) / fit.df if fit.df else math.nan
    few = 1.0 if blocks is None else groups / (groups - 1) if groups > 1 else math.nan
    return bread @ meat @ bread / n * few, factor * few if factor * few > 0 else math.nan


def refitted(fit: Fit, covariances: Array) -> Array:
    """Parameters (b, q) of the model of one group on other covariances near by (b, p, p); NaN where the search does not end.

    Newton's steps with the curvature of the full solution, all at once: what the jackknife over blocks needs.
    """
    theta = np.repeat(fit.theta[None], len(covariances), axis=0)
    bread = np.linalg.pinv(slope_of(lambda at: _slope(at, fit.layout, fit.samples), fit.theta), hermitian=True)
    step = np.full(theta.shape, math.inf)
    for _ in range(PASSES):
        step = -_slope(theta, fit.layout, [Sample(covariances, 1)]) @ bread
        theta = theta + step
        if not np.abs(step).max(initial=0) > DONE:
            break
    return np.where(np.abs(step).max(-1, keepdims=True) < 1e-6, theta, math.nan)


def slope_of(function: Callable[[Array], Array], theta: Array) -> Array:
    """The derivatives (…, q) of an analytic function by imaginary steps: exact to rounding. Squire & Trapp (1998)."""
    tiny = 1e-30
    columns = [np.imag(function(theta + 1j * tiny * e)) / tiny for e in np.eye(len(theta))]
    return np.stack(columns, axis=-1) if columns else np.zeros((0, 0))


def errors_of(function: Callable[[Array], Array], fit: Fit, covariance: Array) -> Array:
    """Standard errors of a function of the parameters by the delta method, in its shape."""
    slope = slope_of(function, fit.theta)
    return np.asarray(np.sqrt(np.maximum(np.einsum("...q,qr,...r->...", slope, covariance, slope), 0)))


def _matrices(theta: Array, where: Layout, g: int) -> tuple[Array, Array, Array, Array, Array]:
    """Loadings, factor covariances, error variances, intercepts and factor means of a group, from parameters (…, q)."""
    filled = []
    for numbers in (where.loadings, where.factors, where.errors, where.intercepts, where.means):
        free = numbers[g] >= 0
        value = np.zeros((*theta.shape[:-1], *free.shape), theta.dtype)
        value[..., free] = theta[..., numbers[g][free]]
        filled.append(value)
    loadings, lower, errors, intercepts, means = filled
    lower = lower + np.diag((np.diag(where.factors[g]) < 0).astype(float))
    factors = lower + np.swapaxes(lower * (1 - np.eye(lower.shape[-1])), -1, -2)
    return loadings, factors, errors, intercepts, means


def _slopes(theta: Array, where: Layout, g: int) -> tuple[Array, Array]:
    """Derivatives of the implied covariance (q, p, p) and mean (q, p) of a group."""
    loadings, factors, _, _, means = _matrices(theta, where, g)
    p = len(loadings)
    by = np.zeros((where.count, p, p), dtype=loadings.dtype)
    mean = np.zeros((where.count, p), dtype=loadings.dtype)
    common = loadings @ factors
    for i, k in np.argwhere(where.loadings[g] >= 0):
        q = where.loadings[g, i, k]
        by[q, i, :] += common[:, k]
        by[q, :, i] += common[:, k]
        mean[q, i] += means[k]
    for k, j in np.argwhere(where.factors[g] >= 0):
        product = np.outer(loadings[:, k], loadings[:, j])
        by[where.factors[g, k, j]] += product if k == j else product + product.T
    answers = np.arange(p)
    by[where.errors[g], answers, answers] += 1
    if where.intercepts[g].min(initial=0) >= 0:
        mean[where.intercepts[g], answers] += 1
    for k in np.flatnonzero(where.means[g] >= 0):
        mean[where.means[g, k]] += loadings[:, k]
    return by, mean


def _apart(theta: Array, where: Layout, g: int, sample: Sample) -> tuple[Array, Array]:
    """The implied covariance (…, p, p), and the means less those implied (…, p)."""
    loadings, factors, errors, intercepts, means = _matrices(theta, where, g)
    implied = loadings @ factors @ np.swapaxes(loadings, -1, -2) + errors[..., None] * np.eye(errors.shape[-1])
    if sample.mean is None or where.intercepts.max(initial=-1) < 0:
        return implied, np.zeros_like(errors)
    return implied, sample.mean - intercepts - (loadings @ means[..., None])[..., 0]


def _discrepancy(theta: Array, where: Layout, samples: Sequence[Sample]) -> float:
    """Weighted over groups: log|Σ| - log|S| + tr(SΣ⁻¹) - p + (m - μ)'Σ⁻¹(m - μ); infinite where Σ is no covariance."""
    total, n = 0.0, sum(sample.n for sample in samples)
    for g, sample in enumerate(samples):
        implied, gap = _apart(theta, where, g, sample)
        if not np.isfinite(implied).all() or np.linalg.eigvalsh(implied).min() <= 1e-12:
            return math.inf
        both = np.linalg.solve(implied, sample.covariance + np.outer(gap, gap))
        # the logarithm of both determinants at once: no digits are lost where the model fits
        own = np.linalg.slogdet(np.linalg.solve(implied, sample.covariance))[1]
        total += sample.n / n * float(np.trace(both) - len(gap) - own)
    return total


def _slope(theta: Array, where: Layout, samples: Sequence[Sample]) -> Array:
    """Slope (…, q) of the discrepancy by parameters (…, q), of covariances (…, p, p)."""
    slope, n = np.zeros(theta.shape, theta.dtype), sum(sample.n for sample in samples)
    for g, sample in enumerate(samples):
        loadings, factors, _, _, means = _matrices(theta, where, g)
        implied, gap = _apart(theta, where, g, sample)
        inverse = np.linalg.inv(implied)
        residual = inverse @ (implied - sample.covariance - gap[..., :, None] * gap[..., None, :]) @ inverse
        pull = (inverse @ gap[..., None])[..., 0]
        between = np.swapaxes(loadings, -1, -2) @ residual @ loadings
        by = (
            (where.loadings, 2 * (residual @ loadings @ factors - pull[..., :, None] * means[..., None, :])),
            (where.factors, between * (2 - np.eye(factors.shape[-1]))),
            (where.errors, np.diagonal(residual, axis1=-2, axis2=-1)),
            (where.intercepts, -2 * pull),
            (where.means, -2 * (np.swapaxes(loadings, -1, -2) @ pull[..., None])[..., 0]),
        )
        for numbers, value in by:
            free = numbers[g] >= 0
            slope[..., numbers[g][free]] += sample.n / n * value[..., free]
    return slope


def _information(theta: Array, where: Layout, samples: Sequence[Sample]) -> Array:
    """Expected information (q, q) of one observation."""
    information, n = np.zeros((where.count, where.count)), sum(sample.n for sample in samples)
    for g, sample in enumerate(samples):
        inverse, (by, mean) = np.linalg.inv(_apart(theta, where, g, sample)[0]), _slopes(theta, where, g)
        own = np.flatnonzero(by.any((1, 2)) | mean.any(1))  # the others are of other groups
        by, mean = by[own], mean[own]
        weighted = inverse @ by
        turned = weighted.transpose(0, 2, 1).reshape(len(own), -1)
        products = weighted.reshape(len(own), -1) @ turned.T / 2 + mean @ inverse @ mean.T
        information[np.ix_(own, own)] += sample.n / n * products
    return information


def _start(samples: Sequence[Sample], pattern: NDArray[np.bool_], where: Layout) -> Array:
    """Where the search begins: each answer loads as it goes with the others of its factor."""
    theta = np.zeros(where.count)
    for g, sample in enumerate(samples):
        spread = np.diag(sample.covariance)
        theta[where.errors[g]] = spread / 2
        for k in range(pattern.shape[1]):
            at = np.flatnonzero(pattern[:, k])
            block = sample.covariance[np.ix_(at, at)]
            root, vectors = np.linalg.eigh(block)
            first = vectors[:, -1] * (1 if vectors[:, -1].sum() >= 0 else -1)
            theta[where.loadings[g, at, k]] = np.sign(first) * np.clip(
                np.abs(first) * math.sqrt(root[-1]), 0.3, 0.8 * np.sqrt(spread[at])
            )
        free = where.factors[g] >= 0
        theta[where.factors[g][free]] = (np.eye(pattern.shape[1]) * 0.7 + 0.3)[free]
        if sample.mean is not None and where.intercepts.max(initial=-1) >= 0 and g == 0:
            theta[where.intercepts[0]] = sample.mean
    return theta


def _cross_products(values: Array, blocks: Numbers | None) -> Iterator[tuple[Array, Array]]:
    """Cross-products (c, p, p) of centred rows with how many rows each holds: of blocks, or of single rows in chunks."""
    if blocks is not None:
        own = [values[blocks == b] for b in np.unique(blocks)]
        yield np.array([part.T @ part for part in own]), np.array([len(part) for part in own], dtype=float)
        return
    for part in np.array_split(values, max(1, len(values) // CHUNK)):
        yield part[:, :, None] * part[:, None, :], np.ones(len(part))
