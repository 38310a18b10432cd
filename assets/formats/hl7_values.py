"""Named values of the rows of one table, and their typed columns.

Belongs here: working out `hl7_model`'s names over columns of text, conversion to the contract's types, the checks of a row.
Does not belong here: where a text comes from (`hl7_columnar`, `hl7_stepwise`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.formats.dates import Parsed
from assets.formats.hl7_arrays import Numbers, arrow_mask, arrow_numbers, numbers_of, truth, validity
from assets.formats.hl7_model import CODED_TYPES, NAMES, NUMBER_TYPES, SCALAR_NAMES, Expression, First, Key, Mapped, Member, When
from assets.formats.hl7_numbers import Measured
from assets.formats.hl7_times import parse_birth_parts, parse_times
from assets.formats.job import Column, EntityPlan
from assets.formats.reasons import Reason
from assets.formats.spool import spool_type

_JOIN = "\x1f"
_PATH = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?")
_CODE = r"^[!-~]{1,32}$"
"""What may pass as a coded answer: a code has no blank and no Hangul; a sentence or a name that a sender put there does not pass."""
_NONE = pa.scalar(None, pa.string())


class Rows(Protocol):
    """What both ways of reading offer for one table."""

    message: Numbers

    def __len__(self) -> int:
        """Number of rows."""

    def subset(self, kept: Numbers) -> Rows:
        """Only these rows."""

    def reads_own(self, name: str) -> bool:
        """Is this the segment that the rows stand for, not one they read besides?"""

    def condensed(self) -> tuple[Rows, pa.Array]:
        """One row for each run of rows that read the same other segments, and for each row the number of its run."""

    def text(self, name: str, field: int, component: int) -> pa.Array:
        """A field (component 0) or component of each row."""

    def special(self, name: str) -> pa.Array:
        """A value that no single field holds."""


@dataclass(frozen=True)
class Flaw:
    """Rows that break one rule."""

    positions: tuple[int, ...]
    reason: Reason
    rule: str


class Values:
    """Names worked out for the rows of one table; each once.

    What rows of one message say of its person, visit and order is worked out once for all of them.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._known: dict[str, pa.Array] = {}
        self._condensed: tuple[Values, pa.Array] | None = None

    def of(self, name: str) -> pa.Array:
        """Values of a name or path: text, or booleans of a membership."""
        if name not in self._known:
            shared = name in NAMES and not isinstance(NAMES[name], Member) and not any(map(self.rows.reads_own, segments_of(name)))
            self._known[name] = self._shared(name) if shared else self._find(name)
        return self._known[name]

    def _shared(self, name: str) -> pa.Array:
        """A value that no row's own segment has a part in."""
        if self._condensed is None:
            rows, run = self.rows.condensed()
            self._condensed = Values(rows), run
        values, run = self._condensed
        if len(values.rows) == len(self.rows):
            return self._find(name)
        return values._find(name).take(run)

    def _find(self, name: str) -> pa.Array:
        if name in NAMES:
            return self._evaluate(NAMES[name])
        if name == "numeric_value":
            return self._numeric()
        if name in ("coded_value", "coded_system"):
            return self._coded("OBX-5.1" if name == "coded_value" else "OBX-5.3")
        if name in SCALAR_NAMES:
            return self.rows.special(name)
        segment, field, component = _split(name)
        return self.rows.text(segment, field, component)

    def _evaluate(self, expression: Expression) -> pa.Array:
        if isinstance(expression, str):
            return self.of(expression)
        if isinstance(expression, First):
            return self._first(expression)
        if isinstance(expression, Key):
            return self._key(expression)
        if isinstance(expression, When):
            holds = self._is_in(expression.path, sorted(expression.values))
            return pc.if_else(holds, self._evaluate(expression.then), _NONE)
        if isinstance(expression, Member):
            return self._is_in(expression.path, sorted(expression.values))
        return self._mapped(expression)

    def _first(self, expression: First) -> pa.Array:
        found = self._evaluate(expression.items[0])
        for item in expression.items[1:]:
            if found.null_count == 0:
                break
            found = pc.coalesce(found, self._evaluate(item))
        return found

    def _key(self, key: Key) -> pa.Array:
        parts = [value if value.null_count == 0 else pc.fill_null(value, "") for value in map(self.of, key.parts)]
        joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, _JOIN)
        needs = key.needs or key.parts[0]
        needed = self.of(needs)
        return joined if needed.null_count == 0 else pc.if_else(pc.is_valid(needed), joined, _NONE)

    def _is_in(self, path: str, values: list[str]) -> pa.Array:
        return pc.is_in(self.of(path), value_set=pa.array(values, pa.string()))

    def _mapped(self, expression: Mapped) -> pa.Array:
        known = pa.array(list(expression.table), pa.string())
        return pa.array(list(expression.table.values()), pa.string()).take(pc.index_in(self.of(expression.path), value_set=known))

    def _numeric(self) -> pa.Array:
        """Numbers as text, with a comparator in front. Of SN values `comparator^number`; ranges and ratios hold no single number."""
        kind = self.of("OBX-2.1")
        plain = pc.if_else(pc.is_in(kind, value_set=pa.array(NUMBER_TYPES)), self.of("OBX-5.1"), _NONE)
        structured = pc.fill_null(pc.equal(kind, "SN"), False)
        if not pc.any(structured).as_py():
            return plain
        comparator = pc.fill_null(self.of("OBX-5.1"), "")
        alone = pc.and_(structured, pc.is_null(self.of("OBX-5.3")))
        return pc.if_else(alone, pc.binary_join_element_wise(comparator, self.of("OBX-5.2"), ""), plain)

    def _coded(self, path: str) -> pa.Array:
        coded = self._is_in("OBX-2.1", list(CODED_TYPES))
        if not pc.any(coded).as_py():
            return pa.nulls(len(self.rows), pa.string())
        code = pc.if_else(coded, self.of(path), _NONE)
        return pc.if_else(pc.fill_null(pc.match_substring_regex(code, _CODE), False), code, _NONE)


@cache
def segments_of(name: str) -> frozenset[str]:
    """Segments from which a name is worked out."""
    if name not in NAMES:
        return frozenset({"PID", "MRG"} if name.endswith("_number") else {"OBX"} if name in SCALAR_NAMES else {_split(name)[0]})
    expression = NAMES[name]
    if isinstance(expression, Mapped | Member):
        return segments_of(expression.path)
    return frozenset(s for part in _parts(expression) for s in segments_of(part))


def _parts(expression: Expression) -> list[str]:
    """Names and paths that an expression mentions."""
    if isinstance(expression, str):
        return [expression]
    if isinstance(expression, First):
        return [part for item in expression.items for part in _parts(item)]
    if isinstance(expression, Key):
        return [*expression.parts, *([expression.needs] if expression.needs else [])]
    if isinstance(expression, When):
        return [expression.path, *_parts(expression.then)]
    return [expression.path]


def _split(path: str) -> tuple[str, int, int]:
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"{path!r} is no HL7 path and no known name")
    segment, field, component = match.groups()
    return segment, int(field), int(component or 0)


def wanted_rows(entity: str, rows: Rows) -> Rows:
    """Leave out segments that state nothing the table holds (see docs/FORMATS.md)."""
    values = Values(rows)
    if entity == "visit":
        dated = pc.or_(pc.is_valid(values.of("PV1-44.1")), pc.is_valid(values.of("PV1-45.1")))
        kept = pc.and_(pc.or_(values.of("is_visit_reporter"), dated), pc.invert(values.of("is_appointment")))
        kept = pc.and_(kept, pc.is_valid(values.of("visit_number")))
    elif entity == "procedure":
        kept = pc.or_(pc.is_valid(values.of("PR1-1")), pc.or_(pc.is_valid(values.of("PR1-3")), pc.is_valid(values.of("FT1-25"))))
    elif entity == "observation_result":
        kept = pc.invert(values.of("is_document"))
    else:
        return rows
    return rows if pc.all(kept).as_py() else rows.subset(truth(kept))


class Times:
    """Times parsed once for all tables of a chunk: most rows carry the time of their message."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._known: dict[int, tuple[pa.Array, Parsed]] = {}

    def parse(self, texts: pa.Array) -> Parsed:
        """See `parse_times`."""
        if id(texts) not in self._known:
            self._known[id(texts)] = texts, parse_times(texts, self._zone)  # the texts are kept, so that their id is
        return self._known[id(texts)][1]


def make_columns(plan: EntityPlan, rows: Rows, times: Times) -> tuple[list[pa.Array], list[Flaw]]:
    """All spool columns of a table but the place, and the rows that break a rule."""
    values = Values(rows)
    flaws: list[Flaw] = []
    columns: list[pa.Array] = []
    reasons = {"person": Reason.MISSING_PERSON, "record": Reason.MISSING_KEY}
    shared = _Shared({}, {})
    for column in plan.columns:
        found = _column(column, values, times, flaws, shared)
        if column.required and found.null_count:
            missing = tuple(np.flatnonzero(~validity(found)).tolist())
            flaws.append(Flaw(missing, reasons.get(column.verb, Reason.MISSING_VALUE), column.path))
        if column.name == "record_id" and len(found):
            found = _tell_apart(found, rows.message)
        columns.append(found)
    return columns + [values.of(path) for path in plan.identity.values()], flaws


@dataclass(frozen=True)
class _Shared:
    """Texts taken apart once for all columns that are a part of them, by path."""

    births: dict[str, tuple[dict[str, pa.Array], tuple[int, ...]]]
    measured: dict[str, Measured]


def _column(column: Column, values: Values, times: Times, flaws: list[Flaw], shared: _Shared) -> pa.Array:
    found, kind = values.of(column.path), spool_type(column.verb, column.type)
    if column.verb in ("person", "record"):
        return found
    if column.verb in ("year", "month", "day"):
        if column.path not in shared.births:
            shared.births[column.path] = parse_birth_parts(found)
            _note(Parsed(found, shared.births[column.path][1]), column.path, flaws)
        return shared.births[column.path][0][column.verb]
    if column.verb in ("number", "comparator"):
        if column.path not in shared.measured:
            shared.measured[column.path] = Measured(found)
        measured = shared.measured[column.path]
        return (measured.numbers if column.verb == "number" else measured.comparators).cast(kind)
    if pa.types.is_timestamp(kind):
        return _note(times.parse(found), column.path, flaws)
    if pa.types.is_boolean(kind) and pa.types.is_string(found.type):
        return pc.equal(found, "true")
    return found if found.type == kind else _float(found, column.path, flaws)


def _note(parsed: Parsed, rule: str, flaws: list[Flaw]) -> pa.Array:
    if parsed.bad:
        flaws.append(Flaw(parsed.bad, Reason.INVALID_DATE, rule))
    return parsed.values


def _float(texts: pa.Array, rule: str, flaws: list[Flaw]) -> pa.Array:
    numbers = Measured(texts).numbers
    lost = pc.and_(pc.is_valid(texts), pc.is_null(numbers))
    if pc.any(lost).as_py():
        flaws.append(Flaw(tuple(np.flatnonzero(truth(lost)).tolist()), Reason.INVALID_TYPE, rule))
    return numbers


def _tell_apart(keys: pa.Array, message: Numbers) -> pa.Array:
    """Give equal keys within one message an ordinal: two results under one code are two results, in whichever order they come again."""
    encoded = keys.dictionary_encode()
    codes = numbers_of(pc.fill_null(encoded.indices, -1), np.int32).astype(np.int64)
    pairs = message * (int(codes.max(initial=0)) + 2) + codes
    ranked = np.sort(pairs)
    fresh = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    if fresh.all():
        return keys
    order = np.argsort(pairs, kind="stable")
    begins = np.flatnonzero(fresh)
    ordinal = np.empty(len(pairs), np.int64)
    ordinal[order] = np.arange(len(pairs)) - np.repeat(begins, np.diff(np.append(begins, len(pairs))))
    later = ordinal > 0
    suffix = arrow_numbers(ordinal[later], pa.int64()).cast(pa.string())
    mask = arrow_mask(later)
    renamed = pc.binary_join_element_wise(keys.filter(mask), suffix, _JOIN + "#")
    return pc.replace_with_mask(keys, mask, renamed)


def first_flaws(flaws: Mapping[str, list[Flaw]], message_of: Mapping[str, Numbers]) -> dict[int, Flaw]:
    """Message -> the first rule it breaks, in the order of tables and columns."""
    found: dict[int, Flaw] = {}
    for entity, wrong in flaws.items():
        for flaw in wrong:
            for message in message_of[entity][list(flaw.positions)].tolist():
                found.setdefault(message, flaw)
    return found
