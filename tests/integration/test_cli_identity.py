"""The review queue of a whole lake as a data steward works it, with a hospital that may not be linked by likeness."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Biodam, write_delivery

HEADER = "patient_number,birth_date,gender,name,phone,address,is_deleted"
HOME = "서울특별시 중구 세종대로 12"
SITE = """site = "{site}"
name = "Test hospital {site}"
kind = "hospital"
legal_basis = "published"
owner = "data-team@biodam.invalid"
[feeds.emr_csv]
encoding = "utf-8"
time_zone = "Asia/Seoul"
"""
LEFT_OUT = "[identity]\nlink_by_likeness = false\n"
SAID = "h92 takes no part"


@pytest.fixture
def biodam(tmp_path: Path) -> Biodam:
    """Two hospitals know KIM MINJUN, who is one person, and each one of his twin nephews, whose names differ by a letter."""
    (tmp_path / "sites").mkdir()
    lake = Biodam(tmp_path / "lake", {"BIODAM_SITES": str(tmp_path / "sites"), "BIODAM_AS_OF": "2024-01-01"})
    for site, nephew in (("h91", "박서준"), ("h92", "박서중")):
        rows = [f"{site}-1,19800102,M,김민준,010-3456-7890,{HOME},N", f"{site}-2,20010304,M,{nephew},010-9876-5432,{HOME},N"]
        write_delivery(lake.lake, site, "emr_csv", "e1", {"patient.csv": "\n".join([HEADER, *rows, ""])})
    return lake


def _may_link(biodam: Biodam, *, may: bool) -> None:
    for site in ("h91", "h92"):
        text = SITE.format(site=site) + ("" if may or site == "h91" else LEFT_OUT)
        (Path(biodam.environment["BIODAM_SITES"]) / f"{site}.toml").write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_a_steward_answers_and_a_hospital_that_is_left_out_is_asked_about_nowhere(biodam: Biodam) -> None:
    _may_link(biodam, may=False)
    biodam("run")
    assert biodam.one("select count(*) from person") == 4
    assert SAID in biodam("identity", "review", "list").stdout

    _may_link(biodam, may=True)
    biodam("run")
    assert biodam.one("select count(*) from person") == 3, "KIM is one; of the nephews somebody has to be asked"
    told = biodam("identity", "review", "list").stdout
    assert SAID not in told
    [pair] = json.loads(biodam("identity", "review", "list", "--json").stdout)
    number = str(pair["id"])
    revealed = biodam("identity", "review", "show", number, "--reveal", "--yes").stdout
    assert "박서준" in revealed
    assert "박서중" in revealed
    assert [json.loads(line)["action"] for line in _audit(biodam) if "reveal" in line] == ["identity.reveal"]

    _may_link(biodam, may=False)  # and before the next run
    hidden = biodam("identity", "review", "show", number, "--reveal", "--yes").stdout
    assert "박서준" in hidden
    assert "박서중" not in hidden
    refused = biodam("identity", "review", "accept", number, check=False)
    assert refused.returncode == 1
    assert f"pair {number} is withdrawn already. Nothing was changed" in refused.stderr

    _may_link(biodam, may=True)
    biodam("identity", "review", "accept", number)
    biodam("run")
    assert biodam.one("select count(*) from person") == 2
    shown = told + biodam("status").stdout
    assert not any(word in shown for word in ("박서준", "김민준", "3456"))


def _audit(biodam: Biodam) -> list[str]:
    return [json.dumps(entry) for entry in json.loads(biodam("audit", "list", "--json").stdout)]
