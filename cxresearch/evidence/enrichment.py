"""Enrichment: what holds for all customers when leavers were over-sampled into the table.

Odds ratios and areas under the curve hold as they are; rates need the true rate (`churn_rate` of the study file).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from cxresearch.data.study import Study
from cxresearch.evidence.inference import Interval
from cxresearch.table import TOO_FEW

UNKNOWN_RATE = (
    f"{TOO_FEW} stayers beside the leavers in panel.churned (an enriched table) to tell the operator's rate: "
    "give the true one as churn_rate in the study file"
)


def true_odds(study: Study) -> float | None:
    """By what the odds of leaving in the table are multiplied to be the operator's; 1 where leavers are not over-sampled.

    None where they are and the true rate is not stated. Leavers were chosen from all segments alike, so the table's
    own odds are those of all its rows. Source: King & Zeng (2001), Political Analysis 9:137, equation 7.
    """
    if not study.enriched:
        return 1.0
    if study.churn_rate is None:
        return None
    table = study.of_all().rows(["churned"])
    share = table.aggregate(share=table.churned.mean()).to_pyarrow().to_pylist()[0]["share"]
    if not share or share == 1:
        return None
    return study.churn_rate / (1 - study.churn_rate) * (1 - share) / share


def per_1000(share: Interval, odds: float | None = 1.0) -> dict[str, Any]:
    """A share of leavers and its interval as columns of leavers per 1,000, its odds multiplied by `odds`.

    The error follows by the delta method, the ends one by one. Where the odds are unknown the share stays the table's
    and is labelled so that no verdict rests on it.
    """
    by = 1.0 if odds is None else odds

    def true(p: float | None) -> float | None:
        return None if p is None else 1000 * by * p / (1 - p + by * p)

    slope = by / (1 - share.estimate + by * share.estimate) ** 2 if share.estimate is not None else 1.0
    error = None if share.std_error is None else 1000 * slope * share.std_error
    made = dataclasses.replace(
        share,
        estimate=true(share.estimate),
        std_error=error,
        conf_low=true(share.conf_low),
        conf_high=true(share.conf_high),
    )
    return made.numbers() | ({"effect_label": UNKNOWN_RATE} if odds is None else {})
