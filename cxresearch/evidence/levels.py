"""Levels: the scores of the levels of a segment against each other, with intervals that know of clusters."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from cxresearch.data.study import Study
from cxresearch.evidence import inference, multiplicity, proportions
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab import groups
from cxresearch.evidence.lab.groups import Group
from cxresearch.evidence.tallies import FULL, Tally, within
from cxresearch.finding import Finding, written
from cxresearch.table import row

ALL_PAIRS = 4  # of more levels each is compared with all the others together
AGAINST = " against "
CHANCE = 0.05


def level_rows(of: str, unit: str, by: str, levels: Tally) -> list[dict[str, Any]]:
    """The score of each level of a segment."""
    return [
        row(outcome=of, measure="score", model="answered", group=f"{by}={name}", unit=unit, n=levels.count(i),
            clusters=levels.clusters[i], **levels.only(i).interval(0).numbers())
        for i, name in enumerate(levels.cells)
    ]  # fmt: skip


def compared(of: str, unit: str, by: str, levels: Tally) -> list[dict[str, Any]]:
    """The differences between levels, and how much of the score's variance lies between them all.

    Rows of model `between`: difference, and for a mean its standardised size, of each pair (of more than four levels:
    of each against the others together), p-values adjusted over them; eta2, the share of the variance between levels,
    with the p-value of the test that all are equal; of independent net scores cramers_v of the three kinds of answer
    too. `levels` holds the levels that may be shown.
    """
    count = len(levels.cells)
    if count <= ALL_PAIRS:
        pairs = [levels.only(i, j) for i, j in itertools.combinations(range(count), 2)]
    else:
        pairs = [levels.against_others(i) for i in range(count)]
    made, gaps = [], [_difference(pair) for pair in pairs]
    adjusted = multiplicity.adjusted([gap.p_value for gap in gaps])
    for pair, gap, p_adjusted in zip(pairs, gaps, adjusted, strict=True):
        shown: dict[str, Any] = {
            "outcome": of,
            "model": "between",
            "term": AGAINST.join(pair.cells),
            "n": int(pair.n.sum()),
        }
        made.append(row(measure="difference", unit=unit, p_adjusted=p_adjusted, **shown, **gap.numbers()))
        if not levels.net:
            made.append(row(measure="effect_size", **shown, **_size(pair).numbers()))
    together: dict[str, Any] = {"outcome": of, "model": "between", "term": by, "n": int(levels.n.sum())}
    together["clusters"] = levels.all_clusters
    made.append(row(measure="eta2", **together, **_between(levels).numbers()))
    table = groups.crosstab(np.array([levels.bands(i) for i in range(count)])) if levels.net else None
    if table is not None and levels.independent:
        made.append(row(measure="cramers_v", **together, **table.v.numbers()))
    return made


def _group(levels: Tally, i: int) -> Group:
    return Group(levels.count(i), levels.mean(i)[0], float(levels.variance(i)[0]))


def _difference(pair: Tally) -> Interval:
    """Independent means: Welch's; independent net scores: from both intervals; clustered: jackknife over blocks."""
    if pair.independent and pair.net:
        return proportions.difference(pair.interval(0), pair.interval(1))
    if pair.independent:
        return groups.welch(_group(pair, 0), _group(pair, 1))
    (one, one_left), (other, other_left) = pair.mean(0), pair.mean(1)
    gap = inference.jackknife(one - other, one_left - other_left)
    if not gap.std_error:
        return Interval(gap.estimate)
    return within(gap, 2 * FULL if pair.net else math.inf)


def _size(pair: Tally) -> Interval:
    """Hedges' g; of clustered rows its jackknife."""
    if pair.independent:
        return groups.hedges_g(_group(pair, 0), _group(pair, 1))
    n, means, variances = zip(
        *((pair.counts(k), np.append(*pair.mean(k)), pair.variance(k)) for k in (0, 1)), strict=True
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        df = n[0] + n[1] - 2
        pooled = ((n[0] - 1) * variances[0] + (n[1] - 1) * variances[1]) / df
        g = (1 - 3 / (4 * df - 1)) * (means[0] - means[1]) / np.sqrt(pooled)
    return inference.jackknife(float(g[0]), g[1:]) if pooled[0] > 0 else inference.NOTHING


def _between(levels: Tally) -> Interval:
    every = [_group(levels, i) for i in range(len(levels.cells))]
    if levels.independent:
        return groups.between(every, groups.one_way(every))
    means = [levels.mean(i) for i in range(len(levels.cells))]
    test = groups.wald_test(np.array([m for m, _ in means]), np.column_stack([left for _, left in means]))
    return groups.between(every, test)


def told(study: Study, by: str, finding: Finding) -> str:
    """The widest difference between levels in a sentence, and whether chance alone could make it."""
    pairs = [r for r in finding.rows(measure="difference", model="between") if r["p_adjusted"] is not None]
    if not pairs:
        return ""
    top, name = max(pairs, key=lambda r: abs(r["estimate"])), study.term(by).label
    if top["p_adjusted"] >= CHANCE:
        return (
            f". Of {len(pairs)} difference{'s' * (len(pairs) > 1)} between levels of {name} none is told from zero"
            f"{' at a false-discovery rate of 5 %' * (len(pairs) > 1)}: the widest, {top['term']}, is {written(top)}"
        )
    return f". It differs by {name}: {top['term']} by {written(top)}"
