"""C-CDA documents (HL7 CDA R2, XML) -> spool rows and rejected records. A record is a document or an entry of it.

Belongs here: the way of a file through the parts. Does not belong here: bytes to XML (`ccda_xml`), templates and keys (`ccda_model`), values (`ccda_values`),
counting (`count_xml`).

An entry lands whole or not at all: a bad date in one of its statements refuses it with that path as the rule, and the rest of the document lands.
A document without a patient, or whose XML does not hold, is refused as a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from lxml import etree

from assets.formats.ccda_model import (
    JOIN,
    NAMES,
    Context,
    Part,
    Statement,
    document_key,
    parts_of,
    patient_number,
    section_code,
    statement_keys,
    statements_of,
    template_of,
)
from assets.formats.ccda_paths import V3, Element, Place, compile_paths, first_element, first_text
from assets.formats.ccda_values import Flaw, read_codings, read_measure, read_part, read_text
from assets.formats.ccda_xml import read_tree
from assets.formats.faults import Faults
from assets.formats.job import Column, EntityPlan, Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import BLOCK_BYTES, Read, open_source

PART = "document_part"
PATIENT = "patient"
_ENCOUNTER = V3 + "encounter"
_GATHERED_ROWS = 8_192
_MISSING = {"person": Reason.MISSING_PERSON, "record": Reason.MISSING_KEY}

Value = Callable[[Place, Context], Any]
Row = list[Any]
Rows = dict[str, list[tuple[Row, int]]]
"""Table -> rows and the number of the record each belongs to."""


class CcdaReader:
    """Reads C-CDA documents into the spool of one job. A crash costs the document alone: no progress is told within it."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Compile the paths of every table. A document is read in one piece, so there is nothing to tell `progress`."""
        self._job, self._spool, self._faults = job, spool, Faults(job)
        zone = ZoneInfo(job.time_zone)
        self._makers = {name: _RowMaker(plan, zone) for name, plan in job.entities.items()}
        self._gathered = _Gathered(spool)
        self._last = max((f.index for f in job.files if not self._faults.lost(f.index)), default=None)
        self._authority = str(job.options.get("assigning_authority") or "")

    def read(self, file: SourceFile) -> None:
        """Read one document. The last one of the job also writes what was gathered.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        try:
            self._document(file)
        finally:
            if file.index == self._last:
                self._gathered.flush()

    def _document(self, file: SourceFile) -> None:
        with open_source(file, self._job.limits) as read:
            data = _whole(read, self._job.limits.record_bytes)
        self._faults.trip(data)
        root = read_tree(data, depth=self._job.limits.depth)
        if root.tag != V3 + "ClinicalDocument":
            name = etree.QName(root).localname
            raise FileRefused(
                Reason.NOT_A_CLINICAL_DOCUMENT,
                "another namespace than urn:hl7-org:v3" if name == "ClinicalDocument" else "a fragment or another kind of XML",
            )
        document = _Document(root, hashlib.sha256(data).hexdigest(), self._authority)
        rows, flaws = document.rows(self._makers)
        self._spool.reject(file.index, flaws)
        self._gathered.add(rows, file.index)


def _whole(read: Read, limit: int) -> bytes:
    """The bytes of a document.

    Raises:
        FileRefused: There are more than a record may have.
    """
    blocks, size = [], 0
    while block := read(BLOCK_BYTES):
        blocks.append(block)
        size += len(block)
        if size > limit:
            raise FileRefused(Reason.RECORD_TOO_LARGE, f"more than {limit} bytes")
    return b"".join(blocks)


class _RowMaker:
    """Makes the rows of one table."""

    def __init__(self, plan: EntityPlan, zone: ZoneInfo) -> None:
        self._columns = [(c, _reader_of(c, zone)) for c in plan.columns]
        self._key = [c.name for c in plan.columns].index("record_id")
        self._identity = [_named_or_path(path) for path in plan.identity.values()]

    def row(self, place: Place, context: Context) -> Row:
        """Values of all columns of the spool but the place.

        Raises:
            Flaw: A value breaks the contract; `rule` is its path.
        """
        found = []
        for column, read in self._columns:
            try:
                value = read(place, context)
            except Flaw as flaw:
                raise Flaw(flaw.reason, column.path) from None
            if value is None and column.required:
                raise Flaw(_MISSING.get(column.verb, Reason.MISSING_VALUE), column.path)
            found.append(value)
        return found + [read(place, context) for read in self._identity]

    def complete(self, made: list[tuple[Row, int]]) -> None:
        """Fill what a statement leaves open from the same statement elsewhere in the document: the header knows when the visit of an entry ended."""
        known: dict[Any, Row] = {}
        for row, _ in made:
            earlier = known.setdefault(row[self._key], row)
            if earlier is not row:
                row[:] = [e if v is None else v for v, e in zip(row, earlier, strict=True)]
                known[row[self._key]] = row


def _named_or_path(path: str) -> Value:
    if path in NAMES:
        return lambda place, context: getattr(context, path)
    paths = compile_paths(path)
    return lambda place, context: first_text(paths, place)


def _reader_of(column: Column, zone: ZoneInfo) -> Value:
    """How a column's value is read, by the verb of its rule."""
    verb, kind = column.verb, column.type
    if column.path in NAMES or verb in ("person", "record"):
        return _named_or_path(column.path)
    paths = compile_paths(column.path)
    if verb == "codings":
        return lambda place, _: None if (e := first_element(paths, place)) is None else read_codings(e)
    if verb in ("number", "comparator"):
        which = 0 if verb == "number" else 1
        return lambda place, _: None if (e := first_element(paths, place)) is None else read_measure(e)[which]
    if verb in ("year", "month", "day"):
        return lambda place, _: None if (t := first_text(paths, place)) is None else read_part(t, verb)
    if verb != "keep":
        raise ValueError(f"the verb {verb!r} has no meaning in a CDA document")
    is_place = any(path.attribute is None for path in paths)
    return lambda place, _: None if (t := first_text(paths, place)) is None else read_text(t, kind, zone, is_place=is_place)


class _Document:
    """One document on its way into the spool."""

    def __init__(self, root: Element, digest: str, authority: str) -> None:
        place = Place(root, root)
        self._context = Context(patient_number(place, authority), document_key(place, digest), digest)
        self._parts = parts_of(place)
        self._statements = list(statements_of(self._parts))
        self._keys = statement_keys(self._context.patient_number, self._statements)

    def rows(self, makers: Mapping[str, _RowMaker]) -> tuple[Rows, list[Rejection]]:
        """Rows of the parts that hold, by table, and the reasons of those that do not."""
        rows: Rows = {}
        flaws: list[Rejection] = []
        by_part: dict[int, list[Statement]] = {}
        for statement in self._statements:
            by_part.setdefault(statement.part, []).append(statement)
        for part in self._parts:
            try:
                found = self._part(makers, part, by_part.get(part.number, []))
            except Flaw as flaw:
                flaws.append(Rejection(part.number, flaw.reason, flaw.rule, flaw.reason.sentence))
                continue
            for entity, row in found:
                rows.setdefault(entity, []).append((row, part.number))
        for entity, made in rows.items():
            makers[entity].complete(made)
        return rows, flaws

    def _part(self, makers: Mapping[str, _RowMaker], part: Part, statements: list[Statement]) -> list[tuple[str, Row]]:
        found = [(s.entity, makers[s.entity].row(s.place, self._about(s))) for s in statements if s.entity in makers]
        is_document = part.number == 1
        if is_document and PATIENT in makers:
            found.append((PATIENT, makers[PATIENT].row(part.place, self._context)))
        context = replace(
            self._context,
            part_key=f"{self._context.document_key}{JOIN}{part.number}",
            part_kind="document" if is_document else "entry",
            section_code=None if is_document else section_code(part.place),
            template_code=None if is_document else next((s.template for s in statements), None) or template_of(part.place),
            statement_count=len(found),
        )
        found.append((PART, makers[PART].row(part.place, context)))
        return found

    def _about(self, statement: Statement) -> Context:
        around = next(statement.place.element.iterancestors(_ENCOUNTER), None)
        return replace(
            self._context,
            statement_key=self._keys[statement.place.element],
            encounter_key=None if around is None else self._keys.get(around),
            category_code=statement.category,
        )


class _Gathered:
    """Rows of many documents, on their way into the spool: a document has few of each table, and columns of few rows cost time and memory."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._tables: dict[str, list[Row]] = {}
        self._rows = 0

    def add(self, rows: Rows, file: int) -> None:
        """Take the rows of one document."""
        for entity, made in rows.items():
            self._tables.setdefault(entity, []).extend([*row, file, number] for row, number in made)
            self._rows += len(made)
        if self._rows >= _GATHERED_ROWS:
            self.flush()

    def flush(self) -> None:
        """Make columns of them."""
        for entity, rows in self._tables.items():
            schema = self._spool.schema(entity)
            arrays = [pa.array(values, f.type) for values, f in zip(zip(*rows, strict=True), schema, strict=True)]
            self._spool.write_files(entity, pa.RecordBatch.from_arrays(arrays, schema=schema))
        self._tables, self._rows = {}, 0
