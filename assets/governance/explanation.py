"""Everything the lake has to say of one person, for that person's own question: where, under which consent, in which results, who read.

Belongs here: finding it. Does not belong here: who is meant (the command), what consent was in force (`consent_history`), printing. No value of
a record is read: only surrogates are compared and rows are counted. A read counts where it named a table that holds the person today: the
audit keeps no query, so nobody can say whether a statement gave this person's row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from assets.lake.commits import read_snapshot
from assets.lake.sql import sql_literal
from assets.landing.workspace import Workspace

MEMBER = "cohort/member"
_PEOPLE = ("raw/people/",)
_ABOUT = (
    "consent.withdraw", "consent.show", "explain", "erase", "identity.merge", "identity.split", "identity.undo", "identity.review.accept",
)  # fmt: skip
"""Actions of the audit that name a person."""


@dataclass(frozen=True)
class Place:
    """One table that holds rows of the person.

    Attributes:
        table: Table key.
        rows: Rows, by the site they came from; `` where the table has none.
        is_published: Analysts see it.
    """

    table: str
    rows: Mapping[str, int]
    is_published: bool

    @property
    def count(self) -> int:
        """Rows of all sites."""
        return sum(self.rows.values())


@dataclass(frozen=True)
class Explanation:
    """What there is to say.

    Attributes:
        person_id, bucket: The person as builds know them.
        merged_ids: Ids that stand for this person.
        sites: Sites that named the person.
        places: Tables with rows of the person, raw tables first.
        results: Frozen issues that hold the person: cohort, issue, at, project, people.
        reads: Who read tables that hold the person: who, table, statements, first, last.
        questions: Rows of the audit that name the person: at, who, action.
        builds: Finished builds since the oldest row of the audit, and the last.
        set_aside: Why builds leave the person out; empty where they do not.
        held: Records that came after the person had withdrawn, and are in no table until they consent again.
    """

    person_id: int
    bucket: int
    merged_ids: tuple[int, ...] = ()
    sites: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    results: tuple[Mapping[str, Any], ...] = ()
    reads: tuple[Mapping[str, Any], ...] = ()
    questions: tuple[Mapping[str, Any], ...] = ()
    builds: Mapping[str, Any] = field(default_factory=dict)
    set_aside: str = ""
    held: int = 0


def explain(workspace: Workspace, person_id: int, bucket: int) -> Explanation:
    """Look for a person in every table, in the stamps and in the audit.

    Args:
        workspace: The lake.
        person_id: The person, merges followed.
        bucket: Bucket of the person.
    """
    versions = workspace.commits.latest_versions()
    published = _published(workspace)
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        aliases = _aliases(connection, workspace, versions, person_id)
        ids = (person_id, *aliases)
        places = tuple(_places(connection, workspace, versions, ids, published))
        results = tuple(_results(connection, workspace, versions, ids))
    held = {h.person_id: h for h in workspace.set_aside.all()}
    reason = next((f"{h.model}: {h.message}" for h in held.values() if set(ids) & {h.person_id, *h.ids}), "")
    return Explanation(
        person_id, bucket, aliases, sites=tuple(sorted({s for p in places if p.table.startswith(_PEOPLE) for s in p.rows if s})),
        places=tuple(p for p in places if not p.table.startswith((*_PEOPLE, MEMBER))), results=results, set_aside=reason,
        reads=tuple(_reads(workspace, {p.table.rpartition("/")[2] for p in places if p.is_published})),
        questions=tuple(_questions(workspace, ids)), builds=_builds(workspace), held=workspace.withdrawn.count_of(ids),
    )  # fmt: skip


def _published(workspace: Workspace) -> frozenset[str]:
    if not workspace.lake.catalogue.exists():
        return frozenset()
    with duckdb.connect(str(workspace.lake.catalogue), read_only=True) as connection:
        return frozenset(key for (key,) in connection.execute("select schema || '/' || name from biodam_tables").fetchall())


def _aliases(connection: duckdb.DuckDBPyConnection, workspace: Workspace, versions: Mapping[str, int], person_id: int) -> tuple[int, ...]:
    """Ids that stand for the person now; one that was split off again is somebody else."""
    source = _source(workspace, "raw/people/link", versions)
    if source is None:
        return ()
    found = connection.execute(f"""
        select alias_person_id from {source[0]} group by 1
        having arg_max(person_id, _sequence) = {int(person_id)} and alias_person_id <> {int(person_id)} order by 1
    """).fetchall()
    return tuple(alias for (alias,) in found)


def _source(workspace: Workspace, key: str, versions: Mapping[str, int]) -> tuple[str, frozenset[str]] | None:
    """SQL of a table at its newest version, and its columns; None where it is absent or empty."""
    if key not in versions or not (snapshot := read_snapshot(workspace.lake, key, versions[key])).files:
        return None
    files = ", ".join(sql_literal(str(path)) for path in snapshot.files)
    hive = "true" if snapshot.partition_by else "false"
    return f"read_parquet([{files}], union_by_name = true, hive_partitioning = {hive})", frozenset(snapshot.schema.names)


def _places(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, versions: Mapping[str, int], ids: Sequence[int], published: frozenset[str]
) -> Iterator[Place]:
    listed = ", ".join(str(int(i)) for i in ids)
    for key in sorted(versions, key=lambda k: (not k.startswith("raw/"), k)):
        source = _source(workspace, key, versions)
        if source is None or "person_id" not in source[1]:
            continue
        site = "coalesce(cast(site as varchar), '')" if "site" in source[1] else "''"
        rows = connection.execute(
            f"select {site}, count(*) from {source[0]} where person_id in ({listed}) group by 1 order by 1"
        ).fetchall()
        if rows:
            yield Place(key, dict(rows), key in published)


def _results(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, versions: Mapping[str, int], ids: Sequence[int]
) -> Iterator[Mapping[str, Any]]:
    source = _source(workspace, MEMBER, versions)
    if source is None:
        return
    listed = ", ".join(str(int(i)) for i in ids)
    inside = set(connection.execute(f"select distinct cohort, issue from {source[0]} where person_id in ({listed})").fetchall())
    for stamp in workspace.stamps.all():
        if (stamp.cohort, stamp.issue) in inside:
            project = (stamp.request or {}).get("project")
            yield {"cohort": stamp.cohort, "issue": stamp.issue, "at": stamp.at, "project": project, "reissue_of": stamp.reissue_of}


def _reads(workspace: Workspace, tables: set[str]) -> Iterator[Mapping[str, Any]]:
    """Statements by reader and table, newest reader first."""
    count: Counter[tuple[str, str]] = Counter()
    span: dict[tuple[str, str], tuple[str, str]] = {}
    for entry in workspace.audit.newest(1_000_000, action="read"):
        for table in tables.intersection(json.loads(entry.detail).get("tables", ())):
            key = (entry.who, table)
            count[key] += 1
            span[key] = (entry.at, span.get(key, (entry.at, entry.at))[1])  # rows come newest first
    for (who, table), statements in sorted(count.items()):
        first, last = span[who, table]
        yield {"who": who, "table": table, "statements": statements, "first": first, "last": last}


def _questions(workspace: Workspace, ids: Sequence[int]) -> Iterator[Mapping[str, Any]]:
    """Who withdrew, asked about, merged, parted or erased this person."""
    found = [e for action in _ABOUT for e in workspace.audit.newest(1_000_000, action=action)]
    for entry in sorted(found, key=lambda e: e.id):
        detail = json.loads(entry.detail)
        if {detail.get("person_id"), detail.get("alias")}.intersection(ids):
            yield {"at": entry.at, "who": entry.who, "action": entry.action}


def _builds(workspace: Workspace) -> Mapping[str, Any]:
    done = workspace.audit.newest(1_000_000, action="build.finished")
    return {"count": len(done), "last": done[0].at if done else None}
