"""Many small files of a partition into few, without changing a row.

Belongs here: which files of a table are merged, and the one commit that swaps them. Does not belong here: when, and whether the files are
still what was written (`assets/upkeep/compaction`).

The commit says that no data changed (`dataChange` false), so that engines which follow a table do not see its rows a second time. It carries no
app transaction: those of earlier commits stay in the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction

from assets.lake.commits import CommitReceipt
from assets.lake.files import RowsRefused, complete_columns
from assets.lake.paths import Lake
from assets.lake.writer import TableWriter, Write

SMALL_BYTES = 32 << 20
"""A file below this is small: opening it costs more than reading it."""

MIN_FILES = 8
"""Small files of one partition that are worth a commit. Fewer: their rows would be written again and again."""

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class SmallFile:
    """One live file worth merging. `partition`: column -> value as text."""

    path: str
    partition: tuple[tuple[str, str], ...]
    bytes: int
    rows: int
    written_ms: int


def small_files(lake: Lake, table_key: str, *, small_bytes: int = SMALL_BYTES, min_files: int = MIN_FILES) -> list[SmallFile]:
    """Small files of partitions that have many, in the order of partition and age."""
    table = DeltaTable(str(lake.table(table_key)))
    stream = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True))
    columns = table.metadata().partition_columns
    found: dict[tuple[tuple[str, str], ...], list[SmallFile]] = {}
    for row in stream.read_all().to_pylist():
        partition = tuple((c, str(row[f"partition.{c}"])) for c in columns)
        if row["size_bytes"] < small_bytes:
            written = int(row["modification_time"])
            found.setdefault(partition, []).append(
                SmallFile(unquote(row["path"]), partition, row["size_bytes"], row["num_records"], written)
            )
    chosen = [file for files in found.values() if len(files) >= min_files for file in files]
    return sorted(chosen, key=lambda f: (f.partition, f.written_ms, f.path))


def merge_files(lake: Lake, table_key: str, files: Sequence[SmallFile], write: Write) -> CommitReceipt:
    """Write the rows of these files anew, by partition, and swap the files in one commit.

    Memory holds a row group. A kill leaves either the old files or the new ones; what it wrote beside is taken away by the next vacuum.

    Raises:
        RowsRefused: The files do not hold the rows the log counts; nothing was committed.
        TornTable: The table is behind the ledger.
    """
    return _Merge(lake, table_key, write).merge(files)


class _Merge(TableWriter):
    """One merge; use it once."""

    def merge(self, files: Sequence[SmallFile]) -> CommitReceipt:
        self._open()
        assert self._table is not None
        schema = pa.schema(self._table.schema().to_arrow())
        batches = _Rows(self._folder, files, schema)
        written = self._files(pa.RecordBatchReader.from_batches(schema, iter(batches)), schema)
        if batches.rows != sum(f.rows for f in files) or batches.rows != sum(f.rows for f in written):
            self._discard(written)
            raise RowsRefused(f"{self._key}: small files hold {batches.rows} rows, the log counts {sum(f.rows for f in files)}")
        now = int(time.time() * 1000)
        self._changes_data = False
        self._removes = [RemoveAction(f.path, False, now, f.bytes, dict(f.partition)) for f in files]
        return self._commit(written, schema, "append")


class _Rows:
    """Rows of files, with the columns of the table: partition columns come from the folder, columns of a later contract are null."""

    def __init__(self, folder: Path, files: Sequence[SmallFile], schema: pa.Schema) -> None:
        self._folder = folder
        self._paths = files
        self._schema = schema
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for file in self._paths:
            with pq.ParquetFile(self._folder / file.path) as parquet:
                for batch in parquet.iter_batches(batch_size=_BATCH_ROWS):
                    self.rows += batch.num_rows
                    yield complete_columns(batch, dict(file.partition), self._schema)
