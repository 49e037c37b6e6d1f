"""A report from start to end: check everything, run the notebooks, gather their numbers, render, swap in whole."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxresearch.claims import EARLIER
from cxresearch.errors import CxError, KernelDied, RenderError
from cxresearch.finding import dumps
from cxresearch.report import archive, edition, ledger, parameters, zygote
from cxresearch.report.plan import Plan, Request, Say, checked

# Up to so many rows one thread of the engine is enough. More sum in an order of chance, and the last digits show it;
# where so many rows are summed, waiting costs more than the thirteenth digit.
ONE_THREAD_ROWS = 5_000_000
SHOWN = "application/vnd.cxresearch."  # kinds of output that are published begin so


@dataclass(frozen=True)
class Chapter:
    """A notebook that ran."""

    name: str
    notebook: Any
    seconds: float
    error: CxError | None


@dataclass(frozen=True)
class Outcome:
    """Where the report lies and what went wrong in it."""

    folder: Path
    errors: tuple[CxError, ...]

    @property
    def exit_code(self) -> int:
        """0, or that of the worst error."""
        return max((error.exit_code for error in self.errors), default=0)


def run_edition(request: Request, say: Say) -> Outcome:
    """Make the report that was asked for; raises before any notebook starts where something asked for does not fit.

    A notebook that fails is shown as failed and the rest stands, but such a report never takes the place of a good one.
    """
    with zygote.ready(request.fork):
        return _made(request, say)


def _made(request: Request, say: Say) -> Outcome:
    clock = {"start": time.monotonic()}
    plan = checked(request, say)
    clock["checked"] = time.monotonic()
    base = (request.out or request.root / "reports") / request.edition.name
    with archive.aside(base) as made:
        (made / "notebooks").mkdir()
        chapters = _side_by_side(plan, request.edition.notebooks, made, say)
        facts = _facts(plan)
        _write_numbers(plan, chapters, made, facts)
        if request.edition.summary:
            chapters += _side_by_side(plan, [request.edition.summary], made, say)
        if not any(_shows(chapter.notebook) for chapter in chapters):
            raise RenderError("no notebook showed a finding, so there is nothing to report")
        clock["run"] = time.monotonic()
        _render(plan, chapters, made, facts, say)
        clock["rendered"] = time.monotonic()
        _write_record(plan, chapters, made, facts, clock)
        failed = [chapter for chapter in chapters if chapter.error]
        folder = _place(plan.folder, failed=bool(failed))
        archive.swap(made, folder)
    return Outcome(folder, tuple(_located(chapter, folder) for chapter in failed))


# ------------------------------------------------------------------------------------------------- running


def _side_by_side(plan: Plan, names: Sequence[str], made: Path, say: Say) -> list[Chapter]:
    from cxresearch.report import kernels

    say(f"running {', '.join(names)}")
    beside = min(plan.request.at_once, len(names))
    pool = ThreadPoolExecutor(max_workers=plan.request.at_once)
    try:
        return list(pool.map(lambda name: _executed(plan, name, made, say, beside), names))
    except BaseException:  # an interrupt too: no process of ours may stay behind
        pool.shutdown(wait=False, cancel_futures=True)
        kernels.stop_all()
        raise
    finally:
        pool.shutdown()


def _executed(plan: Plan, name: str, made: Path, say: Say, beside: int) -> Chapter:
    from cxresearch.data.engine import THREADS
    from cxresearch.report import kernels

    begin = time.monotonic()
    root, target = plan.request.root, made / "notebooks" / f"{name}.ipynb"
    values = dict(plan.values[name])
    if name == plan.request.edition.summary:
        values |= _told(plan, made, name)
    told = {EARLIER: str(_earlier(plan, name) or ""), THREADS: str(_threads(plan, beside))}
    notebook, error = kernels.execute(root / "notebooks" / f"{name}.ipynb", target, values, root, told)
    notebook = _tidied(notebook, root, made)
    _write(target, notebook)
    seconds = round(time.monotonic() - begin, 2)
    say(f"{name}: {'failed' if error else 'done'} after {seconds:.1f} s")
    return Chapter(name, notebook, seconds, error)


def _threads(plan: Plan, beside: int) -> int:
    """How many threads of the engine a notebook gets: the same numbers come out however many run beside it."""
    few = sum(plan.study.rows.values()) <= ONE_THREAD_ROWS
    return 1 if few else max(1, (os.cpu_count() or 1) // beside)


def _told(plan: Plan, made: Path, name: str) -> dict[str, str]:
    """What the summary is told: the numbers of this run, and the verdicts of the period before if there are any."""
    root = plan.request.root
    before = _before(plan)
    told = {"ledger": made / "ledger.parquet", "previous": before and before / "claims.json"}
    form = parameters.read(edition.notebook(name, root))
    return {key: _path_text(path, root) if path else "" for key, path in told.items() if key in form}


def _before(plan: Plan) -> Path | None:
    """The folder of the complete report on the same study in the period before, if there is one."""
    found = archive.record(plan.previous) or {}
    same = found.get("study", {}).get("name") == plan.study.name and found.get("status") == "complete"
    return plan.previous if same and (plan.previous / "claims.json").is_file() else None


def _earlier(plan: Plan, name: str) -> Path | None:
    """The report before whose verdicts stay in a notebook: it must have been made with the same values."""
    before = _before(plan)
    if before is None:
        return None
    then = (archive.record(before) or {}).get("parameters", {}).get(name)
    now = _recorded(plan)[name]
    return before.resolve() if then is not None and {**then, "period": None} == {**now, "period": None} else None


def _recorded(plan: Plan) -> dict[str, dict[str, Any]]:
    """The values of all notebooks as they are written down."""
    written: dict[str, dict[str, Any]] = json.loads(archive.without_home(json.dumps(plan.values, default=str)))
    return written


def _path_text(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _tidied(notebook: Any, root: Path, made: Path) -> Any:
    """The notebook without clock, chance and paths of this machine, so that equal runs give equal files."""
    import nbformat

    about = notebook.metadata.get("papermill", {})
    notebook.metadata["papermill"] = {key: about.get(key) for key in ("parameters", "version", "exception")}
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("papermill", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = f"injected-{number}"
    inside = made.relative_to(root).as_posix() if made.is_relative_to(root) else str(made)
    text = json.dumps(notebook).replace(f"{inside}/", "")
    return nbformat.from_dict(json.loads(archive.without_paths(text, root, made)))


def _write(path: Path, notebook: Any) -> None:
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------- numbers and rendering


def _facts(plan: Plan) -> dict[str, Any]:
    """What the report rests on; the run's name follows from it, and from nothing else."""
    from cxresearch.policy import policy_hash

    root, own = plan.request.root, plan.request.edition
    before = _before(plan)
    inputs = {
        "edition": own.name,
        "study": plan.study.name,
        "period": plan.study.period,
        "data_fingerprint": plan.study.fingerprint,
        "parameters": _recorded(plan),
        "policy": policy_hash(),  # another policy gives other verdicts from the same numbers
        "versions": archive.versions(),
    }
    if before:  # verdicts may stay from there
        inputs["earlier"] = archive.file_digest(before / "claims.json")
    sources = {name: edition.notebook(name, root) for name in own.all_notebooks}
    code = archive.source_digest(archive.ROOT / "cxresearch")
    return {**inputs, **archive.commit(root), "run": archive.run_id({**inputs, "code": code, "sources": sources})}


def _write_numbers(plan: Plan, chapters: Sequence[Chapter], made: Path, facts: Mapping[str, Any]) -> None:
    from cxresearch.claims import combine

    run = {key: facts[key] for key in ("edition", "study", "period", "run")}
    rows = [row for one in chapters for row in ledger.rows(one.name, one.notebook, run)]
    ledger.write(rows, made / "ledger.parquet", facts["policy"])
    parts = [part for one in chapters for part in ledger.displayed(one.notebook, ledger.VERDICT_MIME)]
    (made / "claims.json").write_text(dumps(combine(parts, plan.study.columns)) + "\n", encoding="utf-8")


def _shows(notebook: Any) -> bool:
    kinds = (kind for cell in notebook.cells for out in cell.get("outputs", []) for kind in out.get("data", {}))
    return any(kind.startswith(SHOWN) for kind in kinds)


def _render(plan: Plan, chapters: Sequence[Chapter], made: Path, facts: Mapping[str, Any], say: Say) -> None:
    from cxresearch.report import document, page, paper

    say("rendering")
    own, as_of = plan.request.edition, plan.request.as_of
    first = plan.values[own.all_notebooks[0]]
    about = {
        **facts,
        "title": own.title,
        "subtitle": f"For {own.audience}" if own.audience else "",
        "study_title": plan.study.title,
        "segment": first.get("segment", ""),
        "generated": as_of.isoformat() if as_of else "",
        "command": plan.command,
        "parameters": _common(facts["parameters"]),
        "summary": own.summary or "",
    }
    reading = sorted(chapters, key=lambda one: one.name != own.summary)
    try:
        whole = document.read(document.merge([(one.name, one.notebook) for one in reading], about))
        for warning in whole.warnings:
            say(f"warning: {warning}")
        if "html" in own.formats:
            (made / "report.html").write_text(page.render(whole), encoding="utf-8")
        if "pdf" in own.formats:
            printed = paper.render(whole)
            (made / "report.pdf").write_bytes(printed.pdf)
            for warning in printed.warnings:
                say(f"warning: {warning}")
    except CxError:
        raise
    except Exception as error:
        raise RenderError(f"the report could not be rendered: {type(error).__name__}: {error}") from error


def _common(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The values for print: once where notebooks agree, else one for each notebook."""
    merged: dict[str, Any] = {}
    for notebook, own in values.items():
        for name, value in own.items():
            merged[name if merged.get(name, value) == value else f"{notebook}.{name}"] = value
    return merged


def _write_record(
    plan: Plan, chapters: Sequence[Chapter], made: Path, facts: Mapping[str, Any], clock: Mapping[str, float]
) -> None:
    failed = {one.name: str(one.error) for one in chapters if one.error}
    steps = {"check": "start checked", "notebooks": "checked run", "render": "run rendered"}
    seconds = {step: round(clock[b] - clock[a], 2) for step, (a, b) in ((s, w.split()) for s, w in steps.items())}
    record = {
        **facts,
        "schema": 1,
        "status": "failed" if failed else "complete",
        "title": plan.request.edition.title,
        "study": {"name": plan.study.name, "title": plan.study.title, "rows": dict(plan.study.rows)},
        "as_of": plan.request.as_of.isoformat() if plan.request.as_of else None,
        "command": plan.command,
        "failed": failed,
        "seconds": {**seconds, **{one.name: one.seconds for one in chapters}},
    }
    text = json.dumps(record, ensure_ascii=False, indent=2, sort_keys=True)
    (made / archive.RECORD).write_text(archive.without_paths(text, plan.request.root, made) + "\n", encoding="utf-8")


def _place(folder: Path, failed: bool) -> Path:
    """Where the report goes: a failed one lies beside a good one, never in its place."""
    before = archive.record(folder) or {}
    return folder.with_name(f"{folder.name}.failed") if failed and before.get("status") == "complete" else folder


def _located(chapter: Chapter, folder: Path) -> CxError:
    where = archive.shown(folder / "notebooks" / f"{chapter.name}.ipynb")
    kind = type(chapter.error) if chapter.error else KernelDied
    return kind(f"{chapter.name}, {chapter.error}; executed so far: {where}")
