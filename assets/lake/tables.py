"""Exactly-once, durable writes of Delta tables.

Belongs here: append, replacement of partitions, replacement of a table; each one commit or none. Does not belong here:
which rows, the steps of a write (`writer`), and the ledger itself, which is reached through `record_commit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from assets.lake.commits import CommitReceipt, TornTable, unrecorded_commits
from assets.lake.files import RowsRefused
from assets.lake.paths import Lake
from assets.lake.writer import CommitLost, RecordCommit, SchemaConflict, StaleTransaction, TableWriter, Write

__all__ = [
    "CommitLost", "CommitReceipt", "RecordCommit", "RowsRefused", "SchemaConflict", "StaleTransaction", "TornTable", "Write", "append",
    "overwrite", "replace_partitions", "settle_table", "unrecorded_commits",
]  # fmt: skip


def append(
    lake: Lake,
    table_key: str,
    batches: pa.RecordBatchReader,
    *,
    app_id: str | None,
    version: int,
    partition_by: Sequence[str] = (),
    schema: pa.Schema | None = None,
    commit_metadata: Mapping[str, Any] | None = None,
    expected_version: int | None = None,
    expected_log: str | None = None,
    record_commit: RecordCommit | None = None,
) -> CommitReceipt:
    """Append a batch exactly once.

    Args:
        lake: The lake.
        table_key: Table key, for example `raw/fhir/condition`.
        batches: Rows; not read where the table holds the batch already.
        app_id: Names the batch's source, for example site, feed and delivery. None: the caller knows that the table does not hold these rows.
        version: Number of the batch within `app_id`.
        partition_by: Partition columns, used when the table is made.
        schema: Schema of the table; default that of `batches`.
        commit_metadata: Written to the commit; no identifiers.
        expected_version: Newest version the ledger recorded, None where it recorded none.
        expected_log: SHA-256 of that version's log file, None where it is not known.
        record_commit: Called once for each commit that the ledger lacks, oldest first.

    Returns:
        The receipt; `replayed` where the table held the batch already.

    Raises:
        TornTable: The table is behind the ledger or cannot be read.
        RowsRefused: Rows no table may hold.
        SchemaConflict: Columns that the table cannot take up.
        StaleTransaction: The table holds a later batch of this source.
    """
    write = Write(partition_by, app_id, version, commit_metadata, expected_version, record_commit, expected_log=expected_log)
    return TableWriter(lake, table_key, write).append(batches, schema or batches.schema)


def replace_partitions(
    lake: Lake,
    table_key: str,
    batches: pa.RecordBatchReader,
    *,
    column: str,
    values: Sequence[int],
    write: Write | None = None,
    schema: pa.Schema | None = None,
) -> CommitReceipt:
    """Replace whole partitions in one commit. A partition without new rows ends up empty (its people withdrew).

    Args:
        lake: The lake.
        table_key: Table key; the table must exist and be partitioned by `column` alone.
        batches: The new rows of these partitions.
        column: The partition column.
        values: Partitions to replace; numbers only, as they are written to the log.
        write: Relation to ledger and earlier tries.
        schema: Schema of the rows; default that of `batches`.

    Raises:
        RowsRefused: A row lies outside `values`, or may be in no table.
        SchemaConflict: The rows do not have the table's columns.
    """
    return TableWriter(lake, table_key, write or Write((column,))).replace(batches, schema or batches.schema, column, values)


def overwrite(
    lake: Lake,
    table_key: str,
    batches: pa.RecordBatchReader,
    *,
    partition_by: Sequence[str] = (),
    schema: pa.Schema | None = None,
    expected_version: int | None = None,
    record_commit: RecordCommit | None = None,
    write: Write | None = None,
) -> CommitReceipt:
    """Replace a whole table, columns included, in one commit; make it where it is absent.

    Args:
        lake: The lake.
        table_key: Table key.
        batches: All rows, sorted by partition where there are many.
        partition_by: Partition columns; an existing table must have the same.
        schema: Schema of the table; default that of `batches`.
        expected_version: Newest version the ledger recorded, None where it recorded none.
        record_commit: Called once for each commit that the ledger lacks, oldest first.
        write: All of this at once, instead of the three before it.
    """
    relation = write or Write(partition_by, expected_version=expected_version, record_commit=record_commit)
    return TableWriter(lake, table_key, relation).overwrite(batches, schema or batches.schema)


def settle_table(
    lake: Lake, table_key: str, *, expected_version: int | None, expected_log: str | None, record_commit: RecordCommit
) -> None:  # fmt: skip
    """Sync and hand to the ledger every commit of a table that it lacks, as the next write would; write nothing.

    Args:
        lake: The lake.
        table_key: Table key.
        expected_version: Newest version the ledger recorded, None where it recorded none.
        expected_log: SHA-256 of that version's log file, None where it is not known.
        record_commit: Called once for each commit that the ledger lacks, oldest first.

    Raises:
        TornTable: The table is behind the ledger, or one of the commits is not whole.
    """
    TableWriter(lake, table_key, Write(expected_version=expected_version, record_commit=record_commit, expected_log=expected_log)).settle()
