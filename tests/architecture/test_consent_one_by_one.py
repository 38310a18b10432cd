"""Take the macro away from any single model, or from all of them: the consent check names exactly those. The manifest is the real one.

`test_consent_check` plants one way round each in one model; here every model that reads raw rows of people goes round, in every way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from assets.dbt_manifest import load_manifest
from assets.governance.consent_asset import consent_check
from assets.governance.consent_check import MACHINERY, models_going_round
from assets.governance.consent_exceptions import EXCEPTIONS
from assets.resources import LakeResource

Node = dict[str, Any]
_DOOR = re.compile(r"\b(consented_rows|withdrawn_rows)\(\s*'(\w+)'\s*,\s*'(\w+)'[^{}]*?\)\s*\}\}")


def _readers() -> dict[str, Node]:
    """Every model that reads raw rows of people through a door."""
    nodes = load_manifest()["nodes"]
    return {i: n for i, n in nodes.items() if n["resource_type"] == "model" and n["name"] not in MACHINERY and _DOOR.search(n["raw_code"])}


READERS = _readers()


def _with(node: Node, code: str, *, macro: str | None = None) -> Node:
    """The node as dbt would parse it with other code: what the door brought along is gone, its sources stay."""
    gone = {"macro.biodam.consented_rows", "macro.biodam.withdrawn_rows"}
    macros = [m for m in node["depends_on"]["macros"] if m not in gone] + ([f"macro.biodam.{macro}"] if macro else [])
    return {**node, "raw_code": code, "depends_on": {**node["depends_on"], "macros": macros}}


def _through(macro: str) -> Callable[[Node], Node]:
    return lambda node: _with(node, _DOOR.sub(rf"{macro}('\2', '\3') }}}}", node["raw_code"]), macro=macro)


def _source(node: Node) -> Node:
    return _with(node, _DOOR.sub(r"source('raw_\2', '\3') }}", node["raw_code"]))


def _textual(template: str) -> Callable[[Node], Node]:
    """The door's place is taken by text of one's own; dbt then knows of no source."""

    def change(node: Node) -> Node:
        code = re.sub(r"\{\{\s*" + _DOOR.pattern, template, node["raw_code"])
        assert code != node["raw_code"]
        changed = _with(node, code)
        sources = [i for i in node["depends_on"]["nodes"] if not i.startswith("source.biodam.raw_")]
        return {**changed, "depends_on": {**changed["depends_on"], "nodes": sources}}

    return change


def _beside(text: str) -> Callable[[Node], Node]:
    """The door stays, and a second way is written beside it."""
    return lambda node: {**node, "raw_code": f"{node['raw_code']}\n{text}"}


def _hook(node: Node) -> Node:
    return {**node, "config": {**node["config"], "post-hook": [{"sql": "insert into {{ this }} select * from raw_fhir.condition"}]}}


ROUNDS = {
    "raw_rows": _through("raw_rows"),
    "unconsented_rows": _through("unconsented_rows"),
    "source": _source,
    "path": _textual(r"delta_scan('/lake/tables/raw/\2/\3')"),
    "parquet": _textual(r"read_parquet('/lake/tables/raw/\2/\3/*/*.parquet')"),
    "file as a table": _textual(r"'/lake/tables/raw/\2/\3/x.parquet'"),
    "name": _textual(r"raw_\2.\3"),
    "quoted name": _textual(r'"memory"."raw_\2"."\3"'),
    "name in capitals": _textual(r"RAW_\2.\3"),
    "name in Jinja": _textual(r"{{ api.Relation.create(schema='raw' ~ '_\2', identifier='\3') }}"),
    "text of a query": _textual(r"query('from raw_\2.\3')"),
    "union": _beside("union all select * from raw_fhir.patient"),
    "join": _beside("inner join raw_fhir.patient as p on true"),
    "CTE": _beside(", everybody as (select * from raw_fhir.patient)"),
    "subquery": _beside("where person_id in (select person_id from raw_people . sighting)"),
    "hook": _hook,
}


def _named(changed: dict[str, Node]) -> set[str]:
    manifest = load_manifest()
    return {v.model for v in models_going_round({**manifest, "nodes": {**manifest["nodes"], **changed}})}


def test_the_doors_of_the_project_are_all_in_this_test() -> None:
    read = {
        n["name"]
        for n in load_manifest()["nodes"].values()
        if any("source.biodam.raw_" in i for i in n.get("depends_on", {}).get("nodes", ()))
    }
    assert len(READERS) > 80
    assert {"stg_lims__withdrawn_samples", "stg_lims__withdrawn_events"} <= {n["name"] for n in READERS.values()}
    assert {n["name"] for n in READERS.values()} <= read


def test_each_model_without_its_macro_is_named_and_no_other() -> None:
    for unique_id, node in READERS.items():
        assert _named({unique_id: ROUNDS["raw_rows"](node)}) == {node["name"]}


@pytest.mark.parametrize("way", ROUNDS)
def test_all_models_that_go_round_in_a_way_are_named_and_no_other(way: str) -> None:
    changed = {unique_id: ROUNDS[way](node) for unique_id, node in READERS.items()}
    assert _named(changed) == {n["name"] for n in READERS.values()}


def _downstream() -> Iterator[tuple[str, Node]]:
    for unique_id, node in load_manifest()["nodes"].items():
        if (
            node["resource_type"] == "model"
            and node["name"] not in MACHINERY
            and node["fqn"][1] in ("standard", "omop", "marts", "governance")
        ):
            yield unique_id, node


@pytest.mark.parametrize("way", ["union", "join", "CTE", "subquery", "hook"])
def test_all_models_downstream_that_read_a_raw_table_are_named(way: str) -> None:
    changed = {unique_id: ROUNDS[way](node) for unique_id, node in _downstream()}
    assert len(changed) > 60
    assert _named(changed) == {n["name"] for n in changed.values()}


@pytest.mark.parametrize("what", ["stg_consent__events", "consent_history", "int_consent_events__understood", "consent_withdrawal"])
def test_a_mart_that_reads_what_consent_is_made_of_is_named(what: str) -> None:
    """Those models also hold people who withdrew."""
    node = load_manifest()["nodes"]["model.biodam.cohort_type2_diabetes"]
    depends = {**node["depends_on"], "nodes": [*node["depends_on"]["nodes"], f"model.biodam.{what}"]}
    assert _named({"model.biodam.cohort_type2_diabetes": {**node, "depends_on": depends}}) == {"cohort_type2_diabetes"}


# --- compiled SQL: the macro may be called and yet say nothing -------------------------------------------------------------------------

_TIED = """
    select * from (
        select r.person_id, r.site
        from (select m.* from (select v.person_id, v.site from "memory"."raw_{family}"."{entity}" as v) as m where true) as r
        inner join "memory"."reference"."site" as s on s.site = r.site
        where exists (
            select 1 from "memory"."standard"."{relation}" as c
            where true and c.person_id = r.person_id and c.scope_code in ('clinical', 'all') and r.site = c.only_site
        )
    ) as rows
"""
UNTIED: dict[str, Callable[[str], str]] = {
    "no exists": lambda sql: re.sub(r"where exists \(.*?\n        \)", "", sql, flags=re.DOTALL),
    "negated": lambda sql: sql.replace("where exists", "where not exists"),
    "or true": lambda sql: sql.replace("where exists", "where r.site is not null or exists"),
    "another relation": lambda sql: sql.replace("{relation}", "person_arm"),
    "nobody's consent": lambda sql: sql.replace("c.person_id = r.person_id", "c.person_id = c.person_id"),
    "another's consent": lambda sql: sql.replace("c.person_id = r.person_id", "c.person_id = s.person_id"),
    "any scope": lambda sql: sql.replace("c.scope_code in ('clinical', 'all')", "true"),
    "or in the exists": lambda sql: sql.replace("where true and c.person_id", "where true or c.person_id"),
    "joined beside": lambda sql: sql.replace("inner join", 'inner join "memory"."raw_{family}"."{entity}" as x on true inner join'),
    "in the select list": lambda sql: sql.replace("r.site\n", 'r.site, (select max(person_id) from "memory"."raw_{family}"."{entity}") as x\n'),
    "second branch": lambda sql: sql + ' union all select person_id, site from "memory"."raw_{family}"."{entity}"',
    "CTE": lambda sql: 'with x as (select * from "memory"."raw_{family}"."{entity}")' + sql + " union all select person_id, site from x",
    "in an in": lambda sql: sql + ' where person_id in (select person_id from "memory"."RAW_{family}"."{entity}")',
    "a file": lambda sql: sql + " union all select person_id, site from delta_scan('x')",
    "a file as a table": lambda sql: sql + " union all select person_id, site from 'x/y.parquet'",
    "no SQL": lambda sql: sql + " select select",
}  # fmt: skip


def _compiled(node: Node, change: Callable[[str], str] = lambda sql: sql) -> Node:
    door, family, entity = next(_DOOR.finditer(node["raw_code"])).groups()
    relation = "consent_withdrawal" if door == "withdrawn_rows" else "consent_relation"
    text = change(_TIED)
    for name, value in (("family", family), ("entity", entity), ("relation", relation)):
        text = text.replace("{" + name + "}", value)
    return {**node, "compiled_code": text}


def test_compiled_models_that_are_tied_to_consent_are_in_order() -> None:
    assert _named({unique_id: _compiled(node) for unique_id, node in READERS.items()}) == set()


@pytest.mark.parametrize("way", UNTIED)
def test_all_compiled_models_that_lost_their_tie_are_named(way: str) -> None:
    changed = {unique_id: _compiled(node, UNTIED[way]) for unique_id, node in READERS.items()}
    assert _named(changed) == {n["name"] for n in READERS.values()}


def test_a_model_that_goes_round_fails_the_build_and_nothing_is_published(tmp_path: Any) -> None:
    """The check is blocking: Dagster does not materialise what comes after it."""
    (tmp_path / "control").mkdir()
    manifest = load_manifest()
    node = READERS["model.biodam.stg_fhir__conditions"]
    broken = {**manifest, "nodes": {**manifest["nodes"], node["unique_id"]: ROUNDS["source"](node)}}
    check = consent_check(broken)
    assert next(iter(check.check_specs)).blocking
    result = check.node_def.compute_fn.decorated_fn(lake=LakeResource(root=str(tmp_path)))  # type: ignore[union-attr]
    assert isinstance(result, dg.AssetCheckResult)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert "stg_fhir__conditions: reads raw/fhir/condition" in result.metadata["going_round"].value
    assert set(EXCEPTIONS).isdisjoint(str(result.metadata["going_round"].value).split())
