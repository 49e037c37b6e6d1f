"""Verification: a delivered report made again from its own record, and every number of it compared.

The report is made in a folder aside that is removed afterwards; the delivered one is only read.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxresearch.errors import UsageError
from cxresearch.report import archive, edition, parameters
from cxresearch.report.edition import Edition
from cxresearch.report.ledger import keyed, open_ledger
from cxresearch.report.plan import Request, Say
from cxresearch.report.secrets import HIDDEN
from cxresearch.report.values import dated

if TYPE_CHECKING:
    import pandas as pd

REL = 1e-9  # of the larger number; a sum made in another order differs by about 1e-12
TINY = 1e-12  # the last digit of a number near nothing is noise
BASIS = {
    "data_fingerprint": "data",
    "policy": "policy of claims",
    "code": "code of cxresearch",
    "earlier": "earlier verdicts",
}


@dataclass(frozen=True)
class Difference:
    """One row that is not the same: which, in which columns, and by how much of itself at most."""

    row: tuple[str, ...]
    columns: tuple[tuple[str, Any, Any], ...]  # name, delivered, made again
    size: float  # relative; infinite where a row or a text differs


@dataclass(frozen=True)
class Verification:
    """What came of making a report again."""

    rows: int
    differences: tuple[Difference, ...]
    basis: tuple[str, ...]  # what the two runs do not share
    files: tuple[str, ...]  # published files that are no longer as they were written

    @property
    def same(self) -> bool:
        """Whether every row is the same and every file as it was written."""
        return not self.differences and not self.files


def verify(folder: Path, root: Path, values: Mapping[str, str], say: Say) -> Verification:
    """The report in `folder` made again from its run.json and compared row by row; nothing is written into `folder`.

    `values` are texts for parameters that the record hides. Raises UsageError where there is no complete report, and
    what a run raises.
    """
    from cxresearch.report.run import run_edition

    folder = folder.resolve()
    before = _recorded(folder)
    delivered = open_ledger(folder / "ledger.parquet")
    with tempfile.TemporaryDirectory(prefix="cxresearch-verify-") as aside:
        outcome = run_edition(_request(before, folder, root, values, Path(aside).resolve()), say)
        if outcome.errors:
            raise outcome.errors[0]
        now = archive.record(outcome.folder) or {}
        again = open_ledger(outcome.folder)
    return Verification(
        len(delivered),
        tuple(differences(delivered, again)),
        tuple(basis(before, now)),
        tuple(_touched(before, folder)),
    )


def _recorded(folder: Path) -> dict[str, Any]:
    found = archive.record(folder)
    if found is None:
        raise UsageError(f"{archive.shown(folder)} is not the folder of a report: it has no {archive.RECORD}")
    if found.get("schema") != 2:
        raise UsageError(
            f"{archive.shown(folder)} was made by an older release, which did not record its notebooks; make it again"
        )
    if found["status"] != "complete":
        raise UsageError(
            f"{archive.shown(folder)} is a failed report: {', '.join(found['failed'])} stopped; there is nothing to verify"
        )
    return found


def _request(record: Mapping[str, Any], folder: Path, root: Path, values: Mapping[str, str], out: Path) -> Request:
    """The run of a record; its values are those of the edition as it was then, whatever the edition says today."""
    layout = record["layout"]
    books = [*layout["notebooks"], *([layout["summary"]] if layout["summary"] else [])]
    given: dict[str, Any] = {}
    for name in books:
        form = parameters.read(edition.notebook(name, root), name)
        for key, value in record["parameters"][name].items():
            if key not in values:
                given[key] = _value(key, value, parameters.named(key, form, name))
    own = Edition(
        record["edition"], record["title"], tuple(layout["notebooks"]), layout["summary"], parameters=given, formats=()
    )
    as_of = date.fromisoformat(record["as_of"]) if record["as_of"] else None
    before = _previous(record, folder)
    return Request(own, ("report", own.name), root, dict(values), as_of=as_of, out=out, previous=before, force=True)


def _value(key: str, value: Any, parameter: parameters.Parameter) -> Any:
    """A recorded value as its notebook takes it."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and HIDDEN in one:
            raise UsageError(f"parameter {key!r} is hidden in {archive.RECORD}; give it again with -p {key} VALUE")
    if isinstance(value, str) and value.startswith("~/"):
        return str(Path(value).expanduser())
    return dated({key: value}, {key: parameter}, archive.RECORD)[key]


def _previous(record: Mapping[str, Any], folder: Path) -> Path:
    """The report whose verdicts may stay: that of the period before, beside this one, if it is still the same."""
    from cxresearch.data import periods

    named = next((one for one in (folder, *folder.parents) if one.name == record["period"]), folder)
    beside = named.parent / periods.before(record["period"]) / folder.relative_to(named)
    told = beside / "claims.json"
    there = told.is_file() and archive.file_digest(told) == record.get("earlier")
    return beside if there else named / "none"


def basis(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    """What two runs do not share of what their numbers rest on, in words."""
    for key, words in BASIS.items():
        if before.get(key) != now.get(key):
            yield f"{words}: {before.get(key) or 'none'} → {now.get(key) or 'none'}"
    for name in sorted({*before["versions"], *now["versions"]}):
        then, today = before["versions"].get(name), now["versions"].get(name)
        if then != today:
            yield f"version of {name}: {then or 'none'} → {today or 'none'}"
    sources, today = (
        {name: one["source"] for name, one in record.get("notebooks", {}).items()} for record in (before, now)
    )
    edited = [name for name in sources if name in today and sources[name] != today[name]]
    if edited:
        yield f"notebooks edited: {', '.join(edited)}"
    rows, counts = before["study"]["rows"], now["study"]["rows"]
    for name in sorted({*rows, *counts}):
        if rows.get(name) != counts.get(name):
            yield f"rows of {name}: {rows.get(name, 0):,} → {counts.get(name, 0):,}"


def _touched(record: Mapping[str, Any], folder: Path) -> Iterable[str]:
    for name, digest in sorted(record["files"].items()):
        if not (folder / name).is_file():
            yield f"{name} is missing"
        elif archive.file_digest(folder / name) != digest:
            yield f"{name} was changed after it was published"


def differences(delivered: pd.DataFrame, again: pd.DataFrame) -> list[Difference]:
    """The rows that are not the same, the largest difference first; a missing or additional row is one."""
    one, two = keyed(delivered), keyed(again)
    found = [Difference(key, (("row", "delivered", "missing"),), math.inf) for key in one if key not in two]
    found += [Difference(key, (("row", "missing", "made again"),), math.inf) for key in two if key not in one]
    for key in one:
        if key in two:
            unlike = [(c, one[key][c], two[key].get(c)) for c in one[key] if not _alike(one[key][c], two[key].get(c))]
            if unlike:
                found.append(Difference(key, tuple(unlike), max(_size(a, b) for _, a, b in unlike)))
    return sorted(found, key=lambda one: (-one.size, one.row))


def _alike(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=REL, abs_tol=TINY)
    return bool(one == two)


def _size(one: Any, two: Any) -> float:
    """How far two numbers are apart, of the larger; texts and what is missing are infinitely far."""
    if not all(isinstance(v, int | float) for v in (one, two)):
        return math.inf
    return abs(one - two) / max(abs(one), abs(two))


def lines(found: Verification, most: int = 10) -> Sequence[str]:
    """What came of it, as lines: the verdict, what the runs do not share, and the largest differences."""
    told = [f"differs: {one}" for one in found.files]
    told += [f"rests on other {one}" for one in found.basis]
    for one in found.differences[:most]:
        name = " · ".join(part for part in one.row[:-1] if part)
        parts = [f"{column} {_said(a)} → {_said(b)}" for column, a, b in one.columns[:3]]
        size = "" if math.isinf(one.size) else f" ({one.size:.1e} of the number)"
        told.append(f"differs: {name}: {'; '.join(parts)}{size}")
    if len(found.differences) > most:
        told.append(f"and {len(found.differences) - most:,} more rows differ")
    if found.same:
        return [*told, f"same: all {found.rows:,} rows agree to {REL:g} of each number"]
    return [
        *told,
        f"not the same: {len(found.differences):,} of {found.rows:,} rows differ, {len(found.files)} files changed",
    ]


def _said(value: Any) -> str:
    return (
        "none"
        if value is None
        else json.dumps(value, ensure_ascii=False)
        if isinstance(value, str)
        else f"{value:.12g}"
    )
