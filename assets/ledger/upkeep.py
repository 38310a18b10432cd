"""Books of what upkeep does to the lake: files taken away, commits taken back, tables found whole.

Belongs here: reads and writes of those rows. Does not belong here: touching a file (`assets/lake`), deciding (`assets/upkeep`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from assets.ledger.deliveries import utc_now
from assets.ledger.schema import CHECKED_TABLE, COMMIT, REMOVED_FILE, RETIRED_COMMIT


class UpkeepBooks:
    """Upkeep rows of one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def table_keys(self) -> tuple[str, ...]:
        """Every table that the ledger has a commit of, sorted."""
        with self._engine.connect() as connection:
            return tuple(connection.execute(sa.select(COMMIT.c.table_key).distinct().order_by(COMMIT.c.table_key)).scalars())

    def commits(self, table_key: str) -> Iterator[Mapping[str, Any]]:
        """Commit rows of a table, oldest first, a few at a time."""
        query = sa.select(COMMIT).where(COMMIT.c.table_key == table_key).order_by(COMMIT.c.version)
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=100).execute(query).mappings():
                yield dict(row)

    def last_commit_at(self) -> str | None:
        """When the newest commit of any table was recorded, ISO 8601 in UTC."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.max(COMMIT.c.at))).scalar()

    def removed(self, table_key: str) -> set[str]:
        """Paths of files of a table that were taken away on purpose."""
        with self._engine.connect() as connection:
            return set(connection.execute(sa.select(REMOVED_FILE.c.path).where(REMOVED_FILE.c.table_key == table_key)).scalars())

    def removed_because(self, cause: str) -> dict[str, list[str]]:
        """Table -> paths of files that were taken away for one reason."""
        query = sa.select(REMOVED_FILE).where(REMOVED_FILE.c.cause == cause).order_by(REMOVED_FILE.c.table_key, REMOVED_FILE.c.path)
        found: dict[str, list[str]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                found.setdefault(row.table_key, []).append(row.path)
        return found

    def note_removed(self, table_key: str, paths: Iterable[str], *, cause: str) -> None:
        """Record that files are taken away. Call it before they are: a kill in between leaves a file that the next vacuum takes."""
        known = self.removed(table_key)
        rows = [{"table_key": table_key, "path": p, "cause": cause, "at": utc_now()} for p in sorted(set(paths) - known)]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(REMOVED_FILE.insert(), rows)

    def retire(self, table_key: str, *, after: int, reason: str) -> int:
        """Take back every commit row of a table newer than a version (-1: all). Returns how many; the rows are kept aside."""
        query = sa.select(COMMIT).where(COMMIT.c.table_key == table_key, COMMIT.c.version > after).order_by(COMMIT.c.version)
        with self._engine.begin() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
            kept = [
                {"table_key": table_key, "version": r["version"], "hash": r["hash"], "entry": r, "reason": reason, "at": utc_now()}
                for r in rows
            ]
            if kept:
                connection.execute(RETIRED_COMMIT.insert(), kept)
                connection.execute(COMMIT.delete().where(COMMIT.c.table_key == table_key, COMMIT.c.version > after))
            connection.execute(CHECKED_TABLE.delete().where(CHECKED_TABLE.c.table_key == table_key))
        return len(kept)

    def retired(self, table_key: str) -> list[dict[str, Any]]:
        """Commits of a table that were taken back, in that order."""
        query = sa.select(RETIRED_COMMIT).where(RETIRED_COMMIT.c.table_key == table_key).order_by(RETIRED_COMMIT.c.id)
        with self._engine.connect() as connection:
            return [dict(r) for r in connection.execute(query).mappings()]

    def stamps(self, table_key: str) -> tuple[int | None, dict[str, str]]:
        """Version at which a table was last found whole, and the stamps its files had then."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(CHECKED_TABLE).where(CHECKED_TABLE.c.table_key == table_key)).first()
        return (None, {}) if row is None else (row.version, dict(row.stamps))

    def note_whole(self, table_key: str, version: int, stamps: Mapping[str, str]) -> None:
        """Record that a table was found whole."""
        with self._engine.begin() as connection:
            connection.execute(CHECKED_TABLE.delete().where(CHECKED_TABLE.c.table_key == table_key))
            connection.execute(CHECKED_TABLE.insert().values(table_key=table_key, version=version, stamps=dict(stamps)))
