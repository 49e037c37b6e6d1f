"""What a finding rests on: rows, clusters, how its intervals were made, what was left out, and how it is put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from cxresearch.data.periods import in_words
from cxresearch.data.study import Study
from cxresearch.data.terms import BY_NAME, Role
from cxresearch.evidence.blocks import Blocks
from cxresearch.evidence.held import Asked, Held
from cxresearch.evidence.moments import Spread
from cxresearch.finding import Caveat, Finding
from cxresearch.measures import capital
from cxresearch.table import KEY, row, tidy

# With 30 unequal sites some intervals hold the truth in 86 % instead of 95 % (tests/VALIDITY.md). Cameron & Miller (2015)
# call 20 to 50 few, and more where they are unequal.
FEW_CLUSTERS = 40


def finding(
    study: Study, rows: Iterable[Mapping[str, Any]], *, caveats: Iterable[Caveat] = (), answer: str = "", **fields: Any
) -> Finding:
    """A finding of a study: its table made tidy, small groups suppressed, labels and the study's own caveats added."""
    rows = list(rows)
    table = tidy(rows, study.min_cell)
    kept = {
        tuple(given.get(name) for name in KEY): given["kept"]
        for given, shown in zip(rows, table["estimate"].notna(), strict=True)
        if shown and given.get("kept") is not None
    }
    names = {name for column in ("outcome", "term") for name in table[column].dropna()}
    names |= {group.partition("=")[0] for group in table["group"]}
    given = {
        "periods": in_words(study.periods),
        "design": "descriptive",
        "title": "Not estimable",
        "study": study.name,
        "labels": {name: BY_NAME[name].label for name in sorted(names) if name in BY_NAME},
    }
    return Finding(table=table, kept=kept, answer=answer, caveats=once([*study.caveats(), *caveats]), **given | fields)


def people(study: Study, table: Asked, n: int) -> int | None:
    """How many customers the n rows of a table are of, where they may be fewer than min_cell; else None: not counted."""
    if n >= study.min_cell * len(study.periods) or "customer_id" not in table.columns:
        return None
    if isinstance(table, Held):
        return len(table.text("customer_id")[0])
    return int(table.customer_id.nunique().to_pyarrow().as_py())


def once(caveats: Iterable[Caveat]) -> tuple[Caveat, ...]:
    """Caveats in their order, one for each code: the first."""
    found: dict[str, Caveat] = {}
    for caveat in caveats:
        found.setdefault(caveat.code, caveat)
    return tuple(found.values())


def nothing(study: Study, name: str, question: str, lacking: Sequence[str]) -> Finding:
    """A finding without rows: not estimable, naming the columns that would be needed."""
    what = ", ".join(lacking) if lacking else "column that was asked for"
    found = finding(
        study,
        [],
        name=name,
        question=question,
        estimand="none",
        method="",
        sample="",
        periods="",
        answer=f"Not estimable: this study has no {what}.",
    )
    # some of what may lack is no column that could be mapped: an earlier month, a score of several answers
    mapped = bool(lacking) and all(one.replace(".", "_").isidentifier() for one in what.split(", "))
    advice = f"Map {what} to answer this question." if mapped else f"Needed for this question: {what}."
    # doubts of the study are doubts of numbers, and there are none
    return dataclasses.replace(found, caveats=(Caveat("missing-columns", advice),))


def absent(
    study: Study, asked: Sequence[str], measure: str
) -> tuple[tuple[str, ...], list[dict[str, Any]], list[Caveat]]:
    """Those of the terms that a study has; for each other one an adjusted row that says what is missing, and the doubt."""
    lacking = {x: study.missing(x)[0] for x in asked if not study.has(x)}
    base: dict[str, Any] = {"outcome": "churned", "measure": measure, "model": "adjusted"}
    made = [row(**base, term=x, effect_label=f"this study has no {column}") for x, column in lacking.items()]
    doubts = [Caveat("missing-columns", f"Map {', '.join(lacking.values())} to ask for all terms.")] if lacking else []
    return tuple(x for x in asked if x not in lacking), made, doubts


def empty_roles(*asked: object) -> tuple[str, ...]:
    """What to map for each role that was asked for and that the study has no column of."""
    return tuple(column for role in asked if isinstance(role, Role) and not role for column in role.examples)


class Notes:
    """Collects, while the rows of one finding are made, what its sample, method and caveats must say."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.spreads: list[Spread] = []
        self.missed: dict[str, str] = {}
        self.dropped: dict[str, str] = {}
        self.on_survey: list[bool] = []  # of each of `spreads`

    def saw(self, spread: Spread, columns: Sequence[str]) -> None:
        """Remember a summary that rows were made from."""
        self.spreads.append(spread)
        self.on_survey.append(self.study.on_survey(columns))

    def skipped(self, step: str, reason: str) -> None:
        """Remember a step that could not be taken, once."""
        self.missed[step] = reason

    def without(self, column: str, reason: str) -> None:
        """Remember a column that was left out of the question, once."""
        self.dropped[BY_NAME[column].label if column in BY_NAME else column] = reason

    def text(self, taken: Collection[str | None] = ()) -> str:
        """What the finding rests on, in words; `taken` are the steps that some pairs have."""
        parts, rests = [], []
        for answers, what in ((False, "customer-months"), (True, "answered surveys")):
            if seen := [s for s, own in zip(self.spreads, self.on_survey, strict=True) if own is answers]:
                widest = max(seen, key=lambda s: s.n)
                of = f" of {told(self.study, widest.rows)}" if widest.rows >= self.study.min_cell else ""
                rests.append(f"{told(self.study, widest.n)}{of} {what}")
        if rests:
            parts.append(f"{capital(' and '.join(rests))} have all columns of the question.")
        if self.study.segment != "all" and self.study.segment_term:
            parts.append(f"Only {BY_NAME[self.study.segment_term].label} {self.study.segment}.")
        some = {step: " for some pairs" if step in taken else "" for step in self.missed}
        parts += [f"No step '{step}'{some[step]}: {reason}." for step, reason in self.missed.items()]
        parts += [f"Left out: {column}, {reason}." for column, reason in self.dropped.items()]
        return " ".join(parts)

    def interval_method(self, *, textbook: bool = False) -> str:
        """How the intervals were made, in words; `textbook` where correlations of independent rows have formulas."""
        if not self.spreads:
            return ""
        independent = all(spread.independent for spread in self.spreads)
        if independent and textbook:
            return "95 % intervals: Fisher's z for r, Bonett and Wright for rho; every row is one customer."
        cluster = cluster_name(self.study)
        blocks = max(s.blocks for s in self.spreads)
        clusters = max(s.clusters for s in self.spreads)
        if clusters < self.study.min_cell:
            return f"95 % intervals: jackknife over {told(self.study, clusters)} {cluster}s."
        months = max(s.parts.ways[1] if len(s.parts.ways) > 1 else 0 for s in self.spreads)
        if independent:
            return f"95 % intervals: jackknife over {blocks} blocks of {clusters:,} rows; every row is one customer."
        both = f" and over {months} periods, errors two-way" if months else ""
        return f"95 % intervals: jackknife over {blocks} blocks of {clusters:,} {cluster}s{both}."

    def caveats(self) -> list[Caveat]:
        """Doubts that come from how few clusters there are."""
        clustered = [s for s in self.spreads if not s.independent]
        widest = max(clustered, key=lambda s: s.clusters, default=None)
        return few_parts(self.study, widest.parts, widest.clusters) if widest is not None else []


def cluster_name(study: Study) -> str:
    """What a cluster of this study is called."""
    return study.term(study.cluster()).label


def why_not(finding: Finding, otherwise: str) -> str:
    """Why no row of a finding has an estimate: what its rows say of themselves, else the given reason."""
    labels = [row["effect_label"] for row in finding.rows() if row["effect_label"]]
    return labels[0] if labels else otherwise


def told(study: Study, n: int) -> str:
    """A count of people in words: one below min_cell is not told."""
    return f"fewer than {study.min_cell}" if 0 < n < study.min_cell else f"{n:,}"


def few_parts(study: Study, parts: Blocks, clusters: int) -> list[Caveat]:
    """A doubt where clusters are few, or the months that share shocks, whichever are fewer."""
    periods = parts.ways[1] if len(parts.ways) > 1 else clusters
    if min(clusters, periods) >= FEW_CLUSTERS:
        return []
    if clusters <= periods:
        return [few_clusters(study, clusters, parts.df)]
    text = f"Months share shocks, and there are only {periods}: the interval counts them as {periods} observations at most, t with {parts.df:.3g} degrees of freedom. A longer window= tells more."
    return [Caveat("few-clusters", text)]


def few_clusters(study: Study, clusters: int, df: float | None = None) -> Caveat:
    """The caveat for an interval that rests on few clusters, with its degrees of freedom; a few customers are not counted out.

    `df` is not given where an interval takes clusters of any size as one observation each.
    """
    name = cluster_name(study)
    if clusters < 2:
        return Caveat("few-clusters", f"All rows are of one {name}: how far another one would differ cannot be told.")
    if study.cluster() == "customer_id" and clusters < study.min_cell:
        return Caveat("few-clusters", f"Fewer than {study.min_cell} {name}s: too few to tell anything from.")
    most = max(clusters - 1.0, 1.0)
    free = most if df is None else min(df, most)
    size = " of unequal size" if round(free, 1) < most else ""
    return Caveat(
        "few-clusters",
        f"Only {clusters} {name}s{size}: the interval uses t with {free:.3g} degrees of freedom; {clusters} {name}s are {clusters} observations{' at most' * bool(size)}.",
    )
