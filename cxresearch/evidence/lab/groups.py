"""Groups: two or more independent groups compared, by their means, their ranks and their counts.

By hand: Welch's test, Hedges' g and the share of variance are a few lines from the moments that a database gives, where libraries want rows; tests of rows and counts are SciPy's and statsmodels'.
Witness: R's t.test, oneway.test, effectsize 0.8 (cohens_d, hedges_g, rank_biserial, cramers_v), prop.test and survey's Wald test, in the reference and in tests/witness/scores.R.
Delete when: statsmodels gives intervals of standardised differences and of Cramér's V from counts, means and variances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from cxresearch.evidence import inference, proportions
from cxresearch.evidence.inference import LEVEL, Interval

Array = NDArray[np.float64]


FAR = 1000.0  # a t beyond which only the spread of the deviation matters


class Group(NamedTuple):
    """What a comparison of means needs of a group: its size, mean and variance (divided by n - 1)."""

    n: float
    mean: float
    variance: float

    @classmethod
    def of(cls, values: Array) -> Group:
        """The group of these values (n,)."""
        return cls(len(values), float(values.mean()), float(values.var(ddof=1)))


class Test(NamedTuple):
    """A test: its statistic, degrees of freedom (none, one, or above and below) and p-value."""

    statistic: float
    df: tuple[float, ...]
    p_value: float


def welch(one: Group, other: Group, level: float = LEVEL) -> Interval:
    """The difference of two means where variances differ, t with Satterthwaite's degrees of freedom. Source: Welch (1947)."""
    parts = one.variance / one.n, other.variance / other.n
    if min(one.n, other.n) < 2 or not sum(parts) > 0:
        return Interval(one.mean - other.mean)
    df = sum(parts) ** 2 / (parts[0] ** 2 / (one.n - 1) + parts[1] ** 2 / (other.n - 1))
    return inference.wald(one.mean - other.mean, math.sqrt(sum(parts)), df, level)


def hedges_g(one: Group, other: Group, level: float = LEVEL, *, corrected: bool = True) -> Interval:
    """The difference of two means in pooled standard deviations, with the interval of the noncentral t.

    Without `corrected` it is Cohen's d, which is too large in small groups. Source: Hedges (1981); Smithson (2003).
    """
    df = one.n + other.n - 2
    pooled = ((one.n - 1) * one.variance + (other.n - 1) * other.variance) / df if df > 0 else 0.0
    if not pooled > 0:
        return inference.NOTHING
    small = (
        math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2) if corrected and df > 1 else 1.0
    )
    d, root = (one.mean - other.mean) / math.sqrt(pooled), math.sqrt(1 / one.n + 1 / other.n)
    sign, t = (-1.0, -d / root) if d < 0 else (1.0, d / root)

    def end(tail: float) -> float:
        # the noncentrality is t times a chi less a normal: so far out it lies, and elsewhere nctdtr may be NaN
        near = [
            t * math.sqrt(float(stats.chi2.ppf(p, df)) / df) + z for p, z in ((1e-5, -5), (1 - tail, 0), (1 - 1e-5, 5))
        ]
        if t > FAR:
            return sign * small * root * near[1]
        gap = optimize.brentq(lambda c: special.nctdtr(df, c, t) - tail, near[0], near[2], xtol=1e-12)
        return sign * small * root * float(gap)

    low, high = sorted(end(tail) for tail in (0.5 + level / 2, 0.5 - level / 2))
    return Interval(small * d, conf_low=low, conf_high=high)


def between(groups: Sequence[Group], test: Test, level: float = LEVEL) -> Interval:
    """The share of variance that lies between groups (η²), with the p-value and the noncentral interval of a test.

    The test's F may be Welch's or a clustered Wald's: its noncentrality is read with the n that F and η² imply.
    Source: Smithson (2003), chapter 4.
    """
    n, mean, variance = np.array(groups, dtype=float).T
    outside = float((n * (mean - n @ mean / n.sum()) ** 2).sum())
    inside = float((np.maximum(n - 1, 0) * np.nan_to_num(variance)).sum())
    if not inside + outside > 0:
        return inference.NOTHING
    eta2 = outside / (inside + outside)
    if not (inside > 0 and outside > 0 and math.isfinite(test.statistic)):
        return Interval(eta2)
    per = test.statistic * test.df[0] / (outside / inside)

    ends = _noncentral(lambda c: special.ncfdtr(*test.df, c, test.statistic), test.statistic * test.df[0], level)
    if ends is None:
        return Interval(eta2, p_value=test.p_value)
    low, high = (c / (c + per) for c in ends)
    return Interval(eta2, None, None, min(low, eta2), max(high, eta2), test.p_value)


def _noncentral(below: Callable[[float], float], near: float, level: float) -> tuple[float, float] | None:
    """The two noncentralities at which the distribution `below` leaves the tails of a level; the lower is 0 where none does.

    None where the statistic is smaller than chance alone makes it: then no noncentrality is its upper end. Sought here
    because the inverses in SciPy (and statsmodels with them) are off in the third digit.
    """

    def gap(c: float, tail: float) -> float:
        return float(np.nan_to_num(below(c))) - tail  # far out it is zero, and given as NaN

    def far(tail: float) -> float:
        """A noncentrality beyond the one that leaves a tail: of few clusters it lies many times the statistic out."""
        found = 4 * near + 50
        while gap(found, tail) > 0:
            found *= 2
        return found

    low, high = (
        float(optimize.brentq(gap, 0.0, far(tail), (tail,), xtol=1e-10)) if gap(0.0, tail) > 0 else 0.0
        for tail in (0.5 + level / 2, 0.5 - level / 2)
    )
    return (low, high) if high > 0 else None


def one_way(groups: Sequence[Group], *, equal_variances: bool = False) -> Test:
    """Whether several means are the same: Welch's F, or the classical one. Source: Welch (1951)."""
    from statsmodels.stats.oneway import anova_generic

    n, mean, variance = np.array(groups, dtype=float).T
    if n.min() < 2 or not variance.min() > 0:
        return Test(math.nan, (), math.nan)
    found = anova_generic(mean, variance, n, use_var="equal" if equal_variances else "unequal")
    return Test(float(found.statistic), (float(found.df_num), float(found.df_denom)), float(found.pvalue))


def wald_test(means: Array, left_out: Array) -> Test:
    """Whether several means are the same where rows are clustered: F from their jackknife covariance.

    `means` (k,), `left_out` (B, k) without each block. F = (B - k + 1) / ((B - 1)(k - 1)) d'V⁻¹d of the k - 1
    differences d, on k - 1 and B - k + 1 degrees of freedom. Source: Korn & Graubard (1990).
    """
    blocks, q = len(left_out), len(means) - 1
    df = blocks - q
    if df < 1 or not np.isfinite(left_out).all():
        return Test(math.nan, (), math.nan)
    moved = (left_out[:, 1:] - left_out[:, :1]) - (left_out[:, 1:] - left_out[:, :1]).mean(0)
    covariance = (blocks - 1) / blocks * moved.T @ moved
    if np.linalg.matrix_rank(covariance, hermitian=True) < q:
        return Test(math.nan, (), math.nan)
    gaps = means[1:] - means[0]
    statistic = df / ((blocks - 1) * q) * float(gaps @ np.linalg.solve(covariance, gaps))
    return Test(statistic, (float(q), float(df)), float(stats.f.sf(statistic, q, df)))


@dataclass(frozen=True)
class Crosstab:
    """Pearson's test of a table (r, c) of counts, its expected counts and standardised residuals, and Cramér's V."""

    test: Test
    expected: Array
    residuals: Array
    v: Interval
    v_corrected: float
    contingency: float


def crosstab(counts: Array, level: float = LEVEL) -> Crosstab | None:
    """Whether the columns of a table of counts of independent rows differ by its rows; None where one is all there is.

    V has the interval of the noncentral chi-square; `v_corrected` takes off what chance alone would give.
    Source: Cramér (1946); Smithson (2003); Bergsma (2013); Agresti (2013), section 3.3, for the residuals.
    """
    counts = np.asarray(counts, dtype=float)
    counts = counts[np.ix_(counts.sum(1) > 0, counts.sum(0) > 0)]
    if min(counts.shape, default=0) < 2:
        return None
    found = stats.chi2_contingency(counts, correction=False)
    chi2, df, n = float(found.statistic), int(found.dof), counts.sum()
    free = np.outer(1 - counts.sum(1) / n, 1 - counts.sum(0) / n)
    least = min(counts.shape) - 1

    v = math.sqrt(chi2 / (n * least))
    rows, columns = (k - (k - 1) ** 2 / (n - 1) for k in counts.shape)
    corrected = math.sqrt(max(0.0, chi2 / n - df / (n - 1)) / min(rows - 1, columns - 1))
    ends = _noncentral(lambda c: special.chndtr(chi2, df, c), chi2, level)
    interval = Interval(v, p_value=float(found.pvalue))
    if ends is not None:
        low, high = (math.sqrt(c / (n * least)) for c in ends)
        interval = Interval(v, None, None, min(low, v), min(max(high, v), 1.0), interval.p_value)
    residuals = (counts - found.expected_freq) / np.sqrt(found.expected_freq * free)
    test = Test(chi2, (float(df),), float(found.pvalue))
    return Crosstab(test, found.expected_freq, residuals, interval, corrected, math.sqrt(chi2 / (chi2 + n)))


def cliffs_delta(one: Array, other: Array, level: float = LEVEL) -> Interval:
    """How much more often a value of one group (n,) is above one of the other (m,) than below, with Mann and Whitney's test.

    Fisher's z with the error of R's rank_biserial; normal p-value with continuity correction. Source: Cliff (1993).
    """
    n, m = len(one), len(other)
    found = stats.mannwhitneyu(one, other, method="asymptotic")
    delta = 2 * float(found.statistic) / (n * m) - 1
    if abs(delta) == 1:
        return Interval(delta, p_value=float(found.pvalue))
    half = float(stats.norm.ppf(0.5 + level / 2)) * math.sqrt((n + m + 1) / (3 * n * m))
    middle = math.atanh(delta)
    return Interval(delta, None, None, math.tanh(middle - half), math.tanh(middle + half), float(found.pvalue))


def shares_compared(events: Sequence[int], of: Sequence[int], level: float = LEVEL) -> dict[str, Any] | None:
    """Two independent shares: their difference (Newcombe's interval), pooled z, Yates, Fisher, h, odds and risk ratio.

    None where nobody, or everybody, of both had the event; ratios are infinite where a group has none. Source: Newcombe (1998b); statsmodels' and SciPy's tests, which are R's.
    """
    from statsmodels.stats.contingency_tables import Table2x2
    from statsmodels.stats.proportion import proportion_effectsize, proportions_ztest

    if sum(events) in (0, sum(of)):
        return None
    shares = [proportions.share(x, n, level=level) for x, n in zip(events, of, strict=True)]
    counts = np.array([events, np.subtract(of, events)]).T
    z, p = proportions_ztest(np.asarray(events), np.asarray(of))
    yates, table = stats.chi2_contingency(counts, correction=True), Table2x2(counts, shift_zeros=False)
    with np.errstate(divide="ignore"):
        ratios = [float(x) for x in (table.oddsratio, table.log_oddsratio_se, table.riskratio)]
    return {
        "difference": proportions.difference(*shares),
        "pooled": Test(float(z), (), float(p)),
        "yates": Test(float(yates.statistic), (1.0,), float(yates.pvalue)),
        "fisher_p": float(stats.fisher_exact(counts).pvalue),
        "cohen_h": float(proportion_effectsize(shares[0].estimate, shares[1].estimate)),
        **dict(zip(("odds_ratio", "log_odds_error", "risk_ratio"), ratios, strict=True)),
    }
