"""How a FHIR file is built, and the cutting of whole JSON documents into entries.

Belongs here: the first-line rule (stated in `count`, which tells it apart with other code), Bundles, `fullUrl`, deletions.
Does not belong here: what a resource says (`fhir`, `fhir_columns`).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from assets.formats.fhir_columns import Row
from assets.formats.fhir_r4 import R4_TYPES
from assets.formats.job import Job, SourceFile
from assets.formats.reasons import FileRefused, Reason
from assets.formats.stream import BLOCK_BYTES, BOM, Read, open_source

Bytes = bytes | memoryview

_SPACE = b" \t\r\n"
_HELD_BYTES = 64 * 2**20
"""A document up to this size is read; a larger one is mapped, so that it does not count as memory of the child."""

BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that nobody has looked at yet may raise: text is not known to be UTF-8 here."""

_OBJECT = msgspec.json.Decoder(Row)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\]:]', re.S)
_DELETED = re.compile(r"([A-Za-z]+)/([^/?#\s]+)")


class Head:
    """The beginning of a file, up to its first line feed."""

    def __init__(self, read: Read, record_bytes: int) -> None:
        """Read as far as needed; nothing is lost, `replay` gives it again."""
        self._read, self._data, self.skipped = read, b"", 0
        while b"\n" not in self._data and len(self._data) <= record_bytes and (piece := read(BLOCK_BYTES)):
            if not self._data:
                size = len(piece)
                piece = (piece.removeprefix(BOM) if self.skipped == 0 else piece).lstrip(_SPACE)
                self.skipped += size - len(piece)
            self._data += piece
        if not self._data and not self.skipped:
            raise FileRefused(Reason.EMPTY_FILE, "0 bytes unpacked")
        self._line = self._data.partition(b"\n")[0].rstrip()
        self.is_long = len(self._line) > record_bytes

    @property
    def is_document(self) -> bool:
        """One JSON document; of a first line longer than a record this is not known yet (`is_long`)."""
        return self._data[:1] == b"[" or self._line[-1:] in (b"{", b"[", b",")

    @property
    def is_bundle(self) -> bool:
        """The first line is a Bundle by itself."""
        found = entries_of(self._line)
        return found is not None and found.is_bundle

    def replay(self, size: int) -> bytes:
        """Read from the first byte that is no white space."""
        if not self._data:
            return self._read(size)
        data, self._data = self._data[:size], self._data[size:]
        return data


def has_one_line(read: Read) -> bool:
    """Does nothing but white space follow the first line? Reads to the end, holds one block."""
    ended = False
    while piece := read(BLOCK_BYTES):
        after = piece if ended else piece.partition(b"\n")[2]
        ended |= b"\n" in piece
        if after.strip(_SPACE):
            return False
    return True


def whole(file: SourceFile, read: Read, skipped: int, job: Job) -> Bytes:
    """All bytes of a document, from `read` on. Above 64 MiB they are mapped: from the file, or unpacked beside the spool."""
    pieces, size = [], 0
    while size <= _HELD_BYTES and (piece := read(BLOCK_BYTES)):
        pieces.append(piece)
        size += len(piece)
    if size <= _HELD_BYTES:
        return b"".join(pieces)
    path = file.path
    if file.compression:
        path = job.spool / f"_unpacked_{file.index}"
        with open_source(file, job.limits) as again, path.open("wb") as out:
            while piece := again(BLOCK_BYTES):
                out.write(piece)
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    if file.compression:
        os.unlink(path)
    return memoryview(mapped)[skipped:]


@dataclass(frozen=True)
class Entries:
    """A document, cut.

    Attributes:
        texts: Entries of the Bundle, elements of the array, or the one resource. Not tightened yet.
        is_bundle: They are Bundle entries.
        is_history: The Bundle lists versions, newest first.
    """

    texts: Sequence[Bytes | msgspec.Raw]
    is_bundle: bool
    is_history: bool = False


def entries_of(data: Bytes) -> Entries | None:
    """Cut a JSON document. None if it is broken so that its entries cannot be told apart."""
    try:
        return _cut(data)
    except BROKEN:
        return _cut_by_brackets(data)


def _cut(data: Bytes) -> Entries | None:
    if bytes(data[:1]) == b"[":
        return _objects(_ARRAY.decode(data), is_bundle=False)
    found = _OBJECT.decode(data)
    if bytes(found.get("resourceType", b"")) != b'"Bundle"':
        return Entries([data], is_bundle=False)
    if sum(1 for _ in re.finditer(rb'"entry"', data)) > 1 and _cut_by_brackets(data) is None:
        return None  # not a List among the entries, but the key twice
    is_history = bytes(found.get("type", b"")) == b'"history"'
    return _objects(_ARRAY.decode(found["entry"]) if "entry" in found else [], is_bundle=True, is_history=is_history)


def _objects(values: Sequence[msgspec.Raw], *, is_bundle: bool, is_history: bool = False) -> Entries | None:
    return Entries(values, is_bundle, is_history) if all(bytes(memoryview(v)[:1]) == b"{" for v in values) else None


def _cut_by_brackets(data: Bytes) -> Entries | None:
    """Cut a document whose inside is broken or too deep to decode; only brackets and strings have to be sound."""
    is_array = bytes(data[:1]) == b"["
    level = 1 if is_array else 2
    depth = start = end = 0  # `start` is one more than where the object began, 0 outside of objects
    inside = is_bundle = False
    arrays = 0
    named = previous = b""  # the two tokens before
    found: list[Bytes] = []
    for match in _TOKEN.finditer(data):
        token = match.group()
        if end:  # something follows the document
            return None
        if token in (b"{", b"["):
            opens = depth == 1 and token == b"[" and (named, previous) == (b'"entry"', b":") and not is_array
            arrays += opens
            inside |= is_array or opens
            if token == b"{" and depth == level and inside:
                start = match.start() + 1
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if start and depth == level:
                found.append(data[start - 1 : match.end()])
                start = 0
            inside &= depth > 1 or is_array
            end = match.end() if depth <= 0 else 0
        else:
            is_bundle |= depth == 1 and (named, previous, token) == (b'"resourceType"', b":", b'"Bundle"')
        named, previous = previous, token
    if depth != 0 or not end or arrays > 1 or bytes(data[end:]).strip(_SPACE):
        return None
    return Entries(found if is_array or is_bundle else [data], is_bundle and not is_array)


def blocks(found: Entries, first: int, record_bytes: int) -> Iterator[tuple[bytes, list[int], list[int]]]:
    """Entries as lines, in blocks of about the size that lines are read in.

    Args:
        found: What to read.
        first: Number of the first entry.
        record_bytes: Longest entry.

    Yields:
        A block, the numbers of its lines, and the numbers of entries left out because they are too long.
    """
    lines: list[bytes] = []
    numbers: list[int] = []
    long: list[int] = []
    size = 0
    for number, text in enumerate(found.texts, first):
        line = _tighten(text) if len(memoryview(text)) <= 2 * record_bytes else None  # white space may make up half of it
        if line is None or len(line) > record_bytes:
            long.append(number)
            continue
        lines.append(line)
        numbers.append(number)
        size += len(line)
        if size > BLOCK_BYTES:
            yield b"\n".join(lines) + b"\n", numbers, long
            lines, numbers, long, size = [], [], [], 0
    if numbers or long:
        yield b"\n".join(lines) + b"\n", numbers, long


def _tighten(text: Bytes | msgspec.Raw) -> bytes:
    """An entry on one line. One that is no JSON stays as it is, without line feeds."""
    with contextlib.suppress(*BROKEN):
        return msgspec.json.format(bytes(text), indent=-1)
    return bytes(text).replace(b"\n", b" ")


class _Resource(msgspec.Struct, gc=False):
    resourceType: str | None = None  # noqa: N815 - FHIR's name
    id: str | None = None


class _Request(msgspec.Struct, gc=False):
    method: str | None = None
    url: str | None = None


class _Entry(msgspec.Struct, gc=False):
    fullUrl: str | None = None  # noqa: N815 - FHIR's name
    resource: _Resource | None = None
    request: _Request | None = None


_ENTRY = msgspec.json.Decoder(_Entry)


def full_urls(found: Entries) -> dict[str, str]:
    """`fullUrl` -> `Type/id` of a Bundle (R4 2.36.4.1), where the reference itself does not tell the id already."""
    urls = {}
    for text in found.texts:
        with contextlib.suppress(*BROKEN):
            entry = _ENTRY.decode(text)
            resource = entry.resource
            if entry.fullUrl and resource and resource.id and not entry.fullUrl.endswith((f":{resource.id}", f"/{resource.id}")):
                urls[entry.fullUrl] = f"{resource.resourceType}/{resource.id}"
    return urls


def last_deletions(found: Entries, first: int) -> frozenset[int]:
    """Numbers of the deletions in a history Bundle after which nothing came: it lists newest first (R4 3.1.0.14.2).

    Args:
        found: What is read.
        first: Number of the first entry.
    """
    seen: set[tuple[str, str]] = set()
    last = set()
    for number, text in enumerate(found.texts if found.is_history else (), first):
        with contextlib.suppress(*BROKEN):
            entry = _ENTRY.decode(text)
            url = _DELETED.match(entry.request.url or "") if entry.request else None
            at = (entry.resource.resourceType or "", entry.resource.id or "") if entry.resource else url.groups() if url else ("", "")
            if entry.resource is None and entry.request and entry.request.method == "DELETE" and at not in seen:
                last.add(number)
            seen.add((at[0], at[1]))
    return frozenset(last)


def deleted(entry: Row) -> tuple[str, str] | None:
    """(resource type, id) of an entry that only asks for a deletion (Bulk Data Access 2.0, `deleted` output)."""
    request: Any = None
    with contextlib.suppress(*BROKEN):
        request = msgspec.json.decode(entry.get("request", b"null"))
    if not isinstance(request, dict) or request.get("method") != "DELETE" or not isinstance(request.get("url"), str):
        return None
    match = _DELETED.fullmatch(request["url"])
    return (match.group(1), match.group(2)) if match and match.group(1) in R4_TYPES else None
