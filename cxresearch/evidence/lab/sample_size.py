"""Sample sizes: how many answers a margin or a difference needs, and with what power a difference would be seen.

By hand: one line for a margin; powers are statsmodels', with the plan that a survey has in its own words.
Witness: R's power.prop.test and power.t.test, and the published 2,508 answers for ± 3 points of a net score.
Delete when: nobody plans a survey from here: the calls are statsmodels.stats.power and .proportion.
"""

from __future__ import annotations

import math

from scipy import stats

from cxresearch.evidence.inference import LEVEL

POWER = 0.8  # the probability to tell the difference in its own direction: the other tail is no success


def answers_for_margin(
    variance: float, margin: float, *, design_effect: float = 1.0, population: float = math.inf, level: float = LEVEL
) -> float:
    """Answers with which an interval reaches `margin` to each side, of values with this variance.

    A share has p (1 - p), a net score p + d - (p - d)², both between 0 and 1. `design_effect` is what clusters and weights cost;
    `population` is how many there are to ask by lot. Source: Cochran, Sampling Techniques (1977), chapter 4.
    """
    endless = design_effect * variance * (float(stats.norm.ppf(0.5 + level / 2)) / margin) ** 2
    return endless / (1 + (endless - 1) / population)


def answers_for_shares(one: float, other: float, power: float = POWER, alpha: float = 0.05) -> float:
    """Answers in each of two groups with which shares that differ so are told apart. Source: Fleiss (1981), chapter 3."""
    from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

    low, gap = min(one, other), abs(one - other)
    return float(samplesize_proportions_2indep_onetail(gap, low, power, alpha=alpha / 2, alternative="larger"))


def power_of_shares(one: float, other: float, n: float, alpha: float = 0.05) -> float:
    """The probability that n answers in each group tell shares apart that differ so."""
    from statsmodels.stats.proportion import power_proportions_2indep

    return float(
        power_proportions_2indep(abs(one - other), min(one, other), n, alpha=alpha / 2, alternative="larger").power
    )


def answers_for_means(
    difference: float, sd: float, power: float = POWER, alpha: float = 0.05, *, paired: bool = False
) -> float:
    """Answers in each group (or pairs, with the deviation of their differences) that tell a difference of means."""
    return float(_plan(paired).solve_power(abs(difference) / sd, power=power, alpha=alpha / 2, alternative="larger"))


def power_of_means(difference: float, sd: float, n: float, alpha: float = 0.05, *, paired: bool = False) -> float:
    """The probability that n answers in each group (or n pairs) tell a difference of means. Source: Cohen (1988)."""
    return float(_plan(paired).power(abs(difference) / sd, n, alpha / 2, alternative="larger"))


def _plan(paired: bool):  # type: ignore[no-untyped-def]  # statsmodels publishes no types
    from statsmodels.stats import power

    return power.TTestPower() if paired else power.TTestIndPower()
