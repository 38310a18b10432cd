"""The byte scan finds a value however it is written and packed, and nothing that only looks like it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.erasure import scan
from assets.erasure.forms import Needle
from assets.erasure.scan import Scanner, scan_folder

NUMBER, NAME, PERSON = "7001011234561", "홍길동아무개씨", 4856884142566550921
SCANNER = Scanner([Needle("number", NUMBER), Needle("name", NAME)], [PERSON])


def _kinds(data: bytes, tmp_path: Path, scanner: Scanner = SCANNER) -> Counter[str]:
    path = tmp_path / "file"
    path.write_bytes(data)
    return Counter(needle.kind for needle in scanner.scan_file(path).elements())


def _zip(content: bytes, name: str = "inside") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return target.getvalue()


def _parquet(**columns: pa.Array) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, compression="zstd")
    return target.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("value", [NUMBER, NAME])
def test_every_way_of_writing_a_value_is_found(value: str, encoding: str, tmp_path: Path) -> None:
    plain = value.encode(encoding)
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode(), *(base64.b64encode(b"x" * n + plain + b"yz") for n in range(3))]
    assert [bool(_kinds(b"..." + form + b"...", tmp_path)) for form in forms] == [True] * 6


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_person_id_is_found_as_text_and_as_eight_bytes(order: str, tmp_path: Path) -> None:
    assert _kinds(f'{{"person_id":{PERSON}}}'.encode(), tmp_path) == {"person_id": 1}
    assert _kinds(b"\1" + PERSON.to_bytes(8, "little" if order == "little" else "big") + b"\1", tmp_path) == {"person_id": 1}


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(NUMBER.encode()),
        gzip.compress(gzip.compress(NUMBER.encode())),
        _zip(NUMBER.encode()),
        _zip(b"nothing", name=f"{NUMBER}.txt"),
        gzip.compress(_zip(gzip.compress(NUMBER.encode()))),
        _parquet(text=pa.array(["a", NUMBER])),
        _zip(_parquet(text=pa.array([NUMBER]))),
        _parquet(words=pa.array([["a", NUMBER]])),
        _parquet(thing=pa.array([{"inner": {"text": NUMBER}}])),
        _parquet(pairs=pa.array([[("key", NUMBER)]], pa.map_(pa.string(), pa.string()))),
        _parquet(pairs=pa.array([[(NUMBER, "value")]], pa.map_(pa.string(), pa.string()))),
        _parquet(raw=pa.array([NUMBER.encode()])),
        _parquet(words=pa.array([NUMBER] * 3).dictionary_encode()),
    ],
    ids=["gzip", "gzip in gzip", "zip", "name in zip", "gzip in zip in gzip", "Parquet", "Parquet in zip", "list", "struct", "map value", "map key", "binary", "dictionary"],
)  # fmt: skip
def test_every_container_is_opened(packed: bytes, tmp_path: Path) -> None:
    assert _kinds(packed, tmp_path)["number"] >= 1


def test_person_ids_are_found_in_integer_columns_wherever_they_are_nested(tmp_path: Path) -> None:
    flat = _parquet(person_id=pa.array([1, PERSON, PERSON]), other=pa.array([2, 3, 4]))
    nested = _parquet(people=pa.array([[1], [PERSON, 5]], pa.list_(pa.int64())))
    assert _kinds(flat, tmp_path)["person_id"] >= 2
    assert _kinds(nested, tmp_path)["person_id"] >= 1
    assert _kinds(_parquet(person_id=pa.array([1, 2])), tmp_path) == {}


def test_the_middle_of_a_longer_number_or_word_is_no_match(tmp_path: Path) -> None:
    scanner = Scanner([Needle("number", "patient-01")])
    assert [bool(_kinds(t, tmp_path, scanner)) for t in (b"patient-01", b"patient-012", b"xpatient-01", b"/patient-01,", b"patient-01_")] == [
        True, False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le", "utf-16-be", "JSON"])
def test_a_name_in_hangul_may_be_followed_by_a_particle_and_may_not_follow_a_syllable(encoding: str, tmp_path: Path) -> None:
    scanner = Scanner([Needle("name", "홍길동")])
    texts = {
        "홍길동": True,
        "홍길동은 집에": True,
        "환자: 홍길동": True,
        '"홍길동"': True,
        "분홍길동네": False,
        "새홍길동": False,
        "가홍길동 홍길동": True,
    }
    written = {text: json.dumps(text).encode() if encoding == "JSON" else text.encode(encoding) for text in texts}
    assert {text: bool(_kinds(raw, tmp_path, scanner)) for text, raw in written.items()} == texts


def test_a_short_name_in_packed_bytes_is_looked_for_where_they_are_unpacked(tmp_path: Path) -> None:
    """Six bytes stand by chance in some gigabytes that are compressed; else an erasure would find them, and nobody could say what it found."""
    scanner, six = Scanner([Needle("name", "홍길동")]), "홍길동".encode("cp949")
    packed = io.BytesIO()
    with gzip.GzipFile(filename=six.decode("latin-1"), mode="wb", fileobj=packed) as file:
        file.write(b"nothing")
    assert six in packed.getvalue()
    assert _kinds(packed.getvalue(), tmp_path, scanner) == {}
    assert _kinds(gzip.compress(six), tmp_path, scanner) == {"name": 1}
    assert _kinds(six, tmp_path, scanner) == {"name": 1}


def test_a_name_is_found_in_a_file_name_of_an_archive_that_takes_syllables_apart(tmp_path: Path) -> None:
    assert _kinds(_zip(b"", name=unicodedata.normalize("NFD", "홍길동.txt")), tmp_path, Scanner([Needle("name", "홍길동")]))["name"] >= 1


@pytest.mark.parametrize("offset", range(14))
def test_a_value_across_the_border_of_two_chunks_counts_once(offset: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_CHUNK", 16)
    scanner = Scanner([Needle("number", NUMBER)])
    assert _kinds(b" " * offset + NUMBER.encode() + b" " * 40, tmp_path, scanner) == {"number": 1}
    assert _kinds(b" " * offset + NUMBER.encode() + b"9" + b" " * 40, tmp_path, scanner) == {}, "a longer number, cut by the border"


def test_short_values_are_counted_and_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"P1 P1 P1")
    found = scan_folder(tmp_path, Scanner([Needle("local", "P1")]))
    assert (found.hits, found.too_short) == ({}, 1)


def test_what_cannot_be_read_to_its_end_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 1000)[:-12])
    (tmp_path / "cut.parquet").write_bytes(_parquet(a=pa.array([1]))[:-9])
    deep = NUMBER.encode()
    for _ in range(6):
        deep = gzip.compress(deep)
    (tmp_path / "deep.gz").write_bytes(deep)
    assert scan_folder(tmp_path, SCANNER).unreadable == ["cut.gz", "cut.parquet", "deep.gz"]


def test_names_of_files_and_folders_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / NUMBER).mkdir()
    (tmp_path / NUMBER / "a").write_bytes(b"nothing")
    assert scan_folder(tmp_path, SCANNER).hits == {f"{NUMBER}/a": {"number": 1}}
