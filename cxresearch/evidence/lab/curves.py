"""Curves: how many stay month by month, from tables of how many were there and how many left.

Arrays end in time: `there` (…, T) are those at risk just before each time, `left` (…, T) those who leave at it. Axes
before the last are groups, strata, or all but one block; every function works on all of them at once.

By hand: statsmodels' SurvfuncRight and CumIncidenceRight want a row per customer, no late entry, no block left out.
Witness: R's survival (survfit, survdiff) and survRM2 on lung, veteran and two telecom tables; statsmodels' survdiff.
Delete when: a library makes these from counts with late entry, and gives their standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
ROUNDING = 1e-9  # of a count
SAME = 1e-12  # a share that differs from a half by less is a half: the product of shares holds a rounding


@dataclass(frozen=True)
class Curve:
    """A share by time (T,) with its standard error and 95 % band; `df` is None where the quantile is normal's.

    `until` is the last time up to which anybody was there.
    """

    times: Array
    share: Array
    std_error: Array
    low: Array
    high: Array
    df: float | None
    until: float

    def at(self, time: float) -> dict[str, float | None]:
        """The share at a time, and its interval, as columns of a Finding; before the first time nobody has left."""
        i = int(np.searchsorted(self.times, time, side="right")) - 1
        if i < 0:
            return {"estimate": None}
        numbers = (self.share[i], self.std_error[i], self.low[i], self.high[i])
        told = [float(x) if np.isfinite(x) else None for x in numbers]
        return dict(zip(("estimate", "std_error", "conf_low", "conf_high"), told, strict=True)) | {"df": self.df}

    def quantile(self, share: float = 0.5) -> tuple[float | None, float | None, float | None]:
        """When this share is still there, and the interval: where the band first crosses it. As R's quantile.survfit.

        Where a curve is flat at the share: the middle of the flat part, which may end with who was seen longest. Of a
        log band that turns up again at its end R takes a later crossing.
        """
        found = [self._crosses(values, share) for values in (self.share, self.low, self.high)]
        return found[0], found[1], found[2]

    def _crosses(self, values: Array, share: float) -> float | None:
        below = np.flatnonzero(values <= share + SAME)  # where there is no band its values are NaN: never below
        if not len(below):
            return None
        first = below[0]
        flat = abs(values[first] - share) < SAME
        lower = np.flatnonzero(values < share - SAME)
        end = self.times[lower[0]] if len(lower) else self.until
        return float((self.times[first] + end) / 2 if flat else self.times[first])


def stay(there: Array, left: Array) -> Array:
    """Kaplan-Meier: the share that stays, (…, T). Source: Kaplan & Meier (1958); late entry: Lynden-Bell (1971)."""
    return np.asarray(np.cumprod(1 - _over(left, there), axis=-1))


def kaplan_meier(times: Array, there: Array, left: Array, kind: str = "log-log", without: Array | None = None) -> Curve:
    """The curve of those who stay, with Greenwood's error and a 95 % band of a kind: plain, log or log-log.

    `without` (B, T) are the curves without each block: then the error is the jackknife's, t with B - 1.
    Source: Greenwood (1926); Kalbfleisch & Prentice (2002), section 1.4; bands as R's survfit.
    """
    s = stay(there, left)
    until = float(times[there > ROUNDING].max(initial=-np.inf))
    if without is None:
        relative = np.sqrt(np.cumsum(_over(left, there * (there - left)), axis=-1))
        return _band(times, s, s * relative, kind, None, _over(relative, np.abs(_log(s))), until)
    error, on_scale = _jackknife(without), _jackknife(_log(-_log(without)))
    return _band(times, s, error, kind, float(len(without) - 1), on_scale, until)


def _band(times: Array, s: Array, error: Array, kind: str, df: float | None, on_log_log: Array, until: float) -> Curve:
    q = float(stats.norm.ppf(0.975) if df is None else stats.t.ppf(0.975, df))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if kind == "plain":
            low, high = s - q * error, s + q * error
        elif kind == "log":
            low, high = s * np.exp(-q * error / s), s * np.exp(q * error / s)
        else:
            low, high = (np.exp(_log(s) * np.exp(sign * q * on_log_log)) for sign in (1, -1))
    some = (s > 0) & (s < 1)  # nobody or everybody has left: their error is zero, and no interval is known
    low, high = (np.where(some, x, np.nan) for x in (np.maximum(low, 0), np.minimum(high, 1)))
    return Curve(times, s, np.where(some, error, np.nan), low, high, df, until)


def incidence(times: Array, there: Array, causes: Array, which: int, without: Array | None = None) -> Curve:
    """Aalen-Johansen: the share that left for one of K causes (K, T) by each time; band as of the log-log of 1 - share.

    `without` (B, T) are the shares without each block. Source: Aalen & Johansen (1978); the error by the delta method
    from multinomial leavings at each time, which is what R's survfit gives.
    """
    share, left = left_for(there, causes, which), causes.sum(0)
    before = np.concatenate([[1.0], stay(there, left)[:-1]])
    h, own = _over(left, there), _over(causes[which], there)
    error = np.zeros(len(times))
    for i in range(len(times)) if without is None else ():
        later = _over((share[i] - share[: i + 1]), 1 - h[: i + 1])  # what leaving at a time takes from those to come
        a, b = before[: i + 1] - later, -later
        hk, ho = own[: i + 1], (h - own)[: i + 1]
        spread = hk * a**2 + ho * b**2 - (hk * a + ho * b) ** 2
        error[i] = np.sqrt(max(_over(spread, there[: i + 1]).sum(), 0.0))
    stayed = 1 - share
    df = None if without is None else float(len(without) - 1)
    on_scale = _over(error, -stayed * _log(np.where(stayed > 0, stayed, 1.0)))
    if without is not None:
        error, on_scale = _jackknife(without), _jackknife(_log(-_log(1 - without)))
    until = float(times[there > ROUNDING].max(initial=-np.inf))
    flipped = _band(times, stayed, error, "log-log", df, on_scale, until)
    return Curve(times, share, flipped.std_error, 1 - flipped.high, 1 - flipped.low, df, until)


def left_for(there: Array, causes: Array, which: int) -> Array:
    """The share that left for one cause by each time (…, T), from causes (…, K, T)."""
    s = stay(there, causes.sum(-2))
    before = np.concatenate([np.ones((*s.shape[:-1], 1)), s[..., :-1]], axis=-1)
    return np.asarray(np.cumsum(before * _over(causes[..., which, :], there), axis=-1))


def restricted_mean(times: Array, there: Array, left: Array, start: float, until: float) -> tuple[Array, Array]:
    """Months stayed between two times, on average, and the standard error: both (…).

    The area under the curve. Source: Klein & Moeschberger (2003), section 4.5; as survRM2.
    """
    inside = (times >= start) & (times <= until)
    s = stay(there, left)[..., inside]
    edges = np.concatenate([[start], times[inside], [until]])
    pieces = np.concatenate([np.ones((*s.shape[:-1], 1)), s], axis=-1) * np.diff(edges)
    rest = np.cumsum(pieces[..., ::-1], axis=-1)[..., ::-1][..., 1:]  # the area still to come after each time
    d, n = left[..., inside], there[..., inside]
    return pieces.sum(-1), np.sqrt((rest**2 * _over(d, n * (n - d))).sum(-1))


@dataclass(frozen=True)
class LogRank:
    """Leavers of each group (G,) seen and expected, their weighted difference and its covariance (G, G)."""

    observed: Array
    expected: Array
    difference: Array
    covariance: Array

    def test(self, without: Array | None = None) -> tuple[float | None, float, float | None]:
        """Chi², degrees of freedom and p-value. `without` (B, G) are the differences without each block: Hotelling's."""
        groups = int((self.expected > 0).sum())
        df, covariance, blocks = float(groups - 1), self.covariance, 0
        if without is not None:
            blocks = len(without)
            moved = self.difference - without
            covariance = np.cov(moved, rowvar=False, bias=True) * blocks**2 / max(blocks - 1, 1)
        inverse = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
        chi2 = float(self.difference @ inverse @ self.difference)
        if df < 1 or not np.abs(covariance).max() > 0 or (without is not None and blocks <= df):
            return None, df, None
        if without is None:
            return chi2, df, float(stats.chi2.sf(chi2, df))
        return chi2, df, float(stats.f.sf(chi2 * (blocks - df) / (df * (blocks - 1)), df, blocks - df))


def log_rank(there: Array, left: Array, rho: float = 0.0) -> LogRank:
    """Whether groups leave alike, from tables (…, H, G, T) of H strata and G groups.

    Weights are the power rho of the share of all that stayed just before: 0 the log-rank test, 1 Peto and Peto's,
    which weighs early leaving. Source: Harrington & Fleming (1982); as R's survdiff.
    """
    n, d = there.sum(-2), left.sum(-2)
    weight, share, expected = _expected(there, left, rho)
    difference = (weight[..., None, :] * (left - expected)).sum((-3, -1))
    spread = weight**2 * _over(d * (n - d), n - 1)
    covariance = -np.einsum("...ht,...hgt,...hkt->...gk", spread, share, share)
    diagonal = np.einsum("...ht,...hgt->...g", spread, share)
    covariance = covariance + diagonal[..., None] * np.eye(diagonal.shape[-1])
    return LogRank(left.sum((-3, -1)), expected.sum((-3, -1)), difference, covariance)


def log_rank_difference(there: Array, left: Array, rho: float = 0.0) -> Array:
    """The weighted difference of a log-rank test alone (…, G): its covariance costs ten times as much."""
    weight, _, expected = _expected(there, left, rho)
    return np.asarray((weight[..., None, :] * (left - expected)).sum((-3, -1)))


def _expected(there: Array, left: Array, rho: float) -> tuple[Array, Array, Array]:
    """Weights (…, H, T), each group's share of those there and its leavers if all leave alike, both (…, H, G, T)."""
    n, d = there.sum(-2), left.sum(-2)
    weight = np.ones(n.shape)
    if rho:
        weight[..., 1:] = stay(n, d)[..., :-1] ** rho
    share = _over(there, n[..., None, :])
    return weight, share, share * d[..., None, :]


def _over(a: Array, b: Array) -> Array:
    """a / b, 0 where b is no count: not positive, or what rounding leaves of none when a block is taken away."""
    return np.asarray(np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b > ROUNDING))


def _log(value: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.log(value))


def _jackknife(without: Array) -> Array:
    """Standard errors (T,) from values without each block (B, T). Source: Efron & Tibshirani (1993), chapter 11."""
    blocks = len(without)
    if blocks < 2:
        return np.full(without.shape[1:], np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt((blocks - 1) / blocks * ((without - without.mean(0)) ** 2).sum(0)))
