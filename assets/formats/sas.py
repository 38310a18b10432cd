"""SAS7BDAT data sets and transport files (XPT, versions 5 to 8) -> Arrow.

Belongs here: blocks of rows, texts in the declared encoding, SAS dates, what a file may not be. Does not belong here: columns (`tabular`), types
(`native`), the formats themselves (ReadStat, by pyreadstat).

Texts are taken as bytes and decoded here, so that one bad text costs its row and not the file. Missing values, also the special ones (.A to .Z, ._),
are nulls. Source: SAS 9.4 Formats and Informats (dates count days, times of day seconds, since 1960-01-01); SAS Technical Paper, "Record Layout of
a SAS Version 5 or 6 Data Set in SAS Transport Format", and its extension of 8.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyreadstat

from assets.formats import native
from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import Fault, FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.tabular import TableReader, Texts
from assets.formats.text import null_texts
from assets.formats.xpt_guard import contradiction

_BYTES = "ISO-8859-1"
"""Each byte a letter: texts come through as they are."""
_READ: Mapping[str, Callable[..., Any]] = {"sas7bdat": pyreadstat.read_sas7bdat, "xpt": pyreadstat.read_xport}
_MAGIC = {"sas7bdat": bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011"), "xpt": b"HEADER RECORD*******LIB"}
_BROKEN = (
    pyreadstat.ReadstatError,
    pyreadstat.PyreadstatError,
    OSError,
    ValueError,
    UnicodeError,
    OverflowError,
    TypeError,
    AttributeError,
)
_BLOCK_CELLS = 2_000_000
"""Needed cells of one pass: the library skips to the first row of a pass by reading what lies before."""

_DAY_1960 = -3653
_SECONDS_1960 = -315_619_200
_FARTHEST_DAY, _FARTHEST_SECOND = 4_000_000.0, 300_000_000_000.0
_DATE = re.compile(
    r"(?:E8601DA|B8601DA|IS8601DA|ND8601DA|(?:DD|MM)(?:MM|DD)YY[BCDNPS]?|YYMMDD[BCDNPS]?|DATE|DAY|DOWNAME|JULDAY|JULIAN|MM?YY[CDNPS]?|MMYY[CDNPS]?"
    r"|MONNAME|MONTH|MONYY|MINGUO|NENGO|NLDATE\w*|QTRR?|WEEK(?:DATE|DATX|DAY|U|V|W)|WORDDAT[EX]|YEAR|YYMM[CDNPS]?|YYMON|YYQR?[CDNPS]?)\d*(?:\.\d*)?"
)
_DATETIME = re.compile(
    r"(?:DATETIME|DATEAMPM|DTDATE|DTMONYY|DTWKDATX|DTYEAR|DTYYQC|MDYAMPM|[EB]8601D[TNZX]|IS8601D[TN]|NLDATM\w*|YMDDTTM)\d*(?:\.\d*)?"
)


@dataclass(frozen=True)
class _Set:
    """A data set whose columns are known."""

    file: SourceFile
    reader: TableReader
    in_file: Mapping[str, str]
    formats: Mapping[str, str]
    encoding: str


class SasReader:
    """Reads SAS files into a spool."""

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
        self._progress.block(file.index, 1)
        meta = self._library(file, metadataonly=True)[1]
        encoding = self._encoding(file)
        names = _names(meta.column_names, encoding)
        formats = {name: str(meta.original_variable_types.get(own) or "").upper() for name, own in names.items()}
        data = _Set(file, TableReader(self._job, file, list(names)), names, formats, encoding)
        first = 1
        for columns, rows in self._blocks(data):
            self._guard(data, columns, rows, first)
            first += rows

    def _check(self, file: SourceFile) -> None:
        size = file.path.stat().st_size
        if size == 0:
            raise FileRefused(Reason.EMPTY_FILE, "0 bytes")
        if size > self._job.limits.file_bytes:
            raise FileRefused(Reason.FILE_TOO_LARGE, f"{size} bytes, limit {self._job.limits.file_bytes}")
        if file.compression is not None:
            raise FileRefused(Reason.NOT_SAS, "compressed by gzip: send it as it is, or in a ZIP")
        with file.path.open("rb") as raw:
            head = raw.read(288)
            if not head.startswith(_MAGIC[self._job.format]) or len(head) < 240:
                raise FileRefused(Reason.NOT_SAS, "the first bytes are not those of the format that the ending of its name says")
            if size != _told_size(head, size, self._job.format):
                raise FileRefused(Reason.NOT_SAS, f"{size} bytes are not as many as the format makes: cut off, or altered in transfer")
            raw.seek(0)
            if self._job.format == "xpt" and _has_second_member(raw.read):
                raise FileRefused(Reason.NOT_SAS, "several data sets in one transport file: send one a file")
        if self._job.format == "xpt" and (said := contradiction(file.path)) is not None:
            raise FileRefused(Reason.NOT_SAS, f"{said}: damaged, send it again")

    def _encoding(self, file: SourceFile) -> str:
        """What the site file declares; else what the data set itself says of its texts. A transport file says nothing."""
        declared = str(self._job.options.get("encoding") or "utf-8")
        if self._job.format == "sas7bdat" and not self._job.options.get("encoding_declared"):
            declared = self._told_encoding(file) or declared
        try:
            name = codecs.lookup(declared).name
        except LookupError:
            raise FileRefused(Reason.NOT_SAS, "it says an encoding that is not known: declare `encoding` in the site file") from None
        return "cp949" if name == "euc_kr" else name  # SAS writes its extension under that name

    def _told_encoding(self, file: SourceFile) -> str | None:
        try:
            told: str | None = pyreadstat.read_sas7bdat(file.path, metadataonly=True, output_format="dict")[1].file_encoding
        except _BROKEN:  # a label that is not of the encoding: then the site file has to say which it is
            raise FileRefused(Reason.NOT_SAS, "its names are not of the encoding it says: declare `encoding` in the site file") from None
        return told

    def _library(self, file: SourceFile, **more: Any) -> tuple[Mapping[str, list[Any]], Any]:
        try:
            found: tuple[Mapping[str, list[Any]], Any] = _READ[self._job.format](
                file.path, encoding=_BYTES, disable_datetime_conversion=True, output_format="dict", **more
            )
        except _BROKEN as error:
            raise FileRefused(Reason.NOT_SAS, f"damaged or cut off: {type(error).__name__}") from None
        return found

    def _blocks(self, data: _Set) -> Iterator[tuple[Mapping[str, list[Any]], int]]:
        """Needed columns by their name in the file, a block of rows at a time; a table that needs none still has rows."""
        wanted = [data.in_file[name] for name in data.reader.needed] or list(data.in_file.values())[:1]
        most = max(_BLOCK_CELLS // len(wanted), 1)
        offset = 0
        while True:
            self._progress.block(data.file.index, offset + 1)
            columns, _ = self._library(data.file, usecols=wanted, row_offset=offset, row_limit=most)
            rows = len(next(iter(columns.values()), []))
            if rows:
                yield columns, rows
            if rows < most:
                return
            offset += rows

    def _guard(self, data: _Set, columns: Mapping[str, list[Any]], rows: int, first: int) -> None:
        """Read a block, row by row where an earlier run died."""
        file = data.file.index
        self._progress.block(file, first)
        if not self._faults.careful(file, first):
            self._trip(columns, 0, rows)
            self._write(data, columns, 0, rows, first)
            return
        for at in range(rows):
            if reason := self._faults.skipped(file, first + at):
                self._spool.reject(file, [Rejection(first + at, reason)])
            else:
                self._progress.record(file, first + at)
                self._trip(columns, at, at + 1)
                self._write(data, columns, at, at + 1, first + at)

    def _trip(self, columns: Mapping[str, list[Any]], begin: int, end: int) -> None:
        if self._faults.hooked:
            self._faults.trip(repr([column[begin:end] for column in columns.values()]).encode())

    def _write(self, data: _Set, columns: Mapping[str, list[Any]], begin: int, end: int, first: int) -> None:
        own: dict[int, Fault] = {}
        arrays = {name: self._array(data, name, columns[data.in_file[name]][begin:end], own) for name in data.reader.needed}
        found, faults = data.reader.read(Texts(arrays, end - begin))
        numbers = range(first, first + end - begin)
        index = data.file.index
        self._spool.reject(index, self._spool.write_rows(str(data.file.entity), index, found, numbers, {**faults, **own}))

    def _array(self, data: _Set, name: str, values: Sequence[Any], faults: dict[int, Fault]) -> pa.Array:
        """One column in its own type: text, number, date or time."""
        if all(value is None or isinstance(value, str) for value in values):
            return native.plain(_decoded(pa.array(values, pa.string()), data.encoding, name, faults), self._nulls)
        numbers = pa.array(values, pa.float64())
        if _DATETIME.fullmatch(data.formats[name]):
            return _times(numbers)
        return _dates(numbers) if _DATE.fullmatch(data.formats[name]) else numbers


def _names(in_file: Sequence[str | None], encoding: str) -> dict[str, str]:
    """Names of columns -> the same as the library tells them.

    Raises:
        FileRefused: One has no name, or is no text, or stands there twice.
    """
    try:
        names = {name.encode(_BYTES).decode(encoding).strip(): name for name in in_file if name}
    except UnicodeError:
        raise FileRefused(Reason.HEADER_MISMATCH, f"the names of columns are not {encoding}") from None
    if len(names) < len(in_file):
        raise FileRefused(Reason.HEADER_MISMATCH, "two columns have the same name, or one has none")
    return names


def _told_size(head: bytes, size: int, kind: str) -> int:
    """The size a sound file has: cards of 80 bytes, or the pages its header tells.

    Nothing in these formats is a checksum, and a byte too many would shift all that follows.
    """
    if kind == "xpt":
        return -(-size // 80) * 80
    order = "<" if head[37] == 1 else ">"
    shift = 4 if head[35] == 0x33 else 0
    header, page = struct.unpack_from(f"{order}II", head, 196 + shift)
    (pages,) = struct.unpack_from(f"{order}{'Q' if head[32] == 0x33 else 'I'}", head, 204 + shift)
    return int(header + page * pages)


def _has_second_member(read: Any) -> bool:
    """Does another data set begin in a transport file? Its header stands at a multiple of 80 bytes."""
    found, tail = 0, b""
    while block := read(2**20):
        data = tail + block
        found += data.count(b"HEADER RECORD*******MEMB")
        tail = data[-23:]
    return found > 1


def _decoded(column: pa.Array, encoding: str, name: str, faults: dict[int, Fault]) -> pa.Array:
    """Texts whose letters are bytes -> texts, each distinct one once."""
    encoded = column.dictionary_encode()
    texts: list[str | None] = []
    bad: dict[int, Fault] = {}
    for number, value in enumerate(encoded.dictionary.to_pylist()):
        raw = value.encode(_BYTES).rstrip(b"\0 ")
        try:
            texts.append(raw.decode(encoding))
        except UnicodeDecodeError:
            texts.append(None)
            bad[number] = Fault(Reason.ENCODING, name, f"not {encoding}")
        if b"\0" in raw:
            texts[-1] = None
            bad[number] = Fault(Reason.NUL_BYTE, name)
    for number, fault in bad.items():
        for row in pc.indices_nonzero(pc.equal(encoded.indices, number)).to_pylist():
            faults.setdefault(row, fault)
    return pa.array(texts, pa.string()).take(encoded.indices)


def _within(numbers: pa.Array, farthest: float) -> pa.Array:
    """Numbers no calendar reaches become one beyond the years we accept: they are refused as dates, not as overflows."""
    sound = pc.and_(pc.is_finite(numbers), pc.less(pc.abs(numbers), farthest))
    return pc.floor(pc.if_else(pc.fill_null(sound, True), numbers, pa.scalar(farthest)))


def _dates(days: pa.Array) -> pa.Array:
    return pc.add(_within(days, _FARTHEST_DAY).cast(pa.int32()), pa.scalar(_DAY_1960, pa.int32())).cast(pa.date32())


def _times(seconds: pa.Array) -> pa.Array:
    whole = _within(seconds, _FARTHEST_SECOND)
    parts = pc.round(pc.multiply(pc.subtract(pc.if_else(pc.equal(whole, _FARTHEST_SECOND), whole, seconds), whole), 1e6))
    micros = pc.add(pc.multiply(pc.add(whole.cast(pa.int64()), _SECONDS_1960), 1_000_000), parts.cast(pa.int64()))
    return micros.cast(pa.timestamp("us"))
