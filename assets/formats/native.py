"""Columns that come with types of their own (Parquet) -> contract types.

Belongs here: Arrow types in, contract types out, without losing a digit. Does not belong here: text (`values`, `dates`), files (`parquet`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.contracts.table import ARROW_TYPES
from assets.formats import dates, values
from assets.formats.reasons import Fault, Reason
from assets.formats.text import said
from assets.formats.values import Blame

_EXACT = 2**53
"""Beyond this a float64 does not hold every whole number: two patients could become one."""


def is_flat(kind: pa.DataType) -> bool:
    """Is it a type that a column of a table may have?"""
    return not pa.types.is_nested(kind)


def plain(array: pa.Array, nulls: pa.Array) -> pa.Array:
    """Undo encodings (dictionary, large and view strings); texts are cleaned as those of delimited files are."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    return said(array, nulls) if pa.types.is_string(array.type) else array


def to_text(array: pa.Array, *, rule: str, blame: Blame) -> pa.Array:
    """Identifiers as text: 17.0 of a float column is `17`, as it would be in the same table written as text."""
    kind = array.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _each(
            array,
            _number_text,
            pa.string(),
            Fault(Reason.INVALID_TYPE, rule, "has lost digits: identifiers must be whole numbers or text"),
            blame,
        )
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _each(array, _decoded, pa.string(), Fault(Reason.ENCODING, rule, "is not UTF-8"), blame)
    if pa.types.is_timestamp(kind):
        array = array.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    return array.cast(pa.string())


def convert(array: pa.Array, kind: str, *, zone: str, rule: str, blame: Blame) -> pa.Array:
    """Typed column -> contract type; arguments as in `values.convert`."""
    source = array.type
    if kind == "string":
        return to_text(array, rule=rule, blame=blame)
    if kind in ("date", "timestamp") and (pa.types.is_temporal(source) and not pa.types.is_time(source)):
        parsed = dates.in_range(_dates(array, zone) if kind == "date" else _timestamps(array, zone))
        if parsed.bad:
            blame(parsed.bad, Fault(Reason.INVALID_DATE, rule))
        return parsed.values
    target = ARROW_TYPES[kind]
    if _is_number(source) and _is_number(target):
        fault = Fault(Reason.INVALID_TYPE, rule, f"does not fit {kind}")
        try:
            converted = pc.cast(array, target)
        except pa.ArrowInvalid:
            converted = _each(array, _fitting(target), target, fault, blame)
        return values.finite(converted, rule, blame) if pa.types.is_floating(target) else converted
    if source == target:
        return array
    return values.convert(to_text(array, rule=rule, blame=blame), kind, zone=zone, rule=rule, blame=blame)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _timestamps(array: pa.Array, zone: str) -> pa.Array:
    if pa.types.is_timestamp(array.type) and array.type.tz:
        return array.cast(dates.UTC_MICROSECONDS, safe=False)
    return dates.localise(array.cast(pa.timestamp("us"), safe=False), zone)


def _dates(array: pa.Array, zone: str) -> pa.Array:
    if pa.types.is_timestamp(array.type) and array.type.tz:
        array = pc.local_timestamp(array.cast(pa.timestamp("us", tz=zone), safe=False))
    return array.cast(pa.date32(), safe=False)


def _each(array: pa.Array, read: Callable[[Any], Any], kind: pa.DataType, fault: Fault, blame: Blame) -> pa.Array:
    """Convert each distinct value in Python; `read` returns None for what does not convert."""
    encoded = array.dictionary_encode()
    found = [read(value) for value in encoded.dictionary.to_pylist()]
    bad = [i for i, value in enumerate(found) if value is None]
    if bad:
        blame(pc.indices_nonzero(pc.is_in(encoded.indices, value_set=pa.array(bad, pa.int32()))).to_pylist(), fault)
    return pa.array(found, kind).take(encoded.indices)


def _number_text(value: Any) -> str | None:
    if isinstance(value, float) and (not math.isfinite(value) or abs(value) >= _EXACT):
        return None
    return str(int(value)) if value == int(value) else str(value)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _fitting(target: pa.DataType) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if pa.types.is_floating(target):
            return float(value)
        most = 2 ** (target.bit_width - 1)
        if not math.isfinite(value) or value != int(value) or not -most <= value < most:
            return None
        return int(value)

    return read
