"""The ledger: every number of a run as one tidy table, so that history and other tools read what was published.

Its columns are those of a Finding and what the number rests on. A verdict is a row too: the judged number at the
verdict's own interval, with `claim`, `part`, `verdict`, `reason` and `decided_in`, which are null in all other rows.
The ledgers of an edition's periods are one history. Each says its version; every older one is read for ever.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxresearch.claims import VERDICT_MIME
from cxresearch.errors import UsageError
from cxresearch.finding import FINDING_MIME
from cxresearch.report.archive import ROOT
from cxresearch.table import COLUMNS, COUNT_COLUMNS, NUMBER_COLUMNS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCHEMA_VERSION = "2"
SCHEMA_KEY, POLICY_KEY = b"cxresearch.ledger", b"cxresearch.policy"
RUN_COLUMNS = ("edition", "study", "period", "run", "notebook", "finding", "design", "method", "caveats")
VERDICT_COLUMNS = ("claim", "part", "verdict", "reason", "decided_in")
ALL_COLUMNS = (*RUN_COLUMNS, *COLUMNS, *VERDICT_COLUMNS, "policy")
# columns that a version has and the one before had not; an older ledger gets them, null but for its policy
ADDED = {"2": ("decided_in", "policy")}
PERIOD = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2]|Q[1-4])")
# what tells the rows of one run apart
KEYS = ("notebook", "finding", "claim", "part", "outcome", "term", "group", "model", "measure", "unit")
OF_THE_RUN = ("edition", "study", "period", "run", "policy")  # said of all its rows alike
JUDGED = ("outcome", "term", "group", "model", "measure", "estimate", "conf_low", "conf_high", "conf_level", "n")


def displayed(notebook: Mapping[str, Any], mime: str) -> list[dict[str, Any]]:
    """What a notebook showed of one kind, in the order of its cells."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return [dict(output["data"][mime]) for output in outputs if mime in output.get("data", {})]


def rows(name: str, notebook: Mapping[str, Any], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one executed notebook: its findings, then its verdicts. `run` has edition, study, period, run."""
    findings = displayed(notebook, FINDING_MIME)
    # The same finding shown twice is one number, and a ledger that counts it twice is wrong.
    unique = {finding["name"]: finding for finding in findings}
    ledger = []
    for finding in unique.values():
        base = {**run, "notebook": name, **_source(finding)}
        ledger += [{**base, **record} for record in finding["table"]]
    for verdict in displayed(notebook, VERDICT_MIME):
        base = {**run, "notebook": name, **_source(unique.get(verdict["finding"], {})), "finding": verdict["finding"]}
        ledger.append({**base, **{k: verdict.get(k) for k in (*JUDGED, "unit", *VERDICT_COLUMNS)}})
    return ledger


def _source(finding: Mapping[str, Any]) -> dict[str, Any]:
    codes = ";".join(caveat["code"] for caveat in finding.get("caveats", []))
    return {"finding": finding.get("name"), **{k: finding.get(k) for k in ("design", "method")}, "caveats": codes}


def _schema(policy: str) -> pa.Schema:
    import pyarrow as pa

    kinds = dict.fromkeys(NUMBER_COLUMNS, pa.float64()) | dict.fromkeys(COUNT_COLUMNS, pa.int64())
    fields = [pa.field(name, kinds.get(name, pa.string())) for name in ALL_COLUMNS]
    return pa.schema(fields, metadata={SCHEMA_KEY: SCHEMA_VERSION.encode(), POLICY_KEY: policy.encode()})


def write(ledger: Iterable[Mapping[str, Any]], path: Path, policy: str = "") -> None:
    """The rows as a Parquet file, with the hash of the policy of its verdicts; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Shown order is reading order; nothing is sorted, nothing depends on the clock.
    plain = [{**{name: row.get(name) for name in ALL_COLUMNS}, "policy": policy} for row in ledger]
    pq.write_table(pa.Table.from_pylist(plain, schema=_schema(policy)), path, compression="zstd")


def open_ledger(path: str | Path) -> pd.DataFrame:
    """Every number of one run, or of all periods of an edition: one row per estimate and per verdict, null where there is none.

    `path` is a ledger file, the folder of a report, or that of an edition (`reports/monthly`), whose periods then stand
    one after the other, oldest first; relative paths start at the project's root. A number that was suppressed when it
    was published stays so. `.attrs["policy"]` is the hash of the policy that the verdicts rest on, empty where periods
    rest on several; the column `policy` has it for each row. Raises UsageError where it is none of these.
    """
    import pandas as pd

    found = [_opened(file, path) for file in _files(ROOT / path, path)]
    frame = pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]
    policies = {one.attrs["policy"] for one in found}
    frame.attrs["policy"] = policies.pop() if len(policies) == 1 else ""
    return frame


def _files(place: Path, asked: str | Path) -> list[Path]:
    """The ledger of a report, or those of the periods of an edition; failed reports and those with other values are none."""
    if place.is_file():
        return [place]
    if (place / "ledger.parquet").is_file():
        return [place / "ledger.parquet"]
    inside = sorted(place.glob("*/ledger.parquet"), key=lambda file: file.parent.name)
    periods = [file for file in inside if PERIOD.fullmatch(file.parent.name)]
    if not periods:
        raise UsageError(f"no ledger at {asked}; a ledger is the file ledger.parquet in the folder of a report")
    return periods


def _opened(file: Path, asked: str | Path) -> pd.DataFrame:
    """One ledger of any version as a frame of this one."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except pa.ArrowInvalid:
        raise UsageError(f"{asked} is no Parquet file, so it is no ledger") from None
    about = table.schema.metadata or {}
    version, policy = (about.get(key, b"").decode() for key in (SCHEMA_KEY, POLICY_KEY))
    if version not in ("1", *ADDED):
        kind = f"a ledger of version {version}" if version else "no ledger"
        raise UsageError(f"{asked} is {kind}; this release reads versions 1 to {SCHEMA_VERSION}")
    for later, columns in ADDED.items():
        for name in columns if int(later) > int(version) else ():
            value = policy if name == "policy" else None
            table = table.append_column(name, pa.array([value] * len(table), pa.string()))
    types = {pa.string(): pd.StringDtype(), pa.float64(): pd.Float64Dtype(), pa.int64(): pd.Int64Dtype()}
    frame = table.select(ALL_COLUMNS).to_pandas(types_mapper=types.get)
    frame.attrs["policy"] = policy
    return frame


def keyed(ledger: pd.DataFrame) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows of one run by what tells them apart, with None where null; the same key twice is counted."""
    from pandas import isna

    found: dict[tuple[str, ...], dict[str, Any]] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    for record in ledger.to_dict("records"):
        plain = {str(k): (None if isna(v) else v) for k, v in record.items() if k not in OF_THE_RUN}
        key = tuple("" if plain[name] is None else str(plain[name]) for name in KEYS)
        seen[key] += 1
        found[(*key, str(seen[key]))] = plain
    return found
