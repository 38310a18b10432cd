"""Rows that deliveries left in raw tables: as the ledger counts them and as the tables hold them.

Belongs here: both counts. Does not belong here: what follows where they differ.

A table tells a delivery by site and delivery id, as the lineage columns do.
"""

from __future__ import annotations

from collections import Counter

import duckdb

from assets.contracts.table import load_contract
from assets.lake.paths import Lake
from assets.lake.versions import scan_of
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.ledger.schema import DeliveryState
from assets.sites.feed_kinds import FEED_KINDS

Counts = Counter[tuple[str, str]]
"""(site, delivery id) -> rows."""


def expected_rows(workspace: Workspace) -> dict[str, Counts]:
    """Raw table -> rows of each landed delivery, by the ledger, without those of people who were erased."""
    found: dict[str, Counts] = {}
    for table, deliveries in landed_tables(workspace).items():
        found[table] = Counter()
        for key, rows in deliveries.items():
            found[table][key.site, key.delivery_id] += rows
    for table, erased in workspace.erasures.rows().items():
        for delivery, rows in erased.items():
            if table in found and delivery in found[table]:
                found[table][delivery] -= rows
    return found


def landed_tables(workspace: Workspace) -> dict[str, dict[DeliveryKey, int]]:
    """Raw table -> landed delivery -> rows, by the ledger."""
    found: dict[str, dict[DeliveryKey, int]] = {}
    for key in workspace.deliveries.in_state(DeliveryState.LANDED):
        entities = load_contract(FEED_KINDS[key.feed].family).entities if key.feed in FEED_KINDS else {}
        for count in workspace.deliveries.entity_counts(key):
            if count["landed"] and count["entity"] in entities:
                found.setdefault(entities[count["entity"]].key, {})[key] = int(count["landed"])
    return found


def held_rows(connection: duckdb.DuckDBPyConnection, lake: Lake, table: str, version: int) -> Counts:
    """Rows of each delivery in one raw table at one version. `connection` has the Delta extension."""
    source = scan_of(lake, table, version)
    rows = connection.execute(f"select site, _delivery_id, count(*) from {source} group by all").fetchall()
    return Counter({(site, name): int(n) for site, name, n in rows})
