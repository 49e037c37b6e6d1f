"""The doctor: what a machine lacks to make reports is said with what to do, and what it can do without is only a note."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from cxresearch import cli
from cxresearch.data import opening
from cxresearch.errors import GateClosed
from cxresearch.report import environment, kernels, zygote
from cxresearch.report.environment import Check

FINE = Check("any", "ok", "fine")


def names(out: str) -> dict[str, str]:
    """State by name of what was checked."""
    return {line[6:].partition(":")[0]: line[:4].strip() for line in out.splitlines()}


def test_every_part_of_this_machine_is_looked_at(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Python, packages, fonts, fork, a kernel, both folders, the study, the paper and the browser: one line each, exit 0."""
    (project / "data" / "demo.toml").write_text('name = "demo"\n[tables.panel]\nfile = "panel.parquet"\n')
    code = cli.main(["doctor"])
    out = capsys.readouterr().out
    assert code == 0, out
    found = names(out)
    assert list(found) == [
        "Python", "packages", "fonts", "fork", "notebooks", "reports/", "data/", "data/demo.toml", "paper", "browser",
    ]  # fmt: skip
    assert found["notebooks"] == found["paper"] == "ok"
    assert str(Path.home()) + "/" not in out


def test_what_stops_a_report_is_exit_2_with_advice(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study that does not open is a stop: the line says why and what to do, and the rest is checked all the same."""
    monkeypatch.setattr(environment, "kernel", lambda: FINE)

    def closed(*_: object) -> None:
        raise GateClosed("panel: 3 customers have several rows")

    monkeypatch.setattr(opening, "preflight", closed)
    (project / "data" / "demo.toml").write_text('name = "demo"\n[tables.panel]\nfile = "panel.parquet"\n')
    assert cli.main(["doctor"]) == 2
    out = capsys.readouterr().out
    line = (
        "stop  data/demo.toml: panel: 3 customers have several rows; mend the study file, or name another with --data"
    )
    assert line in out.splitlines()
    assert names(out)["paper"] == "ok"


def test_a_demo_that_is_not_made_yet_is_no_fault(tmp_path: Path) -> None:
    """On a fresh clone the demo's customers are absent: they come with the first report, and the doctor makes none."""
    (tmp_path / "demo.toml").write_text(
        'name = "demo"\nfolder = "demo"\n[simulate]\npreset = "baseline"\n[tables.panel]\nfile = "panel.parquet"\n'
    )
    check = environment.study(tmp_path, "demo.toml")
    assert (check.state, check.said) == ("ok", "its customers are simulated with the first report")
    assert not (tmp_path / "demo").exists()


def test_only_some_pythons_will_do() -> None:
    """A Python that nothing is pinned for is a stop."""
    assert environment.python((3, 11)).state == "ok"
    assert [environment.python(one).state for one in ((3, 10), (3, 15))] == ["stop", "stop"]
    assert "make PYTHON=" in environment.python((3, 10)).advice


def test_packages_are_held_to_their_pins(tmp_path: Path) -> None:
    """Another version is a note, because numbers may differ; a package that the code needs and that is absent is a stop."""
    own = metadata.version("numpy")
    (tmp_path / "requirements.txt").write_text(
        f"NumPy=={own} \\\n    --hash=sha256:0\npandas==0.1 ; python_version < '4'\n"
    )
    check = environment.packages(tmp_path)
    assert (check.state, check.advice) == ("note", environment.INSTALL)
    assert check.said == f"pandas {metadata.version('pandas')} instead of 0.1"
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["numpy", "no-such-package[extra]>=1"]\n')
    check = environment.packages(tmp_path)
    assert check.state == "stop"
    assert check.said.startswith("no-such-package is missing")


def test_a_full_or_closed_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is absent or cannot be written to, and a disk without room, are stops; a good one keeps nothing."""
    assert environment.room(tmp_path).state == "ok"
    assert list(tmp_path.iterdir()) == []
    assert environment.room(tmp_path / "absent").state == "stop"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    assert "make room" in environment.room(tmp_path).advice


def test_a_kernel_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps a notebook from running stands in the line."""

    def broken(*_: object) -> None:
        raise OSError("no process")

    monkeypatch.setattr(kernels, "execute", broken)
    assert (environment.kernel().state, environment.kernel().said) == ("stop", "OSError: no process")


def test_no_browser_is_only_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports need no browser."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert environment.browser().state == "note"


def test_a_process_that_cannot_fork_is_only_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fork reports are made all the same."""
    monkeypatch.setattr(zygote, "POSSIBLE", False)
    assert environment.forking().state == "note"


def test_a_study_is_named_without_the_users_home(project: Path, capsys: pytest.CaptureFixture[str]):
    """A study file of the project is named from its root, as everywhere; no line has the path to it."""
    assert cli.main(["doctor", "--data", str(project / "absent.toml")]) == 2
    told = capsys.readouterr().out
    assert "stop  absent.toml: no study file 'absent.toml'" in told
    assert str(project) not in told
