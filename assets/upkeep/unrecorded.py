"""Commits of raw tables that the ledger lacks, because their writer was killed between the two.

Belongs here: recording them where nobody would. Does not belong here: the next write of a table, which does so itself (`assets/lake/writer`), tables
of models (`assets/planning`), torn commits (`repair`).

A delivery that was killed is landed again, and its table written; a merge of small files that was killed is done, and nobody comes back to it.
"""

from __future__ import annotations

from assets.lake.commits import CommitReceipt, newest_version
from assets.lake.tables import settle_table
from assets.landing.workspace import Workspace
from assets.ledger.commits import CommitEntry


def record_unrecorded(workspace: Workspace, table: str) -> None:
    """Record every commit of a raw table that the ledger lacks, with the cause it states itself. Call it holding the lake.

    Opens nothing where the newest log file is that of the ledger's newest version.

    Raises:
        TornTable: The table is behind the ledger, or one of the commits is not whole.
    """
    commits = workspace.commits
    recorded, log = commits.latest(table)
    if newest_version(workspace.lake, table) != recorded:
        settle_table(
            workspace.lake, table, expected_version=recorded, expected_log=log, record_commit=lambda receipt: commits.record(entry_of(receipt))
        )  # fmt: skip


def entry_of(receipt: CommitReceipt) -> CommitEntry:
    """What the ledger keeps of a commit whose writer may be gone."""
    cause = str(receipt.metadata.get("cause", "recovered"))
    return CommitEntry(receipt.table, receipt.version, receipt.rows, receipt.files, receipt.log_sha256, cause)
