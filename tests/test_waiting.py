"""A sign of life while a verb computes: for whoever sits at the cell, and never in what is published."""

from __future__ import annotations

import io
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxresearch import waiting
from cxresearch.data import periods

QUICK = "import cxresearch.waiting as w; w.PATIENCE, w.BEAT = 0.3, 0.05\nimport cxresearch as cx\ncx.simulate"
SIMULATED = "made = cx.simulate({!r}, customers=8000, months=24)\nprint('done')"


def messages(source: list[str], *, somebody: bool) -> list[dict[str, Any]]:
    """What a kernel shows of these cells, with or without somebody who could answer a question."""
    from jupyter_client.manager import start_new_kernel

    seen: list[dict[str, Any]] = []
    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--log-level=50"])
    try:
        for cell in source:
            client.execute_interactive(cell, output_hook=seen.append, timeout=60, allow_stdin=somebody)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return [m for m in seen if m["msg_type"] in ("display_data", "update_display_data", "stream", "error")]


def test_a_long_verb_shows_its_name_and_seconds_below_its_cell(tmp_path: Path):
    """One output, written anew while it lasts, and empty at the end."""
    shown = messages([QUICK, SIMULATED.format(str(tmp_path / "a"))], somebody=True)
    texts = [m["content"]["data"]["text/plain"] for m in shown if "data" in m["content"]]
    assert texts[0].startswith("simulate: ")
    assert texts[-1] == ""
    assert len({m["content"]["transient"]["display_id"] for m in shown if "data" in m["content"]}) == 1


def test_nothing_is_shown_where_nobody_sits(tmp_path: Path):
    """Papermill and nbconvert say that nobody answers; then a cell has its own output and no other."""
    shown = messages([QUICK, SIMULATED.format(str(tmp_path / "a"))], somebody=False)
    assert [m["content"].get("text") for m in shown] == ["done\n"]


def test_the_verb_is_the_one_that_the_cell_called():
    """Not the rooms that it calls in turn, and nothing where a cell computes by itself."""
    found: list[str] = []

    class Rows(dict[str, int]):
        def get(self, *_: Any) -> Any:
            found.append(waiting.computing(sys._current_frames()[threading.get_ident()]))
            return 10

        def __missing__(self, month: str) -> int:
            return 10

    periods.doubt("2026-10", {"panel": Rows()})  # asks by itself, then has another function ask
    assert len(found) > 2
    assert set(found) == {"doubt"}
    assert waiting.computing(sys._getframe()) == ""


def test_on_a_terminal_one_line_is_written_over(monkeypatch: pytest.MonkeyPatch):
    """Nothing for two seconds; then a line, written over, and wiped at the end."""
    written = io.StringIO()
    monkeypatch.setattr(waiting, "PATIENCE", 0.1)
    monkeypatch.setattr(waiting, "BEAT", 0.02)
    monkeypatch.setattr(waiting, "attended", lambda _: True)
    monkeypatch.setattr(waiting, "computing", lambda _: "relate")
    monkeypatch.setattr(sys, "stderr", written)
    watch = waiting.Watch(SimpleNamespace())
    watch.start()
    time.sleep(0.05)
    early = written.getvalue()
    time.sleep(0.4)
    watch.stop()
    assert early == ""
    assert "\r\x1b[Krelate: 0 s …" in written.getvalue()
    assert written.getvalue().endswith("\r\x1b[K")
    assert "\n" not in written.getvalue()
    assert threading.active_count() == len([t for t in threading.enumerate() if t.name != "cxresearch-waiting"])


@pytest.mark.parametrize(
    ("shell", "terminal", "somebody"),
    [
        (SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=True)), False, True),
        (SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=False)), True, False),
        (SimpleNamespace(kernel=SimpleNamespace()), True, False),
        (SimpleNamespace(), True, True),
        (SimpleNamespace(), False, False),
    ],
)
def test_somebody_sits_where_a_question_could_be_answered(
    shell: Any, terminal: bool, somebody: bool, monkeypatch: pytest.MonkeyPatch
):
    """A kernel of JupyterLab, or a terminal on both sides; else silence."""
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda: terminal))
    assert waiting.attended(shell) is somebody
