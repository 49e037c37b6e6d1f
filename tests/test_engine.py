"""From own files to terms: every kind of file gives the same frame, ids stay text, codes become null."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from own_tables import PANEL, open_own, study_file, write_as, write_csv

from cxresearch.data.opening import open_study
from cxresearch.errors import UsageError

KINDS = (".csv", ".csv.zip", ".parquet", ".xlsx", ".duckdb")
FRAME = pd.DataFrame(
    {
        "id": ["007", "7", "NA", "98"],
        "month": ["2026-10"] * 4,
        "region": ["NO", "None", "unknown", "NULL"],
        "left": ["Yes", "No", "No", None],
        "calls": [10.0, 98.0, None, 2.5],
        "drops": [1, 2, 98, 0],
    }
)
COLUMNS = """
missing = [98, "unknown"]
[tables.panel.columns]
customer_id = "id"
period = "month"
region = "region"
churned = { column = "left", positive = "Yes" }
usage_calls = "calls"
call_failures = "drops"
"""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_frame(tmp_path: Path, kind: str):
    """Ids stay text (007 is not 7, NA and 98 are ids), NO and None stay labels, codes and blanks become null."""
    write_as(kind, tmp_path / f"panel{kind}", FRAME)
    inside = 'table = "customers"\n' if kind == ".duckdb" else ""
    text = f'name = "own"\n[tables.panel]\nfile = "panel{kind}"\n{inside}{COLUMNS}'
    study = open_own(tmp_path, text)
    frame = study.frame(["region", "churned", "usage_calls", "call_failures"], only=["2026-10"]).set_index(
        "customer_id"
    )
    assert set(frame.index) == {"007", "7", "NA", "98"}
    assert frame["region"].dropna().to_dict() == {"007": "NO", "7": "None", "98": "NULL"}
    assert frame["usage_calls"].dropna().to_dict() == {"007": 10, "98": 2.5}
    assert frame["call_failures"].dropna().to_dict() == {"007": 1, "7": 2, "98": 0}
    assert study.caveats() == ()


@pytest.mark.parametrize("kind", KINDS)
def test_flags_are_one_zero_or_unknown(tmp_path: Path, kind: str):
    """Of a stated month leavers are known: 1 for the level that means yes, 0 for others, null where blank."""
    write_as(kind, tmp_path / f"panel{kind}", FRAME.drop(columns="month"))
    inside = 'table = "customers"\n' if kind == ".duckdb" else ""
    columns = COLUMNS.replace('period = "month"\n', "")
    text = f'name = "own"\n[tables.panel]\nfile = "panel{kind}"\nperiod = "2026-10"\n{inside}{columns}'
    churned = open_own(tmp_path, text).frame(["churned"]).set_index("customer_id")["churned"]
    assert churned.dropna().to_dict() == {"007": 1, "7": 0, "NA": 0}


@pytest.mark.parametrize(
    "own, positive",
    [
        ([1, 0, None], "1"),
        ([1, 0, None], '"1"'),
        (["1", "0", None], "1"),
        (["1", "0", None], '"1"'),
        ([True, False, None], "true"),
        ([True, False, None], "1"),
        (["Yes", "No", None], '"Yes"'),
        (["no", "NO", None], '"no"'),
    ],
)
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_yes_may_be_a_number_a_text_or_true(tmp_path: Path, own: list[object], positive: str, kind: str):
    """`positive` may be written as number or text, whatever the file holds."""
    frame = pd.DataFrame({"id": ["a", "b", "c"], "left": own})
    if isinstance(own[0], (bool, int)):
        frame["left"] = frame["left"].astype("boolean" if isinstance(own[0], bool) else "Int64")
    write_as(kind, tmp_path / f"panel{kind}", frame)
    text = f"""
name = "own"
[tables.panel]
file = "panel{kind}"
period = "2026-10"
[tables.panel.columns]
customer_id = "id"
churned = {{ column = "left", positive = {positive} }}
"""
    assert open_own(tmp_path, text).frame(["churned"])["churned"].tolist()[:2] == [1, 0]
    assert open_own(tmp_path, text).frame(["churned"])["churned"].isna().tolist() == [False, False, True]


def test_two_tables_may_lie_in_one_database(tmp_path: Path):
    """Panel and surveys inside one DuckDB file, and a wrong name told with the nearest."""
    write_as(
        ".duckdb", tmp_path / "own.duckdb", pd.DataFrame({"customer_id": ["1"], "tenure_m": [3], "recommend": [9]})
    )
    table = 'file = "own.duckdb"\ntable = "customers"\nperiod = "2026-10"\n'
    text = f'name = "own"\n[tables.panel]\n{table}[tables.surveys]\n{table}'
    assert open_own(tmp_path, text).frame(["recommend", "tenure_m"]).to_numpy().tolist() == [["1", "2026-10", 9, 3]]
    with pytest.raises(UsageError, match=r"^own.duckdb: no table 'customer'; did you mean 'customers'\?$"):
        open_own(tmp_path, text.replace('"customers"', '"customer"'))


def test_nan_null_and_infinity_are_one(tmp_path: Path):
    """What is no number is missing, however the file says so."""
    pd.DataFrame({"id": ["a", "b", "c", "d"], "x": [math.nan, math.inf, -math.inf, 2.0]}).to_parquet(
        tmp_path / "panel.parquet"
    )
    text = 'name = "own"\n[tables.panel]\nfile = "panel.parquet"\nperiod = "2026-10"\ncolumns = { customer_id = "id", revenue = "x" }'
    frame = open_own(tmp_path, text).frame(["revenue"])
    assert frame["revenue"].isna().tolist() == [True, True, True, False]
    text = text.replace("panel.parquet", "panel.csv")
    study = open_own(tmp_path, text, panel="id,x\na,NaN\nb,inf\nc,\nd,2\n")
    assert study.frame(["revenue"])["revenue"].isna().tolist() == [True, True, True, False]


def test_a_mark_at_the_beginning_of_a_file_is_no_column(tmp_path: Path):
    """A csv as Excel saves it, with a byte order mark, and semicolons, is read like any other."""
    content = "\ufeffid;month;x\n007;2026-10;1.5\n8;2026-10;2.25\n"
    frame = open_own(tmp_path, PANEL + 'tenure_m = "x"', panel=content).frame(["tenure_m"])
    assert frame.to_numpy().tolist() == [["007", "2026-10", 1.5], ["8", "2026-10", 2.25]]


def test_a_declared_code_may_be_absent(tmp_path: Path):
    """A code that this month's numbers do not hold is no error, though it is a word."""
    text = PANEL + 'tenure_m = { column = "x", missing = ["Unknown", 98] }'
    frame = open_own(tmp_path, text, panel="id,month,x\n1,2026-10,98\n2,2026-10,3\n").frame(["tenure_m"])
    assert frame["tenure_m"].fillna(-1).tolist() == [-1, 3]
    frame = open_own(tmp_path, text, panel="id,month,x\n1,2026-10,Unknown\n2,2026-10,3\n").frame(["tenure_m"])
    assert frame["tenure_m"].fillna(-1).tolist() == [-1, 3]


SURVEYS = """
name = "own"
[tables.surveys]
file = "surveys.csv"
period = "2026-10"
[tables.surveys.columns]
customer_id = "id"
"""


def test_scale_carries_to_the_range_of_the_term(tmp_path: Path):
    """Ends of the own scale become those of the term: 0 and 100 of a score, 1 and 7 of the ease score."""
    text = SURVEYS + 'satisfaction = { column = "s", scale = [1, 5] }\nces = { column = "e", scale = [1, 5] }'
    frame = open_own(tmp_path, text, surveys="id,s,e\n1,1,1\n2,4,3\n3,5,5\n").frame(["satisfaction", "ces"])
    assert frame["satisfaction"].tolist() == [0, 75, 100]
    assert frame["ces"].tolist() == [1, 4, 7]


def test_a_mean_needs_all_its_answers(tmp_path: Path):
    """A score is the mean of its answers on its own scale, and null where one of them is missing or a code."""
    text = SURVEYS + 'satisfaction = { mean_of = ["a", "b"], scale = [1, 10], missing = [98] }'
    study = open_own(tmp_path, text, surveys="id,a,b\n1,1,10\n2,10,10\n3,,4\n4,98,4\n")
    assert study.frame(["satisfaction"])["satisfaction"].fillna(-1).tolist() == [50, 100, -1, -1]
    assert study.items("satisfaction") == ("satisfaction_1", "satisfaction_2")


def test_single_answers_make_their_score(tmp_path: Path):
    """Where the answers behind a score are mapped, the score is made of them, also from another scale."""
    columns = "".join(f'sat{i} = {{ column = "s{i}", scale = [1, 5] }}\n' for i in (1, 2, 3))
    study = open_own(tmp_path, SURVEYS + columns, surveys="id,s1,s2,s3\n1,1,1,1\n2,5,3,1\n3,5,5,\n")
    assert study.frame(["satisfaction"])["satisfaction"].fillna(-1).tolist() == [0, 50, -1]
    assert study.items("satisfaction") == ("sat1", "sat2", "sat3")


def test_an_expression_is_computed_by_row(tmp_path: Path):
    """An SQL expression over own columns, null where one of them is."""
    text = PANEL + 'usage_calls = { sql = "peak + off" }'
    frame = open_own(tmp_path, text, panel="id,month,peak,off\n1,2026-10,3,4\n2,2026-10,3,\n").frame(["usage_calls"])
    assert frame["usage_calls"].fillna(-1).tolist() == [7, -1]


def test_a_second_file_is_joined_by_its_key_as_text(tmp_path: Path):
    """A join matches 007 with 007 alone, in any order, and adds columns without adding rows."""
    text = PANEL.replace('"panel.csv"', '"panel.csv"\njoin = { file = "more.csv", on = "id" }') + 'tenure_m = "x"'
    tables = {"panel": "id,month\n007,2026-10\n7,2026-10\n", "more": "id,x\n7,70\n007,1\n"}
    frame = open_own(tmp_path, text, **tables).frame(["tenure_m"])
    assert frame.to_numpy().tolist() == [["007", "2026-10", 1], ["7", "2026-10", 70]]


def test_values_outside_the_scale_are_missing_and_told(tmp_path: Path):
    """99 on a scale from 0 to 10 is no answer: it is counted, left out and told with what to declare."""
    text = SURVEYS + 'recommend = "nps"\nces = "ease"'
    answers = "id,nps,ease\n" + "".join(f"{i},{i % 11},{1 + i % 7}\n" for i in range(20)) + "a,99,8\nb,99,4\nc,98,4\n"
    study = open_own(tmp_path, text, surveys=answers)
    known = study.frame(["recommend", "ces"]).set_index("customer_id")
    assert known.loc[["a", "b", "c"], "recommend"].isna().all()
    assert known["recommend"].notna().sum() == 20
    assert known["ces"].notna().sum() == 22
    (caveat,) = study.caveats()
    assert caveat.code == "codes"
    assert caveat.text == (
        "surveys.csv: 3 of 23 values of 'nps' lie outside 0 to 10 (99, 98); 1 of 23 values of 'ease' lie outside 1 to 7 (8). "
        "They are taken as missing; if they are codes for no answer, declare them in the mapping, as missing = [8, 98, 99]."
    )
    declared = open_own(tmp_path, text.replace('"nps"', '{ column = "nps", missing = [98, 99] }'), surveys=answers)
    assert "'nps'" not in declared.caveats()[0].text


def test_answers_behind_a_score_keep_to_their_own_scale(tmp_path: Path):
    """A code among the answers that a score is the mean of does not shift the score."""
    text = SURVEYS + 'satisfaction = { mean_of = ["a", "b"], scale = [1, 5] }'
    study = open_own(tmp_path, text, surveys="id,a,b\n1,1,5\n2,9,5\n3,5,5\n")
    assert study.frame(["satisfaction"])["satisfaction"].fillna(-1).tolist() == [50, -1, 100]
    assert study.caveats()[0].text.startswith("surveys.csv: 1 of 3 values of 'a' lie outside 1 to 5 (9).")


def test_a_column_on_another_scale_is_refused(tmp_path: Path):
    """Percent where a share is meant is a wrong mapping, not a column of missing values."""
    panel = "id,month,up\n1,2026-10,99.5\n2,2026-10,97\n3,2026-10,1\n"
    line = (
        "panel.csv: 2 of 3 values of 'up' lie outside 0 to 1 (97, 99.5), so it is not availability; give its own scale"
    )
    with pytest.raises(UsageError) as caught:
        open_own(tmp_path, PANEL + 'availability = "up"', panel=panel)
    assert str(caught.value).startswith(line)
    study = open_own(tmp_path, PANEL + 'availability = { column = "up", scale = [0, 100] }', panel=panel)
    assert study.frame(["availability"])["availability"].tolist() == pytest.approx([0.995, 0.97, 0.01])


def test_a_computed_share_may_pass_one_by_its_last_digit(tmp_path: Path):
    """Rounding of a machine is no code."""
    panel = "id,month,up\n1,2026-10,1.0000000000000002\n2,2026-10,0.5\n"
    study = open_own(tmp_path, PANEL + 'availability = "up"', panel=panel)
    assert study.caveats() == ()
    assert study.frame(["availability"])["availability"].notna().all()


def test_the_excel_sheet_is_named_or_the_first(tmp_path: Path):
    """A sheet by name; an absent one is told in one line with the file."""
    write_as(
        ".xlsx",
        tmp_path / "panel.xlsx",
        pd.DataFrame({"customer_id": [7, 8], "month": ["2026-10"] * 2, "tenure_m": [3, 4]}),
    )
    text = 'name = "own"\n[tables.panel]\nfile = "panel.xlsx"\nsheet = "{}"\ncolumns = {{ customer_id = "customer_id", period = "month", tenure_m = "tenure_m" }}'
    study = open_own(tmp_path, text.format("Sheet1"))
    assert study.frame(["tenure_m"]).to_numpy().tolist() == [["7", "2026-10", 3], ["8", "2026-10", 4]]
    with pytest.raises(UsageError, match=r"^panel.xlsx: cannot be read: Worksheet named 'Sheet2' not found"):
        open_own(tmp_path, text.format("Sheet2"))


def test_text_among_numbers_of_a_sheet_is_told(tmp_path: Path):
    """A sheet may mix words into a column of numbers: the word is told, or declared as missing."""
    write_as(
        ".xlsx", tmp_path / "panel.xlsx", pd.DataFrame({"id": ["1", "2"], "month": ["2026-10"] * 2, "x": [3, "n/a"]})
    )
    text = PANEL.replace("panel.csv", "panel.xlsx") + 'tenure_m = "x"'
    with pytest.raises(UsageError, match=r"^panel.xlsx: column 'x' for tenure_m holds text \('n/a'\)"):
        open_own(tmp_path, text)
    study = open_own(tmp_path, text.replace('"x"', '{ column = "x", missing = ["n/a"] }'))
    assert study.frame(["tenure_m"])["tenure_m"].fillna(-1).tolist() == [3, -1]


def test_a_zip_holds_one_table(tmp_path: Path):
    """A zip of two csv files does not say which one is meant."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "panel.csv.zip", "w") as archive:
        archive.writestr("a.csv", "id,month\n1,2026-10\n")
        archive.writestr("b.csv", "id,month\n1,2026-10\n")
    with pytest.raises(UsageError, match=r"^panel.csv.zip: holds 2 csv files; it must hold exactly one$"):
        open_own(tmp_path, PANEL.replace("panel.csv", "panel.csv.zip"))


def test_the_files_of_a_study_are_only_read(tmp_path: Path):
    """Opening a study writes nothing beside its files."""
    path = study_file(tmp_path, PANEL)
    write_csv(tmp_path / "panel.csv", "id,month\n1,2026-10\n")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    open_study(path).frame([])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
