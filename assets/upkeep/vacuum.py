"""Files that nobody reads, taken away.

Belongs here: which files those are. Does not belong here: when (schedules), how long files are kept (settings).

Kept, whatever their age: files of the newest version of each table, on disk and in the ledger, and every file that the published catalogue
names, or that make a version which the stamp of a frozen cohort names (until its versions are let go: it was retired, or somebody was
erased). Kept for the retention: files of older versions, counted from when they were replaced, so that a reader who opened yesterday's catalogue
can finish, and files that no commit names (a writer may be about to). A damaged table is left alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from assets.lake.commits import TornTable, log_file, log_folder, newest_version
from assets.lake.log_state import CHECKPOINT_POINTER, LogState, checkpoint_version, named_files
from assets.landing.workspace import Workspace
from assets.run_lock import ended_badly, forget_bad_end
from assets.upkeep.scrub import files_below
from assets.upkeep.unrecorded import OF_NO_BUILD, record_unrecorded
from assets.upkeep.verify import tables_of

RETENTION = timedelta(days=7)


class ClockWrong(RuntimeError):
    """The clock is behind the ledger: no age can be told. Nothing was taken away."""


class CatalogueUnreadable(RuntimeError):
    """It cannot be told which files readers use. Nothing was taken away."""


@dataclass
class Vacuumed:
    """What was taken away, or would be.

    Attributes:
        files: Table -> files.
        bytes: Their bytes.
        skipped: Tables that were left alone, and why.
    """

    files: dict[str, list[str]] = field(default_factory=dict)
    bytes: int = 0
    skipped: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"files": sum(map(len, self.files.values())), "bytes": self.bytes, "by_table": self.files, "skipped": self.skipped}


def vacuum(workspace: Workspace, *, retention: timedelta = RETENTION, now: datetime | None = None, dry_run: bool = False) -> Vacuumed:
    """Take away files that nobody reads. Call it holding the lake, so that nobody writes.

    Args:
        workspace: The lake.
        retention: How long replaced files and unnamed files stay.
        now: Default: the clock.
        dry_run: Only say what would be taken away.

    Raises:
        ClockWrong: The clock is behind the ledger.
        CatalogueUnreadable: It cannot be told which files the catalogue names.
    """
    moment = now or datetime.now(UTC)
    _check_clock(workspace, moment)
    cutoff = moment - retention
    pinned, stamped = _pinned(workspace.lake.catalogue), workspace.stamps.pinned()
    result = Vacuumed()
    for table in tables_of(workspace):
        try:
            replaced = _replaced(workspace, table, cutoff, stamped.get(table, set()))
        except (OSError, ValueError, KeyError, TypeError):
            result.skipped[table] = "its log cannot be followed. Remedy: `biodam repair`"
            continue
        folder = workspace.lake.table(table)
        old = [name for name in orphans(workspace, table) if _mtime(folder / name) < cutoff]
        chosen = [n for n in (*replaced, *old) if str(folder / n) not in pinned and (folder / n).exists()]
        _take(workspace, table, chosen, result, dry_run=dry_run)
    return result


def sweep_after_kill(workspace: Workspace) -> Vacuumed:
    """Settle what a killed writer left. Call it holding the lake, before anything is written.

    Commits of raw tables and frozen cohorts that the ledger lacks are recorded; files that no commit names are taken away, without waiting for the retention.
    """
    result = Vacuumed()
    if ended_badly(workspace.root):
        for table in tables_of(workspace):
            if table.startswith(OF_NO_BUILD):
                with contextlib.suppress(TornTable):  # it stops whoever reads or writes the table, and is for `biodam repair`
                    record_unrecorded(workspace, table)
            _take(workspace, table, orphans(workspace, table), result, dry_run=False)
        forget_bad_end(workspace.root)
    return result


def orphans(workspace: Workspace, table: str) -> list[str]:
    """Files below a table that no commit names: not in the ledger, not in a log file the ledger lacks."""
    known, last = set[str](), -1
    for row in workspace.upkeep.commits(table):
        last = int(row["version"])
        known.update(f["path"] for f in row["files"])
    newest = newest_version(workspace.lake, table)
    for version in range(last + 1, 0 if newest is None else newest + 1):
        path = log_file(workspace.lake, table, version)
        if path.exists():
            known |= named_files(path.read_bytes())
    return sorted(n for n in files_below(workspace.lake.table(table)) if n not in known and not _is_log(n))


def _is_log(name: str) -> bool:
    """A file of the log itself; temporary files of a killed commit are not."""
    folder, _, file = name.rpartition("/")
    is_version = file.endswith(".json") and file[:20].isdigit() and len(file) == 25
    return folder == "_delta_log" and (is_version or file == CHECKPOINT_POINTER or checkpoint_version(file) is not None)


def _replaced(workspace: Workspace, table: str, cutoff: datetime, stamped: Collection[int]) -> list[str]:
    """Files of older versions that were replaced before a moment, without those of versions that a stamp names.

    Raises:
        ValueError: The log has a gap or a file that is none.
    """
    state = LogState()
    gone: dict[str, float] = {}
    newest = newest_version(workspace.lake, table)
    recorded = workspace.commits.latest_version(table)
    kept: set[str] = set()
    if newest is None or (recorded is not None and recorded > newest):
        raise ValueError("the table is behind the ledger")
    for version in range(newest + 1):
        removed = state.take(version, log_file(workspace.lake, table, version).read_bytes())
        gone.update(dict.fromkeys(removed, _committed_at(workspace, table, version, state)))
        if version == recorded or version in stamped:
            kept |= set(state.live)
    kept |= set(state.live)
    return sorted(name for name, when in gone.items() if name not in kept and when < cutoff.timestamp())


def _committed_at(workspace: Workspace, table: str, version: int, state: LogState) -> float:
    return state.committed_ms / 1000 if state.committed_ms else _mtime(log_file(workspace.lake, table, version)).timestamp()


def _pinned(catalogue: Path) -> set[str]:
    """Files the published catalogue names."""
    if not catalogue.exists():
        return set()
    try:
        with duckdb.connect(str(catalogue), read_only=True) as connection:
            return {path for (path,) in connection.execute("select path from biodam_files").fetchall()}
    except duckdb.Error as error:
        raise CatalogueUnreadable("the catalogue cannot be read, so nothing was taken away. Remedy: `biodam run --full`") from error


def _check_clock(workspace: Workspace, now: datetime) -> None:
    last = workspace.upkeep.last_commit_at()
    if last is not None and datetime.fromisoformat(last) > now + timedelta(days=1):
        raise ClockWrong(
            f"the clock says {now:%Y-%m-%d}, the ledger holds a commit of {last[:10]}. Remedy: set the clock; nothing was taken away"
        )


def _take(workspace: Workspace, table: str, names: list[str], result: Vacuumed, *, dry_run: bool) -> None:
    if not names:
        return
    folder = workspace.lake.table(table)
    result.files[table] = names
    result.bytes += sum((folder / n).stat().st_size for n in names)
    if dry_run:
        return
    workspace.upkeep.note_removed(table, names, cause="vacuum")
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for place in {(folder / n).parent for n in names} - {folder, log_folder(workspace.lake, table)}:
        with contextlib.suppress(OSError):  # not empty
            place.rmdir()


def _mtime(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
