"""The manifest that closes a delivery.

Belongs here: its shape, reading, writing, neutral file names. Does not belong here: comparing it with the bytes (`door`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import msgspec

from assets.privacy.barrier import WITHHELD, looks_like_identifier

MANIFEST = "manifest.json"
_ENDINGS = frozenset(
    {
        ".csv",
        ".tsv",
        ".txt",
        ".json",
        ".ndjson",
        ".parquet",
        ".xml",
        ".zip",
        ".tar",
        ".tgz",
        ".sas7bdat",
        ".xpt",
        ".xlsx",
        ".xlsm",
        ".dat",
        ".asc",
        ".fwf",
        ".md",
        ".hl7",
    }
)
_PERIOD = re.compile(r"[A-Za-z]{1,12}|(?=.*\d)[0-9A-Za-z/~:._ -]{1,40}")
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")


class ManifestError(ValueError):
    """The manifest does not hold. `rule` names the field; the message never quotes a file name."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class ManifestFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One delivered file. `records` is the sender's own count, if it has one."""

    path: str
    sha256: str
    bytes: int
    records: int | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sender says a delivery is. Written last: a folder without it is still being uploaded."""

    site: str
    feed: str
    delivery_id: str
    sequence: int
    files: tuple[ManifestFile, ...]
    period: str | None = None
    contract: str | None = None

    @property
    def content_digest(self) -> str:
        """SHA-256 over the sorted hashes of the files: equal for equal bytes, whatever the names."""
        return hashlib.sha256("\n".join(sorted(f.sha256.lower() for f in self.files)).encode()).hexdigest()

    @property
    def told_period(self) -> str | None:
        """The period as ledger and pages may show it; what is more than a date, a number or a word is not told."""
        if self.period is None or (_PERIOD.fullmatch(self.period) and not looks_like_identifier(self.period)):
            return self.period
        return WITHHELD


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Read and check `manifest.json`.

    Returns:
        The manifest and the SHA-256 of its bytes.

    Raises:
        ManifestError: Not JSON, a field missing or of a wrong type, an unsafe path, a repeated file.
    """
    raw = (folder / MANIFEST).read_bytes()
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        found = re.search(r"at `\$\.?([^`]*)`", str(error))
        where = found.group(1) if found and found.group(1) else "whole file"
        raise ManifestError(where, f"manifest.json cannot be used: {_explained(error)}") from None
    if not _ID.match(manifest.delivery_id):
        raise ManifestError("delivery_id", "delivery_id must be 1 to 100 letters, digits, '_', '.' or '-'")
    if looks_like_identifier(manifest.delivery_id):
        raise ManifestError("delivery_id", "delivery_id holds what looks like a person's number. Remedy: number or date deliveries")
    if manifest.sequence < 1:
        raise ManifestError("sequence", "sequence must be a whole number from 1")
    if not manifest.files:
        raise ManifestError("files", "the manifest names no file")
    _check_files(manifest.files)
    return manifest, hashlib.sha256(raw).hexdigest()


def _explained(error: Exception) -> str:
    """What is wrong, without any word of the manifest: a library's message quotes the names of unknown fields."""
    text = str(error)
    if "unknown field" in text:
        return f"it has a field that manifests do not have. Fields are {', '.join(Manifest.__struct_fields__)}"
    return re.sub(r" - at `.*", "", text) if isinstance(error, msgspec.DecodeError) else type(error).__name__


def _check_files(files: Iterable[ManifestFile]) -> None:
    seen: set[str] = set()
    for number, file in enumerate(files, 1):
        path = PurePosixPath(file.path)
        unsafe = path.is_absolute() or ".." in path.parts or "\\" in file.path or "\0" in file.path or not path.parts
        if unsafe or str(path) == MANIFEST:
            raise ManifestError(f"files[{number}].path", f"file {number} has an unsafe path")
        if str(path) in seen:
            raise ManifestError(f"files[{number}].path", f"file {number} is named twice")
        if file.bytes < 0 or not re.fullmatch(r"[0-9a-fA-F]{64}", file.sha256):
            raise ManifestError(f"files[{number}]", f"file {number} needs bytes and a SHA-256 of 64 hex digits")
        seen.add(str(path))


def split_name(name: str) -> tuple[str, str, str | None]:
    """Split a file name into stem, ending and compression: `Patient.000.ndjson.gz` -> (`patient.000`, `.ndjson`, `gzip`)."""
    name = unicodedata.normalize("NFC", name)  # macOS writes Korean letters apart
    lower = name.lower()
    compression = "gzip" if lower.endswith(".gz") else None
    if compression:
        name, lower = name[:-3], lower[:-3]
    stem, dot, ending = lower.rpartition(".")
    return (stem, f".{ending}", compression) if dot else (lower, "", compression)


def table_of(name: str, known: Iterable[str]) -> str | None:
    """The known table a file name stands for, or None.

    `2b_concept.csv` -> concept; `Patient.000.ndjson` -> patient; `person_001.parquet` -> person. A name that only contains a table's name
    (`._person.parquet`, `Anna_Patient_Smith.json`) stands for none.
    """
    stem, _, _ = split_name(name)
    match = re.fullmatch(r"(?:\d+[a-z]?_)?(.+?)(?:[._-]\d+)*", stem)
    tables = {unicodedata.normalize("NFC", k).lower(): k for k in known}
    return tables.get(match.group(1)) if match else None


def neutral_ref(index: int, name: str, known: Iterable[str]) -> str:
    """A name for logs, tables and errors that cannot hold a person's name.

    Args:
        index: Position in the manifest, from 0.
        name: Delivered file name, without folders.
        known: Table and resource names.

    Returns:
        The name itself where it is a known table with digits, else `file-<index + 1>` with its ending.
    """
    _, ending, compression = split_name(name)
    if table_of(name, known) is not None and not name.startswith("."):
        return name
    safe_ending = ending if ending in _ENDINGS else ""
    return f"file-{index + 1:04d}{safe_ending}{'.gz' if compression else ''}"
