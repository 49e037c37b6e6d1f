"""The simulated operators: repeatable, whole or absent, and as true as they say."""

from __future__ import annotations

import dataclasses
import hashlib
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from cxresearch.data.simulation import PRESETS, Operator, generate, simulate
from cxresearch.data.simulation import estimands as by
from cxresearch.data.simulation.felt import feel, noise
from cxresearch.data.simulation.known import fingerprint, known_truth, recorded_fingerprint, without_prose
from cxresearch.data.simulation.met import meet
from cxresearch.data.simulation.names import opaque
from cxresearch.data.simulation.people import draw_base
from cxresearch.data.simulation.write import FILES, TABLES
from cxresearch.data.terms import table_terms, term
from cxresearch.errors import UsageError
from cxresearch.measures import MEASURES

ROOT = Path(__file__).parents[1]
WHOLE = ("baseline", "null", "shared_network")  # presets with all rows of truth; the others are traps
SMALL = {"customers": 2_000, "months": 14}
GIVEN = ["usage_calls", "usage_voice_min", "usage_data_gb", "list_price", "discount", "prepaid", "tenure_m"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small operator on disk."""
    where = tmp_path_factory.mktemp("operator")
    simulate(where, customers=2_000, months=14)
    return where


@pytest.fixture(scope="module")
def panel(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "panel.parquet")


@pytest.fixture(scope="module")
def surveys(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "surveys.parquet")


@pytest.fixture(scope="module")
def large() -> Operator:
    """An operator of the default size, of a seed that the truth was not computed with."""
    return generate(PRESETS["baseline"], 77, 20_000, 24, 300, "2026-10")


def in_process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def points(answers: pd.DataFrame, name: str) -> pd.Series:
    """The composite on 0 to 100."""
    items = list(term(name).items)
    high = 10 if name == "satisfaction" else 7
    return (answers[items].mean(axis=1) - 1) / (high - 1) * 100


def net_score(recommend: pd.Series) -> float:
    return float(((recommend >= 9).mean() - (recommend <= 6).mean()) * 100)


def true(name: str, preset: str = "baseline") -> tuple[float, float]:
    """Value and Monte Carlo error of one row of the shipped truth."""
    row = known_truth(preset).set_index("name").loc[name]
    return float(row["value"]), float(row["mc_error"])


# --- files ---------------------------------------------------------------------------------------------------------


def test_same_arguments_give_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    """Two interpreters with different hash seeds write the same files; another seed writes others."""
    digests = []
    for number, seed in ((1, 3), (2, 3), (3, 4)):
        where = tmp_path / str(number)
        code = (
            "from pathlib import Path; from cxresearch.data.simulation import simulate;"
            f"simulate(Path({str(where)!r}), customers=400, months=4, seed={seed})"
        )
        ran = in_process(code, PYTHONHASHSEED=str(number))
        assert ran.returncode == 0, ran.stderr
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(where.iterdir())])
    assert len(digests[0]) == len(FILES)
    assert digests[0] == digests[1]
    alike = [one == other for one, other in zip(digests[0], digests[2], strict=True)]
    assert [name for name, same in zip(sorted(FILES), alike, strict=True) if same] == ["truth.parquet"]


def test_the_default_operator_takes_less_than_five_seconds(tmp_path: Path) -> None:
    """20,000 customers and 24 months, in processor time, which other programs do not lengthen."""
    start = time.process_time()
    paths = simulate(tmp_path)
    assert time.process_time() - start < 5
    assert [path.name for path in paths] == list(FILES)


def test_the_study_file_names_the_tables(folder: Path) -> None:
    """The study file is valid TOML, says that it is simulated, and its tables exist."""
    study = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    assert study["name"] == "simulated-baseline-1"
    assert study["simulated"] is True
    assert study["title"] == "Simulated operator (preset baseline, seed 1)"
    assert study["levels"] == ["customer", "site"]
    assert all((folder / table["file"]).exists() for table in study["tables"].values())
    assert set(study["tables"]) == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_a_term_within_its_range(folder: Path, table: str) -> None:
    """No column outside the register, none beyond its range, categories only at their levels."""
    frame, terms = pd.read_parquet(folder / f"{table}.parquet"), table_terms(table)
    assert list(frame.columns) == [name for name in terms if name in frame.columns]
    for name, column in frame.items():
        meant = terms[str(name)]
        if meant.kind == "number":
            assert meant.low is None or column.min() >= meant.low, name
            assert meant.high is None or column.max() <= meant.high, name
        if meant.levels:
            assert set(column.dropna()) <= set(meant.levels), name


def test_each_customer_is_once_a_month_and_stays_at_one_site(panel: pd.DataFrame) -> None:
    """Keys are unique, the base is constant, nobody moves, and who left does not come back."""
    assert not panel.duplicated(["customer_id", "period"]).any()
    assert (panel.groupby("period").size() == 2_000).all()
    assert (panel.groupby("customer_id")["site_id"].nunique() == 1).all()
    assert sorted(panel["period"].unique())[::13] == ["2025-09", "2026-10"]
    left = panel[panel["churned"].fillna(False).astype(bool)]
    last_seen = panel.groupby("customer_id")["period"].max()
    assert (last_seen[left["customer_id"]].to_numpy() == left["period"].to_numpy()).all()
    gone = last_seen[last_seen < "2026-10"]
    assert set(gone.index) == set(left["customer_id"])


def test_tenure_grows_by_a_month_and_starts_at_nothing(panel: pd.DataFrame) -> None:
    """New customers begin with no tenure, and each month adds one."""
    first = panel.groupby("customer_id")["period"].min()
    newcomers = panel[panel["period"].eq(panel["customer_id"].map(first)) & panel["period"].gt("2025-09")]
    assert len(newcomers) > 100
    assert (newcomers["tenure_m"] == 0).all()
    steps = panel.sort_values("period").groupby("customer_id")["tenure_m"].diff().dropna()
    assert (steps == 1).all()


def test_what_is_not_known_is_null(panel: pd.DataFrame, surveys: pd.DataFrame) -> None:
    """Leaving after the last month, orders that were not made, and the items of the silent are null."""
    last = panel["period"] == "2026-10"
    assert panel.loc[last, "churned"].isna().all()
    assert panel.loc[~last, "churned"].notna().all()
    assert 0.01 < panel["order_days"].notna().mean() < 0.06
    ids = ["survey_id", "customer_id", "period", "kind", "interaction_id"]
    items = surveys.columns.drop([*ids, "invited_at", "answered_at", "called_back_at"])
    relationship, answered = surveys["kind"] == "relationship", surveys["answered_at"].notna()
    assert len(items) == 31 + 12 + 12 + 4 + 1
    assert (surveys[items].notna().all(axis=1) == answered)[relationship].all()
    assert (surveys[items].notna().any(axis=1) == answered).all()
    assert (surveys["ces"].notna() == answered).all()
    assert (surveys["interaction_id"].notna() == ~relationship).all()
    assert surveys["survey_id"].is_unique
    assert (surveys["answered_at"] > surveys["invited_at"])[answered].all()
    assert (surveys["invited_at"].dt.strftime("%Y-%m") == surveys["period"]).all()


def test_ids_are_opaque_and_distinct() -> None:
    """Many numbers give as many ids, which do not sort as the numbers do."""
    ids = opaque("c", np.arange(200_000), 1)
    assert len(np.unique(ids)) == 200_000
    assert (ids[1:] > ids[:-1]).mean() < 0.9


def killed_at(call: str, where: Path, seed: int) -> None:
    """Simulate in another process, which the kernel kills at the second use of `call`."""
    code = f"""
import os, signal
from pathlib import Path
from cxresearch.data.simulation import write
module, name = {call}
real, times = getattr(module, name), []
def deadly(*args, **more):
    times.append(1)
    if len(times) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **more)
setattr(module, name, deadly)
write.simulate(Path({str(where)!r}), customers=200, months=3, seed={seed})
"""
    assert in_process(code).returncode == -signal.SIGKILL


def seen(where: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in where.iterdir() if file.is_file()}


def test_a_run_killed_while_writing_leaves_nothing(tmp_path: Path) -> None:
    """Neither a new folder nor one that holds a study gets half a table."""
    killed_at("write.pq, 'write_table'", tmp_path / "new", seed=2)
    assert seen(tmp_path / "new") == {}
    simulate(tmp_path / "old", customers=200, months=3)
    before = seen(tmp_path / "old")
    killed_at("write.pq, 'write_table'", tmp_path / "old", seed=2)
    assert seen(tmp_path / "old") == before


def test_a_run_killed_while_renaming_names_no_mixed_tables(tmp_path: Path) -> None:
    """Between two renames there is no study file, and the next run makes the folder whole."""
    simulate(tmp_path, customers=200, months=3)
    killed_at("write.os, 'replace'", tmp_path, seed=2)
    assert not (tmp_path / "study.toml").exists()
    assert len(simulate(tmp_path, customers=200, months=3)) == len(FILES)
    assert all(path.exists() for path in tmp_path.glob("*"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "baselin"}, "did you mean 'baseline'"),
        ({"customers": 99}, "customers=99 must be a whole number, 100 or more"),
        ({"customers": 2e4}, "customers=20000.0 must be a whole number"),
        ({"months": 1}, "months=1 must be a whole number, 2 or more"),
        ({"months": True}, "months=True"),
        ({"seed": -1}, "seed=-1 must be a whole number, 0 or more"),
        ({"sites": 1}, "sites=1 must be a whole number, 2 or more"),
        ({"sites": 101, "customers": 100}, "sites=101 is more than customers=100"),
        ({"last": "2026-13"}, "last='2026-13' is not a month"),
        ({"last": "latest"}, "write it as 2026-10"),
        ({"last": "0001-05"}, "starts before the year 1"),
    ],
)
def test_arguments_that_cannot_be_are_refused_in_one_line(tmp_path: Path, given: dict, message: str) -> None:
    """A wrong argument is named with what is allowed, before anything is written."""
    with pytest.raises(UsageError) as raised:
        simulate(tmp_path / "none", **given)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "none").exists()


# --- what is planted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", WHOLE)
def test_who_answers_depends_on_the_answer(preset: str) -> None:
    """About 12 % answer, and their net score is far above everybody's."""
    operator = generate(PRESETS[preset], 5, 8_000, 3, 120, "2026-10")
    recommend, answered = operator.answers["recommend"], operator.answered
    assert 0.10 < answered.mean() < 0.15
    assert 0 < net_score(recommend) < 15
    assert 35 < net_score(recommend[answered]) < 55
    assert (recommend[answered] <= 3).mean() < 0.02


def test_leavers_answer_less(large: Operator) -> None:
    """Fewer leave among those who answered, because who is content answers and stays."""
    left = large.panel["churned"].to_numpy(dtype=float, na_value=np.nan)
    assert np.nanmean(left[large.answered]) < 0.8 * np.nanmean(left[~large.answered])


def test_failed_calls_look_harmless_until_use_is_held_fixed(large: Operator) -> None:
    """Heavy users meet more failures and stay for other reasons: crude about nothing, adjusted clearly positive."""
    at_risk = large.panel[large.panel["churned"].notna()]
    left, failures = at_risk["churned"].to_numpy(dtype=float), at_risk["call_failures"].to_numpy(dtype=float)
    assert abs(by.pearson(failures, left)) < 0.01
    assert by.partial(failures, left, at_risk[GIVEN].to_numpy(dtype=float)) > 0.02


def test_scales_are_reliable(large: Operator) -> None:
    """Alpha of satisfaction and of the dimensions is as in real questionnaires."""
    answers = large.answers[large.answered]
    for name, low, high in [("satisfaction", 0.85, 0.92), ("trust", 0.8, 0.92), ("tangibles", 0.75, 0.9)]:
        assert low < by.alpha(answers[list(term(name).items)].to_numpy(dtype=float)) < high, name


def test_null_has_the_look_and_no_paths() -> None:
    """Means and spreads are as in the baseline; quality, satisfaction, trust, price and leaving are unrelated."""
    null = generate(PRESETS["null"], 11, 10_000, 14, 150, "2026-10", counterfactual=True)
    real = generate(PRESETS["baseline"], 11, 10_000, 14, 150, "2026-10")
    for name in ("satisfaction", "trust", "tangibles", "reliability"):
        assert points(null.answers, name).std() == pytest.approx(points(real.answers, name).std(), rel=0.12)
    left = null.panel["churned"].to_numpy(dtype=float, na_value=np.nan)
    at_risk = ~np.isnan(left)
    assert left[at_risk].mean() == pytest.approx(0.0175, abs=0.002)
    assert null.failure_effect is not None
    assert np.abs(null.failure_effect).max() == 0
    causes = [null.panel[name] for name in ("call_failures", "usage_calls", "list_price", "prepaid", "tenure_m")]
    causes += [points(null.answers, name) for name in ("satisfaction", "trust", "reliability")]
    for cause in causes:
        assert abs(np.corrcoef(cause[at_risk], left[at_risk])[0, 1]) < 4 / np.sqrt(at_risk.sum())
    for name in ("call_failures", "wait_s", "bill_errors", "list_price", "prepaid"):
        for felt in ("satisfaction", "reliability", "responsiveness", "assurance"):
            # customers come back each month, so the spread of r is that of some 10,000 and not of 140,000 rows
            r = np.corrcoef(null.panel[name], points(null.answers, felt))[0, 1]
            assert abs(r) < 4 / np.sqrt(10_000), (name, felt)


def test_tangibles_is_nothing_but_halo() -> None:
    """No structural weight and no column behind it, yet it correlates with satisfaction."""
    baseline = PRESETS["baseline"]
    assert baseline.weight_tangibles == 0
    assert true("relate|satisfaction|tangibles|crude|r")[0] > 0.15
    rng = np.random.default_rng(1)
    base = draw_base(rng, 500)
    met = meet(rng, baseline, base, {name: np.zeros(500) for name in ("coverage", "radio", "mood")}, 6)
    same = noise(rng, 500)
    other = same | {"tangibles": same["tangibles"] + 3}
    np.testing.assert_array_equal(
        feel(baseline, base, met, np.zeros(500), same).satisfaction,
        feel(baseline, base, met, np.zeros(500), other).satisfaction,
    )


def test_neighbours_who_share_a_network_are_few_observations() -> None:
    """Over seeds, r of satisfaction with what a site shares varies over twice as much as independent rows would."""
    spread = {}
    for preset in ("baseline", "shared_network"):
        found = []
        for seed in range(20):
            operator = generate(PRESETS[preset], 500 + seed, 2_000, 12, 30, "2026-10")
            satisfaction = points(operator.answers, "satisfaction")[operator.answered]
            site_shared = operator.panel.loc[operator.answered, "availability"]
            z = np.arctanh(np.corrcoef(site_shared, satisfaction)[0, 1])
            found.append(z * np.sqrt(operator.answered.sum()))
        spread[preset] = float(np.std(found, ddof=1))
    assert spread["shared_network"] > 3
    assert spread["baseline"] < 3


# --- the truth -----------------------------------------------------------------------------------------------------


def test_the_truth_belongs_to_the_model_as_it_is() -> None:
    """Whoever changes the model recomputes: `python -m cxresearch.data.simulation.truth`."""
    assert recorded_fingerprint() == fingerprint()


def test_the_fingerprint_sees_parameters_and_not_prose() -> None:
    """A planted number counts; a docstring, a comment line and the width of a line do not."""
    one = without_prose('"""Words."""\nA = 1\n\ndef f(x):\n    """More."""\n    # why\n    return (x + 1)\n')
    assert one == without_prose("A = 1\ndef f(x):\n    return (\n        x + 1)\n")
    assert one != without_prose("A = 2\ndef f(x):\n    return (x + 1)\n")


def test_the_truth_is_computed_apart_from_the_estimators() -> None:
    """Truth may not share the faults of what it judges."""
    code = "import sys, cxresearch.data.simulation.truth; print([m for m in sys.modules if 'cxresearch.evidence' in m])"
    assert in_process(code).stdout == "[]\n"


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_its_truth(preset: str, tmp_path: Path) -> None:
    """Each estimand once, with a value, an error, a known measure, and a term of the register; of a trap a few."""
    simulate(tmp_path, preset=preset, customers=200, months=2)
    truth = pd.read_parquet(tmp_path / "truth.parquet")
    whole = preset in WHOLE or PRESETS[preset].like in WHOLE
    assert len(truth) == len(known_truth("baseline")) > 140 if whole else 1 < len(truth) < 60
    assert truth["name"].is_unique
    assert truth[["value", "mc_error"]].notna().all().all()
    assert set(truth["measure"]) <= set(MEASURES)
    spoken = set(truth["term"].dropna()) - {"network", "design", "operations", "end_to_end"}
    assert all(name in {"0-3", "4-6", "7-8", "9-10"} or term(name) for name in spoken)
    assert truth.query("measure == 'share'").groupby(["verb", "outcome", "model"])["value"].sum().round(4).eq(1).all()


def test_adjusted_failures_agree_with_the_paired_runs() -> None:
    """Regression finds what one more failed call does, within 7 %."""
    for preset in ("baseline", "shared_network"):
        adjusted, _ = true("explain_churn|churned|call_failures|adjusted|per_1000", preset)
        paired, _ = true("paired|churned|call_failures|counterfactual|per_1000", preset)
        assert adjusted == pytest.approx(paired, rel=0.07)


def test_null_truth_is_nothing() -> None:
    """On the negative control every effect of quality and on leaving is nothing within its error."""
    truth = known_truth("null")
    effect = truth["verb"].eq("explain_churn") & truth["term"].notna() & truth["measure"].eq("per_1000")
    quality = ["availability", "retainability", "call_failures", "wait_s", "bill_errors"]
    linked = truth["verb"].eq("relate") & (truth["outcome"].eq("churned") | truth["term"].isin(quality))
    rows = truth[effect | linked]
    assert len(rows) > 70
    # t with 9 degrees of freedom: |t| > 5 by chance once in 1,300
    assert (rows["value"].abs() < 5 * rows["mc_error"]).all()
    assert rows.loc[linked, "value"].abs().max() < 0.01


def test_truth_says_what_was_asked_for() -> None:
    """The sizes that the notebooks tell their story with."""
    between = {
        "explain_churn|churned|satisfaction|adjusted|per_1000": (-8, -4),
        "explain_churn|churned|trust|adjusted|per_1000": (-4, -2),
        "explain_churn|churned|prepaid|adjusted|per_1000": (5, 7.5),
        "rank_drivers|satisfaction|network|blocks|share": (0.5, 0.6),
        "rank_drivers|satisfaction|design|blocks|share": (0.15, 0.25),
        "rank_drivers|satisfaction|operations|blocks|share": (0.2, 0.3),
        "rank_drivers|satisfaction|blocks|r2": (0.10, 0.25),
        "score|recommend|answered|score": (40, 50),
        "score|recommend|all_customers|score": (5, 10),
        "score|response|crude|rate": (0.11, 0.135),
    }
    for name, (low, high) in between.items():
        assert low < true(name)[0] < high, name


def test_truth_agrees_with_a_population_by_other_means(large: Operator) -> None:
    """Plain pandas and statsmodels on 20,000 customers find the shipped values within four standard errors."""
    window = large.panel["period"].astype(str).to_numpy() > "2025-10"
    panel = large.panel.assign(satisfaction=points(large.answers, "satisfaction"))[window]
    answered = panel[large.answered[window]]

    def near(name: str, value: float, error: float) -> None:
        expected, mc_error = true(name)
        assert value == pytest.approx(expected, abs=4 * np.hypot(error, mc_error)), name

    # site and month are shared, so an r of these 300 sites has about twice the error of independent rows
    r_error = 2 / np.sqrt(len(answered))
    for name in ("availability", "retainability", "wait_s", "call_failures"):
        near(f"relate|satisfaction|{name}|crude|r", answered["satisfaction"].corr(answered[name]), r_error)
    rho = answered["satisfaction"].corr(answered["wait_s"], method="spearman")
    near("relate|satisfaction|wait_s|crude|rho", rho, r_error)

    at_risk = panel[panel["churned"].notna()]
    for name, rows in (
        ("call_failures", at_risk),
        ("satisfaction", at_risk[at_risk.index.isin(answered.index)]),
    ):
        design = sm.add_constant(rows[[name, *GIVEN]].astype(float))
        margin = sm.Logit(rows["churned"].astype(float), design).fit(disp=0).get_margeff().summary_frame()
        scale = 1000 * term(name).step
        error = float(margin.loc[name, "Std. Err."]) * scale
        near(f"explain_churn|churned|{name}|adjusted|per_1000", float(margin.loc[name, "dy/dx"]) * scale, error)


def test_the_numbers_of_the_truth_are_right_on_known_cases() -> None:
    """Logit and its margin as in statsmodels, a partial r by its formula, shares that add up, alpha by hand."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((4_000, 3)) + np.array([5.0, 0.0, -2.0])
    event = (rng.random(4_000) < 1 / (1 + np.exp(8 - x @ np.array([1.0, -0.5, 0.2])))).astype(float)
    fitted = sm.Logit(event, sm.add_constant(x)).fit(disp=0, tol=1e-12)
    beta, _ = by.logit(event, x)
    np.testing.assert_allclose(beta, fitted.params, rtol=1e-7)
    effect, _ = by.effect_of_first(event, x, flag=False)
    assert effect == pytest.approx(fitted.get_margeff().margeff[0], rel=1e-7)
    a, b, c = np.corrcoef(x[:, 0], event)[0, 1], np.corrcoef(x[:, 0], x[:, 1])[0, 1], np.corrcoef(x[:, 1], event)[0, 1]
    formula = (a - b * c) / np.sqrt((1 - b**2) * (1 - c**2))
    assert by.partial(x[:, 0], event, x[:, 1:2]) == pytest.approx(formula, rel=1e-9)
    y = 2 * x[:, 0] + x[:, 1] + rng.standard_normal(4_000)
    shares, whole = by.shapley(y, [x[:, [0]], x[:, [1]], x[:, [2]]])
    assert shares.sum() == pytest.approx(1)
    assert whole == pytest.approx(sm.OLS(y, sm.add_constant(x)).fit().rsquared)
    np.testing.assert_allclose(shares, [0.8, 0.2, 0.0], atol=0.02)
    assert by.alpha(np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 5.0]])) == pytest.approx(2 * (1 - (1 + 3) / 7))
    groups = np.array([7, 7, 3])
    np.testing.assert_allclose(by.demeaned(np.array([1.0, 3.0, 9.0]), groups), [-1, 1, 0])


def test_a_preset_is_a_replacement_of_another() -> None:
    """A preset changes what it names and nothing else, and the same seed gives both the same customers."""
    louder = dataclasses.replace(PRESETS["baseline"], name="louder", leave_failures=0.5)
    one = generate(PRESETS["baseline"], 1, 500, 2, 12, "2026-10")
    other = generate(louder, 1, 500, 2, 12, "2026-10")
    first = one.panel["period"].astype(str) == "2026-09"
    pd.testing.assert_frame_equal(one.answers[first], other.answers[first])
    assert one.panel["churned"].sum() < other.panel["churned"].sum()
