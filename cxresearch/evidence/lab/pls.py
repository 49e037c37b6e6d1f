"""Path models by partial least squares, from covariance matrices; matrices may come in stacks (…, p, p).

By hand: the Python packages divide all items by one pooled deviation without saying so, or crash on today's pandas.
Witness: seminr, semPLS and plspm on the ECSI mobile survey, the table of Tenenhaus et al. (2005), tests/witness/paths.R.
Delete when: a maintained package fits raw and standardised items, the consistent form, and takes a covariance matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
SCHEMES = ("path", "factorial", "centroid")
STEPS = 500  # about ten are needed; a model that still moves after these turns in a circle
STILL = 1e-12  # the largest change of a weight, in standard deviations of its score


@dataclass(frozen=True)
class PathModel:
    """A fitted path model of k constructs on p items, alone or one for each matrix of a stack.

    `weights` (…, p, k) make scores of variance 1 from the items as they entered, `loadings` (…, p, k) are correlations
    of items with scores (consistent: with what they measure), `correlations` (…, k, k) those of the constructs.
    `paths` and `total` (…, k, k) run from row to column, `r2` (…, k) is NaN for constructs that nothing leads to,
    `rho_a` (…, k) is Dijkstra and Henseler's reliability of the scores. Where weights do not come to rest, `converged` (…,) is
    False and every number NaN.
    """

    weights: Array
    loadings: Array
    correlations: Array
    paths: Array
    total: Array
    r2: Array
    rho_a: Array
    converged: Flags


def fit_paths(
    covariance: Array,
    blocks: Sequence[Sequence[int]],
    links: Flags,
    scheme: str = "path",
    *,
    consistent: bool = False,
    like: Array | None = None,
) -> PathModel:
    """The path model of a covariance matrix (…, p, p): mode A, scores of variance 1.

    `blocks` are the positions of each construct's items, `links` (k, k) says where a path runs from row to column,
    without cycles. A correlation matrix gives standardised items, a covariance matrix raw ones. `like` (p, k) are weights
    whose signs are kept, so that a resample is not turned around; else loadings add up to a positive number.
    `consistent` corrects correlations for the unreliability of the scores (of standardised items only).
    Sources: Lohmöller (1989), Latent Variable Path Modeling, chapter 2; Tenenhaus et al. (2005), sections 1.2-1.5;
    consistent: Dijkstra & Henseler (2015), MIS Quarterly 39, equations 3-5.
    """
    own = np.zeros((covariance.shape[-1], len(blocks)))
    for j, block in enumerate(blocks):
        own[list(block), j] = 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))[..., None]
        weights, moved = _of_variance_one(covariance, own / deviation), np.full(covariance.shape[:-2], np.inf)
        for _ in range(STEPS):
            inner = _inner(np.swapaxes(weights, -1, -2) @ covariance @ weights, links, scheme)
            new = _of_variance_one(covariance, own * (covariance @ weights @ inner))
            moved = np.nanmax(np.abs(new - weights) * deviation, axis=(-2, -1), initial=0.0)
            weights = new
            if not (moved > STILL).any():
                break
        weights = np.where((moved <= STILL)[..., None, None], weights, np.nan)
        loadings = own * (covariance @ weights) / deviation
        turned = (loadings if like is None else weights * like * deviation**2).sum(-2, keepdims=True)
        weights, loadings = (x * np.where(turned < 0, -1.0, 1.0) for x in (weights, loadings))
        correlations = np.swapaxes(weights, -1, -2) @ covariance @ weights
        rho_a = _rho_a(weights, deviation, own)
        if consistent:
            root = np.sqrt(rho_a)
            correlations = correlations / (root[..., :, None] * root[..., None, :])
            correlations[..., range(len(blocks)), range(len(blocks))] = 1.0
            loadings = weights * deviation * (root / ((weights * deviation) ** 2).sum(-2))[..., None, :]
        paths, r2 = _regressions(correlations, links)
        total = np.linalg.inv(np.eye(len(blocks)) - paths) - np.eye(len(blocks))
    return PathModel(weights, loadings, correlations, paths, total, r2, rho_a, np.asarray(moved <= STILL))


def _of_variance_one(covariance: Array, weights: Array) -> Array:
    """Weights of scores whose variance is 1."""
    return weights / np.sqrt(np.einsum("...pk,...pq,...qk->...k", weights, covariance, weights))[..., None, :]


def _inner(r: Array, links: Flags, scheme: str) -> Array:
    """How much each neighbour (row) counts for a construct (column) in the next round, (…, k, k)."""
    if scheme == "centroid":
        return np.sign(r) * (links | links.T)
    if scheme == "factorial":
        return r * (links | links.T)
    return _regressions(r, links)[0] + r * links.T  # regressions on those before, correlations with those after


def _regressions(r: Array, links: Flags) -> tuple[Array, Array]:
    """Standardised coefficients of each construct on those that lead to it, (…, k, k), and R² (…, k)."""
    paths, r2 = np.zeros_like(r), np.full(r.shape[:-1], np.nan)
    for j in np.flatnonzero(links.any(0)):
        before = np.flatnonzero(links[:, j])
        middle, cross = r[..., before[:, None], before], r[..., before, j]
        # no inverse may meet a matrix that does not exist: it stays NaN through `cross`
        weights = (np.linalg.pinv(np.nan_to_num(middle), hermitian=True) @ cross[..., None])[..., 0]
        paths[..., before, j], r2[..., j] = weights, (weights * cross).sum(-1)
    return paths, r2


def _rho_a(weights: Array, deviation: Array, own: Array) -> Array:
    """Reliability of scores from weights of items as they entered; 1 for a single item. Dijkstra & Henseler (2015), eq. 3."""
    square = (weights**2).sum(-2)
    common = 1 - ((weights * deviation) ** 2).sum(-2)  # of a score's variance what its items share
    return np.where(own.sum(0) == 1, 1.0, square**2 * common / (square**2 - (weights**4).sum(-2)))


def composite(loadings: Array, own: Sequence[int]) -> tuple[Array, Array]:
    """Composite reliability and average variance extracted of a block from its loadings (…, items).

    Source: Fornell & Larcker (1981), Journal of Marketing Research 18, equations 10 and 11.
    """
    of = loadings[..., list(own)]
    explained, unique = of.sum(-1) ** 2, (1 - of**2).sum(-1)
    return explained / (explained + unique), (of**2).mean(-1)


def performance(weights: Array, total: Array, deviation: Array, mean: Array) -> tuple[Array, Array]:
    """Mean of each construct on the scale of its items, (…, k), and total effects per point, (…, k, k).

    `weights` (…, p, k) are those of standardised items, `deviation` and `mean` (…, p) of items all put on one scale, such as
    0 to 100. Weights are taken to own units of the items and made to add up to 1. Source: Ringle & Sarstedt (2016), Industrial
    Management & Data Systems 116, section 3: unstandardised weights, not standardised ones.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        own = np.where(weights == 0, 0.0, weights / deviation[..., None])
        size = own.sum(-2)  # one standard deviation of a score is 1/size points
        means = (own * np.where(weights == 0, 0.0, mean[..., None])).sum(-2) / size
        return means, total * size[..., :, None] / size[..., None, :]
