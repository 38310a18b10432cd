"""What passes from a FHIR resource into its columns. Tables small enough to check by eye."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from assets.formats.fhir_columns import local_id
from assets.formats.fhir_paths import PathError, compile_plan, segments
from assets.formats.job import Column, EntityPlan

Read = Callable[..., Any]

PATIENT = {"resourceType": "Patient", "id": "p1"}
CODE = {"coding": [{"system": "http://loinc.org", "code": "4548-4", "display": "HbA1c"}], "text": "HbA1c of Kim"}
OBSERVATION = {"resourceType": "Observation", "id": "o1", "status": "final", "subject": {"reference": "Patient/p1"}, "code": CODE}


def test_only_what_the_allow_list_names_passes(read_fhir: Read) -> None:
    patient = PATIENT | {
        "name": [{"family": "Kim"}],
        "birthDate": "1970-06-15",
        "gender": "female",
        "address": [{"line": ["1 Main St"], "city": "Seoul", "state": "Seoul-si", "country": "KR"}],
        "text": {"status": "generated", "div": "<div>Kim</div>"},
    }
    (row,) = read_fhir(patient).tables["patient"]
    assert row == {
        "record_id": "p1", "person_id": "p1", "birth_year": 1970, "birth_month": 6, "birth_day": 15, "gender_code": "female",
        "race_code": None, "ethnicity_code": None, "is_deceased": None, "deceased_at": None, "version_at": None,
        "address_state": "Seoul-si", "address_country": "KR",
        "_identity_local": "p1", "_identity_local_identifiers": None, "_identity_kr_rrn": None, "_file": 0, "_row_number": 1,
    }  # fmt: skip


def test_extensions_are_found_by_the_end_of_their_url(read_fhir: Read) -> None:
    race = {
        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        "extension": [{"url": "text", "valueString": "White"}, {"url": "ombCategory", "valueCoding": {"code": "2106-3"}}],
    }
    other = {"url": "http://x/not-us-core-race", "extension": [{"url": "ombCategory", "valueCoding": {"code": "wrong"}}]}
    (row,) = read_fhir(PATIENT | {"extension": [other, race]}).tables["patient"]
    assert row["race_code"] == "2106-3"
    assert row["ethnicity_code"] is None


def test_identifiers_go_to_the_identity_columns(read_fhir: Read) -> None:
    identifiers = [
        {"system": "http://hospital/mrn", "value": "123"},
        {"system": "http://x/resident-registration", "value": "700615-2000001"},
        {"value": "bare"},
        {"system": "http://no/value"},
    ]
    (row,) = read_fhir(PATIENT | {"identifier": identifiers}).tables["patient"]
    assert row["_identity_local_identifiers"] == ["http://hospital/mrn|123", "http://x/resident-registration|700615-2000001", "bare"]
    assert row["_identity_kr_rrn"] == "700615-2000001"


def test_codings_pass_without_display_and_text(read_fhir: Read) -> None:
    codings = [{"system": "http://loinc.org", "code": "4548-4", "display": "x"}, {"code": "local"}, {"system": "empty"}]
    (row,) = read_fhir(OBSERVATION | {"code": {"coding": codings, "text": "Kim's HbA1c"}}).tables["observation"]
    assert row["codings"] == [{"system": "http://loinc.org", "code": "4548-4"}, {"system": None, "code": "local"}]
    (row,) = read_fhir(OBSERVATION | {"code": {"text": "only text"}}).tables["observation"]
    assert row["codings"] is None


def test_components_give_first_coding_number_and_unit(read_fhir: Read) -> None:
    components = [
        {"code": {"coding": [{"system": "s", "code": "8480-6"}, {"code": "2nd"}]}, "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": {"coding": []}, "valueQuantity": {"value": 0.0, "unit": "u", "code": "mm[Hg]"}},
        {"code": {"text": "no value"}, "valueString": "free text"},
    ]
    (row,) = read_fhir(OBSERVATION | {"component": components}).tables["observation"]
    assert row["components"] == [
        {"system": "s", "code": "8480-6", "value_number": 120.0, "value_unit": "mmHg"},
        {"system": None, "code": None, "value_number": 0.0, "value_unit": "mm[Hg]"},
        {"system": None, "code": None, "value_number": None, "value_unit": None},
    ]


def test_the_first_alternative_with_a_value_counts(read_fhir: Read) -> None:
    found = read_fhir(
        OBSERVATION | {"id": "a", "effectiveDateTime": "2020-01-01T00:00:00Z", "effectivePeriod": {"start": "1999-01-01"}},
        OBSERVATION | {"id": "b", "effectivePeriod": {"start": "2020-02-01T09:00:00+09:00"}},
        OBSERVATION | {"id": "c", "valueQuantity": {"value": 1, "unit": "percent", "code": "%"}},
        OBSERVATION | {"id": "d", "valueQuantity": {"value": 1e-3, "unit": "percent"}},
    )
    rows = {row["record_id"]: row for row in found.tables["observation"]}
    assert rows["a"]["effective_at"] == datetime(2020, 1, 1, tzinfo=UTC)
    assert rows["b"]["effective_at"] == datetime(2020, 2, 1, tzinfo=UTC)
    assert (rows["c"]["value_unit"], rows["d"]["value_unit"], rows["d"]["value_number"]) == ("%", "percent", 0.001)


def test_partial_dates_are_the_first_instant_on_the_clock_of_the_site(read_fhir: Read) -> None:
    dates = {"a": "2014", "b": "2014-05", "c": "2014-05-03", "d": "2014-05-03T10:00:00"}
    found = read_fhir(*(OBSERVATION | {"id": k, "effectiveDateTime": v} for k, v in dates.items()), options={"time_zone": "Asia/Seoul"})
    rows = {row["record_id"]: row["effective_at"] for row in found.tables["observation"]}
    assert rows == {
        "a": datetime(2013, 12, 31, 15, tzinfo=UTC),
        "b": datetime(2014, 4, 30, 15, tzinfo=UTC),
        "c": datetime(2014, 5, 2, 15, tzinfo=UTC),
        "d": datetime(2014, 5, 3, 1, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("reference", "wanted", "local"),
    [
        ("Patient/1", "Patient", "1"),
        ("Patient/1/_history/2", "Patient", "1"),
        ("https://server/fhir/Patient/1", "Patient", "1"),
        ("https://server/fhir/Patient/1/_history/7", "Patient", "1"),
        ("urn:uuid:36b0", "Patient", "36b0"),
        ("urn:oid:1.2.3", "Patient", "1.2.3"),
        ("urn:uuid:known", "Patient", "real"),
        ("http://elsewhere/abc", "Patient", "real"),
        ("urn:uuid:group", "Patient", None),
        ("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|99", "Practitioner", "http://hl7.org/fhir/sid/us-npi|99"),
        ("Practitioner?identifier=http%3A%2F%2Fnpi%7C99", "Practitioner", "http://npi|99"),
        ("Practitioner?name=Kim", "Practitioner", None),
        ("Group/1", "Patient", None),
        ("Group?identifier=a|b", "Patient", None),
        ("Group/1", None, "1"),
        ("1", "Patient", "1"),
        ("#contained", "Patient", None),
        ("urn:uuid:", "Patient", None),
        ("Patient/", "Patient", "Patient"),
    ],
)
def test_reference_becomes_the_bare_local_id(reference: str, wanted: str | None, local: str | None) -> None:
    urls = {"urn:uuid:known": "Patient/real", "http://elsewhere/abc": "Patient/real", "urn:uuid:group": "Group/9"}
    assert local_id(reference, wanted, urls) == local


def test_a_type_without_a_table_keeps_its_envelope(read_fhir: Read) -> None:
    found = read_fhir(
        {"resourceType": "Claim", "id": "c", "status": "active", "patient": {"reference": "Patient/p1"}, "item": [{"x": 1}]},
        {"resourceType": "Account", "id": "a", "status": "active", "subject": [{"reference": "Patient/p2"}]},
        {"resourceType": "Contract", "id": "k", "subject": [{"reference": "Patient/p2"}, {"reference": "Patient/p3"}]},
        {"resourceType": "SubstanceSpecification", "id": "s", "status": {"coding": [{"code": "active"}]}},
    )
    rows = {r["resource_type"]: (r["record_id"], r["person_id"], r["status"]) for r in found.tables["resource"]}
    assert rows == {
        "Claim": ("c", "p1", "active"),
        "Account": ("a", "p2", "active"),  # the only subject is the subject
        "Contract": ("k", None, None),  # two subjects: neither is the one meant
        "SubstanceSpecification": ("s", None, None),  # a status of another kind names nothing here
    }
    assert found.rejected == []


def test_contained_resources_and_nulls_do_no_harm(read_fhir: Read) -> None:
    contained = [{"resourceType": "Patient", "id": "inner", "subject": {"reference": "Patient/wrong"}}]
    found = read_fhir(
        OBSERVATION
        | {"contained": contained, "encounter": {"reference": "#inner"}, "category": [None, {"coding": None}], "component": None}
    )
    (row,) = found.tables["observation"]
    assert (row["record_id"], row["person_id"], row["encounter_id"], row["category_code"]) == ("o1", "p1", None, None)
    assert list(found.tables) == ["observation"]


def test_a_thousand_repeated_values_come_out_as_they_went_in(read_fhir: Read) -> None:
    """Values are decoded once per distinct text; a slip there would give one patient another's code."""
    codes = [f"c{i % 7}" for i in range(1000)]
    lines = [
        OBSERVATION | {"id": f"o{i}", "code": {"coding": [{"code": code}]}, "subject": {"reference": f"Patient/p{i % 11}"}}
        for i, code in enumerate(codes)
    ]
    rows = read_fhir(*lines).tables["observation"]
    got = [(r["record_id"], r["codings"][0]["code"], r["person_id"]) for r in rows]
    assert got == [(f"o{i}", f"c{i % 7}", f"p{i % 11}") for i in range(1000)]


def test_an_unreadable_path_is_a_defect_of_the_rules() -> None:
    column = Column("x", "string", False, "keep", None, "a..b")
    with pytest.raises(PathError, match="cannot read"):
        compile_plan(EntityPlan("e", (column,), {}))
    with pytest.raises(PathError, match="no meaning for FHIR"):
        compile_plan(EntityPlan("e", (Column("x", "float64", False, "number", None, "a"),), {}))
    twice = (Column("x", "string", False, "keep", None, "a.b"), Column("y", "string", False, "keep", None, "a[0].b"))
    with pytest.raises(PathError, match="as a list and as a single value"):
        compile_plan(EntityPlan("e", twice, {}))


def test_dots_and_bars_inside_brackets_belong_to_the_predicate() -> None:
    names = [(s.name, s.index, s.predicate) for s in segments("identifier(system~a|2.16.840).value")]
    assert names == [("identifier", None, "system~a|2.16.840"), ("value", None, None)]
