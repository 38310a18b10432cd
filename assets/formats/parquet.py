"""Parquet -> Arrow.

Belongs here: files, row groups, damage. Does not belong here: columns (`tabular`), types (`native`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from assets.formats import native
from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.tabular import TableReader, Texts
from assets.formats.text import null_texts

_MAGIC = b"PAR1"
_BATCH_ROWS = 65_536
_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)


class ParquetReader:
    """Reads Parquet files into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Read the options of the feed."""
        self._job, self._spool, self._progress = job, spool, progress
        self._faults = Faults(job)
        self._nulls = null_texts(job.options.get("null_values"))

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        self._job.plan_of(file)
        self._check(file)
        try:
            source = pq.ParquetFile(file.path, memory_map=True, pre_buffer=False, coerce_int96_timestamp_unit="us")
            schema = source.schema_arrow
        except _DAMAGE as error:
            raise FileRefused(Reason.NOT_PARQUET, f"the footer cannot be read: {type(error).__name__}") from None
        table = TableReader(self._job, file, schema.names)
        nested = [name for name in table.needed if not native.is_flat(schema.field(name).type)]
        if nested:
            raise FileRefused(Reason.HEADER_MISMATCH, f"columns that hold lists or structs: {', '.join(nested)}")
        first = 1
        for batch in self._batches(source, table.needed, file):
            self._progress.block(file.index, first)
            self._guard(file, table, batch, first)
            first += batch.num_rows

    def _check(self, file: SourceFile) -> None:
        size = file.path.stat().st_size
        if size == 0:
            raise FileRefused(Reason.EMPTY_FILE, "0 bytes")
        if size > self._job.limits.file_bytes:
            raise FileRefused(Reason.FILE_TOO_LARGE, f"{size} bytes, limit {self._job.limits.file_bytes}")
        with file.path.open("rb") as stream:
            head = stream.read(4)
            stream.seek(-min(4, size), 2)
            if head != _MAGIC or stream.read() != _MAGIC or size < 12:
                raise FileRefused(Reason.NOT_PARQUET, "the first or last four bytes are not PAR1: another format, encrypted, or cut off")

    def _batches(self, source: pq.ParquetFile, needed: list[str], file: SourceFile) -> Iterator[pa.RecordBatch]:
        """Batches with the needed columns; a table that needs none still has rows."""
        self._progress.block(file.index, 1)
        columns = needed or source.schema_arrow.names[:1]
        batches = source.iter_batches(batch_size=_BATCH_ROWS, columns=columns, use_threads=False)
        rows = 0
        while True:
            try:
                batch = next(batches, None)
            except _DAMAGE as error:
                raise FileRefused(Reason.NOT_PARQUET, f"damaged after row {rows}: {type(error).__name__}") from None
            if batch is None:
                return
            rows += batch.num_rows
            if batch.num_rows:
                yield batch
            self._progress.block(file.index, rows + 1)

    def _guard(self, file: SourceFile, table: TableReader, batch: pa.RecordBatch, first: int) -> None:
        if not self._faults.careful(file.index, first):
            self._trip(batch)
            self._write(file, table, batch, first)
            return
        for number in range(first, first + batch.num_rows):
            one = batch.slice(number - first, 1)
            if reason := self._faults.skipped(file.index, number):
                self._spool.reject(file.index, [Rejection(number, reason)])
            else:
                self._progress.record(file.index, number)
                self._trip(one)
                self._write(file, table, one, number)

    def _trip(self, batch: pa.RecordBatch) -> None:
        if self._faults.hooked:
            self._faults.trip(repr(batch.to_pylist()).encode())

    def _write(self, file: SourceFile, table: TableReader, batch: pa.RecordBatch, first: int) -> None:
        columns = {name: native.plain(batch[name], self._nulls) for name in table.needed}
        arrays, faults = table.read(Texts(columns, batch.num_rows))
        numbers = range(first, first + batch.num_rows)
        self._spool.reject(file.index, self._spool.write_rows(str(file.entity), file.index, arrays, numbers, faults))
