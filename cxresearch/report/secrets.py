"""Secrets: what stands in no output, and how a text or a record is written without it.

A value is a secret where its parameter or environment variable is named so (password, token, key …), and in an address
everything before the `@` is one.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

HIDDEN = "***"
LEAST = 4  # a shorter value cannot be told from other text; it is hidden where its name stands, not in running text
WORDS = "password|passwd|passphrase|pwd|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key"
_NAMED = re.compile(
    rf"(?i:(?:^|[_.-])(?:{WORDS})s?(?:$|[_.-])|(?:^|[_.-])keys?$)|[a-z](?:Key|Token|Password|Secret)s?$"
)
_ADDRESS = re.compile(r"""(\b[A-Za-z][\w+.-]+:/{1,2})(?:[^\s/"'<>@]+|[^\s/"'<>:@]*:[^\s"'<>]*)@""")
_QUOTED = re.compile(rf"""(?i)((?:[\w.-]*[_.-])?(?:{WORDS})s?["']?\s*(?::[^=\n"']*)?[=:]\s*)(["'])(?:(?!\2)[^\n])+\2""")
_BARE = re.compile(rf"""(?i)((?:[\w.-]*[_.-])?(?:{WORDS})s?=|--[\w-]*(?:{WORDS})[\w-]*[ =])[^\s&;,"'<>()]+""")
_HOME = re.compile(r"(?<![\w/.])(/home/|/Users/|[A-Z]:\\{1,2}Users\\{1,2})[^/\\\s\"'<>:]+")


def named(name: str) -> bool:
    """Whether a value of this name is a secret: `token`, `db_password`, `apiKey`."""
    return bool(_NAMED.search(name))


def shown(name: str, value: Any) -> Any:
    """The value of a parameter as it may be written down."""
    return HIDDEN if named(name) and value not in (None, "", []) else Secrets(()).value(value)


@dataclass(frozen=True)
class Secrets:
    """The values that must not be seen, and texts without them."""

    values: tuple[str, ...]

    def text(self, text: str, *, code: bool = False) -> str:
        """A text without secrets and users' names; in `code` only what stands in quotes is taken out, so that it still runs."""
        for value in self.values:
            text = text.replace(value, HIDDEN)
        if "@" in text:
            text = _ADDRESS.sub(rf"\1{HIDDEN}@", text)
        text = _QUOTED.sub(rf"\1\2{HIDDEN}\2", text)
        if not code:
            text = _BARE.sub(rf"\1{HIDDEN}", text)
        return _HOME.sub("~", text)

    def value(self, value: Any) -> Any:
        """Plain data without secrets: in texts, and whole where the name says so."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            hidden = {key for key, one in value.items() if named(str(key)) and one not in (None, "", [])}
            return {key: HIDDEN if key in hidden else self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list | tuple) else value


def among(parameters: Iterable[Mapping[str, Any]]) -> Secrets:
    """The secrets that a run knows: values of parameters named so, what addresses carry, and the environment's own."""
    found: set[str] = set()
    for given in parameters:
        for name, value in given.items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str):
                    found |= (
                        {one} if named(name) else {address.partition(":")[2].strip("/@") for address in _addresses(one)}
                    )
    # of the environment only what looks drawn by chance: `off` or `default` are words that a report may need
    found |= {v for k, v in os.environ.items() if named(k) and len(v) >= 2 * LEAST and re.search(r"[^a-z/]", v)}
    found |= {part for one in found if ":" in one for part in [one.rpartition(":")[2]]}
    written = {form for one in found if len(one) >= LEAST for form in _forms(one)}
    return Secrets(tuple(sorted(written, key=lambda one: (-len(one), one))))


def _addresses(text: str) -> list[str]:
    return [match[0] for match in _ADDRESS.finditer(text)]


def _forms(secret: str) -> set[str]:
    """How a secret may stand in an output: plain, in an address, in a page, in source, in JSON."""
    return {secret, quote(secret, safe=""), html.escape(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
