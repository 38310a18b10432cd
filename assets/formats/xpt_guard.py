"""Does a SAS transport file agree with itself? Nothing in it is a checksum, and a byte of a width moves every value that follows.

Belongs here: what a file tells twice of its columns and its rows. Does not belong here: values, which ReadStat reads (`sas`), and the count of rows for
the accounts, which is made by code of its own (`count_sas`).
Source: SAS Technical Paper TS-140, "Record Layout of a SAS Version 5 or 6 Data Set in SAS Transport Format", and its extension of 8 (NAMESTR, OBS).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_CARD = 80
_COLUMNS_BEGIN = 8 * _CARD
_HEADER = b"HEADER RECORD*******"
_COLUMN = struct.Struct(">h2xh78xl")
"""Of a NAMESTR: type (1 number, 2 text), width in bytes, place in the row. Both versions have them at the same places."""
_WIDTHS = (140, 136)
_LENGTHS = {1: range(2, 9), 2: range(1, 32_768)}
_LONGEST_LABELS = 64 * 2**20
"""Between columns and rows, where version 8 has long labels."""


def contradiction(path: Path) -> str | None:
    """What a transport file says and cannot all be true; None where it agrees.

    Places and widths of the columns cover a row, each byte once; rows begin behind their header and are whole; behind the last there are blanks only, less
    than a card of them where the file tells how many rows it has.
    """
    with path.open("rb") as file:
        columns = _columns(file)
        row = _width(columns)
        if row is None:
            return "the places and the widths of its columns contradict each other"
        told = _rows_header(file)
        return "no header stands before its rows" if told is None else _of_rows(file, told, row)


def _columns(file: IO[bytes]) -> list[tuple[int, int, int]]:
    """Type, width and place of each column; empty where the header does not tell."""
    head = file.read(_COLUMNS_BEGIN)
    width = _digits(_card(head, b"MEMBER ", b"MEMBV8 "), 74, 78)
    count = _digits(_card(head, b"NAMESTR ", b"NAMSTV8 "), 54, 58)
    told = file.read(-(-width * count // _CARD) * _CARD) if width in _WIDTHS and count > 0 else b""
    return [_COLUMN.unpack_from(told, n * width) for n in range(count)] if told and len(told) >= width * count else []


def _width(columns: Sequence[tuple[int, int, int]]) -> int | None:
    """Bytes of a row; None where the columns do not cover it."""
    end = 0
    for kind, length, place in sorted(columns, key=lambda column: column[2]):
        if place != end or length not in _LENGTHS.get(kind, ()):
            return None
        end += length
    return end or None


def _rows_header(file: IO[bytes]) -> bytes | None:
    """The card before the first row; the file stands behind it."""
    for _ in range(_LONGEST_LABELS // _CARD):
        card = file.read(_CARD)
        if card.startswith((_HEADER + b"OBS ", _HEADER + b"OBSV8 ")):
            return card
        if len(card) < _CARD:
            break
    return None


def _of_rows(file: IO[bytes], told: bytes, row: int) -> str | None:
    begin, end = file.tell(), file.seek(0, 2)
    count = told[48:].strip()
    is_told = told[20:].startswith(b"OBSV8 ") and count.isdigit() and int(count) > 0
    left = end - begin - int(count) * row if is_told else (end - begin) % row
    if left < 0 or (is_told and left >= _CARD):
        return "it holds another number of rows than it tells"
    file.seek(end - left)
    return "something stands behind its last row, which is cut off" if file.read().strip(b" ") else None


def _card(head: bytes, *kinds: bytes) -> bytes:
    cards = [head[at : at + _CARD] for at in range(0, len(head), _CARD)]
    return next((card for card in cards if card.startswith(tuple(_HEADER + kind for kind in kinds))), b"")


def _digits(card: bytes, begin: int, end: int) -> int:
    text = card[begin:end]
    return int(text) if text.isdigit() else -1
