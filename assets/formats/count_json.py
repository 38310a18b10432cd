"""Counts the records of FHIR files: lines, Bundles one a line, one JSON document of any size.

Belongs here: the FHIR part of the rule in `count`. Does not belong here: msgspec or anything else the parser uses.
"""

from __future__ import annotations

import contextlib
import json
import re

import numpy as np
import orjson

from assets.formats.count import Counter

_SPACE = b" \t\r\n"


class FhirCounter:
    """Finds out from the first line how the file is built, then counts so."""

    def __init__(self, record_bytes: int) -> None:
        self._limit = record_bytes
        self._head = b""
        self._counter: Counter | None = None

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        if self._counter is None:
            self._head = self._head + chunk if self._head else chunk.lstrip(_SPACE)
            small = len(self._head) <= self._limit
            if small and (b"\n" not in self._head or self._is_document()):
                return
            self._counter, chunk = self._choose(), self._head
        self._counter.feed(chunk)

    def close(self) -> tuple[int, str]:
        """Records, and what is broken."""
        if self._counter is None:
            if self._is_document() and (records := _whole(self._head)) is not None:
                return records, ""
            self._counter = self._choose()
            self._counter.feed(self._head)
        return self._counter.close()

    def _first_line(self) -> bytes:
        return self._head.partition(b"\n")[0].rstrip()

    def _is_document(self) -> bool:
        return self._head[:1] == b"[" or self._first_line()[-1:] in (b"{", b"[", b",")

    def _choose(self) -> Counter:
        line = self._first_line()
        if self._is_document():
            return _Document()
        if len(line) > self._limit:
            return _LongFirstLine()
        return _Lines() if _entries(line) is None else _BundleLines(self._limit)


def _whole(data: bytes) -> int | None:
    """Records of a document that is sound and small enough to be held: three times as fast as by brackets."""
    found = _load(data)
    if isinstance(found, list):
        return len(found) if _objects(found) else None
    if not isinstance(found, dict):
        return None
    return _bundle(found, data) if found.get("resourceType") == "Bundle" else 1


def _entries(line: bytes) -> int | None:
    """Entries of a line that is a Bundle, else None."""
    if b'"Bundle"' not in line:
        return None
    found = _load(line)
    if found is None:  # broken inside; the brackets may still tell
        document = _Document()
        document.feed(line)
        return document.bundle_entries()
    return _bundle(found, line) if isinstance(found, dict) and found.get("resourceType") == "Bundle" else None


def _bundle(found: dict[str, object], data: bytes) -> int | None:
    entries = found.get("entry", [])
    return len(entries) if isinstance(entries, list) and _objects(entries) and not _twice(data) else None


def _twice(data: bytes) -> bool:
    """Does the key `entry` stand twice in the outermost object? Then which array counts is anyone's guess."""
    if data.count(b'"entry"') < 2:
        return False
    outermost: list[list[str]] = [[]]

    def keep(pairs: list[tuple[str, object]]) -> None:
        outermost[0] = [key for key, _ in pairs]

    try:
        json.loads(data, object_pairs_hook=keep, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return outermost[0].count("entry") > 1


def _objects(values: list[object]) -> bool:
    return all(isinstance(v, dict) for v in values)


def _load(data: bytes) -> object:
    """The decoded document, or None for one that is broken. `json` accepts what servers write against the standard, such as NaN."""
    with contextlib.suppress(ValueError):
        return orjson.loads(data)
    try:
        return json.loads(data, parse_int=str)  # int() refuses 4,300 digits, and one number must not cost the document
    except (ValueError, RecursionError):
        return None


class _LongFirstLine:
    """The first line is longer than a record: a document if it is the only line, else a line over the limit."""

    def __init__(self) -> None:
        self._lines, self._document = _Lines(), _Document()

    def feed(self, chunk: bytes) -> None:
        self._lines.feed(chunk)
        self._document.feed(chunk)

    def close(self) -> tuple[int, str]:
        lines, _ = self._lines.close()
        return self._document.close() if lines == 1 else (lines, "")


class _Lines:
    """Counts line feeds, less blank lines. A blank line is empty or starts with white space, so few lines are looked at."""

    def __init__(self) -> None:
        self._records = 0
        self._begun = False  # the line that is not finished yet holds something

    def feed(self, chunk: bytes) -> None:
        data = np.frombuffer(chunk, np.uint8)
        ends = np.flatnonzero(data == 10)
        if len(ends) == 0:
            self._begun |= bool(chunk.strip())
            return
        first, last = int(ends[0]), int(ends[-1])
        self._records += self._begun or bool(chunk[:first].strip())
        firsts = data[ends[:-1] + 1]
        suspects = np.flatnonzero((firsts == 10) | (firsts == 13) | (firsts == 32) | (firsts == 9)).tolist()
        self._records += len(firsts) - sum(not chunk[ends[i] : ends[i + 1]].strip() for i in suspects)
        self._begun = bool(chunk[last:].strip())

    def close(self) -> tuple[int, str]:
        return self._records + self._begun, ""


class _BundleLines:
    """Counts the entries of one Bundle a line."""

    def __init__(self, record_bytes: int) -> None:
        self._limit = record_bytes
        self._records = 0
        self._tail = b""
        self._passing = False  # within a line over the limit, which was counted

    def feed(self, chunk: bytes) -> None:
        *lines, self._tail = (self._tail + chunk).split(b"\n")
        if lines and self._passing:
            lines, self._passing = lines[1:], False
        self._records += sum(self._line(line) for line in lines)
        if len(self._tail) > self._limit:
            self._records += not self._passing
            self._tail, self._passing = b"", True

    def close(self) -> tuple[int, str]:
        return self._records + (0 if self._passing else self._line(self._tail)), ""

    def _line(self, line: bytes) -> int:
        if not line.strip():
            return 0
        entries = _entries(line) if len(line) <= self._limit else None
        return 1 if entries is None else entries


_BODY = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_WHOLE_STRINGS = re.compile(rb'(?:[^"]*+"' + _BODY + rb'")*+', re.S)
_STRING = re.compile(rb'"' + _BODY + rb'"', re.S)
_REST_OF_STRING = re.compile(_BODY, re.S)
_NAMES = ((b'"entry"', b"\x01"), (b'"resourceType"', b"\x02"), (b'"Bundle"', b"\x03"))
_LONGEST_NAME = 16
_DROP = bytes(c for c in range(256) if c not in b"{}[]:,\x01\x02\x03")
_STEP = np.zeros(256, np.int32)
_STEP[[0x7B, 0x5B]], _STEP[[0x7D, 0x5D]] = 1, -1


class _Document:
    """Counts the entries of one JSON document by its brackets, once the strings are gone. Memory: one chunk."""

    def __init__(self) -> None:
        self._carry = b""
        self._inside = False  # within a string that began in an earlier chunk
        self._depth = 0
        self._last = [0, 0]  # the last two marks of the chunk before
        self._is_array: bool | None = None
        self._is_bundle = self._in_entries = self._bad = False
        self._entries = self._elements = self._brackets_seen = self._arrays = 0

    def feed(self, chunk: bytes) -> None:
        data, self._carry = self._carry + chunk, b""
        if self._inside:
            end = _end(_REST_OF_STRING, data)
            if data[end : end + 1] != b'"':
                self._carry = data[end:]
                return
            data, self._inside = data[end + 1 :], False
        whole = _end(_WHOLE_STRINGS, data)
        start = data.find(b'"', whole)
        if start >= 0:  # a string that goes on in the next chunk
            long = len(data) - start > _LONGEST_NAME
            self._inside, self._carry = long, data[_end(_REST_OF_STRING, data, start + 1) :] if long else data[start:]
            data = data[:start]
        text = data.translate(None, b"\x01\x02\x03")
        for name, mark in _NAMES:  # the same text after a backslash ends a longer string
            text = text.replace(b"\\" + name, b"\\" + name[:-1] + b' "').replace(name, mark)
        text = _STRING.sub(b"", text)
        marks = np.frombuffer(text.translate(None, _DROP), np.uint8)
        if len(marks):
            self._brackets(marks)

    def bundle_entries(self) -> int | None:
        """Entries, if this is a sound Bundle."""
        return self._entries if self._is_bundle and not self._is_array and not self.close()[1] else None

    def close(self) -> tuple[int, str]:
        broken = self._bad or self._arrays > 1 or self._depth != 0 or self._inside or bool(self._carry.strip())
        records = self._elements if self._is_array else (self._entries if self._is_bundle else 1)
        return records, "the JSON document is broken" if broken else ""

    def _brackets(self, marks: np.ndarray) -> None:
        if self._is_array is None:
            self._is_array = bool(marks[0] == 0x5B)
        steps = _STEP[marks]
        after = np.cumsum(steps) + self._depth
        before = after - steps
        known = np.concatenate([self._last, marks])
        named, colon = known[:-2], known[1:-1] == 0x3A  # a name, a colon, then this mark
        opens = marks == 0x7B
        self._elements += int(np.count_nonzero(opens & (before == 1)))
        self._is_bundle |= bool(np.any((marks == 3) & colon & (named == 2) & (before == 1)))
        self._bad |= bool(np.any(after < 0)) or bool(
            np.any((before == 0) & (steps > 0) & (np.cumsum(steps != 0) + self._brackets_seen > 1))
        )
        self._brackets_seen += int(np.count_nonzero(steps))
        begins = np.flatnonzero((marks == 0x5B) & colon & (named == 1) & (before == 1))
        self._arrays += len(begins)
        self._count_entries(
            begins,
            np.flatnonzero((marks == 0x5D) & (after == 1)),
            np.flatnonzero(opens & (before == 2)),
        )
        self._depth, self._last = int(after[-1]), known[-2:].tolist()

    def _count_entries(self, begins: np.ndarray, ends: np.ndarray, objects: np.ndarray) -> None:
        """Objects that lie in an `entry` array, which may reach over several chunks."""
        turns = sorted([(int(b), True) for b in begins] + [(int(e), False) for e in ends])
        at = 0
        for place, opening in turns:
            upto = int(np.searchsorted(objects, place))
            self._entries += upto - at if self._in_entries else 0
            at, self._in_entries = upto, opening
        self._entries += len(objects) - at if self._in_entries else 0


def _end(pattern: re.Pattern[bytes], data: bytes, start: int = 0) -> int:
    """Where a pattern that can match nothing ends its match."""
    found = pattern.match(data, start)
    return found.end() if found else start
