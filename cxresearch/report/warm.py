"""The kernel “cxresearch (warm)” of JupyterLab: forked from a process that has imported everything, as a report's are.

The server of JupyterLab loads this module, keeps that process while it runs, and ends it. A kernel that starts after
the package was changed has the package as it is now. Where no fork is possible the kernel starts by itself.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from cxresearch.report import archive, zygote

NAME = "cxresearch-warm"  # as the file of the kernel names it, in templates/jupyter


class Source:
    """A process to fork from, which code it has imported, and what was forked from it."""

    def __init__(self, code: str) -> None:
        self.code, self.process = code, zygote.Zygote()
        self.forks: list[zygote.Forked] = []


_turn = threading.Lock()
_sources: list[Source] = []  # the newest last; an older one lives while a kernel that was forked from it does


class Warm(LocalProvisioner):
    """Starts a kernel as a fork, with the same environment as a report's notebook."""

    async def pre_launch(self, **options: Any) -> dict[str, Any]:
        """What the kernel is started with."""
        ready = await super().pre_launch(**options)
        return {**ready, "env": {**ready["env"], **zygote.fixed()}}

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        """Start the process."""
        try:
            # while the libraries are still being imported the server has other things to do than to wait
            forked = await asyncio.to_thread(_forked, cmd, options["env"], str(options.get("cwd") or Path.cwd()))
        except zygote.Gone:
            return await super().launch_kernel(cmd, **options)
        self.process: Any = forked
        self.pid = self.pgid = forked.pid
        self.cwd = options.get("cwd")
        return self.connection_info


def _forked(cmd: Sequence[str], env: Mapping[str, str], cwd: str) -> zygote.Forked:
    if not zygote.POSSIBLE:
        raise zygote.Gone("no forks on this system")
    with _turn, open(os.dup(2), "wb") as log:  # what it says past its notebook goes where the server's words go
        source = _newest()
        forked = source.process.fork(cmd, env, cwd, log)
        source.forks.append(forked)
    return forked


def _newest() -> Source:
    """A process that has imported the package as it lies there now; older ones that nobody needs are ended."""
    code = archive.source_digest(archive.ROOT / "cxresearch")
    if not _sources or _sources[-1].code != code or _sources[-1].process.process.poll() is not None:
        _sources.append(Source(code))
    for old in [one for one in _sources[:-1] if all(fork.poll() is not None for fork in one.forks)]:
        _sources.remove(old)
        old.process.close()
    return _sources[-1]


def end() -> None:
    """End every process to fork from, with the kernels that were forked from it."""
    while _sources:
        _sources.pop().process.close()


def offer() -> None:
    """Let this process start such kernels, and begin to import what they need."""
    KernelProvisionerFactory.provisioners[NAME] = EntryPoint(
        NAME, f"{__name__}:{Warm.__name__}", KernelProvisionerFactory.GROUP_NAME
    )
    if zygote.POSSIBLE:
        atexit.register(end)
        _newest()


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(_: Any) -> None:
    offer()
