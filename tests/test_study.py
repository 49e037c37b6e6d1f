"""What a question may see of a study: periods, window, lags, leaving, answers, segments, roles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ibis
import pandas as pd
import pytest
from own_tables import open_own
from small_study import study_of

from cxresearch.data import periods
from cxresearch.data.columns import Source
from cxresearch.data.memory import fetched
from cxresearch.data.opening import open_study, preflight
from cxresearch.data.simulation.write import FILES
from cxresearch.data.study import Study
from cxresearch.data.terms import KEYS
from cxresearch.errors import NoData, UsageError
from cxresearch.evidence.sums import narrowed

MONTHS = ("2026-07", "2026-08", "2026-09", "2026-10")


def panel(months: tuple[str, ...] = MONTHS, customers: int = 3) -> pd.DataFrame:
    """Customers over months; a column tells customer and month of a value apart, and the last one leaves."""
    rows = [
        (f"c{i}", month, 10 * i + int(month[-2:]), i % 2, float(i == customers - 1 and month == "2026-09"))
        for month in months
        for i in range(customers)
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "period", "tenure_m", "prepaid", "churned"])
    return frame.assign(value_segment=["high" if i else "low" for i in frame["prepaid"]])


def surveys() -> pd.DataFrame:
    """One invitation a month; customer 0 never answers."""
    frame = panel()[["customer_id", "period"]]
    silent = frame["customer_id"] == "c0"
    return frame.assign(recommend=frame.index % 11, answered_at=frame["period"].mask(silent), kind="relationship")


def test_whether_customers_left_is_unknown_in_the_report_month(tmp_path: Path):
    """Leaving is told by the next month: it is unknown on rows of the report month, known on those before."""
    left = study_of(tmp_path, panel=panel()).frame(["churned"]).set_index(["period", "customer_id"])["churned"]
    assert left["2026-10"].isna().all()
    assert left["2026-09"].tolist() == [0, 0, 1]
    assert left[["2026-07", "2026-08"]].tolist() == [0] * 6


def test_a_report_of_an_earlier_month_knows_no_later_one(tmp_path: Path):
    """As of September nothing of October is seen, and who leaves in September is not known yet."""
    study_of(tmp_path, panel=panel())
    study = open_study(str(tmp_path / "small.toml"), period="2026-09")
    left = study.frame(["churned", "tenure_m"])
    assert left["period"].max() == "2026-09"
    assert left.loc[left["period"] == "2026-09", "churned"].isna().all()
    assert left.loc[left["period"] == "2026-08", "churned"].notna().all()


def test_leavers_of_a_stated_month_are_known(tmp_path: Path):
    """A table of one stated month says of its own rows who left."""
    study = study_of(tmp_path, panel=panel(("2026-09",)).drop(columns="period"))
    assert study.frame(["churned"])["churned"].tolist() == [0, 0, 1]


def test_the_window_ends_with_the_report_month(tmp_path: Path):
    """A window of two is the report month and the one before; a month without rows leaves a gap, not an error."""
    study = study_of(tmp_path, panel=panel(), window=2)
    assert study.periods == ("2026-09", "2026-10")
    assert set(study.frame(["tenure_m"])["period"]) == {"2026-09", "2026-10"}
    assert set(study.frame(["tenure_m"], only=["2026-07"])["period"]) == {"2026-07"}
    longer = open_study(str(tmp_path / "small.toml"), window=120)
    assert len(longer.periods) == 120
    assert set(longer.frame(["tenure_m"])["period"]) == set(MONTHS)


def test_months_are_counted_across_years():
    """Periods are months: a step back from January is December."""
    assert periods.span("2026-02", 4) == ("2025-11", "2025-12", "2026-01", "2026-02")
    assert periods.shift("2025-12", 1) == "2026-01"
    assert periods.resolve("last-month", {}, "2026-01-31") == "2025-12"
    assert periods.resolve("latest", {"panel": {"2025-12": 1, "2026-01": 1}}) == "2026-01"
    for wrong in ("2026-1", "2026-00", "26-01", "2026-10\n", "２０２６-10", "lastest", ""):
        with pytest.raises(UsageError, match="is no month"):
            periods.resolve(wrong, {"panel": {"2026-10": 1}})


def test_a_lagged_column_is_that_of_so_many_months_before(tmp_path: Path):
    """A lag reads the same customer's value of an earlier month, also from before the window."""
    study = study_of(tmp_path, panel=panel(), window=1)
    rows = study.rows(["tenure_m"], lag={"tenure_m": 2}).to_pyarrow().to_pandas()
    assert set(rows["period"]) == {"2026-10"}
    assert rows.set_index("customer_id")["tenure_m"].to_dict() == {"c0": 8, "c1": 18, "c2": 28}


def test_a_lag_joins_an_answer_to_earlier_service(tmp_path: Path):
    """An answer of October meets the panel row of September, where the lagged column is from."""
    study = study_of(tmp_path, panel=panel(), surveys=surveys(), window=1)
    rows = study.rows(["recommend", "tenure_m"], lag={"tenure_m": 1}).to_pyarrow().to_pandas().set_index("customer_id")
    now = study.rows(["recommend", "tenure_m"]).to_pyarrow().to_pandas().set_index("customer_id")
    assert rows["tenure_m"].to_dict() == {"c1": 19, "c2": 29}
    assert now["tenure_m"].to_dict() == {"c1": 20, "c2": 30}
    assert rows["recommend"].to_dict() == now["recommend"].to_dict()


def test_answers_never_multiply_rows(tmp_path: Path):
    """An answer joins its own row of the panel; transaction surveys and invitations without answer add none."""
    more = surveys().query("customer_id == 'c1'").assign(kind="transaction", recommend=0)
    study = study_of(tmp_path, panel=panel(), surveys=pd.concat([surveys(), more]))
    answered = study.frame(["recommend", "tenure_m"])
    assert len(answered) == len(answered[["customer_id", "period"]].drop_duplicates()) == 2 * len(MONTHS)
    assert answered.set_index("customer_id").loc["c1", "recommend"].tolist() == [1, 4, 7, 10]
    assert len(study.frame(["tenure_m"])) == 3 * len(MONTHS)


def test_the_silent_are_counted_among_those_invited(tmp_path: Path):
    """Everybody invited, answered or not, with columns of the panel; unknown where invitations are not recorded."""
    study = study_of(tmp_path, panel=panel(), surveys=surveys())
    invited = study.answering(["tenure_m"]).to_pyarrow().to_pandas()  # type: ignore[union-attr]
    assert invited.groupby("customer_id")["answered"].mean().to_dict() == {"c0": 0, "c1": 1, "c2": 1}
    assert study.knows_silent
    without = study_of(tmp_path, panel=panel(), surveys=surveys().drop(columns="answered_at"))
    assert without.answering() is None
    assert not without.knows_silent


def test_a_segment_holds_for_rows_and_answers(tmp_path: Path):
    """One segment is seen everywhere: on the panel and in answers."""
    study = study_of(tmp_path, panel=panel(), surveys=surveys(), segment="high")
    assert set(study.frame(["tenure_m"])["customer_id"]) == {"c1"}
    assert set(study.frame(["recommend"])["customer_id"]) == {"c1"}
    assert set(study.answering().to_pyarrow()["customer_id"].to_pylist()) == {"c1"}  # type: ignore[union-attr]


@pytest.mark.parametrize("code", ["", "never"])
def test_an_empty_or_coded_time_is_no_answer(tmp_path: Path, code: str):
    """Who has an empty text or a code for the time of the answer was invited and did not answer."""
    asked = surveys().assign(answered_at=lambda frame: frame["answered_at"].fillna(code))
    names = {name: f'"{name}"' for name in asked}
    names["answered_at"] = '{column = "answered_at", missing = ["never"]}' if code else '"answered_at"'
    study = study_of(tmp_path, surveys=asked, columns=names)
    assert set(study.frame(["recommend"])["customer_id"]) == {"c1", "c2"}


@pytest.mark.parametrize("segment", ["all", "high"])
def test_columns_asked_for_one_by_one_stand_in_the_same_rows(tmp_path: Path, segment: str):
    """Whatever was asked before: each column of the panel and of the answers lies beside the customer whose it is."""
    customers = 60_000  # in several pieces of a file, which are read at once
    people = panel(MONTHS[:3], customers).drop(columns="tenure_m").sample(frac=1, random_state=1)
    people["revenue"] = people["customer_id"].str[1:].astype(float) + people["period"].str[-2:].astype(float) / 100
    answers = people[["customer_id", "period"]].sample(40_000, random_state=2).assign(kind="relationship")
    answers["recommend"] = answers["customer_id"].str[1:].astype(float) % 11
    study = study_of(tmp_path, panel=people, surveys=answers, segment=segment)
    for asked in (["revenue"], ["recommend"]):
        rows = fetched(study.rows(asked))
        assert rows is not None
        found = {name: rows[name].to_pandas() for name in (*asked, "revenue", "prepaid", "period", "customer_id")}
        number = found["customer_id"].str[1:].astype(float)
        assert (found["revenue"] == number + found["period"].str[-2:].astype(float) / 100).all()
        assert (found["prepaid"] == number % 2).all()
        assert "recommend" not in found or (found["recommend"] == number % 11).all()
        assert rows.num_rows == len(number) > 15_000


@pytest.mark.parametrize("asked", [["prepaid"], ["recommend"]])
def test_texts_of_rows_that_are_taken_are_those_of_the_rows(tmp_path: Path, asked: list[str]):
    """The labels of some months, or of answers beside their panel rows, are those that stand in them, each at its row."""
    study = study_of(tmp_path, panel=panel(), surveys=surveys())
    for only in (None, study.periods[-2:]):
        rows = fetched(study.rows(asked, only=only))
        assert rows is not None
        for name in ("customer_id", "period", "value_segment"):
            labels, numbers = rows.text(name)
            told = rows[name].to_pylist()
            assert [labels[i] if i >= 0 else None for i in numbers] == told
            assert labels == sorted({label for label in told if label is not None})
            assert rows.num_rows == len(told) > 0


def test_the_items_of_a_score_come_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever asks for a score asks for its items next: the file is read once for both."""
    answers = surveys().assign(trust1=[3.0, 4.0, 5.0, 6.0] * (len(surveys()) // 4), trust2=4.0, trust3=5.0)
    study = study_of(tmp_path, panel=panel(), surveys=answers)
    read, answered = [], Source.answered
    monkeypatch.setattr(Source, "answered", lambda *given, **only: read.append(given[1]) or answered(*given, **only))
    study.frame(["trust"])
    assert study.frame(["trust1", "trust3"]).shape[1] == 4
    assert len(read) == 1
    assert {"trust1", "trust2", "trust3"} <= set(read[0])


def test_who_compares_scores_gets_none_of_their_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Several scores that are asked for at once are read alone; the items of one stand ready where it is asked for later."""
    scores = {"rater_emp": 5, "rater_res": 4, "rater_ass": 4}
    items = {f"{name}_{i + 1}": 3.0 for name, count in scores.items() for i in range(count)}
    study = study_of(tmp_path, panel=panel(), surveys=surveys().assign(**items))
    read, answered = [], Source.answered
    monkeypatch.setattr(Source, "answered", lambda *given, **only: read.append(given[1]) or answered(*given, **only))
    study.frame(["empathy", "responsiveness", "assurance"])
    assert len(read) == 1
    assert not set(items) & set(read[0])
    assert study.frame(["rater_emp_1"])["rater_emp_1"].notna().any()


def test_what_most_questions_ask_comes_with_the_first_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who left, the segment and what is held fixed are read together; other months than those of the window have what is asked."""
    study, read, selected = study_of(tmp_path, panel=panel().assign(handset_age_m=9)), [], Source.select
    monkeypatch.setattr(Source, "select", lambda *given, **only: read.append(given[1]) or selected(*given, **only))
    study.frame(["handset_age_m"])
    assert study.frame(["churned", "tenure_m", "value_segment", "prepaid"]).notna().any().all()
    assert len(read) == 1
    earlier = fetched(study.rows(["prepaid"], only=periods.span(study.period, study.window + 1)))
    assert earlier is not None
    earlier.prepare(["prepaid"])
    assert "tenure_m" not in read[-1]


def test_an_expression_of_few_columns_fetches_few(tmp_path: Path):
    """What is counted by an expression costs its own columns, not all that the rows could have."""
    study = study_of(tmp_path, panel=panel().assign(handset_age_m=9), surveys=surveys())
    asked = narrowed(study, study.rows(["recommend", "prepaid"]), ["recommend", "prepaid"])
    said = asked.filter(asked.recommend.notnull())
    got = said.group_by("prepaid").aggregate(n=said.count()).to_pyarrow()
    assert sum(got["n"].to_pylist()) == study.frame(["recommend"])["recommend"].notna().sum() > 0
    assert "handset_age_m" in study.rows(["prepaid"]).columns
    assert "handset_age_m" not in repr(fetched(study.rows(["prepaid"])))


@pytest.mark.parametrize("segment", ["all", "high"])
def test_single_events_stand_beside_their_panel_rows(small_operator: Path, segment: str):
    """Contacts of the window, each with what the panel says of its customer and month, as pandas joins them; no other column is read."""
    study = open_study(str(small_operator), segment=segment)
    tables = {name: pd.read_parquet(small_operator.with_name(f"{name}.parquet")) for name in ("interactions", "panel")}
    own = ["interaction_id", "resolved_first_contact"]
    people = tables["panel"][[*KEYS, "tenure_m", "value_segment"]]
    joined = tables["interactions"][[*KEYS, *own]].merge(people, on=[*KEYS])
    joined = joined[joined.period.astype(str).isin(study.periods)]
    if segment != "all":
        joined = joined[joined.value_segment == segment]
    rows = fetched(study.rows(own[1:]))
    assert rows is not None
    found = rows.select([*KEYS, *own, "tenure_m"]).to_pandas().set_index("interaction_id").sort_index()
    expected = joined.set_index("interaction_id").sort_index()[found.columns].astype(found.dtypes)
    pd.testing.assert_frame_equal(found, expected)
    assert len(found) > 500
    assert "wait" not in repr(rows)


def test_months_before_the_window_are_read_by_column(small_operator: Path):
    """For a lag few columns are asked for, of more months than the window has: they are those of the file."""
    study = open_study(str(small_operator), window=6)
    months = periods.span(study.period, 8)
    rows = fetched(study.rows(["wait_s"], only=months))
    assert rows is not None
    found = rows.select([*KEYS, "wait_s"]).to_pandas().set_index([*KEYS]).sort_index()["wait_s"]
    table = pd.read_parquet(small_operator.with_name("panel.parquet"))
    expected = (
        table[table.period.astype(str).isin(months)].astype({"period": str}).set_index([*KEYS]).sort_index()["wait_s"]
    )
    pd.testing.assert_series_equal(found, expected.astype(float))
    assert "tenure_m" not in repr(rows)


@pytest.mark.parametrize("more", [{}, {"file_row_number": 1}], ids=["numbered", "a column named like the number"])
def test_columns_of_rows_in_another_order_are_refused(
    more: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Were rows to come in another order than before, or fewer of them, their columns would not be laid beside the others."""
    study = study_of(tmp_path, panel=panel().assign(handset_age_m=range(len(panel())), **more))
    prepaid = study.frame(["prepaid"])["prepaid"].tolist()
    asked = Source.select
    for other in (lambda table: table.order_by(ibis.desc("handset_age_m")), lambda table: table.limit(3)):
        with monkeypatch.context() as patch:
            patch.setattr(Source, "select", lambda *given, other=other, **only: other(asked(*given, **only)))
            with pytest.raises(UsageError, match="changed while its study was open; open"):
                study.frame(["handset_age_m"])
    assert study.frame(["prepaid"])["prepaid"].tolist() == prepaid
    assert study.frame(["handset_age_m"])["handset_age_m"].notna().all()


def test_a_file_written_anew_never_mixes_its_rows(tmp_path: Path):
    """Columns of a file that was written anew with other values never come beside those that were there before."""
    study = study_of(tmp_path, panel=panel().assign(handset_age_m=range(len(panel()))))
    prepaid = study.frame(["prepaid"])["prepaid"].tolist()
    panel().assign(handset_age_m=range(len(panel()))).to_parquet(tmp_path / "panel.parquet", index=False)
    assert study.frame(["prepaid", "value_segment"])["value_segment"].notna().all()  # the same rows
    panel().assign(prepaid=0, handset_age_m=range(len(panel()))).to_parquet(tmp_path / "panel.parquet", index=False)
    assert study.frame(["prepaid"])["prepaid"].tolist() == prepaid
    for _ in range(2):
        with pytest.raises(UsageError, match=r"panel\.parquet changed while its study was open; open"):
            study.frame(["handset_age_m"])


@pytest.mark.parametrize(
    ("more", "pieces"),
    [
        ("", True),
        ('join = {file = "more.csv", on = "id"}', False),
        ('columns.revenue = {sql = "bill / 2"}', False),
    ],
)
def test_rows_in_no_fixed_order_are_fetched_whole(tmp_path: Path, more: str, pieces: bool):
    """A join or an expression may give its rows in another order each time, so its columns are fetched in one piece."""
    bills = "id,month,prepaid,bill\n1,2026-10,0,4\n2,2026-10,1,6\n"
    columns = '{customer_id = "id", period = "month", prepaid = "prepaid"}'
    text = f'name = "own"\n[tables.panel]\nfile = "panel.csv"\ncolumns = {columns}\n'
    if more.startswith("columns"):
        text = text.replace('"prepaid"}', '"prepaid", ' + more.removeprefix("columns.") + "}")
    elif more:
        text += more
    study = open_own(tmp_path, text, panel=bills, more="id,x\n1,5\n2,6\n")
    rows = fetched(study.rows(["prepaid"]))
    assert rows is not None
    rows.select(["prepaid"])
    assert repr(rows).startswith("Fetched(prepaid of") == pieces


def test_roles_are_tuples_of_terms_and_know_what_they_lack(tmp_path: Path):
    """A role is what the study has of it, in the order of the terms; an empty one names a column to map."""
    study = study_of(tmp_path, panel=panel(), surveys=surveys())
    assert study.relationship == ("tenure_m",)
    assert study.price == ("prepaid",)
    assert study.network == ()
    assert study.network.examples == ("panel.availability",)
    assert (study.network + study.operations).examples == ("panel.availability", "panel.wait_s")
    assert (study.network + study.relationship).roles == ("network", "relationship")
    assert study.controls == ("prepaid", "tenure_m")
    assert study.segment_term == "value_segment"
    assert study.missing("satisfaction", "tenure_m") == ("surveys.satisfaction",)
    assert not study.has("satisfaction", "tenure_m")


def test_a_frame_is_yours(tmp_path: Path):
    """A plain DataFrame with customer and period first, in a fixed order, one row per unit."""
    study = study_of(tmp_path, panel=panel(), surveys=surveys())
    frame = study.frame(["recommend", "tenure_m"])
    assert type(frame) is pd.DataFrame
    assert list(frame.columns) == ["customer_id", "period", "recommend", "tenure_m"]
    assert frame.equals(frame.sort_values(["customer_id", "period"]).reset_index(drop=True))
    frame["tenure_m"] = 0
    assert study.frame(["recommend", "tenure_m"])["tenure_m"].gt(0).all()


def test_the_cluster_is_the_coarsest_declared_level(tmp_path: Path):
    """Neighbours of a site share its network, so sites are the clusters where they are declared, else customers."""
    sites = panel().assign(site_id="s", region="r")
    assert study_of(tmp_path, panel=sites).cluster() == "customer_id"
    assert study_of(tmp_path, panel=sites, levels=("customer", "site")).cluster() == "site_id"
    assert study_of(tmp_path, panel=sites, levels=("region", "customer", "site")).cluster() == "region"


def test_the_lead_quality_is_of_the_network_else_of_the_survey(tmp_path: Path):
    """What is looked at first: the network, else perceived quality, else a dimension; absent, the one to map."""
    answers = surveys().assign(perceived_quality=50.0)
    assert study_of(tmp_path, panel=panel().assign(call_failures=1)).lead_quality == "call_failures"
    assert study_of(tmp_path, panel=panel(), surveys=answers).lead_quality == "perceived_quality"
    assert study_of(tmp_path, panel=panel()).lead_quality == "availability"


DEMO = """
name = "demo"
levels = ["customer", "site"]
folder = "there"
[simulate]
customers = 150
months = 3
[tables.panel]
file = "panel.parquet"
[tables.surveys]
file = "surveys.parquet"
"""


def demo(folder: Path) -> Study:
    """A study that simulates itself where its tables are absent."""
    return open_own(folder, DEMO)


def test_a_demo_makes_its_own_tables_once(tmp_path: Path):
    """Opened first thing, a study with [simulate] just works; opened again it reads what is there."""
    assert demo(tmp_path).periods[-1] == "2026-10"
    made = {file: file.stat().st_mtime_ns for file in (tmp_path / "there").iterdir()}
    assert demo(tmp_path).simulated
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "there").iterdir()} == made


def test_a_simulation_never_replaces_own_tables(tmp_path: Path):
    """A study file copied from the demo does not overwrite the table that an operator put there."""
    (tmp_path / "there").mkdir()
    own = tmp_path / "there" / "panel.parquet"
    panel().to_parquet(own)
    before = own.read_bytes()
    with pytest.raises(
        UsageError, match=r"panel\.parquet is there, surveys\.parquet is not, and a simulation would replace both"
    ):
        demo(tmp_path)
    assert own.read_bytes() == before


def test_a_simulation_that_was_lost_in_part_is_made_again(tmp_path: Path):
    """What a simulation wrote may be written again."""
    first = demo(tmp_path).frame(["satisfaction"])
    (tmp_path / "there" / "surveys.parquet").unlink()
    assert demo(tmp_path).frame(["satisfaction"]).equals(first)


def test_two_processes_may_simulate_at_once(tmp_path: Path):
    """Both get the same whole tables, and nothing is left aside."""
    (tmp_path / "own.toml").write_text(DEMO)
    code = f"import cxresearch as cx; print(cx.open_study({str(tmp_path / 'own.toml')!r}).frame(['satisfaction'])['satisfaction'].sum())"
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert told[0][0] == told[1][0] == f"{demo(tmp_path).frame(['satisfaction'])['satisfaction'].sum()}\n"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == sorted(FILES)


def test_preflight_tells_what_a_report_will_be_of(tmp_path: Path):
    """Period, row counts and a fingerprint that changes with the data, before any notebook runs."""
    study_of(tmp_path, panel=panel(), surveys=surveys())
    path = str(tmp_path / "small.toml")
    found = preflight(path)
    assert (found.name, found.period, dict(found.rows)) == ("small", "2026-10", {"panel": 12, "surveys": 12})
    assert preflight(path).fingerprint == found.fingerprint
    study_of(tmp_path, panel=panel(customers=4), surveys=surveys())
    assert preflight(path).fingerprint != found.fingerprint
    assert preflight(path, "last-month", "2026-10-15").period == "2026-09"
    with pytest.raises(NoData):
        preflight(path, "2026-11")
