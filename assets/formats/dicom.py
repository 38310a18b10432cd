"""DICOM files -> one row an instance, from the header alone.

Belongs here: Part 10 files, limits, the attributes that the allow-list names. Does not belong here: pixels (never read), directories of media, what a series is (dbt).
Sources: DICOM PS3.10 section 7 (file format), PS3.6 (attributes), PS3.15 Annex E (Basic Application Level Confidentiality Profile).

De-identification is by not reading: pydicom is given the tags of the allow-list and passes over everything else, private elements among them.
Values of coded attributes and UIDs are checked, so that a name written into the wrong element does not pass either.
"""

from __future__ import annotations

import io
import logging
import re
import struct
import warnings
import zlib
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID

from assets.formats.faults import Faults
from assets.formats.job import Column, Job, SourceFile
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused, Reason
from assets.formats.spool import Rejection, Spool
from assets.formats.stream import open_source

ENTITY = "instance"
_DIRECTORY = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_STANDARD_ROOT = "1.2.840.10008."
_PREFIX_AT, _PREFIX = 128, b"DICM"
_GROUP_LENGTH = re.compile(rb"\x02\x00\x00\x00UL\x04\x00(....)", re.S)
_IS_DEFLATED = re.compile(rb"\x02\x00\x10\x00UI\x16\x00" + re.escape(_DEFLATED.encode()), re.S)
_UID = re.compile(r"[0-9.]{1,64}", re.A)
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}", re.A)
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)", re.A)
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ufffd]{1,64}")
_IDENTIFIERS = {"person": Reason.MISSING_PERSON, "record": Reason.MISSING_KEY}
_ALWAYS = ("SpecificCharacterSet", "SOPClassUID", "IssuerOfPatientID")
_META = frozenset({"TransferSyntaxUID", "MediaStorageSOPClassUID"})
_ISSUER_JOIN = "\x1f"


_BROKEN = (
    BytesLengthException, InvalidDicomError, ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, NotImplementedError, OSError, TypeError, ValueError, struct.error,
    zlib.error,
)  # fmt: skip
"""What pydicom lets through from its parts when a header is broken (found by fuzzing, tests/unit/formats/test_dicom.py)."""


class _TooLarge(Exception):
    """The header goes on beyond the limit."""


class DicomReader:
    """Reads DICOM files into a spool."""

    def __init__(self, job: Job, spool: Spool, progress: Progress) -> None:
        """Find the tags of the plan."""
        self._job, self._spool, self._progress = job, spool, progress
        self._plan = job.entities[ENTITY]
        self._faults = Faults(job)
        names = {name for c in self._plan.columns for name in c.path.split("|")} | set(_ALWAYS)
        self._tags = [tag for name in sorted(names - _META) if (tag := tag_for_keyword(name)) is not None]
        own = job.options.get("columns", {}).get(ENTITY, {})
        self._own_issuer = str(own.get("own_issuer", ""))
        warnings.simplefilter("ignore")  # pydicom's warnings and log lines quote values
        logging.getLogger("pydicom").disabled = True
        pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

    def read(self, file: SourceFile) -> None:
        """Read one file.

        Raises:
            FileRefused: It is no DICOM file.
        """
        self._progress.record(file.index, 1)
        if reason := self._faults.skipped(file.index, 1):
            self._spool.reject(file.index, [Rejection(1, reason)])
            return
        with ExitStack() as stack:
            source, size = self._open(file, stack)
            head = source.read(_PREFIX_AT + len(_PREFIX) + 4096)
            self._faults.trip(head)
            if head[_PREFIX_AT : _PREFIX_AT + 4] != _PREFIX:
                raise FileRefused(Reason.NOT_DICOM, "the prefix DICM is not at byte 128", rule="PS3.10 7.1")
            source.seek(0)
            found = self._values(_Header(source, size, self._job.limits.record_bytes), head)
        if isinstance(found, Rejection):
            self._spool.reject(file.index, [found])
        else:
            self._write(file, found)

    def _open(self, file: SourceFile, stack: ExitStack) -> tuple[BinaryIO, int]:
        """The bytes and how many there are. A packed file is unpacked as far as a header may go."""
        read = stack.enter_context(open_source(file, self._job.limits))
        if file.compression is None:
            return stack.enter_context(file.path.open("rb")), file.path.stat().st_size
        data = b""
        while len(data) <= self._job.limits.record_bytes and (piece := read(2**20)):
            data += piece
        return io.BytesIO(data), len(data)

    def _values(self, header: _Header, head: bytes) -> dict[str, Any] | Rejection:
        """Values by column name, or why there are none."""
        try:
            data = self._dataset(header, head)
            if str(data.file_meta.get("MediaStorageSOPClassUID", "")).strip("\0 ") == _DIRECTORY:
                return Rejection(1, Reason.DICOM_DIRECTORY)
            if header.is_short:
                return Rejection(1, Reason.TRUNCATED_DICOM)
            return self._checked(data)
        except _TooLarge:
            return Rejection(1, Reason.RECORD_TOO_LARGE)
        except RecursionError:
            return Rejection(1, Reason.TOO_DEEP)
        except _BROKEN:
            return Rejection(1, Reason.TRUNCATED_DICOM if header.is_short else Reason.INVALID_DICOM)

    def _dataset(self, header: _Header, head: bytes) -> FileDataset:
        is_deflated = _IS_DEFLATED.search(head) is not None
        source: Any = self._inflated(header, head) if is_deflated else header
        data = pydicom.dcmread(source, stop_before_pixels=True, specific_tags=cast(Any, self._tags))
        if is_deflated:
            data.file_meta.TransferSyntaxUID = UID(_DEFLATED)
        return data

    def _inflated(self, header: _Header, head: bytes) -> BinaryIO:
        """The file with its data set unpacked: pydicom would unpack a bomb to its end."""
        length = _GROUP_LENGTH.match(head, _PREFIX_AT + 4)
        if length is None:
            raise ValueError("no group length")
        at = length.end() + int.from_bytes(length.group(1), "little")
        header.seek(0)
        start = header.read(at)
        most = self._job.limits.record_bytes
        unpack = zlib.decompressobj(-zlib.MAX_WBITS)
        data = unpack.decompress(header.read(), most + 1)
        if len(data) > most:
            raise _TooLarge
        # the same meta information with the syntax that the unpacked data set has; both names are even and the shorter is padded
        plain = b"1.2.840.10008.1.2.1".ljust(len(_DEFLATED), b"\0")
        return io.BytesIO(start.replace(_DEFLATED.encode(), plain) + data)

    # --- values

    def _checked(self, data: FileDataset) -> dict[str, Any] | Rejection:
        row: dict[str, Any] = {}
        for column in self._plan.columns:
            try:
                value = self._value(data, column)
            except ValueError:
                return Rejection(1, Reason.INVALID_DATE if column.type == "date" else Reason.INVALID_TYPE, column.path)
            if value is None and column.required:
                reason = (
                    _IDENTIFIERS.get(column.verb, Reason.MISSING_VALUE)
                    if column.name in ("record_id", "person_id")
                    else Reason.MISSING_VALUE
                )
                return Rejection(1, reason, column.path)
            row[column.name] = value
        return row

    def _value(self, data: FileDataset, column: Column) -> Any:
        """The checked value of the first of the column's attributes that has one.

        Raises:
            ValueError: It is none of its kind.
        """
        for name in column.path.split("|"):
            element: Dataset = data.file_meta if name in _META else data
            raw = element.get(name)
            if raw is None or raw == "" or (hasattr(raw, "__len__") and len(raw) == 0):
                continue
            if isinstance(raw, pydicom.multival.MultiValue):
                raise ValueError("several values where the standard has one")
            text = str(raw).strip("\0 ")
            if text:
                return self._person(data, text) if column.verb == "person" else _convert(column, name, text)
        return None

    def _person(self, data: FileDataset, number: str) -> str:
        """The patient number; one that another authority issued (0010,0021) is another number, though it may read the same."""
        if not _TEXT.fullmatch(number):
            raise ValueError("not a number that can be kept apart from others")
        issuer = str(data.get("IssuerOfPatientID") or "").strip("\0 ")
        return number if issuer in ("", self._own_issuer) else f"{issuer}{_ISSUER_JOIN}{number}"

    def _write(self, file: SourceFile, row: Mapping[str, Any]) -> None:
        schema = self._spool.schema(ENTITY)
        values = [[row.get(name)] for name in schema.names[:-2]] + [[file.index], [1]]
        arrays = [pa.array(v, field.type) for v, field in zip(values, schema, strict=True)]
        self._spool.write(ENTITY, file.index, pa.RecordBatch.from_arrays(arrays, schema=schema))


class _Header:
    """A file of which so many bytes are read and no more. Notes when something reaches over its end."""

    def __init__(self, source: BinaryIO, size: int, most: int) -> None:
        self._source, self._size, self._left = source, size, most
        self.is_short = False

    def read(self, size: int = -1) -> bytes:
        """What is passed over by `seek` costs nothing; what is read is limited, whatever length an element claims."""
        data = self._source.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        if len(data) > self._left:
            raise _TooLarge
        self._left -= len(data)
        self.is_short |= 0 < len(data) < size
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        at = self._source.seek(place, whence)
        self.is_short |= at > self._size
        return at

    def tell(self) -> int:
        return self._source.tell()


def _convert(column: Column, name: str, text: str) -> Any:
    """A value in the column's type.

    Raises:
        ValueError: It is none.
    """
    if name.endswith("UID"):
        return _uid(text, is_identifier=column.verb == "record")
    if column.type == "date":
        return _date(text)
    if column.type == "float64":
        number = float(text)
        if not -1e9 < number < 1e9:
            raise ValueError("no length")
        return number
    if column.type == "int32":
        count = int(text)
        if not 0 <= count < 2**31:
            raise ValueError("no count")
        return count
    pattern = _CODE if column.name.endswith("_code") else _TEXT
    if not pattern.fullmatch(text):
        raise ValueError("not a code" if pattern is _CODE else "not a line of text")
    return text


def _uid(text: str, *, is_identifier: bool) -> str:
    """An identifier, or a UID of the standard itself; the class of a private object would name who made it."""
    if not _UID.fullmatch(text):
        raise ValueError("not a UID")
    return text if is_identifier or text.startswith(_STANDARD_ROOT) else "private"


def _date(text: str) -> date:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    found = date(int(match.group(1)), int(match.group(2)), int(match.group(3)))
    if not 1850 <= found.year <= 2300:
        raise ValueError("out of range")
    return found
