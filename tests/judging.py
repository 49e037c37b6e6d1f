"""The verdicts of all notebooks in this process, without charts and kernels: only the statements that judging needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nbformat
from inprocess import NOTEBOOKS

import cxresearch as cx
from cxresearch import claims
from cxresearch.claims import VERDICT_MIME, Verdict

ASKING = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb") if path.stem != "scorecard")


def verdicts(name: str, **parameters: Any) -> list[Verdict]:
    """The verdicts of one notebook with these parameters, in order."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    form, rest = statements(name)
    exec(compile(ast.Module(form, []), name, "exec"), scope)
    scope |= parameters
    with _recorded() as found:
        exec(compile(ast.Module(needed(rest), []), name, "exec"), scope)
    return found


def all_verdicts(**parameters: Any) -> list[Verdict]:
    """The verdicts of every notebook that answers claims."""
    return [verdict for name in ASKING for verdict in verdicts(name, **parameters)]


def combined(found: list[Verdict]) -> dict[str, dict[str, Any]]:
    """The claims that these verdicts are about, by id."""
    judged = {verdict.claim for verdict in found}
    told = claims.combine([verdict._repr_mimebundle_()[VERDICT_MIME] for verdict in found])
    return {claim["id"]: claim for claim in told if claim["id"] in judged}


def needed(statements: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that judge, and those whose names they use."""
    kept: list[ast.stmt] = []
    names: set[str] = set()
    for statement in reversed(statements):
        walked = list(ast.walk(statement))
        used = {node.id for node in walked if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        made = {node.id for node in walked if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        imported = {a.asname or a.name for n in walked if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
        judges = any(isinstance(node, ast.Attribute) and node.attr == "judge" for node in walked)
        if judges or (made | imported) & names:
            kept.insert(0, statement)
            names |= used
    return kept


def statements(name: str) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The statements of the parameters cell, and all others."""
    form: list[ast.stmt] = []
    rest: list[ast.stmt] = []
    for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            (form if "parameters" in cell.metadata.get("tags", []) else rest).extend(ast.parse(cell.source).body)
    return form, rest


@contextmanager
def _recorded() -> Iterator[list[Verdict]]:
    """Collects what `cx.judge` returns."""
    found: list[Verdict] = []

    def judge(*given: Any, **named: Any) -> Verdict:
        found.append(claims.judge(*given, **named))
        return found[-1]

    vars(cx)["judge"] = judge
    try:
        yield found
    finally:
        del vars(cx)["judge"]
