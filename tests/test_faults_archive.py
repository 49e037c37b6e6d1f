"""Faults that users of report tools meet most, tried through the command line in a project of its own.

What is stale is made again and says why; a sweep shows each member's own figures; runs side by side do not meet;
a blank report is no success; and whatever ends a run, the report that stood there stands.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow.parquet as pq
import pytest
import tiny_project
from test_cli import HEAVY

from cxresearch.data import opening
from cxresearch.data.opening import Preflight
from cxresearch.report import archive, known

ROOT = Path(__file__).resolve().parents[1]
MONTH = Path("reports", "monthly", "2026-10")


def started(project: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """The command line of a project, running."""
    environment = {**os.environ, "PYTHONPATH": str(project), **more}
    return subprocess.Popen(
        [sys.executable, "-m", "cxresearch", *words],
        cwd=project,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def said(project: Path, *words: str, code: int = 0) -> tuple[str, str]:
    """What the command line says on its two streams; its exit code is held against the one expected."""
    running = started(project, *words)
    out, err = running.communicate(timeout=600)
    assert running.returncode == code, err
    return out, err


def reasons(project: Path, *words: str) -> dict[str, str]:
    """What `--dry-run` says of each notebook."""
    out, err = said(project, "report", *words, "--dry-run")
    assert "running" not in err
    rows = [re.split(r"  +", line.strip()) for line in out.splitlines() if line.startswith("  ")]
    return {row[0]: ": ".join(row[1:]) for row in rows}


def record(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "run.json").read_text()))


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def ended(err: str) -> str:
    """The one error line, which is the last one."""
    lines = [line for line in err.splitlines() if "Traceback" in line or line.startswith("cxresearch: error: ")]
    assert lines == err.splitlines()[-1:]
    return lines[0].removeprefix("cxresearch: error: ")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that another process can work in."""
    return tiny_project.standing_alone(tmp_path / "project", ROOT / "cxresearch")


# ------------------------------------------------------------- fault 4: the cache ignores what a report rests on


@pytest.mark.slow
def test_an_unchanged_report_is_not_made_again_and_a_changed_one_says_why(project: Path):
    """Parameters, notebook, data, code, versions, policy and damaged files each are noticed; nothing else is."""
    made, _ = said(project, "report")
    before = contents(project / MONTH)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    again, told = said(project, "report")
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime < 2  # of the processor: others may use it too
    assert (again, told.splitlines()[-1]) == (made, f"up to date: {MONTH}")
    assert contents(project / MONTH) == before
    assert set(reasons(project).values()) == {"up to date"}
    script = "import sys; from cxresearch.cli import main; main(['report']); print(sorted(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(project)}
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert [name for name in HEAVY if f"'{name}'" in done.stdout.splitlines()[-1]] == []

    panel = project / "data" / "panel.csv"
    was, text = panel.stat(), panel.read_text()
    panel.write_text(text.replace("c7,2026-10,high,no", "c7,2026-10,mass,no"))
    os.utime(panel, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (panel.stat().st_size, panel.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert reasons(project)["leavers"] == "would run: data changed"
    panel.write_text(text)

    edition = project / "reports" / "monthly.toml"
    edition.write_text(tiny_project.EDITION + "[parameters]\nwindow = 6\n")
    changed = reasons(project)
    assert changed["leavers"] == "would run: parameter window changed the notebook's own -> 6"
    assert changed["scores"] == "up to date"
    assert changed["summary"] == "would run: it reads the numbers of leavers"
    edition.write_text(tiny_project.EDITION.replace("The month", "Our month"))
    assert reasons(project)["page and paper"] == "would be made: title changed"
    edition.write_text(tiny_project.EDITION)

    room = project / "cxresearch" / "measures.py"
    room.write_text(room.read_text() + "\n# edited\n")
    assert reasons(project)["scores"] == "would run: code changed"
    edit(room, "\n# edited\n", "")
    edit(project / "cxresearch" / "claims.toml", "reason = ", "reason  = ")
    assert reasons(project)["scores"] == "would run: policy changed; code changed"
    edit(project / "cxresearch" / "claims.toml", "reason  = ", "reason = ")
    other = project / "pandas-0.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: pandas\nVersion: 0.1\n")
    assert re.fullmatch(r"would run: version of pandas changed \d\S* -> 0.1", reasons(project)["scores"])
    shutil.rmtree(other)

    edit(project / "notebooks" / "scores.ipynb", "os.getcwd()", "(os.getcwd())")
    assert reasons(project)["scores"] == "would run: notebook changed"
    assert reasons(project)["leavers"] == "up to date"
    edit(project / "notebooks" / "scores.ipynb", "(os.getcwd())", "os.getcwd()")
    (project / MONTH / "report.pdf").write_bytes(b"%PDF")
    assert reasons(project)["page and paper"] == "would be made: report.pdf is missing or damaged"
    _, told = said(project, "report")
    assert "running" not in told
    assert {k: v for k, v in contents(project / MONTH).items() if k != "run.json"} == {
        k: v for k, v in before.items() if k != "run.json"
    }


@pytest.mark.slow
def test_only_what_changed_runs(project: Path):
    """A notebook that was edited runs, its neighbour is taken over as it was, and the summary reads both anew."""
    said(project, "report")
    before = contents(project / MONTH)
    edit(project / "notebooks" / "leavers.ipynb", "estimate=0.1,", "estimate=0.11,")
    _, told = said(project, "report")
    assert "taking over scores\n" in told
    assert "running leavers\n" in told
    assert "running summary\n" in told
    after = contents(project / MONTH)
    assert after["notebooks/scores.ipynb"] == before["notebooks/scores.ipynb"]
    assert after["ledger.parquet"] != before["ledger.parquet"]
    _, told = said(project, "report", "--force")
    assert "running leavers, scores\n" in told
    assert {k: v for k, v in contents(project / MONTH).items() if k != "run.json"} == {
        k: v for k, v in after.items() if k != "run.json"
    }


@pytest.mark.slow
def test_a_report_that_rests_on_earlier_verdicts_follows_them(project: Path):
    """When the report of the month before is made with other verdicts, this month's is stale, and says why."""
    said(project, "report", "--period", "2026-09")
    said(project, "report")
    verdicts = project / "reports" / "monthly" / "2026-09" / "claims.json"
    edit(verdicts, '"not_estimable"', '"undecided"')
    assert reasons(project)["leavers"] == "would run: earlier verdicts changed"


def test_a_large_file_is_read_again_only_where_it_changed(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Content of the same size under the same time of change is noticed; an untouched file is not read."""
    monkeypatch.setattr(known, "CHEAP", 0)
    asked: list[str] = []

    def preflight(data: str, *_: Any) -> Preflight:
        asked.append(data)
        return Preflight("demo", "Demo", "2026-10", "f00d", {"panel": 1}, frozenset({"panel.churned"}))

    monkeypatch.setattr(opening, "preflight", preflight)
    monkeypatch.setattr(known, "_content", read := Mock(side_effect=known._content))

    def ask(period: str = "latest", as_of: str = "2026-11-02") -> tuple[int, int]:
        found = known.preflight(project, "data/demo.toml", period, as_of, ["all"])
        assert (found.period, found.columns) == ("2026-10", frozenset({"panel.churned"}))
        return len(asked), read.call_count

    assert ask() == (1, 2)  # the study file and its table
    assert ask() == (1, 2)
    assert ask(as_of="2026-11-30") == (2, 2)  # whether a period has ended is of the day
    assert ask("2026-10") == (3, 2)
    panel = project / "data" / "panel.csv"
    was, text = panel.stat(), panel.read_text()
    panel.write_text(text.replace("c7,", "c8,"))
    os.utime(panel, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert panel.stat().st_size == was.st_size
    assert ask() == (4, 3)
    for file in (project / ".cxresearch").iterdir():
        file.write_text("[damaged")
    assert ask() == (5, 5)


# --------------------------------------------------- fault 5: every report of a sweep shows the last one's figures

SWEEP = tiny_project.EDITION + '[sweep]\nsegment = ["mass", "high"]\nwindow = [6, 12]\n'
BY_SEGMENT = 'shown = {"mass": 0.1, "high": 0.2}[segment]\n'


def sweeping(project: Path, written: str, *cells: str) -> None:
    """The edition as a sweep, with a chapter whose figure is that of its segment."""
    (project / "reports" / "monthly.toml").write_text(written)
    figure = BY_SEGMENT + tiny_project.finding("leavers").replace("estimate=0.1", "estimate=shown")
    window = "window: int = 12  # periods to look back [1, 120]"
    tiny_project.write_notebook(project, "leavers", "Who leaves?", *cells, figure, "print(window)", more=window)


@pytest.mark.slow
def test_each_member_of_a_sweep_shows_its_own_figures(project: Path):
    """The product of the swept values, each in its folder, with its own values in ledger, notebook and command."""
    sweeping(project, SWEEP)
    out, err = said(project, "report")
    for segment, figure in (("mass", 0.1), ("high", 0.2)):
        for window in ("6", "12"):
            folder = project / MONTH / f"segment={segment},window={window}"
            assert f"{folder.relative_to(project)}/report.html" in out.splitlines()
            ledger = pq.read_table(folder / "ledger.parquet").to_pylist()
            assert [row["estimate"] for row in ledger if row["notebook"] == "leavers"] == [figure]
            found = record(folder)
            assert found["parameters"]["leavers"]["segment"] == segment
            assert f"-p segment {segment} -p window {window}" in found["command"]
            assert re.search(rf"^segment={segment}, window={window} +made +\d", err, re.M)
    index = (project / "reports" / "index.html").read_text()
    assert index.count("<p>Ten in a hundred leave.</p>") == 4
    assert index.count('<li class="report"') == 4
    assert "segment=high, window=12</th><td>made</td>" in index
    out, err = said(project, "report", "-p", "window", "6")
    assert err.count("up to date: ") == 2
    _, err = said(project, "report", "-p", "window", "6", "-p", "segment", "high")
    assert err.splitlines()[-1] == f"up to date: {MONTH}/segment=high,window=6"


@pytest.mark.slow
def test_a_failed_member_does_not_end_the_others(project: Path):
    """Exit 6 when part of a sweep failed, the failed one shows where it stopped; --fail-fast ends at the first."""
    one = tiny_project.EDITION + '[sweep]\nsegment = ["mass", "high"]\n'
    sweeping(project, one, "assert segment != 'mass', 'no mass here'")
    out, err = said(project, "report", "--fail-fast", code=6)
    assert re.search(r"^segment=high +not tried", err, re.M)
    assert not (project / MONTH / "segment=high").exists()
    out, err = said(project, "report", code=6)
    assert re.search(r"^segment=mass +failed", err, re.M)
    assert re.search(r"^segment=high +made", err, re.M)
    assert "leavers, cell 3, line 1: AssertionError: no mass here; executed so far: reports/" in err
    assert f"{MONTH}/segment=high/report.html" in out.splitlines()
    assert record(project / MONTH / "segment=mass")["status"] == "failed"
    sweeping(project, one + "keep_going = false\n".join(["", ""]))
    (project / "reports" / "monthly.toml").write_text("keep_going = false\n" + one)
    out, err = said(project, "report")
    assert "sweep of 2: 2 well, 0 failed" in err


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            '[sweep]\nsegmnt = ["mass"]',
            "no parameter 'segmnt' in the notebooks of reports/monthly.toml [sweep]; did you",
        ),
        ("[sweep]\nwindow = [6, 121]", "parameter 'window': 121 is no whole number from 1 to 120"),
        ('[sweep]\nwindow = ["6"]', "parameter 'window': '6' is no whole number"),
        ("[sweep]\nwindow = 6", "[sweep] window must be a list of values"),
        ("[sweep]\nwindow = []", "[sweep] window must be a list of values"),
        ("[sweep]\nwindow = [6, 6]", "window has a value twice"),
        ("[sweep]\nwindow = [6]\n[parameters]\nwindow = 6", "'window' stands in [parameters] and in [sweep]"),
        ('[swep]\nsegment = ["mass"]', "no key 'swep'; did you mean 'sweep'?"),
        ("keep_going = 1", "'keep_going' must be true or false"),
        ('[sweep]\nsegment = ["mass", "hihg"]', "no value_segment 'hihg'; it is one of all, high, mass"),
    ],
)
def test_a_sweep_is_held_to_the_forms_before_anything_runs(project: Path, written: str, message: str):
    """A key that no notebook has, a value that does not fit, or a segment that nobody is in: exit 2, nothing made."""
    (project / "reports" / "monthly.toml").write_text(tiny_project.EDITION + written)
    _, err = said(project, "report", code=2)
    assert message in ended(err)
    assert sorted(path.name for path in (project / "reports").iterdir()) == ["monthly.toml"]


# ------------------------------------------------------------- fault 6: parallel runs delete each other's files


@pytest.mark.slow
def test_two_runs_of_one_report_at_once_do_not_meet(project: Path):
    """Both end well; one report stands, whole, with the reports inside it; the index has them all; nothing is left."""
    said(project, "report", "-p", "segment", "high")
    running = [started(project, "report", "--force"), started(project, "report", "--force")]
    running.append(started(project, "report", "-p", "segment", "mass"))
    for one in running:
        _, err = one.communicate(timeout=600)
        assert one.returncode == 0, err
    for folder in (MONTH, MONTH / "segment=high", MONTH / "segment=mass"):
        whole(project / folder)
    assert [path.name for path in (project / "reports" / "monthly").iterdir()] == ["2026-10"]
    assert (project / "reports" / "index.html").read_text().count('<li class="report"') == 3


def whole(folder: Path) -> None:
    """Every file of a report is as its record says."""
    files = record(folder)["files"]
    assert {"report.html", "report.pdf", "ledger.parquet", "claims.json"} < set(files)
    for name, digest in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest().startswith(digest)


@pytest.mark.slow
def test_data_that_change_meanwhile_are_not_reported(project: Path):
    """A report whose data are written anew while it is made is none: exit 3, nothing published, no folder left."""
    writes = "import pathlib\nfile = pathlib.Path('data/panel.csv')\nfile.write_text(file.read_text().replace('c7,', 'c07,'))"
    tiny_project.write_notebook(project, "scores", "Writes?", writes, tiny_project.finding("scores"))
    _, err = said(project, "report", code=3)
    assert "data changed while the report was made; run it again" in ended(err)
    assert not (project / "reports" / "monthly").exists()


# ------------------------------------------------------------------------- fault 10: a blank report is a success


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["print('42 %')", tiny_project.finding("x").replace("question=", "questions=")])
def test_a_blank_report_is_no_success(project: Path, cell: str):
    """Chapters that run and say nothing, or nothing that can be read, are exit 7, and the report before stands.

    Whatever the first page says: it sums chapters up.
    """
    said(project, "report")
    before = contents(project / "reports" / "monthly" / "2026-10")
    for name in ("leavers", "scores"):
        tiny_project.write_notebook(project, name, "Blank?", cell)
    _, err = said(project, "report", code=7)
    assert "no chapter shows a finding" in err
    assert contents(project / "reports" / "monthly" / "2026-10") == before


# ------------------------------------------------------------------------------ whatever ends a run, what stood stands


@pytest.mark.slow
def test_a_run_that_cannot_write_says_so_and_leaves_what_stands(project: Path, tmp_path: Path):
    """A full disk (here: files may not grow) or a folder that is none is one line, exit 5; the old report stands."""
    said(project, "report")
    before = contents(project / "reports")
    script = "import resource, sys; from cxresearch.cli import main; from cxresearch.report import page, run\n"
    script += "render = page.render\n"
    script += "def full(whole):\n    text = render(whole)\n    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n    return text\n"
    script += "page.render = full\nsys.exit(main(['report', '--force']))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert "reports cannot be written: File too large" in ended(done.stderr)
    assert contents(project / "reports") == before
    (tmp_path / "file").write_text("no folder")
    _, err = said(project, "report", "-o", str(tmp_path / "file"), code=5)
    assert "file cannot be written: Not a directory" in ended(err)
    assert "name another folder with -o" in err


@pytest.mark.slow
def test_an_interrupted_run_is_taken_up_again(project: Path):
    """After an interrupt or a kill, --resume takes over the notebooks that were done and runs only the rest."""
    waits = "import os, pathlib, time\npathlib.Path('waits.pid').write_text(str(os.getpid()))\n"
    waits += "while not pathlib.Path('go').exists():\n    time.sleep(.1)"
    tiny_project.write_notebook(project, "scores", "Waits?", waits, tiny_project.finding("scores"))
    for sign, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        running = started(project, "report")
        base = project / "reports" / "monthly"
        while not (
            (project / "waits.pid").is_file() and any(map(marked, base.glob(".making-*/notebooks/leavers.ipynb")))
        ):
            assert running.poll() is None
            time.sleep(0.1)
        running.send_signal(sign)
        running.communicate()
        assert running.returncode == code
        assert not (project / MONTH).exists()
        (project / "waits.pid").unlink()
    (project / "go").touch()
    assert reasons(project)["leavers"] == "would run: new"
    assert reasons(project, "--resume")["leavers"] == "up to date"
    _, err = said(project, "report", "--resume")
    assert "taking over leavers\n" in err
    assert "running scores\n" in err
    assert [path.name for path in base.iterdir()] == ["2026-10"]
    whole(project / MONTH)


def marked(notebook: Path) -> bool:
    return archive.made_from(notebook) != ""


@pytest.mark.slow
def test_after_a_failure_only_what_failed_runs_again(project: Path):
    """The failed report lies beside the good one with its executed notebook; --resume takes over the rest of it."""
    said(project, "report")
    good = contents(project / MONTH)
    edit(project / "notebooks" / "leavers.ipynb", "estimate=0.1,", "estimate=0.11,")
    sound = (project / "notebooks" / "scores.ipynb").read_text()
    edit(project / "notebooks" / "scores.ipynb", "import os, sys", "import os, sys, nowhere")
    _, err = said(project, "report", code=1)
    assert f"executed so far: {MONTH}.failed/notebooks/scores.ipynb" in ended(err)
    assert "No module named 'nowhere'" in (project / f"{MONTH}.failed" / "notebooks" / "scores.ipynb").read_text()
    assert contents(project / MONTH) == good
    assert reasons(project, "--resume") == {
        "leavers": "up to date",
        "scores": "would run: it failed",
        "summary": "would run: it reads the numbers of scores",
        "page and paper": "would be made",
    }
    (project / "notebooks" / "scores.ipynb").write_text(sound)
    _, err = said(project, "report", "--resume")
    assert "taking over leavers, scores\n" in err  # the one from what failed, the other from what stands
    assert [path.name for path in (project / "reports" / "monthly").iterdir()] == ["2026-10"]


@pytest.mark.slow
@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_kill_at_any_moment_leaves_a_whole_report(tmp_path: Path, in_one_step: bool):
    """While one process swaps reports in and is killed again and again, there is always one, whole, with those inside."""
    base, place = tmp_path / "monthly", tmp_path / "monthly" / "2026-10"
    script = f"""import json, sys; from pathlib import Path; from cxresearch.report import archive, exchange
if not {in_one_step}: exchange._swapped = lambda *_: False
base, place = Path({str(base)!r}), Path({str(place)!r})
while True:
    for number in range(1000):
        with archive.aside(base, place) as made:
            for name in ("a", "b"): (made / name).write_text(str(number))
            (made / "run.json").write_text(json.dumps({{"study": {{"name": "demo"}}, "status": "complete", "run": number}}))
            archive.publish(made, base, place, "demo", failed=False)
        print(flush=True)"""
    inner = place / "segment=high"
    inner.mkdir(parents=True)
    (inner / "run.json").write_text('{"study": {"name": "demo"}}')
    dice = random.Random(1)
    for _ in range(25):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        running = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)
        assert running.stdout is not None
        running.stdout.readline()
        time.sleep(dice.random() / 20)
        running.kill()
        running.communicate()
        if not in_one_step:
            archive.recover(base)
        number = str(record(place)["run"])
        assert {name: (place / name).read_text() for name in ("a", "b")} == {"a": number, "b": number}
        assert (inner / "run.json").is_file()
