"""Table checks: rows that are short, repeated, nobody's, late, or outside their scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import ibis
import ibis.expr.types as ir
import numpy as np

from cxresearch.data import checks
from cxresearch.data.marks import mark_of_two
from cxresearch.data.study import Study
from cxresearch.data.terms import KEYS
from cxresearch.evidence import sampling
from cxresearch.evidence.lights import Limits, Seen, light, percent
from cxresearch.measures import number

SHORT, HALF, LONG = 0.8, 0.5, 1.25  # rows of a month against the usual month
REPEATED, STRANGERS, LATE, CODED = (0.001, 0.05), (0.01, 0.2), (0.01, 0.1), (0.0, 0.2)  # shares of rows: look, stop
_COUNTED: WeakKeyDictionary[Study, dict[int, list[dict[str, Any]]]] = WeakKeyDictionary()
ARRIVES = {"surveys": "answered_at", "interactions": "started_at", "tickets": "opened_at", "orders": "completed_at"}


def coverage(study: Study, _: Limits) -> Seen:
    """Rows of each table, and answered relationship surveys, in each month of the window: a short month, a gap."""
    seen = Seen(
        f"rows of each month of the window against the middle of the others: look below {SHORT:g} or beyond {LONG:g} of it, stop below {HALF:g}, where chance does not explain it",
        advice="Load the months that are short again before anything is read of them: until then their rates are those of whoever is there already.",
        method="Rows of each table, and answered relationship surveys, by month; all segments.",
        lacking=("panel.period",),
    )  # fmt: skip
    tables = {
        name: source.select(["period"], only=study.periods)
        for name, source in study.tables.items()
        if "period" in source.values
    }
    if study.knows_silent:
        tables["surveys.answered_at"] = study.tables["surveys"].answered(["period"], only=study.periods)
    found = {name: dict.fromkeys(study.periods, 0) | checks.by_month(table) for name, table in tables.items()}
    told = []
    for name, counts in found.items():
        span = [p for p in study.periods if p >= min((q for q in counts if counts[q]), default=study.periods[-1])]
        usual = float(np.median([counts[p] for p in span[:-1] if counts[p]] or [0]))
        if usual:
            told.append(
                f"{name} {sampling.told(study, counts[study.months[-1]])} against {sampling.told(study, round(usual))}"
            )
        for period in reversed(span):
            n, rest = counts[period], [counts[p] for p in span if p != period]
            text = (
                f"{name} has {sampling.told(study, n)} rows in {period}, usual are {sampling.told(study, round(usual))}"
            )
            given = {"estimate": n, "n": n} if n else {}
            seen.add(_of_month(n, usual, rest, period in study.months), text, outcome=name.partition(".")[0],
                     term=name.partition(".")[2] or None, group=f"period={period}", measure="count", unit="rows", **given)  # fmt: skip
    seen.fine = f"no table is short of rows in {study.period}; now against the usual month: {', '.join(told)}"
    if not told:
        seen.fine = f"{study.period} is the only month, so its rows have nothing to be compared with"
    return seen


def _of_month(n: int, usual: float, rest: Sequence[int], now: bool) -> int:
    """The light of a month's rows: out of all other months, beyond chance, and far from the usual; a gap is one too."""
    if not usual or abs(n - usual) <= 4 * usual**0.5 or min(rest) <= n <= max(rest):
        return int(usual > 0 and not n)
    if n < HALF * usual:
        return 2 if now else 1
    return int(n < SHORT * usual or n > LONG * usual)


def _events(study: Study) -> dict[str, ir.Table]:
    """By table every panel row, answer and event of the window: whose, of which month, when if it has a moment, and a mark of both."""
    parts = {}
    for name, source in study.tables.items():
        when = ARRIVES.get(name, "period")
        when = when if when in source.values else "period"
        if {*KEYS, when} <= set(source.values) and source.identified:
            # a time that lies there as one needs not be written out and read again
            own = source.own[when] if when in source.settled else source.values[when]
            known = own.type().is_timestamp() and not own.type().timezone
            values = {**source.values, "at": own if known else source.values[when]}
            table = replace(source, values=values).select([*KEYS, "at"], only=study.periods)
            table = table.filter(table["at"].notnull())  # the silent and the unfinished have no moment
            moment = table["at"] != table.period if when != "period" and not known else ibis.literal(known)
            at = table["at"] if known else moment.ifelse(table["at"], ibis.null("string")).try_cast("timestamp")
            # rows of nobody are not told apart
            same = table.customer_id.notnull().ifelse(mark_of_two(table.customer_id, table["at"]), 0)
            told = {"moment": moment, "at": at.cast("timestamp"), "same": same, "name": ibis.literal(name)}
            parts[name] = table.select(*KEYS, **told)
    return parts


def _counted(study: Study, parts: Mapping[str, ir.Table], days: int) -> list[dict[str, Any]]:
    """Of each table its rows, those that differ, those with a moment and when these lie; asked once for all checks."""
    kept = _COUNTED.setdefault(study, {})
    if days not in kept:
        events = ibis.union(*parts.values())
        begun = events.moment.ifelse(events.period.concat("-01"), ibis.null("string"))  # a month is no moment
        at, start = events["at"], begun.try_cast("timestamp")
        end = start + ibis.interval(months=1)
        counts = events.group_by("name").aggregate(
            n=events.count(), different=events.same.nunique(), moments=events.moment.sum(), late=(at >= end + ibis.interval(days=days)).sum(),
            early=(at < start).sum(), unreadable=(events.moment & at.isnull()).sum(), after=(at >= end).sum(),
        )  # fmt: skip
        kept[days] = checks.rows_of(counts.order_by("name"))
    return kept[days]


def keys(study: Study, limits: Limits) -> Seen:
    """Rows that stand twice, and rows whose customer has no panel row in that month."""
    seen = Seen(
        f"share of rows: repeated, look beyond {percent(REPEATED[0])}, stop beyond {percent(REPEATED[1])}; without a panel row, look beyond {percent(STRANGERS[0])}, stop beyond {percent(STRANGERS[1])}",
        advice="Keep one row of each, and write ids in one way: repeated rows count twice, and rows of nobody are left out of every question.",
        method="Rows of the window, all segments. Repeated: same customer and month in the panel, else same customer and moment.",
        lacking=(f"{next(iter(study.tables))}.customer_id",),
    )  # fmt: skip
    parts = _events(study)
    if not parts:
        return seen
    counted = _counted(study, parts, limits.late_days)
    strangers: dict[str, int] = {}
    others = [part.select(*KEYS, "name") for name, part in parts.items() if name != "panel"]
    if "panel" in study.tables and others:
        panel = study.tables["panel"].select(list(KEYS), only=study.periods)
        alone = ibis.union(*others).anti_join(panel, list(KEYS))
        found = checks.rows_of(alone.group_by("name").aggregate(n=alone.count()))
        strangers = {name: 0 for name in [r["name"] for r in counted] if name != "panel"} | {r["name"]: r["n"] for r in found}  # fmt: skip
    for entry in counted:
        name, n, twice = entry["name"], entry["n"], entry["n"] - entry["different"]
        when = ARRIVES.get(name, "period")
        text = (
            f"{number(twice, 0)} of {number(n, 0)} rows of {name} repeat the customer and {name}.{when} of another row"
        )
        seen.rate(light(twice / n, REPEATED), text, twice, n, outcome=name, term=when, unit="of rows are repeated")
        if name in strangers:
            text = f"{number(strangers[name], 0)} of {number(n, 0)} rows of {name} have a {name}.customer_id without a panel row of that month"
            seen.rate(light(strangers[name] / n, STRANGERS), text, strangers[name], n, outcome=name, term="customer_id", unit="of rows are nobody's")  # fmt: skip
    seen.fine = f"rows stand once and for somebody in {', '.join(r['name'] for r in counted)}"
    return seen


def arrivals(study: Study, limits: Limits) -> Seen:
    """Answers and events that arrive long after the end of their month, before it, or at no readable moment."""
    days = limits.late_days
    seen = Seen(
        f"share of rows more than {days} days after the end of their month, or before its beginning: look beyond {percent(LATE[0])}, stop beyond {percent(LATE[1])}",
        advice="Wait until the period is complete, or ask of an earlier one; give misdated rows the month in which they happened.",
        method=f"Answers and events of the window by their own moment, all segments; {days} days are let pass.",
        lacking=("surveys.answered_at", "interactions.started_at"),
    )  # fmt: skip
    parts = _events(study)
    if not parts:
        return seen
    kinds = {
        "late": f"lie more than {days} days after the end of their month",
        "early": "lie before their month",
        "unreadable": "cannot be read as a moment",
    }
    counted = [entry for entry in _counted(study, parts, days) if entry["moments"]]
    for entry in counted:
        name, n = entry["name"], entry["moments"]
        for kind, what in kinds.items():
            events = int(entry[kind] or 0)
            text = f"{number(events, 0)} of {number(n, 0)} values of {name}.{ARRIVES[name]} {what}"
            seen.rate(light(events / n, LATE), text, events, n, outcome=name, term=ARRIVES[name], group=f"moment={kind}", unit="of rows")  # fmt: skip
    after = ", ".join(f"{percent(int(e['after'] or 0) / e['moments'])} of {e['name']}.{ARRIVES[e['name']]}" for e in counted)  # fmt: skip
    seen.fine = f"few rows come more than {days} days after the end of their month; of the window, {after} came after it at all, and so much of {study.period} may be still to come"
    return seen


def codes(study: Study, _: Limits) -> Seen:
    """Values that no answer can have, which every question takes as missing: most often codes for no answer."""
    seen = Seen(
        f"share of known values outside the range of their term: look at any, stop beyond {percent(CODED[1])}",
        advice="Declare codes for no answer in the mapping, else mend the column. Until then they are taken as missing.",
        method="All rows of each table, against the range of its terms or the scale of the mapping.",
        lacking=("panel.period",),
    )  # fmt: skip
    for name, source in study.tables.items():
        if source.outside:
            listed = checks.listed(sorted({value for one in source.outside for value in one.examples}))
            seen.advice = f"If they are codes for no answer, declare them in the mapping, as missing = [{listed}]; else mend the column. Until then they are taken as missing."
        for found in source.outside:
            text = f"{name}.{found.ranged.term}: {found.text}"
            seen.rate(light(found.count / found.known, CODED), text, found.count, found.known, outcome=name, term=found.ranged.term, unit="of values outside")  # fmt: skip
        if not source.outside:
            seen.rate(0, "", 0, source.rows, outcome=name, unit="of values outside")
    seen.fine = f"no value lies outside the scale of its term in {', '.join(study.tables)}"
    return seen
