"""Rows of a table with named columns -> spool columns: what delimited text and Parquet have in common.

Belongs here: headers, verbs of the allow-list over columns, what a row lacks. Does not belong here: bytes (`delimited`, `parquet`), types
(`values`, `dates`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from assets.formats import answers, dates, values
from assets.formats.headers import note_header, tellable
from assets.formats.job import Column, EntityPlan, Job, SourceFile
from assets.formats.reasons import Fault, FileRefused, Reason
from assets.formats.spool import spool_type

JOIN = "\x1f"
"""Between the parts of a key; no text contains it."""

_MOST_NAMES = 60


@dataclass(frozen=True)
class Texts:
    """Columns of a block, by header name, and their number of rows. Parquet gives its own types, text gives strings."""

    columns: Mapping[str, pa.Array]
    rows: int


class TableReader:
    """Reads blocks of one file into spool columns."""

    def __init__(self, job: Job, file: SourceFile, headers: Sequence[str]) -> None:
        """Match the allow-list with the headers of a file.

        Raises:
            FileRefused: A required column is not there or stands there twice.
        """
        plan = job.plan_of(file)
        self._plan, self._zone, self._table = plan, job.time_zone, file.table or plan.name
        self._headers = _Headers(headers, job.options.get("columns", {}).get(plan.name, {}))
        self._headers.check(plan)
        note_header(job.spool, file.index, self._table, headers, self._headers.known(plan))
        found = {name for path in _paths(plan) if (name := self._headers.find(path)) is not None}
        self.needed = [name for name in headers if name in found]
        """Headers that have to be read, in file order."""

    def read(self, texts: Texts) -> tuple[list[pa.Array], dict[int, Fault]]:
        """Read a block.

        Returns:
            Columns in the order of the spool's schema, without file and row number; and what is wrong with which row. A faulty row has
            nulls where it is wrong; the caller drops it.
        """
        block = _Block(texts, self._headers, self._zone, self._table)
        arrays = [block.column(column) for column in self._plan.columns]
        for column, array in zip(self._plan.columns, arrays, strict=True):
            if column.required and array.null_count:
                block.miss(column, array)
        arrays += [block.identity(path) for path in self._plan.identity.values()]
        return arrays, block.faults


class _Headers:
    """Names in the first row, and what a site calls our fields."""

    def __init__(self, names: Sequence[str], site: Mapping[str, str]) -> None:
        self._names, self._site = names, site
        self._exact = {name: names.count(name) for name in names}
        self._folded: dict[str, list[str]] = {}
        for name in names:
            self._folded.setdefault(name.casefold(), []).append(name)

    def find(self, path: str) -> str | None:
        """Header of one field: the site's name for it, else its own, in any case of letters."""
        for name in (self._site.get(path), path):
            if name is None:
                continue
            if self._exact.get(name) == 1:
                return name
            same = self._folded.get(name.casefold(), [])
            if len(same) == 1:
                return same[0]
        return None

    def first(self, alternatives: str) -> list[str]:
        """Headers of `A|B`, in order, as far as they are there."""
        return [name for path in alternatives.split("|") if (name := self.find(path)) is not None]

    def _is_twice(self, path: str) -> bool:
        """Not to be found, because two headers have the name."""
        names = [name for name in (self._site.get(path), path) if name is not None]
        return self.find(path) is None and any(len(self._folded.get(name.casefold(), [])) > 1 for name in names)

    def check(self, plan: EntityPlan) -> None:
        """Every required column needs its headers, and no column that is read may stand there twice: which one holds is anyone's guess.

        Raises:
            FileRefused: Names what is missing and, unless the first row may be data, what is there.
        """
        if twice := [self.called(path) for path in _paths(plan) if self._is_twice(path)]:
            raise FileRefused(Reason.HEADER_MISMATCH, f"named twice: {', '.join(dict.fromkeys(twice))}", rule="header")
        missing = []
        for column in plan.columns:
            if column.required and column.verb != "table":
                groups = column.path.split("+") if column.verb == "key" else [column.path]
                absent = [group for group in groups if not self.first(group)]
                # a part of a key may be absent (older exports); columns of their own say which parts may not
                missing += [self.called(group) for group in absent if column.verb != "key" or len(absent) == len(groups)]
        if not missing:
            return
        lacking = ", ".join(dict.fromkeys(missing))
        known = self.known(plan)
        if not known & set(self._folded):  # then the first row may be a patient, and is not repeated here
            raise FileRefused(
                Reason.HEADER_MISMATCH, f"missing: {lacking}. None of the {len(self._names)} fields of the first row is a known column"
            )
        there = ", ".join(tellable(self._names[:_MOST_NAMES], known))
        raise FileRefused(Reason.HEADER_MISMATCH, f"missing: {lacking}. There are: {there}")

    def known(self, plan: EntityPlan) -> set[str]:
        """Names of columns that contract or site file know, in lower case."""
        return {name.casefold() for path in _paths(plan) for name in (path, self._site.get(path, path))}

    def called(self, group: str) -> str:
        """What the site calls a field: for people who have to find it in the file."""
        return " or ".join(self._site.get(path, path) for path in group.split("|"))


def _paths(plan: EntityPlan) -> list[str]:
    """Every field an entity reads."""
    found = []
    for column in plan.columns:
        if column.verb == "table":
            continue
        found += [path for group in column.path.split("+") for path in group.split("|")]
        if column.verb == "keep_if" and column.scope:
            found.append(column.scope.partition("=")[0])
    for path in plan.identity.values():
        found += [p for part in path.split(",") for p in part.split("|")]
    return found


class _Block:
    """The work of one `read`."""

    def __init__(self, texts: Texts, headers: _Headers, zone: str, table: str) -> None:
        self._texts, self._headers, self._zone, self._table = texts, headers, zone, table
        self._parts: dict[str, dict[str, pa.Array]] = {}
        self._results: dict[str, tuple[pa.Array, pa.Array]] = {}
        self.faults: dict[int, Fault] = {}

    def column(self, column: Column) -> pa.Array:
        """One spool column."""
        verb, path = column.verb, column.path
        if verb == "table":
            return pa.repeat(pa.scalar(self._table), self._texts.rows)
        if verb == "key":
            return self._joined(path.split("+"))
        if verb in ("person", "record"):
            return self._text(path)
        if verb in ("year", "month", "day"):
            return self._part(path)[verb]
        if verb in ("number", "comparator"):
            return self._result(path)[verb == "comparator"]
        if verb in ("keep", "keep_if", "answer"):
            return self._kept(column)
        if verb == "missing":
            fields = {path: self._text(path) for path in path.split("|")}
            return answers.why_missing(fields, self._texts.rows).cast(spool_type(verb, column.type))
        raise ValueError(f"the verb {verb!r} of column {column.name!r} has no meaning for a table")

    def identity(self, path: str) -> pa.Array:
        """An identifier for the vault. `a,b` is two fields joined, null unless both are there."""
        parts = [self._text(part) for part in path.split(",")]
        return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, JOIN, null_handling="emit_null")

    def _kept(self, column: Column) -> pa.Array:
        array = self._value(column.path)
        if array is None:
            return pa.nulls(self._texts.rows, spool_type(column.verb, column.type))
        if column.verb == "answer":
            array = answers.answered(self._as_text(array, column.path))
        if column.verb == "keep_if":
            field, _, wanted = str(column.scope).partition("=")
            array = pc.if_else(pc.equal(self._text(field), wanted), array, pa.scalar(None, array.type))
        if pa.types.is_string(array.type):
            return values.convert(array, column.type, zone=self._zone, rule=self._headers.called(column.path), blame=self.blame)
        from assets.formats import native  # Parquet only

        return native.convert(array, column.type, zone=self._zone, rule=self._headers.called(column.path), blame=self.blame)

    def _value(self, alternatives: str) -> pa.Array | None:
        """First value of several fields, in the type it came in."""
        arrays = [self._texts.columns[name] for name in self._headers.first(alternatives)]
        if len(arrays) < 2:
            return arrays[0] if arrays else None
        if any(a.type != arrays[0].type for a in arrays):
            arrays = [self._as_text(a, alternatives) for a in arrays]
        return pc.coalesce(*arrays)

    def _text(self, alternatives: str) -> pa.Array:
        array = self._value(alternatives)
        return pa.nulls(self._texts.rows, pa.string()) if array is None else self._as_text(array, alternatives)

    def _as_text(self, array: pa.Array, rule: str) -> pa.Array:
        if pa.types.is_string(array.type):
            return array
        from assets.formats import native  # Parquet only

        return native.to_text(array, rule=self._headers.called(rule), blame=self.blame)

    def _joined(self, groups: Sequence[str]) -> pa.Array:
        parts = [self._text(group) for group in groups]
        joined = pc.binary_join_element_wise(*parts, JOIN, null_handling="replace", null_replacement="")
        empty = pc.equal(joined, JOIN * (len(parts) - 1))
        return pc.if_else(empty, pa.scalar(None, pa.string()), joined)

    def _part(self, path: str) -> dict[str, pa.Array]:
        if path not in self._parts:
            self._parts[path], bad = dates.parse_parts(self._text(path))
            if bad:
                self.blame(bad, Fault(Reason.INVALID_DATE, self._headers.called(path)))
        return self._parts[path]

    def _result(self, path: str) -> tuple[pa.Array, pa.Array]:
        if path not in self._results:
            self._results[path] = values.split_results(self._text(path))
        return self._results[path]

    def blame(self, rows: Sequence[int], fault: Fault) -> None:
        """The first fault of a row stays."""
        for row in rows:
            self.faults.setdefault(row, fault)

    def miss(self, column: Column, array: pa.Array) -> None:
        """Blame rows without a required value."""
        if column.verb == "person":
            reason = Reason.MISSING_PERSON
        else:
            reason = Reason.MISSING_KEY if column.name == "record_id" else Reason.MISSING_VALUE
        self.blame(pc.indices_nonzero(array.is_null()).to_pylist(), Fault(reason, self._headers.called(column.path)))
