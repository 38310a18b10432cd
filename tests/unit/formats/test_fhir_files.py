"""How FHIR files may be built, and that none of it changes what is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from assets.formats.fhir_learned import LearnedTypes
from assets.formats.json_depth import _is_deep, _spare_levels, nesting
from assets.formats.json_lines import Judge

Read = Callable[..., Any]

PATIENTS: list[dict[str, Any]] = [{"resourceType": "Patient", "id": f"p{i}", "gender": "male", "birthDate": "1970"} for i in range(4)]
LINES = [json.dumps(p, separators=(",", ":")) for p in PATIENTS]
SPACED = [json.dumps(p) for p in PATIENTS]
BUNDLE = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [{"fullUrl": f"urn:uuid:{p['id']}", "resource": p, "request": {"method": "POST", "url": "Patient"}} for p in PATIENTS],
}
LATE = {
    "entry": BUNDLE["entry"],
    "link": [{"x": [{}]}],
    "type": "transaction",
    "resourceType": "Bundle",
}  # alphabetical writers put the type last

SHAPES: dict[str, bytes] = {
    "lines": "\n".join(LINES).encode() + b"\n",
    "no last line feed": "\n".join(LINES).encode(),
    "carriage returns": "\r\n".join(LINES).encode() + b"\r\n",
    "byte order mark": b"\xef\xbb\xbf" + "\n".join(LINES).encode(),
    "blank lines": ("\n\n  \n" + "\n\n".join(LINES) + "\n \r\n\n").encode(),
    "white space between tokens": "\n".join(SPACED).encode(),
    "some lines with white space": "\n".join([LINES[0], SPACED[1], LINES[2], SPACED[3]]).encode(),
    "type last": "\n".join(json.dumps(dict(reversed(list(p.items()))), separators=(",", ":")) for p in PATIENTS).encode(),
    "pretty bundle": json.dumps(BUNDLE, indent=4).encode(),
    "bundle on one line": json.dumps(BUNDLE, separators=(",", ":")).encode(),
    "bundle on one line, type last": json.dumps(LATE).encode() + b"\n",
    "pretty bundle, type last": json.dumps(LATE, indent=1).encode(),
    "bundles one a line": "\n".join(json.dumps({**BUNDLE, "entry": [e]}) for e in BUNDLE["entry"]).encode(),
    "bundle with byte order mark": b"\xef\xbb\xbf \n" + json.dumps(BUNDLE, indent=2).encode() + b"\n\n",
    "array": json.dumps(PATIENTS).encode(),
    "pretty array": json.dumps(PATIENTS, indent=2).encode(),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_way_to_write_four_patients_gives_four_patients(read: Read, shape: str, packed: bool) -> None:
    content = gzip.compress(SHAPES[shape]) if packed else SHAPES[shape]
    found = read("fhir", "fhir", {"file.json" + (".gz" if packed else ""): content})
    assert [(r["record_id"], r["birth_year"], r["_row_number"]) for r in found.tables["patient"]] == [
        (f"p{i}", 1970, i + 1) for i in range(4)
    ]
    assert (found.rejected, found.refused) == ([], None)
    assert [(f["records"], f["rejected"], f["reason"]) for f in found.files] == [(4, 0, None)]


def test_single_pretty_resource_is_one_record(read: Read) -> None:
    found = read("fhir", "fhir", {"Patient.json": json.dumps(PATIENTS[0], indent=2)})
    assert [r["record_id"] for r in found.tables["patient"]] == ["p0"]


def test_empty_bundle_has_no_record(read: Read) -> None:
    for text in ('{"resourceType":"Bundle","type":"searchset","total":0}', '{"resourceType":"Bundle","entry":[]}', "\n\n"):
        found = read("fhir", "fhir", {"file.json": text})
        assert (found.rows, found.rejected, found.files[0]["reason"]) == ([], [], None)


def test_urn_references_are_resolved_through_the_bundle_they_stand_in(read: Read) -> None:
    """Two bundles use the same fullUrl for different patients: neither may see the other's."""

    def bundle(patient: str) -> str:
        entries = [
            {
                "fullUrl": "urn:uuid:x1",
                "resource": {"resourceType": "Condition", "id": f"c-{patient}", "subject": {"reference": "urn:uuid:u1"}},
            },
            {"fullUrl": "urn:uuid:u1", "resource": {"resourceType": "Patient", "id": patient}},
        ]
        return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    for files in ({"a.json": bundle("p1"), "b.json": bundle("p2")}, {"a.ndjson": bundle("p1") + "\n" + bundle("p2")}):
        found = read("fhir", "fhir", files)
        assert {r["record_id"]: r["person_id"] for r in found.tables["condition"]} == {"c-p1": "p1", "c-p2": "p2"}


def test_urls_of_a_bundle_do_not_leak_into_the_next_file(read: Read) -> None:
    entries = [{"fullUrl": "urn:uuid:u1", "resource": {"resourceType": "Patient", "id": "p1"}}]
    bundle = json.dumps({"resourceType": "Bundle", "entry": entries}, indent=1)
    line = json.dumps({"resourceType": "Condition", "id": "c", "subject": {"reference": "urn:uuid:u1"}})
    found = read("fhir", "fhir", {"a.json": bundle, "b.ndjson": line})
    assert [r["person_id"] for r in found.tables["condition"]] == ["u1"]


def test_deletions_become_tombstones_in_the_scope_of_their_table(read: Read) -> None:
    urls = ["Condition/123", "Patient/9", "Claim/7", "Patient?identifier=a|b", "Nonsense/1"]
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls] + [{"request": {"method": "POST", "url": "Condition/1"}}]
    found = read(
        "fhir", "fhir", {"deleted.json": json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}, indent=1)}
    )
    rows = [(r["record_id"], r["entity_name"], r["_scope"], r["_row_number"]) for r in found.tables["tombstone"]]
    assert rows == [("123", "condition", "Condition", 1), ("9", "patient", "Patient", 2), ("7", "resource", "resource", 3)]
    assert found.reasons == [(4, "not_a_fhir_resource"), (5, "not_a_fhir_resource"), (6, "not_a_fhir_resource")]


def test_one_bad_entry_does_not_stop_a_bundle(read: Read) -> None:
    """The document is not JSON as a whole; the brackets still tell its entries apart."""
    good = [json.dumps({"resource": p}) for p in PATIENTS]
    bad = ['{"resource":{"resourceType":"Patient","id":01}}', '{"resource":' + "[" * 5000 + "]" * 5000 + "}", "{}"]
    text = '{"resourceType":"Bundle",\n"entry":[' + ",\n".join([good[0], bad[0], good[1], bad[1], good[2], bad[2], good[3]]) + "]}"
    found = read("fhir", "fhir", {"bundle.json": text})
    assert [(r["record_id"], r["_row_number"]) for r in found.tables["patient"]] == [("p0", 1), ("p1", 3), ("p2", 5), ("p3", 7)]
    assert found.reasons == [(2, "invalid_json"), (4, "too_deep"), (6, "not_a_fhir_resource")]


def test_later_files_are_read_by_what_was_learned_and_stay_right(read: Read) -> None:
    """Keys appear in other orders, new keys appear, a key stands twice: the learned way must notice each."""
    first = [{"resourceType": "Patient", "id": f"a{i}", "gender": "male"} for i in range(50)]
    second = [{"gender": "female", "id": f"b{i}", "resourceType": "Patient", "birthDate": "1980"} for i in range(50)]
    text = "\n".join(json.dumps(p, separators=(",", ":")) for p in [*first, *second])
    twice = '{"resourceType":"Patient","id":"c0","gender":"male","id":"c1"}'
    found = read("fhir", "fhir", {"a.ndjson": text, "b.ndjson": text, "c.ndjson": f"{text}\n{twice}\n{text}"})
    rows = [(r["record_id"], r["gender_code"], r["birth_year"]) for r in found.tables["patient"]]
    wanted = [(f"a{i}", "male", None) for i in range(50)] + [(f"b{i}", "female", 1980) for i in range(50)]
    assert sorted(rows) == sorted(wanted * 4)
    assert [(r["file"], r["row_number"], r["reason"], r["rule"]) for r in found.rejected] == [(2, 101, "duplicate_json_key", "$.id")]


@pytest.mark.parametrize(
    "line",
    [
        b'{"resourceType":"Patient","id":"1","id":"2"}\n',
        b'{"resourceType":"Patient","gender":"m","id":"1"}{"resourceType":"Patient","id":"2"} \n\n',
        b'{"resourceType":"Patient","id":"1" }\n',
        b'{"resourceType":"Patient","id":"1"}\n\n',
        b'{"resourceType":"Patient",\n"id":"1"}\n',
        b'{"resourceType":"Patient","\\u0069d":"1"}\n',
        b'{"resourceType":"Patient","id":"1","new":1}\n',
        b'{"resourceType":"Patient","resourceType":"Patient","id":"1"}\n',
    ],
)
def test_the_learned_way_refuses_every_line_it_does_not_give_back_whole(line: bytes) -> None:
    learned = LearnedTypes()
    learned.learn(Judge(64).judge(b'{"resourceType":"Patient","id":"1","gender":"m"}\n', [1]).rows)
    assert learned.decode(b'{"gender":"m","resourceType":"Patient","id":"1"}\n', 64) is not None
    assert learned.decode(line, 64) is None


@pytest.mark.parametrize("depth", [62, 63, 64, 65, 66, 200, 5000])
def test_nesting_is_measured_exactly_at_the_limit(read_fhir: Read, depth: int) -> None:
    """The resource itself is the first level. Brackets within strings do not count."""
    inner = depth - 1
    value = "[" * inner + '"[[[[{{"' + "]" * inner
    found = read_fhir('{"resourceType":"Patient","id":"p","x":' + value + "}", '{"resourceType":"Patient","id":"q","y":"[[[[[[[["}')
    assert found.reasons == ([] if depth <= 64 else [(1, "too_deep")])
    assert len(found.tables["patient"]) == (2 if depth <= 64 else 1)


def test_both_ways_to_find_deep_lines_agree() -> None:
    """Later Pythons do not let msgspec's recursion be limited; there brackets are peeled instead."""
    assert _spare_levels() is None or isinstance(_spare_levels(), int)
    for depth in (1, 2, 31, 32, 33, 63, 64, 65, 100):
        for opening, closing in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")):
            levels = depth if len(closing) == 1 else (depth + 1) // 2
            line = (opening * levels + '"}]{["' + closing * levels).encode()
            assert _is_deep(b'{"x":[1]}\n' + line + b"\n", 64) == (nesting(line, 64) > 64) == (levels * len(closing) > 64)


@pytest.mark.parametrize(
    ("resource", "rule"),
    [
        ('{"resourceType":"Patient","id":"p","gender":"male","gender":"female"}', "$.gender"),
        ('{"resourceType":"Patient","id":"p","gender":"male","g\\u0065nder":"female"}', "$.gender"),
        ('{"resourceType":"Patient","id":"p","maritalStatus":{"text":"S","text":"M"}}', "$.maritalStatus.text"),
        ('{"resourceType":"Patient","id":"p","name":[{"given":["a"]},{"family":"b","family":"c"}]}', "$.name[1].family"),
        ('{"resourceType":"Patient","id":"p","x":{"김철수":1,"김철수":2}}', "$.x"),
        (
            '{"resourceType": "Patient", "id": "p", "extension": [{"extension": [{"url": "a", "url": "b"}]}]}',
            "$.extension[0].extension[0].url",
        ),
    ],
)
@pytest.mark.parametrize("wire", ["lines", "bundle", "array"])
def test_a_key_that_stands_twice_is_found_at_every_depth(read: Read, resource: str, rule: str, wire: str) -> None:
    """Which of two values a parser keeps is chance: msgspec takes the last, others the first."""
    good = '{"resourceType":"Patient","id":"g","name":[{"family":"a"},{"family":"a"}],"multipleBirthInteger":1,"x":1.50}'
    text = {
        "lines": f"{good}\n{resource}\n{good}\n",
        "bundle": f'{{"resourceType":"Bundle","entry":[{{"resource":{good}}},{{"resource":{resource}}},{{"resource":{good}}}]}}',
        "array": f"[{good},\n{resource},{good}]",
    }[wire]
    found = read("fhir", "fhir", {"a.json": text})
    assert [(r["row_number"], r["reason"], r["rule"]) for r in found.rejected] == [(2, "duplicate_json_key", rule)]
    assert len(found.rows) == 2
