"""The command line: what a notebook does, for a scheduler and for those who only want the report.

Results (paths) go to stdout, progress and errors to stderr. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from cxresearch import __version__, options
from cxresearch.errors import CxError, NotWritten, UsageError

if TYPE_CHECKING:
    from cxresearch.report.edition import Edition
    from cxresearch.report.plan import Request
    from cxresearch.report.run import Outcome

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = 130
TERMINATED = 143
PART_FAILED = 6
DIFFERS = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        try:
            asked = options.parser().parse_args(argv)
            return VERBS[asked.verb](asked)
        finally:
            _write("", sys.stdout)  # what the parser printed itself
    except CxError as error:
        _complain(error)
        return error.exit_code
    except OSError as error:  # wherever: a folder that may not be entered, a full disk, a file in a folder's place
        from cxresearch.report import archive

        where = f"{archive.without_home(str(error.filename))}: " if error.filename else ""
        _complain(NotWritten(f"{where}cannot be read or written: {error.strerror or error}"))
        return NotWritten.exit_code
    except KeyboardInterrupt:
        _say("cxresearch: interrupted")
        return INTERRUPTED


def _say(text: str) -> None:
    from cxresearch.report.secrets import Secrets

    _write(f"{Secrets(()).text(text)}\n", sys.stderr)


def _print(line: str) -> None:
    _write(f"{line}\n", sys.stdout)


def _write(text: str, stream: TextIO | None) -> None:
    """Write at once; where the reader has left (`| head -1`) go on without one, so that the work and its exit code stay."""
    if stream is None:  # closed from the start (`>&-`)
        return
    code = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(code, "backslashreplace").decode(code))
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python complains once more as it ends
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            raise NotWritten(f"what was found cannot be written to standard output: {error.strerror}") from None


def _complain(error: CxError) -> None:
    _say(f"cxresearch: error: {' '.join(str(error).split())}")


def _version_or_help(asked: argparse.Namespace) -> int:
    if not asked.version:
        options.parser().print_help()
        return 0
    _print(f"cxresearch {__version__}")
    return 0


# ------------------------------------------------------------------------------------------------- reports


def _report(asked: argparse.Namespace) -> int:
    from cxresearch.report import edition

    return _make(edition.load(asked.edition, ROOT), ("report", asked.edition), asked)


def _run(asked: argparse.Namespace) -> int:
    from cxresearch.report import edition

    return _make(edition.single(asked.notebook, ROOT), ("run", asked.notebook), asked)


def _make(wanted: Edition, command: tuple[str, str], asked: argparse.Namespace) -> int:
    from cxresearch.report.plan import AT_ONCE, Request

    request = Request(
        edition=wanted,
        command=command,
        root=ROOT,
        values=_values(asked),
        **_file_values(asked),
        as_of=asked.as_of or datetime.now().astimezone().date(),
        out=Path(asked.output).resolve() if asked.output else None,
        force=asked.force,
        resume=asked.resume,
        at_once=asked.jobs or AT_ONCE,
        fork=not asked.no_fork,
    )
    fail_fast = getattr(asked, "fail_fast", False)
    if asked.dry_run:
        return _foretell(request, fail_fast)
    with _ended_like_interrupted(kept=True):
        return _make_all(request, fail_fast)


def _told(outcome: Outcome) -> int:
    """Print where a report lies and what went wrong in it."""
    from cxresearch.report import archive

    for path in archive.files(outcome.folder):
        _print(archive.shown(path))
    for error in outcome.errors:
        _complain(error)
    return outcome.exit_code


def _make_all(request: Request, fail_fast: bool) -> int:
    """Make a report, or each member of a sweep."""
    from cxresearch.report import sweep
    from cxresearch.report.run import run_edition

    wanted = sweep.members(request)
    if len(wanted) == 1:
        return _told(run_edition(wanted[0], _say))
    members = sweep.make(request, _say, fail_fast)
    for member in members:
        if member.outcome is not None:
            _told(member.outcome)
        elif member.error is not None:
            _complain(member.error)
    for line in sweep.table(members):
        _say(line)
    return PART_FAILED if any(member.failed for member in members) else 0


def _foretell(request: Request, fail_fast: bool) -> int:
    """Print for each notebook of each member what would run and why, and end as the run would if no notebook failed."""
    from cxresearch.report import sweep

    plans = sweep.planned(request, fail_fast, _say)
    _print("\n".join(sweep.foretold(plans)))
    failed = [plan for _, _, plan in plans if isinstance(plan, CxError)]
    for error in failed:
        _complain(error)
    return PART_FAILED if failed else 0


def _verify(asked: argparse.Namespace) -> int:
    from cxresearch.report import verification

    with _ended_like_interrupted():
        found = verification.verify(Path(asked.folder), ROOT, dict(asked.parameter), _say)
    for line in verification.lines(found):
        _print(line)
    return 0 if found.same else DIFFERS


def _compare(asked: argparse.Namespace) -> int:
    from cxresearch.report import changes

    found = changes.between(Path(asked.first), Path(asked.second))
    for line in [changes.as_json(found)] if asked.json else changes.lines(found):
        _print(line)
    return 0


def _doctor(asked: argparse.Namespace) -> int:
    from cxresearch.report import environment

    stopped = False
    for check in environment.examine(ROOT, str(Path(asked.data).resolve()) if asked.data else "data/demo.toml"):
        _print(environment.line(check))
        stopped = stopped or check.state == "stop"
    return UsageError.exit_code if stopped else 0


def _values(asked: argparse.Namespace) -> dict[str, str]:
    """The values as texts, by parameter; one that is given twice is refused, because one of them would be lost."""
    given = [tuple(pair) for pair in asked.parameter]
    if asked.data is not None:
        file = Path(asked.data).resolve()  # typed paths start where the user stands, a notebook's at the project's root
        given.append(("data", file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT) else str(file)))
    if asked.period is not None:
        given.append(("period", asked.period))
    values: dict[str, str] = {}
    for name, text in given:
        if name in values:
            raise UsageError(f"parameter {name!r} is given twice")
        values[name] = text
    return values


def _file_values(asked: argparse.Namespace) -> dict[str, Any]:
    """The file of values as the user named it, and what stands in it."""
    from cxresearch.report import archive, values

    if len(asked.parameters_file) > 1:
        raise UsageError("-f is given twice; write the values into one file")
    if not asked.parameters_file:
        return {}
    name = asked.parameters_file[0]
    return {"file": archive.from_root(Path(name), ROOT), "file_values": values.from_file(Path(name), name)}


@contextmanager
def _ended_like_interrupted(kept: bool = False) -> Iterator[None]:
    """Let the system's polite end (SIGTERM, or SIGHUP of a terminal) clean up; say how to go on where work is `kept`."""

    def end(*_: Any) -> NoReturn:
        raise SystemExit(TERMINATED)

    polite = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # what is ignored already stays so: that is how `nohup` keeps a command running
    before = {sign: signal.signal(sign, end) for sign in polite if signal.getsignal(sign) is not signal.SIG_IGN}
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if kept:
            _say("notebooks that were done are kept for a day; to take them over, run again with --resume")
        raise
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


# --------------------------------------------------------------------------------------------- other verbs


def _simulate(asked: argparse.Namespace) -> int:
    from cxresearch.data.simulation import simulate
    from cxresearch.report import archive

    folder = Path(asked.output).resolve() if asked.output else ROOT / "data" / "demo"
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "truth.parquet").is_file():
        raise UsageError(f"{archive.shown(folder)} holds something that was not simulated; name another folder with -o")
    try:
        written = simulate(folder, preset=asked.preset, seed=asked.seed, customers=asked.customers, months=asked.months)
    except MemoryError:
        raise UsageError("so many customers and months do not fit into this machine's memory; ask for fewer") from None
    for path in written:
        _print(archive.shown(path))
    return 0


def _list(_: argparse.Namespace) -> int:
    from cxresearch.report import edition

    books = {name: edition.question(edition.notebook(name, ROOT)) for name in edition.notebooks(ROOT)}
    editions = {name: edition.load(name, ROOT).title for name in edition.names(ROOT)}
    files = [*sorted((ROOT / "data").glob("*.toml")), *sorted((ROOT / "data" / "examples").glob("*.toml"))]
    studies = {path.relative_to(ROOT).as_posix(): _study_title(path) for path in files}
    for heading, found in (("notebooks", books), ("editions", editions), ("studies", studies)):
        _print(heading)
        _print_table(list(found.items()))
    return 0


def _study_title(path: Path) -> str:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return f"not readable: {error}"
    return str(written.get("title", ""))


def _params(asked: argparse.Namespace) -> int:
    from cxresearch.report import edition, parameters, readers, secrets

    book = edition.notebook(asked.notebook, ROOT)
    form, ignored = parameters.read(book, asked.notebook), readers.unread(book)
    if asked.json:
        lines = [parameters.told(one, is_read=one.name not in ignored) for one in form.values()]
        _print(json.dumps(lines, ensure_ascii=False, indent=2, default=str))
        return 0
    marked = dict.fromkeys(ignored, " (never read: a value changes nothing)")
    rows = [(one, f"{one.help}{marked.get(one.name, '')}".strip()) for one in form.values()]
    _print_table(
        [(one.name, one.allowed, f"default {_shown(secrets.shown(one.name, one.default))}", text) for one, text in rows]
    )
    return 0


def _new(asked: argparse.Namespace) -> int:
    from cxresearch.report import archive, drafts

    path = drafts.write(asked.question, ROOT)
    _print(archive.shown(path))
    _say(
        f"next: open it with `cxresearch lab {path.stem}`, change the terms in its parameters, run it, and write how to read it"
    )
    _say(
        f"then: `cxresearch run {path.stem}` makes its page and paper; a line in reports/monthly.toml makes it a chapter"
    )
    return 0


def _lab(asked: argparse.Namespace) -> int:
    from cxresearch.report import desk

    return desk.open_lab(asked.notebook, ROOT)


def _shown(default: Any) -> str:
    return default.isoformat() if isinstance(default, date) else repr(default)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    from cxresearch.report.texts import columns

    _print("\n".join(f"  {line}" for line in columns(rows)))


VERBS = {
    "": _version_or_help,
    "report": _report,
    "run": _run,
    "simulate": _simulate,
    "list": _list,
    "verify": _verify,
    "compare": _compare,
    "doctor": _doctor,
    "params": _params,
    "new": _new,
    "lab": _lab,
}
