"""Records that name no person but another record: lines of a claim statement. Their person is the statement's.

Belongs here: finding the person, and the rows for which there is none. Does not belong here: which tables do so (the verb `person_of` of
`assets/privacy/rules`).

Only the same delivery is looked at: a line that comes without its statement belongs to nobody and is quarantined as `missing_parent`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from assets.formats.reasons import Reason
from assets.ledger.deliveries import QuarantineRow


@dataclass(frozen=True)
class ParentPeople:
    """People of the records of one entity of a delivery, by record id.

    Attributes:
        ids: Record ids, int64, ascending and distinct.
        person_ids: Their people, int64.
        buckets: Their buckets, int32.
    """

    ids: np.ndarray
    person_ids: np.ndarray
    buckets: np.ndarray

    def of(self, ids: pa.Array) -> tuple[pa.Array, pa.Array]:
        """person_id and person_bucket of each id; null where no record has it."""
        at, known = self._places(ids)
        gone = ~known
        return pa.array(self.person_ids[at], mask=gone), pa.array(self.buckets[at], mask=gone)

    def _places(self, ids: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        wanted = ids.fill_null(-1).to_numpy()
        if len(self.ids) == 0:
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return at, self.ids[at] == wanted


class ParentCollector:
    """Gathers record ids and people of one entity while its batches are written."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches; 20 bytes a row are kept."""
        for batch in batches:
            columns = (batch["record_id"], batch["person_id"], batch["person_bucket"])
            self._parts.append(tuple(c.to_numpy(zero_copy_only=False).copy() for c in columns))
            yield batch

    def people(self) -> ParentPeople:
        """What was gathered. A record that came twice keeps the person of its first row."""
        if not self._parts:
            return ParentPeople(np.zeros(1, np.int64)[:0], np.zeros(1, np.int64), np.zeros(1, np.int32))
        ids, people, buckets = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        first = np.argsort(ids)
        distinct = ids[first]
        if (distinct[1:] == distinct[:-1]).any():
            distinct, first = np.unique(ids, return_index=True)
        return ParentPeople(distinct, people[first], buckets[first].astype(np.int32))


def orphan_row(file_index: int, ref: str, row_number: int, rule: str) -> QuarantineRow:
    """The quarantine entry of a row whose parent is not in the delivery."""
    return QuarantineRow(file_index, ref, row_number, None, 1, Reason.MISSING_PARENT, rule, Reason.MISSING_PARENT.sentence)
