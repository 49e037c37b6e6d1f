"""Python text as a syntax tree, told from threads one after the other."""

from __future__ import annotations

import ast
import threading

# CPython counts the depth of a tree for all threads together (github.com/python/cpython/issues/106905): two that
# parse at once can end in "AST constructor recursion depth mismatch".
_turn = threading.Lock()


def parsed(source: str) -> ast.Module:
    """The statements of a cell. Raises SyntaxError, as `ast.parse` does."""
    with _turn:
        return ast.parse(source)
