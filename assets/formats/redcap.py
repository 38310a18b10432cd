"""REDCap exports and other questionnaires as CSV: one row a person, or a person, event and instance -> spool.

Belongs here: files, headers, the order of reading. Does not belong here: what a row becomes (`registry_rows`), what may pass (`registry_items`).

A delivery holds data files and, where the site file does not declare the items, the data dictionary of the project; which of the two a file is,
its header says. Dictionaries are read first, whatever the order of files.
Source: REDCap 14 help, "Data exports" (raw data, CSV), "Longitudinal projects", "Repeating instruments and events".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assets.formats.job import SourceFile
from assets.formats.reasons import FileRefused, Reason
from assets.formats.registry_branching import Reference, references
from assets.formats.registry_csv import Row, land_dictionary, read_dictionaries
from assets.formats.registry_items import dictionary_columns, option_name
from assets.formats.registry_reader import RegistryReader
from assets.formats.registry_rows import Cell, Sheet
from assets.formats.registry_settings import Settings
from assets.formats.spool import Rejection

_MOST_NAMES = 60


class RedcapReader(RegistryReader):
    """Reads the files of one delivery into a spool."""

    def _declare(self, files: Sequence[SourceFile]) -> None:
        read_dictionaries(self._tables, files, self._dictionary)

    def _read(self, file: SourceFile) -> None:
        headers = next(self._tables.rows(file)).fields
        if dictionary_columns(headers) is not None:
            land_dictionary(self._tables.rows(file), file, self._target, self._spool)
        else:
            self._data(file, _Layout(headers, self._settings))

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
