"""One landed delivery parsed again from the landing store: to land what its quarantine holds back, or rows that a table has lost.

Belongs here: which of its rows are written this time. Does not belong here: landing itself (`land`), finding what a table lost
(`assets/upkeep/repair`).

Rows keep the ids they would have had: rows are numbered in the order in which they landed, those of the first landing first, then those of
each replay. So a replay never takes the id of a row that lies in a table already, and a row that is landed a second time gets its own back.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assets.contracts.table import Entity
from assets.landing.door import sha256_of, stored_folder
from assets.landing.identify import read_spool
from assets.landing.job import file_jobs
from assets.landing.land import UNPACKED, ConservationError, _Delivery
from assets.landing.manifest import read_manifest
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey, QuarantineRow, ReplayReceipt
from assets.privacy.scrub import load_rules
from assets.privacy.vault import Resolution

_OPEN = 2**31
"""Rank of rows that are still held back: after every row that has landed."""


class CannotReplay(RuntimeError):
    """The delivery cannot be parsed as it was; the message says why. Nothing was written."""


@dataclass
class Replayed:
    """What a replay did to one delivery. Counts are records."""

    key: DeliveryKey
    asked: int = 0
    landed: int = 0
    duplicate: int = 0
    still: Counter[str] = field(default_factory=Counter)
    problem: str | None = None


def replay(workspace: Workspace, key: DeliveryKey, ids: Collection[int]) -> Replayed:
    """Parse a delivery by today's rules and land what they accept of these quarantine entries, exactly once.

    Args:
        workspace: The lake.
        key: A landed delivery.
        ids: Quarantine entries; settled ones are left alone.

    Raises:
        CannotReplay: The stored bytes are not what was accepted, or are counted otherwise than before.
        ConservationError: The accounts would not add up.
    """
    history = workspace.deliveries.quarantine_history(key)
    chosen = [e for e in history if e["id"] in ids and e["replay"] is None]
    if not chosen:
        return Replayed(key)
    with _spool(workspace, key) as spool:
        return _Replay(workspace, key, spool, history, chosen).replay()


def land_lost(workspace: Workspace, key: DeliveryKey, held: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, int]:
    """Write the rows of a landed delivery that raw tables have lost.

    Args:
        workspace: The lake.
        key: A landed delivery.
        held: Raw table -> file reference -> row numbers that the table still has. Other tables are not touched.

    Returns:
        Raw table -> rows written.
    """
    with _spool(workspace, key) as spool:
        return _Relanding(workspace, key, spool, workspace.deliveries.quarantine_history(key), held).write()


@contextmanager
def _spool(workspace: Workspace, key: DeliveryKey) -> Iterator[Path]:
    spool = workspace.lake.landing / ".spool" / key.site / key.feed / key.delivery_id
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True)
    try:
        yield spool
    finally:
        shutil.rmtree(spool, ignore_errors=True)


class _Ranks:
    """When each record of a delivery landed: 0 at first, n with the n-th replay, `_OPEN` not yet."""

    def __init__(self, history: Iterable[Mapping[str, Any]], now: Mapping[int, int]) -> None:
        self._files: dict[int, int] = {}
        self._rows: dict[int, dict[int, int]] = {}
        for entry in history:
            rank = now.get(entry["id"], _OPEN if entry["replay"] is None else entry["replay"])
            if entry["row_number"] is None:
                self._files[entry["file_index"]] = rank
            else:
                self._rows.setdefault(entry["file_index"], {})[entry["row_number"]] = rank

    def of(self, batch: pa.RecordBatch) -> np.ndarray:
        """Rank of each row of a spooled batch."""
        files, numbers = batch["_file"].to_numpy(), batch["_row_number"].to_numpy()
        ranks = np.zeros(batch.num_rows, np.int64)
        for index in np.unique(files).tolist():
            here = files == index
            ranks[here] = self._files.get(index, 0)
            rows = self._rows.get(index)
            if rows:
                places = np.flatnonzero(here & np.isin(numbers, np.fromiter(rows, np.int64, len(rows))))
                ranks[places] = [rows[n] for n in numbers[places].tolist()]
        return ranks


class _Again(_Delivery):
    """A delivery parsed a second time."""

    def __init__(self, workspace: Workspace, key: DeliveryKey, spool: Path) -> None:
        folder = stored_folder(workspace, key)
        manifest, _ = read_manifest(folder)
        erased = workspace.erasures.stored(key)
        for number, file in enumerate(manifest.files, 1):
            path = folder / file.path
            sha256 = erased.get(file.sha256.lower(), file.sha256.lower())
            if sha256 is None:
                raise CannotReplay(
                    f"{key}: file {number} of its manifest was destroyed when a person in it was erased. Remedy: restore raw tables from a backup"
                    " (docs/ERASURE.md); have what its quarantine holds delivered again"
                )
            if not path.is_file() or sha256_of(path) != sha256:
                raise CannotReplay(f"{key}: file {number} of its manifest is not what was accepted. Remedy: restore landing/ from a backup")
        files = file_jobs(manifest, folder, workspace.sites[key.site].feeds[key.feed], spool / UNPACKED)
        super().__init__(workspace, key, manifest.sequence, files, spool)
        self._rank: _Ranks

    def _read(self) -> dict[int, int]:
        """Count and parse; `_quarantine` is then what today's rules refuse. Returns records by file."""
        counted = {f.index: self._count(f).records for f in self._files}
        refused = self._parse()
        if refused is not None:
            raise CannotReplay(f"{self._key}: refused whole by today's rules ({refused[0]})")
        self._balance(counted)
        return counted

    def _ranks(self, paths: tuple[Path, ...]) -> np.ndarray | None:
        return np.concatenate([self._rank.of(batch) for batch in read_spool(*paths)] or [np.empty(0, np.int64)])


class _Replay(_Again):
    """What the quarantine of a delivery holds back."""

    def __init__(
        self, workspace: Workspace, key: DeliveryKey, spool: Path, history: list[dict[str, Any]], chosen: list[dict[str, Any]]
    ) -> None:
        super().__init__(workspace, key, spool)
        self._history = history
        self._asked = chosen
        self._number = max((e["replay"] or 0 for e in history), default=0) + 1
        label = f"{key}~replay{self._number}"
        self._transaction = (f"{key}~replay", self._number)
        self._cause = f"replay {label}"
        self._identity_source = f"identity-replay-{self._number}"

    def replay(self) -> Replayed:
        counted = self._read()
        self._require_same_count(counted)
        today = {(q.file_index, q.row_number): q for q in self._quarantine}
        held = self._whole_files.keys() | self._files_of_lines()
        settled = [e for e in self._asked if e["file_index"] not in held and (e["file_index"], e["row_number"]) not in today]
        result = Replayed(self._key, asked=sum(e["records"] for e in self._asked))
        whole = {e["file_index"] for e in settled if e["row_number"] is None}
        refused = [q for q in self._quarantine if q.file_index in whole]
        for entry in self._asked:
            if entry not in settled:
                result.still[entry["reason"]] += entry["records"]
        result.still.update(Counter(q.reason for q in refused))
        if not settled:
            return result
        self._settled = {e["id"] for e in settled}
        self._rank = _Ranks([*self._history, *_as_entries(refused)], dict.fromkeys(self._settled, self._number))
        receipt = self._land(counted, whole, refused)
        result.landed, result.duplicate = sum(receipt.landed.values()), sum(receipt.duplicate.values())
        return result

    def _files_of_lines(self) -> set[int]:
        """Files of records that take their person from another record: they land with it or not at all, so they are delivered again."""
        rules = load_rules(self._contract.family)
        lines = {name for name, of in rules.items() if any(rule.verb == "person_of" for rule in of.rules.values())}
        return {f.index for f in self._files if f.entity in lines}

    def _land(self, counted: Mapping[int, int], whole: set[int], refused: list[QuarantineRow]) -> ReplayReceipt:
        workspace, key = self._workspace, self._key
        rows, versions, duplicates, buckets = self._write(self._resolve())
        for entity, written in rows.items():
            receipt = self._receipts[self._contract.entities[entity].key]
            if receipt.replayed and receipt.rows != written:
                raise ConservationError(
                    f"{key}: a replay was cut short after it wrote {receipt.rows} rows of {entity}; today's rules accept {written}."
                    " Remedy: replay with the rules of then, afterwards with those of now"
                )
        added = {e: n for e, n in rows.items() if n}
        receipt_ = ReplayReceipt(
            self._number, sorted(self._settled), refused, {i: counted[i] for i in whole}, dict(self._landed_by_file), dict(duplicates), added,
            versions,
        )  # fmt: skip
        self._note_change(buckets, versions)
        workspace.deliveries.close_replayed(key, receipt_, rule_version=workspace.rule_version)
        return receipt_

    def _require_same_count(self, counted: Mapping[int, int]) -> None:
        """Row numbers only mean the same records where the files still fall into as many."""
        was_whole = {e["file_index"] for e in self._history if e["row_number"] is None and e["replay"] is None}
        for row in self._workspace.deliveries.files(self._key):
            index = row["file_index"]
            if index not in was_whole and counted.get(index) != row["counted"]:
                raise CannotReplay(
                    f"{self._key}: {row['ref']} now falls into {counted.get(index)} records, {row['counted']} when it landed."
                    " Remedy: undo the change of delimiter, quote or encoding, or have it delivered again"
                )

    def _chosen(self, entity: Entity, batch: pa.RecordBatch) -> np.ndarray:
        return np.asarray(self._rank.of(batch) == self._number)


class _Relanding(_Again):
    """Rows that tables have lost."""

    def __init__(
        self,
        workspace: Workspace,
        key: DeliveryKey,
        spool: Path,
        history: list[dict[str, Any]],
        held: Mapping[str, Mapping[str, np.ndarray]],
    ) -> None:
        super().__init__(workspace, key, spool)
        self._held = held
        self._rank = _Ranks(history, {})
        self._names = {f.index: f.ref for f in self._files}
        self._transaction = (None, 0)
        self._cause = f"repair {key}"

    def write(self) -> dict[str, int]:
        self._read()
        self._whole_files = {}  # what is held back is told by its rank
        rows, *_ = self._write(self._resolve())
        return {self._contract.entities[e].key: n for e, n in rows.items() if self._contract.entities[e].key in self._held}

    def _chosen(self, entity: Entity, batch: pa.RecordBatch) -> np.ndarray:
        if entity.key not in self._held:
            return np.zeros(batch.num_rows, bool)
        files, numbers = batch["_file"].to_numpy(), batch["_row_number"].to_numpy()
        lost = np.asarray(self._rank.of(batch) < _OPEN)
        for index in np.unique(files).tolist():
            here = files == index
            lost[here] &= ~np.isin(numbers[here], self._held[entity.key].get(self._names[index], np.empty(0, np.int64)))
        return lost

    def _append(self, entity: Entity, batches: Iterator[pa.RecordBatch]) -> int:
        first = next(batches, None)
        if first is None:  # nothing of this table is lost
            return -1
        return super()._append(entity, _chain(first, batches))

    def _write_people(self, resolution: Resolution) -> None:
        """People are restored from the vault, without parsing (`restore_people`)."""


def restore_people(workspace: Workspace, key: DeliveryKey, labels: Iterable[str], held: Mapping[str, set[tuple[str, int]]]) -> None:
    """Write the rows of `raw/people/*` that the vault made for a delivery and its replays, and that the tables have lost.

    Args:
        workspace: The lake.
        key: A landed delivery.
        labels: Names under which the vault resolved it: the delivery, and each replay.
        held: Raw table -> (source file, row number) it still has of this delivery.
    """
    row = workspace.deliveries.get(key) or {}
    writer = _People(workspace, key, int(row["sequence"]))
    for label in labels:
        writer.restore(label, held)


class _People(_Delivery):
    """Only the rows about identity."""

    def __init__(self, workspace: Workspace, key: DeliveryKey, sequence: int) -> None:
        super().__init__(workspace, key, sequence, [], Path())
        self._transaction = (None, 0)
        self._cause = f"repair {key}"
        self._present: Mapping[str, set[tuple[str, int]]] = {}

    def restore(self, label: str, held: Mapping[str, set[tuple[str, int]]]) -> None:
        number = label.rpartition("~replay")[2]
        self._identity_source = f"identity-replay-{number}" if "~replay" in label else "identity"
        self._present = held
        self._write_people(self._workspace.vault.resolve(site=self._key.site, delivery=label, groups=(), locals_=()))

    def _append(self, entity: Entity, batches: Iterator[pa.RecordBatch]) -> int:
        if entity.key not in self._present:
            return -1
        kept = []
        for batch in batches:
            places = zip(batch["_source_file"].to_pylist(), batch["_row_number"].to_pylist(), strict=True)
            lost = batch.filter(pa.array([place not in self._present[entity.key] for place in places], pa.bool_()))
            kept += [lost] if lost.num_rows else []
        return super()._append(entity, iter(kept)) if kept else -1


def _as_entries(refused: Iterable[QuarantineRow]) -> list[dict[str, Any]]:
    return [{"id": -1, "file_index": q.file_index, "row_number": q.row_number, "replay": None} for q in refused]


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


__all__ = ["CannotReplay", "Replayed", "land_lost", "replay", "restore_people"]
