"""Correlation: how two things go together, and what fooled the crude number."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME
from cxresearch.errors import UsageError
from cxresearch.evidence import ladder_words, multiplicity, pitfalls, sampling
from cxresearch.evidence.asking import Asking, Pair
from cxresearch.evidence.ladder import METHODS, ladder_rows, lag_rows, level_rows
from cxresearch.finding import Finding
from cxresearch.measures import LADDER, MODELS

NUMERIC = ("number", "flag")  # kinds of terms that correlate
MOST_NAMED = 6  # terms that a question names; the table names all


def relate(
    study: Study,
    of: str | Sequence[str],
    among: str | Sequence[str],
    *,
    given: Sequence[str] | None = None,
    by: str | None = None,
    lag: int | Sequence[int] = 0,
    steps: Sequence[str] | None = None,
    method: str | Sequence[str] = ("pearson", "spearman"),
) -> Finding:
    """How closely outcomes go with other terms, step by step from the crude correlation to what is left of it.

    `of` and `among` are terms or roles (tuples of terms): every pair is one ladder. `given` is held fixed in the step
    `adjusted` (default: usage, price and tenure). `by` adds crude and adjusted rows for each level of a segment, and
    what is left of the pair at equal level. `lag` takes the term so many periods earlier; several lags give rows of
    model `lag 0`, `lag 1` … instead of the ladder (at the same usage and price where that is held), and of `lag 1,
    crude` and `lag 1, within customer`. `steps` picks among crude, per_use, adjusted, within_segment,
    within_site_month, within_customer, reliable, all_customers.

    Rows: r (Pearson), always. `method` adds to the steps crude, per_use and adjusted: "spearman" rho, "kendall" tau
    (tau-b; the partial one where something is held), to crude "polychoric" (between two scales of whole-number
    answers), to adjusted "semipartial" (only the term is freed of what is held). Intervals: textbook where every row
    is a cluster of its own (Fisher; Bonett and Wright; Fieller; maximum likelihood), else jackknife over blocks of
    clusters on Fisher's z; so always for a corrected or semi-partial r. With several pairs p-values are adjusted
    (Benjamini-Hochberg) over the pairs, step by step. Raises UsageError for terms in words, and for terms that are
    known only after a customer left, where leaving is one of the pair.

    Example:
    >>> ladder = cx.relate(study, of="satisfaction", among="retainability", method=["spearman", "kendall"])
    >>> [(row["model"], row["measure"]) for row in ladder.rows(model=["crude", "within_customer"])]
    [('crude', 'r'), ('crude', 'rho'), ('crude', 'tau'), ('within_customer', 'r')]
    """
    methods = _names(method)
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise UsageError(f"no method {unknown[0]!r}; the methods are {', '.join(METHODS)}")
    outcomes, terms = _names(of), _names(among)
    lags = [lag] if isinstance(lag, int) else list(lag)
    lacking = (*study.missing(*outcomes, *terms), *sampling.empty_roles(of, among))
    if lacking or not outcomes or not terms:
        return sampling.nothing(study, "relate", _question(outcomes, terms), lacking)
    words = [x for x in (*outcomes, *terms, *(given or ())) if study.has(x) and study.term(x).kind not in NUMERIC]
    if words:
        raise UsageError(f"{words[0]} is no number; take terms that are numbers or flags, or split by it with by=")
    if "churned" in (*outcomes, *terms):
        pitfalls.refuse_known_later(study, [x for x in (*outcomes, *terms, *(given or ())) if x != "churned"])
    pairs = [_pair(study, y, x, given, months, methods) for y in outcomes for x in terms if x != y for months in lags]
    table: list[dict[str, Any]] = []
    ask = Asking(study, pairs, by)
    for pair in pairs:
        table += lag_rows(pair, ask) if len(lags) > 1 else ladder_rows(pair, steps or LADDER, ask)
        if by is not None and len(lags) == 1:
            table += level_rows(pair, by, steps or LADDER, ask)
    _adjust_p_values(table)
    return _finding(study, pairs, table, ask, by)


def _pair(
    study: Study, outcome: str, term: str, given: Sequence[str] | None, lag: int, methods: tuple[str, ...]
) -> Pair:
    """A pair with what can be held fixed for it, and what would have to be mapped where that is nothing."""
    wanted = study.controls if given is None else given
    held = tuple(c for c in dict.fromkeys(wanted) if c not in (outcome, term) and study.has(c))
    lacking = study.controls.examples if given is None and not held else ()
    return Pair(outcome, term, held, lag, methods, lacking)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _question(outcomes: Iterable[str], terms: Iterable[str]) -> str:
    one, other = ([BY_NAME[name].label if name in BY_NAME else name for name in names] for names in (outcomes, terms))
    among = ", ".join(other) if len(other) <= MOST_NAMED else f"each of {len(other)} terms"
    return f"How closely does {' or '.join(one) or 'an outcome'} go with {among or 'other terms'}?"


def _adjust_p_values(table: list[dict[str, Any]]) -> None:
    """Benjamini-Hochberg over the pairs, within each step, measure and kind of group."""
    families: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for record in table:
        families.setdefault((record["model"], record["measure"], record["group"] == "all"), []).append(record)
    for family in families.values():
        for record, p in zip(family, multiplicity.adjusted([r["p_value"] for r in family]), strict=True):
            record["p_adjusted"] = p


def _finding(study: Study, pairs: list[Pair], table: list[dict[str, Any]], ask: Asking, by: str | None) -> Finding:
    outcomes = dict.fromkeys(pair.outcome for pair in pairs)
    terms = dict.fromkeys(pair.term for pair in pairs)
    adjusters = sorted({study.term(c).label for pair in pairs for c in pair.given})
    has_adjusted = any(
        record["model"] == "adjusted" or record["model"].startswith("lag ") for record in table
    ) and bool(adjusters)
    usual = all(set(pair.given) <= set(study.controls) for pair in pairs)
    held = MODELS["adjusted"] if usual else "others held fixed"
    finding = sampling.finding(
        study,
        table,
        name=f"relate {'+'.join(outcomes)} {'+'.join(terms)}" + (" by lag" if any(pair.lag for pair in pairs) else ""),
        question=_question(outcomes, terms),
        estimand="correlation over the window; the step says between whom",
        design="adjusted" if has_adjusted else "associational",
        method=ladder_words.method(table, adjusters, ask.notes, held),
        sample=ask.notes.text({MODELS.get(r["model"]) for r in table if r["estimate"] is not None})
        + (" Ranks are those of a sample of customers." if ask.sampled else ""),
        caveats=ladder_words.caveats(study, pairs, table, ask.notes, by),
    )
    if not usual:
        finding = dataclasses.replace(finding, labels=dict(finding.labels) | {"adjusted": held})
    answer, title = ladder_words.answer(study, pairs, finding)
    return dataclasses.replace(finding, answer=answer, title=title)
