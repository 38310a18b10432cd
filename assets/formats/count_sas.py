"""Counts the rows of SAS files from their headers.

Belongs here: as much of SAS7BDAT and of the transport format as it takes to reach the number of rows. Does not belong here: ReadStat, which is the
parser; values.
Source: Shotwell, "SAS7BDAT Database Binary Format" (row size subheader); SAS Technical Paper, "Record Layout of a SAS Version 5 or 6 Data Set in
SAS Transport Format" and its extension of 8 (NAMESTR, OBS headers).
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal

_SIGNATURES = (b"\xf7\xf7\xf7\xf7", b"\xf7\xf7\xf7\xf7\0\0\0\0", b"\0\0\0\0\xf7\xf7\xf7\xf7")
_MOST_PAGES = 64
"""Pages looked at: the subheader stands on the first."""
_CARD = 80


def sas7bdat_rows(path: Path) -> tuple[int, str]:
    """(rows, what is broken)."""
    try:
        with path.open("rb") as file:
            return _Pages(file).rows()
    except (OSError, IndexError, ValueError, OverflowError):
        return 0, "the header of the SAS data set cannot be read"


class _Pages:
    """The pages of a data set."""

    def __init__(self, file: IO[bytes]) -> None:
        head = file.read(288)
        self._file = file
        self._wide = head[32] == 0x33
        self._order: Literal["little", "big"] = "little" if head[37] == 1 else "big"
        shift = 4 if head[35] == 0x33 else 0
        self._header, self._page = self._number(head, 196 + shift, 4), self._number(head, 200 + shift, 4)
        self._pages = self._number(head, 204 + shift, 8 if self._wide else 4)
        if not 1024 <= self._header <= 2**20 or not 1024 <= self._page <= 2**26:
            raise ValueError("no header")

    def rows(self) -> tuple[int, str]:
        size = self._file.seek(0, 2)
        note = "" if size >= self._header + self._pages * self._page else "pages are missing"
        for number in range(min(self._pages, _MOST_PAGES)):
            self._file.seek(self._header + number * self._page)
            found = self._on_page(self._file.read(self._page))
            if found is not None:
                return found, note
        raise ValueError("no row count")

    def _on_page(self, page: bytes) -> int | None:
        step = 8 if self._wide else 4
        begin = 32 if self._wide else 16
        for n in range(self._number(page, begin + 4, 2)):
            at = begin + 8 + n * 3 * step
            offset = self._number(page, at, step)
            if page[offset : offset + step] in _SIGNATURES:
                return self._number(page, offset + 6 * step, step)
        return None

    def _number(self, data: bytes, at: int, size: int) -> int:
        if at + size > len(data):
            raise IndexError("cut off")
        return int.from_bytes(data[at : at + size], self._order)


def transport_rows(path: Path) -> tuple[int, str]:
    """(rows, what is broken). A last row that is cut off is one; blank cards at the end are none."""
    try:
        with path.open("rb") as file:
            return _transport(file)
    except (OSError, ValueError, IndexError):
        return 0, "the header of the transport file cannot be read"


def _transport(file: IO[bytes]) -> tuple[int, str]:
    member = _card_with(file, b"MEMBER ", b"MEMBV8 ")
    width = int(member[74:78])
    names = _card_with(file, b"NAMESTR ", b"NAMSTV8 ")
    count = int(names[54:58])
    block = file.read(-(-width * count // _CARD) * _CARD)
    row = sum(int.from_bytes(block[n * width + 4 : n * width + 6], "big") for n in range(count))
    told = _card_with(file, b"OBS ", b"OBSV8 ")
    if row < 1 or count < 1:
        raise ValueError("no columns")
    begin, end = file.tell(), file.seek(0, 2)
    last = _last_said(file, begin, end)
    rows = -(-(last - begin) // row)
    if told[20:26] == b"OBSV8 " and told[48:].strip().isdigit():
        return max(rows, int(told[48:])), ""
    return rows, "" if (end - begin) % _CARD == 0 else "the last card is cut off"


def _card_with(file: IO[bytes], *kinds: bytes) -> bytes:
    """The next card that is a header of one of these kinds."""
    while len(card := file.read(_CARD)) == _CARD:
        if card.startswith(b"HEADER RECORD*******") and card[20:].startswith(kinds):
            return card
    raise ValueError("no header")


def _last_said(file: IO[bytes], begin: int, end: int) -> int:
    """Place behind the last byte that is not a blank."""
    while end > begin:
        start = max(begin, end - 2**20)
        file.seek(start)
        block = file.read(end - start).rstrip(b" ")
        if block:
            return start + len(block)
        end = start
    return begin
