"""Whether anything in a notebook reads a parameter, told from its source, never run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cxresearch.report.parameters import TAG, read
from cxresearch.report.syntax import parsed


def unread(notebook: Mapping[str, Any]) -> list[str]:
    """The parameters that no later cell reads before it gives the name another value: whoever sets them is fooled."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    later = [cell["source"] for cell in cells if TAG not in cell["metadata"].get("tags", [])]
    open_still, found = dict.fromkeys(read(notebook)), set()
    for names, bound in (step for source in later for step in _steps(source)):
        found |= {name for name in names if name in open_still}
        open_still = {name: None for name in open_still if name not in bound}
    return [name for name in read(notebook) if name not in found]


def _steps(source: str) -> Iterator[tuple[set[str], set[str]]]:
    """For each statement of a cell the names that it may read, and those that it then binds anew for sure."""
    # Lines of the notebook shell (%timeit, !ls) are no Python; any word in them may be a name that is read.
    lines = source.splitlines()
    shell = [line for line in lines if line.lstrip().startswith(("%", "!"))]
    try:
        body = parsed("\n".join("" if line in shell else line for line in lines)).body
    except SyntaxError:  # the run will say so
        body, shell = [], lines
    yield {word for line in shell for word in re.findall(r"\w+", line)}, set()
    for statement in body:
        nodes = list(ast.walk(statement))
        names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        # pandas reads names from text: frame.query("month == @period")
        texts = (n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
        names |= {name for text in texts for name in re.findall(r"@(\w+)", text)}
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            names.add(statement.target.id)
        plain = isinstance(statement, ast.Assign | ast.AnnAssign)
        bound = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} if plain else set()
        yield names, bound
