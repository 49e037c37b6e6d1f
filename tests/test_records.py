"""Tables of single events: they add up to the panel, exist because something happened, and open with the same checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pytest
from ibis.backends.duckdb import Backend as DuckDB
from own_tables import PANEL, open_own

import cxresearch as cx
from cxresearch.data.simulation import simulate
from cxresearch.data.simulation.write import TABLES
from cxresearch.data.terms import table_terms
from cxresearch.errors import GateClosed, UsageError

KEYS = ["customer_id", "period"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """An operator of 10,000 customers, by table."""
    where = tmp_path_factory.mktemp("operator")
    simulate(where, customers=10_000)
    return {name: pd.read_parquet(where / f"{name}.parquet") for name in TABLES}


def odds_ratio(one: pd.Series, other: pd.Series) -> float:
    """Of two columns of 0 and 1, rows with a null left out."""
    both = pd.DataFrame({"one": one.to_numpy(), "other": other.to_numpy()}).dropna().astype(int)
    cells = both.value_counts()
    return float(cells[1, 1] * cells[0, 0] / (cells[1, 0] * cells[0, 1]))


def with_panel(tables: dict[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Events beside the panel row of their customer and month."""
    return tables[name].merge(tables["panel"], on=KEYS, how="left", suffixes=("", "_panel"), validate="many_to_one")


def test_contacts_tickets_and_orders_add_up_to_the_panel(tables: dict[str, pd.DataFrame]) -> None:
    """Counts, transfers, waits and days of the panel are those of the events of the same customer and month."""
    panel = tables["panel"].set_index(KEYS)
    contacts = tables["interactions"].groupby(KEYS)
    pd.testing.assert_series_equal(
        contacts.size().reindex(panel.index, fill_value=0), panel["care_contacts"], check_names=False, check_dtype=False
    )
    transfers = contacts["transfers"].sum().reindex(panel.index, fill_value=0)
    assert (transfers == panel["transfers"]).all()
    wait = contacts["wait_s"].mean()
    np.testing.assert_allclose(wait, panel["wait_s"].loc[wait.index], atol=0.06)
    opened = tables["tickets"].groupby(KEYS).size().reindex(panel.index, fill_value=0)
    assert (opened == panel["tickets_open"]).all()
    orders = tables["orders"].set_index(KEYS)
    done = orders[orders["completed_at"].notna()]
    days = (done["completed_at"] - done["requested_at"]) / pd.Timedelta(days=1)
    pd.testing.assert_series_equal(
        days.sort_index(), panel["order_days"].dropna().sort_index(), check_names=False, check_dtype=False
    )
    late = (orders["completed_at"] > orders["promised_at"]) | orders["completed_at"].isna()
    assert (late.groupby(KEYS).sum().reindex(panel.index, fill_value=0) == panel["late_orders"]).all()


def test_events_have_ids_of_their_own_and_lie_in_their_month(tables: dict[str, pd.DataFrame]) -> None:
    """Ids are distinct, every touchpoint and surveyed contact exists, and times are in order."""
    for name, key, at in [
        ("interactions", "interaction_id", "started_at"),
        ("tickets", "ticket_id", "opened_at"),
        ("orders", "order_id", "completed_at"),
    ]:
        assert tables[name][key].is_unique
        known = tables[name].dropna(subset=[at])
        assert (known[at].dt.strftime("%Y-%m") == known["period"]).all()
    assert set(tables["interactions"]["touchpoint_id"]) <= set(tables["touchpoints"]["touchpoint_id"])
    asked = tables["surveys"]["interaction_id"].dropna()
    assert asked.is_unique
    assert set(asked) <= set(tables["interactions"]["interaction_id"])
    assert not (tables["tickets"]["resolved_at"] < tables["tickets"]["opened_at"]).any()
    assert (tables["orders"]["promised_at"] >= tables["orders"]["requested_at"]).all()


def test_a_contact_follows_trouble(tables: dict[str, pd.DataFrame]) -> None:
    """Who had no billing error does not ask about one, and faults are asked about where calls failed."""
    contacts = with_panel(tables, "interactions")
    assert (contacts.loc[contacts["reason"] == "bill", "bill_errors"] > 0).all()
    assert (contacts.loc[contacts["reason"] == "fault", "call_failures"] > 0).all()
    tickets = with_panel(tables, "tickets")
    network = (tickets["root_cause_domain"] == "network").astype(int)
    assert tickets["outage_min"].corr(network) > 0.05


def test_resolution_is_as_often_as_the_panel_says(tables: dict[str, pd.DataFrame]) -> None:
    """Within every tenth of the panel's share of resolved contacts, about that share of contacts is resolved."""
    contacts = with_panel(tables, "interactions")
    by_tenth = contacts.groupby(pd.qcut(contacts["fcr"], 10))[["fcr", "resolved_first_contact"]].mean()
    assert (by_tenth["fcr"] - by_tenth["resolved_first_contact"]).abs().max() < 0.03


def test_repeats_are_those_of_the_table(tables: dict[str, pd.DataFrame]) -> None:
    """A repeat is the customer's next contact within 7 days; in the last week of the data nobody knows yet."""
    contacts = tables["interactions"].sort_values(["customer_id", "started_at"])
    gap = contacts.groupby("customer_id")["started_at"].shift(-1) - contacts["started_at"]
    expected = (gap <= pd.Timedelta(days=7)).astype(float)
    known = contacts["repeat_7d"].notna()
    assert (contacts["repeat_7d"] == expected)[known].all()
    assert 0 < (~known).mean() < 0.02
    assert contacts.loc[~known, "started_at"].min() > pd.Timestamp("2026-10-21")
    assert 0.04 < contacts["repeat_7d"].mean() < 0.15


def test_what_is_planted_in_the_events_is_found(tables: dict[str, pd.DataFrame]) -> None:
    """Odds ratios of single events lie where they were planted, on 70,000 contacts."""
    contacts = with_panel(tables, "interactions")
    resolved, left = contacts["resolved_first_contact"], contacts["churned"].astype("Int8")
    assert np.log(odds_ratio(resolved, contacts["repeat_7d"])) == pytest.approx(-1.4, abs=0.15)
    assert np.log(odds_ratio(resolved, contacts["offer_accepted"])) == pytest.approx(0.9, abs=0.2)
    # satisfied customers leave less and their contacts are resolved more often, beside what is planted
    assert -0.6 < np.log(odds_ratio(resolved, left)) < -0.15
    unresolved = resolved == 0
    offered = contacts["offer_made"]
    assert 0 < np.log(odds_ratio(offered[unresolved], left[unresolved])) < 0.7
    partner = contacts["channel"] == "partner"
    assert -0.05 < resolved[partner].mean() - resolved[~partner].mean() < 0.0
    orders = with_panel(tables, "orders")
    fault = (orders["completed_at"] > orders["promised_at"]) | orders["completed_at"].isna()
    assert 0 < np.log(odds_ratio(fault.astype(int), orders["churned"].astype("Int8"))) < 1.2
    asked = tables["surveys"].merge(tables["interactions"], on="interaction_id")
    means = asked.groupby(asked["transfers"].clip(upper=2))["ces"].mean()
    assert (means.diff().dropna() < -0.3).all()


def test_what_is_known_after_notice_is_null_for_who_stays(tables: dict[str, pd.DataFrame]) -> None:
    """Kind, rival and day of leaving are given for leavers only."""
    panel = tables["panel"]
    left = panel["churned"].fillna(False).astype(bool)
    assert (panel["churn_type"].notna() == left).all()
    assert (panel["notice_date"].notna() == left).all()
    assert not panel.loc[panel["churn_type"] != "voluntary", "churn_destination"].notna().any()


def test_further_items_have_the_factors_that_were_planted(tables: dict[str, pd.DataFrame]) -> None:
    """Items of a factor of experience or value hang together more than with those of any other factor."""
    surveys = tables["surveys"].dropna(subset=["cx_emp_1"])
    items = [name for name in surveys if name.startswith(("cx_", "value_"))]
    r = surveys[items].corr().to_numpy().copy()
    same = np.equal.outer([name[:-2] for name in items], [name[:-2] for name in items])
    np.fill_diagonal(r, np.nan)
    assert np.nanmin(np.where(same, r, np.nan)) > np.nanmax(np.where(same, np.nan, r)) + 0.1


# --- opening -------------------------------------------------------------------------------------------------------

CONTACTS = """
[tables.interactions]
file = "contacts.csv"
[tables.interactions.columns]
interaction_id = "contact"
customer_id = "id"
period = "month"
channel = "way"
offer_accepted = {column = "took", positive = "Yes"}
"""
ROWS = "id,month,drops\n1,2026-09,1\n1,2026-10,2\n2,2026-10,3\n"
EVENTS = "contact,id,month,way,took\na,1,2026-10,call,Yes\nb,1,2026-10,app,No\nc,2,2026-10,app,\n"


def test_a_study_has_the_columns_of_single_events(tmp_path: Path) -> None:
    """They are asked as their own rows, each with what the panel says of its customer and month."""
    text = PANEL + 'call_failures = "drops"\n' + CONTACTS
    study = open_own(tmp_path, text, panel=ROWS, contacts=EVENTS)
    assert study.has("offer_accepted", "channel", "call_failures")
    assert study.missing("handle_s") == ("interactions.handle_s",)
    found = study.frame(["channel", "offer_accepted", "call_failures"]).sort_values("channel", kind="stable")
    assert found["call_failures"].tolist() == [2, 3, 2]
    assert found["offer_accepted"].fillna(-1).tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("text", "events", "error", "message"),
    [
        (CONTACTS + 'handel_s = "x"', EVENTS, UsageError, "no term 'handel_s' in interactions; did you mean 'handle_s'?"),
        (CONTACTS + 'wait_s = "wayy"', EVENTS, UsageError, "contacts.csv: no column 'wayy' for wait_s; did you mean 'way'?"),
        (CONTACTS + 'wait_s = "way"', EVENTS, UsageError, "column 'way' for wait_s holds text ('app', 'call')"),
        (CONTACTS, EVENTS.replace("\nb,", "\na,"), GateClosed, "interaction_id does not tell rows apart (1 times, such as 'a')"),
        (CONTACTS, EVENTS.replace("\nb,", "\n,"), GateClosed, "interaction_id does not tell rows apart (null)"),
        (CONTACTS, EVENTS.replace(",1,", ",x1,").replace(",2,", ",x2,"), GateClosed, "no row has a customer_id of panel.csv"),
        (CONTACTS, EVENTS.replace("2026-10", "October"), UsageError, "period 'October' is no month"),
        (CONTACTS.replace("interactions]", "interaction]"), EVENTS, UsageError, "did you mean 'interactions'?"),
    ],
    ids=["term", "column", "type", "repeated id", "no id", "strangers", "month", "table"],
)  # fmt: skip
def test_tables_of_events_pass_the_same_checks(
    tmp_path: Path, text: str, events: str, error: type[Exception], message: str
) -> None:
    """A wrong word is refused with the nearest that exists, ids must tell rows apart and be known to the panel."""
    with pytest.raises(error) as raised:
        open_own(tmp_path, PANEL + text, panel=ROWS, contacts=events)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "rows",
    ["1,2026-10,1\n3,2026-10,1\n", "3,2026-09,1\n4,2026-10,1\n"],
    ids=["neither the first nor the last", "of an earlier month"],
)
def test_one_event_of_a_known_customer_is_enough(tmp_path: Path, rows: str) -> None:
    """The gate stays open where any row of events meets the panel: other ids and other months may lie beside it."""
    events = EVENTS.replace(",1,", ",0,").replace("b,0,", "b,3,").replace(",2,", ",7,")  # of customers 0, 3 and 7
    panel = f"id,month,drops\n{rows}"
    assert open_own(tmp_path, PANEL + CONTACTS, panel=panel, contacts=events).period == "2026-10"


def test_a_table_of_events_may_lack_all_ids(tmp_path: Path) -> None:
    """Events without id, customer and month open too: there is nothing that could be wrong with them."""
    text = PANEL + '[tables.interactions]\nfile = "contacts.csv"\n[tables.interactions.columns]\nchannel = "way"\n'
    assert open_own(tmp_path, text, panel=ROWS, contacts=EVENTS).has("channel")


def test_opening_asks_a_table_few_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many columns a sound table has, opening asks of its rows, ends, months and ids: each once."""
    asked = []

    def counted(name: str) -> None:
        ask = getattr(DuckDB, name)

        def noted(self: DuckDB, question: Any, *args: Any, **options: Any) -> Any:
            if isinstance(question, (str, ir.Expr)):  # what else there is makes views of files
                asked.append(question)
            return ask(self, question, *args, **options)

        monkeypatch.setattr(DuckDB, name, noted)

    counted("to_pyarrow")
    counted("raw_sql")
    counts = [term.name for term in table_terms("panel").values() if term.low == 0 and term.high is None]
    text = PANEL + "".join(f'{name} = "{name}"\n' for name in counts)
    rows = f"id,month,{','.join(counts)}\n1,2026-10{',1' * len(counts)}\n"
    open_own(tmp_path, text + CONTACTS, panel=rows, contacts=EVENTS)
    assert len(counts) > 15
    assert len(asked) <= 7


def test_the_simulated_operator_opens_with_all_its_tables(tmp_path: Path) -> None:
    """Every claim of the register that needs a column of single events finds it."""
    simulate(tmp_path, customers=300, months=4)
    study = cx.open_study(str(tmp_path / "study.toml"), window=4)
    assert study.has("offer_accepted", "resolved_first_contact", "channel", "severity", "status", "unit_cost")
    assert len(study.frame(["severity"])) == len(pd.read_parquet(tmp_path / "tickets.parquet"))
    assert study.cx + study.value + study.pillars
