"""Answers as they should not be: `reliability` and `factors` give the right number, or say what is wrong and what to do."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_study import study_of
from witnesses import HERE

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence.dimensions import METHODS as OF_FACTORS
from cxresearch.evidence.lab import confirmatory, extraction
from cxresearch.evidence.lab.confirmatory import Sample
from cxresearch.evidence.measurement import METHODS as OF_RELIABILITY
from cxresearch.finding import Finding, dumps

RES = [f"rater_res_{i}" for i in range(1, 5)]
ASS = [f"rater_ass_{i}" for i in range(1, 5)]
KEPT = ["customer_id", "site_id", "value_segment", "marker_item", *RES, *ASS]


def table() -> pd.DataFrame:
    return pd.read_csv(HERE / "measurement.csv")[KEPT]


def noise(d: pd.DataFrame) -> pd.DataFrame:
    dice = np.random.default_rng(7)
    return d.assign(**{c: dice.integers(1, 8, len(d)) for c in [*RES, *ASS]})


HARD: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "pure noise": noise,
    "an answer without variance": lambda d: d.assign(rater_res_2=5),
    "no answer varies": lambda d: d.assign(**dict.fromkeys([*RES, *ASS], 5)),
    "an answer twice": lambda d: d.assign(rater_res_2=d.rater_res_1),
    "all answers the same": lambda d: d.assign(**dict.fromkeys([*RES, *ASS], d.rater_res_1)),
    "an answer the other way round": lambda d: d.assign(rater_res_2=8 - d.rater_res_2),
    "an answer that adds up others": lambda d: d.assign(rater_res_4=(d.rater_res_1 + d.rater_ass_1) / 2),
    "two categories": lambda d: d.assign(**{c: (d[c] > 4) + 1 for c in [*RES, *ASS]}),
    "two categories, one rare": lambda d: d.assign(**{c: (d[c] > 6) + 1 for c in [*RES, *ASS]}),
    "three customers": lambda d: d.head(3),
    "as many customers as answers": lambda d: d.head(8),
    "twelve customers": lambda d: d.head(12),
    "no answer at all": lambda d: d.assign(**dict.fromkeys([*RES, *ASS], np.nan)),
    "one score without answers": lambda d: d.assign(**dict.fromkeys(ASS, np.nan)),
    "half of the answers missing": lambda d: d.assign(**{c: d[c].where(np.arange(len(d)) % 3 != i % 3) for i, c in enumerate(RES)}),
    "one site": lambda d: d.assign(site_id="s"),
    "two sites": lambda d: d.assign(site_id=np.where(np.arange(len(d)) % 2, "a", "b")),
    "an answer that varies in one site only": lambda d: d.assign(rater_res_1=np.where(d.site_id == "s00", d.rater_res_1, 4)),
    "one segment": lambda d: d.assign(value_segment="high"),
    "a marker without variance": lambda d: d.assign(marker_item=4),
}  # fmt: skip


def opened(folder: Path, frame: pd.DataFrame, *, sites: bool) -> Study:
    frame = frame.astype(dict.fromkeys([*RES, *ASS], "float64"))
    levels = ["customer", "site"] if sites else ["customer"]
    panel = frame[["customer_id", "site_id", "value_segment"]].astype("string")
    return study_of(folder, panel=panel, surveys=frame.drop(columns=["site_id", "value_segment"]), levels=levels)


def sound(finding: Finding) -> None:
    """No NaN in a word or a row, no interval beside its estimate, and words where there is no number."""
    told = " | ".join((finding.answer, finding.title, finding.method, *(c.text for c in finding.caveats)))
    assert not re.search(r"\b(nan|NaN|None|inf)\b", told), told
    for row in finding.rows():
        assert all(not isinstance(v, float) or math.isfinite(v) for v in row.values()), row
        if row["estimate"] is not None and row["conf_low"] is not None:
            assert row["conf_low"] <= row["estimate"] + 1e-12, row
            assert row["estimate"] <= row["conf_high"] + 1e-12, row
        if row["measure"] in ("r", "share") and row["estimate"] is not None:
            assert -1 <= row["estimate"] <= 1, row
    if not finding.estimable:
        assert finding.answer.startswith("Not estimable: "), finding.answer
    json.loads(dumps(finding.to_json()))
    assert finding._repr_mimebundle_()["text/html"]


QUICK = {
    "an answer twice",
    "an answer that adds up others",
    "two categories",
    "three customers",
    "one site",
    "no answer varies",
}
CASES = [
    pytest.param(name, sites, marks=() if name in QUICK else pytest.mark.slow)
    for name, sites in zip(HARD, itertools.cycle([True, False]), strict=False)
]


@pytest.mark.parametrize("name, sites", CASES)
def test_hard_answers(name: str, sites: bool, tmp_path: Path) -> None:
    """On hostile answers both verbs give a number or say that there is none: no error, no warning, no NaN."""
    study = opened(tmp_path, HARD[name](table()), sites=sites)
    sound(cx.reliability(study, method=OF_RELIABILITY))
    sound(cx.factors(study, by="value_segment", method=OF_FACTORS))
    sound(cx.factors(study, ["rater_res_1", "rater_res_2"], method=OF_FACTORS))
    assert not cx.factors(study, "rater_res_1", method=["number", "model"]).estimable


def test_noise_holds_no_factor(tmp_path: Path) -> None:
    """Answers by dice hold no factor, and nothing says that they measure anything."""
    found = cx.factors(opened(tmp_path, noise(table()), sites=False))
    assert found.one(measure="factors")["estimate"] == 0
    alpha = cx.reliability(opened(tmp_path, noise(table()), sites=False), "responsiveness").one(measure="alpha")
    assert alpha["conf_low"] < 0 < alpha["conf_high"]


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_noise_shared_by_neighbours_holds_no_more(shared: float) -> None:
    """Chance level by as many independent people as know as much: sites that share their noise add no factor to it."""
    # 40 sites of 8; each answer has a part that neighbours share
    found = []
    for seed in range(15):
        dice = np.random.default_rng(seed)
        values = dice.normal(size=(320, 8)) + shared / math.sqrt(1 - shared**2) * np.repeat(
            dice.normal(size=(40, 8)), 8, 0
        )
        r, chance = np.corrcoef(values.T), extraction.random_eigenvalues(320, 8, draws=200, seed=1)
        blocks = np.array([np.corrcoef(np.delete(values, range(8 * b, 8 * b + 8), 0).T) for b in range(40)])
        n = extraction.effective_n(r, blocks, 320)
        chance = extraction.random_eigenvalues(n, 8, draws=200, seed=1)
        found.append(int(extraction.factor_count(extraction.eigenvalues(r), chance)))
    assert sum(count > 0 for count in found) <= 3  # 1 in 20 each: 4 or more have a chance of .5 %


def test_units_of_answers_do_not_matter() -> None:
    """Answers in other units have the same standardised loadings and chi²."""
    values = table()[[*RES, *ASS]].to_numpy(dtype=float)
    pattern = np.repeat(np.eye(2, dtype=bool), 4, axis=0)
    fits = []
    for sample in (values, values * 1e-8, values + 1e9):
        fits.append(confirmatory.fit([Sample(np.corrcoef(sample.T), len(values))], pattern))
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.standardised(), fits[0].standardised(), atol=1e-6)
        assert fit.chi2 == pytest.approx(fits[0].chi2, rel=1e-6)


def test_an_improper_solution_is_told(tmp_path: Path) -> None:
    """Scores whose answers are mixed up give correlations of no people: the finding says so and what to do."""
    frame = table()
    mixed = frame.assign(rater_res_1=frame.rater_ass_1, rater_ass_1=frame.rater_res_1, rater_res_2=frame.rater_ass_2,
                         rater_ass_2=frame.rater_res_2)  # fmt: skip
    caveats = {c.code: c.text for c in cx.factors(opened(tmp_path, mixed, sites=False)).caveats}
    assert "Leave out that answer" in caveats["improper"]


def test_an_answer_asked_the_other_way_round_is_named(tmp_path: Path) -> None:
    """As psych::alpha(check.keys = FALSE) warns: the answer that runs against the others is named, and no other one."""
    frame = table()
    turned = frame.assign(rater_res_2=frame.rater_res_2.max() + frame.rater_res_2.min() - frame.rater_res_2)
    told = []
    for name, answers in (("plain", frame), ("turned", turned)):
        (tmp_path / name).mkdir()
        found = cx.reliability(opened(tmp_path / name, answers, sites=False), "responsiveness")
        told.append([c.text for c in found.caveats if c.code == "against"])
    assert told[0] == []
    assert "(responsiveness: responsiveness, item 2)" in told[1][0]


def test_two_answers_alone_have_no_loadings(tmp_path: Path) -> None:
    """One correlation cannot tell two loadings, of ordered answers either: lavaan finds them not identified."""
    dice = np.random.default_rng(1)
    felt = dice.normal(size=(200, 1)) + dice.normal(size=(200, 3))
    surveys = pd.DataFrame((felt > 0) * 1 + (felt > 1) * 1, columns=["first", "second", "recommend"])
    score = {"satisfaction": '{mean_of = ["first", "second"], scale = [0, 2]}', "recommend": '"recommend"'}
    found = cx.factors(study_of(tmp_path, surveys=surveys, columns=score), ["satisfaction", "recommend"])
    assert found.rows(measure="loading") == []
    (told,) = found.rows(model="ordered")
    assert (told["estimate"], told["effect_label"]) == (
        None,
        "a model needs a score of three answers, or two scores of two",
    )


def test_correlations_that_fit_no_people_together_say_so(tmp_path: Path) -> None:
    """Polychoric correlations of few customers may have a negative eigenvalue: no answer adds up to others then."""
    dice = np.random.default_rng(1)
    felt = dice.normal(size=(20, 1)) + dice.normal(size=(20, 6))
    surveys = pd.DataFrame((felt > 0) * 1, columns=[f"q{i}" for i in range(6)])
    score = {"satisfaction": '{mean_of = ["q0", "q1", "q2", "q3", "q4", "q5"], scale = [0, 1]}'}
    assert np.linalg.eigvalsh(surveys.corr())[0] > 0.05
    found = cx.factors(study_of(tmp_path, surveys=surveys, columns=score))
    assert found.rows(measure="eigenvalue")[-1]["estimate"] < -0.05
    (told,) = (c.text for c in found.caveats if c.code == "repeated")
    assert told.startswith("Polychoric correlations, each from its own two answers, fit no people together")


def test_no_interval_of_a_reliability_passes_one(tmp_path: Path) -> None:
    """Few customers who answer nearly alike: every interval holds its estimate and ends below 1, where the plain one does not."""
    rng = np.random.default_rng(1)
    felt = rng.normal(5, 1.5, 15)
    frame = pd.DataFrame({f"q{i}": felt + rng.normal(0, noise, 15) for i, noise in enumerate((0.9, 0.9, 3.0))})
    made = '{mean_of = ["q0", "q1", "q2"], scale = [0, 10]}'
    finding = cx.reliability(
        study_of(tmp_path, surveys=frame, columns={"satisfaction": made}),
        method=("omega", "composite", "others"),
    )
    told = [row for row in finding.rows() if row["measure"] in ("omega", "composite_reliability", "ave", "lambda6")]
    assert len(told) == 4
    assert any(row["estimate"] + 1.96 * row["std_error"] > 1 for row in told)
    for row in told:
        assert row["conf_low"] < row["estimate"] < row["conf_high"] < 1


def test_a_misspelt_method_is_refused(tmp_path: Path) -> None:
    """A method that there is not is refused, naming those that there are."""
    study = opened(tmp_path, table(), sites=False)
    with pytest.raises(UsageError, match="no method 'omga' of reliability; it has alpha, omega"):
        cx.reliability(study, method=["omga"])
    with pytest.raises(UsageError, match="no method 'htmt' of factors; it has number, model"):
        cx.factors(study, method=["htmt"])


@pytest.mark.parametrize("verb", [cx.factors, cx.reliability])
def test_without_answers_the_columns_are_named(verb: Callable[[Study], Finding], tmp_path: Path) -> None:
    """A study without answers is told which would be needed."""
    study = study_of(tmp_path, panel=pd.DataFrame({"customer_id": ["a", "b"], "wait_s": [1.0, 2.0]}))
    found = verb(study)
    assert found.answer.startswith("Not estimable: ")
    assert [c.code for c in found.caveats] == ["missing-columns"]


def test_the_claim_of_five_factors_can_be_judged(small_operator: Path) -> None:
    """On an operator whose answers have five factors the part of the claim that says so is supported."""
    study = cx.open_study(str(small_operator))
    found = cx.factors(study, study.rater, method=["number"])
    assert cx.judge("S2.13", found, part="five_factors").verdict == "supported"
