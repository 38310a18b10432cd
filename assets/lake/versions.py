"""SQL that reads one version of a table.

Belongs here: the two ways to do so. Does not belong here: which version (the ledger says, `Workspace.scan`), connections (`extensions`).
`scan_of` goes through DuckDB's Delta extension (0.2 to 1 CPU s to load) and knows columns that came later. `files_of` and `select_of` read the Parquet
files as they are, in plain DuckDB.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from assets.lake.commits import Snapshot
from assets.lake.paths import Lake
from assets.lake.sql import duckdb_type, sql_literal, sql_name


def scan_of(lake: Lake, key: str, version: int) -> str:
    """What to select from, on a connection of `open_duckdb`.

    Args:
        lake: The lake.
        key: Table, for example `omop/person`.
        version: Its version.
    """
    return f"delta_scan({sql_literal(str(lake.table(key)))}, version => {version})"


def files_of(snapshot: Snapshot, *, union_by_name: bool = False) -> str:
    """What to select from in plain DuckDB; the version has files.

    Args:
        snapshot: The version.
        union_by_name: Files of it may lack columns that came later. Costs a look into every file.
    """
    folders = [f for f in snapshot.schema if f.name in snapshot.partition_by]
    types = ", ".join(f"{sql_literal(f.name)}: {type_of(f)}" for f in folders)
    partitions = f"hive_partitioning = true, hive_types = {{{types}}}" if folders else "hive_partitioning = false"
    files = ", ".join(sql_literal(str(path)) for path in snapshot.files)
    return f"read_parquet([{files}], {'union_by_name = true, ' if union_by_name else ''}{partitions})"


def select_of(snapshot: Snapshot, *, hidden: Collection[str] = ()) -> str:
    """A query of one table version from its Parquet files; of no rows where it has none.

    Args:
        snapshot: The version.
        hidden: Columns to leave out.
    """
    columns = [f for f in snapshot.schema if f.name not in hidden]
    if not snapshot.files:
        listed = ", ".join(f"null::{type_of(f)} as {sql_name(f.name)}" for f in columns)
        return f"select {listed} where false"
    return f"select {', '.join(map(_column, columns))} from {files_of(snapshot)}"


def type_of(column: pa.Field) -> str:
    """DuckDB's name of a column's type; times are UTC wall clocks."""
    return "TIMESTAMP" if pa.types.is_timestamp(column.type) else duckdb_type(column.type)


def _column(column: pa.Field) -> str:
    name = sql_name(column.name)
    if pa.types.is_timestamp(column.type):  # UTC wall clock, whatever the reader's session time zone
        return f"make_timestamp(epoch_us({name})) as {name}"
    return f"cast({name} as {type_of(column)}) as {name}"
