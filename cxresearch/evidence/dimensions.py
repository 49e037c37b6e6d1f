"""Dimensions: how many things the answers of a questionnaire measure, and whether they are those that its scores name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, sampling, score_model
from cxresearch.evidence.blocks import draws
from cxresearch.evidence.lab import consistency, extraction
from cxresearch.evidence.moments import moments
from cxresearch.evidence.questionnaire import ANSWERS, Answers
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import capital, number
from cxresearch.policy import SEED
from cxresearch.table import row, tidy

Array = NDArray[np.float64]
METHODS = ("number", "model", "distinct", "halo", "oblimin", "varimax", "promax")
QUESTION = "How many things do the answers measure, and are they those that the scores name?"
DRAWS = 500
SINGULAR = 1e-10  # an eigenvalue below it is rounding: the answers add up to each other
LEAST_SHARED = 0.05  # a mean correlation below it is too little to share out
NOT_DISTINCT = 0.9  # Henseler, Ringle & Sarstedt (2015)
LABELS = {"one_factor": "one thing common to all", "straight_line": "one answer throughout"}
SPOKEN = {"rater": "service quality", "cx": "experience"}  # questionnaires that are called by a role


def factors(
    study: Study,
    of: str | Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    *,
    by: str | None = None,
    method: Sequence[str] = ("number", "model", "distinct", "halo"),
) -> Finding:
    """How many things the answers measure, whether they are those that the scores name, and how much is halo.

    `of` are scores, or single answers by name (default: the rated dimensions, else all scores), or several questionnaires
    by their names: rows about all answers then have that name as outcome, and htmt of model `closest` is that of its two
    scores that are told apart least. `method` is any of METHODS:

    - number: measure factors by parallel analysis, with the range over 99 % of draws of blocks (effect: share of draws that agree);
      eigenvalue with its chance level as effect; KMO and Bartlett's test as fit_index.
    - model: the confirmatory model of the scores: loading, r between factors, composite_reliability, ave (effect: the largest
      squared correlation with another score), fit_index (chi2, cfi, tli, rmsea, srmr, aic, bic), model `normal` by ML,
      `robust` with the scaled test, `one_factor` for one factor alone.
    - distinct: htmt (crude; `geometric`: HTMT2).
    - halo: share of the first component (term one_factor, an upper bound of what colours all answers), of customers
      who give one answer throughout a score (straight_line), of what the marker item shares with the answers (marker_item).
    - oblimin, varimax, promax: loadings by minres so rotated, and r between the factors.

    `by` asks whether the levels of a segment answer alike: models `configural`, `metric` (same loadings) and `scalar` (same
    intercepts too), each with its CFI and the difference from the one before. Answers of at most four categories enter by polychoric
    correlations and weighted least squares (model `ordered`). Errors are robust, within clusters where rows share them.
    Sources: Horn (1965); Jöreskog (1969); Yuan & Bentler (2000); Fornell & Larcker (1981); Lindell & Whitney (2001), as R's psych, lavaan, semTools.

    Example:
    >>> found = cx.factors(study, study.rater, method=["number"])
    >>> found.one(measure="factors")["n"] > 0
    True
    """
    unknown = sorted(set(method) - set(METHODS))
    if unknown:
        raise UsageError(f"no method {unknown[0]!r} of factors; it has {', '.join(METHODS)}")
    if isinstance(of, Mapping):
        return _each(study, {name: factors(study, terms, by=by, method=method) for name, terms in of.items()})
    scored = {name: study.items(name) for name in study.terms if study.items(name)}
    known = {item for items in scored.values() for item in items}
    given = (of,) if isinstance(of, str) else of
    asked = tuple(given if given is not None else [t for t in study.rater if t in scored] or scored)
    lacking = study.missing(*(t for t in [*asked, *([by] if by else [])] if t not in known))
    names = {name: scored[name] for name in asked if name in scored}
    items = list(dict.fromkeys(item for name in asked for item in scored.get(name, (name,))))
    if lacking or not items:
        return sampling.nothing(study, "factors", QUESTION, lacking or ["score that is the mean of several answers"])
    asking = Answers(study, items, names)
    made: list[dict[str, Any]] = []
    if asking.why:
        made.append(asking.row("factors", inference.NOTHING, effect_label=asking.why))
    else:
        made += _number(asking) if "number" in method else []
        made += score_model.rows(asking, method, by)
        made += [r for how in METHODS[4:] if how in method for r in _loadings(asking, how)]
    made += _halo(asking) if "halo" in method else []
    finding = sampling.finding(
        study,
        made,
        name="factors",
        question=QUESTION,
        estimand="factors behind the answers",
        method=_words(asking),
        sample=asking.notes.text(),
        caveats=[*asking.caveats, *asking.notes.caveats()],
    )
    finding = dataclasses.replace(
        finding, labels={i: asking.label(i) for i in [*items, *names]} | LABELS | dict(finding.labels)
    )
    answer, title = _answer(finding, asking)
    return dataclasses.replace(finding, answer=answer, title=title)


def _answer(finding: Finding, asking: Answers) -> tuple[str, str]:
    told = [r for r in finding.rows() if r["estimate"] is not None]
    if not told:
        return f"Not estimable: {sampling.why_not(finding, 'the answers do not vary')}.", "Not estimable"
    parts, title = [], "What the answers measure"
    for r in (r for r in told if r["measure"] == "factors"):
        title = f"The {len(asking.items)} answers hold {number(r['estimate'], 0)} factor{'s' * (r['estimate'] != 1)}"
        agree = f", the same in {number(100 * r['effect'], 0)} % of draws" if r["effect"] is not None else ""
        parts.append(f"{title} by parallel analysis{agree}.")
    fit = {r["term"]: r["estimate"] for r in told if r["model"] == asking.headline and r["measure"] == "fit_index"}
    if "cfi" in fit:
        parts.append(f"The model of the scores fits with CFI {number(fit['cfi'])} and RMSEA {number(fit['rmsea'], 3)}.")
    ratios = [r for r in told if r["measure"] == "htmt" and r["model"] == "crude"]
    if ratios:
        top = max(ratios, key=lambda r: r["estimate"])
        pair = f"{asking.label(top['outcome'])} and {asking.label(top['term'])}"
        parts.append(f"Least distinct are {pair}, HTMT {written(top, n=False)}: {_apart(top)}.")
    parts += [*_halo_words(told), *_alike_words(finding)]
    return " ".join(parts) or "What was asked of the answers stands in the rows.", title


def _halo_words(told: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far one thing behind all answers reaches: its share at most, what the marker item says, who answers alike throughout."""
    parts = []
    for r in told:
        if r["measure"] == "share" and r["term"] == "one_factor":
            parts.append(f"One thing common to all answers is at most {written(r, n=False)} of their variance.")
        if r["measure"] == "r" and r["term"] == "marker_item":
            parts.append(
                f"The marker item, which asks about nothing of the service, goes with the answers at r = {written(r, n=False)}: as much of any correlation between them may be mood or style."
            )
    straight = [r for r in told if r["measure"] == "share" and r["term"] == "straight_line"]
    if straight:
        top = max(straight, key=lambda r: r["estimate"])
        parts.append(
            f"At most {number(100 * top['estimate'], 0)} % of customers give one answer throughout a score, which may be true of them."
        )
    return parts


def _alike_words(finding: Finding) -> list[str]:
    """Whether the levels of a segment answer alike: how far CFI falls with the same loadings, and intercepts."""
    falls = [r for r in finding.rows(measure="difference", model=["metric", "scalar"]) if r["estimate"] is not None]
    if not falls:
        return []
    by, words = finding.spoken("term", falls[0]["term"]), {"metric": "loadings", "scalar": "loadings and intercepts"}
    told = ", ".join(
        f"{words[r['model']]} {r['effect_label']} (CFI changes by {number(r['estimate'], 3)})" for r in falls
    )
    alike = all(r["effect_label"] == "alike" for r in falls)
    after = "scores of its levels may be compared" if alike else "scores of its levels are not of one scale"
    return [f"By {by}: {told}; {after}."]


def _each(study: Study, found: Mapping[str, Finding]) -> Finding:
    """Several questionnaires side by side, each by its own finding."""
    told = {name: finding for name, finding in found.items() if finding.estimable}
    made: list[dict[str, Any]] = []
    labels: dict[str, str] = {}
    for name, finding in found.items():
        labels |= {name: SPOKEN.get(name, name)} | dict(finding.labels)
        made += [r | {"outcome": name if r["outcome"] == ANSWERS else r["outcome"]} for r in finding.rows()]
        if name not in told:
            why = finding.answer.removeprefix("Not estimable: ").rstrip(".")
            made.append(row(outcome=name, measure="factors", effect_label=why))
            made.append(row(outcome=name, measure="htmt", model="closest", effect_label=why))
        if closest := _closest(finding):
            pair = f"{closest['outcome']}+{closest['term']}"
            labels[pair] = " and ".join(finding.spoken("term", closest[end]) for end in ("outcome", "term"))
            made.append(closest | {"outcome": name, "term": pair, "model": "closest"})
    if not told:
        lacking = [finding.answer.partition(" has no ")[2].rstrip(".") for finding in found.values()]
        nothing = sampling.nothing(study, "factors", QUESTION, [text for text in lacking if text])
        return dataclasses.replace(nothing, table=tidy(made, study.min_cell), labels=labels)
    lines = {name: _counted_words(finding) for name, finding in told.items()}
    whole = sampling.finding(
        study,
        made,
        name=f"factors {'+'.join(found)}",
        question=QUESTION,
        estimand="factors behind the answers of each questionnaire",
        method=next(iter(told.values())).method,
        sample=" ".join(dict.fromkeys(finding.sample for finding in told.values())),
        caveats=[caveat for finding in told.values() for caveat in finding.caveats],
        answer=capital("; ".join(f"{labels[name]}: {text}" for name, text in lines.items()) + "."),
        title=capital("; ".join(f"{labels[name]}: {text.partition(',')[0]}" for name, text in lines.items())),
    )
    return dataclasses.replace(whole, labels=dict(whole.labels) | labels)


def _closest(finding: Finding) -> dict[str, Any] | None:
    """The pair of scores that may be told apart least: the one whose interval reaches highest."""
    pairs = [r for r in finding.rows(measure="htmt", model="crude") if r["estimate"] is not None]
    return max(pairs, key=lambda r: (r["conf_high"] is not None, r["conf_high"] or r["estimate"]), default=None)


def _counted_words(finding: Finding) -> str:
    """How many factors the answers of a questionnaire hold, and whether its scores are told apart."""
    parts, scores = [], {x for r in finding.rows(measure="htmt") for x in (r["outcome"], r["term"])}
    for r in (r for r in finding.rows(measure="factors") if r["estimate"] is not None):
        what = f"{len(scores)} scores" if scores else f"{len(finding.rows(measure='eigenvalue'))} single answers"
        parts.append(f"{number(r['estimate'], 0)} factor{'s' * (r['estimate'] != 1)} behind {what}")
    if closest := _closest(finding):
        parts.append(f"largest HTMT {written(closest, n=False)}, {_apart(closest)}")
    if not scores:
        parts.append("of one answer each it cannot be told whether they are distinct")
    return ", ".join(parts)


def _apart(pair: Mapping[str, Any]) -> str:
    """Whether two scores are told apart at NOT_DISTINCT: by the whole interval, not by the estimate alone."""
    low, high = pair["conf_low"] or pair["estimate"], pair["conf_high"] or pair["estimate"]
    if high < NOT_DISTINCT:
        return f"told apart at {NOT_DISTINCT}"
    return f"not told apart at {NOT_DISTINCT}" if low > NOT_DISTINCT else f"perhaps not told apart at {NOT_DISTINCT}"


def _words(asked: Answers) -> str:
    kind = (
        "Polychoric correlations, weighted least squares"
        if asked.ordered
        else "Pearson correlations, maximum likelihood"
    )
    errors = "robust errors" if asked.blocks is None else "robust errors within clusters"
    return f"{kind}, {errors}; parallel analysis with {DRAWS} draws. {asked.notes.interval_method()}"


def _counted(asked: Answers) -> tuple[Array, Array, int, int]:
    """Eigenvalues, their chance level, how many exceed it, and the people that this level is of."""
    alone = asked.blocks is None and not asked.ordered
    n = asked.n if alone else extraction.effective_n(asked.r, asked.left_out, asked.n)
    found = extraction.eigenvalues(asked.r)
    chance = extraction.random_eigenvalues(n, asked.p, draws=DRAWS, seed=SEED)
    return found, chance, int(extraction.factor_count(found, chance)), n


def _number(asked: Answers) -> list[dict[str, Any]]:
    found, chance, count, n = _counted(asked)
    interval, agree = {"estimate": float(count)}, None
    if (blocks := len(asked.left_out)) > 1:
        moved = np.tensordot(draws(blocks, DRAWS, SEED), asked.r - asked.left_out, axes=1)
        drawn = asked.r + moved * (blocks - 1) / blocks
        # a draw from a sample is as far from the sample as that from the truth: its chance level is that of half as many
        counts = extraction.factor_count(
            extraction.eigenvalues(drawn),
            extraction.random_eigenvalues(max(n // 2, asked.p + 1), asked.p, draws=DRAWS, seed=SEED),
        )
        ends = np.quantile(counts, [0.005, 0.995], method="inverted_cdf")
        agree = float((counts == count).mean())
        interval |= {"conf_low": min(ends[0], count), "conf_high": max(ends[1], count), "conf_level": 0.99}
    made = [asked.row("factors", inference.NOTHING, **interval, effect=agree)]
    for i, (value, level) in enumerate(zip(found, chance, strict=True), 1):
        made.append(asked.row("eigenvalue", float(value), term=f"factor_{i}", effect=float(level)))
    if found[-1] < SINGULAR:
        why = (
            "Polychoric correlations, each from its own two answers, fit no people together"
            if asked.ordered
            else "Some answers add up to others"
        )
        asked.caveats.append(Caveat("repeated", f"{why}: KMO and Bartlett's test do not exist."))
        return made
    chi2, df, p_value = extraction.sphericity(asked.r, asked.n)
    made.append(asked.row("fit_index", extraction.sampling_adequacy(asked.r)[0], term="kmo"))
    test = {"p_value": p_value} if asked.blocks is None and not asked.ordered else {}
    made.append(asked.row("fit_index", chi2, term="bartlett", df=df, **test))
    return made


def _loadings(asked: Answers, how: str) -> list[dict[str, Any]]:
    """Rotated loadings of as many factors as parallel analysis finds; without intervals."""
    m = max(1, _counted(asked)[2])
    loaded, phi = extraction.rotate(extraction.minres(asked.r, m), how)
    made = [
        asked.row("loading", float(loaded[i, k]), outcome=f"factor_{k + 1}", term=item, model=how)
        for k in range(m) for i, item in enumerate(asked.items)
    ]  # fmt: skip
    pairs = [(j, k) for k in range(m) for j in range(k) if how != "varimax"]
    return made + [
        asked.row("r", float(phi[j, k]), outcome=f"factor_{j + 1}", term=f"factor_{k + 1}", model=how) for j, k in pairs
    ]


def _halo(asked: Answers) -> list[dict[str, Any]]:
    made = []
    if not asked.why:
        first = asked.smooth(lambda r: extraction.eigenvalues(r)[..., 0] / asked.p, "share")
        made.append(asked.row("share", first, term="one_factor"))
        made += _marker(asked)
    for name, at in asked.scores.items():
        if len(at) > 2 and asked.n:
            same = (np.ptp(asked.values[:, at], axis=1) == 0).astype(float)
            error, groups = inference.clustered_error(same - same.mean(), asked.rows.clusters)
            spread = (None, None) if asked.blocks is None else (error, float(groups - 1))
            interval = inference.share_interval(float(same.mean()), len(same), *spread)
            made.append(asked.row("share", interval, outcome=name, term="straight_line"))
    return made


def _marker(asked: Answers) -> list[dict[str, Any]]:
    """What an item that asks about nothing of the service shares with the answers: all of it is mood, style or halo.

    Its mean correlation with the answers bounds from above what halo adds to any correlation; the share is the least part of
    the correlations between answers of different scores that it accounts for: it is itself measured with error.
    """
    if not asked.study.has("marker_item") or "marker_item" in asked.items:
        return []
    columns, p = [*asked.items, "marker_item"], asked.p
    spread = moments(asked.study, asked.study.rows(columns), columns).clustered
    asked.notes.saw(spread, columns)
    apart = [(i, j) for i in range(p) for j in range(i) if not any({i, j} <= set(at) for at in asked.scores.values())]
    if not apart or spread.n <= p:
        return []
    left, right = (list(x) for x in zip(*apart, strict=True))

    def marked(s: Array) -> Array:
        return np.asarray(consistency.correlations(s)[..., :p, p].mean(-1))

    def shared(s: Array) -> Array:
        r = consistency.correlations(s)
        return np.asarray((r[..., left, p] * r[..., right, p]).mean(-1) / r[..., left, right].mean(-1))

    made = []
    for measure, of, label in (("r", marked, "at most"), ("share", shared, "at least")):
        interval = inference.jackknife(float(of(spread.full)), of(spread.left_out), on=measure)
        if measure == "share" and not consistency.correlations(spread.full)[left, right].mean() > LEAST_SHARED:
            interval, label = inference.NOTHING, "answers of different scores hardly go together"
        numbers = {"n": spread.n, "clusters": spread.clusters, "term": "marker_item", "effect_label": label}
        made.append(asked.row(measure, dataclasses.replace(interval, p_value=None), **numbers))
    return made
