"""Erasures: how far each is, and what it took out of tables and landing store.

Belongs here: their tables, reads and writes of those rows. Does not belong here: who is erased (the vault), doing it (`assets/erasure`). No row names a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from assets.ledger.deliveries import DeliveryKey, utc_now
from assets.ledger.schema import METADATA, SET_ASIDE
from assets.ledger.withdrawn import forget_withdrawn

AUDIT = "audit"
ERASURE = sa.Table(
    "erasure",
    METADATA,
    sa.Column("erasure_id", sa.String, primary_key=True),
    sa.Column("subjects", sa.JSON, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("receipt_sha256", sa.String),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("finished_at", sa.String),
)
"""Grain: one erasure, of one or more people. `subjects`: keyed hash of each person id, known to the vault only. `step`: the last one finished. `facts`: what was done, for
the receipt; counts, table keys and versions."""

ERASED_ROWS = sa.Table(
    "erased_rows",
    METADATA,
    sa.Column("erasure_id", sa.String, primary_key=True),
    sa.Column("table_key", sa.String, primary_key=True),
    sa.Column("site", sa.String, primary_key=True),
    sa.Column("delivery_id", sa.String, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
)
"""Grain: rows that an erasure takes out of what one delivery left in one raw table. The delivery's own accounts stay: its records did land."""

ERASED_BYTES = sa.Table(
    "erased_bytes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    *(sa.Column(c, sa.String, nullable=False) for c in ("site", "feed", "delivery_id")),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("redacted_sha256", sa.String),
    sa.Column("records", sa.JSON, nullable=False),
    sa.Column("erasure_id", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Index("erased_bytes_delivery", "site", "feed", "delivery_id"),
)
"""Grain: what an erasure did to one delivered file in the landing store. `sha256`: with which it was accepted. `redacted_sha256`: which it has
since records of it, by number in `records`, were blanked; null: its bytes were destroyed. The newest row of a file holds."""


class Erasures:
    """Erasure rows of one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> sa.Engine:
        """The control database."""
        return self._engine

    def begin(self, erasure_id: str, subjects: Sequence[str], *, step: str) -> None:
        """Note that an erasure begins. Noting it again does nothing."""
        with self._engine.begin() as connection:
            if connection.execute(sa.select(ERASURE.c.step).where(ERASURE.c.erasure_id == erasure_id)).first() is None:
                values = {"erasure_id": erasure_id, "subjects": list(subjects), "step": step, "facts": {}, "started_at": utc_now()}
                connection.execute(ERASURE.insert().values(**values))

    def facts(self, erasure_id: str) -> dict[str, Any]:
        """What an erasure has done so far; empty where it is not known."""
        row = self.get(erasure_id)
        return {} if row is None else row["facts"]

    def note(self, erasure_id: str, *, step: str, facts: Mapping[str, Any]) -> None:
        """Note that a step is finished, and what it did."""
        with self._engine.begin() as connection:
            known: dict[str, Any] = connection.execute(sa.select(ERASURE.c.facts).where(ERASURE.c.erasure_id == erasure_id)).scalar_one()
            values = {"step": step, "facts": {**known, **facts}}
            connection.execute(ERASURE.update().where(ERASURE.c.erasure_id == erasure_id).values(**values))

    def finish(self, erasure_id: str, *, step: str, receipt_sha256: str) -> None:
        """Note that an erasure has ended, and the hash of its receipt."""
        values = {"step": step, "receipt_sha256": receipt_sha256, "finished_at": utc_now()}
        with self._engine.begin() as connection:
            connection.execute(ERASURE.update().where(ERASURE.c.erasure_id == erasure_id).values(**values))

    def get(self, erasure_id: str) -> dict[str, Any] | None:
        """One erasure."""
        return next((r for r in self.all() if r["erasure_id"] == erasure_id), None)

    def all(self) -> list[dict[str, Any]]:
        """Every erasure, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(ERASURE).order_by(ERASURE.c.started_at, ERASURE.c.erasure_id)).mappings()
            return [dict(r) for r in rows]

    def note_rows(self, erasure_id: str, table_key: str, rows: Mapping[tuple[str, str], int]) -> None:
        """Note how many rows of which delivery are about to be taken out of a table; noted once, before they are."""
        with self._engine.begin() as connection:
            is_this = (ERASED_ROWS.c.erasure_id == erasure_id, ERASED_ROWS.c.table_key == table_key)
            known = {(r.site, r.delivery_id) for r in connection.execute(sa.select(ERASED_ROWS).where(*is_this))}
            new = [
                {"erasure_id": erasure_id, "table_key": table_key, "site": site, "delivery_id": name, "rows": count}
                for (site, name), count in sorted(rows.items())
                if (site, name) not in known
            ]
            if new:
                connection.execute(ERASED_ROWS.insert(), new)

    def rows(self) -> dict[str, Counter[tuple[str, str]]]:
        """Raw table -> (site, delivery id) -> rows that erasures took out."""
        found: dict[str, Counter[tuple[str, str]]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(sa.select(ERASED_ROWS)):
                found.setdefault(row.table_key, Counter())[row.site, row.delivery_id] += row.rows
        return found

    def note_files(
        self, erasure_id: str, key: DeliveryKey, hashes: Iterable[str], *, redacted: str | None = None, records: Sequence[int] = ()
    ) -> None:
        """Note that delivered files are about to be destroyed in the landing store, or one of them to have records blanked. Noting it again does nothing."""
        state = self.stored(key)
        where = {"site": key.site, "feed": key.feed, "delivery_id": key.delivery_id, "erasure_id": erasure_id, "at": utc_now()}
        new = [sha256 for sha256 in sorted(set(hashes)) if state.get(sha256, sha256) not in (redacted, None)]
        if new:
            rows = [{**where, "sha256": sha256, "redacted_sha256": redacted, "records": list(records)} for sha256 in new]
            with self._engine.begin() as connection:
                connection.execute(ERASED_BYTES.insert(), rows)

    def stored(self, key: DeliveryKey) -> dict[str, str | None]:
        """Hash with which a file of a delivery was accepted -> hash it has now, None where it was destroyed; files that were not touched are absent."""
        is_this = (ERASED_BYTES.c.site == key.site, ERASED_BYTES.c.feed == key.feed, ERASED_BYTES.c.delivery_id == key.delivery_id)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(ERASED_BYTES).where(*is_this).order_by(ERASED_BYTES.c.id)).all()
        return {row.sha256: row.redacted_sha256 for row in rows}

    def taken(self, erasure_id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What an erasure did in the landing store: files destroyed (delivery, hash), files redacted (also the new hash and how many records)."""
        c = ERASED_BYTES.c
        query = sa.select(ERASED_BYTES).where(c.erasure_id == erasure_id).order_by(c.site, c.feed, c.delivery_id, c.sha256, c.id)
        destroyed: list[dict[str, Any]] = []
        redacted: list[dict[str, Any]] = []
        with self._engine.connect() as connection:
            for r in connection.execute(query):
                entry = {"delivery": f"{r.site}/{r.feed}/{r.delivery_id}", "sha256": r.sha256}
                if r.redacted_sha256 is None:
                    destroyed.append(entry)
                else:
                    redacted.append({**entry, "redacted_sha256": r.redacted_sha256, "records": len(r.records)})
        return destroyed, redacted

    def all_values(self) -> Iterator[tuple[str, bytes]]:
        """(table, values of a row, one a line) of every row of the control database but those of the audit."""
        with self._engine.connect() as connection:
            for table in sa.inspect(connection).get_table_names():
                if table == AUDIT:
                    continue
                rows = connection.execution_options(yield_per=1000).execute(sa.text(f'select * from "{table}"'))
                for row in rows:
                    yield table, "\n".join(str(value) for value in row if value is not None).encode("utf-8", "surrogateescape")

    def release(self, ids: Iterable[int], *, reason: str, detail: str) -> None:
        """Builds no longer have to leave these people out, nor does landing have to wait for their consent: they are nowhere.

        Args:
            ids: Their person ids.
            reason: Why records about them that were held stay in quarantine.
            detail: The same as a sentence.
        """
        gone, c = list(ids), SET_ASIDE.c
        with self._engine.begin() as connection:
            known: set[int] = set(connection.execute(sa.select(c.person_id)).scalars())
            for person in known.intersection(gone):
                connection.execute(SET_ASIDE.delete().where(c.person_id == person))
            forget_withdrawn(connection, gone, reason=reason, detail=detail)
