"""A hospital that delivers workbooks: one site file, several tables in a file, every row accounted for."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from assets.landing.again import replay
from assets.landing.door import admit
from assets.landing.land import Landing, land
from assets.landing.workspace import Workspace
from tests.conftest import write_delivery
from tests.workbooks import workbook

SITE = """site = "h91"
name = "Workbooks"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
time_zone = "Asia/Seoul"
[feeds.emr_csv.sheets]
"환자" = "patient"
"검사" = "lab_result"
"설명" = "-"
[feeds.emr_csv.tables.patient]
header_rows = [2, 3]
carry_down = ["시도"]
[feeds.emr_csv.columns.patient]
patient_number = "등록번호"
gender = "인적사항_성별"
birth_date = "인적사항_생년월일"
province = "시도"
"""
PATIENTS = [
    ("2026년 3월 추출",),
    ("등록번호", "인적사항", None, "시도"),
    (None, "성별", "생년월일", None),
    ("007", "남", dt.date(1970, 3, 1), "서울"),
    ("008", "여", "1981-12-31", None),
    ("009", "여", "1981-02-30", None),
]
LABS = [
    ("result_number", "patient_number", "lab_code", "measured_at", "result_value"),
    (1, "007", "L1", dt.datetime(2026, 3, 1, 9, 0), 7.5),
    (2, "008", "L1", dt.datetime(2026, 3, 1, 9, 0), "<0.5"),
]
BOOK = {"환자": PATIENTS, "설명": [("이 자료는",), ("추출 기준",)], "검사": LABS, "메모": [("who",), ("Kim Anna",), ("Lee",)]}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "h91.toml").write_text(SITE, encoding="utf-8")
    return Workspace(tmp_path, sites_folder=tmp_path / "sites")


def _land(workspace: Workspace, files: dict[str, bytes | str], **changes: Any) -> Landing:
    key = admit(workspace, write_delivery(workspace.root, "h91", "emr_csv", "d1", files, **changes))
    outcome = land(workspace, key)
    assert outcome.delivered == outcome.landed + outcome.quarantined + outcome.duplicate
    return outcome


def test_each_sheet_lands_in_its_table_and_what_no_rule_names_is_held_back(workspace: Workspace) -> None:
    outcome = _land(workspace, {"추출.xlsx": workbook(BOOK, merged=[])})
    assert outcome.rows == {"patient": 2, "lab_result": 2}
    files = {f["ref"]: (f["counted"], f["landed"], f["quarantined"]) for f in workspace.deliveries.files(outcome.key)}
    assert files == {
        "file-0001.xlsx#1": (3, 2, 1),
        "file-0001.xlsx#2": (0, 0, 0),
        "file-0001.xlsx#3": (2, 2, 0),
        "file-0001.xlsx#4": (2, 0, 2),
    }
    held = {(q["ref"], q["row_number"], q["reason"], q["records"]) for q in workspace.deliveries.quarantined()}
    assert held == {
        ("file-0001.xlsx#1", 3, "invalid_date", 1),
        ("file-0001.xlsx#2", None, "no_data", 0),
        ("file-0001.xlsx#4", None, "unknown_sheet", 2),
    }
    assert "Anna" not in json.dumps(workspace.deliveries.quarantined())


def test_a_workbook_named_as_its_table_needs_no_sheet_rule(workspace: Workspace) -> None:
    outcome = _land(workspace, {"lab_result.xlsx": workbook(LABS)})
    assert (outcome.rows, outcome.landed) == ({"lab_result": 2}, 2)


@pytest.mark.parametrize(("records", "state"), [(6, "refused"), (5, "landed")])
def test_the_senders_count_is_that_of_all_sheets(workspace: Workspace, records: int, state: str) -> None:
    folder = write_delivery(workspace.root, "h91", "emr_csv", "d1", {"a.xlsx": workbook({"환자": PATIENTS, "검사": LABS})})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["records"] = records
    (folder / "manifest.json").write_text(json.dumps(manifest))
    outcome = land(workspace, admit(workspace, folder))
    assert (outcome.state, outcome.reason) == (state, "count_mismatch" if state == "refused" else None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty_file"), (b"PK\3\4 no workbook", "not_xlsx"), (workbook(BOOK)[:-40], "not_xlsx")],
    ids=["empty", "no workbook", "cut off"],
)
def test_a_broken_workbook_costs_itself_only(workspace: Workspace, content: bytes, reason: str) -> None:
    outcome = _land(workspace, {"broken.xlsx": content, "lab_result.xlsx": workbook(LABS)})
    assert [q["reason"] for q in workspace.deliveries.quarantined()] == [reason]
    assert outcome.landed == 2


def test_a_sheet_named_later_lands_by_replay(workspace: Workspace, tmp_path: Path) -> None:
    """Sheets keep their numbers when the site file changes."""
    (tmp_path / "sites" / "h91.toml").write_text(SITE.replace('"검사" = "lab_result"', ""), encoding="utf-8")
    outcome = _land(workspace, {"추출.xlsx": workbook(BOOK)})
    assert outcome.rows == {"patient": 2}
    (tmp_path / "sites" / "h91.toml").write_text(SITE, encoding="utf-8")
    again = Workspace(tmp_path, sites_folder=tmp_path / "sites")
    held = again.deliveries.quarantine_history(outcome.key)
    done = replay(again, outcome.key, [q["id"] for q in held if q["ref"].endswith("#3")])
    assert (done.landed, done.still) == (2, {})
    files = {f["ref"]: (f["counted"], f["landed"], f["quarantined"]) for f in again.deliveries.files(outcome.key)}
    assert files["file-0001.xlsx#3"] == (2, 2, 0)
