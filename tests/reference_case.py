"""Numbers that R gave for public data sets: one case each, and what of it has been compared.

The cases and their tables are not part of the project. `CXRESEARCH_REFERENCE` names their folder; without it the
tests are skipped, and `tests/witness` still compares the same methods with R on a table of our own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import study_of

from cxresearch.data.study import Study

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / os.environ.get("CXRESEARCH_REFERENCE", "../shared/reference")).resolve()
ROUNDED = 5e-12  # a Finding holds twelve significant digits: half a unit of the twelfth, relative
BUILT: list[str] = []
NOT_BUILT: dict[str, str] = {}  # cases, each with what is not built
PARTS_NOT_BUILT: dict[str, dict[str, str]] = {}  # parts of cases that are otherwise built, by the head of the case's id

# terms that stand in for the columns of other fields: the arithmetic does not know what a number means
NUMBERS = [
    "revenue",
    "margin",
    "latency_ms",
    "wait_s",
    "outage_min",
    "throughput_mbps",
    "list_price",
    "discount",
    "bill_errors",
    "order_days",
    "transfers",
    "care_contacts",
]


class Case:
    """One case: what R gave, and which parts of it have been compared."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.id, self.values, self.dataset = entry["id"], entry["values"], entry["dataset"]
        self.rel, self.abs = entry["tolerance"].get("rel", 0.0), entry["tolerance"].get("abs", 0.0)
        self.compared: set[str] = set()

    def want(self, part: str) -> Any:
        """What R gave for a part, named by its path; it counts as compared."""
        self.compared.add(part)
        value: Any = self.values
        for key in part.split("."):
            value = value[key]
        return value

    def close(self, part: str, got: Any) -> None:
        """A part agrees to the tolerance of the case."""
        self.same(got, self.want(part), part)

    def same(self, got: Any, want: Any, told: str = "") -> None:
        """Numbers agree to the tolerance of the case, or to what the twelve digits of a Finding allow."""
        np.testing.assert_allclose(
            np.asarray(got, dtype=float),
            np.asarray(want, dtype=float),
            rtol=max(self.rel, ROUNDED),
            atol=self.abs,
            err_msg=f"{self.id} {told}",
        )

    def matrix(self, part: str) -> pd.DataFrame:
        """A matrix with its names."""
        value = self.want(part)
        return pd.DataFrame(value["data"], index=value["rows"], columns=value["cols"])

    def forgotten(self) -> list[str]:
        """Parts that were neither compared nor named as not built."""
        named = {part for head, parts in PARTS_NOT_BUILT.items() if self.id.startswith(head) for part in parts}
        done = self.compared | named
        paths = [p for key, value in self.values.items() for p in _paths(key, value)]
        return [p for p in paths if not any(p == d or p.startswith(f"{d}.") or d.startswith(f"{p}.") for d in done)]


def _paths(key: str, value: Any) -> list[str]:
    if isinstance(value, dict) and ".type" not in value:
        return [f"{key}.{inner}" for inner in value]
    return [key]


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Every case by its id."""
    found = {}
    for file in sorted(REFERENCE.glob("*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(data, dict):
            found.update({entry["id"]: entry for entry in data["cases"]})
    return found


def not_built(reason: str, *ids: str) -> None:
    """Name cases whose method is not built."""
    NOT_BUILT.update(dict.fromkeys(ids, reason))


def parts_not_built(head: str, parts: Mapping[str, str]) -> None:
    """Name parts of cases that are not built, each with its reason."""
    PARTS_NOT_BUILT[head] = dict(parts)


def built(*ids: str) -> pytest.MarkDecorator:
    """Run a test on these cases and count them as built."""
    BUILT.extend(ids)
    return pytest.mark.parametrize("case", ids, indirect=True)


@cache
def table(name: str) -> pd.DataFrame:
    """A table of the reference."""
    return pd.read_csv(REFERENCE / "data" / f"{name}.csv")


def stand_in(folder: Path, frame: pd.DataFrame, columns: Sequence[str], **named: str) -> tuple[Study, dict[str, str]]:
    """A study in which terms stand in for columns, and which term for which column."""
    free = [term for term in NUMBERS if term not in named.values()]
    words = {column: named.get(column) or free.pop(0) for column in columns}
    return study_of(folder, panel=frame[list(columns)].rename(columns=words)), words
