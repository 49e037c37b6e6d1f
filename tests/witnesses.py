"""Numbers that R gave on our own table: `witness/<family>.R` wrote `witness/<family>.json`, both are kept."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

HERE = Path(__file__).parent / "witness"
EXACT = 1e-9  # closed forms; both sides keep at least twelve digits


def witness(family: str) -> dict[str, Any]:
    """What R gave for a family, by name."""
    found = json.loads((HERE / f"{family}.json").read_text(encoding="utf-8"))["values"]
    return {name: entry["value"] for name, entry in found.items()}


def table() -> pd.DataFrame:
    """Our own table of 300 customers of 60 sites in two months."""
    return pd.read_csv(HERE / "witness.csv", dtype={"period": str})


def says_again(family: str, again: Path) -> None:
    """R, run on the script beside the numbers, gives them again; skipped where R or one of its packages is missing."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("no Rscript here")
    kept = json.loads((HERE / f"{family}.json").read_text(encoding="utf-8"))
    names = ", ".join(f"'{name}'" for name in ["jsonlite", *kept["packages"]])
    wanted = f"q(status = !all(sapply(c({names}), requireNamespace, quietly = TRUE)))"
    if subprocess.run([rscript, "-e", wanted], capture_output=True, check=False).returncode:
        pytest.skip(f"R lacks one of {names}")
    subprocess.run([rscript, str(HERE / f"{family}.R"), str(again)], check=True, capture_output=True)
    made = json.loads(again.read_text(encoding="utf-8"))["values"]
    assert list(made) == list(kept["values"])
    for name, entry in kept["values"].items():
        assert made[name]["call"] == entry["call"]
        assert made[name]["value"] == pytest.approx(entry["value"], rel=1e-8, abs=1e-12), name
