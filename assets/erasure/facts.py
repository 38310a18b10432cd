"""What an erasure did to tables, read from their logs: a kill at any moment loses nothing of it.

Belongs here: reading commits that state an erasure as their cause. Does not belong here: making them (`steps`).
"""

from __future__ import annotations

from assets.lake.commits import read_commit
from assets.landing.workspace import Workspace


def table_facts(workspace: Workspace, cause: str) -> dict[str, dict[str, int]]:
    """Table -> versions before and after, rows taken out, files replaced and written, of each raw table or frozen cohort that was cut.

    A cut that was killed between commit and ledger, and found by the next run, states the same cause.
    """
    found: dict[str, dict[str, int]] = {}
    for table in workspace.upkeep.table_keys():
        for row in workspace.upkeep.commits(table):
            if row["cause"] == cause:
                version = int(row["version"])
                stated = read_commit(workspace.lake, table, version, with_files=False).metadata
                found[table] = {
                    "version_before": version - 1,
                    "version_after": version,
                    "rows": int(stated["erased_rows"]),
                    "files_replaced": int(stated["replaced_files"]),
                    "files_written": len(row["files"]),
                }
    return found
