"""Values for parameters from a file, in TOML or JSON: typed by the file, and no name twice."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxresearch.errors import UsageError
from cxresearch.report.parameters import Parameter, parse


def from_file(path: Path, shown: str) -> dict[str, Any]:
    """The values that a file gives by name, typed as TOML and JSON type them; `shown` names it in errors."""
    if path.suffix not in (".toml", ".json"):
        raise UsageError(f"{shown}: a file of values ends with .toml or .json")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        values = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except OSError as error:
        raise UsageError(f"{shown}: {(error.strerror or 'not readable').lower()}") from None
    except RecursionError:
        raise UsageError(f"{shown}: lists or tables within one another, too deep to read") from None
    except ValueError as error:  # of TOML, of JSON, and of letters that are no UTF-8
        raise UsageError(f"{shown}: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f'{shown}: expected names with values, as {{"window": 12}}')
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]!r} is given twice")
    return dict(pairs)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def dated(values: Mapping[str, Any], form: Mapping[str, Parameter], file: str) -> dict[str, Any]:
    """The values with dates where JSON, which has none, gives their text; TOML has dates of its own."""
    if not file.endswith(".json"):
        return dict(values)
    return {name: _dated(value, form[name]) for name, value in values.items()}


def _dated(value: Any, parameter: Parameter) -> Any:
    if isinstance(value, list) and parameter.kind.item is not None:
        return [_dated(one, replace(parameter, kind=parameter.kind.item)) for one in value]
    return parse(value, parameter) if parameter.kind.name == "date" and isinstance(value, str) else value
