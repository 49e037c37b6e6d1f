"""Proportions: shares and net scores of counted answers with their intervals, and differences of independent ones."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from scipy import optimize, stats

from cxresearch.evidence.inference import LEVEL, NOTHING, Interval, share_interval, wald

ShareMethod = Literal["wilson", "wilson-cc", "agresti-coull", "wald", "exact", "jeffreys", "bayes", "logit"]
NetMethod = Literal["add-three", "wald", "score"]


def share(events: float, n: int, method: ShareMethod = "wilson", level: float = LEVEL) -> Interval:
    """The share of n independent answers with one of eight intervals; `wilson` is what the verbs give.

    wilson and its form with continuity correction (R's prop.test), agresti-coull and wald (both may leave 0 to 1),
    exact (Clopper-Pearson), jeffreys (equal tails) and bayes (highest density, posterior mean) with the Beta(½, ½) prior,
    logit (exact where nobody or everybody). Source: Newcombe (1998a); Brown, Cai & DasGupta (2001); R's binom.
    """
    if n < 1:
        return NOTHING
    from statsmodels.stats.proportion import proportion_confint

    p, z, alpha = events / n, float(stats.norm.ppf(0.5 + level / 2)), 1 - level
    if method == "wilson":
        return share_interval(p, n, None, None, level)
    if method == "wilson-cc":
        half = 0.5 / n
        low, high = (share_interval(min(max(x, 0.0), 1.0), n, None, None, level) for x in (p - half, p + half))
        return Interval(
            p, conf_low=0.0 if p <= half else low.conf_low, conf_high=1.0 if p >= 1 - half else high.conf_high
        )
    if method in ("wald", "agresti-coull"):
        more = z * z if method == "agresti-coull" else 0.0
        middle = (events + more / 2) / (n + more)
        half = z * math.sqrt(middle * (1 - middle) / (n + more))
        return Interval(p, conf_low=middle - half, conf_high=middle + half)
    if method == "bayes":
        posterior = stats.beta(events + 0.5, n - events + 0.5)
        return Interval(float(posterior.mean()), None, None, *_densest(posterior, level))
    if method == "logit" and 0 < events < n:
        ends = wald(math.log(p / (1 - p)), 1 / math.sqrt(n * p * (1 - p)), None, level)
        bottom, top = (1 / (1 + math.exp(-float(end or 0))) for end in (ends.conf_low, ends.conf_high))
        return Interval(p, conf_low=bottom, conf_high=top)
    name = "jeffreys" if method == "jeffreys" else "beta"
    low, high = proportion_confint(events, n, alpha, name)
    return Interval(p, conf_low=float(low), conf_high=float(high))


def _densest(posterior: stats.rv_continuous, level: float) -> tuple[float, float]:
    """The shortest interval that holds `level` of a Beta distribution: its ends are equally dense, or one is 0 or 1."""
    a, b = posterior.args
    if a < 1 or b < 1:
        return (0.0, float(posterior.ppf(level))) if a < 1 else (float(posterior.ppf(1 - level)), 1.0)

    def gap(tail: float) -> float:
        low, high = posterior.ppf(tail), posterior.ppf(tail + level)
        return float((a - 1) * np.log(low / high) + (b - 1) * np.log((1 - low) / (1 - high)))

    tail = optimize.brentq(gap, 1e-300, (1 - level) * (1 - 1e-12), xtol=1e-16, rtol=1e-14)
    return float(posterior.ppf(tail)), float(posterior.ppf(tail + level))


def net_score(
    promoters: float, detractors: float, n: float, method: NetMethod = "add-three", level: float = LEVEL
) -> Interval:
    """The net score of n independent answers: promoters minus detractors as a share of all, from -1 to 1.

    The standard error is that of a multinomial, sqrt((p + d - (p - d)²) / n); with n - 1 below the root it is larger
    by a factor of sqrt(n / (n - 1)). `wald` takes it as it is. `add-three`, what the verbs give, adds three answers
    first (¾, 1½, ¾): it has a width also where all answer alike, and from 10 answers on covers the truth in 93 to 99 %
    of samples, where wald falls to 65 %. `score` inverts the test of Tango, promoters and detractors as the two kinds
    of disagreement: it covers as well, and is a little wider.
    Source: Rocks (2016); Bonett & Price (2012); Tango (1998).
    """
    if n <= 0:
        return NOTHING
    score, error = _multinomial(promoters / n, detractors / n, n)
    if method == "score":
        return Interval(score, error, None, *_tango(promoters, detractors, n, level))
    added = 3.0 if method == "add-three" else 0.0
    middle, half = _multinomial(
        (promoters + added / 4) / (n + added), (detractors + added / 4) / (n + added), n + added
    )
    half *= float(stats.norm.ppf(0.5 + level / 2))
    low, high = (max(-1.0, middle - half), min(1.0, middle + half)) if added else (middle - half, middle + half)
    return Interval(score, error, None, min(low, score), max(high, score), None)


def _multinomial(p: float, d: float, n: float) -> tuple[float, float]:
    return p - d, math.sqrt(max(p + d - (p - d) ** 2, 0.0) / n)


def _tango(b: float, c: float, n: float, level: float) -> tuple[float, float]:
    """The differences (b - c) / n that a score test does not reject; the share of c is the likeliest at each."""

    def z(difference: float) -> float:
        half = -b - c + (2 * n - b + c) * difference
        root = half**2 + 8 * n * c * difference * (1 - difference)
        q = (math.sqrt(max(root, 0.0)) - half) / (4 * n)
        variance = n * (2 * q + difference * (1 - difference))
        return (b - c - n * difference) / math.sqrt(max(variance, 1e-300))

    quantile, score = float(stats.norm.ppf(0.5 + level / 2)), (b - c) / n
    edge = 1 - 1e-12
    low = optimize.brentq(lambda x: z(x) - quantile, -edge, score, xtol=1e-14) if z(-edge) > quantile else -1.0
    high = optimize.brentq(lambda x: z(x) + quantile, score, edge, xtol=1e-14) if z(edge) < -quantile else 1.0
    return float(low), float(high)


def difference(one: Interval, other: Interval) -> Interval:
    """The difference of two independent numbers from the interval of each: their arms squared and added.

    Of two Wilson intervals it is Newcombe's; of two normal ones the plain normal one. The p-value is normal, by the
    standard errors, where both have one. Source: Newcombe (1998b), method 10; Zou & Donner (2008).
    """
    if None in (one.estimate, one.conf_low, other.estimate, other.conf_low):
        return NOTHING if None in (one.estimate, other.estimate) else Interval(one.estimate - other.estimate)  # type: ignore[operator]
    (a, a_low, a_high), (b, b_low, b_high) = ((i.estimate, i.conf_low, i.conf_high) for i in (one, other))
    gap = a - b  # type: ignore[operator]
    low, high = gap - math.hypot(a - a_low, b_high - b), gap + math.hypot(a_high - a, b - b_low)  # type: ignore[operator]
    if one.std_error is None or other.std_error is None:
        return Interval(gap, conf_low=low, conf_high=high)
    error = math.hypot(one.std_error, other.std_error)
    return Interval(gap, error, None, low, high, wald(gap, error, None).p_value)


def finite(error: float, n: float, population: float) -> float:
    """A standard error where n of a known, finite population answered by lot: smaller by sqrt((N - n) / (N - 1)).

    No verb uses it: who answers is no lot, and a score is read as what customers like these would say, next month too.
    Source: Cochran, Sampling Techniques (1977), section 2.6.
    """
    return error * math.sqrt((population - n) / (population - 1))
