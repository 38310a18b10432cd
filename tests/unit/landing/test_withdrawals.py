"""Who counts as wholly withdrawn: read from the consent models as a build left them, by bucket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from assets.lake import tables
from assets.landing.workspace import Workspace
from assets.withdrawals import note_withdrawn

DAY = date(2025, 1, 1)
LATER = date(2025, 6, 1)
_PERSON = [("person_id", pa.int64()), ("person_bucket", pa.int32()), ("scope_code", pa.string())]
_SCHEMAS = {
    "standard/consent_withdrawal": pa.schema([*_PERSON, ("withdrawn_date", pa.date32())]),
    "standard/consent_history": pa.schema(_PERSON),
    "standard/consent_relation": pa.schema([*_PERSON, ("legal_basis", pa.string())]),
    "raw/people/link": pa.schema([
        ("alias_person_id", pa.int64()), ("person_id", pa.int64()), ("person_bucket", pa.int32()), ("_sequence", pa.int64()),
        ("_landed_at", pa.timestamp("us", tz="UTC")),
    ]),
}  # fmt: skip
WITHDREW = {
    # person, bucket, scopes: from each of which they withdrew
    1: (0, {"clinical": DAY, "genomic": LATER}),  # from all they opened
    2: (0, {"specimen": DAY}),  # clinical is in force
    3: (0, {"specimen": DAY}),  # clinical ran out and may be renewed
    4: (1, {"clinical": DAY}),  # is read as published elsewhere
    5: (1, {"clinical": DAY}),  # never granted anything
}
OPENED = {1: (0, ("clinical", "genomic")), 2: (0, ("clinical", "specimen")), 3: (0, ("clinical", "specimen")), 4: (1, ("clinical",))}
IN_FORCE = {2: (0, "clinical", "consented"), 4: (1, "all", "published"), 6: (1, "clinical", "consented")}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


Write = Callable[..., None]


@pytest.fixture
def write(workspace: Workspace) -> Write:
    """Write the consent models as a build would, with some people left out, and links of merged people."""

    def written(*, without: frozenset[int] = frozenset(), links: tuple[tuple[int, int, int], ...] = (), partitioned: bool = True) -> None:
        rows = {
            "standard/consent_withdrawal": [(p, b, s, d) for p, (b, of) in WITHDREW.items() for s, d in of.items()],
            "standard/consent_history": [(p, b, s) for p, (b, of) in OPENED.items() for s in of],
            "standard/consent_relation": [(p, *of) for p, of in IN_FORCE.items()],
            "raw/people/link": [(a, p, b, n, datetime(2025, 1, 1, tzinfo=UTC)) for n, (a, p, b) in enumerate(links)],
        }
        for key, found in rows.items():
            schema = _SCHEMAS[key]
            kept = sorted((row for row in found if row[0] not in without), key=lambda row: row[1])
            table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in kept], schema=schema)
            tables.overwrite(
                workspace.lake, key, table.to_reader(), partition_by=["person_bucket"] if partitioned and key.startswith("standard") else [],
                expected_version=workspace.commits.latest_version(key), record_commit=workspace.recorder("build"),
            )  # fmt: skip

    return written


def withdrawn(workspace: Workspace, *buckets: int) -> set[int]:
    return set(workspace.withdrawn.of_buckets(buckets or (0, 1)))


@pytest.mark.parametrize("partitioned", [True, False])
def test_only_who_closed_everything_they_opened_has_withdrawn(workspace: Workspace, write: Write, partitioned: bool) -> None:
    write(partitioned=partitioned)
    note_withdrawn(workspace, buckets=None)
    assert withdrawn(workspace) == {1, 4, 5}


def test_a_build_speaks_for_the_buckets_it_rebuilt_and_no_others(workspace: Workspace, write: Write) -> None:
    write()
    note_withdrawn(workspace, buckets=[1])
    assert withdrawn(workspace) == {4, 5}
    note_withdrawn(workspace, buckets=[0])
    assert withdrawn(workspace) == {1, 4, 5}
    write(without=frozenset({1, 4, 5}))
    note_withdrawn(workspace, buckets=[0])
    assert withdrawn(workspace) == {4, 5}


def test_somebody_whom_a_build_leaves_out_stays_withdrawn(workspace: Workspace, write: Write) -> None:
    """A model fails on a record of theirs, so they are in no model: that says nothing of their consent."""
    write()
    note_withdrawn(workspace, buckets=None)
    write(without=frozenset({1, 4}))
    note_withdrawn(workspace, buckets=None, left_out=[1])
    assert withdrawn(workspace) == {1, 5}


def test_who_was_merged_into_somebody_withdrawn_counts_under_both_ids_until_they_are_parted(workspace: Workspace, write: Write) -> None:
    write(links=((7, 1, 0), (8, 2, 0)))
    note_withdrawn(workspace, buckets=None)
    assert withdrawn(workspace) == {1, 4, 5, 7}
    write(links=((7, 1, 0), (8, 2, 0), (7, 7, 0)))
    note_withdrawn(workspace, buckets=[0])
    assert withdrawn(workspace) == {1, 4, 5}


def test_a_lake_without_consent_models_knows_of_nobody(workspace: Workspace) -> None:
    note_withdrawn(workspace, buckets=[0])
    assert withdrawn(workspace) == set()
