"""Registries from file to analyst: the real REDCap and ODM exports of one study, and a small registry on consent of its own columns.

The real files' facts are compared with what their authors expect of them (`out/individuals.json`).
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED, Biodam, site_text, write_delivery
from tests.integration.one_lake import OneLake, Part

pytestmark = pytest.mark.shares("one lake")

REAL = "26_registry_mixed_formats"
FEEDS = {
    "r01": ("redcap", "redcap2bff", ("redcap_data.csv", "redcap_dictionary.csv")),
    "r02": ("cdisc_odm", "cdiscodm2bff", ("cdisc_odm_data.xml", "cdisc_odm_dictionary.csv")),
}
SITE = """site = "r90"
name = "Test registry"
kind = "registry"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.redcap]
time_zone = "Asia/Seoul"
[feeds.redcap.registry]
person = "no"
resident_number = "rrn"
birth_date = "birth"
sex = "sex"
male = ["1"]
female = ["2"]
event_date = "visited"
[feeds.redcap.registry.columns]
"참여자번호" = "no"
"당화혈색소" = "hba1c"
[feeds.redcap.registry.items]
rrn = {type = "text", is_identifier = true}
birth = {type = "date", is_identifier = true}
sex = {type = "choice", choices = {"1" = "Male", "2" = "Female"}}
visited = {type = "date"}
hba1c = {type = "number"}
diabetes = {type = "boolean"}
agreed = {type = "boolean"}
agreed_on = {type = "date"}
recontact = {type = "boolean"}
[feeds.redcap.registry.consent]
gate = "agreed"
date = "agreed_on"
[feeds.redcap.registry.consent.scopes]
agreed = ["clinical"]
recontact = ["recontact"]
[codes.item]
"hba1c" = {system = "LOINC", code = "4548-4", unit = "%"}
"diabetes=1" = {system = "SNOMED", code = "44054006"}
"""
HEADER = "참여자번호,rrn,이름,birth,sex,visited,당화혈색소,diabetes,agreed,agreed_on,recontact\n"
ROWS = (
    "P1,600101-2000001,김하나,1960-01-01,2,2024-03-01,7.1,1,1,2024-03-01,0\n"
    "P2,,이두리,1970-02-02,1,2024-03-01,6.1,1,0,2024-03-01,0\n"  # does not agree
    "P3,,박세찬,1980-03-03,1,2024-03-01,5.1,0,1,,1\n"  # agrees on no day
    "P4,,최네온,1990-04-04,2,2024-03-01,8.1,1,maybe,2024-03-01,1\n"  # says what nobody understands
)


def _deliver(lake: Path) -> None:
    for name, (feed, source, files) in FEEDS.items():
        if SHARED.is_dir():
            write_delivery(lake, name, feed, "d1", {f: (SHARED / REAL / source / "in" / f).read_bytes() for f in files})
    write_delivery(lake, "r90", "redcap", "d1", {"questionnaire.csv": HEADER + ROWS})


REGISTRIES = Part({"r90": SITE} | {name: site_text(name) for name in FEEDS}, _deliver)


@pytest.fixture(scope="module")
def lake(one_lake: OneLake, shared_data: Path) -> Biodam:
    """Both real exports and the small registry, landed and built."""
    return one_lake.of(REGISTRIES)


def _expected(shared_data: Path, source: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((shared_data / REAL / source / "out" / "individuals.json").read_text(encoding="utf-8"))
    return found


def test_every_record_is_accounted_for(lake: Biodam) -> None:
    by_site = {feed["site"]: feed for feed in lake.status()["feeds"]}
    for site in FEEDS:
        found = by_site[site]
        assert (found["delivered"], found["landed"], found["quarantined"]) == (36 + 391, 36 + 391, {})


@pytest.mark.parametrize("site", FEEDS)
def test_events_are_the_individuals_that_the_authors_expect(lake: Biodam, shared_data: Path, site: str) -> None:
    """Convert-Pheno makes an individual of each person and event: 36, at six events, of eight people."""
    expected = Counter(one["id"].partition(":")[2] for one in _expected(shared_data, FEEDS[site][1]))
    events = lake.query(f"select event_code, count(distinct event_id) from registry_answer where site = '{site}' group by 1")
    assert sum(expected.values()) == 36
    assert dict(events) == expected


@pytest.mark.parametrize("site", FEEDS)
def test_sexes_and_diagnoses_are_those_that_the_authors_expect(lake: Biodam, shared_data: Path, site: str) -> None:
    people = {one["id"].partition(":")[0]: one for one in _expected(shared_data, FEEDS[site][1])}
    sexes = Counter(one["sex"]["label"].lower() for one in people.values())
    diseases = Counter(one["diseases"][0]["diseaseCode"]["label"] for one in people.values())
    found = lake.query(
        "select case gender_concept_id when 8507 then 'male' when 8532 then 'female' end, count(*) from person"
        f" where person_id in (select person_id from registry_answer where site = '{site}') group by 1"
    )
    assert dict(found) == sexes
    names = {"1": "Crohn Disease", "2": "Ulcerative Colitis"}
    coded = lake.query(f"select value_code, count(*) from registry_answer where site = '{site}' and item_code = 'diagnosis' group by 1")
    assert {names[code]: count for code, count in coded} == diseases


@pytest.mark.parametrize("site", FEEDS)
def test_measures_are_those_that_the_authors_expect(lake: Biodam, shared_data: Path, site: str) -> None:
    """Leucocytes and creatinine of every event, number by number."""
    assays = {"Leukocyte Count": "leucocytes", "Creatinine Measurement": "creatinine", "Hemoglobin Measurement": "hemoglobin"}
    expected = Counter(
        (assays[measure["assayCode"]["label"]], float(measure["measurementValue"]["quantity"]["value"]))
        for one in _expected(shared_data, FEEDS[site][1])
        for measure in one.get("measures", ())
        if measure["assayCode"]["label"] in assays
    )
    names = ", ".join(f"'{name}'" for name in assays.values())
    found = lake.query(
        f"select item_code, value_number from registry_answer where site = '{site}' and item_code in ({names}) and value_number is not null"
    )
    assert len(found) > 90
    assert Counter(found) == expected


def test_mapped_items_stand_in_omop_with_their_units_and_the_others_are_counted(lake: Biodam) -> None:
    creatinine = lake.query(
        "select count(*), max(value_as_number) from measurement where measurement_concept_id = 3016723 and measurement_type_concept_id = 32809"
    )
    assert creatinine[0][0] > 60
    assert creatinine[0][1] < 5, "umol/L became mg/dL"
    asthma = lake.query("select count(*) from condition_occurrence where condition_source_value = 'comorb_hypertension=1'")
    assert asthma == [(2,)], "one person in each of the two files"
    unmapped = dict(lake.query("select source_code, record_count from unmapped_codes where source_system = 'item' and site = 'r01'"))
    assert unmapped["eq5d_q1"] == "33"


def test_what_nobody_was_asked_is_told_from_what_nobody_answered(lake: Biodam) -> None:
    """Smokers alone are asked for cigarettes a day; nobody of the three answered. Who was never offered the form has no row."""
    found = lake.query(
        "select missing_reason, count(*) from registry_answer where site = 'r01' and item_code = 'cigarettes_days' group by 1 order by 1"
    )
    assert found == [("not_answered", 3), ("not_asked", 5)]


def test_consent_columns_decide_who_is_read(lake: Biodam) -> None:
    """P1 agreed; P2 did not; P3 agreed on no day; P4 said what nobody understands."""
    assert lake.query("select item_code, value_number from registry_answer where site = 'r90' and item_code = 'hba1c'") == [("hba1c", 7.1)]
    assert lake.query("select count(*) from condition_occurrence where condition_source_value = 'diabetes=1'") == [(1,)]
    assert lake.query("select year_of_birth, gender_concept_id from person where year_of_birth = 1960") == [(1960, 8532)]


def test_withheld_items_are_shown_with_their_reason(lake: Biodam) -> None:
    assert lake.query("select withheld_reasons, withheld_count from registry_item where site = 'r01' and item_code = 'asa_oral_start'") == [
        ("free_text", "5")
    ]
    found = lake.query("select item_code, value_kind, withheld_reasons, withheld_count from registry_item where site = 'r90' order by 1")
    assert found == [("(other)", "unknown", "unknown_item", "<5"), ("agreed", "site_file", "unlisted_code", "<5")], (
        "names of people are other items"
    )


def test_no_name_and_no_number_of_a_person_is_in_the_lake_outside_vault_and_landing_store(lake: Biodam) -> None:
    words = [w.encode() for w in ("김하나", "이두리", "600101-2000001", "6001012000001")]
    found = [
        str(path.relative_to(lake.lake))
        for folder in ("tables", "control", "catalogue")
        for path in (lake.lake / folder).rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in words)
    ]
    assert found == []
