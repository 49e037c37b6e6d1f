"""Ranking: an R² split over terms or blocks of them, and its rows: shares, ranks with their probabilities, R² itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from cxresearch.data.study import Study
from cxresearch.errors import UsageError
from cxresearch.evidence import inference, pitfalls, sampling, shares
from cxresearch.evidence.association import directions
from cxresearch.evidence.blocks import Blocks as LeftOut
from cxresearch.evidence.blocks import draws, one_way
from cxresearch.evidence.moments import Spread, moments
from cxresearch.evidence.rows import rows
from cxresearch.finding import Caveat
from cxresearch.policy import SEED
from cxresearch.table import row

Array = NDArray[np.float64]
Blocks = Mapping[str, Sequence[str]]
R2_FLOOR = 0.01  # below it the shares of R² are shares of noise
SAME = 1e-9  # parts of R² that differ by less are equal but for rounding
DRAWS = 1000
FEW_EVENTS = 20  # leavers, and stayers, without which no R² of leaving is told
MOST, MOST_LOGISTIC = 16, 10  # 2^16 linear models take seconds, 2^10 logistic ones minutes
MOST_WORK = 30_000_000  # rows times logistic models; beyond it a sample of the rows


@dataclass(frozen=True)
class Split:
    """R² and its parts for k players, of all rows first and then without each of B blocks.

    `r2` and `alone` (B + 1,) are of all columns and of the first player; `parts` (B + 1, k); `drawn` (D, k) in draws
    of blocks; `worth` (B + 1, 2^k) of every set of players, up to 10 of them. `free` (B + 1,) corrects R² for the
    number of columns: degrees of freedom, or where leaving is asked minus the log-likelihood of the constant alone.
    `sizes` are the columns of each player, `left` says what is left out, `spread` what a linear R² was made of.
    Two-way, B counts periods and cells too.
    """

    r2: Array
    alone: Array
    parts: Array
    drawn: Array
    worth: Array
    free: Array
    sizes: tuple[int, ...]
    left: LeftOut
    n: int
    asked: int
    clusters: int
    spread: Spread | None = None

    @property
    def kind(self) -> str:
        """Which R² it is."""
        return "McFadden's R²" if self.spread is None else "R²"

    @property
    def counts(self) -> dict[str, Any]:
        """What each row rests on."""
        return {"n": self.n, "clusters": self.clusters}

    def _distinct(self, columns: Sequence[int]) -> int:
        """How many of some columns say what no other does: as many slopes least squares has to spend."""
        return len(columns) if self.spread is None else directions(self.spread.full, columns)

    def _corrected(self, r2: Array, terms: int) -> Array:
        """R² corrected for the number of terms: Ezekiel (1930), and McFadden's by Ben-Akiva & Lerman (1985)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.spread is None:
                return r2 - terms / self.free
            return np.where(self.free > terms, 1 - (1 - r2) * self.free / (self.free - terms), np.nan)

    @property
    def whole(self) -> Array:
        """R² of all columns, corrected for their number (B + 1,)."""
        return self._corrected(self.r2, self._distinct(range(1, 1 + sum(self.sizes))))

    @property
    def gain(self) -> Array:
        """What all columns explain beyond the first player, both corrected (B + 1,)."""
        return self.whole - self._corrected(self.alone, self._distinct(range(1, 1 + self.sizes[0])))

    def added(self, player: int) -> Array:
        """What one of up to 10 players explains beyond all others, both corrected (B + 1,)."""
        without = self.worth[:, self.worth.shape[1] - 1 - (1 << player)]
        others = [c for i, of in enumerate(players_of(self.sizes)) if i != player for c in of]
        return self.whole - self._corrected(without, self._distinct(others))

    @property
    def tells(self) -> bool:
        """Whether there is enough R² to share out."""
        return bool(self.whole[0] >= R2_FLOOR)


def interval(values: Array, left: LeftOut, on: str | None = None) -> dict[str, Any]:
    """The columns of a row from values of all rows (first) and without each part (B + 1,)."""
    return inference.jackknife(float(values[0]), values[1:], on=on, blocks=left).numbers()


def stacked(spread: Spread) -> Array:
    """Covariances of all rows, then without each block (B + 1, p, p)."""
    return np.concatenate([spread.full[None], spread.left_out])


def players_of(sizes: Sequence[int]) -> list[list[int]]:
    """The columns of each player, when they follow each other from column 1."""
    return [list(range(low, high)) for low, high in itertools.pairwise(1 + np.cumsum([0, *sizes]))]


def refuse_words(study: Study, columns: Sequence[str]) -> None:
    """A UsageError where a column (the outcome first) is no number or flag, or comes after the leaving that is asked."""
    words = [c for c in columns if study.term(c).kind not in ("number", "flag")]
    if words:
        raise UsageError(f"{words[0]} is no number; take terms that are numbers or flags, or split by it elsewhere")
    if columns[0] == "churned":
        pitfalls.refuse_known_later(study, columns[1:])


def split(
    study: Study, table: ir.Table, of: str, blocks: Blocks, method: str = "lmg", within: Sequence[str] = ()
) -> Split:
    """The R² of an outcome split over blocks of columns: McFadden's where leaving is asked, else that of least squares.

    `within` centres on the cells of these columns. Raises UsageError for more blocks than can enter in all orders.
    """
    most, instead = (MOST_LOGISTIC, "") if of == "churned" else (MOST, ", use method='johnson', which tries no orders,")
    if len(blocks) > most and method in ("lmg", "first", "last"):
        raise UsageError(
            f"{len(blocks)} terms have too many orders of entry: rank at most {most}{instead} or join them to blocks with block_shares"
        )
    columns = [of, *itertools.chain(*blocks.values())]
    sizes = tuple(len(terms) for terms in blocks.values())
    if of == "churned":
        return _of_leaving(study, table, columns, sizes, shares.first if method == "first" else shares.shapley)
    players, part = players_of(sizes), shares.METHODS[method]
    spread = moments(study, table, columns, within=within)
    covariance = stacked(spread)
    return Split(
        shares.explained(covariance, 0, range(1, len(columns))),
        shares.explained(covariance, 0, players[0]),
        part(covariance, 0, players),
        part(spread.resampled(DRAWS, SEED), 0, players) if spread.blocks else np.empty((0, len(players))),
        shares.worths(covariance, 0, players if len(players) <= MOST_LOGISTIC else []),
        _free(spread, bool(within)),
        sizes,
        spread.parts,
        spread.n,
        spread.rows,
        spread.clusters,
        spread,
    )


def _free(spread: Spread, within: bool) -> Array:
    """Degrees of freedom before any term, of all rows and without each part: rows less one, or less their cells."""
    n = spread.n - np.concatenate([[0.0], spread.parts.sizes])
    # each cell of rows loses one; without a part so many cells fewer as rows
    return n * (1 - spread.cells / max(spread.n, 1)) if within else n - 1.0


def _of_leaving(
    study: Study, table: ir.Table, columns: list[str], sizes: tuple[int, ...], part: Callable[[Array], Array]
) -> Split:
    found, players = rows(study, table, columns), players_of(sizes)
    most, keep = MOST_WORK >> len(sizes), np.arange(found.n)
    if found.n > most:  # rows come in any order; a fixed one makes every run draw the same sample
        keep = np.lexsort(found.values.T)[np.random.default_rng(SEED).permutation(found.n)[:most]]
    values, block = found.values[keep], np.unique(found.blocks[keep], return_inverse=True)[1]
    y, count = values[:, 0], int(block.max(initial=-1)) + 1
    if min(y.sum(), len(y) - y.sum()) >= FEW_EVENTS:
        worth, null = shares.logistic_worths(y, values, players, block)
    else:
        worth, null = np.full((count + 1, 1 << len(sizes)), np.nan), np.full(count + 1, np.nan)
    parts = part(worth)
    picks = draws(count, DRAWS, SEED) if count else np.empty((DRAWS, 0))
    drawn = parts[0] + picks @ (parts[0] - parts[1:]) * (count - 1) / max(count, 1)
    clusters = len(np.unique(found.clusters[keep]))
    left = one_way([""] * count, np.bincount(block, minlength=count).astype(float))
    return Split(worth[:, -1], worth[:, 1], parts, drawn, worth, null, sizes, left, len(keep), found.asked, clusters)


def _places(parts: Array) -> NDArray[np.intp]:
    """The place of each part (…, k), the largest first; parts that are equal but for rounding have the same one."""
    above = np.stack([(parts > parts[..., [i]] + SAME).sum(-1) for i in range(parts.shape[-1])], axis=-1)
    return np.asarray(1 + above)


def share_rows(found: Split, of: str, names: Sequence[str], model: str) -> list[dict[str, Any]]:
    """Rows r2, and for each name its share of R² and its rank; no shares where R² is too small to be shared out."""
    made = [row(outcome=of, model=model, measure="r2", **found.counts, **interval(found.whole, found.left, "r2"))]
    low = f"{found.kind} below {R2_FLOOR}: its shares are not estimable"
    label = low if np.isfinite(found.whole[0]) else "no R²: too few rows, or an outcome that does not vary"
    places, drawn = _places(found.parts[0]), _places(found.drawn)
    sure = bool(np.isfinite(found.drawn).all())  # not with one block alone, nor with one on which everything hangs
    for i, name in enumerate(names):
        base: dict[str, Any] = {"outcome": of, "term": name, "model": model, **found.counts}
        if not found.tells:
            made.append(row(measure="share", effect_label=label, **base))
            continue
        rank: dict[str, Any] = {"estimate": float(places[i])}
        if sure:
            ends = np.percentile(drawn[:, i], [2.5, 97.5], method="nearest")
            rank |= {"conf_low": ends[0], "conf_high": ends[1], "effect": (drawn[:, i] == 1).mean()}
        made.append(
            row(measure="share", unit="of R²", **base, **interval(found.parts[:, i] / found.r2, found.left, "share"))
        )
        made.append(row(measure="rank", effect_label="probability of rank 1", **base, **rank))
    return made


def rests_on(study: Study, found: Split, notes: sampling.Notes) -> tuple[str, str, list[Caveat]]:
    """Sample, method of the intervals, and doubts that come from how few clusters there are."""
    if found.spread is not None:
        notes.saw(found.spread, found.spread.columns)
        return notes.text(), notes.interval_method(), notes.caveats()
    n, asked, clusters = (sampling.told(study, x) for x in (found.n, found.asked, found.clusters))
    drawn = found.n == MOST_WORK >> len(found.sizes)
    what = "rows are the sample that was drawn" if drawn else "rows have all columns and a known next period"
    text = f"{n.capitalize()} of {asked} {what}. {notes.text()}"
    few = (
        [sampling.few_clusters(study, found.clusters, found.left.df)] if found.clusters < sampling.FEW_CLUSTERS else []
    )
    if found.clusters > 1 and np.isfinite(found.whole[0]) and not np.isfinite(found.worth).all():
        told = "A term foretells leaving without error, or varies in one block alone: shares stand without intervals. Leave it out."
        few.append(Caveat("separated", told))
    return text.strip(), f"95 % intervals: jackknife over blocks of {clusters} {sampling.cluster_name(study)}s, t.", few
