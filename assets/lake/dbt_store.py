"""One dbt model's query, streamed into its Delta table.

Belongs here: the types Delta lacks, the choice between replacing buckets and the whole table, the account of the commit.
Does not belong here: dbt (`dbt_plugin`), files and commits (`files`, `tables`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import pyarrow as pa

from assets.lake.commits import CommitReceipt, read_commit, read_snapshot
from assets.lake.durable import append_line
from assets.lake.files import check_rows
from assets.lake.paths import Lake
from assets.lake.plan import Plan
from assets.lake.sql import sql_name
from assets.lake.tables import Write, overwrite, replace_partitions

BATCH_ROWS = 122_880
"""Rows of an Arrow batch: one DuckDB row group."""

BUCKET = "person_bucket"

_WIDENED = {
    "utinyint": "SMALLINT", "usmallint": "INTEGER", "uinteger": "BIGINT", "ubigint": "DECIMAL(20,0)", "hugeint": "DECIMAL(38,0)",
    "uhugeint": "DECIMAL(38,0)", "uuid": "VARCHAR", "json": "VARCHAR", "time": "VARCHAR", "time with time zone": "VARCHAR",
    "interval": "VARCHAR", "bit": "VARCHAR", "bignum": "VARCHAR", "enum": "VARCHAR", "timestamp": "TIMESTAMP WITH TIME ZONE",
    "timestamp_s": "TIMESTAMP WITH TIME ZONE", "timestamp_ms": "TIMESTAMP WITH TIME ZONE", '"null"': "INTEGER",
}  # fmt: skip
"""DuckDB types that not every Delta reader knows -> the nearest that holds every value. TIMESTAMP is taken as UTC."""

_REFUSED = frozenset({"timestamp_ns", "union", "geometry", "variant"})


class TypeRefused(ValueError):
    """A model's column has a type that Delta cannot hold without loss; the message names it."""


@dataclass(frozen=True)
class ModelJob:
    """One model to store.

    Attributes:
        schema: Schema of the model.
        model: Its table name.
        unique_id: dbt's id, the app transaction's name.
        sql: Compiled query.
        partition_by: Partition columns; `person_bucket` makes it a person-level model.
        replace: Replace only the plan's buckets.
        buckets: The plan's buckets.
        force: Write even if this build wrote the same before.
        columns: Columns of an enforced contract in order, empty without one.
        required: Columns that may not be null.
        upstream: State of what the model reads; part of the decision whether a repeated build has to write.
        description: Of the model.
    """

    schema: str
    model: str
    unique_id: str
    sql: str
    partition_by: tuple[str, ...] = ()
    replace: bool = False
    buckets: tuple[int, ...] | None = None
    force: bool = False
    columns: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    upstream: tuple[str, ...] = ()
    description: str | None = None

    @property
    def key(self) -> str:
        """Table key."""
        return f"{self.schema}/{self.model}"

    @property
    def strategy(self) -> str:
        """`replace` of buckets or `overwrite` of the table."""
        return "replace" if self.replace else "overwrite"


@dataclass(frozen=True)
class Stored:
    """What storing a model did; one line of `control/dbt_commits.jsonl`.

    Attributes:
        run_id: Of the plan.
        model: Table name.
        schema: Its schema.
        version: Delta version.
        rows: Rows of the whole table at that version.
        rows_written: Rows the commit added.
        bytes: Bytes the commit added.
        files: Files the commit added: path, bytes, sha256.
        log_sha256: Hash of the log file.
        cpu_s: CPU seconds of the process while it ran; counts both threads where two models run at once.
        strategy: overwrite, replace, unchanged (this build had written it) or recovered (a killed build had).
    """

    run_id: str
    model: str
    schema: str
    version: int
    rows: int
    rows_written: int
    bytes: int
    files: Sequence[Mapping[str, Any]] = field(repr=False)
    log_sha256: str = ""
    cpu_s: float = 0.0
    strategy: str = "overwrite"

    def as_line(self) -> str:
        """JSON, one line."""
        return json.dumps({**self.__dict__, "files": list(self.files)}, sort_keys=True)


def store_model(cursor: duckdb.DuckDBPyConnection, lake: Lake, plan: Plan, job: ModelJob) -> Stored:
    """Run a model's query and commit its rows, whole or not at all.

    Args:
        cursor: DuckDB cursor that no other thread uses.
        lake: The lake.
        plan: The run's plan.
        job: The model.

    Returns:
        The account, already written to `control/dbt_commits.jsonl`.

    Raises:
        TypeRefused: A column that Delta cannot hold.
        RowsRefused: NaN, a null in a required column, a bucket that the run does not rebuild.
        TornTable: The table is behind the ledger.
    """
    started = time.process_time()
    fingerprint = _fingerprint(plan, job)
    recovered: list[CommitReceipt] = []
    expected = (plan.model_versions or {}).get(job.key)
    write = Write(
        job.partition_by,
        app_id=f"dbt:{job.unique_id}" if plan.batch and not job.force else None,
        version=plan.batch,
        metadata={"model": job.unique_id, "run_id": plan.run_id, "fingerprint": fingerprint},
        expected_version=expected,
        record_commit=recovered.append if plan.model_versions is not None else None,  # also of a table that a killed build made
        description=job.description or None,
    )
    receipt = _write(cursor, lake, job, write)
    if receipt.replayed and receipt.metadata.get("fingerprint") != fingerprint:
        receipt = _write(cursor, lake, job, replace(write, app_id=None))
    _account(lake, plan, job, [r for r in recovered if r.version != receipt.version], 0.0, "recovered")
    strategy = "unchanged" if receipt.replayed else job.strategy
    return _account(lake, plan, job, [receipt], time.process_time() - started, strategy)[0]


def run_model(cursor: duckdb.DuckDBPyConnection, job: ModelJob) -> None:
    """Run a model's query and check its rows as for a table, and keep nothing.

    Raises:
        duckdb.Error, RowsRefused, TypeRefused: What `store_model` would stumble over.
    """
    reader = _stream(cursor, job)
    schema = pa.schema([f.with_nullable(f.name not in job.required) for f in reader.schema])
    for batch in reader:
        check_rows(job.key, batch, schema)


def delta_type(kind: Any) -> str:
    """DuckDB type to cast to before writing.

    Args:
        kind: A `duckdb.DuckDBPyType`.

    Raises:
        TypeRefused: No Delta type holds it without loss.
    """
    name = kind.id
    if name in ("list", "array"):
        return f"{delta_type(kind.children[0][1])}[]"
    if name == "struct":
        return f"STRUCT({', '.join(f'{sql_name(n)} {delta_type(t)}' for n, t in kind.children)})"
    if name == "map":
        children = dict(kind.children)
        return f"MAP({delta_type(children['key'])}, {delta_type(children['value'])})"
    if name in _REFUSED:
        raise TypeRefused(f"type {kind} cannot be held by Delta without loss; cast it in the model")
    return _WIDENED.get(str(kind).lower(), _WIDENED.get(name, str(kind)))


def _write(cursor: duckdb.DuckDBPyConnection, lake: Lake, job: ModelJob, write: Write) -> CommitReceipt:
    reader = _stream(cursor, job)
    schema = pa.schema([f.with_nullable(f.name not in job.required) for f in reader.schema])
    if job.replace and job.buckets is not None:
        return replace_partitions(lake, job.key, reader, column=BUCKET, values=job.buckets, write=write, schema=schema)
    return overwrite(lake, job.key, reader, write=write, schema=schema)


def _stream(cursor: duckdb.DuckDBPyConnection, job: ModelJob) -> pa.RecordBatchReader:
    described = cursor.query(job.sql)
    types = dict(zip(described.columns, described.types, strict=True))
    names = job.columns or tuple(described.columns)
    chosen = []
    for name in names:
        try:
            wanted = delta_type(types[name])
        except TypeRefused as error:
            raise TypeRefused(f"{job.key}: {name}: {error}") from error
        column = sql_name(name)
        chosen.append(column if wanted == str(types[name]) else f"cast({column} as {wanted}) as {column}")
    one_partition = job.replace and job.buckets is not None and len(job.buckets) == 1
    order = "" if one_partition or not job.partition_by else f" order by {', '.join(map(sql_name, job.partition_by))}"
    return cursor.execute(f"select {', '.join(chosen)} from ({job.sql}\n) as _model{order}").to_arrow_reader(BATCH_ROWS)


def _account(lake: Lake, plan: Plan, job: ModelJob, receipts: Sequence[CommitReceipt], cpu_s: float, strategy: str) -> list[Stored]:
    done = []
    for receipt in receipts:
        is_whole = strategy == "overwrite"
        rows = receipt.rows if is_whole else read_snapshot(lake, job.key, receipt.version).rows
        stored = Stored(
            plan.run_id, job.model, job.schema, receipt.version, rows, receipt.rows, receipt.bytes, receipt.files, receipt.log_sha256,
            round(cpu_s, 3), strategy,
        )  # fmt: skip
        append_line(lake.dbt_commits, stored.as_line())
        done.append(stored)
    return done


def _fingerprint(plan: Plan, job: ModelJob) -> str:
    facts = [
        job.sql,
        job.strategy,
        job.buckets,
        job.columns,
        sorted(job.required),
        job.upstream,
        plan.as_of.isoformat(),
        dict(plan.raw_versions),
        plan.held,
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


__all__ = ["ModelJob", "Stored", "TypeRefused", "delta_type", "read_commit", "store_model"]
