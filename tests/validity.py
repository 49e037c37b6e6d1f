"""How far the estimators hold: coverage and bias against the truth of simulated operators, and discoveries where there is nothing.

Run as `make validate`, which writes `tests/VALIDITY.md`; the tests run the same with fewer operators.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import stats
from truths import QUALITY, beside_truth, findings, of_other_forms

import cxresearch as cx
from cxresearch.data.simulation.write import default_sites

CUSTOMERS, SITES, LEVEL = 2_000, 120, 0.01
FEW_SITES = default_sites(CUSTOMERS)  # as a network of that size has them; null operators and those of other form too
SEEDS, NULLS, OTHER_SEEDS, REPORTED = 200, 1_000, 40, 100
OTHER_FORMS = ("threshold", "heavy_tails", "feedback")
# numbers whose interval is no 95 % interval of one number, each with the reason
EXEMPT = {
    "all_customers": "a range over what the silent may be like, not an interval of one number",
}
T = TypeVar("T")
KEEP = ["name", "measure", "model", "estimate", "std_error", "conf_low", "conf_high", "value", "mc_error", "covered"]
HERE = Path(__file__).parent


def one_operator(seed: int, preset: str = "baseline", sites: int = SITES) -> pd.DataFrame:
    """Every estimate of one operator beside its truth."""
    folder = Path(tempfile.mkdtemp())
    try:
        asked = of_other_forms if preset in OTHER_FORMS else findings
        rows = beside_truth(folder, asked, preset=preset, customers=CUSTOMERS, sites=sites, seed=seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows.loc[rows["value"].notna(), KEEP].assign(seed=seed)


def discoveries(seed: int) -> int:
    """How many of ten correlations of a null operator are told from zero after adjustment."""
    folder = Path(tempfile.mkdtemp())
    try:
        cx.simulate(folder, preset="null", customers=CUSTOMERS, seed=seed)
        mapping = folder / "study.toml"  # panel and surveys are enough here, and quicker to open
        mapping.write_text(mapping.read_text().partition("[tables.interactions]")[0])
        study = cx.open_study(str(mapping))
        found = cx.relate(study, of=["satisfaction", "churned"], among=QUALITY, steps=["crude"], method=["pearson"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # each outcome is a family of its own in the reports; here all ten are one
    p_values = [row["p_value"] for row in found.rows(measure="r")]
    return int((stats.false_discovery_control(p_values) < 0.05).sum())


def in_parallel(work: Callable[[int], T], seeds: Iterable[int]) -> list[T]:
    """Work on many seeds at once, one process for each core."""
    workers = min(os.cpu_count() or 1, 8)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, seeds, chunksize=2))


def covered(runs: pd.DataFrame) -> pd.DataFrame:
    """By row of the truth: how often it was covered, and how far the mean estimate lies from it.

    `low` and `high` bound the count of covered operators at a coverage of 95 %, with a chance of 1 % over the whole
    table (Bonferroni) that any row lies outside. `bias` is in standard errors of one operator, `z` in Monte-Carlo errors.
    """
    runs = runs[runs["covered"].notna()].assign(covered=lambda r: r["covered"].astype(float))
    by = runs.groupby(["name", "measure", "model"])
    table = by.agg(
        operators=("covered", "size"), count=("covered", "sum"), mean=("estimate", "mean"), spread=("estimate", "std"),
        error=("std_error", "mean"), value=("value", "first"), mc_error=("mc_error", "first"),
    ).reset_index()  # fmt: skip
    tail = LEVEL / (2 * len(table))
    table["low"] = stats.binom.ppf(tail, table["operators"], 0.95)
    table["high"] = stats.binom.isf(tail, table["operators"], 0.95)
    away = table["mean"] - table["value"]
    table["bias"] = away / table["error"]
    table["z"] = away / np.hypot(table["spread"] / np.sqrt(table["operators"]), table["mc_error"].fillna(0.0))
    table["exempt"] = table["model"].map(EXEMPT)
    return table


def outside(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose coverage lies outside the band, or whose bias is neither small nor within Monte-Carlo error."""
    judged = table[table["exempt"].isna()]
    off = (judged["count"] < judged["low"]) | (judged["count"] > judged["high"])
    biased = (judged["z"].abs() >= 4) & (judged["bias"].abs() >= 0.05)
    return judged[off | biased]


def written(
    table: pd.DataFrame, few: pd.DataFrame, null: Sequence[int], other: dict[str, pd.DataFrame], seconds: float
) -> str:
    """The table as Markdown."""
    judged, off = table[table["exempt"].isna()], outside(table)
    operators = int(table["operators"].max())
    any_found = np.mean([n > 0 for n in null])
    lines = [
        "# How far the estimators hold", "",
        f"Written by `make validate` in {seconds / 60:.0f} minutes: {operators} simulated operators of {CUSTOMERS:,} customers at {SITES} sites",
        f"and 12 months, {len(judged)} numbers each, beside their true values; and {len(null):,} operators without any effect, of {FEW_SITES} sites.", "",
        "| what | found | allowed |", "|---|---|---|",
        f"| 95 % intervals that hold the truth, all numbers together | {pooled(judged):.3f} | about .95 |",
        f"| the number covered least often | {(judged['count'] / judged['operators']).min():.3f} | {judged['low'].min() / operators:.3f} or more |",
        f"| the number covered most often | {(judged['count'] / judged['operators']).max():.3f} | {judged['high'].max() / operators:.3f} or less |",
        f"| numbers outside the band, or biased | {len(off)} | 0 |",
        f"| operators without effects in which any of ten correlations is told from zero | {any_found:.3f} | {null_limit(len(null)):.3f} or less |", "",
        "The band has a chance of 1 % over the whole table that any number lies outside. Biased: the mean over the operators lies 4 Monte-Carlo errors and .05 standard errors or more from the truth.", "",
        "| measure | model | numbers | coverage: least | mean | most | largest bias in standard errors |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for (measure, model), rows in judged.groupby(["measure", "model"]):
        share = rows["count"] / rows["operators"]
        lines.append(
            f"| {measure} | {model} | {len(rows)} | {share.min():.3f} | {share.mean():.3f} | {share.max():.3f} | {rows['bias'].abs().max():.2f} |"
        )
    lines += ["", "Not judged:", "", *(f"- model `{model}`: {why}" for model, why in EXEMPT.items()), ""]
    lines += [*_listed("Outside:", off), *_with_few_sites(few)]
    lines += [
        "## Operators of other form",
        "",
        "Truths that the estimators' own forms do not hold: how often their intervals still cover.",
        "",
    ]
    lines += ["| preset | numbers | operators | coverage: least | mean |", "|---|---|---|---|---|"]
    for preset, rows in other.items():
        told = rows[rows["exempt"].isna()]
        share = told["count"] / told["operators"]
        lines.append(
            f"| {preset} | {len(told)} | {int(told['operators'].max())} | {share.min():.3f} | {share.mean():.3f} |"
        )
    return "\n".join([*lines, ""])


def pooled(table: pd.DataFrame) -> float:
    """How often the intervals of all numbers together hold the truth."""
    return float(table["count"].sum() / table["operators"].sum())


def _with_few_sites(table: pd.DataFrame) -> list[str]:
    """What holds where clusters are fewer and more unequal."""
    judged = table[table["exempt"].isna()]
    share = judged["count"] / judged["operators"]
    return [
        "## Few sites",
        "",
        f"As many operators of {CUSTOMERS:,} customers at {FEW_SITES} sites, of which few are very bad and many samples have none:",
        f"all numbers together are covered in {pooled(judged):.3f}, the one covered least often in {share.min():.3f}.",
        "An interval that rests on so few and unequal sites holds the truth somewhat less often than it says.",
        "",
        *_listed("Outside the same band, or biased:", outside(table)),
    ]


def _listed(title: str, rows: pd.DataFrame) -> list[str]:
    """Single numbers with their coverage and bias; nothing where there is none."""
    if not len(rows):
        return []
    head = ["| number | coverage | bias in standard errors | in Monte-Carlo errors |", "|---|---|---|---|"]
    told = (
        f"| `{r['name'].replace('|', ' ')}` | {r['count'] / r['operators']:.3f} | {r['bias']:.2f} | {r['z']:.1f} |"
        for _, r in rows.iterrows()
    )
    return [title, "", *head, *told, ""]


def null_limit(operators: int) -> float:
    """The share of null operators with a discovery that chance alone allows: 5 % and three standard errors."""
    return 0.05 + 3 * float(np.sqrt(0.05 * 0.95 / operators))


def main() -> int:
    """Study the estimators and the verdicts and write the table; ends with 1 where something lies outside."""
    import steadiness  # which takes in_parallel from here

    parser = argparse.ArgumentParser(prog="make validate")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--nulls", type=int, default=NULLS)
    parser.add_argument("--other", type=int, default=OTHER_SEEDS)
    parser.add_argument("--reports", type=int, default=REPORTED, help="null operators whose whole report is judged")
    parser.add_argument("--to", type=Path, default=HERE / "VALIDITY.md")
    given = parser.parse_args()
    start = time.monotonic()
    seeds = range(1001, 1001 + given.seeds)
    table = covered(pd.concat(in_parallel(one_operator, seeds)))
    few = covered(pd.concat(in_parallel(partial(one_operator, sites=FEW_SITES), seeds)))
    null = in_parallel(discoveries, range(1001, 1001 + given.nulls))
    other = {}
    for preset in OTHER_FORMS if given.other else ():
        runs = in_parallel(partial(one_operator, preset=preset, sites=FEW_SITES), range(1001, 1001 + given.other))
        other[preset] = covered(pd.concat(runs))
    lines, fine = steadiness.measured(operators=given.reports) if given.reports else ([], True)
    text = "\n".join([written(table, few, null, other, time.monotonic() - start), "## Verdicts", "", *lines, ""])
    given.to.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return int(not fine or len(outside(table)) > 0 or np.mean([n > 0 for n in null]) > null_limit(len(null)))


if __name__ == "__main__":
    sys.exit(main())
