"""Extraction: how many factors answers hold, and which answers load on which, without saying so beforehand.

By hand: statsmodels rotates but has no minres, parallel analysis, KMO or Bartlett's test; factor_analyzer is broken.
Witness: R's psych and GPArotation on public tables and in tests/witness/measurement.R.
Delete when: statsmodels has minres and parallel analysis.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
LEAST_ERROR = 0.005  # of an answer's variance, as R's psych


def eigenvalues(correlation: Array) -> Array:
    """Eigenvalues (…, p) of correlations (…, p, p), largest first."""
    return np.asarray(np.linalg.eigvalsh(correlation)[..., ::-1])


@lru_cache(maxsize=64)
def random_eigenvalues(n: int, p: int, *, draws: int, seed: int, quantile: float = 0.95) -> Array:
    """The eigenvalues (p,) that correlations of p unrelated normal answers of n people stay below: 95 in 100 times.

    Drawn by the Wishart distribution, so that the cost does not grow with n; n must exceed p.
    Source: Horn (1965), with Glorfeld's (1995) quantile in place of the mean.
    """
    drawn = np.atleast_3d(stats.wishart.rvs(df=n - 1, scale=np.eye(p), size=draws, random_state=seed))
    scale = np.sqrt(np.diagonal(drawn, axis1=-2, axis2=-1))
    found = np.asarray(np.quantile(eigenvalues(drawn / (scale[:, :, None] * scale[:, None, :])), quantile, axis=0))
    found.flags.writeable = False  # the next who asks gets the same
    return found


def effective_n(correlation: Array, left_out: Array, n: int) -> int:
    """How many independent people would know the correlations (p, p) as well as n people of these blocks do.

    From the jackknife variance of each correlation by those without one block each (b, p, p), against (1 - r²)²/n.
    """
    low, blocks = np.tril_indices(len(correlation), -1), len(left_out)
    if blocks < 2:
        return n
    variance = (blocks - 1) ** 2 / blocks * left_out[:, low[0], low[1]].var(0, ddof=1)
    inflation = float((variance * n / (1 - correlation[low] ** 2) ** 2).mean())
    return int(max(len(correlation) + 1, n / max(1.0, inflation)))


def factor_count(found: Array, random: Array) -> NDArray[np.intp]:
    """How many leading eigenvalues (…, p) exceed those of random answers (p,)."""
    return np.asarray(np.cumprod(found > random, axis=-1).sum(-1))


def minres(correlation: Array, m: int) -> Array:
    """Unrotated loadings (p, m) that leave the least squares of residual correlations.

    Source: Harman & Jones (1966), by the uniquenesses as R's psych: they are kept at or above LEAST_ERROR.
    """
    p = len(correlation)

    def loaded(errors: Array) -> Array:
        roots, vectors = np.linalg.eigh(correlation - np.diag(errors))
        return np.asarray(vectors[:, ::-1][:, :m] * np.sqrt(np.maximum(roots[::-1][:m], 0)))

    def residual(errors: Array) -> tuple[float, Array]:
        left = correlation - np.diag(errors)
        left = left - loaded(errors) @ loaded(errors).T
        return float((left**2).sum()) / 2, -np.diag(left)

    start = np.clip(1 / np.diag(np.linalg.pinv(correlation, hermitian=True)), LEAST_ERROR, 1.0)
    found = optimize.minimize(
        residual, start, jac=True, method="L-BFGS-B", bounds=[(LEAST_ERROR, 1.0)] * p,
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 2000, "maxfun": 20000},
    )  # fmt: skip
    loadings = loaded(found.x)
    return np.asarray(loadings * np.where(loadings.sum(0) < 0, -1.0, 1.0))


def rotate(loadings: Array, how: str) -> tuple[Array, Array]:
    """Rotated loadings (p, m) and correlations (m, m) of the factors, the factor that explains most first.

    `how` is oblimin (its quartimin, as R's GPArotation), or with Kaiser's normalisation varimax, or promax of it with power
    4, as R's stats.
    """
    m = loadings.shape[1]
    if m < 2:
        return loadings, np.eye(m)
    from statsmodels.multivariate.factor_rotation import rotate_factors

    length = np.ones((len(loadings), 1)) if how == "oblimin" else np.sqrt((loadings**2).sum(1, keepdims=True))
    criterion = "quartimin" if how == "oblimin" else "varimax"
    turned, by = rotate_factors(loadings / np.maximum(length, 1e-12), criterion, tol=1e-6, max_tries=5000)
    turned = turned * length
    phi = by.T @ by
    if how == "promax":
        by = np.linalg.lstsq(turned, turned * np.abs(turned) ** 3, rcond=None)[0]
        by = by * np.sqrt(np.diag(np.linalg.inv(by.T @ by)))
        turned, phi = turned @ by, np.linalg.inv(by.T @ by)
    signs = np.where(turned.sum(0) < 0, -1.0, 1.0)
    order = np.argsort(-np.diag(phi @ turned.T @ turned))
    return (turned * signs)[:, order], (phi * np.outer(signs, signs))[np.ix_(order, order)]


def sampling_adequacy(correlation: Array) -> tuple[float, Array]:
    """Kaiser, Meyer and Olkin's measure of all answers and of each (p,): how much of what two share all share."""
    inverse = np.linalg.inv(correlation)
    scale = np.sqrt(np.diag(inverse))
    partial = -inverse / np.outer(scale, scale)
    off = ~np.eye(len(correlation), dtype=bool)
    shared, own = np.where(off, correlation**2, 0).sum(1), np.where(off, partial**2, 0).sum(1)
    return float(shared.sum() / (shared.sum() + own.sum())), shared / (shared + own)


def sphericity(correlation: Array, n: int) -> tuple[float, int, float]:
    """Bartlett's (1951) chi², df and p-value of the hypothesis that no two answers go together."""
    p = len(correlation)
    chi2 = -(n - 1 - (2 * p + 5) / 6) * float(np.linalg.slogdet(correlation)[1])
    return chi2, p * (p - 1) // 2, float(stats.chi2.sf(chi2, p * (p - 1) // 2))
