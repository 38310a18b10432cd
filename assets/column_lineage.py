"""Which columns a column is made of, read from compiled SQL.

Belongs here: walking one query, and all queries of a dbt project. Does not belong here: Dagster, any table. A query that sqlglot cannot
resolve gives fewer columns, never an error: lineage is shown, nothing depends on it.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

Table = tuple[str, str]
"""(schema, table)."""
Source = tuple[Table, str]
"""(table, column)."""
_DEPTH = 40


class ProjectLineage:
    """Lineage of the models of a project, kept from build to build: it changes only with the code.

    Args:
        manifest: The parsed project.
        compiled: Folder `compiled` of dbt's target.
        known: Columns of tables that are no models: raw and reference tables.
        kept: File that keeps what was found.
        version: Of the code; another one forgets what was kept.
    """

    def __init__(
        self, manifest: Mapping[str, Any], compiled: Path, *, known: Mapping[Table, Sequence[str]], kept: Path, version: str
    ) -> None:
        self._nodes: Mapping[str, Any] = manifest["nodes"]
        self._compiled = compiled
        self._known = known
        self._kept = kept
        self._found: dict[str, Any] = {"version": version, "models": {}}
        with contextlib.suppress(OSError, ValueError):
            earlier = json.loads(kept.read_text(encoding="utf-8"))
            self._found = earlier if earlier.get("version") == version else self._found

    def of(self, unique_id: str) -> dict[str, list[Source]]:
        """Column -> columns of tables; empty where the SQL could not be followed."""
        models = self._found["models"]
        if unique_id not in models:
            models[unique_id] = {}  # should a model ever read itself
            models[unique_id] = self._find(unique_id)
        return {column: [((schema, table), name) for (schema, table), name in sources] for column, sources in models[unique_id].items()}

    def save(self) -> None:
        """Keep what was found, where the file may be written; several builds may do so at once."""
        temporary = self._kept.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(self._found), encoding="utf-8")
            temporary.replace(self._kept)

    def _find(self, unique_id: str) -> dict[str, list[Source]]:
        node = self._nodes[unique_id]
        path = self._compiled / node["package_name"] / node["original_file_path"]
        parents = [i for i in node.get("depends_on", {}).get("nodes", []) if i in self._nodes]
        columns = {**self._known, **{relation_of(self._nodes[i]): self._columns(i) for i in parents}}
        try:
            return column_lineage(path.read_text(encoding="utf-8"), columns)
        except OSError:
            return {}

    def _columns(self, unique_id: str) -> list[str]:
        """Columns of a seed or model: of a seed by its header, of a model by its own query, else as documented."""
        node = self._nodes[unique_id]
        if node["resource_type"] == "seed":
            with (
                contextlib.suppress(OSError),
                (Path(node["root_path"]) / node["original_file_path"]).open(encoding="utf-8", newline="") as file,
            ):
                return next(csv.reader(file), [])
        return list(self.of(unique_id)) or list(node.get("columns", {}))


def relation_of(node: Mapping[str, Any]) -> Table:
    """(schema, table) of a model, seed or source."""
    return node["schema"], node.get("alias") or node.get("identifier") or node["name"]


def column_lineage(sql: str, tables: Mapping[Table, Sequence[str]]) -> dict[str, list[Source]]:
    """Column -> columns of tables that its value is computed from (not those that only filter or join).

    Args:
        sql: One DuckDB query.
        tables: Columns of the tables it reads, needed where it selects `*`.
    """
    try:
        query = sqlglot.parse_one(sql, dialect="duckdb")
        schema = _schema(query, tables)
        qualified = qualify(
            query, dialect="duckdb", schema=schema, validate_qualify_columns=False, identify=False, quote_identifiers=False,
            isolate_tables=False, allow_partial_qualification=True,
        )  # fmt: skip
        scope = build_scope(qualified)
    except (SqlglotError, RecursionError, ValueError):
        return {}
    if scope is None:
        return {}
    walk = _Walk()
    names = [n for n in _names(scope) if n and n != "*"]
    return {name: sorted(walk.sources(scope, name)) for name in names}


def _schema(query: Any, tables: Mapping[Table, Sequence[str]]) -> dict[str, Any]:
    """Nested schema of the tables the query reads; drops the catalogue in front of their names (there is one)."""
    schema: dict[str, Any] = {}
    for table in query.find_all(exp.Table):
        table.set("catalog", None)
        columns = tables.get((table.db, table.name))
        if columns:
            schema.setdefault(table.db, {})[table.name] = dict.fromkeys(columns, "text")
    return schema


def _names(scope: Scope) -> list[str]:
    expression = scope.expression
    return list(expression.named_selects) if isinstance(expression, exp.Query) else []


class _Walk:
    """Follows columns through scopes; each (scope, column) once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], set[Source]] = {}

    def sources(self, scope: Scope, name: str, depth: int = 0) -> set[Source]:
        """Table columns behind one output column of a scope."""
        mark = (id(scope), name)
        if mark not in self._known:
            self._known[mark] = set()  # a recursive query meets itself here
            if depth < _DEPTH:
                self._known[mark] = self._find(scope, name, depth)
        return self._known[mark]

    def _find(self, scope: Scope, name: str, depth: int) -> set[Source]:
        if scope.set_operation_scopes:
            position = _names(scope).index(name) if name in _names(scope) else None
            found: set[Source] = set()
            for part in scope.set_operation_scopes:
                names = _names(part)
                here = names[position] if position is not None and position < len(names) else name
                found |= self.sources(part, here, depth + 1)
            return found
        selects: list[exp.Expression] = getattr(scope.expression, "selects", [])
        projection = next((s for s in selects if s.alias_or_name == name), None)
        if projection is None:
            return set()
        found = set()
        for column in projection.find_all(exp.Column):
            found |= self._of_column(scope, column, depth)
        return found

    def _of_column(self, scope: Scope, column: exp.Column, depth: int) -> set[Source]:
        source = scope.sources.get(column.table)
        if isinstance(source, exp.Table):
            return {((source.db, source.name), column.name)} if source.db else set()
        if isinstance(source, Scope):
            return self.sources(source, column.name, depth + 1)
        for inner in scope.subquery_scopes:  # a column of a scalar subquery inside the projection
            if column.table in inner.sources:
                return self._of_column(inner, column, depth + 1)
        return set()
