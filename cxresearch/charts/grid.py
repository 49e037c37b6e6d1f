"""A matrix of estimates: which goes with which, the stronger the darker, its sign by the colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxresearch.charts import frame, words
from cxresearch.charts.theme import COLOURS, SMALL_SIZE, themed
from cxresearch.finding import Finding
from cxresearch.measures import MEASURES, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KIND = "Matrix"
FEW = 40  # cells up to which each is printed; of more only those that can be seen
SEEN, DARK = 0.1, 0.6  # of the largest: printed at all; printed in white


def matrix(finding: Finding, down: str = "term", across: str = "outcome") -> Axes:
    """The estimates of one measure as a matrix: loadings of answers on factors, correlations of terms with outcomes.

    `down` and `across` are the columns that name its rows and columns. Intervals stand in the finding's table.
    """
    records = [r for r in frame.rows_of(finding) if r["estimate"] is not None]
    records = [r for r in records if r["measure"] == records[0]["measure"]]
    if not records:
        return frame.placeholder(finding, KIND)
    rows, columns = (list(dict.fromkeys(r[name] for r in records)) for name in (down, across))
    top = max(abs(r["estimate"]) for r in records) or 1.0
    decimals = MEASURES[records[0]["measure"]].decimals
    with themed():
        ax = frame.new_axes(0.9 + max(0.16 * len(rows), 0.3 * min(len(rows), 5)))
        grid = [[0.0] * len(columns) for _ in rows]
        for r in records:
            at, value = (columns.index(r[across]), rows.index(r[down])), r["estimate"]
            grid[at[1]][at[0]] = value
            if len(records) <= FEW or abs(value) >= SEEN * top:
                colour = COLOURS["paper" if abs(value) > DARK * top else "text"]
                ax.annotate(number(value, decimals), at, ha="center", va="center", fontsize=SMALL_SIZE, color=colour)
        ax.imshow(grid, cmap="RdBu", vmin=-top, vmax=top, aspect="auto")
        ax.set_xticks(range(len(columns)), [finding.spoken(across, c).replace("_", " ") for c in columns])
        ax.set_yticks(range(len(rows)), [finding.spoken(down, r) for r in rows])
        ax.tick_params(length=0, labelsize=SMALL_SIZE)
        ax.spines[:].set_visible(False)
        frame.name_below(ax, words.measured(records))
    strongest = sorted(records, key=lambda r: -abs(r["estimate"]))
    return frame.finish(ax, finding, records, words.alternative(KIND, finding, strongest))
