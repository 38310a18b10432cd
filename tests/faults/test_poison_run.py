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


def prescribe(biodam: Biodam, sequence: int, dose: float, *, days: int = 30, times: float = 1) -> None:
    """Ten prescriptions, of which the one of P7 is another."""
    rows = [
        f"R{n},P{n},642100010,2021-05-01,{dose if n == 7 else 1},{times if n == 7 else 1},{days if n == 7 else 30},N" for n in range(1, 11)
    ]
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


BEYOND = ("1e300", "1e300", "2147483647")
OMOP_SITE = """site = "h91"
name = "Test OMOP hospital"
kind = "hospital"
legal_basis = "published"
owner = "data-team@biodam.invalid"
[feeds.omop]
time_zone = "Asia/Seoul"
"""


def test_numbers_that_no_calendar_and_no_column_holds_cost_their_value_only(built: Biodam, tmp_path: Path) -> None:
    """One such number failed the table of drugs, and a 30 February that of people: the record stands without it, and is counted."""
    sites = tmp_path / "sites"
    shutil.copytree(built.environment["BIODAM_SITES"], sites)
    (sites / "h91.toml").write_text(OMOP_SITE, encoding="utf-8")
    lake = Biodam(built.lake, {**built.environment, "BIODAM_SITES": str(sites)})
    dose, times, days = BEYOND
    prescribe(lake, 2, float(dose), times=float(times), days=int(days))
    person = "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,race_concept_id,ethnicity_concept_id\n"
    drug = "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_type_concept_id,quantity,days_supply\n"
    procedure = "procedure_occurrence_id,person_id,procedure_concept_id,procedure_date,procedure_type_concept_id,quantity\n"
    write_delivery(
        lake.lake, "h91", "omop", "o1",
        {
            "person.csv": person + "1,8507,1970,2,30,0,0\n2,8532,1970,13,1,0,0\n3,8507,1970,2,28,0,0\n",
            "drug_exposure.csv": drug + "1,3,0,2021-01-01,32817,1e30,2147483647\n2,3,0,2021-01-01,32817,1,-4\n3,3,0,2021-01-01,32817,1,36500\n",
            "procedure_occurrence.csv": procedure + "1,3,0,2021-01-01,32817,9000000000\n2,3,0,2021-01-01,32817,2\n",
        },
    )  # fmt: skip
    lake("run")
    assert lake.status()["set_aside"] == []
    assert lake.one("select count(*) from person") == PEOPLE + 3
    drugs = lake.query(
        "select site, days_supply, quantity, drug_exposure_end_date - drug_exposure_start_date as days from drug_exposure"
        " where days_supply is null or days_supply > 30 order by all"
    )
    assert drugs == [("h90", None, None, 0), ("h91", 36500, 1.0, 36499), ("h91", None, 1.0, 0), ("h91", None, None, 0)]
    assert lake.query("select quantity from procedure_occurrence order by all") == [(2,), (None,)]
    assert lake.query("select month_of_birth, day_of_birth, birth_datetime is null from person where site = 'h91' order by all") == [
        (2, 28, False), (2, 30, True), (13, 1, True),
    ]  # fmt: skip
    assert lake.query("select site, finding, record_count from gov_event_findings order by all") == [
        ("h90", "days_supply_out_of_range", "<5"), ("h90", "quantity_out_of_range", "<5"), ("h91", "birth_date_in_no_calendar", "<5"),
        ("h91", "days_supply_out_of_range", "<5"), ("h91", "quantity_out_of_range", "<5"),
    ]  # fmt: skip
