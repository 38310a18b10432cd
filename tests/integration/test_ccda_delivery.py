"""One delivery of C-CDA documents into raw tables: the accounts, and what is nowhere in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from assets.landing.door import admit
from assets.landing.land import Landing, land
from assets.landing.workspace import Workspace
from tests.conftest import REPOSITORY, write_delivery

CASES = REPOSITORY / "tests" / "golden" / "formats" / "ccda"


def _case(name: str) -> bytes:
    return (CASES / name / "input.xml").read_bytes()


def _land(workspace: Workspace, files: dict[str, bytes], *, number: int = 1) -> Landing:
    return land(workspace, admit(workspace, write_delivery(workspace.lake.root, "h06", "ccda", f"d{number}", files, sequence=number)))


def _raw(root: Path, entity: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.table(DeltaTable(str(root / "tables/raw/ccda" / entity)).to_pyarrow_table()).to_pylist()
    return rows


def test_every_record_of_every_document_is_landed_quarantined_or_duplicate(tmp_path: Path) -> None:
    """A whole document, the same again under another name, one with bad entries, and files of which nothing can land."""
    workspace = Workspace(tmp_path)
    outcome = _land(
        workspace,
        {
            "Anna_Planted.xml": _case("a_statement_for_each_table"),
            "copy.ccda": _case("a_statement_for_each_table"),
            "bad.xml": _case("one_bad_entry_does_not_stop_the_others"),
            "fragment.xml": _case("fragment_without_header"),
            "doctype.xml": _case("doctype_with_outside_entity"),
            "notes.md": b"# no document",
        },
    )
    assert (outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate) == (32, 13, 9, 10)
    reasons: dict[str, int] = {}
    for row in workspace.deliveries.quarantined():
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["records"]
    assert reasons == {
        "invalid_date": 1, "value_not_finite": 2, "invalid_type": 2, "not_a_clinical_document": 2, "xml_doctype": 2, "unknown_file": 0,
    }  # fmt: skip


def test_statements_of_one_patient_belong_to_one_person_and_to_their_encounter(tmp_path: Path) -> None:
    _land(Workspace(tmp_path), {"a.xml": _case("a_statement_for_each_table"), "b.xml": _case("null_flavors_are_null")})
    people = {row["person_id"] for table in ("patient", "problem", "medication", "observation", "allergy") for row in _raw(tmp_path, table)}
    assert len(people) == 1
    diagnosis = next(row for row in _raw(tmp_path, "problem") if row["encounter_id"] is not None)
    assert diagnosis["encounter_id"] in {row["record_id"] for row in _raw(tmp_path, "encounter")}


def test_a_document_sent_again_is_a_newer_version_of_the_same_statements(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    _land(workspace, {"a.xml": _case("a_statement_for_each_table")})
    corrected = _case("a_statement_for_each_table").replace(b'value="7.2"', b'value="7.4"')
    _land(workspace, {"a.xml": corrected}, number=2)
    results = [row for row in _raw(tmp_path, "observation") if row["value_number"] in (7.2, 7.4)]
    assert len({row["record_id"] for row in results}) == 1
    assert {row["_sequence"]: row["value_number"] for row in results} == {1: 7.2, 2: 7.4}


def test_no_name_number_or_narrative_is_outside_vault_and_landing_store(tmp_path: Path) -> None:
    cases = [path for path in sorted(CASES.iterdir()) if path.name != "utf_16"]
    _land(Workspace(tmp_path), {f"Anna_Planted_{n}.xml": (path / "input.xml").read_bytes() for n, path in enumerate(cases)})
    places = [p for p in tmp_path.rglob("*") if p.is_file() and p.relative_to(tmp_path).parts[0] not in ("inbox", "landing")]
    text = b"".join(p.read_bytes() for p in places if p.suffix != ".parquet")
    for path in (tmp_path / "tables").rglob("*.parquet"):
        text += repr(pq.read_table(path).to_pylist()).encode()
    assert [w for w in (b"Planted", b"Anna", b"P-1", b"750501-2000007", b"111-00-2330", b"2.999.2", b"2.999.9", b"LOT7") if w in text] == []
    assert b"38341003" in text, "the text looked into is the data"
