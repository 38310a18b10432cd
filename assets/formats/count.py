"""How many records a file holds, counted by code that shares nothing with the parsers.

Belongs here: the rule, and choosing a counter. Does not belong here: judging records, anything imported from a parser: an error they
shared would stay unseen.

What a record is (the parsers keep to the same text, with other code):

* FHIR. A first byte `[`, a first line that ends in `{`, `[` or `,`, or a single line longer than a record may be is one JSON document: the
  objects of a Bundle's `entry` array are its records, or the objects of a top-level array, else the document itself. Otherwise every
  line that is not blank is a record; where the first line is a Bundle, each line that is a Bundle counts its entries.
* Open mHealth. As FHIR: elements of an array, lines, or one document.
* Delimited. A line is a record; empty lines are not, the first is the header. A quoted field (its quote opens at the start of a field and
  closes before a delimiter or a line end) may hold line breaks as long as the record keeps to the limit; where it does not close so, the
  line that opened it is a record by itself, and so is a line over the limit.
* HL7 v2. Lines end with a carriage return, a line feed or both, or where MLLP framing (0x0B, 0x1C) stands. A line that begins with `MSH`, and
  then has no letter, digit or blank, begins a message, which is a record; a line that so begins with FHS, BHS, BTS or FTS is the envelope's and none.
  Other lines that are not blank belong to the record before; behind an envelope line or at the start of the file, they are one record together.
* CDA (C-CDA documents). The document is a record, and so is each element named `entry`, in whatever namespace, which is how a section holds its data.
* CDISC ODM. Where the first byte that is no white space is `<`: each element named StudyEventData, each SubjectData without one, and each
  ItemDef, in whatever namespace; else (the data dictionary beside it) as delimited text.
* REDCap. As delimited text.
* DICOM. A file that is not empty is one record, whatever it holds: an instance of many frames is one instance, and a DICOMDIR lists files
  that are delivered by themselves.
* Fixed width. A line is a record; empty lines are not.
* Pedigree (PED). A line is a record; lines of blanks, and those whose first sign that is no blank is `#`, are not.
* Parquet. The row count of the footer.
* SAS7BDAT. The row count of the row size subheader.
* SAS transport (XPT). The bytes behind the header of observations up to the last that is no blank, in rows; version 8 may tell more.
* XLSX. A row of the sheet that holds a value (white space is none) below the header: below the last of its rows where the site file numbers
  them, else below the first row that holds a value.
* Unknown. The file is one record.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_CHUNK = 8 * 2**20
_RATIO_FROM_BYTES = 16 * 2**20
_PACKED_CHUNK = 2**17
"""Of a gzip file that breaks off, at most so much is not seen."""
_BREAKS = (EOFError, gzip.BadGzipFile, zlib.error, OSError)


@dataclass(frozen=True)
class RecordCount:
    """Records of one file.

    Attributes:
        records: Number of records, or of those that can be seen.
        complete: The whole file could be read and understood as far as counting goes.
        note: What stood in the way.
    """

    records: int
    complete: bool = True
    note: str = ""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Counter(Protocol):
    """Takes a file in pieces."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""

    def close(self) -> tuple[int, str]:
        """Records, and what is broken ('' for nothing)."""


class _MarkupOrRows:
    """A file whose first byte that is no white space is `<` goes to the one counter, any other to the other."""

    def __init__(self, markup: Counter, rows: Counter) -> None:
        self._markup, self._rows = markup, rows
        self._chosen: Counter | None = None

    def feed(self, chunk: bytes) -> None:
        if self._chosen is None and (text := chunk.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")):
            self._chosen = self._markup if text.startswith(b"<") else self._rows
        (self._chosen or self._rows).feed(chunk)

    def close(self) -> tuple[int, str]:
        return (self._chosen or self._rows).close()


def count_records(
    path: Path,
    kind: str,
    compression: str | None = None,
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    quote: str = '"',
    record_bytes: int = 16 * 2**20,
    ratio: int = 200,
    sheet: str | None = None,
    header_rows: Sequence[int] = (),
) -> RecordCount:
    """Count the records of a file.

    Args:
        path: The file.
        kind: Wire format: `fhir`, `open_mhealth`, `delimited`, `fixed_width`, `ped`, `hl7`, `ccda`, `odm`, `redcap`, `dicom`, `parquet`, `sas7bdat`, `xlsx`, `xpt`; anything else is one record.
        compression: `gzip` or None.
        encoding: Of delimited text and HL7. Only UTF-16 and UTF-32 matter: all others keep line feed, delimiter and quote single bytes.
        delimiter: Of delimited text.
        quote: Of delimited text; empty for none.
        record_bytes: Longest record; what lies beyond is not looked into.
        ratio: Largest growth of a compressed file, judged beyond 16 MiB; more is not looked at.
        sheet: Of a workbook.
        header_rows: Numbers of the rows of a sheet's header, from 1.

    Returns:
        The count; never raises for what a file holds.
    """
    if kind == "parquet":
        from assets.formats.count_parquet import footer_rows

        rows, note = footer_rows(path)
        return RecordCount(rows, not note, note)
    if kind in ("sas7bdat", "xpt"):
        from assets.formats.count_sas import sas7bdat_rows, transport_rows

        rows, note = sas7bdat_rows(path) if kind == "sas7bdat" else transport_rows(path)
        return RecordCount(rows, not note, note)
    if kind == "xlsx":
        from assets.formats.count_xlsx import sheet_rows

        rows, note = sheet_rows(path, sheet or "", header_rows)
        return RecordCount(rows, not note, note)
    if kind == "dicom":
        return RecordCount(1)
    if kind not in ("fhir", "open_mhealth", "delimited", "fixed_width", "ped", "hl7", "ccda", "odm", "redcap"):
        return RecordCount(1, False, f"format {kind} is not counted: one record")
    counter = _counter(kind, delimiter, quote, record_bytes)
    note = ""
    try:
        with gzip.open(path, "rb") if compression == "gzip" else path.open("rb") as stream:
            size = _PACKED_CHUNK if compression == "gzip" else _CHUNK
            left = max(path.stat().st_size * ratio, _RATIO_FROM_BYTES) if compression else None
            for chunk in _chunks(stream, size, "utf-8" if kind == "fhir" else encoding):
                counter.feed(chunk)
                left = None if left is None else left - len(chunk)
                if left is not None and left < 0:
                    note = "grows beyond the limit when unpacked"
                    break
    except _BREAKS as error:
        note = f"reading stopped: {type(error).__name__}"
    records, broken = counter.close()
    return RecordCount(records, not (note or broken), note or broken)


def _counter(kind: str, delimiter: str, quote: str, record_bytes: int) -> Counter:
    if kind in ("fhir", "open_mhealth"):
        from assets.formats.count_json import FhirCounter

        return FhirCounter(record_bytes)
    if kind == "hl7":
        from assets.formats.count_hl7 import MessageCounter

        return MessageCounter()
    if kind == "ccda":
        from assets.formats.count_xml import EntryCounter

        return EntryCounter()
    if kind in ("fixed_width", "ped"):
        from assets.formats.count_lines import LineCounter, PedigreeCounter

        return LineCounter(record_bytes) if kind == "fixed_width" else PedigreeCounter(record_bytes)
    if kind == "odm":
        from assets.formats.count_xml import OdmCounter

        return _MarkupOrRows(OdmCounter(), _counter("delimited", delimiter, quote, record_bytes))
    from assets.formats.count_text import RowCounter

    return RowCounter(delimiter.encode(), quote.encode(), record_bytes)


def _chunks(stream: _Stream, size: int, encoding: str) -> Iterator[bytes]:
    """Chunks of bytes in which a line feed is one byte; a leading byte order mark is dropped."""
    mark = "\ufeff".encode()
    first = True
    for raw in _transcoded(stream, size, encoding):
        yield raw.removeprefix(mark) if first else raw
        first = False


def _transcoded(stream: _Stream, size: int, encoding: str) -> Iterator[bytes]:
    wide = encoding.lower().replace("_", "-").replace("utf-", "utf").startswith(("utf16", "utf32"))
    decode = codecs.getincrementaldecoder(encoding)(errors="replace").decode if wide else None
    while raw := stream.read(size):
        yield decode(raw).encode() if decode else raw
    if decode:
        yield decode(b"", True).encode()
