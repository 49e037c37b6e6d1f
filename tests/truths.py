"""Every estimate of the verbs on a simulated operator beside its true value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import cxresearch as cx

KEY = ["outcome", "term", "group", "model", "measure"]
QUALITY = ["availability", "retainability", "call_failures", "wait_s", "bill_errors"]
RATINGS = ["reliability", "responsiveness", "tangibles"]
BLOCKS = {
    "network": ["availability", "accessibility", "retainability", "throughput_mbps", "outage_min", "call_failures"],
    "design": ["bill_errors", "plan_clarity"],
    "operations": ["wait_s", "fcr", "tickets_open", "transfers", "care_contacts"],
}


def findings(study: cx.Study) -> list[cx.Finding]:
    """The findings that the truth of the simulation speaks of."""
    leaving = [*study.controls, "satisfaction"]
    return [
        *(cx.relate(study, of="satisfaction", among=term) for term in [*QUALITY, *RATINGS]),
        *(
            cx.relate(study, of="churned", among=term)
            for term in ["satisfaction", "call_failures", "retainability", "bill_errors"]
        ),
        cx.explain_churn(study, among=["satisfaction", "call_failures", "bill_errors", "prepaid"]),
        cx.explain_churn(study, among="trust", given=leaving),
        cx.rank_drivers(study, of="satisfaction", among=study.rater),
        cx.block_shares(study, of="satisfaction", blocks=BLOCKS),
        *(cx.score(study, of=of) for of in ["satisfaction", "recommend", "ces"]),
    ]


def of_other_forms(study: cx.Study) -> list[cx.Finding]:
    """The findings that the truth of operators speaks of whose effects are no straight lines."""
    among = ["wait_s", "call_failures", "reliability"]
    return [
        *(cx.relate(study, of="satisfaction", among=term) for term in among),
        cx.explain_churn(study, among="care_contacts"),
    ]


def beside_truth(
    folder: Path, asked: Callable[[cx.Study], list[cx.Finding]] = findings, **options: Any
) -> pd.DataFrame:
    """Rows of a fresh operator with `value`, the truth, `z` (errors away from it) and `covered` (by the 95 % interval)."""
    cx.simulate(folder, **options)
    study = cx.open_study(str(folder / "study.toml"))
    rows = pd.concat([finding.to_frame() for finding in asked(study)], ignore_index=True)
    rows = rows.drop_duplicates(KEY)
    rows["term"] = rows["term"].fillna("")
    truth = pd.read_parquet(folder / "truth.parquet")
    truth["term"] = truth["term"].fillna("")
    both = rows.merge(truth[[*KEY, "name", "value", "mc_error"]], on=KEY, how="left")
    both["z"] = (both["estimate"] - both["value"]) / both["std_error"]
    inside = (both["conf_low"] <= both["value"]) & (both["value"] <= both["conf_high"])
    both["covered"] = inside.where(both["value"].notna() & both["conf_low"].notna())
    return both
