"""A biobank's export from file to inventory and destruction manifest, small enough to check by eye.

| donor | consent to specimens             | what the biobank has                                                                   |
|-------|----------------------------------|----------------------------------------------------------------------------------------|
| D1    | granted                          | S1: 10 mL of blood = A1 and A2 (2 mL each), A3 (DNA out of 1 mL), 5 mL left            |
| D2    | granted                          | S2 lacks 1 mL, S3 lacks 0.5 mL of 10 and declares up to 10 % of loss; faults below     |
| D3    | granted, withdrawn 2025-01-10    | S4 held by u02, C1 destroyed, S5 collected and delivered after the withdrawal          |
| D4    | never asked                      | S6                                                                                     |
| D5    | withdrawn 2024-06, agreed again  | S7                                                                                     |
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assets.lake.extensions import open_duckdb
from tests.conftest import REPOSITORY, Biodam, consent_site, write_delivery
from tests.integration.one_lake import OneLake, Part

pytestmark = pytest.mark.shares("one lake")

BIOBANK = """site = "b90"
name = "Test biobank"
kind = "biobank"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.lims]
time_zone = "Asia/Seoul"
[feeds.pedigree]
[codes.sample_type]
"WB-1" = {system = "SNOMED", code = "119297000"}
"""
COHORT = """site = "b91"
name = "Test cohort"
kind = "biobank"
legal_basis = "published"
owner = "data-team@biodam.invalid"
[feeds.biobank_participants]
delimiter = "\\t"
quote = ""
"""
PARTICIPANTS = (REPOSITORY / "tests" / "golden" / "formats" / "delimited" / "biobank_participants" / "participant.tsv").read_bytes()
EVENTS = """event_id,person_key,site_id,patient_number,event_type,scope,form,form_version,arm,effective_date,valid_until,covers_from
g1,K1,b90,D1,grant,specimen,F1,1,patient,2020-01-01,,
g2,K2,b90,D2,grant,specimen,F1,1,patient,2020-01-01,,
g3,K3,b90,D3,grant,specimen,F1,1,patient,2020-01-01,,
g5,K5,b90,D5,grant,specimen,F1,1,patient,2020-01-01,,
w5,K5,b90,D5,withdraw,specimen,F1,1,patient,2024-06-01,,
r5,K5,b90,D5,reconsent,specimen,F1,1,patient,2024-09-01,,
q1,K1,b90,D1,grant,genomic,F1,1,patient,2020-01-01,,
q2,K2,b90,D2,grant,genomic,F1,1,family,2020-01-01,,
q3,K3,b90,D3,grant,genomic,F1,1,family,2020-01-01,,
"""
WITHDRAWAL = """event_id,person_key,site_id,patient_number,event_type,scope,form,form_version,arm,effective_date,valid_until,covers_from
w3,K3,b90,D3,withdraw,all,F1,1,patient,2025-01-10,,
"""
DONORS = """donor_id,birth_date,sex,province,donor_name
D1,1960-01-01,M,경기도,홍길동
D2,1961-02-02,F,경기도,김하나
D3,1962-03-03,F,경기도,이두리
D4,1963-04-04,M,경기도,박세나
D5,1964-05-05,M,경기도,최넷째
"""
SPECIMENS = """specimen_id,donor_id,sample_type,collected_at,amount_collected,amount_remaining,amount_unit,loss_tolerance_percent,storage_position,custodian
S1,D1,Blood,2024-03-01 08:00,10,5,mL,,F1-1,b90
S2,D2,WB-1,2024-03-01 08:00,10,5,mL,,F1-2,b90
S3,D2,Blood,2024-03-01 08:00,10,5.5,mL,10,F1-3,b90
S4,D3,Urine,2024-03-01 08:00,50,46,mL,,F1-4,b90
S6,D4,Saliva,2024-03-01 08:00,2,2,mL,,F1-6,b90
S7,D5,Plasma,2024-03-01 08:00,2000,,uL,,F1-7,b90
"""
ALIQUOTS = """aliquot_id,parent_id,donor_id,sample_type,created_at,amount_initial,amount_remaining,amount_unit,amount_taken,amount_taken_unit,concentration,concentration_unit,storage_position,custodian
A1,S1,D1,Plasma,2024-03-01 10:00,2,1.5,mL,2000,uL,,,F2-1,b90
A2,S1,D1,Plasma,2024-03-01 10:00,2000,0,µL,,,,,F2-2,b90
A3,S1,D1,DNA,2024-03-02 10:00,12.5,12.5,ug,1,mL,,,F2-3,b90
A4,A3,D1,DNA,2024-03-03 10:00,0,0,ng,,,50,ng/uL,F2-4,b90
B1,S2,D2,Plasma,2024-03-01 10:00,4,4,mL,,,,,F2-1,b90
B2,S3,D2,Plasma,2024-03-01 10:00,4,4,mL,,,,,F2-6,b90
B3,XX,D2,Plasma,2024-03-01 10:00,1,1,mL,,,,,F2-7,b90
B4,B5,D2,Plasma,2024-03-01 10:00,1,0,mL,,,,,,b90
B5,B4,D2,Plasma,2024-03-01 10:00,1,0,mL,,,,,,b90
B6,B1,D2,Plasma,2024-02-01 10:00,0.0,0.0,mL,,,,,,b90
B7,B2,D2,Plasma,2024-03-02 10:00,-1,-1,mL,0,mL,,,,b90
B8,B3,D2,Plasma,2024-03-02 10:00,3,3,drops,0,mL,,,,b90
B9,A1,D2,Plasma,2024-03-02 10:00,1,1,mL,,,,,,b90
C1,S4,D3,Urine,2024-03-01 10:00,4,,mL,,,,,F2-9,b90
"""
THAWS = """event_id,sample_id,donor_id,occurred_at,reason
f1,A1,D1,2024-04-01 09:00,aliquoting
f2,A1,D1,2024-05-01 09:00,assay
f3,A2,D1,2024-07-01 09:00,assay
"""
CUSTODY = """event_id,sample_id,donor_id,from_holder,to_holder,occurred_at,reason,shipment_id
c1,A1,D1,b90,u01,2024-04-01 10:00,research,SH1
c2,B1,D2,b90,u01,2024-04-01 10:00,research,SH1
c3,B1,D2,u09,u02,2024-05-01 10:00,research,SH2
c4,B2,D2,b90,u01,2024-04-01 10:00,research,SH1
c5,B2,D2,b90,u02,2024-05-01 10:00,research,SH3
c6,S4,D3,b90,u02,2024-05-01 10:00,research,SH3
"""
USAGES = """event_id,sample_id,donor_id,occurred_at,amount,amount_unit,purpose
u1,A1,D1,2024-05-01 09:30,0.5,mL,research
"""
DISPOSALS = """event_id,sample_id,donor_id,occurred_at,amount,amount_unit,method,reason
x1,A2,D1,2024-06-01 09:00,,,incineration,expired
x2,C1,D3,2025-01-20 23:30,,,incineration,withdrawal
"""
PEDIGREE = """#FID IID PAT MAT SEX PHENO1 PROBAND
F1 D1 D3 D2 1 2 1
F1 D2 0 0 2 1 0
F1 D3 0 0 1 1 0
F1 D4 D3 D2 1 1 0
"""
LATE = """specimen_id,donor_id,sample_type,collected_at,amount_collected,amount_remaining,amount_unit,custodian
S5,D3,Blood,2025-02-01 08:00,10,10,mL,b90
"""


Row = tuple[Any, ...]


@dataclass(frozen=True)
class Biobank:
    """A lake before and after D3 withdrew, what each showed, and what the run after it read of the manifest."""

    biodam: Biodam
    before: list[Row]
    people_before: int
    trios_before: list[Row]
    manifest: list[dict[str, Any]]


INVENTORY = """
    select sample_kind, sample_type_code, finding_codes, conservation_status, current_volume_ul, freeze_thaw_count, custodian_code, is_available
    from specimen_inventory order by all
"""
TRIOS = """
    select completeness_code, is_proband, is_affected, father_person_id is not null, mother_person_id is not null, is_complete from pedigree_trio order by all
"""


def _manifest(lake: Path) -> list[dict[str, Any]]:
    """The destruction manifest as the governance office reads it: from the lake, for it is not in the catalogue."""
    with open_duckdb() as connection:
        table = connection.execute(f"from delta_scan('{lake}/tables/governance/gov_specimen_destruction') where site = 'b90' order by all")
        names = [column[0] for column in table.description]
        assert "person_id" not in names
        return [dict(zip(names, row, strict=True)) for row in table.fetchall()]


def _deliver(lake: Path) -> None:
    files: dict[str, bytes | str] = {
        "donor.csv": DONORS, "specimen.csv": SPECIMENS, "aliquot.csv": ALIQUOTS, "freeze_thaw.csv": THAWS, "custody.csv": CUSTODY,
        "usage.csv": USAGES, "disposal.csv": DISPOSALS,
    }  # fmt: skip
    write_delivery(lake, "b90", "lims", "l1", files)
    write_delivery(lake, "b91", "biobank_participants", "p1", {"participant.tsv": PARTICIPANTS})
    write_delivery(lake, "b90", "pedigree", "f1", {"family.ped": PEDIGREE})
    write_delivery(lake, "c92", "consent", "k1", {"event.csv": EVENTS})


def _withdraw(lake: Path) -> None:
    write_delivery(lake, "c92", "consent", "k2", {"event.csv": WITHDRAWAL}, sequence=2)
    write_delivery(lake, "b90", "lims", "l2", {"specimen.csv": LATE}, sequence=2)


def _look(lake: Biodam) -> tuple[list[Row], int, list[Row]]:
    return lake.query(INVENTORY), lake.one("select count(*) from person where site = 'b90'"), lake.query(TRIOS)


BANKS = Part({"b90": BIOBANK, "b91": COHORT, "c92": consent_site("c92")}, _deliver, _withdraw, _look)


@pytest.fixture(scope="module")
def biobank(one_lake: OneLake) -> Biobank:
    lake = one_lake.of(BANKS)
    return Biobank(lake, *one_lake.seen(BANKS), _manifest(lake.lake))


def test_inventory_of_a_donor_whose_tubes_add_up(biobank: Biobank) -> None:
    """D1: mL, uL, µL and ug in one tree. A1 lost half a millilitre to an assay; A2 was thrown away and then thawed."""
    assert ("specimen", "Blood", "", "conserved", 5000.0, 0, "b90", True) in biobank.before
    assert ("aliquot", "Plasma", "", "conserved", 1500.0, 2, "u01", True) in biobank.before
    assert ("aliquot", "Plasma", "event_after_disposal", "conserved", 0.0, 1, "b90", False) in biobank.before
    assert biobank.biodam.query("select current_mass_ug from specimen_inventory where sample_type_code = 'DNA' order by 1") == [
        (0.0,),
        (12.5,),
    ]


def test_every_fault_is_flagged_and_no_sample_is_dropped(biobank: Biobank) -> None:
    found = Counter(row[2] for row in biobank.before if row[2])
    assert found == {
        "event_after_disposal": 1,      # A2
        "amount_not_conserved": 1,      # S2: a millilitre is missing
        "custody_gap": 1,               # B1: u09 gave away what u01 had
        "custody_overlap": 1,           # B2: b90 gave it away twice
        "parent_unknown": 2,            # B3: nobody's number; B9: a tube of another donor
        "parent_cycle": 2,              # B4 and B5 come from each other
        "made_before_parent": 1,        # B6
        "negative_amount": 1,           # B7
        "amount_not_comparable": 1,     # B8: drops
    }  # fmt: skip
    delivered = SPECIMENS.count("\n") - 1 + ALIQUOTS.count("\n") - 1
    assert len(biobank.before) == delivered - 1, "all but the one of D4, who never agreed"
    assert not any(row[2] and row[-1] for row in biobank.before), "nothing with a finding is available"


def test_a_declared_loss_is_no_finding_and_an_undeclared_one_is(biobank: Biobank) -> None:
    missing = biobank.biodam.query(
        "select missing_volume_ul, conservation_status from specimen_inventory where missing_volume_ul > 0 order by 1"
    )
    assert missing == [(500.0, "conserved"), (1000.0, "not_conserved")]


def test_findings_are_counted_by_biobank_without_telling_small_numbers(biobank: Biobank) -> None:
    found = dict(biobank.biodam.query("select finding, sample_count from gov_biobank_findings"))
    assert found.keys() >= {"parent_cycle", "custody_gap", "position_taken_twice", "remaining_not_stated"}
    assert set(found.values()) == {"<5"}


def test_specimens_stand_in_omop_with_the_concept_of_their_sample_type(biobank: Biobank) -> None:
    """WB-1 is the biobank's own code; no concept for plasma is in the seed, so S7 keeps 0 and is counted as unmapped."""
    rows = biobank.biodam.query("select specimen_source_value, specimen_concept_id, quantity, unit_source_value from specimen order by all")
    assert rows == [
        ("Blood", 4001225, 10.0, "mL"),
        ("Blood", 4001225, 10.0, "mL"),
        ("Plasma", 0, 2000.0, "uL"),
        ("WB-1", 4001225, 10.0, "mL"),
    ]
    assert ("Plasma", "Specimen") in biobank.biodam.query("select source_code, domain_id from unmapped_codes")


def test_who_withdrew_is_in_no_table_from_the_next_run_on(biobank: Biobank) -> None:
    """D3 was there with three samples. D5 withdrew too, but agreed again; D4 never was."""
    after = biobank.biodam.query(INVENTORY)
    assert len(biobank.before) - len(after) == 2
    assert {row for row in biobank.before if row[1] == "Urine"} and not [row for row in after if row[1] == "Urine"]
    assert biobank.people_before == 4 and biobank.biodam.one("select count(*) from person where site = 'b90'") == 3


def test_a_father_who_withdraws_leaves_mother_and_child_in_place(biobank: Biobank) -> None:
    """D1 is the child of D3, who withdraws, and D2; their brother D4 never agreed and is in no trio."""
    assert biobank.trios_before == [("trio", True, True, True, True, True)]
    assert biobank.biodam.query(TRIOS) == [("duo", True, True, False, True, False)]
    assert biobank.biodam.query("select relation_code, is_parent_affected from pedigree_link") == [("KIN:027", False)]
    (feed,) = [f for f in biobank.biodam.status()["feeds"] if f["feed"] == "pedigree"]
    assert (feed["delivered"], feed["landed"], feed["conserved"]) == (4, 4, True)


def test_the_destruction_manifest_names_every_tube_and_nobody(biobank: Biobank) -> None:
    """S4 is with u02; C1 is gone, half an hour before midnight in Seoul; S5 came after the withdrawal: raw, and to be destroyed."""
    keys = (
        "sample_kind",
        "site",
        "withdrawn_date",
        "custodian_code",
        "is_destruction_confirmed",
        "destroyed_date",
        "is_made_after_withdrawal",
    )
    withdrawn = date(2025, 1, 10)
    assert sorted((tuple(row[k] for k in keys) for row in biobank.manifest), key=repr) == [
        ("aliquot", "b90", withdrawn, "b90", True, date(2025, 1, 20), False),
        ("specimen", "b90", withdrawn, "b90", False, None, True),
        ("specimen", "b90", withdrawn, "u02", False, None, False),
    ]
    assert biobank.biodam.query("select status, sample_count from gov_specimen_withdrawals order by 1") == [
        ("destroyed", "<5"),
        ("made_after_withdrawal", "<5"),
        ("to_destroy", "<5"),
    ]
    assert not biobank.biodam.query("select 1 from duckdb_views() where view_name in ('gov_specimen_destruction', 'consent_withdrawal')")


def test_participants_reach_omop_as_far_as_they_are_dated(biobank: Biobank) -> None:
    """P1 and P2 have a year of birth and a day; P3 has neither, so its BMI is set aside and stands in biobank_participant only."""
    ask = biobank.biodam.query
    assert ask("select year_of_birth, gender_concept_id from person where site = 'b91' order by 1") == [(1960, 8532), (1961, 8507)]
    assert ask("select measurement_concept_id, value_as_number, measurement_date::varchar from measurement where site = 'b91'") == [
        (3038553, 26.5, "2010-05-01")
    ]
    assert ask("select condition_concept_id, condition_type_concept_id from condition_occurrence where site = 'b91'") == [(201820, 32865)]
    assert ask("select bmi_kg_m2, diabetes_answer, diabetes_missing_reason, missing_answer_count from biobank_participant order by 1") == [
        (-1.0, "No", None, 4),
        (26.5, "Yes", None, 0),
        (None, None, "do_not_know", 4),
    ]
    assert ("diabetes", "do_not_know", "<5") in ask("select field_name, missing_reason, cell_count from gov_cell_faults")


@pytest.mark.slow
def test_the_incremental_build_equals_a_full_one(biobank: Biobank) -> None:
    before = biobank.biodam.fingerprints()
    biobank.biodam("run", "--full")
    assert biobank.biodam.fingerprints() == before
    assert _manifest(biobank.biodam.lake) == biobank.manifest
