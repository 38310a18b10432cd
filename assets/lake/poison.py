"""Which people make a model fail: their records hold a value on which its query stops, and one such record would stop every build.

Belongs here: reading tables without some people, the search for those people. Does not belong here: what is done about it (`assets/planning`,
`assets/warehouse`), running dbt.

A view is narrowed by giving NULL for every column of a row that is left out, and dropping the row above that. A filter alone would not do: the
engine is free to evaluate the expression that fails before the filter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import duckdb
import pyarrow as pa

from assets.lake.durable import append_line
from assets.lake.paths import Lake
from assets.lake.sql import sql_name

MOST_PEOPLE = 16
"""More than these are not a few bad records but a model that is wrong: the build fails as a whole."""
_MOST_PROBES = 600
_AS_THEY_ARE = frozenset({"person_bucket", "site"})
"""Never part of an expression that fails, and files are skipped by them."""
_UNTOUCHED = ("raw_people", "link")

Probe = Callable[[duckdb.DuckDBPyConnection], None]


@dataclass(frozen=True)
class PoisonedPerson:
    """One person whose records a model cannot take.

    Attributes:
        person_id: After identity merges.
        bucket: Where the person is.
        ids: All person ids merged into this one.
        places: `table site delivery: records`, where to look.
    """

    person_id: int
    bucket: int
    ids: tuple[int, ...]
    places: tuple[str, ...] = ()


def leave_out(connection: duckdb.DuckDBPyConnection, people: Iterable[int]) -> None:
    """Read raw tables without these people, in every view of this database."""
    listed = ", ".join(str(int(p)) for p in people)
    if listed:
        for schema, name, body, columns in _views(connection):
            if schema.startswith("raw_"):
                _narrow(connection, schema, name, body, columns, f"coalesce(person_id not in ({listed}), true)")


def find_poison(connection: duckdb.DuckDBPyConnection, probe: Probe) -> list[PoisonedPerson]:
    """The people without whom a query runs.

    Args:
        connection: A cursor nobody else uses. Its views are narrowed in transactions that are rolled back.
        probe: Runs the query and raises where it fails.

    Returns:
        Empty where the failure is nobody's in particular: it also happens without anybody, or too many people cause it.
    """
    everybody = _people(connection)
    search = _Search(connection, probe)
    if not search.fails(everybody) or search.fails([]):
        return []
    found = search.halve(everybody)
    rest = [p for p in everybody if p not in set(found)]
    if not found or len(found) > MOST_PEOPLE or search.fails(rest):
        return []
    return [PoisonedPerson(p.person_id, p.bucket, p.ids, tuple(_places(connection, p.ids))) for p in found]


def report_poison(lake: Lake, run_id: str, model: str, message: str, people: Sequence[PoisonedPerson]) -> None:
    """Leave what was found for the run that started dbt."""
    line = {"run_id": run_id, "model": model, "message": message, "people": [asdict(p) for p in people]}
    append_line(lake.control / "poison.jsonl", json.dumps(line))


def reported_poison(lake: Lake, run_id: str) -> list[tuple[str, str, list[PoisonedPerson]]]:
    """(model, error, people) that a build found."""
    path = lake.control / "poison.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [raw for line in lines if line.strip() and (raw := json.loads(line))["run_id"] == run_id]
    return [
        (r["model"], r["message"], [PoisonedPerson(p["person_id"], p["bucket"], tuple(p["ids"]), tuple(p["places"])) for p in r["people"]])
        for r in found
    ]


class _Search:
    """Runs a query for parts of the people."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, probe: Probe) -> None:
        self._connection, self._probe = connection, probe
        self._views = _views(connection)
        self._probes = 0

    def fails(self, people: Sequence[PoisonedPerson]) -> bool:
        """Does the query fail where there is nobody but these?"""
        self._probes += 1
        with self._narrowed([i for p in people for i in p.ids]):
            try:
                self._probe(self._connection)
            except (duckdb.Error, pa.ArrowException, ValueError, RuntimeError, OSError):
                return True
        return False

    @contextmanager
    def _narrowed(self, ids: Sequence[int]) -> Iterator[None]:
        """Every table about people holds only these, for this cursor. One transaction a probe: an error ends it."""
        self._connection.execute("begin transaction")
        try:
            self._connection.execute("create table lake.probe (person_id bigint)")
            if ids:
                self._connection.execute(f"insert into lake.probe values {', '.join(f'({i})' for i in ids)}")
            for schema, name, body, columns in self._views:
                kept = "coalesce(person_id in (select person_id from lake.probe), false)"
                _narrow(self._connection, schema, name, body, columns, kept)
            yield
        finally:
            self._connection.execute("rollback")

    def halve(self, people: Sequence[PoisonedPerson]) -> list[PoisonedPerson]:
        """The culprits among people with whom it fails. A failure that no single person causes names nobody."""
        if self._probes > _MOST_PROBES:
            return []
        if len(people) == 1:
            return list(people)
        middle = len(people) // 2
        found: list[PoisonedPerson] = []
        for half in (people[:middle], people[middle:]):
            if len(found) <= MOST_PEOPLE and self.fails(half):
                found += self.halve(half)
        return found


def _people(connection: duckdb.DuckDBPyConnection) -> list[PoisonedPerson]:
    """Everybody whom the build may read, in the order of buckets, those who were merged together."""
    rows = connection.execute("""
        select distinct coalesce(link.person_id, seen.person_id) as canonical, coalesce(link.person_bucket, seen.person_bucket), seen.person_id
        from raw_people.sighting as seen
        left join (
            select alias_person_id, arg_max(person_id, (_sequence, _landed_at)) as person_id, arg_max(person_bucket, (_sequence, _landed_at)) as person_bucket
            from raw_people.link group by 1
        ) as link on link.alias_person_id = seen.person_id
        where seen.person_id is not null
        order by 2, 1, 3
    """).fetchall()
    return [
        PoisonedPerson(int(person), int(bucket), tuple(sorted({person, *(int(r[2]) for r in group)})))
        for (person, bucket), group in groupby(rows, key=lambda r: (r[0], r[1]))
    ]


def _places(connection: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> Iterator[str]:
    """Where the raw records of a person are: for people who have to find the bad one."""
    listed = ", ".join(map(str, ids))
    for schema, name, _, columns in _views(connection):
        if schema.startswith("raw_") and schema != "raw_people" and "_delivery_id" in columns:
            query = f"select site, _delivery_id, count(*) from {sql_name(schema)}.{sql_name(name)} where person_id in ({listed}) group by all order by all"
            for site, delivery, count in connection.execute(query).fetchall():
                yield f"{schema.removeprefix('raw_')}/{name} {site} {delivery}: {count}"


def _views(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, list[str]]]:
    """(schema, name, query, columns) of each view of a stored table that is about people."""
    rows: list[tuple[Any, ...]] = connection.execute("""
        select v.schema_name, v.view_name, v.sql, list(c.column_name order by c.column_index)
        from duckdb_views() as v
        inner join duckdb_columns() as c on c.schema_name = v.schema_name and c.table_name = v.view_name and c.database_name = v.database_name
        where not v.internal and (v.schema_name like 'raw\\_%' escape '\\' or (v.schema_name, v.view_name) in (select table_schema, table_name from lake.model_version))
        group by all
        having list_contains(list(c.column_name), 'person_id')
        order by all
    """).fetchall()
    return [(s, n, q.split(" AS ", 1)[1].rstrip().rstrip(";"), columns) for s, n, q, columns in rows if (s, n) != _UNTOUCHED]


def _narrow(connection: duckdb.DuckDBPyConnection, schema: str, name: str, body: str, columns: Sequence[str], kept: str) -> None:
    listed = ", ".join(sql_name(c) if c in _AS_THEY_ARE else f"case when _kept then {sql_name(c)} end as {sql_name(c)}" for c in columns)
    names = ", ".join(map(sql_name, columns))
    inner = f"select {listed}, _kept from (select *, {kept} as _kept from ({body}))"
    connection.execute(f"create or replace view {sql_name(schema)}.{sql_name(name)} as select {names} from ({inner}) where _kept")


__all__ = ["MOST_PEOPLE", "PoisonedPerson", "find_poison", "leave_out", "report_poison", "reported_poison"]
