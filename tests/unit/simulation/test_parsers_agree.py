"""The parsers refuse exactly the records planted to be refused, each for its reason; none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.landing.job import build_job, file_jobs
from assets.landing.manifest import read_manifest
from assets.simulation.country import FEEDS
from assets.sites.site import load_sites


@pytest.mark.parametrize(
    ("site", "wire"),
    [
        ("h11", "fhir"),
        ("h12", "delimited"),
        ("h13", "parquet"),
        ("c01", "delimited"),
        ("b11", "delimited"),
        ("h14", "hl7"),
        ("w11", "open_mhealth"),
        ("h16", "dicom"),
        ("r11", "redcap"),
    ],
)
def test_the_child_refuses_what_was_planted(small_country: Any, tmp_path: Path, site: str, wire: str) -> None:
    feed = load_sites()[site].feeds[FEEDS[site]]
    folder = small_country.folder(site, FEEDS[site], "2026-03-full")
    files = file_jobs(read_manifest(folder)[0], folder, feed, tmp_path / "unpacked")
    spool = tmp_path / "spool"
    spool.mkdir()
    job = tmp_path / "job.json"
    job.write_text(json.dumps(build_job(wire, files, feed, spool)), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "assets.formats.child", str(job)], check=True)
    names = {file.index: file.path.name for file in files}
    with pa.OSFile(str(spool / "_rejected.arrow")) as source:
        rejected = pa.ipc.open_stream(source).read_all().to_pylist()
    planted = small_country.truth(f"""
        select file, ordinal, reason from planted_errors
        where site = '{site}' and delivery_id = '2026-03-full' and expected = 'quarantined'
    """)
    assert {(names[r["file"]], r["row_number"], r["reason"]) for r in rejected} == set(planted)
    assert len(rejected) == len(planted) > 0
    if feed.kind.record_entity is not None:  # a record gives rows of several tables
        return
    summary = json.loads((spool / "_summary.json").read_text(encoding="utf-8"))
    assert {names[f["index"]]: f["records"] + f["rejected"] for f in summary["files"]} == {f.path.name: f.declared for f in files}
