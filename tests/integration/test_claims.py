"""Claims of the same people as NHIS and as HIRA deliver them, from file to OMOP, to the won.

The deliveries are the golden cases `claims_nhis/sample_cohort_1` and `claims_hira/patient_sample`: five claims that one can check by eye.

| claim | who | day        | what                                         | claimed   | adjudicated |
|-------|-----|------------|----------------------------------------------|-----------|-------------|
| 501   | A   | 2020-03-02 | outpatient, E119 and I10, metformin 90 days  | 12,340    | 12,300      |
| 502   | A   | 2020-05-10 | three days in hospital through the emergency | 1,234,567 | 1,230,000   |
| 503   | B   | 2020-04-20 | E11_ (masked), in the month B died           | 45,000    | 45,000      |
| 504   | B   | 2020-06-15 | after B died in April 2020                   | 30,000    | 29,990      |
| 505   | A   | 2025-02-01 | F20 (cut to three characters)                | 8,000     | 8,000       |
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from assets.simulation.simulate import simulate
from tests.conftest import CONSENT_HEADER, REPOSITORY, SHARED, Biodam, consent_site, site_text, write_delivery
from tests.integration.one_lake import AS_OF, OneLake, Part

pytestmark = pytest.mark.shares("one lake")

GOLDEN = REPOSITORY / "tests" / "golden" / "deliveries"
A, B, C = "600502-2000011", "480701-1000021", "750303-1000031"


def agency(site: str, family: str, encoding: str, files: dict[str, str], basis: str = "consented") -> str:
    stems = "\n".join(f'"{stem}" = "{entity}"' for stem, entity in files.items())
    return (
        f'site = "{site}"\nname = "Agency {site}"\nkind = "agency"\nlegal_basis = "{basis}"\nowner = "data-team@biodam.invalid"\n'
        f'[feeds.{family}]\nencoding = "{encoding}"\nnull_values = ["", "00000000"]\ntime_zone = "Asia/Seoul"\n[feeds.{family}.files]\n{stems}\n'
    )


NHIS = agency("a90", "claims_nhis", "cp949", {
    "nhid_gy20_t1": "statement", "nhid_gy30_t1": "treatment_line", "nhid_gy40_t1": "diagnosis", "nhid_gy60_t1": "prescription",
    "nhid_jk": "qualification", "nhid_gj": "checkup", "nhid_yk": "provider", "linkage": "linkage",
})  # fmt: skip
HIRA = agency("a91", "claims_hira", "utf-8", {
    "t200": "statement", "t300": "treatment_line", "t400": "diagnosis", "t530": "prescription", "ykiho": "provider", "linkage": "linkage",
})  # fmt: skip
EVENTS = (
    CONSENT_HEADER + f"g1,KA,{A},,,grant,claims,F34,1,patient,2019-01-01,,\n"
    f"g2,KB,{B},,,grant,claims,F34,1,patient,2019-01-01,,\n"
    f"g3,KC,{C},,,grant,clinical,F34,1,patient,2019-01-01,,\n"
)


def _files(case: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((GOLDEN / case).glob("*.csv"))}


def _deliver(lake: Path) -> None:
    link = f"1001,{A}\r\n1002,{B}\r\n1003,{C}\r\n"
    nhis = _files("claims_nhis/sample_cohort_1") | {"linkage.csv": f"PERSON_ID,RESIDENT_NUMBER\r\n{link}".encode()}
    hira = _files("claims_hira/patient_sample") | {"linkage.csv": f"JID,RESIDENT_NUMBER\nJ1,{A}\nJ2,{B}\n".encode()}
    write_delivery(lake, "a90", "claims_nhis", "n1", nhis)
    write_delivery(lake, "a91", "claims_hira", "h1", hira)
    write_delivery(lake, "c93", "consent", "k1", {"event.csv": EVENTS})


CLAIMS = Part({"a90": NHIS, "a91": HIRA, "c93": consent_site("c93")}, _deliver)


@pytest.fixture(scope="module")
def lake(one_lake: OneLake) -> Biodam:
    return one_lake.of(CLAIMS)


def test_five_claims_to_the_won(lake: Biodam) -> None:
    rows = lake.query("""
        select started_date::varchar, ended_date::varchar, care_setting, is_emergency, claimed_total_won, adjudicated_total_won, is_after_death
        from claim where dialect = 'nhis' order by started_date
    """)
    assert rows == [
        ("2020-03-02", "2020-03-02", "outpatient", False, 12_340, 12_300, False),
        ("2020-04-20", "2020-04-20", "outpatient", False, 45_000, 45_000, False),
        ("2020-05-10", "2020-05-12", "inpatient", True, 1_234_567, 1_230_000, False),
        ("2020-06-15", "2020-06-15", "outpatient", False, 30_000, 29_990, True),
        ("2025-02-01", "2025-02-01", "outpatient", False, 8_000, 8_000, False),
    ]
    assert lake.query(
        "select site, sum(total_charge), sum(total_paid), sum(paid_by_patient + paid_by_payer) from cost group by 1 order by 1"
    ) == [
        ("a90", 1_329_907.0, 1_325_290.0, 1_325_290.0),
        ("a91", None, 1_325_290.0, 1_325_290.0),
    ]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("visit_occurrence", "person_id, visit_concept_id, visit_start_date, visit_end_date, visit_type_concept_id"),
        (
            "condition_occurrence",
            "person_id, condition_concept_id, condition_start_date, condition_source_value, condition_status_source_value",
        ),
        (
            "drug_exposure",
            "person_id, drug_concept_id, drug_exposure_start_date, drug_exposure_end_date, days_supply, quantity, drug_source_value",
        ),
        ("procedure_occurrence", "person_id, procedure_concept_id, procedure_date, quantity, procedure_source_value"),
        ("device_exposure", "person_id, device_concept_id, device_exposure_start_date, quantity, device_source_value"),
        ("cost", "person_id, total_paid, paid_by_payer, paid_by_patient"),
    ],
)
def test_the_same_people_converge_to_the_same_rows_in_both_dialects(lake: Biodam, table: str, columns: str) -> None:
    def rows(site: str) -> list[tuple[Any, ...]]:
        return lake.query(f"select {columns} from {table} where site = '{site}' order by all")

    assert rows("a90") == rows("a91")
    assert rows("a90")


def test_one_claim_at_two_agencies_has_one_mark(lake: Biodam) -> None:
    assert lake.query("select count(*), count(distinct same_claim_id), count(distinct site) from claim") == [(10, 5, 2)]


def test_diagnoses_are_complete_ranked_and_never_lengthened(lake: Biodam) -> None:
    """C189 was ruled out; N185 stands in the list only; F20 of claim 505 on the statement only; E11_ finds the category where it is known."""
    rows = lake.query("""
        select condition_start_date::varchar, condition_source_value, condition_status_source_value
        from condition_occurrence where site = 'a90' order by all
    """)
    assert rows == [
        ("2020-03-02", "E119", "주상병"),
        ("2020-03-02", "I10", "부상병"),
        ("2020-04-20", "E11_", "주상병"),
        ("2020-05-10", "E112", "주상병"),
        ("2020-05-10", "N185", "부상병"),
        ("2020-06-15", "J189", "주상병"),
        ("2025-02-01", "F20", "주상병"),
    ]
    unknown = "select source_code from unmapped_codes where site = 'a90' and domain_id = 'Condition' order by 1"
    zero = "select condition_source_value from condition_occurrence where site = 'a90' and condition_concept_id = 0 order by 1"
    assert lake.query(unknown) == lake.query(zero)


def test_one_code_is_a_drug_and_a_device_as_its_line_and_its_day_say(lake: Biodam) -> None:
    rows = lake.query("""
        select started_date::varchar, edi_code, category, category_basis, amount_won from claim_line
        where dialect = 'nhis' and edi_code in ('999000220', '999000990') order by all
    """)
    assert rows == [
        ("2020-05-10", "999000220", "device", "line", 3_500),
        ("2020-05-10", "999000220", "drug", "line", 80_000),
        ("2025-02-01", "999000990", "device", "list", 4_000),
    ]
    assert lake.query("select drug_concept_id > 0 from drug_exposure where drug_source_value = '999000220' and site = 'a90'") == [(True,)]
    assert lake.query("select distinct device_concept_id from device_exposure") == [(0,)]


def test_what_is_odd_is_counted(lake: Biodam) -> None:
    """Few as they are, none of these cases shows how many."""
    assert lake.query("select finding, record_count from gov_claim_findings where site = 'a90' order by 1") == [
        ("after_death", "<5"),
        ("category_sick_code", "<5"),
        ("code_of_two_kinds", "<5"),
        ("masked_sick_code", "<5"),
    ]


def test_death_is_the_last_day_of_its_month(lake: Biodam) -> None:
    assert lake.query("select death_date::varchar, death_type_concept_id, cause_source_value from death") == [("2020-04-30", 32813, "I21")]
    assert lake.query(
        "select payer_plan_period_start_date::varchar, payer_plan_period_end_date::varchar from payer_plan_period order by 1, 2"
    ) == [
        ("2019-01-01", "2019-12-31"),
        ("2020-01-01", "2020-04-30"),
        ("2020-01-01", "2020-12-31"),
    ]


def test_age_groups_and_ages_bound_the_year_of_birth(lake: Biodam) -> None:
    """A is 55-59 in 2019 and 60-64 in 2020, so born in 1960; HIRA says 59 in March and 60 in May 2020. B is 70-74 in 2020."""
    assert lake.query("select year_of_birth, gender_concept_id from person order by 1") == [(1948, 8507), (1960, 8532)]


def test_checkups_become_measurements(lake: Biodam) -> None:
    rows = lake.query("""
        select measurement_date::varchar, measurement_source_value, measurement_concept_id, value_as_number
        from measurement where measurement_source_value in ('FBS', 'BP_SYS') order by all
    """)
    assert rows == [
        ("2020-01-01", "BP_SYS", 3004249, 140.0),
        ("2020-09-01", "BP_SYS", 3004249, 132.0),
        ("2020-09-01", "FBS", 3037110, 138.0),
    ]
    assert lake.one("select count(*) from measurement") == 15 + 3  # numbers of the first and of the second check-up


def test_who_did_not_agree_to_claims_is_in_no_table(lake: Biodam) -> None:
    """C agreed to clinical use only; NHIS delivered a year of eligibility all the same."""
    assert lake.query("select count(*), count(distinct person_id) from eligibility_year") == [(3, 2)]
    assert lake.one("select count(*) from person") == 2


def test_every_record_is_accounted_for(lake: Biodam) -> None:
    feeds = {f["feed"]: f for f in lake.status()["feeds"]}
    assert all(f["conserved"] for f in feeds.values())
    assert feeds["claims_nhis"]["quarantined"] == {"invalid_date": 1, "missing_parent": 2}
    assert feeds["claims_hira"]["quarantined"] == {"missing_parent": 1}


def _put(country: Path, delivery: str, lake: Path) -> None:
    """One simulated delivery of each agency and of the consent service into the inbox."""
    for site in ("a11", "a12", "c01"):
        for folder in (country / "deliveries" / site).glob(f"*/{delivery}"):
            shutil.copytree(folder, lake / "inbox" / site / folder.parent.name / delivery)


@dataclass(frozen=True)
class Simulated:
    """A lake with simulated claims and the published sample, and the truth of the simulation."""

    biodam: Biodam
    country: Path

    def truth(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query over truth/claims and truth/consent_states; `agreed` holds claims that consent covers at the end."""
        with duckdb.connect() as connection:
            for name in ("claims", "consent_states"):
                connection.execute(f"create view {name} as from '{self.country / 'truth' / name}.parquet'")
            connection.execute("""
                create view agreed as select * from claims as k where exists (
                    from consent_states as s where s.person = k.person and s.scope = 'claims' and s.active_until is null
                    and (s.covers_from_date is null or s.covers_from_date <= k.started_date)
                )
            """)
            return connection.execute(query).fetchall()


def _country(lake: Path) -> Path:
    return lake.parent / "country_of_claims"


def _deliver_country(lake: Path) -> None:
    """200 people; the initial delivery of each agency, then those with late and corrected claims; the published sample where it is."""
    simulate(200, 13, _country(lake))
    for delivery in ("2026-03-full", "2026-04", "2026-05", "2026-06"):
        _put(_country(lake), delivery, lake)
    if SHARED.is_dir():
        sample = {path.name: path.read_bytes() for path in (SHARED / "20_nhis_checkup_kr").glob("*.csv")}
        write_delivery(lake, "a01", "claims_nhis", "published", sample)


COUNTRY = Part({site: site_text(site) for site in ("a01", "a11", "a12", "c01")}, _deliver_country)


@pytest.fixture(scope="module")
def simulated(one_lake: OneLake) -> Simulated:
    lake = one_lake.of(COUNTRY)
    return Simulated(lake, _country(lake.lake))


@pytest.mark.parametrize("site", ["a11", "a12"])
def test_simulated_money_reaches_the_core_to_the_won(simulated: Simulated, site: str) -> None:
    """Superseded, doubled, late, masked and refused records all stand between truth and the core."""
    charge = "sum(claimed_total_won)" if site == "a11" else "null"
    wanted = simulated.truth(f"""
        select count(*), {charge}, sum(adjudicated_total_won), sum(adjudicated_patient_won), count(*) filter (is_after_death)
        from agreed where {site}_claim is not null
    """)
    assert wanted[0][0] > 100
    columns = "sum(claimed_total_won), sum(adjudicated_total_won), sum(adjudicated_patient_won), count(*) filter (is_after_death)"
    assert simulated.biodam.query(f"select count(*), {columns} from claim where site = '{site}'") == wanted


def test_simulated_lines_and_diagnoses_are_all_there(simulated: Simulated) -> None:
    wanted = simulated.truth("select sum(line_count), sum(prescription_count) from agreed where a11_claim is not null")
    lines = (
        "select count(*) filter (line_kind = 'treatment'), count(*) filter (line_kind = 'prescription') from claim_line where site = 'a11'"
    )
    assert simulated.biodam.query(lines) == wanted
    stated = simulated.truth("select sum(greatest(diagnosis_count, 1)) from agreed where a11_claim is not null and not is_after_death")[0][
        0
    ]
    listed = """
        select count(*) from condition_occurrence as c
        inner join claim as k on k.claim_id = c.visit_occurrence_id where k.site = 'a11' and not k.is_after_death
    """
    assert simulated.biodam.one(listed) == stated


def test_masked_and_cut_codes_keep_what_was_delivered(simulated: Simulated) -> None:
    """A masked code is as good as its category: both find the same concept or none, and are counted where none is found."""
    masked = simulated.biodam.query("""
        select condition_source_value, condition_concept_id from condition_occurrence where condition_source_value like '%\\_' escape '\\'
    """)
    assert masked
    assert all(concept == 0 or len(value) == 4 for value, concept in masked)


def test_the_published_sample_lands_as_counted(simulated: Simulated, shared_data: Path) -> None:
    """ANSWERS.md: g1e 1,644 check-ups of 547 people, bnc 13,073 years of 1,000 people, every person of g1e in bnc."""
    query, one = simulated.biodam.query, simulated.biodam.one
    assert query("select count(*), count(distinct person_id) from health_checkup where site = 'a01'") == [(1_644, 547)]
    assert query("select count(*), count(distinct person_id) from eligibility_year where site = 'a01'") == [(13_073, 1_000)]
    unknown = "select count(*) from health_checkup where site = 'a01' and person_id not in (select person_id from eligibility_year)"
    assert one(unknown) == 0
    assert one("select max(triglyceride_mg_dl) from health_checkup where site = 'a01'") == 1_210.0


@pytest.mark.slow
def test_late_and_corrected_claims_rebuild_what_a_full_build_does(tmp_path: Path) -> None:
    simulate(150, 17, tmp_path)
    biodam = Biodam(tmp_path / "lake", {"BIODAM_AS_OF": AS_OF})
    for delivery in ("2026-03-full", "2026-06"):
        _put(tmp_path, delivery, biodam.lake)
        biodam("run")
    incremental = biodam.fingerprints()
    biodam("run", "--full")
    assert incremental == biodam.fingerprints()
