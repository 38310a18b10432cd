"""Changing the vault's keys. No `person_id`, look-up or record number changes by it.

Belongs here: wrapping the keys under another key-encryption key, sealing every identifier under a new data key. Does not belong here: the
root key. It has no rotation: `record_id`s of all rows ever landed and the look-ups of all people hang on it, and whoever has it and a copy
of the vault has no need of a later one.

A kill leaves a vault that opens. Wrapping anew is one transaction: before it ends the old key opens, after it the new one, never both.
Sealing anew leaves the key outside as it is, and both data keys are in the vault until the last identifier is sealed with the new one.
The caller holds the lake's run lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assets.privacy.keyring import SEAL, Keyring, key_rows, open_keyring, store_key, store_mark
from assets.privacy.keys import KeyEncryptionKey, KeyProblem, new_secret
from assets.privacy.vault_schema import DATA_KEY, DEMOGRAPHIC, IDENTIFIER

_BATCH = 10_000
"""Identifiers a transaction: a kill costs the sealing of so many."""


@dataclass(frozen=True)
class Resealed:
    """What sealing anew came to.

    Attributes:
        version: Version of the data key that now seals everything.
        identifiers: Identifiers that this call sealed anew.
        resumed: An earlier call had been stopped; this one finished it.
    """

    version: int
    identifiers: int
    resumed: bool


@dataclass(frozen=True)
class KeyState:
    """One wrapped key, without its bytes. `identifiers`: how many are sealed with it (0 for the root)."""

    name: str
    version: int
    kek: str
    made_at: str
    identifiers: int


def key_states(engine: sa.Engine) -> list[KeyState]:
    """The keys of a vault. Needs no key: nothing is unwrapped."""
    counts = sa.select(IDENTIFIER.c.seal_version, sa.func.count()).group_by(IDENTIFIER.c.seal_version)
    with engine.connect() as connection:
        sealed: dict[int, int] = {row[0]: row[1] for row in connection.execute(counts)}
        rows = key_rows(connection)
    return [KeyState(r.name, r.version, r.kek, r.made_at, sealed.get(r.version, 0) if r.name == SEAL else 0) for r in rows]


def wrap_anew(engine: sa.Engine, old: KeyEncryptionKey, new: KeyEncryptionKey) -> bool:
    """Wrap every key of the vault under another key-encryption key, in one transaction.

    Returns:
        False where the vault is wrapped under `new` already: an earlier call had got as far.

    Raises:
        KeyProblem: Neither key opens the vault, or both are the same. Nothing was written.
    """
    if old.ident == new.ident:
        raise KeyProblem("the new key is the old one: nothing was changed. Remedy: name another file")
    if {state.kek for state in key_states(engine)} == {new.ident}:
        open_keyring(engine, new)
        return False
    open_keyring(engine, old)
    with engine.begin() as connection:
        for row in key_rows(connection):
            mine = (DATA_KEY.c.name == row.name, DATA_KEY.c.version == row.version, DATA_KEY.c.wrapped == row.wrapped)
            wrapped = new.wrap(row.name, row.version, old.unwrap(row.name, row.version, row.wrapped))
            if connection.execute(DATA_KEY.update().where(*mine).values(wrapped=wrapped, kek=new.ident)).rowcount != 1:
                raise KeyProblem("another process changed the vault's keys at the same time; nothing was changed. Remedy: run it again")
    _forget_old_pages(engine)
    return True


def seal_anew(
    engine: sa.Engine, kek: KeyEncryptionKey, *, progress: Callable[[int], object] = lambda _: None, batch: int = _BATCH
) -> Resealed:
    """Seal every identifier under a new data key, then destroy the old one. Call it again after a kill: it goes on.

    Args:
        engine: The vault's database.
        kek: Its key-encryption key, which stays.
        progress: Told after each transaction how many are sealed.
        batch: Identifiers a transaction.

    Raises:
        KeyProblem: The key is not this vault's, or a sealed value was altered; what was sealed so far stays readable.
    """
    keys = open_keyring(engine, kek)
    resumed = len(keys.seals.versions) > 1
    if not resumed:
        with engine.begin() as connection:
            store_key(connection, kek, SEAL, keys.seals.newest + 1, new_secret())
            store_mark(connection, keys.root)
        keys = open_keyring(engine, kek)
    done = 0
    for count in _batches(engine, keys, batch):
        done += count
        progress(done)
    for _ in _demographic_batches(engine, keys, batch):
        pass
    _drop_old(engine, keys.seals.newest)
    return Resealed(keys.seals.newest, done, resumed)


def _batches(engine: sa.Engine, keys: Keyring, size: int) -> Iterator[int]:
    """Seal what is not sealed with the newest key, in order of the look-up; one transaction each."""
    c, newest, last = IDENTIFIER.c, keys.seals.newest, b""
    query = sa.select(c.lookup, c.sealed, c.seal_version).where(c.seal_version != newest).order_by(c.lookup).limit(size)
    while True:
        with engine.begin() as connection:
            rows = connection.execute(query.where(c.lookup > last)).all()
            if not rows:
                return
            _reseal(connection, keys, rows)
            last = rows[-1].lookup
        yield len(rows)


def _demographic_batches(engine: sa.Engine, keys: Keyring, size: int) -> Iterator[int]:
    """The same for demographics."""
    c, newest, seals = DEMOGRAPHIC.c, keys.seals.newest, keys.seals
    query = sa.select(c.site, c.person_id, c.sealed, c.seal_version).where(c.seal_version != newest).limit(size)
    mine = (c.site == sa.bindparam("at"), c.person_id == sa.bindparam("of"), c.seal_version == sa.bindparam("old"))
    update = DEMOGRAPHIC.update().where(*mine).values(sealed=sa.bindparam("new"), seal_version=newest)
    while True:
        with engine.begin() as connection:
            rows = connection.execute(query).all()
            if not rows:
                return
            connection.execute(update, [
                {"at": r.site, "of": r.person_id, "old": r.seal_version, "new": seals.seal(seals.open(r.seal_version, r.sealed))} for r in rows
            ])  # fmt: skip
        yield len(rows)


def _reseal(connection: sa.Connection, keys: Keyring, rows: Sequence[Any]) -> None:
    update = (
        IDENTIFIER.update()
        .where(IDENTIFIER.c.lookup == sa.bindparam("of"), IDENTIFIER.c.seal_version == sa.bindparam("old"))
        .values(sealed=sa.bindparam("new"), seal_version=keys.seals.newest)
    )
    seals = keys.seals
    connection.execute(
        update, [{"of": r.lookup, "old": r.seal_version, "new": seals.seal(seals.open(r.seal_version, r.sealed))} for r in rows]
    )


def _drop_old(engine: sa.Engine, newest: int) -> None:
    """Destroy older data keys, unless something is still sealed with one: then a writer came between, and the next call goes on."""
    with engine.begin() as connection:
        connection.execute(DATA_KEY.delete().where(DATA_KEY.c.name == SEAL, DATA_KEY.c.version != newest))
        left = (sa.select(t.c.seal_version).where(t.c.seal_version != newest).limit(1) for t in (IDENTIFIER, DEMOGRAPHIC))
        if any(connection.execute(query).first() is not None for query in left):
            raise KeyProblem(
                "an identifier was written while the vault was sealed anew. Nothing is lost. Remedy: run `biodam vault rotate` again"
            )
    _forget_old_pages(engine)


def _forget_old_pages(engine: sa.Engine) -> None:
    """SQLite overwrites deleted bytes in its file (`secure_delete`); its journal is emptied here, so that they are not there either."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
