"""Scenario 17: a sender changes its columns. What is added lands and is recorded; what breaks the contract is held, with the reason."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.governance.accounts import add_up
from assets.landing.door import admit
from assets.landing.land import Landing, land
from assets.landing.workspace import Workspace
from tests.conftest import write_delivery

pytestmark = pytest.mark.scenario("17 schema drift in 12 variants")

BEFORE = "Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\na,1970-01-01,,M,white,nonhispanic,MA\nb,1971-01-01,,F,white,nonhispanic,MA\n"


def send(workspace: Workspace, number: int, files: dict[str, bytes | str], site: str = "h03", feed: str = "synthea_csv") -> Landing:
    done = land(workspace, admit(workspace, write_delivery(workspace.root, site, feed, f"d{number}", files, sequence=number)))
    assert done.delivered == done.landed + done.quarantined + done.duplicate
    return done


def recorded(workspace: Workspace) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(c.delivery_id, c.added, c.gone) for c in workspace.headers.changes()]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A hospital that delivered two patients with seven columns."""
    workspace = Workspace(tmp_path)
    send(workspace, 1, {"patients.csv": BEFORE})
    return workspace


ROW = "c,1972-01-01,,M,white,nonhispanic,MA"
ADDITIVE: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # variant: file, columns that are new, columns that are gone
    "a column at the end": (f"Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE,INSURER\n{ROW},x\n", ("INSURER",), ()),
    "a column in front": (f"ROWNUM,Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n1,{ROW}\n", ("ROWNUM",), ()),
    "columns in another order": ("STATE,GENDER,Id,BIRTHDATE,ETHNICITY,DEATHDATE,RACE\nMA,M,c,1972-01-01,nonhispanic,,white\n", (), ()),
    "headers in other letters": (f"ID,birthdate,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n{ROW}\n", ("ID", "birthdate"), ("BIRTHDATE", "Id")),
    "an unread column twice": (f"Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE,X,X\n{ROW},1,2\n", ("X",), ()),
    "an optional column dropped": ("Id,BIRTHDATE,GENDER,RACE,ETHNICITY,STATE\nc,1972-01-01,M,white,nonhispanic,MA\n", (), ("DEATHDATE",)),
    "a column renamed that may be absent": (f"Id,BIRTHDATE,DIED,GENDER,RACE,ETHNICITY,STATE\n{ROW}\n", ("DIED",), ("DEATHDATE",)),
}  # fmt: skip


@pytest.mark.parametrize("variant", ADDITIVE)
def test_additive_drift_lands_and_is_recorded(workspace: Workspace, variant: str) -> None:
    text, added, gone = ADDITIVE[variant]
    done = send(workspace, 2, {"patients.csv": text})
    assert (done.landed, done.quarantined) == (1, 0)
    assert recorded(workspace) == ([("d2", added, gone)] if added or gone else [])


BREAKING: dict[str, tuple[bytes, str]] = {
    # variant: file of one row, reason
    "a needed column dropped": (b"BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n1972-01-01,,M,white,nonhispanic,MA\n", "header_mismatch"),
    "a needed column renamed": (f"PATIENT_NO,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n{ROW}\n".encode(), "header_mismatch"),
    "a needed column twice": (f"Id,Id,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n{ROW}\n".encode(), "header_mismatch"),
    "another delimiter": (f"Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n{ROW}\n".replace(",", ";").encode(), "header_mismatch"),
    "no header any more": (f"{ROW}\n{ROW}\n".encode(), "header_mismatch"),
    "a date in another form": (b"Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\nc,01.02.1972,,M,white,nonhispanic,MA\n", "invalid_date"),
    "a column shorter than its header": (b"Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\nc,1972-01-01,,M,white\n", "ragged_row"),
    "UTF-16 where UTF-8 was agreed": (BEFORE.encode("utf-16"), "header_mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("variant", BREAKING)
def test_breaking_drift_is_held_with_a_reason_and_the_other_file_lands(workspace: Workspace, variant: str) -> None:
    content, reason = BREAKING[variant]
    other = "Id,START,STOP,PATIENT,ENCOUNTERCLASS,CODE,DESCRIPTION\ne1,2020-01-01T00:00:00Z,2020-01-01T01:00:00Z,a,ambulatory,1,x\n"
    done = send(workspace, 2, {"patients.csv": content, "encounters.csv": other})
    assert {q["reason"] for q in workspace.deliveries.quarantined()} == {reason}
    assert done.landed == 1, "the other file of the delivery did not land"
    assert done.rows.get("patients", 0) == 0 and done.rows["encounters"] == 1
    assert not [c for c in workspace.headers.changes() if reason == "header_mismatch"], "a header that was refused is no new normal"


def test_parquet_that_changes_a_type_is_held_row_by_row_or_read_without_loss(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    def persons(ids: list[Any], **more: list[Any]) -> bytes:
        out = io.BytesIO()
        n = len(ids)
        pq.write_table(pa.table({"person_id": ids, "year_of_birth": [1970] * n, "gender_concept_id": [8507] * n, **more}), out)
        return out.getvalue()

    send(workspace, 1, {"person.parquet": persons([1, 2])}, "h04", "omop")
    as_text = send(workspace, 2, {"person.parquet": persons(["3", "4"], extra=[1, 2])}, "h04", "omop")
    years = persons([5, 6]).replace(b"x", b"x")
    assert as_text.landed == 2, "text that holds the same numbers is read without loss"
    assert recorded(workspace) == [("d2", ("extra",), ())]
    assert send(workspace, 3, {"person.parquet": years}, "h04", "omop").landed == 2
    assert recorded(workspace)[-1] == ("d3", (), ("extra",))


def test_drift_is_in_the_accounts_and_does_not_hang_on_the_order_of_arrival(workspace: Workspace) -> None:
    wide = f"Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE,INSURER\n{ROW},x\n"
    send(workspace, 4, {"patients.csv": wide.replace("c,", "d,")})
    assert recorded(workspace) == [("d4", ("INSURER",), ())]
    send(workspace, 3, {"patients.csv": wide})
    assert recorded(workspace) == [("d3", ("INSURER",), ())], "the delivery that came late is the first with the column"
    from datetime import date

    (change,) = add_up(workspace, day=date(2026, 1, 1)).drift
    assert change.said == "patients: new: INSURER"


def test_a_column_name_that_may_be_a_value_is_not_told(workspace: Workspace) -> None:
    row = f"Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE,880101-1234567,kim@x.kr\n{ROW},1,2\n"
    send(workspace, 2, {"patients.csv": row})
    (change,) = workspace.headers.changes()
    assert len(change.added) == 2
    assert all(name.startswith("(column ") for name in change.added), change.added


def _patient(**more: object) -> str:
    return json.dumps({"resourceType": "Patient", "id": "a", "gender": "male", "birthDate": "1970-01-01", **more}) + "\n"


def test_an_element_of_a_resource_that_no_rule_reads_lands_around_and_is_told_once(tmp_path: Path) -> None:
    """Elements may be absent from any delivery: only one that never came before is told, and none that a rule reads."""
    workspace = Workspace(tmp_path)
    for number, text in enumerate((
        _patient(),
        _patient(bloodType="A", deceasedBoolean=False),
        _patient(),
        " " + _patient(bloodType="B", **{"880101-1234567": 1, "kinship": {}}),  # a blank: read line by line
    ), start=1):  # fmt: skip
        assert send(workspace, number, {"Patient.ndjson": text}, "h01", "fhir_r4").landed == 1
    changes = workspace.headers.changes()
    assert [(c.delivery_id, c.gone) for c in changes] == [("d2", ()), ("d4", ())]
    assert changes[0].said == "elements of Patient: new: bloodType"
    strange, kinship = changes[1].added
    assert kinship == "kinship" and strange == "(no name of FHIR)", "no name, and no hash of one: numbers can be tried"


def test_a_delivery_landed_again_keeps_one_header(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the last table and the ledger: the header is noted once."""
    real: Callable[..., None] = workspace.deliveries.close_landed

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workspace.deliveries, "close_landed", die)
    key = admit(
        workspace, write_delivery(workspace.root, "h03", "synthea_csv", "d2", {"patients.csv": BEFORE.replace("STATE", "X")}, sequence=2)
    )
    with pytest.raises(KeyboardInterrupt):
        land(workspace, key)
    monkeypatch.setattr(workspace.deliveries, "close_landed", real)
    land(workspace, key)
    assert recorded(workspace) == [("d2", ("X",), ("STATE",))]
