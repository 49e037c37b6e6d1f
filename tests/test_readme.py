"""README stays true: its commands, its mapping and its snippet are run as they stand."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxresearch import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    "\n".join(line[4:] for line in block.splitlines())
    for block in re.findall(r"(?:^ {4}.*\n?(?:\n(?= {4}))?)+", README, re.M)
]


def block(start: str) -> str:
    """The indented block of README that begins so."""
    return next(text for text in BLOCKS if text.startswith(start))


def test_the_mapping_of_own_data_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The five lines for own data make a report of a table that has those columns."""
    text = block("name = ")
    assert len(text.splitlines()) == 5
    rng = np.random.default_rng(1)
    columns = tomllib.loads(text)["tables"]["panel"]["columns"]
    customers = pd.DataFrame({columns["customer_id"]: [f"{i:05d}" for i in range(500)]})
    customers[columns["churned"]["column"]] = rng.choice(["Yes", "No"], 500, p=[0.2, 0.8])
    customers[columns["call_failures"]] = rng.poisson(2, 500)
    customers[columns["usage_calls"]] = rng.poisson(80, 500)
    customers.to_parquet(tmp_path / "customers.parquet")
    (tmp_path / "mine.toml").write_text(text)
    code = cli.main(["run", "headline_scores", "--data", str(tmp_path / "mine.toml"), "-o", str(tmp_path / "out")])
    assert code == 0, capsys.readouterr().err
    assert (tmp_path / "out" / "headline_scores" / "2026-10" / "report.html").is_file()


def test_the_snippet_runs() -> None:
    """The lines of Python for a notebook run as they stand."""
    import matplotlib

    matplotlib.use("Agg")
    scope: dict[str, object] = {}
    exec(block("import cxresearch as cx"), scope)
    assert len(scope["customers"]) > 1000  # type: ignore[arg-type]


def test_the_commands_are_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command in the list exists with the options that are shown, and no command is left out."""
    shown = block("cxresearch report").splitlines()
    for line in shown:
        command, options = line.split()[1], re.findall(r"(?<![\w-])--?[a-z]+", line)
        with pytest.raises(SystemExit, match="0"):
            cli.main([command, "--help"])
        told = capsys.readouterr().out
        assert all(option in told for option in options), line
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    known = re.findall(r"^ {4}([a-z]+) +[a-z]", capsys.readouterr().out, re.M)
    assert sorted(line.split()[1] for line in shown) == sorted(known)


def test_the_targets_of_make_are_there() -> None:
    """Every `make` command that README names is one that make knows."""
    targets = sorted(set(re.findall(r"\bmake ([a-z-]+)", README)) - {"sure"})
    assert {"report", "test", "lab", "test-all", "validate"} <= set(targets)
    if shutil.which("make") is None:
        pytest.skip("no make here")
    for target in targets:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_what_it_names_exists() -> None:
    """Files and folders that README names are there."""
    named = set(re.findall(r"`((?:cxresearch|notebooks|data|reports|tests)/[\w./]*)`", README)) | set(
        re.findall(r"\]\(([\w./]+)\)", README)
    )
    made = {"data/mine.toml"}  # written by the reader
    missing = sorted(name for name in named - made if not (ROOT / name).exists())
    assert not missing


@pytest.mark.slow
def test_a_fresh_clone_makes_the_report(tmp_path: Path) -> None:
    """A clone in an empty home makes the report with the first command, in under 45 seconds after installation."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    clone, home = tmp_path / "clone", tmp_path / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    kept["PATH"] = os.pathsep.join(p for p in kept["PATH"].split(os.pathsep) if p != str(Path(sys.executable).parent))
    done = subprocess.run(
        ["make", "report"], cwd=clone, env={**kept, "HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pages = [line for line in done.stdout.splitlines() if line.endswith(("report.html", "report.pdf"))]
    assert len(pages) == 2
    assert all((clone / page).is_file() for page in pages)
    record = (clone / Path(pages[0]).parent / "run.json").read_text()
    seconds = json.loads(record)["seconds"]
    clock = sum(seconds[key] for key in ("check", "notebooks", "render"))
    if clock >= 45:  # beside other tests the clock is theirs too; alone, 32 s by the clock were 46 s of processor time
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        again = [clone / ".venv" / "bin" / "cxresearch", "report", "monthly", "--force"]
        subprocess.run(again, cwd=clone, env={**kept, "HOME": str(home)}, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 45 * 46 / 32
