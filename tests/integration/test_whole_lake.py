"""What holds of a whole lake: two runs at once, an idle run, Dagster's own way of running, unknown codes, the documented queries, a full disk."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.conftest import REPOSITORY, Biodam, write_delivery
from tests.integration.conftest import FILES, UNKNOWN_CODE, Small

pytestmark = pytest.mark.shares("small lake")

BUSY = 75

MATERIALIZE_ALL = """
import dagster as dg
from orchestration.build import build_defs
from orchestration.jobs import JOB
from orchestration.settings import read_settings

settings = read_settings()
settings.export()
settings.write_dagster_home()
job = build_defs(settings=settings).resolve_job_def(JOB)
with dg.DagsterInstance.get() as instance:
    for site in job.partitions_def.get_partition_keys():
        result = job.execute_in_process(instance=instance, partition_key=site, raise_on_error=True)
        assert result.success, site
"""


def _python(biodam: Biodam, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = biodam.variables
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def _written(lake: Path) -> dict[str, int]:
    """Files that a build writes -> when they were written."""
    places = [*lake.glob("tables/**/*"), *lake.glob("catalogue/*"), *lake.glob("control/dbt/**/*")]
    return {str(p.relative_to(lake)): p.stat().st_mtime_ns for p in places if p.is_file()}


# --- two runs at once -----------------------------------------------------------------------------------------------------------------


@pytest.mark.scenario("28 two runs and four writers at once")
def test_of_two_runs_at_once_one_works_and_the_other_says_who_does(small: Small) -> None:
    built, other = sorted(small.runs, key=lambda run: run.code)
    assert (built.code, other.code) == (0, BUSY)
    assert "another run is working on this lake (process " in other.stderr
    assert "Traceback" not in other.stderr
    assert other.stdout == ""


@pytest.mark.scenario("28 two runs and four writers at once")
def test_of_two_runs_at_once_nothing_is_there_twice(small: Small) -> None:
    biodam = small.biodam
    assert biodam.one("select count(*) from person") == 7
    assert biodam.one("select count(*) from condition_occurrence") == 7
    (feed,) = [f for f in biodam.status()["feeds"] if f["site"] == "h90"]
    assert (feed["deliveries"], feed["delivered"], feed["landed"], feed["duplicate"]) == (1, 15, 14, 0)
    for table in ("patient", "condition"):
        assert sorted(p.name for p in (biodam.lake / "tables/raw/fhir" / table / "_delta_log").glob("*.json")) == [
            "00000000000000000000.json"
        ]


# --- an idle run ----------------------------------------------------------------------------------------------------------------------


def test_idle_run_starts_no_dbt_and_writes_no_version(small: Small) -> None:
    before = _written(small.biodam.lake)
    assert any("_delta_log" in name for name in before)
    assert any(name.endswith("dbt.log") for name in before)
    assert "Nothing to do" in small.biodam("run").stdout
    assert _written(small.biodam.lake) == before


# --- Dagster's own way ----------------------------------------------------------------------------------------------------------------


def test_materialize_all_makes_the_tables_that_the_command_makes(small: Small, tmp_path: Path) -> None:
    """Who clicks in Dagster must not get another lake. The vault is the same, so that people have the same numbers."""
    clicked = Biodam(tmp_path / "lake", small.biodam.environment)
    shutil.copytree(small.biodam.lake / "vault", clicked.lake / "vault")
    write_delivery(clicked.lake, "h90", "fhir_r4", "d1", FILES)
    _python(clicked, "-c", MATERIALIZE_ALL)
    expected, found = small.biodam.fingerprints(), clicked.fingerprints()
    assert len(found) > 30
    assert {name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)} == set()
    assert "Nothing to do" in clicked("run").stdout


def test_definitions_load_as_dagster_loads_them(small: Small) -> None:
    done = _python(small.biodam, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert "Validation successful" in done.stdout + done.stderr


# --- what is published ----------------------------------------------------------------------------------------------------------------


@pytest.mark.scenario("20 code surprises")
def test_code_that_no_mapping_knows_is_kept_counted_and_is_concept_0(small: Small) -> None:
    biodam = small.biodam
    codes = "select condition_concept_id, condition_source_value, count(*) from condition_occurrence group by all order by all"
    assert biodam.query(codes) == [(0, UNKNOWN_CODE, 1), (201826, "44054006", 6)]
    unmapped = biodam.query(
        "select site, domain_id, source_code, record_count from unmapped_codes where source_code = ?".replace("?", f"'{UNKNOWN_CODE}'")
    )
    assert [(site, domain, code) for site, domain, code, _ in unmapped] == [("h90", "Condition", UNKNOWN_CODE)]


def test_documented_queries_run_on_a_published_catalogue_and_show_no_small_number(small: Small) -> None:
    text = (REPOSITORY / "docs" / "QUERIES.md").read_text(encoding="utf-8")
    sections = re.split(r"^## \d+\. ", text, flags=re.M)[1:]
    assert len(sections) == 6
    for section in sections:
        for query in re.findall(r"```sql\n(.*?)```", section, flags=re.S):
            done = small.biodam("sql", query, "--format", "json")
            assert done.stdout.startswith("["), section.splitlines()[0]
            assert not re.search(r'"people": [1-4]\b', done.stdout), section.splitlines()[0]


# --- a full disk ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here: that needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill(disk: Path, leave: int) -> Path:
    """Write a file that leaves so many bytes free."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as file, contextlib.suppress(OSError):
        for _ in range((free - leave) // 4096):
            file.write(bytes(4096))
    return filler


@pytest.mark.scenario("29 disk full at any stage")
@pytest.mark.slow
def test_full_disk_is_named_and_nothing_is_lost_or_landed_twice(small: Small, small_disk: Path) -> None:
    """The disk is full at the start, then fills up while landing; as soon as there is room the next run goes on."""
    biodam = Biodam(small_disk / "lake", small.biodam.environment)
    more = "".join(f'{{"resourceType":"Patient","id":"q{n}-{"x" * 3000}","birthDate":"1961-01-01"}}\n' for n in range(3_000))
    write_delivery(biodam.lake, "h90", "fhir_r4", "d1", {**FILES, "Patient.2.ndjson": more})
    for leave in (300_000, 12_000_000):
        filler = _fill(small_disk, leave)
        full = biodam("run", check=False)
        said = full.stdout + full.stderr
        assert full.returncode == 1, said
        assert re.search(r"the disk is full[a-z ]*( \(\S+\.py:\d+\))?\. Remedy: make room", said), said
        assert "Traceback" not in said
        filler.unlink()
    biodam("run")
    assert biodam.one("select count(*) from person") == 3_007
    (feed,) = [f for f in biodam.status()["feeds"] if f["site"] == "h90"]
    assert (feed["delivered"], feed["landed"], feed["duplicate"], feed["conserved"]) == (3_015, 3_014, 0, True)
    for table, rows in (("patient", 3_007), ("condition", 7)):
        assert DeltaTable(str(biodam.lake / "tables/raw/fhir" / table)).to_pyarrow_table().num_rows == rows
