"""A person taken out of the vault, so that nobody can be recognised and late data of theirs is still refused.

Belongs here: what the vault keeps and forgets of an erased person. Does not belong here: the lake (`assets/erasure`).

An erased person keeps one row, with bucket `ERASED`, and the keyed look-ups (HMAC-SHA256) of their identifiers. They say nothing to anybody
without the root key; with it, a record that names one of these identifiers is known to be about somebody who was erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from assets.contracts.table import ERASED, NOBODY
from assets.privacy.bulk import among_people, change_rows, insert_rows, rows_of
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


_OWN = sa.or_(among_people(PERSON.c.person_id), among_people(PERSON.c.merged_into))
"""People who are asked about, and every id merged into one of them. No list of people is bound: databases take few values in a statement."""


def aliases(vault: Vault, people: Sequence[int]) -> tuple[int, ...]:
    """The ids of people and every id merged into one of them, sorted."""
    with vault.engine.connect() as connection:
        return tuple(sorted({row.person_id for row in rows_of(connection, sa.select(PERSON.c.person_id).where(_OWN), people)}))


def erased_among(vault: Vault, people: Sequence[int]) -> set[int]:
    """Those who were erased, or are being erased."""
    query = sa.select(PERSON.c.person_id).where(among_people(PERSON.c.person_id), PERSON.c.bucket == ERASED)
    with vault.engine.connect() as connection:
        return {row.person_id for row in rows_of(connection, query, people)}


def begin(vault: Vault, erasure_id: str, people: Sequence[int]) -> None:
    """Refuse what comes of these people from now on, in one transaction."""
    with vault.engine.begin() as connection:
        found = {
            row.person_id: row.bucket for row in rows_of(connection, sa.select(PERSON.c.person_id, PERSON.c.bucket).where(_OWN), people)
        }
        rows = [(erasure_id, person, bucket) for person, bucket in found.items()]
        insert_rows(connection, ERASING, ("erasure_id", "person_id", "bucket"), rows)
        change_rows(connection, PERSON.update().where(_OWN).values(bucket=ERASED), people)


def unfinished(vault: Vault) -> dict[str, Subject]:
    """Erasures that have begun and that the vault has not forgotten, by id."""
    heads = sa.select(PERSON.c.person_id).where(among_people(PERSON.c.person_id), PERSON.c.merged_into.is_(None))
    sites = sa.select(SIGHTING.c.site).where(among_people(SIGHTING.c.person_id)).distinct()
    with vault.engine.connect() as connection:
        rows: Sequence[Any] = connection.execute(sa.select(ERASING).order_by(ERASING.c.erasure_id, ERASING.c.person_id)).all()
        found: dict[str, Subject] = {}
        for erasure_id, grouped in groupby(rows, key=lambda row: str(row.erasure_id)):
            mine = list(grouped)
            ids = tuple(row.person_id for row in mine)
            people = tuple(sorted(row.person_id for row in rows_of(connection, heads, ids)))
            buckets = frozenset(row.bucket for row in mine) - {ERASED, NOBODY}
            found[erasure_id] = Subject(people, ids, buckets, frozenset(row.site for row in rows_of(connection, sites, ids)))
    return found


def identifiers(vault: Vault, ids: Sequence[int]) -> list[tuple[str, str, str]]:
    """(system, site, value) of everything the vault still knows of these people, to look for it elsewhere. Never log or keep it."""
    c = IDENTIFIER.c
    query = sa.select(c.system, c.site, c.seal_version, c.sealed).where(among_people(c.person_id))
    with vault.engine.connect() as connection:
        rows = list(rows_of(connection, query, ids))
    found = [(r.system, r.site, vault.seals.open(r.seal_version, r.sealed)) for r in rows]
    return [one for one in found if one[2]]


def telephones(vault: Vault, ids: Sequence[int]) -> list[tuple[str, str]]:
    """(site, telephone number) of everything that sites said of these people. Never log or keep it."""
    with vault.transaction() as (connection, keys):
        return [(d.site, d.demographics.phone) for d in demographics_of(connection, keys, ids) if d.demographics.phone]


def count_identifiers(vault: Vault, ids: Sequence[int]) -> int:
    """Look-ups that the vault keeps of these people."""
    query = sa.select(sa.func.count()).where(among_people(IDENTIFIER.c.person_id))
    with vault.engine.connect() as connection:
        return sum(int(number) for (number,) in rows_of(connection, query, ids))


def forget(vault: Vault, erasure_id: str, ids: Sequence[int]) -> None:
    """Replace the sealed values of these people by empty ones, delete what other tables of the vault say of them, end the erasure."""
    with vault.engine.begin() as connection:
        blank, version = vault.seals.seal(""), vault.seals.newest
        change_rows(
            connection, IDENTIFIER.update().where(among_people(IDENTIFIER.c.person_id)).values(sealed=blank, seal_version=version), ids
        )
        for table in META.tables.values():
            columns = [c for c in table.c if c.name.endswith("person_id")]
            if table.name not in _KEPT and columns:
                change_rows(connection, table.delete().where(sa.or_(*map(among_people, columns))), ids)
        connection.execute(ERASING.delete().where(ERASING.c.erasure_id == erasure_id))
