"""Which table a resource goes to, and whether it may be read at all.

Belongs here: resource types, other FHIR versions, modifier extensions, implicit rules. Does not belong here: values of columns (`fhir_columns`).

Why by shape: the set of keys of a resource, in order, stands for thousands of resources. What is true of a shape is found out once, and the
values of resources of one shape come out of Python's dictionaries in one sweep.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from assets.formats.fhir_columns import NULL, Row
from assets.formats.fhir_learned import keys_of, values_of
from assets.formats.fhir_r4 import OTHER_VERSION_KEYS, OTHER_VERSION_TEXTS, OTHER_VERSION_TYPES, R4_TYPES, entity_of
from assets.formats.reasons import DeliveryRefused, Reason
from assets.formats.spool import Rejection

CATCH_ALL = "resource"
"""Entity of the resource types that have none of their own."""

Columns = Mapping[str, Sequence[msgspec.Raw]]

_MODIFIERS = {"modifierExtension": Reason.MODIFIER_EXTENSION, "implicitRules": Reason.IMPLICIT_RULES}
"""Top-level keys that may turn round what the resource says (R4 2.1.0.3, 2.4.1). A table that reads them itself gets the resource: a Consent
that is not understood has to end an earlier one, not to leave it in force."""
_INNER_MODIFIER = b'"modifierExtension":'
"""The same further in: it counts in what is read, because it changes the element it stands in and no other."""


@dataclass
class Group:
    """Resources of one table, as columns of JSON texts.

    Attributes:
        numbers: Record numbers.
        files: Number of the file of each.
        parts: Number of resources of a shape, and the texts of each top-level key, joined by line feeds. JSON without white space between
            tokens holds no line feed.
    """

    numbers: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    parts: list[tuple[int, dict[str, bytes]]] = field(default_factory=list)

    def column(self, key: str) -> bytes | None:
        """All texts of a top-level key, joined by line feeds, or None where no resource has it."""
        if not any(key in columns for _, columns in self.parts):
            return None
        return b"\n".join([columns.get(key) or b"\n".join([b"null"] * count) for count, columns in self.parts])


class Tables:
    """Collects resources by table.

    Attributes:
        groups: Table name -> its resources.
        rejections: Resources of no table, by file.
    """

    def __init__(self, keys: Mapping[str, Collection[str]]) -> None:
        """Take the names of the tables there are, and the top-level keys that each reads."""
        self._keys = keys
        self.groups: dict[str, Group] = {}
        self.rejections: dict[int, list[Rejection]] = {}
        self._file = 0

    def add(self, rows: Sequence[Row], numbers: Sequence[int], file: int) -> None:
        """Place sound JSON objects of a file.

        Raises:
            DeliveryRefused: A resource has the shape of another FHIR version.
        """
        self._file = file
        shapes: dict[tuple[str, ...], list[int]] = {}
        for position, row in enumerate(rows):
            shape = tuple(row)
            if shape in shapes:
                shapes[shape].append(position)
            else:
                shapes[shape] = [position]
        for shape, positions in shapes.items():
            columns = dict(zip(shape, zip(*[rows[p].values() for p in positions], strict=True), strict=True))
            self._place(columns, [numbers[p] for p in positions])

    def add_learned(self, rows: Sequence[Any], numbers: Sequence[int], file: int) -> None:
        """Place structs of learned types, of a file."""
        self._file = file
        members: dict[type, tuple[list[Any], list[int]]] = {kind: ([], []) for kind in dict.fromkeys(map(type, rows))}
        if len(members) == 1:
            members = {type(rows[0]): (list(rows), list(numbers))}
        else:
            for row, number in zip(rows, numbers, strict=True):
                of_kind = members[type(row)]
                of_kind[0].append(row)
                of_kind[1].append(number)
        for kind, (chosen, places) in members.items():
            name = kind.__name__
            wanted = self._wanted(name) | OTHER_VERSION_TEXTS.get(name, {}).keys() | _MODIFIERS.keys()
            columns = {key: values_of(chosen, key) for key in keys_of(kind) if key in wanted}
            if "resourceType" in wanted:
                columns["resourceType"] = [msgspec.Raw(f'"{name}"'.encode())] * len(chosen)
            self._place_kind(f'"{name}"'.encode(), columns, places)

    def _wanted(self, kind: str) -> frozenset[str]:
        name = entity_of(kind)
        return frozenset(self._keys.get(name) or self._keys.get(CATCH_ALL, ()))

    def _place(self, columns: Columns, numbers: list[int]) -> None:
        """Place the resources of one shape."""
        texts = b"\n".join(columns.get("resourceType", [NULL] * len(numbers))).split(b"\n")
        kinds = dict.fromkeys(texts)
        if len(kinds) == 1:
            self._place_kind(texts[0], columns, numbers)
            return
        for kind in kinds:
            chosen = [i for i, text in enumerate(texts) if text == kind]
            self._place_kind(kind, _choose(columns, chosen), [numbers[i] for i in chosen])

    def _place_kind(self, text: bytes, columns: Columns, numbers: list[int]) -> None:
        kind = _name(text)
        if kind is None or (reason := self._wrong_type(kind, numbers[0])):
            self._reject(numbers, Reason.NOT_A_FHIR_RESOURCE if kind is None else reason, "$.resourceType")
            return
        _check_version(kind, columns, numbers)
        name = entity_of(kind)
        name = name if name in self._keys else CATCH_ALL
        wanted = self._keys[name]
        for key, modifies in _MODIFIERS.items():
            if key in columns and key not in wanted:
                fine = [bytes(v) in (b"null", b"[]") for v in columns[key]]
                columns, numbers = self._keep(columns, numbers, fine, modifies, f"$.{key}")
        texts = {key: b"\n".join(values) for key, values in columns.items() if key in wanted}
        hidden = [] if "modifierExtension" in wanted else [key for key, joined in texts.items() if _INNER_MODIFIER in joined]
        if hidden:
            for key in hidden:
                fine = [_INNER_MODIFIER not in bytes(v) for v in columns[key]]
                columns, numbers = self._keep(columns, numbers, fine, Reason.MODIFIER_EXTENSION, f"$.{key}")
            texts = {key: b"\n".join(values) for key, values in columns.items() if key in wanted}
        if numbers:
            group = self.groups.setdefault(name, Group())
            group.numbers += numbers
            group.files += [self._file] * len(numbers)
            group.parts.append((len(numbers), texts))

    def _keep(self, columns: Columns, numbers: list[int], fine: Sequence[bool], reason: Reason, rule: str) -> tuple[Columns, list[int]]:
        """Leave out the resources that are not fine."""
        if all(fine):
            return columns, numbers
        self._reject([n for n, good in zip(numbers, fine, strict=True) if not good], reason, rule)
        chosen = [i for i, good in enumerate(fine) if good]
        return _choose(columns, chosen), [numbers[i] for i in chosen]

    def _wrong_type(self, kind: str, number: int) -> Reason | None:
        if kind in R4_TYPES:
            known = entity_of(kind) in self._keys or CATCH_ALL in self._keys
            return None if known else Reason.UNKNOWN_RESOURCE_TYPE
        if kind in OTHER_VERSION_TYPES:
            raise _other_version(f"resourceType {kind}", OTHER_VERSION_TYPES[kind], number)
        return Reason.UNKNOWN_RESOURCE_TYPE

    def _reject(self, numbers: Sequence[int], reason: Reason | None, rule: str) -> None:
        if reason is not None:
            self.rejections.setdefault(self._file, []).extend(Rejection(n, reason, rule) for n in numbers)


def _choose(columns: Columns, chosen: Sequence[int]) -> Columns:
    return {key: [values[i] for i in chosen] for key, values in columns.items()}


def _name(text: bytes) -> str | None:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, str) and value else None


def _check_version(kind: str, columns: Columns, numbers: Sequence[int]) -> None:
    """Refuse shapes that R4 does not have."""
    for key, version in OTHER_VERSION_KEYS.get(kind, {}).items():
        if key in columns:
            raise _other_version(f"{kind}.{key}", version, numbers[0])
    for key, version in OTHER_VERSION_TEXTS.get(kind, {}).items():
        joined = b"\n" + b"\n".join(columns.get(key, ()))
        if b'\n"' in joined:
            first = joined[1:].split(b"\n")
            number = next(n for n, text in zip(numbers, first, strict=True) if text[:1] == b'"')
            raise _other_version(f"{kind}.{key} as a plain code", version, number)


def _other_version(rule: str, version: str, number: int) -> DeliveryRefused:
    detail = f"the shape is that of FHIR {version}, the feed carries R4. Remedy: export as R4"
    return DeliveryRefused(Reason.FHIR_VERSION, detail, rule=rule, row_number=number)
