"""Fixed width: what golden files cannot show: many blocks, crashes, counting in pieces."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.formats.count import count_records
from assets.formats.count_lines import LineCounter

Read = Callable[..., Any]
OPTIONS = {"encoding": "cp949", "layouts": {"patient": {"positions": {"patient_number": [1, 8], "gender": [9, 10]}}}}


def _line(number: int) -> bytes:
    return f"{number:<8}".encode() + "남".encode("cp949")


def test_lines_of_many_blocks_keep_their_numbers_and_places(read: Read, tmp_path: Path) -> None:
    lines = [_line(n) for n in range(500_000)]
    lines[450_000] = b"short"
    path = tmp_path / "patient.dat"
    path.write_bytes(b"\n".join(lines))
    found = read("fixed_width", "emr_csv", {"patient.dat": path}, options=OPTIONS)
    assert [(r["row_number"], r["reason"], r["byte_offset"]) for r in found.rejected] == [(450_001, "ragged_row", 450_000 * 11)]
    assert found.files[0]["records"] == 499_999
    assert count_records(path, "fixed_width").records == 500_000


def test_a_line_over_the_limit_is_refused_and_the_next_lands(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "patient.dat"
    path.write_bytes(_line(1) + b"\n" + b"x" * 70_000 + b"\n" + _line(2))
    found = read("fixed_width", "emr_csv", {"patient.dat": path}, options=OPTIONS, limits={"record_bytes": 65_536})
    assert (found.reasons, found.files[0]["records"]) == ([(2, "record_too_large")], 2)
    assert count_records(path, "fixed_width", record_bytes=65_536).records == 3


def test_a_planted_crash_costs_its_line_only(jobs: Any) -> None:
    from assets.formats.sandbox import run_child

    text = b"\n".join([*map(_line, range(30)), b"poison  \xb3\xb2", _line(31)])
    done = run_child(jobs.make("fixed_width", "emr_csv", {"patient.dat": text}, options={**OPTIONS, "test_crash_on": "poison"}))
    assert [(r.row_number, r.reason) for r in done.rejected] == [(31, "parser_crash")]
    assert done.files[0].records == 31


@pytest.mark.parametrize("seed", range(30))
def test_counting_in_pieces_is_counting_at_once(seed: int) -> None:
    dice = random.Random(seed)
    data = b"".join(dice.choice([b"\n", b"\r\n", b"a", b"bb\n", b"c" * 30]) for _ in range(60))
    counter = LineCounter(record_bytes=25)
    at = 0
    while at < len(data):
        step = dice.randint(1, 20)
        counter.feed(data[at : at + step])
        at += step
    assert counter.close() == (sum(line not in (b"", b"\r") for line in data.split(b"\n")), "")
