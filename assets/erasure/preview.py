"""What an erasure would touch, said before anything is changed.

Belongs here: counting. Does not belong here: doing it (`steps`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assets.erasure import landing_store
from assets.erasure.samples import undestroyed
from assets.erasure.search import sought_of
from assets.erasure.steps import numbers_of, own_tables
from assets.lake.cut import find_rows
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.privacy import erased


@dataclass(frozen=True)
class Preview:
    """What an erasure would touch. Counts only.

    Attributes:
        people: The people.
        aliases: How many person ids are merged into theirs.
        tables: Raw table or frozen cohort -> rows.
        landing_files, landing_bytes: Files of the landing store from which rows of theirs came.
        shared_files: How many of these also hold other people.
        samples, undestroyed: Samples of theirs, and those without proof that all of it was destroyed.
        values: Kind -> values that the byte scan looks for.
        not_searched: Why -> values that it does not look for: too short, or somebody else's name or address too.
    """

    people: tuple[int, ...]
    aliases: int
    tables: Mapping[str, int]
    landing_files: int
    landing_bytes: int
    shared_files: int
    samples: int
    undestroyed: int
    values: Mapping[str, int]
    not_searched: Mapping[str, int]


def preview(workspace: Workspace, people: Sequence[int]) -> Preview:
    """Say what `biodam erase` would do to these people together, reading every table once; changes nothing."""
    ids = erased.aliases(workspace.vault, people)
    hits = {key: found for key in own_tables(workspace) if (found := find_rows(workspace.lake, key, ids)).rows}
    files = landing_store.files_of_rows(workspace, numbers_of(workspace, hits, ids))
    rows_of_theirs: dict[tuple[str, str, str], int] = {}
    for key, found in hits.items():
        if not key.startswith("raw/people/"):
            for place, count in found.places.items():
                rows_of_theirs[place] = rows_of_theirs.get(place, 0) + count
    chosen = [(key, f) for key, hashes in files.items() for f in _distinct(workspace, key) if f["sha256"].lower() in hashes]
    shared = sum(f["counted"] > rows_of_theirs.get((key.site, key.delivery_id, f["ref"]), 0) for key, f in chosen)
    samples, left = undestroyed(workspace, ids)
    rows = {key: found.rows for key, found in hits.items()}
    facts = sought_of(workspace, ids).facts()
    size = sum(f["bytes"] for _, f in chosen)
    return Preview(
        tuple(people), len(ids) - len(people), rows, len(chosen), size, shared, samples, left, facts.pop("values"), {k: n for k, n in facts.items() if n}
    )  # fmt: skip


def _distinct(workspace: Workspace, key: DeliveryKey) -> list[dict[str, Any]]:
    return list({f["sha256"]: f for f in workspace.deliveries.files(key)}.values())
