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
from tests.conftest import CONSENT_HEADER, CONSENT_SITE, Biodam, write_delivery

SITE = """site = "h90"
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
PATIENTS = "patient_number,resident_number,birth_date,gender\n" + "".join(f"P{n},700101-1{n:05d}1,1970-01-01,F\n" for n in (1, 2, 3, 4, 5))
SPECIMENS = "specimen_id,donor_id,sample_type,collected_at,amount_collected,amount_unit,custodian\n"


def _consents(*rows: str) -> str:
    return CONSENT_HEADER + "".join(f"{row}\n" for row in rows)


def _event(name: str, patient: str, event: str, scope: str, day: str) -> str:
    return f"{name},K{patient},,h90,{patient},{event},{scope},F1,1,patient,{day},,"


def _diagnoses(*rows: tuple[str, str]) -> str:
    return "diagnosis_number,patient_number,diagnosis_code,diagnosis_date\n" + "".join(f"{d},{p},E11.9,2022-03-01\n" for d, p in rows)


def _results(*values: float) -> str:
    head = "result_number,patient_number,lab_code,measured_at,result_value,unit\n"
    return head + "".join(f"L1,P1,A1C,2022-04-01 08:00:00,{value},%\n" for value in values)


def _begin(lake: Path) -> None:
    write_delivery(lake, "h90", "emr_csv", "e1", {"patient.csv": PATIENTS, "diagnosis.csv": _diagnoses(("D1", "P1"), ("D2", "P2"))})
    write_delivery(lake, "h90", "lims", "b1", {"specimen.csv": SPECIMENS + "S1,P1,Blood,2022-01-01 08:00,10,mL,h90\n"})
    grants = [
        _event(f"{scope[0]}{p}", p, "grant", scope, "2020-01-01") for p in ("P1", "P2", "P4", "P5") for scope in ("clinical", "specimen")
    ]
    write_delivery(lake, "c90", "consent", "k1", {"event.csv": _consents(*grants, _event("c3", "P3", "grant", "clinical", "2020-01-01"))})


def _withdraw(lake: Path) -> None:
    events = _consents(_event("w1", "P1", "withdraw", "all", "2023-06-01"), _event("w2", "P2", "withdraw", "specimen", "2023-06-01"))
    write_delivery(lake, "c90", "consent", "k2", {"event.csv": events}, sequence=2)


def _withdraw_meanwhile(lake: Path) -> None:
    events = _consents(_event("w4", "P4", "withdraw", "all", "2023-06-02"), _event("w5", "P5", "withdraw", "specimen", "2023-06-02"))
    write_delivery(lake, "c90", "consent", "k3", {"event.csv": events}, sequence=3)


def _come_late(lake: Path) -> None:
    diagnoses = _diagnoses(*((f"D1{n}", f"P{n}") for n in (1, 2, 3, 4, 5)))
    files = {"diagnosis.csv": diagnoses, "lab_result.csv": _results(8.0, 8.1)}
    write_delivery(lake, "h90", "emr_csv", "e2", files, sequence=2)
    write_delivery(lake, "h90", "lims", "b2", {"specimen.csv": SPECIMENS + "S9,P1,Blood,2023-05-31 08:00,10,mL,u02\n"}, sequence=2)


def _consent_again(lake: Path) -> None:
    events = [_event(f"a{scope[0]}{p}", p, "reconsent", scope, "2023-09-01") for p in ("P1", "P4") for scope in ("clinical", "specimen")]
    write_delivery(lake, "c90", "consent", "k4", {"event.csv": _consents(*events)}, sequence=4)


def _raw(lake: Path, table: str) -> list[dict[str, Any]]:
    return list(DeltaTable(str(lake / "tables" / "raw" / table)).to_pyarrow_table().to_pylist())


def _in_tables(lake: Path, delivery: str) -> dict[str, int]:
    """Raw table -> rows of a delivery."""
    logs = sorted((lake / "tables" / "raw").glob("*/*/_delta_log"))
    found = {"/".join(log.parts[-3:-1]): sum(r["_delivery_id"] == delivery for r in _raw(lake, "/".join(log.parts[-3:-1]))) for log in logs}
    return {table: count for table, count in found.items() if count}


def _to_destroy(lake: Path) -> list[tuple[Any, ...]]:
    with open_duckdb() as connection:
        table = f"delta_scan('{lake}/tables/governance/gov_specimen_destruction')"
        return connection.execute(f"select custodian_code, is_destruction_confirmed from {table} order by custodian_code").fetchall()


def _accounts(biodam: Biodam) -> dict[str, tuple[int, ...]]:
    return {f["feed"]: (f["delivered"], f["landed"], sum(f["quarantined"].values()), f["duplicate"]) for f in biodam.status()["feeds"]}


def _said(biodam: Biodam) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(biodam("run", "--json").stdout)
    return said


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Biodam:
    """A lake after P1 withdrew and data came late; P4 and P5 withdraw in the run that brings it."""
    folder = tmp_path_factory.mktemp("late")
    (folder / "sites").mkdir()
    (folder / "sites" / "h90.toml").write_text(SITE, encoding="utf-8")
    (folder / "sites" / "c90.toml").write_text(CONSENT_SITE, encoding="utf-8")
    lake = Biodam(folder / "lake", {"BIODAM_SITES": str(folder / "sites"), "BIODAM_AS_OF": "2024-01-01"})
    _begin(lake.lake)
    _withdraw(lake.lake)
    lake("run")
    _withdraw_meanwhile(lake.lake)
    _come_late(lake.lake)
    lake("run")
    return lake


def test_late_data_is_counted_and_in_no_table_and_a_late_specimen_is_named_for_destruction(late: Biodam) -> None:
    assert _in_tables(late.lake, "e2") == {"emr_csv/diagnosis": 3}, "those of P2 and P5, who withdrew from specimens only, and of P3"
    assert _in_tables(late.lake, "b2") == {"lims/specimen": 1}
    feeds = {f["feed"]: f for f in late.status()["feeds"]}
    assert feeds["emr_csv"]["quarantined"] == {"person_withdrawn": 4}
    assert all(f["conserved"] for f in feeds.values())
    assert _to_destroy(late.lake) == [("h90", False), ("u02", False)]
    assert late.one("select count(*) from person") == 3


@pytest.mark.slow
def test_once_the_person_consents_again_every_table_is_as_if_the_data_had_come_in_time(late: Biodam, tmp_path: Path) -> None:
    """One run takes the word in and lands what was held; a replay by hand before it lands nothing. The other lake has the same vault, so the same person ids."""
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
