"""One write to one Delta table, from the check against the ledger to the synced log.

Belongs here: the steps and their order. Does not belong here: the functions others call (`tables`), Parquet (`files`).

Order: check against the ledger, record commits a killed run left unrecorded, write and sync data files, commit, sync the log,
record. A kill anywhere leaves either no commit (and orphan files) or a commit that the next writer records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from assets.lake.commits import (
    CommitReceipt,
    TornTable,
    find_transaction,
    log_file,
    newest_version,
    open_table,
    read_commit,
    unrecorded_commits,
)
from assets.lake.durable import fsync_file, fsync_folders, sha256_file
from assets.lake.files import SAFE_STATISTICS, DataFile, RowsRefused, check_rows, write_files
from assets.lake.paths import Lake

RecordCommit = Callable[[CommitReceipt], object]


class SchemaConflict(ValueError):
    """Rows and table differ in columns or types; the message names them."""


class StaleTransaction(RuntimeError):
    """The table holds a later version of the same app transaction: an older batch may not follow it."""


class CommitLost(RuntimeError):
    """Another writer committed the same app transaction, or conflicting changes, at the same time. Nothing was written."""


@dataclass(frozen=True)
class Write:
    """How one write relates to the table, the ledger and earlier tries.

    Attributes:
        partition_by: Partition columns, used when the table is made.
        app_id: Names the source of the batch; with `version` it is written at most once. None: no such check.
        version: Number of the batch within `app_id`.
        metadata: Written to the commit; no identifiers.
        expected_version: Newest version the ledger recorded, None where it recorded none.
        record_commit: Called once for each commit that the ledger lacks, oldest first.
        description: Of the table, used when it is made.
        expected_log: SHA-256 of the log file of `expected_version`, None where it is not known.
    """

    partition_by: Sequence[str] = ()
    app_id: str | None = None
    version: int = 0
    metadata: Mapping[str, Any] | None = None
    expected_version: int | None = None
    record_commit: RecordCommit | None = None
    description: str | None = None
    expected_log: str | None = None


class TableWriter:
    """One write to one table; use it once."""

    def __init__(self, lake: Lake, table_key: str, write: Write) -> None:
        self._lake = lake
        self._key = table_key
        self._write = write
        self._folder = lake.table(table_key)
        self._table: DeltaTable | None = None
        self._recorded = write.expected_version
        self._removes: list[RemoveAction] = []
        self._changes_data = True

    def append(self, batches: pa.RecordBatchReader, schema: pa.Schema) -> CommitReceipt:
        """Add rows; new nullable columns are taken up."""
        schema = _canonical(schema)
        if replay := self._open():
            return replay
        if self._table is not None:
            self._evolve(schema)
        files = self._files(batches, schema)
        return self._commit(files, schema, "append")

    def replace(self, batches: pa.RecordBatchReader, schema: pa.Schema, column: str, values: Sequence[int]) -> CommitReceipt:
        """Replace whole partitions; rows outside them are refused."""
        schema = _canonical(schema)
        if replay := self._open():
            return replay
        if self._table is None:
            raise SchemaConflict(f"{self._key}: there is no table whose partitions could be replaced")
        current = _arrow_schema(self._table)
        if differences := _differences(schema, current, complete=True):
            raise SchemaConflict(f"{self._key}: columns changed ({differences}); rebuild the table whole (`biodam run --full`)")
        allowed = frozenset(int(v) for v in values)
        files = self._files(batches, schema)
        if not allowed and not files:
            digest = sha256_file(log_file(self._lake, self._key, self._table.version()))
            return CommitReceipt(self._key, self._table.version(), 0, (), digest, replayed=True)
        if outside := {f.partition[column] for f in files} - {str(v) for v in allowed}:
            self._discard(files)
            raise RowsRefused(f"{self._key}: rows in {len(outside)} partitions of {column} that this write does not replace")
        return self._commit(files, current, "overwrite", [(column, "in", [str(v) for v in sorted(allowed)])])

    def overwrite(self, batches: pa.RecordBatchReader, schema: pa.Schema) -> CommitReceipt:
        """Replace every row and the columns."""
        schema = _canonical(schema)
        if replay := self._open():
            return replay
        partitions = tuple(self._write.partition_by)
        if self._table is not None and tuple(self._table.metadata().partition_columns) != partitions:
            raise SchemaConflict(f"{self._key}: partitioned by {self._table.metadata().partition_columns}, not by {list(partitions)}")
        files = self._files(batches, schema)
        return self._commit(files, schema, "overwrite")

    def settle(self) -> None:
        """Hand commits that the ledger lacks to the ledger; write nothing."""
        self._open()

    def _open(self) -> CommitReceipt | None:
        """Open the table, settle what the ledger lacks; the receipt if the batch is there already."""
        write = self._write
        self._table = open_table(self._lake, self._key, expected_version=write.expected_version, expected_log=write.expected_log)
        if self._table is None:
            return None
        self._settle(self._table.version())
        if self._write.app_id is None:
            return None
        done = self._table.transaction_version(self._write.app_id)
        if done is None or done < self._write.version:
            return None
        if done > self._write.version:
            raise StaleTransaction(f"{self._key}: holds batch {done} of {self._write.app_id}; batch {self._write.version} comes too late")
        return self._replayed()

    def _replayed(self) -> CommitReceipt:
        assert self._write.app_id is not None
        assert self._table is not None
        version = find_transaction(self._lake, self._key, self._write.app_id, self._write.version)
        if version is None:  # its log file was cleaned up long ago, so the ledger has it
            return CommitReceipt(self._key, self._table.version(), 0, (), "", replayed=True)
        is_recorded = self._recorded is not None and version <= self._recorded
        found = read_commit(self._lake, self._key, version, with_files=not is_recorded)
        return CommitReceipt(found.table, version, found.rows, found.files, found.log_sha256, True, found.metadata)

    def _settle(self, version: int) -> None:
        """Hand commits up to `version` that the ledger lacks to the ledger."""
        record = self._write.record_commit
        if record is None or (self._recorded is not None and version <= self._recorded):
            return
        for receipt in unrecorded_commits(self._lake, self._key, self._recorded):
            if receipt.version > version:
                break
            self._sync(receipt.version, [self._folder / f["path"] for f in receipt.files])
            record(receipt)
        self._recorded = version

    def _evolve(self, schema: pa.Schema) -> None:
        """Add columns that a newer contract has; anything else is a conflict."""
        assert self._table is not None
        current = _arrow_schema(self._table)
        added = [f for f in schema if f.name not in current.names]
        known = pa.schema([f for f in schema if f.name in current.names])
        if differences := _differences(known, current):
            raise SchemaConflict(f"{self._key}: rows do not fit the table ({differences})")
        if required := [f.name for f in added if not f.nullable]:
            raise SchemaConflict(f"{self._key}: new columns {required} are required, but earlier rows do not have them")
        if added:
            self._table.alter.add_columns(list(Schema.from_arrow(pa.schema(added)).fields))
            self._table.update_incremental()
            self._sync(self._table.version(), [])
            self._settle(self._table.version())

    def _files(self, batches: pa.RecordBatchReader, schema: pa.Schema) -> list[DataFile]:
        partitions = self._partitions()
        rows = (check_rows(self._key, b, schema) for b in batches)
        return write_files(self._key, self._folder, rows, schema=schema, partition_by=partitions)

    def _partitions(self) -> tuple[str, ...]:
        columns = self._write.partition_by if self._table is None else self._table.metadata().partition_columns
        return tuple(columns)

    def _commit(
        self,
        files: list[DataFile],
        schema: pa.Schema,
        mode: Literal["append", "overwrite"],
        partitions: list[tuple[str, str, list[str]]] | None = None,
    ) -> CommitReceipt:
        before = newest_version(self._lake, self._key)
        try:
            self._commit_actions(files, schema, mode, partitions)
        except (DeltaError, OSError) as error:
            if self._version_of(files, before) is None:
                self._discard(files)
                raise CommitLost(f"{self._key}: the commit did not succeed ({type(error).__name__}); nothing was written") from error
        version = self._version_of(files, before)
        if version is None:
            raise TornTable(f"{self._key}: the commit just made is not in the log")
        self._sync(version, [])
        self._settle(version - 1)
        return self._receipt(version, files)

    def _commit_actions(self, files: list[DataFile], schema: pa.Schema, mode: Literal["append", "overwrite"], partitions: Any) -> None:
        actions = [_add_action(f, data_change=self._changes_data) for f in files]
        columns = list(self._partitions())
        if self._table is None:
            try:
                create_table_with_add_actions(
                    str(self._folder), Schema.from_arrow(schema), actions, mode="error", partition_by=columns,
                    description=self._write.description, configuration=_configuration(schema, columns),
                    commit_properties=self._properties(files, retries=0),  # a retried creation lands as version 1, a second time
                )  # fmt: skip
                return
            except DeltaError:
                self._table = open_table(self._lake, self._key)  # another writer made it in the meantime
                if self._table is None:
                    raise
                if self._write.app_id and self._table.transaction_version(self._write.app_id) is not None:
                    raise  # and that writer had this same batch
        every: list[AddAction | RemoveAction] = [*actions, *self._removes]
        self._table.create_write_transaction(every, mode, schema, columns, partitions, commit_properties=self._properties(files))

    def _properties(self, files: list[DataFile], retries: int | None = None) -> CommitProperties:
        totals = {"added_files": len(files), "added_rows": sum(f.rows for f in files)}
        return CommitProperties(
            custom_metadata={"biodam": {**(self._write.metadata or {}), **totals}},
            app_transactions=[Transaction(self._write.app_id, self._write.version)] if self._write.app_id else None,
            max_commit_retries=retries,
        )

    def _version_of(self, files: list[DataFile], before: int | None) -> int | None:
        """Version of our commit: the one whose log names our first file, or our transaction where there are no files."""
        newest = newest_version(self._lake, self._key)
        for version in range(-1 if newest is None else newest, -1 if before is None else before, -1):
            text = log_file(self._lake, self._key, version).read_text(encoding="utf-8")
            if files and files[0].path in text:
                return version
            if not files and (self._write.app_id is None or f'"{self._write.app_id}"' in text):
                return version
        return None

    def _sync(self, version: int, data_files: Sequence[Any]) -> None:
        for path in data_files:
            fsync_file(path)
        log = log_file(self._lake, self._key, version)
        fsync_file(log)
        for checkpoint in log.parent.glob(f"{version:020d}.checkpoint*.parquet"):
            fsync_file(checkpoint)
            fsync_file(log.parent / "_last_checkpoint")
        fsync_folders([log, *data_files], below=self._lake.tables)

    def _receipt(self, version: int, files: list[DataFile]) -> CommitReceipt:
        digest = sha256_file(log_file(self._lake, self._key, version))
        entries = tuple(f.entry for f in files)
        receipt = CommitReceipt(self._key, version, sum(f.rows for f in files), entries, digest, metadata=dict(self._write.metadata or {}))
        if self._write.record_commit is not None:
            self._write.record_commit(receipt)
            self._recorded = version
        return receipt

    def _discard(self, files: list[DataFile]) -> None:
        for file in files:
            with contextlib.suppress(OSError):
                (self._folder / file.path).unlink()


def _add_action(file: DataFile, *, data_change: bool) -> AddAction:
    return AddAction(file.path, file.bytes, file.partition, file.written_ms, data_change, file.stats)


def _canonical(schema: pa.Schema) -> pa.Schema:
    """The schema as Delta gives it back: names of list children differ between engines."""
    return pa.schema(Schema.from_arrow(schema).to_arrow())


def _arrow_schema(table: DeltaTable) -> pa.Schema:
    return pa.schema(table.schema().to_arrow())


def _configuration(schema: pa.Schema, partition_by: Sequence[str]) -> dict[str, str | None]:
    """Table properties. Statistics of other columns would keep values of people in the log (DESIGN section 3)."""
    stated = [n for n in SAFE_STATISTICS if n in schema.names and n not in partition_by]
    statistics = {"delta.dataSkippingStatsColumns": ",".join(stated)} if stated else {"delta.dataSkippingNumIndexedCols": "0"}
    return {
        **statistics,
        "delta.enableChangeDataFeed": "false",
        "delta.enableExpiredLogCleanup": "false",  # the ledger's chain is checked against the whole log
        "delta.checkpointInterval": "20",  # a table of 65 commits opens in 9 CPU ms instead of 19
    }


def _differences(rows: pa.Schema, table: pa.Schema, *, complete: bool = False) -> str:
    """What differs between rows and table, empty where nothing does. `complete`: nullable columns must be there too."""
    surplus = sorted(set(rows.names) - set(table.names))
    missing = sorted(n for n in table.names if n not in rows.names and (complete or not table.field(n).nullable))
    retyped = sorted(n for n in rows.names if n in table.names and rows.field(n).type != table.field(n).type)
    parts = (("surplus", surplus), ("missing", missing), ("of another type", retyped))
    return "; ".join(f"{label} {names}" for label, names in parts if names)
