"""Counts the rows of a sheet of an XLSX workbook, and lists its sheets, by looking at the bytes of its XML.

Belongs here: the XLSX part of the rule in `count`, and which sheets there are. Does not belong here: calamine or an XML library, which are the
parser's; types, headers beyond where they stand.
Source: ECMA-376 Part 1 (Office Open XML), sections 18.2.19 (sheet), 18.3.1.4 (c), 18.3.1.73 (row), 18.4.8 (si).
"""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 2**20
_BREAKS = (OSError, EOFError, KeyError, ValueError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile)
_MOST_SHEETS = 1000
_LONGEST_PART = 64 * 2**20
"""Of the parts that list sheets."""

_ATTRIBUTE = re.compile(rb"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_SHEET = re.compile(rb"<(?:\w+:)?sheet\s([^>]*)>")
_RELATION = re.compile(rb"<(?:\w+:)?Relationship\s([^>]*)>")
_ROW = re.compile(rb"<(?:\w+:)?row(?:\s([^>]*?))?(/?)>")
_ROW_END = re.compile(rb"</(?:\w+:)?row\s*>")
_CELL = re.compile(rb"<(?:\w+:)?c(?:\s([^>]*?))?(?:/>|>(.*?)</(?:\w+:)?c\s*>)", re.S)
_VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^>]*)?>(.*?)</(?:\w+:)?v\s*>", re.S)
_ITEM = re.compile(rb"<(?:\w+:)?si(?:\s[^>]*)?(?:/>|>(.*?)</(?:\w+:)?si\s*>)", re.S)
_TEXT = re.compile(rb"<(?:\w+:)?t(?:\s[^>]*)?>(.*?)</(?:\w+:)?t\s*>", re.S)
_PHONETIC = re.compile(rb"<(?:\w+:)?rPh[\s>].*?</(?:\w+:)?rPh\s*>", re.S)
_COMMENT = re.compile(rb"<!--.*?-->", re.S)
_TYPE = re.compile(rb"(?:^|\s)t\s*=\s*[\"'](\w+)[\"']")
_NUMBER = re.compile(rb"(?:^|\s)r\s*=\s*[\"'](\d{1,9})[\"']")


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook: its name, and the part that holds it; None for charts and the like."""

    name: str
    part: str | None


def list_sheets(path: Path) -> list[Sheet]:
    """Sheets in the order of the workbook, hidden ones too; empty where that cannot be told."""
    try:
        with zipfile.ZipFile(path) as package:
            book = _main_part(package)
            folder = posixpath.dirname(book)
            relations = _relations(package, posixpath.join(folder, "_rels", posixpath.basename(book) + ".rels"), folder)
            sheets = [_attributes(found) for found in _SHEET.findall(_part(package, book))[:_MOST_SHEETS]]
            return [Sheet(s.get("name", ""), relations.get(_relation_of(s), (None, ""))[0]) for s in sheets]
    except _BREAKS:
        return []


def _main_part(package: zipfile.ZipFile) -> str:
    targets = _relations(package, "_rels/.rels", "")
    return next((part for part, kind in targets.values() if part and kind.endswith("/officeDocument")), "xl/workbook.xml")


def _relations(package: zipfile.ZipFile, name: str, folder: str) -> dict[str, tuple[str | None, str]]:
    """Relation id -> (part, type); charts and what lies outside of the package have no part."""
    found: dict[str, tuple[str | None, str]] = {}
    for match in _RELATION.findall(_part(package, name)):
        told = _attributes(match)
        kind, target = told.get("Type", ""), told.get("Target", "")
        inside = told.get("TargetMode") != "External" and kind.endswith(("/worksheet", "/officeDocument"))
        part = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        found[told.get("Id", "")] = (part if inside else None, kind)
    return found


def _relation_of(sheet: dict[str, str]) -> str:
    return next((value for name, value in sheet.items() if name.endswith(":id")), "")


def _part(package: zipfile.ZipFile, name: str) -> bytes:
    with package.open(name) as stream:
        return _COMMENT.sub(b"", stream.read(_LONGEST_PART))


def _attributes(tag: bytes) -> dict[str, str]:
    return {name.decode(): html.unescape((a or b).decode("utf-8", "replace")) for name, a, b in _ATTRIBUTE.findall(tag)}


def sheet_rows(path: Path, name: str, header_rows: Sequence[int] = ()) -> tuple[int, str]:
    """Rows of one sheet that hold a value, below its header.

    Args:
        path: The workbook.
        name: The sheet.
        header_rows: Numbers of the rows of the header, from 1; what stands above them is no record. Empty: the first row that holds a value.

    Returns:
        (rows, what is broken).
    """
    part = next((sheet.part for sheet in list_sheets(path) if sheet.name == name), None)
    if part is None:
        return 0, "the sheet cannot be found"
    scan = _Rows(max(header_rows, default=0))
    note = ""
    try:
        with zipfile.ZipFile(path) as package:
            scan.blank_texts = _blank_texts(package)
            with package.open(part) as stream:
                while chunk := stream.read(_CHUNK):
                    scan.feed(chunk)
    except _BREAKS as error:
        note = f"reading stopped: {type(error).__name__}"
    return scan.rows, note or scan.note


def _blank_texts(package: zipfile.ZipFile) -> frozenset[int]:
    """Shared texts that are empty or white space: a cell that points to one holds no value."""
    name = next((n for n in package.namelist() if posixpath.basename(n).lower() == "sharedstrings.xml"), None)
    if name is None:
        return frozenset()
    blank, number = set(), 0
    with package.open(name) as stream:
        for item in _items(iter(lambda: stream.read(_CHUNK), b"")):
            if not _says(item):
                blank.add(number)
            number += 1
    return frozenset(blank)


def _items(chunks: Iterator[bytes]) -> Iterator[bytes]:
    tail = b""
    for chunk in chunks:
        tail += chunk
        end = 0
        for match in _ITEM.finditer(tail):
            yield match[1] or b""
            end = match.end()
        tail = tail[end:]


def _says(markup: bytes) -> bool:
    """Does any text of a shared or inline string say something?"""
    return any(_is_said(text) for text in _TEXT.findall(_PHONETIC.sub(b"", markup)))


def _is_said(text: bytes) -> bool:
    text = text.removeprefix(b"<![CDATA[").removesuffix(b"]]>")
    return bool(html.unescape(text.decode("utf-8", "replace")).strip())


class _Rows:
    """Takes the XML of a sheet in pieces."""

    def __init__(self, header: int) -> None:
        self.rows, self.note = 0, ""
        self.blank_texts: frozenset[int] = frozenset()
        self._header, self._first = header, not header
        self._tail, self._number, self._last = b"", 0, 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        data = self._tail + chunk
        if b"<!--" in data:
            data = _COMMENT.sub(b"", data)
        end = data.find(b"<!--") + 1 or len(data) + 1  # of a comment that goes on in the next bytes
        *whole, rest = _ROW_END.split(data[: end - 1])
        self._tail = rest + data[end - 1 :]
        for piece in whole:
            self._row(piece)

    def _row(self, piece: bytes) -> None:
        begin = 0
        for match in _ROW.finditer(piece):  # rows that close themselves, then the one that holds the cells
            number = _NUMBER.search(match[1] or b"")
            self._number = int(number[1]) if number else self._number + 1
            begin = match.end()
        if not any(self._holds(cell) for cell in _CELL.finditer(piece, begin)):
            return
        if self._number <= self._last:
            self.note = "rows are out of order"
        self._last = max(self._number, self._last)
        if self._first:
            self._first = False
        elif self._number > self._header:
            self.rows += 1

    def _holds(self, cell: re.Match[bytes]) -> bool:
        body = cell[2]
        if not body:
            return False
        kind = _TYPE.search(cell[1] or b"")
        if kind and kind[1] == b"inlineStr":
            return _says(body)
        value = _VALUE.search(body)
        if value is None or not _is_said(value[1]):
            return False
        return not (kind and kind[1] == b"s" and int(value[1]) in self.blank_texts)
