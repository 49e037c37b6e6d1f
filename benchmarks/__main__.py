"""Run the benchmark: `make bench`, or `python -m benchmarks [--rows 12000000] [--pairs 5] [--folder data/benchmark]`.

Every contender answers in a process of its own, in the order A B B A. Before a time is printed the numbers of both
must agree. Printed are medians of whole processes (CPU seconds with imports, highest resident memory) and the median of
the paired ratios with their range.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.contenders import CASES
from benchmarks.panel import write_panel

# how far numbers may lie apart: sums in another order; and errors (~), which come from 256 blocks here and from every
# customer there: their ratio has a standard deviation of 1/sqrt(2 × 255) = 4.4 %
APART, APART_ERRORS = 1e-6, 0.18


@dataclass(frozen=True)
class Run:
    """One process: its numbers, CPU seconds and highest memory in MB."""

    numbers: dict[str, float]
    cpu: float
    memory: float


def run(case: str, contender: str, study: Path) -> Run:
    """One contender in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.contenders", case, contender, str(study)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{case}, {contender}: ended with {process.returncode}")
    return Run(json.loads(text.splitlines()[-1]), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def agree(case: str, contender: str, ours: Run, theirs: Run) -> None:
    """Stop where two contenders do not say the same."""
    for name, want in theirs.numbers.items():
        allowed = APART_ERRORS * abs(want) if name.startswith("~") else APART * max(abs(want), 1.0)
        if not abs(ours.numbers[name] - want) <= allowed:
            raise SystemExit(f"{case}: {name} is {ours.numbers[name]!r} here and {want!r} with {contender}")


def paired(case: str, contender: str, study: Path, pairs: int) -> tuple[list[Run], list[Run]]:
    """Runs of ours and theirs, in the order A B B A."""
    ours, theirs = [], []
    for i in range(pairs):
        for which in ("ours", "theirs") if i % 2 == 0 else ("theirs", "ours"):
            (ours if which == "ours" else theirs).append(
                run(case, "cxresearch" if which == "ours" else contender, study)
            )
        agree(case, contender, ours[-1], theirs[-1])
        print(f"  {case}, {contender}: pair {i + 1} of {pairs}", file=sys.stderr)
    return ours, theirs


def told(case: str, contender: str, ours: list[Run], theirs: list[Run]) -> str:
    """One line of the table."""
    cells = [case, contender]
    for of in ("cpu", "memory"):
        mine, other = ([getattr(r, of) for r in runs] for runs in (ours, theirs))
        ratios = [b / a for a, b in zip(mine, other, strict=True)]
        unit, decimals = ("s", 1) if of == "cpu" else ("MB", 0)
        cells += [
            f"{median(mine):.{decimals}f} {unit}",
            f"{median(other):.{decimals}f} {unit}",
            f"{median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
        ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rows", type=int, default=12_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("data/benchmark"))
    parser.add_argument("--case", choices=CASES, action="append", help="only this one; may be given again")
    given = parser.parse_args()
    study = write_panel(given.folder / str(given.rows), given.rows)
    lines = []
    for case in given.case or CASES:
        for contender in [name for name in CASES[case] if name != "cxresearch"]:
            lines.append(told(case, contender, *paired(case, contender, study, given.pairs)))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(
        f"{given.rows:,} rows, {given.pairs} pairs, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| question | against | CPU here | CPU there | ratio (range) | memory here | memory there | ratio (range) |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
