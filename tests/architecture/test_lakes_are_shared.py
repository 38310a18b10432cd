"""A module that reads a shared lake says so, or each of two processes builds that lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.scheduling import kept_together

LAKES = {"one lake": ": OneLake", "small lake": ": Small"}
MODULES = sorted((REPOSITORY / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("lake", LAKES)
def test_modules_of_one_lake_are_kept_together(lake: str) -> None:
    readers = {path.name for path in MODULES if path != Path(__file__) and LAKES[lake] in path.read_text(encoding="utf-8")}
    marked = {path.name for path in MODULES if kept_together(path) == lake}
    assert len(readers) > 3
    assert {"not marked": readers - marked, "marked for nothing": marked - readers} == {"not marked": set(), "marked for nothing": set()}
