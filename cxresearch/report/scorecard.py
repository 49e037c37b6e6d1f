"""Scorecard: the front of a report, made from the ledger and the verdicts of its run alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from cxresearch import claims
from cxresearch.measures import MEASURES, number
from cxresearch.policy import register
from cxresearch.report import headlines
from cxresearch.report.archive import ROOT
from cxresearch.report.front import READING
from cxresearch.report.headlines import records
from cxresearch.report.nearness import away, telling
from cxresearch.report.shopping import lacking, waits
from cxresearch.report.shown import CLAIMS_MIME, TILES_MIME, Shown, notice
from cxresearch.report.trends import NOTE, History, opened

MOST_ON_FRONT = 7
MOST_CAUTIONS = 3
# what a first page of paper holds below its tiles, in lines of a notice; and how many letters a line has
LINES, LETTERS = 50.0, 118
# what trends take of it: lines below the tiles, and letters beside a claim
TREND_LINES, TREND = 5.5, 38
LEADING = "S1.1"  # the links the project is named for
UNREAD = "No report has been made yet, so no claim is judged: run `make report`, or give the ledger of a run."


@dataclass(frozen=True)
class Scorecard:
    """What the front page says: tiles, answer, changes, cautions, claims, and the columns that would open more."""

    numbers: pd.DataFrame | None
    claims: Sequence[Mapping[str, Any]]
    previous: Mapping[str, Mapping[str, Any]]
    history: History = field(default_factory=lambda: History(()))  # the ledgers of the periods before

    @property
    def tiles(self) -> Shown:
        """The headline numbers with their intervals."""
        made = [] if self.numbers is None else headlines.tiles(self.numbers, self.history)
        trended = any("trend" in tile for tile in made)
        return Shown(
            TILES_MIME,
            {"tiles": made, **({"note": NOTE} if trended else {})},
            "\n".join(f"{t['label']}: {t['value']} ({t['interval']})" for t in made) or UNREAD,
        )

    @property
    def answer(self) -> Shown:
        """How many claims hold, and the decided ones in a sentence each."""
        asked = [c for c in self.claims if not waits(c)]
        counts = {v: sum(c["verdict"] == v for c in asked) for v in claims.VERDICTS}
        if self.numbers is None:
            return notice("The answer", [UNREAD], "info")
        listed = ", ".join(f"{counts[v]} {claims.WORDS[v]}" for v in claims.VERDICTS)
        leading = [(c, part) for c in self.claims if c["id"] == LEADING for part in c["parts"]]
        judged = any(part["conf_level"] is not None for _, part in leading)
        # beside what is judged of the leading claim stands what is not: two supported parts of three are not all of it
        lines = [self._of_part(c, part) for c, part in leading] if judged else []
        lines.append(f"{len(asked)} of {len(self.claims)} claims of the trade press were put to own data: {listed}.")
        return notice("The answer", lines, "info")

    def _of_part(self, claim: Mapping[str, Any], part: Mapping[str, Any]) -> str:
        verdict = claims.WORDS[part["verdict"]].capitalize()
        if part["conf_level"] is None:
            return f"{verdict}: {part['label']}: {part['reason']}."
        said = f"{_short(part, '99 %: ')}{_reported(self._trend(claim, part))}"
        return f"{verdict}: {part['label']}: {said}; true if {_region(claim, part)}."

    @property
    def changes(self) -> Shown:
        """Which verdicts differ from the period before, and which headline numbers do."""
        if not self.previous:
            alone = "There is no report of the period before to compare the verdicts with."
            return notice("What changed", [alone, *self._moved()], "info")
        told = [
            f"{c['id']} {claims.WORDS[self.previous[c['id']]['verdict']]} before, now {claims.WORDS[c['verdict']]}"
            for c in self.claims
            if _changed(c, self.previous)
        ]
        more = [f"{len(told) - MOST_ON_FRONT} more"] if len(told) > MOST_ON_FRONT else []
        changed = "; ".join([*told[:MOST_ON_FRONT], *more]) or "No verdict has changed since the period before"
        return notice("What changed", [f"{changed}.", *self._kept(), *self._moved()], "info")

    def _kept(self) -> list[str]:
        """The verdicts that stay though the interval alone would not give them, and the claims with other regions."""
        stay = [
            f"{part['claim']} ({part['part'].replace('_', ' ')}) {claims.WORDS[part['verdict']]} as in {part['decided_in']}"
            for c in self.claims
            for part in c["parts"]
            if part.get("decided_in")
        ]
        other = [
            c["id"] for c in self.claims if c["id"] in self.previous and _regions(c) != _regions(self.previous[c["id"]])
        ]
        lines = []
        if stay:
            lines.append(f"Stay, though the interval now reaches across the margin: {', '.join(stay)}.")
        if other:
            lines.append(f"Judged by other regions than in the period before: {', '.join(other)}.")
        return lines

    def _moved(self) -> list[str]:
        """The headline scores that differ from the period before, and those of which no change is told."""
        if self.numbers is None:
            return []
        found = records(self.numbers, measure="difference", model="change")
        told = [(headlines.moved(self.numbers, r), _move(r)) for r in found if r["conf_low"] is not None]
        lines = []
        for moved, words, more in MOVES:
            same = [text for how, text in told if how is moved]
            if same:
                lines.append(f"{words} since {found[0]['term']} (95 % intervals): {'; '.join(same)}.{more}")
        return lines

    @property
    def cautions(self) -> Shown:
        """What to be careful about: the doubts that touch this report, and what chance alone would give."""
        codes = set()
        if self.numbers is not None:
            codes = {code for text in self.numbers["caveats"].dropna() for code in text.split(";") if code}
        lines = [text for code, text in CAUTIONS.items() if code in codes][:MOST_CAUTIONS]
        judged = sum(p["conf_level"] is not None for c in self.claims for p in c["parts"])
        if judged:
            by_chance = number(judged * (1 - claims.LEVEL) / 2, 2)
            lines.append(
                f"{judged} numbers are judged at 99 %: were every truth just at its margin, chance would make {by_chance} verdicts wrong."
            )
        lines.append("All of this is association, not effect: it says what to look at, not what a measure would bring.")
        return notice("What to be careful about", lines, "caution")

    @property
    def front(self) -> Shown:
        """At most seven claims beside the leading one, which is the answer: changed, then decided, then nearly so.

        Fewer where a first page has no room for more; the appendix has them all.
        """
        changed = [c for c in self.claims if _changed(c, self.previous)]
        others = [c for c in self.claims if c["id"] != LEADING and c not in changed]
        supported, refuted, undecided = ([c for c in others if c["verdict"] == v] for v in claims.VERDICTS[:3])
        # as many refuted as supported ones, while there are
        decided = [c for pair in zip_longest(supported, refuted) for c in pair if c is not None]
        foremost = [*changed, *decided, *sorted(undecided, key=away)][:MOST_ON_FRONT]
        chosen = sorted(foremost, key=lambda c: (c not in changed, claims.VERDICTS.index(c["verdict"])))
        told = [
            {
                **c,
                **_beside(self._trend(c, telling(c))),
                "changed": _changed_text(c, self.previous),
                "sentence": _in_front(c),
            }
            for c in chosen
        ]
        told = told[: max(1, self._fitting(told))]
        intro = READING if told else "None is decided by these tables; the appendix says which columns are missing."
        return _listed("Which claims hold here, at 99 %", intro, told, "front")

    def _trend(self, claim: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
        """What earlier reports said of the number of a part; empty where none said anything."""
        own = [] if self.numbers is None else records(self.numbers, claim["id"], part=part["part"])
        return self.history.told(own[0], MEASURES[part["measure"]].decimals) if len(own) == 1 else {}

    def _fitting(self, told: Sequence[Mapping[str, Any]]) -> int:
        """How many of these claims the first page holds below its notices; letters there are smaller."""
        notices = (self.answer, self.changes, self.cautions)
        room = (
            LINES
            - (TREND_LINES if "note" in self.tiles.data else 0)
            - -(-len(READING) // LETTERS)
            - sum(-(-len(item) // LETTERS) for shown in notices for item in shown.data["items"])
        )
        for count, claim in enumerate(told):
            head = len(claim["statement"]) + len(claim["id"]) + len(claim["changed"]) + 8
            body = len(claims.WORDS[claim["verdict"]]) + len(claim["sentence"]) + 2
            beside = TREND if "trend" in claim else 0  # the head stands beside it, the body below both
            room -= 0.8 + 0.9 * (-(-head // (LETTERS + 7 - beside)) + -(-body // (LETTERS + 7)))
            if room < 0:
                return count
        return len(told)

    @property
    def all(self) -> Shown:
        """Every claim that a notebook answers, with its parts."""
        asked = [c for c in self.claims if not waits(c)]
        told = [
            {
                **c,
                "source": "",  # once for all, in the introduction
                "changed": _changed_text(c, self.previous),
                "sentence": _sentence(c) if len(c["parts"]) > 1 else c["parts"][0]["sentence"],
            }
            for c in asked
        ]
        intro = "Verdicts are at 99 % intervals; the region of each part was fixed before the run."
        if asked:
            intro += f" The number of a claim begins with its source: {'; '.join(dict.fromkeys(c['source'] for c in asked))}."
        return _listed("All claims", intro, told, "appendix")

    @property
    def waiting(self) -> Shown:
        """The claims that no notebook answers yet, a line each."""
        lines = [f"{c['id']}: “{c['statement'].rstrip('.')}”." for c in self.claims if waits(c)]
        return notice("Not asked yet", lines or ["Every claim is answered by a notebook."], "info")

    @property
    def missing(self) -> Shown:
        """The columns that would open most claims: a shopping list."""
        return notice("Columns that would open more claims", lacking(self.claims), "info")


MOVES = (  # what is told of a change, and by what
    (True, "Changed", " Of scores that stood still, at most one in twenty would look changed."),
    (None, "By its own interval alone, and not among all differences looked at, changed", ""),
    (False, "No clear change", ""),
)
NAMES = {"satisfaction": "Satisfaction", "recommend": "Net recommendation", "ces": "Ease", "churned": "Leavers"}
CAUTIONS = {
    "data-stop": "A check of the period's data says stop: read first whether the data can be trusted.",  # the gravest first: page one has room for a few
    "separated": "Of some customers, perhaps few, a term tells without error whether they leave: no slope exists, the plain rates stand instead.",
    "leakage": "A term foretells leaving too well: it may have been known only after customers left.",
    "enriched": "Leavers are over-represented in this table: numbers of leaving are not the operator's, but for those said to be corrected.",
    "against": "Some answers run against the others of their score: look whether they were asked the other way round.",
    "codes": "Some answers lie outside their scale and were left out: look at the mapping.",
    "reversed": "A correlation has another sign inside every segment than over all customers.",
    "confounded": "A crude number turns its sign, is gone or first shows once something is held fixed: do not read it alone.",
    "nonresponse": "Scores are of those who answered, and answering may depend on the answer: read the tipping points.",
    "few-clusters": "Some intervals rest on few clusters.",
    "silent-leavers": "Leavers answer less: numbers that join satisfaction and leaving hold among those who answered.",
    "few-events": "Some questions have too few leavers to be answered.",
    "weak-split": "Shares of network, design and operations depend on how well each is measured: split no budget by them.",
    "halo": "Ratings of one questionnaire move together: a part of every correlation between them is mood.",
    "huge-n": "With so many customers even tiny correlations are told from zero: judge by size.",
    "missing-columns": "Some questions cannot be asked of this study: columns are missing.",
}


def open_scorecard(ledger: str = "", previous: str = "", history: Sequence[str] = ()) -> Scorecard:
    """The scorecard of a run, from its ledger; `previous` names the claims.json of the period before.

    `history` names the ledgers of earlier periods, whose numbers are told beside those of now. Paths are relative to the project's root. Without a ledger no claim is judged and the scorecard says so.
    """
    earlier = {}
    if previous:
        earlier = {c["id"]: c for c in json.loads((ROOT / previous).read_text(encoding="utf-8"))}
    if not ledger:
        return Scorecard(None, claims.combine([]), earlier)
    told = json.loads((ROOT / Path(ledger)).with_name("claims.json").read_text(encoding="utf-8"))
    return Scorecard(opened(ledger), told, earlier, History(history))


def _move(change: Mapping[str, Any]) -> str:
    low, high, moved = (
        number(change[k], MEASURES["difference"].decimals) for k in ("conf_low", "conf_high", "estimate")
    )
    return f"{NAMES.get(change['outcome'], change['outcome']).lower()} {moved} points ({low} to {high})"


def _listed(title: str, intro: str, told: Sequence[Mapping[str, Any]], level: str) -> Shown:
    text = "\n".join(f"{c['id']} {claims.WORDS[c['verdict']]}: {c['statement']}" for c in told)
    data = {"title": title, "intro": intro, "claims": told, "level": level}
    return Shown(CLAIMS_MIME, data, text or "No claim is judged.")


def _changed(claim: Mapping[str, Any], previous: Mapping[str, Mapping[str, Any]]) -> bool:
    return claim["id"] in previous and previous[claim["id"]]["verdict"] != claim["verdict"]


def _changed_text(claim: Mapping[str, Any], previous: Mapping[str, Mapping[str, Any]]) -> str:
    """The verdict of the period before where it was another, with the number of the part that tells."""
    if not _changed(claim, previous):
        return ""
    before = previous[claim["id"]]
    told = f"{claims.WORDS[before['verdict']]} in the period before"
    part = next((p for p in before["parts"] if p["part"] == telling(claim)["part"] and p["estimate"] is not None), None)
    return f"{told}, at {number(part['estimate'], MEASURES[part['measure']].decimals)}" if part else told


def _regions(claim: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(part.get(name) for name in ("part", "measure", "low", "high")) for part in claim["parts"]]


def _beside(trend: dict[str, Any]) -> dict[str, Any]:
    return {"trend": trend} if trend else {}


def _reported(trend: Mapping[str, Any]) -> str:
    """The number of the first report of a trend, to stand behind that of now."""
    return f", reported {trend['said'][0]}" if trend else ""


def _in_front(claim: Mapping[str, Any]) -> str:
    """The part that tells with its number, interval, region and margin, and how the other parts stand."""
    part = telling(claim)
    if part["conf_level"] is None:
        return str(part["sentence"])
    told = f"{part['label']}: {_short(part)}; true if {_region(claim, part)}; would turn {part['flips_at']}."
    if part.get("decided_in"):
        told += f" It stays {claims.WORDS[part['verdict']]} as in {part['decided_in']}."
    others = [p for p in claim["parts"] if p is not part]
    if not others:
        return told
    counts = {v: sum(p["verdict"] == v for p in others) for v in claims.VERDICTS}
    listed = ", ".join(f"{n} {claims.WORDS[v]}" for v, n in counts.items() if n)
    return f"{told} Other parts: {listed}."


def _sentence(claim: Mapping[str, Any]) -> str:
    """The judged numbers of a claim in short, of several that differ each with its own verdict; the appendix has the rest."""
    parts = [part for part in claim["parts"] if part["conf_level"] is not None]
    if len(claim["parts"]) < 2:
        return "".join(f"{part['label']}: {_short(part)}." for part in parts) or claim["parts"][0]["sentence"]
    same = len(parts) == len(claim["parts"]) and len({part["verdict"] for part in parts}) == 1
    said = ["" if same else f", {claims.WORDS[part['verdict']]}" for part in parts]
    return " ".join(f"{part['label']}: {_short(part)}{word}." for part, word in zip(parts, said, strict=True))


def _region(claim: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    return next(own.region for own in register()[claim["id"]].parts if own.name == part["part"])


def _short(part: Mapping[str, Any], of: str = "") -> str:
    """The judged number of a part with the ends of its interval."""
    decimals = MEASURES[part["measure"]].decimals
    estimate, low, high = (number(part[k], decimals) for k in ("estimate", "conf_low", "conf_high"))
    name = f"{MEASURES[part['measure']].label} " if of and not part["unit"] else ""  # what a number without a unit is
    return f"{name}{estimate} ({of}{low} to {high}) {part['unit']}".strip()
