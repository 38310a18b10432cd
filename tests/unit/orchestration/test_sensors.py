"""What the sensors ask for. Nothing is built: deliveries are folders, builds are rows of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from assets.landing.workspace import Workspace
from assets.resources import LakeResource
from orchestration.jobs import everything
from orchestration.sensors import aged_consent, closed_deliveries
from tests.conftest import consent_site, write_delivery

HOSPITAL = (
    'site = "h90"\nname = "Test"\nkind = "hospital"\nlegal_basis = "consented"\nowner = "data-team@biodam.invalid"\n[feeds.fhir_r4]\n'
)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["c90", "h90"]))
def raw() -> None:
    """Stands for the tables of the sites."""


DEFINITIONS = dg.Definitions(assets=[raw], jobs=[everything])


def _tick(sensor: dg.SensorDefinition, root: Path, *, day: str = "2024-01-01", cursor: str | None = None) -> Any:
    lake = LakeResource(root=str(root), sites_folder=str(root / "sites"), as_of=day)
    with dg.build_sensor_context(cursor=cursor, definitions=DEFINITIONS, resources={"lake": lake}) as context:
        return sensor.evaluate_tick(context)


def _sites(root: Path) -> None:
    (root / "sites").mkdir(parents=True)
    (root / "sites" / "h90.toml").write_text(HOSPITAL, encoding="utf-8")
    (root / "sites" / "c90.toml").write_text(consent_site("c90"), encoding="utf-8")


def test_consent_events_get_a_run_of_their_own_that_goes_first(tmp_path: Path) -> None:
    _sites(tmp_path)
    for name in ("d1", "d2"):
        write_delivery(tmp_path, "h90", "fhir_r4", name, {"Patient.ndjson": "{}\n"})
    write_delivery(tmp_path, "c90", "consent", "k1", {"event.csv": "event_id\n"})
    asked = _tick(closed_deliveries, tmp_path)
    assert [(r.partition_key, r.tags["biodam/deliveries"], r.tags.get("dagster/priority")) for r in asked.run_requests] == [
        ("c90", "1", "10"), ("h90", "2", None),
    ]  # fmt: skip
    assert _tick(closed_deliveries, tmp_path, cursor=asked.cursor).run_requests == []
    assert closed_deliveries.minimum_interval_seconds <= 10


def _build(root: Path, as_of: str, next_change: str | None) -> None:
    """A finished build."""
    commits = Workspace(root).commits
    run_id = f"b{commits.build_count() + 1}"
    commits.start_build(run_id, as_of=as_of, full=True, buckets=None, version="1")
    commits.finish_build(run_id, commits.pending(), next_consent_change=next_change)
    catalogue = Workspace(root).lake.catalogue
    catalogue.parent.mkdir(exist_ok=True)
    catalogue.touch()


def _keys(root: Path, day: str) -> list[str | None]:
    return [r.run_key for r in _tick(aged_consent, root, day=day).run_requests]


def test_consent_that_begins_or_ends_today_asks_for_one_run(tmp_path: Path) -> None:
    _sites(tmp_path)
    assert _keys(tmp_path, "2024-01-01") == [], "nothing was built yet"
    _build(tmp_path, "2024-01-01", "2024-01-05")
    assert _keys(tmp_path, "2024-01-04") == []
    [key] = _keys(tmp_path, "2024-01-05")
    assert _keys(tmp_path, "2024-01-05") == [key], "Dagster starts one run for a key"
    assert _keys(tmp_path, "2024-01-06") != [key], "a run that failed is asked for again the next day"
    _build(tmp_path, "2024-01-05", "2024-02-01")
    assert _keys(tmp_path, "2024-01-05") == []
    assert len(_keys(tmp_path, "2024-03-01")) == 1, "the daemon was off for a month"
    _build(tmp_path, "2024-03-01", None)
    assert _keys(tmp_path, "2030-01-01") == [], "nobody's consent ends"
