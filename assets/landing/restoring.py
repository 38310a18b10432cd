"""Rows that a raw table has lost, written again from the landing store and the vault.

Belongs here: which rows, and writing them. Does not belong here: parsing a delivery a second time (`again`), finding what a table lost
(`assets/upkeep/repair`).

What had landed is what the quarantine says had landed: who has withdrawn since decides nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assets.contracts.table import Entity
from assets.landing.again import _Again, own_spool
from assets.landing.land import _Delivery
from assets.landing.ranks import OPEN
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.privacy.vault import Resolution


def land_lost(workspace: Workspace, key: DeliveryKey, held: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, int]:
    """Write the rows of a landed delivery that raw tables have lost.

    Args:
        workspace: The lake.
        key: A landed delivery.
        held: Raw table -> file reference -> row numbers that the table still has. Other tables are not touched.

    Returns:
        Raw table -> rows written.
    """
    with own_spool(workspace, key) as spool:
        return _Relanding(workspace, key, spool, workspace.deliveries.quarantine_history(key), held).write()


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
        self._present = held
        self._rank_by(history, {})
        self._names = {f.index: f.ref for f in self._files}
        self._transaction = (None, 0)
        self._cause = f"repair {key}"

    def write(self) -> dict[str, int]:
        self._read()
        self._whole_files = {}  # what is held back is told by its rank
        rows, *_ = self._write(self._resolve())
        return {self._contract.entities[e].key: n for e, n in rows.items() if self._contract.entities[e].key in self._present}

    def _chosen(self, entity: Entity, batch: pa.RecordBatch) -> np.ndarray:
        if entity.key not in self._present:
            return np.zeros(batch.num_rows, bool)
        files, numbers = batch["_file"].to_numpy(), batch["_row_number"].to_numpy()
        lost = np.asarray(self._rank_of(entity, batch) < OPEN)
        for index in np.unique(files).tolist():
            here = files == index
            lost[here] &= ~np.isin(numbers[here], self._present[entity.key].get(self._names[index], np.empty(0, np.int64)))
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


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


__all__ = ["land_lost", "restore_people"]
