"""Multiplicity: p-values of one family, adjusted for how many there are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# those that keep the chance of any false discovery, and what statsmodels calls them
ANY_FALSE = {"holm": "holm", "hochberg": "simes-hochberg", "hommel": "hommel", "bonferroni": "bonferroni"}
METHODS = (*ANY_FALSE, "BH", "BY")  # as R's p.adjust calls them


def adjusted(p_values: Sequence[float | None], method: str = "BH") -> list[float | None]:
    """Adjusted p-values over those that exist; missing ones (None, NaN) stay missing and do not count.

    Holm, Hochberg, Hommel and Bonferroni keep the chance of any false discovery, BH and BY the share of false ones
    (BY under any dependence). Source: as R's p.adjust; Wright (1992), Benjamini & Hochberg (1995), & Yekutieli (2001).
    """
    if method not in METHODS:
        raise ValueError(f"no adjustment {method!r}; it is one of {', '.join(METHODS)}")
    there = [i for i, p in enumerate(p_values) if p is not None and math.isfinite(p)]
    found: list[float | None] = [None] * len(p_values)
    if there:
        made = _of_known([float(p_values[i] or 0.0) for i in there], method)
        for i, p in zip(there, made, strict=True):
            found[i] = float(p)
    return found


def _of_known(p_values: list[float], method: str) -> Iterable[float]:
    if len(p_values) == 1:  # one question alone is adjusted for none
        return p_values
    if method in ("BH", "BY"):
        return _share_of_false(np.array(p_values), any_dependence=method == "BY")
    from statsmodels.stats.multitest import multipletests  # a second to import, for what few ask

    return multipletests(p_values, method=ANY_FALSE[method])[1]


def _share_of_false(p_values: Array, *, any_dependence: bool) -> Array:
    """By Benjamini & Hochberg, or & Yekutieli: the least n p / rank of all p-values that are not smaller.

    By hand, as SciPy's needs all of scipy.stats: half a second of the first answer.
    """
    order, n = np.argsort(p_values), len(p_values)
    ranks = np.arange(1, n + 1)
    of_rank = p_values[order] * n / ranks * ((1 / ranks).sum() if any_dependence else 1)
    found = np.empty(n)
    found[order] = np.minimum(np.minimum.accumulate(of_rank[::-1])[::-1], 1)
    return found
