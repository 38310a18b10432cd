"""`biodam run` with the real dbt on a lake one can check by eye, shared by the tests of this file."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.conftest import REPOSITORY, Biodam, write_delivery
from tests.integration.conftest import FILES, Small

pytestmark = pytest.mark.shares("small lake")


@pytest.fixture(scope="module")
def built(small: Small) -> tuple[Biodam, dict[str, Any]]:
    """A lake after its first run, and what that run said."""
    return small.biodam, small.said


Built = tuple[Biodam, dict[str, Any]]


def test_run_says_what_it_did(built: Built) -> None:
    biodam, said = built
    assert said["deliveries"] == {"landed": 1, "refused": 1}
    assert (said["delivered"], said["landed"], said["quarantined"], said["duplicate"]) == (15, 14, {"invalid_date": 1}, 0)
    assert said["refused"][0]["delivery"] == "h66/fhir_r4/d1"
    assert (said["built"], said["full"], said["problems"]) == (True, True, [])
    assert said["models"] > 40
    assert Path(said["catalogue"]).exists()
    assert biodam.one("select count(*) from person") == 7


def test_status_accounts_for_every_record(built: Built) -> None:
    biodam, _ = built
    status = biodam.status()
    feed = next(f for f in status["feeds"] if f["site"] == "h90")
    assert (feed["delivered"], feed["landed"], feed["quarantined"], feed["duplicate"], feed["conserved"]) == (
        15,
        14,
        {"invalid_date": 1},
        0,
        True,
    )
    assert [(r["site"], r["reason"]) for r in status["refused"]] == [("h66", "unknown_site")]
    text = biodam("status").stdout
    assert "Known sites: h90" in text
    assert "invalid_date" in text


def test_lost_record_makes_status_fail(built: Built, tmp_path: Path) -> None:
    biodam, _ = built
    copy = tmp_path / "lake"
    shutil.copytree(biodam.lake / "control", copy / "control")
    with sqlite3.connect(copy / "control" / "control.db") as connection:
        connection.execute("update delivery set landed = landed - 1 where site = 'h90'")
    done = Biodam(copy, biodam.environment)("status", check=False)
    assert done.returncode == 1
    assert "NOT CONSERVED: h90/fhir_r4" in done.stdout


def test_quarantine_names_file_record_and_rule_but_no_value(built: Built) -> None:
    biodam, _ = built
    (entry,) = json.loads(biodam("quarantine", "list", "--json").stdout)
    assert (entry["ref"], entry["row_number"], entry["reason"]) == ("Condition.ndjson", 8, "invalid_date")
    shown = biodam("quarantine", "show", str(entry["id"])).stdout
    assert "Condition.ndjson, record 8" in shown
    assert "what to do" in shown
    assert "2020-13-01" not in shown


def test_sql_reads_in_three_forms_and_writes_nothing(built: Built) -> None:
    biodam, _ = built
    query = "select year_of_birth, count(*) as people from person group by 1"
    assert json.loads(biodam("sql", query, "--format", "json").stdout) == [{"year_of_birth": 1960, "people": 7}]
    assert biodam("sql", query, "--format", "csv").stdout == "year_of_birth,people\n1960,7\n"
    assert "(1 row)" in biodam("sql", query).stdout
    refused = biodam("sql", "drop view person", check=False)
    assert refused.returncode == 1
    assert "read-only" in refused.stderr
    typed = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "sql", "--format", "csv"], input="select 1\nas a;\nnonsense;\nselect 2 as b;\n",
        capture_output=True, text=True, cwd=REPOSITORY, env=biodam.variables, check=True,
    )  # fmt: skip
    assert typed.stdout == "a\n1\nb\n2\n"
    assert len(typed.stderr.splitlines()) == 1


def test_second_run_does_nothing_and_a_repeated_delivery_almost_nothing(built: Built, tmp_path: Path) -> None:
    """The short way for repeated deliveries leaves the very rows that the door would leave."""
    biodam, _ = built
    copies = {}
    for way in ("short", "door"):
        shutil.copytree(biodam.lake, tmp_path / way)
        copies[way] = Biodam(tmp_path / way, biodam.environment)
        assert "Nothing to do" in copies[way]("run").stdout
        write_delivery(copies[way].lake, "h90", "fhir_r4", "d2", FILES, sequence=2, period="again")
    (copies["door"].lake / "inbox" / "h90" / "fhir_r4" / "later").mkdir()
    short = json.loads(copies["short"]("run", "--json").stdout)
    door = json.loads(copies["door"]("run", "--site", "h90", "--json").stdout)
    assert (short["deliveries"], short["duplicate"], short["dagster_run"]) == ({"duplicate": 1}, 15, None)
    assert (door["deliveries"], door["duplicate"], door["dagster_run"]) == ({"duplicate": 1}, 15, None)
    rows = {}
    for way, copy in copies.items():
        with sqlite3.connect(copy.lake / "control" / "control.db") as connection:
            connection.row_factory = sqlite3.Row
            (row,) = connection.execute("select * from delivery where delivery_id = 'd2'").fetchall()
        rows[way] = {k: row[k] for k in row.keys() if not k.endswith("_at")}  # noqa: SIM118
        assert row["closed_at"] >= row["received_at"]
        assert not (copy.lake / "inbox" / "h90" / "fhir_r4" / "d2").exists()
        assert "Nothing to do" in copy("run").stdout
    assert rows["short"] == rows["door"]


def test_two_runs_at_once_are_kept_apart(built: Built) -> None:
    biodam, _ = built
    code = "import sys; from pathlib import Path; from assets.run_lock import hold_lake\nwith hold_lake(Path(sys.argv[1]), purpose='biodam run'):\n print('held', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(biodam.lake)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        done = biodam("run", "--full", check=False)
    finally:
        other.kill()
        other.wait()
    assert done.returncode == 75
    assert f"process {other.pid}, biodam run, since 20" in done.stderr
    assert "Traceback" not in done.stderr


def test_dagster_shows_the_run_of_the_command(built: Built) -> None:
    biodam, said = built
    with dg.DagsterInstance.from_config(str(biodam.lake / "control" / "dagster")) as instance:
        run = instance.get_run_by_id(said["dagster_run"])
        assert run is not None
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert instance.get_materialized_partitions(dg.AssetKey(["raw", "fhir", "condition"])) == {"h90"}
        event = instance.get_latest_materialization_event(dg.AssetKey("person"))
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["dagster/row_count"].value == 7
        assert metadata["table_version"].value == 0
        assert metadata["bytes_written"].value > 0
        assert {r.data["person_id"] for r in metadata["sample"].records} == {"•"}
        lineage = metadata["dagster/column_lineage"].value.deps_by_column
        assert any(dep.asset_key == dg.AssetKey("int_persons__merged") for dep in lineage["year_of_birth"])
        checks = instance.event_log_storage.get_asset_check_summary_records(
            [dg.AssetCheckKey(dg.AssetKey("person"), "unique_person_person_id")]
        )
        assert all(r.last_check_execution_record is not None for r in checks.values())


def test_compiled_sql_of_the_build_goes_through_consent(built: Built) -> None:
    from assets.dbt_manifest import load_manifest
    from assets.governance.consent_check import models_going_round, with_compiled

    manifest = with_compiled(load_manifest(), built[0].lake / "control" / "dbt" / "compiled")
    compiled = [n for n in manifest["nodes"].values() if n.get("compiled_code")]
    assert len(compiled) > 80
    assert [str(v) for v in models_going_round(manifest)] == []
    negated = {
        i: {**n, "compiled_code": n["compiled_code"].replace("where exists", "where not exists")}
        for i, n in manifest["nodes"].items()
        if "where exists" in (n.get("compiled_code") or "") and "raw_" in n["compiled_code"] and "consented_rows" in n["raw_code"]
    }
    assert len(negated) > 80
    assert {v.model for v in models_going_round({**manifest, "nodes": {**manifest["nodes"], **negated}})} == {
        n["name"] for n in negated.values()
    }
