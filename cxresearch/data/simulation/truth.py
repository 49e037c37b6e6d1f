"""The true value of every estimand: `python -m cxresearch.data.simulation.truth` computes and writes `truth.csv`.

Each preset is simulated in chunks of 100,000 customers for 24 months; the last 12 are the window. A value is the
mean over chunks, `mc_error` its standard error over chunks.

Call failures have no cause besides use that is a cause of anything else, leaving is rare, and its log odds are linear,
so the adjusted average marginal effect comes near the paired counterfactual run: 3 % below it in the baseline, 6 % in
shared_network, where leaving has for a year selected who still lives near a bad site. In the first month, before any
such selection, the gap is within its error (1.5 % with a standard error of 1.7 %).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxresearch.data.simulation import estimands as by
from cxresearch.data.simulation.estimands import Array
from cxresearch.data.simulation.known import COLUMNS, TRUTH_FILE, fingerprint
from cxresearch.data.simulation.model import Operator, generate
from cxresearch.data.simulation.presets import PRESETS
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
    for model, rows in (("answered", answering), ("silent", silent)):
        yield _row("explain_churn", "churned", None, model, "per_1000", float(rows["churned"].mean()) * 1000)
    yield from _effects("satisfaction", answering, GIVEN)
    yield from _effects("trust", answering, (*GIVEN, "satisfaction"), crude=False)
    for name in ("call_failures", "bill_errors", "prepaid"):
        yield from _effects(name, at_risk, tuple(other for other in GIVEN if other != name))


def _effects(name: str, rows: Rows, given: tuple[str, ...], *, crude: bool = True) -> Iterator[Row]:
    step, flag = term(name).step, term(name).kind == "flag"
    if crude:
        effect, _ = by.effect_of_first(rows["churned"], rows.matrix((name,)), flag=flag)
        yield _row("explain_churn", "churned", name, "crude", "per_1000", effect * step * 1000)
    effect, beta = by.effect_of_first(rows["churned"], rows.matrix((name, *given)), flag=flag)
    yield _row("explain_churn", "churned", name, "adjusted", "per_1000", effect * step * 1000)
    yield _row("explain_churn", "churned", name, "adjusted", "odds_ratio", float(np.exp(beta * step)))


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


def _chunk(job: tuple[str, int, int]) -> pd.DataFrame:
    preset, seed, customers = job
    operator = generate(PRESETS[preset], seed, customers, 24, default_sites(customers), "2026-10", counterfactual=True)
    sys.stderr.write(f"{preset}: chunk {seed}\n")
    return pd.DataFrame(window_rows(operator))


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
    given = parser.parse_args()
    belongs_to = fingerprint()  # before the long work: the model may be edited meanwhile
    tables = [compute(preset, given.chunks, given.customers, given.processes) for preset in PRESETS]
    body = pd.concat(tables).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    TRUTH_FILE.write_text(f"# fingerprint: {belongs_to}\n{body}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
