"""A simulated country lands as what is true of it: nothing planted is missed, nothing true is lost, at any site."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from assets.simulation.country import FEEDS
from assets.simulation.simulate import simulate
from tests.conftest import Biodam

_FALSE = ("unmapped", "implausible", "excluded", "corrected", "unconsented")
"""What a lake makes of planted records that land although they are false."""
_ENTITIES = {"result": "lab"}


@pytest.mark.slow
def test_a_country_scores_full_recall_and_every_false_fact_was_planted(tmp_path: Path) -> None:
    simulate(800, 29, tmp_path / "country")
    biodam = Biodam(tmp_path / "lake", {"BIODAM_AS_OF": "2026-07-01"})
    shutil.copytree(tmp_path / "country" / "deliveries", biodam.lake / "inbox")
    biodam("run")
    lines = json.loads(biodam("score", str(tmp_path / "country"), "--json").stdout)
    assert {s["site"] for s in lines if s["stage"] == "landed"} == set(FEEDS)
    assert [s for s in lines if s["stage"] in ("landed", "quarantined") and not s["true"] == s["found"] == s["both"]] == []
    planted = duckdb.sql(f"""
        select site, entity, count(*) from '{tmp_path}/country/truth/planted_errors.parquet' where expected in {_FALSE} group by all
    """).fetchall()
    allowed = {(site, entity): count for site, entity, count in planted}
    for line in (s for s in lines if s["stage"] == "fact"):
        assert line["both"] == line["true"], line
        assert line["found"] - line["both"] <= allowed.get((line["site"], _ENTITIES.get(line["what"], line["what"])), 0), line
    people = {s["what"]: s for s in lines if s["stage"] == "people"}
    assert all(line["found"] == line["both"] for line in people.values()), "no two people are taken for one"
    assert people["patient numbers"]["found"] == people["patient numbers"]["true"]
    assert people["pairs of numbers at two sites"]["both"] >= 0.99 * people["pairs of numbers at two sites"]["true"]
    cohorts = {s["what"].partition(": ")[::2]: s for s in lines if s["stage"] == "cohort"}
    for name in ("cohort_type2_diabetes", "cohort_chronic_kidney_disease"):
        assert cohorts[name, "ill and coded"]["both"] == cohorts[name, "ill and coded"]["true"] > 20, "a coded disease is found"
        assert cohorts[name, "ill"]["both"] >= 0.95 * cohorts[name, "ill"]["found"], "who is in the cohort is ill"
