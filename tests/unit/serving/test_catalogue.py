"""The published file: plain DuckDB opens it, versions stay pinned, the swap is whole."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from assets.lake.commits import read_snapshot
from assets.lake.paths import Lake
from assets.lake.tables import overwrite, replace_partitions
from assets.serving.catalogue import PublishedModel, PublishError, publish
from tests.conftest import REPOSITORY

Models = list[PublishedModel]


def query(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(lake.catalogue), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def some_people(*pairs: tuple[int, int]) -> pa.RecordBatchReader:
    return pa.table({
        "person_id": pa.array([i for i, _ in pairs], pa.int64()), "born_on": pa.nulls(len(pairs), pa.date32()),
        "seen_at": pa.nulls(len(pairs), pa.timestamp("us", tz="UTC")), "codes": pa.nulls(len(pairs), pa.list_(pa.string())),
        "name_of_region": pa.nulls(len(pairs), pa.string()), "person_bucket": pa.array([b for _, b in pairs], pa.int32()),
    }).to_reader()  # fmt: skip


def test_plain_duckdb_reads_it_offline_from_any_folder(lake: Lake, models: Models, tmp_path: Path) -> None:
    publish(lake, models)
    script = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True, config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
connection.execute("set TimeZone = 'Asia/Seoul'") if len(sys.argv) > 2 else None
print(connection.execute("select person_id, born_on, seen_at, codes, name_of_region from person order by 1 limit 1").fetchall())
print(connection.execute("select count(*) from cohort").fetchone())
print([row[0] for row in connection.execute("select distinct extension_name from duckdb_extensions() where loaded and extension_name = 'delta'").fetchall()])
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TZ": "Asia/Seoul"}
    command = [sys.executable, "-c", script, str(lake.catalogue)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env=environment, timeout=600, check=False)
    assert done.stdout.splitlines() == [
        "[(1, datetime.date(1970, 1, 1), datetime.datetime(2020, 1, 2, 3, 4, 5, 678901), ['a', 'b'], '서울')]",
        "(0,)",
        "[]",
    ], done.stderr


def test_pandas_and_arrow_take_the_rows(lake: Lake, models: Models) -> None:
    publish(lake, models)
    with duckdb.connect(str(lake.catalogue), read_only=True) as connection:
        assert connection.sql("from person").df().shape == (3, 5)
        assert connection.sql("from cohort").to_arrow_table().schema.names == ["person_id", "born_on", "seen_at", "codes", "name_of_region"]


def test_views_stay_at_their_version_while_the_lake_goes_on(lake: Lake, models: Models) -> None:
    publish(lake, models)
    before = query(lake, "select count(*), sum(person_id) from person")
    replace_partitions(lake, "omop/person", some_people((99, 1)), column="person_bucket", values=[1])
    overwrite(lake, "marts/cohort", some_people((7, 7)), partition_by=["person_bucket"])
    assert query(lake, "select count(*), sum(person_id) from person") == before
    assert query(lake, "select count(*) from cohort") == [(0,)]


def test_open_reader_keeps_its_version_over_a_swap(lake: Lake, models: Models) -> None:
    publish(lake, models)
    with duckdb.connect(str(lake.catalogue), read_only=True) as reader:
        replace_partitions(lake, "omop/person", some_people((99, 1)), column="person_bucket", values=[1])
        publish(lake, [PublishedModel("person", "omop", 1)])
        assert reader.execute("select max(person_id) from person").fetchall() == [(3,)]
    assert query(lake, "select max(person_id) from person") == [(99,)]
    assert sorted(p.name for p in lake.catalogue.parent.iterdir()) == ["biodam.duckdb"]


def test_tables_and_columns_are_described(lake: Lake, models: Models) -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    publication = publish(lake, models, published_at=moment)

    assert publication.rows == {"person": 3, "cohort": 0}
    assert query(lake, "select name, schema, rows, version, published_at from biodam_tables order by 1") == [
        ("cohort", "marts", 0, 0, datetime(2026, 1, 1, 12)),
        ("person", "omop", 3, 0, datetime(2026, 1, 1, 12)),
    ]
    assert query(lake, "select comment from duckdb_views() where view_name = 'person'") == [("One row per person; it's small.",)]
    assert query(lake, "select comment from duckdb_columns() where table_name = 'person' and column_name = 'person_id'") == [
        ("Pseudonym.",)
    ]
    assert query(lake, "select position, column_name, type, description from biodam_columns where table_name = 'person' order by 1")[
        :3
    ] == [
        (1, "person_id", "BIGINT", "Pseudonym."),
        (2, "born_on", "DATE", ""),
        (3, "seen_at", "TIMESTAMP", ""),
    ]
    described = query(lake, "select column_name, column_type from (describe person)")
    assert described == query(lake, "select column_name, type from biodam_columns where table_name = 'person' order by position")


def test_catalogue_cannot_be_opened_for_writing(lake: Lake, models: Models) -> None:
    publish(lake, models)
    assert lake.catalogue.stat().st_mode & 0o222 == 0


@pytest.mark.parametrize("damage", ["missing", "fewer rows"])
def test_files_that_do_not_hold_the_rows_are_not_published(lake: Lake, models: Models, damage: str) -> None:
    publish(lake, models[1:])
    path = next(iter(read_snapshot(lake, "omop/person").files))
    if damage == "missing":
        path.unlink()
    else:
        pa.parquet.write_table(pa.table({"person_id": [1]}), path)
    with pytest.raises(PublishError, match=r"^omop/person version 0: the file part-.*(cannot be read|holds 1 rows, the log counts 2)$"):
        publish(lake, models)
    assert query(lake, "select name from biodam_tables") == [("cohort",)]
    assert sorted(p.name for p in lake.catalogue.parent.iterdir()) == ["biodam.duckdb"]


def test_version_that_does_not_exist_is_named(lake: Lake) -> None:
    with pytest.raises(PublishError, match="omop/person version 9 cannot be read"):
        publish(lake, [PublishedModel("person", "omop", 9)])


def test_two_tables_of_one_name_are_refused(lake: Lake, models: Models) -> None:
    with pytest.raises(PublishError, match="two published tables are called person"):
        publish(lake, [*models, PublishedModel("person", "marts", 0)])


@pytest.mark.scenario("29 disk full at any stage")
def test_catalogue_that_does_not_fit_on_the_disk_is_not_published(lake: Lake, models: Models) -> None:
    """DuckDB closed a file that it could not write without a word, and an empty catalogue took the place of a good one."""
    publish(lake, models)
    before = query(lake, "select count(*) from cohort")
    script = f"""
import resource, signal
from pathlib import Path
from assets.lake.paths import Lake
from assets.serving.catalogue import PublishedModel, publish
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    publish(Lake(Path({str(lake.root)!r})), {models!r})
except Exception as error:
    print("refused", type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, cwd=REPOSITORY, check=False)
    assert done.stdout.startswith("refused"), done.stdout + done.stderr
    assert query(lake, "select count(*) from cohort") == before
    assert [p.name for p in lake.catalogue.parent.iterdir()] == [lake.catalogue.name]
