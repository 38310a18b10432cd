"""What came of erased people after their erasure: refused record by record, its bytes still in the landing store.

Belongs here: listing it, and destroying the files. Does not belong here: refusing it (`assets/landing/land`).

Of a sample nobody but its holder can say which it is: the list names delivery, file and record, for the holder to look up and destroy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from assets.erasure import landing_store
from assets.formats.reasons import Reason
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey

LATE = "late"
"""Stands as erasure of files that are destroyed for what came late."""
_OF_SAMPLES = frozenset({"lims", "biobank_participants"})


@dataclass(frozen=True)
class Late:
    """Refused records of erased people in one delivered file.

    Attributes:
        key: The delivery.
        ref: The file, by its neutral name.
        records: Their numbers in it.
        is_about_samples: Where a record names a sample, its holder has to destroy the sample.
        is_stored: The landing store still has the bytes of these records.
    """

    key: DeliveryKey
    ref: str
    records: tuple[int, ...]
    is_about_samples: bool
    is_stored: bool = True


def late_records(workspace: Workspace) -> list[Late]:
    """Files whose bytes are still there, in the order of their deliveries."""
    return [late for late in _all(workspace) if late.is_stored]


def late_samples(workspace: Workspace) -> list[Late]:
    """Files of biobanks with such records, in the order of their deliveries, whether the landing store still has them or not.

    No model may say whose these samples are, so they are in no destruction manifest, and no disposal of them lands: the list only grows.
    """
    return [late for late in _all(workspace) if late.is_about_samples]


def _all(workspace: Workspace) -> list[Late]:
    found: dict[tuple[DeliveryKey, str], list[int]] = {}
    for row in workspace.deliveries.quarantined(reason=Reason.ERASED_PERSON):
        key = DeliveryKey(row["site"], row["feed"], row["delivery_id"])
        found.setdefault((key, row["ref"]), []).append(int(row["row_number"]))
    touched = {key: workspace.erasures.stored(key) for key, _ in found}
    return [
        Late(key, ref, tuple(sorted(numbers)), key.feed in _OF_SAMPLES, not _hashes(workspace, key, ref) <= touched[key].keys())
        for (key, ref), numbers in sorted(found.items(), key=lambda item: (str(item[0][0]), item[0][1]))
    ]


def destroy_late(workspace: Workspace, files: Iterable[Late]) -> None:
    """Blank these records in the landing store, or destroy their files. Call it holding the lake; a kill is finished by calling it again."""
    for late in files:
        for sha256 in _hashes(workspace, late.key, late.ref):
            landing_store.take_out(workspace, LATE, late.key, sha256, set(late.records))


def _hashes(workspace: Workspace, key: DeliveryKey, ref: str) -> set[str]:
    return {f["sha256"].lower() for f in workspace.deliveries.files(key) if f["ref"] == ref}
