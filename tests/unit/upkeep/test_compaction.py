"""Compaction and vacuum change no row, take no file that anybody reads, and never make a build think that something is new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from assets.lake.commits import newest_version, read_snapshot
from assets.lake.extensions import open_duckdb
from assets.lake.tables import append
from assets.landing.workspace import Workspace
from assets.ledger.commits import COMPACTION, CommitEntry, Commits
from assets.serving.catalogue import PublishedModel, publish
from assets.upkeep.compaction import compact
from assets.upkeep.guard import DamagedTable
from assets.upkeep.scrub import Kind
from assets.upkeep.vacuum import ClockWrong, sweep_after_kill, vacuum
from assets.upkeep.verify import verify

KEY = "raw/test/thing"
OLD = pa.schema([("record_id", pa.int64()), ("site", pa.string())])
NEW = pa.schema([*OLD, ("note", pa.string())])
NOW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Ten deliveries of two sites, one file each; the contract gained a column half way."""
    lake = Workspace(tmp_path / "lake")
    for number in range(10):
        put(lake, number, OLD if number < 5 else NEW)
    return lake


def put(workspace: Workspace, number: int, schema: pa.Schema = NEW) -> bool:
    columns = {"record_id": [number * 2, number * 2 + 1], "site": ["h01", "h02"], "note": ["x", None]}
    rows = pa.table({n: columns[n] for n in schema.names}, schema=schema)
    expected, log = workspace.commits.latest(KEY)
    receipt = append(
        workspace.lake, KEY, rows.to_reader(), app_id=f"d{number}", version=1, partition_by=["site"], expected_version=expected, expected_log=log,
        record_commit=lambda r: workspace.commits.record(CommitEntry(r.table, r.version, r.rows, r.files, r.log_sha256, f"land d{number}")),
    )  # fmt: skip
    return receipt.replayed


def held(workspace: Workspace) -> list[tuple[object, ...]]:
    with open_duckdb() as connection:
        return connection.execute(f"select record_id, site, note from delta_scan('{workspace.lake.table(KEY)}') order by all").fetchall()


def data_files(workspace: Workspace) -> set[Path]:
    return set(workspace.lake.table(KEY).glob("site=*/*.parquet"))


def test_small_files_of_each_site_become_one_and_no_row_changes(workspace: Workspace) -> None:
    before = held(workspace)
    (done,) = compact(workspace)
    assert (done.before, done.after, done.rows) == (20, 2, 20)
    assert held(workspace) == before
    assert len(read_snapshot(workspace.lake, KEY).files) == 2
    assert verify(workspace).whole


def test_compaction_is_no_new_data_and_nothing_is_rebuilt(workspace: Workspace) -> None:
    data = workspace.commits.data_versions()
    compact(workspace)
    assert workspace.commits.rows(KEY)[-1]["cause"] == COMPACTION
    assert workspace.commits.latest_version(KEY) == data[KEY] + 1
    assert workspace.commits.data_versions() == data
    assert workspace.commits.pending().nothing
    log = (workspace.lake.table(KEY) / "_delta_log" / f"{data[KEY] + 1:020d}.json").read_text()
    assert '"dataChange":true' not in log


def test_delivery_that_was_compacted_still_lands_only_once(workspace: Workspace) -> None:
    compact(workspace)
    vacuum(workspace, now=NOW, retention=timedelta())
    before = held(workspace)
    assert put(workspace, 9), "a delivery landed a second time after its files were merged"
    assert held(workspace) == before
    assert not put(workspace, 10)


def test_second_compaction_finds_nothing(workspace: Workspace) -> None:
    assert compact(workspace)
    assert compact(workspace) == []


def test_damaged_file_is_not_merged_into_a_good_one(workspace: Workspace) -> None:
    path = sorted(data_files(workspace))[0]
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedTable):
        compact(workspace)
    assert newest_version(workspace.lake, KEY) == workspace.commits.latest_version(KEY)


def test_compaction_killed_before_its_commit_leaves_only_orphans(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets.lake import writer

    before, files = held(workspace), data_files(workspace)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writer.TableWriter, "_commit_actions", die)
        with pytest.raises(KeyboardInterrupt):
            compact(workspace)
    assert held(workspace) == before
    assert len(data_files(workspace) - files) == 2
    (workspace.lake.control / "ended_badly").touch()
    sweep_after_kill(workspace)
    assert data_files(workspace) == files
    assert verify(workspace).whole


@pytest.mark.scenario("21 kill, ENOSPC, EIO, EACCES at system calls of every writer")
@pytest.mark.parametrize("next_step", ["the next run", "the next compaction"])
def test_compaction_killed_between_its_commit_and_the_ledger_is_recorded_by(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, next_step: str
) -> None:
    """The files are merged, so no later compaction would write the table again: its commit stayed unrecorded until the next delivery."""
    before = held(workspace)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Commits, "record", die)
        with pytest.raises(KeyboardInterrupt):
            compact(workspace)
    newest = newest_version(workspace.lake, KEY)
    assert newest == (workspace.commits.latest_version(KEY) or 0) + 1
    assert [f.kind for f in verify(workspace).findings] == [Kind.UNRECORDED]
    if next_step == "the next run":
        (workspace.lake.control / "ended_badly").touch()
        sweep_after_kill(workspace)
    else:
        assert compact(workspace) == [], "nothing is left to merge"
    assert (workspace.commits.latest_version(KEY), workspace.commits.rows(KEY)[-1]["cause"]) == (newest, COMPACTION)
    assert workspace.commits.pending().nothing
    assert verify(workspace).whole
    assert held(workspace) == before


def test_vacuum_keeps_replaced_files_for_the_retention(workspace: Workspace) -> None:
    compact(workspace)
    assert vacuum(workspace, now=NOW, retention=timedelta(days=7)).files == {}
    assert len(data_files(workspace)) == 22
    done = vacuum(workspace, now=NOW + timedelta(days=7), retention=timedelta(days=7))
    assert (len(done.files[KEY]), len(data_files(workspace))) == (20, 2)
    assert verify(workspace).whole, "verify misses files that vacuum took away on purpose"


def test_vacuum_never_takes_what_the_catalogue_names(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "published")
    for number in range(10):
        put(workspace, number)
    pinned = workspace.commits.latest_version(KEY) or 0
    publish(workspace.lake, [PublishedModel("thing", "raw/test", pinned)])
    compact(workspace)
    reader = duckdb.connect(str(workspace.lake.catalogue), read_only=True)
    query = "select count(*), sum(record_id), count(note) from thing"
    before = reader.execute(query).fetchall()
    vacuum(workspace, now=NOW + timedelta(days=400), retention=timedelta())
    assert reader.execute(query).fetchall() == before
    assert len(data_files(workspace)) == 22, "a file the catalogue names was taken away"
    reader.close()  # in one process DuckDB would give its own open copy of the replaced file
    publish(workspace.lake, [PublishedModel("thing", "raw/test", pinned + 1)])
    vacuum(workspace, now=NOW + timedelta(days=400), retention=timedelta())
    assert len(data_files(workspace)) == 2


def test_orphan_of_a_killed_writer_goes_after_the_retention(workspace: Workspace) -> None:
    stray = workspace.lake.table(KEY) / "site=h01" / "part-stray.parquet"
    stray.write_bytes(b"half a file")
    vacuum(workspace, now=NOW, retention=timedelta(days=7))
    assert stray.exists(), "a file somebody may be writing was taken away"
    vacuum(workspace, now=NOW + timedelta(days=7), retention=timedelta(days=7))
    assert not stray.exists()


@pytest.mark.scenario("34 clock two days behind, 400 days ahead")
def test_clock_two_days_behind_takes_nothing_away(workspace: Workspace) -> None:
    compact(workspace)
    with pytest.raises(ClockWrong, match="set the clock"):
        vacuum(workspace, now=datetime.now(UTC) - timedelta(days=2), retention=timedelta())


@pytest.mark.scenario("34 clock two days behind, 400 days ahead")
def test_clock_four_hundred_days_ahead_loses_no_row(workspace: Workspace) -> None:
    before = held(workspace)
    compact(workspace)
    vacuum(workspace, now=datetime.now(UTC) + timedelta(days=400))
    assert held(workspace) == before
    assert verify(workspace).whole


def test_damaged_table_is_left_alone(workspace: Workspace) -> None:
    compact(workspace)
    (workspace.lake.table(KEY) / "_delta_log" / f"{3:020d}.json").write_bytes(b"")
    done = vacuum(workspace, now=NOW + timedelta(days=400), retention=timedelta())
    assert list(done.skipped) == [KEY]
    assert len(data_files(workspace)) == 22
