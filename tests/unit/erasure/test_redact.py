"""A record is blanked only where it is beyond doubt which line it is; the count, and every other byte, stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.erasure.redact import Shape, blanked, packed, unpacked
from assets.formats.count import count_records

ROWS = b"id,name\r\n1,Kim\r\n\r\n2,Lee\r\n3,Park\r\n"
LINES = b'{"id":"1","n":"Kim"}\n\n{"id":"2","n":"Lee"}\n'


def _shape(wire: str = "delimited", records: int = 3) -> Shape:
    return Shape(wire, None, ",", '"', records)


@pytest.mark.parametrize(
    ("text", "shape", "numbers", "matches", "expected"),
    [
        (ROWS, _shape(), {2}, (), (b"id,name\r\n1,Kim\r\n\r\n,,   \r\n3,Park\r\n", [2])),
        (ROWS, _shape(), set(), (ROWS.find(b"Park"),), (b"id,name\r\n1,Kim\r\n\r\n2,Lee\r\n,,    \r\n", [3])),
        (b"id\n11\n12\n", _shape(records=2), {1}, (), (b"id\n, \n12\n", [1])),
        (LINES, _shape("fhir", 2), {1}, (LINES.find(b"Lee"),), (b"{}" + b" " * 18 + b"\n\n{}" + b" " * 18 + b"\n", [1, 2])),
        (ROWS, _shape(records=4), {2}, (), None),
        (ROWS, _shape(), {4}, (), None),
        (ROWS, _shape(), set(), (ROWS.find(b"name"),), None),
        (b'"id",name\n1,Kim\n', _shape(records=1), {1}, (), None),
        (b"a,b,c,d\n1\n", _shape(records=1), {1}, (), None),
        (b"", _shape(records=0), set(), (), None),
    ],
    ids=[
        "a row, a blank line before it", "a value", "one column", "JSON lines", "not as many lines as records", "no such record", "it stands in the header",
        "a quoted header", "no room", "no header",
    ],
)  # fmt: skip
def test_records_are_blanked_or_nothing_is(
    text: bytes, shape: Shape, numbers: set[int], matches: tuple[int, ...], expected: tuple[bytes, list[int]] | None, tmp_path: Path
) -> None:
    done = blanked(text, shape, numbers, matches)
    assert done == expected
    if done is not None:
        (tmp_path / "before").write_bytes(text)
        (tmp_path / "after").write_bytes(done[0])
        before, after = (count_records(tmp_path / name, shape.wire) for name in ("before", "after"))
        assert (before.records, len(done[0])) == (after.records, len(text)) == (shape.records, len(text))


def test_the_same_text_is_packed_to_the_same_bytes() -> None:
    assert packed(ROWS, "gzip") == packed(ROWS, "gzip")
    assert unpacked(packed(ROWS, "gzip"), "gzip") == unpacked(ROWS, None) == ROWS
