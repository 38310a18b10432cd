"""The state of a Delta table as its JSON log files tell it, version by version.

Belongs here: replaying log files, comparing a checkpoint with them. Does not belong here: opening a table (`commits`), judging hashes
(`assets/upkeep/scrub`).

Our logs are never cleaned up, so a checkpoint holds nothing that the log files do not: one that differs from them is damaged, and taking it
away loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

CHECKPOINT_POINTER = "_last_checkpoint"


@dataclass
class LogState:
    """What a table is after its log files up to `version`.

    Attributes:
        version: Last version taken in, -1 before the first.
        live: Path relative to the table -> its add action.
        transactions: Application id -> version.
        protocol, metadata: The newest of each.
        committed_ms: When the last commit was made, Unix milliseconds, 0 where it does not say.
    """

    version: int = -1
    live: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    transactions: dict[str, int] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    committed_ms: int = 0

    def take(self, version: int, content: bytes) -> set[str]:
        """Take in the next log file; returns the files it removes.

        Raises:
            ValueError: It does not follow the last one, or is no log file.
        """
        if version != self.version + 1:
            raise ValueError(f"version {version} does not follow {self.version}")
        actions = [json.loads(line) for line in content.splitlines() if line.strip()]
        if not actions or not all(isinstance(a, dict) for a in actions):
            raise ValueError("no actions")
        self.committed_ms = next((int(a["commitInfo"].get("timestamp") or 0) for a in actions if "commitInfo" in a), 0)
        removed = {unquote(a["remove"]["path"]) for a in actions if "remove" in a}
        for action in actions:
            self._apply(action)
        self.version = version
        return removed

    def _apply(self, action: Mapping[str, Any]) -> None:
        if "add" in action:
            self.live[unquote(action["add"]["path"])] = action["add"]
        elif "remove" in action:
            self.live.pop(unquote(action["remove"]["path"]), None)
        elif "txn" in action:
            self.transactions[action["txn"]["appId"]] = action["txn"]["version"]
        elif "protocol" in action:
            self.protocol = action["protocol"]
        elif "metaData" in action:
            self.metadata = action["metaData"]


def named_files(content: bytes) -> set[str]:
    """Data files that one log file adds; empty where it is no log file."""
    state = LogState()
    try:
        state.take(0, content)
    except (ValueError, KeyError, TypeError):
        return set()
    return set(state.live)


def checkpoint_version(name: str) -> int | None:
    """Version of a checkpoint by its file name, None for any other file."""
    number, _, rest = name.partition(".")
    return int(number) if len(number) == 20 and number.isdigit() and rest.startswith("checkpoint") and rest.endswith("parquet") else None


def differs(path: Path, state: LogState) -> str | None:
    """What a checkpoint says otherwise than the log files up to its version; None where it says the same."""
    try:
        found = _read_checkpoint(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        return f"cannot be read ({type(error).__name__})"
    for what, here, there in (
        ("files", found.live, state.live), ("transactions", found.transactions, state.transactions),
        ("protocol", found.protocol, state.protocol), ("columns or properties", found.metadata, state.metadata),
    ):  # fmt: skip
        if _plain(here) != _plain(there):
            return f"its {what} differ from the log files"
    return None


def _read_checkpoint(path: Path) -> LogState:
    state = LogState()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                kind = next((k for k, v in row.items() if v is not None), "")
                if kind in ("add", "txn", "protocol", "metaData"):
                    state._apply({kind: row[kind]})
    return state


def _plain(value: Any) -> Any:
    """The same value whichever of the two forms it came from: maps as dicts, absent as missing."""
    if isinstance(value, Mapping):
        kept = {k: _plain(v) for k, v in value.items() if v is not None and k != "dataChange"}
        return {k: v for k, v in kept.items() if v not in ({}, [])}
    if isinstance(value, list | tuple):
        pairs = [v for v in value if isinstance(v, tuple) and len(v) == 2]
        return _plain(dict(pairs)) if pairs and len(pairs) == len(value) else [_plain(v) for v in value]
    if isinstance(value, str) and value[:1] == "{":
        try:
            return _plain(json.loads(value))
        except ValueError:
            return value
    return value


def pointer_differs(folder: Path, newest: Path | None) -> str | None:
    """What is wrong with `_last_checkpoint`, None where it holds. `newest`: the newest checkpoint file, if any."""
    pointer = folder / CHECKPOINT_POINTER
    if newest is None:
        return "it names a checkpoint, and there is none" if pointer.exists() else None
    try:
        said = json.loads(pointer.read_bytes())
        if said["version"] != checkpoint_version(newest.name):
            return f"it names version {said['version']}, the newest checkpoint is of version {checkpoint_version(newest.name)}"
        rows = pq.read_metadata(newest).num_rows
        if said.get("size", rows) != rows or said.get("sizeInBytes", newest.stat().st_size) != newest.stat().st_size:
            return "rows or bytes differ from the checkpoint it names"
        unknown = set(said) - {"version", "size", "sizeInBytes", "numOfAddFiles", "parts", "checksum", "checkpointSchema", "tags"}
        return "it cannot be read" if unknown else None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return "it cannot be read"
