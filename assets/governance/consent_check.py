"""Does any model read people past their consent? Answered from the dbt manifest, naming each that does.

Belongs here: the rules. Does not belong here: Dagster (`consent_asset`), what consent means (`consent_relation`). CI and a Dagster check
call `models_going_round`.

Raw rows of people may be read in one way: a staging model calls `consented_rows(family, entity)`. The consent relation itself and the
staging of consent events (`MACHINERY`) read before consent, because consent is made of it. What people who withdrew left behind is read by
the few models of `consent_exceptions`, held to what was reviewed there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from assets.contracts.table import all_entities
from assets.dbt_manifest import Node, raw_key
from assets.governance.consent_exceptions import DOOR, EXCEPTIONS, WITHDRAWAL, readers_round, ways_round

MACHINERY = frozenset(
    {
        "consent_relation",
        "consent_history",
        "int_consent_events__understood",
        "int_consent_events__counted",
        "stg_consent__events",
        "stg_fhir__consents",
        "stg_registry__consents",
    }
)
"""Models that may read before consent. A name added here opens raw rows of people to that model."""

RELATION = "consent_relation"
_READERS_OF_MACHINERY = frozenset({WITHDRAWAL, "gov_consent_events", "person_arm"})
"""Models outside the machinery that may read it: who withdrew (read by the reviewed exceptions only), counts of events, and the arm of people
who are in the relation."""
_CONSENTED = "consented_rows"
_UNCONSENTED = "unconsented_rows"
_DOORS = frozenset({_CONSENTED, _UNCONSENTED, DOOR, "raw_rows", "newest_links"})
"""Macros of `dbt_project/macros/rows.sql` that may name raw tables."""
_BROUGHT_BY_MACROS = frozenset({"raw/people/link"})
"""Person-level tables that the doors themselves read; they hold surrogates of merged people and nothing else."""

_COMMENT = re.compile(r"\{#.*?#\}|--[^\n]*|/\*.*?\*/", re.DOTALL)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_CALL = re.compile(r"\b(consented_rows|unconsented_rows|withdrawn_rows|raw_rows|source)\s*\(\s*['\"]([\w]+)['\"]\s*,\s*['\"](\w+)['\"]")
_RAW = re.compile(r"raw_|_scan\b|\bread_|parquet|\bquery(_table)?\s*\(|\b(from|join)\s+'", re.IGNORECASE)
"""Compiled SQL that has to be parsed: it may read a raw table, or a file."""
_NUMBERS = re.compile(r"-?\b\d+\b(?:\s*,\s*-?\b\d+\b)*")
_BUCKETS = re.compile(r"\b(?:\w+\.)?(?:person|alias)_bucket between # and #(?: and (?:\w+\.)?(?:person|alias)_bucket in \(#\))?")
"""The buckets of a run (`assets/lake/plan.py: bucket_predicate`); a run that rebuilds everybody has `true` there."""
_OWN_CODE = Path(__file__).read_text(encoding="utf-8")
_BY_NAME = re.compile(
    r"\braw_\w+\"?\s*\.\s*\"?[a-z]|\b\w+_scan\s*\(|\bread_\w+\s*\(|\bglob\s*\(|\bquery(?:_table)?\s*\(|\b(?:from|join)\s+'", re.IGNORECASE
)
_ROW_SOURCES = frozenset({"unnest", "generate_series", "range"})
"""Functions that compiled SQL may read rows from: they open nothing."""
_RUNS_SQL = re.compile(r"\b(?:run_query|load_result|get_relation)\b|\bstatement\s*\(|\bapi\s*\.|\badapter\s*\.|\bgraph\s*\.|\bcontext\s*\[")
"""Jinja by which a model could ask the database itself, or name a relation that no macro names."""


@dataclass(frozen=True, order=True)
class Violation:
    """One model, and how it goes round consent."""

    model: str
    how: str

    def __str__(self) -> str:
        return f"{self.model}: {self.how}"


def models_going_round(manifest: Mapping[str, Any], *, seen: set[str] | None = None) -> list[Violation]:
    """Every model that reads, or could read, people past `consented_rows`.

    Args:
        manifest: As `dbt parse` wrote it; where it holds compiled SQL (after a build), that is read too.
        seen: Fingerprints of compiled queries that were found in order before (see `fingerprint`); those of this call are added.

    Returns:
        Violations by model; empty where every path is closed.
    """
    rules = _Rules(manifest, set() if seen is None else seen)
    nodes = (n for n in manifest["nodes"].values() if n["resource_type"] in ("model", "snapshot", "analysis"))
    return sorted({v for node in nodes for v in rules.of(node)})


def with_compiled(manifest: Mapping[str, Any], compiled: Path) -> Mapping[str, Any]:
    """The manifest with the SQL that the last build compiled, where it compiled any.

    Args:
        manifest: As `dbt parse` wrote it.
        compiled: Folder `compiled` of dbt's target.
    """
    nodes = {}
    for unique_id, node in manifest["nodes"].items():
        path = compiled / node["package_name"] / node["original_file_path"]
        is_there = node["resource_type"] == "model" and path.is_file()
        nodes[unique_id] = {**node, "compiled_code": path.read_text(encoding="utf-8")} if is_there else node
    return {**manifest, "nodes": nodes}


class _Rules:
    """The rules, with what they need to know of the whole project."""

    def __init__(self, manifest: Mapping[str, Any], seen: set[str]) -> None:
        self._manifest = manifest
        self._seen = seen
        self._people = frozenset(e.key for e in all_entities() if e.person_level)
        self._project = manifest["metadata"]["project_name"]

    def of(self, node: Node) -> Iterator[Violation]:
        """Violations of one model."""
        if node["name"] in MACHINERY:
            return
        if node["name"] in EXCEPTIONS:
            yield from (Violation(node["name"], how) for how in self._exceptional_ways(node))
            return
        yield from (Violation(node["name"], how) for how in self._ways(node))

    def _exceptional_ways(self, node: Node) -> Iterator[str]:
        code, calls = self._calls(node)
        of_people = {(macro, key) for macro, key in calls if key in self._people}
        yield from ways_round(node, self._raw_sources(node), of_people)
        yield from self._ways_by_name(node, code)
        if chain := self._way_to_unconsented(node, past=frozenset({_CONSENTED, DOOR})):
            yield f"reads raw tables past {DOOR}() through the macro(s) {' -> '.join(chain)}"
        yield from self._compiled_ways(node, WITHDRAWAL)

    @staticmethod
    def _calls(node: Node) -> tuple[str, set[tuple[str, str]]]:
        """Code without comments, and (macro, raw table) of each call in it."""
        code = _COMMENT.sub(" ", node.get("raw_code") or "")
        return code, {(macro, f"raw/{first.removeprefix('raw_')}/{second}") for macro, first, second in _CALL.findall(code)}

    def _ways(self, node: Node) -> Iterator[str]:
        code, calls = self._calls(node)
        yield from readers_round(node, self._manifest)
        consented = {key for macro, key in calls if macro == _CONSENTED}
        for macro, key in sorted(calls):
            if macro != _CONSENTED and key in self._people:
                yield f"reads {key} with {macro}(), not with {_CONSENTED}()"
        yield from self._ways_by_name(node, code)
        yield from self._ways_before_consent(node)
        sources = self._raw_sources(node)
        if sources and not self._is_staging(node):
            yield f"reads {', '.join(sorted(sources))}, and only staging models may"
        for key in sorted(sources - consented):
            yield f"reads {key}, and does not call {_CONSENTED}() for it"
        if chain := self._way_to_unconsented(node):
            yield f"reads raw tables past {_CONSENTED}() through the macro(s) {' -> '.join(chain)}"
        if self._tells_of_people(node) and not self._rests_on_consent(node):
            yield f"has person_id and rests on no model that reads {RELATION}"
        yield from self._compiled_ways(node, RELATION)

    @staticmethod
    def _ways_by_name(node: Node, code: str) -> Iterator[str]:
        """Raw relations and files that code or hooks name themselves."""
        config = node.get("config", {})
        hooks = " ".join(str(h) for kind in ("pre-hook", "post-hook") for h in config.get(kind) or ())
        if _BY_NAME.search(f"{code} {_COMMENT.sub(' ', hooks)}"):
            yield "reads a raw relation or a file by its name instead of through a macro"
        if hooks:
            yield "has a hook: what it runs is not checked"
        if any(_RUNS_SQL.search(block) for block in _JINJA.findall(code)):
            yield "asks the database in its Jinja: what it reads so is not checked"

    def _ways_before_consent(self, node: Node) -> Iterator[str]:
        """What consent is made of also tells of people who withdrew; only reviewed models read it."""
        parents = (self._manifest["nodes"].get(i) for i in node["depends_on"]["nodes"])
        for name in sorted({p["name"] for p in parents if p is not None} & (MACHINERY | {WITHDRAWAL}) - {RELATION}):
            if node["name"] not in _READERS_OF_MACHINERY:
                yield f"reads {name}, which tells of people before their consent"

    def _compiled_ways(self, node: Node, relation: str) -> Iterator[str]:
        """In compiled SQL: a raw table of people that no enclosing query ties to the consent relation (or to withdrawals)."""
        sql = node.get("compiled_code") or ""
        if node["resource_type"] != "model" or not _RAW.search(sql):
            return
        if (mark := fingerprint(f"{relation} {sql}")) in self._seen:
            return
        found = list(_untied(sql, self._people, relation))
        if not found:
            self._seen.add(mark)
        yield from found

    def _raw_sources(self, node: Node) -> set[str]:
        """Person-level raw tables a model depends on, without those that the doors bring along."""
        sources = (self._manifest["sources"][i] for i in node["depends_on"]["nodes"] if i.startswith("source."))
        keys = {raw_key(s) for s in sources} & self._people
        return {k for k in keys if k is not None} - _BROUGHT_BY_MACROS

    @staticmethod
    def _is_staging(node: Node) -> bool:
        return "staging" in node["fqn"][1:2]

    def _way_to_unconsented(self, node: Node, past: frozenset[str] = frozenset({_CONSENTED})) -> list[str]:
        """Macros, one calling the next, by which a model reaches the unconsented rows other than past its doors; empty if none."""
        stack: list[tuple[str, list[str]]] = [(m, []) for m in node["depends_on"]["macros"]]
        seen: set[str] = set()
        while stack:
            macro_id, before = stack.pop()
            name = macro_id.rsplit(".", 1)[-1]
            if macro_id in seen or not macro_id.startswith(f"macro.{self._project}.") or name in past:
                continue
            seen.add(macro_id)
            chain = [*before, name]
            if name == _UNCONSENTED or (name not in _DOORS and _reads_by_name(self._manifest["macros"][macro_id])):
                return chain
            stack += [(m, chain) for m in self._manifest["macros"][macro_id]["depends_on"]["macros"]]
        return []

    @staticmethod
    def _tells_of_people(node: Node) -> bool:
        return "person_id" in node.get("columns", {}) or node.get("config", {}).get("partition_by") == "person_bucket"

    def _rests_on_consent(self, node: Node) -> bool:
        stack, seen = list(node["depends_on"]["nodes"]), set()
        while stack:
            unique_id = stack.pop()
            if unique_id in seen or unique_id not in self._manifest["nodes"]:
                continue
            seen.add(unique_id)
            parent = self._manifest["nodes"][unique_id]
            if parent["name"] == RELATION:
                return True
            stack += parent.get("depends_on", {}).get("nodes", [])
        return False


def _reads_by_name(macro: Node) -> bool:
    """A macro that names raw relations or files itself. The project's own doors do so through source()."""
    code = _COMMENT.sub(" ", macro.get("macro_sql") or "")
    return any(kind == "source" and first.startswith("raw_") for kind, first, _ in _CALL.findall(code)) or bool(_BY_NAME.search(code))


def fingerprint(sql: str) -> str:
    """Hash of a compiled query and of these rules. Numbers and buckets do not count: those of a run and its day are no other query."""
    return hashlib.sha256((_OWN_CODE + _BUCKETS.sub("true", _NUMBERS.sub("#", sql))).encode()).hexdigest()


def _untied(sql: str, people: Iterable[str], relation: str) -> Iterator[str]:
    try:
        query = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError:
        yield "its compiled SQL reads raw tables and cannot be parsed"
        return
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            if table.name.lower() not in _ROW_SOURCES and table.this.sql_name().lower() not in _ROW_SOURCES:
                yield "its compiled SQL reads from a function that may open files"
            continue
        schema = table.db.lower()
        key = f"raw/{schema.removeprefix('raw_')}/{table.name.lower()}" if schema.startswith("raw_") else ""
        if not schema and re.search(r"[./*]", table.name):
            yield "its compiled SQL reads a file by its name"
        if key in people and key not in _BROUGHT_BY_MACROS and not _is_tied(table, relation):
            yield f"its compiled SQL reads {key} without {relation}"


def _is_tied(table: exp.Table, relation: str) -> bool:
    """True where a query around the table keeps only rows of people in the relation.

    The query has the table inside one of the sources it reads from, and its `where` demands, not as an alternative and not negated, that a row of
    the relation exists for that very source's person, in a scope.
    """
    inner: exp.Expr = table
    select = table.find_ancestor(exp.Select)
    while select is not None:
        where = select.args.get("where")
        source = _source_around(select, inner)
        if where is not None and source and any(_demands(one, relation, source) for one in _conjuncts(where.this)):
            return True
        inner, select = select, select.find_ancestor(exp.Select)
    return False


def _source_around(select: exp.Select, inner: exp.Expr) -> str:
    """Alias of the source of a query that holds an expression; empty where the expression stands elsewhere, as in its select list."""
    joins = [j.this for j in select.args.get("joins") or ()]
    begin = select.args.get("from_") or select.args.get("from")
    for source in [*([begin.this] if begin is not None else []), *joins]:
        if inner is source or any(node is inner for node in source.walk()):
            return str(source.alias_or_name)
    return ""


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """What a condition demands in any case."""
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _demands(condition: exp.Expr, relation: str, source: str) -> bool:
    """Whether a condition is: a row of the relation exists for the person of the source, in a scope."""
    if not isinstance(condition, exp.Exists) or not isinstance(condition.this, exp.Select):
        return False
    asked = condition.this
    begin, where = asked.args.get("from_") or asked.args.get("from"), asked.args.get("where")
    if begin is None or where is None or not isinstance(begin.this, exp.Table) or begin.this.name != relation or asked.args.get("joins"):
        return False
    wanted = {(begin.this.alias_or_name, "person_id"), (source, "person_id")}
    parts = list(_conjuncts(where.this))
    same_person = any(
        isinstance(p, exp.EQ) and {(c.table, c.name) for c in (p.left, p.right) if isinstance(c, exp.Column)} == wanted for p in parts
    )
    one_scope = any(c.name == "scope_code" for p in parts if isinstance(p, exp.EQ | exp.In) for c in p.find_all(exp.Column))
    return same_person and one_scope
