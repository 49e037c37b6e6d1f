"""Nearness: how far the verdict of a claim is from another one, in widths of its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from cxresearch.measures import MEASURES
from cxresearch.policy import register

DONE = {"supported": (0.0, math.inf), "refuted": (math.inf, 0.0), "not_estimable": (math.inf, math.inf)}


def telling(claim: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that a verdict hangs on: of those with the claim's own verdict the one nearest to another."""
    judged = [part for part in claim["parts"] if part["conf_level"] is not None]
    same = [part for part in judged if part["verdict"] == claim["verdict"]]
    return min(same or judged, key=_nearest, default=claim["parts"][0])


def _nearest(part: Mapping[str, Any]) -> float:
    """The way to the nearer edge; a count that is the same in every draw says nothing of margins and comes last."""
    return math.inf if part["conf_low"] == part["conf_high"] else min(map(abs, edges(part)))


def away(claim: Mapping[str, Any]) -> float:
    """How far an undecided claim is from being decided: the way that its region would have to reach."""
    ways = [edges(part) if part["verdict"] == "undecided" else DONE[part["verdict"]] for part in claim["parts"]]
    supported, refuted = zip(*ways, strict=True)
    if register()[claim["id"]].combine == "any-of":
        return float(min(min(supported), max(refuted)))
    return float(min(max(supported), min(refuted)))


def edges(part: Mapping[str, Any]) -> tuple[float, float]:
    """How far the region would have to reach for the interval to lie wholly inside, and how far to lie wholly outside.

    On the scale on which the interval is symmetric; negative where it lies so already.
    """
    forward = MEASURES[part["measure"]].forward
    try:
        low, high, bottom, top = (_end(part, name, forward) for name in ("conf_low", "conf_high", "low", "high"))
    except (ValueError, ZeroDivisionError):  # an end that the scale does not reach, such as a share of nobody
        low, high, bottom, top = (_end(part, name, float) for name in ("conf_low", "conf_high", "low", "high"))
    width = max(high - low, 1e-9)
    return max(bottom - low, high - top) / width, min(high - bottom, top - low) / width


def _end(part: Mapping[str, Any], name: str, forward: Callable[[float], float]) -> float:
    """An end of the interval or the region; an open side lies infinitely far away."""
    if part[name] is None:
        return -math.inf if name == "low" else math.inf
    return forward(part[name])
