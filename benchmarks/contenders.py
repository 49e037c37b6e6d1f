"""The contenders: each answers one question from the parquet file in a process of its own and prints its numbers.

Run as `python -m benchmarks.contenders CASE CONTENDER STUDY`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from benchmarks.panel import DRIVERS, KPIS

PAIRS = list(combinations(KPIS, 2))


def correlations_here(study: Path) -> dict[str, float]:
    """All 190 correlations with intervals clustered on customers."""
    import cxresearch as cx

    opened = cx.open_study(str(study))
    finding = cx.relate(opened, of=list(KPIS), among=list(KPIS), steps=["crude"], method=["pearson"])
    found = {(r["outcome"], r["term"]): r for r in finding.rows(measure="r")}
    assert all(found[pair]["conf_low"] < found[pair]["estimate"] for pair in PAIRS)
    return {f"r {a} {b}": found[a, b]["estimate"] for a, b in PAIRS}


def correlations_pandas(study: Path) -> dict[str, float]:
    """The plain matrix, without any interval."""
    import pandas as pd

    matrix = pd.read_parquet(study.with_name("panel.parquet"), columns=list(KPIS)).corr()
    return {f"r {a} {b}": float(matrix.loc[a, b]) for a, b in PAIRS}


def correlations_polars(study: Path) -> dict[str, float]:
    """The plain matrix, without any interval, streamed."""
    import polars as pl

    table = pl.scan_parquet(study.with_name("panel.parquet"))
    got = table.select(pl.corr(a, b).alias(f"r {a} {b}") for a, b in PAIRS).collect(engine="streaming")
    return {name: float(value) for name, value in got.row(0, named=True).items()}


def hazard_here(study: Path) -> dict[str, float]:
    """The discrete hazard on ten drivers with errors clustered on customers."""
    import cxresearch as cx

    row = cx.fit(f"churned ~ {' + '.join(DRIVERS)}", cx.open_study(str(study))).finding.one(term=DRIVERS[0])
    return {"slope": math.log(row["estimate"]), "~ error": row["std_error"] / row["estimate"]}


def hazard_statsmodels(study: Path) -> dict[str, float]:
    """The same model, with errors clustered on customers."""
    import pandas as pd
    import statsmodels.api as sm

    frame = pd.read_parquet(study.with_name("panel.parquet"), columns=["customer_id", "period", *DRIVERS, "churned"])
    frame = frame[frame.period.astype(str) != "2026-12"]  # whether they left is not known yet
    groups = frame.customer_id.factorize()[0]
    y, x = frame.churned, sm.add_constant(frame[list(DRIVERS)])
    del frame
    fit = sm.Logit(y, x).fit(disp=False, cov_type="cluster", cov_kwds={"groups": groups})
    return {"slope": float(fit.params[DRIVERS[0]]), "~ error": float(fit.bse[DRIVERS[0]])}


def least_squares_here(study: Path) -> dict[str, float]:
    """A linear model of ten drivers with errors clustered on customers."""
    import cxresearch as cx

    finding = cx.fit(f"list_price ~ {' + '.join(DRIVERS)}", cx.open_study(str(study))).finding
    row = finding.one(term=DRIVERS[0])
    return {"slope": row["estimate"], "~ error": row["std_error"]}


def least_squares_statsmodels(study: Path) -> dict[str, float]:
    """The same model and errors."""
    import pandas as pd
    import statsmodels.api as sm

    frame = pd.read_parquet(study.with_name("panel.parquet"), columns=["customer_id", *DRIVERS, "list_price"])
    groups = frame.customer_id.factorize()[0]
    y, x = frame.list_price, sm.add_constant(frame[list(DRIVERS)])
    del frame
    fit = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": groups})
    return {"slope": float(fit.params[DRIVERS[0]]), "~ error": float(fit.bse[DRIVERS[0]])}


CASES: dict[str, dict[str, Callable[[Path], dict[str, float]]]] = {
    "correlations of 20 KPIs": {
        "cxresearch": correlations_here,
        "pandas": correlations_pandas,
        "polars": correlations_polars,
    },
    "logistic hazard": {"cxresearch": hazard_here, "statsmodels": hazard_statsmodels},
    "least squares": {"cxresearch": least_squares_here, "statsmodels": least_squares_statsmodels},
}

if __name__ == "__main__":
    _, case, contender, study = sys.argv
    print(json.dumps(CASES[case][contender](Path(study))))
