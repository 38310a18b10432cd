"""An erasure on raw tables: what is gone, what stays, what the books say, and what comes late."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assets.contracts.table import ERASED
from assets.erasure.late import destroy_late, late_records
from assets.erasure.preview import preview
from assets.erasure.steps import ErasureError, begin, unfinished
from assets.formats.count import count_records
from assets.landing.workspace import Workspace
from assets.privacy import erased
from assets.upkeep.repair import repair
from assets.upkeep.verify import verify
from tests.conftest import write_delivery
from tests.faults.erasing import SITE, conditions, erase, patients, person, resident, rows_by_person
from tests.faults.killing import land_all


@dataclass(frozen=True)
class Once:
    """A lake after one erasure of the first person. Read only."""

    lake: Path
    who: int
    before: dict[str, dict[int, str]]
    facts: dict[str, Any]


@pytest.fixture(scope="module")
def once(landed_people: Path, tmp_path_factory: pytest.TempPathFactory) -> Once:
    lake = tmp_path_factory.mktemp("erased") / "lake"
    shutil.copytree(landed_people, lake)
    who, before = person(lake, 1), rows_by_person(lake)
    (facts,) = erase(lake, 1)
    return Once(lake, who, before, facts)


def _accounts(lake: Path) -> dict[str, tuple[int, int, int]]:
    return {r["delivery_id"]: (r["delivered"], r["landed"], r["quarantined"]) for r in Workspace(lake).deliveries.all_rows()}


def test_a_person_goes_and_no_row_of_anybody_else_changes(once: Once) -> None:
    assert rows_by_person(once.lake) == {table: {p: h for p, h in people.items() if p != once.who} for table, people in once.before.items()}
    assert {table: fact["rows"] for table, fact in once.facts["tables"].items()} == {
        "raw/fhir/condition": 4, "raw/fhir/patient": 1, "raw/people/sighting": 1,
    }  # fmt: skip
    assert _accounts(once.lake) == {"d1": (18, 15, 2), "d2": (4, 4, 0), "d3": (4, 4, 0)}, "what was delivered was delivered"
    assert verify(Workspace(once.lake), deep=True).findings == []


def test_no_byte_of_the_lake_names_the_person(once: Once) -> None:
    everything = b"".join(p.read_bytes() for p in once.lake.rglob("*") if p.is_file() and "vault" not in p.parts)
    assert resident(1).encode() not in everything
    assert b"patient-0001" not in everything
    assert b"patient-0004" in everything
    assert str(once.who).encode() not in (once.lake / "control" / "receipts" / f"{once.facts['erasure_id']}.json").read_bytes()


def test_in_delivered_lines_the_records_are_blanked_and_a_document_is_destroyed(once: Once, landed_people: Path) -> None:
    stored, before = once.lake / "landing" / SITE / "fhir_r4", landed_people / "landing" / SITE / "fhir_r4"
    was, now = ((folder / "d1" / "Condition.ndjson").read_bytes() for folder in (before, stored))
    blank = {n for n, (a, b) in enumerate(zip(was.split(b"\n"), now.split(b"\n"), strict=True), 1) if a != b}
    assert blank == {1, 2, 11, 12, 13}, "records that landed, those that were refused, one that was there twice"
    assert {line.strip() for n, line in enumerate(now.split(b"\n"), 1) if n in blank} == {b"{}"}
    assert len(now) == len(was)
    count = count_records(stored / "d1" / "Condition.ndjson", "fhir")
    assert count == count_records(before / "d1" / "Condition.ndjson", "fhir")
    assert not (stored / "d2" / "bundle.json").exists()
    assert (stored / "d3" / "Condition.ndjson").read_bytes() == (before / "d3" / "Condition.ndjson").read_bytes()
    assert [f["delivery"] for f in once.facts["files_destroyed"]] == ["h02/fhir_r4/d2"]
    assert sorted(f["records"] for f in once.facts["files_redacted"]) == [1, 5]


def test_rows_of_the_others_are_repaired_from_blanked_files_and_repair_says_what_was_destroyed(once: Once, tmp_path: Path) -> None:
    """Else the first erasure would cost the lake what it is restored from."""
    lake = tmp_path / "lake"
    shutil.copytree(once.lake, lake)
    shutil.rmtree(lake / "tables" / "raw" / "fhir")
    done = repair(Workspace(lake))
    assert done.rows == {"raw/fhir/patient": 4, "raw/fhir/condition": 12}
    assert set(rows_by_person(lake)["raw/fhir/patient"]) == set(once.before["raw/fhir/patient"]) - {once.who}
    assert "h02/fhir_r4/d2: file 1 of its manifest was destroyed when a person in it was erased" in done.left[0]
    assert done.left[1:] == ["raw/fhir/condition: 2 of 2 rows of h02/fhir_r4/d2 were not given back by today's rules"]


def test_the_vault_forgets_who_it_was_and_still_knows_the_person_again(once: Once, landed_people: Path) -> None:
    known = sorted(value for _, _, value in erased.identifiers(Workspace(landed_people).vault, [once.who]))
    assert known == ["7001011234561", "patient-0001", "urn:x:resident|700101-1234561"]
    workspace = Workspace(once.lake)
    assert erased.identifiers(workspace.vault, [once.who]) == []
    found = workspace.vault.find(SITE, "patient-0001")
    assert found is not None
    assert (found.person_id, found.bucket) == (once.who, ERASED)
    assert unfinished(workspace) == []
    with pytest.raises(ErasureError, match="were erased before"):
        begin(workspace, [once.who])


def test_the_audit_says_who_was_erased_and_when_it_ended(once: Once) -> None:
    told = {e.action: json.loads(e.detail) for e in Workspace(once.lake).audit.newest(50)}
    assert told["erase"] == {"person_id": once.who, "erasure": once.facts["erasure_id"]}
    assert told["erasure.finish"]["receipt"] == once.facts["receipt_sha256"]


def test_late_data_of_an_erased_person_lands_nowhere_and_is_counted(lake: Path) -> None:
    erase(lake, 1)
    before = rows_by_person(lake)
    everybody = range(1, 3)
    write_delivery(
        lake,
        SITE,
        "fhir_r4",
        "d4",
        {"Patient.ndjson": patients(everybody), "Condition.ndjson": conditions(everybody, mark="late")},
        sequence=4,
    )
    land_all(lake, "nowhere")
    workspace = Workspace(lake)
    assert _accounts(lake)["d4"] == (6, 3, 3)
    assert {q["reason"] for q in workspace.deliveries.quarantined(delivery_id="d4")} == {"erased_person"}
    assert all(set(people) == set(before[table]) for table, people in rows_by_person(lake).items())
    assert workspace.commits.pending().buckets == {0}
    assert verify(workspace, deep=True).findings == []
    late = late_records(workspace)
    assert [(str(f.key), f.records) for f in late] == [("h02/fhir_r4/d4", (1, 2)), ("h02/fhir_r4/d4", (1,))]
    destroy_late(workspace, late)
    assert late_records(workspace) == []
    left = b"".join(p.read_bytes() for p in (lake / "landing" / SITE / "fhir_r4" / "d4").glob("*.ndjson"))
    assert b"patient-0002" in left
    assert b"patient-0001" not in left
    assert verify(workspace, deep=True).findings == []


def test_a_record_that_names_an_erased_person_beside_another_joins_nobody(lake: Path) -> None:
    """Else the resident number of somebody who was erased would draw the rows of another person after it."""
    two = person(lake, 2)
    erase(lake, 1)
    both = patients([2]).replace(resident(2)[:6], resident(1)[:6]).replace(resident(2)[6:], resident(1)[6:])
    write_delivery(lake, SITE, "fhir_r4", "d4", {"Patient.ndjson": both}, sequence=4)
    land_all(lake, "nowhere")
    assert person(lake, 2) == two
    assert two in rows_by_person(lake)["raw/fhir/patient"]


def test_several_people_go_in_one_erasure_with_one_receipt(lake: Path) -> None:
    people = {person(lake, 1), person(lake, 3)}
    (facts,) = erase(lake, 1, 3)
    assert (facts["person_ids"], len(facts["subjects"])) == (2, 2)
    assert facts["tables"]["raw/fhir/condition"]["rows"] == 6
    assert not any(people & set(rows) for rows in rows_by_person(lake).values())


def test_what_is_left_stops_the_erasure_and_is_named_without_its_value(lake: Path) -> None:
    note = lake / "control" / "note.txt"
    note.write_text(resident(1).encode("utf-16-le").hex())
    with pytest.raises(ErasureError) as caught:
        erase(lake, 1)
    assert "control/note.txt (kr_rrn 1)" in str(caught.value)
    assert resident(1) not in str(caught.value)
    assert len(unfinished(Workspace(lake))) == 1
    note.unlink()
    (facts,) = erase(lake)
    assert facts["scan"]["matches"] == 0
    assert facts["tables"]["raw/fhir/condition"]["rows"] == 4, "what was done before the residue was found is in the receipt"


def test_a_delivered_file_that_names_the_person_by_person_id_is_blanked_too(lake: Path) -> None:
    """A result of the lake that somebody delivers back; else the byte scan finds it for ever and the erasure never ends."""
    who = person(lake, 1)
    back = conditions([2], mark="back").replace("back2-1", f"of-{who}")
    write_delivery(lake, SITE, "fhir_r4", "d4", {"Condition.ndjson": back}, sequence=4)
    land_all(lake, "nowhere")
    erase(lake, 1)
    left = (lake / "landing" / SITE / "fhir_r4" / "d4" / "Condition.ndjson").read_text()
    assert [line.strip() == "{}" for line in left.splitlines()] == [False, True]


def test_rows_of_the_control_database_are_searched_but_for_the_audit(lake: Path) -> None:
    who = person(lake, 1)
    workspace = Workspace(lake)
    workspace.audit.append("consent.show", person_id=who)
    workspace.commits.note_change(f"somebody {who}", [0])
    with pytest.raises(ErasureError, match=r"control database, table change \(person_id 1\)"):
        erase(lake, 1)


def test_files_of_dbt_that_name_the_person_are_taken_away(lake: Path) -> None:
    log = lake / "control" / "dbt" / "dbt.log"
    log.parent.mkdir()
    log.write_text(f"could not cast {person(lake, 1)}")
    (facts,) = erase(lake, 1)
    assert not log.exists()
    assert facts["artefacts"] == {"files": 1}


def test_a_dry_run_of_several_people_counts_them_together(lake: Path) -> None:
    seen = preview(Workspace(lake), [person(lake, 1), person(lake, 3)])
    assert (seen.aliases, seen.tables["raw/fhir/condition"], seen.landing_files) == (0, 6, 3)


def test_a_dry_run_counts_and_changes_nothing(lake: Path) -> None:
    before = rows_by_person(lake)
    seen = preview(Workspace(lake), [person(lake, 1)])
    assert (seen.tables, seen.landing_files, seen.shared_files) == (
        {"raw/fhir/condition": 4, "raw/fhir/patient": 1, "raw/people/sighting": 1}, 3, 3,
    )  # fmt: skip
    assert rows_by_person(lake) == before
    assert unfinished(Workspace(lake)) == []
