"""A lake of raw tables only: five people of one hospital, one of them also in a second delivery and in a record that was refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.erasing import deliver_people
from tests.faults.killing import land_all

NewLake = Callable[[], Path]


@pytest.fixture(scope="session")
def landed_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake as landed. Read only."""
    lake = tmp_path_factory.mktemp("people") / "lake"
    deliver_people(lake)
    land_all(lake, "nowhere")
    return lake


@pytest.fixture
def lake(landed_people: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(landed_people, tmp_path / "lake")
    return tmp_path / "lake"
