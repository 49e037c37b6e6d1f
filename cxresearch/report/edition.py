"""Edition: which notebooks make one report, in reading order, and with which values; written in `reports/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from cxresearch.data.terms import nearest
from cxresearch.errors import UsageError
from cxresearch.report.parameters import opened

Format = Literal["html", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
KEYS = ("title", "audience", "notebooks", "summary", "parameters", "formats", "sweep", "keep_going")


@dataclass(frozen=True)
class Edition:
    """One report: chapters in reading order, and a summary that runs last, reads the ledger and is printed first."""

    name: str
    title: str
    notebooks: tuple[str, ...]
    summary: str | None = None
    audience: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = FORMATS
    sweep: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # a report for each combination of these values
    keep_going: bool = True  # whether a sweep goes on after a member that failed

    @property
    def all_notebooks(self) -> tuple[str, ...]:
        """The chapters, then the summary: the order in which they run."""
        return self.notebooks + ((self.summary,) if self.summary else ())


def names(root: Path) -> list[str]:
    """The editions that are written."""
    return sorted(path.stem for path in (root / "reports").glob("*.toml"))


def load(name: str, root: Path) -> Edition:
    """The edition of that name; an unknown name, key or format is refused with the nearest match."""
    if name not in names(root):
        raise UsageError(f"no edition {name!r} in reports/{nearest(name, names(root))}")
    where = f"reports/{name}.toml"
    try:
        written = tomllib.loads((root / where).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: {error}") from None
    for key in written:
        if key not in KEYS:
            raise UsageError(f"{where}: no key {key!r}{nearest(key, list(KEYS))}")
    for one in _texts(written, "formats", where):
        if one not in FORMATS:
            raise UsageError(f"{where}: no format {one!r}{nearest(one, list(FORMATS))}")
    notebooks = _texts(written, "notebooks", where)
    if not notebooks:
        raise UsageError(f"{where}: `notebooks` must name at least one notebook")
    edition = Edition(
        name=name,
        title=_text(written, "title", where) or name,
        audience=_text(written, "audience", where),
        notebooks=notebooks,
        summary=_text(written, "summary", where) or None,
        parameters=_table(written, "parameters", where),
        formats=_texts(written, "formats", where) or FORMATS,
        sweep=_sweep(written, where),
        keep_going=_yes(written, "keep_going", True, where),
    )
    twice = [one for one in edition.all_notebooks if edition.all_notebooks.count(one) > 1]
    if twice:
        raise UsageError(f"{where}: notebook {twice[0]!r} is named twice")
    return edition


def _text(written: Mapping[str, Any], key: str, where: str) -> str:
    value = written.get(key, "")
    if not isinstance(value, str):
        raise UsageError(f'{where}: {key!r} must be text, as {key} = "…"')
    return value


def _texts(written: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = written.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f'{where}: {key!r} must be a list of texts, as {key} = ["…"]')
    return tuple(value)


def _table(written: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = written.get(key, {})
    if not isinstance(value, dict):
        raise UsageError(f"{where}: {key!r} must be a table, as [{key}]")
    return value


def _yes(written: Mapping[str, Any], key: str, default: bool, where: str) -> bool:
    value = written.get(key, default)
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {key!r} must be true or false")
    return value


def _sweep(written: Mapping[str, Any], where: str) -> dict[str, tuple[Any, ...]]:
    swept = _table(written, "sweep", where)
    for key, values in swept.items():
        if not isinstance(values, list) or not values:
            raise UsageError(f'{where}: [sweep] {key} must be a list of values, as {key} = ["…", "…"]')
        if key in _table(written, "parameters", where):
            raise UsageError(f"{where}: {key!r} stands in [parameters] and in [sweep]; keep one of them")
    return {key: tuple(values) for key, values in swept.items()}


def notebooks(root: Path) -> list[str]:
    """The notebooks that there are."""
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def notebook(name: str, root: Path) -> dict[str, Any]:
    """A notebook as plain data; an unknown one is refused with the nearest match."""
    if name not in notebooks(root):
        raise UsageError(f"no notebook {name!r} in notebooks/{nearest(name, notebooks(root))}")
    return opened(root / "notebooks" / f"{name}.ipynb")


def question(written: Mapping[str, Any]) -> str:
    """The question that a notebook asks: its first heading."""
    for cell in written["cells"]:
        if cell["cell_type"] == "markdown":
            for line in cell["source"].splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    return ""


def single(name: str, root: Path) -> Edition:
    """One notebook as a report of its own."""
    return Edition(name, question(notebook(name, root)) or name, (name,))
