"""Text of one answer -> code, number, date or time, or why it has none.

Belongs here: spellings, closed lists, what looks like an identifier. Does not belong here: which item it is (`registry_items`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from assets.formats.dates import FIRST_YEAR, LAST_YEAR
from assets.formats.registry_items import Kind, Place

_ISO = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_PARTS = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?")
_NUMBERS = {mark: re.compile(rf"[+-]?\d*(?:{re.escape(mark)}\d+)?(?:[eE][+-]?\d{{1,2}})?") for mark in ".,"}
LONGEST_INTEGER = 8
"""Digits before the decimal mark. Nine and more are what telephone, insurance and resident numbers have, and no measurement needs."""
_BOOLEANS = {"true": "1", "yes": "1", "y": "1", "1": "1", "false": "0", "no": "0", "n": "0", "0": "0"}


@dataclass(frozen=True, slots=True)
class Value:
    """What one answer says. `withheld` tells why it does not pass; then nothing else is there."""

    code: str | None = None
    number: float | None = None
    day: date | None = None
    at: datetime | None = None
    withheld: str | None = None


INVALID = Value(withheld="invalid_value")


class ValueReader:
    """Reads answers as one site writes them."""

    def __init__(self, *, date_order: str, decimal: str, zone: ZoneInfo) -> None:
        self._order, self._decimal, self._zone = date_order, decimal, zone
        self._number = _NUMBERS[decimal]

    def read(self, place: Place, text: str) -> Value:
        """One answer that is not empty."""
        kind, choices = place.item.kind, place.item.choices
        if place.option is not None:
            return Value(code=text) if text in ("0", "1") else INVALID
        if kind is Kind.NUMBER:
            return self._as_number(text)
        if kind in (Kind.CHOICE, Kind.CHECKBOX):
            return Value(code=text) if text in choices else Value(withheld="unlisted_code")
        if kind is Kind.BOOLEAN:
            code = _BOOLEANS.get(text.lower())
            return Value(code=code) if code else Value(withheld="unlisted_code")
        if kind is Kind.DATE:
            day = self.day(text)
            return Value(day=day) if day else INVALID
        if kind is Kind.DATE_TIME:
            return self._as_time(text)
        clock = _CLOCK.fullmatch(text)
        return Value(code=f"{int(clock[1]):02d}:{clock[2]}") if clock and int(clock[1]) < 24 and int(clock[2]) < 60 else INVALID

    def _as_number(self, text: str) -> Value:
        if not any(c.isdigit() for c in text) or not self._number.fullmatch(text):
            return INVALID
        digits = text.lstrip("+-").partition(self._decimal)[0].lower().partition("e")[0]
        if len(digits.lstrip("0")) > LONGEST_INTEGER:
            return Value(withheld="looks_like_identifier")
        number = float(text.replace(",", "."))
        return Value(number=number) if abs(number) < 1e15 else INVALID

    def day(self, text: str) -> date | None:
        """A date in the order of the site, or in ISO 8601; None where there is no such day between 1850 and 2300."""
        if iso := _ISO.fullmatch(text):
            year, month, day = iso[1], iso[2], iso[3]
        elif parts := _PARTS.fullmatch(text):
            found = dict(zip(self._order, (parts[1], parts[3], parts[4]), strict=True))
            year, month, day = found["y"], found["m"], found["d"]
        else:
            return None
        if len(year) != 4 or not FIRST_YEAR <= int(year) <= LAST_YEAR:
            return None
        try:
            return date(int(year), int(month), int(day))
        except ValueError:
            return None

    def _as_time(self, text: str) -> Value:
        first, _, rest = text.replace("T", " ", 1).partition(" ")
        day, clock = self.day(first), _CLOCK.fullmatch(rest)
        if day is None or (rest and clock is None):
            return INVALID
        if clock is None:
            return Value(day=day)
        zone = clock[4]
        try:
            moment = datetime(day.year, day.month, day.day, int(clock[1]), int(clock[2]), int(clock[3] or 0), tzinfo=self._zone)
            if zone:
                moment = datetime.fromisoformat(moment.replace(tzinfo=None).isoformat() + zone.replace("Z", "+00:00"))
        except ValueError:
            return INVALID
        return Value(day=day, at=moment.astimezone(UTC))
