"""Demographics in the vault: sealed, one row a site and home person, the newest delivery holds.

Belongs here: keeping and reading them. Does not belong here: their form (`demographics`), comparing (`linkage`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from assets.privacy.bulk import among_people, chunks, insert_rows, rows_of
from assets.privacy.demographics import Demographics, blocks_of, rarity_of
from assets.privacy.keyring import Keyring, require_current
from assets.privacy.vault_schema import BLOCKS, DEMOGRAPHIC, IDENTIFIER, PERSON, RARITY, read_rows

_CHUNK = 10_000
_MOST_WRITTEN = 24
"""Ways to write names and addresses that are remembered of a person at a site, the newest first."""
_COLUMNS = ("site", "person_id", "sequence", "digest", "sealed", "seal_version", "is_compared", *BLOCKS, *RARITY)


@dataclass(frozen=True)
class Described:
    """One row: who, at which site, described how. `current` is the person whom the home person stands for now."""

    site: str
    person_id: int
    current: int
    is_new: bool
    blocks: tuple[int | None, ...]
    demographics: Demographics


def keep_demographics(connection: sa.Connection, keys: Keyring, site: str, sequence: int, said: Mapping[int, Demographics]) -> int:
    """Store what a delivery says of people; what says nothing new costs a look and no write.

    Args:
        connection: In a transaction.
        keys: The vault's.
        site: Delivering site.
        sequence: Sender's number of the delivery: an older one does not replace a newer.
        said: Home person -> demographics.

    Returns:
        Rows written. Each will be compared, unless nothing but the way to write a name or an address is new.
    """
    written = 0
    people = sorted(p for p, d in said.items() if d.says_anything)
    for start in range(0, len(people), _CHUNK):
        chunk = people[start : start + _CHUNK]
        written += _keep(connection, keys, site, sequence, {p: said[p] for p in chunk})
    if written:
        require_current(connection, keys.seals)
    return written


def _keep(connection: sa.Connection, keys: Keyring, site: str, sequence: int, said: Mapping[int, Demographics]) -> int:
    c = DEMOGRAPHIC.c
    query = sa.select(c.person_id, c.sequence, c.digest).where(c.site == site, among_people(c.person_id))
    known = {person: (at, bytes(digest)) for person, at, digest in rows_of(connection, query, said)}
    texts = {person: demographics.to_text() for person, demographics in said.items()}
    digests = dict(zip(texts, keys.root.lookups(("demographics", site, text) for text in texts.values()), strict=True))
    new = [p for p, digest in digests.items() if (seen := known.get(p, (-1, b"")))[0] <= sequence and seen[1] != digest]
    stale = [p for p in new if p in known]
    before = {d.person_id: d for d in _read(connection, keys, sa.and_(c.site == site, c.person_id.in_(stale)))} if stale else {}
    if stale:
        connection.execute(DEMOGRAPHIC.delete().where(c.site == site, c.person_id.in_(stale)))
    people = [_remembering(said[p], before.get(p)) for p in new]
    compared = [p in before and not before[p].is_new and before[p].demographics == said[p] for p in new]
    sealed = keys.seals.seal_all([d.to_text() if p in before else texts[p] for p, d in zip(new, people, strict=True)])
    blocks, rarity = blocks_of(people, keys.root), rarity_of(people, keys.root)
    rows = [
        (site, p, sequence, digests[p], text, keys.seals.newest, is_compared, *of, *rare)
        for p, text, is_compared, of, rare in zip(new, sealed, compared, blocks, rarity, strict=True)
    ]
    insert_rows(connection, DEMOGRAPHIC, _COLUMNS, rows)
    return len(rows)


def _remembering(now: Demographics, before: Described | None) -> Demographics:
    """What is said now, with names and addresses as they were said before: they stand in older delivered files."""
    if before is None:
        return now
    return replace(now, written=tuple(dict.fromkeys((*now.told, *before.demographics.told)))[:_MOST_WRITTEN])


def waiting(connection: sa.Connection) -> Counter[str]:
    """Site -> rows that were not compared yet."""
    c = DEMOGRAPHIC.c
    query = sa.select(c.site, sa.func.count()).where(c.is_compared.is_(False)).group_by(c.site)
    return Counter(dict(read_rows(connection, query)))


def count_comparable(connection: sa.Connection, left_out: Collection[str]) -> int:
    """Rows of all sites that are not left out."""
    return int(
        connection.execute(sa.select(sa.func.count()).select_from(DEMOGRAPHIC).where(_takes_part(DEMOGRAPHIC, left_out))).scalar_one()
    )


def _takes_part(rows: sa.FromClause, left_out: Collection[str]) -> sa.ColumnElement[bool]:
    return rows.c.site.not_in(sorted(left_out)) if left_out else sa.true()


def has_candidates(connection: sa.Connection, left_out: Collection[str]) -> bool:
    """Is there any pair to compare: a row that waits, and one of another person who shares a block, not both with a resident number?

    Most deliveries bring people whom nobody resembles; the first pair found ends the search.
    """
    new, old = DEMOGRAPHIC.alias("new"), DEMOGRAPHIC.alias("old")
    one, other = PERSON.alias("one"), PERSON.alias("other")
    mine, theirs = (sa.func.coalesce(p.c.merged_into, p.c.person_id) for p in (one, other))
    pairs = sa.select(sa.literal(1)).select_from(new).join(one, one.c.person_id == new.c.person_id)
    for name in BLOCKS:
        query = pairs.join(old, old.c[name] == new.c[name]).join(other, other.c.person_id == old.c.person_id)
        query = query.where(_takes_part(new, left_out), _takes_part(old, left_out))
        query = query.where(new.c.is_compared.is_(False), mine != theirs, ~(_is_numbered(mine) & _is_numbered(theirs)))
        if connection.execute(query.limit(1)).first() is not None:
            return True
    return False


def _is_numbered(person: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Has the person a resident number? Two who have are known to differ."""
    return sa.exists().where(IDENTIFIER.c.person_id == person, IDENTIFIER.c.system == "kr_rrn")


def described(connection: sa.Connection, keys: Keyring, *, everybody: bool, left_out: Collection[str]) -> Iterator[Described]:
    """Rows that wait, and those that share a block with one; with `everybody` all rows, which is cheaper where most wait. Of no site left out."""
    c = DEMOGRAPHIC.c
    part = _takes_part(DEMOGRAPHIC, left_out)
    if everybody:
        yield from _read(connection, keys, part)
        return
    fresh = list(_read(connection, keys, sa.and_(c.is_compared.is_(False), part)))
    yield from fresh
    seen: set[tuple[str, int]] = set()
    for position, name in enumerate(BLOCKS):
        values = sorted({row.blocks[position] for row in fresh} - {None}, key=int)  # type: ignore[arg-type]
        for start in range(0, len(values), _CHUNK):
            for row in _read(connection, keys, sa.and_(part, c[name].in_(values[start : start + _CHUNK]), c.is_compared.is_(True))):
                if (row.site, row.person_id) not in seen:
                    seen.add((row.site, row.person_id))
                    yield row


def demographics_of(connection: sa.Connection, keys: Keyring, people: Sequence[int]) -> list[Described]:
    """What every site says of some home persons."""
    return [d for chunk in chunks(people) for d in _read(connection, keys, DEMOGRAPHIC.c.person_id.in_(chunk))]


def mark_compared(connection: sa.Connection) -> None:
    """Nothing waits any more; what is left out waits for its site file (`likeness`). Call it in the transaction that stores what the comparison found."""
    connection.execute(DEMOGRAPHIC.update().where(DEMOGRAPHIC.c.is_compared.is_(False)).values(is_compared=True))


def _read(connection: sa.Connection, keys: Keyring, where: sa.ColumnElement[bool]) -> Iterator[Described]:
    c = DEMOGRAPHIC.c
    current = sa.func.coalesce(PERSON.c.merged_into, PERSON.c.person_id)
    columns = (c.site, c.person_id, current, c.is_compared, *(c[name] for name in BLOCKS), c.seal_version, c.sealed)
    query = sa.select(*columns).join(PERSON, PERSON.c.person_id == c.person_id).where(where)
    result: Any = connection.execution_options(yield_per=_CHUNK).execute(query)
    for site, person, now, compared, *rest in result:
        *blocks, version, sealed = rest
        yield Described(site, person, now, not compared, tuple(blocks), Demographics.of_text(keys.seals.open(version, sealed)))
