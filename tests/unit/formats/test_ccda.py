"""C-CDA documents: what is refused and why, what is accounted for whatever the bytes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from assets.formats.ccda_model import NAMES, TEMPLATES
from assets.formats.ccda_paths import compile_paths
from assets.formats.ccda_values import Flaw, read_number, read_part
from assets.formats.count import count_records
from assets.formats.count_xml import EntryCounter
from assets.formats.sandbox import run_child
from assets.landing.job import LIMITS
from assets.privacy.scrub import load_rules

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "ccda"
OPEN = b'<ClinicalDocument xmlns="urn:hl7-org:v3">'
PERSON = b'<recordTarget><patientRole><id root="2.999.1" extension="P-1"/></patientRole></recordTarget>'
SMALL = (
    OPEN
    + PERSON
    + b"<component><structuredBody><component><section><entry/></section></component></structuredBody></component></ClinicalDocument>"
)


def wrapped(inner: bytes) -> bytes:
    return OPEN + PERSON + inner + b"</ClinicalDocument>"


@dataclass
class Reading:
    """Documents 0, 1, ... after they were read: rows by table, refused files, refused records, what the independent counter says."""

    rows: dict[str, list[dict[str, Any]]]
    refused: dict[int, str]
    rejected: list[tuple[int, int, str, str]]
    counted: list[int]

    def accounted(self, file: int = 0) -> bool:
        """Did each record become a row of `document_part` or a refusal, as many as were counted?"""
        numbers = [r["_row_number"] for r in self.rows.get("document_part", []) if r["_file"] == file]
        return sorted(numbers + [r[1] for r in self.rejected if r[0] == file]) == list(range(1, self.counted[file] + 1))


ReadCcda = Callable[..., Reading]


@pytest.fixture
def read_ccda(read: Callable[..., Any]) -> ReadCcda:
    """Reads documents given by their bytes."""

    def run(*documents: bytes, **options: Any) -> Reading:
        found = read("ccda", "ccda", {f"{n}.xml": data for n, data in enumerate(documents)}, options=options, limits=LIMITS)
        folder = found.folder.parent
        return Reading(
            found.tables,
            {f["index"]: f["reason"] for f in found.files if f["reason"]},
            sorted((r["file"], r["row_number"], r["reason"], r["rule"]) for r in found.rejected),
            [count_records(folder / f"{n}.xml", "ccda").records for n in range(len(documents))],
        )

    return run


REFUSED = {
    "billion laughs": (
        b'<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "'
        + b"&lol;" * 10
        + b'"><!ENTITY lol3 "'
        + b"&lol2;" * 10
        + b'">]>'
        + wrapped(b"<title>&lol3;</title>"),
        "xml_doctype",
    ),
    "an outside entity": (
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + wrapped(b"<title>&x;</title>"),
        "xml_doctype",
    ),
    "an outside DTD": (b'<!DOCTYPE ClinicalDocument SYSTEM "http://192.0.2.1/cda.dtd">' + SMALL, "xml_doctype"),
    "a parameter entity": (b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://192.0.2.1/p"> %p;]>' + SMALL, "xml_doctype"),
    "a DOCTYPE and nothing else": (b"\n<!-- first --><?note here?>\n<!DOCTYPE ClinicalDocument>" + SMALL, "xml_doctype"),
    "a DOCTYPE in UTF-16": (('\ufeff<!DOCTYPE a [<!ENTITY x "y">]>' + SMALL.decode()).encode("utf-16-le"), "xml_doctype"),
    "a DOCTYPE in UTF-16 without a mark": (("<!DOCTYPE a>" + SMALL.decode()).encode("utf-16-be"), "xml_doctype"),
    "a DOCTYPE in UTF-7": (b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-' + SMALL, "xml_doctype"),
    "an entity nobody declared": (wrapped(b"<title>&nbsp;</title>"), "invalid_document"),
    "70 levels": (wrapped(b"<a>" * 70 + b"</a>" * 70), "too_deep"),
    "100,000 levels": (wrapped(b"<a>" * 100_000), "too_deep"),
    "a text of 11 MB": (wrapped(b"<text>" + b"x" * 11_000_000 + b"</text>"), "record_too_large"),
    "an attribute of 11 MB": (wrapped(b'<text ID="' + b"x" * 11_000_000 + b'"/>'), "record_too_large"),
    "17 MB": (wrapped(b"<text>x</text>" * 1_300_000), "record_too_large"),
    "bytes that are not UTF-8": (wrapped(b"<title>\xb0\xed</title>"), "encoding"),
    "an encoding that does not exist": (b'<?xml version="1.0" encoding="UNKNOWN-9"?>' + SMALL, "encoding"),
    "an encoding that is no text": (b'<?xml version="1.0" encoding="zlib"?>' + SMALL, "encoding"),
    "bytes that are not of the declared encoding": (
        b'<?xml version="1.0" encoding="EUC-KR"?>' + wrapped(b"<title>\xff\xff</title>"),
        "encoding",
    ),
    "a NUL byte": (wrapped(b"<title>\0</title>"), "invalid_document"),
    "an end that is missing": (SMALL[:-3], "invalid_document"),
    "something behind the end": (SMALL + b"<more/>", "invalid_document"),
    "a name twice in a tag": (wrapped(b'<a b="1" b="2"/>'), "invalid_document"),
    "blanks only": (b" \n ", "invalid_document"),
    "no bytes": (b"", "empty_file"),
    "JSON": (b'{"resourceType": "Bundle"}', "invalid_document"),
    "HTML": (b"<html><body>Error 500</body></html>", "not_a_clinical_document"),
    "another namespace": (SMALL.replace(b"urn:hl7-org:v3", b"urn:hl7-org:v2"), "not_a_clinical_document"),
    "no namespace": (SMALL.replace(b' xmlns="urn:hl7-org:v3"', b""), "not_a_clinical_document"),
    "nobody": (SMALL.replace(PERSON, b""), "missing_person"),
    "two people": (SMALL.replace(PERSON, PERSON * 2), "missing_person"),
}


@pytest.mark.scenario("13 XML bombs, XXE")
@pytest.mark.parametrize("name", REFUSED)
def test_document_is_refused_with_a_reason(name: str, read_ccda: ReadCcda) -> None:
    data, reason = REFUSED[name]
    reading = read_ccda(data, SMALL)
    assert reading.refused == {0: reason}
    assert reading.accounted(1), "the other document landed"


def test_a_prefix_is_as_good_as_a_default_namespace(read_ccda: ReadCcda) -> None:
    prefixed = SMALL.replace(b"<", b"<c:").replace(b"<c:/", b"</c:").replace(b"xmlns=", b"xmlns:c=")
    reading = read_ccda(prefixed)
    assert (reading.counted, reading.refused, len(reading.rows["document_part"])) == ([2], {}, 2)


def test_a_byte_order_mark_and_comments_are_no_matter(read_ccda: ReadCcda) -> None:
    reading = read_ccda(b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?><!-- <!DOCTYPE a> --><?style <entry ?>" + SMALL)
    assert (reading.counted, reading.refused) == ([2], {})
    assert reading.accounted()


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_counter_may_be_fed_in_any_pieces(size: int) -> None:
    for case in GOLDEN.iterdir():
        data = (case / "input.xml").read_bytes()
        whole, pieces = EntryCounter(), EntryCounter()
        whole.feed(data)
        if data[:1] not in (b"<", b"\xef"):
            continue  # the first chunk tells the encoding; it is never that short
        for at in range(0, len(data), size):
            pieces.feed(data[at : at + size])
        assert pieces.close() == whole.close(), case.name


def test_counter_and_parser_share_no_module() -> None:
    import ast

    import assets.formats.count_xml as module

    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    imported = {
        n.module if isinstance(n, ast.ImportFrom) else a.name
        for n in ast.walk(tree)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for a in n.names
    }
    assert imported == {"__future__", "codecs", "re"}


def test_the_same_document_twice_in_a_delivery_has_the_same_rows(read_ccda: ReadCcda) -> None:
    """Landing then counts the second as duplicate: all columns are equal, the digest among them."""
    data = (GOLDEN / "a_statement_for_each_table" / "input.xml").read_bytes()
    rows = read_ccda(data, data).rows["document_part"]
    first, second = ([{k: v for k, v in r.items() if k != "_file"} for r in rows if r["_file"] == f] for f in (0, 1))
    assert first == second
    assert len(first) == 10


def test_own_authority_decides_which_number_is_the_patients(read_ccda: ReadCcda) -> None:
    ids = b'<id root="2.999.7" extension="other"/><id root="2.999.1" extension="P-1"/>'
    data = SMALL.replace(b'<id root="2.999.1" extension="P-1"/>', ids)
    assert read_ccda(data).rows["patient"][0]["person_id"] == "2.999.7|other"
    assert read_ccda(data, assigning_authority="2.999.1").rows["patient"][0]["person_id"] == "P-1"


JUNK = [
    b"<entry>", b"</entry>", b"<entry/>", b"<entry ", b"<x:entry/>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?", b"?>", b"&amp;", b"&lt;entry>", b"&x;", b"<", b">", b'"',
    b"\0", b"\xff", b"\xef\xbb\xbf", b"<!DOCTYPE a>", b' nullFlavor="UNK"', b' value="NaN"', b' value="-1"', b' value="99999999"', b' value="20241399"', b' negationInd="x"',
    b' xsi:type="IVL_PQ"', b' xsi:type="x:y:z"', b' code="\xed\x95\x9c"', b' root="2.16.840.1.113883.10.20.22.4.4"', b"<subject/>", b"<id/>", b"<id root=''/>", b"entries", b"<entryRelationship>",
]  # fmt: skip


def _mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 2, 3, 12))):
        place = chance.randrange(len(data) + 1)
        kind = chance.random()
        if kind < 0.35:
            data[place:place] = chance.choice(JUNK)
        elif kind < 0.6:  # inside a value, where the XML stays well-formed
            at = data.find(b'="', place)
            data[at + 2 : at + 2 + chance.randint(0, 4)] = bytes(chance.choices(b"0123456789.abc-+ ", k=chance.randint(0, 12)))
        elif kind < 0.75:  # an element that is there once more, or in another place
            at = data.find(b"<", place)
            end = data.find(b"/>", at) + 2
            data[place:place] = data[at:end] if 0 <= at < end else b""
        elif kind < 0.85:
            del data[place : place + chance.choice((1, 3, 40))]
        elif kind < 0.95:
            data[place : place + 1] = bytes([chance.randrange(256)])
        else:
            del data[place:]
    return bytes(data)


@pytest.mark.parametrize("seed", range(3))
def test_mutated_documents_never_crash_and_every_record_is_accounted_for(read_ccda: ReadCcda, seed: int) -> None:
    chance = random.Random(seed)
    seeds = [p.read_bytes() for p in sorted(GOLDEN.glob("*/input.xml"))]
    files = [_mutated(chance, seeds) for _ in range(150)]
    reading = read_ccda(*files)
    assert [i for i in range(len(files)) if i not in reading.refused and not reading.accounted(i)] == []
    assert len(reading.refused) < len(files), "some mutations leave the document readable"


@pytest.mark.scenario("16 parser segfault, abort, hang")
@pytest.mark.parametrize(
    ("hook", "reason"), [("test_crash_on", "parser_crash"), ("test_memory_on", "parser_memory"), ("test_hang_on", "parser_timeout")]
)
def test_a_document_that_kills_the_parser_costs_only_itself(hook: str, reason: str, jobs: Any) -> None:
    seconds = 3.0 if hook == "test_hang_on" else 60.0
    limits = {**LIMITS, "stall_seconds": seconds, "memory_bytes": 2**29}
    job = jobs.make("ccda", "ccda", {"0.xml": wrapped(b"<title>deadly</title>"), "1.xml": SMALL}, options={hook: "deadly"}, limits=limits)
    result = run_child(job)
    assert [(f.index, f.reason, f.records) for f in result.files] == [(0, reason, 0), (1, None, 3)]


def test_what_was_gathered_is_written_also_where_the_last_document_kills_the_parser(jobs: Any) -> None:
    job = jobs.make(
        "ccda", "ccda", {"0.xml": SMALL, "1.xml": wrapped(b"<title>deadly</title>")}, options={"test_crash_on": "deadly"}, limits=LIMITS
    )
    assert [(f.reason, f.records) for f in run_child(job).files] == [(None, 3), ("parser_crash", 0)]


def test_every_path_of_the_rules_can_be_read() -> None:
    for entity in load_rules("ccda").values():
        for path in [*(rule.path for rule in entity.rules.values()), *entity.identity.values()]:
            assert path in NAMES or compile_paths(path)
    with pytest.raises(ValueError, match="no step"):
        compile_paths("value[1]")


@pytest.mark.parametrize(
    ("text", "parts"),
    [("1975", (1975, None, None)), ("197502", (1975, 2, None)), ("19750228", (1975, 2, 28)), ("197502281230-0500", (1975, 2, 28))],
)
def test_a_birth_date_is_as_exact_as_it_is_written(text: str, parts: tuple[int | None, ...]) -> None:
    assert tuple(read_part(text, part) for part in ("year", "month", "day")) == parts


@pytest.mark.parametrize(
    "text", ["", "75", "19750230", "1975-02-28", "18490101", "23010101", "May 1975", "0000", "\u0661\u0669\u0667\u0665"]
)
def test_a_birth_date_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(Flaw):
        read_part(text, "year")


@pytest.mark.parametrize("text", ["", "NaN", "INF", "1e999", "1,5", "1-2", "0x10", "\uff11\uff12", "1_000"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Flaw):
        read_number(text)


def test_all_real_documents_are_accounted_for(read_ccda: ReadCcda, shared_data: Path) -> None:
    """109 files: 19 documents; 73 fragments without a header; 17 that are no well-formed XML by themselves."""
    paths = sorted(p for p in (shared_data / "03_ccda").rglob("*") if p.suffix in (".xml", ".ccda"))
    reading = read_ccda(*(p.read_bytes() for p in paths))
    assert Counter(reading.refused.values()) == {"not_a_clinical_document": 73, "invalid_document": 17}
    assert all(reading.accounted(i) for i in range(len(paths)) if i not in reading.refused)
    assert {paths[i].parts[-3] for i, reason in reading.refused.items() if reason == "invalid_document"}.isdisjoint(
        {"ms_fhir_converter", "Documents"}
    )
    assert {t: len(rows) for t, rows in reading.rows.items()} == {
        "allergy": 23, "document_part": 340, "encounter": 13, "immunization": 24, "medication": 26, "observation": 151, "patient": 19, "problem": 50,
        "procedure": 36,
    }  # fmt: skip
    assert {(r[2], r[3]) for r in reading.rejected} == {
        ("invalid_date", "effectiveTime/low@value|effectiveTime@value"),
        ("invalid_date", "author/time@value|^act/author/time@value"),
    }
    assert len(reading.rejected) == 4


def test_another_xml_library_finds_as_many_statements(read_ccda: ReadCcda, shared_data: Path) -> None:
    """Each act with a template of a table is a row, unless it has a nullFlavor; the header's encounter is one more."""
    paths = [
        p for p in sorted((shared_data / "03_ccda" / "ms_fhir_converter").glob("*.ccda")) if p.name != "Transfer_Summary.ccda"
    ]  # has bad dates
    reading = read_ccda(*(p.read_bytes() for p in paths))
    found: Counter[str] = Counter()
    for path in paths:
        root = ElementTree.fromstring(path.read_bytes())
        found["patient"] += 1
        found["encounter"] += len(root.findall(".//{*}encompassingEncounter"))
        found["document_part"] += 1 + len(root.findall(".//{*}entry"))
        for element in root.iter():
            tables = [TEMPLATES[r][0] for t in element.findall("{urn:hl7-org:v3}templateId") if (r := t.get("root")) in TEMPLATES]
            if tables and "moodCode" in element.attrib and "nullFlavor" not in element.attrib:
                found[tables[0]] += 1
    assert {t: len(rows) for t, rows in reading.rows.items()} == dict(found)
