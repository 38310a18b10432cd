"""Which columns each delivery of a table had, which elements came that no rule reads, and what changed from one delivery to the next.

Belongs here: the comparison. Does not belong here: reading a header (`assets/formats/headers`), judging it (the parsers: a column that is needed and
gone holds the file back, everything else lands).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from assets.ledger.schema import SOURCE_HEADER

_ELEMENTS_OF = "elements of "


def elements_of(kind: str) -> str:
    """Name under which a receipt holds the elements of a resource type that no rule reads."""
    return _ELEMENTS_OF + kind


@dataclass(frozen=True)
class HeaderChange:
    """A delivery whose columns are not those of the delivery before it, by sequence number.

    Attributes:
        table: Name of the delivered table; of a resource type, as `elements_of` writes it.
        added, gone: Column names; one that may hold a value is named by a hash.
    """

    site: str
    feed: str
    delivery_id: str
    table: str
    added: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def said(self) -> str:
        """In words."""
        parts = [f"{word} {', '.join(names)}" for word, names in (("new:", self.added), ("gone:", self.gone)) if names]
        return f"{self.table}: {'; '.join(parts)}"


class Headers:
    """Header rows of one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def changes(self, *, site: str | None = None, feed: str | None = None) -> list[HeaderChange]:
        """Every change, oldest first within a table. Nothing hangs on the order in which deliveries arrived."""
        c = SOURCE_HEADER.c
        query = sa.select(SOURCE_HEADER).order_by(c.site, c.feed, c.source_table, c.sequence, c.delivery_id)
        for column, value in ((c.site, site), (c.feed, feed)):
            query = query.where(column == value) if value else query
        with self._engine.connect() as connection:
            return list(_changes([dict(r) for r in connection.execute(query).mappings()]))


def _changes(rows: list[dict[str, Any]]) -> Iterator[HeaderChange]:
    for (site, feed, table), group in groupby(rows, key=itemgetter("site", "feed", "source_table")):
        before: set[str] | None = None
        for row in group:
            now = set(row["columns"])
            if table.startswith(_ELEMENTS_OF):  # an element may be absent from any delivery: only one that never came before is news
                now |= before or set()
            if before is not None and now != before:
                yield HeaderChange(site, feed, row["delivery_id"], table, tuple(sorted(now - before)), tuple(sorted(before - now)))
            before = now
