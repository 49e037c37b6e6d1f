"""Mediation: how much of an association goes through something in between."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, sampling
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab.bootstrap import bootstrap_interval
from cxresearch.evidence.lab.hidden_cause import robustness
from cxresearch.evidence.lab.indirect import (
    LinearParts,
    gradient,
    least_squares_without,
    linear_parts,
    logistic_parts,
    sobel,
    textbook_errors,
)
from cxresearch.evidence.logistic import average_without, fit_logit, leave_one_out, varies
from cxresearch.evidence.moments import Spread, moments
from cxresearch.evidence.rows import Rows, rows
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import TOO_FEW, row

Array = NDArray[np.float64]
METHODS = ("jackknife", "bootstrap", "bca", "delta", "quasi-bayes")
DRAWS, SEED = 20_000, 20261  # the ends of an interval then hang on chance by a thirtieth of an error
FLOOR = 3.0  # a total of fewer standard errors than this has no share: the ratio runs from minus to plus infinity
SAME = 1e-9  # a share of variance below it is rounding: the column says what others say
FEW_EVENTS, EVENTS_A_TERM = 20, 10
NAMES = ("total", "direct", "indirect", "share", "a", "b", "rho")
Parts = dict[str, Interval]


def mediate(
    study: Study, of: str, term: str, through: str, given: Sequence[str] = (), *, method: str = "jackknife"
) -> Finding:
    """How much of what goes with a term goes through something in between: total, direct and indirect part.

    `of` is the outcome, `through` what is thought to lie between it and the term, `given` is held fixed throughout. A number
    as outcome: least squares, the indirect part is the product of coefficients; rows of measure slope, a step
    of the term, model total, direct and indirect, and the two links themselves. A flag (`churned`): a logistic model, rows of
    per_1000, averaged over the customers. effect_share is the indirect part of the total; not estimable where the total is less than three of
    its errors. hidden_r is the correlation of residuals by which a hidden cause of both would leave nothing
    indirect; robustness and e_value what one would need to leave no total. `method` makes the intervals: `jackknife`
    over blocks of clusters, `bootstrap` (percentile) or `bca` of blocks, `delta` (Sobel), `quasi-bayes` (draws of the coefficients).
    Sources: MacKinnon (2008); Imai, Keele & Tingley (2010); Sobel (1982).

    Example:
    >>> finding = cx.mediate(study, "satisfaction", "retainability", through="reliability")
    >>> [row["model"] for row in finding.rows(measure="slope", term="retainability", outcome="satisfaction")]
    ['total', 'direct', 'indirect']
    """
    columns = [of, term, through, *given]
    flag = _checked(study, columns, method)
    label = [study.term(name).label for name in columns]
    question = f"How much of what goes with {label[1]} in {label[0]} goes through {label[2]}?"
    lacking = (*study.missing(*columns), *sampling.empty_roles(given))
    if lacking:
        return sampling.nothing(study, f"mediate {of} {term} {through}", question, lacking)
    notes = sampling.Notes(study)
    if flag:
        found = rows(study, study.rows(columns), columns)
        base: dict[str, Any] = {"n": found.n, "clusters": found.cluster_count, "events": int(found.of(of).sum())}
        parts, why = _of_flag(study, found)
        rest = ""
        if not why and base["events"] < EVENTS_A_TERM * (len(columns) - 1):
            rest = f"{TOO_FEW} to judge by: {base['events']} for a model of {len(columns) - 1} terms"
        sample = f"{sampling.told(study, found.n)} of {sampling.told(study, found.asked)} rows have all columns."
        sample += " A sample of customers was used." if found.sampled else ""
        doubts = (
            [sampling.few_clusters(study, found.cluster_count)] if found.cluster_count < sampling.FEW_CLUSTERS else []
        )
    else:
        spread = moments(study, study.rows(columns), columns)
        notes.saw(spread, columns)
        base = {"n": spread.n, "clusters": spread.clusters}
        parts, why = _of_number(study, spread, method)
        sample, doubts, rest = notes.text(), notes.caveats(), ""
    made = _rows(study, columns, parts, base, why or rest, flag)
    doubts += _assumed(study, label, parts, columns)
    how = f"{'Logistic model' if flag else 'Least squares'}; held fixed: {', '.join(label[3:]) or 'nothing'}; no interaction of term and between."
    finding = sampling.finding(
        study,
        made,
        name=f"mediate {of} {term} {through}" + (f" given {'+'.join(given)}" if given else ""),
        question=question,
        estimand=f"the part of an association that goes through {label[2]}",
        design="adjusted" if given else "associational",
        method=f"{how} 95 % intervals: {_interval_words('jackknife' if flag else method)}.",
        sample=sample,
        caveats=doubts,
    )
    answer, title = _answer(finding, label, parts, why)
    return dataclasses.replace(finding, answer=answer, title=title)


def _checked(study: Study, columns: Sequence[str], method: str) -> bool:
    """Whether the outcome is a flag; a UsageError for what cannot be asked."""
    kinds = [study.term(name).kind for name in columns]
    for name, kind in zip(columns, kinds, strict=True):
        if kind not in ("number", "flag") or columns.count(name) > 1:
            what = "stands twice in the question" if columns.count(name) > 1 else f"is a {kind}, not a number or a flag"
            raise UsageError(f"{name!r} {what}: outcome, term, through and given are different numbers or flags")
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; it is one of {', '.join(METHODS)}")
    if kinds[0] == "flag" and (kinds[2] == "flag" or method != "jackknife"):
        what = "through a flag" if kinds[2] == "flag" else f"by method {method!r}"
        raise UsageError(f"the outcome {columns[0]!r} is a flag: not {what}; take a number in between and 'jackknife'")
    return kinds[0] == "flag"


def _numbers(parts: LinearParts) -> dict[str, Array]:
    """The numbers of a decomposition by the names of `NAMES`."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = parts.indirect / parts.total
    return dict(
        zip(NAMES, (parts.total, parts.direct, parts.indirect, share, parts.a, parts.b, parts.rho), strict=True)
    )


def _of_number(study: Study, spread: Spread, method: str) -> tuple[Parts, str]:
    """The parts of a linear association in own units, for a step of the term; or why there are none."""
    given = list(range(3, len(spread.columns)))
    whole = linear_parts(spread.full, 0, 1, 2, given)
    if spread.n <= len(spread.columns) + 1:
        return {}, "too few rows have all columns"
    if not (spread.full[range(3), range(3)] > 0).all():
        return {}, "outcome, term or what is between does not vary"
    if not (float(whole.left[0]) > SAME and float(whole.left[1]) > SAME):
        return {}, "the term, or what is between, says what the other columns say"
    if not float(whole.spreads[1]) > SAME * math.sqrt(spread.full[0, 0]):
        return {}, "the term foretells the outcome without error"
    full = {name: float(value) for name, value in _numbers(whole).items()}
    left_out = _numbers(linear_parts(spread.left_out, 0, 1, 2, given))
    errors = _errors(spread, whole, left_out, len(given))
    if method in ("bootstrap", "bca"):
        draws = _numbers(linear_parts(spread.resampled(DRAWS, SEED), 0, 1, 2, given))
        made = {
            k: bootstrap_interval(full[k], draws[k], "bca" if method == "bca" else "percentile", left_out=left_out[k])
            for k in NAMES
        }
    elif method == "jackknife" or errors is None:
        made = {k: inference.jackknife(full[k], left_out[k], on="hidden_r" if k == "rho" else None) for k in NAMES}
    else:
        made = _from_errors(full, errors, method, None if spread.independent else spread.blocks - 1)
    y, x, m = spread.scale[:3]
    step = study.term(spread.columns[1]).step
    units = dict.fromkeys(("total", "direct", "indirect"), step * y / x) | {"a": step * m / x, "b": y / m}
    made = {k: _times(interval, units.get(k, 1.0)) for k, interval in made.items()}
    return made | {"r": Interval(float(whole.partial_r))}, ""


def _errors(spread: Spread, whole: LinearParts, left_out: dict[str, Array], given: int) -> Array | None:
    """Covariance (4, 4) of a, b, direct and total: textbook where rows are independent, else by jackknife."""
    if spread.independent:
        return textbook_errors(whole, float(whole.left[0] * spread.full[1, 1]), spread.n, given)
    values = np.stack([left_out[k] for k in ("a", "b", "direct", "total")])
    if spread.blocks < 2 or not np.isfinite(values).all():
        return None
    return np.cov(values, bias=True) * (spread.blocks - 1)


def _from_errors(full: dict[str, float], errors: Array, method: str, df: float | None) -> Parts:
    """Intervals from the coefficients and their covariance: delta method, or quantiles of normal draws."""
    own = np.sqrt(np.diagonal(errors))
    a, b = full["a"], full["b"]
    if method == "delta":
        made = {k: inference.wald(full[k], float(own[i]), df) for i, k in enumerate(("a", "b", "direct", "total"))}
        product = sobel(a, b, float(own[0]), float(own[1]))["sobel"] ** 2 + 2 * a * b * float(errors[0, 1])
        made["indirect"] = inference.wald(full["indirect"], math.sqrt(max(product, 0.0)), df)
        return made | {k: Interval(full[k]) for k in ("share", "rho")}
    middle = [a, b, full["direct"]]
    drawn = np.random.default_rng(SEED).multivariate_normal(middle, errors[:3, :3], DRAWS, method="eigh").T
    indirect = drawn[0] * drawn[1]
    values = {"a": drawn[0], "b": drawn[1], "direct": drawn[2], "indirect": indirect, "total": indirect + drawn[2]}
    values["share"] = indirect / values["total"]
    made = {k: bootstrap_interval(full[k], draws, "percentile") for k, draws in values.items()}
    return made | {"rho": Interval(full["rho"])}


def _of_flag(study: Study, found: Rows) -> tuple[Parts, str]:
    """The parts of a logistic association, per 1,000, for a step of the term (a flag: yes against no); or why none."""
    y, between, held = found.values[:, 0], found.values[:, 2], found.values[:, [1, *range(3, found.values.shape[1])]]
    fewer = int(min(y.sum(), len(y) - y.sum()))
    if fewer < FEW_EVENTS:
        told = sampling.told(study, fewer) if fewer else "none"
        return (
            {},
            f"{told} of {sampling.told(study, len(y))} rows have the rarer outcome; at least {FEW_EVENTS} are needed",
        )
    there = varies(np.column_stack([held[:, :1], between]))
    if not there.all():
        return {}, "the term, or what is between, is the same in all rows"
    centre, scale = held.mean(0), np.where(varies(held), held.std(0), 1.0)
    x, m = (held - centre) / scale * varies(held), (between - between.mean()) / between.std()
    of_m, of_m_without = least_squares_without(x, m, found.blocks)
    if not of_m[-1] > math.sqrt(SAME):
        return {}, "what is between says what the other columns say"
    fit = fit_logit(y, np.column_stack([m, x]))
    if not fit.converged:
        return {}, "the outcome is separated: the columns foretell it without error in some rows"
    term = study.term(found.columns[1])
    low, high = x.copy(), x.copy()
    low[:, 0], high[:, 0] = (np.array([0.0, 1.0]) - centre[0]) / scale[0] if term.kind == "flag" else (0.0, 0.0)
    if term.kind != "flag":
        low[:, 0], high[:, 0] = x[:, 0], x[:, 0] + term.step / scale[0]
    k = len(of_m)

    def each(at: Array) -> Array:
        """Each row's indirect, direct and total difference per 1,000, (n, 3)."""
        two = 1000 * logistic_parts(low, high, at[: k - 1], at[k - 1], at[k:])
        return np.column_stack([two, two.sum(1)])

    at = np.concatenate([of_m, fit.coefficients])
    moved = np.column_stack([of_m_without, leave_one_out(fit, y, found.blocks)]) - at
    own, slopes = each(at), gradient(lambda v: each(v).mean(0), at)
    names = ("indirect", "direct", "total")
    full = {name: float(own[:, i].mean()) for i, name in enumerate(names)}
    left = {name: average_without(own[:, i], slopes[:, i], moved, found.blocks) for i, name in enumerate(names)}
    full["share"] = full["indirect"] / full["total"] if full["total"] else math.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        left["share"] = left["indirect"] / left["total"]
    return {name: inference.jackknife(full[name], left[name]) for name in full}, ""


def _times(interval: Interval, unit: float) -> Interval:
    """An interval in other units."""
    fields = ("estimate", "std_error", "conf_low", "conf_high")
    values = {k: v * unit for k in fields if (v := getattr(interval, k)) is not None}
    return dataclasses.replace(interval, **values)


def _told_from_zero(interval: Interval) -> bool:
    return None not in (interval.conf_low, interval.conf_high) and interval.conf_low * interval.conf_high > 0  # type: ignore[operator]


def _no_share(parts: Parts) -> str:
    """Why the total has no indirect share, if it has none."""
    total, direct, indirect = (parts[k] for k in ("total", "direct", "indirect"))
    if total.estimate is None or not total.std_error or abs(total.estimate) < FLOOR * total.std_error:
        return f"the total is less than {FLOOR:g} of its errors: its share is not estimable"
    if _told_from_zero(direct) and (direct.estimate or 0) * (indirect.estimate or 0) < 0:
        return "the direct and the indirect part point in opposite directions: no share"
    return ""


def _rows(
    study: Study, columns: Sequence[str], parts: Parts, base: dict[str, Any], why: str, flag: bool
) -> list[dict[str, Any]]:
    of, term, through = columns[:3]
    measure, step = "per_1000" if flag else "slope", study.term(term).step_label
    label: dict[str, Any] = {"effect_label": why} if why else {}
    made = [
        row(outcome=of, term=term, model=k, measure=measure, unit=step, **base, **label, **parts.get(k, Interval(None)).numbers())
        for k in ("total", "direct", "indirect")
    ]  # fmt: skip
    if not parts:
        return made
    none = _no_share(parts)
    share = Interval(None) if none else parts["share"]
    label = {"effect_label": none} if none else label
    made.append(row(outcome=of, term=term, model="indirect", measure="effect_share", unit="of the total", **base, **label, **share.numbers()))  # fmt: skip
    partial = None
    if not flag:
        for name, (y, x, unit) in {"a": (through, term, step), "b": (of, through, "per unit")}.items():
            made.append(
                row(outcome=y, term=x, model="direct", measure="slope", unit=unit, **base, **parts[name].numbers())
            )
        made.append(row(outcome=of, term=term, model="indirect", measure="hidden_r", **base, **parts["rho"].numbers()))
        partial = parts["r"].estimate
    rate = base["events"] / base["n"] if flag and base["n"] else None
    return made + robustness(made[0], partial_r=partial, base=rate)


def _interval_words(method: str) -> str:
    """How the intervals were made, in words."""
    return {
        "jackknife": "jackknife over blocks of clusters, t",
        "bootstrap": f"percentiles of {DRAWS:,} draws of blocks of clusters",
        "bca": f"BCa of {DRAWS:,} draws of blocks of clusters",
        "delta": "delta method (Sobel); errors by jackknife over blocks where rows share a cluster",
        "quasi-bayes": f"percentiles of {DRAWS:,} draws of the coefficients; their errors by jackknife where rows share a cluster",
    }[method]


def _assumed(study: Study, label: Sequence[str], parts: Parts, columns: Sequence[str]) -> list[Caveat]:
    """What a decomposition takes for granted, and how strong a hidden cause would undo it."""
    text = f"Assumed, not shown: {label[1]} comes before {label[2]} and that before {label[0]}, and nothing unmeasured stands behind two of them."
    if "rho" in parts and parts["rho"].estimate is not None:
        rho = number(parts["rho"].estimate, 2)
        text += f" A hidden cause by which what is left of {label[2]} and {label[0]} correlates by {rho} would leave nothing indirect."
    made = [Caveat("assumed-order", text)]
    told = [study.on_survey([name]) for name in columns[:3]]
    if all(told):
        made.append(
            Caveat(
                "halo",
                "All three are answers of one questionnaire, which move together: put what was met, not said, first.",
            )
        )
    elif any(told) and not told[0]:
        made.append(
            Caveat("silent-leavers", "A term of the survey is known only of those who answered; leavers answer less.")
        )
    return made


def _answer(finding: Finding, label: Sequence[str], parts: Parts, why: str) -> tuple[str, str]:
    total, direct, indirect = (finding.rows(model=k)[0] for k in ("total", "direct", "indirect"))
    if not parts or total["estimate"] is None:
        return f"Not estimable: {total['effect_label'] or why}.", "Not estimable"
    share = finding.one(measure="effect_share")
    unit = "" if total["measure"] == "slope" else " per 1,000 customers"
    text = (
        f"Of what goes with {label[1]} in {label[0]} ({total['unit']}, {written(total)}{unit}), {written(indirect, n=False)} goes through "
        f"{label[2]} and {written(direct, n=False)} does not"
    )
    if share["estimate"] is None:
        return (
            f"{text}; {share['effect_label']}.",
            f"What goes with {label[1]} in {label[0]}, through {label[2]} and beside it",
        )
    part = f"share {written(share, n=False)}"
    return (
        f"{text}; {part}.",
        f"{number(100 * share['estimate'], 0)} % of what goes with {label[1]} in {label[0]} goes through {label[2]}",
    )
