"""How a value may be written in bytes, and when a match is but a part of another word.

Belongs here: values, encodings, neighbouring letters. Does not belong here: reading files (`scan`), other ways to write a name (`names`).

A value is written as UTF-8, UTF-16 (both byte orders) and CP949, and as hexadecimal and base64 (three alignments) of each; what is not ASCII also as JSON
escapes it and taken apart into jamo or accents, as some systems write file names. A match that only is the middle of a longer word or number does not count.

Korean joins particles to the end of a name, so a name in Hangul may go on with a syllable, and may not follow one.
"""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

PERSON_ID = "person_id"
NAME, ADDRESS = "name", "address"
RARE = frozenset({NAME, ADDRESS})
"""Kinds of values that only mostly mean the person: a name may be a word, or another's relative."""
_ENCODED = 10
"""Fewest characters of a hexadecimal or base64 form: shorter ones occur by chance."""
_WORD = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_JSON = "JSON"
_ESCAPED = re.compile(r"\\u[0-9a-fA-F]{4}")


@dataclass(frozen=True)
class Needle:
    """One value to look for.

    Attributes:
        kind, value: What it is.
        site: Only this site means the person by it; empty: everybody does.
        is_variant: Another way to write a value that is looked for itself: not looked for as hexadecimal or base64.
    """

    kind: str
    value: str
    site: str = ""
    is_variant: bool = False


def forms(value: str, *, is_variant: bool = False) -> Iterator[tuple[bytes, str]]:
    """Every way in which a value may be written, and the encoding whose neighbouring letters may make it another word; empty: no letter may. No form twice."""
    seen: dict[bytes, str] = {}
    for encoding in ("utf-8", "cp949", "utf-16-le", "utf-16-be"):
        try:
            plain = value.encode(encoding)
        except UnicodeEncodeError:
            continue
        seen.setdefault(plain, encoding)
        for text in () if is_variant else (plain.hex(), plain.hex().upper(), *_base64(plain)):
            if len(text) >= _ENCODED:
                seen.setdefault(text.encode(), "")
    if not value.isascii():
        escaped = json.dumps(value)[1:-1]
        for text in (escaped, _ESCAPED.sub(lambda found: rf"\u{found[0][2:].upper()}", escaped)):
            seen.setdefault(text.encode(), _JSON)
        seen.setdefault(unicodedata.normalize("NFD", value).encode(), "")
    yield from seen.items()


def _base64(plain: bytes) -> Iterator[str]:
    """The characters of base64 that depend on these bytes alone, at each of three alignments."""
    for shift, first in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(b"\0" * shift + plain).decode().rstrip("=")
        whole = (len(plain) + shift) % 3 == 0
        yield text[first:] if whole else text[first:-1]


def is_inside(data: bytes, start: int, end: int, needle: Needle, written: str) -> bool:
    """Whether a match is but a part of another word."""
    if written in ("utf-8", "cp949") and _inside_word(data, start, end):
        return True
    return (
        bool(written)
        and needle.kind in RARE
        and _is_syllable(needle.value[0])
        and _follows_syllable(data[max(start - 6, 0) : start], written)
    )


def _inside_word(data: bytes, start: int, end: int) -> bool:
    before = data[start - 1] if start else 0
    after = data[end] if end < len(data) else 0
    return (before in _WORD and data[start] in _WORD) or (after in _WORD and data[end - 1] in _WORD)


def _follows_syllable(before: bytes, written: str) -> bool:
    if written == _JSON:
        text = before.decode("latin-1")
        return bool(_ESCAPED.fullmatch(text)) and _is_syllable(chr(int(text[2:], 16)))
    if written == "cp949" and before[-1:].isascii():
        return False  # a Latin letter after any syllable looks like one syllable more
    last = before[-3:] if written == "utf-8" else before[-2:]
    return _is_syllable(last.decode(written, "ignore")[-1:])


def _is_syllable(character: str) -> bool:
    return "가" <= character <= "힣"
