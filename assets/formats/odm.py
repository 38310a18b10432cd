"""CDISC ODM files (XML) and the data dictionary beside them (CSV) -> spool. A record is what one subject says at one event.

Belongs here: the way through a file, subjects, transactions. Does not belong here: bytes to XML (`odm_xml`), metadata (`odm_metadata`), what a record
becomes (`registry_rows`).

Records: each StudyEventData, each SubjectData without one, each ItemDef. Memory: one subject.
Source: CDISC Operational Data Model 1.3.2, sections 2.6 (snapshot and transactional files), 3.1.4 (ClinicalData); 1.2 and 2.0 where they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lxml import etree

from assets.formats.job import SourceFile
from assets.formats.odm_events import REMOVE, TRANSACTIONS, EventReader, UnclearTransactionError, transaction_of
from assets.formats.odm_metadata import Structure, local_name, read_metadata
from assets.formats.odm_xml import parse_events
from assets.formats.reasons import FileRefused, Reason
from assets.formats.registry_csv import land_dictionary, read_dictionaries
from assets.formats.registry_items import Item
from assets.formats.registry_reader import RegistryReader
from assets.formats.registry_rows import Sheet
from assets.formats.spool import Rejection
from assets.formats.stream import open_source

Element = etree._Element
_NAMESPACE = re.compile(r"\{http://www\.cdisc\.org/ns/odm/v(?:1\.[23]|2\.0)\}ODM")
_SUBJECT, _EVENT, _VERSION = "SubjectData", "StudyEventData", "MetaDataVersion"
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
"""Byte order marks, white space, and the other half of characters in UTF-16."""
_LARGE = frozenset({"ReferenceData", "AdminData", "Association", "AuditRecords", "Signatures", "Annotations"})


@dataclass
class _Subject:
    """The subject that is being read."""

    key: str
    transaction: str
    sheets: list[tuple[int, Sheet]] = field(default_factory=list)
    events: int = 0


class OdmReader(RegistryReader):
    """Reads the files of one delivery into a spool."""

    def _declare(self, files: Sequence[SourceFile]) -> None:
        """CSV dictionaries, then the metadata of the XML files."""
        self._structure = Structure()
        self._xml = {f.index for f in files if self._is_xml(f)}
        read_dictionaries(self._tables, [f for f in files if f.index not in self._xml], self._dictionary)
        for file in (f for f in files if f.index in self._xml):
            self._look_ahead(file)

    def _read(self, file: SourceFile) -> None:
        if file.index in self._xml:
            _Walk(self, file).run()
        else:
            self._dictionary_file(file)

    def _is_xml(self, file: SourceFile) -> bool:
        """Does the first byte that is no white space begin a tag? Names say nothing: members of an archive have none."""
        try:
            with open_source(file, self._job.limits) as read:
                return read(4096).lstrip(_BEFORE_TEXT).startswith(b"<")
        except FileRefused:  # judged when its turn comes
            return False

    def _dictionary_file(self, file: SourceFile) -> None:
        try:
            land_dictionary(self._tables.rows(file), file, self._target, self._spool)
        except FileRefused as refused:
            if refused.reason is Reason.HEADER_MISMATCH:
                raise FileRefused(Reason.NOT_ODM, "neither XML nor a data dictionary") from None
            raise

    def _look_ahead(self, file: SourceFile) -> None:
        """Metadata may stand in another file than the data: what each file has before its first subject is read first."""
        try:
            for action, element in self.events(file):
                name = local_name(element)
                if action == "start" and name == "ClinicalData":
                    return
                if action == "end" and name == _VERSION:
                    for item in read_metadata(element, self._structure):
                        if item is not None:
                            self._dictionary.add(item)
        except FileRefused:  # judged when its turn comes
            return

    # what a walk needs

    def events(self, file: SourceFile) -> Iterator[tuple[str, Element]]:
        """Parse events of a file whose root is an ODM."""
        with open_source(file, self._job.limits) as read:
            is_root = True
            for action, element in parse_events(read, depth=self._job.limits.depth, record_bytes=self._job.limits.record_bytes):
                if is_root and not _NAMESPACE.fullmatch(str(element.tag)):
                    raise FileRefused(Reason.NOT_ODM, "the root is no ODM element of version 1.2, 1.3 or 2.0")
                is_root = False
                yield action, element

    def require_items(self) -> None:
        """Refuse what nobody explains.

        Raises:
            FileRefused: Nobody declares an item.
        """
        if not self._dictionary:
            raise FileRefused(Reason.NO_DICTIONARY, "neither the delivery nor the site file declares an item")

    def event_reader(self, *, is_snapshot: bool) -> EventReader:
        """Reads events with what the metadata says of forms and groups."""
        return EventReader(self._structure, is_snapshot=is_snapshot)

    def land_item(self, file: SourceFile, number: int, item: Item) -> None:
        """One item into its table, as it is understood with everything that was declared."""
        self._target.add_item(file.index, number, self._dictionary.items.get(item.code, item))

    def land(self, file: SourceFile, number: int, sheet: Sheet, elsewhere: dict[tuple[str, str], str]) -> None:
        """One record, unless an earlier run died of it."""
        if reason := self._faults.skipped(file.index, number):
            self.reject(file, number, reason)
            return
        self._progress.record(file.index, number)
        if self._faults.hooked:
            self._faults.trip("\x1f".join(cell.text for cell in sheet.cells).encode("utf-8", "surrogatepass"))
        self._target.add(file.index, number, self._maker.make(sheet, elsewhere))

    def reject(self, file: SourceFile, number: int, reason: Reason | str, rule: str | None = None) -> None:
        """One record that is not read."""
        self._spool.reject(file.index, [Rejection(number, reason, rule)])


class _Walk:
    """The way through one XML file."""

    def __init__(self, reader: OdmReader, file: SourceFile) -> None:
        self._reader, self._file = reader, file
        self._number = 0
        self._subject: _Subject | None = None
        self._events = reader.event_reader(is_snapshot=True)
        self._in_version = False

    def run(self) -> None:
        """Go through the file.

        Raises:
            FileRefused: Nothing of the file can be used.
        """
        for action, element in self._reader.events(self._file):
            name = local_name(element)
            if action == "start":
                self._start(name, element)
            elif name in (_SUBJECT, _EVENT, _VERSION, "ItemDef"):
                self._end(name, element)
            elif name in _LARGE:
                _let_go(element)

    def _start(self, name: str, element: Element) -> None:
        if name == "ODM":
            self._events = self._reader.event_reader(is_snapshot=element.get("FileType") != "Transactional")
        elif name == _SUBJECT:
            self._reader.require_items()
            self._subject = _Subject(str(element.get("SubjectKey") or "").strip(), transaction_of(element, ""))
        elif name == _VERSION:
            self._in_version = True

    def _end(self, name: str, element: Element) -> None:
        if name == _VERSION:
            self._in_version = False
            self._metadata(element)
        elif name == "ItemDef":
            if not self._in_version:
                self._reject(Reason.MISSING_KEY, "MetaDataVersion")
            return  # read with its MetaDataVersion
        elif name == _EVENT:
            self._event(element)
        else:
            self._end_subject(element)
        _let_go(element)

    def _metadata(self, version: Element) -> None:
        for item in read_metadata(version, Structure()):
            self._number += 1
            if item is None:
                self._reader.reject(self._file, self._number, Reason.MISSING_KEY, "ItemDef/@OID")
            else:
                self._reader.land_item(self._file, self._number, item)

    def _event(self, element: Element) -> None:
        subject = self._subject
        if subject is None or not subject.key:
            if subject is not None:
                subject.events += 1
            self._reject(Reason.MISSING_PERSON, "SubjectData/@SubjectKey")
            return
        subject.events += 1
        try:
            sheet = self._events.sheet(element, subject.key, subject.transaction)
        except UnclearTransactionError as error:
            self._reject(Reason.UNCLEAR_TRANSACTION, error.rule)
            return
        self._number += 1
        subject.sheets.append((self._number, sheet))

    def _end_subject(self, element: Element) -> None:
        subject, self._subject = self._subject, None
        if subject is None:
            return
        if not subject.events:
            self._lone_subject(subject)
        elsewhere = {
            (sheet.event, cell.column): cell.text
            for _, sheet in subject.sheets
            for cell in sheet.cells
            if cell.text and not cell.is_removed
        }
        for number, sheet in subject.sheets:
            self._reader.land(self._file, number, sheet, elsewhere)

    def _lone_subject(self, subject: _Subject) -> None:
        """A subject without events: newly enrolled, or removed from the study."""
        if not subject.key:
            self._reject(Reason.MISSING_PERSON, "SubjectData/@SubjectKey")
            return
        if subject.transaction not in TRANSACTIONS:
            self._reject(Reason.UNCLEAR_TRANSACTION, "SubjectData/@TransactionType")
            return
        self._number += 1
        removed = subject.transaction == REMOVE
        subject.sheets.append((self._number, Sheet(subject.key, "", "", "", (), is_snapshot=False, is_person_removed=removed)))

    def _reject(self, reason: Reason, rule: str) -> None:
        self._number += 1
        self._reader.reject(self._file, self._number, reason, rule)


def _let_go(element: Element) -> None:
    """Free what was read: the element's content, and its elder siblings."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
