"""What Dagster is told: definitions, partitions, metadata, checks, sensors, failures. dbt is replaced by a script, all else is real."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.alerts import read_alerts
from assets.dbt_manifest import PROJECT, load_manifest
from assets.feeds import intake
from assets.resources import FastDbt, LakeResource
from orchestration.build import build_defs
from orchestration.jobs import JOB
from orchestration.settings import read_settings
from tests.conftest import REPOSITORY, write_delivery

GOLDEN = REPOSITORY / "tests" / "golden" / "asset_keys.txt"
GROUPS = {
    "land", "standardise", "vocabulary", "omop", "diabetes", "kidney", "rare_disease", "biobank", "destruction", "serve", "govern", "upkeep",
}  # fmt: skip
SITES = {
    "h90": 'site = "h90"\nname = "Test hospital"\nkind = "hospital"\nlegal_basis = "published"\nowner = "data-team@biodam.invalid"\n'
    "[feeds.synthea_csv]\n[feeds.fhir_r4]\n",
    "h91": 'site = "h91"\nname = "Second"\nkind = "hospital"\nlegal_basis = "published"\nowner = "data-team@biodam.invalid"\n[feeds.fhir_r4]\n',
}
PATIENTS = "".join(f'{{"resourceType":"Patient","id":"secret-{n}","birthDate":"1970-01-0{n}","gender":"female"}}\n' for n in range(1, 8))
BROKEN = '{"resourceType":"Patient","id":"bad","birthDate":"1970-02-31"}\n'


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster home whose databases are made: making them takes seconds, copying none."""
    root = tmp_path_factory.mktemp("home")
    kept = dict(os.environ)
    os.environ.pop("DAGSTER_HOME", None)
    settings = read_settings({"LAKE_ROOT": str(root)})
    settings.export()
    settings.write_dagster_home()
    with dg.DagsterInstance.get() as instance:
        instance.get_runs(limit=1)
        instance.all_instigator_state()
    os.environ.clear()
    os.environ.update(kept)
    (settings.dagster_home / "dagster.yaml").unlink()
    return settings.dagster_home


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> Iterator[Path]:
    """A lake with two test hospitals; the environment is as before afterwards."""
    kept = dict(os.environ)
    folder = tmp_path / "sites"
    folder.mkdir()
    for name, text in SITES.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    shutil.copytree(empty_home, tmp_path / "lake" / "control" / "dagster")
    values = {"LAKE_ROOT": str(tmp_path / "lake"), "BIODAM_SITES": str(folder), "BIODAM_AS_OF": "2026-01-01"}
    os.environ.pop("DAGSTER_HOME", None)
    monkeypatch.setattr("assets.warehouse.is_current", lambda: True)
    os.environ.update(values)
    yield tmp_path / "lake"
    os.environ.clear()
    os.environ.update(kept)


def _fake_dbt(folder: Path, events: list[dict[str, Any]], code: int = 0) -> FastDbt:
    """A dbt that says what it is told to say."""
    script = folder / "dbt"
    lines = "\n".join(json.dumps(e) for e in events)
    script.write_text(f"#!{sys.executable}\nimport sys\nprint({lines!r})\nsys.exit({code})\n", encoding="utf-8")
    script.chmod(0o755)
    return FastDbt(project_dir=PROJECT, profiles_dir=PROJECT, dbt_executable=script)


def _result(unique_id: str, status: str, message: str) -> dict[str, Any]:
    return {
        "info": {"name": "LogModelResult", "level": "error" if status == "error" else "info", "msg": message, "invocation_id": "i"},
        "data": {"node_info": {"unique_id": unique_id, "node_name": unique_id.rsplit(".", 1)[-1], "node_status": status}},
    }


def _run(dbt: FastDbt, **options: Any) -> tuple[dg.ExecuteInProcessResult, dg.DagsterInstance]:
    settings = read_settings()
    settings.export()
    settings.write_dagster_home()
    job = build_defs({"dbt": dbt}, settings).resolve_job_def(JOB)
    instance = dg.DagsterInstance.get()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=quiet, **options), instance


def _materialised(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str | None], Mapping[str, Any]]:
    found = {}
    for event in result.all_events:
        if event.is_step_materialization:
            m = event.materialization
            found[m.asset_key.to_user_string(), m.partition] = {k: getattr(v, "value", v) for k, v in m.metadata.items()}
    return found


def _checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], Any]:
    return {(e.asset_key.to_user_string(), e.check_name): e for e in result.get_asset_check_evaluations()}


# --- definitions ---------------------------------------------------------------------------------------------------------------------


def test_loading_opens_nothing(tmp_path: Path) -> None:
    """A code location that needs a network, a secret or a table at load time cannot be looked at when those are down."""
    script = (
        "import sys, sqlite3, socket\n"
        "def forbidden(*_, **__): raise AssertionError('opened at import')\n"
        "sqlite3.connect = socket.create_connection = forbidden\n"
        "import orchestration.definitions as d\n"
        "assert d.defs.resolve_job_def('biodam')\n"
        "assert 'dbt' not in sys.modules, 'dbt-core was imported'\n"
    )
    environment = {**os.environ, "LAKE_ROOT": str(tmp_path / "absent")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (tmp_path / "absent").exists()


def test_missing_manifest_is_said_in_one_sentence(lake: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import assets.dbt_manifest as module

    monkeypatch.setattr(module, "MANIFEST", tmp_path / "none.json")
    module.load_manifest.cache_clear()
    try:
        with pytest.raises(module.ManifestMissing, match="Remedy: run `make setup`"):
            build_defs()
    finally:
        module.load_manifest.cache_clear()


def test_asset_keys_are_those_of_the_golden_list(lake: Path) -> None:
    """A key is an address that runs, alerts and bookmarks hold on to. Where a change is meant, change tests/golden/asset_keys.txt with it."""
    del os.environ["BIODAM_SITES"]
    keys = sorted(k.to_user_string() for k in build_defs().resolve_asset_graph().get_all_asset_keys())
    golden = GOLDEN.read_text(encoding="utf-8").split()
    assert {"new": sorted(set(keys) - set(golden)), "gone": sorted(set(golden) - set(keys))} == {"new": [], "gone": []}


def test_every_asset_has_a_group_an_owner_and_a_description(lake: Path) -> None:
    graph = build_defs().resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert {n.group_name for n in nodes} == GROUPS
    assert sorted(n.key.to_user_string() for n in nodes if not n.description) == []
    assert sorted(n.key.to_user_string() for n in nodes if n.is_materializable and not n.owners) == []


def test_sites_are_partitions_of_every_raw_table(lake: Path) -> None:
    graph = build_defs().resolve_asset_graph()
    raw = [graph.get(k) for k in graph.get_all_asset_keys() if k.path[0] in ("raw", "delivery")]
    assert len(raw) > 50
    assert {tuple(n.partitions_def.get_partition_keys()) for n in raw if n.partitions_def} == {("h90", "h91")}


# --- a run -----------------------------------------------------------------------------------------------------------------------------


def test_only_what_was_landed_is_reported_and_tested(lake: Path, tmp_path: Path) -> None:
    write_delivery(lake, "h90", "fhir_r4", "d1", {"Patient.ndjson": PATIENTS + BROKEN})
    write_delivery(lake, "h66", "fhir_r4", "d1", {"Patient.ndjson": PATIENTS})
    result, instance = _run(_fake_dbt(tmp_path, []))
    assert result.success
    found = _materialised(result)
    assert {k for k in found if k[1] is not None} == {
        ("delivery/fhir_r4", "h90"),
        ("raw/fhir/patient", "h90"),
        ("raw/people/sighting", "h90"),
    }
    delivery = found["delivery/fhir_r4", "h90"]
    assert (delivery["records_delivered"], delivery["records_landed"], delivery["quarantined/invalid_date"]) == (8, 7, 1)
    table = found["raw/fhir/patient", "h90"]
    samples = [m.metadata["sample"] for m in result.asset_materializations_for_node("land_fhir_r4") if "sample" in m.metadata]
    assert (table["dagster/row_count"], table["rows_landed"], table["table_version"], table["delivery_ids"]) == (7, 7, 0, "d1")
    assert table["bytes"] > 0
    assert {record.data["person_id"] for record in samples[0].records} == {"•"}
    checks = _checks(result)
    assert checks["delivery/fhir_r4", "conserved"].passed
    assert checks["delivery/fhir_r4", "contract"].passed
    assert checks["consent_relation", "no_model_goes_round_consent"].passed
    assert checks["govern/deliveries", "all_landed"].passed
    assert checks["govern/deliveries", "fresh_h91"].severity == dg.AssetCheckSeverity.WARN
    assert not checks["govern/deliveries", "fresh_h91"].passed
    assert instance.get_materialized_partitions(dg.AssetKey(["raw", "fhir", "patient"])) == {"h90"}
    assert found["govern/deliveries", None]["deliveries_refused"] == 1
    nodes = load_manifest()["nodes"]
    left_out = [nodes[unique_id] for unique_id in json.loads((lake / "control" / "dbt" / "left_out.json").read_text())]
    assert {n["resource_type"] for n in left_out} == {"test"}, "a first build makes every model"
    untested = {parent for n in left_out for parent in n["depends_on"]["nodes"]}
    assert "model.biodam.stg_ccda__problems" in untested, "no document ever came: there is no row to test"
    assert not {"model.biodam.person", "model.biodam.consent_relation"} & untested


def test_no_identifier_reaches_dagsters_databases(lake: Path, tmp_path: Path) -> None:
    write_delivery(lake, "h90", "fhir_r4", "d1", {"Anna_Secretname.ndjson": PATIENTS + BROKEN})
    result, instance = _run(_fake_dbt(tmp_path, []))
    assert result.success
    instance.dispose()
    for path in (p for p in (lake / "control").rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert b"secret-" not in content, path.name
        assert b"Secretname" not in content, path.name


def test_failed_delivery_stops_nobody_and_fails_the_run_at_its_end(lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets.landing import land as landing

    for site in ("h90", "h91"):
        write_delivery(lake, site, "fhir_r4", "d1", {"Patient.ndjson": PATIENTS})
    real = landing.land

    def fails_for_h90(workspace: Any, key: Any) -> Any:
        if key.site == "h90":
            raise ValueError("cannot convert 'secret-1' to a number")
        return real(workspace, key)

    monkeypatch.setattr(landing, "land", fails_for_h90)
    result, _ = _run(_fake_dbt(tmp_path, []))
    assert not result.success
    assert ("raw/fhir/patient", "h91") in _materialised(result)
    assert {e.step_key for e in result.all_events if e.is_step_failure} == {"deliveries"}
    assert {e.step_key for e in result.all_events if e.is_step_success} >= {"land_fhir_r4", "warehouse", "catalogue"}
    (alert,) = read_alerts(lake)
    assert (alert.kind, alert.subject, alert.run_id) == ("delivery_failed", "h90/fhir_r4/d1", result.run_id)
    assert "secret-1" not in alert.message
    assert "unexpected ValueError" in alert.message
    monkeypatch.setattr(landing, "land", real)
    again, _ = _run(_fake_dbt(tmp_path, []))
    assert again.success
    assert ("raw/fhir/patient", "h90") in _materialised(again)


def test_failed_model_keeps_its_changes_open_and_the_catalogue_old(lake: Path, tmp_path: Path) -> None:
    write_delivery(lake, "h90", "fhir_r4", "d1", {"Patient.ndjson": PATIENTS})
    broken = [_result("model.biodam.person", "error", "Database Error in model person\n  more")]
    result, _ = _run(_fake_dbt(tmp_path, broken, code=1))
    assert not result.success
    failed = {e.step_key: e.step_failure_data.user_failure_data for e in result.all_events if e.is_step_failure}
    assert set(failed) == {"warehouse"}
    assert "1 model(s) or test(s) failed: person. First: Database Error in model person" in str(failed["warehouse"].description)
    assert [a.kind for a in read_alerts(lake)] == ["build_failed"]
    workspace = read_settings().workspace()
    assert workspace.commits.last_build() is None
    assert not workspace.commits.pending().nothing
    assert not (lake / "catalogue").exists()


@pytest.mark.scenario("22 kill between Delta commit and Dagster event")
def test_delivery_landed_by_a_run_that_died_before_its_events_is_told_by_the_next(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table had the rows and the ledger the counts, and Dagster showed the table as it was before, for ever."""
    from assets.feeds import landed

    write_delivery(lake, "h90", "fhir_r4", "d1", {"Patient.ndjson": PATIENTS + BROKEN})
    with monkeypatch.context() as harm:
        harm.setattr(landed._Report, "events", lambda self: 1 / 0)
        dead, _ = _run(_fake_dbt(tmp_path, []))
        assert not dead.success
    assert ("raw/fhir/patient", "h90") not in _materialised(dead)
    found = _materialised(_run(_fake_dbt(tmp_path, []))[0])
    assert found["raw/fhir/patient", "h90"]["rows_landed"] == 7
    delivery = found["delivery/fhir_r4", "h90"]
    assert (delivery["records_delivered"], delivery["records_landed"], delivery["quarantined/invalid_date"]) == (8, 7, 1)
    assert ("raw/fhir/patient", "h90") not in _materialised(_run(_fake_dbt(tmp_path, []))[0]), "it was told twice"


def test_run_of_one_site_lands_only_that_site(lake: Path, tmp_path: Path) -> None:
    for site in ("h90", "h91"):
        write_delivery(lake, site, "fhir_r4", "d1", {"Patient.ndjson": PATIENTS})
    result, _ = _run(_fake_dbt(tmp_path, []), partition_key="h91")
    assert result.success
    assert {site for (key, site) in _materialised(result) if key == "raw/fhir/patient"} == {"h91"}
    assert (lake / "inbox" / "h90" / "fhir_r4" / "d1").exists()


def test_record_missing_from_a_table_fails_the_conservation_check(lake: Path, tmp_path: Path) -> None:
    from assets.feeds.intake import Landed
    from assets.feeds.raw_checks import check_conserved, check_contract, schema_differences
    from assets.ledger.schema import DeliveryState

    write_delivery(lake, "h90", "fhir_r4", "d1", {"Patient.ndjson": PATIENTS})
    workspace = read_settings().workspace()
    (done,), failures = intake.land_waiting(workspace, "fhir_r4")
    assert failures == []
    assert check_conserved(workspace, "fhir_r4", [done]).wrong == ()
    with sqlite3.connect(lake / "control" / "control.db") as connection:
        connection.execute("update entity_count set landed = landed + 1")
        connection.execute("update delivery_file set landed = landed - 1")
    (first, second) = check_conserved(workspace, "fhir_r4", [done]).wrong
    assert "h90/fhir_r4/d1 Patient.ndjson: 7 delivered" in first
    assert "raw/fhir/patient: the table grew by 7 rows at version 0, the ledger says 8" in second
    assert check_conserved(workspace, "fhir_r4", [Landed(done.key, DeliveryState.REFUSED)]).wrong == ()
    assert check_contract(workspace, "fhir_r4", [done]).wrong == ()
    import pyarrow as pa

    promised = pa.schema([("a", pa.string()), ("b", pa.int32())])
    assert list(schema_differences(promised, pa.schema([("a", pa.large_string()), ("c", pa.int32())]))) == [
        "column b is missing", "column c is in no contract",
    ]  # fmt: skip
    assert list(schema_differences(promised, pa.schema([("a", pa.string()), ("b", pa.int64())]))) == [
        "column b is int64, the contract promises int32"
    ]


# --- sensors, schedules, alerts, event log --------------------------------------------------------------------------------------------


def test_sensor_asks_once_for_each_closed_delivery(lake: Path) -> None:
    definitions = build_defs()
    sensor = definitions.resolve_sensor_def("closed_deliveries")
    for site, name in (("h90", "d1"), ("h90", "d2"), ("h91", "d1"), ("h66", "d1")):
        write_delivery(lake, site, "fhir_r4", name, {"Patient.ndjson": PATIENTS})
    (lake / "inbox" / "h91" / "fhir_r4" / "open").mkdir(parents=True)

    def tick(cursor: str | None) -> Any:
        resources = {"lake": LakeResource(root=str(lake), sites_folder=os.environ["BIODAM_SITES"])}
        with dg.build_sensor_context(cursor=cursor, definitions=definitions, resources=resources) as context:
            return sensor.evaluate_tick(context)

    first = tick(None)
    asked = {r.tags["biodam/site"]: r for r in first.run_requests}
    assert {site: r.partition_key for site, r in asked.items()} == {"h90": "h90", "h91": "h91", "h66": None}
    assert asked["h91"].run_key.startswith("h91/fhir_r4/d1/")
    assert len(asked["h91"].run_key.split("/")[3]) == 64
    second = tick(first.cursor)
    assert second.run_requests == []
    write_delivery(lake, "h91", "fhir_r4", "d3", {"Patient.ndjson": PATIENTS}, sequence=3)
    assert [r.tags["biodam/site"] for r in tick(first.cursor).run_requests] == ["h91"]


def test_nightly_schedule_runs_at_two_in_seoul(lake: Path) -> None:
    schedule = build_defs().resolve_schedule_def("nightly")
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name) == ("0 2 * * *", "Asia/Seoul", JOB)


def test_broken_alert_hook_hides_no_failure(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets.alerts import raise_alert
    from orchestration import alerts

    told: list[str] = []
    monkeypatch.setattr(alerts, "_hooks", [])
    alerts.add_hook(lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    alerts.add_hook(lambda alert: told.append(alert.subject))
    alerts.tell(raise_alert(lake, "run_failed", "biodam", "a step failed"))
    assert told == ["biodam"]
    (lake / "control" / "alerts.jsonl").open("a").write('{"cut short')
    assert [a.subject for a in read_alerts(lake)] == ["biodam"]


def test_event_log_of_the_lake_keeps_few_connections_and_every_event(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration.event_log import PooledEventLog

    monkeypatch.setattr("orchestration.event_log.OPEN_SHARDS", 2)
    settings = read_settings()
    settings.export()
    settings.write_dagster_home()
    with dg.DagsterInstance.get() as instance:
        log = instance.event_log_storage
        assert isinstance(getattr(log, "_storage", log), PooledEventLog) or "PooledEventLog" in repr(type(log).__mro__)
        runs = [dg.DagsterRun(job_name="x").run_id for _ in range(3)]
        for run_id in runs:
            instance.report_engine_event("hello", job_name="x", run_id=run_id)
        assert [len(instance.all_logs(r)) for r in runs] == [1] * len(runs)
        kept = log if isinstance(log, PooledEventLog) else log._storage  # type: ignore[attr-defined]
        assert len(kept._engines) <= 2


def test_what_dagster_is_told_at_once_is_stored_whole_or_not_at_all(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.storage.event_log import SqliteEventLogStorage

    from orchestration.event_log import PooledEventLog

    log = PooledEventLog(str(lake / "events"))
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = dg.DagsterRun(job_name="x").run_id
        for name in ("a", "b", "c"):
            instance.report_runless_asset_event(dg.AssetMaterialization(name))
        told = [r.event_log_entry._replace(run_id=run_id) for r in instance.fetch_materializations(dg.AssetKey("a"), limit=1).records]
        told += [r.event_log_entry._replace(run_id=run_id) for r in instance.fetch_materializations(dg.AssetKey("b"), limit=1).records]
    log.store_event_batch(told)
    assert log.all_asset_keys() == [dg.AssetKey("a"), dg.AssetKey("b")]
    assert len(log.get_logs_for_run(run_id)) == 2
    once = iter([None])

    def fails_the_second_time(self: Any, event: Any) -> None:
        next(once)
        original(self, event)

    original = SqliteEventLogStorage.store_event
    monkeypatch.setattr(SqliteEventLogStorage, "store_event", fails_the_second_time)
    with pytest.raises(StopIteration):
        log.store_event_batch(told)
    assert len(log.get_logs_for_run(run_id)) == 2
    log.dispose()


def test_second_run_waits_or_says_who_is_working(lake: Path) -> None:
    from assets.run_lock import LakeBusy, hold_lake, holder

    code = "import sys, time; from pathlib import Path; from assets.run_lock import hold_lake\nwith hold_lake(Path(sys.argv[1]), purpose='a test'):\n print('held', flush=True); time.sleep(600)"
    other = subprocess.Popen([sys.executable, "-c", code, str(lake)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LakeBusy, match=f"process {other.pid}, a test, since 20"), hold_lake(lake, purpose="mine", wait_s=0.3):
            pass
        assert f"process {other.pid}" in str(holder(lake))
    finally:
        other.kill()
        other.wait()
    with hold_lake(lake, purpose="mine"), hold_lake(lake, purpose="mine, inside"):
        pass
    assert holder(lake) is None
