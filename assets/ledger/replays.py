"""What a replay did to one delivery, as the ledger records it.

Belongs here: the shape of it. Does not belong here: recording it (`Deliveries.close_replayed`), replaying (`assets/landing/again`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assets.ledger.deliveries import QuarantineRow
from assets.ledger.withdrawn import HeldRecord


@dataclass(frozen=True)
class ReplayReceipt:
    """For `close_replayed`.

    Attributes:
        number: Which replay of the delivery it is, from 1.
        settled: Ids of quarantine entries that count no more.
        quarantine: Records that are refused one by one from now on: of a file, quarantined whole until now, or for another reason than before.
        counted: File index -> records, for files that were quarantined whole.
        landed, duplicate: File index -> records that left the quarantine that way.
        entities, versions: Entity -> rows added, and version of the raw table that added them.
        held: What is held of the delivery from now on, because its people have withdrawn.
    """

    number: int
    settled: Sequence[int]
    quarantine: Sequence[QuarantineRow]
    counted: Mapping[int, int]
    landed: Mapping[int, int]
    duplicate: Mapping[int, int]
    entities: Mapping[str, int]
    versions: Mapping[str, int]
    held: Sequence[HeldRecord]
