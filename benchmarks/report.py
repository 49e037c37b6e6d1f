"""Time the monthly edition against papermill and nbconvert one notebook after the other: `python -m benchmarks.report`.

Both make the same notebooks from the demo operator in one run: here page and paper, there one HTML file for each
notebook. Before a time is printed the findings of both must agree. Printed are seconds by the clock and of the
processor, their ratios, and what a notebook without cells costs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import nbformat

from cxresearch.report import edition, zygote

ROOT = Path(__file__).resolve().parents[1]
AS_OF = "2026-11-02"
APART = 1e-9  # sums in another order
STARTS = 9


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of the processor with all processes that were started."""

    clock: float
    cpu: float


def spent(*commands: list[str]) -> Spent:
    """What these commands take, one after the other."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: ended with {done.returncode}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(time.monotonic() - begin, cpu)


def ours(folder: Path) -> Spent:
    """The edition as the command line makes it."""
    return spent(["cxresearch", "report", "monthly", "--as-of", AS_OF, "-o", str(folder)])


def theirs(folder: Path, made: Path) -> Spent:
    """Its notebooks through papermill and nbconvert; the summary reads the ledger of the report at `made`."""
    monthly, record = edition.load("monthly", ROOT), json.loads((made / "run.json").read_text(encoding="utf-8"))
    commands = []
    for name in monthly.all_notebooks:
        told = {"ledger": str(made / "ledger.parquet")} if name == monthly.summary else {}
        form = folder / f"{name}.yaml"
        form.write_text(json.dumps(record["parameters"][name] | told), encoding="utf-8")
        target = str(folder / f"{name}.ipynb")
        options = ["-k", "python3", "--cwd", str(ROOT), "--no-progress-bar", "-f", str(form)]
        commands.append(["papermill", f"notebooks/{name}.ipynb", target, *options])
        commands.append(["jupyter", "nbconvert", "--to", "html", target])
    return spent(*commands)


def findings(notebook: Path) -> Iterator[dict[str, Any]]:
    """The rows of all findings that a notebook shows."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            yield from output.get("data", {}).get("application/vnd.cxresearch.finding+json", {}).get("table", [])


def agree(made: Path, folder: Path) -> int:
    """How many numbers both show; stops where two differ."""
    compared = 0
    for notebook in sorted((made / "notebooks").glob("*.ipynb")):
        pairs = zip(findings(notebook), findings(folder / notebook.name), strict=True)
        for mine, other in pairs:
            for key in ("estimate", "conf_low", "conf_high"):
                a, b = mine[key], other[key]
                if (a is None) != (b is None) or (a is not None and abs(a - b) > APART * max(1.0, abs(a))):
                    raise SystemExit(f"{notebook.name}: {mine['term']} {key} is {a!r} here and {b!r} there")
                compared += a is not None
    return compared


def start_up(folder: Path) -> float:
    """Seconds that a notebook without cells takes, once what it is forked from is ready."""
    source = folder / "empty.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), source)
    with zygote.ready():
        from cxresearch.report import kernels

        took = []
        for _ in range(STARTS):
            begin = time.monotonic()
            _, error = kernels.execute(source, folder / "empty.out.ipynb", {}, ROOT)
            if error is not None:
                raise SystemExit(str(error))
            took.append(time.monotonic() - begin)
    return median(took[1:])  # the first waits for the imports


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report")
    parser.add_argument("--pairs", type=int, default=1)
    pairs = parser.parse_args().pairs
    here, there, compared = [], [], 0
    for _ in range(pairs):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            here.append(ours(folder))
            made = next((folder / "monthly").iterdir())
            there.append(theirs(folder, made))
            compared = agree(made, folder)
    with tempfile.TemporaryDirectory() as name:
        start = start_up(Path(name))
    books = len(edition.load("monthly", ROOT).all_notebooks)
    print(
        f"{books} notebooks, {pairs} pairs, {compared} numbers agree, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n"
    )
    print("| | here: page and paper | papermill and nbconvert | here / there |\n|---|---|---|---|")
    for of, goal in (("clock", " (goal: .33)"), ("cpu", "")):
        mine, other = ([getattr(one, of) for one in side] for side in (here, there))
        ratio = median(a / b for a, b in zip(mine, other, strict=True))
        print(f"| the monthly edition, {of} | {median(mine):.1f} s | {median(other):.1f} s | {ratio:.2f}{goal} |")
    print(f"| a notebook without cells | {start:.2f} s (goal: .5 s) | | |")


if __name__ == "__main__":
    main()
