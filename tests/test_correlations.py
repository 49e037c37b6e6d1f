"""What correlations are made of: ranks, scales of answers, what is left of a sign, and who did not answer."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from berkeley import admissions
from scipy import stats
from small_study import study_of

import cxresearch as cx
from cxresearch.evidence import silent
from cxresearch.evidence.association import alpha, partial, pearson
from cxresearch.evidence.blocks import members
from cxresearch.evidence.lab import two_correlations
from cxresearch.evidence.lab.polychoric import crossed, polychoric, polychoric_matrix, two_step
from cxresearch.evidence.ranks import concordances

# -- Kendall's tau


@pytest.mark.parametrize("answers", [2, 7, 10_000])
def test_tau_without_a_block_is_tau_of_the_others(answers: int) -> None:
    """What is left out block by block is what ranking the other rows anew gives, ties and all."""
    dice = np.random.default_rng(answers)
    columns = dice.integers(0, answers, (200, 3)).astype(float)
    columns[:, 1] = np.minimum(columns[:, 0], columns[:, 1])
    blocks = dice.integers(0, 12, 200)
    full, left_out = concordances(columns, members([str(i) for i in range(blocks.max() + 1)], blocks))
    for i, j in itertools.combinations(range(3), 2):
        assert pearson(full, i, j) == pytest.approx(stats.kendalltau(columns[:, i], columns[:, j]).statistic, abs=1e-14)
        for block in range(12):
            kept = columns[blocks != block]
            want = stats.kendalltau(kept[:, i], kept[:, j]).statistic
            assert pearson(left_out[block], i, j) == pytest.approx(want, abs=1e-14)


def test_tau_of_nothing() -> None:
    """Where one column does not vary there is no tau."""
    full, _ = concordances(np.column_stack([np.ones(9), np.arange(9.0)]), members(["all"], np.zeros(9, dtype=np.intp)))
    assert math.isnan(pearson(full, 0, 1))


# -- polychoric correlation


def felt(rho: float, n: int, seed: int, blocks: int = 0) -> np.ndarray:
    """Two normal feelings (n, 2) that correlate so; those of a block have half of each in common."""
    dice = np.random.default_rng(seed)
    shared = dice.normal(size=(max(blocks, 1), 2))[np.arange(n) % max(blocks, 1)]
    plain = np.sqrt(0.5) * (shared + dice.normal(size=(n, 2))) if blocks else dice.normal(size=(n, 2))
    return plain @ np.linalg.cholesky([[1, rho], [rho, 1]]).T


CUTS = ([-1.2, 0.1, 0.9], [-0.6, 0.0, 1.4, 2.0])


@pytest.mark.parametrize("rho", [-0.95, -0.4, 0.0, 0.7, 0.99])
def test_polychoric_of_exact_shares_is_the_correlation(rho: float) -> None:
    """From a table with the shares that a bivariate normal has, correlation and thresholds come back."""
    cov = [[1, rho], [rho, 1]]
    h, k = ([-9.0, *cuts, 9.0] for cuts in CUTS)
    below = np.array(
        [[stats.multivariate_normal.cdf([a, b], cov=cov, abseps=1e-12, releps=1e-12) for b in k] for a in h]
    )
    table = 10_000 * np.diff(np.diff(below, axis=0), axis=1).clip(0)
    assert two_step(table) == pytest.approx(rho, abs=1e-7)
    found = polychoric(table)
    assert found.estimate == pytest.approx(rho, abs=1e-7)
    np.testing.assert_allclose(found.row_thresholds, CUTS[0], atol=1e-6)
    np.testing.assert_allclose(found.column_thresholds, CUTS[1], atol=1e-6)
    assert found.chi2 == pytest.approx(0, abs=1e-3)


@pytest.mark.slow
def test_error_of_polychoric_is_that_of_many_tables() -> None:
    """Over 400 tables of 300 answers the estimates vary as much as the error of each says, and lie round the truth."""
    tables = [
        crossed(*(np.digitize(x, c) * 1.0 for x, c in zip(felt(0.5, 300, s).T, CUTS, strict=True))) for s in range(400)
    ]
    found = [polychoric(table) for table in tables]
    estimates, errors = (np.array([getattr(f, name) for f in found]) for name in ("estimate", "std_error"))
    assert np.mean(estimates) == pytest.approx(0.5, abs=4 * np.std(estimates) / 20)
    assert np.mean(errors) == pytest.approx(np.std(estimates), rel=0.1)
    inside = [i.conf_low < 0.5 < i.conf_high for i in (f.interval() for f in found)]
    assert 0.92 <= np.mean(inside) <= 0.98


def test_clustered_answers_are_fitted_anew_without_each_cluster(tmp_path: Path) -> None:
    """The interval is within a hundredth of its width of that of full fits; rows alone would say far too much."""
    x, y = (np.digitize(v, c) * 1.0 for v, c in zip(felt(0.5, 600, 3, blocks=40).T, CUTS, strict=True))
    site = np.arange(600) % 40
    frame = pd.DataFrame({"bill_errors": x, "transfers": y, "site_id": [f"s{i}" for i in site]})
    study = study_of(tmp_path, panel=frame, levels=["customer", "site"])
    record = cx.relate(study, "bill_errors", "transfers", steps=["crude"], method="polychoric").one(
        measure="polychoric"
    )
    anew = np.arctanh([polychoric(crossed(x[site != s], y[site != s])).estimate for s in range(40)])
    error = math.sqrt(39 / 40 * float(((anew - anew.mean()) ** 2).sum()))
    middle = math.atanh(polychoric(crossed(x, y)).estimate)
    want = np.tanh(middle + np.array([-1, 1]) * stats.t.ppf(0.975, 39) * error)
    np.testing.assert_allclose([record["conf_low"], record["conf_high"]], want, atol=0.01 * (want[1] - want[0]))
    assert error > 2 * polychoric(crossed(x, y)).std_error / (1 - record["estimate"] ** 2)


@pytest.mark.parametrize(
    "table",
    [[[5, 0], [3, 9]], [[5, 0], [0, 9]], [[5, 9]], [[0, 0], [0, 0]], np.zeros((0, 0)), np.diag([3, 4, 5, 6])],
    ids=["one empty corner", "no exception", "one answer", "empty", "no answers", "a diagonal"],
)
def test_a_table_without_polychoric(table: list[list[int]]) -> None:
    """Where one answer alone decides the other, or there is one answer only, no number is invented."""
    found = polychoric(np.array(table, dtype=float))
    assert math.isnan(found.estimate)
    assert math.isnan(two_step(np.array(table, dtype=float)))
    assert found.interval().estimate is None


def test_empty_cells_and_categories_nobody_chose() -> None:
    """A category that nobody chose changes nothing, empty cells are no zeros to be mended, and rows turn the sign."""
    table = np.array([[12, 3, 0, 0], [5, 9, 4, 0], [0, 4, 11, 6.0]])
    wider = np.insert(np.insert(table, 1, 0, axis=0), 2, 0, axis=1)
    found = polychoric(table)
    assert polychoric(wider).estimate == found.estimate > 0.7
    assert polychoric(table[::-1]).estimate == pytest.approx(-found.estimate, abs=1e-9)
    assert polychoric(table.T).std_error == pytest.approx(found.std_error, rel=1e-6)


def test_matrix_of_polychoric_correlations_with_gaps() -> None:
    """Each pair counts the rows that have both; a pair without a number leaves the others as they are."""
    x, y = (np.digitize(v, c) * 1.0 for v, c in zip(felt(0.6, 400, 5).T, CUTS, strict=True))
    gaps = np.where(np.arange(400) < 150, np.nan, y)
    found = polychoric_matrix(np.column_stack([x, gaps, np.full(400, 3.0)]))
    assert found[0, 1] == found[1, 0] == two_step(crossed(x[150:], y[150:]))
    assert np.isnan(found[2, :2]).all()
    assert (np.diag(found) == 1).all()


# -- two correlations


def test_tests_of_two_correlations_hold_their_level() -> None:
    """Where two correlations are equal, each test is below .05 in about five of a hundred samples."""
    dice = np.random.default_rng(8)
    cov = np.array([[1, 0.5, 0.5], [0.5, 1, 0.3], [0.5, 0.3, 1]])
    below = []
    for _ in range(2_000):
        (_, r12, r13), (_, _, r23), _ = np.corrcoef(dice.multivariate_normal(np.zeros(3), cov, size=60).T)
        below.append(
            [test(r12, r13, r23, 60).p_value < 0.05 for test in (two_correlations.williams, two_correlations.steiger)]
        )
    assert np.all(np.abs(np.mean(below, axis=0) - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 2_000))


def test_correlations_that_cannot_be_compared() -> None:
    """Three rows, a correlation of one, or three that cannot hold together give no number."""
    assert math.isnan(two_correlations.independent(0.5, 3, 0.2, 50).p_value)
    assert math.isnan(two_correlations.independent(1.0, 30, 0.2, 50).p_value)
    for test in (two_correlations.williams, two_correlations.steiger):
        assert math.isnan(test(0.5, 0.2, 0.1, 3).p_value)
        assert math.isnan(test(0.9, -0.9, 0.9, 50).p_value)
    assert math.isnan(two_correlations.steiger(1.0, 0.5, 0.5, 50).p_value)


# -- a sign that turns


def test_a_sign_within_noise_is_no_reversal(tmp_path: Path) -> None:
    """Berkeley's admissions: odds 1.84 over all, .905 by department; that is nothing left, and no reversal."""
    frame = admissions()
    tables = {
        name: pd.crosstab(d.prepaid, d.fcr).to_numpy() for name, d in [("all", frame), *frame.groupby("value_segment")]
    }
    whole = tables.pop("all")
    assert whole[1, 1] * whole[0, 0] / whole[1, 0] / whole[0, 1] == pytest.approx(1.841, abs=5e-4)
    with_, against = (sum(t[1, 1 - i] * t[0, i] / t.sum() for t in tables.values()) for i in (0, 1))
    assert with_ / against == pytest.approx(0.905, abs=5e-4)
    finding = cx.relate(study_of(tmp_path, panel=frame), "fcr", "prepaid", by="value_segment")
    caveats = {c.code: c.text for c in finding.caveats}
    assert "reversed" not in caveats
    assert "is not there: within segment" in caveats["confounded"]
    assert "turns" not in finding.answer + finding.title
    assert "; within segment it is not there: −0.0" in finding.answer
    assert finding.title.endswith("the crude correlation is not there within segment")


@pytest.mark.parametrize("between, within", [(0.0, 0.9), (0.9, 0.0)])
def test_title_and_sentence_tell_the_same_of_a_ladder(between: float, within: float, tmp_path: Path) -> None:
    """What is told from zero only within customers, or only between them, is said so in both."""
    dice = np.random.default_rng(3)
    lasting = dice.multivariate_normal([0, 0], [[1, between], [between, 1]], 60)
    passing = dice.multivariate_normal([0, 0], [[1, within], [within, 1]], (60, 4))
    scale = (10, 1) if not between else (10, 3)
    x, y = (scale[0] * lasting[:, None, i] + scale[1] * passing[:, :, i] for i in (0, 1))
    months = [f"2026-{m:02d}" for m in range(7, 11)]
    frame = pd.DataFrame({"customer_id": np.repeat(np.arange(60), 4).astype(str), "period": months * 60,
                          "list_price": 100 + x.ravel(), "usage_data_gb": 100 + y.ravel()})  # fmt: skip
    finding = cx.relate(
        study_of(tmp_path, panel=frame), "list_price", "usage_data_gb", steps=["crude", "within_customer"]
    )
    ends = {r["model"]: (r["conf_low"], r["conf_high"]) for r in finding.rows(measure="r")}
    told = {model for model, (low, high) in ends.items() if low > 0 or high < 0}
    assert told == ({"within_customer"} if within else {"crude"})
    for text in (finding.answer, finding.title):
        if within:
            assert "go together within customer" in text or "within customer they go together" in text
            assert "no correlation" in text
        else:
            assert "go together" in text
            assert "not told from zero" in text
            assert "show no correlation" not in text


def test_steps_that_tell_both_signs_are_both_named(tmp_path: Path) -> None:
    """Where use hides what goes wrong, a step that leaves use free must not give the direction: both stand there.

    Heavy users meet more failures and leave less; sites with many failures have many leavers. Crude the two cancel.
    """
    dice = np.random.default_rng(11)
    site, use = np.repeat(np.arange(50), 200), dice.normal(size=10_000)
    bad = np.repeat(dice.normal(size=50), 200)
    failures = bad + use + 0.5 * dice.normal(size=10_000)
    leaving = 0.8 * bad - use + 0.2 * failures + 0.5 * dice.normal(size=10_000)
    panel = pd.DataFrame({"customer_id": np.arange(10_000).astype(str), "site_id": site.astype(str),
                          "call_failures": failures - failures.min(), "usage_calls": 10 * (use - use.min()), "margin": leaving})  # fmt: skip
    finding = cx.relate(
        study_of(tmp_path, panel=panel, levels=("customer", "site")), "margin", "call_failures", given=["usage_calls"],
        steps=["crude", "adjusted", "within_site_month"], method=["pearson"],
    )  # fmt: skip
    ends = {r["model"]: (r["conf_low"], r["conf_high"]) for r in finding.rows(measure="r")}
    assert ends["crude"][0] < 0 < ends["crude"][1]
    assert ends["adjusted"][0] > 0 > ends["within_site_month"][1]
    direct = np.linalg.lstsq(np.column_stack([failures, use, np.ones(10_000)]), leaving, rcond=None)[0][0]
    assert direct > 0  # least squares with use held fixed
    assert "at the same usage and price they go together" in finding.answer
    assert "within site and month they go in opposite directions" in finding.answer
    assert finding.title.endswith(": in which direction they go hangs on what is held fixed")


def test_rows_of_the_panel_are_not_called_answers(tmp_path: Path) -> None:
    """Pairs on all customers and pairs on those who answered rest on rows of their own, each counted as what it is."""
    dice = np.random.default_rng(8)
    panel = pd.DataFrame(
        {"customer_id": np.repeat(np.arange(120), 2).astype(str), "period": ["2026-09", "2026-10"] * 120}
    )
    panel = panel.assign(
        churned=dice.random(240) < 0.3,
        list_price=dice.random(240),
        usage_data_gb=dice.random(240),
        handset_age_m=np.where(np.arange(240) % 6, np.nan, dice.random(240)),
    )
    surveys = panel.loc[::3, ["customer_id", "period"]].assign(satisfaction=dice.random(80) * 10)
    study = study_of(tmp_path, panel=panel, surveys=surveys)
    known = panel["period"] == "2026-09"  # who left after the last month is not known
    finding = cx.relate(study, "churned", ["list_price", "satisfaction"], steps=["crude"], method=["pearson"])
    assert (
        f"{known.sum()} of 240 customer-months and {known[::3].sum()} of 80 answered surveys have all columns"
        in finding.sample
    )
    steps = ["crude", "within_customer"]
    some = cx.relate(study, "list_price", ["usage_data_gb", "handset_age_m"], steps=steps, method=["pearson"])
    assert some.one(model="within_customer", term="usage_data_gb")["estimate"] is not None
    assert "No step 'within customer' for some pairs: no two rows in one cell." in some.sample
    question = cx.rank_drivers(study, "satisfaction", ["list_price", "handset_age_m"]).question
    assert question.startswith("Which of list price, age of the handset rank first")


def test_a_reversal_needs_both_sides(tmp_path: Path) -> None:
    """With fewer men admitted in each department the sign within is clearly the other one, and that is told."""
    finding = cx.relate(study_of(tmp_path, panel=admissions(0.85)), "fcr", "prepaid", by="value_segment")
    caveats = {c.code: c.text for c in finding.caveats}
    assert caveats["reversed"].startswith("Within segment the sign is the opposite of that over all customers (")
    assert "turns: within segment" in caveats["confounded"]


def test_a_reversal_by_another_column(tmp_path: Path) -> None:
    """The levels of any column that is asked for are held equal, not only those of the usual segment."""
    frame = admissions(0.85).rename(columns={"value_segment": "region"}).assign(value_segment="one")
    finding = cx.relate(study_of(tmp_path, panel=frame), "fcr", "prepaid", by="region", steps=["crude"])
    inside = finding.one(model="within region", measure="r")
    demeaned = frame[["fcr", "prepaid"]] - frame.groupby("region")[["fcr", "prepaid"]].transform("mean")
    assert inside["estimate"] == pytest.approx(demeaned.corr().iloc[0, 1], rel=1e-11)
    assert next(c.text for c in finding.caveats if c.code == "reversed").startswith("Within region the sign is")


# -- earlier months


def test_lags_crude_and_within_customer(tmp_path: Path) -> None:
    """Each lag stands at equal use and price, crude, and within customer, where own means are taken off."""
    dice = np.random.default_rng(9)
    months = [f"2026-{m:02d}" for m in range(3, 11)]
    kind = np.repeat(dice.normal(size=80), len(months))
    wait = dice.normal(size=kind.size) + kind
    earlier = np.where(np.arange(kind.size) % len(months) == 0, 0.0, np.roll(wait, 1))
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i}" for i in range(80)], len(months)),
            "period": months * 80,
            "wait_s": 100 + 10 * wait,
            "revenue": 50 - 8 * (earlier - kind) + 9 * kind + 3 * dice.normal(size=kind.size),
            "list_price": 20 + dice.normal(size=kind.size),
        }
    )
    finding = cx.relate(study_of(tmp_path, panel=frame, window=6), "revenue", "wait_s", lag=[0, 1], method="pearson")
    models = [r["model"] for r in finding.rows()]
    assert models == [f"lag {k}{rest}" for k in (0, 1) for rest in ("", ", crude", ", within customer")]
    frame["earlier"] = frame.groupby("customer_id")["wait_s"].shift(1)
    recent = frame[frame.period >= "2026-05"]
    own = recent[["earlier", "revenue"]] - recent.groupby("customer_id")[["earlier", "revenue"]].transform("mean")
    estimates = {r["model"]: r["estimate"] for r in finding.rows()}
    assert estimates["lag 1, crude"] == pytest.approx(recent[["earlier", "revenue"]].corr().iloc[0, 1], rel=1e-10)
    assert estimates["lag 1, within customer"] == pytest.approx(own.corr().iloc[0, 1], rel=1e-10)
    assert estimates["lag 1, within customer"] < -0.7 < 0 < estimates["lag 1, crude"]
    assert "; within customer " in finding.answer


# -- reliability, and those who did not answer


def scale(n: int, seed: int, noise: float = 1.0) -> pd.DataFrame:
    """Customers whose satisfaction is measured by three noisy answers, and what they met."""
    dice = np.random.default_rng(seed)
    truth = dice.normal(size=n)
    items = (6 + 1.5 * (truth[:, None] + noise * dice.normal(size=(n, 3)))).round().clip(1, 10)
    met = 100 - 20 * (0.6 * truth + 0.8 * dice.normal(size=n))
    return pd.DataFrame({f"sat{i + 1}": items[:, i] for i in range(3)} | {"wait_s": met})


def test_a_corrected_correlation_counts_the_error_of_the_reliability(tmp_path: Path) -> None:
    """Its interval is that of leaving out each customer, alpha anew each time, not that of r made longer."""
    frame = scale(60, 2, noise=2.0).rename(columns={"wait_s": "design_weight"})  # any number of the survey
    record = cx.relate(study_of(tmp_path, surveys=frame), "satisfaction", "design_weight").one(model="reliable")
    values = frame.assign(score=frame[["sat1", "sat2", "sat3"]].mean(axis=1)).to_numpy()

    def corrected(rows: np.ndarray) -> float:
        covariance = np.cov(rows.T)
        return float(pearson(covariance, 4, 3) / np.sqrt(alpha(covariance, [0, 1, 2])))

    z = np.arctanh([corrected(np.delete(values, i, 0)) for i in range(60)])
    error = math.sqrt(59 / 60 * float(((z - z.mean()) ** 2).sum()))
    want = np.tanh(math.atanh(corrected(values)) + np.array([-1, 1]) * stats.t.ppf(0.975, 59) * error)
    assert record["estimate"] == pytest.approx(corrected(values), rel=1e-10)
    np.testing.assert_allclose([record["conf_low"], record["conf_high"]], want, rtol=1e-9)


@pytest.mark.parametrize(("slope", "shift"), list(itertools.product((0.5, 1, 1.5), (-1, 0, 0.5))))
def test_the_silent_with_an_altered_line(slope: float, shift: float) -> None:
    """The formula is the correlation over all customers when the silent are given answers from the altered line."""
    dice = np.random.default_rng(11)
    n, answered = 200_000, 80_000
    x = np.concatenate([dice.normal(1, 2, answered), dice.normal(-1, 3, n - answered)])
    y = 3 + 0.5 * x + dice.normal(0, 2, n)
    b, at = np.cov(x[:answered], y[:answered])[0, 1] / x[:answered].var(ddof=1), x[:answered].mean()
    line = y[:answered].mean() + b * slope * (x - at) + shift * y[:answered].std()
    scatter = y[:answered] - y[:answered].mean() - b * (x[:answered] - at)
    full = np.concatenate([y[:answered], line[answered:] + dice.choice(scatter, n - answered)])
    a = (np.arange(n) < answered) * 1.0
    columns = np.column_stack([np.ones(n), x, a, a * x, a * y])
    got = silent.mixture(columns.T @ columns / n, slope, shift)
    assert got == pytest.approx(np.corrcoef(x, full)[0, 1], abs=0.005)


def test_alterations_between_the_ends_stay_inside() -> None:
    """No slope or shift between those tried gives a correlation outside the range of those tried, beyond .002."""
    dice = np.random.default_rng(12)
    for _ in range(300):
        share, gap, spread, r = dice.uniform(0.05, 0.95), dice.normal(), dice.uniform(0.5, 2), dice.uniform(-0.9, 0.9)
        products = np.zeros((5, 5))
        silent_x, var = -gap, spread**2  # the answers have mean 0 and variance 1 in both
        products[0] = [1, (1 - share) * silent_x, share, 0, 0]
        products[1, 1], products[1, 3], products[1, 4] = share + (1 - share) * (var + silent_x**2), share, share * r
        products[4, 4] = share
        corners = [silent.mixture(products, *c) for c in itertools.product(silent.SLOPES, silent.SHIFTS)]
        grid = itertools.product(np.linspace(0.5, 1.5, 11), np.linspace(-1, 0.5, 16))
        inside = [silent.mixture(products, *c) for c in grid]
        assert min(corners) - 0.002 <= min(inside)
        assert max(inside) <= max(corners) + 0.002


def test_a_site_where_nobody_answered_counts(tmp_path: Path) -> None:
    """The range counts every site, also one without answers, and how many answered in each."""
    dice = np.random.default_rng(13)
    frame = scale(400, 14).assign(
        customer_id=[f"c{i}" for i in range(400)], site_id=[f"s{i % 8}" for i in range(400)], period="2026-10"
    )
    answered = (dice.random(400) < 0.5) & (frame.site_id != "s3")
    surveys = frame.loc[answered, ["customer_id", "period", "sat1", "sat2", "sat3"]]
    study = study_of(
        tmp_path,
        panel=frame[["customer_id", "period", "site_id", "wait_s"]],
        surveys=surveys,
        levels=["customer", "site"],
        window=1,
    )
    record = cx.relate(study, "satisfaction", "wait_s").one(model="all_customers")
    x = frame.wait_s.to_numpy() - 100
    y = np.where(answered, frame[["sat1", "sat2", "sat3"]].mean(axis=1), 0.0)
    columns = np.column_stack([np.ones(400), x, answered, answered * x, y])

    def altered(kept: np.ndarray, slope: float, shift: float) -> float:
        return float(silent.mixture(columns[kept].T @ columns[kept] / kept.sum(), slope, shift))

    ends = []
    for slope, shift in itertools.product(silent.SLOPES, silent.SHIFTS):
        z = np.arctanh([altered((frame.site_id != f"s{i}").to_numpy(), slope, shift) for i in range(8)])
        half = stats.t.ppf(0.975, 7) * math.sqrt(7 / 8 * float(((z - z.mean()) ** 2).sum()))
        middle = math.atanh(altered(np.ones(400, dtype=bool), slope, shift))
        ends += [math.tanh(middle - half), math.tanh(middle + half)]
    assert (record["n"], record["clusters"]) == (400, 8)
    assert [record["conf_low"], record["conf_high"]] == pytest.approx([min(ends), max(ends)], rel=1e-8)


def test_partial_correlation_of_controls_that_say_the_same_twice() -> None:
    """A control that stands twice counts once."""
    values = np.random.default_rng(15).normal(size=(3, 50))
    covariance = np.cov(np.vstack([values, 2 * values[2]]))
    assert partial(covariance, 0, 1, [2, 3]) == pytest.approx(partial(covariance, 0, 1, [2]), rel=1e-10)
