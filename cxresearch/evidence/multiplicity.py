"""Multiplicity: p-values of one family, adjusted for how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

METHODS = {  # as R's p.adjust calls them, and as statsmodels does
    "holm": "holm",
    "hochberg": "simes-hochberg",
    "hommel": "hommel",
    "bonferroni": "bonferroni",
    "BH": "fdr_bh",
    "BY": "fdr_by",
}


def adjusted(p_values: Sequence[float | None], method: str = "BH") -> list[float | None]:
    """Adjusted p-values over those that exist; missing ones (None, NaN) stay missing and do not count.

    Holm, Hochberg, Hommel and Bonferroni keep the chance of any false discovery, BH and BY the share of false ones
    (BY under any dependence). Source: as R's p.adjust; Wright (1992), Benjamini & Hochberg (1995), & Yekutieli (2001).
    """
    from statsmodels.stats.multitest import multipletests

    if method not in METHODS:
        raise ValueError(f"no adjustment {method!r}; it is one of {', '.join(METHODS)}")
    there = [i for i, p in enumerate(p_values) if p is not None and math.isfinite(p)]
    found: list[float | None] = [None] * len(p_values)
    if there:
        made = multipletests([p_values[i] for i in there], method=METHODS[method])[1]
        for i, p in zip(there, made, strict=True):
            found[i] = float(p)
    return found
