"""The simulated operator as files: a panel, its surveys, the truth, and the study file that names them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cxresearch.data.simulation.known import known_truth
from cxresearch.data.simulation.model import Operator, generate
from cxresearch.data.simulation.names import opaque
from cxresearch.data.simulation.presets import PRESETS
from cxresearch.data.terms import nearest, table_terms
from cxresearch.errors import UsageError

FILES = ("panel.parquet", "surveys.parquet", "truth.parquet", "study.toml")
HOUR_MS = 3_600_000


def simulate(
    folder: Path,
    *,
    preset: str = "baseline",
    seed: int = 1,
    customers: int = 20_000,
    months: int = 24,
    sites: int | None = None,
    last: str = "2026-10",
) -> list[Path]:
    """Write a simulated operator into the folder and return the paths; the same bytes for the same arguments.

    The rows of `truth.parquet` were computed once on a million customers with the default months, last month and
    customers per site. Raises UsageError for arguments that cannot be.
    """
    _check(preset, seed, customers, months, sites)
    places = default_sites(customers) if sites is None else sites
    operator = generate(PRESETS[preset], seed, customers, months, places, last)
    tables = {
        "panel.parquet": _panel(operator),
        "surveys.parquet": _surveys(operator, seed),
        "truth.parquet": pa.Table.from_pandas(known_truth(preset), schema=TRUTH, preserve_index=False),
    }
    call = f"preset={preset!r}, seed={seed}, customers={customers}, months={months}, sites={places}, last={last!r}"
    return _into_place(Path(folder), tables, _study(preset, seed, call))


def default_sites(customers: int) -> int:
    """As many sites as a network of that size has: one for every 67 customers, at least 12."""
    return max(12, round(customers * 300 / 20_000))


def _check(preset: str, seed: int, customers: int, months: int, sites: int | None) -> None:
    if preset not in PRESETS:
        raise UsageError(f"simulate: no preset {preset!r}{nearest(preset, list(PRESETS))}")
    least = {"seed": (seed, 0), "customers": (customers, 100), "months": (months, 2), "sites": (sites, 2)}
    for name, (value, low) in least.items():
        if name == "sites" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < low:
            raise UsageError(f"simulate: {name}={value!r} must be a whole number, {low} or more")
    if sites is not None and sites > customers:
        raise UsageError(f"simulate: sites={sites} is more than customers={customers}; give fewer sites")


TRUTH = pa.schema(
    [
        *((name, pa.string()) for name in ("name", "verb", "outcome", "term", "group", "model", "measure", "unit")),
        ("value", pa.float64()),
        ("mc_error", pa.float64()),
        ("claim", pa.string()),
    ]
)


def _panel(operator: Operator) -> pa.Table:
    """The panel in the order of the terms."""
    names = [name for name in table_terms("panel") if name in operator.panel]
    return pa.table({name: _column(operator.panel[name]) for name in names})


def _column(values: pd.Series) -> pa.Array:
    return pa.Array.from_pandas(values)


def _surveys(operator: Operator, seed: int) -> pa.Table:
    """One relationship survey per customer and month; who did not answer has no time of answer and no items."""
    panel, silent = operator.panel, ~operator.answered
    rng = np.random.default_rng([seed, len(panel)])
    invited = _month_starts(panel["period"]) + rng.integers(0, 14 * 24, len(panel)) * HOUR_MS
    answered = invited + HOUR_MS + (rng.standard_exponential(len(panel)) * 36).astype(np.int64) * HOUR_MS
    moment = pa.timestamp("ms")
    columns: dict[str, pa.Array] = {
        "survey_id": pa.array(opaque("q", np.arange(len(panel)), seed)).cast(pa.string()),
        "customer_id": _column(panel["customer_id"]),
        "period": _column(panel["period"]),
        "invited_at": pa.array(invited, pa.int64()).cast(moment),
        "answered_at": pa.array(answered, pa.int64(), mask=silent).cast(moment),
        "kind": pa.array(["relationship"]).dictionary_encode().take(pa.array(np.zeros(len(panel), dtype=np.int32))),
    }
    items = [str(name) for name in operator.answers]
    columns |= {name: pa.array(operator.answers[name].to_numpy(), mask=silent) for name in items}
    return pa.table({name: columns[name] for name in table_terms("surveys") if name in columns})


def _month_starts(period: pd.Series) -> NDArray[np.int64]:
    """Milliseconds since 1970 of the first hour of each row's month."""
    months = np.array(list(period.cat.categories), dtype="datetime64[M]")
    return months.astype("datetime64[ms]").astype(np.int64)[period.cat.codes.to_numpy()]


def _study(preset: str, seed: int, call: str) -> str:
    return f"""\
# written by cxresearch: simulate({call})
name = "simulated-{preset}-{seed}"
title = "Simulated operator (preset {preset}, seed {seed})"
simulated = true
levels = ["customer", "site"]

[tables.panel]
file = "panel.parquet"

[tables.surveys]
file = "surveys.parquet"
"""


def _into_place(folder: Path, tables: dict[str, pa.Table], study: str) -> list[Path]:
    """Write aside, then rename; the study file comes last, so it never names tables of another run."""
    folder.mkdir(parents=True, exist_ok=True)
    _forget_killed_runs(folder)
    aside = folder / f".aside-{os.getpid()}"
    aside.mkdir(exist_ok=True)
    try:
        for name, table in tables.items():
            # without the Arrow schema readers see plain text columns, not dictionaries
            pq.write_table(table, aside / name, store_schema=False)
        (aside / "study.toml").write_text(study, encoding="utf-8", newline="\n")
        there = folder / "study.toml"
        if there.exists() and there.read_text(encoding="utf-8") != study:
            there.unlink()
        for name in FILES:
            os.replace(aside / name, folder / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [folder / name for name in FILES]


def _forget_killed_runs(folder: Path) -> None:
    """Remove what a killed run left aside an hour ago or more; a younger one may still be at work."""
    for aside in folder.glob(".aside-*"):
        with contextlib.suppress(FileNotFoundError):  # another run may just have cleared its own away
            if time.time() - aside.stat().st_mtime > 3600:
                shutil.rmtree(aside, ignore_errors=True)
