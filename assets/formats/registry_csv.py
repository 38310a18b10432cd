"""CSV files of registries: rows in the encoding and delimiter of the feed, and data dictionaries among them.

Belongs here: reading such rows, what a row of a dictionary declares. Does not belong here: data of participants (`redcap`), what an item is (`registry_items`).
"""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assets.formats.job import Job, SourceFile
from assets.formats.reasons import FileRefused, Reason
from assets.formats.records import BadRecord, Grammar, Records, read_records
from assets.formats.registry_items import Dictionary, Item, dictionary_columns, item_of
from assets.formats.registry_spool import RowSpool
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import BOM, as_utf8, is_wide, open_source


@dataclass(frozen=True)
class Row:
    """One row of a file: its number, fields or what is wrong with it."""

    number: int
    offset: int
    fields: tuple[str, ...] = ()
    fault: Reason | None = None
    detail: str | None = None


class CsvTables:
    """Reads rows of CSV files in the encoding, delimiter and quote of the feed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._encoding = codecs.lookup(str(job.options.get("encoding") or "utf-8")).name
        self._text_encoding = "utf-8" if is_wide(self._encoding) or self._encoding == "utf-8-sig" else self._encoding
        delimiter, quote = str(job.options.get("delimiter") or ","), str(job.options.get("quote", '"') or "")
        self._grammar = Grammar(delimiter.encode(), quote.encode(), job.limits.record_bytes)

    def rows(self, file: SourceFile) -> Iterator[Row]:
        """Header first (number 0), then every row that is not blank.

        Raises:
            FileRefused: Nothing of the file can be used.
        """
        number, width = 0, 0
        with open_source(file, self._job.limits) as read:
            for block in read_records(as_utf8(read, self._encoding) if is_wide(self._encoding) else read, self._grammar):
                if isinstance(block, BadRecord):
                    if number == 0:
                        raise FileRefused(Reason.HEADER_MISMATCH, "the first row cannot be read")
                    yield Row(number, block.offset, fault=block.reason)
                    number += 1
                    continue
                for at, record in self._split(block):
                    row = self._row(record.removeprefix(BOM) if number == 0 else record, number, block.offset + at, width)
                    if number == 0:
                        if row.fault is not None:
                            raise FileRefused(Reason.HEADER_MISMATCH, f"the header is not {self._encoding}")
                        width = len(row.fields)
                    yield row
                    number += 1
        if number == 0:
            raise FileRefused(Reason.EMPTY_FILE, "no row, not even a header")

    def _split(self, block: Records) -> Iterator[tuple[int, bytes]]:
        return self._grammar.split(block.data)

    def _row(self, record: bytes, number: int, offset: int, width: int) -> Row:
        if b"\0" in record:
            return Row(number, offset, fault=Reason.NUL_BYTE)
        fields = self._grammar.fields(record)
        if number and len(fields) != width:
            return Row(number, offset, fault=Reason.RAGGED_ROW, detail=f"{len(fields)} fields, the header has {width}")
        try:
            return Row(number, offset, tuple(field.decode(self._text_encoding).strip() for field in fields))
        except UnicodeDecodeError:
            return Row(number, offset, fault=Reason.ENCODING, detail=f"not {self._encoding}")


def dictionary_rows(rows: Iterator[Row]) -> Iterator[tuple[Row, Item | None]]:
    """Rows of a data dictionary, header left out, with the item each declares; None where it names none.

    Raises:
        FileRefused: The header is that of another table.
    """
    places = dictionary_columns(next(rows).fields)
    if places is None:
        raise FileRefused(Reason.HEADER_MISMATCH, "no data dictionary")
    for row in rows:
        if row.fault is not None:
            yield row, None
            continue
        named = {name: row.fields[at] for name, at in places.items()}
        yield row, item_of(named) if named["item"] else None


def read_dictionaries(tables: CsvTables, files: Sequence[SourceFile], dictionary: Dictionary) -> None:
    """Add the items of every data dictionary among some files; a file that cannot be read is judged when its turn comes."""
    for file in files:
        with contextlib.suppress(FileRefused):
            for _, item in dictionary_rows(tables.rows(file)):
                if item is not None:
                    dictionary.add(item)


def land_dictionary(rows: Iterator[Row], file: SourceFile, target: RowSpool, spool: Spool) -> None:
    """Rows of a data dictionary into the table of items."""
    for row, item in dictionary_rows(rows):
        if item is None:
            fault = row.fault or Reason.MISSING_KEY
            spool.reject(file.index, [Rejection(row.number, fault, "item" if row.fault is None else None, row.detail, row.offset)])
        else:
            target.add_item(file.index, row.number, item)
