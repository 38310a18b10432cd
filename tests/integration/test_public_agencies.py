"""Public agencies beside a hospital: registry of deaths, area codes with their days, air and weather; the real files where they are.

Deaths as registry, hospital and both tell them: whose day counts, what is corrected, what cannot be.

| who | hospital   | registry                                          | counts                     |
|-----|------------|---------------------------------------------------|----------------------------|
| A   | 2020-05-10 | 2020-05-08, I21.9; a visit on 2020-05-09           | 2020-05-08                 |
| B   | 2021-01-01 | 1940-01-01, before birth                           | 2021-01-01                 |
| C   | 2021-03-15 | March 2021                                         | 2021-03-15                 |
| D   | -          | June 2021                                          | 2021-06-30                 |
| E   | -          | 2022-05-01, S06.5 by W19                           | 2022-05-01, W19            |
| F   | -          | 2022-01-05, corrected to 2022-01-06                | 2022-01-06                 |
| G   | -          | 2022-02-02, then cancelled                         | alive                      |
| H   | 2023-01-01 | 2022-12-31, but H did not agree to linkage (claims) | 2023-01-01                 |
| I   | -          | 1930-01-01, before birth                           | no death, set aside        |
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONSENT_HEADER, SHARED, Biodam, consent_site, site_text, write_delivery
from tests.integration.one_lake import AS_OF, OneLake, Part

pytestmark = pytest.mark.shares("one lake")

SITE = """site = "d90"
name = "Test hospital"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
time_zone = "Asia/Seoul"
[feeds.emr_csv.columns.patient]
patient_number = "number"
resident_number = "rrn"
birth_date = "birth_date"
gender = "gender"
death_date = "death_date"
province = "province"
[feeds.emr_csv.columns.visit]
visit_number = "visit"
patient_number = "number"
visit_class = "class"
started_at = "started"
"""
INSURER = """site = "a92"
name = "Test insurer"
kind = "agency"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.claims_nhis]
time_zone = "Asia/Seoul"
[feeds.claims_nhis.files]
"nhid_jk" = "qualification"
"""
BORN = {person: f"19{50 + i}-05-06" for i, person in enumerate("ABCDEFGHI")}
RRN = {person: f"{born[2:4]}{born[5:7]}{born[8:]}-100010{i}" for i, (person, born) in enumerate(BORN.items())}
HOSPITAL = {"A": "2020-05-10", "B": "2021-01-01", "C": "2021-03-15", "H": "2023-01-01"}
PROVINCE = {"A": "강원도", "B": "Gangwon-do", "C": "Bavaria"}
YEARS = "STND_Y,PERSON_ID,SEX,AGE_GROUP,SIDO\n2021,N1,1,12,11\n2022,N1,1,12,42\n2023,N1,1,13,51\n"
HEADER = "개인식별키,사망일자,사망원인1,사망원인2,사망장소,취소여부\n"
FIRST = HEADER + (
    "KA,2020-05-08,I21.9,,2,\nKB,1940-01-01,J18.9,,2,\nKC,2021-03,C34.9,,2,\nKD,2021-06,E11.9,,1,\nKE,2022-05-01,S06.5,W19,6,\n"
    "KF,2022-01-05,I21.9,,2,\nKF,2022-01-05,I21.9,,2,\nKG,2022-02-02,I21.9,,2,\nKH,2022-12-31,I21.9,,2,\nKI,1930-01-01,I21.9,,2,\n"
)
SECOND = HEADER + "KF,2022-01-06,I21.9,,2,\nKG,2022-02-02,I21.9,,2,Y\n"
DEATHS = "select p.year_of_birth, death_date::varchar, d.site, death_type_concept_id, cause_source_value from death d join person p using (person_id) order by 1"


def _code_table(name: str) -> bytes:
    """A code table as the ministry publishes it, from the column-wise copy beside the repository."""
    columns: dict[str, dict[str, Any]] = json.loads(gzip.decompress((SHARED / "15_terminologies" / name).read_bytes()))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([[v if isinstance(v, str) else "" for v in row] for row in zip(*(c.values() for c in columns.values()), strict=True)])
    return out.getvalue().encode("cp949")


def _deliver_places(lake: Path) -> None:
    tables = {"KIKcd_B.csv": _code_table("kr_code_bdong.json.gz"), "KIKcd_H.csv": _code_table("kr_code_hdong.json.gz")}
    write_delivery(lake, "g01", "area_code", "c1", tables)
    public = SHARED / "19_public_kr"
    for site, feed, pattern in (
        ("g02", "air_quality", "air_weather_population/airpollution_meteor_mean.csv"),
        ("g03", "air_quality", "bitdata_cp949_and_xlsx/OBS_AWS_DD_*.xlsx"),
        ("g03", "public_statistics", "bitdata_cp949_and_xlsx/KOSIS_*.xlsx"),
        ("g03", "public_statistics", "bitdata_cp949_and_xlsx/전국_*.xlsx"),
        ("g04", "public_statistics", "bitdata_cp949_and_xlsx/국방부_*.csv"),
    ):
        files = {path.name: path.read_bytes() for path in public.glob(pattern)}
        assert files, pattern
        number = 2 if "전국" in pattern else 1
        write_delivery(lake, site, feed, f"w{number}", files, sequence=number)


def _deliver_people(lake: Path) -> None:
    patients = "number,rrn,birth_date,gender,death_date,province\n" + "".join(
        f"{p},{RRN[p]},{BORN[p]},M,{HOSPITAL.get(p, '')},{PROVINCE.get(p, '')}\n" for p in BORN
    )
    visits = "visit,number,class,started\nV1,A,외래,2020-05-09 10:00\nV2,D,외래,2021-06-20 10:00\n"
    grants = "".join(
        f"{p}-{scope},C{p},{RRN[p]},,,grant,{scope},F,1,volunteer,2019-01-01,,\n"
        for p in BORN for scope in ("clinical", "claims") if (p, scope) != ("H", "claims")
    )  # fmt: skip
    write_delivery(lake, "d90", "emr_csv", "p1", {"patient.csv": patients, "visit.csv": visits})
    grants += "N1-claims,CN,,a92,N1,grant,claims,F,1,volunteer,2019-01-01,,\n"
    write_delivery(lake, "a92", "claims_nhis", "n1", {"nhid_jk_2023.csv": YEARS})
    write_delivery(lake, "c94", "consent", "k1", {"event.csv": CONSENT_HEADER + grants})


def _deliver_deaths(lake: Path, number: int) -> None:
    files = {"사망원인.csv": (FIRST, SECOND)[number - 1].encode("cp949")}
    if number == 1:
        files["연계키.csv"] = ("개인식별키,주민등록번호\n" + "".join(f"K{p},{RRN[p]}\n" for p in BORN)).encode("cp949")
    write_delivery(lake, "a13", "death_registry", f"r{number}", files, sequence=number)


def _deliver(lake: Path) -> None:
    """Hospital, insurer and registry, and the real files of public agencies where they are."""
    _deliver_people(lake)
    _deliver_deaths(lake, 1)
    if SHARED.is_dir():
        _deliver_places(lake)


SITES = {"d90": SITE, "c94": consent_site("c94"), "a92": INSURER} | {name: site_text(name) for name in ("a13", "g01", "g02", "g03", "g04")}
AGENCIES = Part(SITES, _deliver, lambda lake: _deliver_deaths(lake, 2))
"""The corrected certificates come in a run of their own."""


@pytest.fixture(scope="module")
def lake(one_lake: OneLake) -> Biodam:
    return one_lake.of(AGENCIES)


def test_the_registry_speaks_before_hospitals_where_it_knows_the_day(lake: Biodam) -> None:
    assert lake.query(DEATHS) == [
        (1950, "2020-05-08", "a13", 32815, "I21.9"),
        (1951, "2021-01-01", "d90", 32817, None),
        (1952, "2021-03-15", "d90", 32817, "C34.9"),
        (1953, "2021-06-30", "a13", 32815, "E11.9"),
        (1954, "2022-05-01", "a13", 32815, "W19"),
        (1955, "2022-01-06", "a13", 32815, "I21.9"),
        (1957, "2023-01-01", "d90", 32817, None),
    ]


def test_a_cause_finds_its_concept(lake: Biodam) -> None:
    assert lake.query("select distinct cause_concept_id from death where cause_source_value = 'E11.9'") == [(4193704,)]


def test_every_record_of_a_death_can_be_compared_with_the_day_that_counts(lake: Biodam) -> None:
    """B and I tell a day before birth; H's entry is not read, for want of consent."""
    found = lake.query("""
        select p.year_of_birth, r.source_kind, r.death_precision, r.is_used, r.is_before_birth, r.days_after_used
        from death_record as r join person as p using (person_id) order by all
    """)
    assert found == [
        (1950, "hospital", "day", False, False, 2),
        (1950, "registry", "day", True, False, 0),
        (1951, "hospital", "day", True, False, 0),
        (1951, "registry", "day", False, True, -29586),
        (1952, "hospital", "day", True, False, 0),
        (1952, "registry", "month", False, False, 16),
        (1953, "registry", "month", True, False, 0),
        (1954, "registry", "day", True, False, 0),
        (1955, "registry", "day", True, False, 0),
        (1957, "hospital", "day", True, False, 0),
        (1958, "registry", "day", False, True, None),
    ]


def test_what_is_odd_about_deaths_is_counted(lake: Biodam) -> None:
    """A's visit follows the registry's day by one; D's lies in the month of death."""
    assert lake.query("select site, finding from gov_death_findings order by all") == [
        ("a13", "before_birth"),
        ("a13", "cause_without_concept"),
        ("a13", "records_after_death"),
        ("d90", "cause_without_concept"),
        ("d90", "other_day"),
    ]


def test_every_record_of_the_registry_is_accounted_for(lake: Biodam) -> None:
    feed = next(f for f in lake.status()["feeds"] if f["feed"] == "death_registry")
    assert [feed[k] for k in ("delivered", "landed", "duplicate", "conserved")] == [21, 20, 1, True]


def test_a_province_is_one_place_under_its_old_and_its_new_code(lake: Biodam) -> None:
    """A, B and the insured person live in Gangwon: by its old name, its Roman name and, lately, its new code. Bavaria is none of ours."""
    found = lake.query("select state, count(*) from person join location using (location_id) where state is not null group by 1 order by 1")
    assert found == [("Bavaria", 1), ("강원특별자치도", 3)]
    years = lake.query("select year, province_code, current_province_code from eligibility_year order by 1")
    assert years == [(2021, "11", "11"), (2022, "42", "51"), (2023, "51", "51")]


def test_a_code_is_resolved_on_a_day(shared_data: Path, lake: Biodam) -> None:
    """Masan, Changwon and Jinhae were one in 2010, Yeongi became Sejong in 2012, Cheongwon was divided in 2014, a ward was renamed in 2018."""
    cases = {
        ("4816000000", "2010-06-30"): ["경상남도 마산시"],
        ("4816000000", "2010-07-01"): ["경상남도 창원시 마산합포구", "경상남도 창원시 마산회원구"],
        ("4473000000", "2012-06-30"): ["충청남도 연기군"],
        ("4473025000", "2020-01-01"): ["세종특별자치시 조치원읍"],
        ("4371000000", "2015-01-01"): [f"충청북도 청주시 {ward}" for ward in ("상당구", "서원구", "청원구", "흥덕구")],
        ("2817000000", "2018-07-01"): ["인천광역시 미추홀구"],
        ("4911000000", "2022-01-01"): ["제주특별자치도 제주시"],
        ("4200000000", "2023-06-11"): ["강원특별자치도"],
        ("2100000000", "2000-01-01"): ["부산광역시"],
        ("5100000000", "2023-06-10"): [],
    }
    for (code, day), names in cases.items():
        found = lake.query(f"""
            select distinct area.full_name from area_period as period
            join area on area.code_system = period.code_system and area.area_code = period.current_code
            where period.code_system = 'legal' and period.area_code = '{code}' and date '{day}' between period.valid_from and period.valid_to
              and area.valid_to >= area.valid_from order by 1
        """)
        assert [n for (n,) in found] == names, (code, day)


def test_the_published_code_tables_land_whole(shared_data: Path, lake: Biodam) -> None:
    """README: 46,345 legal and 8,509 administrative codes; the seed adds Gangwon and Jeonbuk, which are newer."""
    feed = next(f for f in lake.status()["feeds"] if f["feed"] == "area_code")
    assert [feed[k] for k in ("delivered", "landed", "conserved")] == [54_854, 54_854, True]
    assert lake.query("select code_system, count(*) from area group by 1 order by 1") == [("administrative", 8_511), ("legal", 46_347)]
    assert lake.query("select distinct code_system from area_succession where basis = 'parts' order by 1") == [
        ("administrative",),
        ("legal",),
    ]


def test_days_of_air_and_weather_are_all_there(shared_data: Path, lake: Biodam) -> None:
    """README: 5,844 days, NA in PM2.5 on 3,652 of them, that is before 2015."""
    days = "select count(*), count(*) filter (pm25_ug_m3 is null), min(measured_date)::varchar from environment_day"
    assert lake.query(f"{days} where site = 'g02'") == [(5_844, 3_652, "2005-01-01")]
    assert lake.one("select max(measured_date)::varchar from environment_day where pm25_ug_m3 is null and site = 'g02'") == "2014-12-31"
    assert lake.query(f"{days} where site = 'g03'") == [(3_653, 3_653, "2012-09-01")]
    assert lake.query("""
        select day_count, pm25_day_count, round(temperature_c, 1) from environment_month where month_start_date = date '2005-02-01' and site = 'g02'
    """)[0][:2] == (28, 0)


def test_statistics_of_workbooks_are_all_there(shared_data: Path, lake: Biodam) -> None:
    """README: population, births and deaths of 1981 to 2021, `-` where a value is missing; the province stands on the first of its years alone."""
    national = "select count(*), min(year), max(year), count(*) filter (death_count is null) from area_year where area_name = 'KR'"
    assert lake.query(national) == [(41, 1981, 2021, 2)]
    assert lake.query("select population_count, birth_count, death_count from area_year where area_name = 'KR' and year = 2021") == [
        (51_744_876, 260_562, 317_800)
    ]
    provinces = "select count(distinct area_name), count(distinct province_code), count(*) from area_year where area_name <> 'KR'"
    assert lake.query(provinces) == [(18, 17, 350)]
    assert lake.query("select co_kg, pm25_kg, province_code from area_year where area_name = '강원도' and year = 1999") == [
        (34_271_959.0, None, "51")
    ]
    feeds = {f["feed"]: f for f in lake.status()["feeds"] if f["site"] in ("g03", "g04")}
    assert all(f["conserved"] for f in feeds.values())


@pytest.mark.slow
def test_corrections_by_increment_give_what_a_full_build_gives(lake: Biodam, tmp_path: Path) -> None:
    for site, text in SITES.items():
        (tmp_path / f"{site}.toml").write_text(text, encoding="utf-8")
    whole = Biodam(tmp_path / "lake", {"BIODAM_SITES": str(tmp_path), "BIODAM_AS_OF": AS_OF})
    _deliver_people(whole.lake)
    _deliver_deaths(whole.lake, 1)
    _deliver_deaths(whole.lake, 2)
    whole("run", "--full")
    assert whole.query(DEATHS) == lake.query(DEATHS)
    assert whole.query("select site, finding, record_count from gov_death_findings order by all") == lake.query(
        "select site, finding, record_count from gov_death_findings order by all"
    )
