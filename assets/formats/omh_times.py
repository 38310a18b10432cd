"""Times of Open mHealth documents: RFC 3339 instants with an offset, intervals, durations.

Belongs here: reading them. Does not belong here: which field must hold one (`omh_schemas`), calendar days of a site (dbt, `local_date`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.A)
_LOCAL_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,3})?", re.A)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.A)
_YEARS = range(1850, 2301)
_SECONDS = {"ps": 1e-12, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "wk": 604800.0}
_MONTHS = {"Mo": 1, "yr": 12}


@dataclass(frozen=True)
class TimeFrame:
    """When a data point holds. An instant has no end; an interval given as a part of a day has only `day` and `part_of_day`.

    Attributes:
        started_at, ended_at: In UTC.
        utc_offset_minutes: The offset that the start (else the end) was written with.
    """

    started_at: datetime | None = None
    ended_at: datetime | None = None
    day: date | None = None
    part_of_day: str | None = None
    utc_offset_minutes: int | None = None


@lru_cache(maxsize=1024)  # a time is checked and then read
def parse_instant(text: str) -> datetime | None:
    """An RFC 3339 date-time (section 5.6) with its offset; None for anything else, and outside 1850 to 2300. A leap second counts as the next."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    day, hours, seconds, fraction, offset = match.groups()
    leap = seconds == "60"
    zone = "+00:00" if offset in "Zz" else offset
    try:
        if int(zone[4:]) > 59:
            return None
        found = datetime.fromisoformat(f"{day}T{hours}{'59' if leap else seconds}.{(fraction or '0')[:6]:0<6}{zone}")
        found += timedelta(seconds=leap)
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year in _YEARS else None


def is_date(text: str) -> bool:
    """Is it a full-date of RFC 3339 that exists, in 1850 to 2300?"""
    if _DATE.fullmatch(text):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(text).year in _YEARS
    return False


def is_local_time(text: str) -> bool:
    """Is it a time of day, `23:59:12` or `23:59:12.027`?"""
    return _LOCAL_TIME.fullmatch(text) is not None


def read_frame(frame: Mapping[str, Any] | None) -> TimeFrame | None:
    """Read an `effective_time_frame` that was found sound.

    Returns:
        The frame; None where start and end cannot be told because a duration leads out of the calendar.
    """
    if frame is None:
        return TimeFrame()
    if "date_time" in frame:
        instant = _sound(frame["date_time"])
        return TimeFrame(_utc(instant), None, None, None, _offset(instant))
    interval = frame["time_interval"]
    if "date" in interval and "part_of_day" in interval and "start_date_time" not in interval and "end_date_time" not in interval:
        return TimeFrame(None, None, date.fromisoformat(interval["date"]), interval["part_of_day"])
    start = _sound(interval["start_date_time"]) if "start_date_time" in interval else None
    end = _sound(interval["end_date_time"]) if "end_date_time" in interval else None
    written = start or end
    assert written is not None
    if start is None or end is None:
        moved = _move(written, interval["duration"], 1 if end is None else -1)
        if moved is None:
            return None
        start, end = start or moved, end or moved
    return TimeFrame(_utc(start), _utc(end), None, None, _offset(written))


def _sound(text: str) -> datetime:
    found = parse_instant(text)
    assert found is not None  # it was checked
    return found


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _offset(instant: datetime) -> int:
    offset = instant.utcoffset()
    assert offset is not None
    return int(offset.total_seconds() // 60)


def _move(instant: datetime, duration: Mapping[str, Any], sign: int) -> datetime | None:
    """The other end of an interval. Whole months and years follow the calendar; broken ones are taken as days of the mean Gregorian month."""
    value, unit = sign * duration["value"], duration["unit"]
    try:
        if unit in _MONTHS:
            months = value * _MONTHS[unit]
            moved = _add_months(instant, int(months)) if float(months).is_integer() else instant + timedelta(days=months * 30.436875)
        else:
            moved = instant + timedelta(seconds=value * _SECONDS[unit])
        moved.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return moved if moved.year in _YEARS else None


def _add_months(instant: datetime, months: int) -> datetime:
    """The same day some months on, or the last day of that month."""
    years, month = divmod(instant.year * 12 + instant.month - 1 + months, 12)
    for day in range(instant.day, 27, -1):
        with contextlib.suppress(ValueError):
            return instant.replace(year=years, month=month + 1, day=day)
    return instant.replace(year=years, month=month + 1)


__all__ = ["TimeFrame", "is_date", "is_local_time", "parse_instant", "read_frame"]
