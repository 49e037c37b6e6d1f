"""A question becomes a notebook that runs and passes the tests of notebooks, and JupyterLab opens at it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import inprocess
import pytest
import test_notebooks

from cxresearch import cli
from cxresearch.data.opening import ROOT
from cxresearch.report import desk, drafts

QUESTION = "How do complaints go with leaving?"
NAME = "how_do_complaints_go_with_leaving"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has the guide and nothing else."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "guide.ipynb", tmp_path / "notebooks")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_notebook_is_named_by_its_question(project: Path, capsys: pytest.CaptureFixture[str]):
    """The path on stdout, what to do next on stderr."""
    assert cli.main(["new", QUESTION]) == 0
    told = capsys.readouterr()
    assert told.out == f"notebooks/{NAME}.ipynb\n"
    assert f"`cxresearch lab {NAME}`" in told.err
    assert f"`cxresearch run {NAME}`" in told.err


def test_a_new_notebook_passes_the_tests_of_notebooks(
    project: Path, small_operator: Path, monkeypatch: pytest.MonkeyPatch
):
    """As it was written, before anybody changed it: as a file, and as it runs."""
    assert cli.main(["new", QUESTION]) == 0
    for module in (test_notebooks, inprocess):
        monkeypatch.setattr(module, "NOTEBOOKS", project / "notebooks")
    test_notebooks.test_a_notebook_is_kept_clean(NAME)
    test_notebooks.test_a_notebook_asks_one_question_of_one_form(NAME)
    test_notebooks.test_a_cell_is_one_step(NAME)
    test_notebooks.test_prose_carries_no_number(NAME)
    test_notebooks.test_a_notebook_answers_its_question(NAME, small_operator)


@pytest.mark.slow
def test_a_new_notebook_runs_on_the_demo(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its page is made with one command."""
    monkeypatch.setattr(cli, "ROOT", ROOT)
    path = drafts.write("Is this question asked by a test?", ROOT)
    try:
        assert cli.main(["run", path.stem, "-o", str(tmp_path / "out")]) == 0
    finally:
        path.unlink()
    page = next((tmp_path / "out" / path.stem).glob("*/report.html"))
    assert "Is this question asked by a test?" in page.read_text(encoding="utf-8")


def test_a_notebook_that_is_there_is_never_written_over(project: Path, capsys: pytest.CaptureFixture[str]):
    """The second time is refused, in other letters too; the first stays as it is."""
    path = project / "notebooks" / f"{NAME}.ipynb"
    path.write_text("mine")
    assert cli.main(["new", "how do COMPLAINTS go with leaving"]) == 2
    assert f"notebooks/{NAME}.ipynb is there already" in capsys.readouterr().err
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("question", "name", "heading"),
    [
        ("why do they call", "why_do_they_call", "Why do they call?"),
        ("  Wie oft   wird Glasfaser gestört? ", "wie_oft_wird_glasfaser_gestort", "Wie oft wird Glasfaser gestört?"),
        ("Who's `next` \n<b>?", "whos_next_b", "Who's `next` <b>?"),
        ("../../etc/passwd", "etc_passwd", "../../etc/passwd?"),
        ("Is it " + "very " * 30, "is_it_" + "_".join(["very"] * 11), "Is it " + "very " * 29 + "very?"),
    ],
)
def test_any_words_give_a_name_that_is_a_file(project: Path, question: str, name: str, heading: str):
    """Lower case, letters and digits, inside the folder of notebooks; the heading has the question as a question."""
    path = drafts.write(question, project)
    assert path == project / "notebooks" / f"{name}.ipynb"
    book = json.loads(path.read_text(encoding="utf-8"))
    assert book["cells"][0]["source"][0] == f"# {heading}\n"


@pytest.mark.parametrize("question", ["", "?", "……", "7 times?", "多少?"])
def test_a_question_without_a_name_is_refused(project: Path, question: str, capsys: pytest.CaptureFixture[str]):
    """One line that says what a question must begin with, and no file."""
    assert cli.main(["new", question]) == 2
    assert "begin it with a word in letters from a to z" in capsys.readouterr().err
    assert [path.name for path in (project / "notebooks").iterdir()] == ["guide.ipynb"]


def test_the_laboratory_opens_at_the_notebook(project: Path, monkeypatch: pytest.MonkeyPatch):
    """JupyterLab of this Python, rooted in the project, from wherever the user stands; its exit code is ours."""
    started: list[list[str]] = []

    real = subprocess.Popen

    def start(words: list[str], cwd: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
        started.append(words)
        assert cwd == project
        assert {env[name].split(os.pathsep)[0] for name in desk.FINDS} == {str(desk.JUPYTER)}
        return real([sys.executable, "-c", "raise SystemExit(3)"])

    monkeypatch.setattr(desk.subprocess, "Popen", start)
    monkeypatch.chdir("/")
    assert cli.main(["lab", "guide"]) == 3
    assert cli.main(["lab"]) == 3
    words = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={project}"]
    assert started == [
        [*words, "--LabApp.default_url=/lab/tree/notebooks/guide.ipynb"],
        [*words, "--LabApp.default_url=/lab/tree/notebooks"],
    ]


def test_the_laboratory_knows_its_notebooks(project: Path, capsys: pytest.CaptureFixture[str]):
    """A misspelt name is refused with the nearest; without JupyterLab the error says what to do."""
    assert cli.main(["lab", "guid"]) == 2
    assert "no notebook 'guid' in notebooks/; did you mean 'guide'?" in capsys.readouterr().err


def test_without_jupyterlab_it_says_what_to_do(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """No traceback where the package is missing."""
    monkeypatch.setattr(desk, "find_spec", lambda _: None)
    assert cli.main(["lab"]) == 2
    assert "JupyterLab is not installed" in capsys.readouterr().err
