"""Real FHIR files through the door, landing only: each resource type lands whole, and every reference finds its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb

from assets.lake.commits import read_snapshot
from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace

Deliver = Callable[..., Path]

LANDED = {
    "patient": 100, "practitioner": 100, "encounter": 100, "allergy_intolerance": 23, "condition": 177, "diagnostic_report": 500,
    "medication_request": 141, "observation": 3_400,
}  # fmt: skip


def test_a_generated_export_lands_whole_by_resource_type(shared_data: Path, tmp_path: Path, deliver: Deliver) -> None:
    """4,541 resources of 100 people, clean by construction (ANSWERS.md: no dangling reference)."""
    workspace = Workspace(tmp_path)
    source = shared_data / "27_generated_carebundle"
    files = {p.name: p.read_bytes() for p in sorted(source.glob("*.ndjson"))}
    landing = land(workspace, admit(workspace, deliver(tmp_path, "h08", "fhir_r4", "d1", files)))
    assert (landing.delivered, landing.landed, landing.quarantined, landing.duplicate) == (4_541, 4_541, 0, 0)
    assert landing.rows == LANDED
    assert workspace.vault.count() == 100, "a reference that names nobody would have made a person more"
    with duckdb.connect() as connection:
        for name in LANDED:
            listed = [str(p) for p in read_snapshot(workspace.lake, f"raw/fhir/{name}").files]
            connection.execute(f"create view {name} as from read_parquet({listed})")
        dangling = "select count(*) from {} as r where encounter_id is not null and encounter_id not in (select record_id from encounter)"
        for name in ("condition", "medication_request", "observation", "diagnostic_report", "allergy_intolerance"):
            assert connection.execute(dangling.format(name)).fetchall() == [(0,)], name
        pointing = connection.execute("select count(encounter_id) from observation").fetchall()[0][0]
    assert pointing == 3_400


def test_versions_of_one_history_bundle_and_a_later_correction_land_as_versions(tmp_path: Path, deliver: Deliver) -> None:
    """Nothing is thrown away at the door: which version counts is decided by sequence, then by meta.lastUpdated, in macros/rows.sql."""
    workspace = Workspace(tmp_path)
    version = (
        '{"resource":{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"meta":{"lastUpdated":"%s"}},'
        '"request":{"method":"PUT","url":"Condition/c"}}'
    )
    entries = ",".join(version % day for day in ("2024-03-01T00:00:00Z", "2024-01-01T00:00:00Z"))
    history = f'{{"resourceType":"Bundle","type":"history","entry":[{entries}]}}'
    first = land(workspace, admit(workspace, deliver(tmp_path, "h08", "fhir_r4", "d1", {"Bundle.json": history})))
    again = (version % "2024-05-01T00:00:00Z").removeprefix('{"resource":').partition(',"request"')[0]
    second = land(workspace, admit(workspace, deliver(tmp_path, "h08", "fhir_r4", "d2", {"Condition.ndjson": again + "\n"}, sequence=2)))
    assert (first.rows, second.rows) == ({"condition": 2}, {"condition": 1})
    files = [str(p) for p in read_snapshot(workspace.lake, "raw/fhir/condition").files]
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select _sequence, (version_at at time zone 'UTC')::date::varchar, count(distinct record_id) over () from read_parquet({files}) order by 1, 2"
        ).fetchall()
    assert rows == [(1, "2024-01-01", 1), (1, "2024-03-01", 1), (2, "2024-05-01", 1)]
