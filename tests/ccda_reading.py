"""Reads C-CDA documents into a spool, in this process, and hands back what tests compare."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.formats.ccda import CcdaReader
from assets.formats.count import count_records
from assets.formats.job import load_job
from assets.formats.reasons import FileRefused
from assets.formats.spool import Spool
from assets.landing.job import FileJob, build_job
from assets.sites.site import load_sites


@dataclass
class Reading:
    """What became of some files.

    Attributes:
        rows: Table -> rows as the spool holds them (identifiers still in clear), without nulls.
        rejected: (file, record, reason, rule) of each refused record.
        refused: File -> reason, for files given up as a whole.
        counted: Records of each file by the independent counter.
    """

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rejected: list[tuple[int, int, str, str | None]] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    counted: list[int] = field(default_factory=list)

    def accounted(self, file: int = 0) -> bool:
        """Did each record of a file become a row of `document_part` or a refusal, as many as were counted?"""
        numbers = [r["_row_number"] for r in self.rows.get("document_part", []) if r["_file"] == file]
        numbers += [r[1] for r in self.rejected if r[0] == file]
        return sorted(numbers) == list(range(1, self.counted[file] + 1))


def read_ccda(folder: Path, files: Sequence[bytes], *, limits: Mapping[str, Any] | None = None, **options: Any) -> Reading:
    """Read documents with the allow-list of the family.

    Args:
        folder: Scratch folder.
        files: Contents.
        limits: Limits that differ from landing's.
        options: Job options that differ from those of site h06.
    """
    shutil.rmtree(folder / "spool", ignore_errors=True)
    (folder / "spool").mkdir(parents=True)
    paths = []
    for index, content in enumerate(files):
        paths.append(folder / f"{index}.xml")
        paths[-1].write_bytes(content)
    jobs = [FileJob(i, p, p.name, "", 1, None, None, "ccda", None) for i, p in enumerate(paths)]
    raw = build_job("ccda", jobs, load_sites()["h06"].feeds["ccda"], folder / "spool")
    raw["options"] |= options
    raw["limits"] = raw["limits"] | dict(limits or {})
    job = load_job(raw)
    spool = Spool(job)
    reader = CcdaReader(job, spool)
    reading = Reading(counted=[count_records(p, "ccda").records for p in paths])
    for file in job.files:
        try:
            reader.read(file)
        except FileRefused as refused:
            reading.refused[file.index] = str(refused.reason)
            spool.refuse_file(file.index, refused.reason)
    spool.close(job)
    for path in sorted((folder / "spool").glob("*.arrow")):
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            found = [plain(row) for batch in stream for row in batch.to_pylist()]
        if path.stem == "_rejected":
            reading.rejected = sorted((r["file"], r["row_number"], r["reason"], r.get("rule")) for r in found)
        else:
            reading.rows[path.stem] = found
    return reading


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON can hold it, without nulls."""
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items() if v is not None}
