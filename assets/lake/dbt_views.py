"""What a dbt run finds in its in-memory DuckDB: the plan, the raw tables and the models that exist, as views.

Belongs here: registration. Does not belong here: writing (`dbt_store`), the plan's content (`plan`).

No statement here binds a parameter or an Arrow table: either makes DuckDB import pandas, half a CPU second a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import pyarrow as pa

from assets.contracts.table import Entity, families, load_contract
from assets.lake.commits import newest_version
from assets.lake.dbt_store import Stored
from assets.lake.paths import Lake
from assets.lake.plan import Plan, bucket_predicate
from assets.lake.poison import leave_out
from assets.lake.sql import duckdb_type, sql_literal, sql_name

REFERENCE: dict[str, pa.Schema] = {
    "site": pa.schema([(n, pa.string()) for n in ("site", "site_name", "kind", "legal_basis", "time_zone")]),
    "code_map": pa.schema([(n, pa.string()) for n in ("site", "source_system", "source_code", "target_system", "target_code", "unit")]),
}
"""Tables written from the site files, and the columns a view has while the table is absent."""

MODEL_SCHEMAS = ("standard", "vocabulary", "omop", "marts", "release", "governance")
"""Schemas of dbt models that are Delta tables (DESIGN section 3)."""


def register_lake(connection: duckdb.DuckDBPyConnection, lake: Lake, plan: Plan) -> dict[str, int]:
    """Make every schema and view a dbt run reads.

    Args:
        connection: Fresh in-memory DuckDB with the Delta extension.
        lake: The lake.
        plan: Versions to read and buckets to rebuild.

    Returns:
        Table key -> registered version of every dbt model that exists.
    """
    connection.execute("set delta_scan_explain_files_filtered = false")  # explain of an attached table aborts (1.5.5)
    _register_plan(connection, plan)
    entities = [e for f in families() for e in load_contract(f).entities.values()]
    _register_raw_columns(connection, entities)
    for family in families():
        connection.execute(f"create schema if not exists {sql_name('raw_' + family)}")
    for entity in entities:
        _register_table(connection, lake, plan, entity.key, f"raw_{entity.family}", entity.name, entity.raw_schema())
    _add_missing_columns(connection, lake, plan, entities)
    connection.execute("create schema if not exists reference")
    loaded = {log.parent.name: pa.schema([]) for log in sorted((lake.tables / "reference").glob("athena_*/_delta_log"))}
    for name, schema in {**REFERENCE, **loaded}.items():
        _register_table(connection, lake, plan, f"reference/{name}", "reference", name, schema)
    models = _register_models(connection, lake)
    leave_out(connection, plan.held)
    return models


def show_model(connection: duckdb.DuckDBPyConnection, lake: Lake, stored: Stored) -> None:
    """Point a model's view at the version just written and note it for the materialisation's message."""
    source = _attach(connection, lake, f"{stored.schema}/{stored.model}", stored.version)
    connection.execute(f"create or replace view {sql_name(stored.schema)}.{sql_name(stored.model)} as select * from {source}")
    schema, model = sql_literal(stored.schema), sql_literal(stored.model)
    connection.execute(f"delete from lake.model_version where table_schema = {schema} and table_name = {model}")
    row = f"({schema}, {model}, {stored.version}, {sql_literal(stored.strategy)}, {stored.rows_written})"
    connection.execute(f"insert into lake.model_version values {row}")


def _register_plan(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    connection.execute("create schema if not exists lake")
    texts = {
        "run_id": plan.run_id,
        "as_of_sql": f"date '{plan.as_of.isoformat()}'",
        "buckets_sql": bucket_predicate(plan.buckets),
        "source_buckets_sql": bucket_predicate(plan.source_buckets),
    }
    listed = ", ".join(f"{_text(value)} as {name}" for name, value in texts.items())
    connection.execute(f"create or replace table lake.plan as select {listed}, {str(plan.full).lower()} as is_full")


def _register_raw_columns(connection: duckdb.DuckDBPyConnection, entities: Iterable[Entity]) -> None:
    rows = (
        f"({sql_literal(e.family)}, {sql_literal(e.name)}, {i}, {sql_literal(c.name)})" for e in entities for i, c in enumerate(e.columns)
    )
    connection.execute("create or replace table lake.raw_column (family varchar, entity varchar, position integer, column_name varchar)")
    connection.execute(f"insert into lake.raw_column values {', '.join(rows)}")


def _register_table(
    connection: duckdb.DuckDBPyConnection, lake: Lake, plan: Plan, key: str, schema: str, name: str, columns: pa.Schema
) -> None:
    version = _version(lake, plan, key)
    body = _empty(columns) if version is None else f"select * from {_attach(connection, lake, key, version)}"
    connection.execute(f"create or replace view {sql_name(schema)}.{sql_name(name)} as {body}")


def _add_missing_columns(connection: duckdb.DuckDBPyConnection, lake: Lake, plan: Plan, entities: Sequence[Entity]) -> None:
    """A table landed under an older contract lacks columns until its next delivery: read them as null."""
    query = "select schema_name, table_name, list(column_name) from duckdb_columns() where schema_name like 'raw_%' group by all"
    present = {(schema, table): set(names) for schema, table, names in connection.execute(query).fetchall()}
    for entity in entities:
        wanted = entity.raw_schema()
        have = present[f"raw_{entity.family}", entity.name]
        version = _version(lake, plan, entity.key)
        if version is None or have.issuperset(wanted.names):
            continue
        columns = ", ".join(sql_name(f.name) if f.name in have else f"null::{duckdb_type(f.type)} as {sql_name(f.name)}" for f in wanted)
        name = f"{sql_name('raw_' + entity.family)}.{sql_name(entity.name)}"
        connection.execute(f"create or replace view {name} as select {columns} from {_attach(connection, lake, entity.key, version)}")


def _register_models(connection: duckdb.DuckDBPyConnection, lake: Lake) -> dict[str, int]:
    connection.execute(
        "create or replace table lake.model_version"
        " (table_schema varchar, table_name varchar, version bigint, strategy varchar, rows_written bigint)"
    )
    found: dict[str, int] = {}
    for schema in MODEL_SCHEMAS:
        connection.execute(f"create schema if not exists {sql_name(schema)}")
        for log in sorted((lake.tables / schema).glob("*/_delta_log")):
            name = log.parent.name
            version = newest_version(lake, f"{schema}/{name}")
            if version is not None:
                source = _attach(connection, lake, f"{schema}/{name}", version)
                connection.execute(f"create or replace view {sql_name(schema)}.{sql_name(name)} as select * from {source}")
                found[f"{schema}/{name}"] = version
    rows = [f"({', '.join(map(sql_literal, key.split('/')))}, {version}, null, null)" for key, version in found.items()]
    if rows:
        connection.execute(f"insert into lake.model_version values {', '.join(rows)}")
    return found


def _version(lake: Lake, plan: Plan, key: str) -> int | None:
    newest = newest_version(lake, key)
    return None if newest is None else plan.raw_versions.get(key, newest)


def _attach(connection: duckdb.DuckDBPyConnection, lake: Lake, key: str, version: int) -> str:
    """Attach one version of a table; the quoted name under which it can be selected from.

    An attached version is read from the log once, a `delta_scan` at every bind: 0.5 against 19 CPU ms for a table of 60
    commits, and a dbt run binds each table many times.
    """
    name = sql_name(f"{key}@{version}")
    path = sql_literal(str(lake.table(key)))
    connection.execute(f"attach if not exists {path} as {name} (type delta, read_only, version {version})")
    return name


def _text(value: str | None) -> str:
    return "null::varchar" if value is None else sql_literal(value)


def _empty(columns: pa.Schema) -> str:
    listed = ", ".join(f"null::{duckdb_type(f.type)} as {sql_name(f.name)}" for f in columns)
    return f"select {listed} where false"
