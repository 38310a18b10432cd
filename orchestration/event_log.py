"""Dagster's SQLite event log with connections that stay open, and one transaction for what is told at once.

Belongs here: those two changes. Does not belong here: anything about which events there are.

Dagster 1.13 makes a new SQLAlchemy engine, and so compiles every statement anew, for each event: 7 ms CPU each, 11 s for a run of this
project (1,500 events with those that announce assets and checks). With the engine kept it is 2.6 s. It also asks the database for each
event of an asset which columns its tables have, and commits up to four times an event. `tests/integration/test_dagster.py` fails if
Dagster stops calling `_connect`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import StaticPool

OPEN_SHARDS = 8
"""Databases kept open (one a run, one index). More: more file handles in the web server. Fewer: pages of many runs reopen them."""


class PooledEventLog(SqliteEventLogStorage):
    """As its parent; each shard keeps one connection, used under the parent's lock."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._together: ExitStack | None = None
        self._joined: dict[str, sa.Connection] = {}
        self._there: set[str] = set()
        super().__init__(base_dir, inst_data)
        self._db_lock = threading.RLock()  # type: ignore[assignment]  # a call inside a call joins its transaction

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> PooledEventLog:
        """Made by Dagster from `dagster.yaml`."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock:
            if shard in self._joined:
                yield self._joined[shard]
                return
            engine = self._engine_of(shard)
            if self._together is not None:
                connection = self._together.enter_context(engine.connect())
                self._together.enter_context(connection.begin())
                self._joined[shard] = connection
                yield connection
                return
            with engine.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        """What is written inside is committed at its end, once a database; an error takes all of it back."""
        with self._db_lock:
            if self._together is not None:
                yield
                return
            try:
                with ExitStack() as self._together:
                    yield
            finally:
                self._together = None
                self._joined.clear()

    def store_event(self, event: EventLogEntry) -> None:
        """As its parent, in one transaction."""
        with self._one_transaction():
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """As its parent, in one transaction: Dagster announces hundreds of assets and checks when a run begins."""
        with self._one_transaction():
            super().store_event_batch(events)

    def has_table(self, table_name: str) -> bool:
        """As its parent, asked once."""
        return self._once(table_name, lambda: super(PooledEventLog, self).has_table(table_name))

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        return self._once(
            f"asset_keys.{column_name}", lambda: super(PooledEventLog, self)._has_asset_key_col_on_connection(conn, column_name)
        )

    def _once(self, what: str, ask: Callable[[], bool]) -> bool:
        """What is there stays there; what is not may come with a migration."""
        if what not in self._there and ask():
            self._there.add(what)
        return what in self._there

    def _engine_of(self, shard: str) -> sa.Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            wait = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
            engine = create_engine(self.conn_string_for_shard(shard), poolclass=StaticPool, connect_args=wait)
            sa.event.listen(engine, "connect", _relax)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
        self._engines[shard] = engine
        while len(self._engines) > OPEN_SHARDS:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def dispose(self) -> None:
        """Close what is open."""
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()


def _relax(connection: Any, _record: object) -> None:
    """No wait for the disk at each event: what must survive power loss is in the ledger, not here."""
    connection.execute("PRAGMA synchronous=NORMAL")
