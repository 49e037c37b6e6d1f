"""What a researcher sees below a cell: sentence, small table, cautions, verdict; nothing lost, everything escaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.finding import Caveat, printed


@pytest.fixture(scope="module")
def study(small_operator: Path) -> Study:
    """The small operator."""
    return cx.open_study(str(small_operator))


def below(value: object) -> str:
    """What Jupyter shows of a value."""
    return str(value._repr_mimebundle_()["text/html"])  # type: ignore[attr-defined]


def test_a_finding_shows_a_sentence_a_small_table_and_its_cautions(study: Study):
    """Eight rows at once, the others unfold; no printed number is lost, and what all rows share is said once."""
    finding = cx.relate(study, "satisfaction", "availability", by="value_segment")
    shown = below(finding.with_caveats(Caveat("mine", "a <b>doubt</b>")))
    assert shown.startswith(f"<p><strong>{finding.answer}</strong></p>")
    first, _, rest = shown.partition("<details>")
    assert first.count("<tr>") == 9
    assert rest.count("<tr>") == len(finding.table) - 8 + 1
    for line in printed(finding):
        assert "".join(f'<td style="text-align:left">{text}</td>' for text in line[6:9]) in shown
    assert shown.count("availability</td>") == 0
    assert "In every row: outcome satisfaction; term availability." in shown
    assert "Caution: a &lt;b&gt;doubt&lt;/b&gt;" in shown


def test_a_short_finding_has_nothing_to_unfold(study: Study):
    """One row stands whole, with its own columns."""
    shown = below(cx.leavers_by_level(study, "satisfaction").only(group="satisfaction=80 to 100"))
    assert "<details>" not in shown
    assert "In every row" not in shown
    assert shown.count("<tr>") == 2


def test_a_verdict_shows_first_what_it_is(study: Study):
    """Then the number that it rests on, then where it would be another."""
    finding = cx.relate(study, "satisfaction", "availability", steps=["adjusted"])
    verdict = cx.judge("S1.1", finding, part="satisfaction", term="availability", model="adjusted")
    words = re.sub(r"(<[^>]+>)+", "|", below(verdict))
    assert words.startswith(
        f"|S1.1 (satisfaction): {verdict.verdict.replace('_', ' ')}|Service quality with satisfaction"
    )
    assert words.endswith(f"|Would turn {verdict.flips_at}.|")
