"""Small files of raw tables merged, so that a build opens tens of files, not thousands.

Belongs here: which tables, and that only sound bytes are merged. Does not belong here: the merge (`assets/lake/compact`), when (schedules).

Tables of models need none: each build replaces whole partitions, one file each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assets.lake.compact import MIN_FILES, SMALL_BYTES, SmallFile, merge_files, small_files
from assets.lake.writer import Write
from assets.landing.workspace import Workspace
from assets.ledger.commits import COMPACTION
from assets.upkeep.guard import DamagedTable, require_whole
from assets.upkeep.scrub import Finding, file_problem
from assets.upkeep.unrecorded import record_unrecorded


@dataclass(frozen=True)
class Compacted:
    """One table whose files were merged."""

    table: str
    version: int
    before: int
    after: int
    rows: int


def compact(
    workspace: Workspace, *, small_bytes: int = SMALL_BYTES, min_files: int = MIN_FILES, say: Callable[[str], object] = lambda _: None
) -> list[Compacted]:  # fmt: skip
    """Merge small files of every raw table. Call it holding the lake.

    No row, count or change set is touched, so the next build finds nothing to do.

    Raises:
        DamagedTable: A file to be merged is not what was written; merging would give it a good hash. Tables before it are done.
        TornTable: A commit that the ledger lacks is not whole. Tables before it are done.
    """
    done = []
    for table, version in sorted(workspace.commits.latest_versions().items()):
        if not table.startswith("raw/"):
            continue
        require_whole(workspace, {table: version})
        record_unrecorded(workspace, table)
        files = small_files(workspace.lake, table, small_bytes=small_bytes, min_files=min_files)
        if files:
            say(f"merging {len(files)} files of {table}")
            done.append(_merge(workspace, table, files))
    return done


def _merge(workspace: Workspace, table: str, files: list[SmallFile]) -> Compacted:
    _require_written(workspace, table, {f.path for f in files})
    expected, expected_log = workspace.commits.latest(table)
    write = Write(
        metadata={"cause": COMPACTION}, expected_version=expected, expected_log=expected_log, record_commit=workspace.recorder("recovered")
    )  # fmt: skip
    receipt = merge_files(workspace.lake, table, files, write)
    return Compacted(table, receipt.version, len(files), len(receipt.files), receipt.rows)


def _require_written(workspace: Workspace, table: str, paths: set[str]) -> None:
    """Hash what is merged, whatever its stamp says: afterwards nothing could tell."""
    folder = workspace.lake.table(table)
    findings = []
    for row in workspace.upkeep.commits(table):
        for file in row["files"]:
            if file["path"] in paths and (problem := file_problem(folder / file["path"], file["bytes"], file["sha256"])) is not None:
                findings.append(Finding(table, row["version"], file["path"], *problem))
    if findings:
        raise DamagedTable(findings)
