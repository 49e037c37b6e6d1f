"""What everybody would answer: whole numbers on the scales of the questionnaire, with the mood of the day in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxresearch.data.terms import term

MOOD = 0.35  # of one questionnaire: it colours every item of it and nothing else
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


def answers(rng: np.random.Generator, latents: Latents) -> pd.DataFrame:
    """Every item of everybody: the latent it asks about, the mood of this questionnaire, the noise of this item."""
    count = len(latents["satisfaction"])
    mood = MOOD * rng.standard_normal(count, dtype=np.float32)

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
