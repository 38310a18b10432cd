"""The two ways of reading HL7 give the same rows, and together with refusals account for every message, whatever the bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.hl7_door import messages
from tests.hl7_reading import Reading, in_any_order, read_hl7

SEED_MESSAGES = [
    m.replace("CHARSET", charset).encode(encoding)
    for m, (charset, encoding) in zip(
        messages(60, seed=3), [("", "utf-8"), ("UNICODE UTF-8", "utf-8"), ("KS X 1001", "cp949")] * 20, strict=True
    )
]
JUNK = [
    b"|", b"^", b"~", b"&", b"\\", b"\r", b"\n", b"\r\n", b"\0", b"\x0b", b"\x1c", b" ", b'""', b"MSH", b"MSH|", b"\rMSH|", b"\rPID|", b"\rBHS|", b"\rBTS|1",
    b"\rFTS|", b"\rZZZ|1", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc7\xd1", "한글".encode(), b"\\F\\", b"\\X41\\", b"\\C2842\\", b"\\.br\\", b"0000", b"20241399", b"-1", b"1e999",
    b"\rMRG|1^^^BENCH^MR", b"\rEVN|A40|", b"A40", b"ORU^R01", b"KS X 1001", b"8859/1", b"UNKNOWN/9", b"\tMSH|", b"\rmsh|", b"\rMSH", b"\rOBX", b"X" * 300, b"<", b">=", b"1-2", b"+5",
]  # fmt: skip


def _mutated(chance: random.Random) -> bytes:
    data = bytearray(b"\r".join(chance.sample(SEED_MESSAGES, chance.randint(1, 6))) + b"\r")
    for _ in range(chance.randint(0, 12)):
        place = chance.randrange(len(data) + 1)
        kind = chance.random()
        if kind < 0.6:
            data[place:place] = chance.choice(JUNK)
        elif kind < 0.8:
            del data[place : place + chance.choice((1, 3, 40))]
        elif kind < 0.9:
            data[place : place + 1] = bytes([chance.randrange(256)])
        else:
            del data[place:]
    return bytes(data)


def _same(one: Reading, other: Reading) -> None:
    assert one.rejected == other.rejected
    assert one.refused == other.refused
    assert in_any_order(one) == in_any_order(other)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_never_crash_and_every_message_is_accounted_for_in_both_ways(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    files = [_mutated(chance) for _ in range(60)]
    columnar = read_hl7(tmp_path, files)
    lost = [index for index in range(len(files)) if index not in columnar.refused and not columnar.accounted(index)]
    assert lost == []
    assert len(columnar.rows["message"]) > 60  # the mutations leave enough to read
    _same(columnar, read_hl7(tmp_path, files, stepwise=True))


def test_a_careful_reading_after_a_crash_gives_the_same_rows(tmp_path: Path) -> None:
    chance = random.Random(99)
    files = [_mutated(chance) for _ in range(20)]
    _same(read_hl7(tmp_path, files), read_hl7(tmp_path, files, careful=True))


@pytest.mark.parametrize(("charset", "encoding"), [("UNICODE UTF-8", "utf-8"), ("KS X 1001", "cp949")])
def test_realistic_messages_are_read_alike_in_both_ways(tmp_path: Path, charset: str, encoding: str) -> None:
    data = b"\r".join(m.replace("CHARSET", charset).encode(encoding) for m in messages(400, seed=5))
    columnar = read_hl7(tmp_path, [data], assigning_authority="BENCH")
    assert len(columnar.rows["message"]) == 400
    _same(columnar, read_hl7(tmp_path, [data], stepwise=True, assigning_authority="BENCH"))


def test_lists_of_identifiers_are_read_alike_in_both_ways(tmp_path: Path) -> None:
    lists = ["0000^^^H5^MR", "7^^^0000^MR", "7^^^OTHER^MR", "7^^^OTHER", "7^^^^0000", "8001011234567^^^KR^NNKOR", '""^^^H5', " 7 ^^^H5^MR",
             "0000^^^H5^MR~7^^^H5^PI", "7&x^^^OTHER&1.2^PI", r"7\F\8^^^H5^MR", "9^^^X^MR~8001011234567^^^KR^NNKOR~8^^^H5^MR", "a_b.c-d/e^^^H5^MR"]  # fmt: skip
    data = "\r".join(f"MSH|^~\\&|A|B|||2024||ADT^A08|{n}|P|2.5\rPID|1||{ids}" for n, ids in enumerate(lists)).encode()
    read = [read_hl7(tmp_path, [data], stepwise=way, assigning_authority="H5", null_values=["", "0000"]) for way in (False, True)]
    _same(*read)
    found = [row["person_id"] for row in read[0].rows["patient"]]
    assert found == ["7", "OTHER\x1f7", "OTHER\x1f7", "7", "7", "7", "OTHER\x1f7", "7/8", "8", "a_b.c-d/e"]


def test_real_messages_are_read_alike_in_both_ways(tmp_path: Path, shared_data: Path) -> None:
    files = [p.read_bytes() for p in sorted((shared_data / "04_hl7v2").rglob("*.hl7"))]
    columnar = read_hl7(tmp_path, files)
    assert sum(columnar.counted) == 153
    assert all(columnar.accounted(i) for i in range(len(files)) if i not in columnar.refused)
    _same(columnar, read_hl7(tmp_path, files, stepwise=True))


def test_blocks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages, marks, line ends and frames that lie across the end of a block are read as if they did not."""
    chance = random.Random(7)
    files = [_mutated(chance) for _ in range(25)]
    whole = read_hl7(tmp_path, files)
    for size in (7, 100, 1500):
        monkeypatch.setitem(_read_chunks_defaults(), "block_bytes", size)
        _same(whole, read_hl7(tmp_path, files))


def _read_chunks_defaults() -> dict[str, object]:
    from assets.formats.hl7_stream import read_chunks

    assert read_chunks.__kwdefaults__ is not None
    return read_chunks.__kwdefaults__
