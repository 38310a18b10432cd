"""One small lake, built once by the real command and the real dbt, for all tests that only look at it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Biodam, write_delivery
from tests.integration.one_lake import OneLake, Part

SITE = """site = "h90"
name = "Test hospital"
kind = "hospital"
legal_basis = "published"
owner = "data-team@biodam.invalid"
[feeds.fhir_r4]
"""
UNKNOWN_CODE = "99999001"
PATIENTS = "".join(f'{{"resourceType":"Patient","id":"p{n}","birthDate":"1960-01-0{n}","gender":"female"}}\n' for n in range(1, 8))
CONDITIONS = "".join(
    f'{{"resourceType":"Condition","id":"c{n}","subject":{{"reference":"Patient/p{n}"}},"onsetDateTime":"2020-03-0{n}",'
    f'"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{UNKNOWN_CODE if n == 7 else 44054006}"}}]}}}}\n'
    for n in range(1, 8)
)
BAD = '{"resourceType":"Condition","id":"c9","subject":{"reference":"Patient/p1"},"onsetDateTime":"2020-13-01"}\n'
FILES: dict[str, bytes | str] = {"Patient.ndjson": PATIENTS, "Condition.ndjson": CONDITIONS + BAD}


@dataclass(frozen=True)
class Ended:
    """How one of two runs at once ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Small:
    """A lake after its first run.

    Attributes:
        biodam: The command line on it.
        said: What the run that built it said.
        runs: Both runs that were started at once on the empty lake.
    """

    biodam: Biodam
    said: dict[str, Any]
    runs: tuple[Ended, Ended]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Seven patients, a condition each, one bad record, one delivery of a stranger. Read only; copy it to change it."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "sites").mkdir()
    (folder / "sites" / "h90.toml").write_text(SITE, encoding="utf-8")
    biodam = Biodam(folder / "lake", {"BIODAM_SITES": str(folder / "sites"), "BIODAM_AS_OF": "2026-01-01"})
    write_delivery(biodam.lake, "h90", "fhir_r4", "d1", FILES)
    write_delivery(biodam.lake, "h66", "fhir_r4", "d1", FILES)
    environment = biodam.variables
    command = [sys.executable, "-m", "orchestration.cli", "run", "--json"]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=REPOSITORY)
        for _ in range(2)
    ]
    first, second = [Ended(code=p.wait(), stdout=out, stderr=error) for p in started for out, error in [p.communicate(timeout=600)]]
    said = [json.loads(r.stdout) for r in (first, second) if r.code == 0]
    built = [s for s in said if s["built"]]
    assert len(built) == 1, f"{first}\n{second}"
    return Small(biodam, built[0], (first, second))


@pytest.fixture(scope="session")
def one_lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OneLake:
    """The lake shared by all modules of this session that have a `Part`."""
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    parts = {name: part for module in modules for name, part in vars(module).items() if isinstance(part, Part)}
    return OneLake(tmp_path_factory.mktemp("one"), parts.values())
