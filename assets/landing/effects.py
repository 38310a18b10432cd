"""Which people a delivery touches beyond those its own rows name.

Belongs here: the four ways in which a row changes what is known of somebody else, and who is said to withdraw. Does not belong here: landing (`land`),
deciding what a build rebuilds (`assets/planning`), what an event of consent comes to (the models of consent).

- A correction names another person: the old person's bucket has to be rebuilt too, and from then on the two buckets are read together.
- A tombstone names a record and no person.
- A row on which anybody's models may depend (`everybody` of the contract: a province, say) is new or says something new: everybody is touched.
- A place, a provider or a code list says something new: everybody whose rows point to it is touched. One that is delivered again with the
  same content touches nobody, which is the usual case.

Cost: two integer columns of the site's earlier rows, and only of tables whose records have an id of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path

import duckdb

from assets.contracts.table import Contract, Entity
from assets.lake.commits import read_snapshot
from assets.lake.paths import Lake
from assets.lake.sql import sql_literal, sql_name
from assets.ledger.deliveries import DeliveryKey
from assets.privacy.scrub import EntityRules

TOMBSTONE = "tombstone"
MEMORY = "256MB"
_SHARE_ROWS = 500_000
"""Rows of the delivery grouped by record at a time: a group is a hash table's entry, and a delivery may be of any size."""
MOST_LISTED = 10_000
"""Ids that a query may name one by one."""
_ROUNDS = 3  # place -> provider -> role: no standard chains further


@dataclass
class Effects:
    """What a delivery does to others.

    Attributes:
        people: Whom it touches, by the person that each row named when it was landed (a merge may have followed).
        moves: (bucket of an older version of a record, bucket of the delivered one).
        everybody: A table that any row may depend on changed.
        withdrawing: Who is said to withdraw, in words that had not come before; by the person that the row named.
    """

    people: set[int] = field(default_factory=set)
    moves: set[tuple[int, int]] = field(default_factory=set)
    everybody: bool = False
    withdrawing: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Brought:
    """What a delivery brought.

    Attributes:
        entities: Those it brought rows of.
        files: Table key -> data files that hold its rows and no others, relative to the table. Without one, the rows are asked.
        repeated: Entity -> record ids that it brought more than once, where they are few. Without an entity, the rows are asked.
    """

    entities: Iterable[str]
    files: Mapping[str, frozenset[str]] = field(default_factory=dict)
    repeated: Mapping[str, frozenset[int]] = field(default_factory=dict)


def files_of_site(lake: Lake, entity: Entity, site: str) -> list[Path]:
    """Data files of a raw table with rows of a site."""
    if not (lake.table(entity.key) / "_delta_log").is_dir():
        return []
    return [path for path in read_snapshot(lake, entity.key).files if f"site={site}" in path.parts]


def rows_in(files: Iterable[Path]) -> str | None:
    """What to select from to read data files of a raw table, without its partition column; None where there are none."""
    listed = ", ".join(sql_literal(str(path)) for path in files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true)" if listed else None


def find_effects(lake: Lake, contract: Contract, rules: Mapping[str, EntityRules], key: DeliveryKey, brought: Brought) -> Effects:
    """Look at what a delivery landed beside what its site had delivered before.

    Args:
        lake: The lake; the delivery's rows are committed.
        contract: Of the delivery's family.
        rules: Allow-lists of the family: they say which column refers to which kind of record.
        key: The delivery.
        brought: What it brought.

    Returns:
        The effects. Asking again for the same delivery gives the same, or more where others landed since.
    """
    with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(lake.scratch)}) as connection:
        search = _Search(connection, lake, contract, rules, key, brought)
        for name in brought.entities:
            search.look_at(contract.entities[name])
        search.follow()
        return search.effects


class _Search:
    """One delivery's effects, as they are found."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, lake: Lake, contract: Contract, rules: Mapping[str, EntityRules], key: DeliveryKey,
        brought: Brought,
    ) -> None:  # fmt: skip
        self._run = connection
        self._lake = lake
        self._contract = contract
        self._rules = rules
        self._key = key
        self._brought = brought
        self._is_own = f"_delivery_id = {sql_literal(key.delivery_id)}"
        self._changed: dict[str, set[int]] = {}
        self._files: dict[str, list[Path]] = {}
        self._tables: dict[str, str | None] = {}
        self._earlier: dict[str, bool] = {}
        self._known: bool | None = None
        self.effects = Effects()

    def look_at(self, entity: Entity) -> None:
        """One entity that the delivery brought rows of."""
        table = self._table(entity)
        if table is None:
            return
        if entity.person_level and self._verb(entity) == "record":
            self._look_at_moves(entity, table)
        if entity.everybody is not None:
            self._look_at_common_rows(entity, table)
        if entity.withdrawn_by:
            self._look_at_withdrawals(entity, table)
        if not self._site_is_known():
            return
        if entity.name == TOMBSTONE:
            self._look_at_tombstones(table)
        elif not entity.person_level and self._is_pointed_at(entity):
            self._look_at_places(entity, table)

    def follow(self) -> None:
        """Everybody whose rows point to a changed place, directly or over others. Without one, no table is opened."""
        if not any(self._changed.values()):
            return
        places = [e for e in self._contract.entities.values() if not e.person_level and e.name != TOMBSTONE]
        for _ in range(_ROUNDS):
            before = {scope: len(ids) for scope, ids in self._changed.items()}
            for entity in places:
                own = self._scope(entity)
                for column, ids in self._pointing(entity):
                    if own is not None and (table := self._table(entity)) is not None:
                        self._changed.setdefault(own, set()).update(
                            self._ints(f"select record_id from {table} where {_is_in(column, ids)}")
                        )
            if before == {scope: len(ids) for scope, ids in self._changed.items()}:
                break
        for entity in self._contract.entities.values():
            if entity.person_level and (table := self._table(entity)) is not None:
                for column, ids in self._pointing(entity):
                    earlier = f"select distinct person_id from {table} where not {self._is_own} and {_is_in(column, ids)}"
                    self.effects.people.update(self._ints(earlier))

    def _look_at_moves(self, entity: Entity, table: str) -> None:
        """Records of which this delivery makes versions lie in several buckets, its own versions among themselves included."""
        for own in self._own_versions(entity, table):
            moved = f"select record_id from ({own}) group by record_id having min(person_bucket) <> max(person_bucket)"
            inside = self._run.execute(
                f"select list(distinct person_bucket), list(distinct person_id) from ({own}) semi join ({moved}) using (record_id)"
                " group by record_id"
            ).fetchall()
            for buckets, people in inside:
                self.effects.moves.update(permutations(map(int, buckets), 2))
                self.effects.people.update(int(person) for person in people if person is not None)
        if not self._has_earlier(entity):
            return
        once = "" if entity.name in self._brought.repeated else "distinct"  # few are repeated: making all distinct costs more than it saves
        found = self._run.execute(
            f"with own as (select {once} record_id, person_bucket from {table} where {self._is_own})"
            f" select distinct earlier.person_bucket, own.person_bucket, earlier.person_id from {table} as earlier"
            f" inner join own using (record_id) where not earlier.{self._is_own} and earlier.person_bucket <> own.person_bucket"
        ).fetchall()
        self.effects.moves.update((int(a), int(b)) for a, b, _ in found)
        self.effects.people.update(int(person) for _, _, person in found if person is not None)

    def _own_versions(self, entity: Entity, table: str) -> Iterator[str]:
        """Queries for the delivery's rows of records that it brought more than once: all versions of a record are in one."""
        own = f"select record_id, person_bucket, person_id from {table} where {self._is_own}"
        repeated = self._brought.repeated.get(entity.name)
        if repeated is not None:
            yield from [f"{own} and {_is_in('record_id', repeated)}"] if repeated else []
            return
        shares = self._ints(f"select count(*) from {table} where {self._is_own}")[0] // _SHARE_ROWS + 1
        yield from (f"{own} and record_id % {shares} = {share}" for share in range(shares))

    def _is_pointed_at(self, entity: Entity) -> bool:
        """May a row of anybody depend on this table? Accounts of messages (HL7 v2) are many, and nothing refers to them."""
        scope = self._scope(entity)
        others = (rules for name, rules in self._rules.items() if name != entity.name)
        return scope is None or any(rule.scope == scope for rules in others for rule in rules.rules.values())

    def _look_at_tombstones(self, table: str) -> None:
        named = self._run.execute(f"select entity_name, list(distinct record_id) from {table} where {self._is_own} group by all").fetchall()
        for name, ids in named:
            entity = self._contract.entities.get(name)
            target = self._table(entity) if entity is not None else None
            if entity is None or target is None:
                continue
            if entity.person_level:
                self.effects.people.update(self._ints(f"select distinct person_id from {target} where {_is_in('record_id', ids)}"))
            elif (scope := self._scope(entity)) is not None:
                self._changed.setdefault(scope, set()).update(ids)

    def _look_at_places(self, entity: Entity, table: str) -> None:
        columns = ", ".join(sql_name(c.name) for c in entity.columns if c.name != "version_at")  # touched is not changed
        scope = self._scope(entity)
        if scope is None:  # a list that is delivered whole, such as a site's own concepts
            newest = f"(select max(_sequence) from {table} where not {self._is_own})"
            own, earlier = (
                f"select {columns} from {table} where {w}" for w in (self._is_own, f"not {self._is_own} and _sequence = {newest}")
            )
            query = f"select count(*) from (({own} except {earlier}) union all ({earlier} except {own}))"
            self.effects.everybody |= self._ints(query)[0] > 0
            return
        said = f"select record_id from {table} where record_id in (select record_id from {table} where {self._is_own})"
        anew = f"{said} group by record_id having count(distinct hash({columns})) > 1 or bool_and({self._is_own})"
        self._changed.setdefault(scope, set()).update(ids := self._ints(anew))
        if ids:
            for rule in self._rules[entity.name].rules.values():
                if rule.verb in ("record", "aliases") and rule.column != "record_id" and rule.scope is not None:
                    value = f"unnest({sql_name(rule.column)})" if rule.verb == "aliases" else sql_name(rule.column)
                    pointed = self._ints(f"select distinct {value} from {table} where {_is_in('record_id', ids)}")
                    self._changed.setdefault(rule.scope, set()).update(pointed)

    def _look_at_common_rows(self, entity: Entity, table: str) -> None:
        columns = ", ".join(sql_name(c.name) for c in entity.columns)
        own, earlier = (f"select {columns} from {table} where {entity.everybody} and {w}" for w in (self._is_own, f"not {self._is_own}"))
        self.effects.everybody |= self._ints(f"select count(*) from ({own} except {earlier})")[0] > 0

    def _look_at_withdrawals(self, entity: Entity, table: str) -> None:
        """Senders tell all they know again and again: what a record has said before is no news."""
        said = " or ".join(
            f"lower(trim({sql_name(column)})) in ({', '.join(map(sql_literal, words))})" for column, words in entity.withdrawn_by.items()
        )
        own = f"select record_id, person_id from {table} where {self._is_own} and ({said})"
        if self._has_earlier(entity) and self._ints(f"select count(*) from ({own})")[0]:
            own += f" except select record_id, person_id from {table} where not {self._is_own} and ({said})"
        self.effects.withdrawing.update(self._ints(f"select distinct person_id from ({own})"))

    def _pointing(self, entity: Entity) -> Iterable[tuple[str, set[int]]]:
        """Columns of an entity that refer to a changed record, with the ids."""
        rules = self._rules[entity.name].rules.values() if entity.name in self._rules else ()
        for rule in rules:
            if rule.verb == "record" and rule.column != "record_id" and (ids := self._changed.get(str(rule.scope))):
                yield rule.column, ids

    def _verb(self, entity: Entity) -> str | None:
        rule = self._rules[entity.name].rules.get("record_id") if entity.name in self._rules else None
        return rule.verb if rule is not None else None

    def _scope(self, entity: Entity) -> str | None:
        rule = self._rules[entity.name].rules.get("record_id") if entity.name in self._rules else None
        return rule.scope if rule is not None else None

    def _table(self, entity: Entity) -> str | None:
        """The site's rows of an entity as a relation, or None where there are none."""
        if entity.name not in self._tables:
            self._files[entity.name] = files_of_site(self._lake, entity, self._key.site)
            self._tables[entity.name] = rows_in(self._files[entity.name])
        return self._tables[entity.name]

    def _site_is_known(self) -> bool:
        """Did this site deliver people before? If not, there is nobody else to touch."""
        if self._known is None:
            self._known = any(self._has_earlier(e) for e in self._contract.entities.values() if e.person_level)
        return self._known

    def _has_earlier(self, entity: Entity) -> bool:
        """Did the site deliver rows of an entity before? Where all files are this delivery's own, no row has to be looked at."""
        if entity.name not in self._earlier:
            table = self._table(entity)
            folder = self._lake.table(entity.key)
            own = self._brought.files.get(entity.key, frozenset())
            self._earlier[entity.name] = (
                table is not None
                and not own.issuperset(str(path.relative_to(folder)) for path in self._files[entity.name])
                and bool(self._run.execute(f"select exists (from {table} where not {self._is_own})").fetchall()[0][0])
            )
        return self._earlier[entity.name]

    def _ints(self, query: str) -> list[int]:
        return [int(value) for (value,) in self._run.execute(query).fetchall() if value is not None]


def _is_in(column: str, ids: Iterable[int]) -> str:
    return f"{sql_name(column)} in ({', '.join(map(str, sorted(ids))) or 'null'})"
