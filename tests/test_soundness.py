"""Soundness: each check of a period's data is silent on a sound operator and fires on its own fault, naming where."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import study_of

import cxresearch as cx
from cxresearch.errors import GateClosed, UsageError
from cxresearch.evidence.lab import stability
from cxresearch.evidence.soundness import CHECKS
from cxresearch.report.archive import ROOT
from cxresearch.report.closing import TITLE

LAST, BEFORE = "2026-10", "2026-09"
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an operator of 2,000 customers and 12 months without faults."""
    folder = tmp_path_factory.mktemp("sound")
    cx.simulate(folder, customers=2_000, months=12)
    return folder


@pytest.fixture
def dirty(sound: Path, tmp_path: Path) -> Callable[[Callable[[Tables], None]], cx.Study]:
    """The study of the sound operator after something was done to its tables."""

    def opened(spoil: Callable[[Tables], None]) -> cx.Study:
        before = {p.stem: pd.read_parquet(p) for p in sound.glob("*.parquet")}
        tables = dict(before)
        spoil(tables)
        for name, table in tables.items():
            table.to_parquet(tmp_path / f"{name}.parquet", index=False)
        (tmp_path / "study.toml").write_text((sound / "study.toml").read_text())
        return cx.open_study(str(tmp_path / "study.toml"))

    return opened


@pytest.mark.parametrize("check", list(CHECKS))
def test_a_sound_operator_is_sound(check: str, sound: Path):
    """No check fires on tables without faults, whichever test of drift is asked for."""
    study = cx.open_study(str(sound / "study.toml"))
    for drift_test in ("psi", "ks") if check == "drift" else ("psi",):
        finding = cx.inspect_data(study, check, drift_test=drift_test)
        assert finding.estimable
        assert finding.answer.startswith("Sound: "), finding.answer
        assert not {c.code for c in finding.caveats} & {"data-look", "data-stop"}


def half_a_month(tables: Tables) -> None:
    for name in ("interactions", "tickets"):
        table = tables[name]
        late = pd.to_datetime(table["started_at" if name == "interactions" else "opened_at"]).dt.day > 12
        tables[name] = table[~((table["period"] == LAST) & late)]


def no_month(tables: Tables) -> None:
    tables["orders"] = tables["orders"][tables["orders"]["period"] != "2026-05"]


def empty_column(tables: Tables) -> None:
    panel = tables["panel"].copy()
    panel.loc[np.random.default_rng(1).random(len(panel)) < 0.3, "list_price"] = np.nan
    tables["panel"] = panel


def other_unit(tables: Tables) -> None:
    panel = tables["panel"].copy()
    panel.loc[panel["period"] == LAST, "usage_data_gb"] *= 2
    tables["panel"] = panel


def repeated(tables: Tables) -> None:
    panel = tables["panel"]
    tables["panel"] = pd.concat([panel, panel[panel["period"] == BEFORE].head(300)])


def sent_twice(tables: Tables) -> None:
    contacts = tables["interactions"]
    again = contacts.head(len(contacts) // 20).assign(interaction_id=lambda rows: "again " + rows["interaction_id"])
    tables["interactions"] = pd.concat([contacts, again])


def nobodys(tables: Tables) -> None:
    tickets = tables["tickets"].copy()
    tickets.loc[tickets.index[:200], "customer_id"] = "x" + tickets["customer_id"]
    tables["tickets"] = tickets


def late(tables: Tables) -> None:
    surveys = tables["surveys"].copy()
    chosen = surveys["answered_at"].notna() & (np.random.default_rng(2).random(len(surveys)) < 0.05)
    surveys.loc[chosen, "answered_at"] += pd.Timedelta(days=60)
    tables["surveys"] = surveys


def misdated(tables: Tables) -> None:
    tickets = tables["tickets"].copy()
    tickets.loc[tickets.index[::20], "opened_at"] -= pd.Timedelta(days=365)
    tables["tickets"] = tickets


def coded(tables: Tables) -> None:
    surveys = tables["surveys"].copy()
    chosen = surveys["sat1"].notna() & (np.random.default_rng(3).random(len(surveys)) < 0.06)
    surveys.loc[chosen, "sat1"] = 99
    tables["surveys"] = surveys


def leaking(tables: Tables) -> None:
    panel = tables["panel"].copy()
    noted = (panel["churned"] == 1) & (np.random.default_rng(4).random(len(panel)) < 0.6)
    panel["complaint"] = noted.astype(float)
    tables["panel"] = panel


FAULTS = [
    (half_a_month, "coverage", "Stop", "interactions has"),
    (no_month, "coverage", "Look", "orders has 0 rows in 2026-05"),
    (empty_column, "loss", "Look", "panel.list_price is missing in"),
    (other_unit, "drift", "Stop", "panel.usage_data_gb shifted by"),
    (repeated, "keys", "Stop|Look", "300 of"),
    (sent_twice, "keys", "Look", "interactions.started_at of another row"),
    (nobodys, "keys", "Look", "tickets.customer_id without a panel row"),
    (late, "arrivals", "Look", "surveys.answered_at lie more than 14 days after"),
    (misdated, "arrivals", "Look", "tickets.opened_at lie before their month"),
    (coded, "codes", "Look", "missing = [99]"),
    (leaking, "leakage", "Stop|Look", "panel.complaint foretells leaving"),
]  # fmt: skip


@pytest.mark.parametrize("spoil, check, light, told", FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_a_fault_is_named(
    spoil: Callable[[Tables], None],
    check: str,
    light: str,
    told: str,
    dirty: Callable[[Callable[[Tables], None]], cx.Study],
):
    """The check whose fault it is says look or stop, where and what to do; the end of the chapter says who reads with care."""
    finding = cx.inspect_data(dirty(spoil), check)
    assert finding.answer.partition(":")[0] in light.split("|"), finding.answer
    assert told in finding.answer
    assert {c.code for c in finding.caveats} & {"data-look", "data-stop"}
    said = cx.outlook(finding).text
    assert said.startswith(TITLE)
    assert "Read with care: “" in said or "No claim of the register needs" in said
    assert finding.estimand in said


@pytest.mark.parametrize("preset, light", [("baseline", "Sound"), ("immortal", "Look")])
def test_a_scheme_entered_by_staying(preset: str, light: str, tmp_path: Path):
    """Members who had to stay eighteen months are rare among the newest customers; the caveat of immortal time stands there."""
    cx.simulate(tmp_path, preset=preset, customers=2_000, months=12)
    finding = cx.inspect_data(cx.open_study(str(tmp_path / "study.toml")), "immortal")
    assert finding.answer.startswith(light)
    assert ("immortal" in {c.code for c in finding.caveats}) is (light == "Look")


def test_a_moment_is_the_same_as_text(dirty: Callable[[Callable[[Tables], None]], cx.Study]):
    """Moments that lie in a file as times and as text give the same rows of keys and arrivals, with what is late or repeated."""

    def spoilt(tables: Tables) -> None:
        late(tables)
        sent_twice(tables)

    def as_text(tables: Tables) -> None:
        spoilt(tables)
        for name, moment in (("surveys", "answered_at"), ("interactions", "started_at")):
            text = tables[name][moment].dt.strftime("%Y-%m-%d %H:%M:%S.%f").astype(object)
            tables[name] = tables[name].assign(**{moment: text.where(tables[name][moment].notna(), None)})

    found = {}
    for spoil in (as_text, spoilt):
        study = dirty(spoil)
        assert study.tables["surveys"].own["answered_at"].type().is_string() == (spoil is as_text)
        found[spoil] = [cx.inspect_data(study, check).to_frame() for check in ("keys", "arrivals")]
    for text, times in zip(found[as_text], found[spoilt], strict=True):
        pd.testing.assert_frame_equal(text, times)
        assert times["events"].gt(0).any()


def test_customers_who_are_called_like_months_are_not_repeated(dirty: Callable[[Callable[[Tables], None]], cx.Study]):
    """Two rows whose customer is named as their month are two rows, as all others are."""

    def renamed(tables: Tables) -> None:
        panel = tables["panel"]
        one = panel["customer_id"] == panel["customer_id"].iloc[0]
        tables["panel"] = panel.assign(customer_id=panel["customer_id"].mask(one, panel["period"]))

    keys = cx.inspect_data(dirty(renamed), "keys")
    assert keys.one(outcome="panel", term="period")["events"] == 0


def test_ids_that_repeat_never_get_here(dirty: Callable[[Callable[[Tables], None]], cx.Study]):
    """What cannot be told apart is refused when the study is opened, before any check."""

    def twice(tables: Tables) -> None:
        tables["interactions"] = pd.concat([tables["interactions"], tables["interactions"].head(3)])

    with pytest.raises(GateClosed, match="interaction_id does not tell rows apart"):
        dirty(twice)


def test_what_is_no_check_is_refused(small_operator: Path):
    """A misspelt check or test names those that there are."""
    study = cx.open_study(str(small_operator))
    with pytest.raises(UsageError, match="did you mean 'drift'"):
        cx.inspect_data(study, "drifts")
    with pytest.raises(UsageError, match="one of psi, ks"):
        cx.inspect_data(study, "drift", drift_test="chi")


def test_what_a_study_lacks_is_named(tmp_path: Path):
    """One stated month has nothing to drift from and no moments: not estimable, naming the column."""
    pd.DataFrame({"sat1": [1, 5, 9] * 20, "sat2": [2, 5, 8] * 20, "sat3": [1, 6, 9] * 20}).to_parquet(
        tmp_path / "s.parquet"
    )
    text = 'name = "one"\n[tables.surveys]\nfile = "s.parquet"\nperiod = "2026-10"\n'
    (tmp_path / "one.toml").write_text(text)
    study = cx.open_study(str(tmp_path / "one.toml"))
    for check, column in {
        "drift": "panel.period",
        "arrivals": "surveys.answered_at",
        "leakage": "panel.churned",
    }.items():
        finding = cx.inspect_data(study, check)
        assert not finding.estimable
        assert column in finding.answer
        advice = finding.caveats[0].text  # an earlier month is no column that a mapping could name
        assert advice.startswith("Needed for this question: panel.period of" if check == "drift" else f"Map {column}")


# -- numbers


def test_the_index_is_the_sum_of_two_divergences():
    """Of many observations, where half an observation adds nothing: SciPy's Kullback-Leibler divergences both ways."""
    now, before = np.array([300_000, 500_000, 200_000]), np.array([400_000, 400_000, 200_000])
    expected = stats.entropy(now, before) + stats.entropy(before, now)
    assert stability.stability_index(now, before) == pytest.approx(expected, rel=1e-5)


def test_chance_passes_the_index_as_often_as_said():
    """Of two draws from one distribution, one in twenty passes the limit at 95 %, give or take what 2,000 draws tell."""
    rng = np.random.default_rng(1)
    shares = np.full(10, 0.1)
    passed = 0
    for _ in range(2_000):
        now, before = rng.multinomial(400, shares), rng.multinomial(4_000, shares)
        passed += stability.stability_index(now, before) > stability.index_by_chance(
            now, before, np.array([400, 4_000]), 0.95
        )
    assert passed / 2_000 == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / 2_000) ** 0.5)


def test_the_area_is_that_of_the_rank_test():
    """Of classes whose share of events rises with the value: the area of SciPy's Mann-Whitney test."""
    rng = np.random.default_rng(2)
    value = rng.integers(0, 5, 3_000)
    left = rng.random(3_000) < 0.05 + 0.15 * value
    n, events = np.bincount(value), np.bincount(value, left)
    u = stats.mannwhitneyu(value[left], value[~left]).statistic
    assert stability.area(events, n - events) == pytest.approx(u / (left.sum() * (~left).sum()))


# -- what an operator of few customers is told


def few_leavers(folder: Path, leavers: int) -> cx.Study:
    """600 customers, a tenth of whom answered, among them so many leavers and one."""
    of = np.arange(600)
    panel = pd.DataFrame({"customer_id": of.astype(str), "churned": of % 600 < leavers, "tenure_m": (of * 37) % 101})
    panel.loc[599, "churned"] = True
    surveys = pd.DataFrame({"customer_id": of[-60:].astype(str), "satisfaction": ((of[-60:] * 7) % 61) / 6})
    return study_of(folder, panel=panel, surveys=surveys)


def test_one_leaver_condemns_no_column(tmp_path: Path):
    """One leaver lies in one class, which alone is an area of more than .9: no question about the column, for too few left."""
    study = few_leavers(tmp_path, 60)
    finding = cx.inspect_data(study, "leakage")
    assert finding.answer.startswith("Sound: no column foretells leaving too well")
    assert "too few leavers or stayers: the columns of surveys" in finding.answer
    assert {r["outcome"] for r in finding.rows()} == {"panel"}
    # what a column of sixty different answers would have seemed to tell
    one = np.zeros(10)
    one[3] = 1
    assert stability.area(one, np.full(10, 6.0) - one) > 0.9


def test_too_few_leavers_is_not_estimable(tmp_path: Path):
    """Where nobody else left there is nothing to judge columns by, and that is no missing column."""
    finding = cx.inspect_data(few_leavers(tmp_path, 0), "leakage")
    assert not finding.estimable
    assert "this study has no table with 20 leavers and 20 stayers" in finding.answer
    assert not any("Map" in caveat.text for caveat in finding.caveats)


def test_a_small_operator_is_told_no_alarm_and_no_small_count(tmp_path: Path):
    """An index beyond its limit that chance gives is said to be one, and a count below the smallest group is not told."""
    cx.simulate(tmp_path, customers=300, months=6)
    study = cx.open_study(str(tmp_path / "study.toml"))
    drift = cx.inspect_data(study, "drift")
    assert max(r["estimate"] for r in drift.rows()) > 0.25  # the rule's stop
    assert drift.answer.startswith("Sound: no column shifted far")
    assert "which chance alone may give" in drift.answer
    orders = pd.read_parquet(tmp_path / "orders.parquet")["period"].value_counts()
    assert orders.drop(LAST).median() < study.min_cell
    coverage = cx.inspect_data(study, "coverage").answer
    assert f"orders {orders[LAST]} against fewer than {study.min_cell}" in coverage


def test_chapters_to_be_read_with_care_are_there(dirty: Callable[[Callable[[Tables], None]], cx.Study]):
    """A doubted column that claims without a notebook need too names only the notebooks that there are."""

    def told_later(tables: Tables) -> None:
        left = tables["panel"].set_index(["customer_id", "period"])["churned"]
        surveys = tables["surveys"]
        gone = left.reindex(pd.MultiIndex.from_frame(surveys[["customer_id", "period"]])).fillna(False).to_numpy(bool)
        sat = {item: surveys[item].mask(gone & surveys[item].notna(), 1) for item in ("sat1", "sat2", "sat3")}
        tables["surveys"] = surveys.assign(**sat)

    said = cx.outlook(cx.inspect_data(dirty(told_later), "leakage")).text
    named = re.findall("“(.+?)”", said)
    assert "satisfaction drivers" in named
    assert [name for name in named if not (ROOT / "notebooks" / f"{name.replace(' ', '_')}.ipynb").is_file()] == []
