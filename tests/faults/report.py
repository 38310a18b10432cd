"""Which scenario each test belongs to, and the table at the end of `make faults`. Works over several pytest-xdist workers."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scenarios import SCENARIOS

_outcomes: dict[int, Counter[str]] = defaultdict(Counter)
_tests: dict[int, set[str]] = defaultdict(set)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-report", default=None, help="write the table of fault scenarios to this Markdown file")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Reports travel between processes; what a test is marked with travels in its properties."""
    for item in items:
        for mark in item.iter_markers("scenario"):
            item.user_properties.append(("scenario", int(mark.args[0].split()[0])))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" and report.outcome == "passed":
        return
    for name, number in report.user_properties:
        if name == "scenario":
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
        terminalreporter.line(f"{number:>2} {SCENARIOS[number].title[:62]:<62} {verdict(_outcomes[number]):<13} {said}")
    if (target := config.getoption("--fault-report")) is not None:
        Path(target).write_text(as_markdown(), encoding="utf-8")


_HEAD = """# Fault scenarios

What is tried on purpose, and what held in the last whole run of `make faults` (`make faults REPORT=docs/FAULTS.md` writes this page). Everywhere: delivered =
landed + quarantined + duplicate, by a counter that shares nothing with the parsers.

| | scenario | what is tried | what has to hold | verdict | tests |
|---|---|---|---|---|---|
"""


def as_markdown() -> str:
    lines = []
    for number, scenario in SCENARIOS.items():
        counts = _outcomes[number]
        said = ", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "none"
        places = "<br>".join(f"`{t}`" for t in sorted(_tests[number]))
        lines.append(f"| {number} | {scenario.title} | {scenario.tried} | {scenario.holds} | {verdict(counts)} ({said}) | {places} |\n")
    return _HEAD + "".join(lines)
