"""Runs a notebook's code in this process, without a kernel: what its cells would show comes back as objects."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def shown(name: str, **parameters: Any) -> list[Any]:
    """What the cells of a notebook would display, with these parameters, in order: values, and the words of figures."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from cxresearch.charts.dressing import worn

    scope: dict[str, Any] = {"__name__": "__main__"}
    found = []
    for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type != "code":
            continue
        value = _run(cell.source, scope)
        if "parameters" in cell.metadata.get("tags", []):
            unknown = set(parameters) - set(scope)
            assert not unknown, f"{name} has no parameter {unknown}"
            scope.update(parameters)
        elif value is not None and not cell.source.rstrip().endswith(";"):
            found.append(value)
        found += [worn(plt.figure(number)) for number in plt.get_fignums()]
        plt.close("all")
    return found


def _run(source: str, scope: dict[str, Any]) -> Any:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), scope)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope) if last is not None else None
