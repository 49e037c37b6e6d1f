"""New notebooks: a question becomes a file that runs, with one step of each kind to change."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path

from cxresearch.errors import UsageError
from cxresearch.report.parameters import opened

TEMPLATE = Path(__file__).parent / "templates" / "question.ipynb"
LONGEST = 60  # letters of a name


def slug(question: str) -> str:
    """The name that a question gives its notebook: `how_do_complaints_go_with_leaving`."""
    plain = unicodedata.normalize("NFKD", question).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    if not words or not words[0][0].isalpha():
        raise UsageError(f"the question {question!r} gives no name: begin it with a word in letters from a to z")
    name = words[0][:LONGEST]
    for word in words[1:]:
        if len(name) + 1 + len(word) > LONGEST:
            break
        name += f"_{word}"
    return name


def write(question: str, root: Path) -> Path:
    """Write the notebook of a question to `notebooks/`; one that is there already is left as it is."""
    asked = " ".join(question.split())
    asked = f"{asked[:1].upper()}{asked[1:].rstrip('?. ')}?"
    name = slug(asked)
    path = root / "notebooks" / f"{name}.ipynb"
    book = opened(TEMPLATE)
    _, _, rest = book["cells"][0]["source"].partition("\n")
    book["cells"][0]["source"] = f"# {asked}\n{rest}"
    for number, cell in enumerate(book["cells"]):
        cell["id"] = f"{name[:40].strip('_')}-{number:02d}".replace("_", "-")
        cell["source"] = cell["source"].splitlines(keepends=True)
    try:
        # the name is taken and the file made in one step: nobody's notebook is written over
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        raise UsageError(f"notebooks/{path.name} is there already; open it, or ask in other words") from None
    with open(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(book, ensure_ascii=False, indent=1) + "\n")
    return path
