"""What everybody would answer: whole numbers on the scales of the questionnaire, with the mood of the day in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxresearch.data.terms import term

LEAN = 0.75  # of an answer about experience or value on the rated dimension behind it; the rest is its own
BEHIND = {
    "cx_empathy": "empathy",
    "cx_ease": "responsiveness",
    "cx_relevance": "assurance",
    "cx_orchestration": "reliability",
    "value_product": "reliability",
    "value_delivery": "responsiveness",
    "value_mindset": "empathy",
    "value_relationship": "trust",
}
PILLARS = ("reliability", "responsiveness", "assurance", "trust")
DIMENSIONS = ("responsiveness", "assurance", "tangibles", "empathy", "reliability")
Latents = dict[str, NDArray]


def felt_by(base: Latents, dimensions: Latents, satisfaction: NDArray, trust: NDArray, halo: float) -> Latents:
    """What the items of one month ask about, halo included, in single precision."""
    liked = {name: values + halo * base["halo"] for name, values in dimensions.items()}
    liked["satisfaction"], liked["trust"] = satisfaction, trust
    liked["recommend"] = 0.9 * satisfaction + 0.15 * trust
    liked["ces"] = 0.45 * satisfaction + 0.4 * dimensions["responsiveness"]
    liked["marker"] = halo * base["halo"]
    return {name: values.astype(np.float32) for name, values in liked.items()}


def answers(rng: np.random.Generator, latents: Latents, moody: float) -> pd.DataFrame:
    """Every item of everybody: the latent it asks about, the mood of this questionnaire, the noise of this item.

    The mood (`moody` is its spread) colours every item of one questionnaire and nothing else.
    """
    count = len(latents["satisfaction"])
    mood = moody * rng.standard_normal(count, dtype=np.float32)

    def item(latent: str, centre: float, spread: float, noise: float, low: int, high: int) -> NDArray[np.int8]:
        value = rng.standard_normal(count, dtype=np.float32)
        value *= np.float32(noise)
        value += latents[latent]
        value += mood
        value *= np.float32(spread)
        value += np.float32(centre)
        np.rint(value, out=value)
        return np.clip(value, low, high, out=value).astype(np.int8)

    columns = {"recommend": item("recommend", 7.6, 1.8, 0.35, 0, 10), "ces": item("ces", 4.9, 1.15, 0.7, 1, 7)}
    columns |= {name: item("satisfaction", 6.8, 1.75, 0.65, 1, 10) for name in term("satisfaction").items}
    columns |= {name: item("trust", 4.7, 1.2, 0.6, 1, 7) for name in term("trust").items}
    for dimension in DIMENSIONS:
        columns |= {name: item(dimension, 4.7, 1.1, 0.8, 1, 7) for name in term(dimension).items}
    columns["marker_item"] = item("marker", 4.2, 1.2, 0.7, 1, 7)
    return pd.DataFrame(columns, copy=False)


def more_answers(rng: np.random.Generator, given: pd.DataFrame) -> pd.DataFrame:
    """Further items of who answered: four of experience, four of value, four pillars, fairness; each factor is known.

    A factor leans on one score of the same questionnaire and so has its mood; three items measure it with noise.
    """
    count = len(given)

    def score(name: str) -> NDArray:
        return (given[list(term(name).items)].to_numpy(dtype=float).mean(axis=1) - 4.7) / 1.2

    def item(factor: NDArray, noise: float) -> NDArray[np.int8]:
        return np.clip(np.rint(4.7 + 1.1 * (factor + noise * rng.standard_normal(count))), 1, 7).astype(np.int8)

    columns: dict[str, NDArray] = {}
    for name, behind in BEHIND.items():
        factor = LEAN * score(behind) + np.sqrt(1 - LEAN**2) * rng.standard_normal(count)
        columns |= {item_name: item(factor, 0.6) for item_name in term(name).items}
    columns |= {f"pillar_{i}": item(0.8 * score(behind), 0.6) for i, behind in enumerate(PILLARS, 1)}
    columns["fairness"] = item(0.5 * score("trust") + 0.3 * score("assurance"), 0.8)
    return pd.DataFrame(columns)
