"""`biodam erase` where nothing may be changed: who is meant is asked for on standard input, mistakes are answered in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.integration.conftest import Small

pytestmark = pytest.mark.shares("small lake")


def _erase(small: Small, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestration.cli", "erase", *arguments]
    return subprocess.run(
        command, input=typed, env=small.biodam.variables, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_dry_run_finds_the_person_by_a_number_from_standard_input_and_changes_nothing(small: Small) -> None:
    done = _erase(small, "--site", "h90", "--dry-run", "--json", typed="p1\n")
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["tables"], seen["landing_files"], seen["undestroyed"]) == (
        {"raw/fhir/condition": 1, "raw/fhir/patient": 1, "raw/people/sighting": 1}, 2, 0,
    )  # fmt: skip
    assert (seen["values"], seen["not_searched"]) == ({"person_id": 1}, {"values_too_short": 1}), "p1 is too short to be looked for"
    assert not (small.biodam.lake / "control" / "receipts").exists()


def test_places_of_names_are_listed_by_themselves(small: Small) -> None:
    assert _erase(small, "--found").stdout == "No open erasure has found a name or address.\n"


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("--site", "h90", "--yes"), "nobody\n", "has never named anybody by that number"),
        (("--people", "-", "--yes"), "12345\nKim\n", "line 2 of --people is no person id"),
        (("--people", "-", "--yes"), "12345\n", "the vault knows no person 12345"),
        (("--people", "-", "--yes"), "\n", "--people names nobody"),
        (("--people", "-", "--yes", "--leave-names"), "12345\n", "--leave-names and --remove-names-in go with --resume"),
        (("--resume", "--remove-names-in", "control/note"), "", "nothing can be taken out of control/note"),
    ],
    ids=["unknown number", "no person id", "unknown person", "nobody", "names before they were shown", "a place that was not shown"],
)
def test_a_mistake_is_answered_in_one_line(small: Small, arguments: tuple[str, ...], typed: str, said: str) -> None:
    done = _erase(small, *arguments, typed=typed)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Kim" not in done.stderr
