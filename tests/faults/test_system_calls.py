"""Scenario 21: kill, full disk, device error and lost permission at the writing system calls of every writer.

A run makes about 800 such calls. `make faults` tries 20 of them for each fault, one at random in each twentieth of the run; `make faults SITES=200` so many,
`make faults SITES=all` every one, which takes about an hour.
"""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.scenario("21 kill, ENOSPC, EIO, EACCES at system calls of every writer")
KILL = -1
FAULTS = {"kill": (KILL, False), "ENOSPC": (errno.ENOSPC, True), "EIO": (errno.EIO, False), "EACCES": (errno.EACCES, False)}


Case = tuple[float | None, int, bool]


def sweep(shim: Path, folder: Path, cases: list[Case]) -> list[dict[str, Any]]:
    """Results of cases; a case names its place as a share of all writing calls of a run, or all of them by None."""
    command = [sys.executable, "-m", "tests.faults.sweep", str(folder), json.dumps(cases)]
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    total, *results = (json.loads(line) for line in done.stdout.splitlines())
    assert total["calls"] > 300, "the shim saw hardly any call: the sweep would prove nothing"
    assert len(results) == (total["calls"] if cases[0][0] is None else len(cases))
    return results


def check(results: list[dict[str, Any]], fault: str) -> None:
    for result in results:
        assert result["good"], f"{fault} at call {result['nth']}:\n{result['said']}"
        if fault == "kill":
            assert os.WTERMSIG(result["first"]) == signal.SIGKILL, "the call that should have killed was not reached"


def test_fault_at_some_system_calls_loses_and_doubles_nothing(shim: Path, tmp_path: Path) -> None:
    chance = random.Random(21)
    results = sweep(shim, tmp_path, [(chance.random() * 0.98, *FAULTS[fault]) for fault in FAULTS])
    for fault, result in zip(FAULTS, results, strict=True):
        check([result], fault)


def chosen(sites: str, fault: str) -> list[Case]:
    """The cases of a fault: one in each part of the run, or all."""
    if sites == "all":
        return [(None, *FAULTS[fault])]
    chance, parts = random.Random(fault), int(sites)
    return [((n + chance.random()) / parts * 0.98, *FAULTS[fault]) for n in range(parts)]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_at_many_system_calls_loses_and_doubles_nothing(
    shim: Path, tmp_path: Path, fault: str, request: pytest.FixtureRequest
) -> None:
    check(sweep(shim, tmp_path, chosen(request.config.getoption("--fault-sites"), fault)), fault)
