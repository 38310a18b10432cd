"""Single HL7 texts: separators, escapes, charsets, identifiers, times."""

from __future__ import annotations

import pyarrow as pa
import pytest

from assets.formats.hl7_text import Separators, SiteTexts, codec_of, read_identifiers, read_separators, unescape
from assets.formats.hl7_times import parse_birth_parts, parse_times


@pytest.mark.scenario("14 HL7 with bad separators and 200,000 components")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("MSH|^~\\&|", Separators("|", "^", "~", "\\", "&")),
        ("MSH|^~\\&#|", Separators("|", "^", "~", "\\", "&")),
        ("MSH$*+!@$", Separators("$", "*", "+", "!", "@")),
        ("MSH|^|", Separators("|", "^")),
        ("MSH||", None),
        ("MSH|^~\\\\&|", None),
        ("MSH|^~|&|x", Separators("|", "^", "~")),
        ("MSHA^~\\&A", None),
        ("MSH|AB|", None),
        ("MSH", None),
    ],
)
def test_separators_are_what_msh_declares(header: str, expected: Separators | None) -> None:
    assert read_separators(header) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"A\F\B\S\C\T\D\R\E\E\F", r"A|B^C&D~E\F"), (r"\X41\\X4B494D\!", "AKIM!"), (r"\.br\next", "\nnext"), (r"\H\bold\N\ ", "bold "),
        (r"\C2842\x\M2842\y", "xy"), (r"\.sp3\x", " x"), (r"10\20 no escape", r"10\20 no escape"), (r"\unknown\ stays", r"\unknown\ stays"),
        (r"\Zlocal\x", "x"),
    ],
)  # fmt: skip
def test_escape_sequences_are_resolved(text: str, expected: str) -> None:
    assert unescape(text) == expected


def test_hexadecimal_escapes_are_in_the_charset_of_the_message() -> None:
    assert unescape(r"\XB1E8\ ", charset="cp949") == "김 "


@pytest.mark.parametrize(
    ("declared", "codec"),
    [("", "cp949"), ("KS X 1001", "cp949"), ("UNICODE UTF-8", "utf-8"), ("8859/15", "iso8859_15"), ("ASCII", "ascii"), ("8859/1~KS X 1001", "iso8859_1"), ("ISO IR87", None), ("KOI8", None)],
)  # fmt: skip
def test_msh_18_decides_and_the_site_is_the_default(declared: str, codec: str | None) -> None:
    assert codec_of(declared, "cp949") == codec


@pytest.mark.parametrize(
    ("field", "local", "national"),
    [
        ("P1", "P1", None),
        ("P1^^^H90^MR", "P1", None),
        ("P1^^^OTHER^MR", "OTHER\x1fP1", None),
        ("P1^^^H90&1.2.3&ISO^MR", "P1", None),
        ("X^^^INS^PI~P1^^^H90^MR", "P1", None),
        ("P2^^^OTHER^MR~P1^^^H90^MR", "P1", None),
        ("700101-1234567^^^KR^NNKOR~P1^^^H90^PI", "P1", "700101-1234567"),
        ("700101-1234567^^^KR^SS", None, "700101-1234567"),
        (r"A\F\B^^^H90^MR", "A/B", None),
        ("^^^H90^MR", None, None),
        ('""', None, None),
    ],
)
def test_one_number_of_a_list_is_the_site_s_own(field: str, local: str | None, national: str | None) -> None:
    assert read_identifiers(field, SiteTexts("H90")) == (local, national)


def test_times_of_every_length_become_instants_on_the_site_s_clock() -> None:
    texts = [
        "2024",
        "202402",
        "20240229",
        "2024022908",
        "202402290815",
        "20240229081530",
        "20240229081530.1234+0000",
        "20240229081530-0500",
        "202402290815+0900",
        None,
    ]
    parsed = parse_times(pa.array(texts, pa.string()), "Asia/Seoul")
    assert parsed.bad == ()
    assert [v.strftime("%Y-%m-%d %H:%M:%S.%f") if v else None for v in parsed.values.to_pylist()] == [
        "2023-12-31 15:00:00.000000", "2024-01-31 15:00:00.000000", "2024-02-28 15:00:00.000000", "2024-02-28 23:00:00.000000",
        "2024-02-28 23:15:00.000000", "2024-02-28 23:15:30.000000", "2024-02-29 08:15:30.123400", "2024-02-29 13:15:30.000000",
        "2024-02-28 23:15:00.000000", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["0000", "20240230", "20241301", "2024010125", "DATE!", "202401011", "2024-01-01", "20240101+0960", "1640", "20240101081530.", "2024010108153012345678901234567890"]
)  # fmt: skip
def test_what_is_no_time_is_bad(text: str) -> None:
    assert parse_times(pa.array([text, "2024"]), "Asia/Seoul").bad == (0,)


def test_birth_dates_keep_only_what_they_name() -> None:
    parts, bad = parse_birth_parts(pa.array(["1970", "197002", "19700203", "1970020304+0900", "19700231"]))
    assert [parts[p].to_pylist() for p in ("year", "month", "day")] == [
        [1970] * 4 + [None],
        [None, 2, 2, 2, None],
        [None, None, 3, 3, None],
    ]
    assert bad == (4,)
