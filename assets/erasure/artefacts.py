"""What Dagster and dbt keep beside the tables: files and runs that name a person are taken away.

Belongs here: finding them. Does not belong here: deleting a run, which is Dagster's own business (the caller hands that in).

No identifier should be there at all; this is for a person id in a message, and for what an earlier release may have left. Files of dbt and outputs of
steps are made anew by the next run; of a run that names the person, Dagster forgets everything.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from assets.erasure.scan import CANNOT_READ, Scanner
from assets.lake.durable import fsync_folders
from assets.lake.paths import Lake

_SQLITE = b"SQLite format 3\0"


def clean(
    lake: Lake, scanner: Scanner, forget_runs: Callable[[frozenset[str]], object], *, only: Collection[str] | None = None
) -> Counter[str]:
    """Take away dbt's files, and runs of Dagster, in which something of a person stands.

    Args:
        lake: The lake.
        scanner: What to look for.
        forget_runs: Makes Dagster forget runs, by id.
        only: Paths below the lake root that are looked at. None: all.

    Returns:
        Files and runs.
    """

    def hit(path: Path) -> bool:
        return (only is None or str(path.relative_to(lake.root)) in only) and _hit(scanner, path)

    files = [path for path in _files(lake.control / "dbt") if hit(path)]
    for path in files:
        path.unlink(missing_ok=True)
    if files:
        fsync_folders(files, below=lake.control)
    databases = [path for path in _files(lake.dagster_home) if _is_database(path)]
    runs = {run for path in databases if hit(path) for run in _runs_in(path, scanner)}
    outputs = [path for path in _files(lake.dagster_home / "storage") if hit(path)]
    runs |= {path.relative_to(lake.dagster_home / "storage").parts[0] for path in outputs}
    if runs:
        forget_runs(frozenset(runs))
    for path in outputs:
        path.unlink(missing_ok=True)
    for path in databases:
        if path.exists() and runs:
            _write_anew(path)
    return Counter({"files": len(files) + len(outputs), "runs": len(runs)})


def wipe_free_pages(engine: sa.Engine) -> None:
    """Write a SQLite file anew, so that no free page and no write-ahead log holds what was deleted. A server does so by itself."""
    if engine.dialect.name != "sqlite":
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum")
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def _hit(scanner: Scanner, path: Path) -> bool:
    try:
        return bool(scanner.scan_file(path))
    except CANNOT_READ:  # the byte scan names it
        return False


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _runs_in(database: Path, scanner: Scanner) -> Iterator[str]:
    """Runs whose rows hold a value; `run_id` is the column by which every table of Dagster names them."""
    with closing(sqlite3.connect(database)) as connection:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            cursor = connection.execute(f'select * from "{table}"')
            names = [c[0] for c in cursor.description]
            if "run_id" not in names:
                continue
            for row in cursor:
                text = "\n".join(str(v) for v in row if v is not None).encode("utf-8", "surrogateescape")
                if row[names.index("run_id")] and scanner.scan_bytes(text):
                    yield row[names.index("run_id")]


def _write_anew(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
