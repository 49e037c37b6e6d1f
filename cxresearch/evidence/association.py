"""Association: covariance matrices in, correlations and reliabilities out. Matrices may come in stacks (…, p, p)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROUNDING = 1e-10  # what others leave of a column's variance; below it the column says the same twice
PLAIN = 1e4  # columns that are so far from saying the same twice lose no digit that counts by a plain inverse


def pearson(covariance: Array, x: int, y: int) -> Array:
    """Pearson's correlation of two columns from a covariance matrix (…, p, p)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariance[..., x, y] / np.sqrt(covariance[..., x, x] * covariance[..., y, y])


def partial(covariance: Array, x: int, y: int, given: Sequence[int]) -> Array:
    """Partial correlation of two columns with others held fixed, from a covariance matrix (…, p, p)."""
    return pearson(residual(covariance, x, y, given), 0, 1)


def semipartial(covariance: Array, x: int, y: int, given: Sequence[int]) -> Array:
    """Semi-partial (part) correlation: of x as it is with y, from which alone others are taken out; (…, p, p).

    Its square is what y adds to R² of x. Source: Cohen, Cohen, West & Aiken (2003), section 3.3.
    """
    left = residual(covariance, x, y, given)
    with np.errstate(invalid="ignore", divide="ignore"):
        return left[..., 0, 1] / np.sqrt(covariance[..., x, x] * left[..., 1, 1])


def residual(covariance: Array, x: int, y: int, given: Sequence[int]) -> Array:
    """Covariances (…, 2, 2) of what is left of two columns when others are held fixed; NaN of one of which nothing is left.

    S_ab - S_ag S_gg⁺ S_gb; the pseudo-inverse drops controls that say the same twice.
    Source: Anderson, An Introduction to Multivariate Statistical Analysis, section 2.5.
    """
    pair, held = np.array([x, y]), np.array(given, dtype=np.intp)
    own = covariance[..., pair[:, None], pair]
    if not len(held):
        return own
    cross, middle = covariance[..., pair[:, None], held], covariance[..., held[:, None], held]
    inverse = _inverse(middle)
    with np.errstate(invalid="ignore"):
        left = own - cross @ inverse @ np.swapaxes(cross, -1, -2)
        before, after = (np.diagonal(s, axis1=-2, axis2=-1) for s in (own, left))
        gone = ~(after > ROUNDING * before)  # and what rounding makes of it would correlate somehow
    return np.where(gone[..., :, None] | gone[..., None, :], np.nan, left)


def directions(covariance: Array, columns: Sequence[int]) -> int:
    """How many of some columns there are in effect: without those that do not vary or say what others say."""
    varies = [c for c in columns if covariance[c, c] > 0]
    if not varies:
        return 0
    scale = np.sqrt(np.diag(covariance)[varies])
    roots = np.linalg.eigvalsh(covariance[np.ix_(varies, varies)] / np.outer(scale, scale))
    return int((roots > ROUNDING * roots[-1]).sum())


def _inverse(middle: Array) -> Array:
    """The pseudo-inverse of matrices (…, k, k) of what is held fixed."""
    # matrices of no rows are NaN: they stay so in what is left of the pair, but no inverse may meet them
    held = np.nan_to_num(middle)
    with contextlib.suppress(np.linalg.LinAlgError):
        inverse = np.linalg.inv(held)
        if np.abs(held).max(initial=0) * np.abs(inverse).max(initial=0) < PLAIN:  # mostly nothing is said twice
            return np.asarray(inverse, dtype=float)
    return np.asarray(np.linalg.pinv(held, rcond=ROUNDING, hermitian=True), dtype=float)


def alpha(covariance: Array, items: Sequence[int]) -> Array:
    """Cronbach's alpha of items from their covariance matrix (…, p, p), in own units of the items."""
    block = covariance[..., np.ix_(items, items)[0], np.ix_(items, items)[1]]
    k = len(items)
    with np.errstate(invalid="ignore", divide="ignore"):
        return k / (k - 1) * (1 - np.trace(block, axis1=-2, axis2=-1) / block.sum((-2, -1)))
