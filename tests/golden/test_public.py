"""Golden deliveries of public agencies: registry of deaths, area codes, air and weather, statistics.

Each case below `deliveries/` is a site file, a delivery as an agency lays it out and `expected.json`, counted by eye.
"""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assets.contracts.table import load_contract
from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from tests.conftest import write_delivery

FAMILIES = ("death_registry", "area_code", "air_quality", "public_statistics")
FOLDER = Path(__file__).parent / "deliveries"
CASES = sorted(p.parent for family in FAMILIES for p in (FOLDER / family).glob("*/expected.json"))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_golden_case_lands_as_counted_by_eye(case: Path, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    (tmp_path / "sites").mkdir()
    shutil.copy(case / "site.toml", tmp_path / "sites" / "a90.toml")
    workspace = Workspace(tmp_path / "lake", sites_folder=tmp_path / "sites")
    files = {p.name: p.read_bytes() for p in sorted(case.iterdir()) if p.name not in ("expected.json", "site.toml")}
    outcome = land(workspace, admit(workspace, write_delivery(tmp_path / "lake", "a90", expected["feed"], "d1", files)))
    assert outcome.reason is None, outcome.detail
    found = [[q["ref"], q["row_number"], q["reason"]] for q in workspace.deliveries.quarantined()]
    assert sorted(found, key=str) == sorted(expected["quarantined"], key=str)
    assert outcome.rows == expected["landed"]
    assert outcome.duplicate == expected["duplicate"]
    assert outcome.delivered == outcome.landed + outcome.quarantined + outcome.duplicate
    found = [[q["ref"], q["row_number"], q["reason"]] for q in workspace.deliveries.quarantined()]
    assert sorted(found, key=str) == sorted(expected["quarantined"], key=str)
    for entity in load_contract(case.parent.name).entities:
        path = workspace.lake.table(f"raw/{case.parent.name}/{entity}")
        landed = DeltaTable(str(path)).to_pyarrow_table().to_pylist() if path.exists() else []
        rows = [{k: _plain(v) for k, v in row.items()} for row in landed]
        for row in expected["rows"].get(entity, ()):
            assert any(row.items() <= r.items() for r in rows), (entity, row)
        if entity in expected["people"]:
            assert len({row["person_id"] for row in rows}) == expected["people"][entity]
        held = {str(v) for row in rows for k, v in row.items() if not k.startswith("_")}
        assert not held & set(expected["never"]), entity
