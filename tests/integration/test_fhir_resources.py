"""FHIR resources on their way to OMOP in a hospital that is read on consent: references to drugs, Korean codes, Consents, corrections."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Biodam, write_delivery
from tests.integration.one_lake import OneLake, Part

pytestmark = pytest.mark.shares("one lake")

SITE = """site = "h91"
name = "Test hospital"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.fhir_r4]
time_zone = "Asia/Seoul"
"""
KR = "http://www.hl7korea.or.kr/CodeSystem/"
METFORMIN, OTHER_DRUG = "999000010", "999000020"  # EDI codes of the seed
CONCEPT = {METFORMIN: 40163924, OTHER_DRUG: 1597756}
RESIDENT_NUMBER = "800101-2000006"

Resource = dict[str, Any]


def _concept(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def _resource(kind: str, name: str, person: str | None = None, **more: Any) -> Resource:
    subject = {"patient" if kind in ("Consent", "Device") else "subject": {"reference": f"Patient/{person}"}} if person else {}
    return {"resourceType": kind, "id": name, **subject, **more}


def _consent(person: str, *purposes: str, status: str = "active", **provision: Any) -> Resource:
    system = {True: "http://terminology.hl7.org/CodeSystem/v3-ActReason", False: "urn:biodam:consent-scope"}
    return _resource(
        "Consent", f"consent-{person}", person, status=status, dateTime="2024-01-01",
        scope=_concept("http://terminology.hl7.org/CodeSystem/consentscope", "research"),
        provision={"type": "permit", "purpose": [{"system": system[p.isupper()], "code": p} for p in purposes], **provision},
    )  # fmt: skip


def _medication(code: str) -> Resource:
    return _resource("Medication", "m1", code=_concept(KR + "hira-edi-medication", code))


def _patient(name: str, **more: Any) -> Resource:
    return _resource("Patient", name, birthDate="1980-01-01", gender="female", **more)


def _ordered(name: str, person: str) -> Resource:
    reference = {"reference": "Medication/m1"}
    return _resource(
        "MedicationRequest", name, person, status="active", intent="order", authoredOn="2024-03-01", medicationReference=reference
    )


def _lines(*resources: Resource) -> str:
    return "".join(json.dumps(r) + "\n" for r in resources)


FIRST = _lines(
    _patient("p1", identifier=[{"type": _concept("http://terminology.hl7.org/CodeSystem/v2-0203", "NNKOR"), "system": "urn:oid:1.2", "value": RESIDENT_NUMBER}]),
    _patient("p2"),
    _patient("p3"),
    _consent("p1", "clinical", "specimen"),
    _consent("p2", "HRESCH"),
    _consent("p3", "HRESCH", provision=[{"type": "deny"}]),
    _medication(METFORMIN),
    _ordered("r1", "p1"),
    _ordered("r2", "p2"),
    _ordered("r3", "p3"),
    _resource(
        "MedicationDispense", "d1", "p1", status="completed", whenHandedOver="2024-03-02", medicationReference={"reference": "#in"},
        contained=[{"resourceType": "Medication", "id": "in", "code": _concept(KR + "kpis-kdcode", OTHER_DRUG)}],
    ),
    _resource("MedicationAdministration", "a1", "p1", status="not-done", effectiveDateTime="2024-03-03", medicationReference={"reference": "Medication/m1"}),
    _resource("MedicationStatement", "s1", "p1", status="active", effectiveDateTime="2024-03-04", medicationCodeableConcept=_concept(KR + "hira-edi-medication", METFORMIN)),
    _resource("Condition", "c1", "p1", code=_concept(KR + "kostat-kcd-8", "E11.9"), recordedDate="2024-03-01"),
    _resource("Specimen", "sp1", "p1", type=_concept("http://snomed.info/sct", "119297000"), collection={"collectedDateTime": "2024-03-01T23:00:00Z"}),
    _resource("Specimen", "sp2", "p2", type=_concept("http://snomed.info/sct", "119297000"), collection={"collectedDateTime": "2024-03-01"}),
    _resource("Device", "dev1", "p1", type=_concept("http://snomed.info/sct", "72506001")),
)  # fmt: skip
SECOND = _lines(_medication(OTHER_DRUG), _consent("p2", "HRESCH", status="inactive"))


QUERIES = {
    "people": "select count(*) from person",
    "drugs": "select drug_type_concept_id, drug_concept_id, count(*) from drug_exposure group by all order by all",
    "conditions": "select condition_source_value, condition_concept_id > 0 from condition_occurrence",
    "specimens": "select specimen_source_value, specimen_date::varchar from specimen",
}


def _deliver(sequence: int, content: str) -> Callable[[Path], None]:
    def deliver(lake: Path) -> None:
        write_delivery(lake, "h91", "fhir_r4", f"d{sequence}", {"Bundle.ndjson": content}, sequence=sequence)

    return deliver


def _look(lake: Biodam) -> dict[str, list[tuple[Any, ...]]]:
    return {name: lake.query(sql) for name, sql in QUERIES.items()}


RESOURCES = Part({"h91": SITE}, _deliver(1, FIRST), _deliver(2, SECOND), _look)


@pytest.fixture(scope="module")
def lakes(one_lake: OneLake) -> tuple[dict[str, list[tuple[Any, ...]]], dict[str, list[tuple[Any, ...]]], Biodam]:
    """What the queries gave after the first and after the second delivery, and the lake."""
    lake = one_lake.of(RESOURCES)
    return one_lake.seen(RESOURCES), _look(lake), lake


def test_drugs_are_found_by_code_reference_and_in_contained_resources(lakes: Any) -> None:
    """Two orders point to Medication/m1, a dispense to a contained one by its KD code; what was not given is no exposure."""
    first, _, _ = lakes
    assert first["drugs"] == [(32817, CONCEPT[METFORMIN], 2), (32825, CONCEPT[OTHER_DRUG], 1), (32865, CONCEPT[METFORMIN], 1)]
    assert first["conditions"] == [("E11.9", True)]


def test_only_people_whose_consent_is_understood_are_read_and_only_its_scopes(lakes: Any) -> None:
    """p1 consents to clinical records and specimens, p2 to research on health, p3 with an exception that nobody here understands."""
    first, _, _ = lakes
    assert first["people"] == [(2,)]
    assert first["specimens"] == [("119297000", "2024-03-02")]


def test_a_corrected_medication_reaches_those_who_were_given_it(lakes: Any) -> None:
    _, second, _ = lakes
    assert second["drugs"] == [(32817, CONCEPT[OTHER_DRUG], 1), (32825, CONCEPT[OTHER_DRUG], 1), (32865, CONCEPT[METFORMIN], 1)]


def test_a_consent_that_is_no_longer_active_takes_the_person_out(lakes: Any) -> None:
    _, second, _ = lakes
    assert second["people"] == [(1,)]


def test_every_record_is_accounted_for_and_no_resident_number_is_in_the_lake(lakes: Any) -> None:
    *_, biodam = lakes
    (feed,) = biodam.status()["feeds"]
    assert (feed["conserved"], feed["delivered"], feed["landed"]) == (True, 19, 19)
    for path in (p for name in ("tables", "control", "catalogue") for p in (biodam.lake / name).rglob("*") if p.is_file()):
        assert RESIDENT_NUMBER.encode() not in path.read_bytes(), path.relative_to(biodam.lake)
