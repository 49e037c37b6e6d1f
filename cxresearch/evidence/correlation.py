"""Correlation: how two things go together, and what fooled the crude number.

The ladder takes one correlation step by step: crude, per use, same usage and price, within segment, within site and
month, within customer, corrected for unreliability, and a range for all customers, the silent included.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, sampling, silent
from cxresearch.evidence.inference import Interval
from cxresearch.evidence.moments import Spread, Summary, moments
from cxresearch.evidence.ranks import rank_covariances
from cxresearch.evidence.rows import Rows, rows
from cxresearch.finding import MODELS, Caveat, Finding, number, row, written

Array = NDArray[np.float64]
STEPS = ("crude", "per_use", "adjusted", "within_segment", "within_site_month", "within_customer", "reliable", "all_customers")
HUGE_N = 20_000
SMALL_R = 0.05


# -- the numbers: covariance matrices in, correlations out


def pearson(covariance: Array, x: int, y: int) -> Array:
    """Pearson's correlation of two columns from a covariance matrix (…, p, p)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return covariance[..., x, y] / np.sqrt(covariance[..., x, x] * covariance[..., y, y])


def partial(covariance: Array, x: int, y: int, given: Sequence[int]) -> Array:
    """Partial correlation of two columns with others held fixed, from a covariance matrix (…, p, p).

    The residual covariance S_ab - S_ag S_gg⁺ S_gb as a correlation; the pseudo-inverse drops controls that say
    the same twice. Source: Anderson, An Introduction to Multivariate Statistical Analysis, section 2.5.
    """
    if not given:
        return pearson(covariance, x, y)
    pair, held = [x, y], list(given)
    own = covariance[..., np.ix_(pair, pair)[0], np.ix_(pair, pair)[1]]
    cross = covariance[..., np.ix_(pair, held)[0], np.ix_(pair, held)[1]]
    middle = covariance[..., np.ix_(held, held)[0], np.ix_(held, held)[1]]
    residual = own - cross @ np.linalg.pinv(middle, hermitian=True) @ np.swapaxes(cross, -1, -2)
    return pearson(residual, 0, 1)


def alpha(covariance: Array, items: Sequence[int]) -> Array:
    """Cronbach's alpha of items from their covariance matrix (…, p, p), in own units of the items."""
    block = covariance[..., np.ix_(items, items)[0], np.ix_(items, items)[1]]
    k = len(items)
    with np.errstate(invalid="ignore", divide="ignore"):
        return k / (k - 1) * (1 - np.trace(block, axis1=-2, axis2=-1) / block.sum((-2, -1)))


# -- the question


@dataclass(frozen=True)
class Pair:
    """One correlation in question: outcome y, term x, what is held fixed, how many periods x lies before y."""

    outcome: str
    term: str
    given: tuple[str, ...]
    lag: int = 0
    ranks: bool = True


def relate(
    study: Study,
    of: str | Sequence[str],
    among: str | Sequence[str],
    *,
    given: Sequence[str] | None = None,
    by: str | None = None,
    lag: int | Sequence[int] = 0,
    steps: Sequence[str] | None = None,
    method: Sequence[str] = ("pearson", "spearman"),
) -> Finding:
    """How closely outcomes go with other terms, step by step from the crude correlation to what is left of it.

    `of` and `among` are terms or roles (tuples of terms): every pair is one ladder. `given` is held fixed in the step
    `adjusted` (default: usage, price and tenure). `by` adds crude and adjusted rows for each level of a segment. `lag`
    takes the term so many periods earlier; several lags give rows of model `lag 0`, `lag 1` … instead of the ladder.
    `steps` picks among crude, per_use, adjusted, within_segment, within_site_month, within_customer, reliable,
    all_customers. Rows: by `method` measure r (Pearson) and, for crude, per_use and adjusted, rho (Spearman). Intervals: textbook
    where every row is a cluster of its own, else jackknife over blocks of clusters on Fisher's z. With several pairs
    p-values are adjusted (Benjamini-Hochberg) over the pairs, step by step.

    >>> ladder = cx.relate(study, of="satisfaction", among=["retainability"])  # doctest: +SKIP
    """
    outcomes, terms = _names(of), _names(among)
    lags = [lag] if isinstance(lag, int) else list(lag)
    lacking = (*study.missing(*outcomes, *terms), *sampling.empty_roles(of, among))
    if lacking or not outcomes or not terms:
        return sampling.nothing(study, "relate", _question(outcomes, terms), lacking)
    pairs = [
        Pair(y, x, tuple(c for c in (study.controls if given is None else given) if c not in (x, y) and study.has(c)), k, "spearman" in method)
        for y in outcomes
        for x in terms
        if x != y
        for k in lags
    ]
    table: list[dict[str, Any]] = []
    ask = _Asking(study, pairs)
    for pair in pairs:
        table += _lag_rows(pair, ask) if len(lags) > 1 else _ladder_rows(pair, steps or STEPS, ask)
        if by is not None and len(lags) == 1:
            table += _level_rows(pair, by, ask)
    _adjust_p_values(table)
    return _finding(study, pairs, table, ask.notes, by)


class _Asking:
    """The rows of one call of relate: every summary is made once and serves all its pairs."""

    def __init__(self, study: Study, pairs: Sequence[Pair]) -> None:
        self.study, self.pairs = study, pairs
        self.notes = sampling.Notes(study)
        self._summaries: dict[tuple[Any, ...], Summary] = {}

    def rows(self, pair: Pair, columns: Sequence[str]) -> Any:
        """The rows of a pair, the term so many periods earlier."""
        return self.study.rows(columns, lag={pair.term: pair.lag})

    def spread(self, pair: Pair, columns: Sequence[str], table: Any, group: str) -> Spread:
        """Moments of columns; `group` names the selection of rows that `table` is."""
        own = pair.term if pair.lag or group.startswith("per use") else ""
        key = (pair.outcome, own, pair.lag, group, self.study.on_survey([pair.outcome, pair.term]))
        if key not in self._summaries:
            self._summaries[key] = Summary(self.study, table, pair.outcome, [c for c in self._columns(pair, own) if c in table.columns])
        spread = self._summaries[key].spread(columns)
        self.notes.saw(spread, columns)
        return spread

    def _columns(self, pair: Pair, own: str) -> list[str]:
        alike = [p for p in self.pairs if p.outcome == pair.outcome and (p.term == pair.term or not own)]
        scores = [pair.outcome, *(p.term for p in alike)]
        items = [item for name in scores for item in self.study.items(name)] if len(alike) == 1 else []
        return [*scores, *(c for p in alike for c in p.given), *items]


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _question(outcomes: Iterable[str], terms: Iterable[str]) -> str:
    return f"How closely does {' or '.join(outcomes) or 'an outcome'} go with {', '.join(terms) or 'other terms'}?"


# -- the steps of the ladder


def _ladder_rows(pair: Pair, steps: Sequence[str], ask: _Asking) -> list[dict[str, Any]]:
    makers: dict[str, Callable[[Pair, _Asking], list[dict[str, Any]]]] = {
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


def _row(pair: Pair, model: str, measure: str, interval: Interval, n: int, clusters: int, group: str = "all") -> dict[str, Any]:
    return row(outcome=pair.outcome, term=pair.term, model=model, measure=measure, group=group, n=n, clusters=clusters, **interval.numbers())


def _both(pair: Pair, ask: _Asking, model: str, group: str, table: Any, spread: Spread, estimator: Callable[[Array], Array], given: int) -> list[dict[str, Any]]:
    """The row of r from moments and, where ranks are asked for, the row of rho from the same columns."""
    made = [_row(pair, model, "r", _interval(spread, estimator, given), spread.n, spread.clusters, group)]
    if pair.ranks:
        found = rows(ask.study, table, spread.columns)
        made.append(_row(pair, model, "rho", _rank_interval(found, estimator, given), found.n, found.cluster_count, group))
    return made


def _interval(spread: Spread, estimator: Callable[[Array], Array], given: int = 0) -> Interval:
    """Interval of a correlation of moments: textbook where rows are independent, else jackknife."""
    r = float(estimator(spread.full)) if spread.n > 2 else math.nan
    if spread.independent:
        return inference.pearson_interval(r, spread.n, given)
    return inference.jackknife(r, estimator(spread.left_out), on="r")


def _rank_interval(found: Rows, estimator: Callable[[Array], Array], given: int) -> Interval:
    if found.n < 3:
        return inference.NOTHING
    full, left_out = rank_covariances(found.values, found.blocks)
    rho = float(estimator(full))
    if found.independent:
        return inference.spearman_interval(rho, found.n, given)
    return inference.jackknife(rho, estimator(left_out), on="rho")


def _crude(pair: Pair, ask: _Asking, table: Any = None, group: str = "all") -> list[dict[str, Any]]:
    columns = [pair.outcome, pair.term]
    table = ask.rows(pair, columns) if table is None else table
    spread = ask.spread(pair, columns, table, group)
    return _both(pair, ask, "crude", group, table, spread, lambda c: pearson(c, 0, 1), 0)


def _per_use(pair: Pair, ask: _Asking) -> list[dict[str, Any]]:
    """The count for each unit of use, where the term is a count that is met through use."""
    exposure = ask.study.term(pair.term).exposure
    if exposure is None or not ask.study.has(exposure) or pair.lag:
        return []
    table = ask.rows(pair, [pair.outcome, pair.term, exposure])
    used = table.filter(table[exposure] > 0)
    rate = used.mutate(**{pair.term: used[pair.term] / used[exposure]})
    spread = ask.spread(pair, [pair.outcome, pair.term], rate, "per use")
    return _both(pair, ask, "per_use", "all", rate, spread, lambda c: pearson(c, 0, 1), 0)


def _adjusted(pair: Pair, ask: _Asking, table: Any = None, group: str = "all") -> list[dict[str, Any]]:
    if not pair.given:
        return []
    columns = [pair.outcome, pair.term, *pair.given]
    table = ask.rows(pair, columns) if table is None else table
    spread = ask.spread(pair, columns, table, group)
    held = range(2, len(columns))
    return _both(pair, ask, "adjusted", group, table, spread, lambda c: partial(c, 0, 1, held), len(pair.given))


def _within_segment(pair: Pair, ask: _Asking) -> list[dict[str, Any]]:
    segment = ask.study.segment_term
    if segment is None or ask.study.segment != "all":
        return []
    columns = [pair.outcome, pair.term]
    return _within(pair, ask, "within_segment", moments(ask.study, ask.rows(pair, [*columns, segment]), columns, fixed=segment))


def _within_site_month(pair: Pair, ask: _Asking) -> list[dict[str, Any]]:
    study, columns = ask.study, [pair.outcome, pair.term]
    if not study.has("site_id") or study.cluster() != "site_id":
        return []
    if "site" in (study.term(pair.outcome).shared, study.term(pair.term).shared):
        ask.notes.skipped(MODELS["within_site_month"], "neighbours of a site share it in a month, so nothing of it is left to compare")
        return []
    table = ask.rows(pair, columns)
    return _within(pair, ask, "within_site_month", moments(study, table, columns, within=("site_id", "period")))


def _within_customer(pair: Pair, ask: _Asking) -> list[dict[str, Any]]:
    # of a customer who leaves, only the last row says so: within customers leaving is a matter of order, not of chance
    if "churned" in (pair.outcome, pair.term):
        return []
    columns = [pair.outcome, pair.term]
    return _within(pair, ask, "within_customer", moments(ask.study, ask.rows(pair, columns), columns, within=("customer_id",)))


def _within(pair: Pair, ask: _Asking, model: str, spread: Spread) -> list[dict[str, Any]]:
    if spread.n < 3:
        ask.notes.skipped(MODELS[model], "no two rows in one cell")
        return []
    return [_row(pair, model, "r", _interval(spread, lambda c: pearson(c, 0, 1)), spread.n, spread.clusters)]


def _reliable(pair: Pair, ask: _Asking) -> list[dict[str, Any]]:
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
                r = r / np.sqrt(alpha(covariance * own, spread.at(*items)))
        return r

    r = float(estimator(spread.full))
    if not math.isfinite(r) or abs(r) >= 1:
        ask.notes.skipped(MODELS["reliable"], "the corrected correlation lies outside -1 to 1: reliability is too low to correct by")
        return []
    interval = inference.jackknife(r, estimator(spread.left_out), on="r")
    if spread.independent:
        interval = _stretched(inference.pearson_interval(float(pearson(spread.full, 0, 1)), spread.n), r)
    return [_row(pair, "reliable", "r", interval, spread.n, spread.clusters)]


def _stretched(uncorrected: Interval, r: float) -> Interval:
    """An interval of r carried over to the corrected r: both ends divided by the same root of reliabilities."""
    if uncorrected.conf_low is None or uncorrected.conf_high is None or not uncorrected.estimate:
        return Interval(r)
    factor = r / uncorrected.estimate
    low, high = (max(-1.0, min(1.0, factor * end)) for end in (uncorrected.conf_low, uncorrected.conf_high))
    error = abs(factor) * uncorrected.std_error if uncorrected.std_error is not None else None
    return Interval(r, error, None, low, high, uncorrected.p_value)


def _all_customers(pair: Pair, ask: _Asking) -> list[dict[str, Any]]:
    study = ask.study
    on_survey = [name for name in (pair.outcome, pair.term) if study.on_survey([name])]
    if not on_survey or study.on_survey(["customer_id"]) or pair.lag:
        return []
    if len(on_survey) == 2:
        ask.notes.skipped(MODELS["all_customers"], "both terms are known only of those who answered")
        return []
    known = pair.term if on_survey[0] == pair.outcome else pair.outcome
    interval, n, clusters = silent.correlation_range(study, asked=on_survey[0], known=known)
    return [_row(pair, "all_customers", "r", interval, n, clusters)] if interval.estimate is not None else []


def _lag_rows(pair: Pair, ask: _Asking) -> list[dict[str, Any]]:
    made = _adjusted(pair, ask) or _crude(pair, ask)
    return [record | {"model": f"lag {pair.lag}"} for record in made if record["measure"] == "r"]


def _level_rows(pair: Pair, by: str, ask: _Asking) -> list[dict[str, Any]]:
    """Crude and adjusted rows for each level of a segment."""
    if not ask.study.has(by):
        ask.notes.skipped(f"by {by}", f"the study has no {', '.join(ask.study.missing(by))}")
        return []
    table = ask.rows(pair, [pair.outcome, pair.term, *pair.given, by])
    made: list[dict[str, Any]] = []
    for level in sorted(v for v in table.select(by).distinct().to_pyarrow()[by].to_pylist() if v is not None):
        only, group = table.filter(table[by] == level), f"{by}={level}"
        made += _crude(pair, ask, only, group) + _adjusted(pair, ask, only, group)
    return made


# -- from rows to a finding


def _adjust_p_values(table: list[dict[str, Any]]) -> None:
    """Benjamini-Hochberg over the pairs, within each step, measure and kind of group."""
    families: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for record in table:
        families.setdefault((record["model"], record["measure"], record["group"] == "all"), []).append(record)
    for family in families.values():
        for record, p in zip(family, inference.false_discovery([r["p_value"] for r in family]), strict=True):
            record["p_adjusted"] = p


def _finding(study: Study, pairs: list[Pair], table: list[dict[str, Any]], notes: sampling.Notes, by: str | None) -> Finding:
    outcomes = dict.fromkeys(pair.outcome for pair in pairs)
    terms = dict.fromkeys(pair.term for pair in pairs)
    adjusters = sorted({study.term(c).label for pair in pairs for c in pair.given})
    has_adjusted = any(record["model"] == "adjusted" or record["model"].startswith("lag ") for record in table) and bool(adjusters)
    finding = sampling.finding(
        study,
        table,
        name=f"relate {'+'.join(outcomes)} {'+'.join(terms)}" + (" by lag" if any(pair.lag for pair in pairs) else ""),
        question=_question([study.term(y).label for y in outcomes], [study.term(x).label for x in terms]),
        estimand="correlation over the window; the step says between whom",
        design="adjusted" if has_adjusted else "associational",
        method=_method(table, adjusters, notes),
        sample=notes.text(),
        caveats=_caveats(study, pairs, table, notes, by),
    )
    answer, title = _answer(study, pairs, finding)
    return dataclasses.replace(finding, answer=answer, title=title)


def _method(table: list[dict[str, Any]], adjusters: list[str], notes: sampling.Notes) -> str:
    parts = ["Pearson r and Spearman rho."]
    if adjusters:
        parts.append(f"Same usage and price: partial correlation given {', '.join(adjusters)}.")
    if any(record["model"] == "reliable" for record in table):
        parts.append("Corrected for unreliability by Cronbach's alpha of the items.")
    if any(record["model"] == "all_customers" for record in table):
        parts.append(f"Range for all customers: {silent.ASSUMPTION}.")
    parts.append(notes.interval_method())
    return " ".join(parts)


def _answer(study: Study, pairs: list[Pair], finding: Finding) -> tuple[str, str]:
    if len(pairs) == 1 or len({(p.outcome, p.term) for p in pairs}) == 1:
        return _answer_of_one(study, pairs[0], finding)
    return _answer_of_many(study, pairs, finding)


def _answer_of_one(study: Study, pair: Pair, finding: Finding) -> tuple[str, str]:
    y, x = study.term(pair.outcome).label, study.term(pair.term).label
    records = [r for r in finding.rows(measure="r", group="all") if r["estimate"] is not None and r["model"] != "all_customers"]
    if not records:
        return f"Not estimable: {x} and {y} do not both vary in the rows that have them.", "Not estimable"
    first = records[0]
    if first["model"].startswith("lag"):
        listed = ", ".join(f"{number(r['estimate'])} at {r['model']}" for r in records)
        return f"{_cap(x)} with {y} so many months later, at the same usage and price: r = {listed}.", f"{_cap(x)} with {y}, by the months between them"
    crude = next((r for r in records if r["model"] == "crude"), first)
    text = f"{_cap(x)} and {y} {_goes(crude)}: crude r {written(crude)}"
    turned = [r for r in records if _turns(crude, r)]
    last = next((r for r in reversed(records) if r["model"] in ("within_customer", "within_site_month", "adjusted")), None)
    if turned:
        text += f"; the sign turns with {MODELS[turned[0]['model']]}: {written(turned[0], n=False)}"
    elif last is not None and last is not crude:
        text += f"; {MODELS[last['model']]}: {written(last, n=False)}"
    title = f"{_cap(x)} and {y} {_goes(last or crude)}"
    if turned:
        title = f"{_cap(x)} and {y}: the crude sign turns with {MODELS[turned[0]['model']]}"
    return text + ".", title


def _answer_of_many(study: Study, pairs: list[Pair], finding: Finding) -> tuple[str, str]:
    records = [r for r in finding.rows(measure="r", group="all", model=["crude", "adjusted"]) if r["estimate"] is not None]
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
        f"{x} with {y}, r = {written(top)}."
    )
    return text, f"{_cap(x)} and {y} go together most closely"


def _goes(record: dict[str, Any]) -> str:
    if record["conf_low"] is None or record["conf_low"] <= 0 <= record["conf_high"]:
        return "show no correlation told from zero"
    return "go together" if record["estimate"] > 0 else "go in opposite directions"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]


def _turns(crude: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a step's interval lies wholly on the other side of zero than the crude estimate."""
    if other["conf_low"] is None or crude["estimate"] is None:
        return False
    return (crude["estimate"] < 0 < other["conf_low"]) or (other["conf_high"] < 0 < crude["estimate"])


def _caveats(study: Study, pairs: list[Pair], table: list[dict[str, Any]], notes: sampling.Notes, by: str | None) -> tuple[Caveat, ...]:
    found = list(notes.caveats())
    names = {pair.outcome for pair in pairs} | {pair.term for pair in pairs}
    asked = [name for name in names if study.on_survey([name])]
    if any(study.on_survey([p.outcome]) and study.on_survey([p.term]) for p in pairs):
        found.append(Caveat("halo", "Both are answers of one questionnaire: a common mood ties them together, also within a customer."))
    if asked and "churned" in names and study.knows_silent:
        found.append(Caveat("silent-leavers", "Leavers answer less: among those who answered the correlation is not that of all customers."))
    for pair in pairs:
        own = [r for r in table if r["outcome"] == pair.outcome and r["term"] == pair.term and r["measure"] in ("r", "rho")]
        found += _pair_caveats(study, pair, own)
    return tuple(found)


def _pair_caveats(study: Study, pair: Pair, own: list[dict[str, Any]]) -> list[Caveat]:
    found = []
    crude = {r["measure"]: r for r in own if r["model"] == "crude" and r["group"] == "all"}
    for measure, first in crude.items():
        turned = [r for r in own if r["group"] == "all" and r["measure"] == measure and _turns(first, r)]
        if turned:
            steps = " and ".join(dict.fromkeys(MODELS.get(r["model"], r["model"]) for r in turned))
            x, y = study.term(pair.term).label, study.term(pair.outcome).label
            found.append(Caveat("confounded", f"The crude sign of {x} with {y} turns: {steps}. Do not read the crude number alone."))
            break
    levels = [r for r in own if r["group"] != "all" and r["model"] == "crude" and r["measure"] == "r"]
    if len(levels) > 1 and "r" in crude and all(_turns(crude["r"], r) for r in levels):
        found.append(Caveat("reversed", "The sign over all customers is the opposite of the sign inside every segment."))
    r = crude.get("r")
    if r and r["n"] > HUGE_N and r["estimate"] is not None and abs(r["estimate"]) < SMALL_R and (r["p_value"] or 1) < 0.05:
        found.append(Caveat("huge-n", f"With n = {r['n']:,} even a correlation of {number(r['estimate'])} is told from zero: judge by its size."))
    return found
