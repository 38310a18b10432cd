"""Freezing a cohort: its members stored, stamped with everything they were made of; taken back.

Belongs here: the steps and their order, what a stamp says. Does not belong here: running a definition (`evaluate`), making it again and what a
reissue leaves out (`reissue`), judging it stale (`stale`), the command line.

Members lie in the Delta table `cohort/member`, by person bucket like every table of people, so that an erasure finds them there. It is never
published. A number is taken in the ledger before a row is written, and the stamp is frozen after: a kill in between leaves a number that
nobody uses and rows that no stamp names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from assets.cohorts.definition import Definition, check_name
from assets.cohorts.evaluate import CONSENT, SCHEMA, Members, members_of, open_versions
from assets.governance.data_request import from_json
from assets.governance.data_use import DataRequest
from assets.lake import tables
from assets.lake.commits import read_snapshot
from assets.lake.versions import select_of
from assets.landing.workspace import Workspace
from assets.ledger.stamps import Stamp
from assets.quiet import code_version

MEMBER = "cohort/member"


class CohortError(ValueError):
    """A cohort cannot be frozen, found or made again; the message says why and what can be done."""


@dataclass(frozen=True)
class Catalogue:
    """What is published: name -> (table key, version)."""

    tables: Mapping[str, tuple[str, int]]

    def versions(self, names: tuple[str, ...]) -> dict[str, int]:
        """Versions of some tables."""
        return dict(self.tables[name] for name in names)


def read_catalogue(workspace: Workspace) -> Catalogue:
    """The published tables and their versions.

    Raises:
        CohortError: Nothing is published.
    """
    if not workspace.lake.catalogue.exists():
        raise CohortError("nothing is published yet. Remedy: biodam run")
    with duckdb.connect(str(workspace.lake.catalogue), read_only=True) as connection:
        rows = connection.execute("select name, schema || '/' || name, version from biodam_tables").fetchall()
    return Catalogue({name: (key, version) for name, key, version in rows})


def columns_of(workspace: Workspace, table: str) -> list[str]:
    """Columns of a published table."""
    with duckdb.connect(str(workspace.lake.catalogue), read_only=True) as connection:
        return [n for (n,) in connection.execute("select column_name from biodam_columns where table_name = ?", [table]).fetchall()]


def stamp_of(workspace: Workspace, cohort: str, definition: Definition, request: Mapping[str, Any] | None, *, day: str) -> Stamp:
    """The stamp that an issue made now would have, with the next free number."""
    catalogue = read_catalogue(workspace)
    latest = workspace.commits.data_versions()
    if missing := [key for key in CONSENT if key not in latest]:
        raise CohortError(f"{', '.join(missing)} was never built. Remedy: biodam run")
    return Stamp(
        cohort=check_name(cohort),
        issue=workspace.stamps.next_issue(cohort),
        definition=definition.sql,
        definition_sha256=definition.sha256,
        versions={**catalogue.versions(definition.tables), **{key: latest[key] for key in CONSENT}},
        vocabulary_release=vocabulary_release(workspace, catalogue),
        code_version=built_by(workspace),
        consent_day=day,
        consent_event=workspace.stamps.last_consent_delivery(),
        request=request,
    )


def built_by(workspace: Workspace) -> str:
    """Code version of the models in the lake."""
    last = workspace.commits.last_build()
    return str(last["code_version"]) if last else code_version()


def vocabulary_release(workspace: Workspace, catalogue: Catalogue) -> str:
    """Release of the vocabularies, as OMOP CDM 5.4 says it: `vocabulary_version` of the vocabulary called None."""
    if "vocabulary" not in catalogue.tables:
        return "none published"
    with open_versions(workspace.lake, dict([catalogue.tables["vocabulary"]])) as connection:
        row = connection.execute("select max(vocabulary_version) from vocabulary where vocabulary_id = 'None'").fetchone()
    return str(row[0]) if row and row[0] else "not said"


def request_of(stamp: Stamp) -> DataRequest | None:
    """The data request of a stamp."""
    return None if stamp.request is None else from_json(stamp.request)


def preview(workspace: Workspace, stamp: Stamp) -> Members:
    """Members that an issue with this stamp would have. Nothing is written."""
    return members_of(stamp.definition, stamp.versions, workspace.lake, request_of(stamp))


def store(workspace: Workspace, stamp: Stamp, members: Members, *, statement: Mapping[str, Any] | None = None) -> Stamp:
    """Write an issue. Call it holding the lake.

    Returns:
        The stamp as it is recorded.
    """
    workspace.stamps.begin(stamp)
    expected, log = workspace.commits.latest(MEMBER)
    tables.append(
        workspace.lake, MEMBER, _batches(stamp, members), app_id=f"cohort {stamp.cohort}", version=stamp.issue, partition_by=["person_bucket"],
        schema=SCHEMA, expected_version=expected, expected_log=log, commit_metadata={"cause": f"cohort {stamp.name}"},
        record_commit=workspace.recorder("recovered"),
    )  # fmt: skip
    workspace.stamps.freeze(stamp.cohort, stamp.issue, people=members.people, rows_sha256=members.sha256, statement=statement)
    return find(workspace, stamp.cohort, stamp.issue)


def _batches(stamp: Stamp, members: Members) -> pa.RecordBatchReader:
    rows = sorted(members.rows, key=lambda m: m[1])
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    values = [[stamp.cohort] * len(rows), [stamp.issue] * len(rows), *columns]
    arrays = [pa.array(v, type=f.type) for v, f in zip(values, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA).to_reader()


def find(workspace: Workspace, cohort: str, issue: int | None = None) -> Stamp:
    """One issue; None: the newest.

    Raises:
        CohortError: There is none.
    """
    found = [s for s in workspace.stamps.all() if s.cohort == cohort and issue in (None, s.issue)]
    if not found:
        known = ", ".join(sorted({s.cohort for s in workspace.stamps.all()})) or "none yet"
        raise CohortError(f"there is no frozen cohort {cohort[:60]!r}{f' issue {issue}' if issue else ''}. Frozen: {known}")
    return found[-1]


def stored(workspace: Workspace, stamp: Stamp) -> Members:
    """Rows of an issue as they lie in the lake today: an erasure may have taken people out."""
    with member_table(workspace) as connection:
        rows = connection.execute(
            "select person_id, person_bucket, cohort_start_date, cohort_end_date, scopes from member where cohort = ? and issue = ? order by all",
            [stamp.cohort, stamp.issue],
        ).fetchall()
    return Members(tuple(rows))


def member_table(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    """A connection in which `member` is `cohort/member` at its newest version; empty where no cohort was ever frozen."""
    version = workspace.commits.latest_version(MEMBER)
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    if version is None:
        columns = "null::varchar as cohort, 0 as issue, 0::bigint as person_id, 0 as person_bucket"
        dates = "null::date as cohort_start_date, null::date as cohort_end_date, '' as scopes"
        connection.execute(f"create view member as select {columns}, {dates} where false")
    else:
        connection.execute(f"create view member as {select_of(read_snapshot(workspace.lake, MEMBER, version))}")
    return connection


def retire(workspace: Workspace, stamp: Stamp) -> None:
    """Hold an issue no longer: its rows leave the table, its versions need not be kept. Call it holding the lake."""
    workspace.stamps.retire(stamp.cohort, stamp.issue)
    _write_anew(workspace, stamp, Members(()), "retired")


def restore(workspace: Workspace, stamp: Stamp, members: Members) -> None:
    """Put the rows of an issue back that were lost with a damaged table. Call it holding the lake.

    Raises:
        CohortError: They are not the frozen rows, or its versions were let go: people may have been erased from it since.
    """
    if members.sha256 != stamp.rows_sha256 or find(workspace, stamp.cohort, stamp.issue).versions_let_go:
        raise CohortError(
            f"{stamp.name} is not put back: the rows are not those that were frozen. Remedy: biodam cohort reissue {stamp.cohort}"
        )
    _write_anew(workspace, stamp, members, "restored")


def _write_anew(workspace: Workspace, stamp: Stamp, members: Members, cause: str) -> None:
    """Replace the rows of one issue."""
    with member_table(workspace) as connection:
        others = connection.execute(
            "select * from member where not (cohort = ? and issue = ?)", [stamp.cohort, stamp.issue]
        ).to_arrow_table()
    rows = pa.concat_tables([others.select(SCHEMA.names).cast(SCHEMA), _batches(stamp, members).read_all()])
    tables.overwrite(
        workspace.lake, MEMBER, rows.sort_by([(n, "ascending") for n in ("person_bucket", "cohort", "issue", "person_id")]).to_reader(),
        partition_by=["person_bucket"], schema=SCHEMA, expected_version=workspace.commits.latest_version(MEMBER),
        record_commit=workspace.recorder(f"cohort {stamp.name} {cause}"),
    )  # fmt: skip
