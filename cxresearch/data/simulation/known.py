"""The truth that is shipped: read the rows of a preset, and tell whether they belong to the model as it is."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pandas as pd

from cxresearch.data.simulation.presets import PRESETS

HERE = Path(__file__).parent
TRUTH_FILE = HERE / "truth.csv"
MODEL = (
    "presets.py",
    "people.py",
    "met.py",
    "felt.py",
    "items.py",
    "model.py",
    "records.py",
    "estimands.py",
    "truth.py",
)
COLUMNS = ["name", "verb", "outcome", "term", "group", "model", "measure", "unit", "value", "mc_error", "claim"]
NUMBERS = ("value", "mc_error")


def known_truth(preset: str) -> pd.DataFrame:
    """The true values of one preset, one row per estimand; of a trap only what the trap is about."""
    # one preset is called "null", which pandas would read as a missing value
    text = {name: str for name in COLUMNS if name not in NUMBERS}
    rows = pd.read_csv(TRUTH_FILE, comment="#", dtype=text, keep_default_na=False, na_values=[""])
    rows["unit"] = rows["unit"].fillna("")
    return rows.loc[rows["preset"] == (PRESETS[preset].like or preset), COLUMNS].reset_index(drop=True)


def fingerprint() -> str:
    """A hash of the model's source and planted parameters; docstrings, comment lines and spaces do not count."""
    code = "".join(without_prose((HERE / name).read_text(encoding="utf-8")) for name in MODEL)
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def without_prose(source: str) -> str:
    """The source without what only readers need."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "".join("".join(line.split()) for line in lines if not line.lstrip().startswith("#"))


def recorded_fingerprint() -> str:
    """The fingerprint of the model that the shipped truth was computed with."""
    first = TRUTH_FILE.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# fingerprint: ")
