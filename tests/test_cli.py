"""The command line: one clear line for what does not fit, and nothing heavy before it is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from cxresearch import cli
from cxresearch.data import opening
from cxresearch.data.opening import Preflight
from cxresearch.errors import CxError, KernelDied, NoData
from cxresearch.report import run, sweep
from cxresearch.report.plan import Request
from cxresearch.report.run import Outcome

HEAVY = ("pandas", "numpy", "matplotlib", "ibis", "duckdb", "nbconvert", "typst", "papermill", "scipy", "nbformat")


@pytest.fixture
def requests(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests that the command line made, each checked but not run."""
    made: list[Request] = []

    def take(request: Request, say: run.Say) -> Outcome:
        run.checked(request, say)
        made.append(request)
        return Outcome(project / "reports" / "monthly" / "2026-10", ())

    monkeypatch.setattr(run, "run_edition", take)
    return made


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one error line."""
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("cxresearch: error: ")]
    assert len(errors) == 1
    assert errors[0] == captured.err.splitlines()[-1]
    assert captured.out == ""
    return errors[0].removeprefix("cxresearch: error: ")


@pytest.mark.parametrize("words", [["--help"], ["report", "--help"], ["--version"], ["report", "nonsense"], ["list"]])
def test_answers_that_need_no_numbers_load_none(words: list[str]):
    """Help, listings and refusals answer at once: no library of numbers, charts or kernels is imported."""
    script = f"import sys\nfrom cxresearch.cli import main\ntry:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
    script += f"print('loaded', sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cli.ROOT)
    assert done.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "montly"], "no edition 'montly' in reports/; did you mean 'monthly'?"),
        (["run", "leaver"], "no notebook 'leaver' in notebooks/; did you mean 'leavers'?"),
        (["params", "leaver"], "no notebook 'leaver' in notebooks/; did you mean 'leavers'?"),
        (
            ["report", "-p", "windw", "6"],
            "no parameter 'windw' in the notebooks of edition 'monthly'; did you mean 'window'?",
        ),
        (["run", "leavers", "-p", "perod", "6"], "no parameter 'perod' in leavers; did you mean 'period'?"),
        (["report", "-p", "window", "many"], "parameter 'window': 'many' is no whole number from 1 to 120"),
        (["report", "-p", "window", "121"], "parameter 'window': 121 is no whole number from 1 to 120"),
        (["report", "--period", "2026-10", "-p", "period", "2026-09"], "parameter 'period' is given twice"),
        (["report", "--data", "x.toml", "-p", "data", "y.toml"], "parameter 'data' is given twice"),
        (["report", "-p", "window", "6", "-p", "window", "7"], "parameter 'window' is given twice"),
        (["report", "-p", "ledger", "x"], "parameter 'ledger' of summary is set by the run itself"),
        (["report", "--as-of", "tomorrow"], "argument --as-of: 'tomorrow' is no date such as 2026-10-31"),
        (["report", "-j", "0"], "argument -j/--jobs: '0' is no whole number from 1 to 999"),
        (["report", "--as-of", "2026-02-30"], "argument --as-of: '2026-02-30' is no day of the calendar"),
        (["report", "-p", "window", "-1e3"], "parameter 'window': '-1e3' is no whole number from 1 to 120"),
        (["report", "-p", "window", "-inf"], "parameter 'window': '-inf' is no whole number from 1 to 120"),
        (["report", "-p", "segment", "a\0b"], "parameter 'segment': 'a\\x00b' is no text"),
        (["report", "-p", "segment", "\udcff"], "parameter 'segment': '\\udcff' is no text"),
        (["report", "--period", ""], "parameter 'period' is empty; give a value, or leave it out"),
        (["report", "-p", "data", ""], "parameter 'data' is empty; give a value, or leave it out"),
        (["report", "--data", ""], "argument --data: is empty; name a place, or leave the option out"),
        (["report", "-o", ""], "argument -o/--output: is empty; name a place, or leave the option out"),
        (["report", "-o", "x" * 5000], f"argument -o/--output: '{'x' * 40}'…: file name too long"),
        (["report", "-f", "README.md"], "error: README.md: a file of values ends with .toml or .json"),
        (["report", "--perio", "2026-10"], "unrecognized arguments: --perio"),
        (["publish"], "invalid choice: 'publish'"),
        (["simulate", "--seed", "x"], "argument --seed: invalid int value: 'x'"),
    ],
)
def test_what_does_not_fit_is_one_line_and_exit_2(
    project: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A wrong word stops before any notebook starts and says what was probably meant."""
    monkeypatch.setattr(run, "_executed", lambda *_: pytest.fail("a notebook was started"))
    assert cli.main(words) == 2
    assert message in f"error: {complaint(capsys)}"


def test_values_too_deep_to_read_are_one_line(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A file of values with lists inside lists without end is refused as any other that cannot be read."""
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert cli.main(["report", "-f", str(tmp_path / "deep.json")]) == 2
    assert "too deep to read" in complaint(capsys)


@pytest.mark.parametrize("words", [["--help"], ["params", "churn"], ["run", "absent"]])
def test_a_reader_who_leaves_changes_nothing(words: list[str]):
    """Behind `| head -1` a command ends as it would have, with its own exit code and not one line of Python's."""
    command = [sys.executable, "-m", "cxresearch", *words]
    whole = subprocess.run(command, capture_output=True, text=True, cwd=cli.ROOT)
    for stream in ("stdout", "stderr"):
        out, into = os.pipe()
        os.close(out)
        ends = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: into}
        left = subprocess.run(command, **ends, text=True, cwd=cli.ROOT)
        os.close(into)
        assert left.returncode == whole.returncode
        assert (left.stderr or "") == ("" if stream == "stderr" else whole.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["params", "churn"]])
def test_a_full_disk_behind_standard_output_is_told(words: list[str]):
    """Where the answer cannot be written, that is one line and exit code 5."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "cxresearch", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=cli.ROOT)
    assert done.returncode == 5
    assert done.stderr.startswith("cxresearch: error: what was found cannot be written")
    assert len(done.stderr.splitlines()) == 1


def test_letters_that_the_terminal_lacks_are_written_out():
    """A terminal of another alphabet gets such letters as codes, and the command goes on."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    script = "import sys; from cxresearch import cli; cli._print('\u00e9')"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cli.ROOT)
    assert (done.returncode, done.stdout) == (0, "\\xe9\n")


def test_values_reach_the_notebooks_that_have_them(requests: list[Request]):
    """A parameter that only some notebooks have is given to those; the text arrives as it was typed."""
    assert cli.main(["report", "-p", "window", "007", "-p", "segment", "NO", "--as-of", "2026-11-02"]) == 0
    plan = run.checked(requests[0])
    assert plan.values["leavers"] == {"segment": "NO", "window": 7, "data": "data/demo.toml", "period": "2026-10"}
    assert plan.values["scores"] == {"segment": "NO", "data": "data/demo.toml", "period": "2026-10"}
    assert requests[0].as_of == date(2026, 11, 2)


def test_values_of_a_file_are_not_swept(requests: list[Request], project: Path, tmp_path: Path):
    """A value that a file gives is stronger than the edition's sweep, as one that is typed is."""
    with (project / "reports" / "monthly.toml").open("a") as edition:
        edition.write("[sweep]\nwindow = [6, 12]\n")
    (tmp_path / "mine.toml").write_text("window = 9\n")
    assert cli.main(["report", "-f", str(tmp_path / "mine.toml")]) == 0
    assert [run.checked(one).values["leavers"]["window"] for one in requests] == [9]


def test_a_dry_run_refuses_what_the_run_would(project: Path, capsys: pytest.CaptureFixture[str]):
    """Two members of a sweep that would lie in one folder are refused before anything runs, also by --dry-run."""
    with (project / "reports" / "monthly.toml").open("a") as edition:
        edition.write('[sweep]\nperiod = ["latest", "2026-10"]\n')
    for words in (["report", "--dry-run"], ["report"]):
        assert cli.main(words) == 2
        assert "two members of the sweep would lie in " in complaint(capsys)


@pytest.mark.parametrize(
    ("edition", "words", "code"),
    [("", [], 6), ("", ["--fail-fast"], 4), ("keep_going = false\n", [], 4), ("", ["--period", "2026-11"], 4)],
    ids=["goes on", "fail fast", "does not go on", "one report"],
)
def test_a_dry_run_foretells_how_the_run_ends(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    edition: str,
    words: list[str],
    code: int,
):
    """A sweep with a period without data ends with 6, or with 4 where it may not go on: foretold as it comes."""

    def preflight(data: str, period: str = "latest", *_: object, **__: object) -> Preflight:
        if period == "2026-11":
            raise NoData("no rows of 2026-11; the last month is 2026-10")
        return Preflight("demo", "Demo operator", period, "f00d", {"panel": 10}, frozenset())

    monkeypatch.setattr(opening, "preflight", preflight)
    monkeypatch.setattr(sweep, "run_edition", lambda one, say: run.Outcome(run.checked(one, say).folder, ()))
    file = project / "reports" / "monthly.toml"
    file.write_text(edition + file.read_text() + '[sweep]\nperiod = ["2026-10", "2026-11"]\n')
    assert cli.main(["report", *words]) == code
    capsys.readouterr()
    assert cli.main(["report", "--dry-run", *words]) == code
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1] == "cxresearch: error: no rows of 2026-11; the last month is 2026-10"
    if code == 6:
        assert shown.out.splitlines()[-3:] == [
            "period=2026-11",
            "  would fail  no rows of 2026-11; the last month is 2026-10",
            "sweep of 2: 1 would be made or are up to date, 1 would fail",
        ]


def test_typed_paths_start_where_the_user_stands(
    requests: list[Request], project: Path, monkeypatch: pytest.MonkeyPatch
):
    """From any folder, a typed path is found; a notebook's paths start at the project's root."""
    monkeypatch.chdir(project / "notebooks")
    assert cli.main(["report", "--data", "../data/demo.toml", "-o", "here"]) == 0
    assert requests[0].values["data"] == "data/demo.toml"
    assert requests[0].out == project / "notebooks" / "here"
    monkeypatch.chdir("/")
    assert cli.main(["report"]) == 0
    assert run.checked(requests[1]).folder == project / "reports" / "monthly" / "2026-10"


def test_other_values_are_another_report(requests: list[Request], project: Path):
    """A report with values of its own lies inside that of the month, not in its place."""
    assert cli.main(["report", "-p", "segment", "a/b c", "-p", "window", "6"]) == 0
    assert run.checked(requests[0]).folder == project / "reports/monthly/2026-10/segment=a%2Fb c,window=6"


def test_the_command_makes_the_same_report_again(requests: list[Request], monkeypatch: pytest.MonkeyPatch):
    """The recorded command has the month itself for `latest`, and quotes what the shell would split."""
    assert cli.main(["report", "-p", "segment", "small business", "--as-of", "2026-11-02"]) == 0
    command = run.checked(requests[0]).command
    assert command == "cxresearch report monthly -p segment 'small business' --period 2026-10 --as-of 2026-11-02"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('notebook = ["leavers"]', "reports/monthly.toml: no key 'notebook'; did you mean 'notebooks'?"),
        ('notebooks = ["leaver"]', "no notebook 'leaver' in notebooks/; did you mean 'leavers'?"),
        ('notebooks = ["leavers"]\nsummary = "leavers"', "notebook 'leavers' is named twice"),
        ('notebooks = ["leavers"]\nformats = ["pfd"]', "no format 'pfd'; did you mean 'pdf'?"),
        ('notebooks = "leavers"', "'notebooks' must be a list of texts"),
        ("notebooks = []", "must name at least one notebook"),
        ('notebooks = ["leavers"]\n[parameters]\nwindw = 6', "no parameter 'windw'"),
        ('notebooks = ["leavers"]\n[parameters]\nwindow = "6"', "'6' is no whole number"),
        ("notebooks = [", "reports/monthly.toml: "),
    ],
)
def test_an_edition_is_held_to_its_words(project: Path, written: str, message: str, capsys: pytest.CaptureFixture[str]):
    """A misspelt key or value in an edition is refused, not left out."""
    (project / "reports" / "monthly.toml").write_text(written)
    assert cli.main(["report"]) == 2
    assert message in complaint(capsys)


def test_listing_shows_what_there_is(project: Path, capsys: pytest.CaptureFixture[str]):
    """Notebooks with their questions, editions with their titles, studies."""
    assert cli.main(["list"]) == 0
    shown = capsys.readouterr().out
    for line in ("leavers  Who leaves?", "monthly  The month", "data/demo.toml  Demo operator"):
        assert line in shown


def test_parameters_are_shown_as_a_form(project: Path, capsys: pytest.CaptureFixture[str]):
    """Name, what is allowed, default and help of every parameter."""
    assert cli.main(["params", "leavers"]) == 0
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["window", "whole number from 1 to 120", "default 12", "periods to look back"] in cells


def test_simulation_never_writes_over_data(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A folder that holds anything but a simulated operator is refused."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "panel.parquet").write_bytes(b"mine")
    assert cli.main(["simulate", "-o", str(tmp_path / "own")]) == 2
    assert "holds something that was not simulated" in complaint(capsys)
    assert (tmp_path / "own" / "panel.parquet").read_bytes() == b"mine"


def test_what_cannot_be_written_is_one_line_and_exit_5(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A file in the place of a folder, for a simulated operator or a new notebook: said where, and left as it was."""
    (tmp_path / "taken").write_text("mine")
    few = ["simulate", "--customers", "100", "--months", "3", "-o"]
    for words in ([*few, str(tmp_path / "taken")], [*few, str(tmp_path / "taken" / "inside")]):
        assert cli.main(words) == 5
        assert "cannot be read or written: " in complaint(capsys)
    shutil.rmtree(project / "notebooks")
    assert cli.main(["new", "Who calls?"]) == 5
    assert complaint(capsys).endswith("who_calls.ipynb: cannot be read or written: No such file or directory")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_simulation_that_memory_cannot_hold_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """More customers than any machine holds: one line that says so."""
    assert cli.main(["simulate", "--customers", "9" * 14, "-o", str(tmp_path / "vast")]) == 2
    assert "ask for fewer" in complaint(capsys)
    assert not (tmp_path / "vast").exists()


def test_the_worst_error_is_the_exit_code(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Each kind of failure has its own exit code; the most serious one wins."""
    errors = (CxError("a"), KernelDied("b"))
    monkeypatch.setattr(run, "run_edition", lambda *_: Outcome(project, errors))
    assert cli.main(["report"]) == 138


def test_an_interrupt_is_no_failure_of_ours(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C ends with 130 and without a traceback."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_edition", interrupted)
    assert cli.main(["report"]) == 130


def test_python_dash_m_is_the_same(monkeypatch: pytest.MonkeyPatch):
    """`python -m cxresearch` answers as `cxresearch` does."""
    words = [sys.executable, "-m", "cxresearch", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=cli.ROOT)
    assert done.stdout == f"cxresearch {cli.__version__}\n"


def test_how_it_runs_is_asked_for_and_not_part_of_the_report(requests: list[Request]):
    """`-j` and `--no-fork` reach the run; the command that is recorded does not have them, as no number depends on them."""
    assert cli.main(["report", "-j", "3", "--no-fork"]) == 0
    assert (requests[0].at_once, requests[0].fork) == (3, False)
    assert "-j" not in run.checked(requests[0]).command
    assert "fork" not in run.checked(requests[0]).command
    cli.main(["report"])
    assert (requests[1].at_once, requests[1].fork) == (2, True)
