"""A report from start to end: check everything, run the notebooks, gather their numbers, render, swap in whole."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxresearch.errors import CxError, GateClosed, KernelDied, NotPublishable, NotWritten
from cxresearch.report import archive, edition, exchange, freshness, outputs, parameters, rendering, shelf, zygote
from cxresearch.report.freshness import Standing
from cxresearch.report.plan import Plan, Request, Say, checked
from cxresearch.report.rendering import Rendered

Facts = Mapping[str, Any]

# Up to so many rows one thread of the engine is enough. More sum in an order of chance, and the last digits show it;
# where so many rows are summed, waiting costs more than the thirteenth digit.
ONE_THREAD_ROWS = 5_000_000


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
    made: bool = False  # else it was up to date

    @property
    def exit_code(self) -> int:
        """0, or that of the worst error; that a report must not be published counts only where nothing else failed."""
        codes = [error.exit_code for error in self.errors]
        return max([code for code in codes if code != NotPublishable.exit_code] or codes, default=0)


def run_edition(request: Request, say: Say) -> Outcome:
    """Make the report that was asked for; raises before any notebook starts where something asked for does not fit.

    Where nothing has changed since it was made, nothing is done. A notebook whose inputs are the same is taken over.
    A notebook that fails is shown as failed and the rest stands, but such a report never takes the place of a good one.
    """
    begin = time.monotonic()
    plan = checked(request, say)
    try:
        archive.recover(plan.base)
        found = freshness.facts(plan)
        standing = {one.notebook: one for one in freshness.standings(plan, found)}
        if all(one.executed for one in standing.values()) and not freshness.layout_changes(plan, found):
            say(f"up to date: {archive.shown(plan.folder)}")
            outcome = Outcome(plan.folder, ())
        else:
            outcome = _made(plan, found, standing, begin, say)
        shelf.arrange(request.shelf, anew=outcome.made)
    except OSError as error:
        raise NotWritten(_unwritten(request.shelf, error)) from error
    return outcome


def _made(plan: Plan, found: Facts, standing: Mapping[str, Standing], begin: float, say: Say) -> Outcome:
    clock = {"start": begin, "checked": time.monotonic()}
    own = plan.request.edition
    with zygote.ready(plan.request.fork), archive.aside(plan.base, plan.folder) as made:
        (made / "notebooks").mkdir()
        chapters = _side_by_side(plan, own.notebooks, made, say, standing, found)
        _write_numbers(plan, chapters, made, found)
        if own.summary:
            chapters += _side_by_side(plan, [own.summary], made, say, standing, found)
        _refuse_mixed(plan, found)
        clock["run"] = time.monotonic()
        rendered = rendering.render(plan, chapters, made, found, say)
        clock["rendered"] = time.monotonic()
        _write_record(plan, chapters, rendered, made, found, clock)
        failed, gated = [chapter for chapter in chapters if chapter.error], rendered.gated
        folder = archive.publish(made, plan.base, plan.folder, plan.study.name, failed=bool(failed), gated=bool(gated))
    kept = f"kept aside in {archive.shown(folder)}"
    aside = [NotPublishable(f"{error}; {kept}") for error in gated]
    return Outcome(folder, (*(_located(chapter, folder) for chapter in failed), *aside), made=True)


def _refuse_mixed(plan: Plan, found: Facts) -> None:
    """Stop where data, notebooks or code changed meanwhile: some numbers would be of before, some of after."""
    now = freshness.facts(checked(plan.request))
    words = {"data_fingerprint": "data", "notebooks": "notebooks", "code": "code"}
    if changed := [word for key, word in words.items() if now[key] != found[key]]:
        raise GateClosed(f"{' and '.join(changed)} changed while the report was made; run it again when they rest")


def _unwritten(folder: Path, error: OSError) -> str:
    where = f" ({archive.shown(Path(os.fsdecode(error.filename)))})" if error.filename else ""
    told = f"{archive.shown(folder)} cannot be written: {error.strerror or error}{where}"
    return f"{told}; what lay there is untouched; free or allow space there, or name another folder with -o"


# ------------------------------------------------------------------------------------------------- running


def _side_by_side(
    plan: Plan, names: Sequence[str], made: Path, say: Say, standing: Mapping[str, Standing], found: Facts
) -> list[Chapter]:
    """The chapters in the order of their names: those taken over, and those that run now."""
    taken = [_taken_over(standing[name], made) for name in names if standing[name].executed]
    if taken:
        say(f"taking over {', '.join(one.name for one in taken)}")
    ran = _run([name for name in names if not standing[name].executed], plan, made, say, found)
    return sorted([*taken, *ran], key=lambda one: names.index(one.name))


def _taken_over(standing: Standing, made: Path) -> Chapter:
    import nbformat

    assert standing.executed is not None
    text = standing.executed.read_text(encoding="utf-8")
    (made / "notebooks" / standing.executed.name).write_text(text, encoding="utf-8")
    then = archive.record(standing.executed.parent.parent) or {}
    seconds = then.get("seconds", {}).get(standing.notebook, 0.0)
    return Chapter(standing.notebook, nbformat.reads(text, as_version=4), seconds, None)


def _run(names: Sequence[str], plan: Plan, made: Path, say: Say, found: Facts) -> list[Chapter]:
    if not names:
        return []
    from cxresearch.report import kernels

    say(f"running {', '.join(names)}")
    beside = min(plan.request.at_once, len(names))
    pool = ThreadPoolExecutor(max_workers=plan.request.at_once)
    try:
        return list(pool.map(lambda name: _marked(_executed(plan, name, made, say, beside), made, found), names))
    except BaseException:  # an interrupt too: no process of ours may stay behind
        pool.shutdown(wait=False, cancel_futures=True)
        kernels.stop_all()
        raise
    finally:
        pool.shutdown()
        kernels.allow()


def _marked(chapter: Chapter, made: Path, found: Facts) -> Chapter:
    """The chapter with what it was made from written into its notebook, so that a later run may take it over."""
    if chapter.error is None:
        chapter.notebook.metadata["cxresearch"] = {"made_from": freshness.made_from(chapter.name, found)}
        _write(made / "notebooks" / f"{chapter.name}.ipynb", chapter.notebook)
    return chapter


def _executed(plan: Plan, name: str, made: Path, say: Say, beside: int) -> Chapter:
    from cxresearch.claims import EARLIER
    from cxresearch.data.engine import THREADS
    from cxresearch.report import kernels

    begin = time.monotonic()
    root, target = plan.request.root, made / "notebooks" / f"{name}.ipynb"
    values = dict(plan.values[name])
    if name == plan.request.edition.summary:
        values |= _told(plan, made, name)
    told = {EARLIER: str(freshness.earlier(plan, name) or ""), THREADS: str(_threads(plan, beside))}
    notebook, error = kernels.execute(root / "notebooks" / f"{name}.ipynb", target, values, root, told)
    notebook = outputs.tidied(notebook, root, made, plan.hidden)
    error = error and type(error)(plan.hidden.text(str(error)))
    _write(target, notebook)
    seconds = round(time.monotonic() - begin, 2)
    say(f"{name}: {'failed' if error else 'done'} after {seconds:.1f} s")
    return Chapter(name, notebook, seconds, error)


def _threads(plan: Plan, beside: int) -> int:
    """How many threads of the engine a notebook gets: the same numbers come out however many run beside it."""
    few = sum(plan.study.rows.values()) <= ONE_THREAD_ROWS
    return 1 if few else max(1, (os.cpu_count() or 1) // beside)


def _told(plan: Plan, made: Path, name: str) -> dict[str, Any]:
    """What the summary is told: the numbers of this run, the verdicts of the period before, and the earlier ledgers."""
    root = plan.request.root
    before = freshness.earlier_report(plan)
    told = {
        "ledger": _path_text(made / "ledger.parquet", root),
        "previous": _path_text(before / "claims.json", root) if before else "",
        "history": [_path_text(folder / "ledger.parquet", root) for folder in freshness.history(plan)],
    }
    form = parameters.read(edition.notebook(name, root))
    return {key: value for key, value in told.items() if key in form}


def _path_text(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _write(path: Path, notebook: Any) -> None:
    exchange.write(path, json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


# ------------------------------------------------------------------------------------- numbers and rendering


def _write_numbers(plan: Plan, chapters: Sequence[Chapter], made: Path, facts: Facts) -> None:
    from cxresearch.claims import VERDICT_MIME, combine
    from cxresearch.finding import dumps
    from cxresearch.report import ledger

    run = {key: facts[key] for key in ("edition", "study", "period", "run")}
    rows = [row for one in chapters for row in ledger.rows(one.name, one.notebook, run)]
    ledger.write(rows, made / "ledger.parquet", facts["policy"])
    parts = [part for one in chapters for part in ledger.displayed(one.notebook, VERDICT_MIME)]
    (made / "claims.json").write_text(dumps(combine(parts, plan.study.columns)) + "\n", encoding="utf-8")


def _write_record(
    plan: Plan,
    chapters: Sequence[Chapter],
    rendered: Rendered,
    made: Path,
    facts: Facts,
    clock: Mapping[str, float],
) -> None:
    from cxresearch.policy import SEED

    failed = {one.name: str(one.error) for one in chapters if one.error}
    steps = {"check": "start checked", "notebooks": "checked run", "render": "run rendered"}
    seconds = {step: round(clock[b] - clock[a], 2) for step, (a, b) in ((s, w.split()) for s, w in steps.items())}
    record = {
        **facts,
        "schema": 2,  # 2 has layout, notebooks, code, seed and files
        "headline": rendered.headline,
        "seed": SEED,
        "status": "failed" if failed or rendered.gated else "complete",
        "title": plan.request.edition.title,
        "study": {"name": plan.study.name, "title": plan.study.title, "rows": dict(plan.study.rows)},
        "as_of": plan.request.as_of.isoformat() if plan.request.as_of else None,
        "command": plan.command,
        "failed": failed,
        "gates": [str(error) for error in rendered.gated],
        "verdicts": _counted(made),
        "files": {path.relative_to(made).as_posix(): archive.file_digest(path) for path in archive.files(made)},
        "seconds": {**seconds, **{one.name: one.seconds for one in chapters}},
    }
    text = json.dumps(plan.hidden.value(record), ensure_ascii=False, indent=2, sort_keys=True)
    (made / archive.RECORD).write_text(archive.without_paths(text, plan.request.root, made) + "\n", encoding="utf-8")


def _counted(made: Path) -> dict[str, int]:
    """How many claims got which verdict."""
    claims = json.loads((made / "claims.json").read_text(encoding="utf-8"))
    return dict(Counter(str(claim["verdict"]) for claim in claims))


def _located(chapter: Chapter, folder: Path) -> CxError:
    where = archive.shown(folder / "notebooks" / f"{chapter.name}.ipynb")
    kind = type(chapter.error) if chapter.error else KernelDied
    return kind(f"{chapter.name}, {chapter.error}; executed so far: {where}")
