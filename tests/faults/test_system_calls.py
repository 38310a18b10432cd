"""Scenario 21: kill, full disk, device error and lost permission at the writing system calls of every writer."""

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


def sweep(shim: Path, folder: Path, cases: list[tuple[float, int, bool]]) -> list[dict[str, Any]]:
    """Results of cases; a case names its place as a share of all writing calls of a run."""
    command = [sys.executable, "-m", "tests.faults.sweep", str(folder), json.dumps(cases)]
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=3000, check=True)
    total, *results = (json.loads(line) for line in done.stdout.splitlines())
    assert total["calls"] > 300, "the shim saw hardly any call: the sweep would prove nothing"
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


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_at_many_system_calls_loses_and_doubles_nothing(shim: Path, tmp_path: Path, fault: str) -> None:
    check(sweep(shim, tmp_path, [((n + 0.5) / 60, *FAULTS[fault]) for n in range(60)]), fault)
