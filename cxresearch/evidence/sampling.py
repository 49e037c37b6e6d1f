"""Sampling notes: which rows and clusters a finding rests on, how its intervals were made, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

from cxresearch.data.study import Study
from cxresearch.evidence.moments import Spread
from cxresearch.finding import Caveat

FEW_CLUSTERS = 20


class Notes:
    """Collects, while the rows of one finding are made, what its sample, method and caveats must say."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.spreads: list[Spread] = []
        self.missed: dict[str, str] = {}
        self.on_survey = False

    def saw(self, spread: Spread, columns: Sequence[str]) -> None:
        """Remember a summary that rows were made from."""
        self.spreads.append(spread)
        self.on_survey |= self.study.on_survey(columns)

    def skipped(self, step: str, reason: str) -> None:
        """Remember a step that could not be taken, once."""
        self.missed[step] = reason

    def text(self) -> str:
        """What the finding rests on, in words."""
        parts = []
        if self.spreads:
            widest = max(self.spreads, key=lambda s: s.n)
            what = "answered surveys" if self.on_survey else "customer-months"
            parts.append(f"{widest.n:,} of {widest.rows:,} {what} have all columns of the question.")
        if self.study.segment != "all":
            parts.append(f"Only {self.study.segment_term} {self.study.segment}.")
        parts += [f"No step '{step}': {reason}." for step, reason in self.missed.items()]
        return " ".join(parts)

    def interval_method(self) -> str:
        """How the intervals were made, in words."""
        if not self.spreads:
            return ""
        if all(spread.independent for spread in self.spreads):
            return "95 % intervals: Fisher's z for r, Bonett and Wright for rho; every row is one customer."
        cluster = cluster_name(self.study)
        blocks = max(s.blocks for s in self.spreads)
        clusters = max(s.clusters for s in self.spreads)
        return f"95 % intervals: jackknife over {blocks} blocks of {clusters:,} {cluster}s."

    def caveats(self) -> list[Caveat]:
        """Doubts that come from the study and from how few clusters there are."""
        found = list(self.study.caveats())
        clustered = [s for s in self.spreads if not s.independent]
        if clustered and max(s.clusters for s in clustered) < FEW_CLUSTERS:
            found.append(few_clusters(self.study, max(s.clusters for s in clustered)))
        return found


def cluster_name(study: Study) -> str:
    """What a cluster of this study is called."""
    return study.term(study.cluster()).label


def few_clusters(study: Study, clusters: int) -> Caveat:
    """The caveat for an interval that rests on few clusters."""
    name = cluster_name(study)
    return Caveat("few-clusters", f"Only {clusters} {name}s: the interval uses t with {max(clusters - 1, 1)} degrees of freedom; {clusters} {name}s are {clusters} observations.")
