"""Charts, read by what was drawn: points, intervals, labels and words, never pixels."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure

from cxresearch import charts
from cxresearch.charts import faces, notebook, theme, words
from cxresearch.charts.dressing import worn
from cxresearch.charts.lettering import wrapped
from cxresearch.charts.steps import turning
from cxresearch.errors import UsageError
from cxresearch.finding import Finding
from cxresearch.table import row, tidy

ROOT = Path(__file__).parents[1]
HOSTILE = (
    "<script>alert(1)</script>",
    "$x_1^2$ and $5",
    "W" * 60,
    "नमस्ते दुनिया",
    "مرحبا بالعالم",
    "客户满意度与网络质量的关系调查问卷",
    'a\nb\x00\u202ec & "q" ]]>',
)


@pytest.fixture(autouse=True)
def _agg() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    pyplot.close("all")


def finding(rows: list[dict], **fields: str) -> Finding:
    given = {
        "name": "example",
        "question": "What goes with leaving?",
        "estimand": "the correlation among answerers",
        "design": "adjusted",
        "method": "Pearson correlation, jackknife over 200 customer blocks",
        "sample": "All answered surveys.",
        "answer": "Failed calls go with leaving.",
        "title": "Customers with more failed calls leave more often at the same usage",
        "periods": "2025-11 to 2026-10",
    }
    return Finding(table=tidy(rows), **{**given, **fields})  # type: ignore[arg-type]


def made(
    estimate: float | None, low: float | None = None, high: float | None = None, n: int | None = 2341, **more
) -> dict:
    return row(estimate=estimate, conf_low=low, conf_high=high, n=n, **more)


def step(model: str, *numbers: float | None, measure: str = "r", **more) -> dict:
    return made(*numbers, outcome="churned", term="call_failures", measure=measure, model=model, **more)


LADDER = [  # not in the order of the ladder
    step("all_customers", None, -0.05, 0.09),
    step("within_customer", 0.3, 0.2, 0.4, n=4),
    step("adjusted", 0.031, 0.021, 0.041),
    step("per_use", 0.012, 0.002, 0.022),
    step("crude", -0.026, -0.036, -0.016),
    step("crude", -0.03, -0.04, -0.02, measure="rho"),
]


def labels(ax: Axes) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in ax.texts if text.get_ha() == "right"]


def places(ax: Axes) -> list[float]:
    """The height of each row."""
    return [text.xy[1] for text in ax.texts if text.get_ha() == "right"]


def notes(ax: Axes) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in ax.texts if text.get_ha() != "right"]


def points(ax: Axes, hollow: bool = False) -> list[tuple[float, float]]:
    """Marks as (x, y), from the top down; the small open ones or the filled ones."""
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    wanted = [line for line in marks if (line.get_markerfacecolor() == theme.COLOURS["paper"]) == hollow]
    return [(float(x), float(y)) for line in wanted for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def intervals(ax: Axes) -> list[tuple[float, float]]:
    """Drawn intervals of horizontal charts as (low, high)."""
    segments = [segment for collection in ax.collections for segment in collection.get_segments()]
    return [(float(s[0][0]), float(s[1][0])) for s in segments]


def alt(ax: Axes) -> str:
    return worn(ax.figure).alt  # type: ignore[arg-type]


def svg(ax: Axes) -> str:
    return notebook.svg(ax.figure)  # type: ignore[arg-type]


def svg_texts(ax: Axes) -> str:
    tree = ElementTree.fromstring(svg(ax))
    return "".join(element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}text"))


# the ladder


def test_ladder_shows_the_steps_in_their_order_each_with_point_interval_and_number() -> None:
    ax = charts.ladder(finding(LADDER))
    assert labels(ax) == [
        "crude",
        "per use",
        "same usage and price",
        "within customer",
        "range for all, the silent included",
    ]
    assert [x for x, _ in points(ax)] == [-0.026, 0.012, 0.031]
    assert [y for _, y in points(ax)] == places(ax)[:3]
    assert {(-0.036, -0.016), (0.002, 0.022), (0.021, 0.041)} <= set(intervals(ax))
    assert notes(ax)[0] == "−0.03 (−0.04 to −0.02)"


def test_ladder_prints_a_suppressed_step_in_its_place_with_the_reason_and_without_a_mark() -> None:
    ax = charts.ladder(finding(LADDER))
    assert notes(ax)[3] == "– suppressed: fewer than 10 customers"
    assert places(ax)[3] not in [y for _, y in points(ax)]
    assert "within customer: suppressed: fewer than 10 customers" in alt(ax)


def test_ladder_draws_the_range_as_a_band_zero_as_a_line_and_the_crude_interval_as_shade() -> None:
    ax = charts.ladder(finding(LADDER))
    spans = {(round(p.get_x(), 3), round(p.get_x() + p.get_width(), 3)): p for p in ax.patches}
    assert set(spans) == {(-0.05, 0.09), (-0.036, -0.016)}
    assert spans[-0.05, 0.09].get_y() < places(ax)[4] < spans[-0.05, 0.09].get_y() + spans[-0.05, 0.09].get_height()
    assert [0, 0] in [list(line.get_xdata()) for line in ax.lines]
    assert notes(ax)[4] == "−0.05 to 0.09"


def test_ladder_shows_rank_correlations_as_open_marks_and_says_so() -> None:
    ax = charts.ladder(finding(LADDER))
    assert [x for x, _ in points(ax, hollow=True)] == [-0.03]
    assert "rank correlation rho (○)" in ax.get_xlabel()
    without = charts.ladder(finding([r for r in LADDER if r["measure"] == "r"]))
    assert points(without, hollow=True) == []
    assert "rho" not in without.get_xlabel()


def test_ladder_marks_only_the_step_that_changes_the_answer() -> None:
    ax = charts.ladder(finding(LADDER))
    strong = [text.get_text() for text in ax.texts if text.get_fontweight() == theme.BOLD and text.get_ha() == "right"]
    assert strong == ["per use"]
    assert "the sign turns" in notes(ax)[1]
    assert alt(ax).endswith("The sign turns at the step per use.")


@pytest.mark.parametrize(
    ("deeper", "expected"),
    [
        ((0.30, 0.27, 0.33), None),  # the same answer
        ((0.10, 0.05, 0.15), ("adjusted", "leaves the crude interval")),
        ((-0.10, -0.15, -0.05), ("adjusted", "the sign turns")),
        ((None, None, None), None),  # nothing to compare
    ],
)
def test_the_answer_changes_where_the_interval_leaves_the_crude_one_or_the_sign_turns(deeper, expected) -> None:
    steps = finding([step("crude", 0.31, 0.28, 0.34), step("adjusted", *deeper)]).rows()
    assert turning(steps) == expected


def test_a_sign_that_turns_within_noise_changes_nothing() -> None:
    steps = finding([step("crude", 0.01, -0.02, 0.04), step("adjusted", -0.01, -0.04, 0.02)]).rows()
    assert turning(steps) is None


def test_ladder_of_several_pairs_asks_which_one_and_names_them() -> None:
    two = finding([*LADDER, made(0.1, 0.0, 0.2, outcome="churned", term="mos", measure="r")])
    with pytest.raises(UsageError, match=r"has 2; name one: .*term='call_failures'.*term='mos'"):
        charts.ladder(two)
    assert labels(charts.ladder(two, term="mos")) == ["crude"]
    with pytest.raises(UsageError, match=r"no row of finding 'example' has term='mso'.*; it has .*mos"):
        charts.ladder(two, term="mso")


# many pairs


def test_strip_sorts_pairs_by_the_deepest_step_that_most_have_and_drops_none() -> None:
    def pair(term: str, crude: float, within: float | None) -> list[dict]:
        known = {"outcome": "satisfaction", "term": term, "measure": "r"}
        deeper = (
            [] if within is None else [made(within, within - 0.02, within + 0.02, model="within_customer", **known)]
        )
        return [made(crude, crude - 0.02, crude + 0.02, **known), *deeper]

    rows = [*pair("mos", 0.3, 0.05), *pair("latency_ms", 0.2, 0.15), *pair("fcr", 0.4, None)]
    rows.append(made(0.9, 0.8, 1, outcome="satisfaction", term="mos", measure="r", model="reliable"))
    ax = charts.strip(finding(rows))
    assert labels(ax) == ["latency", "speech quality (mean opinion score)", "first-contact resolution"]
    assert [x for x, _ in points(ax)] == [0.15, 0.05]
    assert [x for x, _ in points(ax, hollow=True)] == [0.2, 0.3, 0.4]
    assert notes(ax)[2] == "– not estimable"
    assert ax.get_xlabel() == "correlation r: within customer (●), crude (○)"


def test_strip_without_a_deeper_step_shows_the_crude_numbers() -> None:
    """A survey of one wave has crude correlations alone: they are drawn, and no step that nobody asked."""
    rows = [
        made(r, r - 0.1, r + 0.1, outcome="satisfaction", term=t, measure="r") for t, r in (("mos", 0.3), ("fcr", 0.5))
    ]
    ax = charts.strip(finding(rows))
    assert labels(ax) == ["first-contact resolution", "speech quality (mean opinion score)"]
    assert [x for x, _ in points(ax)] == [0.5, 0.3]
    assert points(ax, hollow=True) == []
    assert ax.get_xlabel() == "correlation r: crude"
    assert not any("not estimable" in note for note in notes(ax))


def test_a_chart_of_very_many_rows_says_how_many_it_leaves_to_the_table() -> None:
    rows = [made(i / 100, i / 100 - 0.1, i / 100 + 0.1, outcome="trust", term=f"t{i}", measure="r") for i in range(34)]
    ax = charts.dots(finding(rows))
    assert len(labels(ax)) == 30
    assert ax.get_xlabel() == "correlation r; 4 more rows stand in the table"


# forests


def test_dots_puts_ratios_on_a_log_scale_around_one_and_keeps_what_is_not_estimable() -> None:
    of = {"outcome": "churned", "measure": "odds_ratio", "model": "adjusted"}
    rows = [
        made(0.62, 0.51, 0.76, term="satisfaction", **of),
        made(1.31, 1.1, 1.56, term="call_failures", **of),
        made(None, n=None, term="plan_clarity", effect_label="not estimable: separated", **of),
    ]
    ax = charts.dots(finding(rows))
    assert ax.get_xscale() == "log"
    assert [1, 1] in [list(line.get_xdata()) for line in ax.lines]
    assert labels(ax) == ["satisfaction", "failed calls", "clarity of the plan"]
    assert [x for x, _ in points(ax)] == [0.62, 1.31]
    assert intervals(ax) == [(0.51, 0.76), (1.1, 1.56)]
    assert notes(ax)[2] == "– not estimable: separated"
    assert not ax.xaxis.get_major_formatter()(0.75).count("$")


def test_dots_names_groups_once_on_the_axis_and_adds_columns_that_tell_rows_apart() -> None:
    of = {"outcome": "recommend", "term": "recommend", "measure": "score"}
    by_group = [made(7, 4, 10, **of), made(12, 5, 19, group="value_segment=high", **of)]
    ax = charts.dots(finding(by_group), label="group")
    assert labels(ax) == ["all", "high"]
    assert ax.get_xlabel() == "score by value segment"
    with_unit = [{**r, "unit": "points"} for r in by_group]
    assert charts.dots(finding(with_unit), label="group").get_xlabel() == "score, points by value segment"
    mixed = charts.dots(finding([*with_unit, {**by_group[1], "unit": "stars", "model": "adjusted"}]), label="group")
    assert mixed.get_xlabel() == "score"  # a unit that not all rows have is not the axis's
    crossed = [*by_group, made(9, 8, 10, group="value_segment=high", model="adjusted", **of)]
    assert len(set(labels(charts.dots(finding(crossed), label="group")))) == 3


def test_dots_puts_what_all_units_begin_with_on_the_axis() -> None:
    """Differences from the month and the year before differ in few words: those alone stand beside the marks."""
    rows = [
        made(1, 0, 2, outcome="satisfaction", term=None, measure="difference", unit=f"score against {when}")
        for when in ("the month before", "a year before")
    ]
    ax = charts.dots(finding(rows), label="outcome")
    assert labels(ax) == ["the month before", "a year before"]
    assert ax.get_xlabel() == "difference, score against …"
    several = [*rows, *({**record, "outcome": "ease"} for record in rows)]
    assert labels(charts.dots(finding(several), label="outcome"))[0] == "satisfaction, the month before"
    whole = charts.dots(finding([*several, {**rows[0], "unit": "score against"}]), label="outcome")
    assert labels(whole)[-1] == "satisfaction"  # one says nothing beyond what they share
    assert whole.get_xlabel() == "difference, score against …"


def test_shares_run_from_the_largest_with_the_range_of_the_rank_beside_each() -> None:
    of = {"outcome": "satisfaction", "model": "lmg"}
    rows = [
        made(0.2, 0.15, 0.26, term="empathy", measure="share", **of),
        made(0.5, 0.44, 0.55, term="reliability", measure="share", **of),
        made(2, 2, 3, term="empathy", measure="rank", **of),
        made(1, 1, 1, term="reliability", measure="rank", **of),
    ]
    ax = charts.shares(finding(rows))
    assert labels(ax) == ["reliability", "empathy"]
    assert notes(ax) == ["0.50 (0.44 to 0.55) rank 1", "0.20 (0.15 to 0.26) rank 2 (2 to 3)"]
    assert [patch.get_width() for patch in ax.patches] == [0.5, 0.2]
    assert intervals(ax) == [(0.44, 0.55), (0.15, 0.26)]
    assert ax.get_xlim()[0] == 0  # bars grow from their foot
    rows.append(made(0.3, 0.25, 0.35, term="empathy", measure="share", outcome="satisfaction", model="within_customer"))
    both_models = charts.shares(finding(rows))
    assert labels(both_models) == ["reliability", "empathy"]
    assert [x for x, _ in points(both_models, hollow=True)] == [0.3]
    assert both_models.get_xlabel() == "share: lmg (●), within customer (○)"


# columns and courses


def test_distribution_has_a_column_per_answer_and_a_dash_with_its_reason_for_a_suppressed_one() -> None:
    of = {"outcome": "recommend", "measure": "share"}
    rows = [made(0.1, 0.08, 0.12, term="0-6", **of), made(0.3, 0.2, 0.4, n=3, term="7-8", **of)]
    rows.append(made(0.9, 0.87, 0.93, term="9-10", **of))
    ax = charts.distribution(finding(rows))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0-6", "7-8", "9-10"]
    assert [(p.get_x() + p.get_width() / 2, p.get_height()) for p in ax.patches] == [(0, 0.1), (2, 0.9)]
    assert {"0.10", "–", "0.90"} <= set(notes(ax))
    assert "suppressed: fewer than 10 customers" in ax.get_xlabel()
    drawn = [tuple(point[1] for point in s) for c in ax.collections for s in c.get_segments()]
    assert drawn == [(0.08, 0.12), (0.87, 0.93)]
    assert ax.get_ylim()[0] == 0


def course(*periods: tuple[str, float], **more: object) -> list[dict]:
    of = {"outcome": "recommend", "measure": "score", **more}
    prefix = f"{of.pop('where')}," if "where" in of else ""
    return [made(e, e - 1, e + 1, group=f"{prefix}period={p}", **of) for p, e in periods]


def test_trend_keeps_time_true_and_leaves_a_gap_where_a_period_has_no_number() -> None:
    rows = course(("2026-10", 9.0), ("2026-07", 6.0), ("2026-06", 5.0))
    ax = charts.trend(finding([*rows, {**rows[0], "group": "period=2026-09", "n": 3}]))
    line = next(line for line in ax.lines if line.get_marker() == "o")
    assert [None if y != y else float(y) for y in line.get_ydata()] == [5, 6, None, None, 9]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "Jun 2026",
        "Jul 2026",
        "Aug 2026",
        "Sep 2026",
        "Oct 2026",
    ]
    assert "–" in notes(ax)  # September is suppressed, August was never there
    assert ax.get_xlabel() == "– suppressed: fewer than 10 customers"


def test_trend_names_each_line_at_its_end_and_refuses_more_than_four() -> None:
    rows = [r for s in ("high", "mid") for r in course(("2026-Q2", 5.0), ("2026-Q3", 6.0), where=f"value_segment={s}")]
    ax = charts.trend(finding(rows))
    assert [note for note in notes(ax) if "high" in note or "mid" in note] == ["high 6.0", "mid 6.0"]
    heights = [text.xy[1] for text in ax.texts if text.get_text().startswith(("high", "mid"))]
    assert abs(heights[0] - heights[1]) > 0.1 * (ax.get_ylim()[1] - ax.get_ylim()[0])  # the names do not overlap
    many = [r for i in range(5) for r in course(("2026-10", 5.0), where=f"region={i}")]
    with pytest.raises(UsageError, match="at most 4 lines"):
        charts.trend(finding(many))


@pytest.mark.parametrize("kind", ["dots", "trend", "lags"])
def test_the_words_of_a_scale_do_not_touch(kind: str) -> None:
    """Long labels and notes leave a narrow scale, a year has twelve months and a study thirteen lags."""
    reaching = [("the weakest instead of all", -0.148), ("with every pair beside all", 0.005)]
    rows = {
        "dots": [
            made(r, r - 0.007, r + 0.007, outcome="trust", term=term, measure="r2_difference") for term, r in reaching
        ],
        "trend": course(*[(f"2026-{month:02d}", 70.0 + month) for month in range(1, 13)]),
        "lags": [step(f"lag {lag}", 0.2, 0.1, 0.3) for lag in range(13)],
    }[kind]
    ax = getattr(charts, kind)(finding(rows))
    ax.figure.draw_without_rendering()
    ends = sorted(tick.get_window_extent().extents[[0, 2]].tolist() for tick in ax.get_xticklabels() if tick.get_text())
    assert len(ends) >= 2
    assert all(one[1] + 2 < following[0] for one, following in pairwise(ends))


def test_trend_of_rows_without_periods_says_what_it_needs() -> None:
    with pytest.raises(UsageError, match=r"groups like 'period=2026-10'.*has all"):
        charts.trend(finding(LADDER))


def test_lags_stand_in_their_order_with_the_neutral_line() -> None:
    of = {"outcome": "satisfaction", "term": "outage_min", "measure": "r"}
    rows = [
        made(e, e - 0.03, e + 0.03, model=f"lag {k}", **of) for k, e in ((2, -0.1), (-1, -0.02), (0, -0.2), (1, -0.15))
    ]
    ax = charts.lags(finding(rows))
    line = next(line for line in ax.lines if line.get_marker() == "o")
    assert list(line.get_xdata()) == [-1, 0, 1, 2]
    assert list(line.get_ydata()) == [-0.02, -0.2, -0.15, -0.1]
    assert next(tick.get_text() for tick in ax.get_xticklabels()) == "lag −1"
    assert [0, 0] in [list(line.get_ydata()) for line in ax.lines]
    assert "lag 0: −0.20 (−0.23 to −0.17)" in alt(ax)
    by_group = finding([{**r, "model": "crude", "group": r["model"].replace(" ", "=")} for r in rows])
    assert len(charts.lags(by_group).lines[0].get_xdata()) == 4


# words


@pytest.mark.parametrize("draw", ["ladder", "strip", "dots", "shares", "distribution", "trend", "lags"])
def test_a_finding_without_rows_gives_a_place_that_says_why(draw: str) -> None:
    ax = getattr(charts, draw)(finding([], answer="Not estimable: the study maps no column of the role network."))
    assert notes(ax) == ["Not estimable: the study maps no column of the role network"]
    assert "Not estimable: the study maps no column of the role network." in alt(ax)


@pytest.mark.parametrize("draw", ["ladder", "dots", "strip"])
def test_rows_that_all_lack_a_number_are_all_shown(draw: str) -> None:
    ax = getattr(charts, draw)(finding([step("crude", 0.3, 0.2, 0.4, n=4), step("adjusted", 0.3, 0.2, 0.4, n=4)]))
    assert notes(ax)
    assert all(note.startswith("– ") for note in notes(ax))
    assert points(ax) == []


def test_title_is_the_message_and_caption_says_method_n_level_and_periods() -> None:
    ax = charts.ladder(finding(LADDER))
    title = "Customers with more failed calls leave more often at the same usage"
    assert ax.figure.get_suptitle().replace("\n", " ") == title
    assert worn(ax.figure).title == title
    assert worn(ax.figure).caption == (
        "Pearson correlation, jackknife over 200 customer blocks. n = 2,341. Intervals at 95 %. "
        "Periods: 2025-11 to 2026-10."
    )


def test_caption_does_not_repeat_a_level_that_the_method_names() -> None:
    ax = charts.ladder(finding(LADDER, method="Pearson r. 95 % intervals: jackknife."))
    assert worn(ax.figure).caption.count("95 %") == 1


def test_alternative_text_names_the_numbers_and_keeps_the_last_row_when_it_must_shorten() -> None:
    short = charts.dots(finding([made(0.31, 0.28, 0.34, outcome="trust", term="mos", measure="r")]))
    assert "Correlation r with 95 % intervals: speech quality (mean opinion score): 0.31 (0.28 to 0.34)." in alt(short)
    long = charts.trend(finding(course(*[(f"20{y}-{m:02d}", 5.0) for y in range(20, 24) for m in range(1, 13)])))
    assert len(alt(long)) <= words.ALT_LENGTH
    assert "Jan 2020: 5.0 (4.0 to 6.0)" in alt(long)
    assert re.search(r"; \d+ more; Dec 2023: 5\.0 \(4\.0 to 6\.0\)\.$", alt(long))


def test_a_seaborn_chart_is_dressed_with_the_same_words() -> None:
    import seaborn as sns

    theme.use()
    given = finding(LADDER)
    ax = charts.dress(sns.scatterplot(x=[1, 2, 3], y=[2, 3, 5], hue=["mass", "mid", "high"]), given)
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1  # beside the points, not on them
    assert ax.figure.get_suptitle().replace("\n", " ") == given.title
    assert "−0.03 (−0.04 to −0.02)" in alt(ax)
    assert worn(charts.dress(ax, given, title="T", caption="C", alt="A").figure).alt == "A"


def test_a_figure_that_nobody_dressed_still_has_an_alternative_text() -> None:
    figure, ax = pyplot.subplots()
    assert worn(figure).alt == "Chart without description"
    ax.set(xlabel="tenure", ylabel="satisfaction", title="By tenure")
    assert worn(figure).alt == "Chart without description: By tenure. satisfaction against tenure"


def test_hostile_text_stays_text() -> None:
    rows = [made(0.1, 0.05, 0.15, outcome="o", term=term, measure="r") for term in HOSTILE]
    ax = charts.dots(finding(rows, title="<b>$\\frac{1}{2}$</b> " + "W" * 80))
    drawn = svg(ax)
    assert "<script" not in drawn
    assert "tspan" not in drawn  # Matplotlib's form of a formula
    said = svg_texts(ax)
    for text in ("<script>alert(1)</script>", "$x 1^2$ and $5", *HOSTILE[3:5], HOSTILE[5][:6], 'a b c & "q" ]]>'):
        assert text in said, text
    assert "<b>$\\frac{1}{2}$</b>" in said
    assert all(unicodedata.category(c) != "Cc" for c in said + alt(ax))


def test_a_line_never_leaves_its_room_and_a_sign_keeps_its_marks() -> None:
    lines = wrapped("W" * 60, 1.5, 10).split("\n")
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert all(len(line) <= 13 for line in lines)
    assert wrapped("one two", 5, 10) == "one two"
    for letters in ("e\u0301" * 90, "न\u0940" * 60):
        assert not any(unicodedata.category(line[0]).startswith("M") for line in wrapped(letters, 1, 10).split("\n"))
    first, second = wrapped("the first of these two lines is not much longer than the other", 3.4, 10).split("\n")
    assert abs(len(first) - len(second)) < 8


# look


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_text_colour_reads_on_paper() -> None:
    colours = [theme.COLOURS[name] for name in ("text", "quiet", "changed_text")]
    for colour in [*colours, *theme.VERDICT_COLOURS.values(), *theme.SERIES_COLOURS]:
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour


def test_fonts_are_one_family_free_of_reserved_names_and_have_the_signs_that_reports_print() -> None:
    from fontTools.ttLib import TTFont

    licence = (theme.FONT_FOLDER / "OFL.txt").read_text()
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "with Reserved Font Name" not in licence
    assert {path.name for path in theme.FONT_FILES.values()} == {p.name for p in theme.FONT_FOLDER.glob("*.ttf")}
    for (weight, _), path in theme.FONT_FILES.items():
        with TTFont(path) as font:
            have, widths = font.getBestCmap(), font["hmtx"]
            assert not [sign for sign in "−×≤≥²ρ~–…±→●○·%\u00a0\u202fÄßčЖΩ" if ord(sign) not in have]
            assert len({widths[have[ord(digit)]][0] for digit in "0123456789"}) == 1  # columns of numbers align
            assert (font["name"].getDebugName(1), font["OS/2"].usWeightClass) == (theme.FONT_FAMILY, weight)
    assert sum(path.stat().st_size for path in theme.FONT_FILES.values()) < 800_000


@pytest.mark.parametrize("kind", faces.CHARTS)
def test_the_faces_of_charts_are_shipped_cut_to_the_usual_signs(
    kind: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly no chart waits until a font is cut for it: the one that is shipped has the same signs, drawn the same."""
    from fontTools.pens.recordingPen import DecomposingRecordingPen
    from fontTools.ttLib import TTFont

    def drawn(font: TTFont, sign: int) -> list[object]:
        pen, glyph = DecomposingRecordingPen(font.getGlyphSet()), font.getBestCmap()[sign]
        font.getGlyphSet()[glyph].draw(pen)
        return [font["hmtx"][glyph][0], *pen.value]

    with TTFont(faces.shipped(theme.FONT_FILES[kind])) as usual, TTFont(theme.FONT_FILES[kind]) as whole:
        assert set(usual.getBestCmap()) == {ord(sign) for sign in faces.USUAL}
        assert all(drawn(usual, ord(sign)) == drawn(whole, ord(sign)) for sign in faces.USUAL)
    monkeypatch.delattr(faces, "_subset")
    drawing = svg(charts.ladder(finding(LADDER)))
    assert base64.b64encode(faces.shipped(theme.FONT_FILES[kind]).read_bytes()).decode() in drawing


def test_a_chart_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at the end of the cell, for nobody, nor a second time for its layout."""
    drawn, draw = [], Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda figure, to: (drawn.append(to), draw(figure, to)))
    chart = charts.ladder(finding(LADDER)).figure
    pyplot.draw_all()
    assert drawn == []
    canvas = chart.canvas
    assert "<svg" in svg(chart)
    assert len(drawn) == 1
    assert chart.canvas is canvas
    pyplot.close(chart)


def test_what_draws_a_chart_has_measured_its_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout asks the renderer that draws: for one of its own every text would be measured again."""
    made, make = [], RendererSVG.__init__
    monkeypatch.setattr(RendererSVG, "__init__", lambda own, *of, **how: (made.append(own), make(own, *of, **how))[1])
    svg(charts.ladder(finding(LADDER)))
    assert len(made) == 1


@pytest.mark.parametrize("more", [None, "axes", "text"])
def test_a_chart_gets_the_room_that_constrained_layout_gives(more: str | None) -> None:
    """A chart is laid out at once to less than a hundredth of its size; figures with more in them as Matplotlib does."""
    places = []
    for engine in (None, "constrained"):
        ax = charts.ladder(finding(LADDER))
        if engine:
            ax.figure.set_layout_engine(engine)
        if more == "axes":
            ax.twiny().set_xlabel("another")
        if more == "text":
            ax.figure.text(0.5, 0.5, "another")
        svg(ax.figure)
        ends = [title.get_window_extent().y0 / ax.figure.bbox.height for title in ax.figure.texts[:1]]
        places.append([*ax.get_position().extents, *ends])
    assert places[0] == pytest.approx(places[1], abs=0.005 if more is None else 1e-12)
    assert places[0][0] > 0.2
    pyplot.close("all")


def test_a_label_that_an_axis_gets_later_stands_beside_its_ticks() -> None:
    """What is not asked of axes without a label, to draw them sooner, is asked again once they have one."""
    shown, fresh = (charts.ladder(finding(LADDER)) for _ in range(2))
    assert shown.get_ylabel() == ""
    svg(shown)
    for ax in (shown, fresh):
        ax.set_ylabel("step")
    assert svg(shown) == svg(fresh)
    pyplot.close("all")


def test_the_shipped_fonts_win_over_fonts_of_the_machine_with_the_same_name() -> None:
    from matplotlib import font_manager

    manager = font_manager.fontManager
    other = next(entry for entry in manager.ttflist if entry.name == "DejaVu Sans" and entry.weight == 400)
    manager.ttflist.insert(0, dataclasses.replace(other, name=theme.FONT_FAMILY, style="normal", weight=400))
    try:
        theme.use()
        for (weight, style), path in theme.FONT_FILES.items():
            wanted = font_manager.FontProperties(family=theme.FONT_FAMILY, style=style, weight=weight, size=7.25)
            assert font_manager.findfont(wanted) == str(path)
    finally:
        manager.ttflist[:] = [
            entry for entry in manager.ttflist if entry.fname != other.fname or entry.name == other.name
        ]


def test_drawing_leaves_the_settings_of_the_researcher_alone() -> None:
    matplotlib.rcdefaults()
    before = dict(matplotlib.rcParams)
    charts.ladder(finding(LADDER))
    assert dict(matplotlib.rcParams) == before


# notebook


def test_svg_is_lean_valid_and_holds_text_as_text() -> None:
    drawn = svg(charts.ladder(finding(LADDER)))
    assert drawn.startswith("<svg ")
    assert re.findall(r"<style>(?!@font-face)", drawn) == []  # the font is inside, no rule for the page
    for left_over in ("<metadata", "<!DOCTYPE", "<style ", "<!--", "rotate(-0"):
        assert left_over not in drawn
    assert "'Inter', 'DejaVu Sans', sans-serif" in drawn
    assert "within customer" in drawn
    assert len(re.sub(r"<defs><style>.*?</style></defs>", "", drawn)) < 20_000
    assert not re.search(r' d="[^"]*\d\.\d{3}', drawn)


def both() -> str:
    """Two charts as one text: with patches, with clipped marks and with lines."""
    rising = finding(course(("2026-09", 5.0), ("2026-10", 6.0)))
    return svg(charts.ladder(finding(LADDER))) + svg(charts.trend(rising))


PROCESS = "import sys; sys.path.insert(0, sys.argv[1]); import test_charts; sys.stdout.write(test_charts.both())"


def test_two_processes_draw_the_same_bytes(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", PROCESS, str(ROOT / "tests")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout.decode() == both()


def test_fonts_can_be_had_without_loading_matplotlib() -> None:
    code = "import sys; from cxresearch.charts.theme import FONT_FILES; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


CELLS = [
    "import json; import cxresearch.charts as charts; from cxresearch.finding import Finding\n"
    "f = Finding.from_json(json.loads(GIVEN))\nNone",
    "charts.ladder(f);",
    "charts.ladder(f); charts.dots(f, label='model');",
    "figure = charts.ladder(f).figure\nfigure",
    "%matplotlib inline\ncharts.ladder(f);",
    "from matplotlib import pyplot\npyplot.get_fignums()",
]


def test_a_notebook_shows_each_figure_once_as_svg_with_its_words() -> None:
    import nbclient
    import nbformat

    given = f"GIVEN = {json.dumps(json.dumps(finding(LADDER).to_json()))}\n"
    sources = [given + CELLS[0], *CELLS[1:]]
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    nbclient.NotebookClient(written, kernel_name="python3", timeout=60).execute(env=environment)
    shown = [[o for o in cell.outputs if "image/svg+xml" in o.get("data", {})] for cell in written.cells]
    assert [len(outputs) for outputs in shown] == [0, 1, 2, 1, 1, 0]
    assert "image/png" not in json.dumps([cell.outputs for cell in written.cells])
    assert written.cells[-1].outputs[0]["data"]["text/plain"] == "[]"
    expected = charts.ladder(finding(LADDER))
    for outputs in shown[1:5]:
        said = outputs[0]["metadata"]["image/svg+xml"]
        assert said == {"alt": alt(expected), **{k: getattr(worn(expected.figure), k) for k in ("caption", "title")}}
        assert outputs[0]["data"]["image/svg+xml"] == svg(expected)


def test_installing_outside_a_notebook_does_nothing() -> None:
    import IPython

    assert IPython.get_ipython() is None
    notebook.install()
    assert isinstance(charts.ladder(finding(LADDER)).figure, Figure)


def test_a_matrix_prints_what_can_be_seen_and_names_the_strongest_first() -> None:
    """Every cell of a small matrix is printed with a real minus sign; the alternative text begins with the strongest."""
    rows = [row(outcome=y, term=x, measure="r", model="adjusted", estimate=r, conf_low=r - 0.1, conf_high=r + 0.1, n=90)
            for y, x, r in (("tangibles", "fcr", -0.001), ("tangibles", "wait_s", 0.02), ("empathy", "fcr", 0.5), ("empathy", "wait_s", -0.3))]  # fmt: skip
    ax = charts.matrix(finding(rows), down="outcome", across="term")
    assert [text.get_text() for text in ax.texts] == ["0.00", "0.02", "0.50", "−0.30"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["tangibles", "empathy"]
    assert "0.50" in worn(ax.get_figure()).alt.split(";")[0]
