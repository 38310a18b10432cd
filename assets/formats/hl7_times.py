"""HL7 times (TS, DTM, DT) -> Arrow, whole columns at a time.

Belongs here: `YYYY[MM[DD[HH[MM[SS[.S...]]]]]][+/-ZZZZ]` (HL7 v2.8, 2A.3.22). Does not belong here: other spellings (`dates`).
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.formats.dates import FIRST_YEAR, LAST_YEAR, UTC_MICROSECONDS, Parsed
from assets.formats.hl7_arrays import Numbers, arrow_numbers, numbers_of, span_of, validity

_WIDTH = 29
_DIGITS = 14
_LENGTHS = (4, 6, 8, 10, 12, 14)
_FRACTION = re.compile(r"(\d{14})\.(\d{1,9})([+-]\d{4})?")
_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


def parse_times(texts: pa.Array, zone: str) -> Parsed:
    """Text -> timestamp in UTC. A text that ends early means the first instant of its period, on the clock of its offset or else of `zone`.

    Returns:
        timestamp[us, UTC] of the same length, and the positions that are no time.
    """
    encoded = texts.dictionary_encode()  # the results of an order have one time
    parts = _Parts(encoded.dictionary)
    micros = ((((parts.days * 24 + parts.hour) * 60 + parts.minute) * 60) + parts.second) * 1_000_000
    if len(parts.odd):
        for position, text in parts.odd:
            micros[position] += int(text.ljust(6, "0")[:6])
    aware = arrow_numbers(micros - parts.offset_minutes * 60_000_000, UTC_MICROSECONDS, parts.sound & parts.zoned)
    naive = arrow_numbers(micros, pa.timestamp("us"), parts.sound & ~parts.zoned)
    local = pc.cast(pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="latest"), UTC_MICROSECONDS)
    values = local if not parts.zoned.any() else pc.coalesce(aware, local)
    wrong = (
        np.flatnonzero(np.isin(numbers_of(pc.fill_null(encoded.indices, -1), np.int32), parts.bad)) if parts.bad else np.empty(0, np.int64)
    )
    return Parsed(values.take(encoded.indices), tuple(wrong.tolist()))


def parse_birth_parts(texts: pa.Array) -> tuple[dict[str, pa.Array], tuple[int, ...]]:
    """Text -> year, month and day; month and day are null where the text does not name them."""
    parts = _Parts(texts)
    columns = {
        "year": arrow_numbers(parts.year.astype(np.int32), pa.int32(), parts.sound),
        "month": arrow_numbers(parts.month.astype(np.int32), pa.int32(), parts.sound & (parts.digits >= 6)),
        "day": arrow_numbers(parts.day.astype(np.int32), pa.int32(), parts.sound & (parts.digits >= 8)),
    }
    return columns, parts.bad


class _Parts:
    """The numbers that the texts of a column are made of."""

    def __init__(self, texts: pa.Array) -> None:
        data, starts, lengths = span_of(texts)
        given = validity(texts) & (lengths > 0)
        inside = np.arange(_WIDTH) < lengths[:, None]
        places = np.minimum(starts[:, None] + np.arange(_WIDTH), max(len(data) - 1, 0))
        letters = np.where(inside, data[places] if len(data) else 0, 0).astype(np.uint8)
        self.odd = self._take_fractions(texts, letters, lengths, given)
        rows = np.arange(len(lengths))
        sign = letters[rows, np.clip(lengths - 5, 0, _WIDTH - 1)]
        self.zoned = given & (lengths >= 9) & ((sign == 43) | (sign == 45))
        self.digits = np.where(self.zoned, lengths - 5, lengths)
        self.sound = given & np.isin(self.digits, _LENGTHS)
        values = letters[:, :_DIGITS].astype(np.int64) - 48
        unused = np.arange(_DIGITS) >= self.digits[:, None]
        self.sound &= (((values >= 0) & (values <= 9)) | unused).all(axis=1)
        values[unused] = 0
        pair = values[:, 0::2] * 10 + values[:, 1::2]
        self.year = pair[:, 0] * 100 + pair[:, 1]
        self.month = np.where(self.digits >= 6, pair[:, 2], 1)
        self.day = np.where(self.digits >= 8, pair[:, 3], 1)
        self.hour, self.minute, self.second = pair[:, 4], pair[:, 5], pair[:, 6]
        self.offset_minutes = self._offsets(letters, lengths, rows, sign)
        self._check()
        self.days = _days_from_civil(self.year, self.month, self.day)
        self.bad = tuple(np.flatnonzero(given & ~self.sound).tolist())

    @staticmethod
    def _take_fractions(texts: pa.Array, letters: Numbers, lengths: Numbers, given: Numbers) -> list[tuple[int, str]]:
        """Fractions of a second are taken out of the texts: few senders write them."""
        found = []
        for position in np.flatnonzero(given & (lengths > _DIGITS) & (letters[:, _DIGITS] == 46)).tolist():
            match = _FRACTION.fullmatch(texts[position].as_py())
            if match is None:
                lengths[position] = 1  # no length that any time has
                continue
            rest = (match.group(1) + (match.group(3) or "")).encode()
            letters[position] = 0
            letters[position, : len(rest)] = np.frombuffer(rest, np.uint8)
            lengths[position] = len(rest)
            found.append((position, match.group(2)))
        return found

    def _offsets(self, letters: Numbers, lengths: Numbers, rows: Numbers, sign: Numbers) -> Numbers:
        if not self.zoned.any():
            return np.zeros(len(rows), np.int64)
        digits = [letters[rows, np.clip(lengths - 4 + i, 0, _WIDTH - 1)].astype(np.int64) - 48 for i in range(4)]
        for digit in digits:
            self.sound &= ~self.zoned | ((digit >= 0) & (digit <= 9))
        hours, minutes = digits[0] * 10 + digits[1], digits[2] * 10 + digits[3]
        self.sound &= ~self.zoned | ((hours <= 15) & (minutes < 60))
        return np.where(self.zoned, np.where(sign == 45, -1, 1) * (hours * 60 + minutes), 0)

    def _check(self) -> None:
        self.sound &= (self.year >= FIRST_YEAR) & (self.year <= LAST_YEAR) & (self.month >= 1) & (self.month <= 12) & (self.day >= 1)
        last = _DAYS[np.clip(self.month - 1, 0, 11)]
        common = ((self.year % 4 != 0) | (self.year % 100 == 0)) & (self.year % 400 != 0)
        self.sound &= self.day <= last - ((self.month == 2) & common)
        self.sound &= (self.hour < 24) & (self.minute < 60) & (self.second < 60)


def _days_from_civil(year: Numbers, month: Numbers, day: Numbers) -> Numbers:
    """Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms")."""
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days: Numbers = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    return days
