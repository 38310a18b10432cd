"""The scheduled jobs of upkeep: they load, they run on a lake, and a damaged byte fails the scrub with the file's name."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.alerts import read_alerts
from assets.landing.workspace import Workspace
from orchestration.build import build_defs
from orchestration.settings import Settings
from tests.unit.upkeep.test_scrub import flip, put


@pytest.fixture
def definitions(tmp_path: Path) -> dg.Definitions:
    workspace = Workspace(tmp_path / "lake")
    for number in range(9):
        put(workspace, number)
    return build_defs(settings=Settings(tmp_path / "lake", tmp_path / "dagster"))


def test_upkeep_is_no_part_of_an_ordinary_run(definitions: dg.Definitions) -> None:
    keys = definitions.resolve_job_def("biodam").asset_layer.executable_asset_keys
    assert not [k for k in keys if k.path[0] == "upkeep"]
    assert {s.name for s in definitions.schedules or ()} == {"nightly", "nightly_upkeep", "weekly_scrub", "monthly_linkage_exam"}


def test_nightly_upkeep_merges_and_the_scrub_finds_all_whole(definitions: dg.Definitions, tmp_path: Path) -> None:
    assert definitions.resolve_job_def("upkeep").execute_in_process().success
    rows = Workspace(tmp_path / "lake").commits.rows("raw/test/thing")
    assert rows[-1]["cause"] == "compaction"


def test_scrub_names_the_damaged_file_fails_and_alerts(definitions: dg.Definitions, tmp_path: Path) -> None:
    path = next((tmp_path / "lake" / "tables").rglob("site=h01/*.parquet"))
    flip(path, 777)
    result = definitions.resolve_job_def("scrub").execute_in_process(raise_on_error=False)
    assert not result.success
    (alert,) = read_alerts(tmp_path / "lake")
    assert path.name in alert.message
