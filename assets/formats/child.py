"""The disposable child: `python -m assets.formats.child JOB.json` reads files into a spool and may die doing so.

Belongs here: limits of the process, the loop over files. Does not belong here: any format, what the parent does after a crash (`sandbox`).
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # pyarrow imports numpy where it is: 0.12 of 0.3 CPU s of start, and nothing here needs it
    sys.modules["numpy"] = None  # type: ignore[assignment]
    sys.modules["pandas"] = None  # type: ignore[assignment] # pyarrow imports it (0.2 CPU s) with the first list it is given, where there is NumPy

import errno
import gc
import importlib
import json
import resource
from pathlib import Path
from typing import Protocol

from assets.formats.dates import zone_is_known
from assets.formats.faults import Faults
from assets.formats.job import Job, SourceFile, load_job
from assets.formats.progress import Progress, write_peak
from assets.formats.reasons import DeliveryRefused, FileRefused
from assets.formats.spool import Spool

OUT_OF_MEMORY, DEFECT, DISK_FULL = 71, 72, 73
"""Exit codes; `sandbox` reads them. Everything else but 0 is a signal."""


class Reader(Protocol):
    """What every wire format offers."""

    def read(self, file: SourceFile) -> None:
        """Read one file into the spool.

        Raises:
            FileRefused: Nothing of the file can be used.
            DeliveryRefused: The delivery must not be read further.
        """


def main(path: str) -> int:
    """Run one job."""
    job = load_job(json.loads(Path(path).read_bytes()))
    _limit(job)
    gc.disable()  # rows are made and dropped by the million, and hold no cycles
    code = _run(job)
    write_peak(job.spool)
    return code


def _run(job: Job) -> int:
    try:
        run_job(job)
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DISK_FULL
        _explain(job, error)
        return DEFECT
    return 0


def run_job(job: Job) -> None:
    """Read all files of a job into its spool."""
    if job.time_zone != "UTC" and not zone_is_known(job.time_zone):
        raise ValueError("the time zone of the feed is not in the time zone database of this machine")
    spool, progress, faults = Spool(job), Progress(job.spool), Faults(job)
    reader = make_reader(job, spool, progress)  # a defect of the rules shows here, before any file could be blamed
    for file in job.files:
        progress.file(file.index)
        if reason := faults.lost(file.index):
            spool.refuse_file(file.index, reason)
            continue
        try:
            reader.read(file)
        except FileRefused as refused:
            spool.refuse_file(file.index, refused.reason, rule=refused.rule, detail=refused.detail)
        except DeliveryRefused as refused:
            spool.close(job, refused, file.index)
            return
    spool.close(job)


READERS = {
    "ccda": "assets.formats.ccda:CcdaReader",
    "delimited": "assets.formats.delimited:DelimitedReader",
    "dicom": "assets.formats.dicom:DicomReader",
    "fhir": "assets.formats.fhir:FhirReader",
    "fixed_width": "assets.formats.fixed_width:FixedWidthReader",
    "hl7": "assets.formats.hl7:Hl7Reader",
    "open_mhealth": "assets.formats.omh:DataPointReader",
    "ped": "assets.formats.ped:PedReader",
    "parquet": "assets.formats.parquet:ParquetReader",
    "sas7bdat": "assets.formats.sas:SasReader",
    "xlsx": "assets.formats.xlsx:XlsxReader",
    "odm": "assets.formats.odm:OdmReader",
    "redcap": "assets.formats.redcap:RedcapReader",
    "xpt": "assets.formats.sas:SasReader",
}
"""Wire format -> its reader, made of job, spool and progress."""

NEEDS_NUMPY = frozenset({"hl7", "sas7bdat", "xpt"})
"""Formats read with NumPy; Arrow has started without it, and they meet in buffers only."""


def make_reader(job: Job, spool: Spool, progress: Progress) -> Reader:
    """The reader of a wire format. Imports only that one: starting the child is a tenth of the cost of a small delivery.

    Raises:
        ValueError: No such format.
    """
    if job.format not in READERS:
        raise ValueError(f"unknown wire format {job.format!r}")
    if job.format in NEEDS_NUMPY and "numpy" in sys.modules and not sys.modules["numpy"]:
        del sys.modules["numpy"]
    module, _, name = READERS[job.format].partition(":")
    reader: Reader = getattr(importlib.import_module(module), name)(job, spool, progress)
    return reader


def _limit(job: Job) -> None:
    """Cap the process. RLIMIT_DATA and not RLIMIT_AS: files are mapped, and allocators reserve address space they never touch."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold patients
    memory = job.limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    seconds = int(job.limits.wall_seconds) * 4 + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _explain(job: Job, error: Exception) -> None:
    """Leave the kind and place of a defect, never its message: that may quote a value."""
    trace, last = error.__traceback__, None
    while trace is not None:
        if "assets" in trace.tb_frame.f_code.co_filename:
            last = trace
        trace = trace.tb_next
    place = f"{Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else "?"
    (job.spool / "_defect").write_text(f"{type(error).__name__} at {place}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
