"""Scenarios 25 to 30, 34 and 35: a whole run that is killed, starved, crowded, cut off, or misled by its clock."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.conftest import REPOSITORY, Biodam
from tests.faults.conftest import Mount, deliver_hospital

DAY = 86_400


def start(biodam: Biodam, *arguments: str, **options: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "LAKE_ROOT": str(biodam.lake), **biodam.environment}
    return subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", *arguments], env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def whole(biodam: Biodam) -> None:
    biodam("verify", "--deep")
    assert biodam.status()["conserved"]


@pytest.mark.scenario("25 dbt killed in the middle of a build")
@pytest.mark.slow
@pytest.mark.parametrize("models", [1, 12, 30])
def test_dbt_killed_mid_build_leaves_the_old_marts_then_the_new_ones(hospital: Biodam, models: int) -> None:
    deliver_hospital(hospital.lake)
    hospital("run")
    before = hospital.fingerprints()
    deliver_hospital(hospital.lake, sequence=2, hba1c=6.4)
    commits = hospital.lake / "control" / "dbt_commits.jsonl"
    already = lines(commits)
    process = start(hospital, "run", "--full")
    wait_for(lambda: lines(commits) >= already + models)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert hospital.fingerprints() == before, "readers saw a half built mart"
    hospital("run")
    after = hospital.fingerprints()
    assert after["measurement"] != before["measurement"]
    whole(hospital)
    hospital("run", "--full")
    assert hospital.fingerprints() == after


@pytest.mark.scenario("26 out of memory")
@pytest.mark.slow
def test_run_without_memory_fails_loudly_and_the_next_one_finishes(hospital: Biodam) -> None:
    deliver_hospital(hospital.lake)
    limit = 900 * 2**20

    def starve() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    process = start(hospital, "run", preexec_fn=starve)
    process.communicate(timeout=300)
    assert process.returncode != 0
    hospital("run")
    whole(hospital)
    assert hospital.one("select count(*) from person") == 40


@pytest.mark.scenario("28 two runs and four writers at once")
@pytest.mark.slow
def test_two_runs_and_four_senders_at_once(hospital: Biodam, tmp_path: Path) -> None:
    deliver_hospital(hospital.lake)
    sources = []
    for number in range(4):
        folder = tmp_path / f"sender{number}"
        folder.mkdir()
        header = "결과번호,등록번호,검사코드,검사일시,결과,단위,삭제\r\n"
        rows = f"S{number},P1,A1C,2021-05-01 08:0{number}:00,7.{number},%,N\r\n"
        (folder / "lab_result.csv").write_bytes((header + rows).encode("cp949"))
        sources.append(folder)
    senders = [start(hospital, "deliver", str(s), "--site", "h90", "--feed", "emr_csv") for s in sources]
    runs = [start(hospital, "run") for _ in range(2)]
    sent = [p.communicate() for p in senders]
    assert [p.returncode for p in senders] == [0, 0, 0, 0], sent
    said = [p.communicate() for p in runs]
    assert sorted(p.returncode for p in runs) in ([0, 75], [0, 0]), said
    hospital("run")
    whole(hospital)
    (account,) = [f for f in hospital.status()["feeds"] if f["feed"] == "emr_csv"]
    assert (account["deliveries"], account["waiting"]) == (5, 0)
    assert hospital.one("select count(*) from measurement") == 8 + 4


@pytest.mark.scenario("29 disk full at any stage")
@pytest.mark.slow
@pytest.mark.parametrize("room", ["600k", "1m", "2m", "4m", "8m"])
def test_disk_full_at_any_stage_is_said_and_the_next_run_finishes(hospital: Biodam, disk: Mount, room: str) -> None:
    biodam = Biodam(disk(f"size={room}") / "lake", hospital.environment)
    try:
        deliver_hospital(biodam.lake)
    except OSError:
        pytest.skip("not even the delivery fits")
    full = biodam("run", check=False)
    assert full.returncode != 0, f"a lake of {room} held everything: the test proves nothing"
    disk("size=200m")
    biodam("run")
    whole(biodam)
    assert biodam.one("select count(*) from person") == 40


@pytest.mark.scenario("30 read-only or vanished mount")
@pytest.mark.slow
def test_lake_that_cannot_be_written_is_left_as_it_was(hospital: Biodam, disk: Mount) -> None:
    biodam = Biodam(disk("size=200m") / "lake", hospital.environment)
    deliver_hospital(biodam.lake)
    biodam("run")
    before = biodam.fingerprints()
    deliver_hospital(biodam.lake, sequence=2, hba1c=6.4)
    disk("ro")
    refused = biodam("run", check=False)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert biodam.fingerprints() == before
    disk("rw")
    biodam("run")
    whole(biodam)
    assert biodam.fingerprints() != before


@pytest.mark.scenario("30 read-only or vanished mount")
@pytest.mark.slow
def test_mount_that_vanishes_in_a_run_and_comes_back(hospital: Biodam, tmp_path: Path) -> None:
    """The folder is moved away, as a lost mount would, and put back."""
    deliver_hospital(hospital.lake)
    hospital("run")
    before = hospital.fingerprints()
    deliver_hospital(hospital.lake, sequence=2, hba1c=6.4)
    commits = hospital.lake / "control" / "dbt_commits.jsonl"
    already = lines(commits)
    process = start(hospital, "run")
    wait_for(lambda: lines(commits) > already)
    away = tmp_path / "away"
    hospital.lake.rename(away)
    process.communicate(timeout=300)
    assert process.returncode != 0
    if hospital.lake.exists():  # what the run wrote into the empty mount point
        hospital.lake.rename(tmp_path / "stray")
    away.rename(hospital.lake)
    assert hospital.fingerprints() == before
    hospital("run")
    whole(hospital)


@pytest.mark.scenario("34 clock two days behind, 400 days ahead")
@pytest.mark.slow
@pytest.mark.parametrize("days", [-2, 400])
def test_wrong_clock_loses_nothing(hospital: Biodam, shim: Path, days: int) -> None:
    deliver_hospital(hospital.lake)
    hospital("run")
    wrong = Biodam(hospital.lake, {**hospital.environment, "LD_PRELOAD": str(shim), "FAULT_CLOCK_OFFSET": str(days * DAY)})
    deliver_hospital(hospital.lake, sequence=2, hba1c=6.4)
    wrong("run")
    wrong("compact")
    taken = wrong("vacuum", check=False)
    assert taken.returncode == (1 if days < 0 else 0), taken.stderr
    deliver_hospital(hospital.lake, sequence=3, hba1c=7.0)
    hospital("run")
    whole(hospital)
    assert hospital.one("select count(*) from measurement") == 24
    after = hospital.fingerprints()
    hospital("run", "--full")
    assert hospital.fingerprints() == after


@pytest.mark.scenario("35 reader during compaction, rebuild and vacuum")
@pytest.mark.slow
def test_reader_keeps_right_answers_while_files_are_merged_and_taken_away(hospital: Biodam) -> None:
    for sequence in range(1, 10):
        deliver_hospital(hospital.lake, sequence=sequence, hba1c=5.0 + sequence / 10)
    hospital("run")
    reader = duckdb.connect(str(hospital.lake / "catalogue" / "biodam.duckdb"), read_only=True)
    query = "select count(*), sum(value_as_number), count(distinct person_id) from measurement"
    expected = reader.execute(query).fetchall()
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if (now := reader.execute(query).fetchall()) != expected:
                wrong.append(now)

    thread = threading.Thread(target=read)
    thread.start()
    merged = hospital("compact").stdout
    hospital("run", "--full")  # replaces every file that the reader reads
    hospital("vacuum")
    done.set()
    thread.join()
    assert "merged into" in merged
    assert wrong == []
    assert reader.execute(query).fetchall() == expected
    whole(hospital)
    assert json.loads(hospital("run", "--json").stdout)["nothing_to_do"]
