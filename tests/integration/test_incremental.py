"""Incremental equals full: whatever order late, duplicate, corrected and deleted deliveries come in, and however runs cut them up.

A small Korean hospital (feed emr_csv) and a consent service, written by hand so that one can check by eye.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.lake.commits import read_snapshot
from assets.lake.paths import Lake
from assets.lake.versions import select_of
from assets.privacy.buckets import BucketSizes
from assets.privacy.vault import open_vault
from assets.resources import LakeResource
from orchestration.sensors import aged_consent
from tests.conftest import CONSENT_HEADER, CONSENT_SITE, Biodam, write_delivery

SITE = """site = "h90"
name = "Test hospital"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
encoding = "cp949"
time_zone = "Asia/Seoul"
[feeds.emr_csv.columns.patient]
patient_number = "등록번호"
resident_number = "주민번호"
birth_date = "생년월일"
gender = "성별"
is_deleted = "삭제"
[feeds.emr_csv.columns.diagnosis]
diagnosis_number = "진단번호"
patient_number = "등록번호"
diagnosis_code = "상병코드"
diagnosis_date = "진단일"
is_deleted = "삭제"
[feeds.emr_csv.columns.lab_result]
result_number = "결과번호"
patient_number = "등록번호"
lab_code = "검사코드"
measured_at = "검사일시"
result_value = "결과"
unit = "단위"
is_deleted = "삭제"
[feeds.hl7_v2]
time_zone = "Asia/Seoul"
assigning_authority = "H90"
[codes.lab]
"A1C" = {system = "LOINC", code = "4548-4", unit = "%"}
"CRE" = {system = "LOINC", code = "2160-0", unit = "mg/dL"}
"""


def _rrn(number: int) -> str:
    """Resident number; the last digit keeps 111111 out, which is a filler and joins nobody."""
    return f"7001{1 + number // 100_000:02d}-1{number % 100_000:05d}2"


def _patients(numbers: range, *, deleted: frozenset[int] = frozenset()) -> bytes:
    rows = [f"P{n},{_rrn(n)},19700101,{'남' if n % 2 else '여'},{'Y' if n in deleted else 'N'}" for n in numbers]
    return ("등록번호,주민번호,생년월일,성별,삭제\r\n" + "\r\n".join(rows) + "\r\n").encode("cp949")


def _diagnoses(numbers: range, code: str = "E11.9", *, deleted: frozenset[int] = frozenset(), of: int | None = None) -> bytes:
    rows = [f"D{n},P{of or n},{code},2020-03-0{1 + n % 9},{'Y' if n in deleted else 'N'}" for n in numbers]
    return ("진단번호,등록번호,상병코드,진단일,삭제\r\n" + "\r\n".join(rows) + "\r\n").encode("cp949")


def _labs(numbers: range, value: float, *, mark: str = "L") -> bytes:
    rows = [f"{mark}{n},P{n},A1C,2021-04-0{1 + n % 9} 08:00:00,{value},%,N" for n in numbers]
    return ("결과번호,등록번호,검사코드,검사일시,결과,단위,삭제\r\n" + "\r\n".join(rows) + "\r\n").encode("cp949")


def _consents(numbers: range, event: str = "grant", *, day: str = "2019-01-01", mark: str = "g") -> str:
    rows = [f"{mark}{n},K{n},{_rrn(n)},,,{event},clinical,F34,1,patient,{day},," for n in numbers]
    return CONSENT_HEADER + "\n".join(rows) + "\n"


def _hl7(kind: str, number: int, patient: str, *segments: str, at: str = "20210501080000") -> str:
    person = f"PID|1||{patient}^^^H90^MR||KIM||19700101"
    return "\r".join([f"MSH|^~\\&|HIS|H90|||{at}||{kind}|{number}|P|2.5", person, *segments]) + "\r"


def _hl7_result(number: int, patient: str, value: float, status: str = "F") -> str:
    result = f"OBX|1|NM|4548-4^HbA1c^LN||{value}|%|||||{status}|||20210501070000"
    return _hl7("ORU^R01", number, patient, f"OBR|1||F{patient}|4548-4^HbA1c^LN", result)


def _hl7_visit(number: int, event: str, patient: str, at: str) -> str:
    visit = "PV1|1|I" + "|" * 17 + f"V{patient}" + "|" * 25 + "20210501060000"
    return _hl7(f"ADT^{event}", number, patient, visit, "DG1|1||E11.2^x^KCD||20210501|F", at=at)


def _messages() -> list[str]:
    """Results and visits of people whom the extracts know (P4, P5) and of P20, whom only these messages know until P5 turns out to be P20."""
    first = _hl7_visit(1, "A01", "P4", "20210501060000") + _hl7_result(2, "P4", 8.8) + _hl7_result(3, "P20", 9.4)
    second = _hl7_result(4, "P4", 8.9, "C") + _hl7_visit(5, "A11", "P4", "20210502060000")
    return [first, second, _hl7("ADT^A40", 6, "P5", "MRG|P20^^^H90^MR")]


def _deliveries() -> list[tuple[str, str, str, int, dict[str, bytes | str]]]:
    """(site, feed, id, sequence, files): first data, a late lab before its patient, corrections, deletions, records that change their person, a withdrawal, newcomers."""
    emr, consent = ("h90", "emr_csv"), ("c90", "consent")
    return [
        (*emr, "e1", 1, {"patient.csv": _patients(range(1, 9)), "diagnosis.csv": _diagnoses(range(1, 9))}),
        (*emr, "e2", 2, {"lab_result.csv": _labs(range(1, 12), 8.1)}),
        (*emr, "e3", 3, {"patient.csv": _patients(range(9, 12)), "diagnosis.csv": _diagnoses(range(9, 12), "E11.2")}),
        (*emr, "e4", 4, {"lab_result.csv": _labs(range(1, 4), 6.4), "diagnosis.csv": _diagnoses(range(5, 7), deleted=frozenset({5, 6}))}),
        (*emr, "e5", 5, {"patient.csv": _patients(range(3, 4), deleted=frozenset({3}))}),
        (*emr, "e6", 6, {"lab_result.csv": _labs(range(1, 4), 6.4) + _labs(range(4, 6), 7.7, mark="M").split(b"\r\n", 1)[1]}),
        (*emr, "e7", 7, {"diagnosis.csv": _diagnoses(range(7, 8), of=10)}),  # it was somebody else's
        (*emr, "e8", 8, {"diagnosis.csv": _diagnoses(range(10, 11), of=99)}),  # nobody we know by then
        *[("h90", "hl7_v2", f"m{n}", n, {"messages.hl7": text.encode()}) for n, text in enumerate(_messages(), 1)],
        (*consent, "k1", 1, {"event.csv": _consents(range(1, 11))}),
        (*consent, "k2", 2, {"event.csv": _consents(range(2, 3), "withdraw", day="2022-05-05", mark="w")}),
        (*consent, "k3", 3, {"event.csv": _consents(range(11, 12), mark="h")}),
        (*consent, "k4", 4, {"event.csv": AGEING + COMING}),
    ]


AGEING = CONSENT_HEADER + "".join(
    f"a{n},K{n},{_rrn(n)},,,change,clinical,F34,1,patient,2019-06-01,{until},\n" for n, until in ((4, "2024-01-04"), (6, "2024-02-10"))
)
COMING = f"""\
f7,K7,{_rrn(7)},,,grant,everything,F34,1,family,2024-01-07,,
s8,K8,{_rrn(8)},,,grant,specimen,F34,1,patient,2019-01-01,2020-01-01,
w8,K8,{_rrn(8)},,,withdraw,specimen,F34,1,,2024-01-07,,
"""
"""Known long before it takes effect: P7 is of the arm `family` from 7 January on, by a grant that grants nothing; P8 withdraws from a scope that ran out."""


def _sites(folder: Path) -> Path:
    folder.mkdir()
    (folder / "h90.toml").write_text(SITE, encoding="utf-8")
    (folder / "c90.toml").write_text(CONSENT_SITE, encoding="utf-8")
    return folder


NewLake = Callable[[str], Biodam]


@pytest.fixture(scope="module")
def new_lake(tmp_path_factory: pytest.TempPathFactory) -> NewLake:
    """Lakes with two people a bucket, so that a bucket too few shows."""
    folder = tmp_path_factory.mktemp("incremental")
    sites = _sites(folder / "sites")

    def new(name: str) -> Biodam:
        open_vault(folder / name / "vault" / "vault.db", folder / name / "vault" / "key", sizes=BucketSizes((), 2))
        return Biodam(folder / name, {"BIODAM_SITES": str(sites), "BIODAM_AS_OF": "2024-01-01"})

    return new


@pytest.fixture(scope="module")
def in_order(new_lake: NewLake) -> Biodam:
    """All deliveries in their order, built in one run. Read only."""
    whole = new_lake("whole")
    _play(whole, list(range(len(_deliveries()))), set())
    return whole


def _play(biodam: Biodam, order: list[int], cuts: set[int]) -> None:
    deliveries = _deliveries()
    for step, number in enumerate(order):
        site, feed, name, sequence, files = deliveries[number]
        write_delivery(biodam.lake, site, feed, name, files, sequence=sequence)
        if step in cuts:
            biodam("run")
    biodam("run")


def _readable(biodam: Biodam) -> list[tuple[object, ...]]:
    """The registry in words that do not depend on random person ids."""
    return biodam.query("""
        select p.gender_source_value, p.year_of_birth, c.first_diagnosis_date, c.hba1c_count, c.hba1c_latest_percent
        from cohort_type2_diabetes as c inner join person as p using (person_id) order by all
    """)


def _check(cut: Biodam, in_order: Biodam, order: list[int], cuts: set[int]) -> None:
    _play(cut, order, cuts)
    assert _readable(cut) == _readable(in_order), f"order {order}: the outcome depends on the order of arrival"
    later = _on_days_on_which_nothing_is_delivered(cut)
    incremental, of_the_day = later.fingerprints(), _judged_by_the_day(later)
    assert later.query("select scope_code, arm_code, people_count from gov_consent_status order by all") == [
        ("clinical", "family", None),
        ("clinical", "patient", 8),
    ]
    later("run", "--full")
    assert incremental == later.fingerprints(), f"order {order}: incremental tables differ from a full rebuild"
    assert of_the_day == _judged_by_the_day(later), f"order {order}: what the day alone changes differs from a full rebuild"


def _on_days_on_which_nothing_is_delivered(biodam: Biodam) -> Biodam:
    """Let the clock run. P4's consent ends with 4 January, P6's in February: on the 5th P4 leaves, by a run that was asked for, and nobody else is rebuilt.

    On the 7th, what P7 and P8 said of that day takes effect; nobody's consent begins or ends.
    """
    days = (("2024-01-04", False, 0), ("2024-01-05", True, 1), ("2024-01-05", False, 0), ("2024-01-06", False, 0), ("2024-01-07", True, 0))
    for day, is_due, leave in days:
        later = Biodam(biodam.lake, {**biodam.environment, "BIODAM_AS_OF": day})
        lake = LakeResource(root=str(biodam.lake), sites_folder=biodam.environment["BIODAM_SITES"], as_of=day)
        with dg.build_sensor_context(resources={"lake": lake}) as context:
            assert bool(aged_consent.evaluate_tick(context).run_requests) == is_due, day
        people = later.one("select count(*) from person")
        said = json.loads(later("run", "--json").stdout)
        assert (said["built"], said["full"]) == (is_due, False), day
        assert later.one("select count(*) from person") == people - leave, day
    return later


def _judged_by_the_day(biodam: Biodam) -> dict[str, list[tuple[object, ...]]]:
    """Rows of tables that nobody publishes and that the day alone may change."""
    lake = Lake(biodam.lake)
    keys = (
        "standard/person_arm",
        "standard/consent_withdrawal",
        "governance/int_consent_status__counted",
        "governance/int_site_people__counted",
    )
    with duckdb.connect() as connection:
        return {key: connection.execute(f"from ({select_of(read_snapshot(lake, key))}) order by all").fetchall() for key in keys}


@pytest.mark.scenario("06 late and out of order in all orders")
@pytest.mark.timeout(2400)  # two lakes and six builds
def test_incremental_equals_full_and_order_does_not_matter(new_lake: NewLake, in_order: Biodam) -> None:
    """What is built when the rest comes: newcomers, corrections and results of people whom nothing else tells of yet. The rest: a feed of which nothing
    had come, the first extract with its patients, deletions, a withdrawal, late consent. Then two days on which consent changes by itself."""
    names = [delivery[2] for delivery in _deliveries()]
    first, rest = ["e3", "k1", "e4", "k4", "e2", "e7", "e6"], ["m3", "e1", "m1", "m2", "e8", "e5", "k2", "k3"]
    assert sorted(first + rest) == sorted(names)
    _check(new_lake("cut"), in_order, [names.index(name) for name in first + rest], {len(first) - 1})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_incremental_equals_full_over_many_schedules(new_lake: NewLake, in_order: Biodam, seed: int) -> None:
    chance = random.Random(seed)
    order = list(range(len(_deliveries())))
    chance.shuffle(order)
    _check(new_lake(f"cut{seed}"), in_order, order, set(chance.sample(range(len(order)), 2)))


def test_withdrawn_and_never_consented_people_are_nowhere(in_order: Biodam, tmp_path: Path) -> None:
    # 11 patients; 3 deleted by the hospital, 2 withdrawn; all others consented
    assert in_order.one("select count(*) from person") == 9
    shutil.copytree(in_order.lake, tmp_path / "lake")
    biodam = Biodam(tmp_path / "lake", in_order.environment)
    said = biodam("consent", "withdraw", "--site", "h90", "--number", "P1", "--desk", "c90", "--day", "2023-01-01", "--yes").stdout
    assert "P1" not in said
    assert "Next: biodam run" in said
    biodam("consent", "withdraw", "--site", "h90", "--number", "P2", "--desk", "c90", "--day", "2023-01-01", "--yes")
    biodam("run")
    _check_reports_of_everybody(biodam)
    assert biodam.one("select count(*) from person") == 8
    spells = json.loads(biodam("consent", "show", "--site", "h90", "--number", "P1", "--json").stdout)["spells"]
    assert [(s["scope_code"], s["in_force"], s["withdrawn_date"]) for s in spells] == [("clinical", False, "2023-01-01")]
    assert biodam.one("select count(*) from measurement where person_id not in (select person_id from person)") == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)  # two lakes and some thirty builds
def test_merge_and_then_split_is_as_if_nobody_had_ever_been_merged(new_lake: Callable[[str], Biodam]) -> None:
    """P21, whom no extract knows, is merged into P1 by a steward and parted again; results come before, between and after."""

    def message(biodam: Biodam, number: int, value: float) -> None:
        text = _hl7_result(number, "P21", value)
        write_delivery(biodam.lake, "h90", "hl7_v2", f"m{number}", {"messages.hl7": text.encode()}, sequence=number)

    def begin(name: str) -> Biodam:
        biodam = new_lake(name)
        message(biodam, 14, 9.9)
        event = "x21,K21,,h90,P21,grant,clinical,F34,1,patient,2019-01-01,,"
        write_delivery(biodam.lake, "c90", "consent", "k9", {"event.csv": CONSENT_HEADER + event + "\n"}, sequence=9)
        _play(biodam, list(range(len(_deliveries()))), set())
        return biodam

    lake = begin("merged")
    vault = open_vault(lake.lake / "vault" / "vault.db", lake.lake / "vault" / "key")
    numbers = [vault.find("h90", n) for n in ("P1", "P21")]
    people = [found.person_id for found in numbers if found is not None]
    before = lake.fingerprints()
    lake("identity", "merge", *map(str, people))
    lake("run")
    merged = lake.fingerprints()
    assert merged != before
    lake("run", "--full")
    assert lake.fingerprints() == merged
    younger = json.loads(lake("identity", "events", "--json").stdout)[-1]["alias_person_id"]
    lake("identity", "split", str(younger))
    lake("run")
    assert lake.fingerprints() == before

    lake("identity", "merge", *map(str, people))
    message(lake, 15, 9.8)
    lake("run")
    lake("identity", "split", str(younger))
    message(lake, 16, 9.7)
    lake("run")
    parted = lake.fingerprints()
    lake("run", "--full")
    assert lake.fingerprints() == parted
    never = begin("never")
    message(never, 15, 9.8)
    message(never, 16, 9.7)
    never("run")
    by_person = """
        select list(m.value_as_number order by m.value_as_number) as results from measurement as m group by m.person_id order by all
    """
    assert lake.query(by_person) == never.query(by_person)
    assert _readable(lake) == _readable(never)


def _check_reports_of_everybody(biodam: Biodam) -> None:
    """A build of two people's buckets must not make reports of these two alone. P2 had withdrawn before, and nobody knows form F34."""
    counted = biodam.query("select event_type, finding_code, event_count from gov_consent_events order by all")
    alone = ("withdraw", "understood", None)
    assert counted == [
        ("change", "unknown_form", None),
        ("grant", "unknown_form", 11),
        ("grant", "unknown_form", None),
        ("grant", "unknown_scope", None),
        alone,
        alone,
        alone,
        ("withdraw", "withdrawn_before", None),
    ]
    assert biodam.query("select site, people_count from gov_people_by_site order by all") == [("c90", 9), ("h90", 9)]
    told = json.loads(biodam("consent", "findings", "--json").stdout)
    assert [f["record"] for f in told if f["code"] == "unknown_form" and f["delivery"] == "k1"] == list(range(1, 11))
    assert [f["code"] for f in told if f["delivery"] == "k4" and f["code"] != "unknown_form"] == ["unknown_scope", "withdraws_ahead"]
    [twice] = [f for f in told if f["delivery"] != "k4" and f["code"] != "unknown_form"]
    assert (twice["code"], twice["site"], twice["table"], twice["record"]) == ("withdrawn_before", "c90", "raw/consent/event", 1)
