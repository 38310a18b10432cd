"""The identity vault: which identifiers stand for which person.

Belongs here: the vault's own database, resolution of one delivery's identifiers, merges. Does not belong here: any lake table, any
log line with an identifier. A `person_id` is a random 63-bit number, never a hash of an identifier and never a row number.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from assets.contracts.table import ERASED
from assets.privacy.buckets import BucketSizes
from assets.privacy.bulk import among_people, insert_rows, rows_by_lookup, rows_of
from assets.privacy.demographic_store import keep_demographics
from assets.privacy.demographics import Demographics
from assets.privacy.keyring import Keyring, open_keyring, require_current
from assets.privacy.keys import SealingKeys, load_key
from assets.privacy.merges import FOLLOW, MERGE, merge_people, rejected_pairs
from assets.privacy.vault_schema import EVENT, IDENTIFIER, PERSON, SETTING, SIGHTING, open_engine

LOCAL = "local"
WEAK = "local_identifiers"
"""Further numbers of a person at a site (FHIR Patient.identifier): they find a person but never join two."""
RESIDENT = "kr_rrn"
_UNIQUE_PER_PERSON = frozenset({RESIDENT})


class Identifier(NamedTuple):
    """One identifier: `site` is empty for systems that hold across the country. A tuple, because millions are looked up in dicts."""

    system: str
    site: str
    value: str


class PersonRef(NamedTuple):
    """What the lake may know of a person."""

    person_id: int
    bucket: int


@dataclass(frozen=True)
class Link:
    """Rows landed under `alias` belong to `person`. `order` grows with every event of the vault: the newest holds."""

    alias: PersonRef
    person: PersonRef
    order: int


@dataclass
class Resolution:
    """What one delivery's identifiers came to.

    Attributes:
        people: Local identifier -> person, for every local identifier asked about.
        homes: Local identifier -> the home person, under whom its rows land: a merge that is taken back leaves them with their owner.
        sightings: People that this delivery was the first to name at its site.
        links: Merges that this delivery caused.
        names: Names of people that this delivery tells, of three syllables and more: they must not stand where codes do.
        conflicts: Groups that were not merged because they hold two resident numbers, or because a data steward parted the two.
    """

    people: dict[str, PersonRef] = field(default_factory=dict)
    homes: dict[str, PersonRef] = field(default_factory=dict)
    sightings: list[PersonRef] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    conflicts: int = 0
    names: frozenset[str] = frozenset()


class Vault:
    """An open vault."""

    def __init__(self, engine: sa.Engine, keys: Keyring, sizes: BucketSizes | None = None) -> None:
        self._engine = engine
        self._sizes = sizes or BucketSizes()
        self._keys = keys
        self.key = keys.root
        self.kek = keys.kek

    def resolve(
        self,
        *,
        site: str,
        delivery: str,
        groups: Iterable[Sequence[Identifier]],
        locals_: Iterable[str],
        weak: Iterable[tuple[str, str]] = (),
    ) -> Resolution:
        """Find or make the person of every identifier of a delivery, once each.

        Args:
            site: Site that delivers; local identifiers are the site's own.
            delivery: Delivery key; resolving the same delivery again returns the same sightings and links.
            groups: Identifiers that one record says belong together. The first is the record's local identifier.
            locals_: Local identifiers that other records refer to; `system|value` stands for a weak one.
            weak: (local identifier, `system|value`) pairs: the second finds the person of the first from now on.

        Returns:
            The resolution. Joining two known people is a merge event; two different resident numbers never join.
        """
        joined = _Groups()
        for group in groups:
            joined.add(group)
        for value in locals_:
            joined.add((Identifier(WEAK if "|" in value else LOCAL, site, value),))
        pairs = [(Identifier(LOCAL, site, local), Identifier(WEAK, site, value)) for local, value in weak]
        with self._engine.begin() as connection:
            work = _Resolving(connection, self._keys, self._sizes, site, delivery)
            work.run(joined, pairs)
            return work.result(joined.items)

    def keep_demographics(self, site: str, sequence: int, said: Mapping[int, Demographics]) -> int:
        """Store what a delivery says of people, by home person (`demographic_store.keep_demographics`)."""
        with self._engine.begin() as connection:
            return keep_demographics(connection, self._keys, site, sequence, said)

    @contextmanager
    def transaction(self) -> Iterator[tuple[sa.Connection, Keyring]]:
        """One transaction on the vault, with its keys: for the other modules of this package."""
        with self._engine.begin() as connection:
            yield connection, self._keys

    def people_of(self, person_ids: Sequence[int]) -> dict[int, PersonRef]:
        """Person -> the person it stands for now (itself unless merged)."""
        with self._engine.connect() as connection:
            return _current(connection, person_ids)

    def find(self, site: str, number: str) -> PersonRef | None:
        """The person whom a site knows by one of its own numbers, or None."""
        lookup = self.key.lookup(LOCAL, site, number)
        with self._engine.connect() as connection:
            person = connection.execute(sa.select(IDENTIFIER.c.person_id).where(IDENTIFIER.c.lookup == lookup)).scalar()
            return None if person is None else _current(connection, [person])[person]

    def find_all(self, identifiers: Iterable[Identifier]) -> dict[Identifier, PersonRef]:
        """Identifier -> the person it stands for now, of those that the vault knows."""
        asked = list(dict.fromkeys(identifiers))
        lookups = dict(zip(asked, self._keys.root.lookups(asked), strict=True))
        query = sa.select(IDENTIFIER.c.lookup, IDENTIFIER.c.person_id)
        with self._engine.connect() as connection:
            rows = rows_by_lookup(connection, query, IDENTIFIER.c.lookup, lookups.values())
            known = {bytes(lookup): person for lookup, person in rows}
            now = _current(connection, sorted(set(known.values())))
        return {i: now[known[lookup]] for i, lookup in lookups.items() if lookup in known}

    def local_number(self, person_id: int) -> tuple[str, str] | None:
        """A site and the number by which it knows a person: for handing in an event about the person. None where no site does, or the person was erased."""
        c = IDENTIFIER.c
        query = (
            sa.select(c.site, c.sealed, c.seal_version)
            .where(c.person_id == person_id, c.system == LOCAL)
            .order_by(c.site, c.lookup)
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        number = "" if row is None else self._keys.seals.open(row.seal_version, row.sealed)
        return (row.site, number) if row is not None and number else None

    @property
    def engine(self) -> sa.Engine:
        """The database, for the other modules of this room."""
        return self._engine

    @property
    def seals(self) -> SealingKeys:
        """Keys that seal identifiers."""
        return self._keys.seals

    def count(self) -> int:
        """People known, aliases not counted."""
        with self._engine.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(PERSON.c.merged_into.is_(None))).scalar_one())


def open_vault(database: str | Path, key_file: Path, *, key_text: str | None = None, sizes: BucketSizes | None = None) -> Vault:
    """Open or create the vault.

    Args:
        database: SQLAlchemy URL, or a file path for SQLite.
        key_file: Its key-encryption key; made with a new vault.
        key_text: The key itself, where it is not in a file.
        sizes: Bucket sizes of a new vault; an existing one keeps its own.

    Raises:
        KeyProblem: The key is absent, readable by others, malformed, or another vault's.
    """
    exists = "://" in str(database) or Path(database).exists()
    kek = load_key(key_file, create=not exists, text=key_text)
    engine = open_engine(database)
    keys = open_keyring(engine, kek)
    return Vault(engine, keys, _settled_sizes(engine, sizes or BucketSizes()))


def _settled_sizes(engine: sa.Engine, wanted: BucketSizes) -> BucketSizes:
    with engine.begin() as connection:
        stored = connection.execute(sa.select(SETTING.c.value).where(SETTING.c.name == "bucket_sizes")).scalar()
        if stored is None:
            connection.execute(SETTING.insert().values(name="bucket_sizes", value=wanted.to_bytes()))
    return wanted if stored is None else BucketSizes.from_bytes(stored)


class _Groups:
    """Identifiers that records say belong together, in the order in which they were named first."""

    def __init__(self) -> None:
        self._of: dict[Identifier, list[Identifier]] = {}

    def add(self, group: Sequence[Identifier]) -> None:
        """One record's identifiers; what an earlier record named joins its group."""
        of = self._of
        own: list[Identifier] = []
        for item in group:
            before = len(of)
            other = of.setdefault(item, own)
            if len(of) > before:
                own.append(item)
            elif other is not own:
                own = self._join(other, own)

    def _join(self, one: list[Identifier], other: list[Identifier]) -> list[Identifier]:
        kept, moved = (one, other) if len(one) >= len(other) else (other, one)
        self._of.update(dict.fromkeys(moved, kept))
        kept += moved
        return kept

    @property
    def items(self) -> list[Identifier]:
        """Every identifier once."""
        return list(self._of)

    def members(self) -> Iterator[list[Identifier]]:
        """The groups."""
        seen: set[int] = set()
        for group in self._of.values():
            if id(group) not in seen:
                seen.add(id(group))
                yield group


class _Resolving:
    """One call of `Vault.resolve`, inside one transaction."""

    def __init__(self, connection: sa.Connection, keys: Keyring, sizes: BucketSizes, site: str, delivery: str) -> None:
        self._connection = connection
        self._keys = keys
        self._sizes = sizes
        self._site = site
        self._delivery = delivery
        self._lookup: dict[Identifier, bytes] = {}
        self._person: dict[Identifier, int] = {}
        self._home: dict[Identifier, int] = {}
        self._parted: set[frozenset[int]] = set()
        self._erased: frozenset[int] = frozenset()
        self._new: list[int] = []
        self._made: dict[int, PersonRef] = {}
        self._drawn = _random_numbers()
        self._merges: list[tuple[int, int]] = []
        self._conflicts = 0

    def run(self, joined: _Groups, pairs: Sequence[tuple[Identifier, Identifier]]) -> None:
        everything = dict.fromkeys([*joined.items, *(weak for _, weak in pairs)])
        self._lookup = dict(zip(everything, self._keys.root.lookups(everything), strict=True))
        known = self._known()
        self._erased = erased_people(self._connection)
        forwarding: dict[int, int] = {}
        holders: dict[int, set[bytes]] = {}
        paired = {weak for _, weak in pairs}
        groups = [group for group in joined.members() if group[0] not in paired]
        if any(len(group) > 1 for group in groups):  # only then may two people become one, whether or not a resident number is named here
            holders = self._resident_numbers(set(known.values()))
            self._parted = rejected_pairs(self._connection)
        for group in groups:
            self._settle(group, known, forwarding, holders)
        for local, weak in pairs:
            if weak not in known:
                self._person.setdefault(weak, self._person[local])
                self._home.setdefault(weak, self._home[local])
            else:
                self._person[weak] = _follow(forwarding, known[weak])
        self._store(known)

    def _known(self) -> dict[Identifier, int]:
        c = IDENTIFIER.c
        of_lookup = {lookup: identifier for identifier, lookup in self._lookup.items()}
        known: dict[Identifier, int] = {}
        query = sa.select(c.lookup, c.person_id, c.home_person_id)
        for lookup, person, home in rows_by_lookup(self._connection, query, c.lookup, of_lookup):
            identifier = of_lookup[bytes(lookup)]
            known[identifier], self._home[identifier] = person, person if home is None else home
        return known

    def _resident_numbers(self, people: set[int]) -> dict[int, set[bytes]]:
        """Person -> look-ups of the resident numbers the vault already holds for them."""
        found: dict[int, set[bytes]] = {}
        query = sa.select(IDENTIFIER.c.person_id, IDENTIFIER.c.lookup).where(
            among_people(IDENTIFIER.c.person_id), IDENTIFIER.c.system.in_(_UNIQUE_PER_PERSON)
        )
        for person, lookup in rows_of(self._connection, query, sorted(people)):
            found.setdefault(person, set()).add(bytes(lookup))
        return found

    def _settle(
        self, group: list[Identifier], known: Mapping[Identifier, int], forwarding: dict[int, int], holders: dict[int, set[bytes]]
    ) -> None:
        if len(group) == 1 and group[0].system not in _UNIQUE_PER_PERSON:  # most: there is nobody to join
            self._settle_one(group[0], known, forwarding)
            return
        people = sorted({_follow(forwarding, known[i]) for i in group if i in known})
        residents = {self._lookup[i] for i in group if i.system in _UNIQUE_PER_PERSON}
        for person in people:
            residents |= holders.get(person, set())
        if len(residents) > 1 or self._are_kept_apart(people):
            self._separate(group, known, forwarding)
            return
        person = people[0] if people else self._make()
        if len(people) > 1:
            person = min(people, key=self._age)
            for alias in people:
                if alias != person:
                    forwarding[alias] = person
                    self._merges.append((alias, person))
        if residents:
            holders[person] = residents
        home = next((self._home[i] for i in group if i in known), person)
        for identifier in group:
            self._person[identifier] = person
            self._home.setdefault(identifier, home)

    def _are_kept_apart(self, people: Sequence[int]) -> bool:
        """Whether a steward parted two of these people, or one of several was erased."""
        if len(people) < 2:
            return False
        return not self._erased.isdisjoint(people) or any(frozenset(pair) in self._parted for pair in combinations(people, 2))

    def _settle_one(self, identifier: Identifier, known: Mapping[Identifier, int], forwarding: Mapping[int, int]) -> None:
        person = known.get(identifier)
        self._person[identifier] = self._make() if person is None else _follow(forwarding, person)
        self._home.setdefault(identifier, self._person[identifier])

    def _separate(self, group: list[Identifier], known: Mapping[Identifier, int], forwarding: dict[int, int]) -> None:
        """Two resident numbers in one group, or people who are kept apart: join nobody; every identifier keeps or gets its own person.

        Local identifiers without a person follow the first resident number named beside them only where there is one; here there are
        two, so they get a person of their own, and the group is counted for review.
        """
        self._conflicts += 1
        for identifier in group:
            person = known.get(identifier)
            self._person[identifier] = _follow(forwarding, person) if person is not None else self._make()
            self._home.setdefault(identifier, self._person[identifier])

    def _make(self) -> int:
        person = 0
        while person == 0:
            person = next(self._drawn)
        self._new.append(person)
        return person

    def _age(self, person: int) -> int:
        query = sa.select(PERSON.c.ordinal).where(PERSON.c.person_id == person)
        ordinal = self._connection.execute(query).scalar()
        return int(ordinal) if ordinal is not None else 2**62

    def _store(self, known: Mapping[Identifier, int]) -> None:
        execute = self._connection.execute
        start = int(execute(sa.select(sa.func.coalesce(sa.func.max(PERSON.c.ordinal), 0))).scalar_one())
        people = [(start + i, p, self._sizes.bucket(start + i)) for i, p in enumerate(self._new, 1)]
        insert_rows(self._connection, PERSON, ("ordinal", "person_id", "bucket"), people)
        self._made = {person: PersonRef(person, bucket) for _, person, bucket in people}
        seals = self._keys.seals
        unknown = [(i, p) for i, p in self._person.items() if i not in known]
        sealed = seals.seal_all(["" if p in self._erased else i.value for i, p in unknown])
        fresh = [
            (self._lookup[i], i.system, i.site, p, text, seals.newest, None if self._home[i] == p else self._home[i])
            for (i, p), text in zip(unknown, sealed, strict=True)
        ]
        insert_rows(
            self._connection, IDENTIFIER, ("lookup", "system", "site", "person_id", "sealed", "seal_version", "home_person_id"), fresh
        )
        if fresh:
            require_current(self._connection, seals)
        for alias, person in self._merges:
            merge_people(self._connection, [(alias, person)], cause=self._delivery)
        self._store_sightings()

    def _store_sightings(self) -> None:
        people = sorted({self._home[i] for i in self._person if i.site == self._site})
        query = sa.select(SIGHTING.c.person_id).where(SIGHTING.c.site == self._site, among_people(SIGHTING.c.person_id))
        seen = {person for (person,) in rows_of(self._connection, query, [p for p in people if p not in self._made])}
        rows = [(self._site, p, self._delivery) for p in people if p not in seen]
        insert_rows(self._connection, SIGHTING, ("site", "person_id", "delivery"), rows)

    def result(self, identifiers: list[Identifier]) -> Resolution:
        sighted: list[int] = list(
            self._connection.execute(
                sa.select(SIGHTING.c.person_id).where(SIGHTING.c.site == self._site, SIGHTING.c.delivery == self._delivery)
            ).scalars()
        )
        events = _rows(
            self._connection,
            sa.select(EVENT.c.alias_person_id, sa.func.max(EVENT.c.id))
            .where(EVENT.c.delivery == self._delivery, EVENT.c.kind.in_((MERGE, FOLLOW)))
            .group_by(EVENT.c.alias_person_id),
        )
        merges: dict[int, int] = dict(events)
        own = [i for i in identifiers if i.system in (LOCAL, WEAK) and i.site == self._site]
        refs = self._made | _current(self._connection, sorted({*self._person.values(), *merges} - self._made.keys()))
        buckets = {p: ref.bucket for p, ref in refs.items() if ref.person_id == p}
        buckets |= _buckets(self._connection, sorted({*merges, *sighted, *self._home.values()} - buckets.keys()))
        people = {i.value: refs[self._person[i]] for i in own}
        homes = {i.value: PersonRef(self._home[i], buckets[self._home[i]]) for i in own}
        links = [Link(PersonRef(a, buckets[a]), refs[a], order) for a, order in sorted(merges.items())]
        return Resolution(people, homes, [PersonRef(p, buckets[p]) for p in sighted], links, self._conflicts)


def _random_numbers() -> Iterator[int]:
    """Random 63-bit numbers without end, drawn from the system's source 1,024 at a time."""
    while True:
        yield from (number >> 1 for number in struct.unpack("1024Q", secrets.token_bytes(8 * 1024)))


def erased_people(connection: sa.Connection) -> frozenset[int]:
    """Everybody who was erased, or is being erased."""
    return frozenset(connection.execute(sa.select(PERSON.c.person_id).where(PERSON.c.bucket == ERASED)).scalars())


def _follow(forwarding: Mapping[int, int], person: int) -> int:
    while person in forwarding:
        person = forwarding[person]
    return person


def _current(connection: sa.Connection, people: Sequence[int]) -> dict[int, PersonRef]:
    target = PERSON.alias("target")
    now = sa.func.coalesce(PERSON.c.merged_into, PERSON.c.person_id)
    query = sa.select(PERSON.c.person_id, target.c.person_id, target.c.bucket).join(target, target.c.person_id == now)
    rows = rows_of(connection, query.where(among_people(PERSON.c.person_id)), people)
    return {person: PersonRef(current, bucket) for person, current, bucket in rows}


def _buckets(connection: sa.Connection, people: Sequence[int]) -> dict[int, int]:
    query = sa.select(PERSON.c.person_id, PERSON.c.bucket).where(among_people(PERSON.c.person_id))
    return dict(rows_of(connection, query, people))


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> list[Any]:
    return list(connection.execute(query).all())
