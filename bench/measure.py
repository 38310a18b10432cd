"""Run a command and account for its process tree.

CPU seconds are user + system of the command and every descendant it waited for. Peak memory is the largest resident set of any single
process of the tree, in MiB. Both are read by a small process between us and the command: the kernel counts the memory of whoever forks
a process as that process's own.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"


_BETWEEN = """
import json, os, resource, subprocess, sys, time
began = time.perf_counter()
status = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump([used.ru_utime + used.ru_stime, time.perf_counter() - began, used.ru_maxrss / 1024, status], open(sys.argv[1], "w"))
"""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    status: int

    def __str__(self) -> str:
        return f"{self.cpu_s:7.2f} CPU s  {self.wall_s:7.2f} s wall  {self.peak_mib:6.0f} MiB peak"


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None, log: Path | None = None) -> Cost:
    """Run a command to its end; its output goes to `log` or nowhere.

    Raises:
        SystemExit: The command failed; the message says which and where its output is.
    """
    with tempfile.TemporaryDirectory() as folder, (log or Path(os.devnull)).open("ab") as out:
        figures = Path(folder) / "cost.json"
        subprocess.run(
            [sys.executable, "-S", "-c", _BETWEEN, str(figures), *command],
            stdout=out, stderr=out, env={**os.environ, **(environment or {})}, cwd=REPOSITORY, check=True,
        )  # fmt: skip
        cost = Cost(*json.loads(figures.read_text(encoding="utf-8")))
    if cost.status != 0:
        raise SystemExit(f"{' '.join(command[:6])} ... ended with {cost.status}; output: {log}")
    return cost


def biodam(*arguments: str, lake: Path, log: Path | None = None, environment: Mapping[str, str] | None = None) -> Cost:
    """Run a `biodam` command on a lake; `environment` adds to what it finds."""
    command = [sys.executable, "-m", "orchestration.cli", *arguments]
    return run(command, environment={"LAKE_ROOT": str(lake), **(environment or {})}, log=log)


def machine() -> str:
    """One line about the machine, without its name."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def need_shared() -> Path:
    """Folder of the real files, or an end with a clear sentence."""
    if not SHARED.is_dir():
        raise SystemExit("this measurement replicates real files of ../shared/data, which is not beside this checkout")
    return SHARED
