"""What became of every delivery: states, counts, quarantine.

Belongs here: reads and writes of delivery rows. Does not belong here: checking or parsing a delivery (`assets/landing`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from assets.ledger import schema
from assets.ledger.schema import DELIVERY, QUARANTINE, REPLAY, TOLD, TRANSITIONS, DeliveryState
from assets.ledger.withdrawn import end_landing, put_held
from assets.ledger.withheld import keep_withheld

if TYPE_CHECKING:
    from assets.ledger.replays import ReplayReceipt


class IllegalTransition(RuntimeError):
    """A delivery was asked to take a step that its closed life does not have."""


@dataclass(frozen=True)
class DeliveryKey:
    """Names one delivery; unique for ever."""

    site: str
    feed: str
    delivery_id: str

    def __str__(self) -> str:
        return f"{self.site}/{self.feed}/{self.delivery_id}"


@dataclass(frozen=True)
class FileCount:
    """Records of one file: counted (independently) = landed + quarantined + duplicate."""

    file_index: int
    ref: str
    sha256: str
    bytes: int
    counted: int = 0
    landed: int = 0
    quarantined: int = 0
    duplicate: int = 0


@dataclass(frozen=True)
class QuarantineRow:
    """One refused record or file. Never holds a value from the record."""

    file_index: int | None
    ref: str
    row_number: int | None
    byte_offset: int | None
    records: int
    reason: str
    rule: str | None
    detail: str | None


@dataclass(frozen=True)
class Receipt:
    """What `close_landed` records. `headers`: table -> its column names. `withheld`: (entity, column) -> values that looked like an identifier."""

    files: Sequence[FileCount]
    entities: Mapping[str, int]
    versions: Mapping[str, int]
    quarantine: Iterable[QuarantineRow] = field(default_factory=tuple)
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    withheld: Mapping[tuple[str, str], int] = field(default_factory=dict)


def utc_now() -> str:
    """Now, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Deliveries:
    """Delivery rows of one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, key: DeliveryKey) -> Mapping[str, Any] | None:
        """The delivery's row, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(DELIVERY).where(_is(DELIVERY, key))).mappings().first()
        return dict(row) if row else None

    def register(
        self, key: DeliveryKey, *, sequence: int, period: str | None, manifest_sha256: str, content_digest: str, size: int
    ) -> None:
        """Record a delivery as waiting. Does nothing if it is known."""
        values = {
            "site": key.site, "feed": key.feed, "delivery_id": key.delivery_id, "sequence": sequence, "period": period,
            "manifest_sha256": manifest_sha256, "content_digest": content_digest, "state": DeliveryState.WAITING,
            "received_at": utc_now(), "bytes": size,
        }  # fmt: skip
        with self._engine.begin() as connection:
            if connection.execute(sa.select(DELIVERY.c.state).where(_is(DELIVERY, key))).first() is None:
                connection.execute(DELIVERY.insert().values(**values))

    def move(self, key: DeliveryKey, to: DeliveryState, *, reason: str | None = None, detail: str | None = None) -> None:
        """Take one step of the closed life.

        Raises:
            IllegalTransition: The step is not in `TRANSITIONS` (repeating the present state is allowed).
        """
        with self._engine.begin() as connection:
            self._move(connection, key, to, reason=reason, detail=detail)

    def _move(self, connection: sa.Connection, key: DeliveryKey, to: DeliveryState, *, reason: str | None, detail: str | None) -> None:
        now: str = connection.execute(sa.select(DELIVERY.c.state).where(_is(DELIVERY, key))).scalar_one()
        if now == to:
            return
        if to not in TRANSITIONS[DeliveryState(now)]:
            raise IllegalTransition(f"delivery {key} is {now}; it cannot become {to}")
        closed = utc_now() if not TRANSITIONS[to] else None
        connection.execute(DELIVERY.update().where(_is(DELIVERY, key)).values(state=to, reason=reason, detail=detail, closed_at=closed))

    def name_for_refused(self, key: DeliveryKey) -> DeliveryKey:
        """Name under which a refused delivery is kept once its id is needed again: `d1~refused1`, `d1~refused2`."""
        prefix = f"{key.delivery_id}~refused"
        taken = {r["delivery_id"] for r in self.all_rows(key.site, key.feed)}
        return next(DeliveryKey(key.site, key.feed, name) for n in itertools.count(1) if (name := f"{prefix}{n}") not in taken)

    def rename_refused(self, key: DeliveryKey, to: DeliveryKey) -> None:
        """Keep a refused delivery under another name. It landed nothing, so only its own row names it."""
        with self._engine.begin() as connection:
            where = sa.and_(_is(DELIVERY, key), DELIVERY.c.state == DeliveryState.REFUSED)
            connection.execute(DELIVERY.update().where(where).values(delivery_id=to.delivery_id))

    def close_landed(self, key: DeliveryKey, receipt: Receipt, *, rule_version: str) -> None:
        """Record the counts and quarantine of a delivery and mark it landed, in one transaction."""
        ident = {"site": key.site, "feed": key.feed, "delivery_id": key.delivery_id}
        with self._engine.begin() as connection:
            for table in (schema.DELIVERY_FILE, schema.ENTITY_COUNT, QUARANTINE, schema.SOURCE_HEADER):
                connection.execute(table.delete().where(_is(table, key)))
            _insert(connection, schema.DELIVERY_FILE, [{**ident, **vars(f)} for f in receipt.files])
            counts = [{**ident, "entity": e, "landed": n, "table_version": receipt.versions.get(e)} for e, n in receipt.entities.items()]
            _insert(connection, schema.ENTITY_COUNT, counts)
            rows = [{**ident, **vars(q), "rule_version": rule_version} for q in receipt.quarantine]
            _insert(connection, QUARANTINE, rows)
            sequence: int = connection.execute(sa.select(DELIVERY.c.sequence).where(_is(DELIVERY, key))).scalar_one()
            headers = [{**ident, "source_table": t, "sequence": sequence, "columns": list(c)} for t, c in receipt.headers.items()]
            _insert(connection, schema.SOURCE_HEADER, headers)
            keep_withheld(connection, ident, receipt.withheld)
            totals = {n: sum(getattr(f, n) for f in receipt.files) for n in ("landed", "quarantined", "duplicate")}
            totals["delivered"] = sum(f.counted for f in receipt.files)
            connection.execute(DELIVERY.update().where(_is(DELIVERY, key)).values(**totals))
            end_landing(connection, ident)
            self._move(connection, key, DeliveryState.LANDED, reason=None, detail=None)

    def close_duplicate(self, key: DeliveryKey, of: str, records: int) -> None:
        """Record that the delivery holds the very bytes of one that is landed: all its records are duplicates."""
        with self._engine.begin() as connection:
            connection.execute(DELIVERY.update().where(_is(DELIVERY, key)).values(delivered=records, duplicate=records))
            detail = f"same files as delivery {of}"
            self._move(connection, key, DeliveryState.DUPLICATE, reason="identical_delivery", detail=detail)

    def last_landed(self, site: str, feed: str) -> Mapping[str, Any] | None:
        """The landed delivery of this site and feed with the highest sequence, or None."""
        query = (
            sa.select(DELIVERY)
            .where(DELIVERY.c.site == site, DELIVERY.c.feed == feed, DELIVERY.c.state == DeliveryState.LANDED)
            .order_by(DELIVERY.c.sequence.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return dict(row) if row else None

    def other_with_sequence(self, key: DeliveryKey, sequence: int) -> str | None:
        """Id of another delivery of this feed that holds the sequence number and was not refused, or None."""
        query = sa.select(DELIVERY.c.delivery_id).where(
            DELIVERY.c.site == key.site,
            DELIVERY.c.feed == key.feed,
            DELIVERY.c.delivery_id != key.delivery_id,
            DELIVERY.c.sequence == sequence,
            DELIVERY.c.state != DeliveryState.REFUSED,
        )
        with self._engine.connect() as connection:
            return connection.execute(query).scalars().first()

    def next_sequence(self, site: str, feed: str) -> int:
        """One more than the highest sequence seen for this site and feed."""
        query = sa.select(sa.func.max(DELIVERY.c.sequence)).where(DELIVERY.c.site == site, DELIVERY.c.feed == feed)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0) + 1

    def in_state(self, *states: DeliveryState, site: str | None = None) -> list[DeliveryKey]:
        """Deliveries in these states, in the order of site, feed and sequence."""
        query = sa.select(DELIVERY).where(DELIVERY.c.state.in_(states))
        if site:
            query = query.where(DELIVERY.c.site == site)
        query = query.order_by(DELIVERY.c.site, DELIVERY.c.feed, DELIVERY.c.sequence)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [DeliveryKey(r["site"], r["feed"], r["delivery_id"]) for r in rows]

    def untold(self, *, site: str | None = None) -> list[DeliveryKey]:
        """Landed deliveries of which Dagster has not been told, in the order of site, feed and sequence."""
        same = sa.and_(*(DELIVERY.c[n] == TOLD.c[n] for n in ("site", "feed", "delivery_id")))
        query = sa.select(DELIVERY).where(DELIVERY.c.state == DeliveryState.LANDED, ~sa.exists().where(same))
        query = query.where(DELIVERY.c.site == site) if site else query
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(DELIVERY.c.site, DELIVERY.c.feed, DELIVERY.c.sequence)).mappings().all()
        return [DeliveryKey(r["site"], r["feed"], r["delivery_id"]) for r in rows]

    def mark_told(self, keys: Iterable[DeliveryKey]) -> None:
        """Dagster knows of these deliveries. Marking one again does nothing."""
        with self._engine.begin() as connection:
            for key in keys:
                connection.execute(TOLD.delete().where(_is(TOLD, key)))
                connection.execute(TOLD.insert().values(site=key.site, feed=key.feed, delivery_id=key.delivery_id))

    def all_rows(self, site: str | None = None, feed: str | None = None) -> list[dict[str, Any]]:
        """All delivery rows, in the order of site, feed, sequence and id."""
        query = sa.select(DELIVERY).order_by(DELIVERY.c.site, DELIVERY.c.feed, DELIVERY.c.sequence, DELIVERY.c.delivery_id)
        for column, value in ((DELIVERY.c.site, site), (DELIVERY.c.feed, feed)):
            query = query.where(column == value) if value else query
        with self._engine.connect() as connection:
            return [dict(r) for r in connection.execute(query).mappings()]

    def files(self, key: DeliveryKey) -> list[dict[str, Any]]:
        """File rows of one delivery."""
        with self._engine.connect() as connection:
            query = sa.select(schema.DELIVERY_FILE).where(_is(schema.DELIVERY_FILE, key)).order_by(schema.DELIVERY_FILE.c.file_index)
            return [dict(r) for r in connection.execute(query).mappings()]

    def entity_counts(self, key: DeliveryKey) -> list[dict[str, Any]]:
        """Rows that one delivery added to each raw table."""
        with self._engine.connect() as connection:
            query = sa.select(schema.ENTITY_COUNT).where(_is(schema.ENTITY_COUNT, key)).order_by(schema.ENTITY_COUNT.c.entity)
            return [dict(r) for r in connection.execute(query).mappings()]

    def close_replayed(self, key: DeliveryKey, receipt: ReplayReceipt, *, rule_version: str) -> None:
        """Record what a replay landed, in one transaction: settled entries count no more, the accounts are drawn up anew."""
        ident = {"site": key.site, "feed": key.feed, "delivery_id": key.delivery_id}
        mark = {**ident, "number": receipt.number, "rule_version": rule_version, "at": utc_now()}
        with self._engine.begin() as connection:
            _insert(connection, REPLAY, [{**mark, "quarantine_id": i} for i in receipt.settled])
            _insert(connection, QUARANTINE, [{**ident, **vars(q), "rule_version": rule_version} for q in receipt.quarantine])
            left = sa.select(QUARANTINE.c.file_index, sa.func.sum(QUARANTINE.c.records)).where(_is(QUARANTINE, key), _open_entry())
            quarantined: dict[int, int] = {i or 0: n for i, n in connection.execute(left.group_by(QUARANTINE.c.file_index)).tuples()}
            for row in connection.execute(sa.select(schema.DELIVERY_FILE).where(_is(schema.DELIVERY_FILE, key))).mappings().all():
                index = row["file_index"]
                values = {
                    "counted": receipt.counted.get(index, row["counted"]), "quarantined": quarantined.get(index, 0),
                    "landed": row["landed"] + receipt.landed.get(index, 0), "duplicate": row["duplicate"] + receipt.duplicate.get(index, 0),
                }  # fmt: skip
                if values["counted"] != values["landed"] + values["quarantined"] + values["duplicate"]:
                    raise IllegalTransition(f"the accounts of {key} would not add up for {row['ref']}; nothing was recorded")
                where = sa.and_(_is(schema.DELIVERY_FILE, key), schema.DELIVERY_FILE.c.file_index == index)
                connection.execute(schema.DELIVERY_FILE.update().where(where).values(**values))
            self._add_entities(connection, key, receipt)
            put_held(connection, ident, receipt.held)
            end_landing(connection, ident)
            c = schema.DELIVERY_FILE.c
            sums = sa.select(*(sa.func.sum(c[n]) for n in ("counted", "landed", "quarantined", "duplicate"))).where(
                _is(schema.DELIVERY_FILE, key)
            )
            totals = dict(zip(("delivered", "landed", "quarantined", "duplicate"), connection.execute(sums).one(), strict=True))
            connection.execute(DELIVERY.update().where(_is(DELIVERY, key)).values(**totals))

    def _add_entities(self, connection: sa.Connection, key: DeliveryKey, receipt: ReplayReceipt) -> None:
        known = {r.entity: r.landed for r in connection.execute(sa.select(schema.ENTITY_COUNT).where(_is(schema.ENTITY_COUNT, key)))}
        for entity, rows in receipt.entities.items():
            connection.execute(schema.ENTITY_COUNT.delete().where(_is(schema.ENTITY_COUNT, key), schema.ENTITY_COUNT.c.entity == entity))
            total, version = known.get(entity, 0) + rows, receipt.versions.get(entity)
            values = {"site": key.site, "feed": key.feed, "delivery_id": key.delivery_id, "entity": entity, "landed": total}
            connection.execute(schema.ENTITY_COUNT.insert().values(**values, table_version=version))

    def quarantine_history(self, key: DeliveryKey) -> list[dict[str, Any]]:
        """Every quarantine row of a delivery, oldest first, with `replay`: number of the replay that settled it, None where it is open."""
        settled = sa.select(REPLAY.c.quarantine_id, REPLAY.c.number.label("replay"), REPLAY.c.at.label("replayed_at")).subquery()
        query = sa.select(QUARANTINE, settled.c.replay, settled.c.replayed_at).outerjoin(
            settled, settled.c.quarantine_id == QUARANTINE.c.id
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(_is(QUARANTINE, key)).order_by(QUARANTINE.c.id)).mappings()
            return [dict(r) for r in rows]

    def quarantine_entry(self, number: int) -> dict[str, Any] | None:
        """One quarantine row, settled or not, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(QUARANTINE).where(QUARANTINE.c.id == number)).mappings().first()
        if row is None:
            return None
        history = self.quarantine_history(DeliveryKey(row["site"], row["feed"], row["delivery_id"]))
        return next(r for r in history if r["id"] == number)

    def quarantined(self, *, site: str | None = None, feed: str | None = None, reason: str | None = None,
                    delivery_id: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:  # fmt: skip
        """Quarantine rows that no replay has settled, oldest first."""
        query = sa.select(QUARANTINE).where(_open_entry()).order_by(QUARANTINE.c.id)
        wanted = {"site": site, "feed": feed, "reason": reason, "delivery_id": delivery_id}
        for name, value in wanted.items():
            query = query.where(QUARANTINE.c[name] == value) if value else query
        with self._engine.connect() as connection:
            return [dict(r) for r in connection.execute(query.limit(limit)).mappings()]

    def quarantine_totals(self) -> list[dict[str, Any]]:
        """Records in quarantine by site, feed and reason."""
        c = QUARANTINE.c
        query = (
            sa.select(c.site, c.feed, c.reason, sa.func.sum(c.records).label("records"))
            .where(_open_entry())
            .group_by(c.site, c.feed, c.reason)
        )
        with self._engine.connect() as connection:
            return [dict(r) for r in connection.execute(query.order_by(c.site, c.feed, c.reason)).mappings()]


def _is(table: sa.Table, key: DeliveryKey) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.site == key.site, table.c.feed == key.feed, table.c.delivery_id == key.delivery_id)


def _open_entry() -> sa.ColumnElement[bool]:
    return QUARANTINE.c.id.not_in(sa.select(REPLAY.c.quarantine_id))


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)
