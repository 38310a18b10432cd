"""Which columns each delivery of a table had, and what changed from one delivery to the next.

Belongs here: the comparison. Does not belong here: reading a header (`assets/formats/headers`), judging it (the parsers: a column that is needed and
gone holds the file back, everything else lands).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assets.ledger.schema import SOURCE_HEADER


@dataclass(frozen=True)
class HeaderChange:
    """A delivery whose columns are not those of the delivery before it, by sequence number.

    Attributes:
        table: Name of the delivered table.
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
    before: Mapping[str, Any] | None = None
    for row in rows:
        same_table = before is not None and all(before[k] == row[k] for k in ("site", "feed", "source_table"))
        if before is not None and same_table:
            now, then = set(row["columns"]), set(before["columns"])
            if now != then:
                yield HeaderChange(
                    row["site"], row["feed"], row["delivery_id"], row["source_table"], tuple(sorted(now - then)), tuple(sorted(then - now))
                )
        before = row
