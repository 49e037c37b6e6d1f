"""The command line: what a notebook does, for a scheduler and for those who only want the report.

Results (paths) go to stdout, progress and errors to stderr. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import argparse
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
EXIT_CODES = """exit codes: 0 done or up to date; 1 a notebook failed, the rest is rendered; 2 something asked for does not
exist or fit; 3 the data check stopped the report; 4 no data for the period; 5 page or paper could not be made
or written; 6 part of a sweep failed; 130 interrupted; 138 the process of a notebook died"""


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
        _say("cxresearch: interrupted")
        return INTERRUPTED


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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

    params = verbs.add_parser("params", help="show the parameters of a notebook", allow_abbrev=False)
    params.add_argument("notebook", metavar="NOTEBOOK", help="a notebook of notebooks/")
    params.set_defaults(run=_params)
    return parser


def _add_values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FILE", help="study file: what columns mean (default: data/demo.toml)")
    parser.add_argument("--period", metavar="P", help="month as 2026-10, or latest, or last-month (default: latest)")
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
    parser.add_argument("-o", "--output", metavar="DIR", help="folder that NAME/PERIOD is put under (default: reports)")


def _add_flow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would run and why, and run nothing")
    parser.add_argument("--force", action="store_true", help="run everything, also what is up to date")
    parser.add_argument("--resume", action="store_true", help="take over what a failed or interrupted run has done")


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
    from cxresearch.report.plan import Request

    request = Request(
        edition=wanted,
        command=command,
        root=ROOT,
        values=_values(asked),
        as_of=asked.as_of or datetime.now().astimezone().date(),
        out=Path(asked.output).resolve() if asked.output else None,
        force=asked.force,
        resume=asked.resume,
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


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Let a polite end by the system (SIGTERM) clean up, as an interrupt does."""

    def end(*_: Any) -> NoReturn:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        _say("notebooks that were done are kept for a day; to take them over, run again with --resume")
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


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
    from cxresearch.report import edition, parameters

    form = parameters.read(edition.notebook(asked.notebook, ROOT), asked.notebook)
    _print_table([(one.name, one.allowed, f"default {one.default!r}", one.help) for one in form.values()])
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
