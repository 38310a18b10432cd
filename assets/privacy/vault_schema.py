"""Tables of the vault and how its database is opened.

Belongs here: SQLAlchemy Core table definitions, SQLite's settings, the steps from older layouts. Does not belong here: keys (`keyring`),
people (`vault`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

META = sa.MetaData()
PERSON = sa.Table(
    "person", META,
    sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("person_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("bucket", sa.Integer, nullable=False),
    sa.Column("merged_into", sa.BigInteger, index=True),
)  # fmt: skip
IDENTIFIER = sa.Table(
    "identifier", META,
    sa.Column("lookup", sa.LargeBinary, primary_key=True),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("site", sa.String, nullable=False),
    sa.Column("person_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("seal_version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("home_person_id", sa.BigInteger),
)  # fmt: skip
"""Grain: one identifier. `person_id`: whom it stands for now. `home_person_id`: under whom its rows land, before and after merges; null: the same."""
SIGHTING = sa.Table(
    "sighting", META,
    sa.Column("site", sa.String, primary_key=True),
    sa.Column("person_id", sa.BigInteger, primary_key=True),
    sa.Column("delivery", sa.String, nullable=False, index=True),
)  # fmt: skip
EVENT = sa.Table(
    "event", META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("alias_person_id", sa.BigInteger, nullable=False),
    sa.Column("person_id", sa.BigInteger, nullable=False),
    sa.Column("delivery", sa.String, nullable=False, index=True),
    sa.Column("at", sa.String, nullable=False),
)  # fmt: skip
ERASING = sa.Table(
    "erasing", META,
    sa.Column("erasure_id", sa.String, primary_key=True),
    sa.Column("person_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.Integer, nullable=False),
)  # fmt: skip
"""Grain: one person id of somebody whose erasure has begun and not ended, with the bucket it had."""
SETTING = sa.Table("setting", META, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.LargeBinary))
BLOCKS = ("by_name", "by_sound", "by_phone", "by_phone_name", "by_address")
"""Columns by which linkage finds candidates: 63 bits of a keyed hash each, null where the parts are not known."""
RARITY = ("name_hash", "roman_hash", "address_hash")
"""Columns by which namesakes and people of one address are found, whatever else is said of them: as `BLOCKS`, but 0 where nothing is known."""
DEMOGRAPHIC = sa.Table(
    "demographic", META,
    sa.Column("site", sa.String, primary_key=True),
    sa.Column("person_id", sa.BigInteger, primary_key=True, autoincrement=False, index=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("seal_version", sa.Integer, nullable=False),
    sa.Column("is_compared", sa.Boolean, nullable=False, index=True),
    *(sa.Column(name, sa.BigInteger, index=True) for name in BLOCKS),
    *(sa.Column(name, sa.BigInteger) for name in RARITY),
    sa.Index("ix_demographic_rarity", *RARITY),
)  # fmt: skip
"""Grain: what a site says of a person, newest delivery. `person_id` is the home person; `digest` is a keyed hash that tells a change.
`RARITY` is null in rows of an earlier release until somebody is erased (`rarity`)."""
REVIEW = sa.Table(
    "review", META,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("left_person_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("right_person_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("band", sa.String, nullable=False),
    sa.Column("levels", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.UniqueConstraint("left_person_id", "right_person_id"),
)  # fmt: skip
"""Grain: one pair of home persons (the lower number left) that may be one person. `state`: open, accepted, rejected or withdrawn."""
DATA_KEY = sa.Table(
    "data_key", META,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("kek", sa.String, nullable=False),
    sa.Column("made_at", sa.String, nullable=False),
)  # fmt: skip
"""Grain: one key of the vault, wrapped under the key-encryption key whose name is `kek`. `root` has one version for ever; `seal` one, and
two while identifiers are sealed anew."""


def read_rows(connection: sa.Connection, query: sa.Select[Any]) -> list[Any]:
    """All rows of a query."""
    return list(connection.execute(query).all())


def open_engine(database: str | Path) -> sa.Engine:
    """Open the vault's database, making a SQLite file of mode 600 where there is none, and bring its tables up to date."""
    text = str(database)
    if "://" not in text:
        folder = Path(text).parent
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o700)
        Path(text).touch(mode=0o600)
        text = f"sqlite:///{text}"
    engine = sa.create_engine(text, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_pragmas)
    _bring_up_to_date(engine)
    return engine


_ADDED = {
    IDENTIFIER: {
        "seal_version": "integer not null default 1",  # before keys had versions: sealed with version 1
        "home_person_id": "bigint",  # before merges could be undone: an identifier lands where it stands
    },
    DEMOGRAPHIC: dict.fromkeys(RARITY, "bigint"),  # before names were searched in an erasure
}


def _bring_up_to_date(engine: sa.Engine) -> None:
    """Vaults of earlier releases lack columns and indexes."""
    META.create_all(engine)
    for table, columns in _ADDED.items():
        for name in columns.keys() & _lacking(engine, table):
            try:
                with engine.begin() as connection:
                    connection.execute(sa.text(f"alter table {table.name} add column {name} {columns[name]}"))
            except sa.exc.DBAPIError:
                if name in _lacking(engine, table):  # else another process took the step
                    raise
    for table in (PERSON, DEMOGRAPHIC):
        known = {index["name"] for index in sa.inspect(engine).get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in known:
                with engine.begin() as connection:
                    connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))


def _lacking(engine: sa.Engine, table: sa.Table) -> set[str]:
    """Columns that the table in this database does not have."""
    return {c.name for c in table.c} - {c["name"] for c in sa.inspect(engine).get_columns(table.name)}


def _sqlite_pragmas(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "secure_delete=ON", "cache_size=-32768"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
