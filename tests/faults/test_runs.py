"""Scenarios 22 to 30, 34 and 35: a whole run that is killed, aborted, starved, crowded, cut off, or misled by its clock.

Each test gets a lake with one delivery built, does its harm while the second is landed and built, and compares every table with the lake to which nothing happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.conftest import REPOSITORY, Biodam
from tests.faults.conftest import Built, Mount, deliver_hospital

pytestmark = pytest.mark.timeout(3000)
DAY = 86_400


def start(biodam: Biodam, *arguments: str, **options: object) -> subprocess.Popen[str]:
    environment = biodam.variables
    return subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", *arguments], env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def whole(biodam: Biodam) -> None:
    """Nothing lost or doubled: files as the ledger has them, rows of each delivery, accounts by the independent counter."""
    biodam("verify", "--deep")
    assert biodam.status()["conserved"]


@pytest.fixture
def second(built_once: Built) -> Biodam:
    """The lake with the second delivery in its inbox."""
    biodam = built_once.fresh()
    deliver_hospital(biodam.lake, sequence=2, hba1c=6.4)
    return biodam


def python(biodam: Biodam, script: str) -> subprocess.CompletedProcess[str]:
    """`biodam run` in a process where something was changed before."""
    environment = biodam.variables
    whole_script = f"import os, signal, sys\n{script}\nfrom orchestration.cli import main\nsys.argv = ['biodam', 'run']\nmain()\n"
    return subprocess.run(
        [sys.executable, "-c", whole_script], env=environment, cwd=REPOSITORY, text=True, capture_output=True, timeout=600, check=False
    )


def run_until(biodam: Biodam, condition: Callable[[], bool], *arguments: str) -> None:
    """Start a run and kill it with all its processes once a condition holds."""
    process = start(biodam, "run", *arguments)
    wait_for(lambda: condition() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


KILL_BEFORE_EVENTS = """
from assets.feeds import landed
def killed(self):
    os.kill(os.getpid(), signal.SIGKILL)
    yield
landed._Report.events = killed
"""


@pytest.mark.scenario("22 kill between Delta commit and Dagster event")
@pytest.mark.slow
def test_delivery_landed_by_a_run_that_died_is_told_to_dagster_by_the_next(second: Biodam, built_once: Built) -> None:
    """Landed, recorded, and killed before any event: Dagster showed the table as it was before, for ever."""
    assert python(second, KILL_BEFORE_EVENTS).returncode == -signal.SIGKILL
    said = second("run", "--json").stdout
    script = (
        "import dagster as dg\nfrom orchestration.settings import read_settings\ns = read_settings(); s.export(); s.write_dagster_home()\n"
        "with dg.DagsterInstance.get() as i:\n"
        "    for key in ('delivery/emr_csv', 'raw/emr_csv/lab_result'):\n"
        "        m = i.get_latest_materialization_event(dg.AssetKey(key.split('/'))).asset_materialization\n"
        "        print(m.partition, m.metadata['delivery_ids'].value)\n"
    )
    environment = second.variables
    told = subprocess.run([sys.executable, "-c", script], env=environment, cwd=REPOSITORY, text=True, capture_output=True, check=False)
    assert told.stdout.splitlines() == ["h90 e2", "h90 e2"], told.stderr[-2000:]
    assert json.loads(said)["built"]
    whole(second)
    assert second.fingerprints() == built_once.second


KILLS = 5


def spent(session: int) -> float:
    """CPU seconds of all processes of a session, and of those that they waited for."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15])) if int(fields[3]) == session else 0
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.scenario("23 worker killed at 30 random times")
@pytest.mark.slow
def test_worker_killed_at_random_times_ends_where_a_quiet_one_does(built_once: Built) -> None:
    """Every kill hits a run that has a new delivery to land, one in each fifth of the work of a run; `test_kill_landing.py` kills landing more often.

    Work is CPU seconds, so that a busy machine is killed at the same places as a quiet one. The clean run lands all deliveries at once.
    """
    chance = random.Random(23)
    biodam = built_once.fresh()
    killed = 0
    for n in range(KILLS):
        deliver_hospital(biodam.lake, sequence=n + 2, hba1c=5 + n / 100)
        process = start(biodam, "run")
        share = 0.9 * (n + chance.random()) / KILLS
        while process.poll() is None and spent(process.pid) < share * built_once.cpu_seconds:
            time.sleep(0.1)
        killed += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert killed >= KILLS - 2, "hardly a run was alive when it was to be killed: the test proves little"
    biodam("run")
    whole(biodam)
    harmed = biodam.fingerprints()
    (account,) = [f for f in biodam.status()["feeds"] if f["feed"] == "emr_csv"]
    assert (account["deliveries"], account["waiting"]) == (KILLS + 1, 0)

    quiet = built_once.fresh()
    for n in range(KILLS):
        deliver_hospital(quiet.lake, sequence=n + 2, hba1c=5 + n / 100)
    quiet("run")
    assert harmed == quiet.fingerprints()


@pytest.mark.scenario("24 daemon and webserver killed")
@pytest.mark.slow
def test_killed_daemon_webserver_and_code_server_leave_nothing_that_stops_the_next_run(second: Biodam, built_once: Built) -> None:
    """`biodam ui` is up with its sensor on, a run is launched by it; then every process of it is killed at once, and it comes up again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = Biodam(second.lake, {**second.environment, "DAGSTER_WEBSERVER_HOST": "127.0.0.1"})

    def up() -> subprocess.Popen[str]:
        process = start(environment, "ui", "--port", str(port))
        wait_for(lambda: _answers(port))
        return process

    first = up()
    launched = subprocess.Popen(  # a run of the daemon's kind: queued in Dagster's own store, beside the interface
        [sys.executable, "-m", "orchestration.cli", "run"], cwd=REPOSITORY, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=second.variables,
    )  # fmt: skip
    commits = second.lake / "control" / "dbt_commits.jsonl"
    already = lines(commits)
    wait_for(lambda: lines(commits) > already or launched.poll() is not None, 300)
    for process in (first, launched):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert second.fingerprints() == built_once.first, "readers saw a half built mart"
    again = up()
    try:
        second("run")
    finally:
        os.killpg(again.pid, signal.SIGKILL)
        again.communicate()
    whole(second)
    assert second.fingerprints() == built_once.second


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"GET /server_info HTTP/1.0\r\n\r\n")
        return b"dagster_version" in connection.recv(4096)
    return False


@pytest.mark.scenario("25 dbt killed in the middle of a build")
@pytest.mark.slow
def test_dbt_killed_mid_build_leaves_the_old_marts_then_the_new_ones(second: Biodam, built_once: Built) -> None:
    """Three times, each in what the one before has left."""
    commits = second.lake / "control" / "dbt_commits.jsonl"
    for models in (1, 12, 30):
        already = lines(commits)
        run_until(second, lambda upto=already + models: lines(commits) >= upto, "--full")  # type: ignore[misc]
        assert second.fingerprints() == built_once.first, f"readers saw a half built mart after {models} models"
    second("run")
    whole(second)
    assert second.fingerprints() == built_once.second


@pytest.mark.scenario("26 out of memory")
@pytest.mark.slow
def test_run_without_memory_fails_loudly_and_the_next_one_finishes(second: Biodam, built_once: Built) -> None:
    limit = 900 * 2**20

    def starve() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    process = start(second, "run", preexec_fn=starve)
    process.communicate(timeout=300)
    assert process.returncode != 0
    second("run")
    whole(second)
    assert second.fingerprints() == built_once.second


ABORT_WHEN_ALL_IS_WRITTEN = """
from assets import planning, quiet
def aborts(*_, **__):
    os.abort()
planning.mark_quiet = aborts
"""
ABORT_AT_EXIT = """
import atexit
atexit.register(os.abort)
"""


@pytest.mark.scenario("27 abort after success")
@pytest.mark.slow
@pytest.mark.parametrize("script", [ABORT_WHEN_ALL_IS_WRITTEN, ABORT_AT_EXIT], ids=["before the last mark", "at exit"])
def test_run_that_aborts_after_its_last_write_is_not_repeated(second: Biodam, built_once: Built, script: str) -> None:
    assert python(second, script).returncode == -signal.SIGABRT
    assert second.fingerprints() == built_once.second
    versions = sorted(p.name for p in (second.lake / "tables/omop/measurement/_delta_log").iterdir())
    second("run")
    assert sorted(p.name for p in (second.lake / "tables/omop/measurement/_delta_log").iterdir()) == versions, "it was built a second time"
    whole(second)
    assert second.fingerprints() == built_once.second


@pytest.mark.scenario("28 two runs and four writers at once")
@pytest.mark.slow
def test_two_runs_and_four_senders_at_once(built: Biodam, tmp_path: Path) -> None:
    sources = []
    for number in range(4):
        folder = tmp_path / f"sender{number}"
        folder.mkdir()
        header = "결과번호,등록번호,검사코드,검사일시,결과,단위,삭제\r\n"
        rows = f"S{number},P1,A1C,2021-05-01 08:0{number}:00,7.{number},%,N\r\n"
        (folder / "lab_result.csv").write_bytes((header + rows).encode("cp949"))
        sources.append(folder)
    senders = [start(built, "deliver", str(s), "--site", "h90", "--feed", "emr_csv") for s in sources]
    runs = [start(built, "run") for _ in range(2)]
    sent = [p.communicate() for p in senders]
    assert [p.returncode for p in senders] == [0, 0, 0, 0], sent
    said = [p.communicate() for p in runs]
    assert sorted(p.returncode for p in runs) in ([0, 75], [0, 0]), said
    built("run")
    whole(built)
    (account,) = [f for f in built.status()["feeds"] if f["feed"] == "emr_csv"]
    assert (account["deliveries"], account["waiting"]) == (5, 0)
    assert built.one("select count(*) from measurement") == 8 + 4


@pytest.mark.scenario("29 disk full at any stage")
@pytest.mark.slow
def test_disk_full_at_any_stage_is_said_and_the_next_run_finishes(built_once: Built, disk: Mount) -> None:
    """A disk that holds the lake and so many bytes more: it is full at the door, in the landing, in the build, each in what the one before has left."""
    place = disk("size=200m")
    biodam = built_once.elsewhere(place / "lake")
    deliver_hospital(biodam.lake, sequence=2, hba1c=6.4)
    for room in (60_000, 500_000, 1_000_000):
        status = os.statvfs(place)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        disk(f"size={used + room}")
        full = biodam("run", check=False)
        assert full.returncode != 0, f"{room} bytes held everything: the test proves nothing"
        assert "Traceback" not in full.stderr
    disk("size=200m")
    biodam("run")
    whole(biodam)
    assert biodam.fingerprints() == built_once.second, "something is missing or there twice"


@pytest.mark.scenario("30 read-only or vanished mount")
@pytest.mark.slow
def test_lake_that_cannot_be_written_is_left_as_it_was(built_once: Built, disk: Mount) -> None:
    biodam = built_once.elsewhere(disk("size=200m") / "lake")
    deliver_hospital(biodam.lake, sequence=2, hba1c=6.4)
    before = sorted((str(p), p.stat().st_mtime_ns) for p in biodam.lake.rglob("*"))
    disk("ro")
    refused = biodam("run", check=False)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert sorted((str(p), p.stat().st_mtime_ns) for p in biodam.lake.rglob("*")) == before
    disk("rw")
    biodam("run")
    whole(biodam)
    assert biodam.fingerprints() == built_once.second


@pytest.mark.scenario("30 read-only or vanished mount")
@pytest.mark.slow
def test_mount_that_vanishes_in_a_run_and_comes_back(second: Biodam, built_once: Built, tmp_path: Path) -> None:
    """The folder is moved away, as a lost mount would, and put back."""
    commits = second.lake / "control" / "dbt_commits.jsonl"
    already = lines(commits)
    process = start(second, "run")
    wait_for(lambda: lines(commits) > already)
    away = tmp_path / "away"
    second.lake.rename(away)
    process.communicate(timeout=300)
    assert process.returncode != 0
    if second.lake.exists():  # what the run wrote into the empty mount point
        second.lake.rename(tmp_path / "stray")
    away.rename(second.lake)
    assert second.fingerprints() == built_once.first
    second("run")
    whole(second)
    assert second.fingerprints() == built_once.second


@pytest.mark.scenario("34 clock two days behind, 400 days ahead")
@pytest.mark.slow
def test_wrong_clock_loses_nothing(second: Biodam, built_once: Built, shim: Path) -> None:
    """One lake is run two days behind, then 400 days ahead, then by the right clock, which by then is behind."""

    def clock(days: int) -> Biodam:
        return Biodam(second.lake, {**second.environment, "LD_PRELOAD": str(shim), "FAULT_CLOCK_OFFSET": str(days * DAY)})

    behind, ahead = clock(-2), clock(400)
    behind("run")
    assert second.fingerprints() == built_once.second, "the clock decides what a table holds"
    assert behind("vacuum", check=False).returncode == 1, "what is young looks old to nobody, but the clock is wrong"
    deliver_hospital(second.lake, sequence=3, hba1c=7.0)
    ahead("run")
    ahead("compact")
    ahead("vacuum")
    deliver_hospital(second.lake, sequence=4, hba1c=7.5)
    second("run")
    whole(second)
    assert second.one("select count(*) from measurement") == 32


@pytest.mark.scenario("35 reader during compaction, rebuild and vacuum")
@pytest.mark.slow
def test_reader_keeps_right_answers_while_files_are_merged_and_taken_away(built: Biodam) -> None:
    for sequence in range(2, 10):
        deliver_hospital(built.lake, sequence=sequence, hba1c=5.0 + sequence / 10)
    built("run")
    reader = duckdb.connect(str(built.lake / "catalogue" / "biodam.duckdb"), read_only=True)
    query = "select count(*), sum(value_as_number), count(distinct person_id) from measurement"
    expected = reader.execute(query).fetchall()
    wrong: list[object] = []
    asked = 0
    done = threading.Event()

    def read() -> None:
        nonlocal asked
        while not done.is_set():
            asked += 1
            if (now := reader.execute(query).fetchall()) != expected:
                wrong.append(now)
            time.sleep(0.02)  # the run beside it wants some CPU too

    thread = threading.Thread(target=read)
    thread.start()
    merged = built("compact").stdout
    built("run", "--full")  # replaces every file that the reader reads
    built("vacuum")
    done.set()
    thread.join()
    assert "merged into" in merged
    assert asked > 50
    assert wrong == []
    assert reader.execute(query).fetchall() == expected
    reader.close()
    whole(built)
    assert json.loads(built("run", "--json").stdout)["nothing_to_do"]
