"""Reliabilities and factors of public data sets are R's."""

from __future__ import annotations

import json
from pathlib import Path

from reference_case import Case, built, not_built, parts_not_built, table
from small_study import study_of

import cxresearch as cx

not_built("McDonald's omega", "omega.mobi.PERQ", "omega.mobi.IMAG", "omega.mobi.CUSA", "omega_psych.mobi.PERQ")
not_built(
    "factor analysis",
    "cfa.mobi.ecsi6",
    "cfa.mobi.ecsi6.MLR",
    "cfa.holzinger",
    "cfa.politicaldemocracy",
    "efa.mobi.parallel",
)
parts_not_built(
    "alpha.",
    {
        "alpha_std": "alpha of standardised answers",
        "guttman_lambda6": "lambda 6",
        "mean_interitem_r": "mean correlation of answers",
        "ase_duhachek": "the interval is Feldt's",
        "ci_duhachek": "the interval is Feldt's",
        "item_total_corrected": "item-total correlation",
        "item_total_raw": "item-total correlation",
        "alpha_if_dropped": "alpha without an answer",
        "split_half_max_lambda4": "empty",
        "kmo": "factor analysis",
        "bartlett": "factor analysis",
    },
)


@built(
    "alpha.mobi.IMAG",
    "alpha.mobi.PERQ",
    "alpha.mobi.CUSA",
    "alpha.mobi.CUEX",
    "alpha.mobi.CUSL",
    "alpha.mobi.PERV",
    "alpha.holzinger.visual",
    "alpha.bfi.N",
)
def test_alpha(case: Case, tmp_path: Path) -> None:
    """Alpha of complete answers, with Feldt's interval."""
    items = list(case.want("item_total_corrected"))
    frame = table(case.dataset)[items]
    score = f"{{mean_of = {json.dumps(items)}, scale = [0, 10]}}"
    finding = cx.reliability(study_of(tmp_path, surveys=frame, columns={"satisfaction": score}))
    record = finding.one(measure="alpha")
    case.close("alpha_raw", record["estimate"])
    case.close("ci_feldt", [record["conf_low"], record["conf_high"]])
    assert (record["n"], len(items)) == (case.want("n"), case.want("k"))
