"""What users of such tools meet most with parameters, each tried through the command line with real kernels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
import tiny_project

from cxresearch import cli
from cxresearch.report import run

FORM = """
from datetime import date
from typing import Literal

text: str = "all"  # any text
whole: int = 1  # a whole number [-10, 1000]
real: float = 1.0  # a number
flag: bool = True  # yes or no
day: date = date(2026, 1, 1)  # a day
names: list[str] = []  # some texts
numbers: list[float] = [0.5]  # some numbers [0, 10]
kind: Literal["a", "1.20", "NO"] = "a"  # one of three
limit: float | None = 2.0  # a number, or none
"""
SHOW = "print(repr([data, period, segment, text, whole, real, flag, day.isoformat(), names, numbers, kind, limit]))"
DERIVED = "twice = whole * 2\nprint('twice', twice)"
HERE = "import os, sys\nprint('here', os.path.exists('data/demo.toml'), sys.version_info[:2])"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a notebook of every type, which names a kernel that no machine has; the user stands elsewhere."""
    root = tiny_project.made(tmp_path / "project")
    form = FORM.strip() + "\n"
    tiny_project.write_notebook(root, "typed", "Typed?", tiny_project.finding("typed"), SHOW, DERIVED, HERE, more=form)
    monkeypatch.setattr(cli, "ROOT", root)
    tiny_project.stand_in_for_the_study(monkeypatch)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return root


def seen(folder: Path, name: str = "typed") -> list[str]:
    """What the executed notebook printed, line by line."""
    book: Any = nbformat.read(folder / "notebooks" / f"{name}.ipynb", as_version=4)
    outputs = [out for cell in book.cells for out in cell.get("outputs", []) if out.output_type == "stream"]
    return [line for out in outputs for line in out.text.splitlines()]


def refused(words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The one line of an error that comes before any notebook starts."""
    monkeypatch.setattr(run, "_executed", lambda *_: pytest.fail("a notebook was started"))
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1].removeprefix("cxresearch: error: ")


# ------------------------------------------------------------------ 1: a misspelt parameter passes with exit 0


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_misspelt_parameter_is_refused_wherever_it_stands(
    project: Path, suffix: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """On the command line, in a file of values and in an edition: exit 2, the file and the nearest name."""
    assert refused(["run", "typed", "-p", "hole", "2"], capsys, monkeypatch) == (
        "no parameter 'hole' in typed; did you mean 'whole'?"
    )
    Path(f"mine.{suffix}").write_text("hole = 2" if suffix == "toml" else '{"hole": 2}')
    assert refused(["run", "typed", "-f", f"mine.{suffix}"], capsys, monkeypatch).endswith(
        f"mine.{suffix}: no parameter 'hole' in typed; did you mean 'whole'?"
    )
    (project / "reports" / "own.toml").write_text('notebooks = ["typed"]\n[parameters]\nhole = 2\n')
    assert refused(["report", "own"], capsys, monkeypatch) == (
        "reports/own.toml: no parameter 'hole' in own; did you mean 'whole'?"
    )


# ---------------------------------------------------------------------------------------- 2: a value is re-typed


def test_values_arrive_as_they_were_declared(project: Path, capsys: pytest.CaptureFixture[str]):
    """What looks like a number, a time or a truth value stays text where text is declared, and is a number where one is."""
    given = {
        "text": "007",
        "segment": "12:30",
        "whole": "007",
        "real": "1.20",
        "flag": "no",
        "day": "2026-09-30",
        "names": '007, NO, 12:30, 1.20, nan, "a, b"',
        "numbers": "1, 2.50",
        "kind": "1.20",
        "limit": "",
    }
    words = [word for pair in given.items() for word in ("-p", *pair)]
    assert cli.main(["run", "typed", *words, "--as-of", "2026-11-02", "-o", "out"]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[0]).parent
    names = ["007", "NO", "12:30", "1.20", "nan", "a, b"]
    wanted = ["data/demo.toml", "2026-10", "12:30", "007", 7, 1.2, False, "2026-09-30", names, [1.0, 2.5], "1.20", None]
    assert seen(folder)[0] == repr(wanted)
    # 3: what is computed from a parameter is computed from the new value
    assert seen(folder)[1] == "twice 14"
    # 8 and 9: the notebook names another machine's kernel, the user stands in another folder
    assert seen(folder)[2].startswith("here True (3, ")
    told = json.loads((folder / "run.json").read_text())["parameters"]["typed"]
    assert (told["text"], told["whole"], told["names"], told["limit"]) == ("007", 7, names, None)


@pytest.mark.parametrize("value", ["NO", "007", "12:30", "1.20", "nan", "true", "null", "1e3", "-5", " x ", "0x10"])
def test_text_on_the_command_line_stays_text(
    project: Path, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """No text is a number, a truth value or nothing because it looks like one."""
    plans = []
    monkeypatch.setattr(
        run, "run_edition", lambda request, say: plans.append(run.checked(request)) or run.Outcome(project, ())
    )
    assert cli.main(["run", "typed", "-p", "text", value]) == 0
    assert plans[0].values["typed"]["text"] == value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("whole", "1.20", "parameter 'whole': '1.20' is no whole number from -10 to 1000"),
        ("whole", "NO", "parameter 'whole': 'NO' is no whole number from -10 to 1000"),
        ("whole", "1001", "parameter 'whole': 1001 is no whole number from -10 to 1000"),
        ("real", "nan", "parameter 'real': 'nan' is no number"),
        ("real", "12:30", "parameter 'real': '12:30' is no number"),
        ("flag", "007", "parameter 'flag': '007' is no true or false"),
        ("day", "12:30", "parameter 'day': '12:30' is no date such as 2026-10-31"),
        ("numbers", "1, nan", "parameter 'numbers': 'nan' is no number"),
        ("numbers", "1, 11", "parameter 'numbers': 11.0 is no number from 0 to 10"),
        ("names", 'a, "b', "parameter 'names': 'a, \"b' is no list of parts between commas"),
        ("kind", "1.2", "parameter 'kind': '1.2' is no one of a, 1.20, NO"),
        ("limit", "none", "parameter 'limit': 'none' is no number, or empty"),
        ("period", "2026-Q5", "period '2026-Q5' is no month and no quarter; write it as 2026-10 or 2026-Q3"),
    ],
)
def test_a_value_that_does_not_fit_stops_before_a_kernel_starts(
    project: Path,
    name: str,
    value: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """The error says the parameter, the value and what is allowed."""
    if name == "period":
        from cxresearch.data import opening, periods

        there = {"panel": {"2026-10": 10}}
        monkeypatch.setattr(opening, "preflight", lambda data, period, *_: periods.resolve(period, there))
    assert message in refused(["run", "typed", "-p", name, value], capsys, monkeypatch)


# ------------------------------------------------------------------------------------- sources and their strength


def test_the_typed_value_is_stronger_than_the_file_than_the_edition_than_the_notebook(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    """Four sources, one order; the recorded command names the file."""
    (project / "reports" / "own.toml").write_text(
        'notebooks = ["typed"]\n[parameters]\ntext = "edition"\nsegment = "edition"\nkind = "NO"\n'
    )
    Path("mine.toml").write_text('text = "file"\nsegment = "file"\nday = 2026-02-03\nlimit = 7\n')
    plans = []
    monkeypatch.setattr(
        run, "run_edition", lambda request, say: plans.append(run.checked(request)) or run.Outcome(project, ())
    )
    assert cli.main(["report", "own", "-f", "mine.toml", "-p", "text", "typed", "--as-of", "2026-11-02"]) == 0
    values = plans[0].values["typed"]
    assert [values[name] for name in ("text", "segment", "kind")] == ["typed", "file", "NO"]
    assert (values["day"].isoformat(), values["limit"], type(values["limit"])) == ("2026-02-03", 7.0, float)
    assert "whole" not in values, "the notebook's own default stays in the notebook"
    assert "-f " in plans[0].command
    assert plans[0].folder.name == "day=2026-02-03,limit=7,segment=file,text=typed"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.toml", "whole = true", "a.toml: parameter 'whole': True is no whole number from -10 to 1000"),
        ("a.toml", 'whole = "7"', "a.toml: parameter 'whole': '7' is no whole number from -10 to 1000"),
        ("a.toml", "text = 007", "a.toml: "),
        ("a.toml", "text = 7", "a.toml: parameter 'text': 7 is no text"),
        ("a.toml", "real = nan", "a.toml: parameter 'real': nan is no number"),
        ("a.toml", 'day = "2026-01-01"', "a.toml: parameter 'day': '2026-01-01' is no date such as 2026-10-31"),
        ("a.json", '{"real": NaN}', "a.json: NaN is no number"),
        ("a.json", '{"whole": 1, "whole": 2}', "a.json: 'whole' is given twice"),
        ("a.json", '{"day": "2026-02-30"}', "parameter 'day': '2026-02-30' is no date such as 2026-10-31"),
        ("a.json", "[1]", "a.json: expected names with values"),
        ("a.json", "{", "a.json: "),
        ("a.yaml", "whole: 1", "a.yaml: a file of values ends with .toml or .json"),
        ("missing.toml", None, "missing.toml: no such file or directory"),
    ],
)
def test_a_file_of_values_is_held_to_the_form(
    project: Path,
    file: str,
    text: str | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Types are checked, not converted; the error names the file."""
    if text is not None:
        Path(file).write_text(text)
    assert message in refused(["run", "typed", "-f", file], capsys, monkeypatch)


def test_json_gives_dates_as_text(project: Path, monkeypatch: pytest.MonkeyPatch):
    """JSON has no dates, so the text of one becomes the date that is declared."""
    Path("a.json").write_text('{"day": "2026-02-03", "text": "2026-02-03", "limit": null}')
    plans = []
    monkeypatch.setattr(
        run, "run_edition", lambda request, say: plans.append(run.checked(request)) or run.Outcome(project, ())
    )
    assert cli.main(["run", "typed", "-f", "a.json"]) == 0
    assert plans[0].values["typed"]["day"].isoformat() == "2026-02-03"
    assert plans[0].values["typed"]["text"] == "2026-02-03"
    assert plans[0].values["typed"]["limit"] is None


def test_two_files_of_values_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """One of them would be lost."""
    words = ["run", "typed", "-f", "a.toml", "-f", "b.toml"]
    assert refused(words, capsys, monkeypatch) == "-f is given twice; write the values into one file"


# ------------------------------------------- 3: a derived value stays stale, or a parameter is bound and never read


def test_a_value_computed_in_the_form_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """It would keep the value of the default whatever is given from outside."""
    tiny_project.write_notebook(project, "stale", "Stale?", more="n: int = 1\ntwice: int = n * 2\n")
    message = "stale, parameters cell, line 5: the default of 'twice' must be written out, not computed"
    assert message in refused(["run", "stale", "-p", "n", "2"], capsys, monkeypatch)


def test_a_parameter_that_nothing_reads_is_told_before_the_run(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A warning on stderr, before any notebook starts; the form marks it, for people and for programs."""
    reads = "segment = 'own'\nprint(data, period, segment)"
    tiny_project.write_notebook(
        project, "deaf", "Deaf?", tiny_project.finding("deaf"), reads, more="n: int = 1  # an n\n"
    )

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_executed", stop)
    assert cli.main(["run", "deaf", "-p", "n", "2"]) == 130
    told = capsys.readouterr().err.splitlines()
    warning = "warning: deaf never reads its parameter 'segment' and 'n': a value changes nothing"
    assert told.index(warning) < told.index("running deaf")
    assert cli.main(["params", "deaf"]) == 0
    assert "an n (never read: a value changes nothing)" in capsys.readouterr().out
    assert cli.main(["params", "deaf", "--json"]) == 0
    form = {line["name"]: line for line in json.loads(capsys.readouterr().out)}
    assert [name for name, line in form.items() if not line["read"]] == ["segment", "n"]


def test_the_form_is_told_to_programs(project: Path, capsys: pytest.CaptureFixture[str]):
    """Name, type, default, range, options, help and whether it is read, of every parameter, as JSON."""
    assert cli.main(["params", "typed", "--json"]) == 0
    form = {line.pop("name"): line for line in json.loads(capsys.readouterr().out)}
    assert form["whole"] == {
        "type": "int",
        "default": 1,
        "range": [-10, 1000],
        "options": None,
        "help": "a whole number",
        "read": True,
    }
    assert {name: line["type"] for name, line in form.items() if name not in ("data", "period", "segment")} == {
        "text": "str",
        "whole": "int",
        "real": "float",
        "flag": "bool",
        "day": "date",
        "names": "list[str]",
        "numbers": "list[float]",
        "kind": "Literal",
        "limit": "float | None",
    }
    assert form["kind"]["options"] == ["a", "1.20", "NO"]
    assert form["day"]["default"] == "2026-01-01"
