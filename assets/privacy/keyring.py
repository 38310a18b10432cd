"""The wrapped keys that a vault holds, and what they are once unwrapped.

Belongs here: making them for a new vault, taking over a vault of the older layout, reading them. Does not belong here: the key outside
(`keys`), changing either (`rotation`).

Older layout: one secret outside, from which everything was derived; nothing wrapped. Its first opening by this code stores, in one
transaction, that secret as the root and the sealing key derived from it as version 1. So no person, look-up or record changes, and the key
file stays what it was until it is rotated.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from assets.privacy.keys import KeyEncryptionKey, KeyProblem, SealingKeys, VaultKey, new_secret
from assets.privacy.vault_schema import DATA_KEY, IDENTIFIER, SETTING

ROOT = "root"
SEAL = "seal"
CHECK = "key_check"
_OLD_MARK = b"biodam vault"
_MARK = b"biodam vault 2"
"""An earlier release knows only the old mark, so it stops at a vault whose values it could not seal rightly."""


@dataclass(frozen=True)
class Keyring:
    """The keys of an open vault: the root that recognises, the versions that seal, the ident of the key they are wrapped under."""

    root: VaultKey
    seals: SealingKeys
    kek: str


def open_keyring(engine: sa.Engine, kek: KeyEncryptionKey) -> Keyring:
    """Unwrap the vault's keys; make them first where it has none.

    Raises:
        KeyProblem: The key is another vault's, or the vault's own keys are gone or altered. Nothing was written.
    """
    rows = _rows(engine)
    if not rows:
        try:
            with engine.begin() as connection:
                _found(connection, kek)
        except (sa.exc.IntegrityError, sa.exc.OperationalError):
            if not _rows(engine):  # else another process made them at the same moment
                raise
        rows = _rows(engine)
    return _unwrapped(engine, rows, kek)


def key_rows(connection: sa.Connection) -> Sequence[Any]:
    """Rows of the wrapped keys: the root, then the sealing versions, oldest first."""
    return connection.execute(sa.select(DATA_KEY).order_by(DATA_KEY.c.name, DATA_KEY.c.version)).all()


def require_current(connection: sa.Connection, seals: SealingKeys) -> None:
    """Stop a writer that sealed with a version that is the newest no more. Call it in the writing transaction, after the write.

    On Postgres the row is held until the transaction ends, so that no rotation takes the version away in between; SQLite has one writer.

    Raises:
        KeyProblem: The data key was changed since this process opened the vault; the transaction must not be committed.
    """
    c = DATA_KEY.c
    query = sa.select(c.version).where(c.name == SEAL).order_by(c.version.desc()).limit(1).with_for_update(read=True)
    if connection.execute(query).scalar() != seals.newest:
        raise KeyProblem("the vault's data key was changed while this process ran; nothing was written. Remedy: run the command again")


def store_key(connection: sa.Connection, kek: KeyEncryptionKey, name: str, version: int, secret: bytes) -> None:
    """Store one key, wrapped."""
    values = {"name": name, "version": version, "wrapped": kek.wrap(name, version, secret), "kek": kek.ident, "made_at": now()}
    connection.execute(DATA_KEY.insert().values(**values))


def store_mark(connection: sa.Connection, root: VaultKey) -> None:
    """Store the mark by which later openings know that the root is this vault's."""
    connection.execute(SETTING.delete().where(SETTING.c.name == CHECK))
    connection.execute(SETTING.insert().values(name=CHECK, value=_mark(root, _MARK)))


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _rows(engine: sa.Engine) -> Sequence[Any]:
    with engine.connect() as connection:
        return key_rows(connection)


def _found(connection: sa.Connection, kek: KeyEncryptionKey) -> None:
    """Keys of a new vault, or of one of the older layout."""
    stored = connection.execute(sa.select(SETTING.c.value).where(SETTING.c.name == CHECK)).scalar()
    if stored is None:
        if connection.execute(sa.select(IDENTIFIER.c.lookup).limit(1)).first() is not None:
            raise KeyProblem(
                "the vault holds people, but its keys are gone from it. Remedy: restore the vault from a backup; nothing was written"
            )
        root = VaultKey(new_secret())
        store_key(connection, kek, ROOT, 1, root.secret)
        store_key(connection, kek, SEAL, 1, new_secret())
        store_mark(connection, root)
        return
    root = VaultKey(kek.secret)
    if not hmac.compare_digest(stored, _mark(root, _OLD_MARK)):
        raise KeyProblem("the key file does not belong to this vault: nothing was read or written")
    store_key(connection, kek, ROOT, 1, kek.secret)
    store_key(connection, kek, SEAL, 1, root.derive("seal"))


def _unwrapped(engine: sa.Engine, rows: Sequence[Any], kek: KeyEncryptionKey) -> Keyring:
    other = {row.kek for row in rows} - {kek.ident}
    if other:
        raise KeyProblem(
            f"the key does not belong to this vault: it is {kek.ident}, the vault's keys are wrapped under {', '.join(sorted(other))}."
            " Nothing was read or written. Remedy: name the right key (docs/OPERATIONS.md, Keys of the vault)"
        )
    secrets = {(row.name, row.version): kek.unwrap(row.name, row.version, row.wrapped) for row in rows}
    seals = {version: secret for (name, version), secret in secrets.items() if name == SEAL}
    root = secrets.get((ROOT, 1))
    if root is None or not seals:
        raise KeyProblem("keys are gone from the vault. Remedy: restore the vault from a backup; nothing was written")
    key = VaultKey(root)
    with engine.connect() as connection:
        stored = connection.execute(sa.select(SETTING.c.value).where(SETTING.c.name == CHECK)).scalar() or b""
    if not any(hmac.compare_digest(stored, _mark(key, mark)) for mark in (_MARK, _OLD_MARK)):
        raise KeyProblem("the root key does not belong to this vault: it was mixed from two. Remedy: restore the vault from a backup")
    return Keyring(key, SealingKeys.of(seals), kek.ident)


def _mark(root: VaultKey, text: bytes) -> bytes:
    return hmac.digest(root.derive("check"), text, "sha256")
