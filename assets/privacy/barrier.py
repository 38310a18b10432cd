"""What looks like a person's identifier does not pass as a code, a unit, a text or a number, wherever a sender put it.

Belongs here: the shapes, and taking such values out of a column. Does not belong here: which columns may pass at all (`scrub`), people (`vault`).
A column map that points to the wrong header, or a clerk who types a telephone number into a field for codes, would else bring it into the
tables. Names have no shape: only those that the same delivery tells as names are known, and any other name in a field for codes passes.
"""

from __future__ import annotations

import re
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

WITHHELD = "(withheld)"
"""Stands in place of a text. Not null: most codes are required, and whoever meets one sees why it is gone."""

SHORTEST_NAME = 3
"""Syllables: names of two are words, of places and departments, too often."""

_SHORTEST = 7
"""Bytes below which no text is looked at: an e-mail address or telephone number has more."""

_BEFORE, _AFTER = r"(?:^|[^0-9A-Za-z.\-])", r"(?:$|[^0-9A-Za-z\-])"
_DAY = r"\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_RESIDENT = rf"{_DAY}(?:\s?[-\x{{2013}}]\s?\d|[1-8])\d{{6}}"
_MOBILE = r"(?:\+?82[-. ]?0?|0)1[016789][-. ]?\d{3,4}[-. ]?\d{4}"
_LANDLINE = r"(?:\+?82[-. ]?|0)(?:2|[3-6]\d|70)[-. )]\d{3,4}[-. ]\d{4}"
_EMAIL = r"[\w.+%\-]+@[\w\-]+(?:\.[\w\-]+)*\.[A-Za-z]{2,}"
_ROAD = r"\p{Hangul}(?:\d*번?길|로|길|동|리|가)\s*(?:\d+번?[길가]?\s*)?\d+(?:-\d+)?(?:$|[^0-9a-zA-Z])"
_ADDRESS = rf"\p{{Hangul}}[시군구]\s.*{_ROAD}"
_PROSE = r"\p{Hangul}.*?(?:\s+\S+){4}|[\r\n]|(?:\S+\s+){11}\S"

_IDENTIFIER = rf"{_BEFORE}(?:{_RESIDENT}|{_MOBILE}|{_LANDLINE}){_AFTER}|{_EMAIL}|{_ADDRESS}"
_IDENTIFIER_OR_PROSE = f"{_IDENTIFIER}|{_PROSE}"

_MAY_BE_PROSE = ("_text", "_name", "_codes", "_version")
"""Ends of names of columns that promise more than a code."""

_RESIDENT_DIGITS = re.compile(rf"{_DAY}[1-8]\d{{6}}")
_DIGITS = re.compile(r"(?<![0-9A-Za-z.\-])880\d{10}(?![0-9A-Za-z\-])")


def looks_like_identifier(text: str) -> bool:
    """Does a name, of a column, a folder or an item, hold what looks like a person's number or address?"""
    return bool(_matches(pa.array([text.replace("_", " ")]), _IDENTIFIER)[0].as_py())


def withhold(values: pa.Array, column: str, *, required: bool, names: frozenset[str] = frozenset()) -> tuple[pa.Array, int]:
    """Take values that look like an identifier out of a column.

    Args:
        values: A column of any contract type.
        column: Its name; one for names or texts may hold several words.
        required: Null is not allowed: a number then becomes 0.
        names: Names of people, Hangul without blanks; a text that is one of them does not pass.

    Returns:
        The column, of the same type and length, and how many values were taken out.
    """
    kind = values.type
    if pa.types.is_string(kind):
        return _texts(values, _IDENTIFIER if column.endswith(_MAY_BE_PROSE) else _IDENTIFIER_OR_PROSE, names)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numbers(values, required=required)
    if pa.types.is_list(kind) and not pa.types.is_integer(kind.value_type):
        return _lists(values, column, names)
    if pa.types.is_struct(kind):
        return _structs(values, column, names)
    return values, 0


def _texts(values: pa.Array, pattern: str, names: frozenset[str]) -> tuple[pa.Array, int]:
    longest = pc.max(pc.binary_length(values)).as_py()
    if longest is None or longest < _SHORTEST:
        return values, 0
    encoded = values.dictionary_encode()
    found = _matches(encoded.dictionary, pattern)
    if names:
        found = pc.or_(found, pa.array([text.replace(" ", "") in names for text in encoded.dictionary.to_pylist()], pa.bool_()))
    if not pc.any(found).as_py():
        return values, 0
    told = pc.if_else(found, pa.scalar(WITHHELD), encoded.dictionary)
    return told.take(encoded.indices), pc.sum(found.take(encoded.indices)).as_py() or 0


def _matches(texts: pa.Array, pattern: str) -> pa.Array:
    found = pc.match_substring_regex(texts, pattern)
    if not pc.any(found).as_py():
        return found
    sound = [bool(hit) and not _is_product_code(text) for hit, text in zip(found.to_pylist(), texts.to_pylist(), strict=True)]
    return pa.array(sound, pa.bool_())


def _is_product_code(text: str | None) -> bool:
    """A Korean product code (GTIN-13 of prefix 880, as on every medicine) that could as well be a number of somebody born in 1988."""
    match = _DIGITS.search(text or "")
    return match is not None and _has_product_check_digit(match[0]) and not _has_resident_check_digit(match[0])


@cache
def _has_product_check_digit(digits: str) -> bool:
    """GS1 General Specifications, section 7.9."""
    return sum(int(d) * (3 if at % 2 else 1) for at, d in enumerate(digits)) % 10 == 0


@cache
def _has_resident_check_digit(digits: str) -> bool:
    """As resident numbers had it until October 2020."""
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    return (11 - sum(w * int(d) for w, d in zip(weights, digits, strict=False)) % 11) % 10 == int(digits[-1])


_LEAST, _MOST = 1_000_000_000, 9_999_999_999_999
"""A resident number has 13 digits; as a number, that of somebody born in 2000 has lost three of them."""
_PHONES = (1_000_000_000, 1_099_999_999)
"""Mobile numbers whose first 0 a spreadsheet took for nothing."""


_NO_NUMBER = 2**31 - 1
"""Systems write the largest number of 32 bits for "without end" and "not known". Read as a resident number its check digit is wrong."""


def _numbers(values: pa.Array, *, required: bool) -> tuple[pa.Array, int]:
    most = pc.max(values).as_py()
    if most is None or most < _LEAST:
        return values, 0
    limit = pa.float64() if pa.types.is_floating(values.type) else pa.int64()  # a whole number beyond 2^53 is no float
    least, greatest = pa.scalar(_LEAST, limit), pa.scalar(_MOST, limit)
    places = pc.indices_nonzero(pc.and_(pc.greater_equal(values, least), pc.less_equal(values, greatest))).to_pylist()
    wrong = [at for at in places if _is_number_of_somebody(values[at].as_py())]
    if not wrong:
        return values, 0
    kept = values.to_pylist()
    for at in wrong:
        kept[at] = 0 if required else None
    return pa.array(kept, values.type), len(wrong)


def _is_number_of_somebody(value: float) -> bool:
    if value != int(value) or value == _NO_NUMBER:
        return False
    if _PHONES[0] <= value <= _PHONES[1]:
        return True
    digits = f"{int(value):013}"
    return (value >= _LEAST * 10 or digits[6] in "3478") and _RESIDENT_DIGITS.fullmatch(digits) is not None


def _lists(values: pa.Array, column: str, names: frozenset[str]) -> tuple[pa.Array, int]:
    inner, count = withhold(values.flatten(), column, required=True, names=names)
    if not count:
        return values, 0
    lengths = pc.fill_null(pc.list_value_length(values), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths).cast(pa.int32())])
    return pa.ListArray.from_arrays(offsets, inner, mask=values.is_null()).cast(values.type), count


def _structs(values: pa.Array, column: str, names: frozenset[str]) -> tuple[pa.Array, int]:
    fields = [
        withhold(part, f"{column}.{f.name}", required=False, names=names) for part, f in zip(values.flatten(), values.type, strict=True)
    ]
    count = sum(n for _, n in fields)
    if not count:
        return values, 0
    return pa.StructArray.from_arrays([part for part, _ in fields], fields=list(values.type), mask=values.is_null()), count
