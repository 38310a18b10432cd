"""What a table's Delta log says, read from the log files themselves.

Belongs here: versions on disk, the files of one commit, torn tables. Does not belong here: writing a commit (`tables`).
The log files are read directly because delta-rs skips a torn newest one silently and numbers `history()` from a stale
handle (deltalake 1.6.6).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from assets.lake.durable import sha256_file
from assets.lake.paths import Lake

PARQUET_MAGIC = b"PAR1"
REMEDY = "Remedy: `biodam repair`"


class TornTable(RuntimeError):
    """A table holds less than the ledger recorded, or a commit on disk cannot be read. Nothing was written."""


class FileEntry(TypedDict):
    """One data file of a commit; `path` is relative to the table."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class CommitReceipt:
    """One Delta commit, for the ledger.

    Attributes:
        table: Table key, for example `raw/fhir/condition`.
        version: Delta version.
        rows: Rows in the files it added.
        files: Files it added.
        log_sha256: Hash of the log file.
        replayed: The table had this app transaction already; nothing was written.
        metadata: Commit metadata of ours.
    """

    table: str
    version: int
    rows: int
    files: tuple[FileEntry, ...]
    log_sha256: str
    replayed: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of the files it added."""
        return sum(f["bytes"] for f in self.files)


@dataclass(frozen=True)
class Snapshot:
    """The live files of one table version.

    Attributes:
        version: Delta version.
        schema: Arrow schema of the table.
        partition_by: Partition columns; they are not in the data files.
        files: Absolute path -> rows.
        bytes: Bytes of all live files.
    """

    version: int
    schema: pa.Schema
    partition_by: tuple[str, ...]
    files: Mapping[Path, int]
    bytes: int

    @property
    def rows(self) -> int:
        """Rows of the version, by the log's own count."""
        return sum(self.files.values())

    def of_buckets(self, buckets: Collection[int] | None) -> Snapshot:
        """Only files of some buckets of people; all where None, or where the table does not lie by bucket: rows have to be told apart then."""
        if buckets is None or "person_bucket" not in self.partition_by:
            return self
        folders = {f"person_bucket={bucket}" for bucket in buckets}
        return replace(self, files={path: rows for path, rows in self.files.items() if folders.intersection(path.parts)})


def log_folder(lake: Lake, table_key: str) -> Path:
    """Folder of the table's log."""
    return lake.table(table_key) / "_delta_log"


def log_file(lake: Lake, table_key: str, version: int) -> Path:
    """Log file of one version."""
    return log_folder(lake, table_key) / f"{version:020d}.json"


def newest_version(lake: Lake, table_key: str) -> int | None:
    """Newest version by the names of the log files, or None where there is no table. Opens nothing."""
    names = (p.name for p in log_folder(lake, table_key).glob("[0-9]*.json"))
    versions = [int(n[:20]) for n in names if len(n) == 25 and n[:20].isdigit()]
    return max(versions, default=None)


def open_table(lake: Lake, table_key: str, *, expected_version: int | None = None, expected_log: str | None = None) -> DeltaTable | None:
    """Open a table for writing, checked against the ledger.

    Args:
        lake: The lake.
        table_key: Table key.
        expected_version: Newest version that the ledger recorded, None where it recorded none.
        expected_log: SHA-256 of that version's log file, None where it is not known.

    Returns:
        The table at its newest version, or None where there is none.

    Raises:
        TornTable: The table is missing, behind the ledger or not what it recorded, or its newest log file cannot be read.
    """
    on_disk = newest_version(lake, table_key)
    if on_disk is None:
        if expected_version is not None:
            raise TornTable(f"{table_key}: the ledger recorded version {expected_version}, but the table is gone. {REMEDY}")
        return None
    try:
        table = DeltaTable(str(lake.table(table_key)))
    except DeltaError as error:
        raise TornTable(f"{table_key}: the log cannot be read at version {on_disk} ({type(error).__name__}). {REMEDY}") from error
    _actions(table_key, log_file(lake, table_key, on_disk))  # an emptied log file opens as a commit of nothing
    if table.version() < on_disk:
        raise TornTable(f"{table_key}: the log file of version {on_disk} is torn; the table opens at {table.version()}. {REMEDY}")
    if expected_version is not None and table.version() < expected_version:
        raise TornTable(f"{table_key}: stands at version {table.version()}, but the ledger recorded {expected_version}. {REMEDY}")
    if (
        expected_version is not None
        and expected_log is not None
        and sha256_file(log_file(lake, table_key, expected_version)) != expected_log
    ):
        raise TornTable(f"{table_key}: the log file of version {expected_version} is not what was written. {REMEDY}")
    return table


def read_commit(lake: Lake, table_key: str, version: int, *, with_files: bool = True) -> CommitReceipt:
    """Read one commit back from disk and hash its files.

    Args:
        lake: The lake.
        table_key: Table key.
        version: Its version.
        with_files: False: the ledger has the commit, so its files are not looked at; a vacuum may have taken them.

    Raises:
        TornTable: The log file does not parse, or a file it names is missing, of another size or without a Parquet end.
    """
    path = log_file(lake, table_key, version)
    actions = _actions(table_key, path)
    added = [a["add"] for a in actions if "add" in a]
    rows = sum(json.loads(add["stats"])["numRecords"] for add in added)
    files: list[FileEntry] = []
    for add in added if with_files else ():
        relative = unquote(add["path"])
        data = lake.table(table_key) / relative
        _check_data_file(table_key, version, data, add["size"])
        files.append({"path": relative, "bytes": add["size"], "sha256": sha256_file(data)})
    info: Mapping[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
    stated = dict(info.get("biodam") or {})
    if stated.pop("added_files", len(added)) != len(added) or stated.pop("added_rows", rows) != rows:
        raise TornTable(f"{table_key}: the log file of version {version} names fewer files than were committed. {REMEDY}")
    return CommitReceipt(table_key, version, rows, tuple(files), sha256_file(path), metadata=stated)


def find_transaction(lake: Lake, table_key: str, app_id: str, version: int) -> int | None:
    """Delta version of the newest commit that carries an app transaction, or None where its log file is gone."""
    newest = newest_version(lake, table_key)
    for candidate in range(-1 if newest is None else newest, -1, -1):
        path = log_file(lake, table_key, candidate)
        if not path.exists():
            return None
        for action in _actions(table_key, path):
            txn = action.get("txn")
            if txn and txn["appId"] == app_id and txn["version"] == version:
                return candidate
    return None


def unrecorded_commits(lake: Lake, table_key: str, expected_version: int | None) -> tuple[CommitReceipt, ...]:
    """Commits on disk that the ledger does not know: a run was killed between the two.

    Args:
        lake: The lake.
        table_key: Table key.
        expected_version: Newest version that the ledger recorded, None where it recorded none.

    Raises:
        TornTable: The table is behind the ledger, or one of these commits is not whole.
    """
    table = open_table(lake, table_key, expected_version=expected_version)
    if table is None:
        return ()
    first = 0 if expected_version is None else expected_version + 1
    return tuple(read_commit(lake, table_key, v) for v in range(first, table.version() + 1) if log_file(lake, table_key, v).exists())


def read_snapshot(lake: Lake, table_key: str, version: int | None = None) -> Snapshot:
    """Live files of a version (default: the newest).

    Raises:
        ValueError: The version uses deletion vectors or column mapping, so that its Parquet files alone do not tell its rows.
    """
    table = DeltaTable(str(lake.table(table_key)), version=version)
    features = set(table.protocol().reader_features or ())
    mapping = table.metadata().configuration.get("delta.columnMapping.mode", "none")
    if "deletionVectors" in features or mapping != "none":
        raise ValueError(f"{table_key}: uses deletion vectors or column mapping; its files cannot be read without the log")
    stream = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True))  # pa.table() would import pandas
    actions = stream.read_all()
    root = lake.table(table_key)
    paths = [root / unquote(p) for p in actions["path"].to_pylist()]
    files = dict(sorted(zip(paths, actions["num_records"].to_pylist(), strict=True)))
    schema = pa.schema(table.schema().to_arrow())
    partitions = tuple(table.metadata().partition_columns)
    return Snapshot(table.version(), schema, partitions, files, sum(actions["size_bytes"].to_pylist()))


def transaction_of(lake: Lake, table_key: str, app_id: str, version: int) -> int | None:
    """Batch of an app transaction that a version of a table holds, or None."""
    done: int | None = DeltaTable(str(lake.table(table_key)), version=version).transaction_version(app_id)
    return done


def _actions(table_key: str, path: Path) -> list[dict[str, Any]]:
    try:
        actions: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise TornTable(f"{table_key}: the log file {path.name} cannot be read. {REMEDY}") from error
    if not actions:
        raise TornTable(f"{table_key}: the log file {path.name} is empty. {REMEDY}")
    return actions


def _check_data_file(table_key: str, version: int, path: Path, size: int) -> None:
    try:
        with path.open("rb") as stream:
            stream.seek(-len(PARQUET_MAGIC), 2)
            whole = stream.read() == PARQUET_MAGIC and stream.tell() == size
    except OSError:
        whole = False
    if not whole:
        raise TornTable(f"{table_key}: version {version} names the file {path.name}, which is missing or cut short. {REMEDY}")


__all__ = [
    "CommitReceipt",
    "FileEntry",
    "Snapshot",
    "TornTable",
    "find_transaction",
    "log_file",
    "log_folder",
    "newest_version",
    "open_table",
    "read_commit",
    "read_snapshot",
    "transaction_of",
    "unrecorded_commits",
]
