"""The first page of a report: as many claims as it has room for, the changed first, then the decided, then the nearest."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest
from pypdf import PdfReader
from report_sample import METADATA, book, code, shown
from scipy import stats
from test_claims import finding, leavers

from cxresearch.claims import combine, judge
from cxresearch.evidence import multiplicity
from cxresearch.measures import MEASURES
from cxresearch.policy import register
from cxresearch.report import document, paper
from cxresearch.report.headlines import HEADLINES
from cxresearch.report.ledger import ALL_COLUMNS
from cxresearch.report.scorecard import CAUTIONS, Scorecard
from cxresearch.report.trends import History
from cxresearch.table import row

ONE_PART = [claim for claim in register().values() if len(claim.parts) == 1 and claim.id != "S3.12"]


def judged(count: int) -> list[dict[str, Any]]:
    """The claims of a run in which so many of one part are judged, all alike supported or refuted, and S3.12 undecided."""
    parts = [asdict(judge("S3.12", finding(leavers(2.2, 0.5))))]
    for claim in ONE_PART[:count]:
        measure = claim.parts[0].measure
        at = 0.7 if MEASURES[measure].scale != "log" else 1.0
        ends = {"conf_low": at - 0.01, "conf_high": at + 0.01}
        parts.append(asdict(judge(claim.id, finding(row(outcome="y", measure=measure, estimate=at, n=500, **ends)))))
    return combine(parts, frozenset())


def front(board: Scorecard) -> list[str]:
    """The ids of the claims on page one."""
    return [claim["id"] for claim in board.front.data["claims"]]


def test_the_changed_come_first_then_the_decided_then_the_nearly_decided():
    """At most seven; an undecided claim stands last unless its verdict was another in the period before."""
    told = judged(5)
    assert front(Scorecard(None, told, {}))[-1] == "S3.12"
    before = {claim["id"]: claim for claim in judged(5)}
    before["S3.12"] = before["S3.12"] | {"verdict": "supported"}
    board = Scorecard(None, told, before)
    assert front(board)[0] == "S3.12"
    assert board.changes.data["items"][0] == "S3.12 supported before, now undecided."
    assert board.front.data["claims"][0]["changed"] == "supported in the period before, at 2.2"
    assert "true if at least 2.0; would turn to supported at a margin of" in board.front.data["claims"][0]["sentence"]


def test_other_regions_are_told():
    """A claim that was judged by other regions before is named, and so is a verdict that stays."""
    told = judged(0)
    part = next(claim for claim in told if claim["id"] == "S3.12")["parts"][0]
    before = {c["id"]: c for c in judged(0)}
    before["S3.12"] = before["S3.12"] | {"parts": [part | {"low": 1.0}]}
    assert Scorecard(None, told, before).changes.data["items"][1] == (
        "Judged by other regions than in the period before: S3.12."
    )
    part |= {"decided_in": "2026-07", "verdict": "supported"}
    assert "S3.12 (prepaid) supported as in 2026-07." in Scorecard(None, told, before).changes.text


class Remembered(History):
    """Earlier reports that said something of every number."""

    def told(self, own: Mapping[str, Any], decimals: int, factor: float = 1.0) -> dict[str, Any]:
        """The same for each, with ends as long as there are."""
        said = ["10,048.6 in 2026-05", "10,046.4 now"]
        return {"points": [(5, 10_048.6), (0, 10_046.4)], "interval": [1, 2], "words": ", ".join(said), "said": said}


def numbers(told: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A ledger with the headline numbers and the judged ones of these claims."""
    headlines = [{"finding": "churn_rate", "group": "all", **wanted} for _, _, wanted, _, _ in HEADLINES]
    parts = [{name: part[name] for name in ("claim", "part")} for claim in told for part in claim["parts"]]
    ends = {"estimate": 46.4, "conf_low": 43.1, "conf_high": 49.5}
    return pd.DataFrame([dict.fromkeys(ALL_COLUMNS) | one | ends for one in (*headlines, *parts)])


@pytest.mark.parametrize("trends", [False, True], ids=["alone", "with trends"])
@pytest.mark.parametrize("count", [3, 12])
def test_page_one_holds_what_is_chosen_for_it(count: int, trends: bool):
    """The last claim of the front still stands on the first page of the paper, before the contents."""
    told = judged(count)
    board = Scorecard(numbers(told), told, {}, Remembered(())) if trends else Scorecard(None, told, {})
    shows = (*((board.tiles,) if trends else ()), board.answer, board.changes, board.cautions, board.front)
    assert all(("trend" in claim) == trends for claim in board.front.data["claims"])
    cells = [code(shown({s.mime: dict(s.data)})) for s in shows]
    made = paper.render(document.read(document.merge([("scorecard", book(*cells)), ("a", book())], METADATA)))
    page = PdfReader(io.BytesIO(made.pdf)).pages[0].extract_text().replace("\n", " ")
    ids = front(board)
    assert 1 <= len(ids) <= 7
    assert all(name in page for name in ids)
    assert page.count("in 2026-05") == (len(ids) + len(HEADLINES) if trends else 0)


def test_long_claims_leave_room_for_fewer():
    """Where notices and claims are long the first page has fewer than seven claims."""
    told = judged(12)
    assert len(front(Scorecard(None, told, {}))) == 7
    long = [claim | {"statement": claim["statement"] * 12} for claim in told]
    assert 1 <= len(front(Scorecard(None, long, {}))) < 7


def test_a_caution_of_page_one_holds_of_every_finding_that_raises_it() -> None:
    """A crude number may turn, be gone or first show, at whatever is held fixed; a level without leavers foretells little."""
    for how in ("turns its sign", "is gone", "first shows"):
        assert how in CAUTIONS["confounded"]
    assert "usage and price" not in CAUTIONS["confounded"]
    assert "some customers" in CAUTIONS["separated"]
    assert "corrected" in CAUTIONS["enriched"]  # to a stated rate they are the operator's


@pytest.mark.parametrize("others, told", [(1, True), (11, False)])
def test_page_one_tells_no_change_that_the_chapter_does_not(others: int, told: bool):
    """A change with p = .01 is one of two differences or of twelve: what the chapter tells of them all, page one tells too."""
    change = {"outcome": "satisfaction", "group": "all", "measure": "difference", "estimate": -2.02,
              "conf_low": -3.45, "conf_high": -0.59, "p_value": 0.01}  # fmt: skip
    adjusted = multiplicity.adjusted([0.01, *[0.9] * others])
    assert (
        bool(stats.false_discovery_control([0.01, *[0.9] * others])[0] < 0.05) is told
    )  # SciPy's Benjamini and Hochberg
    score = {"outcome": "satisfaction", "group": "all", "measure": "score", "estimate": 74.9}
    rows = [
        score,
        change | {"model": "change", "term": "2026-09"},
        change | {"finding": "what changed", "p_adjusted": adjusted[0]},
    ]
    board = Scorecard(pd.DataFrame([dict.fromkeys(ALL_COLUMNS) | one for one in rows]), judged(0), {})
    said = board.changes.data["items"][-1]
    assert "satisfaction −2.02 points (−3.45 to −0.59)" in said
    assert said.startswith("Changed since 2026-09") is told
    assert board.tiles.data["tiles"][0]["change"] == ("−2.0 since 2026-09" if told else "no clear change")


def test_the_leading_claim_says_what_of_it_is_not_judged():
    """Of the three links of the leading claim page one tells all, also one that has too few leavers; of none judged, none."""
    ratio = row(outcome="offer_accepted", measure="odds_ratio", estimate=2.0, conf_low=1.6, conf_high=2.5, n=500)
    few = row(
        outcome="churned", measure="per_1000", effect_label="only 9 of 500 rows left; at least 20 are needed", n=500
    )
    parts = [asdict(judge("S1.1", finding(of), part=name)) for of, name in ((ratio, "sales"), (few, "retention"))]
    said = Scorecard(pd.DataFrame(columns=list(ALL_COLUMNS)), combine(parts), {}).answer.data["items"]
    assert len(said) == 1 + len(register()["S1.1"].parts)
    assert any(line.startswith("Supported: Offers accepted") for line in said)
    retention = next(line for line in said if "Difference in leavers" in line)
    assert retention.startswith("Not estimable: ")
    assert retention.endswith("only 9 of 500 rows left; at least 20 are needed.")
    assert len(Scorecard(pd.DataFrame(columns=list(ALL_COLUMNS)), combine(parts[1:]), {}).answer.data["items"]) == 1
