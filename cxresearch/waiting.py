"""A sign of life while a verb computes for long: its name and the seconds, for whoever sits at the cell.

Shown in IPython on a terminal and in Jupyter, and gone when the cell ends. Where nobody sits (papermill, nbconvert, a
scheduler) nothing is shown, so nothing of it is ever published.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

PATIENCE = 2.0  # seconds after which somebody wonders
BEAT = 0.5  # seconds between two looks
_MARK = "_cxresearch_waiting"  # on the shell that shows signs of life
_HERE = str(Path(__file__).parent)


def install() -> None:
    """Show signs of life in this shell from its next cell on. Does nothing outside IPython; may be called twice."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or hasattr(shell, _MARK):
        return
    watch = Watch(shell)
    setattr(shell, _MARK, watch)
    shell.events.register("pre_run_cell", watch.start)
    shell.events.register("post_run_cell", watch.stop)
    watch.start()  # the cell that imports us may go on to compute


def attended(shell: Any) -> bool:
    """Whether somebody sits at the shell: one who could answer a question in Jupyter, or types on a terminal."""
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        return bool(getattr(kernel, "_allow_stdin", False))  # papermill and nbconvert say that nobody can
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


class Watch:
    """Looks every half second at what the main thread computes, while a cell runs."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.ended: threading.Event | None = None
        self.thread: threading.Thread | None = None

    def start(self, *_: Any) -> None:
        """Begin to look, where somebody sits at the shell."""
        self.stop()
        if attended(self.shell):
            self.ended = threading.Event()
            told = _Cell() if getattr(self.shell, "kernel", None) is not None else _Line()
            words = (self.ended, told, threading.main_thread().ident)
            self.thread = threading.Thread(target=_look, args=words, daemon=True, name="cxresearch-waiting")
            self.thread.start()

    def stop(self, *_: Any) -> None:
        """End, and leave nothing behind."""
        if self.ended is not None and self.thread is not None:
            self.ended.set()
            self.thread.join(timeout=PATIENCE)
            self.ended = self.thread = None


def _look(ended: threading.Event, told: Any, main: int) -> None:
    verb, since = "", 0.0
    while not ended.wait(BEAT):
        now = computing(sys._current_frames().get(main))
        if now != verb:
            verb, since = now, time.monotonic()
        waited = time.monotonic() - since
        if verb and waited >= PATIENCE:
            told.show(f"{verb}: {waited:.0f} s …")
    told.clear()


def computing(frame: FrameType | None) -> str:
    """The verb that a thread is in: the first function of this package that its cell called; empty where none is."""
    verb = ""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_HERE) and not code.co_name.startswith(("_", "<")):
            verb = code.co_name
        frame = frame.f_back
    return verb


class _Line:
    """One line of a terminal, written over and over."""

    shown = False

    def show(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
        self.shown = True

    def clear(self) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class _Cell:
    """One output below a cell of Jupyter, written anew each time."""

    def __init__(self) -> None:
        self.handle: Any = None

    def show(self, text: str) -> None:
        from IPython.display import display

        if self.handle is None:
            self.handle = display({"text/plain": text}, raw=True, display_id=True)
        else:
            self.handle.update({"text/plain": text}, raw=True)

    def clear(self) -> None:
        if self.handle is not None:
            self.handle.update({"text/plain": ""}, raw=True)
