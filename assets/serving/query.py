"""Read-only SQL on the published catalogue, for `biodam sql`.

Belongs here: what may run, how a result is written out. Does not belong here: making the catalogue (`catalogue`).

DuckDB is not a security boundary (DESIGN section 3): what is refused here keeps a user from mistakes, not an attacker out.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TextIO

import duckdb

from assets.lake.durable import sha256_file, stamp
from assets.lake.paths import Lake
from assets.lake.sql import sql_literal

Output = Literal["table", "csv", "json"]

_READING = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})
_PRAGMAS = re.compile(r"\s*pragma\s+(table_info|show_tables|show_tables_expanded|database_list|version)\b", re.IGNORECASE)
_FETCH = 10_000
_SHOWN_ROWS = 200
"""Rows that the table output prints before it says how to get the rest."""

_SHOWN_WIDTH = 60


class QueryError(ValueError):
    """The query did not run; the message is one line for the user."""


@dataclass
class QueryResult:
    """A running result.

    Attributes:
        columns: Column names.
        cursor: Source of the rows; closed with the connection.
        given: Rows handed on so far.
    """

    columns: tuple[str, ...]
    cursor: duckdb.DuckDBPyConnection
    given: int = 0

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows, fetched in parts."""
        try:
            while part := self.cursor.fetchmany(_FETCH):
                for row in part:
                    self.given += 1
                    yield row
        except duckdb.Error as error:
            raise QueryError(_one_line(error)) from error


@dataclass(frozen=True)
class Reading:
    """What the audit is told of one statement: never its text, which may hold a value.

    Attributes:
        tables: Published tables it names, sorted.
        statement_sha256: SHA-256 of its text.
        rows: Rows that were handed on.
    """

    tables: tuple[str, ...]
    statement_sha256: str
    rows: int


def run_query(lake: Lake, sql: str, output: TextIO, *, form: Output = "table", note: Callable[[Reading], object] = lambda _: None) -> int:
    """Run one reading statement on the catalogue and write its result.

    Args:
        lake: The lake.
        sql: SELECT, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN or PRAGMA table_info.
        output: Where the result goes.
        form: `table` for people (first 200 rows), `csv` or `json` for programs (all rows).
        note: Told what was read, also where writing it out was broken off; not of a statement that did not run.

    Returns:
        Rows written.

    Raises:
        QueryError: Nothing is published, the statement writes or does not run; one line.
    """
    writers = {"table": write_table, "csv": write_csv, "json": write_json}
    with open_catalogue(lake) as connection:
        _require_whole(connection, sql)
        result = _execute(connection, sql)
        try:
            return writers[form](result, output)
        finally:
            note(Reading(_named(connection, sql), hashlib.sha256(sql.encode()).hexdigest(), result.given))


def _named(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[str, ...]:
    words = _words(sql)
    return tuple(sorted(t for (t,) in connection.execute("select name from biodam_tables").fetchall() if t.lower() in words))


def _words(sql: str) -> set[str]:
    return set(re.findall(r"\w+", sql.lower()))  # whoever reads a table has to name it: no view here reads another


def _require_whole(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse a query on a table with a file that is not what was published.

    One `stat` a file; only a file that somebody wrote to since is hashed.
    """
    try:
        files = connection.execute("select table_name, path, stamp, sha256 from biodam_files").fetchall()
    except duckdb.Error:
        return  # a catalogue of an earlier Biodam, without hashes
    words = _words(sql)
    for table, path, mark, digest in files:
        if digest and table.lower() in words and (problem := _file_problem(Path(path), mark, digest)) is not None:
            raise QueryError(f"{table}: the file {Path(path).name} {problem}. Remedy: `biodam repair`, then `biodam run`")


def _file_problem(path: Path, mark: str, digest: str) -> str | None:
    try:
        return None if stamp(path) == mark or sha256_file(path) == digest else "is not what was published (SHA-256 differs)"
    except OSError:
        return "cannot be read"


def open_catalogue(lake: Lake) -> duckdb.DuckDBPyConnection:
    """Open the catalogue: read-only, no files but the published ones, no settings to change.

    Raises:
        QueryError: Nothing is published yet, or the file cannot be opened.
    """
    if not lake.catalogue.exists():
        raise QueryError("nothing is published yet: run `biodam run` first")
    try:
        connection = duckdb.connect(str(lake.catalogue), read_only=True, config={"autoinstall_known_extensions": "false"})
        paths = [path for (path,) in connection.execute("select path from biodam_files").fetchall()]
        connection.execute("set python_enable_replacements = false")
        connection.execute(f"set allowed_paths = [{', '.join(map(sql_literal, paths))}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
    except duckdb.Error as error:
        raise QueryError(f"the catalogue cannot be opened: {_one_line(error)}") from error
    return connection


def write_table(result: QueryResult, output: TextIO) -> int:
    """Write the first rows as an aligned table, wide characters counted double; a query plan as it is."""
    if result.columns == ("explain_key", "explain_value"):
        return sum(output.write(f"{plan}\n") > 0 for _, plan in result.rows())
    rows: list[list[str]] = []
    more = False
    for row in result.rows():
        if len(rows) == _SHOWN_ROWS:
            more = True
            break
        rows.append([_cell(value) for value in row])
    widths = [max(_width(text) for text in column) for column in zip(result.columns, *rows, strict=True)]
    output.write(_line(result.columns, widths) + "\n")
    output.write("-+-".join("-" * width for width in widths) + "\n")
    output.writelines(_line(cells, widths) + "\n" for cells in rows)
    rest = f"; first {_SHOWN_ROWS} rows only, use --format csv or json for all" if more else ""
    output.write(f"({len(rows)} row{'' if len(rows) == 1 else 's'}{rest})\n")
    return len(rows)


def write_csv(result: QueryResult, output: TextIO) -> int:
    """Write all rows as CSV with a header; null is empty, lists and structs are JSON."""
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(result.columns)
    count = 0
    for row in result.rows():
        writer.writerow(["" if value is None else _text(value) for value in row])
        count += 1
    return count


def write_json(result: QueryResult, output: TextIO) -> int:
    """Write all rows as a JSON array of objects."""
    count = 0
    output.write("[")
    for row in result.rows():
        output.write(",\n " if count else "\n ")
        output.write(json.dumps(dict(zip(result.columns, map(_plain, row), strict=True)), ensure_ascii=False))
        count += 1
    output.write("\n]\n" if count else "]\n")
    return count


def _execute(connection: duckdb.DuckDBPyConnection, sql: str) -> QueryResult:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(_one_line(error)) from error
    if len(statements) != 1:
        raise QueryError("write one statement" if statements else "the query is empty")
    statement = statements[0]
    if statement.type not in _READING and not _PRAGMAS.match(statement.query):
        raise QueryError("the catalogue is read-only: only SELECT, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN and PRAGMA table_info run here")
    try:
        cursor = connection.execute(statement)
        columns = tuple(name for name, *_ in cursor.description or ())
    except duckdb.Error as error:
        raise QueryError(_one_line(error)) from error
    return QueryResult(columns, cursor)


def _one_line(error: Exception) -> str:
    """The engine's message up to where it quotes the query."""
    text = re.split(r"\n\s*(?:LINE \d+:|Stack Trace)", str(error))[0]
    return " ".join(text.split())


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta | bytes):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _text(value: Any) -> str:
    if isinstance(value, list | dict | tuple):
        return json.dumps(_plain(value), ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _cell(value: Any) -> str:
    text = "" if value is None else _text(value).replace("\n", " ")
    return text if len(text) <= _SHOWN_WIDTH else text[: _SHOWN_WIDTH - 1] + "…"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return " | ".join(text + " " * (width - _width(text)) for text, width in zip(cells, widths, strict=True)).rstrip()
