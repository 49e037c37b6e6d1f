"""Faults that users of such tools meet when reports run: mixed-up figures, lost files, hung kernels, foreign kernels."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import pytest
import tiny_project

from cxresearch import cli
from cxresearch.report import edition, zygote
from cxresearch.report.ledger import open_ledger
from cxresearch.report.plan import Request
from cxresearch.report.run import Outcome, run_edition

DRAWN = """import seaborn as sns, cxresearch as cx
ax = sns.lineplot(x=range(window), y=[i * i for i in range(window)])
cx.charts.use()
from cxresearch.charts.dressing import put_on
_ = put_on(ax, title=f"Window {window}", caption="", alt=f"squares up to {window}")"""
FINDING = tiny_project.finding("leavers").replace("estimate=0.1", "estimate=0.1 + window / 1000")


@pytest.fixture(scope="module", autouse=True)
def _warm() -> Iterator[None]:
    """One process to fork from for all tests here, as one command has one."""
    with zygote.ready():
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose figure and finding follow its parameter, on a study that any file is."""
    tiny_project.stand_in_for_the_study(monkeypatch)
    root = tiny_project.made(tmp_path / "project")
    window = "window: int = 12  # periods to look back [1, 120]"
    tiny_project.write_notebook(root, "leavers", "Who leaves?", FINDING, DRAWN, more=window)
    monkeypatch.setattr(cli, "ROOT", root)
    return root


def made(root: Path, window: int, out: str = "reports", **how: Any) -> Outcome:
    """The report with that value."""
    wanted = edition.load("monthly", root)
    values = {"window": str(window)}
    command = ("report", "monthly")
    request = Request(wanted, command, root, values, as_of=date(2026, 11, 2), out=root / out, **how)
    return run_edition(request, lambda _: None)


def figure(folder: Path) -> str:
    notebook = nbformat.read(folder / "notebooks" / "leavers.ipynb", as_version=4)
    return "".join(
        out.data["image/svg+xml"]
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        if "image/svg+xml" in out.get("data", {})
    )


def same_numbers(one: Path, other: Path) -> None:
    """Every file that holds figures or findings is equal, byte by byte."""
    names = ["ledger.parquet", "claims.json", *(f"notebooks/{name}.ipynb" for name in ("leavers", "scores", "summary"))]
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_reports_side_by_side_show_their_own_figures(project: Path):
    """Fault 5, 6: of three reports made at once each has the figure and number of its own value, and all files stay."""
    windows = (3, 6, 9)
    with ThreadPoolExecutor(3) as pool:
        outcomes = dict(zip(windows, pool.map(lambda window: made(project, window), windows), strict=True))
    for window, outcome in outcomes.items():
        assert outcome.exit_code == 0
        assert f"Window {window}<" in figure(outcome.folder)
        assert open_ledger(outcome.folder)["estimate"].tolist()[0] == pytest.approx(0.1 + window / 1000, abs=1e-12)
        assert (outcome.folder / "report.pdf").is_file()
    folder = project / "reports" / "monthly" / "2026-10"
    assert sorted(path.name for path in folder.iterdir()) == [f"window={window}" for window in windows]


@pytest.mark.slow
def test_twenty_reports_with_four_at_once_equal_those_made_one_by_one(project: Path):
    """Fault 5, 6: figures and findings are those of the serial run, file by file, forked or started, one or four at once."""
    windows = range(1, 21)
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda window: made(project, window, "beside", at_once=4), windows))
    for window, outcome in zip(windows, beside, strict=True):
        alone = made(project, window, "alone", at_once=1, fork=window % 4 > 0)
        assert (outcome.exit_code, alone.exit_code) == (0, 0)
        assert f"Window {window}<" in figure(outcome.folder)
        same_numbers(outcome.folder, alone.folder)


def test_runs_of_one_report_at_once_leave_one_whole_report(project: Path):
    """Fault 6: two runs write the same report at the same time; one of them stands, complete, and no folder is left over."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: made(project, 6), range(2))
    assert first.folder == second.folder
    assert {"report.html", "report.pdf", "run.json"} <= {path.name for path in first.folder.iterdir()}
    assert [path.name for path in (project / "reports" / "monthly").iterdir()] == ["2026-10"]


@pytest.mark.parametrize(
    ("cell", "code", "told"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 138, "ended by SIGKILL; often this means that memory ran out"),
        ("1 / 0", 1, "line 1: ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_a_dead_kernel_does_not_hang(
    project: Path, cell: str, code: int, told: str, capsys: pytest.CaptureFixture[str]
):
    """Fault 7: a kernel that dies, as when memory runs out, fails its notebook soon and with an exit code of its own."""
    tiny_project.write_notebook(project, "scores", "What do they say?", cell)
    assert cli.main(["report", "--as-of", "2026-11-02", "-j", "1"]) == code
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cxresearch: error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert "scores, cell 3" in errors[0]


def test_another_machines_kernel_does_not_matter(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Fault 8: a notebook that names a kernel, or an environment that prefers one, runs in this Python all the same."""
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "elsewhere")
    for fork in (True, False):
        outcome = made(project, 6, fork=fork)
        notebook = nbformat.read(outcome.folder / "notebooks" / "scores.ipynb", as_version=4)
        assert notebook.metadata.kernelspec.name == "elsewhere"
        assert [out.text for out in notebook.cells[-1].outputs] == ["True True\n"]
