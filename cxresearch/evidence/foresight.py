"""Foresight: how well leaving is foretold from what was known before, and by which terms."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from cxresearch.data.periods import in_words
from cxresearch.data.study import Study
from cxresearch.evidence import forecast, inference, sampling
from cxresearch.evidence.enrichment import per_1000, true_odds
from cxresearch.evidence.held import hold
from cxresearch.evidence.inference import Array
from cxresearch.evidence.lab.penalised import fit_penalised
from cxresearch.evidence.logistic import fit_logit, linear
from cxresearch.evidence.rows import Rows, rows, rows_among
from cxresearch.finding import Caveat, Finding, written
from cxresearch.measures import number
from cxresearch.table import row

FEW_EVENTS = 20  # leavers, and stayers, to learn from and as many to judge by
JUDGED = 0.25  # the last periods that hold this share of the leavers are foretold from those before
FOLDS = 5
SEPARATED = "leaving is separated: some terms foretell it without error, so they may not have been known before"
SPOKEN = {
    "calibration_intercept": "calibration: intercept",
    "calibration_slope": "calibration: slope",
    "top_tenth": "leavers in the tenth with the highest forecasts",
    "end_to_end": "all beyond the first",
    "tenth": "tenth by forecast",
}


class Trial(NamedTuple):
    """Rows that were judged: leaving (n,), blocks (n,), log odds foretold by each set of terms (n,), and each term (n,).

    `plain` (n,) are the log odds of leaving in the rows that each forecast was learned from.
    """

    found: Rows
    told: dict[str, Array]
    plain: Array
    terms: dict[str, Array]
    separated: bool
    how: str

    @property
    def y(self) -> Array:
        return self.found.of("churned")

    def ranked(self, name: str) -> Array:
        """Forecasts to be put in order: less the plain rate that they were learned with.

        A fifth with many leavers is foretold from fewer, so forecasts of several fifths taken together would put it last.
        Source: Airola et al. (2011), Computational Statistics & Data Analysis 55, on areas pooled over folds.
        """
        return np.asarray((self.told[name] - self.plain).round(9))  # equal terms, equal ranks, rounding aside


def foretell_churn(study: Study, among: str | Sequence[str] | Mapping[str, Sequence[str]]) -> Finding:
    """How well leaving is foretold by what was known before, and what each block of terms adds.

    `among` are terms (or a role), or blocks of terms by name. A logistic model of the earlier periods of the window
    foretells the last ones, which hold a quarter of the leavers; with one period only, each fifth of the clusters is
    foretold from the others (put in order less the plain rate of those others). Rows of model foretold: auc; log_loss (nats); log_loss_difference (what is saved of the
    log loss of foretelling everybody the plain rate, %); brier; brier_scaled; calibration (terms calibration_intercept,
    right at 0, and calibration_slope, right at 1); share (top_tenth: of all leavers, those in the tenth with the
    highest forecasts). Leavers per 1,000 in each tenth stand as models foretold and observed. Each block has its auc
    alone, and as model blocks the log_loss_difference it makes beside the others; end_to_end is what all add to the
    first, and a difference (top_tenth) how many more of all leavers are in that tenth than by the first alone. Intervals hold for the model as learned: DeLong's for areas where every row is one customer, else jackknife
    over blocks of clusters. Raises UsageError for terms that are known only after a customer left.
    Sources: Steyerberg (2019), chapter 15; DeLong et al. (1988); Firth (1993) where leaving is separated.

    Example:
        >>> forecast = cx.foretell_churn(study, {"billing": ["list_price", "tenure_m"], "network": ["call_failures"]})
        >>> [row["term"] for row in forecast.rows(measure="log_loss_difference", model="blocks")]
        ['billing', 'network', 'end_to_end']
    """
    among = (among,) if isinstance(among, str) else among
    blocks = {k: tuple(v) for k, v in among.items()} if isinstance(among, Mapping) else {x: (x,) for x in among}
    terms = tuple(dict.fromkeys(x for block in blocks.values() for x in block))
    forecast.refuse_afterwards(study, terms)
    question = (
        f"How well is leaving foretold by {', '.join(_spoken(study, b) for b in blocks) or 'what was known before'}?"
    )
    name = f"foretell_churn {'+'.join(blocks)}"
    lacking = study.missing("churned", *terms)
    lacking += sampling.empty_roles(*(among.values() if isinstance(among, Mapping) else (among,)))
    if lacking or not terms:
        return sampling.nothing(study, name, question, lacking)
    trial = _trial(study, blocks, terms)
    made = _rows(study, trial, blocks) if isinstance(trial, Trial) else []
    finding = sampling.finding(
        study,
        made,
        name=name,
        question=question,
        estimand="agreement of leaving with what was foretold without it",
        design="associational",
        method="Logistic model; forecasts are judged on rows that it was not learned from.",
        sample="",
        answer="" if isinstance(trial, Trial) else f"Not estimable: {trial}.",
    )
    return _told(study, finding, trial, blocks) if isinstance(trial, Trial) else finding


def _trial(study: Study, blocks: Mapping[str, Sequence[str]], terms: Sequence[str]) -> Trial | str:
    """What was foretold of which rows, or why nothing could be."""
    columns = ["churned", *terms]
    table = study.rows(columns)
    held = hold(study, table, columns)
    if held is not None:
        whole = held.known(columns)
        names, month = held.period
        there = np.bincount(month[whole], minlength=len(names)) > 0
        left = np.bincount(month[whole], weights=held.number("churned")[whole], minlength=len(names))
        periods, events = [names[i] for i in np.flatnonzero(there)], left[there].tolist()
    else:
        known = table.filter(*(table[c].notnull() for c in columns))
        counted = known.group_by("period").aggregate(events=known.churned.sum()).order_by("period").to_pyarrow()
        periods, events = (counted[c].to_pylist() for c in ("period", "events"))
    if len(periods) > 1:
        first = max((i for i in range(1, len(periods)) if sum(events[i:]) >= JUDGED * sum(events)), default=1)
        early, late = periods[:first], periods[first:]
        learned, found = (
            rows(study, table.filter(table.period.isin(part)), columns)
            if held is None
            else rows_among(held, columns, np.isin(month, [names.index(x) for x in part]))
            for part in (early, late)
        )
        x, own = np.vstack([learned.values, found.values]), np.arange(learned.n + found.n) >= learned.n
        splits, how = [(~own, own)], f"{in_words(late)} from {in_words(early)}"
    else:
        found = rows(study, table, columns)
        x, own = found.values, np.ones(found.n, dtype=bool)
        fold = found.blocks % FOLDS
        splits = [(fold != k, fold == k) for k in range(FOLDS) if (fold == k).any()]
        how = f"each fifth of the {sampling.cluster_name(study)}s from the others, in one period"
    y, x = x[:, 0], x[:, 1:]
    for part in (own, *(learn for learn, _ in splits)):
        if min(y[part].sum(), (1 - y[part]).sum()) < FEW_EVENTS:
            return f"too few leavers or stayers to learn from or to judge by; at least {FEW_EVENTS} of each are needed"
    with np.errstate(invalid="ignore", divide="ignore"):
        x = x / np.abs(x).max(0)  # numbers far out would overflow when squared
        x = np.nan_to_num((x - x.mean(0)) / x.std(0))
    place = {name: i for i, name in enumerate(terms)}
    sets = {"all": tuple(terms)} | {f"only {b}": tuple(block) for b, block in blocks.items()}
    if len(blocks) > 1:
        sets |= {f"not {b}": tuple(t for t in terms if t not in block) for b, block in blocks.items()}
    told: dict[str, Array] = {}
    plain, separated = np.empty(len(y)), False
    for learn, judge in splits:
        plain[judge] = math.log(y[learn].sum() / (1 - y[learn]).sum())
    for name, chosen in sets.items():
        same = next((other for other in told if sets[other] == chosen), None)
        if same is not None:  # of two blocks, one alone is all but the other
            told[name] = told[same]
            continue
        values, told[name] = x[:, [place[t] for t in chosen]], np.empty(len(y))
        for learn, judge in splits:
            fit = fit_logit(y[learn], values[learn])
            separated |= not fit.converged
            model = fit if fit.converged else fit_penalised(y[learn], values[learn])
            told[name][judge] = linear(values[judge], model.coefficients)
        told[name] = told[name][own]
    return Trial(found, told, plain[own], {t: x[own, i] for t, i in place.items()}, separated, how)


def _spoken(study: Study, block: str) -> str:
    """A block by its name, a term by its label."""
    return study.term(block).label if block in study.terms else block


def _rows(study: Study, trial: Trial, blocks: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    y, told, found = trial.y, trial.told, trial.found
    base: dict[str, Any] = {"outcome": "churned", "n": found.n, "events": int(y.sum()), "clusters": found.cluster_count}
    own_blocks, alone = found.blocks, None if found.independent else found.blocks
    losses = {name: forecast.log_loss(y, forecasts) for name, forecasts in told.items()}
    best, rate = told["all"], float(y.mean())
    # log loss where everybody is foretold the plain rate
    plain = forecast.log_loss(y, np.full(len(y), math.log(rate / (1 - rate))))

    def saved(lost: Array) -> inference.Interval:
        return forecast.ratio_interval(100 * lost, plain, own_blocks)

    per_cent: dict[str, Any] = {"unit": "% of the plain rate's"}
    intercept, slope = forecast.calibration(y, best, own_blocks)
    squares = forecast.brier(y, best)
    scaled = forecast.ratio_interval((y - rate) ** 2 - squares, (y - rate) ** 2, own_blocks)
    ranked = trial.ranked("all")
    made = [
        row(model="foretold", measure=measure, term=term, **base, **more, **interval.numbers())
        for measure, term, interval, more in (
            ("auc", None, forecast.auc_interval(y, ranked, alone), {}),
            ("log_loss", None, forecast.mean_interval(losses["all"], own_blocks), {"unit": "nats a row"}),
            ("log_loss_difference", None, saved(plain - losses["all"]), per_cent),
            ("brier", None, forecast.mean_interval(squares, own_blocks), {}),
            ("brier_scaled", None, scaled, {}),
            ("calibration", "calibration_intercept", intercept, {}),
            ("calibration", "calibration_slope", slope, {}),
            ("share", "top_tenth", forecast.caught_interval(y, ranked, own_blocks), {"unit": "of all leavers"}),
        )
    ]
    worse = {block: ("all", f"not {block}") for block in blocks} | {"end_to_end": ("all", f"only {next(iter(blocks))}")}
    for block in blocks:
        area = forecast.auc_interval(y, trial.ranked(f"only {block}"), alone)
        made.append(row(model="alone", measure="auc", term=block, **base, **area.numbers()))
    for name, (with_it, without) in worse.items() if len(blocks) > 1 else ():
        gain = saved(losses[without] - losses[with_it]).numbers()
        made.append(row(model="blocks", measure="log_loss_difference", term=name, **per_cent, **base, **gain))
    if len(blocks) > 1:
        more: dict[str, Any] = {"effect_label": SEPARATED}
        if not trial.separated:
            other = trial.ranked(worse["end_to_end"][1])
            more = forecast.caught_interval(y, ranked, own_blocks, other).numbers()
        made.append(row(model="blocks", measure="difference", term="top_tenth", unit="of all leavers", **base, **more))
    return made + _tenths(study, trial)


def _tenths(study: Study, trial: Trial) -> list[dict[str, Any]]:
    """Leavers per 1,000 foretold and observed in each tenth by forecast."""
    made, odds = [], true_odds(study)
    tenth, p = forecast.tenths(trial.told["all"]), expit(trial.told["all"])
    for k in range(1, 11):
        inside = tenth == k
        y, clusters = trial.y[inside], trial.found.clusters[inside]
        base: dict[str, Any] = {"outcome": "churned", "group": f"tenth={k}", "measure": "per_1000", "n": len(y)}
        error, groups = inference.clustered_error(y - y.mean(), clusters)
        independent = trial.found.independent
        seen = inference.share_interval(
            float(y.mean()), len(y), None if independent else error, None if independent else max(groups - 1, 1)
        )
        base |= {"events": int(y.sum()), "clusters": groups}
        made.append(row(model="seen", **base, **per_1000(seen, odds)))
        made.append(row(model="foretold", **base, **per_1000(inference.Interval(float(p[inside].mean())), odds)))
    return made


def _told(study: Study, finding: Finding, trial: Trial, blocks: Mapping[str, Sequence[str]]) -> Finding:
    """The finding with its words and doubts."""
    clusters, y = trial.found.cluster_count, trial.y
    scores = {study.term(term).label: score for term, score in trial.terms.items()}
    doubts = forecast.leakage(scores | ({"all terms together": trial.told["all"]} if len(scores) > 1 else {}), y)
    if trial.separated:
        doubts.append(
            Caveat(
                "separated",
                "Terms foretell leaving without error in the rows learned from: the model is Firth's. Check that they were known before customers left.",
            )
        )
    if not trial.found.independent and clusters < sampling.FEW_CLUSTERS:
        doubts.append(sampling.few_clusters(study, clusters))
    if study.on_survey(["churned", *trial.terms]):
        doubts.append(
            Caveat(
                "silent-leavers",
                "A term of the survey is known only of those who answered; leavers answer less. The forecast is of those who answered.",
            )
        )
    labels = {**finding.labels, **SPOKEN}
    area, caught = finding.one(model="foretold", measure="auc"), finding.one(model="foretold", term="top_tenth")
    # where every leaver stands above every stayer, with each block left out too, there is no error to tell
    telling = area["conf_low"] > 0.5 if area["conf_low"] is not None else area["estimate"] == 1
    text = f"{'Leaving is foretold better than by chance' if telling else 'Leaving is not told to be foretold better than by chance'}: area under the curve {written(area)}; "
    text += f"the tenth with the highest forecasts held {written(caught, n=False)} of all leavers."
    gains = [r for r in finding.rows(measure="log_loss_difference", term=list(blocks)) if r["conf_low"] is not None]
    if gains:
        top = max(gains, key=lambda r: r["estimate"])
        sure = "adds" if top["conf_low"] > 0 else "adds, not told from nothing,"
        text += f" Among {len(gains)} blocks {_spoken(study, top['term'])} {sure} most to the others: {written(top, n=False)} % of the plain rate's log loss."
    kind = (
        "DeLong's for areas, else jackknife over blocks of customers"
        if trial.found.independent
        else f"jackknife over blocks of {clusters:,} {sampling.cluster_name(study)}s"
    )
    return dataclasses.replace(
        finding.with_caveats(*doubts),
        answer=text,
        title=f"Leaving foretold: area under the curve {number(area['estimate'], 2)}",
        method=f"Logistic model; {trial.how}. 95 % intervals hold for the model as learned: {kind}.",
        sample=f"{sampling.told(study, trial.found.n)} rows judged, {sampling.told(study, int(y.sum()))} leavers among them."
        + (" A sample of customers was used." if trial.found.sampled else ""),
        labels=labels,
    )
