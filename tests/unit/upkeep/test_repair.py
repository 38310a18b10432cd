"""Repair: whatever is damaged, the rows are afterwards what they were, and a repair that is killed is finished by the next."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from assets.lake.commits import log_folder
from assets.landing.workspace import Workspace
from assets.upkeep import repair as repairing
from assets.upkeep.repair import repair
from assets.upkeep.verify import verify
from tests.conftest import write_delivery
from tests.unit.upkeep.test_replay import DIAGNOSES, PATIENTS, SITE, land_all
from tests.unit.upkeep.test_scrub import cut, empty, remove, zero

Harm = Callable[[Path], None]
MORE = DIAGNOSES.replace("D1,", "D11,").replace("D2,", "D12,").replace("D3,", "D13,").replace("D4,", "D14,")
TABLES = ("raw/emr_csv/patient", "raw/emr_csv/diagnosis", "raw/people/sighting")


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with site files and a lake: three deliveries of patients and diagnoses, one of them with a record that is refused."""
    folder = tmp_path_factory.mktemp("landed")
    (folder / "sites").mkdir()
    (folder / "sites" / "h90.toml").write_text(SITE.format(encoding="cp949", files=""), encoding="utf-8")
    for number, diagnoses in ((1, DIAGNOSES), (2, MORE), (3, DIAGNOSES + "D9,P1,E11.9,2020-02-31,N\r\n")):
        files: dict[str, bytes | str] = {"diagnosis.csv": diagnoses.encode("cp949")}
        if number == 1:
            files["patient.csv"] = PATIENTS.encode("cp949")
        write_delivery(folder / "lake", "h90", "emr_csv", f"e{number}", files, sequence=number)
        workspace = Workspace(folder / "lake", sites_folder=folder / "sites")
        land_all(workspace)
    return folder


@pytest.fixture
def workspace(landed: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(landed, tmp_path, dirs_exist_ok=True)
    return Workspace(tmp_path / "lake", sites_folder=tmp_path / "sites")


def held(workspace: Workspace) -> dict[str, list[str]]:
    """Rows of each table but for when they landed."""
    found = {}
    for table in TABLES:
        rows = DeltaTable(str(workspace.lake.table(table))).to_pyarrow_table().drop_columns(["_landed_at"])
        found[table] = sorted(map(str, rows.select(sorted(rows.column_names)).to_pylist()))
    return found


def check(workspace: Workspace, before: dict[str, list[str]]) -> None:
    assert held(workspace) == before
    assert [f.line for f in verify(workspace, deep=True).findings] == []


HARMS = (zero, empty, cut, remove)
TARGETS = ("newest log", "first log", "newest data", "first data", "people log", "people data")
QUICK = {("newest log", empty), ("first log", remove), ("newest data", zero), ("people data", cut)}


@pytest.mark.scenario("31 power loss")
@pytest.mark.scenario("33 lost data file, log, checkpoint")
@pytest.mark.parametrize(
    ("target", "harm"),
    [pytest.param(t, h, marks=() if (t, h) in QUICK else pytest.mark.slow) for t in TARGETS for h in HARMS],
)
def test_damaged_raw_table_has_its_rows_back(workspace: Workspace, harm: Harm, target: str) -> None:
    before = held(workspace)
    table = "raw/people/sighting" if "people" in target else "raw/emr_csv/diagnosis"
    version = 2 if "newest" in target else 0
    row = workspace.commits.rows(table)[version]
    folder = workspace.lake.table(table)
    harm(log_folder(workspace.lake, table) / f"{version:020d}.json" if "log" in target else folder / row["files"][0]["path"])
    done = repair(workspace)
    assert (done.left, done.rebuild) == ([], True)
    check(workspace, before)
    assert workspace.upkeep.retired(table), "what was taken back is not on record"
    assert workspace.commits.pending().buckets is None, "models would not be built anew"
    assert repair(workspace).done == []


@pytest.mark.scenario("33 lost data file, log, checkpoint")
def test_lake_without_any_table_has_its_rows_back(workspace: Workspace) -> None:
    before = held(workspace)
    shutil.rmtree(workspace.lake.tables)
    done = repair(workspace)
    assert done.rows == {"raw/emr_csv/patient": 4, "raw/emr_csv/diagnosis": 12}
    check(workspace, before)


def test_repair_killed_after_the_roll_back_is_finished_by_the_next(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = held(workspace)
    shutil.rmtree(workspace.lake.tables)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(repairing, "land_lost", die)
        with pytest.raises(KeyboardInterrupt):
            repair(workspace)
    repair(workspace)
    check(workspace, before)


@pytest.mark.scenario("31 power loss")
def test_commit_torn_before_the_ledger_knew_it_is_taken_back(workspace: Workspace) -> None:
    before = held(workspace)
    log_folder(workspace.lake, "raw/emr_csv/diagnosis").joinpath(f"{3:020d}.json").write_bytes(b"")
    done = repair(workspace)
    assert (len(done.done), done.left, done.rebuild) == (1, [], False)
    check(workspace, before)


@pytest.mark.scenario("33 lost data file, log, checkpoint")
def test_lost_landing_bytes_are_said_and_nothing_is_invented(workspace: Workspace) -> None:
    (workspace.lake.landing / "h90" / "emr_csv" / "e2" / "diagnosis.csv").write_bytes(b"")
    shutil.rmtree(workspace.lake.table("raw/emr_csv/diagnosis"))
    done = repair(workspace)
    assert any("restore landing/" in line for line in done.left)
    assert {f.table for f in verify(workspace, deep=True).findings} == {"landing", "raw/emr_csv/diagnosis"}
