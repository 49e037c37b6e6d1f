"""Table checks: rows that are short, lost, repeated, nobody's, late, or outside their scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import ibis
import ibis.expr.types as ir
import numpy as np

from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME, EVENT_KEYS, KEYS
from cxresearch.evidence import sampling
from cxresearch.evidence.lights import Limits, Seen, light, percent
from cxresearch.measures import number

SHORT, HALF, LONG = 0.8, 0.5, 1.25  # rows of a month against the usual month
REPEATED, STRANGERS, LATE, CODED = (0.001, 0.05), (0.01, 0.2), (0.01, 0.1), (0.0, 0.2)  # shares of rows: look, stop
ARRIVES = {"surveys": "answered_at", "interactions": "started_at", "tickets": "opened_at", "orders": "completed_at"}


def coverage(study: Study, _: Limits) -> Seen:
    seen = Seen(
        f"rows of each month of the window against the middle one of the others: look below {SHORT:.0%} or beyond {LONG:.0%}, stop below {HALF:.0%}, where chance does not explain it".replace("%", " %"),
        advice="Load the months that are short again before anything is read of them: sums and trends of them are too low, and rates are those of whoever is there already.",
        method="Rows of each table, and answered relationship surveys, by month.",
        lacking=("panel.period",),
    )  # fmt: skip
    usual_told = []
    for name, term, table in _monthly(study):
        counted = table.group_by("period").aggregate(n=table.count()).to_pyarrow().to_pylist()
        found = {entry["period"]: int(entry["n"]) for entry in counted if entry["period"] in study.periods}
        first = min(found, default=study.period)
        span = [p for p in study.periods if p >= first]
        others = [found.get(p, 0) for p in span[:-1]]
        usual = float(np.median([n for n in others if n] or [0]))
        what = f"{name}.{term}" if term else name
        if usual:
            usual_told.append(f"{what} {number(found.get(study.period, 0), 0)} against {number(usual, 0)}")
        for period in span:
            n, rest = found.get(period, 0), [found.get(p, 0) for p in span if p != period]
            light = _month_light(n, usual, rest, period == study.period)
            text = f"{what} has {sampling.told(study, n)} rows in {period}, usual are {number(usual, 0)}"
            given = {"estimate": n, "n": n} if n else {"effect_label": "no rows"}
            seen.add(light, text, outcome=name, term=term, group=f"period={period}", measure="count", unit="rows", **given)  # fmt: skip
    seen.fine = f"no table is short of rows in {study.period} ({'; '.join(usual_told)} in the usual month)"
    if not usual_told:
        seen.fine = f"{study.period} is the only month, so there is nothing to compare its rows with"
    return seen


def _monthly(study: Study) -> Iterator[tuple[str, str | None, ir.Table]]:
    for name, source in study.tables.items():
        if "period" in source.values:
            yield name, None, source.select(["period"])
            if name == "surveys" and "answered_at" in source.values:
                yield name, "answered_at", source.answered().select("period")


def _month_light(n: int, usual: float, rest: Sequence[int], now: bool) -> int:
    """How far the rows of a month are from the usual: beyond all other months, and beyond chance."""
    if not usual or abs(n - usual) <= 4 * usual**0.5 or min(rest) <= n <= max(rest):
        return 1 if usual and not n else 0
    if n < HALF * usual:
        return 2 if now else 1
    return int(n < SHORT * usual or n > LONG * usual)


# -- what missing values cost


def loss(study: Study, limits: Limits) -> Seen:
    limit = percent(limits.max_missing)
    seen = Seen(
        f"share of the rows of a common question that a term loses: look beyond {limit}, stop where fewer than half of the rows are left",
        advice="Ask where the values went before the question is read: rows that are left may be other customers. Or leave the term out of given=.",
        method=f"A row is lost where any term of the question lacks a value; {limit} is the most that is let pass.",
        lacking=("surveys.satisfaction", "panel.churned"),
    )  # fmt: skip
    lead = study.lead_quality
    questions = [("satisfaction", lead), ("churned", "satisfaction"), ("churned", lead)]
    worst = (0.0, "")
    for pair in (pair for pair in questions if study.has(*pair)):
        terms = list(dict.fromkeys([*pair, *(c for c in study.controls if study.has(c))]))
        table = study.rows(terms)
        # whether customers left is not known yet in the report period, which is no loss
        table = table.filter(table.churned.notnull()) if "churned" in pair else table.filter(table.period == study.period)
        lack = {term: table[term].isnull() for term in terms}
        alone = {t: lack[t] & ~ibis.or_(*(lack[o] for o in terms if o != t)) for t in terms}
        sums = {f"lack{i}": lack[t].sum() for i, t in enumerate(terms)} | {f"alone{i}": alone[t].sum() for i, t in enumerate(terms)}  # fmt: skip
        got = table.aggregate(rows=table.count(), lost=ibis.or_(*lack.values()).sum(), **sums).to_pyarrow().to_pylist()[0]  # fmt: skip
        n, asked = int(got["rows"]), f"{pair[0]} with {pair[1]}"
        if not n:
            continue
        for i, term in enumerate(terms):
            share, by_itself = int(got[f"lack{i}"] or 0) / n, int(got[f"alone{i}"] or 0) / n
            text = f"{BY_NAME[term].table}.{term} lacks {percent(share)} of {number(n, 0)} rows of the question {asked}, {percent(by_itself)} by itself"
            worst = max(worst, (share, f"{BY_NAME[term].table}.{term}"))
            seen.add(int(share > limits.max_missing), text, outcome=asked, term=term, measure="rate", unit="of rows lack it",
                     estimate=share, n=n, events=int(got[f"lack{i}"] or 0))  # fmt: skip
        lost = int(got["lost"] or 0)
        seen.add(2 * int(2 * lost > n), f"{number(n - lost, 0)} of {number(n, 0)} rows are left for the question {asked}", outcome=asked,
                 measure="rate", unit="of rows are lost", estimate=lost / n, n=n, events=lost)  # fmt: skip
    asked_all = study.answering(only=(study.period,))
    if asked_all is not None:
        got = asked_all.aggregate(n=asked_all.count(), said=asked_all.answered.sum()).to_pyarrow().to_pylist()[0]
        if n := int(got["n"]):
            silent = n - int(got["said"] or 0)
            seen.sample = f"{number(silent, 0)} of {number(n, 0)} who were invited did not answer: that is a loss by silence and not by missing values, and each score says what it could change."
            seen.add(0, "", outcome="surveys", term="answered_at", measure="rate", unit="of those invited are silent", estimate=silent / n, n=n, events=silent)  # fmt: skip
    seen.fine = f"the most that a common question loses by one term is {percent(worst[0])}" + (f" ({worst[1]})" if worst[0] else "")  # fmt: skip
    return seen


# -- repeated rows and rows of nobody


def keys(study: Study, _: Limits) -> Seen:
    """Rows that stand twice under one key or under two ids, and rows whose customer has no panel row in that month."""
    seen = Seen(
        f"share of rows: repeated, look beyond {percent(REPEATED[0])}, stop beyond {percent(REPEATED[1])}; without a panel row, look beyond {percent(STRANGERS[0])}, stop beyond {percent(STRANGERS[1])}",
        advice="Keep one row of each, and give ids that are written in one way: repeated rows count twice, and rows of nobody are left out of every question.",
        method="Rows of the window. Repeated: same customer and month in the panel, else same customer and moment.",
        lacking=("panel.customer_id",),
    )  # fmt: skip
    panel = study.tables.get("panel")
    there = panel.select(list(KEYS)) if panel is not None else None
    for name, source in study.tables.items():
        when = "period" if name == "panel" else ARRIVES.get(name, "")
        if not {"customer_id", "period"} <= set(source.values) or not source.identified:
            continue
        columns = dict.fromkeys(["customer_id", "period", *([when] if when in source.values else [])])
        table = source.select(list(columns))
        table = table.filter(table.period.isin(list(study.periods)))
        if when in source.values:
            table = table.filter(table[when].notnull())  # the silent and the unfinished have no moment
            text = table.customer_id.concat("|", table[when])
            got = table.aggregate(n=table.count(), different=text.hash().nunique()).to_pyarrow().to_pylist()[0]
            n, twice = int(got["n"]), int(got["n"]) - int(got["different"])
            if n:
                told = f"{number(twice, 0)} of {number(n, 0)} rows of {name} repeat the {name}.customer_id and {name}.{when} of another one"
                seen.rate(light(twice / n, REPEATED), told, twice, n, outcome=name, term=when, unit="of rows are repeated")
        if there is not None and name != "panel":
            n, alone = (int(t.count().to_pyarrow().as_py()) for t in (table, table.anti_join(there, list(KEYS))))
            if n:
                told = f"{number(alone, 0)} of {number(n, 0)} rows of {name} have a {name}.customer_id without a panel row of that month"
                seen.rate(light(alone / n, STRANGERS), told, alone, n, outcome=name, term="customer_id", unit="of rows meet nobody")
    seen.fine = f"each row stands once and for somebody in {', '.join(dict.fromkeys(r['outcome'] for r in seen.rows))}"
    return seen


# -- late and misdated rows


def arrivals(study: Study, limits: Limits) -> Seen:
    """Answers and events that arrive long after the end of their month, before it, or at no readable moment."""
    days = limits.late_days
    seen = Seen(
        f"share of rows more than {days} days after the end of their month, and before its beginning: look beyond {percent(LATE[0])}, stop beyond {percent(LATE[1])}",
        advice="Wait until the period is complete, or ask of an earlier one; give misdated rows the month in which they happened.",
        method=f"Answers and events of the window by their own moment; {days} days are let pass.",
        lacking=("surveys.answered_at", "interactions.started_at"),
    )  # fmt: skip
    told = []
    for name, when in ARRIVES.items():
        source = study.tables.get(name)
        if source is None or not {"period", when} <= set(source.values):
            continue
        table = source.select(["period", when])
        table = table.filter(table.period.isin(list(study.periods)), table[when].notnull())
        start = table.period.concat("-01").try_cast("timestamp")
        table = table.mutate(at=table[when].try_cast("timestamp"), start=start, end=start + ibis.interval(months=1))
        got = table.aggregate(
            n=table.count(),
            after=(table.at >= table.end).sum(),
            late=(table.at >= table.end + ibis.interval(days=days)).sum(),
            early=(table.at < table.start).sum(),
            unread=table.at.isnull().sum(),
        )
        counts = {key: int(value or 0) for key, value in got.to_pyarrow().to_pylist()[0].items()}
        if not (n := counts["n"]):
            continue
        told.append(f"{percent(counts['after'] / n)} of {name}.{when}")
        kinds = {
            "late": f"more than {days} days after its month",
            "early": "before its month",
            "unread": "not readable as a moment",
        }
        for kind, where in kinds.items():
            text = f"{number(counts[kind], 0)} of {number(n, 0)} values of {name}.{when} lie {where}"
            text = text.replace("lie not", "are not")
            seen.rate(light(counts[kind] / n, LATE), text, counts[kind], n, outcome=name, term=when, group=f"moment={kind}", unit=f"of rows {where}")  # fmt: skip
    seen.fine = f"no table has many rows more than {days} days after their month; after its last day come {', '.join(told)}, so about as many of {study.period} may be still to come"
    return seen


# -- values outside their scale


def codes(study: Study, _: Limits) -> Seen:
    """Values that no answer can have, which every question takes as missing: most often codes for no answer."""
    seen = Seen(
        f"share of known values outside the range of their term: look at any, stop beyond {percent(CODED[1])}",
        advice="If they are codes for no answer, declare them in the mapping, as missing = […]; else mend the column. Until then they are taken as missing.",
        method="All rows of each table, against the range of its terms or the scale of the mapping.",
        lacking=("panel.period",),
    )  # fmt: skip
    for name, source in study.tables.items():
        for found in source.outside:
            text = f"{name}.{found.ranged.term}: {found.text}"
            seen.rate(light(found.count / found.known, CODED), text, found.count, found.known, outcome=name, term=found.ranged.term, unit="of values outside")  # fmt: skip
        if not source.outside:
            n = int(source.table.count().to_pyarrow().as_py())
            seen.rate(0, "", 0, n, outcome=name, unit="of values outside")
    seen.fine = f"no value lies outside the scale of its term in {', '.join(study.tables)}"
    return seen
