"""HL7 v2 from the inbox to raw tables: accounts, merges, duplicates, nothing in clear; the real messages, each with its outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from assets.landing.door import admit
from assets.landing.land import Landing, land
from assets.landing.workspace import Workspace

Deliver = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def _land(workspace: Workspace, folder: Path) -> Landing:
    return land(workspace, admit(workspace, folder))


def _rows(workspace: Workspace, entity: str) -> list[dict[str, Any]]:
    table = DeltaTable(str(workspace.lake.root / "tables" / "raw" / "hl7_v2" / entity))
    return list(table.to_pyarrow_table().to_pylist())


def _message(kind: str, number: str, person: str, *segments: str, at: str = "20240102080000") -> str:
    person = person if person.startswith("PID") else f"PID|1||{person}^^^H^MR||KIM^ANNA||19700101|F"
    return "\r".join([f"MSH|^~\\&|HIS|H|||{at}||{kind}|{number}|P|2.5", person, *segments]) + "\r"


def test_a_message_sent_again_is_a_duplicate_and_a_changed_one_a_new_version(workspace: Workspace, deliver: Deliver) -> None:
    result = "OBR|1|P1|F1|24323-8^Panel^LN|||20240102", "OBX|1|NM|718-7^Hb^LN||{}|g/dL|||||{}"
    first = _message("ORU^R01", "1", "P1", result[0], result[1].format("13.2", "F"))
    corrected = _message("ORU^R01", "2", "P1", result[0], result[1].format("13.9", "C"))
    outcome = _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d1", {"a.hl7": first + first + corrected}))
    assert (outcome.delivered, outcome.landed, outcome.duplicate, outcome.quarantined) == (3, 2, 1, 0)
    found = _rows(workspace, "observation_result")
    assert [(r["value_number"], r["status_code"]) for r in sorted(found, key=lambda r: r["_row_number"])] == [(13.2, "F"), (13.9, "C")]
    assert len({r["record_id"] for r in found}) == 1


def test_a_merge_message_makes_one_person_of_two_that_were_known(workspace: Workspace, deliver: Deliver) -> None:
    known = _message("ADT^A31", "1", "P1") + _message("ADT^A31", "2", "P2")
    _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d1", {"a.hl7": known}))
    assert workspace.vault.count() == 2
    merge = _message("ADT^A40", "3", "P1", "MRG|P2^^^H^MR")
    _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d2", {"a.hl7": merge}, sequence=2))
    assert workspace.vault.count() == 1
    links = DeltaTable(str(workspace.lake.root / "tables" / "raw" / "people" / "link")).to_pyarrow_table().to_pylist()
    assert len(links) == 1


def test_a_moved_visit_merges_nobody(workspace: Workspace, deliver: Deliver) -> None:
    moved = _message("ADT^A45", "1", "P1", "MRG|P2^^^H^MR||||V1") + _message("ADT^A31", "2", "P2")
    _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d1", {"a.hl7": moved}))
    assert workspace.vault.count() == 2


def test_two_resident_numbers_are_never_merged(workspace: Workspace, deliver: Deliver) -> None:
    def person(number: str, resident: str) -> str:
        return f"PID|1||{number}^^^H^MR~{resident}^^^KR^NNKOR||KIM||19700101|F"

    both = _message("ADT^A31", "1", person("P1", "700101-2234561")) + _message("ADT^A31", "2", person("P2", "710101-2234562"))
    _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d1", {"a.hl7": both}))
    _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d2", {"a.hl7": _message("ADT^A40", "3", "P1", "MRG|P2^^^H^MR")}, sequence=2))
    assert workspace.vault.count() == 2


def test_no_identifier_or_text_leaves_the_door(workspace: Workspace, deliver: Deliver) -> None:
    person = "PID|1||P77881^^^H^MR~700101-2234561^^^KR^SS||김^안나나||19700101|F|||Sejong-daero 77^^Jongno^Seoul||010-5512-7731||||A9917"
    text = _message("ORU^R01", "1", person, "PV1|1|I|||||D77^Strange^Doc|||||||||||V99881", "OBR|1|PL991|FI991|1^A^L",
                    "OBX|1|TX|1^A^L||Anna was told", "OBX|2|ST|2^B^L||Anna slept", "NTE|1||Anna woke", "NK1|1|Next^Ofkin", "ZAB|Anna")  # fmt: skip
    _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d1", {"안나나.hl7": text}))
    planted = [
        "P77881",
        "2234561",
        "안나나",
        "Sejong",
        "5512-7731",
        "55127731",
        "A9917",
        "Strange",
        "V99881",
        "PL991",
        "FI991",
        "Anna",
        "Ofkin",
    ]
    for path in (p for folder in ("tables", "control") for p in (workspace.lake.root / folder).rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert [word for word in planted if word.encode() in content] == [], path


def test_every_real_message_is_landed_quarantined_or_a_duplicate(workspace: Workspace, deliver: Deliver, shared_data: Path) -> None:
    paths = sorted((shared_data / "04_hl7v2").rglob("*.hl7"))
    files = {f"{n:03}.hl7": p.read_bytes() for n, p in enumerate(paths)}
    outcome = _land(workspace, deliver(workspace.root, "h05", "hl7_v2", "d1", files))
    assert (outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate) == (153, 97, 56, 0)
    reasons = Counter((q["reason"], q["rule"]) for q in workspace.deliveries.quarantined())
    assert reasons == {
        ("missing_person", "PID-3"): 44,  # samples of single segments, without PID or without a number in it
        ("unsupported_message", "MSH-9.1"): 9,  # RDE, RDS, REF and PPR
        ("bad_separators", "MSH-2"): 2,  # an escape character written twice
        ("invalid_date", "PID-7.1"): 1,  # born in 1640
    }
