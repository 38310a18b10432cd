"""Commits that the ledger lacks, because their writer was killed between the two: of tables to which nobody may come back.

Belongs here: recording them where nobody would. Does not belong here: the next write of a table, which does so itself (`assets/lake/writer`), tables
of models (`assets/planning`), torn commits (`repair`).

A delivery that was killed is landed again, and its table written; a merge of small files or a freezing of a cohort that was killed may be the last
thing that was done to its table.
"""

from __future__ import annotations

from assets.lake.commits import newest_version
from assets.lake.tables import settle_table
from assets.landing.workspace import Workspace

OF_NO_BUILD = ("raw/", "cohort/")
"""Beginnings of the keys of these tables: no build makes them."""


def record_unrecorded(workspace: Workspace, table: str) -> None:
    """Record every commit of such a table that the ledger lacks, with the cause it states itself. Call it holding the lake.

    Opens nothing where the newest log file is that of the ledger's newest version.

    Raises:
        TornTable: The table is behind the ledger, or one of the commits is not whole.
    """
    recorded, log = workspace.commits.latest(table)
    if newest_version(workspace.lake, table) != recorded:
        settle_table(
            workspace.lake, table, expected_version=recorded, expected_log=log, record_commit=workspace.recorder("recovered")
        )  # fmt: skip
