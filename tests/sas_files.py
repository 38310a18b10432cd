"""Small SAS files that tests deliver.

Transport files are written by pyreadstat. Nothing free writes SAS7BDAT, so a minimal data set (32 bit, little endian, not compressed, one page of
header, one of data) is put together here from the published layout (Shotwell, "SAS7BDAT Database Binary Format").
`python -m tests.sas_files` writes the golden files of both formats again.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat

PAGE = 4096
_MAGIC = bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")


@dataclass(frozen=True)
class Column:
    """One column: texts of a width in bytes, or numbers (width 0)."""

    name: str
    width: int = 0
    format: str = ""


def sas7bdat(columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, encoding: str = "utf-8", encoding_code: int = 20) -> bytes:
    """A data set. Texts may be given as bytes; a number may be a text `.A`: a special missing value."""
    widths = [c.width or 8 for c in columns]
    data = b"".join(_cell(c, value, encoding) for row in rows for c, value in zip(columns, row, strict=True))
    head = bytearray(1024)
    head[:32] = _MAGIC
    head[32:40] = bytes([0x22, 0x22, 0, 0x22, 0, 1, 0, 0x31])
    head[70] = encoding_code
    head[84:92], head[92:124] = b"SAS FILE", b"T".ljust(32)
    head[156:164] = b"DATA    "
    struct.pack_into("<III", head, 196, 1024, PAGE, 2)
    head[216:224] = b"9.0401M1"
    return bytes(head) + _header_page(columns, widths, len(rows), encoding) + _data_page(data, len(rows))


def _cell(column: Column, value: Any, encoding: str) -> bytes:
    if column.width:
        raw = value if isinstance(value, bytes) else str(value or "").encode(encoding)
        return raw.ljust(column.width)[: column.width]
    if value is None or isinstance(value, str):
        letter = value[1:2] if value else ""
        return bytes([0, 0, 0, 0, 0, ~(ord(letter) - 65 + 3) & 0xFF if letter else 0xFE, 0xFF, 0xFF])
    return struct.pack("<d", value)


def _subheader(signature: int, body: bytes) -> bytes:
    return struct.pack("<I", signature) + body


def _header_page(columns: Sequence[Column], widths: Sequence[int], rows: int, encoding: str) -> bytes:
    row_size = bytearray(476)
    struct.pack_into("<II", row_size, 16, sum(widths), rows)
    struct.pack_into("<II", row_size, 32, len(columns), 0)
    struct.pack_into("<I", row_size, 48, PAGE)
    texts, places = bytearray(bytes(24)), []  # refs count from behind the signature
    for column in columns:
        for text in (column.name, column.format):
            raw = text.encode(encoding)
            places.append((0, len(texts), len(raw)))
            texts += raw + bytes(-len(raw) % 4)
    struct.pack_into("<H", texts, 0, len(texts) + 4 - 12)
    names = b"".join(struct.pack("<HHHH", *places[2 * n], 0) for n in range(len(columns)))
    offsets = [sum(widths[:n]) for n in range(len(columns))]
    attributes = b"".join(
        struct.pack("<IIHBB", at, width, 4, 2 if column.width else 1, 0) for at, width, column in zip(offsets, widths, columns, strict=True)
    )
    parts = [
        _subheader(0xF7F7F7F7, bytes(row_size)),
        _subheader(0xF6F6F6F6, struct.pack("<II", len(columns), 0)),
        _subheader(0xFFFFFFFD, bytes(texts)),
        _subheader(0xFFFFFFFF, struct.pack("<HHI", 8 + len(names), 0, 0) + names + bytes(8)),
        _subheader(0xFFFFFFFC, struct.pack("<HHI", 8 + len(attributes), 0, 0) + attributes + bytes(8)),
    ]
    for n in range(len(columns)):
        body = bytearray(48)
        struct.pack_into("<HHH", body, 30, *places[2 * n + 1])
        parts.append(_subheader(0xFFFFFBFE, bytes(body)))
    page = bytearray(PAGE)
    struct.pack_into("<HHH", page, 16, 0, len(parts), len(parts))
    end = PAGE
    for n, part in enumerate(parts):
        end -= len(part)
        page[end : end + len(part)] = part
        struct.pack_into("<IIBBH", page, 24 + 12 * n, end, len(part), 0, 0, 0)
    return bytes(page)


def _data_page(data: bytes, rows: int) -> bytes:
    page = bytearray(PAGE)
    struct.pack_into("<HHH", page, 16, 0x0100, rows, 0)
    page[24 : 24 + len(data)] = data
    return bytes(page)


def transport(columns: Mapping[str, Sequence[Any]], *, version: int = 5, formats: Mapping[str, str] | None = None) -> bytes:
    """A transport file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.xpt"
        pyreadstat.write_xport(
            pd.DataFrame(columns), path, file_format_version=version, table_name="T", variable_format=dict(formats or {})
        )
        return path.read_bytes()


PATIENT = (
    Column("등록번호", 10), Column("생년월일", 0, "DATE9"), Column("성별", 6), Column("시도", 12),
)  # fmt: skip
DAY = 3712.0
"""1970-03-01 in SAS."""
KIM = ("007", DAY, "남", "서울")
LEE = ("008", None, "여", None)


def _xpt(version: int = 5, **more: Sequence[Any]) -> bytes:
    columns = {"PATNO": ["007", "008", "009"], "BIRTH": [DAY, None, 8035.0], "SEX": ["남", "여", ""], **more}
    return transport(columns, version=version, formats={"BIRTH": "DATE9"})


SAS7BDAT: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "dates_and_texts": ("patient", lambda: sas7bdat(PATIENT, [KIM, LEE])),
    "euc_kr_as_the_file_says": ("patient", lambda: sas7bdat(PATIENT, [KIM, LEE], encoding="cp949", encoding_code=140)),
    "cp949_as_the_site_says": ("patient", lambda: sas7bdat(PATIENT, [KIM, ("009", DAY, "똠", "부산")], encoding="cp949", encoding_code=20)),
    "special_missing_values": ("patient", lambda: sas7bdat(PATIENT, [("007", ".A", "남", "서울"), ("008", ".Z", "여", "")])),
    "text_of_another_encoding": ("patient", lambda: sas7bdat(PATIENT, [KIM, ("008", DAY, "여".encode("cp949"), "서울"), LEE])),
    "dates_beyond_any_calendar": ("patient", lambda: sas7bdat(PATIENT, [KIM, ("008", 1e300, "여", ""), ("009", -5e6, "여", ""), ("010", 3712.9, "남", "")])),
    "row_without_a_key": ("patient", lambda: sas7bdat(PATIENT, [KIM, ("", DAY, "여", "")])),
    "no_rows": ("patient", lambda: sas7bdat(PATIENT, [])),
    "missing_column": ("patient", lambda: sas7bdat(PATIENT[1:], [KIM[1:]])),
    "cut_off": ("patient", lambda: sas7bdat(PATIENT, [KIM, LEE])[: -PAGE - 100]),
    "no_sas_at_all": ("patient", lambda: b"not a data set " * 50),
}  # fmt: skip
XPT: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "version_5": ("patient", _xpt),
    "version_8": ("patient", lambda: _xpt(8)),
    "numbers_as_keys": ("patient", lambda: transport({"PATNO": [7.0, 8.0, 9.5], "SEX": ["M", "F", "F"], "BIRTH": [DAY] * 3}, formats={"BIRTH": "DATE9"})),
    "datetimes_where_dates_belong": ("patient", lambda: transport({"PATNO": ["1"], "BIRTH": [DAY * 86400 + 3600.5]}, formats={"BIRTH": "DATETIME20"})),
    "dates_as_numbers": ("patient", lambda: transport({"PATNO": ["1", "2"], "BIRTH": [19700301.0, 19701301.0]})),
    "text_of_another_encoding": ("patient", lambda: _xpt().replace("여".encode(), b"\xff\xfe\xfd")),
    "two_data_sets": ("patient", lambda: _xpt() + _xpt()[240:]),
    "no_transport_file": ("patient", lambda: sas7bdat(PATIENT, [KIM])),
}  # fmt: skip
"""Golden cases: name -> table, file. What each becomes stands in `tests/golden/formats/<format>/<name>/expected.json`."""

if __name__ == "__main__":
    for kind, cases in (("sas7bdat", SAS7BDAT), ("xpt", XPT)):
        for name, (table, make) in cases.items():
            folder = Path(__file__).parent / "golden" / "formats" / kind / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{table}.{kind}").write_bytes(make())
