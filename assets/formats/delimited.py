"""Delimited text (CSV and its kin) -> Arrow.

Belongs here: encoding, the header, the fast and the exact way. Does not belong here: records (`records`), columns (`tabular`), types (`values`).

The text goes to Arrow's reader a block of whole records at a time, and the rows it finds are compared with the records of the block. Ragged
rows, NULs and bytes that do not decode send a block the exact way, which takes the bad records out, each with its reason.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.records import BadRecord, Grammar, Records, read_records
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import BOM, Read, open_source
from assets.formats.tabular import TableReader, Texts
from assets.formats.text import is_utf8, may_be_trimmed, null_texts, said

_WIDE = re.compile(r"utf[-_]?(16|32)", re.I)
_REPLACED = "\ufffd".encode()
_ASCII_STAYS_ASCII = re.compile(r"cp949|euc[-_]?kr|iso8859[-_]\d+|cp125\d|latin[-_]?1", re.I)
"""Encodings in which bytes below 128 are ASCII and nothing else, whatever stands before them."""
PIECE_BYTES = 256 * 2**10
"""Text with quotes that is not beyond doubt is looked at again in pieces of this size. Larger: one bad line makes more good ones slow."""


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
        self._keeps_ascii = bool(_ASCII_STAYS_ASCII.fullmatch(self._text_encoding))
        self._delimiter = str(options.get("delimiter") or ",")
        self._quote = str(options.get("quote", '"') or "")
        self._nulls = null_texts(options.get("null_values"))
        self._read_as_null = [text for text in self._nulls.to_pylist() if text == text.strip()]
        self._grammar = Grammar(self._delimiter.encode(), self._quote.encode(), job.limits.record_bytes)

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        self._job.plan_of(file)
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
        if block.count is not None and len(block.data) > 2 * PIECE_BYTES:
            number = first
            for piece in self._grammar.pieces(block, PIECE_BYTES):
                number += self._block(table, piece, number)
            return number - first
        good, numbers, rejections, count = self._exact(table, block, first)
        self._spool.reject(table.file.index, rejections)
        if good:
            data = b"".join(good)
            texts = self._fast(table, Records(data, 0, len(numbers)))
            self._write(table, texts or self._slow(table, [record for part in good for _, record in self._grammar.split(part)]), numbers)
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
                    null_values=self._read_as_null,
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid:
            return None
        if found.num_rows != (_lines(data, found.num_rows) if block.count is None else block.count):
            return None
        return Texts({header: self._said(found[name].combine_chunks()) for header, name in needed.items()}, found.num_rows)

    def _said(self, texts: pa.Array) -> pa.Array:
        """As `said`: the reader has made null what says nothing as it stands."""
        return said(texts, self._nulls) if may_be_trimmed(texts) else texts

    def _as_utf8(self, data: bytes) -> bytes | None:
        if data.isascii() and self._keeps_ascii:
            return data
        if self._text_encoding == "utf-8":
            return data if is_utf8(data) and not (self._is_wide and _REPLACED in data) else None
        try:
            return data.decode(self._text_encoding).encode()
        except UnicodeDecodeError:
            return None

    # --- the exact way

    def _exact(self, table: _Table, block: Records, first: int) -> tuple[list[bytes], list[int], list[Rejection], int]:
        """(texts of good records, the numbers of these, the others, how many records there are)."""
        good: list[bytes] = []
        numbers: list[int] = []
        rejections: list[Rejection] = []
        number = first
        for at, text, count in self._runs(block, len(table.headers)):
            fault = self._wrong(text, len(table.headers)) if count == 1 else None
            if fault is None:
                good.append(text)
                numbers.extend(range(number, number + count))
            else:
                rejections.append(Rejection(number, fault[0], None, fault[1], self._place(block.offset + at)))
            number += count
        return good, numbers, rejections, number - first

    def _runs(self, block: Records, width: int) -> Iterator[tuple[int, bytes, int]]:
        """(place, text, number of records): single records, and runs of several that are good without a closer look."""
        if block.count is not None:
            return ((at, record, 1) for at, record in self._grammar.split(block.data))
        lines = pc.split_pattern(pa.array([block.data[:-1]], pa.large_binary()), b"\n").flatten()
        doubtful = pc.not_equal(pc.count_substring(lines, self._delimiter.encode()), width - 1)
        if width == 1:  # then a blank line has as many delimiters as a good one
            doubtful = pc.or_(doubtful, pc.less_equal(pc.binary_length(lines), 1))
        if b"\0" in block.data:
            doubtful = pc.or_(doubtful, pc.match_substring(lines, b"\0"))
        if self._as_utf8(block.data) is None:
            texts = pa.Array.from_buffers(pa.large_string(), len(lines), lines.buffers(), offset=lines.offset)
            doubtful = pc.or_(doubtful, pc.invert(pc.string_is_ascii(texts)))
        return _cut(block.data, pc.binary_length(lines), doubtful)

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


def _cut(data: bytes, lengths: pa.Array, doubtful: pa.Array) -> Iterator[tuple[int, bytes, int]]:
    """(place, text, number of lines) of each doubtful line and of the runs between them; blank lines are left out.

    Args:
        data: Lines, each ending with a line feed.
        lengths: Bytes of each without it.
        doubtful: Which stand alone; every blank one is among them.
    """
    marked = pc.indices_nonzero(doubtful)
    ends = pc.cumulative_sum(pc.add(lengths, 1)).take(marked).to_pylist()
    at = line = 0
    for mark, length, end in zip(marked.to_pylist(), lengths.take(marked).to_pylist(), ends, strict=True):
        start = end - length - 1
        if mark > line:
            yield at, data[at:start], mark - line
        if data[start:end] not in (b"\n", b"\r\n"):
            yield start, data[start:end], 1
        at, line = end, mark + 1
    if line < len(lengths):
        yield at, data[at:], len(lengths) - line


def _lines(data: bytes, rows: int) -> int:
    """Records of text without quotes. Blank lines are looked for only where the line feeds alone do not make up `rows`."""
    feeds = data.count(b"\n")
    if feeds == rows:
        return feeds
    return sum(line not in (b"", b"\r") for line in data[:-1].split(b"\n"))
