"""What several test files share: the small operator, the tiny project, and one warning that is not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# As reports do: tests run side by side, and more threads each cost time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
import tiny_project
from reference_case import REFERENCE, Case, entries

from cxresearch import cli


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but Ibis 12 still calls a name that DuckDB 2 has renamed."""
    config.addinivalue_line("filterwarnings", "ignore:fetch_arrow_table:DeprecationWarning")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two notebooks, a summary, one edition and one study; the command line takes it for its own."""
    root = tiny_project.made(tmp_path / "project")
    monkeypatch.setattr(cli, "ROOT", root)
    tiny_project.stand_in_for_the_study(monkeypatch)
    return root


@pytest.fixture(scope="session")
def small_operator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study file of a simulated operator of 2,000 customers and 24 months."""
    from cxresearch.data.simulation import simulate

    folder = tmp_path_factory.mktemp("small_operator")
    simulate(folder, customers=2_000, months=24)
    return folder / "study.toml"


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of numbers from R that is not part of the project."""
    if not (REFERENCE / "index.json").is_file():
        pytest.skip("no reference numbers here; CXRESEARCH_REFERENCE names their folder")
    return REFERENCE


@pytest.fixture
def case(request: pytest.FixtureRequest, reference: Path) -> Iterator[Case]:
    """One case of the reference; a test must compare every part of it or have named it."""
    made = Case(entries()[request.param])
    yield made
    assert made.forgotten() == [], "these parts are neither compared nor named as not built"
