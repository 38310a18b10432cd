"""Two people found to be one, and parted again: events of the vault that can be taken back.

Belongs here: what a merge and a split change in the vault, and telling from the events who stands for whom. Does not belong here: deciding
who is one person (`vault`, `linkage`, a data steward), the lake's relation of aliases (`assets/landing/links`).

Rows always land under the home person of the identifier that named them, so a split gives back exactly the rows that the other person's
identifiers brought, those of deliveries between merge and split included. A split is recorded as a rejected pair: nothing merges it again but a
steward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from assets.contracts.table import ERASED
from assets.privacy.vault_schema import EVENT, IDENTIFIER, PERSON, REVIEW, read_rows

MERGE, SPLIT, FOLLOW = "merge", "split", "follow"
"""`merge`: the alias, which stood for itself, stands for the person. `split`: it stands for itself again. `follow`: it stood for one of them and
goes along."""
_CHUNK = 10_000
BY_STEWARD, BY_LINKAGE = "identity/steward", "identity/linkage"
"""What stands as delivery of an event that no delivery caused."""


@dataclass(frozen=True)
class LinkEvent:
    """What `raw/people/link` has to hold of one event: from now on the alias stands for the person.

    `touched`: buckets of both, and of everybody for whom the alias ever stood.
    """

    number: int
    alias: int
    alias_bucket: int
    person: int
    person_bucket: int
    at: str
    touched: frozenset[int]


class NotMerged(ValueError):
    """The person stands for itself, so there is nothing to take back."""


class CannotMerge(ValueError):
    """Two people who must not become one; the message says why, without a value."""


def merge_people(connection: sa.Connection, pairs: Sequence[tuple[int, int]], *, cause: str) -> None:
    """Let each alias stand for its person from now on.

    Args:
        connection: In a transaction.
        pairs: (alias, person). All stand for themselves, an alias is in one pair and is nobody's person here.
        cause: Delivery, or who decided.
    """
    if not pairs:
        return
    into = dict(pairs)
    moved = _standing_for(connection, into)
    rows = [{"old": alias, "new": person} for alias, person in pairs]
    c = IDENTIFIER.c
    old: sa.BindParameter[int] = sa.bindparam("old")
    new: sa.BindParameter[int] = sa.bindparam("new")
    connection.execute(
        IDENTIFIER.update().where(c.person_id == old).values(home_person_id=sa.func.coalesce(c.home_person_id, c.person_id), person_id=new),
        rows,
    )
    connection.execute(PERSON.update().where(PERSON.c.merged_into == old).values(merged_into=new), rows)
    connection.execute(PERSON.update().where(PERSON.c.person_id == old).values(merged_into=new), rows)
    record(connection, [(MERGE, alias, person) for alias, person in pairs], cause)
    record(connection, [(FOLLOW, person, into[alias]) for person, alias in moved.items()], cause)


def split_person(connection: sa.Connection, alias: int, *, cause: str) -> int:
    """Let an alias stand for itself again, with everybody who was merged into it.

    Returns:
        The person it stood for.

    Raises:
        NotMerged: It stands for itself.
    """
    root = connection.execute(sa.select(PERSON.c.merged_into).where(PERSON.c.person_id == alias)).scalar()
    if root is None:
        raise NotMerged(f"person {alias} was not merged into anybody: there is nothing to split")
    members = [*_standing_for(connection, [root]), root]
    parents = standing(_events(connection, members))
    parents.pop(alias, None)
    mine = [m for m in members if _top(parents, m) == alias]
    connection.execute(IDENTIFIER.update().where(IDENTIFIER.c.home_person_id.in_(mine)).values(person_id=alias))
    connection.execute(PERSON.update().where(PERSON.c.person_id.in_(mine)).values(merged_into=alias))
    connection.execute(PERSON.update().where(PERSON.c.person_id == alias).values(merged_into=None))
    record(connection, [(SPLIT, alias, alias), *((FOLLOW, m, alias) for m in mine if m != alias)], cause)
    return int(root)


def standing(events: Iterable[tuple[str, int, int]]) -> dict[int, int]:
    """Alias -> the person it was merged into, after all events in order.

    Events of releases before splits say `merge` of aliases that went along too; those stood for somebody already, which tells them apart.
    """
    parents: dict[int, int] = {}
    for kind, alias, person in events:
        if kind == MERGE and alias not in parents:
            parents[alias] = person
        elif kind == SPLIT:
            parents.pop(alias, None)
    return parents


def rejected_pairs(connection: sa.Connection) -> set[frozenset[int]]:
    """Pairs of the people for whom the two sides of a rejected pair stand now."""
    left, right = PERSON.alias("l"), PERSON.alias("r")
    query = (
        sa.select(sa.func.coalesce(left.c.merged_into, left.c.person_id), sa.func.coalesce(right.c.merged_into, right.c.person_id))
        .select_from(REVIEW)
        .join(left, left.c.person_id == REVIEW.c.left_person_id)
        .join(right, right.c.person_id == REVIEW.c.right_person_id)
        .where(REVIEW.c.state == "rejected")
    )
    return {frozenset((one, other)) for one, other in read_rows(connection, query)}


def newest_events(connection: sa.Connection, limit: int) -> list[dict[str, Any]]:
    """The newest events, oldest of them first."""
    rows = connection.execute(sa.select(EVENT).order_by(EVENT.c.id.desc()).limit(limit)).mappings().all()
    return [dict(row) for row in reversed(rows)]


def link_events(connection: sa.Connection, *, after: int) -> list[LinkEvent]:
    """Events that no delivery caused, oldest first, with a number above `after`, without those of people who were erased."""
    c = EVENT.c
    query = (
        sa.select(c.id, c.alias_person_id, c.person_id, c.at).where(c.id > after, c.delivery.in_((BY_STEWARD, BY_LINKAGE))).order_by(c.id)
    )
    rows = read_rows(connection, query)
    stood: dict[int, set[int]] = {}
    aliases = sorted({row.alias_person_id for row in rows})
    for start in range(0, len(aliases), _CHUNK):
        chunk = aliases[start : start + _CHUNK]
        for alias, person in read_rows(connection, sa.select(c.alias_person_id, c.person_id).where(c.alias_person_id.in_(chunk))):
            stood.setdefault(alias, {alias}).add(person)
    buckets = _buckets(connection, {p for people in stood.values() for p in people})
    return [
        LinkEvent(number, alias, buckets[alias], person, buckets[person], at, frozenset(buckets[p] for p in stood[alias]) - {ERASED})
        for number, alias, person, at in rows
        if ERASED not in (buckets[alias], buckets[person])
    ]


def _buckets(connection: sa.Connection, people: Iterable[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    wanted = sorted(people)
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(PERSON.c.person_id, PERSON.c.bucket).where(PERSON.c.person_id.in_(wanted[start : start + _CHUNK]))
        found.update((person, bucket) for person, bucket in read_rows(connection, query))
    return found


def record(connection: sa.Connection, events: Sequence[tuple[str, int, int]], cause: str) -> None:
    """Append (kind, alias, person) events."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [{"kind": k, "alias_person_id": a, "person_id": p, "delivery": cause, "at": at} for k, a, p in events]
    if rows:
        connection.execute(EVENT.insert(), rows)


def _standing_for(connection: sa.Connection, people: Iterable[int]) -> dict[int, int]:
    """Alias -> person, of all who stand for one of these people."""
    found: dict[int, int] = {}
    wanted = list(people)
    for start in range(0, len(wanted), _CHUNK):
        query = sa.select(PERSON.c.person_id, PERSON.c.merged_into).where(PERSON.c.merged_into.in_(wanted[start : start + _CHUNK]))
        found.update((alias, person) for alias, person in read_rows(connection, query))
    return found


def _events(connection: sa.Connection, aliases: Sequence[int]) -> list[tuple[str, int, int]]:
    c = EVENT.c
    query = sa.select(c.kind, c.alias_person_id, c.person_id).where(c.alias_person_id.in_(aliases)).order_by(c.id)
    return [(kind, alias, person) for kind, alias, person in read_rows(connection, query)]


def _top(parents: Mapping[int, int], person: int) -> int:
    while person in parents:
        person = parents[person]
    return person
