"""What a parsing child leaves behind: one Arrow IPC stream a table, one of rejected records, a summary.

Belongs here: schemas, batching, taking a file's rows back. Does not belong here: parsing, reading a spool (`assets/landing`).
The spool holds identifiers. Landing deletes it when the delivery is closed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from assets.contracts.table import ARROW_TYPES
from assets.formats.job import EntityPlan, Job
from assets.formats.reasons import DeliveryRefused, Fault, Reason

BATCH_ROWS = 32_768
_PENDING_BYTES = 32 * 2**20
"""Small batches are gathered up to this size over all tables, then written."""

TOMBSTONE = "tombstone"
IDENTIFIER_VERBS = frozenset({"person", "record", "key"})
REJECTED = pa.schema(
    [
        ("file", pa.int32()),
        ("row_number", pa.int64()),
        ("byte_offset", pa.int64()),
        ("reason", pa.string()),
        ("rule", pa.string()),
        ("detail", pa.string()),
    ]
)


def spool_type(verb: str, contract_type: str) -> pa.DataType:
    """Arrow type of a spool column: identifiers are still text here, all else has its contract type."""
    if verb in IDENTIFIER_VERBS:
        return pa.string()
    return pa.list_(pa.string()) if verb == "aliases" else ARROW_TYPES[contract_type]


def is_identifier_list(path: str) -> bool:
    """Does an identity path stand for all identifiers of a resource, not for one value?"""
    return path.split(".")[-1] == "identifier"


def spool_schema(plan: EntityPlan) -> pa.Schema:
    """Columns of one table: contract, identity, place."""
    fields = [pa.field(c.name, spool_type(c.verb, c.type)) for c in plan.columns]
    for system, path in plan.identity.items():
        fields.append(pa.field(f"_identity_{system}", pa.list_(pa.string()) if is_identifier_list(path) else pa.string()))
    return pa.schema([*fields, *_PLACE])


_PLACE = [pa.field("_file", pa.int32()), pa.field("_row_number", pa.int64())]
_TOMBSTONES = pa.schema(
    [("record_id", pa.string()), ("entity_name", pa.string()), ("is_last", pa.bool_()), ("_scope", pa.string()), *_PLACE]
)


@dataclass(frozen=True)
class Rejection:
    """One refused record. Never holds a value of it.

    Attributes:
        row_number: Ordinal of the record in its file, from 1.
        reason: Code of the closed list.
        rule: Column or JSON path that was broken.
        detail: Neutral explanation.
        byte_offset: Where the record begins in the unpacked file, if that is known.
    """

    row_number: int
    reason: str
    rule: str | None = None
    detail: str | None = None
    byte_offset: int | None = None


@dataclass(frozen=True)
class FileSummary:
    """What became of one file. With a `reason` nothing of it is in the spool."""

    index: int
    records: int
    rejected: int
    reason: str | None = None
    rule: str | None = None
    detail: str | None = None


class Spool:
    """Writes the output of one child."""

    def __init__(self, job: Job) -> None:
        """Open nothing yet: a table gets its file with its first row."""
        self._folder = job.spool
        self._schemas = {name: spool_schema(plan) for name, plan in job.entities.items()}
        self._schemas[TOMBSTONE] = _TOMBSTONES
        self._streams: dict[str, _Stream] = {}
        self._rejected = _Stream(self._folder / "_rejected.arrow", REJECTED, "file")
        self._records: Counter[int] = Counter()
        self._rejections: Counter[int] = Counter()
        self._refused_files: dict[int, FileSummary] = {}

    def schema(self, entity: str) -> pa.Schema:
        """Schema of one table."""
        return self._schemas[entity]

    def write(self, entity: str, file: int, batch: pa.RecordBatch) -> None:
        """Add rows of one file to a table."""
        self._write(entity, batch, {file: batch.num_rows})

    def write_files(self, entity: str, batch: pa.RecordBatch) -> None:
        """Add rows of several files to a table: `_file` says of which each is."""
        self._write(entity, batch, Counter(batch["_file"].to_pylist()))

    def _write(self, entity: str, batch: pa.RecordBatch, rows: Mapping[int, int]) -> None:
        if batch.num_rows == 0:
            return
        if entity not in self._streams:
            self._streams[entity] = _Stream(self._folder / f"{entity}.arrow", self._schemas[entity], "_file")
        self._records.update(rows)
        self._streams[entity].add(batch, *rows)
        if sum(s.pending_bytes for s in self._streams.values()) > _PENDING_BYTES:
            for stream in self._streams.values():
                stream.flush()

    def write_gathered(
        self, entity: str, files: Sequence[int], arrays: Sequence[pa.Array], numbers: Sequence[int], faults: Mapping[int, Fault]
    ) -> dict[int, list[Rejection]]:
        """Add rows of several files, as `write_rows` does those of one.

        Args:
            entity: Table.
            files: Number of the file of each row.
            arrays: As for `write_rows`.
            numbers: As for `write_rows`.
            faults: As for `write_rows`.

        Returns:
            Rejections of the faulty rows by file.
        """
        batch = self._batch(entity, pa.array(files, pa.int32()), arrays, numbers, faults)
        self.write_files(entity, batch)
        found: dict[int, list[Rejection]] = {}
        for row, fault in sorted(faults.items()):
            found.setdefault(files[row], []).append(Rejection(numbers[row], fault.reason, fault.rule, fault.detail))
        return found

    def write_rows(
        self, entity: str, file: int, arrays: Sequence[pa.Array], numbers: Sequence[int], faults: Mapping[int, Fault]
    ) -> list[Rejection]:
        """Add rows given as columns without their place; rows with a fault are left out.

        Args:
            entity: Table.
            file: Number of the file.
            arrays: Columns in the order of the schema, without `_file` and `_row_number`.
            numbers: Record numbers of the rows.
            faults: Row position -> what is wrong with it.

        Returns:
            Rejections of the faulty rows, in the order of their numbers.
        """
        self.write(entity, file, self._batch(entity, pa.repeat(pa.scalar(file, pa.int32()), len(numbers)), arrays, numbers, faults))
        return [Rejection(numbers[row], f.reason, f.rule, f.detail) for row, f in sorted(faults.items())]

    def _batch(
        self, entity: str, files: pa.Array, arrays: Sequence[pa.Array], numbers: Sequence[int], faults: Mapping[int, Fault]
    ) -> pa.RecordBatch:
        batch = pa.RecordBatch.from_arrays([*arrays, files, _numbers(numbers)], schema=self._schemas[entity])
        if not faults:
            return batch
        return batch.filter(pc.invert(pc.is_in(_numbers(range(len(numbers))), value_set=pa.array(sorted(faults), pa.int64()))))

    def reject(self, file: int, rejections: Sequence[Rejection]) -> None:
        """Add refused records of one file."""
        if not rejections:
            return
        columns = [
            pa.repeat(pa.scalar(file, pa.int32()), len(rejections)),
            pa.array([r.row_number for r in rejections], pa.int64()),
            pa.array([r.byte_offset for r in rejections], pa.int64()),
            pa.array([str(r.reason) for r in rejections], pa.string()),
            pa.array([r.rule for r in rejections], pa.string()),
            pa.array([r.detail for r in rejections], pa.string()),
        ]
        self._rejections[file] += len(rejections)
        self._rejected.add(pa.RecordBatch.from_arrays(columns, schema=REJECTED), file)

    def refuse_file(self, file: int, reason: Reason | str, *, rule: str | None = None, detail: str | None = None) -> None:
        """Give a file up: all its rows and rejections are taken back."""
        self._refused_files[file] = FileSummary(file, 0, 0, str(reason), rule, detail)

    def close(self, job: Job, refused: DeliveryRefused | None = None, refused_file: int | None = None) -> None:
        """Write what is pending, then the summary, last of all: without it the child did not finish."""
        dropped = frozenset(self._refused_files)
        for stream in (*self._streams.values(), self._rejected):
            stream.close(dropped)
        files = [
            self._refused_files.get(f.index, FileSummary(f.index, self._records[f.index], self._rejections[f.index])) for f in job.files
        ]
        summary = {"files": [asdict(f) for f in files], "refused": _refusal(refused, refused_file)}
        path = self._folder / "_summary.json"
        path.with_suffix(".part").write_text(json.dumps(summary), encoding="utf-8")
        os.replace(path.with_suffix(".part"), path)


def _numbers(numbers: Sequence[int]) -> pa.Array:
    """int64 column. A range is counted by Arrow: a list of it would be a million Python objects."""
    if not isinstance(numbers, range) or numbers.step != 1 or not numbers:
        return pa.array(numbers, pa.int64())
    ones = pa.repeat(pa.scalar(1, pa.int64()), len(numbers))
    return pc.cumulative_sum(ones, start=numbers.start - 1)


def _refusal(refused: DeliveryRefused | None, file: int | None) -> dict[str, object] | None:
    if refused is None:
        return None
    return {"reason": str(refused.reason), "file": file, "row_number": refused.row_number, "rule": refused.rule, "detail": refused.detail}


class _Stream:
    """One IPC stream file. Small batches are put together before they are written."""

    def __init__(self, path: Path, schema: pa.Schema, file_column: str) -> None:
        self._path, self._schema, self._file_column = path, schema, file_column
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._rows = 0
        self._files: set[int] = set()
        self.pending_bytes = 0

    def add(self, batch: pa.RecordBatch, *files: int) -> None:
        self._pending.append(batch)
        self._files.update(files)
        self._rows += batch.num_rows
        self.pending_bytes += batch.nbytes
        if self._rows >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            self._writer = pa.ipc.new_stream(str(self._path), self._schema)
        whole = self._pending[0] if len(self._pending) == 1 else pa.Table.from_batches(self._pending, self._schema).combine_chunks()
        self._pending, self._rows, self.pending_bytes = [], 0, 0
        self._writer.write(whole)

    def close(self, dropped: frozenset[int]) -> None:
        self.flush()
        if self._writer is not None:
            self._writer.close()
            if self._files & dropped:
                self._without(dropped)

    def _without(self, dropped: frozenset[int]) -> None:
        """Write the file again without the rows of some files: rare, so it may cost a pass."""
        part = self._path.with_suffix(".part")
        values = pa.array(sorted(dropped), pa.int32())
        with (
            pa.memory_map(str(self._path)) as source,
            pa.ipc.open_stream(source) as reader,
            pa.ipc.new_stream(str(part), self._schema) as writer,
        ):
            for batch in reader:
                kept = batch.filter(pc.invert(pc.is_in(batch[self._file_column], value_set=values)))
                if kept.num_rows:
                    writer.write(kept)
        os.replace(part, self._path)
