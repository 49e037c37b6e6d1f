"""The simulated operator as files: a panel, its surveys, the truth, and the study file that names them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cxresearch.data.simulation.items import more_answers
from cxresearch.data.simulation.known import known_truth
from cxresearch.data.simulation.model import Operator, generate
from cxresearch.data.simulation.names import opaque
from cxresearch.data.simulation.presets import PRESETS, Preset
from cxresearch.data.simulation.records import DAY_MS, HOUR_MS, Table, events, logistic, moments, month_starts
from cxresearch.data.terms import nearest, table_terms
from cxresearch.errors import UsageError

TABLES = ("panel", "surveys", "interactions", "tickets", "orders", "touchpoints")
FILES = (*(f"{name}.parquet" for name in (*TABLES, "truth")), "study.toml")
GROUP = 122_880  # rows that an engine reads at a time on one processor: as many as it writes itself


def simulate(
    folder: Path,
    *,
    preset: str = "baseline",
    seed: int = 1,
    customers: int | None = None,
    months: int = 24,
    sites: int | None = None,
    last: str = "2026-10",
) -> list[Path]:
    """Write a simulated operator into the folder and return the paths; the same bytes for the same arguments.

    Without `customers` there are as many as the preset has, mostly 20,000.
    The rows of `truth.parquet` were computed once on a million customers with the default months, last month and
    customers per site. Raises UsageError for arguments that cannot be.
    """
    if preset not in PRESETS:
        raise UsageError(f"simulate: no preset {preset!r}{nearest(preset, list(PRESETS))}")
    if customers is None:
        customers = PRESETS[preset].customers
    _check(seed, customers, months, sites)
    places = (PRESETS[preset].sites or default_sites(customers)) if sites is None else sites
    whole = generate(PRESETS[preset], seed, customers, months, places, last)
    operator = _kept(whole, PRESETS[preset], seed)
    found = events(operator, PRESETS[preset], seed)
    found["panel"] |= {str(name): _column(values) for name, values in operator.panel.items()}
    found["surveys"] = _surveys(operator, PRESETS[preset], found["interactions"], seed)
    tables = {f"{name}.parquet": _table(name, found[name]) for name in TABLES} | {
        "truth.parquet": pa.Table.from_pandas(known_truth(preset), schema=TRUTH, preserve_index=False),
    }
    call = f"preset={preset!r}, seed={seed}, customers={customers}, months={months}, sites={places}, last={last!r}"
    return _into_place(Path(folder), tables, _study(PRESETS[preset], seed, call, float(whole.panel["churned"].mean())))


def default_sites(customers: int) -> int:
    """As many sites as a network of that size has: one for every 67 customers, at least 12."""
    return max(12, round(customers * 300 / 20_000))


def _check(seed: int, customers: int, months: int, sites: int | None) -> None:
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


def _kept(operator: Operator, preset: Preset, seed: int) -> Operator:
    """The rows that the operator hands out: all, or those of leavers and some of the others."""
    if preset.stayers_kept == 1:
        return operator
    left = operator.panel["churned"].fillna(False).to_numpy(dtype=bool)
    keep = left | (np.random.default_rng([seed, 7]).random(len(left)) < preset.stayers_kept)
    panel, answers = (table[keep].reset_index(drop=True) for table in (operator.panel, operator.answers))
    return Operator(panel, answers, operator.answered[keep])


def _table(name: str, columns: Table) -> pa.Table:
    """A table with its columns in the order of the terms."""
    return pa.table({term: columns[term] for term in table_terms(name) if term in columns})


def _column(values: pd.Series) -> pa.Array:
    return pa.Array.from_pandas(values)


def _surveys(operator: Operator, preset: Preset, contacts: Table, seed: int) -> Table:
    """A relationship survey per customer and month, then transaction surveys; the silent have no time and no items."""
    panel, silent = operator.panel, ~operator.answered
    rng = np.random.default_rng([seed, len(panel)])
    invited = month_starts(panel["period"]) + rng.integers(0, 14 * 24, len(panel)) * HOUR_MS
    answered = invited + HOUR_MS + (rng.standard_exponential(len(panel)) * 36).astype(np.int64) * HOUR_MS
    given = operator.answers[operator.answered]
    grumbled = operator.answered & (operator.answers["recommend"].to_numpy() <= 6)
    later = np.random.default_rng([seed, len(panel), 9])
    called = grumbled & (later.random(len(panel)) < 0.4)
    columns: Table = {
        "survey_id": pa.array(opaque("q", np.arange(len(panel)), seed)).cast(pa.string()),
        "customer_id": _column(panel["customer_id"]),
        "period": _column(panel["period"]),
        "invited_at": moments(invited),
        "answered_at": moments(answered, silent),
        "called_back_at": moments(answered + 2 * DAY_MS, ~called),
    }
    columns |= {
        str(name): pa.array(_coded(later, preset, values.to_numpy()), mask=silent)
        for name, values in operator.answers.items()
    }
    position = pa.array(np.maximum(operator.answered.cumsum() - 1, 0), mask=silent)
    columns |= {
        str(name): pa.array(values.to_numpy()).take(position) for name, values in more_answers(later, given).items()
    }
    return _below(columns, _after_contacts(later, preset, contacts, len(panel), seed))


def _coded(rng: np.random.Generator, preset: Preset, values: NDArray[np.int8]) -> NDArray[np.int8]:
    """Answers, some of them a code that says that there is none."""
    if not preset.codes:
        return values
    none = rng.random(len(values)) < preset.codes
    return np.where(none, rng.integers(98, 100, len(values)), values).astype(np.int8)


def _after_contacts(rng: np.random.Generator, preset: Preset, contacts: Table, first: int, seed: int) -> Table:
    """What every fourth customer was asked after a contact: how easy it was."""
    chosen = np.flatnonzero(rng.random(len(contacts["cost"])) < 0.25)
    asked = {name: values.take(pa.array(chosen)) for name, values in contacts.items()}
    resolved, transfers = (asked[name].to_numpy() for name in ("resolved_first_contact", "transfers"))
    felt = 4.4 + preset.transfers_ease * transfers + 0.8 * resolved + 1.1 * rng.standard_normal(len(chosen))
    silent = rng.random(len(chosen)) >= logistic(-1.8 + 0.25 * (felt - 5))
    invited = asked["started_at"].cast(pa.int64()).to_numpy() + HOUR_MS
    return {name: asked[name] for name in ("customer_id", "period", "interaction_id")} | {
        "survey_id": pa.array(opaque("q", first + np.arange(len(chosen)), seed)).cast(pa.string()),
        "invited_at": moments(invited),
        "answered_at": moments(
            invited + (rng.standard_exponential(len(chosen)) * 20 * HOUR_MS).astype(np.int64), silent
        ),
        "ces": pa.array(np.clip(np.rint(felt), 1, 7).astype(np.int8), mask=silent),
    }


def _below(relationship: Table, transaction: Table) -> Table:
    """One table of both kinds of surveys."""
    kinds = {"relationship": relationship, "transaction": transaction}
    tables = [pa.table(columns).append_column("kind", _of_kind(kind, columns)) for kind, columns in kinds.items()]
    whole = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    return {name: whole[name] for name in whole.column_names}


def _of_kind(kind: str, columns: Table) -> pa.Array:
    return pa.array([kind]).dictionary_encode().take(pa.array(np.zeros(len(columns["survey_id"]), dtype=np.int32)))


def _study(preset: Preset, seed: int, call: str, prior: float) -> str:
    enriched = f"enriched = true\nchurn_rate = {prior:.5f}\n" if preset.stayers_kept < 1 else ""
    tables = "\n".join(f'[tables.{name}]\nfile = "{name}.parquet"\n' for name in TABLES)
    return f"""\
# written by cxresearch: simulate({call})
name = "simulated-{preset.name.replace("_", "-")}-{seed}"
title = "Simulated operator (preset {preset.name}, seed {seed})"
simulated = true
levels = {json.dumps(preset.levels)}
{enriched}
{tables}"""


def _into_place(folder: Path, tables: dict[str, pa.Table], study: str) -> list[Path]:
    """Write aside, then rename; the study file comes last, so it never names tables of another run."""
    folder.mkdir(parents=True, exist_ok=True)
    _forget_killed_runs(folder)
    aside = folder / f".aside-{os.getpid()}"
    aside.mkdir(exist_ok=True)
    try:
        for name, table in tables.items():
            # without the Arrow schema readers see plain text columns, not dictionaries
            pq.write_table(table, aside / name, store_schema=False, row_group_size=GROUP)
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
