"""A study small enough to be written in a test: frames in the words of the field, a mapping, and the study of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from cxresearch.data.opening import open_study
from cxresearch.data.study import Study

PERIOD = "2026-10"


def study_of(
    folder: Path,
    *,
    panel: pd.DataFrame | None = None,
    surveys: pd.DataFrame | None = None,
    columns: Mapping[str, str] | None = None,
    levels: Sequence[str] = ("customer",),
    segment: str = "all",
    window: int = 12,
    policy: str = "",
    period: str = "latest",
) -> Study:
    """The study of one or two frames, written to a folder.

    Columns are named as terms, or `columns` maps a term to what TOML says of it (`sat = '"CUSA1"'`), for the one
    frame there is. A frame without `period` is stated to be of one month, and its leavers are known.
    """
    lines = ['name = "small"', f"levels = {list(levels)}", policy]
    for name, frame in (("panel", panel), ("surveys", surveys)):
        if frame is None:
            continue
        frame.to_parquet(folder / f"{name}.parquet", index=False)
        lines += [f"[tables.{name}]", f'file = "{name}.parquet"']
        if "period" not in frame.columns:
            lines.append(f'period = "{PERIOD}"')
        if columns:
            lines += [f"[tables.{name}.columns]", *(f"{term} = {own}" for term, own in columns.items())]
    (folder / "small.toml").write_text("\n".join(lines), encoding="utf-8")
    return open_study(str(folder / "small.toml"), period=period, segment=segment, window=window)
