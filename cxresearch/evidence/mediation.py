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
from cxresearch.evidence import inference, pitfalls, sampling
from cxresearch.evidence.association import partial
from cxresearch.evidence.design_matrix import repeated, varies
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab.bootstrap import bootstrap_interval
from cxresearch.evidence.lab.hidden_cause import as_strong_as, robustness
from cxresearch.evidence.lab.indirect import (
    LinearParts,
    gradient,
    least_squares_without,
    linear_parts,
    logistic_parts,
    sobel,
    textbook_errors,
)
from cxresearch.evidence.logistic import average_without, fit_logit, leave_one_out
from cxresearch.evidence.moments import Spread, moments
from cxresearch.evidence.rows import Rows, rows
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.policy import SEED
from cxresearch.table import TOO_FEW, row

Array = NDArray[np.float64]
DRAWS = 20_000  # the ends of an interval then hang on chance by a thirtieth of an error
METHODS = {
    "jackknife": "jackknife over blocks of clusters, t",
    "bootstrap": f"percentiles of {DRAWS:,} draws of blocks of clusters",
    "bca": f"BCa of {DRAWS:,} draws of blocks of clusters",
    "delta": "delta method (Sobel), errors by jackknife where rows share a cluster",
    "quasi-bayes": f"percentiles of {DRAWS:,} draws of the coefficients, errors by jackknife where rows share a cluster",
}
FLOOR = 3.0  # a total of fewer standard errors than this has no share: the ratio runs from minus to plus infinity
SAME = 1e-9  # a share of variance below it is rounding: the column says what others say
FEW_EVENTS, EVENTS_A_TERM = 20, 10
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
    indirect; robustness and e_value what one would need to leave no total, and model as_strong_as_known what would be left of it if
    one were as strong as the strongest of what is held fixed. `method` makes the intervals: `jackknife`
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
    table, notes = study.rows(columns), sampling.Notes(study)
    if flag:
        found = rows(study, table, columns)
        made, why = _of_flag(study, found)
        sample = f"{sampling.told(study, found.n)} of {sampling.told(study, found.asked)} rows have all columns."
        sample += " A sample of customers was used." if found.sampled else ""
        few = found.cluster_count < sampling.FEW_CLUSTERS
        doubts = [sampling.few_clusters(study, found.cluster_count)] if few else []
    else:
        spread = moments(study, table, columns).clustered
        notes.saw(spread, columns)
        made, why = _of_number(study, spread, method)
        sample, doubts = notes.text(), notes.caveats()
    finding = sampling.finding(
        study,
        made,
        name=f"mediate {of} {term} {through}" + (f" given {'+'.join(given)}" if given else ""),
        question=question,
        estimand=f"the part of an association that goes through {label[2]}",
        design="adjusted" if given else "associational",
        method=f"{'Logistic model' if flag else 'Least squares'}, no interaction of term and what is between; held fixed: "
        f"{', '.join(label[3:]) or 'nothing'}. 95 % intervals: {METHODS[method]}.",
        sample=sample,
    )
    answer, title = _answer(finding, label, why)
    doubts += _assumed(study, finding, label, columns)
    return dataclasses.replace(finding, answer=answer, title=title).with_caveats(*doubts)


def _checked(study: Study, columns: Sequence[str], method: str) -> bool:
    """Whether the outcome is a flag; a UsageError for what cannot be asked."""
    kinds = {name: study.term(name).kind for name in columns}
    for name, kind in kinds.items():
        if kind not in ("number", "flag") or columns.count(name) > 1:
            what = "stands twice" if columns.count(name) > 1 else f"is a {kind}"
            raise UsageError(f"{name!r} {what}: outcome, term, through and given are different numbers or flags")
    if columns[0] == "churned":
        pitfalls.refuse_known_later(study, columns[1:])
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; it is one of {', '.join(METHODS)}")
    flag = kinds[columns[0]] == "flag"
    if flag and (kinds[columns[2]] == "flag" or method != "jackknife"):
        raise UsageError(f"{columns[0]!r} is a flag: take a number in between, and method 'jackknife'")
    return flag


def _numbers(parts: LinearParts) -> dict[str, Array]:
    """The numbers of a decomposition, alone or in stacks, by name."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share = parts.indirect / parts.total
    made = {"total": parts.total, "direct": parts.direct, "indirect": parts.indirect, "share": share}
    return made | {"a": parts.a, "b": parts.b, "rho": parts.rho}


def _of_number(study: Study, spread: Spread, method: str) -> tuple[list[dict[str, Any]], str]:
    """Rows of a linear association in own units, for a step of the term; or why there is none."""
    of, term, through, *_ = spread.columns
    given = list(range(3, len(spread.columns)))
    whole = linear_parts(spread.full, 0, 1, 2, given)
    base: dict[str, Any] = {"n": spread.n, "clusters": spread.clusters}
    y, x, m = spread.scale[:3]
    step, unit = study.term(term).step, study.term(term).step_label
    why = ""
    if spread.n <= max(len(spread.columns) + 1, study.min_cell - 1):
        why = "too few rows have all columns"
    elif not (np.diagonal(spread.full)[:3] > 0).all():
        why = "the outcome, the term or what is between does not vary"
    elif not (min(float(v) for v in whole.left) > SAME and float(whole.spreads[1]) > SAME**0.5):
        why = "a column says what the others say"
    if why:
        return _parts_rows(of, term, "slope", unit, {}, base, why), why
    parts = _intervals(spread, whole, method)
    units = dict.fromkeys(("total", "direct", "indirect"), step * y / x) | {"a": step * m / x, "b": y / m}
    parts = {k: _times(interval, units.get(k, 1.0)) for k, interval in parts.items()}
    made = _parts_rows(of, term, "slope", unit, parts, base, "")
    for name, to, before, per in (("a", through, term, unit), ("b", of, through, "per unit")):
        numbers = parts[name].numbers()
        made.append(row(outcome=to, term=before, model="direct", measure="slope", unit=per, **base, **numbers))
    made.append(row(outcome=of, term=term, model="indirect", measure="hidden_r", **base, **parts["rho"].numbers()))
    made += robustness(made[0], partial_r=float(whole.partial_r))
    return made + [
        record | {"unit": unit} for record in _as_strong(study, spread, whole, parts["total"], units["total"])
    ], ""


def _as_strong(study: Study, spread: Spread, whole: LinearParts, total: Interval, unit: float) -> list[dict[str, Any]]:
    """What is left of the total if a hidden cause were as strong as that of the columns held fixed which leaves least."""
    given, sign = list(range(3, len(spread.columns))), math.copysign(1, float(whole.total))
    error = math.sqrt(_textbook(spread, whole)[3, 3])
    found = []
    for z in given:
        others = [c for c in given if c != z]
        with_term, with_outcome = partial(spread.full, 1, z, others) ** 2, partial(spread.full, 0, z, [1, *others]) ** 2
        df = spread.n - len(given) - 2
        left, its_error, *_ = as_strong_as(float(whole.total), error, df, with_term, with_outcome).tolist()
        alone = float(linear_parts(spread.full, 0, z, 1, others).left[0]) > SAME  # else it says what the others say
        if alone and math.isfinite(its_error):  # no hidden cause is as strong as a column that explains nearly all
            found.append((sign * left, left, its_error / error, spread.columns[z]))
    if not found or total.estimate is None:
        return []
    _, left, wider, name = min(found)
    numbers: dict[str, Any] = {
        "n": spread.n,
        "clusters": spread.clusters,
        "effect_label": f"as strong as {study.term(name).label}",
    }
    for key, end in (("conf_low", total.conf_low), ("conf_high", total.conf_high)):
        numbers[key] = None if end is None else unit * left + wider * (end - total.estimate)
    of, term = spread.columns[:2]
    return [row(outcome=of, term=term, model="as_strong_as_known", measure="slope", estimate=unit * left, **numbers)]


def _textbook(spread: Spread, whole: LinearParts) -> Array:
    """Covariance (4, 4) of a, b, direct and total for independent rows, in units of the spread."""
    return textbook_errors(whole, float(whole.left[0] * spread.full[1, 1]), spread.n, len(spread.columns) - 3)


def _intervals(spread: Spread, whole: LinearParts, method: str) -> Parts:
    """Every number of a linear decomposition with its interval, in units of the spread."""
    given = list(range(3, len(spread.columns)))
    full = {name: float(value) for name, value in _numbers(whole).items()}
    left_out = _numbers(linear_parts(spread.left_out, 0, 1, 2, given))
    if method in ("bootstrap", "bca"):
        kind = "bca" if method == "bca" else "percentile"
        draws = _numbers(linear_parts(spread.resampled(DRAWS, SEED), 0, 1, 2, given))
        return {k: bootstrap_interval(full[k], draws[k], kind, left_out=left_out[k]) for k in full}
    links = ("a", "b", "direct", "total")
    values = np.stack([left_out[k] for k in links])
    jackknifed = {
        k: inference.jackknife(full[k], left_out[k], on="hidden_r" if k == "rho" else None, blocks=spread.parts)
        for k in full
    }
    if method == "jackknife" or not (spread.independent or np.isfinite(values).all()) or spread.blocks < 2:
        return jackknifed
    a, b, df = full["a"], full["b"], None if spread.independent else spread.blocks - 1
    errors = _textbook(spread, whole) if spread.independent else np.cov(values, bias=True) * (spread.blocks - 1)
    if method == "delta":
        own = [float(e) for e in np.sqrt(np.diagonal(errors))]
        product = math.sqrt(max(sobel(a, b, own[0], own[1])["sobel"] ** 2 + 2 * a * b * float(errors[0, 1]), 0.0))
        made = {k: inference.wald(full[k], e, df) for k, e in zip((*links, "indirect"), (*own, product), strict=True)}
    else:
        middle = [a, b, full["direct"]]
        drawn = np.random.default_rng(SEED).multivariate_normal(middle, errors[:3, :3], DRAWS, method="eigh").T
        indirect, total = drawn[0] * drawn[1], drawn[0] * drawn[1] + drawn[2]
        draws = dict(zip(links, (*drawn, total), strict=True)) | {"indirect": indirect, "share": indirect / total}
        made = {k: bootstrap_interval(full[k], values, "percentile") for k, values in draws.items()}
    return jackknifed | made


def _of_flag(study: Study, found: Rows) -> tuple[list[dict[str, Any]], str]:
    """Rows of a logistic association per 1,000, for a step of the term (a flag: yes against no); or why there is none."""
    of, name, *_ = found.columns
    term, y = study.term(name), found.of(of)
    events, k = int(y.sum()), found.values.shape[1] - 1
    base: dict[str, Any] = {"n": found.n, "clusters": found.cluster_count, "events": events}
    x = found.values[:, [1, 2, *range(3, k + 1)]]
    why = ""
    if min(events, found.n - events) < FEW_EVENTS:
        fewer = sampling.told(study, min(events, found.n - events))
        why = (
            f"{fewer} of {sampling.told(study, found.n)} rows have the rarer outcome; at least {FEW_EVENTS} are needed"
        )
    elif not varies(x)[:2].all():
        why = "the term, or what is between, is the same in all rows"
    else:
        centre, scale = x.mean(0), np.where(varies(x), x.std(0), 1.0)
        x = np.where(varies(x), (x - centre) / scale, 0.0)
        m, held = x[:, 1], x[:, [0, *range(2, k)]]
        of_m, of_m_without = least_squares_without(held, m, found.blocks)
        fit = fit_logit(y, np.column_stack([m, held]))
        if repeated(held.T @ held)[0]:
            why = "the term says what is held fixed"
        elif not of_m[-1] > SAME**0.5:
            why = "what is between says what the other columns say"
        elif not fit.converged:
            why = "the outcome is separated: the columns foretell it without error in some rows"
    if why:
        return _parts_rows(of, name, "per_1000", term.step_label, {}, base, why), why
    ends = held.copy(), held.copy()
    ends[1][:, 0] += term.step / scale[0]
    if term.kind == "flag":
        ends[0][:, 0], ends[1][:, 0] = (np.array([0.0, 1.0]) - centre[0]) / scale[0]
    moved = np.column_stack([of_m_without - of_m, leave_one_out(fit, found.blocks) - fit.coefficients])
    parts = _of_logit(np.concatenate([of_m, fit.coefficients]), moved, ends, found.blocks)
    told = f"{TOO_FEW} to judge by: {events} for a model of {k} terms" if events < EVENTS_A_TERM * k else ""
    made = _parts_rows(of, name, "per_1000", term.step_label, parts, base, told)
    return made + robustness(made[0], base=events / found.n), ""


def _of_logit(at: Array, moved: Array, ends: tuple[Array, Array], blocks: NDArray[np.intp]) -> Parts:
    """Parts per 1,000 at the coefficients of both models, with what leaving a block out moves them by (B, p)."""
    k = ends[0].shape[1] + 1

    def each(at: Array) -> Array:
        """Each row's indirect, direct and total difference per 1,000, (n, 3)."""
        two = 1000 * logistic_parts(*ends, at[:k], at[k], at[k + 1 :])
        return np.column_stack([two, two.sum(1)])

    own, slopes = each(at), gradient(lambda v: each(v).mean(0), at)
    left = [average_without(own[:, i], slopes[:, i], moved, blocks) for i in range(3)]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [*own.mean(0), own[:, 0].mean() / own[:, 2].mean()]
        left.append(left[0] / left[2])
    names = ("indirect", "direct", "total", "share")
    return {name: inference.jackknife(float(v), part) for name, v, part in zip(names, values, left, strict=True)}


def _times(interval: Interval, unit: float) -> Interval:
    """An interval in other units."""
    values = {k: getattr(interval, k) for k in ("estimate", "std_error", "conf_low", "conf_high")}
    return dataclasses.replace(interval, **{k: v * unit for k, v in values.items() if v is not None})


def _parts_rows(
    of: str, term: str, measure: str, unit: str, parts: Parts, base: dict[str, Any], told: str
) -> list[dict[str, Any]]:
    """Rows of the total, of its two parts, and of the indirect share where there is one."""
    shared: dict[str, Any] = {"outcome": of, "term": term, **base}
    made = [
        row(model=k, measure=measure, unit=unit, effect_label=told or None, **shared, **parts.get(k, Interval(None)).numbers())
        for k in ("total", "direct", "indirect")
    ]  # fmt: skip
    if not parts:
        return made
    total, direct, indirect = made
    error, ends = total["std_error"], (direct["conf_low"], direct["conf_high"])
    apart = None not in ends and ends[0] * ends[1] > 0
    if not error:
        told = "the total has no error that could be told: its share is not estimable"
    elif abs(total["estimate"]) < FLOOR * error:
        told = f"the total is less than {FLOOR:g} of its errors: its share is not estimable"
    elif apart and direct["estimate"] * indirect["estimate"] < 0:
        told = "the direct and the indirect part point in opposite directions: there is no share"
    else:
        return [*made, row(model="indirect", measure="effect_share", unit="of the total", effect_label=told or None, **shared, **parts["share"].numbers())]  # fmt: skip
    return [*made, row(model="indirect", measure="effect_share", unit="of the total", effect_label=told, **shared)]


def _assumed(study: Study, finding: Finding, label: Sequence[str], columns: Sequence[str]) -> list[Caveat]:
    """What a decomposition takes for granted, and how strong a hidden cause would undo it."""
    text = f"Assumed, not shown: {label[1]} comes before {label[2]} and that before {label[0]}, and nothing unmeasured stands behind two of them."
    for record in finding.rows(measure="hidden_r"):
        if record["estimate"] is not None:
            text += f" Something unmeasured behind both, by which what is left of {label[2]} and {label[0]} correlates by {number(record['estimate'])}, would leave nothing indirect."
    told = [study.on_survey([name]) for name in columns[:3]]
    made = [Caveat("assumed-order", text)]
    if all(told):
        made.append(Caveat("halo", "All three are answers of one questionnaire, which move together: begin with what was met, not said."))  # fmt: skip
    elif any(told) and not told[0]:
        made.append(Caveat("silent-leavers", "Answers are known only of those who gave them, and leavers answer less."))
    return made


def _answer(finding: Finding, label: Sequence[str], why: str) -> tuple[str, str]:
    total, direct, indirect = (finding.rows(model=k)[0] for k in ("total", "direct", "indirect"))
    if total["estimate"] is None:
        return f"Not estimable: {why or total['effect_label']}.", "Not estimable"
    share, per = finding.one(measure="effect_share"), "" if total["measure"] == "slope" else " per 1,000 customers"
    text = (
        f"Of what goes with {label[1]} in {label[0]}, {written(total)}{per} {total['unit']}, {written(indirect, n=False)} "
        f"goes through {label[2]} and {written(direct, n=False)} does not; "
    )
    text += share["effect_label"] if share["estimate"] is None else f"share {written(share, n=False)}"
    clear = (
        None not in (indirect["conf_low"], indirect["conf_high"]) and indirect["conf_low"] * indirect["conf_high"] > 0
    )
    part = "goes in part through" if clear else "is not told to go through"
    return f"{text}.", f"What goes with {label[1]} in {label[0]} {part} {label[2]}"
