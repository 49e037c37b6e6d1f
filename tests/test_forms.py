"""Forms: every parameter of every notebook does something, and no notebook makes its reader wait.

Slow: each parameter is a run of its notebook on the small operator.
"""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import Any

import inprocess
import pytest
from inprocess import NOTEBOOKS, shown

from cxresearch.claims import Verdict
from cxresearch.data.simulation import simulate
from cxresearch.finding import Finding
from cxresearch.report import parameters
from cxresearch.report.shown import Shown

pytestmark = pytest.mark.slow

# another value for each parameter by its name, or by notebook and name where one value does not serve all
OTHER: dict[str, Any] = {
    "period": "2026-08",
    "segment": "high",
    "window": 6,
    "quality": "throughput_mbps",
    "failures": "outage_min",
    "lags": [0, 2],
    "outcome": "trust",
    "max_missing": 0.05,
    "drift_test": "ks",
    "late_days": 3,
    "horizons": [6, 18],
    "rival": "rival_a",
    "link": "cloglog",
    "metric": "recommend",
    "weighting": "answering",
    "scale": "cx",
    "invariance_by": "region",
    "reliability": [0.7, 0.9],
    "weights": [0.5, 0.3, 0.2],
    "given": ["tenure_m"],
    "method": "first",
}
FROM_A_RUN = {
    ("scorecard", "ledger"),
    ("scorecard", "previous"),
    ("scorecard", "history"),
    ("scorecard", "data"),
}  # test_notebooks.py gives them a run
FORMS = {path.stem: parameters.read(parameters.opened(path), path.stem) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
ASKED = [(name, key) for name, form in FORMS.items() for key in form if (name, key) not in FROM_A_RUN]

# CPU seconds of a notebook's own work on the demo operator, on a machine that does little else; the aim is 1.5 for each
OWN_WORK = {
    "churn": 3.6,
    "data_trust": 2.1,
    "guide": 1.5,
    "headline_scores": 1.5,
    "measurement": 1.9,
    "network_share": 1.5,
    "quality_satisfaction_churn": 2.8,
    "satisfaction_drivers": 1.6,
    "what_changed": 2.0,
}
BUSY = 3.0  # a shared machine: caches and hyper-threads that others use stretch CPU seconds up to so much


@functools.cache
def run(name: str, **given: str) -> str:
    """All findings, verdicts and notices of a notebook as text; values are JSON. Each is run once."""
    values = shown(name, **{key: json.loads(value) for key, value in given.items()})
    told = []
    for value in values:
        if isinstance(value, Finding):
            told.append(value.to_json())
        elif isinstance(value, Verdict | Shown):
            told.append(value._repr_mimebundle_())
    assert told, f"{name} shows no finding"
    return json.dumps(told, default=str, sort_keys=True)


@pytest.fixture(scope="session")
def other_operator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study file of another operator of 2,000 customers."""
    folder = tmp_path_factory.mktemp("other_operator")
    simulate(folder, customers=2_000, months=24, seed=2)
    return folder / "study.toml"


@pytest.mark.parametrize("name, key", ASKED)
def test_a_parameter_changes_what_is_found(name: str, key: str, small_operator: Path, other_operator: Path):
    """Another value gives other numbers, or another question, method or sample: nobody sets what nothing reads."""
    values = OTHER | {"data": str(other_operator)}
    where = f"{name}.{key}" if f"{name}.{key}" in values else key
    assert where in values, (
        f"parameter {key!r} of {name} has no other value to try: add {key!r} or '{name}.{key}' to OTHER in {Path(__file__).name}"
    )
    other = values[where]
    assert other != FORMS[name][key].default, f"the other value of {where} is its default: give a different one"
    parameters.fitted(other, FORMS[name][key], where)
    given = {"data": json.dumps(str(small_operator))} if "data" in FORMS[name] else {}
    assert run(name, **given) != run(name, **given | {key: json.dumps(other)})


@pytest.mark.parametrize("name", [name for name in FORMS if "data" in FORMS[name] and name != "scorecard"])
def test_a_notebook_does_not_keep_its_reader_waiting(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On the demo operator its own cells, after imports and opening the study, take no more CPU time than they did."""
    spent = {"opening": 0.0, "own": 0.0}
    plain = inprocess._run

    def timed(source: str, scope: dict[str, Any]) -> Any:
        began = time.process_time()
        value = plain(source, scope)
        spent["opening" if "open_study(" in source else "own"] += time.process_time() - began
        return value

    shown(name)  # imports, the tables of the demo operator, fonts
    monkeypatch.setattr(inprocess, "_run", timed)
    shown(name)
    bound = OWN_WORK[name]
    with capsys.disabled():
        print(
            f"\n{name}: {spent['own']:.2f} s of its own work (bound {bound:g} s, {BUSY:g} times that when busy), {spent['opening']:.2f} s to open"
        )
    assert spent["own"] <= BUSY * bound
