"""What a report will be, checked before any notebook starts: values, study, period and where it will lie."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from cxresearch.errors import UsageError
from cxresearch.report import archive, edition, known, parameters, secrets
from cxresearch.report.edition import Edition
from cxresearch.report.readers import unread
from cxresearch.report.secrets import Secrets
from cxresearch.report.values import dated

AT_ONCE = 2  # notebooks side by side: on two cores a third one gains nothing
SET_BY_RUN = ("ledger", "previous", "history")  # what the summary is told

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What was asked for: values as texts of a command line, paths where they really lie."""

    edition: Edition
    command: tuple[str, ...]  # the words that name it: ("report", "monthly")
    root: Path = archive.ROOT
    values: Mapping[str, str] = field(default_factory=dict)
    file: str = ""  # of values, as the user named it
    file_values: Mapping[str, Any] = field(default_factory=dict)
    as_of: date | None = None
    out: Path | None = None
    force: bool = False  # make it although it is up to date
    resume: bool = False  # take over what a failed or interrupted run has done
    at_once: int = AT_ONCE  # changes how long it takes, never a number
    fork: bool = True  # the same
    previous: Path | None = None  # the report of the period before, where it lies elsewhere than beside this one

    @property
    def shelf(self) -> Path:
        """The folder of all editions' reports."""
        return self.out or self.root / "reports"


@dataclass(frozen=True)
class Plan:
    """A request that was checked: every value of every notebook, the study, and where the report will lie."""

    request: Request
    values: Mapping[str, Mapping[str, Any]]  # by notebook
    study: Any  # cxresearch.data.opening.Preflight
    folder: Path
    previous: Path
    hidden: Secrets  # what no output may show

    @property
    def base(self) -> Path:
        """The folder of the edition."""
        return self.request.shelf / self.request.edition.name

    @property
    def command(self) -> str:
        """The exact command that makes this report again."""
        words = ["cxresearch", *self.request.command]
        if self.request.file:
            words += ["-f", self.request.file]
        given = {name: secrets.shown(name, text) for name, text in self.request.values.items()}
        for name, text in {**given, "period": self.study.period}.items():
            words += [f"--{name}", text] if name in ("data", "period") else ["-p", name, text]
        if self.request.as_of:
            words += ["--as-of", self.request.as_of.isoformat()]
        if self.request.out:
            words += ["-o", archive.from_root(self.request.out, self.request.root)]
        return archive.without_home(shlex.join(words))


def checked(request: Request, say: Say = lambda _: None) -> Plan:
    """The plan of a request; raises UsageError (or NoData) for whatever does not exist or does not fit."""
    own = request.edition
    books = {name: edition.notebook(name, request.root) for name in own.all_notebooks}
    forms = {name: parameters.read(book, name) for name, book in books.items()}
    values = _values(request, forms)
    for name, book in books.items():
        if ignored := unread(book):
            say(
                f"warning: {name} never reads its parameter {' and '.join(map(repr, ignored))}: a value changes nothing"
            )
    shared: dict[str, Any] = {}
    for name in ("data", "period"):
        shared[name] = next((v[name] for v in values.values() if name in v), None)
        if shared[name] == "":  # mostly a variable of the shell that is not set; the default would be another report
            raise UsageError(f"parameter {name!r} is empty; give a value, or leave it out")
        shared[name] = shared[name] or _default(forms, name)
    say(f"checking {secrets.shown('data', archive.from_root(request.root / shared['data'], request.root))}")
    as_of = request.as_of.isoformat() if request.as_of else None
    segments = {str(v["segment"]) for v in values.values() if "segment" in v} or {"all"}
    study = known.preflight(request.root, shared["data"], shared["period"], as_of, sorted(segments))
    for doubt in (study.passed_over, study.incomplete):
        if doubt:
            say(f"warning: {doubt}")
    for name, form in forms.items():
        resolved = {"data": shared["data"], "period": study.period}
        values[name] |= {key: value for key, value in resolved.items() if key in form}
    folder, previous = _folders(request, study.period)
    archive.refuse_foreign(folder, study.name)
    defaults = [{name: one.default for name, one in form.items()} for form in forms.values()]
    return Plan(
        request, values, study, folder, request.previous or previous, secrets.among([*values.values(), *defaults])
    )


def _values(request: Request, forms: Mapping[str, Mapping[str, parameters.Parameter]]) -> dict[str, dict[str, Any]]:
    """Every notebook's values, each known to some notebook: the edition's, over them the file's, then the typed ones."""
    everything: dict[str, parameters.Parameter] = {}
    for form in forms.values():
        everything |= {name: one for name, one in form.items() if name not in everything}
    own = request.edition
    where = f"the notebooks of edition {own.name!r}" if len(forms) > 1 else own.name
    given_in = {f"reports/{own.name}.toml": own.parameters, request.file: request.file_values, "": request.values}
    for source, given in given_in.items():
        for name in given:
            parameters.named(name, everything, where, source)
            if name in SET_BY_RUN and own.summary:
                raise UsageError(f"parameter {name!r} of {own.summary} is set by the run itself")
    values = {}
    for notebook, form in forms.items():
        fixed, filed, typed = (
            {name: value for name, value in given.items() if name in form}
            for given in (own.parameters, request.file_values, request.values)
        )
        fixed = parameters.check(fixed, form, f"reports/{own.name}.toml")
        filed = parameters.check(dated(filed, form, request.file), form, request.file)
        values[notebook] = {**fixed, **filed, **{name: parameters.parse(typed[name], form[name]) for name in typed}}
    return values


def _default(forms: Mapping[str, Mapping[str, parameters.Parameter]], name: str) -> str:
    for form in forms.values():
        if name in form:
            return str(form[name].default)
    raise UsageError(f"no notebook here has the parameter {name!r}; a notebook names its study and its period")


def _folders(request: Request, period: str) -> tuple[Path, Path]:
    """Where the report of the period lies, and that of the period before."""
    from cxresearch.data.periods import before

    base = request.shelf / request.edition.name
    # other values are another report: the one that is published every month stays what it is
    given = {**request.file_values, **request.values}
    other = {name: secrets.shown(name, value) for name, value in given.items() if name not in ("data", "period")}
    inner = archive.folder_name(other)
    return base / period / inner, base / before(period) / inner
