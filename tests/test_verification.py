"""Verification: a delivered report made again from its own record, told apart from one that was changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_project

from cxresearch import cli
from cxresearch.claims import EARLIER
from cxresearch.data import opening
from cxresearch.data.opening import Preflight
from cxresearch.errors import NotebookFailed
from cxresearch.report import archive, kernels, verification
from cxresearch.report.parameters import sent


class World:
    """What a run meets: the number that the notebooks find, their data, and what they were given."""

    def __init__(self) -> None:
        self.estimate = 0.1
        self.fingerprint = "f00d"
        self.rows = 10
        self.given: dict[str, Any] = {}
        self.earlier: dict[str, str] = {}
        self.error: NotebookFailed | None = None


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A small project whose notebooks are not run but come back with a finding."""
    made = World()
    root = tiny_project.made(tmp_path / "project")
    monkeypatch.setattr(cli, "ROOT", root)
    monkeypatch.chdir(root)

    def preflight(data: str, period: str = "latest", as_of: str | None = None, segments: object = ()) -> Preflight:
        month = "2026-10" if period == "latest" else period
        return Preflight("demo", "Demo operator", month, made.fingerprint, {"panel": made.rows}, frozenset())

    def execute(source: Path, target: Path, values: dict[str, Any], root: Path, told: Any) -> tuple[Any, Any]:
        notebook = nbformat.read(source, as_version=4)
        shown: dict[str, Any] = {}
        code = notebook.cells[2].source.replace("from IPython.display import display", "")
        exec(code, {"display": lambda data, raw: shown.update(data)})
        next(iter(shown.values()))["table"][0]["estimate"] = made.estimate
        notebook.cells[2].outputs = [nbformat.v4.new_output("display_data", data=shown)]
        notebook.metadata["papermill"] = {"parameters": sent(values)}
        made.given[source.stem], made.earlier[source.stem] = values, told[EARLIER]
        return notebook, made.error

    monkeypatch.setattr(opening, "preflight", preflight)
    monkeypatch.setattr(kernels, "execute", execute)
    return made


def delivered(*words: str) -> Path:
    """The folder of a report that was just made."""
    assert cli.main(["report", "--as-of", "2026-11-02", *words]) == 0
    record = max((cli.ROOT / "reports").rglob("run.json"), key=lambda path: path.stat().st_mtime_ns)
    return record.parent


def verified(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and what stands on stdout."""
    capsys.readouterr()
    code = cli.main(["verify", str(folder), *words])
    return code, capsys.readouterr().out


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_as_it_was_made_is_the_same(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The same code on the same data gives every row again: exit 0, nothing written into the report, nothing left aside."""
    folder = delivered("-p", "segment", "007", "-p", "window", "6")
    before = files(cli.ROOT)
    code, out = verified(folder, capsys)
    assert (code, out) == (0, "same: all 2 rows agree to 1e-09 of each number\n")
    assert files(cli.ROOT) == before
    assert world.given["leavers"] == {"segment": "007", "window": 6, "data": "data/demo.toml", "period": "2026-10"}


def test_another_number_is_a_difference(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A number that is off by a millionth is found: exit 8, with the row, both numbers and how far they are apart."""
    folder = delivered()
    world.estimate = 0.1 * (1 + 1e-6)
    code, out = verified(folder, capsys)
    assert code == 8
    row = "leavers · leavers · churned · all · crude · rate: estimate 0.1 → 0.1000001 (1.0e-06 of the number)"
    assert out.splitlines()[0] == f"differs: {row}"
    assert out.splitlines()[-1] == "not the same: 2 of 2 rows differ, 0 files changed"


def test_the_last_digits_are_noise(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A sum that was made in another order is the same number."""
    folder = delivered()
    world.estimate = 0.1 * (1 + 1e-11)
    assert verified(folder, capsys)[0] == 0


def test_a_ledger_that_somebody_edited_is_found(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed number, a missing row and an additional one are differences, and the file is named as changed."""
    folder = delivered()
    table = pq.read_table(folder / "ledger.parquet")
    rows = table.to_pylist()
    rows = [{**rows[0], "estimate": 0.05}, {**rows[1], "finding": "another"}]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / "ledger.parquet")
    code, out = verified(folder, capsys)
    assert code == 8
    assert "differs: ledger.parquet was changed after it was published" in out
    assert 'scores · scores · churned · all · crude · rate: row "missing" → "made again"' in out
    assert 'scores · another · churned · all · crude · rate: row "delivered" → "missing"' in out
    assert "estimate 0.05 → 0.1 (5.0e-01 of the number)" in out


def test_an_edited_page_is_found(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A page, paper or notebook that is not as it was written is a difference though all numbers are the same."""
    folder = delivered()
    page = folder / "report.html"
    page.write_text(page.read_text().replace("</main>", "<p>One in a hundred.</p></main>"))
    assert "One in a hundred" in page.read_text()
    (folder / "notebooks" / "scores.ipynb").unlink()
    code, out = verified(folder, capsys)
    assert code == 8
    assert out.splitlines()[:2] == [
        "differs: notebooks/scores.ipynb is missing",
        "differs: report.html was changed after it was published",
    ]


def test_data_code_and_versions_that_moved_are_named(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the data, a notebook, the code or a package is another one it says which, and compares all the same."""
    folder = delivered()
    record = json.loads((folder / "run.json").read_text())
    record["versions"]["pandas"] = "1.0"
    record["code"] = "0" * 12
    (folder / "run.json").write_text(json.dumps(record))
    world.fingerprint, world.rows = "beef", 11
    notebook = cli.ROOT / "notebooks" / "scores.ipynb"
    notebook.write_text(notebook.read_text().replace("What do they say?", "What do they tell?"))
    code, out = verified(folder, capsys)
    assert code == 0
    assert "rests on other data: f00d → beef" in out
    assert "rests on other rows of panel: 10 → 11" in out
    assert "rests on other version of pandas: 1.0 → " in out
    assert "rests on other code of cxresearch: 000000000000 → " in out
    assert "rests on other notebooks edited: scores" in out


def test_verdicts_that_stayed_are_made_from_the_same_report_before(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A verdict may stay from the month before: verification tells the notebooks of that same report."""
    delivered("--period", "2026-09")
    folder = delivered("--period", "2026-10")
    told = world.earlier["leavers"]
    assert told.endswith("2026-09")
    code, _ = verified(folder, capsys)
    assert (code, world.earlier["leavers"]) == (0, told)
    shutil.rmtree(folder.parent / "2026-09")
    code, out = verified(folder, capsys)
    assert (code, world.earlier["leavers"]) == (0, "")
    assert "rests on other earlier verdicts" in out


def test_an_edition_that_was_edited_since_does_not_matter(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The report is made again as it was, whatever the edition names today."""
    folder = delivered()
    (cli.ROOT / "reports" / "monthly.toml").write_text('notebooks = ["scores"]\n[parameters]\nsegment = "high"\n')
    assert verified(folder, capsys)[0] == 0
    assert "segment" not in world.given["leavers"]


def test_a_hidden_value_is_asked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A password does not stand in the record: verification names the parameter and takes it again."""
    more = 'token: str = ""  # of the service\nday: date = date(2026, 1, 1)  # from when\n'
    tiny_project.write_notebook(
        cli.ROOT, "leavers", "Who leaves?", tiny_project.finding("leavers"), more=f"from datetime import date\n{more}"
    )
    folder = delivered("-p", "token", "s3cr3t-tok3n", "-p", "day", "2026-09-30")
    assert cli.main(["verify", str(folder)]) == 2
    assert "parameter 'token' is hidden in run.json; give it again with -p token VALUE" in capsys.readouterr().err
    assert verified(folder, capsys, "-p", "token", "s3cr3t-tok3n")[0] == 0
    assert (world.given["leavers"]["token"], world.given["leavers"]["day"].isoformat()) == (
        "s3cr3t-tok3n",
        "2026-09-30",
    )


def test_a_notebook_that_fails_now_is_an_error(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the report cannot be made again the exit code is that of the failure, and the report stays."""
    folder = delivered()
    before = files(folder)
    world.error = NotebookFailed("cell 3, line 1: ValueError: no")
    assert cli.main(["verify", str(folder)]) == 1
    assert "ValueError: no" in capsys.readouterr().err
    assert files(folder) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 1}, "was made by an older release"),
        ({"status": "failed", "failed": {"scores": "no"}}, "is a failed report: scores stopped"),
    ],
)
def test_what_cannot_be_verified_says_why(
    world: World, change: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older record or a failed report is refused in one line."""
    folder = delivered()
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | change))
    assert cli.main(["verify", str(folder)]) == 2
    assert message in capsys.readouterr().err


def test_the_table_of_differences_is_short(world: World) -> None:
    """Of many differences the ten largest stand there, rows that are missing before all, and the rest is counted."""
    rows = tuple(
        verification.Difference(("n", f"f{i}", "1"), (("estimate", 1.0, 1.0 + i),), i / (1 + i)) for i in range(1, 15)
    )
    found = verification.Verification(20, rows, (), ())
    told = list(verification.lines(found))
    assert len(told) == 12
    assert told[10:] == ["and 4 more rows differ", "not the same: 14 of 20 rows differ, 0 files changed"]


def test_the_record_says_what_is_needed_to_make_it_again(world: World) -> None:
    """run.json holds notebooks and their digests, data, rows, seed, code, versions, seconds and a digest of each file."""
    folder = delivered()
    record = archive.record(folder) or {}
    layout = record["layout"]
    assert (layout["notebooks"], layout["summary"], record["seed"]) == (["leavers", "scores"], "summary", 20261)
    assert all(record["notebooks"][name]["source"] for name in ("leavers", "scores", "summary"))
    assert set(record["files"]) == set(files(folder)) - {"run.json"}
    assert {"code", "commit", "dirty", "versions", "seconds", "command", "data_fingerprint", "parameters"} <= set(
        record
    )
