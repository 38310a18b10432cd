"""An XLSX workbook, looked at before the spreadsheet library opens it.

Belongs here: what a workbook may not be (bomb, DOCTYPE, password, damage), cells with error values, how large a sheet claims to be. Does not
belong here: values of cells (`xlsx`), counting rows (`count_xlsx`, which shares nothing with this).

The library keeps a sheet as one rectangle in memory, shows cells with an error as empty ones, and tells nothing of the CRC of what it unpacks:
all three are looked at here, in one pass over the bytes. Links to other workbooks, macros and pictures are never opened.
Source: ECMA-376 Part 1, sections 18.3.1.4 (c), 18.18.11 (ST_CellType); Part 2 (Open Packaging Conventions), section 9.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from assets.formats.ccda_xml import read_tree
from assets.formats.job import Limits
from assets.formats.reasons import FileRefused, Reason
from assets.formats.zip_guard import BROKEN, ENCRYPTED_FLAG, most_bytes, read_entry, total_size

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""First bytes of a compound file: a workbook with a password, or the format of Excel 97."""
_MOST_CELLS = 64 * 2**20
"""Cells of the rectangle around all values of a sheet: 24 bytes each in the library."""
_LONGEST_PART = 64 * 2**20
"""Of workbook.xml and relations, which are read whole."""

_ERROR = re.compile(rb"<(?:\w+:)?c\s(?=[^>]*\bt\s*=\s*[\"']e[\"'])([^>]*)>")
_CELL_REF = re.compile(rb"(?:^|\s)r\s*=\s*[\"']([A-Z]{1,3})(\d{1,7})[\"']")
_COLUMNS = re.compile(rb"<(?:\w+:)?c\s+r=\"([A-Z]{1,3})\d")
_ROWS = re.compile(rb"<(?:\w+:)?row\s[^>]*?\br=\"(\d{1,7})\"")
_OVERLAP = 512
"""Bytes of a block looked at again with the next one: no tag of a cell is longer."""


@dataclass(frozen=True)
class SheetFacts:
    """What the library would not tell of a sheet. Cells are (row, column), from 0."""

    errors: frozenset[tuple[int, int]]


def check_workbook(path: Path, name: str, limits: Limits) -> SheetFacts:
    """Look at a workbook.

    Args:
        path: The file.
        name: Sheet that is going to be read.
        limits: `file_bytes`, `ratio` and `depth` are kept.

    Raises:
        FileRefused: `empty_file`, `file_too_large`, `not_xlsx`, `archive_bomb` or `xml_doctype`.
    """
    size = path.stat().st_size
    if size == 0:
        raise FileRefused(Reason.EMPTY_FILE, "0 bytes")
    if size > limits.file_bytes:
        raise FileRefused(Reason.FILE_TOO_LARGE, f"{size} bytes, limit {limits.file_bytes}")
    with path.open("rb") as raw:
        if raw.read(8) == _OLE:
            raise FileRefused(Reason.NOT_XLSX, "protected by a password, or the older format .xls: save it as .xlsx without a password")
    try:
        with zipfile.ZipFile(path) as package:
            return _look_into(package, name, size, limits)
    except BROKEN as error:
        raise FileRefused(Reason.NOT_XLSX, f"the package is damaged or no ZIP file: {type(error).__name__}") from None


def _look_into(package: zipfile.ZipFile, name: str, size: int, limits: Limits) -> SheetFacts:
    entries = package.infolist()
    total_size(entries, size, limits)
    if len({posixpath.normpath(e.filename).lower() for e in entries}) < len(entries):
        raise FileRefused(Reason.NOT_XLSX, "two parts have the same name")
    if any(e.flag_bits & ENCRYPTED_FLAG for e in entries):
        raise FileRefused(Reason.NOT_XLSX, "parts are encrypted: save it without a password")
    part = _part_of(package, name, limits)
    facts = SheetFacts(frozenset())
    for entry in entries:
        if entry.filename.lower().endswith((".xml", ".rels")):
            found = _scan(package, entry, limits, is_sheet=entry.filename == part)
            facts = found or facts
    return facts


def _part_of(package: zipfile.ZipFile, name: str, limits: Limits) -> str:
    """The part that holds a sheet."""
    office = _targets(package, "_rels/.rels", "", limits)
    book = next((part for kind, part in office.values() if kind == "officeDocument"), "xl/workbook.xml")
    folder = posixpath.dirname(book)
    parts = _targets(package, posixpath.join(folder, "_rels", posixpath.basename(book) + ".rels"), folder, limits)
    ids = [
        next((value for key, value in sheet.items() if str(key).endswith("}id")), "")
        for sheet in _tree(package, book, limits).iter("{*}sheet")
        if sheet.get("name") == name
    ]
    if len(ids) != 1 or parts.get(str(ids[0]), ("", ""))[0] != "worksheet":
        raise FileRefused(Reason.NOT_XLSX, "the workbook does not name the sheet once, or it is no sheet of cells")
    return parts[str(ids[0])][1]


def _targets(package: zipfile.ZipFile, name: str, folder: str, limits: Limits) -> dict[str, tuple[str, str]]:
    """Relation id -> (kind, part); what lies outside of the package is left out: no link is followed."""
    return {
        str(one.get("Id")): (
            posixpath.basename(str(one.get("Type"))),
            posixpath.normpath(posixpath.join("/", folder, str(one.get("Target")))).lstrip("/"),
        )
        for one in _tree(package, name, limits).iter("{*}Relationship")
        if one.get("TargetMode") != "External"
    }


def _tree(package: zipfile.ZipFile, name: str, limits: Limits) -> etree._Element:
    with package.open(name) as stream:
        data = b"".join(read_entry(stream, _LONGEST_PART))
    try:
        return read_tree(data, depth=limits.depth)
    except FileRefused as refused:
        if refused.reason == Reason.XML_DOCTYPE:
            raise
        raise FileRefused(Reason.NOT_XLSX, "the list of sheets is no well-formed XML") from None


def _scan(package: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, *, is_sheet: bool) -> SheetFacts | None:
    """Unpack one part to its end, which checks its CRC; of the sheet, what `SheetFacts` holds."""
    errors: set[tuple[int, int]] = set()
    columns: set[bytes] = set()
    last, tail = 0, b""
    with package.open(entry) as stream:
        for block in read_entry(stream, most_bytes(entry.compress_size, limits)):
            if not tail and block[:2] in (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<"):
                raise FileRefused(Reason.NOT_XLSX, "a part is not UTF-8")
            data = tail + block
            if b"<!DOCTYPE" in data:
                raise FileRefused(Reason.XML_DOCTYPE, "a DOCTYPE stands in the workbook")
            if is_sheet:
                errors.update(map(_place, _ERROR.findall(data)))
                columns.update(_COLUMNS.findall(data))
                last = max([last, *map(int, _ROWS.findall(data)[-1:])])
            tail = data[-_OVERLAP:]
    if last * max(map(_column, columns), default=0) > _MOST_CELLS:
        raise FileRefused(Reason.FILE_TOO_LARGE, f"the sheet spans more than {_MOST_CELLS} cells")
    return SheetFacts(frozenset(errors)) if is_sheet else None


def _place(tag: bytes) -> tuple[int, int]:
    found = _CELL_REF.search(tag)
    if found is None:
        raise FileRefused(Reason.NOT_XLSX, "a cell with an error value does not say where it stands")
    return int(found[2]) - 1, _column(found[1]) - 1


def _column(letters: bytes) -> int:
    """A -> 1, XFD -> 16384."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
