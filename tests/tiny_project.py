"""A project small enough to run in a test: two chapters, a summary, an edition and a study that is only a name."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cxresearch.data import opening
from cxresearch.data.opening import Preflight

SHARED = 'data: str = "data/demo.toml"  # study\nperiod: str = "latest"  # month\nsegment: str = "all"  # who\n'
EDITION = """title = "The month"
notebooks = ["leavers", "scores"]
summary = "summary"
"""
# findings as the notebook's kernel would show them, without loading anything that makes them
FINDING = """
from IPython.display import display
record = dict.fromkeys({columns!r})
record.update(outcome="churned", group="all", model="crude", measure="rate", estimate=0.1, conf_low=0.08)
record.update(conf_high=0.12, conf_level=0.95, n=2000, unit="")
finding = dict(name={name!r}, question="Who leaves?", estimand="rate", design="descriptive", table=[record], method="m")
finding.update(sample="all", answer="Ten in a hundred leave.", title="", periods="", study="demo", caveats=[])
display({{"application/vnd.cxresearch.finding+json": finding}}, raw=True)
"""


def finding(name: str) -> str:
    """The source of a cell that shows a finding."""
    from cxresearch.finding import COLUMNS

    return FINDING.format(columns=COLUMNS, name=name).strip()


def write_notebook(root: Path, name: str, title: str, *cells: str, more: str = "") -> None:
    """A notebook with a form and code cells; it names a kernel that no machine has."""
    form = new_code_cell(SHARED + more, metadata={"tags": ["parameters"]})
    cells_ = [new_markdown_cell(f"# {title}"), form, *map(new_code_cell, cells)]
    for number, cell in enumerate(cells_):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "elsewhere", "display_name": "Elsewhere", "language": "R"}
    nbformat.write(new_notebook(cells=cells_, metadata={"kernelspec": kernel}), root / "notebooks" / f"{name}.ipynb")


def made(root: Path) -> Path:
    """The project, written to a folder."""
    for folder in ("notebooks", "reports", "data/examples"):
        (root / folder).mkdir(parents=True)
    (root / "data" / "demo.toml").write_text('name = "demo"\ntitle = "Demo operator"\n')
    (root / "reports" / "monthly.toml").write_text(EDITION)
    window = "window: int = 12  # periods to look back [1, 120]"
    write_notebook(
        root, "leavers", "Who leaves?", finding("leavers"), "print(data, period, segment, window)", more=window
    )
    here = f"asked = data, period, segment\nimport os, sys\nprint(os.getcwd() == {str(root)!r}, sys.prefix == {sys.prefix!r})"
    write_notebook(root, "scores", "What do they say?", finding("scores"), here)
    told = 'ledger: str = ""\nprevious: str = ""\nhistory: list[str] = []\n'
    reads = "asked = data, period, segment\nimport pyarrow.parquet as pq\nprint(pq.read_table(ledger)['finding'].to_pylist(), repr(previous))\nasked = history"
    write_notebook(root, "summary", "The month", finding("summary"), reads, more=told)
    return root


STUDY = """name = "demo"
title = "Demo operator"
[tables.panel]
file = "panel.csv"
columns = { customer_id = "id", period = "month", value_segment = "who", churned = { column = "left", positive = "yes" }, call_failures = "drops" }
"""


def standing_alone(root: Path, package: Path) -> Path:
    """The project with the package itself and a study that is real, so that another process can make its reports."""
    made(root)
    shutil.copytree(package, root / "cxresearch", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "data" / "demo.toml").write_text(STUDY)
    who = ("mass", "high")
    rows = [
        f"c{i},2026-{m:02d},{who[i % 2]},{'yes' if i % 10 == m else 'no'},{i % 4}" for i in range(60) for m in (9, 10)
    ]
    (root / "data" / "panel.csv").write_text("\n".join(["id,month,who,left,drops", *rows]) + "\n")
    return root


def stand_in_for_the_study(monkeypatch: pytest.MonkeyPatch, name: str = "demo") -> None:
    """Let any study file pass, as that of one named study whose last month is 2026-10."""

    def preflight(data: str, period: str = "latest", as_of: str | None = None, segments: object = ()) -> Preflight:
        month = "2026-10" if period == "latest" else period
        return Preflight(name, "Demo operator", month, "f00d", {"panel": 10}, frozenset())

    monkeypatch.setattr(opening, "preflight", preflight)
