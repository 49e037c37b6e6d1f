"""Policy: the register of claims (`claims.toml`), with the regions in which each would be true and the reason for them."""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxresearch.measures import MEASURES, number

REGISTER = Path(__file__).with_name("claims.toml")
SEED = 20261  # of every drawing: what is drawn once is drawn again


@dataclass(frozen=True)
class Part:
    """One estimand of a claim and the region in which the claim holds; an open side is None."""

    name: str
    label: str
    measure: str
    unit: str
    low: float | None
    high: float | None
    needs: tuple[str, ...]
    reason: str

    @property
    def region(self) -> str:
        """The region in words: `at most −3.0`, `0.70 to 0.90`."""
        decimals = MEASURES[self.measure].decimals
        if self.low is None:
            return f"at most {number(self.high, decimals)}"
        if self.high is None:
            return f"at least {number(self.low, decimals)}"
        if self.low == self.high:
            return f"exactly {number(self.low, decimals)}"
        return f"{number(self.low, decimals)} to {number(self.high, decimals)}"


@dataclass(frozen=True)
class Claim:
    """A statement, who made it, what it is about, which decision it bears on, and its parts."""

    id: str
    statement: str
    kind: str
    about: str
    source: str
    notebook: str
    combine: str
    decision: str
    parts: tuple[Part, ...]


@functools.cache
def register() -> Mapping[str, Claim]:
    """Every claim by its id, in the order of the file."""
    data = tomllib.loads(REGISTER.read_text(encoding="utf-8"))
    return {name: _claim(name, entry) for name, entry in data.items()}


def policy_hash() -> str:
    """A hash of the register: regions and reasons are policy, and a change of them is to be reported."""
    return hashlib.sha256(REGISTER.read_bytes()).hexdigest()[:12]


def _claim(name: str, entry: Mapping[str, Any]) -> Claim:
    parts = tuple(
        Part(
            name=part["name"],
            label=part["label"],
            measure=part["measure"],
            unit=part.get("unit", ""),
            low=part.get("low"),
            high=part.get("high"),
            needs=tuple(part["needs"]),
            reason=part["reason"],
        )
        for part in entry["parts"]
    )
    return Claim(
        name,
        entry["statement"],
        entry["kind"],
        entry["about"],
        entry["source"],
        entry["notebook"],
        entry.get("combine", "all-of"),
        entry["decision"],
        parts,
    )
