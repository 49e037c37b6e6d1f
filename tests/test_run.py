"""A report from start to end, with real kernels: what is published, what a failure leaves, what is kept."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from queue import Empty
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import tiny_project
from commands import command

from cxresearch import claims
from cxresearch.data import engine
from cxresearch.errors import KernelDied, NotebookFailed, RenderError, UsageError
from cxresearch.policy import policy_hash
from cxresearch.report import archive, edition, freshness, kernels, run
from cxresearch.report.ledger import open_ledger
from cxresearch.report.plan import Request, checked
from cxresearch.report.run import Outcome, run_edition


def request(root: Path, **changes: Any) -> Request:
    fields = {"edition": edition.load("monthly", root), "command": ("report", "monthly"), "as_of": date(2026, 11, 2)}
    fields["force"] = True  # what is up to date is made again, so that it can be compared
    return Request(**{**fields, "root": root, **changes})


def quiet(_: str) -> None:
    """Where no progress is wanted."""


def executed(root: Path, *cells: str, more: str = "", **values: Any) -> tuple[Any, Any]:
    """A notebook run in a kernel of its own, and its error."""
    tiny_project.write_notebook(root, "tried", "Tried?", *cells, more=more)
    return kernels.execute(root / "notebooks" / "tried.ipynb", root / "out.ipynb", values, root)


def printed(notebook: Any) -> str:
    return "".join(
        out.text for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream"
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two chapters and a summary."""
    tiny_project.stand_in_for_the_study(monkeypatch)
    return tiny_project.made(tmp_path / "project")


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Notebooks that are not run but come back with a finding; errors may be planted by notebook name.

    What a notebook was told of an earlier report stands in its metadata.
    """
    errors: dict[str, Any] = {}

    def execute(source: Path, target: Path, values: dict[str, Any], root: Path, told: Any) -> tuple[Any, Any]:
        notebook = nbformat.read(source, as_version=4)
        shown: dict[str, Any] = {}
        exec(
            notebook.cells[2].source.replace(
                "from IPython.display import display", "def display(d, raw): shown.update(d)"
            ),
            {"shown": shown},
        )
        notebook.cells[2].outputs = [nbformat.v4.new_output("display_data", data=shown)]
        parameters = {**values, "earlier": told[claims.EARLIER], "threads": told[engine.THREADS]}
        notebook.metadata["papermill"] = {"parameters": parameters, "exception": source.stem in errors}
        return notebook, errors.get(source.stem)

    monkeypatch.setattr(kernels, "execute", execute)
    return errors


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Outcome, list[str]]]:
    """One whole edition, made once, with real kernels, from another folder than the project's."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        tiny_project.stand_in_for_the_study(patch)
        patch.chdir("/")
        root = tiny_project.made(tmp_path_factory.mktemp("published") / "project")
        yield root, run_edition(request(root, values={"segment": "007"}), said.append), said


# --------------------------------------------------------------------------------------------- a whole edition


def test_an_edition_is_published_whole(published: tuple[Path, Outcome, list[str]]):
    """Page, paper, ledger, claims, record and executed notebooks lie in the folder of the period, and nothing else."""
    root, outcome, _ = published
    assert outcome.exit_code == 0
    assert outcome.folder == root / "reports" / "monthly" / "2026-10" / "segment=007"
    names = {path.relative_to(outcome.folder).as_posix() for path in outcome.folder.rglob("*") if path.is_file()}
    books = {f"notebooks/{name}.ipynb" for name in ("leavers", "scores", "summary")}
    assert names == {"report.html", "report.pdf", "ledger.parquet", "claims.json", "run.json"} | books
    assert [path.name for path in outcome.folder.parents[1].iterdir()] == ["2026-10"]


def test_values_arrive_as_they_were_typed(published: tuple[Path, Outcome, list[str]]):
    """`007` is still text in the notebook, the period is the month itself."""
    folder = published[1].folder
    notebook = nbformat.read(folder / "notebooks" / "leavers.ipynb", as_version=4)
    assert printed(notebook) == "data/demo.toml 2026-10 007 12\n"


def test_notebooks_run_here_in_this_python(published: tuple[Path, Outcome, list[str]]):
    """Whatever kernel a notebook names, it runs in this Python, from the project's root."""
    notebook = nbformat.read(published[1].folder / "notebooks" / "scores.ipynb", as_version=4)
    assert notebook.metadata.kernelspec.name == "elsewhere"
    assert printed(notebook) == "True True\n"


def test_the_summary_reads_the_numbers_of_this_run(published: tuple[Path, Outcome, list[str]]):
    """The summary runs last, and its ledger holds the findings of the chapters in reading order."""
    folder = published[1].folder
    notebook = nbformat.read(folder / "notebooks" / "summary.ipynb", as_version=4)
    assert printed(notebook) == "['leavers', 'scores'] ''\n"
    assert open_ledger(folder)["notebook"].tolist() == ["leavers", "scores"]
    assert json.loads((folder / "claims.json").read_text()) == json.loads(json.dumps(claims.combine([], frozenset())))


def test_nothing_published_names_this_machine(published: tuple[Path, Outcome, list[str]]):
    """No file has the path of the project, of the user's home or of this Python."""
    root, outcome, _ = published
    private = {str(root), sys.prefix, str(Path.home() / "x")[:-1], ".making-"}
    for path in outcome.folder.rglob("*"):
        if path.suffix in (".ipynb", ".json", ".html"):
            assert [word for word in private if word in path.read_text()] == [], path.name


def test_the_record_is_enough_to_make_it_again(published: tuple[Path, Outcome, list[str]]):
    """run.json has command, study, data, parameters, versions and the seconds of each step."""
    record = archive.record(published[1].folder) or {}
    assert record["command"] == "cxresearch report monthly -p segment 007 --period 2026-10 --as-of 2026-11-02"
    assert record["study"] == {"name": "demo", "title": "Demo operator", "rows": {"panel": 10}}
    assert (record["status"], record["data_fingerprint"], record["policy"]) == (
        "complete",
        "f00d",
        policy_hash(),
    )
    assert record["parameters"]["leavers"]["segment"] == "007"
    assert {"python", "pandas", "duckdb", "cxresearch"} <= set(record["versions"])
    assert {"check", "notebooks", "render", "leavers", "scores", "summary"} <= set(record["seconds"])


def test_progress_is_lines(published: tuple[Path, Outcome, list[str]]):
    """Progress is one line a step, without carriage returns."""
    said = published[2]
    assert said[:2] == ["checking data/demo.toml", "running leavers, scores"]
    assert not any("\r" in line or "\n" in line for line in said)


# ------------------------------------------------------------------------------------------------- failures


def test_a_failing_cell_is_named(project: Path):
    """The error has the cell as the researcher counts it and its line; what ran before is kept."""
    notebook, error = executed(project, "1 + 1", "x = 1\ny = 0\n\nx / y", "3", segment="all")
    assert isinstance(error, NotebookFailed)
    assert str(error) == "cell 4, line 4: ZeroDivisionError: division by zero"
    assert notebook.cells[-1].outputs == []


def test_a_long_path_to_temporary_files_is_no_obstacle(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A notebook also runs where the path to temporary files is longer than that of a socket may be."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    notebook, error = executed(project, "print(1 + 1)", segment="all")
    assert (error, notebook.cells[-1].outputs[0].text) == (None, "2\n")


def test_a_dead_process_is_told_apart(project: Path):
    """A notebook whose process dies does not hang; the reason is named and shown in the cell."""
    notebook, error = executed(project, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", segment="all")
    assert isinstance(error, KernelDied)
    assert (
        str(error) == "cell 3: the process of the notebook was ended by SIGKILL; often this means that memory ran out"
    )
    assert notebook.cells[-1].outputs[0].ename == "KernelDied"
    assert kernels.running == set()


def test_a_hanging_cell_is_stopped(project: Path, monkeypatch: pytest.MonkeyPatch):
    """A cell that never ends is ended."""
    monkeypatch.setattr(kernels, "CELL_SECONDS", 1)
    _, error = executed(project, "import time\ntime.sleep(600)", segment="all")
    assert isinstance(error, NotebookFailed)
    assert str(error) == "cell 3: TimeoutError: a cell ran longer than 1 seconds"
    assert kernels.running == set()


def test_dates_and_lists_arrive(project: Path):
    """A date is a date in the notebook, and the notebook's own record of it is plain text."""
    more = "from datetime import date\nday: date = date(2026, 1, 1)\nsome: list[str] = []\n"
    notebook, error = executed(project, "print(repr(day), some)", more=more, day=date(2026, 9, 30), some=["007", "NO"])
    assert (error, printed(notebook)) == (None, "datetime.date(2026, 9, 30) ['007', 'NO']\n")
    assert notebook.metadata.papermill.parameters.day == "2026-09-30"


def test_a_failed_chapter_leaves_the_rest(project: Path, no_kernels: dict[str, Any]):
    """The rest is rendered, the exit code is that of the failure, and the message has the executed notebook."""
    no_kernels["scores"] = NotebookFailed("cell 4, line 1: ValueError: no")
    outcome = run_edition(request(project), quiet)
    assert outcome.exit_code == 1
    assert "scores, cell 4, line 1: ValueError: no; executed so far: " in str(outcome.errors[0])
    assert str(outcome.errors[0]).endswith("reports/monthly/2026-10/notebooks/scores.ipynb")
    assert (archive.record(outcome.folder) or {})["failed"] == {"scores": "cell 4, line 1: ValueError: no"}
    assert (outcome.folder / "report.html").is_file()


def test_a_failed_report_never_replaces_a_good_one(project: Path, no_kernels: dict[str, Any]):
    """After a failure the last good report is untouched; the failed one lies beside it; the next good one replaces."""
    good = run_edition(request(project), quiet).folder
    before = {path: path.read_bytes() for path in good.rglob("*") if path.is_file()}
    no_kernels["scores"] = NotebookFailed("cell 4, line 1: ValueError: no")
    failed = run_edition(request(project), quiet).folder
    assert failed == good.with_name("2026-10.failed")
    assert {path: path.read_bytes() for path in good.rglob("*") if path.is_file()} == before
    no_kernels.clear()
    (good / "stale.txt").write_text("from an older release")
    assert run_edition(request(project), quiet).folder == good
    assert not (good / "stale.txt").exists()


def test_a_broken_renderer_leaves_the_good_report(
    project: Path, no_kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """A report that cannot be rendered is no report: exit 5, nothing replaced, nothing left over."""
    from cxresearch.report import page

    good = run_edition(request(project), quiet).folder
    before = (good / "report.html").read_bytes()
    monkeypatch.setattr(page, "render", lambda _: 1 / 0)
    with pytest.raises(RenderError, match="ZeroDivisionError"):
        run_edition(request(project), quiet)
    assert (good / "report.html").read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["2026-10"]


def test_a_blank_report_is_no_success(project: Path, monkeypatch: pytest.MonkeyPatch):
    """When no chapter shows a finding there is nothing to report: exit 7, and what was made lies aside."""
    monkeypatch.setattr(kernels, "execute", lambda source, *_: (nbformat.read(source, as_version=4), None))
    outcome = run_edition(request(project), quiet)
    assert outcome.exit_code == 7
    assert "no chapter shows a finding, so there is nothing to report" in str(outcome.errors[0])
    assert [path.name for path in (project / "reports" / "monthly").iterdir()] == ["2026-10.failed"]


# ------------------------------------------------------------------------------------------------- up to date


def test_what_is_up_to_date_is_not_made_again(project: Path, no_kernels: dict[str, Any]):
    """The same request does nothing; another value is another report; an edited notebook runs, its neighbour does not."""
    said: list[str] = []
    first = run_edition(request(project, force=False), said.append)
    assert first.made
    again = run_edition(request(project, force=False), said.append)
    assert (again.folder, again.made, again.exit_code) == (first.folder, False, 0)
    assert said[-1].startswith("up to date: ")
    leavers = project / "notebooks" / "leavers.ipynb"
    leavers.write_text(leavers.read_text().replace("Ten in a hundred", "Eleven in a hundred"))
    rows = [row[1:] for row in freshness.outlook(checked(request(project, force=False)))]
    assert rows == [
        ("would run", "notebook changed"),
        ("up to date", ""),
        ("would run", "it reads the numbers of leavers"),
        ("would be made", ""),
    ]
    no_kernels["scores"] = NotebookFailed("scores was started")
    assert run_edition(request(project, force=False), said.append).exit_code == 0


def test_what_has_run_is_kept_for_another_try(project: Path, no_kernels: dict[str, Any]):
    """Of a failed run --resume takes over what went well; without it everything runs again."""
    no_kernels["scores"] = NotebookFailed("cell 4, line 1: ValueError: no")
    run_edition(request(project), quiet)
    for resume, standing in ((False, "would run"), (True, "up to date")):
        rows = freshness.outlook(checked(request(project, force=False, resume=resume)))
        assert rows[0][:2] == ("leavers", standing)
        assert rows[1] == ("scores", "would run", "it failed")


def test_what_an_interrupt_leaves_is_kept(tmp_path: Path):
    """The folder of a run that was ended stays where a notebook was done, and goes where none was."""

    def interrupted(notebook: str) -> None:
        with archive.aside(tmp_path, tmp_path / "2026-10") as made:
            (made / "notebooks").mkdir()
            (made / "notebooks" / "leavers.ipynb").write_text(notebook)
            raise KeyboardInterrupt

    for notebook, kept in (("{}", 0), ('{"metadata": {"cxresearch": {"made_from": "f00d"}}}', 1)):
        with pytest.raises(KeyboardInterrupt):
            interrupted(notebook)
        assert len(archive.unfinished(tmp_path, tmp_path / "2026-10")) == kept
    assert archive.unfinished(tmp_path, tmp_path / "2026-09") == []


# --------------------------------------------------------------------------------------------------- folders


def test_another_study_is_never_overwritten(project: Path, no_kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    """A report on one operator does not take the place of another's; elsewhere it may lie."""
    run_edition(request(project), quiet)
    tiny_project.stand_in_for_the_study(monkeypatch, name="other")
    with pytest.raises(UsageError, match="holds a report on study 'demo', not 'other'; name another one with -o"):
        run_edition(request(project), quiet)
    elsewhere = run_edition(request(project, out=project / "elsewhere"), quiet)
    assert (elsewhere.folder, elsewhere.exit_code) == (project / "elsewhere" / "monthly" / "2026-10", 0)


def test_a_folder_of_something_else_is_never_overwritten(project: Path, no_kernels: dict[str, Any]):
    """A folder that is no report is refused, whatever it holds."""
    kept = project / "mine" / "monthly" / "2026-10"
    kept.mkdir(parents=True)
    (kept / "thesis.docx").write_text("years of work")
    with pytest.raises(UsageError, match="is not the folder of a report"):
        run_edition(request(project, out=project / "mine"), quiet)
    assert (kept / "thesis.docx").is_file()


def test_reports_with_other_values_outlive_the_monthly_one(project: Path, no_kernels: dict[str, Any]):
    """Remaking the month keeps the reports on single segments that lie inside it."""
    inner = run_edition(request(project, values={"segment": "high"}), quiet).folder
    month = run_edition(request(project), quiet).folder
    month = run_edition(request(project), quiet).folder
    assert inner.parent == month
    assert (archive.record(inner) or {})["parameters"]["leavers"]["segment"] == "high"
    assert "segment" not in (archive.record(month) or {})["parameters"]["leavers"]


def test_the_summary_is_told_of_the_period_before(project: Path, no_kernels: dict[str, Any]):
    """Verdicts of last month's report on the same study are handed to the summary, relative to the root."""

    def previous(folder: Path) -> str:
        notebook = nbformat.read(folder / "notebooks" / "summary.ipynb", as_version=4)
        return str(notebook.metadata.papermill.parameters.previous)

    first = run_edition(request(project, values={"period": "2026-09"}), quiet).folder
    second = run_edition(request(project), quiet).folder
    assert (previous(first), previous(second)) == ("", "reports/monthly/2026-09/claims.json")


def test_the_summary_is_told_of_the_ledgers_of_the_year_before(project: Path, no_kernels: dict[str, Any]):
    """Those of complete reports as they were published, with the same values, oldest first; none of them makes this one old."""

    def history(folder: Path) -> list[str]:
        notebook = nbformat.read(folder / "notebooks" / "summary.ipynb", as_version=4)
        return [path.split("/")[2] for path in notebook.metadata.papermill.parameters.history]

    def made(period: str, **values: str) -> Path:
        return run_edition(request(project, values={"period": period, **values}), quiet).folder

    made("2025-10"), made("2025-11"), made("2026-08", segment="high"), made("2026-Q2")
    (made("2026-05") / "ledger.parquet").write_bytes(b"changed")
    no_kernels["scores"] = NotebookFailed("KeyError: 'score'")
    made("2026-06")
    no_kernels.clear()
    folder = made("2026-10")
    assert history(folder) == ["2025-11"]
    assert history(made("2026-10", segment="high")) == ["2026-08"]
    made("2026-07")
    assert run_edition(request(project, force=False), quiet).made is False
    assert history(made("2026-10")) == ["2025-11", "2026-07"]


def test_notebooks_are_told_where_earlier_verdicts_stand(project: Path, no_kernels: dict[str, Any]):
    """That is last month's complete report with the same values; other values, or none, and nothing stays."""

    def earlier(folder: Path, name: str = "leavers") -> str:
        notebook = nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4)
        return str(notebook.metadata.papermill.parameters.earlier)

    first = run_edition(request(project, values={"period": "2026-09"}), quiet).folder
    alone = run_edition(request(project, out=project / "alone"), quiet).folder
    second = run_edition(request(project), quiet).folder
    assert (earlier(first), earlier(second)) == ("", "reports/monthly/2026-09")  # as the file is published
    runs = [(archive.record(folder) or {})["run"] for folder in (alone, second)]
    assert runs[0] != runs[1]  # verdicts that may stay are an input
    edited = project / "reports" / "monthly.toml"
    edited.write_text(edited.read_text() + "[parameters]\nwindow = 6\n")
    third = run_edition(request(project), quiet).folder
    assert (earlier(third), earlier(third, "scores")) == ("", "reports/monthly/2026-09")
    no_kernels["scores"] = NotebookFailed("cell 4, line 1: ValueError: no")
    (first / "run.json").write_text((first / "run.json").read_text().replace('"complete"', '"failed"'))
    assert earlier(run_edition(request(project), quiet).folder) == ""


def test_a_kernel_is_told_what_the_run_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A notebook meets the folder of the earlier report, never one that the user's shell happens to name."""
    monkeypatch.setenv(claims.EARLIER, "elsewhere")
    project = tiny_project.made(tmp_path / "project")
    tiny_project.write_notebook(project, "tried", "Tried?", f"import os\nprint(repr(os.environ[{claims.EARLIER!r}]))")
    for told in ("", "there"):
        source, target = project / "notebooks" / "tried.ipynb", project / "out.ipynb"
        notebook, _ = kernels.execute(source, target, {}, project, {claims.EARLIER: told})
        assert printed(notebook).strip() == repr(told)


def test_numbers_do_not_depend_on_how_many_run_at_once(
    project: Path, no_kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """The engine has one thread, so sums have one order; of a study so large that this would take long, its share."""

    def threads(at_once: int) -> str:
        folder = run_edition(request(project, at_once=at_once), quiet).folder
        notebook = nbformat.read(folder / "notebooks" / "leavers.ipynb", as_version=4)
        return str(notebook.metadata.papermill.parameters.threads)

    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert [threads(at_once) for at_once in (1, 2, 4)] == ["1", "1", "1"]
    monkeypatch.setattr(run, "ONE_THREAD_ROWS", 9)  # two chapters are never more than two at once
    assert [threads(at_once) for at_once in (1, 2, 4)] == ["8", "4", "4"]
    monkeypatch.setenv(engine.THREADS, "1")
    asked = engine.Engine().connection.raw_sql("SELECT current_setting('threads')")
    assert asked.fetchall() == [(1,)]


def test_equal_runs_give_equal_files(project: Path, no_kernels: dict[str, Any]):
    """The same inputs give the same bytes, but for the seconds in run.json."""
    first = run_edition(request(project, out=project / "first"), quiet).folder
    second = run_edition(request(project, out=project / "second"), quiet).folder
    for name in ("ledger.parquet", "claims.json", "notebooks/leavers.ipynb", "notebooks/summary.ipynb"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    runs = [(archive.record(folder) or {})["run"] for folder in (first, second)]
    assert runs[0] == runs[1]
    other = run_edition(request(project, out=project / "third", values={"segment": "high"}), quiet).folder
    assert (archive.record(other) or {})["run"] != runs[0]


def test_runs_side_by_side_do_not_meet(tmp_path: Path):
    """Two runs write in folders of their own; the last to finish is the one that stays, whole."""
    target = tmp_path / "2026-10"
    with archive.aside(tmp_path, target) as one, archive.aside(tmp_path, target) as two:
        for made, text in ((one, "one"), (two, "two")):
            (made / "run.json").write_text(json.dumps({"study": {"name": "demo"}, "run": text}))
        archive.publish(one, tmp_path, target, "demo", failed=False)
        archive.publish(two, tmp_path, target, "demo", failed=False)
    assert (archive.record(target) or {})["run"] == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["2026-10"]


def test_paths_of_this_machine_become_general():
    """Root, Python and home are taken out of texts; what only looks alike stays."""
    root = Path("/srv/project")
    text = json.dumps(
        {
            "a": "/srv/project/data/demo.toml",
            "b": f"{sys.prefix}/lib/x.py",
            "c": "/srv/project2/x",
            "d": "a/srv/project/",
        }
    )
    told = json.loads(archive.without_paths(text, root))
    assert told == {"a": "data/demo.toml", "b": "python/lib/x.py", "c": "/srv/project2/x", "d": "a/srv/project/"}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are sent on POSIX only")
@pytest.mark.parametrize(("sign", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_stopping_leaves_nothing_behind(tmp_path: Path, sign: str, code: int):
    """An interrupted run ends at once with its own code, its kernels with it, and its unfinished folder is gone."""
    if signal.getsignal(signal.Signals[sign]) is signal.SIG_IGN:
        pytest.skip(f"{sign} is ignored here, as under nohup, and whoever asks for that gets it")
    root = tiny_project.made(tmp_path / "project")
    for name in ("leavers", "scores"):
        waits = f"import os, pathlib, time\npathlib.Path('{name}.pid').write_text(str(os.getpid()))\ntime.sleep(600)"
        tiny_project.write_notebook(root, name, "Waits?", waits)
    pids = [root / "leavers.pid", root / "scores.pid"]
    with command(root, "report") as running:
        while not all(path.is_file() and path.read_text() for path in pids):
            assert running.process.poll() is None
            time.sleep(0.1)
        running.process.send_signal(signal.Signals[sign])
        assert running.process.wait(timeout=10) == code
        assert not {int(path.read_text()) for path in pids} & set(running.processes())
        assert running.ended(10) == code
    assert not (root / "reports" / "monthly").exists()


class Heard:
    """What a kernel says on a channel, and how long was waited for more after its last word."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages, self.waited = list(messages), 0.0

    async def get_msg(self, timeout: float) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        self.waited += timeout
        raise Empty


def idle(asked: str) -> dict[str, Any]:
    return {"parent_header": {"msg_id": asked}, "content": {"execution_state": "idle"}}


def ready(shell: Heard, iopub: Heard, alive: bool = True, timeout: float = 5.0) -> None:
    """Wait for a kernel that says this; raises what the client raises."""

    async def lives() -> bool:
        return alive

    client = SimpleNamespace(shell_channel=shell, iopub_channel=iopub, kernel_info=lambda: "mine", is_alive=lives)
    client._handle_kernel_info_reply = lambda _: None
    asyncio.run(kernels.Client.wait_for_ready(client, timeout))  # type: ignore[arg-type]


def test_a_kernel_that_has_answered_is_not_waited_for():
    """Once it says on both channels that it is idle nothing more is listened for; the words for others are passed over."""
    shell, iopub = Heard({}), Heard(idle("of another"), {"parent_header": {}, "content": {}}, idle("mine"))
    ready(shell, iopub)
    assert (shell.waited, iopub.waited) == (0, 0)


def test_a_kernel_that_never_answers_is_given_up():
    """One that died is told at once; one that is silent, or is heard on one channel only, when its time is over."""
    with pytest.raises(RuntimeError, match="died before it answered"):
        ready(Heard(), Heard(), alive=False)
    for shell, iopub in ((Heard(), Heard()), (Heard({}), Heard())):
        with pytest.raises(RuntimeError, match=r"did not answer in 0\.05 seconds"):
            ready(shell, iopub, timeout=0.05)
