"""What a study file may say: every refusal is one line that names the file, the place and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from own_tables import PANEL, open_own, study_file, write_csv

from cxresearch.data import mapping
from cxresearch.data.opening import open_study, preflight
from cxresearch.errors import CxError, GateClosed, NoData, UsageError

ROWS = "id,month,left,drops,plan,site\n1,2026-09,Yes,1,a,x\n1,2026-10,No,2,a,x\n2,2026-10,No,3,b,y\n"
SURVEYS = """
[tables.surveys]
file = "surveys.csv"
[tables.surveys.columns]
customer_id = "id"
period = "month"
recommend = "nps"
"""


def refused(folder: Path, text: str, error: type[CxError] = UsageError, **asked: str | bytes | int) -> str:
    """The one line with which a study is refused."""
    asked.setdefault("panel", ROWS)
    with pytest.raises(error) as caught:
        open_own(folder, text, **asked)  # type: ignore[arg-type]
    line = str(caught.value)
    assert "\n" not in line
    assert not re.search(r"Traceback|<class|object at|None\b", line), line
    return line


SHAPES = {
    "unknown key": ('nmae = "own"', "own.toml: unknown key 'nmae'; did you mean 'name'?"),
    "no name": ('title = "x"', "own.toml: 'name' is missing"),
    "name": ('name = "Own Study"', "own.toml: name 'Own Study' must be lower-case letters, digits, - and _"),
    "type of name": ("name = 3", "own.toml: name is 3; it must be text"),
    "no tables": ('name = "own"', "own.toml: 'tables' is missing"),
    "empty tables": ('name = "own"\n[tables]', "own.toml: needs [tables.panel] or [tables.surveys], or both"),
    "unknown table": (
        'name = "own"\n[tables.panel]\nfile = "x"\n[tables.pannel]\nfile = "x"',
        "own.toml: unknown table 'pannel'; did you mean 'panel'?",
    ),
    "table is text": (
        'name = "own"\ntables.panel = "panel.csv"',
        "own.toml [tables.panel] is 'panel.csv'; it must be a table with the keys file, ",
    ),
    "no file": ('name = "own"\n[tables.panel]', "own.toml [tables.panel]: 'file' is missing"),
    "level": ('name = "own"\nlevels = ["sites"]\ntables = {}', "own.toml: unknown level 'sites'; did you mean 'site'?"),
    "level in a list": ('name = "own"\nlevels = [["site"]]', "own.toml: levels holds ['site']; each must be text"),
    "levels is text": ('name = "own"\nlevels = "site"', "own.toml: levels is 'site'; it must be a list"),
    "min_cell": ('name = "own"\nmin_cell = 9', "own.toml: min_cell is 9; a study may only raise it above 10"),
    "min_cell is true": ('name = "own"\nmin_cell = true', "own.toml: min_cell is True; it must be a whole number"),
    "enriched": ('name = "own"\nenriched = "yes"', "own.toml: enriched is 'yes'; it must be true or false"),
    "period": (
        'name = "own"\n[tables.panel]\nfile = "x"\nperiod = "2026-13"',
        "own.toml [tables.panel]: period is '2026-13'; write it as 2026-10",
    ),
    "join": (
        'name = "own"\n[tables.panel]\nfile = "x"\njoin = {file = "y"}',
        "own.toml [tables.panel] join: 'on' is missing",
    ),
    "simulate": (
        'name = "own"\n[simulate]\ncustomer = 3\n[tables.panel]\nfile = "x"',
        "own.toml [simulate]: unknown key 'customer'; did you mean 'customers'?",
    ),
}


@pytest.mark.parametrize("text, line", SHAPES.values(), ids=list(SHAPES))
def test_the_shape_of_a_study_file_is_checked(tmp_path: Path, text: str, line: str):
    """An unknown or wrongly typed key is told with its place, what is allowed and the nearest word."""
    assert refused(tmp_path, text).startswith(line)


COLUMNS = {
    "unknown term": ('churn = "left"', "columns: no term 'churn' in panel; did you mean 'churned'?"),
    "term of another table": ('recommend = "drops"', "columns: no term 'recommend' in panel"),
    "wrong type": ("tenure_m = 3", "columns: tenure_m must be a column's name or a table such as {column = 'name'}"),
    "unknown key": (
        'tenure_m = { colum = "drops" }',
        "columns tenure_m: unknown key 'colum'; did you mean 'column'?",
    ),
    "two ways": (
        'tenure_m = { column = "drops", sql = "drops" }',
        "columns tenure_m: needs exactly one of column, sql, mean_of; it has column, sql",
    ),
    "no way": ("tenure_m = { }", "columns tenure_m: needs exactly one of column, sql, mean_of; it has none"),
    "no positive": (
        'churned = { column = "left" }',
        "columns churned: needs the level that means yes, as positive = 'Yes'",
    ),
    "nothing to average": ("tenure_m = { mean_of = [] }", "columns tenure_m: mean_of is empty; name the columns"),
    "numbers to average": ("tenure_m = { mean_of = [1, 2] }", "columns tenure_m: mean_of holds 1; each must be text"),
    "missing holds a list": (
        'tenure_m = { column = "drops", missing = [[1]] }',
        "columns tenure_m: missing holds [1]; each must be text or a number",
    ),
    "one end": (
        'mos = { column = "drops", scale = [1] }',
        "columns mos: scale is [1]; it must be two rising numbers, as [1, 5]",
    ),
    "falling scale": (
        'mos = { column = "drops", scale = [5, 1] }',
        "columns mos: scale is [5, 1]; it must be two rising numbers",
    ),
    "scale of words": (
        'mos = { column = "drops", scale = ["a", "b"] }',
        "columns mos: scale holds 'a'; each must be a number",
    ),
    "scale of a count": (
        'list_price = { column = "drops", scale = [1, 5] }',
        "columns list_price: scale has no meaning, list_price has no range to be rescaled to; use sql",
    ),
}


@pytest.mark.parametrize("text, line", COLUMNS.values(), ids=list(COLUMNS))
def test_columns_are_checked(tmp_path: Path, text: str, line: str):
    """What a mapped column may say is checked before any file is read."""
    assert refused(tmp_path, PANEL + text, panel="").startswith(f"own.toml [tables.panel] {line}")


def test_a_study_file_that_is_not_there(tmp_path: Path):
    """An absent study file is told with those that are there."""
    study_file(tmp_path, PANEL)
    with pytest.raises(UsageError, match=rf"^no study file 'owen.toml'; {tmp_path.name}/ has own.toml$"):
        open_study(str(tmp_path / "owen.toml"))


@pytest.mark.parametrize("content", [b"name = ", b'name = "\xff"'], ids=["broken", "not UTF-8"])
def test_a_study_file_that_is_no_toml(tmp_path: Path, content: bytes):
    """A file that cannot be read as TOML is told as such, in one line."""
    (tmp_path / "own.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"^own.toml: not valid TOML: [^\n]+$"):
        mapping.load(tmp_path / "own.toml")


def test_a_variable_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder named by an unset variable says which one and what to set it to."""
    monkeypatch.delenv("OWN_TABLES", raising=False)
    line = refused(tmp_path, 'folder = "${OWN_TABLES}/x"\n' + PANEL)
    assert (
        line == "own.toml: the environment variable OWN_TABLES is not set; set it to the folder that holds the tables"
    )


def test_a_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder is found through the environment."""
    (tmp_path / "there").mkdir()
    write_csv(tmp_path / "there" / "panel.csv", ROWS)
    monkeypatch.setenv("OWN_TABLES", str(tmp_path))
    assert open_own(tmp_path, 'folder = "${OWN_TABLES}/there"\n' + PANEL).period == "2026-10"


TABLES = {
    "missing file": (PANEL.replace("panel.csv", "pannel.csv"), "no file 'pannel.csv' in the folder of the study"),
    "unknown kind of file": (
        PANEL.replace("panel.csv", "own.toml"),
        "own.toml: unknown kind of file; allowed: .csv, .csv.zip",
    ),
    "missing column": (
        PANEL + 'churned = { column = "lefd", positive = "Yes" }',
        "panel.csv: no column 'lefd' for churned; did you mean 'left'?",
    ),
    "positive level": (
        PANEL + 'churned = { column = "left", positive = "yes" }',
        "panel.csv: churned: no row of 'left' is 'yes'; it has 'No', 'Yes'",
    ),
    "text in a number": (
        PANEL + 'tenure_m = "plan"',
        "panel.csv: column 'plan' for tenure_m holds text ('a', 'b'); declare it, as missing = ['a', 'b'], or map another column",
    ),
    "expression": (
        PANEL + 'tenure_m = { sql = "drop + 1" }',
        "panel.csv: tenure_m: the SQL expression 'drop + 1' does not run: ",
    ),
    "aggregate": (
        PANEL + 'tenure_m = { sql = "avg(drops)" }',
        "panel.csv: tenure_m: the SQL expression 'avg(drops)' does not run: ",
    ),
    "expression of text": (
        PANEL + 'tenure_m = { sql = "plan" }',
        "panel.csv: column 'plan' for tenure_m holds text ('a', 'b')",
    ),
    "expression that fails on a row": (
        PANEL + 'usage_data_gb = { sql = "cast(plan as double)" }',
        "panel.csv: a column of the mapping cannot be computed: Conversion Error",
    ),
    "period of days": (
        PANEL.replace('"month"', "{ sql = \"month || '-01'\" }"),
        "panel.csv: period '2026-09-01' is no month; write it as 2026-10",
    ),
    "no period": (
        PANEL.replace('period = "month"', ""),
        "own.toml [tables.panel]: map a column to 'period' or state one, as period = '2026-10'",
    ),
    "level without column": (
        'levels = ["site"]\n' + PANEL,
        "own.toml: levels has 'site', but no column is mapped to 'site_id'",
    ),
}


@pytest.mark.parametrize("text, line", TABLES.values(), ids=list(TABLES))
def test_tables_must_fit(tmp_path: Path, text: str, line: str):
    """A table that does not fit its mapping is told with file, column, examples and the nearest name."""
    assert refused(tmp_path, text).startswith(line)


@pytest.mark.parametrize(
    "content, error, line",
    [
        ("", UsageError, "panel.csv: the file is empty"),
        ("id,month\n", NoData, "panel.csv: holds no rows"),
        (b"id,month\n\xe9,2026-10\n", UsageError, "panel.csv: cannot be read: "),
        ("id,month\n1,\n", UsageError, "the study holds no period at all; check the column that is mapped to 'period'"),
    ],
    ids=["empty", "header only", "latin-1", "no month"],
)
def test_files_without_rows(tmp_path: Path, content: str | bytes, error: type[CxError], line: str):
    """An empty file, a lone header and a file in another encoding are each told as such."""
    assert refused(tmp_path, PANEL, error, panel=content).startswith(line)


JOINED = PANEL.replace('file = "panel.csv"', 'file = "panel.csv"\njoin = { file = "more.csv", on = "id" }')


@pytest.mark.parametrize(
    "more, line",
    [
        ("key,x\n1,5\n", "more.csv: no column 'id' to join on"),
        ("id,x\n1,5\n1,6\n2,7\n", "more.csv: 1 rows repeat or lack a value of 'id'; a join must be one to one"),
        ("id,x\n1,5\n", "more.csv: 1 rows of panel.csv have no row of the same 'id' here; a join must be one to one"),
    ],
    ids=["no key", "repeated", "incomplete"],
)
def test_a_join_is_one_to_one(tmp_path: Path, more: str, line: str):
    """A joined file that lacks the key, repeats it or lacks rows is refused: no row is multiplied or lost."""
    panel = "id,month\n1,2026-10\n2,2026-10\n"
    assert refused(tmp_path, JOINED, panel=panel, more=more).startswith(line)


def test_what_can_be_asked_of_a_study(tmp_path: Path):
    """Period, segment and window are checked against what there is; an absent month is no data, exit code 4."""
    text = PANEL + 'value_segment = "plan"'
    assert refused(tmp_path, text, period="2026-13").endswith("one of: latest, last-month, last-quarter")
    assert refused(tmp_path, text, period="last-month").endswith("name the period itself, as 2026-10")
    assert (
        refused(tmp_path, text, NoData, period="2027-01")
        == "own.toml holds no rows of period 2027-01; it holds 2026-09 to 2026-10"
    )
    assert refused(tmp_path, text, segment="c") == "no value_segment 'c'; it is one of all, a, b"
    assert refused(tmp_path, PANEL, segment="a") == "own has no segment column; use segment = 'all'"
    for window in (0, 121, -1):
        assert refused(tmp_path, text, window=window) == f"window is {window}; it must lie in [1, 120]"
    assert (UsageError.exit_code, GateClosed.exit_code, NoData.exit_code) == (2, 3, 4)


def test_the_gate_closes_on_repeated_answers(tmp_path: Path):
    """Two answers of one customer in one month close the gate, before any notebook runs; two invitations do not."""
    answers = "id,month,nps\n1,2026-10,3\n1,2026-10,4\n2,2026-10,5\n"
    line = refused(tmp_path, PANEL + SURVEYS, GateClosed, surveys=answers)
    assert line.startswith("surveys.csv: a customer has more than one answered relationship survey in one period")
    assert "(1 times, such as '1' in 2026-10); keep one of them" in line
    with pytest.raises(GateClosed):
        preflight(str(tmp_path / "own.toml"))
    silent = "id,month,nps,at\n1,2026-10,3,2026-10-03\n1,2026-10,,\n2,2026-10,5,2026-10-04\n"
    assert open_own(tmp_path, PANEL + SURVEYS + 'answered_at = "at"', panel=ROWS, surveys=silent).period == "2026-10"


def test_the_gate_closes_on_repeated_rows(tmp_path: Path):
    """A panel with two rows of a customer in the report month would count answers twice."""
    line = refused(tmp_path, PANEL, GateClosed, panel=ROWS + "2,2026-10,No,3,b,y\n")
    assert line.startswith(
        "panel.csv: a customer has more than one row in one period (1 times, such as '2' in 2026-10)"
    )


def test_the_gate_closes_where_no_answer_meets_the_panel(tmp_path: Path):
    """Ids that are written in two ways join nothing: that is told, with one of each."""
    line = refused(tmp_path, PANEL + SURVEYS, GateClosed, surveys="id,month,nps\nc-1,2026-10,3\n")
    assert (
        line
        == "surveys.csv: no answer has a row of the same customer and period in panel.csv; ids are 'c-1' here and '1' there"
    )


def test_two_tables_need_ids(tmp_path: Path):
    """Answers without a customer are not joined to the panel by their position."""
    line = refused(tmp_path, PANEL + SURVEYS.replace('customer_id = "id"', ""), surveys="id,month,nps\n1,2026-10,3\n")
    assert line == "own.toml [tables.surveys]: map a column to 'customer_id', so that answers meet their panel rows"


def test_an_unknown_kind_of_survey_is_not_left_out_silently(tmp_path: Path):
    """Only relationship surveys are read, so a kind that is spelt otherwise is refused."""
    line = refused(tmp_path, PANEL + SURVEYS + 'kind = "kind"', surveys="id,month,nps,kind\n1,2026-10,3,Relationship\n")
    assert line == "surveys.csv: kind of survey 'Relationship' is none; it is one of relationship, transaction"


def test_names_in_any_script(tmp_path: Path):
    """Long names in any script are columns, levels and file names like others."""
    name = "满意度" * 60 + " “é” \U0001f4f6"
    file = "данные 満足.csv"
    write_csv(tmp_path / file, f'id,month,"{name}"\n1,2026-10,3\n2,2026-10,4\n')
    text = PANEL.replace("panel.csv", file) + f'tenure_m = "{name}"'
    assert open_own(tmp_path, text).frame(["tenure_m"])["tenure_m"].tolist() == [3, 4]
    line = refused(tmp_path, text.replace(name, name[:-2]))
    assert line.startswith(f"{file}: no column {name[:-2]!r} for tenure_m")


def test_unknown_terms_name_the_nearest(tmp_path: Path):
    """A word that is no term is told with the nearest one, and a term that the study lacks with what it has."""
    study = open_own(tmp_path, PANEL + 'tenure_m = "drops"', panel=ROWS)
    with pytest.raises(UsageError, match=r"^no term 'satisfation'; did you mean 'satisfaction'\?$"):
        study.missing("satisfation")
    with pytest.raises(UsageError, match=r"^own has no surveys.satisfaction; it has period, tenure_m$"):
        study.frame(["satisfaction"])


def test_a_name_too_long_for_any_file_is_no_study_file(tmp_path: Path):
    """A name that the system refuses is told as any other file that is not there."""
    with pytest.raises(UsageError, match=r"^no study file 'x"):
        mapping.load(tmp_path / ("x" * 5000))
