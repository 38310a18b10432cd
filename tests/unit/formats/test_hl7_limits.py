"""Hostile HL7 v2: enormous fields, endless segments, things that are not text."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.formats.hl7_columnar import ColumnarMessages
from assets.formats.hl7_stream import Records
from assets.formats.hl7_values import Values
from tests.hl7_reading import read_hl7

HEAD = b"MSH|^~\\&|HIS|H90|||20240102||ORU^R01|%d|P|2.5\rPID|1||P%d\rOBR|1||F1|1^A^L\r"


def _message(number: int, *segments: bytes) -> bytes:
    return HEAD % (number, number) + b"".join(s + b"\r" for s in segments)


@dataclass
class Calls:
    """How many functions were called, of Python and of C."""

    count: int = 0

    def __call__(self, frame: object, event: str, argument: object) -> None:
        self.count += event in ("call", "c_call")


@contextmanager
def counted_calls() -> Iterator[Calls]:
    calls, before = Calls(), sys.getprofile()
    sys.setprofile(calls)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def _many_parts(mark: bytes, count: int) -> bytes:
    return _message(1, b"OBX|1|NM|1^A^L||" + mark.join([b"" if mark == b"|" else b"5"] * count))


@pytest.mark.scenario("14 HL7 with bad separators and 200,000 components")
@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize("mark", [b"^", b"~", b"&", b"|"])
def test_200_000_parts_in_a_field_cost_no_more_steps_than_their_number_says(tmp_path: Path, mark: bytes, stepwise: bool) -> None:
    """Calls are counted, not seconds: those depend on who else uses the machine (`test_200_000_parts_in_a_field_take_no_time`, slow)."""
    steps = {}
    for count in (50_000, 200_000):
        (tmp_path / str(count)).mkdir()
        with counted_calls() as calls:
            reading = read_hl7(tmp_path / str(count), [_many_parts(mark, count) + _message(2)], stepwise=stepwise)
        steps[count] = calls.count
        assert [r["_row_number"] for r in reading.rows["message"]] == [1, 2]
    assert 0 < steps[200_000] < 5 * steps[50_000]


@pytest.mark.slow
@pytest.mark.scenario("14 HL7 with bad separators and 200,000 components")
@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize("mark", [b"^", b"~", b"&", b"|"])
def test_200_000_parts_in_a_field_take_no_time(tmp_path: Path, mark: bytes, stepwise: bool) -> None:
    many = _many_parts(mark, 200_000)
    began = time.process_time()
    reading = read_hl7(tmp_path, [many + _message(2)], stepwise=stepwise)
    assert time.process_time() - began < 2
    assert [r["_row_number"] for r in reading.rows["message"]] == [1, 2]


@pytest.mark.scenario("11 50 MB field")
def test_segment_of_50_mb_is_refused_and_the_messages_around_it_land(tmp_path: Path) -> None:
    huge = _message(2, b"OBX|1|ED|1^A^L||" + b"JVBERi0x" * 6_553_600)
    reading = read_hl7(tmp_path, [_message(1) + huge + _message(3)])
    assert reading.rejected == [(0, 2, "record_too_large", None)]
    assert [r["_row_number"] for r in reading.rows["message"]] == [1, 3]
    assert reading.accounted()


def test_message_a_little_over_the_limit_is_refused(tmp_path: Path) -> None:
    big = _message(2, b"OBX|1|ED|1^A^L||" + b"J" * (16 * 2**20))
    reading = read_hl7(tmp_path, [_message(1) + big + _message(3)])
    assert reading.rejected == [(0, 2, "record_too_large", None)]
    assert reading.accounted()


@pytest.mark.scenario("15 invalid structures of each format")
@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 5_000_000,
        b"\r" * 20_000_000,
        b"no hl7 at all",
        b"PID|1||P1\r" * 2_000_000,
        b"MSH" * 100_000,
        b"\x0b" * 100_000,
        b"\xff" * 20_000_000,
    ],
    ids=["NULs", "empty lines", "prose", "20 MB without header", "MSH without end", "frames only", "no text"],
)
def test_file_without_any_message_is_accounted_for(tmp_path: Path, content: bytes) -> None:
    reading = read_hl7(tmp_path, [content])
    assert "message" not in reading.rows
    assert reading.accounted()


def test_utf_16_file_is_read_as_its_site_file_declares(tmp_path: Path) -> None:
    text = (_message(1, b"OBX|1|NM|1^A^L||5") + _message(2)).decode()
    reading = read_hl7(tmp_path, [text.encode("utf-16")], encoding="utf-16")
    assert len(reading.rows["message"]) == 2
    assert reading.accounted()


def test_message_of_many_results_keeps_equal_results_apart(tmp_path: Path) -> None:
    reading = read_hl7(tmp_path, [_message(1, *[b"OBX|1|NM|1^A^L||5"] * 3)])
    assert len({r["record_id"] for r in reading.rows["observation_result"]}) == 3


def test_chunks_are_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    """The child runs without it: a chunk in a reference cycle stayed for ever, and memory grew with the file."""
    gc.collect()
    gc.disable()
    try:
        read_hl7(tmp_path, [_message(1, b"OBX|1|NM|1^A^L||5"), _message(2)])
        assert [o for o in gc.get_objects() if isinstance(o, ColumnarMessages | Records | Values)] == []
    finally:
        gc.enable()
