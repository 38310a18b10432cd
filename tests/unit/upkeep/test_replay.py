"""Quarantine replay: what a mended rule accepts lands exactly once, the rest stays, and every record stays accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from assets.governance.accounts import add_up
from assets.landing import door
from assets.landing.again import CannotReplay, Replayed, replay
from assets.landing.workspace import Workspace
from assets.ledger.deliveries import Deliveries, DeliveryKey
from tests.conftest import land_all, write_delivery

SITE = """site = "h90"
name = "Test hospital"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
encoding = "{encoding}"
time_zone = "Asia/Seoul"
[feeds.emr_csv.files]
{files}
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
"""
KEY = DeliveryKey("h90", "emr_csv", "e1")
PATIENTS = "등록번호,주민번호,생년월일,성별,삭제\r\n" + "".join(f"P{n},700101-1{n:05d}1,19700101,남,N\r\n" for n in range(1, 5))
DIAGNOSES = "진단번호,등록번호,상병코드,진단일,삭제\r\n" + "".join(f"D{n},P{n},E11.9,2020-03-0{n},N\r\n" for n in range(1, 5))
BROKEN_DATE = "D9,P1,E11.9,2020-02-31,N\r\n"
Hospital = Callable[..., Workspace]


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    """The lake, opened with a site file that says `encoding` and `files`."""
    sites = tmp_path / "sites"
    sites.mkdir()

    def opened(encoding: str = "cp949", files: str = "") -> Workspace:
        (sites / "h90.toml").write_text(SITE.format(encoding=encoding, files=files), encoding="utf-8")
        return Workspace(tmp_path / "lake", sites_folder=sites)

    return opened


def rows(workspace: Workspace, entity: str) -> list[dict[str, object]]:
    folder = workspace.lake.table(f"raw/emr_csv/{entity}")
    return DeltaTable(str(folder)).to_pyarrow_table().to_pylist() if folder.exists() else []


def counts(workspace: Workspace) -> tuple[int, int, int, int]:
    from datetime import date

    row = workspace.deliveries.get(KEY) or {}
    assert add_up(workspace, day=date(2026, 1, 1)).conserved, "a record is unaccounted for"
    return row["delivered"], row["landed"], row["quarantined"], row["duplicate"]


def replay_all(workspace: Workspace) -> Replayed:
    return replay(workspace, KEY, {e["id"] for e in workspace.deliveries.quarantined()})


def test_file_in_another_encoding_lands_once_the_site_file_says_so(hospital: Hospital, tmp_path: Path) -> None:
    write_delivery(tmp_path / "lake", *KEY.__dict__.values(), {"patient.csv": PATIENTS.encode("utf-8")})
    before = hospital("cp949")
    land_all(before)
    held = counts(before)[2]
    assert held > 0
    after = hospital("utf-8")
    done = replay_all(after)
    assert (done.landed, counts(after)) == (held, (4, 4, 0, 0))
    assert len({r["record_id"] for r in rows(after, "patient")}) == 4
    assert all(e["replay"] == 1 for e in after.deliveries.quarantine_history(KEY))
    assert after.commits.pending().causes[-1] == f"replay {KEY}~replay1"
    assert replay_all(after).landed == 0, "a second replay landed something again"
    assert len(rows(after, "patient")) == 4


def test_file_of_unknown_name_lands_once_it_is_mapped_and_its_bad_record_stays(hospital: Hospital, tmp_path: Path) -> None:
    files = {"patient.csv": PATIENTS.encode("cp949"), "jindan.csv": (DIAGNOSES + BROKEN_DATE).encode("cp949")}
    write_delivery(tmp_path / "lake", *KEY.__dict__.values(), files)
    before = hospital()
    land_all(before)
    assert counts(before) == (9, 4, 5, 0)
    assert [e["reason"] for e in before.deliveries.quarantined()] == ["unknown_file"]
    after = hospital(files='jindan = "diagnosis"')
    done = replay_all(after)
    assert (done.asked, done.landed, dict(done.still)) == (5, 4, {"invalid_date": 1})
    assert counts(after) == (9, 8, 1, 0)
    assert [(e["reason"], e["row_number"]) for e in after.deliveries.quarantined()] == [("invalid_date", 5)]
    assert {r["person_id"] for r in rows(after, "diagnosis")} == {r["person_id"] for r in rows(after, "patient")}


def test_what_is_still_refused_stays_as_it_was(hospital: Hospital, tmp_path: Path) -> None:
    write_delivery(tmp_path / "lake", *KEY.__dict__.values(), {"diagnosis.csv": (DIAGNOSES + BROKEN_DATE).encode("cp949")})
    workspace = hospital()
    land_all(workspace)
    version = workspace.commits.latest_versions()
    done = replay_all(workspace)
    assert (done.landed, dict(done.still), counts(workspace)) == (0, {"invalid_date": 1}, (5, 4, 1, 0))
    assert workspace.commits.latest_versions() == version, "a replay of nothing wrote a commit"


def test_replay_killed_between_table_and_ledger_lands_once(hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_delivery(tmp_path / "lake", *KEY.__dict__.values(), {"patient.csv": PATIENTS.encode("utf-8")})
    land_all(hospital("cp949"))
    after = hospital("utf-8")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Deliveries, "close_replayed", die)
        with pytest.raises(KeyboardInterrupt):
            replay_all(after)
    assert len(rows(after, "patient")) == 4
    assert replay_all(after).landed == counts(after)[1] == 4
    assert len(rows(after, "patient")) == 4


def test_record_that_repeats_a_landed_one_is_a_duplicate(hospital: Hospital, tmp_path: Path) -> None:
    again = PATIENTS.splitlines(keepends=True)[0] + PATIENTS.splitlines(keepends=True)[1]
    files = {"a.csv": again.encode("cp949"), "patient.csv": PATIENTS.encode("cp949")}
    write_delivery(tmp_path / "lake", *KEY.__dict__.values(), files)
    land_all(hospital())
    after = hospital(files='a = "patient"')
    done = replay_all(after)
    assert (done.landed, done.duplicate, counts(after)) == (0, 1, (5, 4, 0, 1))
    assert len(rows(after, "patient")) == 4


def test_altered_bytes_are_not_replayed(hospital: Hospital, tmp_path: Path) -> None:
    write_delivery(tmp_path / "lake", *KEY.__dict__.values(), {"patient.csv": PATIENTS.encode("utf-8")})
    land_all(hospital("cp949"))
    after = hospital("utf-8")
    path = door.stored_folder(after, KEY) / "patient.csv"
    path.write_bytes(path.read_bytes().replace(b"19700101", b"19700102", 1))
    with pytest.raises(CannotReplay, match="not what was accepted"):
        replay_all(after)
