"""Lives: when each customer came under observation, how long they stayed, and what was known of them then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxresearch.data.matching import distinct
from cxresearch.data.memory import Fetched
from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import sampling
from cxresearch.evidence.held import Asked, Held, combinations, complete, hold
from cxresearch.evidence.stays import stayed
from cxresearch.evidence.sums import block_of, cluster_of
from cxresearch.finding import Caveat

Array = NDArray[np.float64]
CAUSES = ("churn_type", "churn_destination")  # known of leavers only: they split leaving, not customers
WINDOW, ACTIVATION = "window", "activation"
EVER = -1.0  # entry of those who were there from the start: before month 0
DRIFT = 1.0  # tenure may differ from the months that passed by so many: it is counted in whole months


@dataclass(frozen=True)
class Lives:
    """Stays without a gap: `table` has a row for each, with cluster, `entry`, `exit`, `left`, `cause` and the known terms.

    Somebody is at risk after `entry` and up to `exit`, in months on the clock, which begins at `start`. `stated` says
    that there is one row a customer, so that no entry is known. `told` is what was left out, in words.
    """

    table: Asked
    start: float
    stated: bool
    told: str


def one_row_each(study: Study, more: Sequence[str] = ()) -> bool:
    """Whether the table states one period: then it says of that one who left, and has one row a customer.

    `more` are columns that will be asked for next: of a small study all are fetched together.
    """
    table = study.rows(["churned"])
    last = study.months[-1]
    if (held := hold(study, table, ["churned", *more])) is not None:
        names, index = held.period
        return last in names and bool((held.known(["churned"]) & (index == names.index(last))).any())
    return bool(table.filter((table.period == last) & table.churned.notnull()).limit(1).to_pyarrow().num_rows)


@contextmanager
def followed(
    study: Study, known: Sequence[str], origin: str, landmark: float | None, cause: str | None = None
) -> Iterator[Lives]:
    """The stays of customers within the window, on the clock of an origin; what is kept for them goes with the block.

    From monthly rows: a row of month m that says whether the customer left by the next one is one month at risk, from
    the clock at m to a month later; months without a row are none. The clock is tenure (`activation`) or months since
    the customer was first seen in the window (`window`). Terms of `known` are as of the first month in which all of
    them are; with a `landmark`, as of the last such month up to it, and risk counts from there on. Nobody is at risk
    before what splits the customers was known. From one row a customer: at risk from the start up to the tenure.
    """
    known = list(dict.fromkeys(known))
    more = [*(["tenure_m"] if origin == ACTIVATION else []), *(c for c in CAUSES if cause and study.has(c))]
    if one_row_each(study, [*more, *known]):
        yield _stated(study, known, landmark, cause)
    elif (held := _held(study, known, origin, landmark, cause)) is not None:
        yield held
    else:
        with study._engine.held() as keep:
            yield _monthly(study, known, origin, landmark, cause, keep)


def _stated(study: Study, known: Sequence[str], landmark: float | None, cause: str | None) -> Lives:
    table = study.rows(list(dict.fromkeys(["churned", "tenure_m", *known, *([cause] if cause else [])])))
    there = table.churned.notnull() & table.tenure_m.notnull()
    whole = reduce(lambda a, b: a & b, (table[c].notnull() for c in known), there)
    reached = (whole & (table.tenure_m > (EVER if landmark is None else landmark))).fill_null(False)
    counts = table.aggregate(n=table.count(), there=there.sum(), whole=whole.sum(), reached=reached.sum())
    made = table.filter(reached).mutate(
        entry=ibis.literal(EVER if landmark is None else float(landmark)),
        exit=table.tenure_m,
        left=table.churned,
        cause=table[cause] if cause else ibis.null("string"),
    )
    told = _told(study, list(_first(counts).values()), "a known tenure and whether they left")
    return Lives(made, landmark or 0.0, True, told)


def _held(study: Study, known: Sequence[str], origin: str, landmark: float | None, cause: str | None) -> Lives | None:
    """The stays of a study that is held in memory; None where it is too large, or where rows are of nobody."""
    clock = "tenure_m" if origin == ACTIVATION else ""
    columns = ["churned", *filter(None, (clock, cause))]
    panel = hold(study, study.rows(columns), columns)
    source = hold(study, study.rows(known), known) if known else panel
    if panel is None or source is None or not (panel.there("customer_id").all() and source.there("customer_id").all()):
        return None
    start = landmark or EVER
    found = stayed(study, panel, source, known, clock, cause, drift=DRIFT, after=start, landmark=landmark)
    table, cluster = found.table, study.cluster()
    if cluster not in table.column_names:
        table = table.append_column(cluster, table["cluster"])
    people = len(table["customer_id"].unique())
    counts = [found.customers, found.clocked, found.anchored, people]
    told = _told_of_months(study, counts, found.back, table.num_rows - people)
    return Lives(Held(study, Fetched.of(table)), landmark or 0.0, False, told)


def _told_of_months(study: Study, counts: Sequence[int], back: int, gaps: int) -> str:
    told = _told(study, counts, "a tenure that grows with the months")
    if back:
        told += f" {sampling.told(study, back).capitalize()} came back after leaving: only their first stay counts."
    if gaps:
        told += f" {sampling.told(study, gaps).capitalize()} times months are missing: nobody is at risk in them."
    return told


def _monthly(
    study: Study,
    known: Sequence[str],
    origin: str,
    landmark: float | None,
    cause: str | None,
    keep: Callable[[ir.Table], ir.Table],
) -> Lives:
    tenure = ["tenure_m"] if origin == ACTIVATION else []
    panel = _months(study, _whole(study.rows(["churned", *tenure, *([cause] if cause else [])]), tenure))
    gone = (panel.churned == 1).ifelse(panel.month, ibis.null("int64")).min().fill_null(study.window)
    ends = keep(panel.group_by("customer_id").aggregate(gone=gone, last=panel.month.max()))
    life = panel.inner_join(ends, "customer_id")
    life = life.filter(life.month <= life.gone)  # months after leaving are another life
    since = (life.tenure_m.floor() if tenure else 0 * life.month) - life.month
    clocks = life.group_by("customer_id").aggregate(low=since.min(), high=since.max(), seen=life.month.min())
    clocks = clocks.filter(clocks.high - clocks.low <= DRIFT) if tenure else clocks
    shift = (clocks.low if tenure else -clocks.seen).cast("float64")
    clocks = keep(clocks.select("customer_id", shift=shift))
    life = life.inner_join(clocks, "customer_id")
    anchors = keep(_anchored(study, clocks, panel, known, landmark))
    here = life.select(
        "customer_id",
        "month",
        "churned",
        clock=life.month + life["shift"],
        cluster=cluster_of(study, life),
        cause=life[cause] if cause else ibis.null("string"),
    ).inner_join(anchors, "customer_id")
    here = here.filter(here.churned.notnull() & (here.month >= here.anchor) & (here.clock >= (landmark or EVER)))
    here = here.mutate(
        stay=here.month - ibis.row_number().over(ibis.window(group_by=here.customer_id, order_by=here.month))
    )
    made = here.group_by(["customer_id", "stay", *known]).aggregate(
        entry=here.clock.min(),
        exit=here.clock.max() + 1,
        left=here.churned.max(),
        cause=here.cause.max(),
        cluster=here.cluster.min(),
    )
    made = keep(made if study.cluster() in made.columns else made.mutate(**{study.cluster(): made.cluster}))
    some = _first(ends.aggregate(n=ends.count(), back=(ends["last"] > ends.gone).sum()))
    more = _first(made.aggregate(people=made.customer_id.nunique(), n=made.count()))
    counts = [some["n"], *(_first(t.aggregate(n=t.count()))["n"] for t in (clocks, anchors)), more["people"]]
    told = _told_of_months(study, counts, some["back"], more["n"] - more["people"])
    return Lives(made, landmark or 0.0, False, told)


def _whole(table: ir.Table, columns: Sequence[str]) -> ir.Table:
    """The rows that have all these columns."""
    return table.filter(*(table[c].notnull() for c in columns)) if columns else table


def _months(study: Study, table: ir.Table) -> ir.Table:
    """A table with its month as a number, 0 the first of the window."""
    return table.mutate(month=ibis.cases(*((table.period == p, i) for i, p in enumerate(study.periods))).cast("int64"))


def _anchored(
    study: Study, clocks: ir.Table, panel: ir.Table, known: Sequence[str], landmark: float | None
) -> ir.Table:
    """For each customer the month `anchor` from which the known terms are known, and those terms."""
    source = _months(study, _whole(study.rows(known), known)) if known else panel
    source = source.inner_join(clocks, "customer_id").select("customer_id", "month", "shift", *known)
    if landmark is None:
        anchors = source.group_by("customer_id").aggregate(anchor=source.month.min())
    else:
        early = source.filter(source.month + source["shift"] <= landmark)
        anchors = early.group_by("customer_id").aggregate(anchor=early.month.max())
    found = anchors.inner_join(source, [anchors.customer_id == source.customer_id, anchors.anchor == source.month])
    return found.select("customer_id", "anchor", *known)


def _first(table: ir.Table) -> dict[str, int]:
    """The one row of an aggregate; a sum of nothing is 0."""
    return {name: int(value or 0) for name, value in table.to_pyarrow().to_pylist()[0].items()}


def _told(study: Study, counts: Sequence[int], first: str) -> str:
    """How many customers are left after each step, in words; steps that cost nobody are not told."""
    reasons = (first, "the terms of the question in time", "a later month in which leaving is known")
    said = f"{sampling.told(study, counts[-1]).capitalize()} of {sampling.told(study, counts[0])} customers."
    lost = [(a - b, why) for a, b, why in zip(counts[:-1], counts[1:], reasons, strict=True) if a > b]
    return said + "".join(f" {sampling.told(study, n).capitalize()} lack {why}." for n, why in lost)


def coded(
    table: Asked, name: str, terms: Sequence[str], study: Study, most: int, least: int | None = None
) -> tuple[list[str], Asked]:
    """The levels of some terms together, and the table with their number as a column; small levels are left out."""
    if not terms:
        return ["all"], numbered(table, name, [], 0)
    if isinstance(table, Held):
        found = combinations(table, terms)
    else:
        found = table.group_by(list(terms)).aggregate(people=table.customer_id.nunique()).to_pyarrow().to_pylist()
    order = {term: {v: i for i, v in enumerate(study.term(term).levels)} for term in terms}
    found.sort(key=lambda r: [(order[t].get(r[t], len(order[t])), r[t]) for t in terms])
    if len(found) > most:
        told = " and ".join(study.term(t).label for t in terms)
        raise UsageError(f"{told}: {len(found)} levels, at most {most} make curves; ask for a hazard ratio with among=")
    kept = [r for r in found if r["people"] >= (least or study.min_cell)]
    labels = [",".join(f"{r[t]:g}" if isinstance(r[t], float) else str(r[t]) for t in terms) for r in kept]
    return labels, complete(numbered(table, name, [{t: r[t] for t in terms} for r in kept]), [name])


def numbered(table: Asked, name: str, levels: Sequence[Mapping[str, Any]], others: int | None = None) -> Asked:
    """The table with a column more: the number of the level that a row is of, given by its values; of none, `others`."""
    if isinstance(table, Held):
        codes = np.full(table.n, np.nan if others is None else float(others))
        for i, level in enumerate(levels):
            same = [pc.equal(table.column(term), value).fill_null(False).to_numpy() for term, value in level.items()]
            codes[np.logical_and.reduce(same)] = i
        return table.part(np.arange(table.n), **{name: codes})
    kinds = [(reduce(lambda a, b: a & b, (table[t] == v for t, v in x.items())), i) for i, x in enumerate(levels)]
    codes = ibis.cases(*kinds, else_=others) if kinds else ibis.literal(others, "int64")
    return table.mutate(**{name: codes.cast("int64")})


def doubts(study: Study, found: Lives, clusters: int, independent: bool) -> list[Caveat]:
    """What anybody must know of these lives: few clusters, and time in which nobody could have been seen leaving."""
    few = not independent and 0 < clusters < sampling.FEW_CLUSTERS
    caveats = [sampling.few_clusters(study, clusters)] if few else []
    if found.stated:
        text = (
            "One row a customer: since when each was watched is not known. If the table holds only those who were there at "
            "some date, the months before count as if leaving in them would show, and staying is overstated; and what is "
            "known at the end may come of having stayed. Bring monthly rows."
        )
        caveats.append(Caveat("immortal", text))
    return caveats


@dataclass(frozen=True)
class Counted:
    """How many were there and left at each time: `there` (B, H, G, T), `causes` (B, H, G, K, T), by block, stratum, group.

    `times` (T,) are those at which somebody came or went; `customers`, `clusters` (G + 1,) count people, all last;
    `reach` (G + 1,) is the month up to which `min_cell` of a group were there all along, NaN where not even at the start.
    """

    times: Array
    there: Array
    causes: Array
    customers: NDArray[np.intp]
    clusters: NDArray[np.intp]
    reach: Array
    independent: bool

    def people(self, i: int) -> dict[str, int]:
        """Customers and clusters of a group, as columns of a Finding."""
        return {"n": int(self.customers[i]), "clusters": int(self.clusters[i])}


def counted(study: Study, found: Lives, groups: int, strata: int, causes: int) -> Counted:
    """Count stays by block, stratum and group where they lie: columns `stratum`, `level`, `why` hold codes from 0."""
    ends = ["entry", "exit", "left", "why", "level", "stratum"]
    if (held := hold(study, found.table, ends)) is not None:
        return _counted_in_memory(study, held, found.start, groups, strata, causes)
    table = found.table.mutate(block=block_of(study, found.table).cast("string"))
    kind = (table.left == 1).ifelse(table.why + 2, 1).cast("int64")
    keys = ["block", "stratum", "level", "time", "kind"]
    ends = table.select(*keys[:3], time=table.exit.cast("float64"), kind=kind)
    begins = table.select(*keys[:3], time=table.entry.cast("float64"), kind=ibis.literal(0, "int64"))
    both = ends.union(begins)
    got = both.group_by(keys).aggregate(n=both.count()).order_by(keys).to_pyarrow()
    block = np.unique(got["block"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]
    times, at = np.unique(got["time"].to_numpy(), return_inverse=True)
    h, g, k = (got[c].to_numpy().astype(int) for c in ("stratum", "level", "kind"))
    cells = np.zeros((block.max(initial=-1) + 1, strata, groups, causes + 2, len(times)))
    cells[block, h, g, k, at] = got["n"].to_numpy()
    return _risk(study, cells, times, _people(study, table, groups), found.start)


def _counted_in_memory(study: Study, held: Held, start: float, groups: int, strata: int, causes: int) -> Counted:
    blocks, block = held.block
    h, g, why = (held.number(c).astype(int) for c in ("stratum", "level", "why"))
    kind = np.where(held.number("left") == 1, why + 2, 1)
    times, at = np.unique(np.concatenate([held.number("entry"), held.number("exit")]), return_inverse=True)
    shape = (len(blocks), strata, groups, causes + 2, len(times))
    cells = np.zeros(shape)
    for kinds, moment in ((np.zeros_like(kind), at[: held.n]), (kind, at[held.n :])):
        place = np.ravel_multi_index((block, h, g, kinds, moment), shape)
        cells += np.bincount(place, minlength=cells.size).reshape(shape)
    inside = [*(g == i for i in range(groups)), g >= 0]
    customers, clusters = (
        np.array([distinct(codes[1][i]) for i in inside], np.intp) for codes in (held.text("customer_id"), held.cluster)
    )
    return _risk(study, cells, times, (customers, clusters), start)


def _risk(
    study: Study, cells: Array, times: Array, people: tuple[NDArray[np.intp], NDArray[np.intp]], start: float
) -> Counted:
    """Who is there and leaves at each time, from who comes and goes (B, H, G, K + 2, T): comes, goes without leaving, leaves."""
    more = cells[..., 0, :] - cells[..., 1:, :].sum(-2)
    there = np.cumsum(more, axis=-1) - more
    customers, clusters = people
    total = there.sum((0, 1))
    reach = np.array([_reach(times, n, start, study.min_cell) for n in (*total, total.sum(0))])
    alone = bool(clusters[-1] == cells[..., 0, :].sum())
    return Counted(times, there, cells[..., 2:, :], customers, clusters, reach, alone)


def _people(study: Study, table: ir.Table, groups: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Customers and clusters of each group, and of all."""
    ids = {"customers": table.customer_id, "clusters": cluster_of(study, table)}
    inside = {**{i: table.level == i for i in range(groups)}, groups: table.level >= 0}
    got = _first(table.aggregate(**{f"{c}{i}": x.nunique(where=w) for c, x in ids.items() for i, w in inside.items()}))
    customers, clusters = (np.array([got[f"{c}{i}"] for i in inside], np.intp) for c in ids)
    return customers, clusters


def _reach(times: Array, there: Array, start: float, least: int) -> float:
    """The last time up to which so many were there all along from the start."""
    later = np.flatnonzero(times > start)
    ended = later[there[later] < least]
    last = (ended[0] if len(ended) else len(times)) - 1
    return float(times[last]) if len(later) and last >= later[0] else float("nan")
