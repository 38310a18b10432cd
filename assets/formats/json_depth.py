"""Is a line of JSON nested too deep? Asked of every byte, so it has to cost next to nothing.

Belongs here: two ways to find out for a block of lines, one exact way for a line. Does not belong here: what happens to such a line.
"""

from __future__ import annotations

import functools
import re
import sys
from typing import Any

import msgspec

_NOT_BRACKETS = bytes(c for c in range(256) if c not in b"{}[]\n")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\]]', re.S)


def decode_lines(decoder: msgspec.json.Decoder[Any], block: bytes, depth: int) -> list[Any]:
    """Decode lines of JSON.

    Up to Python 3.11 msgspec keeps to the interpreter's recursion limit, so a lowered limit finds deep lines for nothing. Later Pythons
    count the recursion of C code apart and cannot be told; there the brackets are peeled first (0.09 CPU s per 120 MB).

    Raises:
        RecursionError: Some line is nested deeper than `depth`.
        msgspec.DecodeError: Some line is no JSON, or not of the type of the decoder.
    """
    spare = _spare_levels()
    if spare is None:
        if _is_deep(block, depth):
            raise RecursionError
        return decoder.decode_lines(block)
    return _with_limit(decoder, block, depth + spare)


def nesting(line: bytes, enough: int) -> int:
    """Deepest nesting of a JSON text; stops counting beyond `enough`."""
    deepest = level = 0
    for match in _TOKEN.finditer(line):
        token = match.group()
        if token in (b"{", b"["):
            level += 1
            deepest = max(deepest, level)
            if deepest > enough:
                break
        elif token in (b"}", b"]"):
            level -= 1
    return deepest


def _is_deep(block: bytes, depth: int) -> bool:
    """Peels brackets from the inside; a line that resists is looked at token by token."""
    marks = block.translate(None, _NOT_BRACKETS)
    for _ in range(depth // 2):  # a pass takes one or two levels, and FHIR has about a dozen
        peeled = marks.replace(b"{}", b"").replace(b"[]", b"")
        if len(peeled) == len(marks):
            break
        marks = peeled
    if not marks.strip(b"\n"):
        return False
    lines = block.split(b"\n")
    return any(nesting(lines[i], depth) > depth for i, rest in enumerate(marks.split(b"\n")) if rest)


def _with_limit(decoder: msgspec.json.Decoder[Any], block: bytes, levels: int) -> list[Any]:
    """Decode with so many levels of recursion left."""
    usual = sys.getrecursionlimit()
    low, high = 1, usual
    while low < high:  # the lowest limit that Python accepts here is one more than the frames in use
        middle = (low + high) // 2
        try:
            sys.setrecursionlimit(middle)
            high = middle
        except RecursionError:
            low = middle + 1
    try:
        sys.setrecursionlimit(low + levels)
        return decoder.decode_lines(block)
    finally:
        sys.setrecursionlimit(usual)


@functools.cache
def _spare_levels() -> int | None:
    """How many levels msgspec needs less than the limit allows, found by trying; None if the limit does not bind it."""
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    for spare in range(-8, 9):
        fits = [_fits(decoder, depth, 20 + spare) for depth in (20, 21)]
        if fits == [True, False] and not _fits(decoder, 90, 89 + spare) and _fits(decoder, 90, 90 + spare):
            return spare
    return None


def _fits(decoder: msgspec.json.Decoder[Any], depth: int, levels: int) -> bool:
    try:
        _with_limit(decoder, b'{"a":' + b"[" * (depth - 1) + b"1" + b"]" * (depth - 1) + b"}", levels)
    except RecursionError:
        return False
    return True
