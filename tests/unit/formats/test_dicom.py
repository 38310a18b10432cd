"""DICOM headers: the published test files, limits, and headers broken at random."""

from __future__ import annotations

import gzip
import random
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from assets.formats.reasons import Reason
from assets.formats.sandbox import run_child
from assets.landing.door import admit
from assets.landing.land import land
from assets.landing.workspace import Workspace
from tests.conftest import REPOSITORY, Deliver
from tests.dicom_files import CASES, PLANTED, instance, part10

LIMITS = {"record_bytes": 16 * 2**20}
GOLDEN = REPOSITORY / "tests" / "golden" / "formats" / "dicom"


Read = Callable[..., Any]


def _read(read: Read, *files: bytes, **options: Any) -> Any:
    """Files in order; each is one record."""
    found = read("dicom", "dicom", {f"instance.{i}.dcm": content for i, content in enumerate(files)}, options=options, limits=LIMITS)
    assert all(f["reason"] or f["records"] + f["rejected"] == 1 for f in found.files)
    return found


def _refused(found: Any) -> list[tuple[int, str]]:
    return [(r["file"], r["reason"]) for r in found.rejected]


def test_every_published_file_lands_or_is_refused_with_a_reason(shared_data: Path, tmp_path: Path, deliver: Deliver) -> None:
    """Counted by eye: two have no preamble, one is a DICOMDIR, one is cut, five name no patient, three no instance, one has text for a number; two repeat
    the file before them of the same instance (test images saved in several transfer syntaxes keep their UID only where nothing else differs)."""
    files = {f"{i}.dcm": p.read_bytes() for i, p in enumerate(sorted((shared_data / "22_dicom").rglob("*.dcm")))}
    workspace = Workspace(tmp_path)
    outcome = land(workspace, admit(workspace, deliver(tmp_path, "h07", "dicom", "published", files)))
    assert (outcome.delivered, outcome.landed, outcome.quarantined, outcome.duplicate) == (40, 25, 13, 2)
    assert Counter(q["reason"] for q in workspace.deliveries.quarantined()) == {
        "missing_person": 5, "missing_key": 3, "not_dicom": 2, "invalid_type": 1, "truncated_dicom": 1, "dicom_directory": 1,
    }  # fmt: skip
    assert outcome.rows == {"instance": 25}


def test_nothing_planted_in_a_header_is_in_any_golden_file() -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in GOLDEN.glob("*/expected.json"))
    assert sorted(p.name for p in GOLDEN.iterdir()) == sorted(CASES)
    assert [word for word in [*PLANTED.values(), "KIM", "Kim", "GILDONG", "Anna", "MAKER PRIVATE"] if word in text] == []


def test_what_stands_in_a_header_beyond_the_rules_is_in_no_file_of_the_lake(tmp_path: Path, deliver: Deliver) -> None:
    workspace = Workspace(tmp_path)
    outcome = land(workspace, admit(workspace, deliver(tmp_path, "h07", "dicom", "a", {"KIM.dcm": part10(instance())})))
    assert outcome.landed == 1
    kept = b"".join(p.read_bytes() for p in (tmp_path / "tables").rglob("*") if p.is_file())
    assert [word for word in [*PLANTED.values(), "P-1", "1.2.826", "KIM"] if word.encode() in kept] == []


def test_a_header_that_goes_on_for_ever_is_refused_and_not_held(read: Read) -> None:
    """16 MiB is the limit of a record. Elements that no rule names are passed over, whatever their length."""
    passed_over = part10(instance(PatientComments=None, StudyComments="x", RedPaletteColorLookupTableData=b"\0" * 20 * 2**20))
    claims = part10(instance(Manufacturer="M" * 60)).replace(b"LO\x3c\x00" + b"M" * 60, b"UT\0\0\xff\xff\xff\x7f" + b"M" * 56)
    found = _read(read, passed_over, claims)
    assert [r["_file"] for r in found.rows] == [0]
    assert _refused(found) == [(1, "truncated_dicom")]


def test_a_deflated_bomb_is_refused_before_it_is_unpacked(read: Read) -> None:
    packed = part10(instance(), DeflatedExplicitVRLittleEndian)
    start = packed[: 132 + 12 + int.from_bytes(packed[140:144], "little")]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = start + squeeze.compress(b"\0" * 2**28) + squeeze.flush()
    assert len(bomb) < 2**20
    assert _refused(_read(read, bomb)) == [(0, "record_too_large")]


def test_sequences_nested_without_end_are_refused(read: Read) -> None:
    """Undefined lengths, one in the other, 20,000 deep: a parser that recurses must not take the child with it."""
    whole = part10(instance())
    at = whole.index(b"\x08\x00\x20\x00DA")  # Study Date
    nest = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20_000
    assert _refused(_read(read, whole[:at] + nest))[0][1] in ("too_deep", "truncated_dicom", "invalid_dicom")


def test_the_same_number_of_two_authorities_is_two_people_unless_the_site_owns_it(read: Read) -> None:
    files = [part10(instance(IssuerOfPatientID=issuer)) for issuer in (None, "OWN", "OTHER")]
    assert len({r["person_id"] for r in _read(read, *files).rows}) == 3
    found = _read(read, *files, columns={"instance": {"own_issuer": "OWN"}})
    assert [r["person_id"] for r in found.rows] == ["P-1", "P-1", "OTHER\x1fP-1"]


def test_two_patient_numbers_in_one_header_are_no_patient_number(read: Read) -> None:
    assert _refused(_read(read, part10(instance(PatientID=["P-1", "P-2"])))) == [(0, "invalid_type")]


def test_a_packed_file_is_read_as_the_file_in_it(read: Read) -> None:
    found = read("dicom", "dicom", {"instance.dcm.gz": gzip.compress(part10(instance()))})
    assert [r["modality_code"] for r in found.rows] == ["CT"]


def test_pydicom_says_nothing_that_could_quote_a_value(jobs: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Its warnings and log lines do; in the child they are off."""
    bad = part10(instance(SpecificCharacterSet="ISO_IR 999", SliceThickness=None)).replace(b"20260301", b"KIM^ANNA")
    result = run_child(jobs.make("dicom", "dicom", {"instance.dcm": bad}))
    assert [(r.reason, r.rule) for r in result.rejected] == [("invalid_date", "StudyDate")]
    assert "KIM" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_a_header_changed_at_random_is_landed_or_refused_and_never_breaks_the_parser(syntax: str, read: Read) -> None:
    random_ = random.Random(syntax)
    sound = part10(instance(), syntax)
    broken = []
    for _ in range(80):
        data = bytearray(sound)
        for _ in range(random_.randint(1, 4)):
            place = random_.randrange(len(data))
            data[place : place + random_.randint(0, 3)] = random_.randbytes(random_.randint(0, 3))
        broken.append(bytes(data[: random_.choice([None, random_.randrange(1, len(data))])]))
    found = _read(read, *broken)
    assert {r["reason"] for r in found.rejected} <= {str(r) for r in Reason}
