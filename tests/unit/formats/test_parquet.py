"""Parquet: columns that bring their own types."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Read = Callable[..., Any]


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **options)
    return out.getvalue()


@pytest.fixture
def read_table(read: Read) -> Read:
    """Reads one OMOP table."""

    def run(table: str, columns: dict[str, Any], **more: Any) -> Any:
        return read("parquet", "omop", {f"{table}.parquet": parquet(columns)}, **more)

    return run


def test_types_of_the_file_become_types_of_the_contract(read_table: Read) -> None:
    found = read_table(
        "drug_exposure",
        {
            "drug_exposure_id": pa.array([-9223372036854775808, 2], pa.int64()),
            "person_id": pa.array([7.0, 8.0], pa.float64()),  # pandas writes ids so where one is missing
            "drug_concept_id": pa.array([1, None], pa.int32()),
            "drug_exposure_start_date": pa.array([datetime(2020, 1, 2, 23, 59), None], pa.timestamp("ns")).cast(pa.timestamp("ns")).fill_null(datetime(2021, 1, 1)),
            "drug_exposure_start_datetime": pa.array([datetime(2020, 1, 2, 9), None], pa.timestamp("ms")),
            "drug_exposure_end_date": pa.array(["2020-01-03", ""], pa.large_string()),
            "drug_exposure_end_datetime": pa.array([datetime(2020, 1, 2, 9), None], pa.timestamp("us", tz="Asia/Tokyo")),
            "quantity": pa.array([Decimal("1.500"), None], pa.decimal128(18, 3)),
            "days_supply": pa.array([30.0, None], pa.float64()),
            "drug_source_value": pa.array(["  00002751001 ", None]).dictionary_encode(),
        },
        options={"time_zone": "Asia/Seoul"},
    )  # fmt: skip
    first, second = found.tables["drug_exposure"]
    assert (first["record_id"], first["person_id"], second["person_id"]) == ("-9223372036854775808", "7", "8")
    assert first["drug_exposure_start_date"] == date(2020, 1, 2)
    assert first["drug_exposure_start_datetime"] == datetime(2020, 1, 2, 0, tzinfo=UTC)
    assert first["drug_exposure_end_datetime"] == datetime(2020, 1, 2, 9, tzinfo=UTC)
    assert (first["drug_exposure_end_date"], second["drug_exposure_end_date"]) == (date(2020, 1, 3), None)
    assert (first["quantity"], first["days_supply"], first["drug_source_value"]) == (1.5, 30, "00002751001")
    assert (second["drug_concept_id"], second["quantity"], second["days_supply"]) == (None, None, None)
    assert found.rejected == []


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("year_of_birth", [1970, 2**40], "invalid_type"),
        ("year_of_birth", [1970.0, 1970.5], "invalid_type"),
        ("year_of_birth", ["1970", "x"], "invalid_type"),
        ("year_of_birth", [1970, None], "missing_value"),
        ("person_id", ["1", None], "missing_key"),
        ("person_id", [1.0, 2.0**60], "invalid_type"),
        ("person_id", [b"1", b"\xff"], "encoding"),
    ],
)
def test_a_bad_value_costs_its_row(read_table: Read, column: str, values: list[Any], reason: str) -> None:
    found = read_table("person", {"person_id": [1, 2], "year_of_birth": [1970, 1971]} | {column: values})
    assert found.reasons == [(2, reason)]
    assert [r["record_id"] for r in found.tables["person"]] == ["1"]


def test_numbers_that_are_not_finite_and_dates_out_of_range_are_refused(read_table: Read) -> None:
    found = read_table(
        "measurement",
        {
            "measurement_id": [1, 2, 3, 4],
            "person_id": [1, 1, 1, 1],
            "measurement_date": [date(2020, 1, 1), date(1500, 1, 1), date(2020, 1, 1), date(2201, 12, 13)],
            "value_as_number": [float("nan"), 1.0, float("inf"), 1.0],
        },
    )
    assert found.reasons == [(1, "value_not_finite"), (2, "invalid_date"), (3, "value_not_finite")]


def test_nested_columns_refuse_the_file_only_where_they_are_read(read_table: Read) -> None:
    columns = {"person_id": [1], "year_of_birth": [1970], "extra": [[1, 2]]}
    assert len(read_table("person", columns).tables["person"]) == 1
    (file,) = read_table("person", columns | {"month_of_birth": [[1]]}).files
    assert (file["reason"], file["detail"]) == ("header_mismatch", "columns that hold lists or structs: month_of_birth")


def test_rows_are_numbered_through_row_groups(read: Read) -> None:
    content = parquet({"person_id": list(range(1, 201_001)), "year_of_birth": [1970] * 201_000}, row_group_size=70_000)
    rows = read("parquet", "omop", {"person.parquet": content}).tables["person"]
    assert [(r["record_id"], r["_row_number"]) for r in rows[::50_000]] == [(str(i + 1), i + 1) for i in range(0, 201_000, 50_000)]
    assert len(rows) == 201_000
