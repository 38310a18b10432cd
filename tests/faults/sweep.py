"""Every writer of a lake, with one writing system call made to fail, and then once more without: is anything lost, doubled or silent?

Run as a program under the shim (`shim.c`); each case is a fork of it, so that the libraries are imported once.
    python -m tests.faults.sweep FOLDER '[[share, error, lasting], ...]'
prints the number of writing calls of a run without faults, then one JSON line a case. `share`: which of these calls, from 0 to 1; null: each of them, one
case a call. `error`: -1 kills, else an errno.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from assets.governance.accounts import add_up
from assets.lake.commits import read_snapshot
from assets.lake.dbt_store import ModelJob, store_model
from assets.lake.plan import Plan
from assets.landing import door, land
from assets.landing.workspace import Workspace
from assets.ledger.schema import DeliveryState
from assets.planning import model_commits, record_model_commits
from assets.run_lock import hold_lake
from assets.serving.catalogue import PublishedModel, publish
from assets.upkeep.compaction import compact
from assets.upkeep.vacuum import sweep_after_kill, vacuum
from assets.upkeep.verify import verify
from tests.conftest import write_delivery

_MODEL = ModelJob("marts", "numbers", "model.biodam.numbers", "select range as number from range(100)")


def deliver(lake: Path) -> None:
    """Two deliveries of one hospital: 3 + 2 patients, 4 + 4 conditions, one of them broken."""
    for number, first, end, days in ((1, 1, 4, ("01", "02", "03", "30")), (2, 4, 6, ("01", "02", "03", "04"))):
        patients = "".join(f'{{"resourceType":"Patient","id":"p{n}","birthDate":"1970-01-0{n}"}}\n' for n in range(first, end))
        conditions = "".join(
            f'{{"resourceType":"Condition","id":"c{number}{n}","subject":{{"reference":"Patient/p{first}"}},"recordedDate":"2020-02-{day}"}}\n'
            for n, day in enumerate(days)
        )
        write_delivery(lake, "h02", "fhir_r4", f"d{number}", {"Patient.ndjson": patients, "Condition.ndjson": conditions}, sequence=number)


def work(lake: Path) -> None:
    """Land, merge, build one model, publish, take away."""
    workspace = Workspace(lake)
    with hold_lake(lake, purpose="sweep"):
        sweep_after_kill(workspace)
        door.recover_stored(workspace)
        for folder in door.closed_folders(workspace.lake.inbox):
            door.admit(workspace, folder)
        for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED):
            land.land(workspace, key)
        compact(workspace, min_files=2)
        _build(workspace)
        vacuum(workspace, retention=timedelta())


def _build(workspace: Workspace) -> None:
    """One model and the catalogue, as a run does."""
    versions = workspace.commits.latest_versions()
    plan = Plan("sweep", workspace.commits.build_count() + 1, date(2026, 1, 1), True, None, None, {}, versions)
    with duckdb.connect() as connection:
        stored = store_model(connection.cursor(), workspace.lake, plan, _MODEL)
    record_model_commits(workspace, model_commits(workspace.root, "sweep"))
    publish(workspace.lake, [PublishedModel("numbers", "marts", stored.version)])


def problems(lake: Path) -> list[str]:
    """What is wrong with the lake after a run that ended well."""
    workspace = Workspace(lake)
    found = [f.line for f in verify(workspace, deep=True).findings]
    rows = {r["delivery_id"]: (r["state"], r["delivered"], r["landed"], r["quarantined"]) for r in workspace.deliveries.all_rows()}
    if rows != {"d1": ("landed", 7, 6, 1), "d2": ("landed", 6, 6, 0)}:
        found.append(f"deliveries: {rows}")
    if not add_up(workspace, day=date(2026, 1, 1)).conserved:
        found.append("not conserved")
    held = {key: read_snapshot(workspace.lake, key).rows for key in ("raw/fhir/patient", "raw/fhir/condition", "marts/numbers")}
    if held != {"raw/fhir/patient": 5, "raw/fhir/condition": 7, "marts/numbers": 100}:
        found.append(f"rows: {held}")
    if workspace.vault.count() != 5:
        found.append(f"people: {workspace.vault.count()}")
    with duckdb.connect(str(workspace.lake.catalogue), read_only=True) as connection:
        if (shown := connection.execute("select count(distinct number) from numbers").fetchall()) != [(100,)]:
            found.append(f"catalogue: {shown}")
    return found


def _in_child(action: Callable[[], object], said: Path) -> int:
    """Exit status of an action in a fork; what it says goes to a file."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            result = action()
            if result:
                said.write_text("\n".join(map(str, result)) if isinstance(result, list) else str(result))
                code = 4
        except BaseException:
            code = 3
            shim.fault_disarm()
            said.write_text(traceback.format_exc())
        os._exit(code)
    return os.waitpid(child, 0)[1]


def case(folder: Path, nth: int, error: int, lasting: bool) -> dict[str, Any]:
    """One run with a fault, one without, one look."""
    lake, said = folder / f"{nth}_{error}", folder / f"{nth}_{error}.txt"
    deliver(lake)

    def faulty() -> None:
        shim.fault_arm(str(lake).encode(), nth, error, int(lasting))
        work(lake)

    first = _in_child(faulty, said)
    second = _in_child(lambda: work(lake), said)
    wrong = _in_child(lambda: problems(lake), said) if second == 0 else second
    result = {"nth": nth, "error": error, "first": first, "second": second, "good": wrong == 0, "said": said.read_text() if wrong else ""}
    shutil.rmtree(lake)
    return result


def count(folder: Path) -> int:
    """Writing calls of a run without faults."""
    lake, said = folder / "count", folder / "count.txt"
    deliver(lake)

    def counting() -> int:
        shim.fault_arm(str(lake).encode(), 0, 0, 0)
        work(lake)
        return int(shim.fault_calls())

    _in_child(counting, said)
    shutil.rmtree(lake)
    return int(said.read_text())


if __name__ == "__main__":
    shim = ctypes.CDLL(None)
    shim.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    shim.fault_calls.restype = ctypes.c_long
    place = Path(sys.argv[1])
    calls = count(place)
    print(json.dumps({"calls": calls}), flush=True)  # noqa: T201 - read by the test
    for share, error_number, keeps in json.loads(sys.argv[2]):
        for site in range(1, calls + 1) if share is None else [max(1, round(share * calls))]:
            print(json.dumps(case(place, site, error_number, keeps)), flush=True)  # noqa: T201
