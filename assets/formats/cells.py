"""Cells of a spreadsheet -> text, and rows of a header -> names.

Belongs here: what a cell says, names over several rows, groups whose name stands once. Does not belong here: files (`xlsx`), types of columns (`values`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Merged = Sequence[tuple[tuple[int, int], tuple[int, int]]]
"""Merged ranges: (first row, first column), (last row, last column), from 0."""

EXACT = 2**53
"""Beyond this a number of a spreadsheet does not hold every whole number: two patients could become one."""

JOINT = "_"
"""Between the rows of a header."""

_SPACE = re.compile(r"\s+")


def _of_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _of_duration(value: dt.timedelta) -> str:
    return _of_number(value.total_seconds())


_SAID: Mapping[type, Callable[[Any], str]] = {
    str: str,
    float: _of_number,
    int: str,
    bool: lambda value: "true" if value else "false",
    dt.datetime: lambda value: value.isoformat(),
    dt.date: lambda value: value.isoformat(),
    dt.time: lambda value: value.isoformat(),
    dt.timedelta: _of_duration,
}


def text_of(value: Any) -> str:
    """What a cell says, written as a table of text would write it: 17.0 is `17`, a day is `2026-03-01`."""
    return _SAID[type(value)](value)


def has_lost_digits(value: Any) -> bool:
    """Is it a number too large to be exact?"""
    return type(value) is float and not -EXACT < value < EXACT


def is_said(value: Any) -> bool:
    """Does a cell hold a value? White space is none."""
    return bool(value.strip()) if type(value) is str else value is not None


def header_names(rows: Sequence[Sequence[Any]], merged: Merged) -> list[str]:
    """Names of columns from the rows of a header, those of several rows joined.

    Args:
        rows: Cells of each row of the header; equally long.
        merged: Merged ranges with rows counted from the first of `rows`. A merged cell's name holds for its whole range. Where none is
            merged, a blank cell of all but the last row takes the name to its left: many exports lose what was merged.

    Returns:
        One name a column, without line breaks; '' where no row says anything.
    """
    texts = [[_SPACE.sub(" ", text_of(cell)).strip() if is_said(cell) else "" for cell in row] for row in rows]
    inside = [(a, b) for a, b in merged if a[0] < len(rows)]
    for (top, left), (bottom, right) in inside:
        for line in texts[top : bottom + 1]:
            for column in range(left, min(right, len(line) - 1) + 1):
                line[column] = texts[top][left]
    if not inside:
        for line in texts[:-1]:
            for column in range(1, len(line)):
                line[column] = line[column] or line[column - 1]
    return [JOINT.join(dict.fromkeys(filter(None, parts))) for parts in zip(*texts, strict=True)]


def carry_down(column: Iterable[str | None], above: str | None) -> tuple[list[str | None], str | None]:
    """Fill blanks with the value above them.

    Returns:
        (the column, the value that holds for the rows below).
    """
    filled = []
    for value in column:
        above = value or above
        filled.append(above)
    return filled, above
