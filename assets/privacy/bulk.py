"""Many rows of the vault at a time, for little.

Belongs here: reading by many numbers or look-ups, inserting many rows. Does not belong here: what the rows mean. SQLAlchemy looks at every bound
value in Python, which costs 5 CPU us each, more than the database takes for it; a delivery names people by the hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

_T = TypeVar("_T")

CHUNK = 10_000


class _Numbers(sa.types.UserDefinedType[Sequence[int]]):
    """A list of whole numbers, written out in the statement."""

    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Callable[[Sequence[int]], str]:
        return lambda numbers: f"({','.join(map(str, numbers)) or 'null'})"


_PEOPLE = sa.bindparam("people", literal_execute=True, type_=_Numbers())


def among_people(column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Is it one of the people that `rows_of` or `change_rows` is asked about?"""
    return column.op("in", is_comparison=True)(_PEOPLE)


def rows_of(connection: sa.Connection, query: sa.Select[Any], people: Iterable[int]) -> Iterator[Any]:
    """Rows of a query over `among_people`, so many people at a time."""
    for chunk in chunks(people):
        yield from connection.execute(query, {"people": chunk}).all()  # fetched one by one they cost three times as much


def change_rows(connection: sa.Connection, statement: sa.Update | sa.Delete, people: Iterable[int]) -> None:
    """An update or delete over `among_people`, so many people at a time."""
    for chunk in chunks(people):
        connection.execute(statement, {"people": chunk})


def rows_by_lookup(
    connection: sa.Connection, query: sa.Select[Any], column: sa.ColumnElement[bytes], lookups: Iterable[bytes]
) -> Iterator[Any]:
    """Rows of a query in which a column holds one of these look-ups. Bound as the driver takes them, so no message can hold one."""
    dialect = connection.dialect
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    text = str(query.where(column.op("in")(sa.literal_column("(@)"))).compile(dialect=dialect))
    for chunk in chunks(lookups):
        yield from connection.exec_driver_sql(text.replace("(@)", f"({','.join([mark] * len(chunk))})"), tuple(chunk)).all()


def insert_rows(connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows as the driver takes them."""
    if not rows:
        return
    compiled = table.insert().compile(dialect=connection.dialect, column_keys=list(columns))
    positions = [columns.index(name) for name in compiled.positiontup or ()]
    values: Any = rows
    if not positions:
        values = [dict(zip(columns, row, strict=True)) for row in rows]
    elif positions != list(range(len(columns))):
        values = [tuple(row[i] for i in positions) for row in rows]
    connection.exec_driver_sql(compiled.string, values)


def chunks(items: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """So many at a time."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
