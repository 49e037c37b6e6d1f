"""Claims: what own data say to the trade press, by the one rule that turns rows into a verdict.

*Supported*: the 99 % interval lies wholly inside the region. *Refuted*: wholly outside. Else *undecided*. *Not
estimable*: there is no interval to judge by. Regions and their reasons are policy.

A verdict of the report before, supported or refuted, stays where the interval now reaches across the margin but the
estimate does not: a verdict is not taken back because one month was noisy. It says so, with the period that decided it.
"""

from __future__ import annotations

import functools
import html
import json
import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cxresearch.errors import UsageError
from cxresearch.finding import Finding, interval_at
from cxresearch.measures import MEASURES, number
from cxresearch.policy import Claim, Part, register
from cxresearch.table import TOO_FEW

VERDICT_MIME = "application/vnd.cxresearch.verdict+json"
LEVEL = 0.99  # of verdict intervals; all others are at 95 %
VERDICTS = ("supported", "refuted", "undecided", "not_estimable")
WORDS = {verdict: verdict.replace("_", " ") for verdict in VERDICTS}
UNANSWERED = "no notebook answers it yet"
EARLIER = "CXRESEARCH_EARLIER"  # the folder of the report before, whose verdicts stay; set by the run
SAME = ("measure", "unit", "low", "high", "outcome", "term", "group", "model")  # what makes it the same question


@dataclass(frozen=True)
class Verdict:
    """The verdict of one part of a claim: the judged number at 99 %, the region, and at which margin it would flip."""

    claim: str
    part: str
    label: str
    statement: str
    kind: str
    about: str
    source: str
    notebook: str
    low: float | None
    high: float | None
    unit: str
    verdict: str
    reason: str
    measure: str
    estimate: float | None = None
    conf_low: float | None = None
    conf_high: float | None = None
    conf_level: float | None = LEVEL
    n: int | None = None
    flips_at: str = ""
    finding: str = ""
    outcome: str = ""
    term: str | None = None
    group: str = "all"
    model: str = ""
    sentence: str = ""
    decided_in: str = ""  # the period whose interval decided it, where the verdict stays from an earlier report

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        text = f"{self.claim} ({self.part}) {self.verdict.replace('_', ' ')}: {self.sentence}"
        return {VERDICT_MIME: asdict(self), "text/html": self._html(), "text/plain": text}

    def _html(self) -> str:
        """The verdict first, then the number that it rests on and where it would be another."""
        head = f"{self.claim} ({self.part.replace('_', ' ')}): {WORDS[self.verdict]}"
        turns = f"Would turn {self.flips_at}." if self.flips_at else ""
        parts = [f"<p><strong>{html.escape(head)}</strong></p>", f"<p>{html.escape(self.sentence)}</p>"]
        return "".join([*parts, *([f"<p><small>{html.escape(turns)}</small></p>"] if turns else [])])


def judge(claim: str, finding: Finding, *, part: str | None = None, **which: str) -> Verdict:
    """The verdict of a part of a claim by one row of a finding, named by term, model, group, measure, outcome.

    `part` may be left out where the claim has only one. The measure defaults to that of the part. A finding without
    rows gives *not estimable*, naming what is missing. In a report the verdict of the period before may stay (`keep`).
    Raises UsageError for an unknown claim, part or row.
    """
    entry = _entry(claim)
    asked = _part(entry, part)
    base = _base(entry, asked)
    if not len(finding.table):
        return _not_estimable(base, _lacking(asked, finding), finding)
    if "group" not in which:
        which["group"] = "all"
    wanted = {"measure": asked.measure, **which}
    if not finding.rows(**wanted):
        told = ", ".join(f"{k} {v}" for k, v in wanted.items() if k != "group" or v != "all")
        return _not_estimable(base, f"this study gives no row with {told}", finding)
    try:
        record = finding.one(**wanted)
    except LookupError as error:
        raise UsageError(f"claim {claim}: {error}") from error
    if record["measure"] != asked.measure:
        raise UsageError(f"claim {claim}: part {asked.name} is about {asked.measure}, the row is {record['measure']}")
    period, before = _earlier(os.environ.get(EARLIER, ""))
    return keep(_judged(base, asked, record, finding), before.get((claim, asked.name)), period)


def keep(fresh: Verdict, before: Mapping[str, Any] | None, period: str) -> Verdict:
    """The verdict beside that of the report before, of that period: a decided one stays unless it is contradicted.

    It stays where the interval alone would leave the same question undecided and the estimate still lies on the side
    of the margin that the verdict says. It falls to undecided once the estimate lies on the other side, and turns where
    the interval lies wholly there. A first verdict needs the whole interval.
    """
    if fresh.verdict != "undecided" or fresh.estimate is None or before is None:
        return fresh
    same = all(getattr(fresh, name) == before.get(name) for name in SAME)
    inside = (fresh.low is None or fresh.low <= fresh.estimate) and (fresh.high is None or fresh.estimate <= fresh.high)
    if not same or before["verdict"] != ("supported" if inside else "refuted"):
        return fresh
    since = before.get("decided_in") or period
    reason = (
        f"stays {before['verdict']} as in {since}: the interval now reaches across the margin, the estimate does not"
    )
    at = number(fresh.estimate, MEASURES[fresh.measure].decimals)
    one_sided = fresh.low is None or fresh.high is None
    holds = "without" if inside else "with"
    return replace(
        fresh,
        verdict=before["verdict"],
        reason=reason,
        decided_in=since,
        flips_at=f"to undecided at a margin of {at}" if one_sided else f"to undecided for a region {holds} {at}",
        sentence=fresh.sentence.replace(f"({fresh.reason}).", f"({reason})."),
    )


@functools.cache
def _earlier(folder: str) -> tuple[str, Mapping[tuple[str, str], Mapping[str, Any]]]:
    """The period of an earlier report and its verdicts by claim and part; without a folder there are none."""
    if not folder:
        return "", {}
    run, told = (json.loads((Path(folder) / name).read_text(encoding="utf-8")) for name in ("run.json", "claims.json"))
    return run["period"], {(part["claim"], part["part"]): part for claim in told for part in claim["parts"]}


def _lacking(asked: Part, finding: Finding) -> str:
    """Why a finding has no rows; of the columns that it lacks only those that the part needs are named."""
    why = finding.answer.removeprefix("Not estimable: ").rstrip(".")
    own = [column for column in asked.needs if column in why.removeprefix("this study has no ").split(", ")]
    return f"this study has no {', '.join(own)}" if own else why


def _entry(claim: str) -> Claim:
    from difflib import get_close_matches

    claims = register()
    if claim not in claims:
        close = get_close_matches(claim, claims, n=1)
        raise UsageError(
            f"no claim {claim!r}"
            + (
                f"; did you mean {close[0]!r}?"
                if close
                else f"; they run from {next(iter(claims))} to {list(claims)[-1]}"
            )
        )
    return claims[claim]


def _part(entry: Claim, part: str | None) -> Part:
    by_name = {p.name: p for p in entry.parts}
    if part is None and len(by_name) == 1:
        return entry.parts[0]
    if part not in by_name:
        raise UsageError(f"claim {entry.id} has no part {part!r}; it has {', '.join(by_name)}")
    return by_name[part]


def _base(entry: Claim, part: Part) -> dict[str, Any]:
    return {
        "claim": entry.id,
        "part": part.name,
        "label": part.label,
        "statement": entry.statement,
        "kind": entry.kind,
        "about": entry.about,
        "source": entry.source,
        "notebook": entry.notebook,
        "low": part.low,
        "high": part.high,
        "unit": part.unit,
        "measure": part.measure,
    }


def _not_estimable(base: Mapping[str, Any], why: str, finding: Finding | None = None) -> Verdict:
    sentence = f"{base['label']}: not estimable, {why}."
    more: dict[str, Any] = {"finding": finding.name} if finding is not None else {}
    return Verdict(**base, verdict="not_estimable", reason=why, conf_level=None, sentence=sentence, **more)


def _judged(base: Mapping[str, Any], part: Part, record: Mapping[str, Any], finding: Finding) -> Verdict:
    where = {k: record[k] for k in ("outcome", "term", "group", "model")} | {"finding": finding.name}
    ends = None if (record["effect_label"] or "").startswith(TOO_FEW) else interval_at(record, LEVEL)
    # an interval without width comes from numbers that do not vary; a whole number may be the same in every draw
    if ends is None or (ends[0] == ends[1] and part.measure != "factors"):
        said = finding.answer.removeprefix("Not estimable: ")
        unknown = said if said != finding.answer else "the row has no interval"
        why = (record["effect_label"] or unknown).rstrip(".")
        return Verdict(
            **base,
            **where,
            verdict="not_estimable",
            reason=why,
            conf_level=None,
            n=record["n"],
            sentence=f"{part.label}: not estimable, {why}.",
        )
    low, high = sorted(float(f"{end:.12g}") for end in ends)
    measure = MEASURES[part.measure]
    # a ratio is nothing at 1; a share is at no value nothing, so none is real but small
    nothing = {"log": 1.0, "logit": math.nan}.get(measure.scale, 0.0)
    verdict, reason = decide(low, high, part.low, part.high, nothing=nothing)
    decimals = measure.decimals
    n = f", n = {record['n']:,}" if record["n"] is not None else ""
    told = (
        f"{number(record['estimate'], decimals)} (99 % interval {number(low, decimals)} to {number(high, decimals)}{n})"
    )
    unit = f" {part.unit}" if part.unit else ""
    return Verdict(
        **base,
        **where,
        verdict=verdict,
        reason=reason,
        estimate=record["estimate"],
        conf_low=low,
        conf_high=high,
        n=record["n"],
        flips_at=_flips_at(verdict, low, high, part),
        sentence=f"{part.label}: {told}{unit}; region: {part.region}{f' ({reason})' if reason else ''}.",
    )


def decide(
    conf_low: float, conf_high: float, low: float | None, high: float | None, nothing: float = 0.0
) -> tuple[str, str]:
    """Verdict and reason of an interval against a region: the one rule.

    Inside: supported. Wholly outside: refuted. Else undecided: `real-but-small` where the interval excludes no
    difference and lies on the claim's side, `too-wide` where it does not. `nothing` is the value of no difference: 1 for
    ratios.
    """
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    if bottom <= conf_low and conf_high <= top:
        return "supported", ""
    if conf_high < bottom or conf_low > top:
        return "refuted", ""
    # of a range with two ends no side is claimed
    claimed_side = (bottom > nothing and top == math.inf and conf_low > nothing) or (
        bottom == -math.inf and top < nothing and conf_high < nothing
    )
    return "undecided", "real-but-small" if claimed_side else "too-wide"


def _flips_at(verdict: str, low: float, high: float, part: Part) -> str:
    """At which margin the verdict would be another."""
    decimals = MEASURES[part.measure].decimals
    one_sided = part.low is None or part.high is None
    if not one_sided:
        return (
            f"to supported with a region that holds {number(low, decimals)} to {number(high, decimals)}"
            if verdict != "supported"
            else f"to undecided with a region that ends inside {number(low, decimals)} to {number(high, decimals)}"
        )
    near, far = (high, low) if part.low is None else (low, high)
    if verdict == "supported":
        return f"to undecided at a margin of {number(near, decimals)}"
    if verdict == "refuted":
        return f"to undecided at a margin of {number(far, decimals)}"
    return f"to supported at a margin of {number(near, decimals)}, to refuted at {number(far, decimals)}"


def combine(parts: Sequence[Mapping[str, Any]], have: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Every claim of the register with its verdict, from the verdicts of parts that a run gave.

    all-of: any part refuted refutes; all supported support; else a part that is not estimable makes the claim so,
    and otherwise it is undecided. any-of: one supported supports; all refuted refute. A part that nobody judged
    is not estimable. `have` are the columns of the study, as `table.column`: each claim says which ones it lacks to
    be judged.
    """
    given: dict[tuple[str, str], Mapping[str, Any]] = {(p["claim"], p["part"]): p for p in parts}
    combined = []
    for claim in register().values():
        judged = [
            dict(given.get((claim.id, part.name)) or asdict(_not_estimable(_base(claim, part), UNANSWERED)))
            for part in claim.parts
        ]
        verdict, reason = _combined(claim.combine, judged)
        closed = {p["part"] for p in judged if p["verdict"] == "not_estimable"}
        wanted = {column for part in claim.parts if part.name in closed for column in part.needs}
        combined.append(
            {
                "id": claim.id,
                "statement": claim.statement,
                "kind": claim.kind,
                "about": claim.about,
                "source": claim.source,
                "notebook": claim.notebook,
                "verdict": verdict,
                "reason": reason,
                "needs": sorted({column for part in claim.parts for column in part.needs}),
                "lacks": sorted(wanted - set(have)) if have is not None else [],
                "parts": judged,
            }
        )
    return combined


def _combined(rule: str, parts: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    parts = list(parts)
    by = {verdict: [p for p in parts if p["verdict"] == verdict] for verdict in VERDICTS}
    if rule == "any-of":
        if by["supported"]:
            return "supported", _reasons(by["supported"], len(parts))
        if len(by["refuted"]) == len(parts):
            return "refuted", ""
    else:
        if by["refuted"]:
            stays = _reasons(by["refuted"], len(parts))
            return "refuted", stays or ("" if len(parts) == 1 else "; ".join(p["label"] for p in by["refuted"]))
        if len(by["supported"]) == len(parts):
            return "supported", _reasons(by["supported"], len(parts))
    verdict = "not_estimable" if by["not_estimable"] else "undecided"
    return verdict, _reasons(by[verdict], len(parts))


def _reasons(parts: Iterable[Mapping[str, Any]], of: int) -> str:
    """The reasons of parts, each with its label where the claim has several."""
    told = (p["reason"] if of == 1 else f"{p['label']}: {p['reason']}" for p in parts if p["reason"])
    return "; ".join(dict.fromkeys(told))
