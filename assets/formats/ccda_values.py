"""HL7 V3 data types of CDA -> values of the contract.

Belongs here: times (TS), quantities (PQ, IVL_PQ), codes (CD), and when a text is none of these. Does not belong here: where a value stands (`ccda_paths`).
Source: HL7 Clinical Document Architecture R2, HL7 V3 Data Types Abstract Specification R1 (TS, IVL, PQ, CD, nullFlavor).

A nullFlavor is null. What cannot be a code (blanks, Hangul, more than 64 letters) does not pass as one: senders put names and sentences there.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from assets.formats.ccda_paths import V3, XSI, Element
from assets.formats.dates import FIRST_YEAR, LAST_YEAR
from assets.formats.reasons import Reason

_TIME = re.compile(
    r"(\d{4})(?:(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01])(?:([01]\d|2[0-3])(?:([0-5]\d)(?:([0-5]\d)(?:\.(\d{1,9}))?)?)?)?)?)?"
    r"(?:([+-])(\d{2}):?(\d{2}))?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_CODE = re.compile(r"[!-~]{1,64}")
_OID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_CODED_TYPES = frozenset({"CD", "CE", "CV", "CO", "CS", "PQR"})
_NUMERIC_TYPES = frozenset({"PQ", "INT", "REAL", "MO", "IVL_PQ", "IVL_INT", "IVL_REAL", "IVL_MO"})
_LONGEST_PLACE = 64
"""Letters of a state or country; more is no name of one."""

Coding = dict[str, str | None]


class Flaw(Exception):
    """A value breaks the contract. Never holds the value."""

    def __init__(self, reason: Reason, rule: str = "") -> None:
        super().__init__(str(reason))
        self.reason, self.rule = reason, rule


def read_time(text: str, zone: ZoneInfo) -> datetime:
    """A point in time in UTC; one without a zone is the site's, one without a time the first instant of its day, month or year there.

    Raises:
        Flaw: No such time.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise Flaw(Reason.INVALID_DATE)
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    try:
        found = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=_offset(sign, hours, minutes) if sign and hour else zone,
        ).astimezone(UTC)  # fmt: skip
    except (ValueError, OverflowError):
        raise Flaw(Reason.INVALID_DATE) from None
    if not FIRST_YEAR <= int(year) <= LAST_YEAR:
        raise Flaw(Reason.INVALID_DATE)
    return found


def _offset(sign: str, hours: str, minutes: str) -> timezone:
    shift = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(shift if sign == "+" else -shift)


def read_part(text: str, part: str) -> int | None:
    """Year, month or day of a date; null where the date does not say.

    Raises:
        Flaw: No such date.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise Flaw(Reason.INVALID_DATE)
    year, month, day = match.groups()[:3]
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise Flaw(Reason.INVALID_DATE) from None
    if not FIRST_YEAR <= int(year) <= LAST_YEAR:
        raise Flaw(Reason.INVALID_DATE)
    found = {"year": year, "month": month, "day": day}[part]
    return int(found) if found else None


def read_number(text: str) -> float:
    """A real number.

    Raises:
        Flaw: None, or not finite.
    """
    if _NUMBER.fullmatch(text) is None:
        lower = text.lower().lstrip("+-")
        raise Flaw(Reason.VALUE_NOT_FINITE if lower in ("nan", "inf", "infinity") else Reason.INVALID_TYPE)
    found = float(text)
    if not math.isfinite(found):
        raise Flaw(Reason.VALUE_NOT_FINITE)
    return found


def read_flag(text: str) -> bool | None:
    """A boolean of XML Schema.

    Raises:
        Flaw: None.
    """
    if text not in ("true", "false", "1", "0"):
        raise Flaw(Reason.INVALID_TYPE)
    return text in ("true", "1")


def read_code(text: str) -> str | None:
    """A code, unit or type; null where the text cannot be one."""
    return text if _CODE.fullmatch(text) else None


def read_place(text: str) -> str | None:
    """Name of a state or country."""
    return text if len(text) <= _LONGEST_PLACE else None


def read_codings(element: Element) -> list[Coding] | None:
    """A code and its translations as (system, code); systems as `urn:oid:`. Null where there is none, or the element is no coded value."""
    if value_type(element) not in (None, *_CODED_TYPES):
        return None
    found = [c for c in (_coding(e) for e in (element, *element.iterchildren(V3 + "translation"))) if c]
    return found or None


def _coding(element: Element) -> Coding | None:
    code = element.get("code")
    if element.get("nullFlavor") is not None or not code or not (code := read_code(code.strip()) or ""):
        return None
    system = (element.get("codeSystem") or "").strip()
    return {"system": f"urn:oid:{system}" if _OID.fullmatch(system) else None, "code": code}


def value_type(element: Element) -> str | None:
    """`xsi:type` without its prefix."""
    kind = element.get(XSI + "type")
    return kind.rpartition(":")[2].strip() if kind else None


def read_measure(element: Element) -> tuple[float | None, str | None]:
    """Number and comparator of a quantity; an interval with two bounds is no single number.

    Raises:
        Flaw: Something stands where a number belongs.
    """
    if value_type(element) not in _NUMERIC_TYPES or element.get("nullFlavor") is not None:
        return None, None
    if (text := element.get("value")) is not None:
        return read_number(text.strip()), None
    low, high = (_bound(element.find(V3 + name)) for name in ("low", "high"))
    if (low is None) == (high is None):
        return None, None
    return (low[0], ">=" if low[1] else ">") if low else (high[0], "<=" if high[1] else "<") if high else (None, None)


def _bound(element: Element | None) -> tuple[float, bool] | None:
    """Number of a bound and whether it belongs to the interval (`inclusive`, true unless it says otherwise)."""
    if element is None or element.get("nullFlavor") is not None or element.get("value") is None:
        return None
    return read_number(str(element.get("value")).strip()), element.get("inclusive") != "false"


def read_text(text: str, kind: str, zone: ZoneInfo, *, is_place: bool) -> Any:
    """A text as a contract type.

    Raises:
        Flaw: It is none.
    """
    if kind == "timestamp":
        return read_time(text, zone)
    if kind == "bool":
        return read_flag(text)
    if kind == "float64":
        return read_number(text)
    return read_place(text) if is_place else read_code(text)
