"""How often verdicts change from report to report, and how often a claim of an effect is supported where there is none.

Run as a script it prints both; `measured` gives them as Markdown, and the tests run them short.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path

import judging
import pandas as pd
from scipy import stats
from test_policy import TRUE_OF_NOTHING
from validity import in_parallel

import cxresearch as cx
from cxresearch.claims import LEVEL, Verdict, keep
from cxresearch.data.periods import shift
from cxresearch.report.ledger import KEYS
from cxresearch.report.scorecard import Scorecard

LAST, WINDOW, YEARS = "2026-10", 12, 3
REPORTS, SEEDS, CUSTOMERS = 24, 100, 2_000


def report(period: str, *, folder: Path) -> list[Verdict]:
    """The verdicts of one period, each by its interval alone."""
    return judging.all_verdicts(data=str(folder / "study.toml"), period=period, window=WINDOW)


def reports(customers: int, count: int = REPORTS, seed: int = 1, preset: str = "baseline") -> dict[str, list[Verdict]]:
    """The verdicts of so many consecutive reports on one operator whose truth does not change, by period."""
    folder = Path(tempfile.mkdtemp())
    try:
        cx.simulate(folder, preset=preset, customers=customers, months=WINDOW + count, seed=seed, last=LAST)
        periods = [shift(LAST, -back) for back in reversed(range(count))]
        return dict(zip(periods, in_parallel(partial(report, folder=folder), periods), strict=True))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def with_rule(fresh: dict[str, list[Verdict]]) -> dict[str, list[Verdict]]:
    """The same reports where decided verdicts stay as `cx.judge` lets them, each beside the report before."""
    kept: dict[str, list[Verdict]] = {}
    before: dict[tuple[str, str], dict[str, object]] = {}
    earlier = ""
    for period, found in fresh.items():
        kept[period] = [keep(verdict, before.get((verdict.claim, verdict.part)), earlier) for verdict in found]
        before = {(verdict.claim, verdict.part): asdict(verdict) for verdict in kept[period]}
        earlier = period
    return kept


def changes(told: dict[str, list[Verdict]]) -> Counter[str]:
    """How often the verdict of each judged claim differs from that of the report before."""
    verdicts = [{name: c["verdict"] for name, c in judging.combined(found).items()} for found in told.values()]
    return Counter({name: sum(a[name] != b[name] for a, b in pairwise(verdicts)) for name in verdicts[0]})


def in_three_years(counted: Counter[str], count: int) -> float:
    """Changes of a claim in three years of monthly reports, the mean over the claims."""
    return sum(counted.values()) / len(counted) * 12 * YEARS / (count - 1)


def null(seed: int, customers: int = CUSTOMERS) -> list[str]:
    """The claims of an effect that are supported on one operator without effects, and headlines that say so."""
    folder = Path(tempfile.mkdtemp())
    try:
        cx.simulate(folder, preset="null", customers=customers, seed=seed)
        found = judging.all_verdicts(data=str(folder / "study.toml"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    told = judging.combined(found)
    headlines = Scorecard(pd.DataFrame(columns=[*KEYS, "estimate"]), list(told.values()), {}).answer.data["items"]
    effects = [c["id"] for c in told.values() if (c["about"], c["verdict"]) == ("effect", "supported")]
    return [
        *(id_ for id_ in effects if id_ not in TRUE_OF_NOTHING),
        *(h for h in headlines if h.startswith("Supported")),
    ]


def nulls(seeds: Iterable[int] = range(1001, 1001 + SEEDS)) -> Counter[str]:
    """How often each claim of an effect is supported over operators without effects; empty where none ever is."""
    return Counter(claim for claims in in_parallel(null, seeds) for claim in claims)


def written(customers: int, fresh: dict[str, list[Verdict]]) -> list[str]:
    """What was measured, as lines of Markdown: changes of each claim by its interval alone, and with the rule."""
    alone, ruled = changes(fresh), changes(with_rule(fresh))
    count = len(fresh)
    lines = [
        f"{count} consecutive reports on one simulated operator of {customers:,} customers whose truth does not change: "
        f"a claim changes its verdict {in_three_years(ruled, count):.2f} times in {YEARS} years, "
        f"by the interval alone {in_three_years(alone, count):.2f} times.",
        "",
        "| claim | changes, by the interval alone | changes, as reported |",
        "|---|---|---|",
    ]
    return [*lines, *(f"| {name} | {alone[name]} | {ruled[name]} |" for name in alone)]


def measured(customers: int = 5_000, count: int = REPORTS, operators: int = SEEDS) -> tuple[list[str], bool]:
    """Both measurements as lines of Markdown, and whether they are as they should be.

    That is less than one change of a claim in three years, and no effect supported where there is none more often than
    99 % intervals allow (half a percent of the operators for each claim; a chance of 1 % over 30 claims to pass the limit).
    """
    fresh = reports(customers, count)
    supported = nulls(range(1001, 1001 + operators))
    told = ", ".join(f"{claim} on {count} of them" for claim, count in supported.items()) or "none"
    beside = f"Claims of an effect that are supported on {operators} simulated operators without effects: {told}."
    lines = [*written(customers, fresh), "", beside]
    most = stats.binom.isf(0.01 / 30, operators, (1 - LEVEL) / 2)
    steady = in_three_years(changes(with_rule(fresh)), count) < 1
    return lines, steady and max(supported.values(), default=0) <= most


def main() -> int:
    """Measure both and print them; ends with 1 where they are not as they should be."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--reports", type=int, default=REPORTS)
    parser.add_argument("--nulls", type=int, default=SEEDS)
    given = parser.parse_args()
    lines, fine = measured(given.customers, given.reports, given.nulls)
    sys.stdout.write("\n".join([*lines, ""]))
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
