"""The command line: what a notebook does, for a scheduler and for those who only want the report.

Results (paths) go to stdout, progress and errors to stderr. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cxresearch import __version__
from cxresearch.errors import CxError, UsageError

if TYPE_CHECKING:
    from cxresearch.report.edition import Edition
    from cxresearch.report.plan import Request
    from cxresearch.report.run import Outcome

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = 130
TERMINATED = 143
PART_FAILED = 6
DIFFERS = 8
EXIT_CODES = """exit codes: 0 done or up to date; 1 a notebook failed, the rest is rendered; 2 something asked for does not
exist or fit; 3 the data check stopped the report; 4 no data for the period; 5 page or paper could not be made
or written; 6 part of a sweep failed; 7 the report must not be published and is kept aside; 8 a verified report
differs; 130 interrupted; 138 the process of a notebook died"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all our errors are."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and stop."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        asked = _parser().parse_args(argv)
        return int(asked.run(asked))
    except CxError as error:
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        _say("cxresearch: interrupted; notebooks that were done are kept for a day: run again with --resume")
        return INTERRUPTED


def _say(text: str) -> None:
    from cxresearch.report.secrets import Secrets

    print(Secrets(()).text(text), file=sys.stderr, flush=True)


def _complain(error: CxError) -> None:
    _say(f"cxresearch: error: {' '.join(str(error).split())}")


def _parser() -> Parser:
    parser = Parser(
        prog="cxresearch",
        description="Service quality, satisfaction and churn: reports and notebooks from the command line.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.set_defaults(run=_version_or_help)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")

    report = verbs.add_parser("report", help="make an edition: its notebooks as one page and paper", allow_abbrev=False)
    report.add_argument("edition", nargs="?", default="monthly", help="a file of reports/ (default: monthly)")
    _add_values(report)
    _add_flow(report)
    report.add_argument("--fail-fast", action="store_true", help="end a sweep at its first member that fails")
    report.set_defaults(run=_report)

    run = verbs.add_parser("run", help="make a report of one notebook", allow_abbrev=False)
    run.add_argument("notebook", metavar="NOTEBOOK", help="a notebook of notebooks/")
    _add_values(run)
    _add_flow(run)
    run.set_defaults(run=_run)

    simulate = verbs.add_parser("simulate", help="make an operator whose true effects are known", allow_abbrev=False)
    simulate.add_argument("--preset", default="baseline", help="which world to simulate (default: baseline)")
    simulate.add_argument("--seed", type=int, default=1, help="the same seed gives the same customers (default: 1)")
    simulate.add_argument("--customers", type=int, help="how many customers (default: as the preset has, mostly 20000)")
    simulate.add_argument("--months", type=int, default=24, help="how many months (default: 24)")
    simulate.add_argument("-o", "--output", metavar="DIR", help="folder to write to (default: data/demo)")
    simulate.set_defaults(run=_simulate)

    listing = verbs.add_parser("list", help="show notebooks, editions and studies", allow_abbrev=False)
    listing.set_defaults(run=_list)

    verify = verbs.add_parser(
        "verify", help="make a delivered report again and compare every number", allow_abbrev=False
    )
    verify.add_argument("folder", metavar="DIR", help="the folder of a report")
    verify.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a value that the record hides, such as a password; may be repeated",
    )  # fmt: skip
    verify.set_defaults(run=_verify)

    compare = verbs.add_parser(
        "compare", help="put two reports side by side, every number and verdict", allow_abbrev=False
    )
    compare.add_argument("first", metavar="A", help="the folder of a report, mostly the earlier one")
    compare.add_argument("second", metavar="B", help="the folder of another report")
    compare.add_argument("--json", action="store_true", help="as JSON, with every interval")
    compare.set_defaults(run=_compare)

    doctor = verbs.add_parser("doctor", help="check whether this machine can make reports", allow_abbrev=False)
    doctor.add_argument("--data", metavar="FILE", help="study file to open (default: data/demo.toml)")
    doctor.set_defaults(run=_doctor)

    params = verbs.add_parser("params", help="show the parameters of a notebook", allow_abbrev=False)
    params.add_argument("notebook", metavar="NOTEBOOK", help="a notebook of notebooks/")
    params.add_argument("--json", action="store_true", help="as JSON, for other programs")
    params.set_defaults(run=_params)

    new = verbs.add_parser("new", help="begin a notebook from a question", allow_abbrev=False)
    new.add_argument("question", metavar="QUESTION", help='as "How do complaints go with leaving?"')
    new.set_defaults(run=_new)

    lab = verbs.add_parser("lab", help="open JupyterLab at a notebook", allow_abbrev=False)
    lab.add_argument("notebook", nargs="?", default="", metavar="NOTEBOOK", help="a notebook of notebooks/")
    lab.set_defaults(run=_lab)
    return parser


def _add_values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FILE", help="study file: what columns mean (default: data/demo.toml)")
    parser.add_argument(
        "--period", metavar="P", help="2026-10, 2026-Q3, latest, last-month or last-quarter (default: latest)"
    )
    parser.add_argument("--as-of", metavar="DATE", type=_day, help="day that period words count from (default: today)")
    parser.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a value for a parameter of the notebooks; may be repeated (see `cxresearch params NOTEBOOK`)",
    )
    parser.add_argument(
        "-f",
        "--parameters-file",
        action="append",
        default=[],
        metavar="FILE",
        help="values for parameters from a file, TOML or JSON; -p is stronger, the edition's values are weaker",
    )
    parser.add_argument("-j", "--jobs", metavar="N", type=_jobs, help="notebooks that run at once (default: 2)")
    parser.add_argument(
        "--no-fork", action="store_true", help="start each notebook's Python by itself, which is slower"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="folder that NAME/PERIOD is put under (default: reports)")


def _add_flow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would run and why, and run nothing")
    parser.add_argument("--force", action="store_true", help="run everything, also what is up to date")
    parser.add_argument("--resume", action="store_true", help="take over what a failed or interrupted run has done")


def _jobs(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 999")
    return int(text)


def _day(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-10-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day of the calendar") from None


def _version_or_help(asked: argparse.Namespace) -> int:
    if not asked.version:
        _parser().print_help()
        return 0
    print(f"cxresearch {__version__}")
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
    if asked.dry_run:
        return _foretell(request)
    with _ended_like_interrupted():
        return _make_all(request, fail_fast=getattr(asked, "fail_fast", False))


def _told(outcome: Outcome) -> int:
    """Print where a report lies and what went wrong in it."""
    from cxresearch.report import archive

    for path in archive.files(outcome.folder):
        print(archive.shown(path))
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


def _foretell(request: Request) -> int:
    """Print for each notebook of each member what would run and why."""
    from cxresearch.report import archive, freshness, sweep
    from cxresearch.report.plan import checked

    for member in sweep.members(request):
        plan = checked(member, _say)
        print(archive.shown(plan.folder))
        _print_table(freshness.outlook(plan))
    return 0


def _verify(asked: argparse.Namespace) -> int:
    from cxresearch.report import verification

    with _ended_like_interrupted():
        found = verification.verify(Path(asked.folder), ROOT, dict(asked.parameter), _say)
    for line in verification.lines(found):
        print(line)
    return 0 if found.same else DIFFERS


def _compare(asked: argparse.Namespace) -> int:
    from cxresearch.report import changes

    found = changes.between(Path(asked.first), Path(asked.second))
    for line in [changes.as_json(found)] if asked.json else changes.lines(found):
        print(line)
    return 0


def _doctor(asked: argparse.Namespace) -> int:
    from cxresearch.report import environment

    stopped = False
    for check in environment.examine(ROOT, str(Path(asked.data).resolve()) if asked.data else "data/demo.toml"):
        print(environment.line(check), flush=True)
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
def _ended_like_interrupted() -> Iterator[None]:
    """Let a polite end by the system (SIGTERM, or SIGHUP when the terminal closes) clean up, as an interrupt does."""

    def end(*_: Any) -> NoReturn:
        raise SystemExit(TERMINATED)

    polite = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # what is ignored already stays so: that is how `nohup` keeps a command running
    before = {sign: signal.signal(sign, end) for sign in polite if signal.getsignal(sign) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


# --------------------------------------------------------------------------------------------- other verbs


def _simulate(asked: argparse.Namespace) -> int:
    from cxresearch.data.simulation import simulate
    from cxresearch.report import archive

    folder = Path(asked.output).resolve() if asked.output else ROOT / "data" / "demo"
    if folder.exists() and any(folder.iterdir()) and not (folder / "truth.parquet").is_file():
        raise UsageError(f"{archive.shown(folder)} holds something that was not simulated; name another folder with -o")
    written = simulate(folder, preset=asked.preset, seed=asked.seed, customers=asked.customers, months=asked.months)
    for path in written:
        print(archive.shown(path))
    return 0


def _list(_: argparse.Namespace) -> int:
    from cxresearch.report import edition

    books = {name: edition.question(edition.notebook(name, ROOT)) for name in edition.notebooks(ROOT)}
    editions = {name: edition.load(name, ROOT).title for name in edition.names(ROOT)}
    files = [*sorted((ROOT / "data").glob("*.toml")), *sorted((ROOT / "data" / "examples").glob("*.toml"))]
    studies = {path.relative_to(ROOT).as_posix(): _study_title(path) for path in files}
    for heading, found in (("notebooks", books), ("editions", editions), ("studies", studies)):
        print(heading)
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
        print(json.dumps(lines, ensure_ascii=False, indent=2, default=str))
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
    print(archive.shown(path))
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
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
