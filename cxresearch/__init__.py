"""cxresearch: how service quality, satisfaction and churn hang together, shown so that nobody is fooled.

>>> import cxresearch as cx
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cxresearch import charts as charts
    from cxresearch.claims import judge as judge
    from cxresearch.data.opening import open_study as open_study
    from cxresearch.data.simulation import simulate as simulate
    from cxresearch.data.study import Study as Study
    from cxresearch.evidence.block_split import block_shares as block_shares
    from cxresearch.evidence.churn import explain_churn as explain_churn
    from cxresearch.evidence.comparison import compare as compare
    from cxresearch.evidence.correlation import relate as relate
    from cxresearch.evidence.dimensions import factors as factors
    from cxresearch.evidence.foresight import foretell_churn as foretell_churn
    from cxresearch.evidence.importance import rank_drivers as rank_drivers
    from cxresearch.evidence.leavers import churn_rate as churn_rate
    from cxresearch.evidence.leavers import leavers_by_level as leavers_by_level
    from cxresearch.evidence.measurement import reliability as reliability
    from cxresearch.evidence.mediation import mediate as mediate
    from cxresearch.evidence.models import fit as fit
    from cxresearch.evidence.path_models import paths as paths
    from cxresearch.evidence.scores import score as score
    from cxresearch.evidence.soundness import inspect_data as inspect_data
    from cxresearch.evidence.survival import survive as survive
    from cxresearch.finding import Finding as Finding
    from cxresearch.report.closing import outlook as outlook
    from cxresearch.report.ledger import open_ledger as open_ledger
    from cxresearch.report.scorecard import open_scorecard as open_scorecard

# the public names and where they live; imported when first asked for, so that `--help` answers at once
_HOMES = {
    "Finding": "cxresearch.finding",
    "Study": "cxresearch.data.study",
    "block_shares": "cxresearch.evidence.block_split",
    "charts": "cxresearch.charts",
    "churn_rate": "cxresearch.evidence.leavers",
    "compare": "cxresearch.evidence.comparison",
    "explain_churn": "cxresearch.evidence.churn",
    "factors": "cxresearch.evidence.dimensions",
    "fit": "cxresearch.evidence.models",
    "foretell_churn": "cxresearch.evidence.foresight",
    "inspect_data": "cxresearch.evidence.soundness",
    "judge": "cxresearch.claims",
    "leavers_by_level": "cxresearch.evidence.leavers",
    "mediate": "cxresearch.evidence.mediation",
    "open_ledger": "cxresearch.report.ledger",
    "open_scorecard": "cxresearch.report.scorecard",
    "open_study": "cxresearch.data.opening",
    "outlook": "cxresearch.report.closing",
    "paths": "cxresearch.evidence.path_models",
    "rank_drivers": "cxresearch.evidence.importance",
    "relate": "cxresearch.evidence.correlation",
    "reliability": "cxresearch.evidence.measurement",
    "score": "cxresearch.evidence.scores",
    "simulate": "cxresearch.data.simulation",
    "survive": "cxresearch.evidence.survival",
}
__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cxresearch' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")
    from cxresearch.waiting import install

    install()
    home = import_module(_HOMES[name])
    return home if name == "charts" else getattr(home, name)


def __dir__() -> list[str]:
    return list(__all__)
