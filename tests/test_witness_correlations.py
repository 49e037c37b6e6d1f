"""Correlations of our own table are R's: `witness/correlations.R` wrote `witness/correlations.json`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special
from small_study import study_of
from witnesses import EXACT, says_again, table, witness

import cxresearch as cx
from cxresearch.data.study import Study
from cxresearch.evidence.lab import two_correlations
from cxresearch.evidence.lab.bootstrap import KINDS, bootstrap_interval
from cxresearch.evidence.lab.polychoric import crossed, polychoric, polychoric_matrix, two_step
from cxresearch.evidence.multiplicity import METHODS, adjusted
from cxresearch.finding import Finding

WITNESS = witness("correlations")
SURVEY = ["sat1", "sat2", "sat3", "recommend"]
HELD = ("list_price", "tenure_m")
SEARCHED = 2e-5  # R searches the maximum without slopes, and takes the curvature there by differences
HALVED = 1.3e-4  # R halves an interval until it is the fourth root of the machine's precision
ROWS = {
    "tau": ("alone", "recommend", {"model": "crude", "measure": "tau"}),
    "tau_sites": ("sites", "recommend", {"model": "crude", "measure": "tau"}),
    "partial_tau": ("alone", "recommend", {"model": "adjusted", "measure": "tau"}),
    "partial_tau_sites": ("sites", "recommend", {"model": "adjusted", "measure": "tau"}),
    "part": ("alone", "recommend", {"measure": "semipartial"}),
    "part_sites": ("sites", "recommend", {"measure": "semipartial"}),
    "corrected": ("alone", "satisfaction", {"model": "reliable"}),
}


@pytest.fixture(scope="module")
def finding(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Finding]:
    """The ladder of waiting with an outcome, of rows that are customers of their own, or with their sites."""

    @cache
    def study(levels: str) -> Study:
        frame = table()
        return study_of(
            tmp_path_factory.mktemp(levels),
            panel=frame.drop(columns=SURVEY),
            surveys=frame[["customer_id", "period", *SURVEY]],
            levels=["customer", "site"] if levels == "sites" else ["customer"],
            window=2,
        )

    return cache(
        lambda levels, of: cx.relate(study(levels), of, "wait_s", given=HELD, method=["kendall", "semipartial"])
    )


def close(name: str, got: Any, rtol: float = EXACT) -> None:
    """All numbers that R gave under a name."""
    want = WITNESS[name]
    keys = list(want) if isinstance(want, dict) else range(len(want))
    for key in keys:
        np.testing.assert_allclose(got[key], want[key], rtol=rtol, atol=1e-12, err_msg=f"{name} {key}")


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_a_ladder(name: str, finding: Callable[[str, str], Finding]) -> None:
    """Estimate, interval and p-value of tau, of a semi-partial and of a corrected correlation are R's."""
    levels, outcome, which = ROWS[name]
    close(name, finding(levels, outcome).one(**which))


def test_polychoric(tmp_path: Path) -> None:
    """The likeliest correlation, its interval and thresholds, and how far the table is from normal."""
    frame = table()
    study = study_of(tmp_path, panel=frame[["customer_id", "bill_errors", "prepaid"]])
    ladder = cx.relate(study, "bill_errors", "prepaid", steps=["crude"], method="polychoric")
    close("polychoric", ladder.one(measure="polychoric"), SEARCHED)
    found = polychoric(crossed(frame.bill_errors.to_numpy(float), frame.prepaid.to_numpy(float)))
    close("polychoric_thresholds", [*found.row_thresholds, *found.column_thresholds], SEARCHED)
    close("polychoric_fit", vars(found), SEARCHED)


def test_polychoric_by_two_steps() -> None:
    """With thresholds from the margins it is what polycor and psych give."""
    items = table()[SURVEY].to_numpy(float)
    pairs = {"sat1_sat2": two_step(crossed(*items[:, :2].T)), "sat1_recommend": two_step(crossed(*items[:, [0, 3]].T))}
    close("polychoric_two_step", pairs, HALVED)
    close("polychoric_psych", polychoric_matrix(items[:, :3])[[1, 2, 2], [0, 0, 1]], HALVED)


@pytest.mark.parametrize("method", METHODS)
def test_adjusted_p_values(method: str) -> None:
    """Missing p-values stay missing and do not count among the many."""
    first, *rest = WITNESS["p_values"]
    got = adjusted([first, None, *rest, math.nan], method)
    assert (got.pop(1), got.pop()) == (None, None)
    assert got == pytest.approx(WITNESS[method], rel=EXACT)


def test_two_correlations() -> None:
    """Two correlations of one sample, and of two samples."""
    three = WITNESS["three"]
    williams = two_correlations.williams(**three, n=300)
    steiger = two_correlations.steiger(**three, n=300)
    independent = two_correlations.independent(0.42, 300, 0.31, 180)
    close("williams", {"t": williams.statistic, "p": williams.p_value})
    close("steiger", {"z": steiger.statistic, "p": steiger.p_value})
    close("independent", {"z": independent.statistic, "p": independent.p_value})


@pytest.mark.parametrize("kind", KINDS)
def test_bootstrap_intervals(kind: str) -> None:
    """The interval of given draws."""
    z = special.ndtri((np.arange(1999) + 0.5) / 1999)
    left_out = 0.21 - 0.01 * np.log1p(-(np.arange(60) + 0.5) / 60)
    got = bootstrap_interval(0.22, 0.2 + 0.1 * z + 0.03 * z**2, kind, left_out=left_out)
    close(kind, [got.conf_low, got.conf_high])


def test_every_number_of_r_is_compared() -> None:
    """No number stands in the witness that nothing is compared with."""
    polychorics = {f"polychoric{rest}" for rest in ("", "_thresholds", "_fit", "_two_step", "_psych")}
    compared = {*ROWS, *polychorics, "p_values", *METHODS, "three", "williams", "steiger", "independent", *KINDS}
    assert compared == set(WITNESS)


@pytest.mark.slow
def test_r_still_says_so(tmp_path: Path) -> None:
    """R, run on the script beside the numbers, gives them again."""
    says_again("correlations", tmp_path / "again.json")
