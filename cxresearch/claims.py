"""Claims: what own data say to the trade press, by the one rule that turns rows into a verdict.

*Supported*: the 99 % interval lies wholly inside the region. *Refuted*: wholly outside. Else *undecided*. *Not
estimable*: there is no interval to judge by. Regions and their reasons are policy.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
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

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        text = f"{self.claim} ({self.part}) {self.verdict.replace('_', ' ')}: {self.sentence}"
        return {VERDICT_MIME: asdict(self), "text/html": f"<p>{html.escape(text)}</p>", "text/plain": text}


def judge(claim: str, finding: Finding, *, part: str | None = None, **which: str) -> Verdict:
    """The verdict of a part of a claim by one row of a finding, named by term, model, group, measure, outcome.

    `part` may be left out where the claim has only one. The measure defaults to that of the part. A finding without
    rows gives *not estimable*, naming what is missing. Raises UsageError for an unknown claim, part or row.
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
    return _judged(base, asked, record, finding)


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
            f"no claim {claim!r}" + (f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(claims)}")
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
        why = (record["effect_label"] or "the row has no interval").rstrip(".")
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
    verdict, reason = decide(low, high, part.low, part.high, nothing=1.0 if measure.scale == "log" else 0.0)
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


def combine(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every claim of the register with its verdict, from the verdicts of parts that a run gave.

    all-of: any part refuted refutes; all supported support; else a part that is not estimable makes the claim so,
    and otherwise it is undecided. any-of: one supported supports; all refuted refute. A part that nobody judged
    is not estimable.
    """
    given: dict[tuple[str, str], Mapping[str, Any]] = {(p["claim"], p["part"]): p for p in parts}
    combined = []
    for claim in register().values():
        judged = [
            dict(given.get((claim.id, part.name)) or asdict(_not_estimable(_base(claim, part), UNANSWERED)))
            for part in claim.parts
        ]
        verdict, reason = _combined(claim.combine, judged)
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
                "parts": judged,
            }
        )
    return combined


def _combined(rule: str, parts: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    parts = list(parts)
    by = {verdict: [p for p in parts if p["verdict"] == verdict] for verdict in VERDICTS}
    if rule == "any-of":
        if by["supported"]:
            return "supported", ""
        if len(by["refuted"]) == len(parts):
            return "refuted", ""
    else:
        if by["refuted"]:
            return "refuted", "" if len(parts) == 1 else _named(by["refuted"])
        if len(by["supported"]) == len(parts):
            return "supported", ""
    if by["not_estimable"]:
        return "not_estimable", "; ".join(
            dict.fromkeys(
                p["reason"] if len(parts) == 1 else f"{p['label']}: {p['reason']}" for p in by["not_estimable"]
            )
        )
    return "undecided", "; ".join(
        dict.fromkeys(p["reason"] if len(parts) == 1 else f"{p['label']}: {p['reason']}" for p in by["undecided"])
    )


def _named(parts: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(p["label"] for p in parts)
