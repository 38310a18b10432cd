"""A delivery may touch people whom none of its rows names. One person a bucket here, so that each shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from assets.privacy.buckets import BucketSizes
from assets.privacy.vault import open_vault
from tests.conftest import write_delivery


class Hospital:
    """Site h02 of the project: FHIR R4, delivery after delivery."""

    def __init__(self, root: Path) -> None:
        open_vault(root / "vault" / "vault.db", root / "vault" / "key", sizes=BucketSizes((), 1))
        self.workspace = Workspace(root)
        self._sequence = 0

    def sends(self, *resources: dict[str, Any]) -> set[str]:
        """Land resources as one delivery; whom it touches, by local id."""
        self._sequence += 1
        lines = "".join(json.dumps(r) + "\n" for r in resources)
        folder = write_delivery(self.workspace.root, "h02", "fhir_r4", f"d{self._sequence}", {"all.ndjson": lines}, sequence=self._sequence)
        done = land(self.workspace, admit(self.workspace, folder))
        assert done.quarantined == 0, self.workspace.deliveries.quarantined()
        touched = self.workspace.commits.pending().buckets
        assert touched is not None
        self.workspace.commits.start_build(f"b{self._sequence}", as_of="2024-01-01", full=False, buckets=None, version="")
        self.workspace.commits.finish_build(f"b{self._sequence}", self.workspace.commits.pending(), next_consent_change=None)
        return {name for name, bucket in self.buckets().items() if bucket in touched}

    def buckets(self) -> dict[str, int]:
        """Bucket of each patient."""
        names = [f"p{n}" for n in range(1, 5)]
        found = self.workspace.vault.resolve(site="h02", delivery="", groups=[], locals_=names).people
        return {name: ref.bucket for name, ref in found.items()}


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    made = Hospital(tmp_path)
    made.sends(*(_patient(n) for n in range(1, 5)), _observation("o1", 1, by="doc"), _observation("o2", 2), _visit("v3", 3, by="doc"))
    return made


def _patient(n: int) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{n}", "birthDate": "1970-01-01"}


def _observation(name: str, of: int, by: str | None = None) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": name, "status": "final", "subject": {"reference": f"Patient/p{of}"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}, "effectiveDateTime": "2020-01-01",
        **({"performer": [{"reference": f"Practitioner/{by}"}]} if by else {}),
    }  # fmt: skip


def _visit(name: str, of: int, by: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter", "id": name, "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": f"Patient/p{of}"},
        "participant": [{"individual": {"reference": f"Practitioner/{by}"}}], "period": {"start": "2020-01-01"},
    }  # fmt: skip


def _doctor(name: str, gender: str) -> dict[str, Any]:
    return {"resourceType": "Practitioner", "id": name, "gender": gender}


def test_rows_touch_their_own_people(hospital: Hospital) -> None:
    assert hospital.sends(_observation("o9", 2)) == {"p2"}


def test_a_correction_that_names_another_person_touches_both_and_they_are_read_together(hospital: Hospital) -> None:
    assert hospital.sends(_observation("o1", 4)) == {"p1", "p4"}
    bucket = hospital.buckets()
    assert hospital.workspace.commits.read_with({bucket["p1"]}) == {bucket["p1"], bucket["p4"]}
    assert hospital.workspace.commits.read_with({bucket["p2"]}) == {bucket["p2"]}


def test_a_record_that_changes_its_person_within_one_delivery_makes_both_be_read_together(hospital: Hospital) -> None:
    assert hospital.sends(_observation("o5", 1), _observation("o5", 2)) == {"p1", "p2"}
    bucket = hospital.buckets()
    assert hospital.workspace.commits.read_with({bucket["p1"]}) == {bucket["p1"], bucket["p2"]}


def test_a_tombstone_touches_whom_its_record_is_about(hospital: Hospital) -> None:
    deleted = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE", "url": "Observation/o2"}}]}
    assert hospital.sends(deleted) == {"p2"}


def test_a_new_doctor_touches_whom_they_saw_before(hospital: Hospital) -> None:
    assert hospital.sends(_doctor("doc", "female")) == {"p3"}


def test_a_doctor_delivered_again_touches_nobody_and_a_corrected_one_all_patients(hospital: Hospital) -> None:
    hospital.sends(_doctor("doc", "female"))
    assert hospital.sends(_doctor("doc", "female"), _doctor("other", "male")) == set()
    assert hospital.sends(_doctor("doc", "male")) == {"p3"}


def test_a_new_province_touches_everybody_and_a_new_village_nobody(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    header = "시도명,시군구명,법정동코드,읍면동명,동리명,생성일자,말소일자\n"
    first = "강원도,,4200000000,,,19880423,\n강원도,춘천시,4211000000,,,19880423,\n"
    deliveries = {
        first: True,
        first + "강원도,춘천시,4211010100,봉의동,,19880423,\n": False,
        first.replace("19880423,\n", "19880423,20230611\n", 1): True,
    }
    for number, (rows, everybody) in enumerate(deliveries.items(), 1):
        files = {"KIKcd_B.csv": (header + rows).encode("cp949")}
        land(workspace, admit(workspace, write_delivery(tmp_path, "g01", "area_code", f"d{number}", files, sequence=number)))
        pending = workspace.commits.pending()
        assert (pending.buckets is None) == everybody, rows
        workspace.commits.start_build(f"b{number}", as_of="2024-01-01", full=False, buckets=None, version="")
        workspace.commits.finish_build(f"b{number}", pending, next_consent_change=None)
