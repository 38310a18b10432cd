"""FHIR resources of one entity -> columns.

Belongs here: decoding of top-level values, references, types and dates, what a row lacks. Does not belong here: lines and bundles (`fhir`,
`fhir_documents`), the path language (`fhir_paths`).

Why by column: a top-level value is kept as bytes until here, each distinct text of a column is decoded once, and rows are put together
by Arrow. A hospital repeats itself: 5,000 observations hold about 150 codes, 5 statuses and 60 patients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from assets.formats import dates
from assets.formats.fhir_paths import Inner, Source, compile_plan
from assets.formats.fhir_r4 import R4_TYPES
from assets.formats.job import Column, EntityPlan
from assets.formats.reasons import Fault, Reason
from assets.formats.spool import is_identifier_list, spool_type

Row = dict[str, msgspec.Raw]
"""A resource: top-level key -> its JSON text, without white space around tokens."""

NULL = msgspec.Raw(b"null")
_WHERE = re.compile(r" - at `\$([^`]*)`")


class EntityReader:
    """Turns resources of one entity into columns."""

    def __init__(self, plan: EntityPlan, *, zone: str, lenient: bool = False) -> None:
        """Compile the paths.

        Args:
            plan: Columns and identity.
            zone: IANA zone of times written without one.
            lenient: The entity holds resources of many types.
        """
        self._columns = list(plan.columns)
        for system, path in plan.identity.items():
            verb = "aliases" if is_identifier_list(path) else "keep"
            self._columns.append(Column(f"_identity_{system}", "string", False, verb, None, path))
        compiled = compile_plan(plan, lenient=lenient)
        self._sources = compiled.sources
        self.keys = frozenset(compiled.types)
        """Top-level keys that are read."""
        self._decoders = {key: _decoders_of(kind) for key, kind in compiled.types.items()}
        self._zone = zone
        self._lenient = lenient

    def read(
        self, texts: Callable[[str], bytes | None], count: int, full_urls: Mapping[str, str]
    ) -> tuple[list[pa.Array], dict[int, Fault]]:
        """Read resources.

        Args:
            texts: Top-level key -> its JSON text in each resource, joined by line feeds, or None where no resource has it.
            count: Number of resources.
            full_urls: `fullUrl` -> `Type/id` of the bundle they came in.

        Returns:
            Columns in the order of the spool's schema, without file and row number; and what is wrong with which row. A faulty row has
            nulls where it is wrong; the caller drops it.
        """
        batch = _Batch(count, self._zone, full_urls, lenient=self._lenient)
        for key, (many, one) in self._decoders.items():
            if (joined := texts(key)) is not None:
                batch.decode(key, joined, many, one)
        arrays = [batch.column(c, self._sources[c.name]) for c in self._columns]
        for column, array in zip(self._columns, arrays, strict=True):
            if column.required and array.null_count:
                batch.miss(column, self._sources[column.name], array)
        return arrays, batch.faults


class _Batch:
    """The work of one `read`."""

    def __init__(self, count: int, zone: str, full_urls: Mapping[str, str], *, lenient: bool) -> None:
        self._count, self._zone, self._full_urls, self._lenient = count, zone, full_urls, lenient
        self._values: dict[str, list[Any]] = {}
        self._codes: dict[str, pa.Array | None] = {}
        self._parts: dict[str, dict[str, pa.Array]] = {}
        self.faults: dict[int, Fault] = {}

    def decode(self, key: str, joined: bytes, many: msgspec.json.Decoder[Any], one: msgspec.json.Decoder[Any]) -> None:
        """Decode each distinct text of one top-level key once."""
        joined, self._codes[key] = (joined, None) if key == "id" else _distinct(joined, self._count)
        try:
            self._values[key] = many.decode(b"[%b]" % joined.replace(b"\n", b","))
        except msgspec.DecodeError:
            self._values[key] = [self._decode_one(key, code, text, one) for code, text in enumerate(joined.split(b"\n"))]

    def _decode_one(self, key: str, code: int, text: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
        try:
            return decoder.decode(text)
        except msgspec.ValidationError as error:
            if self._lenient:  # one of 130 types may use the key for something else: then it names nothing
                return None
            where = _WHERE.search(str(error))
            rule = f"$.{key}{where.group(1) if where else ''}"
            message = str(error).partition(" - at ")[0]
            reason = Reason.VALUE_NOT_FINITE if "out of range" in message else Reason.INVALID_TYPE
            self._fault(key, [code], Fault(reason, rule, message))
        except msgspec.DecodeError:
            self._fault(key, [code], Fault(Reason.INVALID_JSON, f"$.{key}", "a string is not valid"))
        return None

    def column(self, column: Column, sources: Sequence[Source]) -> pa.Array:
        """One column: its alternatives, the first that has a value."""
        arrays = [self._whole(column, s) for s in sources if s.key in self._values]
        if not arrays:
            return pa.nulls(self._count, spool_type(column.verb, column.type))
        return arrays[0] if len(arrays) == 1 else pc.coalesce(*arrays)

    def _whole(self, column: Column, source: Source) -> pa.Array:
        """One alternative for every row."""
        if source.inner is None:
            return self._take(source.key, self._convert(column, source))
        return self._contained(column, source, source.inner)

    def _contained(self, column: Column, source: Source, inner: Inner) -> pa.Array:
        """Two keys of a row at once, the reference and what it names; rare, so row by row."""
        kind = spool_type(column.verb, column.type)
        if inner.pointer.key not in self._values:
            return pa.nulls(self._count, kind)
        references = self._spread(inner.pointer.key, inner.pointer.get(self._values[inner.pointer.key]))
        found: list[Any] = []
        for row, (reference, contained) in enumerate(zip(references, self._spread(source.key, self._values[source.key]), strict=True)):
            try:
                found.append(inner.get(reference, contained))
            except msgspec.ValidationError:
                found.append(None)
                self.faults.setdefault(row, Fault(Reason.INVALID_TYPE, "$.contained"))
        return pa.array(found, kind)

    def _spread(self, key: str, distinct: list[Any]) -> list[Any]:
        codes = self._codes[key]
        return distinct if codes is None else [distinct[code] for code in codes.to_pylist()]

    def _take(self, key: str, distinct: pa.Array) -> pa.Array:
        codes = self._codes[key]
        return distinct if codes is None else distinct.take(codes)

    def _convert(self, column: Column, source: Source) -> pa.Array:
        if column.verb in ("year", "month", "day"):
            return self._part(column.verb, source)
        values = source.get(self._values[source.key])
        if source.is_reference:
            wanted = "Patient" if column.verb == "person" else column.scope
            values = [v and local_id(v, wanted if wanted in R4_TYPES else None, self._full_urls) for v in values]
        kind = spool_type(column.verb, column.type)
        if kind == pa.string():
            return pa.array([v or None for v in values], kind)
        if column.type in ("timestamp", "date") and column.verb == "keep":
            return self._dates(column, source, pa.array(values, pa.string()))
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, OverflowError):
            return self._numbers_in_range(source, values, kind)

    def _dates(self, column: Column, source: Source, texts: pa.Array) -> pa.Array:
        if column.type == "date":
            parsed = dates.parse_dates(texts, partial=True)
        else:
            parsed = dates.parse_timestamps(texts, zone=self._zone, partial=True)
        self._bad_dates(source, parsed.bad)
        return parsed.values

    def _part(self, name: str, source: Source) -> pa.Array:
        if source.path not in self._parts:
            texts = pa.array(source.get(self._values[source.key]), pa.string())
            self._parts[source.path], bad = dates.parse_parts(texts)
            self._bad_dates(source, bad)
        return self._parts[source.path][name]

    def _bad_dates(self, source: Source, bad: Sequence[int]) -> None:
        if bad:
            self._fault(source.key, bad, Fault(Reason.INVALID_DATE, f"$.{source.path}"))

    def _numbers_in_range(self, source: Source, values: list[Any], kind: pa.DataType) -> pa.Array:
        """Integers that do not fit their column are the fault of their rows, not of the file."""
        most = 2 ** (kind.bit_width - 1)
        bad = [i for i, v in enumerate(values) if v is not None and not -most <= v < most]
        self._fault(source.key, bad, Fault(Reason.INVALID_TYPE, f"$.{source.path}", f"does not fit {kind}"))
        return pa.array([None if i in set(bad) else v for i, v in enumerate(values)], kind)

    def _fault(self, key: str, bad: Sequence[int], fault: Fault) -> None:
        """Blame every row that holds one of the distinct values; the first fault of a row stays."""
        codes = self._codes[key]
        rows = bad if codes is None else pc.indices_nonzero(pc.is_in(codes, value_set=pa.array(bad, codes.type))).to_pylist()
        for row in rows:
            self.faults.setdefault(row, fault)

    def miss(self, column: Column, sources: Sequence[Source], array: pa.Array) -> None:
        """Blame rows without a required value."""
        if column.verb == "person":
            reason = Reason.MISSING_PERSON
        else:
            reason = Reason.MISSING_KEY if column.name == "record_id" else Reason.MISSING_VALUE
        fault = Fault(reason, f"$.{sources[0].path}")
        for row in pc.indices_nonzero(array.is_null()).to_pylist():
            self.faults.setdefault(row, fault)


_FEW = 256
"""Below so many rows a call into Arrow costs more than it saves."""


def _distinct(joined: bytes, count: int) -> tuple[bytes, pa.Array | None]:
    """Distinct texts of a column and which of them each row has (None: each its own); texts are joined by line feeds.

    For many rows Arrow cuts and hashes, in a third of the time of a Python dictionary.
    """
    if count < _FEW:
        texts = joined.split(b"\n")
        index = dict.fromkeys(texts, 0)
        if len(index) == len(texts):
            return joined, None
        for code, text in enumerate(index):
            index[text] = code
        return b"\n".join(index), pa.array([index[text] for text in texts], pa.int32())
    offsets = pa.array([0, len(joined)], pa.int32()).buffers()[1]
    encoded = pc.split_pattern(pa.StringArray.from_buffers(1, offsets, pa.py_buffer(joined)), "\n").values.dictionary_encode()
    distinct = encoded.dictionary
    if len(distinct) == count:
        return joined, None
    return pc.binary_join(pa.ListArray.from_arrays([0, len(distinct)], distinct), "\n")[0].as_buffer().to_pybytes(), encoded.indices


def local_id(reference: str, wanted: str | None, full_urls: Mapping[str, str]) -> str | None:
    """The bare local identifier a FHIR reference names (R4 2.3.0, References).

    Relative (`Patient/1`), absolute and versioned references give the id, `urn:uuid:` and `urn:oid:` the id of the bundle entry with
    that `fullUrl` or, outside a bundle, the bare number; conditional ones (`Practitioner?identifier=s|v`) give `s|v`.

    Args:
        reference: As written.
        wanted: Resource type that the column is about; a reference to another type names nobody here.
        full_urls: `fullUrl` -> `Type/id` of the bundle.

    Returns:
        The identifier, or None for a contained resource, another type, or nothing.
    """
    reference = full_urls.get(reference, reference)
    if reference.startswith("#"):
        return None
    if reference.startswith(("urn:uuid:", "urn:oid:")):
        return reference.split(":", 2)[2] or None
    kind, question, query = reference.partition("?")
    if question:
        found = next((q[len("identifier=") :] for q in query.split("&") if q.startswith("identifier=")), "")
        fits = wanted is None or kind.rsplit("/", 1)[-1] == wanted
        return (_unquote(found) or None) if fits else None
    parts = reference.partition("/_history/")[0].rstrip("/").rsplit("/", 2)
    if len(parts) > 1 and wanted is not None and parts[-2] != wanted:
        return None
    return parts[-1] or None


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote  # 10 ms to import, and servers rarely escape

    return unquote(text)


def _decoders_of(kind: Any) -> tuple[Any, Any]:
    """A decoder of many values at once, and one of a single value."""
    return msgspec.json.Decoder(list[kind]), msgspec.json.Decoder(kind)
