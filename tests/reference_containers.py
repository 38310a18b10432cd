"""The extract of hospital h12 in other containers: one workbook, fixed width by bytes, SAS transport files; and the site file that each needs.

Belongs here: how a table of texts is put into a container. Does not belong here: facts, other formats (`tests/reference_retold.py`).
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
from openpyxl import Workbook

from assets.simulation.render_emr import HEADERS

Files = dict[str, bytes | str]
Table = tuple[list[str], list[list[str]]]

TITLE = "2026년 연구용 추출"
GROUP = "기본정보"
"""Stands above the second and third column of each sheet, merged."""
WIDTHS = 48
"""Bytes of each column of a fixed-width file; longer texts are cut, at a letter."""


def _tables(folder: Path) -> dict[str, Table]:
    """Stem of the file -> header and rows."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        header, *rows = csv.reader(io.StringIO(path.read_bytes().decode("cp949")))
        found[path.stem] = (header, rows)
    return found


def emr_as_workbook(folder: Path) -> Files:
    """One workbook: a sheet of explanations, then a sheet a table, each below a title and a header of two rows; days and times as cells of that type."""
    book = Workbook()
    about = book.active
    assert about is not None
    about.title = "설명"
    for line in ("이 자료는 연구용입니다", "담당: 의료정보팀"):
        about.append([line])
    for name, (header, rows) in _tables(folder).items():
        sheet = book.create_sheet(name)
        sheet.append([TITLE])
        sheet.append([header[0], GROUP, None, *header[3:]])
        sheet.append([None, *header[1:3]])
        sheet.merge_cells("B2:C2")
        for column in (1, *range(4, len(header) + 1)):
            sheet.merge_cells(start_row=2, end_row=3, start_column=column, end_column=column)
        for row in rows:
            sheet.append([_cell(value) for value in row])
    out = io.BytesIO()
    book.save(out)
    return {"추출.xlsx": out.getvalue()}


def _cell(text: str) -> Any:
    """What somebody typed becomes a day or a time; numbers stay texts, for a key may begin with 0."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return date.fromisoformat(text)
    if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text):
        return datetime.fromisoformat(text)
    return text or None


def emr_in_fixed_width(folder: Path) -> Files:
    """CP949 by bytes: a Korean letter takes two, and no header says what stands where."""
    return {
        f"{name}.dat": b"".join(b"".join(_field(value) for value in row) + b"\r\n" for row in rows)
        for name, (_, rows) in _tables(folder).items()
    }


def _field(text: str) -> bytes:
    cut = text.encode("cp949")[:WIDTHS].decode("cp949", errors="ignore")
    return cut.encode("cp949").ljust(WIDTHS)


def emr_as_transport_files(folder: Path) -> Files:
    """SAS transport files, version 8, whose texts are UTF-8; a transport file names its columns in eight letters of ASCII."""
    files: Files = {}
    with tempfile.TemporaryDirectory() as place:
        for name, (_, rows) in _tables(folder).items():
            path = Path(place) / "table.xpt"
            frame = pd.DataFrame({f"C{at}": [row[at] for row in rows] for at in range(len(rows[0]))})
            pyreadstat.write_xport(frame, str(path), file_format_version=8)
            files[f"{name}.xpt"] = path.read_bytes()
    return files


_MAP = re.compile(r'^(\w+) = "(.+)"$', re.MULTILINE)


def _columns(text: str) -> dict[str, dict[str, str]]:
    """Entity -> our field -> the hospital's header."""
    parts = re.split(r"^\[feeds\.emr_csv\.columns\.(\w+)\]\n", text.partition("\n# Local code")[0], flags=re.MULTILINE)[1:]
    return {entity: dict(_MAP.findall(body)) for entity, body in zip(parts[::2], parts[1::2], strict=True)}


def _places(text: str) -> dict[str, dict[str, int]]:
    """Entity -> our field -> its place in the extract, from 0."""
    stems = {entity: stem for stem, entity in re.findall(r'^"(\w+)" = "(\w+)"$', text, re.MULTILINE)}
    return {
        entity: {ours: HEADERS[f"{stems[entity]}.csv"].split(",").index(theirs) for ours, theirs in fields.items()}
        for entity, fields in _columns(text).items()
    }


def _workbook_site(text: str) -> str:
    """Sheets instead of files, and headers whose names are joined of two rows."""
    columns, places = _columns(text), _places(text)
    text = text.replace("[feeds.emr_csv.files]", "[feeds.emr_csv.sheets]").replace('"환자" = "patient"', '"설명" = "-"\n"환자" = "patient"')
    for entity, fields in places.items():
        for ours in (ours for ours, place in fields.items() if place in (1, 2)):
            theirs = columns[entity][ours]
            head, mark, tail = text.partition(f"[feeds.emr_csv.columns.{entity}]")
            text = head + mark + tail.replace(f'{ours} = "{theirs}"', f'{ours} = "{GROUP}_{theirs}"', 1)
    return text + "".join(f"\n[feeds.emr_csv.tables.{entity}]\nheader_rows = [2, 3]\n" for entity in places)


def _without_columns(text: str) -> str:
    return re.sub(r"^\[feeds\.emr_csv\.columns\.\w+\]\n(?:\w+ = .*\n)+", "", text, flags=re.MULTILINE)


def _fixed_width_site(text: str) -> str:
    """Positions instead of headers."""
    tables = ""
    for entity, fields in _places(text).items():
        tables += f"\n[feeds.emr_csv.tables.{entity}.positions]\n"
        tables += "".join(f"{ours} = [{at * WIDTHS + 1}, {(at + 1) * WIDTHS}]\n" for ours, at in fields.items())
    return _without_columns(text) + tables


def _transport_site(text: str) -> str:
    """UTF-8, and names of eight letters."""
    tables = "".join(
        f"\n[feeds.emr_csv.columns.{entity}]\n" + "".join(f'{ours} = "C{at}"\n' for ours, at in fields.items())
        for entity, fields in _places(text).items()
    )
    return _without_columns(text).replace('encoding = "cp949"', 'encoding = "utf-8"') + tables


CONTAINERS: Mapping[str, Callable[[str], str]] = {"h22": _workbook_site, "h23": _fixed_width_site, "h24": _transport_site}
"""Site -> its site file made of that of h12."""
