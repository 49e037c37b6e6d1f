"""The true value of every estimand: `python -m cxresearch.data.simulation.truth` computes and writes `truth.csv`.

Each preset is simulated in chunks of 100,000 customers for 24 months; the last 12 are the window. A value is the
mean over chunks, `mc_error` its standard error over chunks. Of a trap only the rows that it is about are computed,
for it and for null from chunks of a quarter of the size. `planted` rows are parameters of the model: no error.

Call failures have no cause besides use that is a cause of anything else, leaving is rare, and its log odds are linear,
so the adjusted average marginal effect comes near the paired counterfactual run: 3 % below it in the baseline, 6 % in
shared_network, where leaving has for a year selected who still lives near a bad site. In the first month, before any
such selection, the gap is within its error (1.5 % with a standard error of 1.7 %).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxresearch.data.simulation import estimands as by
from cxresearch.data.simulation.about import PLANTED, RECORDED, TRAPS
from cxresearch.data.simulation.estimands import Array
from cxresearch.data.simulation.known import COLUMNS, TRUTH_FILE, fingerprint, known_truth
from cxresearch.data.simulation.model import Operator, generate
from cxresearch.data.simulation.presets import PRESETS, Preset
from cxresearch.data.simulation.write import default_sites
from cxresearch.data.terms import term

WINDOW = 12
GIVEN = ("usage_calls", "usage_voice_min", "usage_data_gb", "list_price", "discount", "prepaid", "tenure_m")
BLOCKS = {
    "network": ("availability", "accessibility", "retainability", "throughput_mbps", "outage_min", "call_failures"),
    "design": ("bill_errors", "plan_clarity"),
    "operations": ("wait_s", "fcr", "tickets_open", "transfers", "care_contacts"),
}
DIMENSIONS = ("reliability", "responsiveness", "assurance", "tangibles", "empathy")
FELT = ("availability", "retainability", "call_failures", "wait_s", "bill_errors", *DIMENSIONS[:2], "tangibles")
MET = ("call_failures", "retainability", "bill_errors")
SCALES = {10.0: (1.0, 10.0), 7.0: (1.0, 7.0)}  # of an item, by its highest answer
Row = dict[str, Any]


class Rows:
    """Some rows of an operator's window: columns by name as numbers, composites on 0 to 100."""

    def __init__(self, operator: Operator, keep: NDArray[np.bool_]) -> None:
        self.panel, self.answers = operator.panel[keep], operator.answers[keep]
        self.kept: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self.kept:
            self.kept[name] = self._column(name)
        return self.kept[name]

    def _column(self, name: str) -> Array:
        if items := term(name).items:
            low, high = SCALES[term(items[0]).high or 0.0]
            return (self.items(name).mean(axis=1) - low) / (high - low) * 100
        table = self.panel if name in self.panel else self.answers
        return np.asarray(table[name].to_numpy(dtype=float))

    def matrix(self, names: tuple[str, ...]) -> Array:
        return np.column_stack([self[name] for name in names])

    def items(self, name: str) -> Array:
        return self.answers[list(term(name).items)].to_numpy(dtype=float)

    def codes(self, name: str) -> NDArray[np.integer]:
        return np.asarray(self.panel[name].cat.codes).astype(np.int64)

    def alpha(self, name: str) -> float:
        return by.alpha(self.items(name)) if term(name).items else 1.0


def window_rows(operator: Operator, window: int = WINDOW) -> list[Row]:
    """Every estimand's value in this operator, over the last `window` periods."""
    month = np.asarray(operator.panel["period"].cat.codes).astype(int)
    inside, last = month > month.max() - window, month == month.max()
    known, answered = inside & ~last, operator.answered
    everybody, answering = Rows(operator, inside), Rows(operator, inside & answered)
    at_risk, at_risk_answering = Rows(operator, known), Rows(operator, known & answered)
    found: list[Row] = []
    for name in FELT:
        found += _correlations("satisfaction", name, answering)
        found.append(_all_customers("satisfaction", name, everybody))
    found += _correlations("churned", "satisfaction", at_risk_answering)
    found.append(_all_customers("churned", "satisfaction", at_risk))
    for name in MET:
        found += [row for row in _correlations("churned", name, at_risk) if row["model"] != "reliable"]
    found += _leaving(at_risk, at_risk_answering, Rows(operator, known & ~answered))
    if operator.failure_effect is not None:
        effect = float(operator.failure_effect[known].mean()) * 1000
        found.append(_row("paired", "churned", "call_failures", "counterfactual", "per_1000", effect))
    found += [*_drivers(answering), *_blocks(answering)]
    return [*found, *_scores(Rows(operator, last & answered), Rows(operator, last), answered[last])]


def trap_rows(preset: Preset, operator: Operator, window: int = WINDOW) -> list[Row]:
    """The values of the estimands that a trap is about."""
    month = np.asarray(operator.panel["period"].cat.codes).astype(int)
    inside, last, answered = month > month.max() - window, month == month.max(), operator.answered
    known = inside & ~last
    found: list[Row] = []
    for kind, *names in (spec.split() for spec in TRAPS[preset.name]):
        at_risk = kind == "effect" or names[:1] == ["churned"]
        asked = "satisfaction" in names or kind in ("drivers", "blocks")
        rows = Rows(operator, (known if at_risk else inside) & (answered | (not asked)))
        if kind == "relate":
            # a flag that customers keep has no value within customers
            found += [row for row in _correlations(names[0], names[1], rows) if np.isfinite(row["value"])]
        elif kind == "effect":
            given = tuple(name for name in (*GIVEN, *names[1:]) if name != names[0])
            model = "problem" if names[1:] else "adjusted"
            found += _effects(names[0], rows, given, crude=not names[1:], model=model)
        elif kind == "rates":
            rows = Rows(operator, known)
            flag, left = rows[names[0]] == 1, rows["churned"]
            found += _rates(names[0], {"with": left[flag], "without": left[~flag]})
        elif kind == "silence":
            split = {"answered": answered, "silent": ~answered}
            found += _rates(None, {model: Rows(operator, known & of)["churned"] for model, of in split.items()})
            found.append(_all_customers("churned", "satisfaction", Rows(operator, known)))
        elif kind == "recovery":
            found += _recovery(operator, month)
        elif kind == "scores":
            found += _scores(Rows(operator, last & answered), Rows(operator, last), answered[last])
        else:
            found += _drivers(rows) if kind == "drivers" else _blocks(rows)
    return found


def _rates(of: str | None, churned: Mapping[str, Array]) -> Iterator[Row]:
    for model, left in churned.items():
        yield _row("explain_churn", "churned", of, model, "per_1000", float(left.mean()) * 1000)


def _row(verb: str, outcome: str, of: str | None, model: str, measure: str, value: float) -> Row:
    parts = [verb, outcome, of, model, measure]
    return {
        "name": "|".join(part for part in parts if part),
        "verb": verb,
        "outcome": outcome,
        "term": of,
        "group": "all",
        "model": model,
        "measure": measure,
        "unit": _unit(of, measure),
        "value": value,
    }


def _unit(of: str | None, measure: str) -> str:
    if measure == "per_1000":
        return f"leavers per 1,000 customers {term(of).step_label}" if of else "leavers per 1,000 customers"
    return term(of).step_label if of and measure == "odds_ratio" else ""


def _correlations(outcome: str, name: str, rows: Rows) -> Iterator[Row]:
    """The steps of the ladder that need no more than these rows."""
    x, y, given = rows[name], rows[outcome], rows.matrix(GIVEN)
    both = np.column_stack([x, y])
    site_month = rows.codes("site_id") * 1000 + rows.codes("period")
    ranks, given_ranks = by.midranks(both), by.midranks(given)
    crude = by.pearson(x, y)
    values = {
        ("crude", "r"): crude,
        ("adjusted", "r"): by.partial(x, y, given),
        ("within_segment", "r"): by.pearson(*by.demeaned(both, rows.codes("value_segment")).T),
        ("within_site_month", "r"): by.pearson(*by.demeaned(both, site_month).T),
        ("within_customer", "r"): by.pearson(*by.demeaned(both, rows.codes("customer_id")).T),
        ("reliable", "r"): crude / np.sqrt(rows.alpha(name) * rows.alpha(outcome)),
        ("crude", "rho"): by.pearson(*ranks.T),
        ("adjusted", "rho"): by.partial(ranks[:, 0], ranks[:, 1], given_ranks),
    }
    if exposure := term(name).exposure:
        rate = x / rows[exposure]
        values["per_use", "r"] = by.pearson(rate, y)
        values["per_use", "rho"] = by.pearson(by.midranks(rate), ranks[:, 1])
    for (model, measure), value in values.items():
        yield _row("relate", outcome, name, model, measure, value)


def _all_customers(outcome: str, name: str, rows: Rows) -> Row:
    return _row("relate", outcome, name, "all_customers", "r", by.pearson(rows[name], rows[outcome]))


def _leaving(at_risk: Rows, answering: Rows, silent: Rows) -> Iterator[Row]:
    """Leavers per 1,000: by whether they answered, and by each term, crude and adjusted."""
    yield from _rates(None, {"answered": answering["churned"], "silent": silent["churned"]})
    yield from _effects("satisfaction", answering, GIVEN)
    yield from _effects("trust", answering, (*GIVEN, "satisfaction"), crude=False)
    for name in ("call_failures", "bill_errors", "prepaid"):
        yield from _effects(name, at_risk, tuple(other for other in GIVEN if other != name))


def _effects(
    name: str, rows: Rows, given: tuple[str, ...], *, crude: bool = True, model: str = "adjusted"
) -> Iterator[Row]:
    step, flag = term(name).step, term(name).kind == "flag"
    if crude:
        effect, _ = by.effect_of_first(rows["churned"], rows.matrix((name,)), flag=flag)
        yield _row("explain_churn", "churned", name, "crude", "per_1000", effect * step * 1000)
    effect, beta = by.effect_of_first(rows["churned"], rows.matrix((name, *given)), flag=flag)
    yield _row("explain_churn", "churned", name, model, "per_1000", effect * step * 1000)
    yield _row("explain_churn", "churned", name, model, "odds_ratio", float(np.exp(beta * step)))


def _drivers(rows: Rows) -> Iterator[Row]:
    """Each dimension's share of the R² of satisfaction, among rows and within customers."""
    values = rows.matrix(("satisfaction", *DIMENSIONS))
    for model, table in (("crude", values), ("within_customer", by.demeaned(values, rows.codes("customer_id")))):
        shares, whole = by.shapley(table[:, 0], [table[:, [i]] for i in range(1, 6)])
        for name, share in zip(DIMENSIONS, shares, strict=True):
            yield _row("rank_drivers", "satisfaction", name, model, "share", float(share))
        yield _row("rank_drivers", "satisfaction", None, model, "r2", whole)


def _blocks(rows: Rows) -> Iterator[Row]:
    """The shares of network, design and operations, and what is gained beyond the network alone."""
    shares, whole = by.shapley(rows["satisfaction"], [rows.matrix(names) for names in BLOCKS.values()])
    for block, share in zip(BLOCKS, shares, strict=True):
        yield _row("rank_drivers", "satisfaction", block, "blocks", "share", float(share))
    yield _row("rank_drivers", "satisfaction", None, "blocks", "r2", whole)
    network = by.r_squared(rows["satisfaction"], rows.matrix(BLOCKS["network"]))
    yield _row("rank_drivers", "satisfaction", "end_to_end", "blocks", "r2_difference", whole - network)


def _scores(answering: Rows, everybody: Rows, answered: NDArray[np.bool_]) -> Iterator[Row]:
    """The scores of the last period, of those who answered and of all."""
    for model, rows in (("answered", answering), ("all_customers", everybody)):
        recommend = rows["recommend"]
        net = float((recommend >= 9).mean() - (recommend <= 6).mean()) * 100
        yield _row("score", "satisfaction", None, model, "score", float(rows["satisfaction"].mean()))
        yield _row("score", "recommend", None, model, "score", net)
        yield _row("score", "ces", None, model, "score", float(rows["ces"].mean()))
    for low, high in ((0, 3), (4, 6), (7, 8), (9, 10)):
        recommend = answering["recommend"]
        share = float(((recommend >= low) & (recommend <= high)).mean())
        yield _row("score", "recommend", f"{low}-{high}", "answered", "share", share)
    yield _row("score", "response", None, "crude", "rate", float(answered.mean()))


def _recovery(operator: Operator, month: NDArray[np.integer]) -> Iterator[Row]:
    """Satisfaction of the worst tenth of a month, then and a month later, by those who stay; nothing was done."""
    rows = Rows(operator, month >= month.max() - 1)
    late = rows.codes("period") == month.max()
    now, then = (pd.Series(rows["satisfaction"][of], rows.codes("customer_id")[of]) for of in (~late, late))
    worst = now[now <= now.quantile(0.1)]
    both = pd.concat([worst, then], axis=1, join="inner")
    for model, values in zip(("worst_before", "worst_after"), both.to_numpy().T, strict=True):
        yield _row("score", "satisfaction", None, model, "score", float(values.mean()))


def _chunk(job: tuple[str, int, int]) -> pd.DataFrame:
    preset, seed, customers = job
    given, whole = PRESETS[preset], preset not in TRAPS

    def made(given: Preset) -> Operator:
        return generate(given, seed, customers, 24, default_sites(customers), "2026-10", counterfactual=whole)

    rows = window_rows(made(given)) if whole else trap_rows(given, made(given))
    if given.operations_noise:  # the same operator, its operations recorded without error
        for row in trap_rows(given, made(replace(given, operations_noise=0.0))):
            rows.append(row | {"model": "no_error", "name": row["name"].replace("|blocks|", "|no_error|")})
    sys.stderr.write(f"{preset}: chunk {seed}\n")
    return pd.DataFrame(rows)


def planted(preset: Preset) -> pd.DataFrame:
    """Rows that are parameters: what a trap hides, else what single events go with, per step of the term."""
    of, parameter = PLANTED.get(preset.name, ("", ""))
    rows = [("explain_churn", "churned", of, parameter, "odds_ratio")] if of else []
    rows += [] if preset.name in TRAPS else [("records", *row) for row in RECORDED]
    found = []
    for verb, outcome, name, attribute, measure in rows:
        value = float(getattr(preset, attribute, 0.0))
        found.append(_row(verb, outcome, name, "planted", measure, np.exp(value) if measure == "odds_ratio" else value))
    return pd.DataFrame(found).assign(preset=preset.name, mc_error=0.0, claim=None)


def compute(preset: str, chunks: int, customers: int, processes: int) -> pd.DataFrame:
    """The truth of one preset: the mean over chunks of each estimand, with its Monte Carlo error."""
    jobs = [(preset, 10_000 + chunk, customers) for chunk in range(chunks)]
    with get_context("spawn").Pool(processes) as pool:
        found = pool.map(_chunk, jobs, chunksize=1)
    values = np.column_stack([chunk["value"] for chunk in found])
    rows = found[0].assign(
        preset=preset, value=values.mean(axis=1), mc_error=values.std(axis=1, ddof=1) / np.sqrt(chunks), claim=None
    )
    if rows["name"].duplicated().any():
        raise ValueError("two estimands have one name")
    return rows[["preset", *COLUMNS]]


def main() -> None:
    """Compute the truth of every preset and write it beside the model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--customers", type=int, default=100_000, help="in each chunk")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", metavar="PRESET", help="the rows of the others are kept as they are")
    given = parser.parse_args()
    belongs_to = fingerprint()  # before the long work: the model may be edited meanwhile
    wanted = [name for name, preset in PRESETS.items() if not preset.like and name in (given.only or PRESETS)]
    sizes = {name: given.customers // (4 if name in (*TRAPS, "null") else 1) for name in wanted}
    tables = [compute(name, given.chunks, size, given.processes) for name, size in sizes.items()]
    if given.only:
        kept = [
            known_truth(name).assign(preset=name) for name, of in PRESETS.items() if name not in wanted and not of.like
        ]
        tables = [table[table["model"] != "planted"] for table in kept] + tables
    tables += [planted(preset) for preset in PRESETS.values() if not preset.like]
    body = pd.concat(tables)[["preset", *COLUMNS]].to_csv(index=False, float_format="%.6g", lineterminator="\n")
    TRUTH_FILE.write_text(f"# fingerprint: {belongs_to}\n{body}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
