"""Checks Open mHealth documents against `omh_schemas.toml`.

Belongs here: reading the table of rules, checking types, units, codes and required fields. Does not belong here: files and lines (`omh`), what becomes
of a sound document (`omh_values`), calendars (`omh_times`).
Sources: Open mHealth schemas (github.com/openmhealth/schemas), IEEE 1752.1-2021; JSON Schema draft 4 sections 5.4 and 5.5 for `required`, `oneOf`, `anyOf`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from assets.formats.omh_times import is_date, is_local_time, parse_instant
from assets.formats.reasons import Reason

Check = Callable[[Any, str], None]
"""`check(value, path)`: raises `Violation` where the value does not hold."""


class Violation(Exception):
    """A rule of a schema is broken. Carries no value.

    Attributes:
        reason: Code of the closed list.
        path: JSON path of the field, for example `$.body.heart_rate.unit`.
    """

    def __init__(self, reason: Reason, path: str) -> None:
        super().__init__(f"{reason} at {path}")
        self.reason, self.path = reason, path


@dataclass(frozen=True)
class Measure:
    """A number that a body holds: `kind` is quantity, number or integer; `unit` is that of a bare number."""

    name: str
    kind: str
    unit: str | None


@dataclass(frozen=True)
class Schema:
    """One schema.

    Attributes:
        check: Checks a document against it.
        is_body: A data point may have it as its body; else it is a building block.
        measures: Numbers that may leave the parser, in the order of the schema.
        codes: Coded fields that may leave the parser.
        inside: The object of the body in which these stand; None: the body itself.
        samples: The list of HealthKit samples that hold numbers of their own; None: there is none.
    """

    check: Check
    is_body: bool
    measures: tuple[Measure, ...]
    codes: tuple[str, ...]
    inside: str | None = None
    samples: str | None = None


def find_schema(namespace: str, name: str, version: str) -> Schema | None:
    """The schema of a schema id, or None if the table does not have it. Versions are exact."""
    return _schemas().get((namespace, name, version))


def shape(name: str) -> Check:
    """The check of a shape of the table, for example `header`."""
    return _table().expression(f"shape {name}")


@cache
def known_units() -> frozenset[str]:
    """Every unit that some schema allows."""
    return frozenset(unit for units in _table().raw["units"].values() for unit in units)


@cache
def _schemas() -> Mapping[tuple[str, str, str], Schema]:
    table = _table()
    found = {}
    for namespace in ("omh", "ieee", "granola"):
        for key, text in table.raw[namespace].items():
            name, *versions = key.split()
            schema = table.schema(text)
            found.update({(namespace, name, version): schema for version in versions})
    return found


@cache
def _table() -> _Table:
    return _Table(tomllib.loads(Path(__file__).with_name("omh_schemas.toml").read_text(encoding="utf-8")))


class _Table:
    """The table of rules, compiled as asked for."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self._shapes: dict[str, Check] = {}

    def schema(self, text: str) -> Schema:
        if text.startswith("="):
            return Schema(self.expression(text[1:].strip()), False, (), ())
        fields = [self._field(part) for part in _parts(text) if part[0] not in "+|*"]
        for name, expression, _, _ in fields:
            if expression.startswith("within "):
                held = self.schema(self.raw["shapes"][expression.removeprefix("within ")])
                return Schema(self._object(text), True, held.measures, held.codes, name)
        shown = [(name, *expression.split(" ", 1)) for name, expression, _, hidden in fields if not hidden]
        measures = [Measure(n, kind, rest[0] if kind != "quantity" and rest else None) for n, kind, *rest in shown if kind in _NUMBERS]
        samples = next((name for name, expression, _, _ in fields if expression == "list shape hk_quantity"), None)
        codes = tuple(name for name, kind, *_ in shown if kind == "code")
        return Schema(self._object(text), True, tuple(measures), codes, samples=samples)

    def expression(self, text: str) -> Check:
        """Compile one expression."""
        kind, _, rest = text.partition(" ")
        if kind in ("shape", "within"):
            return self._shape(rest)
        if kind == "list":
            return _list(self.expression(rest))
        if kind == "code":
            return _code(frozenset(self.raw["codes"][rest]))
        if kind in ("quantity", "range", "unit"):
            allowed = None if rest == "any" else frozenset(u for name in rest.split(",") for u in self.raw["units"][name])
            return _unit(allowed) if kind == "unit" else _quantity(allowed, ("low_value", "high_value") if kind == "range" else ("value",))
        if kind in ("frame", "frame_1752"):
            return _frame(_interval(self._duration(), dated=kind == "frame"), rest)
        if kind in ("interval", "interval_1752"):
            return _interval(self._duration(), dated=kind == "interval")
        return _PLAIN[kind]

    def _duration(self) -> Check:
        return _quantity(frozenset(self.raw["units"]["duration"]), ("value",))

    def _shape(self, name: str) -> Check:
        if name not in self._shapes:
            self._shapes[name] = self._object(self.raw["shapes"][name])
        return self._shapes[name]

    def _field(self, part: str) -> tuple[str, str, bool, bool]:
        """(name, expression, required, hidden) of one field."""
        required, hidden = part.endswith("!"), part.startswith("~")
        part = part.rstrip("! ").lstrip("~ ")
        if ":" not in part:
            part = self.raw["fields"][part]
        name, _, expression = part.partition(":")
        return name.strip(), expression.strip(), required, hidden

    def _object(self, text: str) -> Check:
        parts = _parts(text)
        fields = [self._field(part) for part in parts if part[0] not in "+|*"]
        checks = [(name, self.expression(expression)) for name, expression, _, _ in fields]
        required = [name for name, _, needed, _ in fields if needed]
        groups = [(part[0], [[n.strip() for n in g.split(",")] for g in part[1:].split("/")]) for part in parts if part[0] in "+|*"]

        def check(value: Any, path: str) -> None:
            _object_only(value, path)
            for name in required:
                if name not in value:
                    raise Violation(Reason.MISSING_VALUE, f"{path}.{name}")
            for name, test in checks:
                if name in value:
                    test(value[name], f"{path}.{name}")
            for sign, choices in groups:
                _choose(sign, choices, value, path)

        return check


_NUMBERS = ("quantity", "number", "integer")


def _parts(text: str) -> list[str]:
    return [part for raw in text.split(";") if (part := " ".join(raw.split()))]


def _choose(sign: str, choices: list[list[str]], value: Mapping[str, Any], path: str) -> None:
    if sign == "*":
        if not any(value.get(name) for names in choices for name in names):
            raise Violation(Reason.MISSING_VALUE, f"{path}.{choices[0][0]}")
        return
    there = sum(all(name in value for name in names) for names in choices)
    if there == 0:
        raise Violation(Reason.MISSING_VALUE, f"{path}.{choices[0][0]}")
    if there > 1 and sign == "+":
        raise Violation(Reason.CONTRADICTION, path)


def _object_only(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise Violation(Reason.INVALID_TYPE, path)


def _any(value: Any, path: str) -> None:
    """Anything but nothing at all."""


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise Violation(Reason.INVALID_TYPE, path)


def _bool(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise Violation(Reason.INVALID_TYPE, path)


def _number(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Violation(Reason.INVALID_TYPE, path)
    try:
        if not math.isfinite(float(value)):
            raise Violation(Reason.VALUE_NOT_FINITE, path)
    except OverflowError:
        raise Violation(Reason.VALUE_NOT_FINITE, path) from None


def _integer(value: Any, path: str) -> None:
    _number(value, path)
    if not float(value).is_integer():
        raise Violation(Reason.INVALID_TYPE, path)


def _date_time(value: Any, path: str) -> None:
    _text(value, path)
    if parse_instant(value) is None:
        raise Violation(Reason.INVALID_DATE_TIME, path)


def _date(value: Any, path: str) -> None:
    _text(value, path)
    if not is_date(value):
        raise Violation(Reason.INVALID_DATE, path)


def _local_time(value: Any, path: str) -> None:
    _text(value, path)
    if not is_local_time(value):
        raise Violation(Reason.INVALID_DATE_TIME, path)


_PLAIN: Mapping[str, Check] = {
    "any": _any, "text": _text, "bool": _bool, "number": _number, "integer": _integer, "object": _object_only,
    "date_time": _date_time, "date": _date, "local_time": _local_time,
}  # fmt: skip


def _list(test: Check) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise Violation(Reason.INVALID_TYPE, path)
        for index, item in enumerate(value):
            test(item, f"{path}[{index}]")

    return check


def _code(allowed: frozenset[str]) -> Check:
    def check(value: Any, path: str) -> None:
        _text(value, path)
        if value not in allowed:
            raise Violation(Reason.CODE_NOT_ALLOWED, path)

    return check


def _unit(allowed: frozenset[str] | None) -> Check:
    def check(value: Any, path: str) -> None:
        _text(value, path)
        if allowed is not None and value not in allowed:
            raise Violation(Reason.UNIT_NOT_ALLOWED, path)

    return check


def _quantity(allowed: frozenset[str] | None, numbers: tuple[str, ...]) -> Check:
    unit = _unit(allowed)

    def check(value: Any, path: str) -> None:
        _object_only(value, path)
        for name in (*numbers, "unit"):
            if name not in value:
                raise Violation(Reason.MISSING_VALUE, f"{path}.{name}")
        for name in numbers:
            _number(value[name], f"{path}.{name}")
        unit(value["unit"], f"{path}.unit")

    return check


def _interval(duration: Check, *, dated: bool) -> Check:
    """Exactly one of start + end, start + duration, end + duration; Open mHealth also has date + part of day, IEEE 1752 has not."""
    choices = [["start_date_time", "duration"], ["end_date_time", "duration"], ["start_date_time", "end_date_time"]]
    part_of_day = _code(frozenset(("morning", "afternoon", "evening", "night")))
    tests: list[tuple[str, Check]] = [("start_date_time", _date_time), ("end_date_time", _date_time), ("duration", duration)]
    if dated:
        choices.append(["date", "part_of_day"])
        tests += [("date", _date), ("part_of_day", part_of_day)]

    def check(value: Any, path: str) -> None:
        _object_only(value, path)
        for name, test in tests:
            if name in value:
                test(value[name], f"{path}.{name}")
        if sum(all(name in value for name in names) for names in choices) != 1:
            raise Violation(Reason.INVALID_TIME_FRAME, path)

    return check


def _frame(interval: Check, only: str) -> Check:
    """Either an instant or an interval."""

    def check(value: Any, path: str) -> None:
        _object_only(value, path)
        if ("date_time" in value) == ("time_interval" in value):
            raise Violation(Reason.INVALID_TIME_FRAME, path)
        if "date_time" in value:
            _date_time(value["date_time"], f"{path}.date_time")
        else:
            interval(value["time_interval"], f"{path}.time_interval")
        if only and ("time_interval" if only == "interval" else "date_time") not in value:
            raise Violation(Reason.INVALID_TIME_FRAME, path)

    return check


__all__ = ["Measure", "Schema", "Violation", "find_schema", "known_units", "shape"]
