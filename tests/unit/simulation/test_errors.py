"""Every planted error stands in the file and at the record that truth names, and looks as its kind says."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from pydicom import dcmread

from assets.formats.reasons import Reason
from assets.simulation.country import FEEDS, load_country
from assets.simulation.errors import KINDS

Row = tuple[str, str, str, str, int, str, int, str]

_QUERY = """
    select site, delivery_id, file, entity, ordinal, kind, person, record_id from planted_errors
    where kind = $kind and file is not null and file not like '%.parquet'
"""


def _planted(country: Any, kind: str) -> list[tuple[Row, bytes]]:
    """Planted text records of a kind, each with the bytes that stand at its place."""
    rows: list[Row] = country.truth(_QUERY.replace("$kind", f"'{kind}'"))
    return [(row, country.lines(row[0], FEEDS[row[0]], row[1], row[2])[row[4] - 1]) for row in rows]


def _broken_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _undecodable(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return True
    return False


def _tag(content: bytes, keyword: str) -> str | None:
    value = dcmread(io.BytesIO(content)).get(keyword)
    return None if value is None else str(value)


_LOOKS: dict[str, Callable[[str, bytes], bool]] = {
    "impossible_date": lambda site, line: b"2023-02-30" in line or b"20230230" in line,
    "bad_json": lambda site, line: _broken_json(line),
    "encoding_break": lambda site, line: _undecodable(line, {"h12": "cp949", "h14": "euc_kr"}.get(site, "utf-8")),
    "ragged_row": lambda site, line: line.count(b",") in (6, 7, 10, 11),
    "missing_person": lambda site, line: (
        b'"subject"' not in line and (site != "h12" or b",," in line) and (site != "h14" or b"PID|1||||" in line)
    ),
    "missing_id": lambda site, line: b'"id"' not in line and (site != "h12" or line.startswith(b",")),
    "unknown_code": lambda site, line: any(c in line for c in (b"U99.Z", b"9999")),
    "delete_notice": lambda site, line: (
        b'"DELETE"' in line or line.endswith(b",Y") or b"ADT^A11" in line or b"|D\r" in line + b"\r" or b"|||||D|" in line
    ),
    "retraction": lambda site, line: b"entered-in-error" in line or b"nullified" in line,
    "withdrawn_after_delivery": lambda site, line: b",withdraw," in line,
    "point_unit": lambda site, line: b'"unit":"bpm"' in line,
    "point_time": lambda site, line: b"2026-02-30T" in line,
    "point_schema": lambda site, line: b"mood-ring" in line,
    "point_nobody": lambda site, line: b"user_id" not in line,
    "image_nobody": lambda site, line: _tag(line, "PatientID") == "",
    "image_no_series": lambda site, line: _tag(line, "SeriesInstanceUID") is None,
    "image_date": lambda site, line: _tag(line, "StudyDate") == "20260230",
    "image_burned_in": lambda site, line: _tag(line, "BurnedInAnnotation") == "YES",
    "filler_resident_number": lambda site, line: b"000000-0000000" in line,
}


@pytest.mark.parametrize("kind", sorted(_LOOKS))
def test_a_planted_record_looks_as_its_kind_says(small_country: Any, kind: str) -> None:
    found = _planted(small_country, kind)
    assert found
    for row, line in found:
        assert _LOOKS[kind](row[0], line), row


def test_every_line_of_the_parameter_file_is_planted_at_least_once(small_country: Any) -> None:
    names = {"event": "event", **{e: e for e in ("visit", "condition", "drug", "lab", "vaccination")}}
    rows = small_country.truth("select distinct kind, site, entity from planted_errors")
    for kind, spec in load_country().errors.items():
        for site, entity in spec.at:
            assert (kind.removeprefix("consent_"), site, names[entity]) in rows, (kind, site, entity)
    for kind in (
        "identity_split",
        "filler_resident_number",
        "withdrawn_after_delivery",
        "duplicate_delivery",
    ):
        assert kind in {row[0] for row in rows}


def test_planted_records_carry_the_number_that_truth_names(small_country: Any) -> None:
    """Damage may hit the number itself, so only kinds whose text is whole are looked at."""
    for kind in (
        "late",
        "superseded",
        "corrected",
        "deleted_later",
        "duplicate",
        "unit_other",
        "after_death",
        "death_update",
    ):
        found = _planted(small_country, kind)
        assert found or kind == "death_update"
        for row, line in found:
            assert row[7].encode() in line, row


def test_planted_rows_of_tables_stand_where_truth_says(small_country: Any) -> None:
    rows = small_country.truth("""
        select delivery_id, file, ordinal, kind, record_id from planted_errors
        where site = 'h13' and file is not null
    """)
    keys = {"person.parquet": "person_id", "observation_period.parquet": "observation_period_id"}
    assert rows
    for delivery, file, ordinal, kind, record in rows:
        path = small_country.folder("h13", "omop", delivery) / file
        key = keys.get(file, f"{file.removesuffix('.parquet')}_id")
        query = f"select * from (select *, row_number() over () as n from '{path}') where n = {ordinal}"
        found = duckdb.sql(query).to_arrow_table().to_pylist()[0]
        assert (found[key] is None) == (kind == "missing_id")
        assert kind == "missing_id" or str(found[key]) == record
        assert (found["person_id"] is None) == (kind == "missing_person")


def test_a_correction_comes_later_under_the_same_number(small_country: Any) -> None:
    rows = small_country.truth("""
        select count(*), count(b.record_id), count(*) filter (a.delivery_id < b.delivery_id)
        from planted_errors a left join planted_errors b using (site, entity, record_id)
        where a.kind in ('superseded', 'deleted_later', 'retracted_later') and a.kind <> b.kind
          and b.kind in ('corrected', 'delete_notice', 'retraction')
    """)
    made = small_country.truth("select count(*) from planted_errors where kind in ('superseded', 'deleted_later', 'retracted_later')")[0][0]
    deleted = small_country.truth("select count(*) from planted_errors a where kind = 'deleted_later' and site = 'h11'")[0][0]
    assert rows[0][0] == rows[0][1] == rows[0][2] == made - deleted


def test_deletions_of_the_fhir_hospital_name_the_record(small_country: Any) -> None:
    gone = {r for (r,) in small_country.truth("select record_id from planted_errors where kind = 'deleted_later' and site = 'h11'")}
    named = {
        json.loads(line)["entry"][0]["request"]["url"].partition("/")[2]
        for row, line in _planted(small_country, "delete_notice")
        if row[0] == "h11"
    }
    assert named == gone != set()


def test_every_quarantine_reason_is_on_the_closed_list() -> None:
    assert {kind.reason for kind in KINDS if kind.reason} <= {str(reason) for reason in Reason}
    assert all((kind.expected == "quarantined") == (kind.reason is not None) for kind in KINDS)


def test_true_records_are_delivered_exactly_once_in_good_order(small_country: Any) -> None:
    """Whatever a lake does with the errors, truth is not lost: each fact has one undamaged record."""
    file = small_country.root / "deliveries" / "h13" / "omop" / "2026*" / "condition_occurrence.parquet"
    delivered = duckdb.sql(f"""
        select cast(condition_occurrence_id as varchar) as record_id, count(distinct person_id) as n
        from read_parquet('{file}') where condition_occurrence_id is not null and person_id is not null
        group by all
    """).fetchall()
    truth = {r for (r,) in small_country.truth("select record_id from conditions where site = 'h13'")}
    copies = {
        r
        for (r,) in small_country.truth("""
            select record_id from planted_errors where site = 'h13' and entity = 'condition' and kind not in
            ('late', 'superseded', 'corrected', 'duplicate')
        """)
    }
    assert truth <= {record for record, _ in delivered}
    assert {record for record, _ in delivered} - truth <= copies
    assert not truth & copies


def test_files_of_the_fhir_hospital_hold_all_true_results_once(small_country: Any) -> None:
    numbers: dict[str, int] = {}
    for path in (small_country.root / "deliveries" / "h11" / "fhir_r4").glob("2026*/Observation.*.ndjson"):
        if path.parent.name.endswith("resend"):
            continue
        for line in path.read_bytes().splitlines():
            number = line.partition(b'"id":"')[2].partition(b'"')[0].decode()
            numbers[number] = numbers.get(number, 0) + 1
    truth = small_country.truth("select distinct record_id from labs where site = 'h11'")
    twice = {r for (r,) in small_country.truth("select record_id from planted_errors where kind in ('duplicate', 'superseded')")}
    assert truth
    assert all(numbers[record] == 1 + (record in twice) for (record,) in truth)
