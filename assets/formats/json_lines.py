"""Lines of JSON objects, judged before anything is read from them.

Belongs here: text encoding, nesting, validity, keys written twice. Does not belong here: what the objects mean (`fhir`).

How a block of lines passes in a quarter of a second per 120 MB: it is decoded to objects whose values stay bytes, and encoded again. If
that gives back the very same bytes, then every line was one object, without blank lines, white space between tokens, or an outer key twice.
A block that does not come back the same is tightened first, and only then are its lines looked at one by one.

Keys written twice further in are found by decoding all of it: what comes back encoded has fewer keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from assets.formats.fhir_columns import Row
from assets.formats.fhir_learned import LearnedTypes
from assets.formats.json_depth import decode_lines, nesting
from assets.formats.reasons import Reason
from assets.formats.spool import Rejection
from assets.formats.text import is_utf8

_DECODER = msgspec.json.Decoder(Row)
_ENCODER = msgspec.json.Encoder()
_ALL = msgspec.json.Decoder()
_KEY_ENDS = b'":'
_PIECE_BYTES = 2**16
"""Decoded whole at a time. Objects of so little text stay in the processor's cache and their memory with Python: a third of the CPU of 4 MiB."""
_PLAIN_KEY = re.compile(r"_?[a-z][A-Za-z]{0,40}(?:64[A-Za-z]*)?")


@dataclass(frozen=True)
class Judged:
    """Objects of a block and the records that are none.

    Attributes:
        rows: Sound objects in order, dictionaries or structs of `LearnedTypes`.
        learned: They are structs.
        numbers: Their record numbers.
        records: How many records the block held, sound or not.
        rejections: All others.
    """

    rows: Sequence[Any]
    learned: bool
    numbers: Sequence[int]
    records: int
    rejections: list[Rejection]


class Judge:
    """Judges blocks of lines of one job; gets faster with what it has seen."""

    def __init__(self, depth: int, learned: LearnedTypes | None = None) -> None:
        """Set the deepest nesting allowed; `learned` where the objects are FHIR resources.

        Without it only outer keys are looked at: Bundle entries, whose resources are judged afterwards.
        """
        self._depth, self._learned = depth, learned
        self._spaced = False

    def judge(self, block: bytes, numbers: Sequence[int], *, offset: int | None = None) -> Judged:
        """Decode a block of whole lines.

        Args:
            block: Lines, each ended by a line feed.
            numbers: Record numbers of its lines that are not blank; may be longer.
            offset: Place of the block in the file, if its lines stand there as they are.

        Returns:
            Sound objects, whose values hold no white space between tokens, and rejections.
        """
        if not is_utf8(block):
            return self._one_by_one(block, numbers, offset)
        for spaced in (self._spaced, not self._spaced):
            text = _tighten(block) if spaced else block
            if text is None or (self._learned and not _keys_once(text, self._depth)):
                break
            if self._learned and (structs := self._learned.decode(text, self._depth)) is not None:
                self._spaced = spaced
                return Judged(structs, True, numbers[: len(structs)], len(structs), [])
            if (rows := self._same_again(text)) is not None:
                self._spaced = spaced
                if self._learned:
                    self._learned.learn(rows)
                return Judged(rows, False, numbers[: len(rows)], len(rows), [])
        return self._one_by_one(block, numbers, offset)

    def _same_again(self, block: bytes) -> list[Row] | None:
        """Objects of a block that is beyond doubt, else None."""
        try:
            rows: list[Row] = decode_lines(_DECODER, block, self._depth)
        except (msgspec.DecodeError, RecursionError):
            return None
        return rows if _ENCODER.encode_lines(rows) == block else None

    def _one_by_one(self, block: bytes, numbers: Sequence[int], offset: int | None) -> Judged:
        rows: list[Row] = []
        kept: list[int] = []
        rejections: list[Rejection] = []
        at = offset or 0
        records = 0
        for line in block.split(b"\n"):
            if line.strip():
                number = numbers[records]
                records += 1
                found = _judge_line(line, self._depth, inside=self._learned is not None)
                if isinstance(found, tuple):
                    reason, rule = found
                    rejections.append(Rejection(number, reason, rule, None, None if offset is None else at))
                else:
                    rows.append(found)
                    kept.append(number)
            at += len(line) + 1
        if self._learned:
            self._learned.learn(rows)
        return Judged(rows, False, kept, records, rejections)


def _tighten(block: bytes) -> bytes | None:
    """The block without white space between tokens and without blank lines; None if some line is no JSON."""
    try:
        return b"".join([msgspec.json.format(line, indent=-1) + b"\n" for line in block.split(b"\n") if line.strip()])
    except (msgspec.DecodeError, RecursionError):
        return None


def _keys_once(text: bytes, depth: int) -> bool:
    """Does no object of these lines hold a key twice, at whatever depth? False also where it cannot be told."""
    return all(_piece_keys_once(piece, depth) for piece in _pieces(text))


def _piece_keys_once(text: bytes, depth: int) -> bool:
    try:
        again = _ENCODER.encode_lines(decode_lines(_ALL, text, depth))
    except (msgspec.DecodeError, RecursionError):
        return False
    return again == text or again.count(_KEY_ENDS) == text.count(_KEY_ENDS)


def _pieces(text: bytes) -> Iterator[bytes]:
    """Whole lines, about `_PIECE_BYTES` at a time."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _PIECE_BYTES) + 1 or len(text)
        yield text[start:end]
        start = end


def _judge_line(line: bytes, depth: int, *, inside: bool) -> Row | tuple[Reason, str | None]:
    if not is_utf8(line):
        return Reason.ENCODING, None
    if nesting(line, depth) > depth:
        return Reason.TOO_DEEP, None
    try:
        tight = msgspec.json.format(line.strip(), indent=-1)
        if tight[:1] != b"{":
            return Reason.NOT_A_FHIR_RESOURCE, None
        row: Row = _DECODER.decode(tight)
    except RecursionError:
        return Reason.TOO_DEEP, None
    except msgspec.DecodeError:
        return Reason.INVALID_JSON, None
    if (_ENCODER.encode(row) != tight or (inside and not _keys_once(tight + b"\n", depth))) and (rule := _key_twice(tight, inside=inside)):
        return Reason.DUPLICATE_JSON_KEY, rule
    return row


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written."""


def _key_twice(line: bytes, *, inside: bool) -> str | None:
    """JSON path of the first key that stands twice in its object."""
    return _twice(json.loads(line, object_pairs_hook=_Pairs, parse_int=str), "$", inside=inside)


def _twice(value: object, path: str, *, inside: bool) -> str | None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, _ in value:
            if key in seen:
                return _below(path, key)
            seen.add(key)
        children = [(_below(path, key), child) for key, child in value]
    else:
        children = [(f"{path}[{i}]", child) for i, child in enumerate(value)] if isinstance(value, list) else []
    found = (_twice(child, place, inside=inside) for place, child in children if isinstance(child, list) and inside)
    return next((rule for rule in found if rule), None)


def _below(path: str, key: str) -> str:
    """The path of a key; it ends above a key that may be a value."""
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else path
