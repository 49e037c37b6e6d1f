"""A process with the heavy libraries imported, from which each notebook's own process is forked: .2 s instead of 3.

It lives while one report is made, imports while the report begins, and does nothing else: it has no
database, no thread and no event loop, because a fork copies those broken. It ends when its command does, however that
ends, and no process forked from it outlives it. Linux only: elsewhere libraries do not survive a fork, or a process
cannot be tied to the life of another, and every notebook's process starts by itself.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

PACKAGE = Path(__file__).resolve().parents[2]
POSSIBLE = sys.platform == "linux"
START_SECONDS = 120  # a loaded machine needs its time to import
# Notebooks run side by side: more threads each cost time, sums would depend on their number, and forks want none.
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# what notebooks import, each a second or a good part of one
HEAVY = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "fontTools.subset",
    "scipy.stats",
    "statsmodels.formula.api",
    "seaborn",
    "ibis.backends.duckdb",
)
LATER = ("charts", "__version__")  # that room tells the notebook how to show figures when it is imported there
# Memory pools (Arrow, DuckDB, Rust) would each start a thread when they are imported.
THREADLESS = dict.fromkeys(
    ("JE_ARROW_MALLOC_CONF", "DUCKDB_JE_MALLOC_CONF", "_RJEM_MALLOC_CONF"), "background_thread:false"
)
THREADED = ("polars",)  # starts a thread whatever it is told; who has it installed imports it after the fork
INLINE = "module://matplotlib_inline.backend_inline"  # what a kernel sets before Matplotlib is imported
KERNEL = ("-m", "ipykernel_launcher")
NUMBER = struct.Struct("=i")
DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def fixed() -> dict[str, str]:
    """The environment that every notebook's process has, forked or not."""
    search = os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**SINGLE, "PYTHONHASHSEED": "0", "PYTHONPATH": search, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


class Gone(Exception):
    """There is no process to fork from; the notebook's own must start by itself."""


class Forked:
    """A process forked for one notebook; the part of `subprocess.Popen` that a kernel provisioner uses."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, news: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._news = news
        self._news.setblocking(False)
        self._reading = threading.Lock()

    def poll(self) -> int | None:
        """The exit status, as soon as there is one."""
        with self._reading:
            if self.returncode is None:
                try:
                    told = self._news.recv(NUMBER.size)
                except BlockingIOError:
                    return None
                except ConnectionError:
                    told = b""
                # No word, and nobody to give it: the process it was forked from was killed, and this one with it.
                self.returncode = NUMBER.unpack(told)[0] if told else -signal.SIGKILL
                self._news.close()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status, waited for."""
        if self.returncode is None:
            select.select([self._news], [], [], timeout)
        return self.poll()

    def send_signal(self, sign: int) -> None:
        """Send a signal to the process and to what it started."""
        if self.poll() is None:
            os.killpg(self.pid, sign)

    def kill(self) -> None:
        """End it, with what it started."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class Zygote:
    """The command's side: asks for forks, and ends the process they come from."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cx"))
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), str(self.folder)],
                cwd=PACKAGE,
                env={"MPLBACKEND": INLINE, **os.environ, **fixed(), **THREADLESS},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # an interrupt from the keyboard is for the command, which ends us
            )

    def fork(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, log: IO[bytes]) -> Forked:
        """A process of its own for a kernel with these arguments; raises Gone where there is nothing to fork from."""
        if tuple(argv[1:3]) != KERNEL:
            raise Gone(f"forks are kernels, not {argv}")
        news, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._orders, [b"fork"], [theirs.fileno(), log.fileno()])
            news.settimeout(START_SECONDS)
            order = json.dumps({"argv": [*argv[3:]], "env": dict(env), "cwd": str(cwd)})
            news.sendall(order.encode() + b"\n")
            told = news.recv(NUMBER.size)
            if not told:
                raise Gone((self.folder / "log").read_text(errors="replace").strip() or "it ended")
        except (OSError, Gone) as error:
            news.close()
            if isinstance(error, TimeoutError):
                self.process.kill()  # else its fork, when it comes, would meet the one that is started instead
            raise error if isinstance(error, Gone) else Gone(str(error)) from error
        return Forked(NUMBER.unpack(told)[0], news)

    def close(self) -> None:
        """End it, with whatever was forked from it."""
        # while it lives it would clear up, should this process be killed here; afterwards nobody would
        shutil.rmtree(self.folder, ignore_errors=True)
        self.process.kill()
        self.process.wait()
        self._orders.close()
        shutil.rmtree(self.folder, ignore_errors=True)  # what a fork has written meanwhile


_turn = threading.Lock()
_users: list[object] = []
_kept: list[Zygote] = []


@contextmanager
def ready(wanted: bool = True) -> Iterator[None]:
    """Keep one process to fork from while the block runs; blocks inside it or beside it share that one."""
    if not (wanted and POSSIBLE):
        yield
        return
    user = object()
    with _turn:
        _users.append(user)
        if not _kept:
            _kept.append(Zygote())
    try:
        yield
    finally:
        with _turn:
            _users.remove(user)
            if not _users:
                _kept.pop().close()


def current() -> Zygote | None:
    """What to fork from, if there is one."""
    return next(iter(_kept), None)


# ------------------------------------------------------------------------------- the side of the process itself


class _Server:
    """Waits for orders, forks, and tells of the ends of what it forked."""

    def __init__(self, orders: socket.socket, folder: str) -> None:
        self.orders = orders
        self.folder = folder
        self.children: dict[int, socket.socket] = {}
        self.wake, self.woken = socket.socketpair()
        self.wake.setblocking(False)

    def imported(self) -> bool:
        """Import what notebooks import; False where the command ended meanwhile."""
        sys.modules |= dict.fromkeys(THREADED)  # type: ignore[arg-type]  # None refuses the import
        for name in HEAVY:
            importlib.import_module(name)
            if select.select([self.orders], [], [], 0)[0] and not self.orders.recv(1, socket.MSG_PEEK):
                return False
        house = importlib.import_module("cxresearch")
        for name in set(house.__all__) - set(LATER):
            getattr(house, name)
        for name in THREADED:
            del sys.modules[name]
        if (threads := len(os.listdir("/proc/self/task"))) > 1:
            sys.exit(f"{threads} threads run after the imports, and a fork would lose them")
        gc.collect()
        gc.freeze()  # so that collections in the forks leave these pages shared
        return True

    def serve(self) -> socket.socket | None:
        """Fork on order until the command ends; in each fork returns where its order is to be read."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake.fileno())
        while True:
            heard, _, _ = select.select([self.orders, self.woken], [], [])
            if self.woken in heard:
                self.woken.recv(1024)
                self._bury()
            if self.orders in heard:
                message, (*handles,), _, _ = socket.recv_fds(self.orders, 16, 2)
                if not message:
                    self.end()
                    return None
                if (news := self._forked(*handles)) is not None:
                    return news

    def _forked(self, news_handle: int, log: int) -> socket.socket | None:
        news, server = socket.socket(fileno=news_handle), os.getpid()
        pid = os.fork()
        if pid == 0:
            _tie_to(server)
            os.setpgid(0, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self.orders, self.wake, self.woken, *self.children.values()):
                inherited.close()
            return news
        os.close(log)
        with suppress(OSError):  # it may have done so itself, or be gone already
            os.setpgid(pid, pid)
        self.children[pid] = news
        with suppress(OSError):
            news.send(NUMBER.pack(pid))
        return None

    def _bury(self) -> None:
        for pid in list(self.children):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                with self.children.pop(pid) as news, suppress(OSError):
                    news.send(NUMBER.pack(os.waitstatus_to_exitcode(status)))

    def end(self) -> None:
        """Leave nothing behind."""
        for pid in self.children:
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        shutil.rmtree(self.folder, ignore_errors=True)


def _tie_to(parent: int) -> None:
    """Let this process be killed when its parent ends, also where it ended a moment ago."""
    ctypes.CDLL(None, use_errno=True).prctl(DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _become_kernel(news: socket.socket) -> None:
    """Follow the order: environment, folder, fresh dice, then a kernel as if it had just been started."""
    with news, news.makefile("rb") as file:
        order: dict[str, Any] = json.loads(file.readline())
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    time.tzset()
    tempfile.tempdir = None  # its own, not the one found while importing
    sys.modules["numpy"].random.seed()  # else all forks would throw the same dice; `random` sees to it by itself
    kernelapp = importlib.import_module("ipykernel.kernelapp")
    sys.argv = [str(Path(kernelapp.__file__ or "").parents[1] / "ipykernel_launcher.py"), *order["argv"]]
    sys.argv.append(f"--IPKernelApp.parent_handle={os.getppid()}")
    kernelapp.launch_new_instance()


def main() -> None:
    """The process: import, then wait for orders; a fork of it leaves as a kernel."""
    del sys.path[0]  # the folder it was started in, which is on the path already
    handle, folder = sys.argv[1:]
    server = _Server(socket.socket(fileno=int(handle)), folder)
    if not server.imported():
        server.end()
    elif (news := server.serve()) is not None:
        with closing(news):
            _become_kernel(news)


if __name__ == "__main__":
    main()
