"""NumPy arrays and Arrow columns over the same memory.

Belongs here: crossing between the two by buffers, because the parsing child starts Arrow without NumPy (`child`). Does not belong here: any meaning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Numbers = np.ndarray[Any, np.dtype[Any]]


def arrow_numbers(values: Numbers, kind: pa.DataType, valid: Numbers | None = None) -> pa.Array:
    """Numbers -> Arrow column of a type of the same width; null where `valid` is false."""
    mask = None if valid is None or bool(valid.all()) else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(np.ascontiguousarray(values))])


def places_of(found: Numbers) -> Numbers:
    """Positions where a long mask is true, ascending.

    Words of eight bytes are looked at first: for marks that are rare, as most are, a fifth of the cost of `np.flatnonzero`.
    """
    whole = len(found) // 8 * 8
    hit = found[:whole].view(np.uint64) != 0
    words = np.flatnonzero(hit)
    if len(words) > whole // 24:
        return np.flatnonzero(found)
    inside = np.flatnonzero(found[:whole].reshape(-1, 8)[words])
    places = (words[inside >> 3] << 3) + (inside & 7)
    return np.concatenate([places, np.flatnonzero(found[whole:]) + whole]) if found[whole:].any() else places


def arrow_mask(values: Numbers) -> pa.Array:
    """Booleans -> Arrow column."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(np.packbits(values, bitorder="little"))])


def validity(column: pa.Array) -> Numbers:
    """True where a column is not null."""
    if column.null_count == 0:
        return np.ones(len(column), bool)
    return truth(pc.is_valid(column))


def truth(column: pa.Array) -> Numbers:
    """Arrow booleans -> NumPy; null is false."""
    if column.null_count:
        column = pc.fill_null(column, False)
    bits = np.frombuffer(column.buffers()[1], np.uint8)
    return np.unpackbits(bits, bitorder="little")[column.offset : column.offset + len(column)].astype(bool)


def numbers_of(column: pa.Array, kind: type) -> Numbers:
    """Arrow numbers without nulls -> NumPy, without a copy."""
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)]


def span_of(texts: pa.Array) -> tuple[Numbers, Numbers, Numbers]:
    """Bytes of a string column, and start and length of each text in them (int64, writable)."""
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    letters = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return letters, edges[:-1], np.diff(edges)


def cut_texts(data: pa.Buffer, starts: Numbers, ends: Numbers) -> pa.Array:
    """Strings out of one buffer; null where a span is empty.

    Args:
        data: UTF-8, shorter than 2 GiB.
        starts: Where spans begin; they are in ascending order and do not overlap.
        ends: Where they end; a span that ends where it begins is null.
    """
    count = len(starts)
    if count == 0:
        return pa.array([], pa.string())
    ends = np.maximum(starts, ends)
    edges = np.empty(2 * count, np.int32)
    edges[0::2], edges[1::2] = starts, ends
    spans = pa.Array.from_buffers(pa.string(), 2 * count - 1, [None, pa.py_buffer(edges), data])  # text, gap, text, gap ... text
    texts = spans.take(arrow_numbers(np.arange(0, 2 * count, 2, dtype=np.int32), pa.int32()))
    valid = ends > starts
    if valid.all():
        return texts
    _, offsets, letters = texts.buffers()
    return pa.Array.from_buffers(pa.string(), count, [pa.py_buffer(np.packbits(valid, bitorder="little")), offsets, letters])


def pick(column: pa.Array, rows: Numbers) -> pa.Array:
    """Values at these rows; null for row -1."""
    return column.take(arrow_numbers(rows.astype(np.int32), pa.int32(), rows >= 0))
