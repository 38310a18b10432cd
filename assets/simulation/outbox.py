"""Delivery folders: files written by the batch, hashed and counted on the way, the manifest last.

Belongs here: bytes on disk and their record numbers. Does not belong here: what a record says.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assets.simulation.country import FEEDS

CONTRACTS: Mapping[str, str] = {
    "fhir_r4": "fhir", "emr_csv": "emr_csv", "omop": "omop", "consent": "consent", "claims_nhis": "claims_nhis", "claims_hira": "claims_hira",
    "hl7_v2": "hl7_v2", "ccda": "ccda", "dicom": "dicom", "open_mhealth": "open_mhealth",
    "death_registry": "death_registry", "lims": "lims", "redcap": "redcap", "pedigree": "pedigree",
}  # fmt: skip
"""Feed -> wire family whose contract its files follow."""


@dataclass
class TextFile:
    """A file of text records. `encoding` is strict: a character it lacks stops the simulation.

    `footer` makes the end of the file from the number of its records.
    """

    path: Path
    encoding: str
    header: str = ""
    footer: Callable[[int], str] | None = None
    records: int = 0
    size: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)
    _file: BinaryIO | None = None

    def write(self, lines: pa.StringArray, damage: Mapping[int, bytes]) -> int:
        """Append lines, each with its line end.

        Args:
            lines: One record a row.
            damage: Row -> bytes that stand in place of the row's line.

        Returns:
            Records in the file before these.
        """
        before = self.records
        self._opened()
        begin = 0
        for row in sorted(damage):
            self._append(self._encoded(lines, begin, row))
            self._append(damage[row])
            begin = row + 1
        self._append(self._encoded(lines, begin, len(lines)))
        self.records += len(lines)
        return before

    def write_whole(self, content: bytes) -> int:
        """Write a file that is one record."""
        self._opened()
        self._append(content)
        self.records += 1
        return self.records - 1

    def _opened(self) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("wb")
            self._append(self.header.encode(self.encoding))

    def _encoded(self, lines: pa.StringArray, begin: int, end: int) -> bytes | memoryview:
        """Bytes of a run of lines: an Arrow string column is already one piece of UTF-8."""
        if begin >= end:
            return b""
        _, offsets, data = lines.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int32)[lines.offset + begin : lines.offset + end + 1]
        piece = memoryview(data)[int(bounds[0]) : int(bounds[-1])]
        return piece if self.encoding == "utf-8" else str(piece, "utf-8").encode(self.encoding)

    def _append(self, piece: bytes | memoryview) -> None:
        assert self._file is not None
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)

    def close(self) -> str:
        """Close the file; its SHA-256."""
        if self._file is not None and not self._file.closed:
            if self.footer is not None:
                self._append(self.footer(self.records).encode(self.encoding))
            self._file.close()
        return str(self._digest.hexdigest())


@dataclass
class TableFile:
    """A Parquet file written a row group a batch."""

    path: Path
    records: int = 0
    size: int = 0
    _writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> int:
        """Append rows; returns the rows in the file before these."""
        before = self.records
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self.path, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table)
        self.records += len(table)
        return before

    def close(self) -> str:
        """Close the file; its SHA-256."""
        if self._writer is not None:
            self._writer.close()
        self.size = self.path.stat().st_size
        return file_digest(self.path)


@dataclass(frozen=True)
class Finished:
    """One closed file of a delivery."""

    site: str
    delivery: str
    name: str
    sha256: str
    size: int
    records: int


class Outbox:
    """Deliveries below one folder: `<site>/<feed>/<delivery_id>/`."""

    def __init__(self, root: Path, delivery_ids: tuple[str, ...], resend: str) -> None:
        self.root = root
        self._ids = delivery_ids
        self._resend = resend
        self._open: dict[tuple[str, int, str], TextFile | TableFile] = {}

    def text(
        self, site: str, delivery: int, name: str, *, encoding: str = "utf-8", header: str = "", footer: Callable[[int], str] | None = None
    ) -> TextFile:
        """The named text file of a delivery."""
        found = self._open.get((site, delivery, name))
        if not isinstance(found, TextFile):
            found = self._open[site, delivery, name] = TextFile(self.folder(site, self._ids[delivery]) / name, encoding, header, footer)
        return found

    def table(self, site: str, delivery: int, name: str) -> TableFile:
        """The named Parquet file of a delivery."""
        found = self._open.get((site, delivery, name))
        if not isinstance(found, TableFile):
            found = self._open[site, delivery, name] = TableFile(self.folder(site, self._ids[delivery]) / name)
        return found

    @property
    def initial(self) -> str:
        """Id of the first delivery of every site."""
        return self._ids[0]

    def folder(self, site: str, delivery_id: str) -> Path:
        """Folder of a delivery."""
        return self.root / site / FEEDS[site] / delivery_id

    def end_part(self) -> None:
        """Let go of the parts written so far: millions of people make more parts than may be open at once."""
        for (_, _, name), file in self._open.items():
            if isinstance(file, TextFile) and name.endswith(".ndjson"):
                file.close()

    def close(self) -> list[Finished]:
        """Close all files, write the manifests, then send one delivery of each hospital a second time."""
        done: dict[tuple[str, int], list[Finished]] = {}
        for (site, delivery, name), file in sorted(self._open.items(), key=lambda item: item[0]):
            if file.records:
                digest = file.close()
                closed = Finished(site, self._ids[delivery], name, digest, file.size, file.records)
                done.setdefault((site, delivery), []).append(closed)
        finished: list[Finished] = []
        sequence: dict[str, int] = {}
        for (site, delivery), files in sorted(done.items()):
            sequence[site] = sequence.get(site, 0) + 1
            write_manifest(self.folder(site, self._ids[delivery]), sequence[site], files)
            finished += files
            if self._ids[delivery] == self._resend and site != "c01":
                sequence[site] += 1
                finished += self._send_again(files, sequence[site])
        return finished

    def _send_again(self, files: list[Finished], sequence: int) -> list[Finished]:
        """The same bytes under a new delivery id."""
        again = [replace(file, delivery=f"{file.delivery}-resend") for file in files]
        folder = self.folder(again[0].site, again[0].delivery)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copyfile(self.folder(file.site, file.delivery) / file.name, folder / file.name)
        write_manifest(folder, sequence, again)
        return again


def write_manifest(folder: Path, sequence: int, files: list[Finished], *, period: str | None = None) -> None:
    """Write `manifest.json`, by which a delivery of these files is closed."""
    site, delivery_id = files[0].site, files[0].delivery
    feed = FEEDS[site]
    body = {
        "site": site,
        "feed": feed,
        "delivery_id": delivery_id,
        "period": period or delivery_id[:7],
        "sequence": sequence,
        "contract": CONTRACTS[feed],
        "files": [{"path": f.name, "sha256": f.sha256, "bytes": f.size, "records": f.records} for f in files],
    }
    (folder / "manifest.json").write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
