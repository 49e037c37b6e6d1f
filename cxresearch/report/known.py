"""Known: what was found out about a study and holds as long as its files, the period word and the code are the same.

Kept in `.cxresearch/`, which is private and may be deleted at any time: then it is found out again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cxresearch.data import mapping as mappings
from cxresearch.errors import CxError
from cxresearch.report import archive, exchange

FOLDER = ".cxresearch"
CHEAP = 256 * 2**20  # bytes of a file that are read anew each time: a quarter of a second
MOST = 200  # entries that are kept, newest last


def preflight(root: Path, data: str, period: str, as_of: str | None, segments: Sequence[str]) -> Any:
    """What a report will be of, as `opening.preflight` says; asked anew only where something may have changed."""
    files = _files(root / data)
    if files is None or not all(file.is_file() for file in files):
        return _asked(data, period, as_of, segments)  # which says what is wrong, or simulates what is absent
    with _memory(root / FOLDER / "files.json") as memory:
        contents = [_digest(file, memory) for file in files]
    places = [str(file) for file in files]
    code = archive.source_digest(archive.ROOT / "cxresearch")
    asked = [places, contents, period, as_of, list(segments), code, archive.versions()]
    key = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    with _memory(root / FOLDER / "studies.json") as memory:
        if key in memory:
            return SimpleNamespace(**{**memory[key], "columns": frozenset(memory[key]["columns"])})
    found = _asked(data, period, as_of, segments)
    with _memory(root / FOLDER / "studies.json") as memory:
        memory[key] = {**asdict(found), "columns": sorted(found.columns)}
    return found


def _asked(data: str, period: str, as_of: str | None, segments: Sequence[str]) -> Any:
    from cxresearch.data import opening

    return opening.preflight(data, period, as_of, segments)


def _files(path: Path) -> list[Path] | None:
    """The files that a study consists of; None where its mapping cannot be read."""
    try:
        mapping = mappings.load(path)
    except CxError:
        return None
    return mapping.files


def _digest(file: Path, memory: dict[str, Any]) -> str:
    """The fingerprint of a file's content; a large file is read again only where its stamp is another.

    The stamp holds the time of the last change of the file's entry, which no program can set back.
    """
    about = file.stat()
    if about.st_size <= CHEAP:
        return _content(file)
    stamp = [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
    known = memory.get(str(file))
    if known is None or known[0] != stamp:
        memory[str(file)] = [stamp, _content(file)]
    return str(memory[str(file)][1])


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextlib.contextmanager
def _memory(path: Path) -> Any:
    """What is remembered, written back where it changed. Whatever is wrong with it, it is only forgotten."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        memory: dict[str, Any] = found if isinstance(found, Mapping) else {}  # type: ignore[assignment]
    except (OSError, ValueError):
        memory = {}
    before = json.dumps(memory)
    yield memory
    if json.dumps(memory) != before:
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            exchange.write(path, json.dumps(dict(list(memory.items())[-MOST:])))
