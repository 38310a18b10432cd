"""What many tests need: the real files beside the repository, and deliveries written by hand."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import hypothesis
import pytest

from assets.collector import collect_seldom
from tests.faults.report import (  # noqa: F401 - hooks
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_runtest_logreport,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
from tests.scheduling import pytest_xdist_make_scheduler  # noqa: F401 - a hook

if TYPE_CHECKING:
    from assets.landing.workspace import Workspace

collect_seldom()

hypothesis.settings.register_profile(
    "same everywhere", deadline=None, derandomize=True, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("same everywhere")
"""No example is judged by the time it takes, and every run draws the same ones: a busy machine fails no test."""

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"
CONSENT_SITE = """site = "c90"
name = "Test consent service"
kind = "consent_service"
legal_basis = "consented"
owner = "data-team@biodam.invalid"
[feeds.consent]
time_zone = "Asia/Seoul"
"""
CONSENT_HEADER = "event_id,person_key,resident_number,site_id,patient_number,event_type,scope,form,form_version,arm,effective_date,valid_until,covers_from\n"
"""The site file of a consent service, and the first line of its events."""


def consent_site(site: str) -> str:
    """The site file of a consent service of another name."""
    return CONSENT_SITE.replace("c90", site)


def site_text(site: str) -> str:
    """A site file of the repository."""
    return (REPOSITORY / "assets" / "sites" / f"{site}.toml").read_text(encoding="utf-8")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Whatever a test leaves in the environment or as working directory, the next begins as the first did."""
    variables, folder = dict(os.environ), os.getcwd()
    found = yield
    if dict(os.environ) != variables:
        os.environ.clear()
        os.environ.update(variables)
    os.chdir(folder)
    return found


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real files made by others; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared/data with real files is not beside this checkout")
    return SHARED


Deliver = Callable[..., Path]


@pytest.fixture
def deliver() -> Deliver:
    """Write a closed delivery into the inbox of a lake."""
    return write_delivery


def land_all(workspace: Workspace) -> None:
    """Take in what is closed and land it, as a run does, without building anything."""
    from assets.landing.door import admit, closed_folders
    from assets.landing.land import land
    from assets.ledger.schema import DeliveryState

    for folder in closed_folders(workspace.lake.inbox):
        admit(workspace, folder)
    for key in workspace.deliveries.in_state(DeliveryState.ACCEPTED):
        land(workspace, key)


def write_delivery(
    root: Path, at_site: str, feed: str, delivery_id: str, files: Mapping[str, bytes | str], *, sequence: int = 1, **changes: object
) -> Path:
    """Write files and, last, a manifest that holds (unless `changes` says otherwise).

    Returns:
        The delivery folder.
    """
    folder = root / "inbox" / at_site / feed / delivery_id
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(raw)
        entries.append({"path": name, "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)})
    manifest = {"site": at_site, "feed": feed, "delivery_id": delivery_id, "sequence": sequence, "files": entries, **changes}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Biodam:
    """The command line on one lake, as a user has it."""

    lake: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 600
    """Seconds of a command."""

    @property
    def variables(self) -> dict[str, str]:
        """Environment of a process on this lake. Dagster's home is the lake's own, whatever a test that loads the definitions left behind."""
        inherited = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
        return {**inherited, "LAKE_ROOT": str(self.lake), **self.environment}

    def __call__(self, *arguments: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `biodam ...`; with `check`, any exit code but 0 fails the test with what was printed."""
        command = [sys.executable, "-m", "orchestration.cli", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, input=stdin, env=self.variables, cwd=REPOSITORY, timeout=self.timeout
        )
        if check and done.returncode != 0:
            pytest.fail(f"biodam {' '.join(arguments)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def status(self) -> Any:
        """What `biodam status --json` says."""
        return json.loads(self("status", "--json", check=False).stdout)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the published catalogue, opened as an analyst would: plain DuckDB, no extension."""
        with duckdb.connect(str(self.lake / "catalogue" / "biodam.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def one(self, sql: str) -> Any:
        """The single value of a query."""
        return self.query(sql)[0][0]

    def fingerprints(self) -> dict[str, str]:
        """Table -> hash of its sorted rows, for every published table."""
        tables = [name for (name,) in self.query("select view_name from duckdb_views() where not internal order by 1")]
        return {
            t: self.one(f"select coalesce(md5(string_agg(h, '' order by h)), '') from (select md5(t::varchar) as h from {t} as t)")
            for t in tables
        }


@pytest.fixture(scope="session")
def four_hospitals(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Biodam:
    """One lake with the four real samples, landed, built and published. Shared by many tests: read only."""
    biodam = Biodam(tmp_path_factory.mktemp("four") / "lake", {"BIODAM_AS_OF": "2026-01-01"})
    for folder, site, feed in (
        ("02_fhir_synthea_bundles", "h01", "fhir_r4"),
        ("01_fhir_bulk_ndjson/bulk_10_patients", "h02", "fhir_r4"),
        ("05_synthea_csv", "h03", "synthea_csv"),
        ("07_omop_mimic_iv_demo/1_omop_data_csv", "h04", "omop"),
    ):
        biodam("deliver", str(shared_data / folder), "--site", site, "--feed", feed)
    biodam("run")
    return biodam
