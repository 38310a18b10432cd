"""Columns of text -> columns of a contract type, with the rows that do not convert.

Belongs here: numbers, booleans, comparators. Does not belong here: dates (`dates`), which column is what (`tabular`).
Arrow converts whole columns. Only where it finds something it cannot read are the distinct texts looked at in Python, one by one, by the same
rules: a block without bad values never pays for exactness.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from assets.formats import dates
from assets.formats.reasons import Fault, Reason
from assets.formats.text import holds_any

Blame = Callable[[Sequence[int], Fault], None]
"""Called with row positions and what is wrong with them."""

_INTEGER = re.compile(r"[+-]?\d{1,19}(?:\.0+)?", re.A)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.A)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.I)
_RESULT = re.compile(r"(<=|>=|<|>|≤|≥)?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.A)
_COMPARATORS = {"≤": "<=", "≥": ">="}
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "1", "y", "yes", "예"), True),
    **dict.fromkeys(("false", "f", "0", "n", "no", "아니오"), False),
}


def convert(texts: pa.Array, kind: str, *, zone: str, rule: str, blame: Blame) -> pa.Array:
    """Text -> contract type.

    Args:
        texts: String column.
        kind: Contract type; `string` gives the texts back.
        zone: IANA zone of times written without one.
        rule: Name of the column for faults.
        blame: Told of rows that do not convert; they are null in the result.
    """
    if kind == "string":
        return texts
    if kind in ("date", "timestamp"):
        parsed = dates.parse_dates(texts) if kind == "date" else dates.parse_timestamps(texts, zone=zone)
        if parsed.bad:
            blame(parsed.bad, Fault(Reason.INVALID_DATE, rule))
        return parsed.values
    if kind == "float64":
        return _floats(texts, rule, blame)
    if kind in ("int32", "int64"):
        return _integers(texts, pa.int32() if kind == "int32" else pa.int64(), rule, blame)
    if kind == "bool":
        return _distinct(texts, _boolean, pa.bool_(), rule, blame, "is no yes or no")
    raise ValueError(f"a delimited column cannot have the type {kind}")


def finite(values: pa.Array, rule: str, blame: Blame) -> pa.Array:
    """Null and blame NaN and infinities: Delta's file statistics lose rows over them (DESIGN section 3)."""
    sound = pc.fill_null(pc.is_finite(values), True)
    if pc.all(sound).as_py() in (True, None):
        return values
    blame(_positions(pc.invert(sound)), Fault(Reason.VALUE_NOT_FINITE, rule))
    return pc.if_else(sound, values, pa.scalar(None, values.type))


def split_results(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Laboratory results: "<0.5" -> (0.5, "<"). What is no number gives nothing, and is no fault.

    Returns:
        float64 and string columns of the same length.
    """
    encoded = texts.dictionary_encode()
    numbers: list[float | None] = []
    comparators: list[str | None] = []
    for text in encoded.dictionary.to_pylist():
        match = _RESULT.fullmatch(text.strip())
        number = float(match.group(2)) if match else None
        number = None if number is not None and abs(number) == float("inf") else number
        numbers.append(number)
        comparators.append(_COMPARATORS.get(match.group(1), match.group(1)) if match and number is not None else None)
    codes = encoded.indices
    return pa.array(numbers, pa.float64()).take(codes), pa.array(comparators, pa.string()).take(codes)


def _floats(texts: pa.Array, rule: str, blame: Blame) -> pa.Array:
    try:
        values = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        values = _distinct(texts, _float, pa.float64(), rule, blame, "is no number")
    return finite(values, rule, blame)


def _integers(texts: pa.Array, kind: pa.DataType, rule: str, blame: Blame) -> pa.Array:
    try:
        values = pc.cast(texts, kind)
    except pa.ArrowInvalid:
        return _distinct(texts, _integer(kind.bit_width), kind, rule, blame, "is no whole number of its size")
    if holds_any(texts, b"xX"):  # Arrow reads 0x10 as 16
        return _distinct(texts, _integer(kind.bit_width), kind, rule, blame, "is no whole number of its size")
    return values


def _distinct(texts: pa.Array, read: Callable[[str], Any], kind: pa.DataType, rule: str, blame: Blame, detail: str) -> pa.Array:
    """Read each distinct text in Python. `read` returns None for what it cannot read."""
    encoded = texts.dictionary_encode()
    found = [read(text.strip()) for text in encoded.dictionary.to_pylist()]
    bad = [i for i, value in enumerate(found) if value is None]
    if bad:
        blame(_positions(pc.is_in(encoded.indices, value_set=pa.array(bad, pa.int32()))), Fault(Reason.INVALID_TYPE, rule, detail))
    return pa.array(found, kind).take(encoded.indices)


def _float(text: str) -> float | None:
    return float(text) if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text) else None


def _integer(bits: int) -> Callable[[str], int | None]:
    most = 2 ** (bits - 1)

    def read(text: str) -> int | None:
        if not _INTEGER.fullmatch(text):
            return None
        value = int(text.partition(".")[0])
        return value if -most <= value < most else None

    return read


def _boolean(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


def _positions(mask: pa.Array) -> list[int]:
    return list(pc.indices_nonzero(mask).to_pylist())
