"""Hazards: how much sooner some customers leave than others, at every month of their time alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, multiplicity, pitfalls, sampling
from cxresearch.evidence.design_matrix import repeated, varies
from cxresearch.evidence.lab import proportional as cox
from cxresearch.evidence.lives import Array, Lives, coded, doubts, followed, one_row_each
from cxresearch.evidence.rows import Rows, rows
from cxresearch.finding import Caveat, Finding, written
from cxresearch.table import TOO_FEW, row

FEW_EVENTS, EVENTS_A_TERM = 20, 10  # Peduzzi et al. (1996)
MOST_STRATA = 1000
SEPARATED = "leaving is separated: of some level nobody left, or terms together foretell who leaves first. No hazard ratio exists"
DOUBT = 0.01  # a p-value of the test below it is told as a doubt


def hazard_ratios(
    study: Study,
    among: str | Sequence[str],
    given: Sequence[str] | None,
    by: str | None,
    origin: str,
    landmark: float | None,
    lacking: Sequence[str],
) -> Finding:
    """Cox's hazard ratios of terms: each alone (crude), and all with what is held fixed in one model (adjusted)."""
    asked = (among,) if isinstance(among, str) else tuple(dict.fromkeys(among))
    terms, without, missing = sampling.absent(study, asked, "hazard_ratio")
    usual = (study.usage + study.price) if given is None else given
    held = tuple(c for c in usual if c not in terms and c != by)
    question = (
        f"How much sooner do customers leave with {', '.join(study.term(t).label for t in asked) or 'what they met'}?"
    )
    lacking = (*lacking, *study.missing(*(() if terms else asked), *held), *sampling.empty_roles(among))
    if lacking or not terms:
        return sampling.nothing(study, "survive", question, lacking)
    pitfalls.refuse_known_later(study, (*terms, *held))
    for word in [t for t in (*terms, *held) if study.term(t).kind not in ("number", "flag")]:
        raise UsageError(f"{word} has levels and no unit for a hazard ratio; split by it: survive(study, by={word!r})")
    if origin != "activation" and one_row_each(study, [*terms, *held, *([by] if by else [])]):
        return sampling.nothing(study, "survive", question, ["monthly rows of panel.churned"])
    with followed(study, [*terms, *held, *([by] if by else [])], origin, landmark) as found:
        table = coded(found.table, "stratum", [by] if by else [], study, MOST_STRATA, 1)[1]
        seen = rows(study, table, ["entry", "exit", "left", "stratum", *terms, *held])
    strata = seen.of("stratum").astype(np.intp)
    at = cox.spells(seen.of("entry"), seen.of("exit"), seen.of("left"), strata)
    made: list[dict[str, Any]] = []
    caveats = [*missing, *doubts(study, found, seen.cluster_count, seen.independent)]
    caveats += [
        c for c in pitfalls.of_terms(study, terms, held, leaving=True) if c.code != "immortal" or landmark is None
    ]
    models: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [("crude", (t,), (t,)) for t in terms]
    models += [("adjusted", (*terms, *held), terms)] if len(terms) + len(held) > 1 else []
    for model, columns, shown in models:
        last = model == models[-1][0]
        rows_, more = _model(study, seen, at, model, columns, shown, last)
        made, caveats = made + rows_, caveats + more
    return _finding(study, question, asked, held, by, [*made, *without], caveats, found, seen, origin)


def _model(
    study: Study, seen: Rows, at: cox.Spells, model: str, columns: Sequence[str], shown: Sequence[str], last: bool
) -> tuple[list[dict[str, Any]], list[Caveat]]:
    """Rows of one model: a hazard ratio for each term shown, and, of the last, how far it can be relied on."""
    x = np.column_stack([seen.of(c) for c in columns])
    events = int(at.left.sum())
    base: dict[str, Any] = {"model": model, "n": seen.n, "events": events, "clusters": seen.cluster_count}
    units = {t: {"term": t, "unit": study.term(t).step_label} for t in shown}
    reason = _obstacle(study, x, events, seen.n)
    if reason is None:
        scale = x.std(0)
        fit = cox.fit_cox(at, (x - x.mean(0)) / scale)
        if not fit.converged:
            reason = "separated", SEPARATED
    if reason is not None:
        base["effect_label"] = reason[1]
        return [_row(measure="hazard_ratio", **base, **units[t]) for t in shown], [Caveat(*reason)]
    covariance = fit.covariance if seen.independent else fit.clustered(seen.clusters)
    caveats = []
    if events < EVENTS_A_TERM * len(columns):
        few = f"{events} leavers for a model of {len(columns)} terms"
        base["effect_label"] = f"{TOO_FEW} leavers to judge by: {few}"
        caveats.append(Caveat("few-events", f"Only {few}: the interval may be too narrow."))
    told = seen.independent or seen.cluster_count > 1
    df = None if seen.independent else float(seen.cluster_count - 1)
    ratios = []
    for i, term in ((columns.index(t), t) for t in shown):
        per = study.term(term).step / scale[i]
        error = per * float(np.sqrt(covariance[i, i])) if told else float("nan")
        ratios.append(base | units[term] | _ratio(inference.wald(per * fit.coefficients[i], error, df)))
    adjusted = multiplicity.adjusted([r["p_value"] for r in ratios])
    made = [_row(measure="hazard_ratio", **r, p_adjusted=p) for r, p in zip(ratios, adjusted, strict=True)]
    if last:
        more, doubt = _reliance(study, seen, at, fit, columns, shown, x / scale, base)
        made, caveats = made + more, caveats + doubt
    return made, caveats


def _row(**given: Any) -> dict[str, Any]:
    return row(outcome="churned", **given)


def _ratio(log: inference.Interval) -> dict[str, Any]:
    """A ratio from the interval of its logarithm; the standard error by the delta method."""
    with np.errstate(over="ignore"):  # an end too far out to be written is null in the table
        logs = {k: v for k, v in log.numbers().items() if k not in ("std_error", "df", "p_value") and v is not None}
        ends = {k: np.exp(v) for k, v in logs.items()}
    told = ends | {"df": log.df, "p_value": log.p_value}
    if not np.isfinite(ends["estimate"]):
        return told | {"effect_label": "too large to be written: take another unit of the term"}
    return told | {"std_error": ends["estimate"] * log.std_error if log.std_error is not None else None}


def _obstacle(study: Study, x: Array, events: int, n: int) -> tuple[str, str] | None:
    """Why a model cannot be fitted, if it cannot."""
    if n < study.min_cell:
        return "few-events", f"{sampling.told(study, n)} customers have all terms; {FEW_EVENTS} leavers are needed"
    if events < FEW_EVENTS:
        return "few-events", f"only {sampling.told(study, events)} leavers; at least {FEW_EVENTS} are needed"
    if not varies(x).all():
        return "no-variation", "a term is the same for everybody: leave it out"
    standard = (x - x.mean(0)) / x.std(0)
    if repeated(standard.T @ standard).any():
        return "no-variation", "a term says what others say: leave it out"
    return None


def _reliance(
    study: Study,
    seen: Rows,
    at: cox.Spells,
    fit: cox.CoxFit,
    columns: Sequence[str],
    shown: Sequence[str],
    x: Array,
    base: dict[str, Any],
) -> tuple[list[dict[str, Any]], list[Caveat]]:
    """Rows of the test that ratios do not change with time, and of concordance."""
    on = cox.clock(at, seen.of("entry"))
    tests = cox.score_test(fit, at, on, [[i] for i in range(len(columns))])
    base = {k: v for k, v in base.items() if k != "effect_label"}
    made, doubted = [], []
    for term, (chi2, df, p) in zip([*columns, None], tests, strict=True):
        if term is None or term in shown:
            told: dict[str, Any] = {"estimate": chi2, "df": df, "p_value": p}
            made.append(_row(term=term, measure="chi_square", **(base | {"model": "proportional"}), **told))
            doubted += [study.term(term).label] if term and p < DOUBT else []
    share, error, n = cox.concordance(at, x @ fit.coefficients, seen.clusters)
    order = inference.wald(share, error, None)
    made.append(_row(measure="concordance", **(base | {"n": n}), **(vars(order) | {"p_value": None})))
    if not doubted:
        return made, []
    text = f"The hazard ratio of {', '.join(doubted)} is not the same at all months: read it as an average, ask with a landmark, or compare rmst."
    return made, [Caveat("not-proportional", text)]


def _finding(
    study: Study, question: str, terms: Sequence[str], held: Sequence[str], by: str | None,
    made: list[dict[str, Any]], caveats: list[Caveat], found: Lives, seen: Rows, origin: str,
) -> Finding:  # fmt: skip
    adjusted = any(
        r["model"] == "adjusted" and r["estimate"] is not None and r["measure"] == "hazard_ratio" for r in made
    )
    labels = [study.term(c).label for c in (*terms, *held) if study.has(c)]
    errors = (
        "model-based"
        if seen.independent
        else f"score residuals added up over {sampling.told(study, seen.cluster_count)} {sampling.cluster_name(study)}s, t"
    )
    finding = sampling.finding(
        study,
        made,
        name="+".join(["survive", *terms, *([by] if by else []), *held]) + f" {origin} from {found.start:g}",
        question=question,
        estimand="hazard ratio of leaving",
        design="adjusted" if adjusted and held else "associational",
        method=f"Cox's model, Efron's ties, late entry counted; together in the adjusted model: {', '.join(labels)}"
        + (f"; each {study.term(by).label} with a hazard of its own" if by else "")
        + f". 95 % intervals: {errors}. Exact score test of proportional hazards on the Kaplan-Meier clock, stays taken as independent.",
        sample=found.told + (" A sample of customers was used." if seen.sampled else ""),
        caveats=caveats,
    )
    told = []
    for term in terms:
        records = {r["model"]: r for r in finding.rows(term=term, measure="hazard_ratio")}
        best = records.get("adjusted") or records["crude"]
        if best["estimate"] is None:
            told.append(f"For {study.term(term).label} no hazard ratio is estimable: {best['effect_label']}")
            continue
        low, high = best["conf_low"], best["conf_high"]
        unsure = low is None or high is None or low <= 1 <= high
        word = "No difference told in leaving" if unsure else f"{'Sooner' if best['estimate'] > 1 else 'Later'} leaving"
        told.append(f"{word} with {study.term(term).more}: hazard ratio {written(best)}, {best['model']}")
    title = told[0].partition(":")[0] if len(told) == 1 else "How much sooner customers leave"
    return dataclasses.replace(finding, answer=". ".join(told) + ".", title=title)
