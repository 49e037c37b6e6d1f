"""No case of the reference is forgotten: it is compared, or named with what is not built."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

from reference_case import BUILT, NOT_BUILT


def test_every_case_is_built_or_named(reference: Path) -> None:
    """A case that is added to the reference cannot be forgotten."""
    for file in sorted(Path(__file__).parent.glob("test_reference_*.py")):
        import_module(file.stem)
    index = {entry["id"] for entry in json.loads((reference / "index.json").read_text(encoding="utf-8"))}
    assert sorted([*BUILT, *NOT_BUILT]) == sorted(index)
    assert len(set(BUILT)) == len(BUILT)
