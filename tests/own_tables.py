"""Own tables as an operator might bring them: a study file and the files it names, written into a folder."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd

from cxresearch.data.opening import open_study
from cxresearch.data.study import Study

PANEL = """
name = "own"
[tables.panel]
file = "panel.csv"
[tables.panel.columns]
customer_id = "id"
period = "month"
"""


def study_file(folder: Path, text: str, **tables: str | bytes | pd.DataFrame) -> str:
    """The path of a study file with this text; `panel="id,month\\n…"` is written beside it as panel.csv."""
    for name, content in tables.items():
        write_csv(folder / f"{name}.csv", content)
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def open_own(
    folder: Path,
    text: str,
    period: str = "latest",
    segment: str = "all",
    window: int = 12,
    **tables: str | bytes | pd.DataFrame,
) -> Study:
    """The study of a study file with this text and these tables."""
    return open_study(study_file(folder, text, **tables), period=period, segment=segment, window=window)


def write_csv(path: Path, content: str | bytes | pd.DataFrame) -> None:
    """Text, bytes or a frame as a csv file."""
    text = content.to_csv(index=False) if isinstance(content, pd.DataFrame) else content
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def write_as(kind: str, path: Path, frame: pd.DataFrame) -> None:
    """A frame as one of the kinds of file that a study reads."""
    if kind == ".csv":
        write_csv(path, frame)
    elif kind == ".csv.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside.csv", frame.to_csv(index=False))
    elif kind == ".parquet":
        frame.to_parquet(path, index=False)
    elif kind == ".xlsx":
        write_xlsx(path, frame)
    else:
        import duckdb

        with duckdb.connect(path) as connection:
            connection.register("given", frame)
            connection.sql("create table customers as select * from given")


CONTENT_TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>
</Types>"""
RELATIONS = """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/>
</Relationships>"""
WORKBOOK = """<?xml version="1.0" encoding="UTF-8"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>"""


def write_xlsx(path: Path, frame: pd.DataFrame) -> None:
    """A workbook of one sheet, by hand: nothing that the project needs writes Excel files."""
    lines = [list(frame.columns), *frame.astype(object).where(frame.notna(), None).to_numpy().tolist()]
    rows = "".join(f"<row>{''.join(_cell(value) for value in line)}</row>" for line in lines)
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", RELATIONS.format(kind="officeDocument", target="xl/workbook.xml"))
        archive.writestr(
            "xl/_rels/workbook.xml.rels", RELATIONS.format(kind="worksheet", target="worksheets/sheet1.xml")
        )
        archive.writestr("xl/workbook.xml", WORKBOOK)
        archive.writestr("xl/worksheets/sheet1.xml", sheet)


def _cell(value: object) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"
