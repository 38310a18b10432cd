"""Hospital 26: one data file beside those of the project, no line of code, and it is a partition, has its checks and delivers."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from assets.contracts.table import load_contract
from assets.feeds.intake import land_waiting
from assets.quiet import default_sites_folder
from assets.sites.feed_kinds import FEED_KINDS
from orchestration.build import build_defs
from orchestration.cli import cli
from orchestration.settings import read_settings
from tests.workbooks import workbook

SITE = """site = "h26"
name = "The twenty-sixth hospital"
kind = "hospital"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
expected_every_days = 7

[feeds.emr_csv]
time_zone = "Asia/Seoul"
[feeds.emr_csv.sheets]
"환자 명부" = "patient"
"검사" = "lab_result"
"설명" = "-"
[feeds.emr_csv.columns.patient]
patient_number = "등록번호"
birth_date = "생년월일"
gender = "성별"
[feeds.emr_csv.columns.lab_result]
result_number = "결과번호"
patient_number = "등록번호"
lab_code = "검사코드"
measured_at = "검사일시"
result_value = "결과"

[feeds.hl7_v2]
time_zone = "Asia/Seoul"
assigning_authority = "H26"

[feeds.fhir_r4]
"""
FEEDS = ("emr_csv", "fhir_r4", "hl7_v2")
BOOK = workbook({
    "환자 명부": [("등록번호", "생년월일", "성별", "성명"), ("P1", dt.date(1970, 3, 1), "남", "홍길동"), ("P2", "1981-02-30", "여", "김안나")],
    "검사": [("결과번호", "등록번호", "검사코드", "검사일시", "결과"), (1, "P1", "L1", dt.datetime(2026, 3, 1, 9, 0), 7.5)],
    "설명": [("추출 기준",)],
})  # fmt: skip
MESSAGE = "MSH|^~\\&|HIS|H26|||20260301080000||ADT^A31|1|P|2.5\rPID|1||P1^^^H26^MR||KIM^ANNA||19700301|M\r"
PATIENT = '{"resourceType":"Patient","id":"p1","birthDate":"1970-03-01","gender":"male"}\n'
DELIVERED: dict[str, tuple[str, bytes, tuple[int, int, dict[str, int]]]] = {
    "emr_csv": ("추출.xlsx", BOOK, (3, 2, {"invalid_date": 1, "no_data": 0})),
    "fhir_r4": ("Patient.ndjson", PATIENT.encode(), (1, 1, {})),
    "hl7_v2": ("adt.hl7", MESSAGE.encode(), (1, 1, {})),
}
"""Feed -> file name, bytes, what must come of it: delivered, landed, quarantined."""


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Path]:
    """The project's sites and one more; the environment names them and is as before afterwards."""
    kept = dict(os.environ)
    folder = tmp_path / "sites"
    folder.mkdir()
    for path in default_sites_folder().glob("*.toml"):
        shutil.copy(path, folder)
    (folder / "h26.toml").write_text(SITE, encoding="utf-8")
    os.environ.update(LAKE_ROOT=str(tmp_path / "lake"), BIODAM_SITES=str(folder), BIODAM_AS_OF="2026-03-02")
    yield folder
    os.environ.clear()
    os.environ.update(kept)


def _biodam(*arguments: str) -> str:
    done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == 0, f"{done.output}\n{done.exception}"
    return done.output


def test_a_new_site_is_a_partition_of_each_table_it_sends_and_has_its_freshness_check(sites: Path) -> None:
    graph = build_defs().resolve_asset_graph()
    keys = [f"delivery/{feed}" for feed in FEEDS]
    for family in {FEED_KINDS[feed].family for feed in FEEDS}:
        keys += [entity.key for entity in load_contract(family).entities.values()]
    assert len(keys) > 30
    partitions = {}
    for node in (graph.get(key) for key in graph.get_all_asset_keys()):
        if node.partitions_def is not None:
            partitions[node.key.to_user_string()] = set(node.partitions_def.get_partition_keys())
    assert [key for key in keys if "h26" not in partitions.get(key, ())] == []
    assert {"h01", "h12", "c01"} <= partitions["raw/emr_csv/patient"], "the sites of the project went missing"
    checks = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    assert ("govern/deliveries", "fresh_h26") in checks
    assert {(f"delivery/{feed}", check) for feed in FEEDS for check in ("conserved", "contract")} <= checks


def test_what_a_new_site_delivers_lands_with_every_record_accounted_for(sites: Path, tmp_path: Path) -> None:
    for feed, (name, content, _) in DELIVERED.items():
        (tmp_path / name).write_bytes(content)
        assert "h26/" in _biodam("deliver", str(tmp_path / name), "--site", "h26", "--feed", feed)
    workspace = read_settings().workspace()
    for feed in FEEDS:
        landed, failures = land_waiting(workspace, feed)
        assert (len(landed), failures) == (1, [])
    status: dict[str, Any] = json.loads(_biodam("status", "--site", "h26", "--json"))
    found = {f["feed"]: (f["delivered"], f["landed"], f["quarantined"]) for f in status["feeds"]}
    assert found == {feed: account for feed, (_, _, account) in DELIVERED.items()}
    assert status["conserved"] is True
    assert all(not f["late"] for f in status["feeds"])
    assert "홍길동" not in json.dumps(workspace.deliveries.quarantined(), ensure_ascii=False)


def test_a_mistake_in_a_new_site_file_names_line_field_and_remedy(sites: Path) -> None:
    (sites / "h26.toml").write_text(SITE.replace("[feeds.hl7_v2]", "[feeds.hl7v2]"), encoding="utf-8")
    done = CliRunner().invoke(cli, ["status"])
    assert "h26.toml, line 25, field feeds.hl7v2: is no known feed. Remedy: did you mean 'hl7_v2'" in str(done.exception)
