"""Where reports are kept: written aside, swapped in whole, never over another study's, and without a user's paths."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cxresearch import __version__
from cxresearch.errors import UsageError
from cxresearch.report import exchange

ROOT = Path(__file__).resolve().parents[2]
RECORD = "run.json"
PACKAGES = (
    "duckdb",
    "ibis-framework",
    "matplotlib",
    "numpy",
    "pandas",
    "papermill",
    "scipy",
    "statsmodels",
    "typst",
)
ABANDONED = 24 * 3600  # seconds after which the folder of a run that was killed is cleared away
LONGEST_NAME = 200  # of a folder, in bytes; systems allow 255, and `.failed` must fit too


def record(folder: Path) -> dict[str, Any] | None:
    """What the folder of a report says about its run; None where it is no such folder."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def refuse_foreign(folder: Path, study: str) -> None:
    """Stop where a report would overwrite another study's, or something that is no report at all."""
    if not folder.exists():
        return
    found = record(folder)
    if found is None:
        if not folder.is_dir() or any(not _is_report(one) for one in folder.iterdir()):
            raise UsageError(f"{shown(folder)} is not the folder of a report; name another one with -o")
    elif found.get("study", {}).get("name") != study:
        other = found.get("study", {}).get("name")
        raise UsageError(f"{shown(folder)} holds a report on study {other!r}, not {study!r}; name another one with -o")


def _is_report(path: Path) -> bool:
    """A report with other values lies in a folder inside, and outlives the one around it."""
    return path.is_dir() and (path / RECORD).is_file()


@contextlib.contextmanager
def aside(base: Path, folder: Path) -> Iterator[Path]:
    """A folder to write a report in, on the same disk as where it will lie; gone afterwards unless put in its place.

    It is kept where the user or the system ended the run after a notebook was done, so that `--resume` finds it.
    Folders around it that were made for it go with it.
    """
    around = [one for one in (base, *base.parents) if not one.exists()]
    base.mkdir(parents=True, exist_ok=True)
    recover(base)
    for old in _newest_first(base, ".making-*"):
        with contextlib.suppress(OSError):  # another run may clear up too
            if time.time() - old.stat().st_mtime > ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
    kept = False
    with contextlib.ExitStack() as held:
        with exchange.locked(base):  # nobody clears up between the next two lines
            # The name is drawn anew for each run, so runs side by side do not meet.
            made = Path(tempfile.mkdtemp(prefix=_prefix(base, folder), dir=base))
            held.enter_context(exchange.locked(made))  # others see by it that we live
        try:
            made.chmod(0o755)
            yield made
        except (KeyboardInterrupt, SystemExit):
            kept = any(map(made_from, (made / "notebooks").glob("*.ipynb")))
            raise
        finally:
            if not kept:
                shutil.rmtree(made, ignore_errors=True)
                with contextlib.suppress(OSError):  # something lies there: the report, or that of another run
                    for one in around:
                        one.rmdir()


def made_from(executed: Path) -> str:
    """What an executed notebook was made from, as its fingerprint; empty where it did not run to its end."""
    try:
        found = json.loads(executed.read_text(encoding="utf-8"))["metadata"]["cxresearch"]["made_from"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return str(found)


def unfinished(base: Path, folder: Path) -> list[Path]:
    """What interrupted runs of the same report left, newest first."""
    return _newest_first(base, f"{_prefix(base, folder)}*")


def _newest_first(base: Path, pattern: str) -> list[Path]:
    ages = []
    for path in base.glob(pattern):
        with contextlib.suppress(OSError):  # a run that ended meanwhile has taken its folder with it
            ages.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(ages, reverse=True)]


def _prefix(base: Path, folder: Path) -> str:
    place = folder.relative_to(base).as_posix()
    return f".making-{hashlib.sha256(place.encode()).hexdigest()[:8]}-"


def recover(base: Path) -> None:
    """Make good what a run that was killed may have left between two steps."""
    if not base.is_dir():
        return
    with exchange.locked(base):
        for parent in [base, *(one for one in base.iterdir() if one.is_dir() and not one.name.startswith("."))]:
            exchange.recover(parent)


def publish(made: Path, base: Path, folder: Path, study: str, *, failed: bool, gated: bool = False) -> Path:
    """Put a finished report in its place as a whole, and say where: a failed one lies beside a good one.

    One that must not be published (`gated`) lies beside the place in any case.

    What lay there stays until the new one is in its place; reports with other values inside it stay.
    """
    with exchange.locked(base):
        beside = failed_place(folder)
        good = (record(folder) or {}).get("status") == "complete"
        place = beside if gated or (failed and good) else folder
        refuse_foreign(place, study)
        place.parent.mkdir(parents=True, exist_ok=True)
        for inner in place.iterdir() if place.is_dir() else ():
            if _is_report(inner):
                shutil.copytree(inner, made / inner.name, copy_function=_linked)
        exchange.put(made, place)
        if not (failed or gated):  # what had failed or was interrupted is made now
            over = [beside] if record(beside) is not None else []
            for old in [*over, *filter(exchange.is_free, unfinished(base, folder))]:
                shutil.rmtree(old, ignore_errors=True)
    return place


def failed_place(folder: Path) -> Path:
    """Where a failed report lies when a good one has the place."""
    return folder.with_name(f"{folder.name}.failed")


def _linked(source: str, target: str) -> str:
    """The same file in two folders; a copy where the disk knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def folder_name(values: Mapping[str, Any]) -> str:
    """Parameters as one folder name: `segment=high,window=6`; distinct values give distinct names."""
    name = ",".join(f"{quote(name)}={quote(str(value), safe=' ')}" for name, value in sorted(values.items()))
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def shown(path: Path) -> str:
    """A path as it is printed: relative to where the user stands, if it lies there."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def from_root(path: Path, root: Path) -> str:
    """A path as it is recorded: relative to the project's root if it lies there, else from the user's home as `~`."""
    path = path.resolve()
    with contextlib.suppress(ValueError):
        return path.relative_to(root).as_posix()
    with contextlib.suppress(ValueError, RuntimeError):
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return str(path)


def without_home(text: str) -> str:
    """Text in which the user's home is written `~`."""
    with contextlib.suppress(RuntimeError):
        home = str(Path.home())
        if home != os.sep:
            return re.sub(rf"(?<![\w/+=]){re.escape(home)}(?=/)", "~", text)
    return text


def without_paths(text: str, root: Path, *others: Path) -> str:
    """JSON text without the paths of this machine: the project's root, the Python in use and the user's home."""
    folders = [(folder, "") for folder in (*others, root)]
    folders += [(Path(sys.prefix), "python/"), (Path(sys.base_prefix), "python/")]
    with contextlib.suppress(RuntimeError):
        folders.append((Path.home(), "~/"))
    for folder, instead in sorted(folders, key=lambda pair: -len(str(pair[0]))):
        for variant in {str(folder), str(folder.resolve())} - {os.sep, "."}:
            written = re.escape(json.dumps(variant)[1:-1])
            text = re.sub(rf"(?<![\w/+=]){written}(?:/|\\\\|(?![\w.-]))", instead.replace("\\", "/"), text)
    return text


def versions() -> dict[str, str]:
    """The versions that numbers depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "cxresearch": __version__}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def commit(root: Path) -> dict[str, Any]:
    """The commit of the project and whether files differ from it; nulls where the project is not under git."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return {"commit": None, "dirty": None}
    status = git("--no-optional-locks", "status", "--porcelain")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


def source_digest(folder: Path) -> str:
    """A fingerprint of the package's own source: other code is another run."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """A fingerprint of one file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def run_id(facts: Mapping[str, Any]) -> str:
    """A name for the run that follows from what went in: the same inputs give the same name."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def files(folder: Path) -> Iterable[Path]:
    """The files of a report: what a reader opens first, then the rest."""
    order = ("report.html", "report.pdf", "ledger.parquet", "claims.json", RECORD)
    yield from (folder / name for name in order if (folder / name).is_file())
    yield from sorted((folder / "notebooks").glob("*.ipynb"))
