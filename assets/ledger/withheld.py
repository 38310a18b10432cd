"""Values that did not pass the door because they look like a person's identifier: how many, of which column, in which delivery.

Belongs here: the table, writing and reading it. Does not belong here: what looks like an identifier (`assets/privacy/barrier`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from assets.ledger.schema import METADATA

WITHHELD = sa.Table(
    "withheld_value",
    METADATA,
    *(sa.Column(c, sa.String, primary_key=True) for c in ("site", "feed", "delivery_id", "entity", "column_name")),
    sa.Column("withheld", sa.BigInteger, nullable=False),
)
"""Grain: one column of a raw table in one landed delivery, with how many values did not pass."""


def keep_withheld(connection: sa.Connection, ident: Mapping[str, str], found: Mapping[tuple[str, str], int]) -> None:
    """Record what was withheld of a delivery, in place of what was recorded of it before.

    Args:
        connection: Transaction in which the delivery is closed.
        ident: Site, feed and delivery_id.
        found: (entity, column) -> values.
    """
    connection.execute(WITHHELD.delete().where(*(WITHHELD.c[name] == value for name, value in ident.items())))
    rows = [{**ident, "entity": entity, "column_name": column, "withheld": count} for (entity, column), count in found.items()]
    if rows:
        connection.execute(WITHHELD.insert(), rows)


def withheld_values(engine: sa.Engine, site: str | None = None) -> list[dict[str, Any]]:
    """Site, feed, delivery_id, entity, column_name, withheld, in that order; of one site or all."""
    query = sa.select(WITHHELD).order_by(*WITHHELD.primary_key.columns)
    if site is not None:
        query = query.where(WITHHELD.c.site == site)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
