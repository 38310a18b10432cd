"""What Dagster is told of linkage: a comparison that fails is seen, and holds nobody's records up."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.governance.linkage_asset import linkage_asset
from assets.privacy.demographics import Demographics
from assets.privacy.linkage import LinkageFailed
from assets.privacy.vault import Identifier, open_vault
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


def test_a_site_file_that_forbids_likeness_is_carried_out_and_told(tmp_path: Path) -> None:
    sites = tmp_path / "sites"
    sites.mkdir()
    head = 'name = "Example"\nkind = "hospital"\nlegal_basis = "consented"\nowner = "data-team@biodam.invalid"\n[feeds.fhir_r4]\n'
    (sites / "h1.toml").write_text(f'site = "h1"\n{head}', encoding="utf-8")
    (sites / "h2.toml").write_text(f'site = "h2"\n{head}[identity]\nlink_by_likeness = false\n', encoding="utf-8")
    vault = open_vault(tmp_path / "vault" / "vault.db", tmp_path / "vault" / "key")
    kim = Demographics("김민준", "", "19800102", "M", "01034567890", "서울중구", "세종대로12301호")
    for site in ("h1", "h2"):
        found = vault.resolve(site=site, delivery=f"{site}/1", groups=[(Identifier("local", site, "1"),)], locals_=())
        vault.keep_demographics(site, 1, {found.homes["1"].person_id: kim})
    lake = LakeResource(root=str(tmp_path), sites_folder=str(sites))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([linkage_asset([])], resources={"lake": lake}, instance=instance)
    told = result.asset_materializations_for_node("linkage")[0].metadata
    names = ("descriptions", "pairs_compared", "people_merged", "pairs_queued", "descriptions_left_out", "sites_left_out")
    assert [told[name].value for name in names] == [1, 0, 0, 0, 1, "h2"]
