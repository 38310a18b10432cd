"""Delimited text, cut into whole records.

Belongs here: the grammar of records and fields (RFC 4180, with a way on after a quote that is never closed). Does not belong here: encodings, headers
and columns (`delimited`, `tabular`). What a record is, is stated in `count`, which counts with other code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from assets.formats.reasons import FileRefused, Reason
from assets.formats.stream import BOM, LongLine, Read, read_lines

BLOCK_BYTES = 8 * 2**20
"""Bytes of text that become one batch: 20,000 to 100,000 rows."""

_MOST_IN_VAIN = 64
"""So many records' worth of bytes may be read for quotes that are never closed: a file in which every line opens one would take hours."""


@dataclass(frozen=True, slots=True)
class Records:
    """Whole, well-formed records.

    Attributes:
        data: Their bytes; each ends with a line feed, which within quotes may also stand inside.
        offset: Place in the text.
        count: Number of records that are not blank, or None where no quote stands in them: then lines are records.
    """

    data: bytes
    offset: int
    count: int | None


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A line that is no record by itself."""

    reason: Reason
    offset: int


class Grammar:
    """Delimiter, quote and what follows from them."""

    def __init__(self, delimiter: bytes, quote: bytes, record_bytes: int) -> None:
        """Both are single bytes; an empty quote means that there is none."""
        self.delimiter, self.quote, self.record_bytes = delimiter, quote, record_bytes
        d, q = re.escape(delimiter), re.escape(quote)
        plain = rb"[^%b%b\n][^%b\n]*+" % (q, d, d)
        body = rb"[^%b]*+(?:%b%b[^%b]*+)*+" % (q, q, q, q) if quote else b""
        field = rb"(?:%b%b%b|%b|)" % (q, body, q, plain) if quote else rb"(?:%b|)" % plain
        open_field = rb"(?:%b%b(?:%b\r?)?|%b|)" % (q, body, q, plain) if quote else rb"(?:%b|)" % plain
        self._record = re.compile(rb"(?:%b%b)*+%b\r?\n" % (field, d, field))
        self._begun = re.compile(rb"(?:%b%b)*+%b" % (field, d, open_field))
        self._field = re.compile(rb"(%b)(?:%b|\r?\n|\Z)" % (field, d))

    def whole_records(self, data: bytes, start: int) -> tuple[int, int]:
        """(end of the well-formed records from `start` on, how many of them are not blank)."""
        at, count = start, 0
        match_at = self._record.match  # not finditer: where nothing fits it would try every later byte, each time to the end
        while (match := match_at(data, at)) is not None and match.end() - at - 1 <= self.record_bytes:
            count += data[at : at + 1] != b"\n" and data[at : at + 2] != b"\r\n"
            at = match.end()
        return at, count

    def may_go_on(self, data: bytes, start: int) -> bool:
        """Could the bytes from `start` to the end become a record with what follows?"""
        return self._begun.fullmatch(data, start) is not None

    def reach(self, data: bytes, start: int) -> int:
        """How many bytes from `start` on look like the beginning of a record."""
        match = self._begun.match(data, start)
        return match.end() - start if match else 0

    def split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(place, record) of all records of well-formed text that are not blank."""
        if not self.quote or self.quote not in data:
            at = 0
            for line in data[:-1].split(b"\n"):
                if line not in (b"", b"\r"):
                    yield at, line + b"\n"
                at += len(line) + 1
            return
        at = 0
        while (match := self._record.match(data, at)) is not None:
            if match.group() not in (b"\n", b"\r\n"):
                yield at, match.group()
            at = match.end()

    def pieces(self, block: Records, size: int) -> Iterator[Records]:
        """A block with quotes in pieces of about so many bytes, cut between records."""
        at = begun = count = 0
        while (match := self._record.match(block.data, at)) is not None:
            count += match.group() not in (b"\n", b"\r\n")
            at = match.end()
            if at - begun >= size:
                yield Records(block.data[begun:at], block.offset + begun, count)
                begun, count = at, 0
        if at > begun:
            yield Records(block.data[begun:at], block.offset + begun, count)

    def fields(self, record: bytes) -> list[bytes]:
        """Fields of one record, without their quotes."""
        text = record.removesuffix(b"\n").removesuffix(b"\r")
        if not self.quote or self.quote not in text:
            return text.split(self.delimiter)
        found: list[bytes] = []
        at = 0
        while True:
            match = self._field.match(text, at)
            if match is None:  # not well-formed; the caller compares the number of fields
                return found
            found.append(self._unquoted(match.group(1)))
            if match.end() == len(text) and not match.group().endswith(self.delimiter):
                return found
            at = match.end()

    def _unquoted(self, field: bytes) -> bytes:
        if not field.startswith(self.quote):
            return field
        return field[1:-1].replace(self.quote * 2, self.quote)


def read_records(read: Read, grammar: Grammar) -> Iterator[Records | BadRecord]:
    """Cut a stream into blocks of whole records.

    Args:
        read: Source of text; a byte order mark is taken off.
        grammar: How records are written.

    Yields:
        Blocks and bad lines, in order.
    """
    if not grammar.quote:
        for block in read_lines(read, record_bytes=grammar.record_bytes, block_bytes=BLOCK_BYTES):
            if isinstance(block, LongLine):
                yield BadRecord(Reason.RECORD_TOO_LARGE, block.offset)
            else:
                yield Records(block.data, block.offset, None)
        return
    cutter = _Cutter(grammar)
    while piece := read(BLOCK_BYTES):
        yield from cutter.feed(piece)
    yield from cutter.close()


class _Cutter:
    """Cuts text with quotes."""

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._carry, self._offset, self._passing = b"", 0, False
        self._in_vain = 0

    def feed(self, piece: bytes) -> Iterator[Records | BadRecord]:
        if self._offset == 0 and not self._carry and piece.startswith(BOM):
            piece, self._offset = piece[len(BOM) :], len(BOM)
        if self._passing:  # the rest of a line over the limit
            end = piece.find(b"\n") + 1
            self._offset += end or len(piece)
            if not end:
                return
            piece, self._passing = piece[end:], False
        yield from self._cut(self._carry + piece if self._carry else piece, final=False)

    def close(self) -> Iterator[Records | BadRecord]:
        if self._carry:
            yield from self._cut(self._carry if self._carry.endswith(b"\n") else self._carry + b"\n", final=True)

    def _cut(self, data: bytes, *, final: bool) -> Iterator[Records | BadRecord]:
        at = 0
        while at < len(data):
            end, count = self._well_formed(data, at)
            if end > at:
                yield Records(data[at:end] if (at, end) != (0, len(data)) else data, self._offset + at, count)
                at = end
            rest = len(data) - at
            if not final and rest <= self._grammar.record_bytes and self._grammar.may_go_on(data, at):
                break
            if rest:
                at, bad = self._bad_line(data, at, final=final)
                if bad is None:
                    break
                yield bad
                if self._passing:
                    break
        self._carry = data[at:]
        self._offset += at
        if self._passing:
            self._offset += len(self._carry)
            self._carry = b""

    def _well_formed(self, data: bytes, at: int) -> tuple[int, int | None]:
        lines = data.rfind(b"\n", at) + 1
        limit = self._grammar.record_bytes
        if lines > at and data.find(self._grammar.quote, at, lines) < 0 and lines - at <= limit:
            return lines, None
        return self._grammar.whole_records(data, at)

    def _bad_line(self, data: bytes, at: int, *, final: bool) -> tuple[int, BadRecord | None]:
        """The line at `at` is no record: (place after it, what it is); None if its end has to be waited for.

        Raises:
            FileRefused: Too much was read in vain.
        """
        self._in_vain += self._grammar.reach(data, at)
        if self._in_vain > _MOST_IN_VAIN * self._grammar.record_bytes:
            raise FileRefused(Reason.UNCLOSED_QUOTE, "too many quoted fields are never closed", rule="quote")
        end = data.find(b"\n", at) + 1
        long = (end or len(data)) - at - bool(end) > self._grammar.record_bytes
        bad = BadRecord(Reason.RECORD_TOO_LARGE if long else Reason.UNCLOSED_QUOTE, self._offset + at)
        if end:
            return end, bad
        if long:
            self._passing = True
            return at, bad
        return at, bad if final else None
