"""Make `measurement.csv`: answers of 300 simulated customers of 40 sites to scores of known factors.

`rater_res` and `rater_ass` have four answers each and `trust` three, of seven categories; `rater_tan` four and `rater_emp` five, of
four categories. All are coloured by a halo that the marker item shows too; neighbours of a site share some of each factor.
Run as `python tests/witness/make_measurement.py`; the seed makes the same file each time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

ROWS, SITES, SEED = 300, 40, 20262
ITEMS = {"rater_res_": 4, "rater_ass_": 4, "trust": 3, "rater_tan_": 4, "rater_emp_": 5}


def made(seed: int = SEED) -> pd.DataFrame:
    """The table: a site, a segment and whole numbers on the scales of the questionnaire."""
    dice = np.random.default_rng(seed)
    site = np.sort(np.concatenate([np.arange(SITES), dice.integers(0, SITES, ROWS - SITES)]))
    halo = dice.normal(size=ROWS)
    columns: dict[str, object] = {
        "customer_id": [f"c{i:03d}" for i in range(ROWS)],
        "site_id": [f"s{i:02d}" for i in site],
        "value_segment": np.where(dice.random(ROWS) < 0.5, "high", "mass"),
    }
    for stem, count in ITEMS.items():
        factor = 0.8 * dice.normal(size=ROWS) + 0.5 * dice.normal(size=SITES)[site] + 0.5 * halo
        four = stem in ("rater_tan_", "rater_emp_")
        for i in range(1, count + 1):
            felt = (1 - 0.08 * i) * factor + dice.normal(0, 0.7, ROWS)
            answer = 2.6 + 0.8 * felt if four else 4.4 + 1.2 * felt
            columns[f"{stem}{i}"] = answer.round().clip(1, 4 if four else 7).astype(int)
    columns["marker_item"] = (4.2 + 0.9 * halo + dice.normal(0, 0.8, ROWS)).round().clip(1, 7).astype(int)
    return pd.DataFrame(columns)


if __name__ == "__main__":
    made().to_csv(Path(__file__).with_name("measurement.csv"), index=False, lineterminator="\n")
