"""Each trap does what it says: the naive number is fooled, an oracle that knows the model is not."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from traps import TRAPS

import cxresearch as cx
from cxresearch.data.simulation import PRESETS, Operator, generate, simulate
from cxresearch.data.simulation import estimands as by
from cxresearch.data.simulation.known import known_truth
from cxresearch.data.terms import term

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The folder of a small operator of a preset."""

    @cache
    def made(preset: str) -> Path:
        where = tmp_path_factory.mktemp(preset)
        simulate(where, preset=preset, customers=None if preset == "tiny" else 2_000, months=13)
        return where

    return made


@cache
def operator(preset: str) -> Operator:
    return generate(PRESETS[preset], 5, 10_000, 8, 150, "2026-10")


def points(who: Operator, name: str) -> np.ndarray:
    items = who.answers[list(term(name).items)]
    return items.mean(axis=1).to_numpy(dtype=float) * (10 if name == "satisfaction" else 100 / 6)


def log_odds(who: Operator, name: str, *given: str) -> float:
    """The logistic coefficient of a panel column for leaving."""
    at_risk = who.panel[who.panel["churned"].notna()]
    return float(
        by.logit(at_risk["churned"].to_numpy(dtype=float), at_risk[[name, *given]].to_numpy(dtype=float))[0][1]
    )


def within(who: Operator, one: str, other: str) -> float:
    codes = who.panel["customer_id"].cat.codes.to_numpy()
    return by.pearson(*(by.demeaned(points(who, name), codes) for name in (one, other)))


def value(name: str, preset: str) -> float:
    return float(known_truth(preset).set_index("name").loc[name, "value"])


def test_every_preset_but_three_is_a_trap_with_its_lines() -> None:
    """Nobody adds a preset without saying who is fooled, and every row that is named is a row of its truth."""
    assert {trap.preset for trap in TRAPS} == set(PRESETS) - {"baseline", "shared_network"}
    for trap in TRAPS:
        for name in filter(None, (trap.naive, trap.right)):
            assert np.isfinite(value(name, trap.preset)), (trap.preset, name)


def test_a_lasting_mood_colours_all_ratings() -> None:
    """Tangibles, which is nothing, correlates and keeps a slope given the others; within customers it goes."""
    halo = operator("halo")
    ratings = [points(halo, name) for name in ("tangibles", "empathy", "reliability", "assurance", "responsiveness")]
    fit = sm.OLS(points(halo, "satisfaction"), sm.add_constant(np.column_stack(ratings))).fit()
    assert by.pearson(ratings[0], points(halo, "satisfaction")) > 0.45
    assert fit.params[1] > 0.04
    assert within(halo, "tangibles", "satisfaction") < 0.1
    assert PRESETS["halo"].weight_tangibles == PRESETS["halo"].weight_empathy == 0


def test_the_mood_of_a_questionnaire_fools_within_customers_too() -> None:
    """Tangibles is tied to satisfaction within customers; what was measured elsewhere is tied no more than before."""
    moody, plain = operator("occasion_halo"), operator("baseline")
    assert within(moody, "tangibles", "satisfaction") > 0.45
    assert within(plain, "tangibles", "satisfaction") < 0.25
    r = [by.pearson(who.panel["wait_s"].to_numpy(float), points(who, "satisfaction")) for who in (moody, plain)]
    assert abs(r[0]) < abs(r[1]) < 0.2


def test_leavers_are_silent() -> None:
    """Of those who answered hardly anybody leaves; among everybody the correlation is twice as strong."""
    who = operator("silent_leavers")
    known = who.panel["churned"].notna().to_numpy()
    left, answered = who.panel["churned"][known].to_numpy(float), who.answered[known]
    satisfaction = points(who, "satisfaction")[known]
    assert left[answered].mean() < 0.25 * left[~answered].mean()
    assert abs(by.pearson(left[answered], satisfaction[answered])) < 0.7 * abs(by.pearson(left, satisfaction))


def test_only_the_content_answer() -> None:
    """The net score of the answers is 50 points and more above everybody's."""
    who = operator("nonresponse")

    def net(recommend: pd.Series) -> float:
        return float((recommend >= 9).mean() - (recommend <= 6).mean()) * 100

    assert net(who.answers["recommend"][who.answered]) > net(who.answers["recommend"]) + 45
    assert 0.1 < who.answered.mean() < 0.15


def test_habit_hides_the_harm_of_failed_calls() -> None:
    """Crude below nothing, at the same use what is planted and what satisfaction adds."""
    who = operator("confounded")
    assert log_odds(who, "call_failures") < 0.02
    assert log_odds(who, "call_failures", "usage_calls", "usage_voice_min", "list_price") > 0.1


def test_the_app_turns_its_sign_within_segments() -> None:
    """Users leave less overall and more within each segment, near the planted .3."""
    who = operator("reversed")
    assert log_odds(who, "app_user") < -0.1
    found = []
    for segment in ("mass", "mid", "high"):
        rows = who.panel["value_segment"] == segment
        part = Operator(who.panel[rows], who.answers[rows], who.answered[rows.to_numpy()])
        found.append(log_odds(part, "app_user"))
    assert min(found[:2]) > 0.1
    assert np.mean(found) == pytest.approx(0.3, abs=0.25)


def test_contacts_are_a_symptom() -> None:
    """They look harmful; given the traces of the problem less so; where nothing unseen is behind them, hardly."""
    causes = ("call_failures", "bill_errors", "usage_calls", "usage_voice_min", "list_price")
    who, plain = operator("symptom"), operator("baseline")
    assert log_odds(who, "care_contacts") > 0.2
    assert log_odds(who, "care_contacts", *causes, "tickets_open") < 0.8 * log_odds(who, "care_contacts", *causes)
    assert log_odds(plain, "care_contacts", *causes) < 0.1


def test_whoever_is_about_to_leave_calls() -> None:
    """Contacts look harmful and no column that the operator has takes it away."""
    causes = ("call_failures", "bill_errors", "usage_calls", "usage_voice_min", "list_price", "tickets_open")
    assert log_odds(operator("feedback"), "care_contacts", *causes) > 0.3


@pytest.mark.parametrize(("preset", "least", "most"), [("shared_month", 3, 20), ("null", 1, 4), ("baseline", 0.1, 1)])
def test_months_share_shocks_where_it_says_so(preset: str, least: float, most: float) -> None:
    """Satisfaction of all moves from month to month; in the baseline only the seasons do."""
    who = generate(PRESETS[preset], 3, 4_000, 16, 60, "2026-10")
    monthly = pd.Series(points(who, "satisfaction")).groupby(who.panel["period"].astype(str).to_numpy()).mean()
    assert least < monthly.std() < most


def test_studies_say_what_their_months_share(folder: Folder) -> None:
    """Levels of sharing stand in the study file."""
    for preset in ("null", "shared_month", "baseline"):
        study = tomllib.loads((folder(preset) / "study.toml").read_text(encoding="utf-8"))
        assert study["levels"] == ["customer", "site", *(["period"] if preset != "baseline" else [])]


def test_few_clusters_and_tiny_are_small(folder: Folder) -> None:
    """Twelve sites whatever the number of customers; 300 customers unless asked for more."""
    assert pd.read_parquet(folder("few_clusters") / "panel.parquet")["site_id"].nunique() == 12
    assert (pd.read_parquet(folder("tiny") / "panel.parquet").groupby("period").size() == 300).all()


def test_the_worst_recover_by_themselves(folder: Folder) -> None:
    """The worst tenth rises by 15 points and more in a month; two in five detractors were called back at random."""
    assert value("score|satisfaction|worst_after|score", "regression") > 15 + value(
        "score|satisfaction|worst_before|score", "regression"
    )
    surveys = pd.read_parquet(folder("regression") / "surveys.parquet")
    detractors = surveys[surveys["recommend"] <= 6]
    called = detractors["called_back_at"].notna()
    assert called.mean() == pytest.approx(0.4, abs=0.06)
    assert not surveys.loc[surveys["recommend"] > 6, "called_back_at"].notna().any()
    assert abs(called.astype(float).corr(detractors["recommend"].astype(float))) < 0.1


def test_the_retention_desk_knows_too_much(folder: Folder) -> None:
    """A column that tells leavers apart, which the register marks as known after the event."""
    panel = pd.read_parquet(folder("leakage") / "panel.parquet").dropna(subset=["churned"])
    calls = panel.groupby(panel["churned"].astype(bool))["retention_desk_call"].mean()
    assert calls[True] > 0.5
    assert calls[False] < 0.01
    assert term("retention_desk_call").role == "after"
    assert "retention_desk_call" not in pd.read_parquet(folder("tiny") / "panel.parquet")


def test_members_are_those_who_stayed() -> None:
    """Members look loyal; at the same tenure the scheme does nothing."""
    who = operator("immortal")
    assert log_odds(who, "loyalty_scheme") < -0.5
    assert abs(log_odds(who, "loyalty_scheme", "tenure_m", "usage_calls", "list_price")) < 0.25
    assert who.panel.loc[who.panel["loyalty_scheme"] == 1, "tenure_m"].min() == 18


def test_no_member_leaves() -> None:
    """Thousands of rows of members and not one leaver."""
    panel = operator("separated").panel
    members = panel[panel["loyalty_scheme"] == 1]
    assert len(members) > 10_000
    assert not members["churned"].fillna(False).any()


def test_enriched_tables_have_other_rates_and_the_same_odds(folder: Folder) -> None:
    """Leavers are a fifth of the rows; the true rate stands in the study file; an odds ratio is that of the whole."""
    panel = pd.read_parquet(folder("enriched") / "panel.parquet")
    known = panel.dropna(subset=["churned"])
    study = cx.open_study(str(folder("enriched") / "study.toml"))
    whole = generate(PRESETS["enriched"], 1, 2_000, 13, 30, "2026-10")
    assert study.enriched
    assert study.churn_rate == pytest.approx(float(whole.panel["churned"].mean()), abs=1e-5)
    assert known["churned"].mean() > 6 * study.churn_rate
    rows = Operator(known, pd.DataFrame(), np.array([]))
    assert log_odds(rows, "tenure_m") == pytest.approx(log_odds(whole, "tenure_m"), abs=0.01)


def test_codes_are_no_answers(folder: Folder) -> None:
    """Read as answers they ruin a mean; outside the scale they are told, and without them it is the same operator."""
    surveys = pd.read_parquet(folder("codes") / "surveys.parquet")
    coded = surveys["sat1"] > 10
    assert set(surveys.loc[coded, "sat1"]) == {98, 99}
    study, plain = (cx.open_study(str(folder(name) / "study.toml")) for name in ("codes", "baseline"))
    scores = [one.frame(["satisfaction"])["satisfaction"].mean() for one in (study, plain)]
    assert surveys["sat1"].mean() > 11
    assert scores[0] == pytest.approx(scores[1], abs=1)
    assert [caveat.code for caveat in study.caveats()] == ["codes"]


def test_a_cell_of_four(folder: Folder) -> None:
    """Four wholesale customers at most in any month."""
    panel = pd.read_parquet(folder("small_cell") / "panel.parquet")
    wholesale = panel[panel["customer_type"] == "wholesale"]
    assert wholesale["customer_id"].nunique() == 4
    assert set(panel["customer_type"]) == {"residential", "sme", "wholesale"}


def test_the_split_moves_with_error_alone() -> None:
    """Recorded with error, operations lose a share that the network gains, at the same causes."""
    shares = {model: value(f"rank_drivers|satisfaction|network|{model}|share", "weak_split") for model in ("blocks", "no_error")}  # fmt: skip
    assert shares["blocks"] > shares["no_error"] + 0.05


def test_two_columns_are_nearly_one() -> None:
    """Availability and accessibility correlate above .99."""
    panel = operator("collinear").panel
    assert panel["availability"].corr(panel["accessibility"]) > 0.99


def test_four_failures_are_forgiven() -> None:
    """Satisfaction is level up to four failed calls of heavy users and falls from there."""
    who = operator("threshold")
    failures = who.panel["call_failures"].clip(upper=9).to_numpy()
    means = pd.Series(points(who, "satisfaction")).groupby(failures).mean()
    assert abs(means[4] - means[0]) < 1.5
    assert means[9] < means[4] - 8


def test_tails_are_heavy() -> None:
    """Waits are lognormal: r is that of a few who waited longest, and of all others it is far less."""
    who = operator("heavy_tails")
    wait = who.panel["wait_s"]
    assert wait.max() > 20 * wait.median()
    both = np.column_stack([wait.to_numpy(float), points(who, "satisfaction")])
    most = both[wait <= wait.quantile(0.9)]
    assert abs(by.pearson(*both.T)) > 0.35
    assert abs(by.pearson(*by.midranks(both).T)) < 0.34
    assert abs(by.pearson(*most.T)) < 0.27
