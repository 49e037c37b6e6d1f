"""Fit indices: how far a covariance model is from the answers, from its chi² and that of independent answers.

A scaling factor above one says that the answers' tails stretch chi²; it enters CFI, TLI and RMSEA as the robust versions
of Brosseau-Liard & Savalei (2014) and Brosseau-Liard, Savalei & Li (2012). With factors of one they are the plain indices.

By hand: semopy divides RMSEA by N - 1 and has no SRMR; statsmodels has none of them.
Witness: R's lavaan on public tables and in tests/witness/measurement.R.
Delete when: statsmodels has confirmatory factor analysis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
CLOSE = 0.05  # an RMSEA of this or less is called close fit: Browne & Cudeck (1993)


@dataclass(frozen=True)
class FitIndices:
    """Chi² divided by its scaling factor, with df and p, and the indices made from it; RMSEA has a 90 % interval."""

    chi2: float
    df: int
    p_value: float
    cfi: float
    tli: float
    rmsea: float
    rmsea_low: float
    rmsea_high: float
    rmsea_close: float  # p-value of the hypothesis that RMSEA is at most CLOSE


def comparative(excess: float, apart: float) -> float:
    """CFI from what chi² is above df, of the model and of answers independent of each other. Source: Bentler (1990)."""
    most = max(apart, excess, 0.0)
    return 1 - max(excess, 0.0) / most if most > 0 else 1.0


def indices(
    chi2: float, df: int, apart: float, apart_df: int, n: int, scaling: float = 1.0, apart_scaling: float = 1.0
) -> FitIndices:
    """The indices of a model from its unscaled chi² and `apart`, that of answers independent of each other.

    Sources: Tucker & Lewis (1973); Steiger & Lind (1980), Browne & Cudeck (1993) for RMSEA, with N.
    """
    excess, apart_excess = chi2 - scaling * df, apart - apart_scaling * apart_df
    tli = 1 - (excess / df) / (apart_excess / apart_df) if df and apart_excess else 1.0
    scaled = chi2 / scaling

    def rmsea(noncentral: float) -> float:
        return math.sqrt(scaling * max(noncentral, 0.0) / (df * n)) if df else 0.0

    def noncentral_at(chance: float) -> float:
        """The noncentrality under which chi² lies below what was found with this chance."""
        if df == 0 or stats.chi2.cdf(scaled, df) < chance:
            return 0.0
        top = max(10.0, 4 * scaled)
        return float(optimize.brentq(lambda at: stats.ncx2.cdf(scaled, df, at) - chance, 1e-12, top, xtol=1e-10))

    close = stats.ncx2.sf(scaled, df, CLOSE**2 * n * df / scaling) if df else 1.0
    return FitIndices(
        scaled, df, float(stats.chi2.sf(scaled, df)) if df else 1.0, comparative(excess, apart_excess), tli,
        rmsea(scaled - df), rmsea(noncentral_at(0.95)), rmsea(noncentral_at(0.05)), float(close),
    )  # fmt: skip


def independence(covariance: Array, n: int) -> tuple[float, int]:
    """Chi² and df of the model in which no two answers (p, p) go together."""
    p = len(covariance)
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    return -n * float(np.linalg.slogdet(correlation)[1]), p * (p - 1) // 2


def srmr(covariance: Array, implied: Array) -> float:
    """Root mean square of the residual correlations, the diagonal included. Source: Bentler (1995), as lavaan."""
    scale = np.sqrt(np.diag(covariance))
    residual = (covariance - implied) / np.outer(scale, scale)
    return float(np.sqrt((residual[np.tril_indices(len(residual))] ** 2).mean()))


def log_likelihood(chi2: float, covariance: Array, n: int) -> float:
    """Log likelihood of normal answers under the model, from the covariance (p, p, divisor n) in own units."""
    p = len(covariance)
    return -n / 2 * (p * math.log(2 * math.pi) + float(np.linalg.slogdet(covariance)[1]) + p) - chi2 / 2
