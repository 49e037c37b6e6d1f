"""The words of the command line: which commands there are and what each takes."""

from __future__ import annotations

import argparse
import errno
import os
import re
from datetime import date
from typing import Any, NoReturn

from cxresearch.errors import UsageError

EXIT_CODES = """exit codes: 0 done or up to date; 1 a notebook failed, the rest is rendered; 2 something asked for does not
exist or fit; 3 the data check stopped the report; 4 no data for the period; 5 page or paper could not be made
or written; 6 part of a sweep failed; 7 the report must not be published and is kept aside; 8 a verified report
differs; 130 interrupted; 138 the process of a notebook died; 143 ended by the system"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all our errors are, and to which -1e3 is a number and no option."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"-(\.?[0-9]|inf$|nan$)")

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and stop."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def parser() -> Parser:
    """The parser of all commands; what it finds has the name of the command as `verb`."""
    made = Parser(
        prog="cxresearch",
        description="Service quality, satisfaction and churn: reports and notebooks from the command line.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="store_true", help="print the version")
    made.set_defaults(verb="")
    verbs = made.add_subparsers(title="commands", metavar="COMMAND")

    report = verbs.add_parser("report", help="make an edition: its notebooks as one page and paper", allow_abbrev=False)
    report.add_argument("edition", nargs="?", default="monthly", help="a file of reports/ (default: monthly)")
    _add_values(report)
    _add_flow(report)
    report.add_argument("--fail-fast", action="store_true", help="end a sweep at its first member that fails")
    report.set_defaults(verb="report")

    run = verbs.add_parser("run", help="make a report of one notebook", allow_abbrev=False)
    run.add_argument("notebook", metavar="NOTEBOOK", help="a notebook of notebooks/")
    _add_values(run)
    _add_flow(run)
    run.set_defaults(verb="run")

    simulate = verbs.add_parser("simulate", help="make an operator whose true effects are known", allow_abbrev=False)
    simulate.add_argument("--preset", default="baseline", help="which world to simulate (default: baseline)")
    simulate.add_argument("--seed", type=int, default=1, help="the same seed gives the same customers (default: 1)")
    simulate.add_argument("--customers", type=int, help="how many customers (default: as the preset has, mostly 20000)")
    simulate.add_argument("--months", type=int, default=24, help="how many months (default: 24)")
    simulate.add_argument("-o", "--output", metavar="DIR", type=_path, help="folder to write to (default: data/demo)")
    simulate.set_defaults(verb="simulate")

    listing = verbs.add_parser("list", help="show notebooks, editions and studies", allow_abbrev=False)
    listing.set_defaults(verb="list")

    verify = verbs.add_parser(
        "verify", help="make a delivered report again and compare every number", allow_abbrev=False
    )
    verify.add_argument("folder", metavar="DIR", type=_path, help="the folder of a report")
    verify.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="a value that the record hides, such as a password; may be repeated",
    )  # fmt: skip
    verify.set_defaults(verb="verify")

    compare = verbs.add_parser(
        "compare", help="put two reports side by side, every number and verdict", allow_abbrev=False
    )
    compare.add_argument("first", metavar="A", type=_path, help="the folder of a report, mostly the earlier one")
    compare.add_argument("second", metavar="B", type=_path, help="the folder of another report")
    compare.add_argument("--json", action="store_true", help="as JSON, with every interval")
    compare.set_defaults(verb="compare")

    doctor = verbs.add_parser("doctor", help="check whether this machine can make reports", allow_abbrev=False)
    doctor.add_argument("--data", metavar="FILE", type=_path, help="study file to open (default: data/demo.toml)")
    doctor.set_defaults(verb="doctor")

    params = verbs.add_parser("params", help="show the parameters of a notebook", allow_abbrev=False)
    params.add_argument("notebook", metavar="NOTEBOOK", help="a notebook of notebooks/")
    params.add_argument("--json", action="store_true", help="as JSON, for other programs")
    params.set_defaults(verb="params")

    new = verbs.add_parser("new", help="begin a notebook from a question", allow_abbrev=False)
    new.add_argument("question", metavar="QUESTION", help='as "How do complaints go with leaving?"')
    new.set_defaults(verb="new")

    lab = verbs.add_parser("lab", help="open JupyterLab at a notebook", allow_abbrev=False)
    lab.add_argument("notebook", nargs="?", default="", metavar="NOTEBOOK", help="a notebook of notebooks/")
    lab.set_defaults(verb="lab")
    return made


def _add_values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="FILE", type=_path, help="study file: what columns mean (default: data/demo.toml)"
    )
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
        type=_path,
        help="values for parameters from a file, TOML or JSON; -p is stronger, the edition's values are weaker",
    )
    parser.add_argument("-j", "--jobs", metavar="N", type=_jobs, help="notebooks that run at once (default: 2)")
    parser.add_argument(
        "--no-fork", action="store_true", help="start each notebook's Python by itself, which is slower"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=_path, help="folder that NAME/PERIOD is put under (default: reports)"
    )


def _add_flow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would run and why, and run nothing")
    parser.add_argument("--force", action="store_true", help="run everything, also what is up to date")
    parser.add_argument("--resume", action="store_true", help="take over what a failed or interrupted run has done")


def _path(text: str) -> str:
    if not text:  # mostly a variable of the shell that is not set
        raise argparse.ArgumentTypeError("is empty; name a place, or leave the option out")
    try:
        os.stat(text)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise argparse.ArgumentTypeError(f"{text[:40]!r}…: {(error.strerror or '').lower()}") from None
    return text


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
