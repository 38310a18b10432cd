"""How a site lays out one table in its files: `[feeds.<feed>.tables.<table>]` of a site file.

Belongs here: header rows of sheets, groups whose name stands once, cells with errors, positions of fixed width. Does not belong here: names of columns (`site`), bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

Complain = Callable[[str, str, str], NoReturn]
"""Called with field, what is wrong, remedy."""

_CHOICES = {"cell_errors": ("fault", "null"), "position_unit": ("bytes", "characters"), "short_lines": ("fault", "blank")}
_MOST_HEADER_ROWS = 20


@dataclass(frozen=True)
class TableLayout:
    """Layout of one table.

    Attributes:
        header_rows: Sheets: numbers of the rows that hold the header, from 1, one after the other; their names are joined by `_`. Empty: the
            first row that holds a value.
        carry_down: Sheets: headers of columns in which a blank cell means the value above it.
        cell_errors: Sheets: `fault` quarantines a row in which a cell that is read holds an error, `null` reads it as no value.
        positions: Fixed width: our field -> first and last position, from 1. A table that has them is fixed width, whatever the file's ending.
        position_unit: Fixed width: what positions count, `bytes` of the feed's encoding or `characters`.
        line_length: Fixed width: length of every line, without its end; lines of another length are quarantined. 0: any.
        short_lines: Fixed width: a line that ends before the last position is quarantined (`fault`), or its end is blank (`blank`), for
            senders who cut the blanks at the end.
    """

    header_rows: tuple[int, ...] = ()
    carry_down: tuple[str, ...] = ()
    cell_errors: str = "fault"
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    position_unit: str = "bytes"
    line_length: int = 0
    short_lines: str = "fault"

    def as_options(self) -> dict[str, Any]:
        """As the parsing child is told it."""
        return asdict(self)


FIELDS = frozenset(TableLayout.__dataclass_fields__)


def read_layout(where: str, body: Mapping[str, Any], complain: Complain) -> TableLayout:
    """Check one `tables.<table>` of a site file; its fields are known to be of `FIELDS`."""
    length = body.get("line_length", 0)
    if type(length) is not int or length < 0:
        complain(f"{where}.line_length", "must be a whole number", "write how long each line is, without its end")
    cell_errors, unit, short = (
        _choice(f"{where}.{name}", body.get(name, allowed[0]), allowed, complain) for name, allowed in _CHOICES.items()
    )
    return TableLayout(
        _header_rows(where, body, complain), _carried(where, body, complain), cell_errors,
        _positions(f"{where}.positions", body.get("positions", {}), complain), unit, length, short,
    )  # fmt: skip


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


def _choice(where: str, value: Any, allowed: tuple[str, ...], complain: Complain) -> str:
    if value not in allowed:
        complain(where, f"{value!r} is not allowed", f"use one of {', '.join(allowed)}")
    return str(value)


def _positions(where: str, body: Any, complain: Complain) -> dict[str, tuple[int, int]]:
    if not isinstance(body, dict):
        complain(where, "must be a table", f"write [{where}] and below it for example patient_number = [1, 10]")
    for name, place in body.items():
        if not isinstance(place, list) or len(place) != 2 or not all(type(n) is int for n in place) or not 1 <= place[0] <= place[1]:
            complain(f"{where}.{name}", "must be the first and the last position, the first of a line being 1", "write for example [1, 10]")
    return {name: (first, last) for name, (first, last) in body.items()}
