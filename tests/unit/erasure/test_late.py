"""A sample that comes after its donor was erased: no model may hold it, so the page of erasures says where its holder finds it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from assets.erasure import steps
from assets.erasure.late import destroy_late, late_records, late_samples
from assets.governance.erasures_asset import erasures
from assets.landing.workspace import Workspace
from assets.resources import LakeResource
from tests.conftest import land_all, write_delivery

SITE = """site = "b90"
name = "Test biobank"
kind = "biobank"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.lims]
time_zone = "Asia/Seoul"
"""
DONORS = "donor_id,birth_date,sex\nD-100001,1960-01-01,M\nD-100002,1961-01-01,F\n"
SPECIMENS = "specimen_id,donor_id,sample_type,collected_at,amount_collected,amount_unit\n" + "".join(
    f"S{n},D-10000{n},Blood,2026-01-02 08:00,10,mL\n" for n in (2, 1)
)


def test_a_late_sample_of_an_erased_donor_is_shown_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "b90.toml").write_text(SITE, encoding="utf-8")
    workspace = Workspace(tmp_path / "lake", sites_folder=tmp_path / "sites")
    write_delivery(workspace.root, "b90", "lims", "b1", {"donor.csv": DONORS})
    land_all(workspace)
    donor = workspace.vault.find("b90", "D-100001")
    assert donor is not None
    erasure = steps.begin(workspace, [donor.person_id])
    steps.before_build(workspace, erasure)
    steps.after_build(workspace, erasure, lambda _: None)
    write_delivery(workspace.root, "b90", "lims", "b2", {"specimen.csv": SPECIMENS}, sequence=2)
    land_all(workspace)
    lake = LakeResource(root=str(workspace.root), sites_folder=str(tmp_path / "sites"))

    def shown() -> tuple[int, str]:
        result = dg.materialize([erasures], resources={"lake": lake})
        metadata = result.asset_materializations_for_node("erasures")[0].metadata
        return int(str(metadata["late_sample_records"].value)), str(metadata["late_samples"].value)

    records, page = shown()
    assert records == 1
    assert "| b90 | b90/lims/b2 |" in page and "| 2 | yes |" in page
    destroy_late(workspace, late_records(workspace))
    assert late_records(workspace) == []
    assert [late.records for late in late_samples(workspace)] == [(2,)]
    assert "| 2 | blanked |" in shown()[1], "the order to destroy the sample stands"
    assert "D-100001" not in page
