"""The form of a notebook: values keep the type that is declared, and what does not fit is refused."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from typing import Any

import pytest

from cxresearch.errors import UsageError
from cxresearch.report import edition, parameters
from cxresearch.report.archive import ROOT
from cxresearch.report.parameters import Day, Translator, check, parse, read, sent
from cxresearch.report.readers import unread


def notebook(form: str, *later: str) -> dict[str, Any]:
    def cell(source: str, *tags: str) -> dict[str, Any]:
        return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}

    return {"cells": [cell(form, "parameters"), *map(cell, later)]}


def one(line: str) -> parameters.Parameter:
    return next(iter(read(notebook(line)).values()))


def test_a_line_of_the_form_is_read_whole():
    """Name, type, default, help and range of a parameter stand in its line."""
    window = one("window: int = 12  # periods that models look back over [1, 120]")
    assert (window.name, window.kind.name, window.default) == ("window", "int", 12)
    assert (window.help, window.low, window.high) == ("periods that models look back over", 1, 120)


@pytest.mark.parametrize("text", ["NO", "007", "12:30", "1.20", "nan", "true", "none", " x ", "", "1e5", "[1]"])
def test_text_stays_text(text: str):
    """Where text is declared, no value is re-typed by its look."""
    assert parse(text, one('segment: str = "all"')) == text


@pytest.mark.parametrize(
    ("line", "text", "value"),
    [
        ("n: int = 1", "007", 7),
        ("n: int = 1", "-3", -3),
        ("x: float = 1.0", "1.20", 1.2),
        ("x: float = 1.0", "3", 3.0),
        ("x: float = 1.0", "1e-3", 0.001),
        ("b: bool = True", "no", False),
        ("b: bool = False", "True", True),
        ("d: date = date(2026, 1, 1)", "2026-09-30", date(2026, 9, 30)),
        ("l: list[str] = []", "007, NO", ["007", "NO"]),
        ("l: list[int] = [1]", "1,2", [1, 2]),
        ("l: list[int] = [1]", "", []),
        ('k: Literal["a", "b"] = "a"', "b", "b"),
        ("k: Literal[1, 2] = 1", "2", 2),
        ("x: float | None = None", "", None),
        ("x: float | None = None", "2", 2.0),
    ],
)
def test_values_become_what_is_declared(line: str, text: str, value: Any):
    """A value from the command line has the declared type and no other."""
    found = parse(text, one(line))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("n: int = 1", "1.0"),
        ("n: int = 1", "1_000"),
        ("n: int = 1", "٣"),
        ("n: int = 1", ""),
        ("n: int = 12  # [1, 120]", "121"),
        ("x: float = 1.0", "nan"),
        ("x: float = 1.0", "inf"),
        ("x: float = 1.0", "1_000"),
        ("x: float = 1.0", "1e999"),
        ("b: bool = True", "1"),
        ("d: date = date(2026, 1, 1)", "20260930"),
        ("d: date = date(2026, 1, 1)", "2026-02-30"),
        ("l: list[int] = []", "1,x"),
        ("l: list[float] = [.5]  # [0, 1]", "0.5,2"),
        ('k: Literal["a", "b"] = "a"', "c"),
    ],
)
def test_values_that_do_not_fit_are_refused(line: str, text: str):
    """The error names the parameter, the value and what is allowed."""
    with pytest.raises(UsageError, match=f"parameter '{one(line).name}': .* is no "):
        parse(text, one(line))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("n: int = 1", True),
        ("n: int = 1", 1.0),
        ('s: str = ""', 7),
        ("b: bool = True", 1),
        ("d: date = date(2026, 1, 1)", datetime(2026, 1, 1)),  # noqa: DTZ001  (that it has no zone is not the point)
        ("d: date = date(2026, 1, 1)", "2026-01-01"),
        ("x: float = 1.0", float("nan")),
        ("l: list[str] = []", "abc"),
    ],
)
def test_typed_values_are_held_to_the_declaration(line: str, value: Any):
    """A value of an edition has the declared type already; it is not converted."""
    parameter = one(line)
    with pytest.raises(UsageError):
        check({parameter.name: value}, {parameter.name: parameter}, "a notebook")


def test_a_misspelt_parameter_is_refused_with_the_nearest():
    """No value is passed to nobody."""
    form = read(notebook('period: str = "latest"\nwindow: int = 12'))
    with pytest.raises(UsageError, match="no parameter 'perod' in churn; did you mean 'period'"):
        check({"perod": "2026-10"}, form, "churn")


@pytest.mark.parametrize(
    "form",
    [
        'start = "2026"',
        'a: str = "x"\nb: str = a + "y"',
        "import os",
        "n: int",
        "n: int = 200  # [1, 120]",
        "n: dict = {}",
        "n: int = 'x'",
        "n: 'int |' = 1",
        "n: '' = 1",
        "n: Literal[a + b] = 1",
        "n: date = date('a', 1, 1)",
        "n: date = date.fromisoformat(3)",
        "n: list[int] = {[]: 1}",
        "n: int = ",
    ],
)
def test_a_form_that_would_mislead_is_refused(form: str):
    """Computed values keep their old value when a parameter is given from outside; they belong in a later cell."""
    with pytest.raises(UsageError, match="churn, parameters cell, line"):
        read(notebook(form), "churn")


def test_parameters_that_nobody_reads_are_found():
    """A parameter that is set and never read would fool whoever sets it."""
    book = notebook('a: str = ""\nb: int = 1\nc: int = 2', "%matplotlib inline\nprint(f'{a}')", "c = 3")
    assert unread(book) == ["b", "c"]


@pytest.mark.parametrize(
    ("later", "ignored"),
    [
        (["print(a)"], []),
        (["a = 'other'", "print(a)"], ["a"]),
        (["a = a or 'other'", "print(a)"], []),
        (["a: str = 'other'\nprint(a)"], ["a"]),
        (["if b:\n    a = 'other'", "print(a)"], []),
        (["a += 'x'"], []),
        (["for a in b: print(a)"], []),
        (["found = frame.query('x == @a')"], []),
        (["%timeit -n 3 use(a)"], []),
        (["!echo {a}"], []),
        (["use?", "print(a"], []),
        (["print('a')"], ["a"]),
        (["print(x.a, f(a=1))"], ["a"]),
        (["print(f'{a:>{b}}')"], []),
    ],
)
def test_a_name_that_is_bound_anew_before_it_is_read_is_not_read(later: list[str], ignored: list[str]):
    """What is given from outside must reach something: a later value of the same name hides it."""
    assert unread(notebook('a: str = ""\nb: int = 1', *later, "print(b)")) == ignored


@pytest.mark.parametrize(
    ("line", "text", "value"),
    [
        ("l: list[str] = []", '"a, b", c', ["a, b", "c"]),
        ("l: list[str] = []", 'say ""', ['say ""']),
        ("l: list[float] = [.5]  # [0, 1]", "1, 0.5", [1.0, 0.5]),
        ("l: list[bool] = []", "yes, no", [True, False]),
        ("l: list[date] = []", "2026-01-01", [date(2026, 1, 1)]),
        ('l: list[Literal["x", "y"]] = []', "y,x", ["y", "x"]),
        ("l: list[int] | None = None", "", None),
    ],
)
def test_lists_have_parts_of_the_declared_type(line: str, text: str, value: Any):
    """Between commas; a part with a comma inside stands in double quotes."""
    found = parse(text, one(line))
    assert found == value
    assert [type(part) for part in found or []] == [type(part) for part in value or []]


def test_every_parameter_of_our_notebooks_is_read():
    """The forms of the notebooks are sound, and none of their parameters does nothing."""
    for name in edition.notebooks(ROOT):
        assert (name, unread(edition.notebook(name, ROOT))) == (name, [])


def test_forms_are_read_by_several_threads_at_once():
    """CPython 3.11 and 3.12 mix up the depths of two trees where collecting garbage lets another thread in."""
    book = notebook("n: int = 1", *["\n".join(["a = f(n + b * (c - [d, {e: g(1, 2, (3, 4))}]))"] * 300)] * 5)
    interval = sys.getswitchinterval()
    gc.callbacks.append(let_others_in)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: unread(book), range(16)))
    finally:
        sys.setswitchinterval(interval)
        gc.callbacks.remove(let_others_in)
    assert found == [[]] * 16


def let_others_in(*_: Any) -> None:
    """Run when garbage is collected: long enough for another thread to take over."""
    for _step in range(50):
        pass


def test_values_arrive_in_the_notebook_as_they_are():
    """What papermill writes into a notebook gives the same values again: dates as dates, text as text."""
    values = {
        "t": 'a "quoted" \\ \n line {x} 007',
        "d": date(2026, 9, 30),
        "l": [date(2026, 1, 1)],
        "n": None,
        "x": -1.5,
    }
    told = sent(values)
    assert isinstance(told["d"], Day)
    arrived: dict[str, Any] = {}
    exec(Translator.codify(told), arrived)
    assert {name: arrived[name] for name in values} == values
