"""Scenario 18, end to end: a record on which a model fails. Its person is set aside, the rest is published in the same run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assets.alerts import read_alerts
from assets.landing.workspace import Workspace
from tests.conftest import REPOSITORY, Biodam, write_delivery
from tests.faults.conftest import PEOPLE, deliver_hospital

pytestmark = [pytest.mark.slow, pytest.mark.scenario("18 poison record in a transform, bisected")]
HEADER = "prescription_number,patient_number,drug_code,prescribed_date,dose,doses_per_day,days_supply,is_deleted"
MANY = 40_001
"""Doses; no SMALLINT holds the quantity."""


def prescribe(biodam: Biodam, sequence: int, dose: float) -> None:
    """Ten prescriptions, of which the one of P7 is another."""
    rows = [f"R{n},P{n},642100010,2021-05-01,{dose if n == 7 else 1},1,30,N" for n in range(1, 11)]
    write_delivery(biodam.lake, "h90", "emr_csv", f"e{sequence}", {"prescription.csv": "\r\n".join([HEADER, *rows, ""])}, sequence=sequence)


class Checkout:
    """A copy of Biodam in which somebody cast a column too narrowly: good for every record so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("assets", "orchestration", "dbt_project"):
            shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("target", "logs"))
        model = folder / "dbt_project/models/omop/drug_exposure.sql"
        text = model.read_text(encoding="utf-8")
        assert text.count("    quantity,\n") == 1
        model.write_text(text.replace("    quantity,\n", "    cast(cast(quantity as smallint) as double) as quantity,\n"), encoding="utf-8")

    def run(self, biodam: Biodam) -> str:
        environment = {**biodam.variables, "PYTHONPATH": str(self.folder)}
        command = [sys.executable, "-m", "orchestration.cli", "run"]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


@pytest.fixture
def narrow(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_record_on_which_a_model_fails_costs_its_person_only_and_is_tried_again(built: Biodam, narrow: Checkout) -> None:
    deliver_hospital(built.lake, sequence=2, hba1c=6.4)
    prescribe(built, 3, MANY)
    assert "people set aside" in narrow.run(built)
    assert built.one("select count(*) from person") == PEOPLE - 1
    assert built.one("select count(*) from drug_exposure") == 9
    assert built.one("select count(*) from measurement") == 2 * 8 - 2, "all of the person is left out, and of nobody else"
    (held,) = built.status()["set_aside"]
    assert held["model"] == "drug_exposure"
    assert [p for p in held["places"] if "prescription" in p] == ["emr_csv/prescription h90 e3: 1"]
    assert str(MANY) not in str(held)
    (alert,) = [a for a in read_alerts(built.lake) if a.kind == "person_set_aside"]
    assert "Remedy" in alert.message
    (person,) = Workspace(built.lake).set_aside.all()
    assert str(person.person_id) not in alert.message + str(held), "who it is, is nobody's business"
    built("verify")
    assert built.status()["conserved"]
    assert narrow.run(built).startswith("Nothing to do"), "nothing changed for the person: no build is tried"

    prescribe(built, 4, 1)
    narrow.run(built)
    assert built.status()["set_aside"] == []
    assert built.one("select count(*) from person") == PEOPLE
    assert built.one("select count(*) from drug_exposure") == 10
    assert built.one("select count(*) from measurement") == 16
    incremental = built.fingerprints()
    built("run")  # the model as it ought to be: everything is built anew
    assert built.fingerprints() == incremental
