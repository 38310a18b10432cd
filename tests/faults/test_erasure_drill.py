"""Drill: people of a whole lake withdraw and are erased while deliveries go on; the process is killed again and again.

Nothing of them is left, of nobody else is a row changed, and every table is what a full rebuild makes of the rest. `DRILL_PEOPLE` sets the size
of the hospital; one in a hundred is erased, at least four. With `-s` each step says what it cost.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from tests.conftest import REPOSITORY, Biodam, write_delivery
from tests.integration.test_incremental import _consents, _diagnoses, _labs, _patients, _rrn, _sites

pytestmark = [pytest.mark.slow, pytest.mark.timeout(6 * 3600), pytest.mark.scenario("23 worker killed at 30 random times")]
PEOPLE = int(os.environ.get("DRILL_PEOPLE", "400"))
FIRST = 10_001
"""Number of the first patient: long enough to be searched for."""
EVERYBODY = range(FIRST, FIRST + PEOPLE)
LEAVING = sorted(random.Random(5).sample(EVERYBODY, max(PEOPLE // 100, 4)))
KILLS = [
    "begin:1:after", "note_files:1:after", "unlink:1:after", "note_rows:1:after", "cut_rows:1:before", "record:1:before", "note_change:1:before", "note_change:1:after",
    "note_removed:1:after", "search_all:1:after", "write:1:after", "forget:1:after",
]  # fmt: skip
KILLED = """
import sys
from tests.faults.erasing import ERASING
from tests.faults.killing import OWNERS, kill_in
name, nth, moment = {where!r}.split(":")
kill_in({{**OWNERS, **ERASING}}[name], name, int(nth), after=moment == "after")
from orchestration.cli import main
sys.argv = ["biodam", "erase", "--yes", *{arguments!r}]
main()
"""


def _deliver(lake: Path, number: int) -> None:
    """d1: everybody. d2: results of all, and the withdrawals. d3: late results of all, those who left included."""
    if number == 1:
        write_delivery(lake, "c90", "consent", "k1", {"event.csv": _consents(EVERYBODY)})
        write_delivery(lake, "h90", "emr_csv", "e1", {"patient.csv": _patients(EVERYBODY), "diagnosis.csv": _diagnoses(EVERYBODY)})
        write_delivery(lake, "h90", "emr_csv", "e2", {"lab_result.csv": _labs(EVERYBODY, 8.1)}, sequence=2)
    elif number == 2:
        gone = "".join(_consents(range(n, n + 1), "withdraw", day="2022-05-05", mark="w").split("\n", 1)[1] for n in LEAVING)
        header = _consents(range(0), "withdraw").split("\n", 1)[0]
        write_delivery(lake, "c90", "consent", "k2", {"event.csv": f"{header}\n{gone}"}, sequence=2)
        write_delivery(lake, "h90", "emr_csv", "e3", {"lab_result.csv": _labs(EVERYBODY, 7.2, mark="M")}, sequence=3)
    else:
        write_delivery(lake, "h90", "emr_csv", "e4", {"lab_result.csv": _labs(EVERYBODY, 6.6, mark="N")}, sequence=4)


def _hashes(lake: Path, without: set[int]) -> dict[str, str]:
    """Published table with a person_id -> hash of its rows of everybody but these people."""
    found = {}
    left_out = ", ".join(map(str, without))
    with duckdb.connect(str(lake / "catalogue" / "biodam.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from duckdb_columns() where not internal and column_name = 'person_id' order by 1"
        ).fetchall()
        for (table,) in tables:
            query = f"select coalesce(md5(string_agg(h, '' order by h)), '') from (select md5(t::varchar) as h from {table} t where person_id not in ({left_out}))"
            (found[table],) = connection.execute(query).fetchone() or ("",)
    return found


def _killed(biodam: Biodam, where: str, *arguments: str, typed: str = "") -> int:
    script = KILLED.format(where=where, arguments=list(arguments))
    return subprocess.run(
        [sys.executable, "-c", script], input=typed, env=biodam.variables, cwd=REPOSITORY, text=True, capture_output=True
    ).returncode


@contextmanager
def _told(step: str) -> Iterator[None]:
    """Say what a step cost, its processes included."""
    start, before = time.monotonic(), _cpu()
    yield
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    _say(f"{step}: {time.monotonic() - start:.0f} s, {_cpu() - before:.0f} CPU s, highest peak of a process until now {peak:.2f} GB")


def _say(text: str) -> None:
    sys.stdout.write(f"{datetime.now():%H:%M:%S} {text}\n")
    sys.stdout.flush()


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _bytes(lake: Path) -> int:
    return sum(p.stat().st_size for p in lake.rglob("*") if p.is_file())


def test_people_leave_a_lake_for_good_while_it_works_and_is_killed(tmp_path: Path) -> None:
    environment = {"BIODAM_SITES": str(_sites(tmp_path / "sites")), "BIODAM_AS_OF": "2024-01-01"}
    biodam = Biodam(tmp_path / "lake", environment, timeout=6 * 3600)

    def run(*arguments: str) -> str:
        with _told(f"biodam {' '.join(arguments)}"):
            return biodam(*arguments).stdout

    def hashes(without: set[int]) -> dict[str, str]:
        with _told("hash the rows of everybody else"):
            return _hashes(biodam.lake, without)

    _deliver(biodam.lake, 1)
    run("run")
    master = tmp_path / "master"
    shutil.copytree(biodam.lake, master)

    _deliver(biodam.lake, 2)
    run("run")
    _deliver(biodam.lake, 3)
    run("run")
    who = _people(biodam.lake)
    undisturbed = hashes(who)
    shutil.rmtree(biodam.lake)
    shutil.copytree(master, biodam.lake)

    _deliver(biodam.lake, 2)
    typed = "\n".join(map(str, sorted(who)))
    with _told(f"erase, killed {KILLS[0]}"):
        assert _killed(biodam, KILLS[0], "--people", "-", typed=typed) == -signal.SIGKILL
    _deliver(biodam.lake, 3)
    for where in KILLS[1:]:
        with _told(f"erase --resume, killed {where}"):
            assert _killed(biodam, where, "--resume") == -signal.SIGKILL, where
    done = json.loads(run("erase", "--resume", "--json"))
    assert [(facts["person_ids"], facts["scan"]["matches"]) for facts in done] == [(len(LEAVING), 0)]
    run("run")

    assert hashes({0}) == undisturbed
    _say(f"{PEOPLE:,} people, {len(who):,} erased, lake of {_bytes(biodam.lake) / 1e9:.2f} GB; searched: {done[0]['scan']}")
    incremental = biodam.fingerprints()
    run("run", "--full")
    assert biodam.fingerprints() == incremental
    run("verify", "--deep")
    assert biodam.status()["conserved"]
    refused = json.loads(biodam("quarantine", "list", "--json", "--limit", str(3 * PEOPLE)).stdout)
    late = Counter((q["delivery_id"], q["reason"]) for q in refused)
    assert late == {(name, "erased_person"): len(LEAVING) for name in ("k2", "e3", "e4")}, "what came late was counted, of nobody else"
    values = tmp_path / "values.txt"
    values.write_text("".join(f"{_rrn(n)}\n{_rrn(n).replace('-', '')}\n" for n in LEAVING))
    (receipt,) = (biodam.lake / "control" / "receipts").glob("*.json")
    script = [sys.executable, "-I", "tools/check_receipt.py", str(biodam.lake), str(receipt), "--values", str(values)]
    with _told("check the receipt, and search the lake, without Biodam"):
        checked = subprocess.run(script, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout

    shutil.rmtree(biodam.lake / "tables" / "raw" / "emr_csv")
    run("repair")  # from delivered files in which records of the erased are blanked
    run("run")
    assert biodam.fingerprints() == incremental


def _people(lake: Path) -> set[int]:
    from assets.landing.workspace import Workspace

    vault = Workspace(lake).vault
    found = [vault.find("h90", f"P{n}") for n in LEAVING]
    return {ref.person_id for ref in found if ref is not None}
