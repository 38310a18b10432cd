"""Tables of the vault and how its database is opened.

Belongs here: SQLAlchemy Core table definitions, SQLite's settings, the step from the older layout. Does not belong here: keys (`keyring`),
people (`vault`).
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

META = sa.MetaData()
PERSON = sa.Table(
    "person", META,
    sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("person_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("bucket", sa.Integer, nullable=False),
    sa.Column("merged_into", sa.BigInteger),
)  # fmt: skip
IDENTIFIER = sa.Table(
    "identifier", META,
    sa.Column("lookup", sa.LargeBinary, primary_key=True),
    sa.Column("system", sa.String, nullable=False),
    sa.Column("site", sa.String, nullable=False),
    sa.Column("person_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("seal_version", sa.Integer, nullable=False, server_default="1"),
)  # fmt: skip
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
SETTING = sa.Table("setting", META, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.LargeBinary))
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


def _bring_up_to_date(engine: sa.Engine) -> None:
    """Vaults made before keys had versions lack a column: what they hold was sealed with version 1."""
    META.create_all(engine)
    if not _lacks_version(engine):
        return
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("alter table identifier add column seal_version integer not null default 1"))
    except sa.exc.DBAPIError:
        if _lacks_version(engine):  # else another process took the step
            raise


def _lacks_version(engine: sa.Engine) -> bool:
    return "seal_version" not in {column["name"] for column in sa.inspect(engine).get_columns(IDENTIFIER.name)}


def _sqlite_pragmas(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "secure_delete=ON", "cache_size=-32768"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
