"""The form of a notebook: its cell tagged `parameters`, read as text, never run.

Each line is `name: type = default  # help [low, high]`. A value from outside becomes what the line declares and
nothing else: `007` stays text where text is declared, and is the number 7 where a whole number is.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from cxresearch.data.terms import nearest
from cxresearch.errors import UsageError
from cxresearch.report.secrets import shown
from cxresearch.report.syntax import parsed

TAG = "parameters"
PLAIN = ("str", "int", "float", "bool", "date")
WORDS = {"true": True, "yes": True, "false": False, "no": False}
RANGE = re.compile(r"\[\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*\]\s*$")
WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Kind:
    """What a value may be: one of `PLAIN`, a `list` of `item`, or one of the `options` of a `literal`."""

    name: str
    item: Kind | None = None
    options: tuple[Any, ...] = ()
    optional: bool = False

    @property
    def declared(self) -> str:
        """The type as it is written in the form; the options of a Literal are told apart from it."""
        text = f"list[{self.item.declared}]" if self.item else self.name.replace("literal", "Literal")
        return f"{text} | None" if self.optional else text

    def __str__(self) -> str:
        if self.name == "list":
            text = f"list of {self.item}"
        elif self.name == "literal":
            text = "one of " + ", ".join(str(option) for option in self.options)
        else:
            text = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(
                self.name, "date such as 2026-10-31"
            )
        return f"{text}, or empty" if self.optional else text


@dataclass(frozen=True)
class Parameter:
    """One line of the form."""

    name: str
    kind: Kind
    default: Any
    help: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def allowed(self) -> str:
        """What the parameter takes, in words."""
        span = f" from {self.low:g} to {self.high:g}" if self.low is not None and self.high is not None else ""
        return f"{self.kind}{span}"


def told(parameter: Parameter, *, is_read: bool) -> dict[str, Any]:
    """A line of the form as plain data, for other programs; a date is text there, since JSON has none."""
    span = None
    if parameter.low is not None and parameter.high is not None:
        span = [int(end) if end.is_integer() else end for end in (parameter.low, parameter.high)]
    return {
        "name": parameter.name,
        "type": parameter.kind.declared,
        "default": shown(parameter.name, parameter.default),
        "range": span,
        "options": list((parameter.kind.item or parameter.kind).options) or None,
        "help": parameter.help,
        "read": is_read,
    }


class Day(str):
    """A date on its way into a notebook: text in the file's metadata, a date in the notebook."""

    __slots__ = ()


def opened(path: Path) -> dict[str, Any]:
    """A notebook file as plain data, each cell's source one text; light, because a command line waits for it."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path.name} is no notebook: {error}") from None
    return dict(notebook)


def read(notebook: Mapping[str, Any], name: str = "the notebook") -> dict[str, Parameter]:
    """The parameters of a notebook by name, in the order of its form."""
    cells = [cell for cell in notebook["cells"] if TAG in cell["metadata"].get("tags", [])]
    if not cells:
        return {}
    source = cells[0]["source"]
    try:
        statements = parsed(source).body
    except SyntaxError as error:
        raise UsageError(f"{name}, parameters cell, line {error.lineno}: {error.msg}") from None
    comments = _comments(source)
    found = {}
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module in ("datetime", "typing"):
            continue
        parameter = _parameter(statement, comments.get(statement.end_lineno or 0, ""), name)
        found[parameter.name] = parameter
    return found


def _comments(source: str) -> dict[int, str]:
    """The comment of each line that has one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}


def _parameter(statement: ast.stmt, comment: str, name: str) -> Parameter:
    where = f"{name}, parameters cell, line {statement.lineno}"
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
        # A value computed here would keep its old value when a parameter is given from outside.
        raise UsageError(f"{where}: expected `name: type = default`; values that are computed belong in a later cell")
    kind = _kind(statement.annotation)
    if kind is None:
        allowed = f"{', '.join(PLAIN)}, list[…], Literal[…] and `… | None`"
        raise UsageError(f"{where}: no type {ast.unparse(statement.annotation)!r}; there are {allowed}")
    span = RANGE.search(comment) if kind.name in ("int", "float", "list") else None
    low, high = (float(span[1]), float(span[2])) if span else (None, None)
    text = comment[: span.start()].strip() if span else comment
    try:
        default = _default(statement.value)
    except (ValueError, TypeError):
        message = f"{where}: the default of {statement.target.id!r} must be written out, not computed"
        raise UsageError(f"{message}; values that are computed belong in a later cell") from None
    parameter = Parameter(statement.target.id, kind, default, text, low, high)
    return Parameter(parameter.name, kind, fitted(default, parameter, where), text, low, high)


def _kind(node: ast.expr) -> Kind | None:
    """What an annotation declares; None where it is no type that a value from outside can have."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            written = parsed(node.value).body
        except SyntaxError:
            return None
        return _kind(written[0].value) if len(written) == 1 and isinstance(written[0], ast.Expr) else None
    if isinstance(node, ast.Name) and node.id in PLAIN:
        return Kind(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        if isinstance(node.right, ast.Constant) and node.right.value is None and (kind := _kind(node.left)):
            return Kind(kind.name, kind.item, kind.options, optional=True)
        return None
    if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
        return None
    if node.value.id == "list":
        item = _kind(node.slice)
        return Kind("list", item) if item and item.name != "list" and not item.optional else None
    if node.value.id == "Literal":
        options = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        try:
            return Kind("literal", options=tuple(ast.literal_eval(option) for option in options))
        except ValueError:  # a name or a sum
            return None
    return None


def _default(node: ast.expr) -> Any:
    """A default that is written out: a literal, `date(2026, 10, 31)` or `date.fromisoformat("2026-10-31")`."""
    if isinstance(node, ast.Call) and not node.keywords:
        arguments = [ast.literal_eval(argument) for argument in node.args]
        if ast.unparse(node.func) == "date" and len(arguments) == 3:
            return date(*arguments)
        if ast.unparse(node.func) == "date.fromisoformat" and len(arguments) == 1:
            return date.fromisoformat(arguments[0])
    return ast.literal_eval(node)


def parse(text: str, parameter: Parameter) -> Any:
    """The text of a command line as a value of the declared type; refused where it is none."""
    kind = parameter.kind
    if kind.optional and text == "":
        return None
    if kind.name == "list" and kind.item is not None:
        one = Parameter(parameter.name, kind.item, None, low=parameter.low, high=parameter.high)
        return [parse(part.strip(), one) for part in _parts(text, parameter.name)] if text.strip() else []
    try:
        value = _one(text, kind)
    except ValueError:
        told = shown(parameter.name, text)
        raise UsageError(f"parameter {parameter.name!r}: {told!r} is no {parameter.allowed}") from None
    return fitted(value, parameter)


def _parts(text: str, name: str) -> list[str]:
    """The parts of a list as one text: between commas, and what has a comma inside stands in double quotes."""
    try:
        return next(csv.reader([text], skipinitialspace=True, strict=True))
    except (csv.Error, StopIteration) as error:
        raise UsageError(f"parameter {name!r}: {text!r} is no list of parts between commas: {error}") from None


def _one(text: str, kind: Kind) -> Any:
    if kind.name == "int" and WHOLE.fullmatch(text):
        return int(text)
    if kind.name == "float" and NUMBER.fullmatch(text):
        return float(text)
    if kind.name == "bool" and text.lower() in WORDS:
        return WORDS[text.lower()]
    if kind.name == "date" and DAY.fullmatch(text):
        return date.fromisoformat(text)
    if kind.name == "literal":
        for option in kind.options:
            if str(option) == text:
                return option
    if kind.name == "str":
        return text
    raise ValueError(text)


def fitted(value: Any, parameter: Parameter, where: str = "") -> Any:
    """The value where its type and range are those declared (whole numbers may stand for numbers); else refused."""
    fits = _fits(value, parameter.kind)
    if fits and parameter.low is not None and parameter.high is not None and value is not None:
        numbers = value if isinstance(value, list) else [value]
        fits = all(parameter.low <= number <= parameter.high for number in numbers)
    if not fits:
        start = f"{where}: " if where else ""
        told = shown(parameter.name, value)
        raise UsageError(f"{start}parameter {parameter.name!r}: {told!r} is no {parameter.allowed}")
    if parameter.kind.name == "list" and value is not None and str(parameter.kind.item) == "number":
        return [float(one) for one in value]
    return float(value) if parameter.kind.name == "float" and value is not None else value


def _fits(value: Any, kind: Kind) -> bool:
    if value is None:
        return kind.optional
    if kind.name == "list":
        return isinstance(value, list) and kind.item is not None and all(_fits(one, kind.item) for one in value)
    if kind.name == "literal":
        return any(value == option and type(value) is type(option) for option in kind.options)
    if kind.name == "float":
        return type(value) in (int, float) and math.isfinite(value)
    if kind.name == "date":
        return isinstance(value, date) and not isinstance(value, datetime)
    if kind.name == "str":
        return isinstance(value, str) and _can_be_typed(value)
    return type(value).__name__ == kind.name


def _can_be_typed(text: str) -> bool:
    """Whether a command line can hold a text and a file can: no zero byte, no half letters."""
    return "\0" not in text and text.encode("utf-8", "ignore").decode() == text


def named(name: str, parameters: Mapping[str, Parameter], where: str, source: str = "") -> Parameter:
    """The parameter of that name; an unknown one is refused with the nearest match, and the file that gives it."""
    if name not in parameters:
        start = f"{source}: " if source else ""
        raise UsageError(f"{start}no parameter {name!r} in {where}{nearest(name, list(parameters))}")
    return parameters[name]


def check(values: Mapping[str, Any], parameters: Mapping[str, Parameter], where: str) -> dict[str, Any]:
    """The values, each known and of its declared type and range; else refused."""
    return {name: fitted(value, named(name, parameters, where), where) for name, value in values.items()}


class Translator:
    """How papermill writes values into a notebook: text as text, dates as dates."""

    @classmethod
    def codify(cls, parameters: Mapping[str, Any], comment: str = "Parameters") -> str:
        """The source of the cell that sets the values."""
        lines = [f"# {comment}"]
        if any(isinstance(value, Day) for value in _flat(parameters.values())):
            lines.append("from datetime import date\n")
        lines += [f"{name} = {cls._written(value)}" for name, value in parameters.items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def _written(cls, value: Any) -> str:
        if isinstance(value, Day):
            day = date.fromisoformat(value)
            return f"date({day.year}, {day.month}, {day.day})"
        if isinstance(value, list):
            return f"[{', '.join(cls._written(one) for one in value)}]"
        return repr(value)

    @classmethod
    def inspect(cls, parameters_cell: Mapping[str, Any]) -> list[Any]:
        """The parameters as papermill lists them."""
        from papermill.models import Parameter as Listed

        found = read({"cells": [parameters_cell]})
        return [Listed(p.name, str(p.kind), repr(p.default), p.help) for p in found.values()]


def _flat(values: Iterable[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def sent(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as papermill takes them: dates as `Day`, so that the notebook's metadata stays JSON."""

    def one(value: Any) -> Any:
        return Day(value.isoformat()) if isinstance(value, date) else value

    return {k: [one(item) for item in v] if isinstance(v, list) else one(v) for k, v in values.items()}
