"""The parent's side of the parsing child: start it, watch it, get past what kills it.

Belongs here: running one job to its end whatever the bytes do. Does not belong here: limits the child puts on itself (`child`), any format.

A child that dies or hangs names its last place (`progress`). The job is run again: first with that block read record by record, then, when it
dies again, without the record; a record that cannot be named costs the file. Everything else of the delivery lands.
"""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.formats.job import Limits, Recovery, dump_recovery
from assets.formats.progress import Doing, peak_of, read_mark, read_peak, read_place
from assets.formats.reasons import Reason
from assets.formats.spool import FileSummary

REPOSITORY = Path(__file__).resolve().parents[2]

OUT_OF_MEMORY, DEFECT, DISK_FULL = 71, 72, 73
"""Exit codes of the child for a refused allocation, an exception nobody expected, and a spool that cannot be written."""

ENVIRONMENT: Mapping[str, str] = {
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    # Blocks of a megabyte are made and dropped all the time. glibc would give each back to the kernel, which clears the pages anew: 15 % of the time.
    "MALLOC_MMAP_THRESHOLD_": str(256 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
    "MALLOC_TOP_PAD_": str(16 * 2**20),
    # A parser does no linear algebra; numpy would start a thread a core for it at import, and their stacks count as memory of the child.
    "OPENBLAS_NUM_THREADS": "1",
}
"""All the child gets of an environment: nothing of the parent's, so no secret."""

_TRIES = 100
_MOST_POISON = 16
"""Records of one file that may kill the child one after the other; then the file is given up."""
_POLL_SECONDS = 0.2
_START_SECONDS = 120.0
"""Longest time until the child is at its first file: on a busy machine the imports take longer than a short `stall_seconds`."""


class ParserDefect(RuntimeError):
    """The child failed in a way that is Biodam's fault, not the data's. Names kind and place, never a value."""


@dataclass(frozen=True)
class Rejected:
    """One refused record, as the child tells it."""

    file: int
    row_number: int | None
    byte_offset: int | None
    reason: str
    rule: str | None
    detail: str | None


@dataclass(frozen=True)
class Refused:
    """Why the whole delivery must not land. `file` is the neutral reference."""

    file: str
    row_number: int | None
    rule: str | None
    reason: str
    detail: str


@dataclass(frozen=True)
class ChildResult:
    """What a finished job left: rows are in the spool folder, one `<table>.arrow` each.

    Attributes:
        files: Outcome of every file, in the order of the job.
        refused: Set if the delivery must not land.
        deaths: How often the child died on the way.
        causes: What it died of each time, for logs: a signal, or kind and place of an exception. No value of the data.
        cpu_seconds: User and system time of all its runs.
        peak_bytes: Largest resident memory of any run, as last seen while it ran (every 0.2 s, and at its end).
        spool: The spool folder.
    """

    files: list[FileSummary]
    refused: Refused | None
    deaths: int
    causes: tuple[str, ...]
    cpu_seconds: float
    peak_bytes: int
    spool: Path

    @property
    def rejected(self) -> Iterator[Rejected]:
        """Refused records, read from the spool one batch at a time: there may be millions."""
        path = self.spool / "_rejected.arrow"
        if path.exists():
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
                for batch in reader:
                    yield from (Rejected(**row) for row in batch.to_pylist())


@dataclass(frozen=True)
class _Run:
    """One run of the child. `cause` is None if it finished."""

    cause: Reason | None
    note: str
    cpu_seconds: float
    peak_bytes: int


def run_child(job: Mapping[str, Any]) -> ChildResult:
    """Run a parsing job in a disposable process until it is finished.

    Args:
        job: See `assets/formats/job.py`; everything in the folder `spool` is deleted first.

    Returns:
        Outcome of every file, refused records, and how often the child died on the way.

    Raises:
        ParserDefect: The child failed without a record or file to blame.
        OSError: There is no room for the spool; no record is to blame for that.
    """
    spool = Path(job["spool"])
    limits = Limits(**job.get("limits", {}))
    refs = {file["index"]: file["ref"] for file in job["files"]}
    recovery = Recovery()
    runs: list[_Run] = []
    while len(runs) < _TRIES:
        _clear(spool)
        path = spool / "_job.json"
        path.write_text(json.dumps({**job, "recovery": dump_recovery(recovery)}), encoding="utf-8")
        run = _run(path, spool, limits)
        runs.append(run)
        if run.cause is None:
            return _result(spool, refs, runs)
        recovery = _learn(recovery, spool, run)
    raise ParserDefect(f"the parser died {_TRIES} times on one delivery, last of {runs[-1].note}")


def _clear(spool: Path) -> None:
    for path in spool.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _run(path: Path, spool: Path, limits: Limits) -> _Run:
    """Start the child and watch it to its end."""
    command = [sys.executable, "-m", "assets.formats.child", str(path)]
    child = subprocess.Popen(
        command, cwd=REPOSITORY, env=dict(ENVIRONMENT), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        late, peak_bytes = _watch(child, spool, limits)
    except BaseException:
        child.kill()
        child.wait()
        raise
    if late:
        child.kill()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode == DISK_FULL:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), spool.name)
    cause, note = _cause(child.returncode, spool, late=late)
    return _Run(cause, note, usage.ru_utime + usage.ru_stime, max(peak_bytes, read_peak(spool)))


def _watch(child: subprocess.Popen[bytes], spool: Path, limits: Limits) -> tuple[bool, int]:
    """Wait for the child: (it takes too long or makes no progress, most memory seen). Does not reap it: its resource usage is wanted.

    Memory is not read from that usage: Linux counts what the process that started it held (`ru_maxrss` survives `exec`).
    """
    began = moved = time.monotonic()
    mark, peak_bytes = b"", 0
    while not _ended(child.pid):
        now = time.monotonic()
        peak_bytes = max(peak_bytes, peak_of(child.pid))
        if (seen := read_mark(spool)) != mark:
            mark, moved = seen, now
        patience = limits.stall_seconds if mark else max(limits.stall_seconds, _START_SECONDS)
        if now - moved > patience or now - began > limits.wall_seconds:
            return True, peak_bytes
    return False, peak_bytes


def _ended(pid: int) -> bool:
    """Wait a little for a process to end."""
    if hasattr(os, "pidfd_open"):  # wakes at once, where the kernel has it
        descriptor = os.pidfd_open(pid)
        try:
            return bool(select.select([descriptor], [], [], _POLL_SECONDS)[0])
        finally:
            os.close(descriptor)
    time.sleep(_POLL_SECONDS / 10)
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _cause(code: int, spool: Path, *, late: bool) -> tuple[Reason | None, str]:
    """(what it died of, the same for logs)."""
    if (
        spool / "_summary.json"
    ).exists():  # written last: it had finished, and a library that aborts or hangs while it is unloaded harms nothing
        return None, ""
    if late or code == -signal.SIGXCPU:
        return Reason.PARSER_TIMEOUT, "no progress in time"
    if code == OUT_OF_MEMORY or code == -signal.SIGKILL:  # nobody but the kernel's memory killer kills it from outside
        return Reason.PARSER_MEMORY, "out of memory"
    if code == DEFECT:
        note = spool / "_defect"
        return Reason.PARSER_CRASH, note.read_text(encoding="utf-8") if note.exists() else "an exception"
    return Reason.PARSER_CRASH, f"signal {-code}" if code < 0 else f"exit code {code}"


def _learn(recovery: Recovery, spool: Path, run: _Run) -> Recovery:
    """What the next run has to avoid.

    Raises:
        ParserDefect: There is nothing to avoid.
    """
    place = read_place(spool)
    if place is None:
        raise ParserDefect(f"the parser died before it opened a file, of {run.note}")
    cause, block = str(run.cause), (place.file, place.first)
    lost = replace(recovery, lost={**recovery.lost, place.file: cause})
    if place.doing is Doing.OPENING:
        if place.file in recovery.lost:
            raise ParserDefect(f"the parser died after its last file, of {run.note}")
        return lost
    if place.doing is Doing.RECORD:
        enough = sum(file == place.file for file, _ in recovery.skip) + 1 >= _MOST_POISON
        return lost if enough else replace(recovery, skip={**recovery.skip, block: cause})
    at_stake = set(range(place.since, place.file + 1))
    if place.doing is Doing.FLUSH and at_stake - recovery.exact:
        return replace(recovery, exact=recovery.exact | at_stake)
    return lost if block in recovery.careful else replace(recovery, careful=recovery.careful | {block})


def _result(spool: Path, refs: Mapping[int, str], runs: list[_Run]) -> ChildResult:
    summary = json.loads((spool / "_summary.json").read_text(encoding="utf-8"))
    files = [FileSummary(**outcome) for outcome in summary["files"]]
    refused = None
    if told := summary["refused"]:
        refused = Refused(refs.get(told["file"], "?"), told["row_number"], told["rule"], told["reason"], told["detail"])
    causes = tuple(run.note for run in runs[:-1])
    return ChildResult(files, refused, len(causes), causes, sum(r.cpu_seconds for r in runs), max(r.peak_bytes for r in runs), spool)
