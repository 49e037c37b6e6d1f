"""An executed notebook made in memory: every kind of block that a report can hold."""

from __future__ import annotations

import io
from typing import Any

import nbformat
from nbformat import NotebookNode, v4

from cxresearch.claims import VERDICT_MIME
from cxresearch.finding import FINDING_MIME, Caveat, Finding
from cxresearch.report import document, results
from cxresearch.report.shown import CLAIMS_MIME, NOTICE_MIME, TILES_MIME
from cxresearch.table import row, tidy

METADATA: dict[str, Any] = {
    "title": "Service quality, satisfaction and churn",
    "edition": "Monthly report",
    "study": "demo",
    "study_title": "Demo operator (simulated)",
    "period": "2026-10",
    "segment": "all",
    "generated": "2026-11-03",
    "command": "cxresearch report monthly --data data/demo.toml --period 2026-10 --as-of 2026-11-03",
    "versions": {"cxresearch": "0.1.0", "ibis": "12.0.0", "duckdb": "2.0.0"},
    "parameters": {"data": "data/demo.toml", "period": "2026-10", "segment": "all", "window": 12},
    "data_fingerprint": "9c41f0a2",
    "run": "2026-10-9c41f0a2",
    "commit": "1f3d9ab",
}


def svg(title: str = "Retainability goes with satisfaction") -> str:
    """A small chart as Matplotlib writes it: text stays text, ids repeat between figures."""
    from matplotlib.figure import Figure

    from cxresearch.charts.theme import themed

    with themed():
        figure = Figure(figsize=(5.6, 2.6))
        axes = figure.subplots()
        steps = ["crude", "same usage and price", "within customer"]
        points = [0.31, 0.22, 0.14]
        axes.errorbar(points, steps, xerr=[[0.03] * 3] * 2, fmt="o", color="#0B5C8A")
        axes.axvline(0, color="#8A939E", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.invert_yaxis()
        axes.set_title(title, loc="left")
        axes.set_xlabel("correlation r, 95 % interval")
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue().decode()


def finding(rows: int = 3, **fields: Any) -> Finding:
    """A finding with a correlation ladder of so many rows."""
    models = ["crude", "per_use", "adjusted", "within_segment", "within_site_month", "within_customer"]
    table = tidy(
        row(
            outcome="satisfaction",
            term="retainability",
            model=models[i % len(models)],
            group="all" if i < len(models) else f"region=R{i // len(models):03d}",
            measure="r",
            estimate=0.31 - 0.01 * (i % 17),
            conf_low=0.28 - 0.01 * (i % 17),
            conf_high=0.34 - 0.01 * (i % 17),
            n=2341 + i,
            clusters=200,
        )
        for i in range(rows)
    )
    given: dict[str, Any] = {
        "name": "ladder",
        "question": "Do customers whose calls hold say that they are more satisfied?",
        "estimand": "correlation of satisfaction and retainability among answering customers",
        "design": "adjusted",
        "table": table,
        "method": "Pearson correlations; intervals by a jackknife over 200 site blocks.",
        "sample": "2,341 customers answered; 112 without network data left out.",
        "answer": "Satisfaction goes with retainability: r = 0.31 (95 % interval 0.28 to 0.34, n = 2,341), "
        "and about half of that remains at equal usage and price.",
        "title": "Retainability goes with satisfaction at every step",
        "periods": "2025-11 to 2026-10",
        "caveats": (
            Caveat("silent-leavers", "customers who leave answer less: read this beside the range for the silent."),
            Caveat("shared-network", "neighbours share a site: intervals rest on 200 site blocks."),
        ),
    }
    return Finding(**{**given, **fields})


def verdict(**fields: Any) -> dict[str, Any]:
    """The verdict of one part of a claim."""
    part = {
        "claim": "S3.5", "part": "leavers", "label": "leavers per 1,000",
        "statement": "A more satisfied customer is less likely to leave", "kind": "claim", "about": "churn",
        "source": "Trade press, 2019", "notebook": "quality_satisfaction_churn", "low": None, "high": -3.0,
        "unit": "leavers per 1,000", "estimate": -4.6, "conf_low": -5.9, "conf_high": -3.3, "conf_level": 0.99,
        "n": 24310, "verdict": "supported", "reason": "", "flips_at": -3.3, "finding": "churn", "term": "satisfaction",
        "outcome": "churned", "group": "all", "model": "adjusted", "measure": "per_1000",
        "sentence": "Ten points more satisfaction go with 4.6 fewer leavers per 1,000 customers "
        "(99 % interval 3.3 to 5.9 fewer, n = 24,310).",
    }  # fmt: skip
    return {**part, **fields}


CLAIMS = [
    ("S3.5", "A more satisfied customer is less likely to leave", "supported", ""),
    ("N1.2", "If 80 % of experience is network, fix the network first", "refuted", "was undecided in 2026-09"),
    ("C2.1", "First-contact resolution should replace handle time", "not_estimable", ""),
    ("D4.4", "Empathy matters more than reliability", "refuted", ""),
    ("S1.1", "Good service sells", "undecided", ""),
]


def claims(level: str = "front", count: int = 5) -> dict[str, Any]:
    """So many claims with their verdicts."""
    reasons = {
        "supported": verdict()["sentence"],
        "refuted": "The network block holds 0.31 of the explained variance (99 % interval 0.24 to 0.39, n = 2,341).",
        "undecided": "Uptake differs by 0.4 points (99 % interval −1.1 to 1.9, n = 3,920): too wide to say.",
        "not_estimable": "The study has no column handle_s.",
    }
    listed = []
    for i in range(count):
        name, statement, word, changed = CLAIMS[i % len(CLAIMS)]
        parts = [verdict(claim=name, statement=statement, verdict=word)] if word != "not_estimable" else []
        claim = {"id": name if i < 5 else f"{name}-{i}", "statement": statement, "verdict": word, "changed": changed}
        told = {"kind": "claim", "source": "Trade press, 2019", "sentence": reasons[word], "reason": ""}
        listed.append({**claim, **told, "parts": parts})
    title = "What the trade says, and what these data say" if level == "front" else "All claims"
    return {"title": title, "intro": "", "claims": listed, "level": level}


NAMES = ("label", "value", "interval", "change", "note")
NUMBERS = [
    ("Satisfaction, 0 to 100", "61.4", "95 %: 60.6 to 62.2", "+0.8 on 2026-09", "2,341 answers"),
    ("Net promoter score", "7", "95 %: 4 to 10", "", "response rate 24 %"),
    ("Left within the month, 2026-09", "1.42 %", "95 %: 1.27 to 1.59", "−0.06 points", ""),
    ("Calls that held", "98.7 %", "95 %: 98.6 to 98.8", "", "200 sites"),
]
TILES = {"tiles": [dict(zip(NAMES, line, strict=True)) for line in NUMBERS]}
CHANGED = {"title": "What changed since 2026-09", "items": ["One verdict: N1.2 was undecided and is now refuted.",
           "No headline score moved by more than its interval."], "tone": "info"}  # fmt: skip
CAUTION = {"title": "What to be careful about", "items": ["Scores are of the 24 % who answered; leavers answer less.",
           "No column for handle time: 4 claims stay not estimable."], "tone": "caution"}  # fmt: skip


def shown(data: dict[str, Any], metadata: dict[str, Any] | None = None) -> NotebookNode:
    """A display output."""
    return v4.new_output("display_data", data=data, metadata=metadata or {})


def code(*outputs: NotebookNode, tags: list[str] | None = None, count: int = 1) -> NotebookNode:
    """An executed code cell."""
    cell = v4.new_code_cell("secret = 'source is not published'", outputs=list(outputs), execution_count=count)
    cell.metadata["tags"] = tags or []
    return cell


def chart(**metadata: str) -> NotebookNode:
    """A chart output with its words."""
    words = {
        "alt": "Correlation ladder: crude 0.31 (0.28 to 0.34), same usage and price 0.22, within customer 0.14.",
        "caption": "Pearson r with 95 % intervals, 200 site blocks, n = 2,341, 2025-11 to 2026-10.",
        "title": "Retainability goes with satisfaction",
        **metadata,
    }
    return shown({results.SVG_MIME: svg(), "text/plain": "<Figure>"}, {results.SVG_MIME: words})


def shows(value: Finding) -> NotebookNode:
    """A finding as a notebook shows it: typed data beside HTML that is not published."""
    return shown({FINDING_MIME: value.to_json(), "text/html": "<b>html</b>", "text/plain": "plain"})


def book(*cells: NotebookNode, **about: Any) -> NotebookNode:
    """A notebook of these cells."""
    made = v4.new_notebook(cells=list(cells))
    if about:
        made.metadata["cxresearch"] = nbformat.from_dict(about)
    return made


def chapter(title: str = "Does better service go with more satisfaction and less churn?") -> NotebookNode:
    """A chapter as a researcher writes it."""
    stream = v4.new_output("stream", name="stderr", text="findfont: noise")
    listed = "## The ladder\n\n- a step that *changes* the answer is marked\n- it costs $5 and $10, not `$x$`"
    regions = finding(24, name="regions", title="The ladder by region", design="associational", caveats=())
    return book(
        v4.new_markdown_cell(f"# {title}\n\nRead the ladder from the top: each step holds **more** fixed."),
        code(tags=["parameters"]),
        v4.new_markdown_cell(listed),
        code(shows(finding(6)), stream),
        code(chart()),
        v4.new_markdown_cell("## Who leaves\n\nThe verdict is taken at 99 %."),
        code(shown({VERDICT_MIME: verdict()})),
        code(shows(regions), tags=["appendix"]),
    )


def summary() -> NotebookNode:
    """A scorecard: its parts in the order in which they were computed."""
    answer = finding(2, name="answer", question="", caveats=(), design="adjusted")
    return book(
        v4.new_markdown_cell("# What the trade says about service, put to these data"),
        code(shown({NOTICE_MIME: CAUTION})),
        code(shown({CLAIMS_MIME: claims(count=9)})),
        code(shown({NOTICE_MIME: CHANGED})),
        code(shows(answer)),
        code(shown({TILES_MIME: TILES})),
        code(shown({CLAIMS_MIME: claims("appendix", 14)})),
    )


def failed() -> NotebookNode:
    """A chapter that stopped at its second code cell, as papermill leaves it."""
    banner = v4.new_markdown_cell('<span style="color:red">An Exception was encountered</span>')
    banner.metadata["tags"] = ["papermill-error-cell-tag"]
    error = v4.new_output(
        "error", ename="ValueError", evalue="\x1b[31mno column 'nps' in /home/jane/panel\x1b[0m", traceback=["frame 1"]
    )
    return book(
        banner,
        v4.new_markdown_cell("# What do customers remember?"),
        code(shows(finding(1, answer="This much was found before it stopped.", caveats=())), count=1),
        code(error, count=2),
    )


def report(*more: tuple[str, NotebookNode], **about: Any) -> NotebookNode:
    """A whole edition, merged."""
    chapters = [("quality_satisfaction_churn", chapter()), *more, ("scorecard", summary())]
    return document.merge(chapters, {**METADATA, **about})
