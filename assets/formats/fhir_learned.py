"""Resource types as structs, learned from the resources themselves.

Belongs here: the fastest way to take lines apart. Does not belong here: what to do with lines that do not go that way (`json_lines`).

A struct with one field for each top-level key of a resource type decodes a third faster than a dictionary and gives its columns for half
the price. Fields that no struct knows yet are lost in decoding; so the lines are encoded again, and if one byte is missing (a key not seen
before, a key twice, white space between tokens, a blank line), the caller decodes them as dictionaries and teaches the new keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Union

import msgspec

from assets.formats.fhir_columns import NULL, Row
from assets.formats.fhir_r4 import R4_TYPES
from assets.formats.json_depth import decode_lines

_MOST_KEYS = 128
"""FHIR resources have up to 60 elements; a file that brings ever new keys is read the slow way."""

_ENCODER = msgspec.json.Encoder()


class LearnedTypes:
    """Structs of the resource types seen so far.

    Attributes:
        seen: R4 resource type -> every top-level key that a resource of it had.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.seen: dict[str, set[str]] = {}
        self._keys: dict[str, dict[str, None]] = {}
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def learn(self, rows: Sequence[Row]) -> None:
        """Take note of the keys of sound resources."""
        for shape, row in {(bytes(row.get("resourceType", NULL)), tuple(row)): row for row in rows}.items():
            del row
            kind, keys = shape[0].decode("utf-8", "replace").strip('"'), shape[1]
            if kind not in R4_TYPES:
                continue
            self.seen.setdefault(kind, set()).update(keys)
            known = self._keys.get(kind, {})
            new = {key: None for key in keys if key not in known and key != "resourceType"}
            if new and len(known) + len(new) <= _MOST_KEYS and all(key.isascii() and key.isidentifier() for key in new):
                self._keys[kind] = known | new
                self._decoder = None

    def decode(self, block: bytes, depth: int) -> list[Any] | None:
        """Resources of a block of lines, if every byte of it is understood."""
        if not self._keys:
            return None
        self._decoder = self._decoder or msgspec.json.Decoder(Union[tuple(_struct(*item) for item in self._keys.items())])  # noqa: UP007
        try:
            rows = decode_lines(self._decoder, block, depth)
        except (msgspec.DecodeError, RecursionError):
            return None
        whole = len(_ENCODER.encode_lines(rows)) == len(block) and _line_feeds(block) == len(rows)
        return rows if whole else None


def _line_feeds(block: bytes) -> int:
    """Number of line feeds. `find` looks at 32 bytes at a time, `count` at one: a quarter of the time for lines of 1 KB."""
    number = at = 0
    while at := block.find(b"\n", at) + 1:
        number += 1
    return number


def _struct(kind: str, keys: dict[str, None]) -> type:
    fields = [(f"k_{key}", msgspec.Raw, NULL) for key in keys]
    return msgspec.defstruct(kind, fields, tag_field="resourceType", tag=kind, rename=lambda name: name[2:], omit_defaults=True, gc=False)


def keys_of(kind: type) -> list[str]:
    """Top-level keys of a learned type."""
    return [name[2:] for name in kind.__struct_fields__]  # type: ignore[attr-defined]


def values_of(rows: Sequence[Any], key: str) -> list[msgspec.Raw]:
    """One key of resources of a learned type."""
    return list(map(attrgetter(f"k_{key}"), rows))
