"""What Dagster is told of linkage: a comparison that fails is seen, and holds nobody's records up."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.governance.linkage_asset import linkage_asset
from assets.privacy.linkage import LinkageFailed
from assets.privacy.vault import open_vault
from assets.resources import LakeResource


def _run(root: Path) -> tuple[bool, dict[str, bool]]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([linkage_asset([])], resources={"lake": LakeResource(root=str(root))}, instance=instance)
    return result.success, {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_failed_comparison_fails_its_check_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_vault(tmp_path / "vault" / "vault.db", tmp_path / "vault" / "key")
    assert _run(tmp_path) == (True, {"review_queue_is_answered": True, "people_were_compared": True})

    def fail(*_: object) -> None:
        raise LinkageFailed("people could not be compared")

    monkeypatch.setattr("assets.governance.linkage_asset.link_people", fail)
    assert _run(tmp_path) == (True, {"review_queue_is_answered": True, "people_were_compared": False})
