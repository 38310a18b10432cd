"""One fixture for each reason, and the page that lists them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.formats.count import count_records
from assets.formats.reasons import Reason, as_markdown

Read = Callable[..., Any]

REPOSITORY = Path(__file__).resolve().parents[3]

GOOD = '{"resourceType":"Patient","id":"good"}'
O = '{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/p"}'  # noqa: E741
E = '{"resourceType":"Encounter","id":"e","subject":{"reference":"Patient/p"}'

FHIR_RECORDS: list[tuple[str, bytes | str, str | None]] = [
    # reason, line, rule
    ("encoding", b'{"resourceType":"Patient","id":"p","name":[{"family":"\xb1\xe8"}]}', None),
    ("record_too_large", '{"resourceType":"Patient","id":"' + "x" * 100_000 + '"}', None),
    ("missing_key", '{"resourceType":"Patient","gender":"male"}', "$.id"),
    ("missing_key", '{"resourceType":"Patient","id":""}', "$.id"),
    ("missing_person", '{"resourceType":"Observation","id":"o","status":"final"}', "$.subject.reference"),
    ("missing_person", '{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Group/1"}}', "$.subject.reference"),
    ("missing_value", E + "}", "$.status"),
    ("invalid_type", '{"resourceType":"Patient","id":5}', "$.id"),
    ("invalid_type", O + ',"valueQuantity":{"value":"high"}}', "$.valueQuantity.value"),
    ("invalid_type", O + ',"code":{"coding":{"code":"x"}}}', "$.code.coding"),
    ("invalid_type", O + ',"category":[{"coding":[{"code":1}]}]}', "$.category[0].coding[0].code"),
    ("invalid_date", O + ',"effectiveDateTime":"2020-02-30"}', "$.effectiveDateTime"),
    ("invalid_date", '{"resourceType":"Patient","id":"p","birthDate":"1066-10-14"}', "$.birthDate"),
    ("value_not_finite", O + ',"valueQuantity":{"value":1e999}}', "$.valueQuantity.value"),
    ("invalid_json", '{"resourceType":"Patient","id":"p"', None),
    ("invalid_json", O + ',"valueQuantity":{"value":NaN}}', None),
    ("invalid_json", '{"resourceType":"Patient","id":"p"}{"resourceType":"Patient","id":"q"}', None),
    ("invalid_json", '{"resourceType":"Patient","id":"\\ud800"}', None),
    ("too_deep", '{"resourceType":"Patient","id":"p","x":' + "[" * 64 + "]" * 64 + "}", None),
    ("duplicate_json_key", O + ',"subject":{"reference":"Patient/q"}}', "$.subject"),
    ("not_a_fhir_resource", '{"exportId":"export-10","eventId":"kickoff"}', "$.resourceType"),
    ("not_a_fhir_resource", '{"resourceType":7,"id":"p"}', "$.resourceType"),
    ("not_a_fhir_resource", "[1,2]", None),
    ("unknown_resource_type", '{"resourceType":"Pateint","id":"p"}', "$.resourceType"),
    ("modifier_extension", O + ',"modifierExtension":[{"url":"http://x/not","valueBoolean":true}]}', "$.modifierExtension"),
    ("modifier_extension", O + ',"valueQuantity":{"value":1,"modifierExtension":[{"url":"http://x/not"}]}}', "$.valueQuantity"),
    ("implicit_rules", O + ',"implicitRules":"http://x/rules"}', "$.implicitRules"),
]


@pytest.mark.parametrize("pieces", [1, 300], ids=["among two", "among many"])
@pytest.mark.parametrize(("reason", "line", "rule"), FHIR_RECORDS, ids=[f"{r}-{i}" for i, (r, _, _) in enumerate(FHIR_RECORDS)])
def test_a_bad_resource_is_refused_and_its_neighbours_land(
    read: Read, reason: str, line: bytes | str, rule: str | None, pieces: int
) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    good = "\n".join([GOOD] * pieces).encode()
    content = good + b"\n" + raw + b"\n" + good
    found = read("fhir", "fhir", {"file.ndjson": content}, limits={"record_bytes": 65_536})
    assert [(r["row_number"], r["reason"], r["rule"]) for r in found.rejected] == [(pieces + 1, reason, rule)]
    assert len(found.rows) == 2 * pieces
    counted = count_records(found.folder.parent / "file.ndjson", "fhir", record_bytes=65_536)
    assert counted.records == 2 * pieces + 1
    assert not any("high" in str(value) or "1066" in str(value) for value in found.rejected[0].values())


HEADER = "Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE"
ROW = "{},1970-01-01,,M,white,nonhispanic,MA"

DELIMITED_RECORDS: list[tuple[str, bytes, str | None]] = [
    ("encoding", ROW.format("bad").encode().replace(b"MA", b"\xb1\xe8"), None),
    ("record_too_large", ROW.format("x" * 100_000).encode(), None),
    ("missing_key", ROW.format("").encode(), "Id"),
    ("missing_key", ROW.format("  ").encode(), "Id"),
    ("missing_value", b"bad,,,M,white,nonhispanic,MA", "BIRTHDATE"),
    ("invalid_date", b"bad,1970-02-30,,M,white,nonhispanic,MA", "BIRTHDATE"),
    ("invalid_date", b"bad,1970-01-01,2400-01-01,M,white,nonhispanic,MA", "DEATHDATE"),
    ("ragged_row", b"bad,1970-01-01,,M,white", None),
    ("ragged_row", b"bad,1970-01-01,,M,white,nonhispanic,MA,more", None),
    ("unclosed_quote", b'bad,1970-01-01,,"M,white,nonhispanic,MA', None),
    ("unclosed_quote", b'bad,1970-01-01,,"M"ale,white,nonhispanic,MA', None),
    ("nul_byte", b"ba\0d,1970-01-01,,M,white,nonhispanic,MA", None),
]


@pytest.mark.parametrize("pieces", [1, 300], ids=["among two", "among many"])
@pytest.mark.parametrize(("reason", "line", "rule"), DELIMITED_RECORDS, ids=[f"{r}-{i}" for i, (r, _, _) in enumerate(DELIMITED_RECORDS)])
def test_a_bad_row_is_refused_and_its_neighbours_land(read_csv: Read, reason: str, line: bytes, rule: str | None, pieces: int) -> None:
    good = "\n".join(ROW.format(f"good{i}") for i in range(pieces)).encode()
    found = read_csv("patients", HEADER.encode() + b"\n" + good + b"\n" + line + b"\n" + good + b"\n", limits={"record_bytes": 65_536})
    assert [(r["row_number"], r["reason"], r["rule"]) for r in found.rejected] == [(pieces + 1, reason, rule)]
    assert [r["record_id"] for r in found.tables["patients"]] == [f"good{i}" for i in range(pieces)] * 2
    assert [r["_row_number"] for r in found.tables["patients"]] == [*range(1, pieces + 1), *range(pieces + 2, 2 * pieces + 2)]
    counted = count_records(found.folder.parent / "patients.csv", "delimited", record_bytes=65_536)
    assert counted.records == 2 * pieces + 1


def test_a_row_without_person_and_numbers_that_are_none_are_refused(read_csv: Read) -> None:
    text = "Id,CLAIMID,PATIENTID,AMOUNT\n1,c,p,1.5\n2,c,,1.5\n3,c,p,dear\n4,c,p,NaN\n5,c,p,-inf\n6,c,p,1e400\n"
    found = read_csv("claims_transactions", text.replace("Id,", "ID,"))
    assert [(r["row_number"], r["reason"], r["rule"]) for r in found.rejected] == [
        (2, "missing_person", "PATIENTID"),
        (3, "invalid_type", "AMOUNT"),
        (4, "value_not_finite", "AMOUNT"),
        (5, "value_not_finite", "AMOUNT"),
        (6, "value_not_finite", "AMOUNT"),
    ]


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"person_id": [1], "year_of_birth": [1970]}), out)
    return out.getvalue()


def _bomb() -> bytes:
    return gzip.compress(b"x" * (40 * 2**20))


NDJSON = (GOOD + "\n").encode() * 1000

FILES: list[tuple[str, str, str, str, bytes]] = [
    # reason, wire format, family, name, content
    ("empty_file", "fhir", "fhir", "a.ndjson", b""),
    ("empty_file", "fhir", "fhir", "a.ndjson.gz", gzip.compress(b"")),
    ("empty_file", "delimited", "synthea_csv", "patients.csv", b""),
    ("empty_file", "delimited", "synthea_csv", "patients.csv", b"\n\n"),
    ("empty_file", "parquet", "omop", "person.parquet", b""),
    ("unknown_file", "delimited", "synthea_csv", "surprise.csv", b"a,b\n1,2\n"),
    ("header_mismatch", "delimited", "synthea_csv", "patients.csv", b"Id,GENDER\n1,M\n"),
    ("header_mismatch", "delimited", "synthea_csv", "patients.csv", b"Id,Id,BIRTHDATE\n1,1,1970-01-01\n"),
    ("header_mismatch", "delimited", "synthea_csv", "patients.csv", b'"Id,BIRTHDATE\n1,1970-01-01\n'),
    ("header_mismatch", "parquet", "omop", "visit_occurrence.parquet", _parquet()),
    ("invalid_document", "fhir", "fhir", "a.json", b'{\n"resourceType": "Bundle", "entry": [{"resource": {}}'),
    ("invalid_document", "fhir", "fhir", "a.json", b'[{"resourceType":"Patient","id":"p"}] trailing'),
    ("not_parquet", "parquet", "omop", "person.parquet", b"person_id,year_of_birth\n1,1970\n"),
    ("not_parquet", "parquet", "omop", "person.parquet", _parquet()[:-20]),
    ("not_parquet", "parquet", "omop", "person.parquet", b"PAR1" + b"\xff" * 40 + _parquet()[-8:]),
    ("truncated_gzip", "fhir", "fhir", "a.ndjson.gz", gzip.compress(NDJSON)[:-20]),
    ("truncated_gzip", "delimited", "synthea_csv", "patients.csv.gz", gzip.compress(b"Id,BIRTHDATE\n" + b"a,1970-01-01\n" * 9999)[:-9]),
    ("corrupt_gzip", "fhir", "fhir", "a.ndjson.gz", NDJSON),
    ("corrupt_gzip", "fhir", "fhir", "a.ndjson.gz", gzip.compress(NDJSON)[:-8] + b"\0" * 8),
    ("archive_bomb", "fhir", "fhir", "a.ndjson.gz", _bomb()),
    ("archive_bomb", "delimited", "synthea_csv", "patients.csv.gz", _bomb()),
    ("file_too_large", "fhir", "fhir", "a.ndjson", b'{"resourceType":"Patient","id":"p"}\n' * 40_000),
    ("file_too_large", "delimited", "synthea_csv", "patients.csv", b"Id,BIRTHDATE\n" + b"a,1970-01-01\n" * 90_000),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "wire", "family", "name", "content"), FILES, ids=[f"{f[0]}-{i}" for i, f in enumerate(FILES)])
def test_a_bad_file_lands_nothing_and_the_others_land(read: Read, reason: str, wire: str, family: str, name: str, content: bytes) -> None:
    good = {
        "fhir": ("good.ndjson", GOOD.encode()),
        "delimited": ("encounters.csv", b"Id,PATIENT,START\ne,p,2020-01-01T00:00:00Z\n"),
        "parquet": ("person.parquet.good", _parquet()),
    }[wire]
    limits = {"file_bytes": 2**20} if reason == "file_too_large" else {}
    found = read(wire, family, {name: content, good[0]: good[1]}, limits=limits)
    assert [(f["index"], f["records"], f["rejected"], f["reason"]) for f in found.files] == [(0, 0, 0, reason), (1, 1, 0, None)]
    assert [row["_file"] for row in found.rows] == [1]
    assert found.rejected == []


def test_a_file_that_breaks_late_takes_back_what_it_gave(read: Read) -> None:
    """60,000 rows are in the spool before the end of the gzip file is found missing."""
    rows = b"".join(b'{"resourceType":"Patient","id":"p%d"}\n' % i for i in range(60_000)) + b"{}\n" * 40_000
    broken = gzip.compress(rows)[:-10]
    found = read("fhir", "fhir", {"a.ndjson": GOOD, "b.ndjson.gz": broken, "c.ndjson": GOOD + "\n{}"})
    assert [(f["records"], f["rejected"], f["reason"]) for f in found.files] == [(1, 0, None), (0, 0, "truncated_gzip"), (1, 1, None)]
    assert [row["_file"] for row in found.rows] == [0, 2]
    assert [(r["file"], r["row_number"]) for r in found.rejected] == [(2, 2)]


VERSIONS = [
    ('{"resourceType":"Condition","id":"c","clinicalStatus":"active","subject":{"reference":"Patient/p"}}', "Condition.clinicalStatus as a plain code"),
    ('{"resourceType":"Observation","id":"o","status":"final","context":{"reference":"Encounter/e"}}', "Observation.context"),
    ('{"resourceType":"MedicationOrder","id":"m"}', "resourceType MedicationOrder"),
    ('{"resourceType":"Immunization","id":"i","notGiven":false}', "Immunization.notGiven"),
    ('{"resourceType":"Encounter","id":"e","class":"inpatient"}', "Encounter.class as a plain code"),
    ('{"resourceType":"Encounter","id":"e","status":"in-progress","actualPeriod":{}}', "Encounter.actualPeriod"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "rule"), VERSIONS, ids=[v[1] for v in VERSIONS])
def test_another_fhir_version_refuses_the_delivery(read: Read, line: str, rule: str) -> None:
    many = "\n".join([GOOD] * 50 + [line])
    bundle = '{\n"resourceType":"Bundle","entry":[{"resource":' + line + "}]}"
    for name, text, number in (("a.ndjson", many, 51), ("b.json", bundle, 1)):
        found = read("fhir", "fhir", {"good.ndjson": GOOD, name: text})
        assert found.refused is not None
        assert {k: found.refused[k] for k in ("reason", "file", "row_number", "rule")} == {
            "reason": "fhir_version", "file": 1, "row_number": number, "rule": rule,
        }  # fmt: skip


def test_r4_shapes_that_only_look_like_another_version_pass(read: Read) -> None:
    lines = [
        '{"resourceType":"DocumentReference","id":"d","status":"current","context":{"encounter":[]}}',
        '{"resourceType":"MedicationAdministration","id":"m","status":"completed","subject":{"reference":"Patient/p"},"context":{"reference":"Encounter/e"}}',
        '{"resourceType":"Condition","id":"c","clinicalStatus":{"coding":[{"code":"active"}]},"subject":{"reference":"Patient/p"}}',
    ]
    found = read("fhir", "fhir", {"a.ndjson": "\n".join(lines)})
    assert (found.refused, len(found.rows)) == (None, 3)


SEEN_ELSEWHERE = {
    "parser_crash", "parser_timeout", "parser_memory",  # test_sandbox.py
    "xml_doctype", "not_a_clinical_document",  # test_ccda.py
    # golden files open_mhealth/every_way_to_be_refused and open_mhealth/time_frames
    "not_a_data_point", "unknown_schema", "unit_not_allowed", "code_not_allowed", "invalid_date_time", "invalid_time_frame", "contradiction",
    "cell_error", "not_xlsx", "no_layout", "not_sas",  # golden files xlsx/errors_in_cells, xlsx/password, fixed_width/no_layout, xpt/two_data_sets
    # tests/faults/test_archives.py
    "corrupt_archive", "unsafe_member", "ambiguous_member", "member_name", "encrypted_member", "nested_archive", "junk_file",
    "no_data", "unknown_sheet",  # tests/integration/test_workbooks.py
    "invalid_dicom", "truncated_dicom", "dicom_directory", "not_dicom",  # test_dicom.py
    "unclear_transaction", "not_odm", "no_dictionary",  # golden files cdisc_odm, redcap
    "missing_parent",  # tests/golden/test_claims.py
    "erased_person",  # tests/unit/erasure/test_steps.py
    "person_withdrawn",  # tests/unit/landing/test_holding.py
    "unreadable_file", "record_count_differs",  # below; landing
    "missing_header", "bad_separators", "unsupported_message", "truncated_message", "batch_count_differs",  # tests/golden/test_hl7_v2.py
}  # fmt: skip


def test_an_unreadable_file_is_refused(read: Read, tmp_path: Path) -> None:
    found = read("fhir", "fhir", {"gone.ndjson": tmp_path / "gone.ndjson", "good.ndjson": GOOD})
    assert [f["reason"] for f in found.files] == ["unreadable_file", None]


def test_every_reason_of_records_and_files_has_a_fixture() -> None:
    shown = {case[0] for case in [*FHIR_RECORDS, *DELIMITED_RECORDS, *FILES]}
    assert {str(r) for r in Reason if r.level != "delivery"} - shown == SEEN_ELSEWHERE
    assert shown <= {str(r) for r in Reason}


def test_reasons_are_sentences() -> None:
    for reason in Reason:
        assert reason.level in ("record", "file", "delivery")
        assert reason.sentence.endswith(".")
        assert reason.remedy.endswith(".")
        assert reason == reason.value == str(reason)


def test_the_page_on_quarantine_is_the_list() -> None:
    """Mend it with `as_markdown()`; the text above the first table is written by hand."""
    page = (REPOSITORY / "docs" / "QUARANTINE.md").read_text(encoding="utf-8")
    assert page.endswith(as_markdown()), (
        "docs/QUARANTINE.md differs from assets/formats/reasons.py: write as_markdown() below its introduction"
    )
