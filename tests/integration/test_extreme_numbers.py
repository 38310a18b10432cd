"""Numbers as large as a file can write them, from file to OMOP: the value goes and is counted, the record and everybody else stay.

One such number failed a table, and with it the build of everybody. A number beyond the type of its column is held at the door; models bound the others.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Biodam, write_delivery
from tests.integration.one_lake import OneLake, Part
from tests.integration.test_claims import agency

pytestmark = pytest.mark.shares("one lake")

INT, LONG = 2**31 - 1, 2**63 - 1
NHIS = {"t20": "statement", "t30": "treatment_line", "jk": "qualification", "gj": "checkup"}
STATEMENTS = f"""PERSON_ID,KEY_SEQ,RECU_FR_DT,FORM_CD,VSCN,RECN,EDEC_TRAMT,EDEC_SBRDN_AMT,EDEC_JBRDN_AMT
1,901,20200301,2,{INT},{INT},{LONG},{LONG},{LONG}
1,902,20200401,2,-{INT + 1},-{INT + 1},-{LONG + 1},-{LONG + 1},-{LONG + 1}
1,903,20200501,2,36500,1,100,30,70
1,904,20200601,2,{INT + 1},1,100,30,70
1,905,20200701,2,1,1,{LONG + 1},30,70
1,906,20200801,2,1,1,1e400,30,70
"""
LINES = f"""KEY_SEQ,SEQ_NO,RECU_FR_DT,DIV_TYPE_CD,DIV_CD,DD_MQTY_FREQ,DD_MQTY_EXEC_FREQ,MDCN_EXEC_FREQ,UN_COST,AMT
903,1,20200501,3,999000010,1e300,1e300,{INT},1e308,{LONG}
903,2,20200501,3,999000010,1,1,1e308,1,1
903,3,20200501,3,999000010,1,1,36500,1,1
903,4,20200501,1,AA157,{INT},1,1,1,1
903,5,20200501,1,AA157,3000000000,1,1,1,1
903,6,20200501,3,999000010,1,1,-{INT},1,-{LONG + 1}
903,7,20200501,3,999000010,1,1,1,1,{LONG + 1}
"""
YEARS = f"""STND_Y,PERSON_ID,SEX,AGE_GROUP,DTH_YM
2019,1,1,12,
{INT},1,1,12,{INT}
-{INT + 1},1,1,{INT},-{INT + 1}
20200,1,1,-{INT + 1},0
2020,2,2,{INT},202004
2020,3,2,5,99999999
"""
CHECKUPS = f"""HCHK_YEAR,PERSON_ID,HME_YYYYMM,HEIGHT
{INT},1,,170
-{INT + 1},1,,171
2020,1,{INT},172
2020,1,202003,1e308
"""
HIRA = {"t200": "statement"}
VISITS = f"""SPEC_ID_SNO,JID,SEX_TP_CD,PAT_AGE,FOM_TP_CD,RECU_FR_DD,VST_DDCNT,RVD_RPE_TAMT_AMT
S1,J1,2,{INT},021,22991231,36500,1
S2,J2,2,-{INT + 1},021,20200301,1,1
S3,J3,2,40,021,20200301,1,1
"""
PERSONS = f"""person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,race_concept_id,ethnicity_concept_id
1,8507,1970,2,30,0,0
2,8532,1970,13,1,0,0
3,8507,1970,2,28,0,0
4,8507,{INT},1,1,0,0
5,8507,1970,{INT},{INT},0,0
"""
DEATHS = """person_id,death_date,death_type_concept_id
4,2020-01-01,32817
5,2020-01-01,32817
"""
DRUGS = f"""drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_type_concept_id,quantity,days_supply
1,3,0,2021-01-01,32817,1e30,{INT}
2,3,0,2021-01-01,32817,1,-4
3,3,0,2021-01-01,32817,1,36500
"""
PROCEDURES = """procedure_occurrence_id,person_id,procedure_concept_id,procedure_date,procedure_type_concept_id,quantity
1,3,0,2021-01-01,32817,9000000000
2,3,0,2021-01-01,32817,2
"""
OMOP = {"person.csv": PERSONS, "death.csv": DEATHS, "drug_exposure.csv": DRUGS, "procedure_occurrence.csv": PROCEDURES}
PATIENTS = "patient_number,birth_date,gender,is_deleted\nP1,1970-01-01,M,N\n"
PRESCRIPTIONS = f"""prescription_number,patient_number,drug_code,prescribed_date,dose,doses_per_day,days_supply,is_deleted
R1,P1,642100010,2021-05-01,1e300,1e300,{INT},N
R2,P1,642100010,2021-05-01,1,3,30,N
"""


def _hospital(site: str, feed: str) -> str:
    return (
        f'site = "{site}"\nname = "Hospital {site}"\nkind = "hospital"\nlegal_basis = "published"\nowner = "data-team@biodam.invalid"\n'
        f'[feeds.{feed}]\ntime_zone = "Asia/Seoul"\n'
    )


def _deliver(lake: Path) -> None:
    write_delivery(lake, "a97", "claims_nhis", "n1", {"t20.csv": STATEMENTS, "t30.csv": LINES, "jk.csv": YEARS, "gj.csv": CHECKUPS})
    write_delivery(lake, "a98", "claims_hira", "h1", {"t200.csv": VISITS})
    write_delivery(lake, "h97", "emr_csv", "e1", {"patient.csv": PATIENTS, "prescription.csv": PRESCRIPTIONS})
    write_delivery(lake, "h98", "omop", "o1", OMOP)


SITES = {
    "a97": agency("a97", "claims_nhis", "utf-8", NHIS, "published"),
    "a98": agency("a98", "claims_hira", "utf-8", HIRA, "published"),
    "h97": _hospital("h97", "emr_csv"),
    "h98": _hospital("h98", "omop"),
}
EXTREMES = Part(SITES, _deliver)


@pytest.fixture(scope="module")
def lake(one_lake: OneLake) -> Biodam:
    return one_lake.of(EXTREMES)


def test_record_with_a_number_beyond_its_column_is_held_and_all_others_land(lake: Biodam) -> None:
    feeds = {f["feed"]: f for f in lake.status()["feeds"]}
    assert {f: (feeds[f]["delivered"], feeds[f]["landed"], feeds[f]["quarantined"]) for f in feeds} == {
        "claims_nhis": (23, 19, {"invalid_type": 4}), "claims_hira": (3, 3, {}), "emr_csv": (3, 3, {}), "omop": (12, 12, {}),
    }  # fmt: skip
    assert all(f["conserved"] for f in feeds.values())


def test_nobody_is_set_aside_because_of_a_number(lake: Biodam) -> None:
    """The bisecting of a failed build found them one by one, and left out all that was known of them."""
    assert lake.status()["set_aside"] == []


def test_stay_of_more_than_a_hundred_years_ends_on_the_day_it_begins(lake: Biodam) -> None:
    assert lake.query("select site, started_date::varchar, ended_date::varchar, visit_days from claim order by all") == [
        ("a97", "2020-03-01", "2020-03-01", INT),
        ("a97", "2020-04-01", "2020-04-01", -INT - 1),
        ("a97", "2020-05-01", "2120-04-06", 36_500),
        ("a98", "2020-03-01", "2020-03-01", 1),
        ("a98", "2020-03-01", "2020-03-01", 1),
        ("a98", "2299-12-31", "2399-12-06", 36_500),
    ]


def test_largest_won_that_can_be_written_stands_and_the_check_of_money_holds(lake: Biodam) -> None:
    """A sum of whole won was compared with one of floating numbers."""
    assert lake.query("select adjudicated_total_won from claim where site = 'a97' order by 1") == [(-LONG - 1,), (100,), (LONG,)]
    assert lake.one("select max(total_paid) from cost") == float(LONG)


def test_supply_and_quantity_that_cannot_be_are_null(lake: Biodam) -> None:
    drugs = "select site, days_supply, quantity, drug_exposure_end_date - drug_exposure_start_date from drug_exposure order by all"
    assert lake.query(drugs) == [
        ("a97", 36_500, 36_500.0, 36_499),
        ("a97", None, -INT, 0),
        ("a97", None, None, 0),
        ("a97", None, None, 0),
        ("h97", 30, 90.0, 29),
        ("h97", None, None, 0),
        ("h98", 36_500, 1.0, 36_499),
        ("h98", None, 1.0, 0),
        ("h98", None, None, 0),
    ]
    assert lake.query("select site, quantity from procedure_occurrence order by all") == [
        ("a97", INT),
        ("a97", None),
        ("h98", 2),
        ("h98", None),
    ]


def test_year_of_no_calendar_has_no_date_and_bounds_no_birth(lake: Biodam) -> None:
    """Person 1 of a97 was 55 to 59 in 2019; of years 20,200 and beyond, and of ages of 2,147,483,647, nothing is reckoned."""
    years = lake.query("select year, start_date::varchar, end_date::varchar from eligibility_year order by all")
    assert years == [
        (-INT - 1, None, None),
        (2019, "2019-01-01", "2019-12-31"),
        (2020, "2020-01-01", "2020-04-30"),
        (2020, "2020-01-01", "2020-12-31"),
        (20_200, None, None),
        (INT, None, None),
    ]
    assert lake.query("select examined_date::varchar, height_cm from health_checkup order by all") == [
        ("2020-03-01", 1e308), (None, 170.0), (None, 171.0), (None, 172.0),
    ]  # fmt: skip
    assert lake.query("select site, year_of_birth from person where site in ('a97', 'a98') order by all") == [
        ("a97", 1962),
        ("a97", 1998),
        ("a98", 1980),
    ]


def test_birthday_of_no_calendar_is_kept_as_told_and_the_death_stands(lake: Biodam) -> None:
    told = "select year_of_birth, month_of_birth, day_of_birth, birth_datetime is null from person where site = 'h98' order by all"
    assert lake.query(told) == [(1970, 2, 28, False), (1970, 2, 30, True), (1970, 13, 1, True), (1970, INT, INT, True)]
    assert lake.query("select year_of_birth from death inner join person using (person_id) where person.site = 'h98'") == [(1970,)]


def test_what_was_left_out_is_counted(lake: Biodam) -> None:
    assert lake.query("select site, finding, record_count from gov_event_findings order by all") == [
        ("a97", "days_supply_out_of_range", "<5"), ("h97", "days_supply_out_of_range", "<5"), ("h97", "quantity_out_of_range", "<5"),
        ("h98", "birth_date_in_no_calendar", "<5"), ("h98", "days_supply_out_of_range", "<5"), ("h98", "quantity_out_of_range", "<5"),
    ]  # fmt: skip
    assert lake.query("select finding, record_count from gov_claim_findings where site = 'a97' order by all") == [
        ("quantity_out_of_range", "<5"), ("shares_do_not_add_up", "<5"), ("visit_days_out_of_range", "<5"), ("year_out_of_range", "6"),
    ]  # fmt: skip
