"""A cohort's definition: one SQL query on published tables that yields people.

Belongs here: its normal form, which tables it names, what it may not hold. Does not belong here: running it (`evaluate`).

Terms follow OHDSI (CohortDefinition, cohort table of the OMOP CDM 5.4): a definition yields `person_id` (their subject_id) and may yield
`cohort_start_date` and `cohort_end_date`. The definition has to give the same rows each time it meets the same tables, so what depends on the
clock, on chance or on the order in which rows happen to lie is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

COLUMNS = ("person_id", "cohort_start_date", "cohort_end_date")
"""What a frozen cohort holds of each member; the dates may be absent."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_CHANGING = (
    exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.CurrentDatetime, exp.CurrentUser, exp.Rand, exp.Randn, exp.Uuid,
)  # fmt: skip
_CHANGING_NAMES = frozenset({
    "now", "today", "get_current_timestamp", "transaction_timestamp", "current_localtimestamp", "current_localtime", "localtimestamp", "localtime",
    "random", "setseed", "gen_random_uuid", "uuid", "uuidv4", "uuidv7", "nextval", "currval", "current_setting", "getenv", "current_query", "txid_current",
})  # fmt: skip


class DefinitionError(ValueError):
    """A definition cannot be used; the message says what and how to put it."""


@dataclass(frozen=True)
class Definition:
    """A definition that may be frozen.

    Attributes:
        sql: Normal form: comments, blanks and the case of keywords and names do not count.
        tables: Published tables it names, sorted.
    """

    sql: str
    tables: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Hash of the normal form: names the definition."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def check_name(name: str) -> str:
    """The name of a cohort.

    Raises:
        DefinitionError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f"{name[:60]!r} is no name of a cohort. Remedy: small letters, digits and _, beginning with a letter, at most 60"
        )
    return name


def read_definition(sql: str, published: Collection[str]) -> Definition:
    """Read and check a definition.

    Args:
        sql: One query, DuckDB dialect.
        published: Names of the published tables.

    Raises:
        DefinitionError: No single query, tables that are not published, or something that changes from one time to the next.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, dialect="duckdb") if s is not None]
    except SqlglotError as error:
        raise DefinitionError(f"the definition is no SQL{_where(error)}. Remedy: try it with `biodam sql`") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise DefinitionError("the definition is not one query. Remedy: write a single select (or with ... select)")
    query = normalize_identifiers(statements[0], dialect="duckdb")
    if found := next(_changing(query), None):
        raise DefinitionError(
            f"the definition uses {found}, so it would not give the same people again. Remedy: write the day or value itself"
        )
    tables = _tables(query, {p.lower() for p in published})
    return Definition(query.sql(dialect="duckdb", comments=False, normalize_functions="lower"), tables)


def of_table(table: str, columns: Collection[str]) -> str:
    """The definition that takes a published cohort table as it is."""
    if "person_id" not in columns:
        raise DefinitionError(f"{table} has no person_id, so it is no cohort")
    return f"select {', '.join(c for c in COLUMNS if c in columns)} from {table}"


def _where(error: SqlglotError) -> str:
    """Line and column of a parse error; its text tells of the parser, not of the query."""
    places = getattr(error, "errors", None) or [{}]
    line, column = places[0].get("line"), places[0].get("col")
    return f" at line {line}, column {column}" if line and column else ""


def _changing(query: exp.Expr) -> Iterator[str]:
    for node in query.walk():
        if isinstance(node, _CHANGING):
            yield node.sql(dialect="duckdb")
        elif isinstance(node, exp.Anonymous) and node.name.lower() in _CHANGING_NAMES:
            yield f"{node.name.lower()}()"
        elif isinstance(node, exp.TableSample):
            yield "a sample"
        elif isinstance(node, exp.Limit | exp.Fetch):
            yield "limit"
        elif isinstance(node, exp.Parameter | exp.Placeholder):
            yield "a parameter"


def _tables(query: exp.Expr, published: Collection[str]) -> tuple[str, ...]:
    own = {c.alias for c in query.find_all(exp.CTE)}
    found = set()
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            if table.this.sql_name().lower() not in ("unnest", "generate_series", "range"):
                raise DefinitionError(
                    'the definition reads from a function. Remedy: name published tables only (`biodam sql "show tables"`)'
                )
        elif table.db or (table.name not in published and table.name not in own):
            raise DefinitionError(f'{table.sql(dialect="duckdb")[:80]} is no published table. Remedy: `biodam sql "show tables"`')
        elif table.name in published:
            found.add(table.name)
    if not found:
        raise DefinitionError("the definition names no published table")
    return tuple(sorted(found))
