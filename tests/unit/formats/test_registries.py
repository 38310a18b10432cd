"""REDCap and ODM: dictionaries, branching, values, safety. Whole files stand in tests/golden/formats/redcap and cdisc_odm."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from assets.contracts.table import load_contract
from assets.formats.count import count_records
from assets.formats.registry_branching import Reference, was_asked
from assets.formats.registry_items import Item, Kind, Place, clean_label, read_choices
from assets.formats.registry_settings import SCOPES, SettingsError, read_settings
from assets.formats.registry_values import ValueReader
from assets.privacy.scrub import load_rules
from tests.conftest import REPOSITORY

Read = Callable[..., Any]
REAL = "26_registry_mixed_formats"
DICTIONARY = (
    "Variable / Field Name;Form Name;Field Type;Field Label;Choices, Calculations, OR Slider Labels;"
    "Text Validation Type OR Show Slider Number;Identifier?;Branching Logic (Show field only if...)\n"
    "study_id;base;text;;;;;\n"
    "diagnosis;base;radio;;1, Crohn | 2, Colitis;;;\n"
    "sescd;lab;text;;;number;;[week_0][diagnosis] = '1'\n"
    "weight;lab;text;;;number;;\n"
)
OPTIONS = {"delimiter": ";", "registry": {"person": "study_id"}}


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        ("", True),
        ("[a] = '1'", True),
        ("[a]='2'", False),
        ("[a] <> ''", True),
        ("[empty] = ''", True),
        ("[empty] >= '1'", False),
        ("[ten] > '9'", True),  # as numbers: as text, 10 comes before 9
        ("[a] = '2' or [b] = 'x' and [a] = '1'", True),
        ("([a] = '2' or [b] = 'x') AND not [a] = '1'", False),
        ("[box(2)] = '1'", True),
        ("[box(1)] = '1'", False),
        ("[week_0][a] = '7'", True),
        ("datediff([a], 'today', 'y') > 3", None),
        ("[a] = ", None),
        ("[event-name] = 'x'", None),
        ("[a] = '1' [b]", None),
        ("(" * 3000 + "[a]='1'" + ")" * 3000, None),
    ],
)
def test_branching_logic_says_whether_an_item_was_asked(condition: str, asked: bool | None) -> None:
    values = {
        ("a", None, None): "1",
        ("b", None, None): "x",
        ("ten", None, None): "10",
        ("box", "2", None): "1",
        ("a", None, "week_0"): "7",
    }

    def look(r: Reference) -> str:
        return values.get((r.item, r.option, r.event), "")

    assert was_asked(condition, look) is asked


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        (Kind.NUMBER, "66,14", 66.14),
        (Kind.NUMBER, "-3", -3.0),
        (Kind.NUMBER, "66.14", "invalid_value"),  # the site writes commas: the dot may divide thousands
        (Kind.NUMBER, "12345678", 12345678.0),
        (Kind.NUMBER, "123456789", "looks_like_identifier"),
        (Kind.NUMBER, "0000000012", 12.0),
        (Kind.NUMBER, "NaN", "invalid_value"),
        (Kind.NUMBER, ",", "invalid_value"),
        (Kind.DATE, "25.10.2020", "2020-10-25"),
        (Kind.DATE, "2020-10-25", "2020-10-25"),
        (Kind.DATE, "31.02.2020", "invalid_value"),
        (Kind.DATE, "25.10.20", "invalid_value"),
        (Kind.DATE, "01.01.1700", "invalid_value"),
        (Kind.DATE_TIME, "25.10.2020 23:30", "2020-10-25 21:30:00+00:00"),
        (Kind.DATE_TIME, "2020-10-25T23:30:00+09:00", "2020-10-25 14:30:00+00:00"),
        (Kind.TIME, "7:05", "07:05"),
        (Kind.TIME, "25:00", "invalid_value"),
        (Kind.BOOLEAN, "No", "0"),
        (Kind.BOOLEAN, "2", "unlisted_code"),
        (Kind.CHOICE, "a", "a"),
        (Kind.CHOICE, "Hans", "unlisted_code"),
    ],
)
def test_a_value_is_read_as_its_item_says(kind: Kind, text: str, found: object) -> None:
    reader = ValueReader(date_order="dmy", decimal=",", zone=ZoneInfo("Europe/Athens"))
    value = reader.read(Place(Item("x", kind=kind, choices={"a": "A"})), text)
    said = value.withheld or value.code or value.number
    shown = said if said is not None else str(value.at or value.day)
    assert shown == found


def test_only_codes_that_can_be_told_apart_are_choices() -> None:
    assert read_choices("1, Female|2, Male | , nothing | 3 | x y, two words") == {"1": "Female", "2": "Male"}


def test_labels_lose_markup_and_do_not_pass_with_numbers_or_addresses() -> None:
    assert clean_label('<div class="rich"><p>Body&nbsp;height</p></div>') == "Body height"
    assert clean_label("Call 010-1234-5678") is None
    assert clean_label("Write to a@b.kr") is None


def test_conditions_may_ask_an_event_that_comes_later_in_the_file(read: Read) -> None:
    """1 has Crohn's disease, 2 has not: the second was never asked for its score."""
    data = "study_id;redcap_event_name;diagnosis;sescd;weight\n1;week_2;;;70\n1;week_0;1;;\n2;week_0;2;;\n2;week_2;;;80\n"
    found = read("redcap", "redcap", {"data.csv": data, "dictionary.csv": DICTIONARY}, options=OPTIONS)
    said = {
        r["person_id"]: r["missing_reason"] for r in found.tables["answer"] if r["item_code"] == "sescd" and r["event_code"] == "week_2"
    }
    assert said == {"1": "not_answered", "2": "not_asked"}
    assert len(found.tables["dictionary_item"]) == 4


def test_the_site_file_never_makes_an_identifier_pass(read: Read) -> None:
    dictionary = DICTIONARY + "phone;base;text;;;integer;y;\n"
    options = {**OPTIONS, "registry": {"person": "study_id", "items": {"phone": {"type": "number"}}}}
    found = read("redcap", "redcap", {"data.csv": "study_id;phone\n1;5551\n", "dictionary.csv": dictionary}, options=options)
    assert "answer" not in found.tables
    assert [(r["item_code"], r["reason_code"]) for r in found.tables["withheld_item"]] == [("phone", "identifier")]


def test_wide_and_korean_encodings_are_read_as_declared(read: Read) -> None:
    registry = {"person": "no", "columns": {"번호": "no", "성별": "sex"}, "items": {"sex": {"type": "choice", "choices": {"여": "F"}}}}
    for encoding in ("cp949", "utf-16", "utf-8-sig"):
        found = read(
            "redcap", "redcap", {"data.csv": "번호,성별\n1,여\n".encode(encoding)}, options={"encoding": encoding, "registry": registry}
        )
        assert [(r["person_id"], r["value_code"]) for r in found.tables["answer"]] == [("1", "여")]


BODY = '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"><ClinicalData>%s</ClinicalData></ODM>'


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + BODY % "", "xml_doctype"),
        ("<!--" + "x" * 2_000_000 + "--><!DOCTYPE ODM>" + BODY % "", "xml_doctype"),
        (BODY % ("<a>" * 100 + "</a>" * 100), "too_deep"),
        (BODY % f"<a>{'x' * 11_000_000}</a>", "record_too_large"),
        (BODY % "<a>&undeclared;</a>", "invalid_document"),
        ((BODY % "")[:-10], "invalid_document"),
        ('<?xml version="1.0" encoding="utf-8"?>' + BODY % "<a>\udcff</a>", "encoding"),
        ("<ODM/>", "not_odm"),
    ],
    ids=lambda value: value[:30] if len(value) > 30 else value,
)
def test_hostile_xml_is_refused(read: Read, xml: str, reason: str) -> None:
    found = read("odm", "cdisc_odm", {"export.xml": xml.encode("utf-8", "surrogateescape")}, options=OPTIONS)
    assert [f["reason"] for f in found.files] == [reason]


def test_metadata_may_stand_in_a_file_that_comes_later(read: Read) -> None:
    meta = '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3"><Study OID="S"><MetaDataVersion OID="M"><ItemDef OID="A" DataType="integer"/></MetaDataVersion></Study></ODM>'
    data = (
        BODY
        % '<SubjectData SubjectKey="1"><StudyEventData StudyEventOID="E"><ItemGroupData><ItemData ItemOID="A" Value="3"/></ItemGroupData></StudyEventData></SubjectData>'
    )
    found = read("odm", "cdisc_odm", {"data.xml": data, "meta.xml": meta}, options={})
    assert [(r["item_code"], r["value_number"]) for r in found.tables["answer"]] == [("A", 3.0)]


def test_names_of_files_say_nothing_so_archives_may_leave_them_out(read: Read) -> None:
    data = (
        BODY
        % '<SubjectData SubjectKey="1"><StudyEventData StudyEventOID="E"><ItemGroupData><ItemData ItemOID="weight" Value="3"/></ItemGroupData></StudyEventData></SubjectData>'
    )
    found = read("odm", "cdisc_odm", {"1": data.encode("utf-16"), "2": DICTIONARY, "3": "neither\n1\n"}, options={"delimiter": ";"})
    assert [(r["item_code"], r["value_number"]) for r in found.tables["answer"]] == [("weight", 3.0)]
    assert [f["reason"] for f in found.files] == [None, None, "not_odm"]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_the_counter_of_odm_does_not_depend_on_where_the_file_is_cut(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three records: an event, a subject without one, an item; what stands in comments and prefixes of other names is none."""
    path = tmp_path / "x.xml"
    path.write_text(
        "\n<o:ODM><o:ItemDef OID='a'/><!-- <SubjectData> --><o:SubjectData><o:StudyEventData/></o:SubjectData>"
        "<SubjectDataX/><SubjectData\n/><![CDATA[<StudyEventData>]]></o:ODM>",
        encoding="utf-8",
    )
    monkeypatch.setattr("assets.formats.count._CHUNK", size)
    assert count_records(path, "odm").records == 3
    path.write_text("a;b\n1;2\n3;4\n", encoding="utf-8")
    assert count_records(path, "odm", delimiter=";").records == 2


def test_every_item_of_the_real_files_is_accounted_for(read: Read, shared_data: Path) -> None:
    """Cells of the CSV and ItemData tags of the XML, counted apart from the parsers, are what the event rows add up to."""
    registry = {"person": "study_id", "date_order": "dmy", "decimal": ",", "birth_date": "dob"}
    ends = ("answer", "missing", "withheld", "identity", "removed", "empty")
    for wire, family, folder, data, dictionary in (
        ("redcap", "redcap", "redcap2bff", "redcap_data.csv", "redcap_dictionary.csv"),
        ("odm", "cdisc_odm", "cdiscodm2bff", "cdisc_odm_data.xml", "cdisc_odm_dictionary.csv"),
    ):
        source = shared_data / REAL / folder / "in"
        text = (source / data).read_text(encoding="utf-8")
        delivered = text.count("<ItemData ") if wire == "odm" else 36 * (text.partition("\n")[0].count(";") + 1 - 2)
        files = {data: source / data, dictionary: source / dictionary}
        found = read(wire, family, files, options={"delimiter": ";", "registry": registry})
        events = found.tables["event"]
        assert len(events) == 36
        assert found.rejected == []
        assert sum(e["item_count"] for e in events) == delivered
        assert all(e["item_count"] == sum(e[f"{end}_count"] for end in ends) for e in events)
        assert sum(e["answer_count"] for e in events) == sum(r["missing_reason"] is None for r in found.tables["answer"])


def test_both_families_have_the_same_tables_and_rules() -> None:
    shapes = [{n: e.columns for n, e in load_contract(family).entities.items()} for family in ("redcap", "cdisc_odm")]
    assert shapes[0] == shapes[1]
    assert load_rules("redcap") == load_rules("cdisc_odm")


def test_scopes_are_the_same_in_python_and_in_the_models() -> None:
    macro = (REPOSITORY / "dbt_project" / "macros" / "consent.sql").read_text(encoding="utf-8")
    listed = re.search(r"macro consent_scopes\(\) -%}([a-z ]+){%-", macro)
    assert listed is not None
    assert tuple(listed[1].split()) == SCOPES


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"persn": "x"}, "registry.persn"),
        ({"date_order": "mmddyy"}, "date_order"),
        ({"items": {"a": {"type": "money"}}}, "items.a.type"),
        ({"items": {"a": {"type": "choice"}}}, "items.a.choices"),
        ({"missing_codes": {"-9": "gone"}}, "missing_codes.-9"),
        ({"consent": {"gate": "a", "date": "b", "scopes": {"a": ["everything"]}}}, "consent.scopes.a"),
        ({"consent": {"gate": "a", "scopes": {}}}, "date"),
        ({"age": {"item": "a", "at": "b", "ages": {"1": 20}}}, "age.ages.1"),
    ],
)
def test_a_mistake_in_the_site_file_names_the_entry(raw: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(raw)
    assert error.value.field == field
