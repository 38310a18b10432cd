"""A person taken out of the vault, so that nobody can be recognised and late data of theirs is still refused.

Belongs here: what the vault keeps and forgets of an erased person. Does not belong here: the lake (`assets/erasure`).

An erased person keeps one row, with bucket `ERASED`, and the keyed look-ups (HMAC-SHA256) of their identifiers. They say nothing to anybody
without the root key; with it, a record that names one of these identifiers is known to be about somebody who was erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assets.contracts.table import ERASED, NOBODY
from assets.privacy.demographic_store import demographics_of
from assets.privacy.vault import Vault
from assets.privacy.vault_schema import ERASING, EVENT, IDENTIFIER, META, PERSON, SIGHTING

_KEPT = frozenset({PERSON.name, IDENTIFIER.name, SIGHTING.name, EVENT.name, ERASING.name})
"""Tables that keep rows of an erased person: surrogates and look-ups only. Rows of every other table about a person are deleted."""


@dataclass(frozen=True)
class Subject:
    """Who is being erased.

    Attributes:
        people: The people, one id each.
        ids: These and every person id merged into them.
        buckets: Buckets in which models hold them.
        sites: Sites that named them.
    """

    people: tuple[int, ...]
    ids: tuple[int, ...]
    buckets: frozenset[int]
    sites: frozenset[str]


def aliases(vault: Vault, person_id: int) -> tuple[int, ...]:
    """A person's id and every id merged into it, sorted."""
    with vault.engine.connect() as connection:
        return tuple(connection.execute(sa.select(PERSON.c.person_id).where(_own([person_id])).order_by(PERSON.c.person_id)).scalars())


def is_erased(vault: Vault, person_id: int) -> bool:
    """Whether a person was erased, or is being erased."""
    with vault.engine.connect() as connection:
        return connection.execute(sa.select(PERSON.c.bucket).where(PERSON.c.person_id == person_id)).scalar() == ERASED


def begin(vault: Vault, erasure_id: str, people: Sequence[int]) -> None:
    """Refuse what comes of these people from now on, in one transaction."""
    with vault.engine.begin() as connection:
        rows: Sequence[Any] = connection.execute(sa.select(PERSON.c.person_id, PERSON.c.bucket).where(_own(people))).all()
        connection.execute(ERASING.insert(), [{"erasure_id": erasure_id, "person_id": p, "bucket": b} for p, b in rows])
        connection.execute(PERSON.update().where(_own(people)).values(bucket=ERASED))


def unfinished(vault: Vault) -> dict[str, Subject]:
    """Erasures that have begun and that the vault has not forgotten, by id."""
    with vault.engine.connect() as connection:
        rows: Sequence[Any] = connection.execute(sa.select(ERASING).order_by(ERASING.c.erasure_id, ERASING.c.person_id)).all()
        found: dict[str, Subject] = {}
        for erasure_id in dict.fromkeys(r.erasure_id for r in rows):
            mine = [r for r in rows if r.erasure_id == erasure_id]
            ids = tuple(r.person_id for r in mine)
            heads = connection.execute(sa.select(PERSON.c.person_id).where(PERSON.c.person_id.in_(ids), PERSON.c.merged_into.is_(None)))
            people: tuple[int, ...] = tuple(sorted(heads.scalars()))
            sites: Sequence[str] = (
                connection.execute(sa.select(SIGHTING.c.site).where(SIGHTING.c.person_id.in_(ids)).distinct()).scalars().all()
            )
            buckets = frozenset(r.bucket for r in mine) - {ERASED, NOBODY}
            found[erasure_id] = Subject(people, ids, buckets, frozenset(sites))
    return found


def _own(people: Sequence[int]) -> sa.ColumnElement[bool]:
    return sa.or_(PERSON.c.person_id.in_(people), PERSON.c.merged_into.in_(people))


def identifiers(vault: Vault, ids: Sequence[int]) -> list[tuple[str, str, str]]:
    """(system, site, value) of everything the vault still knows of these people, to look for it elsewhere. Never log or keep it."""
    query = sa.select(IDENTIFIER).where(IDENTIFIER.c.person_id.in_(ids))
    with vault.engine.connect() as connection:
        rows = connection.execute(query).all()
    found = [(r.system, r.site, vault.seals.open(r.seal_version, r.sealed)) for r in rows]
    return [one for one in found if one[2]]


def telephones(vault: Vault, ids: Sequence[int]) -> list[tuple[str, str]]:
    """(site, telephone number) of everything that sites said of these people. Never log or keep it."""
    with vault.transaction() as (connection, keys):
        return [(d.site, d.demographics.phone) for d in demographics_of(connection, keys, ids) if d.demographics.phone]


def count_identifiers(vault: Vault, ids: Sequence[int]) -> int:
    """Look-ups that the vault keeps of these people."""
    with vault.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(IDENTIFIER.c.person_id.in_(ids))).scalar_one())


def forget(vault: Vault, erasure_id: str, ids: Sequence[int]) -> None:
    """Replace the sealed values of these people by empty ones, delete what other tables of the vault say of them, end the erasure."""
    with vault.engine.begin() as connection:
        blank, version = vault.seals.seal(""), vault.seals.newest
        connection.execute(IDENTIFIER.update().where(IDENTIFIER.c.person_id.in_(ids)).values(sealed=blank, seal_version=version))
        for table in META.tables.values():
            columns = [c for c in table.c if c.name.endswith("person_id")]
            if table.name not in _KEPT and columns:
                connection.execute(table.delete().where(sa.or_(*(c.in_(ids) for c in columns))))
        connection.execute(ERASING.delete().where(ERASING.c.erasure_id == erasure_id))
