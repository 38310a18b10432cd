"""Verify names every file that is not what was written, and the guard lets none of them be read."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from assets.lake.commits import log_folder
from assets.lake.tables import append
from assets.landing.workspace import Workspace
from assets.ledger.commits import CommitEntry
from assets.ledger.schema import COMMIT
from assets.upkeep.guard import DamagedTable, require_whole
from assets.upkeep.scrub import Kind
from assets.upkeep.verify import verify, verify_table

KEY = "raw/test/thing"
SCHEMA = pa.schema([("record_id", pa.int64()), ("site", pa.string())])
COMMITS = 23  # past the first checkpoint


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with one table of 23 commits, two sites in each, recorded in the ledger."""
    lake = Workspace(tmp_path_factory.mktemp("written") / "lake")
    for number in range(COMMITS):
        put(lake, number)
    lake.upkeep._engine.dispose()
    return lake.root


@pytest.fixture
def workspace(written: Path, tmp_path: Path) -> Workspace:
    """A copy of it, to be damaged."""
    return Workspace(Path(shutil.copytree(written, tmp_path / "lake")))


def put(workspace: Workspace, number: int) -> None:
    rows = pa.table({"record_id": [number * 2, number * 2 + 1], "site": ["h01", "h02"]}, schema=SCHEMA)
    expected, log = workspace.commits.latest(KEY)
    append(
        workspace.lake, KEY, rows.to_reader(), app_id=f"d{number}", version=1, partition_by=["site"], expected_version=expected, expected_log=log,
        record_commit=lambda r: workspace.commits.record(CommitEntry(r.table, r.version, r.rows, r.files, r.log_sha256, f"land d{number}")),
    )  # fmt: skip


def files(workspace: Workspace) -> list[Path]:
    return sorted(p for p in workspace.lake.table(KEY).rglob("*") if p.is_file())


def found(workspace: Workspace) -> list[tuple[str, Kind]]:
    return [(f.path, f.kind) for f in verify_table(workspace, KEY).findings]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


def test_untouched_lake_is_whole(workspace: Workspace) -> None:
    result = verify(workspace)
    assert result.whole
    # 23 logs, 46 data files, one checkpoint
    assert (result.tables, result.files) == (1, COMMITS + 2 * COMMITS + 1)


@pytest.mark.scenario("32 one flipped bit in each of 500 files")
def test_one_flipped_bit_in_each_of_all_files_is_named(workspace: Workspace) -> None:
    require_whole(workspace, {KEY: COMMITS - 1})  # compares the checkpoint with the log and keeps its hash
    chance = random.Random(5)
    every = files(workspace)
    for path in every:
        flip(path, chance.randrange(8 * path.stat().st_size))
    named = {path for path, kind in found(workspace) if kind is Kind.DAMAGED}
    assert named >= {str(p.relative_to(workspace.lake.table(KEY))) for p in every if p.name != "_last_checkpoint"}


@pytest.mark.slow
@pytest.mark.scenario("32 one flipped bit in each of 500 files")
def test_one_flipped_bit_in_each_of_500_files_is_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "lake")
    commits = 168
    for number in range(commits):
        put(workspace, number)
    require_whole(workspace, {KEY: commits - 1})
    chance = random.Random(32)
    every = [p for p in files(workspace) if p.name != "_last_checkpoint"]
    assert len(every) > 500
    chosen = chance.sample(every, 500)
    for path in chosen:
        flip(path, chance.randrange(8 * path.stat().st_size))
    named = {path for path, _ in found(workspace)}
    assert {str(p.relative_to(workspace.lake.table(KEY))) for p in chosen} - named == set()
    with pytest.raises(DamagedTable):
        require_whole(workspace, {KEY: commits - 1})


@pytest.mark.scenario("32 one flipped bit in each of 500 files")
@pytest.mark.parametrize("which", range(0, 71, 9))
def test_one_flipped_bit_is_named_and_nothing_is_read(workspace: Workspace, which: int) -> None:
    require_whole(workspace, {KEY: COMMITS - 1})
    path = files(workspace)[which]
    flip(path, random.Random(which).randrange(8 * path.stat().st_size))
    assert [p for p, _ in found(workspace)] == [str(path.relative_to(workspace.lake.table(KEY)))]
    with pytest.raises(DamagedTable, match="biodam repair"):
        require_whole(workspace, {KEY: COMMITS - 1})


def zero(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.scenario("31 power loss")
@pytest.mark.scenario("33 lost data file, log, checkpoint")
@pytest.mark.parametrize("harm", [zero, empty, cut, remove])
@pytest.mark.parametrize("target", ["newest log", "old log", "data", "checkpoint"])
def test_power_loss_is_named_and_nothing_is_read(workspace: Workspace, harm: Callable[[Path], None], target: str) -> None:
    logs = log_folder(workspace.lake, KEY)
    path = {
        "newest log": logs / f"{COMMITS - 1:020d}.json",
        "old log": logs / f"{3:020d}.json",
        "data": next(p for p in files(workspace) if p.suffix == ".parquet" and "site=" in str(p)),
        "checkpoint": next(logs.glob("*.checkpoint.parquet")),
    }[target]
    harm(path)
    named = found(workspace)
    expected = (
        "_delta_log/_last_checkpoint" if (target, harm) == ("checkpoint", remove) else str(path.relative_to(workspace.lake.table(KEY)))
    )
    assert expected in [p for p, _ in named]
    with pytest.raises(DamagedTable):
        require_whole(workspace, {KEY: COMMITS - 1})


def test_file_that_no_commit_names_is_unknown(workspace: Workspace) -> None:
    (workspace.lake.table(KEY) / "site=h01" / "part-stray.parquet").write_bytes(b"PAR1")
    assert found(workspace) == [("site=h01/part-stray.parquet", Kind.UNKNOWN)]


@pytest.mark.scenario("33 lost data file, log, checkpoint")
def test_edited_or_removed_ledger_row_shows(workspace: Workspace) -> None:
    engine = workspace.upkeep._engine
    with engine.begin() as connection:
        connection.execute(COMMIT.update().where(COMMIT.c.version == 4).values(rows=3))
        connection.execute(COMMIT.delete().where(COMMIT.c.version == 9))
    details = [(f.version, f.detail) for f in verify_table(workspace, KEY).findings if f.kind is Kind.LEDGER]
    assert details == [
        (4, "was changed after it was written"),
        (10, "follows version 8: 1 row(s) are missing before it"),
        (10, "does not continue the chain of the row before it"),
    ]


def test_guard_hashes_a_file_only_when_somebody_wrote_to_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    from assets.upkeep import guard

    monkeypatch.setattr(guard, "file_problem", lambda path, *_: hashed.append(path))
    require_whole(workspace, {KEY: COMMITS - 1})
    assert len(hashed) == 2 * COMMITS
    require_whole(workspace, {KEY: COMMITS - 1})
    assert len(hashed) == 2 * COMMITS, "files were hashed a second time"
    os.utime(hashed[0], (1, 1))
    require_whole(workspace, {KEY: COMMITS - 1})
    assert hashed[2 * COMMITS :] == [hashed[0]]


def test_table_whose_newest_log_was_altered_is_not_written(workspace: Workspace) -> None:
    path = log_folder(workspace.lake, KEY) / f"{COMMITS - 1:020d}.json"
    path.write_text(path.read_text().replace("h01", "h03"))
    with pytest.raises(RuntimeError, match="not what was written"):
        put(workspace, COMMITS)
