"""A record is blanked only where it is beyond doubt which line it is; the count, and every other byte, stay."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from assets.erasure import redact
from assets.erasure.redact import Shape, find_records, write_blanked
from assets.formats.count import count_records

ROWS = b"id,name\r\n1,Kim\r\n\r\n2,Lee\r\n3,Park\r\n"
LINES = b'{"id":"1","n":"Kim"}\n\n{"id":"2","n":"Lee"}\n'


def _shape(wire: str = "delimited", records: int = 3) -> Shape:
    return Shape(wire, None, ",", '"', records)


@pytest.mark.parametrize("block", [1, 7, 1000], ids=["a byte a block", "some lines a block", "one block"])
@pytest.mark.parametrize(
    ("text", "shape", "numbers", "value", "expected"),
    [
        (ROWS, _shape(), {2}, b"", (b"id,name\r\n1,Kim\r\n\r\n,,   \r\n3,Park\r\n", [2])),
        (ROWS, _shape(), set(), b"Park", (b"id,name\r\n1,Kim\r\n\r\n2,Lee\r\n,,    \r\n", [3])),
        (b"id\n11\n12\n", _shape(records=2), {1}, b"", (b"id\n, \n12\n", [1])),
        (LINES, _shape("fhir", 2), {1}, b"Lee", (b"{}" + b" " * 18 + b"\n\n{}" + b" " * 18 + b"\n", [1, 2])),
        (ROWS, _shape(records=4), {2}, b"", None),
        (ROWS, _shape(), {4}, b"", None),
        (ROWS, _shape(), set(), b"name", None),
        (b'"id",name\n1,Kim\n', _shape(records=1), {1}, b"", None),
        (b"a,b,c,d\n1\n", _shape(records=1), {1}, b"", None),
        (b"", _shape(records=0), set(), b"", None),
    ],
    ids=[
        "a row, a blank line before it", "a value", "one column", "JSON lines", "not as many lines as records", "no such record", "it stands in the header",
        "a quoted header", "no room", "no header",
    ],
)  # fmt: skip
def test_records_are_blanked_or_nothing_is(
    text: bytes, shape: Shape, numbers: set[int], value: bytes, expected: tuple[bytes, list[int]] | None, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(redact, "BLOCK", block)
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(text)
    found = find_records(before, shape, numbers, lambda lines: [m.start() for m in re.finditer(value, lines)] if value else [])
    assert (found and found.numbers) == (expected and expected[1])
    if found is not None and expected is not None:
        digest = write_blanked(before, after, shape, found)
        assert (after.read_bytes(), digest) == (expected[0], hashlib.sha256(expected[0]).hexdigest())
        counts = [count_records(path, shape.wire).records for path in (before, after)]
        assert (*counts, len(expected[0])) == (shape.records, shape.records, len(text))


def test_the_same_text_is_packed_to_the_same_bytes(tmp_path: Path) -> None:
    """Else a blanking that was killed before the swap would not be known again by its hash."""
    before, after = tmp_path / "a.csv.gz", [tmp_path / "b", tmp_path / "c"]
    before.write_bytes(gzip.compress(ROWS))
    shape = Shape("delimited", "gzip", ",", '"', 3)
    found = find_records(before, shape, {2}, lambda _: ())
    assert found is not None
    assert len({write_blanked(before, target, shape, found) for target in after}) == 1
    assert gzip.decompress(after[0].read_bytes()) == b"id,name\r\n1,Kim\r\n\r\n,,   \r\n3,Park\r\n"
    assert after[0].read_bytes() == after[1].read_bytes()


def test_a_line_that_is_too_long_to_be_held_is_not_blanked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "BLOCK", 4)
    monkeypatch.setattr(redact, "LONGEST", 8)
    (tmp_path / "a").write_bytes(LINES)
    assert find_records(tmp_path / "a", _shape("fhir", 2), {1}, lambda _: ()) is None
