"""Archives that mean harm, or were packed by a machine that adds its own: each member is accounted for, nothing is written where a name says."""

from __future__ import annotations

import gzip
import io
import tarfile
import uuid
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from assets.landing.door import admit
from assets.landing.land import Landing, land
from assets.landing.workspace import Workspace
from tests.conftest import write_delivery

PATIENTS = "Id,BIRTHDATE,DEATHDATE,GENDER,RACE,ETHNICITY,STATE\n{0},1970-01-01,,M,white,nonhispanic,MA\n"
GOOD = PATIENTS.format("good")
BAD = PATIENTS.format("bad")

Members = Mapping[str, bytes | str]


def packed(members: Members, *, kind: str = "zip", change: Callable[[Any], None] = lambda entry: None) -> bytes:
    """A ZIP or TAR of these members, names as given; `change` may alter the header of each."""
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                entry = zipfile.ZipInfo(name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                change(entry)
                archive.writestr(entry, content)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz" if kind == "tar.gz" else "w") as archive:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            change(entry)
            archive.addfile(entry, io.BytesIO(data) if entry.isreg() else None)
    return out.getvalue()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "lake")


def _land(workspace: Workspace, files: Mapping[str, bytes | str], *, feed: tuple[str, str] = ("h03", "synthea_csv")) -> Landing:
    key = admit(workspace, write_delivery(workspace.root, *feed, "d1", files))
    outcome = land(workspace, key)
    row: Any = workspace.deliveries.get(key)
    assert row["state"] == "landed", row["detail"]
    assert outcome.delivered == outcome.landed + outcome.quarantined + outcome.duplicate
    return outcome


def _held(workspace: Workspace) -> set[tuple[str, str, int]]:
    return {(q["ref"], q["reason"], q["records"]) for q in workspace.deliveries.quarantined()}


def _files_of(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and ".spool" not in p.parts}


UNSAFE = {
    "a folder above": "../patients.csv",
    "deep above": "a/../../../patients.csv",
    "absolute": f"/tmp/biodam-{uuid.uuid4().hex}.csv",
    "a drive": "C:/patients.csv",
    "backslashes above": "..\\..\\patients.csv",
    "a line break": "patients\n.csv",
    "only dots": "..",
}


@pytest.mark.scenario("07 unsafe archive paths")
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_members_whose_names_lead_out_are_held_back_and_the_rest_lands(workspace: Workspace, tmp_path: Path, kind: str) -> None:
    members = {**dict.fromkeys(UNSAFE.values(), BAD), "data/patients.csv": GOOD}
    outcome = _land(workspace, {f"export.{kind}": packed(members, kind=kind)})
    held = [(q["file_index"], q["reason"]) for q in workspace.deliveries.quarantined()]
    assert held == [(n, "unsafe_member") for n in range(len(UNSAFE))]
    assert outcome.rows == {"patients": 1}
    assert not (tmp_path / "patients.csv").exists()
    assert not Path(UNSAFE["absolute"]).exists()
    assert {f.split("/")[0] for f in _files_of(tmp_path)} == {"lake"}


@pytest.mark.scenario("07 unsafe archive paths")
def test_a_name_with_a_nul_is_held_back(workspace: Workspace) -> None:
    """Python's reader cuts the name at the NUL: `patients.csv` would be left."""
    data = packed({"patients.csv_.png": BAD, "encounters.csv": "Id,PATIENT,START\ne,p,2020-01-01T00:00:00Z\n"})
    _land(workspace, {"export.zip": data.replace(b"patients.csv_", b"patients.csv\0")})
    assert _held(workspace) == {("file-0001.zip#1", "unsafe_member", 0)}


@pytest.mark.scenario("07 unsafe archive paths")
def test_links_and_devices_are_held_back(workspace: Workspace) -> None:
    kinds = dict(enumerate([tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]))

    def make_special(entry: tarfile.TarInfo) -> None:
        if entry.name != "patients.csv":
            entry.type, entry.linkname, entry.size = kinds[int(entry.name[1])], "/etc/passwd", 0

    members = {**{f"x{n}.csv": "" for n in kinds}, "patients.csv": GOOD}
    outcome = _land(workspace, {"export.tar": packed(members, kind="tar", change=make_special)})
    assert _held(workspace) == {(f"file-0001.tar#{n + 1}", "unsafe_member", 0) for n in kinds}
    assert outcome.landed == 1


@pytest.mark.scenario("07 unsafe archive paths")
def test_a_symbolic_link_in_a_zip_is_held_back(workspace: Workspace) -> None:
    def link(entry: zipfile.ZipInfo) -> None:
        entry.external_attr = (0o120777 if entry.filename == "encounters.csv" else 0o100644) << 16

    outcome = _land(workspace, {"export.zip": packed({"encounters.csv": "/etc/passwd", "patients.csv": GOOD}, change=link)})
    assert _held(workspace) == {("file-0001.zip#1:encounters.csv", "unsafe_member", 0)}
    assert outcome.landed == 1


@pytest.mark.scenario("07 unsafe archive paths")
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_both_held_back(workspace: Workspace) -> None:
    def twins(name: str) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for one, content in (("patients.csv", GOOD), (name, BAD), ("encounters.csv", "Id,PATIENT,START\n")):
                archive.writestr(one, content)
        return out.getvalue()

    names = ("patients.csv", "Patients.CSV", "./patients.csv", "x/../patients.csv")
    outcome = _land(workspace, {f"{n}.zip": twins(name) for n, name in enumerate(names)})
    assert [(q["reason"], q["records"]) for q in workspace.deliveries.quarantined()].count(("ambiguous_member", 1)) == 6
    assert (outcome.delivered, outcome.rows["patients"]) == (8, 1), "the name with .. is unsafe, and its twin is none"


@pytest.mark.scenario("07 unsafe archive paths")
def test_a_member_with_a_password_is_held_back(workspace: Workspace) -> None:
    data = bytearray(packed({"patients.csv": GOOD, "encounters.csv": "Id,PATIENT,START\ne,p,2020-01-01T00:00:00Z\n"}))
    data[6] |= 1  # flags of the first local header and of the first line of the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    _land(workspace, {"export.zip": bytes(data)})
    assert _held(workspace) == {("file-0001.zip#1:patients.csv", "encrypted_member", 1)}


@pytest.mark.scenario("08 zip and gzip bombs")
def test_an_archive_in_an_archive_is_not_opened(workspace: Workspace) -> None:
    inner = ("more.zip", "more.tar.gz", "more.7z")
    outcome = _land(workspace, {"export.zip": packed({**dict.fromkeys(inner, packed({"patients.csv": BAD})), "patients.csv": GOOD})})
    assert {(q["reason"], q["records"]) for q in workspace.deliveries.quarantined()} == {("nested_archive", 1)}
    assert outcome.landed == 1


BOMB = b"Id,BIRTHDATE\n" + b"\n" * 40_000_000


@pytest.mark.scenario("08 zip and gzip bombs")
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_held_back_and_other_files_land(workspace: Workspace, kind: str) -> None:
    outcome = _land(workspace, {f"bomb.{kind}": packed({"patients.csv": BOMB}, kind=kind), "patients.csv": GOOD})
    assert {q["reason"] for q in workspace.deliveries.quarantined()} == {"archive_bomb"}
    assert outcome.landed == 1


@pytest.mark.scenario("08 zip and gzip bombs")
def test_a_bomb_that_lies_about_its_size_is_stopped_while_unpacking(workspace: Workspace) -> None:
    data = packed({"patients.csv": BOMB, "encounters.csv": "Id,PATIENT,START\ne,p,2020-01-01T00:00:00Z\n"})
    lying = data.replace(len(BOMB).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    outcome = _land(workspace, {"bomb.zip": lying})
    assert {q["reason"] for q in workspace.deliveries.quarantined()} <= {"archive_bomb", "corrupt_archive"}
    assert outcome.landed == 1


@pytest.mark.scenario("08 zip and gzip bombs")
def test_members_that_share_their_bytes_are_refused_whole(workspace: Workspace) -> None:
    """Overlapping members: 42 kB of kernel, any number of lines of the directory."""
    kernel = packed({"patients.csv": GOOD * 2000})
    at = kernel.index(b"PK\1\2")
    end = kernel.index(b"PK\5\6")
    line = kernel[at:end]
    lines = b"".join(line.replace(b"patients.csv", b"patient%d.csv" % n) for n in range(10))
    tail = bytearray(kernel[end:])
    tail[8:12] = (10).to_bytes(2, "little") * 2
    tail[12:16] = len(lines).to_bytes(4, "little")
    outcome = _land(workspace, {"bomb.zip": kernel[:at] + lines + bytes(tail), "patients.csv": GOOD})
    assert {(q["reason"], q["records"]) for q in workspace.deliveries.quarantined()} == {("archive_bomb", 1)}
    assert outcome.landed == 1


@pytest.mark.scenario("08 zip and gzip bombs")
def test_a_gzip_bomb_is_not_unpacked_by_the_counter_either(workspace: Workspace) -> None:
    """80 MB from 80 kB: counting stops where reading does."""
    block = gzip.compress(b"\n" * 2**24)
    outcome = _land(workspace, {"patients.csv.gz": gzip.compress(GOOD.encode()) + block * 5, "encounters.csv": "Id,PATIENT,START\n"})
    (held,) = workspace.deliveries.quarantined()
    assert (held["reason"], outcome.landed) == ("archive_bomb", 0)


def test_junk_is_accounted_for_and_lands_nowhere(workspace: Workspace) -> None:
    members = {
        "x/patients.csv": GOOD,
        "__MACOSX/x/._patients.csv": b"\0\5\x16\7",
        "x/.DS_Store": b"\0",
        "x/Thumbs.db": b"\0",
        "x/README.md": "hi",
    }
    outcome = _land(workspace, {"export.zip": packed(members), ".DS_Store": b"\0"})
    assert [q["reason"] for q in workspace.deliveries.quarantined()].count("junk_file") == 4
    assert ("file-0001.zip#5.md", "unknown_file", 0) in _held(workspace) or ("file-0001.zip#5", "unknown_file", 0) in _held(workspace)
    assert (outcome.delivered, outcome.landed) == (1, 1)


def test_names_in_cp949_are_read_as_the_site_file_says(workspace: Workspace) -> None:
    """Windows packs Korean names in CP949 and does not say so."""
    outcome = _land(
        workspace,
        {"export.zip": _zip_named("환자.csv".encode("cp949"), "등록번호,성별,생년월일\n7,남,1970-03-01\n".encode("cp949"))},
        feed=("h12", "emr_csv"),
    )
    assert outcome.rows == {"patient": 1}


def _zip_named(name: bytes, content: bytes) -> bytes:
    """A ZIP whose one member has a name of these bytes, and no flag of UTF-8."""
    stand_in = "n" * len(name)
    return packed({stand_in: content}).replace(stand_in.encode(), name)


def test_a_name_that_is_not_text_of_its_encoding_is_held_back(workspace: Workspace) -> None:
    _land(workspace, {"export.zip": _zip_named("환자.csv".encode("cp949"), b"x"), "patients.csv": GOOD})
    assert _held(workspace) == {("file-0001.zip#1", "member_name", 1)}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_lands_like_its_files(workspace: Workspace, kind: str) -> None:
    members = {"a/patients.csv": GOOD, "b/encounters.csv.gz": gzip.compress(b"Id,PATIENT,START\ne,p,2020-01-01T00:00:00Z\n")}
    outcome = _land(workspace, {f"export.{kind}": packed(members, kind=kind)})
    assert outcome.rows == {"patients": 1, "encounters": 1}
    files = {f["ref"]: (f["counted"], f["landed"]) for f in workspace.deliveries.files(outcome.key)}
    assert files == {f"file-0001.{kind}#1:patients.csv": (1, 1), f"file-0001.{kind}#2:encounters.csv.gz": (1, 1)}


CUTS = {
    "nothing left": ("zip", 0),
    "zip without its directory": ("zip", 200),
    "zip without the last byte": ("zip", -1),
    "tar in the first header": ("tar", 100),
    "tar in the second header": ("tar", 512 * 2 + 100),
    "tar after the first member": ("tar", 512 * 2),
    "tar after the last member": ("tar", 512 * 4),
    "tar in the last content": ("tar", 512 * 4 - 500),
    "gzip in its middle": ("tar.gz", 150),
    "gzip without its checksum": ("tar.gz", -6),
}


def test_a_cut_archive_is_held_back_whole(workspace: Workspace) -> None:
    """Python's TAR reader takes a cut header for the end; whoever sent two files must not see one landed and no complaint."""
    members = {"patients.csv": GOOD, "encounters.csv": "Id,PATIENT,START\ne,p,2020-01-01T00:00:00Z\n"}
    files = {f"{n}.{kind}": packed(members, kind=kind)[:keep] for n, (kind, keep) in enumerate(CUTS.values())}
    outcome = _land(workspace, files)
    assert [q["file_index"] for q in workspace.deliveries.quarantined()] == list(range(len(CUTS)))
    assert outcome.landed == 0


def test_a_second_tar_appended_to_the_first_is_not_lost_in_silence(workspace: Workspace) -> None:
    both = packed({"patients.csv": GOOD}, kind="tar") + packed({"patients.csv": BAD}, kind="tar")
    _land(workspace, {"export.tar": both})
    assert _held(workspace) == {("file-0001.tar", "corrupt_archive", 1)}


@pytest.mark.parametrize("seed", range(3))
def test_broken_archives_are_accounted_for(workspace: Workspace, seed: int) -> None:
    import random

    from tests.integration.test_fuzz import _mutated

    dice = random.Random(f"archive-{seed}")
    members = {"patients.csv": GOOD, "encounters.csv": "Id,PATIENT,START\ne,p,2020-01-01T00:00:00Z\n"}
    files = {f"x{n}.{kind}": _mutated(dice, [packed(members, kind=kind)]) for n in range(10) for kind in ("zip", "tar", "tar.gz")}
    _land(workspace, files)
    assert not {"parser_crash", "parser_timeout"} & {q["reason"] for q in workspace.deliveries.quarantined()}


def test_the_published_omop_archive_lands_and_its_junk_is_named(workspace: Workspace, shared_data: Path) -> None:
    """28 persons of New Jersey; 40 AppleDouble files, one of them of the folder itself."""
    path = shared_data / "06_omop_synthea27nj" / "as_published" / "Synthea27NjParquet_5.4.zip"
    outcome = _land(workspace, {path.name: path.read_bytes()}, feed=("h04", "omop"))
    reasons = [q["reason"] for q in workspace.deliveries.quarantined()]
    assert (reasons.count("junk_file"), outcome.rows["person"], outcome.rows["condition_occurrence"]) == (40, 28, 470)
