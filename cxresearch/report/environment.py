"""Environment: whether this machine can make reports, each thing with what to do where it cannot."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from cxresearch.errors import CxError
from cxresearch.report import archive, zygote

INSTALL = "run `make report`, which installs what requirements.txt names"
PYTHONS = ((3, 11), (3, 15))  # from, and before
LEAST_FREE = 500_000_000  # bytes: a year of reports and the demo data
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.M)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")

State = Literal["ok", "note", "stop"]


@dataclass(frozen=True)
class Check:
    """One thing that reports need: how it stands, and what to do; only `stop` keeps a report from being made."""

    name: str
    state: State
    said: str
    advice: str = ""


def examine(root: Path, data: str) -> Iterator[Check]:
    """Every check in turn, so that a slow one does not hold up what is known."""
    steps: list[Callable[[], Check]] = [
        python, lambda: packages(root), fonts, forking, kernel, lambda: room(root / "reports"), lambda: room(root / "data"),
        lambda: study(root, data), paper, browser,
    ]  # fmt: skip
    for step in steps:
        yield step()


def python(version: tuple[int, int] | None = None) -> Check:
    """Whether this Python is one that the packages are pinned for."""
    low, before = PYTHONS
    now = version or sys.version_info[:2]
    allowed = f"{low[0]}.{low[1]} to {before[0]}.{before[1] - 1}"
    if low <= now < before:
        return Check("Python", "ok", f"{now[0]}.{now[1]}")
    return Check(
        "Python", "stop", f"{now[0]}.{now[1]}, not one of {allowed}", "name another: make PYTHON=/path/to/python"
    )


def packages(root: Path) -> Check:
    """Whether the packages are installed in the versions of requirements.txt: other versions may give other numbers."""
    file = root / "requirements.txt"
    if not file.is_file():
        return Check("packages", "note", "there is no requirements.txt to compare with")
    pinned: dict[str, set[str]] = {}
    for name, version in _PIN.findall(file.read_text(encoding="utf-8")):
        pinned.setdefault(_plain(name), set()).add(version)
    there = {_plain(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}
    other = [
        f"{name} {there[name]} instead of {' or '.join(sorted(versions))}"
        for name, versions in sorted(pinned.items())
        if name in there and there[name] not in versions
    ]
    missing = [f"{name} is missing" for name in _needed(root) if name not in there]
    if not other and not missing:
        return Check("packages", "ok", f"{sum(name in there for name in pinned)} as pinned")
    return Check("packages", "stop" if missing else "note", "; ".join([*missing, *other]), INSTALL)


def _needed(root: Path) -> list[str]:
    """The packages that the code itself imports, as pyproject.toml names them."""
    file = root / "pyproject.toml"
    if not file.is_file():
        return []
    named = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["dependencies"]
    return sorted(_plain(match[0]) for one in named if (match := _NAME.match(one)))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def fonts() -> Check:
    """Whether the fonts of page and paper are there; a Noto font is only for scripts that they lack."""
    from cxresearch.charts.theme import FONT_FILES
    from cxresearch.report.fonts import installed_noto

    missing = [Path(file).name for file in FONT_FILES.values() if not Path(file).is_file()]
    if missing:
        return Check("fonts", "stop", f"{', '.join(missing)} missing", "restore cxresearch/charts/fonts")
    noto = len(installed_noto())
    more = (
        f"{noto} Noto fonts for other scripts" if noto else "no Noto font: other scripts show as [U+4E2D] in the paper"
    )
    return Check("fonts", "ok", f"Inter; {more}")


def forking() -> Check:
    """Whether a process can be forked: notebooks then start sooner."""
    if zygote.POSSIBLE:
        return Check("fork", "ok", "possible")
    return Check("fork", "note", "not possible here: each notebook starts a Python of its own, some seconds longer")


def kernel() -> Check:
    """Whether a notebook runs: one cell in a process of its own."""
    try:
        from nbformat import v4, write

        from cxresearch.report import kernels

        with tempfile.TemporaryDirectory(prefix="cxresearch-") as folder:
            source = Path(folder) / "one.ipynb"
            write(v4.new_notebook(cells=[v4.new_code_cell("1 + 1")]), source)
            _, error = kernels.execute(source, Path(folder) / "done.ipynb", {}, Path(folder))
    except Exception as failure:  # whatever stops it is the answer
        return Check("notebooks", "stop", f"{type(failure).__name__}: {failure}", INSTALL)
    return (
        Check("notebooks", "stop", str(error), INSTALL)
        if error
        else Check("notebooks", "ok", "a kernel starts and runs")
    )


def room(folder: Path) -> Check:
    """Whether a folder can be written to and its disk has room."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-"):
            free = shutil.disk_usage(folder).free
    except OSError as failure:
        return Check(
            f"{folder.name}/",
            "stop",
            f"cannot be written to: {failure.strerror}",
            "give your user the right to write there",
        )
    told = f"can be written to, {free / 1e9:.1f} GB free"
    if free < LEAST_FREE:
        return Check(f"{folder.name}/", "stop", told, f"make room: {LEAST_FREE / 1e9:.1f} GB are needed")
    return Check(f"{folder.name}/", "ok", told)


def study(root: Path, data: str) -> Check:
    """Whether the study file opens, as a report would open it; a demo that is not simulated yet is no fault."""
    from cxresearch.data import mapping
    from cxresearch.data.opening import preflight

    path = root / data
    data = archive.from_root(path, root)
    try:
        read = mapping.load(path)
        if read.simulate is not None and not all(file.is_file() for file in read.table_files):
            return Check(data, "ok", "its customers are simulated with the first report")
        found = preflight(str(path))
    except CxError as failure:
        return Check(data, "stop", " ".join(str(failure).split()), "mend the study file, or name another with --data")
    return Check(
        data, "ok", f"{found.title or found.name}, last period {found.period}, {sum(found.rows.values()):,} rows"
    )


def paper() -> Check:
    """Whether the typesetter makes a PDF."""
    try:
        import typst

        made = typst.compile(b"One page.", format="pdf")
    except Exception as failure:  # whatever stops it is the answer
        return Check("paper", "stop", f"typst: {type(failure).__name__}: {failure}", INSTALL)
    return Check("paper", "ok", f"typst makes a PDF ({len(made or b''):,} bytes)")


def browser() -> Check:
    """Whether a browser is there: only tests of the page need one."""
    found = next((name for name in CHROMIUM if shutil.which(name)), None)
    if found:
        return Check("browser", "ok", found)
    return Check("browser", "note", "no chromium: reports need none, tests of the page in a browser are skipped")


def line(check: Check) -> str:
    """A check as it is printed; paths of a user do not stand in it."""
    advice = f"; {check.advice}" if check.advice and check.state != "ok" else ""
    return archive.without_home(f"{check.state:4}  {check.name}: {check.said}{advice}")
