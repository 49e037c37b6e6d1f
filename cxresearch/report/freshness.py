"""Freshness: what a report rests on, whether it still does, and why a notebook would have to run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxresearch.report import archive, edition, secrets
from cxresearch.report.plan import Plan

SHARED = ("study", "period", "data_fingerprint", "policy", "versions", "code")
LAYOUT = ("title", "audience", "notebooks", "summary", "formats")


@dataclass(frozen=True)
class Standing:
    """How a notebook stands: the executed one that can be taken over, or why it must run."""

    notebook: str
    executed: Path | None
    reasons: tuple[str, ...]


# ------------------------------------------------------------------------------------ what a report rests on


def facts(plan: Plan) -> dict[str, Any]:
    """What the report rests on; the run's name follows from it, and from nothing else."""
    from cxresearch.policy import policy_hash

    root, own = plan.request.root, plan.request.edition
    before = earlier_report(plan)
    inputs = {
        "edition": own.name,
        "study": plan.study.name,
        "period": plan.study.period,
        "data_fingerprint": plan.study.fingerprint,
        "parameters": recorded(plan),
        "incomplete": plan.study.incomplete,
        "policy": policy_hash(),  # another policy gives other verdicts from the same numbers
        "versions": archive.versions(),
        "code": archive.source_digest(archive.ROOT / "cxresearch"),
        "notebooks": {name: _notebook(plan, name) for name in own.all_notebooks},
    }
    if before:  # verdicts may stay from there
        inputs["earlier"] = archive.file_digest(before / "claims.json")
    layout = {key: getattr(own, key) for key in LAYOUT}
    return {
        **inputs,
        **archive.commit(root),
        "run": archive.run_id(inputs),
        "layout": json.loads(json.dumps(layout)),
    }


def _notebook(plan: Plan, name: str) -> dict[str, str]:
    """What is a notebook's own: its source, and the report whose verdicts stay in it."""
    cells = edition.notebook(name, plan.request.root)["cells"]
    # what its last run in JupyterLab showed is no part of what it asks
    asked = [(cell["cell_type"], cell["source"], cell["metadata"].get("tags", [])) for cell in cells]
    before = earlier(plan, name)
    told = archive.file_digest(before / "claims.json") if before else ""
    return {"source": hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12], "earlier": told}


def earlier_report(plan: Plan) -> Path | None:
    """The folder of the complete report on the same study in the period before, if there is one."""
    found = archive.record(plan.previous) or {}
    same = found.get("study", {}).get("name") == plan.study.name and found.get("status") == "complete"
    return plan.previous if same and (plan.previous / "claims.json").is_file() else None


def earlier(plan: Plan, name: str) -> Path | None:
    """The report before whose verdicts stay in a notebook: it must have been made with the same values."""
    before = earlier_report(plan)
    if before is None:
        return None
    then = (archive.record(before) or {}).get("parameters", {}).get(name)
    now = recorded(plan)[name]
    return before.resolve() if then is not None and {**then, "period": None} == {**now, "period": None} else None


def history(plan: Plan) -> list[Path]:
    """The folders of earlier periods whose numbers a trend may join to this report's, oldest first.

    Complete and untouched reports on the same study with the same values. They are no part of what a report rests on:
    none of its own numbers follows from them, so one that is made later does not make this report old.
    """
    from cxresearch.data.periods import before
    from cxresearch.report.trends import PERIODS

    period, found = plan.study.period, list[Path]()
    inner = plan.folder.relative_to(plan.base / period)
    for _ in range(PERIODS - 1):
        period = before(period)
        folder = plan.base / period / inner
        then = archive.record(folder) or {}
        same = (then.get("study") or {}).get("name") == plan.study.name and then.get("status") == "complete"
        if same and (then.get("files") or {}).get("ledger.parquet") == _digest(folder / "ledger.parquet"):
            found.insert(0, folder)
    return found


def recorded(plan: Plan) -> dict[str, dict[str, Any]]:
    """The values of all notebooks as they are written down."""
    plain = {name: {key: secrets.shown(key, value) for key, value in own.items()} for name, own in plan.values.items()}
    written: dict[str, dict[str, Any]] = json.loads(archive.without_home(json.dumps(plain, default=str)))
    return written


def made_from(name: str, found: Mapping[str, Any]) -> str:
    """The fingerprint of all that one notebook's results follow from."""
    own = {key: found[key] for key in SHARED} | {"own": found["notebooks"][name]}
    own["parameters"] = found["parameters"][name]
    if name == found["layout"]["summary"]:
        own["run"] = found["run"]  # it reads the numbers of all others
    return archive.run_id(own)


# ---------------------------------------------------------------------------------------- whether it still does


def standings(plan: Plan, found: Mapping[str, Any]) -> list[Standing]:
    """How each notebook stands, in the order in which they run."""
    if plan.request.force:
        return [Standing(name, None, ("asked for with --force",)) for name in plan.request.edition.all_notebooks]
    places = list(_places(plan))
    then = _compared(plan)
    made: list[Standing] = []
    for name in plan.request.edition.all_notebooks:
        wanted = made_from(name, found)
        files = [place / "notebooks" / f"{name}.ipynb" for place in places]
        executed = next((f for f in files if archive.made_from(f) == wanted and _untouched(f)), None)
        running = [one.notebook for one in made if one.executed is None]
        if name == plan.request.edition.summary and running:
            made.append(Standing(name, None, (f"it reads the numbers of {', '.join(running)}",)))
        else:
            made.append(Standing(name, executed, () if executed else tuple(_reasons(name, found, then))))
    return made


def outlook(plan: Plan) -> list[tuple[str, str, str]]:
    """What a run would do with each notebook, and why; at last with page and paper."""
    found = facts(plan)
    stand = standings(plan, found)
    rows = [(one.notebook, "up to date" if one.executed else "would run", "; ".join(one.reasons)) for one in stand]
    changes = [] if any(one.executed is None for one in stand) else layout_changes(plan, found)
    fresh = all(one.executed for one in stand) and not changes
    return [*rows, ("page and paper", "up to date" if fresh else "would be made", "; ".join(changes))]


def layout_changes(plan: Plan, found: Mapping[str, Any]) -> list[str]:
    """Why page and paper would have to be made again although no notebook has to run."""
    then = archive.record(plan.folder) or {}
    if then.get("status") != "complete":
        return ["there is no complete report yet"]
    before = then.get("layout") or {}
    changed = [f"{key} changed" for key in LAYOUT if before.get(key) != found["layout"][key]]
    if then.get("run") != found["run"]:
        changed.append("what it rests on changed")
    return changed + [f"{name} is missing or damaged" for name in _damaged(plan.folder, then)]


def _places(plan: Plan) -> Iterable[Path]:
    """Where executed notebooks may be taken over from; from what failed or was interrupted only on request."""
    if plan.request.resume:
        yield archive.failed_place(plan.folder)
        yield from archive.unfinished(plan.base, plan.folder)
    if plan.request.resume or (archive.record(plan.folder) or {}).get("status") == "complete":
        yield plan.folder


def _compared(plan: Plan) -> Mapping[str, Any]:
    """The record that changes are told against: the first of what may be taken over, else of the report itself."""
    records = (archive.record(place) for place in (*_places(plan), plan.folder))
    return next((one for one in records if one is not None), {})


def _untouched(executed: Path) -> bool:
    """Whether a file of a report is as it was written; one of an interrupted run has no record to be held against."""
    then = archive.record(executed.parent.parent)
    name = executed.relative_to(executed.parent.parent).as_posix()
    return then is None or (then.get("files") or {}).get(name) == archive.file_digest(executed)


def _damaged(folder: Path, then: Mapping[str, Any]) -> list[str]:
    files = then.get("files") or {archive.RECORD: ""}
    return [name for name, digest in files.items() if _digest(folder / name) != digest]


def _digest(path: Path) -> str | None:
    return archive.file_digest(path) if path.is_file() else None


def _reasons(name: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> Iterable[str]:
    """Why a notebook must run, in words: what differs from the run before."""
    own = (then.get("notebooks") or {}).get(name)
    if own is None:
        yield "new"
        return
    changed = list(_changes(name, now, then, own))
    yield from changed
    if name in (then.get("failed") or {}):
        yield "it failed"
    elif not changed:
        yield "its executed notebook is missing or damaged"


def _changes(name: str, now: Mapping[str, Any], then: Mapping[str, Any], own: Mapping[str, Any]) -> Iterable[str]:
    if own.get("source") != now["notebooks"][name]["source"]:
        yield "notebook changed"
    yield from _differences("parameter", then.get("parameters", {}).get(name, {}), now["parameters"][name])
    if then.get("data_fingerprint") != now["data_fingerprint"]:
        yield "data changed"
    if then.get("policy") != now["policy"]:
        yield "policy changed"
    if then.get("code") != now["code"]:
        yield "code changed"
    yield from _differences("version of", then.get("versions", {}), now["versions"])
    if own.get("earlier") != now["notebooks"][name]["earlier"]:
        yield "earlier verdicts changed"
    if name == now["layout"]["summary"] and then.get("run") != now["run"]:
        yield "the report changed"


def _differences(kind: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    for key in {**then, **now}:
        if then.get(key) != now.get(key):
            before, after = (_worded(values, key, kind) for values in (then, now))
            yield f"{kind} {key} changed {before} -> {after}"


def _worded(values: Mapping[str, Any], key: str, kind: str) -> str:
    missing = "the notebook's own" if kind == "parameter" else "none"
    value = values.get(key, missing)
    return value if isinstance(value, str) else json.dumps(value)
