"""The ladder of one correlation, and many pairs between their crude and a deeper step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cxresearch.charts import frame, lines, words
from cxresearch.charts.theme import COLOURS, themed
from cxresearch.errors import UsageError
from cxresearch.finding import Finding
from cxresearch.measures import LADDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RANGE = "all_customers"
DEEPER = ("per_use", "adjusted", "within_segment", "within_site_month", "within_customer")  # each holds more fixed
KIND = "Ladder of correlations"


def ladder(finding: Finding, outcome: str | None = None, term: str | None = None) -> Axes:
    """One correlation as a row of steps, each with its interval, and the step marked that changes the answer.

    The pale band is the interval of the crude correlation. The answer changes at the first step whose interval leaves
    that band, or whose sign turns while both intervals exclude zero. Open marks are rank correlations.
    """
    chosen = frame.rows_of(finding, outcome=outcome, term=term, group="all", measure=("r", "rho"))
    if not chosen:
        return frame.placeholder(finding, KIND)
    name, against = _one_pair(finding, chosen)
    steps = _in_order([record for record in chosen if record["measure"] == "r"])
    ranks = {record["model"]: record for record in chosen if record["measure"] == "rho"}
    turn = turning(steps)
    with themed():
        ax = lines.draw([_line(step, ranks, turn) for step in steps], _key(steps, ranks))
        _crude_band(ax, steps)
    labels = [words.spoken("model", step["model"]) for step in steps]
    remark = words.sentence(f"{turn[1]} at the step {words.spoken('model', turn[0])}") if turn else ""
    alt = words.alternative(f"{KIND} of {against} with {name}", finding, steps, labels, remark)
    return frame.finish(ax, finding, steps, alt)


def _one_pair(finding: Finding, records: Sequence[frame.Row]) -> tuple[str, str]:
    pairs = list(dict.fromkeys((record["outcome"], record["term"]) for record in records))
    if len(pairs) > 1:
        have = "; ".join(f"outcome={outcome!r}, term={term!r}" for outcome, term in pairs)
        raise UsageError(f"a ladder shows one pair, and finding {finding.name!r} has {len(pairs)}; name one: {have}")
    outcome, term = pairs[0]
    return words.spoken("outcome", outcome), words.spoken("term", term)


def _in_order(records: Sequence[frame.Row]) -> list[frame.Row]:
    known = {model: place for place, model in enumerate(LADDER)}
    return sorted(records, key=lambda record: known.get(record["model"], len(known)))


def turning(steps: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """The model of the first step that changes the crude answer, and how it does."""
    crude = next((step for step in steps if step["model"] == "crude" and _whole(step)), None)
    if crude is None:
        return None
    for step in steps:
        if step["model"] in ("crude", RANGE) or not _whole(step):
            continue
        apart = step["conf_low"] > crude["conf_high"] or step["conf_high"] < crude["conf_low"]
        opposite = step["estimate"] * crude["estimate"] < 0
        if opposite and _excludes_zero(step) and _excludes_zero(crude):
            return step["model"], "the sign turns"
        if apart:
            return step["model"], "leaves the crude interval"
    return None


def _whole(step: Mapping[str, Any]) -> bool:
    return all(step[name] is not None for name in ("estimate", "conf_low", "conf_high"))


def _excludes_zero(step: Mapping[str, Any]) -> bool:
    return bool(step["conf_low"] > 0 or step["conf_high"] < 0)


def _line(step: frame.Row, ranks: Mapping[str, frame.Row], turn: tuple[str, str] | None) -> lines.Line:
    label, note = words.spoken("model", step["model"]), words.printed(step)
    rank = ranks.get(step["model"])
    if step["model"] == RANGE and step["conf_low"] is not None:
        return lines.Line(label, step, note, COLOURS["range"], "band", rank)
    if turn and turn[0] == step["model"]:
        return lines.Line(label, step, f"{note}\n{turn[1]}", COLOURS["changed"], beside=rank, strong=True)
    colour = COLOURS["crude" if step["model"] == "crude" else "estimate"]
    return lines.Line(label, step, note, colour, beside=rank)


def _key(steps: Sequence[frame.Row], ranks: Mapping[str, frame.Row]) -> str:
    """The name of the axis, and what the open marks and the pale band are, where they are drawn."""
    parts = ["correlation r"]
    if any(rank["estimate"] is not None for rank in ranks.values()):
        parts = ["correlation r (●)", "rank correlation rho (○)"]
    if steps[0]["model"] == "crude" and _whole(steps[0]):
        parts.append("shaded: the crude interval")
    return ", ".join(parts)


def _crude_band(ax: Axes, steps: Sequence[frame.Row]) -> None:
    crude = steps[0]
    if crude["model"] == "crude" and _whole(crude):
        ax.axvspan(crude["conf_low"], crude["conf_high"], color=COLOURS["fill"], alpha=0.6, linewidth=0, zorder=0.5)


def strip(finding: Finding) -> Axes:
    """All pairs of a finding: crude correlation (open) against one deeper step (filled), sorted by that step.

    The step is the same for all pairs: the one that most pairs have, and of those the one that holds most fixed; where
    none has a deeper one, the crude correlation alone.
    """
    chosen = frame.rows_of(finding, measure="r", group="all")
    step = _deepest(chosen)
    crude = {(r["outcome"], r["term"]): r for r in chosen if r["model"] == "crude" and step != "crude"}
    deeper = {(r["outcome"], r["term"]): r for r in chosen if r["model"] == step}
    pairs = sorted(dict.fromkeys([*crude, *deeper]), key=lambda pair: frame.from_the_largest(deeper.get(pair)))
    if not pairs:
        return frame.placeholder(finding, "Correlations of many pairs")
    shown = [deeper.get(pair) or {**crude[pair], **_unknown(step)} for pair in pairs]
    labels = words.row_labels(shown, "term")
    drawn = [lines.Line(label, record, words.printed(record), beside=crude.get(pair))
             for pair, label, record in zip(pairs, labels, shown, strict=True)]  # fmt: skip
    name = words.spoken("model", step)
    with themed():
        ax = lines.draw(drawn, f"correlation r: {name} (●), crude (○)" if crude else f"correlation r: {name}")
    alt = words.alternative(f"Correlations of {len(pairs)} pairs, {name}", finding, shown, labels)
    return frame.finish(ax, finding, shown, alt)


def _deepest(records: Sequence[frame.Row]) -> str:
    found = [record["model"] for record in records if record["estimate"] is not None and record["model"] in DEEPER]
    if not found:
        return "crude"
    return max(DEEPER, key=lambda model: (found.count(model), DEEPER.index(model)))


def _unknown(step: str) -> dict[str, Any]:
    """A pair without this step says so instead of showing another number in its place."""
    return {"model": step, "estimate": None, "conf_low": None, "conf_high": None, "effect_label": "not estimable"}
