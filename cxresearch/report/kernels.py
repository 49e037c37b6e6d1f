"""One notebook in a process of its own: always this very Python, whatever the notebook or the user's settings name."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty
from types import MappingProxyType
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelClient, AsyncKernelManager
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import LocalProvisioner
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellTimeoutError
from papermill.translators import papermill_translators

from cxresearch.errors import CxError, KernelDied, NotebookFailed
from cxresearch.report import zygote
from cxresearch.report.parameters import Translator, sent
from cxresearch.report.zygote import START_SECONDS

LONGEST_SOCKET_FOLDER = 96  # bytes; the path of a socket has at most 103 on some systems, else ports serve
CELL_SECONDS = 3600  # a cell that runs longer is taken for hung
OWN_CELLS = {"injected-parameters", "papermill-error-cell-tag"}  # not among the cells that the researcher wrote
_IN_CELL = re.compile(r"(?:Cell In\s*\[\d+\]|<ipython-input-[^>]*>|File <[^>]*>)[^\n]*?line (\d+)")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

papermill_translators.register("python", Translator)
logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what went wrong is said once, by us

running: set[Kernel] = set()
stopping = threading.Event()


class Forking(LocalProvisioner):
    """Starts a kernel as a fork of a process that has imported everything, or by itself where there is none."""

    kernels_folder: Path

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        """Start the process."""
        source = zygote.current()
        # What it writes past the notebook goes to a file, not between our results.
        with open(self.kernels_folder / "log", "ab") as log:
            if source is not None:
                with suppress(zygote.Gone):
                    forked = source.fork(cmd, options["env"], options["cwd"], log)
                    self.process: Any = forked
                    self.pid = self.pgid = forked.pid
                    self.cwd = options["cwd"]
                    return self.connection_info
            if stopping.is_set():
                raise RuntimeError("stopped before it started")
            return await super().launch_kernel(cmd, stdout=log, stderr=log, **options)


class Client(AsyncKernelClient):
    """Hears of a kernel that it is ready, and goes on at once; the library listens a fifth of a second longer."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel has answered on both channels that a notebook needs; raises RuntimeError where it does not."""
        until = time.monotonic() + (math.inf if timeout is None else timeout)
        while time.monotonic() < until:
            asked = self.kernel_info()
            with suppress(Empty):
                self._handle_kernel_info_reply(await self.shell_channel.get_msg(timeout=1))
                while said := await self.iopub_channel.get_msg(timeout=0.2):
                    if (
                        said["parent_header"].get("msg_id") == asked
                        and said["content"].get("execution_state") == "idle"
                    ):
                        return
            if not await self.is_alive():
                raise RuntimeError("the process died before it answered")
        raise RuntimeError(f"the process did not answer in {timeout} seconds")


class Kernel(AsyncKernelManager):
    """A kernel of the Python that runs us; kernels that were installed for the user are not asked.

    `told` are environment variables of its own.
    """

    told: Mapping[str, str] = MappingProxyType({})

    def __init__(self, **options: Any) -> None:
        super().__init__(client_factory=Client, **options)
        kept = zygote.current()
        self.folder = Path(tempfile.mkdtemp(prefix="cx", dir=kept.folder if kept else None))
        self.connection_file = str(self.folder / "k.json")
        if os.name == "posix" and len(os.fsencode(self.folder)) <= LONGEST_SOCKET_FOLDER:
            self.transport = "ipc"  # a socket in our own folder: no port that others could reach or take
            self.ip = str(self.folder / "k")

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the process is started."""
        argv = [sys.executable, *zygote.KERNEL, "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python", env=self._environment())

    def _environment(self) -> dict[str, str]:
        # The user's start-up files and history have no say in what is published.
        own = {"IPYTHONDIR": str(self.folder), "PYTHONSTARTUP": ""}
        # What a notebook keeps on disk for a while goes with its process, however that ends.
        return {**zygote.fixed(), **own, "TMPDIR": str(self.folder), **self.told}

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the process."""
        self.kernel_id = self.kernel_id or str(uuid.uuid4())
        self.provisioner = Forking(kernel_id=self.kernel_id, kernel_spec=self.kernel_spec, parent=self)
        self.provisioner.kernels_folder = self.folder
        await self._async_start_kernel(**options)
        running.add(self)
        if stopping.is_set():  # the user stopped while the process was being started
            self.process.kill()

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        """Remove what the process left, unless it starts anew."""
        await super()._async_cleanup_resources(restart=restart)
        if not restart:
            running.discard(self)
            shutil.rmtree(self.folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources

    async def _async_wait(self, pollinterval: float = 0.005) -> None:
        """Wait until the process has ended: that takes less than the tenth of a second after which the library looks."""
        await super()._async_wait(pollinterval)

    @property
    def process(self) -> Any:
        """The process itself, while there is one."""
        return getattr(self.provisioner, "process", None)


class Watched(Kernel):
    """A kernel whose exit status is kept, because it says why the process is gone."""

    exits: list[int]

    async def is_alive(self) -> bool:  # type: ignore[override]
        """Whether the process runs."""
        if self.process is not None and (status := self.process.poll()) is not None:
            self.exits.append(status)
        return await self._async_is_alive()


def allow() -> None:
    """Let kernels start again: the run that was stopped is over."""
    stopping.clear()


def stop_all() -> None:
    """End every kernel that we started or are about to start: the user wants to stop."""
    stopping.set()
    if (source := zygote.current()) is not None:
        source.process.kill()
    for kernel in list(running):
        if kernel.process is not None:
            with suppress(OSError):
                kernel.process.kill()


def execute(
    source: Path, target: Path, values: Mapping[str, Any], root: Path, told: Mapping[str, str] | None = None
) -> tuple[Any, CxError | None]:
    """Run a notebook with these parameter values from the project's root; returns it executed, and what went wrong.

    `told` are environment variables that it meets. The executed notebook is also at `target`, up to the cell that failed.
    """
    exits: list[int] = []
    error: CxError | None = None
    try:
        papermill.execute_notebook(
            *(str(path).replace("{", "{{").replace("}", "}}") for path in (source, target)),
            sent(values),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            start_timeout=START_SECONDS,
            execution_timeout=CELL_SECONDS,
            kernel_manager_class=type("Kernel", (Watched,), {"exits": exits, "told": told or {}}),
            shutdown_kernel="immediate",
            record_timing=False,
            resources={"metadata": {"path": str(root)}},
        )
    except papermill.PapermillExecutionError as failure:
        error = NotebookFailed(f"{failure.ename}: {_first_line(failure.evalue)}")
    except CellTimeoutError:
        error = NotebookFailed(f"TimeoutError: a cell ran longer than {CELL_SECONDS} seconds")
    except RuntimeError as failure:  # nbclient's DeadKernelError is one, and so is a death while starting
        error = KernelDied(_death(exits, failure))
    finally:
        _close_loop()
    notebook = nbformat.read(target, as_version=4)
    return notebook, _placed(notebook, error)


def _close_loop() -> None:
    """Close the event loop that nbclient opened in this thread and would leave open."""
    loop = ensure_event_loop()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    asyncio.set_event_loop(None)


def _first_line(text: str) -> str:
    lines = _ANSI.sub("", text).strip().splitlines()
    return lines[0] if lines else ""


def _death(exits: list[int], failure: RuntimeError) -> str:
    status = exits[-1] if exits else None
    if status is None:
        return f"the process of the notebook died: {_first_line(str(failure))}"
    if status < 0:
        name = signal.Signals(-status).name
        hint = "; often this means that memory ran out" if name == "SIGKILL" else ""
        return f"the process of the notebook was ended by {name}{hint}"
    return f"the process of the notebook ended by itself with status {status}"


def _placed(notebook: Any, error: CxError | None) -> CxError | None:
    """The error with the cell and line where it happened, also shown in that cell where the kernel could not."""
    if error is None:
        return None
    written = [cell for cell in notebook.cells if not OWN_CELLS & set(cell.metadata.get("tags", []))]
    code = [cell for cell in written if cell.cell_type == "code"]
    reached = [cell for cell in code if cell.metadata.get("papermill", {}).get("status") != "pending"]
    cell = next(iter([c for c in code if _shown_error(c)] or reached[-1:] or code))
    if not _shown_error(cell):
        text = str(error) if isinstance(error, NotebookFailed) else f"KernelDied: {error}"
        name, _, message = text.partition(": ")
        cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=message, traceback=[str(error)]))
        notebook.metadata.papermill["exception"] = True
    line = _line(_shown_error(cell))
    return type(error)(f"cell {written.index(cell) + 1}{f', line {line}' if line else ''}: {error}")


def _shown_error(cell: Any) -> Any:
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def _line(output: Any) -> str:
    found = _IN_CELL.search(_ANSI.sub("", "\n".join(output.get("traceback", []))))
    return found[1] if found else ""
