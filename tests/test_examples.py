"""The examples in the docstrings of the public verbs run, and say what they show."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import cxresearch as cx

# verbs that are shown at work elsewhere, and names that are no verbs
NO_EXAMPLE = {"Finding", "Study", "charts", "judge", "open_ledger", "open_scorecard", "open_study", "simulate"}
VERBS = sorted(set(cx.__all__) - NO_EXAMPLE - {"__version__"})


@pytest.mark.parametrize("name", VERBS)
def test_example_runs(name: str, small_operator: Path) -> None:
    """`help(verb)` ends with an example on `study`, a simulated operator of 2,000 customers (its file: `data`), that gives what it prints."""
    verb = getattr(cx, name)
    parser, flags = doctest.DocTestParser(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    study = cx.open_study(str(small_operator))
    example = parser.get_doctest(
        inspect.getdoc(verb) or "", {"cx": cx, "study": study, "data": str(small_operator)}, name, None, None
    )
    assert example.examples, f"{name} has no example"
    told: list[str] = []
    failed = doctest.DocTestRunner(optionflags=flags).run(example, out=told.append)
    assert failed.failed == 0, "".join(told)
