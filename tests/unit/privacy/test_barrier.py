"""What looks like somebody's number or address does not pass as a code; codes that only resemble one do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.contracts.table import ARROW_TYPES
from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from assets.privacy.barrier import WITHHELD, looks_like_identifier, withhold
from tests.conftest import site_text, write_delivery


@pytest.mark.parametrize(
    "text",
    [
        "800101-1234567", "8001011234567", "주민번호 800101-1234567", "000229-3457287", "id=800101-1234567;", "800101 - 1234567", "8806011234567",
        "010-1234-5678", "01012345678", "010 1234 5678", "010.123.4567", "+82-10-1234-5678", "+821012345678", "tel:011-123-4567", "02-123-4567", "031-1234-5678",
        "kim@hospital.or.kr", "<a.b+c@x.kr>", "서울특별시 종로구 세종대로 110", "경기도 성남시 분당구 판교로235번길 12-3", "강남구 역삼동 123-4",
        "환자는 어제부터 배가 많이 아프다고 함", "first line\nsecond line",
    ],
)  # fmt: skip
def test_identifiers_addresses_and_prose_do_not_pass_as_a_code(text: str) -> None:
    values, count = withhold(pa.array(["E11.9", text, None, text]), "diagnosis_code", required=True)
    assert values.to_pylist() == ["E11.9", WITHHELD, None, WITHHELD]
    assert count == 2


CODES = [
    "E11.9", "44054006", "5251000175109", "1234561000119107", "4548-4", "2.16.840.1.113883.6.96", "http://loinc.org", "urn:oid:1.2.410.100110.40.1.1", "mL/min/{1.73_m2}",
    "00093-7146-56", "63323026201", "0002-1433-80", "8801013123456", "645100010", "남", "외래", "이비인후과", "서울특별시", "경기도 성남시", "2026-03-01",
    "20260301123000", "1.3.12.2.1107.5.1.4.8001011234567.1", "WHITE - RUSSIAN", "Prefer not to answer", "MR12345678901", "8001013", "801301-1234567", "a" * 300,
    "4d6a1b2c-8001-4011-8234-567890abcdef", "<script>alert(1)</script>", "X010-1234-5678",
]  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_codes_units_and_systems_pass(code: str) -> None:
    values, count = withhold(pa.array([code]), "diagnosis_code", required=True)
    assert (values.to_pylist(), count) == ([code], 0)


def test_a_number_of_a_medicine_that_is_a_resident_number_with_its_check_digit_is_none() -> None:
    assert not looks_like_identifier("8801013123456"), "a GTIN-13 of Korea"
    assert looks_like_identifier("880101-3123459")


@pytest.mark.parametrize(
    ("kind", "values", "kept"),
    [
        ("int64", [7, 1012345678, 8001011234567, 1013123456, None], [7, None, None, None, None]),
        ("float64", [7.5, 1012345678.0, 8001011234567.0, 1e300, 8001011234567.5], [7.5, None, None, 1e300, 8001011234567.5]),
        ("int32", [2_000_000_001, 1_500_000_000, 2**31 - 1], [2_000_000_001, 1_500_000_000, 2**31 - 1]),
        ("int64", [2**63 - 1, -(2**63), 8001011234567, 2**53 + 1], [2**63 - 1, -(2**63), None, 2**53 + 1]),
    ],
)
def test_numbers_with_the_digits_of_a_telephone_or_resident_number_do_not_pass(kind: str, values: list[Any], kept: list[Any]) -> None:
    found, count = withhold(pa.array(values, ARROW_TYPES[kind]), "quantity", required=False)
    assert found.to_pylist() == kept
    assert count == sum(a is not None and b is None for a, b in zip(values, kept, strict=True))


def test_a_number_that_must_be_there_becomes_none_at_all() -> None:
    assert withhold(pa.array([1012345678.0, 2.0]), "amount", required=True)[0].to_pylist() == [0.0, 2.0]


def test_codings_lose_the_part_that_is_wrong_and_nothing_else() -> None:
    codings = [
        [{"system": "s", "code": "800101-1234567"}, {"system": "s", "code": "E11"}],
        None,
        [],
        [{"system": "kim@x.kr", "code": None}],
    ]
    found, count = withhold(pa.array(codings, ARROW_TYPES["codings"]), "codings", required=False)
    assert count == 2
    assert found.type == ARROW_TYPES["codings"]
    assert found.to_pylist() == [
        [{"system": "s", "code": WITHHELD}, {"system": "s", "code": "E11"}], None, [], [{"system": WITHHELD, "code": None}],
    ]  # fmt: skip


def test_a_name_of_a_place_may_have_several_words_but_no_number_of_a_person() -> None:
    name = "서울 시립 제일 병원 본관 원무과"
    assert withhold(pa.array([name, f"{name} 010-1234-5678"]), "organization_name", required=False)[0].to_pylist() == [name, WITHHELD]


def test_a_name_that_the_delivery_tells_does_not_pass_as_a_code() -> None:
    names = frozenset({"황보결휘", "김하나"})
    found, count = withhold(pa.array(["남", "황보 결휘", "김하나", "김하나과", None]), "gender_code", required=False, names=names)
    assert (found.to_pylist(), count) == (["남", WITHHELD, WITHHELD, "김하나과", None], 2)
    codings = pa.array([[{"system": "s", "code": "김하나"}]], ARROW_TYPES["codings"])
    assert withhold(codings, "codings", required=False, names=names)[0].to_pylist() == [[{"system": "s", "code": WITHHELD}]]


def test_a_column_map_that_takes_names_for_sexes_brings_none_into_the_tables(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    site = site_text("h12").replace('gender = "성별"', 'gender = "성명"')
    (tmp_path / "sites" / "h12.toml").write_text(site, encoding="utf-8")
    workspace = Workspace(tmp_path / "lake", sites_folder=tmp_path / "sites")
    text = "등록번호,주민등록번호,성명,성별,생년월일,사망일,시도,주소,휴대전화,삭제여부\n1,800101-1234567,황보결휘,남,1980-01-01,,서울특별시,,010-1234-5678,N\n"
    land(workspace, admit(workspace, write_delivery(workspace.root, "h12", "emr_csv", "d1", {"환자.csv": text.encode("cp949")})))
    assert [(w["column_name"], w["withheld"]) for w in workspace.withheld()] == [("gender_code", 1)]
