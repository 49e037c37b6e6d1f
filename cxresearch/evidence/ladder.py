"""The ladder of one correlation, step by step: rows of a study in, rows of a Finding out.

Crude, per use, same usage and price, within segment, within site and month, within customer, corrected for
unreliability, and a range for all customers, the silent included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.errors import UsageError
from cxresearch.evidence import inference, sampling, silent
from cxresearch.evidence.asking import Asking, Pair, rate
from cxresearch.evidence.association import alpha, directions, partial, pearson, semipartial
from cxresearch.evidence.blocks import Members
from cxresearch.evidence.held import Asked, complete, levels
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.lab.polychoric import polychoric, tables_by_part, two_step
from cxresearch.evidence.moments import Spread, moments
from cxresearch.evidence.ranks import concordances, kendall_interval, rank_covariances
from cxresearch.evidence.rows import Rows, rows
from cxresearch.measures import MEASURES, MODELS
from cxresearch.table import row

Array = NDArray[np.float64]
METHODS = ("pearson", "spearman", "kendall", "semipartial", "polychoric")
NOTHING_LEFT = "what is held fixed says all that one of the two says, so nothing is left to compare"
MOST_ANSWERS = 11  # a scale of answers has no more: 0 to 10


def ladder_rows(pair: Pair, steps: Sequence[str], ask: Asking) -> list[dict[str, Any]]:
    makers: dict[str, Callable[[Pair, Asking], list[dict[str, Any]]]] = {
        "crude": _crude,
        "per_use": _per_use,
        "adjusted": _adjusted,
        "within_segment": _within_segment,
        "within_site_month": _within_site_month,
        "within_customer": _within_customer,
        "reliable": _reliable,
        "all_customers": _all_customers,
    }
    unknown = [step for step in steps if step not in makers]
    if unknown:
        raise UsageError(f"no step {unknown[0]!r} of the ladder; the steps are {', '.join(makers)}")
    return [record for step, make in makers.items() if step in steps for record in make(pair, ask)]


def _row(
    pair: Pair, model: str, measure: str, interval: Interval, n: int, clusters: int, group: str = "all"
) -> dict[str, Any]:
    return row(
        outcome=pair.outcome,
        term=pair.term,
        model=model,
        measure=measure,
        group=group,
        n=n,
        clusters=clusters,
        **interval.numbers(),
    )


def _each(
    pair: Pair, ask: Asking, model: str, group: str, table: Asked, spread: Spread, given: int = 0
) -> list[dict[str, Any]]:
    """The row of r from moments and, for each further method that is asked for, its row from the same columns.

    The first two columns are the pair, the others are held fixed.
    """
    held = range(2, 2 + given)

    def estimator(covariance: Array) -> Array:
        return partial(covariance, 0, 1, held)

    counted = directions(spread.full, held) if spread.n > 2 else given
    made = [_row(pair, model, "r", _interval(spread, estimator, counted), spread.n, spread.clusters, group)]
    if given and "semipartial" in pair.methods:
        part = _part_interval(spread, held, counted)
        made.append(_row(pair, model, "semipartial", part, spread.n, spread.clusters, group))
    if not {"spearman", "kendall", "polychoric"} & set(pair.methods):
        return _told_why(made, spread, held)
    found = rows(ask.study, table, spread.columns)
    ask.sampled |= found.sampled
    for method, measure, covariances in (("spearman", "rho", rank_covariances), ("kendall", "tau", concordances)):
        if method in pair.methods:
            interval = _rank_interval(found, measure, covariances, estimator, held)
            made.append(_row(pair, model, measure, interval, found.n, found.cluster_count, group))
    if "polychoric" in pair.methods and model == "crude":
        made += _polychoric(pair, ask, group, found)
    return _told_why(made, spread, held)


def _told_why(made: list[dict[str, Any]], spread: Spread, held: Sequence[int]) -> list[dict[str, Any]]:
    """The rows; where the pair varies, those that have no number because of what is held fixed say so."""
    if not held or not np.isfinite(pearson(spread.full, 0, 1)):
        return made
    return [r if r["estimate"] is not None else r | {"effect_label": NOTHING_LEFT} for r in made]


def _interval(spread: Spread, estimator: Callable[[Array], Array], given: int = 0) -> Interval:
    """Interval of a correlation of moments: textbook where rows are independent, else jackknife."""
    r = float(estimator(spread.full)) if spread.n > 2 else math.nan
    if spread.independent:
        textbook = inference.pearson_interval(r, spread.n, given)
        return replace(textbook, kept=inference.jackknife(r, estimator(spread.left_out), blocks=spread.parts).kept)
    return inference.jackknife(r, estimator(spread.left_out), on="r", blocks=spread.parts)


def _part_interval(spread: Spread, held: Sequence[int], counted: int) -> Interval:
    """A semi-partial correlation by jackknife: Fisher's z does not hold for it; p by t where rows are independent."""
    r = float(semipartial(spread.full, 0, 1, held)) if spread.n > 2 else math.nan
    interval = inference.jackknife(r, semipartial(spread.left_out, 0, 1, held), on="semipartial", blocks=spread.parts)
    if spread.independent and interval.estimate is not None:
        return replace(interval, p_value=inference.pearson_interval(r, spread.n, counted).p_value)
    return interval


def _rank_interval(
    found: Rows,
    measure: str,
    covariances: Callable[[Array, Members], tuple[Array, Array]],
    estimator: Callable[[Array], Array],
    held: Sequence[int],
) -> Interval:
    """Interval of a rank correlation: textbook where rows are independent, else jackknife."""
    if found.n < 3:
        return inference.NOTHING
    full, left_out = covariances(found.values, found.members)
    estimate = float(estimator(full))
    interval = inference.jackknife(estimate, estimator(left_out), on=measure, blocks=found.members.blocks)
    if not found.independent:
        return interval
    given = directions(full, held)
    if measure == "tau":
        return replace(kendall_interval(estimate, found.values, given), kept=interval.kept)
    return replace(inference.spearman_interval(estimate, found.n, given), kept=interval.kept)


def _polychoric(pair: Pair, ask: Asking, group: str, found: Rows) -> list[dict[str, Any]]:
    """The row of the polychoric correlation of two scales of answers; its error by two-step fits without each block."""
    scales = [np.unique(column, return_inverse=True) for column in found.values.T]
    if not all(1 < len(values) <= MOST_ANSWERS and (values == np.round(values)).all() for values, _ in scales):
        why = f"a polychoric correlation is of two scales of 2 to {MOST_ANSWERS} whole-number answers"
        ask.notes.skipped(MEASURES["polychoric"].label, why)
        return []
    shape, answers = tuple(len(values) for values, _ in scales), tuple(answer for _, answer in scales)
    counts = np.concatenate([tables_by_part(part, answers, shape) for part in found.members.of_row])
    everybody = tables_by_part(np.zeros(found.n, dtype=np.intp), answers, shape)[0]
    fitted = polychoric(everybody)
    if not math.isfinite(fitted.estimate):
        interval, label = inference.NOTHING, "one answer alone decides the other"
    elif found.independent:
        interval, label = fitted.interval(), None
    else:
        left_out = np.array([two_step(everybody - own) for own in counts])
        interval = inference.jackknife(fitted.estimate, left_out, on="polychoric", blocks=found.members.blocks)
        label = None
    made = _row(pair, "crude", "polychoric", interval, found.n, found.cluster_count, group)
    return [made | {"effect_label": label}]


def _crude(pair: Pair, ask: Asking, table: Asked | None = None, group: str = "all") -> list[dict[str, Any]]:
    columns = [pair.outcome, pair.term]
    table = ask.rows(pair, columns) if table is None else table
    spread = ask.spread(pair, columns, table, group)
    return _each(pair, ask, "crude", group, table, spread)


def _per_use(pair: Pair, ask: Asking) -> list[dict[str, Any]]:
    """The count for each unit of use, where the term is a count that is met through use."""
    exposure = ask.study.term(pair.term).exposure
    if exposure is None or not ask.study.has(exposure) or pair.lag:
        return []
    table = ask.rows(pair, [pair.outcome, pair.term, exposure])
    table = rate(ask.study, table, pair.term, exposure)
    spread = ask.spread(pair, [pair.outcome, pair.term], table, "per use")
    return _each(pair, ask, "per_use", "all", table, spread)


def _adjusted(pair: Pair, ask: Asking, table: Asked | None = None, group: str = "all") -> list[dict[str, Any]]:
    if not pair.given:
        if "semipartial" in pair.methods:
            ask.notes.skipped(MEASURES["semipartial"].label, "nothing is held fixed")
        why = f"this study has no {', '.join(pair.lacking)}"
        nothing_held = row(outcome=pair.outcome, term=pair.term, model="adjusted", measure="r", effect_label=why)
        return [nothing_held] if pair.lacking and group == "all" and not pair.lag else []
    columns = [pair.outcome, pair.term, *pair.given]
    table = ask.rows(pair, columns) if table is None else table
    spread = ask.spread(pair, columns, table, group)
    return _each(pair, ask, "adjusted", group, table, spread, len(pair.given))


def _within_segment(pair: Pair, ask: Asking) -> list[dict[str, Any]]:
    segment = ask.study.segment_term
    if segment is None or ask.study.segment != "all":
        return []
    columns = [pair.outcome, pair.term]
    return _within(
        pair, ask, "within_segment", moments(ask.study, ask.rows(pair, [*columns, segment]), columns, fixed=segment)
    )


def _within_site_month(pair: Pair, ask: Asking) -> list[dict[str, Any]]:
    study, columns = ask.study, [pair.outcome, pair.term]
    if not study.has("site_id") or study.cluster() != "site_id":
        return []
    if "site" in (study.term(pair.outcome).shared, study.term(pair.term).shared):
        ask.notes.skipped(
            MODELS["within_site_month"], "neighbours of a site share it in a month, so nothing of it is left to compare"
        )
        return []
    table = ask.rows(pair, columns)
    spread = ask.spread(pair, columns, table, "all", within=("site_id", "period"))
    return _within(pair, ask, "within_site_month", spread)


def _within_customer(pair: Pair, ask: Asking) -> list[dict[str, Any]]:
    # of a customer who leaves, only the last row says so: within customers leaving is a matter of order, not of chance
    if "churned" in (pair.outcome, pair.term):
        return []
    columns = [pair.outcome, pair.term]
    spread = ask.spread(pair, columns, ask.rows(pair, columns), "all", within=("customer_id",))
    return _within(pair, ask, "within_customer", spread)


def _within(pair: Pair, ask: Asking, model: str, spread: Spread) -> list[dict[str, Any]]:
    if spread.n < 3:
        ask.notes.skipped(MODELS[model], "no two rows in one cell")
        return []
    return [_row(pair, model, "r", _interval(spread, lambda c: pearson(c, 0, 1)), spread.n, spread.clusters)]


def _reliable(pair: Pair, ask: Asking) -> list[dict[str, Any]]:
    """r divided by the square root of both reliabilities; a single column counts as measured without error."""
    scores = [(name, ask.study.items(name)) for name in (pair.outcome, pair.term)]
    if not any(items for _, items in scores) or "churned" in (pair.outcome, pair.term):
        return []
    columns = [pair.outcome, pair.term, *(i for _, items in scores for i in items)]
    spread = ask.spread(pair, columns, ask.rows(pair, columns), "all")
    own = spread.scale[:, None] * spread.scale[None, :]

    def estimator(covariance: Array) -> Array:
        r = pearson(covariance, 0, 1)
        for _, items in scores:
            if items:
                with np.errstate(invalid="ignore", divide="ignore"):  # a negative alpha corrects nothing
                    r = r / np.sqrt(alpha(covariance * own, spread.at(*items)))
        return r

    r = float(estimator(spread.full))
    if not math.isfinite(r) or abs(r) >= 1:
        ask.notes.skipped(
            MODELS["reliable"], "the corrected correlation lies outside -1 to 1: reliability is too low to correct by"
        )
        return []
    # by jackknife also where rows are independent: the reliabilities are estimates too
    interval = inference.jackknife(r, estimator(spread.left_out), on="r", blocks=spread.parts)
    return [_row(pair, "reliable", "r", interval, spread.n, spread.clusters)]


def _all_customers(pair: Pair, ask: Asking) -> list[dict[str, Any]]:
    study = ask.study
    on_survey = [name for name in (pair.outcome, pair.term) if study.on_survey([name])]
    if not on_survey or study.on_survey(["customer_id"]) or pair.lag:
        return []
    if len(on_survey) == 2:
        ask.notes.skipped(MODELS["all_customers"], "both terms are known only of those who answered")
        return []
    known = pair.term if on_survey[0] == pair.outcome else pair.outcome
    interval, n, clusters = silent.correlation_range(study, asked=on_survey[0], known=known)
    if interval.estimate is None:
        ask.notes.skipped(MODELS["all_customers"], "too few answered, or all did, or neither varies")
        return []
    return [_row(pair, "all_customers", "r", interval, n, clusters)]


def lag_rows(pair: Pair, ask: Asking) -> list[dict[str, Any]]:
    """Rows of one lag: at the same usage and price where that is held, crude, and within customer."""
    crude = _crude(pair, ask)
    named = [("", _adjusted(pair, ask)), (", crude", crude)] if pair.given else [("", crude)]
    named.append((", within customer", _within_customer(pair, ask)))
    return [record | {"model": f"lag {pair.lag}{name}"} for name, made in named for record in made]


def level_rows(pair: Pair, by: str, steps: Sequence[str], ask: Asking) -> list[dict[str, Any]]:
    """Crude and adjusted rows for each level of a segment, and one of what is left of the pair at equal level."""
    if not ask.study.has(by):
        ask.notes.skipped(f"by {by}", f"the study has no {', '.join(ask.study.missing(by))}")
        return []
    columns = [pair.outcome, pair.term]
    table = ask.rows(pair, [*columns, *pair.given, by])
    made: list[dict[str, Any]] = []
    if by != ask.study.segment_term or "within_segment" not in steps:  # else it is a step of the ladder
        made += _within(pair, ask, f"within {ask.study.term(by).label}", moments(ask.study, table, columns, fixed=by))
    for level, only in levels(ask.study, table, by):
        group = f"{by}={level}"
        own = _crude(pair, ask, only, group) + _adjusted(pair, ask, only, group)
        people = sampling.people(ask.study, complete(only, columns), own[0]["n"])
        made += [record | {"people": people} for record in own]
    return made
