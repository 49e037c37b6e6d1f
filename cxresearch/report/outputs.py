"""Outputs: what of an executed notebook is kept with a report, by a whitelist.

Kept are findings, verdicts, what else the house shows, charts, one printed line a cell, and errors by their first
line. A table of pandas, a picture or longer printed text may hold rows of customers; a line says what was left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxresearch.report import archive
from cxresearch.report.secrets import Secrets

SHOWN = "application/vnd.cxresearch."  # kinds of output that are made by the house begin so
CHART = "image/svg+xml"
LINE = 300  # letters of one printed line
MOST_MARKS = 400  # a chart of findings has fewer; a scatter of customers has more
ABOUT = ("kernelspec", "language_info")
NOT_ONE_LINE = "printed text of {lines} lines was left out: it may hold rows of customers"
NOT_SHOWN = "a result of kind {kind} was left out: it may hold rows of customers; show a finding, or a chart of one"
TOO_MANY = "a chart with {marks} marks was left out: each may be a customer; draw bins or a finding"


def tidied(notebook: Any, root: Path, made: Path, hidden: Secrets) -> Any:
    """The notebook as it is published: whitelisted, without secrets, clock, chance and paths of this machine.

    Equal runs give equal files.
    """
    import nbformat

    about = notebook.metadata.get("papermill", {})
    metadata = {key: notebook.metadata[key] for key in ABOUT if key in notebook.metadata}
    metadata["papermill"] = {key: about.get(key) for key in ("parameters", "version", "exception")}
    notebook.metadata = nbformat.from_dict(hidden.value(metadata))
    for number, cell in enumerate(notebook.cells):
        cell.metadata.pop("papermill", None)
        cell["source"] = hidden.text(cell["source"], code=cell["cell_type"] == "code")
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = f"injected-{number}"
        if cell["cell_type"] == "code":
            cell["outputs"] = [hidden.value(kept(output)) for output in _joined(cell.get("outputs", []))]
    inside = made.relative_to(root).as_posix() if made.is_relative_to(root) else str(made)
    text = json.dumps(notebook).replace(f"{inside}/", "")
    return nbformat.from_dict(json.loads(archive.without_paths(text, root, made)))


def kept(output: Mapping[str, Any]) -> dict[str, Any]:
    """One output as it is kept, or the line that says that it was not."""
    kind = output["output_type"]
    if kind == "stream":
        return dict(output) if _one_line(output["text"]) else _line(_too_long(output["text"]))
    if kind == "error":
        return _first_line(output)
    data = dict(output.get("data", {}))
    about = dict(output.get("metadata") or {})
    if CHART in data and (marks := _written(data[CHART]).count("<use ")) > MOST_MARKS:
        return _line(TOO_MANY.format(marks=marks))
    if any(mime.startswith(SHOWN) for mime in data):
        # the two texts beside a finding are made from it
        stays = {mime: one for mime, one in data.items() if mime.startswith((SHOWN, "text/"))}
    elif CHART in data:
        stays = {mime: one for mime, one in data.items() if mime in (CHART, "text/plain")}
    elif set(data) <= {"text/plain"}:
        text = data.get("text/plain", "")
        return dict(output) if _one_line(text) else _line(_too_long(text))
    else:
        return _line(NOT_SHOWN.format(kind=sorted(set(data) - {"text/plain"})[0]))
    return {**output, "data": stays, "metadata": {mime: one for mime, one in about.items() if mime in stays}}


def _joined(outputs: list[Any]) -> list[Any]:
    """The outputs with neighbouring pieces of one stream as one, as they were printed."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if (
            last is not None
            and output["output_type"] == last["output_type"] == "stream"
            and output["name"] == last["name"]
        ):
            joined[-1] = {**last, "text": _written(last["text"]) + _written(output["text"])}
        else:
            joined.append(output)
    return joined


def _written(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


def _one_line(text: Any) -> bool:
    written = _written(text).rstrip("\n")
    return len(written) <= LINE and len(written.splitlines()) <= 1


def _too_long(text: Any) -> str:
    return NOT_ONE_LINE.format(lines=len(_written(text).splitlines()))


def _line(text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}


def _first_line(output: Mapping[str, Any]) -> dict[str, Any]:
    """An error whose message is its first line: further lines often show the values that did not fit."""
    message = _written(output.get("evalue", ""))
    lines = message.strip().splitlines()
    short = lines[0][:LINE] if lines else ""
    traceback = [_written(part) for part in output.get("traceback", [])]
    if short != message and message:
        traceback = [re.sub(re.escape(message), lambda _: short, part) for part in traceback]
    return {**output, "evalue": short, "traceback": traceback}
