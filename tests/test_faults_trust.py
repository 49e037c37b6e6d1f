"""Faults that users of such tools meet, through the command line: what must not be shown, and what must not be called a result."""

from __future__ import annotations

import html
import io
import json
import math
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tiny_project
from pypdf import PdfReader
from small_study import study_of

import cxresearch as cx
from cxresearch import cli
from cxresearch.claims import decide
from cxresearch.data.terms import BY_NAME
from cxresearch.report import changes
from cxresearch.report.ledger import open_ledger

SECRETS = {
    "password of an address": "hunter2/p@ss",
    "value of a parameter": "s3cr3t-tok3n",
    "default of a parameter": "default-key-99",
    "variable of the environment": "Tr0ub4dor&3",
}
ADDRESS = f"postgres://reader:{SECRETS['password of an address']}@db.example/panel"
PERSONS = ("C-0171-555", "Jane Doe")
USER = "/home/jane"
FORM = f'source: str = ""  # where from\ntoken: str = ""  # who we are\napi_key: str = "{SECRETS["default of a parameter"]}"  # of the service'
# put together as they run, so that the source of a cell does not hold them
PEOPLE = """import os, warnings
import pandas as pd
from IPython.display import HTML, display
people = pd.DataFrame({"id": ["C-0171" + "-555%d" % i for i in range(9)], "name": "Jane" + " Doe"})
people.head()"""
SHOWS = [
    PEOPLE,
    "print(people)",
    "display(HTML(people.to_html()))",
    "people['name'].value_counts()",
    "print('with', token, api_key, os.environ['CX_DB_PASSWORD'])",
    "print(source, data)",
    f"warnings.warn('cannot read {USER}/panel')",
    "{'token': token, 'address': source}",
    tiny_project.finding("leaky").replace('method="m"', 'method="read from " + source + " with token=" + token'),
]
FAILS = [PEOPLE, "raise RuntimeError(f'no connection to {source} with {token} in /home/jane/keys\\n{people}')"]


@dataclass(frozen=True)
class Seen:
    """Everything that a command left behind for others to read."""

    code: int
    out: str
    err: str
    folder: Path

    def texts(self) -> dict[str, str]:
        """What is readable in every file, on the screen, and in the names of files."""
        found = {"stdout": self.out, "stderr": self.err}
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            name = path.relative_to(self.folder).as_posix()
            if path.suffix == ".pdf":
                reader = PdfReader(path)
                found[name] = "".join(page.extract_text() for page in reader.pages) + str(reader.metadata)
            elif path.suffix == ".parquet":
                table = pq.read_table(path)
                found[name] = json.dumps(table.to_pylist(), ensure_ascii=False) + str(table.schema.metadata)
            else:
                found[name] = path.read_text(encoding="utf-8")
        return {**found, "names": "\n".join(found)}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """An edition whose chapters show rows of customers, secrets and paths, and one of which fails over them."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        tiny_project.stand_in_for_the_study(patch)
        root = tiny_project.made(tmp_path_factory.mktemp("faults") / "project")
        tiny_project.write_notebook(root, "leavers", "Who leaves?", *SHOWS, more=FORM)
        tiny_project.write_notebook(root, "scores", "What do they say?", *FAILS, more=FORM)
        patch.setattr(cli, "ROOT", root)
        patch.setenv("CX_DB_PASSWORD", SECRETS["variable of the environment"])
        given = ["-p", "source", ADDRESS, "-p", "token", SECRETS["value of a parameter"]]
        code = cli.main(["report", "--data", ADDRESS, *given])
    return Seen(code, out.getvalue(), err.getvalue(), root / "reports")


# -- 14: secrets, users' paths, other people's rows


@pytest.mark.parametrize("kind", SECRETS)
def test_no_output_holds_a_secret(seen: Seen, kind: str) -> None:
    """A password, token or key, wherever it came from, stands in no file, no file's name and no line on the screen."""
    secret = SECRETS[kind]
    forms = {secret, html.escape(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], secret.rpartition("/")[2]}
    assert [name for name, text in seen.texts().items() if any(form in text for form in forms)] == []


def test_what_was_hidden_is_said(seen: Seen) -> None:
    """The place of a secret shows that there was one; the address keeps its host."""
    record = json.loads(next(seen.folder.rglob("run.json")).read_text())
    values = record["parameters"]["leavers"]
    assert (values["token"], values["source"]) == ("***", "postgres://***@db.example/panel")
    assert "hunter2" not in record["command"]
    assert "***@db.example" in record["command"]
    notebook = json.loads(next(seen.folder.rglob("leavers.ipynb")).read_text())
    assert notebook["metadata"]["papermill"]["parameters"]["token"] == "***"
    assert open_ledger(next(seen.folder.rglob("ledger.parquet")))["method"][0] == (
        "read from postgres://***@db.example/panel with token=***"
    )


def test_an_error_line_names_the_fault_and_no_secret(seen: Seen) -> None:
    """The failing chapter is named with its first line, without address, token, rows and path."""
    assert seen.code == 1
    last = seen.err.splitlines()[-1]
    assert "scores, cell 4, line 1: RuntimeError: no connection to postgres://***@db.example/panel with ***" in last


def test_no_output_holds_rows_of_customers(seen: Seen) -> None:
    """A table of customers that a notebook shows or prints, or puts into an error, is left out, and a line says so."""
    found = [name for name, text in seen.texts().items() if any(person in text for person in PERSONS)]
    assert found == []
    text = next(seen.folder.rglob("leavers.ipynb")).read_text()
    assert text.count("was left out") == 6
    assert "a result of kind text/html was left out: it may hold rows of customers" in text
    assert "printed text of 10 lines was left out" in text


def test_no_output_names_a_user(seen: Seen) -> None:
    """The folder of a user stands nowhere, also where a warning or an error of a library names it."""
    home = str(Path.home())
    names = [USER, str(seen.folder.parent), *([f"{home}/"] if home not in ("/", "/root") else [])]
    shown = {name: text for name, text in seen.texts().items() if name != "stdout"}  # paths are what stdout is for
    found = [(name, user) for name, text in shown.items() for user in names if user in text]
    assert [one for one in found if one[0] != "stderr"] == []
    assert USER not in seen.err


def test_a_refused_value_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a secret does not fit, the error line says which parameter, never the value."""
    tiny_project.stand_in_for_the_study(monkeypatch)
    root = tiny_project.made(tmp_path / "project")
    tiny_project.write_notebook(root, "leavers", "Who leaves?", more="pin_token: int = 0  # of the service\n")
    monkeypatch.setattr(cli, "ROOT", root)
    for words in (
        ["-p", "pin_token", "77-1234"],
        ["--token", "77-1234"],
        ["--data", "x://u:77-1234@h", "-p", "nonsense", "1"],
    ):
        assert cli.main(["report", *words]) == 2
        error = capsys.readouterr().err
        assert "cxresearch: error: " in error
        assert "77-1234" not in error


def test_a_form_lists_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cxresearch params` shows that there is a default, not what it is."""
    root = tiny_project.made(tmp_path / "project")
    tiny_project.write_notebook(root, "leavers", "Who leaves?", more=FORM)
    monkeypatch.setattr(cli, "ROOT", root)
    assert cli.main(["params", "leavers"]) == 0
    out = capsys.readouterr().out
    assert "default '***'" in out
    assert SECRETS["default of a parameter"] not in out


@pytest.mark.slow
def test_a_report_on_one_segment_holds_no_other(small_operator: Path, tmp_path: Path) -> None:
    """With `-p segment high` no number of another segment stands in ledger, page or executed notebook."""
    words = ["run", "headline_scores", "--data", str(small_operator), "-p", "segment", "high", "-o", str(tmp_path)]
    assert cli.main(words) == 0
    seen = Seen(0, "", "", tmp_path)
    table = open_ledger(next(tmp_path.rglob("ledger.parquet")))
    assert len(table) > 20
    named = table["group"].str.cat([table["term"].fillna(""), table["outcome"]], sep=" ")
    assert not named.str.contains(r"\b(?:mass|mid)\b").any()
    assert [name for name, text in seen.texts().items() if re.search(r"value.segment[=: ]+(?:mass|mid)\b", text)] == []


# -- 15: significant at large n or after many tests; small groups shown


def test_after_many_tests_nothing_is_told_that_is_not_there(tmp_path: Path) -> None:
    """Sixty-six differences without any truth behind them: some lie beyond their own interval, none is told from zero."""
    dice = np.random.default_rng(3)
    rows = pd.DataFrame({"customer_id": [f"c{i}" for i in range(1000)], "period": "2026-10"})
    terms = [name for name, term in BY_NAME.items() if term.table == "panel" and term.kind == "number"][:12]
    sides = []
    for side in ("now", "before"):
        rows = rows.assign(**{name: dice.random(len(rows)) for name in terms})
        (tmp_path / side).mkdir()
        study = study_of(tmp_path / side, panel=rows, window=1)
        pairs = [(name, terms[i + 1 :]) for i, name in enumerate(terms[:-1])]
        sides.append([cx.relate(study, of, rest, steps=["crude"], method=["pearson"]) for of, rest in pairs])
    now, before = sides
    family = cx.compare(now, {"the other": before})
    apart = sum(row["conf_low"] > 0 or row["conf_high"] < 0 for row in family.rows())
    assert apart > 1
    assert family.answer == (
        "Of 66 differences that can be tested none is told from zero at a false-discovery rate of 5 %; "
        f"{apart} of the intervals leave zero out, as among many some do by chance."
    )


def test_no_number_of_customers_makes_a_trifle_a_result() -> None:
    """With fifty million customers a trifling difference is no support: it must matter, not only be told from zero."""
    error = 0.5 / math.sqrt(50_000_000)
    low, high = 0.001 - 3 * error, 0.001 + 3 * error
    assert low > 0
    assert decide(low, high, 0.02, None) == ("refuted", "")


@pytest.mark.slow
def test_small_groups_are_not_shown(tmp_path: Path) -> None:
    """A segment of six customers has no number in the ledger, the page or a comparison, and says why."""
    dice = np.random.default_rng(1)
    panel = pd.DataFrame({"customer_id": [f"c{i}" for i in range(400)], "period": "2026-09"})
    panel["value_segment"] = np.where(np.arange(400) < 6, "tiny", np.where(np.arange(400) < 200, "high", "mass"))
    panel["churned"] = dice.integers(0, 2, 400)
    surveys = panel[["customer_id", "period"]].assign(sat1=dice.integers(1, 11, 400), answered_at="2026-09-15")
    surveys["recommend"] = dice.integers(0, 11, 400)
    study_of(tmp_path, panel=panel, surveys=surveys)
    out = tmp_path / "out"
    assert cli.main(["run", "headline_scores", "--data", str(tmp_path / "small.toml"), "-o", str(out)]) == 0
    table = open_ledger(next(out.rglob("ledger.parquet")))
    small = table[table["group"].str.contains("value_segment=tiny")]
    assert len(small)
    assert small[["estimate", "n", "events", "clusters", "conf_low"]].isna().all().all()
    assert small["effect_label"].str.startswith("suppressed").all()
    folder = next(out.rglob("run.json")).parent
    found = changes.between(folder, folder)
    assert {one.difference for one in found.numbers if "tiny" in one.row["group"]} == {None}
    assert "suppressed: fewer than 10 customers" in "\n".join(changes.lines(found))
