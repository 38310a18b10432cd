"""How a site lays out one table in its files: `[feeds.<feed>.tables.<table>]` of a site file.

Belongs here: header rows of sheets, groups whose name stands once, cells with errors. Does not belong here: names of columns (`site`), bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

Complain = Callable[[str, str, str], NoReturn]
"""Called with field, what is wrong, remedy."""

CELL_ERRORS = ("fault", "null")
_MOST_HEADER_ROWS = 20


@dataclass(frozen=True)
class TableLayout:
    """Layout of one table.

    Attributes:
        header_rows: Sheets: numbers of the rows that hold the header, from 1, one after the other; their names are joined by `_`. Empty: the
            first row that holds a value.
        carry_down: Sheets: headers of columns in which a blank cell means the value above it.
        cell_errors: Sheets: `fault` quarantines a row in which a cell that is read holds an error, `null` reads it as no value.
    """

    header_rows: tuple[int, ...] = ()
    carry_down: tuple[str, ...] = ()
    cell_errors: str = "fault"

    def as_options(self) -> dict[str, Any]:
        """As the parsing child is told it."""
        return asdict(self)


FIELDS = frozenset(TableLayout.__dataclass_fields__)


def read_layout(where: str, body: Mapping[str, Any], complain: Complain) -> TableLayout:
    """Check one `tables.<table>` of a site file; its fields are known to be of `FIELDS`."""
    return TableLayout(_header_rows(where, body, complain), _carried(where, body, complain), _cell_errors(where, body, complain))


def _header_rows(where: str, body: Mapping[str, Any], complain: Complain) -> tuple[int, ...]:
    rows = body.get("header_rows", [])
    field = f"{where}.header_rows"
    if not isinstance(rows, list) or not all(type(row) is int and row > 0 for row in rows):
        complain(field, "must be a list of row numbers, the first row being 1", "write for example [1] or [3, 4]")
    if rows != list(range(rows[0], rows[0] + len(rows))) if rows else False:
        complain(field, "must name rows that follow each other", f"write for example [{rows[0]}, {rows[0] + 1}]")
    if len(rows) > _MOST_HEADER_ROWS:
        complain(field, f"names more than {_MOST_HEADER_ROWS} rows", "name the rows that hold the header only")
    return tuple(rows)


def _carried(where: str, body: Mapping[str, Any], complain: Complain) -> tuple[str, ...]:
    names = body.get("carry_down", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        complain(f"{where}.carry_down", "must be a list of headers", 'write for example ["시도"]')
    return tuple(names)


def _cell_errors(where: str, body: Mapping[str, Any], complain: Complain) -> str:
    value = body.get("cell_errors", "fault")
    if value not in CELL_ERRORS:
        complain(f"{where}.cell_errors", f"{value!r} is not allowed", f"use one of {', '.join(CELL_ERRORS)}")
    return str(value)
