"""The delivered files hold together: manifests, counts, encodings, the same bytes from the same seed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tomllib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from assets.simulation import country as parameters
from assets.simulation.codes import load_codes
from assets.simulation.country import FEEDS
from assets.simulation.render_emr import HEADERS
from assets.simulation.simulate import OutputExistsError, simulate
from assets.sites.site import load_sites


def _digests(root: Path) -> dict[str, str]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _count(path: Path) -> int:
    """Records of a file, counted without anything of ours."""
    if path.suffix == ".parquet":
        return int(pq.ParquetFile(path).metadata.num_rows)
    raw = path.read_bytes()
    if path.suffix == ".hl7":
        assert raw.count(b"\rMSH|") == int(raw.split(b"\rBTS|")[1].split(b"\r")[0]), "the batch trailer counts its messages"
        return raw.count(b"\rMSH|")
    if path.suffix == ".xml":
        return 1 + raw.count(b"<entry>")
    if path.suffix == ".dcm":
        return 1
    if path.suffix == ".ndjson":
        return sum(1 for line in raw.split(b"\n") if line.strip())
    text = raw.decode("utf-8" if path.name == "event.csv" else "cp949", errors="replace")
    return sum(1 for _ in csv.reader(io.StringIO(text, newline=""))) - 1


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        simulate(120, seed, tmp_path / name)
    one, two, three = (_digests(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_every_manifest_names_its_files_with_size_hash_and_records(small_country: Any) -> None:
    manifests = list((small_country.root / "deliveries").glob("*/*/*/manifest.json"))
    assert len(manifests) == small_country.report.deliveries
    for path in manifests:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        site, feed, delivery = path.parts[-4:-1]
        assert list(manifest) == ["site", "feed", "delivery_id", "period", "sequence", "contract", "files"]
        assert (manifest["site"], manifest["feed"], manifest["delivery_id"]) == (site, feed, delivery)
        assert feed == FEEDS[site]
        assert {f["path"] for f in manifest["files"]} == {p.name for p in path.parent.iterdir()} - {"manifest.json"}
        for file in manifest["files"]:
            content = (path.parent / file["path"]).read_bytes()
            assert file["bytes"] == len(content)
            assert file["sha256"] == hashlib.sha256(content).hexdigest()
            assert file["records"] == _count(path.parent / file["path"])


def test_deliveries_of_a_site_are_numbered_once_each_from_one(small_country: Any) -> None:
    sequences: dict[str, list[int]] = {}
    for path in sorted((small_country.root / "deliveries").glob("*/*/*/manifest.json")):
        sequences.setdefault(path.parts[-4], []).append(json.loads(path.read_text(encoding="utf-8"))["sequence"])
    assert set(sequences) == set(FEEDS)
    for numbers in sequences.values():
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_expected_counts_equal_the_files_and_are_conserved(small_country: Any) -> None:
    rows = small_country.truth("select site, feed, delivery_id, file, delivered, landed, quarantined, duplicate from expected_counts")
    for site, feed, delivery, file, delivered, landed, quarantined, duplicate in rows:
        assert delivered == _count(small_country.folder(site, feed, delivery) / file)
        assert delivered == landed + quarantined + duplicate
        assert min(landed, quarantined, duplicate) >= 0
    assert len(rows) == small_country.report.files
    assert sum(row[4] for row in rows) == small_country.report.records


def test_a_delivery_is_sent_a_second_time_with_the_same_bytes(small_country: Any) -> None:
    for site in ("h11", "h12", "h13", "h15", "w11"):
        first = _digests(small_country.folder(site, FEEDS[site], "2026-04"))
        again = _digests(small_country.folder(site, FEEDS[site], "2026-04-resend"))
        assert first.pop("manifest.json") != again.pop("manifest.json")
        assert first == again
        assert first


def test_large_resource_types_go_on_in_parts(small_country: Any) -> None:
    names = {p.name for p in small_country.folder("h11", "fhir_r4", "2026-03-full").iterdir()}
    assert {"Observation.000.ndjson", "Observation.001.ndjson", "Organization.000.ndjson"} <= names


def test_the_korean_extract_is_cp949_and_not_euc_kr(small_country: Any) -> None:
    content = (small_country.folder("h12", "emr_csv", "2026-03-full") / "환자.csv").read_bytes()
    text = content.decode("cp949")
    assert text.splitlines()[0] == HEADERS["환자.csv"]
    assert "똠" in text
    with pytest.raises(UnicodeDecodeError):
        content.decode("euc-kr")


def test_site_files_map_every_header_and_every_local_code() -> None:
    sites, labs = load_sites(), load_codes().labs
    headers = {name.removesuffix(".csv"): set(header.split(",")) for name, header in HEADERS.items()}
    feed = sites["h12"].feeds["emr_csv"]
    assert set(feed.files) == set(headers)
    for stem, entity in feed.files.items():
        assert set(feed.columns[entity].values()) <= headers[stem]
    local = {*labs["h12_code"], *filter(None, labs["h12_code2"])}
    assert set(sites["h12"].codes["lab"]) == local
    assert set(sites["h11"].codes["lab"]) == set(filter(None, labs["h11_local"]))
    for site in FEEDS:
        assert set(sites[site].feeds) == {FEEDS[site]}
        assert sites[site].legal_basis == "consented"


def test_no_edi_code_belongs_to_a_manufacturer() -> None:
    """The drug codes are invented: a real one beside a wrong drug would be a false fact."""
    assert all(code.startswith("9990") and len(code) == 9 for code in load_codes().drugs["edi"])


def test_an_occupied_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    with pytest.raises(OutputExistsError, match="empty folder"):
        simulate(10, 1, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "truth"]


@pytest.mark.parametrize(("people", "seed"), [(0, 1), (-5, 1), (10, -1)])
def test_impossible_arguments_are_refused(tmp_path: Path, people: int, seed: int) -> None:
    with pytest.raises(ValueError, match="at least one person"):
        simulate(people, seed, tmp_path)


def test_a_country_of_one_person_can_be_written(tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    report = simulate(1, 9, tmp_path, lambda done, total: said.append((done, total)))
    assert said == [(1, 1)]
    assert report.people == 1
    assert report.records > 0


def test_hostile_deliveries_are_as_broken_as_they_say(hostile_country: Any) -> None:
    planted = dict(hostile_country.truth("select kind, reason from planted_errors where file is null and kind <> 'duplicate_delivery'"))
    assert planted == {
        "truncated_gzip": "truncated_gzip",
        "wrong_hash": "hash_mismatch",
        "empty_file": "empty_file",
        "reused_id": "delivery_id_reused",
    }
    folder = hostile_country.folder("h12", "emr_csv", "hostile-wrong-hash")
    file = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"][0]
    assert file["sha256"] != hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest()
    again = hostile_country.root / "redelivered" / "h12" / "emr_csv" / "2026-03-full"
    first = hostile_country.folder("h12", "emr_csv", "2026-03-full")
    assert _digests(again)["내원.csv"] != _digests(first)["내원.csv"]


def test_parameters_are_data() -> None:
    """Every share of the parameter file is one: a typing error must not make 200 % of people ill."""
    raw = tomllib.loads(Path(parameters.__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    shares = [spec["rate"] for spec in raw["errors"].values()]
    shares += [v for v in (*raw["people"].values(), *raw["records"].values()) if isinstance(v, float)]
    assert all(0 <= share <= 1 for share in shares)
    assert all(share <= 0.005 for share in [spec["rate"] for spec in raw["errors"].values()])
