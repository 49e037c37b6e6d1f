"""Markdown of the researcher as nodes that page and paper both set: words and marks, never raw HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cxresearch.report.blocks import Node

LINKS = ("https://", "http://", "mailto:", "#")


@dataclass
class Outline:
    """Keeps headings of prose below their chapter and without skipped levels."""

    base: int
    last: int = 0

    def level(self, written: int) -> int:
        """The level that a heading gets, from the number of its `#`."""
        wanted = self.base + max(0, written - 2)
        self.last = min(wanted, max(self.last, self.base - 1) + 1, 6)
        return self.last


def title(source: str) -> str | None:
    """The words of the first `# heading`, or None where there is none."""
    titles = (token for token in _markdown()(source) if _is_title(token))
    return next((plain(_inlines(token["children"])) for token in titles), None)


def nodes(source: str, outline: Outline, without: str) -> list[Node]:
    """The nodes of a markdown cell without its first heading where that is the chapter's title, `without`."""
    tokens = [token for token in _markdown()(source) if token["type"] != "blank_line"]
    if tokens and _is_title(tokens[0]) and plain(_inlines(tokens[0]["children"])) == without:
        del tokens[0]
    return [node for token in tokens for node in _block(token, outline)]


def plain(nodes: Iterable[Node]) -> str:
    """The words of inline nodes without their marks."""
    return "".join(node.get("s", "") or plain(node.get("c", [])) for node in nodes)


@cache
def _markdown() -> Any:
    import mistune

    return mistune.create_markdown(renderer="ast", plugins=["table", "strikethrough"])


def _is_title(token: Mapping[str, Any]) -> bool:
    return bool(token["type"] == "heading" and token["attrs"]["level"] == 1)


def _block(token: Mapping[str, Any], outline: Outline) -> list[Node]:
    kind = token["type"]
    if kind == "blank_line":
        return []
    if kind == "heading":
        return [{"t": "heading", "level": outline.level(token["attrs"]["level"]), "c": _inlines(token["children"])}]
    if kind in ("paragraph", "block_text"):
        return [{"t": "para", "c": _inlines(token["children"])}]
    if kind == "list":
        items = [[n for t in item["children"] for n in _block(t, outline)] for item in token["children"]]
        return [{"t": "list", "ordered": token["attrs"]["ordered"], "items": items}]
    if kind == "block_quote":
        return [{"t": "quote", "c": [n for t in token["children"] for n in _block(t, outline)]}]
    if kind == "block_code":
        return [{"t": "code", "s": token["raw"].rstrip("\n")}]
    if kind == "thematic_break":
        return [{"t": "rule"}]
    if kind == "table":
        return [_table(token)]
    return [{"t": "para", "c": [{"t": "text", "s": token.get("raw", "").strip()}]}]  # raw HTML stays text


def _table(token: Mapping[str, Any]) -> Node:
    head, *bodies = token["children"]
    rows = [row for body in bodies for row in body["children"]]
    return {
        "t": "table",
        "head": [_inlines(cell["children"]) for cell in head["children"]],
        "numeric": [cell["attrs"].get("align") == "right" for cell in head["children"]],
        "rows": [[_inlines(cell["children"]) for cell in row["children"]] for row in rows],
    }


def _inlines(tokens: Iterable[Mapping[str, Any]]) -> list[Node]:
    nodes: list[Node] = []
    for token in tokens:
        kind = token["type"]
        if kind in ("strong", "emphasis", "strikethrough"):
            nodes.append({"t": kind, "c": _inlines(token["children"])})
        elif kind == "codespan":
            nodes.append({"t": "code", "s": token["raw"]})
        elif kind == "link" and token["attrs"]["url"].lower().startswith(LINKS[:3]):
            nodes.append({"t": "link", "href": token["attrs"]["url"], "c": _inlines(token["children"])})
        elif kind == "linebreak":
            nodes.append({"t": "break"})
        elif kind == "softbreak":
            nodes.append({"t": "text", "s": " "})
        elif "children" in token:  # a picture from elsewhere is a request: only its words are kept
            nodes.extend(_inlines(token["children"]))
        else:
            nodes.append({"t": "text", "s": token.get("raw", "")})
    return nodes
