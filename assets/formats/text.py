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


def said(texts: pa.Array, nulls: pa.Array) -> pa.Array:
    """Texts without white space around them (fixed-width exports pad codes and ids); null where nothing or a text of `nulls` is left."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.is_in(trimmed, value_set=nulls), pa.scalar(None, pa.string()), trimmed)


def null_texts(options: object) -> pa.Array:
    """The texts that mean "no value" for a site; the empty text always does."""
    named = [str(text) for text in options] if isinstance(options, list) else []
    return pa.array(sorted({"", *named}), pa.string())
