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
SOURCES = (".py", ".toml", ".csv", ".j2", ".typ")
ABANDONED = 24 * 3600  # seconds after which the folder of a run that was killed is cleared away


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
        if not folder.is_dir() or any(not _is_kept(one) for one in folder.iterdir()):
            raise UsageError(f"{shown(folder)} is not the folder of a report; name another one with -o")
    elif found.get("study", {}).get("name") != study:
        other = found.get("study", {}).get("name")
        raise UsageError(f"{shown(folder)} holds a report on study {other!r}, not {study!r}; name another one with -o")


def _is_kept(path: Path) -> bool:
    """A report with other values lies in a folder inside, and outlives the one around it."""
    return path.is_dir() and ((path / RECORD).is_file() or path.name.startswith(".making-"))


@contextlib.contextmanager
def aside(parent: Path) -> Iterator[Path]:
    """A folder to write a report in, on the same disk as where it will lie; gone afterwards unless swapped in."""
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(".making-*"):
        if time.time() - old.stat().st_mtime > ABANDONED:
            shutil.rmtree(old, ignore_errors=True)
    # The name is drawn anew for each run, so runs side by side do not meet.
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=parent))
    try:
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def swap(made: Path, folder: Path) -> None:
    """Put a finished report in its place as a whole; what lay there stays until the new one is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        os.replace(made, folder)
        return
    for kept in [one for one in folder.iterdir() if _is_kept(one) and not (made / one.name).exists()]:
        os.replace(kept, made / kept.name)
    before = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    os.replace(folder, before / folder.name)
    try:
        os.replace(made, folder)
    except OSError:
        os.replace(before / folder.name, folder)
        raise
    shutil.rmtree(before, ignore_errors=True)


def folder_name(values: Mapping[str, Any]) -> str:
    """Parameters as one folder name: `segment=high,window=6`; distinct values give distinct names."""
    return ",".join(f"{quote(name)}={quote(str(value), safe=' ')}" for name, value in sorted(values.items()))


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
    for path in sorted(path for path in folder.rglob("*") if path.suffix in SOURCES):
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
