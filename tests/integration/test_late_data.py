"""Data that comes late about somebody who has withdrawn, from the file to the tables: held, counted, and landed when they consent again.

| who | consent                                                             | comes late                                        |
|-----|---------------------------------------------------------------------|---------------------------------------------------|
| P1  | clinical and specimen, withdrawn from all on 2023-06-01, then again  | a diagnosis, a result (in two versions), specimen S9 |
| P2  | clinical and specimen, withdrawn from specimens only                | a diagnosis                                       |
| P3  | clinical                                                            | a diagnosis                                       |
| P4  | clinical and specimen, withdrawn from all in the run that brings the data, then again | a diagnosis                     |
| P5  | the same, withdrawn from specimens only                             | a diagnosis                                       |
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from assets.lake.extensions import open_duckdb
from tests.conftest import CONSENT_HEADER, Biodam, consent_site, write_delivery
from tests.integration.one_lake import OneLake, Part

pytestmark = pytest.mark.shares("one lake")

SITE = """site = "h60"
name = "Test hospital with a biobank"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
time_zone = "Asia/Seoul"
[feeds.lims]
time_zone = "Asia/Seoul"
[codes.lab]
"A1C" = {system = "LOINC", code = "4548-4", unit = "%"}
"""
PATIENTS = "patient_number,resident_number,birth_date,gender\n" + "".join(f"P{n},510713-2{n:05d}1,1951-07-13,F\n" for n in (1, 2, 3, 4, 5))
SPECIMENS = "specimen_id,donor_id,sample_type,collected_at,amount_collected,amount_unit,custodian\n"


def _consents(*rows: str) -> str:
    return CONSENT_HEADER + "".join(f"{row}\n" for row in rows)


def _event(name: str, patient: str, event: str, scope: str, day: str) -> str:
    return f"{name},K{patient},,h60,{patient},{event},{scope},F1,1,patient,{day},,"


def _diagnoses(*rows: tuple[str, str]) -> str:
    return "diagnosis_number,patient_number,diagnosis_code,diagnosis_date\n" + "".join(f"{d},{p},E11.9,2022-03-01\n" for d, p in rows)


def _results(*values: float) -> str:
    head = "result_number,patient_number,lab_code,measured_at,result_value,unit\n"
    return head + "".join(f"L1,P1,A1C,2022-04-01 08:00:00,{value},%\n" for value in values)


def _begin(lake: Path) -> None:
    write_delivery(lake, "h60", "emr_csv", "e1", {"patient.csv": PATIENTS, "diagnosis.csv": _diagnoses(("D1", "P1"), ("D2", "P2"))})
    write_delivery(lake, "h60", "lims", "b1", {"specimen.csv": SPECIMENS + "S1,P1,Blood,2022-01-01 08:00,10,mL,h60\n"})
    grants = [
        _event(f"{scope[0]}{p}", p, "grant", scope, "2020-01-01") for p in ("P1", "P2", "P4", "P5") for scope in ("clinical", "specimen")
    ]
    write_delivery(lake, "c60", "consent", "k1", {"event.csv": _consents(*grants, _event("c3", "P3", "grant", "clinical", "2020-01-01"))})


def _withdraw(lake: Path) -> None:
    events = _consents(_event("w1", "P1", "withdraw", "all", "2023-06-01"), _event("w2", "P2", "withdraw", "specimen", "2023-06-01"))
    write_delivery(lake, "c60", "consent", "k2", {"event.csv": events}, sequence=2)


def _withdraw_meanwhile(lake: Path) -> None:
    events = _consents(_event("w4", "P4", "withdraw", "all", "2023-06-02"), _event("w5", "P5", "withdraw", "specimen", "2023-06-02"))
    write_delivery(lake, "c60", "consent", "k3", {"event.csv": events}, sequence=3)


def _come_late(lake: Path) -> None:
    diagnoses = _diagnoses(*((f"D1{n}", f"P{n}") for n in (1, 2, 3, 4, 5)))
    files = {"diagnosis.csv": diagnoses, "lab_result.csv": _results(8.0, 8.1)}
    write_delivery(lake, "h60", "emr_csv", "e2", files, sequence=2)
    write_delivery(lake, "h60", "lims", "b2", {"specimen.csv": SPECIMENS + "S9,P1,Blood,2023-05-31 08:00,10,mL,u02\n"}, sequence=2)


def _consent_again(lake: Path) -> None:
    events = [_event(f"a{scope[0]}{p}", p, "reconsent", scope, "2023-09-01") for p in ("P1", "P4") for scope in ("clinical", "specimen")]
    write_delivery(lake, "c60", "consent", "k4", {"event.csv": _consents(*events)}, sequence=4)


def _in_tables(lake: Path, delivery: str) -> dict[str, int]:
    """Raw table of what a hospital delivers -> rows of a delivery of h60."""
    logs = sorted(log for family in ("emr_csv", "lims") for log in (lake / "tables" / "raw" / family).glob("*/_delta_log"))
    of_site = {
        "/".join(log.parts[-3:-1]): DeltaTable(str(log.parent)).to_pyarrow_table(
            partitions=[("site", "=", "h60")], columns=["_delivery_id"]
        )
        for log in logs
    }
    found = {table: rows["_delivery_id"].to_pylist().count(delivery) for table, rows in of_site.items()}
    return {table: count for table, count in found.items() if count}


def _to_destroy(lake: Path) -> list[tuple[Any, ...]]:
    with open_duckdb() as connection:
        table = f"delta_scan('{lake}/tables/governance/gov_specimen_destruction')"
        rows = f"select custodian_code, is_destruction_confirmed from {table} where site = 'h60' order by custodian_code"
        return connection.execute(rows).fetchall()


def _accounts(biodam: Biodam) -> dict[str, tuple[int, ...]]:
    return {f["feed"]: (f["delivered"], f["landed"], sum(f["quarantined"].values()), f["duplicate"]) for f in biodam.status()["feeds"]}


def _said(biodam: Biodam) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(biodam("run", "--json").stdout)
    return said


SITES = {"h60": SITE, "c60": consent_site("c60")}


def _begin_and_withdraw(lake: Path) -> None:
    _begin(lake)
    _withdraw(lake)


def _withdraw_and_come_late(lake: Path) -> None:
    _withdraw_meanwhile(lake)
    _come_late(lake)


LATE = Part(SITES, _begin_and_withdraw, _withdraw_and_come_late)
"""P1 and P2 withdraw in the first run; P4 and P5 in the second, which brings what is late."""


@pytest.fixture(scope="module")
def late(one_lake: OneLake) -> Biodam:
    return one_lake.of(LATE)


def test_late_data_is_counted_and_in_no_table_and_a_late_specimen_is_named_for_destruction(late: Biodam) -> None:
    assert _in_tables(late.lake, "e2") == {"emr_csv/diagnosis": 3}, "those of P2 and P5, who withdrew from specimens only, and of P3"
    assert _in_tables(late.lake, "b2") == {"lims/specimen": 1}
    feeds = {f["feed"]: f for f in late.status()["feeds"]}
    assert feeds["emr_csv"]["quarantined"] == {"person_withdrawn": 4}
    assert all(f["conserved"] for f in feeds.values())
    assert _to_destroy(late.lake) == [("h60", False), ("u02", False)]
    assert late.one("select count(*) from person") == 3


@pytest.mark.slow
def test_once_the_person_consents_again_every_table_is_as_if_the_data_had_come_in_time(tmp_path: Path) -> None:
    """One run takes the word in and lands what was held; a replay by hand before it lands nothing. The other lake has the same vault, so the same person ids."""
    (tmp_path / "sites").mkdir()
    for site, text in SITES.items():
        (tmp_path / "sites" / f"{site}.toml").write_text(text, encoding="utf-8")
    late = Biodam(tmp_path / "late", {"BIODAM_SITES": str(tmp_path / "sites"), "BIODAM_AS_OF": "2024-01-01"})
    for deliver in (_begin_and_withdraw, _withdraw_and_come_late):
        deliver(late.lake)
        late("run")
    in_time = Biodam(tmp_path / "in_time", late.environment)
    shutil.copytree(late.lake / "vault", in_time.lake / "vault")
    for deliver in (_begin, _come_late):
        deliver(in_time.lake)
    in_time("run")
    for deliver in (_withdraw, _withdraw_meanwhile, _consent_again):
        deliver(in_time.lake)
    in_time("run")
    assert "person_withdrawn" in late("quarantine", "replay").stdout
    assert _in_tables(late.lake, "e2") == {"emr_csv/diagnosis": 3}
    _consent_again(late.lake)
    assert _said(late)["problems"] == []
    assert _in_tables(late.lake, "e2") == {"emr_csv/diagnosis": 5, "emr_csv/lab_result": 2}
    assert _accounts(late) == _accounts(in_time)
    assert late.fingerprints() == in_time.fingerprints()
    assert _to_destroy(late.lake) == []
    assert not _said(late)["built"], "nothing is left to do"
