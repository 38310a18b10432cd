"""Which names and addresses single a person out: nobody else in the vault is described with the same.

Belongs here: telling them from names of namesakes and addresses of households, by keyed columns; filling these in rows of an earlier release. Does not
belong here: what is short enough to be a word, where they are looked for (`assets/erasure`).

Compared is the one form of a name or address (`demographics`), with what every other person is described with now. Nobody else's description is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from assets.privacy.bulk import CHUNK, among_people, rows_of
from assets.privacy.demographic_store import demographics_of
from assets.privacy.demographics import SINGLING, Demographics, Written, hashes_of, rarity_of
from assets.privacy.keyring import Keyring
from assets.privacy.vault import Vault
from assets.privacy.vault_schema import DEMOGRAPHIC, RARITY, read_rows


@dataclass(frozen=True, repr=False)
class Rare:
    """Names and addresses of some people. Never log or keep it.

    Attributes:
        written: Those that nobody else has, in every way in which they were written.
        shared: How many somebody else has too.
    """

    written: tuple[Written, ...]
    shared: int


def rare_values(vault: Vault, ids: Sequence[int]) -> Rare:
    """Names and addresses of these people that nobody else in the vault has. Two who are asked about together may share one."""
    _complete(vault)
    with vault.transaction() as (connection, keys):
        said = [d.demographics for d in demographics_of(connection, keys, ids)]
        written = sorted({one for demographics in said for one in demographics.told})
        shared = {w[:2] for w in written} & _of_others(connection, keys, written, said)
    return Rare(tuple(w for w in written if w[:2] not in shared), len(shared))


def _of_others(connection: sa.Connection, keys: Keyring, written: Iterable[Written], said: Sequence[Demographics]) -> set[tuple[str, str]]:
    """(field, form) of those with which somebody else is described: more rows hold them than those of the people asked about."""
    shared: set[tuple[str, str]] = set()
    for field, name in zip(SINGLING, RARITY, strict=True):
        forms = sorted({w.form for w in written if w.field == field})
        of_form = dict(zip(forms, hashes_of(field, forms, keys.root), strict=True))
        column = DEMOGRAPHIC.c[name]
        query = sa.select(column, sa.func.count()).where(among_people(column)).group_by(column)
        rows = dict(rows_of(connection, query, of_form.values()))
        own = Counter(getattr(demographics, field) for demographics in said)
        shared |= {(field, form) for form, number in of_form.items() if rows.get(number, 0) > own[form]}
    return shared


def _complete(vault: Vault) -> None:
    """Fill the columns of rows that an earlier release wrote, so many a transaction; where there are none it costs one look."""
    c = DEMOGRAPHIC.c
    query = sa.select(c.site, c.person_id, c.digest, c.seal_version, c.sealed).where(c[RARITY[0]].is_(None)).limit(CHUNK)
    mine = (c.site == sa.bindparam("at"), c.person_id == sa.bindparam("of"), c.digest == sa.bindparam("said"))
    update = DEMOGRAPHIC.update().where(*mine).values({name: sa.bindparam(f"new_{name}") for name in RARITY})
    while True:
        with vault.transaction() as (connection, keys):
            rows = read_rows(connection, query)
            if not rows:
                return
            people = [Demographics.of_text(keys.seals.open(r.seal_version, r.sealed)) for r in rows]
            values = (dict(zip((f"new_{name}" for name in RARITY), of, strict=True)) for of in rarity_of(people, keys.root))
            connection.execute(
                update, [{"at": r.site, "of": r.person_id, "said": r.digest, **v} for r, v in zip(rows, values, strict=True)]
            )
