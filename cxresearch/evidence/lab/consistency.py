"""Consistency: what the covariances of the answers behind one score say of how well they measure one thing.

By hand: pingouin rounds and has alpha alone; a dozen closed forms.
Witness: R's psych (alpha, KMO) and semTools (AVE, HTMT) on public tables and in tests/witness/measurement.R.
Delete when: a library that this project needs anyway has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxresearch.evidence.association import alpha

Array = NDArray[np.float64]
SINGULAR = 1e-10  # an eigenvalue below it is rounding: some answers add up to others


@dataclass(frozen=True)
class Composites:
    """What a one-factor model says of the sum of its answers: three omegas that differ, and the variance extracted."""

    implied: Array | float  # of the variance of the sum that the model implies: McDonald's omega, as semTools
    observed: Array | float  # of the variance of the sum that was observed
    standardised: Array | float  # of standardised answers: the composite reliability of Fornell & Larcker
    extracted: Array | float  # average variance extracted, of standardised answers
    extracted_own: Array | float  # the same in own units, as semTools


def composites(loadings: Array, errors: Array, variance: float) -> Composites:
    """Omega, composite reliability and AVE of answers with these loadings (k,) on one factor of variance one.

    `errors` (k,) are the error variances, `variance` that of the sum of the answers. Sources: McDonald (1999), page 89; Fornell &
    Larcker (1981). Complex parameters pass through, so that errors come by the delta method.
    """
    true, whole = loadings.sum() ** 2, loadings**2 + errors
    with np.errstate(invalid="ignore", divide="ignore"):
        common = (loadings / np.sqrt(whole)).sum() ** 2
        return Composites(
            true / (true + errors.sum()),
            true / variance,
            common / (common + (errors / whole).sum()),
            (loadings**2 / whole).mean(),
            (loadings**2).sum() / whole.sum(),
        )


def correlations(covariance: Array) -> Array:
    """Correlations (…, p, p) of covariances (…, p, p); NaN where an answer does not vary."""
    scale = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(covariance / (scale[..., :, None] * scale[..., None, :]))


def mean_between(covariance: Array, mine: list[int] | None = None, yours: list[int] | None = None) -> Array:
    """Mean correlation of the answers `mine` with `yours`, or of all with each other: (…,)."""
    r = correlations(covariance)
    if mine is None or yours is None:
        p = r.shape[-1]
        return np.asarray((r.sum((-2, -1)) - p) / (p * (p - 1)))
    return np.asarray(r[..., np.ix_(mine, yours)[0], np.ix_(mine, yours)[1]].mean((-2, -1)))


def item_total(covariance: Array, i: int, *, corrected: bool) -> Array:
    """Correlation of an answer with the sum of the others (corrected) or of all, from covariances (…, k, k)."""
    others = [j for j in range(covariance.shape[-1]) if j != i or not corrected]
    cross = covariance[..., i, others].sum(-1)
    whole = covariance[..., np.ix_(others, others)[0], np.ix_(others, others)[1]].sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(cross / np.sqrt(covariance[..., i, i] * whole))


def alpha_without(covariance: Array, i: int) -> Array:
    """Alpha of the answers but one (…,). Of two, as R's psych: the covariance over the variance of the one left."""
    others = [j for j in range(covariance.shape[-1]) if j != i]
    if len(others) == 1:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(covariance[..., 0, 1] / covariance[..., others[0], others[0]])
    return alpha(covariance, others)


def alpha_error(covariance: Array, n: int) -> float:
    """Standard error of alpha for normal answers that need not be parallel, from covariances (k, k).

    Source: Duhachek & Iacobucci (2004), as R's psych: with n, not n - 1.
    """
    k, total = len(covariance), covariance.sum()
    square, own = covariance @ covariance, np.trace(covariance)
    inner = total * (np.trace(square) + own**2) - 2 * own * square.sum()
    return math.sqrt(max(2 * k**2 / (total**3 * (k - 1) ** 2) * inner, 0.0) / n) if total > 0 else math.nan


def lambda6(covariance: Array) -> Array:
    """Guttman's lambda 6 of standardised answers (…,): one minus what the answers do not explain of each other.

    NaN where some answers add up to others, as those of fewer customers than answers do.
    """
    r = correlations(covariance)
    whole = np.isfinite(r).all((-2, -1)) & (np.linalg.eigvalsh(np.nan_to_num(r))[..., 0] > SINGULAR)
    inverse = np.linalg.inv(np.where(whole[..., None, None], r, np.eye(r.shape[-1])))
    unexplained = 1 / np.diagonal(inverse, axis1=-2, axis2=-1)
    return np.asarray(np.where(whole, 1 - unexplained.sum(-1) / r.sum((-2, -1)), np.nan))


def htmt(covariance: Array, mine: list[int], yours: list[int], *, geometric: bool = False) -> Array:
    """Heterotrait-monotrait ratio of two scores of at least two answers each (…,), of absolute correlations.

    Sources: Henseler, Ringle & Sarstedt (2015) with arithmetic means; Roemer, Schuberth & Henseler (2021) with geometric
    ones (HTMT2, what R's semTools gives unless asked otherwise).
    """
    r = np.abs(correlations(covariance))

    def mean(rows: list[int], columns: list[int]) -> Array:
        pairs = [(i, j) for i in rows for j in columns if i != j]
        found = r[..., [i for i, _ in pairs], [j for _, j in pairs]]
        return np.asarray(np.exp(np.log(found).mean(-1)) if geometric else found.mean(-1))

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(mean(mine, yours) / np.sqrt(mean(mine, mine) * mean(yours, yours)))
