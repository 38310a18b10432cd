"""Text whose columns stand at fixed positions -> Arrow.

Belongs here: lines, positions in bytes or characters, encodings. Does not belong here: columns (`tabular`), types (`values`).

Korean agencies count positions in bytes of CP949, where a Korean letter takes two: a line is cut while it is bytes, and a cut that falls inside of
a letter shows that the positions are not those of the file.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import Fault, FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import Lines, LongLine, as_utf8, is_wide, open_source, read_lines
from assets.formats.tabular import TableReader, Texts
from assets.formats.text import null_texts, said

_BLOCK_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Table:
    """How one file is cut. Positions are (first, last), from 1."""

    file: SourceFile
    reader: TableReader
    positions: Mapping[str, tuple[int, int]]
    in_bytes: bool
    reach: int
    length: int | None
    may_be_short: bool


class FixedWidthReader:
    """Reads files of fixed positions into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Read the options of the feed."""
        self._job, self._spool, self._progress = job, spool, progress
        self._faults = Faults(job)
        self._encoding = codecs.lookup(str(job.options.get("encoding") or "utf-8")).name
        self._is_wide = is_wide(self._encoding)
        self._text_encoding = "utf-8" if self._is_wide else self._encoding
        self._nulls = null_texts(job.options.get("null_values"))

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        table = self._table(file)
        number, empty = 1, True
        with open_source(file, self._job.limits) as read:
            source = as_utf8(read, self._encoding) if self._is_wide else read
            for block in read_lines(source, record_bytes=self._job.limits.record_bytes, block_bytes=_BLOCK_BYTES):
                empty = False
                if isinstance(block, LongLine):
                    self._spool.reject(file.index, [Rejection(number, Reason.RECORD_TOO_LARGE, None, None, self._place(block.offset))])
                    number += 1
                else:
                    number += self._guard(table, block, number)
        if empty:
            raise FileRefused(Reason.EMPTY_FILE, "no line")

    def _table(self, file: SourceFile) -> Table:
        layout = self._job.options.get("layouts", {}).get(self._job.plan_of(file).name, {})
        positions = {name: (int(first), int(last)) for name, (first, last) in (layout.get("positions") or {}).items()}
        if not positions:
            raise FileRefused(Reason.NO_LAYOUT, f"the site file has no [tables.{file.entity}.positions]")
        reach = max(last for _, last in positions.values())
        return Table(
            file, TableReader(self._job, file, list(positions)), positions, layout.get("position_unit", "bytes") == "bytes", reach,
            layout.get("line_length") or None, layout.get("short_lines") == "blank",
        )  # fmt: skip

    def _place(self, offset: int) -> int | None:
        return None if self._is_wide else offset

    def _guard(self, table: Table, block: Lines, first: int) -> int:
        """Read a block, line by line where an earlier run died. Returns how many records it held."""
        file = table.file.index
        self._progress.block(file, first)
        places, lines = self._lines_of(block)
        if not self._faults.careful(file, first):
            self._faults.trip(block.data)
            self._write(table, lines, places, first)
            return len(lines)
        for number, (place, line) in enumerate(zip(places, lines, strict=True), first):
            if reason := self._faults.skipped(file, number):
                self._spool.reject(file, [Rejection(number, reason, None, None, self._place(place))])
            else:
                self._progress.record(file, number)
                self._faults.trip(line)
                self._write(table, [line], [place], number)
        return len(lines)

    def _write(self, table: Table, lines: Sequence[bytes], places: Sequence[int], first: int) -> None:
        if not lines:
            return
        own = self._bad_lines(table, lines)
        texts = self._columns(table, lines, own)
        arrays, faults = table.reader.read(Texts(texts, len(lines)))
        faults = {**faults, **own}
        numbers = range(first, first + len(lines))
        for one in self._spool.write_rows(str(table.file.entity), table.file.index, arrays, numbers, faults):
            place = self._place(places[one.row_number - first])
            self._spool.reject(table.file.index, [Rejection(one.row_number, one.reason, one.rule, one.detail, place)])

    def _bad_lines(self, table: Table, lines: Sequence[bytes]) -> dict[int, Fault]:
        """Lines that are no record of this layout."""
        faults = {}
        unit = "bytes" if table.in_bytes else "characters"
        for number, line in enumerate(lines):
            if b"\0" in line:
                faults[number] = Fault(Reason.NUL_BYTE)
                continue
            try:
                text = line.decode(self._text_encoding)
            except UnicodeDecodeError:
                faults[number] = Fault(Reason.ENCODING, None, f"not {self._encoding}")
                continue
            length = len(line) if table.in_bytes else len(text)
            if table.length is not None and length != table.length:
                faults[number] = Fault(Reason.RAGGED_ROW, "line_length", f"{length} {unit}, the site file says {table.length}")
            elif length < table.reach and not table.may_be_short:
                faults[number] = Fault(Reason.RAGGED_ROW, "positions", f"{length} {unit}, the positions reach to {table.reach}")
        return faults

    def _columns(self, table: Table, lines: Sequence[bytes], faults: dict[int, Fault]) -> dict[str, pa.Array]:
        """The needed columns; of faulty lines nothing. Adds lines that are cut inside of a letter."""
        sound = [b"" if number in faults else line for number, line in enumerate(lines)]
        whole = (
            pa.array(sound, pa.binary()) if table.in_bytes else pa.array([line.decode(self._text_encoding) for line in sound], pa.string())
        )
        columns = {}
        for name in table.reader.needed:
            first, last = table.positions[name]
            if table.in_bytes:
                text = self._decoded(pc.binary_slice(whole, first - 1, last), name, faults)
            else:
                text = pc.utf8_slice_codeunits(whole, first - 1, last)
            columns[name] = said(text, self._nulls)
        return columns

    def _decoded(self, column: pa.Array, name: str, faults: dict[int, Fault]) -> pa.Array:
        encoded = column.dictionary_encode()
        texts = [self._text(value) for value in encoded.dictionary.to_pylist()]
        bad = [number for number, text in enumerate(texts) if text is None]
        if bad:
            fault = Fault(Reason.RAGGED_ROW, name, "a position falls inside of a letter")
            for row in pc.indices_nonzero(pc.is_in(encoded.indices, value_set=pa.array(bad, pa.int32()))).to_pylist():
                faults.setdefault(row, fault)
        return pa.array(texts, pa.string()).take(encoded.indices)

    def _text(self, value: bytes) -> str | None:
        try:
            return value.decode(self._text_encoding)
        except UnicodeDecodeError:
            return None

    def _lines_of(self, block: Lines) -> tuple[list[int], list[bytes]]:
        """(places in the text, lines) of all lines that are a record: not empty."""
        places, lines, at = [], [], block.offset
        for line in block.data[:-1].split(b"\n"):
            text = line.removesuffix(b"\r")
            if text:
                places.append(at)
                lines.append(text)
            at += len(line) + 1
        return places, lines
