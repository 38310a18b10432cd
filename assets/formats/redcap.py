"""REDCap exports and other questionnaires as CSV: one row a person, or a person, event and instance -> spool.

Belongs here: files, headers, the order of reading. Does not belong here: what a row becomes (`registry_rows`), what may pass (`registry_items`).

A delivery holds data files and, where the site file does not declare the items, the data dictionary of the project; which of the two a file is,
its header says. Dictionaries are read first, whatever the order of files.
Source: REDCap 14 help, "Data exports" (raw data, CSV), "Longitudinal projects", "Repeating instruments and events".
"""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.records import BadRecord, Grammar, Records, read_records
from assets.formats.registry_branching import Reference, references
from assets.formats.registry_items import Dictionary, Item, dictionary_columns, item_of, option_name
from assets.formats.registry_rows import Cell, RowMaker, Sheet
from assets.formats.registry_settings import Settings, read_settings
from assets.formats.registry_spool import RowSpool
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import BOM, as_utf8, is_wide, open_source

_MOST_NAMES = 60


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


class RedcapReader:
    """Reads the files of one delivery into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Read the settings of the site and every dictionary of the delivery."""
        self._spool, self._progress, self._faults = spool, progress, Faults(job)
        self._settings = read_settings(job.options.get("registry") or {})
        self._tables = CsvTables(job)
        self._dictionary = Dictionary()
        read_dictionaries(self._tables, [f for f in job.files if not self._faults.lost(f.index)], self._dictionary)
        for item in self._settings.items:
            self._dictionary.override(item)
        zone = ZoneInfo(job.time_zone)
        self._maker = RowMaker(self._settings, self._dictionary, zone)
        self._target = RowSpool(job, spool)

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: Nothing of it can be used.
        """
        try:
            headers = next(self._tables.rows(file)).fields
            if dictionary_columns(headers) is not None:
                land_dictionary(self._tables.rows(file), file, self._target, self._spool)
            else:
                self._data(file, _Layout(headers, self._settings))
            self._target.end_file(file.index)
        except FileRefused:
            self._target.drop_file()
            raise

    def _data(self, file: SourceFile, layout: _Layout) -> None:
        if not self._dictionary:
            raise FileRefused(Reason.NO_DICTIONARY, "neither the delivery nor the site file declares an item")
        elsewhere = self._elsewhere(file, layout)
        for row in self._tables.rows(file):
            if row.number == 0:
                continue
            if (rejection := self._fault(file, row, layout)) is not None:
                self._spool.reject(file.index, [rejection])
                continue
            sheet = layout.sheet(row.fields)
            self._target.add(file.index, row.number, self._maker.make(sheet, elsewhere.get(sheet.person, {})))

    def _fault(self, file: SourceFile, row: Row, layout: _Layout) -> Rejection | None:
        """Why a row is not read, if so. Each row is named before it is looked at: what kills the reader is known."""
        if reason := self._faults.skipped(file.index, row.number):
            return Rejection(row.number, reason, None, None, row.offset)
        self._progress.record(file.index, row.number)
        if self._faults.hooked:
            self._faults.trip("\x1f".join(row.fields).encode("utf-8", "surrogatepass"))
        if row.fault is not None:
            return Rejection(row.number, row.fault, None, row.detail, row.offset)
        if not row.fields[layout.person]:
            return Rejection(row.number, Reason.MISSING_PERSON, self._settings.person, None, row.offset)
        return None

    def _elsewhere(self, file: SourceFile, layout: _Layout) -> Mapping[str, Mapping[tuple[str, str], str]]:
        """What conditions may ask of other rows of a person: (event, column) -> text. Read only where some condition does."""
        asked = {r for item in self._dictionary.items.values() for r in references(item.branching)}
        if not layout.has_instances:
            asked = {r for r in asked if r.event is not None}
        columns = [(name, at) for name in sorted({_column(r) for r in asked}) if (at := layout.place(name)) is not None]
        found: dict[str, dict[tuple[str, str], str]] = {}
        if not columns:
            return found
        for row in self._tables.rows(file):
            if row.number == 0 or row.fault is not None or layout.is_instance(row.fields):
                continue
            event = layout.event_of(row.fields)
            own = found.setdefault(row.fields[layout.person], {})
            own.update({(event, name): row.fields[at] for name, at in columns if row.fields[at]})
        return found


def _column(reference: Reference) -> str:
    return reference.item if reference.option is None else f"{reference.item}___{option_name(reference.option)}"


class _Layout:
    """Where things stand in the rows of one file."""

    def __init__(self, headers: Sequence[str], settings: Settings) -> None:
        """Find the columns.

        Raises:
            FileRefused: The participant's number is not there, or a column stands there twice.
        """
        names = [settings.columns.get(name, name) for name in headers]
        twice = sorted({name for name in names if name and names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise FileRefused(Reason.HEADER_MISMATCH, f"named twice: {len(twice)} of {len(names)} columns", rule="header")
        places = {name: at for at, name in enumerate(names)}
        if settings.person not in places:
            known = {settings.event, *(item.code for item in settings.items)} & places.keys()
            there = f". There are: {', '.join(name[:64] for name in names[:_MOST_NAMES])}" if known else ""
            raise FileRefused(
                Reason.HEADER_MISMATCH, f"missing: {settings.person or 'the participant (registry.person)'}{there}", rule="header"
            )
        self.person = places[settings.person]
        self._event = places.get(settings.event)
        self._instrument, self._instance = places.get(settings.repeat_instrument), places.get(settings.repeat_instance)
        structural = {self.person, self._event, self._instrument, self._instance}
        self._items = [(name, at) for name, at in places.items() if at not in structural]
        self._places = places

    @property
    def has_instances(self) -> bool:
        """Does the file know repeating instruments or events?"""
        return self._instance is not None

    def place(self, column: str) -> int | None:
        """Where a column stands."""
        return self._places.get(column)

    def event_of(self, fields: Sequence[str]) -> str:
        """Event of a row; empty in a project without events."""
        return fields[self._event] if self._event is not None else ""

    def is_instance(self, fields: Sequence[str]) -> bool:
        """Is the row an instance of a repeating instrument?"""
        return self._instrument is not None and bool(fields[self._instrument])

    def sheet(self, fields: Sequence[str]) -> Sheet:
        """One row as a record."""
        return Sheet(
            person=fields[self.person],
            event=self.event_of(fields),
            instance=fields[self._instance] if self._instance is not None else "",
            instrument=fields[self._instrument] if self._instrument is not None else "",
            cells=[Cell(name, fields[at]) for name, at in self._items],
        )
