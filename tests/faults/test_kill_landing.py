"""Kill -9 at every step of landing: after the next run every record is landed once, and the people are the same.

The killed process is a real one: it is stopped by SIGKILL inside the step that is named.
"""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from deltalake import DeltaTable

from assets.landing.workspace import Workspace
from assets.ledger.deliveries import DeliveryKey
from assets.upkeep.verify import verify
from tests.conftest import write_delivery
from tests.faults.killing import land_all

pytestmark = pytest.mark.scenario("23 worker killed at 30 random times")
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.killing"])

PATIENTS = "".join(
    f'{{"resourceType":"Patient","id":"p{n}","birthDate":"1970-01-0{n}","identifier":[{{"system":"urn:x:resident","value":"70010{n}-123456{n}"}}]}}\n'
    for n in range(1, 6)
)
CONDITIONS = "".join(
    f'{{"resourceType":"Condition","id":"c{n}","subject":{{"reference":"Patient/p{1 + n % 6}"}},"recordedDate":"2020-01-01"}}\n'
    for n in range(20)
)
BROKEN = '{"resourceType":"Condition","id":"bad","subject":{"reference":"Patient/p1"},"recordedDate":"2023-02-30"}\n'

PLACES = [
    "register:1:before", "register:1:after", "rename:1:before", "rename:1:after", "move:1:before", "move:1:after",
    "run_child:1:before", "run_child:1:after", "resolve:1:before", "resolve:1:after", "append:1:before", "record:1:before", "record:1:after",
    "append:1:after", "record:2:before", "append:2:after", "append:3:before", "append:3:after", "note_change:1:before", "note_change:1:after",
    "close_landed:1:before", "close_landed:1:after",
]  # fmt: skip


def _land(lake: Path, where: str = "nowhere") -> BaseProcess:
    process = PROCESSES.Process(target=land_all, args=(lake, where))
    process.start()
    return process


def _exit_code(process: BaseProcess) -> int | None:
    process.join(600)
    return process.exitcode


def _check(lake: Path) -> None:
    workspace = Workspace(lake)
    (row,) = workspace.deliveries.all_rows()
    assert (row["state"], row["delivered"], row["landed"], row["quarantined"], row["duplicate"]) == ("landed", 26, 25, 1, 0)
    rows = {
        name: DeltaTable(str(lake / "tables" / "raw" / name)).to_pyarrow_table()
        for name in ("fhir/patient", "fhir/condition", "people/sighting")
    }
    assert {name: table.num_rows for name, table in rows.items()} == {"fhir/patient": 5, "fhir/condition": 20, "people/sighting": 6}
    assert len(set(rows["fhir/condition"]["record_id"].to_pylist())) == 20
    assert set(rows["fhir/condition"]["person_id"].to_pylist()) == set(rows["people/sighting"]["person_id"].to_pylist())
    assert workspace.commits.pending().buckets == {0}
    for key in ("raw/fhir/patient", "raw/fhir/condition", "raw/people/sighting"):
        assert [r["version"] for r in workspace.commits.rows(key)] == [0], f"{key} is not recorded once"


def _deliver(lake: Path) -> None:
    write_delivery(lake, "h02", "fhir_r4", "d1", {"Patient.ndjson": PATIENTS, "Condition.ndjson": CONDITIONS + BROKEN})


@pytest.mark.parametrize("where", PLACES)
def test_killed_landing_is_finished_by_the_next_run(tmp_path: Path, where: str) -> None:
    _deliver(tmp_path)
    assert _exit_code(_land(tmp_path, where)) == -signal.SIGKILL, "the step that should have been killed was not reached"
    assert _exit_code(_land(tmp_path)) == 0
    _check(tmp_path)


@pytest.mark.parametrize(
    ("where", "who", "records"),
    [
        ("begin_landing:1:before", "p3", 4),
        ("begin_landing:1:after", "p2", 5),
        ("append:1:after", "p2", 5),
        ("close_landed:1:before", "p2", 5),
    ],
)
def test_what_a_killed_landing_began_to_hold_is_held_though_the_person_consents_meanwhile(
    tmp_path: Path, where: str, who: str, records: int
) -> None:
    """h11 asks for consent. p2 withdraws, late data is landed and killed, p2 consents again, and p3 withdraws, in a run of another site."""
    write_delivery(tmp_path, "h11", "fhir_r4", "d1", {"Patient.ndjson": PATIENTS})
    assert _exit_code(_land(tmp_path)) == 0
    _withdraw(tmp_path, "p2")
    write_delivery(tmp_path, "h11", "fhir_r4", "d2", {"Patient.ndjson": PATIENTS, "Condition.ndjson": CONDITIONS}, sequence=2)
    assert _exit_code(_land(tmp_path, where)) == -signal.SIGKILL
    _withdraw(tmp_path, "p3")
    assert _exit_code(_land(tmp_path)) == 0
    workspace = Workspace(tmp_path)
    row = workspace.deliveries.get(DeliveryKey("h11", "fhir_r4", "d2")) or {}
    assert (row["state"], row["landed"], row["quarantined"]) == ("landed", 25 - records, records)
    held = {h.person_id for h in workspace.withdrawn.held(DeliveryKey("h11", "fhir_r4", "d2"))}
    landed = DeltaTable(str(tmp_path / "tables" / "raw" / "fhir" / "condition")).to_pyarrow_table()["person_id"].to_pylist()
    assert held == {_person(tmp_path, who)}
    assert not held & set(landed)
    assert len(landed) == 21 - records
    assert verify(workspace, deep=True).findings == []


def _person(lake: Path, number: str) -> int:
    found = Workspace(lake).vault.find("h11", number)
    assert found is not None
    return found.person_id


def _withdraw(lake: Path, *numbers: str) -> None:
    gone = [{"person_id": _person(lake, n), "person_bucket": 0, "since": "2026-01-01"} for n in numbers]
    Workspace(lake).withdrawn.replace(gone, buckets=None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(9))
def test_landing_killed_at_three_random_times(tmp_path: Path, seed: int) -> None:
    """27 kills; five more, of whole runs, are in test_runs.py."""
    _deliver(tmp_path)
    for attempt in range(3):
        process = _land(tmp_path)
        time.sleep(random.Random(seed * 10 + attempt).uniform(0.05, 1.0))
        process.kill()
        process.join()
    assert _exit_code(_land(tmp_path)) == 0
    _check(tmp_path)
