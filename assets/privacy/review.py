"""Pairs that may be one person and wait for a data steward.

Belongs here: the queue in the vault, and what a steward's answer does. Does not belong here: how pairs are found (`linkage`), printing.
Nothing here shows a value: a pair is two surrogates, a band of weight and the level on which each field agrees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from assets.contracts.table import ERASED
from assets.privacy.linkage_model import FIELDS
from assets.privacy.merges import BY_STEWARD, MERGE, SPLIT, CannotMerge, merge_people, split_person
from assets.privacy.vault_schema import EVENT, IDENTIFIER, PERSON, REVIEW, read_rows

OPEN, ACCEPTED, REJECTED = "open", "accepted", "rejected"
WITHDRAWN = "withdrawn"
"""A site of the pair may not be linked by likeness any more (`likeness`). Should the pair be found again, it is open again, with its number."""
_BANDS = (
    (30.0, "30 bits and more"),
    (20.0, "20 to 30 bits"),
    (12.0, "12 to 20 bits"),
    (8.0, "8 to 12 bits"),
    (float("-inf"), "below 8 bits"),
)


@dataclass(frozen=True)
class Proposal:
    """A pair as the comparing process describes it, and why it is asked."""

    pair: Mapping[str, Any]
    reason: str

    @property
    def left(self) -> int:
        """One home person."""
        return int(self.pair["left_person_id"])

    @property
    def right(self) -> int:
        """The other."""
        return int(self.pair["right_person_id"])


class NoSuchReview(ValueError):
    """There is no open pair of that number."""


def propose(connection: sa.Connection, proposals: Sequence[Proposal]) -> int:
    """Put pairs into the queue; a pair that was ever in it is not proposed again, but for a withdrawn one. Returns how many are new."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    at = _now()
    for proposal in proposals:
        pair = (min(proposal.left, proposal.right), max(proposal.left, proposal.right))
        levels = json.dumps({f.name: proposal.pair[f.name] for f in FIELDS})
        band = next(name for least, name in _BANDS if proposal.pair["weight"] >= least)
        rows.setdefault(pair, {
            "left_person_id": pair[0], "right_person_id": pair[1], "state": OPEN, "reason": proposal.reason, "band": band, "levels": levels, "at": at,
        })  # fmt: skip
    c = REVIEW.c
    wanted = list(rows)
    known: dict[tuple[int, int], tuple[int, str]] = {}
    for start in range(0, len(wanted), 5_000):
        chunk = [left for left, _ in wanted[start : start + 5_000]]
        query = sa.select(c.left_person_id, c.right_person_id, c.id, c.state).where(c.left_person_id.in_(chunk))
        known |= {(left, right): (number, state) for left, right, number, state in read_rows(connection, query)}
    again = [(number, rows[pair]) for pair, (number, state) in known.items() if state == WITHDRAWN and pair in rows]
    for number, row in again:
        connection.execute(REVIEW.update().where(c.id == number).values(row))
    new = [row for pair, row in rows.items() if pair not in known]
    if new:
        connection.execute(REVIEW.insert(), new)
    return len(new) + len(again)


def count_open(connection: sa.Connection) -> int:
    """Pairs that wait."""
    return len(open_reviews(connection))


def open_reviews(connection: sa.Connection) -> list[Mapping[str, Any]]:
    """Pairs that wait, oldest first; those whose people became one in another way are left out."""
    left, right = PERSON.alias("l"), PERSON.alias("r")
    query = (
        sa.select(REVIEW)
        .join(left, left.c.person_id == REVIEW.c.left_person_id)
        .join(right, right.c.person_id == REVIEW.c.right_person_id)
        .where(
            REVIEW.c.state == OPEN,
            sa.func.coalesce(left.c.merged_into, left.c.person_id) != sa.func.coalesce(right.c.merged_into, right.c.person_id),
        )
        .order_by(REVIEW.c.id)
    )
    return [{**row, "levels": json.loads(row["levels"])} for row in connection.execute(query).mappings()]


def review(connection: sa.Connection, number: int) -> Mapping[str, Any]:
    """One pair of the queue, whatever its state.

    Raises:
        NoSuchReview: There is none of that number.
    """
    row = connection.execute(sa.select(REVIEW).where(REVIEW.c.id == number)).mappings().first()
    if row is None:
        raise NoSuchReview(f"there is no pair {number} in the review queue")
    return dict(row)


def accept(connection: sa.Connection, number: int) -> tuple[int, int]:
    """A steward says: one person. Returns (alias, person)."""
    row = _open(connection, number)
    merged = merge_by_steward(connection, row["left_person_id"], row["right_person_id"])
    connection.execute(REVIEW.update().where(REVIEW.c.id == number).values(state=ACCEPTED, at=_now()))
    return merged


def reject(connection: sa.Connection, number: int) -> None:
    """A steward says: two people. They are never proposed again, and no linkage or delivery joins them."""
    _open(connection, number)
    connection.execute(REVIEW.update().where(REVIEW.c.id == number).values(state=REJECTED, at=_now()))


def merge_by_steward(connection: sa.Connection, one: int, other: int) -> tuple[int, int]:
    """Let the younger of two people stand for the older.

    Returns:
        (alias, person).

    Raises:
        CannotMerge: Unknown, the same person already, or two resident numbers.
    """
    found = {p: _current(connection, p) for p in (one, other)}
    (first, older), (second, younger) = sorted(found.values(), key=lambda row: row[1])
    del older, younger
    if first == second:
        raise CannotMerge(f"{one} and {other} are one person already")
    c = IDENTIFIER.c
    query = sa.select(sa.func.count(sa.distinct(c.lookup))).where(c.person_id.in_([first, second]), c.system == "kr_rrn")
    if connection.execute(query).scalar_one() > 1:
        raise CannotMerge(
            f"{one} and {other} have two different resident numbers: two people. Remedy: have the wrong number corrected at its site"
        )
    merge_people(connection, [(second, first)], cause=BY_STEWARD)
    connection.execute(REVIEW.update().where(_pair(one, other), REVIEW.c.state == REJECTED).values(state=ACCEPTED, at=_now()))
    connection.execute(REVIEW.update().where(_pair(first, second), REVIEW.c.state == REJECTED).values(state=ACCEPTED, at=_now()))
    return second, first


def split_by_steward(connection: sa.Connection, alias: int) -> int:
    """Take a merge back, and see that nothing but a steward makes it again. Returns the person the alias stood for.

    Raises:
        CannotMerge: The person was erased.
        NotMerged: The alias stands for itself.
    """
    if connection.execute(sa.select(PERSON.c.bucket).where(PERSON.c.person_id == alias)).scalar() == ERASED:
        raise CannotMerge(f"person {alias} was erased")
    person = split_person(connection, alias, cause=BY_STEWARD)
    at = _now()
    if connection.execute(REVIEW.update().where(_pair(alias, person)).values(state=REJECTED, at=at)).rowcount == 0:
        connection.execute(REVIEW.insert().values(
            left_person_id=min(alias, person), right_person_id=max(alias, person), state=REJECTED, reason="a steward parted them", band="",
            levels="{}", at=at,
        ))  # fmt: skip
    return person


def undo_event(connection: sa.Connection, number: int) -> tuple[str, int, int]:
    """Take one merge or split back.

    Returns:
        Its kind, the alias and the person.

    Raises:
        CannotMerge: There is no such event, or what it did is not so any more.
        NotMerged: The merge was taken back already.
    """
    row = connection.execute(sa.select(EVENT).where(EVENT.c.id == number)).mappings().first()
    if row is None or row["kind"] not in (MERGE, SPLIT):
        raise CannotMerge(f"there is no merge or split {number}. Remedy: biodam identity events")
    alias = int(row["alias_person_id"])
    if row["kind"] == MERGE:
        return MERGE, alias, split_by_steward(connection, alias)
    c = EVENT.c
    earlier = sa.select(c.person_id).where(c.alias_person_id == alias, c.id < number, c.kind == MERGE).order_by(c.id.desc()).limit(1)
    person = connection.execute(earlier).scalar()
    if person is None:
        raise CannotMerge(f"split {number} follows no merge")
    merge_by_steward(connection, alias, int(person))
    return SPLIT, alias, int(person)


def _pair(one: int, other: int) -> sa.ColumnElement[bool]:
    return sa.and_(REVIEW.c.left_person_id == min(one, other), REVIEW.c.right_person_id == max(one, other))


def _open(connection: sa.Connection, number: int) -> Mapping[str, Any]:
    row = review(connection, number)
    if row["state"] != OPEN:
        raise NoSuchReview(f"pair {number} is {row['state']} already")
    return row


def _current(connection: sa.Connection, person: int) -> tuple[int, int]:
    target = PERSON.alias("target")
    now = sa.func.coalesce(PERSON.c.merged_into, PERSON.c.person_id)
    query = sa.select(target.c.person_id, target.c.ordinal, target.c.bucket).select_from(PERSON).join(target, target.c.person_id == now)
    row = connection.execute(query.where(PERSON.c.person_id == person)).first()
    if row is None:
        raise CannotMerge(f"the vault knows no person {person}")
    if row[2] == ERASED:
        raise CannotMerge(f"person {person} was erased")
    return int(row[0]), int(row[1])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
