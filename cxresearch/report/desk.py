"""JupyterLab on the notebooks of the project, in the Python that has its packages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cxresearch.errors import UsageError
from cxresearch.report import edition

JUPYTER = Path(__file__).parent / "templates" / "jupyter"  # a kernel of ours, and the word that loads `report.warm`
FINDS = ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH")  # where JupyterLab looks beside its own places


def command(name: str, root: Path) -> list[str]:
    """The words that start JupyterLab at a notebook, or at the folder of notebooks where none is named."""
    if name:
        edition.notebook(name, root)  # an unknown one is refused with the nearest match
    if find_spec("jupyterlab") is None:
        raise UsageError(f"JupyterLab is not installed in {Path(sys.prefix).name}; `make lab` installs and opens it")
    place = f"/lab/tree/notebooks/{name}.ipynb" if name else "/lab/tree/notebooks"
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}", f"--LabApp.default_url={place}"]


def open_lab(name: str, root: Path, more: Sequence[str] = ()) -> int:
    """Open JupyterLab and stay until it ends; returns its exit code."""
    found = {key: os.pathsep.join(filter(None, [str(JUPYTER), os.environ.get(key)])) for key in FINDS}
    with subprocess.Popen([*command(name, root), *more], cwd=root, env={**os.environ, **found}) as lab:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is a question that JupyterLab asks itself
        try:
            return lab.wait()
        finally:
            signal.signal(signal.SIGINT, before)
