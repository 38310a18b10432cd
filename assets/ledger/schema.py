"""Tables of the control database.

Belongs here: SQLAlchemy Core table definitions and how a database is opened. Does not belong here: queries, the identity vault
(its own database in `assets/privacy/vault_schema.py`), the audit (`audit`), anything about a person beyond a bucket number and, for people set aside
and people who withdrew (`withdrawn`), their person id.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

METADATA = sa.MetaData()

VERSION = 3
"""Of the control database. Raise it, with a step in `_STEPS`, where a table changes or old rows need a value; a new empty table alone needs none."""


class LedgerTooNew(RuntimeError):
    """The control database was written by a later release, and this one may misread it."""


class DeliveryState(enum.StrEnum):
    """Closed life of a delivery. Allowed steps are in `TRANSITIONS`."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    LANDED = "landed"
    DUPLICATE = "duplicate"


TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.WAITING: frozenset({DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.DUPLICATE}),
    DeliveryState.ACCEPTED: frozenset({DeliveryState.LANDED, DeliveryState.REFUSED}),
    DeliveryState.REFUSED: frozenset(),
    DeliveryState.LANDED: frozenset(),
    DeliveryState.DUPLICATE: frozenset(),
}
"""waiting: seen, closed by its manifest. accepted: hashes hold, bytes are ours. refused: whole, with a reason.
landed: every record is in a raw table, in quarantine or counted as duplicate. duplicate: same bytes as one already landed."""

_KEY = ("site", "feed", "delivery_id")

DELIVERY = sa.Table(
    "delivery",
    METADATA,
    sa.Column("site", sa.String, primary_key=True),
    sa.Column("feed", sa.String, primary_key=True),
    sa.Column("delivery_id", sa.String, primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("period", sa.String),
    sa.Column("manifest_sha256", sa.String, nullable=False),
    sa.Column("content_digest", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("detail", sa.String),
    sa.Column("received_at", sa.String, nullable=False),
    sa.Column("closed_at", sa.String),
    sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("delivered", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("landed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("quarantined", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("duplicate", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("delivery_digest", "site", "feed", "content_digest"),
)
"""Grain: one delivery. Counts are records; delivered = landed + quarantined + duplicate once the state is landed."""

DELIVERY_FILE = sa.Table(
    "delivery_file",
    METADATA,
    *(sa.Column(c, sa.String, primary_key=True) for c in _KEY),
    sa.Column("file_index", sa.Integer, primary_key=True),
    sa.Column("ref", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("counted", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("landed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("quarantined", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("duplicate", sa.BigInteger, nullable=False, server_default="0"),
)
"""Grain: one delivered file, under its neutral name. `counted` comes from the independent counter."""

ENTITY_COUNT = sa.Table(
    "entity_count",
    METADATA,
    *(sa.Column(c, sa.String, primary_key=True) for c in _KEY),
    sa.Column("entity", sa.String, primary_key=True),
    sa.Column("landed", sa.BigInteger, nullable=False),
    sa.Column("table_version", sa.BigInteger),
)
"""Grain: rows that one delivery added to one raw table."""

QUARANTINE = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    *(sa.Column(c, sa.String, nullable=False) for c in _KEY),
    sa.Column("file_index", sa.Integer),
    sa.Column("ref", sa.String, nullable=False),
    sa.Column("row_number", sa.BigInteger),
    sa.Column("byte_offset", sa.BigInteger),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("rule", sa.String),
    sa.Column("detail", sa.String),
    sa.Column("rule_version", sa.String, nullable=False),
    sa.Index("quarantine_delivery", *_KEY),
)
"""Grain: one refused record, or one refused file (`row_number` null, `records` says how many it held). No values."""

COMMIT = sa.Table(
    "lake_commit",
    METADATA,
    sa.Column("table_key", sa.String, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("log_sha256", sa.String),
    sa.Column("previous_hash", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
    sa.Column("code_version", sa.String),
    sa.Column("consent_version", sa.BigInteger),
    sa.Column("cause", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
"""Grain: one Delta commit, chained by hash within its table."""

CHANGE = sa.Table(
    "change",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("cause", sa.String, nullable=False, unique=True),
    sa.Column("buckets", sa.JSON, nullable=False),
    sa.Column("touches_everything", sa.Boolean, nullable=False),
    sa.Column("built_by", sa.String),
    sa.Column("at", sa.String, nullable=False),
)
"""Grain: one reason to rebuild something: the person buckets that a landed delivery, merge or reference release touches."""

MOVE = sa.Table(
    "move",
    METADATA,
    sa.Column("from_bucket", sa.Integer, primary_key=True),
    sa.Column("to_bucket", sa.Integer, primary_key=True),
)
"""Grain: two buckets that hold versions of one record, because a correction named another person: they are read together."""

BUILD = sa.Table(
    "build",
    METADATA,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("as_of", sa.String, nullable=False),
    sa.Column("code_version", sa.String, nullable=False),
    sa.Column("full", sa.Boolean, nullable=False),
    sa.Column("buckets", sa.JSON),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("next_consent_change", sa.String),
    sa.Column("number", sa.Integer),
)
"""Grain: one dbt build; `state` is started, finished or failed. `number`: in which order they began, whatever the clock said."""

SOURCE_HEADER = sa.Table(
    "source_header",
    METADATA,
    *(sa.Column(c, sa.String, primary_key=True) for c in _KEY),
    sa.Column("source_table", sa.String, primary_key=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
)
"""Grain: one table of one landed delivery, with the names of the columns it came with, sorted."""

LEDGER_VERSION = sa.Table("ledger_version", METADATA, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
"""Grain: one row, the version of this database. Before version 2 there was no such table."""

TOLD = sa.Table(
    "told",
    METADATA,
    *(sa.Column(c, sa.String, primary_key=True) for c in _KEY),
)
"""Grain: one landed delivery of which Dagster has been told. A run killed between the two leaves it to the next."""

SET_ASIDE = sa.Table(
    "set_aside",
    METADATA,
    sa.Column("person_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.Integer, nullable=False),
    sa.Column("ids", sa.JSON, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False),
    sa.Column("places", sa.JSON, nullable=False),
    sa.Column("code_version", sa.String, nullable=False),
    sa.Column("change_id", sa.Integer, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
"""Grain: one person whom builds leave out, because a model fails on their records. Tried again with new code, or once a change with an id above
`change_id` touches their bucket. `ids`: person ids merged into this one. `places`: raw table, site, delivery and number of records."""

REPLAY = sa.Table(
    "replay",
    METADATA,
    sa.Column("quarantine_id", sa.Integer, primary_key=True),
    *(sa.Column(c, sa.String, nullable=False) for c in _KEY),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("rule_version", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Index("replay_delivery", *_KEY),
)
"""Grain: one quarantine entry that a replay settled; it counts no more. `number`: which replay of its delivery it was, from 1."""

REMOVED_FILE = sa.Table(
    "removed_file",
    METADATA,
    sa.Column("table_key", sa.String, primary_key=True),
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("cause", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
"""Grain: one data file that a commit row names and that was taken away on purpose (vacuum, repair, erasure): it need not be found."""

RETIRED_COMMIT = sa.Table(
    "retired_commit",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("table_key", sa.String, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
    sa.Column("entry", sa.JSON, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
)
"""Grain: one commit that a repair took back because the table was damaged; `entry` is its old row of `lake_commit`."""

CHECKED_TABLE = sa.Table(
    "checked_table",
    METADATA,
    sa.Column("table_key", sa.String, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("stamps", sa.JSON, nullable=False),
)
"""Grain: one table as it was last found whole: the files of a version with the stamp (inode, size, times) each had when its hash was checked."""

COHORT_STAMP = sa.Table(
    "cohort_stamp",
    METADATA,
    sa.Column("cohort", sa.String, primary_key=True),
    sa.Column("issue", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("definition", sa.String, nullable=False),
    sa.Column("definition_sha256", sa.String, nullable=False),
    sa.Column("versions", sa.JSON, nullable=False),
    sa.Column("vocabulary_release", sa.String, nullable=False),
    sa.Column("code_version", sa.String, nullable=False),
    sa.Column("consent_day", sa.String, nullable=False),
    sa.Column("consent_event", sa.String),
    sa.Column("request", sa.JSON),
    sa.Column("reissue_of", sa.Integer),
    sa.Column("statement", sa.JSON),
    sa.Column("people", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("rows_sha256", sa.String, nullable=False, server_default=""),
    sa.Column("versions_let_go", sa.String),
    sa.Column("at", sa.String, nullable=False),
)
"""Grain: one issue of a frozen cohort. `versions`: table -> version it was made of. `state`: making, frozen or retired. `versions_let_go`: why
vacuum need not keep those versions any more. No person is named here: members are in the Delta table `cohort/member`."""


def open_ledger(url_or_path: str | Path) -> sa.Engine:
    """Open the control database and create what is missing.

    Args:
        url_or_path: SQLAlchemy URL (Postgres), or a file path for SQLite.

    Returns:
        An engine. SQLite runs in WAL mode with full synchronisation, so a committed row survives power loss.

    Raises:
        LedgerTooNew: A later release wrote it; nothing was changed.
    """
    text = str(url_or_path)
    if "://" not in text:
        Path(text).parent.mkdir(parents=True, exist_ok=True)
        text = f"sqlite:///{text}"
    engine = sa.create_engine(text)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_pragmas)
    try:
        _bring_up_to_date(engine)
    except BaseException:
        engine.dispose()  # a connection that waits to be collected keeps the file open
        raise
    return engine


def ledger_version(connection: sa.Connection) -> int | None:
    """Version of a control database, or None where there is none yet."""
    tables = sa.inspect(connection).get_table_names()
    if LEDGER_VERSION.name in tables:
        return connection.execute(sa.select(sa.func.max(LEDGER_VERSION.c.version))).scalar()
    return 1 if DELIVERY.name in tables else None


def _bring_up_to_date(engine: sa.Engine) -> None:
    """Create what is missing and take the steps from the version found to ours. Two processes may do so at once."""
    with engine.begin() as connection:
        found = ledger_version(connection)
        if found is not None and found > VERSION:
            raise LedgerTooNew(
                f"the control database is of version {found}, this Biodam knows up to version {VERSION}: a later release wrote it. Remedy: install"
                " that release again, or restore the backup from before the upgrade (docs/OPERATIONS.md, Upgrade and rollback)"
            )
        METADATA.create_all(connection)
        if found == VERSION:
            return
        for version in range(found or VERSION, VERSION):
            _STEPS[version](connection)
        connection.execute(LEDGER_VERSION.delete().where(LEDGER_VERSION.c.version != VERSION))
        if connection.execute(sa.select(LEDGER_VERSION.c.version)).first() is None:
            connection.execute(LEDGER_VERSION.insert().values(version=VERSION))


def _everything_was_told(connection: sa.Connection) -> None:
    """Version 1 did not note of which deliveries Dagster knew: it was told of all but perhaps the last."""
    key = [DELIVERY.c[n] for n in _KEY]
    untold = ~sa.exists().where(*(TOLD.c[n] == DELIVERY.c[n] for n in _KEY))
    connection.execute(TOLD.insert().from_select(list(_KEY), sa.select(*key).where(DELIVERY.c.state == DeliveryState.LANDED, untold)))


def _builds_are_numbered(connection: sa.Connection) -> None:
    """Version 2 told the last build by the clock, which may go back."""
    if BUILD.c.number.name not in {c["name"] for c in sa.inspect(connection).get_columns(BUILD.name)}:
        connection.execute(sa.text("ALTER TABLE build ADD COLUMN number INTEGER"))
    builds = connection.execute(sa.select(BUILD.c.run_id).order_by(BUILD.c.at, BUILD.c.run_id)).all()
    for number, (run_id,) in enumerate(builds, 1):
        connection.execute(BUILD.update().where(BUILD.c.run_id == run_id).values(number=number))


_STEPS: dict[int, Callable[[sa.Connection], None]] = {1: _everything_was_told, 2: _builds_are_numbered}
"""Version -> the step to the next."""


def _sqlite_pragmas(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
