"""`biodam sql`: reads only, one-line messages, three output forms."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json

import pytest

from assets.lake.paths import Lake
from assets.serving.catalogue import PublishedModel, publish
from assets.serving.query import Output, QueryError, Reading, open_catalogue, run_query


@pytest.fixture
def published(lake: Lake, models: list[PublishedModel]) -> Lake:
    publish(lake, models)
    return lake


def output_of(lake: Lake, sql: str, form: Output = "table") -> str:
    output = io.StringIO()
    run_query(lake, sql, output, form=form)
    return output.getvalue()


def test_table_is_aligned_with_wide_characters(published: Lake) -> None:
    assert output_of(published, "select person_id, name_of_region as region, null as nothing from person order by 1 limit 2") == (
        "person_id | region | nothing\n----------+--------+--------\n1         | 서울   |\n2         | 서울   |\n(2 rows)\n"
    )


def test_long_result_is_cut_with_a_way_to_the_rest(published: Lake) -> None:
    assert output_of(published, "select * from range(300)").endswith("(200 rows; first 200 rows only, use --format csv or json for all)\n")


def test_csv_holds_all_rows(published: Lake) -> None:
    sql = "select i, case when i = 1 then null else 'a,b' end as t, [i] as l from range(3) as r(i)"
    assert output_of(published, sql, "csv") == 'i,t,l\n0,"a,b",[0]\n1,,[1]\n2,"a,b",[2]\n'
    assert output_of(published, "from range(25000)", "csv").count("\n") == 25001


def test_json_keeps_types(published: Lake) -> None:
    sql = (
        "select 9223372036854775807 as i, 'nan'::double as n, 1.5::decimal(3,1) as d, date '2020-01-01' as day, {'a': [1]} as s, true as b"
    )
    assert json.loads(output_of(published, sql, "json")) == [
        {"i": 9223372036854775807, "n": None, "d": 1.5, "day": "2020-01-01", "s": {"a": [1]}, "b": True}
    ]
    assert json.loads(output_of(published, "select 1 where false", "json")) == []


@pytest.mark.parametrize(
    "sql", ["show tables", "describe person", "summarize person", "pragma table_info('person')", "from person", "explain from person"]
)
def test_reading_statements_run(published: Lake, sql: str) -> None:
    assert "person" in output_of(published, sql).lower()


@pytest.mark.parametrize(
    "sql",
    [
        "drop view person", "create table x (i int)", "insert into biodam_tables select * from biodam_tables", "update biodam_tables set rows = 0",
        "copy person to '/tmp/out.csv'", "attach '/tmp/x.db'", "set threads = 1", "pragma memory_limit = '1GB'", "install httpfs", "load delta",
        "checkpoint", "export database '/tmp/x'", "call pragma_version()",
    ],
)  # fmt: skip
def test_everything_else_is_refused_in_one_line(published: Lake, sql: str) -> None:
    with pytest.raises(QueryError, match=r"^the catalogue is read-only: [^\n]*$"):
        output_of(published, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "from read_csv('/etc/passwd')",
        "from glob('/*')",
        "from read_text('/etc/hostname')",
        "from '/etc/passwd'",
        "explain analyze create table x as select 1",
    ],
)
def test_files_outside_the_published_ones_are_out_of_reach(published: Lake, sql: str) -> None:
    with pytest.raises(QueryError):
        output_of(published, sql)


def test_raw_files_are_out_of_reach(published: Lake) -> None:
    with open_catalogue(published) as connection:
        (path,) = connection.execute("select path from biodam_files order by all limit 1").fetchall()[0]
    secret = published.tables / "raw" / "secret.parquet"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(open(path, "rb").read())  # noqa: SIM115
    with pytest.raises(QueryError, match="Permission Error"):
        output_of(published, f"from read_parquet('{secret}')")


def test_variables_of_the_program_are_out_of_reach(published: Lake) -> None:
    secret = {"a": [1]}
    assert secret
    with pytest.raises(QueryError, match="secret does not exist"):
        output_of(published, "from secret")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select nosuch from person", 'Binder Error: Referenced column "nosuch" not found'),
        ("selec 1", "Parser Error"),
        ("", "the query is empty"),
        ("select 1; select 2", "write one statement"),
        ("select cast(name_of_region as int) from person", "Conversion Error"),
    ],
)
def test_message_is_one_line(published: Lake, sql: str, message: str) -> None:
    with pytest.raises(QueryError) as refusal:
        output_of(published, sql)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_before_the_first_publication_the_next_step_is_named(lake: Lake) -> None:
    with pytest.raises(QueryError, match="nothing is published yet: run `biodam run` first"):
        output_of(lake, "select 1")


def _readings(lake: Lake, sql: str, output: io.StringIO | None = None, form: Output = "table") -> list[Reading]:
    told: list[Reading] = []
    with contextlib.suppress(QueryError, BrokenPipeError):
        run_query(lake, sql, output or io.StringIO(), form=form, note=told.append)
    return told


def test_what_was_read_is_told_by_table_hash_and_rows(published: Lake) -> None:
    sql = "select p.* from Person as p left join cohort using (person_id) where p.person_id <> 2"
    assert _readings(published, sql) == [Reading(("cohort", "person"), hashlib.sha256(sql.encode()).hexdigest(), 2)]
    assert [r.tables for r in _readings(published, "show tables")] == [()]


def test_read_that_was_broken_off_is_told_with_the_rows_given(published: Lake) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            if "3" in text.split(",")[0]:
                raise BrokenPipeError
            return super().write(text)

    assert [r.rows for r in _readings(published, "select person_id from person order by 1", Closed(), "csv")] == [3]


def test_statement_that_did_not_run_read_nothing(published: Lake) -> None:
    assert _readings(published, "drop view person") == []
    assert _readings(published, "select nothing from person") == []
