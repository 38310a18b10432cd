"""Workbooks: sheets are files of their own, the counter sees what the parser sees, nothing dangerous is opened."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.formats.cells import header_names
from assets.formats.count_xlsx import list_sheets, sheet_rows
from tests.conftest import SHARED
from tests.workbooks import HEADER, KIM, LEE, SHEET, patched, workbook

Read = Callable[..., Any]

PUBLIC = SHARED / "19_public_kr" / "bitdata_cp949_and_xlsx"
REAL = {
    # the file begins with; its sheets with their rows below the first one that holds a value, read by eye
    "KOSIS": {"데이터": 41, "총인구_메타정보": None, "출생사망_메타정보": None},
    "OBS_AWS_DD": {"OBS_AWS_DD_20220902194002": 3653},
    "OBS_AWS_MNH": {"OBS_AWS_MNH_20220902194208": 307},
    "OBS_AWS_TIM": {"OBS_AWS_TIM_20220902195636": 8725},
    "전국_대기오염물질": {"데이터": 350, "메타정보": None},
    "국가_온실가스": {"데이터": 30, "메타정보": None},
}


def _path(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "book.xlsx"
    path.write_bytes(data)
    return path


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", REAL)
def test_sheets_and_rows_of_a_published_workbook(name: str) -> None:
    (path,) = PUBLIC.glob(f"{name}*.xlsx")
    found = {sheet.name: sheet_rows(path, sheet.name) for sheet in list_sheets(path)}
    assert [*found] == [*REAL[name]]
    assert all(note == "" for _, note in found.values())
    assert {n: rows for n, (rows, _) in found.items() if REAL[name][n] is not None} == {
        n: r for n, r in REAL[name].items() if r is not None
    }


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("path", sorted([*SHARED.rglob("*.xlsx")]), ids=lambda path: path.name[:12])
def test_parser_and_counter_agree_on_every_published_sheet(read: Read, path: Path) -> None:
    """No table reads these: whatever the header, each row has no patient, so each is refused by itself."""
    for sheet in list_sheets(path):
        rows, note = sheet_rows(path, sheet.name)
        columns = {"patient_number": "no such column"}
        found = read("xlsx", "omop", {"a.xlsx": path}, entity="other", sheet=sheet.name, options={"columns": {"patient": columns}})
        (file,) = found.files
        assert (file["reason"], note) == (None, "")
        assert file["records"] + file["rejected"] == rows


def test_a_group_of_columns_under_one_name_is_joined() -> None:
    rows = [["연도", "인구(명)", None, "비고"], [None, "남", "여", None]]
    merged = [((0, 0), (1, 0)), ((0, 1), (0, 2)), ((0, 3), (1, 3))]
    assert header_names(rows, merged) == ["연도", "인구(명)_남", "인구(명)_여", "비고"]
    assert header_names([["a\nb ", " ", None]], []) == ["a b", "", ""]


def test_a_row_that_is_refused_says_where_it_stands_in_the_sheet(read: Read) -> None:
    data = workbook([("title",), (), HEADER, KIM, (), (None, None, "남"), LEE])
    found = read("xlsx", "emr_csv", {"patient.xlsx": data}, sheet="Sheet1", options={"layouts": {"patient": {"header_rows": [3]}}})
    assert [(r["row_number"], r["reason"], r["detail"]) for r in found.rejected] == [(2, "missing_key", "row 6 of the sheet")]


def test_rows_that_a_planted_crash_skips_are_the_same_rows(read: Read, jobs: Any) -> None:
    """Read one record at a time, as after a crash, the numbers stay those of the block."""
    from assets.formats.sandbox import run_child

    rows = [HEADER, *[(f"p{n}", None, "남") for n in range(50)], ("poison", None, "남"), LEE]
    job = jobs.make("xlsx", "emr_csv", {"patient.xlsx": workbook(rows)}, sheet="Sheet1", options={"test_crash_on": "poison"})
    done = run_child(job)
    assert [(r.row_number, r.reason) for r in done.rejected] == [(51, "parser_crash")]
    assert [(f.records, f.rejected) for f in done.files] == [(51, 1)]


def test_a_bomb_is_refused_before_the_library_opens_it(read: Read) -> None:
    huge = patched(workbook([HEADER]), SHEET, lambda xml: xml + b" " * (40 * 2**20))
    found = read("xlsx", "emr_csv", {"patient.xlsx": huge}, sheet="Sheet1")
    assert [f["reason"] for f in found.files] == ["archive_bomb"]


def test_a_size_that_lies_is_found_while_unpacking(read: Read) -> None:
    """The directory says 100 bytes; the part holds 40 MB."""
    huge = patched(workbook([HEADER]), SHEET, lambda xml: xml + b" " * (40 * 2**20))
    with zipfile.ZipFile(io.BytesIO(huge)) as package:
        size = package.getinfo(SHEET).file_size
    found = read("xlsx", "emr_csv", {"patient.xlsx": huge.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))}, sheet="Sheet1")
    assert [f["reason"] for f in found.files] == ["not_xlsx"]


def test_a_link_to_another_file_is_no_sheet(tmp_path: Path, read: Read) -> None:
    """The relation of the sheet points out of the package: nothing is fetched."""
    linked = patched(
        workbook([HEADER, KIM]),
        "xl/_rels/workbook.xml.rels",
        lambda xml: xml.replace(b'Target="/xl/worksheets/sheet1.xml"', b'Target="file:///etc/passwd" TargetMode="External"'),
    )
    path = _path(tmp_path, linked)
    assert [sheet.part for sheet in list_sheets(path)] == [None]
    found = read("xlsx", "emr_csv", {"patient.xlsx": path}, sheet="Sheet1", entity="patient")
    assert [f["reason"] for f in found.files] == ["not_xlsx"]


@pytest.mark.parametrize(
    "change",
    [
        lambda xml: re.sub(rb'<row r="\d+"', b"<row", re.sub(rb'<c r="\w+"', b"<c", xml)),
        lambda xml: xml.replace(b'<row r="3"', b'<!-- <row r="9"><c r="A9"><v>1</v></c></row> --><row r="3"'),
        lambda xml: xml.replace(b'<row r="3"', b'<row r="7"').replace(b'3" t=', b'7" t='),
    ],
    ids=["cells that do not say where they are", "a row in a comment", "rows far apart"],
)
def test_counter_and_parser_agree_on_unusual_xml(tmp_path: Path, read: Read, change: Callable[[bytes], bytes]) -> None:
    path = _path(tmp_path, patched(workbook([HEADER, KIM, LEE]), SHEET, change))
    assert sheet_rows(path, "Sheet1") == (2, "")
    found = read("xlsx", "emr_csv", {"patient.xlsx": path}, sheet="Sheet1", entity="patient")
    assert [(f["records"], f["reason"]) for f in found.files] == [(2, None)]
