"""dbt's own unit tests (the `unit_tests` of the yml files). Builds of a lake leave them out: they say nothing of its data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assets.dbt_manifest import PROJECT, in_build_order, load_manifest
from tests.conftest import REPOSITORY
from tests.integration.conftest import Small

pytestmark = pytest.mark.shares("small lake")


def _with_views_above(chosen: set[str]) -> set[str]:
    """Names of models, and of the views that read a chosen one: a view that dbt does not run is made before all that it runs."""
    found = set[str]()
    for node in in_build_order(load_manifest()):
        reads_one = node["config"]["materialized"] == "view" and found.intersection(node["depends_on"]["nodes"])
        if node["unique_id"] in chosen or reads_one:
            found.add(node["unique_id"])
    return {i.rpartition(".")[2] for i in found}


def test_every_dbt_unit_test_passes(small: Small, tmp_path: Path) -> None:
    """dbt takes the columns of what a model reads from the lake, and builds the models that have unit tests only."""
    tests = load_manifest()["unit_tests"]
    tested = sorted(_with_views_above({t["depends_on"]["nodes"][0] for t in tests.values()}))
    command = [
        sys.executable,
        "-m",
        "assets.dbt_process",
        "--log-format",
        "json",
        "build",
        "--exclude-resource-type",
        "test",
        "--select",
        *tested,
    ]
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(tmp_path / "target")]
    shutil.copytree(small.biodam.lake, tmp_path / "lake")
    environment = {**os.environ, **small.biodam.environment, "LAKE_ROOT": str(tmp_path / "lake")}
    done = subprocess.run([*command, *folders], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    failed = [e["info"]["msg"] for e in events if e["info"]["level"] == "error"]
    assert done.returncode == 0, "\n".join(failed)[-3000:]
    passed = [e for e in events if e["info"]["name"] == "LogTestResult" and e["data"]["status"] == "pass"]
    assert len(passed) == len(tests) > 10
