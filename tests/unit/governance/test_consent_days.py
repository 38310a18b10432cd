"""Days on which consent changes by itself, kept by bucket: the same answer as asking everybody, and no other bucket is asked."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.consent_days import CONSENT_EVENTS, CONSENT_HISTORY, aged_buckets, note_days
from assets.lake.tables import overwrite
from assets.landing.workspace import Workspace

NEVER = date(9999, 12, 31)
HISTORY = pa.schema([("in_force_from", pa.date32()), ("in_force_to", pa.date32()), ("person_bucket", pa.int32())])
EVENTS = pa.schema([("effective_date", pa.date32()), ("person_bucket", pa.int32())])


def _write(workspace: Workspace, key: str, schema: pa.Schema, *rows: tuple[Any, ...]) -> None:
    table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)
    overwrite(
        workspace.lake, key, table.to_reader(), partition_by=("person_bucket",), expected_version=workspace.commits.latest_version(key),
        record_commit=workspace.recorder("test"),
    )  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Bucket 0: consent ends with 31 May. 1: it begins on 1 April; somebody withdraws on 1 July. 2: a refusal without a day. Built on 1 January."""
    found = Workspace(tmp_path / "lake")
    _write(
        found, CONSENT_HISTORY, HISTORY, (date(2020, 1, 1), date(2026, 5, 31), 0), (date(2026, 4, 1), NEVER, 1), (date(2020, 1, 1), NEVER, 2),
    )  # fmt: skip
    _write(found, CONSENT_EVENTS, EVENTS, (date(2020, 1, 1), 0), (date(2026, 4, 1), 1), (date(2026, 7, 1), 1), (NEVER, 2))
    return found


def _note(workspace: Workspace, run_id: str, last_run: str | None, *, buckets: list[int] | None = None, day: int = 1) -> str | None:
    return note_days(workspace, run_id=run_id, last_run=last_run, as_of=date(2026, 1, day), buckets=buckets)


def _aged(workspace: Workspace, last_run: str, month: int, day: int) -> list[int]:
    return sorted(aged_buckets(workspace, last_run=last_run, since=date(2026, 1, 1), until=date(2026, month, day)))


def test_a_bucket_ages_on_its_first_day(workspace: Workspace) -> None:
    assert _note(workspace, "b1", None) == "2026-04-01"
    assert [_aged(workspace, "b1", *day) for day in ((1, 1), (3, 31), (4, 1), (5, 31), (6, 1))] == [[], [], [1], [1], [0, 1]]


def test_a_build_asks_the_buckets_that_it_rebuilt_and_no_others(workspace: Workspace) -> None:
    _note(workspace, "b1", None)
    _write(workspace, CONSENT_HISTORY, HISTORY, (date(2020, 1, 1), date(2026, 2, 28), 0), (date(2026, 4, 1), NEVER, 1))
    shutil.rmtree(workspace.lake.table(CONSENT_HISTORY) / "person_bucket=1")  # it would be missed, were it read
    assert _note(workspace, "b2", "b1", buckets=[0], day=2) == "2026-03-01"
    assert _aged(workspace, "b2", 4, 1) == [0, 1]


@pytest.mark.parametrize("harm", ["lost", "cut short", "of another build"])
def test_without_the_file_of_the_last_build_all_buckets_are_asked(workspace: Workspace, harm: str) -> None:
    _note(workspace, "b1", None)
    path = workspace.lake.control / "consent_days.json"
    if harm == "lost":
        path.unlink()
    elif harm == "cut short":
        path.write_text(path.read_text(encoding="utf-8")[:20], encoding="utf-8")
    else:
        path.write_text(json.dumps({"run_id": "b0", "days": {}}), encoding="utf-8")
    assert _aged(workspace, "b1", 6, 1) == [0, 1]
    assert _note(workspace, "b2", "b1", buckets=[2]) == "2026-04-01"
