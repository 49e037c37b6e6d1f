"""Make `witness.csv`: 300 simulated customers of 60 sites in two months, with few decimals so that R reads what we read.

Run as `python tests/witness/make_table.py`; the seed makes the same file each time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

ROWS, SITES, SEED = 300, 60, 20261


def made(seed: int = SEED) -> pd.DataFrame:
    """The table: what customers met, said and did; neighbours of a site share its network and some of their luck."""
    dice = np.random.default_rng(seed)
    site = np.sort(np.concatenate([np.arange(SITES), dice.integers(0, SITES, ROWS - SITES)]))
    network, luck = dice.normal(size=SITES)[site], dice.normal(size=SITES)[site]
    high = dice.random(ROWS)
    segment = np.where(high < 0.2, "high", np.where(high < 0.55, "mid", "mass"))
    use = dice.gamma(2.0, 4.0, ROWS) * np.where(segment == "high", 2.0, 1.0)
    price = np.round(15 + 1.2 * use + dice.normal(0, 4, ROWS)).clip(5)
    tenure = dice.integers(0, 120, ROWS)
    wait = np.round(dice.gamma(3.0, 40.0, ROWS) * np.exp(0.2 * luck))
    failures = dice.poisson(np.exp(0.4 - 0.4 * network + 0.02 * use))
    errors = dice.poisson(0.6, ROWS)
    mood = (
        0.5 * network
        + 0.4 * luck
        - 0.004 * wait
        - 0.4 * errors
        - 0.1 * failures
        - 0.02 * price
        + 0.004 * tenure
        + dice.normal(size=ROWS)
    )
    answers = np.column_stack([6.5 + 1.3 * mood + dice.normal(0, 1.3, ROWS) for _ in range(3)]).round().clip(1, 10)
    leaving = 1 / (1 + np.exp(1.4 + 0.6 * mood + 0.01 * tenure - 0.01 * price))
    return pd.DataFrame(
        {
            "customer_id": [f"c{i:03d}" for i in range(ROWS)],
            "site_id": [f"s{i:02d}" for i in site],
            "period": np.where(dice.random(ROWS) < 0.5, "2026-09", "2026-10"),
            "value_segment": segment,
            "retainability": (0.97 + 0.01 * network + dice.normal(0, 0.004, ROWS)).round(4).clip(0, 1),
            "call_failures": failures,
            "bill_errors": errors,
            "wait_s": wait,
            "usage_data_gb": use.round(1),
            "list_price": price,
            "tenure_m": tenure,
            "prepaid": (dice.random(ROWS) < 0.3).astype(int),
            "churned": (dice.random(ROWS) < leaving).astype(int),
            **{f"sat{i + 1}": answers[:, i].astype(int) for i in range(3)},
            "recommend": (6.8 + 1.6 * mood + dice.normal(0, 1.5, ROWS)).round().clip(0, 10).astype(int),
        }
    )


if __name__ == "__main__":
    made().to_csv(Path(__file__).with_name("witness.csv"), index=False, lineterminator="\n")
