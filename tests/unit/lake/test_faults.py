"""Kills, torn logs, full disks and two writers: nothing lost, nothing twice, and a sentence that says what is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.lake.commits import log_file, newest_version, open_table
from assets.lake.paths import Lake
from assets.lake.tables import CommitLost, CommitReceipt, TornTable, append, unrecorded_commits

Held = Callable[..., list[tuple[Any, ...]]]
KEY = "raw/test/thing"
SCHEMA = pa.schema([("record_id", pa.int64()), ("site", pa.string())])

WRITER = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from assets.lake import files, writer
from assets.lake.paths import Lake
from assets.lake.tables import append

root, moment, first, deliveries = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
def killed_after(module, name):
    original = getattr(module, name)
    def then_die(*arguments, **options):
        original(*arguments, **options)
        die()
    setattr(module, name, then_die)
if moment == "while files are written":
    files.fsync_folders = die
elif moment == "before the commit":
    killed_after(writer, "write_files")
elif moment == "after the commit":
    writer.TableWriter._sync = die
schema = pa.schema([("record_id", pa.int64()), ("site", pa.string())])
for d in range(first, first + deliveries):
    table = pa.table({"record_id": range(d * 100, d * 100 + 100), "site": ["h01"] * 100}, schema=schema)
    record = die if moment == "before the ledger" else lambda receipt: print(receipt.version, flush=True)
    append(Lake(Path(root)), "raw/test/thing", table.to_reader(), app_id=f"d{d}", version=1, partition_by=["site"], record_commit=record)
"""


def delivery(number: int) -> pa.RecordBatchReader:
    return pa.table({"record_id": range(number * 100, number * 100 + 100), "site": ["h01"] * 100}, schema=SCHEMA).to_reader()


def put(lake: Lake, number: int, **options: object) -> CommitReceipt:
    return append(lake, KEY, delivery(number), app_id=f"d{number}", version=1, partition_by=["site"], **options)  # type: ignore[arg-type]


def numbers(first: int, end: int) -> list[tuple[int, str]]:
    return [(i, "h01") for i in range(first, end)]


def start_writer(lake: Lake, moment: str, first: int, deliveries: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(lake.root), moment, str(first), str(deliveries)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


@pytest.mark.scenario("22 kill between Delta commit and Dagster event")
@pytest.mark.parametrize(
    ("moment", "is_new"),
    [
        ("while files are written", False),
        ("before the commit", True),
        ("after the commit", True),
        ("after the commit", False),
        ("before the ledger", False),
    ],
)
def test_killed_append_is_resumed_without_loss_or_double(lake: Lake, held: Held, moment: str, is_new: bool) -> None:
    recorded: dict[int, CommitReceipt] = {}
    if not is_new:
        recorded[0] = put(lake, 0)
    assert start_writer(lake, moment, 1).wait(60) == -signal.SIGKILL

    def record(receipt: CommitReceipt) -> None:
        recorded[receipt.version] = receipt

    for number in (1, 1, 2):
        put(lake, number, expected_version=max(recorded, default=None), record_commit=record)

    assert held(lake, KEY) == numbers(100 if is_new else 0, 300)
    assert sorted(recorded) == list(range((newest_version(lake, KEY) or 0) + 1))
    assert sum(r.rows for r in recorded.values()) == len(held(lake, KEY))


@pytest.mark.scenario("28 two runs and four writers at once")
def test_two_processes_append_at_once(lake: Lake, held: Held) -> None:
    writers = [start_writer(lake, "never", first, 5) for first in (0, 5)]
    assert [w.wait(60) for w in writers] == [0, 0]
    assert held(lake, KEY) == numbers(0, 1000)


@pytest.mark.scenario("28 two runs and four writers at once")
def test_one_batch_sent_by_many_writers_at_once_lands_once(lake: Lake, held: Held) -> None:
    outcomes: list[str] = []

    def send() -> None:
        try:
            outcomes.append("replayed" if put(lake, 1).replayed else "written")
        except CommitLost:
            outcomes.append("lost")

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("written") == 1
    assert held(lake, KEY) == numbers(100, 200)


def cut_last_log(lake: Lake) -> None:
    path = log_file(lake, KEY, 1)
    path.write_bytes(path.read_bytes()[:-40])


def drop_last_lines_of_last_log(lake: Lake) -> None:
    path = log_file(lake, KEY, 1)
    path.write_text(path.read_text().splitlines()[0])


def empty_last_log(lake: Lake) -> None:
    log_file(lake, KEY, 1).write_bytes(b"")


def remove_last_log(lake: Lake) -> None:
    log_file(lake, KEY, 1).unlink()


def remove_all_logs(lake: Lake) -> None:
    for path in (lake.table(KEY) / "_delta_log").iterdir():
        path.unlink()


@pytest.mark.parametrize("damage", [cut_last_log, empty_last_log, remove_last_log, remove_all_logs])
def test_table_behind_the_ledger_is_not_written(lake: Lake, damage: object) -> None:
    put(lake, 0)
    put(lake, 1)
    damage(lake)  # type: ignore[operator]
    with pytest.raises(TornTable, match=r"^raw/test/thing: .*biodam repair"):
        put(lake, 2, expected_version=1)
    assert "\n" not in _message(lambda: open_table(lake, KEY, expected_version=1))


def test_unrecorded_commit_with_a_cut_file_is_not_recorded(lake: Lake) -> None:
    receipt = put(lake, 0)
    path = lake.table(KEY) / receipt.files[0]["path"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TornTable, match="missing or cut short"):
        unrecorded_commits(lake, KEY, None)


def test_unrecorded_commit_cut_at_a_line_is_not_recorded(lake: Lake) -> None:
    put(lake, 0)
    put(lake, 1)
    drop_last_lines_of_last_log(lake)
    with pytest.raises(TornTable, match="names fewer files"):
        unrecorded_commits(lake, KEY, 0)


def test_file_size_limit_leaves_table_and_folder_as_they_were(lake: Lake) -> None:
    put(lake, 0)
    script = f"""
import resource, signal
from pathlib import Path
import numpy as np, pyarrow as pa
from assets.lake.paths import Lake
from assets.lake.tables import append
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
table = pa.table({{"record_id": np.random.default_rng(1).integers(0, 2**62, 400_000), "site": ["h01"] * 400_000}})
try:
    append(Lake(Path({str(lake.root)!r})), "raw/test/thing", table.to_reader(10_000), app_id="big", version=1)
except OSError as error:
    print("refused", error.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[3], check=False
    )
    assert done.stdout.startswith("refused"), done.stderr
    assert (newest_version(lake, KEY), len(list(lake.tables.rglob("*.parquet")))) == (0, 1)
    assert put(lake, 1).version == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB; skipped where mounting is not permitted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], capture_output=True, check=False)
    if os.geteuid() != 0 or mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_leaves_table_and_folder_as_they_were(small_disk: Path, held: Held) -> None:
    lake = Lake(small_disk / "lake")
    put(lake, 0)
    many = pa.table({"record_id": [hash(str(i)) for i in range(300_000)], "site": ["h01"] * 300_000}, schema=SCHEMA)
    with pytest.raises(OSError, match="No space left"):
        append(lake, KEY, many.to_reader(20_000), app_id="big", version=1)
    assert (newest_version(lake, KEY), held(lake, KEY)) == (0, numbers(0, 100))
    assert put(lake, 1).rows == 100


def _message(action: object) -> str:
    try:
        action()  # type: ignore[operator]
    except TornTable as error:
        return str(error)
    return ""
