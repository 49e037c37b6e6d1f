"""What a ladder says in words: answer, title, method and doubts of the findings that `relate` makes."""

from __future__ import annotations

from typing import Any

from cxresearch.data.study import Study
from cxresearch.evidence import pitfalls, sampling, silent
from cxresearch.evidence.asking import Pair
from cxresearch.evidence.pitfalls import side
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import MODELS, capital, number

HUGE_N = 20_000
SMALL_R = 0.05
BENT, BENT_PART = 0.05, 0.2  # r and rho are another answer when they differ by both, the part of the larger
NAMES = {
    "r": "Pearson r",
    "rho": "Spearman rho",
    "tau": "Kendall tau-b (Fieller's interval where every row is one customer)",
    "semipartial": "semi-partial r by jackknife",
    "polychoric": "polychoric correlation by maximum likelihood, as if normal feelings lay behind the answers",
}
EQUAL = (
    "adjusted",
    "within ",
    "within_segment",
)  # steps that compare like with like; within customer noise alone makes r small
SPEAKS = ("adjusted", "within_customer", "within_site_month", "within_segment", "per_use")


def method(table: list[dict[str, Any]], adjusters: list[str], notes: sampling.Notes, held: str) -> str:
    made = {record["measure"] for record in table}
    parts = [", ".join(name for measure, name in NAMES.items() if measure in made) + "."]
    if adjusters:
        parts.append(f"{capital(held)}: partial correlation given {', '.join(adjusters)}.")
    if any(record["model"] == "reliable" for record in table):
        parts.append("Corrected for unreliability by Cronbach's alpha of the items, whose own error is counted.")
    if any(record["model"] == "all_customers" for record in table):
        parts.append(f"Range for all customers: {silent.ASSUMPTION}.")
    parts.append(notes.interval_method(textbook=True))
    return " ".join(parts)


def answer(study: Study, pairs: list[Pair], finding: Finding) -> tuple[str, str]:
    if len(pairs) == 1 or len({(p.outcome, p.term) for p in pairs}) == 1:
        return _answer_of_one(study, pairs[0], finding)
    return _answer_of_many(study, pairs, finding)


def _answer_of_one(study: Study, pair: Pair, finding: Finding) -> tuple[str, str]:
    y, x = study.term(pair.outcome).label, study.term(pair.term).label
    records = [
        r for r in finding.rows(measure="r", group="all") if r["estimate"] is not None and r["model"] != "all_customers"
    ]
    if not records:
        why = sampling.why_not(finding, f"{x} and {y} do not both vary in the rows that have them")
        return f"Not estimable: {why}.", "Not estimable"
    first = records[0]
    if first["model"].startswith("lag"):
        listed = ", ".join(f"{number(r['estimate'])} at {r['model']}" for r in records if "," not in r["model"])
        inside = [f"{number(r['estimate'])}" for r in records if r["model"].endswith("within customer")]
        within = f"; within customer {', '.join(inside)}" if inside else ""
        same = finding.labels.get("adjusted", MODELS["adjusted"])
        held = f", {same if same != MODELS['adjusted'] else f'at the {same}'}" if pair.given else ""
        return (
            f"{capital(x)} with {y} so many months later{held}: r = {listed}{within}.",
            f"{capital(x)} with {y}, by the months between them",
        )
    crude = next((r for r in records if r["model"] == "crude"), first)
    if crude["model"] != "crude":  # it was not asked for, so there is nothing that another step could turn or undo
        step = finding.spoken("model", crude["model"])
        goes = f"{capital(x)} and {y} {_goes(crude)}"
        return f"{goes}: r {written(crude)}, {step}.", f"{goes}, {step}"
    text = f"{capital(x)} and {y} {_goes(crude)}: crude r {written(crude)}"
    turned = [r for r in records if _turns(crude, r)]
    gone = [r for r in records if _gone(crude, r)]
    last = next(
        (r for r in reversed(records) if r["model"] in ("within_customer", "within_site_month", "adjusted")), None
    )
    if turned:
        text += f"; the sign turns with {finding.spoken('model', turned[0]['model'])}: {written(turned[0], n=False)}"
    elif gone:
        text += f"; {_where(finding, gone[0])} it is not there: {written(gone[0], n=False)}"
    elif shown := _signs(records) if not side(crude) else []:
        listed = " and ".join(f"{_where(finding, r)} they {_goes(r)}: {written(r, n=False)}" for r in shown)
        text += f"; but {listed}"
    elif last is not None and last is not crude:
        doubt = ", not told from zero" if side(crude) and not side(last) else ""
        text += f"; {finding.spoken('model', last['model'])}{doubt}: {written(last, n=False)}"
    title = f"{capital(x)} and {y} {_goes(crude)}"
    if side(crude) and last is not None and not side(last):
        title += f"; {_where(finding, last)} that is not told from zero"
    elif not side(crude) and len(shown := _signs(records)) == 1:
        title = f"{capital(x)} and {y} {_goes(shown[0])} {_where(finding, shown[0])}; crude, no correlation is told from zero"
    elif not side(crude) and shown:
        title = f"{capital(x)} and {y}: in which direction they go hangs on what is held fixed"
    if turned:
        title = f"{capital(x)} and {y}: the crude sign turns with {finding.spoken('model', turned[0]['model'])}"
    elif gone:
        title = f"{capital(x)} and {y}: the crude correlation is not there {_where(finding, gone[0])}"
    return text + ".", title


def _answer_of_many(study: Study, pairs: list[Pair], finding: Finding) -> tuple[str, str]:
    records = [
        r for r in finding.rows(measure="r", group="all", model=["crude", "adjusted"]) if r["estimate"] is not None
    ]
    best = {}
    for r in records:  # the adjusted row of a pair, where there is one
        best[r["outcome"], r["term"]] = r
    told = [r for r in best.values() if r["p_adjusted"] is not None and r["p_adjusted"] < 0.05]
    if not best:
        return "Not estimable: no pair varies in the rows that have both.", "Not estimable"
    if not told:
        text = f"None of {len(best)} correlations is told from zero at a false-discovery rate of 5 %."
        return text, f"No correlation of {len(best)} is told from zero"
    top = max(told, key=lambda r: abs(r["estimate"]))
    x, y = study.term(top["term"]).label, study.term(top["outcome"]).label
    text = (
        f"{len(told)} of {len(best)} correlations are told from zero at a false-discovery rate of 5 %; the largest in size is "
        f"{x} with {y}, r = {written(top)}.{_fooled(study, finding)}"
    )
    return text, f"The largest correlation is that of {x} with {y}"


def _fooled(study: Study, finding: Finding) -> str:
    """Which pairs have a crude number that is not to be read alone, each with the step that changes it."""
    steps: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in finding.rows(measure="r", group="all"):
        if record["estimate"] is not None and record["model"] != "all_customers":
            steps.setdefault((record["outcome"], record["term"]), []).append(record)
    ladders = [rows for rows in steps.values() if rows[0]["model"] == "crude" and len(rows) > 1]
    told = []
    for crude, *rest in ladders:
        changed = next(((r, "turns its sign") for r in rest if _turns(crude, r)), None) or next(
            ((r, "is gone") for r in rest if _gone(crude, r)), None
        )
        if changed:
            step, how = changed
            told.append(f"{study.term(step['term']).label} ({how}: {MODELS[step['model']]})")
    if not ladders:
        return ""
    if not told:
        return f" In none of {len(ladders)} pairs does a step of the ladder turn or undo the crude number."
    return f" The crude number is not to be read alone in {len(told)} of {len(ladders)} pairs: {', '.join(told)}."


def _goes(record: dict[str, Any]) -> str:
    if record["conf_low"] is None or record["conf_low"] <= 0 <= record["conf_high"]:
        return "show no correlation told from zero"
    return "go together" if record["estimate"] > 0 else "go in opposite directions"


def _signs(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each sign that a step beside the crude one tells from zero, the step that speaks for it.

    Steps hold other things fixed, each by itself: neighbours in one month still differ in use, so none stands for all.
    """
    told = [r for model in SPEAKS for r in records if r["model"] == model and side(r)]
    found: dict[int, dict[str, Any]] = {}
    for r in told:
        found.setdefault(side(r), r)
    return list(found.values())


def _where(finding: Finding, record: dict[str, Any]) -> str:
    """The step of a row as a place: `within segment`, `at the same usage and price`."""
    step = finding.spoken("model", record["model"])
    if step.startswith(("within", "per ")):
        return step
    return f"with {step}" if step.endswith("held fixed") else f"at the {step}"


def _turns(crude: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether both intervals exclude zero, on opposite sides of it."""
    return side(crude) * side(other) < 0


def _gone(crude: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a crude correlation that excludes zero is not there at equal levels: apart from an interval with zero."""
    if not other["model"].startswith(EQUAL) or not side(crude) or other["conf_low"] is None or side(other):
        return False
    return bool(other["conf_high"] < crude["conf_low"] or crude["conf_high"] < other["conf_low"])


def caveats(
    study: Study, pairs: list[Pair], table: list[dict[str, Any]], notes: sampling.Notes, by: str | None
) -> tuple[Caveat, ...]:
    found = list(notes.caveats())
    names = {pair.outcome for pair in pairs} | {pair.term for pair in pairs}
    asked = [name for name in names if study.on_survey([name])]
    if any(study.on_survey([p.outcome]) and study.on_survey([p.term]) for p in pairs):
        held = any("marker_item" in p.given for p in pairs)
        marked = "marker_item is held fixed here, which takes a part of it" if held else "or hold marker_item fixed"
        text = "Both are answers of one questionnaire: a common mood ties them together, also within a customer. Put a measure of operations on one side"
        found.append(Caveat("halo", f"{text}{'; ' if held else ', '}{marked}."))
    if asked and "churned" in names and study.knows_silent:
        found.append(
            Caveat(
                "silent-leavers",
                "Leavers answer less: among those who answered the correlation is not that of all customers.",
            )
        )
    terms, given = [pair.term for pair in pairs], [x for pair in pairs for x in pair.given]
    found += pitfalls.of_terms(study, terms, given, leaving="churned" in names)
    for pair in pairs:
        own = [
            r for r in table if r["outcome"] == pair.outcome and r["term"] == pair.term and r["measure"] in ("r", "rho")
        ]
        found += _pair_caveats(study, pair, own)
    return tuple(found)


def _pair_caveats(study: Study, pair: Pair, own: list[dict[str, Any]]) -> list[Caveat]:
    found = []
    x, y = study.term(pair.term).label, study.term(pair.outcome).label
    crude = {r["measure"]: r for r in own if r["model"] == "crude" and r["group"] == "all"}
    steps = [r for r in own if r["group"] == "all" and r["measure"] in crude]
    turned = [r for r in steps if _turns(crude[r["measure"]], r)]
    gone = [r for r in steps if _gone(crude[r["measure"]], r)]
    shown = [r for r in steps if r["model"].startswith(EQUAL) and pitfalls.hidden(crude[r["measure"]], r)]
    for records, what in (
        (turned, "sign of {} with {} turns"),
        (gone, "correlation of {} with {} is not there"),
        (shown, "number hides a correlation of {} with {}"),
    ):
        if records:
            told = " and ".join(dict.fromkeys(MODELS.get(r["model"], r["model"]) for r in records))
            text = f"The crude {what.format(x, y)}: {told}. Do not read the crude number alone."
            found.append(Caveat("confounded", text))
            break
    found += _reversal(study, own, crude.get("r")) + _bent(crude, x, y)
    r = crude.get("r")
    if (
        r
        and r["n"] > HUGE_N
        and r["estimate"] is not None
        and abs(r["estimate"]) < SMALL_R
        and (r["p_value"] or 1) < 0.05
    ):
        found.append(
            Caveat(
                "huge-n",
                f"With n = {r['n']:,} even a correlation of {number(r['estimate'])} is told from zero: judge by its size.",
            )
        )
    return found


def _bent(crude: dict[str, dict[str, Any]], x: str, y: str) -> list[Caveat]:
    """A doubt where r and rho differ by much and by more than chance: no straight line, or a few extreme values."""
    if not {"r", "rho"} <= set(crude) or not pitfalls.told_apart(crude["r"], crude["rho"]):
        return []
    r, rho = crude["r"]["estimate"], crude["rho"]["estimate"]
    if abs(r - rho) < max(BENT, BENT_PART * max(abs(r), abs(rho))):
        return []
    text = f"{capital(x)} with {y}: r is {number(r)} and the rank correlation {number(rho)}, so the relation is no straight line, or a few extreme values make r. Read rho for most customers; rank_drivers(method='penalty_reward') tells the slopes on both sides of the mean."
    return [Caveat("nonlinear", text)]


def _reversal(study: Study, own: list[dict[str, Any]], crude: dict[str, Any] | None) -> list[Caveat]:
    """Simpson's paradox: the correlation at equal level, all levels together, has the opposite sign of the crude one.

    Judged by the standardised number first, which no small level can upset; both intervals must exclude zero.
    """
    inside = [r for r in own if r["measure"] == "r" and r["model"].startswith(("within ", "within_segment"))]
    for record in inside if crude else []:
        if crude and record["group"] == "all" and _turns(crude, record):
            levels = [r for r in own if r["group"] != "all" and r["model"] == "crude" and r["measure"] == "r"]
            levels = [r for r in levels if r["n"] >= study.min_cell]
            against = sum(_turns(crude, r) for r in levels)
            each = f" ({against} of {len(levels)} levels by themselves)" if levels else ""
            text = f"{capital(MODELS.get(record['model'], record['model']))} the sign is the opposite of that over all customers{each}: "
            return [Caveat("reversed", text + "the groups differ, not the customers in them. Read the groups.")]
    return []
