"""The plugin, the materialisation and the macros together, in a small dbt project made of the real macros.

Each test runs dbt in this process on a lake of hand-written rows.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from assets.governance.undated import count_undated
from assets.lake.commits import newest_version, read_snapshot
from assets.lake.dbt_views import register_lake
from assets.lake.extensions import open_duckdb
from assets.lake.paths import Lake
from assets.lake.plan import load_plan
from assets.lake.poison import reported_poison
from assets.lake.tables import overwrite

PROJECT = Path(__file__).parents[3] / "dbt_project"
MACROS = ("delta", "dialect", "generate_schema_name", "plan", "register", "rows", "tests")
FILES = {
    "models/sources.yml": """
sources:
  - {name: raw_fhir, tables: [{name: condition}, {name: location}, {name: tombstone}]}
  - {name: raw_emr_csv, tables: [{name: diagnosis}]}
  - {name: raw_people, tables: [{name: link}, {name: sighting}]}
  - {name: raw_consent, tables: [{name: event}]}
  - {name: reference, tables: [{name: site}]}
""",
    "models/staging/stg_consent__events.sql": "select * from {{ unconsented_rows('consent', 'event') }} as e",
    "models/standard/consent_relation.sql": """
{{ config(partition_by='person_bucket') }}
select
  person_id, person_bucket, 'consented' as legal_basis, scope_code, max(covers_from_date) as valid_from,
  max(valid_until_date) as valid_to, cast(null as varchar) as only_site
from {{ ref('stg_consent__events') }} as e
where effective_date <= {{ as_of() }}
group by person_id, person_bucket, scope_code
having not bool_or(event_type = 'withdraw')
""",
    "models/staging/stg_fhir__conditions.sql": """
select record_id, person_id, person_bucket, site, codings[1].code as code, cast(onset_at as date) as start_date
from {{ consented_rows('fhir', 'condition', event_date='onset_at') }} as c
""",
    "models/staging/stg_emr_csv__diagnoses.sql": """
select record_id, person_id, person_bucket, site, diagnosis_code as code, diagnosis_date as start_date
from {{ consented_rows('emr_csv', 'diagnosis', event_date='diagnosis_date') }} as d
""",
    "models/staging/stg_fhir__locations.sql": "select * from {{ raw_rows('fhir', 'location') }} as l",
    "models/omop/location.sql": "select record_id as location_id, address_state as state from {{ ref('stg_fhir__locations') }}",
    "models/omop/condition_occurrence.sql": """
{{ config(partition_by='person_bucket') }}
select c.record_id as condition_occurrence_id, c.person_id, k.concept_id as condition_concept_id, c.start_date, c.person_bucket
from (select * from {{ ref('stg_fhir__conditions') }} union all select * from {{ ref('stg_emr_csv__diagnoses') }}) as c
left join {{ ref('code_list') }} as k on k.code = c.code
""",
    "models/marts/cohort.sql": """
{{ config(partition_by='person_bucket') }}
select person_id, person_bucket, count(*) as conditions, {{ as_of() }} as seen_on
from {{ person_ref('condition_occurrence') }} as c
group by all
""",
    "models/marts/tally.sql": """
{{ config(partition_by='person_bucket', packed=true) }}
select count(*) as conditions, person_bucket
from {{ person_ref('condition_occurrence') }} as c
group by person_bucket
""",
    "models/omop/models.yml": """
models:
  - name: condition_occurrence
    description: One row per condition.
    config: {contract: {enforced: true}, persist_docs: {relation: true, columns: true}}
    columns:
      - name: condition_occurrence_id
        description: Identifier.
        data_type: bigint
        constraints: [{type: not_null}]
        data_tests: [unique, not_null]
      - {name: person_id, data_type: bigint}
      - {name: start_date, data_type: date}
      - {name: condition_concept_id, data_type: bigint}
      - {name: person_bucket, data_type: integer}
unit_tests:
  - name: code_becomes_concept
    model: condition_occurrence
    given:
      - input: ref('stg_fhir__conditions')
        rows: [{record_id: 1, person_id: 2, person_bucket: 0, code: '0044', start_date: 2020-01-01}]
      - {input: ref('stg_emr_csv__diagnoses'), rows: []}
      - input: ref('code_list')
        rows: [{code: '0044', concept_id: 44}]
    expect:
      rows: [{condition_occurrence_id: 1, condition_concept_id: 44}]
""",
    "seeds/code_list.csv": "code,concept_id\n0044,44\n055,55\n",
    "seeds/seeds.yml": "seeds: [{name: code_list, config: {column_types: {code: varchar, concept_id: bigint}}}]",
}
Held = Callable[..., list[tuple[Any, ...]]]
Put = Callable[..., object]
Build = Callable[..., dict[str, str]]
KEY = "omop/condition_occurrence"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "macros").mkdir()
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, folder / name)
    for name in MACROS:
        shutil.copy(PROJECT / "macros" / f"{name}.sql", folder / "macros")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for the lakes of all tests: dbt parses again when LAKE_ROOT changes, which takes longer than the tests."""
    return tmp_path_factory.mktemp("lakes") / "lake"


@pytest.fixture
def lake(root: Path) -> Lake:
    shutil.rmtree(root, ignore_errors=True)
    return Lake(root)


@pytest.fixture
def build(project: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Run dbt with a plan: `build("--select", "x", batch=2, buckets=[1])`; returns what went wrong, which `fails` permits."""
    monkeypatch.setenv("LAKE_ROOT", str(lake.root))
    return lambda *arguments, **plan: run_dbt(project, lake, *arguments, **plan)


def run_dbt(
    project: Path, lake: Lake, *arguments: str, batch: int = 1, buckets: list[int] | None = None, sources: list[int] | None = None,
    fails: bool = False, left_out: list[int] | None = None,
) -> dict[str, str]:  # fmt: skip
    plan = {"run_id": f"r{batch}", "batch": batch, "as_of": "2026-01-01", "full": buckets is None, "buckets": buckets, "held": left_out}
    lake.control.mkdir(parents=True, exist_ok=True)
    lake.plan.write_text(json.dumps({**plan, "source_buckets": sources, "raw_versions": {}}))
    DuckDBConnectionManager.close_all_connections()
    folders = ["--project-dir", str(project), "--profiles-dir", str(project), "--quiet"]
    done = dbtRunner().invoke(["build", *folders, *arguments])
    DuckDBConnectionManager.close_all_connections()
    messages = {r.node.name: str(r.message) for r in (done.result or []) if r.status in ("error", "fail")}  # type: ignore[union-attr]
    assert fails or done.success, (done.exception, messages)
    return messages


def condition(record: int, person: int, day: str | None = "2020-05-05", **more: Any) -> dict[str, Any]:
    onset = None if day is None else datetime.fromisoformat(day).replace(tzinfo=UTC)
    return {
        "record_id": record, "person_id": person, "person_bucket": person // 10, "codings": [{"system": "s", "code": "0044"}], "onset_at": onset,
        **more,
    }  # fmt: skip


def consent(person: int, kind: str = "grant", **more: Any) -> dict[str, Any]:
    facts = {"scope_code": "clinical", "effective_date": date(2019, 1, 1), **more}
    return {"record_id": hash((person, kind)) % 2**40, "person_id": person, "person_bucket": person // 10, "event_type": kind, **facts}


@pytest.fixture(scope="module")
def built_once(root: Path, project: Path, put: Put, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy of a lake of thirty consenting people in three buckets, one condition each (record id = 100 + person id), built."""
    lake = Lake(root)
    sites = {"site": ["h01", "h09"], "site_name": ["a", "b"], "kind": ["hospital"] * 2, "legal_basis": ["consented", "published"]}
    overwrite(lake, "reference/site", pa.table(sites).to_reader())
    put(lake, "consent", "event", [consent(p) for p in range(30)])
    put(lake, "fhir", "condition", [condition(100 + p, p) for p in range(30)])
    put(lake, "fhir", "location", [{"record_id": 1, "address_state": "Seoul"}])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LAKE_ROOT", str(root))
        run_dbt(project, lake)
    return Path(shutil.copytree(root, tmp_path_factory.mktemp("built") / "lake"))


@pytest.fixture
def hospital(built_once: Path, lake: Lake) -> Lake:
    """The built lake, fresh for each test."""
    shutil.copytree(built_once, lake.root)
    return lake


def records(held: Held, lake: Lake) -> list[int]:
    return [i for (i,) in held(lake, KEY, "condition_occurrence_id")]


def commits(lake: Lake) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lake.dbt_commits.read_text().splitlines()]


def test_only_touched_buckets_are_rewritten_and_the_account_says_so(hospital: Lake, build: Build, held: Held, put: Put) -> None:
    assert records(held, hospital) == list(range(100, 130))
    put(hospital, "fhir", "condition", [condition(500, 5), condition(501, 25)], sequence=2)
    build(batch=2, buckets=[0])

    assert records(held, hospital) == [*range(100, 130), 500]
    first, second = [c for c in commits(hospital) if c["model"] == "condition_occurrence"]
    assert (first["strategy"], first["rows"], first["rows_written"], len(first["files"])) == ("overwrite", 30, 30, 3)
    assert (second["strategy"], second["rows"], second["rows_written"], len(second["files"])) == ("replace", 31, 11, 1)
    assert (second["run_id"], second["version"], second["schema"]) == ("r2", 1, "omop")
    assert {"path", "bytes", "sha256"} == set(second["files"][0])


def test_packed_model_counts_touched_buckets_and_keeps_the_others_in_one_file(hospital: Lake, build: Build, held: Held, put: Put) -> None:
    tally = "marts/tally"
    assert held(hospital, tally, "person_bucket, conditions") == [(0, 10), (1, 10), (2, 10)]
    put(hospital, "consent", "event", [consent(p, "withdraw", effective_date=date(2025, 1, 1)) for p in range(10, 20)], sequence=2)
    put(hospital, "fhir", "condition", [condition(500, 5), condition(501, 25)], sequence=2)
    build(batch=2, buckets=[0, 1])
    assert held(hospital, tally, "person_bucket, conditions") == [(0, 11), (2, 10)]
    assert len(read_snapshot(hospital, tally).files) == 1
    build(batch=3, buckets=[2])
    assert held(hospital, tally, "person_bucket, conditions") == [(0, 11), (2, 11)]
    build(batch=4)
    assert held(hospital, tally, "person_bucket, conditions") == [(0, 11), (2, 11)]


def test_person_who_withdrew_disappears_from_every_table(hospital: Lake, build: Build, held: Held, put: Put) -> None:
    put(hospital, "consent", "event", [consent(p, "withdraw", effective_date=date(2025, 1, 1)) for p in range(10, 20)], sequence=2)
    build(batch=2, buckets=[1])

    assert records(held, hospital) == [*range(100, 110), *range(120, 130)]
    assert held(hospital, "standard/consent_relation", "distinct person_bucket") == [(0,), (2,)]
    assert held(hospital, "marts/cohort", "distinct person_bucket") == [(0,), (2,)]


def test_rows_of_an_alias_move_to_the_person(hospital: Lake, build: Build, held: Held, put: Put) -> None:
    put(hospital, "people", "link", [{"alias_person_id": 3, "alias_bucket": 0, "person_id": 22, "person_bucket": 2}], sequence=2)
    build(batch=2, buckets=[0, 2], sources=[0, 2])
    assert (22, 2, 103) in held(hospital, KEY, "person_id, person_bucket, condition_occurrence_id")
    assert len(records(held, hospital)) == 30


VERSIONS: list[tuple[str, list[tuple[str, dict[str, Any]]], bool]] = [
    ("delivered once", [("condition", condition(900, 7))], True),
    ("entered in error later", [("condition", condition(900, 7)), ("condition", condition(900, 7, verification_status_code="entered-in-error"))], False),
    ("corrected after an error", [("condition", condition(900, 7, verification_status_code="entered-in-error")), ("condition", condition(900, 7))], True),
    ("deleted", [("condition", condition(900, 7)), ("tombstone", {"record_id": 900, "entity_name": "condition"})], False),
    ("deleted as another entity", [("condition", condition(900, 7)), ("tombstone", {"record_id": 900, "entity_name": "procedure"})], True),
    ("back after deletion", [("condition", condition(900, 7)), ("tombstone", {"record_id": 900, "entity_name": "condition"}), ("condition", condition(900, 7))], True),
    ("before consent covers", [("condition", condition(900, 1007, "2014-12-31"))], False),
    ("when consent covers", [("condition", condition(900, 1007, "2015-01-01"))], True),
    ("after consent ends", [("condition", condition(900, 1007, "2023-01-02"))], False),
    ("without a date, consent open", [("condition", condition(900, 7, None))], True),
    ("without a date, consent bounded", [("condition", condition(900, 1007, None))], False),
    ("no date any more, consent bounded", [("condition", condition(900, 1007)), ("condition", condition(900, 1007, None))], False),
    ("a date at last, consent bounded", [("condition", condition(900, 1007, None)), ("condition", condition(900, 1007))], True),
    ("without a date, consent bounded, deleted", [("condition", condition(900, 1007, None)), ("tombstone", {"record_id": 900, "entity_name": "condition"})], False),
    ("without a date, consent bounded, in error", [("condition", condition(900, 1007, None, verification_status_code="entered-in-error"))], False),
    ("without a date, other scope only", [("condition", condition(900, 2007, None))], False),
    ("other scope only", [("condition", condition(900, 2007))], False),
    ("every scope", [("condition", condition(900, 3007))], True),
    ("person without consent", [("condition", condition(900, 4007))], False),
]  # fmt: skip


def test_newest_version_and_consent_decide(lake: Lake, build: Build, held: Held, put: Put) -> None:
    """Every case is one record of its own; all are built at once, whole and bucket by bucket."""
    sites = {"site": ["h01"], "site_name": ["a"], "kind": ["hospital"], "legal_basis": ["consented"]}
    overwrite(lake, "reference/site", pa.table(sites).to_reader())
    bounded = {"covers_from_date": date(2015, 1, 1), "valid_until_date": date(2023, 1, 1)}
    people = [consent(7), consent(1007, **bounded), consent(2007, scope_code="genomic"), consent(3007, scope_code="all")]
    put(lake, "consent", "event", people)
    wanted = []
    deliveries: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for number, (_, versions, stays) in enumerate(VERSIONS):
        wanted += [9000 + number] if stays else []
        for sequence, (entity, row) in enumerate(versions, 1):
            deliveries.setdefault((sequence, entity), []).append({**row, "record_id": 9000 + number})
    for (sequence, entity), found in sorted(deliveries.items()):
        put(lake, "fhir", entity, found, sequence=sequence)
    deleted = {"person_id": 7, "person_bucket": 0, "diagnosis_code": "0044", "diagnosis_date": date(2020, 1, 1)}
    put(lake, "emr_csv", "diagnosis", [{**deleted, "record_id": 1}, {**deleted, "record_id": 2}])
    put(lake, "emr_csv", "diagnosis", [{**deleted, "record_id": 1, "is_deleted": True}], sequence=2)

    build()
    whole = records(held, lake)
    assert [n for n in range(9000, 9000 + len(VERSIONS)) if (n in whole) != (n in wanted)] == []
    assert (1 in whole, 2 in whole) == (False, True)
    rows = held(lake, KEY)
    for batch, buckets in enumerate(([0, 200], []), 2):
        build(batch=batch, buckets=buckets)
        assert held(lake, KEY) == rows

    left_out = count_undated(lake, {key: newest for key in lake.table_keys() if (newest := newest_version(lake, key)) is not None})
    assert left_out == [{"site": "h01", "table_name": "fhir/condition", "record_count": 2}], "never dated, and no date any more"


def test_same_batch_again_commits_nothing(hospital: Lake, build: Build) -> None:
    before = {key: newest_version(hospital, key) for key in hospital.table_keys()}
    build()
    assert {key: newest_version(hospital, key) for key in hospital.table_keys()} == before
    assert commits(hospital)[-1]["strategy"] == "unchanged"


def test_changed_model_is_written_although_the_batch_is_the_same(hospital: Lake, build: Build, held: Held, project: Path) -> None:
    path = project / "models/staging/stg_fhir__locations.sql"
    text = path.read_text()
    try:
        path.write_text("select record_id, 'changed' as address_state from {{ raw_rows('fhir', 'location') }} as l")
        build()
    finally:
        path.write_text(text)
    assert held(hospital, "omop/location") == [(1, "changed")]
    assert newest_version(hospital, KEY) == 0


def test_one_model_can_be_built_alone_on_a_fresh_database(hospital: Lake, build: Build, held: Held, put: Put) -> None:
    put(hospital, "fhir", "condition", [condition(500, 5)], sequence=2)
    build("--select", "condition_occurrence", batch=2, buckets=[0])
    assert 500 in records(held, hospital)
    build("--select", "cohort", batch=3, buckets=[0])
    assert held(hospital, "marts/cohort", "person_id, conditions")[5] == (5, 2)


def test_new_person_level_model_is_built_for_every_bucket(hospital: Lake, build: Build, held: Held) -> None:
    shutil.rmtree(hospital.table("marts/cohort"))
    build(batch=2, buckets=[1])
    assert len(held(hospital, "marts/cohort")) == 30


def test_full_refresh_rewrites_the_whole_table(hospital: Lake, build: Build, held: Held) -> None:
    build("--select", "condition_occurrence", "--full-refresh", batch=2, buckets=[1])
    assert (newest_version(hospital, KEY), len(records(held, hospital))) == (1, 30)
    assert commits(hospital)[-1]["strategy"] == "overwrite"


POISON = {
    # a query that stops on the record 666: read from raw rows, from a model's table, by a sum over a person, by a rule for the table
    "raw": "select record_id, person_id, person_bucket, cast(case when record_id = 666 then 'x' else '1' end as integer) as n from {{ ref('stg_fhir__conditions') }}",
    "model": "select person_id, person_bucket, case when condition_occurrence_id = 666 then error('no') end as n from {{ person_ref('condition_occurrence') }}",
    "sum": "select person_id, person_bucket, sum(case when condition_occurrence_id = 666 then 9223372036854775807 else 9e18::bigint end)::bigint as n from {{ person_ref('condition_occurrence') }} where condition_occurrence_id in (117, 666) group by all",
    "nan": "select person_id, person_bucket, case when condition_occurrence_id = 666 then 'nan'::double else 1 end as n from {{ person_ref('condition_occurrence') }}",
}  # fmt: skip


WRONG = {
    # models that are wrong whoever is there: nobody may be blamed
    "always": "select error('no') as n",
    "everybody": "{{ config(partition_by='person_bucket') }} select person_id, person_bucket, error('no') as n from {{ ref('condition_occurrence') }}",
}


@pytest.mark.scenario("18 poison record in a transform, bisected")
def test_person_on_whose_record_a_model_fails_is_found_and_can_be_left_out(
    hospital: Lake, build: Build, held: Held, put: Put, project: Path
) -> None:
    """Person 8 was merged into 17; the record came under the old number. All else of the bucket is built, and nobody else is missing."""
    put(hospital, "people", "sighting", [{"person_id": p, "person_bucket": p // 10} for p in range(30)])
    put(hospital, "people", "link", [{"alias_person_id": 8, "alias_bucket": 0, "person_id": 17, "person_bucket": 1}], sequence=2)
    put(hospital, "fhir", "condition", [condition(666, 8)], sequence=2)
    models = {f"strict_{kind}": "{{ config(partition_by='person_bucket') }} " + sql for kind, sql in POISON.items()}
    for name, sql in {**models, **WRONG}.items():
        (project / f"models/marts/{name}.sql").write_text(sql)
    try:
        failed = build(batch=2, fails=True)
        assert {name: "Records of 1 person(s) cause it" in failed[name] for name in failed} == {n: n in models for n in (*models, *WRONG)}
        reports = reported_poison(hospital, "r2")
        assert sorted(model for model, _, _ in reports) == sorted(models)
        for _, message, people in reports:
            assert [(p.person_id, p.bucket, p.ids) for p in people] == [(17, 1, (8, 17))]
            assert [p for p in people[0].places if p.startswith("fhir/")] == ["fhir/condition h01 d1: 2", "fhir/condition h01 d2: 1"]
            assert not re.search(r"\b\d{3,}\b", message), "an error that quotes a value"
        for name in WRONG:
            (project / f"models/marts/{name}.sql").unlink()
        build(batch=3, left_out=[8, 17])
        assert {p for (p,) in held(hospital, "marts/cohort", "distinct person_id")} == set(range(30)) - {8, 17}
        assert not {108, 117, 666} & set(records(held, hospital))
        for name in models:
            assert 17 not in {p for (p,) in held(hospital, f"marts/{name}", "distinct person_id")}
    finally:
        for name in (*models, *WRONG):
            (project / f"models/marts/{name}.sql").unlink(missing_ok=True)


BROKEN = {
    "nan": ("select 'nan'::double as v", "v holds NaN"),
    "late": ("select case when i = 900000 then error('too late') else i end as i from range(1000000) as t(i)", "too late"),
    "cast": (
        "select cast(case when i = 9000 then 'Name' else i::varchar end as int) as i from range(10000) as t(i)",
        "convert string '...'",
    ),
    "bucketless": ("{{ config(partition_by='person_bucket') }} select 1 as i, null::integer as person_bucket", "have no person_bucket"),
    "siteless": ("{{ config(partition_by='site') }} select 1 as i, '' as site", "cannot name a partition"),
    "unpromised": ("{{ config(contract={'enforced': true}) }} select 1 as i", "contract that failed"),
    "nulls": ("{{ config(contract={'enforced': true}) }} select null::bigint as i", "1 rows have no i, which is required"),
}
BROKEN_YML = """
models:
  - {name: unpromised, columns: [{name: i, data_type: varchar}]}
  - {name: nulls, columns: [{name: i, data_type: bigint, constraints: [{type: not_null}]}]}
"""


def test_failing_models_leave_no_version_and_no_file(lake: Lake, build: Build, project: Path) -> None:
    folder = project / "models/governance"
    folder.mkdir()
    (folder / "broken.yml").write_text(BROKEN_YML)
    for name, (sql, _) in BROKEN.items():
        (folder / f"{name}.sql").write_text(sql)
    try:
        messages = build("--select", "governance", fails=True)
    finally:
        shutil.rmtree(folder)
    if "INTERRUPT" in messages.get("late", ""):  # DuckDB 1.5.5 may stop a running query when another cursor's query fails first
        messages["late"] = BROKEN["late"][1]
    assert {name: told in messages.get(name, "nothing") for name, (_, told) in BROKEN.items()} == dict.fromkeys(BROKEN, True)
    assert lake.table_keys() == ()
    assert not list(lake.tables.rglob("*.parquet"))


def test_touched_bucket_reads_only_its_own_files(lake: Lake, build: Build, project: Path, put: Put) -> None:
    sites = {"site": ["h01"], "site_name": ["a"], "kind": ["hospital"], "legal_basis": ["consented"]}
    overwrite(lake, "reference/site", pa.table(sites).to_reader())
    put(lake, "consent", "event", [consent(p) for p in range(0, 200, 10)])
    for bucket in range(20):
        put(lake, "fhir", "condition", [condition(100 + bucket, bucket * 10)], sequence=bucket + 1)
    build("--select", "consent_relation", "+stg_fhir__conditions")
    build("--select", "stg_fhir__conditions", batch=2, buckets=[7])

    compiled = (project / "target/compiled/biodam/models/staging/stg_fhir__conditions.sql").read_text()
    with open_duckdb() as connection:
        register_lake(connection, lake, load_plan(lake.plan))
        profile = connection.execute(f"explain (analyze, format json) {compiled}").fetchall()[0][1]
    reads = files_read(json.loads(profile))
    assert max(reads["raw/fhir/condition"]) == 1
    assert max(reads["standard/consent_relation"]) == 1


def files_read(node: dict[str, Any]) -> dict[str, list[int]]:
    """Files that each scan of each table read, by DuckDB's own account."""
    found: dict[str, list[int]] = {}
    extra = node.get("extra_info") or {}
    if "Total Files Read" in extra:
        key = str(extra.get("Table", extra.get("Filename(s)", "")))
        for table in ("raw/fhir/condition", "standard/consent_relation"):
            if table in key:
                found.setdefault(table, []).append(int(extra["Total Files Read"]))
    for child in node.get("children", []):
        for table, counts in files_read(child).items():
            found.setdefault(table, []).extend(counts)
    return found
