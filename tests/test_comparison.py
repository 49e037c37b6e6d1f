"""Two findings compared, and errors counted two ways: R left out and counted again what ours come to by blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import witnesses
from small_study import study_of

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import multiplicity
from cxresearch.evidence.blocks import one_way

SURVEY = ["sat1", "sat2", "sat3", "recommend"]
WITNESS = witnesses.witness("blocks")


def opened(folder: Path, *, levels: tuple[str, ...] = ("customer", "site"), **options: Any) -> Study:
    frame = witnesses.table()
    folder.mkdir(exist_ok=True)
    return study_of(
        folder,
        panel=frame.drop(columns=SURVEY),
        surveys=frame[["customer_id", "period", *SURVEY]],
        levels=levels,
        **options,
    )


def related(study: Study, term: str = "retainability") -> cx.Finding:
    return cx.relate(study, "satisfaction", term, steps=["crude"], method=["pearson"])


def agrees(name: str, record: dict[str, Any]) -> None:
    for key, want in WITNESS[name].items():
        assert record[key] == pytest.approx(want, rel=witnesses.EXACT), f"{name} {key}"


@pytest.mark.parametrize("name, term", [("two_way_r", "retainability"), ("two_way_error_of_waits", "wait_s")])
def test_errors_count_sites_and_months(name: str, term: str, tmp_path: Path) -> None:
    """Where months are declared as a level the error counts what sites share and what months share."""
    agrees(name, related(opened(tmp_path, levels=("customer", "site", "period")), term).one())


def test_segments_that_share_sites(tmp_path: Path) -> None:
    """The difference between two segments has the error that leaving each site out of both gives."""
    high, mass = (related(opened(tmp_path / s, segment=s)) for s in ("high", "mass"))
    agrees("high_against_mass", cx.compare(high, mass).one())


def test_months_that_share_customers(tmp_path: Path) -> None:
    """The difference between two months has the error that leaving each site out of both gives."""
    frame = witnesses.table()
    findings = []
    for month in ("2026-10", "2026-09"):
        (tmp_path / month).mkdir()
        now = frame[frame.period == month]
        study = study_of(
            tmp_path / month, panel=now.drop(columns=SURVEY), surveys=now[["customer_id", "period", *SURVEY]],
            levels=("customer", "site"), window=1, period=month,
        )  # fmt: skip
        findings.append(related(study))
    compared = cx.compare(*findings)
    agrees("october_against_september", compared.one())
    assert compared.one()["effect"] == findings[1].one()["estimate"]
    assert "2026-10 against 2026-09" in compared.periods.replace("2026-10 to ", "").replace("2026-09 to ", "")


def test_a_finding_against_itself_differs_by_nothing(tmp_path: Path) -> None:
    """The same customers in both: the difference is zero without error, so nothing is told from zero."""
    found = related(opened(tmp_path))
    record = cx.compare(found, found).one()
    assert (record["estimate"], record["std_error"]) == (0, 0)
    assert record["p_value"] is None


def test_numbers_without_blocks_are_shown_but_not_tested(tmp_path: Path) -> None:
    """Where a number was not made from blocks its difference has no interval and says so."""
    found = related(opened(tmp_path))
    bare = cx.Finding.from_json(found.to_json())
    compared = cx.compare(found, bare)
    assert compared.one()["std_error"] is None
    assert "not tested" in compared.one()["effect_label"]
    assert [c.code for c in compared.caveats][-1] == "not-tested"


def test_findings_of_different_questions_have_nothing_to_compare(tmp_path: Path) -> None:
    """Two findings without a common number are not estimable together, and the answer says why."""
    study = opened(tmp_path)
    compared = cx.compare(related(study), related(study, "wait_s"))
    assert not compared.estimable
    assert compared.answer == "Not estimable: no number stands in both findings."


def test_what_is_kept_is_never_published(tmp_path: Path) -> None:
    """Values without single sites stay private: neither data nor text nor the page of a finding has them."""
    found = related(opened(tmp_path))
    assert found.kept
    assert "kept" not in found.to_json()


def test_unequal_blocks_count_for_fewer() -> None:
    """One block with half of all rows makes ten blocks tell as much as about three and a half."""
    sizes = np.array([90.0] + [10.0] * 9)
    assert one_way([""] * 10, sizes).effective == pytest.approx(180**2 / (90**2 + 9 * 100))


def test_customers_of_two_months_are_not_counted_twice(tmp_path: Path) -> None:
    """The same customers with lasting traits in both months: the difference has a smaller error than if they were others."""
    dice = np.random.default_rng(5)
    trait = dice.normal(size=(2, 1500))
    findings = []
    for month in ("2026-09", "2026-10"):
        values = trait + 0.3 * dice.normal(size=trait.shape)
        frame = pd.DataFrame({"customer_id": [f"c{i}" for i in range(1500)], "period": month})
        frame["revenue"], frame["margin"] = values[0], values[0] + values[1]
        (tmp_path / month).mkdir()
        findings.append(
            cx.relate(
                study_of(tmp_path / month, panel=frame, window=1, period=month),
                "revenue",
                "margin",
                steps=["crude"],
                method=["pearson"],
            )
        )
    before, now = findings
    apart = np.hypot(now.one()["std_error"], before.one()["std_error"])
    assert cx.compare(now, before).one()["std_error"] < 0.7 * apart


@pytest.mark.slow
def test_r_still_says_so(tmp_path: Path) -> None:
    """The script beside the numbers gives them again."""
    witnesses.says_again("blocks", tmp_path / "again.json")


def two_months(folder: Path) -> tuple[Study, Study]:
    """One operator in two months, as of each: the second is the first, asked as of the month before."""
    frame = witnesses.table()
    folder.mkdir(exist_ok=True)
    now = study_of(
        folder, panel=frame.drop(columns=SURVEY), surveys=frame[["customer_id", "period", *SURVEY]],
        levels=("customer", "site"), window=1,
    )  # fmt: skip
    return now, now.at("2026-09")


def test_a_study_as_of_another_period_is_the_same_study(tmp_path: Path) -> None:
    """`at` gives what opening the study at that period gives, and leaves the first one as it was."""
    now, before = two_months(tmp_path)
    opened_then = cx.open_study(str(tmp_path / "small.toml"), period="2026-09", window=1)
    told = related(before).one()["estimate"]
    assert told == related(opened_then).one()["estimate"]
    assert told != related(now).one()["estimate"]
    assert (now.period, before.period, before.periods) == ("2026-10", "2026-09", ("2026-09",))


def test_many_findings_are_one_family(tmp_path: Path) -> None:
    """Differences of several questions and periods: each as if asked alone, false discovery over all, the told ones first."""
    now, before = two_months(tmp_path)
    asked = [[related(study, term) for term in ("retainability", "wait_s")] for study in (now, before)]
    family = cx.compare(asked[0], {"the month before": asked[1], "a year before": [asked[0][0], asked[1][1]]})
    alone = cx.compare(asked[0][0], asked[1][0]).one()
    row = family.one(term="retainability", unit="correlation r against the month before")
    assert [row[k] for k in ("estimate", "std_error", "p_value")] == [
        alone[k] for k in ("estimate", "std_error", "p_value")
    ]
    assert len(family.table) == 4
    assert family.periods == "2026-10 against the month before and a year before"
    p = [r["p_value"] for r in family.rows()]
    assert [r["p_adjusted"] for r in family.rows()] == pytest.approx(multiplicity.adjusted(p), nan_ok=True)
    told = [r["p_adjusted"] is not None and r["p_adjusted"] < 0.05 for r in family.rows()]
    customers = [r["n"] for r in family.rows() if not (r["p_adjusted"] or 1) < 0.05]
    assert told == sorted(told, reverse=True)
    assert customers == sorted(customers, reverse=True)


def test_a_rate_of_the_month_before_meets_its_like(tmp_path: Path) -> None:
    """Rates name their month; across two periods they are the same number all the same, with its exact error."""
    dice = np.random.default_rng(5)
    months = [
        pd.DataFrame({"customer_id": [f"c{i}" for i in range(900)], "period": f"2026-{m:02d}"}) for m in (8, 9, 10)
    ]
    panel = pd.concat(months, ignore_index=True).assign(churned=dice.random(2700) < 0.1)
    study = study_of(tmp_path, panel=panel, window=2)
    then = study.at("2026-09")
    left = [s.frame(["churned"], only=["2026-09"])["churned"] for s in (study, then)]
    assert [values.notna().all() for values in left] == [True, False]  # of its own month no study knows who left
    now, before = (cx.churn_rate(s).only(group="all", model="crude") for s in (study, then))
    assert (now.one()["term"], before.one()["term"]) == ("2026-09", "2026-08")
    compared = cx.compare(now, before).one()
    assert compared["estimate"] == pytest.approx(now.one()["estimate"] - before.one()["estimate"], rel=1e-9)
    assert compared["std_error"] > 0


def test_a_rate_of_the_quarter_before_meets_its_like(tmp_path: Path) -> None:
    """Rates of a quarter name its months; those of two quarters are the same number too."""
    dice = np.random.default_rng(6)
    months = [
        pd.DataFrame({"customer_id": [f"c{i}" for i in range(300)], "period": f"2026-{m:02d}"}) for m in range(1, 10)
    ]
    panel = pd.concat(months, ignore_index=True).assign(churned=dice.random(2700) < 0.1)
    study = study_of(tmp_path, panel=panel, period="2026-Q3", window=3)
    now, before = (cx.churn_rate(s).only(group="all", model="crude") for s in (study, study.at("2026-Q2")))
    assert (now.one()["term"], before.one()["term"]) == ("2026-06 to 2026-08", "2026-03 to 2026-05")
    family = cx.compare([now], {"the quarter before": [before]})
    compared = family.one(unit="leavers per 1,000 against the quarter before")
    assert compared["estimate"] == pytest.approx(now.one()["estimate"] - before.one()["estimate"], rel=1e-9)
    assert compared["term"] is None


def test_a_period_that_does_not_exist_has_nothing_to_compare(tmp_path: Path) -> None:
    """Where the data hold no earlier period the answer says which columns would have to."""
    now, _ = two_months(tmp_path)
    compared = cx.compare([related(now)], {"a year before": [related(now.at("1999-01"))]})
    assert compared.answer == (
        "Not estimable: no earlier period of panel.period or surveys.period gives one of these numbers."
    )


def test_lists_that_do_not_pair_are_refused(tmp_path: Path) -> None:
    """Each finding needs its like: a list of another length is an error that says how many."""
    found = related(opened(tmp_path))
    with pytest.raises(UsageError, match="the month before needs one finding for each of 2"):
        cx.compare([found, found], {"the month before": [found]})
    with pytest.raises(UsageError, match="compare takes two findings, or"):
        cx.compare(found, {"the month before": [found]})
