"""The table that is measured on: customers × 12 months, 20 KPIs that move together, leaving that depends on ten of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MONTHS, CHUNK, SEED = 12, 100_000, 20261
# KPIs by mean and standard deviation; the names are the field's, the numbers only have to be in range
KPIS = {
    "availability": (0.98, 0.004), "accessibility": (0.97, 0.004), "retainability": (0.975, 0.004),
    "throughput_mbps": (60.0, 9.0), "latency_ms": (70.0, 8.0), "packet_loss": (0.02, 0.003), "call_failures": (20.0, 3.0),
    "outage_min": (60.0, 9.0), "mos": (3.5, 0.25), "bill_errors": (9.0, 1.5), "plan_clarity": (60.0, 7.0), "wait_s": (110.0, 18.0),
    "fcr": (0.7, 0.05), "transfers": (9.0, 1.4), "tickets_open": (9.0, 1.5), "care_contacts": (9.0, 1.5),
    "usage_calls": (95.0, 15.0), "usage_voice_min": (300.0, 45.0), "usage_data_gb": (20.0, 3.0), "list_price": (28.0, 4.0),
}  # fmt: skip
DRIVERS = tuple(KPIS)[:10]
PERIODS = [f"2026-{month:02d}" for month in range(1, MONTHS + 1)]


def write_panel(folder: Path, rows: int) -> Path:
    """Write the table of about so many rows, and the study file that maps it; gives the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    study = folder / "study.toml"
    if study.exists():
        return study
    customers = rows // MONTHS
    with pq.ParquetWriter(folder / "aside.parquet", _chunk(0, 2).schema, compression="zstd") as file:
        for first in range(0, customers, CHUNK):
            file.write_table(_chunk(first, min(CHUNK, customers - first)))
    (folder / "aside.parquet").rename(folder / "panel.parquet")
    study.write_text(
        'name = "benchmark"\nsimulated = true\nlevels = ["customer"]\n\n[tables.panel]\nfile = "panel.parquet"\n'
    )
    return study


def _chunk(first: int, count: int) -> pa.Table:
    """All months of some customers; what a customer is like lasts, so months of one customer are alike."""
    dice = np.random.default_rng([SEED, first])
    who, network = dice.standard_normal((2, count)).repeat(MONTHS, axis=1)
    columns: dict[str, pa.Array] = {
        "customer_id": pa.array([f"c{i:08d}" for i in range(first, first + count)]).take(
            pa.array(np.arange(count).repeat(MONTHS))
        ),
        "period": pa.array(PERIODS * count).dictionary_encode(),
    }
    log_odds = np.full(count * MONTHS, -4.0)
    for i, (name, (mean, spread)) in enumerate(KPIS.items()):
        value = 0.5 * who + 0.4 * network * (i < 9) + 0.75 * dice.standard_normal(count * MONTHS)
        value = mean + spread * np.round(value, 2)  # as operators store KPIs: some hundred distinct values
        value = np.clip(value, 0, 1 if mean < 1 else 5 if name == "mos" else None)
        columns[name] = pa.array(value.astype(np.float32))
        if name in DRIVERS:
            log_odds += 0.08 * (-1) ** i * (value - mean) / spread
    columns["churned"] = pa.array((dice.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(np.int8))
    return pa.table(columns)
