"""Records of a person blanked in a delivered file, so that the file is still good for what it says of others.

Belongs here: the formats in which that can be proven, line by line. Does not belong here: which records (`landing_store`), the books.

A record becomes a line of the same length that says nothing, is still counted as a record, and is refused by the parser: numbers and byte offsets of all
other records stay. Done only where every record is one line (as many lines that are not blank as the independent counter found records): FHIR and
Open mHealth as lines, delimited text; plain or gzip. Everything else is destroyed whole.
"""

from __future__ import annotations

import gzip
from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import accumulate

_JSON = frozenset({"fhir", "open_mhealth"})
WIRES = _JSON | {"delimited"}
LARGEST = 2**30
"""Bytes, decompressed. Larger files would not be held in memory."""


@dataclass(frozen=True)
class Shape:
    """How a file is written. `records`: as the independent counter found them."""

    wire: str
    compression: str | None
    delimiter: str
    quote: str
    records: int


def unpacked(content: bytes, compression: str | None) -> bytes:
    """The text of a stored file."""
    return gzip.decompress(content) if compression == "gzip" else content


def packed(text: bytes, compression: str | None) -> bytes:
    """The same text gives the same bytes: a blanking that was killed is found done."""
    return gzip.compress(text, mtime=0) if compression == "gzip" else text


def blanked(text: bytes, shape: Shape, numbers: Collection[int], matches: Iterable[int]) -> tuple[bytes, list[int]] | None:
    """The text with records blanked.

    Args:
        text: Decompressed.
        shape: How it is written.
        numbers: Numbers of records, from 1.
        matches: Byte positions at which something of the person stands.

    Returns:
        The text, of the same length, and the numbers of the blanked records; None where it cannot be done.
    """
    lines = text.split(b"\n")
    places = [at for at, line in enumerate(lines) if (line.strip() if shape.wire in _JSON else line not in (b"", b"\r"))]
    header = None if shape.wire in _JSON else (lines[places[0]] if places else None)
    if header is not None:
        places = places[1:]
    if len(places) != shape.records or (shape.wire == "delimited" and (header is None or (shape.quote and shape.quote.encode() in header))):
        return None
    chosen = {places[n - 1] for n in numbers if 0 < n <= len(places)}
    if len(chosen) != len(set(numbers)):
        return None
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    hit = {bisect_right(starts, at) - 1 for at in matches}
    if not hit <= set(places):
        return None  # it stands in the header
    for at in chosen | hit:
        blank = _blank(lines[at], shape, header)
        if blank is None:
            return None
        lines[at] = blank
    order = {at: number for number, at in enumerate(places, 1)}
    return b"\n".join(lines), sorted(order[at] for at in chosen | hit)


def _blank(line: bytes, shape: Shape, header: bytes | None) -> bytes | None:
    """A line of the same length that is counted and refused: an empty object, or a row of one field too many."""
    end = b"\r" if line.endswith(b"\r") else b""
    room = len(line) - len(end)
    said = b"{}" if header is None else shape.delimiter.encode() * (header.count(shape.delimiter.encode()) + 1)
    return said + b" " * (room - len(said)) + end if room >= len(said) else None
