"""The command run as a user runs it, on a tiny project: its processes, what it leaves on disk, and what is published."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import tiny_project

from cxresearch.report import archive

SCRIPT = """import sys, pytest, tiny_project; from pathlib import Path; from cxresearch import cli
tiny_project.stand_in_for_the_study(pytest.MonkeyPatch()); cli.ROOT = Path(sys.argv[1])
sys.exit(cli.main(sys.argv[2:]))"""
SAYS_DAY = "asked = data, period, segment\nfrom pathlib import Path\nprint('made on', Path('day.txt').read_text())"
FILES = {"report.html", "ledger.parquet", "claims.json", "run.json"}
FILES |= {f"notebooks/{name}.ipynb" for name in ("leavers", "scores", "summary")}


def project(root: Path) -> Path:
    """A tiny project whose notebooks print the day that `day.txt` names, and whose report is a page."""
    made = tiny_project.made(root)
    for name in ("leavers", "scores"):
        tiny_project.write_notebook(made, name, "Which day?", tiny_project.finding(name), SAYS_DAY)
    edition = made / "reports" / "monthly.toml"
    edition.write_text(edition.read_text() + 'formats = ["html"]\n')
    (made / "day.txt").write_text("")
    return made


class Command:
    """A command that was started, with all processes that came of it."""

    def __init__(self, root: Path, *words: str) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = Path(tempfile.mkdtemp(prefix="t"))  # short, as a user's is: sockets lie in it
        search = os.pathsep.join([str(archive.ROOT), str(Path(__file__).parent)])
        own = {"PYTHONPATH": search, "TMPDIR": str(self.temporary), "CXRESEARCH_TEST": self.mark}
        self.log = root.parent / f"{self.mark}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(root), *words], env={**os.environ, **own}, stdout=log, stderr=log
            )

    def processes(self) -> dict[int, int]:
        """Those that run, each with its parent; a process is known by the mark in its environment."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended while we looked
                continue
        return found

    def zygote(self) -> int | None:
        """The process that notebooks' are forked from."""
        return next((pid for pid, parent in self.processes().items() if parent == self.process.pid), None)

    def kernel(self) -> int | None:
        """A notebook's process."""
        running, source = self.processes(), self.zygote()
        return next((pid for pid, parent in running.items() if parent == source), None)

    def wait_for(self, find: Callable[[], int | None]) -> int | None:
        """A process of that kind, as soon as there is one; None where the command ends before."""
        while (found := find()) is None and self.process.poll() is None:
            time.sleep(0.01)
        return found

    def ended(self, seconds: float = 300) -> int:
        """Its exit code; whatever came of it must be gone soon after, with what it kept on disk."""
        code = self.process.wait(timeout=seconds)
        until = time.monotonic() + 30  # one import may take that long on a loaded machine
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        assert left == {}, self.log.read_text()
        assert list(self.temporary.iterdir()) == []
        self.temporary.rmdir()
        return code


@contextmanager
def command(root: Path, *words: str) -> Iterator[Command]:
    """A command that does not outlive the test, whatever happens there."""
    running = Command(root, *words)
    try:
        yield running
    finally:
        for pid in [*running.processes()]:
            os.kill(pid, signal.SIGKILL)
        running.process.wait()


def report(root: Path, day: str) -> int:
    """Make the report of that day; returns the exit code."""
    (root / "day.txt").write_text(day)
    with command(root, "report", "--force", "--as-of", day) as running:
        code = running.ended()
        sys.stdout.write(running.log.read_text())  # what a test that fails shows
        return code


def published(root: Path) -> str:
    """The day of the published report; it must be complete, and of one day throughout."""
    folder = root / "reports" / "monthly" / "2026-10"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == FILES
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "complete"
    days = {record["as_of"]}
    for name in ("leavers", "scores"):
        cells = nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4).cells
        days |= set(
            re.findall(r"made on (\S+)", json.dumps([cell.get("outputs") for cell in cells]).replace("\\n", " "))
        )
    assert len(days) == 1, days
    return str(days.pop())
