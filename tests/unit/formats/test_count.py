"""The independent counter: on its own, and against the parsers on files that mean harm."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.formats.count import RecordCount, count_records
from assets.formats.count_json import FhirCounter, _Document
from assets.formats.count_text import RowCounter
from assets.formats.records import BadRecord, Grammar, read_records

Read = Callable[..., Any]

DOCUMENTS: list[tuple[str, int]] = [
    ('{"resourceType":"Bundle","entry":[{"a":{}},{"b":[{}]},{}]}', 3),
    ('{"entry":[{"a":{}},{}],"resourceType":"Bundle"}', 2),
    ('{"entry":[{"a":{}},{}],"resourceType":"List"}', 1),
    ('{"resourceType":"Bundle","link":[{},{}]}', 0),
    ('{"resourceType":"Bundle","x":"\\"entry\\":[{},{}]","entry":[{"resource":{"resourceType":"List","entry":[{},{},{}]}}]}', 1),
    ('{"resourceType":"Bundle","type":"entry","tags":[{},{}],"entry":[]}', 0),
    ('{"resourceType":"Bundle","note":"a \\"entry","entry":[{"x":"}]"}]}', 1),
    ('[{"resourceType":"Patient"},{"resourceType":"Bundle","entry":[{},{}]}]', 2),
    ("[]", 0),
    ('{"resourceType":"Patient","contained":[{}]}', 1),
]


@pytest.mark.parametrize(("text", "records"), DOCUMENTS)
@pytest.mark.parametrize("size", [1, 2, 5, 17, 10_000])
def test_documents_are_counted_by_their_brackets_however_the_bytes_arrive(text: str, records: int, size: int) -> None:
    for written in (text, json.dumps(json.loads(text), indent=3)):
        counter = _Document()
        data = written.encode()
        for at in range(0, len(data), size):
            counter.feed(data[at : at + size])
        assert counter.close() == (records, "")


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("", 0), ("\n \n\r\n", 0), ('{"a":1}', 1), ('{"a":1}\n\n{"b":2}\n', 2), ("\ufeff{}\n{}", 2), ("junk\n\n  junk\n", 2),
        ('{"resourceType":"Bundle","entry":[{},{}]}\n{"resourceType":"Bundle","entry":[{}]}\nlog\n{}\n', 5),
        ('{"resourceType":"Patient"}\n{"resourceType":"Bundle","entry":[{},{}]}\n', 2),
        ('{\n"resourceType":"Bundle",\n"entry":[{},{}]\n}', 2),
        ("x" * 3000 + "\n{}\n{}", 3),
        ('{"resourceType":"Bundle","entry":[' + ",".join(['{"resource":{}}'] * 300) + "]}", 300),
        ('{"resourceType":"Patient","x":"' + "x" * 3000 + '"}', 1),
    ],
)  # fmt: skip
def test_fhir_files_are_counted(tmp_path: Path, text: str, records: int) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(text.encode())
    assert count_records(path, "fhir", record_bytes=2000) == RecordCount(records)
    packed = tmp_path / "a.ndjson.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert count_records(packed, "fhir", "gzip", record_bytes=2000).records == records


def test_what_cannot_be_read_to_the_end_is_counted_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    packed = gzip.compress(b"".join(b'{"id":%d}\n' % i for i in range(100_000)))
    path.write_bytes(packed[: len(packed) // 2])
    found = count_records(path, "fhir", "gzip")
    assert 0 < found.records < 100_000
    assert (found.complete, found.note) == (False, "reading stopped: EOFError")
    assert count_records(tmp_path / "absent", "fhir").complete is False
    (tmp_path / "b.json").write_text('{\n"resourceType":"Bundle","entry":[{},{}')
    assert count_records(tmp_path / "b.json", "fhir") == RecordCount(2, False, "the JSON document is broken")
    assert count_records(path, "unknown") == RecordCount(1, False, "format unknown is not counted: one record")


def test_parquet_rows_are_those_of_the_footer(tmp_path: Path) -> None:
    for rows in (0, 1, 200, 300_000):
        path = tmp_path / f"{rows}.parquet"
        nested = pa.array([[{"a": 1, "b": ["x"]}]] * rows, pa.list_(pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])))
        table = pa.table({"id": pa.array(range(rows)), "nested": nested}).replace_schema_metadata({"k" * 200: "v" * 500})
        pq.write_table(table, path, row_group_size=1000)
        assert count_records(path, "parquet") == RecordCount(rows)
    out = io.BytesIO(path.read_bytes())
    for content in (b"", b"PAR1", b"x" * 100, out.getvalue()[:-8] + b"\xff\xff\xff\x7fPAR1", b"PAR1" + b"\xff" * 50 + b"\x32\0\0\0PAR1"):
        (tmp_path / "bad").write_bytes(content)
        found = count_records(tmp_path / "bad", "parquet")
        assert (found.records, found.complete) == (0, False)


def _rows_of_the_parser(data: bytes, limit: int, size: int) -> int:
    pieces: Iterator[bytes] = iter([data[i : i + size] for i in range(0, len(data), size)])
    records = 0
    for block in read_records(lambda _: next(pieces, b""), Grammar(b",", b'"', limit)):
        if isinstance(block, BadRecord):
            records += 1
        elif block.count is None:
            records += sum(line not in (b"", b"\r") for line in block.data[:-1].split(b"\n"))
        else:
            records += block.count
    return max(records - 1, 0)


def _rows_of_the_counter(data: bytes, limit: int, size: int) -> int:
    counter = RowCounter(b",", b'"', limit)
    for at in range(0, len(data), size):
        counter.feed(data[at : at + size])
    return counter.close()[0]


def test_counter_and_parser_agree_on_rows_of_any_text() -> None:
    """They share no code; where they differ, a file would be quarantined whole."""
    draw = random.Random(7)
    for _ in range(6000):
        data = bytes(draw.choice(b'a,"\n\r"\n,b') for _ in range(draw.randint(1, 40)))
        limit, sizes = draw.choice([10**6, 10**6, 9, 5]), [draw.choice([1, 2, 3, 7, 100]) for _ in range(2)]
        counted = _rows_of_the_counter(data, limit, sizes[0])
        assert counted == _rows_of_the_parser(data, limit, sizes[1]), (data, limit, sizes)


MEMBERS = ['"resourceType":"Bundle"', '"resourceType":"Patient"', '"entry":[{},{"resource":{"resourceType":"Patient","id":"p"}}]', '"entry":[]',
           '"id":"p"', '"x":[{}]', '"y":"}]{[\\""', '"entry":[1]', '"z":01', '"type":"entry"']  # fmt: skip


def test_counter_and_parser_agree_on_bundles_of_any_shape(read: Read) -> None:
    draw = random.Random(11)
    files = {}
    for number in range(400):
        text = "{" + ",".join(draw.sample(MEMBERS, draw.randint(1, 5))) + "}"
        if draw.random() < 0.3:
            at = draw.randrange(len(text))
            text = text[:at] + draw.choice(['"', "{", "}", "[", "]", ",", "\\", ""]) + text[at + 1 :]
        layout = draw.choice(["line", "lines", "pretty", "array"])
        text = {"line": text, "lines": text + "\n" + text, "pretty": text.replace(",", ",\n"), "array": f"[{text},{text}]"}[layout]
        files[f"f{number}.json"] = text
    found = read("fhir", "fhir", files)
    for file, (name, text) in zip(found.files, files.items(), strict=True):
        counter = FhirCounter(16 * 2**20)
        counter.feed(text.encode())
        counted, _ = counter.close()
        assert file["reason"] is not None or file["records"] + file["rejected"] == counted, (name, text, file, counted)


def test_quotes_that_never_close_are_counted_in_one_pass(tmp_path: Path) -> None:
    """Every line opens a quote that none closes. Read afresh from each line this would take hours, in the parent."""
    path = tmp_path / "hostile.csv"
    path.write_bytes(b"a,b\n" + b'y","z\n' * 200_000)
    assert count_records(path, "delimited").records == 200_000
