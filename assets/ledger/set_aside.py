"""People whom builds leave out, because a model fails on their records.

Belongs here: reads and writes of those rows. Does not belong here: finding them (`assets/lake/poison`), leaving them out (`assets/planning`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assets.ledger.deliveries import utc_now
from assets.ledger.schema import CHANGE, SET_ASIDE


@dataclass(frozen=True)
class Held:
    """One person set aside; the columns of `set_aside`."""

    person_id: int
    bucket: int
    ids: tuple[int, ...]
    model: str
    message: str
    places: tuple[str, ...]
    code_version: str
    change_id: int
    at: str = ""

    def shown(self) -> dict[str, Any]:
        """What people outside the vault may see: everything but who it is."""
        return {"bucket": self.bucket, "model": self.model, "message": self.message, "places": list(self.places), "since": self.at}


class SetAside:
    """Rows of one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self) -> list[Held]:
        """Everybody who is set aside, by bucket."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(SET_ASIDE).order_by(SET_ASIDE.c.bucket, SET_ASIDE.c.person_id)).mappings().all()
        return [Held(**{**r, "ids": tuple(r["ids"]), "places": tuple(r["places"])}) for r in rows]

    def add(self, people: Iterable[Mapping[str, Any]], *, model: str, message: str, code_version: str) -> None:
        """Set people aside: `person_id`, `bucket`, `ids`, `places` of each."""
        with self._engine.begin() as connection:
            newest = connection.execute(sa.select(sa.func.max(CHANGE.c.id))).scalar() or 0
            for person in people:
                connection.execute(SET_ASIDE.delete().where(SET_ASIDE.c.person_id == person["person_id"]))
                values = {**person, "model": model, "message": message, "code_version": code_version, "change_id": newest, "at": utc_now()}
                connection.execute(SET_ASIDE.insert().values(**values))

    def keep_only(self, person_ids: Sequence[int]) -> None:
        """The others have been built in again."""
        with self._engine.begin() as connection:
            connection.execute(SET_ASIDE.delete().where(SET_ASIDE.c.person_id.not_in(list(person_ids))))

    def still_bad(self, *, code_version: str) -> list[Held]:
        """Those for whom nothing has changed: the same code, and no open change that touches their bucket since."""
        with self._engine.connect() as connection:
            changes = connection.execute(sa.select(CHANGE).where(CHANGE.c.built_by.is_(None))).all()
        return [
            h
            for h in self.all()
            if h.code_version == code_version
            and not any(c.id > h.change_id and (c.touches_everything or h.bucket in c.buckets) for c in changes)
        ]
