"""Column checks: columns that moved, that know who left, and schemes that one enters by staying."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import stats

from cxresearch.data.study import Study
from cxresearch.data.terms import AFTER_LEAVING, BY_NAME, EARNED
from cxresearch.evidence import pitfalls
from cxresearch.evidence.lab import stability
from cxresearch.evidence.lights import Limits, Seen, light, percent
from cxresearch.measures import number

Array = NDArray[np.float64]
MOST_ROWS = 60_000  # of the panel or of the answers that are looked at: whole customers, by the md5 of their id
MOST_LEVELS = 200  # of a category: one with more is a name, not a class
CHANCE = 0.01  # that any of all columns passes the limit of drift where nothing moved
DRIFT = {"psi": (0.10, 0.25), "ks": (0.10, 0.20)}  # look, stop: the custom of credit scoring; a shift of a quarter and of half a standard deviation
TELLING, MOST_LEFT, LEAST = (0.9, 0.99), 0.9, 30  # area under the curve; share of leavers of a class; rows of a class
RARER, SOME = 0.2, 0.02  # how much rarer among the newest tenth; how frequent among the others


def drift(study: Study, limits: Limits) -> Seen:
    """How far each column of the report period lies from the months before it in the window."""
    test, (look, stop) = limits.drift_test, DRIFT[limits.drift_test]
    what = {"psi": "population stability index", "ks": "Kolmogorov-Smirnov distance"}[test]
    seen = Seen(
        f"{what} of the period against the months before: look beyond {look:g}, stop beyond {stop:g}, where chance does not explain it",
        advice="Find out whether customers changed or how they are measured before the period is compared with earlier ones.",
        method=f"{what[0].upper()}{what[1:]} of classes by tenths of the months before, a class for missing values.",
        lacking=("panel.period",),
    )  # fmt: skip
    if test == "ks":
        seen.method = "Kolmogorov-Smirnov distance of known values; categories in the order of their names."
    found = [(name, term, now, values) for name, table, now in _looked_at(study, seen) if 0 < now.sum() < len(now)
             for term, values in _columns(study, name, table)]  # fmt: skip
    worst = (0.0, "")
    for name, term, now, values in found:
        here, before = values[now], values[~now]
        known = ~np.isnan(here), ~np.isnan(before)
        if not known[0].any() and not known[1].any():
            continue
        level = 1 - CHANCE / len(found)
        if test == "psi" or not (known[0].any() and known[1].any()):
            code = stability.classes(values, before)
            counts = [np.bincount(code[rows], minlength=code.max() + 1) for rows in (now, ~now)]
            value, chance = stability.stability_index(*counts), stability.index_by_chance(*counts, level)
        else:
            value = float(stats.ks_2samp(here[known[0]], before[known[1]], method="asymp").statistic)
            chance = float(stats.kstwobign.ppf(level) * (1 / known[0].sum() + 1 / known[1].sum()) ** 0.5)
        if test == "ks":
            value = max(value, abs(float(known[0].mean() - known[1].mean())))
        passed = light(value, DRIFT[test]) if value > chance else 0
        text = f"{name}.{term} moved by {number(value, 2)} against {number(sum(~now), 0)} rows of the months before"
        worst = max(worst, (value, f"{name}.{term}"))
        seen.add(passed, text, outcome=name, term=term, measure=test, estimate=value, n=int(now.sum()))
    seen.doubts.sort(key=lambda doubt: -float(doubt[1].partition(" moved by ")[2].partition(" ")[0]))
    seen.fine = f"no column moved far; the largest {what} is {number(worst[0], 2)} ({worst[1]})"
    return seen


def leakage(study: Study, _: Limits) -> Seen:
    """How well each column by itself foretells leaving: one that does so nearly without error was written down after it."""
    seen = Seen(
        f"area under the curve of a column by itself: look beyond {TELLING[0]:g} or where a class of {LEAST} rows or more has {percent(MOST_LEFT)} leavers, stop beyond {TELLING[1]:g}",
        advice="Ask when the column is written: what is known only once a customer leaves foretells nothing and must be left out of every model of leaving.",
        method="Area under the curve of classes by tenths, in the order of their shares of leavers; missing values are a class.",
        lacking=("panel.churned",),
    )  # fmt: skip
    worst = (0.5, "")
    for name, table, _now in _looked_at(study, seen) if study.has("churned") else ():
        if "churned" not in table.column_names:
            continue
        left = _number(table["churned"])
        known = ~np.isnan(left)
        for term, values in _columns(study, name, table):
            if term in AFTER_LEAVING or not 0 < left[known].sum() < known.sum():
                continue
            code = stability.classes(values[known], values[known])
            n, events = np.bincount(code).astype(float), np.bincount(code, left[known])
            area, top = stability.area(events, n - events), np.where(n >= LEAST, events / np.maximum(n, 1), 0).max()
            certain = top > MOST_LEFT > 0.5 > left[known].mean()
            text = f"{name}.{term} foretells leaving with an area under the curve of {number(area, 2)}"
            text += f", and in one of its classes {percent(top)} left" if certain else ""
            worst = max(worst, (area, f"{name}.{term}"))
            seen.add(max(light(area, TELLING), int(certain)), text, outcome=name, term=term, measure="auc", estimate=area,
                     n=int(known.sum()), events=int(left[known].sum()))  # fmt: skip
    later = [f"{BY_NAME[t].table}.{t}" for t in AFTER_LEAVING[1:] if study.has(t)]
    refused = f"; {', '.join(later)}, known only after leaving, no model takes" if later else ""
    seen.fine = f"no column foretells leaving too well; the largest area under the curve is {number(worst[0], 2)} ({worst[1]}){refused}"
    return seen


def immortal(study: Study, _: Limits) -> Seen:
    """Whether a plan or scheme is rare among the newest customers: one gets it by staying, and so looks loyal for it."""
    seen = Seen(
        f"share of members among the newest tenth of customers: look where it is less than {RARER:g} of the share of the others",
        advice="Compare members with others of the same tenure, or ask survive(…, landmark=…) of those still there.",
        method="Tenure in tenths; a scheme is a yes-or-no column of the panel.",
        lacking=("panel.tenure_m", "panel.loyalty_scheme"),
    )  # fmt: skip
    for name, table, _now in _looked_at(study, seen):
        schemes = [t for t in table.column_names if t in BY_NAME and BY_NAME[t].kind == "flag" and t not in AFTER_LEAVING]
        if name != "panel" or "tenure_m" not in table.column_names:
            continue
        tenure = _number(table["tenure_m"])
        newest = tenure <= np.nanquantile(tenure, 0.1)
        for term in schemes:
            member = _number(table[term])
            new, old = member[newest & ~np.isnan(member)], member[(tenure > np.nanquantile(tenure, 0.1)) & ~np.isnan(member)]
            if len(new) < LEAST or not old.mean() > SOME:
                continue
            earned = new.mean() < RARER * old.mean()
            text = f"panel.{term} is held by {percent(new.mean())} of the newest tenth of customers against {percent(old.mean())} of the others"
            seen.add(int(earned), text, outcome=name, term=term, measure="rate", unit="of the newest tenth", estimate=float(new.mean()), n=len(new), events=int(new.sum()))  # fmt: skip
            if earned and term in EARNED:
                seen.caveats += pitfalls.of_terms(study, [term], leaving=True)
    seen.fine = "no plan or scheme is much rarer among the newest customers"
    return seen


def _looked_at(study: Study, seen: Seen) -> Iterator[tuple[str, pa.Table, NDArray[np.bool_]]]:
    """Panel rows and answers of the window, of a sample of customers where they are many, and which are of the period."""
    for name, source in study.tables.items():
        terms = [t for t in source.values if t in study.terms and BY_NAME[t].kind != "time"]
        if name not in ("panel", "surveys") or not terms:
            continue
        more = [t for t in ("churned",) if name == "surveys" and study.has(t)]
        table = study.rows([*terms, *more])
        n = int(table.count().to_pyarrow().as_py())
        if n > MOST_ROWS:
            table = table.filter(table.customer_id.hexdigest("md5")[0:4] < f"{int(65536 * MOST_ROWS / n):04x}")
        got = table.select("customer_id", "period", *(c for c in [*terms, *more] if c != "period")).order_by("customer_id", "period").to_pyarrow()
        seen.sample += f"{number(got.num_rows, 0)} of {number(n, 0)} rows of {name} are looked at. " if n else ""
        yield name, got, pc.equal(got["period"], study.period).to_numpy(zero_copy_only=False)


def _columns(study: Study, name: str, table: pa.Table) -> Iterator[tuple[str, Array]]:
    """The columns of a table as numbers, NaN where null; categories as the number of their level, in order of names."""
    for term in study.tables[name].values:
        if term not in table.column_names or BY_NAME[term].kind in ("id", "time") or term == "churned":
            continue
        if BY_NAME[term].kind != "category":
            yield term, _number(table[term])
            continue
        levels = sorted(level for level in pc.unique(table[term]).to_pylist() if level is not None)
        if len(levels) <= MOST_LEVELS:
            yield term, _number(pc.index_in(table[term], pa.array(levels, pa.string())))


def _number(values: pa.ChunkedArray) -> Array:
    return np.asarray(pc.cast(values, pa.float64()).to_numpy(), dtype=float)
