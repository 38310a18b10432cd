"""Records of a person blanked in a delivered file, so that the file is still good for what it says of others.

Belongs here: the formats in which that can be proven, line by line. Does not belong here: which records (`landing_store`), the books.

A record becomes a line of the same length that says nothing, is still counted as a record, and is refused by the parser: numbers and byte offsets of all
other records stay. Done only where every record is one line (as many lines that are not blank as the independent counter found records): FHIR and
Open mHealth as lines, delimited text; plain or gzip. Everything else is destroyed whole.

A file is read twice, once to find the lines and once to write it anew, a block at a time: memory does not grow with it.
"""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

from assets.lake.durable import HashingFile

_JSON = frozenset({"fhir", "open_mhealth"})
WIRES = _JSON | {"delimited"}
BLOCK = 4 << 20
"""Bytes of text in one block, about: it ends with a line."""
LONGEST = 256 << 20
"""Bytes of one line. A file with a longer one is no file of lines, and is not blanked."""


@dataclass(frozen=True)
class Shape:
    """How a file is written. `records`: as the independent counter found them."""

    wire: str
    compression: str | None
    delimiter: str
    quote: str
    records: int


class Line(NamedTuple):
    """One record: its number from 1, where its line begins in the unpacked text, and the line's bytes without its end."""

    number: int
    offset: int
    length: int


@dataclass(frozen=True)
class Records:
    """Records to be blanked, in order, and what is said instead: an empty object, or a row of one field too many."""

    said: bytes
    lines: tuple[Line, ...]

    @property
    def numbers(self) -> list[int]:
        """Their numbers."""
        return [line.number for line in self.lines]


def find_records(path: Path, shape: Shape, numbers: Collection[int], matches: Callable[[bytes], Iterable[int]]) -> Records | None:
    """Find the lines of records.

    Args:
        path: The file.
        shape: How it is written.
        numbers: Numbers of records, from 1.
        matches: Byte positions, in a block of whole lines, at which something of the person stands.

    Returns:
        The records that have one of the numbers or hold a match; None where they cannot be blanked beyond doubt.
    """
    finding = _Finding(shape, sorted(set(numbers)))
    try:
        with closing(open_plain(path, shape.compression)) as file:
            if not all(finding.take(block, matches(block)) for block in blocks_of_lines(file)):
                return None
    except LineTooLong:
        return None
    return finding.result()


def write_blanked(path: Path, target: Path, shape: Shape, records: Records) -> str:
    """Write the file anew with these records blanked, synced. The same text gives the same bytes: a blanking that was killed is found done.

    Returns:
        SHA-256 of the new file.
    """
    target.unlink(missing_ok=True)
    with closing(HashingFile(target)) as raw, closing(open_plain(path, shape.compression)) as file:
        if shape.compression == "gzip":
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                for block in _blanked(file, records):
                    packed.write(block)
        else:
            for block in _blanked(file, records):
                raw.write(block)
    return raw.sha256


class LineTooLong(ValueError):
    """A line of more than `LONGEST` bytes."""


class _Finding:
    """One pass over a file."""

    def __init__(self, shape: Shape, numbers: list[int]) -> None:
        self._shape = shape
        self._numbers = numbers
        self._said = b"{}" if shape.wire in _JSON else b""
        self._lines: list[Line] = []
        self._seen = 0
        self._offset = 0

    def take(self, block: bytes, matches: Iterable[int]) -> bool:
        """Look at the next block; False: the file cannot be blanked."""
        lines = block.split(b"\n")
        places = [at for at, line in enumerate(lines) if (line.strip() if self._shape.wire in _JSON else line not in (b"", b"\r"))]
        if not self._said and places:
            header = lines[places.pop(0)]
            if self._shape.quote and self._shape.quote.encode() in header:
                return False
            self._said = self._shape.delimiter.encode() * (header.count(self._shape.delimiter.encode()) + 1)
        first, last = (bisect_right(self._numbers, n) for n in (self._seen, self._seen + len(places)))
        chosen = {places[n - self._seen - 1] for n in self._numbers[first:last]}
        whole = self._note(lines, places, chosen, list(matches))
        self._seen += len(places)
        self._offset += len(block)
        return whole

    def _note(self, lines: list[bytes], places: list[int], chosen: set[int], matches: list[int]) -> bool:
        if not chosen and not matches:
            return True
        starts = [0, *accumulate(len(line) + 1 for line in lines)]
        hit = {bisect_right(starts, at) - 1 for at in matches}
        order = {at: number for number, at in enumerate(places, self._seen + 1)}
        if not hit <= order.keys():
            return False  # it stands in the header
        for at in sorted(chosen | hit):
            length = len(lines[at]) - lines[at].endswith(b"\r")
            if length < len(self._said):
                return False
            self._lines.append(Line(order[at], self._offset + starts[at], length))
        return True

    def result(self) -> Records | None:
        """All records, if there are as many as were counted and every number is one of them."""
        is_known = not self._numbers or (self._numbers[0] > 0 and self._numbers[-1] <= self._seen)
        return Records(self._said, tuple(self._lines)) if self._said and is_known and self._seen == self._shape.records else None


def _blanked(file: IO[bytes], records: Records) -> Iterator[bytes]:
    """The text with these lines blanked, of the same length."""
    offset, waiting = 0, iter(records.lines)
    line = next(waiting, None)
    for block in blocks_of_lines(file):
        text = bytearray(block)
        while line is not None and line.offset < offset + len(block):
            start = line.offset - offset
            text[start : start + line.length] = records.said.ljust(line.length)
            line = next(waiting, None)
        yield bytes(text)
        offset += len(block)


def open_plain(path: Path, compression: str | None) -> IO[bytes]:
    """A file's text, unpacked."""
    return gzip.open(path) if compression == "gzip" else path.open("rb")  # type: ignore[return-value]


def blocks_of_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Whole lines.

    Raises:
        LineTooLong: A line would have to be held that is longer than `LONGEST`.
    """
    carry: list[bytes] = []
    held = 0
    while piece := file.read(BLOCK):
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join((*carry, piece[:cut]))
            carry, held = [], 0
        carry.append(piece[cut:])
        held += len(piece) - cut
        if held > LONGEST:
            raise LineTooLong
    if held:
        yield b"".join(carry)
