"""People of a hospital, and an erasure that dies by SIGKILL in the step it is told to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from assets.erasure import artefacts, landing_store, receipt, steps
from assets.erasure.named import SILENT, Said
from assets.landing.workspace import Workspace
from assets.ledger import commits, erasures, stamps, upkeep
from assets.privacy import erased
from assets.run_lock import hold_lake
from tests.conftest import write_delivery
from tests.faults.killing import OWNERS, kill_in

ERASING: dict[str, Any] = {
    "enter": steps, "begin": erased, "forget": erased, "note_files": erasures.Erasures, "unlink": Path, "note_rows": erasures.Erasures, "cut_rows": steps,
    "record": commits.Commits, "note_change": commits.Commits, "note_removed": upkeep.UpkeepBooks, "let_go": stamps.Stamps, "clean": artefacts,
    "search_all": steps, "write": receipt, "wipe_free_pages": artefacts, "finish": erasures.Erasures, "destroy": landing_store, "take_out": landing_store, "purge": steps,
}  # fmt: skip
SITE = "h02"


def resident(number: int) -> str:
    """Resident number of one of the people."""
    return f"70010{number}123456{number}"


NAMES = {1: "홍길동", 2: "임꺽정", 3: "장길산", 4: "김민수", 5: "김민수"}
"""The fourth and fifth are namesakes."""


def patients(numbers: Iterable[int]) -> str:
    """One line a person, with name and address."""
    return "".join(
        f'{{"resourceType":"Patient","id":"patient-000{n}","birthDate":"1970-01-0{n}",'
        f'"name":[{{"text":"{NAMES[n]}"}}],"address":[{{"line":["서울특별시 중구 세종대로 110, 5동 {n}01호"],"state":"서울특별시","city":"중구"}}],'
        f'"identifier":[{{"system":"urn:x:resident","value":"{resident(n)[:6]}-{resident(n)[6:]}"}}]}}\n'
        for n in numbers
    )


def conditions(numbers: Iterable[int], *, day: str = "2020-01-01", mark: str = "c") -> str:
    """Two conditions a person."""
    return "".join(
        f'{{"resourceType":"Condition","id":"{mark}{n}-{i}","subject":{{"reference":"Patient/patient-000{n}"}},"recordedDate":"{day}"}}\n'
        for n in numbers
        for i in range(2)
    )


def _bundle(lines: str) -> str:
    entries = ",\n".join(f'{{"resource":{line}}}' for line in lines.splitlines())
    return f'{{"resourceType":"Bundle","type":"collection","entry":[\n{entries}]}}\n'


def deliver_people(lake: Path) -> None:
    """d1 knows everybody, as lines, and has bad records of the first, and one twice; d2 is one document about the first and second, d3 is about others only."""
    first, bad = conditions(range(1, 6)), conditions([1], day="2023-02-30", mark="bad")
    write_delivery(
        lake, SITE, "fhir_r4", "d1", {"Patient.ndjson": patients(range(1, 6)), "Condition.ndjson": first + bad + first.splitlines(True)[0]}
    )
    write_delivery(lake, SITE, "fhir_r4", "d2", {"bundle.json": _bundle(conditions([1, 2], mark="e"))}, sequence=2)
    write_delivery(lake, SITE, "fhir_r4", "d3", {"Condition.ndjson": conditions([4, 5], mark="f")}, sequence=3)


def person(lake: Path, number: int) -> int:
    """person_id of one of them."""
    found = Workspace(lake).vault.find(SITE, f"patient-000{number}")
    assert found is not None
    return found.person_id


def erase(lake: Path, *numbers: int, where: str = "nowhere", said: Said = SILENT) -> list[dict[str, Any]]:
    """Erase people, or go on with what was killed; `where` is `<function>:<nth call>:before|after`, or `nowhere`."""
    people = [person(lake, n) for n in numbers]
    if where != "nowhere":
        name, nth, moment = where.split(":")
        kill_in({**OWNERS, **ERASING}[name], name, int(nth), after=moment == "after")
    workspace = Workspace(lake)
    with hold_lake(lake, purpose="test"):
        ids = steps.unfinished(workspace)
        if not ids and erased.erased_among(workspace.vault, people) != set(people):
            ids = [steps.begin(workspace, people)]
        for erasure_id in ids:
            steps.before_build(workspace, erasure_id)
        return [steps.after_build(workspace, erasure_id, lambda _: None, said=said) for erasure_id in ids]


def rows_by_person(lake: Path) -> dict[str, dict[int, str]]:
    """Raw table -> person -> hash of the person's rows."""
    found: dict[str, dict[int, str]] = {}
    for log in sorted((lake / "tables" / "raw").glob("*/*/_delta_log")):
        rows = DeltaTable(str(log.parent)).to_pyarrow_table().to_pylist()
        by_person: dict[int, list[str]] = {}
        for row in rows:
            by_person.setdefault(row["person_id"], []).append(repr(sorted(row.items())))
        table = str(log.parent.relative_to(lake / "tables"))
        found[table] = {p: hashlib.sha256("\n".join(sorted(r)).encode()).hexdigest() for p, r in by_person.items()}
    return found
