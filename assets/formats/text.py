"""What is asked of every byte and every text delivered: is it UTF-8, does it say anything?

Belongs here: those two questions. Does not belong here: other encodings (`delimited` decodes them), types (`values`).
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def is_utf8(block: bytes) -> bool:
    """Valid UTF-8? Arrow's check runs at several GB a second; Python's would build the whole text."""
    if block.isascii():
        return True
    offsets = pa.array([0, len(block)], pa.int64()).buffers()[1]
    one = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(block)])
    try:
        one.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


_SPACES = bytes((*range(0x09, 0x0E), *range(0x1C, 0x21)))
"""White space below 128, as `utf8_trim_whitespace` knows it."""


def holds_any(texts: pa.Array, marks: bytes) -> bool:
    """Does one of these ASCII characters stand in a string column? May say yes for one that stands in a part of the column cut away."""
    data = texts.buffers()[2]
    raw = b"" if data is None else data.to_pybytes()
    return any(mark in raw for mark in marks)


def may_be_trimmed(texts: pa.Array) -> bool:
    """Could white space stand around a text of the column? Codes and numbers hold none anywhere, and looking costs a tenth of trimming."""
    data = texts.buffers()[2]
    raw = b"" if data is None else data.to_pybytes()
    return not raw.isascii() or any(space in raw for space in _SPACES)


def said(texts: pa.Array, nulls: pa.Array) -> pa.Array:
    """Texts without white space around them (fixed-width exports pad codes and ids); null where nothing or a text of `nulls` is left."""
    trimmed = pc.utf8_trim_whitespace(texts) if may_be_trimmed(texts) else texts
    return pc.if_else(pc.is_in(trimmed, value_set=nulls), pa.scalar(None, pa.string()), trimmed)


def null_texts(options: object) -> pa.Array:
    """The texts that mean "no value" for a site; the empty text always does."""
    named = [str(text) for text in options] if isinstance(options, list) else []
    return pa.array(sorted({"", *named}), pa.string())
