"""Nearness: which claim is nearly decided, which part tells, and which columns would open most."""

from __future__ import annotations

from typing import Any

import pytest

from cxresearch import claims
from cxresearch.claims import decide
from cxresearch.report.nearness import away, edges, telling
from cxresearch.report.shopping import MOST_COLUMNS, lacking


def part(low: float, high: float, /, **more: Any) -> dict[str, Any]:
    """A part with its interval, against a region of at least 10 points."""
    region = {"low": 10.0, "high": None} | {key: more.pop(key) for key in ("low", "high") if key in more}
    verdict = decide(low, high, region["low"], region["high"])[0]
    ends = {"conf_low": low, "conf_high": high, "conf_level": 0.99}
    return {"part": "a", "measure": "score", "verdict": verdict, "reason": ""} | ends | region | more


def claim(*parts: dict[str, Any], name: str = "S1.1") -> dict[str, Any]:
    """A claim of these parts."""
    return {
        "id": name,
        "parts": list(parts),
        "verdict": claims._combined("all-of", [{"label": "", **p} for p in parts])[0],
    }


@pytest.mark.parametrize(
    "ends, bounds, want",
    [
        ((9.0, 13.0), {}, (0.25, 0.75)),
        ((12.0, 14.0), {}, (-1.0, 2.0)),
        ((4.0, 8.0), {}, (1.5, -0.5)),
        ((9.0, 13.0), {"low": None, "high": 10.0}, (0.75, 0.25)),
        ((9.0, 13.0), {"high": 12.0}, (0.25, 0.75)),
        ((9.0, 19.0), {"high": 12.0}, (0.7, 0.3)),
    ],
)
def test_edges_are_told_in_widths_of_the_interval(
    ends: tuple[float, float], bounds: dict[str, Any], want: tuple[float, float]
) -> None:
    """How far the region would have to reach, for supported and for refuted."""
    assert edges(part(*ends, **bounds)) == pytest.approx(want)


def test_edges_lie_on_the_scale_of_the_measure() -> None:
    """A ratio is near in logarithms; an end at zero is taken as it is."""
    ratio = part(0.5, 2.0, measure="odds_ratio", low=1.0)
    assert edges(ratio) == pytest.approx((0.5, 0.5))
    nobody = part(0.0, 0.2, measure="share", low=0.1)
    assert edges(nobody) == pytest.approx((0.5, 0.5))


def test_the_nearest_claim_is_the_one_that_lacks_least() -> None:
    """All parts have to be supported or one refuted; a part that is not estimable closes the way to support."""
    near, far, done = part(9.5, 13.5), part(8.0, 12.0), part(12.0, 14.0)
    assert away(claim(near)) == pytest.approx(0.125)
    assert away(claim(near, done)) == pytest.approx(0.125)
    assert away(claim(near, far)) == pytest.approx(0.5)
    closed = part(9.5, 13.5) | {"verdict": "not_estimable"}
    assert away(claim(near, closed)) == pytest.approx(0.875)  # only the way to refuted is open


def test_any_of_takes_the_shorter_way() -> None:
    """Of a claim that one part would support the nearest part counts."""
    near, far = part(9.5, 13.5), part(8.0, 12.0)
    name = next(c.id for c in claims.register().values() if c.combine == "any-of")
    assert away(claim(near, far, name=name)) == pytest.approx(0.125)


def test_the_part_that_tells_has_the_verdict_of_the_claim() -> None:
    """Of several parts the refuted one tells why a claim is refuted; of supported ones the one nearest to its margin."""
    refuted, wide, narrow = part(4.0, 8.0), part(10.5, 13.5), part(20.0, 21.0)
    assert telling(claim(narrow, refuted)) is refuted
    assert telling(claim(narrow, wide)) is wide
    counted = part(10.0, 10.0)  # the same in every draw: it says nothing of margins
    assert telling(claim(counted, narrow)) is narrow
    silent = part(9.0, 13.0) | {"conf_level": None, "verdict": "not_estimable"}
    assert telling(claim(silent)) is silent


def test_the_shopping_list_is_short_and_the_most_wanted_comes_first() -> None:
    """Columns by how many claims need them, absent tables as a whole, and how many are left out."""
    told = [
        {
            "id": f"S{i}",
            "needs": ["panel.churned", *lacks],
            "lacks": lacks,
            "parts": [{"reason": "this study has none"}],
        }
        for i, lacks in enumerate(
            [["teams.span", "teams.skill"], ["teams.span", "panel.x"], ["panel.x"], ["teams.skill"]]
        )
    ]
    assert lacking(told) == ["table teams: 3 claims (S0, S1, S3).", "panel.x: 2 claims (S1, S2)."]
    told[0]["parts"][0]["reason"] = claims.UNANSWERED
    assert lacking(told)[-1].endswith("also wait for a notebook that answers them.")
    many = [{"id": "S9", "needs": [], "lacks": [f"panel.{i:02}" for i in range(13)], "parts": [{"reason": ""}]}]
    many[0]["needs"] = ["panel.churned", *many[0]["lacks"]]
    lines = lacking(many)
    assert len(lines) == MOST_COLUMNS + 1
    assert lines[-1] == "3 more, for one claim each."
    assert lacking([{"id": "S1", "needs": [], "lacks": [], "parts": []}]) == ["No claim waits for a column."]
