"""What an erasure would touch, said before anything is changed.

Belongs here: counting. Does not belong here: doing it (`steps`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assets.erasure import landing_store
from assets.erasure.samples import undestroyed
from assets.erasure.steps import numbers_of, own_tables
from assets.lake.cut import find_rows
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.privacy import erased


@dataclass(frozen=True)
class Preview:
    """What an erasure would touch. Counts only.

    Attributes:
        person_id: The person.
        aliases: Person ids merged into it.
        tables: Raw table or frozen cohort -> rows.
        landing_files, landing_bytes: Files of the landing store from which rows of the person came.
        shared_files: How many of these also hold other people.
        samples, undestroyed: Samples of the person, and those without proof that all of it was destroyed.
    """

    person_id: int
    aliases: int
    tables: Mapping[str, int]
    landing_files: int
    landing_bytes: int
    shared_files: int
    samples: int
    undestroyed: int


def preview(workspace: Workspace, person_id: int) -> Preview:
    """Say what `biodam erase` would do; changes nothing."""
    ids = erased.aliases(workspace.vault, person_id)
    hits = {key: found for key in own_tables(workspace) if (found := find_rows(workspace.lake, key, ids)).rows}
    files = landing_store.files_of_rows(workspace, numbers_of(hits))
    rows_of_person: dict[tuple[str, str, str], int] = {}
    for key, found in hits.items():
        if not key.startswith("raw/people/"):
            for place, count in found.places.items():
                rows_of_person[place] = rows_of_person.get(place, 0) + count
    chosen = [(key, f) for key, hashes in files.items() for f in _distinct(workspace, key) if f["sha256"].lower() in hashes]
    shared = sum(f["counted"] > rows_of_person.get((key.site, key.delivery_id, f["ref"]), 0) for key, f in chosen)
    samples, left = undestroyed(workspace, ids)
    rows = {key: found.rows for key, found in hits.items()}
    return Preview(person_id, len(ids) - 1, rows, len(chosen), sum(f["bytes"] for _, f in chosen), shared, samples, left)


def _distinct(workspace: Workspace, key: DeliveryKey) -> list[dict[str, Any]]:
    return list({f["sha256"]: f for f in workspace.deliveries.files(key)}.values())
