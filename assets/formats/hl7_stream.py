"""A file of HL7 v2 messages, cut into chunks of whole messages in bounded memory, with one kind of line end.

Belongs here: segment ends, byte order marks, MLLP framing, where a message begins. Does not belong here: fields (`hl7_columnar`, `hl7_stepwise`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assets.formats.hl7_arrays import Numbers, places_of
from assets.formats.stream import BOM, Read

BLOCK_BYTES = 4 * 2**20
"""Bytes read at a time. Smaller: the cost of a chunk, some hundred calls, is shared by too few messages. Larger: more memory, no gain."""

_BREAKS = b"\r\n\x0b\x1c"
_START, _END = 0x0B, 0x1C
_FIELD, _REPETITION, _COMPONENT, _LINE = b"|~^\r"
_TO_RETURN = bytes.maketrans(b"\x0b\x1c", b"\r\r")
_OPENERS = (b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")
_TAIL = 8
"""Longest text that tells a message start: a line break, a mark, three letters and the separator."""


@dataclass(frozen=True)
class LongRecord:
    """A record over the limit; its bytes were passed over, never held."""


def read_chunks(read: Read, *, record_bytes: int, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes | LongRecord]:
    """Cut a stream where a message or an envelope segment begins.

    Args:
        read: Source of bytes.
        record_bytes: Longest record.
        block_bytes: Size of a chunk, about.
    """
    carry, passing = b"", False
    while piece := read(block_bytes):
        data = carry + piece
        searched = max(len(carry) - _TAIL, 0)
        if passing:
            start = _first_opener(data)
            if start < 0:
                carry = data[-_TAIL:]
                continue
            data, passing, searched = data[start:], False, 0
        cut = _last_opener(data, max(searched, 1))
        if cut > 0:
            yield data[:cut]
            data = data[cut:]
        carry = data
        if len(carry) > record_bytes:
            if carry.strip(_BREAKS + b" \t"):
                yield LongRecord()
                passing = True
            carry = carry[-_TAIL:]
    if carry and not passing:
        yield carry


def _last_opener(data: bytes, start: int) -> int:
    """Where the last message (or, without one, the last envelope segment) that begins behind `start` begins; -1 for none."""
    for openers in (_OPENERS[:1], _OPENERS[1:]):
        found = max(_scan(data, opener, start, backwards=True) for opener in openers)
        if found > 0:
            return found
    return -1


def _first_opener(data: bytes) -> int:
    found = [place for opener in _OPENERS if (place := _scan(data, opener, 0, backwards=False)) >= 0]
    return min(found, default=-1)


def _scan(data: bytes, opener: bytes, start: int, *, backwards: bool) -> int:
    end = len(data)
    while (place := data.rfind(opener, start, end) if backwards else data.find(opener, start)) >= 0:
        if place + 3 < len(data) and _is_mark(data[place + 3]):
            line = place - 3 if data[place - 3 : place] == BOM else place
            if line > 0 and data[line - 1] in _BREAKS:
                return line - 1 if data[line - 1] == _START else line
        if backwards:
            end = place + 2
        else:
            start = place + 1
    return -1


def _is_mark(byte: int) -> bool:
    """May this byte follow the three letters of a segment that opens a record?"""
    return not (chr(byte).isascii() and chr(byte).isalnum()) and byte != 0x20


class Records:
    """The records of one chunk and the lines they are made of.

    Attributes:
        data: The chunk with carriage returns as the only line ends, the last line closed.
        letters: The same as bytes, with four zero bytes behind it.
        starts, ends: Spans of lines that are not blank; int32: half the memory to go through, and a chunk is far below 1 GiB.
        codes: First three bytes of each line as one number.
        first_line: First line of each record; one more entry closes the last.
        has_header: The record begins with MSH.
        cut_off: The record was framed (MLLP) and its end mark is missing.
        trailers: Each BHS and BTS as (record it stands before, line).
    """

    def __init__(self, chunk: bytes) -> None:
        """Find lines and records."""
        if b"\n" in chunk:
            chunk = chunk.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        if BOM[:1] in chunk and BOM in chunk:  # one byte is looked for ten times as fast as three
            for mark in (b"\r", b"\x0b", b"\x1c"):
                chunk = chunk.replace(mark + BOM, mark)
            chunk = chunk.removeprefix(BOM)
        chunk = chunk if chunk.endswith(b"\r") else chunk + b"\r"
        framed = b"\x0b" in chunk or b"\x1c" in chunk
        self.data = chunk.translate(_TO_RETURN) if framed else chunk
        self.letters = np.frombuffer(self.data + bytes(4), np.uint8)
        self._find_lines()
        self._find_records()
        self.cut_off = self._unfinished(chunk) if framed else np.zeros(len(self.has_header), bool)

    def __len__(self) -> int:
        return len(self.has_header)

    def span(self, record: int) -> tuple[int, int]:
        """Bytes of a record, from its first line to the end of its last."""
        return int(self.starts[self.first_line[record]]), int(self.ends[self.last_line[record]])

    def text(self, record: int) -> bytes:
        """The record's bytes."""
        start, end = self.span(record)
        return self.data[start:end]

    @cached_property
    def separators(self) -> Numbers:
        """Places of all standard separators of fields, repetitions and components, and of line ends."""
        return self._separators[0]

    @cached_property
    def separated_by(self) -> Numbers:
        """Which separator stands at each of these places."""
        return self._separators[1]

    @cached_property
    def _separators(self) -> tuple[Numbers, Numbers]:
        letters = self.letters
        found = letters == _FIELD
        for mark in (_REPETITION, _COMPONENT, _LINE):
            np.logical_or(found, letters == mark, out=found)
        places = np.flatnonzero(found)
        return places.astype(np.int32), letters.take(places)

    @cached_property
    def fields(self) -> Numbers:
        """Which of the separators are those of fields."""
        return np.flatnonzero(self.separated_by == _FIELD)

    @cached_property
    def pipes(self) -> Numbers:
        """Places of the standard field separator."""
        return self.separators.take(self.fields)

    def _find_lines(self) -> None:
        ends = places_of(self.letters == 13).astype(np.int32)
        starts = np.empty_like(ends)
        starts[0], starts[1:] = 0, ends[:-1] + 1
        first = self.letters[starts]
        kept = ends > starts
        for line in np.flatnonzero(kept & ((first == 32) | (first == 9))).tolist():
            kept[line] = bool(self.data[starts[line] : ends[line]].strip(b" \t"))
        if not kept.all():
            starts, ends = starts[kept], ends[kept]
        self.starts, self.ends = starts, ends
        letters = self.letters
        self.codes = (letters[starts].astype(np.int32) << 16) | (letters[starts + 1].astype(np.int32) << 8) | letters[starts + 2]
        self.marks = letters[starts + 3]

    def _find_records(self) -> None:
        header = self.codes == code_of("MSH")
        opens = header.copy()
        for name in ("FHS", "BHS", "BTS", "FTS"):
            opens |= self.codes == code_of(name)
        if opens.any():
            places = np.flatnonzero(opens)
            sound = np.array([_is_mark(int(m)) for m in range(256)])[self.marks[places]]
            opens[places[~sound]] = False
            header &= opens
        units = np.flatnonzero(opens)
        if len(self.starts) and (len(units) == 0 or units[0] != 0):
            units = np.concatenate([[0], units])  # lines in front of the first header
        behind = np.concatenate([units[1:], [len(self.starts)]]) if len(units) else units
        is_envelope = opens[units] & ~header[units]
        body = units + is_envelope  # an envelope segment is no part of the record that follows it
        is_record = body < behind
        self.first_line, self.last_line = body[is_record], behind[is_record] - 1
        self.has_header = header[units][is_record]
        before = np.cumsum(is_record) - is_record
        self.trailers = [
            (int(before[u]), int(units[u])) for u in np.flatnonzero(is_envelope).tolist() if self.codes[units[u]] in (_BHS, _BTS)
        ]

    def _unfinished(self, framed: bytes) -> Numbers:
        letters = np.frombuffer(framed, np.uint8)
        starts = self.starts[self.first_line]
        ends = np.concatenate([starts[1:], [len(letters)]])
        closing = np.concatenate([np.flatnonzero(letters == _END), [len(letters)]])
        opened = (starts > 0) & (letters[np.maximum(starts - 1, 0)] == _START)
        found: Numbers = opened & self.has_header & (closing[np.searchsorted(closing, starts)] >= ends)
        return found

    def is_batch_start(self, line: int) -> bool:
        """Is this trailer line a BHS?"""
        return bool(self.codes[line] == _BHS)


def code_of(name: str) -> int:
    """A segment name as `Records.codes` holds it."""
    return int.from_bytes(name.encode(), "big")


_BHS, _BTS = code_of("BHS"), code_of("BTS")
