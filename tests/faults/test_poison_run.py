"""Scenario 18, end to end: a record on which a model of the real project fails. Its person is set aside, the rest is published in the same run."""

from __future__ import annotations

import pytest

from assets.alerts import read_alerts
from assets.landing.workspace import Workspace
from tests.conftest import Biodam, write_delivery
from tests.faults.conftest import PEOPLE, deliver_hospital

pytestmark = [pytest.mark.slow, pytest.mark.scenario("18 poison record in a transform, bisected")]
HEADER = "prescription_number,patient_number,drug_code,prescribed_date,dose,doses_per_day,days_supply,is_deleted"
FOREVER = 2_147_483_647
"""Days; the drug would end on a day that no calendar has."""


def prescribe(biodam: Biodam, sequence: int, days: int) -> None:
    rows = [f"R{n},P{n},642100010,2021-05-01,1,1,{days if n == 7 else 30},N" for n in range(1, 11)]
    write_delivery(biodam.lake, "h90", "emr_csv", f"e{sequence}", {"prescription.csv": "\r\n".join([HEADER, *rows, ""])}, sequence=sequence)


def test_record_on_which_a_model_fails_costs_its_person_only_and_is_tried_again(built: Biodam) -> None:
    deliver_hospital(built.lake, sequence=2, hba1c=6.4)
    prescribe(built, 3, FOREVER)
    said = built("run").stdout
    assert "people set aside" in said
    assert built.one("select count(*) from person") == PEOPLE - 1
    assert built.one("select count(*) from drug_exposure") == 9
    assert built.one("select count(*) from measurement") == 2 * 8 - 2, "all of the person is left out, and of nobody else"
    (held,) = built.status()["set_aside"]
    assert held["model"] == "drug_exposure"
    assert [p for p in held["places"] if "prescription" in p] == ["emr_csv/prescription h90 e3: 1"]
    assert str(FOREVER) not in str(held)
    (alert,) = [a for a in read_alerts(built.lake) if a.kind == "person_set_aside"]
    assert "Remedy" in alert.message
    (person,) = Workspace(built.lake).set_aside.all()
    assert str(person.person_id) not in alert.message + str(held), "who it is, is nobody's business"
    built("verify")
    assert built.status()["conserved"]
    assert built("run").stdout.startswith("Nothing to do"), "nothing changed for the person: no build is tried"

    prescribe(built, 4, 30)
    built("run")
    assert built.status()["set_aside"] == []
    assert built.one("select count(*) from person") == PEOPLE
    assert built.one("select count(*) from drug_exposure") == 10
    assert built.one("select count(*) from measurement") == 16
    incremental = built.fingerprints()
    built("run", "--full")
    assert built.fingerprints() == incremental
