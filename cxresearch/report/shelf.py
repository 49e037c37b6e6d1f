"""Shelf: the page that lists all reports of a folder, newest first, rebuilt from the folders themselves."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from cxresearch.report import archive, exchange

INDEX = "index.html"
OURS = '<meta name="generator" content="cxresearch">'  # stands near the beginning of each index that we wrote
SWEEP = "sweep.json"
TEMPLATES = Path(__file__).parent / "templates"
DECIDED = ("supported", "refuted", "undecided")


@dataclass(frozen=True)
class Report:
    """A report as the index shows it; all are texts from elsewhere, escaped by the template."""

    period: str
    values: str
    title: str
    study: str
    status: str
    headline: str
    verdicts: str
    made: str
    seconds: str
    links: tuple[tuple[str, str], ...]

    @property
    def searched(self) -> str:
        """What a search looks at."""
        parts = (self.period, self.values, self.title, self.study, self.status, self.headline)
        return " ".join(parts).casefold()


@dataclass(frozen=True)
class Shelf:
    """An edition with its reports, newest first, and how the members of its last sweep ended."""

    name: str
    title: str
    reports: tuple[Report, ...]
    sweep: tuple[Mapping[str, str], ...]


def arrange(folder: Path, anew: bool = True) -> None:
    """Write the index of a folder of reports; `anew` also where there is one. A page that is not ours stays."""
    if not folder.is_dir() or ((folder / INDEX).exists() and not (anew and _is_ours(folder / INDEX))):
        return
    # one at a time: who reads the folders last writes last
    with exchange.locked(folder):
        exchange.write(folder / INDEX, _page(shelves(folder)))


def _is_ours(index: Path) -> bool:
    with index.open(encoding="utf-8", errors="replace") as file:
        return OURS in file.read(500)


def shelves(folder: Path) -> list[Shelf]:
    """The editions of a folder, those with the newest period first."""
    found = [_shelf(one) for one in _folders(folder)]
    filled = [one for one in found if one.reports or one.sweep]
    return sorted(filled, key=lambda one: max((r.period for r in one.reports), default=""), reverse=True)


def _shelf(base: Path) -> Shelf:
    periods = _folders(base)
    places = [*periods, *(inner for period in periods for inner in _folders(period))]
    records = [(one, record) for one in places if "edition" in (record := archive.record(one) or {})]
    reports = [_report(one, base.parent, record) for one, record in records]
    reports.sort(key=lambda one: one.values)
    reports.sort(key=lambda one: one.period, reverse=True)  # of one period, the report on all customers first
    return Shelf(base.name, reports[0].title if reports else base.name, tuple(reports), tuple(_sweep(base)))


def _folders(folder: Path) -> list[Path]:
    """The folders inside, without what is being made; none where the folder has just gone."""
    try:
        return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return []


def _report(place: Path, folder: Path, record: Mapping[str, Any]) -> Report:
    stopped = "; ".join(f"{name}: {error}" for name, error in _part(record, "failed").items())
    base = place.relative_to(folder).parts
    names = [name for name in ("report.html", "report.pdf") if (place / name).is_file()]
    words = {"report.html": "page", "report.pdf": "paper"}
    return Report(
        period=str(record.get("period") or base[1]),
        values=", ".join(unquote(part.removesuffix(".failed")) for part in base[2:]),
        title=str(record.get("title", "")),
        study=str(_part(record, "study").get("title", "")),
        status="complete" if record.get("status") == "complete" else f"stopped: {stopped}".removesuffix(": "),
        headline=str(record.get("headline", "")),
        verdicts=_verdicts(_part(record, "verdicts")),
        made=str(record.get("as_of") or ""),
        seconds=_seconds(_part(record, "seconds")),
        links=tuple((words[name], _address(place / name, folder)) for name in names),
    )


def _part(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table of a record; an empty one where an older or damaged record has none."""
    found = record.get(key)
    return found if isinstance(found, Mapping) else {}


def _verdicts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{counts[word]} {word}" for word in DECIDED if counts.get(word))


def _seconds(seconds: Mapping[str, Any]) -> str:
    steps = [seconds.get(step) for step in ("check", "notebooks", "render")]
    total = sum(step for step in steps if isinstance(step, (int, float)))
    return f"{total:.0f} s" if total else ""


def _address(path: Path, folder: Path) -> str:
    return "/".join(quote(part, safe="=,@") for part in path.relative_to(folder).parts)


def _sweep(base: Path) -> Iterable[Mapping[str, str]]:
    """How the members of the last sweep ended, as it was written down."""
    try:
        members = json.loads((base / SWEEP).read_text(encoding="utf-8"))["members"]
        return [{str(key): str(value) for key, value in one.items()} for one in members]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _page(found: list[Shelf]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # titles and sentences come from notebooks and data
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (TEMPLATES / "shelf.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    style = environment.get_template("page.css.jinja").render(faces=())  # the system's own fonts: a list, no report
    return environment.get_template("shelf.html.jinja").render(shelves=found, script=script, digest=digest, style=style)
