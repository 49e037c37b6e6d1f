"""Verdicts seldom change while the truth does not, and no effect is found where there is none: both in short."""

from __future__ import annotations

import ast
from dataclasses import replace

import judging
import pytest
import steadiness
from inprocess import NOTEBOOKS
from test_claims import finding

from cxresearch.claims import Verdict, decide, judge

PERIODS = ("2026-07", "2026-08", "2026-09", "2026-10")


def reported(*intervals: tuple[float, float]) -> dict[str, list[Verdict]]:
    """Reports on one claim whose interval lies so in each of them."""
    empty = judge("S3.12", finding())
    reports = {}
    for period, (low, high) in zip(PERIODS, intervals, strict=True):
        verdict, reason = decide(low, high, empty.low, empty.high)
        numbers = {"estimate": (low + high) / 2, "conf_low": low, "conf_high": high, "conf_level": 0.99}
        reports[period] = [replace(empty, **numbers, verdict=verdict, reason=reason, sentence=f"It ({reason}).")]
    return reports


def test_changes_are_counted_with_and_without_the_rule():
    """Noise about the margin changes a verdict three times by the interval alone, and never as it is reported."""
    fresh = reported((2.1, 6.0), (1.9, 5.8), (2.1, 6.0), (1.9, 5.8))
    assert steadiness.changes(fresh) == {"S3.12": 3}
    kept = steadiness.with_rule(fresh)
    assert steadiness.changes(kept) == {"S3.12": 0}
    assert [found[0].decided_in for found in kept.values()] == ["", "2026-07", "", "2026-09"]
    turned = reported((2.1, 6.0), (0.5, 3.0), (-1.0, 1.0), (-1.0, 2.1))
    assert [found[0].verdict for found in steadiness.with_rule(turned).values()] == [
        "supported", "undecided", "refuted", "refuted",
    ]  # fmt: skip
    assert steadiness.in_three_years(steadiness.changes(fresh), 4) == 36


def test_only_what_judging_needs_is_run():
    """Of a notebook the charts and tables are left out, and every claim that it answers is judged."""
    for name in judging.ASKING:
        _, rest = judging.statements(name)
        kept = judging.needed(rest)
        assert len(kept) < len(rest)
        judged = [sum(ast.unparse(s).count(".judge(") for s in statements) for statements in (kept, rest)]
        assert judged[0] == judged[1]
    assert set(judging.ASKING) == {path.stem for path in NOTEBOOKS.glob("*.ipynb")} - {"scorecard"}


@pytest.mark.slow
def test_verdicts_of_six_reports_seldom_change():
    """Six consecutive reports on one operator of 2,000 customers: less than one change of a claim in three years."""
    fresh = steadiness.reports(2_000, 6)
    assert steadiness.in_three_years(steadiness.changes(steadiness.with_rule(fresh)), 6) < 1


def test_no_effect_is_supported_where_there_is_none():
    """On five operators without effects no claim of an effect is supported, and no headline says so."""
    assert steadiness.nulls(range(101, 106)) == {}
