"""Dates and times written as text -> Arrow, whole columns at a time.

Belongs here: the accepted spellings, zones, the range of years. Does not belong here: which column is a date (the contract).

Accepted: ISO 8601 (`2014`, `2014-05`, `2014-05-03`, with `T` or space and a time, with `Z` or an offset), `YYYYMMDD`, `YYYY/MM/DD`,
`YYYY.MM.DD`, and `YYYYMMDDhhmm[ss]`. A year alone or a year and month are accepted only where the caller says that dates may be partial (FHIR).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")
_NAIVE = pa.timestamp("us")

FIRST_YEAR, LAST_YEAR = 1850, 2300
"""Outside lies no patient. Not narrower: MIMIC shifts its dates to 2110-2201, and they must pass."""

_TEXT = re.compile(
    r"(\d{4})(?:([-/.]?)(\d{1,2})(?:\2(\d{1,2}))?)?"
    r"(?:[T ]?(\d{2}):?(\d{2})(?::?(\d{2})(?:\.(\d{1,9}))?)?)?\s*(Z|z|[+-]\d{2}(?::?\d{2})?)?"
)
_TRIED = 16
"""Texts of a column by which we see whether Arrow reads its spelling."""
_MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Parsed:
    """A converted column and the positions that could not be converted (null there)."""

    values: pa.Array
    bad: tuple[int, ...] = ()


def parse_timestamps(texts: pa.Array, *, zone: str, partial: bool = False) -> Parsed:
    """Text -> timestamp in UTC.

    Args:
        texts: String column; nulls stay null.
        zone: IANA zone of times written without one.
        partial: FHIR's rule: a year or month alone is allowed. A value without a time is the first instant of that period on the clock of `zone`, so
            that the day of the site, which is taken from it later, is the day that was written.

    Returns:
        timestamp[us, UTC] of the same length.
    """
    if (zoned := _cast_whole(texts, UTC_MICROSECONDS)) is not None:
        return in_range(zoned)
    if (naive := _cast_whole(texts, _NAIVE)) is not None:
        return in_range(localise(naive, zone))
    return _each_distinct(texts, lambda distinct: _parse_slowly(distinct, zone, partial))


def parse_dates(texts: pa.Array, *, partial: bool = False) -> Parsed:
    """Text -> calendar date as written; a time of day and its zone are passed over.

    Args:
        texts: String column; nulls stay null.
        partial: A year or month alone is allowed and means its first day.
    """
    if (days := _cast_whole(texts, pa.date32())) is not None:
        return in_range(days)

    def convert(distinct: pa.Array) -> Parsed:
        found = [_read(t) for t in distinct.to_pylist()]
        days = pa.array([f.day(partial) if f else None for f in found], pa.date32())
        return _with_bad(in_range(days), distinct)

    return _each_distinct(texts, convert)


def parse_parts(texts: pa.Array) -> tuple[dict[str, pa.Array], tuple[int, ...]]:
    """Text -> year, month and day apart; month and day are null where the text does not name them.

    Returns:
        int32 columns by `year`, `month`, `day`, and the positions that are no date.
    """
    encoded = texts.dictionary_encode()
    found = [_read(t) for t in encoded.dictionary.to_pylist()]
    sound = [f if f and f.day(True) is not None and FIRST_YEAR <= f.year <= LAST_YEAR else None for f in found]
    parts = {}
    for name in ("year", "month", "day_of_month"):
        values = pa.array([getattr(f, name) if f else None for f in sound], pa.int32())
        parts[name.removesuffix("_of_month")] = values.take(encoded.indices)
    wrong = pa.array([i for i, f in enumerate(sound) if f is None], pa.int32())
    return parts, _positions(pc.is_in(encoded.indices, value_set=wrong)) if len(wrong) else ()


def zone_is_known(zone: str) -> bool:
    """Is this zone in the time zone database of the machine?"""
    try:
        localise(pa.array([0], _NAIVE), zone)
    except (pa.ArrowInvalid, ValueError):
        return False
    return True


@dataclass(frozen=True)
class _Written:
    """The parts of one text."""

    year: int
    month: int | None
    day_of_month: int | None
    clock: str | None
    offset: str | None

    def day(self, partial: bool) -> date | None:
        if not partial and (self.month is None or self.day_of_month is None):
            return None
        try:
            return date(self.year, self.month or 1, self.day_of_month or 1)
        except ValueError:
            return None


def _read(text: str | None) -> _Written | None:
    match = _TEXT.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    year, mark, month, day, hour, minute, second, fraction, offset = match.groups()
    compact = mark == "" and month is not None
    if (compact and (len(month) != 2 or day is None or len(day) != 2)) or (hour and day is None):
        return None
    clock = f"{hour}:{minute}:{second or '00'}.{(fraction or '0')[:6]}" if hour else None
    if offset and not clock:
        return None
    return _Written(int(year), int(month) if month else None, int(day) if day else None, clock, offset)


def _parse_slowly(distinct: pa.Array, zone: str, partial: bool) -> Parsed:
    """Spell each distinct text in the one way that Arrow reads, then convert: zones are Arrow's business on both paths."""
    zoned: list[str | None] = []
    naive: list[str | None] = []
    for text in distinct.to_pylist():
        found = _read(text)
        day = found.day(partial) if found else None
        if found is None or day is None:
            zoned.append(None)
            naive.append(None)
            continue
        offset = found.offset.upper() if found.offset else None
        spelt = f"{day.isoformat()}T{found.clock or '00:00:00'}"
        zoned.append(spelt + offset if offset else None)
        naive.append(None if offset else spelt)
    first = _cast_each(zoned, UTC_MICROSECONDS)
    second = localise(_cast_each(naive, _NAIVE), zone)
    return _with_bad(in_range(pc.coalesce(first, second)), distinct)


def _cast_whole(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """A column that Arrow reads as it stands, else None. A few texts are tried first: a cast that fails costs ten times one that succeeds."""
    try:
        pc.cast(texts.slice(0, _TRIED), kind)
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        return None


def _cast_each(texts: list[str | None], kind: pa.DataType) -> pa.Array:
    """Cast; a text that is no time of day (25:00, +99:00) becomes null."""
    column = pa.array(texts, pa.string())
    try:
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        return pa.concat_arrays([_cast_one(column.slice(i, 1), kind) for i in range(len(column))])


def _cast_one(one: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return pc.cast(one, kind)
    except pa.ArrowInvalid:
        return pa.nulls(1, kind)


def localise(naive: pa.Array, zone: str) -> pa.Array:
    """Wall clock -> UTC. A time that a clock change skipped becomes the first instant after it; one that came twice, the first."""
    if zone == "UTC":
        return pc.cast(naive, UTC_MICROSECONDS)
    return pc.cast(pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest"), UTC_MICROSECONDS)


def _each_distinct(texts: pa.Array, convert: Callable[[pa.Array], Parsed]) -> Parsed:
    """Convert each distinct text once: a column of a million dates holds a few thousand."""
    encoded = texts.dictionary_encode()
    parsed = convert(encoded.dictionary)
    bad = pa.array(parsed.bad, encoded.indices.type)
    return Parsed(parsed.values.take(encoded.indices), _positions(pc.is_in(encoded.indices, value_set=bad)) if parsed.bad else ())


def in_range(values: pa.Array) -> Parsed:
    """Null what lies outside the range of years; date32 or timestamp[us, UTC]."""
    unit, kind = (1, pa.int32()) if values.type == pa.date32() else (_MICROSECONDS_A_DAY, pa.int64())
    numbers = values.view(kind) if values.type == pa.date32() else values.cast(kind)
    first, end = ((date(year, 1, 1) - date(1970, 1, 1)).days * unit for year in (FIRST_YEAR, LAST_YEAR + 1))
    ends = pc.min_max(numbers).as_py()
    if ends["min"] is None or (ends["min"] >= first and ends["max"] < end):
        return Parsed(values)
    inside = pc.and_(pc.greater_equal(numbers, first), pc.less(numbers, end))
    return Parsed(pc.if_else(inside, values, pa.scalar(None, values.type)), _positions(pc.fill_null(pc.invert(inside), False)))


def _with_bad(parsed: Parsed, texts: pa.Array) -> Parsed:
    """Every text that gave nothing is bad."""
    lost = pc.and_(pc.is_valid(texts), pc.is_null(parsed.values))
    return Parsed(parsed.values, _positions(lost))


def _positions(mask: pa.Array) -> tuple[int, ...]:
    return tuple(pc.indices_nonzero(mask).to_pylist())
