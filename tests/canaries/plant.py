"""Deliveries of every feed, full of canaries: simulated ones where the simulator has the feed, else small ones, rewritten by the site files.

Belongs here: which delivery each feed is planted in, containers, names of files, manifests. Does not belong here: how one format is rewritten
(`tables`, `documents`), the search (`scan`).
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from openpyxl import Workbook
from openpyxl.comments import Comment
from pydicom import config as dicom_config

from assets.landing.manifest import split_name, table_of
from assets.sites.feed_kinds import FEED_KINDS
from assets.sites.site import Feed, load_site
from tests.canaries.documents import Hl7Planter, JsonPlanter, XmlPlanter
from tests.canaries.needles import KINDS, STRUCTURED, Flock
from tests.canaries.tables import DelimitedPlanter, meaning
from tests.conftest import REPOSITORY, site_text, write_delivery
from tests.dicom_files import PLANTED, ROOT, instance, part10
from tests.reference_cohort import write_reference
from tests.sas_files import Column, sas7bdat, transport

Files = dict[str, bytes]
SIMULATED: Mapping[str, str] = {
    "h11": "fhir_r4", "h12": "emr_csv", "h13": "omop", "h14": "hl7_v2", "h15": "ccda", "a11": "claims_nhis", "a12": "claims_hira",
    "a13": "death_registry", "w11": "open_mhealth", "r11": "redcap", "b11": "lims", "c01": "consent",
}  # fmt: skip
"""Site -> feed of the reference cohort that is planted."""
GOLDEN: Mapping[str, str] = {
    "area_code": "legal_dong_cp949", "air_quality": "long_cp949", "public_statistics": "body_measurement_cp949",
}  # fmt: skip
SYNTHEA: Files = {
    "patients.csv": b"Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,FIRST,LAST,MAIDEN,GENDER,RACE,ETHNICITY,ADDRESS,CITY,STATE,ZIP\n"
    b"a1,1970-01-02,,999-11-2222,S1,X1,Anna,Kim,Lee,F,white,nonhispanic,Main St,Boston,MA,02101\n",
    "encounters.csv": b"Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS,CODE,DESCRIPTION\n"
    b"e1,2020-01-01T00:00:00Z,2020-01-01T01:00:00Z,a1,o1,p1,y1,ambulatory,185345009,x\n",
    "conditions.csv": b"START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n2020-01-01,,a1,e1,44054006,Diabetes\n",
    "observations.csv": b"DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n"
    b"2020-01-01T00:30:00Z,a1,e1,laboratory,4548-4,A1c,7.1,%,numeric\n",
}  # fmt: skip
PARTICIPANTS: Files = {
    "participant.csv": b"participant_id,sex,birth_year,weight,bmi,diabetes,remarks\nP0001,Female,1960,61.5,22.4,Yes,none\nP0002,Male,1961,71.5,24.4,No,none\n"
}
ODM: Files = {
    "export.xml": b'<?xml version="1.0" encoding="UTF-8"?>\n<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" ODMVersion="1.3.2" Description="x" FileOID="f1">'
    b'<Study OID="S"><GlobalVariables><StudyName>x</StudyName></GlobalVariables><MetaDataVersion OID="M" Name="m">'
    b'<FormDef OID="F" Name="f" Repeating="No"><ItemGroupRef ItemGroupOID="G" Mandatory="No"/></FormDef>'
    b'<ItemGroupDef OID="G" Name="g" Repeating="No"><ItemRef ItemOID="weight" Mandatory="No"/></ItemGroupDef>'
    b'<ItemDef OID="weight" Name="weight" DataType="float"><Question><TranslatedText>weight in kg</TranslatedText></Question></ItemDef>'
    b'<ItemDef OID="memo" Name="memo" DataType="text"/><ItemDef OID="visited" Name="visited" DataType="date"/></MetaDataVersion></Study>'
    b'<ClinicalData StudyOID="S" MetaDataVersionOID="M"><SubjectData SubjectKey="77001"><StudyEventData StudyEventOID="E1" StudyEventRepeatKey="1">'
    b'<FormData FormOID="F" FormRepeatKey="1"><ItemGroupData ItemGroupOID="G" ItemGroupRepeatKey="1" TransactionType="Insert">'
    b'<ItemData ItemOID="weight" Value="61.5"/><ItemData ItemOID="visited" Value="2024-03-01"/><ItemData ItemOID="memo" Value="x"/>'
    b"</ItemGroupData></FormData></StudyEventData></SubjectData></ClinicalData></ODM>"
}
PEDIGREE: Files = {"family.ped": b"F1 1 0 0 1 1\nF1 2 0 0 2 1\nF1 3 1 2 1 2\n"}
SITE = """site = "{site}"
name = "Canaries"
kind = "{kind}"
legal_basis = "published"
owner = "data-team@biodam.invalid"
[feeds.{feed}]
time_zone = "Asia/Seoul"
"""
ODM_SITE = """[feeds.cdisc_odm.registry]
person = "subject"
event_date = "visited"
"""


@dataclass(frozen=True)
class Source:
    """A delivery before canaries are planted in it.

    Attributes:
        feed: Feed name.
        wire: Container, where it is another than the files have.
        site: Text of the site file, with `{site}` in place of the id where it is one of ours.
        files: Name -> content.
    """

    feed: str
    wire: str
    site: str
    files: Files


def sources(folder: Path) -> Iterator[Source]:
    """A delivery of every feed, and of tables in every container.

    Args:
        folder: Empty folder for the simulator.
    """
    write_reference(folder)
    for site, feed in SIMULATED.items():
        delivery = folder / "deliveries" / site / feed / "2026-03-full"
        wanted = (p for p in sorted(delivery.iterdir()) if p.name != "manifest.json" and not re.match("again|cut|doctype|encoding", p.name))
        files = {p.name: p.read_bytes() for p in wanted}
        yield Source(feed, "", _published(site_text(site), site), dict(list(files.items())[:2]) if feed == "ccda" else files)
    for feed, case in GOLDEN.items():
        place = REPOSITORY / "tests" / "golden" / "deliveries" / feed / case
        text = (place / "site.toml").read_text(encoding="utf-8")
        found = re.search(r'^site = "(\w+)"', text, re.MULTILINE)
        assert found
        yield Source(feed, "", _published(text, found[1]), {p.name: p.read_bytes() for p in place.glob("*.csv")})
    for feed, kind, files in (
        ("synthea_csv", "hospital", SYNTHEA),
        ("biobank_participants", "biobank", PARTICIPANTS),
        ("dicom", "hospital", {"image": b""}),
        ("pedigree", "hospital", PEDIGREE),
    ):
        yield Source(feed, "", SITE.format(site="{site}", kind=kind, feed=feed), files)
    yield Source("cdisc_odm", "", SITE.format(site="{site}", kind="registry", feed="cdisc_odm") + ODM_SITE, ODM)
    for wire, files in _CONTAINED.items():
        yield Source("emr_csv", wire, SITE.format(site="{site}", kind="hospital", feed="emr_csv") + _CONTAINER_SITES.get(wire, ""), files)


_PEOPLE = (
    b"patient_number,resident_number,birth_date,gender,province,is_deleted\nA1,700101-1234567,1970-01-01,M,11,N\nA2,,1971-01-01,F,26,N\n"
)
_CONTAINED: Mapping[str, Files] = {
    wire: {"patient.csv": _PEOPLE} for wire in ("xlsx", "fixed_width", "xpt", "sas7bdat", "parquet", "archive")
}
_WIDTH = 64
_CONTAINER_SITES: Mapping[str, str] = {
    "fixed_width": "encoding = \"cp949\"\n[feeds.emr_csv.tables.patient.positions]\n"
    + "".join(f"{name} = [{at * _WIDTH + 1}, {(at + 1) * _WIDTH}]\n" for at, name in enumerate(_PEOPLE.decode().split("\n", 1)[0].split(","))),
    "xpt": "[feeds.emr_csv.columns.patient]\n" + "".join(f'{name} = "C{at}"\n' for at, name in enumerate(_PEOPLE.decode().split("\n", 1)[0].split(","))),
}  # fmt: skip


def _published(text: str, site: str) -> str:
    """The site file of a site that needs no consent service: canaries go all the way to the marts."""
    return text.replace(f'site = "{site}"', 'site = "{site}"', 1).replace('legal_basis = "consented"', 'legal_basis = "published"')


@dataclass(frozen=True)
class Planted:
    """A delivery with canaries, as `write_delivery` takes it."""

    site: str
    site_text: str
    feed: str
    wire: str
    files: Files


def plant(folder: Path, flock: Flock, first: str = "k") -> Iterator[Planted]:
    """A planted delivery of every source.

    Args:
        folder: Empty folder for work.
        flock: Makes the canaries.
        first: First letter of the sites.
    """
    for number, source in enumerate(sources(folder / "simulated"), 10):
        site = f"{first}{number}"
        text = source.site.replace("{site}", site)
        (folder / f"{site}.toml").write_text(text, encoding="utf-8")
        feed = load_site(folder / f"{site}.toml").feeds[source.feed]
        files = {name: content for old, whole in source.files.items() for name, content in _rewritten(source, feed, old, whole, flock)}
        yield Planted(site, text, source.feed, source.wire, files)


def _rewritten(source: Source, feed: Feed, name: str, content: bytes, flock: Flock) -> Iterator[tuple[str, bytes]]:
    """A file with canaries, wrong files like it, and the like under the name of a canary."""
    where = f"{source.feed} {source.wire}".strip()
    wire = source.wire or feed.kind.formats.get(split_name(name)[1], feed.kind.formats.get("*", ""))
    entity = _entity(feed, name)
    planted = list(_PLANTERS[wire](feed, where, name, content, entity, flock))
    yield from planted
    last, whole = planted[0]
    _, ending, _ = split_name(last)
    yield f"{flock.one('name', f'{where} file name')}_{flock.one('resident number', f'{where} file name')}{ending}", whole
    yield f"{flock.one('romanised name', f'{where} folder')}/{split_name(last)[0]}_77{ending}", whole[: len(whole) // 2]


def _entity(feed: Feed, name: str) -> str:
    stems = {stem.lower(): entity for stem, entity in feed.files.items()}
    table = table_of(name, [*stems, *feed_entities(feed)]) or ""
    return stems.get(table.lower(), table)


def feed_entities(feed: Feed) -> list[str]:
    """Tables of a feed's contract."""
    from assets.contracts.table import load_contract

    return list(load_contract(feed.kind.family).entities)


Planter = Callable[[Feed, str, str, bytes, str, Flock], Iterator[tuple[str, bytes]]]


def _numbered(name: str, contents: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    stem, dot, ending = name.rpartition(".")
    for number, content in enumerate(contents):
        yield (f"{stem}_{number}{dot}{ending}" if number else name), content


def _delimited(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    return _numbered(name, DelimitedPlanter(feed, flock, f"{where} {entity}").files(content, entity))


def _fhir(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    yield name, JsonPlanter(flock, f"{where} {entity}", r"pat-[0-9a-f]{16}").file(content)


def _points(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    yield name, JsonPlanter(flock, where, r"user-\d{9}").file(content)


def _ccda(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    free = r'(?:<(?:family|given|streetAddressLine|city|title|text)>|<telecom value=")([^<"]+)'
    return _numbered(name, XmlPlanter(flock, where, r'root="2\.999\.15\.1" extension="(\d+)"', free).files(content))


def _odm(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    return _numbered(name, XmlPlanter(flock, where, r'SubjectKey="(\d+)"', r'ItemOID="memo" Value="(\w+)"').files(content))


def _hl7(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    yield name, Hl7Planter(flock, f"{where} {name}", feed.encoding).file(content)


def _redcap(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    return _numbered(name, DelimitedPlanter(feed, flock, f"{where} {name}").files(content, ""))


def _parquet(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    """Further columns, names in the file's own metadata, texts where numbers belong."""
    if content.startswith(b"PAR1"):
        table = pq.read_table(io.BytesIO(content))
    else:
        table = pacsv.read_csv(io.BytesIO(content), convert_options=pacsv.ConvertOptions(strings_can_be_null=True))
    for at in range(3):
        cells = [flock.any(f"{where} {entity} further column") for _ in range(table.num_rows)]
        table = table.append_column(flock.any(f"{where} {entity} header") if at else "성명", pa.array(cells))
    people = meaning(feed, entity, table.column_names)
    for column in table.column_names:
        if column in people.texts and pa.types.is_string(table[column].type):
            cells = table[column].to_pylist()
            cells[0] = flock.any(f"{where} {entity} cell of {column}", DelimitedPlanter.kinds(column, people))
            table = table.set_column(table.column_names.index(column), column, pa.array(cells, pa.string()))
        elif column in people.local and pa.types.is_string(table[column].type):
            cells = [flock.instead_of("record number", c, f"{where} person") if c else c for c in table[column].to_pylist()]
            table = table.set_column(table.column_names.index(column), column, pa.array(cells, pa.string()))
    table = table.replace_schema_metadata({"author": flock.any(f"{where} metadata")})
    stem = name.rpartition(".")[0]
    yield f"{stem}.parquet", _as_parquet(table)
    for number, column in enumerate(sorted(people.read), 1):
        cells = [flock.any(f"{where} {entity} text in {column}", DelimitedPlanter.kinds(column, people)) for _ in range(table.num_rows)]
        yield (
            f"{stem}_{number}.parquet",
            _as_parquet(table.set_column(table.column_names.index(column), column, pa.array(cells, pa.string()))),
        )
    yield f"{stem}_99.parquet", b"PAR1" + flock.any(f"{where} {entity} broken file").encode() * 30


def _as_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _contained(feed: Feed, where: str, content: bytes, flock: Flock) -> tuple[list[str], list[list[str]]]:
    header, rows = (
        DelimitedPlanter(feed, flock, where).planted(content, "patient")
        if not feed.layout("patient").positions
        else _by_position(feed, where, content, flock)
    )
    return header, rows


def _by_position(feed: Feed, where: str, content: bytes, flock: Flock) -> tuple[list[str], list[list[str]]]:
    lines = [line.split(",") for line in content.decode().splitlines()]
    rows = lines[1:]
    for at in range(len(lines[0])):
        row = [*rows[0]]
        row[at] = flock.any(f"{where} cell of {lines[0][at]}", STRUCTURED)
        rows.append(row)
    return lines[0], rows


def _fixed_width(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    _, rows = _contained(feed, where, content, flock)
    lines = [
        b"".join(cell.encode("cp949")[:_WIDTH].ljust(_WIDTH) for cell in row)
        + flock.any(f"{where} behind the last position").encode("cp949")
        for row in rows
    ]
    lines += [flock.any(f"{where} short line").encode("cp949"), b"\xff" + lines[0]]
    yield "patient.dat", b"\r\n".join(lines) + b"\r\n"


def _xpt(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    _, rows = _by_position(feed, where, content, flock)
    columns = {f"C{at}": [row[at] for row in rows] for at in range(len(rows[0]))}
    columns["X1"] = [flock.any(f"{where} further column") for _ in rows]
    whole = transport(columns, version=8)
    yield "patient.xpt", whole
    yield "patient_2.xpt", transport({"C0": ["1"], "C7": [flock.any(f"{where} two sets")]}, version=8) + whole
    yield "patient_3.xpt", whole[:800] + flock.any(f"{where} broken file").encode() * 9


def _sas(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    header, rows = _by_position(feed, where, content, flock)
    columns = [Column(h, 120) for h in header] + [Column(flock.one("name", f"{where} header"), 120)]
    whole = sas7bdat(columns, [[*row, flock.any(f"{where} further column")] for row in rows])
    yield "patient.sas7bdat", whole
    yield "patient_2.sas7bdat", whole[: len(whole) // 2]
    yield (
        "patient_3.sas7bdat",
        sas7bdat([Column(h, 120) for h in header[1:]] + columns[-1:], [[*rows[0][1:], flock.any(f"{where} further column")]]),
    )


def _xlsx(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    header, rows = DelimitedPlanter(feed, flock, where).planted(content, "patient")
    book = Workbook()
    book.properties.creator = flock.any(f"{where} author")
    sheet = book.active
    assert sheet is not None
    sheet.title = "patient"
    sheet.append([*header, "성명", flock.any(f"{where} header")])
    for row in rows:
        sheet.append([*row, flock.any(f"{where} further column"), flock.any(f"{where} further column")])
    sheet["A2"].comment = Comment(flock.any(f"{where} comment"), flock.one("name", f"{where} comment"))
    stranger = book.create_sheet(flock.one("name", f"{where} sheet name"))
    stranger.append([flock.any(f"{where} sheet of nobody") for _ in range(4)])
    second = book.create_sheet("patient_2")
    second.append([flock.any(f"{where} header") for _ in range(3)])
    second.append(["#REF!", "x", flock.any(f"{where} sheet without header")])
    out = io.BytesIO()
    book.save(out)
    yield "patient.xlsx", out.getvalue()
    yield "patient_3.xlsx", out.getvalue()[:-300]


def _archive(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    planted = list(_delimited(feed, where, name, content, entity, flock))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for member, body in planted:
            package.writestr(f"{flock.any(f'{where} folder of a member', ('name', 'romanised name', 'phone'))}/{member}", body)
        package.writestr(f"{flock.one('name', f'{where} member')}.csv", planted[0][1])
        package.writestr(f"../{flock.one('name', f'{where} unsafe member')}.csv", b"x")
        package.comment = flock.any(f"{where} comment").encode()
    yield "patient.zip", out.getvalue()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as bundle:
        for member, body in planted[:2]:
            info = tarfile.TarInfo(f"{flock.one('name', f'{where} member')}_{member}")
            info.size, info.uname = len(body), flock.one("romanised name", f"{where} owner of a member")
            bundle.addfile(info, io.BytesIO(body))
    yield "patient_2.tar.gz", tar.getvalue()
    yield "patient_3.zip", out.getvalue()[:-200]


def _ped(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    """Names as families and members, behind the sixth field, in remarks and in the header; each field once; lines that are none."""

    def word(place: str) -> str:
        return flock.any(f"{where} {place}").replace(" ", "_")

    rows = [line.split() for line in content.decode().splitlines()]
    people = {row[1]: word("member") for row in rows} | {"0": "0"}
    family = word("family")
    told = [[family, people[row[1]], people[row[2]], people[row[3]], *row[4:], word("behind the sixth field")] for row in rows]
    told += [[*rows[0][:at], word(f"field {at + 1}"), *rows[0][at + 1 :]] for at in range(6)]
    lines = [
        "#FID IID PAT MAT SEX PHENO " + word("header"),
        f"# {flock.any(f'{where} remark')}",
        *map(" ".join, told),
        word("short line"),
        "\0" + word("NUL"),
    ]
    yield name, "\n".join(lines).encode() + b"\n\xff" + word("damaged line").encode() + b"\n"


def _dicom(feed: Feed, where: str, name: str, content: bytes, entity: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    """Every attribute that is not read, then one by one those that are."""
    before = dicom_config.settings.writing_validation_mode
    dicom_config.settings.writing_validation_mode = dicom_config.IGNORE
    try:
        yield from _images(where, flock)
    finally:
        dicom_config.settings.writing_validation_mode = before


def _images(where: str, flock: Flock) -> Iterator[tuple[str, bytes]]:
    read = (
        "Modality",
        "BodyPartExamined",
        "Manufacturer",
        "ManufacturerModelName",
        "BurnedInAnnotation",
        "StudyDate",
        "SeriesDate",
        "SliceThickness",
        "Laterality",
    )
    for number, keyword in enumerate(("", *read, "PatientID", "SOPClassUID", "StudyInstanceUID"), 1):
        texts = {k: flock.any(f"{where} {k}") for k in PLANTED if k != "PatientBirthDate"}
        ids = {"SOPInstanceUID": f"{ROOT}7.{number}", "StudyInstanceUID": ROOT + "7", "SeriesInstanceUID": ROOT + "7.0"}
        person = flock.instead_of("record number", "image", f"{where} person")
        changes = {"SpecificCharacterSet": "ISO_IR 192", "PatientID": person, **texts, **ids}
        kinds = STRUCTURED if keyword.startswith("Manufacturer") else KINDS
        canary = flock.any(f"{where} {keyword}", kinds).encode() if keyword else b""
        stand_in = "7" * len(canary)  # no writer puts such a text in such an element
        if keyword:
            changes[keyword] = stand_in
        yield f"image-{number}", part10(instance(**changes)).replace(stand_in.encode(), canary) if keyword else part10(instance(**changes))
    whole = part10(instance(PatientName=flock.one("name", f"{where} cut header"), SpecificCharacterSet="ISO_IR 192"))
    yield "image-98", whole[:420]
    yield "image-99", flock.any(f"{where} no image").encode() * 20


_PLANTERS: Mapping[str, Planter] = {
    "delimited": _delimited, "fixed_width": _fixed_width, "xlsx": _xlsx, "parquet": _parquet, "xpt": _xpt, "sas7bdat": _sas, "archive": _archive,
    "fhir": _fhir, "open_mhealth": _points, "hl7": _hl7, "ccda": _ccda, "odm": _odm, "redcap": _redcap, "dicom": _dicom, "ped": _ped,
}  # fmt: skip
"""Wire format -> what plants canaries in a file of it."""


def planted_wires() -> set[str]:
    """Wire formats that canaries are planted in."""
    return set(_PLANTERS)


def wires_of_feeds() -> set[str]:
    """Wire formats that some feed is read in."""
    return {wire for kind in FEED_KINDS.values() for wire in kind.formats.values()} | {"fixed_width"}


def misnamed(root: Path, site: str, feed: str, flock: Flock) -> None:
    """Deliveries whose names and manifests hold canaries."""

    def ascii_name(place: str) -> str:
        return flock.one("romanised name", place).replace(" ", "-")

    names = (flock.one("resident number", "delivery id"), flock.one("phone", "delivery id"), flock.one("name", "folder of a delivery"))
    changes = (
        {"period": flock.one("name", "manifest period")},
        {"period": flock.one("resident number", "manifest period")},
        {"contract": flock.one("name", "manifest contract")},
        {flock.one("name", "manifest key"): 1},
        {"delivery_id": flock.one("name", "manifest delivery id")},
        {"site": flock.one("name", "manifest site")},
        {"sequence": flock.one("name", "manifest sequence")},
        {"files": [{"path": flock.one("name", "manifest path"), "sha256": flock.one("name", "manifest hash"), "bytes": 1}]},
        {"files": [{"path": flock.one("name", "manifest path"), "sha256": "0" * 64, "bytes": 1}]},
        {"files": [{"path": "a.csv", "sha256": "0" * 64, "bytes": 1, flock.one("name", "manifest key"): 1}]},
        {"files": flock.one("free text", "manifest files")},
    )
    for number, name in enumerate(names, 901):
        write_delivery(root, site, feed, name, {f"{name}.csv": f"x,y\n{number},2\n"}, sequence=number)
    for number, change in enumerate(changes, 921):
        folder = write_delivery(root, site, feed, f"q{number}", {"patient.csv": f"x,y\n{number},2\n"}, sequence=number)
        _amend(folder, change)
    folder = write_delivery(root, site, feed, "q960", {"patient.csv": "x\n1\n"}, sequence=960)
    (folder / f"{flock.one('name', 'undeclared file')}.csv").write_text("x")
    folder = write_delivery(root, site, feed, "q961", {"patient.csv": "x\n2\n"}, sequence=961)
    (folder / "manifest.json").write_text(f'{{"site": {flock.one("name", "broken manifest")}', encoding="utf-8")
    for number, (strange, kind) in enumerate(
        (
            (flock.one("name", "folder of a site"), feed),
            (ascii_name("folder of a site").lower(), feed),
            (site, flock.one("name", "folder of a feed")),
        ),
        970,
    ):
        write_delivery(root, strange, kind, f"q{number}", {"patient.csv": f"x\n{number}\n"})


def _amend(folder: Path, change: Mapping[str, object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, **change}, ensure_ascii=False), encoding="utf-8")


def deliver(root: Path, folder: Path, flock: Flock, first: str = "k") -> dict[str, str]:
    """Write planted deliveries of every feed, and misnamed ones, into the inbox of a lake.

    Returns:
        Site -> text of its file.
    """
    texts = {}
    for planted in plant(folder, flock, first):
        texts[planted.site] = planted.site_text
        for name in planted.files:
            (root / "inbox" / planted.site / planted.feed / "d1" / name).parent.mkdir(parents=True, exist_ok=True)
        write_delivery(root, planted.site, planted.feed, "d1", planted.files)
    emr = next(site for site, text in texts.items() if "[feeds.emr_csv]" in text)
    misnamed(root, emr, "emr_csv", flock)
    return texts
