"""Delimited text (CSV and its kin) -> Arrow.

Belongs here: encoding, the header, the fast and the exact way. Does not belong here: records (`records`), columns (`tabular`), types (`values`).

The text goes to Arrow's reader a block of whole records at a time, and the rows it finds are compared with the records of the block. Ragged
rows, NULs and bytes that do not decode send a block the exact way, which takes the bad records out, each with its reason.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pv

from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.records import BadRecord, Grammar, Records, read_records
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import BOM, Read, open_source
from assets.formats.tabular import TableReader, Texts
from assets.formats.text import is_utf8, null_texts, said

_WIDE = re.compile(r"utf[-_]?(16|32)", re.I)
_REPLACED = "\ufffd".encode()


@dataclass(frozen=True)
class _Table:
    """A file whose header is read."""

    file: SourceFile
    headers: tuple[str, ...]
    reader: TableReader


class DelimitedReader:
    """Reads delimited files into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Read the options of the feed."""
        self._job, self._spool, self._progress = job, spool, progress
        self._faults = Faults(job)
        options = job.options
        self._encoding = codecs.lookup(str(options.get("encoding") or "utf-8")).name
        self._is_wide = bool(_WIDE.match(self._encoding))
        self._text_encoding = "utf-8" if self._is_wide or self._encoding in ("ascii", "utf-8-sig") else self._encoding
        self._delimiter = str(options.get("delimiter") or ",")
        self._quote = str(options.get("quote", '"') or "")
        self._nulls = null_texts(options.get("null_values"))
        self._grammar = Grammar(self._delimiter.encode(), self._quote.encode(), job.limits.record_bytes)

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        if file.entity is None:
            raise FileRefused(Reason.UNKNOWN_FILE, "no table has this name")
        with open_source(file, self._job.limits) as read:
            table: _Table | None = None
            number = 1
            for block in read_records(self._transcoded(read) if self._is_wide else read, self._grammar):
                if isinstance(block, BadRecord):
                    if table is None:
                        raise FileRefused(Reason.HEADER_MISMATCH, "the first row cannot be read")
                    self._spool.reject(file.index, [Rejection(number, block.reason, None, None, self._place(block.offset))])
                    number += 1
                    continue
                if table is None:
                    table, block = self._header(file, block)
                    if table is None or not block.data:
                        continue
                number += self._guard(table, block, number)
            if table is None:
                raise FileRefused(Reason.EMPTY_FILE, "no row, not even a header")

    def _transcoded(self, read: Read) -> Read:
        """UTF-16 and UTF-32 as UTF-8; what does not decode becomes U+FFFD and is found again there."""
        decoder = codecs.getincrementaldecoder(self._encoding)(errors="replace")
        ended = False

        def transcode(size: int) -> bytes:
            nonlocal ended
            text = ""
            while not text and not ended:
                raw = read(size)
                ended = not raw
                text = decoder.decode(raw, ended)
            return text.encode()

        return transcode

    def _place(self, offset: int) -> int | None:
        return None if self._is_wide else offset

    def _header(self, file: SourceFile, block: Records) -> tuple[_Table | None, Records]:
        """Read the first record that is not blank; the rest of the block follows it."""
        for at, record in self._grammar.split(block.data):
            try:
                names = [name.decode(self._text_encoding).strip() for name in self._grammar.fields(record.removeprefix(BOM))]
            except UnicodeDecodeError:
                raise FileRefused(Reason.HEADER_MISMATCH, f"the header is not {self._encoding}") from None
            end = at + len(record)
            rest = Records(block.data[end:], block.offset + end, None if block.count is None else block.count - 1)
            return _Table(file, tuple(names), TableReader(self._job, file, names)), rest
        return None, block

    # --- blocks

    def _guard(self, table: _Table, block: Records, first: int) -> int:
        """Read a block, record by record where an earlier run died. Returns how many records it held."""
        file = table.file.index
        self._progress.block(file, first)
        if not self._faults.careful(file, first):
            self._faults.trip(block.data)
            return self._block(table, block, first)
        number = first
        for at, record in self._grammar.split(block.data):
            place = self._place(block.offset + at)
            if reason := self._faults.skipped(file, number):
                self._spool.reject(file, [Rejection(number, reason, None, None, place)])
            else:
                self._progress.record(file, number)
                self._faults.trip(record)
                self._block(table, Records(record, block.offset + at, 1), number)
            number += 1
        return number - first

    def _block(self, table: _Table, block: Records, first: int) -> int:
        texts = None if self._faults.exact(table.file.index) else self._fast(table, block)
        if texts is not None:
            self._write(table, texts, range(first, first + texts.rows))
            return texts.rows
        good, numbers, rejections, count = self._exact(table, block, first)
        self._spool.reject(table.file.index, rejections)
        if good:
            data = b"".join(good)
            texts = self._fast(table, Records(data, 0, len(good)))
            self._write(table, texts or self._slow(table, good), numbers)
        return count

    def _write(self, table: _Table, texts: Texts, numbers: Sequence[int]) -> None:
        file = table.file
        arrays, faults = table.reader.read(texts)
        self._spool.reject(file.index, self._spool.write_rows(str(file.entity), file.index, arrays, numbers, faults))

    # --- the fast way

    def _fast(self, table: _Table, block: Records) -> Texts | None:
        """The needed columns, if the block is beyond doubt."""
        data = self._as_utf8(block.data)
        if data is None or b"\0" in data:
            return None
        names = [str(i) for i in range(len(table.headers))]
        needed = {header: names[table.headers.index(header)] for header in table.reader.needed}
        try:
            found = pv.read_csv(
                pa.BufferReader(data),
                read_options=pv.ReadOptions(use_threads=False, block_size=max(len(data) + 1, 65_536), column_names=names),
                parse_options=pv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char=self._quote or False,
                    escape_char=False,
                    newlines_in_values=block.count is not None,
                ),
                convert_options=pv.ConvertOptions(
                    check_utf8=False,
                    column_types={name: pa.string() for name in needed.values()},
                    include_columns=list(needed.values()) or names[:1],
                ),
            )
        except pa.ArrowInvalid:
            return None
        if found.num_rows != (_lines(data, found.num_rows) if block.count is None else block.count):
            return None
        return Texts({header: said(found[name].combine_chunks(), self._nulls) for header, name in needed.items()}, found.num_rows)

    def _as_utf8(self, data: bytes) -> bytes | None:
        if self._text_encoding == "utf-8":
            return data if is_utf8(data) and not (self._is_wide and _REPLACED in data) else None
        try:
            return data.decode(self._text_encoding).encode()
        except UnicodeDecodeError:
            return None

    # --- the exact way

    def _exact(self, table: _Table, block: Records, first: int) -> tuple[list[bytes], list[int], list[Rejection], int]:
        """(good records, their numbers, the others, how many records there are)."""
        good: list[bytes] = []
        numbers: list[int] = []
        rejections: list[Rejection] = []
        number = first
        for at, record in self._grammar.split(block.data):
            fault = self._wrong(record, len(table.headers))
            if fault is None:
                good.append(record)
                numbers.append(number)
            else:
                rejections.append(Rejection(number, fault[0], None, fault[1], self._place(block.offset + at)))
            number += 1
        return good, numbers, rejections, number - first

    def _wrong(self, record: bytes, width: int) -> tuple[Reason, str | None] | None:
        if b"\0" in record:
            return Reason.NUL_BYTE, None
        if self._as_utf8(record) is None:
            return Reason.ENCODING, f"not {self._encoding}"
        fields = len(self._grammar.fields(record))
        return None if fields == width else (Reason.RAGGED_ROW, f"{fields} fields, the header has {width}")

    def _slow(self, table: _Table, records: Sequence[bytes]) -> Texts:
        """The needed columns, field by field: for text that Arrow's reader takes apart differently (a lone carriage return)."""
        rows = [self._grammar.fields(record) for record in records]
        columns = {}
        for header in table.reader.needed:
            place = table.headers.index(header)
            texts = [row[place].decode(self._text_encoding) for row in rows]
            columns[header] = said(pa.array(texts, pa.string()), self._nulls)
        return Texts(columns, len(rows))


def _lines(data: bytes, rows: int) -> int:
    """Records of text without quotes. Blank lines are looked for only where the line feeds alone do not make up `rows`."""
    feeds = data.count(b"\n")
    if feeds == rows:
        return feeds
    return sum(line not in (b"", b"\r") for line in data[:-1].split(b"\n"))
