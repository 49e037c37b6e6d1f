"""Charts of findings: a Finding in, Axes out; one shape per function; one look.

    cx.charts.ladder(finding);

Colours, sizes and fonts are in `theme`. Inside a notebook, importing this room also makes figures appear as SVG with
a caption and an alternative text, which the report keeps.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cxresearch.charts.notebook import install

if TYPE_CHECKING:
    from cxresearch.charts.choice import plot as plot
    from cxresearch.charts.columns import distribution as distribution
    from cxresearch.charts.dressing import dress as dress
    from cxresearch.charts.forest import dots as dots
    from cxresearch.charts.forest import shares as shares
    from cxresearch.charts.grid import matrix as matrix
    from cxresearch.charts.series import lags as lags
    from cxresearch.charts.series import trend as trend
    from cxresearch.charts.steps import ladder as ladder
    from cxresearch.charts.steps import strip as strip
    from cxresearch.charts.theme import use as use

_HOMES = {
    "plot": "choice",
    "ladder": "steps",
    "strip": "steps",
    "dots": "forest",
    "shares": "forest",
    "distribution": "columns",
    "trend": "series",
    "lags": "series",
    "matrix": "grid",
    "dress": "dressing",
    "use": "theme",
}
__all__ = ["distribution", "dots", "dress", "ladder", "lags", "matrix", "plot", "shares", "strip", "trend", "use"]


def __getattr__(name: str) -> Any:
    """Load a chart when it is asked for: the page needs only the fonts of this room, not Matplotlib."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


install()
