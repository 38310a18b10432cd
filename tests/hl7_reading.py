"""Reads HL7 v2 files into a spool, in this process, and hands back what tests compare."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.formats.count import count_records
from assets.formats.hl7 import Hl7Reader
from assets.formats.job import load_job
from assets.formats.progress import Progress
from assets.formats.reasons import FileRefused
from assets.formats.spool import Spool
from assets.landing.files import FileJob
from assets.landing.job import build_job
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
        """Did each record of a file become a row of `message` or a refusal, as many as were counted?"""
        numbers = [r["_row_number"] for r in self.rows.get("message", []) if r["_file"] == file] + [
            r[1] for r in self.rejected if r[0] == file
        ]
        return sorted(numbers) == list(range(1, self.counted[file] + 1))


def read_hl7(folder: Path, files: Sequence[bytes], *, stepwise: bool = False, careful: bool = False, **options: Any) -> Reading:
    """Read files with the allow-list of the family.

    Args:
        folder: Scratch folder.
        files: Contents.
        stepwise: Read message by message, never in columns.
        careful: As after a crash in the first block of each file.
        options: Job options that differ from those of site h05, for example `encoding`.
    """
    shutil.rmtree(folder / "spool", ignore_errors=True)
    (folder / "spool").mkdir(parents=True)
    paths = []
    for index, content in enumerate(files):
        paths.append(folder / f"{index}.hl7")
        paths[-1].write_bytes(content)
    jobs = [FileJob(i, p, p.name, "", 1, None, None, "hl7", None) for i, p in enumerate(paths)]
    raw = build_job("hl7", jobs, load_sites()["h05"].feeds["hl7_v2"], folder / "spool")
    raw["options"] |= {"time_zone": "Asia/Seoul", "null_values": [""], **options}
    numbers = list(range(len(files)))
    raw["recovery"] = {"exact": numbers if stepwise else [], "careful": [[n, 1] for n in numbers] if careful else []}
    job = load_job(raw)
    spool = Spool(job)
    reader = Hl7Reader(job, spool, Progress(job.spool))
    reading = Reading(counted=[count_records(p, "hl7", encoding=str(raw["options"]["encoding"])).records for p in paths])
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


def in_any_order(reading: Reading) -> dict[str, list[str]]:
    """Rows of each table as sorted text."""
    return {table: sorted(repr(sorted(row.items())) for row in rows) for table, rows in reading.rows.items()}
