"""How erasures stand is judged from receipts and files: an open one, a changed receipt, a file that came back."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg

from assets.erasure.standing import standings
from assets.governance.erasures_asset import ERASURES, erasures, metadata_of
from assets.landing.workspace import Workspace
from assets.privacy import erased
from assets.resources import LakeResource
from tests.faults.erasing import erase, person


def test_every_way_not_to_hold_is_said_and_shown_in_dagster(lake: Path) -> None:
    (facts,) = erase(lake, 1)
    workspace = Workspace(lake)
    (whole,) = standings(workspace)
    assert (whole.people, whole.rows, whole.files, whole.problem) == (1, 6, 3, "")
    result = dg.materialize([erasures], resources={"lake": LakeResource(root=str(lake))})
    assert [e.passed for e in result.get_asset_check_evaluations()] == [True]
    assert result.asset_materializations_for_node("erasures")[0].asset_key == ERASURES

    table, paths = next(iter(facts["files_removed"].items()))
    back = lake / "tables" / table / paths[0]
    back.write_bytes(b"restored from a backup")
    assert "are there again" in standings(workspace)[0].problem
    result = dg.materialize([erasures], resources={"lake": LakeResource(root=str(lake))})
    assert [e.passed for e in result.get_asset_check_evaluations()] == [False]
    back.unlink()

    path = lake / "control" / "receipts" / f"{facts['erasure_id']}.json"
    kept = path.read_bytes()
    path.write_text(json.dumps(json.loads(kept)))
    assert "the ledger knows another receipt" in standings(workspace)[0].problem
    path.write_bytes(kept.replace(b'"person_ids": 1', b'"person_ids": 2'))
    assert "was changed after it was signed" in standings(workspace)[0].problem
    path.unlink()
    assert "Remedy: restore" in standings(workspace)[0].problem
    path.write_bytes(kept)

    erased.begin(workspace.vault, "open", [person(lake, 2)])
    workspace.erasures.begin("open", ["x"], step="refused")
    assert [s.problem for s in standings(workspace)] == ["", "is not finished. Remedy: `biodam erase --resume`"]
    assert metadata_of(standings(workspace))["open"] == 1
