"""Exchange: a folder or a file takes the place of another as a whole, whatever ends the process on the way."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl as _fcntl

    fcntl: Any = _fcntl
except ImportError:  # Windows knows no such locks: there two runs of one report at once are the user's own care
    fcntl = None

BEFORE = ".before-"  # begins the name of what was moved away where the system cannot swap in one step
_HERE = {"linux": -100, "darwin": -2}  # AT_FDCWD: relative paths start in the working folder
_SWAP = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone with what lies in a folder; the system lets others in when the process ends, however it ends."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some disks of a network know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_free(folder: Path) -> bool:
    """Whether surely no living process holds the folder."""
    if fcntl is None:
        return False
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(handle)
    except OSError:
        return False
    return True


def put(made: Path, folder: Path) -> None:
    """Put a folder in the place of another: at any moment the old or the new one stands there, whole.

    What stood there lies at `made` or nowhere afterwards. Where the system cannot swap two folders in one step, the
    old one is missing for an instant; a process that is killed in it is made good by `recover`.
    """
    if not folder.exists():
        os.replace(made, folder)
    elif not _swapped(made, folder):
        before = folder.with_name(BEFORE + folder.name)
        os.replace(folder, before)
        try:
            os.replace(made, folder)
        except OSError:
            os.replace(before, folder)
            raise
        shutil.rmtree(before, ignore_errors=True)


def recover(parent: Path) -> None:
    """Put back what a killed process had moved away and not yet replaced. The folder must be locked."""
    for before in parent.glob(f"{BEFORE}*"):
        folder = before.with_name(before.name.removeprefix(BEFORE))
        if folder.exists():
            shutil.rmtree(before, ignore_errors=True)
        else:
            os.replace(before, folder)


def _swapped(one: Path, other: Path) -> bool:
    """Whether the system swapped two paths in one step; some systems and disks cannot."""
    name = {"linux": "renameat2", "darwin": "renameatx_np"}.get(sys.platform, "")
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if call is None:
        return False
    here = _HERE[sys.platform]
    if call(here, os.fsencode(one), here, os.fsencode(other), ctypes.c_uint(_SWAP)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def write(path: Path, text: str) -> None:
    """Write a file whole: a reader meets the old or the new text, never a part."""
    handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
