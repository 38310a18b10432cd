"""A definition run on tables of given versions.

Belongs here: opening those versions, members, their hash. Does not belong here: which versions (`freeze`), the definition (`definition`).

Whatever the definition says, a member is in the consent relation of the stamp's versions; where the stamp has a data request, consent permits
that whole request. Tables are read from the exact files of their versions, by one thread and in order, so that the same versions give the
same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from assets.governance.data_use import DataRequest, judged_sql
from assets.lake.commits import read_snapshot
from assets.lake.paths import Lake
from assets.lake.sql import sql_literal, sql_name
from assets.lake.versions import select_of

RELATION = "standard/consent_relation"
HISTORY = "standard/consent_history"
WITHDRAWAL = "standard/consent_withdrawal"
CONSENT = (RELATION, HISTORY, WITHDRAWAL)
"""Tables of consent that belong to every stamp."""
SCHEMA = pa.schema([
    ("cohort", pa.string()), ("issue", pa.int32()), ("person_id", pa.int64()), ("person_bucket", pa.int32()),
    ("cohort_start_date", pa.date32()), ("cohort_end_date", pa.date32()), ("scopes", pa.string()),
])  # fmt: skip
"""Columns of `cohort/member`. Grain: one member and dates of one issue of one cohort."""

RECORD_SCOPES = ("clinical", "genomic", "specimen", "claims", "lifelog", "imaging")
"""Scopes that open a kind of records; the others are kinds of use, which only a request names."""

Member = tuple[int, int, date | None, date | None, str]
"""person_id, person_bucket, cohort_start_date, cohort_end_date, kinds of records that were open (sorted, separated by commas)."""
_FETCH = 50_000


class VersionsGone(RuntimeError):
    """A table version that a stamp names is not kept any more; the message says which and what can still be done."""


class EvaluationError(ValueError):
    """The definition does not run, or does not yield people; one line."""


@dataclass(frozen=True)
class Members:
    """Rows of one issue, in order.

    Attributes:
        rows: Sorted by person and dates, without repetition.
        sha256: Hash of people and dates: who has the same of them has the same hash, in whatever order they lie.
    """

    rows: tuple[Member, ...]

    @property
    def people(self) -> int:
        """How many people."""
        return len({row[0] for row in self.rows})

    @property
    def sha256(self) -> str:
        """SHA-256 over people and dates in order."""
        digest = hashlib.sha256()
        for person, start, end in sorted({(r[0], str(r[2] or ""), str(r[3] or "")) for r in self.rows}):
            digest.update(f"{person}|{start}|{end}\n".encode())
        return digest.hexdigest()


def members_of(sql: str, versions: Mapping[str, int], lake: Lake, request: DataRequest | None = None) -> Members:
    """Run a definition.

    Args:
        sql: The definition in normal form.
        versions: Table key -> version of every table it names, and of `CONSENT`.
        lake: The lake.
        request: The project's data request, judged on its own day.

    Raises:
        VersionsGone: Some version is not kept any more.
        EvaluationError: The definition does not run.
    """
    with open_versions(lake, versions) as connection:
        try:
            cursor = connection.execute(f"create temp table found as {sql}")
            names = {str(n) for n, *_ in connection.execute("describe found").fetchall()}
            if "person_id" not in names:
                raise EvaluationError("the definition yields no column person_id. Remedy: select person_id")
            dates = ", ".join(
                f"cast({n} as date) as {n}" if n in names else f"null::date as {n}" for n in ("cohort_start_date", "cohort_end_date")
            )
            query = f"""
                select distinct f.person_id, c.person_bucket, f.cohort_start_date, f.cohort_end_date, c.scopes
                from (select cast(person_id as bigint) as person_id, {dates} from found) as f
                inner join ({_agreeing(request)}) as c on c.person_id = f.person_id
                order by all
            """
            cursor = connection.execute(query)
            return Members(tuple(_rows(cursor)))
        except duckdb.Error as error:
            raise EvaluationError(f"the definition does not run: {_kind(error)}") from error


def _agreeing(request: DataRequest | None) -> str:
    """SQL: people in the consent relation (whose consent permits the request), with the kinds of records that are open."""
    listed = ", ".join(map(sql_literal, RECORD_SCOPES))
    lawful = "true" if request is None else f"person_id in ({permitted_sql(request)})"
    return f"""
        select person_id, person_bucket, case when bool_or(scope_code = 'all') then {sql_literal(",".join(sorted(RECORD_SCOPES)))}
            else coalesce(string_agg(distinct scope_code, ',' order by scope_code) filter (where scope_code in ({listed})), '') end as scopes
        from consent.consent_relation where {lawful} group by person_id, person_bucket
    """


def permitted_sql(request: DataRequest) -> str:
    """SQL: people whose consent permits the whole request."""
    judged = judged_sql(request, history="consent.consent_history", relation="consent.consent_relation")
    return f"select person_id from ({judged}) where is_permitted group by person_id having count(*) = {len(request.needed_scopes)}"


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[Member]:
    while part := cursor.fetchmany(_FETCH):
        yield from part


def _kind(error: duckdb.Error) -> str:
    """The engine's message where it speaks of names; a message about a value may quote it."""
    known = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
    return " ".join(str(error).split("\nLINE")[0].split()) if isinstance(error, known) else type(error).__name__


@contextmanager
def open_versions(lake: Lake, versions: Mapping[str, int]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with each table at its version, by its bare name; tables of consent in schema `consent`. It can open nothing else.

    Raises:
        VersionsGone: Some version is not kept any more.
    """
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "1"}) as connection:
        connection.execute("create schema consent")
        paths: list[str] = []
        for key, version in sorted(versions.items()):
            try:
                snapshot = read_snapshot(lake, key, version)
            except Exception as error:  # delta-rs tells a cleaned log, a gap and a missing table by many kinds
                raise VersionsGone(f"{key} version {version} cannot be opened any more") from error
            if any(not path.exists() for path in snapshot.files):
                raise VersionsGone(f"{key} version {version}: its files were taken away")
            paths += map(str, snapshot.files)
            is_own = key in CONSENT or key.startswith("raw/")
            place = f"{'consent.' if key in CONSENT else ''}{sql_name(key.rpartition('/')[2])}"
            connection.execute(f"create view {place} as {select_of(snapshot, hidden=() if is_own else ('person_bucket',))}")
        connection.execute("set python_enable_replacements = false")
        connection.execute(f"set allowed_paths = [{', '.join(map(sql_literal, paths))}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        yield connection
