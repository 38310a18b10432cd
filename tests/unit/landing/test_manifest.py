"""The manifest: what closes a delivery, and names that cannot hold a person's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assets.landing.manifest import Manifest, ManifestError, ManifestFile, neutral_ref, read_manifest, table_of

KNOWN = ("patient", "person", "concept", "medicationrequest", "환자")
SHA = "a" * 64


def _folder(tmp_path: Path, **changes: object) -> Path:
    manifest = {
        "site": "h01",
        "feed": "fhir_r4",
        "delivery_id": "d1",
        "sequence": 1,
        "files": [{"path": "a.json", "sha256": SHA, "bytes": 1}],
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | changes), encoding="utf-8")
    return tmp_path


def test_good_manifest_is_read(tmp_path: Path) -> None:
    manifest, digest = read_manifest(_folder(tmp_path))
    assert (manifest.site, manifest.sequence, len(manifest.files), len(digest)) == ("h01", 1, 1, 64)


@pytest.mark.scenario("07 unsafe archive paths")
@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"sequence": 0}, "sequence"),
        ({"sequence": "1"}, "sequence"),
        ({"files": []}, "files"),
        ({"files": [{"path": "../a", "sha256": SHA, "bytes": 1}]}, "path"),
        ({"files": [{"path": "/etc/passwd", "sha256": SHA, "bytes": 1}]}, "path"),
        ({"files": [{"path": "a\\b", "sha256": SHA, "bytes": 1}]}, "path"),
        ({"files": [{"path": "manifest.json", "sha256": SHA, "bytes": 1}]}, "path"),
        ({"files": [{"path": "a", "sha256": SHA, "bytes": 1}, {"path": "./a", "sha256": SHA, "bytes": 1}]}, "path"),
        ({"files": [{"path": "a", "sha256": "zz", "bytes": 1}]}, "files"),
        ({"files": [{"path": "a", "sha256": SHA, "bytes": -1}]}, "files"),
        ({"delivery_id": "../x"}, "delivery_id"),
        ({"surprise": 1}, "whole file"),
    ],
)
def test_bad_manifest_names_the_field(tmp_path: Path, changes: dict[str, object], rule: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_manifest(_folder(tmp_path, **changes))
    assert rule in caught.value.rule


@pytest.mark.scenario("15 invalid structures of each format")
@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"site": "\ud800"}'])
def test_broken_manifest_is_an_error_not_a_crash(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ManifestError):
        read_manifest(tmp_path)


@pytest.mark.scenario("19 hostile names")
@pytest.mark.parametrize(
    ("name", "table", "ref"),
    [
        ("Patient.000.ndjson", "patient", "Patient.000.ndjson"),
        ("patient.csv.gz", "patient", "patient.csv.gz"),
        ("2b_concept.csv", "concept", "2b_concept.csv"),
        ("person_001.parquet", "person", "person_001.parquet"),
        ("환자.csv", "환자", "환자.csv"),
        ("._person.parquet", None, "file-0008.parquet"),
        ("Anna_Patient_Smith.json", None, "file-0008.json"),
        ("Anna_Smith_55a37df6.json", None, "file-0008.json"),
        ("patient_Anna.csv", None, "file-0008.csv"),
        ("Anna Smith", None, "file-0008"),
        ("Anna.Smith", None, "file-0008"),
    ],
)
def test_file_name_passes_only_if_it_is_a_table_name(name: str, table: str | None, ref: str) -> None:
    assert table_of(name, KNOWN) == table
    assert neutral_ref(7, name, KNOWN) == ref


def test_equal_bytes_give_equal_digests_whatever_the_names() -> None:
    def digest(*names: str) -> str:
        files = tuple(ManifestFile(n, s * 64, 1) for n, s in zip(names, "ab", strict=True))
        return Manifest("h", "f", "d", 1, files).content_digest

    assert digest("x", "y") == digest("p", "q")
