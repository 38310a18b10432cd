"""People who have withdrawn wholly, and records about them that came afterwards and are held until they consent again.

Belongs here: their tables, reads and writes of those rows. Does not belong here: who has withdrawn (the models of consent, `assets/withdrawals`),
holding a record (`assets/landing`). Rows hold person ids, which are random; an erasure takes them away (`Erasures.release`).

Which records of a delivery are held is written before its first row lands, and stands: a landing that is killed and done again, after somebody consented
or two people were merged meanwhile, leaves out of the remaining tables what it left out of the first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from assets.ledger.schema import DELIVERY, METADATA, QUARANTINE, DeliveryState

if TYPE_CHECKING:
    from assets.ledger.deliveries import DeliveryKey

_KEY = ("site", "feed", "delivery_id")
_CHUNK = 500

WITHDRAWN_PERSON = sa.Table(
    "withdrawn_person",
    METADATA,
    sa.Column("person_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("person_bucket", sa.Integer, nullable=False, index=True),
    sa.Column("since", sa.String, nullable=False),
)
"""Grain: one person id of somebody of whom nothing is permitted any more, because they withdrew, as the last build of their bucket found: their own, and those
merged into it; and of whoever is said to withdraw since, until the next build has judged it. `person_bucket`: of the person they stand for. `since`: day of the last withdrawal."""

HELD_RECORD = sa.Table(
    "held_record",
    METADATA,
    *(sa.Column(c, sa.String, primary_key=True) for c in _KEY),
    sa.Column("file_index", sa.Integer, primary_key=True),
    sa.Column("row_number", sa.BigInteger, primary_key=True),
    sa.Column("person_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("ref", sa.String, nullable=False),
    sa.Column("problem", sa.String),
    sa.Index("held_record_person", "person_id"),
)
"""Grain: one record in quarantine and one person, who withdrew, that it is about; under the id under which its rows would land, so that merging
people and parting them leaves it right. `problem`: why it could not land once they consented again."""

LANDING_BEGUN = sa.Table(
    "landing_begun",
    METADATA,
    *(sa.Column(c, sa.String, primary_key=True) for c in _KEY),
    sa.Column("settles", sa.JSON),
)
"""Grain: one delivery whose landing, or whose replay, has begun and not ended: which of its records land is decided. `settles`: of a replay, the
quarantine entries that it lands."""


@dataclass(frozen=True, order=True)
class HeldRecord:
    """One record about one person who withdrew; the file by its number in the delivery and its neutral name."""

    file_index: int
    row_number: int
    person_id: int
    ref: str


class Withdrawn:
    """Rows of one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def replace(self, people: Iterable[Mapping[str, Any]], *, buckets: Collection[int] | None, leave: Collection[int] = ()) -> None:
        """Put what a build found in place of what was known of the buckets that it rebuilt.

        Args:
            people: `person_id`, `person_bucket`, `since` of everybody in them who has withdrawn.
            buckets: Those rebuilt; None: all.
            leave: Ids of whom the build says nothing, because it leaves these people out: what was known of them stands.
        """
        rows = {p["person_id"]: dict(p) for p in people if p["person_id"] not in leave}
        with self._engine.begin() as connection:
            known = _all(connection) if buckets is None else _chosen(connection, WITHDRAWN_PERSON.c.person_bucket, buckets)
            gone = {r.person_id for r in known if r.person_id not in leave} | rows.keys()
            if gone:
                is_gone = WITHDRAWN_PERSON.c.person_id == sa.bindparam("gone")
                connection.execute(WITHDRAWN_PERSON.delete().where(is_gone), [{"gone": person} for person in sorted(gone)])
            if rows:
                connection.execute(WITHDRAWN_PERSON.insert(), list(rows.values()))

    def believe(self, people: Iterable[Mapping[str, Any]]) -> None:
        """Take people as withdrawn because they are said to withdraw, until a build of their bucket has judged it.

        Args:
            people: `person_id`, `person_bucket`, `since`. Of whom something is known, it stands.
        """
        rows = {p["person_id"]: dict(p) for p in people}
        with self._engine.begin() as connection:
            known = {r.person_id for r in _chosen(connection, WITHDRAWN_PERSON.c.person_id, rows)}
            new = [row for person, row in rows.items() if person not in known]
            if new:
                connection.execute(WITHDRAWN_PERSON.insert(), new)

    def of_buckets(self, buckets: Collection[int]) -> frozenset[int]:
        """Ids of everybody who has withdrawn and stands for a person of some buckets."""
        with self._engine.connect() as connection:
            return frozenset(r.person_id for r in _chosen(connection, WITHDRAWN_PERSON.c.person_bucket, buckets))

    def known(self, ids: Collection[int]) -> set[int]:
        """Those of some person ids who have withdrawn."""
        with self._engine.connect() as connection:
            return {r.person_id for r in _chosen(connection, WITHDRAWN_PERSON.c.person_id, ids)}

    def begin_landing(self, key: DeliveryKey, held: Collection[HeldRecord]) -> list[HeldRecord]:
        """Decide which records of a delivery are held, unless a landing that was killed has decided it.

        Args:
            key: The delivery.
            held: What would be held today.

        Returns:
            What is held.
        """
        ident = _ident(key)
        with self._engine.begin() as connection:
            if connection.execute(sa.select(LANDING_BEGUN).where(_is(LANDING_BEGUN, ident))).first() is None:
                connection.execute(LANDING_BEGUN.insert().values(**ident))
                put_held(connection, ident, held)
        return self.held(key)

    def held(self, key: DeliveryKey) -> list[HeldRecord]:
        """What is held of a delivery, by file and record."""
        c = HELD_RECORD.c
        query = sa.select(c.file_index, c.row_number, c.person_id, c.ref).where(_is(HELD_RECORD, _ident(key)))
        with self._engine.connect() as connection:
            return sorted(HeldRecord(*row) for row in connection.execute(query).tuples())

    def put(self, key: DeliveryKey, held: Collection[HeldRecord]) -> None:
        """Write anew what is held of a delivery, where it differs."""
        if sorted(held) != self.held(key):
            with self._engine.begin() as connection:
                put_held(connection, _ident(key), held)

    def give_up_replay(self, key: DeliveryKey) -> None:
        """A replay that began cannot end; the next one decides anew."""
        with self._engine.begin() as connection:
            end_landing(connection, _ident(key))

    def begin_replay(self, key: DeliveryKey, settles: Sequence[int]) -> list[int]:
        """Decide which quarantine entries a replay lands, unless one that was killed has decided it. Returns them."""
        ident = _ident(key)
        with self._engine.begin() as connection:
            begun = connection.execute(sa.select(LANDING_BEGUN.c.settles).where(_is(LANDING_BEGUN, ident))).scalar()
            if begun is None:
                connection.execute(LANDING_BEGUN.insert().values(**ident, settles=list(settles)))
        return list(settles) if begun is None else list(begun)

    def begun_replay(self, key: DeliveryKey) -> list[int] | None:
        """Quarantine entries that a killed replay of a delivery was about to land, or None."""
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(LANDING_BEGUN.c.settles).where(_is(LANDING_BEGUN, _ident(key)))).scalar()
        return None if found is None else list(found)

    def killed_replays(self) -> list[tuple[str, str, str]]:
        """Site, feed and id of deliveries whose replay has begun and not ended, in their order."""
        same = sa.and_(*(DELIVERY.c[n] == LANDING_BEGUN.c[n] for n in _KEY))
        landed = sa.exists().where(same, DELIVERY.c.state == DeliveryState.LANDED)
        columns = [LANDING_BEGUN.c[n] for n in _KEY]
        with self._engine.connect() as connection:
            return [(s, f, d) for s, f, d in connection.execute(sa.select(*columns).where(landed).order_by(*columns)).tuples()]

    def released(self) -> list[tuple[str, str, str]]:
        """Site, feed and id of deliveries that hold a record of somebody who is not withdrawn any more, in their order. One look into an index where there is none."""
        c = HELD_RECORD.c
        still = sa.exists().where(WITHDRAWN_PERSON.c.person_id == c.person_id)
        columns = [c[name] for name in _KEY]
        query = sa.select(*columns).where(c.problem.is_(None), ~still).distinct().order_by(*columns)
        with self._engine.connect() as connection:
            return [(site, feed, name) for site, feed, name in connection.execute(query).tuples()]

    def note_problem(self, key: DeliveryKey, problem: str) -> None:
        """Records of a delivery cannot land by themselves: nobody tries again but `biodam quarantine replay`."""
        with self._engine.begin() as connection:
            connection.execute(HELD_RECORD.update().where(_is(HELD_RECORD, _ident(key))).values(problem=problem))

    def numbers_of(self, ids: Collection[int]) -> dict[tuple[str, str, str], set[int]]:
        """(site, delivery id, neutral name of the file) -> numbers of the records that are held of some people."""
        found: dict[tuple[str, str, str], set[int]] = {}
        with self._engine.connect() as connection:
            for row in _chosen(connection, HELD_RECORD.c.person_id, ids):
                found.setdefault((row.site, row.delivery_id, row.ref), set()).add(row.row_number)
        return found

    def count_of(self, ids: Collection[int]) -> int:
        """Records that are held of some people."""
        return sum(len(numbers) for numbers in self.numbers_of(ids).values())


def put_held(connection: sa.Connection, ident: Mapping[str, str], held: Iterable[HeldRecord]) -> None:
    """Replace what is held of a delivery, in a transaction of the caller."""
    connection.execute(HELD_RECORD.delete().where(_is(HELD_RECORD, ident)))
    rows = [{**ident, **vars(record)} for record in held]
    if rows:
        connection.execute(HELD_RECORD.insert(), rows)


def end_landing(connection: sa.Connection, ident: Mapping[str, str]) -> None:
    """The delivery is closed, in the same transaction: nobody lands it again."""
    connection.execute(LANDING_BEGUN.delete().where(_is(LANDING_BEGUN, ident)))


def forget_withdrawn(connection: sa.Connection, ids: Collection[int], *, reason: str, detail: str) -> None:
    """Take erased people out of these tables; what is held of them stays in quarantine for another reason."""
    for row in _chosen(connection, HELD_RECORD.c.person_id, ids):
        place = {name: getattr(row, name) for name in (*_KEY, "file_index", "row_number")}
        in_quarantine, in_held = (
            sa.and_(*(table.c[name] == value for name, value in place.items())) for table in (QUARANTINE, HELD_RECORD)
        )
        connection.execute(QUARANTINE.update().where(in_quarantine).values(reason=reason, detail=detail))
        connection.execute(HELD_RECORD.delete().where(in_held))  # whoever else the record is about
    connection.execute(
        WITHDRAWN_PERSON.delete().where(WITHDRAWN_PERSON.c.person_id == sa.bindparam("gone")), [{"gone": i} for i in sorted(ids)]
    )


def _all(connection: sa.Connection) -> Sequence[Any]:
    return connection.execute(sa.select(WITHDRAWN_PERSON)).all()


def _chosen(connection: sa.Connection, column: sa.Column[int], values: Collection[int]) -> list[Any]:
    """Rows of a table with one of some values, asked for in shares: a statement binds so many values and no more."""
    wanted = sorted(values)
    found: list[Any] = []
    for start in range(0, len(wanted), _CHUNK):
        found += connection.execute(sa.select(column.table).where(column.in_(wanted[start : start + _CHUNK]))).all()
    return found


def _ident(key: DeliveryKey) -> dict[str, str]:
    return {name: str(getattr(key, name)) for name in _KEY}


def _is(table: sa.Table, ident: Mapping[str, str]) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == ident[name] for name in _KEY))
