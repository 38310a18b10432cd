"""Which scenario each test belongs to, what it cost, and the table at the end of `make faults`. Works over several pytest-xdist workers.

CPU seconds are those of the test's process and of all processes it waited for, fixtures included: what many tests share counts for the first of them.
Processes that were killed with their parent are not in it.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scenarios import SCENARIOS

_outcomes: dict[int, Counter[str]] = defaultdict(Counter)
_tests: dict[int, set[str]] = defaultdict(set)
_seconds: dict[int, float] = defaultdict(float)
_phases: list[tuple[float, str, str]] = []
_spent = 0.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-report", default=None, help="write the table of fault scenarios to this Markdown file")
    parser.addoption(
        "--fault-costs", default=0, type=int, help="how many of the costliest tests are named below the table of fault scenarios"
    )
    parser.addoption("--fault-sites", default="20", help="system calls that scenario 21 tries for each fault: a number, or `all`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Reports travel between processes; what a test is marked with travels in its properties. Collecting costs no scenario anything."""
    global _spent
    _spent = sum(os.times()[:4])
    for item in items:
        for mark in item.iter_markers("scenario"):
            item.user_properties.append(("scenario", int(mark.args[0].split()[0])))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Each report carries the CPU seconds since the one before it."""
    global _spent
    report = yield
    now = sum(os.times()[:4])
    report.user_properties.append(("cpu", now - _spent))
    _spent = now
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    counts = report.when == "call" or report.outcome != "passed"
    numbers = [number for name, number in report.user_properties if name == "scenario"]
    cpu = sum(seconds for name, seconds in report.user_properties if name == "cpu")
    if numbers:
        _phases.append((cpu, report.when or "", report.nodeid))
    for number in numbers:
        _seconds[number] += cpu / len(numbers)
        if counts:
            _outcomes[number][report.outcome] += 1
            _tests[number].add(re.sub(r"\[.*", "", report.nodeid))


def verdict(counts: Counter[str]) -> str:
    if counts["failed"]:
        return "FAILED"
    return "held" if counts["passed"] else "not run here"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Scenario, verdict, how many tests."""
    if not _outcomes:
        return
    terminalreporter.section("fault scenarios")
    for number in sorted(_outcomes):
        said = ", ".join(f"{n} {what}" for what, n in sorted(_outcomes[number].items()))
        terminalreporter.line(
            f"{number:>2} {SCENARIOS[number].title[:62]:<62} {verdict(_outcomes[number]):<13} {_seconds[number]:>5.0f} CPU s  {said}"
        )
    terminalreporter.line(f"{sum(_seconds.values()):.0f} CPU s in all")
    for seconds, when, test in sorted(_phases, reverse=True)[: config.getoption("--fault-costs")]:
        terminalreporter.line(f"{seconds:>5.0f} CPU s  {when:<8} {test}")
    if (target := config.getoption("--fault-report")) is not None:
        Path(target).write_text(as_markdown(), encoding="utf-8")


_HEAD = """# Fault scenarios

What is tried on purpose, and what held in the last whole run of `make faults` (`make faults REPORT=docs/FAULTS.md` writes this page). Everywhere: delivered =
landed + quarantined + duplicate, by a counter that shares nothing with the parsers. CPU seconds are those of the tests and of all processes they waited
for; what several tests share counts for the first of them.

| | scenario | what is tried | what has to hold | verdict | CPU s | tests |
|---|---|---|---|---|---|---|
"""


def as_markdown() -> str:
    lines = []
    for number, scenario in SCENARIOS.items():
        counts = _outcomes[number]
        said = ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "none"
        places = "<br>".join(f"`{t}`" for t in sorted(_tests[number]))
        held = f"{verdict(counts)} ({said})"
        lines.append(
            f"| {number} | {scenario.title} | {scenario.tried} | {scenario.holds} | {held} | {_seconds[number]:.0f} | {places} |\n"
        )
    return _HEAD + "".join(lines) + f"\nCPU seconds in all: {sum(_seconds.values()):.0f}.\n"
