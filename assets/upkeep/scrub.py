"""Every byte of the tables compared with what the ledger recorded when it was written.

Belongs here: finding what differs. Does not belong here: putting it right (`repair`), Delta itself: files are read as bytes, so that a
damaged table can still be looked at.

Memory holds the names of one table's files, never a file; a table is read once, in the order of its commits.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from assets.lake.commits import TornTable, log_file, log_folder, newest_version, read_commit
from assets.lake.durable import sha256_file
from assets.lake.log_state import CHECKPOINT_POINTER, LogState, checkpoint_version, differs, named_files, pointer_differs
from assets.lake.paths import Lake
from assets.ledger.commits import CommitEntry, chain_hash

Progress = Callable[[int], None]
_THREADS = 2
"""Hashing lets other threads run. More threads wait for the disk only."""


class Kind(StrEnum):
    """What is wrong with a file or a row."""

    DAMAGED = "damaged"
    MISSING = "missing"
    UNKNOWN = "unknown"
    UNRECORDED = "unrecorded"
    LEDGER = "ledger"


@dataclass(frozen=True)
class Finding:
    """One difference between lake and ledger.

    Attributes:
        table: Table key; `landing`, `control` or `vault` for what is no table.
        version: Commit that the file belongs to, None where none is known.
        path: File, relative to the table's folder.
        kind: What is wrong.
        detail: One sentence, without any value of a record.
    """

    table: str
    version: int | None
    path: str
    kind: Kind
    detail: str

    @property
    def line(self) -> str:
        """For people."""
        version = "" if self.version is None else f" version {self.version}"
        return f"{self.kind.upper():<10} {self.table}{version}: {self.path}: {self.detail}"

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass
class TableReport:
    """What was found in one table.

    Attributes:
        files: Files whose hash was compared.
        bytes: Their bytes.
    """

    table: str
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


def scrub_table(
    lake: Lake, table: str, commits: Iterable[Mapping[str, Any]], *, removed: frozenset[str] | set[str] = frozenset(),
    checkpoints: Mapping[str, str] | None = None, progress: Progress = lambda _: None,
) -> TableReport:  # fmt: skip
    """Compare one table with its commit rows.

    Args:
        lake: The lake.
        table: Table key.
        commits: Its rows of the ledger, oldest first.
        removed: Files that were taken away on purpose.
        checkpoints: Name of a checkpoint -> SHA-256 it had when its content was compared with the log.
        progress: Told of bytes read.
    """
    return _Scrub(lake, table, set(removed), dict(checkpoints or {}), progress).run(commits)


def file_problem(path: Path, size: int, sha256: str, progress: Progress = lambda _: None) -> tuple[Kind, str] | None:
    """What is wrong with one file, None where size and hash are as recorded."""
    try:
        found = path.stat().st_size
        if found != size:
            return Kind.DAMAGED, f"has {found} bytes, {size} were written"
        digest = sha256_file(path)
    except FileNotFoundError:
        return Kind.MISSING, "is not there"
    except OSError as error:
        return Kind.DAMAGED, f"cannot be read ({os.strerror(error.errno or 0)})"
    progress(size)
    return None if digest == sha256 else (Kind.DAMAGED, "its content is not what was written (SHA-256 differs)")


class _Scrub:
    """One table on its way."""

    def __init__(self, lake: Lake, table: str, removed: set[str], checkpoints: dict[str, str], progress: Progress) -> None:
        self._lake = lake
        self._folder = lake.table(table)
        self._report = TableReport(table)
        self._removed = removed
        self._checkpoints = checkpoints
        self._progress = progress
        self._known: set[str] = set()
        self._state: LogState | None = LogState()

    def run(self, commits: Iterable[Mapping[str, Any]]) -> TableReport:
        last = -1
        previous = ""
        with ThreadPoolExecutor(_THREADS) as threads:
            for row in commits:
                last, previous = self._ledger_row(row, last, previous)
                self._log(int(row["version"]), row["log_sha256"])
                self._data(threads, row)
        self._beyond(last)
        self._pointer()
        self._unknown()
        return self._report

    def _find(self, version: int | None, path: str, kind: Kind, detail: str) -> None:
        self._report.findings.append(Finding(self._report.table, version, path, kind, detail))

    def _ledger_row(self, row: Mapping[str, Any], last: int, previous: str) -> tuple[int, str]:
        """Is the row the next link of the chain?"""
        version = int(row["version"])
        entry = CommitEntry(row["table_key"], version, row["rows"], row["files"], row["log_sha256"], row["cause"])
        name = f"lake_commit row of version {version}"
        if version != last + 1:
            self._find(version, name, Kind.LEDGER, f"follows version {last}: {version - last - 1} row(s) are missing before it")
        if row["previous_hash"] != previous:
            self._find(version, name, Kind.LEDGER, "does not continue the chain of the row before it")
        if row["hash"] != chain_hash(entry, row["previous_hash"]):
            self._find(version, name, Kind.LEDGER, "was changed after it was written")
        return version, str(row["hash"])

    def _log(self, version: int, sha256: str | None) -> None:
        path = log_file(self._lake, self._report.table, version)
        name = f"_delta_log/{path.name}"
        self._known.add(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            self._state = None
            kind = Kind.MISSING if isinstance(error, FileNotFoundError) else Kind.DAMAGED
            self._find(version, name, kind, "the log file of this commit is not there" if kind is Kind.MISSING else "cannot be read")
            return
        self._progress(len(content))
        self._report.files += 1
        self._report.bytes += len(content)
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            self._find(version, name, Kind.DAMAGED, "is empty" if not content else "the log file is not what was written (SHA-256 differs)")
            self._state = None
        self._take(version, content)

    def _take(self, version: int, content: bytes) -> None:
        """Follow the log, and compare the checkpoint of this version, if there is one."""
        if self._state is not None:
            try:
                self._state.take(version, content)
            except (ValueError, KeyError, TypeError):
                self._state = None
        for path in sorted(log_folder(self._lake, self._report.table).glob(f"{version:020d}.checkpoint*parquet")):
            self._checkpoint(version, path)

    def _checkpoint(self, version: int, path: Path) -> None:
        name = f"_delta_log/{path.name}"
        self._known.add(name)
        self._report.files += 1
        self._report.bytes += path.stat().st_size
        recorded = self._checkpoints.get(name)
        if recorded is not None and sha256_file(path) != recorded:
            self._find(version, name, Kind.DAMAGED, "the checkpoint is not what was written (SHA-256 differs)")
        elif self._state is not None and (problem := differs(path, self._state)) is not None:
            self._find(version, name, Kind.DAMAGED, f"the checkpoint: {problem}")

    def _data(self, threads: ThreadPoolExecutor, row: Mapping[str, Any]) -> None:
        wanted = []
        for file in row["files"]:
            self._known.add(file["path"])
            if file["path"] not in self._removed or (self._folder / file["path"]).exists():
                wanted.append(file)
        problems = threads.map(lambda f: file_problem(self._folder / f["path"], f["bytes"], f["sha256"], self._progress), wanted)
        for file, problem in zip(wanted, problems, strict=True):
            self._report.files += 1
            self._report.bytes += file["bytes"]
            if problem is not None:
                self._find(int(row["version"]), file["path"], *problem)

    def _beyond(self, last: int) -> None:
        """Commits that the ledger lacks: a run was killed between the two, or somebody else wrote."""
        newest = newest_version(self._lake, self._report.table)
        for version in range(last + 1, 0 if newest is None else newest + 1):
            path = log_file(self._lake, self._report.table, version)
            name = f"_delta_log/{path.name}"
            if not path.exists():
                self._find(version, name, Kind.MISSING, "the log has a gap here")
                self._state = None
                continue
            self._known.add(name)
            self._find(version, name, *self._unrecorded(version))
            content = path.read_bytes()
            self._take(version, content)
            self._known.update(named_files(content))

    def _unrecorded(self, version: int) -> tuple[Kind, str]:
        try:
            read_commit(self._lake, self._report.table, version)
        except TornTable:
            return Kind.DAMAGED, "a commit that the ledger lacks is not whole; its delivery is not landed yet"
        return Kind.UNRECORDED, "the ledger has no such commit: a run was cut short. The next one records it"

    def _pointer(self) -> None:
        folder = log_folder(self._lake, self._report.table)
        if not folder.is_dir():
            return
        newest = max((p for p in folder.iterdir() if checkpoint_version(p.name) is not None), default=None, key=lambda p: p.name)
        self._known.add(f"_delta_log/{CHECKPOINT_POINTER}")
        if (problem := pointer_differs(folder, newest)) is not None:
            self._find(None, f"_delta_log/{CHECKPOINT_POINTER}", Kind.DAMAGED, problem)

    def _unknown(self) -> None:
        for name in sorted(files_below(self._folder)):
            if name not in self._known:
                self._find(None, name, Kind.UNKNOWN, "no commit names this file; nothing reads it")


def files_below(folder: Path) -> Iterator[str]:
    """Every file below a folder, relative to it."""
    for place, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(place, name), folder)
