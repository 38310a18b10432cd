"""Counts the messages of HL7 v2 files.

Belongs here: the HL7 part of the rule in `count`. Does not belong here: fields, charsets, anything the parser uses.
"""

from __future__ import annotations

import re

_HEADER = re.compile(rb"(?:MSH|[FB]HS|[FB]TS)(?![A-Za-z0-9 ])")
_LINE = re.compile(rb"[^\r\n\x0b\x1c]*")
_ENDS = (b"\r", b"\n", b"\x0b", b"\x1c")
_MARK = b"\xef\xbb\xbf"
_MARKED = re.compile(rb"([\r\n\x0b\x1c])\xef\xbb\xbf")
_BLANK = b"".join(_ENDS) + b" \t"
_LONG_LINE = 2**20
_SUSPECTS = (b"MSH", b"FHS", b"BHS", b"FTS", b"BTS")


class MessageCounter:
    """Looks for the words that may open a record, then at what surrounds them."""

    def __init__(self) -> None:
        self._records = 0
        self._tail = b"\r"  # the end of the last whole line, and what stands behind it
        self._loose = True  # no message is open: a line here is part of a record without header
        self._counted = False  # ... and that record has been counted

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        data = self._tail + chunk
        cut = max(data.rfind(end) for end in _ENDS)
        if cut > 0:
            self._count(data[: cut + 1])
        self._tail = data[cut:]
        if len(self._tail) > _LONG_LINE:  # only the beginning of a line tells what it is
            filler = b"x" if self._tail.translate(None, _BLANK) else b""
            self._tail = self._tail[:16] + filler

    def close(self) -> tuple[int, str]:
        """Records; nothing that a file holds is broken to this counter."""
        self._count(self._tail + b"\r")
        return self._records, ""

    def _count(self, data: bytes) -> None:
        """Take whole lines; the first byte is the end of the line before."""
        begin = 0
        for place in _headers(data):
            self._count_loose(data, begin, place)
            is_message = data.startswith(b"MSH", place)
            self._records += is_message
            self._loose, self._counted = not is_message, False
            begin = place if is_message else _LINE.match(data, place).end()  # type: ignore[union-attr]
        self._count_loose(data, begin, len(data))

    def _count_loose(self, data: bytes, begin: int, end: int) -> None:
        """Lines behind an envelope segment or at the start of the file: one record together, if any is not blank."""
        if self._loose and not self._counted and _MARKED.sub(rb"\1", data[begin:end]).translate(None, _BLANK):
            self._records += 1
            self._counted = True


def _headers(data: bytes) -> list[int]:
    """Where the words stand that open a message or belong to an envelope."""
    found = []
    for word in _SUSPECTS:
        at = data.find(word)
        while at >= 0:
            before = at - 3 if data[at - 3 : at] == _MARK else at
            if before > 0 and data[before - 1 : before] in _ENDS and _HEADER.match(data, at):
                found.append(at)
            at = data.find(word, at + 3)
    return found if len(found) < 2 else sorted(found)
