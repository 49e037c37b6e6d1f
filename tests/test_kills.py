"""Whatever is killed, and whenever: the old report or the new one stands whole, no process stays, the next run succeeds."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from commands import Command, command, project, published, report

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
VICTIMS = ("command", "zygote", "kernel")
MOMENTS = 20


def victim(running: Command, which: str) -> int | None:
    """The process to kill; a kernel or a zygote is waited for if there is none yet."""
    if which == "command":
        return running.process.pid
    return running.wait_for(running.zygote if which == "zygote" else running.kernel)


def killed_at_moments(root: Path, which: str, seed: int, moments: int) -> None:
    """Kill at moments drawn from a seed, each during a run over a complete report."""
    draw = random.Random(seed)
    days = (str(date(2026, 11, 1) + timedelta(days=i)) for i in range(3 * moments))
    old = next(days)
    begin = time.monotonic()
    assert report(root, old) == 0
    span = time.monotonic() - begin
    for moment in range(moments):
        new = next(days)
        (root / "day.txt").write_text(new)
        # one moment in each equal part of the span, so that start, notebooks and rendering are all met
        wait = span * (moment + draw.random()) / moments
        with command(root, "report", "--force", "--as-of", new) as running:
            until = time.monotonic() + wait
            while time.monotonic() < until and running.process.poll() is None:
                time.sleep(0.01)
            pid = victim(running, which)
            if pid is not None and running.process.poll() is None:
                os.kill(pid, signal.SIGKILL)
            code = running.ended()
            told = f"{which}, moment {moment}, after {wait:.2f} s, exit {code}:\n{running.log.read_text()}"
        assert code in ((0, -signal.SIGKILL) if which == "command" else (0, 138)), told
        allowed = {0: [new], 138: [old], -signal.SIGKILL: [old, new]}[code]
        assert published(root) in allowed, told
        old = next(days)
        assert report(root, old) == 0
        assert published(root) == old


@pytest.mark.slow
@pytest.mark.parametrize("which", VICTIMS)
def test_a_kill_at_any_moment_leaves_a_whole_report(tmp_path: Path, which: str):
    """Killed at 20 moments of a run: the command, the process that notebooks are forked from, or a notebook's own."""
    killed_at_moments(project(tmp_path / "project"), which, seed=VICTIMS.index(which), moments=MOMENTS)
