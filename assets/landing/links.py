"""Merges and splits that no delivery caused, from the vault into `raw/people/link`, exactly once.

Belongs here: those of linkage and of data stewards. Does not belong here: merges of deliveries (`land`), the events themselves
(`assets/privacy/merges`).

The change is noted before the rows are appended, the rows carry the number of the last event as app transaction: killed in between, the next
call appends them, and a table that was lost is filled from the first event on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from assets.contracts.table import load_contract
from assets.lake import tables
from assets.lake.commits import transaction_of
from assets.landing.workspace import Workspace
from assets.privacy.merges import LinkEvent, link_events
from assets.quiet import break_quiet

SITE = "vault"
"""Partition of rows that no site caused."""
_APP = "identity~link"


def newest_links(source: str) -> str:
    """SQL: the newest statement about each alias, of rows of `raw/people/link`; chains are flattened when they are landed. The models have it as a macro."""
    return f"""(
        select alias_person_id, person_id, person_bucket from {source}
        qualify row_number() over (partition by alias_person_id order by _sequence desc, _landed_at desc, person_id) = 1
    )"""


def vault_exists(workspace: Workspace) -> bool:
    """Is there a vault? A lake that has not landed anything has none."""
    return workspace.vault_url is not None or workspace.lake.vault_database.exists()


def publish_links(workspace: Workspace) -> int:
    """Append link events that the lake lacks and oblige the next build to rebuild whom they are about.

    Args:
        workspace: The lake; the caller holds it.

    Returns:
        Events appended.
    """
    if not vault_exists(workspace):
        return 0
    entity = load_contract("people").entities["link"]
    commits = workspace.commits
    with workspace.vault.transaction() as (connection, _):
        events = link_events(connection, after=_published(workspace, entity.key))
    if not events:
        return 0
    break_quiet(workspace.root)
    last = events[-1].number
    cause = f"identity events to {last}"
    commits.note_change(cause, frozenset().union(*(e.touched for e in events)))
    expected, expected_log = commits.latest(entity.key)
    batch = _rows(events, entity.raw_schema())
    tables.append(
        workspace.lake, entity.key, pa.RecordBatchReader.from_batches(batch.schema, [batch]), partition_by=["site"], app_id=_APP, version=last,
        expected_version=expected, expected_log=expected_log, commit_metadata={"cause": cause}, record_commit=workspace.recorder(cause),
    )  # fmt: skip
    return len(events)


def _published(workspace: Workspace, table: str) -> int:
    version = workspace.commits.latest_version(table)
    return 0 if version is None else (transaction_of(workspace.lake, table, _APP, version) or 0)


def _rows(events: Sequence[LinkEvent], schema: pa.Schema) -> pa.RecordBatch:
    n = len(events)
    columns = {
        "alias_person_id": [e.alias for e in events],
        "alias_bucket": [e.alias_bucket for e in events],
        "person_id": [e.person for e in events],
        "person_bucket": [e.person_bucket for e in events],
        "site": [SITE] * n,
        "_delivery_id": ["identity"] * n,
        "_sequence": [e.number for e in events],
        "_source_file": ["identity"] * n,
        "_row_number": range(1, n + 1),
        "_landed_at": [datetime.fromisoformat(e.at) for e in events],
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)
