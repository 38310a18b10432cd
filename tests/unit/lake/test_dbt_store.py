"""Types on their way from DuckDB to Delta."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from assets.lake.dbt_plugin import without_values
from assets.lake.dbt_store import ModelJob, TypeRefused, delta_type, store_model
from assets.lake.paths import Lake
from assets.lake.plan import Plan
from assets.lake.tables import TornTable


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("1::bigint", "BIGINT"),
        ("1.5::decimal(10,2)", "DECIMAL(10,2)"),
        ("sum(1)", "DECIMAL(38,0)"),
        ("1::ubigint", "DECIMAL(20,0)"),
        ("1::uinteger", "BIGINT"),
        ("1::utinyint", "SMALLINT"),
        ("timestamp '2020-01-01'", "TIMESTAMP WITH TIME ZONE"),
        ("timestamptz '2020-01-01'", "TIMESTAMP WITH TIME ZONE"),
        ("uuid()", "VARCHAR"),
        ("'{}'::json", "VARCHAR"),
        ("time '10:00'", "VARCHAR"),
        ("'a'::enum('a', 'b')", "VARCHAR"),
        ("interval 1 day", "VARCHAR"),
        ("null", "INTEGER"),
        ("[1::usmallint]", "INTEGER[]"),
        ("[[1.0::float]]", "FLOAT[][]"),
        ("{'time': 1::ubigint, 'b': ['x']}", 'STRUCT("time" DECIMAL(20,0), "b" VARCHAR[])'),
        ("map {'k': 1::hugeint}", "MAP(VARCHAR, DECIMAL(38,0))"),
    ],
)
def test_type_is_widened_to_one_that_holds_every_value(expression: str, wanted: str) -> None:
    (kind,) = duckdb.sql(f"select {expression}").types
    assert delta_type(kind) == wanted


def test_type_that_would_lose_is_refused() -> None:
    (kind,) = duckdb.sql("select timestamp_ns '2020-01-01'").types
    with pytest.raises(TypeRefused, match="TIMESTAMP_NS"):
        delta_type(kind)


def plan(batch: int, recorded: int | None = None) -> Plan:
    versions = {} if recorded is None else {"omop/x": recorded}
    return Plan(f"r{batch}", batch, date(2026, 1, 1), True, None, None, model_versions=versions)


def test_commits_of_a_killed_build_are_accounted_for_by_the_next(lake: Lake) -> None:
    job = ModelJob("omop", "x", "model.biodam.x", "select 1 as i")
    with duckdb.connect() as connection:
        for batch in (1, 2):
            store_model(connection, lake, plan(batch), job)
        lake.dbt_commits.unlink()  # killed before the account was written
        store_model(connection, lake, plan(3, recorded=0), job)
    told = [json.loads(line) for line in lake.dbt_commits.read_text().splitlines()]
    assert [(line["version"], line["strategy"], line["run_id"], line["rows"]) for line in told] == [
        (1, "recovered", "r3", 1),
        (2, "overwrite", "r3", 1),
    ]
    assert all(line["log_sha256"] and line["files"][0]["sha256"] for line in told)


def test_model_behind_the_ledger_is_not_written(lake: Lake) -> None:
    job = ModelJob("omop", "x", "model.biodam.x", "select 1 as i")
    with duckdb.connect() as connection:
        store_model(connection, lake, plan(1), job)
        with pytest.raises(TornTable, match="the ledger recorded 4"):
            store_model(connection, lake, plan(2, recorded=4), job)


def test_engine_message_loses_the_values_it_quotes() -> None:
    message = "Could not convert string 'it''s 900101-1234567' to INT32 in column \"code\""
    assert without_values(message) == "Could not convert string '...' to INT32 in column \"code\""
    assert without_values("Type INT128 with value 18223372036854775807 can't be cast") == "Type INT128 with value ... can't be cast"
    assert (
        without_values("Overflow in multiplication of INT64 (19700101 * -9001011)!") == "Overflow in multiplication of INT64 (... * ...)!"
    )
    assert without_values('date field value out of range: "1970-02-31"') == 'date field value out of range: "..."'


def test_registering_and_publishing_do_not_import_pandas(tmp_path: Path) -> None:
    """Incident: a bound parameter or `pa.table()` imports pandas, which took 1.4 of the 5.2 CPU s of a small dbt build."""
    script = """
import sys
from pathlib import Path
from assets.lake.dbt_views import register_lake
from assets.lake.extensions import open_duckdb
from assets.lake.paths import Lake
from assets.lake.plan import load_plan
from assets.lake.tables import overwrite
from assets.serving.catalogue import PublishedModel, publish
lake = Lake(Path(sys.argv[1]))
connection = open_duckdb()
overwrite(lake, "omop/x", connection.execute("select 1 as i").to_arrow_reader())
register_lake(connection, lake, load_plan(lake.plan))
publish(lake, [PublishedModel("x", "omop", 0, "d", {"i": "d"})])
publish(lake, [PublishedModel("x", "omop", 0, "d", {"i": "d"})])
print("pandas" in sys.modules)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[3], check=False)
    assert done.stdout == "False\n", done.stderr
