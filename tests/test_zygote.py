"""Notebooks forked from a process that has imported everything run as those started by themselves, and end with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tiny_project

from cxresearch.errors import KernelDied
from cxresearch.report import kernels, zygote

pytestmark = pytest.mark.skipif(not zygote.POSSIBLE, reason="forks are made on Linux only")
DRAWS = """import cxresearch as cx, matplotlib.pyplot as plt, seaborn as sns
sns.lineplot(x=[1, 2, 3], y=[2, 4, 3])
plt.title("A line")
cx.charts.use()
plt.show()
print(hash("a word"), sorted({"b", "a", "c"}, key=hash), __name__, "polars" in __import__("sys").modules)"""
DICE = "import random, numpy as np, uuid\nprint(random.random(), np.random.random(), uuid.uuid4())"


def printed(notebook: Any) -> str:
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.output_type == "stream")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tiny_project.made(tmp_path / "project")


@pytest.fixture(scope="module")
def warm() -> Iterator[zygote.Zygote]:
    """A process to fork from."""
    with zygote.ready():
        kept = zygote.current()
        assert kept is not None
        yield kept


@pytest.fixture
def dying() -> Iterator[zygote.Zygote]:
    """One that may be killed, in the place of any other."""
    others = zygote._kept[:]
    zygote._kept[:] = [zygote.Zygote()]
    yield zygote._kept[0]
    zygote._kept[0].close()
    zygote._kept[:] = others


def executed(root: Path, cell: str, name: str = "tried") -> tuple[Any, Any]:
    tiny_project.write_notebook(root, name, "Tried?", cell)
    return kernels.execute(root / "notebooks" / f"{name}.ipynb", root / f"{name}.out.ipynb", {}, root)


def parent(root: Path) -> int:
    """Whose child a notebook's process is."""
    return int(printed(executed(root, "import os\nprint(os.getppid())")[0]))


def within(seconds: float, happens: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not happens() and time.monotonic() < until:
        time.sleep(0.02)
    return happens()


def runs(pid: int) -> bool:
    """Whether a process is there and not only its name."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_notebook_is_forked(warm: zygote.Zygote, root: Path):
    """Its process is a child of the one that has imported everything, which has no thread that a fork would lose."""
    assert parent(root) == warm.process.pid
    assert len(list(Path(f"/proc/{warm.process.pid}/task").iterdir())) == 1


def test_a_fork_gives_what_a_start_gives(warm: zygote.Zygote, root: Path, monkeypatch: pytest.MonkeyPatch):
    """Figures, order of sets and names are the same, byte by byte."""
    forked, error = executed(root, DRAWS)
    assert error is None
    monkeypatch.setattr(zygote, "current", lambda: None)
    started, error = executed(root, DRAWS)
    assert error is None
    outputs = [[cell.get("outputs") for cell in notebook.cells] for notebook in (forked, started)]
    assert outputs[0] == outputs[1]
    assert "image/svg+xml" in str(outputs[0])


def test_forks_throw_their_own_dice(warm: zygote.Zygote, root: Path):
    """No two notebooks meet the same random numbers because they come of one process."""
    throws = [printed(executed(root, DICE)[0]).split() for _ in range(2)]
    assert all(one != other for one, other in zip(*throws, strict=True))


def test_a_fork_meets_the_folder_and_environment_of_now(
    warm: zygote.Zygote, root: Path, monkeypatch: pytest.MonkeyPatch
):
    """A variable set after the imports arrives, one that was taken away does not, and `tempfile` follows."""
    monkeypatch.setenv("TOLD_LATE", "yes")
    monkeypatch.setenv("TZ", "UTC+3")
    monkeypatch.delenv("HOME")
    cell = "import os, tempfile, time\nprint(os.environ.get('TOLD_LATE'), os.environ.get('HOME'), time.timezone, os.getcwd())"
    cell += "\nprint(tempfile.gettempdir())"
    told, temporary = printed(executed(root, cell)[0]).splitlines()
    assert told == f"yes None 10800 {root}"
    assert Path(temporary).parent == warm.folder


def test_a_status_is_told(warm: zygote.Zygote, root: Path):
    """A notebook that ends its own process is told apart from one that was killed."""
    _, error = executed(root, "import os\nos._exit(3)")
    assert isinstance(error, KernelDied)
    assert str(error) == "cell 3: the process of the notebook ended by itself with status 3"


def test_a_killed_notebook_fails_soon(warm: zygote.Zygote, root: Path):
    """Within 10 seconds of the kill, with a reason; what the notebook had started is gone too."""
    cell = "import os, pathlib, subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\n"
    cell += "pathlib.Path('pids').write_text(f'{os.getpid()} {child.pid}')\ntime.sleep(600)"
    killed: list[float] = []

    def kill() -> None:
        pids = root / "pids"
        if within(60, lambda: pids.is_file() and len(pids.read_text().split()) == 2):
            os.kill(int(pids.read_text().split()[0]), signal.SIGKILL)
            killed.append(time.monotonic())

    killer = threading.Thread(target=kill)
    killer.start()
    _, error = executed(root, cell)
    killer.join()
    assert time.monotonic() - killed[0] < 10
    assert isinstance(error, KernelDied)
    assert "ended by SIGKILL; often this means that memory ran out" in str(error)


def test_a_kernel_is_interrupted_and_restarted(warm: zygote.Zygote):
    """Interrupt stops a cell and the kernel lives; restart gives a fork without the old names."""

    async def answer(client: Any, message: str) -> dict[str, Any]:
        while (reply := await client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != message:
            pass  # to an earlier question
        return dict(reply["content"])

    async def use(manager: kernels.Kernel) -> None:
        await manager.start_kernel(cwd=str(Path.cwd()), env=dict(os.environ))
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        first = manager.process.pid
        message = client.execute("x = 1\nimport time\nprint('asleep', flush=True)\ntime.sleep(600)")
        while (said := await client.get_iopub_msg(timeout=60))["msg_type"] != "stream":
            assert said["msg_type"] in ("status", "execute_input")
        await manager.interrupt_kernel()
        assert (await answer(client, message))["ename"] == "KeyboardInterrupt"
        assert manager.process.pid == first
        await manager.restart_kernel(now=True)
        client.stop_channels()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        assert manager.process.pid != first
        assert not runs(first)
        assert (await answer(client, client.execute("x")))["ename"] == "NameError"
        client.stop_channels()
        await manager.shutdown_kernel(now=True)

    asyncio.run(use(kernels.Kernel()))
    assert kernels.running == set()


def test_nothing_outlives_its_source(dying: zygote.Zygote, root: Path):
    """A kernel dies at once when the process that it was forked from is killed, its notebook fails, the next one runs."""
    # it has no moment to look whether its parent is there: a search without end lets no other thread run
    cell = (
        "import os, pathlib, re\npathlib.Path('pid').write_text(str(os.getpid()))\nre.match('(a+)+$', 'a' * 64 + 'b')"
    )
    found: list[int] = []

    def kill() -> None:
        if within(60, lambda: (root / "pid").is_file() and bool((root / "pid").read_text())):
            found.append(int((root / "pid").read_text()))
            dying.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    _, error = executed(root, cell)
    killer.join()
    assert isinstance(error, KernelDied)
    assert within(2, lambda: not runs(found[0]))
    assert parent(root) == os.getpid()


def test_what_cannot_be_imported_is_told_by_the_notebook(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the imports fail there is nothing to fork from, and each notebook starts by itself."""
    (tmp_path / "seaborn.py").write_text("raise ImportError('broken here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with closing(zygote.Zygote()) as broken:
        monkeypatch.setattr(zygote, "current", lambda: broken)
        assert parent(root) == os.getpid()
        assert "broken here" in (broken.folder / "log").read_text()


def test_one_is_shared_and_goes_with_its_last_user(monkeypatch: pytest.MonkeyPatch):
    """Blocks side by side share one process; after the last it is gone, with its folder; who wants none gets none."""
    monkeypatch.setattr(zygote, "_kept", [])
    monkeypatch.setattr(zygote, "_users", [])
    with zygote.ready(wanted=False):
        assert zygote.current() is None
    with zygote.ready():
        kept = zygote.current()
        assert kept is not None
        with zygote.ready():
            assert zygote.current() is kept
        assert zygote.current() is kept
        assert kept.process.poll() is None
    assert zygote.current() is None
    assert kept.process.poll() == -signal.SIGKILL
    assert not kept.folder.exists()


def test_its_folder_goes_before_it_does(monkeypatch: pytest.MonkeyPatch):
    """A command that is killed while it ends what it forks from leaves no folder: whoever is there still clears up."""
    kept = zygote.Zygote()
    there, kill = [], kept.process.kill

    def seen() -> None:
        there.append(kept.folder.exists())
        kill()

    monkeypatch.setattr(kept.process, "kill", seen)
    kept.close()
    assert there == [False]
    assert not kept.folder.exists()


def test_it_ends_when_its_command_does(tmp_path: Path):
    """However early the command is killed, while libraries are still imported, nothing stays."""
    script = "import os, signal, sys, time; from cxresearch.report import zygote; kept = zygote.Zygote()\n"
    script += "print(kept.process.pid, kept.folder, flush=True); time.sleep(float(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    for seconds in ("0", "0.5"):
        done = subprocess.run([sys.executable, "-c", script, seconds], capture_output=True, text=True)
        pid, folder = done.stdout.split()
        assert within(20, lambda pid=int(pid): not runs(pid))  # type: ignore[misc]
        assert within(5, lambda folder=Path(folder): not folder.exists())  # type: ignore[misc]
