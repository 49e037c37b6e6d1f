"""Survival: how long customers stay, for whom, and for which cause they leave."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, pitfalls, sampling
from cxresearch.evidence.hazards import hazard_ratios
from cxresearch.evidence.held import Asked, Held
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab import curves
from cxresearch.evidence.lives import (
    ACTIVATION,
    CAUSES,
    WINDOW,
    Array,
    Counted,
    Lives,
    coded,
    counted,
    doubts,
    followed,
    numbered,
    one_row_each,
)
from cxresearch.finding import Finding, written
from cxresearch.measures import number
from cxresearch.table import row

MOST_LEVELS, MOST_STRATA = 12, 60


def survive(
    study: Study,
    by: str | None = None,
    *,
    among: str | Sequence[str] | None = None,
    given: Sequence[str] | None = None,
    origin: str = ACTIVATION,
    landmark: float | None = None,
    horizons: Sequence[float] = (6, 12, 24),
) -> Finding:
    """How many customers are still there after so many months, and how much sooner some leave than others.

    `by` splits: a term of few levels gives a curve for each; a cause of leaving (`churn_type`, `churn_destination`)
    gives the share that left for each. With `among` the answer is Cox's hazard ratios of those terms, `given` held
    fixed (default: usage and price) and each level of `by` with a hazard of its own. The clock is tenure
    (`origin="activation"`) or months since the customer was first seen in the window (`"window"`). Terms are as known
    when the customer came under observation; with a `landmark` (months on the clock) as known by then, of those still
    there: so those who stayed do not look loyal for having had the time.

    Rows: survival or incidence at each of `horizons` (months, named in `unit`), median, rmst (mean months stayed up to
    the last horizon that all groups reach), its difference from the first level, and chi_square of the log-rank test
    and of Peto and Peto's (`given` are strata); or hazard_ratio crude and adjusted, chi_square of proportional hazards
    (exact score test) and concordance. Errors: Greenwood and log-log bands where every row is one customer, else
    jackknife over blocks of clusters. Late entry is counted. Levels under min_cell are left out.
    Sources: Kaplan & Meier (1958); Aalen & Johansen (1978); Cox (1972); Grambsch & Therneau (1994); Anderson et al. (1983).

    Example:
        >>> stay = cx.survive(study, by="value_segment", horizons=[6, 12])
        >>> [r["group"] for r in stay.rows(measure="survival", unit="by month 12")]
        ['all', 'value_segment=mass', 'value_segment=mid', 'value_segment=high']
        >>> ratio = cx.survive(study, among=["bill_errors"]).one(measure="hazard_ratio", model="adjusted")
        >>> ratio["conf_low"] < ratio["estimate"] < ratio["conf_high"]
        True
    """
    if origin not in (ACTIVATION, WINDOW):
        raise UsageError(f"origin is {origin!r}; it is activation or window")
    if len(horizons) == 0 or not all(0 <= h < math.inf for h in horizons):
        raise UsageError(f"horizons are {list(horizons)}; they are one or more numbers of months from 0 on")
    question = "How long do customers stay?" if by is None else f"How does staying differ by {study.term(by).label}?"
    lacking = study.missing("churned", *(["tenure_m"] if origin == ACTIVATION else []), *([by] if by else []))
    pitfalls.refuse_known_later(study, [by] if by and by not in CAUSES else [])
    if among is not None:
        return hazard_ratios(study, among, given, by, origin, landmark, lacking)
    lacking += study.missing(*(given or ()))
    if lacking:
        return sampling.nothing(study, "survive", question, lacking)
    if origin == WINDOW and one_row_each(study):
        return sampling.nothing(study, "survive", question, ["monthly rows of panel.churned"])
    cause = by if by in CAUSES else None
    held = () if cause else tuple(given or ())  # causes split leaving, so nothing is compared that could be held fixed
    known = [*([by] if by and not cause else []), *held]
    with followed(study, known, origin, landmark, cause) as found:
        levels, table = coded(found.table, "level", known[: len(known) - len(held)], study, MOST_LEVELS)
        causes, table = _causes(table, study, cause)
        strata, table = coded(table, "stratum", held, study, MOST_STRATA, 1)
        count = counted(study, dataclasses.replace(found, table=table), len(levels), len(strata), len(causes))
    made: list[dict[str, Any]] = []
    if cause and count.customers[-1]:
        made = _incidence(count, causes, cause, horizons, found.start)
    elif count.customers[-1]:
        made = _curves(count, levels, by, horizons, found.start)
    return _finding(study, question, by, made, found, count, origin, held)


def _causes(table: Asked, study: Study, cause: str | None) -> tuple[list[str], Asked]:
    """Causes of leaving, and the table with their number as `why`; what is rare or not known is one cause, the last."""
    if cause is None:
        return ["leaving"], numbered(table, "why", [], 0)
    if isinstance(table, Held):
        found = table.part(table.number("left") == 1).column("cause").value_counts().to_pylist()
    else:
        gone = table.filter(table.left == 1)
        found = gone.group_by(values=gone.cause).aggregate(counts=gone.count()).to_pyarrow().to_pylist()
    counts = {each["values"]: each["counts"] for each in found}
    named = sorted(c for c, n in counts.items() if c is not None and n >= study.min_cell)
    rest = ["other or not known"] if len(counts) > len(named) or not named else []
    return [*named, *rest], numbered(table, "why", [{"cause": c} for c in named], len(named))


class _Group(NamedTuple):
    """All customers or one level: how many were there and left by block, (B, T), and what all its rows share."""

    there: Array
    left: Array
    reach: float
    base: dict[str, Any]


def _groups(count: Counted, levels: Sequence[str], by: str | None) -> list[_Group]:
    there, left = count.there.sum(1), count.causes.sum((1, 3))
    made = []
    for i, name in [(len(levels), "all"), *((i, f"{by}={x}") for i, x in enumerate(levels) if by)]:
        n, d = (x.sum(1) if name == "all" else x[:, i] for x in (there, left))
        made.append(_Group(n, d, count.reach[i], {"outcome": "churned", "term": by, "group": name} | count.people(i)))
    return made


def _curves(
    count: Counted, levels: Sequence[str], by: str | None, horizons: Sequence[float], start: float
) -> list[dict[str, Any]]:
    """Rows of the curves of all and of each level, what differs from the first level, and tests."""
    groups = _groups(count, levels, by)
    until = max((start + h for h in horizons if start + h <= min(g.reach for g in groups)), default=None)
    made, means = [], list[Mean]()
    for i, (n, d, reach, base) in enumerate(groups):
        inside = np.asarray((n > 0).any(1))  # a block of other levels only is no observation of this one
        total, others = (n.sum(0), d.sum(0)), (n.sum(0) - n, d.sum(0) - d)
        without = None if count.independent else curves.stay(*others)[inside]
        curve = curves.kaplan_meier(count.times, *total, without=without)
        made += [_at(curve, "survival", start + h, total[1], reach, start, base) for h in horizons]
        ends = curve.quantile() if reach > 0 else (None, None, None)
        middle: dict[str, Any] = dict(zip(("estimate", "conf_low", "conf_high"), ends, strict=True))
        if ends[0] is None or ends[0] > reach:
            middle |= {"estimate": None, "effect_label": "no more than half have left as far as is seen"}
        made.append(row(measure="median", unit="month", events=total[1].sum(), **base, **middle))
        if until is None:
            continue
        mean, error = curves.restricted_mean(count.times, *total, start, until)
        each = curves.restricted_mean(count.times, *others, start, until)[0]
        means.append((float(mean), float(error), each, inside))
        shown = [("rmst", _mean(count, means[-1]).numbers() | {"p_value": None})]
        shown += [("difference", _mean(count, means[-1], means[1]).numbers())] if i > 1 else []
        unit = f"months from {start:g} to {until:g}"
        made += [row(measure=measure, unit=unit, **base, **told) for measure, told in shown]
    return made + (_tests(count, by) if by and len(levels) > 1 else [])


def _at(
    curve: curves.Curve, measure: str, at: float, left: Array, reach: float, start: float, base: dict[str, Any]
) -> dict[str, Any]:
    """The row of a curve at a horizon, or why there is none."""
    unit = f"by month {at:g}"
    if not at <= reach:
        late = f"too few are there in month {start + 1:g}: ask from a landmark on"
        why = late if np.isnan(reach) else f"too few are there after month {reach:g}"
        return row(measure=measure, unit=unit, effect_label=why, **base)
    told: dict[str, Any] = curve.at(at)
    why = "" if told["std_error"] is not None else "nobody, everybody or one cluster alone has left: no interval"
    return row(measure=measure, unit=unit, events=left[curve.times <= at].sum(), effect_label=why, **base, **told)


# a restricted mean with its error, itself without each block, and which blocks are in it
Mean = tuple[float, float, Array, NDArray[np.bool_]]


def _mean(count: Counted, one: Mean, other: Mean | None = None) -> Interval:
    """The interval of a restricted mean, or of its difference from another."""
    first, error, each, inside = other or (0.0, 0.0, np.zeros(1), one[3])
    if not count.independent:
        return inference.jackknife(one[0] - first, (one[2] - each)[inside | one[3]])
    error = float(np.hypot(one[1], error))
    return inference.wald(one[0] - first, error, None) if error > 0 else Interval(one[0] - first)


def _tests(count: Counted, by: str) -> list[dict[str, Any]]:
    """Log-rank and Peto's test that the levels leave alike, strata held fixed."""
    there, left = count.there, count.causes.sum(3)
    total = there.sum(0), left.sum(0)
    base = {"outcome": "churned", "term": by, "events": left.sum()} | count.people(-1)
    made = []
    for model, rho in (("log_rank", 0.0), ("peto", 1.0)):
        without = None if count.independent else curves.log_rank_difference(total[0] - there, total[1] - left, rho)
        chi2, df, p = curves.log_rank(*total, rho).test(without)
        why = "" if chi2 is not None else "nobody left, or too few clusters"
        made.append(row(measure="chi_square", model=model, estimate=chi2, df=df, p_value=p, effect_label=why, **base))
    return made


def _incidence(
    count: Counted, causes: Sequence[str], cause: str, horizons: Sequence[float], start: float
) -> list[dict[str, Any]]:
    """Rows of the share that left for each cause; causes compete, so the shares and the share that stays add up to 1."""
    there, left = count.there.sum((1, 2)), count.causes.sum((1, 2))  # (B, T), (B, K, T)
    total, made = (there.sum(0), left.sum(0)), []
    for k, name in enumerate(causes):
        without = None if count.independent else curves.left_for(total[0] - there, total[1] - left, k)
        curve = curves.incidence(count.times, *total, k, without)
        base = {"outcome": "churned", "term": cause, "group": f"{cause}={name}"} | count.people(-1)
        made += [_at(curve, "incidence", start + h, total[1][k], count.reach[-1], start, base) for h in horizons]
    return made


def _finding(
    study: Study,
    question: str,
    by: str | None,
    made: list[dict[str, Any]],
    found: Lives,
    count: Counted,
    origin: str,
    given: Sequence[str],
) -> Finding:
    method = "Aalen-Johansen" if by in CAUSES else "Kaplan-Meier"
    clock = "tenure" if origin == ACTIVATION else "months since first seen in the window"
    errors = "Greenwood" if count.independent else f"jackknife over blocks of {sampling.cluster_name(study)}s"
    held = f" Tests hold fixed: {', '.join(study.term(g).label for g in given)}." if given else ""
    # a level of one site has no interval, and its row says so
    fewest = count.clusters[count.clusters > 1].min(initial=count.clusters[-1])
    finding = sampling.finding(
        study,
        made,
        name="+".join(["survive", *([by] if by else []), *given]) + f" {origin} from {found.start:g}",
        question=question,
        estimand="share of customers who are still there after so many months",
        method=f"{method}; clock: {clock}, late entry counted. 95 % intervals: {errors}, on the log-log scale.{held}",
        sample=found.told,
        caveats=doubts(study, found, int(fewest), count.independent),
    )
    answer, title = _answer(study, by, finding)
    return dataclasses.replace(finding, answer=answer, title=title)


def _answer(study: Study, by: str | None, finding: Finding) -> tuple[str, str]:
    shown = [r for r in finding.rows(measure=("survival", "incidence")) if r["estimate"] is not None]
    if not shown:
        why = sampling.why_not(finding, "nobody is seen whose months and leaving are known")
        return f"Not estimable: {why}.", "Not estimable"
    last = [r for r in shown if r["unit"] == shown[-1]["unit"]]
    when, name = last[0]["unit"], study.term(by).label if by else ""
    if last[0]["measure"] == "incidence":
        told = "; ".join(f"{written(r, n=False)} for {r['group'].partition('=')[2]}" for r in last)
        return f"Share that left {when} by {name}: {told}.", f"Who left {when}, by {name}"
    levels = [r for r in last if r["group"] != "all"]
    test = finding.rows(measure="chi_square", model="log_rank")
    if len(levels) < 2 or not test or test[0]["p_value"] is None:
        answer = f"Of all customers a share of {written(last[0])} is still there {when}."
        return answer, f"{number(100 * last[0]['estimate'], 0)} % are still there {when}"
    low, *_, high = sorted(levels, key=lambda r: r["estimate"])
    p = test[0]["p_value"]
    told = "p < 0.001" if p < 0.001 else f"p = {number(p, 3)}"
    places = {f"{by}=0": "without", f"{by}=1": "with"} if by and study.term(by).kind == "flag" else {}
    shares = ", ".join(
        f"{written(r)} {places.get(r['group']) or 'at ' + r['group'].partition('=')[2]}" for r in (low, high)
    )
    title = f"Staying differs by {name}" if p < 0.05 else f"No difference in staying is told by {name}"
    return f"{title} (log-rank {told}): share still there {when} {shares}.", title
