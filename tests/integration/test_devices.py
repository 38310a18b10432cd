"""Wearables and images on their way to the analyst: harmonised units, the site's own day, and the consent scope of each.

Three people. u1 agreed to clinical data and lifelog, u2 to clinical data and imaging, u3 to clinical data alone; all send the same things.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONSENT_HEADER, Biodam, consent_site, write_delivery
from tests.dicom_files import ROOT, instance, part10
from tests.integration.one_lake import OneLake, Part

pytestmark = pytest.mark.shares("one lake")

SITE = """site = "d91"
name = "Test hospital with devices"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
time_zone = "Asia/Seoul"
[feeds.emr_csv.columns.patient]
patient_number = "number"
birth_date = "birth_date"
gender = "gender"
[feeds.open_mhealth]
time_zone = "Asia/Seoul"
[feeds.dicom]
time_zone = "Asia/Seoul"
"""
SCOPES = {"u1": ("clinical", "lifelog"), "u2": ("clinical", "imaging"), "u3": ("clinical",)}
LATE = "2026-03-01T23:30:00Z"  # the second of March in Seoul

BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("body-weight", "2.0", {"body_weight": {"value": 150, "unit": "lb"}}),
    ("body-temperature", "3.0", {"body_temperature": {"value": 98.6, "unit": "F"}}),
    ("blood-glucose", "3.0", {"blood_glucose": {"value": 5, "unit": "mmol/L"}}),
    ("body-height", "2.0", {"body_height": {"value": 6, "unit": "ft"}}),
    ("oxygen-saturation", "2.0", {"oxygen_saturation": {"value": 97, "unit": "%"}}),
    ("heart-rate", "2.0", {"heart_rate": {"value": 180, "unit": "beats/min"}, "descriptive_statistic": "maximum"}),
    ("blood-pressure", "3.1", {
        "systolic_blood_pressure": {"value": 120, "unit": "mmHg"}, "diastolic_blood_pressure": {"value": 80, "unit": "mmHg"},
    }),
    ("hk-quantity-sample", "1.0", {"quantity_type": "HKQuantityTypeIdentifierHeartRate", "unit_value": {"value": 61, "unit": "count/min"}}),
    ("hk-correlation", "1.0", {"correlation_type": "HKCorrelationTypeIdentifierBloodPressure", "quantity_samples": [
        {"quantity_type": f"HKQuantityTypeIdentifierBloodPressure{kind}", "unit_value": {"value": value, "unit": "mmHg"}, "effective_time_frame": {"date_time": LATE}}
        for kind, value in (("Systolic", 121), ("Diastolic", 79))
    ]}),
]  # fmt: skip
NIGHT = {"time_interval": {"start_date_time": LATE, "duration": {"value": 8, "unit": "h"}}}
BODIES_1752: list[tuple[str, dict[str, Any]]] = [
    ("total-sleep-time", {"total_sleep_time": {"value": 7.5, "unit": "h"}, "is_main_sleep": True}),
    (
        "physical-activity",
        {"activity_name": "running", "distance": {"value": 3, "unit": "mi"}, "kcal_burned": {"value": 310, "unit": "kcal"}},
    ),
]
"""Of IEEE 1752.1, whose header has other names."""


def _points(person: str) -> str:
    lines = []
    for name, version, body in BODIES:
        schema_id = {"namespace": "granola" if name.startswith("hk-") else "omh", "name": name, "version": version}
        header = {"id": f"{person}-{name}", "creation_date_time": LATE, "schema_id": schema_id, "user_id": person}
        lines.append(json.dumps({"header": header, "body": {**body, "effective_time_frame": {"date_time": LATE}}}))
    for name, body in BODIES_1752:
        schema_id = {"namespace": "ieee", "name": name, "version": "1.0"}
        header = {"uuid": f"{person}-{name}", "source_creation_date_time": LATE, "schema_id": schema_id, "user_id": person}
        lines.append(json.dumps({"header": header, "body": {**body, "effective_time_frame": NIGHT}}))
    return "\n".join(lines) + "\n"


def _images(number: int, person: str) -> dict[str, bytes | str]:
    """Two instances of one series."""
    ids = {"PatientID": person, "StudyInstanceUID": f"{ROOT}{number}", "SeriesInstanceUID": f"{ROOT}{number}.1"}
    return {f"{person}-{k}": part10(instance(SOPInstanceUID=f"{ROOT}{number}.1.{k}", **ids)) for k in (1, 2)}


def _deliver(lake: Path) -> None:
    people = "number,birth_date,gender\n" + "".join(f"{p},1980-05-06,M\n" for p in SCOPES)
    grants = "".join(f"{p}-{s},K{p},,d91,{p},grant,{s},F,1,volunteer,2020-01-01,,\n" for p, scopes in SCOPES.items() for s in scopes)
    images = {name: content for number, p in enumerate(SCOPES, 5) for name, content in _images(number, p).items()}
    write_delivery(lake, "d91", "emr_csv", "p", {"patient.csv": people})
    write_delivery(lake, "d91", "open_mhealth", "w", {f"{p}.ndjson": _points(p) for p in SCOPES})
    write_delivery(lake, "d91", "dicom", "i", {**images, "README": "no image"})
    write_delivery(lake, "c91", "consent", "k", {"event.csv": CONSENT_HEADER + grants})


DEVICES = Part({"d91": SITE, "c91": consent_site("c91")}, _deliver)


@pytest.fixture(scope="module")
def devices(one_lake: OneLake) -> Biodam:
    return one_lake.of(DEVICES)


def test_numbers_of_wearables_stand_in_the_unit_of_their_concept_on_the_sites_own_day(devices: Biodam) -> None:
    """u1 alone agreed to lifelog. A maximum is kept without the concept of the plain measure."""
    found = devices.query("""
        select measurement_source_value, measurement_concept_id, round(value_as_number, 2), unit_concept_id, measurement_date::varchar
        from measurement order by 1
    """)
    day = "2026-03-02"
    assert found == [
        ("HKQuantityTypeIdentifierBloodPressureDiastolic", 3012888, 79.0, 8876, day),
        ("HKQuantityTypeIdentifierBloodPressureSystolic", 3004249, 121.0, 8876, day),
        ("HKQuantityTypeIdentifierHeartRate", 3027018, 61.0, 8541, day),
        ("blood_glucose", 3000483, 90.08, 8840, day),
        ("body_height", 3036277, 182.88, 8582, day),
        ("body_temperature", 3020891, 37.0, 586323, day),
        ("body_weight", 3025315, 68.04, 9529, day),
        ("diastolic_blood_pressure", 3012888, 80.0, 8876, day),
        ("distance of running", 0, 4828.03, 9546, day),
        ("heart_rate maximum", 0, 180.0, 8541, day),
        ("kcal_burned of running", 0, 310.0, 0, day),
        ("oxygen_saturation", 40762499, 97.0, 8554, day),
        ("systolic_blood_pressure", 3004249, 120.0, 8876, day),
        ("total_sleep_time", 0, 450.0, 8550, day),
    ]


def test_a_series_is_one_row_of_who_agreed_to_imaging(devices: Biodam) -> None:
    """u2 alone did."""
    found = devices.query("select modality_source_value, image_occurrence_date::varchar, instance_count, frame_count from image_occurrence")
    assert found == [("CT", "2026-03-02", 2, 2)]
    assert (
        devices.one(
            "select count(distinct person_id) from (select person_id from image_occurrence union select person_id from measurement)"
        )
        == 2
    )


def test_every_record_of_devices_is_accounted_for(devices: Biodam) -> None:
    feeds = {f["feed"]: f for f in devices.status()["feeds"]}
    assert [feeds["open_mhealth"][k] for k in ("delivered", "landed", "duplicate")] == [33, 33, 0]
    assert [feeds["dicom"][k] for k in ("delivered", "landed", "duplicate")] == [7, 6, 0]
