"""A small OMOP in DuckDB on which the marts' own SQL runs without dbt, so that random people can be tried.

Belongs here: rendering models and macros, empty OMOP tables. Does not belong here: expectations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

PROJECT = Path(__file__).parents[3] / "dbt_project"
MACRO_FILES = ("dialect.sql", "standardise.sql", "rows.sql", "consent.sql", "cohorts.sql", "egfr.sql")
PLAN = """
{% macro touched(alias=none) %}{{ touched_sql }}{% endmacro %}
{% macro as_of() %}date '{{ day }}'{% endmacro %}
{% macro unconsented_rows(family, entity) %}{{ family }}_{{ entity }}{% endmacro %}
"""
"""Stands for the plan of a build: `true` or a predicate on person_bucket, the day, and raw rows as tables of their own."""

_RECORD = "site varchar default 'h01', person_bucket integer default 0"
OMOP = {
    "person": "person_id bigint, gender_concept_id bigint, year_of_birth integer, month_of_birth integer, "
    "day_of_birth integer, person_bucket integer default 0",
    "death": "person_id bigint, death_date date, person_bucket integer default 0",
    "observation_period": "person_id bigint, observation_period_start_date date, "
    "observation_period_end_date date, person_bucket integer default 0",
    "condition_occurrence": "person_id bigint, condition_start_date date, condition_concept_id bigint, "
    f"condition_source_value varchar, {_RECORD}",
    "drug_exposure": f"person_id bigint, drug_exposure_start_date date, drug_concept_id bigint, drug_source_value varchar, {_RECORD}",
    "measurement": "person_id bigint, measurement_date date, measurement_concept_id bigint, "
    "measurement_source_value varchar, value_as_number double, unit_concept_id bigint, "
    f"operator_concept_id bigint, {_RECORD}",
    "concept": "concept_id bigint, vocabulary_id varchar, concept_code varchar",
    "concept_ancestor": "ancestor_concept_id bigint, descendant_concept_id bigint",
}
"""OMOP tables: the columns that marts read."""


class Marts:
    """The marts and reports of the repository over one in-memory OMOP."""

    def __init__(self) -> None:
        self.db = duckdb.connect()
        self.day = "2024-06-01"
        self.db.execute("set threads = 2; set preserve_insertion_order = false")
        for name, columns in OMOP.items():
            self.db.execute(f"create table {name} ({columns})")
        seed = PROJECT / "seeds" / "concept_sets.csv"
        self.db.execute("create table concept_sets as from read_csv(?, header = true)", [str(seed)])
        self._files = {p.stem: p for f in ("marts", "governance", "standard") for p in (PROJECT / "models" / f).rglob("*.sql")}
        self._jinja = jinja2.Environment(extensions=["jinja2.ext.do"])  # SQL, not HTML
        texts = [(PROJECT / "macros" / name).read_text(encoding="utf-8") for name in MACRO_FILES]
        self._macros = self._jinja.from_string("\n".join([*texts, PLAN]))

    def add(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows to an OMOP table; columns that a row lacks take their default."""
        for row in rows:
            statement = f"insert into {table} ({', '.join(row)}) values ({', '.join('?' * len(row))})"
            self.db.execute(statement, list(row.values()))

    def add_row(self, table: str, **row: Any) -> None:
        """Append one row."""
        self.add(table, [row])

    def build(self, *models: str, buckets: Sequence[int] | None = None) -> None:
        """Build models and what they read of their folders; some buckets as dbt's delta would."""
        touched = "true" if buckets is None else f"person_bucket in ({', '.join(map(str, buckets))})"
        built: set[str] = set()
        for model in models:
            self._build(model, touched, built)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query as dictionaries."""
        cursor = self.db.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, expression: str) -> Any:
        """Value of one SQL expression."""
        return self.rows(f"select {expression} as value")[0]["value"]

    def macro(self, name: str, *arguments: str) -> str:
        """SQL that a macro of the project gives."""
        return str(getattr(self._module("true", set()), name)(*arguments))

    def _build(self, model: str, touched: str, built: set[str]) -> None:
        if model in built:
            return
        built.add(model)
        text = self._files[model].read_text(encoding="utf-8")
        used: set[str] = set()
        sql = self._render(text, touched, used)
        for upstream in sorted(used & self._files.keys()):
            self._build(upstream, touched, built)
        exists = self.one(f"(select count(*) from duckdb_tables() where table_name = '{model}')") > 0
        if exists and touched != "true" and "partition_by='person_bucket'" in text:
            self.db.execute(f"create or replace temp table fresh as {sql}")
            self.db.execute(f"delete from {model} where {touched}")
            self.db.execute(f"insert into {model} by name from fresh")
        else:
            self.db.execute(f"create or replace table {model} as {sql}")

    def _render(self, text: str, touched: str, used: set[str]) -> str:
        module = self._module(touched, used)
        macros = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
        return self._jinja.from_string(text).render(**macros, config=lambda **_: "", ref=_recorder(used))

    def _module(self, touched: str, used: set[str]) -> Any:
        """The macros as dbt would run them on DuckDB; `used` collects the models they refer to."""
        adapter = _Adapter()
        context = {
            "adapter": adapter,
            "return": lambda value: value,
            "touched_sql": touched,
            "day": self.day,
            "ref": _recorder(used),
        }
        adapter.module = self._macros.make_module(context)
        return adapter.module


class _Adapter:
    """dbt's adapter, as far as the marts' macros ask for it."""

    module: Any

    def dispatch(self, name: str, package: str) -> Any:
        return getattr(self.module, f"duckdb__{name}", None) or getattr(self.module, f"default__{name}")


def _recorder(used: set[str]) -> Any:
    def ref(name: str) -> str:
        used.add(name)
        return name

    return ref


@pytest.fixture
def marts() -> Marts:
    """An empty OMOP and the means to build marts on it."""
    return Marts()
