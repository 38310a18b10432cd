"""Small XLSX workbooks that tests deliver, made by openpyxl (which no code of Biodam uses).

`python -m tests.workbooks` writes the golden files of the format again.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

HEADER = ("patient_number", "birth_date", "gender", "province", "is_deleted")
KIM = ("007", dt.date(1970, 3, 1), "남", "서울", False)
LEE = ("008", "1981-12-31", "여", None, None)

Cells = Sequence[Sequence[Any]]


def workbook(sheets: Mapping[str, Cells] | Cells, *, merged: Sequence[str] = ()) -> bytes:
    """A workbook of these sheets; of one sheet named as a new one is, where only its rows are given."""
    named = sheets if isinstance(sheets, Mapping) else {"Sheet1": sheets}
    book = Workbook()
    book.remove(book.active)
    for name, rows in named.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        for cells in merged:
            sheet.merge_cells(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def patched(data: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same package with one part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as package, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
        for entry in package.infolist():
            content = package.read(entry)
            copy.writestr(entry.filename, change(content) if entry.filename == part else content)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
_TWO = workbook([HEADER, KIM, LEE])


def _with_prefix(xml: bytes) -> bytes:
    """As writers that name their namespace do it: <x:row> for <row>."""
    tags = re.sub(rb"<(/?)(\w)", rb"<\1x:\2", xml)
    return tags.replace(b"<x:worksheet xmlns=", b"<x:worksheet xmlns:x=")


LABS = ("result_number", "patient_number", "lab_code", "measured_at", "result_value", "unit", "visit_number", "is_deleted")


def _lab(number: Any, value: Any, at: Any = dt.datetime(2026, 3, 1, 23, 30)) -> tuple[Any, ...]:
    return (number, "007", "L3021", at, value, "%", "v1", None)


CASES: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "dates_numbers_and_texts": ("patient", lambda: _TWO),
    "results_of_every_kind": (
        "lab_result",
        lambda: workbook([LABS, _lab(1, 7.5), _lab(2.0, "<0.5"), _lab("3", "양성"), _lab("4", 6, "2026-03-01 09:00"), _lab(5, True)]),
    ),
    "header_over_two_rows_merged": (
        "patient",
        lambda: workbook(
            [("환자 현황", None, None, None), (), ("등록\n번호", "인적사항", None, "시도"), (None, "성별", "생년월일", None),
             ("007", "남", dt.date(1970, 3, 1), "서울")],
            merged=["A3:A4", "B3:C3", "D3:D4"],
        ),
    ),
    "header_over_two_rows_no_longer_merged": (
        "patient",
        lambda: workbook([("등록번호", "인적사항", None), (None, "성별", "생년월일"), ("007", "남", dt.date(1970, 3, 1))]),
    ),
    "groups_whose_name_stands_once": (
        "patient",
        lambda: workbook([HEADER, (None, None, "남", None), ("007", dt.date(1970, 3, 1), "남", "서울"), ("008", None, "여", None),
                          (None, None, None, None), ("009", dt.date(1990, 1, 1), "여", "부산"), ("010", None, "남", " ")]),
    ),
    "errors_in_cells": ("patient", lambda: workbook([HEADER, KIM, ("008", "#N/A", "여", "서울"), ("009", dt.date(1990, 1, 1), "#REF!", "x"),
                                                     (None, "#REF!", None, None)])),
    "errors_in_cells_are_nulls": ("patient", lambda: workbook([HEADER, KIM, ("008", "#N/A", "여", "서울"), ("#REF!", None, None, None)])),
    "blank_rows_and_white_space": ("patient", lambda: workbook([(), (" ",), HEADER, (), KIM, (" ", "\u3000", None), (), (), LEE, ("  ",)])),
    "identifiers_that_lost_digits": ("patient", lambda: workbook([HEADER, KIM, (12345678901234567890, None, "남"), (9007199254740991, None, "남")])),
    "dates_that_do_not_exist": ("patient", lambda: workbook([HEADER, ("007", "1970-02-30", "남"), ("008", 19811231, "여"), ("009", 44804, "여")])),
    "missing_column": ("patient", lambda: workbook([("gender", "birth_date"), ("남", dt.date(1970, 3, 1))])),
    "no_rows": ("patient", lambda: workbook([HEADER])),
    "nothing_at_all": ("patient", lambda: workbook([()])),
    "prefixed_elements": ("patient", lambda: patched(_TWO, SHEET, _with_prefix)),
    "doctype": ("patient", lambda: patched(_TWO, SHEET, lambda xml: b'<!DOCTYPE a [<!ENTITY b "c">]>' + xml)),
    "password": ("patient", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)),
    "cut_off": ("patient", lambda: _TWO[:-200]),
    "damaged_sheet": ("patient", lambda: patched(_TWO, SHEET, lambda xml: xml[: xml.index(b'<row r="3"')])),
    "one_cell_far_away": ("patient", lambda: patched(_TWO, SHEET, lambda xml: xml.replace(b'r="C3"', b'r="XFD3"').replace(b'<row r="3"', b'<row r="1048576"'))),
}  # fmt: skip
"""Golden cases: name -> table, file. What each becomes stands in `tests/golden/formats/xlsx/<name>/expected.json`."""

if __name__ == "__main__":
    for name, (table, make) in CASES.items():
        folder = Path(__file__).parent / "golden" / "formats" / "xlsx" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{table}.xlsx").write_bytes(make())
