"""Stamps of frozen cohorts: of what each issue was made.

Belongs here: reads and writes of those rows. Does not belong here: members (Delta table `cohort/member`), evaluating a definition
(`assets/cohorts`). Whether a stamp is stale is no column: it is computed from the versions of today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa

from assets.ledger.deliveries import utc_now
from assets.ledger.schema import COHORT_STAMP, DELIVERY, ENTITY_COUNT, DeliveryState

_OF_CONSENT = sa.or_(
    sa.and_(ENTITY_COUNT.c.feed == "consent", ENTITY_COUNT.c.entity == "event"), ENTITY_COUNT.c.entity.in_(("consent", "consent_event"))
)
"""Rows of consent services, of FHIR Consent and of registries."""

MAKING, FROZEN, RETIRED = "making", "frozen", "retired"


@dataclass(frozen=True)
class Stamp:
    """One issue of a cohort.

    Attributes:
        cohort, issue: Its name, and its number from 1.
        definition, definition_sha256: SQL in normal form, and its hash.
        versions: Table key -> Delta version.
        vocabulary_release: Of the vocabularies that the tables were mapped with.
        code_version: Of the models that made the tables.
        consent_day, consent_event: Day on which consent was judged, and the last delivery of consent events that was in it.
        request: The project's data request whose terms every member permits, as in its file.
        reissue_of: The issue of which this one is the rest.
        statement: How a reissue differs, small counts withheld.
        people, rows_sha256: Members when it was made, and the hash of their rows in order.
        versions_let_go: Why its versions need not be kept any more.
        state, at: making, frozen or retired; when it was made.
    """

    cohort: str
    issue: int
    definition: str
    definition_sha256: str
    versions: Mapping[str, int]
    vocabulary_release: str
    code_version: str
    consent_day: str
    consent_event: str | None = None
    request: Mapping[str, Any] | None = None
    reissue_of: int | None = None
    statement: Mapping[str, Any] | None = field(default=None)
    people: int = 0
    rows_sha256: str = ""
    versions_let_go: str | None = None
    state: str = MAKING
    at: str = ""

    @property
    def name(self) -> str:
        """Name and issue, for people."""
        return f"{self.cohort} issue {self.issue}"


class Stamps:
    """Stamps of one control database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def begin(self, stamp: Stamp) -> None:
        """Take a number before any row is written; a kill burns it."""
        with self._engine.begin() as connection:
            connection.execute(COHORT_STAMP.insert().values(**{**asdict(stamp), "state": MAKING, "at": utc_now()}))

    def freeze(self, cohort: str, issue: int, *, people: int, rows_sha256: str, statement: Mapping[str, Any] | None = None) -> None:
        """Its rows are in the table."""
        values = {"state": FROZEN, "people": people, "rows_sha256": rows_sha256, "statement": statement}
        with self._engine.begin() as connection:
            connection.execute(COHORT_STAMP.update().where(*_is(cohort, issue)).values(**values))

    def retire(self, cohort: str, issue: int) -> None:
        """The issue is no longer held: its rows are gone, its versions need not be kept."""
        values = {"state": RETIRED, "versions_let_go": f"retired {utc_now()}"}
        with self._engine.begin() as connection:
            connection.execute(COHORT_STAMP.update().where(*_is(cohort, issue)).values(**values))

    def let_go(self, why: str) -> int:
        """No stamp keeps versions any more, for example because a person in them was erased. Returns how many did until now."""
        with self._engine.begin() as connection:
            query = COHORT_STAMP.update().where(COHORT_STAMP.c.versions_let_go.is_(None)).values(versions_let_go=why)
            return int(connection.execute(query).rowcount)

    def next_issue(self, cohort: str) -> int:
        """Number of the next issue."""
        with self._engine.connect() as connection:
            newest = connection.execute(sa.select(sa.func.max(COHORT_STAMP.c.issue)).where(COHORT_STAMP.c.cohort == cohort)).scalar()
        return 1 if newest is None else int(newest) + 1

    def all(self, *, state: str | None = FROZEN) -> list[Stamp]:
        """Stamps by name and issue; None: in every state."""
        query = sa.select(COHORT_STAMP).order_by(COHORT_STAMP.c.cohort, COHORT_STAMP.c.issue)
        if state is not None:
            query = query.where(COHORT_STAMP.c.state == state)
        with self._engine.connect() as connection:
            return [Stamp(**row) for row in connection.execute(query).mappings()]

    def pinned(self) -> dict[str, set[int]]:
        """Table key -> versions that stamps keep. One that is being made keeps them too."""
        found: dict[str, set[int]] = {}
        query = sa.select(COHORT_STAMP.c.versions).where(COHORT_STAMP.c.versions_let_go.is_(None))
        with self._engine.connect() as connection:
            rows: list[dict[str, int]] = list(connection.execute(query).scalars())
        for versions in rows:
            for table, version in versions.items():
                found.setdefault(table, set()).add(int(version))
        return found

    def last_consent_delivery(self) -> str | None:
        """The newest landed delivery that added rows to raw tables of consent events, or None."""
        same = [ENTITY_COUNT.c[n] == DELIVERY.c[n] for n in ("site", "feed", "delivery_id")]
        query = (
            sa.select(DELIVERY.c.site, DELIVERY.c.feed, DELIVERY.c.delivery_id)
            .join(ENTITY_COUNT, sa.and_(*same))
            .where(DELIVERY.c.state == DeliveryState.LANDED, ENTITY_COUNT.c.landed > 0, _OF_CONSENT)
            .order_by(DELIVERY.c.closed_at.desc(), DELIVERY.c.site, DELIVERY.c.feed, DELIVERY.c.delivery_id)
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else "/".join(map(str, row))


def _is(cohort: str, issue: int) -> tuple[sa.ColumnElement[bool], ...]:
    return COHORT_STAMP.c.cohort == cohort, COHORT_STAMP.c.issue == issue


__all__ = ["FROZEN", "MAKING", "RETIRED", "Stamp", "Stamps"]
