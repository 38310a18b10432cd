"""Every Delta commit, chained; every change that a build still owes; every build.

Belongs here: reads and writes of those rows. Does not belong here: opening a Delta table (`assets/lake`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from assets.ledger.deliveries import utc_now
from assets.ledger.schema import BUILD, CHANGE, COMMIT, MOVE

COMPACTION = "compaction"
"""Cause of commits that merge files and change no row."""


@dataclass(frozen=True)
class CommitEntry:
    """One Delta commit as the lake reports it. `files`: path, bytes and SHA-256 of each file it added."""

    table_key: str
    version: int
    rows: int
    files: Sequence[Mapping[str, Any]]
    log_sha256: str | None
    cause: str


@dataclass(frozen=True)
class PendingChange:
    """What the next build owes: the ids of open change rows and the buckets they touch (None: all)."""

    ids: tuple[int, ...]
    causes: tuple[str, ...]
    buckets: frozenset[int] | None

    @property
    def nothing(self) -> bool:
        """True where no change is open."""
        return not self.ids


class Commits:
    """Commit, change and build rows of one control database."""

    def __init__(self, engine: sa.Engine, *, code_version: str = "") -> None:
        self._engine = engine
        self._code_version = code_version

    def record(self, entry: CommitEntry, *, consent_version: int | None = None) -> None:
        """Append a commit row, chained to the table's newest. Recording the same version again does nothing."""
        self.record_all([entry], consent_version=consent_version)

    def record_all(self, entries: Iterable[CommitEntry], *, consent_version: int | None = None) -> None:
        """As `record`, for several commits in one transaction."""
        with self._engine.begin() as connection:
            for entry in entries:
                newest = connection.execute(
                    sa.select(COMMIT.c.version, COMMIT.c.hash)
                    .where(COMMIT.c.table_key == entry.table_key)
                    .order_by(COMMIT.c.version.desc())
                    .limit(1)
                ).first()
                if newest is None or newest.version < entry.version:
                    chained = self._chained(entry, newest.hash if newest else "")
                    connection.execute(COMMIT.insert().values(**chained, consent_version=consent_version))

    def _chained(self, entry: CommitEntry, previous: str) -> dict[str, Any]:
        return {
            "table_key": entry.table_key, "version": entry.version, "rows": entry.rows, "files": list(entry.files),
            "log_sha256": entry.log_sha256, "previous_hash": previous, "hash": chain_hash(entry, previous),
            "code_version": self._code_version, "cause": entry.cause, "at": utc_now(),
        }  # fmt: skip

    def latest_version(self, table_key: str) -> int | None:
        """Newest recorded version of a table, or None."""
        query = sa.select(sa.func.max(COMMIT.c.version)).where(COMMIT.c.table_key == table_key)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def latest(self, table_key: str) -> tuple[int | None, str | None]:
        """Newest recorded version of a table and the SHA-256 of its log file; both None where there is none."""
        query = sa.select(COMMIT.c.version, COMMIT.c.log_sha256).where(COMMIT.c.table_key == table_key).order_by(COMMIT.c.version.desc())
        with self._engine.connect() as connection:
            row = connection.execute(query.limit(1)).first()
        return (None, None) if row is None else (row.version, row.log_sha256)

    def latest_versions(self) -> dict[str, int]:
        """Newest recorded version of every table."""
        query = sa.select(COMMIT.c.table_key, sa.func.max(COMMIT.c.version)).group_by(COMMIT.c.table_key)
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def data_versions(self) -> dict[str, int]:
        """Newest version of every table that changed its rows: a compaction does not."""
        query = sa.select(COMMIT.c.table_key, sa.func.max(COMMIT.c.version)).where(COMMIT.c.cause != COMPACTION)
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query.group_by(COMMIT.c.table_key))}

    def rows(self, table_key: str) -> list[dict[str, Any]]:
        """All commit rows of a table, oldest first."""
        query = sa.select(COMMIT).where(COMMIT.c.table_key == table_key).order_by(COMMIT.c.version)
        with self._engine.connect() as connection:
            return [dict(r) for r in connection.execute(query).mappings()]

    def note_change(self, cause: str, buckets: Iterable[int], *, touches_everything: bool = False) -> None:
        """Record that `cause` (unique) obliges a rebuild of these person buckets. Noting it again does nothing."""
        with self._engine.begin() as connection:
            if connection.execute(sa.select(CHANGE.c.id).where(CHANGE.c.cause == cause)).first() is None:
                values = {"cause": cause, "buckets": sorted(buckets), "touches_everything": touches_everything, "at": utc_now()}
                connection.execute(CHANGE.insert().values(**values))

    def note_moves(self, moves: Iterable[tuple[int, int]]) -> None:
        """Record pairs of buckets that hold versions of one record. Noting a pair again does nothing."""
        with self._engine.begin() as connection:
            known = set(_moves(connection))
            new = [{"from_bucket": a, "to_bucket": b} for a, b in sorted(set(moves) - known)]
            if new:
                connection.execute(MOVE.insert(), new)

    def read_with(self, buckets: Iterable[int]) -> frozenset[int]:
        """These buckets and all that hold other versions of their records."""
        asked = frozenset(buckets)
        with self._engine.connect() as connection:
            moves = _moves(connection)
        return asked | {b for a, b in moves if a in asked} | {a for a, b in moves if b in asked}

    def pending(self) -> PendingChange:
        """All changes that no finished build has covered."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(CHANGE).where(CHANGE.c.built_by.is_(None)).order_by(CHANGE.c.id)).all()
        everything = any(r.touches_everything for r in rows)
        buckets = None if everything else frozenset(b for r in rows for b in r.buckets)
        return PendingChange(tuple(r.id for r in rows), tuple(r.cause for r in rows), buckets)

    def start_build(self, run_id: str, *, as_of: str, full: bool, buckets: Sequence[int] | None, version: str) -> None:
        """Record that a build with this code version began."""
        values = {
            "run_id": run_id, "as_of": as_of, "code_version": version, "full": full,
            "buckets": None if buckets is None else list(buckets), "state": "started", "at": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        with self._engine.begin() as connection:
            newest = connection.execute(sa.select(sa.func.max(BUILD.c.number))).scalar()
            connection.execute(BUILD.insert().values(**values, number=(newest or 0) + 1))

    def finish_build(self, run_id: str, covered: PendingChange, *, next_consent_change: str | None) -> None:
        """Record that a build ended well and covered these changes."""
        with self._engine.begin() as connection:
            connection.execute(
                BUILD.update().where(BUILD.c.run_id == run_id).values(state="finished", next_consent_change=next_consent_change)
            )
            for start in range(0, len(covered.ids), 500):
                chunk = covered.ids[start : start + 500]
                connection.execute(CHANGE.update().where(CHANGE.c.id.in_(chunk)).values(built_by=run_id))

    def fail_build(self, run_id: str) -> None:
        """Record that a build failed; its changes stay open."""
        with self._engine.begin() as connection:
            connection.execute(BUILD.update().where(BUILD.c.run_id == run_id).values(state="failed"))

    def unfinished_builds(self) -> list[str]:
        """Builds that began and never said how they ended: they were killed, as only one runs at a time."""
        query = sa.select(BUILD.c.run_id).where(BUILD.c.state == "started").order_by(BUILD.c.number)
        with self._engine.connect() as connection:
            return [str(row[0]) for row in connection.execute(query)]

    def build_count(self) -> int:
        """Builds ever started."""
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(BUILD)).scalar_one())

    def last_reference(self) -> str | None:
        """Cause of the newest commit of `reference/site`, or None."""
        query = sa.select(COMMIT.c.cause).where(COMMIT.c.table_key == "reference/site").order_by(COMMIT.c.version.desc()).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def last_build(self) -> dict[str, Any] | None:
        """The newest finished build, or None. By number: after the clock went back, a later build has an earlier time."""
        query = sa.select(BUILD).where(BUILD.c.state == "finished").order_by(BUILD.c.number.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None


def chain_hash(entry: CommitEntry, previous: str) -> str:
    """SHA-256 over the commit's facts and the hash before it, so that an edited or removed row shows."""
    facts = [previous, entry.table_key, entry.version, entry.rows, list(entry.files), entry.log_sha256, entry.cause]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _moves(connection: sa.Connection) -> list[tuple[int, int]]:
    return [(int(row[0]), int(row[1])) for row in connection.execute(sa.select(MOVE.c.from_bucket, MOVE.c.to_bucket))]
