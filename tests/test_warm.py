"""The warm kernel of JupyterLab: a fork that answers at once, follows the package as it is now, and ends with the server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager
from test_zygote import runs, within

from cxresearch.report import archive, desk, warm, zygote

pytestmark = pytest.mark.skipif(not zygote.POSSIBLE, reason="forks are made on Linux only")
HERE = "import os, sys\nprint(os.getpid(), os.getppid(), 'seaborn' in sys.modules, hash('a word'))"


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the server of JupyterLab does when it loads the extension, and when it ends."""
    monkeypatch.setenv("JUPYTER_PATH", str(desk.JUPYTER))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    warm._load_jupyter_server_extension(None)
    yield
    warm.end()


class Desk:
    """Kernels as JupyterLab starts them, by the name of their file."""

    def __init__(self) -> None:
        self.kernels: list[AsyncKernelManager] = []

    async def opened(self) -> AsyncKernelManager:
        made = AsyncKernelManager(kernel_name=warm.NAME)
        await made.start_kernel()
        self.kernels.append(made)
        return made

    async def answer(
        self, kernel: AsyncKernelManager, cell: str, meanwhile: Callable[[], Awaitable[Any]] | None = None
    ) -> str:
        """What a cell prints, or the name of its error."""
        client = kernel.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        said: list[str] = []

        def note(message: dict[str, Any]) -> None:
            said.append(message["content"].get("text") or message["content"].get("ename") or "")

        running = asyncio.ensure_future(client.execute_interactive(cell, output_hook=note, timeout=60))
        if meanwhile:
            await asyncio.sleep(1)
            await meanwhile()
        await running
        client.stop_channels()
        return "".join(said).strip()

    async def where(self, kernel: AsyncKernelManager) -> tuple[int, int, str, str]:
        """Its process, whose child it is, whether libraries are there already, and its hash of a word."""
        pid, parent, there, hashed = (await self.answer(kernel, HERE)).split()
        return int(pid), int(parent), there, hashed

    async def closed(self) -> None:
        for kernel in self.kernels:
            await kernel.shutdown_kernel(now=True)


def on_a_desk(work: Callable[[Desk], Awaitable[None]]) -> None:
    """Work with kernels that are all closed at the end."""

    async def whole() -> None:
        made = Desk()
        try:
            await work(made)
        finally:
            await made.closed()

    asyncio.run(whole())


@pytest.mark.usefixtures("offered")
def test_a_warm_kernel_is_a_fork_that_can_be_interrupted_and_restarted():
    """It has the libraries before its first cell, the environment of a report's notebook, and stays one after a restart."""

    async def work(made: Desk) -> None:
        kernel = await made.opened()
        pid, parent, there, hashed = await made.where(kernel)
        assert parent == warm._sources[0].process.process.pid
        assert there == "True"
        assert await made.answer(kernel, "import time\ntime.sleep(60)", kernel.interrupt_kernel) == "KeyboardInterrupt"
        await kernel.restart_kernel(now=True)
        again = await made.where(kernel)
        assert again[0] != pid
        assert again[1:] == (parent, "True", hashed)

    on_a_desk(work)


@pytest.mark.usefixtures("offered")
def test_a_kernel_has_the_package_as_it_is_now(monkeypatch: pytest.MonkeyPatch):
    """After a change of the package a kernel is forked from another process; one that runs goes on until it is closed."""

    async def work(made: Desk) -> None:
        old = await made.opened()
        before = await made.where(old)
        monkeypatch.setattr(archive, "source_digest", lambda _: "changed")
        new = await made.opened()
        after = await made.where(new)
        assert after[1] != before[1]
        assert await made.where(old) == before
        await old.shutdown_kernel(now=True)
        await new.restart_kernel(now=True)
        assert within(10, lambda: not runs(before[1]))
        assert [source.code for source in warm._sources] == ["changed"]

    on_a_desk(work)


@pytest.mark.usefixtures("offered")
def test_where_no_fork_is_possible_the_kernel_starts_by_itself(monkeypatch: pytest.MonkeyPatch):
    """On another system it is a kernel like any other, in the same environment."""
    monkeypatch.setattr(zygote, "POSSIBLE", False)

    async def work(made: Desk) -> None:
        _, parent, there, _ = await made.where(await made.opened())
        assert (parent, there) == (os.getpid(), "False")

    on_a_desk(work)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_the_laboratory_offers_the_kernel_and_leaves_nothing_behind(tmp_path: Path, sign: signal.Signals):
    """JupyterLab lists it beside the plain one and starts it; when the server ends, however it ends, nothing of it runs."""
    out = tmp_path / "said"
    script = f"""import sys; from pathlib import Path; from cxresearch.report import desk
sys.exit(desk.open_lab("", Path({str(archive.ROOT)!r}), ["--no-browser", "--allow-root", "--ServerApp.port=0"]))"""
    own = {"JUPYTER_RUNTIME_DIR": str(tmp_path), "IPYTHONDIR": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    with out.open("wb") as log:
        lab = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=archive.ROOT,
            env={**os.environ, **own, "PYTHONPATH": str(archive.ROOT)},
            stdout=log,
            stderr=log,
        )
    try:
        assert within(60, lambda: "is running at" in out.read_text()), out.read_text()
        server = json.loads(next(tmp_path.glob("jpserver-*.json")).read_text())
        assert within(60, lambda: _listens(server["port"])), out.read_text()  # it says that it runs before it listens

        def asked(path: str, data: bytes | None = None) -> Any:
            header = {"Authorization": f"token {server['token']}"}
            with urllib.request.urlopen(
                urllib.request.Request(server["url"] + path, data, header), timeout=60
            ) as answer:
                return json.load(answer)

        assert {warm.NAME, "python3"} <= set(asked("api/kernelspecs")["kernelspecs"])
        asked("api/kernels", json.dumps({"name": warm.NAME}).encode())
        forked = [pid for pid in _below(server["pid"]) if "cxresearch.report.zygote" in _words(pid)]
        assert len(forked) == 2, out.read_text()  # the process that imports, and the kernel
        os.kill(server["pid"], sign)
        lab.wait(timeout=30)
        assert within(20, lambda: not any(map(runs, forked)))
    finally:
        for pid in _below(lab.pid):
            os.kill(pid, signal.SIGKILL)
        lab.kill()
        lab.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def _below(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    children = listed.read_text().split() if listed.is_file() else []
    return [one for child in map(int, children) for one in (child, *_below(child))]


def _words(pid: int) -> str:
    return re.sub("\0", " ", Path(f"/proc/{pid}/cmdline").read_text())
