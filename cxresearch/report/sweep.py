"""Sweep: one edition as several reports, one for each combination of the values that it lists."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cxresearch.errors import CxError, GateClosed, NoData, NotWritten, UsageError
from cxresearch.report import archive, edition, exchange, freshness, parameters, shelf
from cxresearch.report.plan import Plan, Request, Say, checked
from cxresearch.report.run import Outcome, run_edition
from cxresearch.report.texts import columns


@dataclass(frozen=True)
class Member:
    """One report of a sweep and how it ended; neither outcome nor error where it was not tried."""

    name: str
    outcome: Outcome | None = None
    error: CxError | None = None
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return self.error is not None or (self.outcome is not None and self.outcome.exit_code != 0)

    @property
    def row(self) -> dict[str, str]:
        """What a summary says of it."""
        status = "not tried"
        headline = ""
        if self.outcome is not None:
            status = "failed" if self.failed else "made" if self.outcome.made else "up to date"
            headline = str((archive.record(self.outcome.folder) or {}).get("headline", ""))
        elif self.error is not None:
            status, headline = "failed", str(self.error)
        return {"member": self.name, "status": status, "seconds": f"{self.seconds:.1f}", "headline": headline}


def members(request: Request) -> list[Request]:
    """A request for each combination of the swept values; one that the command line or its file gives is not swept.

    Raises UsageError for what no notebook has or takes, before anything runs.
    """
    own = request.edition
    forms = {name: parameters.read(edition.notebook(name, request.root), name) for name in own.all_notebooks}
    known = {key: one for form in forms.values() for key, one in form.items()}
    texts: dict[str, list[str]] = {}
    for key, values in own.sweep.items():
        where = f"reports/{own.name}.toml [sweep]"
        parameters.named(key, known, f"the notebooks of {where}")
        for form in (form for form in forms.values() if key in form):
            for value in values:
                fitted = parameters.fitted(value, form[key], where)
                if parameters.parse(_text(value), form[key]) != fitted:  # a text with a comma in a list, for one
                    raise UsageError(f"{where}: {key}: {value!r} cannot be given on a command line; name another value")
        texts[key] = [_text(value) for value in values]
        if len(set(texts[key])) < len(values):
            raise UsageError(f"{where}: {key} has a value twice")
    swept = [key for key in texts if key not in request.values and key not in request.file_values]
    combined = itertools.product(*(texts[key] for key in swept))
    return [replace(request, values={**request.values, **dict(zip(swept, one, strict=True))}) for one in combined]


def _goes_on(request: Request, fail_fast: bool) -> bool:
    return request.edition.keep_going and not fail_fast


def _apart(plans: Sequence[Plan]) -> None:
    """Raise UsageError where two members would lie in one folder, as two studies would, or two words for one month."""
    folders = [plan.folder for plan in plans]
    if twice := [folder for folder in folders if folders.count(folder) > 1]:
        where = archive.shown(twice[0])
        raise UsageError(f"two members of the sweep would lie in {where}; sweep one study, and each period once")


def planned(request: Request, fail_fast: bool, say: Say = lambda _: None) -> list[tuple[str, Request, Plan | CxError]]:
    """Every member with its name and its plan, or why it alone cannot be made; raises what ends the run before the first."""
    asked = members(request)
    keep_going = _goes_on(request, fail_fast) and len(asked) > 1
    plans = [_plan(one, keep_going, say) for one in asked]
    _apart([plan for plan in plans if isinstance(plan, Plan)])
    return [(_name(one, request), one, plan) for one, plan in zip(asked, plans, strict=True)]


def foretold(plans: Sequence[tuple[str, Request, Plan | CxError]]) -> Iterator[str]:
    """What a run would do, as lines: each notebook of each member and why; of a sweep with a lost member how it would end."""
    failed = sum(isinstance(plan, CxError) for _, _, plan in plans)
    for name, _, plan in plans:
        rows = [("would fail", str(plan))] if isinstance(plan, CxError) else freshness.outlook(plan)
        yield name if isinstance(plan, CxError) else archive.shown(plan.folder)
        yield from (f"  {line}" for line in columns(rows))
    if failed:
        yield f"sweep of {len(plans)}: {len(plans) - failed} would be made or are up to date, {failed} would fail"


def make(request: Request, say: Say, fail_fast: bool = False) -> list[Member]:
    """Make every member; all are checked before the first one runs. One that fails does not end the others.

    It does with `fail_fast` or `keep_going = false`. A folder that cannot be written ends all.
    """
    plans = planned(request, fail_fast)
    done: list[Member] = []
    for name, one, plan in plans:
        if done and done[-1].failed and not _goes_on(request, fail_fast):
            done.append(Member(name))
            continue
        say(f"member {len(done) + 1} of {len(plans)}: {name}")
        done.append(Member(name, error=plan) if isinstance(plan, CxError) else _made(name, one, say))
    _record(request, done)
    return done


def table(made: Sequence[Member]) -> list[str]:
    """The members as lines: name, how it ended, seconds, and its answer."""
    lines = columns([tuple(member.row.values()) for member in made])
    failed = sum(member.failed for member in made)
    return [f"sweep of {len(made)}: {len(made) - failed} well, {failed} failed", *lines]


def _plan(request: Request, keep_going: bool, say: Say) -> Plan | CxError:
    try:
        return checked(request, say)
    except (NoData, GateClosed) as error:
        if not keep_going:
            raise
        return error


def _made(name: str, request: Request, say: Say) -> Member:
    begin = time.monotonic()
    outcome, error = None, None
    try:
        outcome = run_edition(request, say)
    except NotWritten:
        raise
    except CxError as failure:
        error = failure
    return Member(name, outcome, error, round(time.monotonic() - begin, 2))


def _record(request: Request, done: Sequence[Member]) -> None:
    """Write down how the members ended, for the index: one that failed may have no folder."""
    base = request.shelf / request.edition.name
    try:
        base.mkdir(parents=True, exist_ok=True)
        exchange.write(base / shelf.SWEEP, json.dumps({"members": [one.row for one in done]}, indent=1) + "\n")
        shelf.arrange(request.shelf)
    except OSError as error:
        raise NotWritten(f"{archive.shown(base)} cannot be written: {error.strerror or error}") from error


def _name(member: Request, whole: Request) -> str:
    swept = {key: text for key, text in member.values.items() if key not in whole.values}
    return ", ".join(f"{key}={text}" for key, text in swept.items())


def _text(value: Any) -> str:
    """A typed value as the text of a command line that means it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)
