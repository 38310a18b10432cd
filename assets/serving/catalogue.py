"""The published catalogue: a DuckDB file of views pinned to table versions, swapped whole.

Belongs here: which files a view reads, comments, the data dictionary, the swap. Does not belong here: queries (`query`).

The views read the exact Parquet files of a pinned Delta version, so that plain DuckDB opens the file without the Delta
extension, offline, from any folder, while later versions are committed; `read_snapshot` and the row counts checked here are
what makes that lawful (no deletion vectors, no column mapping, no missing file).
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from assets.lake.commits import Snapshot, read_snapshot
from assets.lake.durable import fsync_file, stamp
from assets.lake.paths import Lake
from assets.lake.sql import sql_literal, sql_name
from assets.lake.versions import select_of, type_of

DICTIONARY = """
    create table biodam_tables (
        name varchar, schema varchar, description varchar, rows bigint, version bigint, published_at timestamp
    );
    create table biodam_columns (table_name varchar, position integer, column_name varchar, type varchar, description varchar);
    create table biodam_files (table_name varchar, path varchar, rows bigint, bytes bigint, stamp varchar, sha256 varchar);
    comment on table biodam_tables is 'One row per published table: what it is, how many rows, which version of the lake.';
    comment on table biodam_columns is 'Data dictionary: one row per column of each published table.';
    comment on table biodam_files is 'The Parquet files each view reads, as checked when they were published.';
"""

_HIDDEN = frozenset({"person_bucket"})
"""Storage columns that say nothing to an analyst; they are folder names, not in the files."""

_GLOB = frozenset("*?[]")


class PublishError(RuntimeError):
    """The catalogue was not published; the previous one stands. The message names table and reason."""


@dataclass(frozen=True)
class PublishedModel:
    """One table to publish.

    Attributes:
        name: View name, the model's bare name.
        schema: Schema of the model, first part of its table key.
        version: Delta version to pin.
        description: What one row is and what to beware of.
        columns: Column name -> description.
    """

    name: str
    schema: str
    version: int
    description: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Table key."""
        return f"{self.schema}/{self.name}"


@dataclass(frozen=True)
class Publication:
    """What was published.

    Attributes:
        path: The catalogue file.
        rows: Table name -> rows.
        published_at: When, UTC.
    """

    path: Path
    rows: Mapping[str, int]
    published_at: datetime


def publish(
    lake: Lake, models: Sequence[PublishedModel], *, published_at: datetime | None = None, hashes: Mapping[str, str] | None = None
) -> Publication:
    """Write the catalogue and swap it in.

    Args:
        lake: The lake.
        models: Tables to publish; names must differ.
        published_at: When the run took place; default now.
        hashes: Path -> SHA-256 of data files; a query compares a file whose stamp has changed since (`query`).

    Returns:
        What was published. Readers of the previous file keep it until they reopen.

    Raises:
        PublishError: Two tables of one name, a missing file or version, or files that do not hold the rows the log counts.
    """
    names = [m.name for m in models]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise PublishError(f"two published tables are called {', '.join(twice)}")
    if _GLOB.intersection(str(lake.tables)):
        raise PublishError(f"the lake lies in {lake.root}; DuckDB takes * ? [ ] in a path for a pattern")
    moment = (published_at or datetime.now(UTC)).astimezone(UTC)
    target = lake.catalogue
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        rows = _write(temporary, lake, models, moment, _checked_files(target), hashes or {})
        temporary.chmod(0o444)
        fsync_file(temporary)
        os.replace(temporary, target)
        fsync_file(target.parent)
    finally:
        for left in (temporary, temporary.with_name(temporary.name + ".wal")):
            with contextlib.suppress(FileNotFoundError):
                left.unlink()
    return Publication(target, rows, moment)


def _write(
    path: Path, lake: Lake, models: Sequence[PublishedModel], moment: datetime, checked: Mapping[str, int], hashes: Mapping[str, str]
) -> dict[str, int]:
    rows: dict[str, int] = {}
    with duckdb.connect(str(path)) as connection:
        connection.begin()  # one sync of the disk, not one for each of a thousand comments
        connection.execute(DICTIONARY)
        for model in sorted(models, key=lambda m: m.name):
            snapshot = _snapshot(lake, model)
            sizes = _check_files(model, snapshot, checked)
            connection.execute(f"create view {sql_name(model.name)} as {select_of(snapshot, hidden=_HIDDEN)}")
            _comment(connection, model)
            _describe(connection, model, snapshot, moment, sizes, hashes)
            rows[model.name] = snapshot.rows
        connection.commit()
        connection.execute("checkpoint")  # one that fails while the file is closed says nothing, and leaves all in a log that nobody reads
    _require_tables(path, len(models))
    return rows


def _require_tables(path: Path, count: int) -> None:
    """Open the file as a reader will: on a full disk it was once published empty.

    Raises:
        PublishError: It does not hold what was written.
    """
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            row = connection.execute("select count(*) from biodam_tables").fetchone()
    except duckdb.Error:
        row = None
    if row != (count,) or path.with_name(path.name + ".wal").exists():
        raise PublishError(
            "the catalogue could not be written whole; the one before it stays. Remedy: make room on the disk, then run again"
        )


def _snapshot(lake: Lake, model: PublishedModel) -> Snapshot:
    try:
        return read_snapshot(lake, model.key, model.version)
    except Exception as error:
        raise PublishError(f"{model.key} version {model.version} cannot be read: {str(error).splitlines()[0]}") from error


def _checked_files(catalogue: Path) -> dict[str, int]:
    """Path -> rows of files that an earlier publication checked; data files never change."""
    if not catalogue.exists():
        return {}
    try:
        with duckdb.connect(str(catalogue), read_only=True) as connection:
            return dict(connection.execute("select path, rows from biodam_files").fetchall())
    except duckdb.Error:
        return {}


def _check_files(model: PublishedModel, snapshot: Snapshot, checked: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """(path, rows, bytes) of every file; new files are opened and their rows compared with the log's count."""
    found = []
    for path, rows in snapshot.files.items():
        try:
            size = path.stat().st_size
            counted = checked.get(str(path))
            if counted is None:
                counted = pq.read_metadata(path).num_rows
        except (OSError, pa.ArrowException) as error:
            raise PublishError(f"{model.key} version {model.version}: the file {path.name} cannot be read") from error
        if counted != rows:
            raise PublishError(f"{model.key} version {model.version}: the file {path.name} holds {counted} rows, the log counts {rows}")
        found.append((str(path), rows, size))
    return found


def _comment(connection: duckdb.DuckDBPyConnection, model: PublishedModel) -> None:
    view = sql_name(model.name)
    if model.description:
        connection.execute(f"comment on view {view} is {sql_literal(model.description)}")
    present = {name for name, *_ in connection.execute(f"describe {view}").fetchall()}
    for column, text in model.columns.items():
        if text and column in present:
            connection.execute(f"comment on column {view}.{sql_name(column)} is {sql_literal(text)}")


def _describe(
    connection: duckdb.DuckDBPyConnection,
    model: PublishedModel,
    snapshot: Snapshot,
    moment: datetime,
    files: Sequence[tuple[str, int, int]],
    hashes: Mapping[str, str],
) -> None:
    texts = ", ".join(map(sql_literal, (model.name, model.schema, model.description)))
    at = sql_literal(moment.replace(tzinfo=None).isoformat(" "))
    connection.execute(f"insert into biodam_tables values ({texts}, {snapshot.rows}, {snapshot.version}, {at})")
    shown = [f for f in snapshot.schema if f.name not in _HIDDEN]
    columns = ", ".join(
        f"({sql_literal(model.name)}, {i}, {sql_literal(f.name)}, {sql_literal(type_of(f))}, {sql_literal(model.columns.get(f.name, ''))})"
        for i, f in enumerate(shown, 1)
    )
    connection.execute(f"insert into biodam_columns values {columns}")
    if files:
        paths, stamps, digests = (
            ", ".join(map(sql_literal, texts)) for texts in zip(*((p, stamp(Path(p)), hashes.get(p, "")) for p, _, _ in files), strict=True)
        )
        rows, sizes = ([f[i] for f in files] for i in (1, 2))
        unnested = ", ".join(f"unnest([{column}])" for column in (paths, *(str(c)[1:-1] for c in (rows, sizes)), stamps, digests))
        connection.execute(f"insert into biodam_files select {sql_literal(model.name)}, {unnested}")
