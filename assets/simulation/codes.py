"""Code lists of the simulated hospitals, read from `codes.toml`.

Belongs here: columns of codes by row number. Does not belong here: how often a code is used (`clinical`,
`physiology`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

UNKNOWN: Mapping[str, Mapping[str, str]] = {
    "condition": {"kcd": "U99.Z"},
    "drug": {"edi": "999099999", "rxnorm": "99999999"},
    "lab": {"loinc": "99999-9", "h12": "L9999", "h11": "H11-9999"},
    "vaccination": {"cvx": "999"},
}
"""Codes of records planted as `unknown_code`: no vocabulary has them."""


@dataclass(frozen=True)
class CodeList:
    """One table of `codes.toml`; the row number is the code's number everywhere in the simulation."""

    columns: Mapping[str, tuple[Any, ...]]

    def __getitem__(self, column: str) -> tuple[Any, ...]:
        return self.columns[column]

    def __len__(self) -> int:
        return len(self.columns["key"])

    def number(self, key: str) -> int:
        """Row number of a key."""
        return self.columns["key"].index(key)

    def kind(self, kind: str) -> tuple[int, ...]:
        """Row numbers of one kind, in file order."""
        return tuple(i for i, k in enumerate(self.columns["kind"]) if k == kind)


@dataclass(frozen=True)
class Codes:
    """All code lists and the URIs of their systems."""

    systems: Mapping[str, str]
    conditions: CodeList
    drugs: CodeList
    labs: CodeList
    procedures: CodeList
    vaccines: CodeList
    allergens: CodeList
    treatments: Mapping[str, Mapping[str, Any]]


@cache
def load_codes() -> Codes:
    """Read the code file.

    Raises:
        ValueError: A row has more or fewer values than its table has fields.
    """
    raw = tomllib.loads(Path(__file__).with_name("codes.toml").read_text(encoding="utf-8"))
    tables = {name: _table(name, raw[name]) for name in ("conditions", "drugs", "labs", "procedures", "vaccines", "allergens")}
    return Codes(systems=raw["systems"], treatments=raw["treatments"], **tables)


def _table(name: str, body: Mapping[str, Any]) -> CodeList:
    fields, rows = body["fields"], body["rows"]
    wrong = [row[0] for row in rows if len(row) != len(fields)]
    if wrong:
        raise ValueError(f"codes.toml [{name}]: rows without {len(fields)} values: {', '.join(map(str, wrong))}")
    return CodeList({field: tuple(row[i] for row in rows) for i, field in enumerate(fields)})
