"""Stability: how far a distribution moved between two samples, and how well classes of a column tell two groups apart.

By hand: sums over at most a dozen classes; the Kolmogorov-Smirnov distance is SciPy's.
Witness: scipy.stats.entropy both ways, scipy.stats.mannwhitneyu, and draws for what chance gives (Yurdakul and Naranjo 2020).
Delete when: a package that is here anyway computes a population stability index with what chance alone gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri  # scipy.stats takes as long to import as all else

Array = NDArray[np.float64]
Counts = NDArray[np.integer] | Array
CLASSES = 10


def classes(values: Array) -> NDArray[np.intp]:
    """The class of each value (n,): by tenths, or one for each value where they are few; the last holds what lacks (NaN)."""
    lacks = np.isnan(values)
    known = np.sort(values[~lacks])
    edges = known[np.flatnonzero(np.diff(known)) + 1]
    if len(edges) >= CLASSES:
        edges = np.unique(known[len(known) * np.arange(1, CLASSES) // CLASSES])
    return np.where(lacks, len(edges) + 1, np.searchsorted(edges, values, side="right"))


def stability_index(now: Counts, before: Counts) -> float:
    """The population stability index of counts by class (k,): half an observation is added to each class."""
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (now, before))
    return float(((p - q) * np.log(p / q)).sum())


def index_by_chance(now: Counts, before: Counts, n: Counts, level: float) -> float:
    """The index that is passed with probability 1 - level where nothing moved; n (2,) observations stand behind the counts."""
    used = int(((now > 0) | (before > 0)).sum())
    return float(chdtri(used - 1, 1 - level) * (1 / n).sum()) if used > 1 else 0.0


def area(events: Counts, others: Counts) -> float:
    """The area under the curve of classes (k,), sorted by their share of events: .5 foretells nothing, 1 everything."""
    order = np.argsort(events / np.maximum(events + others, 1))
    e, o = events[order], others[order]
    below = np.cumsum(o) - o
    return float((e * (below + o / 2)).sum() / (e.sum() * o.sum())) if e.sum() and o.sum() else 0.5
