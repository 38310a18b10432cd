"""Delimited text: encodings, quotes, headers, verbs. Tables small enough to check by eye."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from assets.formats.records import BadRecord, Grammar, read_records

Read = Callable[..., Any]

KOREAN = {
    "lab_result": {
        "result_number": "검사번호", "patient_number": "등록번호", "visit_number": "접수번호", "is_deleted": "삭제여부",
        "lab_code": "검사코드", "measured_at": "검사일시", "result_value": "검사결과", "unit": "단위",
    },
    "patient": {"patient_number": "등록번호", "resident_number": "주민등록번호", "birth_date": "생년월일", "gender": "성별", "province": "시도"},
}  # fmt: skip
LAB = "검사번호,등록번호,접수번호,삭제여부,검사코드,검사일시,검사결과,단위\r\n"


@pytest.mark.parametrize("encoding", ["cp949", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "euc_kr"])
def test_korean_text_is_read_in_its_declared_encoding(read_csv: Read, encoding: str) -> None:
    text = "\ufeff" * (encoding in ("utf-16-le", "utf-16-be")) + LAB + "R1,P1,V1,N,헤모글로빈,2023-01-02 09:30,<0.5,㎎\r\n"
    found = read_csv(
        "lab_result", text.encode(encoding, "replace").replace(b"?", b"") if encoding == "euc_kr" else text.encode(encoding),
        family="emr_csv", options={"encoding": encoding, "time_zone": "Asia/Seoul", "columns": KOREAN},
    )  # fmt: skip
    (row,) = found.tables["lab_result"]
    assert row | {"value_unit": "㎎"} == {
        "record_id": "R1", "person_id": "P1", "encounter_id": "V1", "is_deleted": False, "lab_code": "헤모글로빈",
        "measured_at": datetime(2023, 1, 2, 0, 30, tzinfo=UTC), "value_number": 0.5, "value_comparator": "<", "value_unit": "㎎",
        "_file": 0, "_row_number": 1,
    }  # fmt: skip


@pytest.mark.scenario("09 wrong and mixed encodings")
def test_bytes_of_another_encoding_cost_only_their_record(read_csv: Read) -> None:
    good = "R{},P,V,N,코드,2023-01-02 09:30,1,단위\r\n"
    options = {"columns": KOREAN}
    text = LAB.encode("cp949") + good.format(1).encode("cp949") + good.format(2).encode() + good.format(3).encode("cp949")
    found = read_csv("lab_result", text, family="emr_csv", options={**options, "encoding": "cp949"})
    assert ([r["record_id"] for r in found.tables["lab_result"]], found.reasons) == (["R1", "R3"], [(2, "encoding")])
    text = LAB.encode("utf-16-le") + good.format(1).encode("utf-16-le") + b"\x00\xd8\n\x00" + good.format(2).encode("utf-16-le")
    found = read_csv("lab_result", text, family="emr_csv", options={**options, "encoding": "utf-16-le"})
    assert ([r["record_id"] for r in found.tables["lab_result"]], found.reasons) == (["R1", "R2"], [(2, "encoding")])
    found = read_csv("lab_result", (LAB + good).encode("cp949"), family="emr_csv", options={**options, "encoding": "utf-8"})
    assert [f["reason"] for f in found.files] == ["header_mismatch"]


@pytest.mark.parametrize(
    ("value", "number", "comparator"),
    [
        ("5.4", 5.4, None), ("<0.5", 0.5, "<"), ("<= 0.5", 0.5, "<="), ("> 1e3", 1000.0, ">"), ("≥7", 7.0, ">="), (" -3 ", -3.0, None),
        ("negative", None, None), ("1:80", None, None), ("", None, None), ("1e999", None, None), ("1,234", None, None), ("+", None, None),
    ],
)  # fmt: skip
def test_results_give_a_number_and_a_comparator_or_nothing(
    read_csv: Read, value: str, number: float | None, comparator: str | None
) -> None:
    text = LAB + f'R1,P1,V1,,C,2023-01-02 09:30,"{value}",u\r\n'
    found = read_csv("lab_result", text, family="emr_csv", options={"columns": KOREAN})
    (row,) = found.tables["lab_result"]
    assert (row["value_number"], row["value_comparator"], row["is_deleted"]) == (number, comparator, None)
    assert found.rejected == []


def test_quoted_fields_hold_delimiters_line_breaks_and_quotes(read_csv: Read) -> None:
    rows = ['a,"St. Mary\'s, ""North""",MA', 'b,"two\nlines",MA', 'c,"",MA', 'd,5" pipe,MA', '"e","x","MA"', "f,plain,MA"]
    for end in ("\n", "\r\n"):
        found = read_csv("organizations", "Id,NAME,STATE" + end + end.join(rows) + end)
        names = [(r["record_id"], r["organization_name"], r["_row_number"]) for r in found.tables["organizations"]]
        assert names == [
            ("a", 'St. Mary\'s, "North"', 1), ("b", "two\nlines", 2), ("c", None, 3), ("d", '5" pipe', 4), ("e", "x", 5), ("f", "plain", 6),
        ]  # fmt: skip


@pytest.mark.scenario("10 unclosed quotes, ragged rows, NULs")
def test_an_unclosed_quote_costs_one_line_and_not_the_rest(read_csv: Read) -> None:
    """pyarrow alone turns such a file into one row, with success."""
    rows = ["a,x,MA", 'b,"open,MA', *[f"r{i},y,MA" for i in range(2000)], 'c,"closed",MA', "d,z,MA"]
    found = read_csv("organizations", "Id,NAME,STATE\n" + "\n".join(rows) + "\n")
    assert len(found.tables["organizations"]) == 2003
    assert found.reasons == [(2, "unclosed_quote")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bad_line_is_named_by_number_and_place_and_costs_only_itself(read_csv: Read, end: str) -> None:
    lines = ["Id,NAME,STATE", "a,가,MA", "", "b,x", "c,y,MA", "d,\0,MA", "e,,", "", "f,x,y,z", "g,\udce9,MA", "h,z,MA"]
    text = [f"{line}{end}".encode("utf-8", "surrogateescape") for line in lines]
    found = read_csv("organizations", b"".join(text))
    landed = [(r["record_id"], r["organization_name"], r["_row_number"]) for r in found.tables["organizations"]]
    assert landed == [("a", "가", 1), ("c", "y", 3), ("e", None, 5), ("h", "z", 8)]
    assert [(lines[_line_at(text, r["byte_offset"])][:1], r["row_number"], r["reason"]) for r in found.rejected] == [
        ("b", 2, "ragged_row"), ("d", 4, "nul_byte"), ("f", 6, "ragged_row"), ("g", 7, "encoding"),
    ]  # fmt: skip


def _line_at(lines: list[bytes], offset: int) -> int:
    return next(i for i in range(len(lines)) if sum(map(len, lines[:i])) == offset)


def test_a_bad_line_in_a_long_file_with_quotes_leaves_the_others_as_they_are(read_csv: Read) -> None:
    rows = [f'r{i},"a ""name"" of {"many, " * 8}words",MA' for i in range(30_000)]
    rows[17_000] = "r17000,two"
    found = read_csv("organizations", "Id,NAME,STATE\n" + "\n".join(rows) + "\n")
    held = found.tables["organizations"]
    assert [(r["record_id"], r["_row_number"]) for r in held] == [(f"r{i}", i + 1) for i in range(30_000) if i != 17_000]
    assert {r["organization_name"] for r in held} == {f'a "name" of {"many, " * 8}words'}
    assert found.reasons == [(17_001, "ragged_row")]


def test_a_table_of_one_column_tells_blank_lines_from_short_ones(read_csv: Read) -> None:
    found = read_csv("organizations", "Id\na\n\n\r\nb\nc,d\n")
    assert ([(r["record_id"], r["_row_number"]) for r in found.tables["organizations"]], found.reasons) == (
        [("a", 1), ("b", 2)],
        [(3, "ragged_row")],
    )


def test_lone_carriage_returns_are_text(read_csv: Read) -> None:
    found = read_csv("organizations", "Id,NAME,STATE\na,one\rtwo,MA\nb,x,MA\n")
    assert [(r["record_id"], r["organization_name"]) for r in found.tables["organizations"]] == [("a", "one\rtwo"), ("b", "x")]


def test_padding_is_taken_off_and_null_texts_are_null(read_csv: Read) -> None:
    text = "Id,NAME,STATE\n a  ,  x ,NULL\nb,\u3000,MA\nc, NULL ,\n"
    rows = read_csv("organizations", text, options={"null_values": ["NULL"]}).tables["organizations"]
    assert [(r["record_id"], r["organization_name"], r["address_state"]) for r in rows] == [
        ("a", "x", None),
        ("b", None, "MA"),
        ("c", None, None),
    ]


@pytest.mark.parametrize(("delimiter", "quote"), [("|", '"'), ("\t", ""), (";", "'"), (",", "")])
def test_delimiter_and_quote_are_those_of_the_site(read_csv: Read, delimiter: str, quote: str) -> None:
    value = f"{quote}a{delimiter}b{quote}" if quote else '"a"'
    text = delimiter.join(["Id", "NAME", "STATE"]) + "\n" + delimiter.join(["1", value, "MA"]) + "\n"
    (row,) = read_csv("organizations", text, options={"delimiter": delimiter, "quote": quote}).tables["organizations"]
    assert row["organization_name"] == (f"a{delimiter}b" if quote else '"a"')


def test_64_bit_negative_ids_survive_to_the_last_digit(read_csv: Read) -> None:
    text = "person_id,year_of_birth,gender_concept_id,person_source_value\n-9223372036854775808,2095,8507,10009628\n9223372036854775807,2095.0,,\n"
    rows = read_csv("person", text, family="omop").tables["person"]
    assert [(r["record_id"], r["person_id"], r["year_of_birth"], r["_identity_local_source_value"]) for r in rows] == [
        ("-9223372036854775808", "-9223372036854775808", 2095, "10009628"),
        ("9223372036854775807", "9223372036854775807", 2095, None),
    ]


@pytest.mark.parametrize("value", ["9223372036854775808", "1.5", "0x10", "1e3", "１２", "x", "--1"])  # noqa: RUF001 - such digits are the case
def test_what_is_no_64_bit_integer_is_refused(read_csv: Read, value: str) -> None:
    found = read_csv("person", f"person_id,year_of_birth,gender_concept_id\n1,2095,{value}\n2,2095,8507\n", family="omop")
    assert [(r["row_number"], r["reason"], r["rule"]) for r in found.rejected] == [(1, "invalid_type", "gender_concept_id")]
    assert [r["record_id"] for r in found.tables["person"]] == ["2"]


def test_alternatives_of_headers_count_in_order(read_csv: Read) -> None:
    head = "visit_occurrence_id,person_id,visit_start_date"
    for names, values, wanted in (
        (",admitting_source_concept_id", ",5", 5),
        (",admitted_from_concept_id,admitting_source_concept_id", ",,5", 5),
        (",admitted_from_concept_id,admitting_source_concept_id", ",4,5", 4),
        ("", "", None),
    ):
        (row,) = read_csv("visit_occurrence", f"{head}{names}\n1,2,2110-04-11{values}\n", family="omop").tables["visit_occurrence"]
        assert (row["admitted_from_concept_id"], row["visit_start_date"]) == (wanted, date(2110, 4, 11))


def test_headers_are_found_in_any_case_of_letters(read_csv: Read) -> None:
    (row,) = read_csv("death", "PERSON_ID, Death_Date \n7,20200102\n", family="omop").tables["death"]
    assert (row["record_id"], row["death_date"]) == ("7", date(2020, 1, 2))


def test_the_message_on_a_header_names_what_is_missing_and_what_is_there(read_csv: Read) -> None:
    (file,) = read_csv("patients", "Id,GENDER\n1,M\n").files
    assert file["detail"] == "missing: BIRTHDATE. There are: Id, GENDER"


def test_a_first_row_that_may_be_a_patient_is_not_repeated_in_the_message(read_csv: Read) -> None:
    (file,) = read_csv("patients", "999-12-3456,Kim,Seoul\n").files
    assert file["reason"] == "header_mismatch"
    assert "Kim" not in file["detail"]
    assert "None of the 3 fields" in file["detail"]


def test_keys_join_their_parts_and_nulls_are_empty(read_csv: Read) -> None:
    text = "START,STOP,PATIENT,ENCOUNTER,CODE\n2020-01-01,,p,,c\n2020-01-01,2020-02-01,p,e,c\n"
    rows = read_csv("conditions", text).tables["conditions"]
    assert [r["record_id"] for r in rows] == ["2020-01-01\x1fp\x1f\x1fc", "2020-01-01\x1fp\x1fe\x1fc"]


def test_keep_if_passes_a_value_only_beside_its_condition(read_csv: Read) -> None:
    text = (
        "DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,VALUE,UNITS,TYPE\n{0},p,,v,c,7.5,cm,numeric\n{0},p,,v,c,Never smoker,,text\n{0},p,,v,c,8,,\n"
    )
    rows = read_csv("observations", text.format("2020-01-01T10:00:00Z")).tables["observations"]
    assert [r["value_number"] for r in rows] == [7.5, None, None]
    assert rows[0]["observed_at"] == datetime(2020, 1, 1, 10, tzinfo=UTC)


def test_wall_clock_times_are_those_of_the_site(read_csv: Read) -> None:
    text = "visit_occurrence_id,person_id,visit_start_date,visit_start_datetime\n1,2,2112-11-06,2112-11-06 11:05:00\n"
    (row,) = read_csv("visit_occurrence", text, family="omop", options={"time_zone": "America/New_York"}).tables["visit_occurrence"]
    assert row["visit_start_datetime"] == datetime(2112, 11, 6, 16, 5, tzinfo=UTC)


def test_tables_without_a_contract_keep_name_and_person(read: Read) -> None:
    files = {
        "drug_era.csv": "drug_era_id,person_id\n1,-5\n",
        "cohort.csv": "cohort_definition_id,subject_id\n1,7\n",
        "metadata.csv": "metadata_id,name\n1,x\n2,y\n",
    }
    rows = read("delimited", "omop", files).tables["other"]
    assert [(r["table_name"], r["person_id"]) for r in rows] == [
        ("drug_era", "-5"),
        ("cohort", "7"),
        ("metadata", None),
        ("metadata", None),
    ]


def test_two_identifiers_are_joined_only_if_both_are_there(read_csv: Read) -> None:
    head = "event_id,person_key,event_type,scope,effective_date,resident_number,site_id,patient_number\n"
    text = head + "1,k,grant,all,2020-01-01,r,h11,P1\n2,k,grant,all,2020-01-01,,h11,\n"
    rows = read_csv("event", text, family="consent").tables["event"]
    assert [(r["_identity_at_site"], r["_identity_kr_rrn"], r["_identity_local"]) for r in rows] == [
        ("h11\x1fP1", "r", "k"),
        (None, None, "k"),
    ]


def test_a_header_alone_is_a_table_without_rows(read_csv: Read) -> None:
    found = read_csv("patients", "Id,BIRTHDATE")
    assert (found.rows, found.rejected, [f["reason"] for f in found.files]) == ([], [], [None])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_records_are_the_same_however_the_bytes_arrive(size: int) -> None:
    text = b'h,i\n1,"a\nb"\n2,"c""d"\n\n3,"open\n4,x\r\n5,"y"z\n6,' + b"z" * 50 + b'\n7,"e\n' + b"f" * 60 + b'"\n8,"last'
    pieces = iter([text[i : i + size] for i in range(0, len(text), size)])
    grammar = Grammar(b",", b'"', 40)
    found: list[tuple[bytes | str, int]] = []
    for block in read_records(lambda _: next(pieces, b""), grammar):
        if isinstance(block, BadRecord):
            found.append((str(block.reason), block.offset))
        else:
            found += [(record, block.offset + at) for at, record in grammar.split(block.data)]
    assert [what for what, _ in found] == [
        b"h,i\n", b'1,"a\nb"\n', b'2,"c""d"\n', "unclosed_quote", b"4,x\r\n", "unclosed_quote", "record_too_large", "unclosed_quote",
        "record_too_large", "unclosed_quote",
    ]  # fmt: skip
    for what, at in found:
        if isinstance(what, bytes):
            assert text[at:].startswith(what.rstrip(b"\n"))


@pytest.mark.parametrize("header", ["Id,BIRTHDATE,DEATHDATE,DEATHDATE", "Id,BIRTHDATE,deathdate,DeathDate"])
def test_a_column_that_stands_twice_is_not_guessed_even_if_it_may_be_absent(read_csv: Read, header: str) -> None:
    (file,) = read_csv("patients", f"{header}\np,1970-01-01,,2020-01-01\n").files
    assert (file["reason"], file["detail"]) == ("header_mismatch", "named twice: DEATHDATE")


def test_a_column_nobody_reads_may_stand_twice(read_csv: Read) -> None:
    assert len(read_csv("patients", "Id,BIRTHDATE,NOTE,NOTE\np,1970-01-01,a,b\n").rows) == 1
