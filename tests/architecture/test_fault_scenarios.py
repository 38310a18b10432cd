"""Every fault scenario of issue 3 has a test, and every marker names a scenario as the list does."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY
from tests.faults.scenarios import SCENARIOS, marker_of

OPEN: set[int] = set()
"""Scenarios without a test yet."""

_MARK = re.compile(r'scenario\(\s*"([^"]+)"')


def test_all_36_scenarios_have_a_test_and_every_marker_is_spelled_as_the_list() -> None:
    found = [m for path in (REPOSITORY / "tests").rglob("test_*.py") if path.name != __file__ for m in _MARK.findall(path.read_text())]
    assert sorted(SCENARIOS) == list(range(1, 37))
    known = {marker_of(number) for number in SCENARIOS}
    open_ones = sorted(marker_of(number) for number in OPEN)
    assert {"unknown": sorted(set(found) - known), "without a test": sorted(known - set(found))} == {
        "unknown": [],
        "without a test": open_ones,
    }
