"""Column checks: columns that lack values, that moved, that know who left, and schemes that one enters by staying."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxresearch.data.memory import Fetched, fetched, matched
from cxresearch.data.study import Study
from cxresearch.data.terms import AFTER_LEAVING, BY_NAME, EARNED, KEYS
from cxresearch.evidence import pitfalls
from cxresearch.evidence.lab import stability
from cxresearch.evidence.lights import Limits, Seen, light, percent
from cxresearch.measures import capital, number

Array = NDArray[np.float64]
MOST_ROWS = 40_000  # of the panel or of the answers that are looked at: whole customers, by the md5 of their id
MOST_LEVELS = 200  # of a category: one with more is a name, not a class
CHANCE = 0.01  # that any of all columns passes the limit of drift where nothing moved
# look, stop: the custom of credit scoring for the index; the distance between normals that have such an index
DRIFT = {"psi": (0.10, 0.25), "ks": (0.125, 0.20)}
TELLING, MOST_LEFT, LEAST = (0.9, 0.99), 0.9, 30  # area under the curve; share of leavers of a class; rows of a class
# leavers, and stayers, by whom a column is judged: one leaver lies in one of its tenths, which is an area of .95
FEW_EVENTS = 20
RARER, SOME = 0.2, 0.02  # how much rarer among the newest tenth; how frequent among the others


@dataclass(frozen=True)
class Looked:
    """Panel rows or answers of the window as arrays, of a sample of customers where they are many.

    `values` has a column (n,) for each term, NaN where null, categories as the number of their level; `now` says which
    rows are of the report period; `of` is how many rows there are, `clusters` of how many clusters.
    """

    name: str
    of: int
    clusters: int
    now: NDArray[np.bool_]
    values: dict[str, Array]

    @cached_property
    def own(self) -> dict[str, NDArray[np.intp]]:
        """The classes of each column of this table, but not of leaving."""
        return {t: stability.classes(v) for t, v in self.values.items() if t != "churned" and BY_NAME[t].table == self.name}  # fmt: skip


_LOOKED: WeakKeyDictionary[Study, list[Looked]] = WeakKeyDictionary()


def looked_at(study: Study) -> list[Looked]:
    """The panel and the answers of the window, fetched once for all checks."""
    if study not in _LOOKED:
        _LOOKED[study] = [_looked(study, name) for name in ("panel", "surveys") if name in study.tables]
    return _LOOKED[study]


def _looked(study: Study, name: str) -> Looked:
    source = study.tables[name]
    own = [t for t in source.values if t in study.terms and BY_NAME[t].kind != "time" and t != "kind"]
    if name == "panel" or "panel" not in study.tables:
        table = study.rows(own)
        rows, columns = fetched(table), table.columns
        if rows is not None:
            rows.prepare([*KEYS, *own])  # at once
        of = rows.num_rows if rows is not None else int(table.count().to_pyarrow().as_py())
    else:
        # only what the checks read of the panel: all of its columns would be joined a second time for nothing
        shared = [t for t in ("churned", study.lead_quality, *study.controls) if study.has(t) and t not in own]
        shared += [c for c in (study.cluster(),) if c not in (*own, *shared, *KEYS)]
        panel, told = study.rows(shared or ["customer_id"]), [*KEYS, *own]
        table, columns = source.answered(told, only=study.periods), (*told, *shared)
        if (there := fetched(panel)) is not None:
            answers = Fetched.of(table.to_pyarrow())
            rows, of = matched(answers, there), answers.num_rows
        else:
            of, rows = int(table.count().to_pyarrow().as_py()), None
            table = table.inner_join(panel.select(*KEYS, *shared), list(KEYS))
    terms = [c for c in columns if c in BY_NAME and BY_NAME[c].kind not in ("id", "time")]
    terms = [c for c in terms if c in own or c not in source.values]
    cluster = study.cluster(columns)
    wanted, below = list(dict.fromkeys(["period", cluster, *terms])), f"{int(65536 * MOST_ROWS / max(of, 1)):04x}"
    if rows is not None:
        got = rows.select(wanted)
        got = got.filter(_of_some(rows["customer_id"], below)) if of > MOST_ROWS else got
    else:
        table = table.filter(table.customer_id.hexdigest("md5")[0:4] < below) if of > MOST_ROWS else table
        got = table.select(*wanted).to_pyarrow()
    now = np.asarray(pc.is_in(got["period"], pa.array(study.months)).to_numpy(), dtype=bool)
    values = {term: found for term in terms if (found := _numbers(got[term], BY_NAME[term].kind)) is not None}
    return Looked(name, of, pc.count_distinct(got[cluster]).as_py(), now, values)


def _of_some(customers: pa.ChunkedArray, below: str) -> pa.Array:
    """Which rows are of the customers whose md5 begins with less; each is hashed once."""
    found = customers.combine_chunks().dictionary_encode()
    hashed = (hashlib.md5(one.encode(), usedforsecurity=False).hexdigest() for one in found.dictionary.to_pylist())
    return pa.array([digits[:4] < below for digits in hashed], pa.bool_()).take(found.indices)


def _numbers(values: pa.ChunkedArray, kind: str) -> Array | None:
    """A column as numbers; None for a category of too many levels."""
    if kind == "category":
        levels = sorted(level for level in pc.unique(values).to_pylist() if level is not None)
        if len(levels) > MOST_LEVELS:
            return None
        values = pc.index_in(values, pa.array(levels, pa.string()))
    return np.asarray(pc.cast(values, pa.float64()).to_numpy(), dtype=float)


def _sample(found: list[Looked]) -> str:
    return " ".join(f"{number(len(seen.now), 0)} of {number(seen.of, 0)} rows of {seen.name} are looked at." for seen in found)  # fmt: skip


def loss(study: Study, limits: Limits) -> Seen:
    """What each term's missing values cost the common questions."""
    limit = percent(limits.max_missing)
    seen = Seen(
        f"share of the rows of a common question that a term lacks: look beyond {limit}, stop where fewer than half of the rows are left",
        advice="Ask where the values went before the question is read: the rows that are left may be other customers.",
        method=f"A row is lost where any term of the question lacks a value; {limit} is the most that is let pass.",
        lacking=("surveys.satisfaction", "panel.churned"),
        sample=_sample(looked_at(study)),
    )  # fmt: skip
    lead, worst = study.lead_quality, (0.0, "")
    for pair in (("satisfaction", lead), ("churned", "satisfaction"), ("churned", lead)):
        if not study.has(*pair):
            continue
        terms = list(dict.fromkeys([*pair, *study.controls]))
        table = next((one for one in looked_at(study) if set(terms) <= set(one.values)), None)
        if table is None:
            continue
        lack = {term: np.isnan(table.values[term]) for term in terms}
        # whether customers left is not known yet in the report period, which is no loss
        asked = ~lack["churned"] if "churned" in pair else table.now
        lost = np.sum([lack[term][asked] for term in terms], axis=0)
        n, what = int(asked.sum()), " with ".join(BY_NAME[term].label for term in pair)
        if not n:
            continue
        for term in (term for term in terms if term != "churned"):
            gone, alone = lack[term][asked].sum(), (lack[term][asked] & (lost == 1)).sum()
            own = f"{BY_NAME[term].table}.{term}"
            text = f"{own} is missing in {number(gone, 0)} of {number(n, 0)} rows of the question {what} ({percent(alone / n)} of its rows are lost by this alone)"
            worst = max(worst, (gone / n, own))
            seen.rate(
                int(gone / n > limits.max_missing), text, int(gone), n, outcome=what, term=term, unit="of rows lack it"
            )
        gone, left = int((lost > 0).sum()), int((lost == 0).sum())
        text = f"{number(left, 0)} of {number(n, 0)} rows are left for the question {what}"
        seen.rate(2 * int(2 * left < n), text, gone, n, outcome=what, term="all of them", unit="of rows are lost")
    silent = study.answering(only=(study.period,))
    if silent is not None and seen.rows:
        if (there := fetched(silent)) is not None:
            n, said = there.num_rows, pc.sum(there["answered"]).as_py()
        else:
            n, said = (
                silent.aggregate(n=silent.count(), said=silent.answered.sum()).to_pyarrow().to_pylist()[0].values()
            )
        if n:
            seen.sample += f" {number(n - said, 0)} of {number(n, 0)} who were invited in {study.period} did not answer: a loss by silence, which each score tells."
            seen.rate(
                0, "", int(n - said), n, outcome="surveys", term="answered_at", unit="of those invited are silent"
            )
    seen.fine = "the common questions lose no row to missing values"
    if worst[0]:
        seen.fine = f"the most that a common question loses by one term is {percent(worst[0])} ({worst[1]})"
    return seen


def drift(study: Study, limits: Limits) -> Seen:
    """How far each column of the report period lies from the months before it in the window."""
    test, (look, stop) = limits.drift_test, DRIFT[limits.drift_test]
    what = {"psi": "population stability index", "ks": "Kolmogorov-Smirnov distance"}[test]
    how = {"psi": "of classes by tenths, and one for missing values", "ks": "of known values, or of the share that is missing"}  # fmt: skip
    seen = Seen(
        f"{what} of the period against the months before: look beyond {look:g}, stop beyond {stop:g}, where chance does not explain it",
        advice="Find out whether customers changed or how they are measured before the period is compared with earlier ones.",
        method=f"{capital(what)} {how[test]}.",
        lacking=("panel.period of an earlier month",),
        sample=_sample(looked_at(study)),
    )  # fmt: skip
    found = [(one, term) for one in looked_at(study) if 0 < one.now.sum() < len(one.now) for term in one.own if term not in AFTER_LEAVING]  # fmt: skip
    moved = []
    for one, term in found:
        value, chance = _distance(one, term, test, 1 - CHANCE / len(found))
        moved.append((value, light(value, DRIFT[test]) if value > chance else 0, one, term))
    for value, passed, one, term in sorted(moved, key=lambda entry: (-entry[1], -entry[0])):
        text = f"{one.name}.{term} shifted by {number(value, 2)} against the months before, {number(one.now.sum(), 0)} rows against {number((~one.now).sum(), 0)}"
        seen.add(passed, text, outcome=one.name, term=term, measure=test, estimate=value, n=int(one.now.sum()))
    if moved:
        most = max(moved, key=lambda entry: entry[0])
        seen.fine = f"no column shifted far; the largest {what} is {number(most[0], 2)} ({most[2].name}.{most[3]})"
        seen.fine += ", which chance alone may give" if light(most[0], DRIFT[test]) else ""
    return seen


def _distance(one: Looked, term: str, test: str, level: float) -> tuple[float, float]:
    """How far the period lies from the months before, and how far chance alone would carry it.

    What neighbours share is as many observations as there are clusters in a month, not as there are customers.
    """
    n = np.array([one.now.sum(), (~one.now).sum()])
    if BY_NAME[term].shared != "customer":
        n = np.minimum(n, [one.clusters, one.clusters * n[1] / n[0]])
    if test == "psi":
        now, earlier = (
            np.bincount(one.own[term][rows], minlength=one.own[term].max() + 1) for rows in (one.now, ~one.now)
        )
        return stability.stability_index(now, earlier), stability.index_by_chance(now, earlier, n, level)
    from scipy import stats  # as long to import as all else

    known = ~np.isnan(one.values[term])
    here, before = (one.values[term][known & rows] for rows in (one.now, ~one.now))
    moved = abs(float(known[one.now].mean() - known[~one.now].mean()))
    if len(here) and len(before):
        n = n * [len(here) / one.now.sum(), len(before) / (~one.now).sum()]
        moved = max(moved, float(stats.ks_2samp(here, before, method="asymp").statistic))
    return moved, float(stats.kstwobign.ppf(level) * (1 / n).sum() ** 0.5)


def leakage(study: Study, _: Limits) -> Seen:
    """How well each column by itself foretells leaving: one that does so nearly without error was written down after it."""
    seen = Seen(
        f"area under the curve of a column by itself: look beyond {TELLING[0]:g} or where a class of {LEAST} rows or more has {percent(MOST_LEFT)} leavers, stop beyond {TELLING[1]:g} or where classes of leavers alone hold most of them; of at least {FEW_EVENTS} leavers and {FEW_EVENTS} stayers",
        advice="Ask when the column is written: what is known only once a customer leaves foretells nothing and must be left out of every model of leaving.",
        method="Area under the curve of classes by tenths, in the order of their shares of leavers; missing values are a class.",
        lacking=(f"table with {FEW_EVENTS} leavers and {FEW_EVENTS} stayers",) if study.has("churned") else ("panel.churned",),
        sample=_sample(looked_at(study)),
    )  # fmt: skip
    told, few = [], []
    for one in looked_at(study) if study.has("churned") else ():
        left = one.values.get("churned", np.zeros(0))
        known = ~np.isnan(left)
        fewer = min(left[known].sum(), known.sum() - left[known].sum())
        if known.any() and fewer < FEW_EVENTS:
            few.append(one.name)
        for term, code in one.own.items() if fewer >= FEW_EVENTS else ():
            if term in AFTER_LEAVING:
                continue
            n, events = np.bincount(code[known]).astype(float), np.bincount(code[known], left[known])
            area, top = stability.area(events, n - events), np.where(n >= LEAST, events / np.maximum(n, 1), 0).max()
            certain = int(top >= MOST_LEFT > 0.5 > left[known].mean())
            if certain and events[events >= TELLING[1] * n].sum() > left[known].sum() / 2:
                certain = 2  # most leavers are in classes that nobody of stayed in
            text = f"{one.name}.{term} foretells leaving with an area under the curve of {number(area, 2)}"
            text += f"; of one of its classes {percent(top)} left" if certain else ""
            told.append((area, max(light(area, TELLING), certain), text, one.name, term, int(known.sum()), int(left[known].sum())))  # fmt: skip
    for area, passed, text, name, term, rows, leavers in sorted(told, key=lambda entry: (-entry[1], -entry[0])):
        seen.add(passed, text, outcome=name, term=term, measure="auc", estimate=area, n=rows, events=leavers)
    later = [f"{BY_NAME[t].table}.{t}" for t in AFTER_LEAVING[1:] if study.has(t)]
    if told:
        seen.fine = f"no column foretells leaving too well; the largest area under the curve is {number(max(told)[0], 2)} ({max(told)[3]}.{max(told)[4]})"
        seen.fine += (
            f"; what is known only after leaving is refused as a predictor ({', '.join(later)})" if later else ""
        )
    if few:
        seen.method += f" Not judged, for too few leavers or stayers: the columns of {', '.join(few)}."
        seen.fine += f"; not judged, for too few leavers or stayers: the columns of {', '.join(few)}"
    return seen


def immortal(study: Study, _: Limits) -> Seen:
    """Whether a plan or scheme is rare among the newest customers: one gets it by staying, and so looks loyal for it."""
    seen = Seen(
        f"share of members among the newest tenth of customers: look where it is less than {RARER:g} of the share of the others",
        advice="Compare members with others of the same tenure, or ask survive(…, landmark=…) of those still there.",
        method="Tenure in tenths; a scheme is a yes-or-no column of the panel.",
        lacking=study.missing("tenure_m", "loyalty_scheme"),
        sample=_sample(looked_at(study)[:1]),
    )  # fmt: skip
    for one in looked_at(study):
        tenure = one.values.get("tenure_m", np.full(1, np.nan))
        if one.name != "panel" or np.isnan(tenure).all():
            continue
        newest = tenure <= np.nanquantile(tenure, 0.1)
        for term in (t for t in one.own if BY_NAME[t].kind == "flag" and t not in AFTER_LEAVING):
            member, known = one.values[term], ~np.isnan(one.values[term] + tenure)
            new, old = member[known & newest], member[known & ~newest]
            if len(new) < LEAST or not len(old) or not old.mean() > SOME:
                continue
            earned = bool(new.mean() < RARER * old.mean())
            text = f"panel.{term} is held by {percent(new.mean())} of {number(len(new), 0)} rows of the newest tenth of customers, by {percent(old.mean())} of the others"
            seen.rate(
                int(earned), text, int(new.sum()), len(new), outcome=one.name, term=term, unit="of the newest tenth"
            )
            if earned and term in EARNED:
                seen.caveats += pitfalls.of_terms(study, [term], leaving=True)
    seen.fine = "no plan or scheme is much rarer among the newest customers"
    return seen
