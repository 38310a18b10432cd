"""Open mHealth and IEEE 1752 data points: NDJSON, arrays, single documents -> one table.

Belongs here: the way of a file and of a record through the parts. Does not belong here: how a JSON file is cut (`fhir_documents`: the same rule
for both), what a schema asks (`omh_schemas`), values (`omh_values`).

A record is one data point, header and body. A record is refused with the JSON path of what is wrong, never with a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from assets.formats import fhir_documents as documents
from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.json_depth import nesting
from assets.formats.omh_schemas import Violation, find_schema, shape
from assets.formats.omh_values import facts_of
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import LongLine, Read, open_source, read_lines

ENTITY = "data_point"
_IDENTIFIERS = {"person": Reason.MISSING_PERSON, "record": Reason.MISSING_KEY}
_MARKED_KEY = re.compile(rb'"\s*:')


class DataPointReader:
    """Reads files of data points into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Take the plan of the one table."""
        self._job, self._spool, self._progress = job, spool, progress
        self._plan = job.entities[ENTITY]
        self._faults = Faults(job)

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        limits = self._job.limits
        with open_source(file, limits) as read:
            head = documents.Head(read, limits.record_bytes)
            if not head.is_long:
                if head.is_document:
                    self._document(file, documents.whole(file, head.replay, head.skipped, self._job))
                else:
                    self._lines(file, head.replay, bundles=head.is_bundle)
                return
            alone = head.is_document or documents.has_one_line(head.replay)
        with open_source(file, limits) as read:  # a very long first line: read again, now that its kind is known
            if alone:
                self._document(file, documents.whole(file, read, 0, self._job))
            else:
                self._lines(file, read, bundles=False)

    def _document(self, file: SourceFile, data: documents.Bytes) -> None:
        found = documents.entries_of(data)
        if found is None:
            raise FileRefused(Reason.INVALID_DOCUMENT, "brackets or strings do not match, or something follows the document")
        self._entries(file, found, 1)

    def _entries(self, file: SourceFile, found: documents.Entries, number: int) -> int:
        for block, numbers, long in documents.blocks(found, number, self._job.limits.record_bytes):
            self._spool.reject(file.index, [Rejection(n, Reason.RECORD_TOO_LARGE) for n in long])
            self._block(file, block.split(b"\n"), numbers)
        return len(found.texts)

    def _lines(self, file: SourceFile, read: Read, *, bundles: bool) -> None:
        number = 1
        for block in read_lines(read, record_bytes=self._job.limits.record_bytes):
            if isinstance(block, LongLine):
                self._spool.reject(file.index, [Rejection(number, Reason.RECORD_TOO_LARGE)])
                number += 1
                continue
            lines = [line for line in block.data.split(b"\n") if line.strip()]
            if not bundles:
                self._block(file, lines, range(number, number + len(lines)))
                number += len(lines)
                continue
            for line in lines:  # somebody sent FHIR: counted as FHIR is, and refused record by record
                cut = documents.entries_of(line)
                if cut is not None and cut.is_bundle:
                    number += self._entries(file, cut, number)
                else:
                    self._block(file, [line], [number])
                    number += 1

    def _block(self, file: SourceFile, lines: Iterable[bytes], numbers: Sequence[int]) -> None:
        if not numbers:
            return
        self._progress.block(file.index, numbers[0])
        careful = self._faults.careful(file.index, numbers[0])
        rows: list[tuple[int, dict[str, Any]]] = []
        rejections: list[Rejection] = []
        for number, line in zip(numbers, (text for text in lines if text.strip()), strict=True):
            if careful:
                if reason := self._faults.skipped(file.index, number):
                    rejections.append(Rejection(number, reason))
                    continue
                self._progress.record(file.index, number)
            self._faults.trip(line)
            try:
                rows.append((number, self._facts(line)))
            except Violation as violation:
                rejections.append(Rejection(number, violation.reason, violation.path))
        self._write(file, rows)
        self._spool.reject(file.index, rejections)

    def _facts(self, line: bytes) -> dict[str, Any]:
        """Values of one data point by path.

        Raises:
            Violation: It is none, or not a sound one.
        """
        point = self._decode(line)
        if not isinstance(point, dict) or not isinstance(point.get("header"), dict) or not isinstance(point.get("body"), dict):
            raise Violation(Reason.NOT_A_DATA_POINT, "$")
        header, body = point["header"], point["body"]
        shape("header_1752" if "uuid" in header and "id" not in header else "header")(header, "$.header")
        schema_id = header["schema_id"]
        schema = find_schema(schema_id["namespace"], schema_id["name"], schema_id["version"])
        if schema is None or not schema.is_body:
            raise Violation(Reason.UNKNOWN_SCHEMA, "$.header.schema_id")
        schema.check(body, "$.body")
        facts = facts_of(header, body, schema)
        for column in self._plan.columns:
            if column.required and facts.get(column.path) in (None, ""):
                raise Violation(_IDENTIFIERS.get(column.verb, Reason.MISSING_VALUE), f"$.{column.path}")
        return facts

    def _decode(self, line: bytes) -> Any:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            raise Violation(Reason.ENCODING, "$") from None
        depth = self._job.limits.depth
        if (
            line.count(b"{") + line.count(b"[") > depth and nesting(line, depth) > depth
        ):  # most lines have fewer brackets than levels allowed
            raise Violation(Reason.TOO_DEEP, "$")
        try:
            point = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            raise Violation(Reason.INVALID_JSON, "$") from None
        if len(_MARKED_KEY.findall(line)) != _keys(point) and _has_key_twice(line):
            raise Violation(Reason.DUPLICATE_JSON_KEY, "$")
        return point

    def _write(self, file: SourceFile, rows: list[tuple[int, dict[str, Any]]]) -> None:
        if not rows:
            return
        schema = self._spool.schema(ENTITY)
        values = [[facts.get(column.path) for _, facts in rows] for column in self._plan.columns]
        values += [[facts.get(path) for _, facts in rows] for path in self._plan.identity.values()]
        values += [[file.index] * len(rows), [number for number, _ in rows]]
        arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
        self._spool.write(ENTITY, file.index, pa.RecordBatch.from_arrays(arrays, schema=schema))


def _keys(value: Any) -> int:
    """How many members the objects of a decoded value have."""
    if isinstance(value, dict):
        return len(value) + sum(_keys(v) for v in value.values() if isinstance(v, dict | list))
    return sum(_keys(v) for v in value if isinstance(v, dict | list)) if isinstance(value, list) else 0


def _has_key_twice(line: bytes) -> bool:
    """Does some object of the document hold a key twice? Readers differ on which of the two counts."""
    twice = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            twice.append(True)

    json.loads(line, object_pairs_hook=look, parse_int=str)
    return bool(twice)
