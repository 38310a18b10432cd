"""FHIR R4: NDJSON, Bundles, JSON documents -> one Arrow table a resource type.

Belongs here: the way of a file through the parts. Does not belong here: how a file is built (`fhir_documents`), raw JSON (`json_lines`), which
resource goes to which table (`fhir_tables`), values (`fhir_columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from assets.formats import fhir_documents as documents
from assets.formats.faults import Faults
from assets.formats.fhir_columns import EntityReader
from assets.formats.fhir_learned import LearnedTypes
from assets.formats.fhir_r4 import R4_TYPES, entity_of
from assets.formats.fhir_tables import CATCH_ALL, Tables
from assets.formats.headers import note_elements
from assets.formats.job import Job, SourceFile
from assets.formats.json_lines import Judge
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.spool import TOMBSTONE, Rejection, Spool
from assets.formats.stream import LongLine, Read, open_source, read_lines

__all__ = ["R4_TYPES", "FhirReader"]

FLUSH_BYTES = 24 * 2**20
"""Text from which columns are made at a time, of however many files: bundles of one patient are small. Less costs more calls into Arrow
for every rare resource type; more costs memory."""

_WRAPPER_DEPTH = 1
"""A bundle entry is one level deeper than its resource."""

_NO_URLS: Mapping[str, str] = {}

Numbers = Sequence[int]
"""Numbers of the records of a block; a range that may be longer than the block, where they follow each other."""

Work = Callable[[SourceFile, bytes, Numbers, int | None], int]


class FhirReader:
    """Reads FHIR files into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Compile the paths of every entity: 15 ms."""
        self._job, self._spool, self._progress = job, spool, progress
        plans = {name: plan for name, plan in job.entities.items() if name != TOMBSTONE}
        self._readers = {name: EntityReader(plan, zone=job.time_zone, lenient=name == CATCH_ALL) for name, plan in plans.items()}
        self._faults = Faults(job)
        self._learned = LearnedTypes()
        self._judge = Judge(job.limits.depth, self._learned)
        self._judge_entries = Judge(job.limits.depth + _WRAPPER_DEPTH)
        self._urls = _NO_URLS  # of the bundle that is being read
        self._last: frozenset[int] = frozenset()  # its deletions that nothing in it came after
        self._final = max((f.index for f in job.files if not self._faults.lost(f.index)), default=None)
        self._start_over()

    def read(self, file: SourceFile) -> None:
        """Read one file. Columns are made of several files together; the last one of the job flushes them all.

        Raises:
            FileRefused: Nothing of it can be used; of its rows that are read already, the spool takes none.
            DeliveryRefused: It is not FHIR R4.
        """
        self._use_urls(_NO_URLS)
        if self._faults.exact(file.index):
            self._flush()
        try:
            self._cut(file)
        finally:
            if file.index == self._final:
                self._flush()
                self._note_unread()

    def _note_unread(self) -> None:
        """Tell of elements that came and that no rule reads. A type without a table of its own is kept whole: there is nothing to tell."""
        for kind, keys in self._learned.seen.items():
            if reader := self._readers.get(entity_of(kind)):
                note_elements(self._job.spool, kind, keys - reader.keys - {"resourceType"})

    # --- how a file is built

    def _cut(self, file: SourceFile) -> None:
        limits = self._job.limits
        with open_source(file, limits) as read:
            head = documents.Head(read, limits.record_bytes)
            if not head.is_long:
                if head.is_document:
                    self._document(file, documents.whole(file, head.replay, head.skipped, self._job))
                else:
                    self._lines(file, head.replay, head.skipped, bundles=head.is_bundle)
                return
            alone = head.is_document or documents.has_one_line(head.replay)
        with open_source(file, limits) as read:  # a very long first line: read again, now that its kind is known
            head = documents.Head(read, limits.record_bytes)
            if alone:
                self._document(file, documents.whole(file, head.replay, head.skipped, self._job))
            else:
                self._lines(file, head.replay, head.skipped, bundles=False)

    def _lines(self, file: SourceFile, read: Read, skipped: int, *, bundles: bool) -> None:
        number = 1
        for block in read_lines(read, record_bytes=self._job.limits.record_bytes):
            offset = block.offset + skipped
            if isinstance(block, LongLine):
                self._spool.reject(file.index, [Rejection(number, Reason.RECORD_TOO_LARGE, None, None, offset)])
                number += 1
            elif not bundles:
                number += self._guard(file, block.data, range(number, number + len(block.data)), self._resources, offset)
            else:
                for line in block.data.split(b"\n"):
                    number += self._bundle_line(file, line, number) if line.strip() else 0

    def _bundle_line(self, file: SourceFile, line: bytes, number: int) -> int:
        self._progress.block(file.index, number)
        found = documents.entries_of(line)
        if found is None or not found.is_bundle:
            self._use_urls(_NO_URLS)
            return self._guard(file, line + b"\n", [number], self._resources)
        return self._entries(file, found, number)

    def _document(self, file: SourceFile, data: documents.Bytes) -> None:
        found = documents.entries_of(data)
        if found is None:
            raise FileRefused(Reason.INVALID_DOCUMENT, "brackets or strings do not match, or something follows the document")
        self._entries(file, found, 1)

    def _entries(self, file: SourceFile, found: documents.Entries, number: int) -> int:
        """Read bundle entries or array elements as if they were lines. Returns their number."""
        self._use_urls(documents.full_urls(found) if found.is_bundle else _NO_URLS)
        self._last = documents.last_deletions(found, number)
        work = self._wrapped if found.is_bundle else self._resources
        for block, numbers, long in documents.blocks(found, number, self._job.limits.record_bytes):
            self._spool.reject(file.index, [Rejection(n, Reason.RECORD_TOO_LARGE) for n in long])
            if numbers:
                self._guard(file, block, numbers, work)
        return len(found.texts)

    def _use_urls(self, urls: Mapping[str, str]) -> None:
        if urls or self._urls:
            self._flush()  # what is pending belongs to the bundle before
        self._urls = urls

    def _wrapped(self, file: SourceFile, block: bytes, numbers: Numbers, offset: int | None) -> int:
        """Take the resources out of Bundle entries."""
        judged = self._judge_entries.judge(block, numbers)
        self._spool.reject(file.index, judged.rejections)
        lines: list[bytes] = []
        kept: list[int] = []
        tombstones: list[tuple[int, str, str]] = []
        for entry, number in zip(judged.rows, judged.numbers, strict=True):
            if "resource" in entry:
                lines.append(bytes(entry["resource"]) + b"\n")
                kept.append(number)
            elif (deleted := documents.deleted(entry)) is not None:
                tombstones.append((number, *deleted))
            else:
                self._spool.reject(file.index, [Rejection(number, Reason.NOT_A_FHIR_RESOURCE, "$.resource")])
        self._bury(file, tombstones)
        if lines:
            self._resources(file, b"".join(lines), kept, offset)
        return judged.records

    # --- records

    def _guard(self, file: SourceFile, block: bytes, numbers: Numbers, work: Work, offset: int | None = None) -> int:
        """Work on a block of lines, one by one where an earlier run died. Returns how many records it held."""
        start = numbers[0]
        self._progress.block(file.index, start)
        if not self._faults.careful(file.index, start):
            self._faults.trip(block)
            records = work(file, block, numbers, offset)
            if not self._pending or self._pending[-1][0] != file.index:
                self._pending.append((file.index, start))
            self._pending_bytes += len(block)
            if self._pending_bytes > FLUSH_BYTES or self._faults.exact(file.index):
                self._flush()
            return records
        self._flush()
        ordinal, at = 0, offset or 0
        for line in block.split(b"\n"):
            if line.strip():
                number = numbers[ordinal]
                ordinal += 1
                place = None if offset is None else at
                if reason := self._faults.skipped(file.index, number):
                    self._spool.reject(file.index, [Rejection(number, reason, None, None, place)])
                else:
                    self._progress.record(file.index, number)
                    self._faults.trip(line)
                    work(file, line + b"\n", [number], place)
                    self._write()
            at += len(line) + 1
        return ordinal

    def _resources(self, file: SourceFile, block: bytes, numbers: Numbers, offset: int | None) -> int:
        judged = self._judge.judge(block, numbers, offset=offset)
        self._spool.reject(file.index, judged.rejections)
        if judged.learned:
            self._tables.add_learned(judged.rows, judged.numbers, file.index)
        else:
            self._tables.add(judged.rows, judged.numbers, file.index)
        return judged.records

    def _start_over(self) -> None:
        self._tables = Tables({name: reader.keys for name, reader in self._readers.items()})
        self._pending_bytes = 0
        self._pending: list[tuple[int, int]] = []  # files with blocks that are not columns yet, and the first record of those

    def _flush(self) -> None:
        """Make columns of what was collected."""
        if self._pending:
            file, first = self._pending[-1]
            self._progress.flush(file, first, self._pending[0][0])
            self._write()

    def _write(self) -> None:
        tables = self._tables
        self._start_over()
        for entity, group in tables.groups.items():
            arrays, faults = self._readers[entity].read(group.column, len(group.numbers), self._urls)
            for file, rejections in self._spool.write_gathered(entity, group.files, arrays, group.numbers, faults).items():
                tables.rejections.setdefault(file, []).extend(rejections)
        for file, rejections in tables.rejections.items():
            self._spool.reject(file, sorted(rejections, key=lambda r: r.row_number))

    def _bury(self, file: SourceFile, tombstones: list[tuple[int, str, str]]) -> None:
        """Deleted resources: their table and the scope in which their id is hashed."""
        if not tombstones:
            return
        entities = [name if (name := entity_of(kind)) in self._job.entities else CATCH_ALL for _, kind, _ in tombstones]
        scopes = [self._scope(entity) or kind for entity, (_, kind, _) in zip(entities, tombstones, strict=True)]
        last = [number in self._last for number, _, _ in tombstones]
        columns: list[Any] = [[local for _, _, local in tombstones], entities, last, scopes]
        columns += [[file.index] * len(tombstones), [number for number, _, _ in tombstones]]
        schema = self._spool.schema(TOMBSTONE)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        self._spool.write(TOMBSTONE, file.index, pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _scope(self, entity: str) -> str | None:
        plan = self._job.entities.get(entity)
        column = plan.column("record_id") if plan else None
        return column.scope if column else None
