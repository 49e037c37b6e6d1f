"""Verdicts: one rule, the same for every interval and region, and what a claim's parts add up to."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cxresearch as cx
from cxresearch import claims
from cxresearch.claims import VERDICTS, Verdict, combine, decide, judge, keep
from cxresearch.errors import UsageError
from cxresearch.evidence import inference
from cxresearch.finding import Caveat, Finding, dumps, interval_at, written
from cxresearch.measures import MEASURES
from cxresearch.policy import register
from cxresearch.report import ledger
from cxresearch.table import COLUMNS, COUNT_COLUMNS, NUMBER_COLUMNS, row, tidy

DICE = np.random.default_rng(7)


def finding(*rows: dict[str, Any], answer: str = "An answer.") -> Finding:
    """A finding with these rows."""
    return Finding(
        name="a finding", question="?", estimand="", design="descriptive", table=tidy(rows), method="", sample="", answer=answer
    )  # fmt: skip


def correlation(estimate: float = 0.3, half: float = 0.05, **more: Any) -> dict[str, Any]:
    """A row of a correlation with its interval."""
    ends = {"conf_low": estimate - half, "conf_high": estimate + half}
    return row(outcome="satisfaction", term="retainability", measure="r", estimate=estimate, n=500, **(ends | more))


# -- the one rule


def region(kind: str, at: float, width: float) -> tuple[float | None, float | None]:
    return {"at least": (at, None), "at most": (None, at), "within": (at, at + width), "any": (None, None)}[kind]


@pytest.mark.parametrize("kind", ["at least", "at most", "within", "any"])
def test_a_verdict_is_where_the_interval_lies(kind: str) -> None:
    """Supported is inside the region, refuted is outside it, undecided is both: for 500 intervals of each kind."""
    for at, width, one, other in DICE.normal(size=(500, 4)):
        low, high = region(kind, at, abs(width))
        a, b = sorted((one, other))
        inside = [
            (-math.inf if low is None else low) <= x <= (math.inf if high is None else high)
            for x in np.linspace(a, b, 801)
        ]
        verdict, reason = decide(a, b, low, high)
        spans = low is not None and high is not None and a < low and high < b  # the region lies inside the interval
        if verdict == "undecided":
            assert spans or (any(inside) and not all(inside)) or min(abs(x - at) for x in (a, b)) < (b - a) / 400
        else:
            assert all(inside) if verdict == "supported" else not any(inside)
        assert (reason != "") is (verdict == "undecided")


def test_the_mirror_image_has_the_same_verdict() -> None:
    """What holds for more of something holds for less of its opposite."""
    for at, one, other in DICE.normal(size=(500, 3)):
        a, b = sorted((one, other))
        assert decide(a, b, at, None) == decide(-b, -a, None, -at)


def test_more_data_never_turn_a_verdict_round() -> None:
    """An interval inside another one is never refuted where that was supported, nor supported where refuted."""
    for at, width, *ends in DICE.normal(size=(500, 6)):
        a, c, d, b = sorted(ends)
        for kind in ("at least", "at most", "within"):
            wide, narrow = (decide(x, y, *region(kind, at, abs(width)))[0] for x, y in ((a, b), (c, d)))
            assert wide == "undecided" or narrow == wide


@pytest.mark.parametrize(
    "interval, bounds, nothing, want",
    [
        ((0.02, 0.2), (0.1, None), 0, "real-but-small"),
        ((-0.02, 0.2), (0.1, None), 0, "too-wide"),
        ((-0.2, -0.02), (None, -0.1), 0, "real-but-small"),
        ((-0.2, 0.02), (None, -0.1), 0, "too-wide"),
        ((0.6, 0.75), (0.7, 0.9), 0, "too-wide"),
        ((0.1, 0.2), (None, 0.15), 0, "too-wide"),
        ((1.05, 1.3), (1.1, None), 1, "real-but-small"),
        ((0.9, 1.3), (1.1, None), 1, "too-wide"),
        ((0.8, 0.97), (None, 0.9), 1, "real-but-small"),
    ],
)
def test_why_a_verdict_is_undecided(
    interval: tuple[float, float], bounds: tuple[float | None, float | None], nothing: float, want: str
) -> None:
    """A difference that is told from none but not from the margin is real but small; of a ratio none is one."""
    assert decide(*interval, *bounds, nothing=nothing) == ("undecided", want)


def test_touching_the_margin_supports() -> None:
    """The margin belongs to the region."""
    assert (
        decide(0.1, 0.2, 0.1, None)[0] == decide(0.1, 0.2, None, 0.2)[0] == decide(5.0, 5.0, 5.0, 5.0)[0] == "supported"
    )
    assert decide(0.0, 0.1, 0.1, None)[0] == "undecided"


# -- judging a row


@pytest.mark.parametrize(
    "estimate, half, verdict",
    [(0.3, 0.05, "supported"), (0.0, 0.05, "refuted"), (0.1, 0.05, "undecided")],
)
def test_a_row_is_judged_at_99_percent(estimate: float, half: float, verdict: str) -> None:
    """The interval of a verdict is the row's at 99 %, and the sentence tells number, interval, n and region."""
    made = judge("S2.13", finding(correlation(estimate, half)), part="reliability", term="retainability")
    low, high = interval_at(finding(correlation(estimate, half)).rows()[0], 0.99) or (0, 0)
    assert (made.verdict, made.conf_level, made.n) == (verdict, 0.99, 500)
    assert (made.conf_low, made.conf_high) == (pytest.approx(low), pytest.approx(high))
    assert f"{estimate:.2f} (99 % interval" in made.sentence.replace("−", "-")
    assert "n = 500" in made.sentence
    assert made.flips_at.startswith("to ")
    bundle = made._repr_mimebundle_()[claims.VERDICT_MIME]
    assert json.loads(dumps(bundle))["verdict"] == verdict


@pytest.mark.parametrize("low, high", [(0.12, 0.4), (-0.3, 0.02), (0.02, 0.4)])
def test_a_verdict_flips_where_it_says(low: float, high: float) -> None:
    """At the margin that a verdict names it changes."""
    verdict = decide(low, high, 0.1, None)[0]
    flips = {"supported": (low, "undecided"), "refuted": (high, "undecided"), "undecided": (low, "supported")}
    at, other = flips[verdict]
    step = -1e-9 if verdict != "supported" else 1e-9
    assert decide(low, high, at + step, None)[0] == other
    assert decide(low, high, at - step, None)[0] == verdict


def test_what_cannot_be_judged_says_why() -> None:
    """A study without the columns, a row that is not there, a row without interval or of too few people: not estimable."""
    asks: list[tuple[Finding, dict[str, str], str]] = [
        (
            finding(answer="Not estimable: this study has no surveys.reliability."),
            {},
            "this study has no surveys.reliability",
        ),
        (finding(correlation()), {"term": "wait_s"}, "this study gives no row with measure r, term wait_s"),
        (finding(correlation(conf_low=None)), {}, "the row has no interval"),
        (
            finding(correlation(conf_low=None), answer="Not estimable: leaving does not vary in the rows."),
            {},
            "leaving does not vary in the rows",
        ),
        (finding(correlation() | {"n": 9}), {}, "suppressed: fewer than 10 customers"),
        (finding(correlation(effect_label="too few leavers to judge by: 9")), {}, "too few leavers to judge by: 9"),
    ]
    for shown, which, why in asks:
        made = judge("S2.13", shown, part="reliability", **which)
        assert (made.verdict, made.reason, made.conf_low, made.conf_level) == ("not_estimable", why, None, None)
        assert why in made.sentence


def test_a_region_of_one_number_is_that_number() -> None:
    """Five factors are five: a region that begins where it ends is no range."""
    five = next(part for part in register()["S2.13"].parts if part.low == part.high)
    assert five.region == "exactly 5"


def test_a_row_without_n_is_judged() -> None:
    """A number of people that is not known is not told."""
    made = judge("S2.13", finding(correlation() | {"n": None}), part="reliability")
    assert (made.verdict, made.n) == ("supported", None)
    assert "n =" not in made.sentence


@pytest.mark.parametrize(
    "claim, part, which, told",
    [
        ("S2.31", None, {}, "did you mean"),
        ("nothing like it", None, {}, "they run from S0"),
        ("S2.13", None, {}, "it has reliability, responsiveness"),
        ("S2.13", "reliable", {}, "it has reliability, responsiveness"),
        ("S2.13", "reliability", {}, "2 rows"),
        ("S2.13", "reliability", {"measure": "rho"}, "is about r, the row is rho"),
    ],
)
def test_a_claim_that_is_asked_wrongly(claim: str, part: str | None, which: dict[str, str], told: str) -> None:
    """An unknown claim or part, several rows, or a row of another measure is refused with what there is."""
    shown = finding(correlation(), correlation(model="adjusted"), correlation() | {"measure": "rho"})
    with pytest.raises(UsageError, match=told):
        judge(claim, shown, part=part, **which)


# -- verdicts that stay


def verdict_of(estimate: float, half: float, low: float | None = 0.1, high: float | None = None) -> Verdict:
    """A verdict by its interval alone, against a region of correlations."""
    verdict, reason = decide(estimate - half, estimate + half, low, high)
    made = judge("S2.13", finding(correlation(0.3)), part="reliability")
    ends = {"estimate": estimate, "conf_low": estimate - half, "conf_high": estimate + half, "low": low, "high": high}
    told = f"It: 1 (99 % interval){f' ({reason})' if reason else ''}."
    return replace(made, **ends, verdict=verdict, reason=reason, sentence=told)


@pytest.mark.parametrize(
    "estimate, half, before, want",
    [
        (0.12, 0.05, "supported", "supported"),  # the interval reaches below .10, the estimate does not
        (0.10, 0.05, "supported", "supported"),  # the margin belongs to the region
        (0.09, 0.05, "supported", "undecided"),  # the estimate itself has left the region
        (0.00, 0.05, "supported", "refuted"),  # the interval lies wholly outside
        (0.09, 0.05, "refuted", "refuted"),
        (0.12, 0.05, "refuted", "undecided"),
        (0.20, 0.05, "refuted", "supported"),
        (0.12, 0.05, "undecided", "undecided"),  # a first verdict needs the whole interval
        (0.12, 0.05, "not_estimable", "undecided"),
    ],
)
def test_a_decided_verdict_stays_until_it_is_contradicted(estimate: float, half: float, before: str, want: str) -> None:
    """It stays while the estimate lies on its side of the margin, and says since when and where it would flip."""
    fresh = verdict_of(estimate, half)
    kept = keep(fresh, asdict(fresh) | {"verdict": before}, "2026-09")
    assert kept.verdict == want
    stays = want in ("supported", "refuted") and fresh.verdict == "undecided"
    assert kept.decided_in == ("2026-09" if stays else "")
    if not stays:
        assert kept == fresh
        return
    assert kept.reason.startswith(f"stays {want} as in 2026-09:")
    assert kept.reason in kept.sentence
    assert kept.flips_at == f"to undecided at a margin of {estimate:.2f}"
    again = keep(fresh, asdict(kept), "2026-10")
    assert (again.verdict, again.decided_in) == (
        want,
        "2026-09",
    )  # the period that decided it, not the last that kept it


@pytest.mark.parametrize("other", [{"low": 0.05}, {"measure": "rho"}, {"term": "availability"}, {"model": "adjusted"}])
def test_another_question_keeps_nothing(other: dict[str, Any]) -> None:
    """Another region, measure, term or model is another question: its verdict says nothing here."""
    fresh = verdict_of(0.12, 0.05)
    assert keep(fresh, asdict(fresh) | {"verdict": "supported"} | other, "2026-09") == fresh
    assert keep(fresh, None, "2026-09") == fresh


def test_inside_a_region_of_two_ends() -> None:
    """A number inside a range stays supported until it leaves the range, at either end."""
    for estimate, want in ((0.72, "supported"), (0.88, "supported"), (0.69, "undecided"), (0.91, "undecided")):
        fresh = verdict_of(estimate, 0.05, 0.7, 0.9)
        kept = keep(fresh, asdict(fresh) | {"verdict": "supported"}, "2026-09")
        assert kept.verdict == want
        if want == "supported":
            assert kept.flips_at == f"to undecided for a region without {estimate:.2f}"


def test_judging_knows_the_report_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a report the verdict of the period before stays, and the claim says so; by hand there is no report before."""
    first = judge("S3.12", finding(leavers(4.0, 0.5)))
    (tmp_path / "claims.json").write_text(dumps(combine([asdict(first)])))
    (tmp_path / "run.json").write_text('{"period": "2026-09"}')
    assert judge("S3.12", finding(leavers(2.2, 0.5))).verdict == "undecided"
    monkeypatch.setenv(claims.EARLIER, str(tmp_path))
    kept = judge("S3.12", finding(leavers(2.2, 0.5)))
    assert (kept.verdict, kept.decided_in) == ("supported", "2026-09")
    told = next(claim for claim in combine([asdict(kept)]) if claim["id"] == "S3.12")
    assert (told["verdict"], told["reason"]) == ("supported", kept.reason)
    assert "may be counted on" in cx.outlook(kept).text
    bundle = json.loads(dumps(kept._repr_mimebundle_()))
    written = ledger.rows("churn", {"cells": [{"outputs": [{"data": bundle}]}]}, {})
    assert [(r["claim"], r["verdict"], r["reason"]) for r in written] == [("S3.12", "supported", kept.reason)]


def leavers(estimate: float, half: float) -> dict[str, Any]:
    """A row of a difference in leavers with its interval."""
    ends = {"conf_low": estimate - half, "conf_high": estimate + half}
    return row(outcome="churned", term="prepaid", measure="per_1000", estimate=estimate, n=500, **ends)


# -- parts to claims


def test_parts_add_up() -> None:
    """all-of: one refuted refutes, all supported support; any-of: one supported supports, all refuted refute."""
    for verdicts in itertools.product(VERDICTS, repeat=3):
        parts = [{"verdict": v, "label": f"part {i}", "reason": f"why {i}"} for i, v in enumerate(verdicts)]
        for rule in ("all-of", "any-of"):
            decisive, whole = ("refuted", "supported") if rule == "all-of" else ("supported", "refuted")
            want = decisive if decisive in verdicts else whole if set(verdicts) == {whole} else None
            want = want or ("not_estimable" if "not_estimable" in verdicts else "undecided")
            verdict, reason = claims._combined(rule, parts)
            assert verdict == want
            if verdict in ("not_estimable", "undecided"):
                assert all(f"why {i}" in reason for i, v in enumerate(verdicts) if v == verdict)


def test_a_claim_says_which_columns_it_lacks() -> None:
    """Columns that the study lacks are told for parts without a verdict, also where no notebook answers the claim."""
    judged = asdict(judge("S2.13", finding(correlation()), part="reliability"))
    every = {column for claim in register().values() for part in claim.parts for column in part.needs}
    lacking = {"surveys.reliability", "panel.wait_s", "launches.readiness_score"}
    told = {claim["id"]: claim["lacks"] for claim in combine([judged], every - lacking)}
    assert told["S2.18"] == ["launches.readiness_score"]
    assert told["S2.13"] == ["panel.wait_s"]  # the part that needs surveys.reliability has its verdict
    assert not any(claim["lacks"] for claim in combine([judged]))


def test_one_part_speaks_for_its_claim() -> None:
    """A claim of one part has that part's verdict and reason."""
    for verdict in VERDICTS:
        for rule in ("all-of", "any-of"):
            reason = "" if verdict in ("supported", "refuted") else "why"
            assert claims._combined(rule, [{"verdict": verdict, "label": "it", "reason": reason}]) == (verdict, reason)


def test_every_claim_is_told_once() -> None:
    """A run tells every claim of the register; a part that nobody judged is not estimable, the last verdict counts."""
    first = judge("S2.13", finding(correlation(0.0)), part="reliability")
    second = judge("S2.13", finding(correlation(0.3)), part="reliability")
    bundles = [v._repr_mimebundle_()[claims.VERDICT_MIME] for v in (first, second)]
    told = {claim["id"]: claim for claim in combine(bundles)}
    assert list(told) == list(register())
    parts = {part["part"]: part["verdict"] for part in told["S2.13"]["parts"]}
    assert parts.pop("reliability") == "supported"
    assert set(parts.values()) == {"not_estimable"}
    assert told["S2.13"]["verdict"] == "not_estimable"
    assert claims.UNANSWERED in told["S1.1"]["reason"]
    refuted = combine(bundles[:1])
    assert next(claim for claim in refuted if claim["id"] == "S2.13")["verdict"] == "refuted"
    json.dumps(combine(bundles), allow_nan=False)


# -- intervals at another level


def test_an_interval_at_99_is_the_one_computed_at_99() -> None:
    """For each scale the interval of a row at 99 % is that of the method itself at that level."""
    left = 0.4 + 0.02 * DICE.normal(size=30)
    cases: list[tuple[str, Any]] = [
        ("r", lambda level: inference.pearson_interval(0.4, 80, level=level)),
        ("rho", lambda level: inference.spearman_interval(-0.4, 80, 2, level=level)),
        ("r", lambda level: inference.jackknife(0.4, left, on="r", level=level)),
        ("share", lambda level: inference.jackknife(0.4, left, on="share", level=level)),
        ("alpha", lambda level: inference.jackknife(0.4, left, on="alpha", level=level)),
        ("omega", lambda level: inference.wald(0.9, 0.06, None, level=level, on="omega")),
        ("slope", lambda level: inference.jackknife(0.4, left, level=level)),
        ("score", lambda level: inference.wald(31.0, 4.0, None, level=level)),
        ("difference", lambda level: inference.wald(-1.0, 4.0, 11.0, level=level)),
    ]
    for measure, interval in cases:
        record = finding(row(outcome="y", measure=measure, n=80, **interval(0.95).numbers())).rows()[0]
        wide, same = interval(0.99), interval(0.95)
        assert interval_at(record, 0.99) == (pytest.approx(wide.conf_low), pytest.approx(wide.conf_high))
        assert interval_at(record, 0.95) == (pytest.approx(same.conf_low), pytest.approx(same.conf_high))


@pytest.mark.parametrize("df", [None, 11.0])
def test_a_ratio_is_stretched_on_its_logarithm(df: float | None) -> None:
    """The interval of an odds ratio is symmetric in logarithms at any level."""
    q95, q99 = (float(stats.norm.ppf(p) if df is None else stats.t.ppf(p, df)) for p in (0.975, 0.995))
    ends = {"conf_low": 1.5 * math.exp(-0.2 * q95), "conf_high": 1.5 * math.exp(0.2 * q95), "df": df}
    record = finding(row(outcome="churned", measure="odds_ratio", estimate=1.5, n=99, **ends)).rows()[0]
    want = (1.5 * math.exp(-0.2 * q99), 1.5 * math.exp(0.2 * q99))
    assert interval_at(record, 0.99) == (pytest.approx(want[0]), pytest.approx(want[1]))


def test_ends_that_a_scale_does_not_know() -> None:
    """A share of nobody keeps its end at zero, a row without an interval has none at another level either."""
    record = finding(row(outcome="y", measure="share", estimate=0.0, conf_low=0.0, conf_high=0.1, n=40)).rows()[0]
    low, high = interval_at(record, 0.99) or (None, None)
    assert low == 0
    assert high == pytest.approx(0.1 * stats.norm.ppf(0.995) / stats.norm.ppf(0.975))
    assert interval_at(record | {"conf_low": None}, 0.99) is None
    perfect = finding(correlation(1.0, 0.0)).rows()[0]
    assert interval_at(perfect, 0.99) == (pytest.approx(1), pytest.approx(1))


def test_scales_go_there_and_back() -> None:
    """Each measure's scale is undone by its inverse."""
    for measure in MEASURES.values():
        for value in (0.02, 0.3, 0.97):
            assert measure.back(measure.forward(value)) == pytest.approx(value)


# -- the table


@pytest.mark.parametrize(
    "n, min_cell, shown",
    [(0, 10, True), (1, 10, False), (9, 10, False), (10, 10, True), (None, 10, True), (10, 30, False)],
)
def test_few_people_are_not_shown(n: int | None, min_cell: int, shown: bool) -> None:
    """A row of fewer than min_cell people keeps its place and loses every number."""
    numbers = {
        "estimate": 0.5,
        "conf_low": 0.4,
        "conf_high": 0.6,
        "p_value": 0.1,
        "events": 3,
        "clusters": n,
        "std_error": 0.1,
    }
    record = finding_rows(row(outcome="y", measure="share", group="region=north", n=n, **numbers), min_cell)[0]
    kept = [record[k] for k in (*numbers, "n")]
    assert kept == ([*numbers.values(), n] if shown else [None] * len(kept))
    assert record["group"] == "region=north"
    if not shown:
        assert written(record) == f"suppressed: fewer than {min_cell} customers"


def finding_rows(record: dict[str, Any], min_cell: int) -> list[dict[str, Any]]:
    """What a finding tells of one row."""
    return Finding(
        name="", question="", estimand="", design="descriptive", table=tidy([record], min_cell), method="", sample="", answer=""
    ).rows()  # fmt: skip


def test_a_table_has_no_nan() -> None:
    """What is no finite number is null; numbers have twelve digits, counts are whole, and every column is there."""
    made = tidy(
        [
            row(
                outcome="y",
                measure="r",
                estimate=math.nan,
                conf_low=-math.inf,
                conf_high=2 / 3,
                n=np.int64(40),
                clusters=math.nan,
            )
        ]
    )
    assert tuple(made.columns) == COLUMNS
    record = made.iloc[0]
    assert all(record[k] is pd.NA for k in ("estimate", "conf_low", "clusters", "p_value", "term"))
    assert record["conf_high"] == 0.666666666667
    assert record["n"] == 40
    assert {str(made[c].dtype) for c in NUMBER_COLUMNS} == {"Float64"}
    assert {str(made[c].dtype) for c in COUNT_COLUMNS} == {"Int64"}
    assert len(tidy([])) == 0


def test_a_finding_comes_back_from_json() -> None:
    """A finding that was written down is the same again, suppressed rows and doubts included."""
    rows = [
        correlation(),
        correlation(group="region=north") | {"n": 3},
        correlation(group="region=south"),
        correlation(p_value=1e-300),
    ]
    made = finding(*rows).with_caveats(Caveat("a", "A doubt."), Caveat("a", "The same."), Caveat("b", "Another."))
    text = dumps(made.to_json())
    again = Finding.from_json(json.loads(text))
    assert dumps(again.to_json()) == text
    pd.testing.assert_frame_equal(again.table, made.table)
    assert [c.text for c in again.caveats] == ["A doubt.", "Another."]


# -- what verdicts bear on


@pytest.mark.parametrize(
    "estimate, word, bearing",
    [
        (0.3, "supported", "may be counted on"),
        (-0.3, "refuted", "no ground"),
        (0.1, "undecided", "decides nothing yet"),
    ],
)
def test_an_outlook_says_what_a_verdict_bears_on_and_when_it_turns(estimate: float, word: str, bearing: str) -> None:
    """Each verdict with the decision it bears on and its margin; one that cannot be judged says what it lacks."""
    trust = row(outcome="churned", term="trust", measure="per_1000", estimate=-10 * estimate,
                conf_low=-10 * estimate - 0.5, conf_high=-10 * estimate + 0.5, n=500)  # fmt: skip
    if word == "undecided":
        trust |= {"estimate": -0.5, "conf_low": -1.0, "conf_high": 0.0}
    verdict = judge("S3.5", finding(trust))
    lacking = judge("S1.1", finding(answer="Not estimable: this study has no panel.churned."), part="retention")
    told, missing = cx.outlook(verdict, lacking).data["items"]
    assert f"S3.5 is {word} and " in told
    assert bearing in told
    assert register()["S3.5"].decision in told
    assert verdict.flips_at in told
    assert "retention cannot be judged: this study has no panel.churned" in missing
    assert cx.outlook().data["items"] == ["No claim of the register rests on this chapter."]
